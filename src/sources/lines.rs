//! Reads text lines from plain and compressed input, for the file source and for commands that read long input.

use std::io::{BufRead, BufReader, ErrorKind, Read};

const BUFFER: usize = 256 * 1024;

/// The most memory that unpacking xz may take, in KiB: a hostile file may ask for gigabytes.
const XZ_MEMORY: u32 = 256 * 1024;

/// The ends of the names of compressed files.
pub const COMPRESSED: [&str; 4] = ["gz", "zst", "bz2", "xz"];

/// Opens text from its start and decompresses it. gzip, zstd, bzip2 and xz are detected by their first bytes; at most `max_bytes` are
/// read after decompression. A UTF-8 byte order mark is skipped. An error when the input is not text; the message says what
/// it is.
pub fn open_text(input: impl Read + Send + 'static, max_bytes: u64) -> std::io::Result<Box<dyn BufRead + Send>> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let head = peek(&mut input)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        return text_reader(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(input).take(max_bytes)));
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return text_reader(BufReader::with_capacity(BUFFER, zstd::stream::read::Decoder::with_buffer(input)?.take(max_bytes)));
    }
    if matches!(head, [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..]) {
        return text_reader(BufReader::with_capacity(BUFFER, bzip2::bufread::MultiBzDecoder::new(input).take(max_bytes)));
    }
    if head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        let unpacked = lzma_rust2::XzReader::new_mem_limit(input, true, XZ_MEMORY);
        return text_reader(BufReader::with_capacity(BUFFER, unpacked.take(max_bytes)));
    }
    text_reader(input)
}

/// The next bytes of a reader, without consuming them; empty at the end.
fn peek(reader: &mut impl BufRead) -> std::io::Result<&[u8]> {
    // Calls `fill_buf` again after the loop, because the borrow of its result cannot leave the loop.
    while let Err(e) = reader.fill_buf() {
        if e.kind() != ErrorKind::Interrupted {
            return Err(e);
        }
    }
    reader.fill_buf()
}

/// The number of leading bytes that decide whether input is text.
const SNIFF_BYTES: usize = 4096;
/// Input with more than this many tenths of control characters is not text.
const MAX_CONTROL_TENTHS: usize = 3;

/// Checks that input is text and skips its byte order mark, and the zeros at the start of a file that was cut while its program wrote on.
fn text_reader(mut reader: impl BufRead + Send + 'static) -> std::io::Result<Box<dyn BufRead + Send>> {
    loop {
        let zeros = match peek(&mut reader) {
            // Truncated before anything could be decompressed: reading the lines reports the error.
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(Box::new(reader)),
            head => head?.iter().take_while(|b| **b == 0).count(),
        };
        if zeros == 0 {
            break;
        }
        reader.consume(zeros);
    }
    let head = peek(&mut reader)?;
    let problem = match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16 is not supported; convert it to UTF-8 first (`iconv -f UTF-16 -t UTF-8`)",
        _ => {
            let sample = head.get(..SNIFF_BYTES).unwrap_or(head);
            let control = sample.iter().filter(|b| **b < b' ' && !matches!(**b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b)).count();
            if control * 10 > sample.len() * MAX_CONTROL_TENTHS { "the input is not text" } else { "" }
        }
    };
    if !problem.is_empty() {
        return Err(std::io::Error::new(ErrorKind::InvalidData, problem));
    }
    if head.starts_with(&[0xef, 0xbb, 0xbf]) {
        reader.consume(3);
    }
    Ok(Box::new(reader))
}

/// Appends the next line to `text`, without its line ending (`\n` or `\r\n`). A line longer than `max_bytes` is cut and the
/// rest skipped. Returns `false` at the end of the input.
pub fn read_line(reader: &mut dyn BufRead, text: &mut Vec<u8>, max_bytes: usize) -> std::io::Result<bool> {
    let start = text.len();
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
        let room = max_bytes.saturating_sub(text.len() - start);
        text.extend_from_slice(buffer.get(..end.unwrap_or(buffer.len()).min(room)).unwrap_or_default());
        let used = end.map_or(buffer.len(), |n| n + 1);
        reader.consume(used);
        if end.is_some() {
            if text.len() > start && text.last() == Some(&b'\r') {
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
    fn detects_compression_and_encoding_by_the_first_bytes() {
        let read = |bytes: Vec<u8>| -> std::io::Result<String> {
            let mut out = String::new();
            open_text(std::io::Cursor::new(bytes), 1000)?.read_to_string(&mut out)?;
            Ok(out)
        };
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, b"packed\n").unwrap();
        assert_eq!(read(packer.finish().unwrap()).unwrap(), "packed\n");
        assert_eq!(read(zstd::bulk::compress(b"packed\n", 3).unwrap()).unwrap(), "packed\n");
        // By Python's bz2 and lzma.
        let bz2 = b"BZh91AY&SY[\xda\x09\xa8\x00\x00\x03A\x80\x00\x10.\x08@\x00 \x001\x0c\x01\x06M\xa3\x1c\x02\x8b\xb9\"\x9c(H-\xed\x04\xd4\x00";
        let xz = b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\x06packed\n\x00\x00h\xd0\xaa\xdc9\x82*B\x00\x01\x1f\x07\x16.\xb8s\x1f\xb6\xf3}\x01\x00\x00\x00\x00\x04YZ";
        assert_eq!((read(bz2.to_vec()).unwrap(), read(xz.to_vec()).unwrap()), ("packed\n".into(), "packed\n".into()));
        for cut in [&bz2[..20], &xz[..20]] {
            assert!(read(cut.to_vec()).is_err(), "a part of a compressed file is no text");
        }
        assert_eq!(read(b"\0\0\0after zeros\n".to_vec()).unwrap(), "after zeros\n");
        assert_eq!(read(b"\xef\xbb\xbfmarked\n".to_vec()).unwrap(), "marked\n");
        assert_eq!(read(b"plain \xff\x00 \x1b[31mred\n".to_vec()).unwrap_err().kind(), ErrorKind::InvalidData, "not UTF-8");
        assert_eq!(read(Vec::new()).unwrap(), "");
        for (bytes, words) in [(&b"\xff\xfeI\0N\0"[..], "UTF-16"), (b"I\0N\0F\0O\0", "not text")] {
            assert!(read(bytes.to_vec()).unwrap_err().to_string().contains(words), "{words}");
        }
    }

    #[test]
    fn strips_line_endings_and_cuts_long_lines() {
        let mut reader: &[u8] = b"one\r\n\n0123456789\nlast";
        let mut lines = Vec::new();
        let mut text = Vec::new();
        while read_line(&mut reader, &mut text, 4).unwrap() {
            lines.push(String::from_utf8(std::mem::take(&mut text)).unwrap());
        }
        assert_eq!(lines, ["one", "", "0123", "last"]);
    }
}
