//! Which alerts belong together by their labels.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::telemetry::Alert;

/// Alerts that share a label value that the others lack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    pub label: String,
    pub value: String,
    /// Names of the alerts with their services, sorted.
    pub alerts: Vec<String>,
    /// Seconds between the first and the last start, where known.
    pub spread_secs: Option<i64>,
}

/// Labels that say where a thing runs, or whose it is; others (severity, alertname) relate nothing.
const TELLING: [&str; 14] = [
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

/// Many alerts at once that share a label value: likely one cause, to be looked at as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    pub label: String,
    pub value: String,
    /// How many of the alerts share it, and how many there are.
    pub shared: usize,
    pub all: usize,
}

impl Storm {
    /// What its alerts have in common: `share cluster=eu-3`, `are of db and of those that call it`.
    pub fn words(&self) -> String {
        match self.label.as_str() {
            CALLS => format!("are of {} and of those that call it", self.value),
            label => format!("share {label}={}", self.value),
        }
    }
}

/// The label of a storm along the calls; its value is who is called.
const CALLS: &str = "calls";

/// From so many alerts on that share a value and began together one speaks of a storm.
const STORM: usize = 10;
/// So close together (seconds) most of them must have begun.
const STORM_SECS: i64 = 600;

/// The storm among alerts, if there is one: ten or more, at least three of five of all, of one telling label value, of which
/// four of five began within ten minutes. Of several values the one that most share, then the more telling label.
pub fn storm(alerts: &[&Alert]) -> Option<Storm> {
    let mut best: Option<(usize, usize, &str)> = None;
    for (rank, label) in TELLING.iter().enumerate() {
        let mut by_value: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
        for alert in alerts {
            if let Some(value) = alert.labels.get(*label).filter(|v| !v.is_empty()) {
                by_value.entry(value).or_default().push(alert);
            }
        }
        for (value, members) in by_value {
            let n = members.len();
            let is_storm = n >= STORM && n * 5 >= alerts.len() * 3 && began_together(&members);
            if is_storm && best.is_none_or(|(most, at, _)| (n, std::cmp::Reverse(rank)) > (most, std::cmp::Reverse(at))) {
                best = Some((n, rank, value));
            }
        }
    }
    let (shared, rank, value) = best?;
    Some(Storm { label: (*TELLING.get(rank)?).to_owned(), value: value.to_owned(), shared, all: alerts.len() })
}

/// The storm among alerts of services that call each other, where no label is shared: as [`storm`] has it, of one service and all
/// that call it, at once or through others. Of several services the one with the most alerts, then the one that the fewest
/// services call.
pub fn storm_along(alerts: &[&Alert], calls: &BTreeMap<String, BTreeSet<String>>) -> Option<Storm> {
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
        let hit: BTreeSet<&str> = members.iter().filter_map(|a| a.service()).collect();
        let n = members.len();
        let is_storm =
            hit.len() > 1 && hit.contains(service) && n >= STORM && n * 5 >= alerts.len() * 3 && began_together(&members);
        if is_storm && best.is_none_or(|(most, size, _)| n > most || n == most && group.len() < size) {
            best = Some((n, group.len(), service));
        }
    }
    let (shared, _, service) = best?;
    Some(Storm { label: CALLS.to_owned(), value: service.to_owned(), shared, all: alerts.len() })
}

fn began_together(alerts: &[&Alert]) -> bool {
    let mut starts: Vec<i64> = alerts.iter().filter_map(|a| a.starts_at).map(|t| t.secs()).collect();
    starts.sort_unstable();
    let most = (alerts.len() * 4).div_ceil(5);
    starts.windows(most.max(1)).any(|w| w.last().zip(w.first()).is_some_and(|(b, a)| b - a <= STORM_SECS))
}

/// Relations among alerts: each label value that two or more, but not all of many alerts share; all of them counts too
/// when there are at most three. The most alerts first.
pub fn relations(alerts: &[&Alert]) -> Vec<Relation> {
    let mut by_value: BTreeMap<(&str, &str), Vec<&Alert>> = BTreeMap::new();
    for alert in alerts {
        for (name, value) in &alert.labels {
            if TELLING.contains(&name.as_str()) && !value.is_empty() {
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
        let starts: Vec<i64> = members.iter().filter_map(|a| a.pending_since.or(a.starts_at)).map(|t| t.secs()).collect();
        let spread_secs = starts.iter().max().zip(starts.iter().min()).map(|(max, min)| max - min);
        // Two labels that pick the same alerts say the same thing once.
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
    fn alerts_of_services_that_call_each_other_are_a_storm() {
        let of = |n: i64, service: &str| Alert { labels: Labels::from([("service".into(), service.into())]), ..alert(n, "", n) };
        let mut all: Vec<Alert> = (0..12).map(|n| of(n, ["web", "shop", "db"][usize::try_from(n).unwrap() % 3])).collect();
        all.extend((12..15).map(|n| of(n, "mail")));
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<String>>();
        let calls = BTreeMap::from([("web".to_owned(), set(&["shop", "cdn"])), ("shop".to_owned(), set(&["db"]))]);
        let alerts: Vec<&Alert> = all.iter().collect();
        assert_eq!(storm(&alerts), None, "no label is shared by most");
        let found = storm_along(&alerts, &calls).unwrap();
        assert_eq!((found.value.as_str(), found.shared, found.all), ("db", 12, 15));
        assert_eq!(found.words(), "are of db and of those that call it");
        assert_eq!(storm_along(&alerts, &BTreeMap::new()), None);
        assert_eq!(storm_along(&alerts[..9], &calls), None, "a few are none");
    }

    #[test]
    fn forty_alerts_of_one_cluster_at_once_are_a_storm() {
        let mut all: Vec<Alert> = (0..40).map(|n| alert(n, "eu-3", n)).collect();
        all.push(alert(40, "us-1", 0));
        let found = storm(&all.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((found.label.as_str(), found.value.as_str(), found.shared, found.all), ("cluster", "eu-3", 40, 41));
        // Spread over days they are no storm, and neither are a few.
        let slow: Vec<Alert> = (0..40).map(|n| alert(n, "eu-3", n * 3600)).collect();
        assert_eq!(storm(&slow.iter().collect::<Vec<_>>()), None);
        assert_eq!(storm(&all.iter().take(9).collect::<Vec<_>>()), None);
        assert_eq!(storm(&[]), None);
    }
}
