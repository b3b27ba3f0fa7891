//! A source of logs from Loki's HTTP API (`/loki/api/v1`): labels, log lines page by page, and live lines.
//!
//! Times are in nanoseconds: integers in requests, strings in responses. Errors are plain text. The API has no cursor: the
//! next page ends one nanosecond after the oldest line so far, and lines that were already returned are dropped by stream,
//! time and text. Responses group lines by stream; they are merged by time here.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OnceCell, mpsc};

use super::fault::{FaultKind, SourceError};
use super::http::{Http, Params, Reply, refused, status_kind};
use super::prometheus::clean_labels;
use super::{Answer, AnswerFuture, Batch, FOLLOW_BACKLOG, LogFilter, LogSource, Probe, Source};
use crate::config::SourceConfig;
use crate::telemetry::parse::{self, Context};
use crate::telemetry::{Labels, Level, LogLine, Timestamp, Window, clean};

/// The number of lines per page: Loki's default limit of entries per query.
const PAGE: usize = 5000;
/// The largest number of pages fetched for one query.
const MAX_PAGES: usize = 10;
/// How often new lines are fetched while following.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);
/// The pause after a failed request while following.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// While no line has been received yet, lines may arrive this long after their own timestamp and still be fetched.
const MAX_LATENESS: Duration = Duration::from_mins(1);
/// Words that mark a line as an error; used as a line filter, because a level is not always a label.
const BAD_WORDS: &str = "(?i)(error|exception|panic|fatal|critical|fail|refused|timeout|timed out|exhausted)";
/// The labels that may name the service; the first one that exists is used.
const SERVICE_LABELS: [&str; 4] = ["service_name", "service", "app", "job"];

/// A Loki server.
pub struct Loki {
    name: String,
    http: Http,
    selector: Option<String>,
    service_label: OnceCell<String>,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    status: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct QueryData {
    #[serde(default, rename = "resultType")]
    kind: String,
    #[serde(default)]
    result: Vec<RawStream>,
}

/// A stream of log lines.
#[derive(Deserialize)]
struct RawStream {
    #[serde(default)]
    stream: Labels,
    #[serde(default)]
    values: Vec<Vec<Value>>,
}

/// A log line as received, with the labels of its stream and its structured metadata.
struct RawLine {
    nanos: i64,
    labels: Labels,
    text: String,
}

impl Loki {
    /// Creates the source from its configuration; opens no connection.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        Ok(Self {
            name: config.name.clone(),
            http: Http::new(config)?,
            selector: config.selector.clone(),
            service_label: OnceCell::new(),
        })
    }

    /// The `data` of a GET response. An error when the response does not report success.
    async fn data(&self, path: &str, params: &Params<'_>) -> Result<Value, SourceError> {
        let reply: Reply = self.http.get(path, params).await?;
        if status_kind(reply.status).is_some() {
            return Err(refused(&reply, None));
        }
        let envelope: Envelope = reply.json()?;
        if envelope.status != "success" {
            return Err(SourceError::new(FaultKind::Malformed, "the response does not report success"));
        }
        Ok(envelope.data)
    }

    /// The label that names the service on this server, looked up once; the first label of all when none of the usual ones
    /// exists.
    async fn service_label(&self, window: Window) -> Result<&str, SourceError> {
        self.service_label
            .get_or_try_init(|| async {
                let params = vec![("start", window.start.nanos().to_string()), ("end", window.end.nanos().to_string())];
                let data = self.data("loki/api/v1/labels", &params).await?;
                let labels: Vec<String> = serde_json::from_value(data).unwrap_or_default();
                SERVICE_LABELS
                    .iter()
                    .find(|l| labels.iter().any(|have| have == *l))
                    .map(|l| (*l).to_owned())
                    .or_else(|| labels.first().cloned())
                    .ok_or_else(|| SourceError::new(FaultKind::NotFound, "no log streams found in this window"))
            })
            .await
            .map(String::as_str)
    }

    /// The LogQL query for a filter, within the configured selector.
    async fn logql(&self, filter: &LogFilter, window: Window) -> Result<String, SourceError> {
        if let Some(raw) = &filter.raw {
            return Ok(raw.clone());
        }
        let label = self.service_label(window).await?;
        let matcher = match filter.services.as_slice() {
            [] => format!("{label}=~\".+\""),
            [one] => format!("{label}={one:?}"),
            many => format!("{label}=~{:?}", many.iter().map(|s| regex::escape(s)).collect::<Vec<_>>().join("|")),
        };
        let configured = self.selector.as_deref().map(|s| s.trim().trim_start_matches('{').trim_end_matches('}').trim());
        let selector = match configured {
            Some(own) if !own.is_empty() && filter.services.is_empty() => format!("{{{own}}}"),
            Some(own) if !own.is_empty() => format!("{{{own}, {matcher}}}"),
            _ => format!("{{{matcher}}}"),
        };
        Ok(if filter.bad_only { format!("{selector} |~ {BAD_WORDS:?}") } else { selector })
    }

    /// One page of lines, newest first, from `start` up to but not including `end`.
    async fn page(&self, query: &str, start: i64, end: i64, limit: usize) -> Result<Vec<RawLine>, SourceError> {
        let params = vec![
            ("query", query.to_owned()),
            ("start", start.to_string()),
            ("end", end.to_string()),
            ("limit", limit.to_string()),
            ("direction", "backward".to_owned()),
        ];
        let data = self.data("loki/api/v1/query_range", &params).await?;
        let data: QueryData = serde_json::from_value(data)
            .map_err(|e| SourceError::new(FaultKind::Malformed, format!("the response has an unexpected shape: {e}")))?;
        if data.kind != "streams" {
            return Err(SourceError::new(
                FaultKind::BadQuery,
                "the query returns a metric instead of log lines; remove the aggregation",
            ));
        }
        let mut lines: Vec<RawLine> = data
            .result
            .iter()
            .flat_map(|s| {
                s.values.iter().filter_map(|v| {
                    let nanos = v.first()?.as_str()?.parse().ok()?;
                    let mut labels = s.stream.clone();
                    // The optional third element holds structured metadata, flat or grouped by kind.
                    if let Some(Value::Object(extra)) = v.get(2) {
                        collect_metadata(extra, &mut labels);
                    }
                    Some(RawLine { nanos, labels, text: v.get(1)?.as_str()?.to_owned() })
                })
            })
            .collect();
        lines.sort_by_key(|l| std::cmp::Reverse(l.nanos));
        Ok(lines)
    }

    /// The lines from `from` until `now`, oldest first; without `from`, the last [`READ_BACK`] lines of the last hour.
    async fn lines_since(&self, filter: &LogFilter, from: Option<i64>, now: Timestamp) -> Result<Vec<RawLine>, SourceError> {
        let hour = Window::before(now, Duration::from_hours(1));
        let query = self.logql(filter, hour).await?;
        let (from, limit) = from.map_or((hour.start.nanos(), FOLLOW_BACKLOG), |from| (from, PAGE));
        let mut page = self.page(&query, from, now.nanos(), limit).await?;
        page.reverse();
        Ok(page)
    }

    /// The newest `limit` lines of a window, oldest first, fetched page by page.
    async fn all_lines(&self, query: &str, window: Window, limit: usize) -> Result<Answer<Vec<LogLine>>, SourceError> {
        let (start, mut end) = (window.start.nanos(), window.end.nanos().saturating_add(1));
        let mut seen: HashSet<(i64, String)> = HashSet::new();
        let mut kept: Vec<RawLine> = Vec::new();
        let mut gaps = Vec::new();
        for page_number in 0..MAX_PAGES {
            let page_limit = PAGE.min(limit.saturating_sub(kept.len()).max(1));
            let page = self.page(query, start, end, page_limit).await?;
            let full = page.len() >= page_limit;
            let oldest = page.last().map(|l| l.nanos);
            let before = kept.len();
            for line in page {
                if seen.insert((line.nanos, format!("{:?}{}", line.labels, line.text))) {
                    kept.push(line);
                }
            }
            let Some(oldest) = oldest.filter(|_| full) else { break };
            if kept.len() >= limit || page_number + 1 == MAX_PAGES {
                gaps.push(format!("only the newest {} lines of the window are included; there are more", kept.len().min(limit)));
                break;
            }
            if kept.len() == before {
                gaps.push(format!("more than {page_limit} lines have the same timestamp; older lines cannot be fetched"));
                break;
            }
            end = oldest.saturating_add(1);
        }
        kept.truncate(limit);
        kept.reverse();
        let context = Context::utc(window.end);
        Ok(Answer { value: kept.into_iter().map(|l| line(l, context)).collect(), gaps, failed: Vec::new(), total: None })
    }
}

/// Adds structured metadata to the labels.
fn collect_metadata(extra: &serde_json::Map<String, Value>, labels: &mut Labels) {
    for (key, value) in extra {
        match value {
            Value::String(text) => {
                labels.insert(key.clone(), text.clone());
            }
            Value::Object(inner) if matches!(key.as_str(), "structuredMetadata" | "parsed") => collect_metadata(inner, labels),
            _ => {}
        }
    }
}

/// Parses a line; the labels become fields, and the time from Loki overrides the time in the text.
fn line(raw: RawLine, context: Context) -> LogLine {
    let mut line = parse::line(&raw.text, context);
    line.at = Some(Timestamp::from_nanos(raw.nanos));
    let labels = clean_labels(&raw.labels);
    line.level = line.level.or_else(|| {
        ["level", "detected_level", "severity"].iter().find_map(|k| labels.get(*k)).and_then(|w| Level::from_word(w))
    });
    let from_labels = SERVICE_LABELS.iter().find_map(|k| labels.get(*k)).cloned();
    line.service = from_labels.or(line.service);
    for (key, value) in labels {
        line.fields.entry(key).or_insert(value);
    }
    line
}

impl Source for Loki {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &'static str {
        "loki"
    }
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
        async move {
            let reply = self.http.get("loki/api/v1/status/buildinfo", &Vec::new()).await?;
            if status_kind(reply.status).is_some() {
                return Err(refused(&reply, None));
            }
            let info: Value = reply.json()?;
            Ok(Probe::ok(clean::line(&format!("version {}", info.get("version").and_then(Value::as_str).unwrap_or("unknown")))))
        }
        .boxed()
    }
    fn logs(&self) -> Option<&dyn LogSource> {
        Some(self)
    }
}

impl LogSource for Loki {
    fn query<'a>(&'a self, filter: &'a LogFilter, window: Window) -> BoxFuture<'a, Result<String, SourceError>> {
        self.logql(filter, window).boxed()
    }

    fn lines<'a>(&'a self, filter: &'a LogFilter, window: Window, limit: usize) -> AnswerFuture<'a, Vec<LogLine>> {
        async move {
            let query = self.logql(filter, window).await?;
            self.all_lines(&query, window, limit).await
        }
        .boxed()
    }

    fn follow<'a>(&'a self, filter: &'a LogFilter, sink: mpsc::Sender<Batch>) -> BoxFuture<'a, Result<(), SourceError>> {
        async move {
            // The start of the next request; `None` before the first response, which has the most recent lines.
            let mut next_start: Option<i64> = None;
            let mut dropped = 0_u64;
            while !sink.is_closed() {
                let now = Timestamp::from(time::OffsetDateTime::now_utc());
                let (page, wait) = match self.lines_since(filter, next_start, now).await {
                    Ok(page) => (page, FOLLOW_EVERY),
                    // The next request starts at the same time, so no line is missed or sent twice.
                    Err(error) if next_start.is_some() => {
                        tracing::warn!(source = self.name, %error, "cannot fetch new log lines, will retry");
                        (Vec::new(), RETRY_AFTER)
                    }
                    Err(error) => return Err(error),
                };
                let is_past = next_start.is_none();
                let newest = page.last().map(|l| l.nanos.saturating_add(1));
                // Without any line so far, allow for lines that arrive late.
                next_start = newest.or(next_start).or(Some((now - MAX_LATENESS).nanos()));
                if !page.is_empty() {
                    let context = Context::utc(now);
                    let lines: Vec<LogLine> = page.into_iter().map(|l| line(l, context)).collect();
                    let count = u64::try_from(lines.len()).unwrap_or(0);
                    match sink.try_send(Batch { lines, dropped, is_backlog: is_past }) {
                        Ok(()) => dropped = 0,
                        Err(_full) => dropped += count,
                    }
                }
                tokio::time::sleep(wait).await;
            }
            Ok(())
        }
        .boxed()
    }
}
