//! The clock of the rooms that may read one.

use crate::telemetry::Timestamp;

/// Now, in UTC.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from(time::OffsetDateTime::now_utc())
}
