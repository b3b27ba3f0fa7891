//! What an evidence item says, ready to be compared with claims, and the comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use time::Date;

use super::Fault;
use super::directions::{at_another_time, wrong_bound, wrong_direction};
use super::events::{Event, events, wrong_actor, wrong_order};
use super::places::place;
use super::quantities::{
    Clock, Day, Dimension, Precision, Quantity, Unit, all_quantities, arrow, clocks, day_ranges, days, from_to, quantities,
    unit_of,
};
use super::rows::{Row, labels, rows, wrong_row};
use super::said::Said;
use super::series::{Course, Direction, courses};
use super::words::{Words, pattern, words};
use crate::incident::{ClaimKind, EvidenceId};

/// An evidence item, taken apart.
pub(super) struct Facts {
    /// The text in lower case, with one space between words and plain quotation marks.
    plain: String,
    /// `plain` without anything but letters and digits.
    squeezed: String,
    pub(super) quantities: Vec<Quantity>,
    /// The ranges of values that samples have between two times: lowest, highest, unit.
    ranges: Vec<(f64, f64, Option<Unit>)>,
    pub(super) clocks: Vec<Clock>,
    /// The times since which the conditions of its alerts are true, which is before they fire.
    conditions: Vec<f64>,
    days: Vec<Day>,
    pub(super) courses: Vec<Course>,
    pub(super) events: Vec<Event>,
    /// Times that the item gives with their day.
    stamps: Vec<(Day, f64)>,
    /// The unit of the samples.
    pub(super) unit: Option<Unit>,
    /// The change that the summary states: `1 → 20`.
    pub(super) change: Option<(f64, f64)>,
    /// How many series, alerts or lines it has.
    counts: BTreeSet<usize>,
    /// The values of its labels, in lower case.
    pub(super) entities: BTreeSet<String>,
    pub(super) rows: Vec<Row>,
    /// The direction and the count of each log pattern.
    pub(super) patterns: Vec<(Direction, f64)>,
}

/// The head of a metric: `latency p95, in s, alert threshold 0.8, step 5 s`, `memory, in MiB, limit 2048, step 30 s`.
static HEAD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^(?P<title>.*?)(?:, in (?P<unit>[^,\n]+?))?(?:, [a-z ]+ [\d.,]+)*, step [\d.,]+ s$"));

/// A text in the form in which quotations and names are compared.
fn plain(text: &str) -> String {
    let marks = text.replace(['“', '”', '„', '«', '»'], "\"").replace(['‘', '’', '`', '´'], "'").replace('⏎', " ");
    marks.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Facts {
    pub(super) fn of(text: &str) -> Self {
        let head = HEAD.captures(text);
        let written = head.as_ref().and_then(|c| c.name("unit")).and_then(|m| unit_of(m.as_str().trim()));
        let unit = written.or_else(|| head.as_ref().and_then(|_| unit_in_name(text)));
        let from = head.as_ref().and_then(|c| c.get(0)).map_or(text.len(), |m| m.start());
        let mut found = all_quantities(text);
        for quantity in found.iter_mut().filter(|q| q.at.start > from && q.unit.is_none()) {
            quantity.unit = unit;
        }
        for quantity in found.iter_mut().filter(|q| q.unit.is_none()) {
            quantity.unit = text.get(..quantity.at.start).and_then(unit_of_setting);
        }
        // Values of samples follow a time and an equals sign, which a reader of prose would take for a name.
        found.extend(sample_values(text, unit));
        let ranges = SAMPLE.captures_iter(text).filter_map(|c| {
            let value = |name: &str| c.name(name)?.as_str().replace(',', "").parse::<f64>().ok();
            let (low, high) = (value("low")?, value("high")?);
            // Only a narrow range says what a value was.
            (high - low <= high.abs() * 0.25).then_some((low, high, unit))
        });
        let ranges: Vec<(f64, f64, Option<Unit>)> = ranges.collect();
        let first = text.lines().next().unwrap_or("");
        let in_first = quantities(first);
        // Two changes in one summary decide nothing.
        let only_change = || Some(from_to(first, &in_first)).filter(|all| all.len() == 1).and_then(|all| all.first().copied());
        let change = arrow(first, &in_first).or_else(only_change);
        let lines = text.lines();
        let body = text.lines().skip(1).filter(|l| !l.starts_with("query:") && !l.starts_with("window:") && !l.starts_with(' '));
        let counts = [body.clone().filter(|l| l.starts_with('{')).count(), lines.filter(|l| l.contains("firing")).count()];
        Self {
            squeezed: plain(text).chars().filter(|c| c.is_alphanumeric()).collect(),
            plain: plain(text),
            quantities: found,
            ranges,
            clocks: clocks(text),
            conditions: CONDITION.find_iter(text).filter_map(|m| Some(clocks(m.as_str()).first()?.secs)).collect(),
            days: days(text),
            courses: courses(text),
            events: events(text),
            stamps: stamps(text),
            unit,
            change,
            counts: counts.into(),
            entities: labels(text),
            rows: rows(text),
            patterns: text.lines().filter_map(pattern_change).collect(),
        }
    }

    /// Whether a number without a unit in this item may have a unit.
    fn speaks_of(&self, unit: Option<Unit>) -> bool {
        let Some(unit) = unit else { return true };
        let words: &[&str] = match unit.dimension {
            Dimension::Time => &["second", "_ms", "latency", "duration", " ms", "time", "age", "interval"],
            Dimension::Size => &["byte", "memory", "disk", "heap", "size", "rss"],
            Dimension::Bits => &["bit", "bandwidth", "bps"],
            Dimension::Count if unit.is_rate => &["per second", "/s", "rate", "rps", "qps", "per minute", "/min"],
            Dimension::Cores => &["core", "cpu"],
            Dimension::Count | Dimension::Share | Dimension::Times => return true,
        };
        words.iter().any(|w| self.plain.contains(w))
            || self.quantities.iter().any(|q| q.unit.is_some_and(|u| u.dimension == unit.dimension))
    }

    /// Whether two of its days are this far apart, or a day more or less.
    fn days_apart(&self, wanted: f64) -> bool {
        let dates: Vec<f64> = self.days.iter().filter_map(Day::date).map(|d| f64::from(d.to_julian_day())).collect();
        pairs(&dates).any(|(a, b)| a != b && ((a - b).abs() - wanted).abs() <= 1.0)
    }

    /// Whether a series of the item has samples before and after a time.
    fn covers(&self, secs: f64) -> bool {
        self.courses.iter().any(|c| c.covers(secs))
    }

    fn has(&self, wanted: &str) -> bool {
        self.plain.contains(wanted)
    }
}

/// The direction and count of a line such as `down 206x (1130x before the onset) …`.
fn pattern_change(line: &str) -> Option<(Direction, f64)> {
    let (word, rest) = line.split_once(' ')?;
    let direction = match word {
        "new" | "up" => Direction::Up,
        "down" | "gone" => Direction::Down,
        "same" => Direction::Flat,
        _ => return None,
    };
    Some((direction, rest.split_once('x')?.0.replace(',', "").parse().ok()?))
}

/// The unit that the names of metrics in a text end in; `None` if they name none, or a histogram's buckets.
fn unit_in_name(text: &str) -> Option<Unit> {
    let unit = |dimension, factor| Some(Unit { dimension, factor, is_rate: false });
    let lower = text.to_lowercase();
    let title = HEAD.captures(text).and_then(|c| c.name("title").map(|m| m.as_str().to_lowercase())).unwrap_or_default();
    let per = [("per second", 1.0), ("per minute", 60.0), ("per hour", 3600.0)].into_iter().find(|(w, _)| title.contains(w));
    if let Some((_, secs)) = per {
        return Some(Unit { dimension: Dimension::Count, factor: 1.0 / secs, is_rate: true });
    }
    if lower.contains("_milliseconds") || lower.contains("_ms") {
        unit(Dimension::Time, 1e-3)
    } else if lower.contains("_seconds") && !lower.contains("rate(") {
        unit(Dimension::Time, 1.0)
    } else if lower.contains("_bytes") && !lower.contains("rate(") && !lower.contains(" / ") {
        unit(Dimension::Size, 1.0)
    } else {
        None
    }
}

/// The unit in the name of a setting right before its value: `max.poll.interval.ms=`.
fn unit_of_setting(before: &str) -> Option<Unit> {
    let name = before.strip_suffix(['=', ':']).or_else(|| before.strip_suffix(": ")).or_else(|| before.strip_suffix(" = "))?;
    let word = name.trim_end_matches(['"', '\'']).rsplit(|c: char| !c.is_alphanumeric()).next()?.to_lowercase();
    ["ms", "seconds", "secs", "bytes", "mb", "kb", "minutes", "millis"]
        .contains(&word.as_str())
        .then(|| unit_of(if word == "millis" { "ms" } else { &word }))
        .flatten()
}

static SAMPLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\d{2}:\d{2}(?::\d{2})?=(?P<low>-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?:\.\.(?P<high>-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?))?",
    )
});

fn sample_values(text: &str, unit: Option<Unit>) -> Vec<Quantity> {
    let mut out = Vec::new();
    for c in SAMPLE.captures_iter(text) {
        for m in [c.name("low"), c.name("high")].into_iter().flatten() {
            if let Ok(value) = m.as_str().replace(',', "").parse() {
                out.push(Quantity { value, decimals: 0, zeros: 0, unit, at: m.range() });
            }
        }
    }
    out
}

/// What all items together name and date, whether a statement cites them or not.
pub(super) struct All<'a> {
    /// The values of labels.
    names: BTreeSet<&'a str>,
    pub(super) events: Vec<&'a Event>,
}

impl<'a> All<'a> {
    pub(super) fn of(facts: &'a BTreeMap<EvidenceId, Facts>) -> Self {
        Self {
            names: facts.values().flat_map(|f| f.entities.iter().map(String::as_str)).collect(),
            events: facts.values().flat_map(|f| f.events.iter()).collect(),
        }
    }
}

/// Like [`contradiction`], for a recommendation: its figures are free, what it names and quotes is not.
pub(super) fn misnamed(said: Said<'_>, items: &[&Facts], all: &All<'_>) -> Option<Fault> {
    let (rest, fault) = without_quotations(said.text, items);
    fault.or_else(|| {
        wrong_name(&rest.as_deref().map_or(said, Said::new), items, all).filter(|f| f.reason.chars().any(|c| c.is_ascii_digit()))
    })
}

/// What the cited items contradict or do not have in a statement; `None` if it holds.
pub(super) fn contradiction(said: Said<'_>, items: &[&Facts], all: &All<'_>) -> Option<Fault> {
    let (rest, fault) = without_quotations(said.text, items);
    if fault.is_some() {
        return fault;
    }
    let mut said = rest.as_deref().map_or(said, Said::new);
    said.settle(items);
    let said = &said;
    let events: Vec<&Event> = items.iter().flat_map(|i| i.events.iter()).collect();
    wrong_day(said, items)
        .or_else(|| wrong_time(said, items))
        .or_else(|| wrong_figure(said, items))
        .or_else(|| wrong_name(said, items, all))
        .or_else(|| wrong_row(said, items))
        .or_else(|| at_another_time(said, items))
        .or_else(|| wrong_bound(said, items))
        .or_else(|| wrong_direction(said, items, all))
        .or_else(|| wrong_order(said.text, &events))
        .or_else(|| wrong_actor(said, &events))
}

// Quotations

static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"“(?P<a>[^”]+)”|«(?P<b>[^»]+)»|„(?P<f>[^“”]+)[“”]|"(?P<c>[^"]+)"|(?:^|[\s(])'(?P<d>[^']*(?:'\w[^']*)*)'(?:$|[\s).,;:!?])|`(?P<e>[^`]+)`"#,
    )
});

/// The statement without its quotations if it has any, and a fault if one of them is in no cited item.
fn without_quotations(statement: &str, items: &[&Facts]) -> (Option<String>, Option<Fault>) {
    let mut rest = String::new();
    let (mut at, mut fault) = (0, None);
    for c in QUOTED.captures_iter(statement) {
        let (Some(whole), Some(inner)) = (c.get(0), ["a", "b", "c", "d", "e", "f"].iter().find_map(|n| c.name(n))) else {
            continue;
        };
        let words = inner.as_str().split_whitespace().count();
        // One or two words in code marks are a name; one quoted word marks a term.
        let is_name = if c.name("e").is_some() { words < 3 } else { words < 2 };
        if is_name {
            continue;
        }
        rest.push_str(statement.get(at..whole.start()).unwrap_or(""));
        rest.push(' ');
        at = whole.end();
        if fault.is_none() && !items.iter().any(|i| quotes(&i.plain, inner.as_str())) {
            fault = Some(Fault::new(ClaimKind::Quotation, format!("No cited item contains “{}”.", inner.as_str())));
        }
    }
    if at == 0 {
        return (None, None);
    }
    rest.push_str(statement.get(at..).unwrap_or(""));
    (Some(rest), fault)
}

/// Whether a text contains a quotation, whose parts around an ellipsis or a mask follow each other.
fn quotes(text: &str, quotation: &str) -> bool {
    let wanted = plain(quotation).replace("...", "…").replace("[…]", "…").replace("<*>", "…");
    let mut rest = text;
    wanted.split('…').all(|part| {
        let part = part.trim().trim_end_matches(['.', ',', ';', ':', '!']).trim();
        match rest.find(part) {
            Some(found) => {
                rest = rest.get(found + part.len()..).unwrap_or("");
                true
            }
            None => false,
        }
    })
}

// Times

static APPROXIMATELY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:\b(?:about|around|roughly|approximately|approx\.?|circa|ca\.?|nearly|almost|some|close to|in the order of|on the order of|just (?:over|under|after|before|above|below|short of)|a (?:bit|little|good) (?:over|under|more|less)?|well (?:over|under|above|below)|more than|over|above|at least|less than|under|below|fewer than|up to|at most|within|north of|upwards of|shortly (?:after|before)|by|toward|towards|between|from|past|exceed(?:ing|ed|s)|beyond|half|estimated)|[~≈<>≥≤])\s*(?:the |a |an )?$",
    )
});

fn is_approximate(before: &str) -> bool {
    APPROXIMATELY.is_match(before)
}

static WEEKDAY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?P<day>mon|tues|wednes|thurs|fri|satur|sun)days?\b(?:[ ,]+(?:night|morning|evening|afternoon))?")
});

/// A weekday that none of the days in the items has.
fn wrong_weekday(statement: &str, known: &[Day], items: &[&Facts]) -> Option<Fault> {
    let named = WEEKDAY.captures(statement)?.name("day")?.as_str().to_lowercase();
    let weekdays: Vec<time::Weekday> = known.iter().filter_map(|d| Some(d.date()?.weekday())).collect();
    // A night belongs to two days.
    let is_one = |w: &time::Weekday| {
        let of = |w: time::Weekday| w.to_string().to_lowercase().starts_with(&named);
        of(*w) || statement.to_lowercase().contains("night") && (of(w.next()) || of(w.previous()))
    };
    // An item may speak of another day than its own.
    let is_written = items.iter().any(|i| i.has(&named));
    (!is_written && !weekdays.is_empty() && !weekdays.iter().any(is_one))
        .then(|| Fault::new(ClaimKind::Time, "The cited evidence is of another weekday."))
}

fn wrong_day(said: &Said<'_>, items: &[&Facts]) -> Option<Fault> {
    let known: Vec<Day> = items.iter().flat_map(|i| i.days.iter().copied()).collect();
    let same =
        |a: &Day, b: &Day| (a.month, a.day) == (b.month, b.day) && (a.year.is_none() || b.year.is_none() || a.year == b.year);
    if let Some(fault) = wrong_weekday(said.text, &known, items) {
        return Some(fault);
    }
    let wrong = said.days.iter().find(|d| !known.iter().any(|k| same(d, k)))?;
    let year = wrong.year.map_or(String::new(), |y| format!("{y}-"));
    Some(Fault::new(ClaimKind::Time, format!("No cited item names the day {year}{:02}-{:02}.", wrong.month, wrong.day)))
}

/// Times that are given with their day, such as `2026-11-17T16:48:29Z`.
static STAMP: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?"));

fn stamps(text: &str) -> Vec<(Day, f64)> {
    let stamp = |m: regex::Match<'_>| Some((*days(m.as_str()).first()?, clocks(m.as_str()).first()?.secs));
    STAMP.find_iter(text).filter_map(stamp).collect()
}

static CONDITION: LazyLock<Regex> = LazyLock::new(|| pattern(r"condition true since \d{2}:\d{2}(?::\d{2})?"));
/// An alert that begins to fire, right before a time.
static FIRED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:fir(?:ed|es|ing)|to fire|went off|going off|paged)\b[^,;.]{0,24}$"));

/// A fault if a sentence has an alert fire when only its condition became true.
fn only_true_then(said: &Said<'_>, items: &[&Facts]) -> Option<Fault> {
    let is_like = |clock: &Clock, secs: f64| (secs - clock.secs).abs() <= clock.precision.slack().1;
    let clock = said.clocks.iter().find(|clock| {
        let mut known = items.iter().flat_map(|i| i.clocks.iter().map(move |k| (i, k))).filter(|(_, k)| is_like(clock, k.secs));
        let is_condition = |(item, k): (&&Facts, &Clock)| item.conditions.contains(&k.secs);
        FIRED.is_match(said.before(clock.at.start)) && known.clone().next().is_some() && known.all(is_condition)
    })?;
    let reason = format!("At {} the condition of the alert became true; it fired later.", said.written(&clock.at));
    Some(Fault::new(ClaimKind::Time, reason))
}

/// Words that make the time behind them a bound of a window.
static BOUNDS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:after|before|from|to|until|till|since|between|and|by|past) (?:about |around )?(?:a )?$"));

fn wrong_time(said: &Said<'_>, items: &[&Facts]) -> Option<Fault> {
    let holds = |clock: &Clock| {
        let is_worded = !matches!(clock.precision, Precision::Seconds | Precision::Minutes);
        let more = match (is_approximate(said.before(clock.at.start)), is_worded) {
            (false, _) => 0.0,
            (true, false) => 90.0,
            // "Shortly before midnight" and "around half past nine" are some minutes off.
            (true, true) => 420.0,
        };
        // Noon and midnight bound a window, and the evidence needs not have them.
        clock.precision == Precision::Bound
            || is_worded && BOUNDS.is_match(said.before(clock.at.start)) && items.iter().any(|i| i.covers(clock.secs))
            || items.iter().flat_map(|i| i.clocks.iter()).any(|k| {
                let with_seconds = k.precision == Precision::Seconds;
                let (before, behind) =
                    if with_seconds || is_worded { clock.precision.slack() } else { Precision::Minutes.slack() };
                (-before - more..behind + more).contains(&(k.secs - clock.secs))
            })
    };
    let dates = || -> Vec<Date> { items.iter().flat_map(|i| i.days.iter().filter_map(Day::date)).collect() };
    // The same time on the clocks of another place, which the sentence or the item has in UTC.
    let is_local = |clock: &Clock| {
        let Some(place) = place(said.text) else { return false };
        let (dates, others) = (dates(), said.clocks.iter().filter(|other| other.at != clock.at && holds(other)));
        others.map(|other| other.secs).any(|utc| place.shows(clock, utc, &dates))
    };
    let wrong = said.clocks.iter().find(|clock| !holds(clock) && !is_local(clock));
    if let Some(clock) = wrong {
        return Some(Fault::new(ClaimKind::Time, format!("The time {} is in no cited item.", said.written(&clock.at))));
    }
    only_true_then(said, items).or_else(|| on_another_day(said, items))
}

/// A fault if every item that gives the time with a day gives another day than the statement.
fn on_another_day(said: &Said<'_>, items: &[&Facts]) -> Option<Fault> {
    let ([clock], [day]) = (said.clocks.as_slice(), said.days.as_slice()) else { return None };
    let zone = said.written(&clock.at).trim_end_matches("UTC").trim_end_matches("GMT").trim_end_matches('Z');
    if clock.precision == Precision::Bound || place(said.text).is_some() || zone.contains(|c: char| c.is_alphabetic() || c == '+')
    {
        return None;
    }
    let at_that_time: Vec<&Day> =
        items.iter().flat_map(|i| i.stamps.iter()).filter(|(_, secs)| (secs - clock.secs).abs() < 60.0).map(|(d, _)| d).collect();
    let is_other = |d: &&Day| (d.month, d.day) != (day.month, day.day);
    (!at_that_time.is_empty() && at_that_time.iter().all(is_other))
        .then(|| Fault::new(ClaimKind::Time, "The cited evidence has this time on another day."))
}

// Figures

/// The seconds of a day.
const DAY: f64 = 86_400.0;

/// Words behind a figure that make it the result of a calculation.
static DERIVED_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\W*(?:\S+ ){0,3}?(?:more|fewer|less|higher|lower|faster|slower|longer|larger|smaller|bigger|extra|additional|in total|altogether|combined|together|left|remaining|free|apart|difference|increase|decrease|drop|reduction|growth|gain|loss|jump|rise|decline|of (?:the|all|its|their|those|these|every|each|requests|orders|traffic)|share|as (?:many|much|high|long|large|slow)|(?:its|the|their) (?:usual|normal|baseline|previous|original|earlier)|what)\b",
    )
});
/// Words in front of a figure that do.
static DERIVED_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:by|difference of|total of|sum of|increase of|drop of|growth of|gain of|loss of|rise of|fall of|factor of|ratio of|average of|another|extra|additional|only|gap of|reduction of|(?:together|combined|altogether|in total)(?: \w+){0,2})\W*(?:about |around |roughly |nearly |almost |more than |over |some |a |an |~)*$",
    )
});
static FACTOR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\bfactor of (?:about |around |roughly |nearly |almost |some |over |more than )?$"));
static DURATION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:later|after|afterwards?|thereafter|before|within|for|lasted|lasting|ran|took|takes|long|earlier|between|over|since|past|into|duration|period|window|interval|apart|lies|passed|elapsed|delay|lag|needed|of|until|ago|in|every|the (?:next|last|first|following)|about|prior)\b",
    )
});

fn wrong_figure(said: &Said<'_>, items: &[&Facts]) -> Option<Fault> {
    let first = said.quantities.iter().find(|q| !figure_holds(said, q, items))?;
    let written = said.written(&first.at);
    // The same digits with another unit: the unit is wrong, not the number.
    let has_digits = items.iter().flat_map(|i| i.quantities.iter()).any(|k| rounds_to(k.value, first));
    let is_duration = first.unit.is_some_and(|u| u.dimension == Dimension::Time);
    Some(if has_digits && first.unit.is_some() {
        Fault::new(ClaimKind::Unit, format!("The cited evidence has this number, but not as {written}."))
    } else if is_duration && DURATION.is_match(said.text) {
        Fault::new(ClaimKind::Time, format!("The duration {written} does not follow from the cited evidence."))
    } else {
        Fault::new(ClaimKind::Number, format!("The figure {written} is in no cited item."))
    })
}

/// Whether a number rounds to a figure as it is written.
pub(super) fn rounds_to(number: f64, figure: &Quantity) -> bool {
    let scale = 10_f64.powi(i32::try_from(figure.decimals).unwrap_or(0));
    let (scaled, wanted) = (number * scale, figure.value * scale);
    let tiny = wanted.abs() * 1e-9 + 1e-9;
    if (scaled.round() - wanted).abs() <= tiny
        || (scaled.trunc() - wanted).abs() <= tiny && figure.decimals > 0
        || (number - figure.value).abs() <= tiny
    {
        return true;
    }
    // A whole number that ends in two zeros or more is rounded, to two digits at least.
    figure.zeros >= 2 && {
        let digits = figure.value.abs().log10().floor() as usize + 1;
        let step = 10_f64.powi(i32::try_from(figure.zeros.min(digits.saturating_sub(2))).unwrap_or(0));
        (number / step).round() * step == figure.value
    }
}

/// How far an approximate figure may be from the number: the share of the number below and above it.
fn tolerance(said: &Said<'_>, figure: &Quantity) -> Option<(f64, f64)> {
    let word = APPROXIMATELY.find(said.before(figure.at.start))?.as_str().trim().to_lowercase();
    let any = |words: &[&str]| words.iter().any(|w| word.contains(w));
    // What is given with its decimals is not rounded by much.
    let exact = if figure.decimals > 0 { 0.2 } else { 1.0 };
    Some(if any(&["at least", "up to", "at most"]) {
        (0.02, 0.02)
    } else if any(&["more than", "over", "above", "north", "upwards", "past", "exceed", "beyond", ">", "≥"]) {
        (0.002, 0.25 * exact)
    } else if any(&["less than", "under", "below", "fewer", "within", "short of", "<", "≤"]) {
        (0.25 * exact, 0.002)
    } else if any(&["nearly", "almost", "close"]) {
        (0.1, 0.03)
    } else if any(&["by", "toward", "between", "from"]) {
        return None;
    } else {
        (0.09 * exact.max(0.5), 0.09 * exact.max(0.5))
    })
}

fn figure_holds(said: &Said<'_>, figure: &Quantity, items: &[&Facts]) -> bool {
    let around = tolerance(said, figure);
    // A duration in words is rounded.
    let is_worded = figure.unit.is_some() && said.behind(figure.at.start).starts_with(char::is_alphabetic);
    let around = if is_worded { Some((0.15, 0.15)) } else { around };
    let fits = |number: f64| {
        rounds_to(number, figure)
            || around
                .is_some_and(|(below, above)| number >= figure.value * (1.0 - below) && number <= figure.value * (1.0 + above))
    };
    let known: Vec<&Quantity> = items.iter().flat_map(|i| i.quantities.iter()).collect();
    let direct = |q: &&Quantity| in_unit_of(figure, q).into_iter().any(fits);
    if known.iter().any(|q| q.unit.is_some() && direct(q)) {
        return true;
    }
    // Where the same digits have a unit, that unit counts. Without one, the item must speak of such a unit at all.
    let has_unit = figure.unit.is_some() && known.iter().any(|q| q.unit.is_some() && rounds_to(q.value, figure));
    if !has_unit && items.iter().any(|i| i.speaks_of(figure.unit) && i.quantities.iter().any(|q| q.unit.is_none() && direct(&q)))
    {
        return true;
    }
    let in_range = |(low, high, unit): &(f64, f64, Option<Unit>)| {
        let bound = |value: f64| Quantity { value, decimals: 0, zeros: 0, unit: *unit, at: 0..0 };
        let (lows, highs) = (in_unit_of(figure, &bound(*low)), in_unit_of(figure, &bound(*high)));
        lows.iter().zip(&highs).any(|(low, high)| (*low..=*high).contains(&figure.value))
    };
    if items.iter().flat_map(|i| i.ranges.iter()).any(in_range) {
        return true;
    }
    let is_small = figure.unit.is_none() && figure.decimals == 0 && figure.value <= 40.0;
    if is_small && items.iter().any(|i| i.counts.contains(&(figure.value as usize))) {
        return true;
    }
    follows(said, figure, items, &fits)
}

/// A known number in the unit of a figure; empty if it measures something else. Both readings of a number whose unit is not
/// written are possible.
fn in_unit_of(figure: &Quantity, known: &Quantity) -> Vec<f64> {
    match (figure.unit, known.unit) {
        (Some(wanted), Some(unit)) if wanted.dimension == Dimension::Cores && is_millicores(unit) => {
            vec![known.value / 1000.0 / wanted.factor]
        }
        (Some(wanted), Some(unit)) => {
            if wanted.dimension == unit.dimension && wanted.is_rate == unit.is_rate {
                let exact = known.value * unit.factor / wanted.factor;
                let decimal = |u: Unit| if u.dimension == Dimension::Size { decimal_factor(u.factor) } else { u.factor };
                // Kilobytes and kibibytes are often mixed up in speech.
                vec![exact, known.value * decimal(unit) / decimal(wanted)]
            } else {
                Vec::new()
            }
        }
        // A share is recorded as 0 to 1 or in percent.
        (Some(wanted), None) if wanted.dimension == Dimension::Share => vec![known.value, known.value * 100.0],
        (None, Some(unit)) if unit.dimension == Dimension::Share => vec![known.value, known.value / 100.0],
        (Some(wanted), None) if wanted.dimension == Dimension::Times => vec![known.value],
        // Settings and logs have seconds or milliseconds without saying so.
        (Some(wanted), None) if wanted.dimension == Dimension::Time && !wanted.is_rate => {
            vec![known.value, known.value / wanted.factor, known.value * 1e-3 / wanted.factor]
        }
        (None, Some(unit)) if is_millicores(unit) => vec![known.value, known.value / 1000.0],
        (Some(_), None) | (None, Some(_) | None) => vec![known.value],
    }
}

/// Whether a number with this unit may be Kubernetes' millicores, `1500m`, which look like minutes.
fn is_millicores(unit: Unit) -> bool {
    unit.dimension == Dimension::Time && unit.factor == 60.0
}

/// The decimal size that is next to a binary one.
fn decimal_factor(factor: f64) -> f64 {
    1000_f64.powf((factor.ln() / 1000_f64.ln()).round())
}

/// Whether a figure follows from what the items have: a duration between two times, a difference, sum, ratio or share.
fn follows(said: &Said<'_>, figure: &Quantity, items: &[&Facts], fits: &dyn Fn(f64) -> bool) -> bool {
    let dimension = figure.unit.map(|u| u.dimension);
    let is_duration = dimension == Some(Dimension::Time) && figure.unit.is_some_and(|u| !u.is_rate);
    if is_duration && (said.clocks.len() == 2 || DURATION.is_match(said.text)) {
        let factor = figure.unit.map_or(1.0, |u| u.factor);
        if factor >= DAY && items.iter().any(|i| i.days_apart(figure.value * factor / DAY)) {
            return true;
        }
        let mut times: Vec<f64> = items.iter().flat_map(|i| i.clocks.iter().take(40)).map(|c| c.secs).collect();
        times.extend(said.times());
        // A minute more or less is what people mean by whole minutes.
        let slack = if factor >= 60.0 && figure.decimals == 0 { 0.5 } else { 0.0 };
        let close = |d: f64| fits(d) || (d - figure.value).abs() <= slack;
        // A night goes past midnight.
        let apart = |a: f64, b: f64| [(a - b).abs(), DAY - (a - b).abs()];
        if pairs(&times).any(|(a, b)| apart(a, b).into_iter().any(|secs| close(secs / factor))) {
            return true;
        }
    }
    // "5.8 of 16 cores, about 36 %": what the figures of the sentence give.
    if dimension == Some(Dimension::Share) {
        let others: Vec<f64> = said.quantities.iter().filter(|q| q.at != figure.at).map(|q| base(q).0).collect();
        let is_share = |a: f64, b: f64| a.min(b) > 0.0 && fits(a.min(b) / a.max(b) * 100.0);
        if pairs(&others).any(|(a, b)| is_share(a, b)) {
            return true;
        }
    }
    let (before, after) = (said.before(figure.at.start), said.behind(figure.at.end));
    let is_factor = FACTOR.is_match(before);
    let dimension = if is_factor { Some(Dimension::Times) } else { dimension };
    if dimension != Some(Dimension::Times) && !DERIVED_AFTER.is_match(after) && !DERIVED_BEFORE.is_match(before) {
        return false;
    }
    // What a series has at the times of the sentence and at its ends.
    let at_times = items.iter().flat_map(|i| {
        let known = |value: f64| Quantity { value, decimals: 0, zeros: 0, unit: i.unit, at: 0..0 };
        i.courses.iter().flat_map(|c| c.values_at(&said.times())).map(known)
    });
    let at_times: Vec<Quantity> = at_times.take(24).collect();
    let known: Vec<&Quantity> = items.iter().flat_map(|i| i.quantities.iter().take(24)).chain(&at_times).collect();
    // Whole results are rounded freely.
    let close = |n: f64| fits(n) || figure.decimals == 0 && (n - figure.value).abs() <= figure.value.abs() * 0.04;
    known.iter().enumerate().any(|(i, a)| {
        known.iter().skip(i + 1).any(|b| {
            let (a, b) = (base(a), base(b));
            if a.1 != b.1 {
                return false;
            }
            let (low, high) = (a.0.min(b.0), a.0.max(b.0));
            match dimension {
                Some(Dimension::Times) => low > 0.0 && close(high / low),
                Some(Dimension::Share) => {
                    high > 0.0 && (close(low / high * 100.0) || close((high - low) / high * 100.0))
                        || low > 0.0 && close((high - low) / low * 100.0)
                        || close(high - low)
                }
                _ => {
                    let factor = figure.unit.map_or(1.0, |u| u.factor);
                    close((high - low) / factor) || close((high + low) / factor)
                }
            }
        })
    })
}

/// A quantity in its base unit, and what it measures.
fn base(q: &Quantity) -> (f64, Option<(Dimension, bool)>) {
    q.unit.map_or((q.value, None), |u| {
        (q.value * if u.dimension == Dimension::Share { 1.0 } else { u.factor }, Some((u.dimension, u.is_rate)))
    })
}

fn pairs(values: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    values.iter().enumerate().flat_map(move |(i, a)| values.iter().skip(i + 1).map(move |b| (*a, *b)))
}

// Names

/// One word in bold, which names something.
static BOLD: LazyLock<Regex> = LazyLock::new(|| pattern(r"\*\*([a-z][\w.-]*)\*\*"));
static CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"`([^`]+)`"));
static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\p{L}\p{N}_][\p{L}\p{N}_./:@-]*[\p{L}\p{N}_]|[\p{L}\p{N}]"));

/// Capitalised words that name no one: products, protocols, weekdays and the like.
static WELL_KNOWN: Words = words!(
    "linux windows android ios iphone ipad macos postgres postgresql mysql mariadb redis kafka kubernetes docker nginx apache haproxy envoy istio prometheus alertmanager grafana loki tempo elasticsearch opensearch mongodb cassandra rabbitmq zookeeper etcd java python node go rust php ruby http https tls ssl dns tcp udp sql aws gcp azure s3 ec2 iam cdn api slack pagerduty github gitlab jenkins terraform helm ansible mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november december europe asia america i utc"
);

fn wrong_name(said: &Said<'_>, items: &[&Facts], all: &All<'_>) -> Option<Fault> {
    let is_known = |name: &str| {
        let wanted = plain(name);
        items.iter().any(|i| i.has(&wanted) || spelled_otherwise(i, &wanted))
    };
    let unknown = |name: &str| Fault::new(ClaimKind::Name, format!("No cited item names {name}."));
    let has_code = said.text.contains('`');
    for c in CODE.captures_iter(said.text).filter(|_| has_code) {
        if let Some(name) = c.get(1).map(|m| m.as_str().trim()).filter(|n| n.chars().any(char::is_alphanumeric))
            && !is_known(name)
            && quantities(name).is_empty()
        {
            return Some(unknown(name));
        }
    }
    for c in BOLD.captures_iter(said.text).filter(|c| c.get(0).is_some_and(|m| m.start() > 2)) {
        if let Some(name) = c
            .get(1)
            .map(|m| m.as_str())
            .filter(|n| !is_known(n) && !super::subject::is_common(n) && !WELL_KNOWN.has(&n.to_lowercase()))
        {
            return Some(unknown(name));
        }
    }
    if !has_code && !said.text.contains('*') {
        return strange_word(said, items, all, &is_known).map(unknown);
    }
    let text = CODE.replace_all(said.text, " ").replace('*', "");
    strange_word(&Said::new(&text), items, all, &is_known).map(unknown)
}

/// A word that is a name by its form or its place and that no item has.
fn strange_word<'a>(said: &Said<'a>, items: &[&Facts], all: &All<'_>, is_known: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    let text = said.text;
    let local = Some(text).filter(|_| !said.clocks.is_empty()).and_then(place).map(|place| place.at);
    let taken: Vec<Range<usize>> = (said.quantities.iter().map(|q| q.at.clone()))
        .chain(said.clocks.iter().map(|c| c.at.clone()))
        .chain(day_ranges(text))
        .chain(local)
        .collect();
    let mut begins = true;
    for found in WORD.find_iter(text) {
        let word = found.as_str().trim_matches('_');
        let begins_here =
            begins || text.get(..found.start()).is_some_and(|t| t.trim_end().ends_with(['.', ':', '|', '–', '—', ';', '"', '(']));
        begins = false;
        if taken.iter().any(|t| t.start < found.end() && found.start() < t.end) {
            continue;
        }
        // What the labels of another item name is a name, whatever its form.
        let is_name = is_name(word, begins_here) || word.contains('-') && all.names.contains(word);
        if is_name && !is_known(word) {
            return Some(word);
        }
    }
    COUPLED.captures_iter(text).find_map(|c| {
        let (first, second) = (c.name("a")?.as_str(), c.name("b")?.as_str());
        let is_entity = |name: &str| items.iter().any(|i| i.entities.contains(&name.to_lowercase()));
        let stranger = if is_entity(first) && !is_known(second) {
            second
        } else if is_entity(second) && !is_known(first) {
            first
        } else {
            return None;
        };
        (stranger.len() > 3 && stranger.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')).then_some(stranger)
    })
}

/// Two names in one breath: what goes together with a service is one as well.
static COUPLED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?P<a>[A-Za-z][\w-]*)(?: and | or )(?P<b>[A-Za-z][\w-]*)\b"));
/// What the last part of a name of several parts says it is.
static ROLES: Words = words!(
    "api app apps service svc sync worker workers db database web proxy server servers gateway job cron cache queue agent client writer reader broker consumer producer controller manager planner store importer exporter scheduler router lb edge ingest ingestion frontend backend auth portal bot operator daemon bridge relay resolver replica primary registry"
);

/// Whether a word is a name by its form: letters with digits, an underscore, inner capitals, a path or address, or a capital
/// within a sentence.
fn is_name(word: &str, begins: bool) -> bool {
    let letters = word.chars().any(char::is_alphabetic);
    let digits = word.chars().any(|c| c.is_ascii_digit());
    let lower = word.to_lowercase();
    if !letters || WELL_KNOWN.has(&lower) {
        // A version or an address.
        return !letters && word.matches('.').count() >= 2;
    }
    let ordinal =
        ["st", "nd", "rd", "th"].iter().any(|o| lower.strip_suffix(o).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())));
    let plural_code = lower.strip_suffix('s').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let percentile = lower.strip_prefix('p').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let http = lower.ends_with("xx") || lower.starts_with("sev") || lower.starts_with("http");
    if ordinal || plural_code || percentile || http || lower.bytes().all(|b| b.is_ascii_digit() || b == b'x') {
        return false;
    }
    // People and hosts: `jonas.weber`, `db.internal`; services: `ledger-api`.
    let dotted = word.split('.').count() >= 2
        && word.split('.').all(|p| p.chars().all(char::is_alphabetic))
        && word.split('.').any(|p| p.chars().count() >= 3)
        && !word.contains("..");
    let role = word.rsplit_once('-').is_some_and(|(_, last)| ROLES.has(&last.to_lowercase()));
    if dotted || role || word.contains('@') {
        return true;
    }
    let inner = word.chars().zip(word.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    if digits || word.contains('_') || inner {
        // `5-fold`, `2nd`, `30-minute`, `24/7`: a number with a word.
        let starts_with_number = word.split(['-', '/']).next().is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
        return !starts_with_number || word.matches('-').count() > 1 && !word.contains("-day");
    }
    let capital = word.chars().next().is_some_and(char::is_uppercase);
    let shouts = word.chars().filter(|c| c.is_alphabetic()).all(char::is_uppercase);
    capital && !shouts && !begins && word.chars().count() > 2 && !word.contains('-')
}

/// Whether a text has a name with other separators, another number or another ending: `pool usage` for `pool_usage`,
/// `replicas` for `replica`, `postgresql` for `postgres`.
fn spelled_otherwise(item: &Facts, name: &str) -> bool {
    let text = item.plain.as_str();
    let spaced: String = name.chars().map(|c| if matches!(c, '_' | '-' | '.' | '/') { ' ' } else { c }).collect();
    let squeezed: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    if spaced != name && text.contains(&spaced) {
        return true;
    }
    let has_digit = name.chars().any(|c| c.is_ascii_digit());
    let possessive = name.strip_suffix("'s").or_else(|| name.strip_suffix('s')).filter(|n| n.len() > 3);
    if possessive.is_some_and(|n| text.contains(n)) {
        return true;
    }
    if has_digit {
        // The words of a name without its separators: `Android 8.13.2` is `android-8.13.2` there.
        return squeezed.len() > 3 && item.squeezed.contains(&squeezed);
    }
    if !name.chars().all(char::is_alphanumeric) {
        return false;
    }
    // A place or a person by an abbreviation: `Frankfurt` is `fra` there.
    if text.split(|c: char| !c.is_alphanumeric()).any(|w| w.len() >= 3 && name.len() >= 5 && name.starts_with(w)) {
        return true;
    }
    let stem = super::subject::stem(name);
    stem.len() >= 4 && text.contains(&stem)
}
