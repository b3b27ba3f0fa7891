//! Times on the clocks of other places: "01:40 in Berlin", "8:20 Pacific time".

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use time::{Date, Time};

use super::quantities::{Clock, Precision, ZONE};
use super::words::pattern;

/// A place whose clocks a sentence means.
pub(super) struct Place {
    /// Its name in the sentence.
    pub at: Range<usize>,
    /// The name of its zone; `None` if it is not known.
    zone: Option<&'static str>,
}

/// A place, or the name of a zone in words.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\b(?:in|from) (?P<place>[A-Z]\w+(?: [A-Z]\w+)?)|\b(?P<of>[A-Z]\w+(?: [A-Z]\w+)?)(?: standard| daylight)? time\b")
});
/// What makes a place that the database does not know one with clocks of its own.
static LOCAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"\bin (?P<place>[A-Z]\w+(?: [A-Z]\w+)?)(?:,? (?:that|this|it|which) (?:was|is)| \((?:{ZONE})\)|, at \d{{1,2}}:)|\b(?P<time>local time)\b|(?P<zone>\((?:{ZONE})\))"
    ))
});

/// The cities and regions of the time zone database, in lower case, with the names of their zones.
static CITIES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let named = tzdb::TZ_NAMES.iter().filter_map(|name| Some((name.rsplit_once('/')?.1, *name)));
    let wide = [
        ("pacific", "America/Los_Angeles"),
        ("mountain", "America/Denver"),
        ("central", "America/Chicago"),
        ("eastern", "America/New_York"),
        ("atlantic", "America/Halifax"),
    ];
    named.map(|(city, name)| (city.replace('_', " ").to_lowercase(), name)).chain(wide.map(|(w, n)| (w.to_owned(), n))).collect()
});

/// The first place of a sentence whose clocks it may mean; `None` if it names none.
pub(super) fn place(text: &str) -> Option<Place> {
    let known = NAMED.captures_iter(text).find_map(|c| {
        let found = c.name("place").or_else(|| c.name("of"))?;
        let first = found.as_str().split(' ').next().unwrap_or("");
        // Of "Berlin Office" the first word is the city, of "the New York" both are.
        [found.as_str(), first].into_iter().find_map(|name| {
            let zone = CITIES.get(&name.to_lowercase()).copied()?;
            Some(Place { at: found.start()..found.start() + name.len(), zone: Some(zone) })
        })
    });
    known.or_else(|| {
        let c = LOCAL.captures(text)?;
        let at = c.name("place").or_else(|| c.name("time")).or_else(|| c.name("zone"))?.range();
        Some(Place { at, zone: None })
    })
}

impl Place {
    /// Whether its clocks show the time of a sentence when it is `utc`, in seconds of a day, on one of the dates. Without dates or
    /// a known zone, whether they may: zones differ by quarters of an hour. A time in words may be in both halves of the day.
    pub(super) fn shows(&self, local: &Clock, utc: f64, dates: &[Date]) -> bool {
        const DAY: f64 = 86_400.0;
        let (before, behind) = local.precision.slack();
        let is_worded = !matches!(local.precision, Precision::Seconds | Precision::Minutes);
        let is_then = |ahead: f64, cycle: f64| {
            let later = (utc + ahead - local.secs).rem_euclid(cycle);
            later <= behind || later >= cycle - before
        };
        match self.zone.and_then(tzdb::tz_by_name).filter(|_| !dates.is_empty()) {
            Some(zone) => dates.iter().any(|date| {
                let at = date.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp() + utc as i64;
                let ahead = zone.find_local_time_type(at).map(|kind| f64::from(kind.ut_offset()));
                ahead.is_ok_and(|ahead| is_then(ahead, if is_worded { DAY / 2.0 } else { DAY }))
            }),
            None => is_then(0.0, 900.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_of_a_city_are_those_of_its_day() {
        let (summer, winter) = (Date::from_ordinal_date(2026, 200).unwrap(), Date::from_ordinal_date(2026, 20).unwrap());
        let hours = |text: &str, local: f64, utc: f64, date: Date| {
            let clock = Clock { secs: local * 3600.0, precision: Precision::Minutes, at: 0..0 };
            place(text).unwrap().shows(&clock, utc * 3600.0, &[date])
        };
        assert!(hours("at 01:40 in Berlin", 1.0, 23.0, summer));
        assert!(!hours("at 01:40 in Berlin", 1.0, 23.0, winter));
        assert!(hours("8:20 Pacific time", 8.0, 16.0, winter));
        assert!(hours("4 pm in New York", 16.0, 20.0, summer));
        assert!(!hours("4 pm in New York", 16.0, 21.0, summer));
        assert!(hours("in Kolkata that was 5:30", 5.5, 0.0, summer));
        assert!(hours("in Gotham that was 5:30", 5.5, 0.0, summer), "an unknown city may have any zone");
        assert!(place("Lookup time rose in Checkout").is_none());
    }
}
