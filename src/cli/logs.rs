//! `warroom logs`: analyses log files without a log backend.

use clap::Subcommand;

use super::reading::run_interruptible;
use super::{CliError, Done};
use crate::telemetry::parse::Formats;

mod explain;
mod follow;
mod patterns;
mod selection;
mod show;
mod stream;

/// The subcommands of `warroom logs`.
#[derive(Subcommand)]
pub enum LogsCommand {
    /// Group log lines into patterns and count them; with --baseline, show what is new, up, down or gone
    Patterns(patterns::PatternsArgs),
    /// Print the events of log files in one form, merged by time
    Show(show::ShowArgs),
    /// Show what was found out about the format of a log file: its header, taken apart on its first lines
    Explain(explain::ExplainArgs),
}

/// Runs a subcommand. `formats`: those that the configuration describes.
pub(super) async fn run(command: LogsCommand, formats: Formats, as_json: bool) -> Result<Done, CliError> {
    match command {
        LogsCommand::Patterns(args) => run_interruptible(move |stop| patterns::patterns(&args, formats, stop, as_json)).await,
        LogsCommand::Show(args) => run_interruptible(move |stop| show::show(&args, &formats, stop, as_json)).await,
        LogsCommand::Explain(args) => run_interruptible(move |_| explain::explain(&args, formats, as_json)).await,
    }
}
