//! Source locations in lines, such as `pool.go:88`.

/// Finds source locations in lines, and stops looking when most lines of a stream name none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LocationFinder {
    /// Lines examined so far, at most [`SAMPLE_LINES`], and how many of them name a location.
    tried: u32,
    found: u32,
}

/// Number of lines after which a stream is judged to name locations or not.
const SAMPLE_LINES: u32 = 256;

impl LocationFinder {
    /// The source location that a line names in its header or in the first words after it. Always `None` once most of the
    /// first lines had none.
    pub(super) fn find<'a>(&mut self, raw: &'a str, from: usize) -> Option<&'a str> {
        if self.tried >= SAMPLE_LINES && self.found < SAMPLE_LINES / 2 {
            return None;
        }
        let found = find_location(raw, from);
        if self.tried < SAMPLE_LINES {
            self.tried += 1;
            self.found += u32::from(found.is_some());
        }
        found
    }
}

/// Number of words after the header in which a location is looked for.
const WORDS_AFTER_HEADER: usize = 2;

/// Finds a source location such as `t.c.Travel2Controller#115` (logback's `%logger#%line`), `pool.go:88` or
/// `Checkout.java:41`. `from`: where the header ends.
fn find_location(raw: &str, from: usize) -> Option<&str> {
    let mut words_after = 0;
    for word in raw.split_ascii_whitespace() {
        let at = word.as_ptr() as usize - raw.as_ptr() as usize;
        if at >= from {
            words_after += 1;
            if words_after > WORDS_AFTER_HEADER {
                return None;
            }
        }
        let word = word.trim_matches(|c: char| "[](){}<>,;|-".contains(c)).trim_end_matches(':');
        if is_location(word) {
            return Some(word);
        }
    }
    None
}

fn is_location(word: &str) -> bool {
    const SOURCES: [&str; 18] =
        ["java", "kt", "scala", "groovy", "go", "py", "rs", "c", "cc", "cpp", "cxx", "h", "rb", "js", "ts", "cs", "php", "ex"];
    let is_line_number = |line: &str| (1..=6).contains(&line.len()) && line.bytes().all(|b| b.is_ascii_digit());
    let is_file_or_class = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._$/-[]".contains(&b))
    };
    if let Some((class, line)) = word.rsplit_once('#') {
        return class.contains('.') && is_line_number(line) && is_file_or_class(class);
    }
    word.rsplit_once(':').is_some_and(|(file, line)| {
        is_line_number(line) && file.rsplit_once('.').is_some_and(|(name, end)| SOURCES.contains(&end) && is_file_or_class(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_source_locations() {
        for (line, from, place) in [
            ("16:49:25.181 INFO  f.m.s.BasicServiceImpl#360 TraceID: f1 [x]", 46, Some("f.m.s.BasicServiceImpl#360")),
            ("2026-11-21 09:31:07 [main] ERROR (Checkout.java:41) - pool", 0, Some("Checkout.java:41")),
            ("2026/11/21 09:31:07 pool.go:88: full", 20, Some("pool.go:88")),
            ("09:31:07 order#12 placed", 9, None),
            ("09:31:07 connected to db.local:5432", 9, None),
            ("09:31:07 one two three a.b.C#7", 9, None),
        ] {
            assert_eq!(find_location(line, from.max(line.find("- pool").unwrap_or(0))), place, "{line}");
        }
    }
}
