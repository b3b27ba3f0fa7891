//! Action items.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::room::Room;
use crate::incident::ActionState;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, put};
use crate::ui::{ViewCache, text};

pub fn render(room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let open = incident.actions.iter().filter(|a| a.state == ActionState::Open).count();
    let block = bordered(theme, format!("Action items {open} open of {}", incident.actions.len()), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if incident.actions.is_empty() {
        let words = " none yet: A writes one down (prevent, mitigate, detect or process)";
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
        return;
    }
    let offset = cache.offset("actions", room.action, usize::from(inner.height), incident.actions.len());
    let width = usize::from(inner.width);
    for (row, a) in incident.actions.iter().enumerate().skip(offset).take(usize::from(inner.height)) {
        let done = a.state == ActionState::Done;
        let or = |v: &Option<String>, none: &str| v.clone().unwrap_or_else(|| none.to_owned());
        let tail = format!(
            "{} {} {}",
            text::pad(&or(&a.owner, "no owner"), 12),
            text::pad(&or(&a.due, "no date"), 10),
            text::pad(&or(&a.priority, "-"), 2)
        );
        let line = Line::from(vec![
            Span::styled(
                format!(" {} {} ", if done { "✓" } else { "☐" }, text::pad(&a.id.to_string(), 4)),
                theme.style(Meaning::Accent),
            ),
            Span::raw(format!("{:<9}", a.kind.word())),
            Span::styled(
                text::pad(&a.text, width.saturating_sub(text::width(&tail) + 19)),
                theme.style(if done { Meaning::Muted } else { Meaning::Text }),
            ),
            Span::raw(format!(" {tail}")),
        ]);
        put(frame.buffer_mut(), inner, row - offset, &line, (row == room.action).then(|| theme.style(Meaning::Selection)));
    }
}
