//! Log lines after parsing.

use serde::{Deserialize, Serialize};

use super::series::Labels;
use super::time::Timestamp;

/// The level of a line, from the words of the usual loggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    /// From a word (`ERROR`, `warn`, `E`, syslog's `err`) in any case; `None` for anything else.
    pub fn from_word(word: &str) -> Option<Self> {
        let mut lower = [0_u8; 12];
        let bytes = word.as_bytes();
        let target = lower.get_mut(..bytes.len())?;
        target.copy_from_slice(bytes);
        target.make_ascii_lowercase();
        Some(match &*target {
            b"trace" | b"trce" | b"t" | b"finest" | b"finer" | b"verbose" | b"v" => Self::Trace,
            b"debug" | b"dbug" | b"dbg" | b"d" | b"fine" => Self::Debug,
            b"info" | b"i" | b"information" | b"notice" | b"note" | b"log" | b"inf" | b"config" | b"success" => Self::Info,
            b"warn" | b"warning" | b"w" | b"wrn" => Self::Warn,
            b"error" | b"err" | b"e" | b"severe" | b"failure" | b"fail" => Self::Error,
            b"fatal" | b"f" | b"crit" | b"critical" | b"alert" | b"emerg" | b"emergency" | b"panic" => Self::Fatal,
            _ => return None,
        })
    }

    /// From a number: bunyan and pino (10 to 60), else a syslog severity (0 to 7).
    pub fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            60.. => Self::Fatal,
            50..60 => Self::Error,
            40..50 => Self::Warn,
            30..40 => Self::Info,
            20..30 => Self::Debug,
            10..20 => Self::Trace,
            0..=2 => Self::Fatal,
            3 => Self::Error,
            4 => Self::Warn,
            5 | 6 => Self::Info,
            7 => Self::Debug,
            _ => return None,
        })
    }

    /// The word as printed, at most five columns.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// Whether a person looking for what broke wants to see it.
    pub fn is_bad(self) -> bool {
        self >= Self::Error
    }
}

/// One log event. A stack trace is one event: its further lines stand in `message` after a line feed each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The line's own time, or the backend's; `None` when neither is known.
    pub at: Option<Timestamp>,
    pub level: Option<Level>,
    pub service: Option<String>,
    /// The message without its header, cleaned.
    pub message: String,
    /// Stream labels or structured fields, cleaned; never the message again.
    pub fields: Labels,
}

impl LogLine {
    /// A line of which nothing but its text is known.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { at: None, level: None, service: None, message: message.into(), fields: Labels::new() }
    }

    /// Whether its level, or the words of a line without one, say that something went wrong.
    pub fn is_bad(&self) -> bool {
        match self.level {
            Some(level) => level.is_bad(),
            None => {
                let head: String = self.message.chars().take(200).collect::<String>().to_ascii_lowercase();
                ["error", "exception", "panic", "fatal", "failed", "traceback"].iter().any(|w| head.contains(w))
            }
        }
    }
}

/// Lines of a live log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub lines: Vec<LogLine>,
    /// Lines shed before these because nobody could take them.
    pub dropped: u64,
    /// They were written before following began: they belong among the others by their times.
    pub is_past: bool,
}
