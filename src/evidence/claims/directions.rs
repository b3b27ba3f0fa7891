//! Whether values go where a statement says, and whether they have the value that it gives at a time.

use std::sync::LazyLock;

use regex::Regex;

use super::Fault;
use super::events::{Circumstance, Event, circumstance, later_by};
use super::facts::{All, Facts};
use super::quantities::{Dimension, Unit};
use super::said::Said;
use super::series::{Course, Direction};
use super::verbs::directions;
use super::words::{NEGATED, pattern};
use crate::incident::ClaimKind;

/// A fault if every series of the items that decides it goes this way after the time that the statement names.
fn has_gone(direction: Direction, times: &[f64], items: &[&Facts]) -> Option<Fault> {
    let found: Vec<Direction> = items.iter().flat_map(|i| i.courses.iter()).filter_map(|c| c.direction(times)).collect();
    let all = !found.is_empty() && !times.is_empty() && found.iter().all(|d| *d == direction);
    all.then(|| Fault::new(ClaimKind::Direction, "The cited evidence says the opposite."))
}

/// Whether all series of the items are durations.
fn are_durations(items: &[&Facts]) -> bool {
    let mut with_series = items.iter().filter(|i| !i.courses.is_empty()).peekable();
    let is_duration = |i: &&Facts| i.unit.is_some_and(|u| u.dimension == Dimension::Time && !u.is_rate);
    with_series.peek().is_some() && with_series.all(is_duration)
}

/// The direction of "improve" and "worsen", which follows from what is measured.
fn better_or_worse(statement: &str, items: &[&Facts]) -> Option<Direction> {
    let lower = statement.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    let better = any(&["improve", "got better", "get better", "faster", "sped up", "quicker"]);
    if !better && !any(&["worse", "deteriorate", "slower", "slowed", "degrade"]) {
        return None;
    }
    let rises = if any(&[
        "latency", "error", "failure", "lag", "loss", "throttl", "usage", "restarts", "time", "faster", "slow", "sped up",
        "quicker",
    ]) || are_durations(items)
    {
        !better
    } else if any(&["hit ratio", "hit rate", "success", "throughput", "conversion", "availability"]) {
        better
    } else {
        return None;
    };
    Some(if rises { Direction::Up } else { Direction::Down })
}

static BACK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:recover(?:ed|s|ing|y)?|return(?:ed|s|ing)?|back (?:to|at|down|up)|came back|normali[sz]ed|resumed|restored|reset|again|then|before (?:falling|rising|dropping|climbing)|from a peak|after (?:peaking|rising|falling))\b",
    )
});

static LIMIT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(?:below|above|under|over|beyond|exceed\w*) (?:\w+ )?[\d~]"));

/// What a clause says of a value.
#[derive(Clone, Copy)]
enum Stated {
    Goes(Direction),
    /// It has not gone the better way.
    NotGone(Direction),
}

/// What a clause says of one value; `None` if it says nothing, or several things.
fn stated(clause: &str, items: &[&Facts]) -> Option<Stated> {
    let said = directions(clause);
    // What never fell below a limit may have moved above it.
    if LIMIT.is_match(clause) && NEGATED.is_match(clause) {
        return None;
    }
    let denies = NEGATED.is_match(clause) && !said.contains(&Direction::Flat);
    let said = match better_or_worse(clause, items) {
        Some(better) if said.is_empty() && denies => return Some(Stated::NotGone(better)),
        Some(direction) if said.is_empty() => vec![direction],
        _ => said,
    };
    match said.as_slice() {
        // What never rose above something may have risen.
        _ if denies => None,
        [one] => Some(Stated::Goes(*one)),
        // "did not rise" holds a word of each.
        several if several.contains(&Direction::Flat) && several.len() == 2 => Some(Stated::Goes(Direction::Flat)),
        _ => None,
    }
}

/// A sentence without its circumstance, if something is left.
fn main_clause(statement: &str, circumstance: &Circumstance) -> String {
    let (before, behind) = (statement.get(..circumstance.at.start), statement.get(circumstance.at.end..));
    let main = format!("{}{}", before.unwrap_or(""), behind.unwrap_or(""));
    let words = main.split_whitespace().filter(|w| w.chars().any(char::is_alphabetic)).count();
    if words < 2 { statement.to_owned() } else { main }
}

/// A fault if the series went another way after the event than is said, or before it.
fn wrong_since_event(said: Stated, secs: f64, is_before: bool, courses: &[&Course]) -> Option<Fault> {
    let readings: Vec<Vec<Direction>> = courses.iter().map(|c| c.directions_about(secs, is_before)).collect();
    let is_decided = !readings.is_empty() && readings.iter().all(|r| !r.is_empty());
    let is_wrong = match said {
        Stated::Goes(direction) => !readings.iter().any(|r| r.contains(&direction)),
        Stated::NotGone(direction) => readings.iter().all(|r| r.iter().all(|d| *d == direction)),
    };
    let is = match readings.first()?.first()? {
        Direction::Up => "goes up then",
        Direction::Down => "goes down then",
        Direction::Flat => "does not change then",
    };
    (is_decided && is_wrong).then(|| Fault::new(ClaimKind::Direction, format!("The cited evidence {is}.")))
}

pub(super) fn wrong_direction(said: &Said<'_>, items: &[&Facts], all: &All<'_>) -> Option<Fault> {
    if let Some(fault) = wrong_way(said, items) {
        return Some(fault);
    }
    let (read, statement, mut times) = (said, said.text, said.times());
    let events: Vec<&Event> = items.iter().flat_map(|i| i.events.iter()).collect();
    let circumstance = circumstance(statement, &events);
    let main = circumstance.as_ref().map_or_else(|| statement.to_owned(), |c| main_clause(statement, c));
    let said = stated(&main, items)?;
    // What is said to return went both ways.
    if BACK.is_match(&main) && !matches!(said, Stated::Goes(Direction::Flat)) && times.len() < 2 {
        return None;
    }
    let circumstance = circumstance.filter(|c| !c.is_during && times.is_empty());
    // What happened then may be in an item that the sentence does not cite.
    let at_event = circumstance.as_ref().and_then(|c| c.secs.or_else(|| self::circumstance(statement, &all.events)?.secs));
    if let Some((secs, is_before)) = at_event.zip(circumstance.as_ref().map(|c| c.is_before)) {
        return wrong_since_event(said, secs, is_before, &named_courses(&main, items));
    }
    let said = match said {
        Stated::NotGone(better) => return has_gone(better, &times, items),
        Stated::Goes(direction) => direction,
    };
    let fault = |is: &str| Some(Fault::new(ClaimKind::Direction, format!("The cited evidence {is}.")));
    // A sentence about many items has many movements.
    if items.len() > 2 {
        return None;
    }
    let said = compared(said, read);
    if let Some((from, to)) = read.course() {
        if is_reversed(from, to, items) {
            return fault("goes from the second value to the first");
        }
        return match said {
            // What became slower has a longer latency or a lower throughput.
            _ if directions(&main).is_empty() => None,
            Direction::Up if to < from => fault("goes down here"),
            Direction::Down if to > from => fault("goes up here"),
            _ => None,
        };
    }
    let figures = &read.quantities;
    let pattern =
        items.iter().flat_map(|i| i.patterns.iter()).find(|(_, count)| figures.iter().any(|q| q.value == *count && *count > 9.0));
    match (pattern.map(|(d, _)| *d), said) {
        (Some(Direction::Up), Direction::Down) => return fault("has more such lines than before"),
        (Some(Direction::Down), Direction::Up) => return fault("has fewer such lines than before"),
        _ => {}
    }
    // A value that is the same by a time is so since the start, and one that is higher than before is compared with it.
    let is_by = BY_TIME.is_match(statement);
    if times.len() == 1 && (is_by && said == Direction::Flat || !is_by && THAN_BEFORE.is_match(statement)) {
        times.push(f64::NEG_INFINITY);
    }
    let chosen = named_courses(statement, items);
    if said == Direction::Flat && times.is_empty() && circumstance.is_none() && is_of_all_time(&main) {
        return if all_leave_their_level(&chosen, items) { fault("changes") } else { None };
    }
    let directions: Vec<Direction> = match times.as_slice() {
        // A value that fell to something by a time may have risen before.
        [until] if is_by && said != Direction::Flat => {
            let opposite = if said == Direction::Up { Direction::Down } else { Direction::Up };
            chosen.iter().filter_map(|c| c.goes_until(said, *until)).map(|goes| if goes { said } else { opposite }).collect()
        }
        times => chosen.iter().filter_map(|c| c.direction(times)).collect(),
    };
    if directions.len() * 2 < chosen.len() || directions.is_empty() || directions.contains(&said) {
        // Without samples that decide it, the summary's change does.
        let change = items
            .iter()
            .find_map(|i| i.change)
            .filter(|_| directions.is_empty() && times.is_empty() && circumstance.is_none() && items.len() == 1);
        return match (change, said) {
            (Some((from, to)), Direction::Up) if to < from * 0.9 => fault("goes down"),
            (Some((from, to)), Direction::Down) if to > from * 1.1 => fault("goes up"),
            (Some((from, to)), Direction::Flat) if (to - from).abs() > from.abs().max(to.abs()) * 0.3 && figures.is_empty() => {
                fault("changes")
            }
            _ => None,
        };
    }
    match directions.first() {
        Some(Direction::Up) => fault("goes up there"),
        Some(Direction::Down) => fault("goes down there"),
        Some(Direction::Flat) => fault("does not change there"),
        None => None,
    }
}

/// The series that a statement names first by the value of a label; all of the items if it names none.
fn named_courses<'a>(statement: &str, items: &[&'a Facts]) -> Vec<&'a Course> {
    // "In use" is the label `in_use`.
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], " ");
    let lower = plain(statement);
    let all: Vec<&Course> = items.iter().flat_map(|i| i.courses.iter()).collect();
    let values = |c: &Course| -> Vec<String> {
        c.labels.trim_matches(['{', '}']).split(',').filter_map(|pair| pair.split_once('=')).map(|(_, v)| plain(v)).collect()
    };
    let named: Vec<&Course> =
        all.iter().copied().filter(|c| values(c).iter().any(|v| v.len() > 1 && lower.contains(v.as_str()))).collect();
    // The one that is named first is what the sentence is about.
    let first_at = |c: &Course| values(c).iter().filter(|v| v.len() > 1).filter_map(|v| lower.find(v.as_str())).min();
    let first = named.iter().filter_map(|c| first_at(c)).min();
    let named: Vec<&Course> = named.into_iter().filter(|c| first_at(c) == first).collect();
    if named.is_empty() { all } else { named }
}

/// A fault if a statement says that a value went from one to another at its times, and the series with these values go the
/// other way then.
fn wrong_way(said: &Said<'_>, items: &[&Facts]) -> Option<Fault> {
    let (times, statement) = (said.times(), said.text);
    if times.is_empty() || times.len() > 2 || NEGATED.is_match(statement) {
        return None;
    }
    let (from, to) = said.course().filter(|(from, to)| from != to)?;
    let said = if to > from { Direction::Up } else { Direction::Down };
    let has_both = |c: &&Course| SCALES.iter().any(|s| c.goes_from_to(from * s, to * s) || c.goes_from_to(to * s, from * s));
    let courses = items.iter().flat_map(|i| i.courses.iter()).filter(has_both);
    let until = times.len() == 1 && BY_TIME.is_match(statement);
    let ways: Vec<bool> = courses
        .filter_map(|c| match times.as_slice() {
            [secs] if until => c.goes_until(said, *secs),
            times => c.direction(times).map(|direction| direction == said),
        })
        .collect();
    (!ways.is_empty() && !ways.contains(&true))
        .then(|| Fault::new(ClaimKind::Direction, "The cited evidence goes the other way then."))
}

/// What is between a value and its time: `4.6 s at 16:49`, `412 running threads by 15:30`.
static AT_TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^(?: [a-z][\w-]*){0,3} (?:at|(?P<until>by)|as of) (?:about |around |roughly )?$"));

/// A fault if a statement gives a value at a time at which every series that has this value has another one.
pub(super) fn at_another_time(said: &Said<'_>, items: &[&Facts]) -> Option<Fault> {
    let figures = if said.clocks.is_empty() { &[] } else { said.quantities.as_slice() };
    figures.iter().find_map(|figure| {
        let (clock, until) = said.clocks.iter().find_map(|clock| {
            let between = AT_TIME.captures(said.text.get(figure.at.end..clock.at.start)?)?;
            Some((clock, between.name("until").is_some()))
        })?;
        let scale = |unit: Option<Unit>| match (figure.unit, unit) {
            (Some(a), Some(b)) => ((a.dimension, a.is_rate) == (b.dimension, b.is_rate)).then_some(a.factor / b.factor),
            // Samples without a unit may be shares and counts.
            (Some(a), None) => matches!(a.dimension, Dimension::Share | Dimension::Count).then_some(1.0),
            (None, _) => Some(1.0),
        };
        let scaled = items.iter().filter_map(|i| Some((scale(i.unit)?, &i.courses)));
        let found: Vec<(bool, bool)> = scaled
            .flat_map(|(scale, courses)| courses.iter().filter_map(move |c| c.has_value(figure.value * scale, clock.secs, until)))
            .collect();
        let is_elsewhere = found.iter().any(|(anywhere, _)| *anywhere) && !found.iter().any(|(_, then)| *then);
        is_elsewhere.then(|| {
            let (value, time) = (said.written(&figure.at), said.written(&clock.at));
            Fault::new(ClaimKind::Time, format!("The cited evidence has {value} at another time than {time}."))
        })
    })
}

/// What makes a figure the highest or the lowest value of the whole window.
static BOUND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?P<most>(?:never|did not|not once|at no time) (?:exceed(?:ed)?|go(?:es)? (?:above|over)|went (?:above|over)|rise above|rose above|top(?:ped)?)|(?:stayed|remained|kept|held) (?:below|under))|(?:(?:never|did not|not once|at no time) (?:fell|fall|dropped?|dipped?|went|go|sank|sink) (?:below|under)|(?:stayed|remained|kept|held) above)) (?:about |around |roughly |~)?$",
    )
});

/// A fault if a value that is said to be never exceeded, or never reached from above, is by every series that it may be about.
pub(super) fn wrong_bound(said: &Said<'_>, items: &[&Facts]) -> Option<Fault> {
    let is_partial = !said.clocks.is_empty() || FOR_A_WHILE.is_match(said.text);
    let figures = if is_partial { &[] } else { said.quantities.as_slice() };
    figures.iter().find_map(|figure| {
        let bound = BOUND.captures(said.before(figure.at.start))?;
        let is_most = bound.name("most").is_some();
        let extremes = items.iter().flat_map(|item| {
            let scale = match (figure.unit, item.unit) {
                (Some(a), Some(b)) if (a.dimension, a.is_rate) == (b.dimension, b.is_rate) => Some(a.factor / b.factor),
                (None, None) => Some(1.0),
                _ => None,
            };
            let courses = scale.map_or_else(Vec::new, |_| named_courses(said.text, &[item]));
            courses.into_iter().filter_map(move |c| Some((c.extreme(is_most), figure.value * scale?)))
        });
        let extremes: Vec<(f64, f64)> = extremes.collect();
        let is_passed = |(extreme, value): &(f64, f64)| {
            let slack = value.abs() * 0.02;
            if is_most { *extreme > value + slack } else { *extreme < value - slack }
        };
        let (extreme, _) = *extremes.first().filter(|_| extremes.iter().all(is_passed))?;
        let reason = format!("The cited evidence goes {} to {extreme}.", if is_most { "up" } else { "down" });
        Some(Fault::new(ClaimKind::Number, reason))
    })
}

/// A statement may have another unit than the samples.
const SCALES: [f64; 5] = [1.0, 1000.0, 0.001, 100.0, 0.01];

/// Whether a series of the items goes from the second value to the first, and none goes the way of the statement.
fn is_reversed(from: f64, to: f64, items: &[&Facts]) -> bool {
    let courses = || items.iter().flat_map(|i| i.courses.iter());
    from != to
        && SCALES.iter().any(|s| courses().any(|c| c.goes_from_to(to * s, from * s)))
        && !SCALES.iter().any(|s| courses().any(|c| c.goes_from_to(from * s, to * s)))
}

/// A comparison of what was at the first time of a sentence with what was at the second.
static COMPARED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:higher|lower|more|fewer|less|larger|smaller|longer|shorter|greater|bigger|rarer)\b.*\bthan (?:[a-z]|\d{1,2}:)|\b(?:exceeded|surpassed) (?:that|those|the)\b",
    )
});

/// The direction that a comparison of two times says. "At 09:10 it was higher than at 09:20" says that it fell.
fn compared(direction: Direction, said: &Said<'_>) -> Direction {
    let is_backwards = match said.clocks.as_slice() {
        [first, second] => later_by(first.secs, second.secs) > 0.0 && COMPARED.is_match(said.text),
        _ => false,
    };
    match direction {
        Direction::Up if is_backwards => Direction::Down,
        Direction::Down if is_backwards => Direction::Up,
        other => other,
    }
}

/// Whether a clause speaks of the whole window rather than of a part of it or of now.
fn is_of_all_time(clause: &str) -> bool {
    ALWAYS.is_match(clause) && !FOR_A_WHILE.is_match(clause) && !BACK.is_match(clause)
}

fn all_leave_their_level(courses: &[&Course], items: &[&Facts]) -> bool {
    let may_be_share = items.iter().all(|i| i.unit.is_none_or(|u| u.dimension == Dimension::Share));
    !courses.is_empty() && courses.iter().all(|c| c.leaves_its_level(may_be_share))
}

/// What says that a value never changed.
static ALWAYS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:throughout|never|at no (?:time|point)|not once|always|the (?:whole|entire) \w+|all (?:day|night|evening|morning|along|the time)|hardly|barely|scarcely|stayed|remained|kept|held|stuck|ran|sat|hovered)\b",
    )
});
/// What says that it did so for a part of the time, or is so now.
static FOR_A_WHILE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:now|since|still|at first|initially|afterwards?|later|then|until|till|meanwhile|once|before|after|plateaued|flattened|level(?:l)?ed|for (?:some|a|about|around|almost|nearly|over|more|the)|for \d+|from)\b",
    )
});

static THAN_BEFORE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bthan (?:\w+ )?(?:before|usual|normal|earlier)\b"));
static BY_TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:to|at) [\d.,]+ ?[%\p{L}/]*(?: \w+){0,3} (?:at|by|until)|by|until|stood at [\d.,]+ ?%? at) (?:about |around )?\d{1,2}:\d{2}",
    )
});
