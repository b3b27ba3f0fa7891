//! Queries for single views: live logs, the log lines around a time or of a pattern, and the series behind an alert. Writes
//! nothing to the journal.

use tokio::sync::mpsc;

use super::desk::Desk;
use crate::analysis::expression::parse_threshold;
use crate::analysis::patterns;
use crate::evidence::Redactor;
use crate::sources::{Batch, LogFilter, SourceError, step_for};
pub use crate::telemetry::series::AlertSeries;
use crate::telemetry::{Alert, LogLine, Series, Timestamp, Window, words};

/// Formats a log line as text, indented.
fn format_line(line: &LogLine) -> String {
    let at = line.at.map_or_else(|| "--:--:--".to_owned(), |t| t.clock(time::UtcOffset::UTC));
    let level = line.level.map_or("", crate::telemetry::Level::word);
    let service = line.service.as_deref().map(|s| format!("{s}: ")).unwrap_or_default();
    format!("  {at} {level:<5} {service}{}\n", line.message.replace('\n', "\n      "))
}

/// How far before and after a time log lines are shown.
const CONTEXT_SPAN: std::time::Duration = std::time::Duration::from_mins(1);
/// The number of lines that are read from each source to find those of a pattern.
const MAX_LINES: usize = 50_000;
/// The number of lines of a pattern that are shown for each source; the newest are kept.
const MAX_PATTERN_LINES: usize = 1000;
/// The number of lines around a time that are read from each source.
const MAX_CONTEXT_LINES: usize = 500;

impl Desk {
    /// The log lines from one minute before to one minute after a time, from every log source, as redacted text. Each line has
    /// its time, level and service. Includes data gaps and the errors of sources that failed.
    pub async fn log_context(&self, at: Timestamp) -> String {
        let window = Window::new(at - CONTEXT_SPAN, at + CONTEXT_SPAN);
        let mut out = String::new();
        for source in &self.sources.sources {
            let Some(logs) = source.logs() else { continue };
            match logs.lines(&LogFilter::default(), window, MAX_CONTEXT_LINES).await {
                Ok(answer) => {
                    out.push_str(&format!("{}: {}\n", source.name(), words::count(answer.value.len(), "line")));
                    for gap in &answer.gaps {
                        out.push_str(&format!("({gap})\n"));
                    }
                    for line in &answer.value {
                        out.push_str(&format_line(line));
                    }
                }
                Err(e) => out.push_str(&format!("{}: {e}\n", source.name())),
            }
        }
        if out.is_empty() { "No log source is configured.".to_owned() } else { Redactor::new().redact_text(&out).into_owned() }
    }

    /// The log lines in a window that match a template, from every log source, as redacted text. At most the newest 1000 lines
    /// of each source. Includes data gaps and the errors of sources that failed.
    pub async fn lines_matching(&self, template: &str, window: Window) -> String {
        let Some(matcher) = patterns::matcher(template) else {
            return "This pattern matches every line. Open the logs around an entry of the timeline instead.".to_owned();
        };
        let mut out = String::new();
        for source in &self.sources.sources {
            let Some(logs) = source.logs() else { continue };
            match logs.lines(&LogFilter::default(), window, MAX_LINES).await {
                Ok(answer) => {
                    let matching: Vec<&LogLine> =
                        answer.value.iter().filter(|l| matcher.is_match(l.message.lines().next().unwrap_or(""))).collect();
                    let skipped = matching.len().saturating_sub(MAX_PATTERN_LINES);
                    out.push_str(&format!("{}: {}", source.name(), words::count(matching.len(), "line")));
                    out.push_str(&if skipped > 0 { format!(", newest {MAX_PATTERN_LINES} shown\n") } else { "\n".to_owned() });
                    for gap in &answer.gaps {
                        out.push_str(&format!("({gap})\n"));
                    }
                    for line in matching.iter().skip(skipped) {
                        out.push_str(&format_line(line));
                    }
                }
                Err(e) => out.push_str(&format!("{}: {e}\n", source.name())),
            }
        }
        if out.is_empty() { "No log source is configured.".to_owned() } else { Redactor::new().redact_text(&out).into_owned() }
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
