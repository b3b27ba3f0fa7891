//! Finds alerts that are related by their labels or by calls between their services, and alert storms.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::telemetry::{Alert, Timestamp};

/// A label value that several alerts share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    pub label: String,
    pub value: String,
    /// Names of the alerts with their services, sorted.
    pub alerts: Vec<String>,
    /// Seconds between the first and the last start; `None` when no start is known.
    pub spread_secs: Option<i64>,
}

/// Labels that say where something runs or who owns it, most significant first. Other labels, such as `severity`, do not
/// relate alerts.
const RELATING_LABELS: [&str; 14] = [
    "service",
    "service_name",
    "app",
    "job",
    "namespace",
    "cluster",
    "instance",
    "node",
    "pod",
    "host",
    "region",
    "zone",
    "database",
    "team",
];

/// Many alerts that started together and share a label value or a called service. They probably have one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    pub label: String,
    pub value: String,
    /// Number of alerts that share it, and number of all alerts.
    pub shared: usize,
    pub total: usize,
}

impl Storm {
    /// The common property of the alerts, as a verb phrase: `share cluster=eu-3`, `come from db and its callers`.
    pub fn describe(&self) -> String {
        match self.label.as_str() {
            CALLS_LABEL => format!("come from {} and its callers", self.value),
            label => format!("share {label}={}", self.value),
        }
    }
}

/// The label of a storm of services that call each other; its value is the service that they call.
const CALLS_LABEL: &str = "calls";

/// Minimum number of alerts in a storm.
const MIN_STORM_ALERTS: usize = 10;
/// Time within which four fifths of the alerts must have started, in seconds.
const STORM_SECS: i64 = 600;

/// Finds a storm among alerts: at least ten alerts, and at least three fifths of all, that share a value of a label such as
/// `service` or `cluster`, four fifths of which started within ten minutes. If there are several, returns the one with the
/// most alerts, then the one with the more significant label.
pub fn find_storm(alerts: &[&Alert]) -> Option<Storm> {
    let mut best: Option<(usize, usize, &str)> = None;
    for (rank, label) in RELATING_LABELS.iter().enumerate() {
        let mut by_value: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
        for alert in alerts {
            if let Some(value) = alert.labels.get(*label).filter(|v| !v.is_empty()) {
                by_value.entry(value).or_default().push(alert);
            }
        }
        for (value, members) in by_value {
            let n = members.len();
            let is_storm = n >= MIN_STORM_ALERTS && n * 5 >= alerts.len() * 3 && started_together(&members);
            if is_storm && best.is_none_or(|(most, at, _)| (n, std::cmp::Reverse(rank)) > (most, std::cmp::Reverse(at))) {
                best = Some((n, rank, value));
            }
        }
    }
    let (shared, rank, value) = best?;
    Some(Storm { label: (*RELATING_LABELS.get(rank)?).to_owned(), value: value.to_owned(), shared, total: alerts.len() })
}

/// Finds a storm among alerts of a service and its direct and indirect callers, for alerts that share no label. The other
/// conditions are those of [`find_storm`]. If there are several, returns the one with the most alerts, then the one whose service
/// has the fewest callers.
pub fn find_call_storm(alerts: &[&Alert], calls: &BTreeMap<String, BTreeSet<String>>) -> Option<Storm> {
    let callees: BTreeSet<&str> = calls.values().flatten().map(String::as_str).collect();
    let mut best: Option<(usize, usize, &str)> = None;
    for service in callees {
        let mut group = BTreeSet::from([service]);
        loop {
            let callers =
                calls.iter().filter(|(_, to)| to.iter().any(|c| group.contains(c.as_str()))).map(|(from, _)| from.as_str());
            let before = group.len();
            group = callers.chain(group.iter().copied()).collect();
            if group.len() == before {
                break;
            }
        }
        let members: Vec<&Alert> = alerts.iter().copied().filter(|a| a.service().is_some_and(|s| group.contains(s))).collect();
        let affected: BTreeSet<&str> = members.iter().filter_map(|a| a.service()).collect();
        let n = members.len();
        let is_storm = affected.len() > 1
            && affected.contains(service)
            && n >= MIN_STORM_ALERTS
            && n * 5 >= alerts.len() * 3
            && started_together(&members);
        if is_storm && best.is_none_or(|(most, size, _)| n > most || n == most && group.len() < size) {
            best = Some((n, group.len(), service));
        }
    }
    let (shared, _, service) = best?;
    Some(Storm { label: CALLS_LABEL.to_owned(), value: service.to_owned(), shared, total: alerts.len() })
}

/// Whether four fifths of the alerts started within [`STORM_SECS`].
fn started_together(alerts: &[&Alert]) -> bool {
    let mut starts: Vec<i64> = alerts.iter().filter_map(|a| a.starts_at).map(Timestamp::secs).collect();
    starts.sort_unstable();
    let most = (alerts.len() * 4).div_ceil(5);
    starts.windows(most.max(1)).any(|w| w.last().zip(w.first()).is_some_and(|(b, a)| b - a <= STORM_SECS))
}

/// Finds up to ten relations among alerts: label values that at least two alerts share, most alerts first. A value that all
/// of more than three alerts share is left out, unless it is their service.
pub fn find_relations(alerts: &[&Alert]) -> Vec<Relation> {
    let mut by_value: BTreeMap<(&str, &str), Vec<&Alert>> = BTreeMap::new();
    for alert in alerts {
        for (name, value) in &alert.labels {
            if RELATING_LABELS.contains(&name.as_str()) && !value.is_empty() {
                by_value.entry((name, value)).or_default().push(alert);
            }
        }
    }
    let mut found: Vec<Relation> = Vec::new();
    for ((label, value), members) in by_value {
        if members.len() < 2 || (members.len() == alerts.len() && alerts.len() > 3 && label != "service") {
            continue;
        }
        let mut names: Vec<String> =
            members.iter().map(|a| a.service().map_or_else(|| a.name.clone(), |s| format!("{} ({s})", a.name))).collect();
        names.sort();
        names.dedup();
        let starts: Vec<i64> = members.iter().filter_map(|a| a.pending_since.or(a.starts_at)).map(Timestamp::secs).collect();
        let spread_secs = starts.iter().max().zip(starts.iter().min()).map(|(max, min)| max - min);
        // Report labels that select the same alerts only once.
        if !found.iter().any(|r| r.alerts == names) {
            found.push(Relation { label: label.to_owned(), value: value.to_owned(), alerts: names, spread_secs });
        }
    }
    found.sort_by(|a, b| b.alerts.len().cmp(&a.alerts.len()).then_with(|| (&a.label, &a.value).cmp(&(&b.label, &b.value))));
    found.truncate(10);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{AlertSeverity, AlertState, Labels, Timestamp};

    fn alert(n: i64, cluster: &str, secs: i64) -> Alert {
        Alert {
            fingerprint: n.to_string(),
            name: "A".into(),
            severity: AlertSeverity::Critical,
            state: AlertState::Firing,
            starts_at: Some(Timestamp::from_secs(1_795_253_400 + secs)),
            pending_since: None,
            labels: Labels::from([("cluster".into(), cluster.into()), ("service".into(), format!("s{n}"))]),
            annotations: Labels::new(),
            source: "am".into(),
            occurrences: 1,
            value: None,
            silenced_by: vec![],
            inhibited_by: vec![],
            generator_url: String::new(),
        }
    }

    #[test]
    fn finds_a_storm_of_services_that_call_each_other() {
        let alert_of =
            |n: i64, service: &str| Alert { labels: Labels::from([("service".into(), service.into())]), ..alert(n, "", n) };
        let mut all: Vec<Alert> = (0..12).map(|n| alert_of(n, ["web", "shop", "db"][usize::try_from(n).unwrap() % 3])).collect();
        all.extend((12..15).map(|n| alert_of(n, "mail")));
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<String>>();
        let calls = BTreeMap::from([("web".to_owned(), set(&["shop", "cdn"])), ("shop".to_owned(), set(&["db"]))]);
        let alerts: Vec<&Alert> = all.iter().collect();
        assert_eq!(find_storm(&alerts), None, "no label is shared by most");
        let found = find_call_storm(&alerts, &calls).unwrap();
        assert_eq!((found.value.as_str(), found.shared, found.total), ("db", 12, 15));
        assert_eq!(found.describe(), "come from db and its callers");
        assert_eq!(find_call_storm(&alerts, &BTreeMap::new()), None);
        assert_eq!(find_call_storm(&alerts[..9], &calls), None, "too few alerts");
    }

    #[test]
    fn finds_a_storm_in_one_cluster() {
        let mut all: Vec<Alert> = (0..40).map(|n| alert(n, "eu-3", n)).collect();
        all.push(alert(40, "us-1", 0));
        let found = find_storm(&all.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((found.label.as_str(), found.value.as_str(), found.shared, found.total), ("cluster", "eu-3", 40, 41));
        // Alerts spread over days are not a storm, and neither are a few alerts.
        let slow: Vec<Alert> = (0..40).map(|n| alert(n, "eu-3", n * 3600)).collect();
        assert_eq!(find_storm(&slow.iter().collect::<Vec<_>>()), None);
        assert_eq!(find_storm(&all.iter().take(9).collect::<Vec<_>>()), None);
        assert_eq!(find_storm(&[]), None);
    }
}
