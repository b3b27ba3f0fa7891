//! Mitigation cards: proposing, editing, starting, finishing and dropping them.

use super::super::action::Action;
use super::super::fill::mitigation;
use super::super::model::{Model, Tone};
use super::super::msg::Effect;
use super::super::overlay::{Field, FieldsForm, FormPurpose, Next, Overlay, Row};
use super::super::room::ActionRow;
use super::common::{choose, command_dialog, current, run, say, say_key, show, with_id, write};
use crate::incident::command::NewMitigation;
use crate::incident::mitigation::card_label;
use crate::incident::{CardState, Command, ExitCriteria, Incident, MitigationCard, Risk};
use crate::playbook::{Suggestion, suggestions};
use crate::telemetry::failure::Explain;

/// Offers what the assistant and the playbooks propose, or asks for a mitigation of one's own.
pub(super) fn propose_mitigation(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let own = empty_card(incident);
    let rows = suggestions(incident, &model.playbooks).into_iter().map(|s| match s {
        Suggestion::Card(new) => {
            let origin = new.origin.clone().unwrap_or_default();
            Row::new(new.text.clone(), origin, Next::Form(Box::new(form("New mitigation", &new))))
        }
        Suggestion::Step { playbook, number, title } => {
            let detail = format!("step {number} of playbook {playbook}");
            Row::new(title, detail, Next::PlaybookStep(playbook, number))
        }
    });
    let mut rows: Vec<Row> = rows.collect();
    if rows.is_empty() {
        return show(model, Overlay::Fields(Box::new(form("New mitigation", &own))));
    }
    rows.insert(0, Row::new("New mitigation", "Describe it yourself", Next::Form(Box::new(form("New mitigation", &own)))));
    choose(model, "Propose mitigation", rows, 0)
}

/// A card to fill in. What must hold is proposed from the exit criteria.
fn empty_card(incident: &Incident) -> NewMitigation {
    NewMitigation { verify: incident.exit.clone(), ..NewMitigation::new("", Risk::Medium) }
}

/// The position of the check among the fields of a card.
const VERIFY: usize = 3;

/// The form of a card.
fn form(title: &str, new: &NewMitigation) -> FieldsForm {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let verify = new.verify.as_ref().map(ExitCriteria::typed).unwrap_or_default();
    let field = Field::new;
    let fields = vec![
        field("Action", "What to do: roll back checkout to 1.41.3", new.text.clone()),
        field("Risk", "low, medium or high", new.risk.word().to_owned()),
        field("Undo", "How to undo it if it makes things worse", text(&new.undo)),
        field("Verify", "Condition that must hold afterwards: error_rate < 0.01 for 5m. Checked before and after.", verify),
        field("Exception", "Why it may start without an undo or a check. Usually empty.", text(&new.exception)),
    ];
    let purpose = FormPurpose::Mitigation { edits: new.edits, origin: new.origin.clone(), verify: new.verify.clone() };
    FieldsForm { title: title.to_owned(), fields, focus: 0, purpose, problem: None }
}

/// Submits the form: proposes the card, or changes it.
pub(super) fn submit(model: &mut Model, mut form: Box<FieldsForm>) -> Vec<Effect> {
    let FormPurpose::Mitigation { edits, origin, verify: proposed } = form.purpose.clone();
    // What was proposed may have a source, which cannot be typed.
    let unchanged = proposed.filter(|p| form.texts().get(VERIFY) == Some(&p.typed().as_str()));
    let command = mitigation(&form.texts())
        .map(|new| {
            let verify = unchanged.or(new.verify);
            Command::ProposeMitigation(NewMitigation { verify, origin, edits, ..new })
        })
        .and_then(|command| command.checked().map_err(|refusal| (form.focus, refusal.failure().line())));
    match command {
        Ok(command) => {
            form.problem = None;
            let effects = run(model, command);
            if let [effect @ Effect::Run { .. }] = effects.as_slice() {
                model.sent = Some((effect.clone(), Overlay::Fields(form)));
            }
            effects
        }
        Err((field, why)) => {
            model.say(Tone::Bad, why.clone());
            (form.focus, form.problem) = (field, Some(why));
            show(model, Overlay::Fields(form))
        }
    }
}

/// The selected card with its label.
fn selected(model: &Model) -> Option<(String, MitigationCard)> {
    let room = model.room.as_ref()?;
    let ActionRow::Card(n) = room.action_row()? else { return None };
    room.incident.as_ref()?.cards.get(n).map(|card| (card_label(n), card.clone()))
}

/// Whether a card is selected on the actions tab.
pub(super) fn is_selected(model: &Model) -> bool {
    selected(model).is_some()
}

/// Changes the text and the fields of the selected card.
pub(super) fn edit(model: &mut Model) -> Vec<Effect> {
    match selected(model) {
        None => say_key(model, "Select a mitigation first, or press {} to propose one.", Action::Mitigation),
        Some((label, card)) if !card.is_open() => say(model, format!("{label} is already {}.", card.state.word())),
        Some((label, card)) => edit_card(model, &label, &card),
    }
}

fn edit_card(model: &mut Model, label: &str, card: &MitigationCard) -> Vec<Effect> {
    let new = NewMitigation {
        undo: card.undo.clone(),
        verify: card.verify.clone(),
        exception: card.exception.clone(),
        edits: Some(card.seq),
        ..NewMitigation::new(card.text.clone(), card.risk)
    };
    let mut form = form(&format!("Edit mitigation {label}"), &new);
    // Begin where something is missing.
    form.focus = form.fields.iter().take(4).position(|f| f.edit.text().is_empty()).unwrap_or(0);
    show(model, Overlay::Fields(Box::new(form)))
}

/// Does what comes next with the selected card: starts it, records that it is done, or reads again whether it worked.
pub(super) fn advance(model: &mut Model) -> Vec<Effect> {
    let Some((label, card)) = selected(model) else { return Vec::new() };
    match card.state {
        CardState::Proposed => match card.missing() {
            Some(missing) => {
                model.say(Tone::Bad, format!("{label} cannot start yet. Add {missing}."));
                edit_card(model, &label, &card)
            }
            None => ask(model, &card, CardState::Started, &format!("Start {label}: approved by"), START_HINT),
        },
        CardState::Started => ask(model, &card, CardState::Done, &format!("Finish {label}: result"), DONE_HINT),
        CardState::Done if card.needs_reading(model.now) => judge(model),
        // It has its verdict: show the readings behind it.
        CardState::Done if card.judgement.is_some() => {
            let id = card.judgement.as_ref().and_then(|(_, j)| j.evidence);
            id.map_or_else(Vec::new, |id| show(model, Overlay::evidence(id, usize::MAX, card.done_at)))
        }
        CardState::Done | CardState::Dropped => say(model, format!("{label} is already {}.", card.state.word())),
    }
}

const START_HINT: &str = "Who approved it. Leave empty if no approval was needed.";
const DONE_HINT: &str = "The result in a few words (optional). warroom then checks the condition every minute.";

fn ask(model: &mut Model, card: &MitigationCard, state: CardState, title: &str, hint: &str) -> Vec<Effect> {
    let command = Command::ChangeMitigation { card: card.seq, state, approved_by: None, result: None };
    show(model, Overlay::Input(command_dialog(title, hint, command)))
}

/// Drops the selected card, with a reason.
pub(super) fn drop_card(model: &mut Model) -> Vec<Effect> {
    match selected(model) {
        Some((label, card)) if card.is_open() => {
            ask(model, &card, CardState::Dropped, &format!("Drop {label}: reason"), "Why it will not be done.")
        }
        Some((label, card)) => say(model, format!("{label} is already {}.", card.state.word())),
        None => Vec::new(),
    }
}

/// Reads again what must hold after the mitigations that were done.
fn judge(model: &mut Model) -> Vec<Effect> {
    model.say(Tone::Plain, "Checking mitigations …");
    with_id(model, |m, id| write(m, Effect::JudgeMitigations(id)))
}
