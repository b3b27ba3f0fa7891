//! The record of an evidence item: everything but its body, which the journal keeps by digest.

use serde::{Deserialize, Serialize};

use super::ids::EvidenceId;
use crate::telemetry::{Timestamp, Window};

/// What an evidence item holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    Alerts,
    Metric,
    Logs,
    /// Log lines grouped into patterns.
    Patterns,
    /// What was done: deploys, commits, scalings.
    Changes,
    /// What the program concluded from other evidence: alert relations, suspects.
    Analysis,
    /// Text that a person attached.
    Note,
}

impl EvidenceKind {
    /// The word as printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Metric => "metric",
            Self::Logs => "logs",
            Self::Patterns => "patterns",
            Self::Changes => "changes",
            Self::Analysis => "analysis",
            Self::Note => "note",
        }
    }
}

/// One numbered bit of evidence. The same source, query, window and digest is the same item and keeps its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRecord {
    pub id: EvidenceId,
    pub kind: EvidenceKind,
    /// The configured name of the source; `warroom` for what the program derived.
    pub source: String,
    /// The exact query, path or call.
    pub query: String,
    pub window: Window,
    pub taken_at: Timestamp,
    /// One line that stands for the whole in lists.
    pub summary: String,
    /// SHA-256 of the redacted body, as 64 hexadecimal digits.
    pub digest: String,
    /// `false` when a limit, a failure or partial data cut it; `gaps` says why.
    pub complete: bool,
    pub gaps: Vec<String>,
    /// Items in the body and items that there were (lines, series, alerts); equal when nothing was cut.
    pub shown: u64,
    pub total: u64,
    /// How often the redaction engine replaced something in the body.
    pub redactions: u64,
}

impl EvidenceRecord {
    /// Whether both describe the same bit of evidence.
    pub fn is_same(&self, other: &Self) -> bool {
        self.source == other.source && self.query == other.query && self.window == other.window && self.digest == other.digest
    }
}
