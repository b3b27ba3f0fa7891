//! What is done in the logs: searched, walked from error to error, shown, kept as evidence.

use super::super::board::Filter;
use super::super::edit::LineEdit;
use super::super::model::{Model, Tone};
use super::super::msg::Effect;
use super::super::overlay::{Overlay, Purpose};
use super::perform::{act, show, with_id};
use crate::analysis::Pattern;
use crate::incident::{EvidenceRecord, NoteKind};
use crate::telemetry::Level;
use crate::telemetry::words::count;

pub(super) fn search(model: &mut Model) -> Vec<Effect> {
    let hint = "words to go to; ~regex; ⏎ goes there, n and N on and back, ↑ recalls, esc ends".to_owned();
    // Another search begins anew; the arrow has the last.
    show(model, Overlay::Line { title: "Search".to_owned(), edit: LineEdit::default(), purpose: Purpose::Search, hint })
}

/// To the next or previous line, or pattern, that is searched for.
pub(super) fn to_hit(model: &mut Model, forward: bool) -> Vec<Effect> {
    let (went, what) = match rows(model, is_hit) {
        Some(hits) => (to_row(model, &hits, forward), "pattern"),
        None => (model.logs.to_hit(forward), "line"),
    };
    if !went {
        model.say(Tone::Plain, format!("no further {what} with {}", model.logs.search));
    }
    Vec::new()
}

/// Goes to what was typed: from where one is.
pub(super) fn search_from_here(model: &mut Model) {
    let Some(hits) = rows(model, is_hit) else {
        if !model.logs.search_from_here() {
            model.say(Tone::Plain, format!("no line with {}", model.logs.search));
        }
        return;
    };
    let at = model.room.as_ref().map_or(0, |r| r.pattern);
    if !hits.contains(&at) && !to_row(model, &hits, true) && !to_row(model, &hits, false) {
        model.say(Tone::Plain, format!("no pattern with {}; v shows the lines", model.logs.search));
    }
}

/// To the next line, or pattern, that says that something went wrong.
pub(super) fn to_error(model: &mut Model, forward: bool) -> Vec<Effect> {
    match rows(model, |_, p| p.level.is_some_and(Level::is_error)) {
        Some(bad) => {
            to_row(model, &bad, forward);
        }
        None => model.logs.to_error(forward),
    }
    Vec::new()
}

fn is_hit(model: &Model, p: &Pattern) -> bool {
    Filter::new(&model.logs.search).matches(&format!("{} {} {}", p.services.join(" "), p.template, p.sample).to_lowercase())
}

/// The rows of the patterns that are wanted; `None` where the logs show lines.
fn rows(model: &Model, wanted: impl Fn(&Model, &Pattern) -> bool) -> Option<Vec<usize>> {
    let room = model.room.as_ref().filter(|r| r.shows_patterns())?;
    let patterns = room.patterns(&model.logs.filter);
    Some(patterns.iter().enumerate().filter(|(_, (_, p))| wanted(model, p)).map(|(row, _)| row).collect())
}

/// Selects the next or previous of these patterns; `false` when there is none.
fn to_row(model: &mut Model, rows: &[usize], forward: bool) -> bool {
    let Some(room) = model.room.as_mut() else { return false };
    let next = if forward { rows.iter().find(|r| **r > room.pattern) } else { rows.iter().rev().find(|r| **r < room.pattern) };
    next.is_some_and(|row| {
        room.pattern = *row;
        true
    })
}

/// The selected pattern with its evidence, as far as the logs show patterns.
fn selected_pattern(model: &Model) -> Option<(&EvidenceRecord, &Pattern)> {
    let room = model.room.as_ref().filter(|r| r.shows_patterns())?;
    let patterns = room.patterns(&model.logs.filter);
    patterns.get(room.pattern.min(patterns.len().checked_sub(1)?)).copied()
}

pub(super) fn pattern_lines(model: &mut Model) -> Vec<Effect> {
    let Some((record, pattern)) = selected_pattern(model) else {
        model.say(Tone::Plain, "v shows the patterns; enter on one shows its lines");
        return Vec::new();
    };
    let effect = Effect::PatternLines { template: pattern.template.clone(), window: record.window };
    model.say(Tone::Plain, "asking the log sources for the lines");
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
        return with_id(model, |m, id| act(m, Effect::Note { id, text, kind: NoteKind::Observation, at }));
    }
    let Some(line) = model.logs.current().cloned() else {
        model.say(Tone::Plain, "there is no line");
        return Vec::new();
    };
    with_id(model, |m, id| act(m, Effect::KeepLine { id, line: Box::new(line) }))
}
