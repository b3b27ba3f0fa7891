//! The updates tab: drafts for each audience and stage, sending one through a channel, and recording one that was sent elsewhere.

use super::super::action::Action;
use super::super::edit::TextField;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::{Effect, SendCall, SendEffect};
use super::super::overlay::{ConfirmDialog, InputDialog, ListDialog, Next, Overlay, Purpose, Row};
use super::super::room::Tab;
use super::common::{choose, say, show};
use super::go::{refresh_tab, tab};
use crate::comms::Stage;
use crate::incident::{Audience, Command, Letter, NextUpdate, SendOutcome};
use crate::telemetry::words::count;

/// The audiences in the order in which they are drafted for.
const AUDIENCES: [Audience; 3] = [Audience::Internal, Audience::Executive, Audience::External];

/// Drafts for the next audience.
pub(super) fn next_audience(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &mut model.room else { return Vec::new() };
    let at = AUDIENCES.iter().position(|a| *a == room.draft_audience).map_or(0, |at| at + 1);
    room.draft_audience = AUDIENCES.get(at).copied().unwrap_or(Audience::Internal);
    (room.scroll, room.when_drafted) = (0, None);
    refresh_tab(room)
}

/// Drafts for the next stage, and after the last one for that of the status again.
pub(super) fn next_stage(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &mut model.room else { return Vec::new() };
    let next = room.draft_stage.and_then(|s| Stage::ALL.iter().position(|a| *a == s)).map_or(0, |at| at + 1);
    room.draft_stage = Stage::ALL.get(next).copied();
    (room.scroll, room.when_drafted) = (0, None);
    refresh_tab(room)
}

/// Has the model reword the draft.
pub(super) fn improve(model: &mut Model) -> Vec<Effect> {
    if model.model_name.is_none() {
        return say(model, "No model is configured. Add [assistant] to the configuration.");
    }
    let Some(room) = &mut model.room else { return Vec::new() };
    room.draft = None;
    let effect = Effect::ImproveDraft { id: room.id, audience: room.draft_audience, stage: room.draft_stage };
    model.say(Tone::Plain, "The model is rewording the draft.");
    vec![effect]
}

/// The draft as it would be sent: its subject and its text.
pub(super) fn draft_text(model: &Model) -> Option<String> {
    let draft = model.room.as_ref()?.draft.as_ref()?.as_ref().ok()?;
    Some(format!("{}\n\n{}", draft.subject, draft.text))
}

/// Does what was asked for while the draft was being written, unless the user has gone elsewhere. A draft that failed is shown instead.
pub(super) fn drafted(model: &mut Model) -> Vec<Effect> {
    let is_free = model.overlay.is_none() && model.screen == Screen::Room;
    let Some(room) = &mut model.room else { return Vec::new() };
    let Some(then) = room.when_drafted.filter(|_| room.draft.is_some()) else { return Vec::new() };
    room.when_drafted = None;
    match room.draft {
        Some(Ok(_)) if is_free && room.tab == Tab::Updates => match then {
            Action::RecordDraft => record_draft(model),
            _ => send_draft(model),
        },
        _ => Vec::new(),
    }
}

/// Opens the tab with the draft, and does this with it as soon as it is there.
fn wait_for_draft(model: &mut Model, then: Action) -> Vec<Effect> {
    let effects = tab(model, Tab::Updates);
    if let Some(room) = &mut model.room {
        room.when_drafted = Some(then);
        model.say(Tone::Plain, "The draft is being written.");
    }
    effects
}

/// Opens the draft to be edited and recorded as sent.
pub(super) fn record_draft(model: &mut Model) -> Vec<Effect> {
    let Some(text) = draft_text(model) else {
        return wait_for_draft(model, Action::RecordDraft);
    };
    let Some(Ok(draft)) = model.room.as_ref().and_then(|r| r.draft.as_ref()) else {
        return say(model, "The draft is not ready yet.");
    };
    // The last update does not promise another one.
    let next = match draft.next_update_at {
        _ if draft.stage == Stage::Resolved => NextUpdate::Never,
        Some(at) => NextUpdate::At(at),
        None => NextUpdate::Scheduled,
    };
    let title = format!("Update sent to {} readers", draft.audience.title());
    let command = Command::RecordUpdate { audience: draft.audience, text: String::new(), next };
    let hint = "Send it yourself; this records it and restarts the update timer.";
    let purpose = Purpose::Command(Box::new(command));
    show(model, Overlay::Input(InputDialog::new(title, purpose, hint, TextField::from_start(text))))
}

/// Asks through which channel the draft is sent. Briefs can be sent instead of it, except to customers.
pub(super) fn send_draft(model: &mut Model) -> Vec<Effect> {
    let Some(text) = draft_text(model) else {
        return wait_for_draft(model, Action::SendDraft);
    };
    let Some(room) = &model.room else { return Vec::new() };
    let (id, audience, stage) = (room.id, room.draft_audience, room.draft_stage);
    let call = |channel: &str, letter: Letter| SendCall {
        id,
        channel: channel.to_owned(),
        letter,
        audience,
        stage,
        text: None,
        target: None,
        override_reason: None,
        again: false,
    };
    let usable = || model.channels.iter().filter(|c| c.audiences.contains(&audience));
    let has_target =
        |channel: &str| room.incident.as_ref().is_some_and(|i| i.sent_through(channel).any(|s| s.outgoing.target.is_some()));
    let mut rows: Vec<Row> = Vec::new();
    for channel in usable() {
        let call = SendCall { text: Some(text.clone()), ..call(&channel.name, Letter::Update) };
        let asks = channel.needs_target && !has_target(&channel.name);
        let dialog = if asks { target_dialog(&channel.kind, call) } else { text_dialog(call) };
        rows.push(Row::new(&channel.name, &channel.kind, Next::Input(Box::new(dialog))));
    }
    rows.push(Row::new("clipboard", "copy it, and send it yourself", Next::Effect(Box::new(Effect::Copy(text)))));
    if audience != Audience::External {
        for (letter, words) in [(Letter::Briefing, "the briefing instead"), (Letter::Handover, "the handover instead")] {
            rows.extend(usable().filter(|c| c.kind != "statuspage").map(|channel| {
                let plan = Effect::Send(SendEffect::Plan(Box::new(call(&channel.name, letter))));
                Row::new(&channel.name, words, Next::Effect(Box::new(plan)))
            }));
        }
    }
    choose(model, "Send through", rows, 0)
}

fn text_dialog(call: SendCall) -> InputDialog {
    let title = format!("Send through {}", call.channel);
    let field = TextField::with(call.text.clone().unwrap_or_default());
    InputDialog::new(title, Purpose::SendText(Box::new(call)), "Next, you see exactly what is sent, and confirm it.", field)
}

fn target_dialog(kind: &str, call: SendCall) -> InputDialog {
    let hint = if kind == "github" { "The number of the issue: 42" } else { "The ID of the incident: Q1A2B3C4" };
    InputDialog::new(
        format!("Send to which one in {}?", call.channel),
        Purpose::SendTarget(Box::new(call)),
        hint,
        TextField::default(),
    )
}

/// Offers the sendings that failed, were refused or have an unknown outcome.
pub(super) fn send_again(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &model.room else { return Vec::new() };
    let Some(incident) = &room.incident else { return Vec::new() };
    let mut rows = Vec::new();
    for sending in incident.sendings.iter().rev() {
        let Some(outcome) = sending.outcome_at(model.now).filter(|o| *o != SendOutcome::Sent) else { continue };
        let outgoing = &sending.outgoing;
        let call = SendCall {
            id: room.id,
            channel: outgoing.channel.clone(),
            letter: outgoing.letter,
            audience: outgoing.audience,
            stage: room.draft_stage,
            text: Some(outgoing.as_one_text()),
            target: outgoing.target.clone(),
            override_reason: outgoing.override_reason.clone(),
            again: true,
        };
        let next = if outcome == SendOutcome::Unknown {
            let lines = vec![
                format!("It is unknown whether {} has this message.", outgoing.channel),
                "Look there first: if it has arrived, sending it again repeats it.".to_owned(),
            ];
            let plan = Effect::Send(SendEffect::Plan(Box::new(call)));
            Next::Confirm(ConfirmDialog::new("Prepare to send it again?", lines, plan))
        } else {
            Next::Effect(Box::new(Effect::Send(SendEffect::Plan(Box::new(call)))))
        };
        rows.push(Row::new(format!("{} {}", outgoing.channel, outcome.word()), outgoing.subject.clone(), next));
    }
    if rows.is_empty() {
        return say(model, "Everything that was sent has arrived.");
    }
    choose(model, "Send again", rows, 0)
}

/// The effects of a text that was typed about a sending.
///
/// # Errors
/// A hint on what to type.
pub(super) fn submitted(model: &mut Model, purpose: &Purpose, text: &str) -> Result<Vec<Effect>, String> {
    let plan = |call: SendCall| Ok(vec![Effect::Send(SendEffect::Plan(Box::new(call)))]);
    match purpose {
        Purpose::SendText(_) if text.is_empty() => Err("The text is empty.".to_owned()),
        // A reason is for the text that it was given for.
        Purpose::SendText(call) => plan(SendCall { text: Some(text.to_owned()), override_reason: None, ..(**call).clone() }),
        Purpose::SendTarget(_) if text.is_empty() => Err("It has to go somewhere. Type where.".to_owned()),
        Purpose::SendTarget(call) => {
            let call = SendCall { target: Some(text.to_owned()), ..(**call).clone() };
            Ok(show(model, Overlay::Input(text_dialog(call))))
        }
        Purpose::SendOverride(_) if text.is_empty() => Err("A reason is required.".to_owned()),
        Purpose::SendOverride(call) => plan(SendCall { override_reason: Some(text.to_owned()), ..(**call).clone() }),
        _ => Err("This text is not about a sending.".to_owned()),
    }
}

/// Opens the text of an update again, after its preview was not confirmed.
pub(super) fn edit_again(model: &mut Model, call: SendCall) -> Vec<Effect> {
    if call.letter == Letter::Update && call.text.is_some() { show(model, Overlay::Input(text_dialog(call))) } else { Vec::new() }
}

/// Opens the text again with the reason why it cannot be sent.
pub(super) fn cannot_send(model: &mut Model, call: SendCall, why: &str) -> Vec<Effect> {
    let kind = model.channels.iter().find(|c| c.name == call.channel).map(|c| c.kind.clone()).unwrap_or_default();
    let dialog = match (call.letter == Letter::Update && call.text.is_some(), &call.target) {
        // A wrong target can be corrected, and the text follows.
        (true, Some(_)) => Some(target_dialog(&kind, call)),
        (true, None) => Some(text_dialog(call)),
        (false, _) => None,
    };
    let Some(dialog) = dialog else { return say(model, why) };
    let overlay = Overlay::Input(InputDialog { hint: why.to_owned(), ..dialog });
    keep_open(model, overlay, why)
}

/// Offers to change a text for customers with open points, or to send it with a reason.
pub(super) fn open_points(model: &mut Model, call: SendCall, hits: &[String]) -> Vec<Effect> {
    let hint = "The reason is recorded in the timeline.";
    let purpose = Purpose::SendOverride(Box::new(call.clone()));
    let reason = InputDialog::new("Why send it as it is?", purpose, hint, TextField::default());
    let mut rows = vec![
        Row::new("Change the text", "", Next::Input(Box::new(text_dialog(call)))),
        Row::new("Send it as it is", "with a reason", Next::Input(Box::new(reason))),
    ];
    let words = |hit: &String| Row::new(hit, "", Next::Text("Open point".to_owned(), hit.clone()));
    rows.extend(hits.iter().map(words));
    let title = format!("{} in a text for customers", count(hits.len(), "open point"));
    keep_open(model, Overlay::List(ListDialog::new(title, rows, 0)), "The text for customers has open points.")
}

/// Opens a dialog with a text that must not be lost: if something else is open, it can be opened later.
fn keep_open(model: &mut Model, overlay: Overlay, why: &str) -> Vec<Effect> {
    if model.overlay.is_none() {
        model.say(Tone::Bad, why);
        return show(model, overlay);
    }
    let retry = model.key(Action::Retry);
    model.say(Tone::Bad, format!("{why} Press {retry} to go back to it."));
    model.refused = Some((overlay, why.to_owned()));
    Vec::new()
}
