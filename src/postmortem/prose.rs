//! Words of a post-mortem: times and amounts as people say them, and texts of the incident in the past tense.

use std::time::Duration;

use crate::telemetry::Timestamp;
use crate::telemetry::series::human_value;
use crate::telemetry::tense::can_be_past;
pub(super) use crate::telemetry::tense::past;
use crate::telemetry::time::human_duration;
pub(super) use crate::telemetry::words::capitalized;

/// `29 November 2026`.
pub(super) fn day(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let date = at.date();
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|m| m.parse::<usize>().ok()).and_then(|m| MONTHS.get(m.wrapping_sub(1)));
    match (year, month, day) {
        (Some(year), Some(month), Some(day)) => format!("{} {month} {year}", day.trim_start_matches('0')),
        _ => date,
    }
}

/// `16:45`, in UTC.
pub(super) fn minute(at: Timestamp) -> String {
    let clock = at.clock(time::UtcOffset::UTC);
    clock.get(..5).unwrap_or(&clock).to_owned()
}

/// `16:45`, or `29 Nov 16:45` if it is not on the day of `base`.
pub(super) fn minute_since(base: Timestamp, at: Timestamp) -> String {
    if base.date() == at.date() {
        return minute(at);
    }
    let day = day(at);
    let mut parts = day.split(' ');
    let (number, month) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{number} {} {}", month.get(..3).unwrap_or(month), minute(at))
}

/// `16:45:36`, in UTC.
pub(super) fn second(at: Timestamp) -> String {
    at.clock(time::UtcOffset::UTC)
}

/// `from 16:45 to 16:51 UTC on 29 November 2026`, with seconds if both are in one minute, or with both days.
pub(super) fn from_to(from: Timestamp, to: Timestamp) -> String {
    if from.date() == to.date() {
        let clock = if minute(from) == minute(to) { second } else { minute };
        format!("from {} to {} UTC on {}", clock(from), clock(to), day(from))
    } else {
        format!("from {} UTC on {} to {} UTC on {}", minute(from), day(from), minute(to), day(to))
    }
}

/// A value with its unit, as people say it: `97 ms`, `4.6 s`, `70%`, `20`, `14 /s`.
pub(super) fn amount(value: f64, unit: &str) -> String {
    let rounded = |v: f64| {
        // Two significant digits, and none after the decimal point from 10 on.
        let digits = usize::from(v.abs() < 10.0 && v != 0.0);
        let text = format!("{v:.digits$}");
        if text.ends_with(".0") { text.trim_end_matches(".0").to_owned() } else { text }
    };
    match unit {
        "s" if value != 0.0 && value.abs() < 1.0 => format!("{} ms", rounded(value * 1000.0)),
        "%" => format!("{}%", rounded(value)),
        "" => human_value(value),
        unit if value.abs() < 1_000_000.0 => format!("{} {unit}", rounded(value)),
        unit => format!("{} {unit}", human_value(value)),
    }
}

/// What people wrote about the present, as a sentence in the past tense; if it cannot be put into the past as a whole, as a quotation.
pub(super) fn past_or_quoted(text: &str) -> String {
    let text = text.trim();
    if can_be_past(text) { sentence(&past(text)) } else { format!("“{}”", sentence(text)) }
}

/// What people wrote within a sentence: in the past tense if it can be put into it as a whole, else as it is.
pub(super) fn past_if_whole(text: &str) -> String {
    if can_be_past(text) { past(text) } else { text.to_owned() }
}

/// A length of time in seconds as people say it: `51m`, `1h12m`, and below ten minutes with the seconds.
pub(super) fn length(secs: f64) -> String {
    const MINUTES: f64 = 600.0;
    let secs = secs.max(0.0).round();
    if secs < MINUTES {
        return human_duration(Duration::from_secs_f64(secs));
    }
    let text = human_duration(Duration::from_secs_f64((secs / 60.0).round() * 60.0));
    text.strip_suffix("00s").filter(|t| t.ends_with('m')).map_or(text.clone(), str::to_owned)
}

/// A moment beside another one: `00:53 UTC`, and with its day if that is another one.
pub(super) fn moment(base: Timestamp, at: Timestamp) -> String {
    if base.date() == at.date() { format!("{} UTC", minute(at)) } else { format!("{} UTC on {}", minute(at), day(at)) }
}

/// A text as a sentence: with a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    let end = if text.ends_with(['.', '!', '?', '…', '。', '！', '？']) || text.is_empty() { "" } else { "." };
    format!("{}{end}", capitalized(text))
}

/// Words that begin a sentence with a capital only because they begin it.
const COMMON_WORDS: [&str; 30] = [
    "the",
    "a",
    "an",
    "all",
    "any",
    "both",
    "it",
    "its",
    "this",
    "that",
    "these",
    "they",
    "we",
    "our",
    "some",
    "many",
    "most",
    "no",
    "none",
    "one",
    "two",
    "customers",
    "users",
    "payments",
    "orders",
    "bookings",
    "money",
    "people",
    "pages",
    "requests",
];

/// The reason of a severity as the end of a sentence: in it if it can be put into the past tense, else as it was given.
pub(super) fn because(reason: &str) -> String {
    let reason = reason.trim().trim_end_matches('.');
    let is_sentence = reason.split_whitespace().count() > 2 && !reason.ends_with('?') && can_be_past(reason);
    if is_sentence {
        let mut letters = reason.chars();
        // A name keeps its capital, so that only what is certainly none loses it.
        let is_word = reason.split_whitespace().next().is_some_and(|w| COMMON_WORDS.contains(&w.to_lowercase().as_str()));
        let small: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
        format!(", because {}", past(if is_word { &small } else { reason }))
    } else {
        format!("; the reason given: {reason}")
    }
}

/// What people wrote as the end of a sentence after a colon, with its full stop.
pub(super) fn past_or_quoted_clause(text: &str) -> String {
    let text = text.trim();
    if can_be_past(text) && !text.ends_with('?') {
        let end = if text.ends_with(['.', '!']) { "" } else { "." };
        format!("{}{end}", past(text))
    } else {
        format!("“{text}”.")
    }
}

/// What people wrote about lost data, as a sentence.
pub(super) fn lost_data(data: &str) -> String {
    let data = data.trim();
    let word = data.trim_end_matches(['.', '?']).to_lowercase();
    if matches!(word.as_str(), "" | "unknown" | "not known" | "unclear" | "not sure" | "tbd" | "unbekannt") {
        return "It was not known whether data was lost or corrupted.".to_owned();
    }
    let is_clause = can_be_past(data) && data.split_whitespace().count() > 2;
    if is_clause { past_or_quoted(data) } else { format!("Lost or corrupted data: {}.", data.trim_end_matches('.')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_to_what_people_say() {
        for (value, unit, text) in [
            (0.0967, "s", "97 ms"),
            (4.618, "s", "4.6 s"),
            (69.57, "%", "70%"),
            (20.0, "", "20"),
            (13.86, "/s", "14 /s"),
            (0.0, "/s", "0 /s"),
            (2.0, "s", "2 s"),
        ] {
            assert_eq!(amount(value, unit), text);
        }
    }

    #[test]
    fn days_are_written_out() {
        let at = Timestamp::from_secs(1_795_253_000);
        assert_eq!(day(at), "21 November 2026");
        assert_eq!(from_to(at, Timestamp::from_secs(1_795_253_015)), "from 09:23:20 to 09:23:35 UTC on 21 November 2026");
        assert_eq!(from_to(at, Timestamp::from_secs(1_795_253_600)), "from 09:23 to 09:33 UTC on 21 November 2026");
    }
}
