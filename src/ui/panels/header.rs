//! The header: profile, incident with severity and status, sources, unsaved changes, state of the store, and the time.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::board::SourceState;
use crate::app::model::{Model, Screen};
use crate::incident::SourceStatus;
use crate::telemetry::time::human_duration;
use crate::ui::text;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::put;

/// Draws the header.
pub(crate) fn render(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let narrow = area.width < 110;
    let mut left: Vec<Span<'static>> = vec![Span::styled(" warroom ", theme.style(Meaning::Title))];
    if let Some(profile) = &model.profile {
        left.push(Span::styled(format!("{profile} "), theme.style(Meaning::Accent)));
    }
    if model.pointer.is_on {
        left.push(Span::styled("mouse ", theme.style(Meaning::Muted)));
    }
    if model.read_only {
        left.push(Span::styled("READ-ONLY ", theme.style(Meaning::Warn)));
    }
    let width_of = |spans: &[Span<'_>]| spans.iter().map(|s| text::width(&s.content)).sum::<usize>();
    let used = width_of(&left);
    // The title of the incident has priority over the details of the sources.
    let reserved = match (model.screen, model.room.as_ref().and_then(|r| r.incident.as_ref())) {
        (Screen::Room, Some(incident)) => TITLE_WIDTH.min(text::width(&incident.head.title)) + STATUS_WIDTH,
        _ => 0,
    };
    let parts = [Detail::Full, Detail::Problems, Detail::ProblemNames, Detail::Count]
        .map(|detail| right_part(model, theme, narrow, detail));
    let fits = |part: &&Vec<Span<'static>>| used + reserved + width_of(part) < usize::from(area.width);
    let right = parts.iter().find(fits).or(parts.last()).cloned().unwrap_or_default();
    let right_width = width_of(&right);
    let room = usize::from(area.width).saturating_sub(used + right_width + 1);
    match (model.screen, model.room.as_ref().and_then(|r| r.incident.as_ref())) {
        (Screen::Room, Some(incident)) => {
            let head = &incident.head;
            let age = human_duration(model.now.since(head.declared_at));
            left.push(Span::styled(format!("{} {} ", head.id, head.severity), theme.style(Meaning::for_severity(head.severity))));
            let tail = format!(" · {} · {age}", head.status);
            let space = room.saturating_sub(text::width(&tail) + 12);
            left.push(Span::styled(text::fit(&head.title, space), theme.style(Meaning::Title)));
            left.push(Span::raw(tail));
        }
        (Screen::Room, None) => left.push(Span::raw(model.room.as_ref().map_or_else(String::new, |r| format!("{} …", r.id)))),
        (Screen::Board, _) => {
            if let Some(banner) = &model.banner {
                left.push(Span::styled(text::fit(banner, room), theme.style(Meaning::Muted)));
            }
        }
    }
    let used: usize = left.iter().map(|s| text::width(&s.content)).sum();
    let gap = usize::from(area.width).saturating_sub(used + right_width);
    left.push(Span::raw(" ".repeat(gap)));
    left.extend(right);
    put(frame.buffer_mut(), area, 0, &Line::from(left), None);
}

/// The columns reserved for the title of the incident.
const TITLE_WIDTH: usize = 28;
/// The columns reserved for the number, severity, status and age of the incident.
const STATUS_WIDTH: usize = 36;

/// A source that has not answered for longer than this is stale.
const STALE_SECS: u64 = 60;

/// How much the header shows about the sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// The name of each source, and why it failed.
    Full,
    /// The sources that failed or are stale, and why.
    Problems,
    /// The names of those sources.
    ProblemNames,
    /// How many sources failed.
    Count,
}

/// The right end of the header: sources, unsaved changes, state of the store, and the time.
fn right_part(model: &Model, theme: &Theme, narrow: bool, detail: Detail) -> Vec<Span<'static>> {
    let mut right = Vec::new();
    let failing = model.board.sources.iter().filter(|s| s.report.status != SourceStatus::Ok).count();
    if detail == Detail::Count && failing > 0 {
        let all = model.board.sources.len();
        let words = if narrow { format!("{failing}/{all} ○ ") } else { format!("{failing} of {all} sources ○ ") };
        right.push(Span::styled(words, theme.style(Meaning::Bad)));
    }
    for s in model.board.sources.iter().filter(|_| detail != Detail::Count) {
        let is_stale = s.answered_at.is_some_and(|at| model.now.since(at).as_secs() > STALE_SECS);
        let is_problem = s.report.status != SourceStatus::Ok || is_stale && detail != Detail::Full && !narrow;
        if is_problem || !narrow && detail == Detail::Full {
            right.push(source(model, theme, s, narrow || detail == Detail::ProblemNames));
        }
    }
    if model.unsaved > 0 {
        right.push(Span::styled(format!("↯{} saving ", model.unsaved), theme.style(Meaning::Warn)));
    }
    if !model.not_written.is_empty() {
        right.push(Span::styled(
            format!("↯{} not saved ({} to retry) ", model.not_written.len(), model.key(Action::Retry)),
            theme.style(Meaning::Bad),
        ));
    }
    if model.store.unreachable.is_some() {
        right.push(Span::styled(if narrow { "store ○ " } else { "store ○ unreachable " }, theme.style(Meaning::Bad)));
    }
    if model.store.read_only.is_some() {
        right.push(Span::styled("store ○ read-only ", theme.style(Meaning::Bad)));
    }
    if model.store.unsynced > 0 {
        let word = if narrow { "" } else { "unsynced " };
        right.push(Span::styled(format!("↯{} {word}", model.store.unsynced), theme.style(Meaning::Warn)));
    }
    let utc = format!("{}Z", model.now.clock(time::UtcOffset::UTC));
    let local = if model.offset.is_utc() || narrow || detail == Detail::Count {
        String::new()
    } else {
        format!(" ({}{})", model.now.clock(model.offset), crate::telemetry::time::zone_label(model.offset))
    };
    right.push(Span::raw(format!("{utc}{local} ")));
    right
}

/// A source with its state: `prom ●`, `prom ◌ stale 1m05s`, `loki ○ unreachable`.
fn source(model: &Model, theme: &Theme, s: &SourceState, narrow: bool) -> Span<'static> {
    let age = s.answered_at.map(|at| model.now.since(at));
    match (s.report.status, age) {
        (SourceStatus::Ok, Some(age)) if age.as_secs() > STALE_SECS => {
            Span::styled(format!("{} ◌ stale {} ", s.report.name, human_duration(age)), theme.style(Meaning::Stale))
        }
        (SourceStatus::Ok, _) => Span::styled(format!("{} ● ", s.report.name), theme.style(Meaning::Ok)),
        (_, age) => {
            let word = s.report.fault.clone().unwrap_or_else(|| "failed".to_owned());
            let age = age.map_or_else(String::new, |a| format!(" stale {}", human_duration(a)));
            // A narrow header in the incident room leaves out why a source failed; the board shows it.
            let why = if narrow && model.screen == Screen::Room { String::new() } else { format!("{word}{age} ") };
            Span::styled(format!("{} ○ {why}", s.report.name), theme.style(Meaning::Bad))
        }
    }
}
