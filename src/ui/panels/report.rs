//! The report tab: the post-mortem as it would be exported now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::room::Room;
use crate::app::update::action_for;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, markdown, scrolled};
use crate::ui::{ViewCache, text};

/// Draws the report tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let block = bordered(theme, format!("Report as of now · {} to export", model.key(Action::Export)), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = match &room.report {
        Some(text) => {
            [missing(model, room, theme, usize::from(inner.width)), markdown(theme, text, usize::from(inner.width))].concat()
        }
        None => vec![Line::from(Span::styled("Preparing the report …", theme.style(Meaning::Muted)))],
    };
    cache.scroll_limit = scrolled(frame.buffer_mut(), inner, &lines, room.scroll);
}

/// What is missing, each part with the key that adds it. Nothing if the report is complete.
fn missing(model: &Model, room: &Room, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    if room.missing.is_empty() {
        return Vec::new();
    }
    let title = format!("Missing {} · {} lists and adds it", room.missing.len(), model.key(Action::FillIn));
    let mut lines = vec![Line::from(Span::styled(title, theme.style(Meaning::Warn)))];
    for part in &room.missing {
        let key = part.remedy.map(|r| model.key(action_for(r))).unwrap_or_default();
        for (n, words) in text::wrap(&part.what, width.saturating_sub(6)).into_iter().enumerate() {
            let lead = if n == 0 { key.as_str() } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!("  {} ", text::pad(lead, 3)), theme.style(Meaning::Accent)),
                Span::raw(words),
            ]));
        }
    }
    lines.push(Line::default());
    lines
}
