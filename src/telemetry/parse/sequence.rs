//! Which records of a stream are events, and which belong to the event before: stack traces, wrapped messages, private keys, what lacks the
//! header that the other lines have.

use std::time::Duration;

use super::super::log::Level;
use super::super::time::Timestamp;
use super::layout::Layout;
use super::record::{Form, Record};
use super::roles;

/// How far a time in a rare form is from the line before to be that of something quoted.
const FAR: Duration = Duration::from_hours(24);

/// How a trace goes on with another error.
const FURTHER_CAUSES: [&str; 4] =
    ["Caused by:", "Suppressed:", "During handling of the above exception", "The above exception was the direct cause"];

/// The place of a record in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It begins an event.
    Event,
    /// It belongs to the event before, or to none at the start of a stream.
    Further,
    /// The same, and it names the level of that event.
    FurtherWithLevel(Level),
    /// It is a header without a message, which dates the next record.
    HeaderAlone,
}

/// Finds the place of each record. Takes the records of one stream in order.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    /// The event that a record may continue.
    event: Option<LastEvent>,
    /// Whether the last event has a time, and whether it is text.
    is_timed: bool,
    shows_text: bool,
    /// What the last event is in the middle of.
    inside: Inside,
    /// The time of the last record that has one, and the level of the last event.
    last_at: Option<Timestamp>,
    last_level: Option<Level>,
    /// The time and level of a header that stood alone.
    header_alone: Option<(Option<Timestamp>, Option<Level>)>,
}

/// What is known of the last event by its first line.
#[derive(Clone, Copy, Debug)]
struct LastEvent {
    is_indented: bool,
    /// Whether it has a time and no level, so that the next line may name it.
    awaits_level: bool,
}

/// Texts of several lines that do not end where a line looks like a beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    /// A private key, which redaction recognises only as a whole.
    Key,
    /// A Python traceback, whose last line is not indented and may name any error.
    Traceback,
    /// A panic of Go with its goroutines.
    Panic,
}

impl Sequence {
    /// Whether the record placed last has a time, or belongs to an event that has one.
    pub fn is_timed(&self) -> bool {
        self.is_timed
    }

    /// Ends the last event: the next record begins one.
    pub fn end_event(&mut self) {
        self.event = None;
    }

    /// Finds the place of the next record, and completes its time and level from the records before it. `raw` is its text.
    pub fn place(&mut self, raw: &str, record: &mut Record, layout: &Layout) -> Place {
        match record.form {
            Form::Blank | Form::Frame => return Place::Further,
            // A header alone on a line dates a structure without a time as well.
            Form::Structured if record.at.is_none() && self.header_alone.is_some() => {
                let (at, level) = self.header_alone.take().unwrap_or_default();
                (record.at, record.level) = (at, record.level.or(level));
                return self.begin(raw, record, false);
            }
            // A structure that an event of text shows, such as the answer to a request, is part of it.
            Form::Structured
                if self.shows_text && self.is_timed && (record.at.is_none() && record.level.is_none() || is_indented(raw)) =>
            {
                return Place::Further;
            }
            Form::Structured => return self.begin(raw, record, false),
            Form::Text => {}
        }
        if record.is_rare
            && self.last_level.is_some_and(Level::is_error)
            && self.last_at.zip(record.at).is_some_and(|(last, at)| last.secs_since(at).abs() > FAR.as_secs_f64())
        {
            // A trace may quote the line of another program, with the time of its day.
            record.at = None;
        }
        // An indented line may name a time as well, but not in the form of the headers.
        if record.is_minor && self.is_timed && is_indented(raw) && self.event.is_some_and(|event| !event.is_indented) {
            record.at = None;
        }
        // A header alone on a line dates what follows.
        if let (None, Some((at, level))) = (record.at, self.header_alone.take()) {
            (record.at, record.level) = (at, record.level.or(level).or_else(|| level_of_pair(raw)));
            return self.begin(raw, record, false);
        }
        if record.at.is_some() {
            if says_nothing(record.message(raw)) {
                self.header_alone = Some((record.at, record.level));
                self.is_timed = true;
                return Place::HeaderAlone;
            }
            return self.begin(raw, record, false);
        }
        let is_trace = self.continues(raw);
        // A logger may write the level at the start of a second line.
        let awaits_level = self.event.as_ref().is_some_and(|e| e.awaits_level);
        let named = || record.level.filter(|_| names_level(raw)).or_else(|| level_of_pair(raw));
        if let (Some(level), Some(event)) = (if awaits_level { named() } else { None }, self.event.as_mut()) {
            event.awaits_level = false;
            self.last_level = Some(level);
            return Place::FurtherWithLevel(level);
        }
        // In a stream with times, a line without the header of the others belongs to the event before it, unless it names a level as a line
        // of its own does. What is before the first header belongs to no event, but to a stream with times.
        let is_preface = self.event.is_none() && layout.has_times();
        let is_part = (self.is_timed || is_preface) && !layout.has_untimed_lines() && !names_level(raw);
        if self.event.is_some() && (is_trace || is_part) {
            Place::Further
        } else {
            self.begin(raw, record, is_preface && (is_part || is_trace))
        }
    }

    /// Begins an event. `is_preface`: it has no time, and belongs to a stream with times.
    fn begin(&mut self, raw: &str, record: &Record, is_preface: bool) -> Place {
        let awaits_level = record.at.is_some() && record.level.is_none();
        self.event = Some(LastEvent { is_indented: is_indented(raw), awaits_level });
        self.is_timed = record.at.is_some() || is_preface;
        self.shows_text = record.form == Form::Text;
        (self.last_at, self.last_level) = (record.at.or(self.last_at), record.level);
        self.inside = Inside::begun_by(raw);
        Place::Event
    }

    /// Whether a line without a time continues the last event by what it says.
    fn continues(&mut self, raw: &str) -> bool {
        let is_indented = is_indented(raw);
        if self.inside == Inside::Key {
            if raw.contains("-----END ") {
                self.inside = Inside::Nothing;
            }
            return true;
        }
        let begun = Inside::begun_by(raw);
        if begun != Inside::Nothing {
            let is_other = begun == Inside::Panic && !raw.starts_with("goroutine ");
            self.inside = begun;
            return !is_other;
        }
        // The last line of a Python traceback.
        if self.inside == Inside::Traceback && !is_indented {
            self.inside = Inside::Nothing;
            return raw.split(':').next().is_some_and(|w| !w.contains(' ') && w.ends_with(|c: char| c.is_alphanumeric()));
        }
        if self.inside == Inside::Panic
            && (raw.ends_with(')') || raw.starts_with("created by ") || raw.starts_with("exit status "))
        {
            return true;
        }
        let word = raw.split([':', ' ']).next().unwrap_or("");
        let names_error = self.is_timed && word.len() > 9 && (word.ends_with("Exception") || word.ends_with("Error"));
        // Where events are indented, that of a line says nothing.
        is_indented && (self.is_timed || !self.event.is_some_and(|e| e.is_indented))
            || names_error
            || FURTHER_CAUSES.iter().any(|prefix| raw.starts_with(prefix))
    }
}

impl Inside {
    /// What a line begins.
    fn begun_by(raw: &str) -> Self {
        if raw.starts_with("Traceback (most recent call last)") {
            return Self::Traceback;
        }
        if raw.starts_with("panic: ") || raw.starts_with("goroutine ") && raw.ends_with("]:") {
            return Self::Panic;
        }
        let is_key = raw.ends_with("PRIVATE KEY-----") && raw.contains("-----BEGIN ");
        if is_key { Self::Key } else { Self::Nothing }
    }
}

fn is_indented(raw: &str) -> bool {
    raw.starts_with([' ', '\t'])
}

/// Whether a message says nothing: it is empty, or a mark or two. A line of dashes is a message.
fn says_nothing(message: &str) -> bool {
    const MARKS: usize = 2;
    let message = message.trim();
    // Of up to four bytes each.
    message.len() <= 4 * MARKS && message.chars().count() <= MARKS && !message.chars().any(char::is_alphanumeric)
}

/// The level of a line that is a level's key and its value: `    PRIORITY=3`, `LevelDisplayName : Error`.
fn level_of_pair(raw: &str) -> Option<Level> {
    let (key, value) = raw.split_once(['=', ':'])?;
    let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
    let is_key = roles::is_level_key(&key) || key.ends_with("leveldisplayname");
    let value = value.split([' ', '(']).next().unwrap_or(value);
    match value.parse::<i64>() {
        Ok(number) => Level::from_number(number).filter(|_| is_key && key.len() < MAX_KEY),
        Err(_) => Level::from_word(value).filter(|_| is_key && key.len() < MAX_KEY),
    }
}

/// The longest key of a level, in bytes.
const MAX_KEY: usize = 30;

/// Whether a line begins with a level in capitals or in brackets.
fn names_level(raw: &str) -> bool {
    let word = raw.trim_start_matches(['[', '<', '(']);
    let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
    let name = word.get(..letters).unwrap_or_default();
    let is_marked = word.len() < raw.len() || name.bytes().all(|b| b.is_ascii_uppercase());
    letters > 3 && is_marked && Level::from_word(name).is_some()
}
