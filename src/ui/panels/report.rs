//! The report: the post-mortem as it would be exported now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::room::Room;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, markdown, scrolled};

pub fn render(room: &Room, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let block = bordered(theme, "Report as it would be exported now · e writes it to a file".to_owned(), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = match &room.report {
        Some(text) => markdown(theme, text, usize::from(inner.width)),
        None => vec![Line::from(Span::styled("making the report …", theme.style(Meaning::Muted)))],
    };
    scrolled(frame.buffer_mut(), inner, &lines, room.scroll);
}
