//! Records of a stream on their way into a [`LogAnalysis`](super::log_analysis::LogAnalysis): what can be found out about each by itself is
//! found out first, which several threads can do at a time.

use std::ops::Range;
use std::sync::Arc;

use super::miner::{Shape, Shapes};
use crate::telemetry::parse::layout::Layout;
use crate::telemetry::parse::{Context, Record};

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where its text is.
    pub range: Range<usize>,
    /// The number of lines that it was in its file; 0 for the further records of a line that held several.
    pub lines: usize,
}

/// Memory of batches that are done, to be used again: taken fresh for each, it would cost as much time as a tenth of the work.
#[derive(Debug, Default)]
pub struct Memory {
    pub text: Vec<u8>,
    pub pieces: Vec<Piece>,
    records: Vec<(Record, Option<usize>)>,
    shapes: Shapes,
}

/// Records of one stream that follow each other.
#[derive(Debug)]
pub struct Batch {
    pub text: String,
    pub pieces: Vec<Piece>,
    /// The header formats; `None` if each record is a message as a whole.
    pub layout: Option<Arc<Layout>>,
    pub context: Context,
    /// Memory for what is found out.
    pub memory: Memory,
}

/// What is found out about the records of a batch, beside their headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prepare {
    /// The shapes of their messages; else they are made when the batch is added.
    pub shapes: bool,
    /// The services and fields of lines of text.
    pub details: bool,
}

/// A batch whose records are taken apart, with the shapes of their messages.
#[derive(Debug)]
pub struct PreparedBatch {
    batch: Batch,
    /// Each record with the number of its shape, if it has one already.
    records: Vec<(Record, Option<usize>)>,
    shapes: Shapes,
}

impl Batch {
    /// Takes the records apart. Depends on nothing but the batch.
    pub fn prepare(mut self, what: Prepare) -> PreparedBatch {
        let (mut records, mut shapes) = (std::mem::take(&mut self.memory.records), std::mem::take(&mut self.memory.shapes));
        records.clear();
        shapes.clear();
        for piece in &self.pieces {
            let raw = self.text.get(piece.range.clone()).unwrap_or("");
            let mut record = self.layout.as_ref().map_or_else(Record::bare, |layout| Record::read(raw, layout, self.context));
            if let Some(layout) = self.layout.as_ref().filter(|_| what.details) {
                record.add_details(raw, layout, self.context);
            }
            // In a stream with times, most lines without one are parts of others and have no pattern.
            let is_event = record.at.is_some() || self.layout.as_ref().is_none_or(|layout| !layout.has_times());
            let shape = (is_event && what.shapes).then(|| shapes.add(record.message(raw).as_bytes()));
            records.push((record, shape));
        }
        PreparedBatch { batch: self, records, shapes }
    }
}

impl PreparedBatch {
    /// Its memory, to be used again.
    pub fn into_memory(self) -> Memory {
        Memory { text: self.batch.text.into_bytes(), pieces: self.batch.pieces, records: self.records, shapes: self.shapes }
    }

    /// The header formats of the stream, and the context of its times.
    pub(super) fn stream(&self) -> (Option<Arc<Layout>>, Context) {
        (self.batch.layout.clone(), self.batch.context)
    }

    /// Gives each record with its text, its number of lines and its shape, in order.
    pub(super) fn take(&mut self, mut each: impl FnMut(&str, usize, Record, Option<Shape<'_>>)) {
        for (piece, (record, shape)) in self.batch.pieces.iter().zip(self.records.drain(..)) {
            let raw = self.batch.text.get(piece.range.clone()).unwrap_or("");
            each(raw, piece.lines, record, shape.and_then(|number| self.shapes.get(number)));
        }
    }
}
