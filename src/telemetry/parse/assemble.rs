//! Puts together what was one record before its log was written: lines that a container runtime or Docker cut, entries of journald's export format,
//! JSON over several lines, rows with line feeds in quotes. And takes apart a line that holds several records.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::super::time::Timestamp;
use super::{Columns, Context, roles, xml};

/// The most lines and bytes of one record; what is longer is left as it is.
const MAX_LINES: usize = 2000;
const MAX_BYTES: usize = 1024 * 1024;

/// What is being put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Nothing,
    /// Partial lines of a container runtime (CRI, the mark `P`).
    Partial,
    /// Records of Docker without a line feed at their end.
    Docker,
    /// Fields of an entry of journald.
    Export,
    /// JSON over several lines, with the number of brackets that are open.
    Json(usize),
    /// A row whose quotes are open.
    Row,
    /// An XML element whose end is not there yet.
    Xml,
}

/// Puts lines together. Takes them in order.
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    kind: Kind,
    held: String,
    lines: usize,
}

/// A record, and the number of lines that it was.
pub type Record<'a> = (Cow<'a, str>, usize);

impl Assembler {
    /// Takes the next line, and returns the records that are whole: none if the line belongs to a record that goes on.
    pub fn push<'a>(&mut self, raw: &'a str, columns: Option<&Columns>) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let before = if self.kind == Kind::Nothing || self.takes(raw) { None } else { self.finish() };
        let whole = match self.kind {
            Kind::Nothing => self.begin(raw, columns),
            _ => self.go_on(raw, columns),
        };
        before.map(|(text, lines)| (Cow::Owned(text), lines)).into_iter().chain(whole)
    }

    /// What is held, at the end of the stream.
    pub fn finish(&mut self) -> Option<(String, usize)> {
        let (kind, lines) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.lines));
        let held = std::mem::take(&mut self.held);
        match kind {
            Kind::Nothing => None,
            Kind::Export => Some((exported(&held), lines)),
            Kind::Docker => Some((json!({"log": held}).to_string(), lines)),
            Kind::Partial | Kind::Json(_) | Kind::Row | Kind::Xml => Some((held, lines)),
        }
    }

    /// Whether a line can belong to the record that is held.
    fn takes(&self, raw: &str) -> bool {
        let is_small = self.lines < MAX_LINES && self.held.len() + raw.len() < MAX_BYTES;
        is_small
            && match self.kind {
                Kind::Partial => cri(raw).is_some(),
                Kind::Docker => docker(raw).is_some(),
                Kind::Export => raw.trim().is_empty() || field(raw).is_some() || field_name(raw) || self.is_in_binary_field(),
                // What a lone tag opens is a list of records, if whole ones or a further tag follow at the start of a line.
                Kind::Xml => {
                    let is_list =
                        self.lines == 1 && xml::is_lone_tag(&self.held) && (xml::is_lone_tag(raw) || xml::is_nested(raw));
                    // A line that begins like those of a log shows that it was no record.
                    !is_list && !raw.starts_with(|c: char| c.is_ascii_digit() || c == '[')
                }
                Kind::Nothing | Kind::Json(_) | Kind::Row => true,
            }
    }

    /// Whether the last field that is held has no value yet, or one of several lines.
    fn is_in_binary_field(&self) -> bool {
        self.held.rsplit('\n').find(|line| field(line).is_some() || field_name(line)).is_some_and(field_name)
    }

    fn begin<'a>(&mut self, raw: &'a str, columns: Option<&Columns>) -> Option<Record<'a>> {
        let bytes = raw.as_bytes();
        let first = bytes.first().copied().unwrap_or_default();
        // A quick check that rules out most lines: the time of a container runtime has a `T` after its date.
        let may_be_cri = first.is_ascii_digit() && bytes.get(10) == Some(&b'T');
        let (kind, held) = if may_be_cri && cri(raw).is_some_and(|(_, _, is_partial)| is_partial) {
            // With the mark of a full line, because that is what it becomes.
            let (head, inner, _) = cri(raw)?;
            (Kind::Partial, format!("{head}F {inner}"))
        } else if first == b'{' && !ends_line(raw) && docker(raw).is_some_and(|text| !text.ends_with('\n')) {
            (Kind::Docker, docker(raw)?)
        } else if first == b'_' && (raw.starts_with("__CURSOR=") || raw.starts_with("__REALTIME_TIMESTAMP=")) {
            (Kind::Export, raw.to_owned())
        } else if first == b'{' && raw.trim_end().ends_with(['{', ',', '[']) && open_brackets(raw) > 0 {
            (Kind::Json(open_brackets(raw)), raw.to_owned())
        } else if first == b'<' && xml::begins(raw).is_some_and(|name| !xml::ends(raw, name)) && !raw.trim_end().ends_with("/>") {
            (Kind::Xml, raw.to_owned())
        } else if columns.is_some_and(|c| c.is_open(raw)) {
            (Kind::Row, raw.to_owned())
        } else {
            return Some((Cow::Borrowed(raw), 1));
        };
        (self.kind, self.held, self.lines) = (kind, held, 1);
        None
    }

    fn go_on<'a>(&mut self, raw: &'a str, columns: Option<&Columns>) -> Option<Record<'a>> {
        self.lines += 1;
        let is_whole = match self.kind {
            Kind::Nothing => true,
            Kind::Partial => cri(raw).is_none_or(|(_, inner, is_partial)| {
                self.held.push_str(inner);
                !is_partial
            }),
            Kind::Docker => docker(raw).is_none_or(|text| {
                self.held.push_str(&text);
                text.ends_with('\n')
            }),
            Kind::Export if raw.trim().is_empty() => true,
            Kind::Export => {
                self.held.push('\n');
                self.held.push_str(raw);
                false
            }
            Kind::Json(open) => {
                self.held.push_str(raw.trim());
                let open = (open + opening(raw)).saturating_sub(closing(raw));
                self.kind = Kind::Json(open);
                open == 0
            }
            Kind::Xml => {
                self.held.push('\n');
                self.held.push_str(raw);
                xml::begins(self.held.lines().next().unwrap_or("")).is_none_or(|name| xml::ends(raw, name))
            }
            Kind::Row => {
                self.held.push('\n');
                self.held.push_str(raw);
                // An odd number of quotes closes what is open.
                columns.is_none_or(|c| c.is_open(raw))
            }
        };
        if is_whole { self.finish().map(|(text, lines)| (Cow::Owned(text), lines)) } else { None }
    }
}

/// The time and stream of a container runtime's line, the line inside, and whether it is partial.
fn cri(raw: &str) -> Option<(&str, &str, bool)> {
    const LONGEST_TIME: usize = 40;
    let at = raw.bytes().take(LONGEST_TIME).position(|b| b == b' ')?;
    let rest = raw.get(at + 1..)?;
    let is_stream = rest.starts_with("stdout ") || rest.starts_with("stderr ");
    let mark = rest.get(7..9).filter(|mark| is_stream && matches!(*mark, "F " | "P "))?;
    Some((raw.get(..at + 8)?, rest.get(9..)?, mark == "P "))
}

/// The text of a record of Docker's json-file driver.
fn docker(raw: &str) -> Option<String> {
    if !raw.starts_with("{\"log\":\"") {
        return None;
    }
    parsed_docker(raw)
}

/// Whether the text of a record of Docker ends in a line feed, by its bytes alone.
fn ends_line(raw: &str) -> bool {
    raw.contains("\\n\",") || raw.contains("\\n\"}")
}

fn parsed_docker(raw: &str) -> Option<String> {
    match serde_json::from_str::<Value>(raw.trim()).ok()?.get("log")? {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The name and value of a field of journald's export format.
fn field(raw: &str) -> Option<(&str, &str)> {
    let (name, value) = raw.split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    is_name.then_some((name, value))
}

/// Whether a line is only the name of a field: its value follows, with its length in eight bytes before it, because it is of several lines or no
/// text.
fn field_name(raw: &str) -> bool {
    raw.len() > 1 && raw.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// The fields of an entry of journald as a JSON object.
fn exported(text: &str) -> String {
    const LENGTH: usize = 8;
    let mut fields: Vec<(&str, String)> = Vec::new();
    let mut is_binary = false;
    for line in text.lines() {
        if field_name(line) {
            fields.push((line, String::new()));
            is_binary = true;
        } else if let Some((name, value)) = field(line) {
            fields.push((name, value.to_owned()));
            is_binary = false;
        } else if let Some((_, value)) = fields.last_mut().filter(|_| is_binary) {
            if value.is_empty() {
                value.extend(line.chars().skip(LENGTH));
            } else {
                value.push('\n');
                value.push_str(line);
            }
        }
    }
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
    Value::Object(fields.collect::<Map<_, _>>()).to_string()
}

/// The number of brackets that a line opens, and closes, outside of strings.
fn opening(raw: &str) -> usize {
    brackets(raw, [b'{', b'['])
}

fn closing(raw: &str) -> usize {
    brackets(raw, [b'}', b']'])
}

fn open_brackets(raw: &str) -> usize {
    opening(raw).saturating_sub(closing(raw))
}

fn brackets(raw: &str, which: [u8; 2]) -> usize {
    let (mut quoted, mut escaped, mut count) = (false, false, 0);
    for b in raw.bytes() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b if !quoted && which.contains(&b) => count += 1,
            _ => {}
        }
    }
    count
}

/// The records of a line that holds a batch of them, as OpenTelemetry's JSON encoding of logs does, each as a JSON line. `None` for any other line.
/// <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>
pub fn unfold(raw: &str) -> Option<Vec<String>> {
    if !raw.starts_with("{\"resourceLogs\"") {
        return unfold_list(raw);
    }
    let batch: Value = serde_json::from_str(raw.trim()).ok()?;
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut out = Vec::new();
    for resource in list(&batch, "resourceLogs") {
        let of_resource = attributes(resource.get("resource"));
        for scope in list(&resource, "scopeLogs") {
            for record in list(&scope, "logRecords") {
                let mut fields = of_resource.clone();
                fields.extend(attributes(Some(&record)));
                for name in ["timeUnixNano", "observedTimeUnixNano", "severityText", "severityNumber"] {
                    if let Some(value) = record.get(name).filter(|v| !v.is_null() && v.as_str() != Some("")) {
                        fields.insert(name.to_owned(), value.clone());
                    }
                }
                fields.insert("body".to_owned(), record.get("body").map(plain).unwrap_or_default());
                out.push(Value::Object(fields).to_string());
            }
        }
    }
    Some(out).filter(|records| !records.is_empty())
}

/// How near to its beginning the list of an envelope is, in bytes.
const NEAR: usize = 400;
/// The most members that an envelope has beside its records.
const MAX_ENVELOPE: usize = 6;

/// The records of an object that is only an envelope around a list of them, such as `{"Records":[{…},{…}]}`.
fn unfold_list(raw: &str) -> Option<Vec<String>> {
    static LIST: std::sync::LazyLock<memchr::memmem::Finder<'static>> =
        std::sync::LazyLock::new(|| memchr::memmem::Finder::new("\":[{"));
    let start = raw.as_bytes().first().filter(|b| **b == b'{').and_then(|_| LIST.find(raw.as_bytes()))?;
    if start > NEAR {
        return None;
    }
    let Value::Object(envelope) = serde_json::from_str(raw.trim()).ok()? else { return None };
    let is_list = |v: &Value| v.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_object));
    let (lists, others): (Vec<_>, Vec<_>) = envelope.iter().partition(|(_, v)| is_list(v));
    let is_record = others.iter().any(|(key, _)| {
        ["time", "timestamp", "@timestamp", "ts", "msg", "message", "level", "severity", "event", "kind"]
            .iter()
            .any(|k| key.eq_ignore_ascii_case(k))
    });
    // What has a time of its own is a record.
    let scalars: Vec<(String, String)> = others
        .iter()
        .map(|(key, value)| ((*key).clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let is_record = is_record || roles::time_of(&scalars, Context::utc(Timestamp::from_secs(0))).is_some();
    match lists.as_slice() {
        [(_, list)] if !is_record && others.len() <= MAX_ENVELOPE && !others.iter().any(|(_, v)| v.is_object()) => {
            Some(list.as_array()?.iter().map(Value::to_string).collect())
        }
        _ => None,
    }
}

/// The attributes of a resource or a record.
fn attributes(of: Option<&Value>) -> Map<String, Value> {
    let list = of.and_then(|v| v.get("attributes")).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|a| Some((a.get("key")?.as_str()?.to_owned(), plain(a.get("value")?)))).collect()
}

/// A value without its type: `{"stringValue": "x"}` is `"x"`.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(typed) if typed.len() == 1 => typed.values().next().cloned().unwrap_or_default(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of lines.
    fn records(lines: &[&str]) -> Vec<(String, usize)> {
        let mut assembler = Assembler::default();
        let mut out: Vec<(String, usize)> = lines
            .iter()
            .flat_map(|l| assembler.push(l, None).map(|(text, n)| (text.into_owned(), n)).collect::<Vec<_>>())
            .collect();
        out.extend(assembler.finish());
        out
    }

    #[test]
    fn what_was_cut_is_put_together() {
        let at = "2026-11-21T09:31:07.1Z";
        assert_eq!(
            records(&[&format!("{at} stdout P pool exha"), &format!("{at} stdout F usted"), "next"]),
            [(format!("{at} stdout F pool exhausted"), 2), ("next".to_owned(), 1)]
        );
        let docker = records(&[r#"{"log":"pool exha"}"#, r#"{"log":"usted\n"}"#, r#"{"log":"fine\n"}"#]);
        assert_eq!(docker, [(r#"{"log":"pool exhausted\n"}"#.to_owned(), 2), (r#"{"log":"fine\n"}"#.to_owned(), 1)]);
        let journal = records(&["__CURSOR=s=1", "PRIORITY=3", "MESSAGE=a=b", "", "__CURSOR=s=2", "MESSAGE=c"]);
        assert_eq!(journal.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [4, 2]);
        assert!(journal[0].0.contains(r#""MESSAGE":"a=b""#) && journal[0].0.contains(r#""PRIORITY":"3""#), "{journal:?}");
        let binary = records(&["__CURSOR=s=1", "MESSAGE", "\u{8}\0\0\0\0\0\0\0pool", "full", "PRIORITY=3", ""]);
        assert_eq!(binary.len(), 1);
        assert!(binary[0].0.contains(r#""MESSAGE":"pool\nfull""#) && binary[0].0.contains(r#""PRIORITY":"3""#), "{binary:?}");
        let json = records(&["{", r#"  "a": {"#, r#"    "b": "}{""#, "  }", "}", "text"]);
        assert_eq!(json, [(r#"{"a": {"b": "}{"}}"#.to_owned(), 5), ("text".to_owned(), 1)]);
    }

    #[test]
    fn elements_of_several_lines_are_records() {
        let lines =
            ["<?xml version=\"1.0\"?>", "<log>", "<record>", "  <date>x</date>", "</record>", "<record>", "</record>", "</log>"];
        let counts: Vec<usize> = records(&lines).iter().map(|(_, n)| *n).collect();
        assert_eq!(counts, [1, 1, 3, 2, 1]);
        let flat = ["<Events>", "<Event><a>1</a></Event>", "<Event>", "<a>", "2</a>", "</Event>"];
        let counts: Vec<usize> = records(&flat).iter().map(|(_, n)| *n).collect();
        assert_eq!(counts.iter().sum::<usize>(), flat.len());
        assert_eq!(counts[..2], [1, 1]);
    }

    #[test]
    fn what_does_not_go_on_is_left_as_it_is() {
        let at = "2026-11-21T09:31:07.1Z";
        let cut = records(&[&format!("{at} stdout P pool exha"), "another program"]);
        assert_eq!(cut, [(format!("{at} stdout F pool exha"), 1), ("another program".to_owned(), 1)]);
        assert_eq!(records(&["{ not json,"]).len(), 1);
        assert_eq!(records(&["a", "", "b"]).len(), 3);
        assert_eq!(records(&["<html>", "2026-11-21 09:31:07 next"]).len(), 2);
    }

    #[test]
    fn a_batch_is_taken_apart() {
        let line = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"logRecords":[
            {"timeUnixNano":"1795253467000000000","severityText":"ERROR","body":{"stringValue":"pool full"}},
            {"timeUnixNano":"1795253468000000000","severityNumber":9,"body":{"stringValue":"fine"}}]}]}]}"#;
        let found = unfold(&line.replace('\n', "")).unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[0].contains(r#""body":"pool full""#) && found[0].contains(r#""service.name":"shop""#), "{found:?}");
        assert_eq!(unfold(r#"{"msg":"x"}"#), None);
        assert_eq!(unfold(r#"{"owner":"7","Records":[{"a":1},{"b":2}]}"#).unwrap(), [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(unfold(r#"{"msg":"x","items":[{"a":1}]}"#), None, "a record with a list of its own");
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_lost(lines in proptest::collection::vec("(\\{|\\}|__CURSOR=1|[A-Z]=x||\\PC{0,12}|\\{\"log\":\"x\"\\}|2026-11-21T09:31:07Z stdout [PF] x)", 0..20)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            proptest::prop_assert_eq!(records(&lines).iter().map(|(_, n)| n).sum::<usize>(), lines.len());
        }
    }
}
