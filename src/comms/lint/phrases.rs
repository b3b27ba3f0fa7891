//! Phrases that are looked for, from the files in `src/comms/rules`.
//!
//! Each line of a file is a regular expression that matches whole words in any case. A space is any white space. A line that begins with
//! `#` is a comment. `{role}`, `{wrong}` and `{done}` are the phrases of those files.

use std::sync::LazyLock;

use regex::Regex;

/// Files whose phrases others use by name.
const SHARED: [(&str, &str); 3] = [
    ("{role}", include_str!("../rules/role.txt")),
    ("{wrong}", include_str!("../rules/wrong.txt")),
    ("{done}", include_str!("../rules/done.txt")),
];

/// The lines of a file of rules, without comments.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn alternatives(text: &str) -> String {
    let mut all = lines(text).collect::<Vec<_>>().join("|");
    for (name, file) in SHARED {
        if all.contains(name) {
            all = all.replace(name, &format!("(?:{})", alternatives(file)));
        }
    }
    // Words are ASCII here, because tables of Unicode make large expressions slow.
    all.replace(' ', r"\s+").replace(r"\w", "[0-9A-Za-z_]").replace(r"\d", "[0-9]").replace(r"\b", r"(?-u:\b)")
}

/// A regular expression that is compiled when it is first used.
pub(super) type Pattern = LazyLock<Option<Regex>>;

/// The phrases of a file, anywhere in a text.
pub(super) fn anywhere(text: &str) -> Option<Regex> {
    Regex::new(&format!(r"(?i)(?-u:\b)(?:{})(?-u:\b)", alternatives(text))).ok()
}

/// The phrases of a file at the start of a text, after white space.
pub(super) fn at_start(text: &str) -> Option<Regex> {
    Regex::new(&format!(r"(?i)^\s*(?:{})(?-u:\b)", alternatives(text))).ok()
}

/// The phrases of a file as a whole text.
pub(super) fn whole(text: &str) -> Option<Regex> {
    Regex::new(&format!(r"(?i)^\s*(?:{})[.!]?\s*$", alternatives(text))).ok()
}

/// The places of a pattern in a text.
pub(super) fn find<'a>(pattern: &'a Pattern, text: &'a str) -> impl Iterator<Item = regex::Match<'a>> {
    pattern.iter().flat_map(move |p| p.find_iter(text))
}

pub(super) fn is_match(pattern: &Pattern, text: &str) -> bool {
    pattern.iter().any(|p| p.is_match(text))
}

macro_rules! files {
    ($($(#[$doc:meta])* $name:ident = $how:ident($file:literal);)*) => {
        $($(#[$doc])* pub(super) static $name: Pattern = LazyLock::new(|| $how(include_str!(concat!("../rules/", $file))));)*

        #[cfg(test)]
        pub(super) const FILES: [(&str, &Pattern); [$($file),*].len()] = [$(($file, &$name)),*];
    };
}

files! {
    GUESS = anywhere("guess.txt");
    CAUSE = anywhere("cause.txt");
    BLAME = anywhere("blame.txt");
    /// What a person did without wanting to.
    SLIP = anywhere("slip.txt");
    HINDSIGHT = anywhere("hindsight.txt");
    VAGUE = anywhere("vague.txt");
    SHORT = whole("short.txt");
    JARGON = anywhere("jargon.txt");
    /// Words that make the sentence around a name one about its fault.
    FAULT = anywhere("fault.txt");
    /// People by their roles, or pronouns for them.
    WHO = anywhere("who.txt");
    /// What someone did in words that judge it, after the subject.
    AT_FAULT = at_start("at-fault.txt");
    /// What someone did to help, after the name.
    HELPED = at_start("helped.txt");
    UNHELPFUL = anywhere("unhelpful.txt");
    /// What shows that a cause is known, because it was dealt with.
    DEALT_WITH = anywhere("dealt-with.txt");
}

/// Regular expressions of a module that are compiled when they are first used.
macro_rules! patterns {
    ($($(#[$doc:meta])* $name:ident = $pattern:expr;)*) => {
        $($(#[$doc])* static $name: Pattern = std::sync::LazyLock::new(|| regex::Regex::new($pattern).ok());)*
    };
}
pub(super) use patterns;
