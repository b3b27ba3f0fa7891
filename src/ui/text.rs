//! Text in columns: one measure of width, cutting on grapheme borders, wrapping.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text in at most `columns`, cut at the end with an ellipsis.
pub fn fit(text: &str, columns: usize) -> String {
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

/// The text in exactly `columns`, cut or padded.
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = fit(text, columns);
    let gap = columns.saturating_sub(width(&out));
    out.push_str(&" ".repeat(gap));
    out
}

/// The text right-aligned in `columns`.
pub fn right(text: &str, columns: usize) -> String {
    let cut = fit(text, columns);
    format!("{}{cut}", " ".repeat(columns.saturating_sub(width(&cut))))
}

/// Lines of at most `columns`, broken at spaces where there are some, else anywhere. Never empty.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
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
            current = indent.clone();
            for g in word.graphemes(true) {
                if width(&current) + width(g) > columns {
                    if current.trim().is_empty() {
                        // The indent alone leaves no room for it.
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
    fn wide_characters_are_cut_on_their_border() {
        assert_eq!(fit("家族構成", 5), "家族…");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(right("abc", 2), "a…");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
    }

    proptest::proptest! {
        #[test]
        fn wrapping_keeps_every_letter_and_the_width(text in "[a-zé家 \n]{0,80}", columns in 2_usize..30) {
            let lines = wrap(&text, columns);
            proptest::prop_assert!(lines.iter().all(|l| width(l) <= columns));
            let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(letters(&lines.join("")), letters(&text));
        }
    }
}
