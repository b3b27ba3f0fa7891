//! A first, simple grouping of log lines: the variable parts of a message are masked by their shape, and lines with the
//! same masked text are one pattern. Counts before and after the onset tell what is new.

mod mask;
pub mod miner;
pub mod study;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::telemetry::{Level, LogLine, Timestamp};

/// What became of a pattern since the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    New,
    Up,
    Same,
    Down,
    Gone,
}

impl Change {
    /// The word as printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Up => "up",
            Self::Same => "same",
            Self::Down => "down",
            Self::Gone => "gone",
        }
    }
}

/// Lines that say the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// The message with `<*>` in place of what varies.
    pub template: String,
    pub level: Option<Level>,
    /// Services that wrote it, sorted.
    pub services: Vec<String>,
    /// Lines since the onset.
    pub count: u64,
    /// Lines in the baseline.
    pub baseline_count: u64,
    pub change: Change,
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    /// One real line, redacted with the body it stands in.
    pub sample: String,
}

/// Patterns kept of one grouping; beyond, rare templates go into one rest pattern that says so.
pub const MAX_PATTERNS: usize = 500;

/// Groups lines. Lines at or before `onset` are the baseline; lines without a time count as after. `ratio` is the length
/// of the time since the onset over that of the baseline, so that counts can be compared. New ones come first, then those
/// that rose, bad levels first, then by count.
pub fn group(lines: &[LogLine], onset: Timestamp, ratio: f64) -> Vec<Pattern> {
    let mut found: HashMap<(String, Option<Level>), Pattern> = HashMap::new();
    let mut rest = 0_u64;
    for line in lines {
        let key = (mask(line.message.lines().next().unwrap_or("")), line.level);
        if !found.contains_key(&key) && found.len() >= MAX_PATTERNS {
            rest += 1;
            continue;
        }
        let pattern = found.entry(key).or_insert_with_key(|(template, level)| Pattern {
            template: template.clone(),
            level: *level,
            services: Vec::new(),
            count: 0,
            baseline_count: 0,
            change: Change::Same,
            first_at: None,
            last_at: None,
            sample: line.message.clone(),
        });
        if line.at.is_some_and(|at| at <= onset) {
            pattern.baseline_count += 1;
        } else {
            pattern.count += 1;
            // The sample comes from the incident where there is one.
            if pattern.count == 1 {
                pattern.sample.clone_from(&line.message);
            }
        }
        if let Some(at) = line.at {
            pattern.first_at = Some(pattern.first_at.map_or(at, |f| f.min(at)));
            pattern.last_at = Some(pattern.last_at.map_or(at, |l| l.max(at)));
        }
        if let Some(service) = &line.service
            && let Err(place) = pattern.services.binary_search(service)
        {
            pattern.services.insert(place, service.clone());
        }
    }
    let mut patterns: Vec<Pattern> = found.into_values().collect();
    for pattern in &mut patterns {
        pattern.change = change(pattern.count, pattern.baseline_count, ratio);
    }
    patterns.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.template.cmp(&b.template)).then_with(|| a.level.cmp(&b.level)));
    if rest > 0 {
        patterns.push(Pattern {
            template: format!("(lines of further patterns beyond the first {MAX_PATTERNS})"),
            level: None,
            services: Vec::new(),
            count: rest,
            baseline_count: 0,
            change: Change::Same,
            first_at: None,
            last_at: None,
            sample: String::new(),
        });
    }
    patterns
}

/// New bad ones first, then risen bad ones, then new and risen of any level, then the rest by count.
fn rank(p: &Pattern) -> (u8, std::cmp::Reverse<u64>) {
    let bad = p.level.is_some_and(Level::is_bad);
    let class = match (p.change, bad) {
        (Change::New, true) => 0,
        (Change::Up, true) => 1,
        (Change::New, false) => 2,
        (Change::Up, false) => 3,
        (Change::Same, true) => 4,
        (Change::Same | Change::Down, _) => 5,
        (Change::Gone, _) => 6,
    };
    (class, std::cmp::Reverse(p.count.max(p.baseline_count)))
}

/// A count against what the baseline leads to expect: three times more, and by more than chance would, is up.
fn change(count: u64, baseline: u64, ratio: f64) -> Change {
    let expected = baseline as f64 * ratio;
    let slack = 3.0 * expected.max(1.0).sqrt();
    match (count, baseline) {
        (_, 0) => Change::New,
        (0, _) if expected >= 3.0 => Change::Gone,
        _ if count as f64 > (expected * 3.0).max(expected + slack) => Change::Up,
        _ if (count as f64) < (expected / 3.0).min(expected - slack) => Change::Down,
        _ => Change::Same,
    }
}

/// The message with numbers, ids, addresses, quoted values and paths with digits replaced by `<*>`.
pub fn mask(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(400));
    for (index, word) in message.split(' ').enumerate() {
        if index > 0 {
            out.push(' ');
        }
        if index >= 60 {
            out.push('…');
            break;
        }
        mask_word(word, &mut out);
    }
    out
}

/// A word keeps its leading and trailing punctuation and the name of a `name=value`.
fn mask_word(word: &str, out: &mut String) {
    let is_edge = |c: char| !c.is_alphanumeric() && !matches!(c, '/' | '-' | '_');
    let start = word.find(|c| !is_edge(c)).unwrap_or(word.len());
    let end = word.rfind(|c| !is_edge(c)).and_then(|i| word.get(i..)?.chars().next().map(|c| i + c.len_utf8())).unwrap_or(start);
    let (lead, core, tail) = (word.get(..start).unwrap_or(""), word.get(start..end).unwrap_or(""), word.get(end..).unwrap_or(""));
    out.push_str(lead);
    match core.split_once(['=', ':']) {
        Some((name, value)) if !name.is_empty() && !value.is_empty() && !has_digit(name) && !value.starts_with('/') => {
            out.push_str(name);
            out.push_str(core.get(name.len()..name.len() + 1).unwrap_or("="));
            mask_core(value.trim_matches('"'), out);
        }
        _ => mask_core(core, out),
    }
    out.push_str(tail);
}

fn mask_core(core: &str, out: &mut String) {
    out.push_str(if has_digit(core) || core.len() > 64 { "<*>" } else { core });
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_masked() {
        assert_eq!(
            mask("pool exhausted after 3000 ms (in_use=20, waiting=17)"),
            "pool exhausted after <*> ms (in_use=<*>, waiting=<*>)"
        );
        assert_eq!(mask("GET /cart/8812 502"), "GET <*> <*>");
        assert_eq!(mask("order 9f1c2b3d-aaaa failed: timeout"), "order <*> failed: timeout");
        assert_eq!(mask("ünïcode ok"), "ünïcode ok");
    }

    #[test]
    fn a_pattern_that_begins_at_the_onset_is_new_and_first() {
        let onset = Timestamp::from_secs(100);
        let line = |secs, message: &str, level| LogLine {
            at: Some(Timestamp::from_secs(secs)),
            level: Some(level),
            service: Some("checkout".into()),
            ..LogLine::plain(message)
        };
        let mut lines: Vec<LogLine> = (0..200).map(|i| line(i, &format!("order {i} placed"), Level::Info)).collect();
        lines.extend((110..120).map(|i| line(i, &format!("pool exhausted after {i} ms"), Level::Error)));
        let patterns = group(&lines, onset, 1.0);
        assert_eq!(patterns[0].template, "pool exhausted after <*> ms");
        assert_eq!((patterns[0].change, patterns[0].count, patterns[0].baseline_count), (Change::New, 10, 0));
        assert_eq!(patterns[1].change, Change::Same);
    }

    #[test]
    fn endless_different_lines_stay_bounded() {
        let lines: Vec<LogLine> =
            (0..5000).map(|i| LogLine::plain("x".repeat(i % 60) + &"yz".repeat(i / 60 % 30) + &"ab".repeat(i / 1800))).collect();
        assert!(group(&lines, Timestamp::from_secs(0), 1.0).len() <= MAX_PATTERNS + 1);
    }

    proptest::proptest! {
        #[test]
        fn masking_never_panics(text in "\\PC{0,80}") {
            mask(&text);
        }
    }
}
