//! Evidence against the leading suspect, separate causes, and the inconclusive verdict.

use std::time::Duration;

use super::conclusion::has_own_trouble;
use super::context::MIN_SCORE;
use super::{ChangeInput, Finding, Key, MetricInput, Signals, SuspectInput, is_usual, is_usual_now};
use crate::analysis::Direction;
use crate::analysis::baseline::is_healthy_level_known;
use crate::incident::{Conclusion, FindingKind, Situation};
use crate::telemetry::{Alert, Timestamp, time, words};

/// Time between two changes from which their order is certain despite the scrape interval.
const MIN_LEAD: Duration = Duration::from_mins(1);
/// Time between two onsets from which they are separate.
const MIN_SEPARATION: Duration = Duration::from_mins(3);
/// How long before the onset of a service, or before the first alert, a change may be its cause.
const CHANGE_WINDOW: Duration = Duration::from_mins(15);
/// Share of the leading score from which a second cause is considered, and number of services considered.
const SECOND_CAUSE_SHARE: f64 = 0.5;
const MAX_SERVICES: usize = 4;
/// Number of contradictions reported per kind.
const MAX_PER_KIND: usize = 2;

/// Whether a series shows a symptom: errors or latency.
pub(super) fn is_symptom(m: &MetricInput) -> bool {
    m.meaning().is_symptom() && !m.is_alert_expression
}

fn series_of<'a>(signals: &'a Signals, service: &'a str) -> impl Iterator<Item = &'a MetricInput> {
    signals.metrics.iter().filter(move |m| m.service.as_deref() == Some(service) && !m.is_alert_expression)
}

fn has_changed(m: &MetricInput) -> bool {
    m.movement.direction != Direction::Flat
}

/// Whether an alert on the service is firing.
pub(super) fn has_firing_alert(signals: &Signals, service: &str) -> bool {
    signals.alerts.iter().any(|a| a.is_firing() && Alert::service(a) == Some(service))
}

/// Returns when the first of a suspect's series changed.
fn onset_of(signals: &Signals, service: &str) -> Option<Timestamp> {
    let suspects = signals.suspects.iter().filter(|s| s.suspect.service.as_deref() == Some(service));
    let of_metrics =
        series_of(signals, service).filter(|m| has_changed(m) && !is_usual_now(m)).filter_map(|m| m.movement.changed_at);
    suspects.filter_map(|s| s.suspect.changed_at).chain(of_metrics).min()
}

/// Returns the evidence against a service as the cause: descriptions with their keys.
pub(super) fn contradictions(signals: &Signals, service: &str) -> Vec<(String, Vec<Key>)> {
    let mut out = Vec::new();
    let own: Vec<&MetricInput> = series_of(signals, service).collect();
    let (affected, healthy): (Vec<&MetricInput>, Vec<&MetricInput>) =
        own.iter().filter(|m| is_symptom(m)).partition(|m| has_changed(m));
    let healthy: Vec<&MetricInput> = healthy.into_iter().filter(|m| is_healthy_level_known(signals, m)).collect();
    if affected.is_empty() && !healthy.is_empty() && !has_firing_alert(signals, service) {
        let titles: Vec<&str> = healthy.iter().take(MAX_PER_KIND).map(|m| m.title.as_str()).collect();
        let keys = healthy.iter().take(MAX_PER_KIND).map(|m| m.key.clone()).collect();
        out.push((format!("its {} did not change", words::list(&titles)), keys));
    }
    if let Some(began) = onset_of(signals, service) {
        let is_earlier = |m: &&MetricInput| {
            m.service.as_deref().is_some_and(|s| s != service) && has_changed(m) && !m.is_alert_expression && !is_usual_now(m)
        };
        let mut earlier: Vec<(Timestamp, &MetricInput)> = (signals.metrics.iter().filter(is_earlier))
            .filter_map(|m| Some((m.movement.changed_at.filter(|at| *at + MIN_LEAD < began)?, m)))
            .collect();
        earlier.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.key.cmp(&b.1.key)));
        out.extend(earlier.iter().take(MAX_PER_KIND).map(|(at, m)| {
            (
                format!("{} changed {} before it", super::metric_name(m), time::human_duration(began.since(*at))),
                vec![m.key.clone()],
            )
        }));
    }
    let usual = own.iter().filter(|m| has_changed(m) && is_usual_now(m)).take(MAX_PER_KIND);
    out.extend(usual.map(|m| {
        let keys = m.earlier.iter().filter(|e| is_usual(m, e)).map(|e| e.key.clone()).collect();
        (format!("its {} is similar at the same time on other days", m.title), keys)
    }));
    let changed: Vec<&&MetricInput> = own.iter().filter(|m| has_changed(m) && !is_usual_now(m)).collect();
    let back: Vec<Timestamp> = changed.iter().filter_map(|m| m.movement.back_at).collect();
    if let Some(last) = back.iter().max()
        && back.len() == changed.len()
        && signals.alerts.iter().any(Alert::is_firing)
    {
        let keys = changed.iter().take(MAX_PER_KIND).map(|m| m.key.clone()).collect();
        out.push((
            format!("its changed series have been back to normal since {}, but alerts are still firing", signals.clock(*last)),
            keys,
        ));
    }
    out
}

/// Reports the evidence against the leading suspect; `None` if there is none.
pub(super) fn evidence_against(signals: &Signals) -> Option<Finding> {
    let leading = signals.suspects.iter().find(|s| s.suspect.score >= MIN_SCORE && s.suspect.service.is_some())?;
    let service = leading.suspect.service.as_deref()?;
    let found = contradictions(signals, service);
    if found.is_empty() {
        return None;
    }
    let reasons: Vec<&str> = found.iter().map(|(reason, _)| reason.as_str()).collect();
    Some(Finding {
        kind: FindingKind::Contradiction,
        service: Some(service.to_owned()),
        title: format!("Evidence against {service} as the cause: {}", reasons.join("; ")),
        text: format!("Evidence against {service} as the cause: {}.", reasons.join("; ")),
        confidence: 0.6,
        at: None,
        inputs: keys(found.into_iter().flat_map(|(_, keys)| keys)),
        ..Finding::default()
    })
}

/// Removes duplicate keys; the order is kept.
pub(super) fn keys(all: impl IntoIterator<Item = Key>) -> Vec<Key> {
    let mut out: Vec<Key> = Vec::new();
    for key in all {
        if !out.contains(&key) {
            out.push(key);
        }
    }
    out
}

/// Reports that alerts are firing but none of the data points to a cause; `None` if some of it does.
pub(super) fn inconclusive(signals: &Signals, enough: usize) -> Option<Finding> {
    let first = signals.first_alert();
    // A deploy that is in progress or failed counts as much as a finished one.
    let is_close = |c: &ChangeInput| {
        (c.is_release || c.description.contains("deploy"))
            && c.service.as_deref().is_none_or(|s| has_firing_alert(signals, s))
            && first.is_some_and(|first| c.at <= first + MIN_LEAD && c.at + CHANGE_WINDOW >= first)
    };
    let is_over = |at: Timestamp| signals.window.is_some_and(|w| at <= w.end);
    let is_unexplained = signals.suspects.iter().all(|s| s.suspect.score < MIN_SCORE)
        && !signals.changes.iter().any(is_close)
        && signals.burns.is_empty()
        && signals.limits.iter().all(|l| l.share < super::context::FULL)
        && !signals.expiring.iter().any(|e| is_over(e.at));
    if !is_unexplained {
        return None;
    }
    let checked = format!("{} series", signals.metrics.len());
    // A gap of a change source leaves the changes unknown, not the metrics or logs.
    let is_blind = !signals.gaps.is_empty();
    let (title, coverage) = if signals.metrics.len() < enough || is_blind {
        ("Inconclusive: alerts are firing, but too little data was available", format!("only {checked} could be checked"))
    } else {
        (
            "Inconclusive: alerts are firing, but nothing else changed",
            format!("none of the {checked} checked left its normal range"),
        )
    };
    let logs = if signals.blames_key.is_empty() { "no logs were read" } else { "the logs that were read show no new errors" };
    let metrics = signals.metrics.iter().map(|m| m.key.clone()).take(4);
    let alerts = (!signals.alerts_key.is_empty()).then(|| signals.alerts_key.clone());
    Some(Finding {
        kind: FindingKind::Verdict,
        situation: Some(Situation::Inconclusive),
        title: title.to_owned(),
        text: format!(
            "Inconclusive: alerts are firing, but {coverage}, {logs}, and no recent release of the affected services is known. \
             Check the metrics behind the alerts over a longer window."
        ),
        confidence: 0.6,
        at: None,
        inputs: keys(alerts.into_iter().chain(metrics)),
        ..Finding::default()
    })
}

/// Reports two services that are similarly suspect, both affected, and not connected by anything known; or connected, but each failing in
/// its own way after a change of its own.
pub(super) fn two_causes(signals: &Signals) -> Option<Finding> {
    if signals.storm.is_some() {
        return None;
    }
    let mut services: Vec<&SuspectInput> = Vec::new();
    for input in signals.suspects.iter().filter(|s| s.suspect.score >= MIN_SCORE && s.suspect.service.is_some()) {
        if !services.iter().any(|s| s.suspect.service == input.suspect.service) {
            services.push(input);
        }
    }
    let first = *services.first()?;
    let name = first.suspect.service.as_deref()?;
    let mut others =
        services.iter().skip(1).take(MAX_SERVICES - 1).filter(|s| s.suspect.score >= SECOND_CAUSE_SHARE * first.suspect.score);
    others.find_map(|second| separate_causes(signals, (name, first), (second.suspect.service.as_deref()?, second)))
}

/// Reports that two suspects probably have separate causes; `None` if the evidence does not support that.
fn separate_causes(signals: &Signals, a: (&str, &SuspectInput), b: (&str, &SuspectInput)) -> Option<Finding> {
    let is_affected = |service: &str| {
        has_firing_alert(signals, service)
            || series_of(signals, service)
                .any(|m| is_symptom(m) && has_changed(m) && !is_usual_now(m) && m.movement.back_at.is_none())
    };
    if !is_affected(a.0) || !is_affected(b.0) {
        return None;
    }
    let names = |caller: &str, callee: &str| signals.blames.get(caller).is_some_and(|named| named.contains(callee));
    if names(a.0, b.0) || names(b.0, a.0) {
        return None;
    }
    let (below_a, below_b) = (signals.calls.reachable_from(a.0), signals.calls.reachable_from(b.0));
    let are_connected = below_a.contains(b.0) || below_b.contains(a.0);
    if below_a.intersection(&below_b).any(|callee| series_of(signals, callee).any(has_changed)) {
        return None;
    }
    let (at_a, at_b) = (onset_of(signals, a.0)?, onset_of(signals, b.0)?);
    let own_change = |service: &str, began: Timestamp| {
        signals.changes.iter().find(|c| {
            c.is_release && c.service.as_deref() == Some(service) && c.at <= began + MIN_LEAD && c.at + CHANGE_WINDOW >= began
        })
    };
    let changes = own_change(a.0, at_a).zip(own_change(b.0, at_b));
    let are_in_call_graph = signals.calls.contains(a.0) && signals.calls.contains(b.0);
    let are_separate = at_a.secs_since(at_b).abs() >= MIN_SEPARATION.as_secs_f64();
    // Onsets at the same time may share an unknown cause, and one pipeline may release both services; unless each fails in its own way.
    let fail_differently = has_own_trouble(signals, a.0) && has_own_trouble(signals, b.0) && are_in_call_graph;
    if !(are_separate || fail_differently) || (changes.is_none() && !are_in_call_graph) {
        return None;
    }
    // Where one calls the other, its trouble explains that of the other, unless everything shows two causes.
    if are_connected && !(are_separate && fail_differently && changes.is_some()) {
        return None;
    }
    let mut reasons = vec![format!("{} changed at {}, {} at {}", a.0, signals.clock(at_a), b.0, signals.clock(at_b))];
    let mut inputs: Vec<Key> = [a.1, b.1].iter().flat_map(|s| s.keys.iter().take(1).cloned()).collect();
    if are_in_call_graph {
        if !are_connected {
            reasons.push("neither calls the other, directly or indirectly".to_owned());
        }
        inputs.extend(signals.call_sources.iter().map(|(key, _)| key.clone()));
    }
    if let Some((of_a, of_b)) = changes {
        reasons
            .push(format!("each had its own change shortly before: {} {}, {} {}", a.0, of_a.description, b.0, of_b.description));
        inputs.extend([of_a.key.clone(), of_b.key.clone()]);
    }
    Some(Finding {
        kind: FindingKind::Verdict,
        situation: Some(Situation::TwoCauses),
        conclusion: Some(Conclusion { origins: vec![a.0.to_owned(), b.0.to_owned()], ..Conclusion::default() }),
        title: format!("Possibly two separate causes: {} and {}", a.0, b.0),
        text: format!(
            "{} and {} possibly have separate causes, so check both: {}; {}.",
            a.0,
            b.0,
            reasons.join("; "),
            if are_connected { "one calls the other, but each fails in its own way" } else { "they have no known connection" }
        ),
        confidence: 0.55,
        at: None,
        inputs: keys(inputs),
        ..Finding::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::tests::{alert, metric};
    use super::super::{EarlierLevel, single};
    use super::*;
    use crate::analysis::departure::SeriesId;
    use crate::analysis::suspects::{SuspectContext, suspects};
    use crate::telemetry::AlertSeverity;

    /// A suspect with one series that changed at the given second.
    fn suspect(service: &str, score: f64, secs: i64) -> SuspectInput {
        let known = SuspectContext { logs: BTreeMap::from([(service.to_owned(), 40.0)]), ..SuspectContext::default() };
        let mut suspect = suspects(&[], &known).remove(0);
        (suspect.score, suspect.changed_at, suspect.series) =
            (score, Some(Timestamp::from_secs(secs)), Some(SeriesId::from_column(&format!("{service}|cpu"))));
        (suspect.before, suspect.after, suspect.log_change) = (Some(1.0), Some(9.0), String::new());
        SuspectInput { suspect, keys: vec![format!("{service}/cpu")] }
    }

    fn base() -> Signals {
        Signals {
            alerts_known: true,
            alerts_key: "alerts".into(),
            alerts: vec![alert("Slow", AlertSeverity::Critical, "shop")],
            ..Signals::default()
        }
    }

    fn kinds(signals: &Signals, kind: FindingKind) -> Vec<Finding> {
        single(signals).into_iter().filter(|f| f.kind == kind).collect()
    }

    #[test]
    fn lists_the_evidence_against_a_misleading_suspect() {
        // The nightly job uses the CPU, as every night; the symptoms began earlier and elsewhere.
        let mut cpu = metric("cpu", "batch", Some(600));
        let mut no_errors = metric("errors per second", "batch", None);
        no_errors.movement.before = Some(0.0);
        cpu.earlier = vec![EarlierLevel { when: "a day before".into(), level: 7.5, key: "cpu a day before".into() }];
        let signals = Signals {
            suspects: vec![suspect("batch", 6.0, 600), suspect("db", 2.0, 400)],
            metrics: vec![cpu, metric("latency p95", "batch", None), no_errors, metric("latency p95", "db", Some(400))],
            ..base()
        };
        let leading = kinds(&signals, FindingKind::Suspect).remove(0);
        assert!(leading.title.starts_with("batch"), "{leading:?}");
        let expected = ["batch/latency p95", "batch/errors per second", "db/latency p95", "cpu a day before"];
        assert_eq!(leading.against, expected);
        let against = kinds(&signals, FindingKind::Contradiction);
        assert_eq!(against.len(), 1);
        let text = "Evidence against batch as the cause: its latency p95 and errors per second did not change; db latency p95 \
                    changed 3m20s before it; its cpu is similar at the same time on other days.";
        assert_eq!((against[0].text.as_str(), &against[0].inputs), (text, &leading.against));
        // A suspect without contradictions has a higher confidence.
        let fits =
            Signals { suspects: vec![suspect("db", 6.0, 400)], metrics: vec![metric("latency p95", "db", Some(400))], ..base() };
        let leading_fits = kinds(&fits, FindingKind::Suspect).remove(0);
        assert!(kinds(&fits, FindingKind::Contradiction).is_empty() && leading_fits.against.is_empty());
        assert!(leading_fits.confidence > leading.confidence);
    }

    #[test]
    fn is_inconclusive_if_nothing_points_to_a_cause() {
        let still: Vec<MetricInput> = (0..4).map(|n| metric("latency p95", &format!("s{n}"), None)).collect();
        let dark = Signals { metrics: still.clone(), ..base() };
        let found = kinds(&dark, FindingKind::Verdict);
        assert!(found[0].title.starts_with("Inconclusive: alerts are firing, but nothing else"), "{found:?}");
        assert!(kinds(&dark, FindingKind::Suspect).is_empty() && kinds(&dark, FindingKind::Change).is_empty());
        let blind = Signals { gaps: vec!["prom: timeout".into()], ..base() };
        assert!(kinds(&blind, FindingKind::Verdict)[0].title.contains("too little data was available"));
        // A changed series, or a release, points to a cause.
        let with_change = Signals { metrics: [still.clone(), vec![metric("latency p95", "shop", Some(500))]].concat(), ..base() };
        assert!(kinds(&with_change, FindingKind::Verdict).is_empty());
        let changed = Signals { changes: vec![change("shop", 650)], ..dark.clone() };
        assert!(kinds(&changed, FindingKind::Verdict).is_empty());
        // An automatic scaling of another service does not; an expired certificate does.
        let mut scaled = dark.clone();
        scaled.changes = vec![ChangeInput { is_release: false, ..change("other", 650) }];
        assert!(!kinds(&scaled, FindingKind::Verdict).is_empty());
        let window = Some(crate::telemetry::Window::new(Timestamp::from_secs(0), Timestamp::from_secs(1200)));
        let ended = super::super::ExpiryInput { name: "certificate".into(), at: Timestamp::from_secs(690), key: "cert".into() };
        assert!(kinds(&Signals { expiring: vec![ended], window, ..dark }, FindingKind::Verdict).is_empty());
    }

    fn change(service: &str, secs: i64) -> ChangeInput {
        let at = Timestamp::from_secs(secs);
        ChangeInput {
            at,
            service: Some(service.into()),
            description: "version 1 → 2".into(),
            is_release: true,
            key: format!("{service} deploy"),
        }
    }

    #[test]
    fn reports_two_causes_only_if_neither_explains_the_other() {
        let signals = Signals {
            suspects: vec![suspect("shop", 6.0, 400), suspect("mail", 5.0, 900)],
            metrics: vec![metric("latency p95", "shop", Some(400)), metric("errors per second", "mail", Some(900))],
            changes: vec![change("shop", 380), change("mail", 870)],
            ..base()
        };
        let verdict = |s: &Signals| kinds(s, FindingKind::Verdict).into_iter().next();
        let found = verdict(&signals).unwrap();
        assert_eq!(found.title, "Possibly two separate causes: shop and mail");
        assert_eq!(found.inputs, ["shop/cpu", "mail/cpu", "shop deploy", "mail deploy"]);
        // By the call graph alone, without changes.
        let pairs = |calls: &[(&str, &str)]| calls.iter().copied().collect();
        let by_calls = |calls: &[(&str, &str)]| Signals { calls: pairs(calls), changes: vec![], ..signals.clone() };
        assert!(verdict(&by_calls(&[("front", "shop"), ("front", "mail")])).unwrap().text.contains("neither calls the other"));
        // Connected, or not known to be separate: one cause may explain both.
        for calls in [&[("shop", "bus"), ("bus", "mail")][..], &[("mail", "shop")], &[]] {
            assert_eq!(verdict(&by_calls(calls)), None, "{calls:?}");
        }
        for calls in [&[("shop", "db"), ("mail", "db")][..], &[("shop", "orders"), ("orders", "db"), ("mail", "db")]] {
            let mut shared = by_calls(calls);
            shared.metrics.push(metric("latency p95", "db", Some(390)));
            assert_eq!(verdict(&shared), None, "{calls:?}");
        }
        // A pipeline that releases both at the same time is one cause.
        let same_time = Signals { suspects: vec![suspect("shop", 6.0, 400), suspect("mail", 5.0, 410)], ..signals.clone() };
        assert_eq!(
            verdict(&Signals {
                metrics: vec![metric("latency p95", "shop", Some(400)), metric("latency p95", "mail", Some(410))],
                ..same_time
            }),
            None
        );
        // Together, but each with an error of its own, and not connected by any call.
        let error = |service: &str| {
            let mut pattern = super::super::conclusion::tests::pattern();
            (pattern.template, pattern.services) = (format!("{service} is broken"), vec![service.to_owned()]);
            ("patterns".to_owned(), pattern)
        };
        let together = Signals {
            suspects: vec![suspect("shop", 6.0, 400), suspect("mail", 5.0, 410)],
            metrics: vec![metric("latency p95", "shop", Some(400)), metric("latency p95", "mail", Some(410))],
            patterns: vec![error("shop"), error("mail")],
            ..by_calls(&[("front", "shop"), ("front", "mail")])
        };
        assert!(verdict(&together).is_some());
        assert_eq!(verdict(&Signals { patterns: vec![error("shop")], ..together.clone() }), None);
        // One calls the other, but each began to fail in its own way, at another time, after its own change.
        let connected =
            Signals { patterns: vec![error("shop"), error("mail")], calls: pairs(&[("shop", "mail")]), ..signals.clone() };
        let found = verdict(&connected).unwrap();
        assert!(found.text.ends_with("one calls the other, but each fails in its own way."), "{}", found.text);
        assert_eq!(verdict(&Signals { changes: vec![change("shop", 380)], ..connected.clone() }), None);
        assert_eq!(verdict(&Signals { patterns: vec![error("shop")], ..connected }), None);
        let concluded = super::super::findings(&together).remove(0);
        assert_eq!(concluded.title, "Possibly two causes: shop and mail");
        assert_eq!(concluded.conclusion.unwrap().origins, ["shop", "mail"]);
        let blamed = Signals { blames: BTreeMap::from([("mail".into(), BTreeSet::from(["shop".into()]))]), ..signals.clone() };
        assert_eq!(verdict(&blamed), None);
        let mut without_symptom = signals.clone();
        without_symptom.metrics[1].title = "cpu".into();
        assert_eq!(verdict(&without_symptom), None, "a service without symptoms is not a second cause");
        let weak = Signals { suspects: vec![suspect("shop", 6.0, 400), suspect("mail", 2.0, 900)], ..signals };
        assert_eq!(verdict(&weak), None);
    }
}
