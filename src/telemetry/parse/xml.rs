//! Records that are XML elements: events of Windows, of log4j's and Java's XML layouts, and the like.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::super::log::LogLine;
use super::{Context, fields};

/// The most fields of a record.
const MAX_FIELDS: usize = 64;
/// The most elements within one another.
const MAX_DEPTH: usize = 16;

/// The name of the element that a line begins with, if the line can begin a record: it ends with a tag as well.
pub(super) fn begins(raw: &str) -> Option<&str> {
    let rest = raw.strip_prefix('<').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, ':' | '_' | '-' | '.'))?;
    let name = rest.get(..end)?;
    let has_attributes = rest.get(end..)?.starts_with([' ', '>', '/']);
    (has_attributes && raw.trim_end().ends_with('>')).then_some(name)
}

/// Whether an element that has begun ends in this line.
pub(super) fn ends(raw: &str, name: &str) -> bool {
    let raw = raw.trim_end();
    raw.strip_suffix('>').and_then(|r| r.trim_end().strip_suffix(name)).is_some_and(|r| r.ends_with("</"))
}

/// Whether a line is a tag that opens an element, and nothing else.
pub(super) fn is_lone_tag(raw: &str) -> bool {
    begins(raw).is_some() && raw.matches('<').count() == 1 && !raw.trim_end().ends_with("/>")
}

/// Whether a line is only around records: a declaration, or a tag that opens or closes a list of them.
pub(super) fn is_frame(raw: &str) -> bool {
    let is_declaration = raw.starts_with("<?xml") || raw.starts_with("<!DOCTYPE");
    is_declaration || is_lone_tag(raw) || raw.starts_with("</") && raw.trim_end().ends_with('>') && raw.matches('<').count() == 1
}

/// Whether a line is a whole element with elements in it.
pub(super) fn is_nested(raw: &str) -> bool {
    begins(raw).is_some_and(|name| ends(raw, name)) && raw.matches('<').count() - raw.matches("<![CDATA[").count() > 2
}

/// Reads an element with a time. `None` for any other text.
pub(super) fn record(raw: &str, context: Context) -> Option<LogLine> {
    begins(raw)?;
    Some(fields::assemble(pairs(raw)?, context)).filter(|line| line.at.is_some())
}

/// The texts of the elements and the values of the attributes. An element in another one has its own name only; an attribute has that of
/// its element before it, except at the root. `<Data Name="x">` is named by its attribute.
fn pairs(raw: &str) -> Option<Vec<(String, String)>> {
    let mut reader = Reader::from_str(raw.trim());
    let mut out: Vec<(String, String)> = Vec::new();
    // The names of the open elements, and their texts so far.
    let mut open: Vec<(String, String)> = Vec::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                let name = begin(&tag, open.is_empty(), &mut out)?;
                open.push((name, String::new()));
            }
            Event::Empty(tag) => {
                begin(&tag, open.is_empty(), &mut out)?;
            }
            Event::End(_) => {
                let (name, text) = open.pop()?;
                if !text.trim().is_empty() {
                    out.push((name, text.trim().to_owned()));
                }
                if open.is_empty() {
                    return (!out.is_empty()).then_some(out);
                }
            }
            Event::Text(text) => open.last_mut()?.1.push_str(&text.xml10_content()),
            Event::CData(text) => open.last_mut()?.1.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) => {
                let letter = match (entity.resolve_char_ref().ok()?, entity.xml10_content().as_ref()) {
                    (Some(letter), _) => letter,
                    (None, "lt") => '<',
                    (None, "gt") => '>',
                    (None, "amp") => '&',
                    (None, "quot") => '"',
                    (None, "apos") => '\'',
                    _ => return None,
                };
                open.last_mut()?.1.push(letter);
            }
            Event::Eof => return None,
            _ => {}
        }
        if open.len() > MAX_DEPTH || out.len() > MAX_FIELDS {
            return None;
        }
    }
}

/// Adds the attributes of an element, and returns the name of its text.
fn begin(tag: &BytesStart<'_>, is_root: bool, out: &mut Vec<(String, String)>) -> Option<String> {
    let mut name = tag.local_name().as_ref().to_owned();
    for attribute in tag.attributes() {
        let attribute = attribute.ok()?;
        let (key, value) = (attribute.key.as_ref(), attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned());
        match key {
            key if key == "xmlns" || key.starts_with("xmlns:") => {}
            "Name" | "name" if matches!(name.as_str(), "Data" | "data" | "field" | "property" | "param") => name = value,
            key if is_root => out.push((key.to_owned(), value)),
            key => out.push((format!("{name}.{key}"), value)),
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::Level;
    use crate::telemetry::time::Timestamp;

    fn read(raw: &str) -> Option<(String, Option<Level>, String)> {
        let line = record(raw, Context::utc(Timestamp::from_secs(1_795_253_467)))?;
        Some((line.at?.rfc3339(), line.level, line.message))
    }

    #[test]
    fn reads_events_of_windows_and_of_java() {
        let at = || "2026-11-21T09:31:07Z".to_owned();
        let windows = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Disk'/><EventID Qualifiers='0'>7</EventID>\
            <Level>2</Level><TimeCreated SystemTime='2026-11-21T09:31:07.0000000Z'/></System><EventData><Data Name='Device'>sda &amp; sdb</Data></EventData>\
            <RenderingInfo Culture='en-US'><Message>bad block</Message></RenderingInfo></Event>";
        assert_eq!(read(windows), Some((at(), Some(Level::Error), "bad block".into())));
        let log4j = "<log4j:event logger=\"a.B\" timestamp=\"1795253467000\" level=\"WARN\" thread=\"main\">\n\
            <log4j:message><![CDATA[pool <full>]]></log4j:message>\n</log4j:event>";
        assert_eq!(read(log4j), Some((at(), Some(Level::Warn), "pool <full>".into())));
        let java =
            "<record>\n  <date>2026-11-21T09:31:07Z</date>\n  <level>SEVERE</level>\n  <message>pool full</message>\n</record>";
        assert_eq!(read(java), Some((at(), Some(Level::Error), "pool full".into())));
    }

    #[test]
    fn other_text_is_no_record() {
        for raw in [
            "<13>x",
            "<alice> hello",
            "<html><body>x</body></html>",
            "<a",
            "<a><b></a>",
            "<a>&nope;</a>",
            "<a t='2026-11-21'/>",
            "<",
            "<a/>",
        ] {
            assert_eq!(read(raw), None, "{raw}");
        }
        assert_eq!(read(&format!("{}2026-11-21T09:31:07Z{}", "<a>".repeat(100_000), "</a>".repeat(100_000))), None, "too deep");
    }

    #[test]
    fn a_record_begins_and_ends_with_its_tag() {
        assert_eq!((begins("<a:b c='d'>"), begins("<alice> hi"), begins("<a")), (Some("a:b"), None, None));
        assert!(ends("x</a:b> ", "a:b") && !ends("</a:bc>", "b"));
        assert!(is_lone_tag("<log>") && !is_lone_tag("<a>x</a>"));
        assert!(is_nested("<E><a>1</a></E>") && !is_nested("<time>1</time>"));
    }
}
