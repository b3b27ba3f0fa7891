//! Finds the time of a line, and from it the kind of the line.

use super::super::super::log::Level;
use super::super::super::time::Timestamp;
use super::super::{Context, stamp};
use super::field::{closing, level, spaces, word_end};

/// The number of words at the start of a line that are searched for a time.
const MAX_STAMP_WORDS: usize = 9;

/// Digits and letters by one of them each, other bytes as they are.
#[allow(clippy::indexing_slicing, reason = "a byte is within 256")]
const CLASSES: [u8; 256] = {
    let (mut classes, mut b) = ([0; 256], 0_u8);
    loop {
        classes[b as usize] = match b {
            b'0'..=b'9' => b'0',
            b'a'..=b'z' | b'A'..=b'Z' => b'a',
            other => other,
        };
        if b == u8::MAX {
            break classes;
        }
        b += 1;
    }
};

#[inline]
#[allow(clippy::indexing_slicing, reason = "a byte is within 256")]
fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// The kind of a line, as a hash of the position of the word with the time, the form of the time (each run of digits or
/// letters counts once), and what follows it. Also returns the level that directly follows the time, with its length in
/// bytes.
fn kind_of(word: usize, form: &[u8], rest: Option<&str>) -> (u64, Option<(Level, usize)>) {
    let (mut h, mut last) = (word as u64 + 1, 0_u8);
    for b in form {
        let c = class(*b);
        if c != last || !matches!(c, b'0' | b'a' | b' ') {
            h = h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(c);
        }
        last = c;
    }
    let rest = rest.unwrap_or("");
    let class_after = |at: usize| match rest.as_bytes().get(at + spaces(rest.as_bytes(), at)) {
        Some(b @ (b'[' | b'(' | b'-' | b'|' | b'<' | b'{' | b'"')) => *b,
        Some(b'0'..=b'9') => b'0',
        _ => b'a',
    };
    h = h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(class_after(0));
    // Loggers whose lines begin alike differ after the level.
    let next_level = level(rest);
    if let Some((_, used)) = next_level {
        h = h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(class_after(used)) ^ 0x4C00;
    }
    (h, next_level)
}

/// The time of a line and where it is.
pub(super) struct FoundTime {
    /// The kind of the line (see [`kind_of`]).
    pub(super) kind: u64,
    pub(super) at: Timestamp,
    /// Byte offset where the time begins.
    pub(super) start: usize,
    /// Byte offset of what follows the time.
    pub(super) from: usize,
    /// The level before the time: `<165>`, `E1121`, `INFO  [main]`.
    pub(super) level: Option<Level>,
    /// The level that directly follows the time, and its length in bytes.
    pub(super) next_level: Option<(Level, usize)>,
    /// Whether it is the time of a container runtime, and the line inside has none.
    pub(super) is_wrapped: bool,
    /// Whether the line was inside of that of a container runtime.
    pub(super) has_wrapper: bool,
    /// Whether the time is a number.
    pub(super) is_number: bool,
}

/// The length of `stdout F `.
const CRI_HEADER: usize = 9;

/// Whether the stream and the mark of a container runtime's line are at this place.
fn is_cri(bytes: &[u8], at: usize) -> bool {
    let heads = [&b"stdout F "[..], b"stderr F ", b"stdout P ", b"stderr P "];
    bytes.get(at..).is_some_and(|rest| heads.iter().any(|head| rest.starts_with(head)))
}

/// Finds the time of a line. `None` if none of the first words is one.
pub(super) fn find_stamp(line: &str, context: Context) -> Option<FoundTime> {
    let found = first_stamp(line, context)?;
    // The line inside of that of a container runtime is one of its own kind, if it has a time.
    if !found.is_wrapped {
        return Some(found);
    }
    match line.get(found.from..).and_then(|inner| first_stamp(inner, context)) {
        Some(inner) => Some(FoundTime {
            start: found.from + inner.start,
            from: found.from + inner.from,
            is_wrapped: false,
            has_wrapper: true,
            ..inner
        }),
        None => Some(found),
    }
}

/// The first time of a line.
fn first_stamp(line: &str, context: Context) -> Option<FoundTime> {
    let bytes = line.as_bytes();
    let (priority, start) = priority(bytes).map_or((None, 0), |(level, used)| (Some(level), used));
    let start = start + spaces(bytes, start);
    let end_of_time = |used: usize| {
        let end = used + closing(bytes, used);
        let next = end + spaces(bytes, end);
        // A container runtime (CRI) writes the stream and whether the line is full or partial before each line.
        if is_cri(bytes, next) { next + CRI_HEADER } else { next }
    };
    // A quick check that rules out most lines.
    let may_be_letter = matches!(bytes.get(start..start + 2), Some([b'D' | b'I' | b'W' | b'E' | b'F', b'0'..=b'9']));
    if may_be_letter && let Some((level, at, used)) = stamp::letter_date(line.get(start..)?, context) {
        let from = end_of_time(start + used);
        let (kind, next_level) = kind_of(0, b"a0", line.get(from..));
        return Some(FoundTime {
            kind,
            at,
            start,
            from,
            level: Some(level),
            next_level,
            is_wrapped: false,
            has_wrapper: false,
            is_number: false,
        });
    }
    if bytes.get(start.saturating_sub(2)..start) == Some(b"1 ")
        && let Some((at, used)) = stamp::at_start(line.get(start..)?, context)
    {
        let from = rfc5424_message(bytes, start + used);
        let kind = EXACT;
        return Some(FoundTime {
            kind,
            at,
            start,
            from,
            level: priority,
            next_level: None,
            is_wrapped: false,
            has_wrapper: false,
            is_number: false,
        });
    }
    let found = |word: usize, from: usize, (at, used): (Timestamp, usize)| {
        let next = end_of_time(from + used);
        let form = bytes.get(from..from + used).unwrap_or(&[]);
        let level = priority.or_else(|| (word > 0).then(|| level(line.get(start..)?)).flatten().map(|(l, _)| l));
        let (kind, next_level) = kind_of(word, form, line.get(next..));
        let is_wrapped = is_cri(bytes, next.saturating_sub(CRI_HEADER)) && next >= from + used + CRI_HEADER;
        let is_number = is_number(form);
        FoundTime { kind, at, start: from, from: next, level, next_level, is_wrapped, has_wrapper: false, is_number }
    };
    let mut number = None;
    // A level may be glued to the bracket of the time: `DEBUG[11-21|09:31:07.123]`.
    let letters = bytes.get(start..).map_or(0, |rest| rest.iter().take(8).take_while(|b| b.is_ascii_uppercase()).count());
    let is_glued = letters > 2 && bytes.get(start + letters) == Some(&b'[');
    let mut from = if is_glued { start + letters } else { start };
    for word in usize::from(is_glued)..MAX_STAMP_WORDS {
        let Some(rest) = line.get(from..).filter(|r| !r.is_empty()) else { break };
        if let Some(time) = stamp_at(rest, context) {
            // A bare number within a line may be anything: a clock is searched for first.
            if word == 0 || !is_number(bytes.get(from..from + time.1).unwrap_or(&[])) {
                return Some(found(word, from, time));
            }
            number = number.or(Some((word, from, time)));
        }
        let end = word_end(bytes, from);
        from = end + spaces(bytes, end);
    }
    // A time of day without a date counts only at the start of a line: elsewhere it may well be part of the message.
    let Some((at, used)) = stamp::time_of_day(line.get(start..)?, context) else {
        let (word, from, time) = number.or_else(|| Some((0, start, stamp::date_alone(line.get(start..)?, context)?)))?;
        return Some(found(word, from, time));
    };
    let from = end_of_time(start + used);
    let (kind, next_level) = kind_of(0, b"00:00:00", line.get(from..));
    let is_wrapped = false;
    Some(FoundTime { kind, at, start, from, level: priority, next_level, is_wrapped, has_wrapper: false, is_number: false })
}

/// Whether a time is written as a number: `1795253467`, `1795253467.123`.
fn is_number(form: &[u8]) -> bool {
    form.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'[' | b'(' | b'"' | b'<'))
}

/// The bytes at the start of a line that are searched for a time in the middle of it.
const MAX_INSIDE: usize = 400;

/// A time anywhere in the first bytes of a line, behind a bracket, a quote, a colon or the like: `pool::INFO::2026-11-21 09:31:07,1::`,
/// `msg=audit(1795253467.579:2995):`, `{38 vars} [Sat Nov 21 09:31:07 2026] POST /x`. Returns the time, where it begins and where it ends.
pub(super) fn stamp_inside(line: &str, context: Context) -> Option<(Timestamp, usize, usize)> {
    let bytes = line.as_bytes();
    let pairs = bytes.iter().zip(bytes.iter().skip(1)).take(MAX_INSIDE).enumerate();
    pairs
        .filter(|(_, (before, first))| {
            matches!(before, b'[' | b'(' | b'"' | b'=' | b':' | b',' | b';' | b'|' | b'<' | b'>' | b'\'' | b' ' | b'\t')
                && (first.is_ascii_digit() || first.is_ascii_uppercase())
        })
        .find_map(|(n, (before, _))| {
            let (at, used) = stamp::at_start(line.get(n + 1..)?, context)?;
            let is_column = *before == b'|' && bytes.get(n + 1 + used) == Some(&b'|');
            let is_certain = !is_number(bytes.get(n + 1..n + 1 + used)?) || matches!(before, b'(' | b'=' | b'"') || is_column;
            is_certain.then_some((at, n + 1, n + 1 + used))
        })
}

/// The level of an RFC 5424 line without a time (`<165>1 - host …`), and where its message begins.
pub(super) fn rfc5424_without_time(line: &str) -> Option<(Level, usize)> {
    let bytes = line.as_bytes();
    let (level, start) = priority(bytes)?;
    let has_no_time = bytes.get(start.saturating_sub(2)..start + 2) == Some(b"1 - ");
    has_no_time.then(|| (level, rfc5424_message(bytes, start + 1)))
}

/// The level from syslog's `<PRI>` (facility times eight plus severity), and the bytes used, with the `1 ` of RFC 5424
/// after it.
fn priority(bytes: &[u8]) -> Option<(Level, usize)> {
    let digits = bytes.strip_prefix(b"<")?.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    let number: i64 = std::str::from_utf8(bytes.get(1..=digits)?).ok()?.parse().ok().filter(|n| *n < 192)?;
    let end = digits + 2;
    if bytes.get(digits + 1) != Some(&b'>') {
        return None;
    }
    let version = if bytes.get(end..end + 2) == Some(b"1 ") { 2 } else { 0 };
    Some((Level::from_number(number % 8)?, end + version))
}

/// Where the message of an RFC 5424 line begins: after the host, the program, its process, the message ID, and the
/// structured data (`-`, or one bracket after another).
fn rfc5424_message(bytes: &[u8], from: usize) -> usize {
    let mut at = from + spaces(bytes, from);
    for _ in 0..4 {
        at = word_end(bytes, at);
        at += spaces(bytes, at);
    }
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    while let Some(used) = bytes.get(at..).and_then(element) {
        at += used;
        // A bracket after a space belongs to the message.
        if bytes.get(at) != Some(&b'[') {
            break;
        }
    }
    at + spaces(bytes, at)
}

/// The length of an element of structured data, `[id key="value"]`. A bracket inside quotes does not end it.
fn element(bytes: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, b) in bytes.iter().enumerate() {
        match b {
            b'[' if at == 0 => {}
            _ if at == 0 => return None,
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The kind of lines without a time, in a stream where hardly any line has one.
pub(super) const UNTIMED: u64 = 0;
/// The kind of lines whose format defines where the message begins; nothing is learned from them.
pub(super) const EXACT: u64 = 1;

/// Where the header fields of a line without a time begin, if it looks like it has a header: `INFO:root:`, `[ERROR] x`, or
/// after the kernel's seconds since boot, `[12345.678901] `. `None` for any other line.
pub(super) fn untimed(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    if level(line).is_some() {
        return Some(0);
    }
    let inside = bytes.strip_prefix(b"[")?.iter().take(24).position(|b| *b == b']')?;
    let seconds = bytes.get(1..=inside)?.trim_ascii_start();
    let is_seconds = seconds.contains(&b'.') && seconds.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    is_seconds.then(|| inside + 2 + spaces(bytes, inside + 2))
}

/// The time of a single line, with nothing learned, after at most [`MAX_WORDS_BEFORE_TIME`] words that look like a header
/// (a level, an ID, a bracket) and not like a sentence. Returns the time, the level before it, where it begins, and where
/// the text after it begins. `None` if the line begins with the time.
pub(in crate::telemetry::parse) fn time_after_words(
    line: &str,
    context: Context,
) -> Option<(Timestamp, Option<Level>, usize, usize)> {
    let found = find_stamp(line, context)?;
    let ahead = line.get(..found.start)?;
    let is_header_word =
        |word: &str| word.bytes().any(|b| !b.is_ascii_alphabetic()) || word.bytes().all(|b| b.is_ascii_uppercase());
    let fits = found.start > 0
        && ahead.split_ascii_whitespace().count() <= MAX_WORDS_BEFORE_TIME
        && ahead.split_ascii_whitespace().all(is_header_word);
    fits.then_some((found.at, found.level, found.start, found.from))
}

/// The maximum number of words before the time of a line of unknown format.
const MAX_WORDS_BEFORE_TIME: usize = 3;

/// The time at the start of a text.
fn stamp_at(rest: &str, context: Context) -> Option<(Timestamp, usize)> {
    let first = *rest.as_bytes().first()?;
    // A quick check that rules out most words.
    if !first.is_ascii_digit() && !matches!(first, b'[' | b'(' | b'"' | b'<' | b'@' | b'*' | b'.') && !first.is_ascii_uppercase()
    {
        return None;
    }
    stamp::leading(rest, context)
}
