//! Helpers for the other parts of the update: opening dialogs, running commands, and reading the selection.

use super::super::action::Action;
use super::super::edit::TextField;
use super::super::model::{Model, Running, Tone};
use super::super::msg::{CustomEffect, Effect, StepEffect};
use super::super::overlay::{InputDialog, ListDialog, Overlay, Purpose, Row};
use super::super::session::field_key;
use crate::incident::{ActorKind, Command, Entry, EvidenceId, Incident, IncidentId};
use crate::telemetry::{Timestamp, Window};

/// The incident of the room; `None` until it has been read.
pub(super) fn current(model: &Model) -> Option<&Incident> {
    model.room.as_ref()?.incident.as_ref()
}

/// Opens an overlay.
///
/// A text that was typed into the same dialog or form and not used is there again. In a field of one line it is selected, so that typing
/// replaces it.
pub(super) fn show(model: &mut Model, mut overlay: Overlay) -> Vec<Effect> {
    if let Overlay::Input(dialog) = &mut overlay {
        let here = model.here();
        let is_unused = |(room, unused): &(Option<IncidentId>, InputDialog)| *room == here && unused.is_same(dialog);
        let unused = model.unused.iter().position(is_unused).map(|n| model.unused.remove(n).1.edit.text().to_owned());
        let is_unsent = |u: &super::super::session::Unsent| u.incident == here && u.title == dialog.title;
        let unsent = || model.unsent.iter().position(is_unsent).map(|n| model.unsent.remove(n).text);
        if let Some(text) = unused.or_else(unsent) {
            // Typing adds to a text, and replaces a single word such as a name.
            let is_text = text.trim().contains(char::is_whitespace);
            let field = if is_text { TextField::with(text) } else { TextField::proposed(text) };
            dialog.edit = field.with_lines(dialog.edit.is_multiline());
        }
    }
    if let Overlay::Fields(form) = &mut overlay {
        let here = model.here();
        let keys: Vec<String> = form.fields.iter().map(|f| field_key(form, f)).collect();
        for (field, key) in form.fields.iter_mut().zip(keys) {
            let is_it = |u: &super::super::session::Unsent| u.incident == here && u.title == key;
            if let Some(n) = model.unsent.iter().position(is_it) {
                field.edit = TextField::with(model.unsent.remove(n).text);
            }
        }
    }
    model.overlay = Some(overlay);
    Vec::new()
}

/// Shows a message and requests no effects.
pub(super) fn say(model: &mut Model, text: impl Into<String>) -> Vec<Effect> {
    model.say(Tone::Plain, text);
    Vec::new()
}

/// Shows `text` with `{}` replaced by the key of an action: `Press {} to investigate.`
pub(super) fn say_key(model: &mut Model, text: &str, action: Action) -> Vec<Effect> {
    let text = text.replace("{}", &model.key(action));
    say(model, text)
}

/// Requests an effect that writes. It counts as unsaved until the journal answers.
pub(super) fn write(model: &mut Model, effect: Effect) -> Vec<Effect> {
    if let Effect::Step(StepEffect::Run(call, _)) = &effect {
        let title = format!("step {} of {}", call.step, call.playbook);
        let step = Some((call.playbook.clone(), call.step));
        model.running = Some(Running { title, since: model.now, step, output: String::new() });
    }
    if let Effect::Custom(CustomEffect::Run(call, _)) = &effect {
        let (name, title) = (call.name.clone(), format!("command {}", call.name));
        model.running = Some(Running { title, since: model.now, step: None, output: String::new() });
        model.overlay = Some(Overlay::Output { name, text: String::new(), scroll: 0, keep: None });
    }
    model.unsaved += 1;
    vec![effect]
}

/// Runs a command on an incident.
pub(super) fn run_on(model: &mut Model, id: IncidentId, command: Command) -> Vec<Effect> {
    write(model, Effect::Run { id, command: Box::new(command), at: None })
}

/// Runs a command on the incident of the room.
pub(super) fn run(model: &mut Model, command: Command) -> Vec<Effect> {
    run_at(model, command, None)
}

/// Runs a command on the incident of the room, backdated to `at` if it is set.
pub(super) fn run_at(model: &mut Model, command: Command, at: Option<Timestamp>) -> Vec<Effect> {
    with_id(model, |m, id| write(m, Effect::Run { id, command: Box::new(command), at }))
}

/// Calls `then` with the id of the room's incident; does nothing without a room.
pub(super) fn with_id(model: &mut Model, then: impl FnOnce(&mut Model, IncidentId) -> Vec<Effect>) -> Vec<Effect> {
    match model.room.as_ref().map(|r| r.id) {
        Some(id) => then(model, id),
        None => Vec::new(),
    }
}

/// An input dialog for the parameters of a command.
pub(super) fn command_dialog(title: impl Into<String>, hint: impl Into<String>, command: Command) -> InputDialog {
    InputDialog::new(title, Purpose::Command(Box::new(command)), hint, TextField::default())
}

/// Opens an input dialog for the parameters of a command.
pub(super) fn ask(model: &mut Model, title: &str, hint: &str, command: Command) -> Vec<Effect> {
    show(model, Overlay::Input(command_dialog(title, hint, command)))
}

/// The people that the incident, the open incidents and the colleagues in the room name: without doubles, the user first.
pub(super) fn people(model: &Model) -> Vec<String> {
    let mut names: Vec<String> = vec![model.user.clone()];
    names.extend(model.colleagues.iter().cloned());
    if let Some(incident) = current(model) {
        names.extend(incident.role_spans.iter().map(|s| s.holder.clone()));
        names.extend(incident.entries.iter().filter(|e| e.actor.kind == ActorKind::Human).map(|e| e.actor.name.clone()));
        names.extend(incident.actions.iter().filter_map(|a| a.owner.clone()));
    }
    names.extend(model.board.incidents.iter().filter_map(|i| i.commander.clone()));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|n| !n.is_empty() && seen.insert(n.to_lowercase()));
    names
}

/// Opens a list with one row selected.
pub(super) fn choose(model: &mut Model, title: impl Into<String>, rows: Vec<Row>, selected: usize) -> Vec<Effect> {
    show(model, Overlay::List(ListDialog::new(title, rows, selected)))
}

/// Evidence tags, such as `[E3][E4]`; empty without evidence.
pub(super) fn tagged(ids: &[EvidenceId]) -> String {
    ids.iter().map(|id| format!("[{id}]")).collect()
}

/// The selected entry of the timeline.
pub(super) fn selected_entry(model: &Model) -> Option<&Entry> {
    let room = model.room.as_ref()?;
    room.shown_entries().get(room.entry_position()).copied()
}

/// A text with a capital letter first.
pub(super) fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Turns the reporting of the pointer on or off. While it is on, most terminals select text with shift.
pub(super) fn toggle_mouse(model: &mut Model) -> Vec<Effect> {
    model.pointer.is_on = !model.pointer.is_on;
    let text = if model.pointer.is_on { "Mouse on. Hold shift to select text." } else { "Mouse off." };
    model.say(Tone::Plain, text);
    vec![Effect::Mouse(model.pointer.is_on)]
}

/// Keeps an evidence item visible beside every tab.
pub(super) fn pin(model: &mut Model, id: EvidenceId) -> Vec<Effect> {
    if let Some(room) = &mut model.room {
        room.pinned = Some(id);
    }
    say_key(model, &format!("{id} is pinned. Press {{}} to remove it."), Action::Pin)
}

/// The window of an incident: that of its last investigation, up to now while it is open.
pub(super) fn incident_window(incident: &Incident, now: Timestamp) -> Window {
    let found = incident.investigation.as_ref().map_or_else(|| incident.window(now), |i| i.window);
    if incident.head.status.is_open() { Window::new(found.start, now) } else { found }
}
