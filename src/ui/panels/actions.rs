//! The actions tab: mitigations with their verdicts, then tasks and action items, and the details of the selected one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::pointer::Target;
use crate::app::room::{ActionRow, Room};
use crate::evidence::Body;
use crate::incident::mitigation::card_label;
use crate::incident::{
    ActionItem, ActionScope, ActionState, CardState, ExitCriteria, Incident, MitigationCard, MitigationVerdict,
};
use crate::telemetry::Timestamp;
use crate::telemetry::time::human_duration;
use crate::telemetry::words::count;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{Chart, Mark, chart, frame as bordered, put};
use crate::ui::{ViewCache, text};

/// From this width on, the details are beside the list.
const WIDE: u16 = 100;

/// Draws the actions tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let selected = room.action_row();
    let [list, detail] = match selected {
        Some(_) if area.width >= WIDE => {
            Layout::horizontal([Constraint::Percentage(56), Constraint::Percentage(44)]).areas::<2>(area)
        }
        Some(ActionRow::Card(_)) => {
            let rows = u16::try_from(incident.cards.len() + incident.actions.len()).unwrap_or(u16::MAX).saturating_add(2);
            Layout::vertical([Constraint::Length(rows.min(area.height * 2 / 5)), Constraint::Min(3)]).areas::<2>(area)
        }
        _ => [area, Rect::default()],
    };
    let [list, detail] = match selected {
        Some(_) if model.is_zoomed => [Rect { height: 0, ..area }, area],
        _ => [list, detail],
    };
    rows(model, room, incident, theme, cache, frame, list);
    match selected {
        _ if detail.width == 0 => {}
        Some(ActionRow::Card(n)) => {
            if let Some(card) = incident.cards.get(n) {
                card_detail(model, room, (n, card), theme, frame, detail);
            }
        }
        Some(ActionRow::Item(n)) => {
            if let Some(item) = incident.actions.get(n) {
                item_detail(item, theme, frame, detail);
            }
        }
        None => {}
    }
}

/// The mitigations and the action items, one row each.
fn rows(
    model: &Model,
    room: &Room,
    incident: &Incident,
    theme: &Theme,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let open = incident.actions.iter().filter(|a| a.state.is_open()).count();
    let mut title = format!("Action items {open} of {} open", incident.actions.len());
    if !incident.cards.is_empty() {
        title = format!("{} · {title}", count(incident.cards.len(), "mitigation"));
    }
    let block = bordered(theme, title, true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some(selected) = room.action_row() else {
        let words = format!(
            "No mitigations and no action items yet. Press {} to propose a mitigation, {} to give someone a task, or {} to add an \
             action item.",
            model.key(Action::Mitigation),
            model.key(Action::Task),
            model.key(Action::AddAction)
        );
        for (row, part) in text::wrap(&words, usize::from(inner.width).saturating_sub(2)).iter().enumerate() {
            let line = Line::from(Span::styled(format!(" {part}"), theme.style(Meaning::Muted)));
            put(frame.buffer_mut(), inner, row, &line, None);
        }
        return;
    };
    let width = usize::from(inner.width);
    let cards = incident.cards.iter().enumerate().map(|(n, card)| (ActionRow::Card(n), card_row(n, card, theme, width)));
    let items = incident.actions.iter().enumerate().map(|(n, a)| (ActionRow::Item(n), item_row(model, a, theme, width)));
    let all: Vec<(ActionRow, Line<'static>)> = cards.chain(items).collect();
    let at = all.iter().position(|(row, _)| *row == selected).unwrap_or(0);
    let offset = cache.offset("actions", at, usize::from(inner.height), all.len());
    for (row, (_, line)) in all.iter().enumerate().skip(offset).take(usize::from(inner.height)) {
        put(frame.buffer_mut(), inner, row - offset, line, (row == at).then(|| theme.style(Meaning::Selection)));
        cache.target(inner, row - offset, Target::Row(row));
    }
}

/// The state of a card, or its verdict if there is one, and how it is drawn.
fn card_state(card: &MitigationCard) -> (&'static str, String, Meaning) {
    match (card.state, card.verdict()) {
        (CardState::Proposed, _) => ("☐", "proposed".to_owned(), Meaning::Text),
        (CardState::Started, _) => ("▸", "started".to_owned(), Meaning::Warn),
        (CardState::Dropped, _) => ("–", "dropped".to_owned(), Meaning::Muted),
        (CardState::Done, Some(verdict @ MitigationVerdict::Worked)) => ("✓", verdict.to_string(), Meaning::Ok),
        (CardState::Done, Some(verdict @ MitigationVerdict::TooEarly)) => ("…", verdict.to_string(), Meaning::Warn),
        (CardState::Done, Some(verdict)) => ("✗", verdict.to_string(), Meaning::Bad),
        (CardState::Done, None) => ("✓", "done".to_owned(), Meaning::Text),
    }
}

fn card_row(n: usize, card: &MitigationCard, theme: &Theme, width: usize) -> Line<'static> {
    let (mark, state, meaning) = card_state(card);
    let tail = format!("{} {}", text::pad(&state, 16), text::pad(&format!("{} risk", card.risk.word()), 11));
    Line::from(vec![
        Span::styled(format!(" {mark} {} ", text::pad(&card_label(n), 4)), theme.style(Meaning::Accent)),
        Span::raw(text::pad(&card.text, width.saturating_sub(text::width(&tail) + 10))),
        Span::styled(format!(" {tail}"), theme.style(meaning)),
    ])
}

fn item_row(model: &Model, a: &ActionItem, theme: &Theme, width: usize) -> Line<'static> {
    let or = |v: &Option<String>, default: &str| v.clone().unwrap_or_else(|| default.to_owned());
    let is_task = a.scope == ActionScope::Incident;
    let late = a.is_late(model.now) || a.is_overdue(&model.now.date());
    let when = match (is_task, a.check_back_at.filter(|_| a.state.is_open())) {
        (true, Some(at)) if late => format!("LATE {}", human_duration(model.now.since(at))),
        (true, Some(at)) => format!("in {}", human_duration(at.since(model.now))),
        (true, None) => "-".to_owned(),
        (false, _) => or(&a.due, "no due date"),
    };
    let tail =
        format!("{} {} {}", text::pad(&or(&a.owner, "no owner"), 12), text::pad(&when, 11), text::pad(&or(&a.priority, "-"), 2));
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
    Line::from(vec![
        Span::styled(
            format!(" {mark} {} ", text::pad(&a.id.to_string(), 4)),
            theme.style(if late { Meaning::Bad } else { Meaning::Accent }),
        ),
        Span::raw(format!("{:<9}", if is_task { "task" } else { a.kind.word() })),
        Span::styled(text::pad(&words, width.saturating_sub(text::width(&tail) + 19)), theme.style(meaning)),
        Span::raw(format!(" {tail}")),
    ])
}

/// Lines of a label and a text, wrapped with a hanging indent.
fn labelled(label: &str, words: &str, width: usize, theme: &Theme, meaning: Meaning) -> Vec<Line<'static>> {
    const LABEL: usize = 10;
    let parts = text::wrap(words, width.saturating_sub(LABEL).max(10));
    let line = |(n, part): (usize, String)| {
        let head = text::pad(if n == 0 { label } else { "" }, LABEL);
        Line::from(vec![Span::styled(head, theme.style(Meaning::Muted)), Span::styled(part, theme.style(meaning))])
    };
    parts.into_iter().enumerate().map(line).collect()
}

/// The selected mitigation: what it is, how to undo it, its verdict, and the readings before and since on one chart.
fn card_detail(
    model: &Model,
    room: &Room,
    (n, card): (usize, &MitigationCard),
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let block = bordered(theme, format!("Mitigation {}", card_label(n)), false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let width = usize::from(inner.width);
    let (_, state, meaning) = card_state(card);
    let moment = |at: Timestamp| format!("{} UTC", text::moment(model.now, at));
    let mut lines: Vec<Line<'static>> = text::wrap(&card.text, width).into_iter().map(Line::from).collect();
    if let Some((at, judgement)) = &card.judgement {
        let evidence = judgement.evidence.map(|id| format!(" [{id}]")).unwrap_or_default();
        let words = format!("{}: {}{evidence}, read at {}", judgement.verdict, judgement.why, moment(*at));
        lines.extend(labelled("Verdict", &words, width, theme, meaning));
    } else {
        lines.extend(labelled("State", &state, width, theme, meaning));
    }
    let mut add = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.extend(labelled(label, &value, width, theme, Meaning::Text));
        }
    };
    add("Undo", Some(card.undo.clone().unwrap_or_else(|| "not described".to_owned())));
    add("Verify", Some(card.verify.as_ref().map_or_else(|| "not described".to_owned(), ExitCriteria::describe)));
    add("Exception", card.exception.clone());
    add("Result", card.result.clone());
    let origin = card.origin.as_deref().map(|o| format!(", from {o}")).unwrap_or_default();
    let mut history = vec![format!("{} risk, proposed by {}{origin}", card.risk.word(), card.proposed_by)];
    history.extend(card.approved_by.as_ref().map(|by| format!("approved by {by}")));
    history.extend(card.started_at.map(|at| format!("started at {}", moment(at))));
    history.extend(card.done_at.map(|at| format!("done at {}", moment(at))));
    add("History", Some(history.join(", ")));
    for (row, line) in lines.iter().enumerate() {
        put(frame.buffer_mut(), inner, row, line, None);
    }
    let used = u16::try_from(lines.len() + 1).unwrap_or(u16::MAX);
    let rest = Rect { y: inner.y.saturating_add(used), height: inner.height.saturating_sub(used), ..inner };
    let record = card.judgement.as_ref().and_then(|(_, j)| room.incident.as_ref()?.evidence(j.evidence?));
    let body = record.and_then(|r| room.bodies.get(&r.digest));
    if let (Some(record), Some(Body::Series { series, unit, .. })) = (record, body) {
        let mark = |at: Timestamp, glyph| Mark { at, glyph, meaning: Meaning::Accent };
        let mut marks: Vec<Mark> = card.started_at.map(|at| mark(at, '▸')).into_iter().collect();
        marks.extend(card.done_at.map(|at| mark(at, '✓')));
        let threshold = card.verify.as_ref().map(|v| v.threshold);
        let data = Chart { threshold, marks: &marks, ..Chart::of(series, record.window, unit, model.now) };
        chart(frame.buffer_mut(), rest, theme, &data);
    }
}

/// The selected action item in full.
fn item_detail(item: &ActionItem, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let block = bordered(theme, format!("Action item {}", item.id), false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let width = usize::from(inner.width);
    let mut lines: Vec<Line<'static>> = text::wrap(&item.text, width).into_iter().map(Line::from).collect();
    let state = item.state.word().replace('_', " ");
    let fields = [
        ("State", Some(state)),
        ("Owner", item.owner.clone()),
        ("Due", item.due.clone()),
        ("Priority", item.priority.clone()),
        ("Result", item.result.clone()),
        ("Ticket", item.ticket.clone()),
    ];
    for (label, value) in fields.into_iter().filter_map(|(label, value)| Some((label, value?))) {
        lines.extend(labelled(label, &value, width, theme, Meaning::Text));
    }
    for (row, line) in lines.iter().enumerate() {
        put(frame.buffer_mut(), inner, row, line, None);
    }
}
