//! The search in an open text.

use super::model::{Model, Tone};
use super::overlay::Overlay;

/// A search in an open text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Find {
    /// What is searched for; empty without a search.
    pub text: String,
    /// The lines of the text that match, as it was drawn last.
    pub lines: Vec<usize>,
    /// Whether the first match is still to be shown.
    pub jumps: bool,
}

/// The scroll offset of a text; `None` for other overlays.
fn scroll_of(overlay: &mut Overlay) -> Option<&mut usize> {
    match overlay {
        Overlay::Text { scroll, .. } | Overlay::Output { scroll, .. } | Overlay::Evidence { scroll, .. } => Some(scroll),
        _ => None,
    }
}

/// The position of the match at the top of the text, counted from 1, and the number of matching lines.
pub(crate) fn place(model: &Model) -> (usize, usize) {
    let at = match &model.overlay {
        Some(Overlay::Text { scroll, .. } | Overlay::Output { scroll, .. } | Overlay::Evidence { scroll, .. }) => *scroll,
        _ => 0,
    };
    // At the end of a text, its last matches are visible although none is at the top.
    let at = at.min(model.scroll_limit);
    let before = model.find.lines.iter().filter(|line| **line <= at).count();
    (before.max(usize::from(!model.find.lines.is_empty())), model.find.lines.len())
}

/// Shows the next or the previous matching line at the top of the text.
pub(crate) fn go(model: &mut Model, forward: bool) {
    let limit = model.scroll_limit;
    let lines = &model.find.lines;
    let Some(at) = model.overlay.as_mut().and_then(scroll_of) else { return };
    let here = (*at).min(limit);
    let next = if forward { lines.iter().find(|l| **l > here) } else { lines.iter().rev().find(|l| **l < here) };
    match next {
        Some(line) if *at <= limit || !forward => *at = *line,
        _ => {
            let text = model.find.text.clone();
            model.say(Tone::Plain, format!("No further line has '{text}'."));
        }
    }
}

/// Takes the matching lines of the frame that was drawn. Returns whether the text was scrolled to the first match, so that it must be
/// drawn again.
pub(crate) fn drawn(model: &mut Model, lines: Vec<usize>) -> bool {
    model.find.lines = lines;
    if !std::mem::take(&mut model.find.jumps) {
        return false;
    }
    let limit = model.scroll_limit;
    let lines = &model.find.lines;
    let Some(at) = model.overlay.as_mut().and_then(scroll_of) else { return false };
    let here = (*at).min(limit);
    if let Some(line) = lines.iter().find(|l| **l >= here).or(lines.first()) {
        *at = *line;
    } else {
        let text = model.find.text.clone();
        model.say(Tone::Plain, format!("No line has '{text}'."));
    }
    true
}
