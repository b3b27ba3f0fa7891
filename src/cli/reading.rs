//! Long input: opened whatever it is packed with, read with a line of progress, and ended by the first Ctrl-C.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{CliError, Done, out};
use crate::sources::lines::unpacked;
use crate::telemetry::words::count;

/// What is said when the reading was ended.
pub(super) const STOPPED: &str = "warroom: stopped: this is what was read so far";

/// Does a long job beside the runtime. The first Ctrl-C asks it to stop: what was read is told; a second ends the program.
pub(super) async fn stoppable(
    job: impl FnOnce(&AtomicBool) -> Result<Done, CliError> + Send + 'static,
) -> Result<Done, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    let waits = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.store(true, Ordering::Relaxed);
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    let done = tokio::task::spawn_blocking(move || job(&stop)).await;
    waits.abort();
    done.map_err(|e| CliError::Failed(format!("the study ended early: {e}")))?
}

/// A file, `-` for standard input; gz and zst by their names.
pub(super) fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::with_capacity(256 * 1024, std::io::stdin())));
    }
    unpacked(path, File::open(path)?, u64::MAX)
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
