//! Pattern analysis of a whole log: separates headers from messages, mines and counts the patterns, and compares them with a
//! baseline if there is one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::miner::{Mined, Miner};
use super::{Change, MIN_DURATION_SECS, RATE_BUCKETS, change};
use crate::telemetry::log::Level;
use crate::telemetry::parse::layout::{Header, Layout};
use crate::telemetry::parse::{self, Columns, Context, Scale};
use crate::telemetry::{LogLine, Timestamp, clean};

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

/// The counts of one id of the miner.
#[derive(Clone, Debug, Default)]
struct Tally {
    count: u64,
    baseline: u64,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    /// An original line, from the incident if possible.
    sample: String,
    /// Lines of each level, indexed by the level.
    levels: [u32; 6],
    /// The level of its first line that has one.
    first_level: Option<Level>,
    /// Lines in each part of the time range; empty without times.
    rate: Vec<u32>,
    /// Indices of the services in the analysis's list, sorted.
    services: Vec<u16>,
    facets: BTreeMap<String, Facet>,
}

/// The values of one field of structured lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facet {
    /// Number of lines by value, for the first [`MAX_VALUES`] values that occur.
    pub values: BTreeMap<String, u64>,
    /// Number of lines with any other value.
    pub other: u64,
}

/// Maximum number of fields counted for a pattern.
const MAX_FACETS: usize = 12;
/// Maximum number of values counted separately for a field.
pub const MAX_VALUES: usize = 8;
/// Maximum length of a value, in bytes.
const MAX_VALUE_BYTES: usize = 64;
/// Maximum number of services that are recorded.
const MAX_SERVICES: usize = 1000;

impl Facet {
    /// Adds `n` lines with a value.
    pub(super) fn add(&mut self, value: &str, n: u64) {
        if let Some(count) = self.values.get_mut(value) {
            *count += n;
        } else if self.values.len() < MAX_VALUES {
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
    fn merge(&mut self, other: Self) {
        merge_facets(&mut self.facets, other.facets);
        if self.rate.is_empty() {
            self.rate = other.rate;
        } else {
            self.rate.iter_mut().zip(other.rate).for_each(|(a, b)| *a = a.saturating_add(b));
        }
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

    /// The most frequent level; of a tie the one of the first line, else the more severe one.
    fn level(&self) -> Option<Level> {
        const ALL: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];
        let counted = ALL.into_iter().zip(self.levels);
        let (level, n) = counted.max_by_key(|(level, n)| (*n, Some(*level) == self.first_level, *level))?;
        Some(level).filter(|_| n > 0)
    }
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

    /// Returns a regular expression that matches every message of the pattern with this index.
    pub fn regex(&self, index: u32) -> String {
        self.mined.regex(index as usize)
    }
}

/// Analyses log lines as they arrive.
#[derive(Debug)]
pub struct LogAnalysis {
    context: Context,
    /// How the numbers of level keys are meant in the stream.
    scale: Scale,
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
    /// What the lines before say about the next one.
    before: Before,
    /// The id of the previous line that was mined.
    last: Option<u32>,
    clock: RateClock,
    services: Vec<String>,
    locations: LocationFinder,
    /// The source location of each id that has one.
    location_of: BTreeMap<u32, String>,
}

/// What the lines of a stream so far say about the next one.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    /// Whether the previous line had a time or continued a line with one.
    was_timed: bool,
    /// Whether the previous line belongs to a Python traceback.
    in_traceback: bool,
    /// Whether the last event has a time and no level, so that the next line may name it.
    awaits_level: bool,
    /// The time of the last line that has one, and the level of the last event.
    last_line_at: Option<Timestamp>,
    last_level: Option<Level>,
    /// The header of the line before, which had nothing else.
    header_alone: Option<Header>,
}

/// Finds source locations in lines, and stops looking when most lines of a stream name none.
#[derive(Clone, Copy, Debug, Default)]
struct LocationFinder {
    /// Lines examined so far, at most [`SAMPLE_LINES`], and how many of them name a location.
    tried: u32,
    found: u32,
}

/// Bytes at the start of a line in which the service name and bar of Docker Compose are looked for.
const MAX_COMPOSE_PREFIX: usize = 80;
/// Number of lines after which a stream is judged to name locations or not.
const SAMPLE_LINES: u32 = 256;

impl LocationFinder {
    /// The source location that a line names in its header or in the first words after it. Always `None` once most of the
    /// first lines had none.
    fn find<'a>(&mut self, raw: &'a str, from: usize) -> Option<&'a str> {
        if self.tried >= SAMPLE_LINES && self.found < SAMPLE_LINES / 2 {
            return None;
        }
        let found = find_location(raw, from);
        if self.tried < SAMPLE_LINES {
            self.tried += 1;
            self.found += u32::from(found.is_some());
        }
        found
    }
}

/// Whether a message says nothing: it has no letter and no digit.
fn is_bare(message: &str) -> bool {
    !message.chars().any(char::is_alphanumeric)
}

/// Whether a line begins with a level in capitals or in brackets.
fn names_level(raw: &str) -> bool {
    let word = raw.trim_start_matches(['[', '<', '(']);
    let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
    let name = word.get(..letters).unwrap_or_default();
    let is_marked = word.len() < raw.len() || name.bytes().all(|b| b.is_ascii_uppercase());
    letters > 3 && is_marked && Level::from_word(name).is_some()
}

/// How far a time in a rare form is from the line before to be that of something quoted.
const FAR: Duration = Duration::from_hours(24);

/// The id of a line that is part of no pattern.
const NO_PATTERN: u32 = u32::MAX;

/// Number of words after the header in which a location is looked for.
const WORDS_AFTER_HEADER: usize = 2;

/// Finds a source location such as `t.c.Travel2Controller#115` (logback's `%logger#%line`), `pool.go:88` or
/// `Checkout.java:41`. `from`: where the header ends.
fn find_location(raw: &str, from: usize) -> Option<&str> {
    let mut words_after = 0;
    for word in raw.split_ascii_whitespace() {
        let at = word.as_ptr() as usize - raw.as_ptr() as usize;
        if at >= from {
            words_after += 1;
            if words_after > WORDS_AFTER_HEADER {
                return None;
            }
        }
        let word = word.trim_matches(|c: char| "[](){}<>,;|-".contains(c)).trim_end_matches(':');
        if is_location(word) {
            return Some(word);
        }
    }
    None
}

fn is_location(word: &str) -> bool {
    const SOURCES: [&str; 18] =
        ["java", "kt", "scala", "groovy", "go", "py", "rs", "c", "cc", "cpp", "cxx", "h", "rb", "js", "ts", "cs", "php", "ex"];
    let is_line_number = |line: &str| (1..=6).contains(&line.len()) && line.bytes().all(|b| b.is_ascii_digit());
    let is_file_or_class = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._$/-[]".contains(&b))
    };
    if let Some((class, line)) = word.rsplit_once('#') {
        return class.contains('.') && is_line_number(line) && is_file_or_class(class);
    }
    word.rsplit_once(':').is_some_and(|(file, line)| {
        is_line_number(line) && file.rsplit_once('.').is_some_and(|(name, end)| SOURCES.contains(&end) && is_file_or_class(name))
    })
}

/// Divides time into [`RATES`] parts, whose length doubles as needed so that a stream can be of any length.
#[derive(Clone, Copy, Debug, Default)]
struct RateClock {
    start: Option<Timestamp>,
    /// Length of a part, in seconds.
    step: u32,
}

impl RateClock {
    /// The index of the part that contains a time, and how often the length of the parts was doubled to reach it.
    fn part(&mut self, at: Timestamp) -> (usize, u32) {
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
fn halve(rate: &mut Vec<u32>) {
    if rate.is_empty() {
        return;
    }
    let halved: Vec<u32> = rate.chunks(2).map(|pair| pair.iter().fold(0, |a: u32, b| a.saturating_add(*b))).collect();
    *rate = halved;
    rate.resize(RATE_BUCKETS, 0);
}

impl LogAnalysis {
    /// `context` supplies the year and zone of times without them. `joins`: lines that continue the previous one, such as a
    /// stack trace, are not patterns of their own.
    pub fn new(context: Context, joins: bool) -> Self {
        Self {
            context,
            scale: Scale::default(),
            before: Before::default(),
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
            clock: RateClock::default(),
            services: Vec::new(),
            locations: LocationFinder::default(),
            location_of: BTreeMap::new(),
        }
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

    /// Starts another stream with its own time context. Whether its lines name source locations is determined again.
    pub fn start_stream(&mut self, context: Context) {
        self.context = context;
        self.locations = LocationFinder::default();
        (self.before, self.last) = (Before::default(), None);
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

    /// Adds a JSON or logfmt line, whose message is in a field. `at` and `service` come from a prefix and are used when the
    /// line has none of its own. `None` when the line is not structured.
    fn structured_line(&mut self, raw: &str, at: Option<Timestamp>, service: Option<&str>, side: Side) -> Option<u32> {
        if !raw.starts_with('{') && !parse::is_logfmt(raw) {
            return None;
        }
        let mut line = parse::line(raw, Context { scale: self.scale, ..self.context });
        line.at = line.at.or(at);
        line.service = line.service.or_else(|| service.map(str::to_owned));
        if line.at.is_none() && line.fields.is_empty() {
            return None;
        }
        let id = self.add_message(&line.message, None, line.at, line.level, side, line.at.is_some());
        if side == Side::Incident {
            self.count_structured(id, &line);
        }
        Some(id)
    }

    /// Adds a row of columns, or its head, which is no message. `None` when the line is neither.
    fn row(&mut self, raw: &str, columns: &Columns, side: Side) -> Option<u32> {
        if columns.is_head(raw) {
            // Without joining, each line has an id of its own.
            if self.joins {
                self.count_line(side, true, false);
                return Some(self.last.unwrap_or(NO_PATTERN));
            }
            return Some(self.add_message(raw, None, None, None, side, true));
        }
        let line = columns.row(raw, Context { scale: self.scale, ..self.context })?;
        let field = |names: [&str; 2]| names.iter().find_map(|name| line.fields.get(*name));
        let status = field(["sc-status", "status"]).and_then(|s| s.parse().ok());
        let class = field(["cs-method", "method"]).zip(status).and_then(|(m, s)| parse::method_and_status_of(m, s));
        let level = line.level.or(class.map(|(_, level)| level));
        let id = self.add_message(&line.message, class.map(|(name, _)| name), line.at, level, side, line.at.is_some());
        if side == Side::Incident {
            self.count_structured(id, &line);
        }
        Some(id)
    }

    /// Adds a raw line and returns its id, which [`LogReport::pattern_of`] maps to its pattern. `layout` describes the
    /// header; without one the whole line is the message.
    pub fn add_line(&mut self, raw: &str, layout: Option<&Layout>, side: Side) -> u32 {
        let Some(layout) = layout else { return self.add_message(raw, None, None, None, side, false) };
        self.scale = layout.scale();
        // A file that was cut while its program wrote on begins with zeros.
        let raw = raw.trim_start_matches('\0');
        if raw.trim().is_empty()
            && let Some(last) = self.last
        {
            self.count_line(side, self.before.was_timed, false);
            return last;
        }
        if let Some(id) = layout.columns().and_then(|columns| self.row(raw, columns, side)) {
            return id;
        }
        if let Some(id) = self.structured_line(raw, None, None, side) {
            return id;
        }
        if let Some((inner, service)) = parse::prefixed_json(raw)
            && let Some(id) = self.structured_line(inner, None, service, side)
        {
            return id;
        }
        // Docker Compose puts the service name before each line.
        let bar = memchr::memchr(b'|', raw.as_bytes().get(..MAX_COMPOSE_PREFIX).unwrap_or(raw.as_bytes()));
        let inner = bar.and_then(|_| parse::split_compose_line(raw));
        if let Some((service, inner)) = inner
            && let Some(id) = self.structured_line(inner, None, Some(service), side)
        {
            return id;
        }
        let head = layout.header(raw, self.context);
        if head.at.is_some()
            && let Some(id) = self.structured_line(raw.get(head.message_start..).unwrap_or(""), head.at, None, side)
        {
            return id;
        }
        let mut head = head;
        if head.is_rare
            && self.before.last_level.is_some_and(Level::is_error)
            && self.before.last_line_at.zip(head.at).is_some_and(|(last, at)| last.secs_since(at).abs() > FAR.as_secs_f64())
        {
            // A trace may quote the line of another program, with the time of its day.
            head.at = None;
        }
        // A header alone on a line dates what follows.
        if let (None, Some(before)) = (head.at, self.before.header_alone.take()) {
            (head.at, head.level) = (before.at, head.level.or(before.level));
        } else if head.at.is_some() && self.joins && is_bare(raw.get(head.message_start..).unwrap_or("")) {
            self.count_line(side, true, head.level.is_some());
            self.before.header_alone = Some(head);
            return self.last.unwrap_or(NO_PATTERN);
        }
        // A logger may write the level at the start of a second line.
        let is_second = head.at.is_none() && self.before.awaits_level && names_level(raw);
        if let (true, Some(level), Some(last)) = (is_second, head.level, self.last) {
            self.give_level(last, level, side);
        }
        // In a stream with times, a line without the header of the others belongs to the event before it, unless it names a level as a line of
        // its own does.
        let is_continuation = head.at.is_none() && {
            let is_trace = self.is_continuation(raw);
            let is_part = is_second || !layout.has_untimed_lines() && !names_level(raw);
            // What is before the first header belongs to no event, but to a stream with times.
            let is_preface = self.last.is_none() && layout.has_times();
            (self.before.was_timed || is_preface) && (is_trace || is_part)
        };
        if is_continuation
            && self.joins
            && let Some(id) = self.last
        {
            self.count_line(side, true, head.level.is_some());
            return id;
        }
        let message = raw.get(head.message_start..).unwrap_or(raw);
        // In an access log each status class is a pattern of its own.
        let (location, level) = match parse::method_and_status(message).filter(|_| head.at.is_some() && head.level.is_none()) {
            Some((name, level)) => (Some(name), level),
            None => (if head.at.is_some() { self.locations.find(raw, head.message_start) } else { None }, head.level),
        };
        self.add_message(message, location, head.at, level, side, head.at.is_some() || is_continuation)
    }

    /// Whether a line without a time is part of a trace: it is indented or part of a Java or Python stack trace.
    fn is_continuation(&mut self, raw: &str) -> bool {
        let is_cause = ["Caused by: ", "Suppressed: "].iter().any(|prefix| raw.starts_with(prefix));
        let starts = raw.starts_with("Traceback (most recent call last)");
        let word = raw.split([':', ' ']).next().unwrap_or("");
        let names_error = word.ends_with("Exception") || word.ends_with("Error");
        // The last line of a Python traceback is not indented and may name any error.
        let ends = self.before.in_traceback && !raw.starts_with([' ', '\t']) && !starts;
        self.before.in_traceback = starts || self.before.in_traceback && !ends;
        raw.starts_with([' ', '\t']) || is_cause || starts || names_error && word.len() > 9 || ends
    }

    /// Gives the last line of a pattern a level that a further line of its event names.
    fn give_level(&mut self, id: u32, level: Level, side: Side) {
        self.before.awaits_level = false;
        self.before.last_level = Some(level);
        let Some(tally) = self.tallies.get_mut(id as usize).filter(|_| side == Side::Incident) else { return };
        tally.first_level = tally.first_level.or(Some(level));
        if let Some(n) = tally.levels.get_mut(level as usize) {
            *n = n.saturating_add(1);
        }
    }

    /// Counts the further lines of a record that was several.
    pub fn count_further_lines(&mut self, lines: usize, side: Side) {
        for _ in 0..lines {
            self.count_line(side, self.before.was_timed, false);
        }
    }

    /// Adds a line to the totals.
    fn count_line(&mut self, side: Side, is_timed: bool, is_levelled: bool) {
        self.before.was_timed = is_timed;
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
        location: Option<&str>,
        at: Option<Timestamp>,
        level: Option<Level>,
        side: Side,
        is_timed: bool,
    ) -> u32 {
        let id = match location {
            Some(location) => {
                let id = self.miner.add_located(message.as_bytes(), location.as_bytes());
                if id as usize >= self.tallies.len() {
                    self.location_of.insert(id, clean::truncate(location, MAX_VALUE_BYTES));
                }
                id
            }
            None => self.miner.add(message.as_bytes()),
        };
        if self.tallies.len() <= id as usize {
            self.tallies.resize_with(id as usize + 1, Tally::default);
        }
        self.count_line(side, is_timed, level.is_some());
        (self.before.last_line_at, self.before.last_level) = (at.or(self.before.last_line_at), level);
        self.before.awaits_level = at.is_some() && level.is_none();
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
    pub fn finish(self, has_baseline: bool) -> LogReport {
        let mined = self.miner.finish();
        let mut tallies: Vec<Tally> = vec![Tally::default(); mined.templates.len()];
        for (id, tally) in self.tallies.into_iter().enumerate() {
            let index = mined.pattern_of.get(id).map(|p| *p as usize);
            if let Some(total) = index.and_then(|p| tallies.get_mut(p)) {
                total.merge(tally);
            }
        }
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
    fn finds_source_locations() {
        for (line, from, place) in [
            ("16:49:25.181 INFO  f.m.s.BasicServiceImpl#360 TraceID: f1 [x]", 46, Some("f.m.s.BasicServiceImpl#360")),
            ("2026-11-21 09:31:07 [main] ERROR (Checkout.java:41) - pool", 0, Some("Checkout.java:41")),
            ("2026/11/21 09:31:07 pool.go:88: full", 20, Some("pool.go:88")),
            ("09:31:07 order#12 placed", 9, None),
            ("09:31:07 connected to db.local:5432", 9, None),
            ("09:31:07 one two three a.b.C#7", 9, None),
        ] {
            assert_eq!(find_location(line, from.max(line.find("- pool").unwrap_or(0))), place, "{line}");
        }
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
