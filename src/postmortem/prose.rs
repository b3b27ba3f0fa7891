//! Words of a post-mortem: times and amounts as people say them, and texts of the incident in the past tense.

use crate::telemetry::Timestamp;
use crate::telemetry::series::human_value;

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

/// `16:45:36`, in UTC.
pub(super) fn second(at: Timestamp) -> String {
    at.clock(time::UtcOffset::UTC)
}

/// `from 16:45 to 16:51 UTC on 29 November 2026`, or with both days.
pub(super) fn from_to(from: Timestamp, to: Timestamp) -> String {
    if from.date() == to.date() {
        format!("from {} to {} UTC on {}", minute(from), minute(to), day(from))
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

/// Words that state the present, and the same in the past. Only words that are hardly anything else than a verb, so that no noun changes.
const PAST: [(&str, &str); 36] = [
    ("is", "was"),
    ("are", "were"),
    ("isn't", "wasn't"),
    ("aren't", "weren't"),
    ("has", "had"),
    ("have", "had"),
    ("does", "did"),
    ("do", "did"),
    ("doesn't", "didn't"),
    ("don't", "didn't"),
    ("cannot", "could not"),
    ("can't", "couldn't"),
    ("can", "could"),
    ("fails", "failed"),
    ("fail", "failed"),
    ("begins", "began"),
    ("takes", "took"),
    ("take", "took"),
    ("gets", "got"),
    ("get", "got"),
    ("sees", "saw"),
    ("see", "saw"),
    ("goes", "went"),
    ("go", "went"),
    ("exceeds", "exceeded"),
    ("exceed", "exceeded"),
    ("becomes", "became"),
    ("become", "became"),
    ("rises", "rose"),
    ("loses", "lost"),
    ("lose", "lost"),
    ("receives", "received"),
    ("receive", "received"),
    ("returns", "returned"),
    ("answers", "answered"),
    ("will", "would"),
];

/// A text about the present in the past tense. Quoted text and code stay as they are.
pub(super) fn past(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut word = String::new();
    let mut quoted: Option<char> = None;
    let flush = |word: &mut String, out: &mut String, is_quoted: bool, before: &mut String| {
        let lower = word.to_lowercase();
        // After these, a verb stays as it is: "could not see", "to go".
        let is_bare =
            matches!(before.as_str(), "to" | "not" | "could" | "would" | "can" | "cannot" | "will" | "did" | "may" | "might");
        let found = PAST.iter().find(|(now, _)| *now == lower).filter(|_| !is_quoted && !is_bare);
        match found {
            Some((_, past)) if word.chars().next().is_some_and(char::is_uppercase) => out.push_str(&capitalized(past)),
            Some((_, past)) => out.push_str(past),
            None => out.push_str(word),
        }
        if !word.is_empty() {
            *before = lower;
        }
        word.clear();
    };
    let mut before = String::new();
    for c in text.chars() {
        let is_apostrophe = c == '\'' && !word.is_empty();
        // Names such as `db_is` or `is-up` are not words.
        if c.is_alphanumeric() || is_apostrophe || matches!(c, '_' | '-' | '.' | '/' | ':') && !word.is_empty() {
            word.push(c);
            continue;
        }
        let punctuation = word.trim_end_matches(['.', ':', '-', '/', '_', '\'']).len();
        let tail = word.split_off(punctuation);
        flush(&mut word, &mut out, quoted.is_some(), &mut before);
        out.push_str(&tail);
        match (quoted, c) {
            (None, '`' | '"' | '\u{201c}') => quoted = Some(if c == '\u{201c}' { '\u{201d}' } else { c }),
            (Some(end), c) if c == end => quoted = None,
            _ => {}
        }
        out.push(c);
    }
    let punctuation = word.trim_end_matches(['.', ':', '-', '/', '_', '\'']).len();
    let tail = word.split_off(punctuation);
    flush(&mut word, &mut out, quoted.is_some(), &mut before);
    out.push_str(&tail);
    out
}

/// A text with its first letter in upper case.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// A text as a sentence: with a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    let end = if text.ends_with(['.', '!', '?', '…']) || text.is_empty() { "" } else { "." };
    format!("{}{end}", capitalized(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_about_the_present_are_put_into_the_past() {
        for (now, then) in [
            ("17% of payments fail", "17% of payments failed"),
            ("gateway is failing 70% of its requests", "gateway was failing 70% of its requests"),
            ("Customers cannot log in; pages take 5 s.", "Customers could not log in; pages took 5 s."),
            ("nobody could see it or go on", "nobody could see it or went on"),
            ("the log says \"pool is full\" and `up is 0`", "the log says \"pool is full\" and `up is 0`"),
            ("db_is_up and is-up stay", "db_is_up and is-up stay"),
            ("It isn't known. Is it?", "It wasn't known. Was it?"),
        ] {
            assert_eq!(past(now), then);
        }
    }

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
        assert_eq!(from_to(at, Timestamp::from_secs(1_795_253_600)), "from 09:23 to 09:33 UTC on 21 November 2026");
    }
}
