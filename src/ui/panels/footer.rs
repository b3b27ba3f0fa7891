//! The footer: the ways to complete a key sequence, or the most useful keys; above it, a message for some seconds.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use crate::app::action::{Action, Context};
use crate::app::board::Pane;
use crate::app::model::{Model, Screen, Tone};
use crate::app::overlay::Overlay;
use crate::app::room::{ActionRow, Room, Tab};
use crate::app::update::ending_soon;
use crate::telemetry::time::human_duration;
use crate::ui::text;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::put;

/// The most rows of a message.
const MAX_MESSAGE: usize = 3;

/// Draws the message at the bottom of the area, in as many rows as it needs. `free` rows there hold nothing that is needed now. Over a dialog,
/// whose keys are at its bottom, a longer message is at the top of the screen.
pub(crate) fn message(model: &Model, theme: &Theme, frame: &mut Frame<'_>, body: Rect, (is_dialog, free): (bool, u16)) {
    let Some(toast) = &model.toast else { return };
    let (mark, meaning) = match toast.tone {
        Tone::Good => ("✓ ", Meaning::Ok),
        Tone::Bad => ("! ", Meaning::Bad),
        Tone::Plain => ("· ", Meaning::Accent),
    };
    let mut lines = text::wrap(&toast.text, usize::from(body.width).saturating_sub(4));
    if lines.len() > MAX_MESSAGE {
        lines.truncate(MAX_MESSAGE);
        let last = lines.pop().unwrap_or_default();
        lines.push(format!("{} …", text::fit(&last, usize::from(body.width).saturating_sub(6))));
    }
    let height = u16::try_from(lines.len()).unwrap_or(1).min(body.height);
    // The whole free part is taken, so that nothing of the tour is left beside the message.
    let (y, height) = match height {
        rows if rows <= free => (body.bottom() - free, free),
        rows if is_dialog => (body.y, rows),
        rows => (body.bottom() - rows, rows),
    };
    let area = Rect { y, height, ..body };
    frame.render_widget(Clear, area);
    for (row, words) in lines.into_iter().enumerate() {
        let lead = if row == 0 { mark } else { "  " };
        put(frame.buffer_mut(), area, row, &Line::from(Span::styled(format!(" {lead}{words}"), theme.style(meaning))), None);
    }
}

/// Draws the lines of the tour.
pub(crate) fn tour(theme: &Theme, frame: &mut Frame<'_>, area: Rect, lines: &[String]) {
    for (row, words) in lines.iter().enumerate().take(usize::from(area.height)) {
        let words = text::pad(&format!(" {words}"), usize::from(area.width));
        put(frame.buffer_mut(), area, row, &Line::from(Span::styled(words, theme.style(Meaning::Hit))), None);
    }
}

/// Draws the footer.
pub(crate) fn render(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width);
    let mut spans: Vec<Span<'static>> = Vec::new();
    if model.pending.is_empty() {
        let right = right_part(model, theme, width);
        let right_width: usize = right.iter().map(|s| text::width(&s.content)).sum();
        let mut left = width.saturating_sub(right_width + 9);
        for action in useful_actions(model) {
            let spec = action.spec();
            let (key, word) = (model.key(action), format!(" {}  ", spec.word));
            let needs = text::width(&key) + text::width(&word);
            if needs > left {
                break;
            }
            left -= needs;
            spans.push(Span::styled(key, theme.style(Meaning::Accent)));
            spans.push(Span::styled(word, theme.style(Meaning::Muted)));
        }
        // In a dialog, the key of the help is typed.
        if model.overlay.as_ref().is_none_or(|o| o.context() == Context::Reader) {
            spans.push(Span::styled(model.key(Action::Help), theme.style(Meaning::Accent)));
            spans.push(Span::styled(" keys", theme.style(Meaning::Muted)));
        }
        spans.insert(0, Span::raw(" "));
        let used: usize = spans.iter().map(|s| text::width(&s.content)).sum();
        spans.push(Span::raw(" ".repeat(width.saturating_sub(used + right_width))));
        spans.extend(right);
    } else {
        let keys: String = model.pending.iter().map(ToString::to_string).collect();
        spans.push(Span::styled(format!(" {keys} "), theme.style(Meaning::Accent)));
        for (rest, action) in model.keymap.continuations(&model.pending, &model.contexts()) {
            spans.push(Span::styled(format!(" {rest}"), theme.style(Meaning::Accent)));
            spans.push(Span::styled(format!(" {} ", action.spec().word), theme.style(Meaning::Muted)));
        }
    }
    put(frame.buffer_mut(), area, 0, &Line::from(spans), None);
}

/// The right end of the footer. In an incident room: late tasks, the next update and the commander. On the board: the age of
/// the alerts.
fn right_part(model: &Model, theme: &Theme, width: usize) -> Vec<Span<'static>> {
    let muted = |words: String| Span::styled(words, theme.style(Meaning::Muted));
    if !model.find.text.is_empty() && model.overlay.is_some() {
        let (at, all) = crate::app::find::place(model);
        return vec![muted(format!("'{}' {at} of {all} ", text::fit(&model.find.text, 20)))];
    }
    let bad = |words: String| Span::styled(words, theme.style(Meaning::Bad));
    let Some(i) = model.room.as_ref().filter(|_| model.screen == Screen::Room).and_then(|r| r.incident.as_ref()) else {
        return match model.board.arrived_at {
            Some(at) if model.screen == Screen::Board => {
                let soon = ending_soon(model).first().and_then(|s| s.silence.remaining(model.now));
                let ends = soon.map(|left| bad(format!("silence ends in {}  ", human_duration(left))));
                let updated = muted(format!("updated {} ago ", human_duration(model.now.since(at))));
                ends.into_iter().chain([updated]).collect()
            }
            _ => Vec::new(),
        };
    };
    let mut right = Vec::new();
    let late: Vec<_> = i.actions.iter().filter(|a| a.is_late(model.now)).collect();
    if let Some(first) = late.first() {
        let age = first.check_back_at.map(|at| human_duration(model.now.since(at))).unwrap_or_default();
        let more = if late.len() > 1 { format!(" +{}", late.len() - 1) } else { String::new() };
        right.push(bad(format!("{} LATE {age}{more}  ", text::fit(first.owner.as_deref().unwrap_or("task"), 12))));
    }
    match i.head.update_due() {
        Some(due) if due <= model.now => right.push(bad(format!("update OVERDUE {}  ", human_duration(model.now.since(due))))),
        Some(due) if width >= 70 => right.push(muted(format!("update in {}  ", human_duration(due.since(model.now))))),
        _ => {}
    }
    right.push(muted(match &i.head.commander {
        Some(ic) => format!("IC {} ", text::fit(ic, 12)),
        None => format!("no commander ({}) ", model.key(Action::AssignRole)),
    }));
    right
}

/// The actions to show, the most useful first. The footer shows as many as fit.
fn useful_actions(model: &Model) -> Vec<Action> {
    match model.overlay.as_ref().map(Overlay::context) {
        Some(Context::Reader) if !model.find.text.is_empty() => {
            return vec![Action::NextFind, Action::PreviousFind, Action::Find, Action::CloseReader];
        }
        Some(Context::Reader) => {
            return match &model.overlay {
                Some(Overlay::Metric(_)) => vec![Action::CloseReader, Action::KeepOutput, Action::QueryMetrics, Action::CopyText],
                Some(Overlay::Evidence { .. }) => vec![Action::CloseReader, Action::Find, Action::Pin, Action::CopyText],
                _ => vec![Action::CloseReader, Action::Find, Action::CopyText, Action::ReadInEditor],
            };
        }
        // A dialog shows its own keys.
        Some(_) => return Vec::new(),
        None => {}
    }
    let Some(room) = model.room.as_ref().filter(|_| model.screen == Screen::Room) else {
        return match model.board.pane {
            Pane::Alerts => vec![
                Action::Declare,
                Action::Mark,
                Action::Open,
                Action::Filter,
                Action::GroupBy,
                Action::NextPane,
                Action::Link,
                Action::Silence,
                Action::Palette,
            ],
            Pane::Incidents => vec![Action::Open, Action::NextPane, Action::Refresh, Action::Palette],
        };
    };
    let mut actions = room_actions(model, room);
    // Where nothing can be closed or cleared, the way back is to leave.
    if !room.can_go_back(&model.logs) && !model.is_zoomed {
        actions.iter_mut().filter(|a| **a == Action::Back).for_each(|a| *a = Action::Quit);
    }
    actions
}

/// The actions of the open tab.
#[expect(clippy::too_many_lines, reason = "one list per tab")]
fn room_actions(model: &Model, room: &Room) -> Vec<Action> {
    let has_evidence = room.incident.as_ref().is_some_and(|i| !i.evidence.is_empty());
    match room.tab {
        Tab::Overview if !has_evidence => {
            vec![Action::Investigate, Action::Note, Action::Acknowledge, Action::SetSeverity, Action::Back]
        }
        Tab::Overview => vec![
            Action::Ask,
            Action::Findings,
            Action::Note,
            Action::Task,
            Action::Checklist,
            Action::SetStatus,
            Action::AssignRole,
            Action::SetSeverity,
            Action::Resolve,
            Action::Back,
        ],
        Tab::Timeline => vec![
            Action::Note,
            Action::OpenEntry,
            Action::GraphAt,
            Action::LogAt,
            Action::Decision,
            Action::Undo,
            Action::FilterKind,
            Action::Correct,
            Action::Back,
        ],
        Tab::Signals if !has_evidence => vec![Action::Investigate, Action::Back],
        Tab::Signals => {
            vec![Action::OpenEvidence, Action::MarkSignal, Action::Widen, Action::CopyQuery, Action::Filter, Action::Back]
        }
        Tab::Logs if !model.logs.search.is_empty() => {
            vec![
                Action::NextHit,
                Action::PreviousHit,
                Action::LinesAround,
                Action::SearchAll,
                Action::LineToNote,
                Action::LogView,
                Action::Back,
            ]
        }
        Tab::Logs if room.shows_patterns() => {
            vec![
                Action::PatternLines,
                Action::LinesAround,
                Action::LogView,
                Action::Search,
                Action::FilterLogs,
                Action::NextError,
                Action::LineToNote,
                Action::Back,
            ]
        }
        Tab::Logs if model.logs.history.is_some() => vec![
            Action::LinesAround,
            Action::PatternLines,
            Action::LogView,
            Action::Search,
            Action::SaveLines,
            Action::LineToNote,
            Action::Back,
        ],
        Tab::Logs => vec![
            Action::Follow,
            Action::LogView,
            Action::OnlyErrors,
            Action::Search,
            Action::FilterLogs,
            Action::NextError,
            Action::LineToNote,
            Action::Wrap,
            Action::Back,
        ],
        Tab::Assistant if room.shown_answers().is_empty() => {
            vec![Action::AskTroubleshoot, Action::Ask, Action::Preview, Action::AskPostmortem, Action::Back]
        }
        Tab::Assistant if room.conversation.selected.is_some() => vec![
            Action::NextSpot,
            Action::OpenSpot,
            Action::Accept,
            Action::RefuteProposal,
            Action::Ask,
            Action::Fork,
            Action::AskAgain,
            Action::EditQuestion,
            Action::CopyAnswer,
            Action::Back,
        ],
        Tab::Assistant => vec![
            Action::Ask,
            Action::NextSpot,
            Action::ChooseThread,
            Action::Accept,
            Action::AskAgain,
            Action::Preview,
            Action::AskTroubleshoot,
            Action::Back,
        ],
        Tab::Playbook if model.running.is_some() => vec![Action::Cancel, Action::ScrollDown, Action::Back],
        Tab::Playbook => vec![
            Action::RunStep,
            Action::SkipStep,
            Action::ChoosePlaybook,
            Action::SetVariable,
            Action::RunAgain,
            Action::ScrollDown,
            Action::Back,
        ],
        Tab::Actions if matches!(room.action_row(), Some(ActionRow::Card(_))) => vec![
            Action::ActionDone,
            Action::ActionEdit,
            Action::ActionDrop,
            Action::Mitigation,
            Action::AddAction,
            Action::Task,
            Action::Back,
        ],
        Tab::Actions => vec![
            Action::Mitigation,
            Action::Task,
            Action::AddAction,
            Action::ActionDone,
            Action::ActionOwner,
            Action::ActionDue,
            Action::ActionDrop,
            Action::Back,
        ],
        Tab::Updates => {
            vec![Action::SendDraft, Action::RecordDraft, Action::NextAudience, Action::NextStage, Action::CopyDraft, Action::Back]
        }
        Tab::Report => {
            vec![
                Action::Export,
                Action::FillIn,
                Action::Lesson,
                Action::AddAction,
                Action::Review,
                Action::CopyReport,
                Action::Back,
            ]
        }
    }
}
