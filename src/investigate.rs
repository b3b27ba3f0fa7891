//! Runs the operations on an incident: declare, investigate, ask, export and all commands. The command line and the terminal
//! UI call this module for all of them.
//!
//! A [`Desk`] holds the journal, the sources, the prompts and the model. It records every result in the journal as redacted
//! facts and returns the incident as it then is in the journal.

pub mod ask;
pub mod assistant;
pub mod attach;
pub mod clock;
pub mod command;
pub mod custom;
pub mod desk;
pub mod export;
pub mod gather;
pub mod look;
pub mod metric;
pub mod oncall;
mod personas;
pub mod playbook;
pub mod record;
pub mod run;
pub mod script;
pub mod send;
pub mod set;
pub mod silence;
pub mod watch;

pub use command::Outcome;
pub use desk::{Desk, DeskError, Progress};
pub use set::{AlertBoard, SourceSet};
