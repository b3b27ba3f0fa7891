//! The fields of a header, each recognised by its shape.

use super::super::super::log::Level;
use super::super::{Context, stamp};

/// A field of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Another time.
    Stamp,
    Level,
    /// A single letter, of which some are levels.
    Letter,
    /// A process or thread number.
    Number,
    /// `[main]`, `(kernel)`.
    Bracket,
    /// `-`, `|`, `:` or `---`, standing alone.
    Separator,
    /// Anything up to and including a `|`.
    Piped,
    /// `sshd[214]:`, `c.s.Pool:`.
    Tag,
    /// One to three words before ` - `.
    Dashed,
    /// The rest of a bracket that was opened before the time: `app::pool]`, `server.go:88]`.
    Closing,
    /// `root:` directly before the message, with no space after it; only after a level written the same way (`INFO:root:`).
    ColonName,
    /// A dotted logger name without a mark after it: `o.a.catalina.StandardEngine`.
    Logger,
    /// A word followed by at least two spaces or by a tab.
    Column,
    /// The given number of words without a distinctive shape: a host, a logger.
    Words(usize),
}

impl Field {
    /// What it is called where people see it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stamp => "time",
            Self::Level => "level",
            Self::Letter => "letter",
            Self::Number => "number",
            Self::Bracket => "bracket",
            Self::Separator => "separator",
            Self::Piped => "part before a bar",
            Self::Tag => "name with a colon",
            Self::Dashed => "name before a dash",
            Self::Closing => "rest of a bracket",
            Self::ColonName => "name before a colon",
            Self::Logger => "logger",
            Self::Column => "column",
            Self::Words(1) => "word",
            Self::Words(_) => "words",
        }
    }

    /// The number of bytes that the field takes at the start of a text, with the space after it. `None` if the text does not
    /// start with the field.
    pub(super) fn eat(self, text: &str, context: Context) -> Option<usize> {
        let bytes = text.as_bytes();
        // A closure, because not every field needs it.
        let word = || word_end(bytes, 0);
        let used = match self {
            Self::Stamp => stamp::leading(text, context).map(|(_, used)| used + closing(bytes, used))?,
            Self::Level => level(text)?.1,
            Self::Letter => {
                let is_letter = |b: u8| b.is_ascii_uppercase() || matches!(b, b'e' | b'w' | b'i' | b'd' | b'f');
                (is_letter(*bytes.first()?) && bytes.get(1) == Some(&b' ')).then_some(1)?
            }
            Self::Number => {
                // Also `-1`, `*77` and nginx's `12#34:`.
                let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'*' | b'#')));
                let count = |from: usize, is: fn(&u8) -> bool| {
                    bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| is(b)).count())
                };
                let digits = count(sign, |b| b.is_ascii_digit() || *b == b'#');
                let end = sign + digits + count(sign + digits, |b| matches!(b, b',' | b':'));
                (bytes.get(sign).is_some_and(u8::is_ascii_digit) && end == word()).then_some(end)?
            }
            Self::Bracket => bracket(bytes)?,
            Self::Separator => {
                let mark = bytes.get(..word())?;
                let is_mark = matches!(mark, b"--" | b"---") || matches!(mark, [byte] if byte.is_ascii_punctuation());
                is_mark.then_some(mark.len())?
            }
            Self::Piped => bytes.iter().take(80).position(|b| *b == b'|')? + 1,
            Self::Tag => tag(bytes)?,
            Self::Closing => {
                let end = bytes.iter().take(80).position(|b| matches!(b, b']' | b'[' | b'(' | b'"'))?;
                (end > 0 && bytes.get(end) == Some(&b']')).then_some(end + 1)?
            }
            Self::ColonName => {
                let name =
                    bytes.iter().take(60).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')).count();
                (name > 0 && bytes.get(name) == Some(&b':') && name + 1 < word() && bytes.get(name + 1) != Some(&b':'))
                    .then_some(name + 1)?
            }
            Self::Logger => {
                let name = text.get(..word())?;
                let part = |p: &str| {
                    p.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                        && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-'))
                };
                (name.split('.').count() > 2 && name.split('.').all(part)).then_some(name.len())?
            }
            Self::Column => {
                let word = word();
                let gap = spaces(bytes, word);
                let is_wide = gap > 1 || bytes.get(word) == Some(&b'\t');
                (word > 0 && is_wide && word + gap < bytes.len()).then_some(word)?
            }
            Self::Dashed => {
                let mut end = 0;
                let mut found = None;
                for _ in 0..3 {
                    end = word_end(bytes, end);
                    if bytes.get(end..end + 3) == Some(b" - ") {
                        found = Some(end + 2);
                        break;
                    }
                    end += spaces(bytes, end);
                }
                found?
            }
            Self::Words(count) => {
                let mut end = 0;
                for n in 0..count {
                    if n > 0 {
                        end += spaces(bytes, end);
                    }
                    let next = word_end(bytes, end);
                    if next == end {
                        return None;
                    }
                    end = next;
                }
                end
            }
        };
        Some(used + spaces(bytes, used))
    }
}

/// The end of the word that starts at `from`.
pub(super) fn word_end(bytes: &[u8], from: usize) -> usize {
    from + bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| **b > b' ').count())
}

/// The number of spaces and control characters at `from`.
pub(super) fn spaces(bytes: &[u8], from: usize) -> usize {
    bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| **b <= b' ').count())
}

/// The number of bytes that close a time: brackets, commas, colons and the like directly after it.
pub(super) fn closing(bytes: &[u8], from: usize) -> usize {
    bytes
        .get(from..)
        .map_or(0, |rest| rest.iter().take_while(|b| matches!(b, b']' | b')' | b'>' | b',' | b':' | b'"' | b'|' | b';')).count())
}

/// The length of a balanced bracket at the start, of at most 200 bytes, with the colons after it.
fn bracket(bytes: &[u8]) -> Option<usize> {
    let (open, close) = match bytes.first()? {
        b'[' => (b'[', b']'),
        b'(' => (b'(', b')'),
        b'<' => (b'<', b'>'),
        _ => return None,
    };
    let mut depth = 0_usize;
    for (at, b) in bytes.iter().enumerate().take(200) {
        if *b == open {
            depth += 1;
        } else if *b == close {
            depth -= 1;
            if depth == 0 {
                let end = at + 1;
                return Some(end + bytes.get(end..).map_or(0, |rest| rest.iter().take_while(|b| **b == b':').count()));
            }
        }
    }
    None
}

/// The length of a tag, with its colon: `sshd[214]:`, `c.s.Pool:`, `app::pool:`, `launchd[1] (com.apple.x):`,
/// `ActivityManager(  585):`, also after a tracing span, as in `request{path="/a b"}: app:`.
fn tag(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut is_named) = (0, false);
    loop {
        let byte = *bytes.get(at).filter(|_| at < 300)?;
        if byte.is_ascii_alphanumeric() {
            is_named |= byte.is_ascii_alphabetic();
            at += 1;
            continue;
        }
        match byte {
            b':' if bytes.get(at + 1) == Some(&b':') => at += 2,
            b':' => {
                let end = at + 1;
                let is_tag = is_named && bytes.get(end).is_none_or(|b| *b <= b' ');
                return (is_tag && !is_error(bytes.get(..at)?)).then_some(end);
            }
            b'{' if is_named => {
                at += bytes.get(at..)?.iter().take(300).position(|b| *b == b'}')? + 1;
                // Inner spans may follow, and then the tag itself, which has no fields.
                if bytes.get(at) == Some(&b':') {
                    let next = at + 1 + spaces(bytes, at + 1);
                    return Some(next + tag(bytes.get(next..)?)?);
                }
            }
            // Android pads the process number inside the parentheses.
            b'(' if is_named && bytes.get(at + 1) == Some(&b' ') => {
                let inside = bytes.get(at + 1..)?.iter().take(12).position(|b| *b == b')')?;
                let is_number = bytes.get(at + 1..at + 1 + inside)?.iter().all(|b| *b == b' ' || b.is_ascii_digit());
                at += is_number.then_some(inside + 2)?;
            }
            // launchd adds the name of the service in parentheses.
            b' ' if at > 0 && bytes.get(at - 1) == Some(&b']') && bytes.get(at + 1) == Some(&b'(') => {
                at += 2 + bytes.get(at + 1..)?.iter().take(120).take_while(|b| !matches!(b, b' ')).position(|b| *b == b')')?;
                if bytes.get(at) != Some(&b':') {
                    return None;
                }
            }
            b'_' | b'.' | b'$' | b'/' | b'@' | b'(' | b')' | b'[' | b']' | b'#' | b'*' | b'-' | b'<' | b'>' => at += 1,
            _ => return None,
        }
    }
}

/// Whether a name is that of an error and not of a logger: `TimeoutException`, `java.lang.OutOfMemoryError`, `ORA-00600`.
fn is_error(name: &[u8]) -> bool {
    let letters = name.iter().take_while(|b| b.is_ascii_uppercase()).count();
    let is_code = letters > 1
        && name.get(letters) == Some(&b'-')
        && name.len() > letters + 3
        && name.iter().skip(letters + 1).all(u8::is_ascii_digit);
    is_code || [&b"Exception"[..], b"Error"].iter().any(|end| name.len() > end.len() && name.ends_with(end))
}

/// A level word at the start of a text, also in brackets (`[INFO ]`) or before a colon, bar or slash (`INFO/Worker`,
/// `INFO:root:`), and the bytes used. Accepts only those single letters that loggers write alone.
pub(super) fn level(text: &str) -> Option<(Level, usize)> {
    let bytes = text.as_bytes();
    let count = |from: usize, set: &[u8]| bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| set.contains(b)).count());
    let open = count(0, b"[<(*|");
    let letters = bytes.get(open..)?.iter().take(12).take_while(|b| b.is_ascii_alphabetic()).count();
    if letters > 11 {
        return None;
    }
    let core = text.get(open..open + letters).filter(|core| !core.is_empty())?;
    let mut end = open + letters;
    let padding = if open > 0 { count(end, b" ") } else { 0 };
    let closers = count(end + padding, b"])>:|,*!");
    if closers > 0 {
        end += padding + closers;
    }
    let is_glued = bytes.get(end).is_some_and(|b| *b > b' ');
    if is_glued && bytes.get(end) == Some(&b'/') {
        end += 1;
    } else if is_glued && !matches!(bytes.get(end - 1), Some(b':' | b']' | b'|')) {
        return None;
    }
    let is_alone = !is_glued || bytes.get(end - 1) == Some(&b'/');
    if core.len() == 1 && !(is_alone && matches!(core, "D" | "V" | "I" | "W" | "E" | "F" | "T")) {
        return None;
    }
    let level = match core {
        // Words that are more likely part of a sentence than a level.
        "v" | "d" | "t" | "i" | "e" | "w" | "f" | "log" | "note" | "alert" | "config" | "failure" => return None,
        "fail" | "success" if open == 0 && bytes.get(end - 1) != Some(&b':') => return None,
        "FAILURE" => Level::Error,
        "SEVERE" => Level::Error,
        _ => Level::from_word(core)?,
    };
    Some((level, end))
}

/// The level that a field consists of or ends with: `LOG:`, `production.ERROR:`, `[core:error]`.
pub(super) fn level_in_field(field: &str) -> Option<Level> {
    let bytes = field.as_bytes();
    let is_end = |b: &u8| matches!(b, b':' | b'|' | b']' | b')' | b' ');
    let end = bytes.len() - bytes.iter().rev().take_while(|b| is_end(b)).count();
    let letters = bytes.get(..end)?.iter().rev().take(12).take_while(|b| b.is_ascii_alphabetic()).count();
    let word = field.get(end - letters..end).filter(|w| w.len() > 2)?;
    let before = (end - letters).checked_sub(1).and_then(|at| bytes.get(at));
    // `[core:error]`, `krb5kdc[812](Error):`, `4242: 4242 E/AndroidRuntime ]`.
    let is_bracket = bytes.first() == Some(&b'[') && before == Some(&b':') || before == Some(&b'(') && field.contains("):");
    let is_separate = before.is_none_or(|b| matches!(b, b'.' | b':' | b'[' | b' ' | b'/'));
    let is_level = is_bracket || is_separate && word.bytes().all(|b| b.is_ascii_uppercase());
    if is_level { Level::from_word(word) } else { None }
}

/// The level at the very start of a text.
pub(super) fn leading_level(text: &str) -> Option<Level> {
    super::super::leading_level(text).map(|(level, _)| level)
}
