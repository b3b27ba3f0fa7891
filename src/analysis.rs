//! What the data say without a model: which alerts belong together, which series left their normal range and when, which
//! log lines are new. Findings name their inputs by key; `evidence` turns keys into citations.
//!
//! Pure. A first, simple set of methods: robust, explainable, and cheap enough to run at each key press.

pub mod departure;
pub mod exit;
pub mod expression;
pub mod findings;
pub mod grouping;
pub mod logshift;
pub mod movement;
pub mod patterns;
pub mod relations;
pub mod requests;
pub mod suspects;

pub use findings::{Finding, Signals};
pub use grouping::{AlertGroup, GroupBy};
pub use movement::{Direction, Movement};
pub use patterns::{Change, Pattern};
