//! Incident status, and the phase that each status belongs to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The status of an incident. `Mitigated` means that the impact is contained but the cause is not fixed yet.
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
    /// Part of another incident.
    Merged,
}

impl Status {
    /// Every status in lifecycle order, with `Cancelled` and `Merged` last.
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

    /// The word for this status as typed, stored and printed.
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

    /// Whether the incident is still being worked on: any status before `Resolved`.
    pub fn is_open(self) -> bool {
        self < Self::Resolved
    }

    /// The phase of this status; `None` for `Cancelled` and `Merged`.
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

/// The error for text that does not name a status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a status; use triage, investigating, identified, mitigated, monitoring, resolved, closed or cancelled")]
pub struct StatusError(String);

impl FromStr for Status {
    type Err = StatusError;
    fn from_str(text: &str) -> Result<Self, StatusError> {
        let lower = text.trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|s| s.word() == lower).ok_or_else(|| StatusError(text.chars().take(40).collect()))
    }
}

/// A phase of incident response, which groups statuses.
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
    /// The label to display.
    pub fn title(self) -> &'static str {
        match self {
            Self::Detection => "Detection",
            Self::Assessment => "Assessment",
            Self::Containment => "Containment",
            Self::Recovery => "Recovery",
            Self::PostIncident => "Post-incident",
        }
    }
}
