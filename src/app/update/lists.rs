//! Actions that open a list to choose from. Each row holds what choosing it does.

use super::super::action::Action;
use super::super::edit::TextField;
use super::super::fill::fill;
use super::super::model::{Model, Tone};
use super::super::msg::Effect;
use super::super::overlay::{ConfirmDialog, InputDialog, ListDialog, Next, Overlay, Purpose, Row};
use super::super::room::ActionRow;
use super::common::{ask, choose, command_dialog, current, run, say, say_key, selected_entry, show, tagged};
use crate::incident::command::NewAction;
use crate::incident::gate::{gates, open_items_for};
use crate::incident::state::{Hypothesis, Investigation};
use crate::incident::{
    ActionId, ActionKind, Audience, Command, EscalationLevel, EventKind, EvidenceId, Fact, FoundBy, Grade, IncidentId, Milestone,
    NextUpdate, NoteKind, ReviewState, Role, Severity, Status, Verdict,
};
use crate::postmortem::Remedy;
use crate::telemetry::failure::Explain;
use crate::telemetry::words::count;

/// A row that opens a input dialog.
fn input_row(label: impl Into<String>, detail: impl Into<String>, dialog: InputDialog) -> Row {
    Row::new(label, detail, Next::Input(Box::new(dialog)))
}

/// The open incidents except one, each with the label and the detail of its row.
fn other_open_incidents(model: &Model, except: Option<IncidentId>) -> Vec<(IncidentId, String, String)> {
    let open = model.board.open_incidents().into_iter().filter(|h| Some(h.id) != except);
    open.map(|h| (h.id, format!("{} {}", h.id, h.severity), h.title.clone())).collect()
}

pub(super) fn link(model: &mut Model) -> Vec<Effect> {
    let fingerprints: Vec<String> = model.board.target_alerts().iter().map(|a| a.fingerprint.clone()).collect();
    if fingerprints.is_empty() {
        return say(model, "Select an alert first.");
    }
    let open = other_open_incidents(model, None);
    if open.is_empty() {
        return say_key(model, "No incident is open. Press {} to declare one.", Action::Declare);
    }
    let title = format!("Link {} to", count(fingerprints.len(), "alert"));
    let row = |(id, label, detail)| {
        Row::new(label, detail, Next::RunOn(id, Box::new(Command::Link { fingerprints: fingerprints.clone() })))
    };
    choose(model, title, open.into_iter().map(row).collect(), 0)
}

/// The severity that the last investigation proposes, with the reason and its evidence tags.
pub(super) fn proposed_severity(model: &Model) -> Option<(Severity, String)> {
    let found = current(model)?.investigation.as_ref()?;
    found
        .details()
        .find_map(|f| f.proposed_severity().map(|(severity, why)| (severity, format!("{why} {}", tagged(&f.evidence)))))
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
        let mut dialog = command_dialog(
            format!("Reason for {s}"),
            "A reason is required.",
            Command::Severity { severity: *s, reason: String::new() },
        );
        if let Some((_, why)) = proposed.as_ref().filter(|_| is_proposed) {
            dialog = dialog.with_text(TextField::proposed(why.clone()));
        }
        input_row(format!("{s}{mark}"), model.matrix.meaning(*s), dialog)
    };
    let rows = Severity::ALL.iter().map(row).collect();
    // Select the proposed severity if it is a change, else the current one.
    let start = proposed.as_ref().map(|(p, _)| *p).filter(|p| Some(*p) != now).or(now);
    let selected = start.map_or(0, |s| usize::from(s.number()).saturating_sub(1));
    choose(model, "Severity (if you are unsure, choose the higher one)", rows, selected)
}

pub(super) fn choose_status(model: &mut Model) -> Vec<Effect> {
    let all = [
        (Status::Triage, "Not yet confirmed as an incident"),
        (Status::Investigating, "Looking for the cause"),
        (Status::Identified, "The cause is known"),
        (Status::Mitigated, "The impact is contained; the cause is not fixed yet"),
        (Status::Monitoring, "The fix is in place and is being monitored"),
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

/// Changes the status. If checklist items for it are open, asks for a reason to override them; before it ends an incident,
/// asks for confirmation.
pub(super) fn change_status(model: &mut Model, to: Status) -> Vec<Effect> {
    let (now, monitor) = (model.now, model.monitor);
    let Some(incident) = current(model) else { return Vec::new() };
    let (id, title) = (incident.id(), incident.head.title.clone());
    let all = gates(incident, now, monitor);
    let open: Vec<&str> = open_items_for(&all, to).iter().map(|g| g.label).collect();
    let is_firing = |linked: &&crate::incident::LinkedAlert| model.board.alerts.iter().any(|a| a.is_firing() && linked.is(a));
    let firing: Vec<String> = incident.alerts.iter().filter(is_firing).map(crate::incident::LinkedAlert::label).collect();
    let firing = if to.is_open() || firing.is_empty() { None } else { Some(format!("Still firing: {}.", firing.join(", "))) };
    let command = |override_reason: Option<String>| Command::Status { status: to, override_reason, reason: None };
    if !open.is_empty() {
        let open_items = format!("Open: {}.", open.join("; "));
        let hint = firing.map_or_else(|| open_items.clone(), |firing| format!("{firing} {open_items}"));
        let title = format!("Reason for changing to {to} with {}", count(open.len(), "open checklist item"));
        return ask(model, &title, &hint, command(Some(String::new())));
    }
    if to == Status::Cancelled {
        return ask(model, "Reason for cancelling", "Why it was a false alarm.", command(None));
    }
    if to.is_open() {
        return run(model, command(None));
    }
    let mut lines: Vec<String> = firing.into_iter().collect();
    lines.push(format!("{id} {title} becomes {to}. The timeline records that {} did it.", model.user));
    let effect = Effect::Run { id, command: Box::new(command(None)), at: None };
    show(model, Overlay::Confirm(ConfirmDialog::new(format!("{to}?"), lines, effect)))
}

/// The position of the first open item of the checklist; 0 if none is open.
pub(super) fn first_open(model: &Model) -> usize {
    current(model).and_then(|i| gates(i, model.now, model.monitor).iter().position(|g| !g.met)).unwrap_or(0)
}

pub(super) fn choose_milestone(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let hint = "The time in UTC, then how you know: 09:27 the first customer mail. After !, why it may be out of order.";
    let row = |m: &Milestone| {
        let at = incident.milestone(*m).map_or_else(|| "unknown".to_owned(), |t| format!("{} UTC", t.date_clock()));
        let command = Command::Time { moment: *m, time: model.now.into(), reason: String::new(), exception: None };
        input_row(m.title(), at, command_dialog(format!("{}: time and source", m.title()), hint, command))
    };
    let rows = Milestone::ALL.iter().map(row).collect();
    choose(model, "Milestone", rows, 0)
}

pub(super) fn choose_unlink(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let row = |a: &crate::incident::LinkedAlert| {
        let command = Command::Unlink { fingerprint: a.fingerprint.clone(), reason: None };
        input_row(
            a.label(),
            a.fingerprint.clone(),
            command_dialog("Reason for unlinking", "Why the alert does not belong to this incident.", command),
        )
    };
    let rows: Vec<Row> = incident.alerts.iter().map(row).collect();
    if rows.is_empty() {
        return say(model, "No alerts are linked to this incident.");
    }
    choose(model, "Alert to unlink", rows, 0)
}

pub(super) fn choose_merge(model: &mut Model) -> Vec<Effect> {
    let Some((own, alerts)) = current(model).map(|i| (i.id(), i.alerts.len())) else { return Vec::new() };
    let open = other_open_incidents(model, Some(own));
    if open.is_empty() {
        return say(model, "No other incident is open.");
    }
    let row = |(into, label, detail): (IncidentId, String, String)| {
        let lines = vec![
            format!("{own} ends as merged. Its {} and open action items move to {into}.", count(alerts, "alert")),
            "Reopening it moves them back.".to_owned(),
        ];
        let effect = Effect::Run { id: own, command: Box::new(Command::Merge { into, reason: None }), at: None };
        let dialog = ConfirmDialog::new(format!("Merge {own} into {into}"), lines, effect);
        Row::new(label, detail, Next::Confirm(dialog))
    };
    choose(model, "Merge into", open.into_iter().map(row).collect(), 0)
}

pub(super) fn choose_role(model: &mut Model) -> Vec<Effect> {
    let holders = current(model).map(|i| i.role_spans.clone()).unwrap_or_default();
    let row = |role: &Role| {
        let held: Vec<&str> =
            holders.iter().filter(|s| s.role == *role && s.until.is_none()).map(|s| s.holder.as_str()).collect();
        let detail = if held.is_empty() { role.duty().to_owned() } else { format!("{} · now {}", role.duty(), held.join(", ")) };
        let rule = if role.is_shared() { "Several people can hold this role." } else { "Replaces the current holder." };
        let hint = format!("One name. {rule} {} completes known names.", model.key(Action::Complete));
        let command = Command::Assign { role: *role, holder: String::new() };
        let mut dialog = command_dialog(format!("{}: name", role.title()), hint, command);
        dialog = dialog.with_text(TextField::proposed(model.user.clone()));
        input_row(role.title(), detail, dialog)
    };
    let rows = Role::ALL.iter().map(row).collect();
    choose(model, "Role to assign", rows, 0)
}

pub(super) fn choose_renounce(model: &mut Model) -> Vec<Effect> {
    let held = current(model).map(|i| i.role_spans.iter().filter(|s| s.until.is_none()).cloned().collect::<Vec<_>>());
    let held = held.unwrap_or_default();
    if held.is_empty() {
        return say_key(model, "No roles are assigned. Press {} to assign one.", Action::AssignRole);
    }
    let row = |s: crate::incident::state::RoleSpan| {
        let command = Command::Renounce { role: s.role, holder: Some(s.holder.clone()) };
        Row::new(s.role.title(), s.holder, Next::Run(Box::new(command)))
    };
    choose(model, "Role to give up", held.into_iter().map(row).collect(), 0)
}

/// Asks for an action item. What it is for is chosen after it was typed.
pub(super) fn ask_action_item(model: &mut Model) -> Vec<Effect> {
    let hint = "Start with a verb. At the end, if you like: @owner, a due date and a priority, as in @ana fri p1.";
    show(model, Overlay::Input(InputDialog::new("Action item", Purpose::ActionItem, hint, TextField::default())))
}

/// Lists what an action item is for. Choosing one adds the item.
///
/// # Errors
/// What is wrong with the typed text.
pub(super) fn choose_action_kind(model: &mut Model, typed: &str) -> Result<Vec<Effect>, String> {
    let meaning = |kind: ActionKind| match kind {
        ActionKind::Prevent => "Prevents a recurrence",
        ActionKind::Mitigate => "Limits the impact",
        ActionKind::Detect => "Speeds up detection",
        ActionKind::Process => "Improves the response",
    };
    let today = model.now.datetime().date();
    let mut rows = Vec::new();
    for kind in ActionKind::ALL {
        let command = fill(Command::AddAction(NewAction::follow_up(kind, "")), typed, today)?;
        let command = command.checked().map_err(|refusal| refusal.failure().line())?;
        rows.push(Row::new(kind.word(), meaning(kind), Next::Run(Box::new(command))));
    }
    let title = format!("Purpose of “{}”", crate::telemetry::clean::truncate(typed, 40));
    Ok(choose(model, title, rows, 0))
}

pub(super) fn choose_audience(model: &mut Model) -> Vec<Effect> {
    let row = |a: &Audience| {
        let hint =
            "Text of the update. This restarts the update timer. End with `next 45m` or `next none` to set the next update.";
        let command = Command::RecordUpdate { audience: *a, text: String::new(), next: NextUpdate::Scheduled };
        input_row(a.title(), "", command_dialog(format!("Update sent to {} readers", a.title()), hint, command))
    };
    choose(model, "Audience of the update", Audience::ALL.iter().map(row).collect(), 0)
}

pub(super) fn choose_event(model: &mut Model) -> Vec<Effect> {
    let row = |kind: &EventKind| {
        let command = Command::Event { kind: *kind, text: String::new() };
        input_row(
            kind.title(),
            "",
            command_dialog(kind.title(), "Describe exactly what happened, with an ID or a command.", command),
        )
    };
    choose(model, "Kind of event", EventKind::ALL.iter().map(row).collect(), 0)
}

pub(super) fn choose_level(model: &mut Model) -> Vec<Effect> {
    let row = |level: &EscalationLevel| {
        let command = Command::Escalate { level: *level, reason: String::new(), to: None };
        let dialog = command_dialog(
            format!("{}: reason", level.title()),
            "The reason, and the name of the person. This does not page anyone.",
            command,
        );
        input_row(level.word(), level.title(), dialog)
    };
    choose(model, "Escalation level", EscalationLevel::ALL.iter().map(row).collect(), 0)
}

pub(super) fn choose_impact(model: &mut Model) -> Vec<Effect> {
    let now = current(model).map(|i| i.impact.clone()).unwrap_or_default();
    let empty = || Some(String::new());
    let command = |text, users, region, services| Command::Impact { started: None, services, users, region, text, data: None };
    let about_data = Command::Impact { started: None, services: None, users: None, region: None, text: None, data: empty() };
    let rows = [
        ("Symptoms", "Failures, with numbers: 17% of orders fail at the last step", now.text, command(empty(), None, None, None)),
        (
            "Affected users",
            "Which users and how many: all customers in eu, about 4,000",
            now.users,
            command(None, empty(), None, None),
        ),
        (
            "Affected services",
            "Separated by commas: checkout, payment",
            (!now.services.is_empty()).then(|| now.services.join(", ")),
            command(None, None, None, Some(Vec::new())),
        ),
        ("Region", "For example eu-west-1", now.region, command(None, None, empty(), None)),
        ("Data loss", "none, or what was lost or corrupted", now.data, about_data),
    ];
    let row = |(title, hint, value, command): (&str, &str, Option<String>, Command)| {
        let mut dialog = command_dialog(title, hint, command);
        // Start with the current value, not selected, so that typing adds to it.
        dialog = dialog.with_text(value.map(TextField::with).unwrap_or_default());
        let detail = if dialog.edit.text().is_empty() { hint.to_owned() } else { dialog.edit.text().to_owned() };
        input_row(title, detail, dialog)
    };
    choose(model, "Impact", rows.map(row).to_vec(), 0)
}

/// Asks for a lesson of one kind, or for an open question.
pub(super) fn choose_lesson(model: &mut Model) -> Vec<Effect> {
    let row = |kind: NoteKind| {
        let hint = match kind {
            NoteKind::WentWell => "What helped, so that it is kept",
            NoteKind::WentBadly => "What slowed the response down, or made it worse",
            NoteKind::Lucky => "What could have gone wrong and did not",
            NoteKind::Factor => "A condition that made the incident possible, or worse",
            NoteKind::Question => "What is not known yet; @name and a date such as 2026-12-01 say who will find out by when",
            _ => "Another lesson",
        };
        input_row(kind.title(), hint, command_dialog(kind.title(), hint, Command::Note { text: String::new(), kind }))
    };
    let kinds = NoteKind::LESSONS.into_iter().chain([NoteKind::Factor, NoteKind::Question]);
    choose(model, "Lesson", kinds.map(row).collect(), 0)
}

/// Asks for the state of the post-mortem's review.
pub(super) fn choose_review(model: &mut Model) -> Vec<Effect> {
    let now = current(model).map(|i| i.review.state);
    let row = |state: &ReviewState| {
        let detail = if Some(*state) == now { "now" } else { "" };
        Row::new(state.title(), detail, Next::Run(Box::new(Command::Review { state: *state, by: None })))
    };
    choose(model, "Review of the post-mortem", ReviewState::ALL.iter().map(row).collect(), 0)
}

pub(super) fn choose_grade(model: &mut Model) -> Vec<Effect> {
    let found_by = |grade: Grade| {
        let row = |f: &FoundBy| Row::new(f.title(), "", Next::Run(Box::new(Command::Grade { grade, found_by: *f, text: None })));
        ListDialog::new("Found by", FoundBy::ALL.iter().map(row).collect(), 0)
    };
    let row = |grade: &Grade| Row::new(grade.title(), "", Next::List(Box::new(found_by(*grade))));
    choose(model, "Accuracy of the diagnosis", Grade::ALL.iter().map(row).collect(), 0)
}

pub(super) fn choose_finding(model: &mut Model) -> Vec<Effect> {
    let found = current(model).and_then(|i| i.investigation.as_ref());
    let row = |(place, f): (usize, &crate::incident::CitedFinding)| {
        Row::new(f.kind.word(), format!("{} {}", f.title, tagged(&f.evidence)), Next::Finding(place))
    };
    let rows: Vec<Row> = found.into_iter().flat_map(Investigation::details).enumerate().map(row).collect();
    if rows.is_empty() {
        return say_key(model, "No findings yet. Press {} to investigate.", Action::Investigate);
    }
    choose(model, "Go to a finding", rows, 0)
}

/// The action that adds a missing part of the post-mortem.
pub(crate) fn action_for(remedy: Remedy) -> Action {
    match remedy {
        Remedy::AssignRole => Action::AssignRole,
        Remedy::SetStatus => Action::SetStatus,
        Remedy::Investigate => Action::Investigate,
        Remedy::Acknowledge => Action::Acknowledge,
        Remedy::Hypothesis => Action::Hypothesis,
        Remedy::Lesson => Action::Lesson,
        Remedy::ActionItem => Action::AddAction,
        Remedy::ActionItems => Action::Tab7,
        Remedy::SetTime => Action::SetTime,
        Remedy::Impact => Action::Impact,
    }
}

/// Lists what is missing in the report. Choosing a row does what adds it.
pub(super) fn choose_missing(model: &mut Model) -> Vec<Effect> {
    let missing = model.room.as_ref().map(|r| r.missing.clone()).unwrap_or_default();
    if missing.is_empty() {
        return say_key(model, "Nothing is missing in the report. Press {} to export it.", Action::Export);
    }
    let row = |part: crate::postmortem::MissingPart| match part.remedy.map(action_for) {
        Some(action) => Row::new(format!("{} {}", model.key(action), action.spec().word), part.what, Next::Act(action)),
        None => Row::new("", part.what, Next::Act(Action::Tab2)),
    };
    let rows = missing.into_iter().map(row).collect();
    choose(model, "Missing in the report", rows, 0)
}

/// Lists the hypotheses, the open ones first, with the evidence for and against each.
pub(super) fn choose_hypothesis(model: &mut Model) -> Vec<Effect> {
    let mut all: Vec<Hypothesis> = current(model).map(|i| i.hypotheses.clone()).unwrap_or_default();
    if all.is_empty() {
        return say_key(model, "No hypotheses yet. Press {} to propose one.", Action::Hypothesis);
    }
    all.sort_by_key(|h| (h.verdict.is_some(), std::cmp::Reverse(h.seq)));
    let rows: Vec<Row> = all
        .into_iter()
        .map(|h| {
            let weighed = h.weighed();
            let details = [weighed.line(), h.text.clone(), h.reason.clone().unwrap_or_default(), h.origin()];
            let details: Vec<String> = details.into_iter().filter(|d| !d.is_empty()).collect();
            let verdict = |verdict: Verdict, label: &str| {
                let command = Command::Hypothesis { entry: h.seq, verdict, reason: String::new() };
                let title = format!("Hypothesis {}: reason", verdict.word());
                let dialog = command_dialog(&title, "Explain the verdict, with evidence [E…].", command);
                Row::new(label, "", Next::Input(Box::new(dialog)))
            };
            let mut rows = vec![verdict(Verdict::Supported, "Supported"), verdict(Verdict::Refuted, "Refuted")];
            let evidence = |word: &'static str| {
                move |id: EvidenceId| Row::new(format!("Open {id}"), word, Next::Show(Box::new(Overlay::evidence(id, 0, None))))
            };
            rows.extend(weighed.supports.into_iter().map(evidence("for it")));
            rows.extend(weighed.contradicts.into_iter().map(evidence("against it")));
            let title = crate::telemetry::clean::truncate(&format!("Hypothesis: {}", h.text), 60);
            Row::new(h.state(), details.join(" · "), Next::List(Box::new(ListDialog::new(title, rows, 0))))
        })
        .collect();
    choose(model, "Hypotheses", rows, 0)
}

/// Marks the selected hypothesis as supported or refuted.
pub(super) fn judge(model: &mut Model, verdict: Verdict) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    if !matches!(entry.fact, Fact::Note { note_kind: NoteKind::Hypothesis, .. }) {
        return say_key(model, "This entry is not a hypothesis. Press {} to propose one.", Action::Hypothesis);
    }
    let command = Command::Hypothesis { entry: entry.seq, verdict, reason: String::new() };
    ask(model, &format!("Hypothesis {}: reason", verdict.word()), "Explain the verdict, with evidence [E…].", command)
}

/// Records an objection to the selected decision, or its outcome.
pub(super) fn remark(model: &mut Model, is_objection: bool) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    if !matches!(entry.fact, Fact::Note { note_kind: NoteKind::Decision, .. }) {
        return say_key(model, "This entry is not a decision. Press {} to record one.", Action::Decision);
    }
    let (entry, text) = (entry.seq, String::new());
    if is_objection {
        let hint = "Why you object. The decision stays in force until the commander changes it.";
        ask(model, "Objection", hint, Command::Objection { entry, text, by: None })
    } else {
        ask(model, "Outcome", "Describe the result of the decision.", Command::Outcome { entry, text })
    }
}

/// Calls `then` with the selected action item if it is open; otherwise shows why not.
pub(super) fn with_item(model: &mut Model, then: impl FnOnce(&mut Model, ActionId) -> Vec<Effect>) -> Vec<Effect> {
    let chosen = model.room.as_ref().and_then(|r| match r.action_row()? {
        ActionRow::Item(n) => r.incident.as_ref()?.actions.get(n).map(|a| (a.id, a.state)),
        ActionRow::Card(_) => None,
    });
    let has_items = current(model).is_some_and(|i| !i.actions.is_empty());
    match chosen {
        Some((id, state)) if state.is_open() => then(model, id),
        Some((_, state)) => {
            model.say(Tone::Plain, format!("This item is already {}.", state.word().replace('_', " ")));
            Vec::new()
        }
        None if has_items => say(model, "Select an action item first."),
        None => say_key(model, "No action items yet. Press {} to add one.", Action::AddAction),
    }
}
