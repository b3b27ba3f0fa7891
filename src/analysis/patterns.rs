//! Log patterns: groups lines that share a template (see [`miner`]) and compares their counts before and after the onset to
//! find which patterns are new, up, down or gone. [`group_lines`] handles lines returned by a source, [`log_analysis`] whole log files.

pub mod batch;
pub mod filter;
mod locations;
pub mod log_analysis;
mod mask;
pub mod miner;
pub mod tally;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use serde::{Deserialize, Serialize};

use crate::telemetry::log::names_error;
use crate::telemetry::{Level, LogLine, Timestamp, Window, clean};

/// How the number of lines of a pattern changed against the baseline.
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
    /// The lower-case name, as printed.
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

/// A group of log lines that share a template and a level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// The message with `<*>` in place of each variable part.
    pub template: String,
    pub level: Option<Level>,
    /// Services that wrote the lines, sorted.
    pub services: Vec<String>,
    /// Lines after the onset, and lines without a time.
    pub count: u64,
    /// Lines in the baseline, at or before the onset.
    pub baseline_count: u64,
    pub change: Change,
    /// First and last time of a line in the whole window; `None` when no line has a time.
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    /// One original line, from after the onset if possible. It is redacted together with the evidence that contains it.
    pub sample: String,
    /// Lines in each of [`RATE_BUCKETS`] equal parts of the window; empty when no line has a time in the window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate: Vec<u32>,
    /// Fields of structured lines after the onset that have only a few values. Each field lists its values with their line
    /// counts, highest first: `{"region":[["eu-1",12],["us-1",2]]}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facets: BTreeMap<String, Vec<(String, u64)>>,
    /// Whether only some of the lines of the baseline were read, so that a pattern without lines there may not be new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_baseline_cut: bool,
}

/// The length that two windows have in common, in seconds.
fn overlap(a: Window, b: Window) -> f64 {
    a.end.min(b.end).secs_since(a.start.max(b.start)).max(0.0)
}

/// Maximum number of fields listed for a pattern.
const MAX_FACETS: usize = 6;

/// Selects the fields with few distinct values, fewest first, at most [`MAX_FACETS`]. A field whose value differs in every
/// line is an id and is left out.
fn select_facets(facets: BTreeMap<String, tally::Facet>) -> BTreeMap<String, Vec<(String, u64)>> {
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

/// Number of equal parts of the window in which lines are counted.
pub const RATE_BUCKETS: usize = 40;

/// The index of the part of the window that contains a time; `None` outside the window.
fn part_of(window: Window, at: Timestamp) -> Option<usize> {
    let length = window.length().as_secs_f64();
    if !window.contains(at) || length <= 0.0 {
        return None;
    }
    let part = (at.secs_since(window.start) / length * RATE_BUCKETS as f64) as usize;
    Some(part.min(RATE_BUCKETS - 1))
}

/// Builds a regular expression that matches the lines of a template. Variable and redacted parts match any text. `None` when
/// the template has no literal text and would match every line.
pub fn matcher(template: &str) -> Option<Regex> {
    static WILDCARD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"<\*>|<redacted:[^>]*>|…").ok());
    let wildcard = WILDCARD.as_ref()?;
    let literal = |text: &str| text.split_whitespace().map(regex::escape).collect::<Vec<_>>().join(r"\s+");
    let parts: Vec<&str> = wildcard.split(template).collect();
    if parts.iter().all(|p| !p.contains(char::is_alphanumeric)) {
        return None;
    }
    let literals: Vec<String> = parts.iter().map(|p| literal(p)).collect();
    RegexBuilder::new(&format!(r"^\s*{}\s*$", literals.join(r"\s*.*?\s*"))).dot_matches_new_line(true).build().ok()
}

/// Maximum number of patterns that [`group_lines`] returns, apart from one last pattern that adds up the lines of all others.
pub const MAX_PATTERNS: usize = 500;

/// Groups the lines of a window into patterns, sorted by [`sort_key`]. Lines at or before `onset` are the baseline; lines
/// without a time count as after the onset. The comparison of counts allows for the different lengths of the two parts, without the times
/// whose lines were not read.
pub fn group_lines(lines: &[LogLine], onset: Timestamp, window: Window, unread: &[Window]) -> Vec<Pattern> {
    let read = |part: Window| part.length().as_secs_f64() - unread.iter().map(|u| overlap(*u, part)).sum::<f64>();
    let (before, after) = (read(Window::new(window.start, onset)), read(Window::new(onset, window.end)));
    let is_baseline_cut = unread.iter().any(|u| u.start < onset && u.length() > std::time::Duration::ZERO);
    let length_ratio = (before >= MIN_DURATION_SECS && after >= MIN_DURATION_SECS).then(|| before / after);
    let mut miner = miner::Miner::default();
    let mut counted: HashMap<(u32, Option<Level>), Pattern> = HashMap::new();
    let mut fields: HashMap<(u32, Option<Level>), BTreeMap<String, tally::Facet>> = HashMap::new();
    for line in lines {
        let id = miner.add(line.message.lines().next().unwrap_or("").as_bytes());
        let pattern = counted.entry((id, line.level)).or_insert_with(|| Pattern::empty(line));
        if line.at.is_some_and(|at| at <= onset) {
            pattern.baseline_count += 1;
        } else {
            pattern.count += 1;
            if !line.fields.is_empty() {
                tally::count_fields(fields.entry((id, line.level)).or_default(), line);
            }
            // Prefer a sample from after the onset.
            if pattern.count == 1 {
                pattern.sample.clone_from(&line.message);
            }
        }
        if let Some(at) = line.at {
            pattern.first_at = Some(pattern.first_at.map_or(at, |f| f.min(at)));
            pattern.last_at = Some(pattern.last_at.map_or(at, |l| l.max(at)));
            if let Some(part) = part_of(window, at) {
                pattern.rate.resize(RATE_BUCKETS, 0);
                if let Some(n) = pattern.rate.get_mut(part) {
                    *n = n.saturating_add(1);
                }
            }
        }
        if let Some(service) = &line.service
            && let Err(position) = pattern.services.binary_search(service)
        {
            pattern.services.insert(position, service.clone());
        }
    }
    let mut patterns = merge_patterns(&miner.finish(), counted, fields);
    let total = patterns.iter().fold((0, 0), |(now, before), p| (now + p.count, before + p.baseline_count));
    for pattern in &mut patterns {
        pattern.change = change((pattern.count, total.0), (pattern.baseline_count, total.1), length_ratio);
        pattern.is_baseline_cut = is_baseline_cut;
    }
    patterns.sort_by(|a, b| {
        sort_key(a).cmp(&sort_key(b)).then_with(|| a.template.cmp(&b.template)).then_with(|| a.level.cmp(&b.level))
    });
    if patterns.len() > MAX_PATTERNS {
        let rest = patterns.split_off(MAX_PATTERNS);
        patterns.push(Pattern {
            template: format!("(lines of all patterns after the first {MAX_PATTERNS})"),
            count: rest.iter().map(|p| p.count).sum(),
            baseline_count: rest.iter().map(|p| p.baseline_count).sum(),
            ..Pattern::empty(&LogLine::plain(""))
        });
    }
    patterns
}

/// The counts of a miner's id at a level.
type Counted<T> = HashMap<(u32, Option<Level>), T>;

/// The final patterns with their templates: several ids of the miner may be one pattern.
fn merge_patterns(
    mined: &miner::Mined,
    counted: Counted<Pattern>,
    fields: Counted<BTreeMap<String, tally::Facet>>,
) -> Vec<Pattern> {
    let mut by_id: Vec<((u32, Option<Level>), Pattern)> = counted.into_iter().collect();
    // Ids follow the order of the lines, so that the earliest sample of a pattern is kept.
    by_id.sort_by_key(|(key, _)| *key);
    let mut found: HashMap<(u32, Option<Level>), Pattern> = HashMap::new();
    for ((id, level), part) in by_id {
        let index = mined.pattern_of.get(id as usize).copied().unwrap_or(0);
        match found.entry((index, level)) {
            Entry::Occupied(mut merged) => merged.get_mut().merge(part),
            Entry::Vacant(slot) => {
                let template = mined.templates.get(index as usize).map(|t| clean::line(t)).unwrap_or_default();
                slot.insert(Pattern { template, ..part });
            }
        }
    }
    let mut merged: HashMap<(u32, Option<Level>), BTreeMap<String, tally::Facet>> = HashMap::new();
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_by_key(|(key, _)| *key);
    for ((id, level), facets) in fields {
        let index = mined.pattern_of.get(id as usize).copied().unwrap_or(0);
        tally::merge_facets(merged.entry((index, level)).or_default(), facets);
    }
    for (key, facets) in merged {
        if let Some(pattern) = found.get_mut(&key) {
            pattern.facets = select_facets(facets);
        }
    }
    found.into_values().collect()
}

impl Pattern {
    /// A pattern without counts, with the level and the message of `line`.
    fn empty(line: &LogLine) -> Self {
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
            is_baseline_cut: false,
        }
    }

    /// Whether its lines report errors, by the same rule as for a line (see [`LogLine::is_error`]).
    pub fn is_error(&self) -> bool {
        self.level.map_or_else(|| names_error(&self.template), Level::is_error)
    }

    /// Adds the counts of another part of the same pattern.
    fn merge(&mut self, other: Self) {
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

/// Returns the sort key of a pattern. The order is new errors, increased errors, other new patterns, other increased
/// patterns, unchanged errors, the rest, and patterns that are gone; each by count, highest first.
pub fn sort_key(p: &Pattern) -> (u8, std::cmp::Reverse<u64>) {
    let bad = p.is_error();
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

/// Minimum G statistic of a change, which chance reaches for one pattern in a thousand (p = 0.001).
const MIN_SCORE: f64 = 10.83;
/// Minimum factor between two shares for a change. With many lines even a small difference is significant, because a flood
/// of other lines lowers the share of every pattern.
const MIN_SHARE_FACTOR: f64 = 1.5;
/// Minimum factor between two rates for a change.
const MIN_RATE_FACTOR: f64 = 1.2;
/// Minimum duration of a part for its rates to be used, in seconds.
const MIN_DURATION_SECS: f64 = 60.0;

/// The change of a pattern by its counts and score alone, for parts of similar length.
pub fn classify_change(count: u64, baseline: u64, score: f64) -> Change {
    match (count, baseline) {
        (_, 0) => Change::New,
        (0, _) => Change::Gone,
        _ if score < MIN_SCORE => Change::Same,
        (now, before) if now > before => Change::Up,
        _ => Change::Down,
    }
}

/// The change of a pattern by its share of the lines and by its rate. Takes its lines and all lines of the incident and of the baseline.
/// `length_ratio`: the length of the baseline divided by the length of the incident part, if both are known. A pattern whose rate is
/// unchanged has not changed, even if its share rose because other lines disappeared.
fn change((count, lines): (u64, u64), (baseline, baseline_lines): (u64, u64), length_ratio: Option<f64>) -> Change {
    match (count, baseline) {
        (_, 0) => Change::New,
        (0, _) => Change::Gone,
        _ if log_analysis::g_score(count, lines, baseline, baseline_lines) < MIN_SCORE => Change::Same,
        (now, before) => {
            let share = |n: u64, all: u64| n as f64 / all.max(1) as f64;
            let rate = length_ratio.map(|ratio| now as f64 * ratio / before as f64);
            match share(now, lines) / share(before, baseline_lines) {
                more if more >= MIN_SHARE_FACTOR && rate.is_none_or(|r| r >= MIN_RATE_FACTOR) => Change::Up,
                less if less <= 1.0 / MIN_SHARE_FACTOR && rate.is_none_or(|r| r <= 1.0 / MIN_RATE_FACTOR) => Change::Down,
                _ => Change::Same,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_fields_with_few_values_and_drops_ids() {
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
        // Lines before the onset do not count towards the facets.
        let lines: Vec<LogLine> = (0..8).map(|n| line(1, n)).chain((0..12).map(|n| line(n, 200 + n))).collect();
        let (start, end) = (Timestamp::from_secs(1_795_253_400), Timestamp::from_secs(1_795_253_800));
        let found = group_lines(&lines, Timestamp::from_secs(1_795_253_500), Window { start, end }, &[]);
        let one = |v: &str, n| (v.to_owned(), n);
        assert_eq!(
            found[0].facets,
            BTreeMap::from([("code".into(), vec![one("502", 12)]), ("region".into(), vec![one("eu", 9), one("us", 3)])])
        );
    }

    #[test]
    fn ranks_a_pattern_that_starts_at_the_onset_first() {
        let onset = Timestamp::from_secs(100);
        let line = |secs, message: &str, level| LogLine {
            at: Some(Timestamp::from_secs(secs)),
            level: Some(level),
            service: Some("checkout".into()),
            ..LogLine::plain(message)
        };
        let mut lines: Vec<LogLine> = (0..200).map(|i| line(i, &format!("order {i} placed"), Level::Info)).collect();
        lines.extend((110..120).map(|i| line(i, &format!("pool exhausted after {i} ms"), Level::Error)));
        let patterns = group_lines(&lines, onset, Window::new(Timestamp::from_secs(0), Timestamp::from_secs(200)), &[]);
        assert_eq!(patterns[0].template, "pool exhausted after <*>");
        assert_eq!((patterns[0].change, patterns[0].count, patterns[0].baseline_count), (Change::New, 10, 0));
        assert_eq!(patterns[1].change, Change::Same);
        assert_eq!((patterns[0].rate.iter().sum::<u32>(), patterns[0].rate[22], patterns[0].rate[10]), (10, 5, 0));
    }

    #[test]
    fn matcher_matches_the_lines_of_a_template() {
        let found = matcher("pool exhausted after <*> (in_use=<*>, waiting=<*>)").unwrap();
        assert!(found.is_match("pool exhausted  after 1000 ms (in_use=20, waiting=19)"));
        assert!(!found.is_match("the pool exhausted after 1000 ms (in_use=20, waiting=19)"));
        assert!(matcher("mail to <redacted:email#1> sent").unwrap().is_match("mail to ana@example.com sent"));
        assert!(matcher("<*> - <*>").is_none());
    }

    #[test]
    fn limits_the_number_of_patterns() {
        let lines: Vec<LogLine> =
            (0..5000).map(|i| LogLine::plain("x".repeat(i % 60) + &"yz".repeat(i / 60 % 30) + &"ab".repeat(i / 1800))).collect();
        assert!(
            group_lines(&lines, Timestamp::from_secs(0), Window::new(Timestamp::from_secs(0), Timestamp::from_secs(1)), &[])
                .len()
                <= MAX_PATTERNS + 1
        );
    }
}
