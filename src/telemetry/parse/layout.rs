//! Where the header of a line ends, found by itself: from a sample of a stream it is learned what stands before the message,
//! and each line is then cut by it. Nothing is configured: a time in any known form is looked for among the first words, and
//! behind it come the fields that (almost) every line has: level, process, thread, host, program, logger.
//!
//! A stream may mix formats: lines are told apart by the word at which their time stands, by the time's form, and by what stands
//! right behind it; each kind has its own fields.

use super::super::log::Level;
use super::super::time::Timestamp;
use super::Context;

mod field;
mod stamped;

use field::{Field, leading_level, level, spaces, within};
pub(super) use stamped::late;
use stamped::{EXACT, Found, UNTIMED, find_stamp, timeless, untimed};

/// Lines of one kind that are looked at.
const SAMPLE: usize = 400;
/// Fields of a header at most.
const FIELDS: usize = 12;
/// A field is one when this share of the lines has it.
const COVERAGE: f64 = 0.9;
/// Numbers and brackets could be the message's own: they must be there nearly always.
const STRICT: f64 = 0.97;

/// What was found before the message of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub at: Option<Timestamp>,
    pub level: Option<Level>,
    /// Where the message begins.
    pub from: usize,
}

/// The fields behind the time of one kind of line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kind {
    fields: Vec<Field>,
    /// Of how many lines that was learned.
    seen: usize,
}

/// The headers of a stream.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    kinds: Vec<(u64, Kind)>,
}

/// Kinds of lines that are told apart.
const KINDS: usize = 64;
/// Lines from which too little is learned to keep it when there are more.
const FEW: usize = 50;
/// Lines of a kind from which it is seen that they are written otherwise than those it was learned from.
const ENOUGH: usize = 8;

impl Layout {
    /// Learns the headers of a stream from some of its lines, best from its first few hundred.
    pub fn learn<'a>(lines: impl IntoIterator<Item = &'a str>, context: Context) -> Self {
        let mut samples: Vec<(u64, Vec<&'a str>)> = Vec::new();
        let (mut timed, mut others) = (0_usize, Vec::new());
        let mut bare = 0_usize;
        for line in lines.into_iter().filter(|l| !l.starts_with('{')) {
            let Some(Found { kind, from, .. }) = find_stamp(line, context) else {
                match untimed(line) {
                    Some(from) if others.len() < SAMPLE => others.push(line.get(from..).unwrap_or("")),
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
            if !samples.iter().any(|(k, _)| *k == kind) && samples.len() < KINDS {
                samples.push((kind, Vec::new()));
            }
            if let Some((_, list)) = samples.iter_mut().find(|(k, l)| *k == kind && l.len() < SAMPLE) {
                list.push(rest);
            }
        }
        // Among lines with times those without go on with the line before.
        if others.len() > 9 * (timed + bare) {
            samples.push((UNTIMED, others));
        }
        Self { kinds: samples.into_iter().map(|(kind, rests)| (kind, Kind::learn(rests, context))).collect() }
    }

    fn kind(&self, kind: u64) -> Option<&Kind> {
        self.kinds.iter().find(|(k, _)| *k == kind).map(|(_, kind)| kind)
    }

    /// Learns the kinds of lines that are not known yet, and anew those that are no longer written as they were: a stream may
    /// turn to another format.
    pub fn learn_more<'a>(&mut self, lines: impl Iterator<Item = &'a str> + Clone, context: Context) {
        // A few lines are enough to see that nothing is new.
        let mut seen: Vec<(u64, usize, usize)> = Vec::new();
        for line in lines.clone().step_by(32).filter(|l| !l.starts_with('{')) {
            let Some(Found { kind, from, .. }) = find_stamp(line, context).filter(|f| f.kind != EXACT) else { continue };
            let fits = self.kind(kind).is_some_and(|k| k.fits(line.get(from..).unwrap_or(""), context));
            match seen.iter_mut().find(|(k, _, _)| *k == kind) {
                Some((_, all, fitting)) => (*all, *fitting) = (*all + 1, *fitting + usize::from(fits)),
                None => seen.push((kind, 1, usize::from(fits))),
            }
        }
        let is_known = |kind: u64| self.kind(kind).is_some();
        // Of few lines too little was learned.
        let is_thin = |kind: u64| self.kind(kind).is_some_and(|k| k.seen < FEW);
        let changed: Vec<u64> = seen
            .iter()
            .filter(|(k, all, fit)| is_known(*k) && (*all >= ENOUGH && fit * 2 < *all || is_thin(*k) && *all > 1))
            .map(|s| s.0)
            .collect();
        if !self.kinds.is_empty() && changed.is_empty() && seen.iter().all(|(k, _, _)| is_known(*k)) {
            return;
        }
        for (kind, new) in Self::learn(lines, context).kinds {
            if let Some((_, old)) = self.kinds.iter_mut().find(|(k, _)| *k == kind) {
                if changed.contains(&kind) && (new.seen >= old.seen || old.seen >= FEW) {
                    *old = new;
                }
            } else if self.kinds.len() < KINDS {
                self.kinds.push((kind, new));
            }
        }
    }

    /// Cuts a line. Without a time in it the whole line is the message, unless no line of the stream has one.
    pub fn head(&self, line: &str, context: Context) -> Head {
        if let Some(Found { kind, at, from, level, leads, .. }) = find_stamp(line, context) {
            return self.cut(line, self.kind(kind), Head { at: Some(at), level, from }, leads, context);
        }
        if let Some((level, from)) = timeless(line) {
            return Head { at: None, level: Some(level), from };
        }
        match self.kind(UNTIMED).and_then(|kind| Some((kind, untimed(line)?))) {
            Some((kind, from)) => {
                self.cut(line, Some(kind), Head { from, ..Head::default() }, level(line.get(from..).unwrap_or("")), context)
            }
            None => Head { level: leading_level(line), ..Head::default() },
        }
    }

    /// Takes the fields off; `leads`: the level that stands where they begin.
    fn cut(&self, line: &str, kind: Option<&Kind>, mut head: Head, leads: Option<(Level, usize)>, context: Context) -> Head {
        let (mut found, begins) = (None, head.from);
        let fields = kind.map(|k| k.fields.as_slice()).unwrap_or_default();
        for (n, field) in fields.iter().enumerate() {
            let rest = line.get(head.from..).unwrap_or("");
            // A line that lacks a field goes on with the next one.
            if *field == Field::Level {
                if let Some((level, used)) = if head.from == begins { leads } else { level(rest) } {
                    found = Some(level);
                    head.from += used + spaces(rest.as_bytes(), used);
                }
            } else if let Some(used) = field.eat(rest, context) {
                // Words are a header's only where what they were learned with stands behind them.
                let goes_on =
                    || fields.get(n + 1).is_none_or(|next| rest.get(used..).is_some_and(|r| next.eat(r, context).is_some()));
                if matches!(field, Field::Words(_)) && !goes_on() {
                    continue;
                }
                // A tag or a bracket may be the level, or end in it.
                if found.is_none() && matches!(field, Field::Tag | Field::Bracket | Field::Piped | Field::Closing) {
                    found = rest.get(..used).and_then(within);
                }
                head.from += used;
            }
        }
        let own = || leading_level(line.get(head.from..).unwrap_or(""));
        head.level = found.or(head.level).or_else(own);
        head
    }
}

/// The fields that are known by their own shape, in the order in which they are tried.
const ALONE: [Field; 10] = [
    Field::Stamp,
    Field::Level,
    Field::Separator,
    Field::Piped,
    Field::Number,
    Field::Bracket,
    Field::Tag,
    Field::Closing,
    Field::Named,
    Field::Logger,
];

impl Kind {
    /// Whether a line has every field.
    fn fits(&self, rest: &str, context: Context) -> bool {
        share(&[rest], &self.fields, context) > 0.5
    }

    fn learn(mut rests: Vec<&str>, context: Context) -> Self {
        let seen = rests.len();
        let mut fields = Vec::new();
        let mut tagged = false;
        while fields.len() < FIELDS {
            // Of a single line nothing can be known but what its words say themselves.
            let few = rests.len() < 2;
            let strong = |field: Field, tagged: bool| -> f64 {
                match (field, tagged || few) {
                    // Behind the program's name only a level or a time is still the header's.
                    (Field::Stamp | Field::Level | Field::Separator, _) | (_, false) => COVERAGE,
                    _ => f64::INFINITY,
                }
            };
            let needed = |field: Field| match field {
                Field::Number | Field::Bracket | Field::Piped | Field::Closing | Field::Named | Field::Logger | Field::Column => {
                    STRICT.max(strong(field, tagged))
                }
                other => strong(other, tagged),
            };
            // A name without a space behind it is one only where the level ended so.
            let named = fields.last() == Some(&Field::Level);
            // A second level is a word of the message: `WARN Error budget is spent`.
            let behind_level = fields.contains(&Field::Level);
            let is_name = |field: Field| self::named(&rests, field, behind_level, context) >= COVERAGE;
            let mut next = ALONE
                .into_iter()
                .filter(|f| named || *f != Field::Named)
                .filter(|f| !behind_level || *f != Field::Level)
                .find(|f| share(&rests, &[*f], context) >= needed(*f) && (*f != Field::Piped || is_name(*f)))
                .map(|f| vec![f]);
            if next.is_none() && !tagged && !few {
                let behind = [Field::Stamp, Field::Level, Field::Tag, Field::Bracket];
                next = (1..=3)
                    .flat_map(|n| behind.into_iter().map(move |f| [Field::Words(n), f]))
                    .filter(|[_, f]| !behind_level || *f != Field::Level)
                    .find(|[words, f]| {
                        let needed = if *f == Field::Bracket { STRICT } else { COVERAGE };
                        // A level or a time says itself that it is the header's.
                        let is_sure = matches!(f, Field::Stamp | Field::Level);
                        share(&rests, &[*words, *f], context) >= needed && (is_sure || is_name(*words))
                    })
                    .map(|pair| pair.to_vec())
                    .or_else(|| {
                        (share(&rests, &[Field::Dashed], context) >= COVERAGE && is_name(Field::Dashed))
                            .then(|| vec![Field::Dashed])
                    })
                    .or_else(|| {
                        let pair = [Field::Words(1), Field::Separator];
                        (share(&rests, &pair, context) >= STRICT).then(|| pair.to_vec())
                    })
                    .or_else(|| (share(&rests, &[Field::Column], context) >= STRICT).then(|| vec![Field::Column]));
            }
            let Some(next) = next else { break };
            for field in next {
                // A name, or a name and a mark, is the last of a header.
                let is_marked =
                    field == Field::Separator && matches!(fields.last(), Some(Field::Words(_) | Field::Column | Field::Logger));
                tagged |= is_marked || matches!(field, Field::Tag | Field::Dashed | Field::Named);
                for rest in &mut rests {
                    if let Some(used) = field.eat(rest, context) {
                        *rest = rest.get(used..).unwrap_or("");
                    }
                }
                fields.push(field);
            }
        }
        Self { fields, seen }
    }
}

/// The share of lines that begin with these fields and say something behind them.
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

/// The share of lines whose first field reads like a name, not like the beginning of a sentence. `behind_level`: there only who
/// logs still belongs to the header, and a single word has to look like that.
fn named(rests: &[&str], field: Field, behind_level: bool, context: Context) -> f64 {
    let is_plain = |word: &str| {
        let mut letters = word.bytes();
        letters.next().is_some_and(|b| b.is_ascii_alphabetic()) && letters.all(|b| b.is_ascii_lowercase())
    };
    let is_name = |rest: &&&str| {
        let Some(eaten) = field.eat(rest, context).and_then(|used| rest.get(..used)) else { return false };
        let words: Vec<&str> = eaten.split_ascii_whitespace().filter(|w| w.bytes().any(|b| b.is_ascii_alphanumeric())).collect();
        let plain = words.iter().filter(|w| is_plain(w.trim_end_matches(['|', ':']))).count();
        match words.len() {
            0 => true,
            1 => plain == 0 || !behind_level || !matches!(field, Field::Words(_)),
            all => plain < all,
        }
    };
    rests.iter().filter(is_name).count() as f64 / rests.len().max(1) as f64
}

#[cfg(test)]
mod tests;
