//! Which alerts belong to an incident without linked alerts, and when they began.
//!
//! Many systems have alerts that fire all the time, by design or because they are never repaired. They are no
//! evidence about the incident at hand: only the most recent wave is.

use std::time::Duration;

use crate::telemetry::{Alert, AlertState, Timestamp};

/// Alerts whose condition began further apart than this belong to different waves.
const MAX_GAP: Duration = Duration::from_hours(1);

/// An alert whose condition has held for longer than this is not the start of an incident.
const MAX_AGE: Duration = Duration::from_hours(24);

/// Whether an alert may say when an incident began: it is active or has ended, and does not fire by design.
fn counts(alert: &Alert) -> bool {
    alert.state != AlertState::Suppressed && !alert.is_heartbeat()
}

/// When the most recent wave of alerts began, as seen at `end`: going back from the newest alert, until none began within an hour
/// before. `None` if no alert began within a day before `end`.
pub fn wave_start(alerts: &[Alert], end: Timestamp) -> Option<Timestamp> {
    let mut starts: Vec<Timestamp> =
        alerts.iter().filter(|a| counts(a)).filter_map(Alert::began_at).filter(|at| *at <= end).collect();
    starts.sort_unstable();
    let mut first = starts.pop().filter(|at| *at + MAX_AGE >= end)?;
    while let Some(at) = starts.pop() {
        if at + MAX_GAP < first {
            break;
        }
        first = at;
    }
    Some(first)
}

/// When the first of an incident's alerts began. If they were linked by people, all of them count, else the most recent wave.
pub fn first_alert(alerts: &[Alert], are_linked: bool, end: Timestamp) -> Option<Timestamp> {
    if are_linked {
        let began = |a: &&Alert| !a.is_heartbeat() && a.began_at().is_some_and(|at| at <= end);
        return alerts.iter().filter(began).filter_map(Alert::began_at).min();
    }
    wave_start(alerts, end)
}

/// Whether an alert began before the wave: it is older than the incident.
pub fn is_older(alert: &Alert, first: Option<Timestamp>) -> bool {
    alert.is_heartbeat() || matches!((alert.began_at(), first), (Some(at), Some(first)) if at < first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: i64 = 1_795_253_400;

    fn alert(name: &str, minutes_ago: i64) -> Alert {
        let starts_at = Some(Timestamp::from_secs(END - minutes_ago * 60));
        Alert { name: name.into(), starts_at, ..Alert::default() }
    }

    fn wave(alerts: &[Alert]) -> Option<i64> {
        wave_start(alerts, Timestamp::from_secs(END)).map(|at| (END - at.secs()) / 60)
    }

    #[test]
    fn old_alerts_and_those_that_fire_by_design_do_not_start_an_incident() {
        let recent = [alert("Down", 12), alert("Slow", 50), alert("Queue", 100)];
        let with = |more: &[Alert]| [&recent[..], more].concat();
        assert_eq!(wave(&recent), Some(100), "each began within an hour of the next");
        assert_eq!(wave(&with(&[alert("Cert", 9 * 24 * 60), alert("Disk", 300)])), Some(100));
        assert_eq!(wave(&with(&[alert("Watchdog", 110)])), Some(100));
        let silenced = Alert { state: AlertState::Suppressed, ..alert("Batch", 120) };
        assert_eq!(wave(&with(&[silenced])), Some(100));
        assert_eq!(wave(&[alert("Cert", 9 * 24 * 60)]), None);
        assert_eq!(wave(&[alert("future", -5)]), None);
        assert_eq!(wave(&[]), None);
    }

    #[test]
    fn linked_alerts_count_whatever_their_age() {
        let old = [alert("Cert", 9 * 24 * 60), alert("Down", 10), alert("Watchdog", 20 * 24 * 60)];
        let first = |linked| first_alert(&old, linked, Timestamp::from_secs(END)).map(|at| (END - at.secs()) / 60);
        assert_eq!((first(true), first(false)), (Some(9 * 24 * 60), Some(10)));
        let began = first_alert(&old, false, Timestamp::from_secs(END));
        assert_eq!(old.iter().map(|a| is_older(a, began)).collect::<Vec<_>>(), [true, false, true]);
    }
}
