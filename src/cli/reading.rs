//! Long input: opened whatever it is packed with, read with a line of progress, and ended by the first Ctrl-C.

use std::fs::File;
use std::io::{BufRead, IsTerminal, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{CliError, Done, out};
use crate::sources::lines::open_text;
use crate::telemetry::words::count;

/// What is said when the reading was ended.
pub(super) const STOPPED: &str = "warroom: stopped: this is what was read so far";

/// Does a long job beside the runtime. The first Ctrl-C asks it to stop: what was read is told; a second ends the program.
pub(super) async fn stoppable(
    job: impl FnOnce(&AtomicBool) -> Result<Done, CliError> + Send + 'static,
) -> Result<Done, CliError> {
    let waits = on_ctrl_c(|| ASKED.store(true, Ordering::Relaxed));
    let done = tokio::task::spawn_blocking(move || job(&ASKED)).await;
    waits.abort();
    done.map_err(|e| CliError::failed(format!("the analysis ended early: {e}")))?
}

/// Whether the first Ctrl-C came.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Does something at the first Ctrl-C; the second ends the program.
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

/// Standard input, read on a thread of its own: a pipe on which nothing comes must not hold up the end.
struct Piped {
    parts: Receiver<std::io::Result<Vec<u8>>>,
    part: Vec<u8>,
    at: usize,
}

impl Piped {
    fn new() -> Self {
        let (sender, parts) = std::sync::mpsc::sync_channel(4);
        std::thread::spawn(move || {
            let mut from = std::io::stdin().lock();
            loop {
                let mut part = vec![0; 256 * 1024];
                let read = from.read(&mut part).map(|n| {
                    part.truncate(n);
                    part
                });
                let is_last = !matches!(&read, Ok(part) if !part.is_empty());
                if sender.send(read).is_err() || is_last {
                    return;
                }
            }
        });
        Self { parts, part: Vec::new(), at: 0 }
    }
}

impl Read for Piped {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        while self.at >= self.part.len() {
            match self.parts.recv_timeout(Duration::from_millis(50)) {
                Ok(part) => (self.part, self.at) = (part?, 0),
                Err(RecvTimeoutError::Timeout) if !ASKED.load(Ordering::Relaxed) => continue,
                Err(_) => return Ok(0),
            }
            if self.part.is_empty() {
                return Ok(0);
            }
        }
        let rest = self.part.get(self.at..).unwrap_or_default();
        let n = rest.len().min(to.len());
        if let (Some(to), Some(from)) = (to.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}

/// A file, `-` for standard input; gz and zst are told by their first bytes.
pub(super) fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return open_text(Piped::new(), u64::MAX);
    }
    if path.is_dir() {
        return Err(std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a folder: name its files"));
    }
    open_text(File::open(path)?, u64::MAX)
}

/// Says on stderr how far the reading is, when a person looks and it takes a while.
pub(super) struct Progress {
    lines: usize,
    began: Instant,
    told: Option<Instant>,
    is_seen: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { lines: 0, began: Instant::now(), told: None, is_seen: std::io::stderr().is_terminal() }
    }

    pub(super) fn lines(&mut self, more: usize) {
        self.lines += more;
        let since = self.told.unwrap_or(self.began).elapsed();
        if self.is_seen && since.as_millis() >= 500 {
            self.told = Some(Instant::now());
            out::progress(&format!("{} read", count(self.lines, "line")));
        }
    }

    pub(super) fn end(&self) {
        if self.told.is_some() {
            out::progress("");
        }
    }
}
