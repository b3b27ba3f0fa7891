//! A log file that grows, or a pipe.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use super::stream::{Lines, Spare, context_of};
use crate::analysis::patterns::batch::Batch;
use crate::cli::CliError;
use crate::telemetry::parse::{Context, Formats, Sequence};

/// The most bytes that are read at a time.
const CHUNK: usize = 1024 * 1024;
/// How long to wait for new lines.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether a path leads to another file by now.
fn is_other(file: &File, now: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        file.metadata().is_ok_and(|open| open.ino() != now.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = (file, now);
        false
    }
}

/// Where the bytes come from.
enum Input {
    File { file: File, at: u64 },
    Pipe(Receiver<Vec<u8>>),
}

/// The end of a log file.
pub(super) struct Tail {
    path: PathBuf,
    input: Input,
    /// The beginning of a line whose end is not there yet.
    partial: Vec<u8>,
    lines: Lines,
    sequence: Sequence,
    has_ended: bool,
}

impl Tail {
    /// Opens a file from its start, or standard input for `-`. Compressed files do not grow.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn open(path: &Path, context: Context, formats: Formats, content: bool) -> Result<Self, CliError> {
        let input = if path.as_os_str() == "-" {
            let (sender, chunks) = sync_channel(4);
            std::thread::spawn(move || {
                let mut stdin = std::io::stdin().lock();
                let mut chunk = vec![0; CHUNK];
                // A pipe that breaks ends.
                while let Some(n) = stdin.read(&mut chunk).ok().filter(|n| *n > 0) {
                    if sender.send(chunk.get(..n).unwrap_or_default().to_vec()).is_err() {
                        return;
                    }
                }
            });
            Input::Pipe(chunks)
        } else {
            Input::File { file: File::open(path).map_err(|e| CliError::file("read", path, &e))?, at: 0 }
        };
        let lines = Lines::new(context_of(path, context), formats, content, Spare::default());
        Ok(Self { path: path.to_owned(), input, partial: Vec::new(), lines, sequence: Sequence::default(), has_ended: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing more can come.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// What its lines so far say about the next one.
    pub(super) fn take_sequence(&mut self) -> Sequence {
        std::mem::take(&mut self.sequence)
    }

    pub(super) fn keep_sequence(&mut self, sequence: Sequence) {
        self.sequence = sequence;
    }

    /// The lines that were added. `None` if there are none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, CliError> {
        let added = self.added().map_err(|e| CliError::file("read", &self.path, &e))?;
        if added.is_empty() && (self.partial.is_empty() || !self.has_ended) {
            return Ok(None);
        }
        let mut text = std::mem::take(&mut self.partial);
        text.extend_from_slice(&added);
        let end = if self.has_ended { text.len() } else { memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1) };
        // A line without an end is one at some length.
        let end = if text.len() - end > CHUNK { text.len() } else { end };
        self.partial = text.split_off(end);
        let (mut kept, mut ends) = (Vec::with_capacity(text.len()), Vec::new());
        for line in text.split(|b| *b == b'\n') {
            kept.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            ends.push(kept.len());
        }
        // After the last line feed comes no line.
        if text.ends_with(b"\n") || text.is_empty() {
            ends.pop();
        }
        Ok(Some(self.lines.batch(kept, ends, self.has_ended)).filter(|batch| !batch.pieces.is_empty()))
    }

    /// The bytes that were added, at most [`CHUNK`].
    fn added(&mut self) -> std::io::Result<Vec<u8>> {
        match &mut self.input {
            Input::Pipe(chunks) => match chunks.try_recv() {
                Ok(chunk) => Ok(chunk),
                Err(TryRecvError::Empty) => Ok(Vec::new()),
                Err(TryRecvError::Disconnected) => {
                    self.has_ended = true;
                    Ok(Vec::new())
                }
            },
            Input::File { file, at } => {
                let mut chunk = vec![0; CHUNK];
                let n = file.read(&mut chunk)?;
                chunk.truncate(n);
                *at += n as u64;
                // A file that was cut begins anew, and so does one that was replaced.
                if n == 0 && std::fs::metadata(&self.path).is_ok_and(|now| now.len() < *at || is_other(file, &now)) {
                    *file = File::open(&self.path)?;
                    *at = 0;
                }
                Ok(chunk)
            }
        }
    }

    /// Waits a moment for new lines, or until `stop` is set.
    pub(super) fn wait(stop: &AtomicBool) {
        let step = Duration::from_millis(50);
        let mut left = PAUSE;
        while !stop.load(Ordering::Relaxed) && !left.is_zero() {
            std::thread::sleep(step);
            left = left.saturating_sub(step);
        }
    }
}
