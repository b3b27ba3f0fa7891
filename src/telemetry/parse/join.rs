//! Joins the lines of one event.

use std::sync::Arc;

use super::super::clean;
use super::super::log::LogLine;
use super::assemble::{Assembler, unfold};
use super::layout::Layout;
use super::record::Record;
use super::sequence::{Place, Sequence};
use super::{Context, Formats};

/// The maximum number of further lines kept with one event; the rest are dropped.
const MAX_JOINED: usize = 200;

/// The number of lines that a joiner learns from.
const SAMPLE_LINES: usize = 400;

/// Joins raw lines into events. Takes the lines in order and returns an event when the next one begins; [`Joiner::finish`]
/// returns the last one.
#[derive(Debug)]
pub struct Joiner {
    context: Context,
    /// The event that may go on.
    open: Option<LogLine>,
    /// The number of further lines of that event, and of blank lines after them.
    joined: usize,
    blank: usize,
    /// A header without a message.
    header: Option<LogLine>,
    sequence: Sequence,
    layout: Arc<Layout>,
    assembler: Assembler,
    /// The first lines of a stream whose header formats are learned on the way.
    sample: Option<(Formats, Vec<String>)>,
}

impl Joiner {
    /// A joiner for one stream.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            open: None,
            joined: 0,
            blank: 0,
            header: None,
            sequence: Sequence::default(),
            layout: Arc::default(),
            assembler: Assembler::default(),
            sample: None,
        }
    }

    /// A joiner for a stream that is still short: it learns the header formats from its first lines as they come. `first`: those that are known.
    pub fn learning(context: Context, formats: Formats, first: Vec<String>) -> Self {
        let mut joiner = Self { sample: Some((formats, Vec::new())), ..Self::new(context) };
        for line in &first {
            joiner.learn(line, first.len());
        }
        joiner
    }

    /// Learns from a further line of the sample of at least `coming` lines: each time that it has doubled, because a form is only known from
    /// several lines.
    fn learn(&mut self, raw: &str, coming: usize) {
        let Some((formats, sample)) = self.sample.as_mut() else { return };
        sample.push(raw.to_owned());
        if sample.len() >= coming && (sample.len().is_power_of_two() || sample.len() == coming) || sample.len() == SAMPLE_LINES {
            let mut layout = Layout::with_formats(formats.clone());
            layout.learn_more(sample.iter().map(String::as_str), self.context);
            self.layout = Arc::new(layout);
        }
        if sample.len() == SAMPLE_LINES {
            self.sample = None;
        }
    }

    /// Sets the header formats of the stream, learned from a sample of its lines.
    pub fn set_layout(&mut self, layout: impl Into<Arc<Layout>>) {
        self.layout = layout.into();
    }

    /// Sets the context for the times of the lines that follow.
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// Takes the next raw line. Returns the events that it ends: the previous one if the line begins a new one, and more if it holds several
    /// records.
    pub fn push(&mut self, raw: &str) -> Vec<LogLine> {
        let raw = raw.trim_end_matches(['\n', '\r']);
        self.learn(raw, 0);
        let whole: Vec<_> = self.assembler.push(raw, self.layout.columns()).map(|(record, _)| record).collect();
        let mut ended = Vec::new();
        for record in whole {
            self.record(&record, &mut ended);
        }
        ended
    }

    /// Takes the next record of a stream whose records are already put together and taken apart. Returns the events that it ends.
    pub fn push_record(&mut self, record: &str) -> Vec<LogLine> {
        let mut ended = Vec::new();
        self.line(record, &mut ended);
        ended
    }

    /// Takes a record, which may hold several.
    fn record(&mut self, record: &str, ended: &mut Vec<LogLine>) {
        match unfold(record) {
            Some(inner) => inner.iter().for_each(|line| self.line(line, ended)),
            None => self.line(record, ended),
        }
    }

    /// Takes the next line, and adds the events that it ends.
    fn line(&mut self, raw: &str, ended: &mut Vec<LogLine>) {
        let layout = Arc::clone(&self.layout);
        let mut record = Record::read(raw, &layout, self.context);
        let has_time = record.at.is_some();
        match self.sequence.place(raw, &mut record, &layout) {
            Place::Event => {
                // A header that dates this line is part of it.
                let header = self.header.take().filter(|h| has_time && !h.message.trim().is_empty());
                ended.extend(self.open.take());
                ended.extend(header);
                (self.joined, self.blank) = (0, 0);
                self.open = Some(record.into_line(raw, &layout, self.context));
            }
            Place::HeaderAlone => {
                ended.extend(self.open.take());
                ended.extend(self.header.take().filter(|h| !h.message.trim().is_empty()));
                self.header = Some(record.into_line(raw, &layout, self.context));
            }
            Place::Further => self.further(raw),
            Place::FurtherWithLevel(level) => {
                if let Some(open) = self.open.as_mut() {
                    open.level = open.level.or(Some(level));
                }
                self.further(raw);
            }
        }
    }

    /// Adds a line to the open event.
    fn further(&mut self, raw: &str) {
        let Some(open) = self.open.as_mut() else { return };
        // Blank lines count only between others.
        if raw.trim().is_empty() {
            self.blank += 1;
            return;
        }
        if self.layout.columns().is_some_and(|columns| columns.is_head(raw)) {
            return;
        }
        for line in std::iter::repeat_n("", std::mem::take(&mut self.blank)).chain([raw]) {
            self.joined += 1;
            if self.joined <= MAX_JOINED {
                open.message.push('\n');
                open.message.push_str(&clean::line(line));
            } else if self.joined == MAX_JOINED + 1 {
                open.message.push_str("\n… (further lines of this event omitted)");
            }
        }
    }

    /// Returns the events that are still open. Call it at the end of the stream, or when no line has come for a while.
    pub fn finish(&mut self) -> Vec<LogLine> {
        let mut ended = Vec::new();
        if let Some((record, _)) = self.assembler.finish() {
            self.record(&record, &mut ended);
        }
        ended.extend(self.open.take());
        ended.extend(self.header.take().filter(|h| !h.message.trim().is_empty()));
        (self.joined, self.blank) = (0, 0);
        self.sequence.end_event();
        ended
    }
}
