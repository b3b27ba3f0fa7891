//! The types of sources, one line each. A new backend is a file and a line here.

use std::sync::Arc;

use super::Source;
use super::alertmanager::Alertmanager;
use super::change_files::ChangeFiles;
use super::fault::SourceError;
use super::file::FileLogs;
use super::git::Git;
use super::kubernetes::{self, Kubernetes};
use super::loki::Loki;
use super::prometheus::Prometheus;
use super::recording;
use crate::config::{CheckSource, SourceConfig};
use crate::telemetry::Failure;
use crate::telemetry::words::nearest;

type Made = Result<Vec<Arc<dyn Source>>, SourceError>;

/// A type of source.
pub struct Kind {
    /// Its word in the configuration.
    pub word: &'static str,
    /// Whether sources of this type can have alerts.
    alerts: bool,
    /// Whether a configuration has what this type needs.
    check: CheckSource,
    make: fn(&SourceConfig) -> Made,
}

/// Every type of source.
pub const KINDS: &[Kind] = &[
    Kind { word: "prometheus", alerts: true, check: needs_url, make: |c| Ok(vec![Arc::new(Prometheus::new(c)?)]) },
    Kind { word: "alertmanager", alerts: true, check: needs_url, make: |c| Ok(vec![Arc::new(Alertmanager::new(c)?)]) },
    Kind { word: "loki", alerts: false, check: needs_url, make: |c| Ok(vec![Arc::new(Loki::new(c)?)]) },
    Kind { word: "file", alerts: false, check: needs_paths, make: |c| Ok(vec![Arc::new(FileLogs::new(c)?)]) },
    Kind { word: "kubernetes", alerts: false, check: kubernetes::check, make: |c| Ok(vec![Arc::new(Kubernetes::new(c)?)]) },
    Kind { word: "git", alerts: false, check: needs_path, make: |c| Ok(vec![Arc::new(Git::new(c)?)]) },
    Kind { word: "changes", alerts: false, check: needs_paths, make: |c| Ok(vec![Arc::new(ChangeFiles::new(c)?)]) },
    Kind { word: "recording", alerts: true, check: needs_path, make: recording::open },
];

/// For types of sources that are reached over HTTP.
pub(super) fn needs_url(config: &SourceConfig) -> Result<(), Failure> {
    match config.url {
        Some(_) => Ok(()),
        None => Err(Failure::new("it has no url").advise("Add url = \"http://…\".")),
    }
}

fn needs_paths(config: &SourceConfig) -> Result<(), Failure> {
    if config.paths.is_empty() {
        return Err(Failure::new("it has no paths").advise("Add paths = [\"/var/log/app/*.log\"]."));
    }
    Ok(())
}

fn needs_path(config: &SourceConfig) -> Result<(), Failure> {
    match config.path {
        Some(_) => Ok(()),
        None => Err(Failure::new("it has no path").advise("Add a path = \"…\".")),
    }
}

fn find(word: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.word == word)
}

fn unknown(word: &str) -> Failure {
    let known: Vec<&str> = KINDS.iter().map(|k| k.word).collect();
    let hint = nearest(word, known.iter().copied()).map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
    Failure::new(format!("there is no type '{word}'")).advise(format!("{hint}The types are {}.", known.join(", ")))
}

/// Whether the type of a source exists, and the source has what it needs.
///
/// # Errors
/// If a required key is missing, with the key to add.
pub fn check(config: &SourceConfig) -> Result<(), Failure> {
    match find(&config.kind) {
        Some(kind) => (kind.check)(config),
        None => Err(unknown(&config.kind)),
    }
}

/// Whether sources of a type can have alerts. `false` for an unknown type.
pub fn has_alerts(kind: &str) -> bool {
    find(kind).is_some_and(|k| k.alerts)
}

/// The sources behind a configured source: itself, or everything that a recording contains. Opens no connection; a recording is
/// read.
pub fn make(config: &SourceConfig) -> Made {
    match find(&config.kind) {
        Some(kind) => (kind.make)(config),
        None => Err(SourceError::new(super::FaultKind::Config, unknown(&config.kind).line())),
    }
}
