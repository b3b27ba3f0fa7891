//! Silences: which alerts notify no one, until when, and who said so.

use std::time::Duration;

use super::Timestamp;
use super::matcher::Matcher;
use super::series::Labels;

/// Whether a silence is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilenceState {
    /// It begins later.
    Pending,
    Active,
    Expired,
}

impl SilenceState {
    /// The word to display.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

/// A silence that a server has.
#[derive(Clone, Debug, PartialEq)]
pub struct SilenceRecord {
    pub id: String,
    /// The configured name of its source.
    pub source: String,
    pub matchers: Vec<Matcher>,
    pub state: SilenceState,
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Timestamp>,
    pub created_by: String,
    pub comment: String,
}

impl SilenceRecord {
    /// How long it is still in force. `None` if it is not in force, or without an end.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        self.ends_at.filter(|end| self.state == SilenceState::Active && *end > now).map(|end| end.since(now))
    }
}

/// A silence with the alerts that it hides now.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedSilence {
    pub silence: SilenceRecord,
    /// Names and fingerprints of the alerts.
    pub hides: Vec<(String, String)>,
}

/// A silence to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSilence {
    /// All of them must match.
    pub matchers: Vec<Matcher>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub created_by: String,
    pub comment: String,
}

/// Whether all matchers match a set of labels. Without matchers, none does: a silence of everything is never meant.
pub fn hides(matchers: &[Matcher], labels: &Labels) -> bool {
    !matchers.is_empty() && matchers.iter().all(|m| m.matches(labels))
}
