//! The incident room: the tab bar and the open tab.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::{actions, assistant, logs, overview, playbook, report, signals, timeline, updates};
use crate::app::model::Model;
use crate::app::room::{Room, Tab};
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::put;
use crate::ui::{ViewCache, text};

/// Draws the incident room.
pub(crate) fn render(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(room) = &model.room else { return };
    let [tabs, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas::<2>(area);
    tab_bar(model, room, theme, frame, tabs);
    if room.incident.is_none() {
        put(frame.buffer_mut(), body, 0, &Line::from(Span::styled(" Loading the incident …", theme.style(Meaning::Muted))), None);
        return;
    }
    match room.tab {
        Tab::Overview => overview::render(model, room, theme, cache, frame, body),
        Tab::Timeline => timeline::render(model, room, theme, cache, frame, body),
        Tab::Signals => signals::render(model, room, theme, cache, frame, body),
        Tab::Logs => logs::render(model, theme, cache, frame, body),
        Tab::Assistant => assistant::render(model, room, theme, cache, frame, body),
        Tab::Playbook => playbook::render(model, room, theme, cache, frame, body),
        Tab::Actions => actions::render(model, room, theme, cache, frame, body),
        Tab::Updates => updates::render(model, room, theme, cache, frame, body),
        Tab::Report => report::render(model, room, theme, cache, frame, body),
    }
}

/// The tabs with their numbers, a running investigation or the filter, and at the right end who else has this incident open.
fn tab_bar(model: &Model, room: &Room, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let short = area.width < 100;
    let mut spans = vec![Span::raw(" ")];
    for tab in Tab::ALL {
        let (key, name) = tab.label();
        let count = room.incident.as_ref().map_or(0, |i| match tab {
            Tab::Signals => i.current_evidence().count(),
            Tab::Actions => i.actions.len(),
            _ => 0,
        });
        let count = if count > 0 && !short { format!(" {count}") } else { String::new() };
        let label = if short { format!("{key} {}", tab.short_name()) } else { format!(" {key} {name}{count} ") };
        let style = if tab == room.tab { theme.style(Meaning::Selection) } else { theme.style(Meaning::Muted) };
        spans.push(Span::styled(label, style));
        if short {
            spans.push(Span::raw(" "));
        }
    }
    if let Some(progress) = &room.investigating {
        spans.push(Span::styled(format!("  ⟳ {progress}"), theme.style(Meaning::Accent)));
    } else if !room.filter.is_empty() {
        spans.push(Span::styled(format!("  filter: {}", room.filter), theme.style(Meaning::Accent)));
    }
    put(frame.buffer_mut(), area, 0, &Line::from(spans), None);
    if !model.colleagues.is_empty() {
        // The colleagues cover whatever is at the right end.
        let max_width = usize::from(area.width / 3);
        let words = text::fit(&format!(" ☺ {} ", model.colleagues.join(", ")), max_width);
        let width = u16::try_from(text::width(&words)).unwrap_or(0).min(area.width);
        let place = Rect { x: area.right() - width, width, ..area };
        put(frame.buffer_mut(), place, 0, &Line::from(Span::styled(words, theme.style(Meaning::Accent))), None);
    }
}
