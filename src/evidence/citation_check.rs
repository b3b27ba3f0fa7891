//! Checks the citations of an answer in code, after the model has finished.
//!
//! An answer is split into statements: list items, table rows and sentences, without headings and code. A statement is a claim
//! if it cites evidence. Without a citation it is a claim if it is a full sentence or contains a figure, and is not a question;
//! under a heading that recommends actions, it must contain a figure and also describe what happened.
//!
//! For each claim the check answers three questions: Does it cite evidence? Does every cited item exist, and was it shown to
//! the model? Does every figure in the claim occur in the text of a cited item?

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::Regex;

use crate::incident::{Citation, Claim, ClaimState, EvidenceId};

/// The result of a citation check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CitationCheck {
    pub citations: Vec<Citation>,
    pub claims: Vec<Claim>,
}

/// Checks a Markdown answer against `shown`, the text of the evidence that was shown to the model.
pub fn check_citations(answer: &str, shown: &BTreeMap<EvidenceId, String>) -> CitationCheck {
    let mut checked = CitationCheck::default();
    for (statement, advice) in statements(unwrapped(answer)) {
        let cited = citations(&statement);
        for id in &cited {
            let ok = id.parse().is_ok_and(|id: EvidenceId| shown.contains_key(&id));
            if !checked.citations.iter().any(|c| c.id == *id) {
                checked.citations.push(Citation { id: id.clone(), ok });
            }
        }
        let bare = without_citations(&statement);
        let figures = figures(&bare);
        // Under a heading that recommends actions, a figure is advice unless the sentence describes what happened.
        let asserts = is_statement(&bare) || !figures.is_empty() && bare.chars().any(char::is_alphabetic) && !bare.ends_with('?');
        if cited.is_empty() && (!asserts || advice && (figures.is_empty() || !describes_events(&bare))) {
            continue;
        }
        let texts: Option<Vec<&String>> =
            cited.iter().map(|id| id.parse().ok().and_then(|id: EvidenceId| shown.get(&id))).collect();
        let state = match texts {
            _ if cited.is_empty() => ClaimState::Uncited,
            None => ClaimState::UnknownEvidence,
            Some(texts) if figures.iter().all(|f| texts.iter().any(|t| f.occurs_in(t))) => ClaimState::Supported,
            Some(_) => ClaimState::NumberNotFound,
        };
        checked.claims.push(Claim { text: statement, state });
    }
    checked
}

/// Removes the code fence around an answer that is fenced as a whole, as some models do.
fn unwrapped(answer: &str) -> &str {
    let trimmed = answer.trim();
    let inner = ["```markdown\n", "```md\n"].iter().find_map(|open| trimmed.strip_prefix(open));
    inner
        .and_then(|t| t.strip_suffix("```"))
        .filter(|t| !t.contains("\n```"))
        .or(inner.filter(|t| !t.contains("```")))
        .unwrap_or(answer)
}

/// Whether a sentence describes what is or what happened, judged by its verb.
fn describes_events(text: &str) -> bool {
    let lower = format!(" {} ", text.to_lowercase());
    [
        " was ", " were ", " is ", " are ", " has ", " had ", " lost ", " died", " failed", " rose ", " fell ", " dropped",
        " began", " started", " crashed",
    ]
    .iter()
    .any(|w| lower.contains(w))
}

/// The statements of a Markdown text, each with whether it is under a heading that recommends actions.
fn statements(markdown: &str) -> Vec<(String, bool)> {
    let (mut out, mut advice, mut fenced) = (Vec::new(), false, false);
    let mut paragraph = String::new();
    // Text after a fence that is never closed is still checked.
    let mut fences = markdown.lines().filter(|l| is_fence(l)).count();
    let flush = |paragraph: &mut String, advice: bool, out: &mut Vec<(String, bool)>| {
        for sentence in sentences(paragraph) {
            out.push((sentence, advice));
        }
        paragraph.clear();
    };
    for line in markdown.lines() {
        let line = line.trim();
        if is_fence(line) {
            flush(&mut paragraph, advice, &mut out);
            fences = fences.saturating_sub(1);
            fenced = !fenced && fences > 0;
        } else if fenced {
        } else if let Some(heading) = line.strip_prefix('#') {
            flush(&mut paragraph, advice, &mut out);
            advice = recommends(heading.trim_start_matches('#'));
        } else if line.is_empty() || line.starts_with("---") || line.starts_with("_Rule-based") {
            flush(&mut paragraph, advice, &mut out);
        } else if let Some(item) = list_item(line) {
            flush(&mut paragraph, advice, &mut out);
            paragraph.push_str(item);
        } else if line.starts_with('|') {
            flush(&mut paragraph, advice, &mut out);
            let is_separator = line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
            if !is_separator {
                out.push((line.trim_matches('|').trim().to_owned(), advice));
            }
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line.trim_start_matches("> "));
        }
    }
    flush(&mut paragraph, advice, &mut out);
    out
}

fn is_fence(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("```") || line.starts_with("~~~")
}

/// Whether a heading introduces recommendations rather than facts, judged by its words.
fn recommends(heading: &str) -> bool {
    let lower = heading.to_ascii_lowercase();
    [
        "mitigation",
        "prevent",
        "communicat",
        "next step",
        "action item",
        "improve",
        "documentation",
        "recommend",
        "investigation step",
        "lessons",
        "validate",
        "process",
    ]
    .iter()
    .any(|w| lower.contains(w))
}

/// The text of a bulleted, checkbox or numbered list item; `None` for any other line.
fn list_item(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).or_else(|| line.strip_prefix("+ ")) {
        return Some(rest.strip_prefix("[ ] ").or_else(|| rest.strip_prefix("[x] ")).unwrap_or(rest));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits..)?;
    (1..=3).contains(&digits).then(|| rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))).flatten()
}

/// Splits a paragraph into sentences. A citation after the full stop stays with the sentence before it.
fn sentences(paragraph: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut current = String::new();
    let chars: Vec<char> = paragraph.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        current.push(*c);
        let next = chars.get(i + 1);
        let after = chars.get(i + 2);
        let is_end =
            matches!(c, '.' | '!' | '?') && next.is_none_or(|n| n.is_whitespace()) && after.is_none_or(|a| !a.is_lowercase());
        if is_end {
            out.push(std::mem::take(&mut current).trim().to_owned());
        }
    }
    out.push(current.trim().to_owned());
    let mut joined: Vec<String> = Vec::new();
    for sentence in out.into_iter().filter(|s| !s.is_empty()) {
        // In `It broke. [E3] Then …` the citation belongs to the first sentence.
        let end = leading_citations(&sentence);
        if end > 0
            && let Some(last) = joined.last_mut()
        {
            last.push(' ');
            last.push_str(sentence.get(..end).unwrap_or("").trim());
            let rest = sentence.get(end..).unwrap_or("").trim();
            if !rest.is_empty() {
                joined.push(rest.to_owned());
            }
        } else {
            joined.push(sentence);
        }
    }
    joined
}

/// The length in bytes of the citations at the start of a sentence; 0 without any.
fn leading_citations(sentence: &str) -> usize {
    citation_regex()
        .find_iter(sentence)
        .try_fold(0, |end, m| {
            if sentence.get(end..m.start()).is_some_and(|gap| gap.trim_matches([' ', '.', ',']).is_empty()) {
                Ok(m.end() + sentence.get(m.end()..).map_or(0, |r| r.bytes().take_while(|b| *b == b'.').count()))
            } else {
                Err(end)
            }
        })
        .unwrap_or_else(|end| end)
}

fn citation_regex() -> &'static Regex {
    static REGEX: OnceLock<Regex> = OnceLock::new();
    REGEX.get_or_init(|| {
        Regex::new(r"[\[【(]\s*\^?[Ee]L?\d+(?:\s*[,;–-]\s*[Ee]?L?\d+|\s+and\s+[Ee]L?\d+|\s+[Ee]L?\d+)*\s*[\]】)]|\bEL?\d{1,3}\b")
            .unwrap_or_else(|e| unreachable!("{e}"))
    })
}

/// The ids that a statement cites, in order and without duplicates.
///
/// Recognised forms: `[E3]`, `[E3, E4]`, `(E5)`, `[^E3]`, a bare `E3`, and ranges such as `[E2-E4]`, which are expanded.
pub fn citations(statement: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for found in citation_regex().find_iter(statement) {
        let inside = found.as_str();
        let numbers: Vec<u32> = inside.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        if let ([from, to], true) = (numbers.as_slice(), inside.contains(['-', '–']))
            && !inside.contains(['L', 'l'])
            && from < to
            && to - from <= 50
        {
            for n in *from..=*to {
                let id = format!("E{n}");
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            continue;
        }
        for part in inside.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| p.len() > 1) {
            let id = part.to_ascii_uppercase();
            let number = id.strip_prefix('E').map(|n| n.strip_prefix('L').unwrap_or(n));
            if number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) && !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}

fn without_citations(statement: &str) -> String {
    citation_regex().replace_all(statement, " ").into_owned()
}

/// Whether a text is a full statement: at least four words, not a question, and not an introduction ending in a colon.
fn is_statement(text: &str) -> bool {
    let words = text.split_whitespace().filter(|w| w.chars().any(char::is_alphanumeric)).count();
    words >= 4 && !text.ends_with('?') && !text.trim_end_matches(['*', ' ', '_']).ends_with(':')
}

/// A figure in a claim: a number with its written precision, a time of day or a date.
#[derive(Clone, Debug, PartialEq)]
enum Figure {
    Number { value: f64, decimals: usize, percent: bool },
    Clock(String),
    Date(String),
}

fn figure_regex() -> &'static Regex {
    static REGEX: OnceLock<Regex> = OnceLock::new();
    REGEX.get_or_init(|| {
        Regex::new(r"(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?P<dclock>\d{2}:\d{2}(?::\d{2})?))?|(?P<clock>\b\d{1,2}:\d{2}(?::\d{2})?)(?:Z\b|\b)|(?P<num>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<pct>\s?%)?")
            .unwrap_or_else(|e| unreachable!("{e}"))
    })
}

/// The figures in a text. Digits inside a name (`p95`, `db-3`, `v1.42.0`, `HTTP/1.1`, `INC-7`) are not figures.
fn figures(text: &str) -> Vec<Figure> {
    let mut out = Vec::new();
    for c in figure_regex().captures_iter(text) {
        let Some(whole) = c.get(0) else { continue };
        if let Some(date) = c.name("date") {
            out.push(Figure::Date(date.as_str().to_owned()));
            if c.name("dclock").is_none() {
                continue;
            }
        }
        if let Some(clock) = c.name("dclock").or_else(|| c.name("clock")) {
            out.push(Figure::Clock(clock.as_str().to_owned()));
            continue;
        }
        let Some(number) = c.name("num") else { continue };
        let before = text.get(..whole.start()).and_then(|t| t.chars().next_back());
        let after = text.get(number.end()..).unwrap_or("");
        let in_name = before.is_some_and(|b| b.is_alphanumeric() || matches!(b, '_' | '/' | '#'))
            || before == Some('-')
                && text.get(..whole.start().saturating_sub(1)).is_some_and(|t| t.ends_with(char::is_alphanumeric))
            || before == Some('.')
                && text.get(..whole.start().saturating_sub(1)).is_some_and(|t| t.ends_with(|c: char| c.is_ascii_digit()))
            || after.starts_with('_')
            || after.starts_with('.') && after.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
        if in_name {
            continue;
        }
        let plain: String = number.as_str().chars().filter(|c| *c != ',').collect();
        if let Ok(value) = plain.parse() {
            let decimals = plain.split_once('.').map_or(0, |(_, d)| d.len());
            out.push(Figure::Number { value, decimals, percent: c.name("pct").is_some() });
        }
    }
    out
}

impl Figure {
    /// Whether the figure occurs in the text of the evidence.
    ///
    /// A number matches an equal number or one that rounds to it at the written precision. A percentage also matches a ratio
    /// (`17.2 %` matches `0.172`). A time without seconds matches a time with seconds.
    fn occurs_in(&self, text: &str) -> bool {
        match self {
            Self::Clock(clock) => {
                let padded = if clock.find(':') == Some(1) { format!("0{clock}") } else { clock.clone() };
                // The match must be the start of a time, not the middle of one: `27:40` does not match `09:27:40`.
                text.match_indices(&padded).any(|(at, _)| {
                    let before = text.get(..at).and_then(|t| t.chars().next_back());
                    !before.is_some_and(|b| b.is_ascii_digit() || b == ':')
                })
            }
            Self::Date(date) => text.contains(date.as_str()),
            Self::Number { value, decimals, percent } => {
                let matches = |candidate: f64| {
                    let scale = 10_f64.powi(i32::try_from(*decimals).unwrap_or(0));
                    (candidate * scale).round() / scale == *value || candidate == *value
                };
                numbers(text).any(|n| matches(n) || (*percent && matches(n * 100.0)))
            }
        }
    }
}

/// Every number in a text, including those inside names: the check is lenient about what counts as a figure in the evidence.
fn numbers(text: &str) -> impl Iterator<Item = f64> {
    static REGEX: OnceLock<Regex> = OnceLock::new();
    let regex = REGEX.get_or_init(|| {
        Regex::new(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[+-]?\d+)?").unwrap_or_else(|e| unreachable!("{e}"))
    });
    regex.find_iter(text).filter_map(|m| m.as_str().replace(',', "").parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> BTreeMap<EvidenceId, String> {
        BTreeMap::from([
            (EvidenceId(1), "HighErrorRate since 09:27:40, value 0.172".to_owned()),
            (EvidenceId(3), "db_pool_in_use: min 4 median 20 max 20\n 09:27:10=12".to_owned()),
        ])
    }

    fn states(answer: &str) -> Vec<ClaimState> {
        check_citations(answer, &shown()).claims.into_iter().map(|c| c.state).collect()
    }

    #[test]
    fn sets_the_state_of_each_kind_of_claim() {
        use ClaimState::*;
        for (answer, expected) in [
            ("The pool rose from 4 to 20 at 09:27:10 [E3].", vec![Supported]),
            ("The pool rose from 4 to 20 at 09:27:10Z [E3].", vec![Supported]),
            ("The pool rose from 4 to 20 at 09:27:11Z [E3].", vec![NumberNotFound]),
            ("The pool rose from 4 to 21 at 09:27:10 [E3].", vec![NumberNotFound]),
            ("The pool rose at 09:28:10 [E3].", vec![NumberNotFound]),
            ("17.2 % of requests fail since 09:27 [E1].", vec![Supported]),
            ("17.3 % of requests fail [E1].", vec![NumberNotFound]),
            ("The pool is exhausted [E9].", vec![UnknownEvidence]),
            ("The pool is exhausted [E3, E9].", vec![UnknownEvidence]),
            ("The database is certainly to blame.", vec![Uncited]),
            ("It broke at checkout. [E1] The pool was full. [E3]", vec![Supported, Supported]),
            ("Is the pool too small?", vec![]),
            ("## Immediate mitigations\n\n- Raise the pool to 40 connections.\n- Restart it [E3].", vec![Supported]),
            ("```\nrate(x[5m]) > 99\n```", vec![]),
            ("```markdown\nThe database lost 40000 orders [E77].\n```", vec![UnknownEvidence]),
            ("```\nThe database lost 40000 orders today", vec![Uncited]),
            ("DB down 40000s.", vec![Uncited]),
            ("## Next steps\n\nThe database lost 40000 orders and 99 nodes died.", vec![Uncited]),
            ("It started on 2019-01-02 [E1].", vec![NumberNotFound]),
            ("It started at 27:40 [E1].", vec![NumberNotFound]),
            ("E77 shows that the pool is full.", vec![UnknownEvidence]),
            ("The pool is full [E1-E3].", vec![UnknownEvidence]),
            ("Latency p95 and db-3 look normal [E1].", vec![Supported]),
            ("| a | b |\n|---|---|\n| pool in use | 20 [E3] |", vec![Supported]),
        ] {
            assert_eq!(states(answer), expected, "{answer}");
        }
    }

    #[test]
    fn flags_one_claim_for_one_changed_digit() {
        let good = "The pool rose from 4 to 20 at 09:27:10 [E3]. Requests fail since 09:27:40 [E1].";
        assert!(states(good).iter().all(|s| *s == ClaimState::Supported));
        let bad = good.replace("09:27:40", "09:27:41");
        assert_eq!(states(&bad).iter().filter(|s| **s != ClaimState::Supported).count(), 1);
    }

    #[test]
    fn lists_each_citation_once_with_its_verdict() {
        let checked = check_citations("A is broken [E1]. B is broken [E1, E7] (E3).", &shown());
        let listed: Vec<(&str, bool)> = checked.citations.iter().map(|c| (c.id.as_str(), c.ok)).collect();
        assert_eq!(listed, [("E1", true), ("E7", false), ("E3", true)]);
    }

    proptest::proptest! {
        #[test]
        fn checks_any_text_without_panicking(text in "[#*\\-\\n .\\[\\]E0-9:,%a-zé|`]{0,120}") {
            check_citations(&text, &shown());
        }
    }
}
