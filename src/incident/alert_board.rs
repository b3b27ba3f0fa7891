//! The current alerts of all sources, and what they say about the alerts that are linked to an incident.

use super::fact::LinkedAlert;
use super::finding::{SourceReport, SourceStatus};
use crate::telemetry::alert::same_alert;
use crate::telemetry::{Alert, AlertState};

/// Why an answer of a source is incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceGap {
    pub source: String,
    pub text: String,
}

impl std::fmt::Display for SourceGap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.source, self.text)
    }
}

/// The current alerts and the status of the sources they came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertBoard {
    pub alerts: Vec<Alert>,
    pub sources: Vec<SourceReport>,
    /// Sources that returned only part of their data, each with the reason.
    pub gaps: Vec<SourceGap>,
    /// The names of all alert sources that are configured, also of those that have not answered yet.
    pub expected: Vec<String>,
}

/// What is known now about a linked alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlertNow<'a> {
    /// A source lists it: firing, pending, suppressed or acknowledged.
    Active(&'a Alert),
    /// A source that knows it has answered and no longer lists it.
    Ended,
    /// No source that knows it has answered.
    Unknown,
}

impl AlertBoard {
    /// Whether at least one source answered.
    pub fn any_source_answered(&self) -> bool {
        self.sources.iter().any(|s| s.status == SourceStatus::Ok)
    }

    /// Whether at least one alert source answered.
    pub fn any_alert_source_answered(&self) -> bool {
        let is_alert_source = |s: &&SourceReport| self.expected.contains(&s.name);
        self.sources.iter().filter(is_alert_source).any(|s| s.status == SourceStatus::Ok)
    }

    /// Whether an alert source is configured.
    pub fn has_alert_source(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Whether a source has answered in full.
    fn has_answered(&self, source: &str) -> bool {
        let is_ok = |s: &SourceReport| s.name == source && s.status == SourceStatus::Ok;
        self.sources.iter().any(is_ok) && !self.gaps.iter().any(|g| g.source == source)
    }

    /// The alert that was linked: by its fingerprint, else by its labels, because its fingerprint differs between sources. If several
    /// alerts fit, the one whose labels differ least.
    pub fn find(&self, linked: &LinkedAlert) -> Option<&Alert> {
        let has_fingerprint = |a: &&Alert| a.fingerprints().any(|f| linked.fingerprints().any(|own| own == f));
        let by_labels = || {
            let same_name = self.alerts.iter().filter(|a| linked.verified && a.name == linked.name);
            let differences = same_name.filter_map(|a| Some((same_alert(&linked.labels, &a.labels)?, a)));
            differences.min_by_key(|(difference, _)| *difference).map(|(_, a)| a)
        };
        self.alerts.iter().find(has_fingerprint).or_else(by_labels)
    }

    /// What is known now about a linked alert. Only a source that knows it can report that it has ended. If no source that knows it is
    /// configured any more, all others together decide.
    pub fn now(&self, linked: &LinkedAlert) -> AlertNow<'_> {
        match self.find(linked) {
            Some(alert) if alert.state != AlertState::Resolved => return AlertNow::Active(alert),
            Some(_) => return AlertNow::Ended,
            None => {}
        }
        let mut knowing = linked.listed_in().filter(|name| self.expected.iter().any(|e| e == name)).peekable();
        let is_known = match knowing.peek() {
            Some(_) => knowing.any(|name| self.has_answered(name)),
            None => !self.expected.is_empty() && self.expected.iter().all(|name| self.has_answered(name)),
        };
        if is_known { AlertNow::Ended } else { AlertNow::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Labels;

    fn labels(text: &str) -> Labels {
        text.split(' ').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    fn alert(fingerprint: &str, source: &str, text: &str) -> Alert {
        Alert {
            fingerprint: fingerprint.into(),
            name: "Down".into(),
            source: source.into(),
            labels: labels(text),
            ..Alert::default()
        }
    }

    fn report(name: &str, status: SourceStatus) -> SourceReport {
        SourceReport { name: name.into(), kind: String::new(), status, error: None, fault: None, remedy: None, age_secs: None }
    }

    fn board(alerts: Vec<Alert>, prometheus: SourceStatus, alertmanager: SourceStatus) -> AlertBoard {
        AlertBoard {
            alerts,
            sources: vec![report("prom", prometheus), report("am", alertmanager)],
            gaps: vec![],
            expected: vec!["prom".into(), "am".into()],
        }
    }

    #[test]
    fn a_linked_alert_is_found_in_any_source_by_its_labels() {
        let linked = LinkedAlert::from_alert(&alert("f-am", "am", "alertname=Down service=shop cluster=eu"));
        let other = alert("f1", "prom", "alertname=Down service=cart");
        let same = alert("f2", "prom", "alertname=Down service=shop");
        let found = board(vec![other, same.clone()], SourceStatus::Ok, SourceStatus::Failed);
        assert_eq!(found.now(&linked), AlertNow::Active(&same));
        // An alert that is known by its fingerprint only is not found by labels.
        assert_eq!(found.find(&LinkedAlert::unverified("f9")), None);
        assert_eq!(found.find(&LinkedAlert::unverified("f2")), Some(&same));
        // Of several alerts that fit, the one with the fewest other labels.
        let close = alert("f4", "prom", "alertname=Down service=shop cluster=eu");
        let found = board(vec![same, close.clone()], SourceStatus::Ok, SourceStatus::Failed);
        assert_eq!(found.find(&linked), Some(&close));
    }

    #[test]
    fn an_alert_has_ended_only_if_a_source_that_knows_it_says_so() {
        use SourceStatus::{Failed, Ok};
        let linked = LinkedAlert::from_alert(&alert("f", "am", "alertname=Down service=shop"));
        assert_eq!(board(vec![], Ok, Ok).now(&linked), AlertNow::Ended);
        assert_eq!(board(vec![], Ok, Failed).now(&linked), AlertNow::Unknown, "Prometheus never had it");
        let both = LinkedAlert { also_in: vec!["prom".into()], ..linked.clone() };
        assert_eq!(board(vec![], Ok, Failed).now(&both), AlertNow::Ended, "Prometheus had it");
        assert_eq!(board(vec![], Failed, Failed).now(&both), AlertNow::Unknown);
        assert_eq!(AlertBoard { sources: vec![report("prom", Ok)], ..board(vec![], Ok, Ok) }.now(&linked), AlertNow::Unknown);
        let gap = SourceGap { source: "am".into(), text: "part of it".into() };
        assert_eq!(AlertBoard { gaps: vec![gap], ..board(vec![], Ok, Ok) }.now(&linked), AlertNow::Unknown);
        // Its source has another name now.
        let renamed = LinkedAlert { source: "old".into(), ..linked };
        assert_eq!(board(vec![], Ok, Ok).now(&renamed), AlertNow::Ended);
        assert_eq!(board(vec![], Ok, Failed).now(&renamed), AlertNow::Unknown);
    }
}
