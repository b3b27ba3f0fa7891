//! The ordered list of findings: what fired, what moved first, what is new in the logs, what belongs together, what did
//! not change, and what could not be seen.

use serde::{Deserialize, Serialize};

use super::movement::{Direction, Movement};
use super::patterns::{Change, Pattern};
use super::relations::Relation;
use crate::incident::FindingKind;
use crate::telemetry::series::human_value;
use crate::telemetry::{Alert, Level, Timestamp, Window};

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
    out.extend(moved(signals));
    out.extend(new_patterns(signals));
    out.extend(related(signals));
    out.extend(unchanged(signals));
    out.extend(signals.gaps.iter().map(|gap| Finding {
        kind: FindingKind::Gap,
        title: "not looked at".to_owned(),
        text: gap.clone(),
        confidence: 1.0,
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
        (Some(v), "") => human_value(v),
        (Some(v), unit) => format!("{} {unit}", human_value(v)),
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
        let when = |m: &MetricInput| (m.movement.changed_at.map_or(i64::MAX, Timestamp::micros), m.is_alert_expression, hurts(m));
        when(a).cmp(&when(b)).then_with(|| b.movement.score.total_cmp(&a.movement.score)).then_with(|| a.title.cmp(&b.title))
    });
    let first_alert = signals.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min();
    let total = moved.len();
    // What cannot be told apart at this step is not called first.
    let at_once = moved.iter().filter(|m| m.movement.changed_at == moved.first().and_then(|f| f.movement.changed_at)).count();
    let first = match at_once {
        0 | 1 => " (moved first)".to_owned(),
        n => format!(" (moved first, at once with {} others)", n - 1),
    };
    let mut out: Vec<Finding> = moved
        .iter()
        .take(MAX_MOVED)
        .enumerate()
        .map(|(i, m)| {
            let at = m.movement.changed_at;
            let lead = match (at, first_alert) {
                (Some(at), Some(alert)) if at < alert => {
                    format!(", {} before the first alert's condition", crate::telemetry::time::human(alert.since(at)))
                }
                _ => String::new(),
            };
            let arrow = if m.movement.direction == Direction::Up { "rose" } else { "fell" };
            let change = format!("{} → {}", value(m.movement.before, &m.unit), value(m.movement.after, &m.unit));
            Finding {
                kind: FindingKind::Moved,
                title: format!("{} {arrow} {change}{}", metric_name(m), if i == 0 { first.as_str() } else { "" }),
                text: format!(
                    "{} {arrow} from {} to {} at {}{lead}; {} times its normal spread.",
                    metric_name(m),
                    value(m.movement.before, &m.unit),
                    value(m.movement.after, &m.unit),
                    at.map_or_else(|| "an unknown time".to_owned(), clock),
                    human_value(m.movement.score.round()),
                ),
                confidence: (0.5 + m.movement.score.ln_1p() / 12.0).min(0.95),
                inputs: vec![m.key.clone()],
                against: Vec::new(),
            }
        })
        .collect();
    if total > MAX_MOVED {
        out.push(Finding {
            kind: FindingKind::Moved,
            title: format!("{} further series moved later", total - MAX_MOVED),
            text: moved.iter().skip(MAX_MOVED).take(20).map(|m| metric_name(m)).collect::<Vec<_>>().join(", "),
            confidence: 0.5,
            inputs: moved.iter().skip(MAX_MOVED).take(5).map(|m| m.key.clone()).collect(),
            against: Vec::new(),
        });
    }
    out
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
            let before = match p.baseline_count {
                0 => "not seen before the onset".to_owned(),
                n => format!("{n} before"),
            };
            Finding {
                kind: FindingKind::Pattern,
                title: format!("{} log pattern{services}: {}", p.change.word(), crate::telemetry::clean::cut(&p.template, 120)),
                text: format!(
                    "{}{}, {before}{}; for example: {}",
                    crate::telemetry::words::count(p.count, "line"),
                    p.level.map(|l| format!(" at level {}", l.word())).unwrap_or_default(),
                    p.first_at.map_or_else(|| ", at unknown times".to_owned(), |t| format!(", first at {}", clock(t))),
                    crate::telemetry::clean::cut(p.sample.lines().next().unwrap_or(""), 240),
                ),
                confidence: if p.change == Change::New { 0.85 } else { 0.7 },
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
            inputs: vec![m.key.clone()],
            against: Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(title: &str, service: &str, secs: Option<i64>) -> MetricInput {
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
            },
            is_alert_expression: false,
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
        assert!(found[1].title.starts_with("checkout db_pool_in_use rose") && found[1].title.ends_with("(moved first)"));
        assert_eq!(found[1].inputs, ["checkout/db_pool_in_use"]);
        let last = found.last().unwrap();
        assert_eq!((last.kind, last.title.as_str()), (FindingKind::Unchanged, "payment latency p95 did not change"));
    }

    #[test]
    fn silence_without_a_source_is_not_health() {
        assert_eq!(findings(&Signals::default())[0].confidence, 0.0);
    }
}
