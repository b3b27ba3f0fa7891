//! The ordered list of findings: what fired, how bad it is, where it may have begun, what moved first, what is new in the logs,
//! what changed just before, what burns, fills up or runs out, what belongs together, what did not change, and what could not be
//! seen.

mod around;
mod theories;
mod triage;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use around::BEFORE as CHANGES_BEFORE;
pub use theories::OF_CHANGES;

use super::movement::{Direction, Movement};
use super::patterns::{Change, Pattern};
use super::relations::{Relation, Storm};
use super::suspects::Suspect;
use crate::incident::{FindingKind, Matrix};
use crate::telemetry::series::{human_measure, human_value};
use crate::telemetry::{Alert, Labels, Level, Timestamp, Window};

/// Names one input of the analysis; the caller knows which evidence stands behind it.
pub type Key = String;

/// A series that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricInput {
    pub key: Key,
    pub service: Option<String>,
    /// What it measures, short: `errors per second`, `db_pool_in_use`.
    pub title: String,
    /// `s`, `B`, `%`, `/s` or nothing.
    pub unit: String,
    pub movement: Movement,
    /// Whether it is the expression of a firing alert.
    pub is_alert_expression: bool,
    /// Its labels, which tell it apart within its evidence.
    pub labels: Labels,
    /// Where it stood at the same hours before, where the backend still knows.
    pub earlier: Vec<Earlier>,
}

/// The level of a series at the same hours of another day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Earlier {
    /// `a day earlier`, `a week earlier`.
    pub when: String,
    /// The median over the same hours.
    pub level: f64,
    pub key: Key,
}

/// A suspect with the evidence that it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct SuspectInput {
    pub suspect: Suspect,
    /// Of its series within its evidence.
    pub labels: Labels,
    pub unit: String,
    pub keys: Vec<Key>,
}

/// Something that was done to a service: a deploy, a restart, a switch.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeInput {
    pub at: Timestamp,
    pub service: Option<String>,
    /// In words, without time and service: `version 1.41.3 → 1.42.0`.
    pub what: String,
    /// Whether somebody did it for sure; a restart or a new generation may as well be the machine's own doing.
    pub is_release: bool,
    pub key: Key,
}

/// How full something is.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitInput {
    pub service: Option<String>,
    pub title: String,
    /// 0 empty to 1 full.
    pub share: f64,
    /// When it is full if it goes on as it does.
    pub full_at: Option<Timestamp>,
    pub key: Key,
}

/// Something with an end: a certificate, a licence.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpiryInput {
    pub what: String,
    pub at: Timestamp,
    pub key: Key,
}

/// How fast an error budget burns, over a long and a short window: 1 uses it up exactly at the end of its period.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnInput {
    pub service: String,
    /// Such as .999.
    pub objective: f64,
    pub long: (String, f64),
    pub short: (String, f64),
    /// From this rate on it pages.
    pub pages_at: f64,
    pub keys: Vec<Key>,
}

/// Everything the analysis looks at. Keys may repeat: one evidence item can hold several series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    pub window: Option<Window>,
    pub alerts_key: Key,
    pub alerts: Vec<Alert>,
    /// Whether any alert source answered; without one, silence says nothing.
    pub alerts_known: bool,
    pub metrics: Vec<MetricInput>,
    pub patterns: Vec<(Key, Pattern)>,
    pub relations: Vec<Relation>,
    pub relations_key: Key,
    /// Alerts that are to be looked at as one.
    pub storm: Option<Storm>,
    pub suspects: Vec<SuspectInput>,
    pub changes: Vec<ChangeInput>,
    pub limits: Vec<LimitInput>,
    pub expiring: Vec<ExpiryInput>,
    pub burns: Vec<BurnInput>,
    /// Callees by caller, with the evidence of it.
    pub calls: BTreeMap<String, BTreeSet<String>>,
    /// Where that is known from, in words.
    pub calls_from: Vec<(Key, &'static str)>,
    /// Whom the new lines of each service name, with the evidence of it.
    pub blames: BTreeMap<String, BTreeSet<String>>,
    pub blames_key: Key,
    /// What each severity means.
    pub matrix: Option<Matrix>,
    /// What could not be looked at, with the reason.
    pub gaps: Vec<String>,
}

/// A finding that names its inputs by key.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub kind: FindingKind,
    pub title: String,
    pub text: String,
    pub confidence: f64,
    /// When it happened, where it happened at one moment.
    pub at: Option<Timestamp>,
    pub inputs: Vec<Key>,
    pub against: Vec<Key>,
}

/// Moved series reported one by one; the rest are counted.
const MAX_MOVED: usize = 12;
const MAX_PATTERNS: usize = 6;
const MAX_UNCHANGED: usize = 4;

/// The findings, in the order of a report. "Nothing fires" is a finding too.
pub fn findings(signals: &Signals) -> Vec<Finding> {
    let mut out = vec![fired(signals)];
    out.extend(triage::verdict(signals));
    out.extend(triage::severity(signals));
    // Beside "healthy" nobody is suspect.
    if !out.iter().any(|f| f.kind == FindingKind::Verdict && f.title.starts_with("healthy")) {
        out.extend(around::suspects(signals));
        out.extend(theories::against(signals));
    }
    out.extend(moved(signals));
    out.extend(new_patterns(signals));
    out.extend(around::changes(signals));
    out.extend(around::dependencies(signals));
    out.extend(around::burns(signals));
    out.extend(around::limits(signals));
    out.extend(around::expiring(signals));
    out.extend(related(signals));
    out.extend(unchanged(signals));
    out.extend(signals.gaps.iter().map(|gap| Finding {
        kind: FindingKind::Gap,
        title: "not looked at".to_owned(),
        text: gap.clone(),
        confidence: 1.0,
        at: None,
        inputs: Vec::new(),
        against: Vec::new(),
    }));
    out
}

fn fired(signals: &Signals) -> Finding {
    let firing: Vec<&Alert> = signals.alerts.iter().filter(|a| a.is_firing()).collect();
    let inputs = if signals.alerts_key.is_empty() { Vec::new() } else { vec![signals.alerts_key.clone()] };
    let base = Finding {
        kind: FindingKind::Alerts,
        title: String::new(),
        text: String::new(),
        confidence: 1.0,
        at: None,
        inputs,
        against: Vec::new(),
    };
    if !signals.alerts_known {
        return Finding {
            title: "it is not known what fires".to_owned(),
            text: "No alert source answered, so neither firing nor silent alerts can be told.".to_owned(),
            confidence: 0.0,
            ..base
        };
    }
    if firing.is_empty() {
        let hidden = signals.alerts.len();
        let rest = if hidden == 0 { String::new() } else { format!(" {hidden} are pending, hidden or resolved.") };
        return Finding {
            title: "nothing fires".to_owned(),
            text: format!("No alert fires in the window; the condition may have ended, or nothing watches for it.{rest}"),
            ..base
        };
    }
    let mut ordered = firing.clone();
    ordered.sort_by_key(|a| (a.pending_since.or(a.starts_at), a.severity, a.name.clone()));
    let list: Vec<String> = ordered.iter().take(8).map(|a| describe_alert(a)).collect();
    let more = if ordered.len() > 8 { format!(" and {} more", ordered.len() - 8) } else { String::new() };
    if let Some(storm) = &signals.storm {
        let list: Vec<String> = ordered.iter().take(3).map(|a| describe_alert(a)).collect();
        return Finding {
            title: format!("{} of {} alerts {}: one storm", storm.shared, storm.all, storm.words()),
            text: format!(
                "{} of {} alerts {} and began together: looked at as one. The first of them: {}.",
                storm.shared,
                storm.all,
                storm.words(),
                list.join("; ")
            ),
            ..base
        };
    }
    Finding {
        title: match ordered.len() {
            1 => format!("{} fires", alert_label(ordered.first().copied())),
            n => format!("{n} alerts fire, first {}", alert_label(ordered.first().copied())),
        },
        text: format!("{}{more}.", list.join("; ")),
        ..base
    }
}

fn alert_label(alert: Option<&Alert>) -> String {
    alert.map_or_else(String::new, |a| match a.service() {
        Some(service) => format!("{} on {service}", a.name),
        None => a.name.clone(),
    })
}

fn describe_alert(alert: &Alert) -> String {
    let since = match (alert.pending_since, alert.starts_at) {
        (Some(p), Some(s)) if p != s => format!(" since {} (condition true from {})", clock(s), clock(p)),
        (_, Some(s)) => format!(" since {}", clock(s)),
        (Some(p), None) => format!(" (condition true from {})", clock(p)),
        (None, None) => String::new(),
    };
    format!("{} [{}]{since}: {}", alert_label(Some(alert)), alert.severity.short(), alert.summary())
}

/// A time of day with its zone.
fn clock(at: Timestamp) -> String {
    format!("{}Z", at.clock(time::UtcOffset::UTC))
}

fn value(v: Option<f64>, unit: &str) -> String {
    match (v, unit) {
        (None, _) => "nothing".to_owned(),
        (Some(v), "%") => format!("{} %", human_value(v * 100.0)),
        (Some(v), unit) => human_measure(v, unit),
    }
}

fn metric_name(m: &MetricInput) -> String {
    m.service.as_ref().map_or_else(|| m.title.clone(), |s| format!("{s} {}", m.title))
}

/// Moved series in the order in which they moved; among those of one moment the farther first.
fn moved(signals: &Signals) -> Vec<Finding> {
    let mut moved: Vec<&MetricInput> = signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat).collect();
    moved.sort_by(|a, b| {
        // Of one moment: what fills up before what hurts, and the alert's own expression last.
        let hurts = |m: &MetricInput| ["latency", "error", "requests"].iter().any(|w| m.title.contains(w));
        let at = |m: &MetricInput| m.movement.changed_at.map_or(i64::MAX, Timestamp::micros);
        // What is usual at this hour is told last: it is not what began.
        let when = |m: &MetricInput| (is_usual_now(m), at(m), m.is_alert_expression, hurts(m));
        when(a).cmp(&when(b)).then_with(|| b.movement.score.total_cmp(&a.movement.score)).then_with(|| a.title.cmp(&b.title))
    });
    let first_alert = signals.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min();
    let total = moved.len();
    // What cannot be told apart at this step is not called first.
    let at_once = moved.iter().filter(|m| m.movement.changed_at == moved.first().and_then(|f| f.movement.changed_at)).count();
    let first = match at_once {
        0 | 1 => " (moved first)".to_owned(),
        n => format!(" (moved first, at once with {})", crate::telemetry::words::count(n - 1, "other")),
    };
    let mut out: Vec<Finding> = moved
        .iter()
        .take(MAX_MOVED)
        .enumerate()
        .map(|(i, m)| {
            let at = m.movement.changed_at;
            let lead = match (at, first_alert) {
                (Some(at), Some(alert)) if alert.secs_since(at) >= 1.0 => {
                    format!(", {} before the first alert's condition", crate::telemetry::time::human(alert.since(at)))
                }
                _ => String::new(),
            };
            let arrow = if m.movement.direction == Direction::Up { "rose" } else { "fell" };
            let back = m.movement.back_at.map(|at| format!(", back to normal since {}", clock(at))).unwrap_or_default();
            let usual = m.earlier.iter().any(|e| is_usual(m, e));
            // One figure for one series: what the suspect's finding tells.
            let name = m.service.as_ref().map_or_else(|| m.title.clone(), |s| format!("{s}|{}", m.title));
            let suspect = signals.suspects.iter().find(|s| s.suspect.series.as_ref() == Some(&name));
            let size = suspect.map_or(m.movement.score.round(), |s| s.suspect.size);
            let earlier = earlier_told(m);
            let confidence = (0.5 + m.movement.score.ln_1p() / 12.0).min(0.95);
            let change = format!("{} → {}", value(m.movement.before, &m.unit), value(m.movement.after, &m.unit));
            Finding {
                kind: FindingKind::Moved,
                title: format!("{} {arrow} {change}{}", metric_name(m), if i == 0 { first.as_str() } else { "" }),
                text: format!(
                    "{} {arrow} from {} to {} at {}{lead}; {} times its usual spread{back}{}.",
                    metric_name(m),
                    value(m.movement.before, &m.unit),
                    value(m.movement.after, &m.unit),
                    at.map_or_else(|| "an unknown time".to_owned(), clock),
                    human_value(size),
                    earlier.as_deref().unwrap_or(""),
                ),
                confidence: confidence * if usual { 0.4 } else { 1.0 },
                at,
                inputs: vec![m.key.clone()],
                against: m.earlier.iter().filter(|e| is_usual(m, e)).map(|e| e.key.clone()).collect(),
            }
        })
        .collect();
    if total > MAX_MOVED {
        out.push(Finding {
            kind: FindingKind::Moved,
            title: format!("{} further series moved later", total - MAX_MOVED),
            text: moved.iter().skip(MAX_MOVED).take(20).map(|m| metric_name(m)).collect::<Vec<_>>().join(", "),
            confidence: 0.5,
            at: None,
            inputs: moved.iter().skip(MAX_MOVED).take(5).map(|m| m.key.clone()).collect(),
            against: Vec::new(),
        });
    }
    out
}

/// Whether a series stood at the same hours of another day where it stands now, or went as far the same way: then it is the
/// hour and not the incident.
fn is_usual(m: &MetricInput, earlier: &Earlier) -> bool {
    let (Some(before), Some(after)) = (m.movement.before, m.movement.after) else { return false };
    let moved = after - before;
    moved != 0.0 && (earlier.level - before) / moved >= 0.5
}

/// Whether it stands where it stood at the same hours of another day.
fn is_usual_now(m: &MetricInput) -> bool {
    m.earlier.iter().any(|e| is_usual(m, e))
}

fn earlier_told(m: &MetricInput) -> Option<String> {
    let levels: Vec<String> = m.earlier.iter().map(|e| format!("{} {}", value(Some(e.level), &m.unit), e.when)).collect();
    if levels.is_empty() {
        return None;
    }
    let verdict = if m.earlier.iter().any(|e| is_usual(m, e)) { ": usual at this hour, which speaks against it" } else { "" };
    Some(format!("; at the same hours {}{verdict}", levels.join(", ")))
}

fn new_patterns(signals: &Signals) -> Vec<Finding> {
    signals
        .patterns
        .iter()
        .filter(|(_, p)| {
            let bad = p.level.is_some_and(Level::is_bad);
            matches!(p.change, Change::New | Change::Up) && (bad || p.count >= 5 && p.level.is_none_or(|l| l >= Level::Warn))
        })
        .take(MAX_PATTERNS)
        .map(|(key, p)| {
            let services = if p.services.is_empty() { String::new() } else { format!(" in {}", p.services.join(", ")) };
            let is_dated = p.first_at.is_some();
            let before = match p.baseline_count {
                _ if !is_dated => "which tell no time, so that they may be older than the onset".to_owned(),
                0 => "not seen before the onset".to_owned(),
                n => format!("{n} before"),
            };
            Finding {
                kind: FindingKind::Pattern,
                title: format!(
                    "{} log pattern{services}: {}",
                    if is_dated { p.change.word() } else { "undated" },
                    crate::telemetry::clean::cut(&p.template, 120)
                ),
                text: format!(
                    "{}{}, {before}{}; for example: {}",
                    crate::telemetry::words::count(p.count, "line"),
                    p.level.map(|l| format!(" at level {}", l.word())).unwrap_or_default(),
                    p.first_at.map_or_else(String::new, |t| format!(", first at {}", clock(t))),
                    crate::telemetry::clean::cut(p.sample.lines().next().unwrap_or(""), 240),
                ),
                confidence: match p.change {
                    _ if !is_dated => 0.4,
                    Change::New => 0.85,
                    _ => 0.7,
                },
                at: p.first_at,
                inputs: vec![key.clone()],
                against: Vec::new(),
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
            title: format!("{} alerts share {}={}", r.alerts.len(), r.label, r.value),
            text: format!(
                "{} share {}={}{}.",
                r.alerts.join(", "),
                r.label,
                r.value,
                r.spread_secs.map(|s| format!(" and began within {s} s of each other")).unwrap_or_default()
            ),
            confidence: 0.6,
            at: None,
            inputs: [signals.relations_key.clone(), signals.alerts_key.clone()].into_iter().filter(|k| !k.is_empty()).collect(),
            against: Vec::new(),
        })
        .collect()
}

/// Error, latency and traffic series of services that stayed where they were: they speak against "it is everything".
fn unchanged(signals: &Signals) -> Vec<Finding> {
    let telling = |m: &&MetricInput| {
        m.movement.direction == Direction::Flat
            && m.movement.before.is_some()
            && ["error", "latency", "requests"].iter().any(|w| m.title.contains(w))
    };
    let still: Vec<&MetricInput> = signals.metrics.iter().filter(telling).collect();
    let moved_services: Vec<&str> =
        signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat).filter_map(|m| m.service.as_deref()).collect();
    // A service that an alert fires for, or whose level alone is over an alert's threshold, is no witness of health.
    let accused: Vec<&str> = signals.alerts.iter().filter(|a| a.is_firing()).filter_map(Alert::service).collect();
    let moved_services: Vec<&str> = moved_services.into_iter().chain(accused).collect();
    still
        .iter()
        .filter(|m| m.title.contains("latency") || m.title.contains("error"))
        .filter(|m| m.service.as_deref().is_none_or(|s| !moved_services.contains(&s)))
        .take(MAX_UNCHANGED)
        .map(|m| Finding {
            kind: FindingKind::Unchanged,
            title: format!("{} did not change", metric_name(m)),
            text: format!(
                "{} stayed at {}: this speaks against {} as the cause.",
                metric_name(m),
                value(m.movement.after, &m.unit),
                m.service.as_deref().unwrap_or("it")
            ),
            confidence: 0.6,
            at: None,
            inputs: vec![m.key.clone()],
            against: Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{AlertSeverity, AlertState};

    pub(super) fn alert(name: &str, severity: AlertSeverity, service: &str) -> Alert {
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
            inhibited_by: vec![],
            generator_url: String::new(),
        }
    }

    pub(super) fn metric(title: &str, service: &str, secs: Option<i64>) -> MetricInput {
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
            labels: Labels::new(),
            earlier: Vec::new(),
        }
    }

    #[test]
    fn the_first_mover_leads_and_the_still_service_speaks_against() {
        let signals = Signals {
            alerts_known: true,
            metrics: vec![
                metric("latency p95", "gateway", Some(600)),
                metric("db_pool_in_use", "checkout", Some(500)),
                metric("latency p95", "payment", None),
            ],
            ..Signals::default()
        };
        let found = findings(&signals);
        assert_eq!(found[0].title, "nothing fires");
        let moved = found.iter().find(|f| f.kind == FindingKind::Moved).unwrap();
        assert!(moved.title.starts_with("checkout db_pool_in_use rose") && moved.title.ends_with("(moved first)"));
        assert_eq!(moved.inputs, ["checkout/db_pool_in_use"]);
        let last = found.last().unwrap();
        assert_eq!((last.kind, last.title.as_str()), (FindingKind::Unchanged, "payment latency p95 did not change"));
    }

    #[test]
    fn silence_without_a_source_is_not_health() {
        assert_eq!(findings(&Signals::default())[0].confidence, 0.0);
    }
}
