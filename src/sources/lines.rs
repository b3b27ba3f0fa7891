//! Lines out of files, whatever they are packed with: for the file source and for commands that read long input.

use std::io::{BufRead, BufReader, ErrorKind, Read};

const BUFFER: usize = 256 * 1024;

/// Reads text from its start, whatever it is packed with: gz and zst are told by their first bytes, and at most `most` unpacked
/// bytes of them are read. A mark of UTF-8 is passed over. What is no text is an error that says what it is.
pub fn unpacked(from: impl Read + Send + 'static, most: u64) -> std::io::Result<Box<dyn BufRead>> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    let begins = filled(&mut from)?;
    if begins.starts_with(&[0x1f, 0x8b]) {
        return text(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(from).take(most)));
    }
    if begins.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return text(BufReader::with_capacity(BUFFER, zstd::stream::read::Decoder::with_buffer(from)?.take(most)));
    }
    text(from)
}

/// What a reader holds of its next bytes; not yet taken.
fn filled(from: &mut impl BufRead) -> std::io::Result<&[u8]> {
    // Asked twice: what an interrupted call had filled cannot be kept over the next.
    while let Err(e) = from.fill_buf() {
        if e.kind() != ErrorKind::Interrupted {
            return Err(e);
        }
    }
    from.fill_buf()
}

/// Bytes by which it is seen whether it is text, and the share of them that no text has.
const SNIFFED: usize = 4096;
const CONTROL: usize = 3;

fn text(mut from: impl BufRead + 'static) -> std::io::Result<Box<dyn BufRead>> {
    let begins = match filled(&mut from) {
        // Cut off before anything could be unpacked: the lines are none, and why is told when they are read.
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(Box::new(from)),
        other => other?,
    };
    let what = match begins {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16: `iconv -f UTF-16 -t UTF-8` makes text of it",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "it is packed by xz: unpack it first (`xz -dc`), or pack it by gz or zst",
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => "it is packed by bzip2: unpack it first (`bzip2 -dc`), or pack it by gz or zst",
        _ => {
            let seen = begins.get(..SNIFFED).unwrap_or(begins);
            let odd = seen.iter().filter(|b| **b < b' ' && !matches!(**b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b)).count();
            if odd * 10 > seen.len() * CONTROL { "it is no text" } else { "" }
        }
    };
    if !what.is_empty() {
        return Err(std::io::Error::new(ErrorKind::InvalidData, what));
    }
    if begins.starts_with(&[0xef, 0xbb, 0xbf]) {
        from.consume(3);
    }
    Ok(Box::new(from))
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
    fn what_it_is_is_told_by_its_first_bytes() {
        let read = |bytes: Vec<u8>| -> std::io::Result<String> {
            let mut out = String::new();
            unpacked(std::io::Cursor::new(bytes), 1000)?.read_to_string(&mut out)?;
            Ok(out)
        };
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, b"packed\n").unwrap();
        assert_eq!(read(packer.finish().unwrap()).unwrap(), "packed\n");
        assert_eq!(read(zstd::bulk::compress(b"packed\n", 3).unwrap()).unwrap(), "packed\n");
        assert_eq!(read(b"\xef\xbb\xbfmarked\n".to_vec()).unwrap(), "marked\n");
        assert_eq!(read(b"plain \xff\x00 \x1b[31mred\n".to_vec()).unwrap_err().kind(), ErrorKind::InvalidData, "no UTF-8");
        assert_eq!(read(Vec::new()).unwrap(), "");
        for (bytes, words) in
            [(&b"\xff\xfeI\0N\0"[..], "UTF-16"), (b"\xfd7zXZ\0", "xz"), (b"BZh91AY", "bzip2"), (b"I\0N\0F\0O\0", "no text")]
        {
            assert!(read(bytes.to_vec()).unwrap_err().to_string().contains(words), "{words}");
        }
    }

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
