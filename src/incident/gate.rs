//! The checklist of each phase. What must hold to leave a phase: what the program can see it checks itself, from the facts
//! alone; what it cannot see a person ticks, with words. Nothing here blocks anybody: `resolve` and `close` ask for what is
//! open to be overridden with a reason, and both go to the timeline.

use std::time::Duration;

use serde::Serialize;

use super::action::ActionScope;
use super::role::Role;
use super::state::Incident;
use super::status::{Phase, Status};
use crate::telemetry::Timestamp;
use crate::telemetry::time::human;

/// How long a service must stay well before it counts as restored: a quarter of an hour unless the configuration says more.
pub const MONITOR: Duration = Duration::from_secs(900);

/// The items that a new round asks for anew: what held for the last one proves nothing when it is back.
pub(super) const OF_A_ROUND: [&str; 9] = [
    "effect-seen",
    "restored",
    "health-checks",
    "monitored",
    "rollback-plan",
    "causes",
    "actions",
    "docs-updated",
    "review-held",
];

/// Who says whether an item is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The program, from facts. A tick by hand is refused.
    Program,
    /// A person: the program cannot see it.
    Hand,
    /// The program where it can see it, else a person.
    Either,
}

/// One line of the checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateItem {
    pub phase: Phase,
    /// By which a person ticks it: `stakeholders-told`.
    pub item: &'static str,
    /// What it asks for.
    pub words: &'static str,
    pub check: Check,
    pub met: bool,
    /// What the program sees, or who ticked it with which words; for an open item what to do.
    pub detail: String,
}

/// What a condition is, with what is seen (met) or what to do (open).
type Seen = Result<String, String>;

struct List<'a> {
    incident: &'a Incident,
    items: Vec<GateItem>,
}

impl List<'_> {
    fn add(&mut self, phase: Phase, item: &'static str, words: &'static str, check: Check, seen: Seen) {
        let (met, detail) = match (seen, check, self.incident.ticks.get(item)) {
            (Ok(detail), _, _) => (true, detail),
            (Err(detail), Check::Program, _) | (Err(detail), _, None) => (false, detail),
            (Err(_), _, Some(tick)) => (tick.met, format!("{}: {}", tick.by, tick.text)),
        };
        self.items.push(GateItem { phase, item, words, check, met, detail });
    }

    fn hand(&mut self, phase: Phase, item: &'static str, words: &'static str) {
        let how = format!("tick it: `warroom incident gate {} {item} --met TEXT`", self.incident.id());
        self.add(phase, item, words, Check::Hand, Err(how));
    }
}

/// The whole checklist in the order of the phases, as things stand at `now`. `monitor` is the agreed time of watching.
pub fn gates(incident: &Incident, now: Timestamp, monitor: Duration) -> Vec<GateItem> {
    let mut list = List { incident, items: Vec::new() };
    detection(&mut list);
    assessment(&mut list);
    containment(&mut list);
    recovery(&mut list, now, monitor);
    post_incident(&mut list);
    list.items
}

/// The items that must hold for an incident to get a status and do not: `resolved` asks for detection to recovery, `closed`
/// for post-incident. Other statuses ask for nothing.
pub fn open_for(items: &[GateItem], to: Status) -> Vec<&GateItem> {
    let asked = |phase: Phase| match to {
        Status::Resolved => phase < Phase::PostIncident,
        Status::Closed => phase == Phase::PostIncident,
        _ => false,
    };
    items.iter().filter(|g| !g.met && asked(g.phase)).collect()
}

fn some(found: Option<String>, how: impl FnOnce() -> String) -> Seen {
    found.ok_or_else(how)
}

fn detection(list: &mut List<'_>) {
    let (i, phase) = (list.incident, Phase::Detection);
    let id = i.id();
    let alerts = match i.alerts.len() {
        0 => Err(format!("link one (`warroom incident link {id} FINGERPRINT`), or tick it and say who reported it")),
        n => Ok(crate::telemetry::words::count(n, "alert")),
    };
    list.add(phase, "alerts-linked", "alerts linked, or a report that stands for them", Check::Either, alerts);
    let start = if i.assumed().contains(&"impact_started_at") {
        Err(format!("no alert tells: `warroom incident time {id} impact_started TIME --reason …`"))
    } else {
        Ok(format!("{} UTC", i.impact_started_at().date_clock()))
    };
    list.add(phase, "start-time", "when the impact began", Check::Program, start);
    let reporter = i.roles.get(&Role::Reporter).cloned().or_else(|| i.entries.first().map(|e| e.actor.name.clone()));
    list.add(phase, "reporter", "who reported it", Check::Program, some(reporter, String::new));
}

fn assessment(list: &mut List<'_>) {
    let (i, phase) = (list.incident, Phase::Assessment);
    let id = i.id();
    let severity = i.severities.iter().rev().find_map(|s| s.reason.as_ref().map(|r| format!("{}: {r}", i.head.severity)));
    let how = || format!("say why: `warroom incident severity {id} {} --reason …`", i.head.severity);
    list.add(phase, "severity", "severity with its reason", Check::Program, some(severity, how));
    let impact = i.impact.is_known().then(|| i.impact.words());
    let how = || format!("`warroom incident impact {id} --users … --text …`");
    list.add(phase, "impact", "impact and scope", Check::Program, some(impact, how));
    let how = || format!("`warroom incident role {id} commander NAME`");
    list.add(phase, "commander", "a commander", Check::Program, some(i.head.commander.clone(), how));
    let missing: Vec<&str> = i.roles_missing().into_iter().filter(|r| *r != Role::Commander).map(Role::word).collect();
    if !i.matrix().roles(i.head.severity).is_empty() {
        let roles = if missing.is_empty() { Ok("all held".to_owned()) } else { Err(format!("nobody is {}", missing.join(", "))) };
        list.add(phase, "roles", "the roles that the severity asks for", Check::Program, roles);
    }
    let told = i.updates.first().map(|u| format!("{} update at {} UTC", u.audience.word(), u.at.date_clock()));
    let how = || format!("`warroom incident update {id} TEXT` once told, or tick it");
    list.add(phase, "stakeholders-told", "stakeholders told", Check::Either, some(told, how));
}

fn containment(list: &mut List<'_>) {
    let (i, phase) = (list.incident, Phase::Containment);
    let id = i.id();
    // A moment set by hand tells when, not that: an incident whose cause is still looked for is not contained.
    let at = i.mitigated_at.filter(|_| !i.mitigated_assumed && is_past(i.head.status));
    let contained = at.map(|at| format!("since {} UTC", at.date_clock()));
    let how = || format!("`warroom incident status {id} mitigated`");
    list.add(phase, "contained", "affected systems isolated or mitigated", Check::Program, some(contained, how));
    let first = mitigation(i);
    let recorded = first.map(|(seq, at)| format!("entry {} at {} UTC", super::ids::seq_label(*seq), at.date_clock()));
    let how = || format!("`warroom incident note {id} TEXT --kind mitigation`");
    list.add(phase, "mitigation-recorded", "what was done is recorded", Check::Program, some(recorded, how));
    list.add(phase, "effect-seen", "its effect seen in a metric", Check::Either, effect(i));
}

/// Whether a status comes after the containment, or says nothing of it.
fn is_past(status: Status) -> bool {
    !matches!(status, Status::Triage | Status::Investigating)
}

/// Whether something was seen in this round: since it was last found to be back.
fn is_now(i: &Incident, at: Timestamp) -> bool {
    i.back_at.is_none_or(|back| at >= back)
}

/// What was first done to stop the harm of this round.
fn mitigation(i: &Incident) -> Option<&(u64, Timestamp)> {
    i.mitigations.iter().find(|(_, at)| is_now(i, *at))
}

/// The exit readings of this round.
fn readings(i: &Incident) -> impl DoubleEndedIterator<Item = &super::state::RecordedReading> {
    i.readings.iter().filter(|r| is_now(i, r.at))
}

/// An exit reading that was met, or every watched alert over, after the first mitigation.
fn effect(i: &Incident) -> Seen {
    let Some((_, done)) = mitigation(i) else { return Err("no mitigation is recorded yet".to_owned()) };
    // An effect is a change: it was not met before, or the whole look lies after the mitigation.
    let was_bad = readings(i).any(|r| !r.reading.met && r.at <= *done);
    if let Some(r) = readings(i).find(|r| r.reading.met && r.at >= *done && (was_bad || r.reading.window.start >= *done)) {
        return Ok(format!("exit criteria: {}", r.reading.why));
    }
    let ended = i.watched.values().filter(|w| !w.is_firing && w.since >= *done).count();
    if ended > 0 && ended == i.watched.len() {
        return Ok(format!("{ended} of {} ended after it", crate::telemetry::words::count(ended, "alert")));
    }
    Err(match i.watched.len() {
        0 => "set exit criteria, or tick it with the metric and its values".to_owned(),
        all => format!("{ended} of {} ended after it", crate::telemetry::words::count(all, "alert")),
    })
}

fn recovery(list: &mut List<'_>, now: Timestamp, monitor: Duration) {
    let (i, phase) = (list.incident, Phase::Recovery);
    let id = i.id();
    let firing: Vec<String> = i
        .alerts
        .iter()
        .filter(|a| i.watched.get(&a.fingerprint).is_some_and(|w| w.is_firing))
        .map(super::fact::LinkedAlert::label)
        .collect();
    let unknown: Vec<String> = i.alerts.iter().filter(|a| !a.verified).map(super::fact::LinkedAlert::label).collect();
    let is_stale = !i.watched.values().any(|w| is_now(i, w.since));
    let restored = match (i.watched.is_empty(), firing.is_empty()) {
        (false, true) if !unknown.is_empty() => {
            Err(format!("no source has told of {}: unlink it, or tick this and say how you know", unknown.join(", ")))
        }
        (true, _) => Err("no alert is watched: tick it and say how you know".to_owned()),
        (false, true) if is_stale => {
            Err("no linked alert has fired since it is back, which proves nothing: tick it and say how you know".to_owned())
        }
        (false, true) => Ok("no linked alert fires".to_owned()),
        (false, false) => Err(format!("still firing when last seen: {}", firing.join(", "))),
    };
    // With alerts to go by, the alerts decide.
    let blind = i.watched.is_empty() || firing.is_empty() && (!unknown.is_empty() || is_stale);
    let check = if blind { Check::Either } else { Check::Program };
    list.add(phase, "restored", "the service is restored", check, restored);
    if let Some(exit) = &i.exit {
        let seen = match readings(i).next_back() {
            Some(r) if r.reading.met => Ok(r.reading.why.clone()),
            Some(r) => Err(format!("{}: {}", exit.words(), r.reading.why)),
            None => Err(format!("{}: not read yet, `warroom incident check {id}`", exit.words())),
        };
        list.add(phase, "exit-criteria", "the exit criteria hold", Check::Program, seen);
    }
    list.hand(phase, "health-checks", "health checks are green");
    let watched = well_since(i).and_then(|since| match now.since(since) {
        well if well >= monitor => Ok(format!("well for {}", human(well))),
        well => Err(format!("well for {} of {}", human(well), human(monitor))),
    });
    // With nothing that the program can watch, a person must have.
    let check = if i.watched.is_empty() && i.exit.is_none() { Check::Either } else { Check::Program };
    list.add(phase, "monitored", "watched for the agreed time", check, watched);
    list.hand(phase, "rollback-plan", "the way back is known");
}

/// Since when everything that is watched has been well: after the mitigation (or the watching), the last change of an alert,
/// and the beginning of the time over which the exit criteria hold.
fn well_since(i: &Incident) -> Result<Timestamp, String> {
    let begun = i.monitoring_at.or(i.mitigated_at).filter(|_| is_past(i.head.status));
    let Some(mut since) = begun else { return Err("it is not mitigated yet".to_owned()) };
    if i.watched.is_empty() && i.exit.is_none() {
        return Err("neither alerts nor exit criteria are watched: tick it and say how you know".to_owned());
    }
    if i.watched.values().any(|w| w.is_firing) {
        // As long as one fires there is nothing to count.
        return Err("an alert fires".to_owned());
    }
    since = i.watched.values().map(|w| w.since).fold(since, Timestamp::max);
    if i.exit.is_some() {
        let held = readings(i).rev().take_while(|r| r.reading.met).last();
        let Some(first) = held else { return Err("the exit criteria do not hold".to_owned()) };
        let before = Duration::try_from_secs_f64(first.reading.held_secs).unwrap_or_default();
        since = since.max(first.reading.window.end - before);
    }
    Ok(since)
}

fn post_incident(list: &mut List<'_>) {
    use super::milestone::Milestone as M;
    let (i, phase) = (list.incident, Phase::PostIncident);
    let id = i.id();
    let mut lacks: Vec<String> = [M::Acknowledged, M::Mitigated, M::Resolved]
        .into_iter()
        .filter(|m| i.milestone(*m).is_none())
        .map(|m| format!("when it was {m}"))
        .collect();
    lacks.extend(i.assumed().into_iter().map(|m| m.trim_end_matches("_at").replace('_', " ")));
    lacks.extend(i.order_faults().into_iter().filter(|f| f.exception.is_none()).map(|f| f.words));
    let whole =
        if lacks.is_empty() { Ok("every moment known, in order".to_owned()) } else { Err(format!("lacks {}", lacks.join(", "))) };
    list.add(phase, "timeline-complete", "the timeline is complete", Check::Program, whole);
    let supported = i.hypotheses.iter().rev().find(|h| h.verdict == Some(super::event::Verdict::Supported));
    let how = || format!("`warroom incident hypothesis {id} SEQ supported --reason …`, or tick it");
    let cause = supported.map(|h| format!("entry {}: {}", super::ids::seq_label(h.seq), h.text));
    list.add(phase, "causes", "root cause and contributing factors", Check::Either, some(cause, how));
    let follow: Vec<_> = i.actions.iter().filter(|a| a.scope == ActionScope::FollowUp).collect();
    let bare: Vec<String> =
        follow.iter().filter(|a| a.state.is_open() && (a.owner.is_none() || a.due.is_none())).map(|a| a.id.to_string()).collect();
    let actions = if follow.is_empty() {
        Err(format!("none: `warroom action add {id} TEXT --owner … --due …`, or tick it and say why none is needed"))
    } else if bare.is_empty() {
        Ok(format!("{} written down", follow.len()))
    } else {
        Err(format!("without owner or due date: {}", bare.join(", ")))
    };
    list.add(phase, "actions", "action items with owner and due date", Check::Either, actions);
    list.hand(phase, "docs-updated", "runbook and documentation updated");
    let grade = i.grade.as_ref().map(|g| format!("{}, reached by {}", g.grade.title(), g.found_by.title()));
    let how = || format!("`warroom incident grade {id} bullseye|one-hop-short|right-area|wrong --found-by …`, or tick it");
    list.add(phase, "diagnosis-graded", "the diagnosis graded", Check::Either, some(grade, how));
    if i.matrix().row(i.peak_severity()).is_some_and(|r| r.postmortem.is_some()) {
        list.hand(phase, "review-held", "the review was held");
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{declared, entries};
    use super::*;
    use crate::incident::{Fact, LinkedAlert, NoteKind, Severity};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(1_795_253_400 + 60 * minute)
    }

    fn alert() -> LinkedAlert {
        LinkedAlert { starts_at: Some(at(-2)), pending_since: Some(at(-3)), verified: true, ..LinkedAlert::unverified("f1") }
    }

    fn status(from: Status, to: Status) -> Fact {
        Fact::StatusChanged { from, to, override_reason: None, open: Vec::new(), reason: None }
    }

    fn met(facts: Vec<Fact>, now: i64, item: &str) -> bool {
        let incident = Incident::fold(entries(facts)).unwrap();
        gates(&incident, at(now), MONITOR).into_iter().find(|g| g.item == item).unwrap_or_else(|| panic!("{item}")).met
    }

    #[test]
    fn what_the_program_can_see_it_checks_itself() {
        assert!(!met(vec![declared()], 0, "alerts-linked"));
        assert!(met(vec![declared(), Fact::AlertLinked { alert: alert() }], 0, "alerts-linked"));
        assert!(!met(vec![declared()], 0, "severity"), "a severity without its reason");
        let why = Fact::SeverityChanged { from: Severity::Sev3, to: Severity::Sev2, reason: "orders fail".into() };
        assert!(met(vec![declared(), why], 0, "severity"));
        let tick = |item: &str| Fact::GateTicked { item: item.into(), met: true, text: "told in #ops".into() };
        assert!(met(vec![declared(), tick("stakeholders-told")], 0, "stakeholders-told"));
        assert!(!met(vec![declared(), tick("commander")], 0, "commander"), "no tick stands for a commander");
    }

    #[test]
    fn an_effect_needs_alerts_that_end_after_the_mitigation() {
        let fix = Fact::Note { text: "pool raised".into(), note_kind: NoteKind::Mitigation };
        let ended = Fact::AlertResolved { fingerprint: "f1".into(), name: "A".into() };
        let linked = Fact::AlertLinked { alert: alert() };
        assert!(!met(vec![declared(), linked.clone(), fix.clone()], 9, "effect-seen"));
        assert!(met(vec![declared(), linked.clone(), fix.clone(), ended.clone()], 9, "effect-seen"));
        assert!(!met(vec![declared(), linked, ended, fix], 9, "effect-seen"), "it ended before");
    }

    #[test]
    fn an_effect_is_a_change_and_an_unknown_alert_is_no_recovery() {
        let reading = |met, from: i64| Fact::ExitRead {
            reading: crate::incident::ExitReading {
                met,
                window: crate::telemetry::Window::new(at(from), at(from + 1)),
                worst: None,
                last: None,
                samples: 9,
                held_secs: 0.0,
                why: "x".into(),
                source: "prom".into(),
                evidence: None,
            },
            criteria: None,
        };
        let fix = Fact::Note { text: "pool raised".into(), note_kind: NoteKind::Mitigation };
        assert!(!met(vec![declared(), fix.clone(), reading(true, -30)], 9, "effect-seen"), "looked at before the mitigation");
        assert!(met(vec![declared(), fix.clone(), reading(true, 1)], 9, "effect-seen"));
        assert!(met(vec![declared(), reading(false, -30), fix, reading(true, -30)], 9, "effect-seen"), "it was bad before");
        let over = Fact::AlertResolved { fingerprint: "f1".into(), name: "A".into() };
        let unknown = Fact::AlertLinked { alert: LinkedAlert::unverified("f2") };
        assert!(met(vec![declared(), Fact::AlertLinked { alert: alert() }, over.clone()], 9, "restored"));
        assert!(!met(vec![declared(), Fact::AlertLinked { alert: alert() }, over, unknown], 9, "restored"));
    }

    #[test]
    fn it_is_watched_for_the_agreed_time_and_from_anew_when_an_alert_fires_again() {
        let facts = |more: Vec<Fact>| {
            let mut facts = vec![
                declared(),
                Fact::AlertLinked { alert: alert() },
                Fact::AlertResolved { fingerprint: "f1".into(), name: "A".into() },
                status(Status::Investigating, Status::Monitoring),
            ];
            facts.extend(more);
            facts
        };
        assert!(!met(facts(vec![]), 17, "monitored"));
        assert!(met(facts(vec![]), 18, "monitored"));
        let again = Fact::AlertFired { fingerprint: "f1".into(), name: "A".into() };
        assert!(!met(facts(vec![again.clone()]), 60, "monitored"), "it fires");
        assert!(!met(facts(vec![again.clone()]), 60, "restored"));
        let over = Fact::AlertResolved { fingerprint: "f1".into(), name: "A".into() };
        assert!(!met(facts(vec![again.clone(), over.clone()]), 19, "monitored"));
        assert!(met(facts(vec![again, over]), 21, "monitored"));
    }

    fn exit(threshold: f64) -> crate::incident::ExitCriteria {
        crate::incident::ExitCriteria {
            expression: "error_rate".into(),
            comparison: crate::incident::Comparison::Below,
            threshold,
            for_secs: 120,
            source: None,
        }
    }

    fn read(met: bool, end: i64, held_secs: f64, criteria: Option<crate::incident::ExitCriteria>) -> Fact {
        Fact::ExitRead {
            reading: crate::incident::ExitReading {
                met,
                window: crate::telemetry::Window::new(at(end - 2), at(end)),
                worst: None,
                last: None,
                samples: 9,
                held_secs,
                why: "x".into(),
                source: "prom".into(),
                evidence: None,
            },
            criteria,
        }
    }

    #[test]
    fn a_reading_counts_for_the_criteria_it_was_taken_for() {
        let set = |threshold| Fact::ExitCriteriaSet { criteria: exit(threshold) };
        let facts = vec![declared(), set(0.01), set(0.9), read(true, 3, 120.0, Some(exit(0.9)))];
        assert!(met(facts.clone(), 9, "exit-criteria"));
        let back = Fact::Undone { seq: 3, text: "x".into() };
        assert!(!met(facts.into_iter().chain([back]).collect(), 9, "exit-criteria"), "0.9 says nothing of 0.01");
    }

    #[test]
    fn nobody_watched_is_not_well_and_the_clock_runs_while_the_criteria_hold() {
        let bare = vec![declared(), status(Status::Investigating, Status::Mitigated)];
        assert!(!met(bare.clone(), 500, "monitored"), "nothing is watched");
        let tick = Fact::GateTicked { item: "monitored".into(), met: true, text: "watched the dashboard".into() };
        assert!(met(bare.iter().cloned().chain([tick]).collect(), 500, "monitored"));
        let facts = |more: Vec<Fact>| {
            let mut all = vec![declared(), Fact::ExitCriteriaSet { criteria: exit(0.01) }];
            all.push(status(Status::Investigating, Status::Mitigated));
            all.extend(more);
            all
        };
        assert!(!met(facts(vec![read(false, 4, 0.0, None)]), 60, "monitored"), "it does not hold");
        let held = vec![read(false, 4, 0.0, None), read(true, 30, 120.0, None), read(true, 40, 120.0, None)];
        assert!(!met(facts(held.clone()), 42, "monitored"), "since minute 28");
        assert!(met(facts(held), 43, "monitored"));
        let set =
            Fact::TimeSet { milestone: crate::incident::Milestone::Mitigated, to: at(1), reason: "x".into(), exception: None };
        for item in ["contained", "monitored"] {
            assert!(!met(vec![declared(), set.clone()], 500, item), "{item}: it is investigating");
        }
    }

    #[test]
    fn a_reopened_incident_proves_everything_anew() {
        let tick = |item: &str| Fact::GateTicked { item: item.into(), met: true, text: "all green".into() };
        let mut facts = vec![
            declared(),
            Fact::AlertLinked { alert: alert() },
            Fact::Note { text: "pool raised".into(), note_kind: NoteKind::Mitigation },
            Fact::AlertResolved { fingerprint: "f1".into(), name: "A".into() },
            Fact::ExitCriteriaSet { criteria: exit(0.01) },
            read(true, 6, 120.0, Some(exit(0.01))),
            tick("health-checks"),
            tick("stakeholders-told"),
            status(Status::Investigating, Status::Resolved),
        ];
        let items = ["mitigation-recorded", "effect-seen", "restored", "exit-criteria", "health-checks"];
        for item in items {
            assert!(met(facts.clone(), 20, item), "{item}");
        }
        facts.push(Fact::Reopened { reason: "it is back".into() });
        for item in items {
            assert!(!met(facts.clone(), 30, item), "{item}");
        }
        assert!(met(facts.clone(), 30, "stakeholders-told"));
        facts.push(Fact::AlertFired { fingerprint: "f1".into(), name: "A".into() });
        facts.push(Fact::AlertResolved { fingerprint: "f1".into(), name: "A".into() });
        assert!(met(facts, 30, "restored"), "seen in this round");
    }

    #[test]
    fn resolving_asks_up_to_recovery_and_closing_for_the_rest() {
        let incident = Incident::fold(entries(vec![declared()])).unwrap();
        let all = gates(&incident, at(0), MONITOR);
        let phases = |to| open_for(&all, to).iter().map(|g| g.phase).collect::<std::collections::BTreeSet<_>>();
        assert!(!phases(Status::Resolved).contains(&Phase::PostIncident) && phases(Status::Resolved).contains(&Phase::Recovery));
        assert_eq!(phases(Status::Closed).into_iter().collect::<Vec<_>>(), [Phase::PostIncident]);
        assert!(phases(Status::Mitigated).is_empty());
    }
}
