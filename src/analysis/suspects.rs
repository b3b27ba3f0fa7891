//! Ranks the series and services that an incident most likely began with.
//!
//! Each series is measured against its own baseline, in its own spread, so that units and magnitudes do not matter. A
//! service scores as its most suspect series does. Three kinds of knowledge adjust the score:
//!
//! - The measured quantity: a caller's view of others, or traffic, is more likely a symptom than a cause.
//! - Where the call graph is known, the service's share of the symptom's change that none of its callees explains.
//! - How the service's log changed.

mod wait_attribution;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{LazyLock, OnceLock};

use regex::{Regex, RegexBuilder};

use super::departure::{Departure, MeasuredSeries, measure};
use super::movement::Direction;
use super::requests::ServiceChange;
use crate::telemetry::Timestamp;
use crate::telemetry::series::{human_measure, human_value};
pub use wait_attribution::WaitAttribution;

/// Departure, in spreads, from which a service counts as affected when the call graph is followed.
const AFFECTED: f64 = 3.0;
/// Weight of a service that is only a caller's view of another.
const VIEW_WEIGHT: f64 = 0.7;
/// Weights where requests can be followed: of the metrics, of a changed request flow, and of slower steps.
const METRIC_WEIGHT: f64 = 0.5;
const FLOW_WEIGHT: f64 = 0.75;
const SLOW_WEIGHT: f64 = 1.25;
/// Weight of a service whose log names another at least half as suspect.
const BLAMING_WEIGHT: f64 = 0.6;
/// G statistic that chance exceeds in one of a thousand patterns.
const MIN_G: f64 = 10.83;
/// Size from which a change in a service's part of the requests is reported.
const MIN_REQUEST_CHANGE: f64 = 5.0;
/// Score from which a service is reported as the one that others wait for.
const MIN_WAIT_SCORE: f64 = 1.0;

/// The context besides the series.
#[derive(Clone, Debug, Default)]
pub struct SuspectContext {
    /// Name of the series that shows the symptom.
    pub symptom: Option<String>,
    /// Callees by caller.
    pub calls: BTreeMap<String, Vec<String>>,
    /// How much each service's log changed: a G statistic, 0 or more.
    pub logs: BTreeMap<String, f64>,
    /// How each service's part in the requests changed, where its log identifies requests. Used in place of `logs` if it
    /// shows anything, because it does not depend on the number of requests.
    pub requests: BTreeMap<String, ServiceChange>,
    /// Services that each service's new log lines name; the naming service is more likely a victim than the cause.
    pub blames: BTreeMap<String, BTreeSet<String>>,
}

impl SuspectContext {
    /// Whether following requests showed a change; if not, only line counts are used from the logs.
    fn has_request_changes(&self) -> bool {
        self.requests.values().any(|c| c.flow > 0.0 || c.slowdown > MIN_REQUEST_CHANGE)
    }
}

/// A series, or a service without one, that the incident may have begun with.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    pub service: Option<String>,
    /// Name of the series; `None` if only the log, or a caller that waits, points to the service.
    pub series: Option<String>,
    /// Score of the service: 0 or more, larger is more suspect.
    pub score: f64,
    /// How far the series left its normal range, in spreads; 0 without a series.
    pub size: f64,
    pub direction: Direction,
    pub changed_at: Option<Timestamp>,
    /// Medians of the baseline and since; per second for a counter.
    pub before: Option<f64>,
    pub after: Option<f64>,
    pub is_rate: bool,
    /// Unit shown after a value: `s`, `B`, or empty.
    pub unit: String,
    /// How the service's log changed, only on its first series; empty if it did not.
    pub log_change: String,
    /// The caller that probably waits for the service, only on its first series.
    pub wait: Option<WaitAttribution>,
}

impl Suspect {
    /// Explains the suspicion in parts joined by `; `, such as
    /// `cpu rose 10 → 41.5 at 09:31:00 UTC, 47.1σ (robust) above baseline`.
    pub fn why(&self) -> String {
        let in_logs = match self.series {
            None => self.log_change.replace(" as well", ""),
            Some(_) => self.log_change.clone(),
        };
        let waited = self.wait.as_ref().map(|w| w.description.clone()).unwrap_or_default();
        let own = match &self.series {
            Some(series) if self.changed_at.is_some() || waited.is_empty() => describe_change(self, split_name(series).1),
            _ if waited.is_empty() => return format!("no metric changed, but {in_logs}"),
            _ => "its own metrics look normal".to_owned(),
        };
        [own, in_logs, waited].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// A series with its departure and score.
#[derive(Clone, Copy, Debug)]
struct ScoredSeries<'a> {
    series: &'a MeasuredSeries,
    service: &'a str,
    metric: &'a str,
    departure: Departure,
    score: f64,
    /// Score of its service; 0 until it is known.
    service_score: f64,
}

impl ScoredSeries<'_> {
    /// Returns the change of the median; a duration in seconds. `None` without values before or since.
    fn median_change(&self) -> Option<f64> {
        Some((self.departure.after? - self.departure.before?) * self.unit_in_seconds())
    }

    /// Returns its unit in seconds; 1 for anything but `ms`, `us`, `ns` and `min`.
    fn unit_in_seconds(&self) -> f64 {
        match self.series.unit.as_str() {
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            "min" => 60.0,
            _ => 1.0,
        }
    }
}

/// Splits a series name `service|metric` into service and metric; without a bar, all of it is the metric.
fn split_name(name: &str) -> (&str, &str) {
    name.split_once('|').unwrap_or(("", name))
}

/// Words in a metric's name, in any case: metrics of a machine, which is shared; of calls to other services; and of the
/// service itself. A metric with none of these measures traffic, which follows demand.
static MACHINE_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| word_regex("node"));
static CLIENT_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| word_regex("client"));
static OWN_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    word_regex(
        "error|fail|5xx|exception|success|availab|latency|duration|response|time|cpu|mem|heap|pool|queue|waiting|in_use|\
         connections|threads|backlog|lag|disk|throttl|restart",
    )
});
/// Words in the name of a service that is only a caller's view of another.
static VIEW_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| word_regex("remote|client"));

fn word_regex(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).case_insensitive(true).unicode(false).build().ok()
}

fn contains_any(words: &LazyLock<Option<Regex>>, text: &str) -> bool {
    words.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// Returns how much a change of a metric with this name counts against its own service.
fn weight(service: &str, metric: &str) -> f64 {
    let by_metric = match () {
        () if contains_any(&MACHINE_WORDS, metric) => 0.5,
        () if contains_any(&CLIENT_WORDS, metric) => 0.3,
        () if contains_any(&OWN_WORDS, metric) => 1.0,
        () => 0.5,
    };
    if contains_any(&VIEW_WORDS, service) { by_metric * VIEW_WEIGHT } else { by_metric }
}

/// Scores are rounded to this step, because rounding errors make one series in two units differ slightly.
const SCORE_STEP: f64 = 1e-9;
/// Number of series from which they are measured on several threads.
const MIN_PARALLEL: usize = 256;
/// Largest number of threads.
const MAX_THREADS: usize = 4;

/// Measures and scores all series. The result keeps their order, whatever the number of threads.
fn score_all(series: &[MeasuredSeries]) -> Vec<ScoredSeries<'_>> {
    fn score_one(series: &MeasuredSeries) -> ScoredSeries<'_> {
        let (service, metric) = split_name(&series.name);
        let departure = measure(series);
        let score = if departure.size > 0.0 { weight(service, metric) * departure.size.ln_1p() } else { 0.0 };
        let score = (score / SCORE_STEP).round() * SCORE_STEP;
        ScoredSeries { series, service, metric, departure, score, service_score: 0.0 }
    }
    // Asking the system on each call would cost more than measuring a few series.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let threads = *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS));
    if series.len() < MIN_PARALLEL || threads < 2 {
        return series.iter().map(score_one).collect();
    }
    let mut parts = series.chunks(series.len().div_ceil(threads));
    let own = parts.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> =
            parts.map(|part| scope.spawn(move || part.iter().map(score_one).collect::<Vec<ScoredSeries<'_>>>())).collect();
        let mut scored: Vec<ScoredSeries<'_>> = own.iter().map(score_one).collect();
        // The threads do not panic. If one did, only its series would be missing.
        for part in others {
            scored.extend(part.join().unwrap_or_default());
        }
        scored
    })
}

/// Ranks what an incident may have begun with, the most suspect first: one entry per series, services by score, and for each
/// service its highest-scoring series first. Series that did not depart from their baseline are left out.
///
/// The order does not depend on the order of the input or on units, with one exception: durations and counts are compared
/// between services along a call graph and to find the callee that a caller waits for. Durations may be in any unit that their series
/// states; counts must share one unit.
pub fn suspects(series: &[MeasuredSeries], known: &SuspectContext) -> Vec<Suspect> {
    let mut found = score_all(series);
    let mut waited = BTreeMap::new();
    let mut by_service = match find_symptom(&found, known) {
        // The call graph already shows which service the symptom waits for.
        Some(symptom) if !known.calls.is_empty() => score_by_graph(&found, known, &symptom),
        _ => {
            let mut by_service = score_by_series(&found, known);
            // Followed requests already show where they waited.
            if !known.has_request_changes() {
                waited = wait_attribution::attribute_waits(&found, known);
                for (service, waited) in &waited {
                    *by_service.entry(service).or_default() += waited.score;
                }
            }
            by_service
        }
    };
    waited.retain(|_, waited| waited.score > MIN_WAIT_SCORE);
    lower_blaming(&mut by_service, known);
    let score = |service: &str| by_service.get(service).copied().unwrap_or(0.0);
    for scored in &mut found {
        scored.service_score = score(scored.service);
    }
    let measured: BTreeSet<&str> = found.iter().filter(|d| d.departure.size > 0.0).map(|d| d.service).collect();
    found.retain(|d| d.departure.size > 0.0);
    found.sort_unstable_by(|a, b| {
        (b.service_score.total_cmp(&a.service_score))
            .then_with(|| a.service.cmp(b.service))
            .then_with(|| b.score.total_cmp(&a.score))
            .then_with(|| a.series.name.cmp(&b.series.name))
    });
    let mut out = with_series(&found, known, &waited);
    let without_series: Vec<Suspect> = reported_services(known, &waited)
        .into_iter()
        .filter(|s| !measured.contains(s))
        .map(|service| Suspect {
            service: Some(service.to_owned()),
            series: None,
            score: score(service),
            size: 0.0,
            direction: Direction::Flat,
            changed_at: None,
            before: None,
            after: None,
            is_rate: false,
            unit: String::new(),
            log_change: describe_logs(service, known),
            wait: waited.get(service).cloned(),
        })
        .collect();
    if !without_series.is_empty() {
        out.extend(without_series);
        out.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.service.cmp(&b.service)));
    }
    out
}

/// Lowers the score of services that blame another one which is at least half as suspect.
fn lower_blaming(by_service: &mut BTreeMap<&str, f64>, known: &SuspectContext) {
    let before = by_service.clone();
    for (service, blamed) in &known.blames {
        let Some(score) = by_service.get_mut(service.as_str()) else { continue };
        let most = blamed.iter().filter(|b| *b != service).filter_map(|b| before.get(b.as_str())).copied().fold(0.0, f64::max);
        if most >= 0.5 * *score {
            *score *= BLAMING_WEIGHT;
        }
    }
}

/// A suspect for each series, in their order. The log and the wait are reported once, with the first series of the service.
fn with_series(found: &[ScoredSeries<'_>], known: &SuspectContext, waited: &BTreeMap<&str, WaitAttribution>) -> Vec<Suspect> {
    let mut out: Vec<Suspect> = Vec::with_capacity(found.len());
    let mut last = None;
    for d in found {
        let Departure { size, direction, changed_at, before, after, is_rate } = d.departure;
        let is_first = last.replace(d.service) != Some(d.service);
        out.push(Suspect {
            service: (!d.service.is_empty()).then(|| d.service.to_owned()),
            series: Some(d.series.name.clone()),
            score: d.service_score,
            size,
            direction,
            changed_at,
            before,
            after,
            is_rate,
            unit: d.series.unit.clone(),
            log_change: if is_first { describe_logs(d.service, known) } else { String::new() },
            wait: if is_first { waited.get(d.service).cloned() } else { None },
        });
    }
    out
}

/// Services that are suspect by their log, their requests or a wait, whether or not they have a series.
fn reported_services<'a>(known: &'a SuspectContext, waited: &BTreeMap<&'a str, WaitAttribution>) -> BTreeSet<&'a str> {
    let mut reported: BTreeSet<&str> = if known.has_request_changes() {
        known
            .requests
            .iter()
            .filter(|(_, c)| c.flow > MIN_REQUEST_CHANGE || c.slowdown > MIN_REQUEST_CHANGE)
            .map(|(s, _)| s.as_str())
            .collect()
    } else {
        known.logs.iter().filter(|(_, g)| **g > MIN_G).map(|(s, _)| s.as_str()).collect()
    };
    reported.extend(waited.keys());
    reported
}

/// Describes how the log of a service changed, as part of a sentence; empty if it did not change enough.
fn describe_logs(service: &str, known: &SuspectContext) -> String {
    if let Some(changed) = known.requests.get(service).filter(|_| known.has_request_changes()) {
        let parts = [(changed.slowdown, &changed.slowdown_description), (changed.flow, &changed.flow_description)];
        return parts
            .iter()
            .filter(|(size, _)| *size > MIN_REQUEST_CHANGE)
            .map(|(_, text)| text.as_str())
            .collect::<Vec<_>>()
            .join("; ");
    }
    match known.logs.get(service) {
        Some(g) if *g > MIN_G => "its logs changed as well".to_owned(),
        _ => String::new(),
    }
}

/// Describes how a series changed, in the unit of the metric.
fn describe_change(s: &Suspect, metric: &str) -> String {
    let per = if s.is_rate { "/s" } else { "" };
    // A unit in the name is not repeated after each value.
    let unit = if metric.contains(&format!("({})", s.unit)) { "" } else { s.unit.as_str() };
    let show = |v: Option<f64>| v.map_or_else(|| "no data".to_owned(), |v| human_measure(v, unit) + per);
    let (verb, side) = match s.direction {
        Direction::Up => ("rose", "above"),
        Direction::Down => ("fell", "below"),
        Direction::Flat => ("stayed", "from"),
    };
    let metric = if metric.is_empty() { "it" } else { metric };
    let size = if s.before.is_some() && s.after.is_none() {
        "the series ended".to_owned()
    } else if s.before.is_none() {
        "a new series".to_owned()
    } else {
        format!("{}σ (robust) {side} baseline", human_value(s.size))
    };
    let at = s.changed_at.map(|t| format!(" at {} UTC", t.clock(time::UtcOffset::UTC))).unwrap_or_default();
    format!("{metric} {verb} {} → {}{at}, {size}", show(s.before), show(s.after))
}

/// Scores each service by its most suspect series and its log; without logs, the second series counts a little.
fn score_by_series<'a>(found: &[ScoredSeries<'a>], known: &'a SuspectContext) -> BTreeMap<&'a str, f64> {
    // The highest and the second-highest score of each service.
    let mut all: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for d in found {
        let (first, second) = all.entry(d.service).or_default();
        if d.score > *first {
            (*first, *second) = (d.score, *first);
        } else {
            *second = second.max(d.score);
        }
    }
    let is_followed = known.has_request_changes();
    let mut by_service: BTreeMap<&str, f64> = all
        .into_iter()
        .map(|(service, (first, second))| {
            let score = if is_followed {
                METRIC_WEIGHT * first
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
            *by_service.entry(service).or_default() +=
                FLOW_WEIGHT * changed.flow.ln_1p() + SLOW_WEIGHT * changed.slowdown.ln_1p();
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
    /// Change of its median.
    change: f64,
}

fn find_symptom<'a>(found: &[ScoredSeries<'_>], known: &'a SuspectContext) -> Option<Symptom<'a>> {
    let name = known.symptom.as_deref()?;
    let (service, metric) = split_name(name);
    let change =
        found.iter().find(|s| s.service == service && s.metric == metric).and_then(ScoredSeries::median_change).unwrap_or(0.0);
    Some(Symptom { service, metric, change })
}

/// Scores each service along the call graph: of the services reachable from the symptom, those whose share of its change no
/// callee explains score highest. Durations add up along calls, so that shares of the symptom's own metric can be compared.
fn score_by_graph<'a>(found: &[ScoredSeries<'a>], known: &'a SuspectContext, symptom: &Symptom<'_>) -> BTreeMap<&'a str, f64> {
    let general = score_by_series(found, known);
    let own: BTreeMap<&str, &ScoredSeries<'_>> =
        found.iter().filter(|d| d.metric == symptom.metric).map(|d| (d.service, d)).collect();
    let mut reached: BTreeSet<&str> = BTreeSet::from([symptom.service]);
    let mut next = VecDeque::from([symptom.service]);
    while let Some(caller) = next.pop_front() {
        for callee in known.calls.get(caller).into_iter().flatten() {
            if reached.insert(callee) {
                next.push_back(callee);
            }
        }
    }
    let direction = if symptom.change < 0.0 { -1.0 } else { 1.0 };
    let change_of = |service: &str| own.get(service).and_then(|d| d.median_change()).unwrap_or(0.0) * direction;
    let is_affected = |service: &str| own.get(service).is_some_and(|d| d.departure.size >= AFFECTED);
    general
        .iter()
        .map(|(service, general)| {
            let service = *service;
            let change = change_of(service);
            let mut score = 0.0;
            if reached.contains(service) && is_affected(service) && change > 0.0 {
                let callees = known.calls.get(service).into_iter().flatten().filter(|c| *c != service && is_affected(c));
                let explained = callees.map(|c| change_of(c)).fold(0.0, f64::max);
                let left = (1.0 - explained / change).max(0.0);
                let share = if symptom.change == 0.0 { 0.0 } else { (change / symptom.change.abs()).min(1.0) };
                score = own.get(service).map_or(0.0, |d| d.departure.size.ln_1p()) * left * (0.3 + 0.7 * share);
                if VIEW_WORDS.as_ref().is_some_and(|w| w.is_match(service)) {
                    score *= 0.5;
                }
            } else if reached.contains(service) && !own.contains_key(service) {
                // A service without the symptom's metric (a database: locks, disk) is scored by its own series.
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

    fn series(name: &str, baseline: &[f64], incident: &[f64]) -> MeasuredSeries {
        let from = |start: i64| (start..).step_by(60).map(at);
        let before = -60 * i64::try_from(baseline.len()).unwrap();
        MeasuredSeries {
            name: name.into(),
            unit: String::new(),
            baseline: from(before).zip(baseline.iter().copied()).collect(),
            incident: from(0).zip(incident.iter().copied()).collect(),
            ..MeasuredSeries::default()
        }
    }

    fn order(found: &[Suspect]) -> Vec<String> {
        found.iter().map(|s| s.series.clone().or_else(|| s.service.clone()).unwrap_or_default()).collect()
    }

    #[test]
    fn ranks_large_lasting_changes_first() {
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
        let found = suspects(&all, &SuspectContext::default());
        assert_eq!(order(&found)[..2], ["d|errors", "b|cpu_usage"], "{found:#?}");
        let b = &found[1];
        assert_eq!((b.direction, b.before, b.after, b.changed_at), (Direction::Up, Some(10.0), Some(41.5), Some(at(0))));
        assert!(b.why().starts_with("cpu_usage rose 10 → 41.5 at"), "{}", b.why());
        assert!(!order(&found).contains(&"e|errors".to_owned()) && !order(&found).contains(&"g|queue".to_owned()));
        assert!(found.iter().any(|s| s.series.as_deref() == Some("f|queue") && s.why().contains("a new series")));
    }

    #[test]
    fn follows_calls_to_the_change_no_callee_explains() {
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
        let known = SuspectContext { symptom: Some("front|latency".into()), calls, ..SuspectContext::default() };
        let found = suspects(&all, &known);
        assert_eq!(found[0].service.as_deref(), Some("shop"), "{found:#?}");
        // A callee without a latency metric, but with a full disk.
        let mut disk = all.to_vec();
        disk.retain(|s| s.name != "db|latency");
        disk.push(series("db|disk_used_percent", &[60.0, 60.1, 59.9, 60.0, 60.1, 60.0], &[99.0, 99.1, 99.0]));
        assert_eq!(suspects(&disk, &known)[0].service.as_deref(), Some("db"));
    }

    #[test]
    fn ranks_services_whose_log_changed() {
        let calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0];
        let all = [series("a|cpu", &calm, &[12.0, 12.0]), series("b|cpu", &calm, &[12.0, 12.0])];
        let logs = BTreeMap::from([("b".to_owned(), 400.0), ("y".to_owned(), 2.0), ("z".to_owned(), 20.0)]);
        let found = suspects(&all, &SuspectContext { logs, ..SuspectContext::default() });
        assert_eq!(found[0].service.as_deref(), Some("b"));
        assert!(found[0].why().contains("; its logs changed as well"));
        let by_log: Vec<&str> = found.iter().filter(|s| s.series.is_none()).filter_map(|s| s.service.as_deref()).collect();
        assert_eq!(by_log, ["z"], "a change that chance explains is not reported");
    }

    #[test]
    fn lowers_a_service_whose_log_names_another_suspect() {
        let calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0];
        let all = [series("gate|latency", &calm, &[31.0; 4]), series("shop|latency", &calm, &[30.0; 4])];
        assert_eq!(suspects(&all, &SuspectContext::default())[0].service.as_deref(), Some("gate"));
        let blames = BTreeMap::from([("gate".to_owned(), BTreeSet::from(["shop".to_owned()]))]);
        assert_eq!(suspects(&all, &SuspectContext { blames, ..SuspectContext::default() })[0].service.as_deref(), Some("shop"));
        // Naming a service that is not suspect changes nothing.
        let idle = BTreeMap::from([("gate".to_owned(), BTreeSet::from(["mail".to_owned()]))]);
        assert_eq!(
            suspects(&all, &SuspectContext { blames: idle, ..SuspectContext::default() })[0].service.as_deref(),
            Some("gate")
        );
    }

    proptest::proptest! {
        #[test]
        fn ranking_ignores_input_order_and_units(
            values in proptest::collection::vec((proptest::collection::vec(-50.0_f64..50.0, 4..12), proptest::collection::vec(-80.0_f64..80.0, 1..6)), 2..8),
            shift in 0_usize..8,
        ) {
            let all: Vec<MeasuredSeries> =
                values.iter().enumerate().map(|(n, (b, i))| series(&format!("s{}|cpu{n}", n % 3), b, i)).collect();
            let first = order(&suspects(&all, &SuspectContext::default()));
            let mut turned = all.clone();
            let by = shift % turned.len();
            turned.rotate_left(by);
            proptest::prop_assert_eq!(&order(&suspects(&turned, &SuspectContext::default())), &first);
            // The same series in two units: rounding errors must not decide the order.
            let scale = |s: &mut MeasuredSeries, by: f64| s.baseline.iter_mut().chain(&mut s.incident).for_each(|(_, v)| *v *= by);
            let mut all = all;
            all.extend(all.first().cloned().map(|s| MeasuredSeries { name: "s0|cpu_share".into(), ..s }));
            all.iter_mut().rev().take(1).for_each(|s| scale(s, 0.37));
            let first = order(&suspects(&all, &SuspectContext::default()));
            let mut scaled = all.clone();
            for (n, s) in scaled.iter_mut().enumerate() {
                scale(s, [1000.0, 0.001, 60.0, 1.0][n % 4]);
            }
            proptest::prop_assert_eq!(&order(&suspects(&scaled, &SuspectContext::default())), &first);
            let mut more = all;
            more.push(series("quiet|cpu", &[7.0; 6], &[7.0; 3]));
            proptest::prop_assert_eq!(&order(&suspects(&more, &SuspectContext::default())), &first);
        }

        #[test]
        fn never_panics(b in proptest::collection::vec(proptest::num::f64::ANY, 0..9), i in proptest::collection::vec(proptest::num::f64::ANY, 0..6)) {
            for s in suspects(&[series("a|cpu", &b, &i), series("", &i, &b)], &SuspectContext::default()) {
                proptest::prop_assert!(s.score.is_finite() && s.score >= 0.0, "{s:?}");
            }
        }
    }
}
