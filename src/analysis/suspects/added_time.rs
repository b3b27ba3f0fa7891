//! Finds services whose requests take longer because they wait for another service.
//!
//! Requests per second times their mean duration is the time that a service spends on requests, in seconds per second (Little's
//! law). A caller that waits for its callee spends the callee's time as well. So if a callee becomes slow, it adds at least as much
//! time as any of its callers does, unless something else slows the caller as well. A service that adds clearly more time than
//! another one, in the same course, may therefore be what the other one waits for.
//!
//! But a caller of several slow services adds the time of all of them. Its usual durations set it apart, because requests nest: those of
//! a caller usually take at least as long as those of its callee. So without a call graph, only a service whose requests are
//! usually shorter explains another one, or a store, which waits for no service. With a call graph, only callees explain their
//! callers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::{ScoredSeries, Shape, SuspectContext, contains_any, is_duration, is_request_count, percentile, word_regex};
use crate::analysis::departure::{Point, SeriesId};
use crate::analysis::movement::Direction;
use crate::analysis::quantity::{Quantity, View, shows_others, words};
use crate::telemetry::Timestamp;

/// The durations of a service must rise by this many spreads to explain those of another one.
const MIN_DEPARTURE: f64 = 3.0;
/// The durations of a service that are explained have themselves risen by this many spreads.
const MIN_OWN: f64 = 1.0;
/// Factor by which the added times must differ: a caller adds a little of its own, and samples are taken at different times. A store
/// may have added as much less.
const MARGIN: f64 = 1.1;
/// How well the durations must follow each other: their correlation, and the least number of samples for one.
const MIN_LIKENESS: f64 = 0.9;
const MIN_SHAPE: usize = 8;
/// Minimum number of samples of the incident that the added time is taken from.
const MIN_SAMPLES: usize = 3;

/// Why a service may only be waiting for another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The service that it may be waiting for.
    pub callee: String,
    /// The mean durations and the numbers of requests of both.
    pub series: Vec<SeriesId>,
}

/// How much longer the requests of a service took.
struct AddedTime<'a> {
    service: &'a str,
    mean: ScoredSeries<'a>,
    counts: Vec<&'a SeriesId>,
    /// By sample of the incident, in seconds times the unit of the number of requests.
    samples: Vec<Point>,
    shape: Shape,
    is_store: bool,
}

/// The services whose durations another one explains: the one that added the most time. Empty where mean durations or numbers of requests
/// are unknown.
pub(super) fn explained<'a>(scored: &[ScoredSeries<'a>], known: &SuspectContext) -> BTreeMap<&'a str, Waiting> {
    let mut added = added_times(scored);
    added.sort_by(|a, b| b.level().total_cmp(&a.level()).then_with(|| a.service.cmp(b.service)));
    let may_explain = |of: &&AddedTime<'_>| of.rise() >= MIN_DEPARTURE && !shows_others(of.service);
    let explaining: Vec<&AddedTime<'_>> = added.iter().filter(may_explain).collect();
    let mut out = BTreeMap::new();
    for own in added.iter().filter(|own| own.rise() >= MIN_OWN && own.shape.len() >= MIN_SHAPE) {
        let callees = known.calls.reachable_from(own.service);
        let is_callee = |of: &AddedTime<'_>| {
            if known.calls.is_empty() { of.is_store || of.usually() <= own.usually() } else { callees.contains(of.service) }
        };
        let explains = |of: &&&AddedTime<'_>| {
            let Some((level, own_level)) = of.levels(own) else { return false };
            let is_more = if of.is_store { level * MARGIN > own_level } else { level > own_level * MARGIN };
            is_more
                && own_level > 0.0
                && of.service != own.service
                && (of.is_store || !own.is_store)
                && is_callee(of)
                && own.shape.correlation(&of.shape) >= MIN_LIKENESS
        };
        if let Some(of) = explaining.iter().find(explains) {
            let series = own.series().chain(of.series()).cloned().collect();
            out.insert(own.service, Waiting { callee: of.service.to_owned(), series });
        }
    }
    out
}

/// The time that each service added. A service with several mean durations has none, because it is not known which requests they are of.
/// Services are comparable only if their requests are counted by the same metric, so the one that most services have is used.
fn added_times<'a>(scored: &[ScoredSeries<'a>]) -> Vec<AddedTime<'a>> {
    let mut means: BTreeMap<&str, Vec<ScoredSeries<'a>>> = BTreeMap::new();
    let mut counts: BTreeMap<&str, BTreeMap<&str, Vec<ScoredSeries<'a>>>> = BTreeMap::new();
    for one in scored.iter().filter(|one| !one.service.is_empty() && one.meaning.view == View::Own) {
        match one.meaning.quantity {
            Quantity::Latency if is_mean_duration(one) => means.entry(one.service).or_default().push(*one),
            Quantity::Traffic if is_request_count(one.metric) => {
                let kind = one.metric.split('{').next().unwrap_or(one.metric);
                counts.entry(kind).or_default().entry(one.service).or_default().push(*one);
            }
            _ => {}
        }
    }
    let counts = counts.into_values().rev().max_by_key(BTreeMap::len).unwrap_or_default();
    let mut added: Vec<AddedTime<'_>> = Vec::new();
    for (service, means) in means {
        if let ([mean], Some(counts)) = (means.as_slice(), counts.get(service)) {
            added.extend(AddedTime::of(service, *mean, counts));
        }
    }
    added
}

/// Whether a series is a mean of the durations of requests. A percentile does not show how much time was added in all.
fn is_mean_duration(one: &ScoredSeries<'_>) -> bool {
    const REQUESTS: [&str; 5] = ["latency", "request", "requests", "response", "server"];
    const OTHERS: [&str; 9] = ["max", "maximum", "min", "minimum", "median", "bucket", "sum", "count", "stddev"];
    let words = words(one.metric.split('{').next().unwrap_or(one.metric));
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    let is_statistic = percentile(one.metric).is_some() || words.iter().any(|word| is_percentile(word));
    is_duration(one.metric) && has(&REQUESTS) && !has(&OTHERS) && !is_statistic && !one.departure.is_rate
}

/// Whether a word names a percentile: `p50`, `p100`.
fn is_percentile(word: &str) -> bool {
    word.strip_prefix('p').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a service stores data or messages, by the words of its name, rather than working with a store.
fn is_store(service: &str) -> bool {
    static STORES: LazyLock<Option<Regex>> = LazyLock::new(|| {
        word_regex(
            "db(?:\\b|_)|database|dynamo|sql|postgres|redis|mongo|cassandra|elasticsearch|opensearch|kafka|rabbit|memcache",
        )
    });
    const USERS: [&str; 12] = [
        "api",
        "service",
        "client",
        "consumer",
        "producer",
        "worker",
        "exporter",
        "proxy",
        "sync",
        "backup",
        "migration",
        "admin",
    ];
    contains_any(&STORES, service) && !words(service).iter().any(|word| USERS.contains(&word.as_str()))
}

/// The mean of the samples within a range of time, both ends included; `None` if they are too few.
fn mean_of(samples: &[Point], range: Option<(Timestamp, Timestamp)>) -> Option<f64> {
    let is_within = |at: &Timestamp| range.is_none_or(|(from, to)| (from..=to).contains(at));
    let values: Vec<f64> = samples.iter().filter(|(at, _)| is_within(at)).map(|(_, v)| *v).collect();
    (values.len() >= MIN_SAMPLES).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

impl<'a> AddedTime<'a> {
    /// How much longer a request took than before, times the number of requests at that time. `None` if most samples of the mean have
    /// no number of requests.
    fn of(service: &'a str, mean: ScoredSeries<'a>, counts: &[ScoredSeries<'a>]) -> Option<Self> {
        let normal = mean.departure.before?;
        let mut requests: BTreeMap<Timestamp, f64> = BTreeMap::new();
        for (at, n) in counts.iter().flat_map(ScoredSeries::values_since) {
            *requests.entry(at).or_default() += n;
        }
        let since = mean.values_since();
        let unit = mean.unit_in_seconds();
        let samples: Vec<Point> =
            since.iter().filter_map(|(at, v)| Some((*at, (v - normal) * unit * requests.get(at)?))).collect();
        let is_paired = samples.len() * 2 > since.len() && mean.departure.direction == Direction::Up;
        is_paired.then(|| Self {
            service,
            mean,
            counts: counts.iter().map(|count| &count.series.id).collect(),
            samples,
            shape: Shape::of(&mean),
            is_store: is_store(service),
        })
    }

    /// The mean of all samples.
    fn level(&self) -> f64 {
        mean_of(&self.samples, None).unwrap_or(0.0)
    }

    /// The means of the samples of both from the time that both have, because series may begin and end at different times. `None` if these
    /// are too few.
    fn levels(&self, other: &Self) -> Option<(f64, f64)> {
        let (a, b) = (&self.samples, &other.samples);
        let from = a.first()?.0.max(b.first()?.0);
        let to = a.last()?.0.min(b.last()?.0);
        Some((mean_of(a, Some((from, to)))?, mean_of(b, Some((from, to)))?))
    }

    /// How far its mean duration rose, in spreads.
    fn rise(&self) -> f64 {
        self.mean.departure.sides().0
    }

    /// Its mean duration before, in seconds.
    fn usually(&self) -> f64 {
        self.mean.departure.before.unwrap_or(0.0) * self.mean.unit_in_seconds()
    }

    fn series(&self) -> impl Iterator<Item = &SeriesId> {
        std::iter::once(&self.mean.series.id).chain(self.counts.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Suspect, suspects};
    use super::*;
    use crate::analysis::departure::MeasuredSeries;
    use crate::analysis::parts::{LeftOut, Part};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(1_795_253_400 + 60 * minute)
    }

    /// Twenty minutes around a level, then six from it on; the course of the rise is the same for all.
    fn course(name: &str, before: f64, added: f64) -> MeasuredSeries {
        varying(name, before, added, 0.02)
    }

    fn varying(name: &str, before: f64, added: f64, share: f64) -> MeasuredSeries {
        let noise = |minute: i64| 1.0 + share * [0.0, 1.0, -0.5, 0.5, -1.0][minute.unsigned_abs() as usize % 5];
        let rise = [0.2, 1.0, 0.8, 1.1, 0.9, 1.0];
        MeasuredSeries {
            id: SeriesId::from_column(name),
            baseline: (-20..0).map(|m| (at(m), before * noise(m))).collect(),
            incident: (0..6).zip(rise).map(|(m, share)| (at(m), before * noise(m) + added * share)).collect(),
            ..MeasuredSeries::default()
        }
    }

    /// The requests per second of a service, and their mean duration with how much it rose.
    fn service(name: &str, rate: f64, before: f64, added: f64) -> [MeasuredSeries; 2] {
        [course(&format!("{name}|requests per second"), rate, 0.0), course(&format!("{name}|latency mean"), before, added)]
    }

    /// The front calls the shop, and the shop calls the stock in two of three requests. The stock takes 0.34 s longer, which is
    /// less in spreads than what the others show.
    fn chain() -> Vec<MeasuredSeries> {
        let mut all = [service("front", 10.0, 0.06, 0.19), service("shop", 20.0, 0.05, 0.20)].concat();
        all.push(course("stock|requests per second", 14.0, 0.0));
        all.push(varying("stock|latency mean", 0.04, 0.34, 0.2));
        all
    }

    fn order(found: &[Suspect]) -> Vec<&str> {
        let mut services: Vec<&str> = Vec::new();
        for service in found.iter().filter_map(|s| s.service.as_deref()) {
            if !services.contains(&service) {
                services.push(service);
            }
        }
        services
    }

    /// The services that may be waiting, and for which.
    fn waiting(all: &[MeasuredSeries], calls: &[(&str, &[&str])]) -> Vec<(String, String)> {
        let calls = calls.iter().flat_map(|(caller, callees)| callees.iter().map(move |callee| (*caller, *callee))).collect();
        let found = suspects(all, &SuspectContext { calls, ..SuspectContext::default() });
        let mut waiting: Vec<_> = found.into_iter().filter_map(|s| Some((s.service?, s.waiting?.callee))).collect();
        waiting.sort();
        waiting
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn the_service_that_added_the_most_time_explains_its_callers() {
        let found = suspects(&chain(), &SuspectContext::default());
        assert_eq!(order(&found)[0], "stock", "{found:#?}");
        let of = |service: &str| found.iter().find(|s| s.service.as_deref() == Some(service) && s.waiting.is_some()).unwrap();
        let clause = "stock added more request time in total, so shop may only be waiting for stock";
        assert!(of("shop").why().contains(clause), "{}", of("shop").why());
        let evidence: Vec<String> = of("shop").waiting.iter().flat_map(|w| &w.series).map(SeriesId::column).collect();
        assert_eq!(
            evidence,
            ["shop|latency mean", "shop|requests per second", "stock|latency mean", "stock|requests per second"]
        );
        assert_eq!(waiting(&chain(), &[]), pairs(&[("front", "stock"), ("shop", "stock")]));
        let without = SuspectContext { left_out: LeftOut::default().and(Part::Time), ..SuspectContext::default() };
        assert_eq!(order(&suspects(&chain(), &without))[0], "shop", "by spreads alone");
        let mut turned = chain();
        turned.reverse();
        assert_eq!(waiting(&turned, &[]), waiting(&chain(), &[]));
    }

    #[test]
    fn only_callees_explain_where_the_calls_are_known() {
        assert_eq!(waiting(&chain(), &[("front", &["shop"]), ("shop", &["mail"])]), pairs(&[("front", "shop")]));
        // A caller that repeats its calls added more than its callee.
        let retries = [service("front", 10.0, 0.05, 0.48), service("bank", 10.0, 0.06, 0.40)].concat();
        assert_eq!(waiting(&retries, &[("front", &["bank"])]), []);
    }

    #[test]
    fn a_caller_of_several_slow_services_does_not_explain_them() {
        let fan_out =
            [service("front", 100.0, 0.10, 0.4), service("cart", 100.0, 0.04, 0.2), service("bank", 100.0, 0.04, 0.2)].concat();
        assert_eq!(waiting(&fan_out, &[]), []);
        // A store does, however long its requests usually take.
        let store = [service("store-db", 200.0, 0.05, 0.2), service("cart", 100.0, 0.04, 0.2), service("bank", 100.0, 0.04, 0.2)]
            .concat();
        assert_eq!(waiting(&store, &[]), pairs(&[("bank", "store-db"), ("cart", "store-db")]));
    }

    #[test]
    fn nothing_is_explained_without_means_requests_or_a_common_course() {
        let changed = |change: fn(&mut Vec<MeasuredSeries>)| {
            let mut all = chain();
            change(&mut all);
            waiting(&all, &[])
        };
        assert_eq!(changed(|all| all.iter_mut().for_each(|s| s.id.metric = s.id.metric.replace("mean", "p95"))), []);
        assert_eq!(changed(|all| all.retain(|s| s.id.metric != "requests per second")), []);
        // Two means: it is not known of which requests.
        assert_eq!(changed(|all| all.push(course("stock|grpc_server_latency", 0.04, 0.34))), pairs(&[("front", "shop")]));
        // A stock that became slow at another time, or whose samples are taken at other times than its requests.
        let shop = pairs(&[("front", "shop")]);
        assert_eq!(changed(|all| all[5].incident.iter_mut().take(3).for_each(|point| point.1 = 0.04)), shop);
        assert_eq!(changed(|all| all[4].incident.iter_mut().for_each(|p| p.0 = p.0 + std::time::Duration::from_secs(5))), shop);
        // A gateway only passes on what others need.
        let gateway = |s: &mut MeasuredSeries| s.id.service = s.id.service.replace("stock", "api-gateway");
        let mut all = chain();
        all.iter_mut().for_each(gateway);
        assert_eq!(waiting(&all, &[]), shop);
    }

    #[test]
    fn only_the_time_that_both_have_is_compared() {
        // The stock is known for longer than the shop: in all, it added more, but not in the same time.
        let mut all = [service("shop", 20.0, 0.05, 0.235), service("stock", 14.0, 0.04, 0.34)].concat();
        for s in &mut all[2..] {
            let value = 1.5 * s.incident[5].1;
            s.incident.extend((6..40).map(|minute| (at(minute), value)));
        }
        assert_eq!(waiting(&all, &[]), []);
    }

    #[test]
    fn nearly_the_same_time_says_nothing_except_of_a_store() {
        let tie = |name: &str| waiting(&[service("shop", 20.0, 0.05, 0.235), service(name, 14.0, 0.04, 0.34)].concat(), &[]);
        assert_eq!(tie("stock"), []);
        assert_eq!(tie("orders-db"), pairs(&[("shop", "orders-db")]));
        assert_eq!(tie("orders-db-exporter"), [], "it works with a store");
    }

    #[test]
    fn milliseconds_are_compared_with_seconds() {
        let mut mixed = chain();
        for s in mixed.iter_mut().filter(|s| s.id.metric == "latency mean") {
            s.unit = if s.id.service == "stock" { "s" } else { "ms" }.to_owned();
            let factor = if s.id.service == "stock" { 1.0 } else { 1000.0 };
            s.baseline.iter_mut().chain(&mut s.incident).for_each(|(_, v)| *v *= factor);
        }
        assert_eq!(waiting(&mixed, &[]), waiting(&chain(), &[]));
    }
}
