//! The checklist of each phase: what must be done before an incident leaves the phase.
//!
//! The program checks what it can from the facts; a person ticks the remaining items with a note. The checklist never blocks:
//! `resolve` and `close` can override open items with a reason, and both the items and the reason go to the timeline.

use std::time::Duration;

use serde::Serialize;

use super::action::ActionScope;
use super::mitigation::{CardState, MitigationCard, MitigationVerdict, card_label};
use super::playbook_run::{StepRecord, StepState};
use super::role::Role;
use super::state::Incident;
use super::status::{Phase, Status};
use crate::telemetry::Timestamp;
use crate::telemetry::time::human_duration;

/// How long a service must stay healthy before it counts as restored: 15 minutes, unless configured otherwise.
pub const DEFAULT_MONITOR_TIME: Duration = Duration::from_mins(15);

/// Every item with its label to display.
const LABELS: [(&str, &str); 25] = [
    ("alerts-linked", "Alerts linked, or a report instead"),
    ("start-time", "Start of the impact"),
    ("reporter", "Reporter"),
    ("severity", "Severity, with a reason"),
    ("impact", "Impact and scope"),
    ("commander", "Incident commander"),
    ("roles", "Roles required by the severity"),
    ("stakeholders-told", "Stakeholders informed"),
    ("contained", "Affected systems isolated or mitigated"),
    ("mitigation-recorded", "Mitigation recorded"),
    ("effect-seen", "Mitigation effect confirmed by a metric"),
    ("playbooks", "No failed or interrupted playbook step"),
    ("restored", "Service restored"),
    ("exit-criteria", "Exit criteria met"),
    ("verified", "Playbook checks passing"),
    ("health-checks", "Health checks passing"),
    ("monitored", "Monitored for the agreed time"),
    ("rollback-plan", "Rollback plan known"),
    ("timeline-complete", "Timeline complete"),
    ("causes", "Root cause and contributing factors"),
    ("actions", "Action items with owner and due date"),
    ("docs-updated", "Runbook and documentation updated"),
    ("diagnosis-graded", "Diagnosis graded"),
    ("review-held", "Post-mortem review held"),
    // Not on the list: recorded when an incident is ended while some alerts could not be checked.
    ("not-checked", "Alert status not checked"),
];

/// The label of an item; an unknown name is returned as it is.
pub fn item_label(item: &str) -> &str {
    LABELS.iter().find(|(name, _)| *name == item).map_or(item, |(_, label)| label)
}

/// The items whose ticks are cleared when the incident recurs, because they must be checked again.
pub(super) const RESET_ON_RECURRENCE: [&str; 9] = [
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

/// How an item is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// By the program, from the facts. It cannot be ticked by hand.
    #[serde(rename = "program")]
    Automatic,
    /// By a person, because the program has no data about it.
    #[serde(rename = "hand")]
    Manual,
    /// By the program if it has the data, otherwise by a person.
    Either,
}

/// One item of the checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateItem {
    pub phase: Phase,
    /// The name to tick it by: `stakeholders-told`.
    pub item: &'static str,
    /// The label to display.
    #[serde(rename = "words")]
    pub label: &'static str,
    pub check: Check,
    pub met: bool,
    /// For a met item, the evidence, or who ticked it with which note. For an open item, why it is open and what to do.
    pub detail: String,
}

/// The result of checking an item: `Ok` with the evidence if it is met, `Err` with what to do if it is open.
type CheckResult = Result<String, String>;

/// The checklist while it is being built.
struct Checklist<'a> {
    incident: &'a Incident,
    items: Vec<GateItem>,
}

impl Checklist<'_> {
    fn add(&mut self, phase: Phase, item: &'static str, check: Check, result: CheckResult) {
        let (met, detail) = match (result, check, self.incident.ticks.get(item)) {
            (Ok(detail), _, _) => (true, detail),
            (Err(detail), Check::Automatic, _) | (Err(detail), _, None) => (false, detail),
            (Err(_), _, Some(tick)) => (tick.met, format!("{}: {}", tick.by, tick.text)),
        };
        self.items.push(GateItem { phase, item, label: item_label(item), check, met, detail });
    }

    fn add_manual(&mut self, phase: Phase, item: &'static str) {
        let how = format!("Run `warroom incident gate {} {item} --met TEXT` to tick it", self.incident.id());
        self.add(phase, item, Check::Manual, Err(how));
    }
}

/// The checklist of all phases, in order, as of `now`. `monitor` is how long the service must stay healthy.
pub fn gates(incident: &Incident, now: Timestamp, monitor: Duration) -> Vec<GateItem> {
    let mut list = Checklist { incident, items: Vec::new() };
    detection(&mut list);
    assessment(&mut list);
    containment(&mut list);
    recovery(&mut list, now, monitor);
    post_incident(&mut list);
    list.items
}

/// The open items that must be met before an incident can get the status `to`. `resolved` requires the phases from detection to
/// recovery, `closed` requires post-incident, and other statuses require nothing.
pub fn open_items_for(items: &[GateItem], to: Status) -> Vec<&GateItem> {
    let is_required = |phase: Phase| match to {
        Status::Resolved => phase < Phase::PostIncident,
        Status::Closed => phase == Phase::PostIncident,
        _ => false,
    };
    items.iter().filter(|g| !g.met && is_required(g.phase)).collect()
}

fn met_if_some(evidence: Option<String>, how: impl FnOnce() -> String) -> CheckResult {
    evidence.ok_or_else(how)
}

fn detection(list: &mut Checklist<'_>) {
    let (i, phase) = (list.incident, Phase::Detection);
    let id = i.id();
    let alerts = match i.alerts.len() {
        0 => Err(format!("Run `warroom incident link {id} FINGERPRINT` to link an alert, or tick this and say who reported it")),
        n => Ok(format!("{} linked", crate::telemetry::words::count(n, "alert"))),
    };
    list.add(phase, "alerts-linked", Check::Either, alerts);
    let start = if i.assumed_milestones().contains(&"impact_started_at") {
        Err(format!("No alert gives the start time. Run `warroom incident time {id} impact_started TIME --reason …` to set it"))
    } else {
        Ok(format!("{} UTC", i.impact_started_at().date_clock()))
    };
    list.add(phase, "start-time", Check::Automatic, start);
    let reporter = i.roles.get(&Role::Reporter).cloned().or_else(|| i.entries.first().map(|e| e.actor.name.clone()));
    list.add(phase, "reporter", Check::Automatic, met_if_some(reporter, String::new));
}

fn assessment(list: &mut Checklist<'_>) {
    let (i, phase) = (list.incident, Phase::Assessment);
    let id = i.id();
    let severity = i.severities.iter().rev().find_map(|s| s.reason.as_ref().map(|r| format!("{}: {r}", i.head.severity)));
    let how = || format!("Run `warroom incident severity {id} {} --reason …` to give the reason", i.head.severity);
    list.add(phase, "severity", Check::Automatic, met_if_some(severity, how));
    let impact = i.impact.is_described().then(|| i.impact.describe());
    let how = || format!("Run `warroom incident impact {id} --users … --text …` to describe it");
    list.add(phase, "impact", Check::Automatic, met_if_some(impact, how));
    let how = || format!("Run `warroom incident role {id} commander NAME` to assign one");
    list.add(phase, "commander", Check::Automatic, met_if_some(i.head.commander.clone(), how));
    let missing: Vec<&str> = i.missing_roles().into_iter().filter(|r| *r != Role::Commander).map(Role::word).collect();
    if !i.matrix().roles(i.head.severity).is_empty() {
        let roles =
            if missing.is_empty() { Ok("All assigned".to_owned()) } else { Err(format!("Not assigned: {}", missing.join(", "))) };
        list.add(phase, "roles", Check::Automatic, roles);
    }
    let update = i.updates.first().map(|u| format!("{} update at {} UTC", u.audience.title(), u.at.date_clock()));
    let how = || format!("Run `warroom incident update {id} TEXT` after informing them, or tick this");
    list.add(phase, "stakeholders-told", Check::Either, met_if_some(update, how));
}

fn containment(list: &mut Checklist<'_>) {
    let (i, phase) = (list.incident, Phase::Containment);
    let id = i.id();
    // A mitigation time set by hand is not enough: during triage and investigation the incident is not contained.
    let at = i.mitigated_at.filter(|_| !i.mitigated_assumed && may_be_contained(i.head.status));
    let contained = at.map(|at| format!("Since {} UTC", at.date_clock()));
    let how = || format!("Run `warroom incident status {id} mitigated` when the impact is contained");
    list.add(phase, "contained", Check::Automatic, met_if_some(contained, how));
    let first = first_mitigation(i);
    let recorded = first.map(|(seq, at)| format!("entry {} at {} UTC", super::ids::seq_label(*seq), at.date_clock()));
    let how = || format!("Run `warroom mitigation add {id} TEXT …` to propose one, and record when it is done");
    list.add(phase, "mitigation-recorded", Check::Automatic, met_if_some(recorded, how));
    // A verdict from readings is not overruled by a tick.
    let (check, effect) = match card_effect(i) {
        Some(effect) => (Check::Automatic, effect),
        None => (Check::Either, mitigation_effect(i)),
    };
    list.add(phase, "effect-seen", check, effect);
    playbook_steps(list);
}

/// What the verdicts of the mitigation cards say, the latest first. `None` if no card that was done can be checked.
fn card_effect(i: &Incident) -> Option<CheckResult> {
    let is_checkable =
        |c: &MitigationCard| c.state == CardState::Done && c.verify.is_some() && c.done_at.is_some_and(|at| is_current(i, at));
    let mut cards: Vec<_> = i.cards.iter().enumerate().filter(|(_, c)| is_checkable(c)).collect();
    cards.sort_by_key(|(_, c)| std::cmp::Reverse(c.done_at));
    let say = |index: usize, c: &MitigationCard| match &c.judgement {
        Some((_, j)) => format!("{} ({}) {}: {}", card_label(index), c.text, j.verdict, j.why),
        None => format!("{} ({}) was not read yet. Run `warroom mitigation check {}`", card_label(index), c.text, i.id()),
    };
    // The latest that had an effect decides: what worked first may have been undone by what made it worse.
    let has_effect = |c: &MitigationCard| matches!(c.verdict(), Some(MitigationVerdict::Worked | MitigationVerdict::Worse));
    if let Some((index, card)) = cards.iter().find(|(_, c)| has_effect(c)) {
        let words = say(*index, card);
        return Some(if card.verdict() == Some(MitigationVerdict::Worked) { Ok(words) } else { Err(words) });
    }
    cards.first().map(|(index, card)| Err(say(*index, card)))
}

/// The steps of playbooks since the last recurrence: the playbook, the number of the step, and its record.
fn current_steps(i: &Incident) -> impl Iterator<Item = (&str, usize, &StepRecord)> {
    let steps =
        i.playbooks.iter().flat_map(|run| run.steps.iter().enumerate().map(|(n, step)| (run.playbook.as_str(), n + 1, step)));
    steps.filter(|(_, _, step)| step.at.is_some_and(|at| is_current(i, at)))
}

/// Whether a check of a step did not hold when it was run last.
fn is_unverified(step: &StepRecord) -> bool {
    step.state != StepState::Skipped && step.blocks.iter().any(|b| b.verified == Some(false))
}

/// The first step of a playbook that failed, has no result, or whose check does not hold, with its number.
pub fn open_step(i: &Incident) -> Option<(String, usize)> {
    let is_open = |step: &StepRecord| matches!(step.state, StepState::Failed | StepState::Started) || is_unverified(step);
    current_steps(i).find(|(_, _, step)| is_open(step)).map(|(playbook, number, _)| (playbook.to_owned(), number))
}

/// Failed and interrupted steps of playbooks, if any were begun.
fn playbook_steps(list: &mut Checklist<'_>) {
    let i = list.incident;
    if i.playbooks.is_empty() {
        return;
    }
    let say = |(playbook, number, step): (&str, usize, &StepRecord)| {
        let word = match step.state {
            // A check that does not hold is an item of its own.
            StepState::Failed if !is_unverified(step) => "failed",
            StepState::Started => "has no result",
            _ => return None,
        };
        Some(format!("{playbook} step {number} ({}) {word}", step.title))
    };
    let open: Vec<String> = current_steps(i).filter_map(say).collect();
    let result = if open.is_empty() {
        let names: Vec<&str> = i.playbooks.iter().map(|p| p.playbook.as_str()).collect();
        Ok(format!("No step of {} failed", names.join(", ")))
    } else {
        Err(format!("{}. Run the step again, or skip it with a reason", open.join("; ")))
    };
    list.add(Phase::Containment, "playbooks", Check::Automatic, result);
}

/// Whether what playbooks check holds, if they have checked anything.
fn verified_steps(list: &mut Checklist<'_>) {
    let i = list.incident;
    let checked: Vec<(&str, usize, &StepRecord)> = current_steps(i)
        .filter(|(_, _, s)| s.state != StepState::Skipped && s.blocks.iter().any(|b| b.verified.is_some()))
        .collect();
    if checked.is_empty() {
        return;
    }
    let open: Vec<String> = checked
        .iter()
        .filter(|(_, _, step)| is_unverified(step))
        .map(|(playbook, number, step)| format!("{playbook} step {number} ({})", step.title))
        .collect();
    let result = if open.is_empty() {
        Ok(format!("{} verified", crate::telemetry::words::count(checked.len(), "step")))
    } else {
        Err(format!("Not verified: {}. Run the step again, or skip it with a reason", open.join("; ")))
    };
    list.add(Phase::Recovery, "verified", Check::Automatic, result);
}

/// Whether an incident with this status may be contained: any status except triage and investigating.
fn may_be_contained(status: Status) -> bool {
    !matches!(status, Status::Triage | Status::Investigating)
}

/// Whether `at` is after the last recurrence of the incident, so that it counts for the checklist.
fn is_current(i: &Incident, at: Timestamp) -> bool {
    i.recurred_at.is_none_or(|recurred| at >= recurred)
}

/// The first mitigation since the last recurrence.
fn first_mitigation(i: &Incident) -> Option<&(u64, Timestamp)> {
    i.mitigations.iter().find(|(_, at)| is_current(i, *at))
}

/// The exit readings since the last recurrence.
fn current_readings(i: &Incident) -> impl DoubleEndedIterator<Item = &super::state::RecordedReading> {
    i.readings.iter().filter(|r| is_current(i, r.at))
}

/// Checks that the first mitigation had an effect: afterwards an exit reading was met, or all linked alerts resolved.
fn mitigation_effect(i: &Incident) -> CheckResult {
    let Some((_, done)) = first_mitigation(i) else { return Err("No mitigation recorded yet".to_owned()) };
    // Only a change counts: either the criteria were not met before, or the whole window is after the mitigation.
    let was_unmet = current_readings(i).any(|r| !r.reading.met && r.at <= *done);
    if let Some(r) =
        current_readings(i).find(|r| r.reading.met && r.at >= *done && (was_unmet || r.reading.window.start >= *done))
    {
        return Ok(format!("Exit criteria: {}", r.reading.why));
    }
    let ended = i.watched.values().filter(|w| !w.is_firing && w.since >= *done).count();
    if ended > 0 && ended == i.watched.len() {
        return Ok(format!("{ended} of {} resolved after the mitigation", crate::telemetry::words::count(ended, "alert")));
    }
    Err(match i.watched.len() {
        0 => "Set exit criteria, or tick this and give the metric and its values".to_owned(),
        all => format!("{ended} of {} resolved after the mitigation", crate::telemetry::words::count(all, "alert")),
    })
}

fn recovery(list: &mut Checklist<'_>, now: Timestamp, monitor: Duration) {
    let (i, phase) = (list.incident, Phase::Recovery);
    let id = i.id();
    let firing: Vec<String> = i
        .alerts
        .iter()
        .filter(|a| i.watched.get(&a.fingerprint).is_some_and(|w| w.is_firing))
        .map(super::fact::LinkedAlert::label)
        .collect();
    let unknown: Vec<String> = i.alerts.iter().filter(|a| !a.verified).map(super::fact::LinkedAlert::label).collect();
    let is_stale = !i.watched.values().any(|w| is_current(i, w.since));
    let restored = match (i.watched.is_empty(), firing.is_empty()) {
        (false, true) if !unknown.is_empty() => {
            Err(format!("No source reports {}. Unlink it, or tick this and say how you know", unknown.join(", ")))
        }
        (true, _) => Err("No linked alert has been reported by a source. Tick this and say how you know".to_owned()),
        (false, true) if is_stale => {
            Err("No linked alert has changed since the incident recurred. Tick this and say how you know".to_owned())
        }
        (false, true) => Ok("No linked alert is firing".to_owned()),
        (false, false) => Err(format!("Still firing at the last check: {}", firing.join(", "))),
    };
    // If the alerts are known, they decide and a tick by hand does not count.
    let alerts_unknown = i.watched.is_empty() || firing.is_empty() && (!unknown.is_empty() || is_stale);
    let check = if alerts_unknown { Check::Either } else { Check::Automatic };
    list.add(phase, "restored", check, restored);
    if let Some(exit) = &i.exit {
        let result = match current_readings(i).next_back() {
            Some(r) if r.reading.met => Ok(r.reading.why.clone()),
            Some(r) => Err(format!("{}: {}", exit.describe(), r.reading.why)),
            None => Err(format!("{}: not checked yet. Run `warroom incident check {id}`", exit.describe())),
        };
        list.add(phase, "exit-criteria", Check::Automatic, result);
    }
    verified_steps(list);
    list.add_manual(phase, "health-checks");
    let monitored = healthy_since(i).and_then(|since| match now.since(since) {
        healthy if healthy >= monitor => Ok(format!("Healthy for {}", human_duration(healthy))),
        healthy => Err(format!("Healthy for {} of {}", human_duration(healthy), human_duration(monitor))),
    });
    // Without alerts and exit criteria the program cannot check this, so a person must.
    let check = if i.watched.is_empty() && i.exit.is_none() { Check::Either } else { Check::Automatic };
    list.add(phase, "monitored", check, monitored);
    list.add_manual(phase, "rollback-plan");
}

/// Since when the service has been healthy: the latest of the start of monitoring (or the mitigation), the last change of a
/// linked alert, and the start of the period in which the exit criteria have held. The error says why it is not healthy.
fn healthy_since(i: &Incident) -> Result<Timestamp, String> {
    let start = i.monitoring_at.or(i.mitigated_at).filter(|_| may_be_contained(i.head.status));
    let Some(mut since) = start else { return Err("Not mitigated yet".to_owned()) };
    if i.watched.is_empty() && i.exit.is_none() {
        return Err("No alerts and no exit criteria to monitor. Tick this and say how you know".to_owned());
    }
    if i.watched.values().any(|w| w.is_firing) {
        return Err("An alert is still firing".to_owned());
    }
    since = i.watched.values().map(|w| w.since).fold(since, Timestamp::max);
    if i.exit.is_some() {
        let oldest_met = current_readings(i).rev().take_while(|r| r.reading.met).last();
        let Some(first) = oldest_met else { return Err("Exit criteria not met".to_owned()) };
        let held = Duration::try_from_secs_f64(first.reading.held_secs).unwrap_or_default();
        since = since.max(first.reading.window.end - held);
    }
    Ok(since)
}

fn post_incident(list: &mut Checklist<'_>) {
    use super::milestone::Milestone as M;
    let (i, phase) = (list.incident, Phase::PostIncident);
    let id = i.id();
    let mut missing: Vec<String> = [M::Acknowledged, M::Mitigated, M::Resolved]
        .into_iter()
        .filter(|m| i.milestone(*m).is_none())
        .map(|m| format!("{m} time"))
        .collect();
    missing.extend(i.assumed_milestones().into_iter().map(|m| m.trim_end_matches("_at").replace('_', " ")));
    missing.extend(i.order_faults().into_iter().filter(|f| f.exception.is_none()).map(|f| f.message));
    let complete = if missing.is_empty() {
        Ok("All milestones known and in order".to_owned())
    } else {
        Err(format!("Missing or wrong: {}", missing.join(", ")))
    };
    list.add(phase, "timeline-complete", Check::Automatic, complete);
    let supported = i.hypotheses.iter().rev().find(|h| h.verdict == Some(super::event::Verdict::Supported));
    let how = || format!("Run `warroom incident hypothesis {id} SEQ supported --reason …`, or tick this");
    let cause = supported.map(|h| format!("entry {}: {}", super::ids::seq_label(h.seq), h.text));
    list.add(phase, "causes", Check::Either, met_if_some(cause, how));
    let follow_ups: Vec<_> = i.actions.iter().filter(|a| a.scope == ActionScope::FollowUp).collect();
    let incomplete: Vec<String> = follow_ups
        .iter()
        .filter(|a| a.state.is_open() && (a.owner.is_none() || a.due.is_none()))
        .map(|a| a.id.to_string())
        .collect();
    let actions = if follow_ups.is_empty() {
        Err(format!("None yet. Run `warroom action add {id} TEXT --owner … --due …`, or tick this and say why none is needed"))
    } else if incomplete.is_empty() {
        Ok(crate::telemetry::words::count(follow_ups.len(), "action item"))
    } else {
        Err(format!("Without owner or due date: {}", incomplete.join(", ")))
    };
    list.add(phase, "actions", Check::Either, actions);
    list.add_manual(phase, "docs-updated");
    let grade = i.grade.as_ref().map(|g| format!("{}, found by {}", g.grade.title(), g.found_by.title()));
    let how = || format!("Run `warroom incident grade {id} bullseye|one-hop-short|right-area|wrong --found-by …`, or tick this");
    list.add(phase, "diagnosis-graded", Check::Either, met_if_some(grade, how));
    if i.matrix().row(i.peak_severity()).is_some_and(|r| r.postmortem.is_some()) {
        list.add_manual(phase, "review-held");
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

    #[test]
    fn people_read_the_labels_of_items() {
        let incident = Incident::fold(entries(vec![declared()])).unwrap();
        for g in gates(&incident, at(0), DEFAULT_MONITOR_TIME) {
            assert_ne!(g.label, g.item, "{} has no label", g.item);
        }
        let ticked = Fact::GateTicked { item: "effect-seen".into(), met: true, text: "graph of errors".into() };
        assert_eq!(ticked.sentence(), "Checklist item \"Mitigation effect confirmed by a metric\" met: graph of errors");
        let open = vec!["severity".into(), "of-another-version".into()];
        let reason = Some("a drill".to_owned());
        let forced =
            Fact::StatusChanged { from: Status::Triage, to: Status::Resolved, override_reason: reason, open, reason: None };
        let said = forced.sentence();
        assert!(
            said.contains("(2 open checklist items overridden: Severity, with a reason; of-another-version; reason: a drill)"),
            "{said}"
        );
    }

    fn met(facts: Vec<Fact>, now: i64, item: &str) -> bool {
        let incident = Incident::fold(entries(facts)).unwrap();
        gates(&incident, at(now), DEFAULT_MONITOR_TIME)
            .into_iter()
            .find(|g| g.item == item)
            .unwrap_or_else(|| panic!("{item}"))
            .met
    }

    #[test]
    fn checks_items_from_facts() {
        assert!(!met(vec![declared()], 0, "alerts-linked"));
        assert!(met(vec![declared(), Fact::AlertLinked { alert: alert() }], 0, "alerts-linked"));
        assert!(!met(vec![declared()], 0, "severity"), "a severity without a reason");
        let why = Fact::SeverityChanged { from: Severity::Sev3, to: Severity::Sev2, reason: "orders fail".into() };
        assert!(met(vec![declared(), why], 0, "severity"));
        let tick = |item: &str| Fact::GateTicked { item: item.into(), met: true, text: "posted in #ops".into() };
        assert!(met(vec![declared(), tick("stakeholders-told")], 0, "stakeholders-told"));
        assert!(!met(vec![declared(), tick("commander")], 0, "commander"), "a tick does not replace a commander");
    }

    #[test]
    fn effect_needs_alerts_that_resolve_after_the_mitigation() {
        let fix = Fact::Note { text: "pool raised".into(), note_kind: NoteKind::Mitigation };
        let ended = Fact::AlertResolved { fingerprint: "f1".into(), name: "A".into() };
        let linked = Fact::AlertLinked { alert: alert() };
        assert!(!met(vec![declared(), linked.clone(), fix.clone()], 9, "effect-seen"));
        assert!(met(vec![declared(), linked.clone(), fix.clone(), ended.clone()], 9, "effect-seen"));
        assert!(!met(vec![declared(), linked, ended, fix], 9, "effect-seen"), "it resolved before");
    }

    #[test]
    fn effect_is_a_change_and_an_unknown_alert_is_not_a_recovery() {
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
        assert!(!met(vec![declared(), fix.clone(), reading(true, -30)], 9, "effect-seen"), "the window is before the mitigation");
        assert!(met(vec![declared(), fix.clone(), reading(true, 1)], 9, "effect-seen"));
        assert!(met(vec![declared(), reading(false, -30), fix, reading(true, -30)], 9, "effect-seen"), "it was not met before");
        let over = Fact::AlertResolved { fingerprint: "f1".into(), name: "A".into() };
        let unknown = Fact::AlertLinked { alert: LinkedAlert::unverified("f2") };
        assert!(met(vec![declared(), Fact::AlertLinked { alert: alert() }, over.clone()], 9, "restored"));
        assert!(!met(vec![declared(), Fact::AlertLinked { alert: alert() }, over, unknown], 9, "restored"));
    }

    #[test]
    fn monitoring_time_restarts_when_an_alert_fires_again() {
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
        assert!(!met(facts(vec![again.clone()]), 60, "monitored"), "it is firing");
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
    fn reading_counts_only_for_its_own_criteria() {
        let set = |threshold| Fact::ExitCriteriaSet { criteria: exit(threshold) };
        let facts = vec![declared(), set(0.01), set(0.9), read(true, 3, 120.0, Some(exit(0.9)))];
        assert!(met(facts.clone(), 9, "exit-criteria"));
        let undo = Fact::Undone { seq: 3, text: "x".into(), is_redo: false };
        assert!(!met(facts.into_iter().chain([undo]).collect(), 9, "exit-criteria"), "a reading for 0.9 does not count for 0.01");
    }

    #[test]
    fn unmonitored_is_not_healthy_and_time_counts_while_the_criteria_hold() {
        let bare = vec![declared(), status(Status::Investigating, Status::Mitigated)];
        assert!(!met(bare.clone(), 500, "monitored"), "nothing is monitored");
        let tick = Fact::GateTicked { item: "monitored".into(), met: true, text: "watched the dashboard".into() };
        assert!(met(bare.iter().cloned().chain([tick]).collect(), 500, "monitored"));
        let facts = |more: Vec<Fact>| {
            let mut all = vec![declared(), Fact::ExitCriteriaSet { criteria: exit(0.01) }];
            all.push(status(Status::Investigating, Status::Mitigated));
            all.extend(more);
            all
        };
        assert!(!met(facts(vec![read(false, 4, 0.0, None)]), 60, "monitored"), "not met");
        let held = vec![read(false, 4, 0.0, None), read(true, 30, 120.0, None), read(true, 40, 120.0, None)];
        assert!(!met(facts(held.clone()), 42, "monitored"), "since minute 28");
        assert!(met(facts(held), 43, "monitored"));
        let set =
            Fact::TimeSet { milestone: crate::incident::Milestone::Mitigated, to: at(1), reason: "x".into(), exception: None };
        for item in ["contained", "monitored"] {
            assert!(!met(vec![declared(), set.clone()], 500, item), "{item}: still investigating");
        }
    }

    #[test]
    fn reopened_incident_must_be_checked_again() {
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
        assert!(met(facts, 30, "restored"), "resolved since the recurrence");
    }

    #[test]
    fn resolving_requires_up_to_recovery_and_closing_requires_the_rest() {
        let incident = Incident::fold(entries(vec![declared()])).unwrap();
        let all = gates(&incident, at(0), DEFAULT_MONITOR_TIME);
        let phases = |to| open_items_for(&all, to).iter().map(|g| g.phase).collect::<std::collections::BTreeSet<_>>();
        assert!(!phases(Status::Resolved).contains(&Phase::PostIncident) && phases(Status::Resolved).contains(&Phase::Recovery));
        assert_eq!(phases(Status::Closed).into_iter().collect::<Vec<_>>(), [Phase::PostIncident]);
        assert!(phases(Status::Mitigated).is_empty());
    }
}
