//! Evidence records: everything about an evidence item except its body, which the journal stores by digest.

use serde::{Deserialize, Serialize};

use super::ids::EvidenceId;
use crate::telemetry::{Names, Timestamp, Window};

/// The kind of data in an evidence item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    Alerts,
    Metric,
    Logs,
    /// Log lines grouped into patterns.
    Patterns,
    /// Recent changes: deploys, commits, scaling events.
    Changes,
    /// Results that the program derived from other evidence: alert relations, suspects.
    Analysis,
    /// Text that a person attached.
    Note,
}

impl EvidenceKind {
    /// The word to display.
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

/// A numbered evidence item. Evidence with the same source, query, window and digest is the same item and keeps its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRecord {
    pub id: EvidenceId,
    pub kind: EvidenceKind,
    /// The configured name of the source. `warroom` for derived results, `journal` for changes that people recorded, and the
    /// person's name for attached text.
    pub source: String,
    /// The exact query, path or API call.
    pub query: String,
    pub window: Window,
    pub taken_at: Timestamp,
    /// A one-line summary for lists.
    pub summary: String,
    /// SHA-256 of the redacted body, as 64 hexadecimal digits.
    pub digest: String,
    /// `false` if a limit, a failure or partial data cut the item short; `gaps` says why.
    pub complete: bool,
    pub gaps: Vec<String>,
    /// Number of items (lines, series, alerts) in the body.
    pub shown: u64,
    /// Number of items that the source had; equal to `shown` if nothing was cut.
    pub total: u64,
    /// Number of redactions in the body.
    pub redactions: u64,
    /// The internal names in the body; empty in entries of older versions.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    pub names: Names,
}

impl EvidenceRecord {
    /// Whether both records describe the same evidence.
    pub fn is_same(&self, other: &Self) -> bool {
        self.source == other.source && self.query == other.query && self.window == other.window && self.digest == other.digest
    }
}
