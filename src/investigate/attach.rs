//! Reads a text file that a user attaches as evidence.

use std::io::Read;
use std::path::Path;

use crate::incident::Refusal;
use crate::telemetry::Failure;

/// The maximum size of an attached text, in bytes; the rest is cut off. Attached texts go into prompts and exports.
pub const MAX_ATTACHED: usize = 1024 * 1024;

/// A text to attach, with what is missing from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// At most [`MAX_ATTACHED`] bytes of the text.
    pub text: String,
    /// The number of lines of the whole text.
    pub lines: u64,
    /// How `text` differs from the file: a truncation or replaced bytes. Empty if it is complete.
    pub gaps: Vec<String>,
}

/// Reads the file to attach; `-` is standard input. Blocks the thread.
///
/// # Errors
/// When the file cannot be read, or contains a NUL byte and so is not text.
pub fn read_to_attach(path: &Path) -> Result<Attached, Refusal> {
    if path.as_os_str() == "-" {
        return read_text(std::io::stdin().lock(), path);
    }
    read_text(std::fs::File::open(path).map_err(|e| read_error(path, &e))?, path)
}

fn read_error(path: &Path, e: &std::io::Error) -> Refusal {
    Refusal::Invalid(Failure::new(format!("cannot read {}", path.display())).because(e).advise("Check the path."))
}

fn read_text(mut input: impl Read, path: &Path) -> Result<Attached, Refusal> {
    let (mut kept, mut total, mut lines, mut last) = (Vec::new(), 0_u64, 0_u64, b'\n');
    let mut chunk = vec![0_u8; 64 * 1024];
    loop {
        let n = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(read_error(path, &e)),
        };
        let part = chunk.get(..n).unwrap_or(&[]);
        if part.contains(&0) {
            return Err(Refusal::invalid(format!("{} is not a text file", path.display()))
                .advise("Attach a text version, or store the file elsewhere and note its URL."));
        }
        total += u64::try_from(n).unwrap_or(0);
        lines += u64::try_from(memchr::memchr_iter(b'\n', part).count()).unwrap_or(0);
        last = part.last().copied().unwrap_or(last);
        kept.extend_from_slice(part.get(..n.min(MAX_ATTACHED - kept.len())).unwrap_or(&[]));
    }
    let mut gaps = Vec::new();
    if u64::try_from(kept.len()).unwrap_or(0) < total {
        // Remove a UTF-8 character that was cut in half.
        while kept.last().is_some_and(|b| (0x80..0xC0).contains(b)) {
            kept.pop();
        }
        if kept.last().is_some_and(|b| *b >= 0xC0) {
            kept.pop();
        }
        gaps.push(format!("truncated: only the first {} of {total} bytes are kept", kept.len()));
    }
    let text = String::from_utf8_lossy(&kept).into_owned();
    if std::str::from_utf8(&kept).is_err() {
        gaps.push("bytes that are not UTF-8 were replaced with U+FFFD".to_owned());
    }
    Ok(Attached { text, lines: lines + u64::from(last != b'\n'), gaps })
}
