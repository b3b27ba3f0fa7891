//! Metrics that are not levels: versions and restarts, shares of a limit, expiry times, calls between services, error budgets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::clock::now;
use super::metrics::{Question, with_labels};
use super::queries::{BURNS, CALLEES, Role};
use super::{Gathered, Request};
use crate::analysis::Signals;
use crate::analysis::departure::Point;
use crate::analysis::findings::{BurnInput, ChangeInput, ExpiryInput, Key, LimitInput};
use crate::evidence::{Body, Draft};
use crate::incident::EvidenceKind;
use crate::sources::Answer;
use crate::telemetry::series::human_value;
use crate::telemetry::{Labels, Series, Timestamp, Window, clean, words};

/// Series kept of one answer.
const MAX_KEPT: usize = 100;

/// Something that expires sooner than this after the window is kept.
const EXPIRES_WITHIN: Duration = Duration::from_hours(14 * 24);

/// A share from here on is kept as evidence even if it does not grow.
const KEPT_SHARE: f64 = 0.8;

/// What a series is about: its service, else its deployment, pod or instance.
fn owner(labels: &Labels) -> Option<String> {
    let named = ["deployment", "pod", "instance"].iter().find_map(|l| labels.get(*l)).cloned();
    crate::telemetry::subject::service_of(labels).map(str::to_owned).or(named)
}

/// What one answer says, before it becomes evidence.
#[derive(Default)]
struct Reading {
    /// A phrase for each thing found; nothing is kept if there is none.
    phrases: Vec<String>,
    /// The series, by position, that show something; empty: all of them.
    kept: BTreeSet<usize>,
    signals: Signals,
    failed: Vec<FailedShare>,
}

/// Reads the answer to a question that is not about a level. Also returns the shares of failed requests, which mean something only
/// together (see [`burns`]).
pub(super) fn read(
    source: &str,
    question: &Question,
    answer: Answer<Vec<Series>>,
    request: &Request,
    step: f64,
) -> (Gathered, Vec<FailedShare>) {
    let key = format!("metric/{source}/{}", question.query);
    let reading = match question.role {
        Role::Level => Reading::default(),
        Role::Version => read_versions(&answer.value, &question.title, &key),
        Role::Start | Role::Generation | Role::Restarts => read_steps(&answer.value, question.role, &key),
        Role::Share => read_shares(&answer.value, &question.title, &key, request.window),
        Role::Expiry => read_expiries(&answer.value, &question.title, &key, request.window),
        Role::Calls => read_calls(&answer.value, &key),
        Role::Failed(window) => read_failures(&answer.value, question, window, request, &key),
    };
    let Reading { phrases, kept, signals, failed } = reading;
    let mut out = Gathered { signals, ..Gathered::default() };
    if phrases.is_empty() {
        return (out, failed);
    }
    let total = u64::try_from(answer.value.len()).unwrap_or(0);
    let series: Vec<Series> = if kept.is_empty() {
        answer.value
    } else {
        answer.value.into_iter().enumerate().filter(|(n, _)| kept.contains(n)).map(|(_, s)| s).take(MAX_KEPT).collect()
    };
    let summary = match question.role {
        Role::Failed(_) => format!("{}: {}", question.title, clean::truncate(&words::list(&phrases), 160)),
        _ => clean::truncate(&phrases.join("; "), 200),
    };
    let draft = Draft {
        kind: EvidenceKind::Metric,
        source: source.to_owned(),
        query: question.query.clone(),
        window: request.window,
        taken_at: now(),
        summary,
        shown: u64::try_from(series.len()).unwrap_or(0),
        total: answer.total.unwrap_or(total),
        body: Body::Series {
            title: question.title.clone(),
            unit: question.unit.clone(),
            step_secs: step,
            threshold: None,
            series,
        },
        gaps: answer.gaps,
    };
    out.drafts.push((key, draft));
    (out, failed)
}

/// `checkout version 1.41.3 → 1.42.0`.
fn change_phrase(change: &ChangeInput) -> String {
    match &change.service {
        Some(service) => format!("{service} {}", change.description),
        None => change.description.clone(),
    }
}

fn read_versions(series: &[Series], label: &str, key: &str) -> Reading {
    let mut out = Reading::default();
    out.signals.changes = versions(series, label, key);
    out.phrases = out.signals.changes.iter().map(change_phrase).collect();
    out
}

fn read_steps(series: &[Series], role: Role, key: &str) -> Reading {
    let mut out = Reading::default();
    for (n, series) in series.iter().enumerate() {
        for change in steps(series, role, key) {
            out.phrases.push(change_phrase(&change));
            out.signals.changes.push(change);
            out.kept.insert(n);
        }
    }
    out
}

fn read_shares(series: &[Series], title: &str, key: &str, window: Window) -> Reading {
    let mut out = Reading::default();
    for (n, series) in series.iter().enumerate() {
        let Some(limit) = share(series, title, key, window) else { continue };
        let service = limit.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default();
        let percent = human_value((limit.share * 100.0).round());
        out.phrases.push(format!("{service}{} at {percent}%", limit.title));
        out.signals.limits.push(limit);
        out.kept.insert(n);
    }
    out
}

fn read_expiries(series: &[Series], title: &str, key: &str, window: Window) -> Reading {
    let mut out = Reading::default();
    for (n, series) in series.iter().enumerate() {
        let Some(at) = series.samples.last().and_then(|s| Timestamp::from_secs_f64(s.value)) else { continue };
        // A value before 2001 is not a time but a placeholder such as 0.
        if at > window.end + EXPIRES_WITHIN || at.secs() < 1_000_000_000 {
            continue;
        }
        let name = owner(&series.labels).map_or_else(|| title.to_owned(), |owner| format!("{title} of {owner}"));
        out.phrases.push(format!("{name} expires at {} UTC", at.date_clock()));
        out.signals.expiring.push(ExpiryInput { name, at, key: key.to_owned() });
        out.kept.insert(n);
    }
    out
}

fn read_calls(series: &[Series], key: &str) -> Reading {
    let mut out = Reading::default();
    for (caller, callee) in series.iter().filter_map(|s| call(&s.labels)) {
        if out.signals.calls.add(&caller, &callee) {
            out.phrases.push(format!("{caller} calls {callee}"));
        }
    }
    if !out.phrases.is_empty() {
        out.signals.call_sources.push((key.to_owned(), "the labels of the metrics"));
    }
    out
}

fn read_failures(series: &[Series], question: &Question, window: &'static str, request: &Request, key: &str) -> Reading {
    let mut out = Reading::default();
    // The same metric over the other window of a pair has the same query but for its range.
    let metric = question.query.replace(&format!("[{window}]"), "");
    for series in series {
        let last = series.samples.iter().rev().find(|s| s.value.is_finite());
        let (Some(service), Some(last)) = (series.service(), last) else { continue };
        let objective = request.slo.objective_of(service);
        let burn = last.value / (1.0 - objective).max(f64::EPSILON);
        if BURNS.iter().any(|(long, short, pages_at)| [*long, *short].contains(&window) && burn >= *pages_at) {
            out.phrases.push(format!("{service} {}%", human_value(last.value * 100.0)));
        }
        let service = service.to_owned();
        out.failed.push(FailedShare { service, metric: metric.clone(), window, burn, objective, key: key.to_owned() });
    }
    out
}

/// Caller and callee of a series, from two labels; `None` if either is missing, unknown, or the same.
fn call(labels: &Labels) -> Option<(String, String)> {
    let callee = CALLEES.iter().find(|l| labels.contains_key(**l))?;
    let caller = labels.keys().find(|l| l.as_str() != *callee && l.as_str() != "__name__")?;
    // A port or a domain after the name is an address, not part of the name.
    let name = |label: &str| {
        let value = labels.get(label)?;
        let value = value.split_once("://").map_or(value.as_str(), |(_, host)| host);
        let host = match value.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or(address),
            None => value.split([':', '/']).next().unwrap_or(value),
        };
        // Names inside a cluster begin with the service name. Other host names stay whole.
        let is_own = [".svc", ".cluster.local", ".internal", ".local", ".consul"]
            .iter()
            .any(|end| host.ends_with(end) || host.contains(&format!("{end}.")));
        let short = if is_own { host.split('.').next().unwrap_or(host) } else { host };
        (!short.is_empty() && short != "unknown").then(|| short.to_owned())
    };
    let (caller, callee) = (name(caller)?, name(callee)?);
    (caller != callee).then_some((caller, callee))
}

/// The share of failed requests of a service over one window, as a burn rate.
#[derive(Clone, Debug)]
pub(super) struct FailedShare {
    service: String,
    /// The query without its window.
    metric: String,
    window: &'static str,
    burn: f64,
    objective: f64,
    key: Key,
}

/// Deploys: versions that appear within the window.
fn versions(series: &[Series], label: &str, key: &str) -> Vec<ChangeInput> {
    let mut by_owner: BTreeMap<Option<String>, Vec<(&str, Timestamp, Timestamp)>> = BTreeMap::new();
    for s in series {
        let (Some(version), Some(first), Some(last)) = (s.labels.get(label), s.samples.first(), s.samples.last()) else {
            continue;
        };
        by_owner.entry(owner(&s.labels)).or_default().push((version, first.at, last.at));
    }
    let mut out = Vec::new();
    for (service, mut list) in by_owner {
        list.sort_by_key(|(version, first, _)| (*first, version.to_owned()));
        let Some(begin) = list.first().map(|(_, first, _)| *first) else { continue };
        for (version, at, _) in list.iter().filter(|(_, first, _)| *first > begin) {
            let before =
                list.iter().filter(|(v, first, last)| v != version && first < at && *last <= *at + Duration::from_mins(2));
            let before = before.max_by_key(|(_, _, last)| *last).map(|(v, _, _)| *v);
            let what = match before {
                Some(before) => format!("{label} {before} → {version}"),
                None => format!("{label} {version} appeared"),
            };
            out.push(ChangeInput { at: *at, service: service.clone(), description: what, is_release: true, key: key.to_owned() });
        }
    }
    out
}

/// Restarts and rollouts: changes of a value that is otherwise constant. At most three.
fn steps(series: &Series, role: Role, key: &str) -> Vec<ChangeInput> {
    let pairs = series.samples.iter().zip(series.samples.iter().skip(1));
    pairs
        .filter(|(a, b)| b.value > a.value + if role == Role::Start { 1.0 } else { 0.0 })
        .map(|(a, b)| ChangeInput {
            at: match role {
                Role::Start => Timestamp::from_secs_f64(b.value).filter(|at| *at <= b.at).unwrap_or(b.at),
                _ => b.at,
            },
            service: owner(&series.labels),
            description: match role {
                // The series has the youngest process, which may have been started beside others.
                Role::Start => "started a process".to_owned(),
                Role::Restarts => format!("restarted (restarts {} → {})", human_value(a.value), human_value(b.value)),
                // A rollout, or only another number of replicas.
                _ => format!("has another spec (generation {} → {})", human_value(a.value), human_value(b.value)),
            },
            is_release: false,
            key: key.to_owned(),
        })
        .take(3)
        .collect()
}

/// How full something is at the end of the window, and when it will be full if its second half continues. `None` if it is neither
/// full nor filling up within a day.
fn share(series: &Series, title: &str, key: &str, window: Window) -> Option<LimitInput> {
    let values: Vec<Point> = series.samples.iter().filter(|s| s.value.is_finite()).map(|s| (s.at, s.value)).collect();
    // Values far above one are not shares: percentages, or a limit that is not enforced.
    if values.iter().any(|(_, v)| !(0.0..=1.5).contains(v)) {
        return None;
    }
    let (end, share) = *values.last()?;
    let half = values.get(values.len() / 2..).unwrap_or_default();
    let full_at = half.first().filter(|_| half.len() >= 5).and_then(|(start, _)| {
        // A least-squares line, which counts only if it fits.
        let n = half.len() as f64;
        let x = |at: &Timestamp| at.secs_since(*start);
        let (mean_x, mean_y) = (half.iter().map(|(t, _)| x(t)).sum::<f64>() / n, half.iter().map(|(_, v)| v).sum::<f64>() / n);
        let over: f64 = half.iter().map(|(t, v)| (x(t) - mean_x) * (v - mean_y)).sum();
        let spread_x: f64 = half.iter().map(|(t, _)| (x(t) - mean_x).powi(2)).sum();
        let spread_y: f64 = half.iter().map(|(_, v)| (v - mean_y).powi(2)).sum();
        let slope = over / spread_x.max(f64::MIN_POSITIVE);
        let fit = over * over / (spread_x * spread_y).max(f64::MIN_POSITIVE);
        let secs = (1.0 - share) / slope;
        (slope > 0.0 && fit > 0.8 && secs.is_finite() && secs < 30.0 * 86_400.0)
            .then(|| end + Duration::try_from_secs_f64(secs.max(0.0)).unwrap_or_default())
    });
    let soon = full_at.is_some_and(|at| at.since(window.end) <= Duration::from_hours(24));
    (share >= KEPT_SHARE || soon).then(|| LimitInput {
        service: owner(&series.labels),
        title: with_labels(title, &series.labels),
        share,
        full_at,
        key: key.to_owned(),
    })
}

/// Burn rates over a long and a short window of each service and metric. Evidence is named if it was kept.
pub(super) fn burns(shares: &[FailedShare], drafts: &[(Key, Draft)]) -> Vec<BurnInput> {
    let kept: BTreeSet<&str> = drafts.iter().map(|(key, _)| key.as_str()).collect();
    let mut burns = Vec::new();
    for (long, short, pages_at) in BURNS {
        for l in shares.iter().filter(|f| f.window == long) {
            let is_pair = |f: &&FailedShare| f.window == short && f.service == l.service && f.metric == l.metric;
            let Some(s) = shares.iter().find(is_pair) else { continue };
            burns.push(BurnInput {
                service: l.service.clone(),
                objective: l.objective,
                long: (long.to_owned(), l.burn),
                short: (short.to_owned(), s.burn),
                pages_at,
                keys: [&l.key, &s.key].into_iter().filter(|k| kept.contains(k.as_str())).cloned().collect(),
            });
        }
    }
    burns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Sample;

    const START: i64 = 1_795_253_400;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(START + secs)
    }

    fn series(labels: &[(&str, &str)], from: i64, values: &[f64]) -> Series {
        Series {
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            samples: (0..).map(|n| at(from + 60 * n)).zip(values).map(|(at, value)| Sample { at, value: *value }).collect(),
        }
    }

    #[test]
    fn versions_that_appear_in_the_window_are_deploys() {
        let old = series(&[("service", "shop"), ("version", "1.41.3")], 0, &[1.0; 10]);
        let new = series(&[("service", "shop"), ("version", "1.42.0")], 600, &[1.0; 5]);
        let still = series(&[("service", "mail"), ("version", "7")], 0, &[1.0; 15]);
        let found = versions(&[old.clone(), new.clone(), still.clone()], "version", "k");
        let changes: Vec<(Option<&str>, &str, Timestamp)> =
            found.iter().map(|c| (c.service.as_deref(), c.description.as_str(), c.at)).collect();
        assert_eq!(changes, [(Some("shop"), "version 1.41.3 → 1.42.0", at(600))]);
        assert!(versions(&[old, still], "version", "k").is_empty());
    }

    #[test]
    fn restarts_and_rollouts_are_changes() {
        let began = START as f64;
        let start = series(&[("service", "shop")], 0, &[began, began, began + 130.0, began + 130.0]);
        let found = steps(&start, Role::Start, "k");
        assert_eq!((found.len(), found[0].at, found[0].description.as_str()), (1, at(120), "started a process"));
        let generation = series(&[("deployment", "shop")], 0, &[4.0, 5.0, 5.0]);
        let found = steps(&generation, Role::Generation, "k");
        assert_eq!(
            (found[0].description.as_str(), found[0].service.as_deref()),
            ("has another spec (generation 4 → 5)", Some("shop"))
        );
        assert!(steps(&series(&[], 0, &[3.0; 5]), Role::Restarts, "k").is_empty());
    }

    #[test]
    fn shares_are_reported_if_full_or_filling_up() {
        let window = Window::new(at(0), at(1200));
        let full = share(&series(&[("service", "shop")], 0, &[0.2, 0.5, 0.97]), "db_pool", "k", window).unwrap();
        assert_eq!((full.share, full.service.as_deref()), (0.97, Some("shop")));
        // A percent a minute: from 60 % it is full in 40 minutes.
        let rising: Vec<f64> = (0..20).map(|n| 0.41 + 0.01 * f64::from(n)).collect();
        let filling = share(&series(&[("mountpoint", "/data")], 0, &rising), "disk", "k", window).unwrap();
        let left = filling.full_at.unwrap().secs_since(at(19 * 60));
        assert!((left - 2400.0).abs() < 5.0, "{left}");
        assert_eq!(share(&series(&[], 0, &[0.4; 20]), "disk", "k", window), None);
        assert_eq!(share(&series(&[], 0, &[f64::NAN, 7.0]), "disk", "k", window), None);
        assert_eq!(share(&series(&[], 0, &[70.0, 1.0]), "cpu_utilization", "k", window), None, "percents");
    }

    #[test]
    fn caller_and_callee_come_from_two_labels() {
        let labels = |pairs: &[(&str, &str)]| series(pairs, 0, &[]).labels;
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        for (given, expected) in [
            (&[("client", "web"), ("server", "shop")][..], pair("web", "shop")),
            (&[("service", "shop"), ("peer_service", "db.prod.svc:5432")], pair("shop", "db")),
            (&[("service", "shop"), ("upstream", "10.0.0.7:80")], pair("shop", "10.0.0.7")),
            (&[("service", "shop"), ("peer_service", "http://db:5432/x")], pair("shop", "db")),
            (&[("service", "shop"), ("peer_service", "https://api.stripe.com")], pair("shop", "api.stripe.com")),
            (&[("service", "shop"), ("server", "[::1]:80")], pair("shop", "::1")),
            (&[("service", "shop"), ("server", "dns://:53")], None),
            (&[("source_workload", "unknown"), ("destination_workload", "shop")], None),
            (&[("service", "shop"), ("peer_service", "shop")], None),
            (&[("server", "shop")], None),
            (&[("service", "shop"), ("code", "200")], None),
        ] {
            assert_eq!(call(&labels(given)), expected, "{given:?}");
        }
    }

    fn request() -> Request {
        let window = Window::new(at(0), at(1200));
        Request {
            window,
            linked: vec![],
            matrix: Default::default(),
            first_alert: None,
            bad_baseline: false,
            notes: vec![],
            slo: Default::default(),
            recorded: vec![],
        }
    }

    fn question(title: &str, role: Role) -> Question {
        let query = super::super::queries::MetricQuery { title: title.into(), query: "q[1h]".into(), role, ..Default::default() };
        Question::from(query)
    }

    #[test]
    fn keeps_only_the_series_that_show_something() {
        let soon = series(&[("instance", "shop:443")], 0, &[(START + 86_400) as f64]);
        let later = series(&[("instance", "mail:443")], 0, &[(START + 90 * 86_400) as f64]);
        let unset = series(&[("instance", "none:443")], 0, &[0.0]);
        let answer = Answer::complete(vec![later.clone(), soon.clone(), unset]);
        let (found, _) = read("prom", &question("certificate", Role::Expiry), answer, &request(), 15.0);
        assert_eq!(found.signals.expiring.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["certificate of shop:443"]);
        let (_, draft) = &found.drafts[0];
        assert_eq!((draft.shown, draft.total), (1, 3));
        assert!(draft.summary.starts_with("certificate of shop:443 expires at 2026-"), "{}", draft.summary);
        let (none, _) = read("prom", &question("certificate", Role::Expiry), Answer::complete(vec![later]), &request(), 15.0);
        assert!(none.drafts.is_empty() && none.signals.expiring.is_empty());
    }

    #[test]
    fn burn_rates_need_both_windows_of_a_pair() {
        let answer = || Answer::complete(vec![series(&[("service", "shop")], 0, &[0.5])]);
        let share = |window: &'static str| {
            let mut question = question("share of failed requests", Role::Failed(window));
            question.query = format!("q[{window}]");
            read("prom", &question, answer(), &request(), 15.0)
        };
        let ((long, mut shares), (short, other)) = (share("1h"), share("5m"));
        let drafts = [long.drafts, short.drafts].concat();
        assert!(burns(&shares, &drafts).is_empty(), "one window alone says nothing");
        shares.extend(other);
        let found = burns(&shares, &drafts);
        assert_eq!((found.len(), found[0].service.as_str(), found[0].keys.len()), (1, "shop", 2));
        assert!(found[0].long.1 > found[0].pages_at, "{found:?}");
    }
}
