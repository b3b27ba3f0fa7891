//! Finds alerts that are related by their labels or by calls between their services, and alert storms.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call_graph::CallGraph;
use crate::telemetry::subject::names_exporter;
use crate::telemetry::time::human_duration;
use crate::telemetry::{Alert, Timestamp};

/// A label value that several alerts share, which began together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    pub label: String,
    pub value: String,
    /// Names of the alerts with their services, sorted.
    pub alerts: Vec<String>,
    /// The number of alerts; several may have one name. 0 in evidence of older versions.
    #[serde(default)]
    pub count: usize,
    /// Seconds between the first and the last start; `None` when no start is known.
    pub spread_secs: Option<i64>,
}

impl Relation {
    /// The number of alerts that share the value.
    pub fn count(&self) -> usize {
        self.count.max(self.alerts.len())
    }

    /// How far apart the alerts began: `within 4m10s of each other`, `at the same time`. `None` if that is unknown.
    pub fn together(&self) -> Option<String> {
        let secs = u64::try_from(self.spread_secs?).ok()?;
        Some(match secs {
            0 => "at the same time".to_owned(),
            _ => format!("within {} of each other", human_duration(Duration::from_secs(secs))),
        })
    }
}

/// Labels that say where something runs or who owns it, most significant first. Other labels, such as `severity`, do not
/// relate alerts. What an alert is about comes before them, under the name of its kind.
const RELATING_LABELS: [&str; 12] = [
    "namespace",
    "cluster",
    "instance",
    "node",
    "pod",
    "host",
    "hostname",
    "region",
    "zone",
    "availability_zone",
    "database",
    "team",
];

/// Labels that name the exporter if the metrics come from one.
const SCRAPE_LABELS: [&str; 2] = ["instance", "pod"];

/// The values by which an alert may be related to others: its rank (0 is the most significant), the label and the value.
fn relating(alert: &Alert) -> impl Iterator<Item = (usize, &str, &str)> {
    let subject = alert.subject().map(|s| (0, s.kind.word(), s.name));
    let from_exporter = names_exporter(&alert.labels);
    let labels = RELATING_LABELS.iter().enumerate().filter_map(move |(rank, label)| {
        let value = alert.labels.get(*label).filter(|v| !v.is_empty())?;
        let is_exporter = from_exporter && SCRAPE_LABELS.contains(label);
        (!is_exporter && subject.is_none_or(|(_, _, name)| name != value)).then_some((rank + 1, *label, value.as_str()))
    });
    subject.into_iter().chain(labels)
}

/// Many alerts that began together and share a label value or a called service. They probably have one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    pub label: String,
    pub value: String,
    /// Number of alerts that share it, and number of all alerts that began at that time.
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
/// Time within which the alerts of a storm begin, in seconds.
const STORM_SECS: i64 = 600;
/// Time within which related alerts begin, in seconds.
const RELATED_SECS: i64 = 3600;

/// A span of time, in seconds, and how many alerts began in it.
#[derive(Clone, Copy)]
struct Busiest {
    from: i64,
    to: i64,
    count: usize,
}

/// The span of at most `length` seconds in which most of the alerts began; the first if there are several. `None` if no start is known.
fn busiest(starts: &[i64], length: i64) -> Option<Busiest> {
    let mut best: Option<Busiest> = None;
    for (index, from) in starts.iter().enumerate() {
        let end = starts.partition_point(|at| *at <= from + length);
        let count = end - index;
        if best.is_none_or(|b| count > b.count) {
            best = starts.get(end - 1).map(|to| Busiest { from: *from, to: *to, count });
        }
    }
    best
}

/// When the alerts began, sorted.
fn starts<'a>(alerts: impl Iterator<Item = &'a &'a Alert>) -> Vec<i64> {
    let mut starts: Vec<i64> = alerts.filter_map(|a| a.began_at()).map(Timestamp::secs).collect();
    starts.sort_unstable();
    starts
}

/// How many of all alerts began within the length of a storm from the start of a span.
fn began_then(all: &[i64], span: Busiest) -> usize {
    all.partition_point(|at| *at <= span.from + STORM_SECS) - all.partition_point(|at| *at < span.from)
}

fn is_storm(members: usize, at_that_time: usize) -> bool {
    members >= MIN_STORM_ALERTS && members * 5 >= at_that_time * 3
}

/// Finds a storm among alerts: at least ten alerts that began within ten minutes and share a value, such as their service or
/// cluster, and that are at least three fifths of all alerts that began then. Alerts that are older, or fire by design, do not count. If
/// there are several, returns the most significant value of those that cover nearly all.
pub fn find_storm(alerts: &[&Alert]) -> Option<Storm> {
    let alerts: Vec<&Alert> = alerts.iter().copied().filter(|a| !a.is_heartbeat()).collect();
    let all = starts(alerts.iter());
    let mut by_value: BTreeMap<(usize, &str, &str), Vec<&Alert>> = BTreeMap::new();
    for alert in alerts {
        for value in relating(alert) {
            by_value.entry(value).or_default().push(alert);
        }
    }
    let mut storms: Vec<(usize, Storm)> = Vec::new();
    for ((rank, label, value), members) in by_value.iter().filter(|(_, members)| members.len() >= MIN_STORM_ALERTS) {
        let Some(span) = busiest(&starts(members.iter()), STORM_SECS) else { continue };
        let total = began_then(&all, span);
        if is_storm(span.count, total) {
            let storm = Storm { label: (*label).to_owned(), value: (*value).to_owned(), shared: span.count, total };
            storms.push((*rank, storm));
        }
    }
    let most = storms.iter().map(|(_, s)| s.shared).max()?;
    storms.retain(|(_, s)| s.shared * 10 >= most * 9);
    storms.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.shared.cmp(&a.1.shared)));
    storms.into_iter().next().map(|(_, storm)| storm)
}

/// Finds a storm among alerts of a service and its direct and indirect callers, for alerts that share no label. The other
/// conditions are those of [`find_storm`]. If there are several, returns the one with the most alerts, then the one whose service
/// has the fewest callers.
pub fn find_call_storm(alerts: &[&Alert], calls: &CallGraph) -> Option<Storm> {
    let callees: BTreeSet<&str> = calls.calls().map(|(_, callee)| callee).collect();
    let alerts: Vec<&Alert> = alerts.iter().copied().filter(|a| !a.is_heartbeat()).collect();
    let all = starts(alerts.iter());
    let mut best: Option<(usize, usize, &str, usize)> = None;
    for service in callees {
        let mut group = calls.callers_through_others(service);
        group.insert(service);
        let members: Vec<&Alert> = alerts.iter().copied().filter(|a| a.service().is_some_and(|s| group.contains(s))).collect();
        let affected: BTreeSet<&str> = members.iter().filter_map(|a| a.service()).collect();
        let Some(span) = busiest(&starts(members.iter()), STORM_SECS) else { continue };
        let total = began_then(&all, span);
        let n = span.count;
        let is_a_storm = affected.len() > 1 && affected.contains(service) && is_storm(n, total);
        if is_a_storm && best.is_none_or(|(most, size, ..)| n > most || n == most && group.len() < size) {
            best = Some((n, group.len(), service, total));
        }
    }
    let (shared, _, service, total) = best?;
    Some(Storm { label: CALLS_LABEL.to_owned(), value: service.to_owned(), shared, total })
}

/// Finds up to ten relations among alerts: what at least two alerts are about, or a label value that they share, if they began within an
/// hour of each other. Most alerts first. A label value that all of more than three alerts share is left out.
pub fn find_relations(alerts: &[&Alert]) -> Vec<Relation> {
    let mut by_value: BTreeMap<(usize, &str, &str), Vec<&Alert>> = BTreeMap::new();
    for alert in alerts.iter().filter(|a| !a.is_heartbeat()) {
        for value in relating(alert) {
            by_value.entry(value).or_default().push(alert);
        }
    }
    let mut found: Vec<Relation> = Vec::new();
    for ((rank, label, value), members) in by_value {
        let span = busiest(&starts(members.iter()), RELATED_SECS);
        let is_together = |a: &&Alert| span.is_none_or(|s| a.began_at().is_some_and(|at| (s.from..=s.to).contains(&at.secs())));
        let members: Vec<&Alert> = members.into_iter().filter(is_together).collect();
        if members.len() < 2 || (members.len() == alerts.len() && alerts.len() > 3 && rank > 0) {
            continue;
        }
        let mut names: Vec<String> =
            members.iter().map(|a| a.service().map_or_else(|| a.name.clone(), |s| format!("{} ({s})", a.name))).collect();
        names.sort();
        names.dedup();
        // Report labels that select the same alerts only once.
        if !found.iter().any(|r| r.alerts == names && r.count == members.len()) {
            found.push(Relation {
                label: label.to_owned(),
                value: value.to_owned(),
                alerts: names,
                count: members.len(),
                spread_secs: span.map(|s| s.to - s.from),
            });
        }
    }
    found.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.label, &a.value).cmp(&(&b.label, &b.value))));
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
            ..Alert::default()
        }
    }

    #[test]
    fn finds_a_storm_of_services_that_call_each_other() {
        let alert_of =
            |n: i64, service: &str| Alert { labels: Labels::from([("service".into(), service.into())]), ..alert(n, "", n) };
        let mut all: Vec<Alert> = (0..12).map(|n| alert_of(n, ["web", "shop", "db"][usize::try_from(n).unwrap() % 3])).collect();
        all.extend((12..15).map(|n| alert_of(n, "mail")));
        let calls = [("web", "shop"), ("web", "cdn"), ("shop", "db")].into_iter().collect();
        let alerts: Vec<&Alert> = all.iter().collect();
        assert_eq!(find_storm(&alerts), None, "no label is shared by most");
        let found = find_call_storm(&alerts, &calls).unwrap();
        assert_eq!((found.value.as_str(), found.shared, found.total), ("db", 12, 15));
        assert_eq!(found.describe(), "come from db and its callers");
        assert_eq!(find_call_storm(&alerts, &CallGraph::default()), None);
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

    #[test]
    fn a_storm_is_found_among_many_older_alerts() {
        let of = |n: i64, service: &str, secs| Alert {
            labels: Labels::from([("service".into(), service.into()), ("cluster".into(), "eu".into())]),
            ..alert(n, "", secs)
        };
        let mut all: Vec<Alert> = (0..1000).map(|n| of(n, &format!("s{n}"), -n * 900 - 4000)).collect();
        all.extend((0..30).map(|n| of(n, "checkout", n * 3)));
        all.extend((0..2).map(|n| of(n, "mail", n)));
        let found = find_storm(&all.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((found.label.as_str(), found.value.as_str()), ("service", "checkout"), "more significant than the cluster");
        assert_eq!((found.shared, found.total), (30, 32));
        let heartbeats: Vec<Alert> = all.iter().cloned().map(|a| Alert { is_constant: true, ..a }).collect();
        assert_eq!(find_storm(&heartbeats.iter().collect::<Vec<_>>()), None);
    }

    #[test]
    fn only_alerts_that_began_together_are_related() {
        let of = |name: &str, service: &str, minutes: i64| Alert {
            name: name.into(),
            labels: Labels::from([("service".into(), service.into())]),
            ..alert(minutes, "", minutes * 60)
        };
        let all = [of("Down", "shop", 0), of("Slow", "shop", 4), of("Cert", "shop", -13_000), of("Down", "mail", 2)];
        let found = find_relations(&all.iter().collect::<Vec<_>>());
        let described: Vec<String> =
            found.iter().map(|r| format!("{} {}={} {}", r.count(), r.label, r.value, r.together().unwrap())).collect();
        assert_eq!(described, ["2 service=shop within 4m00s of each other"]);
        let twice = [of("Down", "shop", 0), of("Down", "shop", 0)];
        let found = find_relations(&twice.iter().collect::<Vec<_>>());
        assert_eq!((found[0].count(), found[0].alerts.len(), found[0].together().unwrap().as_str()), (2, 1, "at the same time"));
    }
}
