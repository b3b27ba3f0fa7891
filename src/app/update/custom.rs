//! The user's own commands: choosing one, and keeping its output.

use super::super::action::Action;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::{CustomCall, CustomEffect, Effect};
use super::super::overlay::{Next, Overlay, Row};
use super::super::room::Tab;
use super::common::{choose, say, say_key, show, upper, write};
use crate::telemetry::Labels;

/// Lists the commands. Choosing one fills in the variables of what is selected.
pub(super) fn choose_command(model: &mut Model) -> Vec<Effect> {
    if model.commands.is_empty() {
        return say(model, "No custom commands yet. Add one to [[commands]] in the configuration.");
    }
    if let Some(running) = &model.running {
        let text = format!("{} is still running. Press {{}} to stop it.", upper(&running.title));
        return say_key(model, &text, Action::Cancel);
    }
    let row = |(name, help): &(String, String)| {
        let call = CustomCall { name: name.clone(), ..selection(model) };
        Row::new(name.clone(), help.clone(), Next::Effect(Box::new(Effect::Custom(CustomEffect::Prepare(call)))))
    };
    let mut rows: Vec<Row> = model.commands.iter().map(row).collect();
    if let Some(output @ Overlay::Output { name, .. }) = &model.last_output {
        rows.push(Row::new("Last output", format!("of {name}"), Next::Show(Box::new(output.clone()))));
    }
    choose(model, "Run command", rows, 0)
}

/// What is selected: in the room the incident and the evidence item, on the board the alert and its incident.
fn selection(model: &Model) -> CustomCall {
    let name = String::new();
    if let (Screen::Room, Some(room)) = (model.screen, &model.room) {
        let evidence = if room.tab == Tab::Signals { room.selected_evidence() } else { None };
        return CustomCall { name, incident: Some(room.id), labels: Labels::new(), evidence };
    }
    let alert = model.board.current();
    let incident = alert.and_then(|a| model.board.owner(a));
    CustomCall { name, incident, labels: alert.map(|a| a.labels.clone()).unwrap_or_default(), evidence: None }
}

/// Shows the whole output of a command, unless something else was opened in the meantime.
pub(super) fn ended(model: &mut Model, name: String, text: String, keep: Option<Box<Effect>>) -> Vec<Effect> {
    model.last_output = Some(Overlay::Output { name: name.clone(), text: text.clone(), scroll: 0, keep: keep.clone() });
    match &model.overlay {
        Some(Overlay::Output { scroll, .. }) => {
            let scroll = *scroll;
            show(model, Overlay::Output { name, text, scroll, keep })
        }
        None => show(model, Overlay::Output { name, text, scroll: 0, keep }),
        Some(_) => {
            let text = format!("The command {name} has ended. Press {{}} to see its output.");
            say_key(model, &text, Action::CustomCommand)
        }
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
        Some(_) => say(model, "Read-only mode: the output was not saved."),
        None => {
            model.say(Tone::Plain, "Already saved, or there is no incident to save it to.");
            Vec::new()
        }
    };
    let shown = Overlay::Output { name, text, scroll, keep: None };
    model.last_output = Some(shown.clone());
    model.overlay = Some(shown);
    effects
}
