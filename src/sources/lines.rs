//! Lines out of files, whatever they are packed with: for the file source and for commands that read long input.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

const BUFFER: usize = 256 * 1024;

/// Reads an open file; gz and zst by the file's name, at most `most` unpacked bytes of them.
pub fn unpacked(path: &Path, file: File, most: u64) -> std::io::Result<Box<dyn BufRead>> {
    Ok(match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(BufReader::with_capacity(BUFFER, flate2::read::MultiGzDecoder::new(file).take(most))),
        Some("zst") => Box::new(BufReader::with_capacity(BUFFER, zstd::stream::read::Decoder::new(file)?.take(most))),
        _ => Box::new(BufReader::with_capacity(BUFFER, file)),
    })
}

/// Reads a line onto the end of `text`, without its line feed (and a carriage return before it); of a line longer than `most`
/// bytes the rest is skipped. `false` at the end of the file.
pub fn read_line(reader: &mut dyn BufRead, text: &mut Vec<u8>, most: usize) -> std::io::Result<bool> {
    let before = text.len();
    let mut any = false;
    loop {
        let buffer = match reader.fill_buf() {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        };
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = memchr::memchr(b'\n', buffer);
        let room = most.saturating_sub(text.len() - before);
        text.extend_from_slice(buffer.get(..end.unwrap_or(buffer.len()).min(room)).unwrap_or_default());
        let used = end.map_or(buffer.len(), |n| n + 1);
        reader.consume(used);
        if end.is_some() {
            if text.len() > before && text.last() == Some(&b'\r') {
                text.pop();
            }
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_end_and_long_ones_are_cut() {
        let mut reader: &[u8] = b"one\r\n\n0123456789\nlast";
        let mut lines = Vec::new();
        let mut text = Vec::new();
        while read_line(&mut reader, &mut text, 4).unwrap() {
            lines.push(String::from_utf8(std::mem::take(&mut text)).unwrap());
        }
        assert_eq!(lines, ["one", "", "0123", "last"]);
    }
}
