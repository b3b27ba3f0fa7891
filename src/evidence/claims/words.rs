//! Patterns and lists of words that all checks of claims share.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::pattern::in_ascii;

/// Compiles a constant pattern.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(&in_ascii(text)).unwrap_or_else(|e| unreachable!("constant pattern: {e}"))
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
