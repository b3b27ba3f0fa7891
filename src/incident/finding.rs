//! Findings and suspects that cite evidence, and the status of the queried sources.

use serde::{Deserialize, Serialize};

use super::ids::EvidenceId;
use super::severity::Severity;
use crate::telemetry::{Labels, Timestamp};

/// The kind of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// What most likely happened, in one paragraph.
    Conclusion,
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
    #[default]
    Gap,
}

/// Whether there is an incident at all, and whether it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Situation {
    /// Nothing fires and nothing left its normal range.
    Healthy,
    /// Nothing fires and everything is back to normal.
    Recovered,
    /// Everything is back to normal, but alerts still fire.
    Recovering,
    /// Nothing fires, but something is still off.
    NotOver,
    /// Alerts fire, but the data show no cause.
    Inconclusive,
    /// Two causes without a known connection.
    TwoCauses,
}

/// How certain a conclusion is, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    #[default]
    Low,
    Medium,
    High,
}

impl Certainty {
    /// The word as printed: `low`, `medium` or `high`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What most likely happened, as values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conclusion {
    /// Whether there is an incident; `None` if it is plainly going on.
    pub situation: Option<Situation>,
    /// The services that it most likely began with: none, one, or two if there are two causes.
    pub origins: Vec<String>,
    /// How the origin fails, such as `db_pool is at 100%`.
    pub mechanism: Option<String>,
    /// The change that most likely caused it, such as `checkout version 1.41.3 → 1.42.0`, and when it happened.
    pub trigger: Option<String>,
    pub trigger_at: Option<Timestamp>,
    /// What else is affected, such as `gateway is affected as well`.
    pub extent: Option<String>,
    pub certainty: Certainty,
    /// What would show whether it is true.
    pub test: Option<String>,
}

impl FindingKind {
    /// The label to display.
    pub fn word(self) -> &'static str {
        match self {
            Self::Conclusion => "conclusion",
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The service that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// For a metric: the measured quantity; for a log pattern: its template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// For a verdict: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub situation: Option<Situation>,
    /// For a proposed severity: the severity and the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<(Severity, String)>,
    /// For a conclusion: its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
    /// The findings that it sums up, in order; their rank counts within it. Empty if it is a single finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<CitedFinding>,
}

impl CitedFinding {
    /// The severity that this finding proposes, and the reason. Entries of older versions have it only in their title.
    pub fn proposed_severity(&self) -> Option<(Severity, &str)> {
        if let Some((severity, reason)) = &self.severity {
            return Some((*severity, reason));
        }
        let (severity, reason) = self.title.strip_prefix("Proposed severity ")?.split_once(": ")?;
        Some((severity.parse().ok()?, reason)).filter(|_| self.kind == FindingKind::Severity)
    }

    /// The likely cause in one sentence with its evidence, such as `checkout: db_pool is at 100%, after checkout version 1.41.3 →
    /// 1.42.0 [E6][E8]`; `None` if this is not a conclusion with an origin.
    pub fn in_short(&self) -> Option<String> {
        let parts = self.conclusion.as_ref().filter(|p| !p.origins.is_empty())?;
        let how = parts.mechanism.as_deref().unwrap_or("it began there");
        let after = parts.trigger.as_ref().map(|t| format!(", after {t}")).unwrap_or_default();
        let tags: String = self.evidence.iter().take(3).map(|e| format!("[{e}]")).collect();
        Some(format!("{}: {how}{after} {tags}", parts.origins.join(" and ")).trim_end().to_owned())
    }

    /// The findings behind this one: those that it sums up, or itself.
    pub fn parts(&self) -> &[CitedFinding] {
        if self.details.is_empty() { std::slice::from_ref(self) } else { &self.details }
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
