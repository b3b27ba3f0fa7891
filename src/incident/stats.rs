//! Figures over many incidents: how fast we detect, acknowledge, mitigate and resolve (median and 90th percentile, never the
//! mean alone), by severity, service and month; alerts that keep coming; incidents that recur; how good the diagnosis was.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::event::{FoundBy, Grade};
use super::ids::IncidentId;
use super::state::{Durations, Incident};
use super::status::Status;
use crate::telemetry::Timestamp;

/// Median and 90th percentile of a duration, in seconds, by linear interpolation between the closest ranks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    pub n: usize,
    pub median_secs: Option<f64>,
    pub p90_secs: Option<f64>,
}

impl Spread {
    /// Of any values; `None`s where there is none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.retain(|v| v.is_finite());
        values.sort_by(f64::total_cmp);
        Self { n: values.len(), median_secs: quantile(&values, 0.5), p90_secs: quantile(&values, 0.9) }
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * q;
    let below = place.floor() as usize;
    let low = *sorted.get(below)?;
    let high = *sorted.get((below + 1).min(last))?;
    Some(low + (high - low) * (place - below as f64))
}

/// The four durations of a group of incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    pub incidents: usize,
    pub detect: Spread,
    pub acknowledge: Spread,
    pub mitigate: Spread,
    pub resolve: Spread,
}

impl Times {
    fn of(rows: &[&Row]) -> Self {
        let pick = |f: fn(&Durations) -> Option<f64>| Spread::of(rows.iter().filter_map(|r| f(&r.durations)).collect());
        Self {
            incidents: rows.len(),
            detect: pick(|d| d.detect_secs),
            acknowledge: pick(|d| d.acknowledge_secs),
            mitigate: pick(|d| d.mitigate_secs),
            resolve: pick(|d| d.resolve_secs),
        }
    }
}

/// An alert and how often it took part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoisyAlert {
    pub name: String,
    pub service: Option<String>,
    pub incidents: usize,
    /// Of them those that were false alarms.
    pub cancelled: usize,
    /// How often it was linked and taken away again as wrong.
    pub unlinked: usize,
}

/// Incidents that look alike: the same alerts on the same services.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recurring {
    pub alerts: Vec<String>,
    pub services: Vec<String>,
    pub incidents: Vec<IncidentId>,
    pub last_at: Timestamp,
}

/// What one incident adds to the figures; small, so that ten thousand fit.
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
    /// Of a folded incident. The severity is its worst, the month that of its declaration (UTC).
    pub fn of(incident: &Incident) -> Self {
        let named = |a: &super::fact::LinkedAlert| {
            let name = if a.name.is_empty() { a.fingerprint.clone() } else { a.name.clone() };
            (name, crate::telemetry::series::service_of(&a.labels).map(str::to_owned))
        };
        let ever: BTreeMap<&str, (String, Option<String>)> = incident
            .entries
            .iter()
            .filter(|e| !incident.undone.contains(&e.seq))
            .filter_map(|e| match &e.fact {
                super::fact::Fact::AlertLinked { alert } => Some((alert.fingerprint.as_str(), named(alert))),
                _ => None,
            })
            .collect();
        let unlinked = ever
            .iter()
            .filter(|(print, _)| !incident.alerts.iter().any(|a| a.fingerprint == **print))
            // What another incident brought along and took away again was not wrong here.
            .filter(|(print, _)| !incident.brought.values().any(|all| all.contains(**print)))
            .map(|(_, name)| name.clone())
            .collect();
        Self {
            id: incident.id(),
            status: incident.head.status,
            severity: incident.peak_severity().to_string(),
            services: incident.services(),
            month: incident.head.declared_at.date().chars().take(7).collect(),
            declared_at: incident.head.declared_at,
            durations: incident.measured(),
            alerts: incident.alerts.iter().map(named).collect::<BTreeSet<_>>().into_iter().collect(),
            unlinked,
            grade: incident.grade.as_ref().map(|g| (g.grade, g.found_by)),
            hypothesis_secs: incident.first_useful_hypothesis_secs(),
        }
    }
}

/// The graded diagnoses of a month.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Grades {
    pub graded: usize,
    pub grades: BTreeMap<&'static str, usize>,
    pub found_by: BTreeMap<&'static str, usize>,
}

/// All figures. False alarms (`cancelled`) and parts of others (`merged`) count in `incidents_all` and for noisy alerts only.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    pub incidents_all: usize,
    pub cancelled: usize,
    pub merged: usize,
    pub overall: Times,
    pub by_severity: BTreeMap<String, Times>,
    /// An incident counts for each of its services; without one for `unknown`.
    pub by_service: BTreeMap<String, Times>,
    pub by_month: BTreeMap<String, Times>,
    /// The most frequent first; only those of at least two incidents, or of a false alarm, or linked by mistake.
    pub noisy_alerts: Vec<NoisyAlert>,
    pub recurring: Vec<Recurring>,
    pub grades: BTreeMap<&'static str, usize>,
    pub found_by: BTreeMap<&'static str, usize>,
    pub ungraded: usize,
    /// The same month by month: whether we find causes better than before.
    pub grades_by_month: BTreeMap<String, Grades>,
    /// From detection to the first hypothesis that was later supported.
    pub first_useful_hypothesis: Spread,
}

/// Computes all figures.
pub fn stats(rows: &[Row]) -> Stats {
    let real: Vec<&Row> = rows.iter().filter(|r| !matches!(r.status, Status::Cancelled | Status::Merged)).collect();
    let grouped = |keys: fn(&Row) -> Vec<String>| -> BTreeMap<String, Times> {
        let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in &real {
            for key in keys(row) {
                groups.entry(key).or_default().push(row);
            }
        }
        groups.into_iter().map(|(key, rows)| (key, Times::of(&rows))).collect()
    };
    let count = |of: fn(&Row) -> Option<&'static str>| {
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        for word in real.iter().filter_map(|r| of(r)) {
            *counts.entry(word).or_default() += 1;
        }
        counts
    };
    Stats {
        incidents_all: rows.len(),
        cancelled: rows.iter().filter(|r| r.status == Status::Cancelled).count(),
        merged: rows.iter().filter(|r| r.status == Status::Merged).count(),
        overall: Times::of(&real),
        by_severity: grouped(|r| vec![r.severity.clone()]),
        by_service: grouped(|r| if r.services.is_empty() { vec!["unknown".to_owned()] } else { r.services.clone() }),
        by_month: grouped(|r| vec![r.month.clone()]),
        noisy_alerts: noisy(rows),
        recurring: recurring(&real),
        grades: count(|r| r.grade.map(|g| g.0.word())),
        found_by: count(|r| r.grade.map(|g| g.1.word())),
        grades_by_month: {
            let mut months: BTreeMap<String, Grades> = BTreeMap::new();
            for (row, (grade, by)) in real.iter().filter_map(|r| r.grade.map(|g| (r, g))) {
                let month = months.entry(row.month.clone()).or_default();
                month.graded += 1;
                *month.grades.entry(grade.word()).or_default() += 1;
                *month.found_by.entry(by.word()).or_default() += 1;
            }
            months
        },
        ungraded: real.iter().filter(|r| r.grade.is_none() && !r.status.is_open()).count(),
        first_useful_hypothesis: Spread::of(real.iter().filter_map(|r| r.hypothesis_secs).collect()),
    }
}

fn noisy(rows: &[Row]) -> Vec<NoisyAlert> {
    let mut found: BTreeMap<(String, Option<String>), NoisyAlert> = BTreeMap::new();
    // The alerts of a part are those of the whole.
    for row in rows.iter().filter(|r| r.status != Status::Merged) {
        for (wrong, key) in row.alerts.iter().map(|k| (false, k)).chain(row.unlinked.iter().map(|k| (true, k))) {
            let alert = found.entry(key.clone()).or_insert_with(|| NoisyAlert {
                name: key.0.clone(),
                service: key.1.clone(),
                incidents: 0,
                cancelled: 0,
                unlinked: 0,
            });
            alert.incidents += usize::from(!wrong);
            alert.cancelled += usize::from(!wrong && row.status == Status::Cancelled);
            alert.unlinked += usize::from(wrong);
        }
    }
    let mut list: Vec<NoisyAlert> =
        found.into_values().filter(|a| a.incidents > 1 || a.cancelled > 0 || a.unlinked > 0).collect();
    list.sort_by(|a, b| (b.incidents + b.unlinked, &a.name, &a.service).cmp(&(a.incidents + a.unlinked, &b.name, &b.service)));
    list
}

fn recurring(rows: &[&Row]) -> Vec<Recurring> {
    let mut alike: BTreeMap<(Vec<String>, Vec<String>), Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|r| !r.alerts.is_empty()) {
        let names: BTreeSet<String> = row.alerts.iter().map(|(name, _)| name.clone()).collect();
        alike.entry((names.into_iter().collect(), row.services.clone())).or_default().push(row);
    }
    let mut list: Vec<Recurring> = alike
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
    fn median_and_p90_are_interpolated() {
        let spread = Spread::of(vec![10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!((spread.n, spread.median_secs, spread.p90_secs), (5, Some(30.0), Some(46.0)));
        assert_eq!(Spread::of(vec![f64::NAN]), Spread::default());
        assert_eq!(Spread::of(vec![7.0]).p90_secs, Some(7.0));
    }

    fn row(alert: &str, ends: Status) -> Row {
        let mut linked = LinkedAlert::unverified(alert);
        linked.name = alert.to_owned();
        linked.starts_at = Some(Timestamp::from_secs(1_795_253_400));
        linked.labels.insert("service".into(), "checkout".into());
        let end =
            Fact::StatusChanged { from: Status::Investigating, to: ends, override_reason: None, open: Vec::new(), reason: None };
        Row::of(&Incident::fold(entries(vec![declared(), Fact::AlertLinked { alert: linked }, end])).unwrap())
    }

    #[test]
    fn false_alarms_count_as_noise_and_not_as_speed() {
        let rows =
            [row("A", Status::Resolved), row("A", Status::Resolved), row("B", Status::Cancelled), row("C", Status::Resolved)];
        let s = stats(&rows);
        assert_eq!((s.incidents_all, s.cancelled, s.overall.incidents), (4, 1, 3));
        assert_eq!(s.by_service["checkout"].resolve.median_secs, Some(120.0));
        // No source told when the impact began: the firing start is no time to detect.
        assert_eq!((s.overall.detect.n, s.overall.resolve.n), (0, 3));
        assert_eq!(s.by_month.len(), 1);
        let noise: Vec<(&str, usize, usize)> =
            s.noisy_alerts.iter().map(|a| (a.name.as_str(), a.incidents, a.cancelled)).collect();
        assert_eq!(noise, [("A", 2, 0), ("B", 1, 1)]);
        assert_eq!(s.recurring.len(), 1);
        assert_eq!(s.ungraded, 3);
    }
}
