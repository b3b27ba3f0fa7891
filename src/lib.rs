//! warroom: an incident war room in a terminal.
//!
//! ARCHITECTURE.md describes the modules, which module may import which, and the invariants.

#![warn(
    clippy::allow_attributes_without_reason,
    clippy::await_holding_lock,
    clippy::dbg_macro,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::todo,
    clippy::unimplemented,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unwrap_used,
        reason = "a test may panic on an unexpected value"
    )
)]

/// The release with the commit that it was built from, such as `0.2.0 (1a2b3c4d5e 2026-11-28)`; the release alone without git.
pub const VERSION: &str = env!("WARROOM_VERSION");

pub mod analysis;
mod app;
pub mod cli;
pub mod comms;
pub mod config;
pub mod evidence;
pub mod incident;
pub mod investigate;
pub mod journal;
mod llm;
mod notify;
pub mod playbook;
mod postmortem;
pub mod prompt;
pub mod runtime;
pub mod sources;
pub mod telemetry;
mod ui;
