//! Label matchers as Prometheus and Alertmanager write them: `service="checkout"`, `severity!="info"`, `alertname=~"High.*"`.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

use super::series::Labels;

/// How a matcher compares the value of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl Comparison {
    /// The operator: `=`, `!=`, `=~` or `!~`.
    pub fn operator(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }

    /// Whether a label matches that has the value, or whose value matches the expression.
    pub fn is_equal(self) -> bool {
        matches!(self, Self::Equal | Self::Regex)
    }
}

/// A matcher of one label. A label that is missing has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub label: String,
    pub comparison: Comparison,
    pub value: String,
    /// The compiled value, which matches the whole value of a label; only for regular expressions.
    regex: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.comparison, &self.value) == (&other.label, other.comparison, &other.value)
    }
}

/// Why a text is not a matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a matcher: {why}")]
pub struct MatcherError {
    text: String,
    why: String,
}

impl MatcherError {
    /// How a matcher is written, as a sentence.
    pub const REMEDY: &'static str = r#"Write a label, one of = != =~ !~, and a value in quotes, such as service="checkout"."#;
}

impl Matcher {
    /// A matcher from its parts.
    ///
    /// # Errors
    /// When the label is empty, or the value of a regular expression is not one.
    pub fn new(label: &str, comparison: Comparison, value: &str) -> Result<Self, MatcherError> {
        let fail = |why: String| MatcherError { text: format!("{label}{}{value:?}", comparison.operator()), why };
        if label.trim().is_empty() {
            return Err(fail("the label is missing".to_owned()));
        }
        let regex = match comparison {
            Comparison::Equal | Comparison::NotEqual => None,
            Comparison::Regex | Comparison::NotRegex => {
                let regex = Regex::new(&format!("^(?s:{value})$"));
                Some(regex.map_err(|_| fail("its value is not a valid regular expression".to_owned()))?)
            }
        };
        Ok(Self { label: label.to_owned(), comparison, value: value.to_owned(), regex })
    }

    /// Whether it matches a set of labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.label).map_or("", String::as_str))
    }

    /// Whether it matches the value of its label; the empty text for a label that is missing.
    pub fn matches_value(&self, value: &str) -> bool {
        let is_match = self.regex.as_ref().map_or(self.value == value, |r| r.is_match(value));
        is_match == self.comparison.is_equal()
    }

    /// Parses several matchers, separated by commas, with or without braces around them.
    ///
    /// # Errors
    /// When one of them is not a matcher. No matchers at all are an empty list.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, MatcherError> {
        let text = text.trim();
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        parts(inner).into_iter().map(str::trim).filter(|p| !p.is_empty()).map(str::parse).collect()
    }
}

/// Splits at the commas outside of quotes.
fn parts(text: &str) -> Vec<&str> {
    let (mut out, mut start, mut quote, mut escaped) = (Vec::new(), 0, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(q), c) if q == c => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, ',') => {
                out.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    out.extend(text.get(start..));
    out
}

/// The text in quotes, with its escapes resolved; text without quotes as it is. `None` if a quote is not closed.
fn unquote(text: &str) -> Option<String> {
    let text = text.trim();
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else { return Some(text.to_owned()) };
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote != '"' {
        return (!inner.contains(quote)).then(|| inner.to_owned());
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                c @ ('"' | '\\' | '\'') => out.push(c),
                // A regular expression keeps its escapes if they were not doubled.
                c => out.extend(['\\', c]),
            },
            '"' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

impl FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        let fail = |why: &str| MatcherError { text: text.to_owned(), why: why.to_owned() };
        let text = text.trim();
        // A label in quotes may contain an operator.
        let search_from = text.strip_prefix('"').and_then(|rest| rest.find('"')).map_or(0, |end| end + 2);
        let rest = text.get(search_from..).unwrap_or_default();
        let at = rest.find(['=', '!']).ok_or_else(|| fail("it has no operator"))? + search_from;
        let (label, rest) = text.split_at(at);
        let operators = [Comparison::Regex, Comparison::NotRegex, Comparison::NotEqual, Comparison::Equal];
        let comparison =
            operators.into_iter().find(|c| rest.starts_with(c.operator())).ok_or_else(|| fail("it has no operator"))?;
        let value = rest.get(comparison.operator().len()..).unwrap_or_default();
        let value = unquote(value).ok_or_else(|| fail("a quote is not closed"))?;
        let label = unquote(label).ok_or_else(|| fail("a quote is not closed"))?;
        Self::new(&label, comparison, &value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(f, "{}{}\"{value}\"", self.label, self.comparison.operator())
    }
}

/// The text of matchers, such as `{service="checkout", severity="warning"}`.
pub fn matchers_text(matchers: &[Matcher]) -> String {
    format!("{{{}}}", matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn matches_as_alertmanager_does() {
        let shop = labels(&[("service", "checkout"), ("code", "503")]);
        for (text, is_match) in [
            ("service=\"checkout\"", true),
            ("service=checkout", true),
            ("service = 'checkout'", true),
            ("service=\"check\"", false),
            ("service=~\"check\"", false),
            ("service=~\"check.*|mail\"", true),
            ("service!~\"check.*\"", false),
            ("code=~\"5\\d\\d\"", true),
            ("code=~\"5\\\\d\\\\d\"", true),
            ("team=\"\"", true),
            ("team!=\"\"", false),
            ("\"service.name\"!=\"x\"", true),
        ] {
            assert_eq!(text.parse::<Matcher>().unwrap().matches(&shop), is_match, "{text}");
        }
    }

    #[test]
    fn parses_lists_and_prints_what_it_parses() {
        let all = Matcher::parse_all(r#"{alertname=~"A, B|C", service="say \"hi\"",}"#).unwrap();
        assert_eq!(all.iter().map(|m| m.value.as_str()).collect::<Vec<_>>(), ["A, B|C", "say \"hi\""]);
        for matcher in all {
            assert_eq!(matcher.to_string().parse::<Matcher>().unwrap(), matcher);
        }
        assert_eq!(Matcher::parse_all(" ").unwrap(), []);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("checkout", "no operator"),
            ("a=\"b", "not closed"),
            ("a=~\"(\"", "regular expression"),
            ("=\"b\"", "missing"),
            ("a!b", "no operator"),
        ] {
            let e = text.parse::<Matcher>().unwrap_err().to_string();
            assert!(e.contains(part), "{text}: {e}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_survives_printing(label in "[a-z_.]{1,8}", value in "\\PC{0,20}") {
            let _any = value.parse::<Matcher>();
            let _all = Matcher::parse_all(&value);
            let matcher = Matcher::new(&label, Comparison::Equal, &value).unwrap();
            let again = matcher.to_string().parse::<Matcher>().unwrap();
            proptest::prop_assert_eq!(&again.value, &value);
        }
    }
}
