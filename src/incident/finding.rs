//! Findings that cite evidence, and the report on the sources that were asked.

use serde::{Deserialize, Serialize};

use super::ids::EvidenceId;
use super::severity::Severity;
use crate::telemetry::{Alert, Labels, Timestamp};

/// What a finding is about; the order is the order of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// What fires, or that nothing does.
    Alerts,
    /// That all is well, or is well again.
    Verdict,
    /// A severity proposed against the matrix, with reasons.
    Severity,
    /// A service that it may have begun with.
    Suspect,
    /// What does not fit the leading suspect as the cause.
    Against,
    /// A series that left its baseline.
    Moved,
    /// A log pattern that is new or much more frequent.
    Pattern,
    /// A deploy, restart or switch just before or during it.
    Change,
    /// What the suspects depend on, or who depends on them.
    Dependency,
    /// An error budget that burns.
    Slo,
    /// Something that is full, or soon will be.
    Saturation,
    /// Something that has run out, or soon will.
    Expiring,
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
            Self::Verdict => "verdict",
            Self::Severity => "severity",
            Self::Suspect => "suspect",
            Self::Against => "against",
            Self::Moved => "moved",
            Self::Pattern => "new in logs",
            Self::Change => "changed",
            Self::Dependency => "dependency",
            Self::Slo => "budget",
            Self::Saturation => "saturated",
            Self::Expiring => "expiring",
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
    /// When it happened, where it happened at one moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    pub evidence: Vec<EvidenceId>,
    pub against: Vec<EvidenceId>,
}

impl CitedFinding {
    /// The severity that it proposes, and why: of findings of that kind, whose titles are `proposed severity SEV2: reason`.
    pub fn proposed(&self) -> Option<(Severity, &str)> {
        let (severity, reason) = self.title.strip_prefix("proposed severity ")?.split_once(": ")?;
        Some((severity.parse().ok()?, reason)).filter(|_| self.kind == FindingKind::Severity)
    }
}

/// A series, or a service's log, that an incident may have begun with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CitedSuspect {
    pub service: Option<String>,
    /// What it measures; empty when only the log speaks.
    pub title: String,
    /// Labels of the series within its evidence.
    pub labels: Labels,
    pub unit: String,
    /// Of its service; 0 and above.
    pub score: f64,
    /// `up`, `down` or `flat`.
    pub direction: String,
    pub changed_at: Option<Timestamp>,
    pub before: Option<f64>,
    pub after: Option<f64>,
    pub why: String,
    pub evidence: Vec<EvidenceId>,
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
