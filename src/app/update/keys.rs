//! Key presses and pastes: looks up bindings and passes them to the dialog or the view.

use super::super::action::Action;
use super::super::chord::Chord;
use super::super::keymap::Found;
use super::super::model::{Model, Tone};
use super::super::msg::Effect;
use super::super::overlay::Overlay;
use super::common::say;
use super::{dialogs, perform};
use crate::app::Context;
use crate::app::edit::TooLong;

pub(super) fn pressed(model: &mut Model, chord: Chord) -> Vec<Effect> {
    if model.overlay.as_ref().is_none_or(|open| open.context() == Context::Reader) {
        model.under = None;
    }
    // A remark was read when the next key is pressed.
    model.toast.take_if(|toast| toast.tone == Tone::Plain);
    // These always work, even if a dialog is open.
    match model.keymap.find(&[chord], &[Context::Everywhere]) {
        Found::Action(action @ (Action::Redraw | Action::Suspend)) => return perform::perform(model, action),
        Found::Action(Action::Cancel) if model.running.is_some() && matches!(model.overlay, Some(Overlay::Output { .. })) => {
            return super::playbook::stop_script(model);
        }
        Found::Action(Action::Cancel) if model.overlay.is_some() => {
            model.pending.clear();
            return dialogs::close_open(model);
        }
        Found::Action(_) | Found::Pending | Found::Nothing => {}
    }
    model.pending.push(chord);
    match model.keymap.find(&model.pending, &model.contexts()) {
        Found::Pending => Vec::new(),
        Found::Action(action) => {
            model.pending.clear();
            if model.overlay.is_some() { dialogs::perform(model, action, chord) } else { perform::perform(model, action) }
        }
        Found::Nothing => {
            let is_sequence = model.pending.len() > 1;
            let keys: String = model.pending.iter().map(ToString::to_string).collect();
            model.pending.clear();
            if is_sequence {
                // The sequence is not bound; handle its last key on its own.
                return pressed(model, chord);
            }
            if model.overlay.is_some() {
                return dialogs::key_typed(model, chord);
            }
            let help = model.key(Action::Help);
            say(model, format!("{keys} is not bound here. Press {help} to list the keys."))
        }
    }
}

/// Inserts pasted text into the open text field, without submitting it. Without a field, only shows a message: a paste never
/// acts as key presses.
pub(super) fn pasted(model: &mut Model, text: &str) -> Vec<Effect> {
    let has_lines = text.trim().contains(['\n', '\r']);
    let keeps_lines = matches!(&model.overlay, Some(Overlay::Input(line)) if line.edit.is_multiline());
    let inserted = match &mut model.overlay {
        Some(Overlay::Input(line)) => line.edit.insert(text),
        Some(Overlay::Palette { edit, .. }) => edit.insert(text),
        Some(Overlay::List(list)) => list.filter.insert(text),
        Some(Overlay::Help { filter, .. }) => filter.insert(text),
        Some(Overlay::Fields(form)) => match form.focused() {
            Some(field) => field.edit.insert(text),
            None => Ok(()),
        },
        Some(Overlay::Declare(form)) if form.field == crate::app::overlay::DeclareField::Title => form.title.insert(text),
        _ => return say(model, "There is no field to paste into."),
    };
    if let Err(TooLong(bytes)) = inserted {
        let most = crate::app::edit::MAX / 1024;
        let attach =
            if keeps_lines { format!(" Press {} to attach a file instead.", model.key(Action::Attach)) } else { String::new() };
        model.say(
            Tone::Bad,
            format!("Not pasted: the text is {} KiB, and a text field can hold {most} KiB.{attach}", bytes / 1024),
        );
        return Vec::new();
    }
    if has_lines && !keeps_lines {
        model.say(Tone::Plain, "This field has one line: spaces replace the line breaks.");
    }
    dialogs::text_changed(model)
}
