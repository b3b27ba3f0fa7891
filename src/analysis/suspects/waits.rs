//! Who is waited for: a service takes longer over the calls it makes, and none that it may call is slower itself. Then it is the
//! way to one of them, and its own series do not tell. Three things of the callers' series do:
//!
//! - No request is shorter than the calls it waits for. Whose requests are shorter than its calls makes them in the background, and
//!   who takes longer than the caller is none of its callees.
//! - Where the 95th percentile rose and the 90th did not, between one in ten and one in twenty of the calls is slow. It is a service
//!   that gets about that share of them.
//! - What all requests come through (the service that takes longest) would be slower too, if the service got a share of its calls
//!   that can be seen there.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::{Known, OF_OTHERS, Seen, has, words};
use crate::analysis::departure::Measured;
use crate::telemetry::series::human_value;

/// Of the score that a caller's calls give the service they point to.
const WEIGHT: f64 = 1.5;
/// Departures below which, and times below which, calls are as slow as ever.
const MOVED: f64 = 2.5;
const SLOWER: f64 = 2.0;
/// The part of the largest rise that a percentile must have risen by to have risen with it.
const WITH_IT: f64 = 0.25;
/// The part of the rise that a callee's own must have to explain it; and how well its share must fit.
const EXPLAINS: f64 = 0.5;
const FITS: f64 = 0.3;
/// The part of a service's own rise that its calls must have for it to wait rather than work.
const WAITS: f64 = 0.05;
/// So many services may fit without the less being said of each.
const AMONG: f64 = 3.0;
/// Calls of one service that one request makes, at most: what else a service answers comes from others.
const PER_REQUEST: f64 = 4.0;
/// How sure it is that what all requests come through calls a service.
const THROUGH_ALL: f64 = 0.8;
/// Services whose requests are counted, below which shares say nothing.
const FEW: usize = 3;

static TIMES: LazyLock<Option<Regex>> = LazyLock::new(|| words("latency|duration|response_?time"));
static COUNTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| words("workload|requests?\\b|requests?_total|calls|(?:\\b|_)(?:ops|rps|qps)\\b"));
/// Clients of what is no service of ours: their slowness is that of a database, a queue, a cache.
static OF_STORES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    words("(?:\\b|_)db|sql|redis|mongo|cassandra|elastic|kafka|rabbit|amqp|messaging|cache|dns|smtp|(?:\\b|_)s3")
});
/// `P95`, `p99.9`, `quantile="0.95"`, as a metric's name ends or its labels say.
static PERCENTILE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"[pP]([5-9]\d(?:\.?\d)?)(?:$|[^\d])|quantile="0?\.([5-9]\d*)""#).ok());

/// What points to a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Waited {
    pub score: f64,
    /// In one sentence, without a full stop.
    pub told: String,
    /// The caller's series that tells it, by its name.
    pub by: String,
}

/// A percentile of how long something takes, in seconds, before and since.
#[derive(Clone, Copy)]
struct Percentile<'a> {
    /// 0.95 of the 95th.
    of: f64,
    /// One of the series' unit, in seconds.
    unit: f64,
    before: f64,
    after: f64,
    size: f64,
    metric: &'a str,
    series: &'a Measured,
}

impl Percentile<'_> {
    fn rise(&self) -> f64 {
        self.after - self.before
    }
}

/// A service that waits for others when it is asked.
struct Caller<'a> {
    name: &'a str,
    /// Whom it may call, with the share of its calls that they get.
    share: BTreeMap<&'a str, f64>,
    /// The percentile that left its usual farthest, and the largest rise; `None`: its calls are as fast as ever.
    slow: Option<(Percentile<'a>, f64)>,
    /// Between which shares of its calls are slow.
    least: f64,
    most: f64,
}

impl Caller<'_> {
    /// How well a share agrees with what is slow: 1 within, less by the factor that it is off.
    fn fit(&self, share: f64) -> f64 {
        bell((self.least / share).ln().max((share / self.most).ln()).max(0.0))
    }
}

fn bell(off: f64) -> f64 {
    (-off * off / 2.0).exp()
}

/// The services that are waited for. Nothing where no calls are measured by percentile, few services count their requests, or one
/// that is slow itself explains it.
pub(super) fn waited_for<'a>(found: &[Seen<'a>], known: &Known) -> BTreeMap<&'a str, Waited> {
    let mut out: BTreeMap<&str, Waited> = BTreeMap::new();
    let calls = percentiles(found, true);
    if calls.is_empty() {
        return out;
    }
    let (own, rates) = (percentiles(found, false), rates(found));
    if rates.len() < FEW {
        return out;
    }
    let slower = |service: &str| {
        own.get(service).into_iter().flatten().filter(|p| p.size >= MOVED).map(Percentile::rise).fold(0.0, f64::max)
    };
    let callers: Vec<Caller<'_>> =
        calls.iter().filter_map(|(name, calls)| caller(name, calls, &own, &rates, slower(name), known)).collect();
    let takes = |service: &str| own.get(service).and_then(|p| p.first()).map_or(0.0, |p| p.before);
    let through_all = callers.iter().max_by(|a, b| takes(a.name).total_cmp(&takes(b.name)));
    for caller in &callers {
        let Some((farthest, rise)) = caller.slow else { continue };
        let is_explained = |(callee, share): (&&str, &f64)| slower(callee) >= EXPLAINS * rise && caller.fit(*share) >= FITS;
        if caller.share.iter().any(is_explained) {
            continue;
        }
        let would_show = |callee: &str| {
            let through = through_all.filter(|t| t.slow.is_none() && t.name != callee)?;
            Some(THROUGH_ALL * (1.0 - through.fit(*through.share.get(callee)?)))
        };
        let fits: Vec<(&str, f64, f64)> = (caller.share.iter())
            .map(|(callee, share)| (*callee, *share, caller.fit(*share) * (1.0 - would_show(callee).unwrap_or(0.0))))
            .collect();
        let among = (fits.iter().map(|(_, _, fit)| fit).sum::<f64>() / AMONG).max(1.0);
        for (callee, share, fit) in fits {
            let score = WEIGHT * farthest.size.ln_1p() * fit / among;
            if out.get(callee).is_none_or(|other| other.score < score) {
                let by = farthest.series.name.clone();
                out.insert(callee, Waited { score, told: told(caller, &farthest, share), by });
            }
        }
    }
    out
}

/// `None` where it does not wait for its calls, or nothing is known of them.
fn caller<'a>(
    name: &'a str,
    calls: &[Percentile<'a>],
    own: &BTreeMap<&'a str, Vec<Percentile<'a>>>,
    rates: &BTreeMap<&'a str, f64>,
    slower: f64,
    known: &Known,
) -> Option<Caller<'a>> {
    let (rate, own_times) = (*rates.get(name)?, own.get(name)?);
    let (takes, lowest) = (own_times.first()?.before, calls.first()?);
    if takes <= lowest.before {
        return None;
    }
    let is_waited_for =
        |call: &Percentile<'_>| own_times.iter().any(|time| time.of.total_cmp(&call.of).is_eq() && time.after >= call.after);
    let may_call = |callee: &str| match known.calls.get(name).filter(|c| !c.is_empty()) {
        Some(callees) => callees.iter().any(|c| c == callee),
        None => own.get(callee).and_then(|p| p.first()).is_none_or(|p| p.before < takes),
    };
    let most: BTreeMap<&str, f64> = (rates.iter())
        .filter(|(callee, _)| **callee != name && may_call(callee))
        .map(|(callee, of)| (*callee, of.min(PER_REQUEST * rate)))
        .collect();
    let all: f64 = most.values().sum();
    let share = most.into_iter().map(|(callee, of)| (callee, of / all)).collect();
    let highest = calls.last()?;
    let mut caller = Caller { name, share, slow: None, least: 0.0, most: 1.0 - highest.of };
    let up: Vec<&Percentile<'_>> =
        calls.iter().filter(|p| p.size >= MOVED && p.after >= SLOWER * p.before && is_waited_for(p)).collect();
    let Some(farthest) = up.iter().max_by(|a, b| a.size.total_cmp(&b.size)) else { return Some(caller) };
    let rise = up.iter().map(|p| p.rise()).fold(0.0, f64::max);
    if rise < WAITS * slower {
        return None;
    }
    let from = up.iter().find(|p| p.rise() >= WITH_IT * rise)?.of;
    caller.slow = Some((**farthest, rise));
    caller.least = 1.0 - from;
    caller.most = calls.iter().rev().find(|p| p.of < from).map_or(1.0, |p| 1.0 - p.of);
    Some(caller)
}

fn told(caller: &Caller<'_>, farthest: &Percentile<'_>, share: f64) -> String {
    let percent = |share: f64| human_value((100.0 * share * 10.0).round() / 10.0);
    let slow = if caller.most >= 1.0 {
        format!("{} % or more", percent(caller.least))
    } else {
        format!("{} to {} %", percent(caller.least), percent(caller.most))
    };
    format!(
        "{} may be waiting for it: {} {} → {}, while none it may call is slower by as much; {slow} of its calls are slow, about {} % go here",
        caller.name,
        farthest.metric,
        human_value(farthest.before / farthest.unit),
        human_value(farthest.after / farthest.unit),
        percent(share)
    )
}

/// How long each service's calls take, or its own answers: by percentile, the lowest first.
fn percentiles<'a>(found: &[Seen<'a>], of_calls: bool) -> BTreeMap<&'a str, Vec<Percentile<'a>>> {
    let mut out: BTreeMap<&str, Vec<Percentile<'_>>> = BTreeMap::new();
    for seen in found {
        if seen.service.is_empty() || has(&OF_OTHERS, seen.metric) != of_calls || !has(&TIMES, seen.metric) {
            continue;
        }
        if of_calls && has(&OF_STORES, seen.metric) {
            continue;
        }
        let (Some(before), Some(after), Some(of)) = (seen.departure.before, seen.departure.after, percentile(seen.metric)) else {
            continue;
        };
        out.entry(seen.service).or_default().push(Percentile {
            of,
            unit: seen.in_seconds(),
            before: before * seen.in_seconds(),
            after: after * seen.in_seconds(),
            size: seen.departure.size,
            metric: seen.metric,
            series: seen.series,
        });
    }
    for percentiles in out.values_mut() {
        percentiles.sort_by(|a, b| a.of.total_cmp(&b.of).then_with(|| a.series.name.cmp(&b.series.name)));
    }
    out
}

/// 0.95 of `LatencyP95(s)`, `latency_p95` and `duration{quantile="0.95"}`; 0.999 of `p999`.
fn percentile(metric: &str) -> Option<f64> {
    let found = PERCENTILE.as_ref()?.captures(metric)?;
    let digits = found.get(1).or_else(|| found.get(2))?.as_str().replace('.', "");
    format!("0.{digits}").parse().ok()
}

/// How often each service is asked, in any unit as long as it is the same for all: those of one kind of series that most have.
fn rates<'a>(found: &[Seen<'a>]) -> BTreeMap<&'a str, f64> {
    let mut kinds: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for seen in found {
        let is_count =
            !seen.service.is_empty() && has(&COUNTS, seen.metric) && !has(&OF_OTHERS, seen.metric) && !has(&TIMES, seen.metric);
        let Some(before) = seen.departure.before.filter(|v| is_count && *v > 0.0) else { continue };
        let kind = seen.metric.split('{').next().unwrap_or(seen.metric);
        kinds.entry(kind).or_default().entry(seen.service).or_default().push(before);
    }
    // The order in which the series are given must not matter: of several kinds that as many have it is the first by name.
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

    /// A series that sways by a tenth around one level, and then around another.
    fn level(name: &str, before: f64, after: f64) -> Measured {
        let around = |from: i64, n: i64, level: f64| {
            (from..from + n)
                .map(|k| {
                    (
                        Timestamp::from_secs(1_795_253_400 + 60 * k),
                        level * (1.0 + 0.1 * [0.0, 1.0, -0.5, 0.5, -1.0][k.unsigned_abs() as usize % 5]),
                    )
                })
                .collect()
        };
        Measured { name: name.into(), baseline: around(-20, 20, before), incident: around(0, 5, after), ..Measured::default() }
    }

    /// Service, requests per second, and how long they and their calls take at the 90th, 95th and 99th percentile.
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

    /// The shop, with what is `(service|metric, after)` now.
    fn shop(now: &[(&str, f64)]) -> Vec<Measured> {
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

    fn waited(found: &[Suspect]) -> Vec<(&str, &str)> {
        let told = |s: &'_ Suspect| s.waited.as_ref().map(|w| w.by.clone());
        found
            .iter()
            .filter(|s| told(s).is_some())
            .filter_map(|s| Some((s.service.as_deref()?, s.waited.as_ref()?.by.as_str())))
            .collect()
    }

    /// A request of the desk calls the payment once: a few percent of its calls.
    const DESK: [(&str, f64); 5] = [
        ("desk|client_latency_p95", 0.65),
        ("desk|client_latency_p99", 0.95),
        ("desk|server_latency_p90", 0.9),
        ("desk|server_latency_p95", 0.97),
        ("desk|server_latency_p99", 1.0),
    ];

    #[test]
    fn the_way_to_one_that_is_not_slow_itself_is_found_by_its_share_of_the_calls() {
        let found = suspects(&shop(&DESK), &Known::default());
        let order: Vec<&str> = {
            let mut seen = Vec::new();
            found.iter().filter_map(|s| s.service.as_deref()).for_each(|s| {
                if !seen.contains(&s) {
                    seen.push(s)
                }
            });
            seen
        };
        // The front feels nothing, so it is none that the front calls often; of the two that are left neither is likelier.
        assert_eq!(
            waited(&found)[..2],
            [("mail", "desk|client_latency_p95"), ("payment", "desk|client_latency_p95")],
            "{found:#?}"
        );
        assert!(waited(&found).iter().all(|(service, _)| !["cart", "goods", "front", "desk"].contains(service)));
        assert!(order.iter().position(|s| *s == "payment") < Some(3), "{order:?}");
        let why = found.iter().find(|s| s.service.as_deref() == Some("payment")).unwrap().why();
        let told = "desk may be waiting for it: client_latency_p95 0.06 → 0.65, while none it may call is slower by as much; \
                    5 to 10 % of its calls are slow, about ";
        assert!(why.contains(told), "{why}");
        // Times are compared whatever unit each is in, and told in their own.
        let mut mixed = shop(&DESK);
        for s in mixed.iter_mut().filter(|s| s.name.starts_with("desk|client") || s.name.starts_with("cart|server")) {
            s.unit = "ms".to_owned();
            s.baseline.iter_mut().chain(&mut s.incident).for_each(|(_, v)| *v *= 1000.0);
        }
        let in_ms = suspects(&mixed, &Known::default());
        assert_eq!(waited(&in_ms), waited(&found));
        let why = in_ms.iter().find(|s| s.service.as_deref() == Some("payment")).unwrap().why();
        assert!(why.contains("client_latency_p95 60 → 650, while"), "{why}");
    }

    #[test]
    fn more_slow_calls_point_to_one_that_gets_more() {
        let front = ["p90", "p95", "p99"].into_iter().zip([0.8, 0.9, 1.0]);
        let names: Vec<(String, f64)> = front.map(|(p, v)| (format!("front|client_latency_{p}"), v)).collect();
        let mut now: Vec<(&str, f64)> = names.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        now.extend([("front|server_latency_p90", 1.5), ("front|server_latency_p95", 1.8), ("front|server_latency_p99", 2.5)]);
        let found = suspects(&shop(&now), &Known::default());
        let told: Vec<&str> = waited(&found).iter().map(|(s, _)| *s).collect();
        assert!(told.contains(&"goods") && !told.contains(&"payment") && !told.contains(&"desk"), "{told:?}");
        // Whom it calls is known: then it is one of those.
        let calls = BTreeMap::from([("front".to_owned(), vec!["cart".to_owned(), "desk".to_owned()])]);
        let found = suspects(&shop(&now), &Known { calls, ..Known::default() });
        assert_eq!(waited(&found), [("cart", "front|client_latency_p90"), ("desk", "front|client_latency_p90")]);
    }

    #[test]
    fn nothing_where_it_is_explained_or_nobody_waits() {
        // It is slow by its own account.
        let mut now = DESK.to_vec();
        now.extend([
            ("payment|server_latency_p90", 0.6),
            ("payment|server_latency_p95", 0.7),
            ("payment|server_latency_p99", 0.8),
        ]);
        assert!(waited(&suspects(&shop(&now), &Known::default())).is_empty());
        // Calls in the background: the requests themselves are as fast as ever.
        assert!(waited(&suspects(&shop(&DESK[..2]), &Known::default())).is_empty());
        let background =
            [("goods|client_latency_p90", 4.0), ("goods|client_latency_p95", 4.1), ("goods|client_latency_p99", 4.5)];
        assert!(waited(&suspects(&shop(&background), &Known::default())).is_empty());
        // Requests that are followed tell themselves.
        let requests =
            BTreeMap::from([("cart".to_owned(), crate::analysis::requests::Changed { flow: 9.0, ..Default::default() })]);
        assert!(waited(&suspects(&shop(&DESK), &Known { requests, ..Known::default() })).is_empty());
        assert!(waited(&suspects(&shop(&[]), &Known::default())).is_empty());
        // A database that is slow is no service that is waited for.
        let mut all = shop(&DESK);
        all.iter_mut().for_each(|s| s.name = s.name.replace("client_latency", "db_client_operation_duration"));
        assert!(waited(&suspects(&all, &Known::default())).is_empty());
        // A count of no service is nobody's.
        let mut all = shop(&DESK);
        all.push(level("http_requests", 9.0, 9.0));
        assert!(suspects(&all, &Known::default()).iter().all(|s| s.service.as_deref() != Some("")));
    }

    #[test]
    fn metrics_are_told_by_their_names() {
        for (metric, is_time, is_count) in [
            ("PodWorkload(Ops)", false, true),
            ("http_requests_total{code=\"200\"}", false, true),
            ("disk_ops", false, true),
            ("packet_drops", false, false),
            ("http_requests_in_flight", false, false),
            ("PodServerLatencyP90(s)", true, false),
        ] {
            assert_eq!((has(&TIMES, metric), has(&COUNTS, metric)), (is_time, is_count), "{metric}");
        }
        for (metric, of) in [
            ("PodClientLatencyP90(s)", Some(0.9)),
            ("rpc_client_duration_p99", Some(0.99)),
            ("client_latency_p99.9", Some(0.999)),
            ("latency{quantile=\"0.95\"}", Some(0.95)),
            ("latency{quantile=\".5\"}", Some(0.5)),
            ("latency{quantile=\"0.9\"}", Some(0.9)),
            ("latency_p9", None),
            ("http2_latency", None),
        ] {
            assert_eq!(percentile(metric), of, "{metric}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_order_of_the_series_does_not_matter_and_nothing_panics(
            after in proptest::collection::vec(0_usize..5, 49), turn in 0_usize..49, odd in proptest::num::f64::ANY,
        ) {
            let names: Vec<String> = shop(&[]).into_iter().map(|s| s.name).collect();
            let levels = [0.001, 0.1, 1.0, 30.0, odd];
            let now: Vec<(&str, f64)> = names.iter().zip(&after).filter(|(_, a)| **a != 2).map(|(n, a)| (n.as_str(), levels[*a])).collect();
            let mut all = shop(&now);
            let told = |all: &[Measured]| suspects(all, &Known::default()).into_iter().map(|s| (s.series, s.waited.map(|w| w.by))).collect::<Vec<_>>();
            let first = told(&all);
            all.rotate_left(turn);
            proptest::prop_assert_eq!(told(&all), first);
        }
    }
}
