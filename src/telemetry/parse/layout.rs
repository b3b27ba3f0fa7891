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
    /// `-`, `|`, `:` by itself.
    Separator,
    /// Anything up to a `|`.
    Piped,
    /// `sshd[214]:`, `c.s.Pool:`.
    Tag,
    /// Up to three words before ` - `.
    Dashed,
    /// So many words that tell nothing by their shape: a host, a logger.
    Words(usize),
}

impl Field {
    /// The bytes that the field takes at the start of a text, with the space behind it.
    fn eat(self, text: &str, context: Context) -> Option<usize> {
        let bytes = text.as_bytes();
        let word = word_end(bytes, 0);
        let used = match self {
            Self::Stamp => stamp::leading(text, context).map(|(_, used)| used + closing(bytes, used))?,
            Self::Level => level(text)?.1,
            Self::Number => {
                let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
                let end =
                    digits + bytes.get(digits..).map_or(0, |rest| rest.iter().take_while(|b| matches!(b, b',' | b':')).count());
                (digits > 0 && end == word).then_some(end)?
            }
            Self::Bracket => bracket(bytes)?,
            Self::Separator => {
                let mark = bytes.get(..word)?;
                matches!(mark, b"-" | b"--" | b"|" | b":").then_some(word)?
            }
            Self::Piped => bytes.iter().take(80).position(|b| *b == b'|')? + 1,
            Self::Tag => {
                let end = word_end(bytes, 0);
                let tag = bytes.get(..end)?;
                let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"_.$/@()[]#*-<>".contains(b);
                let (last, name) = tag.split_last()?;
                let named = *last == b':' && name.iter().all(is_name) && name.iter().any(u8::is_ascii_alphabetic);
                named.then_some(end)?
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

/// A level word, also in brackets or before a colon or a bar: with the bytes used. Of single letters only those that loggers
/// write alone.
fn level(text: &str) -> Option<(Level, usize)> {
    let bytes = text.as_bytes();
    let end = word_end(bytes, 0);
    let word = text.get(..end)?;
    let core = word.trim_matches(|c| matches!(c, '[' | ']' | '<' | '>' | '(' | ')' | ':' | '|' | ',' | '*'));
    let is_single = core.len() == 1;
    if is_single && !matches!(core, "D" | "V" | "I" | "W" | "E" | "F" | "T") {
        return None;
    }
    let level = match core {
        // Words of a sentence that are levels only by accident.
        "v" | "d" | "t" | "i" | "e" | "w" | "f" | "log" | "note" | "alert" | "config" | "failure" => return None,
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
}

/// The headers of a stream.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    kinds: Vec<(u64, Kind)>,
}

/// Kinds of lines that are told apart.
const KINDS: usize = 64;

/// What kind of line it is, as a number: the word at which the time stands, the time's form (runs of digits and of letters are
/// one each), and what stands behind it.
fn kind_of(word: usize, form: &[u8], behind: Option<u8>) -> u64 {
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
    let behind = match behind {
        Some(b @ (b'[' | b'(' | b'-' | b'|' | b'<' | b'{' | b'"')) => b,
        Some(b'0'..=b'9') => b'0',
        _ => b'a',
    };
    h.wrapping_mul(0x0100_0000_01B3) ^ u64::from(behind)
}

/// What kind of line it is, the time, and where what follows it begins.
fn find_stamp(line: &str, context: Context) -> Option<(u64, Timestamp, usize)> {
    let bytes = line.as_bytes();
    let mut from = spaces(bytes, 0);
    for word in 0..STAMP_WORDS {
        let Some(rest) = line.get(from..).filter(|r| !r.is_empty()) else { break };
        if let Some((at, used)) = stamp_at(rest, context) {
            let end = from + used + closing(bytes, from + used);
            let next = end + spaces(bytes, end);
            let form = bytes.get(from..from + used).unwrap_or(&[]);
            return Some((kind_of(word, form, bytes.get(next).copied()), at, next));
        }
        let end = word_end(bytes, from);
        from = end + spaces(bytes, end);
    }
    // A time of day without a date, only where a line begins: elsewhere it is as likely what the line is about.
    let start = spaces(bytes, 0);
    let (at, used) = stamp::time_of_day(line.get(start..)?, context)?;
    let end = start + used + closing(bytes, start + used);
    let next = end + spaces(bytes, end);
    Some((kind_of(0, b"00:00:00", bytes.get(next).copied()), at, next))
}

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
        for line in lines.into_iter().filter(|l| !l.starts_with('{')) {
            let Some((kind, _, from)) = find_stamp(line, context) else { continue };
            let rest = line.get(from..).unwrap_or("");
            if !samples.iter().any(|(k, _)| *k == kind) && samples.len() < KINDS {
                samples.push((kind, Vec::new()));
            }
            if let Some((_, list)) = samples.iter_mut().find(|(k, l)| *k == kind && l.len() < SAMPLE) {
                list.push(rest);
            }
        }
        Self { kinds: samples.into_iter().map(|(kind, rests)| (kind, Kind::learn(rests, context))).collect() }
    }

    fn kind(&self, kind: u64) -> Option<&Kind> {
        self.kinds.iter().find(|(k, _)| *k == kind).map(|(_, kind)| kind)
    }

    /// Learns the kinds of lines that are not known yet: a stream may turn to another format.
    pub fn learn_more<'a>(&mut self, lines: impl Iterator<Item = &'a str> + Clone, context: Context) {
        let is_known =
            |line: &&str| line.starts_with('{') || find_stamp(line, context).is_none_or(|(k, _, _)| self.kind(k).is_some());
        // A few lines are enough to see that nothing is new.
        if self.kinds.len() >= KINDS || !self.kinds.is_empty() && lines.clone().step_by(16).all(|l| is_known(&l)) {
            return;
        }
        for (kind, new) in Self::learn(lines, context).kinds {
            if self.kind(kind).is_none() && self.kinds.len() < KINDS {
                self.kinds.push((kind, new));
            }
        }
    }

    /// Cuts a line. Without a time in it the whole line is the message.
    pub fn head(&self, line: &str, context: Context) -> Head {
        let Some((kind, at, mut from)) = find_stamp(line, context) else {
            return Head { level: leading_level(line), ..Head::default() };
        };
        let mut found = None;
        if let Some(kind) = self.kind(kind) {
            for field in &kind.fields {
                let rest = line.get(from..).unwrap_or("");
                // A line that lacks a field goes on with the next one.
                if let Some(used) = field.eat(rest, context) {
                    if *field == Field::Level {
                        found = level(rest).map(|(l, _)| l);
                    }
                    from += used;
                }
            }
        }
        Head { at: Some(at), level: found.or_else(|| leading_level(line.get(from..).unwrap_or(""))), from }
    }
}

fn leading_level(text: &str) -> Option<Level> {
    super::leading_level(text).map(|(level, _)| level)
}

impl Kind {
    fn learn(mut rests: Vec<&str>, context: Context) -> Self {
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
            let alone = [Field::Stamp, Field::Level, Field::Separator, Field::Piped, Field::Number, Field::Bracket, Field::Tag];
            let needed = |field: Field| match field {
                Field::Number | Field::Bracket | Field::Piped => STRICT.max(strong(field, tagged)),
                other => strong(other, tagged),
            };
            let mut next = alone.into_iter().find(|f| share(&rests, &[*f], context) >= needed(*f)).map(|f| vec![f]);
            if next.is_none() && !tagged && !few {
                let behind = [Field::Stamp, Field::Level, Field::Tag, Field::Bracket];
                next = (1..=3)
                    .flat_map(|n| behind.into_iter().map(move |f| [Field::Words(n), f]))
                    .find(|pair| {
                        let needed = if pair.get(1) == Some(&Field::Bracket) { STRICT } else { COVERAGE };
                        share(&rests, pair, context) >= needed
                    })
                    .map(|pair| pair.to_vec())
                    .or_else(|| (share(&rests, &[Field::Dashed], context) >= COVERAGE).then(|| vec![Field::Dashed]));
            }
            let Some(next) = next else { break };
            for field in next {
                tagged |= matches!(field, Field::Tag | Field::Dashed);
                for rest in &mut rests {
                    if let Some(used) = field.eat(rest, context) {
                        *rest = rest.get(used..).unwrap_or("");
                    }
                }
                fields.push(field);
            }
        }
        Self { fields }
    }
}

/// The share of lines that begin with these fields.
fn share(rests: &[&str], fields: &[Field], context: Context) -> f64 {
    let has = |rest: &&&str| {
        let mut at = 0;
        for field in fields {
            match rest.get(at..).and_then(|r| field.eat(r, context)) {
                Some(used) => at += used,
                None => return false,
            }
        }
        true
    };
    rests.iter().filter(has).count() as f64 / rests.len().max(1) as f64
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
                "CBS    Loaded it",
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
