//! Statistics over many incidents: times to detect, acknowledge, mitigate and resolve (median and 90th percentile) by severity,
//! service and month; noisy alerts; recurring incidents; quality of the diagnoses.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::event::{FoundBy, Grade};
use super::ids::IncidentId;
use super::state::{Durations, Incident};
use super::status::Status;
use crate::telemetry::Timestamp;

/// The median and 90th percentile of a duration, in seconds, interpolated linearly between the closest ranks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Number of values.
    pub n: usize,
    pub median_secs: Option<f64>,
    pub p90_secs: Option<f64>,
}

impl Spread {
    /// Computes the percentiles of `values`, ignoring values that are not finite. Both are `None` if no values are left.
    pub fn from_values(mut values: Vec<f64>) -> Self {
        values.retain(|v| v.is_finite());
        values.sort_by(f64::total_cmp);
        Self { n: values.len(), median_secs: quantile(&values, 0.5), p90_secs: quantile(&values, 0.9) }
    }
}

fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = last as f64 * q;
    let index = rank.floor() as usize;
    let low = *sorted.get(index)?;
    let high = *sorted.get((index + 1).min(last))?;
    Some(low + (high - low) * (rank - index as f64))
}

/// The durations of a group of incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    /// Number of incidents in the group.
    pub incidents: usize,
    pub detect: Spread,
    pub acknowledge: Spread,
    pub mitigate: Spread,
    pub resolve: Spread,
}

impl Times {
    fn from_rows(rows: &[&Row]) -> Self {
        let pick = |f: fn(&Durations) -> Option<f64>| Spread::from_values(rows.iter().filter_map(|r| f(&r.durations)).collect());
        Self {
            incidents: rows.len(),
            detect: pick(|d| d.detect_secs),
            acknowledge: pick(|d| d.acknowledge_secs),
            mitigate: pick(|d| d.mitigate_secs),
            resolve: pick(|d| d.resolve_secs),
        }
    }
}

/// An alert and how often it was linked to incidents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoisyAlert {
    pub name: String,
    pub service: Option<String>,
    /// Number of incidents with this alert.
    pub incidents: usize,
    /// How many of those incidents were false alarms.
    pub cancelled: usize,
    /// How often the alert was linked by mistake and unlinked again.
    pub unlinked: usize,
}

/// A group of incidents with the same alerts on the same services.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recurring {
    pub alerts: Vec<String>,
    pub services: Vec<String>,
    pub incidents: Vec<IncidentId>,
    /// When the last of them was declared.
    pub last_at: Timestamp,
}

/// The data about one incident that the statistics need. It is small, so that ten thousand rows fit in memory.
#[derive(Clone, Debug)]
pub struct Row {
    id: IncidentId,
    status: Status,
    severity: String,
    services: Vec<String>,
    month: String,
    declared_at: Timestamp,
    durations: Durations,
    alerts: Vec<(String, Option<String>)>,
    unlinked: Vec<(String, Option<String>)>,
    grade: Option<(Grade, FoundBy)>,
    hypothesis_secs: Option<f64>,
}

impl Row {
    /// Extracts the row from an incident, with its peak severity and the UTC month in which it was declared.
    pub fn from_incident(incident: &Incident) -> Self {
        let name_and_service = |a: &super::fact::LinkedAlert| {
            let name = if a.name.is_empty() { a.fingerprint.clone() } else { a.name.clone() };
            (name, crate::telemetry::subject::service_of(&a.labels).map(str::to_owned))
        };
        let ever_linked: BTreeMap<&str, (String, Option<String>)> = incident
            .entries
            .iter()
            .filter(|e| !incident.undone.contains(&e.seq))
            .filter_map(|e| match &e.fact {
                super::fact::Fact::AlertLinked { alert } => Some((alert.fingerprint.as_str(), name_and_service(alert))),
                _ => None,
            })
            .collect();
        let unlinked = ever_linked
            .iter()
            .filter(|(fingerprint, _)| !incident.alerts.iter().any(|a| a.fingerprint == **fingerprint))
            // Alerts that came and went with a merged incident were not linked by mistake.
            .filter(|(fingerprint, _)| !incident.absorbed_alerts.values().any(|all| all.contains(**fingerprint)))
            .map(|(_, name)| name.clone())
            .collect();
        Self {
            id: incident.id(),
            status: incident.head.status,
            severity: incident.peak_severity().to_string(),
            services: incident.services(),
            month: incident.head.declared_at.date().chars().take(7).collect(),
            declared_at: incident.head.declared_at,
            durations: incident.measured_durations(),
            alerts: incident.alerts.iter().map(name_and_service).collect::<BTreeSet<_>>().into_iter().collect(),
            unlinked,
            grade: incident.grade.as_ref().map(|g| (g.grade, g.found_by)),
            hypothesis_secs: incident.first_useful_hypothesis_secs(),
        }
    }
}

/// The graded diagnoses of one month.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Grades {
    /// Number of graded incidents.
    pub graded: usize,
    pub grades: BTreeMap<&'static str, usize>,
    pub found_by: BTreeMap<&'static str, usize>,
}

/// All statistics.
///
/// Cancelled incidents (false alarms) count only in `incidents_all`, `cancelled` and `noisy_alerts`; merged incidents count only
/// in `incidents_all` and `merged`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    pub incidents_all: usize,
    pub cancelled: usize,
    pub merged: usize,
    pub overall: Times,
    pub by_severity: BTreeMap<String, Times>,
    /// An incident counts for each of its services, or for `unknown` if it has none.
    pub by_service: BTreeMap<String, Times>,
    pub by_month: BTreeMap<String, Times>,
    /// Most frequent first. Only alerts that were linked to at least two incidents, to a false alarm, or by mistake.
    pub noisy_alerts: Vec<NoisyAlert>,
    pub recurring: Vec<Recurring>,
    /// Number of incidents by grade of the diagnosis.
    pub grades: BTreeMap<&'static str, usize>,
    /// Number of incidents by who found the diagnosis.
    pub found_by: BTreeMap<&'static str, usize>,
    /// Number of ended incidents without a grade.
    pub ungraded: usize,
    /// The grades by month, to show whether diagnoses improve.
    pub grades_by_month: BTreeMap<String, Grades>,
    /// Time from detection to the first hypothesis that was later supported.
    pub first_useful_hypothesis: Spread,
}

/// Computes the statistics over `rows`.
pub fn stats(rows: &[Row]) -> Stats {
    let counted: Vec<&Row> = rows.iter().filter(|r| !matches!(r.status, Status::Cancelled | Status::Merged)).collect();
    let group_by = |keys: fn(&Row) -> Vec<String>| -> BTreeMap<String, Times> {
        let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in &counted {
            for key in keys(row) {
                groups.entry(key).or_default().push(row);
            }
        }
        groups.into_iter().map(|(key, rows)| (key, Times::from_rows(&rows))).collect()
    };
    let count_by = |key: fn(&Row) -> Option<&'static str>| {
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        for word in counted.iter().filter_map(|r| key(r)) {
            *counts.entry(word).or_default() += 1;
        }
        counts
    };
    Stats {
        incidents_all: rows.len(),
        cancelled: rows.iter().filter(|r| r.status == Status::Cancelled).count(),
        merged: rows.iter().filter(|r| r.status == Status::Merged).count(),
        overall: Times::from_rows(&counted),
        by_severity: group_by(|r| vec![r.severity.clone()]),
        by_service: group_by(|r| if r.services.is_empty() { vec!["unknown".to_owned()] } else { r.services.clone() }),
        by_month: group_by(|r| vec![r.month.clone()]),
        noisy_alerts: noisy_alerts(rows),
        recurring: recurring(&counted),
        grades: count_by(|r| r.grade.map(|g| g.0.word())),
        found_by: count_by(|r| r.grade.map(|g| g.1.word())),
        grades_by_month: {
            let mut months: BTreeMap<String, Grades> = BTreeMap::new();
            for (row, (grade, by)) in counted.iter().filter_map(|r| r.grade.map(|g| (r, g))) {
                let month = months.entry(row.month.clone()).or_default();
                month.graded += 1;
                *month.grades.entry(grade.word()).or_default() += 1;
                *month.found_by.entry(by.word()).or_default() += 1;
            }
            months
        },
        ungraded: counted.iter().filter(|r| r.grade.is_none() && !r.status.is_open()).count(),
        first_useful_hypothesis: Spread::from_values(counted.iter().filter_map(|r| r.hypothesis_secs).collect()),
    }
}

fn noisy_alerts(rows: &[Row]) -> Vec<NoisyAlert> {
    let mut found: BTreeMap<(String, Option<String>), NoisyAlert> = BTreeMap::new();
    // The alerts of a merged incident are also linked to the incident it was merged into.
    for row in rows.iter().filter(|r| r.status != Status::Merged) {
        for (is_mistake, key) in row.alerts.iter().map(|k| (false, k)).chain(row.unlinked.iter().map(|k| (true, k))) {
            let alert = found.entry(key.clone()).or_insert_with(|| NoisyAlert {
                name: key.0.clone(),
                service: key.1.clone(),
                incidents: 0,
                cancelled: 0,
                unlinked: 0,
            });
            alert.incidents += usize::from(!is_mistake);
            alert.cancelled += usize::from(!is_mistake && row.status == Status::Cancelled);
            alert.unlinked += usize::from(is_mistake);
        }
    }
    let mut list: Vec<NoisyAlert> =
        found.into_values().filter(|a| a.incidents > 1 || a.cancelled > 0 || a.unlinked > 0).collect();
    list.sort_by(|a, b| (b.incidents + b.unlinked, &a.name, &a.service).cmp(&(a.incidents + a.unlinked, &b.name, &b.service)));
    list
}

fn recurring(rows: &[&Row]) -> Vec<Recurring> {
    let mut groups: BTreeMap<(Vec<String>, Vec<String>), Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|r| !r.alerts.is_empty()) {
        let names: BTreeSet<String> = row.alerts.iter().map(|(name, _)| name.clone()).collect();
        groups.entry((names.into_iter().collect(), row.services.clone())).or_default().push(row);
    }
    let mut list: Vec<Recurring> = groups
        .into_iter()
        .filter(|(_, rows)| rows.len() > 1)
        .filter_map(|((alerts, services), rows)| {
            let last_at = rows.iter().map(|r| r.declared_at).max()?;
            let mut incidents: Vec<IncidentId> = rows.iter().map(|r| r.id).collect();
            incidents.sort_unstable();
            Some(Recurring { alerts, services, incidents, last_at })
        })
        .collect();
    list.sort_by_key(|r| std::cmp::Reverse((r.incidents.len(), r.last_at)));
    list
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{declared, entries};
    use super::*;
    use crate::incident::{Fact, LinkedAlert};

    #[test]
    fn interpolates_median_and_p90() {
        let spread = Spread::from_values(vec![10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!((spread.n, spread.median_secs, spread.p90_secs), (5, Some(30.0), Some(46.0)));
        assert_eq!(Spread::from_values(vec![f64::NAN]), Spread::default());
        assert_eq!(Spread::from_values(vec![7.0]).p90_secs, Some(7.0));
    }

    fn row(alert: &str, end_status: Status) -> Row {
        let mut linked = LinkedAlert::unverified(alert);
        linked.name = alert.to_owned();
        linked.starts_at = Some(Timestamp::from_secs(1_795_253_400));
        linked.labels.insert("service".into(), "checkout".into());
        let end = Fact::StatusChanged {
            from: Status::Investigating,
            to: end_status,
            override_reason: None,
            open: Vec::new(),
            reason: None,
        };
        Row::from_incident(&Incident::fold(entries(vec![declared(), Fact::AlertLinked { alert: linked }, end])).unwrap())
    }

    #[test]
    fn counts_false_alarms_as_noise_but_not_in_durations() {
        let rows =
            [row("A", Status::Resolved), row("A", Status::Resolved), row("B", Status::Cancelled), row("C", Status::Resolved)];
        let s = stats(&rows);
        assert_eq!((s.incidents_all, s.cancelled, s.overall.incidents), (4, 1, 3));
        assert_eq!(s.by_service["checkout"].resolve.median_secs, Some(120.0));
        // Without a pending time, the time to detect cannot be measured.
        assert_eq!((s.overall.detect.n, s.overall.resolve.n), (0, 3));
        assert_eq!(s.by_month.len(), 1);
        let noise: Vec<(&str, usize, usize)> =
            s.noisy_alerts.iter().map(|a| (a.name.as_str(), a.incidents, a.cancelled)).collect();
        assert_eq!(noise, [("A", 2, 0), ("B", 1, 1)]);
        assert_eq!(s.recurring.len(), 1);
        assert_eq!(s.ungraded, 3);
    }
}
