//! Patterns and lists of words that all checks of claims share.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

/// Compiles a constant pattern. Its word boundaries, letters and digits are those of ASCII, with which it is compiled and matched
/// several times as fast.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(&in_ascii(text)).unwrap_or_else(|e| unreachable!("constant pattern: {e}"))
}

/// A pattern whose classes are those of ASCII.
fn in_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let (mut chars, mut in_brackets) = (text.chars(), false);
    while let Some(c) = chars.next() {
        in_brackets = c == '[' || in_brackets && c != ']';
        let escaped = if c == '\\' { chars.next() } else { None };
        match (escaped, in_brackets) {
            (Some('b'), false) => out.push_str(r"(?-u:\b)"),
            (Some('d'), false) => out.push_str("[0-9]"),
            (Some('d'), true) => out.push_str("0-9"),
            (Some('w'), false) => out.push_str("[0-9A-Za-z_]"),
            (Some('w'), true) => out.push_str("0-9A-Za-z_"),
            (Some('W'), false) => out.push_str("[^0-9A-Za-z_]"),
            (other, _) => {
                out.push(c);
                out.extend(other);
            }
        }
    }
    out
}

/// Words that turn a statement into its opposite, or may.
pub(super) static NEGATED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)(?:\b(?:never|not|no|nor|without|neither|hardly|barely|instead of|rather than)|n['’]t)\b"));

/// A constant list of words in lower case.
pub(super) struct Words(LazyLock<HashSet<&'static str>, fn() -> HashSet<&'static str>>);

impl Words {
    pub(super) const fn new(make: fn() -> HashSet<&'static str>) -> Self {
        Self(LazyLock::new(make))
    }

    /// Whether a word in lower case is in the list.
    pub(super) fn has(&self, lower: &str) -> bool {
        self.0.contains(lower)
    }
}

/// A list from words that are separated by spaces.
macro_rules! words {
    ($text:expr) => {
        $crate::evidence::claims::words::Words::new(|| $text.split_whitespace().collect())
    };
}
pub(super) use words;
