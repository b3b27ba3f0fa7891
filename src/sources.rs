//! The interface to observability backends: small traits, one file per backend, and a shared HTTP layer.
//!
//! A [`Source`] provides one or more kinds of signal, which callers query through [`AlertSource`], [`MetricSource`],
//! [`LogSource`] and [`ChangeSource`]. All telemetry is cleaned. An answer lists its gaps, and a failure has a kind, so that
//! "denied", "no data" and "unreachable" are distinct.

pub mod alertmanager;
pub mod change_files;
pub mod fault;
pub mod file;
pub mod fingerprint;
pub mod git;
pub mod http;
pub mod kubernetes;
mod lenient;
pub mod lines;
pub mod loki;
pub mod prometheus;
pub mod recorder;
pub mod recording;
pub mod registry;
pub mod request_log;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use crate::telemetry::log::Batch;
use crate::telemetry::silence::{NewSilence, SilenceRecord};
use crate::telemetry::{Alert, ChangeEvent, Labels, LogLine, Rule, Series, Window};
pub use fault::{FaultKind, SourceError};

/// The answer of a source, with what is missing from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer<T> {
    pub value: T,
    /// Why the answer is incomplete; empty if it is complete.
    pub gaps: Vec<String>,
    /// Parts that could not be read at all, such as a file; `gaps` names them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// The number of items that exist, if it is known that there are more than in `value`.
    pub total: Option<u64>,
    /// For log lines: the times within the window whose lines were not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Window>,
}

impl<T> Answer<T> {
    /// A complete answer.
    pub fn complete(value: T) -> Self {
        Self { value, gaps: Vec::new(), failed: Vec::new(), total: None, unread: Vec::new() }
    }

    /// The same answer with the value mapped.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: f(self.value), gaps: self.gaps, failed: self.failed, total: self.total, unread: self.unread }
    }
}

/// The future of an answer of a source.
pub type AnswerFuture<'a, T> = BoxFuture<'a, Result<Answer<T>, SourceError>>;

/// The result of checking a source, for `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Details that the source reports about itself, such as its version or the number of its files.
    pub detail: String,
    /// A warning with a remedy, if the source answers but is not useful as configured.
    pub warning: Option<String>,
}

impl Probe {
    /// The result for a source that works.
    pub fn ok(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), warning: None }
    }

    /// The result for a source with a number of matching files. No files is a warning.
    pub fn files(count: usize) -> Self {
        let warning = (count == 0).then(|| "No files match yet. Check the globs in paths.".to_owned());
        Self { detail: format!("{} found", crate::telemetry::words::count(count, "file")), warning }
    }
}

/// A configured backend.
pub trait Source: Send + Sync {
    /// The name in the configuration.
    fn name(&self) -> &str;
    /// The type in the configuration, such as `prometheus`.
    fn kind(&self) -> &str;
    /// Checks that the source can be used, for `doctor`.
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>>;
    /// The source of alerts; `None` if this source has no alerts.
    fn alerts(&self) -> Option<&dyn AlertSource> {
        None
    }
    /// The source of metrics; `None` if this source has no metrics.
    fn metrics(&self) -> Option<&dyn MetricSource> {
        None
    }
    /// The source of logs; `None` if this source has no logs.
    fn logs(&self) -> Option<&dyn LogSource> {
        None
    }
    /// The silences that can be read and changed; `None` if this source has none.
    fn silences(&self) -> Option<&dyn SilenceStore> {
        None
    }
    /// The source of changes; `None` if this source has no changes.
    fn changes(&self) -> Option<&dyn ChangeSource> {
        None
    }
}

/// Changes to the system, such as deployments.
pub trait ChangeSource: Send + Sync {
    /// The query, for the evidence record.
    fn query(&self, window: Window) -> String;
    /// The changes within a window, oldest first.
    fn within(&self, window: Window) -> AnswerFuture<'_, Vec<ChangeEvent>>;
}

/// The current alerts.
pub trait AlertSource: Send + Sync {
    /// All pending, firing and suppressed alerts.
    fn active(&self) -> AnswerFuture<'_, Vec<Alert>>;
    /// The query, for the evidence record.
    fn query(&self) -> String;
}

/// Silences that can be read and changed. Each change is sent once and never repeated by itself, because a second one would be another
/// silence.
pub trait SilenceStore: Send + Sync {
    /// All silences that the server still has, also expired ones.
    fn list(&self) -> AnswerFuture<'_, Vec<SilenceRecord>>;
    /// Creates a silence, or replaces the one with the id `replaces`. Returns its id.
    fn create<'a>(&'a self, new: &'a NewSilence, replaces: Option<&'a str>) -> BoxFuture<'a, Result<String, SourceError>>;
    /// Ends a silence now.
    fn expire<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), SourceError>>;
}

/// Metrics by query.
pub trait MetricSource: Send + Sync {
    /// Series over a window. `step_secs` is the step in seconds (see [`step_for`]).
    fn range<'a>(&'a self, query: &'a str, window: Window, step_secs: f64) -> AnswerFuture<'a, Vec<Series>>;
    /// The label sets that match a selector within a window.
    fn series<'a>(&'a self, selector: &'a str, window: Window) -> AnswerFuture<'a, Vec<Labels>>;
    /// The values of a label within a window, sorted.
    fn label_values<'a>(&'a self, label: &'a str, window: Window) -> AnswerFuture<'a, Vec<String>>;
    /// The names of labels within a window; empty if the backend cannot list them.
    fn label_names(&self, _window: Window) -> AnswerFuture<'_, Vec<String>> {
        Box::pin(std::future::ready(Ok(Answer::complete(Vec::new()))))
    }
    /// The alerting rules; empty if the backend has none.
    fn rules(&self) -> AnswerFuture<'_, Vec<Rule>>;
}

/// The number of earlier lines that following a log starts with, per source.
pub const FOLLOW_BACKLOG: usize = 200;

/// A selection of log lines that every log backend can translate into its own query.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogFilter {
    /// The services; empty selects all.
    pub services: Vec<String>,
    /// Only lines whose level or text indicates an error.
    pub bad_only: bool,
    /// A query in the backend's own language, as typed by a person. Overrides the two fields above.
    pub raw: Option<String>,
}

/// Log lines in time order. A line without a time stays after the line before it.
pub trait LogSource: Send + Sync {
    /// The exact query that a filter is translated into.
    fn query<'a>(&'a self, filter: &'a LogFilter, window: Window) -> BoxFuture<'a, Result<String, SourceError>>;
    /// At most `limit` lines of the window, oldest first. If there are more, the gaps say which were not read.
    fn lines<'a>(&'a self, filter: &'a LogFilter, window: Window, limit: usize) -> AnswerFuture<'a, Vec<LogLine>>;
    /// The number of lines that it can deliver quickly for each of the two parts of a window that are compared.
    fn max_lines(&self) -> usize {
        50_000
    }
    /// Those of the services whose lines this source can read alone; empty if it cannot, so that all lines must be read.
    fn known_services<'a>(&'a self, _services: &'a [String], _window: Window) -> BoxFuture<'a, Vec<String>> {
        Box::pin(std::future::ready(Vec::new()))
    }
    /// Sends the most recent lines (at most [`FOLLOW_BACKLOG`], as a backlog batch), then new lines as they arrive, without a gap
    /// in between, until the receiver is gone. The sender never waits: lines that do not fit are dropped and counted in the
    /// next batch.
    fn follow<'a>(&'a self, filter: &'a LogFilter, sink: mpsc::Sender<Batch>) -> BoxFuture<'a, Result<(), SourceError>>;
}

/// The step in seconds for a window: about 240 points, rounded up to a round interval of at least 5 s. This stays far below
/// Prometheus's limit of 11,000 points per series.
pub fn step_for(window: Window) -> f64 {
    let raw = window.length().as_secs_f64() / 240.0;
    [5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21_600.0]
        .into_iter()
        .find(|s| *s >= raw)
        .unwrap_or(86_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Timestamp;

    #[test]
    fn picks_a_step_with_few_points() {
        for (hours, step) in [(0, 5.0), (1, 15.0), (24, 600.0), (24 * 365, 86_400.0)] {
            let window = Window::before(Timestamp::from_secs(1_795_253_400), std::time::Duration::from_secs(hours * 3600));
            assert_eq!(step_for(window), step, "{hours}");
        }
    }
}
