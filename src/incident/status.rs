//! Status and the phase that follows from it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where an incident stands. `mitigated`: the impact is contained, the cause not yet fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Triage,
    Investigating,
    Identified,
    Mitigated,
    Monitoring,
    Resolved,
    Closed,
    /// A false alarm.
    Cancelled,
    Merged,
}

impl Status {
    /// Every status, in the order of an incident's life; the two ways out last.
    pub const ALL: [Self; 9] = [
        Self::Triage,
        Self::Investigating,
        Self::Identified,
        Self::Mitigated,
        Self::Monitoring,
        Self::Resolved,
        Self::Closed,
        Self::Cancelled,
        Self::Merged,
    ];

    /// The word as printed and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Triage => "triage",
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Mitigated => "mitigated",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
            Self::Merged => "merged",
        }
    }

    /// Whether somebody still works on it.
    pub fn is_open(self) -> bool {
        self < Self::Resolved
    }

    /// The phase that this status belongs to; `None` for the two ways out.
    pub fn phase(self) -> Option<Phase> {
        Some(match self {
            Self::Triage => Phase::Detection,
            Self::Investigating | Self::Identified => Phase::Assessment,
            Self::Mitigated => Phase::Containment,
            Self::Monitoring => Phase::Recovery,
            Self::Resolved | Self::Closed => Phase::PostIncident,
            Self::Cancelled | Self::Merged => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A status that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a status: give triage, investigating, identified, mitigated, monitoring, resolved, closed or cancelled")]
pub struct StatusError(String);

impl FromStr for Status {
    type Err = StatusError;
    fn from_str(text: &str) -> Result<Self, StatusError> {
        let lower = text.trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|s| s.word() == lower).ok_or_else(|| StatusError(text.chars().take(40).collect()))
    }
}

/// A group of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Detection,
    Assessment,
    Containment,
    Recovery,
    #[serde(rename = "post-incident")]
    PostIncident,
}

impl Phase {
    /// The word as printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::Assessment => "assessment",
            Self::Containment => "containment",
            Self::Recovery => "recovery",
            Self::PostIncident => "post-incident",
        }
    }
}
