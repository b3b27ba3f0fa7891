//! Finds where the header of a log line ends, without any configuration. It learns from a sample of a stream which fields
//! come before the message, and then splits each line by them. A time in any known form is searched for among the first
//! words; after it come the fields that (almost) every line has: level, process, thread, host, program, logger.
//!
//! A stream may mix formats. Lines are grouped into kinds by the position of the time, by the form of the time, and by what
//! directly follows it; each kind has its own fields.

use super::super::log::Level;
use super::super::time::Timestamp;
use super::Context;

mod field;
mod stamped;

use field::{Field, leading_level, level, level_in_field, spaces};
pub(super) use stamped::time_after_words;
use stamped::{EXACT, FoundTime, UNTIMED, find_stamp, rfc5424_without_time, untimed};

/// The maximum number of lines of one kind to learn from.
const MAX_SAMPLE: usize = 400;
/// The maximum number of fields in a header.
const MAX_FIELDS: usize = 12;
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
}

/// The fields after the time, for one kind of line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LineKind {
    fields: Vec<Field>,
    /// The number of lines that the fields were learned from.
    sample_size: usize,
}

/// The header formats of a stream, one for each kind of line.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    kinds: Vec<(u64, LineKind)>,
}

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
        for line in lines.into_iter().filter(|l| !l.starts_with('{')) {
            let Some(FoundTime { kind, from, .. }) = find_stamp(line, context) else {
                match untimed(line) {
                    Some(from) if others.len() < MAX_SAMPLE => others.push(line.get(from..).unwrap_or("")),
                    Some(_) => {}
                    None => bare += 1,
                }
                continue;
            };
            timed += 1;
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
        Self { kinds: samples.into_iter().map(|(kind, rests)| (kind, LineKind::learn(rests, context))).collect() }
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The fields learned for a kind of line, if any.
    fn kind(&self, kind: u64) -> Option<&LineKind> {
        self.kinds.iter().find(|(k, _)| *k == kind).map(|(_, kind)| kind)
    }

    /// Learns the kinds of lines that are new, and learns those again whose lines no longer fit: a stream may change its
    /// format. Does nothing if a check of every 32nd line finds neither.
    pub fn learn_more<'a>(&mut self, lines: impl Iterator<Item = &'a str> + Clone, context: Context) {
        // A few lines are enough to tell that nothing is new.
        let mut checked: Vec<(u64, usize, usize)> = Vec::new();
        for line in lines.clone().step_by(32).filter(|l| !l.starts_with('{')) {
            let Some(FoundTime { kind, from, .. }) = find_stamp(line, context).filter(|f| f.kind != EXACT) else { continue };
            let fits = self.kind(kind).is_some_and(|k| k.fits(line.get(from..).unwrap_or(""), context));
            match checked.iter_mut().find(|(k, _, _)| *k == kind) {
                Some((_, all, fitting)) => (*all, *fitting) = (*all + 1, *fitting + usize::from(fits)),
                None => checked.push((kind, 1, usize::from(fits))),
            }
        }
        let is_known = |kind: u64| self.kind(kind).is_some();
        let has_few_lines = |kind: u64| self.kind(kind).is_some_and(|k| k.sample_size < FEW_LINES);
        let changed: Vec<u64> = checked
            .iter()
            .filter(|(k, all, fit)| is_known(*k) && (*all >= MIN_CHECKED && fit * 2 < *all || has_few_lines(*k) && *all > 1))
            .map(|s| s.0)
            .collect();
        if !self.kinds.is_empty() && changed.is_empty() && checked.iter().all(|(k, _, _)| is_known(*k)) {
            return;
        }
        for (kind, new) in Self::learn(lines, context).kinds {
            if let Some((_, old)) = self.kinds.iter_mut().find(|(k, _)| *k == kind) {
                if changed.contains(&kind) && (new.sample_size >= old.sample_size || old.sample_size >= FEW_LINES) {
                    *old = new;
                }
            } else if self.kinds.len() < MAX_KINDS {
                self.kinds.push((kind, new));
            }
        }
    }

    /// Finds the header of a line. A line without a time is a message as a whole, unless hardly any line of the stream has
    /// a time.
    pub fn header(&self, line: &str, context: Context) -> Header {
        if let Some(FoundTime { kind, at, from, level, next_level, .. }) = find_stamp(line, context) {
            return skip_fields(line, self.kind(kind), Header { at: Some(at), level, message_start: from }, next_level, context);
        }
        if let Some((level, from)) = rfc5424_without_time(line) {
            return Header { at: None, level: Some(level), message_start: from };
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
    for (n, field) in fields.iter().enumerate() {
        let rest = line.get(head.message_start..).unwrap_or("");
        // If the line lacks this field, go on with the next field.
        if *field == Field::Level {
            if let Some((level, used)) = if head.message_start == start { next_level } else { level(rest) } {
                found = Some(level);
                head.message_start += used + spaces(rest.as_bytes(), used);
            }
        } else if let Some(used) = field.eat(rest, context) {
            // Words count as header fields only if the field that they were learned with follows.
            let next_fits =
                || fields.get(n + 1).is_none_or(|next| rest.get(used..).is_some_and(|r| next.eat(r, context).is_some()));
            if matches!(field, Field::Words(_)) && !next_fits() {
                continue;
            }
            // A tag or bracket may be the level or end with it.
            if found.is_none() && matches!(field, Field::Tag | Field::Bracket | Field::Piped | Field::Closing) {
                found = rest.get(..used).and_then(level_in_field);
            }
            head.message_start += used;
        }
    }
    let leading = || leading_level(line.get(head.message_start..).unwrap_or(""));
    head.level = found.or(head.level).or_else(leading);
    head
}

/// The fields with a distinctive shape, in the order in which they are tried.
const DISTINCTIVE: [Field; 10] = [
    Field::Stamp,
    Field::Level,
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
                Field::Number
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
            let has_level = fields.contains(&Field::Level);
            let is_name = |field: Field| share_of_names(&rests, field, has_level, context) >= MIN_SHARE;
            let mut next = DISTINCTIVE
                .into_iter()
                .filter(|f| after_level || *f != Field::ColonName)
                .filter(|f| !has_level || *f != Field::Level)
                .find(|f| share(&rests, &[*f], context) >= needed(*f) && (*f != Field::Piped || is_name(*f)))
                .map(|f| vec![f]);
            if next.is_none() && !tagged && !few {
                let followers = [Field::Stamp, Field::Level, Field::Tag, Field::Bracket];
                next = (1..=3)
                    .flat_map(|n| followers.into_iter().map(move |f| [Field::Words(n), f]))
                    .filter(|[_, f]| !has_level || *f != Field::Level)
                    .find(|[words, f]| {
                        let needed = if *f == Field::Bracket { STRICT_MIN_SHARE } else { MIN_SHARE };
                        // A level or a time is certainly part of the header.
                        let is_sure = matches!(f, Field::Stamp | Field::Level);
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
        Self { fields, sample_size }
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
        at < rest.len()
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
