//! A whole log studied: its lines cut, mined and counted, and compared with a baseline where there is one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::miner::{Mined, Miner};
use super::{Change, RATES};
use crate::telemetry::log::Level;
use crate::telemetry::parse::layout::Layout;
use crate::telemetry::parse::{self, Context};
use crate::telemetry::{LogLine, Timestamp, clean};

/// Bytes of the sample that is kept of a pattern.
const MAX_SAMPLE: usize = 400;

/// To which part a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What was normal.
    Baseline,
    /// What is looked at.
    Incident,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    count: u64,
    baseline: u64,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    /// A real line; of the incident where there is one.
    sample: String,
    levels: [u32; 6],
    /// Lines in each part of the time seen; empty without times.
    rate: Vec<u32>,
    /// Places of the services in the study's list.
    services: Vec<u16>,
    facets: BTreeMap<String, Facet>,
}

/// The values of one field of structured lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facet {
    /// Lines by value; the first [`MAX_VALUES`] values that came.
    pub values: BTreeMap<String, u64>,
    /// Lines of further values.
    pub other: u64,
}

/// Fields, values of one, and bytes of a value that are kept of a pattern.
const MAX_FACETS: usize = 12;
pub const MAX_VALUES: usize = 8;
const MAX_VALUE: usize = 64;
/// Services that are told apart.
const MAX_SERVICES: usize = 1000;

impl Facet {
    /// Counts a value.
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

/// Counts the fields of a line, but the one that names its service.
pub(super) fn count_fields(facets: &mut BTreeMap<String, Facet>, line: &LogLine) {
    for (field, value) in line.fields.iter().filter(|(_, value)| line.service.as_ref() != Some(value)) {
        if facets.len() >= MAX_FACETS && !facets.contains_key(field) {
            continue;
        }
        let facet = facets.entry(field.clone()).or_default();
        if value.len() > MAX_VALUE {
            facet.add(&clean::cut(value, MAX_VALUE), 1);
        } else {
            facet.add(value, 1);
        }
    }
}

/// Counts what was counted of another part.
pub(super) fn merge(facets: &mut BTreeMap<String, Facet>, others: BTreeMap<String, Facet>) {
    for (field, other) in others {
        if facets.len() >= MAX_FACETS && !facets.contains_key(&field) {
            continue;
        }
        let whole = facets.entry(field).or_default();
        other.values.iter().for_each(|(value, n)| whole.add(value, *n));
        whole.other += other.other;
    }
}

impl Tally {
    fn take_in(&mut self, other: Self) {
        merge(&mut self.facets, other.facets);
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
        self.first_at = [self.first_at, other.first_at].into_iter().flatten().min();
        self.last_at = self.last_at.max(other.last_at);
        for (to, from) in self.levels.iter_mut().zip(other.levels) {
            *to = to.saturating_add(from);
        }
    }

    fn level(&self) -> Option<Level> {
        const ALL: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];
        let (most, n) = self.levels.iter().enumerate().max_by_key(|(i, n)| (**n, *i))?;
        ALL.get(most).copied().filter(|_| *n > 0)
    }
}

/// A pattern of a studied log.
#[derive(Clone, Debug, PartialEq)]
pub struct Studied {
    /// `P1`, `P2`, … in the order in which they first appeared.
    pub id: String,
    pub template: String,
    pub level: Option<Level>,
    /// Lines of what is looked at, and of the baseline.
    pub count: u64,
    pub baseline_count: u64,
    /// When it was first and last written in what is looked at.
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    pub sample: String,
    /// Lines in each part of the time seen, see [`Findings::rate_start`]; empty when no line had a time.
    pub rate: Vec<u32>,
    /// The place in the source that wrote it, such as `pool.go:88`, where the lines name it.
    pub place: Option<String>,
    /// Services that wrote it, sorted; empty when no line named one.
    pub services: Vec<String>,
    /// The fields of its structured lines beside message, time, level and service.
    pub facets: BTreeMap<String, Facet>,
    pub change: Change,
    /// How surely its share of the lines has changed: the G statistic of the two shares, 0 and above.
    pub score: f64,
}

/// What a study found.
#[derive(Debug)]
pub struct Findings {
    pub lines: u64,
    pub timed_lines: u64,
    pub levelled_lines: u64,
    pub baseline_lines: u64,
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    /// When the first part of every rate begins, and how long each part is.
    pub rate_start: Option<Timestamp>,
    pub rate_step: Duration,
    /// Those that changed most first when there is a baseline, else the most lines first.
    pub patterns: Vec<Studied>,
    /// Lines of patterns that were too many to be kept apart.
    pub beyond: u64,
    mined: Mined,
}

impl Findings {
    /// The place (from 0, by first appearance: `P1` is 0) of the pattern that a number of [`Study::line`] belongs to in the end.
    pub fn pattern_of(&self, number: u32) -> u32 {
        self.mined.pattern_of.get(number as usize).copied().unwrap_or(0)
    }

    /// A regular expression that every message of the pattern at a place matches.
    pub fn regex(&self, place: u32) -> String {
        self.mined.regex(place as usize)
    }
}

/// Studies lines as they come.
#[derive(Debug)]
pub struct Study {
    context: Context,
    miner: Miner,
    tallies: Vec<Tally>,
    lines: u64,
    baseline_lines: u64,
    /// The first and the last time of the baseline.
    baseline_span: (Option<Timestamp>, Option<Timestamp>),
    timed: u64,
    levelled: u64,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    was_timed: bool,
    /// Lines that go on with the one before are counted, not mined; the number of that one, and whether it is a Python trace.
    joins: bool,
    last: Option<u32>,
    in_trace: bool,
    clock: Clock,
    services: Vec<String>,
    places: Places,
    /// The place in the source of the numbers that have one.
    named: BTreeMap<u32, String>,
}

/// Whether the lines of a stream name the place in the source that wrote them.
#[derive(Clone, Copy, Debug, Default)]
struct Places {
    tried: u32,
    found: u32,
}

/// Bytes of a line in which a service's name and a bar may stand before the rest.
const MAX_NAME: usize = 80;
/// Lines after which it is known whether they name a place.
const TRIED: u32 = 256;

impl Places {
    /// The place that a line names in its header, or in the first words behind it; no longer looked for where most lines have
    /// none.
    fn find<'a>(&mut self, raw: &'a str, from: usize) -> Option<&'a str> {
        if self.tried >= TRIED && self.found < TRIED / 2 {
            return None;
        }
        let found = place_of(raw, from);
        if self.tried < TRIED {
            self.tried += 1;
            self.found += u32::from(found.is_some());
        }
        found
    }
}

/// Words behind the header in which a place is looked for.
const BEHIND: usize = 2;

/// `t.c.Travel2Controller#115` as logback writes it with `%logger#%line`, `pool.go:88`, `Checkout.java:41`.
fn place_of(raw: &str, from: usize) -> Option<&str> {
    let mut behind = 0;
    for word in raw.split_ascii_whitespace() {
        let at = word.as_ptr() as usize - raw.as_ptr() as usize;
        if at >= from {
            behind += 1;
            if behind > BEHIND {
                return None;
            }
        }
        let word = word.trim_matches(|c: char| "[](){}<>,;|-".contains(c)).trim_end_matches(':');
        if is_place(word) {
            return Some(word);
        }
    }
    None
}

fn is_place(word: &str) -> bool {
    const SOURCES: [&str; 18] =
        ["java", "kt", "scala", "groovy", "go", "py", "rs", "c", "cc", "cpp", "cxx", "h", "rb", "js", "ts", "cs", "php", "ex"];
    let numbered = |line: &str| (1..=6).contains(&line.len()) && line.bytes().all(|b| b.is_ascii_digit());
    let named = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._$/-[]".contains(&b))
    };
    if let Some((class, line)) = word.rsplit_once('#') {
        return class.contains('.') && numbered(line) && named(class);
    }
    word.rsplit_once(':').is_some_and(|(file, line)| {
        numbered(line) && file.rsplit_once('.').is_some_and(|(name, end)| SOURCES.contains(&end) && named(name))
    })
}

/// The parts that lines are counted in: as many as [`RATES`], each as long as needed, so that a stream may go on for ever.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    start: Option<Timestamp>,
    /// Seconds of a part.
    step: u32,
}

impl Clock {
    /// The part of a moment, and how often the parts had to be made twice as long for it.
    fn part(&mut self, at: Timestamp) -> (usize, u32) {
        let start = *self.start.get_or_insert(at);
        if self.step == 0 {
            self.step = 1;
        }
        // What is older than the first line counts with it.
        let secs = at.since(start).as_secs();
        let mut doubled = 0;
        while secs / u64::from(self.step) >= RATES as u64 && self.step < u32::MAX / 2 {
            self.step *= 2;
            doubled += 1;
        }
        let part = secs / u64::from(self.step);
        (usize::try_from(part).unwrap_or(RATES).min(RATES - 1), doubled)
    }
}

/// Puts neighbouring parts together, for parts twice as long.
fn halve(rate: &mut Vec<u32>) {
    if rate.is_empty() {
        return;
    }
    let halved: Vec<u32> = rate.chunks(2).map(|pair| pair.iter().fold(0, |a: u32, b| a.saturating_add(*b))).collect();
    *rate = halved;
    rate.resize(RATES, 0);
}

impl Study {
    /// `context` tells what times without a year or a zone mean. `joins`: lines that go on with the one before (a stack trace) are
    /// no patterns of their own.
    pub fn new(context: Context, joins: bool) -> Self {
        Self {
            context,
            miner: Miner::default(),
            tallies: Vec::new(),
            lines: 0,
            baseline_lines: 0,
            baseline_span: (None, None),
            timed: 0,
            levelled: 0,
            first_at: None,
            last_at: None,
            was_timed: false,
            joins,
            last: None,
            in_trace: false,
            clock: Clock::default(),
            services: Vec::new(),
            places: Places::default(),
            named: BTreeMap::new(),
        }
    }

    /// The place of a service in the list; `None` when there are too many.
    fn service(&mut self, name: &str) -> Option<u16> {
        let at = self.services.iter().position(|s| s == name).or_else(|| {
            (self.services.len() < MAX_SERVICES).then(|| {
                self.services.push(name.to_owned());
                self.services.len() - 1
            })
        })?;
        u16::try_from(at).ok()
    }

    /// Another stream begins: whether its lines name their place in the source is found anew, and its times are read so.
    pub fn next_stream(&mut self, context: Context) {
        self.context = context;
        self.places = Places::default();
        (self.was_timed, self.in_trace, self.last) = (false, false, None);
    }

    /// Says which service wrote the line of a number, where the line itself does not.
    pub fn written_by(&mut self, number: u32, service: &str) {
        let at = self.service(service);
        if let (Some(at), Some(tally)) = (at, self.tallies.get_mut(number as usize))
            && let Err(place) = tally.services.binary_search(&at)
        {
            tally.services.insert(place, at);
        }
    }

    fn structured(&mut self, number: u32, line: &LogLine) {
        if let Some(service) = &line.service {
            self.written_by(number, service);
        }
        let Some(tally) = self.tallies.get_mut(number as usize) else { return };
        count_fields(&mut tally.facets, line);
    }

    /// Takes a line of JSON or logfmt, which carries its message in a field; `at` and `service`: what stood before it tells.
    fn structured_line(&mut self, raw: &str, at: Option<Timestamp>, service: Option<&str>, side: Side) -> Option<u32> {
        if !raw.starts_with('{') && !parse::is_logfmt(raw) {
            return None;
        }
        let mut line = parse::line(raw, self.context);
        line.at = line.at.or(at);
        line.service = line.service.or_else(|| service.map(str::to_owned));
        if line.at.is_none() && line.fields.is_empty() {
            return None;
        }
        let number = self.message(&line.message, None, line.at, line.level, side, line.at.is_some());
        if side == Side::Incident {
            self.structured(number, &line);
        }
        Some(number)
    }

    /// Takes a raw line; `layout`: how its header is cut, `None`: it is a message as it stands. Returns a number that
    /// [`Findings::pattern_of`] turns into its pattern.
    pub fn line(&mut self, raw: &str, layout: Option<&Layout>, side: Side) -> u32 {
        let Some(layout) = layout else { return self.message(raw, None, None, None, side, false) };
        if let Some(number) = self.structured_line(raw, None, None, side) {
            return number;
        }
        if let Some((inner, service)) = parse::prefixed_json(raw)
            && let Some(number) = self.structured_line(inner, None, service, side)
        {
            return number;
        }
        // Of docker compose: each line with its service before it.
        let bar = memchr::memchr(b'|', raw.as_bytes().get(..MAX_NAME).unwrap_or(raw.as_bytes()));
        let inner = bar.and_then(|_| parse::composed(raw));
        if let Some((service, inner)) = inner
            && let Some(number) = self.structured_line(inner, None, Some(service), side)
        {
            return number;
        }
        let head = layout.head(raw, self.context);
        if head.at.is_some()
            && let Some(number) = self.structured_line(raw.get(head.from..).unwrap_or(""), head.at, None, side)
        {
            return number;
        }
        let goes_on = head.at.is_none() && self.was_timed && self.goes_on(raw);
        if goes_on
            && self.joins
            && let Some(number) = self.last
        {
            self.count(side, true, head.level.is_some());
            return number;
        }
        let message = raw.get(head.from..).unwrap_or(raw);
        // Of an access log what was answered tells most: each class of status is a pattern of its own.
        let (place, level) = match parse::answered(message).filter(|_| head.at.is_some() && head.level.is_none()) {
            Some((name, level)) => (Some(name), Some(level)),
            None => (if head.at.is_some() { self.places.find(raw, head.from) } else { None }, head.level),
        };
        self.message(message, place, head.at, level, side, head.at.is_some() || goes_on)
    }

    /// Whether a line without a time goes on with the one before it: indented, or a part of a trace of Java or Python.
    fn goes_on(&mut self, raw: &str) -> bool {
        let is_of_trace = ["Caused by: ", "Suppressed: "].iter().any(|begin| raw.starts_with(begin));
        let begins = raw.starts_with("Traceback (most recent call last)");
        let word = raw.split([':', ' ']).next().unwrap_or("");
        let names_error = word.ends_with("Exception") || word.ends_with("Error");
        // The last line of Python's trace stands at the margin, and it may be an error of any name.
        let ends = self.in_trace && !raw.starts_with([' ', '\t']) && !begins;
        self.in_trace = begins || self.in_trace && !ends;
        raw.starts_with([' ', '\t']) || is_of_trace || begins || names_error && word.len() > 9 || ends
    }

    /// Counts a line.
    fn count(&mut self, side: Side, is_timed: bool, is_levelled: bool) {
        self.was_timed = is_timed;
        if side == Side::Incident {
            self.lines += 1;
            self.timed += u64::from(is_timed);
            self.levelled += u64::from(is_levelled);
        } else {
            self.baseline_lines += 1;
        }
    }

    /// Lines studied so far that are no baseline's.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    fn message(
        &mut self,
        message: &str,
        place: Option<&str>,
        at: Option<Timestamp>,
        level: Option<Level>,
        side: Side,
        is_timed: bool,
    ) -> u32 {
        let number = match place {
            Some(place) => {
                let number = self.miner.add_from(message.as_bytes(), place.as_bytes());
                if number as usize >= self.tallies.len() {
                    self.named.insert(number, clean::cut(place, MAX_VALUE));
                }
                number
            }
            None => self.miner.add(message.as_bytes()),
        };
        if self.tallies.len() <= number as usize {
            self.tallies.resize_with(number as usize + 1, Tally::default);
        }
        self.count(side, is_timed, level.is_some());
        self.last = Some(number);
        if side == Side::Incident {
            if at.is_some() {
                self.first_at = [self.first_at, at].into_iter().flatten().min();
                self.last_at = self.last_at.max(at);
            }
        } else {
            if at.is_some() {
                self.baseline_span = ([self.baseline_span.0, at].into_iter().flatten().min(), self.baseline_span.1.max(at));
            }
        }
        let part = at.filter(|_| side == Side::Incident).map(|at| self.clock.part(at));
        if let Some((_, doubled)) = part {
            for _ in 0..doubled {
                self.tallies.iter_mut().for_each(|t| halve(&mut t.rate));
            }
        }
        let Some(tally) = self.tallies.get_mut(number as usize) else { return number };
        if let Some((part, _)) = part {
            if tally.rate.is_empty() {
                tally.rate.resize(RATES, 0);
            }
            if let Some(n) = tally.rate.get_mut(part) {
                *n = n.saturating_add(1);
            }
        }
        let had = tally.count;
        match side {
            Side::Incident => {
                tally.count += 1;
                if at.is_some() {
                    tally.first_at = [tally.first_at, at].into_iter().flatten().min();
                    tally.last_at = tally.last_at.max(at);
                }
                if let Some(n) = level.and_then(|l| tally.levels.get_mut(l as usize)) {
                    *n = n.saturating_add(1);
                }
            }
            Side::Baseline => tally.baseline += 1,
        }
        if tally.sample.is_empty() || (side == Side::Incident && had == 0) {
            tally.sample = clean::cut(message.trim(), MAX_SAMPLE);
        }
        number
    }

    /// Ends the study. `has_baseline`: whether patterns are compared.
    pub fn finish(self, has_baseline: bool) -> Findings {
        let mined = self.miner.finish();
        let mut tallies: Vec<Tally> = vec![Tally::default(); mined.templates.len()];
        for (number, tally) in self.tallies.into_iter().enumerate() {
            let place = mined.pattern_of.get(number).map(|p| *p as usize);
            if let Some(whole) = place.and_then(|p| tallies.get_mut(p)) {
                whole.take_in(tally);
            }
        }
        let mut named: BTreeMap<usize, String> = BTreeMap::new();
        for (number, name) in self.named {
            if let Some(place) = mined.pattern_of.get(number as usize) {
                named.entry(*place as usize).or_insert(name);
            }
        }
        let length = |first: Option<Timestamp>, last: Option<Timestamp>| Some(last?.secs_since(first?)).filter(|s| *s >= LONG);
        let (first, last) = self.baseline_span;
        let faster = length(first, last).zip(length(self.first_at, self.last_at)).map(|(before, now)| before / now);
        let beyond = mined.rest.and_then(|r| tallies.get(r as usize)).map_or(0, |t| t.count);
        let mut patterns: Vec<Studied> = tallies
            .into_iter()
            .zip(&mined.templates)
            .enumerate()
            .map(|(place, (tally, template))| {
                let score = g_score(tally.count, self.lines, tally.baseline, self.baseline_lines);
                let change =
                    if has_baseline { change(&tally, self.lines, self.baseline_lines, faster, score) } else { Change::Same };
                Studied {
                    id: format!("P{}", place + 1),
                    template: clean::line(template),
                    level: tally.level(),
                    count: tally.count,
                    baseline_count: tally.baseline,
                    first_at: tally.first_at,
                    last_at: tally.last_at,
                    sample: clean::line(&tally.sample),
                    place: named.remove(&place),
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
        let place = |p: &Studied| p.id.get(1..).and_then(|n| n.parse::<u32>().ok()).unwrap_or(u32::MAX);
        patterns.sort_by(|a, b| {
            let class = |p: &Studied| if has_baseline { rank(p.change) } else { 0 };
            (class(a).cmp(&class(b))).then(b.score.total_cmp(&a.score)).then(b.count.cmp(&a.count)).then(place(a).cmp(&place(b)))
        });
        Findings {
            lines: self.lines,
            timed_lines: self.timed,
            levelled_lines: self.levelled,
            baseline_lines: self.baseline_lines,
            first_at: self.first_at,
            last_at: self.last_at,
            rate_start: self.clock.start,
            rate_step: Duration::from_secs(u64::from(self.clock.step)),
            patterns,
            beyond,
            mined,
        }
    }
}

/// What is new first, then what changed, then the rest.
fn rank(change: Change) -> u8 {
    match change {
        Change::New => 0,
        Change::Up => 1,
        Change::Gone => 2,
        Change::Down => 3,
        Change::Same => 4,
    }
}

/// The G statistic (log-likelihood ratio, chi-squared with one degree of freedom) of a pattern's share of the lines of two
/// parts: how surely the shares differ. 0 when either part is empty.
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

/// A change that would come about by chance once in a thousand patterns is none.
const SURELY: f64 = 10.83;
/// Of many lines a small shift is sure too; it tells nothing, as every pattern's share gives way to what floods the log.
const TIMES: f64 = 1.5;

/// Rates that differ by less are the same; and how many seconds a part must cover for them to be known.
const OFTENER: f64 = 1.2;
const LONG: f64 = 60.0;

/// A pattern's change by its counts and score alone: where the parts are about as long.
pub fn change_of(count: u64, baseline: u64, score: f64) -> Change {
    match (count, baseline) {
        (_, 0) => Change::New,
        (0, _) => Change::Gone,
        _ if score < SURELY => Change::Same,
        (now, before) if now > before => Change::Up,
        _ => Change::Down,
    }
}

/// `faster`: how much longer the baseline is than the other part, where both tell their times. What came as often as ever has
/// not risen, however little there was beside it.
fn change(tally: &Tally, lines: u64, baseline_lines: u64, faster: Option<f64>, score: f64) -> Change {
    match (tally.count, tally.baseline) {
        (_, 0) => Change::New,
        (0, _) => Change::Gone,
        _ if score < SURELY => Change::Same,
        (now, before) => {
            let share = |n: u64, of: u64| n as f64 / of.max(1) as f64;
            let rate = faster.map(|times| now as f64 * times / before as f64);
            match share(now, lines) / share(before, baseline_lines) {
                more if more >= TIMES && rate.is_none_or(|r| r >= OFTENER) => Change::Up,
                less if less <= 1.0 / TIMES && rate.is_none_or(|r| r <= 1.0 / OFTENER) => Change::Down,
                _ => Change::Same,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study() -> Study {
        Study::new(Context::utc(Timestamp::from_secs(1_795_253_400)), true)
    }

    #[test]
    fn what_was_not_there_before_is_new_and_first() {
        let mut s = study();
        for n in 0..200 {
            s.line(&format!("order {n} placed"), None, Side::Baseline);
            s.line(&format!("order {n} placed"), None, Side::Incident);
        }
        for n in 0..30 {
            s.line(&format!("retry {n} of payment"), None, Side::Baseline);
        }
        s.line("retry 1 of payment", None, Side::Incident);
        let odd = s.line("pool exhausted after 3000 ms", None, Side::Incident);
        let found = s.finish(true);
        let told: Vec<(&str, Change, u64, u64)> =
            found.patterns.iter().map(|p| (p.template.as_str(), p.change, p.count, p.baseline_count)).collect();
        assert_eq!(told[0], ("pool exhausted after <*>", Change::New, 1, 0));
        assert_eq!(told[1], ("retry <*> of payment", Change::Down, 1, 30));
        assert_eq!(told[2], ("order <*> placed", Change::Same, 200, 200));
        assert_eq!(found.patterns[0].id, format!("P{}", found.pattern_of(odd) + 1));
        assert_eq!(found.patterns[0].sample, "pool exhausted after 3000 ms");
    }

    #[test]
    fn times_and_levels_are_counted_and_json_lines_give_their_message() {
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
        let ids: Vec<u32> = lines.iter().map(|l| s.line(l, Some(&layout), Side::Incident)).collect();
        let found = s.finish(false);
        assert_eq!((found.lines, found.timed_lines, found.levelled_lines), (6, 5, 4));
        assert_eq!(found.pattern_of(ids[3]), found.pattern_of(ids[4]));
        assert_eq!(found.first_at.map(|t| t.clock(time::UtcOffset::UTC)), Some("09:31:07".into()));
        let slow = found.patterns.iter().find(|p| p.template == "slow query <*>").unwrap();
        assert_eq!((slow.count, slow.level, found.patterns[0].id.as_str()), (2, Some(Level::Warn), slow.id.as_str()));
    }

    #[test]
    fn places_in_the_source_are_known_by_their_form() {
        for (line, from, place) in [
            ("16:49:25.181 INFO  f.m.s.BasicServiceImpl#360 TraceID: f1 [x]", 46, Some("f.m.s.BasicServiceImpl#360")),
            ("2026-11-21 09:31:07 [main] ERROR (Checkout.java:41) - pool", 0, Some("Checkout.java:41")),
            ("2026/11/21 09:31:07 pool.go:88: full", 20, Some("pool.go:88")),
            ("09:31:07 order#12 placed", 9, None),
            ("09:31:07 connected to db.local:5432", 9, None),
            ("09:31:07 one two three a.b.C#7", 9, None),
        ] {
            assert_eq!(place_of(line, from.max(line.find("- pool").unwrap_or(0))), place, "{line}");
        }
    }

    #[test]
    fn lines_that_name_their_place_in_the_source_are_grouped_by_it() {
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
            s.line(line, Some(&layout), Side::Incident);
        }
        let found = s.finish(false);
        let told: Vec<(Option<&str>, u64)> = found.patterns.iter().map(|p| (p.place.as_deref(), p.count)).collect();
        assert_eq!(told, [(Some("a.b.Seat#137"), 100), (Some("a.b.Order#12"), 100), (Some("c.d.Order#44"), 100)]);
    }

    #[test]
    fn structured_lines_behind_a_time_or_a_services_name_are_read() {
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
            s.line(line, Some(&layout), Side::Incident);
            let found = s.finish(false);
            let p = &found.patterns[0];
            assert_eq!((p.template.as_str(), p.level, found.timed_lines), (message, Some(Level::Error), 1), "{line}");
            assert_eq!(p.services.join(","), service, "{line}");
        }
    }

    /// What a program says, number `n` of it: the message, and which of the eight it is.
    fn said(n: usize) -> (String, usize) {
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

    /// One line in each of the formats that loggers of the field write.
    fn written(format: usize, n: usize, message: &str) -> Option<String> {
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
    fn whoever_writes_it_and_however_mixed_the_same_is_said() {
        let context = Context::utc(Timestamp::from_secs(1_795_253_400));
        let partition = |lines: &[(String, usize)]| -> usize {
            let layout = Layout::learn(lines.iter().map(|(l, _)| l.as_str()), context);
            let mut s = study();
            let numbers: Vec<u32> = lines.iter().map(|(l, _)| s.line(l, Some(&layout), Side::Incident)).collect();
            let found = s.finish(false);
            let pairs: std::collections::BTreeSet<(u32, usize)> =
                numbers.iter().zip(lines).map(|(n, (_, which))| (found.pattern_of(*n), *which)).collect();
            assert_eq!(pairs.len(), 8, "{:#?}", found.patterns.iter().map(|p| &p.sample).collect::<Vec<_>>());
            found.patterns.len()
        };
        let lines = |format: usize| -> Vec<(String, usize)> {
            (0..200)
                .map_while(|n| {
                    let (message, which) = said(n);
                    Some((written(format, n, &message)?, which))
                })
                .collect()
        };
        let all: Vec<Vec<(String, usize)>> = (0..).map(lines).take_while(|l| !l.is_empty()).collect();
        assert_eq!(all.len(), 24);
        for own in &all {
            assert_eq!(partition(own), 8, "{}", own[0].0);
        }
        // Three at a time in one stream, line by line; of those that have a time.
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
    fn rates_services_and_fields_of_structured_lines_are_kept_within_bounds() {
        let mut s = study();
        let layout = Layout::default();
        for n in 0..600_i64 {
            let at = Timestamp::from_secs(1_795_253_400 + n).rfc3339();
            let line = format!(
                r#"{{"time":"{at}","level":"info","service":"s{}","msg":"order {n} placed","region":"eu-{}","order":"{n}"}}"#,
                n % 2,
                n % 3
            );
            s.line(&line, Some(&layout), Side::Incident);
        }
        let found = s.finish(false);
        let p = &found.patterns[0];
        assert_eq!((p.count, p.services.join(","), found.rate_step), (600, "s0,s1".into(), Duration::from_secs(16)));
        assert_eq!((p.rate.len(), p.rate.iter().sum::<u32>(), p.rate[3], p.rate[39]), (RATES, 600, 16, 0));
        assert_eq!(p.facets["region"].values, BTreeMap::from([("eu-0".into(), 200), ("eu-1".into(), 200), ("eu-2".into(), 200)]));
        assert_eq!((p.facets["order"].values.len(), p.facets["order"].other), (MAX_VALUES, 592));
    }

    proptest::proptest! {
        #[test]
        fn the_statistic_is_finite_and_never_negative(a in 0_u64..1000, b in 0_u64..1000, c in 0_u64..1000, d in 0_u64..1000) {
            let g = g_score(a.min(b), b, c.min(d), d);
            proptest::prop_assert!(g.is_finite() && g >= 0.0);
        }
    }
}
