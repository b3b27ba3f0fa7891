//! Logs: error lines, patterns before and after the onset, changes that lines report, and requests followed through the lines.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::super::clock::now;
use super::super::set::report_ok;
use super::{Gathered, lines_evidence};
use crate::analysis::Pattern;
use crate::analysis::findings::ChangeInput;
use crate::analysis::log_shift::{LogComparison, request_ids};
use crate::analysis::patterns::{self, log_analysis::Side};
use crate::analysis::requests::{RequestComparison, ServiceChange};
use crate::analysis::suspects::SuspectContext;
use crate::evidence::{Body, Draft, Redactor};
use crate::incident::EvidenceKind;
use crate::sources::{Answer, FaultKind, LogFilter, LogSource, Source, SourceError};
use crate::telemetry::{LogLine, Timestamp, Window, clean, words};

/// Error lines that one source is asked for.
const MAX_ERROR_LINES: usize = 300;

/// Patterns that are kept as evidence.
const MAX_PATTERNS: usize = 100;
/// The key of the evidence about followed requests.
pub(super) const REQUESTS: &str = "requests";
/// A pattern of more lines than this is not a single change.
const MAX_CHANGE_LINES: u64 = 5;

/// Error lines, patterns, and the changes that lines report, of one log source: nothing if it has no logs.
///
/// Errors are read of all services. If the source can read the lines of single services, other lines are read only of `services`, those
/// that the incident is about and their neighbours.
pub(super) async fn collect(source: &dyn Source, window: Window, onset: Timestamp, services: &[String]) -> Gathered {
    let mut out = Gathered::default();
    let Some(backend) = source.logs() else { return out };
    let errors_only = LogFilter { bad_only: true, ..LogFilter::default() };
    let all = LogFilter { services: backend.known_services(services, window).await, ..LogFilter::default() };
    let (errors, read) =
        tokio::join!(lines(backend, &errors_only, window, MAX_ERROR_LINES), halves(backend, &all, window, onset));
    match errors {
        Ok((query, answer)) => {
            out.report(report_ok(source.name(), source.kind()));
            for failure in &answer.failed {
                out.fail(source, "part of it", &SourceError::new(FaultKind::Io, failure));
            }
            out.drafts.push((format!("lines/{}", source.name()), error_lines(source.name(), query, window, answer)));
        }
        Err(e) => out.fail(source, "error lines", &e),
    }
    match read {
        Ok((query, read)) => out.absorb(patterns(source.name(), query, window, onset, read)),
        Err(e) => out.fail(source, "log lines", &e),
    }
    out
}

/// All lines of a window. Before and after the onset are read apart, so that a flood after it does not displace the baseline.
async fn halves(
    backend: &dyn LogSource,
    filter: &LogFilter,
    window: Window,
    onset: Timestamp,
) -> Result<(String, Answer<Vec<LogLine>>), SourceError> {
    let (before, after) = tokio::join!(
        lines(backend, filter, Window::new(window.start, onset), backend.max_lines()),
        lines(backend, filter, Window::new(onset, window.end), backend.max_lines())
    );
    let ((_, mut read), (query, after)) = (before?, after?);
    // A line at the onset, and one without a time, comes with both halves.
    read.value.extend(after.value.into_iter().filter(|l| l.at.is_some_and(|at| at > onset)));
    read.gaps.extend(after.gaps);
    read.unread.extend(after.unread);
    read.total = read.total.zip(after.total).map(|(a, b)| a + b);
    Ok((query, read))
}

/// Lines, and the query that returned them.
async fn lines(
    backend: &dyn LogSource,
    filter: &LogFilter,
    window: Window,
    limit: usize,
) -> Result<(String, Answer<Vec<LogLine>>), SourceError> {
    let query = backend.query(filter, window).await?;
    Ok((query, backend.lines(filter, window, limit).await?))
}

/// Error lines as evidence.
fn error_lines(source: &str, query: String, window: Window, answer: Answer<Vec<LogLine>>) -> Draft {
    let shown = u64::try_from(answer.value.len()).unwrap_or(0);
    let summary = match answer.value.last() {
        None => "no error lines in the window".to_owned(),
        Some(last) => format!(
            "{}, most recent: {}",
            words::count(answer.total.unwrap_or(shown), "error line"),
            // Redacted before it is cut, because half a token no longer looks like one.
            clean::truncate(Redactor::new().redact_text(&last.message).lines().next().unwrap_or(""), 120)
        ),
    };
    lines_evidence(EvidenceKind::Logs, source, query, window, summary, answer)
}

/// Log patterns as signals and as evidence, with the lines and the changes that they report.
fn patterns(source: &str, query: String, window: Window, onset: Timestamp, answer: Answer<Vec<LogLine>>) -> Gathered {
    let mut out = Gathered::default();
    let mut found = patterns::group_lines(&answer.value, onset, window, &answer.unread);
    out.signals.changes = reported_changes(&found, &answer.value, source);
    for pattern in &mut found {
        // Redacted here, because findings quote them cut short.
        pattern.sample = Redactor::new().redact_text(&pattern.sample).into_owned();
        pattern.template = Redactor::new().redact_text(&pattern.template).into_owned();
    }
    let lines = match answer.total.filter(|total| *total > answer.value.len() as u64) {
        Some(total) => format!("{} of {total} lines", answer.value.len()),
        None => words::count(answer.value.len(), "line"),
    };
    let new = found.iter().filter(|p| p.change == patterns::Change::New).count();
    let total = found.len();
    let key = format!("patterns/{source}");
    out.signals.patterns = found.iter().map(|p| (key.clone(), p.clone())).collect();
    out.lines = vec![answer.value];
    let mut gaps = answer.gaps;
    found.truncate(MAX_PATTERNS);
    if total > found.len() {
        gaps.push(format!("{} more patterns are left out", total - found.len()));
    }
    let draft = Draft {
        kind: EvidenceKind::Patterns,
        source: source.to_owned(),
        query: format!("patterns of {query}"),
        window,
        taken_at: now(),
        summary: format!(
            "{lines} in {}, {new} new since {} UTC",
            words::count(total, "pattern"),
            onset.clock(time::UtcOffset::UTC)
        ),
        shown: u64::try_from(found.len()).unwrap_or(0),
        total: u64::try_from(total).unwrap_or(0),
        gaps,
        body: Body::Patterns { onset, patterns: found, unread: answer.unread },
    };
    out.drafts.push((key, draft));
    out
}

/// Words of a line that reports a change.
static CHANGE_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(deploy(ed|ing|ment)?|roll(ed|ing)?[ -]?(out|back)|config(uration)? (was )?(re)?(loaded|changed|applied|updated)|reload(ed|ing)|feature[ _-]?flag|flag \S+ (is )?(now )?(on|off|enabled|disabled|set)|migrat(ed|ing|ion)|upgrad(ed|ing)|scal(ed|ing) (up|down|to)|restart(ed|ing)?|starting( up)?|started|shutting down|listening)\b",
    )
    .ok()
});

/// Words of a line that reports a change which people make.
static RELEASE_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(deploy(ed|ing|ment)?|roll(ed|ing)?[ -]?(out|back)|config(uration)?|flag|migrat(ed|ing|ion)|upgrad(ed|ing))\b",
    )
    .ok()
});

/// How soon after the first line of a log another counts as its beginning.
const LOG_BEGINS: Duration = Duration::from_secs(10);

/// Whether a message has the parts of a template in their order.
fn fits(template: &str, message: &str) -> bool {
    let mut rest = message;
    template.split("<*>").map(str::trim).filter(|part| !part.is_empty()).all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// The lines of a pattern, each with its time: a line says other versions than another one of its pattern. The sample of the pattern if no line
/// is found.
fn lines_of<'a>(pattern: &'a Pattern, lines: &'a [LogLine]) -> Vec<(Timestamp, &'a str)> {
    let found: Vec<_> =
        lines.iter().filter(|l| fits(&pattern.template, &l.message)).filter_map(|l| Some((l.at?, l.message.as_str()))).collect();
    if found.is_empty() { pattern.first_at.map(|at| (at, pattern.sample.as_str())).into_iter().collect() } else { found }
}

/// Changes that the log reports: rare lines about a deploy, a switch, a start, each with its own time and words. At most ten. A line at the
/// beginning of the log is left out, because it is unknown what came before.
fn reported_changes(patterns: &[Pattern], lines: &[LogLine], source: &str) -> Vec<ChangeInput> {
    let Some(change_words) = CHANGE_WORDS.as_ref() else { return Vec::new() };
    let is_release = |p: &Pattern| RELEASE_WORDS.as_ref().is_some_and(|words| words.is_match(&p.template));
    let begins = patterns.iter().filter_map(|p| p.first_at).min();
    let is_at_edge = |p: &Pattern| begins.zip(p.first_at).is_some_and(|(begins, at)| at <= begins + LOG_BEGINS);
    patterns
        .iter()
        .filter(|p| is_release(p) || !is_at_edge(p))
        .filter(|p| p.count + p.baseline_count <= MAX_CHANGE_LINES && change_words.is_match(&p.template))
        .flat_map(|p| lines_of(p, lines).into_iter().map(move |(at, text)| (p, at, text)))
        .map(|(p, at, text)| {
            let text = Redactor::new().redact_text(text).into_owned();
            ChangeInput {
                at,
                service: if p.services.len() == 1 { p.services.first().cloned() } else { None },
                description: format!("log: '{}'", clean::truncate(text.lines().next().unwrap_or(""), 90)),
                is_release: is_release(p),
                key: format!("patterns/{source}"),
            }
        })
        .take(10)
        .collect()
}

/// The lines of all sources, each once: several sources may have the same log, with times that differ by less than a second.
fn without_doubles(sources: Vec<Vec<LogLine>>) -> Vec<LogLine> {
    let mut sources = sources.into_iter().filter(|lines| !lines.is_empty());
    let Some(mut all) = sources.next() else { return Vec::new() };
    for lines in sources {
        let mut known: HashMap<(u64, i64), u32> = HashMap::new();
        for line in &all {
            *known.entry(key_of(line)).or_default() += 1;
        }
        // A line of the other source has at most one counterpart.
        let is_known = |line: &LogLine, known: &mut HashMap<(u64, i64), u32>| {
            let (message, second) = key_of(line);
            [second, second - 1, second + 1].into_iter().any(|second| match known.get_mut(&(message, second)) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    true
                }
                _ => false,
            })
        };
        let new: Vec<LogLine> = lines.into_iter().filter(|line| !is_known(line, &mut known)).collect();
        all.extend(new);
    }
    all
}

/// The message and the second of a line; lines without a time are compared by their message.
fn key_of(line: &LogLine) -> (u64, i64) {
    let mut hasher = std::hash::DefaultHasher::new();
    line.message.trim().hash(&mut hasher);
    (hasher.finish(), line.at.map_or(0, Timestamp::secs))
}

/// Follows requests through the lines of all log sources, by their ids, and keeps what the logs say about each service.
pub(super) fn follow_requests(out: &mut Gathered, window: Window, onset: Timestamp) {
    let mut comparison = LogComparison::default();
    for line in without_doubles(std::mem::take(&mut out.lines)) {
        let side = if line.at.is_some_and(|at| at <= onset) { Side::Baseline } else { Side::Incident };
        let first = line.message.lines().next().unwrap_or("");
        comparison.add(side, line.at, line.service.as_deref().unwrap_or(""), first.as_bytes(), request_ids(&line));
    }
    let found = comparison.finish();
    let requests = found.requests;
    if requests.requests > 0 {
        if requests.skipped_lines > 0 {
            out.gap(format!(
                "{} lines of requests beyond the first {} were not followed",
                requests.skipped_lines,
                crate::analysis::requests::MAX_LINES
            ));
        }
        out.signals.calls.add_all(&requests.calls);
        if !requests.calls.is_empty() {
            out.signals.call_sources.push((REQUESTS.to_owned(), "the requests in the logs"));
        }
        out.drafts.push((REQUESTS.to_owned(), requests_evidence(&requests, window)));
    }
    let mut logs: BTreeMap<String, f64> = BTreeMap::new();
    // Lines that name no service belong to none.
    for shift in found.shifts.iter().filter(|s| !s.service.is_empty()) {
        let most = logs.entry(shift.service.clone()).or_default();
        *most = most.max(shift.score);
    }
    out.context = SuspectContext { logs, requests: requests.by_service, ..SuspectContext::default() };
}

/// Followed requests as evidence: how many, which service calls which, and which services became slower or lost requests, the largest change
/// first.
fn requests_evidence(requests: &RequestComparison, window: Window) -> Draft {
    let count = words::count(requests.requests, "request");
    let mut text = format!("{count} followed by id, {} before the onset.\n", requests.baseline_requests);
    for (caller, callees) in requests.calls.by_caller() {
        let callees: Vec<&str> = callees.iter().map(String::as_str).collect();
        text.push_str(&format!("{caller} calls {}.\n", words::list(&callees)));
    }
    let mut changed: Vec<_> = requests.by_service.iter().collect();
    let own = |c: &ServiceChange| c.slowdown * (1.0 - c.explained) + c.flow;
    changed.sort_by(|a, b| own(b.1).total_cmp(&own(a.1)).then_with(|| a.0.cmp(b.0)));
    for (service, c) in changed {
        for (size, description) in [(c.slowdown, &c.slowdown_description), (c.flow, &c.flow_description)] {
            if size > 1.0 && !description.is_empty() {
                text.push_str(&format!("{service}: {description}.\n"));
            }
        }
    }
    Draft {
        kind: EvidenceKind::Analysis,
        source: "warroom".to_owned(),
        query: "requests followed through the logs by their trace or request ids".to_owned(),
        window,
        taken_at: now(),
        summary: clean::truncate(text.lines().next().unwrap_or(""), 160),
        body: Body::Text { text },
        gaps: Vec::new(),
        shown: requests.requests,
        total: requests.requests,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Change;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_795_253_400 + secs)
    }

    #[test]
    fn lines_that_two_sources_have_count_once() {
        let line = |secs: i64, micros: i64, message: &str| LogLine {
            at: Some(Timestamp::from_micros(at(secs).micros() + micros)),
            ..LogLine::plain(message)
        };
        let file = vec![line(1, 0, "started"), line(5, 999_000, "pool full"), line(6, 0, "pool full")];
        let loki = vec![line(6, 100, "pool full"), line(6, 200, "pool full"), line(6, 300, "pool full"), line(9, 0, "done")];
        let all = without_doubles(vec![file, vec![], loki]);
        let messages: Vec<&str> = all.iter().map(|l| l.message.as_str()).collect();
        assert_eq!(messages, ["started", "pool full", "pool full", "pool full", "done"], "the third of one second is new");
    }

    #[test]
    fn rare_lines_about_a_change_are_changes() {
        let line = |secs: i64, text: &str| LogLine { at: Some(at(secs)), ..LogLine::plain(text) };
        let pattern = |template: &str, count| Pattern {
            template: template.into(),
            level: None,
            services: vec!["shop".into()],
            count,
            baseline_count: 0,
            change: Change::New,
            first_at: Some(at(60)),
            last_at: None,
            sample: template.into(),
            rate: vec![],
            facets: Default::default(),
            is_baseline_cut: false,
        };
        let found = reported_changes(
            &[
                pattern("deployed version 1.42.0", 1),
                pattern("feature flag new-cart enabled", 1),
                pattern("listening on <*>", 900),
                pattern("order placed", 1),
                pattern("upgraded from <*> to <*>", 2),
            ],
            &[line(70, "upgraded from 1 to 2"), line(90, "upgraded from 2 to 1"), line(95, "order placed")],
            "app",
        );
        let descriptions: Vec<&str> = found.iter().map(|c| c.description.as_str()).collect();
        let upgrades = ["log: 'upgraded from 1 to 2'", "log: 'upgraded from 2 to 1'"];
        assert_eq!(
            descriptions,
            [&["log: 'deployed version 1.42.0'", "log: 'feature flag new-cart enabled'"], &upgrades[..]].concat()
        );
        assert_eq!((found[2].at, found[3].at), (at(70), at(90)), "each line has its own time");
        assert_eq!((found[0].key.as_str(), found[0].service.as_deref()), ("patterns/app", Some("shop")));
    }
}
