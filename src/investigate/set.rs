//! The configured sources together, and the board of alerts that they make.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, SourceConfig};
pub use crate::incident::AlertBoard;
use crate::incident::{SourceReport, SourceStatus};
use crate::sources::{FaultKind, Source, SourceError, merge, registry};
use crate::telemetry::Alert;
use crate::telemetry::failure::Explain;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;

/// All sources that could be made, and those that could not with the reason.
#[derive(Clone, Default)]
pub struct SourceSet {
    pub sources: Vec<Arc<dyn Source>>,
    pub broken: Vec<(String, String, SourceError)>,
}

impl SourceSet {
    /// From the configuration. Opens no connection, so it cannot fail as a whole.
    pub fn from_config(config: &Config) -> Self {
        let mut set = Self::default();
        for source in &config.sources {
            set.add(source);
        }
        set
    }

    fn add(&mut self, config: &SourceConfig) {
        match registry::make(config) {
            Ok(made) => self.sources.extend(made),
            Err(e) => self.broken.push((config.name.clone(), config.kind.clone(), e)),
        }
    }

    /// Over given sources: recordings, taps.
    pub fn over(sources: Vec<Arc<dyn Source>>) -> Self {
        Self { sources, broken: Vec::new() }
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.broken.is_empty()
    }

    /// Reports for the sources that could not even be made.
    pub fn broken_reports(&self) -> Vec<SourceReport> {
        self.broken.iter().map(|(name, kind, e)| failed(name, kind, e)).collect()
    }

    /// Asks every alert source at once; a dead one costs its own part only.
    pub async fn alerts(&self) -> AlertBoard {
        let asked = join_all(self.sources.iter().filter_map(|s| {
            let alerts = s.alerts()?;
            Some(async move { (s.name(), s.kind(), alerts.active().await) })
        }))
        .await;
        let mut board = AlertBoard { sources: self.broken_reports(), ..AlertBoard::default() };
        let mut lists = Vec::new();
        for (name, kind, answer) in asked {
            match answer {
                Ok(answer) => {
                    board.gaps.extend(answer.gaps.iter().map(|g| format!("{name}: {g}")));
                    board.sources.push(ok(name, kind));
                    lists.push((kind, answer.value));
                }
                Err(e) => board.sources.push(failed(name, kind, &e)),
            }
        }
        board.alerts = merge::merge(lists);
        board
    }

    /// Looks for alerts by fingerprint: ends when all are found (the others get a moment to add what they know), at the
    /// latest after `limit`. A source that has not answered by then is reported as failed.
    pub async fn find(&self, fingerprints: &[String], limit: Duration) -> AlertBoard {
        let mut waiting: FuturesUnordered<_> = self
            .sources
            .iter()
            .filter_map(|s| {
                let alerts = s.alerts()?;
                Some(async move { (s.name(), s.kind(), alerts.active().await) })
            })
            .collect();
        let mut board = AlertBoard { sources: self.broken_reports(), ..AlertBoard::default() };
        let mut lists = Vec::new();
        let end = tokio::time::sleep(limit);
        tokio::pin!(end);
        loop {
            let answer = tokio::select! {
                answer = waiting.next() => answer,
                () = &mut end => break,
            };
            let Some((name, kind, answer)) = answer else { break };
            match answer {
                Ok(answer) => {
                    board.sources.push(ok(name, kind));
                    lists.push((kind, answer.value));
                }
                Err(e) => board.sources.push(failed(name, kind, &e)),
            }
            let all =
                fingerprints.iter().all(|f| lists.iter().any(|(_, l): &(_, Vec<Alert>)| l.iter().any(|a| a.fingerprint == *f)));
            if all {
                let soon = tokio::time::Instant::now() + GRACE;
                if soon < end.deadline() {
                    end.as_mut().reset(soon);
                }
            }
        }
        for s in self.sources.iter().filter(|s| s.alerts().is_some()) {
            if !board.sources.iter().any(|r| r.name == s.name()) {
                let e = SourceError::new(FaultKind::Timeout, format!("no answer within {limit:?}"));
                board.sources.push(failed(s.name(), s.kind(), &e));
            }
        }
        board.alerts = merge::merge(lists);
        board
    }
}

/// How long the others may still add to alerts that were found.
const GRACE: Duration = Duration::from_millis(300);

/// A source that answered just now.
pub fn ok(name: &str, kind: &str) -> SourceReport {
    SourceReport {
        name: name.to_owned(),
        kind: kind.to_owned(),
        status: SourceStatus::Ok,
        error: None,
        fault: None,
        remedy: None,
        age_secs: Some(0.0),
    }
}

/// A source that did not.
pub fn failed(name: &str, kind: &str, error: &SourceError) -> SourceReport {
    SourceReport {
        name: name.to_owned(),
        kind: kind.to_owned(),
        status: SourceStatus::Failed,
        error: Some(error.summary()),
        fault: Some(error.kind.word().to_owned()),
        remedy: error.remedy(),
        age_secs: None,
    }
}
