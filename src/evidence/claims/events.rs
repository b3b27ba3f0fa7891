//! The order of what happened: "the deploy came two minutes before the first alert".
//!
//! Evidence dates things: changes, notes and log lines begin with a time, alerts fire since one, patterns have a first line,
//! and series leave their normal range. A claim that puts one of them before or after another, or before or after a time,
//! describes both in its own words. Each description is matched with the event that shares most words with it; if several
//! events fit as well, the order is not checked.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;

use super::Fault;
use super::quantities::{Dimension, Precision, Quantity, clocks, quantities};
use super::said::Said;
use super::subject::terms;
use super::words::{NEGATED, Words, pattern, words};
use crate::incident::ClaimKind;

/// Something that an item dates.
pub(super) struct Event {
    /// Seconds since midnight UTC.
    secs: f64,
    /// Whether the item says when it began and nothing of when it ended.
    is_beginning: bool,
    line: String,
    terms: OnceLock<BTreeSet<String>>,
}

impl Event {
    /// The words that describe it. A change is described by what it leads to rather than by what was before.
    fn terms(&self) -> &BTreeSet<String> {
        self.terms.get_or_init(|| {
            let line = REPLACED.replace_all(&self.line, " ");
            let is_change = line.len() != self.line.len() && !self.is_beginning;
            let mut found: BTreeSet<String> = terms(&line).into_iter().filter(|t| !t.contains(':')).collect();
            found.extend(kind_of_change(&line).or_else(|| is_change.then_some(DEPLOY)).map(str::to_owned));
            found
        })
    }
}

/// What a change replaces: `1.41.3 →`.
static REPLACED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\S+ ?→"));

/// The words for a deployment and for taking one back, of which people and tools have many.
const DEPLOY: &str = "a deployment";
const ROLLBACK: &str = "a rollback";
static DEPLOYS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:re)?deploy(?:s|ed|ment|ments)?|releas(?:e|es|ed)|roll(?:ed|s)?[ -]?out|rollout|sync(?:s|ed)?|ship(?:s|ped)|upgrad(?:e|es|ed)|update[sd]?|went live|(?:was|is|were) out)\b",
    )
});
static ROLLS_BACK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:roll(?:ed|s|ing)?(?: \S+)?[ -]back|rollbacks?|revert(?:s|ed)?|(?:brought|put|set) back|restor(?:e|es|ed)|reinstat(?:e|es|ed)|undone|undid)\b",
    )
});

/// The kind of change that a text describes.
fn kind_of_change(text: &str) -> Option<&'static str> {
    if ROLLS_BACK.is_match(text) { Some(ROLLBACK) } else { DEPLOYS.is_match(text).then_some(DEPLOY) }
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
        Some(Event { secs: clock.secs, is_beginning, line: line.to_owned(), terms: OnceLock::new() })
    };
    text.lines().enumerate().filter_map(dated).collect()
}

/// The time of what a part of a sentence describes, and by how much it may differ; `None` unless exactly one event fits.
fn time_of(part: &str, events: &[&Event]) -> Option<(f64, f64)> {
    if let [clock] = clocks(part).as_slice() {
        // Which half of the day is meant cannot be known here.
        return (clock.precision != Precision::EitherHalf).then_some((clock.secs, clock.precision.slack().1));
    }
    described(part, events).map(|event| (event.secs, 0.0))
}

/// The event that a part of a sentence describes; `None` unless exactly one fits.
fn described<'a>(part: &str, events: &[&'a Event]) -> Option<&'a Event> {
    let mut wanted = terms(part);
    wanted.extend(kind_of_change(part).map(str::to_owned));
    let share = |term: &String| 1.0 / events.iter().filter(|e| e.terms().contains(term)).count().max(1) as f64;
    let shared = |terms: &BTreeSet<String>| wanted.iter().filter(|t| terms.contains(*t)).map(share).sum();
    let mut scores: Vec<(f64, &Event)> = events.iter().map(|e| (shared(e.terms()), *e)).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (best, event) = *scores.first()?;
    // An event that lacks a figure of the description is another one.
    let figures = quantities(part);
    let lacks = |q: &Quantity| {
        q.decimals > 0 && !event.line.contains(part.get(q.at.start..q.at.end).unwrap_or("").split(' ').next().unwrap_or(""))
    };
    if figures.iter().any(lacks) {
        return None;
    }
    let is_clear = best >= LEAST_SHARED && scores.get(1).is_none_or(|(other, _)| *other <= best * MOST_OF_ANOTHER);
    (is_clear && !(event.is_beginning && ENDING.is_match(part))).then_some(event)
}

/// How much later the second time of day is than the first, within half a day.
pub(super) fn later_by(first: f64, second: f64) -> f64 {
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

/// The last part of a text that has a word; empty if none has.
fn last_part(text: &str) -> &str {
    let (mut rest, mut last) = (text, "");
    loop {
        let (part, behind) = rest.split_at_checked(end_of_part(rest)).unwrap_or((rest, ""));
        if part.chars().any(char::is_alphanumeric) {
            last = part;
        }
        match behind.chars().next() {
            Some(mark) => rest = behind.get(mark.len_utf8()..).unwrap_or(""),
            None => return last,
        }
    }
}

/// Two events of a sentence, in its words, and the time that it puts between them.
struct Pair<'a> {
    first: &'a str,
    second: &'a str,
    span: Option<Quantity>,
}

/// The descriptions on both sides of a word of order. At the start of a sentence, as in "two minutes after the deploy, errors
/// rose", what follows the comma is the first.
fn both_sides(statement: &str, word: Range<usize>) -> Option<Pair<'_>> {
    let (before, behind) = (statement.get(..word.start)?, statement.get(word.end..)?);
    let mut first = last_part(before);
    let (mut second, rest) = behind.split_at_checked(end_of_part(behind))?;
    let span = quantities(first).pop().filter(|span| {
        let is_next = first.get(span.at.end..).is_some_and(|rest| rest.split_whitespace().count() <= 1);
        is_next && span.unit.is_some_and(|u| u.dimension == Dimension::Time && !u.is_rate)
    });
    let described = first.get(..span.as_ref().map_or(first.len(), |s| s.at.start))?;
    let words = described.split_whitespace().filter(|w| !ADVERBS.has(&w.to_lowercase())).count();
    if words == 0 {
        let rest = rest.get(1..)?;
        first = rest.get(..end_of_part(rest))?;
    }
    if let Some(next) = ORDER.find(second) {
        second = second.get(..next.start())?;
    }
    Some(Pair { first, second, span })
}

/// Words in front of a time that describe nothing.
static ADVERBS: Words = words!(
    "only just about around roughly some almost nearly barely exactly less more than within even right soon shortly not quite and but"
);

/// A part of a sentence that gives a time by what happened then: "after the rollback, …".
pub(super) struct Circumstance {
    /// Where it is in the sentence, with the word that introduces it.
    pub at: Range<usize>,
    /// Whether it says what was before the event.
    pub is_before: bool,
    /// Whether it is something that went on at the same time.
    pub is_during: bool,
    /// When the event happened, in seconds since midnight UTC; `None` unless exactly one event of the evidence fits.
    pub secs: Option<f64>,
}

/// Words that introduce a circumstance.
static CIRCUMSTANCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?P<before>ahead of|prior to|before|until|up to the)|after|once|since|following|as soon as|when|(?P<during>while|whereas|as (?:the|its|their|it|they|more)))\b",
    )
});

/// What makes a word of a circumstance a part of a comparison: "than before", "as high as the limit", "the same as its".
static COMPARES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:than|such|well|known|same(?: \w+)?|as [\w-]+|twice as \w+)\s*$"));

static ARTICLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i) (?:the|its|their) "));

/// The first circumstance of a sentence; `None` if it has none.
pub(super) fn circumstance(statement: &str, events: &[&Event]) -> Option<Circumstance> {
    let is_compared = |at: usize| statement.get(..at).is_some_and(|t| COMPARES.is_match(t));
    let c = CIRCUMSTANCE.captures_iter(statement).find(|c| c.get(0).is_some_and(|m| !is_compared(m.start())))?;
    let word = c.get(0)?;
    let rest = statement.get(word.end()..)?;
    let mut end = end_of_part(rest);
    // Without a comma, the subject of the main clause begins with its article: "After the rollback was out the latency fell".
    let is_at_start = !statement.get(..word.start())?.contains(char::is_alphanumeric);
    if is_at_start && !rest.get(end..)?.contains(char::is_alphanumeric) {
        end = ARTICLE.find_iter(rest).last().map_or(end, |m| m.start());
    }
    let at = word.start()..word.end() + end;
    let description = statement.get(word.end()..at.end)?;
    let secs = time_of(description, events).map(|(secs, _)| secs);
    Some(Circumstance { at, is_before: c.name("before").is_some(), is_during: c.name("during").is_some(), secs })
}

/// Who did something, or wrote it: `sync by kim: …`, `12:00:00Z kim: …`.
static ACTOR: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bby (?P<by>[\w][\w.-]*[\w])|^\S+Z? (?P<wrote>[\w][\w.-]*[\w]): "));

impl Event {
    fn actors(&self) -> Vec<&str> {
        ACTOR.captures_iter(&self.line).filter_map(|c| c.name("by").or_else(|| c.name("wrote"))).map(|m| m.as_str()).collect()
    }
}

/// A fault if another person did what a statement says that one did.
pub(super) fn wrong_actor(said: &Said<'_>, events: &[&Event]) -> Option<Fault> {
    let statement = said.text;
    let people: BTreeSet<&str> = events.iter().flat_map(|e| e.actors()).collect();
    let mut named = people.into_iter().filter(|name| statement.contains(name));
    let (Some(person), None) = (named.next(), named.next()) else { return None };
    let deed = statement.replace(person, " ");
    let by_people: Vec<&Event> = events.iter().copied().filter(|e| !e.actors().is_empty()).collect();
    let actors = described(&deed, &by_people)?.actors();
    let is_then = |e: &&&Event| said.clocks.iter().any(|c| later_by(c.secs, e.secs).abs() <= c.precision.slack().1);
    let is_other = !actors.contains(&person) && !events.iter().filter(is_then).any(|e| e.actors().contains(&person));
    is_other.then(|| Fault::new(ClaimKind::Name, format!("The cited evidence has {} for this, not {person}.", actors.join(", "))))
}

/// A fault if two events that a statement names happened in the other order, or with another time between them.
pub(super) fn wrong_order(statement: &str, events: &[&Event]) -> Option<Fault> {
    let is_ordered = ORDER.is_match(statement);
    if events.is_empty() || !is_ordered && !WITHIN.is_match(statement) {
        return None;
    }
    let in_order = ORDER.captures_iter(statement).find_map(|c| {
        let Pair { first, second, span } = both_sides(statement, c.get(0)?.range())?;
        if NEGATED.is_match(first) || clocks(first).len() == 1 && clocks(second).len() == 1 {
            return None;
        }
        let ((at_first, first_slack), (at_second, second_slack)) = (time_of(first, events)?, time_of(second, events)?);
        let lead = later_by(at_first, at_second) * if c.name("later").is_some() { -1.0 } else { 1.0 };
        let slack = SLACK + first_slack.max(second_slack);
        if lead < -slack {
            return Some(Fault::new(ClaimKind::Time, "The cited evidence has these in the other order."));
        }
        let span = span?;
        let factor = span.unit?.factor;
        let wanted = span.value * factor;
        let is_off = (lead - wanted).abs() > slack.max(DURATION_SLACK * wanted).max(factor);
        // One event cannot be apart from itself: it fits both descriptions.
        (is_off && lead.abs() >= 1.0).then(|| apart(lead.max(0.0)))
    });
    in_order.or_else(|| too_far_apart(statement, events))
}

/// A fault if two events are further apart than a statement says: "within a minute of the deploy".
fn too_far_apart(statement: &str, events: &[&Event]) -> Option<Fault> {
    let word = WITHIN.find(statement)?;
    let span = quantities(word.as_str()).pop()?;
    let most = span.value * span.unit.filter(|u| u.dimension == Dimension::Time)?.factor;
    let (first, behind) = (last_part(statement.get(..word.start())?), statement.get(word.end()..)?);
    let second = behind.get(..end_of_part(behind))?;
    let ((at_first, first_slack), (at_second, second_slack)) = (time_of(first, events)?, time_of(second, events)?);
    let between = later_by(at_first, at_second).abs();
    let is_too_far = !NEGATED.is_match(first) && between > most * (1.0 + DURATION_SLACK) + SLACK + first_slack.max(second_slack);
    is_too_far.then(|| apart(between))
}

fn apart(secs: f64) -> Fault {
    Fault::new(ClaimKind::Time, format!("The cited evidence has {} s between these.", secs.round()))
}

/// The longest time between two events.
static WITHIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:within|less than|under) [\w -]{1,24}? (?:of|after|before)\b"));
