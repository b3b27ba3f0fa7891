//! The types of sources: one line each. A new backend is a file and an entry here.

use std::sync::Arc;

use super::Source;
use super::alertmanager::Alertmanager;
use super::fault::SourceError;
use super::file::FileLogs;
use super::git::Git;
use super::kubernetes::Kubernetes;
use super::loki::Loki;
use super::prometheus::Prometheus;
use super::recording;
use super::webhooks::ChangeFiles;
use crate::config::{SourceConfig, nearest};

type Made = Result<Vec<Arc<dyn Source>>, SourceError>;

/// A type of source: its word in the configuration, the key that it cannot do without, and how one is made.
pub struct Kind {
    pub word: &'static str,
    needs: Needs,
    make: fn(&SourceConfig) -> Made,
}

#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Url,
    Paths,
    Path,
}

/// Every type of source.
pub const KINDS: &[Kind] = &[
    Kind { word: "prometheus", needs: Needs::Url, make: |c| Ok(vec![Arc::new(Prometheus::new(c)?)]) },
    Kind { word: "alertmanager", needs: Needs::Url, make: |c| Ok(vec![Arc::new(Alertmanager::new(c)?)]) },
    Kind { word: "loki", needs: Needs::Url, make: |c| Ok(vec![Arc::new(Loki::new(c)?)]) },
    Kind { word: "file", needs: Needs::Paths, make: |c| Ok(vec![Arc::new(FileLogs::new(c)?)]) },
    Kind { word: "kubernetes", needs: Needs::Url, make: |c| Ok(vec![Arc::new(Kubernetes::new(c)?)]) },
    Kind { word: "git", needs: Needs::Path, make: |c| Ok(vec![Arc::new(Git::new(c)?)]) },
    Kind { word: "changes", needs: Needs::Paths, make: |c| Ok(vec![Arc::new(ChangeFiles::new(c)?)]) },
    Kind { word: "recording", needs: Needs::Path, make: recording::open },
];

fn find(word: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.word == word)
}

/// Whether a source's type is known and has what it needs; the message says what to do.
pub fn check(config: &SourceConfig) -> Result<(), String> {
    let Some(kind) = find(&config.kind) else {
        let known: Vec<&str> = KINDS.iter().map(|k| k.word).collect();
        let hint = nearest(&config.kind, known.iter().copied()).map_or_else(String::new, |n| format!(" did you mean '{n}'?"));
        return Err(format!("type '{}' is not known;{hint} known are {}", config.kind, known.join(", ")));
    };
    match kind.needs {
        Needs::Url if config.url.is_none() => Err(format!("a source of type {} needs a url", kind.word)),
        Needs::Paths if config.paths.is_empty() => {
            Err(format!("a source of type {} needs paths, such as [\"/var/log/app/*.log\"]", kind.word))
        }
        Needs::Path if config.path.is_none() => Err(format!("a source of type {} needs a path", kind.word)),
        _ => Ok(()),
    }
}

/// Makes what a configured source stands for: itself, or everything that a recording holds. Opens no connection; a
/// recording is read.
pub fn make(config: &SourceConfig) -> Made {
    match find(&config.kind) {
        Some(kind) => (kind.make)(config),
        None => Err(SourceError::new(super::FaultKind::Config, format!("type '{}' is not known", config.kind))),
    }
}
