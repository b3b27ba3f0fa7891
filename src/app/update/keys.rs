//! Keys: overlays first, then sequences, then actions.

use super::super::action::{Found, find};
use super::super::chord::Chord;
use super::super::model::{Model, Tone};
use super::super::msg::Effect;
use super::super::overlay::Overlay;
use super::{overlay, perform};

pub(super) fn pressed(model: &mut Model, chord: Chord) -> Vec<Effect> {
    // Redraw works everywhere: what garbles a screen does not ask what is open.
    if chord == Chord::ctrl('l') {
        return vec![Effect::Redraw];
    }
    if chord == Chord::ctrl('z') {
        return vec![Effect::Suspend];
    }
    if chord == Chord::ctrl('c') {
        model.pending.clear();
        if model.overlay.take().is_some() {
            return Vec::new();
        }
        model.say(Tone::Plain, "q goes back and, from the board, quits");
        return Vec::new();
    }
    if model.overlay.is_some() {
        return overlay::pressed(model, chord);
    }
    model.pending.push(chord);
    match find(&model.pending, &model.contexts()) {
        Found::Pending => Vec::new(),
        Found::Action(action) => {
            model.pending.clear();
            perform::perform(model, action)
        }
        Found::Nothing => {
            let long = model.pending.len() > 1;
            let keys: String = model.pending.iter().map(ToString::to_string).collect();
            model.pending.clear();
            if long {
                // The last key of a broken sequence still means what it means alone.
                return pressed(model, chord);
            }
            model.say(Tone::Plain, format!("{keys} does nothing here; ? lists the keys"));
            Vec::new()
        }
    }
}

/// Pasted text goes into a field and never submits; elsewhere it is not taken for key presses.
pub(super) fn pasted(model: &mut Model, text: &str) -> Vec<Effect> {
    match &mut model.overlay {
        Some(Overlay::Line { edit, .. } | Overlay::Palette { edit, .. }) => edit.insert(text),
        Some(Overlay::Declare(form)) if form.field == 0 => form.title.insert(text),
        _ => model.say(Tone::Plain, "there is no field to paste into"),
    }
    overlay::changed(model)
}
