//! The user's own commands: choosing one, and keeping its output.

use super::super::model::{Model, Screen, Tone};
use super::super::msg::{Effect, OwnCall, OwnEffect};
use super::super::overlay::{Next, Overlay, Row};
use super::super::room::Tab;
use super::common::{choose, say, show, write};
use crate::telemetry::Labels;

/// Lists the commands. Choosing one fills in the variables of what is selected.
pub(super) fn choose_command(model: &mut Model) -> Vec<Effect> {
    if model.commands.is_empty() {
        return say(model, "You have no commands yet. Add one to [[commands]] in the configuration.");
    }
    if let Some(running) = &model.running {
        let text = format!("Still running: {}.", running.title);
        return say(model, text);
    }
    let row = |(name, help): &(String, String)| {
        let call = OwnCall { name: name.clone(), ..selection(model) };
        Row::new(name.clone(), help.clone(), Next::Effect(Box::new(Effect::Own(OwnEffect::Prepare(call)))))
    };
    let rows = model.commands.iter().map(row).collect();
    choose(model, "Command", rows, 0)
}

/// What is selected: in the room the incident and the evidence item, on the board the alert and its incident.
fn selection(model: &Model) -> OwnCall {
    let name = String::new();
    if let (Screen::Room, Some(room)) = (model.screen, &model.room) {
        let evidence = if room.tab == Tab::Signals { room.selected_evidence() } else { None };
        return OwnCall { name, incident: Some(room.id), labels: Labels::new(), evidence };
    }
    let alert = model.board.current();
    let incident = alert.and_then(|a| model.board.owner(a));
    OwnCall { name, incident, labels: alert.map(|a| a.labels.clone()).unwrap_or_default(), evidence: None }
}

/// Shows the whole output of a command, unless something else was opened in the meantime.
pub(super) fn ended(model: &mut Model, name: String, text: String, keep: Option<Box<Effect>>) -> Vec<Effect> {
    match &model.overlay {
        Some(Overlay::Output { scroll, .. }) => {
            let scroll = *scroll;
            show(model, Overlay::Output { name, text, scroll, keep })
        }
        None => show(model, Overlay::Output { name, text, scroll: 0, keep }),
        Some(_) => say(model, format!("The command {name} has ended.")),
    }
}

/// Keeps the output that is open as evidence.
pub(super) fn keep_output(
    model: &mut Model,
    name: String,
    text: String,
    scroll: usize,
    keep: Option<Box<Effect>>,
) -> Vec<Effect> {
    let effects = match keep {
        _ if model.running.is_some() => say(model, "The command is still running."),
        Some(effect) if !model.read_only => write(model, *effect),
        Some(_) => say(model, "Read-only mode: nothing is kept."),
        None => {
            model.say(Tone::Plain, "It is kept already, or there is no incident to keep it in.");
            Vec::new()
        }
    };
    model.overlay = Some(Overlay::Output { name, text, scroll, keep: None });
    effects
}
