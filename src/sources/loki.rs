//! A source of logs from Loki's HTTP API (`/loki/api/v1`): labels, log lines page by page, and live lines.
//!
//! Times are in nanoseconds: integers in requests, strings in responses. Errors are plain text. The API has no cursor: the
//! next page ends one nanosecond after the oldest line so far, and lines that were already returned are dropped by stream,
//! time and text. Responses group lines by stream; they are merged by time here.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OnceCell, mpsc};

use super::fault::{FaultKind, SourceError};
use super::http::{Http, Params, Reply, refused, status_kind};
use super::lenient::{self, or_default};
use super::prometheus::clean_labels;
use super::{Answer, AnswerFuture, Batch, FOLLOW_BACKLOG, LogFilter, LogSource, Probe, Source};
use crate::config::SourceConfig;
use crate::telemetry::parse::layout::Layout;
use crate::telemetry::parse::{self, Context, Formats};
use crate::telemetry::subject::{SERVICE_LABELS, service_of};
use crate::telemetry::{Labels, Level, LogLine, Timestamp, Window, clean};

/// The number of lines per page: Loki's default limit of entries per query.
const PAGE: usize = 5000;
/// The smallest page that is asked for.
const MIN_PAGE: usize = 100;
/// The largest number of requests for the lines of one query.
const MAX_REQUESTS: usize = 40;
/// The parts of a window whose pages are fetched at the same time; more would wait for a free connection to the host.
const PARTS: u32 = 4;
/// The number of lines from which the header formats are learned.
const LAYOUT_LINES: usize = 1000;
/// How often new lines are fetched while following.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);
/// The pause after a failed request while following.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// While no line has been received yet, lines may arrive this long after their own timestamp and still be fetched.
const MAX_LATENESS: Duration = Duration::from_mins(1);
/// Labels of a stream that may hold its level.
const LEVEL_LABELS: [&str; 4] = ["level", "severity", "log_level", "loglevel"];
/// The level that Loki 3 finds in a line by itself, as structured metadata.
const DETECTED_LEVEL: &str = "detected_level";
/// Levels of errors, and of other lines, in regular expressions for matchers, which match the whole value.
const BAD_LEVELS: &str = "(?i)(e|err|error|severe|fail|failure|f|fatal|crit|critical|alert|emerg|emergency|panic)";
const ANY_LEVEL: &str = "(?i)(t|trace|d|debug|i|info|information|informational|notice|w|warn|warning|e|err|error|severe|fail|failure|f|fatal|crit|critical|alert|emerg|emergency|panic)";
/// Words that mark a line without a level as an error.
const BAD_WORDS: &str = "(?i)(error|exception|panic|fatal|critical|fail|refused|timeout|timed out|exhausted)";

/// A Loki server.
pub struct Loki {
    name: String,
    http: Http,
    selector: Option<String>,
    formats: Formats,
    labels: OnceCell<StreamLabels>,
    limits: Mutex<Limits>,
}

/// The labels of this server's streams that name the service and the level.
struct StreamLabels {
    service: String,
    level: Option<String>,
}

/// What the server allows in one query, as far as it has said. The limits are settings of the server or of the tenant, which it names
/// when it refuses a query (`max_entries_limit_per_query`, `max_query_length`).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limits {
    lines: usize,
    /// The longest time range of a query.
    range: Option<Duration>,
}

impl Limits {
    /// Learns from the text of a refusal, if it names a limit that is lower than the known one.
    fn learn(&mut self, refusal: &str) {
        // "max entries limit per query exceeded, limit > max_entries_limit_per_query (5000 > 500)"
        if refusal.contains("max entries limit")
            && let Some(lines) = refusal.rsplit_once('>').and_then(|(_, rest)| leading_number(rest))
            && (1..self.lines).contains(&lines)
        {
            self.lines = lines;
        }
        // "the query time range exceeds the limit (query length: 2h0m0s, limit: 30m)"
        if let Some((_, rest)) = refusal.rsplit_once("limit: ").filter(|_| refusal.contains("time range exceeds"))
            && let Some(range) = go_duration(rest.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()))
            && self.range.is_none_or(|known| range < known)
        {
            self.range = Some(range);
        }
    }
}

fn leading_number(text: &str) -> Option<usize> {
    let text = text.trim_start();
    text.get(..text.bytes().take_while(u8::is_ascii_digit).count())?.parse().ok()
}

/// A duration as Go and Prometheus print it: `30m`, `2h0m0s`, `30d1h`. `None` for zero.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters)?;
        let secs = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "y" => 31_536_000.0,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number.parse::<f64>().ok()? * secs).ok()?;
        rest = after;
    }
    Some(total).filter(|t| !t.is_zero())
}

/// The lines of one part of a window that have been read so far: the newest.
struct Part {
    start: i64,
    /// The end of the time that has not been read; the start once all of it has been.
    unread_until: i64,
    /// Newest first.
    lines: Vec<RawLine>,
    seen: HashSet<(i64, String)>,
    /// Whether more lines have one timestamp than fit in one answer, so that older ones cannot be read.
    is_stuck: bool,
    requests: usize,
}

impl Part {
    fn new(start: i64, end: i64) -> Self {
        Self { start, unread_until: end, lines: Vec::new(), seen: HashSet::new(), is_stuck: false, requests: 0 }
    }

    fn is_complete(&self) -> bool {
        self.unread_until <= self.start
    }
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
    #[serde(default, deserialize_with = "or_default")]
    result: Vec<RawStream>,
}

/// A stream of log lines.
#[derive(Deserialize)]
struct RawStream {
    #[serde(default, deserialize_with = "lenient::labels")]
    stream: Labels,
    #[serde(default, deserialize_with = "or_default")]
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
            formats: config.log_formats.clone(),
            labels: OnceCell::new(),
            limits: Mutex::new(Limits { lines: PAGE, range: None }),
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

    /// The labels of the streams, looked up once. The service is in the first label of all when none of the usual ones exists.
    async fn labels(&self, window: Window) -> Result<&StreamLabels, SourceError> {
        self.labels
            .get_or_try_init(|| async {
                let params = vec![("start", window.start.nanos().to_string()), ("end", window.end.nanos().to_string())];
                let data = self.data("loki/api/v1/labels", &params).await?;
                let labels: Vec<String> = serde_json::from_value(data).unwrap_or_default();
                let first_of =
                    |names: &[&str]| names.iter().find(|l| labels.iter().any(|have| have == *l)).map(|l| (*l).to_owned());
                let service = first_of(&SERVICE_LABELS).or_else(|| labels.first().cloned());
                let missing = || SourceError::new(FaultKind::NotFound, "no log streams found in this window");
                Ok(StreamLabels { service: service.ok_or_else(missing)?, level: first_of(&LEVEL_LABELS) })
            })
            .await
    }

    /// The LogQL queries for a filter, within the configured selector: the lines are those of all of them, each in one only.
    ///
    /// Error lines are those whose level says so, and those without a level that have a word for an error. If streams have
    /// the level as a label, the server reads only those streams.
    async fn queries(&self, filter: &LogFilter, window: Window) -> Result<Vec<String>, SourceError> {
        if let Some(raw) = &filter.raw {
            return Ok(vec![raw.clone()]);
        }
        let labels = self.labels(window).await?;
        let label = &labels.service;
        let matcher = match filter.services.as_slice() {
            [] => format!("{label}=~\".+\""),
            [one] => format!("{label}={one:?}"),
            many => format!("{label}=~{:?}", many.iter().map(|s| regex::escape(s)).collect::<Vec<_>>().join("|")),
        };
        let configured = self.selector.as_deref().map(|s| s.trim().trim_start_matches('{').trim_end_matches('}').trim());
        let selector = match configured {
            Some(own) if !own.is_empty() && filter.services.is_empty() => own.to_owned(),
            Some(own) if !own.is_empty() => format!("{own}, {matcher}"),
            _ => matcher,
        };
        Ok(match &labels.level {
            _ if !filter.bad_only => vec![format!("{{{selector}}}")],
            Some(level) => vec![
                format!("{{{selector}, {level}=~{BAD_LEVELS:?}}}"),
                format!("{{{selector}, {level}!~{ANY_LEVEL:?}}} |~ {BAD_WORDS:?}"),
            ],
            None => vec![
                format!("{{{selector}}} | {DETECTED_LEVEL}=~{BAD_LEVELS:?}"),
                format!("{{{selector}}} |~ {BAD_WORDS:?} | {DETECTED_LEVEL}!~{ANY_LEVEL:?}"),
            ],
        })
    }

    fn limits(&self) -> Limits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One page of lines, newest first, up to but not including `end`, within the limits of the server. Also returns whether the page is
    /// full, and the start of the time that it covers, which is not before `start`.
    async fn page(&self, query: &str, start: i64, end: i64, limit: usize) -> Result<(Vec<RawLine>, bool, i64), SourceError> {
        loop {
            let allowed = self.limits();
            let range = allowed.range.map_or(i64::MAX, |r| i64::try_from(r.as_nanos()).unwrap_or(i64::MAX));
            let (from, limit) = (start.max(end.saturating_sub(range)), limit.min(allowed.lines));
            match self.ask(query, from, end, limit).await {
                Ok(lines) => return Ok((lines.0, lines.1 >= limit, from)),
                // Another request may have learned the limit first. Each refusal lowers one, so this ends.
                Err(e) => {
                    self.limits.lock().unwrap_or_else(PoisonError::into_inner).learn(&e.message);
                    if self.limits() == allowed {
                        return Err(e);
                    }
                }
            }
        }
    }

    /// The lines of one request, newest first, and how many the server returned.
    async fn ask(&self, query: &str, start: i64, end: i64, limit: usize) -> Result<(Vec<RawLine>, usize), SourceError> {
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
        let returned = data.result.iter().map(|s| s.values.len()).sum();
        Ok((lines, returned))
    }

    /// The lines from `from` until `now`, oldest first; without `from`, the last [`READ_BACK`] lines of the last hour.
    async fn lines_since(&self, filter: &LogFilter, from: Option<i64>, now: Timestamp) -> Result<Vec<RawLine>, SourceError> {
        let hour = Window::before(now, Duration::from_hours(1));
        let queries = self.queries(filter, hour).await?;
        let (from, limit) = from.map_or((hour.start.nanos(), FOLLOW_BACKLOG), |from| (from, PAGE));
        let pages = try_join_all(queries.iter().map(|query| self.page(query, from, now.nanos(), limit))).await?;
        let mut lines: Vec<RawLine> = pages.into_iter().flat_map(|(page, ..)| page.into_iter().rev()).collect();
        lines.sort_by_key(|l| l.nanos);
        Ok(lines)
    }

    /// At most `limit` lines of a window, oldest first. The parts of a window are read at the same time, each page by page from its end. Each
    /// has an equal share of the limit, so that a flood at the end does not displace the beginning; what quiet parts leave goes to the others.
    async fn all_lines(&self, query: &str, window: Window, limit: usize) -> Result<Answer<Vec<LogLine>>, SourceError> {
        let count = if limit > PAGE { PARTS } else { 1 };
        let length = window.length() / count;
        let end_of = |n: u32| {
            if n + 1 == count { window.end.nanos().saturating_add(1) } else { (window.start + length * (n + 1)).nanos() }
        };
        let mut parts: Vec<Part> = (0..count).map(|n| Part::new((window.start + length * n).nanos(), end_of(n))).collect();
        let mut left = limit;
        loop {
            let mut open: Vec<&mut Part> = parts
                .iter_mut()
                .filter(|p| !p.is_complete() && !p.is_stuck && p.requests < MAX_REQUESTS / count as usize)
                .collect();
            if open.is_empty() || left == 0 {
                break;
            }
            let share = left.div_ceil(open.len());
            let before: usize = open.iter().map(|p| p.lines.len()).sum();
            try_join_all(open.iter_mut().map(|part| self.read_more(query, part, share))).await?;
            left = left.saturating_sub(open.iter().map(|p| p.lines.len()).sum::<usize>() - before);
        }
        let (mut gaps, mut all_unread) = (Vec::new(), Vec::new());
        let mut lines: Vec<RawLine> = Vec::new();
        for part in parts {
            if !part.is_complete() {
                let unread = Window::new(Timestamp::from_nanos(part.start), Timestamp::from_nanos(part.unread_until));
                all_unread.push(unread);
                let why = if part.is_stuck { ": more lines have the same timestamp than fit in one answer" } else { "" };
                gaps.push(format!("the lines of {} were not read{why}", unread.label()));
            }
            lines.extend(part.lines.into_iter().rev());
        }
        let surplus = lines.len().saturating_sub(limit);
        lines.drain(..surplus);
        let mut total = u64::try_from(lines.len()).ok();
        if !gaps.is_empty() {
            total = self.count_lines(query, window).await;
            gaps.extend(total.map(|total| format!("{} of {total} lines were read", lines.len())));
        }
        let context = Context::utc(window.end);
        let mut layout = Layout::with_formats(self.formats.clone());
        layout.learn_more(lines.iter().take(LAYOUT_LINES).map(|l| l.text.as_str()), context);
        Ok(Answer {
            value: lines.into_iter().map(|l| line(l, &layout, context)).collect(),
            gaps,
            failed: Vec::new(),
            total,
            unread: all_unread,
        })
    }

    /// Reads at most `share` more lines of a part, page by page.
    async fn read_more(&self, query: &str, part: &mut Part, share: usize) -> Result<(), SourceError> {
        let most = part.lines.len() + share;
        while !part.is_complete() && part.lines.len() < most && part.requests < MAX_REQUESTS {
            part.requests += 1;
            // A page repeats the lines of the last nanosecond, so it has to hold more than those.
            let wanted = (most - part.lines.len()).clamp(MIN_PAGE, PAGE);
            let (page, is_full, from) = self.page(query, part.start, part.unread_until, wanted).await?;
            let oldest = page.last().map(|l| l.nanos);
            let before = part.lines.len();
            for line in page {
                if part.seen.insert((line.nanos, format!("{:?}{}", line.labels, line.text))) {
                    part.lines.push(line);
                }
            }
            part.unread_until = match oldest.filter(|_| is_full) {
                // A full page may have split the lines of one nanosecond, so it is asked for again.
                Some(oldest) => oldest.saturating_add(1),
                None => from,
            };
            if is_full && part.lines.len() == before {
                part.is_stuck = true;
                break;
            }
        }
        Ok(())
    }

    /// The number of lines of a query in a window; `None` if the server does not say.
    async fn count_lines(&self, query: &str, window: Window) -> Option<u64> {
        let range = window.length().as_secs().max(1);
        let params =
            vec![("query", format!("sum(count_over_time({query} [{range}s]))")), ("time", window.end.nanos().to_string())];
        let data = self.data("loki/api/v1/query", &params).await.ok()?;
        data.pointer("/result/0/value/1")?.as_str()?.parse().ok()
    }
}

/// The newest `limit` lines of several answers, oldest first.
fn merge(answers: Vec<Answer<Vec<LogLine>>>, limit: usize) -> Answer<Vec<LogLine>> {
    let mut answers = answers.into_iter();
    let Some(mut merged) = answers.next() else { return Answer::complete(Vec::new()) };
    for answer in answers {
        merged.value.extend(answer.value);
        merged.gaps.extend(answer.gaps);
        merged.failed.extend(answer.failed);
        merged.unread.extend(answer.unread);
        merged.total = merged.total.zip(answer.total).map(|(a, b)| a + b);
    }
    merged.value.sort_by_key(|l| l.at);
    let surplus = merged.value.len().saturating_sub(limit);
    merged.value.drain(..surplus);
    merged
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
fn line(raw: RawLine, layout: &Layout, context: Context) -> LogLine {
    let mut line = parse::line_of(&raw.text, layout, context);
    line.at = Some(Timestamp::from_nanos(raw.nanos));
    let labels = clean_labels(&raw.labels);
    line.level = line
        .level
        .or_else(|| LEVEL_LABELS.iter().chain([&DETECTED_LEVEL]).find_map(|k| labels.get(*k)).and_then(|w| Level::from_word(w)));
    let from_labels = service_of(&labels).map(str::to_owned);
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
        async move { Ok(self.queries(filter, window).await?.join("; ")) }.boxed()
    }

    fn lines<'a>(&'a self, filter: &'a LogFilter, window: Window, limit: usize) -> AnswerFuture<'a, Vec<LogLine>> {
        async move {
            let queries = self.queries(filter, window).await?;
            let answers = try_join_all(queries.iter().map(|query| self.all_lines(query, window, limit))).await?;
            Ok(merge(answers, limit))
        }
        .boxed()
    }

    fn known_services<'a>(&'a self, services: &'a [String], window: Window) -> BoxFuture<'a, Vec<String>> {
        async move {
            let Ok(StreamLabels { service: label, .. }) = self.labels(window).await else { return Vec::new() };
            let params = vec![("start", window.start.nanos().to_string()), ("end", window.end.nanos().to_string())];
            let Ok(data) = self.data(&format!("loki/api/v1/label/{label}/values"), &params).await else { return Vec::new() };
            let values: Vec<String> = serde_json::from_value(data).unwrap_or_default();
            services.iter().filter(|s| values.contains(s)).cloned().collect()
        }
        .boxed()
    }

    fn follow<'a>(&'a self, filter: &'a LogFilter, sink: mpsc::Sender<Batch>) -> BoxFuture<'a, Result<(), SourceError>> {
        async move {
            // The start of the next request; `None` before the first response, which has the most recent lines.
            let mut next_start: Option<i64> = None;
            let mut dropped = 0_u64;
            let mut layout = Layout::with_formats(self.formats.clone());
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
                    layout.learn_more(page.iter().take(LAYOUT_LINES).map(|l| l.text.as_str()), context);
                    let lines: Vec<LogLine> = page.into_iter().map(|l| line(l, &layout, context)).collect();
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
