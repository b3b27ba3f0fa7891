//! What a log says: lines that say the same are one pattern (see [`miner`]), and counts before and after the onset tell what is
//! new, up, down and gone. [`study`] does it for whole files, [`group`] for the lines that a source gave.

mod mask;
pub mod miner;
pub mod study;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use serde::{Deserialize, Serialize};

use crate::telemetry::{Level, LogLine, Timestamp, Window, clean};

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
    /// Lines in each of [`RATES`] equal parts of the window; empty where it was not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate: Vec<u32>,
    /// Fields of structured lines since the onset that have a few values only, each with its values and their lines, the most
    /// first: `{"region":[["eu-1",12],["us-1",2]]}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facets: BTreeMap<String, Vec<(String, u64)>>,
}

/// Fields that are told of a pattern.
const MAX_FACETS: usize = 6;

/// What fields tell of a pattern's lines: those with a few values, the fewest first; what differs from line to line is an id.
fn telling(facets: BTreeMap<String, study::Facet>) -> BTreeMap<String, Vec<(String, u64)>> {
    let mut fields: Vec<(String, Vec<(String, u64)>)> = facets
        .into_iter()
        .filter(|(_, f)| f.other == 0 && (f.values.len() < 4 || f.values.values().any(|n| *n > 1)))
        .map(|(field, f)| {
            let mut values: Vec<(String, u64)> = f.values.into_iter().collect();
            values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            (field, values)
        })
        .collect();
    fields.sort_by_key(|(_, values)| values.len());
    fields.truncate(MAX_FACETS);
    fields.into_iter().collect()
}

/// Parts of the window that lines are counted in.
pub const RATES: usize = 40;

/// The part of a window that a moment lies in; `None` outside.
fn part_of(window: Window, at: Timestamp) -> Option<usize> {
    let length = window.length().as_secs_f64();
    if !window.contains(at) || length <= 0.0 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a few parts")]
    let part = (at.secs_since(window.start) / length * RATES as f64) as usize;
    Some(part.min(RATES - 1))
}

/// A regular expression for the lines of a template, variable parts and what was redacted left open; `None` when the template
/// is all variable and would take any line.
pub fn matcher(template: &str) -> Option<Regex> {
    static OPEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"<\*>|<redacted:[^>]*>|…").ok());
    let open = OPEN.as_ref()?;
    let literal = |text: &str| text.split_whitespace().map(regex::escape).collect::<Vec<_>>().join(r"\s+");
    let parts: Vec<&str> = open.split(template).collect();
    if parts.iter().all(|p| !p.contains(char::is_alphanumeric)) {
        return None;
    }
    let middle: Vec<String> = parts.iter().map(|p| literal(p)).collect();
    RegexBuilder::new(&format!(r"^\s*{}\s*$", middle.join(r"\s*.*?\s*"))).dot_matches_new_line(true).build().ok()
}

/// Patterns kept of one grouping; beyond, rare templates go into one rest pattern that says so.
pub const MAX_PATTERNS: usize = 500;

/// Groups the lines of a window. Lines at or before `onset` are the baseline; lines without a time count as after. Counts are
/// compared by the lengths of the two parts. New ones come first, then those that rose, bad levels first, then by count.
pub fn group(lines: &[LogLine], onset: Timestamp, window: Window) -> Vec<Pattern> {
    let ratio = window.end.since(onset).as_secs_f64() / onset.since(window.start).as_secs_f64().max(1.0);
    let mut miner = miner::Miner::default();
    let mut counted: HashMap<(u32, Option<Level>), Pattern> = HashMap::new();
    let mut fields: HashMap<(u32, Option<Level>), BTreeMap<String, study::Facet>> = HashMap::new();
    for line in lines {
        let number = miner.add(line.message.lines().next().unwrap_or("").as_bytes());
        let pattern = counted.entry((number, line.level)).or_insert_with(|| Pattern::of(line));
        if line.at.is_some_and(|at| at <= onset) {
            pattern.baseline_count += 1;
        } else {
            pattern.count += 1;
            if !line.fields.is_empty() {
                study::count_fields(fields.entry((number, line.level)).or_default(), line);
            }
            // The sample comes from the incident where there is one.
            if pattern.count == 1 {
                pattern.sample.clone_from(&line.message);
            }
        }
        if let Some(at) = line.at {
            pattern.first_at = Some(pattern.first_at.map_or(at, |f| f.min(at)));
            pattern.last_at = Some(pattern.last_at.map_or(at, |l| l.max(at)));
            if let Some(part) = part_of(window, at) {
                pattern.rate.resize(RATES, 0);
                if let Some(n) = pattern.rate.get_mut(part) {
                    *n = n.saturating_add(1);
                }
            }
        }
        if let Some(service) = &line.service
            && let Err(place) = pattern.services.binary_search(service)
        {
            pattern.services.insert(place, service.clone());
        }
    }
    let mined = miner.finish();
    let mut numbered: Vec<((u32, Option<Level>), Pattern)> = counted.into_iter().collect();
    // Numbers are given in the order of the lines: the first sample of a pattern is the earliest.
    numbered.sort_by_key(|(key, _)| *key);
    let mut found: HashMap<(u32, Option<Level>), Pattern> = HashMap::new();
    for ((number, level), part) in numbered {
        let place = mined.pattern_of.get(number as usize).copied().unwrap_or(0);
        match found.entry((place, level)) {
            Entry::Occupied(mut whole) => whole.get_mut().take_in(part),
            Entry::Vacant(free) => {
                let template = mined.templates.get(place as usize).map(|t| clean::line(t)).unwrap_or_default();
                free.insert(Pattern { template, ..part });
            }
        }
    }
    let mut merged: HashMap<(u32, Option<Level>), BTreeMap<String, study::Facet>> = HashMap::new();
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_by_key(|(key, _)| *key);
    for ((number, level), facets) in fields {
        let place = mined.pattern_of.get(number as usize).copied().unwrap_or(0);
        study::merge(merged.entry((place, level)).or_default(), facets);
    }
    for (key, facets) in merged {
        if let Some(pattern) = found.get_mut(&key) {
            pattern.facets = telling(facets);
        }
    }
    let mut patterns: Vec<Pattern> = found.into_values().collect();
    for pattern in &mut patterns {
        pattern.change = change(pattern.count, pattern.baseline_count, ratio);
    }
    patterns.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.template.cmp(&b.template)).then_with(|| a.level.cmp(&b.level)));
    if patterns.len() > MAX_PATTERNS {
        let rest = patterns.split_off(MAX_PATTERNS);
        patterns.push(Pattern {
            template: format!("(lines of further patterns beyond the first {MAX_PATTERNS})"),
            count: rest.iter().map(|p| p.count).sum(),
            baseline_count: rest.iter().map(|p| p.baseline_count).sum(),
            ..Pattern::of(&LogLine::plain(""))
        });
    }
    patterns
}

impl Pattern {
    /// Nothing counted yet.
    fn of(line: &LogLine) -> Self {
        Self {
            template: String::new(),
            level: line.level,
            services: Vec::new(),
            count: 0,
            baseline_count: 0,
            change: Change::Same,
            first_at: None,
            last_at: None,
            sample: line.message.clone(),
            rate: Vec::new(),
            facets: BTreeMap::new(),
        }
    }

    /// Takes another part of the same pattern in.
    fn take_in(&mut self, other: Self) {
        if self.count == 0 && other.count > 0 {
            self.sample = other.sample;
        }
        self.count += other.count;
        self.baseline_count += other.baseline_count;
        self.first_at = [self.first_at, other.first_at].into_iter().flatten().min();
        self.last_at = self.last_at.max(other.last_at);
        if self.rate.is_empty() {
            self.rate = other.rate;
        } else {
            self.rate.iter_mut().zip(other.rate).for_each(|(a, b)| *a = a.saturating_add(b));
        }
        self.services.extend(other.services);
        self.services.sort();
        self.services.dedup();
    }
}

/// New bad ones first, then risen bad ones, then new and risen of any level, then the rest by count.
pub fn rank(p: &Pattern) -> (u8, std::cmp::Reverse<u64>) {
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

/// So many times more, or less, than expected is a change.
const TIMES: f64 = 2.0;

/// A count against what the baseline leads to expect: twice as many, and by more than chance would, is up.
fn change(count: u64, baseline: u64, ratio: f64) -> Change {
    let expected = baseline as f64 * ratio;
    let slack = 3.0 * expected.max(1.0).sqrt();
    match (count, baseline) {
        (_, 0) => Change::New,
        (0, _) if expected >= 3.0 => Change::Gone,
        _ if count as f64 > (expected * TIMES).max(expected + slack) => Change::Up,
        _ if (count as f64) < (expected / TIMES).min(expected - slack) => Change::Down,
        _ => Change::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_a_few_values_are_told_and_ids_are_not() {
        let line = |n: i64, at: i64| LogLine {
            at: Some(Timestamp::from_secs(1_795_253_400 + at)),
            service: Some("shop".into()),
            fields: [
                ("app", "shop"),
                ("region", ["eu", "us"][usize::from(n % 4 == 0)]),
                ("code", "502"),
                ("order", n.to_string().as_str()),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
            ..LogLine::plain("upstream failed")
        };
        // Before the onset another region was busy: that is not counted.
        let lines: Vec<LogLine> = (0..8).map(|n| line(1, n)).chain((0..12).map(|n| line(n, 200 + n))).collect();
        let (start, end) = (Timestamp::from_secs(1_795_253_400), Timestamp::from_secs(1_795_253_800));
        let found = group(&lines, Timestamp::from_secs(1_795_253_500), Window { start, end });
        let one = |v: &str, n| (v.to_owned(), n);
        assert_eq!(
            found[0].facets,
            BTreeMap::from([("code".into(), vec![one("502", 12)]), ("region".into(), vec![one("eu", 9), one("us", 3)])])
        );
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
        let patterns = group(&lines, onset, Window::new(Timestamp::from_secs(0), Timestamp::from_secs(200)));
        assert_eq!(patterns[0].template, "pool exhausted after <*>");
        assert_eq!((patterns[0].change, patterns[0].count, patterns[0].baseline_count), (Change::New, 10, 0));
        assert_eq!(patterns[1].change, Change::Same);
        assert_eq!((patterns[0].rate.iter().sum::<u32>(), patterns[0].rate[22], patterns[0].rate[10]), (10, 5, 0));
    }

    #[test]
    fn a_templates_lines_are_known_again() {
        let found = matcher("pool exhausted after <*> (in_use=<*>, waiting=<*>)").unwrap();
        assert!(found.is_match("pool exhausted  after 1000 ms (in_use=20, waiting=19)"));
        assert!(!found.is_match("the pool exhausted after 1000 ms (in_use=20, waiting=19)"));
        assert!(matcher("mail to <redacted:email#1> sent").unwrap().is_match("mail to ana@example.com sent"));
        assert!(matcher("<*> - <*>").is_none());
    }

    #[test]
    fn endless_different_lines_stay_bounded() {
        let lines: Vec<LogLine> =
            (0..5000).map(|i| LogLine::plain("x".repeat(i % 60) + &"yz".repeat(i / 60 % 30) + &"ab".repeat(i / 1800))).collect();
        assert!(
            group(&lines, Timestamp::from_secs(0), Window::new(Timestamp::from_secs(0), Timestamp::from_secs(1))).len()
                <= MAX_PATTERNS + 1
        );
    }
}
