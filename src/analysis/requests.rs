//! Follows requests through logs: lines with the same trace or request id are one request, whichever services wrote them.
//!
//! Two properties are compared with the baseline:
//!
//! - flow: which line of the same request and service follows a given line, or none;
//! - latency: the time from one line to the next, within a service or between two.
//!
//! Unlike plain counts, neither depends on how many requests of each kind there are, so both can be compared when traffic
//! differs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::call_graph::CallGraph;
use super::departure::quantile;
use super::patterns::log_analysis::Side;
use super::patterns::miner::{self, Mined};
use crate::telemetry::{LogLine, Timestamp, clean, time};

/// Maximum number of lines that are followed, 48 bytes each. Further lines are counted in [`RequestComparison::skipped_lines`].
pub const MAX_LINES: usize = 4_000_000;
/// Number of parts that the baseline is divided into, to measure its own variation.
const BASELINE_PARTS: usize = 4;
/// Minimum number of known times of a step before a longer time counts as slow.
const MIN_TIMES: usize = 3;
/// A step is slow above this factor of its usual 90th percentile.
const SLOW_FACTOR: f64 = 1.5;
/// Excess time of a step that is normal variation, in seconds (2 ms).
const NOISE_SECS: f64 = 0.002;
/// Minimum number of times that a call must be observed.
const MIN_CALLS: u64 = 3;
/// A call must occur in at least one of this many requests of the less frequent service.
const MAX_REQUESTS_PER_CALL: u64 = 20;
/// Maximum number of characters of a template in a sentence.
const MAX_TEMPLATE_CHARS: usize = 60;

/// The request and the span that a line belongs to, as hashes. A span of 0 means that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestIds {
    pub request: u64,
    pub span: u64,
}

impl RequestIds {
    /// Finds the ids in a message: `trace_id=…`, `TraceID: …`, `"traceId":"…"` or a `traceparent`, otherwise a request or
    /// correlation id. `None` when the message has none.
    pub fn find(message: &[u8]) -> Option<Self> {
        let (request, span) = Self::in_message(message)?;
        Some(Self::new(request, span))
    }

    /// The id of the request that a line belongs to, as it is written in the message or in a field; `None` if it has none.
    pub fn written(line: &LogLine) -> Option<String> {
        let fields = line.fields.iter().map(|(name, value)| format!("{name}={value}"));
        let texts = std::iter::once(line.message.clone()).chain(fields);
        texts
            .into_iter()
            .find_map(|text| Self::in_message(text.as_bytes()).map(|(request, _)| String::from_utf8_lossy(request).into_owned()))
    }

    /// The request and the span in a message, as they are written. An empty span means that there is none.
    fn in_message(message: &[u8]) -> Option<(&[u8], &[u8])> {
        // The names that OpenTelemetry, Zipkin, W3C Trace Context and common loggers use.
        static TRACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r#"(?i-u)trace(?:[ _.-]?id["']?\s*[:=]\s*["']?|parent["']?\s*[:=]\s*["']?[0-9a-f]{2}-)([0-9a-f]{8,32})"#)
                .ok()
        });
        static SPAN: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r#"(?i-u)span[ _.-]?id["']?\s*[:=]\s*["']?([0-9a-f]{8,32})"#).ok());
        static REQUEST: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r#"(?i-u)(?:request|correlation)[ _.-]?id["']?\s*[:=]\s*["']?([0-9a-z-]{8,64})"#).ok());
        if !may_name_id(message) {
            return None;
        }
        let first = |regex: &LazyLock<Option<Regex>>| {
            let found = LazyLock::force(regex).as_ref()?.captures(message)?;
            found.get(1).map(|id| id.as_bytes()).filter(|id| id.iter().any(|b| *b != b'0'))
        };
        match first(&TRACE) {
            Some(trace) => Some((trace, first(&SPAN).unwrap_or_default())),
            None => Some((first(&REQUEST)?, &[])),
        }
    }

    /// From ids that were in separate fields. An empty `span` means that there is none.
    pub fn new(request: &[u8], span: &[u8]) -> Self {
        Self { request: miner::hash(request), span: if span.is_empty() { 0 } else { miner::hash(span) } }
    }
}

/// Whether a message has `id` or `traceparent` at all, in any case: a quick check before the patterns.
fn may_name_id(message: &[u8]) -> bool {
    let is_id = |at: usize| at.checked_sub(1).and_then(|i| message.get(i)).is_some_and(|b| b.eq_ignore_ascii_case(&b'i'));
    memchr::memchr2_iter(b'd', b'D', message).any(is_id)
        || memchr::memchr2_iter(b'p', b'P', message)
            .any(|at| message.get(at..at + 6).is_some_and(|word| word.eq_ignore_ascii_case(b"parent")))
}

#[derive(Clone, Copy, Debug)]
struct Line {
    side: Side,
    ids: RequestIds,
    at: Timestamp,
    service: u32,
    /// The id of its template, and later the index of its pattern.
    number: u32,
}

/// Collects the lines of requests as they arrive.
#[derive(Debug, Default)]
pub struct Requests {
    lines: Vec<Line>,
    services: BTreeMap<String, u32>,
    /// The service of the previous line: services often write several lines in a row.
    last: Option<(String, u32)>,
    beyond: u64,
}

/// How the behaviour of a service within requests has changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceChange {
    /// How certain it is that the flow changed: a G statistic minus what chance and normal variation explain; 0 or more.
    pub flow: f64,
    /// The change in flow as a clause for a sentence; empty when nothing changed.
    pub flow_description: String,
    /// How slow its steps are, where a step is from one line of a request to the next: the mean excess time of the steps
    /// that involve it, as a multiple of the usual excess; 0 or more.
    pub slowdown: f64,
    /// The slowest of these steps as a clause for a sentence; empty when no step was slow.
    pub slowdown_description: String,
    /// Which part of this slow time is that of the services at the other end of its steps, 0 to 1; the rest is its own.
    pub explained: f64,
}

/// The result of comparing requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestComparison {
    /// Number of requests in the incident part and in the baseline.
    pub requests: u64,
    pub baseline_requests: u64,
    pub by_service: BTreeMap<String, ServiceChange>,
    /// Inferred from the order of lines: the lines of the callee are between those of the caller.
    pub calls: CallGraph,
    /// Lines beyond [`MAX_LINES`], which were not followed.
    pub skipped_lines: u64,
}

/// A point in a request: a service and the pattern of a line that it wrote.
type Point = (u32, u32);
/// How often each pattern followed a point, by part; the last part is the incident. `None`: the service wrote nothing more.
type Next = [BTreeMap<Option<u32>, u64>; BASELINE_PARTS + 1];
/// How often each point of any service followed a point, by part; the last part is the incident. `None`: the request ended.
type NextOfAny = [BTreeMap<Option<Point>, u64>; BASELINE_PARTS + 1];
/// Seconds from one point to the next, by part; the last part is the incident.
type Gaps = [Vec<f64>; BASELINE_PARTS + 1];

impl Requests {
    /// Adds a line that belongs to a request. `number` is the id that [`super::patterns::miner::Miner::add`] returned.
    pub fn add(&mut self, side: Side, at: Timestamp, service: &str, number: u32, ids: RequestIds) {
        if self.lines.len() >= MAX_LINES {
            self.beyond += 1;
            return;
        }
        let service = if let Some(index) = self.last.as_ref().filter(|(name, _)| name == service).map(|(_, index)| *index) {
            index
        } else if let Some(index) = self.services.get(service) {
            self.last = Some((service.to_owned(), *index));
            *index
        } else {
            let next = u32::try_from(self.services.len()).unwrap_or(u32::MAX);
            self.services.insert(service.to_owned(), next);
            next
        };
        self.lines.push(Line { side, ids, at, service, number });
    }

    /// Compares the requests of the incident with those of the baseline. Without requests on both sides, no changes are
    /// reported.
    pub fn finish(mut self, mined: &Mined) -> RequestComparison {
        for line in &mut self.lines {
            line.number = mined.pattern_of.get(line.number as usize).copied().unwrap_or(0);
        }
        // A stable sort, so that lines with the same time stay in order of arrival.
        self.lines.sort_by_key(|l| (l.side == Side::Incident, l.ids.request, l.at));
        let requests: Vec<&[Line]> = self.lines.chunk_by(|a, b| (a.side, a.ids.request) == (b.side, b.ids.request)).collect();
        let part_of = baseline_parts(&requests);
        let mut followed = RequestComparison {
            requests: (requests.len() - part_of.len()) as u64,
            baseline_requests: part_of.len() as u64,
            skipped_lines: self.beyond,
            ..RequestComparison::default()
        };
        // Which line of any service follows a line.
        let mut entries = BTreeMap::<Point, NextOfAny>::new();
        let (mut next, mut gaps, mut calls) =
            (BTreeMap::<Point, Next>::new(), BTreeMap::<(Point, Point), Gaps>::new(), BTreeMap::<(u32, u32), u64>::new());
        // Number of requests that each service takes part in.
        let mut requests_with: BTreeMap<u32, u64> = BTreeMap::new();
        for request in &requests {
            let Some(first) = request.first() else { continue };
            let part =
                if first.side == Side::Incident { BASELINE_PARTS } else { part_of.get(&first.ids.request).copied().unwrap_or(0) };
            let mut earlier = BTreeSet::from([first.service]);
            let services: BTreeSet<u32> = request.iter().map(|l| l.service).collect();
            for service in services {
                *requests_with.entry(service).or_default() += 1;
            }
            for (n, line) in request.iter().enumerate() {
                let follower = request.get(n + 1).map(|l| (l.service, l.number));
                if let Some(counts) = entries.entry((line.service, line.number)).or_default().get_mut(part) {
                    *counts.entry(follower).or_default() += 1;
                }
            }
            let last_of = |service: u32| request.iter().rposition(|l| l.service == service);
            for (a, b) in request.iter().zip(request.iter().skip(1)) {
                let step = ((a.service, a.number), (b.service, b.number));
                if let Some(gaps) = gaps.entry(step).or_default().get_mut(part) {
                    gaps.push(b.at.since(a.at).as_secs_f64());
                }
                // A caller writes both before and after the callee. A service that only writes first may be the callee
                // itself.
                if earlier.insert(b.service) && last_of(a.service) > last_of(b.service) {
                    *calls.entry((a.service, b.service)).or_default() += 1;
                }
            }
            let mut lines_by_span: BTreeMap<(u32, u64), Vec<u32>> = BTreeMap::new();
            for line in *request {
                lines_by_span.entry((line.service, line.ids.span)).or_default().push(line.number);
            }
            for ((service, _), patterns) in lines_by_span {
                for (n, pattern) in patterns.iter().enumerate() {
                    if let Some(counts) = next.entry((service, *pattern)).or_default().get_mut(part) {
                        *counts.entry(patterns.get(n + 1).copied()).or_default() += 1;
                    }
                }
            }
        }
        let mut services = vec![""; self.services.len()];
        for (name, at) in &self.services {
            if let Some(slot) = services.get_mut(*at as usize) {
                *slot = name;
            }
        }
        let names = Names { services, mined };
        if !part_of.is_empty() && followed.requests > 0 {
            compare_flow(&next, &names, &mut followed);
            compare_entries(&entries, &names, &mut followed);
            compare_latency(&gaps, &names, &mut followed);
        }
        let request_count = |service: u32| requests_with.get(&service).copied().unwrap_or(0);
        // Clocks that differ can suggest a call that does not exist. A real call occurs in a share of the requests of both
        // services, and more often than the reverse.
        let is_call = |a: u32, b: u32, n: u64| {
            n >= MIN_CALLS
                && n * MAX_REQUESTS_PER_CALL >= request_count(a).min(request_count(b))
                && n > calls.get(&(b, a)).copied().unwrap_or(0)
        };
        for (caller, callee) in calls.iter().filter(|((a, b), n)| is_call(*a, *b, **n)).map(|(pair, _)| *pair) {
            followed.calls.add(names.service(caller), names.service(callee));
        }
        followed
    }
}

/// The part of the baseline to which each of its requests belongs, by time.
fn baseline_parts(requests: &[&[Line]]) -> BTreeMap<u64, usize> {
    let mut baseline: Vec<(Timestamp, u64)> =
        requests.iter().filter_map(|r| r.first()).filter(|l| l.side == Side::Baseline).map(|l| (l.at, l.ids.request)).collect();
    baseline.sort_unstable();
    baseline.iter().enumerate().map(|(n, (_, request))| (*request, n * BASELINE_PARTS / baseline.len().max(1))).collect()
}

/// The names of services and patterns, for sentences.
struct Names<'a> {
    services: Vec<&'a str>,
    mined: &'a Mined,
}

impl Names<'_> {
    fn service(&self, service: u32) -> &str {
        self.services.get(service as usize).copied().unwrap_or("")
    }

    /// The template of a pattern in quotes, without variable parts and shortened.
    fn line(&self, pattern: u32) -> String {
        let template = self.mined.templates.get(pattern as usize).map_or("", String::as_str);
        // Keep the end, because a message usually says what happened at the end of the line.
        let words: Vec<&str> = template.split_whitespace().filter(|w| *w != "<*>").collect();
        let text = clean::line(&words.join(" "));
        let count = text.chars().count();
        let shown: String = text.chars().skip(count.saturating_sub(MAX_TEMPLATE_CHARS)).collect();
        if count > MAX_TEMPLATE_CHARS { format!("'…{shown}'") } else { format!("'{shown}'") }
    }
}

/// How certain it is that the followers of a point changed, and how often each followed before; `None` if they did not.
fn flow_change(counts: &Next) -> Option<(f64, BTreeMap<Option<u32>, u64>)> {
    let (now, parts) = counts.split_last()?;
    let mut before: BTreeMap<Option<u32>, u64> = BTreeMap::new();
    for (follower, n) in parts.iter().flatten() {
        *before.entry(*follower).or_default() += n;
    }
    let (g, freedom) = g_statistic(&before, now);
    if freedom < 1.0 || g <= 0.0 {
        return None;
    }
    // Compare each part of the baseline with the rest, to discount its normal variation.
    let variation: Vec<f64> = parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| {
            let rest = before.iter().map(|(follower, n)| (*follower, n - part.get(follower).copied().unwrap_or(0))).collect();
            g_statistic(part, &rest).0 / freedom
        })
        .collect();
    let usual = (variation.iter().sum::<f64>() / variation.len().max(1) as f64).max(1.0);
    Some((g / usual - freedom, before))
}

/// Finds, for each service, whether its first line in a request changed: which line of the service follows a line of another one, or none.
/// A line that vanishes or appears there has no earlier line of its own service that would show it.
fn compare_entries(entries: &BTreeMap<Point, NextOfAny>, names: &Names<'_>, into: &mut RequestComparison) {
    for ((caller, pattern), counts) in entries {
        let services: BTreeSet<u32> =
            counts.iter().flat_map(|part| part.keys()).flatten().map(|(service, _)| *service).filter(|s| s != caller).collect();
        for service in services {
            let mut of_service = Next::default();
            for (to, from) in of_service.iter_mut().zip(counts) {
                for (follower, n) in from {
                    let own = follower.filter(|(s, _)| *s == service).map(|(_, pattern)| pattern);
                    *to.entry(own).or_default() += n;
                }
            }
            let Some((flow, before)) = flow_change(&of_service) else { continue };
            let changed = into.by_service.entry(names.service(service).to_owned()).or_default();
            if flow > changed.flow {
                changed.flow = flow;
                let now = of_service.last().cloned().unwrap_or_default();
                changed.flow_description = describe_flow(*pattern, &before, &now, names);
            }
        }
    }
}

/// Finds, for each service, the point whose following lines changed most.
fn compare_flow(next: &BTreeMap<Point, Next>, names: &Names<'_>, into: &mut RequestComparison) {
    for ((service, pattern), counts) in next {
        let Some((flow, before)) = flow_change(counts) else { continue };
        let Some(now) = counts.last() else { continue };
        let changed = into.by_service.entry(names.service(*service).to_owned()).or_default();
        if flow > changed.flow {
            changed.flow = flow;
            changed.flow_description = describe_flow(*pattern, &before, now, names);
        }
    }
}

/// The G statistic of two sets of counts, and its degrees of freedom.
fn g_statistic(a: &BTreeMap<Option<u32>, u64>, b: &BTreeMap<Option<u32>, u64>) -> (f64, f64) {
    let (all_a, all_b) = (a.values().sum::<u64>() as f64, b.values().sum::<u64>() as f64);
    if all_a == 0.0 || all_b == 0.0 {
        return (0.0, 0.0);
    }
    let followers: BTreeSet<&Option<u32>> = a.keys().chain(b.keys()).collect();
    let mut g = 0.0;
    let mut kinds = 0_u32;
    for follower in followers {
        let (n_a, n_b) = (a.get(follower).copied().unwrap_or(0) as f64, b.get(follower).copied().unwrap_or(0) as f64);
        let share = (n_a + n_b) / (all_a + all_b);
        kinds += u32::from(n_a + n_b > 0.0);
        for (n, all) in [(n_a, all_a), (n_b, all_b)] {
            if n > 0.0 {
                g += 2.0 * n * (n / (all * share)).ln();
            }
        }
    }
    (g.max(0.0), f64::from(kinds.saturating_sub(1)))
}

/// Describes the follower whose share changed most, such as `'no such item' follows 'look up item' in 40 of 40 requests (0
/// of 40 before)`.
fn describe_flow(
    pattern: u32,
    before: &BTreeMap<Option<u32>, u64>,
    now: &BTreeMap<Option<u32>, u64>,
    names: &Names<'_>,
) -> String {
    let (all_before, all_now) = (before.values().sum::<u64>(), now.values().sum::<u64>());
    let count = |counts: &BTreeMap<Option<u32>, u64>, follower: &Option<u32>| counts.get(follower).copied().unwrap_or(0);
    let shift = |follower: &Option<u32>| {
        count(now, follower) as f64 / all_now as f64 - count(before, follower) as f64 / all_before as f64
    };
    let Some(most) = before.keys().chain(now.keys()).max_by(|a, b| shift(a).abs().total_cmp(&shift(b).abs())) else {
        return String::new();
    };
    let follower = most.map_or_else(|| "nothing".to_owned(), |p| names.line(p));
    format!(
        "{follower} follows {} in {} of {all_now} requests ({} of {all_before} before)",
        names.line(pattern),
        count(now, most),
        count(before, most)
    )
}

/// Largest number of times that the own parts of the slow time are estimated, and the change below which they are final.
const MAX_ROUNDS: usize = 200;
const FINAL_CHANGE: f64 = 1e-4;

/// Returns for each service which part of the excess time of its steps is that of the service at the other end, 0 to 1.
///
/// `links` has the excess time, in seconds, of the steps between two services, or within one. A step between two services does not
/// show which end is slow. The fewest services that explain all of it are the most likely: a service that is slow with each
/// of its partners, rather than all of these. So each link is divided in proportion to what is already attributed to its
/// ends, until that settles (expectation maximisation for a mixture of services).
fn explained_shares(links: &BTreeMap<(u32, u32), f64>) -> BTreeMap<u32, f64> {
    let mut total: BTreeMap<u32, f64> = BTreeMap::new();
    for ((a, b), secs) in links {
        *total.entry(*a).or_default() += secs;
        if a != b {
            *total.entry(*b).or_default() += secs;
        }
    }
    let mut own = total.clone();
    for _ in 0..MAX_ROUNDS {
        let mut next: BTreeMap<u32, f64> = own.keys().map(|service| (*service, 0.0)).collect();
        for ((a, b), secs) in links {
            let of = |service: &u32| own.get(service).copied().unwrap_or(0.0);
            let share = if a == b { 1.0 } else { of(a) / (of(a) + of(b)) };
            // Without any excess there is nothing to divide.
            let share = if share.is_finite() { share } else { 0.5 };
            *next.entry(*a).or_default() += secs * share;
            *next.entry(*b).or_default() += secs * (1.0 - share);
        }
        let change = own.values().zip(next.values()).map(|(a, b)| (a - b).abs()).sum::<f64>();
        own = next;
        if change <= FINAL_CHANGE * own.values().sum::<f64>() {
            break;
        }
    }
    let share = |(service, secs): (u32, f64)| {
        let all = total.get(&service).copied().unwrap_or(0.0);
        (service, if all > 0.0 { (1.0 - secs / all).max(0.0) } else { 0.0 })
    };
    own.into_iter().map(share).collect()
}

/// Measures, for each service, how slow the steps that involve it are, and describes the slowest one.
fn compare_latency(gaps: &BTreeMap<(Point, Point), Gaps>, names: &Names<'_>, into: &mut RequestComparison) {
    /// The excess time of the steps that involve a service, by part, and the number of these steps.
    #[derive(Default)]
    struct Excess {
        secs: [f64; BASELINE_PARTS + 1],
        steps: [f64; BASELINE_PARTS + 1],
        most: f64,
        /// The slowest step, with its usual and its longest time.
        slowest: Option<((Point, Point), f64, f64)>,
    }
    let mut all: BTreeMap<u32, Excess> = BTreeMap::new();
    let mut links: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    for (step, by_part) in gaps {
        for (index, now) in by_part.iter().enumerate().filter(|(_, now)| !now.is_empty()) {
            let mut usual: Vec<f64> = by_part
                .iter()
                .take(BASELINE_PARTS)
                .enumerate()
                .filter(|(part, _)| *part != index)
                .flat_map(|(_, g)| g.iter().copied())
                .collect();
            if usual.len() < MIN_TIMES {
                continue;
            }
            let limit = SLOW_FACTOR * quantile(&mut usual, 0.9).unwrap_or(0.0);
            let excess: f64 = now.iter().map(|gap| (gap - limit).max(0.0)).sum();
            if index == BASELINE_PARTS {
                let (a, b) = (step.0.0, step.1.0);
                *links.entry((a.min(b), a.max(b))).or_default() += excess;
            }
            for service in BTreeSet::from([step.0.0, step.1.0]) {
                let entry = all.entry(service).or_default();
                if let (Some(secs), Some(steps)) = (entry.secs.get_mut(index), entry.steps.get_mut(index)) {
                    *secs += excess;
                    *steps += now.len() as f64;
                }
                if index == BASELINE_PARTS && excess > entry.most {
                    entry.most = excess;
                    let longest = now.iter().copied().fold(0.0, f64::max);
                    entry.slowest = Some((*step, quantile(&mut usual, 0.5).unwrap_or(0.0), longest));
                }
            }
        }
    }
    let explained = explained_shares(&links);
    for (service, excess) in all {
        let mean = |part: usize| {
            let (secs, steps) = (excess.secs.get(part).copied().unwrap_or(0.0), excess.steps.get(part).copied().unwrap_or(0.0));
            secs / steps.max(1.0)
        };
        let usual = (0..BASELINE_PARTS).map(mean).sum::<f64>() / BASELINE_PARTS as f64;
        let changed = into.by_service.entry(names.service(service).to_owned()).or_default();
        changed.slowdown = mean(BASELINE_PARTS) / (usual + NOISE_SECS);
        changed.explained = explained.get(&service).copied().unwrap_or(0.0);
        if let Some(((from, to), usual, longest)) = excess.slowest {
            let span = |secs: f64| match secs {
                ..1.0 => format!("{:.0} ms", secs * 1000.0),
                ..60.0 => format!("{secs:.1} s"),
                _ => time::human_duration(std::time::Duration::try_from_secs_f64(secs).unwrap_or_default()),
            };
            changed.slowdown_description = format!(
                "the step from {} {} to {} {} took up to {} (usually {})",
                names.service(from.0),
                names.line(from.1),
                names.service(to.0),
                names.line(to.1),
                span(longest),
                span(usual)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::patterns::miner::Miner;

    /// Logs 40 requests through gate, shop and store. `wait`: seconds until the store's line. `broken`: the store logs an
    /// error.
    fn log(into: &mut Requests, miner: &mut Miner, side: Side, wait: f64, broken: bool) {
        for n in 0..40_i64 {
            let ids = RequestIds::new(format!("{side:?}{n}").as_bytes(), b"");
            let start = 1_795_253_400.0 + n as f64;
            let mut line = |after: f64, service: &str, text: &str| {
                let at = Timestamp::from_micros(((start + after) * 1e6) as i64);
                into.add(side, at, service, miner.add(text.as_bytes()), ids);
            };
            let jitter = 0.001 * (n % 5) as f64;
            line(0.0, "gate", &format!("request {n} comes"));
            line(0.010 + jitter, "shop", &format!("order {n} asked for"));
            line(0.010 + jitter + wait, "store", &format!("look up item {n}"));
            line(0.020 + jitter + wait, "store", if broken { "no such item" } else { "item found" });
            line(0.030 + jitter + 2.0 * wait, "shop", &format!("order {n} done"));
            line(0.031 + jitter + 2.0 * wait, "gate", &format!("request {n} answered"));
        }
    }

    fn follow(wait: f64, broken: bool) -> RequestComparison {
        let (mut requests, mut miner) = (Requests::default(), Miner::default());
        log(&mut requests, &mut miner, Side::Baseline, 0.005, false);
        log(&mut requests, &mut miner, Side::Incident, wait, broken);
        requests.finish(&miner.finish())
    }

    #[test]
    fn slow_time_is_that_of_the_fewest_services_that_explain_it() {
        // 0 is slow with each of its three partners, although 1 has more slow time with it than the others have, and 4 has a
        // slow step with 1 only.
        let links = BTreeMap::from([((0, 1), 20.0), ((0, 2), 7.0), ((0, 3), 5.0), ((1, 4), 0.2), ((5, 6), 0.0), ((7, 7), 3.0)]);
        let explained = explained_shares(&links);
        assert!(explained[&0] < 0.05, "{explained:?}");
        assert!(explained[&1] > 0.9 && explained[&2] > 0.99 && explained[&3] > 0.99, "{explained:?}");
        assert_eq!([explained[&5], explained[&6], explained[&7]], [0.0; 3], "nothing to explain: {explained:?}");
        // With one partner only, nothing shows which end it is.
        let pair = explained_shares(&BTreeMap::from([((0, 1), 4.0)]));
        assert_eq!((pair[&0], pair[&1]), (0.5, 0.5));
    }

    #[test]
    fn finds_the_slow_step_and_the_changed_flow() {
        let same = follow(0.005, false);
        assert_eq!((same.requests, same.baseline_requests), (40, 40));
        assert!(same.by_service.values().all(|c| c.flow == 0.0 && c.slowdown < 1.0), "{same:#?}");
        assert_eq!(same.calls.calls().collect::<Vec<_>>(), [("gate", "shop"), ("shop", "store")]);

        let slow = follow(0.8, false);
        let most = slow.by_service.iter().max_by(|a, b| a.1.slowdown.total_cmp(&b.1.slowdown)).unwrap();
        assert!(most.1.slowdown > 50.0 && slow.by_service["gate"].slowdown < 1.0, "{slow:#?}");
        assert!(
            most.1.slowdown_description.contains("shop 'order asked for' to store 'look up item'"),
            "{}",
            most.1.slowdown_description
        );

        let broken = follow(0.005, true);
        let store = &broken.by_service["store"];
        assert!(store.flow > 50.0 && broken.by_service["shop"].flow == 0.0, "{broken:#?}");
        assert!(store.flow_description.contains("in 40 of 40 requests (0 of 40 before)"), "{}", store.flow_description);
    }

    #[test]
    fn finds_ids_in_common_formats() {
        let find = |text: &str| RequestIds::find(text.as_bytes());
        let trace = RequestIds::new(b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7");
        for text in [
            "INFO trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 done",
            "TraceID: 4bf92f3577b34da6a3ce929d0e0e4736 SpanID: 00f067aa0ba902b7 [query]",
            r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7"}"#,
        ] {
            assert_eq!(find(text), Some(trace), "{text}");
        }
        assert_eq!(find("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap().request, trace.request);
        assert_eq!(find("x-request-id: 7f3c-aa00-1234"), Some(RequestIds::new(b"7f3c-aa00-1234", b"")));
        for text in ["a stack trace: 12345678", "trace_id=", "trace_id=00000000000000000000000000000000", "no ids"] {
            assert_eq!(find(text), None, "{text}");
        }
    }

    #[test]
    fn reports_no_change_without_a_baseline() {
        assert_eq!(Requests::default().finish(&Miner::default().finish()), RequestComparison::default());
        let (mut requests, mut miner) = (Requests::default(), Miner::default());
        log(&mut requests, &mut miner, Side::Incident, 3.0, true);
        let found = requests.finish(&miner.finish());
        assert_eq!((found.requests, found.baseline_requests), (40, 0));
        assert!(found.by_service.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn find_never_panics(message in proptest::collection::vec(0_u8..=255, 0..80)) {
            let _ = RequestIds::find(&message);
        }
    }
}
