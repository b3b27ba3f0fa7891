//! Groups and orders alerts for the board and for `warroom alerts`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::telemetry::{Alert, AlertSeverity, AlertState, Labels, Timestamp};

/// The property by which alerts are grouped.
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
    /// The name shown in the title of the board.
    pub fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Alert => "alert",
            Self::Team => "team",
            Self::None => "none",
        }
    }

    /// The next grouping in the cycle.
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
            Self::Service => alert.subject().map_or(("service", None), |s| (s.kind.word(), Some(s.name))),
            Self::Alert => ("alertname", Some(alert.name.as_str())),
            Self::Team => ("team", alert.labels.get("team").or_else(|| alert.labels.get("owner")).map(String::as_str)),
            Self::None => return Labels::new(),
        };
        value.map(|v| Labels::from([(name.to_owned(), v.to_owned())])).unwrap_or_default()
    }
}

/// A group of alerts. The group of alerts without the label has an empty key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertGroup {
    /// What the alerts share: their subject, such as `service=checkout` or `node=n1`, or a label.
    pub key: Labels,
    /// Indices into the list that was grouped, in the order of [`sort_key`].
    pub members: Vec<usize>,
}

impl AlertGroup {
    /// The title of the group: the value of its label, after the kind of a subject that is not a service: `checkout`, `node n1`.
    pub fn title(&self) -> String {
        match self.key.first_key_value() {
            None => "(no label)".to_owned(),
            Some((name, value)) if ["service", "alertname", "team"].contains(&name.as_str()) => value.clone(),
            Some((kind, value)) => format!("{kind} {value}"),
        }
    }
}

/// The sort key of an alert: by state, firing first and resolved last, then by severity, then oldest first.
pub fn sort_key(alert: &Alert) -> (AlertState, AlertSeverity, Option<Timestamp>, &str, &str) {
    (alert.state, alert.severity, alert.starts_at, &alert.name, &alert.fingerprint)
}

/// Groups alerts. The group with the most urgent alert comes first; of equally urgent groups, the larger one.
pub fn group_alerts(alerts: &[Alert], by: GroupBy) -> Vec<AlertGroup> {
    let mut groups: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
    for (index, alert) in alerts.iter().enumerate() {
        groups.entry(by.key(alert)).or_default().push(index);
    }
    let mut groups: Vec<AlertGroup> = groups
        .into_iter()
        .map(|(key, mut members)| {
            members.sort_by(|a, b| alerts.get(*a).map(sort_key).cmp(&alerts.get(*b).map(sort_key)));
            AlertGroup { key, members }
        })
        .collect();
    groups.sort_by(|a, b| {
        let first = |g: &AlertGroup| g.members.first().and_then(|i| alerts.get(*i)).map(|x| (x.state, x.severity));
        first(a).cmp(&first(b)).then_with(|| b.members.len().cmp(&a.members.len())).then_with(|| a.key.cmp(&b.key))
    });
    groups
}
