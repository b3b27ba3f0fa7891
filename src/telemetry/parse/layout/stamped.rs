//! Where a line tells its time, and what kind of line it is by that.

use super::super::super::log::Level;
use super::super::super::time::Timestamp;
use super::super::{Context, stamp};
use super::field::{closing, level, spaces, word_end};

/// Words among which a time is looked for.
const STAMP_WORDS: usize = 9;

/// What kind of line it is, as a number: the word at which the time stands, the time's form (runs of digits and of letters are
/// one each), and what stands behind it.
fn kind_of(word: usize, form: &[u8], rest: Option<&str>) -> (u64, Option<(Level, usize)>) {
    let class = |b: u8| match b {
        b'0'..=b'9' => b'0',
        b'a'..=b'z' | b'A'..=b'Z' => b'a',
        b' ' => b' ',
        other => other,
    };
    let (mut h, mut last) = (word as u64 + 1, 0_u8);
    for b in form {
        let c = class(*b);
        if c != last || !matches!(c, b'0' | b'a' | b' ') {
            h = h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(c);
        }
        last = c;
    }
    let rest = rest.unwrap_or("");
    let behind = |at: usize| match rest.as_bytes().get(at + spaces(rest.as_bytes(), at)) {
        Some(b @ (b'[' | b'(' | b'-' | b'|' | b'<' | b'{' | b'"')) => *b,
        Some(b'0'..=b'9') => b'0',
        _ => b'a',
    };
    h = h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(behind(0));
    // Loggers that begin alike differ behind the level.
    let leads = level(rest);
    if let Some((_, used)) = leads {
        h = h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(behind(used)) ^ 0x4C00;
    }
    (h, leads)
}

/// The time of a line.
pub(super) struct Found {
    /// What kind of line it is.
    pub(super) kind: u64,
    pub(super) at: Timestamp,
    /// Where the time begins, and what follows it.
    pub(super) start: usize,
    pub(super) from: usize,
    /// The level before the time: `<165>`, `E1121`, `INFO  [main]`.
    pub(super) level: Option<Level>,
    /// The level that what follows begins with, and its bytes.
    pub(super) leads: Option<(Level, usize)>,
}

pub(super) fn find_stamp(line: &str, context: Context) -> Option<Found> {
    let bytes = line.as_bytes();
    let (priority, start) = priority(bytes).map_or((None, 0), |(level, used)| (Some(level), used));
    let start = start + spaces(bytes, start);
    let behind = |used: usize| {
        let end = used + closing(bytes, used);
        let next = end + spaces(bytes, end);
        // What a container's runtime (CRI) writes before each line: the stream, and whether the line is whole.
        let cri = [&b"stdout F "[..], b"stderr F ", b"stdout P ", b"stderr P "];
        let is_cri = bytes.get(next..).is_some_and(|rest| cri.iter().any(|head| rest.starts_with(head)));
        if is_cri { next + 9 } else { next }
    };
    // Most lines are not worth the look.
    let may_be_letter = matches!(bytes.get(start..start + 2), Some([b'D' | b'I' | b'W' | b'E' | b'F', b'0'..=b'9']));
    if may_be_letter && let Some((level, at, used)) = stamp::letter_date(line.get(start..)?, context) {
        let from = behind(start + used);
        let (kind, leads) = kind_of(0, b"a0", line.get(from..));
        return Some(Found { kind, at, start, from, level: Some(level), leads });
    }
    if bytes.get(start.saturating_sub(2)..start) == Some(b"1 ")
        && let Some((at, used)) = stamp::at_start(line.get(start..)?, context)
    {
        let from = rfc5424(bytes, start + used);
        return Some(Found { kind: EXACT, at, start, from, level: priority, leads: None });
    }
    let mut from = start;
    for word in 0..STAMP_WORDS {
        let Some(rest) = line.get(from..).filter(|r| !r.is_empty()) else { break };
        if let Some((at, used)) = stamp_at(rest, context) {
            let next = behind(from + used);
            let form = bytes.get(from..from + used).unwrap_or(&[]);
            let level = priority.or_else(|| (word > 0).then(|| level(line.get(start..)?)).flatten().map(|(l, _)| l));
            let (kind, leads) = kind_of(word, form, line.get(next..));
            return Some(Found { kind, at, start: from, from: next, level, leads });
        }
        let end = word_end(bytes, from);
        from = end + spaces(bytes, end);
    }
    // A time of day without a date, only where a line begins: elsewhere it is as likely what the line is about.
    let (at, used) = stamp::time_of_day(line.get(start..)?, context)?;
    let from = behind(start + used);
    let (kind, leads) = kind_of(0, b"00:00:00", line.get(from..));
    Some(Found { kind, at, start, from, level: priority, leads })
}

/// Where the message of an RFC 5424 line begins that tells no time (`<165>1 - host …`), and its level.
pub(super) fn timeless(line: &str) -> Option<(Level, usize)> {
    let bytes = line.as_bytes();
    let (level, start) = priority(bytes)?;
    let is_so = bytes.get(start.saturating_sub(2)..start + 2) == Some(b"1 - ");
    is_so.then(|| (level, rfc5424(bytes, start + 1)))
}

/// Syslog's `<PRI>`, and the `1 ` of RFC 5424 behind it: the level and the bytes used. Facility times eight plus severity.
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

/// Where the message of an RFC 5424 line begins: behind the host, the program, its process, the message's kind, and the
/// structured data (`-` or brackets side by side).
fn rfc5424(bytes: &[u8], from: usize) -> usize {
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
        // The message may begin with a bracket of its own.
        if bytes.get(at) != Some(&b'[') {
            break;
        }
    }
    at + spaces(bytes, at)
}

/// The length of an element of structured data, `[id key="value"]`: a bracket within quotes ends nothing.
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

/// The kind of lines without a time, in a stream where hardly any has one.
pub(super) const UNTIMED: u64 = 0;
/// The kind of lines whose format says itself where the message begins: nothing is learned of them.
pub(super) const EXACT: u64 = 1;

/// Where the header of a line without a time begins that may have one: `INFO:root:`, `[ERROR] x`, or the kernel's seconds since
/// it started, `[12345.678901] `. `None` where nothing says so.
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

/// The time of a line by itself, with nothing learned: behind at most [`AHEAD`] words that look like a header's (a level, an id, a
/// bracket), not like a sentence's. Returns the time, the level before it, the bytes before it and where what follows it begins.
pub fn late(line: &str, context: Context) -> Option<(Timestamp, Option<Level>, usize, usize)> {
    let found = find_stamp(line, context)?;
    let ahead = line.get(..found.start)?;
    let is_of_header =
        |word: &str| word.bytes().any(|b| !b.is_ascii_alphabetic()) || word.bytes().all(|b| b.is_ascii_uppercase());
    let fits =
        found.start > 0 && ahead.split_ascii_whitespace().count() <= AHEAD && ahead.split_ascii_whitespace().all(is_of_header);
    fits.then_some((found.at, found.level, found.start, found.from))
}

/// Words before a time in a line of which nothing is known.
const AHEAD: usize = 3;

fn stamp_at(rest: &str, context: Context) -> Option<(Timestamp, usize)> {
    let first = *rest.as_bytes().first()?;
    // Most words are not worth the look.
    if !first.is_ascii_digit() && !matches!(first, b'[' | b'(' | b'"' | b'<') && !first.is_ascii_uppercase() {
        return None;
    }
    stamp::leading(rest, context)
}
