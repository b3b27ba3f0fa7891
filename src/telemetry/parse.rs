//! Raw log lines to [`LogLine`]: JSON lines, logfmt, access logs, syslog (RFC 3164 and 5424), klog, and plain text that
//! begins with a time. Each line is looked at by itself, so that a stream may mix formats; [`Joiner`] keeps the further
//! lines of a stack trace with the line they belong to.
//!
//! Never fails: a line of no known format is its own message.

mod access;
mod fields;
mod join;
pub mod layout;
pub mod stamp;
mod syslog;

pub use access::answered;
pub use fields::prefixed_json;
pub use join::Joiner;

use super::clean;
use super::log::{Level, LogLine};
use super::series::Labels;
use super::time::Timestamp;

/// What the parser needs to know of the outside to read times without a year or a zone.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// "Now", for dates without a year: the closest past is taken.
    pub now: Timestamp,
    /// The zone of times that name none, in seconds east of UTC.
    pub offset_secs: i32,
    /// Whether a line may begin with a time of day alone, of the day that ends with `now`.
    pub has_times_of_day: bool,
}

impl Context {
    /// Times without a zone are UTC.
    pub fn utc(now: Timestamp) -> Self {
        Self { now, offset_secs: 0, has_times_of_day: false }
    }
}

/// Parses and cleans one raw line.
pub fn line(raw: &str, context: Context) -> LogLine {
    let raw = raw.trim_end_matches(['\n', '\r']);
    // Colours hide the time and the level.
    let plain = if raw.contains('\u{1b}') { std::borrow::Cow::Owned(clean::line(raw)) } else { std::borrow::Cow::Borrowed(raw) };
    let raw = plain.as_ref();
    let trimmed = raw.trim_start_matches('\u{feff}');
    fields::json(trimmed, context)
        .or_else(|| prefixed(trimmed, context))
        .or_else(|| syslog::parse(trimmed, context))
        .or_else(|| access::parse(trimmed, context))
        .or_else(|| fields::logfmt(trimmed, context))
        .or_else(|| headed(trimmed, context))
        .or_else(|| of_day(trimmed, context))
        .or_else(|| compose(trimmed, context))
        .or_else(|| late(trimmed, context))
        .unwrap_or_else(|| LogLine { level: leading_level(trimmed).map(|(l, _)| l), ..LogLine::plain(clean::line(trimmed)) })
}

/// Whether a line looks like logfmt with a message: cheap, for every line of a long log.
pub fn is_logfmt(raw: &str) -> bool {
    let key = raw.bytes().take(32).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@' | b'.')).count();
    key > 0 && raw.as_bytes().get(key) == Some(&b'=') && (raw.contains(" msg=") || raw.contains(" message="))
}

/// A JSON line behind words that somebody else put before it.
fn prefixed(raw: &str, context: Context) -> Option<LogLine> {
    let (inner, service) = prefixed_json(raw)?;
    let line = fields::json(inner, context)?;
    Some(LogLine { service: line.service.clone().or_else(|| service.map(clean::line)), ..line })
}

/// A line that begins with a time: `2026-11-21 09:31:07,123 ERROR [pool-1] c.s.Checkout: message`.
fn headed(raw: &str, context: Context) -> Option<LogLine> {
    if let Some((level, at, rest)) = stamp::klog(raw, context) {
        return Some(LogLine { at: Some(at), level: Some(level), ..LogLine::plain(clean::line(rest)) });
    }
    let (first_level, at, used) = match stamp::leading(raw, context) {
        Some((at, used)) => (None, at, used),
        None => level_then_stamp(raw, context)?,
    };
    behind(raw, first_level, at, used, context)
}

/// A line that begins with a time of day alone, where such are expected: `09:31:07.123 [main] ERROR c.s.Pool - full`.
fn of_day(raw: &str, context: Context) -> Option<LogLine> {
    let (at, used) = stamp::time_of_day(raw, context).filter(|_| context.has_times_of_day)?;
    behind(raw, None, at, used, context)
}

/// What stands behind the time of a line.
fn behind(raw: &str, first_level: Option<Level>, at: Timestamp, used: usize, context: Context) -> Option<LogLine> {
    let mut rest = raw.get(used..)?.trim_start_matches([' ', '\t', ']', ':', ',', '-', '|']);
    // A container runtime's own header (CRI): the stream, whole or partial, then the line itself.
    if let Some(inner) = ["stdout F ", "stderr F ", "stdout P ", "stderr P "].iter().find_map(|h| rest.strip_prefix(h)) {
        let inner = line(inner, context);
        return Some(LogLine { at: inner.at.or(Some(at)), ..inner });
    }
    let mut line = LogLine { at: Some(at), level: first_level, ..LogLine::plain("") };
    // The level is one of the next few words; what stands before it (pid, thread) stays with the fields of the header.
    if line.level.is_some() {
    } else if let Some((level, length)) = dotted_level(rest).or_else(|| leading_level(rest)) {
        line.level = Some(level);
        rest = rest.get(length..)?.trim_start_matches([' ', ']', ':', '|', '-']);
    } else if let Some((level, length)) = level_after_bracketed(rest) {
        line.level = Some(level);
        rest = rest.get(length..)?.trim_start_matches([' ', ']', ':', '|', '-']);
    }
    line.message = clean::line(rest);
    Some(line)
}

/// The service and its own line of a line of docker compose; of any that looks like one.
pub fn composed(raw: &str) -> Option<(&str, &str)> {
    let (name, inner) = raw.split_once(" | ")?;
    let name = name.trim_end();
    let is_name = name.len() <= 80
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    (is_name && inner.split(" | ").take(4).count() <= 3).then_some((name, inner))
}

/// `web-1  | 2026-11-21T09:31:07Z message`, as docker compose writes the logs of several services into one: the service, then
/// its own line.
fn compose(raw: &str, context: Context) -> Option<LogLine> {
    let (name, inner) = composed(raw)?;
    let inner = line(inner, context);
    inner.at?;
    Some(LogLine { service: inner.service.clone().or_else(|| Some(clean::line(name))), ..inner })
}

/// `1:M 21 Nov 2026 09:31:07.123 * Ready`, `I, [2026-11-21T09:31:07.1 #12]  INFO -- : x`: a time behind a few words of a header.
/// What stands before it stays in the message.
fn late(raw: &str, context: Context) -> Option<LogLine> {
    let (at, level, before, from) = layout::late(raw, context)?;
    let ahead = raw.get(..before)?.trim_end_matches(['[', '(', ' ']);
    let rest = raw.get(from..)?;
    let own = leading_level(rest);
    let ahead = if level.is_some() { ahead.split_once(' ').map_or("", |(_, rest)| rest) } else { ahead };
    let rest = own.and_then(|(_, used)| rest.get(used..)).unwrap_or(rest).trim_start_matches([' ', ']', ':', '|', '-']);
    let message = clean::line(format!("{} {rest}", ahead.trim()).trim());
    Some(LogLine { at: Some(at), level: own.map(|(l, _)| l).or(level), ..LogLine::plain(message) })
}

/// `[ERROR] 2026-11-21 09:31:07 message`: the level before the time.
fn level_then_stamp(raw: &str, context: Context) -> Option<(Option<Level>, Timestamp, usize)> {
    let (level, length) = leading_level(raw)?;
    let rest = raw.get(length..)?;
    let gap = rest.len() - rest.trim_start_matches([' ', ':', '|', '-']).len();
    let (at, used) = stamp::leading(rest.get(gap..)?, context)?;
    Some((Some(level), at, length + gap + used))
}

/// `production.ERROR: message`, as PHP's usual logger writes it: the channel, then the level.
fn dotted_level(text: &str) -> Option<(Level, usize)> {
    let (head, _) = text.split_once(": ")?;
    let (channel, word) = head.rsplit_once('.')?;
    let plain = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let level = Level::from_word(word).filter(|_| plain(channel) && word.bytes().all(|b| b.is_ascii_uppercase()))?;
    Some((level, head.len() + 1))
}

/// A level at the very start: `ERROR`, `[error]`, `<warn>`, `level=…` is logfmt's. Returns it and the bytes used.
pub(crate) fn leading_level(text: &str) -> Option<(Level, usize)> {
    let open = text.bytes().take_while(|b| matches!(b, b'[' | b'<' | b'(')).count();
    let word_len = text.get(open..)?.bytes().take_while(u8::is_ascii_alphabetic).count();
    let word = text.get(open..open + word_len)?;
    // A single letter is a level only in brackets or in capitals with a separator; a common word is one only in capitals.
    let shouting = word.bytes().all(|b| b.is_ascii_uppercase());
    if word_len == 0 || (open == 0 && !shouting && !followed_by_colon(text, open + word_len)) || (word_len == 1 && open == 0) {
        return None;
    }
    let level = Level::from_word(word)?;
    let close = text.get(open + word_len..)?.bytes().take_while(|b| matches!(b, b']' | b'>' | b')' | b':')).count();
    Some((level, open + word_len + close))
}

fn followed_by_colon(text: &str, at: usize) -> bool {
    text.as_bytes().get(at) == Some(&b':')
}

/// `[main] ERROR …`, `1234 5678 E tag: …`, `123 INFO …`: a level within the next three words.
fn level_after_bracketed(text: &str) -> Option<(Level, usize)> {
    let mut at = 0;
    for _ in 0..3 {
        let rest = text.get(at..)?;
        let word_len = rest.find(' ')?;
        at += word_len + rest.get(word_len..)?.bytes().take_while(|b| *b == b' ').count();
        let next = text.get(at..)?;
        if let Some((level, length)) = leading_level(next) {
            return Some((level, at + length));
        }
    }
    None
}

/// The service named by structured fields, if any.
fn service_from(fields: &Labels) -> Option<String> {
    ["service", "service.name", "service_name", "app", "application", "component"]
        .iter()
        .find_map(|k| fields.get(*k))
        .filter(|s| !s.is_empty())
        .cloned()
}

#[cfg(test)]
mod tests;
