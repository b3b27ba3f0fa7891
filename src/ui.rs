//! Draws the model as a frame, without changing the model. [`ViewCache`] keeps the scroll offsets that depend on the size of
//! the terminal.

pub(crate) mod ascii;
pub(crate) mod panels;
pub(crate) mod preview;
pub(crate) mod text;
pub(crate) mod theme;
pub(crate) mod widgets;

use std::collections::HashMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::app::action::Context;
use crate::app::model::{Model, Screen};
use crate::app::pointer::{Area, Target};
use crate::telemetry::Window;
pub(crate) use theme::Theme;

/// View state that depends on the size of the terminal, and so is not part of the model.
#[derive(Debug, Default)]
pub(crate) struct ViewCache {
    offsets: HashMap<&'static str, usize>,
    /// The largest useful scroll offset of the text that was drawn last, in lines.
    pub scroll_limit: usize,
    /// The scroll offset that shows a spot that was just selected.
    pub scrolled_to: Option<usize>,
    /// The lines of the open text that match its search.
    pub matches: Vec<usize>,
    /// What the pointer can reach in the frame. What was drawn later lies above.
    pub targets: Vec<(Area, Target)>,
}

impl ViewCache {
    /// The first visible item of a list whose items have different heights; 0 if none was set.
    pub(crate) fn first(&self, list: &'static str) -> usize {
        self.offsets.get(list).copied().unwrap_or(0)
    }

    /// Makes a row of an area something to click, counted from 0.
    pub(crate) fn target(&mut self, area: Rect, row: usize, target: Target) {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        if row < area.height {
            self.targets.push((Area { x: area.x, y: area.y + row, width: area.width, height: 1 }, target));
        }
    }

    /// Makes the plot of a chart something to click and drag in.
    pub(crate) fn chart(&mut self, plot: Option<Rect>, window: Window) {
        if let Some(Rect { x, y, width, height }) = plot {
            self.targets.push((Area { x, y, width, height }, Target::Chart(window)));
        }
    }

    /// Stores the first visible item of a list.
    pub(crate) fn set_first(&mut self, list: &'static str, first: usize) {
        self.offsets.insert(list, first);
    }

    /// The first visible row of a list of `length` rows, moved no further than needed to make the row `selected` visible.
    pub(crate) fn offset(&mut self, list: &'static str, selected: usize, height: usize, length: usize) -> usize {
        let offset = self.offsets.entry(list).or_default();
        if height == 0 {
            return 0;
        }
        if selected < *offset {
            *offset = selected;
        } else if selected >= *offset + height {
            *offset = selected + 1 - height;
        }
        *offset = (*offset).min(length.saturating_sub(height));
        *offset
    }
}

/// The smallest terminal, in columns and rows, in which the screens are drawn.
pub(crate) const MIN_SIZE: (u16, u16) = (60, 16);

/// Draws the screen, with an open overlay on top. In a terminal smaller than [`MIN_SIZE`], draws only a short notice.
pub(crate) fn render(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>) {
    let area = frame.area();
    cache.targets.clear();
    cache.matches.clear();
    if area.width < MIN_SIZE.0 || area.height < MIN_SIZE.1 {
        panels::small::render(model, theme, frame, area);
        return;
    }
    let tour = crate::app::tour::line(model).map(|words| text::wrap(&words, usize::from(area.width.saturating_sub(2)).max(1)));
    let tour_height = u16::try_from(tour.as_ref().map_or(0, Vec::len)).unwrap_or(0).min(2);
    let parts = [Constraint::Length(1), Constraint::Min(1), Constraint::Length(tour_height), Constraint::Length(1)];
    let [header, body, tour_row, footer] = Layout::vertical(parts).areas::<4>(area);
    panels::header::render(model, theme, frame, header);
    match model.screen {
        Screen::Board => panels::board::render(model, theme, cache, frame, body),
        Screen::Room => panels::room::render(model, theme, cache, frame, body),
    }
    panels::footer::render(model, theme, frame, footer);
    if let Some(lines) = tour {
        panels::footer::tour(theme, frame, tour_row, &lines);
    }
    if let Some(overlay) = &model.overlay {
        cache.targets.clear();
        panels::overlay::render(model, theme, cache, overlay, frame, body);
    }
    // A dialog has its own keys, so that a message over the footer hides nothing of it. The tour waits while a message is shown.
    let is_dialog = model.overlay.as_ref().is_some_and(|o| o.context() != Context::Reader);
    let rows = tour_row.height + if is_dialog { footer.height } else { 0 };
    let place = Rect { height: area.height - if is_dialog { 0 } else { footer.height }, ..area };
    panels::footer::message(model, theme, frame, place, (is_dialog, rows));
}

/// A rectangle of at most the given size, centered in `area`.
pub(crate) fn centered(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

#[cfg(test)]
mod tests;
