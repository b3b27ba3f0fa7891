//! Structured lines: JSON objects and logfmt.

use serde_json::Value;

use super::super::clean;
use super::super::log::{Level, LogLine};
use super::super::series::Labels;
use super::{Context, access, roles, service_from, stamp};

// All in lower case. Includes the names of GELF, Google Cloud Logging, Rust's `tracing`, Serilog, OpenTelemetry and
// journald.
const TIME_KEYS: [&str; 15] = [
    "t.$date",
    "ts",
    "time",
    "timestamp",
    "@timestamp",
    "t",
    "@t",
    "date",
    "datetime",
    "asctime",
    "timeunixnano",
    "time_unix_nano",
    "observedtimestamp",
    "eventtime",
    "__realtime_timestamp",
];
/// Further keys of a level, which do not end like one.
const LEVEL_KEYS: [&str; 2] = ["@l", "at"];
const MESSAGE_KEYS: [&str; 15] = [
    "msg",
    "message",
    "event",
    "@m",
    "@mt",
    "body",
    "short_message",
    "fields.message",
    "textpayload",
    "jsonpayload.message",
    "jsonpayload.msg",
    "renderedmessage",
    "body.stringvalue",
    "log.message",
    "event.message",
];
/// The maximum number of fields kept of one line: more than loggers write, few enough that a hostile line stays cheap.
const MAX_FIELDS: usize = 64;

/// Parses a JSON object on one line. `None` if the line is not one.
pub(super) fn json(raw: &str, context: Context) -> Option<LogLine> {
    // In a JSON array with one element per line, each line ends in a comma.
    let text = raw.trim().trim_end_matches(',');
    if !text.starts_with('{') || !text.ends_with('}') {
        return None;
    }
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text) else { return None };
    // Docker's json-file driver wraps the program's own line.
    let is_wrapper = object.keys().all(|key| matches!(key.as_str(), "log" | "stream" | "time" | "attrs"));
    if let (Some(Value::String(inner)), true) = (object.get("log"), is_wrapper) {
        let line = super::line(inner, context);
        let at = object.get("time").and_then(Value::as_str).and_then(|t| stamp::at_start(t, context)).map(|(at, _)| at);
        return Some(LogLine { at: line.at.or(at), ..line });
    }
    Some(assemble(flattened(&object), context))
}

/// The fields of a JSON object on one line, with dotted names for nested ones. `None` if the line is not one.
pub(super) fn flat(raw: &str) -> Option<Vec<(String, String)>> {
    let text = raw.trim().trim_end_matches(',');
    match serde_json::from_str(text).ok().filter(|_| text.starts_with('{'))? {
        Value::Object(object) => Some(flattened(&object)),
        _ => None,
    }
}

fn flattened(object: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let mut flat = Vec::new();
    for (key, value) in object {
        flatten(key, value, 0, &mut flat);
    }
    flat
}

/// The number under the level key of a JSON line. `None` if it has none, or the level is a word.
pub(super) fn level_number(raw: &str) -> Option<i64> {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(raw.trim()) else { return None };
    object.iter().find(|(key, value)| value.is_i64() && roles::is_level_key(&key.to_ascii_lowercase()))?.1.as_i64()
}

/// The longest prefix before a JSON line, in bytes.
const MAX_PREFIX: usize = 120;

/// The JSON object at the end of a line, after at most two words of another program, and the service that they name:
/// `[pod/shop-7f9/shop] {…}` (kubectl), `shop-7f9 shop {…}` (stern), `@cee: {…}` (syslog). `None` if there is no such
/// object, or if there are words and the object is not a log record: it needs a message, and a time or a level.
pub fn prefixed_json(raw: &str) -> Option<(&str, Option<&str>)> {
    if !raw.ends_with(['}', ',']) {
        return None;
    }
    let start = memchr::memchr(b'{', raw.as_bytes().get(..MAX_PREFIX).unwrap_or(raw.as_bytes()))?;
    let (before, inner) = raw.split_at_checked(start)?;
    let words: Vec<&str> = before.split_ascii_whitespace().collect();
    // A prefix that begins with a time or a syslog priority is a header.
    if words.len() > 2
        || before.starts_with(|c: char| c.is_ascii_digit() || c == '<')
        || !before.is_empty() && !before.ends_with([' ', '\t'])
        || before.contains('=')
    {
        return None;
    }
    let has = |names: &[&str]| names.iter().any(|name| inner.contains(&format!("\"{name}\"")));
    let is_log_record = has(&["msg", "message", "event", "short_message", "@m", "@mt", "body"])
        && has(&["time", "ts", "timestamp", "@timestamp", "level", "severity", "lvl", "@t", "@l"]);
    if !words.is_empty() && !is_log_record {
        return None;
    }
    let is_name = |w: &&&str| w.bytes().any(|b| b.is_ascii_alphanumeric());
    let name = words.iter().rfind(is_name).map(|w| w.trim_matches(['[', ']', ':'])).filter(|w| *w != "@cee");
    Some((inner, name.map(|n| n.rsplit('/').next().unwrap_or(n)).filter(|n| !n.is_empty())))
}

/// Flattens nested objects into dotted names, two levels deep; deeper objects and arrays stay JSON text.
fn flatten(key: &str, value: &Value, depth: usize, out: &mut Vec<(String, String)>) {
    if out.len() >= MAX_FIELDS {
        return;
    }
    match value {
        Value::Object(inner) if depth < 2 => {
            for (k, v) in inner {
                flatten(&format!("{key}.{k}"), v, depth + 1, out);
            }
        }
        Value::Null => {}
        Value::String(s) => out.push((key.to_owned(), s.clone())),
        Value::Array(list) if let Some(text) = text_of_bytes(list) => out.push((key.to_owned(), text)),
        other => out.push((key.to_owned(), other.to_string())),
    }
}

/// The text that an array of bytes is, as journald writes a message that has a colour code or is no UTF-8. `None` for any other array.
fn text_of_bytes(list: &[Value]) -> Option<String> {
    const SHORTEST: usize = 4;
    let bytes: Vec<u8> = list.iter().map(|v| v.as_u64().and_then(|n| u8::try_from(n).ok())).collect::<Option<_>>()?;
    let control = bytes.iter().filter(|b| **b < b' ' && !matches!(**b, b'\t' | b'\n' | 0x1b)).count();
    (bytes.len() >= SHORTEST && control == 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Parses logfmt: `key=value key="quoted \"value\"" bare`. `None` unless the line begins with a pair and has at least two.
pub(super) fn logfmt(raw: &str, context: Context) -> Option<LogLine> {
    let mut pairs = Vec::new();
    let mut rest = raw.trim();
    let mut words = 0_usize;
    while !rest.is_empty() && pairs.len() < MAX_FIELDS {
        let key_len = rest.find(['=', ' ']).unwrap_or(rest.len());
        let key = rest.get(..key_len)?;
        let is_key =
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'@' | b'/'));
        if rest.as_bytes().get(key_len) != Some(&b'=') || !is_key {
            // Text before the first pair is not logfmt.
            if pairs.is_empty() {
                return None;
            }
            words += 1;
            rest = rest.get(key_len..)?.trim_start_matches([' ', '=']);
            continue;
        }
        let (value, length) = logfmt_value(rest.get(key_len + 1..)?);
        pairs.push((key.to_owned(), value));
        rest = rest.get(key_len + 1 + length..)?.trim_start();
    }
    (pairs.len() >= 2 && words <= pairs.len()).then(|| assemble(pairs, context))
}

/// The value at the start of the text, without quotes, and the bytes it used.
fn logfmt_value(text: &str) -> (String, usize) {
    // Python writes single quotes.
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let length = text.find(' ').unwrap_or(text.len());
        return (text.get(..length).unwrap_or_default().to_owned(), length);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => {
                value.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
                escaped = false;
            }
            '\\' => escaped = true,
            other if other == quote => return (value, index + 1),
            other => value.push(other),
        }
    }
    (value, text.len())
}

/// The level of the status of a request, in a record that has both.
fn level_of_request(fields: &Labels) -> Option<Level> {
    const STATUS: [&str; 7] =
        ["status", "statuscode", "responsecode", "responsestatus", "httpstatus", "downstreamstatus", "statusclass"];
    let plain = |key: &str| -> String { key.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect() };
    let names_request = |key: &String| ["method", "request", "uri", "url", "path"].iter().any(|word| plain(key).contains(word));
    let mut statuses =
        fields.iter().filter(|(_, value)| value.len() == 3).filter(|(key, _)| STATUS.iter().any(|s| plain(key).ends_with(s)));
    let level = statuses.find_map(|(_, value)| access::level_of_status(value.parse().ok()?))?;
    fields.keys().any(names_request).then_some(level)
}

/// Builds a line from its pairs: recognises time, level, message and service by their keys; the rest become fields.
pub(super) fn assemble(pairs: Vec<(String, String)>, context: Context) -> LogLine {
    let mut line = LogLine::plain("");
    let mut message = None;
    let mut fields = Labels::new();
    let is_known_time = |key: &str| TIME_KEYS.iter().any(|known| key.eq_ignore_ascii_case(known));
    let unknown_time = || if pairs.iter().any(|(k, _)| is_known_time(k)) { None } else { roles::time_of(&pairs, context) };
    let unknown_time = unknown_time();
    // Windows has levels of its own.
    let has_event_id =
        pairs.iter().any(|(k, _)| ["eventid", "event_id", "event.code"].iter().any(|id| k.eq_ignore_ascii_case(id)));
    let context = if has_event_id { Context { scale: roles::Scale::Windows, ..context } } else { context };
    for (key, value) in pairs {
        let lower = key.to_ascii_lowercase();
        if line.at.is_none() && TIME_KEYS.contains(&lower.as_str()) {
            let at = value.parse::<f64>().ok().and_then(stamp::from_number);
            line.at = at.or_else(|| stamp::at_start(&value, context).map(|(at, _)| at));
            if line.at.is_some() {
                continue;
            }
        }
        if line.level.is_none() && (LEVEL_KEYS.contains(&lower.as_str()) || roles::is_level_key(&lower)) {
            line.level = roles::level(&lower, &value, context);
            if line.level.is_some() {
                continue;
            }
        }
        // MongoDB's structured log: `"s":"I"`, debug with its depth as `"D2"`.
        if line.level.is_none() && lower == "s" && value.len() <= 2 {
            line.level = value.get(..1).filter(|l| "FEWID".contains(l)).and_then(Level::from_word);
            if line.level.is_some() {
                continue;
            }
        }
        // Exports of a log backend have the line; in other records, it is a number in a source file.
        let is_line = lower == "line" && value.parse::<u64>().is_err();
        if is_line
            && message.is_none()
            && (value.starts_with('{') || value.split_once('=').is_some_and(|(key, _)| !key.contains(' ')))
        {
            // The line of a program within the record of a backend: its own time, level and fields win.
            let inner = super::line(&value, context);
            if !inner.fields.is_empty() {
                (line.at, line.level) = (inner.at.or(line.at), inner.level.or(line.level));
                fields.extend(inner.fields);
                message = Some(inner.message);
                continue;
            }
        }
        if message.is_none() && (MESSAGE_KEYS.contains(&lower.as_str()) || is_line) && !value.trim().is_empty() {
            message = Some(clean::block(&value));
            continue;
        }
        fields.insert(clean::line(&key), clean::truncate(&clean::block(&value), 4096));
    }
    line.at = line.at.or(unknown_time);
    line.service = service_from(&fields);
    // What has no message of its own may be the record of a request.
    let of_request = if message.is_none() { level_of_request(&fields).filter(|level| *level > Level::Info) } else { None };
    // A line without a message field gets all its fields as its message.
    line.message = message.unwrap_or_else(|| fields.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "));
    line.level = line.level.or_else(|| super::leading_level(&line.message).map(|(level, _)| level)).or(of_request);
    // The text and stack trace of an error belong in the message.
    for key in ["error", "err", "exception", "stack", "stack_trace", "error.message", "error.stack_trace", "exception.stacktrace"]
    {
        if let Some(value) = fields.get(key)
            && !line.message.contains(value.as_str())
            && !value.is_empty()
        {
            let separator = if value.contains('\n') { "\n" } else { ": " };
            line.message = clean::block(&format!("{}{separator}{value}", line.message));
        }
    }
    line.fields = fields;
    line
}
