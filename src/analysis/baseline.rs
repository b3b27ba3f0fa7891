//! Whether the time that counts as normal was normal.
//!
//! Alerts fire late: an incident may be an hour old when its first alert begins. A baseline inside the incident makes a failing service
//! look unchanged, so unchanged series are then no evidence.

use super::findings::{MetricInput, Requests, Signals};
use super::movement::Direction;
use super::quantity::Quantity;

/// Share of failed requests from which a baseline is not normal.
const MANY_FAILED: f64 = 0.05;

/// Whether a series of a firing alert was beyond its threshold before the onset, on the same side as now.
fn was_beyond_threshold(m: &MetricInput) -> bool {
    let (Some(threshold), Some(before), Some(after)) = (m.threshold, m.movement.before, m.movement.after) else { return false };
    before != threshold && after != threshold && (before > threshold) == (after > threshold)
}

/// The share of requests of a service that failed before the onset; `None` if unknown.
pub fn failed_before(signals: &Signals, service: &str) -> Option<f64> {
    let before = |requests: Requests| {
        let of_service = |m: &&MetricInput| m.requests == Some(requests) && m.service.as_deref() == Some(service);
        signals.metrics.iter().find(of_service)?.movement.before
    };
    let (errors, requests) = (before(Requests::Failed)?, before(Requests::All)?);
    (requests > 0.0).then(|| (errors / requests).clamp(0.0, 1.0))
}

/// Whether a series shows that the incident had already begun in the time that counts as normal.
pub fn is_symptom_of_old_incident(signals: &Signals, m: &MetricInput) -> bool {
    let is_firing = |m: &MetricInput| signals.alerts.iter().any(|a| a.is_firing() && a.service() == m.service.as_deref());
    if m.is_alert_expression {
        return is_firing(m) && was_beyond_threshold(m);
    }
    let many_failed = || m.service.as_deref().and_then(|s| failed_before(signals, s)).is_some_and(|share| share >= MANY_FAILED);
    m.requests == Some(Requests::Failed) && m.movement.after.is_some_and(|v| v > 0.0) && many_failed()
}

/// Whether the healthy level of a series is known, so that "it did not change" is evidence for its service.
pub fn is_healthy_level_known(signals: &Signals, m: &MetricInput) -> bool {
    if signals.bad_baseline || m.direction() != Direction::Flat {
        return false;
    }
    let failed = m.service.as_deref().and_then(|s| failed_before(signals, s));
    match (m.meaning().quantity == Quantity::Errors, m.movement.before) {
        (_, None) => false,
        // A constant rate of errors is normal only if it is a small share of the requests.
        (true, Some(level)) => level == 0.0 || failed.is_some_and(|share| share < MANY_FAILED),
        (false, Some(_)) => failed.is_none_or(|share| share < MANY_FAILED),
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::tests::{alert, metric};
    use super::*;
    use crate::telemetry::AlertSeverity;

    fn rate(title: &str, before: f64, after: f64) -> MetricInput {
        let mut m = metric(title, "shop", None);
        (m.movement.before, m.movement.after) = (Some(before), Some(after));
        m
    }

    #[test]
    fn a_service_that_fails_all_the_time_is_not_healthy() {
        let mut signals = Signals {
            alerts: vec![alert("Errors", AlertSeverity::Critical, "shop")],
            metrics: vec![
                rate("errors per second", 20.0, 20.0),
                rate("requests per second", 50.0, 50.0),
                rate("latency p95", 0.1, 0.1),
            ],
            ..Signals::default()
        };
        assert_eq!(failed_before(&signals, "shop"), Some(0.4));
        let old = |s: &Signals| s.metrics.iter().filter(|m| is_symptom_of_old_incident(s, m)).count();
        let healthy = |s: &Signals| s.metrics.iter().filter(|m| is_healthy_level_known(s, m)).count();
        assert_eq!((old(&signals), healthy(&signals)), (1, 0));
        // A few errors are normal.
        signals.metrics[0] = rate("errors per second", 0.1, 0.1);
        assert_eq!((old(&signals), healthy(&signals)), (0, 3));
        // Without the number of requests it is unknown.
        signals.metrics.remove(1);
        assert_eq!((old(&signals), healthy(&signals)), (0, 1), "the latency");
        signals.bad_baseline = true;
        assert_eq!(healthy(&signals), 0);
    }

    #[test]
    fn a_threshold_says_whether_the_baseline_was_normal() {
        let expression =
            |before, after| MetricInput { is_alert_expression: true, threshold: Some(0.9), ..rate("expression", before, after) };
        let signals = Signals { alerts: vec![alert("Full", AlertSeverity::Critical, "shop")], ..Signals::default() };
        assert!(is_symptom_of_old_incident(&signals, &expression(0.95, 0.99)));
        assert!(!is_symptom_of_old_incident(&signals, &expression(0.2, 0.99)));
        let low = Signals { alerts: vec![], ..signals };
        assert!(!is_symptom_of_old_incident(&low, &expression(0.95, 0.99)), "nothing fires");
    }
}
