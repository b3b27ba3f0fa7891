//! The clock, for the modules that may read the current time.

use crate::telemetry::Timestamp;

/// The current time, in UTC.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from(time::OffsetDateTime::now_utc())
}
