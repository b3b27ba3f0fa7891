//! What an investigation makes of the answers that are no plain levels: restarts and versions, shares of a limit, ends, error
//! budgets; the same hours of other days; requests followed through the logs; and the suspects over all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::clock::now;
use super::gather::{Gathered, Question, Request, with_labels};
use super::metrics::{BURNS, CALLEES, Role};
use crate::analysis::departure::{MeasuredSeries, Point, quantile};
use crate::analysis::findings::{BurnInput, ChangeInput, EarlierLevel, ExpiryInput, Key, LimitInput, SuspectInput};
use crate::analysis::log_shift::{LogComparison, request_ids};
use crate::analysis::patterns::study::Side;
use crate::analysis::suspects::{SuspectContext, suspects};
use crate::analysis::{Change, Direction, Movement, Pattern};
use crate::evidence::{Body, Draft, Redactor};
use crate::incident::EvidenceKind;
use crate::sources::{Answer, MetricSource, Source};
use crate::telemetry::series::human_value;
use crate::telemetry::{Labels, Level, Series, Timestamp, Window, clean, words};

/// Expressions of which the same hours of other days are asked for.
const MAX_OTHER_DAYS: usize = 8;
/// Series kept of one answer.
const MAX_KEPT: usize = 100;
/// A pattern of more lines than this is no single deed.
const MAX_DEEDS: u64 = 5;
/// So many spreads from normal a series must be to be suspect.
const LEAST: f64 = 3.0;
/// The share of its level that a suspect series must have changed by.
const FELT: f64 = 0.05;
/// How many end so soon that they are kept.
const ENDS_WITHIN: Duration = Duration::from_hours(14 * 24);
/// From this share on what is in use is kept as evidence even when it does not grow.
const KEPT_SHARE: f64 = 0.8;

/// A series as suspects are sought among; shares as percents, so that the words fit the figures.
pub(super) fn measured(
    (service, title): (Option<&str>, &str),
    unit: &str,
    series: &Series,
    onset: Timestamp,
    movement: &Movement,
) -> MeasuredSeries {
    let factor = if unit == "%" { 100.0 } else { 1.0 };
    // It may have moved before what is taken for the onset.
    let is_early = |s: &&crate::telemetry::Sample| s.at <= onset && movement.changed_at.is_none_or(|at| s.at < at);
    let points = |is_normal: bool| -> Vec<Point> {
        series.samples.iter().filter(|s| is_early(s) == is_normal).map(|s| (s.at, s.value * factor)).collect()
    };
    MeasuredSeries {
        name: service.map_or_else(|| title.to_owned(), |s| format!("{s}|{title}")),
        unit: unit.to_owned(),
        baseline: points(true),
        incident: points(false),
        ended: movement.changed_at.filter(|_| movement.before.is_some() && movement.after.is_none()),
        changed_at: movement.changed_at,
    }
}

/// Who a series is about: its service, else the labels that name it.
fn owner(labels: &Labels) -> Option<String> {
    let named = ["deployment", "pod", "instance"].iter().find_map(|l| labels.get(*l)).cloned();
    crate::telemetry::series::service_of(labels).map(str::to_owned).or(named)
}

/// Takes the answer to a question that is not about a level.
pub(super) fn take(
    out: &mut Gathered,
    source: &dyn Source,
    question: &Question,
    answer: Answer<Vec<Series>>,
    request: &Request,
    step: f64,
) {
    let window = request.window;
    let key = format!("metric/{}/{}", source.name(), question.query);
    let mut told: Vec<String> = Vec::new();
    // Of many series those that tell something are kept.
    let mut kept: Vec<usize> = Vec::new();
    let found = &mut out.signals;
    match question.role {
        Role::Level => {}
        Role::Version => {
            for change in versions(&answer.value, &question.title, &key) {
                told.push(format!(
                    "{}{}",
                    change.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default(),
                    change.description
                ));
                found.changes.push(change);
            }
        }
        Role::Start | Role::Generation | Role::Restarts => {
            for (n, series) in answer.value.iter().enumerate() {
                for change in steps(series, question.role, &key) {
                    told.push(format!(
                        "{}{}",
                        change.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default(),
                        change.description
                    ));
                    found.changes.push(change);
                    kept.push(n);
                }
            }
        }
        Role::Share => {
            for (n, series) in answer.value.iter().enumerate() {
                let Some(limit) = share(series, &question.title, &key, window) else { continue };
                told.push(format!(
                    "{}{} at {} %",
                    limit.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default(),
                    limit.title,
                    human_value((limit.share * 100.0).round())
                ));
                found.limits.push(limit);
                kept.push(n);
            }
        }
        Role::Expiry => {
            for (n, series) in answer.value.iter().enumerate() {
                let Some(at) = series.samples.last().and_then(|s| Timestamp::from_secs_f64(s.value)) else { continue };
                if at > window.end + ENDS_WITHIN || at.secs() < 1_000_000_000 {
                    continue;
                }
                let of = owner(&series.labels).map(|o| format!(" of {o}")).unwrap_or_default();
                let what = format!("{}{of}", question.title);
                told.push(format!("{what} ends at {} UTC", at.date_clock()));
                found.expiring.push(ExpiryInput { name: what, at, key: key.clone() });
                kept.push(n);
            }
        }
        Role::Calls => {
            for series in &answer.value {
                let Some((caller, callee)) = call(&series.labels) else { continue };
                if found.calls.entry(caller.clone()).or_default().insert(callee.clone()) {
                    told.push(format!("{caller} calls {callee}"));
                }
            }
            if !told.is_empty() {
                found.call_sources.push((key.clone(), "the labels of the metrics"));
            }
        }
        Role::Failed(window) => {
            for series in &answer.value {
                let (Some(service), Some(last)) = (series.service(), series.samples.iter().rev().find(|s| s.value.is_finite()))
                else {
                    continue;
                };
                let objective = request.slo.objective_of(service);
                let burn = last.value / (1.0 - objective).max(f64::EPSILON);
                let pages = BURNS.iter().any(|(long, short, from)| [*long, *short].contains(&window) && burn >= *from);
                if pages {
                    told.push(format!("{service} {} %", human_value(last.value * 100.0)));
                }
                // The same metric over another window is its counterpart.
                let metric = question.query.replace(&format!("[{window}]"), "");
                out.failed.push(Failed { service: service.to_owned(), metric, window, burn, objective, key: key.clone() });
            }
        }
    }
    if told.is_empty() {
        return;
    }
    let total = u64::try_from(answer.value.len()).unwrap_or(0);
    kept.dedup();
    let series: Vec<Series> = if kept.is_empty() {
        answer.value
    } else {
        answer.value.into_iter().enumerate().filter(|(n, _)| kept.contains(n)).map(|(_, s)| s).take(MAX_KEPT).collect()
    };
    let shown = u64::try_from(series.len()).unwrap_or(0);
    out.drafts.push((
        key,
        Draft {
            kind: EvidenceKind::Metric,
            source: source.name().to_owned(),
            query: question.query.clone(),
            window,
            taken_at: now(),
            summary: match question.role {
                Role::Failed(_) => format!("{}: {}", question.title, clean::truncate(&words::list(&told), 160)),
                _ => clean::truncate(&told.join("; "), 200),
            },
            shown,
            total: answer.total.unwrap_or(total),
            body: Body::Series {
                title: question.title.clone(),
                unit: question.unit.clone(),
                step_secs: step,
                threshold: None,
                series,
            },
            gaps: answer.gaps,
        },
    ));
}

/// Caller and callee of a series by two labels; `None` where one of them says nothing.
fn call(labels: &Labels) -> Option<(String, String)> {
    let callee = CALLEES.iter().find(|l| labels.contains_key(**l))?;
    let caller = labels.keys().find(|l| l.as_str() != *callee && l.as_str() != "__name__")?;
    // A port or a domain behind a name is where it is called, not who.
    let name = |label: &str| {
        let value = labels.get(label)?;
        let value = value.split_once("://").map_or(value.as_str(), |(_, host)| host);
        let host = match value.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or(address),
            None => value.split([':', '/']).next().unwrap_or(value),
        };
        // Names within a cluster begin with the service's; those of others stay whole.
        let is_own = [".svc", ".cluster.local", ".internal", ".local", ".consul"]
            .iter()
            .any(|end| host.ends_with(end) || host.contains(&format!("{end}.")));
        let short = if is_own { host.split('.').next().unwrap_or(host) } else { host };
        (!short.is_empty() && short != "unknown").then(|| short.to_owned())
    };
    let (caller, callee) = (name(caller)?, name(callee)?);
    (caller != callee).then_some((caller, callee))
}

/// Failed requests of a service over one window.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    service: String,
    /// The query without its window.
    metric: String,
    window: &'static str,
    burn: f64,
    objective: f64,
    key: Key,
}

/// A version that begins within the window is a deploy.
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
                list.iter().filter(|(v, first, last)| v != version && first < at && *last <= *at + Duration::from_secs(120));
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

/// Another value of something that else stands still.
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
                // Of several processes the youngest is told: it may have been started beside the others.
                Role::Start => "started a process".to_owned(),
                Role::Restarts => format!("restarted (restarts {} → {})", human_value(a.value), human_value(b.value)),
                // A rollout, or no more than another number of replicas.
                _ => format!("has another spec (generation {} → {})", human_value(a.value), human_value(b.value)),
            },
            is_release: false,
            key: key.to_owned(),
        })
        .take(3)
        .collect()
}

/// How full it is at the end of the window, and when it is full if it goes on as in its second half; `None` for what is neither.
fn share(series: &Series, title: &str, key: &str, window: Window) -> Option<LimitInput> {
    let values: Vec<Point> = series.samples.iter().filter(|s| s.value.is_finite()).map(|s| (s.at, s.value)).collect();
    // What goes far beyond one is no share: a percentage by another name, or a limit that is none.
    if values.iter().any(|(_, v)| !(0.0..=1.5).contains(v)) {
        return None;
    }
    let (end, share) = *values.last()?;
    let half = values.get(values.len() / 2..).unwrap_or_default();
    let full_at = half.first().filter(|_| half.len() >= 5).and_then(|(start, _)| {
        // A least-squares line; only one that the samples keep to counts.
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

/// Puts the failed requests over long and short windows together.
pub(super) fn budgets(out: &mut Gathered, source: &dyn Source) {
    let failed = std::mem::take(&mut out.failed);
    let known: BTreeSet<&str> = out.drafts.iter().map(|(key, _)| key.as_str()).collect();
    let mut burns = Vec::new();
    for (long, short, pages_at) in BURNS {
        for l in failed.iter().filter(|f| f.window == long) {
            let Some(s) = failed.iter().find(|f| f.window == short && f.service == l.service && f.metric == l.metric) else {
                continue;
            };
            let keys: Vec<Key> = [&l.key, &s.key].into_iter().filter(|k| known.contains(k.as_str())).cloned().collect();
            burns.push(BurnInput {
                service: l.service.clone(),
                objective: l.objective,
                long: (long.to_owned(), l.burn),
                short: (short.to_owned(), s.burn),
                pages_at,
                keys,
            });
        }
    }
    tracing::debug!(source = source.name(), burns = burns.len(), "error budgets");
    out.signals.burns = burns;
}

/// Asks what moved most at the same hours of a day and a week earlier, where the backend still knows.
pub(super) async fn other_days(
    out: &mut Gathered,
    source: &dyn Source,
    backend: &dyn MetricSource,
    window: Window,
    onset: Timestamp,
    step: f64,
) {
    let moved = |m: &&crate::analysis::findings::MetricInput| m.movement.direction != Direction::Flat && !m.is_alert_expression;
    let mut queries: Vec<(f64, Key)> = Vec::new();
    for m in out.signals.metrics.iter().filter(moved) {
        match queries.iter_mut().find(|(_, key)| *key == m.key) {
            Some((score, _)) => *score = score.max(m.movement.score),
            None => queries.push((m.movement.score, m.key.clone())),
        }
    }
    queries.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    queries.truncate(MAX_OTHER_DAYS);
    let prefix = format!("metric/{}/", source.name());
    let days = [("a day earlier", Duration::from_hours(24)), ("a week earlier", Duration::from_hours(7 * 24))];
    let asked = queries.iter().flat_map(|(_, key)| {
        let query = key.strip_prefix(&prefix).unwrap_or_default();
        days.iter().map(move |(when, by)| (key, query, *when, Window { start: onset - *by, end: window.end - *by }))
    });
    let asked: Vec<(&Key, &str, &str, Window)> = asked.collect();
    let answers =
        futures_util::future::join_all(asked.iter().map(|(_, query, _, hours)| backend.range(query, *hours, step))).await;
    for ((key, query, when, hours), answer) in asked.into_iter().zip(answers) {
        // What a backend does not hold any more is no gap: most keep some days only.
        let Ok(answer) = answer else { continue };
        let earlier_key = format!("{key} {when}");
        let mut levels: Vec<String> = Vec::new();
        for series in &answer.value {
            let mut values: Vec<f64> = series.samples.iter().map(|s| s.value).filter(|v| v.is_finite()).collect();
            let Some(level) = quantile(&mut values, 0.5) else { continue };
            for m in out.signals.metrics.iter_mut().filter(|m| m.key == *key && m.labels == series.labels) {
                let shown = if m.unit == "%" { format!("{} %", human_value(level * 100.0)) } else { human_value(level) };
                levels.push(format!("{}{shown}", m.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default()));
                m.earlier.push(EarlierLevel { when: when.to_owned(), level, key: earlier_key.clone() });
            }
        }
        if levels.is_empty() {
            continue;
        }
        let total = u64::try_from(answer.value.len()).unwrap_or(0);
        let titled = out.drafts.iter().find(|(k, _)| k == key).map(|(_, d)| d.body.clone());
        let (title, unit) = match titled {
            Some(Body::Series { title, unit, .. }) => (title, unit),
            _ => (query.to_owned(), String::new()),
        };
        let draft = Draft {
            kind: EvidenceKind::Metric,
            source: source.name().to_owned(),
            query: query.to_owned(),
            window: hours,
            taken_at: now(),
            summary: format!("{title} at the same hours {when}: {}", clean::truncate(&levels.join(", "), 120)),
            shown: total,
            total: answer.total.unwrap_or(total),
            body: Body::Series { title, unit, step_secs: step, threshold: None, series: answer.value },
            gaps: answer.gaps,
        };
        out.drafts.push((earlier_key, draft));
    }
}

/// Words of a line that tells of a deed.
static DEED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(deploy(ed|ing|ment)?|roll(ed|ing)?[ -]?(out|back)|config(uration)? (was )?(re)?(loaded|changed|applied|updated)|reload(ed|ing)|feature[ _-]?flag|flag \S+ (is )?(now )?(on|off|enabled|disabled|set)|migrat(ed|ing|ion)|upgrad(ed|ing)|scal(ed|ing) (up|down|to)|restart(ed|ing)?|starting( up)?|started|shutting down|listening)\b",
    )
    .ok()
});

/// Deeds that the log tells of: rare lines that speak of a deploy, a switch, a start.
pub(super) fn told_by_lines(patterns: &[Pattern], source: &str) -> Vec<ChangeInput> {
    let Some(deed) = DEED.as_ref() else { return Vec::new() };
    patterns
        .iter()
        .filter(|p| p.count + p.baseline_count <= MAX_DEEDS && deed.is_match(&p.template))
        .filter_map(|p| {
            let text = Redactor::new().text(&p.sample).into_owned();
            Some(ChangeInput {
                at: p.first_at?,
                service: if p.services.len() == 1 { p.services.first().cloned() } else { None },
                description: format!("log: '{}'", clean::truncate(text.lines().next().unwrap_or(""), 90)),
                is_release: true,
                key: format!("patterns/{source}"),
            })
        })
        .take(10)
        .collect()
}

/// Follows requests through the lines of all log sources.
pub(super) fn follow(out: &mut Gathered, window: Window, onset: Timestamp) {
    let mut study = LogComparison::default();
    for line in std::mem::take(&mut out.lines) {
        let side = if line.at.is_some_and(|at| at <= onset) { Side::Baseline } else { Side::Incident };
        let first = line.message.lines().next().unwrap_or("");
        study.add(side, line.at, line.service.as_deref().unwrap_or(""), first.as_bytes(), request_ids(&line));
    }
    let shifted = study.finish();
    let followed = shifted.requests;
    if followed.requests > 0 {
        let mut text = format!(
            "{} followed by their ids, {} before.\n",
            words::count(followed.requests, "request"),
            followed.baseline_requests
        );
        for (caller, callees) in &followed.calls {
            text.push_str(&format!("{caller} calls {}.\n", words::list(callees)));
        }
        let mut changed: Vec<_> = followed.by_service.iter().collect();
        changed.sort_by(|a, b| (b.1.slowdown + b.1.flow).total_cmp(&(a.1.slowdown + a.1.flow)).then_with(|| a.0.cmp(b.0)));
        for (service, c) in changed {
            for (size, words) in [(c.slowdown, &c.slowdown_description), (c.flow, &c.flow_description)] {
                if size > 1.0 && !words.is_empty() {
                    text.push_str(&format!("{service}: {words}.\n"));
                }
            }
        }
        if followed.skipped_lines > 0 {
            out.gap(format!(
                "{} lines of requests beyond the first {} were not followed",
                followed.skipped_lines,
                crate::analysis::requests::MAX_LINES
            ));
        }
        for (caller, callees) in &followed.calls {
            out.signals.calls.entry(caller.clone()).or_default().extend(callees.iter().cloned());
        }
        if !followed.calls.is_empty() {
            out.signals.call_sources.push(("requests".to_owned(), "the requests in the logs"));
        }
        let draft = Draft {
            kind: EvidenceKind::Analysis,
            source: "warroom".to_owned(),
            query: "requests followed through the logs by their trace or request ids".to_owned(),
            window,
            taken_at: now(),
            summary: clean::truncate(text.lines().next().unwrap_or(""), 160),
            body: Body::Text { text },
            gaps: Vec::new(),
            shown: followed.requests,
            total: followed.requests,
        };
        out.drafts.push(("requests".to_owned(), draft));
    }
    out.known = SuspectContext {
        logs: shifted.shifts.iter().fold(BTreeMap::new(), |mut all: BTreeMap<String, f64>, s| {
            // Lines that name no service belong to none.
            if !s.service.is_empty() {
                let most = all.entry(s.service.clone()).or_default();
                *most = most.max(s.score);
            }
            all
        }),
        requests: followed.by_service,
        ..SuspectContext::default()
    };
}

/// Which services the new and risen lines of a service name.
fn blames(out: &Gathered) -> BTreeMap<String, BTreeSet<String>> {
    let mut services: BTreeSet<&str> = out.signals.metrics.iter().filter_map(|m| m.service.as_deref()).collect();
    services.extend(out.signals.patterns.iter().flat_map(|(_, p)| p.services.iter().map(String::as_str)));
    let mut blames: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let telling = |p: &Pattern| matches!(p.change, Change::New | Change::Up) && p.level.is_none_or(|l| l >= Level::Warn);
    for (_, p) in out.signals.patterns.iter().filter(|(_, p)| telling(p)) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let named = p.template.split(|c| !is_part(c)).filter(|w| services.contains(w));
        for word in named {
            for service in p.services.iter().filter(|s| *s != word) {
                blames.entry(service.clone()).or_default().insert(word.to_owned());
            }
        }
    }
    blames
}

/// Whom each service calls of those that moved: what moved at the caller may follow from it.
fn called_and_moved(out: &Gathered) -> impl Iterator<Item = (&String, &String)> {
    let moved: BTreeSet<&str> = out
        .signals
        .metrics
        .iter()
        .filter(|m| m.movement.direction != Direction::Flat && !m.is_alert_expression)
        .filter_map(|m| m.service.as_deref())
        .collect();
    let calls = out.signals.calls.iter().flat_map(|(caller, callees)| callees.iter().map(move |callee| (caller, callee)));
    calls.filter(move |(_, callee)| moved.contains(callee.as_str()))
}

/// Whether a change is one that a person would call so: what is very still makes any stir look large.
fn is_felt(before: Option<f64>, after: Option<f64>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return true };
    (after - before).abs() >= FELT * before.abs().max(after.abs())
}

/// Ranks the suspects over all series and logs.
pub(super) fn suspect(out: &mut Gathered) {
    let mut blames = blames(out);
    out.signals.blames.clone_from(&blames);
    for (caller, callee) in called_and_moved(out) {
        blames.entry(caller.clone()).or_default().insert(callee.clone());
    }
    out.known.blames = blames;
    let measured = std::mem::take(&mut out.measured);
    let (mut series, mut by_name) = (Vec::new(), BTreeMap::new());
    for (mut one, key, labels) in measured {
        // Two metrics that measure the same, or two sources, are told apart.
        let (plain, mut n) = (one.name.clone(), 1);
        while by_name.contains_key(&one.name) {
            n += 1;
            one.name = format!("{plain} ({n})");
        }
        by_name.insert(one.name.clone(), (key, labels, one.unit.clone()));
        series.push(one);
    }
    let pattern_keys: Vec<Key> =
        out.drafts.iter().map(|(key, _)| key).filter(|k| k.starts_with("patterns/")).take(1).cloned().collect();
    out.signals.blames_key = pattern_keys.first().cloned().unwrap_or_default();
    out.signals.suspects = suspects(&series, &out.known)
        .into_iter()
        // Without a change that lasts a series is only mentioned for its service's log, or for who waits for it.
        .filter(|s| {
            (s.changed_at.is_some() && s.size >= LEAST && is_felt(s.before, s.after))
                || s.series.is_none()
                || !s.log_change.is_empty()
                || s.wait.is_some()
        })
        .map(|suspect| {
            let known = suspect.series.as_deref().and_then(|s| by_name.get(s)).cloned();
            let mut keys: Vec<Key> = known.iter().map(|(key, _, _)| key.clone()).collect();
            let (labels, unit) = known.map_or_else(Default::default, |(_, labels, unit)| (labels, unit));
            keys.extend(suspect.wait.iter().filter_map(|w| by_name.get(&w.caller_series)).map(|(key, _, _)| key.clone()));
            if !suspect.log_change.is_empty() {
                let is_followed = suspect.service.as_ref().is_some_and(|s| out.known.requests.contains_key(s));
                keys.extend(if is_followed { vec!["requests".to_owned()] } else { pattern_keys.clone() });
            }
            SuspectInput { suspect, labels, unit, keys }
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::analysis::findings::MetricInput;
    use crate::sources::{Asked, Probe, SourceError};
    use crate::telemetry::{Rule, Sample};
    use futures_util::future::BoxFuture;

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
    fn a_version_that_begins_within_the_window_is_a_deploy() {
        let old = series(&[("service", "shop"), ("version", "1.41.3")], 0, &[1.0; 10]);
        let new = series(&[("service", "shop"), ("version", "1.42.0")], 600, &[1.0; 5]);
        let still = series(&[("service", "mail"), ("version", "7")], 0, &[1.0; 15]);
        let found = versions(&[old.clone(), new.clone(), still.clone()], "version", "k");
        let told: Vec<(Option<&str>, &str, Timestamp)> =
            found.iter().map(|c| (c.service.as_deref(), c.description.as_str(), c.at)).collect();
        assert_eq!(told, [(Some("shop"), "version 1.41.3 → 1.42.0", at(600))]);
        assert!(versions(&[old, still], "version", "k").is_empty());
    }

    #[test]
    fn restarts_and_rollouts_are_steps() {
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
    fn what_is_full_and_what_fills_up_is_told() {
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
    fn who_calls_whom_is_read_from_two_labels() {
        let labels = |pairs: &[(&str, &str)]| series(pairs, 0, &[]).labels;
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        for (given, told) in [
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
            assert_eq!(call(&labels(given)), told, "{given:?}");
        }
    }

    #[test]
    fn a_caller_suffers_from_what_it_calls() {
        let moved = |service: &str, direction| MetricInput {
            key: format!("m/{service}"),
            title: "latency p95".into(),
            service: Some(service.into()),
            unit: "s".into(),
            movement: Movement { direction, score: 9.0, changed_at: None, before: None, after: None, back_at: None },
            is_alert_expression: false,
            labels: Labels::new(),
            earlier: vec![],
        };
        let mut out = Gathered::default();
        out.signals.metrics = vec![moved("db", Direction::Up), moved("mail", Direction::Flat)];
        out.signals.calls = BTreeMap::from([("shop".into(), BTreeSet::from(["db".into(), "mail".into()]))]);
        let pairs: Vec<(&String, &String)> = called_and_moved(&out).collect();
        assert_eq!(pairs, [(&"shop".to_owned(), &"db".to_owned())]);
        suspect(&mut out);
        assert_eq!(out.known.blames, BTreeMap::from([("shop".into(), BTreeSet::from(["db".into()]))]));
        assert!(out.signals.blames.is_empty(), "no line has named anyone");
    }

    #[test]
    fn one_that_is_only_waited_for_is_a_suspect_by_its_callers_series() {
        let mut out = Gathered::default();
        let mut add = |service: &str, title: &str, before: f64, after: f64| {
            let level = |from: i64, n: i64, level: f64| {
                (from..from + n).map(|k| (at(60 * k), level * if k % 2 == 0 { 1.05 } else { 0.95 })).collect()
            };
            let name = format!("{service}|{title}");
            let (baseline, incident) = (level(-20, 20, before), level(0, 6, after));
            out.measured.push((
                MeasuredSeries { name: name.clone(), baseline, incident, ..MeasuredSeries::default() },
                name,
                Labels::new(),
            ));
        };
        for (service, rate) in [("desk", 1.0), ("mail", 1.0), ("bank", 1.0)] {
            add(service, "requests per second", rate, rate);
        }
        add("desk", "latency p95", 0.5, 2.6);
        add("desk", "http_client_request_duration_seconds p95", 0.02, 2.1);
        add("mail", "latency p95", 0.01, 0.01);
        add("bank", "latency p95", 0.01, 0.01);
        suspect(&mut out);
        let bank = out.signals.suspects.iter().find(|s| s.suspect.service.as_deref() == Some("bank")).unwrap();
        assert!(bank.keys.contains(&"desk|http_client_request_duration_seconds p95".to_owned()), "{:?}", bank.keys);
        let why = bank.suspect.why();
        assert!(why.starts_with("its own metrics look normal; desk may be waiting for it"), "{why}");
        let found = crate::analysis::findings::findings(&out.signals);
        let told = found.iter().find(|f| f.text.starts_with("bank is ")).unwrap();
        assert!(told.confidence <= 0.5 && told.inputs == bank.keys, "{told:?}");
    }

    #[test]
    fn what_hardly_stirs_is_no_suspect() {
        assert!(is_felt(Some(1.0), Some(20.0)) && is_felt(Some(0.0), Some(0.1)) && is_felt(None, Some(3.0)));
        assert!(!is_felt(Some(19.9), Some(19.93)) && !is_felt(Some(-4.0), Some(-4.1)));
    }

    #[test]
    fn rare_lines_that_tell_of_a_deed_are_changes() {
        let pattern = |template: &str, count| Pattern {
            template: template.into(),
            level: None,
            services: vec!["shop".into()],
            count,
            baseline_count: 0,
            change: Change::New,
            first_at: Some(at(60)),
            last_at: None,
            sample: template.into(),
            rate: vec![],
            facets: Default::default(),
        };
        let found = told_by_lines(
            &[
                pattern("deployed version 1.42.0", 1),
                pattern("feature flag new-cart enabled", 1),
                pattern("listening on <*>", 900),
                pattern("order placed", 1),
            ],
            "app",
        );
        let told: Vec<&str> = found.iter().map(|c| c.description.as_str()).collect();
        assert_eq!(told, ["log: 'deployed version 1.42.0'", "log: 'feature flag new-cart enabled'"]);
        assert_eq!((found[0].key.as_str(), found[0].service.as_deref()), ("patterns/app", Some("shop")));
    }

    /// Answers every range with one series of a level, and nothing before a moment.
    struct Fake {
        since: Timestamp,
    }

    impl Source for Fake {
        fn name(&self) -> &str {
            "prom"
        }
        fn kind(&self) -> &str {
            "prometheus"
        }
        fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
            async { Ok(Probe::ok("")) }.boxed()
        }
    }

    impl MetricSource for Fake {
        fn range<'a>(&'a self, _query: &'a str, window: Window, _step_secs: f64) -> Asked<'a, Vec<Series>> {
            let known = window.start >= self.since;
            let samples = (0..5).map(|n| Sample { at: window.start + Duration::from_secs(60 * n), value: 4.5 }).collect();
            let series = Series { labels: Labels::from([("service".into(), "shop".into())]), samples };
            async move { Ok(Answer::whole(if known { vec![series] } else { vec![] })) }.boxed()
        }
        fn instant<'a>(&'a self, _query: &'a str, _at: Timestamp) -> Asked<'a, Vec<Series>> {
            async { Ok(Answer::whole(vec![])) }.boxed()
        }
        fn series<'a>(&'a self, _selector: &'a str, _window: Window) -> Asked<'a, Vec<Labels>> {
            async { Ok(Answer::whole(vec![])) }.boxed()
        }
        fn label_values<'a>(&'a self, _label: &'a str, _window: Window) -> Asked<'a, Vec<String>> {
            async { Ok(Answer::whole(vec![])) }.boxed()
        }
        fn rules(&self) -> Asked<'_, Vec<Rule>> {
            async { Ok(Answer::whole(vec![])) }.boxed()
        }
    }

    #[tokio::test]
    async fn the_same_hours_of_other_days_are_asked_for_and_speak_against_what_is_usual() {
        let window = Window::new(at(0), at(1200));
        let moved = MetricInput {
            key: "metric/prom/latency".into(),
            service: Some("shop".into()),
            title: "latency p95".into(),
            unit: "s".into(),
            movement: Movement {
                direction: Direction::Up,
                score: 80.0,
                changed_at: Some(at(700)),
                before: Some(0.1),
                after: Some(4.6),
                back_at: None,
            },
            is_alert_expression: false,
            labels: Labels::from([("service".into(), "shop".into())]),
            earlier: vec![],
        };
        let mut out = Gathered::default();
        out.signals.alerts_known = true;
        out.signals.metrics.push(moved);
        // The backend keeps two days: the week before is not told of.
        let source = Fake { since: at(0) - Duration::from_hours(48) };
        other_days(&mut out, &source, &source, window, at(600), 60.0).await;
        let earlier = &out.signals.metrics[0].earlier;
        assert_eq!((earlier.len(), earlier[0].when.as_str(), earlier[0].level), (1, "a day earlier", 4.5));
        let (key, draft) = &out.drafts[0];
        assert_eq!((out.drafts.len(), draft.window.end), (1, at(1200) - Duration::from_hours(24)));
        let found = crate::analysis::findings::findings(&out.signals);
        let told = found.iter().find(|f| f.kind == crate::incident::FindingKind::Metric).unwrap();
        assert!(told.text.contains("at the same time of day it was 4.5 s a day earlier: usual at this time of day"), "{told:?}");
        assert!(told.against == [key.clone()] && told.confidence < 0.5, "{told:?}");
    }
}
