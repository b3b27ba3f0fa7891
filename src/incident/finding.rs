//! Findings that cite evidence, and the report on the sources that were asked.

use serde::{Deserialize, Serialize};

use super::ids::EvidenceId;
use crate::telemetry::Alert;

/// What a finding is about; the order is the order of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// What fires, or that nothing does.
    Alerts,
    /// A series that left its baseline.
    Moved,
    /// A log pattern that is new or much more frequent.
    Pattern,
    /// Alerts that belong together by their labels.
    Related,
    /// A series or service that did not change, and so speaks against a theory.
    Unchanged,
    /// What could not be looked at, and why.
    Gap,
}

impl FindingKind {
    /// The word as printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alerts => "fired",
            Self::Moved => "moved",
            Self::Pattern => "new in logs",
            Self::Related => "related",
            Self::Unchanged => "unchanged",
            Self::Gap => "gap",
        }
    }
}

/// A finding of the rules, with the evidence for and against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CitedFinding {
    /// From 1, the most telling first.
    pub rank: u32,
    pub kind: FindingKind,
    pub title: String,
    pub text: String,
    /// 0 to 1: how well the evidence carries it, not how likely it is the cause.
    pub confidence: f64,
    pub evidence: Vec<EvidenceId>,
    pub against: Vec<EvidenceId>,
}

/// How a source answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceStatus {
    Ok,
    Failed,
    Stale,
}

/// One source that was asked, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceReport {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: SourceStatus,
    pub error: Option<String>,
    /// Age of the data shown, in seconds; `None` when it never answered.
    pub age_secs: Option<f64>,
}

/// What fires, and who said so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertBoard {
    pub alerts: Vec<Alert>,
    pub sources: Vec<SourceReport>,
    /// Names of sources that gave only a part, with the reason.
    pub gaps: Vec<String>,
}

impl AlertBoard {
    /// Whether any source told what fires.
    pub fn is_known(&self) -> bool {
        self.sources.iter().any(|s| s.status == SourceStatus::Ok)
    }
}
