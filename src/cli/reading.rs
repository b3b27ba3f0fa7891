//! Reads long input, plain or compressed, with a progress line. The first Ctrl-C stops the reading.

use std::fs::File;
use std::io::{BufRead, IsTerminal, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{CliError, Done, out};
use crate::sources::lines::open_text;
use crate::telemetry::words::count;

/// The message after a Ctrl-C stopped the reading.
pub(super) const STOPPED: &str = "warroom: stopped; the result covers only the input read so far";

/// Runs a long job on a blocking thread. The first Ctrl-C sets the flag that is passed to the job, so that it can stop and
/// print its result so far; the second exits with status 130.
pub(super) async fn run_interruptible(
    job: impl FnOnce(&AtomicBool) -> Result<Done, CliError> + Send + 'static,
) -> Result<Done, CliError> {
    let interrupt = on_ctrl_c(|| STOP_REQUESTED.store(true, Ordering::Relaxed));
    let done = tokio::task::spawn_blocking(move || job(&STOP_REQUESTED)).await;
    interrupt.abort();
    done.map_err(|e| CliError::failed(format!("the analysis stopped unexpectedly: {e}")))?
}

/// Set by the first Ctrl-C.
static STOP_REQUESTED: AtomicBool = AtomicBool::new(false);

/// Calls `first` on the first Ctrl-C; the second exits with status 130. Abort the task when the job is done.
pub(super) fn on_ctrl_c(first: impl FnOnce() + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            first();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    })
}

/// Standard input, read on its own thread so that a silent pipe does not keep the program from stopping. After a Ctrl-C, it
/// ends.
struct Stdin {
    chunks: Receiver<std::io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    /// The position in `chunk`.
    at: usize,
}

impl Stdin {
    fn new() -> Self {
        let (sender, chunks) = std::sync::mpsc::sync_channel(4);
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            loop {
                let mut chunk = vec![0; 256 * 1024];
                let read = stdin.read(&mut chunk).map(|n| {
                    chunk.truncate(n);
                    chunk
                });
                let is_last = !matches!(&read, Ok(chunk) if !chunk.is_empty());
                if sender.send(read).is_err() || is_last {
                    return;
                }
            }
        });
        Self { chunks, chunk: Vec::new(), at: 0 }
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at >= self.chunk.len() {
            match self.chunks.recv_timeout(Duration::from_millis(50)) {
                Ok(chunk) => (self.chunk, self.at) = (chunk?, 0),
                Err(RecvTimeoutError::Timeout) if !STOP_REQUESTED.load(Ordering::Relaxed) => continue,
                Err(_) => return Ok(0),
            }
            if self.chunk.is_empty() {
                return Ok(0);
            }
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}

/// Opens a file, or standard input for `-`. gzip, zstd, bzip2 and xz are detected by their first bytes and decompressed.
pub(super) fn open(path: &Path) -> std::io::Result<Box<dyn BufRead + Send>> {
    if path.as_os_str() == "-" {
        return open_text(Stdin::new(), u64::MAX);
    }
    if path.is_dir() {
        return Err(std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a directory, not a file"));
    }
    open_text(File::open(path)?, u64::MAX)
}

/// The number of lines read so far, shown on stderr at most every 500 ms, and only if stderr is a terminal.
pub(super) struct Progress {
    lines: usize,
    started: Instant,
    last_shown: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { lines: 0, started: Instant::now(), last_shown: None, is_terminal: std::io::stderr().is_terminal() }
    }

    /// The number of lines so far.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// Adds lines, and shows the new number if it is time.
    pub(super) fn add(&mut self, lines: usize) {
        self.lines += lines;
        let since = self.last_shown.unwrap_or(self.started).elapsed();
        if self.is_terminal && since.as_millis() >= 500 {
            self.last_shown = Some(Instant::now());
            out::progress(&format!("{} read", count(self.lines, "line")));
        }
    }

    /// Removes the progress line.
    pub(super) fn clear(&self) {
        if self.last_shown.is_some() {
            out::progress("");
        }
    }
}
