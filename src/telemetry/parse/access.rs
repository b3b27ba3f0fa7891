//! Access logs in the common and combined formats of Apache and nginx: `ip - user [time] "request" status bytes "ref" "ua"`.

use std::sync::LazyLock;

use super::super::clean;
use super::super::log::{Level, LogLine};
use super::{Context, stamp};

/// Parses an access log line. The message is the request with its status; client, user, status and bytes become fields.
pub(super) fn parse(raw: &str, context: Context) -> Option<LogLine> {
    let (head, rest) = raw.split_once(" [")?;
    let mut head = head.split(' ');
    let (client, _ident, user) = (head.next()?, head.next()?, head.next()?);
    let (time, rest) = rest.split_once("] \"")?;
    let (at, _) = stamp::at_start(time, context)?;
    let request_end = closing_quote(rest)?;
    let request = rest.get(..request_end)?;
    let mut tail = rest.get(request_end + 1..)?.trim_start().splitn(3, ' ');
    let status: u16 = tail.next()?.parse().ok().filter(|s| (100..600).contains(s))?;
    let bytes = tail.next().unwrap_or("-");
    let mut line = LogLine { at: Some(at), ..LogLine::plain(clean::line(&format!("{request} {status}"))) };
    line.level = Some(level_of(status / 100));
    for (key, value) in [("client", client), ("user", user), ("status", status.to_string().as_str()), ("bytes", bytes)] {
        if value != "-" {
            line.fields.insert(key.to_owned(), clean::line(value));
        }
    }
    Some(line)
}

/// The method and status class of an access log line (`GET 5xx`), with the level of that class. Looks for a request such as
/// `"GET /cart HTTP/1.1" 502 173` anywhere in the line. `None` for any other line. Cheap enough for every line of a long
/// log.
pub(super) fn method_and_status(text: &str) -> Option<(&'static str, Option<Level>)> {
    static PROTOCOL: LazyLock<memchr::memmem::Finder<'static>> = LazyLock::new(|| memchr::memmem::Finder::new(" HTTP/"));
    let bytes = text.as_bytes();
    let at = PROTOCOL.find(bytes)?;
    let rest = bytes.get(at + 6..)?;
    let version = rest.iter().take(3).take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let open = bytes.get(..at)?.iter().rposition(|b| *b == b'"')?;
    let (class, is_plain) = match rest.get(version..)? {
        [b'"', b' ', class @ b'1'..=b'5', b, c, end @ ..]
            if b.is_ascii_digit() && c.is_ascii_digit() && end.first().is_none_or(|b| *b <= b' ') =>
        {
            (*class, true)
        }
        // Load balancers write the status before the request: the first number of three digits that stands alone.
        [b'"', end @ ..] if end.first().is_none_or(|b| *b == b' ') && !end.starts_with(b" status") => {
            (status_before(bytes.get(..open)?)?, false)
        }
        _ => return None,
    };
    let method = bytes.get(open + 1..at)?.split(|b| *b == b' ').next()?;
    // Lines of a load balancer say more than their request, so that only a failed one gives them a level.
    let level = Some(level_of(u16::from(class - b'0'))).filter(|level| is_plain || *level > Level::Info);
    Some((class_name(method, usize::from(class - b'1'))?, level))
}

/// The same for a line that names both: `method=GET path="/" status=503`.
pub(super) fn named_method_and_status(text: &str) -> Option<(&'static str, Option<Level>)> {
    static METHOD: LazyLock<memchr::memmem::Finder<'static>> = LazyLock::new(|| memchr::memmem::Finder::new("method="));
    static STATUS: LazyLock<memchr::memmem::Finder<'static>> = LazyLock::new(|| memchr::memmem::Finder::new("status="));
    let value = |finder: &memchr::memmem::Finder<'_>| {
        let rest = text.as_bytes().get(finder.find(text.as_bytes())? + finder.needle().len()..)?;
        let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
        rest.get(..rest.iter().take(8).take_while(|b| b.is_ascii_alphanumeric()).count())
    };
    let (method, status) = (value(&METHOD)?, value(&STATUS)?);
    let status: u16 = std::str::from_utf8(status).ok()?.parse().ok().filter(|s| (100..600).contains(s))?;
    Some((class_name(method, usize::from(status / 100) - 1)?, Some(level_of(status / 100))))
}

/// The same for a line with the status behind the result of a cache: `TCP_MISS/503 4126 GET http://a.example/`.
pub(super) fn result_and_status(text: &str) -> Option<(&'static str, Option<Level>)> {
    const MOST: usize = 120;
    let bytes = text.as_bytes();
    let at = memchr::memchr_iter(b'/', bytes.get(..MOST).unwrap_or(bytes))
        .filter(|at| *at > 0)
        .find(|at| matches!(bytes.get(at - 1..at + 5), Some([b'A'..=b'Z', b'/', b'1'..=b'5', b, c, b' ']) if b.is_ascii_digit() && c.is_ascii_digit()))?;
    let class = bytes.get(at + 1)? - b'0';
    let name = bytes.get(at + 5..)?.split(|b| *b == b' ').take(3).find_map(|word| class_name(word, usize::from(class) - 1))?;
    Some((name, Some(level_of(u16::from(class)))))
}

/// The class of the first number before a request that can be a status.
fn status_before(bytes: &[u8]) -> Option<u8> {
    let is_status = |w: &&[u8]| matches!(w, [b'1'..=b'5', b, c] if b.is_ascii_digit() && c.is_ascii_digit());
    bytes.split(|b| *b == b' ').find(is_status)?.first().copied()
}

/// `GET 5xx` for a method and the index of a status class.
fn class_name(method: &[u8], class: usize) -> Option<&'static str> {
    let names = match method {
        b"GET" => ["GET 1xx", "GET 2xx", "GET 3xx", "GET 4xx", "GET 5xx"],
        b"POST" => ["POST 1xx", "POST 2xx", "POST 3xx", "POST 4xx", "POST 5xx"],
        b"PUT" => ["PUT 1xx", "PUT 2xx", "PUT 3xx", "PUT 4xx", "PUT 5xx"],
        b"DELETE" => ["DELETE 1xx", "DELETE 2xx", "DELETE 3xx", "DELETE 4xx", "DELETE 5xx"],
        b"PATCH" => ["PATCH 1xx", "PATCH 2xx", "PATCH 3xx", "PATCH 4xx", "PATCH 5xx"],
        b"HEAD" => ["HEAD 1xx", "HEAD 2xx", "HEAD 3xx", "HEAD 4xx", "HEAD 5xx"],
        b"CONNECT" => ["CONNECT 1xx", "CONNECT 2xx", "CONNECT 3xx", "CONNECT 4xx", "CONNECT 5xx"],
        b"OPTIONS" => ["OPTIONS 1xx", "OPTIONS 2xx", "OPTIONS 3xx", "OPTIONS 4xx", "OPTIONS 5xx"],
        _ => return None,
    };
    names.get(class).copied()
}

/// The method and status class of a record with fields for both, with the level of that class.
pub(super) fn method_and_status_of(method: &str, status: u16) -> Option<(&'static str, Level)> {
    let class = (100..600).contains(&status).then_some(status / 100)?;
    Some((class_name(method.as_bytes(), usize::from(class) - 1)?, level_of(class)))
}

/// The level of a status.
pub(super) fn level_of_status(status: u16) -> Option<Level> {
    (100..600).contains(&status).then(|| level_of(status / 100))
}

/// The level of a status class, its first digit: 5 (server error) is an error, 4 (client error) a warning.
fn level_of(class: u16) -> Level {
    match class {
        5.. => Level::Error,
        4 => Level::Warn,
        _ => Level::Info,
    }
}

/// The position of the quote that ends the request; quotes may be escaped with a backslash.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(index, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(index)
    })
}
