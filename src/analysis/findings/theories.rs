//! What speaks against the leading theory, whether there may be two causes, and when no theory is to be had.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::around::LEAST_SCORE;
use super::{ChangeInput, Finding, Key, MetricInput, Signals, SuspectInput, clock, is_usual, is_usual_now};
use crate::analysis::Direction;
use crate::incident::FindingKind;
use crate::telemetry::{Alert, Timestamp, time, words};

/// How gaps of the sources of changes begin.
pub const OF_CHANGES: &str = "changes of ";
/// What moved so long before another moved before it, beyond doubt of a scrape or two.
const BEFORE_IT: Duration = Duration::from_mins(1);
/// What began so far apart did not begin together.
const APART: Duration = Duration::from_mins(3);
/// So long before the first move a change of its own may have made it.
const OWN_CHANGE: Duration = Duration::from_mins(15);
/// The share of the first one's score from which on a second cause is thought of; and how far down the list it is looked for.
const AS_SUSPECT: f64 = 0.5;
const LOOKED_AT: usize = 4;
/// Contradictions told of each kind.
const EACH: usize = 2;

/// Errors and latency: what others feel of a service.
fn is_harm(m: &MetricInput) -> bool {
    ["error", "latency"].iter().any(|w| m.title.contains(w)) && !m.is_alert_expression
}

fn of<'a>(signals: &'a Signals, service: &'a str) -> impl Iterator<Item = &'a MetricInput> {
    signals.metrics.iter().filter(move |m| m.service.as_deref() == Some(service) && !m.is_alert_expression)
}

fn has_moved(m: &MetricInput) -> bool {
    m.movement.direction != Direction::Flat
}

pub(super) fn fires_for(signals: &Signals, service: &str) -> bool {
    signals.alerts.iter().any(|a| a.is_firing() && Alert::service(a) == Some(service))
}

/// When the first of a suspect's series moved.
fn began(signals: &Signals, service: &str) -> Option<Timestamp> {
    let suspects = signals.suspects.iter().filter(|s| s.suspect.service.as_deref() == Some(service));
    let of_metrics = of(signals, service).filter(|m| has_moved(m) && !is_usual_now(m)).filter_map(|m| m.movement.changed_at);
    suspects.filter_map(|s| s.suspect.changed_at).chain(of_metrics).min()
}

/// What does not fit a service as the cause, each with its evidence.
pub(super) fn contradictions(signals: &Signals, service: &str) -> Vec<(String, Vec<Key>)> {
    let mut out = Vec::new();
    let own: Vec<&MetricInput> = of(signals, service).collect();
    let (hurt, well): (Vec<&MetricInput>, Vec<&MetricInput>) = own.iter().filter(|m| is_harm(m)).partition(|m| has_moved(m));
    if hurt.is_empty() && !well.is_empty() && !fires_for(signals, service) {
        let titles: Vec<&str> = well.iter().take(EACH).map(|m| m.title.as_str()).collect();
        let keys = well.iter().take(EACH).map(|m| m.key.clone()).collect();
        out.push((
            format!("its {} stayed as {}", words::list(&titles), if titles.len() == 1 { "it was" } else { "they were" }),
            keys,
        ));
    }
    if let Some(began) = began(signals, service) {
        let is_earlier = |m: &&MetricInput| {
            m.service.as_deref().is_some_and(|s| s != service) && has_moved(m) && !m.is_alert_expression && !is_usual_now(m)
        };
        let mut earlier: Vec<(Timestamp, &MetricInput)> = (signals.metrics.iter().filter(is_earlier))
            .filter_map(|m| Some((m.movement.changed_at.filter(|at| *at + BEFORE_IT < began)?, m)))
            .collect();
        earlier.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.key.cmp(&b.1.key)));
        out.extend(earlier.iter().take(EACH).map(|(at, m)| {
            (format!("{} moved {} before it", super::metric_name(m), time::human(began.since(*at))), vec![m.key.clone()])
        }));
    }
    let usual = own.iter().filter(|m| has_moved(m) && is_usual_now(m)).take(EACH);
    out.extend(usual.map(|m| {
        let keys = m.earlier.iter().filter(|e| is_usual(m, e)).map(|e| e.key.clone()).collect();
        (format!("its {} stands there at the same hours of other days too", m.title), keys)
    }));
    let moved: Vec<&&MetricInput> = own.iter().filter(|m| has_moved(m) && !is_usual_now(m)).collect();
    let back: Vec<Timestamp> = moved.iter().filter_map(|m| m.movement.back_at).collect();
    if let Some(last) = back.iter().max()
        && back.len() == moved.len()
        && signals.alerts.iter().any(Alert::is_firing)
    {
        let keys = moved.iter().take(EACH).map(|m| m.key.clone()).collect();
        out.push((format!("all of it that moved is back since {}, and the alerts still fire", clock(*last)), keys));
    }
    out
}

/// The leading theory's contradictions as a finding.
pub(super) fn against(signals: &Signals) -> Option<Finding> {
    let leading = signals.suspects.iter().find(|s| s.suspect.score >= LEAST_SCORE && s.suspect.service.is_some())?;
    let service = leading.suspect.service.as_deref()?;
    let found = contradictions(signals, service);
    if found.is_empty() {
        return None;
    }
    let told: Vec<&str> = found.iter().map(|(told, _)| told.as_str()).collect();
    Some(Finding {
        kind: FindingKind::Against,
        title: format!("what does not fit {service} as the cause: {}", told.join("; ")),
        text: format!("What does not fit {service} as the cause: {}.", told.join("; ")),
        confidence: 0.6,
        at: None,
        inputs: keys(found.into_iter().flat_map(|(_, keys)| keys)),
        against: Vec::new(),
    })
}

/// Each once, in their order.
pub(super) fn keys(all: impl IntoIterator<Item = Key>) -> Vec<Key> {
    let mut out: Vec<Key> = Vec::new();
    for key in all {
        if !out.contains(&key) {
            out.push(key);
        }
    }
    out
}

/// Alerts fire, and nothing of all that was looked at says why: then no cause is named.
pub(super) fn inconclusive(signals: &Signals, enough: usize) -> Option<Finding> {
    let first = signals.alerts.iter().filter(|a| a.is_firing()).filter_map(|a| a.pending_since.or(a.starts_at)).min();
    // A deploy that is under way, or failed, is as telling as one that is done.
    let is_close = |c: &ChangeInput| {
        (c.is_release || c.what.contains("deploy"))
            && c.service.as_deref().is_none_or(|s| fires_for(signals, s))
            && first.is_some_and(|first| c.at <= first + BEFORE_IT && c.at + OWN_CHANGE >= first)
    };
    let is_over = |at: Timestamp| signals.window.is_some_and(|w| at <= w.end);
    let is_dark = signals.suspects.iter().all(|s| s.suspect.score < LEAST_SCORE)
        && !signals.changes.iter().any(is_close)
        && signals.burns.is_empty()
        && signals.limits.iter().all(|l| l.share < super::around::FULL)
        && !signals.expiring.iter().any(|e| is_over(e.at));
    if !is_dark {
        return None;
    }
    let looked = format!("{} series", signals.metrics.len());
    // What a source of changes could not tell leaves open what was done, not what was seen.
    let is_blind = signals.gaps.iter().any(|gap| !gap.starts_with(OF_CHANGES));
    let (title, seen) = if signals.metrics.len() < enough || is_blind {
        ("inconclusive: alerts fire, and too little could be looked at", format!("only {looked} could be looked at"))
    } else {
        (
            "inconclusive: alerts fire, but nothing else that was looked at changed",
            format!("none of {looked} that were looked at left its normal range"),
        )
    };
    let logs =
        if signals.blames_key.is_empty() { "no logs were read" } else { "no new error pattern is in the logs that were read" };
    let metrics = signals.metrics.iter().map(|m| m.key.clone()).take(4);
    let alerts = (!signals.alerts_key.is_empty()).then(|| signals.alerts_key.clone());
    Some(Finding {
        kind: FindingKind::Verdict,
        title: title.to_owned(),
        text: format!(
            "Alerts fire, but {seen}, {logs}, and no release of what they are about is known just before: the evidence names no cause. Look at what the alerts \
             measure, in a longer window."
        ),
        confidence: 0.6,
        at: None,
        inputs: keys(alerts.into_iter().chain(metrics)),
        against: Vec::new(),
    })
}

/// The services that calls lead to, directly or through others.
fn reached<'a>(signals: &'a Signals, from: &'a str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next = VecDeque::from([from]);
    while let Some(caller) = next.pop_front() {
        next.extend(signals.calls.get(caller).into_iter().flatten().map(String::as_str).filter(|callee| seen.insert(*callee)));
    }
    seen
}

/// Two services that are about as suspect, that both hurt, and that nothing known connects.
pub(super) fn two_causes(signals: &Signals) -> Option<Finding> {
    if signals.storm.is_some() {
        return None;
    }
    let mut services: Vec<&SuspectInput> = Vec::new();
    for input in signals.suspects.iter().filter(|s| s.suspect.score >= LEAST_SCORE && s.suspect.service.is_some()) {
        if !services.iter().any(|s| s.suspect.service == input.suspect.service) {
            services.push(input);
        }
    }
    let first = *services.first()?;
    let name = first.suspect.service.as_deref()?;
    let others = services.iter().skip(1).take(LOOKED_AT - 1).filter(|s| s.suspect.score >= AS_SUSPECT * first.suspect.score);
    others.filter_map(|second| apart(signals, (name, first), (second.suspect.service.as_deref()?, second))).next()
}

/// The finding that two suspects have nothing to do with each other, where the evidence carries that.
fn apart(signals: &Signals, a: (&str, &SuspectInput), b: (&str, &SuspectInput)) -> Option<Finding> {
    let hurts = |service: &str| {
        fires_for(signals, service)
            || of(signals, service).any(|m| is_harm(m) && has_moved(m) && !is_usual_now(m) && m.movement.back_at.is_none())
    };
    if !hurts(a.0) || !hurts(b.0) {
        return None;
    }
    let names = |who: &str, whom: &str| signals.blames.get(who).is_some_and(|named| named.contains(whom));
    if reached(signals, a.0).contains(b.0) || reached(signals, b.0).contains(a.0) || names(a.0, b.0) || names(b.0, a.0) {
        return None;
    }
    if reached(signals, a.0).intersection(&reached(signals, b.0)).any(|callee| of(signals, callee).any(has_moved)) {
        return None;
    }
    let (at_a, at_b) = (began(signals, a.0)?, began(signals, b.0)?);
    let own_change = |service: &str, began: Timestamp| {
        signals.changes.iter().find(|c| {
            c.is_release && c.service.as_deref() == Some(service) && c.at <= began + BEFORE_IT && c.at + OWN_CHANGE >= began
        })
    };
    let changes = own_change(a.0, at_a).zip(own_change(b.0, at_b));
    let is_known = |service: &str| signals.calls.contains_key(service) || signals.calls.values().any(|to| to.contains(service));
    let is_by_calls = is_known(a.0) && is_known(b.0);
    let is_apart = at_a.secs_since(at_b).abs() >= APART.as_secs_f64();
    // What began together may have one cause that nobody looked at, and one pipeline may release both.
    if !is_apart || (changes.is_none() && !is_by_calls) {
        return None;
    }
    let mut told = vec![format!("{} moved from {}, {} from {}", a.0, clock(at_a), b.0, clock(at_b))];
    let mut inputs: Vec<Key> = [a.1, b.1].iter().flat_map(|s| s.keys.iter().take(1).cloned()).collect();
    if is_by_calls {
        told.push("neither calls the other, directly or through others".to_owned());
        inputs.extend(signals.calls_from.iter().map(|(key, _)| key.clone()));
    }
    if let Some((of_a, of_b)) = changes {
        told.push(format!("each has a change of its own just before: {} {}, {} {}", a.0, of_a.what, b.0, of_b.what));
        inputs.extend([of_a.key.clone(), of_b.key.clone()]);
    }
    Some(Finding {
        kind: FindingKind::Verdict,
        title: format!("two causes, as far as is known: {} and {}", a.0, b.0),
        text: format!("{}. Nothing that is known connects {} and {}: look at both.", told.join("; "), a.0, b.0),
        confidence: 0.55,
        at: None,
        inputs: keys(inputs),
        against: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::{alert, metric};
    use super::super::{Earlier, findings};
    use super::*;
    use crate::analysis::suspects::{Known, suspects};
    use crate::telemetry::AlertSeverity;

    /// A suspect with a series that moved at a second, or with its log alone.
    fn suspect(service: &str, score: f64, secs: i64) -> SuspectInput {
        let known = Known { logs: BTreeMap::from([(service.to_owned(), 40.0)]), ..Known::default() };
        let mut suspect = suspects(&[], &known).remove(0);
        (suspect.score, suspect.changed_at, suspect.series) =
            (score, Some(Timestamp::from_secs(secs)), Some(format!("{service}|cpu")));
        (suspect.before, suspect.after, suspect.in_logs) = (Some(1.0), Some(9.0), String::new());
        SuspectInput { suspect, labels: Default::default(), unit: String::new(), keys: vec![format!("{service}/cpu")] }
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
        findings(signals).into_iter().filter(|f| f.kind == kind).collect()
    }

    #[test]
    fn a_red_herring_leads_and_what_contradicts_it_is_listed() {
        // The nightly job takes the processor, as every night; what hurts moved before it, elsewhere.
        let mut cpu = metric("cpu", "batch", Some(600));
        cpu.earlier = vec![Earlier { when: "a day before".into(), level: 7.5, key: "cpu a day before".into() }];
        let signals = Signals {
            suspects: vec![suspect("batch", 6.0, 600), suspect("db", 2.0, 400)],
            metrics: vec![
                cpu,
                metric("latency p95", "batch", None),
                metric("errors per second", "batch", None),
                metric("latency p95", "db", Some(400)),
            ],
            ..base()
        };
        let leading = kinds(&signals, FindingKind::Suspect).remove(0);
        assert!(leading.title.starts_with("batch"), "{leading:?}");
        let expected = ["batch/latency p95", "batch/errors per second", "db/latency p95", "cpu a day before"];
        assert_eq!(leading.against, expected);
        let against = kinds(&signals, FindingKind::Against);
        assert_eq!(against.len(), 1);
        let told = "What does not fit batch as the cause: its latency p95 and errors per second stayed as they were; db latency p95 \
                    moved 3m20s before it; its cpu stands there at the same hours of other days too.";
        assert_eq!((against[0].text.as_str(), &against[0].inputs), (told, &leading.against));
        // One that nothing speaks against is the surer for it.
        let fits =
            Signals { suspects: vec![suspect("db", 6.0, 400)], metrics: vec![metric("latency p95", "db", Some(400))], ..base() };
        let leading_fits = kinds(&fits, FindingKind::Suspect).remove(0);
        assert!(kinds(&fits, FindingKind::Against).is_empty() && leading_fits.against.is_empty());
        assert!(leading_fits.confidence > leading.confidence);
    }

    #[test]
    fn where_nothing_says_why_no_cause_is_named() {
        let still: Vec<MetricInput> = (0..4).map(|n| metric("latency p95", &format!("s{n}"), None)).collect();
        let dark = Signals { metrics: still.clone(), ..base() };
        let found = kinds(&dark, FindingKind::Verdict);
        assert!(found[0].title.starts_with("inconclusive: alerts fire, but nothing else"), "{found:?}");
        assert!(kinds(&dark, FindingKind::Suspect).is_empty() && kinds(&dark, FindingKind::Change).is_empty());
        let blind = Signals { gaps: vec!["prom: timeout".into()], ..base() };
        assert!(kinds(&blind, FindingKind::Verdict)[0].title.contains("too little could be looked at"));
        // A series that moved, or a change, is something to go by.
        let moved = Signals { metrics: [still.clone(), vec![metric("latency p95", "shop", Some(500))]].concat(), ..base() };
        assert!(kinds(&moved, FindingKind::Verdict).is_empty());
        let changed = Signals { changes: vec![change("shop", 650)], ..dark.clone() };
        assert!(kinds(&changed, FindingKind::Verdict).is_empty());
        // A scaling long before, by nobody, is not; a certificate that has run out is.
        let mut scaled = dark.clone();
        scaled.changes = vec![ChangeInput { is_release: false, ..change("other", 650) }];
        assert!(!kinds(&scaled, FindingKind::Verdict).is_empty());
        let window = Some(crate::telemetry::Window::new(Timestamp::from_secs(0), Timestamp::from_secs(1200)));
        let ended = super::super::ExpiryInput { what: "certificate".into(), at: Timestamp::from_secs(690), key: "cert".into() };
        assert!(kinds(&Signals { expiring: vec![ended], window, ..dark }, FindingKind::Verdict).is_empty());
    }

    fn change(service: &str, secs: i64) -> ChangeInput {
        let at = Timestamp::from_secs(secs);
        ChangeInput {
            at,
            service: Some(service.into()),
            what: "version 1 → 2".into(),
            is_release: true,
            key: format!("{service} deploy"),
        }
    }

    #[test]
    fn two_causes_are_told_where_nothing_connects_them_and_only_there() {
        let signals = Signals {
            suspects: vec![suspect("shop", 6.0, 400), suspect("mail", 5.0, 900)],
            metrics: vec![metric("latency p95", "shop", Some(400)), metric("errors per second", "mail", Some(900))],
            changes: vec![change("shop", 380), change("mail", 870)],
            ..base()
        };
        let told = |s: &Signals| kinds(s, FindingKind::Verdict).into_iter().next();
        let found = told(&signals).unwrap();
        assert_eq!(found.title, "two causes, as far as is known: shop and mail");
        assert_eq!(found.inputs, ["shop/cpu", "mail/cpu", "shop deploy", "mail deploy"]);
        // By the calls, with no change known.
        let pairs = |calls: &[(&str, &str)]| {
            let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (from, to) in calls {
                out.entry((*from).into()).or_default().insert((*to).into());
            }
            out
        };
        let by_calls = |calls: &[(&str, &str)]| Signals { calls: pairs(calls), changes: vec![], ..signals.clone() };
        assert!(told(&by_calls(&[("front", "shop"), ("front", "mail")])).unwrap().text.contains("neither calls the other"));
        // Connected, or not known to be apart: one cause may be behind both.
        for calls in [&[("shop", "bus"), ("bus", "mail")][..], &[("mail", "shop")], &[]] {
            assert_eq!(told(&by_calls(calls)), None, "{calls:?}");
        }
        for calls in [&[("shop", "db"), ("mail", "db")][..], &[("shop", "orders"), ("orders", "db"), ("mail", "db")]] {
            let mut shared = by_calls(calls);
            shared.metrics.push(metric("latency p95", "db", Some(390)));
            assert_eq!(told(&shared), None, "{calls:?}");
        }
        // One pipeline that releases both at once is one cause.
        let at_once = Signals { suspects: vec![suspect("shop", 6.0, 400), suspect("mail", 5.0, 410)], ..signals.clone() };
        assert_eq!(
            told(&Signals {
                metrics: vec![metric("latency p95", "shop", Some(400)), metric("latency p95", "mail", Some(410))],
                ..at_once
            }),
            None
        );
        let blamed = Signals { blames: pairs(&[("mail", "shop")]), ..signals.clone() };
        assert_eq!(told(&blamed), None);
        let mut unhurt = signals.clone();
        unhurt.metrics[1].title = "cpu".into();
        assert_eq!(told(&unhurt), None, "what hurts nobody is no second cause");
        let weak = Signals { suspects: vec![suspect("shop", 6.0, 400), suspect("mail", 2.0, 900)], ..signals };
        assert_eq!(told(&weak), None);
    }
}
