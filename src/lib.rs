//! warroom: an incident war room in a terminal.
//!
//! ARCHITECTURE.md tells the rooms, who may import whom, and the invariants.

pub mod analysis;
pub mod app;
pub mod cli;
pub mod config;
pub mod evidence;
pub mod incident;
pub mod investigate;
pub mod journal;
pub mod llm;
pub mod postmortem;
pub mod prompt;
pub mod runtime;
pub mod sources;
pub mod telemetry;
pub mod ui;
