//! Ranks the series and services that an incident most likely began with.
//!
//! Each series is measured against its own baseline, in its own spread, so that units and magnitudes do not matter. A
//! service scores as its most suspect series does. Five kinds of knowledge adjust the score:
//!
//! - The measured quantity: more errors hurt and more successes do not; a caller's view of others, or traffic, is more likely
//!   a symptom than a cause.
//! - The symptom, if it is known: how well the course of a series follows it.
//! - Where mean durations and requests are known, which of the slower services added the most time: the others may wait for it.
//! - Where the call graph is known, the service's share of the symptom's change that none of its callees explains.
//! - How the service's log changed.

mod added_time;
mod wait_attribution;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::call_graph::CallGraph;
use super::departure::{Departure, MeasuredSeries, Point, SeriesId, measure_without, quantile, rates};
use super::movement::Direction;
use super::parallel::map_all;
use super::parts::{LeftOut, Part};
use super::quantity::{Meaning, Quantity, service_weight};
use super::requests::ServiceChange;
use crate::telemetry::Timestamp;
use crate::telemetry::series::{human_measure, human_value};
pub use added_time::Waiting;
pub use wait_attribution::WaitAttribution;

/// Departure, in spreads, from which a service counts as affected when the call graph is followed.
const AFFECTED: f64 = 1.5;
/// Share of the score without the graph, for services that the graph does not tell apart.
const GENERAL_SHARE: f64 = 0.05;
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
/// Share of a service's change that is left to it if a callee without the symptom's metric changed as well.
const LEFT_BY_OTHER_METRICS: f64 = 0.5;
/// Weight of the second series of a service, without logs.
const SECOND_WEIGHT: f64 = 0.3;
/// Share of the score of a series that depends on how its shape follows that of the symptom.
const SHAPE_SHARE: f64 = 0.8;
/// Weight of a series that shows how long requests take if the symptom is how they end, and the other way round.
const OTHER_KIND_WEIGHT: f64 = 0.6;
/// Minimum number of series of one metric whose usual spread says something about another.
const MIN_SAME_METRIC: usize = 3;
/// Share of the baseline that must have samples for a series to count in full.
const MIN_COVERAGE: f64 = 0.5;
/// Baseline samples for each sample of the incident, and the least number of them, over which shapes are compared.
const SHAPE_BASELINE: usize = 3;
const MIN_SHAPE_BASELINE: usize = 30;

/// The context besides the series.
#[derive(Clone, Debug, Default)]
pub struct SuspectContext {
    /// The series that shows the symptom.
    pub symptom: Option<SeriesId>,
    pub calls: CallGraph,
    /// How much each service's log changed: a G statistic, 0 or more.
    pub logs: BTreeMap<String, f64>,
    /// How each service's part in the requests changed, where its log identifies requests. Used in place of `logs` if it
    /// shows anything, because it does not depend on the number of requests.
    pub requests: BTreeMap<String, ServiceChange>,
    /// Services that each service's new log lines name; the naming service is more likely a victim than the cause.
    pub blames: BTreeMap<String, BTreeSet<String>>,
    /// Parts of the ranking that are left out, to measure what they contribute.
    pub left_out: LeftOut,
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
    /// `None` if only the log, or a caller that waits, points to the service.
    pub series: Option<SeriesId>,
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
    /// Why it may only be waiting for another service, only on its first series of durations.
    pub waiting: Option<Waiting>,
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
            Some(series) if self.changed_at.is_some() || waited.is_empty() => describe_change(self, &series.metric),
            _ if waited.is_empty() => return format!("no metric changed, but {in_logs}"),
            _ => "its own metrics look normal".to_owned(),
        };
        let waits = self.waiting.as_ref().map_or_else(String::new, |waiting| {
            let name = self.service.as_deref().unwrap_or_default();
            format!("{0} added more request time in total, so {name} may only be waiting for {0}", waiting.callee)
        });
        [own, waits, in_logs, waited].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// A series with its departure and score.
#[derive(Clone, Copy, Debug)]
struct ScoredSeries<'a> {
    series: &'a MeasuredSeries,
    service: &'a str,
    metric: &'a str,
    meaning: Meaning,
    departure: Departure,
    score: f64,
    /// Score of its service; 0 until it is known.
    service_score: f64,
}

impl ScoredSeries<'_> {
    /// Returns the change of the mean since, from what is normal; a duration in seconds.
    fn mean_change(&self) -> f64 {
        self.departure.mean_change * self.unit_in_seconds()
    }

    /// The finite values of the incident; of a counter, its rate.
    fn values_since(&self) -> Vec<Point> {
        let incident = &self.series.incident;
        if self.departure.is_rate {
            rates(None, incident)
        } else {
            incident.iter().filter(|(_, v)| v.is_finite()).copied().collect()
        }
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

/// Words in the name of a metric that measures durations, and of one that counts requests.
static DURATION_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| word_regex("latency|duration|response_?time"));
static COUNT_WORDS: LazyLock<Option<Regex>> =
    LazyLock::new(|| word_regex("workload|requests?\\b|requests?_total|calls|(?:\\b|_)(?:ops|rps|qps)\\b"));
/// A percentile in a metric's name or labels: `P95`, `p99.9`, `quantile="0.95"`, and `-95` at the end.
static PERCENTILE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"[pP]([5-9]\d(?:\.?\d)?)(?:$|[^\d])|quantile="0?\.([5-9]\d*)"|[-_. ](50|75|90|95|99(?:\.9)?)$"#).ok()
});

/// Whether the name of a metric says that it measures durations of requests.
fn is_duration(metric: &str) -> bool {
    contains_any(&DURATION_WORDS, metric)
}

/// Whether the name of a metric says that it counts requests.
fn is_request_count(metric: &str) -> bool {
    contains_any(&COUNT_WORDS, metric) && !is_duration(metric)
}

/// Returns the percentile in the name of a metric of durations as a fraction: 0.95 of `LatencyP95(s)`, `latency_p95`, `latency-95` and
/// `duration{quantile="0.95"}`; 0.999 of `p999`.
fn percentile(metric: &str) -> Option<f64> {
    let found = PERCENTILE.as_ref()?.captures(metric)?;
    let digits = found.iter().skip(1).flatten().next()?.as_str().replace('.', "");
    format!("0.{digits}").parse().ok()
}

fn word_regex(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).case_insensitive(true).unicode(false).build().ok()
}

fn contains_any(words: &LazyLock<Option<Regex>>, text: &str) -> bool {
    words.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// Scores are rounded to this step, because rounding errors make one series in two units differ slightly.
const SCORE_STEP: f64 = 1e-9;
/// Number of series from which they are measured on several threads.
const MIN_PARALLEL: usize = 256;

/// Measures all series. The result keeps their order, whatever the number of threads.
fn measured<'a>(series: &'a [MeasuredSeries], known: &SuspectContext) -> Vec<ScoredSeries<'a>> {
    let mut scored: Vec<ScoredSeries<'_>> = series
        .iter()
        .zip(map_all(series, MIN_PARALLEL, |series| measure_without(series, known.left_out)))
        .map(|(series, departure)| {
            let (service, metric) = (series.id.service.as_str(), series.id.metric.as_str());
            ScoredSeries { series, service, metric, meaning: Meaning::of(metric), departure, score: 0.0, service_score: 0.0 }
        })
        .collect();
    let usual = usual_spreads(&scored);
    for one in &mut scored {
        if let Some(spread) = usual.get(&(one.metric, one.series.unit.as_str())).filter(|_| known.left_out.uses(Part::Others)) {
            one.departure.compare_with_others(*spread);
        }
    }
    scored
}

/// Scores measured series. `explained` are the services whose durations another one explains.
fn score_all(scored: &mut [ScoredSeries<'_>], explained: &BTreeMap<&str, Waiting>, known: &SuspectContext) {
    let symptom = known.symptom.as_ref().and_then(|id| scored.iter().find(|s| s.series.id == *id));
    let symptom = symptom.filter(|_| known.left_out.uses(Part::Symptom)).map(|s| (s.meaning, Shape::of(s)));
    for one in scored {
        let meaning = one.meaning;
        let (up, down) = one.departure.sides();
        let by_side = [(up, Direction::Up), (down, Direction::Down)]
            .map(|(size, side)| size.ln_1p() * meaning.weight(side, known.left_out));
        let by_symptom = symptom.as_ref().map_or(1.0, |(of_symptom, shape)| {
            let by_kind = if meaning.is_like(*of_symptom) { 1.0 } else { OTHER_KIND_WEIGHT };
            by_kind * (1.0 - SHAPE_SHARE + SHAPE_SHARE * shape.likeness(&Shape::of(one)))
        });
        let by_view = if known.left_out.uses(Part::View) { service_weight(one.service, meaning) } else { 1.0 };
        let is_explained = meaning.quantity == Quantity::Latency && explained.contains_key(one.service);
        let by_time = if is_explained { EXPLAINED_SHARE } else { 1.0 };
        let by_coverage = if known.left_out.uses(Part::Coverage) { coverage(one.series) } else { 1.0 };
        let score = by_side[0].max(by_side[1]) * by_view * by_time * by_coverage * by_symptom;
        if one.departure.size > 0.0 {
            one.score = (score / SCORE_STEP).round() * SCORE_STEP;
        }
    }
}

/// The weight of a series by how many of its baseline samples are missing: few samples know little about what is normal.
fn coverage(series: &MeasuredSeries) -> f64 {
    let known = series.baseline.iter().filter(|(_, v)| v.is_finite()).count();
    if series.baseline.is_empty() { 1.0 } else { (known as f64 / (MIN_COVERAGE * series.baseline.len() as f64)).min(1.0).sqrt() }
}

/// The median spread of each metric, in each of its units, that several series measure.
fn usual_spreads<'a>(scored: &[ScoredSeries<'a>]) -> BTreeMap<(&'a str, &'a str), f64> {
    let mut all: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for one in scored {
        all.entry((one.metric, one.series.unit.as_str())).or_default().extend(one.departure.spread());
    }
    all.into_iter()
        .filter(|(_, spreads)| spreads.len() >= MIN_SAME_METRIC)
        .filter_map(|(of, mut spreads)| Some((of, quantile(&mut spreads, 0.5)?)))
        .collect()
}

/// The course of a series over the incident and the time before, for comparing it with another.
struct Shape(BTreeMap<Timestamp, f64>);

impl Shape {
    fn of(scored: &ScoredSeries<'_>) -> Self {
        let MeasuredSeries { baseline, incident, .. } = scored.series;
        let before = (SHAPE_BASELINE * incident.len()).max(MIN_SHAPE_BASELINE);
        let points: Vec<Point> = baseline
            .iter()
            .skip(baseline.len().saturating_sub(before))
            .chain(incident)
            .filter(|(_, v)| v.is_finite())
            .copied()
            .collect();
        Self(if scored.departure.is_rate { rates(None, &points) } else { points }.into_iter().collect())
    }

    /// The number of samples.
    fn len(&self) -> usize {
        self.0.len()
    }

    /// The absolute correlation with another, 0 to 1.
    fn likeness(&self, other: &Self) -> f64 {
        self.correlation(other).abs()
    }

    /// The correlation with another at the times of this one, -1 to 1; 0 if one is constant. Where the other has no sample it counts as
    /// normal, because nothing shows that it followed.
    fn correlation(&self, other: &Self) -> f64 {
        let mut known: Vec<f64> = other.0.values().copied().collect();
        let Some(normal) = quantile(&mut known, 0.5) else { return 0.0 };
        let pairs: Vec<(f64, f64)> = self.0.iter().map(|(at, a)| (*a, other.0.get(at).copied().unwrap_or(normal))).collect();
        let n = pairs.len() as f64;
        let (mean_a, mean_b) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
        let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
        for (a, b) in pairs {
            both += (a - mean_a) * (b - mean_b);
            of_a += (a - mean_a).powi(2);
            of_b += (b - mean_b).powi(2);
        }
        let correlation = both / (of_a * of_b).sqrt();
        if correlation.is_finite() { correlation.clamp(-1.0, 1.0) } else { 0.0 }
    }
}

/// Ranks what an incident may have begun with, the most suspect first: one entry per series, services by score, and for each
/// service its highest-scoring series first. Series that did not depart from their baseline are left out.
///
/// The order does not depend on the order of the input or on units, with one exception: durations and counts are compared
/// between services along a call graph and to find the callee that a caller waits for. Durations may be in any unit that their series
/// states; counts must share one unit.
pub fn suspects(series: &[MeasuredSeries], known: &SuspectContext) -> Vec<Suspect> {
    let mut found = measured(series, known);
    let explained: BTreeMap<&str, Waiting> =
        if known.left_out.uses(Part::Time) { added_time::explained(&found, known) } else { BTreeMap::new() };
    score_all(&mut found, &explained, known);
    let mut waited = BTreeMap::new();
    let mut by_service = match find_symptom(&found, known) {
        // The call graph already shows which service the symptom waits for.
        Some(symptom) if !known.calls.is_empty() => score_by_graph(&found, known, &symptom),
        _ => {
            let mut by_service = score_by_series(&found, known);
            // Followed requests already show where they waited.
            if !known.has_request_changes() && known.left_out.uses(Part::Waits) {
                waited = wait_attribution::attribute_waits(&found, known);
                for (service, waited) in &waited {
                    *by_service.entry(service).or_default() += waited.score;
                }
            }
            by_service
        }
    };
    waited.retain(|_, waited| waited.score > MIN_WAIT_SCORE);
    if known.left_out.uses(Part::Blames) {
        lower_blaming(&mut by_service, known);
    }
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
            .then_with(|| a.series.id.cmp(&b.series.id))
    });
    let mut out = with_series(&found, known, &waited, &explained);
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
            waiting: None,
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
fn with_series(
    found: &[ScoredSeries<'_>],
    known: &SuspectContext,
    waited: &BTreeMap<&str, WaitAttribution>,
    explained: &BTreeMap<&str, Waiting>,
) -> Vec<Suspect> {
    let mut out: Vec<Suspect> = Vec::with_capacity(found.len());
    let (mut last, mut said) = (None, BTreeSet::new());
    for d in found {
        let Departure { size, direction, changed_at, before, after, is_rate, .. } = d.departure;
        let is_first = last.replace(d.service) != Some(d.service);
        out.push(Suspect {
            service: (!d.service.is_empty()).then(|| d.service.to_owned()),
            series: Some(d.series.id.clone()),
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
            waiting: (d.meaning.quantity == Quantity::Latency)
                .then(|| explained.get(d.service).filter(|_| said.insert(d.service)))
                .flatten()
                .cloned(),
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
                first + if known.left_out.uses(Part::Second) { SECOND_WEIGHT * second } else { 0.0 }
            };
            (service, score)
        })
        .collect();
    if is_followed {
        for (service, changed) in &known.requests {
            let score = by_service.entry(service).or_default();
            *score += FLOW_WEIGHT * changed.flow.ln_1p() + SLOW_WEIGHT * changed.slowdown.ln_1p();
            if changed.slowdown > MIN_REQUEST_CHANGE && known.left_out.uses(Part::Ends) {
                *score *= 1.0 - (1.0 - EXPLAINED_SHARE) * changed.explained;
            }
        }
        return by_service;
    }
    for (service, g) in &known.logs {
        *by_service.entry(service).or_default() += g.max(0.0).ln_1p();
    }
    by_service
}

/// What a service keeps of its score from logs, metrics or durations if another one explains all of its change: its own trouble
/// may hide there.
const EXPLAINED_SHARE: f64 = 0.3;

struct Symptom<'a> {
    service: &'a str,
    metric: &'a str,
    /// 1 if a rise of the symptom hurts, -1 if a fall does.
    sign: f64,
}

fn find_symptom<'a>(found: &[ScoredSeries<'_>], known: &'a SuspectContext) -> Option<Symptom<'a>> {
    let SeriesId { service, metric, .. } = known.symptom.as_ref()?;
    let sign = match Meaning::of(metric).quantity.worse() {
        Some(Direction::Down) => -1.0,
        Some(_) => 1.0,
        None => {
            let own = found.iter().find(|s| s.series.id.service == *service && s.series.id.metric == *metric);
            if own.is_some_and(|s| s.mean_change() < 0.0) { -1.0 } else { 1.0 }
        }
    };
    Some(Symptom { service, metric, sign })
}

/// Scores each service along the call graph: a service that can be reached from the symptom scores by its own series of the
/// symptom's metric, as far as no callee explains its change. Durations add up along calls, so that they can be compared.
fn score_by_graph<'a>(found: &[ScoredSeries<'a>], known: &'a SuspectContext, symptom: &Symptom<'_>) -> BTreeMap<&'a str, f64> {
    let general = score_by_series(found, known);
    let own: BTreeMap<&str, &ScoredSeries<'_>> =
        found.iter().filter(|d| d.metric == symptom.metric).map(|d| (d.service, d)).collect();
    let mut reached = known.calls.reachable_from(symptom.service);
    reached.insert(symptom.service);
    // How much it changed for the worse, as the symptom did; 0 if it did not.
    let worse = |service: &str| {
        let of = |d: &&ScoredSeries<'_>| {
            let (up, down) = d.departure.sides();
            let size = if symptom.sign < 0.0 { down } else { up };
            if size >= AFFECTED { (d.mean_change() * symptom.sign).max(0.0) } else { 0.0 }
        };
        own.get(service).map_or(0.0, of)
    };
    let changed: BTreeSet<&str> = found.iter().filter(|d| d.departure.size >= AFFECTED).map(|d| d.service).collect();
    // The part of a change of the symptom's metric that no callee explains.
    let left_of = |service: &str, change: f64| {
        let callees = || known.calls.callees(service).filter(|c| *c != service);
        let explained = callees().map(worse).fold(0.0, f64::max);
        let left = (1.0 - explained / change).max(0.0);
        let is_explained_otherwise = callees().any(|c| !own.contains_key(c) && changed.contains(c));
        if is_explained_otherwise { left.min(LEFT_BY_OTHER_METRICS) } else { left }
    };
    // Logs and requests know more than the symptom's metric alone, and the graph may lack services that only they show.
    let has_logs = !known.logs.is_empty() || known.has_request_changes();
    general
        .iter()
        .map(|(service, general)| {
            let service = *service;
            let mut score = 0.0;
            if has_logs {
                let change = worse(service);
                let left = if change > 0.0 { left_of(service, change) } else { 1.0 };
                return (service, general * (EXPLAINED_SHARE + (1.0 - EXPLAINED_SHARE) * left));
            }
            if let Some(own_series) = own.get(service) {
                let change = worse(service);
                if reached.contains(service) && change > 0.0 {
                    score = own_series.score * left_of(service, change);
                }
            } else if reached.contains(service) {
                // A service without the symptom's metric (a database: locks, disk) is scored by its own series.
                score = *general;
            }
            (service, score + GENERAL_SHARE * general)
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
            id: SeriesId::from_column(name),
            unit: String::new(),
            baseline: from(before).zip(baseline.iter().copied()).collect(),
            incident: from(0).zip(incident.iter().copied()).collect(),
            ..MeasuredSeries::default()
        }
    }

    fn order(found: &[Suspect]) -> Vec<String> {
        found.iter().map(|s| s.series.as_ref().map(SeriesId::column).or_else(|| s.service.clone()).unwrap_or_default()).collect()
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
        assert!(found.iter().any(|s| s.series == Some(SeriesId::from_column("f|queue")) && s.why().contains("a new series")));
    }

    #[test]
    fn a_calm_service_is_not_more_certain_to_have_changed() {
        let noisy = |shift: f64| [10.0, 14.0, 7.0, 12.0, 8.0, 10.0, 13.0, 9.0].map(|v| v + shift);
        let all = [
            series("a|latency", &noisy(0.0), &[30.0, 31.0, 30.0]),
            series("b|latency", &noisy(1.0), &[11.0, 10.0, 12.0]),
            series("c|latency", &noisy(2.0), &[12.0, 11.0, 13.0]),
            series("d|latency", &[10.0, 10.01, 9.99, 10.0, 10.01, 9.99, 10.0, 10.0], &[11.5, 11.4, 11.5]),
        ];
        let found = suspects(&all, &SuspectContext::default());
        assert_eq!(order(&found)[0], "a|latency", "{found:#?}");
        assert!(
            found.iter().find(|s| s.series == Some(SeriesId::from_column("d|latency"))).is_none_or(|d| d.size < 2.0),
            "{found:#?}"
        );
    }

    #[test]
    fn a_change_for_the_better_counts_less() {
        let calm = [50.0, 51.0, 49.0, 50.5, 49.5, 50.0, 50.2, 49.8];
        let all = [series("better|errors_per_min", &calm, &[5.0; 4]), series("worse|errors_per_min", &calm, &[70.0; 4])];
        assert_eq!(order(&suspects(&all, &SuspectContext::default()))[0], "worse|errors_per_min");
        let all = [series("better|success_percent", &calm, &[95.0; 4]), series("worse|success_percent", &calm, &[30.0; 4])];
        assert_eq!(order(&suspects(&all, &SuspectContext::default()))[0], "worse|success_percent");
    }

    #[test]
    fn a_series_that_follows_the_symptom_is_more_suspect() {
        let calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8, 10.0, 10.6];
        let all = [
            series("front|latency", &calm, &[10.0, 30.0, 10.0, 33.0, 30.0, 10.0]),
            series("follows|latency", &calm, &[10.0, 31.0, 10.0, 34.0, 31.0, 10.0]),
            series("other|latency", &calm, &[36.0, 10.0, 35.0, 10.0, 10.0, 34.0]),
        ];
        let without = suspects(&all, &SuspectContext::default());
        assert_eq!(order(&without)[0], "other|latency", "{without:#?}");
        let known = SuspectContext { symptom: Some(SeriesId::from_column("front|latency")), ..SuspectContext::default() };
        let found = suspects(&all, &known);
        let place = |name: &str| order(&found).iter().position(|n| n == name).unwrap();
        assert!(place("follows|latency") < place("other|latency"), "{found:#?}");
    }

    #[test]
    fn a_service_is_more_suspect_than_the_address_at_which_callers_reach_it() {
        let calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8];
        let all = [
            series("lb-cart.eu-1.example.com|latency", &calm, &[42.0, 43.0, 41.0]),
            series("cart|latency", &calm, &[40.0, 41.0, 39.0]),
        ];
        assert_eq!(order(&suspects(&all, &SuspectContext::default()))[0], "cart|latency");
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
        let calls = [("front", "shop"), ("shop", "db")].into_iter().collect();
        let known = SuspectContext { symptom: Some(SeriesId::from_column("front|latency")), calls, ..SuspectContext::default() };
        let found = suspects(&all, &known);
        assert_eq!(found[0].service.as_deref(), Some("shop"), "{found:#?}");
        // A callee without a latency metric, but with a full disk.
        let mut disk = all.to_vec();
        disk.retain(|s| s.id.service != "db");
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
    fn lowers_a_service_whose_slow_time_is_explained_by_another() {
        let calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0];
        let all = [series("shop|latency", &calm, &[60.0; 4]), series("store|cpu", &calm, &[12.0; 4])];
        let slow = |explained: f64| ServiceChange { slowdown: 40.0, explained, ..ServiceChange::default() };
        let first = |explained: f64| {
            let requests = BTreeMap::from([("shop".to_owned(), slow(explained)), ("store".to_owned(), slow(1.0 - explained))]);
            suspects(&all, &SuspectContext { requests, ..SuspectContext::default() })[0].service.clone()
        };
        assert_eq!(first(0.9).as_deref(), Some("store"));
        assert_eq!(first(0.1).as_deref(), Some("shop"));
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
            all.extend(all.first().cloned().map(|s| MeasuredSeries { id: SeriesId::from_column("s0|cpu_share"), ..s }));
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
