//! Whether the updates that were promised came in time.

use std::time::Duration;

use super::Incident;
use super::state::Update;
use crate::telemetry::Timestamp;
use crate::telemetry::time::human_duration;
use crate::telemetry::words::count;

/// How the promises of further updates were kept. A promise that was not due before the incident ended is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    pub on_time: usize,
    pub late: usize,
    /// Due, and no update came.
    pub missed: usize,
    /// The longest delay of a late update; zero if none was late.
    pub longest: Duration,
}

impl Promises {
    /// Of an incident as it is now.
    pub fn of(incident: &Incident, now: Timestamp) -> Self {
        let head = &incident.head;
        Self::between(
            &incident.updates,
            if head.status.is_open() { now } else { incident.resolved_at.unwrap_or(head.status_since) },
        )
    }

    /// Compares each promise with the next update for the same audience, or with the end.
    fn between(updates: &[Update], end: Timestamp) -> Self {
        let mut all = Self::default();
        for (n, update) in updates.iter().enumerate() {
            let Some(due) = update.next_due else { continue };
            let next = updates.get(n + 1..).unwrap_or_default().iter().find(|u| u.audience == update.audience);
            // Drafts promise a minute without seconds, so an update within that minute is in time.
            let delay = Some(next.map_or(end, |u| u.at).since(due)).filter(|d| *d >= Duration::from_mins(1));
            match (next, delay) {
                (Some(_), None) => all.on_time += 1,
                (Some(_), Some(delay)) => {
                    all.late += 1;
                    all.longest = all.longest.max(delay);
                }
                (None, Some(_)) => all.missed += 1,
                (None, None) => {}
            }
        }
        all
    }

    /// In words, such as `3 promised updates: 1 in time, 2 late (by up to 12m00s)`. `None` without a promise.
    pub fn words(&self) -> Option<String> {
        let parts = [
            (self.on_time, format!("{} in time", self.on_time)),
            (self.late, format!("{} late (by up to {})", self.late, human_duration(self.longest))),
            (self.missed, format!("{} not sent", self.missed)),
        ];
        let said: Vec<String> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(_, words)| words).collect();
        let total = count(self.on_time + self.late + self.missed, "promised update");
        (!said.is_empty()).then(|| format!("{total}: {}", said.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Audience;

    /// Updates from their minute, audience and the minute that was promised.
    fn words(updates: &[(i64, Audience, Option<i64>)], end: i64) -> Option<String> {
        let at = |minute: i64| Timestamp::from_micros(minute * 60_000_000);
        let update = |(minute, audience, due): &(i64, Audience, Option<i64>)| Update {
            seq: 0,
            at: at(*minute),
            by: "ana".into(),
            audience: *audience,
            text: String::new(),
            next_due: due.map(at),
        };
        Promises::between(&updates.iter().map(update).collect::<Vec<_>>(), at(end)).words()
    }

    #[test]
    fn each_promise_is_compared_with_the_next_update_for_the_same_readers() {
        use Audience::{External, Internal};
        assert_eq!(words(&[], 100), None);
        // Not due yet, and over before it was due.
        assert_eq!(words(&[(0, Internal, Some(30))], 20), None);
        // The update for others does not keep the promise.
        let two = [(0, External, Some(30)), (10, Internal, None), (42, External, None)];
        assert_eq!(words(&two, 100).as_deref(), Some("1 promised update: 1 late (by up to 12m00s)"));
        let all = [(0, Internal, Some(30)), (30, Internal, Some(60)), (65, Internal, Some(90))];
        let expected = "3 promised updates: 1 in time, 1 late (by up to 5m00s), 1 not sent";
        assert_eq!(words(&all, 100).as_deref(), Some(expected));
    }
}
