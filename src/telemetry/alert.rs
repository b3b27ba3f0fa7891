//! Alerts, the alerting rules they come from, and the silences that suppress them.

use serde::{Deserialize, Serialize};

use super::series::{Labels, service_of};
use super::time::Timestamp;

/// The severity of an alert. The severity of an incident is separate and set by people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    Critical,
    High,
    Warning,
    Info,
    Low,
    /// No `severity` label, or an unrecognised value.
    Unknown,
}

impl AlertSeverity {
    /// Parses the value of a `severity` or `priority` label as common alerting tools write it, in any case. Any other value
    /// is `Unknown`.
    pub fn from_label(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "critical" | "crit" | "page" | "emergency" | "fatal" | "p1" | "sev1" | "disaster" => Self::Critical,
            "high" | "error" | "major" | "p2" | "sev2" => Self::High,
            "warning" | "warn" | "moderate" | "average" | "p3" | "sev3" | "ticket" => Self::Warning,
            "info" | "information" | "notice" | "none" | "p5" | "sev5" => Self::Info,
            "low" | "minor" | "p4" | "sev4" => Self::Low,
            _ => Self::Unknown,
        }
    }

    /// A short form for lists, at most four columns wide: `crit`, `high`, `warn`, `info`, `low`, `?`.
    pub fn short(self) -> &'static str {
        match self {
            Self::Critical => "crit",
            Self::High => "high",
            Self::Warning => "warn",
            Self::Info => "info",
            Self::Low => "low",
            Self::Unknown => "?",
        }
    }
}

/// The state of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Firing,
    Acknowledged,
    Pending,
    /// Firing, but hidden by a silence or an inhibition rule.
    Suppressed,
    Resolved,
}

impl AlertState {
    /// The state as printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Pending => "pending",
            Self::Suppressed => "suppressed",
            Self::Resolved => "resolved",
        }
    }
}

/// A silence that suppresses an alert, as reported by Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    pub created_by: String,
    pub comment: String,
    pub ends_at: Option<Timestamp>,
}

/// An alert from any backend, cleaned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Alertmanager's fingerprint, or one computed from the labels in the same way (see `sources::fingerprint`).
    pub fingerprint: String,
    pub name: String,
    pub severity: AlertSeverity,
    pub state: AlertState,
    /// When it started firing, or became pending if it is still pending.
    pub starts_at: Option<Timestamp>,
    /// When its condition first held, if the backend reports it: Prometheus's `activeAt`, before the rule's `for` has
    /// passed.
    pub pending_since: Option<Timestamp>,
    pub labels: Labels,
    pub annotations: Labels,
    /// The configured name of the source.
    pub source: String,
    /// How many times this program has seen the fingerprint start firing; at least 1.
    pub occurrences: u32,
    /// The value of the rule's expression, if the backend reports it.
    pub value: Option<f64>,
    pub silenced_by: Vec<Silence>,
    pub inhibited_by: Vec<String>,
    /// A link to the expression in the backend, cleaned; may be empty.
    pub generator_url: String,
}

impl Alert {
    /// The service of the alert, from its labels (see [`service_of`]).
    pub fn service(&self) -> Option<&str> {
        service_of(&self.labels)
    }

    /// The first of the annotations `summary`, `message`, `description` and `title` that is present, else the name.
    pub fn summary(&self) -> &str {
        ["summary", "message", "description", "title"]
            .iter()
            .find_map(|k| self.annotations.get(*k))
            .map_or(self.name.as_str(), String::as_str)
    }

    /// Whether the alert is firing and not suppressed or acknowledged.
    pub fn is_firing(&self) -> bool {
        self.state == AlertState::Firing
    }
}

/// An alerting rule of a metrics backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub name: String,
    pub query: String,
    /// The rule's `for`, in seconds.
    pub for_secs: f64,
    pub labels: Labels,
    pub annotations: Labels,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_severities_of_common_tools() {
        for (word, severity) in [
            ("Critical", AlertSeverity::Critical),
            ("page", AlertSeverity::Critical),
            ("WARN", AlertSeverity::Warning),
            ("P2", AlertSeverity::High),
            ("", AlertSeverity::Unknown),
            ("purple", AlertSeverity::Unknown),
        ] {
            assert_eq!(AlertSeverity::from_label(word), severity, "{word}");
        }
    }
}
