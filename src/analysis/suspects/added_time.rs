//! Finds services whose requests take longer because they wait for another service.
//!
//! Requests per second times their mean duration is the time that a service spends on requests, in seconds per second (Little's
//! law). A caller that waits for its callee spends the callee's time as well, so time that the callee adds to each request is
//! added at the caller too, and at all callers together it is at most what the callee added, as long as each waits for one call at a
//! time. So where two services became slower together, the one that added clearly more time is not waiting for the other one, and
//! the other one may be waiting for it. That needs no call graph; with one, only callees explain their callers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{ScoredSeries, Shape, SuspectContext, is_duration, is_request_count, is_store, percentile};
use crate::analysis::departure::SeriesId;
use crate::analysis::quantity::{Quantity, View, shows_others};
use crate::telemetry::Timestamp;

/// The durations of a service must rise by this many spreads to explain those of another one.
const MIN_DEPARTURE: f64 = 3.0;
/// The durations of a service that are explained have themselves changed by this many spreads.
const MIN_OWN: f64 = 1.0;
/// Factor by which the added times must differ. A caller adds a little of its own, and samples are taken at different times, so that
/// nearly the same time says nothing; but a store waits for no service.
const MARGIN: f64 = 1.1;
/// How well the durations must follow each other.
const MIN_LIKENESS: f64 = 0.9;

/// How much longer the requests of a service took.
struct AddedTime<'a> {
    /// The series of their mean duration.
    mean: &'a SeriesId,
    /// In all, in seconds times the unit of the number of requests.
    total: f64,
    /// How far the mean duration rose, in spreads.
    size: f64,
    shape: Shape,
}

/// The services whose durations another one explains, each with the mean duration of the one that added the most time. Empty where
/// mean durations or numbers of requests are unknown.
pub(super) fn explained<'a>(scored: &[ScoredSeries<'a>], known: &SuspectContext) -> BTreeMap<&'a str, &'a SeriesId> {
    let mut added: Vec<(&str, AddedTime<'_>)> = added_times(scored).into_iter().filter(|(_, own)| own.size >= MIN_OWN).collect();
    added.sort_by(|a, b| b.1.total.total_cmp(&a.1.total));
    let mut out = BTreeMap::new();
    for (service, own) in &added {
        let callees = reachable(service, known);
        let may_explain = |(other, of): &&(&str, AddedTime<'_>)| {
            let is_leaf = is_store(other);
            let is_more = if is_leaf { of.total * MARGIN > own.total } else { of.total > own.total * MARGIN };
            is_more
                && other != service
                && of.size >= MIN_DEPARTURE
                && !shows_others(other)
                && (is_leaf || !is_store(service))
                && (callees.is_empty() || callees.contains(other))
                && own.shape.likeness(&of.shape) >= MIN_LIKENESS
        };
        if let Some((_, of)) = added.iter().find(may_explain) {
            out.insert(*service, of.mean);
        }
    }
    out
}

/// The services that a service calls, also through others. Empty if none are known.
fn reachable<'a>(service: &'a str, known: &'a SuspectContext) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next = VecDeque::from([service]);
    while let Some(caller) = next.pop_front() {
        next.extend(known.calls.get(caller).into_iter().flatten().map(String::as_str).filter(|callee| found.insert(*callee)));
    }
    found
}

/// The time that each service added. Services are comparable only if their requests are counted by the same metric, so the one
/// that most services have is used.
fn added_times<'a>(scored: &[ScoredSeries<'a>]) -> BTreeMap<&'a str, AddedTime<'a>> {
    let mut means: BTreeMap<&str, Vec<&ScoredSeries<'a>>> = BTreeMap::new();
    let mut counts: BTreeMap<&str, BTreeMap<&str, &ScoredSeries<'a>>> = BTreeMap::new();
    for one in scored.iter().filter(|one| !one.service.is_empty() && one.meaning.view == View::Own) {
        match one.meaning.quantity {
            Quantity::Latency if is_mean_duration(one) => means.entry(one.service).or_default().push(one),
            Quantity::Traffic if is_request_count(one.metric) => {
                counts.entry(one.metric).or_default().insert(one.service, one);
            }
            _ => {}
        }
    }
    let counts = counts.into_values().rev().max_by_key(BTreeMap::len).unwrap_or_default();
    let mut out = BTreeMap::new();
    for (service, means) in means {
        let first = means.into_iter().min_by(|a, b| a.series.id.cmp(&b.series.id));
        let Some((mean, count)) = first.zip(counts.get(service)) else { continue };
        if let Some(added) = AddedTime::of(mean, count) {
            out.insert(service, added);
        }
    }
    out
}

/// Whether a series is a mean of durations. A percentile does not show how much time was added in all.
fn is_mean_duration(one: &ScoredSeries<'_>) -> bool {
    const OTHERS: [&str; 4] = ["max", "min", "median", "bucket"];
    let name = one.metric.to_ascii_lowercase();
    is_duration(one.metric)
        && !one.departure.is_rate
        && percentile(one.metric).is_none()
        && !OTHERS.iter().any(|w| name.contains(w))
}

impl<'a> AddedTime<'a> {
    /// Adds up, over the incident, how much longer a request took than before, times the number of requests at that time.
    fn of(mean: &ScoredSeries<'a>, count: &ScoredSeries<'_>) -> Option<Self> {
        let normal = mean.departure.before?;
        let requests: BTreeMap<Timestamp, f64> = count.values_since().into_iter().collect();
        let added: f64 = mean.values_since().iter().filter_map(|(at, secs)| Some((secs - normal) * requests.get(at)?)).sum();
        let total = (added * mean.unit_in_seconds()).max(0.0);
        Some(Self { mean: &mean.series.id, total, size: mean.departure.sides().0, shape: Shape::of(mean) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Suspect, suspects};
    use super::*;
    use crate::analysis::departure::MeasuredSeries;
    use crate::analysis::parts::{LeftOut, Part};

    /// Twenty minutes around a level, then six from it on; the course of the rise is the same for all.
    fn course(name: &str, before: f64, added: f64) -> MeasuredSeries {
        let at = |minute: i64| Timestamp::from_secs(1_795_253_400 + 60 * minute);
        let noise = |minute: i64| 1.0 + 0.02 * [0.0, 1.0, -0.5, 0.5, -1.0][minute.unsigned_abs() as usize % 5];
        let rise = [0.2, 1.0, 0.8, 1.1, 0.9, 1.0];
        MeasuredSeries {
            id: SeriesId::from_column(name),
            baseline: (-20..0).map(|m| (at(m), before * noise(m))).collect(),
            incident: (0..6).zip(rise).map(|(m, share)| (at(m), before * noise(m) + added * share)).collect(),
            ..MeasuredSeries::default()
        }
    }

    /// The front calls the shop, and the shop calls the store in two of three requests. The store takes 0.34 s longer, which is
    /// most in spreads where requests are usually short.
    fn chain() -> Vec<MeasuredSeries> {
        vec![
            course("front|requests per second", 10.0, 0.0),
            course("front|latency mean", 0.020, 0.19),
            course("shop|requests per second", 20.0, 0.0),
            course("shop|latency mean", 0.010, 0.20),
            course("store|requests per second", 14.0, 0.0),
            course("store|latency mean", 0.100, 0.34),
        ]
    }

    fn order(found: &[Suspect]) -> Vec<&str> {
        let mut services: Vec<&str> = Vec::new();
        found.iter().filter_map(|s| s.service.as_deref()).for_each(|s| {
            if !services.contains(&s) {
                services.push(s);
            }
        });
        services
    }

    #[test]
    fn the_service_that_added_the_most_time_explains_its_callers() {
        let found = suspects(&chain(), &SuspectContext::default());
        assert_eq!(order(&found)[0], "store", "{found:#?}");
        let why = |service: &str| found.iter().find(|s| s.service.as_deref() == Some(service)).unwrap().why();
        let clause = "the requests of store were delayed by more time in all, so it may only be waiting for store";
        assert!(why("front").contains(clause) && why("shop").contains(clause), "{} / {}", why("front"), why("shop"));
        assert!(!why("store").contains("waiting"), "{}", why("store"));
        let without = SuspectContext { left_out: LeftOut::default().and(Part::Time), ..SuspectContext::default() };
        assert_eq!(order(&suspects(&chain(), &without))[0], "shop", "by spreads alone");
    }

    #[test]
    fn only_callees_explain_where_the_calls_are_known() {
        let calls = BTreeMap::from([("front".to_owned(), vec!["shop".to_owned()]), ("shop".to_owned(), vec!["mail".to_owned()])]);
        let found = suspects(&chain(), &SuspectContext { calls, ..SuspectContext::default() });
        let waits_for = |service: &str| {
            let first = found.iter().find(|s| s.service.as_deref() == Some(service)).unwrap();
            first.waits_for.as_ref().map(|id| id.service.clone())
        };
        assert_eq!((waits_for("front"), waits_for("shop")), (Some("shop".to_owned()), None));
    }

    #[test]
    fn nothing_is_explained_without_means_requests_or_a_common_course() {
        let explains = |all: &[MeasuredSeries]| suspects(all, &SuspectContext::default()).iter().any(|s| s.waits_for.is_some());
        let mut percentiles = chain();
        for s in &mut percentiles {
            s.id.metric = s.id.metric.replace("mean", "p95");
        }
        assert!(!explains(&percentiles));
        let mut uncounted = chain();
        uncounted.retain(|s| s.id.metric != "requests per second");
        assert!(!explains(&uncounted));
        // A store that became slow at another time.
        let mut apart = chain();
        for point in apart.last_mut().unwrap().incident.iter_mut().take(3) {
            point.1 = 0.1;
        }
        let explained_by = |all: &[MeasuredSeries]| {
            let found = suspects(all, &SuspectContext::default());
            found.into_iter().filter_map(|s| s.waits_for).map(|id| id.service).collect::<BTreeSet<String>>()
        };
        let shop = BTreeSet::from(["shop".to_owned()]);
        assert_eq!(explained_by(&apart), shop, "of the front");
        // A gateway only passes on what others need.
        let mut gateway = chain();
        for s in &mut gateway {
            s.id.service = s.id.service.replace("store", "edge-gateway");
        }
        assert_eq!(explained_by(&gateway), shop, "of the front");
    }

    #[test]
    fn nearly_the_same_time_says_nothing_but_of_a_store() {
        let tie = |service: &str| {
            let mut all = chain();
            all.retain(|s| s.id.service != "front");
            // In all, the callee added 4.76 s per second, and its caller 4.70.
            let shop: Vec<MeasuredSeries> =
                vec![course("shop|requests per second", 20.0, 0.0), course("shop|latency mean", 0.010, 0.235)];
            all.splice(0..2, shop);
            all.iter_mut().filter(|s| s.id.service == "store").for_each(|s| service.clone_into(&mut s.id.service));
            let found = suspects(&all, &SuspectContext::default());
            found.into_iter().filter_map(|s| Some((s.service?, s.waits_for?.service))).collect::<Vec<_>>()
        };
        assert_eq!(tie("stock"), []);
        assert_eq!(tie("orders-db"), [("shop".to_owned(), "orders-db".to_owned())]);
    }

    #[test]
    fn milliseconds_are_compared_with_seconds() {
        let mut mixed = chain();
        for s in mixed.iter_mut().filter(|s| s.id.metric == "latency mean") {
            s.unit = if s.id.service == "store" { "s" } else { "ms" }.to_owned();
            let factor = if s.id.service == "store" { 1.0 } else { 1000.0 };
            s.baseline.iter_mut().chain(&mut s.incident).for_each(|(_, v)| *v *= factor);
        }
        assert_eq!(order(&suspects(&mixed, &SuspectContext::default()))[0], "store");
    }
}
