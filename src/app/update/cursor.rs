//! The cursor of a chart, and the part of the window that it shows.

use super::super::action::Action;
use crate::telemetry::{Series, Timestamp, Window};

/// How many samples a far step is, as a part of those that are shown.
const FAR: usize = 10;
/// The least number of samples that a chart shows.
const MIN_SHOWN: usize = 4;

/// What the cursor of a chart moves over.
pub(super) struct Span {
    /// The times of the samples, in order.
    times: Vec<Timestamp>,
    window: Window,
    at: Option<Timestamp>,
    view: Option<Window>,
}

impl Span {
    /// The samples of series within a window, with the cursor and the shown part.
    pub(super) fn new(series: &[Series], window: Window, at: Option<Timestamp>, view: Option<Window>) -> Self {
        let mut times: Vec<Timestamp> = series.iter().flat_map(|s| s.within(window).iter().map(|p| p.at)).collect();
        times.sort_unstable();
        times.dedup();
        Self { times, window, at, view }
    }
}

/// The cursor and the shown part of the window after an action; `None` if the action does not concern them, or there are no samples.
pub(super) fn moved(action: Action, span: &Span) -> Option<(Option<Timestamp>, Option<Window>)> {
    if !matches!(
        action,
        Action::Earlier | Action::Later | Action::FarEarlier | Action::FarLater | Action::ZoomIn | Action::ZoomOut
    ) {
        return None;
    }
    let Span { times, window, at, view } = span;
    let (window, at, view) = (*window, *at, *view);
    let last = times.len().checked_sub(1)?;
    let shown = view.unwrap_or(window);
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
        Action::ZoomIn => Some(around(cursor, length / 2, window)),
        Action::ZoomOut if length * 2 >= window.length() => None,
        Action::ZoomOut => Some(around(cursor, length * 2, window)),
        // The view follows the cursor.
        _ if view.is_some() && !shown.contains(cursor) => Some(around(cursor, length, window)),
        _ => view,
    };
    Some((Some(cursor), view))
}

/// The sample nearest to a time, and the part of the window that shows it; `None` outside the window or without samples.
pub(super) fn to_time(span: &Span, to: Timestamp) -> Option<(Timestamp, Option<Window>)> {
    let cursor = span.times.iter().copied().min_by_key(|t| t.since(to).max(to.since(*t)))?;
    if !span.window.contains(to) {
        return None;
    }
    let view = span.view.map(|view| if view.contains(cursor) { view } else { around(cursor, view.length(), span.window) });
    Some((cursor, view))
}

/// A window of this length around a time, within another one.
fn around(at: Timestamp, length: std::time::Duration, within: Window) -> Window {
    let start = (at - length / 2).max(within.start);
    let start = start.min(within.end - length).max(within.start);
    Window::new(start, (start + length).min(within.end))
}
