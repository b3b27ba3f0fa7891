//! Findings and suspects that cite evidence, and the status of the queried sources.

use serde::{Deserialize, Serialize};

use super::ids::EvidenceId;
use super::severity::Severity;
use crate::telemetry::{Labels, Timestamp};

/// The kind of a finding. Reports list findings in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Which alerts are firing, or that none are.
    Alerts,
    /// That the system is healthy, or has recovered.
    Verdict,
    /// A severity proposed from the severity matrix, with reasons.
    Severity,
    /// A service that is a probable origin of the incident.
    Suspect,
    /// Evidence that contradicts the leading suspect.
    #[serde(rename = "against")]
    Contradiction,
    /// A metric that left its baseline.
    #[serde(rename = "moved")]
    Metric,
    /// A log pattern that is new or much more frequent.
    Pattern,
    /// A deploy, restart or flag change just before or during the incident.
    Change,
    /// A dependency of a suspect, or a service that depends on one.
    Dependency,
    /// An error budget that is burning too fast.
    Slo,
    /// A resource that is full, or soon will be.
    Saturation,
    /// Something that has expired or run out, or soon will.
    Expiring,
    /// Alerts that are related by their labels.
    Related,
    /// A metric or service that did not change, and so contradicts a hypothesis.
    Unchanged,
    /// A data gap: what could not be checked, and why.
    Gap,
}

impl FindingKind {
    /// The label to display.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Verdict => "verdict",
            Self::Severity => "severity",
            Self::Suspect => "suspect",
            Self::Contradiction => "contradicts",
            Self::Metric => "metric",
            Self::Pattern => "logs",
            Self::Change => "change",
            Self::Dependency => "dependency",
            Self::Slo => "error budget",
            Self::Saturation => "saturation",
            Self::Expiring => "expiring",
            Self::Related => "related",
            Self::Unchanged => "unchanged",
            Self::Gap => "data gap",
        }
    }
}

/// A finding of the built-in rules, with the evidence that supports and contradicts it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CitedFinding {
    /// From 1, most important first.
    pub rank: u32,
    pub kind: FindingKind,
    pub title: String,
    pub text: String,
    /// 0 to 1: how well the evidence supports the finding, not how likely it is the cause.
    pub confidence: f64,
    /// When it happened; `None` if it is not a single point in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Evidence that supports the finding.
    pub evidence: Vec<EvidenceId>,
    /// Evidence that contradicts the finding.
    pub against: Vec<EvidenceId>,
}

impl CitedFinding {
    /// The severity that this finding proposes, and the reason, read from a title such as `Proposed severity SEV2: reason`.
    /// `None` for other kinds of finding.
    pub fn proposed_severity(&self) -> Option<(Severity, &str)> {
        let (severity, reason) = self.title.strip_prefix("Proposed severity ")?.split_once(": ")?;
        Some((severity.parse().ok()?, reason)).filter(|_| self.kind == FindingKind::Severity)
    }
}

/// A metric, or a service's logs, in which the incident may have started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CitedSuspect {
    pub service: Option<String>,
    /// The measured quantity; empty if only the logs point to the service.
    pub title: String,
    /// Labels that identify the series in its evidence.
    pub labels: Labels,
    pub unit: String,
    /// The score of the service, 0 or higher.
    pub score: f64,
    /// `up`, `down` or `flat`.
    pub direction: String,
    pub changed_at: Option<Timestamp>,
    pub before: Option<f64>,
    pub after: Option<f64>,
    pub why: String,
    pub evidence: Vec<EvidenceId>,
}

/// The result of querying a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceStatus {
    Ok,
    Failed,
    Stale,
}

/// The status of one queried source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceReport {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: SourceStatus,
    pub error: Option<String>,
    /// The kind of the error in a word for a narrow column, such as `timeout`.
    #[serde(default)]
    pub fault: Option<String>,
    /// The remedy for the error.
    #[serde(default)]
    pub remedy: Option<String>,
    /// Age of the data shown, in seconds; `None` if the source never answered.
    pub age_secs: Option<f64>,
}
