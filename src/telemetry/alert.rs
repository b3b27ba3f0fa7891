//! Alerts, the alerting rules they come from, and the silences that suppress them.

use serde::{Deserialize, Serialize};

use super::series::Labels;
use super::subject::{Subject, service_of, subject_of};
use super::time::Timestamp;

/// The severity of an alert. The severity of an incident is separate and set by people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    Critical,
    High,
    Warning,
    Info,
    Low,
    /// No `severity` label, or an unrecognised value.
    #[default]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    #[default]
    Firing,
    Acknowledged,
    Pending,
    /// Firing, but hidden by a silence, an inhibition rule or a mute interval.
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The unit of the value, from the rule's expression: `s`, `B`, or `%` for a share from 0 to 1; empty if it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    pub silenced_by: Vec<Silence>,
    /// Fingerprints of the alerts that inhibit it.
    pub inhibited_by: Vec<String>,
    /// Names of the time intervals that mute it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub muted_by: Vec<String>,
    /// A link to the expression in the backend, cleaned; may be empty.
    pub generator_url: String,
    /// The fingerprints under which other sources, or replicas, list the same alert.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The other sources that list it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
    /// Whether it always fires, to show that alerting works: its expression is a constant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_constant: bool,
}

/// Names of alerts that always fire by design (kube-prometheus, VictoriaMetrics, dead man's switches).
const HEARTBEAT_NAMES: [&str; 5] = ["watchdog", "infoinhibitor", "deadmansswitch", "deadmansnitch", "heartbeat"];

impl Alert {
    /// What the alert is about, from its labels (see [`subject_of`]).
    pub fn subject(&self) -> Option<Subject<'_>> {
        subject_of(&self.labels)
    }

    /// The service or workload of the alert, from its labels (see [`service_of`]).
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

    /// The summary as the title of an incident. Figures in it change, so that a summary with figures says when they were read:
    /// `checkout fails 17% of requests (at 09:31 UTC)`.
    pub fn headline(&self, at: Timestamp) -> String {
        let summary = self.summary();
        let is_figure = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
        if !summary.split_whitespace().any(is_figure) {
            return summary.to_owned();
        }
        let clock = at.clock(time::UtcOffset::UTC);
        format!("{summary} (at {} UTC)", clock.get(..5).unwrap_or(&clock))
    }

    /// Whether the alert is firing and not suppressed or acknowledged.
    pub fn is_firing(&self) -> bool {
        self.state == AlertState::Firing
    }

    /// When its condition first held, as far as is known.
    pub fn began_at(&self) -> Option<Timestamp> {
        self.pending_since.or(self.starts_at)
    }

    /// Whether it fires all the time by design, and so says nothing about an incident.
    pub fn is_heartbeat(&self) -> bool {
        let name: String = self.name.chars().filter(|c| c.is_alphanumeric()).collect();
        self.is_constant
            || HEARTBEAT_NAMES.contains(&name.to_ascii_lowercase().as_str())
            || self.labels.get("severity").is_some_and(|s| s.eq_ignore_ascii_case("none"))
    }

    /// All fingerprints of the alert, its own first.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.fingerprint.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// All sources that list it.
    pub fn listed_in(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.source.as_str()).chain(self.also_in.iter().map(String::as_str))
    }
}

/// How much the labels of two alerts of one name differ if they are the same alert: the number of labels that only one of them has.
/// `None` if they are different alerts.
///
/// On the way from Prometheus to Alertmanager an alert gains external labels, so the labels of one include those of the other. Labels
/// that name a replica of the server do not count, because replicas send the same alerts.
pub fn same_alert(a: &Labels, b: &Labels) -> Option<usize> {
    let own = |labels: &'_ Labels| labels.iter().filter(|(name, value)| !value.is_empty() && !names_replica(name)).count();
    let (small, large) = if own(a) <= own(b) { (a, b) } else { (b, a) };
    // What was redacted cannot be compared.
    let is_redacted = |value: &str| value.contains("<redacted:");
    let has = |name: &str, value: &str| large.get(name).is_some_and(|v| v == value || is_redacted(v) || is_redacted(value));
    let is_included = small.iter().all(|(name, value)| value.is_empty() || names_replica(name) || has(name, value));
    is_included.then(|| own(large) - own(small))
}

/// Whether a label names one of several servers that evaluate the same rules: `prometheus_replica`, `__replica__`,
/// `thanos_ruler_replica`. A plain `replica` may be a property of what is measured.
pub(crate) fn names_replica(label: &str) -> bool {
    label != "replica" && label.trim_matches('_').split('_').any(|word| word == "replica")
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
    fn labels_that_were_added_on_the_way_do_not_make_another_alert() {
        let labels = |text: &str| -> Labels {
            text.split(' ').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
        };
        let same = |a: &str, b: &str| same_alert(&labels(a), &labels(b));
        assert_eq!(same("alertname=A service=x", "alertname=A service=x cluster=eu"), Some(1));
        assert_eq!(same("alertname=A service=x cluster=eu", "alertname=A service=x"), Some(1), "in either order");
        assert_eq!(same("alertname=A service=x", "alertname=A service=y"), None);
        assert_eq!(same("alertname=A service=x prometheus_replica=0", "alertname=A service=x prometheus_replica=1"), Some(0));
        assert_eq!(same("alertname=A __replica__=a", "alertname=A cluster=eu"), Some(1));
        assert_eq!(same("alertname=Lag replica=0", "alertname=Lag replica=1"), None, "the replica of a database");
        assert_eq!(same("alertname=A team=", "alertname=A"), Some(0), "an empty label is no label");
    }

    #[test]
    fn alerts_that_always_fire_are_known_by_name_severity_or_expression() {
        let named = |name: &str| Alert { name: name.into(), ..Alert::default() };
        assert!(named("Watchdog").is_heartbeat() && named("DeadMansSwitch").is_heartbeat() && !named("Down").is_heartbeat());
        let labels = Labels::from([("severity".into(), "None".into())]);
        assert!(Alert { labels, ..named("Down") }.is_heartbeat());
        assert!(Alert { is_constant: true, ..named("Down") }.is_heartbeat());
    }

    #[test]
    fn a_title_says_when_its_figures_were_read() {
        let of = |text: &str| {
            let annotations = Labels::from([("summary".into(), text.into())]);
            Alert { annotations, ..Alert::default() }.headline(Timestamp::from_secs(1_795_253_460))
        };
        assert_eq!(of("checkout fails 17% of requests"), "checkout fails 17% of requests (at 09:31 UTC)");
        assert_eq!(of("node-3 is down"), "node-3 is down");
    }

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
