//! Makes one list of the alerts of several sources: an alert that several of them list appears once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::grouping::sort_key;
use crate::telemetry::{Alert, AlertState, Labels, Timestamp};

/// Merges alerts from several sources, given as pairs of source type and alerts.
///
/// Alerts with a common fingerprint are one alert, and so are alerts of one name whose labels differ only by labels that were added on
/// the way (see [`crate::telemetry::alert::same_alert`]); of several that fit, the one that differs least. Silences, inhibitions and mute intervals come from
/// Alertmanager; the value and the time since which the condition holds come from Prometheus. The result is in the order of
/// [`sort_key`].
pub fn merge(by_source: Vec<(&str, Vec<Alert>)>) -> Vec<Alert> {
    // Alertmanager comes first regardless of the order in the configuration: the others are matched against it.
    let (alertmanagers, others): (Vec<_>, Vec<_>) = by_source.into_iter().partition(|(kind, _)| *kind == "alertmanager");
    let mut kept: Vec<Alert> = Vec::new();
    for (_, alerts) in alertmanagers.into_iter().chain(others) {
        add(&mut kept, join_replicas(alerts));
    }
    kept.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    kept
}

/// Adds what is still known of sources that failed, from their last answers, to the alerts of those that answered.
///
/// A silence of a source that failed still applies. An alert is dropped if a source that knows it has answered without it. `failed` has
/// the names of the sources that failed; `now` decides which silences are over.
pub fn with_stale(fresh: Vec<Alert>, stale: Vec<Alert>, failed: &BTreeSet<&str>, now: Timestamp) -> Vec<Alert> {
    let mut kept = fresh;
    let finder = Finder::new(&kept);
    let matches: Vec<(Option<usize>, Alert)> = stale
        .into_iter()
        .filter(|old| old.listed_in().any(|source| failed.contains(source)))
        .map(|old| (finder.find(&old), old))
        .collect();
    for (existing, old) in matches {
        let Some(existing) = existing.and_then(|i| kept.get_mut(i)) else {
            if old.listed_in().all(|source| failed.contains(source)) {
                kept.push(old);
            }
            continue;
        };
        let is_silenced = old.silenced_by.is_empty() || old.silenced_by.iter().any(|s| s.ends_at.is_none_or(|end| end > now));
        let mut fresh = existing.clone();
        if failed.contains(old.source.as_str()) {
            if fresh.state == AlertState::Firing && old.state == AlertState::Suppressed && is_silenced {
                fresh.state = AlertState::Suppressed;
                fresh.silenced_by.clone_from(&old.silenced_by);
                fresh.inhibited_by.clone_from(&old.inhibited_by);
                fresh.muted_by.clone_from(&old.muted_by);
            }
            // Its identity stays the same, so that a selection in a list does. All else is as the sources that answered report it.
            (fresh.fingerprint, fresh.source, fresh.labels) = (old.fingerprint.clone(), old.source.clone(), old.labels.clone());
            (fresh.aliases, fresh.also_in) = (Vec::new(), Vec::new());
            add_identities(&mut fresh, existing);
        }
        add_identities(&mut fresh, &old);
        *existing = fresh;
    }
    kept.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    kept
}

/// Adds the alerts of one source to those of others.
fn add(kept: &mut Vec<Alert>, mut alerts: Vec<Alert>) {
    let finder = Finder::new(kept);
    // Alerts with more labels have fewer counterparts that fit, so they choose first.
    alerts.sort_by_key(|a| std::cmp::Reverse(a.labels.len()));
    let mut taken = BTreeSet::new();
    let mut new = Vec::new();
    for alert in alerts {
        match finder.find_except(&alert, &taken) {
            Some(index) if kept.get(index).is_some() => {
                taken.insert(index);
                if let Some(existing) = kept.get_mut(index) {
                    join(existing, &alert);
                }
            }
            _ => new.push(alert),
        }
    }
    kept.extend(new);
}

/// Joins the alerts of one source that replicas of a server sent. A plain `replica` label counts as such only if all alerts have it,
/// because labels of a server are added to all of its alerts.
fn join_replicas(alerts: Vec<Alert>) -> Vec<Alert> {
    let names: BTreeSet<&str> = alerts.iter().map(|a| a.name.as_str()).collect();
    let is_external = names.len() > 1 && alerts.iter().all(|a| a.labels.contains_key("replica"));
    let comparable = |labels: &Labels| -> Labels {
        let mut labels = labels.clone();
        labels.retain(|name, value| !(value.is_empty() || is_external && name == "replica"));
        labels
    };
    let mut kept: Vec<Alert> = Vec::new();
    let mut known: HashMap<Vec<(String, String)>, usize> = HashMap::new();
    for alert in alerts {
        let key: Vec<(String, String)> =
            comparable(&alert.labels).into_iter().filter(|(name, _)| !crate::telemetry::alert::names_replica(name)).collect();
        if let Some(existing) = known.get(&key).and_then(|i| kept.get_mut(*i)) {
            join(existing, &alert);
        } else {
            known.insert(key, kept.len());
            kept.push(alert);
        }
    }
    kept
}

/// Names of labels, sorted.
type Names = Vec<String>;
/// The index of an alert, and its labels.
type Labelled = (usize, Labels);
/// Alerts by the values of some labels.
type ByValues = HashMap<Vec<String>, Vec<usize>>;

/// Finds the counterpart of an alert in a list, without comparing it with each one.
struct Finder {
    by_fingerprint: HashMap<String, usize>,
    /// By name: the labels of the alerts, by their label names.
    by_name: HashMap<String, BTreeMap<Names, Vec<Labelled>>>,
    /// For each name and each set of label names that was asked for: the alerts by the values of these labels.
    by_values: RefCell<HashMap<(String, Names, Names), ByValues>>,
}

fn comparable_names(labels: &Labels) -> Vec<String> {
    let counts = |(name, value): &(&String, &String)| !value.is_empty() && !crate::telemetry::alert::names_replica(name);
    labels.iter().filter(counts).map(|(name, _)| name.clone()).collect()
}

fn values(labels: &Labels, names: &[String]) -> Vec<String> {
    names.iter().map(|name| labels.get(name).cloned().unwrap_or_default()).collect()
}

impl Finder {
    fn new(alerts: &[Alert]) -> Self {
        let mut found = Self { by_fingerprint: HashMap::new(), by_name: HashMap::new(), by_values: Default::default() };
        for (index, alert) in alerts.iter().enumerate() {
            for fingerprint in alert.fingerprints() {
                found.by_fingerprint.entry(fingerprint.to_owned()).or_insert(index);
            }
            let sets = found.by_name.entry(alert.name.clone()).or_default();
            sets.entry(comparable_names(&alert.labels)).or_default().push((index, alert.labels.clone()));
        }
        found
    }

    fn find(&self, alert: &Alert) -> Option<usize> {
        self.find_except(alert, &BTreeSet::new())
    }

    /// The index of the alert's counterpart that is not among `taken`.
    fn find_except(&self, alert: &Alert, taken: &BTreeSet<usize>) -> Option<usize> {
        if let Some(index) = alert.fingerprints().find_map(|f| self.by_fingerprint.get(f)) {
            return Some(*index);
        }
        let own = comparable_names(&alert.labels);
        let mut best: Option<(usize, usize)> = None;
        for (names, members) in self.by_name.get(&alert.name)? {
            let (common, is_included) = if own.len() <= names.len() {
                (&own, own.iter().all(|n| names.contains(n)))
            } else {
                (names, names.iter().all(|n| own.contains(n)))
            };
            if !is_included {
                continue;
            }
            let mut lookups = self.by_values.borrow_mut();
            let lookup = lookups.entry((alert.name.clone(), names.clone(), common.clone())).or_insert_with(|| {
                let mut lookup = ByValues::new();
                for (index, labels) in members {
                    lookup.entry(values(labels, common)).or_default().push(*index);
                }
                lookup
            });
            let difference = own.len().abs_diff(names.len());
            let found = lookup.get(&values(&alert.labels, common)).into_iter().flatten().find(|i| !taken.contains(i));
            if let Some(index) = found
                && best.is_none_or(|(least, _)| difference < least)
            {
                best = Some((difference, *index));
            }
        }
        best.map(|(_, index)| index)
    }
}

/// Completes an alert with what a duplicate of it says.
fn join(existing: &mut Alert, other: &Alert) {
    if other.value.is_some() {
        (existing.value, existing.unit) = (other.value, other.unit.clone());
    }
    existing.pending_since = match (existing.pending_since, other.pending_since) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    existing.is_constant |= other.is_constant;
    for (key, value) in &other.annotations {
        existing.annotations.entry(key.clone()).or_insert_with(|| value.clone());
    }
    existing.occurrences = existing.occurrences.max(other.occurrences);
    // In an Alertmanager cluster, a silence may not have reached every member yet; the alert counts as suppressed anyway.
    if existing.state == AlertState::Firing && other.state == AlertState::Suppressed {
        existing.state = other.state;
        existing.silenced_by.clone_from(&other.silenced_by);
        existing.inhibited_by.clone_from(&other.inhibited_by);
        existing.muted_by.clone_from(&other.muted_by);
    } else if matches!(existing.state, AlertState::Pending | AlertState::Resolved) && other.state < existing.state {
        existing.state = other.state;
        existing.starts_at = other.starts_at;
    }
    add_identities(existing, other);
}

/// Adds the fingerprints and the sources under which a duplicate of an alert is known.
fn add_identities(existing: &mut Alert, other: &Alert) {
    let own: BTreeSet<String> = existing.fingerprints().map(str::to_owned).collect();
    existing.aliases.extend(other.fingerprints().filter(|f| !own.contains(*f)).map(str::to_owned));
    let own: BTreeSet<String> = existing.listed_in().map(str::to_owned).collect();
    existing.also_in.extend(other.listed_in().filter(|s| !own.contains(*s)).map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{AlertSeverity, Silence};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_795_253_400 + secs)
    }

    /// An alert whose fingerprint is its labels.
    fn alert(source: &str, labels: &str, state: AlertState) -> Alert {
        Alert {
            fingerprint: labels.into(),
            name: "A".into(),
            severity: AlertSeverity::Warning,
            state,
            starts_at: Some(at(60)),
            pending_since: (source == "prom").then(|| at(0)),
            labels: labels.split(' ').filter_map(|p| p.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            source: source.into(),
            value: (source == "prom").then_some(17.0),
            ..Alert::default()
        }
    }

    fn brief(alerts: &[Alert]) -> Vec<String> {
        alerts
            .iter()
            .map(|a| format!("{} {} {}", a.fingerprint, a.state.word(), a.listed_in().collect::<Vec<_>>().join("+")))
            .collect()
    }

    #[test]
    fn alerts_that_differ_only_in_added_labels_are_one() {
        use AlertState::{Firing, Pending, Suppressed};
        let prom = vec![alert("prom", "service=x", Firing), alert("prom", "service=y", Pending)];
        let am = vec![alert("am", "cluster=eu service=x", Suppressed)];
        for lists in
            [vec![("prometheus", prom.clone()), ("alertmanager", am.clone())], vec![("alertmanager", am), ("prometheus", prom)]]
        {
            let merged = merge(lists);
            assert_eq!(brief(&merged), ["service=y pending prom", "cluster=eu service=x suppressed am+prom"]);
            let joined = &merged[1];
            assert_eq!((joined.value, joined.pending_since, joined.aliases[0].as_str()), (Some(17.0), Some(at(0)), "service=x"));
        }
    }

    #[test]
    fn each_alert_has_at_most_one_counterpart_per_source_and_the_closest() {
        let f = AlertState::Firing;
        let am = vec![alert("am", "cluster=eu instance=1", f), alert("am", "cluster=eu", f)];
        let prom = vec![alert("prom", "", f), alert("prom", "instance=1", f), alert("prom", "instance=2", f)];
        let merged = merge(vec![("alertmanager", am), ("prometheus", prom)]);
        let mut pairs: Vec<String> = merged.iter().map(|a| format!("{}|{}", a.fingerprint, a.aliases.join(","))).collect();
        pairs.sort();
        assert_eq!(pairs, ["cluster=eu instance=1|instance=1", "cluster=eu|", "instance=2|"]);
        assert!(merged[0].also_in == ["prom"] || merged[1].also_in == ["prom"]);
    }

    #[test]
    fn replicas_of_a_server_send_one_alert() {
        let f = AlertState::Firing;
        let ha = vec![alert("am", "service=x prometheus_replica=0", f), alert("am", "service=x prometheus_replica=1", f)];
        assert_eq!(merge(vec![("alertmanager", ha)]).len(), 1);
        let plain = |name: &str, n: &str| Alert { name: name.into(), ..alert("am", &format!("alertname={name} replica={n}"), f) };
        let all = vec![plain("A", "0"), plain("A", "1"), plain("B", "0"), plain("B", "1")];
        assert_eq!(merge(vec![("alertmanager", all.clone())]).len(), 2);
        let lag = Alert { name: "C".into(), ..alert("am", "alertname=C", f) };
        assert_eq!(merge(vec![("alertmanager", [all, vec![lag]].concat())]).len(), 5, "not all alerts have the label");
    }

    #[test]
    fn what_a_failed_source_said_is_kept_without_doubles() {
        let silence = |end| Silence { id: "s".into(), created_by: "ana".into(), comment: String::new(), ends_at: Some(at(end)) };
        let silenced = |end| Alert {
            silenced_by: vec![silence(end)],
            also_in: vec!["prom".into()],
            ..alert("am", "cluster=eu service=x", AlertState::Suppressed)
        };
        let fresh = vec![alert("prom", "service=x", AlertState::Firing)];
        let failed = BTreeSet::from(["am"]);
        let shown = with_stale(fresh.clone(), vec![silenced(900)], &failed, at(100));
        assert_eq!(brief(&shown), ["cluster=eu service=x suppressed am+prom"]);
        assert_eq!((shown[0].value, shown[0].aliases.as_slice()), (Some(17.0), ["service=x".to_owned()].as_slice()));
        // The silence is over.
        assert_eq!(brief(&with_stale(fresh, vec![silenced(900)], &failed, at(901))), ["cluster=eu service=x firing am+prom"]);
        // Prometheus fails instead: what Alertmanager reports now counts, not what it reported before.
        let now_firing = vec![Alert {
            annotations: Labels::from([("summary".into(), "new".into())]),
            ..alert("am", "cluster=eu service=x", AlertState::Firing)
        }];
        let shown = with_stale(now_firing, vec![silenced(900)], &BTreeSet::from(["prom"]), at(100));
        assert_eq!(brief(&shown), ["cluster=eu service=x firing am+prom"]);
        assert!(shown[0].silenced_by.is_empty() && shown[0].summary() == "new", "{shown:?}");
        // Prometheus knew it and no longer lists it; what only Alertmanager knew stays.
        let only = alert("am", "service=z", AlertState::Firing);
        let shown = with_stale(vec![], vec![silenced(900), only], &failed, at(100));
        assert_eq!(brief(&shown), ["service=z firing am"]);
        assert!(with_stale(vec![], vec![alert("prom", "service=q", AlertState::Firing)], &failed, at(100)).is_empty());
    }

    #[test]
    fn many_alerts_of_one_name_are_matched_by_their_labels() {
        let f = AlertState::Firing;
        let am: Vec<Alert> = (0..20_000).map(|n| alert("am", &format!("cluster=eu pod=p{n}"), f)).collect();
        let prom: Vec<Alert> = (0..20_000).map(|n| alert("prom", &format!("pod=p{n}"), f)).collect();
        let merged = merge(vec![("prometheus", prom), ("alertmanager", am)]);
        assert!(merged.len() == 20_000 && merged.iter().all(|a| a.aliases.len() == 1));
    }
}
