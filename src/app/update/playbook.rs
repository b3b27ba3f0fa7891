//! The playbook tab: chooses a playbook, and runs, skips and ticks its steps.

use super::super::action::Action;
use super::super::edit::TextField;
use super::super::model::Model;
use super::super::msg::Effect;
use super::super::overlay::{InputDialog, Next, Overlay, Purpose, Row};
use super::super::room::Tab;
use super::common::{choose, current, say, say_key, show};
use crate::incident::StepState;
use crate::playbook::matches;

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
    let Some(room) = &model.room else { return Vec::new() };
    vec![Effect::PrepareStep { id: room.id, playbook, step, values: room.values.clone(), again }]
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
