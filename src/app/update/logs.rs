//! Actions on the Logs tab: search, next and previous error, the lines of a pattern, and adding lines to the timeline.

use super::super::action::Action;
use super::super::board::Filter;
use super::super::edit::TextField;
use super::super::model::{Model, Tone};
use super::super::msg::Effect;
use super::super::overlay::{InputDialog, Overlay, Purpose};
use super::common::{run, run_at, say, say_key, show};
use crate::analysis::Pattern;
use crate::incident::{Command, EvidenceRecord, NoteKind};
use crate::telemetry::Level;
use crate::telemetry::words::count;

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

/// Goes to the match nearest to the selection.
pub(super) fn search_from_here(model: &mut Model) {
    let Some(hits) = rows(model, is_hit) else {
        if !model.logs.search_from_here() {
            model.say(Tone::Plain, format!("No line matches '{}'.", model.logs.search));
        }
        return;
    };
    let at = model.room.as_ref().map_or(0, |r| r.pattern);
    if !hits.contains(&at) && !to_row(model, &hits, true) && !to_row(model, &hits, false) {
        let (search, view) = (model.logs.search.clone(), model.key(Action::LogView));
        model.say(Tone::Plain, format!("No pattern matches '{search}'. Press {view} to search the lines."));
    }
}

/// Goes to the next or previous error: a line, or a pattern.
pub(super) fn go_to_error(model: &mut Model, forward: bool) -> Vec<Effect> {
    match rows(model, |_, p| p.level.is_some_and(Level::is_error)) {
        Some(errors) => {
            to_row(model, &errors, forward);
        }
        None => model.logs.go_to_error(forward),
    }
    Vec::new()
}

/// Whether a pattern matches the search.
pub(crate) fn is_hit(model: &Model, p: &Pattern) -> bool {
    Filter::new(&model.logs.search).matches(&format!("{} {} {}", p.services.join(" "), p.template, p.sample).to_lowercase())
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
fn selected_pattern(model: &Model) -> Option<(&EvidenceRecord, &Pattern)> {
    let room = model.room.as_ref().filter(|r| r.shows_patterns())?;
    let patterns = room.patterns(&model.logs.filter);
    patterns.get(room.pattern.min(patterns.len().checked_sub(1)?)).copied()
}

/// The message while the lines of a pattern are read.
pub(super) const READING: &str = "Reading the lines of this pattern …";

pub(super) fn pattern_lines(model: &mut Model) -> Vec<Effect> {
    let Some((record, pattern)) = selected_pattern(model) else {
        return say_key(model, "No pattern is selected. Press {} to show the patterns.", Action::LogView);
    };
    let effect = Effect::PatternLines { template: pattern.template.clone(), window: record.window };
    model.say(Tone::Plain, READING);
    vec![effect]
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
