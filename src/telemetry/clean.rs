//! Cleans text from outside once, where it enters the program.
//!
//! Text from a log, an annotation or a model may contain escape sequences, control bytes, bidirectional overrides and
//! zero-width characters. None of these may control the terminal, hide text or reorder it. Cleaning removes whole escape
//! sequences (not only their first byte) and invisible characters, turns tabs into spaces, keeps line feeds only on request,
//! and replaces the remaining control characters with U+FFFD, so that a reader sees that something was there.

/// The longest text kept from outside, in bytes: 64 KiB, the limit for a log line. A longer text is cut and ends in an
/// ellipsis.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Cleans a text into one line: each line feed becomes a space.
pub fn line(text: &str) -> String {
    clean(text, false, MAX_TEXT_BYTES)
}

/// Cleans a text and keeps its line feeds.
pub fn block(text: &str) -> String {
    clean(text, true, MAX_TEXT_BYTES)
}

/// Cleans a text of any length and keeps its line feeds; the caller limits the length.
pub fn document(text: &str) -> String {
    clean(text, true, usize::MAX)
}

/// Cleans bytes into one line; invalid UTF-8 sequences become U+FFFD.
pub fn line_bytes(bytes: &[u8]) -> String {
    line(&String::from_utf8_lossy(bytes))
}

/// Whether a character is invisible and can reorder or hide text.
fn is_invisible_control(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}'   // zero width, marks
        | '\u{202a}'..='\u{202e}' // embeddings and overrides
        | '\u{2060}'..='\u{206f}' // word joiner, isolates, deprecated formats
        | '\u{feff}' | '\u{061c}' | '\u{180e}' | '\u{00ad}' | '\u{034f}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{2028}' | '\u{2029}'
        | '\u{e0000}'..='\u{e007f}') // tags: invisible copies of ASCII
}

fn clean(text: &str, keep_newlines: bool, max_bytes: usize) -> String {
    // Fast path for printable ASCII: one pass and one copy.
    if text.len() <= max_bytes && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len().min(max_bytes));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if out.len() >= max_bytes {
            out.push('…');
            break;
        }
        match c {
            '\n' if keep_newlines => out.push('\n'),
            '\n' => out.push(' '),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => out.push(' '),
            '\t' => out.push_str("  "),
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            // 8-bit string introducers: DCS, SOS, OSC, PM, APC.
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            c if c.is_control() => out.push('\u{fffd}'),
            // A joiner is kept where it is part of the picture or of the spelling: between two emoji, and between letters of scripts that
            // join (Unicode 23.2).
            '\u{200d}' | '\u{200c}'
                if out.chars().next_back().zip(chars.peek().copied()).is_some_and(|(a, b)| {
                    is_joining(a) && is_joining(b) || c == '\u{200d}' && is_pictograph(a) && is_pictograph(b)
                }) =>
            {
                out.push(c);
            }
            c if is_invisible_control(c) => {}
            c => out.push(c),
        }
    }
    out
}

fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '\u{fe0f}')
}

/// Whether a character belongs to a script that writes joiners: Arabic, Syriac, N'Ko and others, and the scripts of India and its
/// neighbours.
fn is_joining(c: char) -> bool {
    matches!(c, '\u{0620}'..='\u{08ff}' | '\u{0900}'..='\u{0dff}' | '\u{0f00}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}')
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips the rest of an escape sequence, after its ESC.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek().copied() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        Some(c) if ('\u{20}'..='\u{2f}').contains(&c) => {
            while chars.next_if(|c| ('\u{20}'..='\u{2f}').contains(c)).is_some() {}
            chars.next_if(|c| ('\u{30}'..='\u{7e}').contains(c));
        }
        Some(c) if ('\u{30}'..='\u{7e}').contains(&c) => {
            chars.next();
        }
        _ => {}
    }
}

/// Skips the rest of a control sequence, after its CSI: parameters, intermediates and one final byte.
fn skip_csi(chars: &mut Chars<'_>) {
    while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
    chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
}

/// Skips a control string, after its introducer (OSC, DCS, …), up to BEL or ST. If it does not end on this line within 4096
/// characters, only the introducer is dropped, so that the string cannot hide the rest of the text.
fn skip_string(chars: &mut Chars<'_>) {
    let mut ahead = chars.clone();
    let mut length = 0_usize;
    while let Some(c) = ahead.next() {
        length += 1;
        let ends = match c {
            '\u{7}' | '\u{9c}' => true,
            '\u{1b}' if ahead.peek() == Some(&'\\') => {
                ahead.next();
                true
            }
            '\n' => return,
            _ => false,
        };
        if ends {
            *chars = ahead;
            return;
        }
        if length > 4096 {
            return;
        }
    }
}

/// Cuts a text to at most `max_bytes` bytes at a character boundary; a text that was cut ends in an ellipsis.
pub fn truncate(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let mut end = max_bytes.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = text.get(..end).unwrap_or_default().to_owned();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_escape_sequences_and_invisible_characters() {
        for (dirty, clean_text) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\u{1b}]0;evil title\u{7}b", "ab"),
            ("a\u{1b}]52;c;ZXZpbA==\u{1b}\\b", "ab"),
            ("a\u{1b}P1$r\u{1b}\\b", "ab"),
            ("x\u{9b}2Jy", "xy"),
            ("abc\u{202e}gpj.exe", "abcgpj.exe"),
            ("a\u{200b}b\u{e0041}", "ab"),
            ("col1\tcol2", "col1  col2"),
            ("one\ntwo\r\nthree", "one two three"),
            ("bell\u{7}null\u{0}", "bell\u{fffd}null\u{fffd}"),
            ("never ends \u{1b}]0;title", "never ends 0;title"),
            ("家族 👨\u{200d}👩", "家族 👨\u{200d}👩"),
        ] {
            assert_eq!(line(dirty), clean_text, "{dirty:?}");
        }
        assert_eq!(block("one\ntwo"), "one\ntwo");
        assert!(line(&"x".repeat(MAX_TEXT_BYTES * 2)).len() <= MAX_TEXT_BYTES + 3);
    }

    proptest::proptest! {
        #[test]
        fn no_control_characters_remain(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let out = line_bytes(&bytes);
            let has_controls = out.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
            proptest::prop_assert!(!has_controls);
            proptest::prop_assert_eq!(line(&out), out.clone());
        }
    }
}
