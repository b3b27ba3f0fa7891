//! Actions that ask which: each opens a list whose rows say what follows.

use super::super::action::Action;
use super::super::edit::LineEdit;
use super::super::model::{Model, Tone};
use super::super::msg::Effect;
use super::super::overlay::{ConfirmDialog, LineDialog, ListDialog, Next, Overlay, Row};
use super::common::{ask, choose, command_line, current, run, say, say_key, selected_entry, show, tagged};
use crate::incident::command::NewAction;
use crate::incident::gate::{gates, open_items_for};
use crate::incident::{
    ActionId, ActionKind, Audience, Command, EscalationLevel, EventKind, Fact, FoundBy, Grade, IncidentId, Milestone, NextUpdate,
    NoteKind, Role, Severity, Status, Verdict,
};
use crate::telemetry::words::count;

/// A row that opens a line.
fn line_row(label: impl Into<String>, detail: impl Into<String>, line: LineDialog) -> Row {
    Row::new(label, detail, Next::Line(Box::new(line)))
}

/// The incidents that are open, but one.
fn other_open_incidents(model: &Model, except: Option<IncidentId>) -> Vec<(IncidentId, String, String)> {
    let open = model.board.open_incidents().into_iter().filter(|h| Some(h.id) != except);
    open.map(|h| (h.id, format!("{} {}", h.id, h.severity), h.title.clone())).collect()
}

pub(super) fn link(model: &mut Model) -> Vec<Effect> {
    let prints: Vec<String> = model.board.chosen().iter().map(|a| a.fingerprint.clone()).collect();
    if prints.is_empty() {
        return say(model, "Select an alert first.");
    }
    let open = other_open_incidents(model, None);
    if open.is_empty() {
        return say_key(model, "No incident is open. Press {} to declare one.", Action::Declare);
    }
    let title = format!("Link {} to", count(prints.len(), "alert"));
    let row =
        |(id, label, detail)| Row::new(label, detail, Next::RunOn(id, Box::new(Command::Link { fingerprints: prints.clone() })));
    choose(model, title, open.into_iter().map(row).collect(), 0)
}

/// The severity that the last investigation proposes, and why, with its evidence.
pub(super) fn proposed_severity(model: &Model) -> Option<(Severity, String)> {
    let found = &current(model)?.investigation.as_ref()?.findings;
    found.iter().find_map(|f| f.proposed_severity().map(|(severity, why)| (severity, format!("{why} {}", tagged(&f.evidence)))))
}

pub(super) fn choose_severity(model: &mut Model) -> Vec<Effect> {
    let now = current(model).map(|i| i.head.severity);
    let proposed = proposed_severity(model);
    let row = |s: &Severity| {
        let is_proposed = proposed.as_ref().is_some_and(|(p, _)| p == s);
        let mark = match (Some(*s) == now, is_proposed) {
            (true, true) => " (now, proposed)",
            (true, false) => " (now)",
            (false, true) => " (proposed)",
            (false, false) => "",
        };
        let mut line =
            command_line(format!("{s}: why"), "A reason is required.", Command::Severity { severity: *s, reason: String::new() });
        if let Some((_, why)) = proposed.as_ref().filter(|_| is_proposed) {
            line.edit = LineEdit::proposed(why.clone());
        }
        line_row(format!("{s}{mark}"), model.matrix.meaning(*s), line)
    };
    let rows = Severity::ALL.iter().map(row).collect();
    // A proposal that differs is offered, else the present one.
    let start = proposed.as_ref().map(|(p, _)| *p).filter(|p| Some(*p) != now).or(now);
    let selected = start.map_or(0, |s| usize::from(s.number()).saturating_sub(1));
    choose(model, "Severity: if you are unsure, choose the higher one", rows, selected)
}

pub(super) fn choose_status(model: &mut Model) -> Vec<Effect> {
    let all = [
        (Status::Triage, "Not yet known to be an incident"),
        (Status::Investigating, "Looking for the cause"),
        (Status::Identified, "The cause is known"),
        (Status::Mitigated, "The impact is contained, the cause is not fixed yet"),
        (Status::Monitoring, "Fixed, and watched for a while"),
        (Status::Resolved, "The service is restored"),
        (Status::Closed, "The review is done"),
        (Status::Cancelled, "A false alarm"),
    ];
    let now = current(model).map(|i| i.head.status);
    let row = |(s, detail): (Status, &str)| {
        let mark = if Some(s) == now { " (now)" } else { "" };
        Row::new(format!("{s}{mark}"), detail, Next::Status(s))
    };
    let selected = all.iter().position(|(s, _)| Some(*s) == now).unwrap_or(0);
    choose(model, "Status", all.map(row).to_vec(), selected)
}

/// Changes the status. Where checklist items are open for it, asks why to go ahead.
pub(super) fn change_status(model: &mut Model, to: Status) -> Vec<Effect> {
    let (now, monitor) = (model.now, model.monitor);
    let Some(incident) = current(model) else { return Vec::new() };
    let (id, title) = (incident.id(), incident.head.title.clone());
    let all = gates(incident, now, monitor);
    let open: Vec<&str> = open_items_for(&all, to).iter().map(|g| g.item).collect();
    let command = |override_reason: Option<String>| Command::Status { status: to, override_reason, reason: None };
    if !open.is_empty() {
        let hint = format!("Open: {}. {} shows the checklist.", open.join(", "), model.key(Action::Checklist));
        let title = format!("{} before {to}: why go ahead", count(open.len(), "open item"));
        return ask(model, &title, &hint, command(Some(String::new())));
    }
    if to == Status::Cancelled {
        return ask(model, "Cancel: why", "What made it a false alarm.", command(None));
    }
    if to.is_open() {
        return run(model, command(None));
    }
    let lines = vec![format!("{id} {title} becomes {to}; the timeline records it as done by {}.", model.user)];
    let effect = Effect::Run { id, command: Box::new(command(None)), at: None };
    show(model, Overlay::Confirm(Box::new(ConfirmDialog { title: format!("{to}?"), lines, yes: false, effect })))
}

/// The first open item of the checklist.
pub(super) fn first_open(model: &Model) -> usize {
    current(model).and_then(|i| gates(i, model.now, model.monitor).iter().position(|g| !g.met)).unwrap_or(0)
}

pub(super) fn choose_milestone(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let hint = "In UTC, then how you know: 09:27 the first customer mail. After ! why it may be out of order.";
    let row = |m: &Milestone| {
        let at = incident.milestone(*m).map_or_else(|| "unknown".to_owned(), |t| format!("{} UTC", t.date_clock()));
        let command = Command::Time { moment: *m, time: model.now.into(), reason: String::new(), exception: None };
        line_row(m.title(), at, command_line(format!("{}: when, and how you know", m.title()), hint, command))
    };
    let rows = Milestone::ALL.iter().map(row).collect();
    choose(model, "Which time", rows, 0)
}

pub(super) fn choose_unlink(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let row = |a: &crate::incident::LinkedAlert| {
        let command = Command::Unlink { fingerprint: a.fingerprint.clone(), reason: None };
        line_row(a.label(), a.fingerprint.clone(), command_line("Unlink: why", "Why it does not belong here.", command))
    };
    let rows: Vec<Row> = incident.alerts.iter().map(row).collect();
    if rows.is_empty() {
        return say(model, "No alert is linked.");
    }
    choose(model, "Unlink which alert", rows, 0)
}

pub(super) fn choose_merge(model: &mut Model) -> Vec<Effect> {
    let Some((own, alerts)) = current(model).map(|i| (i.id(), i.alerts.len())) else { return Vec::new() };
    let open = other_open_incidents(model, Some(own));
    if open.is_empty() {
        return say(model, "No other incident is open.");
    }
    let row = |(into, label, detail): (IncidentId, String, String)| {
        let lines = vec![
            format!("{own} ends as merged; {into} takes over its {} and open action items.", count(alerts, "alert")),
            "Reopening it takes them back.".to_owned(),
        ];
        let effect = Effect::Run { id: own, command: Box::new(Command::Merge { into, reason: None }), at: None };
        let dialog = ConfirmDialog { title: format!("Merge {own} into {into}"), lines, yes: false, effect };
        Row::new(label, detail, Next::Confirm(Box::new(dialog)))
    };
    choose(model, "Merge into", open.into_iter().map(row).collect(), 0)
}

pub(super) fn choose_role(model: &mut Model) -> Vec<Effect> {
    let holders = current(model).map(|i| i.role_spans.clone()).unwrap_or_default();
    let row = |role: &Role| {
        let held: Vec<&str> =
            holders.iter().filter(|s| s.role == *role && s.until.is_none()).map(|s| s.holder.as_str()).collect();
        let detail = if held.is_empty() { role.duty().to_owned() } else { format!("{} · now {}", role.duty(), held.join(", ")) };
        let hint = if role.is_shared() {
            "One name. Several people can hold this role."
        } else {
            "One name. Replaces the present holder."
        };
        let command = Command::Assign { role: *role, holder: String::new() };
        let mut line = command_line(format!("{}: who", role.title()), hint, command);
        line.edit = LineEdit::proposed(model.user.clone());
        line_row(role.title(), detail, line)
    };
    let rows = Role::ALL.iter().map(row).collect();
    choose(model, "Assign which role", rows, 0)
}

pub(super) fn choose_renounce(model: &mut Model) -> Vec<Effect> {
    let held = current(model).map(|i| i.role_spans.iter().filter(|s| s.until.is_none()).cloned().collect::<Vec<_>>());
    let held = held.unwrap_or_default();
    if held.is_empty() {
        return say_key(model, "No one has a role. Press {} to assign one.", Action::AssignRole);
    }
    let row = |s: crate::incident::state::RoleSpan| {
        let command = Command::Renounce { role: s.role, holder: Some(s.holder.clone()) };
        Row::new(s.role.title(), s.holder, Next::Run(Box::new(command)))
    };
    choose(model, "Give up which role", held.into_iter().map(row).collect(), 0)
}

pub(super) fn choose_action_kind(model: &mut Model) -> Vec<Effect> {
    let meaning = |kind: ActionKind| match kind {
        ActionKind::Prevent => "So that it cannot happen again",
        ActionKind::Mitigate => "So that it does less harm",
        ActionKind::Detect => "So that we notice it sooner",
        ActionKind::Process => "So that we respond better",
    };
    let row = |kind: ActionKind| {
        let hint = "Begin with a verb, and say how to tell that it is done.";
        let command = Command::AddAction(NewAction::follow_up(kind, ""));
        line_row(kind.word(), meaning(kind), command_line(format!("Action item ({})", kind.word()), hint, command))
    };
    choose(model, "Action item: what for", ActionKind::ALL.map(row).to_vec(), 0)
}

pub(super) fn choose_audience(model: &mut Model) -> Vec<Effect> {
    let row = |a: &Audience| {
        let hint = "What they were told. It restarts the clock; end with `next 45m` or `next none` to set the next update.";
        let command = Command::RecordUpdate { audience: *a, text: String::new(), next: NextUpdate::Scheduled };
        line_row(a.word(), "", command_line(format!("Update sent to {}", a.word()), hint, command))
    };
    choose(model, "Who was told", Audience::ALL.iter().map(row).collect(), 0)
}

pub(super) fn choose_event(model: &mut Model) -> Vec<Effect> {
    let row = |kind: &EventKind| {
        let command = Command::Event { kind: *kind, text: String::new() };
        line_row(kind.title(), "", command_line(kind.title(), "What exactly, with its id or command.", command))
    };
    choose(model, "What happened", EventKind::ALL.iter().map(row).collect(), 0)
}

pub(super) fn choose_level(model: &mut Model) -> Vec<Effect> {
    let row = |level: &EscalationLevel| {
        let command = Command::Escalate { level: *level, reason: String::new(), to: None };
        let line = command_line(format!("{}: why", level.title()), "Why, and to whom. This pages no one.", command);
        line_row(level.word(), level.title(), line)
    };
    choose(model, "Escalate to", EscalationLevel::ALL.iter().map(row).collect(), 0)
}

pub(super) fn choose_impact(model: &mut Model) -> Vec<Effect> {
    let now = current(model).map(|i| i.impact.clone()).unwrap_or_default();
    let empty = || Some(String::new());
    let with = |text, users, region, services| Command::Impact { started: None, services, users, region, text };
    let rows = [
        ("What fails", "With numbers: 17% of orders fail at the last step", now.text, with(empty(), None, None, None)),
        ("For whom", "Which users and how many: all customers in eu, about 4,000", now.users, with(None, empty(), None, None)),
        (
            "Affected services",
            "Separated by commas: checkout, payment",
            (!now.services.is_empty()).then(|| now.services.join(", ")),
            with(None, None, None, Some(Vec::new())),
        ),
        ("Region", "Such as eu-west-1", now.region, with(None, None, empty(), None)),
    ];
    let row = |(title, hint, have, command): (&str, &str, Option<String>, Command)| {
        let mut line = command_line(title, hint, command);
        // What is known is there to be changed, not replaced.
        line.edit = have.map(LineEdit::with).unwrap_or_default();
        let detail = if line.edit.text().is_empty() { hint.to_owned() } else { line.edit.text().to_owned() };
        line_row(title, detail, line)
    };
    choose(model, "Impact", rows.map(row).to_vec(), 0)
}

pub(super) fn choose_grade(model: &mut Model) -> Vec<Effect> {
    let by = |grade: Grade| {
        let row = |f: &FoundBy| Row::new(f.title(), "", Next::Run(Box::new(Command::Grade { grade, found_by: *f, text: None })));
        ListDialog::new("Who found it", FoundBy::ALL.iter().map(row).collect(), 0)
    };
    let row = |grade: &Grade| Row::new(grade.title(), "", Next::List(Box::new(by(*grade))));
    choose(model, "How close was the diagnosis", Grade::ALL.iter().map(row).collect(), 0)
}

pub(super) fn choose_finding(model: &mut Model) -> Vec<Effect> {
    let findings = current(model).and_then(|i| i.investigation.as_ref()).map(|i| i.findings.as_slice()).unwrap_or_default();
    let row = |f: &crate::incident::CitedFinding| {
        Row::new(f.kind.word(), format!("{} {}", f.title, tagged(&f.evidence)), Next::Finding(f.rank))
    };
    let rows: Vec<Row> = findings.iter().map(row).collect();
    if rows.is_empty() {
        return say_key(model, "No findings yet. Press {} to investigate.", Action::Investigate);
    }
    choose(model, "Go to", rows, 0)
}

pub(super) fn judge(model: &mut Model, verdict: Verdict) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    if !matches!(entry.fact, Fact::Note { note_kind: NoteKind::Hypothesis, .. }) {
        return say_key(model, "This entry is not a hypothesis. Press {} to propose one.", Action::Hypothesis);
    }
    let command = Command::Hypothesis { entry: entry.seq, verdict, reason: String::new() };
    ask(model, &format!("Hypothesis {}: why", verdict.word()), "What shows it, with its evidence [E…].", command)
}

/// An objection to the selected decision, or its outcome.
pub(super) fn remark(model: &mut Model, is_objection: bool) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    if !matches!(entry.fact, Fact::Note { note_kind: NoteKind::Decision, .. }) {
        return say_key(model, "This entry is not a decision. Press {} to record one.", Action::Decision);
    }
    let (entry, text) = (entry.seq, String::new());
    if is_objection {
        let hint = "What contradicts it. The decision stays in force until the commander changes it.";
        ask(model, "Objection", hint, Command::Objection { entry, text, by: None })
    } else {
        ask(model, "Outcome", "What came of it.", Command::Outcome { entry, text })
    }
}

/// Does something with the selected action item, if it is open.
pub(super) fn with_item(model: &mut Model, then: impl FnOnce(&mut Model, ActionId) -> Vec<Effect>) -> Vec<Effect> {
    let chosen = model.room.as_ref().and_then(|r| r.incident.as_ref()?.actions.get(r.action).map(|a| (a.id, a.state)));
    match chosen {
        Some((id, state)) if state.is_open() => then(model, id),
        Some((_, state)) => {
            model.say(Tone::Plain, format!("This item is already {}.", state.word().replace('_', " ")));
            Vec::new()
        }
        None => say_key(model, "No action items yet. Press {} to add one.", Action::AddAction),
    }
}
