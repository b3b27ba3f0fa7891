//! Masks the variable parts of a log message: numbers, ids, addresses, paths, quoted and assigned values. The remainder is
//! the shape of the message: words, punctuation, and one marker for each variable part.
//!
//! Every line of a log passes through here, so masking takes one pass over the bytes and does not allocate once its buffers
//! have grown.

/// The byte that marks a variable part in a shape. Log text does not contain it: control bytes are removed on input, and the
/// masker treats any that remain as a space.
pub(super) const VAR: u8 = 0;

/// Maximum number of bytes of a message that are masked; the shape of a longer message ends in [`CUT`].
const MAX_MESSAGE: usize = 4096;
/// The last word of the shape of a truncated message.
const CUT: &[u8] = "…".as_bytes();
/// Maximum length of a quoted value, in bytes.
const MAX_QUOTED: usize = 200;
/// Maximum length of a literal word, in bytes; a longer one is a key or an encoded value.
const MAX_WORD: usize = 64;

// Byte classes.
const SPACE: u8 = 1;
const DELIMITER: u8 = 2;
const DIGIT: u8 = 4;
const DOT: u8 = 8;
const SLASH: u8 = 16;
const BACKSLASH: u8 = 32;
const UPPER: u8 = 64;

#[allow(clippy::indexing_slicing, reason = "at compile time, and a byte is within 256")]
const BYTE_CLASSES: [u8; 256] = {
    let mut classes = [0_u8; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        classes[b] = match byte {
            0..=32 => SPACE,
            b',' | b';' | b':' | b'=' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'"' | b'\'' | b'|' => DELIMITER,
            b'0'..=b'9' => DIGIT,
            b'.' => DOT,
            b'/' => SLASH,
            b'\\' => BACKSLASH,
            b'A'..=b'Z' => UPPER,
            _ => 0,
        };
        b += 1;
    }
    classes
};

#[inline]
#[allow(clippy::indexing_slicing, reason = "a byte is within 256")]
fn class_of(byte: u8) -> u8 {
    BYTE_CLASSES[usize::from(byte)]
}

/// Top-level domains. A lower-case dotted word that ends in one of them is a host name.
const TOP_LEVEL_DOMAINS: [&[u8]; 27] = [
    b"com",
    b"net",
    b"org",
    b"edu",
    b"gov",
    b"mil",
    b"int",
    b"io",
    b"cn",
    b"hk",
    b"uk",
    b"de",
    b"jp",
    b"tv",
    b"info",
    b"me",
    b"cc",
    b"co",
    b"ru",
    b"fr",
    b"nl",
    b"eu",
    b"us",
    b"biz",
    b"local",
    b"lan",
    b"internal",
];

/// Whether a word is a month or a weekday, which is part of a date when it precedes a number.
fn is_calendar(word: &[u8]) -> bool {
    matches!(
        word,
        b"Jan"
            | b"Feb"
            | b"Mar"
            | b"Apr"
            | b"May"
            | b"Jun"
            | b"Jul"
            | b"Aug"
            | b"Sep"
            | b"Oct"
            | b"Nov"
            | b"Dec"
            | b"Mon"
            | b"Tue"
            | b"Wed"
            | b"Thu"
            | b"Fri"
            | b"Sat"
            | b"Sun"
    )
}

/// Whether a word is a unit, which is part of a value when it follows a number.
fn is_unit_name(word: &[u8]) -> bool {
    matches!(
        word,
        b"bytes"
            | b"byte"
            | b"MB"
            | b"GB"
            | b"KB"
            | b"kB"
            | b"B"
            | b"ms"
            | b"sec"
            | b"secs"
            | b"second"
            | b"seconds"
            | b"s"
            | b"us"
            | b"ns"
            | b"min"
            | b"mins"
            | b"minutes"
            | b"hours"
            | b"msec"
            | b"msecs"
    )
}

/// Whether a word is an HTTP method. In a quoted request only the part after the method is variable.
fn is_method(word: &[u8]) -> bool {
    matches!(word, b"GET" | b"POST" | b"PUT" | b"DELETE" | b"HEAD" | b"PATCH" | b"OPTIONS" | b"CONNECT" | b"PROPFIND")
}

/// A token of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Var,
    Space,
    Delimiter(u8),
    Word,
}

/// Masks messages and reuses its buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct Masker {
    shape: Vec<u8>,
    /// Each token with its start in `shape`.
    tokens: Vec<(Token, usize)>,
}

impl Masker {
    /// Returns the shape of a message: each run of white space becomes one space, each variable part [`VAR`]; the rest is
    /// kept.
    pub(super) fn shape(&mut self, message: &[u8]) -> &[u8] {
        self.shape.clear();
        self.tokens.clear();
        let message = message.trim_ascii();
        let (message, is_cut) = match message.get(..MAX_MESSAGE) {
            Some(head) if message.len() > MAX_MESSAGE => (head, true),
            _ => (message, false),
        };
        let mut at = 0;
        while let Some(&byte) = message.get(at) {
            let class = class_of(byte);
            if class == SPACE {
                at += 1;
                self.space();
            } else if class == DELIMITER {
                if byte == b':'
                    && message.get(at + 1) == Some(&b':')
                    && let Some(length) = address(message.get(at..).unwrap_or(&[]))
                {
                    self.variable();
                    at += length;
                    continue;
                }
                at += 1;
                at += self.delimiter(byte, message.get(at..).unwrap_or(&[]));
            } else {
                at += self.word(message.get(at..).unwrap_or(&[]));
            }
        }
        if is_cut {
            self.push(Token::Word, CUT);
        }
        if let Some((Token::Space, from)) = self.tokens.last() {
            self.shape.truncate(*from);
        }
        &self.shape
    }

    fn push(&mut self, token: Token, bytes: &[u8]) {
        self.tokens.push((token, self.shape.len()));
        self.shape.extend_from_slice(bytes);
    }

    fn space(&mut self) {
        if !matches!(self.tokens.last(), Some((Token::Space, _))) {
            self.push(Token::Space, b" ");
        }
    }

    /// Adds the word at the start of `text` and returns its length. A unit is merged into the value before it.
    fn word(&mut self, text: &[u8]) -> usize {
        let (mut classes, mut end) = (0_u8, 0);
        for byte in text {
            let class = class_of(*byte);
            if class & (SPACE | DELIMITER) != 0 {
                break;
            }
            classes |= class;
            end += 1;
        }
        let word = text.get(..end).unwrap_or(&[]);
        if end <= 4
            && text.get(end) == Some(&b':')
            && let Some(length) = address(text)
        {
            self.variable();
            return length;
        }
        let is_variable = classes & DIGIT != 0
            || word.len() > MAX_WORD
            || classes & (DOT | SLASH | BACKSLASH) != 0 && is_value(word, classes, self.tokens.is_empty());
        if is_variable {
            self.variable();
        } else if self.is_unit(word) {
            // The unit becomes part of the number before it.
            self.drop_tokens(1);
        } else if matches!(text.get(end..), Some([b' ', next, ..]) if class_of(*next) != SPACE) {
            // A word and the space after it are copied at once, because nearly every word has one.
            let start = self.shape.len();
            self.tokens.push((Token::Word, start));
            self.tokens.push((Token::Space, start + end));
            self.shape.extend_from_slice(text.get(..=end).unwrap_or(word));
            return end + 1;
        } else {
            self.push(Token::Word, word);
        }
        end
    }

    /// Adds a delimiter and returns the number of bytes of `rest` that it consumed.
    fn delimiter(&mut self, byte: u8, rest: &[u8]) -> usize {
        match byte {
            b'"' => {
                let inside = rest.iter().take(MAX_QUOTED).position(|b| *b == b'"').filter(|n| *n > 0);
                if let Some(length) = inside {
                    self.push(Token::Delimiter(b'"'), b"\"");
                    let method = rest.get(..length).and_then(|r| r.split(|b| *b == b' ').next()).unwrap_or(&[]);
                    if method.len() < length && is_method(method) {
                        self.push(Token::Word, method);
                        self.push(Token::Space, b" ");
                    }
                    self.variable();
                    self.push(Token::Delimiter(b'"'), b"\"");
                    return length + 1;
                }
                self.push(Token::Delimiter(b'"'), b"\"");
            }
            // An opening quote and not an apostrophe, because no word precedes it.
            b'\'' if !matches!(self.tokens.last(), Some((Token::Word | Token::Var, _))) => {
                self.push(Token::Delimiter(b'\''), b"'");
                // Only a single word is a value: several words in single quotes are often the point of the message. When a
                // word continues after the second quote, that one is an apostrophe.
                let inside = rest.iter().take(MAX_QUOTED).position(|b| matches!(b, b'\'' | b' '));
                let inside = inside.filter(|n| *n > 0 && rest.get(*n) == Some(&b'\''));
                if let Some(length) = inside.filter(|n| rest.get(n + 1).is_none_or(|b| !b.is_ascii_alphanumeric())) {
                    self.variable();
                    self.push(Token::Delimiter(b'\''), b"'");
                    return length + 1;
                }
            }
            b'=' => {
                self.push(Token::Delimiter(b'='), b"=");
                // Everything that is assigned is a value, whatever its form.
                let is_end = |b: &u8| class_of(*b) == SPACE || (class_of(*b) == DELIMITER && !matches!(b, b':' | b'='));
                let length = rest.iter().position(is_end).unwrap_or(rest.len());
                if length > 0 {
                    self.variable();
                }
                return length;
            }
            b')' => self.close(),
            b']' => self.close_list(),
            other => self.push(Token::Delimiter(other), &[other]),
        }
        0
    }

    /// Adds a variable part. It is merged with a variable part that it continues: `a:b`, `a, b`, `a b`, `Jun 14`,
    /// `host.name:80`, `<1`.
    fn variable(&mut self) {
        loop {
            match self.tokens.as_slice() {
                [.., (Token::Var, _)] => return,
                [.., (Token::Var, _), (Token::Delimiter(b':' | b',' | b'|' | b'=' | b';') | Token::Space, _)] => {
                    self.drop_tokens(1);
                    return;
                }
                [.., (Token::Var, _), (Token::Delimiter(b',' | b';'), _), (Token::Space, _)] => {
                    self.drop_tokens(2);
                    return;
                }
                [.., (Token::Delimiter(b'<'), _)] => self.drop_tokens(1),
                [.., (Token::Word, from), (Token::Space, to)] if is_calendar(self.between(*from, *to)) => {
                    self.drop_tokens(2);
                }
                [.., (Token::Word, from), (Token::Delimiter(b':'), to)] if self.between(*from, *to).contains(&b'.') => {
                    self.drop_tokens(2);
                }
                _ => break,
            }
        }
        self.push(Token::Var, &[VAR]);
    }

    /// Adds a closing bracket. A remark after a variable part, such as `10.0.0.1 (db-1)` or `1190 bytes (1.16 KB)`, becomes
    /// part of it.
    fn close(&mut self) {
        let open = Token::Delimiter(b'(');
        let remark_length = match self.tokens.as_slice() {
            [.., (Token::Var, _), (Token::Space, _), (o, _), (Token::Var, _)] if *o == open => 3,
            [.., (Token::Var, _), (o, _), (Token::Var, _)] | [.., (Token::Var, _), (Token::Space, _), (o, _)] if *o == open => 2,
            [.., (Token::Var, _), (o, _)] if *o == open => 1,
            _ => 0,
        };
        if remark_length > 0 {
            self.drop_tokens(remark_length);
        } else {
            self.push(Token::Delimiter(b')'), b")");
        }
    }

    /// Adds the end of a list. A list such as `[nanjing, shanghai]` is one variable part, whatever its length.
    fn close_list(&mut self) {
        let (mut commas, mut inside) = (0, 0);
        let mut is_item = false;
        for (token, _) in self.tokens.iter().rev() {
            match token {
                Token::Delimiter(b'[') => {
                    if commas > 0 && is_item {
                        self.drop_tokens(inside);
                        self.push(Token::Var, &[VAR]);
                    }
                    break;
                }
                Token::Word | Token::Var if !is_item => is_item = true,
                Token::Delimiter(b',') if is_item => (commas, is_item) = (commas + 1, false),
                Token::Space => {}
                _ => break,
            }
            inside += 1;
        }
        self.push(Token::Delimiter(b']'), b"]");
    }

    fn is_unit(&self, word: &[u8]) -> bool {
        matches!(self.tokens.as_slice(), [.., (Token::Var, _), (Token::Space, _)]) && is_unit_name(word)
    }

    fn between(&self, from: usize, to: usize) -> &[u8] {
        self.shape.get(from..to).unwrap_or(&[])
    }

    fn drop_tokens(&mut self, count: usize) {
        for _ in 0..count {
            if let Some((_, from)) = self.tokens.pop() {
                self.shape.truncate(from);
            }
        }
    }
}

/// The length of a hardware address (`de:ad:be:ef:00:01`) or an IPv6 address (`fe80::1`, `::ffff:10.0.0.1`) at the start of
/// a text; `None` when there is none. Such addresses need this check because parts without digits look like words.
fn address(text: &[u8]) -> Option<usize> {
    let end = text.iter().take(64).take_while(|b| b.is_ascii_hexdigit() || **b == b':').count();
    let whole = text.get(..end)?;
    if text.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') || whole.ends_with(b":") && !whole.ends_with(b"::")
    {
        return None;
    }
    let parts = || whole.split(|b| *b == b':');
    let (count, non_empty) = (parts().count(), parts().filter(|p| !p.is_empty()).count());
    let is_hardware = count >= 6 && parts().all(|p| p.len() == 2);
    let is_shortened = whole.windows(2).filter(|w| *w == b"::").count() == 1 && non_empty > 0;
    let has_digit = whole.iter().any(u8::is_ascii_digit);
    let is_ipv6 = parts().all(|p| p.len() <= 4)
        && (count == 8 && non_empty == 8 || is_shortened && (has_digit || non_empty > 2 || text.get(end) == Some(&b'.')));
    (is_hardware || is_ipv6).then_some(end)
}

/// Whether a word with dots, slashes or backslashes is a path, a host or another dotted name. `is_first`: the first word of
/// a message usually names the logger, so a dotted name is kept there.
fn is_value(word: &[u8], classes: u8, is_first: bool) -> bool {
    if word.first() == Some(&b'/') && word.len() > 1 {
        return true;
    }
    let count = |byte: u8| memchr::memchr_iter(byte, word).count();
    if classes & DOT != 0 {
        let labels = || word.split(|b| *b == b'.');
        if labels().all(|l| !l.is_empty()) {
            let is_host = classes & UPPER == 0 && labels().next_back().is_some_and(|last| TOP_LEVEL_DOMAINS.contains(&last));
            if is_host || (!is_first && count(b'.') >= 2) {
                return true;
            }
        }
    }
    (classes & SLASH != 0 && count(b'/') >= 2) || (classes & BACKSLASH != 0 && count(b'\\') >= 2)
}

/// Splits a shape into its tokens, each with its bytes.
pub(super) fn tokens(shape: &[u8]) -> Vec<(Token, &[u8])> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = shape.get(at) {
        let one = |token| (token, shape.get(at..=at).unwrap_or(&[]));
        let (token, bytes) = match (byte, class_of(byte)) {
            (VAR, _) => one(Token::Var),
            (_, SPACE) => one(Token::Space),
            (_, DELIMITER) => one(Token::Delimiter(byte)),
            _ => {
                let rest = shape.get(at..).unwrap_or(&[]);
                let length = rest.iter().position(|b| class_of(*b) & (SPACE | DELIMITER) != 0).unwrap_or(rest.len());
                (Token::Word, rest.get(..length).unwrap_or(&[]))
            }
        };
        at += bytes.len().max(1);
        found.push((token, bytes));
    }
    found
}

/// Formats a shape for display, with `<*>` for each variable part. Invalid UTF-8 becomes U+FFFD.
pub(super) fn template(shape: &[u8]) -> String {
    let mut out = String::with_capacity(shape.len() + 16);
    for (n, part) in shape.split(|b| *b == VAR).enumerate() {
        if n > 0 {
            out.push_str("<*>");
        }
        out.push_str(&String::from_utf8_lossy(part));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(message: &str) -> String {
        template(Masker::default().shape(message.as_bytes()))
    }

    #[test]
    fn masks_a_list_as_one_variable_part() {
        let shape = |text: &str| {
            let mut masker = Masker::default();
            template(masker.shape(text.as_bytes()))
        };
        for text in ["stations: [nanjing, shanghai]", "stations: [a,b,c]", "stations: [suzhou, 7, x]"] {
            assert_eq!(shape(text), "stations: [<*>]", "{text}");
        }
        for unchanged in ["stations: [suzhou]", "[main] done", "[a b, c] kept", "state [, ] odd", "]]["] {
            assert_eq!(shape(unchanged), unchanged);
        }
    }

    #[test]
    fn masks_variable_parts() {
        for (message, shape) in [
            ("pool exhausted after 3000 ms (in_use=20, waiting=17)", "pool exhausted after <*> (in_use=<*>, waiting=<*>)"),
            ("GET /cart/8812 502", "GET <*>"),
            ("order 9f1c2b3d-aaaa failed: timeout", "order <*> failed: timeout"),
            ("connection from 10.0.0.1 (db-1.example.com) at Fri Jul 1 07:57:30 2005", "connection from <*> at <*>"),
            ("connection from 10.0.0.1 () at 07:57", "connection from <*> at <*>"),
            ("proxy.example.com:5070 close, 1190 bytes (1.16 KB) sent, lifetime <1 sec", "<*> close, <*> sent, lifetime <*>"),
            ("acquire lock tag=\"View Lock\", name=android, ws=null", "acquire lock tag=\"<*>\", name=<*>, ws=<*>"),
            ("deleted blk_1 blk_2, blk_3", "deleted <*>"),
            ("Registering class org.apache.Foo for event", "Registering class <*> for event"),
            ("java.net.ConnectException: Connection refused", "java.net.ConnectException: Connection refused"),
            ("neighbour de:ad:be:ef:ca:fe left, ab:cd stays", "neighbour <*> left, ab:cd stays"),
            ("peer fe80::abcd:efab via ::ffff:10.0.0.1, a::b::c, std::vec", "peer <*> via <*>, a::b::c, std::vec"),
            ("\"GET /a b HTTP/1.1\" \"POST /b\" \"GETTING /c\"", "\"GET <*>\" \"POST <*>\" \"<*>\""),
            (
                "table 'orders' doesn't have 'no such row' in user's 'cart'",
                "table '<*>' doesn't have 'no such row' in user's '<*>'",
            ),
            ("completed.  twice   spaced ", "completed. twice spaced"),
            ("ünïcode ok", "ünïcode ok"),
            ("", ""),
        ] {
            assert_eq!(mask(message), shape, "{message}");
        }
    }

    #[test]
    fn marks_a_truncated_message() {
        assert!(mask(&"word ".repeat(2000)).ends_with('…'));
    }

    proptest::proptest! {
        #[test]
        fn tokens_cover_the_shape_of_any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let mut masker = Masker::default();
            let shape = masker.shape(&bytes).to_vec();
            let joined: Vec<u8> = tokens(&shape).iter().flat_map(|(_, b)| b.to_vec()).collect();
            proptest::prop_assert_eq!(&joined, &shape);
            template(&shape);
        }
    }
}
