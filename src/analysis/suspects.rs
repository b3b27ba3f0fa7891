//! Which series, and which services, an incident most likely began with.
//!
//! Each series is measured against its own baseline in its own spread, so that units and sizes do not matter; what was constant
//! and moved counts as much as anything. Each service is then as suspect as its most suspect series. Three kinds of knowledge go
//! in: what a metric tells (a caller's view of others, or the traffic, is rather a symptom than a cause), which share of the
//! symptom's own change a service has and none of its callees explains (where the call graph is known), and how the service's
//! log has changed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::requests::Changed;
use crate::telemetry::Timestamp;
use crate::telemetry::series::human_value;

/// Departures up to here count in full; beyond, only their order matters: a quiet baseline makes any change look endless.
const LARGE: f64 = 100.0;
/// How much a departure beyond [`LARGE`] still adds.
const BEYOND: f64 = 0.25;
/// A spread below this share of the level is none.
const NO_SPREAD: f64 = 1e-6;
/// The departure of a series that was not there before and tells something now.
const NEW: f64 = 5.0;
/// From this departure on a service counts as touched, where the call graph is followed.
const TOUCHED: f64 = 3.0;
/// Of a service that is only another's view of something.
const VIEW: f64 = 0.7;
/// Of metrics where requests can be followed, and of what following them tells: that a service goes on otherwise, and that the
/// steps which touch it take longer.
const METRICS_BESIDE: f64 = 0.5;
const FLOW: f64 = 0.75;
const SLOW: f64 = 1.25;
/// From here on a change of a service's part in the requests is told.
const TELLING: f64 = 5.0;
/// Baseline samples below which nothing can be said of a spread.
const FEW: usize = 3;

/// Which way a series went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
    Flat,
}

impl Way {
    /// The word as printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Flat => "flat",
        }
    }
}

/// A series: its name as given (`service|metric` where the service is known), its normal values, and its values since the
/// incident began, with their times. NaN is a gap.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub name: String,
    pub baseline: Vec<f64>,
    pub incident: Vec<(Timestamp, f64)>,
}

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
}

/// A suspect.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    pub service: Option<String>,
    /// `None`: only its log points to the service.
    pub series: Option<String>,
    /// The service's score; 0 and above, larger is more suspect.
    pub score: f64,
    pub way: Way,
    pub changed_at: Option<Timestamp>,
    /// Medians of the baseline and since.
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// In one sentence.
    pub why: String,
}

/// What was measured of one series.
#[derive(Clone, Debug)]
struct Departure {
    index: usize,
    service: String,
    metric: String,
    /// In spreads of the baseline.
    size: f64,
    /// With what the metric tells.
    weight: f64,
    way: Way,
    before: Option<f64>,
    after: Option<f64>,
    changed_at: Option<Timestamp>,
}

impl Departure {
    fn score(&self) -> f64 {
        self.weight * self.size.ln_1p()
    }
}

/// Service and metric of a series' name: `service|metric`; without a bar, all of it is the metric.
fn parts(name: &str) -> (&str, &str) {
    name.split_once('|').unwrap_or(("", name))
}

/// What a change of a metric of this name tells of its own service.
fn weight(service: &str, metric: &str) -> f64 {
    let metric = metric.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| metric.contains(w));
    let by_metric = if has(&["node"]) {
        // The machine's, shared by all that run there.
        0.5
    } else if has(&["client"]) {
        // Its view of those that it calls.
        0.3
    } else if has(&[
        "error",
        "fail",
        "5xx",
        "exception",
        "success",
        "availab",
        "latency",
        "duration",
        "response",
        "time",
        "cpu",
        "mem",
    ]) {
        1.0
    } else {
        // Traffic follows demand.
        0.5
    };
    let service = service.to_ascii_lowercase();
    if service.contains("remote") || service.contains("client") { by_metric * VIEW } else { by_metric }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    all.sort_unstable_by(f64::total_cmp);
    all
}

/// The quantile of sorted values, interpolated; `None` when there are none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q * last as f64;
    let (below, share) = (place.floor(), place - place.floor());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the values")]
    let (a, b) = (sorted.get(below as usize)?, sorted.get((below as usize + 1).min(last))?);
    Some(a + (b - a) * share)
}

fn measure(index: usize, series: &Measured) -> Departure {
    let (service, metric) = parts(&series.name);
    let base = sorted(series.baseline.iter().copied());
    let now = sorted(series.incident.iter().map(|(_, v)| *v));
    let (before, after) = (quantile(&base, 0.5), quantile(&now, 0.5));
    let mut found = Departure {
        index,
        service: service.to_owned(),
        metric: metric.to_owned(),
        size: 0.0,
        weight: weight(service, metric),
        way: Way::Flat,
        before,
        after,
        changed_at: None,
    };
    let Some(after) = after else { return found };
    if base.len() < FEW {
        if base.is_empty() && now.iter().any(|v| *v != 0.0) {
            (found.size, found.way) = (NEW, Way::Up);
            found.changed_at = series.incident.iter().find(|(_, v)| v.is_finite() && *v != 0.0).map(|(at, _)| *at);
        }
        return found;
    }
    let median = before.unwrap_or(0.0);
    let quartile = |q| quantile(&base, q).unwrap_or(median);
    let off = sorted(base.iter().map(|v| (v - median).abs()));
    let mean = base.iter().sum::<f64>() / base.len() as f64;
    let variance = base.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / base.len() as f64;
    // Two robust spreads, and a part of the plain one: bursts are not unheard of where there were some.
    let spread =
        ((quartile(0.75) - quartile(0.25)) / 1.349).max(1.4826 * quantile(&off, 0.5).unwrap_or(0.0)).max(0.25 * variance.sqrt());
    let least = NO_SPREAD * median.abs().max(1e-12);
    let far = now.iter().map(|v| (v - median).abs()).fold(0.0, f64::max);
    // The farthest and the lasting departure together: neither a blip nor a slow drift alone.
    let moved = (far * (after - median).abs()).sqrt();
    let mut size = moved / spread.max(least);
    if size > LARGE {
        size = if spread <= least { LARGE } else { (LARGE.ln_1p() + BEYOND * (size / LARGE).ln()).exp_m1() };
    }
    found.size = if size.is_finite() { size } else { 0.0 };
    found.way = match after - median {
        d if d > 0.0 => Way::Up,
        d if d < 0.0 => Way::Down,
        _ => Way::Flat,
    };
    let outside = |v: f64| v.is_finite() && (v - median).abs() > (3.0 * spread).max(least);
    let same_side = |v: f64| (v > median) == (found.way == Way::Up);
    found.changed_at = series.incident.iter().find(|(_, v)| outside(*v) && same_side(*v)).map(|(at, _)| *at);
    found
}

/// Ranks what an incident may have begun with, the most suspect first: one entry for each series, services in the order of
/// their score, and of each service its most telling series first. Series that say nothing are left out. The order does not
/// depend on the order in which the series are given, nor on their units.
pub fn suspects(series: &[Measured], known: &Known) -> Vec<Suspect> {
    let mut found: Vec<Departure> = series.iter().enumerate().map(|(i, s)| measure(i, s)).collect();
    let by_service = match symptom_of(series, known) {
        Some(symptom) if !known.calls.is_empty() => by_graph(series, &found, known, symptom),
        _ => by_series(&found, known),
    };
    let name = |d: &Departure| series.get(d.index).map_or("", |s| s.name.as_str());
    let score = |service: &str| by_service.get(service).copied().unwrap_or(0.0);
    found.sort_by(|a, b| {
        (score(&b.service).total_cmp(&score(&a.service)))
            .then_with(|| a.service.cmp(&b.service))
            .then_with(|| b.score().total_cmp(&a.score()))
            .then_with(|| name(a).cmp(name(b)))
    });
    let measured: BTreeSet<&str> = found.iter().filter(|d| d.size > 0.0).map(|d| d.service.as_str()).collect();
    let mut out: Vec<Suspect> = Vec::new();
    for d in found.iter().filter(|d| d.size > 0.0) {
        out.push(Suspect {
            service: (!d.service.is_empty()).then(|| d.service.clone()),
            series: Some(name(d).to_owned()),
            score: score(&d.service),
            way: d.way,
            changed_at: d.changed_at,
            before: d.before,
            after: d.after,
            why: why(d, known),
        });
    }
    let logs = known.logs.iter().filter(|(_, g)| **g > 0.0).map(|(s, _)| s);
    let requests = known.requests.iter().filter(|(_, c)| c.flow > 0.0 || c.slow > 0.0).map(|(s, _)| s);
    let by_log: BTreeSet<&String> = logs.chain(requests).collect();
    for service in by_log.into_iter().filter(|s| !measured.contains(s.as_str())) {
        out.push(Suspect {
            service: Some(service.clone()),
            series: None,
            score: score(service),
            way: Way::Flat,
            changed_at: None,
            before: None,
            after: None,
            why: format!("only its log has changed{}", in_logs(service, known)),
        });
    }
    out.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.service.cmp(&b.service)));
    out
}

/// What the log of a service tells, as the end of a sentence; empty when nothing.
fn in_logs(service: &str, known: &Known) -> String {
    if let Some(changed) = known.requests.get(service) {
        let told = |what: f64, text: &str| if what > TELLING { format!("; {text}") } else { String::new() };
        return told(changed.slow, &changed.slow_told) + &told(changed.flow, &changed.flow_told);
    }
    match known.logs.get(service) {
        Some(g) if *g > 10.83 => format!("; its log has changed too (G {})", human_value(*g)),
        _ => String::new(),
    }
}

fn why(d: &Departure, known: &Known) -> String {
    let told = |v: Option<f64>| v.map_or_else(|| "nothing".to_owned(), human_value);
    let way = match d.way {
        Way::Up => "rose",
        Way::Down => "fell",
        Way::Flat => "stayed",
    };
    let metric = if d.metric.is_empty() { "it" } else { d.metric.as_str() };
    let size = if d.before.is_none() {
        "not there before".to_owned()
    } else {
        format!("{} times its usual spread", human_value(d.size))
    };
    let at = d.changed_at.map(|t| format!(" from {} UTC", t.clock(time::UtcOffset::UTC))).unwrap_or_default();
    let log = in_logs(&d.service, known);
    format!("{metric} {way} {} → {}{at}, {size}{log}", told(d.before), told(d.after))
}

/// Each service by its most suspect series, and a little by the next; its log counts as much.
fn by_series(found: &[Departure], known: &Known) -> BTreeMap<String, f64> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for d in found {
        all.entry(d.service.clone()).or_default().push(d.score());
    }
    let mut by_service: BTreeMap<String, f64> = all
        .into_iter()
        .map(|(service, scores)| {
            let scores: Vec<f64> = sorted(scores.into_iter()).into_iter().rev().collect();
            let first = scores.first().copied().unwrap_or(0.0);
            let score = if !known.requests.is_empty() {
                METRICS_BESIDE * first
            } else if !known.logs.is_empty() {
                first
            } else {
                first + 0.15 * scores.get(1).copied().unwrap_or(0.0)
            };
            (service, score)
        })
        .collect();
    if !known.requests.is_empty() {
        for (service, changed) in &known.requests {
            *by_service.entry(service.clone()).or_default() += FLOW * changed.flow.ln_1p() + SLOW * changed.slow.ln_1p();
        }
        return by_service;
    }
    for (service, g) in &known.logs {
        *by_service.entry(service.clone()).or_default() += g.max(0.0).ln_1p();
    }
    by_service
}

struct Symptom<'a> {
    service: &'a str,
    metric: &'a str,
    /// How far its median moved.
    moved: f64,
}

fn symptom_of<'a>(series: &[Measured], known: &'a Known) -> Option<Symptom<'a>> {
    let name = known.symptom.as_deref()?;
    let (service, metric) = parts(name);
    let found = series.iter().enumerate().find(|(_, s)| s.name == name).map(|(i, s)| measure(i, s));
    Some(Symptom { service, metric, moved: found.and_then(|d| moved(&d)).unwrap_or(0.0) })
}

fn moved(d: &Departure) -> Option<f64> {
    Some(d.after? - d.before?)
}

/// Along the call graph: of all that can be reached from the symptom, who has a share of its change that no callee explains?
/// Times add up along calls, so that shares of the symptom's own metric can be compared.
fn by_graph(series: &[Measured], found: &[Departure], known: &Known, symptom: Symptom<'_>) -> BTreeMap<String, f64> {
    let general = by_series(found, known);
    let own: BTreeMap<&str, &Departure> =
        found.iter().filter(|d| d.metric == symptom.metric).map(|d| (d.service.as_str(), d)).collect();
    let _series = series;
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
    let along = |service: &str| own.get(service).and_then(|d| moved(d)).unwrap_or(0.0) * direction;
    let is_touched = |service: &str| own.get(service).is_some_and(|d| d.size >= TOUCHED);
    let services: BTreeSet<&str> = general.keys().map(String::as_str).collect();
    services
        .into_iter()
        .map(|service| {
            let change = along(service);
            let mut score = 0.0;
            if reached.contains(service) && is_touched(service) && change > 0.0 {
                let callees = known.calls.get(service).into_iter().flatten().filter(|c| *c != service && is_touched(c));
                let explained = callees.map(|c| along(c)).fold(0.0, f64::max);
                let left = (1.0 - explained / change).max(0.0);
                let share = if symptom.moved == 0.0 { 0.0 } else { (change / symptom.moved.abs()).min(1.0) };
                score = own.get(service).map_or(0.0, |d| d.size.ln_1p()) * left * (0.3 + 0.7 * share);
                let lower = service.to_ascii_lowercase();
                if lower.contains("remote") || lower.contains("client") {
                    score *= 0.5;
                }
            }
            (service.to_owned(), score + 0.05 * general.get(service).copied().unwrap_or(0.0))
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
        let times = (0..).step_by(60).map(at);
        Measured { name: name.into(), baseline: baseline.to_vec(), incident: times.zip(incident.iter().copied()).collect() }
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
        assert_eq!((b.way, b.before, b.after, b.changed_at), (Way::Up, Some(10.0), Some(41.5), Some(at(0))));
        assert!(b.why.starts_with("cpu_usage rose 10 → 41.5 from"), "{}", b.why);
        assert!(!order(&found).contains(&"e|errors".to_owned()) && !order(&found).contains(&"g|queue".to_owned()));
        assert!(found.iter().any(|s| s.series.as_deref() == Some("f|queue") && s.why.contains("not there before")));
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
    }

    #[test]
    fn a_log_that_changed_makes_its_service_suspect() {
        let calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0];
        let all = [series("a|cpu", &calm, &[12.0, 12.0]), series("b|cpu", &calm, &[12.0, 12.0])];
        let logs = BTreeMap::from([("b".to_owned(), 400.0), ("z".to_owned(), 2.0)]);
        let found = suspects(&all, &Known { logs, ..Known::default() });
        assert_eq!(found[0].service.as_deref(), Some("b"));
        assert!(found[0].why.contains("its log has changed too"));
        assert!(found.iter().any(|s| s.service.as_deref() == Some("z") && s.series.is_none()));
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
            // Powers of two: rounding is no matter of units.
            let mut scaled = all.clone();
            for (n, s) in scaled.iter_mut().enumerate() {
                let unit = [1024.0, 0.25, 1.0][n % 3];
                s.baseline.iter_mut().for_each(|v| *v *= unit);
                s.incident.iter_mut().for_each(|(_, v)| *v *= unit);
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
