//! The clock, for the modules that may read the current time.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::telemetry::Timestamp;

/// How far this process's clock is ahead of the real one, in microseconds. Zero except in the demo.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// The current time, in UTC.
#[must_use]
pub fn now() -> Timestamp {
    let real = Timestamp::from(time::OffsetDateTime::now_utc());
    Timestamp::from_micros(real.micros().saturating_add(AHEAD.load(Ordering::Relaxed)))
}

/// Sets the clock of this process, which goes on from there. Only the demo does this: it replays an incident faster than it happened.
pub(crate) fn set(at: Timestamp) {
    let real = Timestamp::from(time::OffsetDateTime::now_utc());
    AHEAD.store(at.micros().saturating_sub(real.micros()), Ordering::Relaxed);
}
