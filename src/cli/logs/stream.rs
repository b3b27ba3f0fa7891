//! A log file as batches of records, with the header formats that its lines show.

use std::io::{BufRead, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::analysis::patterns::batch::{Batch, Memory, Piece};
use crate::cli::CliError;
use crate::cli::reading::open;
use crate::sources::lines::read_line;
use crate::telemetry::parse::assemble::{Assembler, unfold};
use crate::telemetry::parse::layout::Layout;
use crate::telemetry::parse::{Context, Formats};
use crate::telemetry::{Timestamp, clean};

/// Number of lines of a batch. Header formats are learned anew for each batch, if its lines show new ones.
const BATCH_LINES: usize = 4000;
/// Number of bytes after which a batch ends as well.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Longest line that is kept, in bytes. The rest of a longer line is dropped.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// The memory of batches that are done.
#[derive(Clone, Debug, Default)]
pub(super) struct Spare(Arc<Mutex<Vec<Memory>>>);

impl Spare {
    fn take(&self) -> Memory {
        self.0.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default()
    }

    /// Memory for the text of the next batch.
    fn take_text(&self) -> Vec<u8> {
        let mut text =
            self.0.lock().ok().and_then(|mut spare| Some(std::mem::take(&mut spare.last_mut()?.text))).unwrap_or_default();
        text.clear();
        text
    }

    pub(super) fn give_back(&self, memory: Memory) {
        if let Ok(mut spare) = self.0.lock() {
            spare.push(memory);
        }
    }
}

/// The lines of one stream, as batches of records.
pub(super) struct Lines {
    context: Context,
    /// Whether each line is a bare message without a header.
    content: bool,
    layout: Arc<Layout>,
    assembler: Assembler,
    spare: Spare,
}

impl Lines {
    pub(super) fn new(context: Context, formats: Formats, content: bool, spare: Spare) -> Self {
        Self { context, content, layout: Arc::new(Layout::with_formats(formats)), assembler: Assembler::default(), spare }
    }

    /// The records of lines. `ends` are the positions in `text` where each line ends. `is_last`: whether no more lines come.
    pub(super) fn batch(&mut self, text: Vec<u8>, ends: Vec<usize>, is_last: bool) -> Batch {
        let mut memory = self.spare.take();
        let (mut text, ends) = self.as_text(text, ends);
        let mut pieces = std::mem::take(&mut memory.pieces);
        pieces.clear();
        if self.content {
            pieces.extend(ranges(&ends).map(|range| Piece { range, lines: 1 }));
            return Batch { text, pieces, layout: None, context: self.context, memory };
        }
        let mut layout = (*self.layout).clone();
        layout.learn_more(ranges(&ends).map(|range| text.get(range).unwrap_or("")), self.context);
        let layout = Arc::new(layout);
        self.layout = Arc::clone(&layout);
        // What was put together or taken apart is written behind the lines.
        let mut further = String::new();
        let behind = text.len();
        let mut add = |record: &str, own: Option<Range<usize>>, lines: usize| {
            let mut write = |record: &str, lines| {
                let start = behind + further.len();
                further.push_str(record);
                pieces.push(Piece { range: start..start + record.len(), lines });
            };
            match (unfold(record), own) {
                (Some(inner), _) => {
                    inner.iter().enumerate().for_each(|(n, record)| write(record, if n == 0 { lines } else { 0 }));
                }
                (None, Some(range)) => pieces.push(Piece { range, lines }),
                (None, None) => write(record, lines),
            }
        };
        for range in ranges(&ends) {
            let raw = text.get(range.clone()).unwrap_or("");
            for (record, lines) in self.assembler.push(raw, layout.columns()) {
                let own = matches!(record, std::borrow::Cow::Borrowed(_)).then(|| range.clone());
                add(&record, own, lines);
            }
        }
        if is_last && let Some((record, lines)) = self.assembler.finish() {
            add(&record, None, lines);
        }
        text.push_str(&further);
        Batch { text, pieces, layout: Some(layout), context: self.context, memory }
    }

    /// Bytes as text, with colour codes removed, which would hide the header.
    fn as_text(&self, text: Vec<u8>, ends: Vec<usize>) -> (String, Vec<usize>) {
        let has_colours = !self.content && memchr::memchr(0x1b, &text).is_some();
        // Text is only copied if it is not valid UTF-8, which is rare and fast to check.
        let bytes = match String::from_utf8(text) {
            Ok(text) if !has_colours => return (text, ends),
            Ok(text) => text.into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let (mut out, mut out_ends) = (String::with_capacity(bytes.len()), Vec::with_capacity(ends.len()));
        for range in ranges(&ends) {
            let line = String::from_utf8_lossy(bytes.get(range).unwrap_or_default());
            out.push_str(&if has_colours { clean::line(&line) } else { line.into_owned() });
            out_ends.push(out.len());
        }
        (out, out_ends)
    }
}

/// A log file that is being read.
pub(super) struct Stream {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    lines: Lines,
    has_ended: bool,
    error: Option<std::io::Error>,
}

impl Stream {
    /// Opens a file, or standard input for `-`. A time without a date is resolved relative to when the file was last written.
    ///
    /// # Errors
    /// When the file cannot be opened or is not text.
    pub(super) fn open(path: &Path, context: Context, formats: Formats, content: bool, spare: Spare) -> Result<Self, CliError> {
        let input = open(path).map_err(|e| describe(path, &e))?;
        let lines = Lines::new(context_of(path, context), formats, content, spare);
        Ok(Self { path: path.to_owned(), input, lines, has_ended: false, error: None })
    }

    /// The context of its times.
    pub(super) fn context(&self) -> Context {
        self.lines.context
    }

    /// The next records. `None` at the end of the file, or when reading fails, see [`Self::ended`].
    pub(super) fn next(&mut self) -> Option<Batch> {
        if self.has_ended {
            return None;
        }
        let (mut text, mut ends) = (self.lines.spare.take_text(), Vec::with_capacity(BATCH_LINES));
        while ends.len() < BATCH_LINES && text.len() < BATCH_BYTES {
            match read_line(self.input.as_mut(), &mut text, MAX_LINE_BYTES) {
                Ok(true) => ends.push(text.len()),
                Ok(false) => {
                    self.has_ended = true;
                    break;
                }
                Err(e) => {
                    // Drop the incomplete line.
                    text.truncate(ends.last().copied().unwrap_or(0));
                    (self.has_ended, self.error) = (true, Some(e));
                    break;
                }
            }
        }
        Some(self.lines.batch(text, ends, self.has_ended)).filter(|batch| !batch.pieces.is_empty() || !self.has_ended)
    }

    /// What went wrong, if reading broke off.
    ///
    /// # Errors
    /// When the file could not be read to its end.
    pub(super) fn ended(self) -> Result<(), CliError> {
        self.error.map_or(Ok(()), |e| Err(describe(&self.path, &e)))
    }
}

/// The context of the times of a file: one without a date is relative to when the file was last written.
pub(super) fn context_of(path: &Path, context: Context) -> Context {
    let modified = path.metadata().ok().and_then(|m| m.modified().ok()).map(|t| Timestamp::from(time::OffsetDateTime::from(t)));
    Context { now: modified.map_or(context.now, |w| w.min(context.now)), ..context }
}

/// The ranges between ends.
fn ranges(ends: &[usize]) -> impl Iterator<Item = Range<usize>> + Clone {
    std::iter::once(0).chain(ends.iter().copied()).zip(ends.iter().copied()).map(|(from, to)| from..to)
}

/// A file that could not be read.
fn describe(path: &Path, error: &std::io::Error) -> CliError {
    if error.kind() == ErrorKind::UnexpectedEof {
        return CliError::failed(format!("cannot read {}: the compressed data is truncated", path.display()));
    }
    CliError::file("read", path, error)
}
