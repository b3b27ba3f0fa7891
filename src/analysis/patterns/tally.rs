//! The counts of a pattern: lines, levels, times, services and the values of fields.

use std::collections::BTreeMap;

use super::RATE_BUCKETS;
use crate::telemetry::log::Level;
use crate::telemetry::{LogLine, Timestamp, clean};

/// The counts of one id of the miner.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) baseline: u64,
    pub(super) first_at: Option<Timestamp>,
    pub(super) last_at: Option<Timestamp>,
    /// An original line, from the incident if possible.
    pub(super) sample: String,
    /// Lines of each level, indexed by the level.
    pub(super) levels: [u32; 6],
    /// The level of its first line that has one.
    pub(super) first_level: Option<Level>,
    /// Lines in each part of the time range; empty without times.
    pub(super) rate: Vec<u32>,
    /// Indices of the services in the analysis's list, sorted.
    pub(super) services: Vec<u16>,
    pub(super) facets: BTreeMap<String, Facet>,
    /// The first original lines, as many as were asked for.
    pub(super) examples: Vec<String>,
    /// The values of the field that was asked for.
    pub(super) by: Facet,
}

/// The values of one field of structured lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facet {
    /// Number of lines by value, for the first 8 values that occur; for a field that was asked for, the first 1,000.
    pub values: BTreeMap<String, u64>,
    /// Number of lines with any other value.
    pub other: u64,
}

/// Maximum number of fields counted for a pattern.
const MAX_FACETS: usize = 12;
/// Maximum number of values counted separately for a field.
pub(super) const MAX_VALUES: usize = 8;
/// Maximum number of values counted separately for the field that was asked for.
pub(super) const MAX_BY: usize = 1000;
/// Maximum length of a value, in bytes.
pub(super) const MAX_VALUE_BYTES: usize = 64;

impl Facet {
    /// Adds `n` lines with a value.
    pub(super) fn add(&mut self, value: &str, n: u64) {
        self.add_up_to(MAX_VALUES, value, n);
    }

    /// The same with another number of values that are counted separately.
    pub(super) fn add_up_to(&mut self, most: usize, value: &str, n: u64) {
        if let Some(count) = self.values.get_mut(value) {
            *count += n;
        } else if self.values.len() < most {
            self.values.insert(value.to_owned(), n);
        } else {
            self.other += n;
        }
    }
}

/// Counts the fields of a line, except those whose value is the name of its service.
pub(super) fn count_fields(facets: &mut BTreeMap<String, Facet>, line: &LogLine) {
    for (field, value) in line.fields.iter().filter(|(_, value)| line.service.as_ref() != Some(value)) {
        if facets.len() >= MAX_FACETS && !facets.contains_key(field) {
            continue;
        }
        let facet = facets.entry(field.clone()).or_default();
        if value.len() > MAX_VALUE_BYTES {
            facet.add(&clean::truncate(value, MAX_VALUE_BYTES), 1);
        } else {
            facet.add(value, 1);
        }
    }
}

/// Adds the counts of `others` to `facets`.
pub(super) fn merge_facets(facets: &mut BTreeMap<String, Facet>, others: BTreeMap<String, Facet>) {
    for (field, other) in others {
        if facets.len() >= MAX_FACETS && !facets.contains_key(&field) {
            continue;
        }
        let facet = facets.entry(field).or_default();
        other.values.iter().for_each(|(value, n)| facet.add(value, *n));
        facet.other += other.other;
    }
}

impl Tally {
    /// Adds the counts of another id.
    pub(super) fn merge(&mut self, other: Self) {
        merge_facets(&mut self.facets, other.facets);
        if self.rate.is_empty() {
            self.rate = other.rate;
        } else {
            self.rate.iter_mut().zip(other.rate).for_each(|(a, b)| *a = a.saturating_add(b));
        }
        self.examples.extend(other.examples);
        other.by.values.iter().for_each(|(value, n)| self.by.add_up_to(MAX_BY, value, *n));
        self.by.other += other.by.other;
        self.services.extend(other.services);
        self.services.sort_unstable();
        self.services.dedup();
        if self.sample.is_empty() || (self.count == 0 && other.count > 0) {
            self.sample = other.sample;
        }
        self.count += other.count;
        self.baseline += other.baseline;
        self.first_level = self.first_level.or(other.first_level);
        self.first_at = [self.first_at, other.first_at].into_iter().flatten().min();
        self.last_at = self.last_at.max(other.last_at);
        for (to, from) in self.levels.iter_mut().zip(other.levels) {
            *to = to.saturating_add(from);
        }
    }

    /// The levels of its lines, most frequent first.
    pub(super) fn levels(&self) -> Vec<(Level, u64)> {
        const ALL: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];
        let mut found: Vec<(Level, u64)> =
            ALL.into_iter().zip(self.levels).filter(|(_, n)| *n > 0).map(|(level, n)| (level, u64::from(n))).collect();
        found.sort_by_key(|(level, n)| (std::cmp::Reverse(*n), std::cmp::Reverse(*level)));
        found
    }

    /// The most frequent level; of a tie the one of the first line, else the more severe one.
    pub(super) fn level(&self) -> Option<Level> {
        const ALL: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];
        let counted = ALL.into_iter().zip(self.levels);
        let (level, n) = counted.max_by_key(|(level, n)| (*n, Some(*level) == self.first_level, *level))?;
        Some(level).filter(|_| n > 0)
    }
}

/// Divides time into [`RATE_BUCKETS`] parts, whose length doubles as needed so that a stream can be of any length.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RateClock {
    pub(super) start: Option<Timestamp>,
    /// Length of a part, in seconds.
    pub(super) step: u32,
}

impl RateClock {
    /// The index of the part that contains a time, and how often the length of the parts was doubled to reach it.
    pub(super) fn part(&mut self, at: Timestamp) -> (usize, u32) {
        let start = *self.start.get_or_insert(at);
        if self.step == 0 {
            self.step = 1;
        }
        // Times before the first line count as the first part.
        let secs = at.since(start).as_secs();
        let mut doubled = 0;
        while secs / u64::from(self.step) >= RATE_BUCKETS as u64 && self.step < u32::MAX / 2 {
            self.step *= 2;
            doubled += 1;
        }
        let part = secs / u64::from(self.step);
        (usize::try_from(part).unwrap_or(RATE_BUCKETS).min(RATE_BUCKETS - 1), doubled)
    }
}

/// Merges pairs of neighbouring parts after the length of the parts was doubled.
pub(super) fn halve(rate: &mut Vec<u32>) {
    if rate.is_empty() {
        return;
    }
    let halved: Vec<u32> = rate.chunks(2).map(|pair| pair.iter().fold(0, |a: u32, b| a.saturating_add(*b))).collect();
    *rate = halved;
    rate.resize(RATE_BUCKETS, 0);
}
