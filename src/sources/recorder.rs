//! A wrapper that records the answers of a source.
//!
//! Each query is sent to the source for the whole span of the recording at its finest step. The full answer is stored for
//! the recording; the caller gets only the window it asked for. `recording` owns the file format and playback.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::fault::SourceError;
use super::recording::{RecordedSource, filter_key};
use super::{AlertSource, Answer, AnswerFuture, Batch, ChangeSource, LogFilter, LogSource, MetricSource, Probe, Source};
use crate::telemetry::{Alert, ChangeEvent, Labels, LogLine, Rule, Series, Window};

/// The largest number of log lines stored for one query.
const MAX_LINES: usize = 100_000;

/// A source that is being recorded.
pub struct Recorder {
    inner: Arc<dyn Source>,
    span: Window,
    step_secs: f64,
    recorded: Mutex<RecordedSource>,
}

impl Recorder {
    /// Wraps a source. `span` is the window that every recorded answer covers and `step_secs` the step of its metrics.
    pub fn new(inner: Arc<dyn Source>, span: Window, step_secs: f64) -> Self {
        let recorded = RecordedSource {
            name: inner.name().to_owned(),
            kind: inner.kind().to_owned(),
            has_metrics: inner.metrics().is_some(),
            has_logs: inner.logs().is_some(),
            ..RecordedSource::default()
        };
        Self { inner, span, step_secs, recorded: Mutex::new(recorded) }
    }

    /// A copy of everything recorded so far.
    pub fn recorded(&self) -> RecordedSource {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, store: impl FnOnce(&mut RecordedSource)) {
        store(&mut self.recorded.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The samples within a window; series without any are left out.
fn cut_to_window(answer: &Answer<Vec<Series>>, window: Window) -> Answer<Vec<Series>> {
    answer.clone().map(|series| {
        series
            .into_iter()
            .map(|s| Series { samples: s.within(window).to_vec(), labels: s.labels })
            .filter(|s| !s.samples.is_empty())
            .collect()
    })
}

impl Source for Recorder {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn kind(&self) -> &str {
        self.inner.kind()
    }
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
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

/// The wrapped source's own `alerts()`, `metrics()`, `logs()` or `changes()`; returns an error when it has none. That does
/// not happen, because the recorder offers only the signals that the wrapped source has.
macro_rules! inner {
    ($self:ident . $kind:ident) => {
        match $self.inner.$kind() {
            Some(inner) => inner,
            None => return async move { Err(SourceError::new(super::FaultKind::NotFound, "signal not provided")) }.boxed(),
        }
    };
}

impl AlertSource for Recorder {
    fn active(&self) -> AnswerFuture<'_, Vec<Alert>> {
        let inner = inner!(self.alerts);
        async move {
            let answer = inner.active().await?;
            let query = inner.query();
            self.record(|r| {
                r.alerts = Some(answer.clone());
                r.alerts_query = query;
            });
            Ok(answer)
        }
        .boxed()
    }
    fn query(&self) -> String {
        self.inner.alerts().map(AlertSource::query).unwrap_or_default()
    }
}

impl ChangeSource for Recorder {
    fn query(&self, window: Window) -> String {
        self.inner.changes().map(|c| c.query(window)).unwrap_or_default()
    }
    fn within(&self, window: Window) -> AnswerFuture<'_, Vec<ChangeEvent>> {
        let inner = inner!(self.changes);
        async move {
            // The window may start before the span: an investigation looks for changes further back than for other signals.
            let whole = Window::new(window.start.min(self.span.start), self.span.end);
            let answer = inner.within(whole).await?;
            let query = inner.query(whole);
            self.record(|r| {
                r.changes = Some(answer.clone());
                r.changes_query = query;
            });
            Ok(answer.map(|changes| changes.into_iter().filter(|c| window.contains(c.at)).collect()))
        }
        .boxed()
    }
}

impl MetricSource for Recorder {
    fn range<'a>(&'a self, query: &'a str, window: Window, _step_secs: f64) -> AnswerFuture<'a, Vec<Series>> {
        let inner = inner!(self.metrics);
        async move {
            let answer = inner.range(query, self.span, self.step_secs).await?;
            self.record(|r| {
                r.ranges.insert(query.to_owned(), answer.clone());
            });
            Ok(cut_to_window(&answer, window))
        }
        .boxed()
    }
    fn series<'a>(&'a self, selector: &'a str, _window: Window) -> AnswerFuture<'a, Vec<Labels>> {
        let inner = inner!(self.metrics);
        async move {
            let answer = inner.series(selector, self.span).await?;
            self.record(|r| {
                r.series.insert(selector.to_owned(), answer.clone());
            });
            Ok(answer)
        }
        .boxed()
    }
    fn label_values<'a>(&'a self, label: &'a str, _window: Window) -> AnswerFuture<'a, Vec<String>> {
        let inner = inner!(self.metrics);
        async move {
            let answer = inner.label_values(label, self.span).await?;
            self.record(|r| {
                r.label_values.insert(label.to_owned(), answer.clone());
            });
            Ok(answer)
        }
        .boxed()
    }
    fn rules(&self) -> AnswerFuture<'_, Vec<Rule>> {
        let inner = inner!(self.metrics);
        async move {
            let answer = inner.rules().await?;
            self.record(|r| r.rules = Some(answer.clone()));
            Ok(answer)
        }
        .boxed()
    }
}

impl LogSource for Recorder {
    fn query<'a>(&'a self, filter: &'a LogFilter, window: Window) -> BoxFuture<'a, Result<String, SourceError>> {
        let inner = inner!(self.logs);
        async move {
            let query = inner.query(filter, window).await?;
            self.record(|r| {
                r.log_queries.insert(filter_key(filter), query.clone());
            });
            Ok(query)
        }
        .boxed()
    }
    fn lines<'a>(&'a self, filter: &'a LogFilter, window: Window, limit: usize) -> AnswerFuture<'a, Vec<LogLine>> {
        let inner = inner!(self.logs);
        async move {
            let query = LogSource::query(self, filter, window).await?;
            let answer = inner.lines(filter, self.span, MAX_LINES).await?;
            self.record(|r| {
                r.lines.insert(query, answer.clone());
            });
            Ok(answer.map(|lines| {
                let in_window: Vec<LogLine> = lines.into_iter().filter(|l| l.at.is_none_or(|at| window.contains(at))).collect();
                let skip = in_window.len().saturating_sub(limit);
                in_window.into_iter().skip(skip).collect()
            }))
        }
        .boxed()
    }
    fn follow<'a>(&'a self, filter: &'a LogFilter, sink: mpsc::Sender<Batch>) -> BoxFuture<'a, Result<(), SourceError>> {
        let inner = inner!(self.logs);
        inner.follow(filter, sink)
    }
}
