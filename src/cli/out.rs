//! Writes to stdout and stderr. Other files of the command line use these functions.

use std::io::{IsTerminal, Write};
use std::sync::LazyLock;

use serde::Serialize;

use super::CliError;
use crate::telemetry::Failure;
use crate::telemetry::log::Level;

/// Prints a line to stdout.
pub(super) fn line(text: impl AsRef<str>) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_ref().as_bytes())?;
    stdout.write_all(b"\n")?;
    Ok(())
}

/// Prints text to stdout without a line ending, and flushes it.
pub(super) fn raw(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Prints a value to stdout as one line of JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), CliError> {
    line(serde_json::to_string(value)?)
}

/// Prints a message to stderr.
pub(super) fn note(text: impl AsRef<str>) {
    // Nothing can be done if stderr is closed.
    let _ignored = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}

/// Prints a progress line to stderr in place of the previous one; an empty text removes it.
pub(super) fn progress(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ignored = write!(stderr, "\r\x1b[K{text}");
    let _ignored = stderr.flush();
}

/// Prints a failure: the message and its causes on one line of stderr, the remedy on the next, and with `json` the error
/// object on stdout.
pub(super) fn error(json: bool, kind: &str, failure: &Failure) {
    note(format!("warroom: {}", failure.summary()));
    if let Some(remedy) = &failure.remedy {
        note(remedy);
    }
    if json {
        error_json(kind, failure);
    }
}

/// Prints `{"error":{"kind","message","causes","remedy"}}`; `remedy` is null if there is nothing to suggest.
pub(super) fn error_json(kind: &str, failure: &Failure) {
    let Failure { message, causes, remedy } = failure;
    let object = serde_json::json!({"error": {"kind": kind, "message": message, "causes": causes, "remedy": remedy}});
    let _ignored = json(&object);
}

/// A line in the colour of a level, if stdout is a terminal and `NO_COLOR` is not set: errors red, warnings yellow.
pub(super) fn coloured(line: &str, level: Option<Level>) -> String {
    static IS_WANTED: LazyLock<bool> =
        LazyLock::new(|| std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()));
    let code = match level {
        Some(Level::Fatal | Level::Error) => 31,
        Some(Level::Warn) => 33,
        Some(Level::Debug | Level::Trace) => 2,
        _ => 0,
    };
    if code == 0 || !*IS_WANTED { line.to_owned() } else { format!("\x1b[{code}m{line}\x1b[0m") }
}

/// Formats rows as lines: columns padded to their widest cell and separated by two spaces, without trailing spaces.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| cell.replace('\n', " ")).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|r| r.get(c)).map(|s| unicode_width::UnicodeWidthStr::width(s.as_str())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let pad = width.saturating_sub(unicode_width::UnicodeWidthStr::width(cell.as_str()));
                line.push_str(cell);
                line.push_str(&" ".repeat(pad + 2));
            }
            line.trim_end().to_owned()
        })
        .collect()
}
