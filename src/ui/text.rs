//! Fits text into columns: display width, truncation at grapheme boundaries, padding and wrapping. Also formats times.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::telemetry::Timestamp;

/// A time in UTC without the zone: the time of day (`09:31:07`), with the date if it is not today (`2026-11-20 23:10:00`).
pub(crate) fn moment(now: Timestamp, at: Timestamp) -> String {
    if at.date() == now.date() { at.clock(time::UtcOffset::UTC) } else { at.date_clock() }
}

/// The width of a text in columns.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text in at most `columns`. A longer text is truncated and ends with an ellipsis.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    if text.contains('\n') {
        return fit(&text.replace('\n', " "), columns);
    }
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for g in text.graphemes(true) {
        let w = width(g);
        if used + w + 1 > columns {
            break;
        }
        out.push_str(g);
        used += w;
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The end of a text in at most `columns`. A longer text begins with an ellipsis. Looks at no more of the text than is shown.
pub(crate) fn end_of(text: &str, columns: usize) -> String {
    let (mut start, mut used, mut is_cut) = (text.len(), 0, false);
    for (at, g) in text.grapheme_indices(true).rev() {
        if used + width(g) > columns {
            is_cut = true;
            break;
        }
        (start, used) = (at, used + width(g));
    }
    if !is_cut {
        return text.to_owned();
    }
    // Room for the ellipsis.
    let mut shown = text.get(start..).unwrap_or_default();
    while used + 1 > columns {
        let Some(first) = shown.graphemes(true).next() else { break };
        used -= width(first);
        shown = shown.get(first.len()..).unwrap_or_default();
    }
    if columns == 0 { String::new() } else { format!("…{shown}") }
}

/// The text in exactly `columns`, left-aligned: truncated, or padded with spaces.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let mut out = fit(text, columns);
    let gap = columns.saturating_sub(width(&out));
    out.push_str(&" ".repeat(gap));
    out
}

/// The text in exactly `columns`, right-aligned: truncated, or padded with spaces.
pub(crate) fn align_right(text: &str, columns: usize) -> String {
    let fitted = fit(text, columns);
    format!("{}{fitted}", " ".repeat(columns.saturating_sub(width(&fitted))))
}

/// The text as lines of at most `columns`, broken at spaces if possible. Keeps the indentation of each line. Returns at
/// least one line.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut out = Vec::new();
    for line in text.split('\n') {
        let indent: String = line.chars().take_while(|c| *c == ' ').take(columns / 2).collect();
        let mut current = String::new();
        for word in line.split_inclusive(' ') {
            if width(&current) + width(word.trim_end()) <= columns {
                current.push_str(word);
                continue;
            }
            if !current.trim().is_empty() {
                out.push(current.trim_end().to_owned());
            }
            current.clone_from(&indent);
            for g in word.graphemes(true) {
                if width(&current) + width(g) > columns {
                    if current.trim().is_empty() {
                        // Drop the indentation if it leaves no room for the grapheme.
                        current.clear();
                    } else {
                        out.push(std::mem::replace(&mut current, indent.clone()));
                        if width(&current) + width(g) > columns {
                            current.clear();
                        }
                    }
                }
                current.push_str(g);
            }
        }
        out.push(current.trim_end().to_owned());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_several_lines_fits_on_one() {
        assert_eq!((fit("a\nb", 9), pad("a\nb", 5)), ("a b".to_owned(), "a b  ".to_owned()));
        assert_eq!(width(&fit("first\nsecond", 8)), 8);
    }

    #[test]
    fn the_end_of_a_long_text_is_cheap_and_says_that_it_is_one() {
        assert_eq!((end_of("abc", 3), end_of("abcd", 3), end_of("家族構成", 5)), ("abc".into(), "…cd".into(), "…構成".into()));
        assert_eq!((end_of("abc", 0), end_of("家族", 1), end_of("", 4)), (String::new(), "…".into(), String::new()));
        // With a cost that grew with the square of the text, this would take hours.
        assert_eq!(width(&end_of(&"é".repeat(2_000_000), 80)), 80);
    }

    #[test]
    fn truncates_pads_and_wraps_by_display_width() {
        assert_eq!(fit("家族構成", 5), "家族…");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(align_right("abc", 2), "a…");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
    }

    #[test]
    fn times_that_are_not_today_carry_a_date() {
        let now = Timestamp::from_secs(1_795_253_400);
        assert_eq!(moment(now, now), "09:30:00");
        assert_eq!(moment(now, Timestamp::from_secs(1_795_253_400 - 86_400)), "2026-11-20 09:30:00");
    }

    proptest::proptest! {
        #[test]
        fn wrapping_keeps_every_letter_and_stays_within_the_width(text in "[a-zé家 \n]{0,80}", columns in 2_usize..30) {
            let lines = wrap(&text, columns);
            proptest::prop_assert!(lines.iter().all(|l| width(l) <= columns));
            let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(letters(&lines.join("")), letters(&text));
        }
    }
}
