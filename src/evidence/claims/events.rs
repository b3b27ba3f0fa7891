//! The order of what happened: "the deploy came two minutes before the first alert".
//!
//! Evidence dates things: changes, notes and log lines begin with a time, alerts fire since one, patterns have a first line,
//! and series leave their normal range. A claim that puts one of them before or after another, or before or after a time,
//! describes both in its own words. Each description is matched with the event that shares most words with it; if several
//! events fit as well, the order is not checked.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Fault;
use super::quantities::{Clock, Dimension, clocks, quantities};
use super::subject::terms;
use super::words::{NEGATED, pattern};
use crate::incident::ClaimKind;

/// Something that an item dates.
pub(super) struct Event {
    /// Seconds since midnight UTC.
    secs: f64,
    /// Whether the item says when it began and nothing of when it ended.
    is_beginning: bool,
    line: String,
}

impl Event {
    /// The words that describe it.
    fn terms(&self) -> BTreeSet<String> {
        terms(&self.line).into_iter().filter(|t| !t.contains(':')).collect()
    }
}

/// The least sum of shares that a description and its event have in common, where a word counts by how few events have it, and
/// the largest part of it that another event may reach.
const LEAST_SHARED: f64 = 1.0;
const MOST_OF_ANOTHER: f64 = 0.6;
/// Seconds by which the order of two events may differ from what is said, because sources sample and round.
const SLACK: f64 = 15.0;
/// The share by which a duration between two events may be wrong.
const DURATION_SLACK: f64 = 0.25;

/// A time at the start of a line, maybe with its day.
static AT_START: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\W{0,2}(?:\d{4}-\d{2}-\d{2}[T ])?\d{2}:\d{2}(?::\d{2})?"));
/// What the evidence says of a beginning: of an alert, of a pattern, and of a series in the first line of its item.
static SINCE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\w.*\] (?:firing|pending) since |^(?:new|up|down|gone|same) \d.*? first "));
static ONSET: LazyLock<Regex> = LazyLock::new(|| pattern(r"→.* from \d{2}:|, first moved "));
/// What says that something ended rather than began.
static ENDING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:recover\w*|return\w*|back|clear(?:ed|s)?|resolv\w+|end(?:ed|s|ing)?|stop\w*|finish\w*|last|over|again|still|until|subsid\w+|eas(?:ed|ing)|normal\w*|peak\w*|most|worst|highest|lowest|maximum|minimum|all|every\w*)\b",
    )
});

/// Words between two events, of which the first is the earlier or the later one.
static ORDER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?P<earlier>ahead of|prior to|earlier than|before|preceded|(?:was|were) followed by)|(?P<later>later than|after|followed))\b",
    )
});

/// The events of an item.
pub(super) fn events(text: &str) -> Vec<Event> {
    let dated = |(n, line): (usize, &str)| {
        let is_beginning = SINCE.is_match(line) || n == 0 && ONSET.is_match(line);
        if !is_beginning && !AT_START.is_match(line) {
            return None;
        }
        let from = if is_beginning { SINCE.find(line).or_else(|| ONSET.find(line))?.end().saturating_sub(3) } else { 0 };
        let clock = clocks(line).into_iter().find(|c| c.at.end > from)?;
        Some(Event { secs: clock.secs, is_beginning, line: line.to_owned() })
    };
    text.lines().enumerate().filter_map(dated).collect()
}

/// The time of what a part of a sentence describes; `None` unless exactly one event fits.
fn time_of(part: &str, events: &[(&Event, BTreeSet<String>)]) -> Option<(f64, f64)> {
    if let [Clock { secs, has_seconds, .. }] = clocks(part).as_slice() {
        return Some((*secs, if *has_seconds { 0.0 } else { 60.0 }));
    }
    let wanted = terms(part);
    let share = |term: &String| 1.0 / events.iter().filter(|(_, terms)| terms.contains(term)).count().max(1) as f64;
    let shared = |terms: &BTreeSet<String>| wanted.iter().filter(|t| terms.contains(*t)).map(share).sum();
    let mut scores: Vec<(f64, &Event)> = events.iter().map(|(event, terms)| (shared(terms), *event)).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (best, event) = scores.first()?;
    let is_clear = *best >= LEAST_SHARED && scores.get(1).is_none_or(|(other, _)| *other <= best * MOST_OF_ANOTHER);
    (is_clear && !(event.is_beginning && ENDING.is_match(part))).then_some((event.secs, 0.0))
}

/// How much later the second time of day is than the first, within half a day.
fn later_by(first: f64, second: f64) -> f64 {
    const DAY: f64 = 86_400.0;
    (second - first + DAY / 2.0).rem_euclid(DAY) - DAY / 2.0
}

/// Where a part of a sentence ends: at the next mark that is not inside a version or a time.
fn end_of_part(text: &str) -> usize {
    let is_mark = |c: char| matches!(c, '.' | ';' | ',' | '(' | ')' | '|' | ':');
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if is_mark(c) && !chars.peek().is_some_and(|(_, next)| next.is_alphanumeric()) {
            return at;
        }
    }
    text.len()
}

/// The descriptions on both sides of a word of order. At the start of a sentence, as in "after the deploy, errors rose", what
/// follows the comma is the first.
fn both_sides(statement: &str, word: Range<usize>) -> Option<(&str, &str)> {
    let (before, behind) = (statement.get(..word.start)?, statement.get(word.end..)?);
    let mut first = before;
    while let Some(rest) = first.get(end_of_part(first) + 1..) {
        first = rest;
    }
    let (mut second, rest) = behind.split_at_checked(end_of_part(behind))?;
    if first.trim().is_empty() {
        let rest = rest.get(1..)?;
        first = rest.get(..end_of_part(rest))?;
    }
    if let Some(next) = ORDER.find(second) {
        second = second.get(..next.start())?;
    }
    Some((first, second))
}

/// A fault if two events that a statement names happened in the other order, or with another time between them.
pub(super) fn wrong_order(statement: &str, events: &[&Event]) -> Option<Fault> {
    if events.is_empty() || !ORDER.is_match(statement) {
        return None;
    }
    let events: Vec<(&Event, BTreeSet<String>)> = events.iter().map(|e| (*e, e.terms())).collect();
    ORDER.captures_iter(statement).find_map(|c| {
        let (first, second) = both_sides(statement, c.get(0)?.range())?;
        if NEGATED.is_match(first) || clocks(first).len() == 1 && clocks(second).len() == 1 {
            return None;
        }
        let ((at_first, first_slack), (at_second, second_slack)) = (time_of(first, &events)?, time_of(second, &events)?);
        let lead = later_by(at_first, at_second) * if c.name("later").is_some() { -1.0 } else { 1.0 };
        let slack = SLACK + first_slack.max(second_slack);
        if lead < -slack {
            return Some(Fault::new(ClaimKind::Time, "The cited evidence has these in the other order."));
        }
        let span = quantities(first).pop()?;
        let unit = span.unit.filter(|u| u.dimension == Dimension::Time && !u.is_rate)?;
        let is_next = first.get(span.at.end..).is_some_and(|rest| rest.split_whitespace().count() <= 1);
        let wanted = span.value * unit.factor;
        let is_off = (lead - wanted).abs() > slack.max(DURATION_SLACK * wanted).max(unit.factor);
        // One event cannot be apart from itself: it fits both descriptions.
        (is_next && is_off && lead.abs() >= 1.0)
            .then(|| Fault::new(ClaimKind::Time, format!("The cited evidence has {} s between these.", lead.max(0.0).round())))
    })
}
