//! Prompt files (persona and template), and the plan that holds exactly what is sent to the model.
//!
//! Pure: a plan is built from an incident and its evidence, without a clock or network access. A dry run therefore shows,
//! byte for byte, what a real run sends.

mod conversation;
pub mod delta;
pub mod library;
pub mod plan;
pub mod question;

pub use delta::Delta;
pub use library::{Library, PromptError, PromptFile};
pub use plan::{Limits, Message, PromptPlan, Role, plan};
