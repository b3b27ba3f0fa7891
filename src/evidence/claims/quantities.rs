//! Numbers with units, times of day, dates and durations in a text.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

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
    /// Whether seconds are written.
    pub has_seconds: bool,
    pub at: Range<usize>,
}

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    /// `None` if no year is written.
    pub year: Option<u32>,
    pub month: u32,
    pub day: u32,
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
    let mut found = numbers(text, false);
    found.extend(WORDED.captures_iter(text).filter_map(|c| {
        let whole = c.get(0)?;
        let value = match c.name("n")?.as_str().to_lowercase().as_str() {
            "two" => 2.0,
            "three" => 3.0,
            "four" => 4.0,
            "five" => 5.0,
            "six" => 6.0,
            "seven" => 7.0,
            "eight" => 8.0,
            "nine" => 9.0,
            "ten" => 10.0,
            "twelve" => 12.0,
            "fifteen" => 15.0,
            "twenty" => 20.0,
            "thirty" => 30.0,
            "forty" => 40.0,
            _ => return None,
        };
        let unit = unit_of(c.name("unit")?.as_str());
        Some(Quantity { value, decimals: 0, zeros: 0, unit, at: whole.range() })
    }));
    found
}

/// A duration in words. Whoever writes it so rounds.
static WORDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?P<n>two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|forty) (?P<unit>seconds|minutes|hours|days)\b",
    )
});

/// Like [`quantities`], with the numbers inside names, for the text of evidence: a claim may take `15gb` from `maxmemory:15gb`.
pub(super) fn all_quantities(text: &str) -> Vec<Quantity> {
    numbers(text, true)
}

fn numbers(text: &str, also_in_names: bool) -> Vec<Quantity> {
    if !text.bytes().any(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let taken: Vec<Range<usize>> = clocks(text).into_iter().map(|c| c.at).chain(day_ranges(text)).collect();
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
        // Parts of one duration, such as `4m 12s`, are one quantity.
        if let (Some(last), Some(u)) = (out.last_mut(), unit)
            && last.unit.is_some_and(|l| l.dimension == Dimension::Time && u.dimension == Dimension::Time && l.factor > u.factor)
            && text.get(last.at.end..found.start()).is_some_and(|gap| ["", " ", " and "].contains(&gap))
            && let Some(l) = last.unit
        {
            last.value = last.value * l.factor / u.factor + value;
            last.unit = unit;
            last.decimals = decimals;
            last.zeros = 0;
            last.at.end = end;
            continue;
        }
        out.push(Quantity { value, decimals, zeros, unit, at: found.start()..end });
    }
    out
}

pub(super) static FROM_TO: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\bfrom (?:about |around |roughly |under |over |nearly |almost |~)?(?P<from>\d[\d,]*(?:\.\d+)?)(?P<u1>[^\d→]{0,24}?) (?:to|→) (?:about |around |roughly |under |over |nearly |almost |more than |~)?(?P<to>\d[\d,]*(?:\.\d+)?)(?P<u2> ?[%\p{L}/]*)",
    )
});

/// The values of `from A to B`, if both have the same unit.
pub(super) fn from_to(statement: &str) -> Option<(f64, f64)> {
    let c = FROM_TO.captures(statement)?;
    let found = quantities(statement);
    let at = |name: &str| c.name(name).and_then(|m| found.iter().find(|q| q.at.start == m.start()));
    let (from, to) = (at("from")?, at("to")?);
    match (from.unit, to.unit) {
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
    let mut out = Vec::new();
    if !text.contains(':') {
        return out;
    }
    for c in CLOCK.captures_iter(text) {
        let Some(whole) = c.get(0) else { continue };
        let before = text.get(..whole.start()).and_then(|t| t.chars().next_back());
        if before.is_some_and(|b| b.is_ascii_digit() || matches!(b, ':' | '.') || b == '_') {
            continue;
        }
        let part = |name: &str| c.name(name).and_then(|m| m.as_str().parse::<f64>().ok());
        let (Some(mut hour), Some(minute)) = (part("hour"), part("minute")) else { continue };
        if minute >= 60.0 || hour > 24.0 {
            continue;
        }
        match c.name("half").map(|m| m.as_str().chars().next()) {
            Some(Some('p')) if hour < 12.0 => hour += 12.0,
            Some(Some('a')) if hour == 12.0 => hour = 0.0,
            _ => {}
        }
        let offset = c.name("zone").map_or(0.0, |z| offset_hours(z.as_str()));
        let secs = hour * 3600.0 + minute * 60.0 + part("second").unwrap_or(0.0) - offset * 3600.0;
        out.push(Clock { secs: secs.rem_euclid(86_400.0), has_seconds: c.name("second").is_some(), at: whole.range() });
    }
    out
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
    fn reads_times_and_days() {
        let secs = |text: &str| clocks(text).first().map(|c| c.secs);
        assert_eq!(secs("16:48:29"), Some(60_509.0));
        assert_eq!(secs("16:48 CEST"), secs("14:48Z"));
        assert_eq!(secs("4:48 pm"), secs("16:48 UTC"));
        assert_eq!(secs("16:48 +02:00"), secs("14:48"));
        let day = Day { year: Some(2026), month: 10, day: 6 };
        assert_eq!(days("2026-10-06, 6 October 2026, Oct 6, 2026"), [day, day, day]);
        assert_eq!(days("on 14 April"), [Day { year: None, month: 4, day: 14 }]);
    }
}
