//! Joins the lines of one event: stack traces, wrapped messages, private keys.

use super::super::clean;
use super::super::log::LogLine;
use super::assemble::{Assembler, unfold};
use super::layout::Layout;
use super::{Context, line_of};

/// The maximum number of further lines kept with one event; the rest are dropped.
const MAX_JOINED: usize = 200;

/// Joins raw lines into events. Takes the lines in order and returns an event when the next one begins; [`Joiner::finish`]
/// returns the last one.
#[derive(Debug)]
pub struct Joiner {
    context: Context,
    open: Option<LogLine>,
    joined: usize,
    /// Whether the stream has had a line with a time; a line without one then continues the event before it.
    has_times: bool,
    layout: Layout,
    assembler: Assembler,
}

impl Joiner {
    /// A joiner for one stream.
    pub fn new(context: Context) -> Self {
        Self { context, open: None, joined: 0, has_times: false, layout: Layout::default(), assembler: Assembler::default() }
    }

    /// Sets the header formats of the stream, learned from a sample of its lines.
    pub fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    /// Sets the context for the times of the lines that follow.
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// Takes the next raw line. Returns the events that it ends: the previous one if the line begins a new one, and more if it holds several
    /// records.
    pub fn push(&mut self, raw: &str) -> Vec<LogLine> {
        let raw = raw.trim_end_matches(['\n', '\r']);
        let whole: Vec<_> = self.assembler.push(raw, self.layout.columns()).map(|(record, _)| record).collect();
        whole.into_iter().flat_map(|record| self.record(&record)).collect()
    }

    /// Takes a record, which may hold several.
    fn record(&mut self, record: &str) -> Vec<LogLine> {
        match unfold(record) {
            Some(inner) => inner.iter().filter_map(|line| self.line(line)).collect(),
            None => self.line(record).into_iter().collect(),
        }
    }

    /// Takes the next line. Returns the previous event if the line begins a new one.
    fn line(&mut self, raw: &str) -> Option<LogLine> {
        if self.layout.columns().is_some_and(|columns| columns.is_head(raw)) {
            return None;
        }
        if let Some(open) = self.open.as_mut()
            && continues(raw, open)
        {
            self.joined += 1;
            if self.joined <= MAX_JOINED {
                open.message.push('\n');
                open.message.push_str(&clean::line(raw));
            } else if self.joined == MAX_JOINED + 1 {
                open.message.push_str("\n… (further lines of this event omitted)");
            }
            return None;
        }
        let mut next = line_of(raw, &self.layout, self.context);
        if let Some(open) = self.open.as_mut().filter(|open| open.at.is_some() && self.joined == 0)
            && next.at.is_none()
            && next.fields.is_empty()
        {
            // A header alone on a line dates what follows, and a logger may write the level at the start of a second line.
            if !open.message.chars().any(char::is_alphanumeric) {
                (next.at, next.level) = (open.at, next.level.or(open.level));
                self.open = Some(next);
                return None;
            }
            if open.level.is_none() && next.level.is_some() {
                open.level = next.level;
                self.joined += 1;
                open.message.push('\n');
                open.message.push_str(&next.message);
                return None;
            }
        }
        if let Some(open) = self.open.as_mut()
            && next.at.is_none()
            && next.fields.is_empty()
            && self.has_times
            && open.at.is_some()
            && next.level.is_none()
        {
            self.joined += 1;
            if self.joined <= MAX_JOINED {
                open.message.push('\n');
                open.message.push_str(&next.message);
            }
            return None;
        }
        self.has_times |= next.at.is_some();
        self.joined = 0;
        self.open.replace(next)
    }

    /// Returns the events that are still open. Call it at the end of the stream, or when no line has come for a while.
    pub fn finish(&mut self) -> Vec<LogLine> {
        let held = self.assembler.finish().map(|(record, _)| self.record(&record));
        self.joined = 0;
        held.into_iter().flatten().chain(self.open.take()).collect()
    }
}

/// Whether a raw line continues the open event, judged by its text alone.
fn continues(raw: &str, open: &LogLine) -> bool {
    // The lines of a private key stay together, so that redaction can recognise them as a key.
    let has_key = open.message.rfind("PRIVATE KEY-----").is_some_and(|_| open.message.contains("-----BEGIN "));
    if has_key && !open.message.contains("-----END ") {
        return true;
    }
    // Go writes a blank line between a panic and its goroutines.
    if raw.trim().is_empty() {
        return open.message.starts_with("panic: ") || open.message.contains("\npanic: ") || open.message.contains("goroutine ");
    }
    if raw.starts_with([' ', '\t']) {
        return true;
    }
    let trace_open = open.message.contains("Traceback (most recent call last)") || open.message.contains("\n  File \"");
    raw.starts_with("Caused by:")
        || raw.starts_with("Suppressed:")
        || raw.starts_with("Traceback (most recent call last)")
        || raw.starts_with("goroutine ") && raw.ends_with("]:")
        || open.message.contains("\ngoroutine ") && (raw.ends_with(')') || raw.starts_with("created by ") || raw.starts_with("exit status "))
        || raw.starts_with("-----BEGIN ") && raw.contains("PRIVATE KEY")
        // The last line of a Python traceback, `ValueError: …`, which is not indented.
        || trace_open && raw.split(':').next().is_some_and(|w| !w.contains(' ') && w.ends_with(|c: char| c.is_alphanumeric()))
}
