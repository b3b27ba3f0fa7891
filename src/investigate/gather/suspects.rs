//! The suspects over all series and logs.

use std::collections::{BTreeMap, BTreeSet};

use super::Gathered;
use super::logs::REQUESTS;
use crate::analysis::departure::{MeasuredSeries, Point, SeriesId};
use crate::analysis::findings::{Key, MetricInput, Signals, SuspectInput, repeats_percentile};
use crate::analysis::onset::is_older;
use crate::analysis::suspects::suspects;
use crate::analysis::{Change, Direction, Movement, Pattern};
use crate::telemetry::{Alert, Level, Series, Timestamp};

/// A suspect series is at least this many spreads from normal.
const MIN_SPREADS: f64 = 3.0;

/// A suspect series has changed by at least this share of its level.
const MIN_CHANGE: f64 = 0.05;

/// A series before and after the onset. Shares become percentages, so that unit and figure agree.
pub(super) fn measured(id: SeriesId, unit: &str, series: &Series, onset: Timestamp, movement: &Movement) -> MeasuredSeries {
    let factor = if unit == "%" { 100.0 } else { 1.0 };
    // It may have changed before the assumed onset.
    let is_early = |s: &&crate::telemetry::Sample| s.at <= onset && movement.changed_at.is_none_or(|at| s.at < at);
    let points = |is_normal: bool| -> Vec<Point> {
        series.samples.iter().filter(|s| is_early(s) == is_normal).map(|s| (s.at, s.value * factor)).collect()
    };
    MeasuredSeries {
        id,
        unit: unit.to_owned(),
        baseline: points(true),
        incident: points(false),
        ended: movement.changed_at.filter(|_| movement.before.is_some() && movement.after.is_none()),
        changed_at: movement.changed_at,
    }
}

/// Services that the new and more frequent warnings and errors of each service name.
fn blames(out: &Gathered) -> BTreeMap<String, BTreeSet<String>> {
    let mut services: BTreeSet<&str> = out.signals.metrics.iter().filter_map(|m| m.service.as_deref()).collect();
    services.extend(out.signals.patterns.iter().flat_map(|(_, p)| p.services.iter().map(String::as_str)));
    let mut blames: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let counts = |p: &Pattern| matches!(p.change, Change::New | Change::Up) && p.level.is_none_or(|l| l >= Level::Warn);
    for (_, p) in out.signals.patterns.iter().filter(|(_, p)| counts(p)) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let named = p.template.split(|c| !is_part(c)).filter(|w| services.contains(w));
        for word in named {
            for service in p.services.iter().filter(|s| *s != word) {
                blames.entry(service.clone()).or_default().insert(word.to_owned());
            }
        }
    }
    blames
}

/// Callers with those of their callees whose metrics changed: a change at the caller may follow from it.
fn changed_callees(out: &Gathered) -> impl Iterator<Item = (&str, &str)> {
    let changed: BTreeSet<&str> = out
        .signals
        .metrics
        .iter()
        .filter(|m| m.movement.direction != Direction::Flat && !m.is_alert_expression)
        .filter_map(|m| m.service.as_deref())
        .collect();
    out.signals.calls.calls().filter(move |(_, callee)| changed.contains(callee))
}

/// Whether a change is large enough to matter: in a series that hardly varies, any change looks large.
fn is_noticeable(before: Option<f64>, after: Option<f64>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return true };
    (after - before).abs() >= MIN_CHANGE * before.abs().max(after.abs())
}

/// The series that shows what the incident is about: of the services with firing alerts, the one that no
/// other of them calls, and of its errors and latencies the one that changed most. `None` without alerts or without such a change.
fn symptom(signals: &Signals) -> Option<&MetricInput> {
    let own = |a: &&Alert| a.is_firing() && !is_older(a, signals.first_alert);
    let alerting: BTreeSet<&str> = signals.alerts.iter().filter(own).filter_map(Alert::service).collect();
    let is_called = |service: &str| alerting.iter().any(|caller| *caller != service && signals.calls.has(caller, service));
    let has_symptom = |m: &&MetricInput| {
        let is_of_alert = m.service.as_deref().is_some_and(|s| alerting.contains(s));
        is_of_alert && !m.is_alert_expression && m.meaning().is_symptom() && m.movement.direction != Direction::Flat
    };
    let symptoms = signals.metrics.iter().filter(has_symptom);
    symptoms.max_by(|a, b| {
        let key = |m: &MetricInput| (!m.service.as_deref().is_some_and(is_called), m.movement.score);
        let ((a_is_edge, a_score), (b_is_edge, b_score)) = (key(a), key(b));
        a_is_edge.cmp(&b_is_edge).then_with(|| a_score.total_cmp(&b_score)).then_with(|| b.key.cmp(&a.key))
    })
}

/// Ranks the suspects over all series and logs.
pub(super) fn rank(out: &mut Gathered) {
    let mut blames = blames(out);
    out.signals.blames.clone_from(&blames);
    for (caller, callee) in changed_callees(out) {
        blames.entry(caller.to_owned()).or_default().insert(callee.to_owned());
    }
    out.context.blames = blames;
    out.context.calls.clone_from(&out.signals.calls);
    let series = std::mem::take(&mut out.measured);
    let symptom = symptom(&out.signals);
    out.context.symptom = symptom.and_then(|m| series.iter().map(|s| &s.id).find(|id| m.is_of(id))).cloned();
    let pattern_keys: Vec<Key> =
        out.drafts.iter().map(|(key, _)| key).filter(|k| k.starts_with("patterns/")).take(1).cloned().collect();
    out.signals.blames_key = pattern_keys.first().cloned().unwrap_or_default();
    // Its evidence says that it is steady, so it is no suspect.
    let is_steady =
        |id: &SeriesId| out.signals.metrics.iter().find(|m| m.is_of(id)).is_some_and(|m| m.movement.direction == Direction::Flat);
    let is_repeated = |id: &SeriesId| {
        let metric = out.signals.metrics.iter().find(|m| m.is_of(id));
        metric.is_some_and(|m| repeats_percentile(m, &out.signals.metrics))
    };
    let found: Vec<SuspectInput> = suspects(&series, &out.context)
        .into_iter()
        // Without a lasting change, a series is mentioned only because of its service's log, or because a caller waits for it.
        .filter(|s| {
            (s.changed_at.is_some()
                && !s.series.as_ref().is_some_and(is_steady)
                && s.size >= MIN_SPREADS
                && is_noticeable(s.before, s.after))
                || s.series.is_none()
                || !s.log_change.is_empty()
                || s.wait.is_some()
                || s.waiting.is_some()
        })
        .filter(|s| !s.series.as_ref().is_some_and(is_repeated))
        .map(|suspect| {
            let of_caller = suspect.wait.as_ref().map(|w| &w.caller_series);
            let of_callee = suspect.waiting.iter().flat_map(|waiting| &waiting.series);
            let mut keys: Vec<Key> =
                suspect.series.iter().chain(of_caller).chain(of_callee).map(|id| id.source.clone()).collect();
            if !suspect.log_change.is_empty() {
                let is_followed = suspect.service.as_ref().is_some_and(|s| out.context.requests.contains_key(s));
                keys.extend(if is_followed { vec![REQUESTS.to_owned()] } else { pattern_keys.clone() });
            }
            SuspectInput { suspect, keys }
        })
        .collect();
    out.signals.suspects = found;
    share_levels(out);
}

/// Gives the suspects the levels and times of the metrics that are their series, so that every finding shows the same figures.
fn share_levels(out: &mut Gathered) {
    for input in &mut out.signals.suspects {
        let Some(id) = &input.suspect.series else { continue };
        let Some(metric) = out.signals.metrics.iter().find(|m| m.is_of(id)) else { continue };
        let movement = &metric.movement;
        if movement.direction == Direction::Flat || input.suspect.changed_at.is_none() {
            continue;
        }
        let factor = if metric.unit == "%" { 100.0 } else { 1.0 };
        input.suspect.before = movement.before.map(|v| v * factor);
        input.suspect.after = movement.after.map(|v| v * factor);
        (input.suspect.direction, input.suspect.changed_at) = (movement.direction, movement.changed_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::findings::MetricInput;
    use crate::telemetry::Labels;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_795_253_400 + secs)
    }

    #[test]
    fn a_caller_blames_the_callees_that_changed() {
        let moved = |service: &str, direction| MetricInput {
            key: format!("m/{service}"),
            title: "latency p95".into(),
            service: Some(service.into()),
            unit: "s".into(),
            movement: Movement { direction, score: 9.0, changed_at: None, before: None, after: None, back_at: None },
            is_alert_expression: false,
            threshold: None,
            requests: None,
            labels: Labels::new(),
            earlier: vec![],
        };
        let mut out = Gathered::default();
        out.signals.metrics = vec![moved("db", Direction::Up), moved("mail", Direction::Flat)];
        out.signals.calls = [("shop", "db"), ("shop", "mail")].into_iter().collect();
        let pairs: Vec<(&str, &str)> = changed_callees(&out).collect();
        assert_eq!(pairs, [("shop", "db")]);
        rank(&mut out);
        assert_eq!(out.context.blames, BTreeMap::from([("shop".into(), BTreeSet::from(["db".into()]))]));
        assert!(out.signals.blames.is_empty(), "no log line names a service");
    }

    #[test]
    fn a_callee_that_is_only_waited_for_is_a_suspect_through_its_caller() {
        let mut out = Gathered::default();
        let mut add = |service: &str, title: &str, before: f64, after: f64| {
            let level = |from: i64, n: i64, level: f64| {
                (from..from + n).map(|k| (at(60 * k), level * if k % 2 == 0 { 1.05 } else { 0.95 })).collect()
            };
            let name = format!("{service}|{title}");
            let (baseline, incident) = (level(-20, 20, before), level(0, 6, after));
            let id = SeriesId { source: name.clone(), ..SeriesId::from_column(&name) };
            out.measured.push(MeasuredSeries { id, baseline, incident, ..MeasuredSeries::default() });
        };
        for (service, rate) in [("desk", 1.0), ("mail", 1.0), ("bank", 1.0)] {
            add(service, "requests per second", rate, rate);
        }
        add("desk", "latency p95", 0.5, 2.6);
        add("desk", "http_client_request_duration_seconds p95", 0.02, 2.1);
        add("mail", "latency p95", 0.01, 0.01);
        add("bank", "latency p95", 0.01, 0.01);
        rank(&mut out);
        let bank = out.signals.suspects.iter().find(|s| s.suspect.service.as_deref() == Some("bank")).unwrap();
        assert!(bank.keys.contains(&"desk|http_client_request_duration_seconds p95".to_owned()), "{:?}", bank.keys);
        let why = bank.suspect.why();
        assert!(why.starts_with("its own metrics look normal; desk may be waiting for it"), "{why}");
        let found = crate::analysis::findings::single(&out.signals);
        let finding = found.iter().find(|f| f.text.starts_with("bank is ")).unwrap();
        assert!(finding.confidence <= 0.5 && finding.inputs == bank.keys, "{finding:?}");
    }

    #[test]
    fn a_series_that_its_evidence_calls_steady_is_no_suspect() {
        let level = |from: i64, n: i64, level: f64| -> Vec<(Timestamp, f64)> {
            (from..from + n).map(|k| (at(60 * k), level + 0.0001 * (k % 3) as f64)).collect()
        };
        let run = |direction| {
            let mut out = Gathered::default();
            let name = "shop|latency p95".to_owned();
            let (baseline, incident) = (level(-20, 20, 0.0997), level(0, 9, 0.11));
            let id = SeriesId { source: name.clone(), ..SeriesId::from_column(&name) };
            out.measured.push(MeasuredSeries { id, baseline, incident, ..MeasuredSeries::default() });
            out.signals.metrics = vec![MetricInput {
                key: name,
                title: "latency p95".into(),
                service: Some("shop".into()),
                unit: "s".into(),
                movement: Movement { direction, score: 9.0, changed_at: None, before: None, after: None, back_at: None },
                is_alert_expression: false,
                threshold: None,
                requests: None,
                labels: Labels::new(),
                earlier: vec![],
            }];
            rank(&mut out);
            out.signals.suspects.len()
        };
        assert_eq!((run(Direction::Up), run(Direction::Flat)), (1, 0));
    }

    #[test]
    fn a_mean_that_repeats_a_percentile_is_no_suspect_of_its_own() {
        let run = |percentile: Direction, base: &str| {
            let mut out = Gathered::default();
            let queries =
                [(format!("rate({base}_bucket[1m])"), percentile), ("rate(http_sum[1m]) / x".to_owned(), Direction::Up)];
            for (query, direction) in queries {
                let level = |from: i64, n: i64, level: f64| -> Vec<(Timestamp, f64)> {
                    (from..from + n).map(|k| (at(60 * k), level + 0.001 * (k % 3) as f64)).collect()
                };
                let (key, title) = (format!("metric/prom/{query}"), format!("latency of {query}"));
                let id = SeriesId { source: key.clone(), ..SeriesId::from_column(&format!("shop|{title}")) };
                let (baseline, incident) = (level(-20, 20, 0.1), level(0, 9, 4.6));
                out.measured.push(MeasuredSeries { id, baseline, incident, ..MeasuredSeries::default() });
                out.signals.metrics.push(MetricInput {
                    key,
                    title,
                    service: Some("shop".into()),
                    unit: "s".into(),
                    movement: Movement { direction, score: 9.0, changed_at: None, before: None, after: None, back_at: None },
                    is_alert_expression: false,
                    threshold: None,
                    requests: None,
                    labels: Labels::new(),
                    earlier: vec![],
                });
            }
            rank(&mut out);
            out.signals.suspects.len()
        };
        assert_eq!(run(Direction::Up, "http"), 1);
        assert_eq!(run(Direction::Up, "grpc"), 2, "of other requests");
        assert_eq!(run(Direction::Down, "http"), 2, "the other way round");
    }

    #[test]
    fn small_changes_are_not_suspects() {
        assert!(is_noticeable(Some(1.0), Some(20.0)) && is_noticeable(Some(0.0), Some(0.1)) && is_noticeable(None, Some(3.0)));
        assert!(!is_noticeable(Some(19.9), Some(19.93)) && !is_noticeable(Some(-4.0), Some(-4.1)));
    }
}
