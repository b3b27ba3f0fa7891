//! Merges the alerts of several sources into one list without duplicates.

use std::collections::{BTreeMap, HashMap};

use crate::telemetry::{Alert, AlertState};

/// Merges alerts from several sources, given as pairs of source type and alerts.
///
/// Alerts with the same fingerprint are one alert. A Prometheus alert is also the same as an Alertmanager alert of that name
/// if its labels are a subset of the other's, because Prometheus adds external labels when it sends an alert. Silences and
/// inhibitions come from Alertmanager; the value and the time since which the condition holds come from Prometheus. The
/// result is in the order of `analysis::grouping::sort_key`.
pub fn merge(by_source: Vec<(&str, Vec<Alert>)>) -> Vec<Alert> {
    let mut kept: Vec<Alert> = Vec::new();
    let mut by_fingerprint: HashMap<String, usize> = HashMap::new();
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    // Alertmanager comes first regardless of the order in the configuration: the others are matched against it.
    let (alertmanagers, others): (Vec<_>, Vec<_>) = by_source.into_iter().partition(|(kind, _)| *kind == "alertmanager");
    for (kind, alerts) in alertmanagers.into_iter().chain(others) {
        for alert in alerts {
            let existing = by_fingerprint
                .get(&alert.fingerprint)
                .copied()
                .or_else(|| (kind != "alertmanager").then(|| subset_of(&alert, &kept, by_name.get(&alert.name)?)).flatten());
            if let Some(existing) = existing.and_then(|i| kept.get_mut(i)) {
                enrich(existing, &alert);
                continue;
            }
            by_fingerprint.insert(alert.fingerprint.clone(), kept.len());
            by_name.entry(alert.name.clone()).or_default().push(kept.len());
            kept.push(alert);
        }
    }
    kept.sort_by(|a, b| crate::analysis::grouping::sort_key(a).cmp(&crate::analysis::grouping::sort_key(b)));
    kept
}

/// The index of a kept alert from another source whose labels include all labels of `alert`.
fn subset_of(alert: &Alert, kept: &[Alert], candidates: &[usize]) -> Option<usize> {
    candidates.iter().copied().find(|i| {
        kept.get(*i).is_some_and(|k| {
            k.source != alert.source && alert.labels.iter().all(|(name, value)| k.labels.get(name) == Some(value))
        })
    })
}

/// Completes an alert with data from a duplicate of another source.
fn enrich(existing: &mut Alert, other: &Alert) {
    existing.value = existing.value.or(other.value);
    existing.pending_since = match (existing.pending_since, other.pending_since) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    for (key, value) in &other.annotations {
        existing.annotations.entry(key.clone()).or_insert_with(|| value.clone());
    }
    existing.occurrences = existing.occurrences.max(other.occurrences);
    // In an Alertmanager cluster, a silence may not have reached every member yet; the alert counts as suppressed anyway.
    if existing.state == AlertState::Firing && other.state == AlertState::Suppressed {
        existing.state = other.state;
        existing.silenced_by.clone_from(&other.silenced_by);
        existing.inhibited_by.clone_from(&other.inhibited_by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{AlertSeverity, Labels, Timestamp};

    fn alert(source: &str, labels: &[(&str, &str)], state: AlertState) -> Alert {
        let labels: Labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Alert {
            fingerprint: crate::sources::fingerprint::fingerprint(&labels),
            name: "A".into(),
            severity: AlertSeverity::Warning,
            state,
            starts_at: Some(Timestamp::from_secs(60)),
            pending_since: (source == "prom").then(|| Timestamp::from_secs(0)),
            labels,
            annotations: Labels::new(),
            source: source.into(),
            occurrences: 1,
            value: (source == "prom").then_some(17.0),
            silenced_by: vec![],
            inhibited_by: vec![],
            generator_url: String::new(),
        }
    }

    #[test]
    fn merges_alerts_that_differ_only_in_external_labels() {
        let prom = alert("prom", &[("alertname", "A"), ("service", "x")], AlertState::Firing);
        let other = alert("prom", &[("alertname", "A"), ("service", "y")], AlertState::Pending);
        let am = alert("am", &[("alertname", "A"), ("service", "x"), ("cluster", "eu")], AlertState::Suppressed);
        let merged = merge(vec![("prometheus", vec![prom, other]), ("alertmanager", vec![am])]);
        assert_eq!(merged.len(), 2);
        let existing = merged.iter().find(|a| a.source == "am").unwrap();
        assert_eq!(
            (existing.state, existing.value, existing.pending_since),
            (AlertState::Suppressed, Some(17.0), Some(Timestamp::from_secs(0)))
        );
    }
}
