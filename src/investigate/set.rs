//! The set of configured sources, and the alert board made from their alerts.

use std::sync::Arc;
use std::time::Duration;

use crate::analysis::merge::merge;
use crate::config::{Config, SourceConfig};
pub use crate::incident::AlertBoard;
use crate::incident::{SourceGap, SourceReport, SourceStatus};
use crate::sources::{FaultKind, Source, SourceError, registry};
use crate::telemetry::Alert;
use crate::telemetry::failure::Explain;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;

/// The sources that could be created, and those that could not.
#[derive(Clone, Default)]
pub struct SourceSet {
    pub sources: Vec<Arc<dyn Source>>,
    /// Name, kind and error of each source that could not be created.
    pub broken: Vec<(String, String, SourceError)>,
}

impl SourceSet {
    /// Creates the configured sources without connecting to them.
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

    /// A set of the given sources, such as those of a recording.
    pub fn from_sources(sources: Vec<Arc<dyn Source>>) -> Self {
        Self { sources, broken: Vec::new() }
    }

    /// Whether no source is configured.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.broken.is_empty()
    }

    /// Reports for the sources that could not be created.
    pub fn broken_reports(&self) -> Vec<SourceReport> {
        self.broken.iter().map(|(name, kind, e)| report_failed(name, kind, e)).collect()
    }

    /// A board without alerts, before any source has answered.
    pub fn empty_board(&self) -> AlertBoard {
        let expected = self.sources.iter().filter(|s| s.alerts().is_some()).map(|s| s.name().to_owned());
        let broken = self.broken.iter().filter(|(_, kind, _)| registry::has_alerts(kind)).map(|(name, _, _)| name.clone());
        AlertBoard { sources: self.broken_reports(), expected: expected.chain(broken).collect(), ..AlertBoard::default() }
    }

    /// Queries all alert sources at the same time. A source that fails is reported in the board; the others are unaffected.
    pub async fn alerts(&self) -> AlertBoard {
        let answers = join_all(self.sources.iter().filter_map(|s| {
            let alerts = s.alerts()?;
            Some(async move { (s.name(), s.kind(), alerts.active().await) })
        }))
        .await;
        let mut board = self.empty_board();
        let mut lists = Vec::new();
        for (name, kind, answer) in answers {
            match answer {
                Ok(answer) => {
                    board.gaps.extend(source_gaps(name, answer.gaps));
                    board.sources.push(report_ok(name, kind));
                    lists.push((kind, answer.value));
                }
                Err(e) => board.sources.push(report_failed(name, kind, &e)),
            }
        }
        board.alerts = merge(lists);
        board
    }

    /// Looks up alerts by fingerprint. Returns 300 ms after all are found, so that other sources can add details, and at the
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
        let mut board = self.empty_board();
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
                    board.sources.push(report_ok(name, kind));
                    lists.push((kind, answer.value));
                }
                Err(e) => board.sources.push(report_failed(name, kind, &e)),
            }
            let all_found =
                fingerprints.iter().all(|f| lists.iter().any(|(_, l): &(_, Vec<Alert>)| l.iter().any(|a| a.fingerprint == *f)));
            if all_found {
                let early_end = tokio::time::Instant::now() + GRACE_PERIOD;
                if early_end < end.deadline() {
                    end.as_mut().reset(early_end);
                }
            }
        }
        for s in self.sources.iter().filter(|s| s.alerts().is_some()) {
            if !board.sources.iter().any(|r| r.name == s.name()) {
                let e = SourceError::new(FaultKind::Timeout, format!("no answer within {limit:?}"));
                board.sources.push(report_failed(s.name(), s.kind(), &e));
            }
        }
        board.alerts = merge(lists);
        board
    }
}

/// How long other sources may add details after all alerts are found.
const GRACE_PERIOD: Duration = Duration::from_millis(300);

/// The gaps of one source's answer.
pub fn source_gaps(source: &str, gaps: Vec<String>) -> impl Iterator<Item = SourceGap> {
    gaps.into_iter().map(move |text| SourceGap { source: source.to_owned(), text })
}

/// A report of a source that just answered.
pub fn report_ok(name: &str, kind: &str) -> SourceReport {
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

/// A report of a source that failed.
pub fn report_failed(name: &str, kind: &str, error: &SourceError) -> SourceReport {
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
