//! Analyses the collected data without a model: related alerts, series that left their normal range and when, new log lines.
//! Findings refer to their inputs by key; `evidence` turns the keys into citations.
//!
//! Pure: no I/O and no clock. The methods are simple, robust and explainable, and cheap enough to run on every key press.

pub mod baseline;
pub mod call_graph;
pub mod departure;
pub mod exit_criteria;
pub mod expression;
pub mod findings;
pub mod grouping;
pub mod log_shift;
pub mod merge;
pub mod movement;
pub mod onset;
pub mod parallel;
pub mod parts;
pub mod patterns;
pub mod quantity;
pub mod relations;
pub mod requests;
pub mod suspects;

pub use findings::{Finding, Signals};
pub use grouping::{AlertGroup, GroupBy};
pub use movement::{Direction, Movement};
pub use patterns::{Change, Pattern};
