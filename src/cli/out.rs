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

/// A line of progress on stderr in place of the last one; empty takes it away.
pub(super) fn progress(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _unheard = write!(stderr, "\r\x1b[K{text}");
    let _unseen = stderr.flush();
}

/// A failure: one or two lines on stderr, and with `--json` the error object on stdout.
pub(super) fn error(json: bool, kind: &str, message: &str) {
    note(format!("warroom: {message}"));
    if json {
        error_json(kind, message);
    }
}

/// `{"error":{"kind","message","remedy"}}`; `remedy` is null where the message advises nothing.
pub(super) fn error_json(kind: &str, message: &str) {
    let remedy = advice(message);
    let _unheard = json_value(&serde_json::json!({"error": {"kind": kind, "message": message, "remedy": remedy}}));
}

/// How our messages begin what they advise, after a colon or a semicolon.
const ADVICE: &str = "acknowledge add ask assign check choose close correct create did export free give grade import install keep \
                      leave link look make merge move name open purge put remove reopen repeat run say set start take tick try \
                      update use wait widen write";

/// The part of a message that says what to do.
fn advice(message: &str) -> Option<&str> {
    let begins = |part: &str| {
        let word = part.split([' ', ',']).next().unwrap_or("");
        part.starts_with(['`', '-']) || part.starts_with("it looks like ") || ADVICE.split_whitespace().any(|w| w == word)
    };
    let parts = message.match_indices("; ").chain(message.match_indices(": ")).map(|(at, mark)| at + mark.len());
    parts.filter(|from| message.get(*from..).is_some_and(begins)).min().and_then(|from| message.get(from..))
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

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn only_advice_is_a_remedy() {
        for (message, remedy) in [
            ("INC-9 is not in this store: `warroom incident list` shows what is", Some("`warroom incident list` shows what is")),
            ("the terminal cannot be used: No such device; give another", Some("give another")),
            ("c.toml:3:1: the URL 'x': give one with http", Some("give one with http")),
            ("the store differs: it was rewritten, or put back from a backup", None),
            ("nothing is open", None),
        ] {
            assert_eq!(advice(message), remedy, "{message}");
        }
    }
}
