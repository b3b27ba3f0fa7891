//! The pointer: tabs, rows, charts and the wheel.

use super::super::action::{Action, Context};
use super::super::board::Pane;
use super::super::chord::{Chord, Code};
use super::super::model::{Model, Screen};
use super::super::msg::Effect;
use super::super::overlay::Overlay;
use super::super::pointer::{Pointer, Target, time_at};
use super::super::room::Tab;
use super::go::{select, tab};
use super::{dialogs, keys, metric, perform};
use crate::telemetry::{Timestamp, Window};

/// The rows that one step of the wheel moves.
const WHEEL: usize = 3;
/// The shortest part of a chart that dragging selects, as a share of what it shows. Less is a click with an unsteady hand.
const MIN_DRAG: f64 = 0.02;

/// Handles the pointer in a cell.
pub(super) fn pointed(model: &mut Model, what: Pointer, x: u16, y: u16) -> Vec<Effect> {
    let found = model.pointer.targets.iter().rev().find(|(area, _)| area.contains(x, y)).copied();
    match (what, found) {
        (Pointer::WheelUp, _) => wheel(model, false),
        (Pointer::WheelDown, _) => wheel(model, true),
        (Pointer::Pressed, Some((area, Target::Chart(window)))) => {
            let at = time_at(area, window, x);
            model.pointer.pressed_at = Some(at);
            show_chart(model, at, None)
        }
        (Pointer::Dragged, Some((area, Target::Chart(window)))) if model.pointer.pressed_at.is_some() => {
            show_chart(model, time_at(area, window, x), None)
        }
        (Pointer::Released, Some((area, Target::Chart(window)))) => {
            let (from, to) = (model.pointer.pressed_at.take(), time_at(area, window, x));
            match from.and_then(|from| part(window, from, to)) {
                Some(part) => show_chart(model, to, Some(part)),
                None => Vec::new(),
            }
        }
        (Pointer::Pressed, Some((_, target))) => clicked(model, target),
        (Pointer::Pressed | Pointer::Dragged | Pointer::Released, _) => {
            if what == Pointer::Released {
                model.pointer.pressed_at = None;
            }
            Vec::new()
        }
    }
}

/// The part of a chart between two times; `None` if it is too short to be meant.
fn part(window: Window, a: Timestamp, b: Timestamp) -> Option<Window> {
    let part = Window { start: a.min(b), end: a.max(b) };
    (part.length().as_secs_f64() >= window.length().as_secs_f64() * MIN_DRAG).then_some(part)
}

/// Moves the cursor of the open chart, and shows a part of its window if one was selected.
fn show_chart(model: &mut Model, to: Timestamp, part: Option<Window>) -> Vec<Effect> {
    let shown = match &model.overlay {
        Some(Overlay::Evidence { view, .. }) => *view,
        Some(Overlay::Metric(metric)) => metric.view,
        _ => None,
    };
    if let Some(overlay) = &mut model.overlay {
        metric::set_cursor(overlay, Some(to), part.or(shown));
    }
    Vec::new()
}

fn wheel(model: &mut Model, is_down: bool) -> Vec<Effect> {
    // In a text field, the keys of the wheel would recall earlier texts.
    if matches!(model.overlay.as_ref().map(Overlay::context), Some(Context::Line | Context::Form)) {
        return Vec::new();
    }
    let chord = Chord::plain(if is_down { Code::Down } else { Code::Up });
    (0..WHEEL).flat_map(|_| keys::pressed(model, chord)).collect()
}

/// The first click selects a row, a click on the selected row opens it.
fn clicked(model: &mut Model, target: Target) -> Vec<Effect> {
    match (target, &mut model.overlay) {
        (Target::Row(n), Some(overlay)) => {
            let selected = match overlay {
                Overlay::List(list) => &mut list.selected,
                Overlay::Palette { selected, .. } | Overlay::Checklist { selected } => selected,
                _ => return Vec::new(),
            };
            if std::mem::replace(selected, n) == n {
                return dialogs::perform(model, Action::Choose, Chord::plain(Code::Enter));
            }
            Vec::new()
        }
        (_, Some(_)) => Vec::new(),
        (Target::Tab(to), None) => tab(model, to),
        (Target::Incident(n), None) => in_board(model, Pane::Incidents, n),
        (Target::Row(n), None) if model.screen == Screen::Board => in_board(model, Pane::Alerts, n),
        (Target::Row(n), None) => {
            let is_open = !select(model, n);
            let action = model.room.as_ref().and_then(|r| match r.tab {
                Tab::Overview => Some(Action::OpenFinding),
                Tab::Timeline => Some(Action::OpenEntry),
                Tab::Signals => Some(Action::OpenEvidence),
                Tab::Logs => Some(Action::PatternLines),
                // What would change something is not done by a click.
                Tab::Assistant | Tab::Playbook | Tab::Actions | Tab::Updates | Tab::Report => None,
            });
            action.filter(|_| is_open).map_or_else(Vec::new, |action| perform::perform(model, action))
        }
        (Target::Line(n), None) => {
            model.logs.select(n);
            Vec::new()
        }
        (Target::Chart(_), None) => Vec::new(),
    }
}

fn in_board(model: &mut Model, pane: Pane, n: usize) -> Vec<Effect> {
    let had_focus = std::mem::replace(&mut model.board.pane, pane) == pane;
    let is_selected = !select(model, n);
    if had_focus && is_selected { perform::perform(model, Action::Open) } else { Vec::new() }
}
