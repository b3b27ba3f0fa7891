//! Actions that ask which: a list is shown, and what it is chosen for is done by the overlay.

use super::super::model::{Model, Tone};
use super::super::msg::Effect;
use super::super::overlay::{Choice, Overlay, Purpose};
use super::current;
use super::perform::{act, line, selected_entry, show, tagged};
use crate::incident::gate::{gates, open_items_for};
use crate::incident::{ActionId, Fact, IncidentId, Milestone, NoteKind, Remark, Severity, Status, Verdict};

pub(super) fn choose(model: &mut Model, title: &str, rows: Vec<(String, String)>, choice: Choice) -> Vec<Effect> {
    show(model, Overlay::Choose { title: title.to_owned(), rows, selected: 0, choice })
}

pub(super) fn link(model: &mut Model) -> Vec<Effect> {
    let prints: Vec<String> = model.board.chosen().iter().map(|a| a.fingerprint.clone()).collect();
    let open: Vec<(IncidentId, (String, String))> =
        model.board.open_incidents().iter().map(|h| (h.id, (format!("{} {}", h.id, h.severity), h.title.clone()))).collect();
    if prints.is_empty() || open.is_empty() {
        let why = if prints.is_empty() { "select an alert first" } else { "no incident is open; d declares one" };
        model.say(Tone::Plain, why);
        return Vec::new();
    }
    let (ids, rows) = open.into_iter().unzip();
    let title = format!("Link {} to", crate::telemetry::words::count(prints.len(), "alert"));
    choose(model, &title, rows, Choice::LinkTo(ids, prints))
}

/// The severity that the last investigation proposes, and why, with its evidence.
pub(super) fn proposed_severity(model: &Model) -> Option<(Severity, String)> {
    let found = &current(model)?.investigation.as_ref()?.findings;
    found.iter().find_map(|f| f.proposed_severity().map(|(severity, why)| (severity, format!("{why} {}", tagged(&f.evidence)))))
}

pub(super) fn choose_severity(model: &mut Model) -> Vec<Effect> {
    let now = current(model).map(|i| i.head.severity);
    let proposed = proposed_severity(model).map(|(severity, _)| severity);
    let mark = |s: Severity| match (Some(s) == now, Some(s) == proposed) {
        (true, true) => " (now, proposed)",
        (true, false) => " (now)",
        (false, true) => " (proposed)",
        (false, false) => "",
    };
    let rows = Severity::ALL.iter().map(|s| (format!("{s}{}", mark(*s)), model.matrix.meaning(*s).to_owned())).collect();
    show(
        model,
        Overlay::Choose {
            title: "Severity: when unsure, the higher one".to_owned(),
            rows,
            // What the evidence speaks for is offered, else the higher one.
            selected: match proposed.filter(|p| Some(*p) != now) {
                Some(proposed) => usize::from(proposed.number()).saturating_sub(1),
                None => now.map_or(0, |s| usize::from(s.number()).saturating_sub(2)),
            },
            choice: Choice::Severity(Severity::ALL.to_vec()),
        },
    )
}

pub(super) fn choose_status(model: &mut Model) -> Vec<Effect> {
    let usable = [
        Status::Investigating,
        Status::Identified,
        Status::Mitigated,
        Status::Monitoring,
        Status::Resolved,
        Status::Closed,
        Status::Cancelled,
        Status::Triage,
    ];
    let meaning = |s: Status| match s {
        Status::Investigating => "the cause is being looked for",
        Status::Identified => "the cause is known",
        Status::Mitigated => "the impact is contained, the cause not yet fixed",
        Status::Monitoring => "fixed; watched for a while",
        Status::Resolved => "the service is restored",
        Status::Closed => "the review was held",
        Status::Triage => "not yet known to be an incident",
        _ => "a false alarm",
    };
    let now = current(model).map(|i| i.head.status);
    let rows =
        usable.iter().map(|s| (format!("{s}{}", if Some(*s) == now { " (now)" } else { "" }), meaning(*s).to_owned())).collect();
    choose(model, "Status", rows, Choice::Status(usable.to_vec()))
}

/// Moves the status; where gate items are open for it, asks why they do not matter.
pub(super) fn move_status(model: &mut Model, to: Status) -> Vec<Effect> {
    let (now, monitor) = (model.now, model.monitor);
    let Some(incident) = current(model) else { return Vec::new() };
    let id = incident.id();
    let all = gates(incident, now, monitor);
    let open: Vec<&str> = open_items_for(&all, to).iter().map(|g| g.item).collect();
    let title = incident.head.title.clone();
    if !open.is_empty() {
        let hint = format!("open: {} · K shows them, esc goes back", open.join(", "));
        return line(model, &format!("{} open for {to}: why go on", open.len()), Purpose::Override(to), &hint);
    }
    if to == Status::Cancelled {
        return line(model, "Cancelled: why", Purpose::CancelReason, "what made it a false alarm");
    }
    if to.is_open() {
        return act(model, Effect::SetStatus { id, to, over: None, reason: None });
    }
    let lines = vec![format!("{id} {title} becomes {to}, in the timeline as by {}", model.user)];
    let effect = Box::new(Effect::SetStatus { id, to, over: None, reason: None });
    show(model, Overlay::Confirm { title: format!("{to}?"), lines, yes: false, effect })
}

/// The first open item of the checklist.
pub(super) fn first_open(model: &Model) -> usize {
    current(model).and_then(|i| gates(i, model.now, model.monitor).iter().position(|g| !g.met)).unwrap_or(0)
}

pub(super) fn choose_moment(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let rows = Milestone::ALL
        .iter()
        .map(|m| {
            let at = incident.milestone(*m).map_or_else(|| "unknown".to_owned(), |t| format!("{} UTC", t.date_clock()));
            (m.title().to_owned(), at)
        })
        .collect();
    choose(model, "Which moment", rows, Choice::Milestone(Milestone::ALL.to_vec()))
}

pub(super) fn choose_unlink(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let rows: Vec<(String, String)> = incident.alerts.iter().map(|a| (a.label(), a.fingerprint.clone())).collect();
    let prints: Vec<String> = incident.alerts.iter().map(|a| a.fingerprint.clone()).collect();
    if prints.is_empty() {
        model.say(Tone::Plain, "no alert is linked");
        return Vec::new();
    }
    choose(model, "Take which alert away", rows, Choice::Unlink(prints))
}

pub(super) fn choose_merge(model: &mut Model) -> Vec<Effect> {
    let own = model.room.as_ref().map(|r| r.id);
    let open: Vec<(IncidentId, (String, String))> = model
        .board
        .open_incidents()
        .iter()
        .filter(|h| Some(h.id) != own)
        .map(|h| (h.id, (format!("{} {}", h.id, h.severity), h.title.clone())))
        .collect();
    if open.is_empty() {
        model.say(Tone::Plain, "no other incident is open");
        return Vec::new();
    }
    let (ids, rows) = open.into_iter().unzip();
    choose(model, "Make this a part of", rows, Choice::MergeInto(ids))
}

pub(super) fn judge(model: &mut Model, verdict: Verdict) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    if !matches!(entry.fact, Fact::Note { note_kind: NoteKind::Hypothesis, .. }) {
        model.say(Tone::Plain, "this entry is no hypothesis; H records one");
        return Vec::new();
    }
    let seq = entry.seq;
    let title = format!("Hypothesis {}: why", verdict.word());
    line(model, &title, Purpose::Judge(seq, verdict), "what shows it, with its evidence [E…]")
}

pub(super) fn remark(model: &mut Model, remark: Remark) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    if !matches!(entry.fact, Fact::Note { note_kind: NoteKind::Decision, .. }) {
        model.say(Tone::Plain, "this entry is no decision; D records one");
        return Vec::new();
    }
    let seq = entry.seq;
    let (title, hint) = match remark {
        Remark::Objection => ("Objection", "what speaks against it; the decision stands until the commander changes it"),
        Remark::Outcome => ("Outcome", "what came of it"),
    };
    line(model, title, Purpose::Remark(seq, remark), hint)
}

pub(super) fn with_item(model: &mut Model, then: impl FnOnce(&mut Model, ActionId) -> Vec<Effect>) -> Vec<Effect> {
    let chosen = model.room.as_ref().and_then(|r| r.incident.as_ref()?.actions.get(r.action).map(|a| (a.id, a.state)));
    match chosen {
        Some((id, state)) if state.is_open() => then(model, id),
        Some((_, state)) => {
            model.say(Tone::Plain, format!("it is {} already", state.word().replace('_', " ")));
            Vec::new()
        }
        None => {
            model.say(Tone::Plain, "there are no action items; A writes one down");
            Vec::new()
        }
    }
}

pub(super) fn choose_finding(model: &mut Model) -> Vec<Effect> {
    let findings = current(model).and_then(|i| i.investigation.as_ref()).map(|i| i.findings.as_slice()).unwrap_or_default();
    let rows: Vec<(String, String)> =
        findings.iter().map(|f| (f.kind.word().to_owned(), format!("{} {}", f.title, tagged(&f.evidence)))).collect();
    let ranks = findings.iter().map(|f| f.rank).collect();
    if rows.is_empty() {
        model.say(Tone::Plain, "no findings yet: i investigates");
        return Vec::new();
    }
    choose(model, "Go to", rows, Choice::Finding(ranks))
}
