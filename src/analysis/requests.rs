//! Requests followed through the log: lines that carry the same trace are one request, whoever wrote them.
//!
//! Two things are compared with normal times. What a service does next: after a line that says this, which line of the same
//! request and service follows, or none. And how long the request takes from one line to the next, within a service and between
//! two. Neither depends on how many requests of which sort there are, as plain counts do: where traffic differs, these stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::departure::quantile;
use super::patterns::miner::{self, Mined};
use super::patterns::study::Side;
use crate::telemetry::{Timestamp, clean, time};

/// Lines that are followed at most, 48 bytes each; those beyond are counted in [`Followed::beyond`].
pub const MAX_LINES: usize = 4_000_000;
/// Parts that normal times are cut into, to see how much things vary by themselves.
const PARTS: usize = 4;
/// Times from one line to the next that must be known before a longer one says anything.
const FEW: usize = 3;
/// So many times the usual longest time (its 90th percentile) is slow.
const SLOW: f64 = 1.5;
/// Seconds that a step may vary by itself (2 ms).
const STILL: f64 = 0.002;
/// Calls that are a habit.
const CALLS: u64 = 3;
/// A call is made in more than one of so many requests of the rarer side.
const RARE: u64 = 20;
/// Letters of a template in a sentence.
const SHOWN: usize = 60;

/// The request and the span (0: none) that a line belongs to, as hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    pub request: u64,
    pub span: u64,
}

impl Ids {
    /// From a message that names them: `trace_id=…`, `TraceID: …`, `"traceId":"…"`, a `traceparent`, else a request or
    /// correlation id.
    pub fn find(message: &[u8]) -> Option<Self> {
        // The names as OpenTelemetry, Zipkin, W3C Trace Context and the usual loggers write them.
        static TRACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r#"(?i-u)trace(?:[ _.-]?id["']?\s*[:=]\s*["']?|parent["']?\s*[:=]\s*["']?[0-9a-f]{2}-)([0-9a-f]{8,32})"#)
                .ok()
        });
        static SPAN: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r#"(?i-u)span[ _.-]?id["']?\s*[:=]\s*["']?([0-9a-f]{8,32})"#).ok());
        static REQUEST: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r#"(?i-u)(?:request|correlation)[ _.-]?id["']?\s*[:=]\s*["']?([0-9a-z-]{8,64})"#).ok());
        let first = |of: &LazyLock<Option<Regex>>| {
            let found = LazyLock::force(of).as_ref()?.captures(message)?;
            found.get(1).map(|id| id.as_bytes()).filter(|id| id.iter().any(|b| *b != b'0'))
        };
        match first(&TRACE) {
            Some(trace) => Some(Self::of(trace, first(&SPAN).unwrap_or_default())),
            None => Some(Self::of(first(&REQUEST)?, b"")),
        }
    }

    /// Of ids that stand in fields of their own. An empty span is none.
    pub fn of(request: &[u8], span: &[u8]) -> Self {
        Self { request: miner::hash(request), span: if span.is_empty() { 0 } else { miner::hash(span) } }
    }
}

#[derive(Clone, Copy, Debug)]
struct Line {
    side: Side,
    ids: Ids,
    at: Timestamp,
    service: u32,
    number: u32,
}

/// Follows requests through lines as they come.
#[derive(Debug, Default)]
pub struct Requests {
    lines: Vec<Line>,
    services: BTreeMap<String, u32>,
    beyond: u64,
}

/// How a service's part in the requests has changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// How surely it goes on otherwise than it did: a G statistic less what chance and its own habits give; 0 and above.
    pub flow: f64,
    /// In words; empty when nothing changed.
    pub flow_told: String,
    /// How many times the usual excess the steps that touch it take; 0 and above.
    pub slow: f64,
    pub slow_told: String,
}

/// What following them found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    /// Requests of the incident and of normal times.
    pub requests: u64,
    pub baseline_requests: u64,
    pub by_service: BTreeMap<String, Changed>,
    /// Callees by caller, as the order of the lines tells them: the lines of the one lie between those of the other.
    pub calls: BTreeMap<String, Vec<String>>,
    /// Lines that were too many.
    pub beyond: u64,
}

/// A place in a request: a service and the pattern of its line.
type Place = (u32, u32);
/// What followed a place, by part; the last part is the incident. `None`: the service wrote no more.
type Next = [BTreeMap<Option<u32>, u64>; PARTS + 1];
/// Seconds from one place to the next, by part.
type Gaps = [Vec<f64>; PARTS + 1];

impl Requests {
    /// Takes a line that belongs to a request; `number` as [`super::patterns::miner::Miner::add`] gave it.
    pub fn add(&mut self, side: Side, at: Timestamp, service: &str, number: u32, ids: Ids) {
        if self.lines.len() >= MAX_LINES {
            self.beyond += 1;
            return;
        }
        let service = match self.services.get(service) {
            Some(known) => *known,
            None => {
                let next = u32::try_from(self.services.len()).unwrap_or(u32::MAX);
                self.services.insert(service.to_owned(), next);
                next
            }
        };
        self.lines.push(Line { side, ids, at, service, number });
    }

    /// Compares the incident's requests with those of normal times. Empty when either has none.
    pub fn finish(mut self, mined: &Mined) -> Followed {
        for line in &mut self.lines {
            line.number = mined.pattern_of.get(line.number as usize).copied().unwrap_or(0);
        }
        // Stable: lines of one moment keep the order in which they came.
        self.lines.sort_by_key(|l| (l.side == Side::Incident, l.ids.request, l.at));
        let requests: Vec<&[Line]> = self.lines.chunk_by(|a, b| (a.side, a.ids.request) == (b.side, b.ids.request)).collect();
        let mut normal: Vec<(Timestamp, u64)> = requests
            .iter()
            .filter_map(|r| r.first())
            .filter(|l| l.side == Side::Baseline)
            .map(|l| (l.at, l.ids.request))
            .collect();
        normal.sort_unstable();
        let part: BTreeMap<u64, usize> =
            normal.iter().enumerate().map(|(n, (_, request))| (*request, n * PARTS / normal.len().max(1))).collect();
        let mut followed = Followed {
            requests: (requests.len() - normal.len()) as u64,
            baseline_requests: normal.len() as u64,
            beyond: self.beyond,
            ..Followed::default()
        };
        let (mut next, mut gaps, mut calls) =
            (BTreeMap::<Place, Next>::new(), BTreeMap::<(Place, Place), Gaps>::new(), BTreeMap::<(u32, u32), u64>::new());
        // Requests that a service has a part in.
        let mut with: BTreeMap<u32, u64> = BTreeMap::new();
        for request in &requests {
            let Some(first) = request.first() else { continue };
            let of = if first.side == Side::Incident { PARTS } else { part.get(&first.ids.request).copied().unwrap_or(0) };
            let mut seen = BTreeSet::from([first.service]);
            let here: BTreeSet<u32> = request.iter().map(|l| l.service).collect();
            for service in here {
                *with.entry(service).or_default() += 1;
            }
            let last_of = |service: u32| request.iter().rposition(|l| l.service == service);
            for (a, b) in request.iter().zip(request.iter().skip(1)) {
                let hop = ((a.service, a.number), (b.service, b.number));
                if let Some(gaps) = gaps.entry(hop).or_default().get_mut(of) {
                    gaps.push(b.at.since(a.at).as_secs_f64());
                }
                // A caller has the first and the last word; who only speaks first may as well have been called.
                if seen.insert(b.service) && last_of(a.service) > last_of(b.service) {
                    *calls.entry((a.service, b.service)).or_default() += 1;
                }
            }
            let mut own: BTreeMap<(u32, u64), Vec<u32>> = BTreeMap::new();
            for line in *request {
                own.entry((line.service, line.ids.span)).or_default().push(line.number);
            }
            for ((service, _), numbers) in own {
                for (n, number) in numbers.iter().enumerate() {
                    if let Some(counts) = next.entry((service, *number)).or_default().get_mut(of) {
                        *counts.entry(numbers.get(n + 1).copied()).or_default() += 1;
                    }
                }
            }
        }
        let mut names = vec![""; self.services.len()];
        for (name, at) in &self.services {
            if let Some(place) = names.get_mut(*at as usize) {
                *place = name;
            }
        }
        let tell = Tell { names, mined };
        if !normal.is_empty() && followed.requests > 0 {
            flows(&next, &tell, &mut followed);
            slows(&gaps, &tell, &mut followed);
        }
        let of = |service: u32| with.get(&service).copied().unwrap_or(0);
        // A few clocks that differ make no call: it must be a share of what either does, and go that way more than the other.
        let is_habit =
            |a: u32, b: u32, n: u64| n >= CALLS && n * RARE >= of(a).min(of(b)) && n > calls.get(&(b, a)).copied().unwrap_or(0);
        for (caller, callee) in calls.iter().filter(|((a, b), n)| is_habit(*a, *b, **n)).map(|(pair, _)| *pair) {
            followed.calls.entry(tell.name(caller).to_owned()).or_default().push(tell.name(callee).to_owned());
        }
        followed
    }
}

/// Names for sentences.
struct Tell<'a> {
    names: Vec<&'a str>,
    mined: &'a Mined,
}

impl Tell<'_> {
    fn name(&self, service: u32) -> &str {
        self.names.get(service as usize).copied().unwrap_or("")
    }

    fn line(&self, pattern: u32) -> String {
        let template = self.mined.templates.get(pattern as usize).map_or("", String::as_str);
        // What says something stands at the end of a line more often than at its start.
        let words: Vec<&str> = template.split_whitespace().filter(|w| *w != "<*>").collect();
        let text = clean::line(&words.join(" "));
        let count = text.chars().count();
        let shown: String = text.chars().skip(count.saturating_sub(SHOWN)).collect();
        if count > SHOWN { format!("'…{shown}'") } else { format!("'{shown}'") }
    }
}

fn flows(next: &BTreeMap<Place, Next>, tell: &Tell<'_>, into: &mut Followed) {
    for ((service, pattern), counts) in next {
        let Some((now, parts)) = counts.split_last() else { continue };
        let mut before: BTreeMap<Option<u32>, u64> = BTreeMap::new();
        for (what, n) in parts.iter().flatten() {
            *before.entry(*what).or_default() += n;
        }
        let (g, freedom) = g_of(&before, now);
        if freedom < 1.0 || g <= 0.0 {
            continue;
        }
        // Normal times against themselves: what varies anyway is no discovery.
        let own: Vec<f64> = parts
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| {
                let rest = before.iter().map(|(what, n)| (*what, n - part.get(what).copied().unwrap_or(0))).collect();
                g_of(part, &rest).0 / freedom
            })
            .collect();
        let habit = (own.iter().sum::<f64>() / own.len().max(1) as f64).max(1.0);
        let flow = g / habit - freedom;
        let changed = into.by_service.entry(tell.name(*service).to_owned()).or_default();
        if flow > changed.flow {
            changed.flow = flow;
            changed.flow_told = flow_told(*pattern, &before, now, tell);
        }
    }
}

/// The G statistic of two lots of counts, and its degrees of freedom.
fn g_of(a: &BTreeMap<Option<u32>, u64>, b: &BTreeMap<Option<u32>, u64>) -> (f64, f64) {
    let (all_a, all_b) = (a.values().sum::<u64>() as f64, b.values().sum::<u64>() as f64);
    if all_a == 0.0 || all_b == 0.0 {
        return (0.0, 0.0);
    }
    let whats: BTreeSet<&Option<u32>> = a.keys().chain(b.keys()).collect();
    let mut g = 0.0;
    let mut kinds = 0_u32;
    for what in whats {
        let (n_a, n_b) = (a.get(what).copied().unwrap_or(0) as f64, b.get(what).copied().unwrap_or(0) as f64);
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

fn flow_told(pattern: u32, before: &BTreeMap<Option<u32>, u64>, now: &BTreeMap<Option<u32>, u64>, tell: &Tell<'_>) -> String {
    let (all_before, all_now) = (before.values().sum::<u64>(), now.values().sum::<u64>());
    let count = |of: &BTreeMap<Option<u32>, u64>, what: &Option<u32>| of.get(what).copied().unwrap_or(0);
    let shift = |what: &Option<u32>| count(now, what) as f64 / all_now as f64 - count(before, what) as f64 / all_before as f64;
    let Some(most) = before.keys().chain(now.keys()).max_by(|a, b| shift(a).abs().total_cmp(&shift(b).abs())) else {
        return String::new();
    };
    let what = most.map_or_else(|| "nothing".to_owned(), |p| tell.line(p));
    format!(
        "after {} comes {what} in {} of {all_now} requests, {} of {all_before} before",
        tell.line(pattern),
        count(now, most),
        count(before, most)
    )
}

fn slows(gaps: &BTreeMap<(Place, Place), Gaps>, tell: &Tell<'_>, into: &mut Followed) {
    /// What the steps that touch a service took too long, by part, and their number.
    #[derive(Default)]
    struct Excess {
        secs: [f64; PARTS + 1],
        steps: [f64; PARTS + 1],
        most: f64,
        told: Option<((Place, Place), f64, f64)>,
    }
    let mut all: BTreeMap<u32, Excess> = BTreeMap::new();
    for (hop, by_part) in gaps {
        for (of, now) in by_part.iter().enumerate().filter(|(_, now)| !now.is_empty()) {
            let mut usual: Vec<f64> = by_part
                .iter()
                .take(PARTS)
                .enumerate()
                .filter(|(part, _)| *part != of)
                .flat_map(|(_, g)| g.iter().copied())
                .collect();
            if usual.len() < FEW {
                continue;
            }
            let limit = SLOW * quantile(&mut usual, 0.9).unwrap_or(0.0);
            let excess: f64 = now.iter().map(|gap| (gap - limit).max(0.0)).sum();
            for service in BTreeSet::from([hop.0.0, hop.1.0]) {
                let of_it = all.entry(service).or_default();
                if let (Some(secs), Some(steps)) = (of_it.secs.get_mut(of), of_it.steps.get_mut(of)) {
                    *secs += excess;
                    *steps += now.len() as f64;
                }
                if of == PARTS && excess > of_it.most {
                    of_it.most = excess;
                    let longest = now.iter().copied().fold(0.0, f64::max);
                    of_it.told = Some((*hop, quantile(&mut usual, 0.5).unwrap_or(0.0), longest));
                }
            }
        }
    }
    for (service, excess) in all {
        let mean = |of: usize| {
            let (secs, steps) = (excess.secs.get(of).copied().unwrap_or(0.0), excess.steps.get(of).copied().unwrap_or(0.0));
            secs / steps.max(1.0)
        };
        let usual = (0..PARTS).map(mean).sum::<f64>() / PARTS as f64;
        let changed = into.by_service.entry(tell.name(service).to_owned()).or_default();
        changed.slow = mean(PARTS) / (usual + STILL);
        if let Some(((from, to), usual, longest)) = excess.told {
            let span = |secs: f64| match secs {
                ..1.0 => format!("{:.0} ms", secs * 1000.0),
                ..60.0 => format!("{secs:.1} s"),
                _ => time::human(std::time::Duration::try_from_secs_f64(secs).unwrap_or_default()),
            };
            changed.slow_told = format!(
                "from {} {} to {} {} took up to {}, {} as a rule",
                tell.name(from.0),
                tell.line(from.1),
                tell.name(to.0),
                tell.line(to.1),
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

    /// 40 requests: gate, shop, store, shop; `wait`: seconds until the store's line; `broken`: the store says otherwise.
    fn log(into: &mut Requests, miner: &mut Miner, side: Side, wait: f64, broken: bool) {
        for n in 0..40_i64 {
            let ids = Ids::of(format!("{side:?}{n}").as_bytes(), b"");
            let start = 1_795_253_400.0 + n as f64;
            let mut line = |after: f64, service: &str, text: &str| {
                #[allow(clippy::cast_possible_truncation, reason = "a test's time")]
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

    fn follow(wait: f64, broken: bool) -> Followed {
        let (mut requests, mut miner) = (Requests::default(), Miner::default());
        log(&mut requests, &mut miner, Side::Baseline, 0.005, false);
        log(&mut requests, &mut miner, Side::Incident, wait, broken);
        requests.finish(&miner.finish())
    }

    #[test]
    fn the_slow_step_and_the_other_way_are_found() {
        let same = follow(0.005, false);
        assert_eq!((same.requests, same.baseline_requests), (40, 40));
        assert!(same.by_service.values().all(|c| c.flow == 0.0 && c.slow < 1.0), "{same:#?}");
        assert_eq!(same.calls["gate"], ["shop"]);
        assert_eq!(same.calls["shop"], ["store"]);

        let slow = follow(0.8, false);
        let most = slow.by_service.iter().max_by(|a, b| a.1.slow.total_cmp(&b.1.slow)).unwrap();
        assert!(most.1.slow > 50.0 && slow.by_service["gate"].slow < 1.0, "{slow:#?}");
        assert!(most.1.slow_told.contains("shop 'order asked for' to store 'look up item'"), "{}", most.1.slow_told);

        let broken = follow(0.005, true);
        let store = &broken.by_service["store"];
        assert!(store.flow > 50.0 && broken.by_service["shop"].flow == 0.0, "{broken:#?}");
        assert!(store.flow_told.contains("in 40 of 40 requests, 0 of 40 before"), "{}", store.flow_told);
    }

    #[test]
    fn ids_are_found_however_they_are_written() {
        let of = |text: &str| Ids::find(text.as_bytes());
        let trace = Ids::of(b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7");
        for text in [
            "INFO trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 done",
            "TraceID: 4bf92f3577b34da6a3ce929d0e0e4736 SpanID: 00f067aa0ba902b7 [query]",
            r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7"}"#,
        ] {
            assert_eq!(of(text), Some(trace), "{text}");
        }
        assert_eq!(of("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap().request, trace.request);
        assert_eq!(of("x-request-id: 7f3c-aa00-1234"), Some(Ids::of(b"7f3c-aa00-1234", b"")));
        for none in ["a stack trace: 12345678", "trace_id=", "trace_id=00000000000000000000000000000000", "no ids"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn without_normal_times_nothing_has_changed() {
        assert_eq!(Requests::default().finish(&Miner::default().finish()), Followed::default());
        let (mut requests, mut miner) = (Requests::default(), Miner::default());
        log(&mut requests, &mut miner, Side::Incident, 3.0, true);
        let found = requests.finish(&miner.finish());
        assert_eq!((found.requests, found.baseline_requests), (40, 0));
        assert!(found.by_service.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(message in proptest::collection::vec(0_u8..=255, 0..80)) {
            let _ = Ids::find(&message);
        }
    }
}
