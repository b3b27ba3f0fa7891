//! One record of a stream taken apart by what is known of the stream. What the lines before it say is the matter of [`super::Sequence`].

use super::super::clean;
use super::super::log::{Level, LogLine};
use super::super::time::Timestamp;
use super::layout::Layout;
use super::{Columns, Context, access, is_logfmt, line, prefixed_json, split_compose_line, stamp, syslog, xml};

/// What a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A line of text: a header, if any, and then the message.
    #[default]
    Text,
    /// Fields with names, in [`Record::line`].
    Structured,
    /// What is around records: the names of columns, tags.
    Frame,
    /// Nothing but white space.
    Blank,
}

/// A record taken apart.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub form: Form,
    pub at: Option<Timestamp>,
    pub level: Option<Level>,
    /// Byte offset where the message of a line of text begins.
    pub message_start: usize,
    /// Method and status class of an access log's line, such as `GET 5xx`.
    pub class: Option<&'static str>,
    /// A structured record, with its message.
    pub line: Option<Box<LogLine>>,
    /// What else a line of text says, see [`Self::add_details`].
    pub details: Option<Box<LogLine>>,
    /// Whether hardly any line of the stream has its time in this form, and whether fewer have it than half of those in another form.
    pub is_rare: bool,
    pub is_minor: bool,
    /// Whether it is the line of a container runtime around a part of an event.
    is_part: bool,
}

impl Record {
    /// Takes a record apart. `raw` is one line, or what [`super::assemble::Assembler`] put together.
    pub fn read(raw: &str, layout: &Layout, context: Context) -> Self {
        let context = Context { scale: layout.scale(), order: layout.order(), ..context };
        // A file that was cut while its program wrote on begins with zeros.
        let text = raw.trim_start_matches('\0');
        let zeros = raw.len() - text.len();
        if text.bytes().all(|b| b.is_ascii_whitespace()) {
            return Self { form: Form::Blank, message_start: raw.len(), ..Self::default() };
        }
        if let Some((line, _)) = layout.formats().read(text, context) {
            return Self::of(line, None);
        }
        if let Some(row) = layout.columns().and_then(|columns| Self::row(text, columns, context)) {
            return row;
        }
        if let Some(structured) = Self::structured(text, None, None, context) {
            return structured;
        }
        if text.starts_with('<') {
            if let Some(line) = xml::record(text, context) {
                return Self::of(line, None);
            }
            if xml::is_frame(text) {
                return Self { form: Form::Frame, ..Self::default() };
            }
        }
        if let Some((level, inner)) = syslog::priority(text)
            && let Some(structured) = Self::structured(inner.trim_start(), None, None, context)
        {
            return Self { level: structured.level.or(Some(level)), ..structured };
        }
        if let Some((inner, service)) = prefixed_json(text)
            && let Some(structured) = Self::structured(inner, None, service, context)
        {
            return structured;
        }
        // Docker Compose puts the service name before each line.
        let bar = memchr::memchr(b'|', text.as_bytes().get(..MAX_COMPOSE_PREFIX).unwrap_or(text.as_bytes()));
        if let Some((service, inner)) = bar.and_then(|_| split_compose_line(text))
            && let Some(structured) = Self::structured(inner, None, Some(service), context)
        {
            return structured;
        }
        let head = layout.header(text, context);
        let message = text.get(head.message_start..).unwrap_or("");
        if head.at.is_some()
            && let Some(structured) = Self::structured(message, head.at, None, context)
        {
            return Self { level: structured.level.or(head.level), ..structured };
        }
        // In an access log each status class is a pattern of its own.
        let class = || {
            access::method_and_status(message)
                .or_else(|| access::named_method_and_status(message))
                .or_else(|| access::result_and_status(message))
        };
        let class = if head.at.is_some() && head.level.is_none() { class() } else { None };
        Self {
            form: Form::Text,
            at: head.at,
            level: head.level.or(class.and_then(|(_, level)| level)),
            message_start: zeros + head.message_start,
            class: class.map(|(name, _)| name),
            line: None,
            details: None,
            is_rare: head.is_rare,
            is_minor: head.is_minor,
            is_part: head.is_part,
        }
    }

    /// A record whose text is its message as a whole.
    pub fn bare() -> Self {
        Self::default()
    }

    /// A JSON or logfmt record, whose message is in a field. `at` and `service` come from a header and are used when the record has none of
    /// its own. `None` when it is not structured.
    fn structured(text: &str, at: Option<Timestamp>, service: Option<&str>, context: Context) -> Option<Self> {
        if !text.starts_with('{') && !is_logfmt(text) {
            return None;
        }
        let mut found = line(text, context);
        found.at = found.at.or(at);
        if found.at.is_none() && found.fields.is_empty() {
            return None;
        }
        found.service = found.service.or_else(|| service.map(clean::line));
        Some(Self::of(found, None))
    }

    /// A row of columns, or their names. `None` when the line is neither.
    fn row(text: &str, columns: &Columns, context: Context) -> Option<Self> {
        if columns.is_head(text) {
            return Some(Self { form: Form::Frame, ..Self::default() });
        }
        let row = columns.row(text, context)?;
        let field = |names: [&str; 2]| names.iter().find_map(|name| row.fields.get(*name));
        let status = field(["sc-status", "status"]).and_then(|s| s.parse().ok());
        let class = field(["cs-method", "method"]).zip(status).and_then(|(m, s)| access::method_and_status_of(m, s));
        let level = row.level.or(class.map(|(_, level)| level));
        Some(Self::of(LogLine { level, ..row }, class.map(|(name, _)| name)))
    }

    fn of(line: LogLine, class: Option<&'static str>) -> Self {
        Self { form: Form::Structured, at: line.at, level: line.level, class, line: Some(Box::new(line)), ..Self::default() }
    }

    /// The message, where `raw` is the text that the record was read from.
    pub fn message<'a>(&'a self, raw: &'a str) -> &'a str {
        match &self.line {
            Some(line) => &line.message,
            None => raw.get(self.message_start..).unwrap_or(raw),
        }
    }

    /// Finds the service and the fields of a line of text as well, which takes longer than everything else.
    pub fn add_details(&mut self, raw: &str, layout: &Layout, context: Context) {
        if self.form == Form::Text {
            self.details = Some(Box::new(self.clone().into_line(raw, layout, context)));
        }
    }

    /// The service that wrote it, if it names one.
    pub fn service(&self) -> Option<&str> {
        self.line.as_ref().or(self.details.as_ref())?.service.as_deref()
    }

    /// The value of one of its fields; also `level` and `service`.
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "level" => self.level.map(Level::word),
            "service" => self.service(),
            _ => self.line.as_ref().or(self.details.as_ref())?.fields.get(name).map(String::as_str),
        }
    }

    /// The record as a line with everything that its text says, cleaned.
    pub fn into_line(self, raw: &str, layout: &Layout, context: Context) -> LogLine {
        let context = Context { order: layout.order(), ..context };
        let (at, level) = (self.at, self.level);
        if let Some(line) = self.line {
            return LogLine { at, level, ..*line };
        }
        let raw = raw.trim_start_matches('\0');
        let message = clean::line(raw.get(self.message_start..).unwrap_or(raw));
        if self.is_part {
            return LogLine { at, level, ..LogLine::plain(message) };
        }
        let parsed = line(raw, context);
        // Behind the header of syslog, the line of a program has its own.
        if let Some((level, at, message)) = stamp::klog(&parsed.message, context) {
            let message = message.to_owned();
            return LogLine { at: Some(at), level: Some(level), message, ..parsed };
        }
        // Structured lines and access logs have their own fields.
        let class = access::method_and_status(&parsed.message);
        if layout.is_empty() || !parsed.fields.is_empty() || raw.contains('\u{1b}') || class.is_some() {
            let of_class = class.and_then(|(_, level)| level);
            return LogLine { at: parsed.at.or(at), level: parsed.level.or(level).or(of_class), ..parsed };
        }
        let is_same_time = parsed.at.is_none() || parsed.at == at;
        let has_less = !message.trim().is_empty() && message.len() < parsed.message.len();
        let message = if at.is_some() && is_same_time && has_less { message } else { parsed.message };
        LogLine { at: parsed.at.or(at), level: parsed.level.or(level), message, ..LogLine { message: String::new(), ..parsed } }
    }
}

/// Bytes at the start of a line in which the service name and bar of Docker Compose are looked for.
const MAX_COMPOSE_PREFIX: usize = 80;
