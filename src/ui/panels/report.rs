//! The report tab: the post-mortem as it would be exported now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::room::Room;
use crate::ui::ViewCache;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, markdown, scrolled};

/// Draws the report tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let block = bordered(theme, format!("Report as of now · {} to export", model.key(Action::Export)), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = match &room.report {
        Some(text) => markdown(theme, text, usize::from(inner.width)),
        None => vec![Line::from(Span::styled("Preparing the report …", theme.style(Meaning::Muted)))],
    };
    cache.scroll_limit = scrolled(frame.buffer_mut(), inner, &lines, room.scroll);
}
