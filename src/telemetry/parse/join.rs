//! Keeps the further lines of one event together: stack traces, wrapped messages.

use super::super::clean;
use super::super::log::LogLine;
use super::{Context, line};

/// Further lines kept with one event; a trace of more is cut and says so.
const MAX_JOINED: usize = 200;

/// Feed raw lines in order; an event comes out when the next one begins, the last with [`Joiner::finish`].
#[derive(Debug)]
pub struct Joiner {
    context: Context,
    open: Option<LogLine>,
    joined: usize,
    /// Whether a line with a time was seen: then a line without one continues.
    timed: bool,
}

impl Joiner {
    /// A joiner for one stream.
    pub fn new(context: Context) -> Self {
        Self { context, open: None, joined: 0, timed: false }
    }

    /// Reads the times of what comes next so.
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// Takes the next raw line; returns the event that it ends, if it does.
    pub fn push(&mut self, raw: &str) -> Option<LogLine> {
        let raw = raw.trim_end_matches(['\n', '\r']);
        if let Some(open) = self.open.as_mut()
            && continues(raw, open)
        {
            self.joined += 1;
            if self.joined <= MAX_JOINED {
                open.message.push('\n');
                open.message.push_str(&clean::line(raw));
            } else if self.joined == MAX_JOINED + 1 {
                open.message.push_str("\n… (more lines of this event were left out)");
            }
            return None;
        }
        let next = line(raw, self.context);
        if let Some(open) = self.open.as_mut()
            && next.at.is_none()
            && next.fields.is_empty()
            && self.timed
            && open.at.is_some()
            && next.level.is_none()
        {
            self.joined += 1;
            if self.joined <= MAX_JOINED {
                open.message.push('\n');
                open.message.push_str(&clean::line(raw));
            }
            return None;
        }
        self.timed |= next.at.is_some();
        self.joined = 0;
        self.open.replace(next)
    }

    /// The event still open at the end of the stream, or when it has been quiet for a while.
    pub fn finish(&mut self) -> Option<LogLine> {
        self.joined = 0;
        self.open.take()
    }
}

/// Whether a raw line goes on with the open event, by its shape alone.
fn continues(raw: &str, open: &LogLine) -> bool {
    // A key's lines belong together, whatever they look like: apart, none would be known for what it is.
    let opened = open.message.rfind("PRIVATE KEY-----").is_some_and(|_| open.message.contains("-----BEGIN "));
    if opened && !open.message.contains("-----END ") {
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
        // The last line of a Python traceback: `ValueError: …` at the margin.
        || trace_open && raw.split(':').next().is_some_and(|w| !w.contains(' ') && w.ends_with(|c: char| c.is_alphanumeric()))
}
