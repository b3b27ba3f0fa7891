//! Runs the blocks of a step: queries, requests and scripts, and checks what must hold afterwards.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::PreparedBlock;
use crate::config::TlsConfig;
use crate::evidence::{Body, Draft, Redactor};
use crate::incident::{BlockResult, EvidenceKind, Incident};
use crate::investigate::clock::now;
use crate::investigate::desk::{Desk, Progress};
use crate::investigate::script::{self, Ending};
use crate::playbook::{BlockKind, Check, Condition};
use crate::sources::{LogFilter, SourceError, http::client_builder, step_for};
use crate::telemetry::series::human_value;
use crate::telemetry::words::count;
use crate::telemetry::{Failure, Series, Timestamp, Window, clean, time};

/// How long and how often what must hold after a script is checked before it counts as not holding.
const CHECK_FOR: Duration = Duration::from_mins(1);
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How far back a check looks for the newest value of its query.
const CHECK_WINDOW: Duration = Duration::from_mins(5);
/// Log lines that a block reads.
const MAX_LINES: usize = 500;
/// How much of a response is kept, in bytes.
const MAX_RESPONSE: usize = 64 * 1024;
/// Why a block that was stopped has no result.
const STOPPED: &str = "stopped by hand";

/// The result of one block before it is recorded.
pub(super) struct Ran {
    pub result: BlockResult,
    pub output: String,
    pub draft: Option<Draft>,
    pub is_ok: bool,
    /// When the block itself ended, before its check.
    pub ended_at: Timestamp,
    /// Whether the condition of its `goto` holds.
    pub goes: bool,
}

impl Desk {
    /// Runs one block, until it is done or stopped.
    pub(super) async fn run_block(
        &self,
        incident: &Incident,
        prepared: &PreparedBlock,
        show: &Progress,
        stop: &CancellationToken,
    ) -> Ran {
        let began = Instant::now();
        let mut ran = match prepared.block.kind {
            // It ends its processes itself.
            BlockKind::Sh => self.run_script(prepared, show, stop).await,
            kind => {
                let read = async {
                    match kind {
                        BlockKind::Promql => self.run_promql(incident, prepared).await,
                        BlockKind::Logql => self.run_logql(incident, prepared).await,
                        BlockKind::Http | BlockKind::Sh => run_http(prepared).await,
                    }
                };
                stop.run_until_cancelled(read).await.unwrap_or_else(|| failed(STOPPED.to_owned()))
            }
        };
        ran.ended_at = now();
        // What is about another query is checked last, because it needs time to take effect.
        if let (true, Some(Check::Query { expression, condition })) = (ran.is_ok, &prepared.verify) {
            if prepared.block.changes() {
                let most = time::human_duration(CHECK_FOR);
                show(format!("Checking for up to {most} that {expression} is {condition} …\n"));
            }
            let checked = self.check_until(expression, *condition, prepared.block.changes());
            let checked = stop.run_until_cancelled(checked).await;
            let (verified, text) = checked.unwrap_or_else(|| (None, format!("not verified: {STOPPED}")));
            ran.result.verified = verified;
            ran.result.summary = format!("{}; {text}", ran.result.summary);
        }
        prepared.block.kind.word().clone_into(&mut ran.result.kind);
        ran.result.text.clone_from(&prepared.text);
        ran.result.secs = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        ran
    }

    /// The answer of the first metrics source that has one, and its name.
    async fn query(&self, query: &str, window: Window, timeout: Duration) -> Result<(String, Vec<Series>), String> {
        let mut why = "no metrics source is configured".to_owned();
        for source in &self.sources.sources {
            let Some(metrics) = source.metrics() else { continue };
            match tokio::time::timeout(timeout, metrics.range(query, window, step_for(window))).await {
                Ok(Ok(answer)) => return Ok((source.name().to_owned(), answer.value)),
                Ok(Err(e)) => why = format!("{}: {}", source.name(), e.summary()),
                Err(_late) => why = format!("{}: no answer within {}", source.name(), time::human_duration(timeout)),
            }
        }
        Err(why)
    }

    async fn run_promql(&self, incident: &Incident, prepared: &PreparedBlock) -> Ran {
        let window = Window::new(incident.window(now()).start, now());
        let (source, series) = match self.query(&prepared.text, window, prepared.block.timeout).await {
            Ok(answer) => answer,
            Err(why) => return failed(format!("the query failed: {why}")),
        };
        let newest = newest(&series);
        let mut summary = describe(&newest);
        let mut verified = None;
        if let Some(Check::Value(condition)) = &prepared.verify {
            verified = (!newest.is_empty()).then(|| newest.iter().all(|(_, v)| condition.holds(*v)));
            summary = format!("{summary}; {}", say(&format!("the value is {condition}"), verified));
        }
        let goes = |condition: &Condition| newest.iter().any(|(_, v)| condition.holds(*v));
        let goes = prepared.block.goto.as_ref().is_some_and(|(condition, _)| goes(condition));
        let output = newest.iter().map(|(name, v)| format!("{name} {}", human_value(*v)).trim().to_owned() + "\n").collect();
        let shown = series.len() as u64;
        let draft = Draft {
            kind: EvidenceKind::Metric,
            source,
            query: prepared.text.clone(),
            window,
            taken_at: now(),
            summary: clean::truncate(&summary, 160),
            body: Body::Series {
                title: clean::truncate(&prepared.text, 120),
                unit: String::new(),
                step_secs: step_for(window),
                threshold: match &prepared.verify {
                    Some(Check::Value(condition)) => Some(condition.threshold),
                    _ => None,
                },
                series,
            },
            gaps: Vec::new(),
            shown,
            total: shown,
        };
        Ran {
            result: BlockResult { summary, verified, ..BlockResult::default() },
            output,
            draft: Some(draft),
            is_ok: true,
            ended_at: now(),
            goes,
        }
    }

    async fn run_logql(&self, incident: &Incident, prepared: &PreparedBlock) -> Ran {
        let window = Window::new(incident.window(now()).start, now());
        let filter = LogFilter { raw: Some(prepared.text.clone()), ..LogFilter::default() };
        let mut why = "no log source that takes LogQL is configured".to_owned();
        for source in self.sources.sources.iter().filter(|s| s.kind() == "loki") {
            let Some(logs) = source.logs() else { continue };
            let answer = match tokio::time::timeout(prepared.block.timeout, logs.lines(&filter, window, MAX_LINES)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(e)) => {
                    why = format!("{}: {}", source.name(), e.summary());
                    continue;
                }
                Err(_late) => {
                    why = format!("{}: no answer in time", source.name());
                    continue;
                }
            };
            let total = answer.total.unwrap_or(answer.value.len() as u64);
            let goes = prepared.block.goto.as_ref().is_some_and(|(condition, _)| condition.holds(total as f64));
            let output: String = answer.value.iter().rev().take(20).rev().map(|l| format!("{}\n", l.message)).collect();
            let mut summary = count(total, "line");
            let mut verified = None;
            if let Some(Check::Value(condition)) = &prepared.verify {
                verified = Some(condition.holds(total as f64));
                summary = format!("{summary}; {}", say(&format!("the number of lines is {condition}"), verified));
            }
            let draft = Draft {
                kind: EvidenceKind::Logs,
                source: source.name().to_owned(),
                query: prepared.text.clone(),
                window,
                taken_at: now(),
                summary: summary.clone(),
                shown: answer.value.len() as u64,
                total,
                gaps: answer.gaps,
                body: Body::Lines { lines: answer.value },
            };
            let result = BlockResult { summary, verified, ..BlockResult::default() };
            return Ran { result, output, draft: Some(draft), is_ok: true, ended_at: now(), goes };
        }
        failed(format!("the query failed: {why}"))
    }

    async fn run_script(&self, prepared: &PreparedBlock, show: &Progress, stop: &CancellationToken) -> Ran {
        let stream = |text: &str| show(Redactor::new().redact_text(text).into_owned());
        let began = now();
        let finished = match script::run(&prepared.text, &prepared.env, prepared.block.timeout, &stream, stop).await {
            Ok(finished) => finished,
            Err(e) => return failed(crate::telemetry::Explain::failure(&e).summary()),
        };
        let exit_code = match finished.ending {
            Ending::Exited(code) => Some(code),
            Ending::Signalled(_) | Ending::TimedOut | Ending::Stopped => None,
        };
        let summary = finished.describe(prepared.block.timeout);
        let mut text = String::new();
        for (name, value) in &prepared.env {
            text.push_str(&format!("{name}={value}\n"));
        }
        text.push_str(&format!("$ {}\n{}", prepared.text.replace('\n', "\n> "), finished.output));
        let mut gaps = Vec::new();
        if finished.left_out > 0 {
            gaps.push(format!("{} bytes of output are left out", finished.left_out));
        }
        let lines = finished.output.lines().count() as u64;
        let draft = Draft {
            kind: EvidenceKind::Note,
            source: self.user.clone(),
            query: clean::truncate(prepared.text.lines().next().unwrap_or_default(), 200),
            window: Window::new(began, now()),
            taken_at: now(),
            summary: clean::truncate(&format!("script: {summary}"), 160),
            body: Body::Text { text },
            gaps,
            shown: lines,
            total: lines,
        };
        Ran {
            result: BlockResult { exit_code, summary, ..BlockResult::default() },
            output: finished.output,
            draft: Some(draft),
            is_ok: exit_code == Some(0),
            ended_at: now(),
            goes: false,
        }
    }

    /// Whether the newest values of a query meet a condition; after a script, asked again until they do or the time for it is over. With a
    /// sentence that says so.
    async fn check_until(&self, expression: &str, condition: Condition, waits: bool) -> (Option<bool>, String) {
        let what = format!("{expression} is {condition}");
        let began = Instant::now();
        loop {
            let window = Window::before(now(), CHECK_WINDOW);
            let answer = self.query(expression, window, CHECK_EVERY.max(Duration::from_secs(10))).await;
            let verified = match &answer {
                Ok((_, series)) => {
                    let newest = newest(series);
                    (!newest.is_empty()).then(|| newest.iter().all(|(_, v)| condition.holds(*v)))
                }
                Err(_) => None,
            };
            if verified == Some(true) || !waits || began.elapsed() >= CHECK_FOR {
                let why = answer.err().map(|why| format!(" ({why})")).unwrap_or_default();
                return (verified, format!("{}{why}", say(&what, verified)));
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }
}

fn failed(summary: String) -> Ran {
    Ran {
        result: BlockResult { summary, ..BlockResult::default() },
        output: String::new(),
        draft: None,
        is_ok: false,
        ended_at: now(),
        goes: false,
    }
}

/// A sentence about a check.
fn say(what: &str, verified: Option<bool>) -> String {
    match verified {
        Some(true) => format!("verified: {what}"),
        Some(false) => format!("check failed; expected: {what}"),
        None => format!("not verified: no data to check that {what}"),
    }
}

/// The newest value of each series, with its labels.
fn newest(series: &[Series]) -> Vec<(String, f64)> {
    let last = |s: &Series| Some((s.title(), s.samples.iter().rev().find(|s| s.value.is_finite())?.value));
    series.iter().filter_map(last).collect()
}

/// The values in one line.
fn describe(newest: &[(String, f64)]) -> String {
    let shown = |(name, v): &(String, f64)| if name.is_empty() { human_value(*v) } else { format!("{name} {}", human_value(*v)) };
    match newest {
        [] => "no data".to_owned(),
        all if all.len() <= 4 => all.iter().map(shown).collect::<Vec<_>>().join(", "),
        all => {
            let values = || all.iter().map(|(_, v)| *v);
            let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
            format!("{}, from {} to {}", count(all.len(), "value"), human_value(low), human_value(high))
        }
    }
}

async fn run_http(prepared: &PreparedBlock) -> Ran {
    match send(prepared).await {
        Ok(ran) => ran,
        Err(why) => failed(format!("the request failed: {why}")),
    }
}

async fn send(prepared: &PreparedBlock) -> Result<Ran, String> {
    let mut lines = prepared.text.lines();
    let first = lines.next().unwrap_or_default();
    let (method, url) = first.split_once(' ').unwrap_or(("GET", first));
    let method: reqwest::Method = method.parse().map_err(|_| format!("'{method}' is not a supported HTTP method"))?;
    if !prepared.block.changes() && !matches!(method, reqwest::Method::GET | reqwest::Method::HEAD) {
        return Err(format!("the request became {method}, which was not confirmed"));
    }
    // It follows no redirects: a person confirmed this request, not where it leads to.
    let client = client_builder(&TlsConfig::default()).map_err(|e: SourceError| e.summary())?.timeout(prepared.block.timeout);
    let client = client.build().map_err(|e| e.to_string())?;
    let mut request = client.request(method, url.trim());
    for header in lines.by_ref().take_while(|l| !l.trim().is_empty()) {
        let (name, value) = header.split_once(':').ok_or_else(|| format!("'{header}' is not a header"))?;
        request = request.header(name.trim(), value.trim());
    }
    let content = lines.collect::<Vec<_>>().join("\n");
    if !content.is_empty() {
        request = request.body(content);
    }
    let began = now();
    let text = |e: reqwest::Error| Failure::new("cannot send it").because(&e.without_url()).summary();
    let mut response = request.send().await.map_err(text)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(text)? {
        let room = MAX_RESPONSE - body.len();
        body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        if body.len() >= MAX_RESPONSE {
            break;
        }
    }
    let output = clean::block(&String::from_utf8_lossy(&body));
    let (from, to) = match &prepared.verify {
        Some(Check::Status { from, to }) => (*from, *to),
        // Elsewhere nothing was changed.
        _ if prepared.block.changes() => (100, 299),
        _ => (100, 399),
    };
    let holds = (from..=to).contains(&status);
    let mut summary = format!("status {status}");
    let mut verified = None;
    if let Some(check @ Check::Status { .. }) = &prepared.verify {
        verified = Some(holds);
        summary = format!("{summary}; {}", say(&check.to_string(), verified));
    }
    let lines = output.lines().count() as u64;
    let draft = Draft {
        kind: EvidenceKind::Note,
        source: "http".to_owned(),
        query: first.to_owned(),
        window: Window::new(began, now()),
        taken_at: now(),
        summary: summary.clone(),
        body: Body::Text { text: format!("status {status}\n\n{output}") },
        gaps: if body.len() >= MAX_RESPONSE {
            vec![format!("only the first {} KiB are kept", MAX_RESPONSE / 1024)]
        } else {
            Vec::new()
        },
        shown: lines,
        total: lines,
    };
    let is_ok = holds || verified.is_some();
    Ok(Ran {
        result: BlockResult { summary, verified, ..BlockResult::default() },
        output,
        draft: Some(draft),
        is_ok,
        ended_at: now(),
        goes: false,
    })
}
