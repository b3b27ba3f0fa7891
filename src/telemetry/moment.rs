//! Times as people write them: `17:00`, `10m ago`, `yesterday 18:20`, `2026-11-28 18:00`, `7d`, or RFC 3339.
//!
//! Parsing and resolving are two steps, so that parsing needs no clock: [`Moment`] is the time as written, [`Moment::resolve`] gives the
//! actual time. A time without a zone is in UTC, the zone of everything that warroom prints.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::{Date, PrimitiveDateTime, Time};

use super::time::{Timestamp, parse_duration};

const DAY: Duration = Duration::from_hours(24);

/// A time as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment {
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    At(Timestamp),
    /// This long before now.
    Ago(Duration),
    /// A time of day: the most recent one.
    Clock(Time),
    /// This many days before today.
    Day(u16, Time),
}

/// Why a time cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    #[error("'{0}' is not a time; use 17:00, 10m ago, yesterday 18:20, 2026-11-28 18:00 (all UTC) or 2026-11-28T18:00:00+01:00")]
    Unreadable(String),
    #[error("{0} UTC is still to come (it is {1} UTC); add the date if you mean the day before")]
    Future(String, String),
}

fn clock(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next().filter(|m| m.len() == 2)?.parse().ok()?;
    let second = parts.next().map_or(Some(0), |s| s.parse().ok())?;
    if parts.next().is_some() {
        return None;
    }
    Time::from_hms(hour, minute, second).ok()
}

fn parse_kind(text: &str) -> Option<Kind> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let words = lower.strip_suffix(" utc").unwrap_or(&lower).trim();
    if words == "now" {
        return Some(Kind::Ago(Duration::ZERO));
    }
    if let Some(time) = clock(words.trim_end_matches('z')) {
        return Some(Kind::Clock(time));
    }
    if let Some(length) = words.strip_suffix("ago") {
        return parse_duration(&length.replace(' ', "")).ok().map(Kind::Ago);
    }
    if let Some((day, time)) = words.split_once(' ') {
        let time = clock(time.trim())?;
        return match day {
            "today" => Some(Kind::Day(0, time)),
            "yesterday" => Some(Kind::Day(1, time)),
            date => {
                let date = Date::parse(date, time::macros::format_description!("[year]-[month]-[day]")).ok()?;
                Some(Kind::At(Timestamp::from(PrimitiveDateTime::new(date, time).assume_utc())))
            }
        };
    }
    if let Ok(date) = Date::parse(words, time::macros::format_description!("[year]-[month]-[day]")) {
        return Some(Kind::At(Timestamp::from(date.midnight().assume_utc())));
    }
    match Timestamp::parse(text) {
        // A small bare number is more likely a duration that lost its unit than a second of 1970.
        Ok(at) if text.parse::<f64>().is_ok_and(|n| n.abs() < 1e8) && at.secs() < 100_000_000 => None,
        Ok(at) => Some(Kind::At(at)),
        Err(_) => parse_duration(words).ok().map(Kind::Ago),
    }
}

impl FromStr for Moment {
    type Err = MomentError;
    fn from_str(text: &str) -> Result<Self, MomentError> {
        match parse_kind(text) {
            Some(kind) => Ok(Self { text: text.trim().to_owned(), kind }),
            None => Err(MomentError::Unreadable(text.chars().take(60).collect())),
        }
    }
}

impl TryFrom<String> for Moment {
    type Error = MomentError;
    fn try_from(text: String) -> Result<Self, MomentError> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> String {
        moment.text
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self { text: at.rfc3339(), kind: Kind::At(at) }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Moment {
    /// The time that was meant, as of `now`. A time of day is today's, or, in the first half of the day, yesterday evening's.
    ///
    /// # Errors
    /// [`MomentError::Future`] for a time of day that is still to come: most likely it is in another zone.
    pub fn resolve(&self, now: Timestamp) -> Result<Timestamp, MomentError> {
        let on = |days: u16, time: Time| Timestamp::from((now - DAY * u32::from(days)).datetime().replace_time(time));
        match self.kind {
            Kind::At(at) => Ok(at),
            Kind::Ago(length) => Ok(now - length),
            Kind::Day(days, time) => Ok(on(days, time)),
            Kind::Clock(time) => {
                let today = on(0, time);
                let yesterday = on(1, time);
                if today <= now {
                    Ok(today)
                } else if now.since(yesterday) <= DAY / 2 {
                    Ok(yesterday)
                } else {
                    Err(MomentError::Future(self.text.clone(), now.date_clock()))
                }
            }
        }
    }
}

impl Moment {
    /// The time that was meant in a log that ends at `end`: a time of day is that of its last day.
    pub fn in_log(&self, end: Timestamp) -> Timestamp {
        match self.kind {
            Kind::Clock(time) => Timestamp::from(end.datetime().replace_time(time)),
            _ => self.resolve(end).unwrap_or(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn reads_times_as_people_write_them() {
        let now = at("2026-11-28T18:57:00Z");
        for (text, meant) in [
            ("17:00", "2026-11-28T17:00:00Z"),
            ("17:00:30", "2026-11-28T17:00:30Z"),
            ("17:00 UTC", "2026-11-28T17:00:00Z"),
            ("10m ago", "2026-11-28T18:47:00Z"),
            ("1h 30m ago", "2026-11-28T17:27:00Z"),
            ("7d", "2026-11-21T18:57:00Z"),
            ("now", "2026-11-28T18:57:00Z"),
            ("2026-11-28 18:00", "2026-11-28T18:00:00Z"),
            ("2026-11-28", "2026-11-28T00:00:00Z"),
            ("yesterday 18:20", "2026-11-27T18:20:00Z"),
            ("today 09:05", "2026-11-28T09:05:00Z"),
            ("2026-11-28T18:00:00+01:00", "2026-11-28T17:00:00Z"),
            ("1795253400", "2026-11-21T09:30:00Z"),
        ] {
            assert_eq!(text.parse::<Moment>().unwrap().resolve(now), Ok(at(meant)), "{text}");
        }
    }

    #[test]
    fn a_time_of_day_is_never_in_the_future() {
        let night = at("2026-11-28T00:10:00Z");
        assert_eq!("23:50".parse::<Moment>().unwrap().resolve(night), Ok(at("2026-11-27T23:50:00Z")));
        let noon = at("2026-11-28T12:00:00Z");
        let error = "23:50".parse::<Moment>().unwrap().resolve(noon).unwrap_err();
        assert!(error.to_string().contains("still to come"), "{error}");
    }

    #[test]
    fn rejects_what_is_not_a_time() {
        for bad in ["", "soon", "25:00", "17:0", "17:00:00:00", "5", "2026-13-01", "tomorrow 10:00", "ago"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }
}
