//! What "declare", "investigate", "ask" and "export" mean. The command line and the TUI both come here, and nowhere else,
//! for these jobs.
//!
//! A [`Desk`] holds what an investigation works with: the journal, the sources, the prompts and the model. Everything it
//! concludes it writes down as facts, redacted; what it returns is what the journal then holds.

pub mod ask;
pub mod attach;
pub mod clock;
pub mod command;
pub mod desk;
pub mod export;
pub mod gather;
pub mod look;
pub mod oncall;
pub mod record;
pub mod run;
pub mod set;
pub mod watch;

pub use command::Outcome;
pub use desk::{Desk, DeskError, Progress};
pub use set::{AlertBoard, SourceSet};
