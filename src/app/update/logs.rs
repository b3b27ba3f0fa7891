//! Actions on the Logs tab: search, next and previous error, the lines of a pattern, and adding lines to the timeline.

use std::time::Duration;

use super::super::action::Action;
use super::super::edit::TextField;
use super::super::filter::Filter;
use super::super::model::{Model, Tone};
use super::super::msg::{Effect, Lines};
use super::super::overlay::{InputDialog, Overlay, Purpose};
use super::common::{current, incident_window, run, run_at, say, say_key, show};
use super::history::{lines_around, open_history};
use crate::analysis::Pattern;
use crate::analysis::requests::RequestIds;
use crate::app::logs::column_value;
use crate::evidence::Redactor;
use crate::incident::{Command, EvidenceRecord, NoteKind};
use crate::telemetry::words::count;
use crate::telemetry::{Level, LogLine, Timestamp, Window};

pub(super) fn search(model: &mut Model) -> Vec<Effect> {
    let hint = format!(
        "Words to find, or ~regex. Then {} and {} go to the next and previous match. {} recalls the previous search.",
        model.key(Action::NextHit),
        model.key(Action::PreviousHit),
        model.key(Action::Recall)
    );
    let edit = TextField::default();
    show(model, Overlay::Input(InputDialog::new("Search", Purpose::Search, hint, edit)))
}

/// Goes to the next or previous match: a line, or a pattern.
pub(super) fn go_to_hit(model: &mut Model, forward: bool) -> Vec<Effect> {
    let (found, what) = match rows(model, is_hit) {
        Some(hits) if hits.is_empty() => return say(model, format!("No pattern matches '{}'.", model.logs.search)),
        Some(hits) => (to_row(model, &hits, forward), "pattern"),
        None => (model.logs.go_to_hit(forward), "line"),
    };
    if !found {
        model.say(Tone::Plain, format!("No further {what} matches '{}'.", model.logs.search));
    }
    Vec::new()
}

/// Goes to the match nearest to the selection. If nothing that is loaded matches, searches all lines of the incident's window.
pub(super) fn search_from_here(model: &mut Model) -> Vec<Effect> {
    let is_found = match rows(model, is_hit) {
        Some(hits) => {
            let at = model.room.as_ref().map_or(0, |r| r.pattern);
            hits.contains(&at) || to_row(model, &hits, true) || to_row(model, &hits, false)
        }
        None => model.logs.search_from_here(),
    };
    match (is_found, model.has_logs) {
        (true, false) => Vec::new(),
        (true, true) => say_key(model, "Press {} to search all lines of the incident's window.", Action::SearchAll),
        (false, true) => search_all(model),
        (false, false) => {
            let search = model.logs.search.clone();
            say(model, format!("No line matches '{search}'."))
        }
    }
}

/// Goes to the next or previous error: a line, or a pattern.
pub(super) fn go_to_error(model: &mut Model, forward: bool) -> Vec<Effect> {
    match rows(model, |_, p| p.level.is_some_and(Level::is_error)) {
        Some(errors) if to_row(model, &errors, forward) => Vec::new(),
        Some(_) => say(model, "No further pattern of errors."),
        None if model.logs.go_to_error(forward) => Vec::new(),
        None => say(model, "No further error line is loaded."),
    }
}

/// Whether a pattern matches the search.
pub(crate) fn is_hit(model: &Model, p: &Pattern) -> bool {
    Filter::new(&model.logs.search).matches_with(&crate::app::room::pattern_text(p), p)
}

/// The rows of the patterns that satisfy a condition; `None` if the tab shows lines.
fn rows(model: &Model, accept: impl Fn(&Model, &Pattern) -> bool) -> Option<Vec<usize>> {
    let room = model.room.as_ref().filter(|r| r.shows_patterns())?;
    let patterns = room.patterns(&model.logs.filter);
    Some(patterns.iter().enumerate().filter(|(_, (_, p))| accept(model, p)).map(|(row, _)| row).collect())
}

/// Selects the next or previous of these rows; `false` if there is none.
fn to_row(model: &mut Model, rows: &[usize], forward: bool) -> bool {
    let Some(room) = model.room.as_mut() else { return false };
    let next = if forward { rows.iter().find(|r| **r > room.pattern) } else { rows.iter().rev().find(|r| **r < room.pattern) };
    next.is_some_and(|row| {
        room.pattern = *row;
        true
    })
}

/// The selected pattern with its evidence record; `None` if the tab shows lines.
pub(super) fn selected_pattern(model: &Model) -> Option<(&EvidenceRecord, &Pattern)> {
    let room = model.room.as_ref().filter(|r| r.shows_patterns())?;
    let patterns = room.patterns(&model.logs.filter);
    patterns.get(room.pattern.min(patterns.len().checked_sub(1)?)).copied()
}

/// Shows the lines around the selected line.
pub(super) fn context_of_line(model: &mut Model) -> Vec<Effect> {
    let pattern = selected_pattern(model).map(|(_, p)| p.first_at);
    match pattern.unwrap_or_else(|| model.logs.current().and_then(|l| l.at)) {
        Some(at) => lines_around(model, at),
        None => say(model, "This line has no time."),
    }
}

/// The lines of the selected pattern; of a line, all that is known about it.
pub(super) fn pattern_lines(model: &mut Model) -> Vec<Effect> {
    if let Some((record, pattern)) = selected_pattern(model) {
        let (template, window) = (pattern.template.clone(), record.window);
        return open_history(model, Lines::Pattern(template), window, None);
    }
    let Some(line) = model.logs.current() else {
        return say(model, "No log lines yet.");
    };
    let mut text = String::new();
    let at = line.at.map(|at| format!("{} UTC", at.rfc3339()));
    let level = line.level.map(|l| l.word().to_owned());
    for (name, value) in [("time", at), ("level", level), ("service", line.service.clone())] {
        text.push_str(&value.map(|v| format!("{name:<12} {v}\n")).unwrap_or_default());
    }
    let is_new = |(name, value): &(&String, &String)| *name != "service" || line.service.as_ref() != Some(*value);
    for (name, value) in line.fields.iter().filter(is_new) {
        text.push_str(&format!("{name:<12} {value}\n"));
    }
    text.push_str(&format!("\n{}", line.message));
    show(model, Overlay::Text { title: "Log line".to_owned(), text, scroll: 0 })
}

/// The window that a search looks through: that of the incident, up to now while it is open.
fn whole_window(model: &Model) -> Window {
    match current(model) {
        Some(incident) => incident_window(incident, model.now),
        None => Window::before(model.now, Duration::from_hours(1)),
    }
}

/// Searches all lines of the incident's window, also those that are not loaded.
pub(super) fn search_all(model: &mut Model) -> Vec<Effect> {
    if model.logs.search.is_empty() {
        return search(model);
    }
    let window = whole_window(model);
    open_history(model, Lines::Matching, window, Some(model.logs.search.clone()))
}

/// Shows the lines of the same request: those that have the id that is written in the selected line.
pub(super) fn follow_request(model: &mut Model) -> Vec<Effect> {
    let sample = selected_pattern(model).map(|(_, p)| LogLine::plain(p.sample.clone()));
    let Some(id) = sample.as_ref().or_else(|| model.logs.current()).and_then(RequestIds::written) else {
        return say(model, "This line has no trace or request ID.");
    };
    let window = whole_window(model);
    open_history(model, Lines::Matching, window, Some(id))
}

/// The shown lines as redacted text: their columns and the message.
fn lines_as_text(model: &Model) -> String {
    let line = |l: &LogLine| {
        let column = |name: &String| {
            let value = if name == "time" { l.at.map(Timestamp::rfc3339) } else { column_value(l, name) };
            format!("{:<5} ", value.unwrap_or_else(|| "-".to_owned()))
        };
        let columns: String = model.logs.columns.iter().map(column).collect();
        format!("{columns}{}\n", l.message)
    };
    let text: String = match model.room.as_ref().filter(|r| r.shows_patterns()) {
        Some(room) => room.patterns(&model.logs.filter).iter().map(|(_, p)| format!("{:>8} {}\n", p.count, p.template)).collect(),
        None => model.logs.shown_lines().into_iter().map(line).collect(),
    };
    // Live lines are as the sources sent them.
    Redactor::new().redact_text(&text).into_owned()
}

/// Asks for a file to write the shown lines to.
pub(super) fn save_lines(model: &mut Model) -> Vec<Effect> {
    let (text, id) = (lines_as_text(model), model.room.as_ref().map(|r| r.id.to_string()).unwrap_or_default());
    if text.is_empty() {
        return say(model, "No log lines to save.");
    }
    let proposed = format!("{}-logs-{}.log", id.to_lowercase(), model.now.clock(time::UtcOffset::UTC).replace(':', ""));
    let hint = format!("{} as they are shown now, with their times in UTC.", count(text.lines().count(), "line"));
    let edit = TextField::proposed(&proposed);
    show(model, Overlay::Input(InputDialog::new("Save lines", Purpose::SaveLines(text), hint, edit)))
}

/// Opens the shown lines in lnav, or else in the user's pager.
pub(super) fn lines_in_pager(model: &mut Model) -> Vec<Effect> {
    match lines_as_text(model) {
        text if text.is_empty() => say(model, "No log lines to show."),
        text => vec![Effect::Pager(text)],
    }
}

pub(super) fn line_to_note(model: &mut Model) -> Vec<Effect> {
    if let Some((record, pattern)) = selected_pattern(model) {
        let (services, at) = (pattern.services.join(", "), pattern.first_at);
        let text = format!(
            "log pattern, {}{}: {} [{}]",
            count(pattern.count, "line"),
            if services.is_empty() { String::new() } else { format!(" in {services}") },
            pattern.template,
            record.id
        );
        return run_at(model, Command::Note { text, kind: NoteKind::Observation }, at);
    }
    let Some(line) = model.logs.current().cloned() else {
        return say(model, "No log lines yet.");
    };
    run(model, Command::KeepLine { line: Box::new(line) })
}
