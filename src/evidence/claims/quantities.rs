//! Numbers with units, times of day, dates and durations in a text.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::subject::is_common;
use super::words::pattern;

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    /// A count, or a number whose unit is not written.
    Count,
    /// A part of a whole, in percent.
    Share,
    /// Seconds.
    Time,
    /// Bytes.
    Size,
    /// Bits.
    Bits,
    /// How many times.
    Times,
    /// Processor cores.
    Cores,
}

/// A unit: what it measures, its size in the base unit, and whether it is per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    pub dimension: Dimension,
    pub factor: f64,
    pub is_rate: bool,
}

/// A number as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    pub value: f64,
    /// Digits behind the decimal point.
    pub decimals: usize,
    /// Zeros at the end of a whole number, which may come from rounding.
    pub zeros: usize,
    /// `None` if no unit is written.
    pub unit: Option<Unit>,
    /// Where it is in the text, with its unit.
    pub at: Range<usize>,
}

/// A time of day, in seconds since midnight UTC.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clock {
    pub secs: f64,
    pub precision: Precision,
    pub at: Range<usize>,
}

/// How exactly a time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    Seconds,
    Minutes,
    /// In words, such as "a quarter past nine".
    Words,
    /// In words that fit both halves of the day.
    EitherHalf,
    /// Noon or midnight.
    Bound,
}

impl Precision {
    /// The seconds by which what happened may be before and after the time that is written.
    pub(super) fn slack(self) -> (f64, f64) {
        match self {
            Self::Seconds | Self::Bound => (0.5, 0.5),
            // It holds for its minute, and for the half minute that rounds up to it.
            Self::Minutes => (30.5, 60.0),
            // Whoever writes it so rounds to five minutes.
            Self::Words | Self::EitherHalf => (180.0, 180.0),
        }
    }
}

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    /// `None` if no year is written.
    pub year: Option<u32>,
    pub month: u32,
    pub day: u32,
}

impl Day {
    /// The day in the calendar; `None` without a year, or if there is no such day.
    pub(super) fn date(&self) -> Option<time::Date> {
        let month = time::Month::try_from(u8::try_from(self.month).ok()?).ok()?;
        time::Date::from_calendar_date(i32::try_from(self.year?).ok()?, month, u8::try_from(self.day).ok()?).ok()
    }
}

static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[+-]?\d+)?"));
/// What may follow a number: a multiplier, then a unit.
static UNIT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?P<multiplier>k|M|G)?(?P<words> ?(?:thousand|million|billion|hundred)\b)?(?:[ -]?(?P<unit>%|percent(?:age)?(?: points?)?\b|pp\b|ns\b|nanoseconds?\b|µs|μs|us\b|microseconds?\b|ms\b|msec\b|milliseconds?\b|s\b|secs?\b|seconds?\b|min\b|mins\b|minutes?\b|m\b|h\b|hrs?\b|hours?\b|d\b|days?\b|weeks?\b|[KMGTP]i?B?ps\b|[kKMGTP]?bits?(?:/s|ps)?\b|[kMGT]bps\b|[kKMGTP]bit/s|[kKMGTP]i?B(?:/s)?\b|[kKMGT]i\b|B(?:/s)?\b|bytes?\b|(?:kilo|mega|giga|tera)bytes?\b|(?:kibi|mebi|gibi|tebi)bytes?\b|x\b|×|-?fold\b|times\b|cores?\b|v?CPUs?\b|millicores?\b|[kmgt]b\b))?(?P<rate> ?(?:/|per )(?:s|sec|second|min|minute|h|hour|day)\b)?",
    )
});
/// A rate behind a noun: `309 messages per second`, `20 req/s`.
static NOUN_RATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^ ?(?:[A-Za-z-]+ ){0,3}[A-Za-z-]+ ?(?:/ ?|per )(?P<per>s|sec|second|min|minute|h|hour|day)\b|^ ?(?P<short>rps|qps|tps|ops|rpm)\b",
    )
});
/// The abbreviation of a zone, besides UTC.
pub(super) const ZONE: &str = "[A-Z]{1,2}[SD]T|CES?T|EES?T|WES?T|BST|IST|JST|SGT";
static CLOCK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?P<hour>\d{{1,2}}):(?P<minute>\d{{2}})(?::(?P<second>\d{{2}})(?:[.,]\d+)?)?(?: ?(?P<half>[ap]\.?m\.?)\b)?(?:(?: in [A-Z]\w+(?: [A-Z]\w+)? \(| ?\(?)(?P<zone>Z\b|UTC[+-]\d{{1,2}}|UTC\b|GMT\b|[+-]\d{{2}}:?\d{{2}}\b|(?:{ZONE})\b))?"
    ))
});
static ISO_DAY: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"));
const MONTHS: &str = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?";
static WRITTEN_DAY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i)\b(?:(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m1>{MONTHS})\b\.?,?(?: (?P<y1>\d{{4}})\b)?|(?P<m2>{MONTHS})\b\.? (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (?P<y2>\d{{4}})\b)?)"
    ))
});

/// The seconds in a unit of time, by its first letters.
fn seconds_in(word: &str) -> f64 {
    match word {
        w if w.starts_with("ns") || w.starts_with("nano") => 1e-9,
        w if w.starts_with("us") || w.starts_with('µ') || w.starts_with('μ') || w.starts_with("micro") => 1e-6,
        w if w.starts_with("ms") || w.starts_with("milli") => 1e-3,
        w if w.starts_with('m') => 60.0,
        w if w.starts_with('h') => 3600.0,
        w if w.starts_with('d') => 86_400.0,
        w if w.starts_with('w') => 604_800.0,
        _ => 1.0,
    }
}

/// The unit of a word, such as `ms`, `MiB` or `req/s`; `None` if it is none.
pub(super) fn unit_of(word: &str) -> Option<Unit> {
    let lower = word.to_lowercase();
    let unit = |dimension, factor, is_rate| Some(Unit { dimension, factor, is_rate });
    if let Some(per) = lower.rsplit_once('/').map(|(_, per)| per).filter(|per| ["s", "sec", "min", "h"].contains(per)) {
        let base = word.get(..word.len() - per.len() - 1).unwrap_or("");
        let inner = unit_of(base).filter(|u| matches!(u.dimension, Dimension::Size | Dimension::Bits));
        let (dimension, factor) = inner.map_or((Dimension::Count, 1.0), |u| (u.dimension, u.factor));
        return unit(dimension, factor / seconds_in(per), true);
    }
    match lower.as_str() {
        "%" | "percent" | "pp" => unit(Dimension::Share, 1.0, false),
        w if w.starts_with("percent") => unit(Dimension::Share, 1.0, false),
        "x" | "×" | "times" | "fold" | "-fold" => unit(Dimension::Times, 1.0, false),
        "rps" | "qps" | "tps" | "ops" => unit(Dimension::Count, 1.0, true),
        "rpm" => unit(Dimension::Count, 1.0 / 60.0, true),
        "ns" | "µs" | "μs" | "us" | "ms" | "msec" | "s" | "sec" | "secs" | "min" | "mins" | "m" | "h" | "hr" | "hrs" | "d" => {
            unit(Dimension::Time, seconds_in(&lower), false)
        }
        w if ["nanosecond", "microsecond", "millisecond", "second", "minute", "hour", "day", "week"]
            .iter()
            .any(|u| w.trim_end_matches('s') == *u) =>
        {
            unit(Dimension::Time, seconds_in(&lower), false)
        }
        "core" | "cores" | "cpu" | "cpus" | "vcpu" | "vcpus" => unit(Dimension::Cores, 1.0, false),
        "millicore" | "millicores" => unit(Dimension::Cores, 1e-3, false),
        w => size(word, w),
    }
}

/// A unit of data: bytes or bits, with a decimal or binary prefix, per second with `ps`.
fn size(word: &str, lower: &str) -> Option<Unit> {
    let is_rate = lower.ends_with("ps");
    let body = lower.strip_suffix("ps").unwrap_or(lower);
    let is_bits = body.contains("bit") || is_rate && body.ends_with('b') && word.contains('b') && !word.contains('B');
    let named = ["kilo", "mega", "giga", "tera", "kibi", "mebi", "gibi", "tebi"].iter().position(|p| body.starts_with(p));
    let step = match body.chars().next()? {
        _ if named.is_some() => named.map_or(0, |n| n % 4 + 1),
        _ if body.starts_with("byte") || body.starts_with("bit") || body == "b" => 0,
        'k' => 1,
        'm' => 2,
        'g' => 3,
        't' => 4,
        'p' => 5,
        _ => return None,
    };
    let rest = if named.is_some() { body.get(4..)? } else { body.get(usize::from(step > 0)..)? };
    if !["b", "ib", "i", "byte", "bytes", "bit", "bits"].contains(&rest) {
        return None;
    }
    let binary = rest.starts_with('i') || named.is_some_and(|n| n >= 4);
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    Some(Unit { dimension: if is_bits { Dimension::Bits } else { Dimension::Size }, factor: base.powi(step as i32), is_rate })
}

/// The quantities in a text. Digits inside a name (`p95`, `db-3`, `v1.42.0`, `INC-7`), in a time or in a date are none, nor
/// are ordinals.
pub(super) fn quantities(text: &str) -> Vec<Quantity> {
    quantities_besides(text, &times(text))
}

/// Like [`quantities`], for a text whose times and days are at known places.
pub(super) fn quantities_besides(text: &str, times: &[Range<usize>]) -> Vec<Quantity> {
    let mut found = numbers(text, times, false);
    let in_digits = found.len();
    // "Five minutes before midnight" is a time.
    let is_taken = |at: &Range<usize>| times.iter().any(|t| t.start < at.end && at.start < t.end);
    for quantity in WORDED.captures_iter(text).filter_map(|c| worded(&c)).filter(|q| !is_taken(&q.at)) {
        if !add_to_last(text, &mut found, in_digits, &quantity) {
            found.push(quantity);
        }
    }
    let is_apart = |found: &[Quantity], at: &Range<usize>| !found.iter().any(|f| f.at.start < at.end && at.start < f.at.end);
    for quantity in IN_TEN.captures_iter(text).filter_map(|c| in_ten(&c)).filter(|q| !is_taken(&q.at)) {
        found.retain(|f| is_apart(std::slice::from_ref(f), &quantity.at));
        found.push(quantity);
    }
    for quantity in COUNTED.captures_iter(text).filter_map(|c| counted(&c)) {
        if !is_taken(&quantity.at) && is_apart(&found, &quantity.at) {
            found.push(quantity);
        }
    }
    found.sort_by_key(|q| q.at.start);
    share_units(text, &mut found);
    found
}

/// Adds a part of a duration to the one before it, such as the seconds of `4m 12s`. `false` unless it is such a part. Only
/// quantities from `first` on are changed.
fn add_to_last(text: &str, out: &mut [Quantity], first: usize, part: &Quantity) -> bool {
    let Some((last, unit)) = out.get_mut(first..).and_then(<[Quantity]>::last_mut).zip(part.unit) else { return false };
    let Some(whole) = last.unit.filter(|l| l.dimension == unit.dimension && l.factor > unit.factor) else { return false };
    let gap = text.get(last.at.end..part.at.start);
    if unit.dimension != Dimension::Time || !gap.is_some_and(|gap| ["", " ", " and ", ", "].contains(&gap)) {
        return false;
    }
    last.value = last.value * whole.factor / unit.factor + part.value;
    last.unit = part.unit;
    last.decimals = part.decimals;
    last.zeros = 0;
    last.at.end = part.at.end;
    true
}

/// What is between the bounds of a range, which have one unit: `0.76–0.93 s`, `between 4 and 6 ms`.
static RANGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^ ?(?:[–—-]|\.\.\.?|…| to | and | or )(?:~|about |around )?$"));

/// Gives the lower bound of a range the unit of the upper one.
fn share_units(text: &str, found: &mut [Quantity]) {
    for n in 1..found.len() {
        let (Some(low), Some(high)) = (found.get(n - 1), found.get(n)) else { continue };
        let is_range = low.unit.is_none() && text.get(low.at.end..high.at.start).is_some_and(|gap| RANGE.is_match(gap));
        let unit = high.unit.filter(|_| is_range);
        if let Some(low) = found.get_mut(n - 1).filter(|_| unit.is_some()) {
            low.unit = unit;
        }
    }
}

const NUMBER_WORD: &str = "(?:(?:twenty|thirty|forty|fifty|sixty|ninety)(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen)";

/// The value of a number in words, below a hundred and in lower case.
fn number_in_words(words: &str) -> Option<f64> {
    let place = |list: &str, word: &str| list.split(' ').position(|w| w == word).map(|n| n as f64);
    let ones = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen";
    let tens = "- - twenty thirty forty fifty sixty seventy eighty ninety";
    match words.split_once([' ', '-']) {
        Some((ten, one)) => Some(place(tens, ten)? * 10.0 + place(ones, one)?),
        None => place(ones, words).or_else(|| place(tens, words).map(|n| n * 10.0)),
    }
}

/// A share in words: "seven in ten requests", "one out of eight".
static IN_TEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(r"(?i)\b(?P<part>{NUMBER_WORD}|\d{{1,2}}) (?:in|out of)(?: every)? (?P<whole>{NUMBER_WORD}|\d{{1,2}})\b"))
});

fn in_ten(c: &regex::Captures<'_>) -> Option<Quantity> {
    let number =
        |name: &str| c.name(name).and_then(|m| m.as_str().parse().ok().or_else(|| number_in_words(&m.as_str().to_lowercase())));
    let (part, whole): (f64, f64) = (number("part")?, number("whole")?);
    let share = (part < whole).then_some(part / whole * 100.0)?;
    Some(Quantity { value: share, decimals: 0, zeros: 0, unit: unit_of("%"), at: c.get(0)?.range() })
}

/// A count in words: "nine OOM kills". Below four, words count what the sentence itself lists, and behind an article what another
/// one does.
static COUNTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i)(?P<article>\b(?:the|these|those|all|its|their|our|other|first|last|next) )?\b(?P<n>{NUMBER_WORD}) (?P<noun>[a-z][a-z-]+)"
    ))
});

fn counted(c: &regex::Captures<'_>) -> Option<Quantity> {
    const OF_NUMBERS: [&str; 5] = ["hundred", "thousand", "million", "billion", "percent"];
    let noun = c.name("noun")?.as_str().to_lowercase();
    let is_noun = noun.len() > 2 && !is_common(&noun) && unit_of(&noun).is_none() && !OF_NUMBERS.contains(&noun.as_str());
    let is_count = c.name("article").is_none() && is_noun;
    let value = number_in_words(&c.name("n")?.as_str().to_lowercase()).filter(|n| *n >= 4.0 && is_count)?;
    Some(Quantity { value, decimals: 0, zeros: 0, unit: None, at: c.name("n")?.range() })
}

/// A duration in words: "twenty-five minutes", "an hour and a half", "a quarter of an hour". Whoever writes it so rounds.
static WORDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i)\b(?:(?P<n>{NUMBER_WORD}|a couple of|a dozen)(?: and a (?P<plus>half|quarter))? (?P<unit>seconds?|minutes?|hours?|days?)|(?P<share>half|quarter of|three[ -]quarters of) an? (?P<whole>minute|hour|day)|an? (?P<single>minute|hour)(?P<half> and a half)?)\b"
    ))
});

fn worded(c: &regex::Captures<'_>) -> Option<Quantity> {
    let word = |name: &str| c.name(name).map(|m| m.as_str().to_lowercase());
    let unit = word("unit").or_else(|| word("whole")).or_else(|| word("single"))?;
    let value = if let Some(share) = word("share") {
        if share == "half" {
            0.5
        } else if share.starts_with("three") {
            0.75
        } else {
            0.25
        }
    } else if word("single").is_some() {
        if word("half").is_some() { 1.5 } else { 1.0 }
    } else {
        let whole = match word("n")?.as_str() {
            "a couple of" => 2.0,
            "a dozen" => 12.0,
            // "One second" may be the second one.
            "one" if unit == "second" => return None,
            number => number_in_words(number)?,
        };
        whole + word("plus").map_or(0.0, |part| if part == "half" { 0.5 } else { 0.25 })
    };
    Some(Quantity { value, decimals: usize::from(value.fract() != 0.0), zeros: 0, unit: unit_of(&unit), at: c.get(0)?.range() })
}

/// Like [`quantities`], with the numbers inside names, for the text of evidence: a claim may take `15gb` from `maxmemory:15gb`.
pub(super) fn all_quantities(text: &str) -> Vec<Quantity> {
    numbers(text, &times(text), true)
}

/// Where times and days are in a text.
fn times(text: &str) -> Vec<Range<usize>> {
    clocks(text).into_iter().map(|c| c.at).chain(day_ranges(text)).collect()
}

fn numbers(text: &str, taken: &[Range<usize>], also_in_names: bool) -> Vec<Quantity> {
    if !text.bytes().any(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let mut out: Vec<Quantity> = Vec::new();
    for found in NUMBER.find_iter(text) {
        if taken.iter().any(|t| t.contains(&found.start())) || !also_in_names && is_in_name(text, found.start(), found.end()) {
            continue;
        }
        let plain: String = found.as_str().chars().filter(|c| *c != ',').collect();
        let Ok(mut value) = plain.parse::<f64>() else { continue };
        let mut decimals = plain.split_once('.').map_or(0, |(_, d)| d.split('e').next().map_or(0, str::len));
        let rest = text.get(found.end()..).unwrap_or("");
        // Status codes have a plural: `404s`.
        if (400.0..600.0).contains(&value) && rest.starts_with('s') && !rest.chars().nth(1).is_some_and(char::is_alphanumeric) {
            continue;
        }
        let (mut unit, mut end) = (None, found.end());
        let mut zeros = if decimals == 0 { plain.len() - plain.trim_end_matches('0').len() } else { 0 };
        let may_have_unit = rest.chars().next().is_some_and(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '%' | '×' | '/'));
        if let Some(c) = may_have_unit.then(|| UNIT.captures(rest)).flatten() {
            let multiplier = c.name("multiplier").map_or("", |m| m.as_str());
            let words = c.name("words").map_or("", |m| m.as_str().trim());
            let by: f64 = match (multiplier, words) {
                ("k", _) | (_, "thousand") => 1e3,
                ("M", _) | (_, "million") => 1e6,
                ("G", _) | (_, "billion") => 1e9,
                (_, "hundred") => 1e2,
                _ => 1.0,
            };
            let written = c.name("unit").map_or("", |m| m.as_str());
            let is_size =
                written.is_empty() && !multiplier.is_empty() && rest.get(1..).is_some_and(|r| r.starts_with(['B', 'b', 'i']));
            if by > 1.0 && !is_size {
                value *= by;
                zeros = (by.log10() as usize).saturating_sub(decimals);
                decimals = 0;
            }
            unit = if written.is_empty() { None } else { unit_of(written) };
            // "31 times in a row" counts; "31 times the usual rate" compares.
            let behind = rest.get(c.get(0).map_or(0, |m| m.end())..).unwrap_or("").trim_start();
            let compares = [
                "as ", "more", "higher", "lower", "faster", "slower", "longer", "larger", "smaller", "bigger", "greater", "the ",
                "its ", "their ", "what ", "above", "normal", "usual", "over ",
            ];
            if written.eq_ignore_ascii_case("times") && !compares.iter().any(|w| behind.starts_with(w)) {
                unit = None;
            }
            if let Some(per) = c.name("rate").map(|m| m.as_str().trim_start_matches([' ', '/']).trim_start_matches("per ")) {
                let base = unit.map_or((Dimension::Count, 1.0), |u| (u.dimension, u.factor));
                unit = Some(Unit { dimension: base.0, factor: base.1 / seconds_in(per), is_rate: true });
            }
            end = found.end() + c.get(0).map_or(0, |m| m.end());
            if unit.is_none()
                && let Some(noun) = NOUN_RATE.captures(text.get(end..).unwrap_or(""))
            {
                let factor = noun.name("per").map_or(1.0, |per| 1.0 / seconds_in(per.as_str()));
                let factor = if noun.name("short").is_some_and(|s| s.as_str() == "rpm") { 1.0 / 60.0 } else { factor };
                unit = Some(Unit { dimension: Dimension::Count, factor, is_rate: true });
            }
        }
        let quantity = Quantity { value, decimals, zeros, unit, at: found.start()..end };
        if !add_to_last(text, &mut out, 0, &quantity) {
            out.push(quantity);
        }
    }
    out
}

const ABOUT: &str = "(?:(?:well|just|a little|slightly) )?(?:(?:about|around|roughly|approximately|over|under|above|below|nearly|almost|some|more than|less than|up to|at least|as much as|as many as|as high as) |[~≈<>])*";
static FROM: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"(?i)\bfrom {ABOUT}$")));
static TO: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"(?i)^[^\d→]{{0,24}}? (?:to|→) {ABOUT}$")));
static ARROW: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[^→\n]{0,12}→ ?$"));

/// The values of each `from A to B` in the quantities of a text, in the base unit if the two are in different ones. Values that
/// measure different things are left out.
pub(super) fn from_to(text: &str, quantities: &[Quantity]) -> Vec<(f64, f64)> {
    let is_change = |a: &Quantity, b: &Quantity| {
        text.get(..a.at.start).is_some_and(|t| FROM.is_match(t)) && text.get(a.at.end..b.at.start).is_some_and(|t| TO.is_match(t))
    };
    let pairs = quantities.iter().zip(quantities.iter().skip(1));
    pairs.filter(|(a, b)| is_change(a, b)).filter_map(|(a, b)| in_one_unit(a, b)).collect()
}

/// The values of the first `A → B` in the quantities of a text, as [`from_to`] has them.
pub(super) fn arrow(text: &str, quantities: &[Quantity]) -> Option<(f64, f64)> {
    let mut pairs = quantities.iter().zip(quantities.iter().skip(1));
    let (from, to) = pairs.find(|(a, b)| text.get(a.at.end..b.at.start).is_some_and(|gap| ARROW.is_match(gap)))?;
    in_one_unit(from, to)
}

fn in_one_unit(from: &Quantity, to: &Quantity) -> Option<(f64, f64)> {
    match (from.unit, to.unit) {
        (Some(a), Some(b)) if a == b => Some((from.value, to.value)),
        (Some(a), Some(b)) if a.dimension == b.dimension => Some((from.value * a.factor, to.value * b.factor)),
        (None, _) | (_, None) => Some((from.value, to.value)),
        _ => None,
    }
}

/// Whether the digits at `start..end` are part of a name, a version or an ordinal.
fn is_in_name(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).unwrap_or("");
    let after = text.get(end..).unwrap_or("");
    let previous = before.chars().next_back();
    let second = before.chars().rev().nth(1);
    let next = after.chars().next();
    previous.is_some_and(|b| b.is_alphabetic() || matches!(b, '_' | '#' | '@'))
        || previous.is_some_and(|b| matches!(b, '-' | '.' | ':' | '/')) && second.is_some_and(|b| b.is_alphabetic() || b == '_')
        || previous.is_some_and(|b| matches!(b, '.' | ':')) && second.is_some_and(|b| b.is_ascii_digit())
        || next == Some('_')
        || next == Some('.') && after.chars().nth(1).is_some_and(|c| c.is_ascii_digit())
        || ["st", "nd", "rd", "th"]
            .iter()
            .any(|o| after.starts_with(o) && !after.chars().nth(2).is_some_and(char::is_alphanumeric))
        || next.is_some_and(|c| c == '-') && after.chars().nth(1).is_some_and(|c| c.is_ascii_hexdigit()) && previous == Some('-')
        || next.is_some_and(char::is_alphabetic) && UNIT.find(after).is_none_or(|m| m.as_str().trim().is_empty())
}

/// The times of day in a text. A time with another zone is converted to UTC.
pub(super) fn clocks(text: &str) -> Vec<Clock> {
    let mut out = if text.contains(':') { clocks_in_digits(text) } else { Vec::new() };
    let in_digits = out.len();
    for clock in SPOKEN.captures_iter(text).filter_map(|c| spoken(&c)) {
        if !out.iter().take(in_digits).any(|c| c.at.start < clock.at.end && clock.at.start < c.at.end) {
            out.push(clock);
        }
    }
    if out.len() > in_digits {
        out.sort_by_key(|c| c.at.start);
    }
    out
}

fn clocks_in_digits(text: &str) -> Vec<Clock> {
    let mut out = Vec::new();
    for c in CLOCK.captures_iter(text) {
        let Some(whole) = c.get(0) else { continue };
        let before = text.get(..whole.start()).and_then(|t| t.chars().next_back());
        if before.is_some_and(|b| b.is_ascii_digit() || matches!(b, ':' | '.') || b == '_') {
            continue;
        }
        let part = |name: &str| c.name(name).and_then(|m| m.as_str().parse::<f64>().ok());
        let (Some(hour), Some(minute)) = (part("hour"), part("minute")) else { continue };
        if minute >= 60.0 || hour > 24.0 {
            continue;
        }
        let hour = in_half(hour, c.name("half"));
        let offset = c.name("zone").map_or(0.0, |z| offset_hours(z.as_str()));
        let secs = hour * 3600.0 + minute * 60.0 + part("second").unwrap_or(0.0) - offset * 3600.0;
        let precision = if c.name("second").is_some() { Precision::Seconds } else { Precision::Minutes };
        out.push(Clock { secs: secs.rem_euclid(86_400.0), precision, at: whole.range() });
    }
    out
}

/// An hour of a twelve-hour clock in its half of the day, `am` or `pm`.
fn in_half(hour: f64, half: Option<regex::Match<'_>>) -> f64 {
    match half.and_then(|m| m.as_str().chars().next()).map(|c| c.to_ascii_lowercase()) {
        Some('p') if hour < 12.0 => hour + 12.0,
        Some('a') if hour == 12.0 => 0.0,
        _ => hour,
    }
}

const HOURS: &str = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve";

/// A time in words: "a quarter to twelve", "ten past five pm", "nine o'clock", "11 pm", "midnight". "Ten to twelve" is a time
/// only behind "at", and "a quarter to one" only if no noun follows.
static SPOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i)\b(?:(?:(?P<part>quarter|half|five|ten|twenty|twenty[ -]five) (?P<past>past|after)|(?P<part2>quarter)(?: minutes)? (?:to|before)|at (?P<part3>five|ten|twenty|twenty[ -]five) to) (?P<hour>{HOURS}|noon|midnight)|(?P<minutes>\d{{1,2}}|{NUMBER_WORD}) minutes? (?:(?P<since>past|to) (?P<hour2>{HOURS}|noon|midnight)(?P<range> (?:seconds?|minutes?|hours?|days?))?|(?P<side>after|before|to) (?P<bound2>noon|midnight))|(?P<full>{HOURS}) o['’]clock|(?P<digits>\d{{1,2}})(?: o['’]clock| ?(?P<half>[ap]\.?m\.?))|(?P<bound>noon|midday|midnight))\b(?: ?(?P<half2>[ap]\.?m)\b)?(?-i: (?P<zone>{ZONE})\b)?"
    ))
});

/// The number of minutes or hours in a word.
fn spoken_number(word: &str) -> Option<f64> {
    match word {
        "quarter" => Some(15.0),
        "half" => Some(30.0),
        _ => word.parse().ok().or_else(|| number_in_words(word)),
    }
}

fn spoken(c: &regex::Captures<'_>) -> Option<Clock> {
    // "Five minutes to ten minutes" is a range.
    if c.name("range").is_some() {
        return None;
    }
    let at = c.name("part3").or_else(|| c.get(0))?.start()..c.get(0)?.end();
    let word = |name: &str| c.name(name).map(|m| m.as_str().to_lowercase());
    let bound = |word: &str| if word == "midnight" { 0.0 } else { 12.0 };
    let offset = c.name("zone").map_or(0.0, |z| offset_hours(z.as_str()));
    let clock = |hours: f64, precision| Clock { secs: ((hours - offset) * 3600.0).rem_euclid(86_400.0), precision, at };
    if let Some(word) = word("bound") {
        return Some(clock(bound(&word), Precision::Bound));
    }
    if let Some((minutes, noon)) = word("minutes").zip(word("bound2")) {
        let sign = if word("side").as_deref() == Some("after") { 1.0 } else { -1.0 };
        return Some(clock(bound(&noon) + sign * spoken_number(&minutes)? / 60.0, Precision::Minutes));
    }
    let half = c.name("half").or_else(|| c.name("half2"));
    let (hour, is_known) = if let Some(digits) = word("digits") {
        (digits.parse().ok().filter(|hour| *hour <= 24.0)?, half.is_some())
    } else {
        let hour = word("hour").or_else(|| word("hour2")).or_else(|| word("full"))?;
        spoken_number(&hour).map_or_else(|| (bound(&hour), true), |number| (number, half.is_some()))
    };
    let minutes = if let Some(past) = word("part").or_else(|| word("minutes")) {
        spoken_number(&past)? * if word("since").as_deref() == Some("to") { -1.0 } else { 1.0 }
    } else {
        word("part2").or_else(|| word("part3")).map_or(Some(0.0), |to| spoken_number(&to).map(|m| -m))?
    };
    let precision = if is_known || hour > 12.0 { Precision::Words } else { Precision::EitherHalf };
    Some(clock(in_half(hour, half) + minutes / 60.0, precision))
}

/// The hours that a zone is ahead of UTC. An unknown abbreviation counts as UTC.
fn offset_hours(zone: &str) -> f64 {
    let numeric = zone.strip_prefix("UTC").unwrap_or(zone);
    if let Some(sign) = numeric.chars().next().filter(|c| matches!(c, '+' | '-')) {
        let digits: String = numeric.chars().filter(char::is_ascii_digit).collect();
        let hours: f64 = digits.get(..digits.len().min(2)).and_then(|h| h.parse().ok()).unwrap_or(0.0);
        let minutes: f64 = digits.get(2..).and_then(|m| m.parse().ok()).unwrap_or(0.0);
        return (hours + minutes / 60.0) * if sign == '-' { -1.0 } else { 1.0 };
    }
    match zone {
        "CET" | "WEST" | "BST" => 1.0,
        "CEST" | "EET" => 2.0,
        "EEST" => 3.0,
        "IST" => 5.5,
        "SGT" => 8.0,
        "JST" | "KST" => 9.0,
        "EST" => -5.0,
        "EDT" => -4.0,
        "CST" => -6.0,
        "CDT" => -5.0,
        "MST" => -7.0,
        "MDT" => -6.0,
        "PST" => -8.0,
        "PDT" => -7.0,
        _ => 0.0,
    }
}

/// Where days are in a text.
pub(super) fn day_ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    let text = if text.bytes().any(|b| b.is_ascii_digit()) { text } else { "" };
    ISO_DAY.find_iter(text).chain(WRITTEN_DAY.find_iter(text)).map(|m| m.range())
}

/// The days in a text.
pub(super) fn days(text: &str) -> Vec<Day> {
    if !text.bytes().any(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let number = |m: Option<regex::Match<'_>>| m.and_then(|m| m.as_str().parse::<u32>().ok());
    let iso = ISO_DAY
        .captures_iter(text)
        .filter_map(|c| Some(Day { year: number(c.name("y")), month: number(c.name("m"))?, day: number(c.name("d"))? }));
    let written = WRITTEN_DAY.captures_iter(text).filter_map(|c| {
        let name = c.name("m1").or_else(|| c.name("m2"))?.as_str().to_lowercase();
        let month = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
            .iter()
            .position(|m| name.starts_with(m))?;
        let day = number(c.name("d1").or_else(|| c.name("d2")))?;
        Some(Day { year: number(c.name("y1").or_else(|| c.name("y2"))), month: u32::try_from(month).ok()? + 1, day })
    });
    iso.chain(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_with_their_units() {
        use Dimension::{Count, Share, Size, Time, Times};
        for (text, value, unit) in [
            ("4.6 s", 4.6, Some((Time, 1.0, false))),
            ("97ms", 97.0, Some((Time, 1e-3, false))),
            ("69.7%", 69.7, Some((Share, 1.0, false))),
            ("1,536 MiB", 1536.0, Some((Size, 1_048_576.0, false))),
            ("1.5 GB of", 1.5, Some((Size, 1e9, false))),
            ("309 messages per second", 309.0, Some((Count, 1.0, true))),
            ("405 tx/min", 405.0, Some((Count, 1.0 / 60.0, true))),
            ("13.9 /s", 13.9, Some((Count, 1.0, true))),
            ("96k messages", 96_000.0, None),
            ("a 47-fold increase", 47.0, Some((Times, 1.0, false))),
            ("4m 12s", 252.0, Some((Time, 1.0, false))),
            ("5 minutes and 3 seconds", 303.0, Some((Time, 1.0, false))),
            ("20 connections", 20.0, None),
        ] {
            let found = quantities(text);
            let [one] = found.as_slice() else { panic!("{text}: {found:?}") };
            assert!((one.value - value).abs() < 1e-9, "{text}: {one:?}");
            assert_eq!(one.unit.map(|u| (u.dimension, u.factor, u.is_rate)), unit, "{text}");
        }
        for text in ["p95 of db-3 in v1.42.0, HTTP/1.1, INC-7, 95th, 10.0.3.7:5432", "at 16:48 on 2026-10-06 and 6 October 2026"]
        {
            assert_eq!(quantities(text), [], "{text}");
        }
    }

    #[test]
    fn reads_durations_in_words() {
        for (text, minutes) in [
            ("eleven minutes later", 11.0),
            ("forty-five minutes", 45.0),
            ("an hour and a half", 90.0),
            ("half an hour", 30.0),
            ("a quarter of an hour", 15.0),
            ("two and a half hours", 150.0),
            ("a minute later", 1.0),
            ("a couple of minutes", 2.0),
        ] {
            let secs = quantities(text).first().and_then(|q| Some(q.value * q.unit?.factor));
            assert_eq!(secs, Some(minutes * 60.0), "{text}");
        }
        assert_eq!(quantities("one second replica, a day off, per hour"), []);
    }

    #[test]
    fn reads_shares_and_counts_in_words() {
        let values = |text: &str| quantities(text).iter().map(|q| q.value).collect::<Vec<_>>();
        for (text, expected) in [
            ("seven in ten requests failed", vec![70.0]),
            ("one out of every eight, then 3 out of 4", vec![12.5, 75.0]),
            ("nine OOM kills and twelve restarts", vec![9.0, 12.0]),
            ("the six hosts, one of the seven pods, both of five or six", vec![]),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
        assert!(quantities("seven in ten").iter().all(|q| q.unit.is_some_and(|u| u.dimension == Dimension::Share)));
    }

    #[test]
    fn reads_times_and_days() {
        let secs = |text: &str| clocks(text).first().map(|c| c.secs);
        assert_eq!(secs("16:48:29"), Some(60_509.0));
        assert_eq!(secs("16:48 CEST"), secs("14:48Z"));
        assert_eq!(secs("4:48 pm"), secs("16:48 UTC"));
        assert_eq!(secs("16:48 +02:00"), secs("14:48"));
        for (spoken, written) in [
            ("at a quarter to twelve", "11:45"),
            ("a quarter past eleven pm", "23:15"),
            ("half past nine", "9:30"),
            ("half past midnight CEST", "22:30"),
            ("at ten to four p.m.", "15:50"),
            ("twenty-five past six", "6:25"),
            ("eight o'clock", "8:00"),
            ("11 pm", "23:00"),
            ("before midnight", "00:00"),
            ("sixteen minutes past midnight", "00:16"),
            ("at two minutes to nine", "8:58"),
            ("5 minutes before noon", "11:55"),
        ] {
            assert_eq!(secs(spoken), secs(written), "{spoken}");
        }
        for text in [
            "from ten to twelve connections",
            "a quarter of the requests",
            "half the pods",
            "five to ten seconds",
            "five minutes to ten minutes",
        ] {
            assert_eq!(secs(text), None, "{text}");
        }
        let day = Day { year: Some(2026), month: 10, day: 6 };
        assert_eq!(days("2026-10-06, 6 October 2026, Oct 6, 2026"), [day, day, day]);
        assert_eq!(days("on 14 April"), [Day { year: None, month: 4, day: 14 }]);
    }
}
