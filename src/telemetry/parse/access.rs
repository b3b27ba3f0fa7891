//! Access logs in the common and the combined format (Apache, nginx): `ip - user [time] "request" status bytes "ref" "ua"`.

use super::super::clean;
use super::super::log::{Level, LogLine};
use super::{Context, stamp};

pub(super) fn parse(raw: &str, context: Context) -> Option<LogLine> {
    let (who, rest) = raw.split_once(" [")?;
    let mut who = who.split(' ');
    let (client, _ident, user) = (who.next()?, who.next()?, who.next()?);
    let (time, rest) = rest.split_once("] \"")?;
    let (at, _) = stamp::at_start(time, context)?;
    let request_end = closing_quote(rest)?;
    let request = rest.get(..request_end)?;
    let mut tail = rest.get(request_end + 1..)?.trim_start().splitn(3, ' ');
    let status: u16 = tail.next()?.parse().ok().filter(|s| (100..600).contains(s))?;
    let bytes = tail.next().unwrap_or("-");
    let mut line = LogLine { at: Some(at), ..LogLine::plain(clean::line(&format!("{request} {status}"))) };
    line.level = Some(match status {
        500.. => Level::Error,
        400.. => Level::Warn,
        _ => Level::Info,
    });
    for (key, value) in [("client", client), ("user", user), ("status", status.to_string().as_str()), ("bytes", bytes)] {
        if value != "-" {
            line.fields.insert(key.to_owned(), clean::line(value));
        }
    }
    Some(line)
}

/// The position of the quote that ends the request; a backslash escapes one.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(index, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(index)
    })
}
