//! The verdict (whether there is an incident at all, and whether it is over) and the proposed severity.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Key, MetricInput, Requests, Signals};
use crate::analysis::quantity::Quantity;
use crate::analysis::{Change, Direction};
use crate::incident::{FindingKind, Severity, Situation};
use crate::telemetry::series::human_value;
use crate::telemetry::{Alert, AlertSeverity, SubjectKind, words};

/// Minimum number of series that must have been checked for "nothing changed" to mean anything.
const MIN_SERIES: usize = 3;

fn changed(signals: &Signals) -> Vec<&MetricInput> {
    signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat).collect()
}

fn firing(signals: &Signals) -> Vec<&Alert> {
    signals.alerts.iter().filter(|a| a.is_firing()).collect()
}

fn new_errors(signals: &Signals) -> usize {
    signals.patterns.iter().filter(|(_, p)| matches!(p.change, Change::New | Change::Up) && p.is_error()).count()
}

/// Whether enough was checked and none of it shows a problem. Any data gap leaves the question open.
fn is_quiet(signals: &Signals) -> bool {
    new_errors(signals) == 0
        && !signals.bad_baseline
        && signals.metrics.len() >= MIN_SERIES
        && signals.gaps.is_empty()
        && signals.change_gaps.is_empty()
        && !signals.burns.iter().any(|b| b.long.1 >= b.pages_at && b.short.1 >= b.pages_at)
        && !signals.limits.iter().any(|l| l.share >= super::context::FULL)
}

/// Returns the verdict: healthy, recovered, recovering, not over, inconclusive or two causes. `None` if the incident is
/// plainly ongoing or the alert status is unknown.
pub(super) fn verdict(signals: &Signals) -> Option<Finding> {
    if !signals.alerts_known {
        return None;
    }
    let (changed, firing) = (changed(signals), firing(signals));
    let back: Vec<_> = changed.iter().filter_map(|m| m.movement.back_at).collect();
    let still_off: Vec<&&MetricInput> = changed.iter().filter(|m| m.movement.back_at.is_none()).collect();
    let alerts = (!signals.alerts_key.is_empty()).then(|| signals.alerts_key.clone());
    let last_back = back.iter().max().copied();
    match (firing.is_empty(), last_back, still_off.is_empty()) {
        (true, None, true) if is_quiet(signals) => Some(healthy(signals, alerts)),
        (true, Some(at), true) => Some(verdict_of(
            Situation::Recovered,
            format!("Recovered at {}", signals.clock(at)),
            format!(
                "No alerts are firing, and all changed series have been back in their normal range since {}.",
                signals.clock(at)
            ),
            0.8,
            alerts.into_iter().chain(first_keys(changed.iter().copied())).collect(),
            Vec::new(),
        )),
        (false, Some(at), true) => Some(verdict_of(
            Situation::Recovering,
            format!("Recovering: all changed series have been back to normal since {}", signals.clock(at)),
            format!(
                "All changed series have been back in their normal range since {}; alerts are still firing because they clear with \
                 a delay.",
                signals.clock(at)
            ),
            0.7,
            first_keys(changed.iter().copied()),
            alerts.into_iter().collect(),
        )),
        (true, _, false) => Some(verdict_of(
            Situation::NotOver,
            "Not over: no alerts are firing, but some series have not returned to normal".to_owned(),
            format!(
                "No alerts are firing, but {} {} not returned to normal.",
                words::list(&still_off.iter().take(3).map(|m| super::metric_name(m)).collect::<Vec<_>>()),
                if still_off.len() == 1 { "has" } else { "have" }
            ),
            0.7,
            first_keys(still_off.iter().map(|m| **m)),
            alerts.into_iter().collect(),
        )),
        (false, None, true) if new_errors(signals) == 0 => super::theories::inconclusive(signals, MIN_SERIES),
        (false, _, false) => super::theories::two_causes(signals),
        _ => None,
    }
}

/// The verdict that the data shows no problem.
fn healthy(signals: &Signals, alerts: Option<Key>) -> Finding {
    let has_logs = !signals.blames_key.is_empty();
    let logs = has_logs.then(|| signals.blames_key.clone());
    verdict_of(
        Situation::Healthy,
        "Healthy: the data shows no problem".to_owned(),
        format!(
            "No alerts are firing and none of the {} series checked left its normal range{}: a false alarm, or an incident that \
             ended before this window.",
            signals.metrics.len(),
            if has_logs { ", and the logs show no new errors" } else { " (no logs were read)" }
        ),
        if has_logs { 0.8 } else { 0.6 },
        alerts.into_iter().chain(logs).chain(first_keys(signals.metrics.iter())).collect(),
        Vec::new(),
    )
}

fn verdict_of(
    situation: Situation,
    title: String,
    text: String,
    confidence: f64,
    inputs: Vec<Key>,
    against: Vec<Key>,
) -> Finding {
    Finding {
        kind: FindingKind::Verdict,
        title,
        text,
        confidence,
        inputs,
        against,
        situation: Some(situation),
        ..Finding::default()
    }
}

/// The keys of the first few pieces of evidence behind these metrics, each once.
fn first_keys<'a>(metrics: impl Iterator<Item = &'a MetricInput>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for metric in metrics {
        if !keys.contains(&metric.key) && keys.len() < 4 {
            keys.push(metric.key.clone());
        }
    }
    keys
}

/// A reason for a severity.
struct Reason {
    severity: Severity,
    text: String,
    keys: Vec<Key>,
}

/// Words in the name of a customer-facing service.
const ENTRY_WORDS: [&str; 8] = ["gateway", "front", "edge", "ingress", "web", "proxy", "api", "lb"];

/// Shares of failed requests for SEV1 (if the service is customer-facing, or several services reach it), SEV2 and SEV3.
const MANY_FAIL: f64 = 0.5;
const SOME_FAIL: f64 = 0.05;
const FEW_FAIL: f64 = 0.005;

/// Proposes the highest severity that any reason supports (PagerDuty's rule: if unsure, the higher one). `None` without a
/// reason.
pub(super) fn severity(signals: &Signals) -> Option<Finding> {
    let mut reasons = Vec::new();
    reasons_from_errors(signals, &mut reasons);
    reasons_from_alerts(signals, &mut reasons);
    reasons_from_signals(signals, &mut reasons);
    reasons.sort_by_key(|r| r.severity);
    let severity = reasons.first()?.severity;
    let same = reasons.iter().filter(|r| r.severity == severity).count();
    let list: Vec<String> = reasons.iter().take(5).map(|r| format!("{} ({})", r.text, r.severity)).collect();
    let meaning = signals.matrix.as_ref().map(|m| m.meaning(severity)).filter(|m| !m.is_empty());
    let meaning = meaning.map(|m| format!(" Severity matrix: {m}.")).unwrap_or_default();
    let mut inputs: Vec<Key> = Vec::new();
    for key in reasons.iter().filter(|r| r.severity == severity).flat_map(|r| &r.keys) {
        if !inputs.contains(key) && inputs.len() < 6 {
            inputs.push(key.clone());
        }
    }
    Some(Finding {
        kind: FindingKind::Severity,
        severity: reasons.first().map(|r| (severity, r.text.clone())),
        title: format!("Proposed severity {severity}: {}", reasons.first().map_or("", |r| r.text.as_str())),
        text: format!(
            "{severity} is proposed: {}. If several severities fit, the highest is proposed; a responder decides.{meaning}",
            list.join("; ")
        ),
        confidence: if same > 1 { 0.75 } else { 0.6 },
        at: None,
        inputs,
        ..Finding::default()
    })
}

/// Adds reasons from the share of failed requests of each service with both rates.
fn reasons_from_errors(signals: &Signals, reasons: &mut Vec<Reason>) {
    let mut shares: BTreeMap<&str, (f64, Vec<Key>)> = BTreeMap::new();
    for errors in signals.metrics.iter().filter(|m| m.requests == Some(Requests::Failed)) {
        let Some(service) = errors.service.as_deref() else { continue };
        let all = signals.metrics.iter().find(|m| m.requests == Some(Requests::All) && m.service.as_deref() == Some(service));
        let Some(all) = all else { continue };
        // If traffic fell, compare with the level before, so that the share is not overstated.
        let total = all.movement.before.unwrap_or(0.0).max(all.movement.after.unwrap_or(0.0));
        if let Some(failed) = errors.movement.after.filter(|_| errors.movement.back_at.is_none())
            && total > 0.0
            && errors.movement.direction == Direction::Up
        {
            shares.insert(service, ((failed / total).min(1.0), vec![errors.key.clone(), all.key.clone()]));
        }
    }
    let many = shares.values().filter(|(share, _)| *share >= MANY_FAIL).count();
    let is_entry_name = |s: &str| ENTRY_WORDS.iter().any(|e| s.to_ascii_lowercase().contains(e));
    let is_entry = |s: &str| if signals.calls.contains(s) { signals.calls.callers(s).next().is_none() } else { is_entry_name(s) };
    let mut shares: Vec<(&str, (f64, Vec<Key>))> = shares.into_iter().collect();
    // Customer-facing services first.
    shares.sort_by_key(|(service, _)| !is_entry(service));
    for (service, (share, keys)) in shares {
        let is_entry = is_entry(service);
        let severity = match share {
            s if s >= MANY_FAIL && (is_entry || many > 1) => Severity::Sev1,
            s if s >= SOME_FAIL => Severity::Sev2,
            s if s >= FEW_FAIL => Severity::Sev3,
            _ => continue,
        };
        let share = human_value((share * 1000.0).round() / 10.0);
        let entry = if is_entry { " and is customer-facing" } else { "" };
        reasons.push(Reason { severity, text: format!("{service} is failing {share}% of its requests{entry}"), keys });
    }
}

/// Adds a reason for the alerts that are firing, or for alert sources that do not answer.
fn reasons_from_alerts(signals: &Signals, reasons: &mut Vec<Reason>) {
    let firing = firing(signals);
    let keys = || if signals.alerts_key.is_empty() { Vec::new() } else { vec![signals.alerts_key.clone()] };
    // Alerts that are older than the incident say nothing about how bad it is.
    let firing: Vec<&Alert> = firing.into_iter().filter(|a| !signals.is_older(a)).collect();
    let critical: Vec<&Alert> = firing.iter().copied().filter(|a| a.severity == AlertSeverity::Critical).collect();
    let subjects: BTreeSet<(SubjectKind, &str)> = critical.iter().filter_map(|a| a.subject()).map(|s| (s.kind, s.name)).collect();
    let unnamed = critical.iter().filter(|a| a.subject().is_none()).count();
    if !signals.alerts_known {
        // Without an alert source there is nothing that could be blind.
        if signals.has_alert_source {
            reasons.push(Reason {
                severity: Severity::Sev2,
                text: "no alert source is answering, so monitoring is blind".into(),
                keys: Vec::new(),
            });
        }
    } else if subjects.len() + unnamed >= 3 {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for (kind, _) in &subjects {
            *kinds.entry(kind.word()).or_default() += 1;
        }
        let mut counts: Vec<(&str, usize)> = kinds.into_iter().collect();
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let counts: Vec<String> = counts.into_iter().map(|(kind, n)| words::count(n, kind)).collect();
        let text = match unnamed {
            0 => format!("critical alerts on {}", words::list(&counts)),
            _ => format!("{} critical alerts", critical.len()),
        };
        reasons.push(Reason { severity: Severity::Sev2, text, keys: keys() });
    } else if !critical.is_empty() {
        let names: Vec<&str> = subjects.into_iter().map(|(_, name)| name).collect();
        let text = match names.len() {
            0 => words::count(critical.len(), "critical alert"),
            _ => format!("a critical alert on {}", words::list(&names)),
        };
        reasons.push(Reason { severity: Severity::Sev3, text, keys: keys() });
    } else if firing.iter().any(|a| matches!(a.severity, AlertSeverity::High)) {
        reasons.push(Reason { severity: Severity::Sev3, text: "a high-severity alert".into(), keys: keys() });
    } else if !firing.is_empty() {
        let text = format!("{}, none critical", words::count(firing.len(), "alert"));
        reasons.push(Reason { severity: Severity::Sev4, text, keys: keys() });
    }
}

/// Adds reasons from error budgets, latency and saturation.
fn reasons_from_signals(signals: &Signals, reasons: &mut Vec<Reason>) {
    for b in signals.burns.iter().filter(|b| b.long.1 >= b.pages_at && b.short.1 >= b.pages_at) {
        let text = format!("{} is burning its error budget at {}× the sustainable rate", b.service, human_value(b.long.1));
        if !reasons.iter().any(|r| r.text.starts_with(&format!("{} is burning", b.service))) {
            reasons.push(Reason { severity: Severity::Sev2, text, keys: b.keys.clone() });
        }
    }
    let slow = signals.metrics.iter().find(|m| {
        let (Some(before), Some(after)) = (m.movement.before, m.movement.after) else { return false };
        m.meaning().is_symptom()
            && m.meaning().quantity == Quantity::Latency
            && m.movement.direction == Direction::Up
            && m.movement.back_at.is_none()
            && after >= 5.0 * before
    });
    if let Some(m) = slow {
        let text = format!("the latency of {} is at least 5 times its baseline", m.service.as_deref().unwrap_or("a service"));
        reasons.push(Reason { severity: Severity::Sev3, text, keys: vec![m.key.clone()] });
    }
    if let Some(l) = signals.limits.iter().find(|l| l.share >= 0.9) {
        let text = format!("{} {} is at least 90% full", l.service.as_deref().unwrap_or(""), l.title).trim().to_owned();
        reasons.push(Reason { severity: Severity::Sev3, text, keys: vec![l.key.clone()] });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{alert, metric};
    use super::super::{LimitInput, SuspectInput};
    use super::*;
    use crate::incident::Matrix;

    fn find(kind: FindingKind, signals: &Signals) -> Option<Finding> {
        super::super::single(signals).into_iter().find(|f| f.kind == kind)
    }

    fn base() -> Signals {
        Signals { alerts_known: true, alerts_key: "alerts".into(), matrix: Some(Matrix::default()), ..Signals::default() }
    }

    #[test]
    fn distinguishes_healthy_recovered_recovering_and_not_over() {
        let calm: Vec<MetricInput> = (0..4).map(|n| metric("latency p95", &format!("s{n}"), None)).collect();
        let healthy = Signals { metrics: calm.clone(), ..base() };
        let found = find(FindingKind::Verdict, &healthy).unwrap();
        assert!(found.title.starts_with("Healthy") && found.text.contains("none of the 4 series checked"), "{found:?}");
        // Without an alert source, or with too few series, there is no verdict.
        assert_eq!(find(FindingKind::Verdict, &Signals { alerts_known: false, ..healthy.clone() }), None);
        assert_eq!(find(FindingKind::Verdict, &base()), None);
        // A data gap or a full resource leaves the question open.
        assert_eq!(find(FindingKind::Verdict, &Signals { gaps: vec!["loki: timeout".into()], ..healthy.clone() }), None);
        let full = LimitInput { service: None, title: "disk".into(), share: 0.97, full_at: None, key: "k".into() };
        assert_eq!(find(FindingKind::Verdict, &Signals { limits: vec![full], ..healthy.clone() }), None);
        // If all is healthy, no service is suspect.
        let suspect = crate::analysis::suspects::suspects(
            &[],
            &crate::analysis::suspects::SuspectContext { logs: BTreeMap::from([("mail".into(), 40.0)]), ..Default::default() },
        );
        let input = SuspectInput { suspect: suspect[0].clone(), keys: vec![] };
        assert_eq!(find(FindingKind::Suspect, &Signals { suspects: vec![input], ..healthy.clone() }), None);

        let mut slow = metric("latency p95", "shop", Some(100));
        let over = Signals { metrics: [calm.clone(), vec![slow.clone()]].concat(), ..base() };
        assert!(find(FindingKind::Verdict, &over).unwrap().title.starts_with("Not over"));
        slow.movement.back_at = Some(crate::telemetry::Timestamp::from_secs(900));
        let back = Signals { metrics: [calm, vec![slow]].concat(), ..base() };
        let found = find(FindingKind::Verdict, &back).unwrap();
        assert_eq!((found.title.as_str(), found.inputs[0].as_str()), ("Recovered at 00:15:00Z", "alerts"));
        let firing = Signals { alerts: vec![alert("Slow", AlertSeverity::Warning, "shop")], ..back };
        assert!(find(FindingKind::Verdict, &firing).unwrap().title.starts_with("Recovering"));
    }

    #[test]
    fn proposes_the_highest_severity() {
        assert_eq!(find(FindingKind::Severity, &base()), None);
        let mut signals = Signals { alerts: vec![alert("Slow", AlertSeverity::Warning, "shop")], ..base() };
        assert!(
            find(FindingKind::Severity, &signals).unwrap().title.starts_with("Proposed severity SEV4: 1 alert, none critical")
        );
        signals.alerts.push(alert("Down", AlertSeverity::Critical, "shop"));
        assert!(find(FindingKind::Severity, &signals).unwrap().title.contains("SEV3"));
        let rate = |title: &str, before: f64, after: f64, direction| {
            let mut m = metric(title, "gateway", Some(100));
            (m.movement.before, m.movement.after, m.movement.direction) = (Some(before), Some(after), direction);
            m
        };
        signals.metrics =
            vec![rate("errors per second", 0.0, 14.0, Direction::Up), rate("requests per second", 20.0, 20.0, Direction::Flat)];
        let found = find(FindingKind::Severity, &signals).unwrap();
        assert!(found.title.contains("SEV1: gateway is failing 70% of its requests and is customer-facing"), "{found:?}");
        assert!(found.text.contains("Severity matrix: critical: many customers"), "{found:?}");
        assert_eq!(found.inputs.len(), 2);
        // The same behind another service is only SEV2.
        signals.calls = [("web", "gateway")].into_iter().collect();
        assert!(find(FindingKind::Severity, &signals).unwrap().title.contains("SEV2"));
    }
}
