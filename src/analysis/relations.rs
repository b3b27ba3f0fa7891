//! Which alerts belong together by their labels.

use std::collections::BTreeMap;

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
