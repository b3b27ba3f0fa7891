//! The actions tab: tasks and action items with their state, owner, due time and priority.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::room::Room;
use crate::incident::{ActionScope, ActionState};
use crate::telemetry::time::human_duration;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, put};
use crate::ui::{ViewCache, text};

/// Draws the actions tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let open = incident.actions.iter().filter(|a| a.state.is_open()).count();
    let block = bordered(theme, format!("Action items {open} open of {}", incident.actions.len()), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if incident.actions.is_empty() {
        let words = format!(
            "No action items yet. Press {} to give someone a task, or {} to add an action item.",
            model.key(Action::Task),
            model.key(Action::AddAction)
        );
        for (row, part) in text::wrap(&words, usize::from(inner.width).saturating_sub(2)).iter().enumerate() {
            let line = Line::from(Span::styled(format!(" {part}"), theme.style(Meaning::Muted)));
            put(frame.buffer_mut(), inner, row, &line, None);
        }
        return;
    }
    let offset = cache.offset("actions", room.action, usize::from(inner.height), incident.actions.len());
    let width = usize::from(inner.width);
    for (row, a) in incident.actions.iter().enumerate().skip(offset).take(usize::from(inner.height)) {
        let or = |v: &Option<String>, default: &str| v.clone().unwrap_or_else(|| default.to_owned());
        let is_task = a.scope == ActionScope::Incident;
        let late = a.is_late(model.now) || a.is_overdue(&model.now.date());
        let when = match (is_task, a.check_back_at.filter(|_| a.state.is_open())) {
            (true, Some(at)) if late => format!("LATE {}", human_duration(model.now.since(at))),
            (true, Some(at)) => format!("in {}", human_duration(at.since(model.now))),
            (true, None) => "-".to_owned(),
            (false, _) => or(&a.due, "no due date"),
        };
        let tail = format!(
            "{} {} {}",
            text::pad(&or(&a.owner, "no owner"), 12),
            text::pad(&when, 11),
            text::pad(&or(&a.priority, "-"), 2)
        );
        let (mark, meaning) = match a.state {
            ActionState::Open if late => ("!", Meaning::Bad),
            ActionState::Open => ("☐", Meaning::Text),
            ActionState::InProgress => ("▸", Meaning::Text),
            ActionState::Done => ("✓", Meaning::Muted),
            ActionState::Dropped => ("✗", Meaning::Muted),
        };
        let mut words = a.text.clone();
        for detail in [&a.result, &a.ticket].into_iter().flatten() {
            words.push_str(&format!(" · {detail}"));
        }
        let line = Line::from(vec![
            Span::styled(
                format!(" {mark} {} ", text::pad(&a.id.to_string(), 4)),
                theme.style(if late { Meaning::Bad } else { Meaning::Accent }),
            ),
            Span::raw(format!("{:<9}", if is_task { "task" } else { a.kind.word() })),
            Span::styled(text::pad(&words, width.saturating_sub(text::width(&tail) + 19)), theme.style(meaning)),
            Span::raw(format!(" {tail}")),
        ]);
        put(frame.buffer_mut(), inner, row - offset, &line, (row == room.action).then(|| theme.style(Meaning::Selection)));
    }
}
