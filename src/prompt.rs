//! Prompts: files with personas and templates, and the plan of exactly what would be sent.
//!
//! Pure. A plan is built from an incident's journal and nothing else: no clock, no fetch. What a dry run shows is, byte for
//! byte, what a real run sends.

pub mod delta;
pub mod library;
pub mod plan;

pub use delta::Delta;
pub use library::{Library, PromptError, PromptFile};
pub use plan::{Limits, Message, PromptPlan, Role, plan};
