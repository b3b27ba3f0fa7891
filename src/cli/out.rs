//! Writing to stdout and stderr, the only place that does.

use std::io::Write;

use serde::Serialize;

use super::CliError;

/// A line of data.
pub(super) fn line(text: impl AsRef<str>) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_ref().as_bytes())?;
    stdout.write_all(b"\n")?;
    Ok(())
}

/// Text as it is, flushed: for streams.
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
    // A closed stderr has no reader to tell.
    let _unheard = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}

/// A failure: one or two lines on stderr, and with `--json` the error object on stdout.
pub(super) fn error(json: bool, kind: &str, message: &str) {
    note(format!("warroom: {message}"));
    if json {
        error_json(kind, message);
    }
}

/// `{"error":{"kind","message","remedy"}}`; the remedy is what our messages say after their semicolon or colon.
pub(super) fn error_json(kind: &str, message: &str) {
    let (what, remedy) = message.split_once("; ").or_else(|| message.split_once(": ")).unwrap_or((message, ""));
    let remedy = (!remedy.is_empty()).then_some(remedy);
    let what = if remedy.is_some() { message } else { what };
    let _unheard = json_value(&serde_json::json!({"error": {"kind": kind, "message": what, "remedy": remedy}}));
}

/// A mistake on the command line.
pub(super) fn usage_json(message: &str) {
    let remedy = "`warroom --help` and `warroom COMMAND --help` show what is taken";
    let _unheard = json_value(&serde_json::json!({"error": {"kind": "usage", "message": message, "remedy": remedy}}));
}

fn json_value(value: &serde_json::Value) -> Result<(), CliError> {
    json(value)
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
