//! The command line: one file per subcommand, the same powers as the TUI, JSON on request.
//!
//! Data go to stdout, messages to stderr. Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 partial (a
//! source failed, the rest is shown), 4 not found.

mod action;
mod alerts;
mod ask;
mod bundle;
mod declare;
mod demo;
mod doctor;
mod error;
mod export;
mod generate;
mod incident;
mod investigate;
mod keys;
mod logs;
mod out;
mod purge;
mod reading;
mod record;
mod stats;
mod suspects;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigError, Overrides};
use crate::incident::IncidentId;
use crate::investigate::Desk;
use crate::telemetry::time::parse_duration;
use crate::telemetry::{Explain, Failure, Moment, Timestamp};
use error::CliError;

/// An incident war room in a terminal.
#[derive(Parser)]
#[command(name = "warroom", version = VERSION, about, long_about = LONG, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The release and the commit that it was built from.
pub const VERSION: &str = crate::VERSION;

const LONG: &str = "An incident war room in a terminal.\n\nWithout a command it opens the board of what fires across the configured sources. \
`warroom demo` shows it on a recorded incident, with nothing to set up.";

/// What every command takes.
#[derive(Args, Clone)]
pub struct Global {
    /// The configuration file [env: WARROOM_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where incidents are kept: sqlite:PATH, postgres://… (a team's) or bundle:FILE [env: WARROOM_STORE]
    #[arg(long, global = true, value_name = "URL")]
    pub store: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more in the log file (-vv: everything); the log's level is also set by WARROOM_LOG
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// What is firing, grouped
    Alerts(alerts::AlertsArgs),
    /// Open an incident; prints its id
    Declare(declare::DeclareArgs),
    /// Look at and work on incidents
    #[command(subcommand)]
    Incident(incident::IncidentCommand),
    /// Action items
    #[command(subcommand)]
    Action(action::ActionCommand),
    /// Gather evidence, analyse, print cited findings
    Investigate(investigate::InvestigateArgs),
    /// Log files without any backend
    #[command(subcommand)]
    Logs(logs::LogsCommand),
    /// Which series and services an incident began with, from files
    Suspects(suspects::SuspectsArgs),
    /// Ask the LLM; without one, or when it fails, the rules answer
    Ask(ask::AskArgs),
    /// Write the post-mortem
    Export(export::ExportArgs),
    /// Check the configuration, your files, the store, each source and the LLM
    Doctor,
    /// List the keys in effect, and problems in your keys.toml
    Keys,
    /// The whole program on an embedded recording of an incident; nothing to set up, nothing is sent
    Demo(demo::DemoArgs),
    /// Write what the sources answer into one file that can be replayed
    Record(record::RecordArgs),
    /// Check every hash chain and evidence digest of the store
    Verify,
    /// How fast we detect, acknowledge, mitigate and resolve; noisy alerts, incidents that recur
    Stats(stats::StatsArgs),
    /// One incident in a file, for another laptop
    #[command(subcommand)]
    Bundle(bundle::BundleCommand),
    /// Who is on call, as your own program says
    Oncall,
    /// Delete incidents that were kept long enough
    Purge(purge::PurgeArgs),
    /// Shell completions on stdout
    Completions(generate::CompletionsArgs),
    /// The manual page (roff) on stdout
    Man,
}

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Whole,
    /// A source failed, the rest is shown.
    Partial,
    /// The answer is no: `doctor` and `verify` found something.
    No,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let wants_json = std::env::args_os().any(|a| a == "--json");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            if wants_json && e.use_stderr() {
                let text = e.to_string();
                // clap's message may take several lines; a blank one ends it.
                let said: Vec<&str> = text.lines().take_while(|l| !l.trim().is_empty()).map(str::trim).collect();
                let message = said.join(" ").trim_start_matches("error: ").to_owned();
                let failure =
                    Failure::new(message).advise("Run `warroom --help` or `warroom COMMAND --help` to see what is accepted.");
                out::error_json("usage", &failure);
            }
            let code = if e.use_stderr() { 2 } else { 0 };
            let _unprintable = e.print();
            return ExitCode::from(code);
        }
    };
    let json = cli.global.json;
    let _log = crate::runtime::log::start(cli.global.verbose);
    match run(cli) {
        Ok(Done::Whole) | Err(CliError::Closed) => ExitCode::SUCCESS,
        Ok(Done::Partial) => ExitCode::from(3),
        Ok(Done::No) => ExitCode::from(1),
        Err(e) => {
            out::error(json, e.kind(), &error::redacted(&e.failure()));
            ExitCode::from(e.code())
        }
    }
}

fn run(cli: Cli) -> Result<Done, CliError> {
    match &cli.command {
        Some(Command::Completions(args)) => return generate::completions(args),
        Some(Command::Man) => return generate::man(),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| CliError::Failed(Failure::new("cannot start the async runtime").because(&e)))?;
    let global = cli.global.clone();
    let done = runtime.block_on(async move {
        match cli.command {
            None => tui(&global).await,
            Some(Command::Doctor) => doctor::run(&global).await,
            Some(Command::Keys) => keys::run(&load_config(&global)?, global.json),
            Some(Command::Demo(args)) => demo::run(&args, global.json).await,
            Some(Command::Suspects(args)) => suspects::run(args, global.json).await,
            Some(Command::Logs(command)) => logs::run(command, global.json).await,
            Some(Command::Completions(_) | Command::Man) => Ok(Done::Whole),
            Some(command) => {
                let config = load_config(&global)?;
                let desk = Desk::open(&config)?;
                let done = at_desk(&desk, &config, command, global.json).await;
                report_store(&desk).await;
                done
            }
        }
    });
    // A reading thread that hangs on a dead file system must not keep the program.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    done
}

/// Commands that work on the journal.
async fn at_desk(desk: &Desk, config: &Config, command: Command, json: bool) -> Result<Done, CliError> {
    match command {
        Command::Alerts(args) => alerts::run(desk, &args, json).await,
        Command::Declare(args) => declare::run(desk, args, json).await,
        Command::Incident(command) => Box::pin(incident::run(desk, command, json)).await,
        Command::Action(command) => action::run(desk, &config.trackers, command, json).await,
        Command::Investigate(args) => investigate::run(desk, &args, json).await,
        Command::Ask(args) => ask::run(desk, args, json).await,
        Command::Export(args) => export::run(desk, &args).await,
        Command::Record(args) => record::run(desk, &args, json).await,
        Command::Verify => verify::run(desk, json).await,
        Command::Stats(args) => stats::run(desk, &args, json).await,
        Command::Bundle(command) => bundle::run(desk, command, json).await,
        Command::Oncall => oncall(desk, json).await,
        Command::Purge(args) => purge::run(desk, config.retention, &args, json).await,
        Command::Doctor
        | Command::Keys
        | Command::Demo(_)
        | Command::Logs(_)
        | Command::Suspects(_)
        | Command::Completions(_)
        | Command::Man => Ok(Done::Whole),
    }
}

async fn oncall(desk: &Desk, as_json: bool) -> Result<Done, CliError> {
    let text = desk.on_call().await?;
    if as_json {
        out::json(&serde_json::json!({"text": text}))?;
    } else {
        out::line(text)?;
    }
    Ok(Done::Whole)
}

/// Notes on stderr when the shared store is unreachable, what waits for it, and what happened to this machine's copy.
async fn report_store(desk: &Desk) {
    let Ok(status) = desk.journal.status().await else { return };
    let waits = match status.unsynced {
        0 => String::new(),
        n => format!("; {} to be merged", crate::telemetry::words::entries_waiting(n)),
    };
    for notice in &status.notices {
        out::note(format!("warroom: {notice}"));
    }
    if let Some(why) = status.stuck {
        out::note(format!("warroom: {why}{waits}"));
    } else if let Some(why) = status.away {
        out::note(format!("warroom: the shared store is unreachable ({why}); this is this machine's copy{waits}"));
    }
}

fn load_config(global: &Global) -> Result<Config, ConfigError> {
    Config::load(&overrides(global), crate::sources::registry::check)
}

fn overrides(global: &Global) -> Overrides {
    Overrides { config: global.config.clone(), store: global.store.clone() }
}

async fn tui(global: &Global) -> Result<Done, CliError> {
    let config = load_config(global)?;
    let desk = Desk::open(&config)?;
    crate::runtime::run(desk, &config, None).await.map_err(CliError::Failed)?;
    Ok(Done::Whole)
}

/// The time that was meant, as of now.
fn resolve(moment: &Moment) -> Result<Timestamp, CliError> {
    moment.resolve(crate::investigate::clock::now()).map_err(|e| CliError::Usage(Failure::new(e.to_string())))
}

fn duration_arg(text: &str) -> Result<std::time::Duration, String> {
    parse_duration(text).map_err(|e| e.to_string())
}

fn id_arg(text: &str) -> Result<IncidentId, String> {
    text.parse::<IncidentId>().map_err(|e| e.to_string())
}

/// The command's definition, for completions, the manual and a test.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
