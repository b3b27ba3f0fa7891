//! A tap on a source: passes questions on over the recording's whole span at its finest step, keeps what came, and gives
//! the asker its part. What is kept is what a recording holds.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::fault::SourceError;
use super::recording::{RecordedSource, filter_key};
use super::{AlertSource, Answer, Asked, Batch, ChangeSource, LogFilter, LogSource, MetricSource, Source};
use crate::telemetry::{Alert, ChangeEvent, Labels, LogLine, Rule, Series, Timestamp, Window};

/// Lines kept of one question.
const MAX_LINES: usize = 100_000;

/// A source that is being recorded.
pub struct Tap {
    inner: Arc<dyn Source>,
    span: Window,
    step_secs: f64,
    kept: Mutex<RecordedSource>,
}

impl Tap {
    /// Puts a tap on a source.
    pub fn new(inner: Arc<dyn Source>, span: Window, step_secs: f64) -> Self {
        let kept = RecordedSource {
            name: inner.name().to_owned(),
            kind: inner.kind().to_owned(),
            has_metrics: inner.metrics().is_some(),
            has_logs: inner.logs().is_some(),
            ..RecordedSource::default()
        };
        Self { inner, span, step_secs, kept: Mutex::new(kept) }
    }

    /// What was kept so far.
    pub fn recorded(&self) -> RecordedSource {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, store: impl FnOnce(&mut RecordedSource)) {
        store(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn within(answer: &Answer<Vec<Series>>, window: Window) -> Answer<Vec<Series>> {
    answer.clone().map(|series| {
        series
            .into_iter()
            .map(|s| Series { samples: s.within(window).to_vec(), labels: s.labels })
            .filter(|s| !s.samples.is_empty())
            .collect()
    })
}

impl Source for Tap {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn kind(&self) -> &str {
        self.inner.kind()
    }
    fn probe(&self) -> BoxFuture<'_, Result<String, SourceError>> {
        self.inner.probe()
    }
    fn alerts(&self) -> Option<&dyn AlertSource> {
        self.inner.alerts().map(|_| self as &dyn AlertSource)
    }
    fn metrics(&self) -> Option<&dyn MetricSource> {
        self.inner.metrics().map(|_| self as &dyn MetricSource)
    }
    fn logs(&self) -> Option<&dyn LogSource> {
        self.inner.logs().map(|_| self as &dyn LogSource)
    }
    fn changes(&self) -> Option<&dyn ChangeSource> {
        self.inner.changes().map(|_| self as &dyn ChangeSource)
    }
}

/// The inner source has the kind of signal whenever the tap was asked for it: `alerts()` and its kin see to that.
macro_rules! inner {
    ($self:ident . $kind:ident) => {
        match $self.inner.$kind() {
            Some(inner) => inner,
            None => return async move { Err(SourceError::new(super::FaultKind::NotFound, "no such signal here")) }.boxed(),
        }
    };
}

impl AlertSource for Tap {
    fn active(&self) -> Asked<'_, Vec<Alert>> {
        let inner = inner!(self.alerts);
        async move {
            let answer = inner.active().await?;
            let query = inner.query();
            self.keep(|k| {
                k.alerts = Some(answer.clone());
                k.alerts_query = query;
            });
            Ok(answer)
        }
        .boxed()
    }
    fn query(&self) -> String {
        self.inner.alerts().map(AlertSource::query).unwrap_or_default()
    }
}

impl ChangeSource for Tap {
    fn query(&self, window: Window) -> String {
        self.inner.changes().map(|c| c.query(window)).unwrap_or_default()
    }
    fn within(&self, window: Window) -> Asked<'_, Vec<ChangeEvent>> {
        let inner = inner!(self.changes);
        async move {
            // An hour more than the span, as it is looked for when it is played.
            let whole = Window::new(window.start.min(self.span.start), self.span.end);
            let answer = inner.within(whole).await?;
            let query = inner.query(whole);
            self.keep(|k| {
                k.changes = Some(answer.clone());
                k.changes_query = query;
            });
            Ok(answer.map(|changes| changes.into_iter().filter(|c| window.contains(c.at)).collect()))
        }
        .boxed()
    }
}

impl MetricSource for Tap {
    fn range<'a>(&'a self, query: &'a str, window: Window, _step_secs: f64) -> Asked<'a, Vec<Series>> {
        let inner = inner!(self.metrics);
        async move {
            let answer = inner.range(query, self.span, self.step_secs).await?;
            self.keep(|k| {
                k.ranges.insert(query.to_owned(), answer.clone());
            });
            Ok(within(&answer, window))
        }
        .boxed()
    }
    fn instant<'a>(&'a self, query: &'a str, at: Timestamp) -> Asked<'a, Vec<Series>> {
        let inner = inner!(self.metrics);
        async move {
            let whole = inner.range(query, self.span, self.step_secs).await?;
            self.keep(|k| {
                k.ranges.insert(query.to_owned(), whole);
            });
            inner.instant(query, at).await
        }
        .boxed()
    }
    fn series<'a>(&'a self, selector: &'a str, _window: Window) -> Asked<'a, Vec<Labels>> {
        let inner = inner!(self.metrics);
        async move {
            let answer = inner.series(selector, self.span).await?;
            self.keep(|k| {
                k.series.insert(selector.to_owned(), answer.clone());
            });
            Ok(answer)
        }
        .boxed()
    }
    fn label_values<'a>(&'a self, label: &'a str, _window: Window) -> Asked<'a, Vec<String>> {
        let inner = inner!(self.metrics);
        async move {
            let answer = inner.label_values(label, self.span).await?;
            self.keep(|k| {
                k.label_values.insert(label.to_owned(), answer.clone());
            });
            Ok(answer)
        }
        .boxed()
    }
    fn rules(&self) -> Asked<'_, Vec<Rule>> {
        let inner = inner!(self.metrics);
        async move {
            let answer = inner.rules().await?;
            self.keep(|k| k.rules = Some(answer.clone()));
            Ok(answer)
        }
        .boxed()
    }
}

impl LogSource for Tap {
    fn query<'a>(&'a self, filter: &'a LogFilter, window: Window) -> BoxFuture<'a, Result<String, SourceError>> {
        let inner = inner!(self.logs);
        async move {
            let query = inner.query(filter, window).await?;
            self.keep(|k| {
                k.log_queries.insert(filter_key(filter), query.clone());
            });
            Ok(query)
        }
        .boxed()
    }
    fn lines<'a>(&'a self, filter: &'a LogFilter, window: Window, limit: usize) -> Asked<'a, Vec<LogLine>> {
        let inner = inner!(self.logs);
        async move {
            let query = LogSource::query(self, filter, window).await?;
            let answer = inner.lines(filter, self.span, MAX_LINES).await?;
            self.keep(|k| {
                k.lines.insert(query, answer.clone());
            });
            Ok(answer.map(|lines| {
                let inside: Vec<LogLine> = lines.into_iter().filter(|l| l.at.is_none_or(|at| window.contains(at))).collect();
                let skip = inside.len().saturating_sub(limit);
                inside.into_iter().skip(skip).collect()
            }))
        }
        .boxed()
    }
    fn counts<'a>(&'a self, filter: &'a LogFilter, window: Window, step_secs: f64) -> Asked<'a, Vec<Series>> {
        let inner = inner!(self.logs);
        async move {
            let query = LogSource::query(self, filter, window).await?;
            let answer = inner.counts(filter, self.span, step_secs).await?;
            self.keep(|k| {
                k.counts.insert(query, answer.clone());
            });
            Ok(within(&answer, window))
        }
        .boxed()
    }
    fn follow<'a>(&'a self, filter: &'a LogFilter, sink: mpsc::Sender<Batch>) -> BoxFuture<'a, Result<(), SourceError>> {
        let inner = inner!(self.logs);
        inner.follow(filter, sink)
    }
}
