//! Syslog lines from files and from the network: RFC 3164 (`Nov 21 09:31:07 host app[12]: text`, with or without `<PRI>`)
//! and RFC 5424 (`<165>1 2026-11-21T09:31:07Z host app 12 ID [sd@1 k="v"] text`).

use super::super::clean;
use super::super::log::{Level, LogLine};
use super::super::series::Labels;
use super::{Context, leading_level, stamp};

/// Parses a syslog line of either RFC. `None` if the line is neither.
pub(super) fn parse(raw: &str, context: Context) -> Option<LogLine> {
    match priority(raw) {
        Some((level, rest)) => match rest.strip_prefix("1 ") {
            Some(rest) => rfc5424(rest, level, context),
            None => rfc3164(rest, Some(level), context),
        },
        None => rfc3164(raw, None, context),
    }
}

/// The level from `<PRI>` (facility times eight plus severity, at most 191), and the text after it.
pub(super) fn priority(raw: &str) -> Option<(Level, &str)> {
    let (number, rest) = raw.strip_prefix('<')?.split_once('>')?;
    let number: i64 = number.parse().ok().filter(|n| (0..=191).contains(n))?;
    Some((Level::from_number(number % 8)?, rest))
}

fn rfc5424(rest: &str, level: Level, context: Context) -> Option<LogLine> {
    let mut parts = rest.splitn(6, ' ');
    let (time, host, app, pid, id) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (data, message) = structured_data(parts.next()?)?;
    let mut line = LogLine { level: Some(level), ..LogLine::plain(clean::line(message.trim_start_matches('\u{feff}'))) };
    line.at = stamp::at_start(time, context).map(|(at, _)| at);
    line.fields = data;
    for (key, value) in [("host", host), ("app", app), ("pid", pid), ("msgid", id)] {
        if value != "-" {
            line.fields.insert(key.to_owned(), clean::line(value));
        }
    }
    line.service = line.fields.get("app").cloned();
    Some(line)
}

/// Parses structured data, `-` or `[id k="v"…]…`. Returns its fields and the message after it.
fn structured_data(text: &str) -> Option<(Labels, &str)> {
    let mut fields = Labels::new();
    if let Some(rest) = text.strip_prefix('-') {
        return Some((fields, rest.strip_prefix(' ').unwrap_or(rest)));
    }
    let (mut quoted, mut escaped, mut start) = (false, false, None);
    let mut key = String::new();
    let mut value = String::new();
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => {
                quoted = !quoted;
                if !quoted {
                    fields.insert(clean::line(key.trim()), clean::line(&std::mem::take(&mut value)));
                    key.clear();
                }
            }
            c if quoted => value.push(c),
            '[' => start = Some(index),
            ']' => {
                start = None;
                key.clear();
                // Either another element follows directly, or the structured data ends here.
                if !text.get(index + 1..)?.starts_with('[') {
                    let rest = text.get(index + 1..)?;
                    return Some((fields, rest.strip_prefix(' ').unwrap_or(rest)));
                }
            }
            '=' => {}
            ' ' => key.clear(),
            c if start.is_some() => key.push(c),
            _ => return None,
        }
    }
    None
}

fn rfc3164(rest: &str, level: Option<Level>, context: Context) -> Option<LogLine> {
    if level.is_none() && !rest.as_bytes().first()?.is_ascii_alphabetic() {
        return None;
    }
    let (at, used) = stamp::at_start(rest, context)?;
    let after = rest.get(used..)?.strip_prefix(' ')?;
    let (host, after) = after.split_once(' ')?;
    let (tag, message) = after.split_once(": ").or_else(|| after.strip_suffix(':').map(|t| (t, "")))?;
    // The tag must be one word, `app` or `app[pid]`; otherwise this is another format that begins with a date.
    if tag.is_empty() || tag.contains(' ') || tag.len() > 80 {
        return None;
    }
    let (app, pid) = match tag.split_once('[') {
        Some((app, pid)) => (app, pid.strip_suffix(']')),
        None => (tag, None),
    };
    let mut line = LogLine { at: Some(at), level, ..LogLine::plain(clean::line(message)) };
    if line.level.is_none() {
        line.level = leading_level(message).map(|(l, _)| l);
    }
    line.fields.insert("host".to_owned(), clean::line(host));
    if let Some(pid) = pid {
        line.fields.insert("pid".to_owned(), clean::line(pid));
    }
    line.service = Some(clean::line(app)).filter(|s| !s.is_empty());
    Some(line)
}
