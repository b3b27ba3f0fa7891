//! Builds the ordered list of findings: alerts, verdict, proposed severity, probable origin, changed series, new log
//! patterns, recent changes, dependencies, error budgets, saturation, expiry, related alerts, unchanged series, and data
//! gaps.

mod conclusion;
mod context;
mod theories;
mod triage;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use context::CHANGE_LOOKBACK as CHANGES_BEFORE;

use super::baseline::is_healthy_level_known;
use super::call_graph::CallGraph;
use super::departure::SeriesId;
use super::movement::{Direction, Movement};
use super::onset::is_older;
use super::patterns::{Change, Pattern};
use super::quantity::{Meaning, Quantity};
use super::relations::{Relation, Storm};
use super::suspects::Suspect;
use crate::incident::{Conclusion, FindingKind, Matrix, Severity, Situation};
use crate::telemetry::series::{human_measure, human_value};
use crate::telemetry::{Alert, Labels, Level, Timestamp, Window, words};

/// Identifies one input of the analysis; the caller maps it to the evidence.
pub type Key = String;

/// Which requests to a service a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requests {
    /// All, per second.
    All,
    /// Those that failed, per second.
    Failed,
}

/// A series that was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricInput {
    pub key: Key,
    pub service: Option<String>,
    /// The measured quantity, in short: `errors per second`, `db_pool_in_use`.
    pub title: String,
    /// `s`, `B`, `%`, `/s` or empty.
    pub unit: String,
    pub movement: Movement,
    /// Whether it is the expression of a firing alert.
    pub is_alert_expression: bool,
    /// The value that the alert compares it with.
    pub threshold: Option<f64>,
    /// If it counts a service's requests: which of them.
    pub requests: Option<Requests>,
    /// Labels that identify the series within its evidence.
    pub labels: Labels,
    /// Its level at the same hours of earlier days, if the backend still has the data.
    pub earlier: Vec<EarlierLevel>,
}

impl MetricInput {
    /// Whether it is the series with this id.
    pub fn is_of(&self, id: &SeriesId) -> bool {
        self.key == id.source && self.labels == id.labels
    }

    /// The direction in which it changed.
    pub fn direction(&self) -> Direction {
        self.movement.direction
    }

    /// What it measures.
    pub fn meaning(&self) -> Meaning {
        Meaning::of(&self.title)
    }
}

/// The level of a series at the same hours of another day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlierLevel {
    /// `a day earlier`, `a week earlier`.
    pub when: String,
    /// The median over the same hours.
    pub level: f64,
    pub key: Key,
}

/// A suspect with its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct SuspectInput {
    pub suspect: Suspect,
    pub keys: Vec<Key>,
}

/// A change of a service: a deploy, a restart, a feature flag.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeInput {
    pub at: Timestamp,
    pub service: Option<String>,
    /// A description without time and service: `version 1.41.3 → 1.42.0`.
    pub description: String,
    /// Whether someone certainly made the change; a restart or a new generation may be automatic.
    pub is_release: bool,
    pub key: Key,
}

/// The use of a limited resource.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitInput {
    pub service: Option<String>,
    pub title: String,
    /// From 0, empty, to 1, full.
    pub share: f64,
    /// When it will be full at the current rate.
    pub full_at: Option<Timestamp>,
    pub key: Key,
}

/// Something that expires: a certificate, a licence.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpiryInput {
    pub name: String,
    pub at: Timestamp,
    pub key: Key,
}

/// Burn rates of an error budget over a long and a short window; at 1 the budget lasts exactly to the end of its period.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnInput {
    pub service: String,
    /// The objective as a fraction, such as 0.999.
    pub objective: f64,
    /// Name of the window and burn rate.
    pub long: (String, f64),
    pub short: (String, f64),
    /// Burn rate from which it pages.
    pub pages_at: f64,
    pub keys: Vec<Key>,
}

/// Everything the analysis checks. Keys may repeat, because one evidence item can hold several series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    pub window: Option<Window>,
    pub alerts_key: Key,
    pub alerts: Vec<Alert>,
    /// Whether any alert source answered; if none did, an empty list does not mean that no alert is firing.
    pub alerts_known: bool,
    /// Whether an alert source is configured.
    pub has_alert_source: bool,
    /// Linked alerts of which it is unknown whether they still fire.
    pub unknown_alerts: Vec<Alert>,
    /// When the first alert of the incident began.
    pub first_alert: Option<Timestamp>,
    /// Whether the incident had begun before the time that counts as normal, so that unchanged series are no evidence.
    pub bad_baseline: bool,
    /// What the reader must know about the window, such as that it was extended.
    pub notes: Vec<String>,
    pub metrics: Vec<MetricInput>,
    pub patterns: Vec<(Key, Pattern)>,
    pub relations: Vec<Relation>,
    pub relations_key: Key,
    /// Alerts that are treated as one.
    pub storm: Option<Storm>,
    pub suspects: Vec<SuspectInput>,
    pub changes: Vec<ChangeInput>,
    pub limits: Vec<LimitInput>,
    pub expiring: Vec<ExpiryInput>,
    pub burns: Vec<BurnInput>,
    pub calls: CallGraph,
    /// Evidence for `calls`: key and description of the source.
    pub call_sources: Vec<(Key, &'static str)>,
    /// Services that the new log lines of each service name.
    pub blames: BTreeMap<String, BTreeSet<String>>,
    /// Evidence for `blames`; empty if no logs were read.
    pub blames_key: Key,
    /// The severity matrix.
    pub matrix: Option<Matrix>,
    /// Data gaps, each with its reason.
    pub gaps: Vec<String>,
    /// Gaps of change sources, which leave only the changes unknown.
    pub change_gaps: Vec<String>,
}

impl Signals {
    /// The time of day with its zone, `16:14:37Z`; with the date, `2026-11-19 16:14:37Z`, if it is not the day on which the window ends.
    pub(crate) fn clock(&self, at: Timestamp) -> String {
        match self.window {
            Some(window) if window.end.date() != at.date() => format!("{}Z", at.date_clock()),
            _ => format!("{}Z", at.clock(time::UtcOffset::UTC)),
        }
    }

    /// When the first alert of the incident began; without one that is known to belong to it, the first of all.
    fn first_alert(&self) -> Option<Timestamp> {
        self.first_alert.or_else(|| self.alerts.iter().filter(|a| !a.is_heartbeat()).filter_map(Alert::began_at).min())
    }

    /// Whether an alert is older than the incident, or fires by design.
    fn is_older(&self, alert: &Alert) -> bool {
        is_older(alert, self.first_alert)
    }
}

/// A finding that refers to its evidence by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    pub kind: FindingKind,
    pub title: String,
    pub text: String,
    pub confidence: f64,
    /// When it happened, if at a single moment.
    pub at: Option<Timestamp>,
    /// Evidence that supports the finding.
    pub inputs: Vec<Key>,
    /// Evidence that contradicts it.
    pub against: Vec<Key>,
    /// The service that it is about, if it is about one.
    pub service: Option<String>,
    /// For a metric: the measured quantity; for a log pattern: its template.
    pub subject: Option<String>,
    pub situation: Option<Situation>,
    pub severity: Option<(Severity, String)>,
    pub conclusion: Option<Conclusion>,
    /// The findings that it sums up; empty if it is a single finding.
    pub details: Vec<Finding>,
}

/// Number of changed series reported one by one; the rest are counted.
const MAX_CHANGED: usize = 12;
const MAX_PATTERNS: usize = 6;
const MAX_UNCHANGED: usize = 4;

/// The findings of an investigation: the conclusion first, then at most seven that sum up the single ones (see [`single`]).
pub fn findings(signals: &Signals) -> Vec<Finding> {
    let single = single(signals);
    let mut out = vec![conclusion::conclude(signals, &single)];
    out.extend(conclusion::group(signals, single));
    out
}

/// The single findings in the order of a report. "No alerts are firing" is a finding too.
pub fn single(signals: &Signals) -> Vec<Finding> {
    let mut out = vec![alert_finding(signals)];
    out.extend(triage::verdict(signals));
    out.extend(triage::severity(signals));
    // If all is healthy, no service is suspect.
    if !out.iter().any(|f| f.situation == Some(Situation::Healthy)) {
        out.extend(context::suspects(signals));
        out.extend(theories::evidence_against(signals));
    }
    out.extend(changed_series(signals));
    out.extend(new_patterns(signals));
    out.extend(context::changes(signals));
    out.extend(context::dependencies(signals));
    out.extend(context::burns(signals));
    out.extend(context::limits(signals));
    out.extend(context::expiring(signals));
    out.extend(related(signals));
    out.extend(unchanged(signals));
    out.extend(signals.notes.iter().map(|note| Finding {
        kind: FindingKind::Gap,
        title: "About the window".to_owned(),
        text: note.clone(),
        confidence: 1.0,
        at: None,
        inputs: Vec::new(),
        ..Finding::default()
    }));
    out.extend(signals.gaps.iter().chain(&signals.change_gaps).map(|gap| Finding {
        kind: FindingKind::Gap,
        title: "Data gap".to_owned(),
        text: gap.clone(),
        confidence: 1.0,
        at: None,
        inputs: Vec::new(),
        ..Finding::default()
    }));
    out
}

fn alert_finding(signals: &Signals) -> Finding {
    let firing: Vec<&Alert> = signals.alerts.iter().filter(|a| a.is_firing()).collect();
    let inputs = if signals.alerts_key.is_empty() { Vec::new() } else { vec![signals.alerts_key.clone()] };
    let base = Finding {
        kind: FindingKind::Alerts,
        title: String::new(),
        text: String::new(),
        confidence: 1.0,
        at: None,
        inputs,
        ..Finding::default()
    };
    if !signals.alerts_known {
        let (title, text) = if signals.has_alert_source {
            (
                "Alert status unknown: no alert source answered",
                "No alert source answered, so it is unknown whether any alerts are firing.",
            )
        } else {
            ("No alert source is configured", "No alert source is configured, so it is unknown whether anything fires.")
        };
        return Finding { title: title.to_owned(), text: text.to_owned(), confidence: 0.0, ..base };
    }
    if firing.is_empty() {
        return no_alert_finding(signals, base);
    }
    // What began with the incident comes first; alerts that are older than it come last.
    let mut ordered = firing.clone();
    ordered.sort_by_key(|a| (signals.is_older(a), a.began_at(), a.severity, a.name.clone()));
    let older = ordered.iter().filter(|a| signals.is_older(a)).count();
    let recent = ordered.len() - older;
    if let Some(storm) = &signals.storm {
        let list: Vec<String> = ordered.iter().take(3).map(|a| describe_alert(signals, a)).collect();
        let rest = signals.alerts.len().saturating_sub(storm.total);
        let rest = if rest == 0 { String::new() } else { format!(" {} more began at other times.", words::count(rest, "alert")) };
        return Finding {
            title: format!("Alert storm: {} of {} alerts {}", storm.shared, storm.total, storm.describe()),
            text: format!(
                "{} of {} alerts that began together {}, so they are treated as one. The first to fire: {}.{rest}",
                storm.shared,
                storm.total,
                storm.describe(),
                list.join("; ")
            ),
            ..base
        };
    }
    let list: Vec<String> = ordered.iter().take(MAX_LISTED_ALERTS).map(|a| describe_alert(signals, a)).collect();
    let more = match ordered.len().saturating_sub(MAX_LISTED_ALERTS) {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    let first = alert_label(ordered.first().copied());
    let also = if older > 0 && recent > 0 { format!(", and {older} older") } else { String::new() };
    Finding {
        title: match (recent, ordered.len()) {
            (_, 1) => format!("{first} is firing"),
            (1, _) => format!("{first} is firing{also}"),
            (0, n) => format!("{n} alerts are firing, all of them older than this incident"),
            (n, _) => format!("{n} alerts are firing, starting with {first}{also}"),
        },
        text: format!("{}{more}.", list.join("; ")),
        ..base
    }
}

/// The finding that nothing fires, or that this is unknown.
fn no_alert_finding(signals: &Signals, base: Finding) -> Finding {
    let unknown = signals.unknown_alerts.len();
    if unknown > 0 {
        let count = words::count(unknown, "linked alert");
        return Finding {
            title: format!("Alert status unknown for {count}"),
            text: format!("No source that knows them answered, so it is unknown whether {count} still fire."),
            confidence: 0.0,
            ..base
        };
    }
    let others = signals.alerts.len();
    let rest = if others == 0 { String::new() } else { format!(" Pending, suppressed or resolved alerts: {others}.") };
    Finding {
        title: "No alerts are firing".to_owned(),
        text: format!("No alerts are firing in the window: the condition may have ended, or no alert rule covers it.{rest}"),
        ..base
    }
}

/// Number of alerts that are listed one by one.
const MAX_LISTED_ALERTS: usize = 8;

fn alert_label(alert: Option<&Alert>) -> String {
    alert.map_or_else(String::new, |a| match a.subject() {
        Some(subject) => format!("{} on {}", a.name, subject.name),
        None => a.name.clone(),
    })
}

fn describe_alert(signals: &Signals, alert: &Alert) -> String {
    let since = match (alert.pending_since, alert.starts_at) {
        (Some(p), Some(s)) if p != s => {
            format!(" since {} (condition true since {})", signals.clock(s), signals.clock(p))
        }
        (_, Some(s)) => format!(" since {}", signals.clock(s)),
        (Some(p), None) => format!(" (condition true since {})", signals.clock(p)),
        (None, None) => String::new(),
    };
    let older = if signals.is_older(alert) { ", older than this incident" } else { "" };
    format!("{} [{}]{since}{older}: {}", alert_label(Some(alert)), alert.severity.short(), alert.summary())
}

fn value(v: Option<f64>, unit: &str) -> String {
    match (v, unit) {
        (None, _) => "no data".to_owned(),
        (Some(v), "%") => format!("{}%", human_value(v * 100.0)),
        (Some(v), unit) => human_measure(v, unit),
    }
}

fn metric_name(m: &MetricInput) -> String {
    m.service.as_ref().map_or_else(|| m.title.clone(), |s| format!("{s} {}", m.title))
}

/// Reports the changed series in the order in which they changed; of those at the same time, the larger change first.
fn changed_series(signals: &Signals) -> Vec<Finding> {
    let mut changed: Vec<&MetricInput> = signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat).collect();
    changed.sort_by(|a, b| {
        // At the same time: saturation before symptoms, and the expression of the alert last.
        let is_symptom = |m: &MetricInput| m.meaning().is_symptom() || m.meaning().quantity == Quantity::Traffic;
        let at = |m: &MetricInput| m.movement.changed_at.map_or(i64::MAX, Timestamp::micros);
        // A level that is usual at this hour comes last: it is probably unrelated.
        let when = |m: &MetricInput| (is_usual_now(m), at(m), m.is_alert_expression, is_symptom(m));
        when(a).cmp(&when(b)).then_with(|| b.movement.score.total_cmp(&a.movement.score)).then_with(|| a.title.cmp(&b.title))
    });
    changed.retain(|m| !repeats_percentile(m, &signals.metrics));
    let first_alert = signals.first_alert();
    let total = changed.len();
    // Series that changed within the same step share first place.
    let tied = changed.iter().filter(|m| m.movement.changed_at == changed.first().and_then(|f| f.movement.changed_at)).count();
    let first = match tied {
        0 | 1 => " (changed first)".to_owned(),
        n => format!(" (one of {n} that changed first, at the same time)"),
    };
    let mut out: Vec<Finding> = changed
        .iter()
        .take(MAX_CHANGED)
        .enumerate()
        .map(|(i, m)| {
            let at = m.movement.changed_at;
            let lead = match (at, first_alert) {
                (Some(at), Some(alert)) if alert.secs_since(at) >= 1.0 => {
                    format!(
                        ", {} before the first alert's condition became true",
                        crate::telemetry::time::human_duration(alert.since(at))
                    )
                }
                _ => String::new(),
            };
            let (verb, side) = if m.movement.direction == Direction::Up { ("rose", "above") } else { ("fell", "below") };
            let back = m
                .movement
                .back_at
                .map(|at| format!(", and has been back to normal since {}", signals.clock(at)))
                .unwrap_or_default();
            let usual = m.earlier.iter().any(|e| is_usual(m, e));
            // Show the same size as the finding about the suspect.
            let suspect = signals.suspects.iter().find(|s| s.suspect.series.as_ref().is_some_and(|id| m.is_of(id)));
            let size = suspect.map_or(m.movement.score.round(), |s| s.suspect.size);
            let distance = match (m.movement.before, m.movement.after) {
                (Some(_), Some(_)) => format!(", {}σ (robust) {side} baseline", human_value(size)),
                _ => String::new(),
            };
            let earlier = describe_earlier(m);
            let confidence = (0.5 + m.movement.score.ln_1p() / 12.0).min(0.95);
            let change = format!("{} → {}", value(m.movement.before, &m.unit), value(m.movement.after, &m.unit));
            Finding {
                kind: FindingKind::Metric,
                title: format!("{} {verb} {change}{}", metric_name(m), if i == 0 { first.as_str() } else { "" }),
                text: format!(
                    "{} {verb} from {} to {} at {}{lead}{distance}{back}{}.",
                    metric_name(m),
                    value(m.movement.before, &m.unit),
                    value(m.movement.after, &m.unit),
                    at.map_or_else(|| "an unknown time".to_owned(), |at| signals.clock(at)),
                    earlier.as_deref().unwrap_or(""),
                ),
                confidence: confidence * if usual { 0.4 } else { 1.0 },
                at,
                inputs: vec![m.key.clone()],
                against: m.earlier.iter().filter(|e| is_usual(m, e)).map(|e| e.key.clone()).collect(),
                service: m.service.clone(),
                subject: Some(m.title.clone()),
                ..Finding::default()
            }
        })
        .collect();
    if total > MAX_CHANGED {
        out.push(Finding {
            kind: FindingKind::Metric,
            title: format!("{} more series changed later", total - MAX_CHANGED),
            text: changed.iter().skip(MAX_CHANGED).take(20).map(|m| metric_name(m)).collect::<Vec<_>>().join(", "),
            confidence: 0.5,
            at: None,
            inputs: changed.iter().skip(MAX_CHANGED).take(5).map(|m| m.key.clone()).collect(),
            ..Finding::default()
        });
    }
    out
}

/// Whether a changed mean only repeats what the 95th percentile of the same histogram shows: both changed in the same direction, the
/// percentile no later.
pub fn repeats_percentile(mean: &MetricInput, metrics: &[MetricInput]) -> bool {
    let Some(base) = histogram_of(&mean.key, "_sum") else { return false };
    let repeats = |other: &MetricInput| {
        histogram_of(&other.key, "_bucket") == Some(base)
            && (&other.service, &other.labels) == (&mean.service, &mean.labels)
            && other.movement.direction == mean.movement.direction
            && other.movement.changed_at <= mean.movement.changed_at
    };
    metrics.iter().any(repeats)
}

/// The source and the name of the histogram in the key of a query, `metric/SOURCE/QUERY`, by the end of one of its series.
fn histogram_of<'a>(key: &'a str, end: &str) -> Option<(&'a str, &'a str)> {
    let (source, query) = key.strip_prefix("metric/")?.split_once('/')?;
    let before = query.get(..query.find(end)?)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
    Some((source, before.rsplit(|c| !is_name(c)).next()?))
}

/// Whether at the same hours of another day a series was at least half as far from its level before the change, in the same
/// direction. The change is then due to the time of day rather than to the incident.
fn is_usual(m: &MetricInput, earlier: &EarlierLevel) -> bool {
    let (Some(before), Some(after)) = (m.movement.before, m.movement.after) else { return false };
    let change = after - before;
    change != 0.0 && (earlier.level - before) / change >= 0.5
}

/// Whether the change of a series is usual for this time of day, judged by any earlier day.
fn is_usual_now(m: &MetricInput) -> bool {
    m.earlier.iter().any(|e| is_usual(m, e))
}

/// Describes the levels of earlier days, as the end of a sentence; `None` without any.
fn describe_earlier(m: &MetricInput) -> Option<String> {
    let levels: Vec<String> = m.earlier.iter().map(|e| format!("{} {}", value(Some(e.level), &m.unit), e.when)).collect();
    if levels.is_empty() {
        return None;
    }
    let verdict =
        if m.earlier.iter().any(|e| is_usual(m, e)) { ": usual at this time of day, so probably unrelated" } else { "" };
    Some(format!("; at the same time of day it was {}{verdict}", levels.join(", ")))
}

fn new_patterns(signals: &Signals) -> Vec<Finding> {
    // Two sources may have the same log.
    let mut known = BTreeSet::new();
    signals
        .patterns
        .iter()
        .filter(|(_, p)| {
            let bad = p.is_error();
            matches!(p.change, Change::New | Change::Up) && (bad || p.count >= 5 && p.level.is_none_or(|l| l >= Level::Warn))
        })
        .filter(|(_, p)| known.insert((&p.template, &p.services)))
        .take(MAX_PATTERNS)
        .map(|(key, p)| {
            let services = if p.services.is_empty() { String::new() } else { format!(" in {}", p.services.join(", ")) };
            let is_dated = p.first_at.is_some();
            let before = match p.baseline_count {
                _ if !is_dated => "without timestamps, so possibly from before the incident".to_owned(),
                0 if p.is_baseline_cut => "none in the lines from before the incident that were read".to_owned(),
                0 => "none before the incident".to_owned(),
                n => format!("{n} before the incident"),
            };
            Finding {
                kind: FindingKind::Pattern,
                service: p.services.first().filter(|_| p.services.len() == 1).cloned(),
                subject: Some(p.template.clone()),
                title: format!(
                    "{} log pattern{services}: {}",
                    match p.change {
                        _ if !is_dated => "Undated",
                        Change::New => "New",
                        _ => "More frequent",
                    },
                    crate::telemetry::clean::truncate(&p.template, 120)
                ),
                text: format!(
                    "{}{}, {before}{}; for example: {}",
                    words::count(p.count, "line"),
                    p.level.map(|l| format!(" at level {}", l.word())).unwrap_or_default(),
                    p.first_at.map_or_else(String::new, |t| format!(", first at {}", signals.clock(t))),
                    crate::telemetry::clean::truncate(p.sample.lines().next().unwrap_or(""), 240),
                ),
                confidence: match p.change {
                    _ if !is_dated => 0.4,
                    Change::New if !p.is_baseline_cut => 0.85,
                    _ => 0.7,
                },
                at: p.first_at,
                inputs: vec![key.clone()],
                ..Finding::default()
            }
        })
        .collect()
}

fn related(signals: &Signals) -> Vec<Finding> {
    signals
        .relations
        .iter()
        .take(3)
        .map(|r| Finding {
            kind: FindingKind::Related,
            title: format!("{} alerts share {}={}", r.count(), r.label, r.value),
            text: format!(
                "{} share {}={}{}.",
                r.alerts.join(", "),
                r.label,
                r.value,
                r.together().map(|when| format!(" and began {when}")).unwrap_or_default()
            ),
            confidence: 0.6,
            at: None,
            inputs: [signals.relations_key.clone(), signals.alerts_key.clone()].into_iter().filter(|k| !k.is_empty()).collect(),
            ..Finding::default()
        })
        .collect()
}

/// Reports error and latency series of services that did not change: these services are unlikely causes.
fn unchanged(signals: &Signals) -> Vec<Finding> {
    let is_relevant = |m: &&MetricInput| {
        m.movement.direction == Direction::Flat && is_healthy_level_known(signals, m) && m.meaning().is_symptom()
    };
    let flat: Vec<&MetricInput> = signals.metrics.iter().filter(is_relevant).collect();
    let changed_services: Vec<&str> =
        signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat).filter_map(|m| m.service.as_deref()).collect();
    // A service may be unhealthy at a constant level if one of its alerts is firing, so it is excluded.
    let alerting: Vec<&str> = signals.alerts.iter().filter(|a| a.is_firing()).filter_map(Alert::service).collect();
    let excluded: Vec<&str> = changed_services.into_iter().chain(alerting).collect();
    flat.iter()
        .filter(|m| m.service.as_deref().is_none_or(|s| !excluded.contains(&s)))
        .take(MAX_UNCHANGED)
        .map(|m| Finding {
            kind: FindingKind::Unchanged,
            service: m.service.clone(),
            subject: Some(m.title.clone()),
            title: format!("{} did not change", metric_name(m)),
            text: format!(
                "{} stayed at {}, which makes {} an unlikely cause.",
                metric_name(m),
                value(m.movement.after, &m.unit),
                m.service.as_deref().unwrap_or("it")
            ),
            confidence: 0.6,
            at: None,
            inputs: vec![m.key.clone()],
            ..Finding::default()
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::telemetry::{AlertSeverity, AlertState};

    pub(in crate::analysis) fn alert(name: &str, severity: AlertSeverity, service: &str) -> Alert {
        Alert {
            fingerprint: name.into(),
            name: name.into(),
            severity,
            state: AlertState::Firing,
            starts_at: Some(Timestamp::from_secs(700)),
            pending_since: None,
            labels: Labels::from([("service".into(), service.into())]),
            annotations: Labels::new(),
            source: "am".into(),
            occurrences: 1,
            value: None,
            silenced_by: vec![],
            ..Alert::default()
        }
    }

    pub(in crate::analysis) fn metric(title: &str, service: &str, secs: Option<i64>) -> MetricInput {
        MetricInput {
            key: format!("{service}/{title}"),
            service: Some(service.into()),
            title: title.into(),
            unit: "s".into(),
            movement: Movement {
                direction: if secs.is_some() { Direction::Up } else { Direction::Flat },
                score: if secs.is_some() { 80.0 } else { 0.0 },
                changed_at: secs.map(Timestamp::from_secs),
                before: Some(0.09),
                after: Some(if secs.is_some() { 7.8 } else { 0.09 }),
                back_at: None,
            },
            is_alert_expression: false,
            threshold: None,
            requests: match title {
                "requests per second" => Some(Requests::All),
                "errors per second" => Some(Requests::Failed),
                _ => None,
            },
            labels: Labels::new(),
            earlier: Vec::new(),
        }
    }

    #[test]
    fn lists_the_first_change_first_and_unchanged_series_last() {
        let signals = Signals {
            alerts_known: true,
            metrics: vec![
                metric("latency p95", "gateway", Some(600)),
                metric("db_pool_in_use", "checkout", Some(500)),
                metric("latency p95", "payment", None),
            ],
            ..Signals::default()
        };
        let found = single(&signals);
        assert_eq!(found[0].title, "No alerts are firing");
        let first = found.iter().find(|f| f.kind == FindingKind::Metric).unwrap();
        assert!(first.title.starts_with("checkout db_pool_in_use rose") && first.title.ends_with("(changed first)"));
        assert_eq!(first.inputs, ["checkout/db_pool_in_use"]);
        let last = found.last().unwrap();
        assert_eq!((last.kind, last.title.as_str()), (FindingKind::Unchanged, "payment latency p95 did not change"));
    }

    #[test]
    fn alert_status_is_unknown_without_a_source() {
        assert_eq!(single(&Signals::default())[0].confidence, 0.0);
    }
}
