//! Finds where the header of a log line ends, without any configuration. It learns from a sample of a stream which fields
//! come before the message, and then splits each line by them. A time in any known form is searched for among the first
//! words; after it come the fields that (almost) every line has: level, process, thread, host, program, logger.
//!
//! A stream may mix formats. Lines are grouped into kinds by the position of the time, by the form of the time, and by what
//! directly follows it; each kind has its own fields.

use std::ops::Range;

use super::super::log::Level;
use super::super::time::Timestamp;
use super::{Columns, Context, DateOrder, Formats, Scale, access, fields, stamp};

mod field;
mod stamped;

use field::{Field, closing, leading_level, level, level_in_field, spaces};
pub(super) use stamped::time_after_words;
use stamped::{EXACT, FoundTime, UNTIMED, find_stamp, rfc5424_without_time, stamp_inside, untimed};

/// The maximum number of lines of one kind to learn from.
const MAX_SAMPLE: usize = 400;
/// The maximum number of fields in a header.
const MAX_FIELDS: usize = 12;
/// The number of fields among which a level is looked for: in a row of many columns, one may be a result.
const MAX_LEVEL_FIELDS: usize = 8;
/// The share of lines that must have a field for it to be learned.
const MIN_SHARE: f64 = 0.9;
/// The same for fields that could also be part of the message, such as numbers and brackets.
const STRICT_MIN_SHARE: f64 = 0.97;

/// The header of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub at: Option<Timestamp>,
    pub level: Option<Level>,
    /// Byte offset where the message begins.
    pub message_start: usize,
    /// Whether hardly any line of the stream has its time in this form, and whether fewer have it than half of those in another form.
    pub is_rare: bool,
    pub is_minor: bool,
    /// Whether it is the line of a container runtime around a part of an event: other such lines have times of their own inside.
    pub is_part: bool,
}

/// A part of a line: a field of its header, or its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: &'static str,
    /// Where it is, without white space around it.
    pub range: Range<usize>,
}

/// A form that headers of a stream have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderForm {
    /// The number of lines that it was learned from.
    pub lines: usize,
    /// The names of its fields in order, ending with `message`.
    pub fields: Vec<&'static str>,
}

/// The fields after the time, for one kind of line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LineKind {
    fields: Vec<Field>,
    /// The number of lines that the fields were learned from.
    sample_size: usize,
    /// Whether that is few beside the most frequent kind.
    is_rare: bool,
    is_minor: bool,
    /// Whether its times are numbers, and other lines of the stream have clocks: then the numbers are none.
    is_doubtful: bool,
}

/// The header formats of a stream, one for each kind of line.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    kinds: Vec<(u64, LineKind)>,
    /// Whether lines have their time somewhere in the middle, where a time is otherwise part of the message.
    has_time_inside: bool,
    /// The kinds whose times are numbers, and the sample of the most frequent other kind.
    number_kinds: Vec<u64>,
    clock_lines: usize,
    /// Whether lines inside of those of a container runtime have times of their own, so that one without continues the one before.
    has_inner_times: bool,
    /// The columns of its rows.
    columns: Option<Columns>,
    /// The formats that people described, and whether a line has one of them.
    formats: Formats,
    has_format: bool,
    /// The first two numbers of its dates that have the year last, at most [`MAX_NUMBERS`] different ones.
    dates: Vec<(u32, u32)>,
    order: DateOrder,
    /// The numbers of the level keys of its structured lines, at most [`MAX_NUMBERS`].
    numbers: Vec<i64>,
    scale: Scale,
}

/// The number of level numbers that are looked at.
const MAX_NUMBERS: usize = 200;

/// The maximum number of kinds of lines.
const MAX_KINDS: usize = 64;
/// A kind learned from fewer lines than this is learned again when more lines are available.
const FEW_LINES: usize = 50;
/// The number of lines of a kind needed to tell that its format has changed.
const MIN_CHECKED: usize = 8;

impl Layout {
    /// Learns the header formats of a stream from a sample of its lines, best its first few hundred.
    pub fn learn<'a>(lines: impl IntoIterator<Item = &'a str>, context: Context) -> Self {
        let mut samples: Vec<(u64, Vec<&'a str>)> = Vec::new();
        let (mut timed, mut others) = (0_usize, Vec::new());
        let mut bare = 0_usize;
        let (mut unstamped, mut inside) = (0_usize, 0_usize);
        let (mut numbers, mut dates, mut number_kinds) = (Vec::new(), Vec::new(), Vec::new());
        let (mut inner_times, mut first_is_inside) = (false, None);
        let lines: Vec<&'a str> = lines.into_iter().collect();
        let columns = Columns::learn(lines.get(..MAX_SAMPLE).unwrap_or(&lines), context);
        for line in lines {
            if line.starts_with('{') {
                if numbers.len() < MAX_NUMBERS {
                    numbers.extend(fields::level_number(line));
                }
                continue;
            }
            let Some(FoundTime { kind, start, from, has_wrapper, is_number, .. }) = find_stamp(line, context) else {
                let is_inside = stamp_inside(line, context).is_some();
                unstamped += 1;
                inside += usize::from(is_inside);
                first_is_inside.get_or_insert(is_inside && timed == 0);
                match untimed(line) {
                    Some(from) if others.len() < MAX_SAMPLE => others.push(line.get(from..).unwrap_or("")),
                    Some(_) => {}
                    None => bare += 1,
                }
                continue;
            };
            timed += 1;
            if is_number && !number_kinds.contains(&kind) {
                number_kinds.push(kind);
            }
            add_date(&mut dates, line, start);
            inner_times |= has_wrapper;
            // The request of an access log is its message, whatever is alike in it.
            if access::method_and_status(line).is_some() {
                if !samples.iter().any(|(k, _)| *k == kind) && samples.len() < MAX_KINDS {
                    samples.push((kind, Vec::new()));
                }
                continue;
            }
            if kind == EXACT {
                continue;
            }
            let rest = line.get(from..).unwrap_or("");
            if !samples.iter().any(|(k, _)| *k == kind) && samples.len() < MAX_KINDS {
                samples.push((kind, Vec::new()));
            }
            if let Some((_, list)) = samples.iter_mut().find(|(k, l)| *k == kind && l.len() < MAX_SAMPLE) {
                list.push(rest);
            }
        }
        // In a stream with times, a line without one continues the line before it.
        if others.len() > 9 * (timed + bare) {
            samples.push((UNTIMED, others));
        }
        // Lines that continue others may name a time as well, so that in a stream with times these are not believed.
        let is_first_inside = timed == 0 && first_is_inside == Some(true);
        let has_time_inside = timed <= unstamped / 2 && (2 * inside > unstamped || is_first_inside);
        let has_inner_times = inner_times;
        let mut layout = Self {
            kinds: samples.into_iter().map(|(kind, rests)| (kind, LineKind::learn(rests, context))).collect(),
            has_time_inside,
            number_kinds,
            clock_lines: 0,
            has_inner_times,
            columns,
            formats: Formats::default(),
            has_format: false,
            order: DateOrder::of(&dates),
            dates,
            scale: Scale::of(&numbers),
            numbers,
        };
        layout.mark_rare();
        layout
    }

    /// A layout of a stream that may have lines in formats that people described.
    pub fn with_formats(formats: Formats) -> Self {
        Self { formats, ..Self::default() }
    }

    /// The formats that people described.
    pub fn formats(&self) -> &Formats {
        &self.formats
    }

    /// Whether its lines have times.
    pub fn has_times(&self) -> bool {
        self.has_format || self.has_time_inside || self.columns.is_some() || self.kinds.iter().any(|(kind, _)| *kind != UNTIMED)
    }

    /// The columns of its rows, if it has any.
    pub fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    /// Whether the day or the month comes first in its dates.
    pub fn order(&self) -> DateOrder {
        self.order
    }

    /// How the numbers of level keys are meant in its lines.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Whether lines without a time are messages of their own in this stream, and do not continue the line before.
    pub fn has_untimed_lines(&self) -> bool {
        self.kind(UNTIMED).is_some()
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && !self.has_time_inside && self.numbers.is_empty() && self.columns.is_none() && !self.has_format
    }

    /// Marks the kinds that have few lines beside the most frequent one.
    fn mark_rare(&mut self) {
        const FEW: usize = 10;
        let most = self.kinds.iter().map(|(_, k)| k.sample_size).max().unwrap_or(0);
        for (_, kind) in &mut self.kinds {
            (kind.is_rare, kind.is_minor) = (kind.sample_size * FEW <= most, kind.sample_size * 2 <= most);
        }
        let is_clock = |kind: u64| kind != UNTIMED && !self.number_kinds.contains(&kind);
        let clocks = self.kinds.iter().filter(|(kind, _)| is_clock(*kind)).map(|(_, k)| k.sample_size).max().unwrap_or(0);
        self.clock_lines = clocks;
        for (kind, k) in &mut self.kinds {
            k.is_doubtful = self.number_kinds.contains(kind) && k.sample_size <= clocks;
        }
    }

    /// The fields learned for a kind of line, if any.
    fn kind(&self, kind: u64) -> Option<&LineKind> {
        self.kinds.iter().find(|(k, _)| *k == kind).map(|(_, kind)| kind)
    }

    /// Learns the kinds of lines that are new, and learns those again whose lines no longer fit: a stream may change its
    /// format. Does nothing if a check of every 32nd line finds neither.
    pub fn learn_more<'a>(&mut self, lines: impl Iterator<Item = &'a str> + Clone, context: Context) {
        if self.formats.is_empty() {
            return self.learn_new(lines, context);
        }
        // Lines in a format that a person described show nothing about the others.
        let (mut others, mut has_format) = (Vec::new(), false);
        for line in lines {
            match self.formats.read(line, context) {
                Some((line, _)) => has_format |= line.at.is_some(),
                None => others.push(line),
            }
        }
        self.has_format |= has_format;
        self.learn_new(others.into_iter(), context);
        if self.has_format {
            // The others may be the further lines of these, whose times and levels are part of the text.
            self.kinds.retain(|(kind, _)| *kind != UNTIMED);
            self.has_time_inside = false;
        }
    }

    fn learn_new<'a>(&mut self, lines: impl Iterator<Item = &'a str> + Clone, context: Context) {
        // A few lines are enough to tell that nothing is new.
        let mut checked: Vec<(u64, usize, usize)> = Vec::new();
        for line in lines.clone().step_by(32).filter(|l| !l.starts_with('{')) {
            let Some(FoundTime { kind, start, from, .. }) = find_stamp(line, context).filter(|f| f.kind != EXACT) else {
                continue;
            };
            add_date(&mut self.dates, line, start);
            let fits = self.kind(kind).is_some_and(|k| k.fits(line.get(from..).unwrap_or(""), context));
            match checked.iter_mut().find(|(k, _, _)| *k == kind) {
                Some((_, all, fitting)) => (*all, *fitting) = (*all + 1, *fitting + usize::from(fits)),
                None => checked.push((kind, 1, usize::from(fits))),
            }
        }
        self.order = DateOrder::of(&self.dates);
        let is_known = |kind: u64| self.kind(kind).is_some();
        let has_few_lines = |kind: u64| self.kind(kind).is_some_and(|k| k.sample_size < FEW_LINES);
        let changed: Vec<u64> = checked
            .iter()
            .filter(|(k, all, fit)| is_known(*k) && (*all >= MIN_CHECKED && fit * 2 < *all || has_few_lines(*k) && *all > 1))
            .map(|s| s.0)
            .collect();
        let is_full = self.kinds.len() >= MAX_KINDS;
        if !self.is_empty() && changed.is_empty() && (is_full || checked.iter().all(|(k, _, _)| is_known(*k))) {
            return;
        }
        let learned = Self::learn(lines, context);
        self.has_time_inside |= learned.has_time_inside;
        self.has_inner_times |= learned.has_inner_times;
        self.columns = self.columns.take().or(learned.columns);
        let new_kinds: Vec<_> = learned.number_kinds.into_iter().filter(|kind| !self.number_kinds.contains(kind)).collect();
        self.number_kinds.extend(new_kinds);
        let new_dates: Vec<_> = learned.dates.into_iter().filter(|date| !self.dates.contains(date)).collect();
        self.dates.extend(new_dates);
        self.order = DateOrder::of(&self.dates);
        if self.numbers.len() < MAX_NUMBERS {
            self.numbers.extend(learned.numbers);
            self.scale = Scale::of(&self.numbers);
        }
        for (kind, new) in learned.kinds {
            if let Some((_, old)) = self.kinds.iter_mut().find(|(k, _)| *k == kind) {
                if changed.contains(&kind) && (new.sample_size >= old.sample_size || old.sample_size >= FEW_LINES) {
                    *old = new;
                }
            } else if self.kinds.len() < MAX_KINDS {
                self.kinds.push((kind, new));
            }
        }
        self.mark_rare();
    }

    /// The forms of headers, those of most lines first.
    pub fn forms(&self) -> impl Iterator<Item = HeaderForm> {
        let mut kinds: Vec<&(u64, LineKind)> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.sample_size));
        kinds.into_iter().map(|(kind, line)| {
            let first = (*kind != UNTIMED).then_some("time");
            let fields = first.into_iter().chain(line.fields.iter().map(|f| f.name())).chain(["message"]);
            HeaderForm { lines: line.sample_size, fields: fields.collect() }
        })
    }

    /// Takes a line apart, for people: the parts of its header as [`Self::header`] finds them, and its message.
    pub fn parts(&self, line: &str, context: Context) -> Vec<Part> {
        let bytes = line.as_bytes();
        let head = self.header(line, context);
        let mut parts = Vec::new();
        let mut add = |name: &'static str, from: usize, to: usize| {
            let text = line.get(from..to).unwrap_or("");
            let start = from + text.len() - text.trim_start().len();
            let end = start + text.trim().len();
            if end > start {
                parts.push(Part { name, range: start..end });
            }
        };
        let (kind, mut at) = match find_stamp(line, context) {
            Some(found) => {
                add("before the time", 0, found.start);
                add("time", found.start, found.from);
                (self.kind(found.kind), found.from)
            }
            None => match stamp_inside(line, context).filter(|_| self.has_time_inside) {
                Some((_, start, end)) => {
                    add("before the time", 0, start);
                    add("time", start, end);
                    (None, end + closing(bytes, end))
                }
                None => (self.kind(UNTIMED).filter(|_| untimed(line).is_some()), untimed(line).unwrap_or(0)),
            },
        };
        for field in kind.map(|kind| kind.fields.as_slice()).unwrap_or_default() {
            let rest = line.get(at..head.message_start.max(at)).unwrap_or("");
            if let Some(used) = field.eat(rest, context).filter(|used| *used <= rest.len()) {
                add(field.name(), at, at + used);
                at += used;
            }
        }
        add("inner header", at, head.message_start.max(at));
        add("message", head.message_start.max(at), line.len());
        parts
    }

    /// Finds the header of a line. A line without a time is a message as a whole, unless hardly any line of the stream has
    /// a time.
    pub fn header(&self, line: &str, context: Context) -> Header {
        if let Some(FoundTime { kind, at, start, from, level, next_level, is_wrapped, is_number, .. }) = find_stamp(line, context)
        {
            if is_wrapped && self.has_inner_times {
                let level = line.get(from..).and_then(leading_level);
                return Header { level, message_start: from, is_part: true, ..Header::default() };
            }
            let known = self.kind(kind);
            if is_number && known.map_or(self.clock_lines > 0, |k| k.is_doubtful) {
                return Header { level: leading_level(line), ..Header::default() };
            }
            let (is_rare, is_minor) = known.map_or((false, false), |k| (k.is_rare, k.is_minor));
            let head = Header { at: Some(at), level, message_start: from, is_rare, is_minor, is_part: false };
            let head = with_inner(line, skip_fields(line, known, head, next_level, context), context);
            let ahead = || line.get(..start)?.split(|c: char| !c.is_ascii_alphabetic()).find_map(capital_level);
            let level = head.level.or_else(ahead).or_else(|| redis_level(line, start, from)).or_else(|| kernel_level(line));
            return Header { level, ..head };
        }
        if let Some((level, from)) = rfc5424_without_time(line) {
            return Header { level: Some(level), message_start: from, ..Header::default() };
        }
        if self.has_time_inside
            && let Some((at, start, end)) = stamp_inside(line, context)
        {
            return header_around(line, at, start, end);
        }
        match self.kind(UNTIMED).and_then(|kind| Some((kind, untimed(line)?))) {
            Some((kind, from)) => skip_fields(
                line,
                Some(kind),
                Header { message_start: from, ..Header::default() },
                level(line.get(from..).unwrap_or("")),
                context,
            ),
            None => Header { level: leading_level(line), ..Header::default() },
        }
    }
}

/// Adds the first two numbers of the date that begins at `start`, if it has the year last.
fn add_date(dates: &mut Vec<(u32, u32)>, line: &str, start: usize) {
    let date = line.get(start..).and_then(stamp::day_and_month);
    dates.extend(date.filter(|date| dates.len() < MAX_NUMBERS && !dates.contains(date)));
}

/// The header of a line with a time in the middle. What is before it is part of the header if it is one word, such as `pool::INFO::`, else part of
/// the message.
fn header_around(line: &str, at: Timestamp, start: usize, end: usize) -> Header {
    let before = line.get(..start).unwrap_or("");
    let level = before.split(|c: char| !c.is_ascii_alphabetic()).find_map(capital_level);
    let is_header = !before.trim_end_matches(['[', '(', ' ']).contains(' ');
    let end = end + closing(line.as_bytes(), end);
    let message_start = if is_header { end + spaces(line.as_bytes(), end) } else { 0 };
    let rest = line.get(end + spaces(line.as_bytes(), end)..).unwrap_or("");
    let level = level.or_else(|| leading_level(rest)).or_else(|| stated_level(rest));
    Header { at: Some(at), level, message_start, ..Header::default() }
}

/// The level that a word in capitals is, such as `INFO`.
fn capital_level(word: &str) -> Option<Level> {
    (word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase())).then(|| Level::from_word(word)).flatten()
}

/// Moves the start of the message past the fields of the kind. `next_level` is the level where the fields begin, if any.
fn skip_fields(
    line: &str,
    kind: Option<&LineKind>,
    mut head: Header,
    next_level: Option<(Level, usize)>,
    context: Context,
) -> Header {
    let (mut found, start) = (None, head.message_start);
    let fields = kind.map(|k| k.fields.as_slice()).unwrap_or_default();
    // What the look at a field after words has found, so that it is found only once.
    let mut ahead: Option<Option<usize>> = None;
    for (n, field) in fields.iter().enumerate() {
        let rest = line.get(head.message_start..).unwrap_or("");
        let known = ahead.take();
        // If the line lacks this field, go on with the next field.
        if *field == Field::Level {
            if let Some((level, used)) = if head.message_start == start { next_level } else { level(rest) } {
                found = Some(level);
                head.message_start += used + spaces(rest.as_bytes(), used);
            }
        } else if let Some(used) = known.unwrap_or_else(|| field.eat(rest, context)) {
            // Words count as header fields only if the field that they were learned with follows.
            if matches!(field, Field::Words(_))
                && let Some(next) = fields.get(n + 1)
            {
                let eaten = rest.get(used..).and_then(|r| next.eat(r, context));
                if eaten.is_none() {
                    continue;
                }
                ahead = Some(eaten);
            }
            if *field == Field::Letter {
                found = found.or_else(|| letter_level(rest));
            }
            // A tag or bracket may be the level or end with it.
            if found.is_none() && matches!(field, Field::Tag | Field::Bracket | Field::Piped | Field::Closing) {
                found = rest.get(..used).and_then(level_in_field);
            }
            head.message_start += used;
        }
    }
    let rest = line.get(head.message_start..).unwrap_or("");
    // A learned field may have been the key or the column of a level.
    let fields = line.get(start..).unwrap_or("");
    let of_fields = || keyed_level(fields).or_else(|| column_level(fields)).or_else(|| syslog_level(fields));
    head.level = found.or(head.level).or_else(|| leading_level(rest)).or_else(|| stated_level(rest)).or_else(of_fields);
    head
}

/// The level of a column of single letters, where other letters than those of levels are something between: `O` for output, `A` for audit.
fn letter_level(rest: &str) -> Option<Level> {
    Some(match rest.as_bytes().first()?.to_ascii_uppercase() {
        b'F' | b'C' => Level::Fatal,
        b'E' | b'R' => Level::Error,
        b'W' => Level::Warn,
        b'D' => Level::Debug,
        b'T' | b'V' => Level::Trace,
        _ => Level::Info,
    })
}

/// The number of header-like words that are searched for a level.
const MAX_LEVEL_WORDS: usize = 8;

/// The level that a text states where its line has no field for it: a word in capitals after others that read like a header, such as
/// `[15-1] sql_error_code = 00000 LOG:`, or the value of a key, such as `Severity="Error"`.
fn stated_level(rest: &str) -> Option<Level> {
    let is_header = |word: &str| word.bytes().any(|b| !b.is_ascii_alphabetic()) || word.bytes().all(|b| b.is_ascii_uppercase());
    let word = |w: &str| {
        if w.starts_with('%') {
            return leading_level(w);
        }
        let word = w.trim_matches(|c: char| !c.is_ascii_alphabetic());
        let is_long = word.len() > 3 || matches!(word, "ERR" | "LOG") && w.ends_with(':');
        // `LOG` alone is a word of many names.
        let is_sure = word != "LOG" || w.ends_with(':');
        let is_sure = is_sure && word != "ALERT";
        if is_long && is_sure { capital_level(word) } else { None }
    };
    let words = rest.split_ascii_whitespace().take(MAX_LEVEL_WORDS).take_while(|w| is_header(w));
    words.into_iter().find_map(word).or_else(|| level_before_colon(rest))
}

/// The level before a colon, behind at most two words that are capitalised or in a column of their own: `PHP Fatal error:  x`,
/// `server  Error: 1105`.
fn level_before_colon(rest: &str) -> Option<Level> {
    const MOST: usize = 3;
    let bytes = rest.as_bytes();
    let mut from = 0;
    for _ in 0..MOST {
        let end = field::word_end(bytes, from);
        let word = rest.get(from..end)?;
        if let Some(level) = word.strip_suffix(':').filter(|w| w.len() > 3 && *w != "alert").and_then(Level::from_word) {
            return Some(level);
        }
        let gap = spaces(bytes, end);
        let is_header = word.starts_with(|c: char| c.is_ascii_uppercase()) && !matches!(word, "No" | "Last") || gap > 1;
        if !is_header {
            return None;
        }
        from = end + gap;
    }
    None
}

/// The level that Redis marks behind the time of a line such as `1:M 21 Nov 2026 09:31:07.123 # full`.
/// <https://redis.io/docs/latest/operate/oss_and_stack/management/config-file/> (`loglevel`)
fn redis_level(line: &str, start: usize, from: usize) -> Option<Level> {
    let (pid, role) = line.get(..start)?.trim_end().split_once(':')?;
    let is_ahead = !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) && matches!(role, "X" | "C" | "S" | "M");
    match line.get(from..)?.as_bytes() {
        [mark, b' ', ..] if is_ahead => match mark {
            b'.' | b'-' => Some(Level::Debug),
            b'*' => Some(Level::Info),
            b'#' => Some(Level::Warn),
            _ => None,
        },
        _ => None,
    }
}

/// The level in a column of its own, such as `0x1f4      Error       0x0`.
fn column_level(rest: &str) -> Option<Level> {
    const MOST: usize = 3;
    let mut from = 0;
    for _ in 0..MOST {
        let end = field::word_end(rest.as_bytes(), from);
        let gap = spaces(rest.as_bytes(), end);
        let word = rest.get(from..end)?;
        if gap > 1 && word.len() > 3 && matches!(word, "Error" | "Warning" | "Critical" | "Fatal" | "Fault" | "Information") {
            return if word == "Fault" { Some(Level::Fatal) } else { Level::from_word(word) };
        }
        from = end + gap;
    }
    None
}

/// The level of syslog in one of the first words, with its facility: `daemon.warn`, or as a number: `Wa(180)`.
fn syslog_level(fields: &str) -> Option<Level> {
    const MOST: usize = 2;
    const FACILITIES: [&str; 12] =
        ["kern", "user", "mail", "daemon", "auth", "authpriv", "syslog", "lpr", "news", "uucp", "cron", "ftp"];
    let is_facility = |name: &str| FACILITIES.contains(&name) || name.len() == 6 && name.starts_with("local");
    fields.split_ascii_whitespace().take(MOST).find_map(|word| {
        if let Some((facility, level)) = word.split_once('.') {
            return Level::from_word(level.trim_end_matches(':')).filter(|_| is_facility(facility));
        }
        let (letters, number) = word.strip_suffix(')')?.split_once('(')?;
        let number: i64 = number.parse().ok().filter(|n| (0..192).contains(n))?;
        let is_short = letters.len() == 2 && letters.bytes().all(|b| b.is_ascii_alphabetic());
        Level::from_number(number % 8).filter(|_| is_short)
    })
}

/// What the Linux kernel writes without a level when something is broken.
const KERNEL_ERRORS: [&str; 10] = [
    "segfault at ",
    "Out of memory:",
    "oom-kill:",
    "Killed process ",
    "Kernel panic",
    "BUG: ",
    "Oops: ",
    "I/O error",
    "general protection fault",
    "hung_task_timeout",
];

/// The bytes at the start of a line that are searched for the tag of the kernel.
const MAX_TAG: usize = 100;

/// The level of a line of the kernel in a log that leaves it out.
fn kernel_level(line: &str) -> Option<Level> {
    static KERNEL: std::sync::LazyLock<memchr::memmem::Finder<'static>> =
        std::sync::LazyLock::new(|| memchr::memmem::Finder::new(" kernel: "));
    let at = KERNEL.find(line.as_bytes().get(..MAX_TAG).unwrap_or(line.as_bytes()))?;
    let message = line.get(at..)?;
    KERNEL_ERRORS.iter().any(|error| message.contains(error)).then_some(Level::Error)
}

/// The bytes of a text that are searched for a key of a level.
const MAX_KEYED: usize = 400;

/// The value of a key such as `level` or `severity` within a text: `Severity="Error"`, `level=warn`.
fn keyed_level(text: &str) -> Option<Level> {
    let bytes = text.as_bytes().get(..MAX_KEYED).unwrap_or(text.as_bytes());
    memchr::memchr2_iter(b'=', b':', bytes).find_map(|at| {
        // A quick check that rules out most keys: `severity`, `level`, `lvl`, `at`.
        if !matches!(bytes.get(at.checked_sub(1)?)?, b'y' | b'Y' | b'l' | b'L' | b't') {
            return None;
        }
        let ends_with = |name: &[u8]| {
            at.checked_sub(name.len()).and_then(|from| bytes.get(from..at)).is_some_and(|k| k.eq_ignore_ascii_case(name))
        };
        // `at=error` of routers; elsewhere the two letters are a word.
        let is_at = || ends_with(b"at") && bytes.get(at) == Some(&b'=') && (at == 2 || bytes.get(at - 3) == Some(&b' '));
        if !(ends_with(b"severity") || ends_with(b"level") || ends_with(b"lvl") || is_at()) {
            return None;
        }
        let value = text.get(at + 1..)?.trim_start_matches(['"', ' ']);
        let end = value.bytes().take_while(u8::is_ascii_alphabetic).count();
        Level::from_word(value.get(..end)?).filter(|_| end > 2)
    })
}

/// The most headers within one another.
const MAX_INNER: usize = 3;

/// The header of the line within a line: a program's own time and level behind those of the system that collected it. The inner ones win.
fn with_inner(line: &str, mut head: Header, context: Context) -> Header {
    for _ in 0..MAX_INNER {
        let Some(inner) = line.get(head.message_start..).filter(|i| !i.is_empty()) else { break };
        let first = inner.as_bytes().first().copied().unwrap_or_default();
        // klog: `E1121 09:31:07.000000    1234 file.go:12] message`.
        if matches!(first, b'D' | b'I' | b'W' | b'E' | b'F')
            && let Some((level, at, message)) = stamp::klog(inner, context)
        {
            head = Header { at: Some(at), level: Some(level), message_start: line.len() - message.len(), ..head };
            continue;
        }
        if !first.is_ascii_digit() && first != b'[' {
            break;
        }
        let Some((at, used)) =
            stamp::leading(inner, context).filter(|(_, used)| inner.get(*used..).is_some_and(|r| !r.is_empty()))
        else {
            break;
        };
        let bytes = inner.as_bytes();
        let end = used + closing(bytes, used);
        let end = end + spaces(bytes, end);
        let own = level(inner.get(end..).unwrap_or(""));
        let end = own.map_or(end, |(_, length)| end + length + spaces(bytes, end + length));
        let stated = || stated_level(inner.get(end..).unwrap_or("")).or_else(|| keyed_level(inner.get(end..).unwrap_or("")));
        let inner_level = own.map(|(level, _)| level).or_else(stated);
        head = Header { at: Some(at), level: inner_level.or(head.level), message_start: head.message_start + end, ..head };
    }
    head
}

/// The fields with a distinctive shape, in the order in which they are tried.
const DISTINCTIVE: [Field; 11] = [
    Field::Stamp,
    Field::Level,
    Field::Letter,
    Field::Separator,
    Field::Piped,
    Field::Number,
    Field::Bracket,
    Field::Tag,
    Field::Closing,
    Field::ColonName,
    Field::Logger,
];

impl LineKind {
    /// Whether the text after a line's time has every field.
    fn fits(&self, rest: &str, context: Context) -> bool {
        share(&[rest], &self.fields, context) > 0.5
    }

    /// Learns the fields from the texts after the times of a sample of lines.
    fn learn(mut rests: Vec<&str>, context: Context) -> Self {
        let sample_size = rests.len();
        let mut fields = Vec::new();
        let mut tagged = false;
        while fields.len() < MAX_FIELDS {
            // From a single line, only levels, times and separators can be learned.
            let few = rests.len() < 2;
            let min_share = |field: Field, tagged: bool| -> f64 {
                match (field, tagged || few) {
                    // After the program's name, only a level, a time or a separator is still part of the header.
                    (Field::Stamp | Field::Level | Field::Separator, _) | (_, false) => MIN_SHARE,
                    _ => f64::INFINITY,
                }
            };
            let needed = |field: Field| match field {
                Field::Letter
                | Field::Number
                | Field::Bracket
                | Field::Piped
                | Field::Closing
                | Field::ColonName
                | Field::Logger
                | Field::Column => STRICT_MIN_SHARE.max(min_share(field, tagged)),
                other => min_share(other, tagged),
            };
            // A name without a space after it counts only directly after a level.
            let after_level = fields.last() == Some(&Field::Level);
            // A second level is part of the message: `WARN Error budget is spent`.
            let has_level = fields.contains(&Field::Level) || fields.contains(&Field::Letter);
            let is_name = |field: Field| share_of_names(&rests, field, has_level, context) >= MIN_SHARE;
            let mut next = DISTINCTIVE
                .into_iter()
                .filter(|f| after_level || *f != Field::ColonName)
                .filter(|f| (!has_level && fields.len() < MAX_LEVEL_FIELDS) || !matches!(f, Field::Level | Field::Letter))
                .find(|f| share(&rests, &[*f], context) >= needed(*f) && (*f != Field::Piped || is_name(*f)))
                .map(|f| vec![f]);
            if next.is_none() && !tagged && !few {
                let followers = [Field::Stamp, Field::Level, Field::Letter, Field::Tag, Field::Bracket];
                next = (1..=3)
                    .flat_map(|n| followers.into_iter().map(move |f| [Field::Words(n), f]))
                    .filter(|[_, f]| {
                        (!has_level && fields.len() < MAX_LEVEL_FIELDS) || !matches!(f, Field::Level | Field::Letter)
                    })
                    .find(|[words, f]| {
                        let needed = if matches!(f, Field::Bracket | Field::Letter) { STRICT_MIN_SHARE } else { MIN_SHARE };
                        // A level or a time is certainly part of the header.
                        let is_sure = matches!(f, Field::Stamp | Field::Level | Field::Letter);
                        share(&rests, &[*words, *f], context) >= needed && (is_sure || is_name(*words))
                    })
                    .map(|pair| pair.to_vec())
                    .or_else(|| {
                        (share(&rests, &[Field::Dashed], context) >= MIN_SHARE && is_name(Field::Dashed))
                            .then(|| vec![Field::Dashed])
                    })
                    .or_else(|| {
                        let pair = [Field::Words(1), Field::Separator];
                        (share(&rests, &pair, context) >= STRICT_MIN_SHARE).then(|| pair.to_vec())
                    })
                    .or_else(|| (share(&rests, &[Field::Column], context) >= STRICT_MIN_SHARE).then(|| vec![Field::Column]));
            }
            let Some(next) = next else { break };
            for field in next {
                // A tag, or a name with a separator after it, is normally the last field of a header.
                let is_marked =
                    field == Field::Separator && matches!(fields.last(), Some(Field::Words(_) | Field::Column | Field::Logger));
                tagged |= is_marked || matches!(field, Field::Tag | Field::Dashed | Field::ColonName);
                for rest in &mut rests {
                    if let Some(used) = field.eat(rest, context) {
                        *rest = rest.get(used..).unwrap_or("");
                    }
                }
                fields.push(field);
            }
        }
        Self { fields, sample_size, ..Self::default() }
    }
}

/// The share of texts that begin with these fields and have more text after them.
fn share(rests: &[&str], fields: &[Field], context: Context) -> f64 {
    let has = |rest: &&&str| {
        let mut at = 0;
        for field in fields {
            match rest.get(at..).and_then(|r| field.eat(r, context)) {
                Some(used) => at += used,
                None => return false,
            }
        }
        at < rest.len() || fields.last() == Some(&Field::Closing)
    };
    rests.iter().filter(has).count() as f64 / rests.len().max(1) as f64
}

/// The share of texts whose first field reads like a name and not like the start of a sentence. After a level (`has_level`)
/// only a logger name can still be part of the header, so a single plain word such as `Order` or `order` does not count as
/// a name.
fn share_of_names(rests: &[&str], field: Field, has_level: bool, context: Context) -> f64 {
    let is_plain = |word: &str| {
        let mut letters = word.bytes();
        letters.next().is_some_and(|b| b.is_ascii_alphabetic()) && letters.all(|b| b.is_ascii_lowercase())
    };
    let is_name = |rest: &&&str| {
        let Some(text) = field.eat(rest, context).and_then(|used| rest.get(..used)) else { return false };
        let words: Vec<&str> = text.split_ascii_whitespace().filter(|w| w.bytes().any(|b| b.is_ascii_alphanumeric())).collect();
        let plain = words.iter().filter(|w| is_plain(w.trim_end_matches(['|', ':']))).count();
        match words.len() {
            0 => true,
            1 => plain == 0 || !has_level || !matches!(field, Field::Words(_)),
            all => plain < all,
        }
    };
    rests.iter().filter(is_name).count() as f64 / rests.len().max(1) as f64
}

#[cfg(test)]
mod tests;
