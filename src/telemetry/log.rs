//! Parsed log lines.

use serde::{Deserialize, Serialize};

use super::series::Labels;
use super::time::Timestamp;

/// The level of a log line.
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
    /// Parses a level word in any case (`ERROR`, `warn`, `E`, syslog's `err`). `None` for any other word.
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

    /// Parses a level number: bunyan and pino levels from 10 up, syslog severities from 0 to 7. `None` for any other number.
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

    /// The level as printed, at most five columns wide.
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

    /// Whether the level is `Error` or `Fatal`.
    pub fn is_error(self) -> bool {
        self >= Self::Error
    }
}

/// One log event. A stack trace is one event: its lines are in `message`, separated by line feeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The time in the line, or the backend's time for it; `None` if neither is known.
    pub at: Option<Timestamp>,
    pub level: Option<Level>,
    pub service: Option<String>,
    /// The message without its header, cleaned.
    pub message: String,
    /// Stream labels or structured fields, cleaned, without the message.
    pub fields: Labels,
}

impl LogLine {
    /// A line with a message and nothing else.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { at: None, level: None, service: None, message: message.into(), fields: Labels::new() }
    }

    /// Whether the line reports an error: by its level or, if it has none, by words such as `failed` near its start.
    pub fn is_error(&self) -> bool {
        self.level.map_or_else(|| names_error(&self.message), Level::is_error)
    }
}

/// Whether a message without a level reports an error, by words near its start.
pub fn names_error(message: &str) -> bool {
    let head: String = message.chars().take(200).collect::<String>().to_ascii_lowercase();
    ["error", "exception", "panic", "fatal", "failed", "traceback"].iter().any(|w| head.contains(w))
}

/// Lines received while following a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub lines: Vec<LogLine>,
    /// Number of lines dropped before these because the receiver was too slow.
    pub dropped: u64,
    /// Whether the lines were written before following began; they are then merged with the other lines by time.
    pub is_backlog: bool,
}
