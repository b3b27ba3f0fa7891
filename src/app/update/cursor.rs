//! The cursor of a chart, and the part of the window that it shows.

use super::super::action::Action;
use super::super::model::Model;
use super::common::current;
use crate::evidence::Body;
use crate::incident::EvidenceId;
use crate::telemetry::{Timestamp, Window};

/// How many samples a far step is, as a part of those that are shown.
const FAR: usize = 10;
/// The least number of samples that a chart shows.
const MIN_SHOWN: usize = 4;

/// The cursor and the shown part of the window after an action; `None` if the action does not concern them, or the item has no chart.
pub(super) fn moved(
    model: &Model,
    action: Action,
    id: EvidenceId,
    at: Option<Timestamp>,
    view: Option<Window>,
) -> Option<(Option<Timestamp>, Option<Window>)> {
    if !matches!(
        action,
        Action::Earlier | Action::Later | Action::FarEarlier | Action::FarLater | Action::ZoomIn | Action::ZoomOut
    ) {
        return None;
    }
    let record = current(model)?.evidence(id)?;
    let Body::Series { series, .. } = model.room.as_ref()?.bodies.get(&record.digest)? else { return None };
    let mut times: Vec<Timestamp> = series.iter().flat_map(|s| s.within(record.window).iter().map(|p| p.at)).collect();
    times.sort_unstable();
    times.dedup();
    let last = times.len().checked_sub(1)?;
    let shown = view.unwrap_or(record.window);
    let is_shown = |t: &&Timestamp| shown.contains(**t);
    // The cursor begins at the end, where it is most often wanted.
    let here = at.map_or(last, |at| times.iter().rposition(|t| *t <= at).unwrap_or(0));
    let far = (times.iter().filter(is_shown).count() / FAR).max(1);
    let place = match (action, at) {
        (Action::Earlier | Action::Later, None) => here,
        (Action::Earlier, _) => here.saturating_sub(1),
        (Action::Later, _) => (here + 1).min(last),
        (Action::FarEarlier, _) => here.saturating_sub(far),
        (Action::FarLater, _) => (here + far).min(last),
        _ => here,
    };
    let cursor = times.get(place).copied()?;
    let length = shown.length();
    let view = match action {
        Action::ZoomIn if times.iter().filter(is_shown).count() / 2 < MIN_SHOWN => view,
        Action::ZoomIn => Some(around(cursor, length / 2, record.window)),
        Action::ZoomOut if length * 2 >= record.window.length() => None,
        Action::ZoomOut => Some(around(cursor, length * 2, record.window)),
        // The view follows the cursor.
        _ if view.is_some() && !shown.contains(cursor) => Some(around(cursor, length, record.window)),
        _ => view,
    };
    Some((Some(cursor), view))
}

/// A window of this length around a time, within another one.
fn around(at: Timestamp, length: std::time::Duration, within: Window) -> Window {
    let start = (at - length / 2).max(within.start);
    let start = start.min(within.end - length).max(within.start);
    Window::new(start, (start + length).min(within.end))
}
