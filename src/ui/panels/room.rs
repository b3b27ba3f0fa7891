//! The incident room: the tab bar and the open tab.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::{actions, assistant, logs, overview, playbook, report, signals, timeline, updates};
use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::pointer::Target;
use crate::app::room::{Room, Tab};
use crate::incident::EvidenceId;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, put};
use crate::ui::{ViewCache, text};

/// Draws the incident room.
pub(crate) fn render(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(room) = &model.room else { return };
    let [tabs, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas::<2>(area);
    tab_bar(model, room, theme, cache, frame, tabs);
    if room.incident.is_none() {
        put(frame.buffer_mut(), body, 0, &Line::from(Span::styled(" Loading the incident …", theme.style(Meaning::Muted))), None);
        return;
    }
    let body = match room.pinned {
        Some(id) => pinned(model, id, theme, cache, frame, body),
        None => body,
    };
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

/// From this width on, pinned evidence is beside the tab; below it, under the tab.
const WIDE: u16 = 120;

/// Draws the pinned evidence. Returns the area that is left for the tab.
fn pinned(model: &Model, id: EvidenceId, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) -> Rect {
    let [rest, place] = if area.width >= WIDE {
        Layout::horizontal([Constraint::Percentage(62), Constraint::Percentage(38)]).areas::<2>(area)
    } else {
        Layout::vertical([Constraint::Percentage(58), Constraint::Percentage(42)]).areas::<2>(area)
    };
    let block = bordered(theme, format!("{id} pinned · {} removes it", model.key(Action::Pin)), false);
    let inner = block.inner(place);
    frame.render_widget(block, place);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    super::overlay::evidence_body(model, theme, cache, id, (0, None, None), frame, inner);
    rest
}

/// The tabs with their numbers, a running investigation or the filter, and at the right end who else has this incident open.
fn tab_bar(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let count = |tab: Tab| {
        let count = room.incident.as_ref().map_or(0, |i| match tab {
            Tab::Signals => i.current_evidence().count(),
            Tab::Actions => i.actions.len(),
            _ => 0,
        });
        if count > 0 { format!(" {count}") } else { String::new() }
    };
    // The longest names with which all tabs fit.
    let whole = |tab: Tab| format!(" {} {}{} ", tab.label().0, tab.label().1, count(tab));
    let short = |tab: Tab| format!("{} {} ", tab.label().0, tab.short_name());
    let shortest = |tab: Tab| {
        let name: String = tab.short_name().chars().take(if tab == room.tab { usize::MAX } else { 3 }).collect();
        format!("{} {name} ", tab.label().0)
    };
    let forms: [&dyn Fn(Tab) -> String; 3] = [&whole, &short, &shortest];
    let fits = |form: &&&dyn Fn(Tab) -> String| {
        Tab::ALL.into_iter().map(|t| text::width(&form(t))).sum::<usize>() < usize::from(area.width)
    };
    let form = forms.iter().find(fits).unwrap_or(&forms[2]);
    let mut spans = vec![Span::raw(" ")];
    let mut x = area.x + 1;
    for tab in Tab::ALL {
        let style = if tab == room.tab { theme.style(Meaning::Selection) } else { theme.style(Meaning::Muted) };
        let label = form(tab);
        // The gap behind a short name is not part of it.
        let name = if label.starts_with(' ') { label.as_str() } else { label.trim_end() };
        spans.push(Span::styled(name.to_owned(), style));
        let width = u16::try_from(text::width(&label)).unwrap_or(0);
        cache.target(Rect { x, width, ..area }, 0, Target::Tab(tab));
        x = x.saturating_add(width);
        spans.push(Span::raw(" ".repeat(text::width(&label) - text::width(name))));
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
