//! Takes the body of a response apart into JSON events, whatever the server wrapped them in.
//!
//! Servers that call themselves compatible send server-sent events, one JSON document, or one JSON document a line. Between
//! the events come comments, keepalives, empty data and events that are not JSON; these are skipped and counted, because a
//! keepalive must not end an answer. The last event may lack its blank line. The decoder ends with an [`Ending`] that says
//! how the body ended, so that a cut stream does not pass for a whole one.

use serde_json::Value;

/// How a body ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ending {
    /// Whether the server said that the stream is complete (`[DONE]`), or sent one whole document.
    pub done: bool,
    /// Events that are neither JSON nor empty.
    pub skipped: u64,
    /// The start of the first such event.
    pub sample: Option<String>,
}

/// How many bytes of one event are kept. Longer ones are skipped, so that an endless event cannot fill the memory.
const MAX_EVENT: usize = 4 << 20;

#[derive(Debug, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Unknown,
    /// Lines with fields, as in server-sent events.
    Fields,
    /// JSON without fields: one document, or one a line.
    Json,
    /// A page for people, such as a proxy's login.
    Html,
}

/// Takes a body apart as its bytes arrive.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    shape: Shape,
    /// The bytes of the line, or of the document, that is not complete yet.
    pending: Vec<u8>,
    /// The data lines of the event that is not complete yet.
    data: Vec<String>,
    /// The name of that event.
    name: String,
    /// Whether the last byte was a carriage return, whose line feed may still come.
    after_return: bool,
    ending: Ending,
}

impl Decoder {
    /// Adds bytes and returns the events that are complete now. Returns none after `[DONE]`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Value> {
        let mut events = Vec::new();
        for byte in bytes {
            if self.is_done() {
                break;
            }
            if self.shape == Shape::Unknown && self.pending.is_empty() && byte.is_ascii_whitespace() {
                continue;
            }
            match self.shape {
                Shape::Html => self.keep(*byte),
                Shape::Json => {
                    self.keep(*byte);
                    if *byte == b'\n' {
                        self.take_document(&mut events);
                    }
                }
                Shape::Unknown | Shape::Fields => self.push_field_byte(*byte, &mut events),
            }
        }
        events
    }

    /// Whether the server said that the stream is complete.
    pub(super) fn is_done(&self) -> bool {
        self.ending.done && self.shape == Shape::Fields
    }

    /// Ends the body and returns its last events and how it ended.
    pub(super) fn finish(mut self) -> (Vec<Value>, Ending) {
        let mut events = Vec::new();
        match self.shape {
            Shape::Html => {
                events.push(serde_json::json!({"error": {"message": super::service::HTML_PAGE}}));
                self.ending.done = true;
            }
            Shape::Json => {
                self.take_document(&mut events);
                self.ending.done |= self.pending.is_empty();
                if !self.pending.is_empty() {
                    let rest = String::from_utf8_lossy(&self.pending).into_owned();
                    self.skip(&rest);
                }
            }
            Shape::Unknown | Shape::Fields => {
                self.end_line(&mut events);
                self.dispatch(&mut events);
            }
        }
        (events, self.ending)
    }

    fn keep(&mut self, byte: u8) {
        if self.pending.len() < MAX_EVENT {
            self.pending.push(byte);
        }
    }

    fn push_field_byte(&mut self, byte: u8, events: &mut Vec<Value>) {
        let follows_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            b'\n' if follows_return => {}
            b'\n' | b'\r' => self.end_line(events),
            _ => {
                self.keep(byte);
                if self.shape == Shape::Unknown {
                    self.shape = shape_of(&self.pending);
                }
            }
        }
    }

    fn end_line(&mut self, events: &mut Vec<Value>) {
        let bytes = std::mem::take(&mut self.pending);
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_start_matches('\u{feff}');
        if line.is_empty() {
            self.dispatch(events);
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        match field.trim() {
            "data" => self.data.push(value.strip_prefix(' ').unwrap_or(value).to_owned()),
            "event" => value.trim().clone_into(&mut self.name),
            "" | "id" | "retry" => {}
            // A line without a field: some gateways lose the prefix.
            _ => self.data.push(line.to_owned()),
        }
    }

    /// Ends an event: its data are one JSON value, or one a line.
    fn dispatch(&mut self, events: &mut Vec<Value>) {
        let (lines, name) = (std::mem::take(&mut self.data), std::mem::take(&mut self.name));
        let whole = lines.join("\n");
        match whole.trim() {
            "" => return,
            "[DONE]" => {
                self.ending.done = true;
                return;
            }
            _ => {}
        }
        if let Some(value) = lenient_json(&whole) {
            self.emit(value, &name, events);
            return;
        }
        for line in lines.iter().map(|l| l.trim()).filter(|l| !l.is_empty()) {
            match lenient_json(line) {
                _ if line == "[DONE]" => self.ending.done = true,
                Some(value) => self.emit(value, &name, events),
                // A comment that was sent as data is a keepalive.
                None if line.starts_with(':') => {}
                None => self.skip(line),
            }
        }
    }

    fn emit(&mut self, value: Value, name: &str, events: &mut Vec<Value>) {
        match value {
            Value::Array(items) => items.into_iter().for_each(|item| self.emit(item, name, events)),
            Value::Object(map) => {
                let is_error = name == "error" && !map.contains_key("error");
                let value = Value::Object(map);
                events.push(if is_error { serde_json::json!({ "error": value }) } else { value });
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) if name == "error" => events.push(serde_json::json!({ "error": text })),
            Value::String(text) => self.skip(&text),
        }
    }

    /// Emits the JSON document in `pending`, if it is complete.
    fn take_document(&mut self, events: &mut Vec<Value>) {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        let trimmed = text.trim();
        if trimmed.is_empty() {
            self.pending.clear();
        } else if trimmed.ends_with(['}', ']'])
            && let Some(values) = lenient_documents(trimmed)
        {
            self.pending.clear();
            for value in values {
                self.emit(value, "", events);
            }
        }
    }

    fn skip(&mut self, text: &str) {
        self.ending.skipped += 1;
        if self.ending.sample.is_none() {
            self.ending.sample = Some(text.trim().chars().take(120).collect());
        }
    }
}

/// The shape of a body by its first characters.
fn shape_of(start: &[u8]) -> Shape {
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
    match start {
        [b'{' | b'[', ..] => Shape::Json,
        [b'<', ..] => Shape::Html,
        // A byte-order mark that is not complete yet.
        [] | [0xef] | [0xef, 0xbb] => Shape::Unknown,
        _ => Shape::Fields,
    }
}

/// All JSON documents in a text, one after the other; `None` if it holds anything else.
fn lenient_documents(text: &str) -> Option<Vec<Value>> {
    let strict: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    strict.ok().or_else(|| serde_json::Deserializer::from_str(&mended(text)).into_iter().collect::<Result<_, _>>().ok())
}

/// Parses JSON that some servers write wrongly: control characters and halves of surrogate pairs in strings, and `NaN`.
fn lenient_json(text: &str) -> Option<Value> {
    match lenient_documents(text)? {
        mut one if one.len() == 1 => one.pop(),
        none if none.is_empty() => None,
        several => Some(Value::Array(several)),
    }
}

/// The text with what JSON does not allow replaced: control characters in strings by escapes, lone halves of surrogate pairs
/// by U+FFFD, and `NaN` and `Infinity` by `null`.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let (taken, written) = match c {
            '"' => {
                in_string = !in_string;
                (1, None)
            }
            '\\' if in_string => escape(rest),
            c if in_string && c.is_control() => (c.len_utf8(), Some(format!("\\u{:04x}", u32::from(c)))),
            c if !in_string && (c == 'N' || c == 'I' || c == '-') => {
                match ["NaN", "Infinity", "-Infinity"].iter().find(|w| rest.starts_with(**w)) {
                    Some(word) => (word.len(), Some("null".to_owned())),
                    None => (1, None),
                }
            }
            c => (c.len_utf8(), None),
        };
        let (head, tail) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        out.push_str(written.as_deref().unwrap_or(head));
        rest = tail;
    }
    out
}

/// The length of the escape at the start of a text, and its replacement if it is half of a surrogate pair.
fn escape(rest: &str) -> (usize, Option<String>) {
    let unit =
        |at: usize| rest.get(at..at + 6).filter(|t| t.starts_with("\\u")).and_then(|t| u16::from_str_radix(t.get(2..)?, 16).ok());
    match (unit(0), unit(6)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, None),
        (Some(0xd800..=0xdfff), _) => (6, Some("\\ufffd".to_owned())),
        (Some(_), _) => (6, None),
        (None, _) => (1 + rest.chars().nth(1).map_or(0, char::len_utf8), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decode(body: &str) -> (Vec<Value>, Ending) {
        let mut decoder = Decoder::default();
        let mut events = decoder.push(body.as_bytes());
        let (more, ending) = decoder.finish();
        events.extend(more);
        (events, ending)
    }

    #[test]
    fn reads_events_in_every_wrapping() {
        let (a, b) = (json!({"a": 1}), json!({"b": "ä"}));
        for (body, done, skipped) in [
            ("data: {\"a\": 1}\n\ndata: {\"b\": \"ä\"}\n\ndata: [DONE]\n\n", true, 0),
            ("data:{\"a\":1}\r\n\r\ndata:{\"b\":\"ä\"}\r\n\r\ndata:[DONE]\r\n\r\n", true, 0),
            ("data: {\"a\":1}\r\rdata: {\"b\":\"ä\"}\r\rdata: [DONE]", true, 0),
            ("\u{feff}: hello\n\ndata: {\"a\":1}\n\n: PROCESSING\n\ndata: {\"b\":\"ä\"}\n\n", false, 0),
            ("event: message\nid: 1\nretry: 5\ndata: {\"a\":1}\n\ndata: {\"b\":\"ä\"}", false, 0),
            ("data: : keepalive\n\ndata: \n\ndata:\n\ndata: {\"a\":1}\n\ndata: {\"b\":\"ä\"}\n\ndata: [DONE]\n\n", true, 0),
            ("data: ping\n\ndata: {\"a\":1}\n\ndata: <oops>\n\ndata: {\"b\":\"ä\"}\n\ndata: [DONE]\n\n", true, 2),
            // Without blank lines, an event over several lines, two in one, and one without its field.
            ("data: {\"a\":1}\ndata: {\"b\":\"ä\"}\ndata: [DONE]\n", true, 0),
            ("data: {\"a\":\ndata: 1}\n\ndata: {\"b\":\"ä\"}\n\n", false, 0),
            ("data: {\"a\":1}{\"b\":\"ä\"}\n\n", false, 0),
            ("data: {\"a\":1}\n\n{\"b\":\"ä\"}\n\n", false, 0),
            // JSON: a line each, pretty, and a list.
            ("{\"a\":1}\n{\"b\":\"ä\"}\n", true, 0),
            ("\n{\n  \"a\": 1\n}\n{\"b\":\"ä\"}", true, 0),
            ("[{\"a\":1},\n{\"b\":\"ä\"}]", true, 0),
        ] {
            let (events, ending) = decode(body);
            assert_eq!(events, [a.clone(), b.clone()], "{body}");
            assert_eq!((ending.done, ending.skipped), (done, skipped), "{body}");
        }
    }

    #[test]
    fn mends_json_that_is_almost_right() {
        for (body, expected) in [
            ("data: {\"x\": NaN, \"y\": -Infinity}\n\n", json!({"x": null, "y": null})),
            ("data: {\"x\": \"\\ud83d and \\ude00, \\ud83d\\ude00\"}\n\n", json!({"x": "\u{fffd} and \u{fffd}, 😀"})),
            ("{\"x\": \"a\tb\\\"NaN\"}", json!({"x": "a\tb\"NaN"})),
            ("event: error\ndata: {\"message\": \"m\"}\n\n", json!({"error": {"message": "m"}})),
            ("event: error\ndata: \"m\"\n\n", json!({"error": "m"})),
            ("<html>login</html>", json!({"error": {"message": super::super::service::HTML_PAGE}})),
        ] {
            assert_eq!(decode(body).0, [expected], "{body}");
        }
        assert_eq!(decode("Internal Server Error").1.sample.as_deref(), Some("Internal Server Error"));
        assert_eq!(decode("{\"a\": ").1, Ending { done: false, skipped: 1, sample: Some("{\"a\":".to_owned()) });
    }

    proptest::proptest! {
        /// Where the bytes are cut does not matter, and nothing panics.
        #[test]
        fn pieces_of_any_size_give_the_same_events(body in "(data: ?|: |event: error|\\{\"a\":1\\}|\\[DONE\\]|é|\\\\u|[\"\\r\\n{} x]){0,24}", size in 1_usize..7) {
            let mut pieces = Decoder::default();
            let mut events: Vec<Value> = body.as_bytes().chunks(size).flat_map(|c| pieces.push(c)).collect();
            let (more, ending) = pieces.finish();
            events.extend(more);
            proptest::prop_assert_eq!((events, ending), decode(&body));
        }
    }
}
