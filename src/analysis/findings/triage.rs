//! Whether there is anything at all, and how bad it is.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Key, MetricInput, Signals, clock};
use crate::analysis::{Change, Direction};
use crate::incident::{FindingKind, Severity};
use crate::telemetry::series::human_value;
use crate::telemetry::{Alert, AlertSeverity, Level, words};

/// Series that must have been looked at before "nothing moved" means anything.
const ENOUGH: usize = 3;

fn moved(signals: &Signals) -> Vec<&MetricInput> {
    signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat).collect()
}

fn firing(signals: &Signals) -> Vec<&Alert> {
    signals.alerts.iter().filter(|a| a.is_firing()).collect()
}

fn new_and_bad(signals: &Signals) -> usize {
    let is_bad = |level: Option<Level>| level.is_some_and(Level::is_bad);
    signals.patterns.iter().filter(|(_, p)| matches!(p.change, Change::New | Change::Up) && is_bad(p.level)).count()
}

/// Whether enough was seen, and nothing of it is amiss. What could not be looked at leaves the question open.
fn is_quiet(signals: &Signals) -> bool {
    new_and_bad(signals) == 0
        && signals.metrics.len() >= ENOUGH
        && signals.gaps.is_empty()
        && !signals.burns.iter().any(|b| b.long.1 >= b.pages_at && b.short.1 >= b.pages_at)
        && !signals.limits.iter().any(|l| l.share >= super::around::FULL)
}

/// "Healthy", "recovered", "not over", "inconclusive" and "two causes" where the evidence says so; nothing while it plainly goes
/// on, or nobody knows.
pub(super) fn verdict(signals: &Signals) -> Option<Finding> {
    if !signals.alerts_known {
        return None;
    }
    let (moved, firing) = (moved(signals), firing(signals));
    let back: Vec<_> = moved.iter().filter_map(|m| m.movement.back_at).collect();
    let still: Vec<&&MetricInput> = moved.iter().filter(|m| m.movement.back_at.is_none()).collect();
    let alerts = (!signals.alerts_key.is_empty()).then(|| signals.alerts_key.clone());
    let keys = |metrics: &mut dyn Iterator<Item = &MetricInput>| {
        let mut keys: Vec<Key> = Vec::new();
        for metric in metrics {
            if !keys.contains(&metric.key) && keys.len() < 4 {
                keys.push(metric.key.clone());
            }
        }
        keys
    };
    let make = |title: String, text: String, confidence, inputs: Vec<Key>, against: Vec<Key>| Finding {
        kind: FindingKind::Verdict,
        title,
        text,
        confidence,
        at: None,
        inputs,
        against,
    };
    let last_back = back.iter().max().copied();
    match (firing.is_empty(), last_back, still.is_empty()) {
        (true, None, true) if is_quiet(signals) => {
            let mut inputs: Vec<Key> = alerts.into_iter().collect();
            let has_logs = !signals.blames_key.is_empty();
            inputs.extend(has_logs.then(|| signals.blames_key.clone()));
            inputs.extend(keys(&mut signals.metrics.iter()));
            Some(make(
                "healthy, as far as can be seen".to_owned(),
                format!(
                    "Nothing fires, none of {} series that were looked at left its normal range{}: a false alarm, or it \
                     was over before this window began.",
                    signals.metrics.len(),
                    if has_logs { ", and no new error pattern is in the logs" } else { " (no logs were read)" }
                ),
                if has_logs { 0.8 } else { 0.6 },
                inputs,
                Vec::new(),
            ))
        }
        (true, Some(at), true) => {
            let mut inputs: Vec<Key> = alerts.into_iter().collect();
            inputs.extend(keys(&mut moved.iter().copied()));
            Some(make(
                format!("recovered since {}", clock(at)),
                format!("Nothing fires any more, and all of what had moved is back in its normal range since {}.", clock(at)),
                0.8,
                inputs,
                Vec::new(),
            ))
        }
        (false, Some(at), true) => Some(make(
            format!("recovering: all that had moved is back to normal since {}", clock(at)),
            format!(
                "All of what had moved is back in its normal range since {}; the alerts still fire, as they clear with a delay.",
                clock(at)
            ),
            0.7,
            keys(&mut moved.iter().copied()),
            alerts.into_iter().collect(),
        )),
        (true, _, false) => Some(make(
            "not over: nothing fires, but not all is back to normal".to_owned(),
            format!(
                "Nothing fires, but {} {} not back in its normal range.",
                words::list(&still.iter().take(3).map(|m| super::metric_name(m)).collect::<Vec<_>>()),
                if still.len() == 1 { "is" } else { "are" }
            ),
            0.7,
            keys(&mut still.iter().map(|m| **m)),
            alerts.into_iter().collect(),
        )),
        (false, None, true) if new_and_bad(signals) == 0 => super::theories::inconclusive(signals, ENOUGH),
        (false, _, false) => super::theories::two_causes(signals),
        _ => None,
    }
}

/// A reason for a severity.
struct Reason {
    severity: Severity,
    text: String,
    keys: Vec<Key>,
}

/// Names of services that customers meet first.
const ENTRY: [&str; 8] = ["gateway", "front", "edge", "ingress", "web", "proxy", "api", "lb"];

/// Shares of failed requests from which on an entry fails many customers, a function is badly hit, a part is.
const MANY: f64 = 0.5;
const BADLY: f64 = 0.05;
const PARTLY: f64 = 0.005;

/// A severity with its reasons, the worst that any reason gives: where two fit, the higher is taken (PagerDuty's rule). `None`
/// when nothing speaks for any.
pub(super) fn severity(signals: &Signals) -> Option<Finding> {
    let mut reasons = Vec::new();
    by_errors(signals, &mut reasons);
    by_alerts(signals, &mut reasons);
    by_rest(signals, &mut reasons);
    reasons.sort_by_key(|r| r.severity);
    let severity = reasons.first()?.severity;
    let same = reasons.iter().filter(|r| r.severity == severity).count();
    let told: Vec<String> = reasons.iter().take(5).map(|r| format!("{} ({})", r.text, r.severity)).collect();
    let meaning = signals.matrix.as_ref().map(|m| m.meaning(severity)).filter(|m| !m.is_empty());
    let meaning = meaning.map(|m| format!(" The matrix: {m}.")).unwrap_or_default();
    let mut inputs: Vec<Key> = Vec::new();
    for key in reasons.iter().filter(|r| r.severity == severity).flat_map(|r| &r.keys) {
        if !inputs.contains(key) && inputs.len() < 6 {
            inputs.push(key.clone());
        }
    }
    Some(Finding {
        kind: FindingKind::Severity,
        title: format!("proposed severity {severity}: {}", reasons.first().map_or("", |r| r.text.as_str())),
        text: format!("{severity} is proposed: {}. Where two fit, the higher one. A person decides.{meaning}", told.join("; ")),
        confidence: if same > 1 { 0.75 } else { 0.6 },
        at: None,
        inputs,
        against: Vec::new(),
    })
}

/// Failed requests over all, by service, where both were looked at.
fn by_errors(signals: &Signals, reasons: &mut Vec<Reason>) {
    let mut shares: BTreeMap<&str, (f64, Vec<Key>)> = BTreeMap::new();
    for errors in signals.metrics.iter().filter(|m| m.title == "errors per second") {
        let Some(service) = errors.service.as_deref() else { continue };
        let all = signals.metrics.iter().find(|m| m.title == "requests per second" && m.service.as_deref() == Some(service));
        let Some(all) = all else { continue };
        // Of traffic that fell the level before counts: the most errors came from it.
        let total = all.movement.before.unwrap_or(0.0).max(all.movement.after.unwrap_or(0.0));
        if let Some(failed) = errors.movement.after.filter(|_| errors.movement.back_at.is_none())
            && total > 0.0
            && errors.movement.direction == Direction::Up
        {
            shares.insert(service, ((failed / total).min(1.0), vec![errors.key.clone(), all.key.clone()]));
        }
    }
    let callees: BTreeSet<&str> = signals.calls.values().flatten().map(String::as_str).collect();
    let many = shares.values().filter(|(share, _)| *share >= MANY).count();
    let named = |s: &str| ENTRY.iter().any(|e| s.to_ascii_lowercase().contains(e));
    let is_entry = |s: &str| if signals.calls.contains_key(s) { !callees.contains(s) } else { named(s) };
    let mut shares: Vec<(&str, (f64, Vec<Key>))> = shares.into_iter().collect();
    // Where customers come in first: that is what they feel.
    shares.sort_by_key(|(service, _)| !is_entry(service));
    for (service, (share, keys)) in shares {
        let is_entry = is_entry(service);
        let severity = match share {
            s if s >= MANY && (is_entry || many > 1) => Severity::Sev1,
            s if s >= BADLY => Severity::Sev2,
            s if s >= PARTLY => Severity::Sev3,
            _ => continue,
        };
        let share = human_value((share * 1000.0).round() / 10.0);
        let entry = if is_entry { ", where customers come in" } else { "" };
        reasons.push(Reason { severity, text: format!("{service} fails {share} % of its requests{entry}"), keys });
    }
}

fn by_alerts(signals: &Signals, reasons: &mut Vec<Reason>) {
    let firing = firing(signals);
    let keys = || if signals.alerts_key.is_empty() { Vec::new() } else { vec![signals.alerts_key.clone()] };
    let critical: BTreeSet<&str> =
        firing.iter().filter(|a| a.severity == AlertSeverity::Critical).map(|a| a.service().unwrap_or(a.name.as_str())).collect();
    if !signals.alerts_known {
        if !signals.gaps.is_empty() {
            reasons.push(Reason {
                severity: Severity::Sev2,
                text: "no alert source answers: monitoring is blind".into(),
                keys: Vec::new(),
            });
        }
    } else if critical.len() >= 3 {
        let text = format!("critical alerts on {} services", critical.len());
        reasons.push(Reason { severity: Severity::Sev2, text, keys: keys() });
    } else if !critical.is_empty() {
        let names: Vec<&str> = critical.into_iter().collect();
        reasons.push(Reason {
            severity: Severity::Sev3,
            text: format!("a critical alert on {}", words::list(&names)),
            keys: keys(),
        });
    } else if firing.iter().any(|a| matches!(a.severity, AlertSeverity::High)) {
        reasons.push(Reason { severity: Severity::Sev3, text: "an alert of high severity".into(), keys: keys() });
    } else if !firing.is_empty() {
        let text = format!("{}, none critical", words::count(firing.len(), "alert"));
        reasons.push(Reason { severity: Severity::Sev4, text, keys: keys() });
    }
}

fn by_rest(signals: &Signals, reasons: &mut Vec<Reason>) {
    for b in signals.burns.iter().filter(|b| b.long.1 >= b.pages_at && b.short.1 >= b.pages_at) {
        let text = format!("{} burns its error budget {} times too fast", b.service, human_value(b.long.1));
        if !reasons.iter().any(|r| r.text.starts_with(&format!("{} burns", b.service))) {
            reasons.push(Reason { severity: Severity::Sev2, text, keys: b.keys.clone() });
        }
    }
    let slow = signals.metrics.iter().find(|m| {
        let (Some(before), Some(after)) = (m.movement.before, m.movement.after) else { return false };
        m.title.starts_with("latency")
            && m.movement.direction == Direction::Up
            && m.movement.back_at.is_none()
            && after >= 5.0 * before
    });
    if let Some(m) = slow {
        let text = format!("{} answers five times as slowly as it did, or worse", m.service.as_deref().unwrap_or("a service"));
        reasons.push(Reason { severity: Severity::Sev3, text, keys: vec![m.key.clone()] });
    }
    if let Some(l) = signals.limits.iter().find(|l| l.share >= 0.9) {
        let text = format!("{} {} is nearly full", l.service.as_deref().unwrap_or(""), l.title).trim().to_owned();
        reasons.push(Reason { severity: Severity::Sev3, text, keys: vec![l.key.clone()] });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{alert, metric};
    use super::super::{LimitInput, SuspectInput};
    use super::*;
    use crate::incident::Matrix;

    fn of(kind: FindingKind, signals: &Signals) -> Option<Finding> {
        super::super::findings(signals).into_iter().find(|f| f.kind == kind)
    }

    fn known() -> Signals {
        Signals { alerts_known: true, alerts_key: "alerts".into(), matrix: Some(Matrix::default()), ..Signals::default() }
    }

    #[test]
    fn healthy_recovered_and_not_over_are_told_apart() {
        let calm: Vec<MetricInput> = (0..4).map(|n| metric("latency p95", &format!("s{n}"), None)).collect();
        let healthy = Signals { metrics: calm.clone(), ..known() };
        let found = of(FindingKind::Verdict, &healthy).unwrap();
        assert!(found.title.starts_with("healthy") && found.text.contains("none of 4 series that were"), "{found:?}");
        // Without a source that tells alerts, and with too little seen, nobody knows.
        assert_eq!(of(FindingKind::Verdict, &Signals { alerts_known: false, ..healthy.clone() }), None);
        assert_eq!(of(FindingKind::Verdict, &known()), None);
        // What could not be looked at, and what is full, leave the question open.
        assert_eq!(of(FindingKind::Verdict, &Signals { gaps: vec!["loki: timeout".into()], ..healthy.clone() }), None);
        let full = LimitInput { service: None, title: "disk".into(), share: 0.97, full_at: None, key: "k".into() };
        assert_eq!(of(FindingKind::Verdict, &Signals { limits: vec![full], ..healthy.clone() }), None);
        // Beside "healthy" nobody is suspect.
        let suspect = crate::analysis::suspects::suspects(
            &[],
            &crate::analysis::suspects::Known { logs: BTreeMap::from([("mail".into(), 40.0)]), ..Default::default() },
        );
        let input = SuspectInput { suspect: suspect[0].clone(), labels: Default::default(), unit: String::new(), keys: vec![] };
        assert_eq!(of(FindingKind::Suspect, &Signals { suspects: vec![input], ..healthy.clone() }), None);

        let mut moved = metric("latency p95", "shop", Some(100));
        let over = Signals { metrics: [calm.clone(), vec![moved.clone()]].concat(), ..known() };
        assert!(of(FindingKind::Verdict, &over).unwrap().title.starts_with("not over"));
        moved.movement.back_at = Some(crate::telemetry::Timestamp::from_secs(900));
        let back = Signals { metrics: [calm, vec![moved]].concat(), ..known() };
        let found = of(FindingKind::Verdict, &back).unwrap();
        assert_eq!((found.title.as_str(), found.inputs[0].as_str()), ("recovered since 00:15:00Z", "alerts"));
        let firing = Signals { alerts: vec![alert("Slow", AlertSeverity::Warning, "shop")], ..back };
        assert!(of(FindingKind::Verdict, &firing).unwrap().title.starts_with("recovering"));
    }

    #[test]
    fn the_worst_reason_makes_the_severity() {
        assert_eq!(of(FindingKind::Severity, &known()), None);
        let mut signals = Signals { alerts: vec![alert("Slow", AlertSeverity::Warning, "shop")], ..known() };
        assert!(of(FindingKind::Severity, &signals).unwrap().title.starts_with("proposed severity SEV4: 1 alert, none critical"));
        signals.alerts.push(alert("Down", AlertSeverity::Critical, "shop"));
        assert!(of(FindingKind::Severity, &signals).unwrap().title.contains("SEV3"));
        let rate = |title: &str, before: f64, after: f64, direction| {
            let mut m = metric(title, "gateway", Some(100));
            (m.movement.before, m.movement.after, m.movement.direction) = (Some(before), Some(after), direction);
            m
        };
        signals.metrics =
            vec![rate("errors per second", 0.0, 14.0, Direction::Up), rate("requests per second", 20.0, 20.0, Direction::Flat)];
        let found = of(FindingKind::Severity, &signals).unwrap();
        assert!(found.title.contains("SEV1: gateway fails 70 % of its requests, where customers come in"), "{found:?}");
        assert!(found.text.contains("The matrix: critical: many customers"), "{found:?}");
        assert_eq!(found.inputs.len(), 2);
        // The same behind others is a function badly hit.
        signals.calls = BTreeMap::from([("web".into(), BTreeSet::from(["gateway".into()])), ("gateway".into(), BTreeSet::new())]);
        assert!(of(FindingKind::Severity, &signals).unwrap().title.contains("SEV2"));
    }
}
