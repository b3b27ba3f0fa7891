//! Types for data from outside: alerts, metric series, log lines, changes, and the time windows they belong to.
//!
//! Pure: reads no clock, file or socket. The types hold plain data from a source, cleaned on the way in (see [`clean`]).
//! This module imports no other module of the crate; every other module may import it.

pub mod alert;
pub mod change;
pub mod clean;
pub mod deferred;
pub mod failure;
pub mod log;
pub mod matcher;
pub mod moment;
pub mod names;
pub mod parse;
pub mod series;
pub mod silence;
pub mod subject;
pub mod tense;
pub mod time;
pub mod words;

pub use alert::{Alert, AlertSeverity, AlertState, Rule, Silence};
pub use change::ChangeEvent;
pub use deferred::Deferred;
pub use failure::{Explain, Failure};
pub use log::{Level, LogLine};
pub use moment::Moment;
pub use names::Names;
pub use series::{Labels, Sample, Series};
pub use subject::{Subject, SubjectKind};
pub use time::{Timestamp, Window};
