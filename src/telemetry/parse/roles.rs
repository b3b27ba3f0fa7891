//! What the fields of structured records are: which is the time and which the level, where no known key says so.

use super::super::log::Level;
use super::super::time::Timestamp;
use super::{Context, stamp};

/// How the numbers of a level key are meant, which the numbers of a whole stream show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Those of bunyan and pino from 10 up, below that those of syslog, where 0 is the worst.
    #[default]
    Usual,
    /// Numbers that grow with the severity, from 0: debug, info, warning, error, fatal.
    Ascending,
    /// The same with trace as 0.
    AscendingFromTrace,
    /// Those of Windows events: 1 is critical, 2 an error, 3 a warning, 4 information, 5 verbose, and 0 is for what is always logged.
    /// <https://learn.microsoft.com/windows/win32/wes/defining-severity-levels>
    Windows,
}

impl Scale {
    /// The scale that fits the numbers of a stream. Most lines of a log are informational: where the common numbers would be emergencies and
    /// alerts of syslog, the scale is another one.
    pub fn of(numbers: &[i64]) -> Self {
        let most = (0..=7).max_by_key(|n| (numbers.iter().filter(|m| *m == n).count(), -n)).unwrap_or(6);
        let is_small = numbers.iter().all(|n| (0..=6).contains(n));
        match most {
            _ if numbers.is_empty() || !is_small => Self::Usual,
            0 | 1 => Self::Ascending,
            2 => Self::AscendingFromTrace,
            _ => Self::Usual,
        }
    }

    /// The level that a number is. `None` if the scale does not have it.
    pub fn level(self, number: i64) -> Option<Level> {
        const FROM_TRACE: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];
        let from = match self {
            Self::Usual => return Level::from_number(number),
            Self::Windows => {
                const OF_WINDOWS: [Level; 6] = [Level::Info, Level::Fatal, Level::Error, Level::Warn, Level::Info, Level::Debug];
                return OF_WINDOWS.get(usize::try_from(number).ok()?).copied();
            }
            Self::Ascending => 1,
            Self::AscendingFromTrace => 0,
        };
        FROM_TRACE.get(usize::try_from(number).ok()? + from).copied()
    }
}

/// Whether a key, in lower case, names a level by how it ends: `error_severity`, `log.level`, `level.name`.
pub(super) fn is_level_key(lower: &str) -> bool {
    let last = lower.strip_suffix(".name").or_else(|| lower.strip_suffix("text")).unwrap_or(lower);
    ["level", "severity", "loglevel", "levelname", "lvl", "priority"].iter().any(|end| last.ends_with(end))
}

/// The level of a field under a key that [`is_level_key`] accepts.
pub(super) fn level(lower: &str, value: &str, context: Context) -> Option<Level> {
    match value.parse::<i64>() {
        // The number of a nested record is of something else, such as an alert: `alert.severity`.
        Ok(_) if lower.contains('.') && !lower.starts_with("log.") => None,
        // OpenTelemetry's severity numbers, four to a level.
        Ok(number) if lower.ends_with("severitynumber") || lower.ends_with("severity_number") => Some(match number {
            1..=4 => Level::Trace,
            5..=8 => Level::Debug,
            9..=12 => Level::Info,
            13..=16 => Level::Warn,
            17..=20 => Level::Error,
            21..=24 => Level::Fatal,
            _ => return None,
        }),
        Ok(number) => context.scale.level(number),
        Err(_) => Level::from_word(value),
    }
}

/// A value that is plainly a time: a date with a clock, Unix time as the id of an audit record has it, or under a key that speaks of time, as a
/// number.
fn time(key: &str, value: &str, context: Context) -> Option<Timestamp> {
    let lower = key.to_ascii_lowercase();
    let speaks_of_time = ["time", "date", "stamp", "epoch", "instant", "start", "begin"].iter().any(|word| lower.contains(word));
    if let Ok(number) = value.parse::<f64>() {
        let is_long = value.bytes().take_while(u8::is_ascii_digit).count() >= 10;
        return stamp::from_number(number).filter(|_| speaks_of_time && is_long);
    }
    // `audit(1795253467.579:2995):`
    let id = value.strip_prefix("audit(").map_or(value, |rest| rest.trim_end_matches([':', ')']));
    if let Some((secs, serial)) = id.split_once(':')
        && serial.bytes().all(|b| b.is_ascii_digit())
        && secs.len() == 14
    {
        return secs.parse().ok().and_then(stamp::from_number);
    }
    let is_short = value.len() <= 40;
    stamp::at_start(value, context).filter(|(_, used)| is_short && *used + 1 >= value.len()).map(|(at, _)| at)
}

/// The time of a record that has none under a known key: of the fields that are plainly times, one whose key ends like that of a time stamp, and
/// of several the earliest, when the event began. The nanoseconds of a second may be in a field of their own.
pub(super) fn time_of(fields: &[(String, String)], context: Context) -> Option<Timestamp> {
    let rank = |key: &str| {
        let lower = key.to_ascii_lowercase();
        ["timestamp", "time", "epochsecond", "date"].iter().position(|end| lower.ends_with(end)).unwrap_or(9)
    };
    let found = fields.iter().filter_map(|(key, value)| Some((rank(key), time(key, value, context)?, key)));
    let (_, at, key) = found.min_by_key(|(rank, at, _)| (*rank, *at))?;
    let nanos = key.strip_suffix("epochSecond").and_then(|of| fields.iter().find(|(k, _)| *k == format!("{of}nanoOfSecond")));
    let nanos = nanos.and_then(|(_, n)| n.parse().ok()).filter(|n| *n < 1_000_000_000).unwrap_or(0);
    Some(at + std::time::Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_levels_as_the_stream_shows() {
        assert_eq!(Scale::of(&[1, 1, 2, 1, 3]).level(1), Some(Level::Info));
        assert_eq!(Scale::of(&[1, 1, 2, 1, 3]).level(3), Some(Level::Error));
        assert_eq!(Scale::of(&[2, 2, 2, 4, 1]).level(4), Some(Level::Error));
        assert_eq!(Scale::of(&[6, 6, 3, 4, 6]).level(3), Some(Level::Error));
        assert_eq!(Scale::of(&[6, 6, 3, 4, 6]).level(6), Some(Level::Info));
        assert_eq!(Scale::of(&[30, 50]).level(50), Some(Level::Error));
        assert_eq!(Scale::of(&[]), Scale::Usual);
    }

    #[test]
    fn a_time_is_found_under_any_key() {
        let context = Context::utc(Timestamp::from_secs(1_795_253_467));
        let at = |pairs: &[(&str, &str)]| {
            let fields: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            time_of(&fields, context).map(Timestamp::rfc3339)
        };
        let when = || Some("2026-11-21T09:31:07Z".to_owned());
        assert_eq!(at(&[("requestReceivedTimestamp", "2026-11-21T09:31:07Z"), ("n", "7")]), when());
        assert_eq!(at(&[("EdgeEnd", "1795253468000000000"), ("EdgeStartTime", "1795253467000000000")]), when());
        assert_eq!(at(&[("ID", "1795253467.000:30826")]), when());
        assert_eq!(at(&[("type", "PATH"), ("msg", "audit(1795253467.000:30826):")]), when());
        assert_eq!(at(&[("instant.epochSecond", "1795253467"), ("instant.nanoOfSecond", "0")]), when());
        // Numbers that are no times, and texts that only begin with one.
        assert_eq!(at(&[("order", "1795253467"), ("note", "2026-11-21 09:31:07 it failed")]), None);
    }
}
