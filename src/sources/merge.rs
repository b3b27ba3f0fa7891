//! One list of alerts from many sources.

use std::collections::{BTreeMap, HashMap};

use crate::telemetry::{Alert, AlertState};

/// Joins the alerts of all sources: the same fingerprint is one alert, and a Prometheus alert whose labels are a subset of
/// an Alertmanager alert's of the same name is that alert (external labels come on the way). Alertmanager's word on
/// silences wins; Prometheus adds the value and since when the condition holds. Order: see `analysis::grouping::order`.
pub fn merge(by_source: Vec<(&str, Vec<Alert>)>) -> Vec<Alert> {
    let mut kept: Vec<Alert> = Vec::new();
    let mut by_print: HashMap<String, usize> = HashMap::new();
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    // Alertmanager first, whatever the order of the configuration: the others are matched against it.
    let (managers, others): (Vec<_>, Vec<_>) = by_source.into_iter().partition(|(kind, _)| *kind == "alertmanager");
    for (kind, alerts) in managers.into_iter().chain(others) {
        for alert in alerts {
            let known = by_print
                .get(&alert.fingerprint)
                .copied()
                .or_else(|| (kind != "alertmanager").then(|| subset_of(&alert, &kept, by_name.get(&alert.name)?)).flatten());
            if let Some(known) = known.and_then(|i| kept.get_mut(i)) {
                enrich(known, &alert);
                continue;
            }
            by_print.insert(alert.fingerprint.clone(), kept.len());
            by_name.entry(alert.name.clone()).or_default().push(kept.len());
            kept.push(alert);
        }
    }
    kept.sort_by(|a, b| crate::analysis::grouping::order(a).cmp(&crate::analysis::grouping::order(b)));
    kept
}

fn subset_of(alert: &Alert, kept: &[Alert], candidates: &[usize]) -> Option<usize> {
    candidates.iter().copied().find(|i| {
        kept.get(*i).is_some_and(|k| {
            k.source != alert.source && alert.labels.iter().all(|(name, value)| k.labels.get(name) == Some(value))
        })
    })
}

fn enrich(known: &mut Alert, other: &Alert) {
    known.value = known.value.or(other.value);
    known.pending_since = match (known.pending_since, other.pending_since) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    for (key, value) in &other.annotations {
        known.annotations.entry(key.clone()).or_insert_with(|| value.clone());
    }
    known.occurrences = known.occurrences.max(other.occurrences);
    // Two Alertmanagers of a cluster: a silence that one does not know yet hides the alert all the same.
    if known.state == AlertState::Firing && other.state == AlertState::Suppressed {
        known.state = other.state;
        known.silenced_by.clone_from(&other.silenced_by);
        known.inhibited_by.clone_from(&other.inhibited_by);
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
    fn external_labels_do_not_make_two_alerts_of_one() {
        let prom = alert("prom", &[("alertname", "A"), ("service", "x")], AlertState::Firing);
        let other = alert("prom", &[("alertname", "A"), ("service", "y")], AlertState::Pending);
        let am = alert("am", &[("alertname", "A"), ("service", "x"), ("cluster", "eu")], AlertState::Suppressed);
        let merged = merge(vec![("prometheus", vec![prom, other]), ("alertmanager", vec![am])]);
        assert_eq!(merged.len(), 2);
        let known = merged.iter().find(|a| a.source == "am").unwrap();
        assert_eq!(
            (known.state, known.value, known.pending_since),
            (AlertState::Suppressed, Some(17.0), Some(Timestamp::from_secs(0)))
        );
    }
}
