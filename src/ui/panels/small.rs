//! The notice in a terminal that is too small: the current incident, the number of firing alerts, and the size needed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::model::Model;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::put;
use crate::ui::{MIN_SIZE, text};

/// Draws the notice.
pub(crate) fn render(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut lines = Vec::new();
    let room = model.room.as_ref().and_then(|r| r.incident.as_ref()).map(|i| i.head.clone());
    if let Some(head) = room.or_else(|| model.board.open_incidents().first().map(|h| (*h).clone())) {
        lines.push(Line::from(vec![
            Span::styled(head.severity.to_string(), theme.style(Meaning::for_severity(head.severity))),
            Span::raw(format!(" {} {}", head.id, head.title)),
        ]));
    }
    lines.push(Line::from(format!("{} firing", crate::telemetry::words::count(model.board.counts().0, "alert"))));
    let (width, height) = MIN_SIZE;
    let notice = format!("Terminal too small: {}x{}.\nwarroom needs at least {width}x{height}.", area.width, area.height);
    lines.extend(text::wrap(&notice, usize::from(area.width)).into_iter().map(Line::from));
    for (row, line) in lines.iter().enumerate() {
        put(frame.buffer_mut(), area, row, line, None);
    }
}
