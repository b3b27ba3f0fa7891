//! Alerts in groups for the board and for `warroom alerts`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::telemetry::{Alert, AlertSeverity, AlertState, Labels, Timestamp};

/// What a group shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    #[default]
    Service,
    Alert,
    Team,
    None,
}

impl GroupBy {
    /// The word in the board's title.
    pub fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Alert => "alert",
            Self::Team => "team",
            Self::None => "none",
        }
    }

    /// The next one, round and round.
    pub fn next(self) -> Self {
        match self {
            Self::Service => Self::Alert,
            Self::Alert => Self::Team,
            Self::Team => Self::None,
            Self::None => Self::Service,
        }
    }

    fn key(self, alert: &Alert) -> Labels {
        let (name, value) = match self {
            Self::Service => ("service", alert.service()),
            Self::Alert => ("alertname", Some(alert.name.as_str())),
            Self::Team => ("team", alert.labels.get("team").or_else(|| alert.labels.get("owner")).map(String::as_str)),
            Self::None => return Labels::new(),
        };
        value.map(|v| Labels::from([(name.to_owned(), v.to_owned())])).unwrap_or_default()
    }
}

/// A group of alerts. An empty key holds those that lack the label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertGroup {
    pub key: Labels,
    /// Positions in the list that was grouped, the worst and oldest first.
    pub members: Vec<usize>,
}

impl AlertGroup {
    /// What to call it in a list.
    pub fn title(&self) -> &str {
        self.key.values().next().map_or("(no label)", String::as_str)
    }
}

/// How a list of alerts is ordered: firing before pending before hidden ones, worse before milder, older before newer.
pub fn order(alert: &Alert) -> (AlertState, AlertSeverity, Option<Timestamp>, &str, &str) {
    (alert.state, alert.severity, alert.starts_at, &alert.name, &alert.fingerprint)
}

/// Groups alerts; groups come in the order of their most urgent member.
pub fn group(alerts: &[Alert], by: GroupBy) -> Vec<AlertGroup> {
    let mut groups: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
    for (index, alert) in alerts.iter().enumerate() {
        groups.entry(by.key(alert)).or_default().push(index);
    }
    let mut groups: Vec<AlertGroup> = groups
        .into_iter()
        .map(|(key, mut members)| {
            members.sort_by(|a, b| alerts.get(*a).map(order).cmp(&alerts.get(*b).map(order)));
            AlertGroup { key, members }
        })
        .collect();
    groups.sort_by(|a, b| {
        let first = |g: &AlertGroup| g.members.first().and_then(|i| alerts.get(*i)).map(|x| (x.state, x.severity));
        first(a).cmp(&first(b)).then_with(|| b.members.len().cmp(&a.members.len())).then_with(|| a.key.cmp(&b.key))
    });
    groups
}
