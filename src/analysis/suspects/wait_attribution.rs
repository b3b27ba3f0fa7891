//! Finds the service that slow callers wait for when none of the services they may call is slow by its own metrics, for
//! example because the network to it is slow. The metrics of the callers narrow it down:
//!
//! - A request takes at least as long as the calls it waits for. A service whose requests are shorter than its calls makes
//!   them in the background, and a service whose requests take longer than the caller's is not one of its callees.
//! - If the 95th percentile rose and the 90th did not, between one in twenty and one in ten of the calls are slow. The
//!   callee gets about that share of the calls.
//! - The service that all requests pass through (the one that takes longest) would be slower as well if the callee got a
//!   visible share of its calls.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::{ScoredSeries, SuspectContext, contains_any, is_duration, is_request_count, percentile, word_regex};
use crate::analysis::departure::{MeasuredSeries, SeriesId};
use crate::analysis::quantity::View;
use crate::telemetry::series::human_value;

/// Weight of a caller's slow calls in the score of the service they point to.
const WEIGHT: f64 = 1.5;
/// Minimum number of spreads, and minimum factor, by which a latency must rise to count as slower.
const MIN_DEPARTURE: f64 = 2.5;
const MIN_SLOWDOWN: f64 = 2.0;
/// Share of the largest rise from which a lower percentile counts as risen as well.
const MIN_RISE_SHARE: f64 = 0.25;
/// Share of the rise that a callee's own rise must reach to explain it, and how well its share of the calls must fit.
const MIN_EXPLAINED_SHARE: f64 = 0.5;
const MIN_FIT: f64 = 0.3;
/// Share of a service's own rise that the rise of its calls must reach for the service to be waiting rather than working.
const MIN_WAIT_SHARE: f64 = 0.05;
/// Number of services that may fit before the score of each is reduced.
const MAX_FULL_SCORES: f64 = 3.0;
/// Maximum number of calls to one service per request; further requests to that service come from other callers.
const MAX_CALLS_PER_REQUEST: f64 = 4.0;
/// Certainty that the service that all requests pass through calls a given service.
const ENTRY_CERTAINTY: f64 = 0.8;
/// Minimum number of services with a request count for shares to be meaningful.
const MIN_SERVICES: usize = 3;

/// Words in the name of a client metric for a database, queue or cache rather than for another service.
static STORE_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    word_regex("(?:\\b|_)db|sql|redis|mongo|cassandra|elastic|kafka|rabbit|amqp|messaging|cache|dns|smtp|(?:\\b|_)s3")
});

/// Evidence that a caller waits for a service.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitAttribution {
    pub score: f64,
    /// One sentence without a full stop.
    pub description: String,
    /// The caller's series that shows it.
    pub caller_series: SeriesId,
}

/// A percentile of a latency, in seconds, before and since.
#[derive(Clone, Copy)]
struct Percentile<'a> {
    /// As a fraction: 0.95 for the 95th.
    of: f64,
    /// Unit of the series, in seconds.
    unit: f64,
    before: f64,
    after: f64,
    size: f64,
    metric: &'a str,
    series: &'a MeasuredSeries,
}

impl Percentile<'_> {
    fn rise(&self) -> f64 {
        self.after - self.before
    }
}

/// A service that waits for other services while it handles requests.
struct Caller<'a> {
    name: &'a str,
    /// Services it may call, with their share of its calls.
    share: BTreeMap<&'a str, f64>,
    /// The percentile with the largest departure, and the largest rise; `None` if its calls are not slower.
    slow: Option<(Percentile<'a>, f64)>,
    /// Lower and upper bound of the share of its calls that are slow.
    least: f64,
    most: f64,
}

impl Caller<'_> {
    /// Returns how well a share of the calls matches the share of slow calls: 1 within the bounds, less the farther outside.
    fn fit(&self, share: f64) -> f64 {
        bell((self.least / share).ln().max((share / self.most).ln()).max(0.0))
    }
}

fn bell(off: f64) -> f64 {
    (-off * off / 2.0).exp()
}

/// Returns the services that callers probably wait for. Empty if no calls are measured by percentile, if too few services
/// count their requests, or if a callee that is slow itself explains the wait.
pub(super) fn attribute_waits<'a>(found: &[ScoredSeries<'a>], known: &SuspectContext) -> BTreeMap<&'a str, WaitAttribution> {
    let mut out: BTreeMap<&str, WaitAttribution> = BTreeMap::new();
    let calls = percentiles(found, true);
    if calls.is_empty() {
        return out;
    }
    let (own, rates) = (percentiles(found, false), rates(found));
    if rates.len() < MIN_SERVICES {
        return out;
    }
    let slower = |service: &str| {
        own.get(service).into_iter().flatten().filter(|p| p.size >= MIN_DEPARTURE).map(Percentile::rise).fold(0.0, f64::max)
    };
    let callers: Vec<Caller<'_>> =
        calls.iter().filter_map(|(name, calls)| build_caller(name, calls, &own, &rates, slower(name), known)).collect();
    let takes = |service: &str| own.get(service).and_then(|p| p.first()).map_or(0.0, |p| p.before);
    let through_all = callers.iter().max_by(|a, b| takes(a.name).total_cmp(&takes(b.name)));
    for caller in &callers {
        let Some((farthest, rise)) = caller.slow else { continue };
        let is_explained =
            |(callee, share): (&&str, &f64)| slower(callee) >= MIN_EXPLAINED_SHARE * rise && caller.fit(*share) >= MIN_FIT;
        if caller.share.iter().any(is_explained) {
            continue;
        }
        let would_show = |callee: &str| {
            let through = through_all.filter(|t| t.slow.is_none() && t.name != callee)?;
            Some(ENTRY_CERTAINTY * (1.0 - through.fit(*through.share.get(callee)?)))
        };
        let fits: Vec<(&str, f64, f64)> = (caller.share.iter())
            .map(|(callee, share)| (*callee, *share, caller.fit(*share) * (1.0 - would_show(callee).unwrap_or(0.0))))
            .collect();
        let among = (fits.iter().map(|(_, _, fit)| fit).sum::<f64>() / MAX_FULL_SCORES).max(1.0);
        for (callee, share, fit) in fits {
            let score = WEIGHT * farthest.size.ln_1p() * fit / among;
            if out.get(callee).is_none_or(|other| other.score < score) {
                let by = farthest.series.id.clone();
                out.insert(callee, WaitAttribution { score, description: describe(caller, &farthest, share), caller_series: by });
            }
        }
    }
    out
}

/// Returns a caller with its possible callees; `None` if it does not wait for its calls or too little is measured.
fn build_caller<'a>(
    name: &'a str,
    calls: &[Percentile<'a>],
    own: &BTreeMap<&'a str, Vec<Percentile<'a>>>,
    rates: &BTreeMap<&'a str, f64>,
    slower: f64,
    known: &SuspectContext,
) -> Option<Caller<'a>> {
    let (rate, own_times) = (*rates.get(name)?, own.get(name)?);
    let (takes, lowest) = (own_times.first()?.before, calls.first()?);
    if takes <= lowest.before {
        return None;
    }
    let is_waited_for =
        |call: &Percentile<'_>| own_times.iter().any(|time| time.of.total_cmp(&call.of).is_eq() && time.after >= call.after);
    let is_known = known.calls.callees(name).next().is_some();
    let may_call = |callee: &str| {
        if is_known {
            return known.calls.has(name, callee);
        }
        own.get(callee).and_then(|p| p.first()).is_none_or(|p| p.before < takes)
    };
    let most: BTreeMap<&str, f64> = (rates.iter())
        .filter(|(callee, _)| **callee != name && may_call(callee))
        .map(|(callee, of)| (*callee, of.min(MAX_CALLS_PER_REQUEST * rate)))
        .collect();
    let all: f64 = most.values().sum();
    let share = most.into_iter().map(|(callee, of)| (callee, of / all)).collect();
    let highest = calls.last()?;
    let mut caller = Caller { name, share, slow: None, least: 0.0, most: 1.0 - highest.of };
    let up: Vec<&Percentile<'_>> =
        calls.iter().filter(|p| p.size >= MIN_DEPARTURE && p.after >= MIN_SLOWDOWN * p.before && is_waited_for(p)).collect();
    let Some(farthest) = up.iter().max_by(|a, b| a.size.total_cmp(&b.size)) else { return Some(caller) };
    let rise = up.iter().map(|p| p.rise()).fold(0.0, f64::max);
    if rise < MIN_WAIT_SHARE * slower {
        return None;
    }
    let from = up.iter().find(|p| p.rise() >= MIN_RISE_SHARE * rise)?.of;
    caller.slow = Some((**farthest, rise));
    caller.least = 1.0 - from;
    caller.most = calls.iter().rev().find(|p| p.of < from).map_or(1.0, |p| 1.0 - p.of);
    Some(caller)
}

/// Describes the wait in one sentence without a full stop.
fn describe(caller: &Caller<'_>, farthest: &Percentile<'_>, share: f64) -> String {
    let percent = |share: f64| human_value((100.0 * share * 10.0).round() / 10.0);
    let slow = if caller.most >= 1.0 {
        format!("{}% or more", percent(caller.least))
    } else {
        format!("{} to {}%", percent(caller.least), percent(caller.most))
    };
    format!(
        "{name} may be waiting for it: {} rose {} → {}, but no service that {name} may call slowed down as much; \
         {slow} of {name}'s calls are slow, and about {}% of its calls go here",
        farthest.metric,
        human_value(farthest.before / farthest.unit),
        human_value(farthest.after / farthest.unit),
        percent(share),
        name = caller.name
    )
}

/// Returns the latency percentiles of each service's calls, or of its own responses, the lowest percentile first.
fn percentiles<'a>(found: &[ScoredSeries<'a>], of_calls: bool) -> BTreeMap<&'a str, Vec<Percentile<'a>>> {
    let mut out: BTreeMap<&str, Vec<Percentile<'_>>> = BTreeMap::new();
    for scored in found {
        if scored.service.is_empty() || (scored.meaning.view == View::Calls) != of_calls || !is_duration(scored.metric) {
            continue;
        }
        if of_calls && contains_any(&STORE_WORDS, scored.metric) {
            continue;
        }
        let (Some(before), Some(after), Some(of)) = (scored.departure.before, scored.departure.after, percentile(scored.metric))
        else {
            continue;
        };
        out.entry(scored.service).or_default().push(Percentile {
            of,
            unit: scored.unit_in_seconds(),
            before: before * scored.unit_in_seconds(),
            after: after * scored.unit_in_seconds(),
            size: scored.departure.size,
            metric: scored.metric,
            series: scored.series,
        });
    }
    for percentiles in out.values_mut() {
        percentiles.sort_by(|a, b| a.of.total_cmp(&b.of).then_with(|| a.series.id.cmp(&b.series.id)));
    }
    out
}

/// Returns the request rate of each service from the metric that most services have, in the unit of that metric.
fn rates<'a>(found: &[ScoredSeries<'a>]) -> BTreeMap<&'a str, f64> {
    let mut kinds: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for scored in found {
        let is_count = !scored.service.is_empty() && is_request_count(scored.metric) && scored.meaning.view != View::Calls;
        let Some(before) = scored.departure.before.filter(|v| is_count && *v > 0.0) else { continue };
        let kind = scored.metric.split('{').next().unwrap_or(scored.metric);
        kinds.entry(kind).or_default().entry(scored.service).or_default().push(before);
    }
    // Among metrics that equally many services have, the first by name is used, so that the input order does not matter.
    let most = kinds.into_iter().rev().max_by_key(|(_, services)| services.len());
    most.into_iter()
        .flat_map(|(_, services)| services)
        .map(|(service, mut rates)| {
            rates.sort_unstable_by(f64::total_cmp);
            (service, rates.iter().sum())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Suspect, suspects};
    use super::*;
    use crate::telemetry::Timestamp;

    /// A series that varies by a tenth around one level, then around another.
    fn level(name: &str, before: f64, after: f64) -> MeasuredSeries {
        let samples = |from: i64, n: i64, level: f64| {
            (from..from + n)
                .map(|k| {
                    (
                        Timestamp::from_secs(1_795_253_400 + 60 * k),
                        level * (1.0 + 0.1 * [0.0, 1.0, -0.5, 0.5, -1.0][k.unsigned_abs() as usize % 5]),
                    )
                })
                .collect()
        };
        MeasuredSeries {
            id: SeriesId::from_column(name),
            baseline: samples(-20, 20, before),
            incident: samples(0, 5, after),
            ..MeasuredSeries::default()
        }
    }

    /// Service, requests per second, and the latency of its requests and of its calls at the 90th, 95th and 99th percentile.
    type Service = (&'static str, f64, [f64; 3], [f64; 3]);

    const SHOP: [Service; 7] = [
        ("front", 9.0, [0.5, 0.7, 1.2], [0.05, 0.09, 0.24]),
        ("desk", 0.3, [0.4, 0.45, 0.5], [0.03, 0.06, 0.1]),
        ("cart", 8.0, [0.005, 0.005, 0.008], [0.02, 0.02, 0.03]),
        ("goods", 45.0, [0.02, 0.03, 0.08], [0.4, 0.4, 0.5]),
        ("advice", 6.0, [0.03, 0.04, 0.08], [0.02, 0.03, 0.07]),
        ("payment", 0.3, [0.005, 0.005, 0.005], [0.005, 0.005, 0.005]),
        ("mail", 0.3, [0.006, 0.006, 0.006], [0.006, 0.006, 0.006]),
    ];

    /// All series of the shop, with the given `(service|metric, value)` since the incident.
    fn shop(now: &[(&str, f64)]) -> Vec<MeasuredSeries> {
        let mut out = Vec::new();
        for (service, rate, own, calls) in SHOP {
            let mut add = |metric: &str, before: f64| {
                let name = format!("{service}|{metric}");
                let after = now.iter().find(|(n, _)| *n == name).map_or(before, |(_, after)| *after);
                out.push(level(&name, before, after));
            };
            add("http_requests", rate);
            for ((p, own), calls) in ["p90", "p95", "p99"].into_iter().zip(own).zip(calls) {
                add(&format!("server_latency_{p}"), own);
                add(&format!("client_latency_{p}"), calls);
            }
        }
        out
    }

    /// The waits found, as `service by caller metric`.
    fn waited(found: &[Suspect]) -> Vec<String> {
        let describe = |s: &Suspect| {
            let by = &s.wait.as_ref()?.caller_series;
            Some(format!("{} by {} {}", s.service.as_deref()?, by.service, by.metric))
        };
        found.iter().filter_map(describe).collect()
    }

    /// The desk calls payment once per request: a small share of its calls.
    const DESK: [(&str, f64); 5] = [
        ("desk|client_latency_p95", 0.65),
        ("desk|client_latency_p99", 0.95),
        ("desk|server_latency_p90", 0.9),
        ("desk|server_latency_p95", 0.97),
        ("desk|server_latency_p99", 1.0),
    ];

    #[test]
    fn finds_a_callee_without_slow_metrics_by_its_share_of_the_calls() {
        let found = suspects(&shop(&DESK), &SuspectContext::default());
        let order: Vec<&str> = {
            let mut services = Vec::new();
            found.iter().filter_map(|s| s.service.as_deref()).for_each(|s| {
                if !services.contains(&s) {
                    services.push(s);
                }
            });
            services
        };
        // The front is not slower, so it is not a service that the front calls often; the two that remain are equally
        // likely.
        assert_eq!(waited(&found)[..2], ["mail by desk client_latency_p95", "payment by desk client_latency_p95"], "{found:#?}");
        assert!(waited(&found).iter().all(|w| !["cart ", "goods ", "front ", "desk "].iter().any(|s| w.starts_with(s))));
        assert!(order.iter().position(|s| *s == "payment") < Some(3), "{order:?}");
        let why = found.iter().find(|s| s.service.as_deref() == Some("payment")).unwrap().why();
        let expected = "desk may be waiting for it: client_latency_p95 rose 0.06 → 0.65, but no service that desk may call slowed \
                        down as much; 5 to 10% of desk's calls are slow, and about ";
        assert!(why.contains(expected), "{why}");
        // Durations are compared whatever their units, and shown in their own.
        let mut mixed = shop(&DESK);
        for s in mixed.iter_mut().filter(|s| ["desk|client", "cart|server"].iter().any(|start| s.id.column().starts_with(start)))
        {
            s.unit = "ms".to_owned();
            s.baseline.iter_mut().chain(&mut s.incident).for_each(|(_, v)| *v *= 1000.0);
        }
        let in_ms = suspects(&mixed, &SuspectContext::default());
        assert_eq!(waited(&in_ms), waited(&found));
        let why = in_ms.iter().find(|s| s.service.as_deref() == Some("payment")).unwrap().why();
        assert!(why.contains("client_latency_p95 rose 60 → 650, but"), "{why}");
    }

    #[test]
    fn a_larger_share_of_slow_calls_points_to_a_busier_callee() {
        let front = ["p90", "p95", "p99"].into_iter().zip([0.8, 0.9, 1.0]);
        let names: Vec<(String, f64)> = front.map(|(p, v)| (format!("front|client_latency_{p}"), v)).collect();
        let mut now: Vec<(&str, f64)> = names.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        now.extend([("front|server_latency_p90", 1.5), ("front|server_latency_p95", 1.8), ("front|server_latency_p99", 2.5)]);
        let found = suspects(&shop(&now), &SuspectContext::default());
        let services: Vec<&str> = found.iter().filter(|s| s.wait.is_some()).filter_map(|s| s.service.as_deref()).collect();
        assert!(services.contains(&"goods") && !services.contains(&"payment") && !services.contains(&"desk"), "{services:?}");
        // If its callees are known, it is one of them.
        let calls = [("front", "cart"), ("front", "desk")].into_iter().collect();
        let found = suspects(&shop(&now), &SuspectContext { calls, ..SuspectContext::default() });
        assert_eq!(waited(&found), ["cart by front client_latency_p90", "desk by front client_latency_p90"]);
    }

    #[test]
    fn finds_nothing_if_the_slowness_is_explained_or_no_request_waits() {
        // Payment is slow by its own metrics.
        let mut now = DESK.to_vec();
        now.extend([
            ("payment|server_latency_p90", 0.6),
            ("payment|server_latency_p95", 0.7),
            ("payment|server_latency_p99", 0.8),
        ]);
        assert!(waited(&suspects(&shop(&now), &SuspectContext::default())).is_empty());
        // Calls in the background: the requests themselves are not slower.
        assert!(waited(&suspects(&shop(&DESK[..2]), &SuspectContext::default())).is_empty());
        let background =
            [("goods|client_latency_p90", 4.0), ("goods|client_latency_p95", 4.1), ("goods|client_latency_p99", 4.5)];
        assert!(waited(&suspects(&shop(&background), &SuspectContext::default())).is_empty());
        // Followed requests are used instead.
        let requests =
            BTreeMap::from([("cart".to_owned(), crate::analysis::requests::ServiceChange { flow: 9.0, ..Default::default() })]);
        assert!(waited(&suspects(&shop(&DESK), &SuspectContext { requests, ..SuspectContext::default() })).is_empty());
        assert!(waited(&suspects(&shop(&[]), &SuspectContext::default())).is_empty());
        // A slow database is not a callee.
        let mut all = shop(&DESK);
        for s in &mut all {
            s.id.metric = s.id.metric.replace("client_latency", "db_client_operation_duration");
        }
        assert!(waited(&suspects(&all, &SuspectContext::default())).is_empty());
        // A request count without a service is ignored.
        let mut all = shop(&DESK);
        all.push(level("http_requests", 9.0, 9.0));
        assert!(suspects(&all, &SuspectContext::default()).iter().all(|s| s.service.as_deref() != Some("")));
    }

    #[test]
    fn classifies_metrics_by_name() {
        for (metric, is_time, is_count) in [
            ("PodWorkload(Ops)", false, true),
            ("http_requests_total{code=\"200\"}", false, true),
            ("disk_ops", false, true),
            ("packet_drops", false, false),
            ("http_requests_in_flight", false, false),
            ("PodServerLatencyP90(s)", true, false),
        ] {
            assert_eq!((is_duration(metric), is_request_count(metric)), (is_time, is_count), "{metric}");
        }
        for (metric, of) in [
            ("PodClientLatencyP90(s)", Some(0.9)),
            ("rpc_client_duration_p99", Some(0.99)),
            ("client_latency_p99.9", Some(0.999)),
            ("latency{quantile=\"0.95\"}", Some(0.95)),
            ("latency{quantile=\".5\"}", Some(0.5)),
            ("latency{quantile=\"0.9\"}", Some(0.9)),
            ("latency-90", Some(0.9)),
            ("latency_99.9", Some(0.999)),
            ("latency_p9", None),
            ("http2_latency", None),
        ] {
            assert_eq!(percentile(metric), of, "{metric}");
        }
    }

    proptest::proptest! {
        #[test]
        fn ignores_input_order_and_never_panics(
            after in proptest::collection::vec(0_usize..5, 49), turn in 0_usize..49, odd in proptest::num::f64::ANY,
        ) {
            let names: Vec<String> = shop(&[]).into_iter().map(|s| s.id.column()).collect();
            let levels = [0.001, 0.1, 1.0, 30.0, odd];
            let now: Vec<(&str, f64)> = names.iter().zip(&after).filter(|(_, a)| **a != 2).map(|(n, a)| (n.as_str(), levels[*a])).collect();
            let mut all = shop(&now);
            let ranking = |all: &[MeasuredSeries]| suspects(all, &SuspectContext::default()).into_iter().map(|s| (s.series, s.wait.map(|w| w.caller_series))).collect::<Vec<_>>();
            let first = ranking(&all);
            all.rotate_left(turn);
            proptest::prop_assert_eq!(ranking(&all), first);
        }
    }
}
