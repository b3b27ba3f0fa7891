//! Queries for single views: live logs, the log lines around a time or of a pattern, and the series behind an alert. Writes
//! nothing to the journal.

use tokio::sync::mpsc;

use super::desk::Desk;
use crate::analysis::expression::parse_threshold;
use crate::analysis::patterns;
use crate::evidence::Redactor;
use crate::sources::{Batch, LogFilter, SourceError, step_for};
pub use crate::telemetry::series::AlertSeries;
use crate::telemetry::{Alert, LogLine, Series, Window, words};

/// The most lines of one time that are shown, from each source; the newest are kept.
const MAX_SHOWN: usize = 2500;

/// Log lines of every source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundLines {
    /// Oldest first, redacted.
    pub lines: Vec<LogLine>,
    /// The number of lines that were looked through.
    pub searched: usize,
    /// What could not be read, and why.
    pub gaps: Vec<String>,
    /// Whether there were more lines in the window than are shown or were read.
    pub is_cut: bool,
}

impl Desk {
    /// The log lines of a window that `accept` accepts, from every log source, oldest first and redacted. At most the newest 2500 of
    /// each source. With `is_search`, as many lines are looked through as a source can deliver; without it, no more than are shown.
    /// The errors of sources that failed are among the gaps. Without a log source, nothing.
    pub async fn read_lines(&self, window: Window, is_search: bool, accept: impl Fn(&LogLine) -> bool) -> FoundLines {
        let sources = self.sources.sources.iter().filter(|s| s.logs().is_some());
        let answers = futures_util::future::join_all(sources.map(|source| async move {
            let Some(logs) = source.logs() else { return (source.name(), None) };
            let limit = if is_search { logs.max_lines() } else { MAX_SHOWN };
            (source.name(), Some(logs.lines(&LogFilter::default(), window, limit).await))
        }));
        let mut found = FoundLines::default();
        let mut last_of_source = Vec::new();
        for (name, answer) in answers.await {
            match answer {
                None => {}
                Some(Err(error)) => found.gaps.push(format!("{name}: {error}")),
                Some(Ok(answer)) => {
                    found.searched += answer.value.len();
                    found.is_cut |=
                        !answer.unread.is_empty() || answer.total.is_some_and(|total| total > answer.value.len() as u64);
                    found.gaps.extend(answer.gaps.into_iter().map(|gap| format!("{name}: {gap}")));
                    let lines: Vec<LogLine> = answer.value.into_iter().filter(&accept).collect();
                    let skipped = lines.len().saturating_sub(MAX_SHOWN);
                    if skipped > 0 {
                        found
                            .gaps
                            .push(format!("{name}: the newest {MAX_SHOWN} of {} are shown", words::count(lines.len(), "line")));
                    }
                    // A line without a time stays after the one before it.
                    let mut last = window.start;
                    last_of_source.extend(lines.into_iter().skip(skipped).map(|line| {
                        last = line.at.unwrap_or(last);
                        (last, line)
                    }));
                }
            }
        }
        last_of_source.sort_by_key(|(at, _)| *at);
        let mut redactor = Redactor::new();
        found.lines = last_of_source.into_iter().map(|(_, line)| redacted(&mut redactor, line)).collect();
        found
    }

    /// The matcher of a pattern; `None` if the pattern matches every line.
    pub fn matches_pattern(template: &str) -> Option<impl Fn(&LogLine) -> bool> {
        let matcher = patterns::matcher(template)?;
        Some(move |line: &LogLine| matcher.is_match(line.message.lines().next().unwrap_or("")))
    }

    /// Evaluates the expression of an alert's rule over a window, and returns the series that have the labels of the alert.
    /// `None` if no metrics source has a rule with that name.
    pub async fn alert_series(&self, alert: &Alert, window: Window) -> Result<Option<AlertSeries>, SourceError> {
        for source in &self.sources.sources {
            let Some(metrics) = source.metrics() else { continue };
            let rules = metrics.rules().await?.value;
            let Some(rule) = rules.into_iter().find(|r| r.name == alert.name) else { continue };
            let split = parse_threshold(&rule.query);
            let (query, threshold) = split.map_or((rule.query, None), |t| (t.series, Some(t.value)));
            let answer = metrics.range(&query, window, step_for(window)).await?;
            // A redacted label of the alert cannot be compared.
            let label_matches = |label: &str, value: &String| {
                let expected = alert.labels.get(label).filter(|v| !v.contains("<redacted:"));
                label == "__name__" || expected.is_none_or(|v| v == value)
            };
            let has_alert_labels = |s: &Series| s.labels.iter().all(|(k, v)| label_matches(k, v));
            let series = answer.value.into_iter().filter(has_alert_labels).collect();
            return Ok(Some(AlertSeries { query, threshold, series }));
        }
        Ok(None)
    }

    /// Follows every log source until the receiver is closed. Each source has its own task, and retries 10 s after an error.
    /// Dropping the set stops them.
    pub fn follow_logs(&self, sink: &mpsc::Sender<Batch>) -> tokio::task::JoinSet<()> {
        let mut tasks = tokio::task::JoinSet::new();
        for source in self.sources.sources.iter().filter(|s| s.logs().is_some()) {
            let (source, sink) = (std::sync::Arc::clone(source), sink.clone());
            tasks.spawn(async move {
                let filter = LogFilter::default();
                while let Some(logs) = source.logs() {
                    match logs.follow(&filter, sink.clone()).await {
                        Ok(()) => return,
                        Err(error) => tracing::warn!(source = source.name(), %error, "cannot follow the log"),
                    }
                    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
                }
            });
        }
        tasks
    }
}

/// A line without secrets and personal data.
fn redacted(redactor: &mut Redactor, mut line: LogLine) -> LogLine {
    if let std::borrow::Cow::Owned(text) = redactor.redact_text(&line.message) {
        line.message = text;
    }
    for value in line.fields.values_mut() {
        if let std::borrow::Cow::Owned(text) = redactor.redact_text(value) {
            *value = text;
        }
    }
    line
}
