//! What is typed to filter a list or to search in lines.

use std::cmp::Ordering;

use crate::telemetry::{Level, LogLine};

/// A filter as typed: words that must all occur, `!word` that must not occur, `~regex` that must match, `!~regex` that must
/// not match, `name=value` that a field must have. An empty filter matches everything. Quotes keep spaces: `"pool is full"`,
/// `user="Ana Lima"`. A regex that is not valid (because it is still being typed) is matched as a word. The flag of each term is
/// `true` if the term must match, `false` if it must not.
pub(crate) struct Filter(Vec<(bool, Term)>);

enum Term {
    Word(String),
    Pattern(Box<regex::Regex>),
    Field(Comparison),
}

/// A condition on a field: `status>=500`, `level=error`, `zone!=eu-1`. A text that contains it as it is written matches too.
struct Comparison {
    /// In lower case.
    name: String,
    is_wanted: IsWanted,
    /// In lower case.
    value: String,
    /// The whole term in lower case.
    written: String,
}

/// How the value of a field has to compare with the value in the term.
type IsWanted = fn(Ordering) -> bool;

/// The operators, longer ones before those that they begin with.
const OPERATORS: [(&str, IsWanted); 6] = [
    ("!=", Ordering::is_ne),
    (">=", Ordering::is_ge),
    ("<=", Ordering::is_le),
    ("=", Ordering::is_eq),
    (">", Ordering::is_gt),
    ("<", Ordering::is_lt),
];

impl Comparison {
    /// The condition that a term is; `None` if it is a plain word.
    fn parse(word: &str) -> Option<Self> {
        let end = word.find(['!', '=', '<', '>'])?;
        let (name, rest) = word.split_at(end);
        let (operator, is_wanted) = OPERATORS.into_iter().find(|(operator, _)| rest.starts_with(operator))?;
        let value = rest.strip_prefix(operator)?.trim_matches('"');
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || "_.-@/".contains(c));
        (is_name && !value.is_empty()).then(|| Self {
            name: name.to_lowercase(),
            is_wanted,
            value: value.to_lowercase(),
            written: word.to_lowercase(),
        })
    }

    /// Whether a field of this name is meant: its whole name, or what follows a dot in it.
    fn is_for(&self, field: &str) -> bool {
        let start = field.len().checked_sub(self.name.len());
        start.is_some_and(|start| {
            field.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(&self.name))
                && (start == 0 || field.as_bytes().get(start - 1) == Some(&b'.'))
        })
    }

    /// Whether the value of the field is as wanted. Levels and numbers are compared by size; other values are only equal or not.
    fn accepts(&self, value: &str) -> bool {
        let lower = value.trim().to_lowercase();
        let order = if lower == self.value { Some(Ordering::Equal) } else { order(&lower, &self.value) };
        match order {
            Some(order) => (self.is_wanted)(order),
            // Neither more nor less, but different.
            None => (self.is_wanted)(Ordering::Less) && (self.is_wanted)(Ordering::Greater),
        }
    }
}

/// How two values compare: levels by their weight, numbers with the same unit by their size. `None` for other values.
fn order(a: &str, b: &str) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (Level::from_word(a), Level::from_word(b)) {
        return Some(a.cmp(&b));
    }
    let number = |text: &str| {
        let end = text.rfind(|c: char| c.is_ascii_digit()).map(|at| at + 1)?;
        let (number, unit) = text.split_at_checked(end)?;
        Some((number.parse::<f64>().ok()?, unit.to_owned()))
    };
    let ((a, unit_a), (b, unit_b)) = (number(a)?, number(b)?);
    if unit_a == unit_b || unit_b.is_empty() { a.partial_cmp(&b) } else { None }
}

/// What a condition on a field is compared with.
pub(crate) trait Fields {
    /// Whether `accept` accepts a field with its name and value.
    fn any_field(&self, accept: &dyn Fn(&str, &str) -> bool) -> bool;
}

impl Fields for LogLine {
    fn any_field(&self, accept: &dyn Fn(&str, &str) -> bool) -> bool {
        self.level.is_some_and(|l| accept("level", l.word()))
            || self.service.as_ref().is_some_and(|s| accept("service", s))
            || self.fields.iter().any(|(name, value)| accept(name, value))
    }
}

impl Fields for crate::analysis::Pattern {
    fn any_field(&self, accept: &dyn Fn(&str, &str) -> bool) -> bool {
        self.level.is_some_and(|l| accept("level", l.word()))
            || self.services.iter().any(|s| accept("service", s))
            || self.facets.iter().any(|(name, values)| values.iter().any(|(value, _)| accept(name, value)))
    }
}

/// Something without fields.
impl Fields for () {
    fn any_field(&self, _: &dyn Fn(&str, &str) -> bool) -> bool {
        false
    }
}

/// The terms of a filter as typed: separated by spaces, except between quotes that begin a term or a value. A quote that is not
/// closed yet ends with the text.
fn terms(text: &str) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    let (mut term, mut is_quoted) = (String::new(), false);
    for c in text.chars() {
        let begins = term.is_empty() || term.ends_with(['!', '=', '<', '>']);
        match c {
            '"' if is_quoted || begins => {
                is_quoted = !is_quoted;
                term.push(c);
            }
            c if c.is_whitespace() && !is_quoted => terms.push(std::mem::take(&mut term)),
            c => term.push(c),
        }
    }
    terms.push(term);
    terms.retain(|t| !t.is_empty());
    terms
}

impl Filter {
    /// Parses a filter. Do this once per list, not once per row.
    pub(crate) fn new(text: &str) -> Self {
        let terms = terms(text).into_iter().filter_map(|term| {
            let (must_match, word) = term.strip_prefix('!').map_or((true, term.as_str()), |rest| (false, rest));
            let pattern = word
                .strip_prefix('~')
                .filter(|p| !p.is_empty())
                .and_then(|p| regex::RegexBuilder::new(p).case_insensitive(true).size_limit(1 << 20).build().ok());
            if let Some(pattern) = pattern {
                return Some((must_match, Term::Pattern(Box::new(pattern))));
            }
            if let Some(comparison) = Comparison::parse(word) {
                return Some((must_match, Term::Field(comparison)));
            }
            let phrase = word.strip_prefix('"').map_or(word, |rest| rest.strip_suffix('"').unwrap_or(rest));
            (!phrase.is_empty()).then(|| (must_match, Term::Word(phrase.to_lowercase())))
        });
        Self(terms.collect())
    }

    /// A term for a field: `status=502`, `user="Ana Lima"`.
    pub(crate) fn field_term(name: &str, value: &str) -> String {
        if value.contains(char::is_whitespace) { format!("{name}=\"{value}\"") } else { format!("{name}={value}") }
    }

    /// A note about the first term that starts with `~` but is not a valid regular expression; `None` if there is none.
    pub(crate) fn invalid_regex_note(text: &str) -> Option<String> {
        let pattern = |word: String| word.strip_prefix('!').unwrap_or(&word).strip_prefix('~').map(str::to_owned);
        let found = terms(text).into_iter().filter_map(pattern).find(|p| !p.is_empty() && regex::Regex::new(p).is_err())?;
        Some(format!("~{found} is not a valid regular expression and is matched as text"))
    }

    /// The byte ranges of a text that the positive terms match, for highlighting: sorted, and merged where they overlap or
    /// touch. Words match ASCII letters in any case, other letters only in lower case.
    pub(crate) fn match_ranges(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        // ASCII lower case keeps the length, so that positions are valid in both texts.
        let lower = text.to_ascii_lowercase();
        let mut found: Vec<std::ops::Range<usize>> = Vec::new();
        for (_, term) in self.0.iter().filter(|(must_match, _)| *must_match) {
            match term {
                Term::Word(word) => found.extend(lower.match_indices(word.as_str()).map(|(at, hit)| at..at + hit.len())),
                Term::Field(field) => {
                    found.extend(lower.match_indices(field.written.as_str()).map(|(at, hit)| at..at + hit.len()));
                }
                Term::Pattern(pattern) => found.extend(pattern.find_iter(text).map(|m| m.range()).filter(|r| !r.is_empty())),
            }
        }
        found.sort_by_key(|r| (r.start, r.end));
        let mut merged: Vec<std::ops::Range<usize>> = Vec::new();
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }

    /// Whether a text, which must be in lower case, matches.
    pub(crate) fn matches(&self, lower: &str) -> bool {
        self.matches_with(lower, &())
    }

    /// Whether something matches: its text, which must be in lower case, or its fields.
    pub(crate) fn matches_with(&self, lower: &str, fields: &impl Fields) -> bool {
        self.0.iter().all(|(must_match, term)| {
            *must_match
                == match term {
                    Term::Word(word) => lower.contains(word.as_str()),
                    Term::Pattern(pattern) => pattern.is_match(lower),
                    Term::Field(field) => {
                        fields.any_field(&|name, value| field.is_for(name) && field.accepts(value))
                            || lower.contains(field.written.as_str())
                    }
                }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_invalid_regular_expressions() {
        assert_eq!(Filter::invalid_regex_note("pool ~50\\d !~a|b"), None);
        assert_eq!(
            Filter::invalid_regex_note("pool !~[").as_deref(),
            Some("~[ is not a valid regular expression and is matched as text")
        );
    }

    #[test]
    fn fields_are_compared_and_quotes_keep_spaces() {
        let fields = [("http.status", "503"), ("took", "250ms"), ("user", "Ana Lima"), ("zone", "eu-1")];
        let line = LogLine {
            level: Some(Level::Error),
            service: Some("cart".into()),
            fields: fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..LogLine::plain("pool is full, size=20")
        };
        let text = crate::app::logs::searchable_text(&line);
        for (filter, hit) in [
            ("status=503", true),
            ("http.status>=500", true),
            ("status<500", false),
            ("tatus=503", false),
            ("level=error service=CART", true),
            ("level>=warn", true),
            ("level<warn", false),
            ("!level=error", false),
            ("took>99ms", true),
            ("took>99s", false),
            ("took>99", true),
            ("zone!=eu-2", true),
            ("zone!=eu-1", false),
            ("zone>a", false),
            ("absent!=x", false),
            ("!absent=x", true),
            ("user=\"ana lima\"", true),
            ("user=\"ana", false),
            ("\"is full\" !\"is empty\"", true),
            ("\"full is\"", false),
            ("\"pool is", true),
            ("size=20", true),
            ("size=2", true),
            ("size=3", false),
            ("->x", false),
        ] {
            assert_eq!(Filter::new(filter).matches_with(&text, &line), hit, "{filter}");
        }
        assert_eq!((Filter::field_term("a", "b c"), Filter::field_term("a", "b")), ("a=\"b c\"".into(), "a=b".into()));
    }

    #[test]
    fn finds_the_ranges_that_positive_terms_match() {
        let spans = |filter: &str, text: &str| Filter::new(filter).match_ranges(text);
        assert_eq!(spans("pool ~5\\d\\d !x", "Pool: 502 in the pool x"), [0..4, 6..9, 17..21]);
        assert_eq!(spans("ab bc x", "é abc x"), [3..6, 7..8], "overlapping ranges are merged");
        assert!(spans("", "text").is_empty() && spans("!no", "no").is_empty() && spans("~x*", "aaa").is_empty());
    }

    #[test]
    fn filters_by_words_exclusions_and_patterns() {
        for (filter, hit) in [
            ("", true),
            ("check err", true),
            ("check !err", false),
            ("~err.*50\\d", true),
            ("!~^check", false),
            ("~[", false),
            ("!", true),
        ] {
            assert_eq!(Filter::new(filter).matches("checkout error 502"), hit, "{filter}");
        }
    }
}
