//! The timeline: newest at the bottom, day by day, who and what, with evidence tags.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::model::Model;
use crate::app::room::Room;
use crate::incident::ActorKind;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{cited, frame as bordered, put};
use crate::ui::{ViewCache, text};

pub fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let shown = room.shown_entries();
    let hidden = incident.entries.len() - shown.len();
    let more = if hidden > 0 { format!(" · {hidden} not shown (v)") } else { String::new() };
    let zone = if model.offset.is_utc() { "UTC".to_owned() } else { format!("UTC, here {}", model.offset) };
    let block = bordered(theme, format!("Timeline {} entries · {zone}{more}", shown.len()), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width);
    let selected = room.entry_position();
    // Entries wrap: lines of each, and where the selected one lies.
    let mut lines: Vec<(Line<'static>, bool)> = Vec::new();
    let mut focus = 0;
    let mut day = String::new();
    for (i, entry) in shown.iter().enumerate() {
        let date = entry.at.date();
        if date != day {
            lines.push((
                Line::from(Span::styled(
                    format!("── {date} {}", "─".repeat(width.saturating_sub(15))),
                    theme.style(Meaning::Muted),
                )),
                false,
            ));
            day = date;
        }
        let (mark, meaning) = match entry.actor.kind {
            ActorKind::Human => ("◆", Meaning::Accent),
            ActorKind::Ai => ("AI", Meaning::Ai),
            ActorKind::System => ("·", Meaning::Muted),
        };
        let tags: String = entry.fact.evidence().iter().take(4).map(|e| format!(" [{e}]")).collect();
        let back = if entry.is_backdated() { " (backdated)" } else { "" };
        let body = format!("{}{tags}{back}", incident.text_of(entry));
        let head = format!("{} {} ", entry.at.clock(time::UtcOffset::UTC), text::pad(mark, 2));
        let who = format!("{} ", text::pad(&entry.actor.name, 10));
        let indent = text::width(&head) + text::width(&who);
        if i == selected {
            focus = lines.len();
        }
        for (n, part) in text::wrap(&body, width.saturating_sub(indent + 1).max(20)).iter().enumerate() {
            let mut spans = if n == 0 {
                vec![Span::styled(head.clone(), theme.style(meaning)), Span::styled(who.clone(), theme.style(Meaning::Muted))]
            } else {
                vec![Span::raw(" ".repeat(indent))]
            };
            spans.extend(cited(theme, part));
            lines.push((Line::from(spans), i == selected));
        }
    }
    let height = usize::from(inner.height);
    let last_of_focus = lines.iter().enumerate().skip(focus).take_while(|(_, (_, s))| *s).map(|(i, _)| i).last().unwrap_or(focus);
    let offset = cache.offset("timeline", last_of_focus, height, lines.len());
    for (row, (line, is_selected)) in lines.iter().enumerate().skip(offset).take(height) {
        put(frame.buffer_mut(), inner, row - offset, line, is_selected.then(|| theme.style(Meaning::Selection)));
    }
}
