//! The command line, one file per subcommand. It can do everything that the terminal UI can, and prints JSON with `--json`.
//!
//! Data goes to stdout, messages go to stderr. Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 partial (a
//! source failed, the rest is shown), 4 not found.

mod action;
mod alerts;
mod ask;
mod audit;
mod bundle;
mod claims;
mod command;
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
mod mitigation;
mod models;
mod out;
mod parallel;
mod playbook;
mod preset;
mod prompts;
mod proposal;
mod purge;
mod reading;
mod record;
mod redact;
mod silence;
mod stats;
mod suspects;
mod theme;
mod threads;
mod update;
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

/// The version, and the commit it was built from.
pub const VERSION: &str = crate::VERSION;

const LONG: &str = "An incident war room in a terminal.\n\nWithout a command, opens a board of the alerts in all configured sources. \
`warroom demo` shows it with a recorded incident and needs no setup.";

/// Options that every command accepts.
#[derive(Args, Clone)]
pub struct Global {
    /// Configuration file [env: WARROOM_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Store for incidents: sqlite:PATH, postgres://… (shared by a team) or bundle:FILE (read-only) [env: WARROOM_STORE]
    #[arg(long, global = true, value_name = "URL")]
    pub store: Option<String>,
    /// JSON output
    #[arg(long, global = true)]
    pub json: bool,
    /// Debug log to a file (-vv for more detail); WARROOM_LOG overrides the level
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The subcommands of `warroom`.
#[derive(Subcommand)]
pub enum Command {
    /// List alerts from all sources, grouped
    Alerts(alerts::AlertsArgs),
    /// Declare an incident and print its ID
    Declare(declare::DeclareArgs),
    /// Show and change incidents
    #[command(subcommand)]
    Incident(incident::IncidentCommand),
    /// Manage action items
    #[command(subcommand)]
    Action(action::ActionCommand),
    /// Gather evidence, analyse it and print cited findings
    Investigate(investigate::InvestigateArgs),
    /// Analyse log files without a log backend
    #[command(subcommand)]
    Logs(logs::LogsCommand),
    /// Rank the services and series where an incident probably began, from CSV files
    Suspects(suspects::SuspectsArgs),
    /// Ask the LLM about an incident; without an LLM, the built-in rules answer
    Ask(ask::AskArgs),
    /// Check the claims of any text against the evidence of an incident
    Claims(claims::ClaimsArgs),
    /// List, show, fill in and check prompts
    #[command(subcommand)]
    Prompts(prompts::PromptsCommand),
    /// Show the requests behind the answers about an incident, exactly as they were sent
    Audit(audit::AuditArgs),
    /// List the conversations with the assistant about an incident, or print one
    Threads(threads::ThreadsArgs),
    /// List, accept and refute what the assistant's answers propose
    #[command(subcommand)]
    Proposal(proposal::ProposalCommand),
    /// List the configured models and whether their servers have them; without any, those on this machine
    Models,
    /// Replace secrets and personal data in a text, as it is done before anything is stored or sent
    Redact(redact::RedactArgs),
    /// Propose, start and finish mitigations, and see whether they worked
    #[command(subcommand)]
    Mitigation(mitigation::MitigationCommand),
    /// List, show, check, match and run playbooks
    #[command(subcommand)]
    Playbook(playbook::PlaybookCommand),
    /// List and run custom commands
    #[command(name = "command", subcommand)]
    Custom(command::CustomCommand),
    /// List, review and trust your team's presets
    #[command(subcommand)]
    Preset(preset::PresetCommand),
    /// Create, list, extend and end silences
    #[command(subcommand)]
    Silence(silence::SilenceCommand),
    /// Draft and send stakeholder updates
    #[command(subcommand)]
    Update(update::UpdateCommand),
    /// Check the wording of a text: an update, a review or action items
    Lint(update::LintArgs),
    /// Export the post-mortem
    Export(export::ExportArgs),
    /// Check the configuration, your prompts, themes and keys, the store, the sources and the LLM
    Doctor,
    /// List the key bindings, and any problems in your keys.toml
    Keys,
    /// List and preview the themes
    #[command(subcommand)]
    Theme(theme::ThemeCommand),
    /// Try warroom on a recorded incident; needs no setup and sends nothing
    Demo(demo::DemoArgs),
    /// Record data from the sources into a file that can be replayed
    Record(record::RecordArgs),
    /// Verify every hash chain and evidence digest in the store
    Verify,
    /// Show times to detect, acknowledge, mitigate and resolve, noisy alerts and recurring incidents
    Stats(stats::StatsArgs),
    /// Export an incident to a file, or import one
    #[command(subcommand)]
    Bundle(bundle::BundleCommand),
    /// Show who is on call, as reported by the configured on-call program
    Oncall,
    /// Delete incidents past the retention period; without --yes, only list them
    Purge(purge::PurgeArgs),
    /// Print a shell completion script
    Completions(generate::CompletionsArgs),
    /// Print the manual page (roff)
    Man,
}

/// The outcome of a command that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Exit status 0.
    Complete,
    /// A source failed, the rest is shown: exit status 3.
    Partial,
    /// A check such as `doctor`, `verify` or `action lint` found problems: exit status 1.
    Problems,
    /// A signal ended the terminal UI: exit status 128 plus its number, as shells report it.
    Signal(u8),
}

impl From<crate::runtime::Ending> for Done {
    fn from(ending: crate::runtime::Ending) -> Self {
        match ending {
            crate::runtime::Ending::Quit => Self::Complete,
            crate::runtime::Ending::Signal(number) => Self::Signal(number),
        }
    }
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let wants_json = std::env::args_os().any(|a| a == "--json");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            if wants_json && e.use_stderr() {
                let text = e.to_string();
                // clap's message may span several lines; a blank line ends it.
                let lines: Vec<&str> = text.lines().take_while(|l| !l.trim().is_empty()).map(str::trim).collect();
                let message = lines.join(" ").trim_start_matches("error: ").to_owned();
                let failure = Failure::new(message).advise("Run `warroom --help` or `warroom COMMAND --help` to see the usage.");
                out::error_json("usage", &failure);
            }
            let code = if e.use_stderr() { 2 } else { 0 };
            let _ignored = e.print();
            return ExitCode::from(code);
        }
    };
    let json = cli.global.json;
    let _log = crate::runtime::log::start(cli.global.verbose);
    match run(cli) {
        Ok(Done::Complete) | Err(CliError::Closed) => ExitCode::SUCCESS,
        Ok(Done::Partial) => ExitCode::from(3),
        Ok(Done::Problems) => ExitCode::from(1),
        Ok(Done::Signal(number)) => ExitCode::from(128_u8.saturating_add(number)),
        Err(e) => {
            out::error(json, e.kind(), &error::redacted(&e.failure()));
            ExitCode::from(e.code())
        }
    }
}

/// Parses `NAME=VALUE`.
fn variable_arg(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("'{text}' has no value; write NAME=VALUE"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
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
            Some(Command::Theme(command)) => theme::run(&load_config(&global)?, &command, global.json),
            // The demo also runs where the configuration is broken.
            Some(Command::Demo(args)) => Box::pin(demo::run(&args, load_config(&global).ok().as_ref(), global.json)).await,
            Some(Command::Redact(args)) => redact::run(&args, global.json),
            Some(Command::Models) => models::run(&load_config(&global)?, global.json).await,
            Some(Command::Suspects(args)) => suspects::run(args, global.json).await,
            Some(Command::Preset(command)) => preset::run(&load_config(&global)?, &command, global.json),
            Some(Command::Logs(command)) => logs::run(command, load_config(&global)?.log_formats, global.json).await,
            Some(Command::Completions(_) | Command::Man) => Ok(Done::Complete),
            Some(Command::Playbook(command)) if !command.is_about_incident() => {
                playbook::run(&load_config(&global)?, &command, global.json)
            }
            Some(command) => {
                let config = load_config(&global)?;
                let desk = Desk::open(&config)?;
                let done = Box::pin(run_at_desk(&desk, &config, command, global.json)).await;
                report_store(&desk).await;
                done
            }
        }
    });
    // Do not wait long for a thread that hangs on an unresponsive file system.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    done
}

/// Runs a command that needs the store and the sources.
async fn run_at_desk(desk: &Desk, config: &Config, command: Command, json: bool) -> Result<Done, CliError> {
    match command {
        Command::Alerts(args) => alerts::run(desk, &args, json).await,
        Command::Declare(args) => declare::run(desk, args, json).await,
        Command::Incident(command) => Box::pin(incident::run(desk, command, json)).await,
        Command::Action(command) => action::run(desk, &config.trackers, command, json).await,
        Command::Investigate(args) => investigate::run(desk, &args, json).await,
        Command::Ask(args) => ask::run(desk, args, json).await,
        Command::Claims(args) => claims::run(desk, &args, json).await,
        Command::Prompts(command) => prompts::run(desk, command, json).await,
        Command::Audit(args) => audit::run(desk, &args, json).await,
        Command::Threads(args) => threads::run(desk, &args, json).await,
        Command::Proposal(command) => proposal::run(desk, command, json).await,
        Command::Mitigation(command) => mitigation::run(desk, command, json).await,
        Command::Silence(command) => silence::run(desk, command, json).await,
        Command::Custom(command) => command::run(desk, command, json).await,
        Command::Playbook(command) => playbook::run_at_desk(desk, config, command, json).await,
        Command::Update(command) => update::run(desk, config, command, json).await,
        Command::Lint(args) => update::check(desk, &args, json).await,
        Command::Export(args) => export::run(desk, &args).await,
        Command::Record(args) => record::run(desk, &args, json).await,
        Command::Verify => verify::run(desk, json).await,
        Command::Stats(args) => stats::run(desk, &args, json).await,
        Command::Bundle(command) => bundle::run(desk, command, json).await,
        Command::Oncall => oncall(desk, json).await,
        Command::Purge(args) => purge::run(desk, config.retention, &args, json).await,
        Command::Doctor
        | Command::Keys
        | Command::Theme(_)
        | Command::Demo(_)
        | Command::Logs(_)
        | Command::Redact(_)
        | Command::Models
        | Command::Preset(_)
        | Command::Suspects(_)
        | Command::Completions(_)
        | Command::Man => Ok(Done::Complete),
    }
}

async fn oncall(desk: &Desk, as_json: bool) -> Result<Done, CliError> {
    let text = desk.on_call().await?;
    if as_json {
        out::json(&serde_json::json!({"text": text}))?;
    } else {
        out::line(text)?;
    }
    Ok(Done::Complete)
}

/// Prints to stderr whether the shared store is unreachable, how many entries are waiting for it, and what happened to this
/// machine's copy.
async fn report_store(desk: &Desk) {
    let Ok(status) = desk.journal.status().await else { return };
    let waiting = match status.unsynced {
        0 => String::new(),
        n => format!("; {} to be merged", crate::telemetry::words::entries_waiting(n)),
    };
    for notice in &status.notices {
        out::note(format!("warroom: {notice}"));
    }
    if let Some(why) = status.merge_failure {
        out::note(format!("warroom: {why}{waiting}"));
    } else if let Some(why) = status.unreachable {
        out::note(format!("warroom: the shared store is unreachable ({why}); using this machine's copy{waiting}"));
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
    Ok(crate::runtime::run(desk, &config, None).await.map_err(CliError::Failed)?.into())
}

/// Resolves a time argument relative to now.
fn resolve(moment: &Moment) -> Result<Timestamp, CliError> {
    moment.resolve(crate::investigate::clock::now()).map_err(|e| CliError::Usage(Failure::new(e.to_string())))
}

fn duration_arg(text: &str) -> Result<std::time::Duration, String> {
    parse_duration(text).map_err(|e| e.to_string())
}

/// The text of a file, or of standard input for `-`. Invalid UTF-8 is replaced.
fn read_text(path: &std::path::Path) -> Result<String, CliError> {
    update::read(path)
}

fn id_arg(text: &str) -> Result<IncidentId, String> {
    text.parse::<IncidentId>().map_err(|e| e.to_string())
}

/// The definition of the command line, for completions, the manual page and tests.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn defines_a_valid_command_line() {
        super::command().debug_assert();
    }
}
