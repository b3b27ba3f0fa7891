//! Backends behind small traits, one file each, one shared HTTP layer.
//!
//! A [`Source`] says which kinds of signal it has; callers ask through [`AlertSource`], [`MetricSource`], [`LogSource`] and
//! [`ChangeSource`] and get cleaned telemetry. An answer says whether it is whole and why not; a failure says its kind, so that "denied",
//! "nothing there" and "not reachable" stay apart.

pub mod alertmanager;
pub mod fault;
pub mod file;
pub mod fingerprint;
pub mod git;
pub mod http;
pub mod kubernetes;
pub mod lines;
pub mod loki;
pub mod merge;
pub mod prometheus;
pub mod recording;
pub mod registry;
pub mod tap;
pub mod webhooks;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use crate::telemetry::log::Batch;
use crate::telemetry::{Alert, ChangeEvent, Labels, LogLine, Rule, Series, Timestamp, Window};
pub use fault::{FaultKind, SourceError};

/// What a source gave, and what is missing of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer<T> {
    pub value: T,
    /// Why it is not whole; empty when it is.
    pub gaps: Vec<String>,
    /// Items that there were, when more than were given is known to exist.
    pub total: Option<u64>,
}

impl<T> Answer<T> {
    /// A whole answer.
    pub fn whole(value: T) -> Self {
        Self { value, gaps: Vec::new(), total: None }
    }

    /// The same answer about another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: f(self.value), gaps: self.gaps, total: self.total }
    }
}

/// The result of asking a source.
pub type Asked<'a, T> = BoxFuture<'a, Result<Answer<T>, SourceError>>;

/// What a source says about itself: a version, a number of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub detail: String,
    /// Set when the source answers and yet is of no use as configured: what to do.
    pub warning: Option<String>,
}

impl Probe {
    /// A source that can be used.
    pub fn ok(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), warning: None }
    }

    /// The files that match a source's globs; none is a warning.
    pub fn files(count: usize) -> Self {
        let warning = (count == 0).then(|| "No file matches yet: check the globs in paths.".to_owned());
        Self { detail: format!("{} found", crate::telemetry::words::count(count, "file")), warning }
    }
}

/// A configured backend.
pub trait Source: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;
    /// Its type in the configuration.
    fn kind(&self) -> &str;
    /// What it says of itself: a version, a number of files. For `doctor`.
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>>;
    /// Alerts, if it has any to give.
    fn alerts(&self) -> Option<&dyn AlertSource> {
        None
    }
    /// Metrics, if it has any.
    fn metrics(&self) -> Option<&dyn MetricSource> {
        None
    }
    /// Logs, if it has any.
    fn logs(&self) -> Option<&dyn LogSource> {
        None
    }
    /// What was done to the system, if it knows.
    fn changes(&self) -> Option<&dyn ChangeSource> {
        None
    }
}

/// What was done to the system.
pub trait ChangeSource: Send + Sync {
    /// Which call this is, for the evidence record.
    fn query(&self, window: Window) -> String;
    /// What was done within a window, the oldest first.
    fn within(&self, window: Window) -> Asked<'_, Vec<ChangeEvent>>;
}

/// Alerts as they are now.
pub trait AlertSource: Send + Sync {
    /// Everything that is pending, firing or suppressed.
    fn active(&self) -> Asked<'_, Vec<Alert>>;
    /// Which call this is, for the evidence record.
    fn query(&self) -> String;
}

/// Metrics by query.
pub trait MetricSource: Send + Sync {
    /// Series over a window at a step in seconds (see [`step_for`]).
    fn range<'a>(&'a self, query: &'a str, window: Window, step_secs: f64) -> Asked<'a, Vec<Series>>;
    /// Series at one moment: one sample each.
    fn instant<'a>(&'a self, query: &'a str, at: Timestamp) -> Asked<'a, Vec<Series>>;
    /// The label sets that match a selector within a window.
    fn series<'a>(&'a self, selector: &'a str, window: Window) -> Asked<'a, Vec<Labels>>;
    /// The values of a label within a window, sorted.
    fn label_values<'a>(&'a self, label: &'a str, window: Window) -> Asked<'a, Vec<String>>;
    /// The alerting rules; empty where the backend has none.
    fn rules(&self) -> Asked<'_, Vec<Rule>>;
}

/// Lines of before that following a log begins with, per source.
pub const READ_BACK: usize = 200;

/// Which log lines are wanted, in words that every log backend can turn into its own query.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogFilter {
    /// Services; empty: all.
    pub services: Vec<String>,
    /// Only lines whose level or words say that something went wrong.
    pub bad_only: bool,
    /// The backend's own query, as typed by a person; the two above are then ignored.
    pub raw: Option<String>,
}

/// Log lines in time order (a line without a time stands after the one before it).
pub trait LogSource: Send + Sync {
    /// The exact query that a filter becomes here.
    fn query<'a>(&'a self, filter: &'a LogFilter, window: Window) -> BoxFuture<'a, Result<String, SourceError>>;
    /// The newest `limit` lines of the window, oldest first.
    fn lines<'a>(&'a self, filter: &'a LogFilter, window: Window, limit: usize) -> Asked<'a, Vec<LogLine>>;
    /// Lines per step, as series by level or service where the backend can tell.
    fn counts<'a>(&'a self, filter: &'a LogFilter, window: Window, step_secs: f64) -> Asked<'a, Vec<Series>>;
    /// Sends the last lines there are (at most [`READ_BACK`], as a batch of the past), then lines as they come, without a gap
    /// between the two, until the receiver is gone. The sender never waits: what does not fit is dropped and counted in the
    /// next batch.
    fn follow<'a>(&'a self, filter: &'a LogFilter, sink: mpsc::Sender<Batch>) -> BoxFuture<'a, Result<(), SourceError>>;
}

/// The step in seconds for a window: about 240 points, rounded up to a usual scrape interval and never below 5 s, so that
/// a range stays far under Prometheus's limit of 11,000 points.
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

    #[test]
    fn steps_keep_ranges_small() {
        for (hours, step) in [(0, 5.0), (1, 15.0), (24, 600.0), (24 * 365, 86_400.0)] {
            let window = Window::before(Timestamp::from_secs(1_795_253_400), std::time::Duration::from_secs(hours * 3600));
            assert_eq!(step_for(window), step, "{hours}");
        }
    }
}
