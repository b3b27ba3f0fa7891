//! Which series, and which services, an incident most likely began with.
//!
//! Each series is measured against its own baseline in its own spread, so that units and sizes do not matter; what was constant
//! and moved counts as much as anything. Each service is then as suspect as its most suspect series. Three kinds of knowledge go
//! in: what a metric tells (a caller's view of others, or the traffic, is rather a symptom than a cause), which share of the
//! symptom's own change a service has and none of its callees explains (where the call graph is known), and how the service's
//! log has changed.

mod waits;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{LazyLock, OnceLock};

use regex::{Regex, RegexBuilder};

use super::departure::{Departure, Measured, measure};
use super::movement::Direction;
use super::requests::Changed;
use crate::telemetry::Timestamp;
use crate::telemetry::series::{human_measure, human_value};
pub use waits::Waited;

/// From this departure on a service counts as touched, where the call graph is followed.
const TOUCHED: f64 = 3.0;
/// Of a service that is only another's view of something.
const VIEW: f64 = 0.7;
/// Of metrics where requests can be followed, and of what following them tells: that a service goes on otherwise, and that the
/// steps which touch it take longer.
const METRICS_BESIDE: f64 = 0.5;
const FLOW: f64 = 0.75;
const SLOW: f64 = 1.25;
/// Of a service whose log names another that is about as suspect.
const BLAMER: f64 = 0.6;
/// A G statistic that chance gives once in a thousand patterns.
const SURELY: f64 = 10.83;
/// From here on a change of a service's part in the requests is told.
const TELLING: f64 = 5.0;
/// From this score on it is told who is waiting for a service.
const TOLD: f64 = 1.0;
/// What is known beside the series.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The series that shows the symptom, by its name.
    pub symptom: Option<String>,
    /// Callees by caller.
    pub calls: BTreeMap<String, Vec<String>>,
    /// How much each service's log has changed: a G statistic, 0 and above.
    pub logs: BTreeMap<String, f64>,
    /// How each service's part in the requests has changed, where its log tells them apart. It then speaks instead of `logs`:
    /// what a service says in a request does not depend on how many requests there are.
    pub requests: BTreeMap<String, Changed>,
    /// Whom each service's new log lines name: what it suffers from rather than does.
    pub blames: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    /// Whether following requests showed anything: else plain counts of lines are all that the log tells.
    fn requests_tell(&self) -> bool {
        self.requests.values().any(|c| c.flow > 0.0 || c.slow > TELLING)
    }
}

/// A suspect.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    pub service: Option<String>,
    /// `None`: only its log, or whoever waits for it, points to the service.
    pub series: Option<String>,
    /// The service's score; 0 and above, larger is more suspect.
    pub score: f64,
    /// How far its series left what is usual, in spreads; 0 when only the log speaks.
    pub size: f64,
    pub way: Direction,
    pub changed_at: Option<Timestamp>,
    /// Medians of the baseline and since; of a counter, per second.
    pub before: Option<f64>,
    pub after: Option<f64>,
    pub is_rate: bool,
    /// As it stands behind a figure: `s`, `B`, or nothing.
    pub unit: String,
    /// What the service's log tells, with the first of its series; empty when nothing.
    pub in_logs: String,
    /// Whose waiting points to the service, with the first of its series.
    pub waited: Option<Waited>,
}

impl Suspect {
    /// Why it is one, in one sentence: `cpu rose 10 → 41.5 from 09:31:00 UTC, 47.1 times its usual spread; …`.
    pub fn why(&self) -> String {
        let in_logs = match self.series {
            None => self.in_logs.replace(" too", ""),
            Some(_) => self.in_logs.clone(),
        };
        let waited = self.waited.as_ref().map(|w| w.told.clone()).unwrap_or_default();
        let own = match &self.series {
            Some(series) if self.changed_at.is_some() || waited.is_empty() => moved(self, parts(series).1),
            _ if waited.is_empty() => return format!("no series, but {in_logs}"),
            _ => "its own series are as usual".to_owned(),
        };
        [own, in_logs, waited].into_iter().filter(|told| !told.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// A series with what was measured of it.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    series: &'a Measured,
    service: &'a str,
    metric: &'a str,
    departure: Departure,
    /// Its own score, and that of its service once it is known.
    score: f64,
    of_service: f64,
}

impl Seen<'_> {
    /// How far its median moved; of a time, in seconds.
    fn moved(&self) -> Option<f64> {
        Some((self.departure.after? - self.departure.before?) * self.in_seconds())
    }

    /// What one of its unit is in seconds; 1 of anything but a time.
    fn in_seconds(&self) -> f64 {
        match self.series.unit.as_str() {
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            "min" => 60.0,
            _ => 1.0,
        }
    }
}

/// Service and metric of a series' name: `service|metric`; without a bar, all of it is the metric.
fn parts(name: &str) -> (&str, &str) {
    name.split_once('|').unwrap_or(("", name))
}

/// Words of a metric's name, any case: of the machine, which all that run there share; of the view of those that are called; and
/// those that tell of the service itself. What has none is traffic, which follows demand.
static OF_MACHINE: LazyLock<Option<Regex>> = LazyLock::new(|| words("node"));
static OF_OTHERS: LazyLock<Option<Regex>> = LazyLock::new(|| words("client"));
static OF_ITSELF: LazyLock<Option<Regex>> = LazyLock::new(|| {
    words(
        "error|fail|5xx|exception|success|availab|latency|duration|response|time|cpu|mem|heap|pool|queue|waiting|in_use|\
         connections|threads|backlog|lag|disk|throttl|restart",
    )
});
static A_VIEW: LazyLock<Option<Regex>> = LazyLock::new(|| words("remote|client"));

fn words(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).case_insensitive(true).unicode(false).build().ok()
}

fn has(words: &LazyLock<Option<Regex>>, text: &str) -> bool {
    words.as_ref().is_some_and(|w| w.is_match(text))
}

/// What a change of a metric of this name tells of its own service.
fn weight(service: &str, metric: &str) -> f64 {
    let by_metric = match () {
        () if has(&OF_MACHINE, metric) => 0.5,
        () if has(&OF_OTHERS, metric) => 0.3,
        () if has(&OF_ITSELF, metric) => 1.0,
        () => 0.5,
    };
    if has(&A_VIEW, service) { by_metric * VIEW } else { by_metric }
}

/// Scores that differ by less are the same: one series in two units differs by what was rounded.
const SAME: f64 = 1e-9;
/// Series from which on more than one thread measures them.
const MANY: usize = 256;
/// Threads that measure at most.
const THREADS: usize = 4;

/// Measures all series; the order is theirs, whatever the number of threads.
fn see(series: &[Measured]) -> Vec<Seen<'_>> {
    fn one(series: &Measured) -> Seen<'_> {
        let (service, metric) = parts(&series.name);
        let departure = measure(series);
        let score = if departure.size > 0.0 { weight(service, metric) * departure.size.ln_1p() } else { 0.0 };
        let score = (score / SAME).round() * SAME;
        Seen { series, service, metric, departure, score, of_service: 0.0 }
    }
    // Asking the system each time costs more than measuring a few series.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let threads = *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).min(THREADS));
    if series.len() < MANY || threads < 2 {
        return series.iter().map(one).collect();
    }
    let mut parts = series.chunks(series.len().div_ceil(threads));
    let own = parts.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| scope.spawn(move || part.iter().map(one).collect::<Vec<Seen<'_>>>())).collect();
        let mut seen: Vec<Seen<'_>> = own.iter().map(one).collect();
        // A thread of ours does not panic; were one to, its series would be missing rather than everything lost.
        others.into_iter().for_each(|part| seen.extend(part.join().unwrap_or_default()));
        seen
    })
}

/// Ranks what an incident may have begun with, the most suspect first: one entry for each series, services in the order of
/// their score, and of each service its most telling series first. Series that say nothing are left out. The order does not
/// depend on the order in which the series are given, nor on their units (but for times and counts that are compared between
/// services: along a call graph, and to find whom a caller waits for; times may be in the unit that their series tells, counts
/// must be in one).
pub fn suspects(series: &[Measured], known: &Known) -> Vec<Suspect> {
    let mut found = see(series);
    let mut waited = BTreeMap::new();
    let mut by_service = match symptom_of(&found, known) {
        // Whom the symptom waits for, the graph itself tells.
        Some(symptom) if !known.calls.is_empty() => by_graph(&found, known, &symptom),
        _ => {
            let mut by_service = by_series(&found, known);
            // Requests that are followed tell themselves where they waited.
            if !known.requests_tell() {
                waited = waits::waited_for(&found, known);
                for (service, waited) in &waited {
                    *by_service.entry(service).or_default() += waited.score;
                }
            }
            by_service
        }
    };
    waited.retain(|_, waited| waited.score > TOLD);
    if !known.blames.is_empty() {
        let before = by_service.clone();
        for (service, blamed) in &known.blames {
            let Some(score) = by_service.get_mut(service.as_str()) else { continue };
            let most =
                blamed.iter().filter(|b| *b != service).filter_map(|b| before.get(b.as_str())).copied().fold(0.0, f64::max);
            if most >= 0.5 * *score {
                *score *= BLAMER;
            }
        }
    }
    let score = |service: &str| by_service.get(service).copied().unwrap_or(0.0);
    for seen in &mut found {
        seen.of_service = score(seen.service);
    }
    let measured: BTreeSet<&str> = found.iter().filter(|d| d.departure.size > 0.0).map(|d| d.service).collect();
    found.retain(|d| d.departure.size > 0.0);
    found.sort_unstable_by(|a, b| {
        (b.of_service.total_cmp(&a.of_service))
            .then_with(|| a.service.cmp(b.service))
            .then_with(|| b.score.total_cmp(&a.score))
            .then_with(|| a.series.name.cmp(&b.series.name))
    });
    let mut out: Vec<Suspect> = Vec::with_capacity(found.len());
    let mut last = None;
    for d in &found {
        let Departure { size, way, changed_at, before, after, is_rate } = d.departure;
        // What its log tells stands with its first series.
        let is_first = last.replace(d.service) != Some(d.service);
        out.push(Suspect {
            service: (!d.service.is_empty()).then(|| d.service.to_owned()),
            series: Some(d.series.name.clone()),
            score: d.of_service,
            size,
            way,
            changed_at,
            before,
            after,
            is_rate,
            unit: d.series.unit.clone(),
            in_logs: if is_first { in_logs(d.service, known) } else { String::new() },
            waited: if is_first { waited.get(d.service).cloned() } else { None },
        });
    }
    let mut told: BTreeSet<&str> = if known.requests_tell() {
        known.requests.iter().filter(|(_, c)| c.flow > TELLING || c.slow > TELLING).map(|(s, _)| s.as_str()).collect()
    } else {
        known.logs.iter().filter(|(_, g)| **g > SURELY).map(|(s, _)| s.as_str()).collect()
    };
    told.extend(waited.keys());
    let alone: Vec<Suspect> = told
        .into_iter()
        .filter(|s| !measured.contains(s))
        .map(|service| Suspect {
            service: Some(service.to_owned()),
            series: None,
            score: score(service),
            size: 0.0,
            way: Direction::Flat,
            changed_at: None,
            before: None,
            after: None,
            is_rate: false,
            unit: String::new(),
            in_logs: in_logs(service, known),
            waited: waited.get(service).cloned(),
        })
        .collect();
    if !alone.is_empty() {
        out.extend(alone);
        out.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.service.cmp(&b.service)));
    }
    out
}

/// What the log of a service tells, as the end of a sentence; empty when nothing.
fn in_logs(service: &str, known: &Known) -> String {
    if let Some(changed) = known.requests.get(service).filter(|_| known.requests_tell()) {
        let told = [(changed.slow, &changed.slow_told), (changed.flow, &changed.flow_told)];
        return told.iter().filter(|(what, _)| *what > TELLING).map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; ");
    }
    match known.logs.get(service) {
        Some(g) if *g > SURELY => format!("its log has changed too (G {})", human_value(*g)),
        _ => String::new(),
    }
}

/// How a series moved, in the metric's unit.
fn moved(s: &Suspect, metric: &str) -> String {
    let per = if s.is_rate { "/s" } else { "" };
    // A unit that the name tells need not stand behind each figure.
    let unit = if metric.contains(&format!("({})", s.unit)) { "" } else { s.unit.as_str() };
    let told = |v: Option<f64>| v.map_or_else(|| "nothing".to_owned(), |v| human_measure(v, unit) + per);
    let way = match s.way {
        Direction::Up => "rose",
        Direction::Down => "fell",
        Direction::Flat => "stayed",
    };
    let metric = if metric.is_empty() { "it" } else { metric };
    let size = if s.before.is_some() && s.after.is_none() {
        "it has ended".to_owned()
    } else if s.before.is_none() {
        "not there before".to_owned()
    } else {
        format!("{} times its usual spread", human_value(s.size))
    };
    let at = s.changed_at.map(|t| format!(" from {} UTC", t.clock(time::UtcOffset::UTC))).unwrap_or_default();
    format!("{metric} {way} {} → {}{at}, {size}", told(s.before), told(s.after))
}

/// Each service by its most suspect series, and a little by the next; its log counts as much.
fn by_series<'a>(found: &[Seen<'a>], known: &'a Known) -> BTreeMap<&'a str, f64> {
    // The most telling and the next of each service.
    let mut all: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for d in found {
        let (first, second) = all.entry(d.service).or_default();
        if d.score > *first {
            (*first, *second) = (d.score, *first);
        } else {
            *second = second.max(d.score);
        }
    }
    let is_followed = known.requests_tell();
    let mut by_service: BTreeMap<&str, f64> = all
        .into_iter()
        .map(|(service, (first, second))| {
            let score = if is_followed {
                METRICS_BESIDE * first
            } else if !known.logs.is_empty() {
                first
            } else {
                first + 0.15 * second
            };
            (service, score)
        })
        .collect();
    if is_followed {
        for (service, changed) in &known.requests {
            *by_service.entry(service).or_default() += FLOW * changed.flow.ln_1p() + SLOW * changed.slow.ln_1p();
        }
        return by_service;
    }
    for (service, g) in &known.logs {
        *by_service.entry(service).or_default() += g.max(0.0).ln_1p();
    }
    by_service
}

struct Symptom<'a> {
    service: &'a str,
    metric: &'a str,
    /// How far its median moved.
    moved: f64,
}

fn symptom_of<'a>(found: &[Seen<'_>], known: &'a Known) -> Option<Symptom<'a>> {
    let name = known.symptom.as_deref()?;
    let (service, metric) = parts(name);
    let moved = found.iter().find(|s| s.service == service && s.metric == metric).and_then(Seen::moved).unwrap_or(0.0);
    Some(Symptom { service, metric, moved })
}

/// Along the call graph: of all that can be reached from the symptom, who has a share of its change that no callee explains?
/// Times add up along calls, so that shares of the symptom's own metric can be compared.
fn by_graph<'a>(found: &[Seen<'a>], known: &'a Known, symptom: &Symptom<'_>) -> BTreeMap<&'a str, f64> {
    let general = by_series(found, known);
    let own: BTreeMap<&str, &Seen<'_>> = found.iter().filter(|d| d.metric == symptom.metric).map(|d| (d.service, d)).collect();
    let mut reached: BTreeSet<&str> = BTreeSet::from([symptom.service]);
    let mut next = VecDeque::from([symptom.service]);
    while let Some(caller) = next.pop_front() {
        for callee in known.calls.get(caller).into_iter().flatten() {
            if reached.insert(callee) {
                next.push_back(callee);
            }
        }
    }
    let direction = if symptom.moved < 0.0 { -1.0 } else { 1.0 };
    let along = |service: &str| own.get(service).and_then(|d| d.moved()).unwrap_or(0.0) * direction;
    let is_touched = |service: &str| own.get(service).is_some_and(|d| d.departure.size >= TOUCHED);
    general
        .iter()
        .map(|(service, general)| {
            let service = *service;
            let change = along(service);
            let mut score = 0.0;
            if reached.contains(service) && is_touched(service) && change > 0.0 {
                let callees = known.calls.get(service).into_iter().flatten().filter(|c| *c != service && is_touched(c));
                let explained = callees.map(|c| along(c)).fold(0.0, f64::max);
                let left = (1.0 - explained / change).max(0.0);
                let share = if symptom.moved == 0.0 { 0.0 } else { (change / symptom.moved.abs()).min(1.0) };
                score = own.get(service).map_or(0.0, |d| d.departure.size.ln_1p()) * left * (0.3 + 0.7 * share);
                if A_VIEW.as_ref().is_some_and(|w| w.is_match(service)) {
                    score *= 0.5;
                }
            } else if reached.contains(service) && !own.contains_key(service) {
                // One that does not tell the symptom's metric (a database: locks, disk) speaks by what it has.
                score = *general;
            }
            (service, score + 0.05 * general)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_795_253_400 + secs)
    }

    fn series(name: &str, baseline: &[f64], incident: &[f64]) -> Measured {
        let from = |start: i64| (start..).step_by(60).map(at);
        let before = -60 * i64::try_from(baseline.len()).unwrap();
        Measured {
            name: name.into(),
            unit: String::new(),
            baseline: from(before).zip(baseline.iter().copied()).collect(),
            incident: from(0).zip(incident.iter().copied()).collect(),
            ..Measured::default()
        }
    }

    fn order(found: &[Suspect]) -> Vec<String> {
        found.iter().map(|s| s.series.clone().or_else(|| s.service.clone()).unwrap_or_default()).collect()
    }

    #[test]
    fn what_moved_far_and_for_good_is_first() {
        let calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8];
        let all = [
            series("a|cpu_usage", &calm, &[10.0, 10.4, 9.7, 10.1]),
            series("b|cpu_usage", &calm, &[40.0, 42.0, 41.0, 43.0]),
            series("c|cpu_usage", &calm, &[10.0, 60.0, 10.0, 10.0]),
            series("d|errors", &[0.0; 8], &[0.0, 0.0, 3.0, 4.0]),
            series("e|errors", &[0.0; 8], &[0.0; 4]),
            series("f|queue", &[], &[0.0, 7.0]),
            series("g|queue", &[f64::NAN; 8], &[f64::NAN; 4]),
        ];
        let found = suspects(&all, &Known::default());
        assert_eq!(order(&found)[..2], ["d|errors", "b|cpu_usage"], "{found:#?}");
        let b = &found[1];
        assert_eq!((b.way, b.before, b.after, b.changed_at), (Direction::Up, Some(10.0), Some(41.5), Some(at(0))));
        assert!(b.why().starts_with("cpu_usage rose 10 → 41.5 from"), "{}", b.why());
        assert!(!order(&found).contains(&"e|errors".to_owned()) && !order(&found).contains(&"g|queue".to_owned()));
        assert!(found.iter().any(|s| s.series.as_deref() == Some("f|queue") && s.why().contains("not there before")));
    }

    #[test]
    fn along_the_calls_the_one_whose_change_nobody_below_explains() {
        let calm = [0.10, 0.11, 0.09, 0.10, 0.10, 0.105, 0.095, 0.1];
        let all = [
            series("front|latency", &calm, &[2.1, 2.2, 2.1]),
            series("shop|latency", &calm, &[2.0, 2.1, 2.0]),
            series("db|latency", &[0.001; 8], &[0.004, 0.004, 0.004]),
            series("mail|latency", &calm, &[9.0, 9.0, 9.0]),
        ];
        let calls = BTreeMap::from([
            ("front".to_owned(), vec!["shop".to_owned()]),
            ("shop".to_owned(), vec!["db".to_owned()]),
            ("mail".to_owned(), vec![]),
        ]);
        let known = Known { symptom: Some("front|latency".into()), calls, ..Known::default() };
        let found = suspects(&all, &known);
        assert_eq!(found[0].service.as_deref(), Some("shop"), "{found:#?}");
        // A callee whose latency nobody measures, but whose disk is full.
        let mut disk = all.to_vec();
        disk.retain(|s| s.name != "db|latency");
        disk.push(series("db|disk_used_percent", &[60.0, 60.1, 59.9, 60.0, 60.1, 60.0], &[99.0, 99.1, 99.0]));
        assert_eq!(suspects(&disk, &known)[0].service.as_deref(), Some("db"));
    }

    #[test]
    fn a_log_that_changed_makes_its_service_suspect() {
        let calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0];
        let all = [series("a|cpu", &calm, &[12.0, 12.0]), series("b|cpu", &calm, &[12.0, 12.0])];
        let logs = BTreeMap::from([("b".to_owned(), 400.0), ("y".to_owned(), 2.0), ("z".to_owned(), 20.0)]);
        let found = suspects(&all, &Known { logs, ..Known::default() });
        assert_eq!(found[0].service.as_deref(), Some("b"));
        assert!(found[0].why().contains("; its log has changed too"));
        let by_log: Vec<&str> = found.iter().filter(|s| s.series.is_none()).filter_map(|s| s.service.as_deref()).collect();
        assert_eq!(by_log, ["z"], "what chance gives makes nobody suspect");
    }

    #[test]
    fn who_names_another_in_its_log_suffers_from_it() {
        let calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0];
        let all = [series("gate|latency", &calm, &[31.0; 4]), series("shop|latency", &calm, &[30.0; 4])];
        assert_eq!(suspects(&all, &Known::default())[0].service.as_deref(), Some("gate"));
        let blames = BTreeMap::from([("gate".to_owned(), BTreeSet::from(["shop".to_owned()]))]);
        assert_eq!(suspects(&all, &Known { blames, ..Known::default() })[0].service.as_deref(), Some("shop"));
        // Who is not suspect is not blamed.
        let idle = BTreeMap::from([("gate".to_owned(), BTreeSet::from(["mail".to_owned()]))]);
        assert_eq!(suspects(&all, &Known { blames: idle, ..Known::default() })[0].service.as_deref(), Some("gate"));
    }

    proptest::proptest! {
        #[test]
        fn order_and_units_of_the_series_change_nothing(
            values in proptest::collection::vec((proptest::collection::vec(-50.0_f64..50.0, 4..12), proptest::collection::vec(-80.0_f64..80.0, 1..6)), 2..8),
            shift in 0_usize..8,
        ) {
            let all: Vec<Measured> =
                values.iter().enumerate().map(|(n, (b, i))| series(&format!("s{}|cpu{n}", n % 3), b, i)).collect();
            let first = order(&suspects(&all, &Known::default()));
            let mut turned = all.clone();
            let by = shift % turned.len();
            turned.rotate_left(by);
            proptest::prop_assert_eq!(&order(&suspects(&turned, &Known::default())), &first);
            // One thing in two units: what rounding leaves between the two decides nothing.
            let twin = |s: &mut Measured, by: f64| s.baseline.iter_mut().chain(&mut s.incident).for_each(|(_, v)| *v *= by);
            let mut all = all;
            all.extend(all.first().cloned().map(|s| Measured { name: "s0|cpu_share".into(), ..s }));
            all.iter_mut().rev().take(1).for_each(|s| twin(s, 0.37));
            let first = order(&suspects(&all, &Known::default()));
            let mut scaled = all.clone();
            for (n, s) in scaled.iter_mut().enumerate() {
                twin(s, [1000.0, 0.001, 60.0, 1.0][n % 4]);
            }
            proptest::prop_assert_eq!(&order(&suspects(&scaled, &Known::default())), &first);
            let mut more = all;
            more.push(series("quiet|cpu", &[7.0; 6], &[7.0; 3]));
            proptest::prop_assert_eq!(&order(&suspects(&more, &Known::default())), &first);
        }

        #[test]
        fn no_numbers_make_it_panic(b in proptest::collection::vec(proptest::num::f64::ANY, 0..9), i in proptest::collection::vec(proptest::num::f64::ANY, 0..6)) {
            for s in suspects(&[series("a|cpu", &b, &i), series("", &i, &b)], &Known::default()) {
                proptest::prop_assert!(s.score.is_finite() && s.score >= 0.0, "{s:?}");
            }
        }
    }
}
