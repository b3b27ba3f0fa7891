//! Single questions from a screen: a live log, a query, the series behind an alert.

use tokio::sync::mpsc;

use super::desk::Desk;
use crate::analysis::expression::parse_threshold;
use crate::analysis::patterns;
use crate::evidence::Redactor;
use crate::sources::{Batch, LogFilter, SourceError, step_for};
pub use crate::telemetry::series::AlertSeries;
use crate::telemetry::{Alert, LogLine, Series, Timestamp, Window, words};

/// A log line as a line of text.
fn line_text(line: &LogLine) -> String {
    let at = line.at.map_or_else(|| "--:--:--".to_owned(), |t| t.clock(time::UtcOffset::UTC));
    let level = line.level.map_or("", crate::telemetry::Level::word);
    let service = line.service.as_deref().map(|s| format!("{s}: ")).unwrap_or_default();
    format!("  {at} {level:<5} {service}{}\n", line.message.replace('\n', "\n      "))
}

/// Log lines before and after a moment.
const AROUND: std::time::Duration = std::time::Duration::from_secs(60);
/// Lines that one source is asked for, and shown, for a pattern.
const MAX_LINES: usize = 50_000;
pub const MAX_OF_PATTERN: usize = 1000;
/// Lines that one source is asked for then.
const MAX_AROUND: usize = 500;

impl Desk {
    /// The log lines within a minute of a moment, from every log source, as text: a line each with its time, level and service,
    /// redacted. What a source could not tell stands there too.
    pub async fn lines_around(&self, at: Timestamp) -> String {
        let window = Window::new(at - AROUND, at + AROUND);
        let mut out = String::new();
        for source in &self.sources.sources {
            let Some(logs) = source.logs() else { continue };
            match logs.lines(&LogFilter::default(), window, MAX_AROUND).await {
                Ok(answer) => {
                    out.push_str(&format!("{}: {}\n", source.name(), words::count(answer.value.len(), "line")));
                    for gap in &answer.gaps {
                        out.push_str(&format!("({gap})\n"));
                    }
                    for line in &answer.value {
                        out.push_str(&line_text(line));
                    }
                }
                Err(e) => out.push_str(&format!("{}: {e}\n", source.name())),
            }
        }
        if out.is_empty() { "no log source is configured".to_owned() } else { Redactor::new().redact_text(&out).into_owned() }
    }

    /// The lines of a window that a template stands for, from every log source, as text: the newest [`MAX_OF_PATTERN`] of each,
    /// redacted. What a source could not tell stands there too.
    pub async fn lines_of(&self, template: &str, window: Window) -> String {
        let Some(matcher) = patterns::matcher(template) else {
            return "this pattern would take any line; l in the timeline shows the lines of a minute".to_owned();
        };
        let mut out = String::new();
        for source in &self.sources.sources {
            let Some(logs) = source.logs() else { continue };
            match logs.lines(&LogFilter::default(), window, MAX_LINES).await {
                Ok(answer) => {
                    let of_it: Vec<&LogLine> =
                        answer.value.iter().filter(|l| matcher.is_match(l.message.lines().next().unwrap_or(""))).collect();
                    let skipped = of_it.len().saturating_sub(MAX_OF_PATTERN);
                    out.push_str(&format!("{}: {}", source.name(), words::count(of_it.len(), "line")));
                    out.push_str(&if skipped > 0 { format!(", the newest {MAX_OF_PATTERN}\n") } else { "\n".to_owned() });
                    for gap in &answer.gaps {
                        out.push_str(&format!("({gap})\n"));
                    }
                    for line in of_it.iter().skip(skipped) {
                        out.push_str(&line_text(line));
                    }
                }
                Err(e) => out.push_str(&format!("{}: {e}\n", source.name())),
            }
        }
        if out.is_empty() { "no log source is configured".to_owned() } else { Redactor::new().redact_text(&out).into_owned() }
    }

    /// The expression of an alert's rule over a window, only the series that carry the alert's labels; `None` when no
    /// metrics source knows the rule.
    pub async fn alert_series(&self, alert: &Alert, window: Window) -> Result<Option<AlertSeries>, SourceError> {
        for source in &self.sources.sources {
            let Some(metrics) = source.metrics() else { continue };
            let rules = metrics.rules().await?.value;
            let Some(rule) = rules.into_iter().find(|r| r.name == alert.name) else { continue };
            let split = parse_threshold(&rule.query);
            let (query, limit) = split.map_or((rule.query, None), |t| (t.series, Some(t.value)));
            let answer = metrics.range(&query, window, step_for(window)).await?;
            // A label of the alert that was redacted cannot be compared.
            let is_same = |label: &str, value: &String| {
                let of_alert = alert.labels.get(label).filter(|v| !v.contains("<redacted:"));
                label == "__name__" || of_alert.is_none_or(|v| v == value)
            };
            let mine = |s: &Series| s.labels.iter().all(|(k, v)| is_same(k, v));
            let series = answer.value.into_iter().filter(mine).collect();
            return Ok(Some(AlertSeries { query, threshold: limit, series }));
        }
        Ok(None)
    }

    /// Follows every log source until the receiver is gone. Each source has its own task; the set ends them when dropped.
    pub fn follow_logs(&self, sink: &mpsc::Sender<Batch>) -> tokio::task::JoinSet<()> {
        let mut tasks = tokio::task::JoinSet::new();
        for source in self.sources.sources.iter().filter(|s| s.logs().is_some()) {
            let (source, sink) = (std::sync::Arc::clone(source), sink.clone());
            tasks.spawn(async move {
                let filter = LogFilter::default();
                while let Some(logs) = source.logs() {
                    match logs.follow(&filter, sink.clone()).await {
                        Ok(()) => return,
                        Err(error) => tracing::warn!(source = source.name(), %error, "following the log"),
                    }
                    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
                }
            });
        }
        tasks
    }
}
