//! Pattern analysis of a whole log: separates headers from messages, mines and counts the patterns, and compares them with a
//! baseline if there is one.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::batch::PreparedBatch;
use super::filter::LineFilter;
use super::locations::LocationFinder;
use super::miner::{Mined, Miner, Shape};
use super::tally::{Facet, MAX_BY, MAX_VALUE_BYTES, RateClock, Tally, count_fields, halve};
use super::{Change, MIN_DURATION_SECS, RATE_BUCKETS, change};
use crate::telemetry::log::Level;
use crate::telemetry::parse::layout::Layout;
use crate::telemetry::parse::record::Form;
use crate::telemetry::parse::{Context, Place, Record, Sequence};
use crate::telemetry::{LogLine, Timestamp, clean};

/// Maximum length of the text of an event that a filter looks at, in bytes.
const MAX_EVENT: usize = 1024 * 1024;
/// Maximum length of a pattern's sample, in bytes.
const MAX_SAMPLE: usize = 400;

/// The part of the data that a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Normal operation.
    Baseline,
    /// The period under investigation.
    Incident,
}

/// A pattern of an analysed log.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternReport {
    /// `P1`, `P2`, … in order of first appearance.
    pub id: String,
    /// The message with `<*>` in place of each variable part.
    pub template: String,
    /// The most frequent level of its lines.
    pub level: Option<Level>,
    /// The number of lines in the incident part of each level that occurs, most frequent first.
    pub levels: Vec<(Level, u64)>,
    /// Its first original lines, as many as [`LogAnalysis::keep_examples`] asked for.
    pub examples: Vec<String>,
    /// The values of the field that [`LogAnalysis::count_by`] named.
    pub by: Facet,
    /// Number of lines in the incident part and in the baseline.
    pub count: u64,
    pub baseline_count: u64,
    /// First and last time of its lines in the incident part.
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    /// An original line, from the incident part if possible.
    pub sample: String,
    /// Lines in each part of the time range, see [`LogReport::rate_start`]; empty when no line has a time.
    pub rate: Vec<u32>,
    /// The source location that wrote it, such as `pool.go:88`, or the status class of an access log, such as `GET 5xx`;
    /// `None` when the lines name neither.
    pub location: Option<String>,
    /// Services that wrote it, sorted; empty when no line names one.
    pub services: Vec<String>,
    /// The fields of its structured lines, apart from message, time, level and service.
    pub facets: BTreeMap<String, Facet>,
    pub change: Change,
    /// How certain it is that its share of the lines changed: the G statistic of the two shares, 0 or more. See [`g_score`].
    pub score: f64,
}

/// The result of an analysis.
#[derive(Debug)]
pub struct LogReport {
    /// Lines of the incident part: all, with a time, and with a level.
    pub lines: u64,
    pub timed_lines: u64,
    pub levelled_lines: u64,
    pub baseline_lines: u64,
    /// First and last time of a line in the incident part.
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    /// The start of the first part of every rate, and the length of each part.
    pub rate_start: Option<Timestamp>,
    pub rate_step: Duration,
    /// With a baseline, new patterns first, then by kind of change and score; otherwise by number of lines, highest first.
    pub patterns: Vec<PatternReport>,
    /// Lines in the rest pattern of the miner, beyond its limits.
    pub overflow_lines: u64,
    mined: Mined,
}

impl LogReport {
    /// The index of the final pattern of an id that [`LogAnalysis::add_line`] returned. Indices start at 0, so `P1` is 0.
    pub fn pattern_of(&self, id: u32) -> u32 {
        self.mined.pattern_of.get(id as usize).copied().unwrap_or(0)
    }

    /// The patterns that have no id below `ids`: those that are new since there were so many.
    pub fn new_since(&self, ids: usize) -> Vec<&PatternReport> {
        let old: HashSet<u32> = self.mined.pattern_of.iter().take(ids).copied().collect();
        let index = |p: &PatternReport| p.id.get(1..).and_then(|n| n.parse::<u32>().ok()).and_then(|n| n.checked_sub(1));
        self.patterns.iter().filter(|p| index(p).is_some_and(|index| !old.contains(&index))).collect()
    }

    /// Returns a regular expression that matches every message of the pattern with this index.
    pub fn regex(&self, index: u32) -> String {
        self.mined.regex(index as usize)
    }
}

/// An event that has begun, and may have more lines.
#[derive(Clone, Debug)]
struct Pending {
    /// All its lines.
    text: String,
    /// The length of the first one.
    first: usize,
    lines: usize,
    record: Record,
    side: Side,
    is_timed: bool,
    /// The service of its file.
    service: Option<String>,
}

/// Analyses log lines as they arrive.
#[derive(Clone, Debug)]
pub struct LogAnalysis {
    context: Context,
    miner: Miner,
    tallies: Vec<Tally>,
    lines: u64,
    baseline_lines: u64,
    /// The first and last time of the baseline.
    baseline_span: (Option<Timestamp>, Option<Timestamp>),
    timed: u64,
    levelled: u64,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    /// Whether continuation lines are only counted, not mined.
    joins: bool,
    sequence: Sequence,
    /// The id of the previous line that was mined, and of the first line of its event.
    last: Option<u32>,
    event: Option<u32>,
    clock: RateClock,
    services: Vec<String>,
    locations: LocationFinder,
    /// The source location of each id that has one.
    location_of: BTreeMap<u32, String>,
    /// The number of original lines that are kept of each pattern.
    examples: usize,
    /// The field whose values are counted for each pattern.
    by: Option<String>,
    /// Which events count. If it is not empty, each event is held until it is whole.
    filter: LineFilter,
    pending: Option<Pending>,
}

/// Maximum number of services that are recorded.
const MAX_SERVICES: usize = 1000;
/// The id of a line that is part of no pattern.
const NO_PATTERN: u32 = u32::MAX;

impl LogAnalysis {
    /// `context` supplies the year and zone of times without them. `joins`: lines that continue the previous one, such as a
    /// stack trace, are not patterns of their own.
    pub fn new(context: Context, joins: bool) -> Self {
        Self {
            context,
            sequence: Sequence::default(),
            miner: Miner::default(),
            tallies: Vec::new(),
            lines: 0,
            baseline_lines: 0,
            baseline_span: (None, None),
            timed: 0,
            levelled: 0,
            first_at: None,
            last_at: None,
            joins,
            last: None,
            event: None,
            clock: RateClock::default(),
            services: Vec::new(),
            locations: LocationFinder::default(),
            location_of: BTreeMap::new(),
            examples: 0,
            by: None,
            filter: LineFilter::default(),
            pending: None,
        }
    }

    /// Keeps the first `count` original lines of each pattern.
    pub fn keep_examples(&mut self, count: usize) {
        self.examples = count;
    }

    /// Counts the values of a field for each pattern; also `level` and `service`.
    pub fn count_by(&mut self, field: &str) {
        self.by = Some(field.to_owned());
    }

    /// The index of a service in the list, which is extended if needed; `None` when the list is full.
    fn service_index(&mut self, name: &str) -> Option<u16> {
        let at = self.services.iter().position(|s| s == name).or_else(|| {
            (self.services.len() < MAX_SERVICES).then(|| {
                self.services.push(name.to_owned());
                self.services.len() - 1
            })
        })?;
        u16::try_from(at).ok()
    }

    /// Starts another stream with its own time context and filter. Whether its lines name source locations is determined again. With a filter,
    /// ids mean nothing, and [`Self::end_stream`] must follow.
    pub fn start_stream(&mut self, context: Context, filter: LineFilter) {
        self.end_stream();
        self.context = context;
        self.filter = filter;
        self.locations = LocationFinder::default();
        (self.sequence, self.last, self.event) = (Sequence::default(), None, None);
    }

    /// Goes on with a stream after another one. `sequence` is what [`Self::sequence`] gave when it was left.
    pub fn resume_stream(&mut self, context: Context, filter: LineFilter, sequence: Sequence) {
        self.start_stream(context, filter);
        self.sequence = sequence;
    }

    /// What the lines of the stream so far say about the next one.
    pub fn sequence(&self) -> Sequence {
        self.sequence.clone()
    }

    /// The number of ids so far; an id is below it.
    pub fn id_count(&self) -> usize {
        self.miner.id_count()
    }

    /// Counts the last event of a stream with a filter.
    pub fn end_stream(&mut self) {
        let Some(event) = self.pending.take() else { return };
        let service = event.record.service().or(event.service.as_deref());
        if !self.filter.passes(event.record.at, event.record.level, service, &event.text) {
            return;
        }
        let raw = event.text.get(..event.first).unwrap_or_default();
        let id = self.add_event(raw, None, &event.record, event.side, event.is_timed);
        for _ in 1..event.lines {
            self.count_line(event.side, event.is_timed, false);
        }
        if let Some(service) = event.record.service().map(str::to_owned).or(event.service) {
            self.set_service(id, &service);
        }
    }

    /// Holds a record until its event is whole.
    fn hold(&mut self, raw: &str, record: Record, place: Place, side: Side) {
        let is_timed = self.sequence.is_timed();
        match (place, self.pending.as_mut()) {
            (Place::Event, _) => {
                self.end_stream();
                let (text, first) = (raw.to_owned(), raw.len());
                self.pending = Some(Pending { text, first, lines: 1, record, side, is_timed, service: None });
            }
            (Place::HeaderAlone, _) | (_, None) => {}
            (Place::Further | Place::FurtherWithLevel(_), Some(event)) => {
                if let Place::FurtherWithLevel(level) = place {
                    event.record.level = event.record.level.or(Some(level));
                }
                event.lines += 1;
                if event.text.len() < MAX_EVENT {
                    event.text.push('\n');
                    event.text.push_str(raw);
                }
            }
        }
    }

    /// Records the service that wrote the line of an id, for lines that do not name it.
    pub fn set_service(&mut self, id: u32, service: &str) {
        let index = self.service_index(service);
        if let (Some(index), Some(tally)) = (index, self.tallies.get_mut(id as usize))
            && let Err(position) = tally.services.binary_search(&index)
        {
            tally.services.insert(position, index);
        }
    }

    /// Records the service of a structured line and counts its fields.
    fn count_structured(&mut self, id: u32, line: &LogLine) {
        if let Some(service) = &line.service {
            self.set_service(id, service);
        }
        let Some(tally) = self.tallies.get_mut(id as usize) else { return };
        count_fields(&mut tally.facets, line);
    }

    /// Adds a raw line and returns its id, which [`LogReport::pattern_of`] maps to its pattern. `layout` describes the
    /// header; without one the whole line is the message.
    pub fn add_line(&mut self, raw: &str, layout: Option<&Layout>, side: Side) -> u32 {
        match layout {
            Some(layout) => self.add_record(raw, Record::read(raw, layout, self.context), None, layout, side),
            None => self.add_message(raw, None, None, &Record::bare(), side, false),
        }
    }

    /// Adds a record that was read from `raw`, like [`Self::add_line`]. `shape` is that of its message, if it is known.
    pub fn add_record(&mut self, raw: &str, mut record: Record, shape: Option<Shape<'_>>, layout: &Layout, side: Side) -> u32 {
        let place = self.sequence.place(raw, &mut record, layout);
        if !self.filter.is_empty() {
            self.hold(raw, record, place, side);
            return NO_PATTERN;
        }
        let is_timed = self.sequence.is_timed();
        if let (Place::FurtherWithLevel(level), Some(event)) = (place, self.event) {
            self.give_level(event, level, side);
        }
        // Without joining, each line but a blank one has an id of its own.
        if place != Place::Event && (self.joins || record.form == Form::Blank) {
            self.count_line(side, is_timed || record.form == Form::Frame, record.level.is_some());
            return self.last.unwrap_or(NO_PATTERN);
        }
        let id = self.add_event(raw, shape, &record, side, is_timed);
        if place == Place::Event {
            self.event = Some(id);
        }
        id
    }

    /// Counts an event by its first record.
    fn add_event(&mut self, raw: &str, shape: Option<Shape<'_>>, record: &Record, side: Side, is_timed: bool) -> u32 {
        let location = match record.class {
            Some(class) => Some(class),
            None if record.at.is_some() && record.form == Form::Text => self.locations.find(raw, record.message_start),
            None => None,
        };
        let id = self.add_message(record.message(raw), shape, location, record, side, is_timed);
        if side == Side::Incident {
            if let Some(line) = &record.line {
                self.count_structured(id, line);
            }
            self.count_asked(id, raw, record);
        }
        id
    }

    /// Keeps an example, and counts the value of the field that was asked for.
    fn count_asked(&mut self, id: u32, raw: &str, record: &Record) {
        let Some(tally) = self.tallies.get_mut(id as usize) else { return };
        if tally.examples.len() < self.examples {
            tally.examples.push(clean::truncate(raw.trim(), MAX_SAMPLE));
        }
        if let Some(value) = self.by.as_ref().and_then(|field| record.field(field)) {
            tally.by.add_up_to(MAX_BY, &clean::truncate(value, MAX_VALUE_BYTES), 1);
        }
    }

    /// Adds a batch of records, and calls `each` with the id and the number of lines of each. `service` is the service of records that do
    /// not name one.
    pub fn add_batch(&mut self, batch: &mut PreparedBatch, side: Side, service: Option<&str>, mut each: impl FnMut(u32, usize)) {
        let (layout, context) = batch.stream();
        self.context = context;
        batch.take(|raw, lines, record, shape| {
            let names_service = record.line.as_ref().is_some_and(|line| line.service.is_some());
            let id = match &layout {
                Some(layout) => self.add_record(raw, record, shape, layout, side),
                None if self.filter.is_empty() => self.add_event(raw, shape, &record, side, false),
                None => {
                    self.hold(raw, record, Place::Event, side);
                    NO_PATTERN
                }
            };
            if let Some(event) = self.pending.as_mut().filter(|_| !self.filter.is_empty()) {
                event.lines += lines.saturating_sub(1);
                event.service = service.map(str::to_owned);
                return each(id, lines);
            }
            self.count_further_lines(lines.saturating_sub(1), side);
            if let Some(service) = service.filter(|_| !names_service) {
                self.set_service(id, service);
            }
            each(id, lines);
        });
    }

    /// Gives the last line of a pattern a level that a further line of its event names.
    fn give_level(&mut self, id: u32, level: Level, side: Side) {
        let Some(tally) = self.tallies.get_mut(id as usize).filter(|_| side == Side::Incident) else { return };
        tally.first_level = tally.first_level.or(Some(level));
        if let Some(n) = tally.levels.get_mut(level as usize) {
            *n = n.saturating_add(1);
        }
    }

    /// Counts the further lines of a record that was several.
    fn count_further_lines(&mut self, lines: usize, side: Side) {
        for _ in 0..lines {
            self.count_line(side, self.sequence.is_timed(), false);
        }
    }

    /// Adds a line to the totals.
    fn count_line(&mut self, side: Side, is_timed: bool, is_levelled: bool) {
        if side == Side::Incident {
            self.lines += 1;
            self.timed += u64::from(is_timed);
            self.levelled += u64::from(is_levelled);
        } else {
            self.baseline_lines += 1;
        }
    }

    /// The number of incident lines so far.
    pub fn line_count(&self) -> u64 {
        self.lines
    }

    /// Mines a message, updates all counts, and returns its id.
    fn add_message(
        &mut self,
        message: &str,
        shape: Option<Shape<'_>>,
        location: Option<&str>,
        record: &Record,
        side: Side,
        is_timed: bool,
    ) -> u32 {
        let (at, level) = (record.at, record.level);
        let id = match (location, shape) {
            (None, Some(shape)) => self.miner.add_shape(shape),
            (None, None) => self.miner.add(message.as_bytes()),
            (Some(location), shape) => {
                let id = match shape {
                    Some(shape) => self.miner.add_located_shape(shape, location.as_bytes()),
                    None => self.miner.add_located(message.as_bytes(), location.as_bytes()),
                };
                if id as usize >= self.tallies.len() {
                    self.location_of.insert(id, clean::truncate(location, MAX_VALUE_BYTES));
                }
                id
            }
        };
        if self.tallies.len() <= id as usize {
            self.tallies.resize_with(id as usize + 1, Tally::default);
        }
        self.count_line(side, is_timed, level.is_some());
        self.last = Some(id);
        if side == Side::Incident {
            if at.is_some() {
                self.first_at = [self.first_at, at].into_iter().flatten().min();
                self.last_at = self.last_at.max(at);
            }
        } else if at.is_some() {
            self.baseline_span = ([self.baseline_span.0, at].into_iter().flatten().min(), self.baseline_span.1.max(at));
        }
        let part = at.filter(|_| side == Side::Incident).map(|at| self.clock.part(at));
        if let Some((_, doubled)) = part {
            for _ in 0..doubled {
                self.tallies.iter_mut().for_each(|t| halve(&mut t.rate));
            }
        }
        let Some(tally) = self.tallies.get_mut(id as usize) else { return id };
        if let Some((part, _)) = part {
            if tally.rate.is_empty() {
                tally.rate.resize(RATE_BUCKETS, 0);
            }
            if let Some(n) = tally.rate.get_mut(part) {
                *n = n.saturating_add(1);
            }
        }
        let count_before = tally.count;
        match side {
            Side::Incident => {
                tally.count += 1;
                if at.is_some() {
                    tally.first_at = [tally.first_at, at].into_iter().flatten().min();
                    tally.last_at = tally.last_at.max(at);
                }
                tally.first_level = tally.first_level.or(level);
                if let Some(n) = level.and_then(|l| tally.levels.get_mut(l as usize)) {
                    *n = n.saturating_add(1);
                }
            }
            Side::Baseline => tally.baseline += 1,
        }
        if tally.sample.is_empty() || (side == Side::Incident && count_before == 0) {
            tally.sample = clean::truncate(message.trim(), MAX_SAMPLE);
        }
        id
    }

    /// Ends the analysis and returns its result. `has_baseline`: whether to compare the patterns with the baseline.
    pub fn finish(mut self, has_baseline: bool) -> LogReport {
        self.end_stream();
        let mined = self.miner.finish();
        let tallies = by_pattern(self.tallies, &mined);
        let mut locations: BTreeMap<usize, String> = BTreeMap::new();
        for (id, location) in self.location_of {
            if let Some(index) = mined.pattern_of.get(id as usize) {
                locations.entry(*index as usize).or_insert(location);
            }
        }
        let length = |first: Option<Timestamp>, last: Option<Timestamp>| {
            Some(last?.secs_since(first?)).filter(|s| *s >= MIN_DURATION_SECS)
        };
        let (first, last) = self.baseline_span;
        let length_ratio = length(first, last).zip(length(self.first_at, self.last_at)).map(|(before, now)| before / now);
        let beyond = mined.rest.and_then(|r| tallies.get(r as usize)).map_or(0, |t| t.count);
        let mut patterns: Vec<PatternReport> = tallies
            .into_iter()
            .zip(&mined.templates)
            .enumerate()
            .map(|(index, (tally, template))| {
                let score = g_score(tally.count, self.lines, tally.baseline, self.baseline_lines);
                let change = if has_baseline {
                    change((tally.count, self.lines), (tally.baseline, self.baseline_lines), length_ratio)
                } else {
                    Change::Same
                };
                PatternReport {
                    id: format!("P{}", index + 1),
                    template: clean::line(template),
                    level: tally.level(),
                    levels: tally.levels(),
                    examples: tally.examples.into_iter().take(self.examples).map(|line| clean::line(&line)).collect(),
                    by: tally.by,
                    count: tally.count,
                    baseline_count: tally.baseline,
                    first_at: tally.first_at,
                    last_at: tally.last_at,
                    sample: clean::line(&tally.sample),
                    location: locations.remove(&index),
                    services: {
                        let mut names: Vec<String> = tally
                            .services
                            .iter()
                            .filter_map(|s| self.services.get(usize::from(*s)))
                            .map(|s| clean::line(s))
                            .collect();
                        names.sort();
                        names
                    },
                    rate: tally.rate,
                    facets: tally.facets,
                    change,
                    score: if has_baseline { score } else { 0.0 },
                }
            })
            .collect();
        let number = |p: &PatternReport| p.id.get(1..).and_then(|n| n.parse::<u32>().ok()).unwrap_or(u32::MAX);
        patterns.sort_by(|a, b| {
            let class = |p: &PatternReport| if has_baseline { rank(p.change) } else { 0 };
            (class(a).cmp(&class(b)))
                .then(b.score.total_cmp(&a.score))
                .then(b.count.cmp(&a.count))
                .then(number(a).cmp(&number(b)))
        });
        LogReport {
            lines: self.lines,
            timed_lines: self.timed,
            levelled_lines: self.levelled,
            baseline_lines: self.baseline_lines,
            first_at: self.first_at,
            last_at: self.last_at,
            rate_start: self.clock.start,
            rate_step: Duration::from_secs(u64::from(self.clock.step)),
            patterns,
            overflow_lines: beyond,
            mined,
        }
    }
}

/// The counts of each pattern, from those of the ids.
fn by_pattern(ids: Vec<Tally>, mined: &Mined) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = vec![Tally::default(); mined.templates.len()];
    for (id, tally) in ids.into_iter().enumerate() {
        let index = mined.pattern_of.get(id).map(|p| *p as usize);
        if let Some(total) = index.and_then(|p| tallies.get_mut(p)) {
            total.merge(tally);
        }
    }
    tallies
}

/// The sort order of a change: new, up, gone, down, same.
fn rank(change: Change) -> u8 {
    match change {
        Change::New => 0,
        Change::Up => 1,
        Change::Gone => 2,
        Change::Down => 3,
        Change::Same => 4,
    }
}

/// The G statistic (log-likelihood ratio, chi-squared with one degree of freedom) of a pattern's share of the lines in two
/// parts. The higher it is, the more certainly the shares differ. 0 when either part is empty.
pub fn g_score(count: u64, lines: u64, baseline: u64, baseline_lines: u64) -> f64 {
    if lines == 0 || baseline_lines == 0 {
        return 0.0;
    }
    let (k1, n1, k0, n0) = (count as f64, lines as f64, baseline as f64, baseline_lines as f64);
    let p = (k1 + k0) / (n1 + n0);
    let part = |k: f64, n: f64, p: f64| if k > 0.0 { k * (k / (n * p)).ln() } else { 0.0 };
    let g = part(k1, n1, p) + part(k0, n0, p) + part(n1 - k1, n1, 1.0 - p) + part(n0 - k0, n0, 1.0 - p);
    (2.0 * g).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::patterns::tally::MAX_VALUES;

    fn study() -> LogAnalysis {
        LogAnalysis::new(Context::utc(Timestamp::from_secs(1_795_253_400)), true)
    }

    #[test]
    fn lists_new_patterns_first() {
        let mut s = study();
        for n in 0..200 {
            s.add_line(&format!("order {n} placed"), None, Side::Baseline);
            s.add_line(&format!("order {n} placed"), None, Side::Incident);
        }
        for n in 0..30 {
            s.add_line(&format!("retry {n} of payment"), None, Side::Baseline);
        }
        s.add_line("retry 1 of payment", None, Side::Incident);
        let id = s.add_line("pool exhausted after 3000 ms", None, Side::Incident);
        let found = s.finish(true);
        let summary: Vec<(&str, Change, u64, u64)> =
            found.patterns.iter().map(|p| (p.template.as_str(), p.change, p.count, p.baseline_count)).collect();
        assert_eq!(summary[0], ("pool exhausted after <*>", Change::New, 1, 0));
        assert_eq!(summary[1], ("retry <*> of payment", Change::Down, 1, 30));
        assert_eq!(summary[2], ("order <*> placed", Change::Same, 200, 200));
        assert_eq!(found.patterns[0].id, format!("P{}", found.pattern_of(id) + 1));
        assert_eq!(found.patterns[0].sample, "pool exhausted after 3000 ms");
    }

    #[test]
    fn counts_times_and_levels_and_reads_json_messages() {
        let lines = [
            "2026-11-21 09:31:07 ERROR [a] c.s.Pool: exhausted 3",
            "\tat a.B.c(B.java:1)",
            "2026-11-21 09:31:08 INFO [b] c.s.Pool: fine",
            r#"{"time":"2026-11-21T09:31:09Z","level":"warn","msg":"slow query 7","q":"x"}"#,
            r#"{"time":"2026-11-21T09:31:10Z","level":"warn","msg":"slow query 8","q":"yy"}"#,
            "no time at all",
        ];
        let layout = Layout::learn(lines.iter().copied(), Context::utc(Timestamp::from_secs(1_795_253_400)));
        let mut s = study();
        let ids: Vec<u32> = lines.iter().map(|l| s.add_line(l, Some(&layout), Side::Incident)).collect();
        let found = s.finish(false);
        // The last line belongs to the event before it.
        assert_eq!((found.lines, found.timed_lines, found.levelled_lines), (6, 6, 4));
        assert_eq!(found.pattern_of(ids[3]), found.pattern_of(ids[4]));
        assert_eq!(found.first_at.map(|t| t.clock(time::UtcOffset::UTC)), Some("09:31:07".into()));
        let slow = found.patterns.iter().find(|p| p.template == "slow query <*>").unwrap();
        assert_eq!((slow.count, slow.level, found.patterns[0].id.as_str()), (2, Some(Level::Warn), slow.id.as_str()));
    }

    #[test]
    fn groups_lines_by_source_location() {
        let lines: Vec<String> = (0..300)
            .map(|n| {
                let (place, text) = match n % 3 {
                    0 => ("a.b.Seat#137", format!("seats of {} are free", ["one", "two or three", "none"][n % 9 / 3])),
                    1 => ("a.b.Order#12", "order saved".to_owned()),
                    _ => ("c.d.Order#44", "order saved".to_owned()),
                };
                format!("2026-11-21 09:31:07 INFO {place} {text}")
            })
            .collect();
        let context = Context::utc(Timestamp::from_secs(1_795_253_400));
        let layout = Layout::learn(lines.iter().map(String::as_str), context);
        let mut s = study();
        for line in &lines {
            s.add_line(line, Some(&layout), Side::Incident);
        }
        let found = s.finish(false);
        let summary: Vec<(Option<&str>, u64)> = found.patterns.iter().map(|p| (p.location.as_deref(), p.count)).collect();
        assert_eq!(summary, [(Some("a.b.Seat#137"), 100), (Some("a.b.Order#12"), 100), (Some("c.d.Order#44"), 100)]);
    }

    #[test]
    fn reads_structured_lines_after_a_time_or_service_prefix() {
        for (line, message, service) in [
            (r#"web-1  | {"level":"error","time":"2026-11-21T09:31:07Z","msg":"pool full","n":1}"#, "pool full", "web-1"),
            (r#"web-1  | level=error time=2026-11-21T09:31:07Z msg="pool full" n=1"#, "pool full", "web-1"),
            (r#"2026-11-21T09:31:07.1Z {"level":"error","msg":"pool full","service":"shop"}"#, "pool full", "shop"),
            (r#"2026-11-21T09:31:07.1Z stderr F {"level":"error","msg":"pool full","service":"shop"}"#, "pool full", "shop"),
            (r#"2026-11-21T09:31:07.1Z level=error msg="pool full" service=shop"#, "pool full", "shop"),
            ("2026-11-21T09:31:07.1Z stdout F ERROR pool full", "pool full", ""),
        ] {
            let context = Context::utc(Timestamp::from_secs(1_795_253_400));
            let layout = Layout::learn([line, line], context);
            let mut s = study();
            s.add_line(line, Some(&layout), Side::Incident);
            let found = s.finish(false);
            let p = &found.patterns[0];
            assert_eq!((p.template.as_str(), p.level, found.timed_lines), (message, Some(Level::Error), 1), "{line}");
            assert_eq!(p.services.join(","), service, "{line}");
        }
    }

    /// Message number `n` of a test program, and which of its eight templates it has.
    fn test_message(n: usize) -> (String, usize) {
        let hex = |n: usize| format!("{:08x}", n.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF);
        let name = ["alice", "bob", "carol", "dave"][n % 4];
        let which = n * 7 % 8;
        let text = match which {
            0 => format!("Request {}-{} from 10.0.{}.7 completed in {n}ms", hex(n), hex(n + 1), n % 200),
            1 => format!("User {name} logged in"),
            2 => format!("Connection to db-{}.internal:5432 established", n % 9),
            3 => format!("Connection to db-{}.internal:5432 refused", n % 9),
            4 => "Leader election started".to_owned(),
            5 => format!("failed to flush segment /var/lib/data/{}.seg: no space left on device", hex(n)),
            6 => format!("neighbour {}:ad:be:ef:ca:fe is unreachable", ["de", "ab", "0c"][n % 3]),
            _ => format!("retrying payment {} (attempt {} of 5)", hex(n), n % 5),
        };
        (text, which)
    }

    /// A message as a line in one of the formats of common loggers; `None` after the last format.
    fn formatted(format: usize, n: usize, message: &str) -> Option<String> {
        let level = ["INFO", "WARN", "ERROR"][n % 3];
        let (low, short) = (level.to_lowercase(), &level[..1]);
        let logger = ["api", "worker", "db.pool"][n % 3];
        let (minute, second) = (n / 60 % 60, n % 60);
        let clock = format!("09:{minute:02}:{second:02}");
        let iso = format!("2026-11-21T{clock}");
        let plain = format!("2026-11-21 {clock}");
        Some(match format {
            0 => message.to_owned(),
            1 => format!("{short}1121 {clock}.123456    7 server.go] {message}"),
            2 => format!("{iso}.123Z\t{low}\t{logger}\t{message}"),
            3 => format!("time=\"{iso}Z\" level={low} msg=\"{message}\" component={logger}"),
            4 => format!("<{}>1 {iso}.1Z host{} app {n} ID{n} - {message}", 11 + n % 7, n % 5),
            5 => format!("<{}>Nov 21 {clock} host{} app[{n}]: {message}", 11 + n % 7, n % 5),
            6 => format!("{plain},{n:03} - {logger} - {level} - {message}"),
            7 => format!("{level}:{logger}:{message}"),
            8 => format!("[{iso}Z {level:<5} app::{logger}] {message}"),
            9 => format!("{iso}.123456Z {level:>5} req{{id={n} path=\"/a b\"}}: app::{logger}: {message}"),
            10 => format!("{iso}.1Z {n} [{level}] [MY-{n:06}] [InnoDB] {message}"),
            11 => format!("{n}:M 21 Nov 2026 {clock}.123 {} {message}", ["*", "#", "-"][n % 3]),
            12 => format!("{plain}.123 UTC [{n}] app@shop {level}:  {message}"),
            13 => format!("{plain}.1+00:00 [{low}] <0.{n}.0> {message}"),
            14 => format!("[{iso},{n:03}][{level:<5}][o.e.{logger:<12}] [node-{}] {message}", n % 3),
            15 => format!("{short}, [{iso}.123456 #{n}]  {level} -- : {message}"),
            16 => format!("{plain}.123  {level:>5} 7 --- [{:>15}] {logger:<30} : {message}", ["main", "exec-1", "exec-2"][n % 3]),
            17 => format!("[{plain},123: {level}/{}] {message}", ["MainProcess", "Worker-2"][n % 2]),
            18 => format!("21-Nov-2026 {clock}.1 {level} [exec-{}] org.shop.core.{logger} {message}", n % 4),
            19 => format!("[{clock} {level}] {message}"),
            20 => format!("{{\"time\":\"{iso}Z\",\"level\":\"{low}\",\"msg\":\"{message}\",\"peer\":\"{n}\"}}"),
            21 => format!("{plain}, Info                  {logger:<6}    {message}"),
            22 => format!("[{:>5}.{n:06}] {message}", n / 7),
            23 => format!("20261121-9:{}:{}:{n}|{logger}|300{n}|{message}", n / 60 % 60, n % 60),
            _ => return None,
        })
    }

    #[test]
    fn finds_the_same_patterns_in_every_log_format_and_mixture() {
        let context = Context::utc(Timestamp::from_secs(1_795_253_400));
        let partition = |lines: &[(String, usize)]| -> usize {
            let layout = Layout::learn(lines.iter().map(|(l, _)| l.as_str()), context);
            let mut s = study();
            let numbers: Vec<u32> = lines.iter().map(|(l, _)| s.add_line(l, Some(&layout), Side::Incident)).collect();
            let found = s.finish(false);
            let pairs: std::collections::BTreeSet<(u32, usize)> =
                numbers.iter().zip(lines).map(|(n, (_, which))| (found.pattern_of(*n), *which)).collect();
            assert_eq!(pairs.len(), 8, "{:#?}", found.patterns.iter().map(|p| &p.sample).collect::<Vec<_>>());
            found.patterns.len()
        };
        let lines = |format: usize| -> Vec<(String, usize)> {
            (0..200)
                .map_while(|n| {
                    let (message, which) = test_message(n);
                    Some((formatted(format, n, &message)?, which))
                })
                .collect()
        };
        let all: Vec<Vec<(String, usize)>> = (0..100).map(lines).take_while(|l| !l.is_empty()).collect();
        assert_eq!(all.len(), 24);
        for own in &all {
            assert_eq!(partition(own), 8, "{}", own[0].0);
        }
        // Interleave three formats with times in one stream.
        let timed: Vec<&Vec<(String, usize)>> =
            all.iter().enumerate().filter(|(n, _)| ![0, 7, 22].contains(n)).map(|(_, l)| l).collect();
        for (n, first) in timed.iter().enumerate() {
            let others = [timed[(n * 5 + 3) % timed.len()], timed[(n * 11 + 7) % timed.len()]];
            let mixed: Vec<(String, usize)> =
                (0..200).flat_map(|k| [first[k].clone(), others[0][k].clone(), others[1][k].clone()]).collect();
            assert_eq!(partition(&mixed), 8, "{} with {} and {}", first[0].0, others[0][0].0, others[1][0].0);
        }
    }

    #[test]
    fn limits_rates_services_and_facets() {
        let mut s = study();
        let layout = Layout::default();
        for n in 0..600_i64 {
            let at = Timestamp::from_secs(1_795_253_400 + n).rfc3339();
            let line = format!(
                r#"{{"time":"{at}","level":"info","service":"s{}","msg":"order {n} placed","region":"eu-{}","order":"{n}"}}"#,
                n % 2,
                n % 3
            );
            s.add_line(&line, Some(&layout), Side::Incident);
        }
        let found = s.finish(false);
        let p = &found.patterns[0];
        assert_eq!((p.count, p.services.join(","), found.rate_step), (600, "s0,s1".into(), Duration::from_secs(16)));
        assert_eq!((p.rate.len(), p.rate.iter().sum::<u32>(), p.rate[3], p.rate[39]), (RATE_BUCKETS, 600, 16, 0));
        assert_eq!(p.facets["region"].values, BTreeMap::from([("eu-0".into(), 200), ("eu-1".into(), 200), ("eu-2".into(), 200)]));
        assert_eq!((p.facets["order"].values.len(), p.facets["order"].other), (MAX_VALUES, 592));
    }

    proptest::proptest! {
        #[test]
        fn g_score_is_finite_and_never_negative(a in 0_u64..1000, b in 0_u64..1000, c in 0_u64..1000, d in 0_u64..1000) {
            let g = g_score(a.min(b), b, c.min(d), d);
            proptest::prop_assert!(g.is_finite() && g >= 0.0);
        }
    }
}
