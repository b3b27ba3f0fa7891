//! Writing to stdout and stderr; no other file does.

use std::io::Write;

use serde::Serialize;

use super::CliError;
use crate::telemetry::Failure;

/// A line of data.
pub(super) fn line(text: impl AsRef<str>) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_ref().as_bytes())?;
    stdout.write_all(b"\n")?;
    Ok(())
}

/// Text as it is, flushed, for streams.
pub(super) fn raw(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// A value as one line of JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), CliError> {
    line(serde_json::to_string(value)?)
}

/// A message.
pub(super) fn note(text: impl AsRef<str>) {
    // A closed stderr has no reader.
    let _no_reader = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}

/// A line of progress on stderr that replaces the last one; an empty text removes it.
pub(super) fn progress(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _no_reader = write!(stderr, "\r\x1b[K{text}");
    let _no_reader = stderr.flush();
}

/// A failure: what failed and why on one line of stderr, what to do on another, and with `--json` the error object on stdout.
pub(super) fn error(json: bool, kind: &str, failure: &Failure) {
    note(format!("warroom: {}", failure.summary()));
    if let Some(remedy) = &failure.remedy {
        note(remedy);
    }
    if json {
        error_json(kind, failure);
    }
}

/// `{"error":{"kind","message","causes","remedy"}}`; `remedy` is null where there is nothing to advise.
pub(super) fn error_json(kind: &str, failure: &Failure) {
    let Failure { message, causes, remedy } = failure;
    let object = serde_json::json!({"error": {"kind": kind, "message": message, "causes": causes, "remedy": remedy}});
    let _no_reader = json(&object);
}

/// Columns padded to their widest cell, two spaces between; the last column is not padded.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
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
