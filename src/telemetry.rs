//! The words for what comes from outside: alerts, series, log lines and the window they belong to.
//!
//! Pure: no clock, no file, no socket. Everything here is plain data that a source produced and that has been cleaned
//! (see [`clean`]) on its way in. This room imports nothing of ours; every other room may import it.

pub mod alert;
pub mod change;
pub mod clean;
pub mod failure;
pub mod log;
pub mod parse;
pub mod series;
pub mod time;
pub mod words;

pub use alert::{Alert, AlertSeverity, AlertState, Rule, Silence};
pub use change::ChangeEvent;
pub use failure::{Explain, Failure};
pub use log::{Level, LogLine};
pub use series::{Labels, Sample, Series};
pub use time::{Timestamp, Window};
