//! What is said to people outside of the incident room: checks of the wording of updates and post-mortems.

mod draft;
mod lint;
mod names;
mod templates;

pub use draft::{Draft, Stage, customer_hits, draft, without_tags};
pub use lint::{CustomerRules, Hit, HitKind, blameless, customer};
pub use names::names_of;
pub use templates::template_problems;
