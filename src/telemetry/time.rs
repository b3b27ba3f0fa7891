//! The time type of the whole program (microseconds since the Unix epoch, in UTC), time windows and durations.
//!
//! Microseconds are the precision that both stores keep exactly (PostgreSQL's `timestamptz` has no more) and that entry
//! hashes are computed from. Nanoseconds from backends such as Loki are truncated on the way in. Nothing here reads a
//! clock: `runtime`, `cli` and `investigate` do, and pass the value in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// A moment in UTC with microsecond precision. Prints and serialises as RFC 3339 with a `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// 9999-12-31T23:59:59.999999Z, the last moment that RFC 3339 can express.
const MAX_MICROS: i64 = 253_402_300_799_999_999;
/// 0001-01-01T00:00:00Z, Go's zero time. It must parse because Alertmanager uses it for "no end".
const MIN_MICROS: i64 = -62_135_596_800_000_000;

impl Timestamp {
    /// The moment `micros` microseconds after the Unix epoch, clamped to the years 1 to 9999.
    pub const fn from_micros(micros: i64) -> Self {
        if micros > MAX_MICROS {
            Self(MAX_MICROS)
        } else if micros < MIN_MICROS {
            Self(MIN_MICROS)
        } else {
            Self(micros)
        }
    }

    /// The moment `secs` seconds after the Unix epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_micros(secs.saturating_mul(1_000_000))
    }

    /// The moment `secs` seconds after the Unix epoch, with a fraction as Prometheus writes it. `None` for NaN and infinity.
    pub fn from_secs_f64(secs: f64) -> Option<Self> {
        secs.is_finite().then(|| Self::from_micros((secs * 1e6).round() as i64))
    }

    /// The moment of a Unix time whose unit (seconds, milliseconds, microseconds or nanoseconds) is inferred from its size.
    /// `None` for NaN and infinity.
    pub fn from_epoch(number: f64) -> Option<Self> {
        Self::from_secs_f64(match number.abs() {
            n if n < 1e11 => number,
            n if n < 1e14 => number / 1e3,
            n if n < 1e17 => number / 1e6,
            _ => number / 1e9,
        })
    }

    /// The moment `nanos` nanoseconds after the Unix epoch, truncated to microseconds. Loki uses nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self::from_micros(nanos.div_euclid(1000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Seconds since the Unix epoch with a fraction, for a backend's `start` and `end` parameters.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Nanoseconds since the Unix epoch, for Loki.
    pub const fn nanos(self) -> i64 {
        self.0.saturating_mul(1000)
    }

    /// Seconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn secs_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }

    /// The time between two moments; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// Parses a time from a person or a file: RFC 3339 with any offset, or a Unix time with an optional fraction, whose unit
    /// is inferred from its size (see [`Timestamp::from_epoch`]).
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        if let Some(at) = parse_utc(text.as_bytes()) {
            return Ok(at);
        }
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(Self::from(at));
        }
        text.parse::<f64>().ok().and_then(Self::from_epoch).ok_or_else(|| TimeError { text: text.chars().take(60).collect() })
    }

    /// The time as RFC 3339 in UTC, with a fraction only if there is one.
    pub fn rfc3339(self) -> String {
        self.datetime().format(&Rfc3339).unwrap_or_else(|_| self.0.to_string())
    }

    /// The time of day in the given offset: `09:31:07`.
    pub fn clock(self, offset: UtcOffset) -> String {
        self.datetime().to_offset(offset).format(format_description!("[hour]:[minute]:[second]")).unwrap_or_default()
    }

    /// The time of day in UTC with milliseconds: `09:31:07.123`.
    pub fn clock_millis(self) -> String {
        format!("{}.{:03}", self.clock(UtcOffset::UTC), self.0.rem_euclid(1_000_000) / 1000)
    }

    /// Date and time in UTC without the zone: `2026-11-21 09:31:07`. For report tables whose heading shows the zone.
    pub fn date_clock(self) -> String {
        self.datetime().format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second]")).unwrap_or_default()
    }

    /// The date in UTC: `2026-11-21`.
    pub fn date(self) -> String {
        self.datetime().format(format_description!("[year]-[month]-[day]")).unwrap_or_default()
    }

    /// The moment as a value of the `time` crate, always in UTC.
    pub fn datetime(self) -> OffsetDateTime {
        // Seconds and fraction apart: 128-bit arithmetic is slow, and this runs for every log line without a year.
        let whole = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1_000_000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        whole + Duration::from_micros(self.0.rem_euclid(1_000_000).unsigned_abs())
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        Self::from_micros(at.unix_timestamp().saturating_mul(1_000_000).saturating_add(i64::from(at.nanosecond() / 1000)))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl serde::de::Visitor<'_> for TimeVisitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time as a string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(TimeVisitor)
    }
}

/// A fast parser for the form that warroom writes itself, `2026-11-21T09:31:07.123456Z`: a journal of 100,000 entries holds
/// 200,000 times. `None` for any other form and for invalid times; the full parser distinguishes these.
fn parse_utc(text: &[u8]) -> Option<Timestamp> {
    let number = |from: usize, to: usize| {
        text.get(from..to)?.iter().try_fold(0_i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    let require = |at: usize, byte: u8| (text.get(at) == Some(&byte)).then_some(());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    for (place, byte) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        require(place, byte)?;
    }
    let fraction = match text.get(19)? {
        b'Z' if text.len() == 20 => 0,
        b'.' if (22..=27).contains(&text.len()) && text.last() == Some(&b'Z') => {
            let digits = text.len() - 21;
            number(20, text.len() - 1)? * 10_i64.pow(6 - u32::try_from(digits).ok()?)
        }
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last_day = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > last_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970-01-01 in the proleptic Gregorian calendar. Years start in March here, so that leap days come last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(Timestamp::from_micros((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + fraction))
}

/// The error for a text that is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid time; use RFC 3339 (2026-11-21T09:31:07Z) or Unix seconds (1795253915.5)")]
pub struct TimeError {
    text: String,
}

/// A time window that includes both ends; `start <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Window {
    /// The window between two moments, in either order.
    pub fn new(a: Timestamp, b: Timestamp) -> Self {
        Self { start: a.min(b), end: a.max(b) }
    }

    /// The window of the given length that ends at `end`.
    pub fn before(end: Timestamp, length: Duration) -> Self {
        Self { start: end - length, end }
    }

    /// The length of the window.
    pub fn length(self) -> Duration {
        self.end.since(self.start)
    }

    /// The baseline window: `factor` times as long as this one, ending where this one starts.
    pub fn baseline(self, factor: u32) -> Self {
        Self::before(self.start, self.length().saturating_mul(factor))
    }

    /// Whether a moment is in the window.
    pub fn contains(self, at: Timestamp) -> bool {
        at >= self.start && at <= self.end
    }

    /// The window for people: `2026-11-21 09:17:00 – 09:31:00 UTC`, with the end date only if it differs.
    pub fn label(self) -> String {
        let end = if self.start.date() == self.end.date() { self.end.clock(UtcOffset::UTC) } else { self.end.date_clock() };
        format!("{} – {end} UTC", self.start.date_clock())
    }
}

/// A time zone for people: `UTC`, `+01:00`, `-03:30`.
pub fn zone_label(offset: UtcOffset) -> String {
    if offset.is_utc() {
        return "UTC".to_owned();
    }
    let (hours, minutes, _) = offset.as_hms();
    format!("{}{:02}:{:02}", if offset.is_negative() { '-' } else { '+' }, hours.abs(), minutes.abs())
}

/// Parses a duration such as `30m`, `1h30m`, `45s`, `2d` or `250ms`, or a plain number of seconds. Zero is an error.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fail = || DurationError { text: text.chars().take(40).collect() };
    let trimmed = text.trim();
    if let Ok(secs) = trimmed.parse::<u64>() {
        return if secs == 0 { Err(fail()) } else { Ok(Duration::from_secs(secs)) };
    }
    let (mut total, mut number) = (Duration::ZERO, String::new());
    let mut chars = trimmed.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_digit() || c == '.' {
            number.push(c);
            continue;
        }
        let unit = match c {
            'm' if chars.peek() == Some(&'s') => {
                chars.next();
                0.001
            }
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            'd' => 86_400.0,
            'w' => 604_800.0,
            _ => return Err(fail()),
        };
        let amount: f64 = number.parse().map_err(|_e| fail())?;
        total = total.saturating_add(Duration::try_from_secs_f64(amount * unit).map_err(|_e| fail())?);
        number.clear();
    }
    if !number.is_empty() || total.is_zero() {
        return Err(fail());
    }
    Ok(total)
}

/// The error for a text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid duration; use a form such as 30m, 1h30m, 45s or 2d")]
pub struct DurationError {
    text: String,
}

/// Formats a duration for people: `42s`, `4m12s`, `3h02m`, `2d04h`. At most six columns wide below 100 days.
pub fn human_duration(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_fast_parser_agrees_with_the_full_one(micros in MIN_MICROS..MAX_MICROS, noise in "[0-9TZ:. -]{0,28}") {
            let text = Timestamp::from_micros(micros).rfc3339();
            proptest::prop_assert_eq!(parse_utc(text.as_bytes()), Some(Timestamp::from_micros(micros)));
            if let Some(at) = parse_utc(noise.as_bytes()) {
                proptest::prop_assert_eq!(OffsetDateTime::parse(&noise, &Rfc3339).ok().map(Timestamp::from), Some(at));
            }
        }
    }

    #[test]
    fn the_fast_parser_rejects_invalid_dates() {
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
        ] {
            assert_eq!(parse_utc(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse_utc(b"2024-02-29T00:00:00.5Z"), Timestamp::parse("2024-02-29T01:00:00.5+01:00").ok());
    }

    #[test]
    fn parses_times_of_people_and_backends() {
        let at = Timestamp::from_micros(1_795_253_915_500_000);
        assert_eq!(Timestamp::parse("1795253915.5"), Ok(at));
        assert_eq!(Timestamp::parse(&at.rfc3339()), Ok(at));
        assert_eq!(Timestamp::parse("2026-11-21T10:00:00+01:00").unwrap().rfc3339(), "2026-11-21T09:00:00Z");
        assert_eq!(Timestamp::parse("0001-01-01T00:00:00Z").unwrap().micros(), MIN_MICROS);
        assert!(Timestamp::parse("yesterday").is_err());
        assert!(Timestamp::parse("NaN").is_err());
    }

    #[test]
    fn parses_and_formats_durations() {
        assert_eq!(parse_duration("1h30m").unwrap(), Duration::from_mins(90));
        assert_eq!(parse_duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
        for bad in ["", "0", "m", "10x", "1h30", "-5m"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(human_duration(Duration::from_secs(252)), "4m12s");
        assert_eq!(human_duration(Duration::from_mins(182)), "3h02m");
    }

    #[test]
    fn extreme_times_never_panic() {
        for micros in [i64::MIN, i64::MAX, 0, -1] {
            let at = Timestamp::from_micros(micros);
            assert!(!at.rfc3339().is_empty());
            assert_eq!(Timestamp::parse(&at.rfc3339()), Ok(at));
            let _ = at + Duration::MAX;
            let _ = at - Duration::MAX;
        }
    }
}
