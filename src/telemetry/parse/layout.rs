//! Where the header of a line ends, found by itself: from a sample of a stream it is learned what stands before the message,
//! and each line is then cut by it. Nothing is configured: a time in any known form is looked for among the first words, and
//! behind it come the fields that (almost) every line has: level, process, thread, host, program, logger.
//!
//! A stream may mix formats: lines are told apart by the word at which their time stands, by the time's form, and by what stands
//! right behind it; each kind has its own fields.

use super::super::log::Level;
use super::super::time::Timestamp;
use super::{Context, stamp};

/// Lines of one kind that are looked at.
const SAMPLE: usize = 400;
/// Words among which a time is looked for.
const STAMP_WORDS: usize = 9;
/// Fields of a header at most.
const FIELDS: usize = 12;
/// A field is one when this share of the lines has it.
const COVERAGE: f64 = 0.9;
/// Numbers and brackets could be the message's own: they must be there nearly always.
const STRICT: f64 = 0.97;

/// A field of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// A further time.
    Stamp,
    Level,
    /// A process, a thread.
    Number,
    /// `[main]`, `(kernel)`.
    Bracket,
    /// `-`, `|`, `:`, `---` by itself.
    Separator,
    /// Anything up to a `|`.
    Piped,
    /// `sshd[214]:`, `c.s.Pool:`.
    Tag,
    /// Up to three words before ` - `.
    Dashed,
    /// What is left of a bracket that the time opened: `app::pool]`, `server.go:88]`.
    Closing,
    /// `root:` directly before the message, right behind a level that ended so too.
    Named,
    /// `o.a.catalina.StandardEngine`: who logs, without a mark behind it.
    Logger,
    /// A word that white space keeps apart from what follows: two spaces or more, or a tab.
    Column,
    /// So many words that tell nothing by their shape: a host, a logger.
    Words(usize),
}

impl Field {
    /// The bytes that the field takes at the start of a text, with the space behind it.
    fn eat(self, text: &str, context: Context) -> Option<usize> {
        let bytes = text.as_bytes();
        // Not every field asks for it.
        let word = || word_end(bytes, 0);
        let used = match self {
            Self::Stamp => stamp::leading(text, context).map(|(_, used)| used + closing(bytes, used))?,
            Self::Level => level(text)?.1,
            Self::Number => {
                // Also `-1`, `*77` and nginx' `12#34:`.
                let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'*' | b'#')));
                let count = |from: usize, is: fn(&u8) -> bool| {
                    bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| is(b)).count())
                };
                let digits = count(sign, |b| b.is_ascii_digit() || *b == b'#');
                let end = sign + digits + count(sign + digits, |b| matches!(b, b',' | b':'));
                (bytes.get(sign).is_some_and(u8::is_ascii_digit) && end == word()).then_some(end)?
            }
            Self::Bracket => bracket(bytes)?,
            Self::Separator => {
                let mark = bytes.get(..word())?;
                let is_mark = matches!(mark, b"--" | b"---") || matches!(mark, [one] if one.is_ascii_punctuation());
                is_mark.then_some(mark.len())?
            }
            Self::Piped => bytes.iter().take(80).position(|b| *b == b'|')? + 1,
            Self::Tag => tag(bytes)?,
            Self::Closing => {
                let end = bytes.iter().take(80).position(|b| matches!(b, b']' | b'[' | b'(' | b'"'))?;
                (end > 0 && bytes.get(end) == Some(&b']')).then_some(end + 1)?
            }
            Self::Named => {
                let name =
                    bytes.iter().take(60).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')).count();
                (name > 0 && bytes.get(name) == Some(&b':') && name + 1 < word() && bytes.get(name + 1) != Some(&b':'))
                    .then_some(name + 1)?
            }
            Self::Logger => {
                let name = text.get(..word())?;
                let part = |p: &str| {
                    p.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                        && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-'))
                };
                (name.split('.').count() > 2 && name.split('.').all(part)).then_some(name.len())?
            }
            Self::Column => {
                let word = word();
                let gap = spaces(bytes, word);
                let is_wide = gap > 1 || bytes.get(word) == Some(&b'\t');
                (word > 0 && is_wide && word + gap < bytes.len()).then_some(word)?
            }
            Self::Dashed => {
                let mut end = 0;
                let mut found = None;
                for _ in 0..3 {
                    end = word_end(bytes, end);
                    if bytes.get(end..end + 3) == Some(b" - ") {
                        found = Some(end + 2);
                        break;
                    }
                    end += spaces(bytes, end);
                }
                found?
            }
            Self::Words(count) => {
                let mut end = 0;
                for n in 0..count {
                    if n > 0 {
                        end += spaces(bytes, end);
                    }
                    let next = word_end(bytes, end);
                    if next == end {
                        return None;
                    }
                    end = next;
                }
                end
            }
        };
        Some(used + spaces(bytes, used))
    }
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    from + bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| **b > b' ').count())
}

fn spaces(bytes: &[u8], from: usize) -> usize {
    bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| **b <= b' ').count())
}

/// What closes a time: brackets, commas and colons right behind it.
fn closing(bytes: &[u8], from: usize) -> usize {
    bytes
        .get(from..)
        .map_or(0, |rest| rest.iter().take_while(|b| matches!(b, b']' | b')' | b',' | b':' | b'"' | b'|' | b';')).count())
}

/// A balanced bracket at the start, of at most 200 bytes.
fn bracket(bytes: &[u8]) -> Option<usize> {
    let (open, close) = match bytes.first()? {
        b'[' => (b'[', b']'),
        b'(' => (b'(', b')'),
        b'<' => (b'<', b'>'),
        _ => return None,
    };
    let mut depth = 0_usize;
    for (at, b) in bytes.iter().enumerate().take(200) {
        if *b == open {
            depth += 1;
        } else if *b == close {
            depth -= 1;
            if depth == 0 {
                let end = at + 1;
                return Some(end + bytes.get(end..).map_or(0, |rest| rest.iter().take_while(|b| **b == b':').count()));
            }
        }
    }
    None
}

/// `sshd[214]:`, `c.s.Pool:`, `app::pool:`, `launchd[1] (com.apple.x):`, `ActivityManager(  585):`, and a tracing span before
/// it: `request{path="/a b"}: app:`. Returns its length with the colon.
fn tag(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut is_named) = (0, false);
    loop {
        let byte = *bytes.get(at).filter(|_| at < 300)?;
        if byte.is_ascii_alphanumeric() {
            is_named |= byte.is_ascii_alphabetic();
            at += 1;
            continue;
        }
        match byte {
            b':' if bytes.get(at + 1) == Some(&b':') => at += 2,
            b':' => {
                let end = at + 1;
                return (is_named && bytes.get(end).is_none_or(|b| *b <= b' ')).then_some(end);
            }
            b'{' if is_named => {
                at += bytes.get(at..)?.iter().take(300).position(|b| *b == b'}')? + 1;
                // The spans within it, and who speaks: the last has no fields.
                if bytes.get(at) == Some(&b':') {
                    let next = at + 1 + spaces(bytes, at + 1);
                    return Some(next + tag(bytes.get(next..)?)?);
                }
            }
            // Android pads the process in its brackets.
            b'(' if is_named && bytes.get(at + 1) == Some(&b' ') => {
                let inside = bytes.get(at + 1..)?.iter().take(12).position(|b| *b == b')')?;
                let is_number = bytes.get(at + 1..at + 1 + inside)?.iter().all(|b| *b == b' ' || b.is_ascii_digit());
                at += is_number.then_some(inside + 2)?;
            }
            // launchd names the service that it speaks of in brackets of their own.
            b' ' if at > 0 && bytes.get(at - 1) == Some(&b']') && bytes.get(at + 1) == Some(&b'(') => {
                at += 2 + bytes.get(at + 1..)?.iter().take(120).take_while(|b| !matches!(b, b' ')).position(|b| *b == b')')?;
                if bytes.get(at) != Some(&b':') {
                    return None;
                }
            }
            b'_' | b'.' | b'$' | b'/' | b'@' | b'(' | b')' | b'[' | b']' | b'#' | b'*' | b'-' | b'<' | b'>' => at += 1,
            _ => return None,
        }
    }
}

/// A level word, also in brackets (`[INFO ]`) or before a colon, a bar or a slash (`INFO/Worker`, `INFO:root:`): with the bytes
/// used. Of single letters only those that loggers write alone.
fn level(text: &str) -> Option<(Level, usize)> {
    let bytes = text.as_bytes();
    let count = |from: usize, set: &[u8]| bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|b| set.contains(b)).count());
    let open = count(0, b"[<(*|");
    let letters = bytes.get(open..)?.iter().take(12).take_while(|b| b.is_ascii_alphabetic()).count();
    if letters > 11 {
        return None;
    }
    let core = text.get(open..open + letters).filter(|core| !core.is_empty())?;
    let mut end = open + letters;
    let padding = if open > 0 { count(end, b" ") } else { 0 };
    let closers = count(end + padding, b"])>:|,*");
    if closers > 0 {
        end += padding + closers;
    }
    let glued = bytes.get(end).is_some_and(|b| *b > b' ');
    if glued && bytes.get(end) == Some(&b'/') {
        end += 1;
    } else if glued && !matches!(bytes.get(end - 1), Some(b':' | b']' | b'|')) {
        return None;
    }
    let stands_alone = !glued || bytes.get(end - 1) == Some(&b'/');
    if core.len() == 1 && !(stands_alone && matches!(core, "D" | "V" | "I" | "W" | "E" | "F" | "T")) {
        return None;
    }
    let level = match core {
        // Words of a sentence that are levels only by accident.
        "v" | "d" | "t" | "i" | "e" | "w" | "f" | "log" | "note" | "alert" | "config" | "failure" => return None,
        "fail" | "success" if open == 0 && bytes.get(end - 1) != Some(&b':') => return None,
        "FAILURE" => Level::Error,
        "SEVERE" => Level::Error,
        _ => Level::from_word(core)?,
    };
    Some((level, end))
}

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

/// What kind of line it is, as a number: the word at which the time stands, the time's form (runs of digits and of letters are
/// one each), and what stands behind it.
fn kind_of(word: usize, form: &[u8], rest: Option<&str>) -> (u64, Option<(Level, usize)>) {
    let class = |b: u8| match b {
        b'0'..=b'9' => b'0',
        b'a'..=b'z' | b'A'..=b'Z' => b'a',
        b' ' => b' ',
        other => other,
    };
    let (mut h, mut last) = (word as u64 + 1, 0_u8);
    for b in form {
        let c = class(*b);
        if c != last || !matches!(c, b'0' | b'a' | b' ') {
            h = h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(c);
        }
        last = c;
    }
    let rest = rest.unwrap_or("");
    let behind = |at: usize| match rest.as_bytes().get(at + spaces(rest.as_bytes(), at)) {
        Some(b @ (b'[' | b'(' | b'-' | b'|' | b'<' | b'{' | b'"')) => *b,
        Some(b'0'..=b'9') => b'0',
        _ => b'a',
    };
    h = h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(behind(0));
    // Loggers that begin alike differ behind the level.
    let leads = level(rest);
    if let Some((_, used)) = leads {
        h = h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(behind(used)) ^ 0x4C00;
    }
    (h, leads)
}

/// The time of a line.
struct Found {
    /// What kind of line it is.
    kind: u64,
    at: Timestamp,
    /// Where the time begins, and what follows it.
    start: usize,
    from: usize,
    /// The level before the time: `<165>`, `E1121`, `INFO  [main]`.
    level: Option<Level>,
    /// The level that what follows begins with, and its bytes.
    leads: Option<(Level, usize)>,
}

fn find_stamp(line: &str, context: Context) -> Option<Found> {
    let bytes = line.as_bytes();
    let (priority, start) = priority(bytes).map_or((None, 0), |(level, used)| (Some(level), used));
    let start = start + spaces(bytes, start);
    let behind = |used: usize| {
        let end = used + closing(bytes, used);
        let next = end + spaces(bytes, end);
        // What a container's runtime (CRI) writes before each line: the stream, and whether the line is whole.
        let cri = [&b"stdout F "[..], b"stderr F ", b"stdout P ", b"stderr P "];
        let is_cri = bytes.get(next..).is_some_and(|rest| cri.iter().any(|head| rest.starts_with(head)));
        if is_cri { next + 9 } else { next }
    };
    // Most lines are not worth the look.
    let may_be_letter = matches!(bytes.get(start..start + 2), Some([b'D' | b'I' | b'W' | b'E' | b'F', b'0'..=b'9']));
    if may_be_letter && let Some((level, at, used)) = stamp::letter_date(line.get(start..)?, context) {
        let from = behind(start + used);
        let (kind, leads) = kind_of(0, b"a0", line.get(from..));
        return Some(Found { kind, at, start, from, level: Some(level), leads });
    }
    if bytes.get(start.saturating_sub(2)..start) == Some(b"1 ")
        && let Some((at, used)) = stamp::at_start(line.get(start..)?, context)
    {
        let from = rfc5424(bytes, start + used);
        return Some(Found { kind: EXACT, at, start, from, level: priority, leads: None });
    }
    let mut from = start;
    for word in 0..STAMP_WORDS {
        let Some(rest) = line.get(from..).filter(|r| !r.is_empty()) else { break };
        if let Some((at, used)) = stamp_at(rest, context) {
            let next = behind(from + used);
            let form = bytes.get(from..from + used).unwrap_or(&[]);
            let level = priority.or_else(|| (word > 0).then(|| level(line.get(start..)?)).flatten().map(|(l, _)| l));
            let (kind, leads) = kind_of(word, form, line.get(next..));
            return Some(Found { kind, at, start: from, from: next, level, leads });
        }
        let end = word_end(bytes, from);
        from = end + spaces(bytes, end);
    }
    // A time of day without a date, only where a line begins: elsewhere it is as likely what the line is about.
    let (at, used) = stamp::time_of_day(line.get(start..)?, context)?;
    let from = behind(start + used);
    let (kind, leads) = kind_of(0, b"00:00:00", line.get(from..));
    Some(Found { kind, at, start, from, level: priority, leads })
}

/// Syslog's `<PRI>`, and the `1 ` of RFC 5424 behind it: the level and the bytes used. Facility times eight plus severity.
fn priority(bytes: &[u8]) -> Option<(Level, usize)> {
    let digits = bytes.strip_prefix(b"<")?.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    let number: i64 = std::str::from_utf8(bytes.get(1..=digits)?).ok()?.parse().ok().filter(|n| *n < 192)?;
    let end = digits + 2;
    if bytes.get(digits + 1) != Some(&b'>') {
        return None;
    }
    let version = if bytes.get(end..end + 2) == Some(b"1 ") { 2 } else { 0 };
    Some((Level::from_number(number % 8)?, end + version))
}

/// Where the message of an RFC 5424 line begins: behind the host, the program, its process, the message's kind, and the
/// structured data (`-` or brackets side by side).
fn rfc5424(bytes: &[u8], from: usize) -> usize {
    let mut at = from + spaces(bytes, from);
    for _ in 0..4 {
        at = word_end(bytes, at);
        at += spaces(bytes, at);
    }
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    while let Some(used) = bytes.get(at..).and_then(element) {
        at += used;
        // The message may begin with a bracket of its own.
        if bytes.get(at) != Some(&b'[') {
            break;
        }
    }
    at + spaces(bytes, at)
}

/// The length of an element of structured data, `[id key="value"]`: a bracket within quotes ends nothing.
fn element(bytes: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, b) in bytes.iter().enumerate() {
        match b {
            b'[' if at == 0 => {}
            _ if at == 0 => return None,
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The kind of lines without a time, in a stream where hardly any has one.
const UNTIMED: u64 = 0;
/// The kind of lines whose format says itself where the message begins: nothing is learned of them.
const EXACT: u64 = 1;

/// Where the header of a line without a time begins that may have one: `INFO:root:`, `[ERROR] x`, or the kernel's seconds since
/// it started, `[12345.678901] `. `None` where nothing says so.
fn untimed(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    if level(line).is_some() {
        return Some(0);
    }
    let inside = bytes.strip_prefix(b"[")?.iter().take(24).position(|b| *b == b']')?;
    let seconds = bytes.get(1..=inside)?.trim_ascii_start();
    let is_seconds = seconds.contains(&b'.') && seconds.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    is_seconds.then(|| inside + 2 + spaces(bytes, inside + 2))
}

/// The time of a line by itself, with nothing learned: behind at most [`AHEAD`] words that look like a header's (a level, an id, a
/// bracket), not like a sentence's. Returns the time, the level before it, the bytes before it and where what follows it begins.
pub(super) fn late(line: &str, context: Context) -> Option<(Timestamp, Option<Level>, usize, usize)> {
    let found = find_stamp(line, context)?;
    let ahead = line.get(..found.start)?;
    let is_of_header =
        |word: &str| word.bytes().any(|b| !b.is_ascii_alphabetic()) || word.bytes().all(|b| b.is_ascii_uppercase());
    let fits =
        found.start > 0 && ahead.split_ascii_whitespace().count() <= AHEAD && ahead.split_ascii_whitespace().all(is_of_header);
    fits.then_some((found.at, found.level, found.start, found.from))
}

/// Words before a time in a line of which nothing is known.
const AHEAD: usize = 3;

fn stamp_at(rest: &str, context: Context) -> Option<(Timestamp, usize)> {
    let first = *rest.as_bytes().first()?;
    // Most words are not worth the look.
    if !first.is_ascii_digit() && !matches!(first, b'[' | b'(' | b'"' | b'<') && !first.is_ascii_uppercase() {
        return None;
    }
    stamp::leading(rest, context)
}

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

/// The level that a field is or ends in: `LOG:`, `production.ERROR:`, `[core:error]`.
fn within(field: &str) -> Option<Level> {
    let bytes = field.as_bytes();
    let is_end = |b: &u8| matches!(b, b':' | b'|' | b']' | b' ');
    let end = bytes.len() - bytes.iter().rev().take_while(|b| is_end(b)).count();
    let letters = bytes.get(..end)?.iter().rev().take(12).take_while(|b| b.is_ascii_alphabetic()).count();
    let word = field.get(end - letters..end).filter(|w| w.len() > 2)?;
    let before = (end - letters).checked_sub(1).and_then(|at| bytes.get(at));
    let is_bracket = bytes.first() == Some(&b'[') && before == Some(&b':');
    let stands_apart = before.is_none_or(|b| matches!(b, b'.' | b':' | b'[' | b' '));
    let is_level = is_bracket || stands_apart && word.bytes().all(|b| b.is_ascii_uppercase());
    if is_level { Level::from_word(word) } else { None }
}

fn leading_level(text: &str) -> Option<Level> {
    super::leading_level(text).map(|(level, _)| level)
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
            let behind_level = fields.contains(&Field::Level);
            let is_name = |field: Field| self::named(&rests, field, behind_level, context) >= COVERAGE;
            let mut next = ALONE
                .into_iter()
                .filter(|f| named || *f != Field::Named)
                .find(|f| share(&rests, &[*f], context) >= needed(*f) && (*f != Field::Piped || is_name(*f)))
                .map(|f| vec![f]);
            if next.is_none() && !tagged && !few {
                let behind = [Field::Stamp, Field::Level, Field::Tag, Field::Bracket];
                next = (1..=3)
                    .flat_map(|n| behind.into_iter().map(move |f| [Field::Words(n), f]))
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
mod tests {
    use super::*;

    fn context() -> Context {
        Context::utc(Timestamp::from_secs(1_795_253_400))
    }

    /// What is left of each line, with what its header told.
    fn cut<'a>(lines: &[&'a str]) -> Vec<(&'a str, Option<Level>, String)> {
        let layout = Layout::learn(lines.iter().copied(), context());
        lines
            .iter()
            .map(|line| {
                let head = layout.head(line, context());
                (&line[head.from..], head.level, head.at.map_or_else(String::new, |t| t.date_clock()))
            })
            .collect()
    }

    #[test]
    fn a_time_of_day_alone_begins_a_header() {
        let lines: Vec<String> =
            (0..40).map(|n| format!("09:{n:02}:07.181 INFO  f.m.s.Basic{}#360 query {n} of stations", n % 3)).collect();
        let context = Context::utc(Timestamp::parse("2026-11-21T09:30:00Z").unwrap());
        let layout = Layout::learn(lines.iter().map(String::as_str), context);
        let head = layout.head(&lines[5], context);
        assert_eq!(head.at, Timestamp::parse("2026-11-21T09:05:07.181Z").ok());
        assert_eq!((head.level, &lines[5][head.from..]), (Some(Level::Info), "f.m.s.Basic2#360 query 5 of stations"));
        // What lies more than an hour ahead was yesterday.
        assert_eq!(layout.head("10:31:00.000 INFO x", context).at, Timestamp::parse("2026-11-20T10:31:00Z").ok());
        for none in ["12:30 lunch", "at 12:30:07 it broke", "12:30:07x", "12:61:07 x"] {
            assert_eq!(layout.head(none, context).at, None, "{none}");
        }
    }

    #[test]
    fn the_message_begins_where_the_headers_fields_end() {
        for (lines, message, level) in [
            (
                [
                    "2015-10-18 18:01:47,978 INFO [main] o.a.App: Created it",
                    "2015-10-18 18:01:48,963 WARN [pool 1] o.a.Pool: none left",
                ],
                "Created it",
                Some(Level::Info),
            ),
            (
                [
                    "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: check pass; user unknown",
                    "Jun 14 15:16:02 combo su[3]: session opened",
                ],
                "check pass; user unknown",
                None,
            ),
            (
                [
                    "03-17 16:13:38.811  1702  2395 D WindowManager: printing it",
                    "03-17 16:13:38.819  1702  8671 E PowerManager: ready=true",
                ],
                "printing it",
                Some(Level::Debug),
            ),
            (
                ["[10.30 16:49:06] chrome.exe - proxy:5070 open", "[10.30 16:49:07] chrome.exe *64 - proxy:80 close"],
                "proxy:5070 open",
                None,
            ),
            (
                [
                    "134681 node-246 unix.hw unavailable 1077804742 1 Component is down",
                    "350766 node-109 unix.hw up 1084680778 1 it is up",
                ],
                "Component is down",
                None,
            ),
            (
                ["20171223-22:15:29:606|Step_LSC|30002312|onStep 3579", "20171223-22:15:29:615|Step_SP|30002312|flush"],
                "onStep 3579",
                None,
            ),
            (
                [
                    "- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL INFO cache parity error",
                    "- 1117838571 2005.06.03 R02-M2 2005-06-03-15.42.51.675872 R02-M2 RAS KERNEL FATAL data storage interrupt",
                ],
                "cache parity error",
                Some(Level::Info),
            ),
            (
                ["081109 203615 148 INFO dfs.DataNode: got it", "081109 203807 222 INFO dfs.FSName: lost it"],
                "got it",
                Some(Level::Info),
            ),
            (
                ["17/06/09 20:10:40 INFO exec.Back: Registered", "17/06/09 20:10:40 INFO spark.Sec: Changing"],
                "Registered",
                Some(Level::Info),
            ),
            (
                [
                    "2016-09-28 04:30:30, Info                  CBS    Loaded it",
                    "2016-09-28 04:30:31, Info                  CSI    Seq 3",
                ],
                "Loaded it",
                Some(Level::Info),
            ),
            (
                [
                    "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO nova.wsgi [req-1 a - - -] GET /x",
                    "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.272 25746 INFO nova.wsgi [req-2 a - - -] GET /y",
                ],
                "GET /x",
                Some(Level::Info),
            ),
        ] {
            let found = cut(&lines);
            assert_eq!((found[0].0, found[0].1), (message, level), "{found:?}");
            assert!(!found[0].2.is_empty());
        }
    }

    /// Loggers as they are found in the field: two lines of each, and what is left of the first.
    #[test]
    fn the_usual_loggers_headers_are_cut() {
        for (lines, message, level) in [
            (
                ["I1121 09:31:07.123456    7 pool.go:88] full of 3", "E1121 09:31:08.123456    7 web.go:9] gone"],
                "full of 3",
                Some(Level::Info),
            ),
            (["W20261121 09:31:07.1 7 a.py:88] full", "I20261121 09:31:08.1 7 b.py:9] gone"], "full", Some(Level::Warn)),
            (
                ["2026-11-21T09:31:07Z\tINFO\tdb.pool\tpool full", "2026-11-21T09:31:08Z\tWARN\tapi\tgone now"],
                "pool full",
                Some(Level::Info),
            ),
            (["<30>Nov 21 09:31:07 h1 app[3]: pool full", "<27>Nov 21 09:31:08 h2 app[4]: gone"], "pool full", Some(Level::Info)),
            (
                ["<165>1 2026-11-21T09:31:07Z h1 app 12 ID4 - full", "<163>1 2026-11-21T09:31:08Z h2 app 7 ID5 - gone"],
                "full",
                Some(Level::Info),
            ),
            (
                ["[2026-11-21T09:31:07Z INFO  app::pool] pool full", "[2026-11-21T09:31:08Z WARN  app::web] gone"],
                "pool full",
                Some(Level::Info),
            ),
            (
                [
                    "2026-11-21T09:31:07.1Z  INFO app::pool: full",
                    "2026-11-21T09:31:08.1Z  WARN req{id=1 m=\"a b\"}: app::web: gone",
                ],
                "full",
                Some(Level::Info),
            ),
            (
                [
                    "2026-11-21 09:31:07.123  INFO 1 --- [           main] c.s.Pool                 : full",
                    "2026-11-21 09:31:08.123  WARN 1 --- [nio-8080-exec-1] c.s.web.OrderController  : gone",
                ],
                "full",
                Some(Level::Info),
            ),
            (
                [
                    "21-Nov-2026 09:31:07.1 INFO [main] o.a.core.Engine full",
                    "21-Nov-2026 09:31:08.1 SEVERE [exec-3] o.a.Proto gone",
                ],
                "full",
                Some(Level::Info),
            ),
            (
                ["[2026-11-21 09:31:07,123: INFO/MainProcess] full", "[2026-11-21 09:31:08,123: ERROR/Fork-2] gone"],
                "full",
                Some(Level::Info),
            ),
            (["1:M 21 Nov 2026 09:31:07.1 * full", "1:M 21 Nov 2026 09:31:08.1 # gone"], "full", None),
            (
                ["E, [2026-11-21T09:31:07.1 #7]  ERROR -- : full", "I, [2026-11-21T09:31:08.1 #7]  INFO -- : gone"],
                "full",
                Some(Level::Error),
            ),
            (
                [
                    "[2026-11-21T09:31:07,1][INFO ][o.e.n.Node   ] [node-1] full",
                    "[2026-11-21T09:31:08,1][WARN ][o.e.c.Master ] [node-2] gone",
                ],
                "full",
                Some(Level::Info),
            ),
            (["[09:31:07 INF] full", "[09:31:08 ERR] gone"], "full", Some(Level::Info)),
            (
                ["INFO  [main] 2026-11-21 09:31:07,1 A.java:8 - full", "WARN  [Read-2] 2026-11-21 09:31:08,1 B.java:9 - gone"],
                "full",
                Some(Level::Info),
            ),
            (["20261121-9:31:7:60|Step|3|full", "20261121-9:31:8:6|Walk|3|gone"], "full", None),
            (["Nov 21 09:31:07 mac launchd[1] (com.apple.x): full", "Nov 21 09:31:08 mac kernel[0]: gone"], "full", None),
            (
                ["11-21 09:31:07.123 I/Activity(  585): full", "11-21 09:31:08.123 E/Power( 1585): gone"],
                "full",
                Some(Level::Info),
            ),
        ] {
            let found = cut(&lines);
            assert_eq!((found[0].0, found[0].1), (message, level), "{found:?}");
            assert!(found[1].0.starts_with("gone") && !found[0].2.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn a_stream_without_times_may_have_headers_all_the_same() {
        for (lines, message, level) in [
            (["INFO:root:pool full", "ERROR:db.pool:gone"], "pool full", Some(Level::Info)),
            (["[    0.000000] pool full", "[12345.678901] gone"], "pool full", None),
        ] {
            let layout = Layout::learn(lines, context());
            let head = layout.head(lines[0], context());
            assert_eq!((&lines[0][head.from..], head.level, head.at), (message, level, None));
        }
        // A stack trace among lines with times has none.
        let layout = Layout::learn(["2026-11-21 09:31:07 INFO a", "ERROR in b", "ERROR in c"], context());
        assert_eq!(layout.head("ERROR in b", context()).from, 0);
    }

    #[test]
    fn mixed_formats_are_told_apart_and_a_changed_one_is_learned_anew() {
        let tracing = |n: usize| format!("2026-11-21T09:31:{:02}Z  INFO app::pool: {n} full", n % 60);
        let spring = |n: usize| format!("2026-11-21T09:31:{:02}Z  INFO 1 --- [  main] c.s.Pool   : {n} full", n % 60);
        let nginx = |n: usize| format!("2026-11-21T09:31:{:02}Z  INFO 12#{n}: *{n} {n} full", n % 60);
        let mixed: Vec<String> = (0..100).flat_map(|n| [tracing(n), spring(n)]).collect();
        let mut layout = Layout::default();
        let mut left = |lines: &[String]| -> Vec<String> {
            layout.learn_more(lines.iter().map(String::as_str), context());
            lines.iter().map(|l| l[layout.head(l, context()).from..].to_owned()).collect()
        };
        let expected: Vec<String> = (0..100).flat_map(|n| [format!("{n} full"), format!("{n} full")]).collect();
        assert_eq!(left(&mixed), expected);
        // It begins as the second of the two does, and goes on otherwise.
        let later: Vec<String> = (0..400).map(nginx).collect();
        assert_eq!(left(&later)[7], "full");
    }

    #[test]
    fn a_sentence_is_no_header_however_many_lines_begin_so() {
        let t = |n: usize| format!("2026-11-21T09:31:{:02}Z INFO", n % 60);
        for said in [
            &["Payment failed | user=7 | 3ms", "Order placed | user=8 | 2ms", "Login | user=9 | 1ms"][..],
            &["Payment failed - user 7", "Payment accepted - user 8", "Cart emptied - user 9"],
            &["Opened connection [7] to db", "Closed connection [8] to db"],
            &["cache miss: order 7", "cache hit: order 8"],
        ] {
            let lines: Vec<String> = (0..100).map(|n| format!("{} {}", t(n), said[n % said.len()])).collect();
            let layout = Layout::learn(lines.iter().map(String::as_str), context());
            for (n, line) in lines.iter().enumerate() {
                assert_eq!(&line[layout.head(line, context()).from..], said[n % said.len()]);
            }
        }
        // A bracket that is all there is is the message.
        let found = cut(&["2026-11-21T09:31:07Z INFO [Broker 1]", "2026-11-21T09:31:08Z INFO [Broker 2]"]);
        assert_eq!(found[0].0, "[Broker 1]");
    }

    #[test]
    fn levels_stand_also_in_tags_and_brackets() {
        let levels = |lines: &[&str]| cut(lines).iter().map(|(_, level, _)| *level).collect::<Vec<_>>();
        let t = "2026-11-21 09:31:07.1 UTC [7]";
        assert_eq!(
            levels(&[&format!("{t} LOG:  a"), &format!("{t} ERROR:  b"), &format!("{t} STATEMENT:  select")]),
            [Some(Level::Info), Some(Level::Error), None]
        );
        assert_eq!(
            levels(&["[2026-11-21 09:31:07] production.ERROR: a", "[2026-11-21 09:31:07] local.INFO: b"]),
            [Some(Level::Error), Some(Level::Info)]
        );
        assert_eq!(
            levels(&["[Sat Nov 21 09:31:07 2026] [core:error] [pid 7] a", "[Sat Nov 21 09:31:07 2026] [mpm:notice] [pid 7] b"]),
            [Some(Level::Error), Some(Level::Info)]
        );
        // The whole line of a container's runtime is no fatal one.
        assert_eq!(
            levels(&["2026-11-21T09:31:07Z stdout F a", "2026-11-21T09:31:07Z stderr F ERROR b"]),
            [None, Some(Level::Error)]
        );
    }

    #[test]
    fn what_was_learned_of_one_line_is_learned_again_of_many() {
        let mut layout = Layout::default();
        let line = |n: usize| format!("2026-11-21T09:31:07Z INFO [web-{}] app[{n}]: pool full", n % 3);
        let mut first: Vec<String> = (0..100).map(|n| format!("2026-11-21T09:31:07Z INFO a.b.C: {n}")).collect();
        first.push(line(1));
        layout.learn_more(first.iter().map(String::as_str), context());
        let then: Vec<String> = (0..200).map(line).collect();
        layout.learn_more(then.iter().map(String::as_str), context());
        assert_eq!(&then[7][layout.head(&then[7], context()).from..], "pool full");
    }

    #[test]
    fn lines_without_a_header_are_their_own_message() {
        let found = cut(&["something happened", "\tat a.B.c(B.java:1)"]);
        assert_eq!((found[0].0, found[1].0), ("something happened", "\tat a.B.c(B.java:1)"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(lines in proptest::collection::vec("\\PC{0,60}", 0..12)) {
            let layout = Layout::learn(lines.iter().map(String::as_str), context());
            for line in &lines {
                let head = layout.head(line, context());
                proptest::prop_assert!(line.get(head.from..).is_some());
            }
        }
    }
}
