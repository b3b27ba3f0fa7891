//! Parses raw log lines into [`LogLine`]s: JSON lines, logfmt, access logs, syslog (RFC 3164 and 5424), klog, and plain
//! text that begins with a time. [`Record`] is one line or record by itself, so a stream may mix formats; [`Sequence`] says which records
//! belong to the event before; [`Joiner`] makes whole events.
//!
//! Parsing never fails: a line of unknown format becomes a message as a whole.

mod access;
pub mod assemble;
mod columns;
mod fields;
pub mod format;
mod join;
pub mod layout;
pub mod record;
mod roles;
mod sequence;
pub mod stamp;
mod syslog;
mod time_format;
mod xml;

pub use columns::Columns;
pub use fields::prefixed_json;
pub use format::{Format, Formats};
pub use join::Joiner;
pub use record::Record;
pub use roles::Scale;
pub use sequence::{Place, Sequence};
pub use stamp::DateOrder;
pub use time_format::TimeFormat;

use super::clean;
use super::log::{Level, LogLine};
use super::series::Labels;
use super::time::Timestamp;
use layout::Layout;

/// The context for reading times without a date, a year or a zone.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The current time, for dates without a year: the most recent match is taken.
    pub now: Timestamp,
    /// The zone of times without one, in seconds east of UTC.
    pub offset_secs: i32,
    /// Whether a line may begin with a time of day and no date; the most recent such moment is then taken.
    pub has_times_of_day: bool,
    /// How the numbers of a level key are meant.
    pub scale: Scale,
    /// Whether the day or the month comes first in dates such as `03/04/2026`.
    pub order: DateOrder,
}

impl Context {
    /// A context in which times without a zone are UTC and every time has a date.
    pub fn utc(now: Timestamp) -> Self {
        Self { now, offset_secs: 0, has_times_of_day: false, scale: Scale::Usual, order: DateOrder::Unknown }
    }
}

/// Parses and cleans one raw line.
pub fn line(raw: &str, context: Context) -> LogLine {
    let raw = raw.trim_end_matches(['\n', '\r']);
    // Colour codes would hide the time and the level.
    let plain = if raw.contains('\u{1b}') { std::borrow::Cow::Owned(clean::line(raw)) } else { std::borrow::Cow::Borrowed(raw) };
    let raw = plain.as_ref();
    let trimmed = raw.trim_start_matches('\u{feff}');
    fields::json(trimmed, context)
        .or_else(|| json_after_prefix(trimmed, context))
        .or_else(|| syslog::parse(trimmed, context))
        .or_else(|| access::parse(trimmed, context))
        .or_else(|| fields::logfmt(trimmed, context))
        .or_else(|| text_after_time(trimmed, context))
        .or_else(|| text_after_time_of_day(trimmed, context))
        .or_else(|| docker_compose(trimmed, context))
        .or_else(|| text_around_time(trimmed, context))
        .or_else(|| text_after_date(trimmed, context))
        .unwrap_or_else(|| LogLine { level: leading_level(trimmed).map(|(l, _)| l), ..LogLine::plain(clean::line(trimmed)) })
}

/// Parses and cleans one raw line of a stream whose header formats are known: what every line has before its message, such as a thread
/// or a logger, is not part of the message, and a time is found where the stream has it.
pub fn line_of(raw: &str, layout: &Layout, context: Context) -> LogLine {
    let raw = raw.trim_end_matches(['\n', '\r']);
    Record::read(raw, layout, context).into_line(raw, layout, context)
}

/// Whether a line looks like logfmt with a message. Cheap enough for every line of a long log.
pub fn is_logfmt(raw: &str) -> bool {
    const LONGEST_KEY: usize = 32;
    let bytes = raw.as_bytes();
    let Some(key) = memchr::memchr(b'=', bytes.get(..=LONGEST_KEY).unwrap_or(bytes)) else { return false };
    let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@' | b'.');
    let has = |keys: &[&str]| keys.iter().any(|key| raw.contains(key));
    key > 0 && bytes.iter().take(key).all(is_key) && has(&[" msg=", " message=", " level="])
}

/// A JSON line with words of another program before it (see [`prefixed_json`]).
fn json_after_prefix(raw: &str, context: Context) -> Option<LogLine> {
    let (inner, service) = prefixed_json(raw)?;
    let line = fields::json(inner, context)?;
    Some(LogLine { service: line.service.clone().or_else(|| service.map(clean::line)), ..line })
}

/// A line that begins with a time: `2026-11-21 09:31:07,123 ERROR [pool-1] c.s.Checkout: message`.
fn text_after_time(raw: &str, context: Context) -> Option<LogLine> {
    if let Some((level, at, rest)) = stamp::klog(raw, context) {
        return Some(LogLine { at: Some(at), level: Some(level), ..LogLine::plain(clean::line(rest)) });
    }
    let (first_level, at, used) = match stamp::leading(raw, context) {
        Some((at, used)) => (None, at, used),
        None => level_then_stamp(raw, context)?,
    };
    after_time(raw, first_level, at, used, context)
}

/// A line that begins with a time of day and no date, if the context allows it: `09:31:07.123 [main] ERROR c.s.Pool - full`.
fn text_after_time_of_day(raw: &str, context: Context) -> Option<LogLine> {
    let (at, used) = stamp::time_of_day(raw, context).filter(|_| context.has_times_of_day)?;
    after_time(raw, None, at, used, context)
}

/// A line that begins with a date and no clock.
fn text_after_date(raw: &str, context: Context) -> Option<LogLine> {
    let (at, used) = stamp::date_alone(raw, context)?;
    after_time(raw, None, at, used, context)
}

/// Parses the rest of a line after its time, which ends at byte `used`. `first_level` is the level before the time, if any.
fn after_time(raw: &str, first_level: Option<Level>, at: Timestamp, used: usize, context: Context) -> Option<LogLine> {
    let mut rest = raw.get(used..)?.trim_start_matches([' ', '\t', ']', ':', ',', '-', '|']);
    // The header of a container runtime (CRI): the stream, `F` for a full or `P` for a partial line, then the line itself.
    if let Some(inner) = ["stdout F ", "stderr F ", "stdout P ", "stderr P "].iter().find_map(|h| rest.strip_prefix(h)) {
        let inner = line(inner, context);
        return Some(LogLine { at: inner.at.or(Some(at)), ..inner });
    }
    let mut line = LogLine { at: Some(at), level: first_level, ..LogLine::plain("") };
    // The level is one of the next few words; the words before it (process, thread) are dropped with it.
    if line.level.is_some() {
    } else if let Some((level, length)) = dotted_level(rest).or_else(|| leading_level(rest)) {
        line.level = Some(level);
        rest = rest.get(length..)?.trim_start_matches([' ', ']', ':', '|', '-']);
    } else if let Some((level, length)) = level_after_words(rest) {
        line.level = Some(level);
        rest = rest.get(length..)?.trim_start_matches([' ', ']', ':', '|', '-']);
    }
    line.message = clean::line(rest);
    Some(line)
}

/// Splits a line that looks like docker compose output, `web-1  | message`, into the service and its own line. `None` for any
/// other line.
pub fn split_compose_line(raw: &str) -> Option<(&str, &str)> {
    let (name, inner) = raw.split_once(" | ")?;
    let name = name.trim_end();
    let is_name = name.len() <= 80
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    (is_name && inner.split(" | ").take(4).count() <= 3).then_some((name, inner))
}

/// A line of docker compose, which writes the logs of several services into one: `web-1  | 2026-11-21T09:31:07Z message`.
/// `None` if the service's own line has no time.
fn docker_compose(raw: &str, context: Context) -> Option<LogLine> {
    let (name, inner) = split_compose_line(raw)?;
    let inner = line(inner, context);
    inner.at?;
    Some(LogLine { service: inner.service.clone().or_else(|| Some(clean::line(name))), ..inner })
}

/// A line with its time after a few header words: `1:M 21 Nov 2026 09:31:07.123 * Ready`,
/// `I, [2026-11-21T09:31:07.1 #12]  INFO -- : x`. The words before the time stay in the message, except a level.
fn text_around_time(raw: &str, context: Context) -> Option<LogLine> {
    let (at, level, before, from) = layout::time_after_words(raw, context)?;
    let ahead = raw.get(..before)?.trim_end_matches(['[', '(', ' ']);
    let rest = raw.get(from..)?;
    let own = leading_level(rest);
    let ahead = if level.is_some() { ahead.split_once(' ').map_or("", |(_, rest)| rest) } else { ahead };
    let rest = own.and_then(|(_, used)| rest.get(used..)).unwrap_or(rest).trim_start_matches([' ', ']', ':', '|', '-']);
    let message = clean::line(format!("{} {rest}", ahead.trim()).trim());
    Some(LogLine { at: Some(at), level: own.map(|(l, _)| l).or(level), ..LogLine::plain(message) })
}

/// A level and then a time at the start of a line, `[ERROR] 2026-11-21 09:31:07 message`, and the bytes used.
fn level_then_stamp(raw: &str, context: Context) -> Option<(Option<Level>, Timestamp, usize)> {
    let (level, length) = leading_level(raw)?;
    let rest = raw.get(length..)?;
    let gap = rest.len() - rest.trim_start_matches([' ', ':', '|', '-']).len();
    let (at, used) = stamp::leading(rest.get(gap..)?, context)?;
    Some((Some(level), at, length + gap + used))
}

/// The level after a channel name, `production.ERROR: message`, as PHP's Monolog writes it, and the bytes used.
fn dotted_level(text: &str) -> Option<(Level, usize)> {
    let (head, _) = text.split_once(": ")?;
    let (channel, word) = head.rsplit_once('.')?;
    let is_name = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let level = Level::from_word(word).filter(|_| is_name(channel) && word.bytes().all(|b| b.is_ascii_uppercase()))?;
    Some((level, head.len() + 1))
}

/// A level at the very start of a text, such as `ERROR`, `[error]` or `<warn>`, and the bytes used.
pub(crate) fn leading_level(text: &str) -> Option<(Level, usize)> {
    // `%LINK-3-UPDOWN:` of network devices: a number of syslog's scale.
    if let Some((_, rest)) = text.strip_prefix('%').and_then(|code| code.split_once('-')) {
        let number: i64 = rest.split_once('-')?.0.parse().ok().filter(|n| (0..=7).contains(n))?;
        return Level::from_number(number).map(|level| (level, 0));
    }
    // `##[error]` is how a pipeline marks a line of its steps.
    let marks = text.bytes().take_while(|b| *b == b'#').count();
    let open = marks + text.bytes().skip(marks).take_while(|b| matches!(b, b'[' | b'<' | b'(')).count();
    let word_len = text.get(open..)?.bytes().take_while(u8::is_ascii_alphabetic).count();
    let word = text.get(open..open + word_len)?;
    // A single letter is a level only in brackets. Outside brackets, a word must be in capitals or end in a colon.
    let is_upper = word.bytes().all(|b| b.is_ascii_uppercase());
    if word_len == 0 || (open == 0 && !is_upper && !followed_by_colon(text, open + word_len)) || (word_len == 1 && open == 0) {
        return None;
    }
    let level = Level::from_word(word)?;
    let close = text.get(open + word_len..)?.bytes().take_while(|b| matches!(b, b']' | b'>' | b')' | b':')).count();
    Some((level, open + word_len + close))
}

fn followed_by_colon(text: &str, at: usize) -> bool {
    text.as_bytes().get(at) == Some(&b':')
}

/// A level after one to three words, as in `[main] ERROR …` or `123 INFO …`, and the bytes up to its end.
fn level_after_words(text: &str) -> Option<(Level, usize)> {
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

/// The service named by structured fields. `None` if they name none; an empty name counts as none.
fn service_from(fields: &Labels) -> Option<String> {
    let named =
        super::subject::SERVICE_LABELS.iter().chain(&["component"]).find_map(|k| fields.get(*k).filter(|s| !s.is_empty()));
    named.cloned()
}

#[cfg(test)]
mod tests;
