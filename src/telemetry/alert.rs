//! Alerts, the rules they come from and the silences that hide them.

use serde::{Deserialize, Serialize};

use super::series::{Labels, service_of};
use super::time::Timestamp;

/// How loud the alert itself is; not the severity of an incident, which people set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    Critical,
    High,
    Warning,
    Info,
    Low,
    /// No `severity` label, or a word that we do not know.
    Unknown,
}

impl AlertSeverity {
    /// From the word of a `severity` (or `priority`) label, in any case and in the dialects of the usual tools.
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

    /// Four columns at most, for lists: `crit`, `high`, `warn`, `info`, `low`, `?`.
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

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Firing,
    Acknowledged,
    Pending,
    /// Silenced or inhibited: it fires, and somebody or a rule hides it.
    Suppressed,
    Resolved,
}

impl AlertState {
    /// The word as printed.
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

/// A silence that hides an alert, as Alertmanager tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    pub created_by: String,
    pub comment: String,
    pub ends_at: Option<Timestamp>,
}

/// One alert, cleaned, from any backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Alertmanager's own fingerprint, or one computed from the labels in the same way (see `sources::fingerprint`).
    pub fingerprint: String,
    pub name: String,
    pub severity: AlertSeverity,
    pub state: AlertState,
    /// When it began to fire (for a pending alert: began to pend).
    pub starts_at: Option<Timestamp>,
    /// When its condition first held, where the backend tells: Prometheus's `activeAt`, before the rule's `for`.
    pub pending_since: Option<Timestamp>,
    pub labels: Labels,
    pub annotations: Labels,
    /// The configured name of the source.
    pub source: String,
    /// How often this fingerprint began to fire as far as this program has seen; at least 1.
    pub occurrences: u32,
    /// The value of the expression, where the backend gives it.
    pub value: Option<f64>,
    pub silenced_by: Vec<Silence>,
    pub inhibited_by: Vec<String>,
    /// Link to the expression in the backend, cleaned; may be empty.
    pub generator_url: String,
}

impl Alert {
    /// The service it speaks of, by the usual labels.
    pub fn service(&self) -> Option<&str> {
        service_of(&self.labels)
    }

    /// The sentence a person reads first: the summary annotation, else the description, else the name.
    pub fn summary(&self) -> &str {
        ["summary", "message", "description", "title"]
            .iter()
            .find_map(|k| self.annotations.get(*k))
            .map_or(self.name.as_str(), String::as_str)
    }

    /// Whether it is firing and nothing hides it.
    pub fn is_firing(&self) -> bool {
        self.state == AlertState::Firing
    }
}

/// An alerting rule as a metrics backend evaluates it.
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
    fn severities_of_many_dialects() {
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
