//! The playbook tab: chooses a playbook, and runs, skips and ticks its steps.

use super::super::action::Action;
use super::super::edit::TextField;
use super::super::model::{Model, Tone};
use super::super::msg::{Effect, StepCall, StepEffect};
use super::super::overlay::{InputDialog, Next, Overlay, Purpose, Row};
use super::super::room::{Room, Tab};
use super::common::{choose, current, say, say_key, show, upper};
use crate::incident::StepState;
use crate::playbook::{Playbook, matches};

/// Lists all playbooks, those that match the alerts first.
pub(super) fn choose_playbook(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let found = matches(&model.playbooks, &incident.alerts);
    let mut rows: Vec<Row> = found
        .iter()
        .map(|m| Row::new(m.playbook.title.clone(), m.why.join(", "), Next::Playbook(m.playbook.id.clone())))
        .collect();
    let others = model.playbooks.all().filter(|p| !found.iter().any(|m| m.playbook.id == p.id));
    rows.extend(others.map(|p| Row::new(p.title.clone(), p.summary.clone(), Next::Playbook(p.id.clone()))));
    choose(model, "Playbook", rows, 0)
}

/// Opens a playbook at its next step.
pub(super) fn open_playbook(model: &mut Model, id: &str) -> Vec<Effect> {
    let Some(room) = &mut model.room else { return Vec::new() };
    let run = room.incident.as_ref().and_then(|i| i.playbooks.iter().find(|p| p.playbook == id));
    room.step = run.and_then(crate::incident::PlaybookRun::next).unwrap_or(0);
    room.playbook = Some(id.to_owned());
    (room.tab, room.scroll) = (Tab::Playbook, 0);
    Vec::new()
}

/// Opens a playbook at a step, counted from 1.
pub(super) fn open_step(model: &mut Model, id: &str, number: usize) -> Vec<Effect> {
    let effects = open_playbook(model, id);
    if let Some(room) = &mut model.room {
        room.step = number.saturating_sub(1);
    }
    effects
}

/// The open playbook, the number of the selected step and its state.
fn selected(model: &Model) -> Option<(String, usize, StepState)> {
    let room = model.room.as_ref()?;
    let playbook = room.open_playbook(&model.playbooks)?;
    let at = room.step.min(playbook.steps.len().checked_sub(1)?);
    let run = room.incident.as_ref()?.playbooks.iter().find(|p| p.playbook == playbook.id);
    let state = run.and_then(|run| run.steps.get(at)).map_or(StepState::Waiting, |s| s.state);
    Some((playbook.id.clone(), at + 1, state))
}

/// Prepares the selected step, to be confirmed if it runs a script.
pub(super) fn run_step(model: &mut Model, again: bool) -> Vec<Effect> {
    let Some((playbook, step, _)) = selected(model) else {
        return say_key(model, "No playbook is open. Press {} to choose one.", Action::ChoosePlaybook);
    };
    if let Some(running) = &model.running {
        let text = format!("{} is still running. Press {{}} to stop it.", upper(&running.title));
        return say_key(model, &text, Action::Cancel);
    }
    let Some(room) = &model.room else { return Vec::new() };
    // Values that were given for other playbooks stay with the room.
    let values = known_values(room, room.open_playbook(&model.playbooks));
    let call = StepCall { id: room.id, playbook, step, values, again };
    vec![Effect::Step(StepEffect::Prepare(call))]
}

/// The values of the room that a playbook has variables for.
fn known_values(room: &Room, playbook: Option<&Playbook>) -> std::collections::BTreeMap<String, String> {
    let is_known = |name: &String| playbook.is_some_and(|p| p.has_variable(name));
    room.values.iter().filter(|(name, _)| is_known(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Keeps the value of a variable that was typed as `NAME=VALUE`; an empty value removes it.
///
/// # Errors
/// A hint on what to type.
pub(super) fn value_typed(model: &mut Model, text: &str) -> Result<(), String> {
    let (name, value) = text.split_once('=').ok_or("Type a name, = and a value: pod=web-1")?;
    let name = name.trim().trim_start_matches('$').to_owned();
    let Some(room) = &mut model.room else { return Ok(()) };
    let playbook = room.open_playbook(&model.playbooks);
    if !playbook.is_some_and(|p| p.has_variable(&name)) {
        return Err(format!("This playbook has no variable '{name}'."));
    }
    if value.is_empty() {
        room.values.remove(&name);
    } else {
        room.values.insert(name, value.to_owned());
    }
    Ok(())
}

/// Asks for the value of a variable that a step needs, and then prepares the step again.
pub(super) fn ask_value(model: &mut Model, call: StepCall, name: &str, description: &str, choices: Vec<String>) -> Vec<Effect> {
    if model.overlay.is_some() {
        return Vec::new();
    }
    let title = format!("Step {} needs ${name}", call.step);
    if choices.is_empty() {
        let purpose = Purpose::Value { call, name: name.to_owned() };
        let hint = format!("{}.", upper(description));
        return show(model, Overlay::Input(InputDialog::new(title, purpose, hint, TextField::default())));
    }
    let row = |value: String| {
        let call = with_value(call.clone(), name, &value);
        Row::new(value, "", Next::Effect(Box::new(Effect::Step(StepEffect::Prepare(call)))))
    };
    choose(model, format!("{title}: {description}"), choices.into_iter().map(row).collect(), 0)
}

/// A call with one more value.
fn with_value(mut call: StepCall, name: &str, value: &str) -> StepCall {
    call.values.insert(name.to_owned(), value.to_owned());
    call
}

/// Keeps a value that was asked for, and prepares the step again.
pub(super) fn value_given(model: &mut Model, call: StepCall, name: &str, value: &str) -> Vec<Effect> {
    if let Some(room) = &mut model.room {
        room.values.insert(name.to_owned(), value.to_owned());
    }
    vec![Effect::Step(StepEffect::Prepare(with_value(call, name, value)))]
}

/// Stops the script that is running.
pub(super) fn stop_script(model: &mut Model) -> Vec<Effect> {
    model.say(Tone::Plain, "Stopping the script …");
    vec![Effect::StopScript]
}

/// Asks why the selected step is skipped.
pub(super) fn skip_step(model: &mut Model) -> Vec<Effect> {
    match selected(model) {
        None => say_key(model, "No playbook is open. Press {} to choose one.", Action::ChoosePlaybook),
        Some((_, _, StepState::Skipped)) => say(model, "This step is skipped already."),
        Some((playbook, step, _)) => {
            let purpose = Purpose::SkipStep { playbook, step };
            let dialog = InputDialog::new(format!("Skip step {step}"), purpose, "Why it is not needed.", TextField::default());
            show(model, Overlay::Input(dialog))
        }
    }
}

/// Asks for the value of a variable.
pub(super) fn set_variable(model: &mut Model) -> Vec<Effect> {
    let names = model.room.as_ref().and_then(|room| {
        let playbook = room.open_playbook(&model.playbooks)?;
        Some(playbook.variables.keys().cloned().collect::<Vec<_>>().join(", "))
    });
    let Some(names) = names else {
        return say_key(model, "No playbook is open. Press {} to choose one.", Action::ChoosePlaybook);
    };
    let hint = format!("NAME=VALUE. The variables are service{}{names}.", if names.is_empty() { "" } else { ", " });
    show(model, Overlay::Input(InputDialog::new("Variable", Purpose::Variable, hint, TextField::default())))
}
