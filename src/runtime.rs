//! The loop: terminal, input, frames and the running of effects.

pub mod log;

use crate::config::Config;
use crate::investigate::Desk;

/// Runs the TUI until it is quit.
pub async fn run(_desk: Desk, _config: &Config, _banner: Option<String>) -> Result<(), String> {
    Err("no TUI yet".to_owned())
}
