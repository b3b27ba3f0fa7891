//! `warroom command`: the user's own commands.

use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::reading::on_ctrl_c;
use super::{CliError, Done, id_arg, out, variable_arg};
use crate::config::CommandConfig;
use crate::incident::{EvidenceId, IncidentId, Refusal};
use crate::investigate::custom::Selection;
use crate::investigate::{Desk, Progress};
use crate::telemetry::clean;

/// The subcommands of `warroom command`.
#[derive(Subcommand)]
pub enum CustomCommand {
    /// List your own commands and those of presets
    List,
    /// Run a custom command with variables from an incident, an alert or an evidence item. Without --yes, only show what would run, unless
    /// the command sets confirm = false
    Run {
        /// Name of the command
        name: String,
        /// Incident, such as INC-1
        #[arg(long, value_name = "INCIDENT", value_parser = id_arg)]
        incident: Option<IncidentId>,
        /// Fingerprint of the alert whose labels become variables
        #[arg(long, value_name = "FINGERPRINT")]
        alert: Option<String>,
        /// Evidence item, such as E3
        #[arg(long, value_name = "EVIDENCE", requires = "incident")]
        evidence: Option<EvidenceId>,
        /// Value of a variable
        #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable_arg)]
        variables: Vec<(String, String)>,
        /// Save the output as evidence of the incident
        #[arg(long, requires = "incident")]
        keep: bool,
        /// Run it
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(desk: &Desk, command: CustomCommand, as_json: bool) -> Result<Done, CliError> {
    let (name, selection, keep, yes) = match command {
        CustomCommand::List => return list(&desk.commands, as_json),
        CustomCommand::Run { name, incident, alert, evidence, variables, keep, yes } => {
            let labels = match alert {
                Some(fingerprint) => labels_of(desk, &fingerprint).await?,
                None => Default::default(),
            };
            (name, Selection { incident, labels, evidence, values: variables.into_iter().collect() }, keep, yes)
        }
    };
    let prepared = desk.prepare_command(&name, &selection).await?;
    if prepared.command.confirm && !yes {
        if as_json {
            let shown = json!({"done": false, "name": name, "script": prepared.script, "env": prepared.env, "exit_code": null,
                               "output": null, "evidence": null});
            out::json(&shown)?;
        } else {
            for line in prepared.describe() {
                out::line(line)?;
            }
        }
        out::note("Nothing was run. Add --yes to run it.");
        return Ok(Done::Complete);
    }
    let show: Progress = Arc::new(move |text| {
        if !as_json {
            let _ignored = out::raw(&text);
        }
    });
    let stop = CancellationToken::new();
    let interrupt = on_ctrl_c({
        let stop = stop.clone();
        move || stop.cancel()
    });
    let outcome = desk.run_command(&prepared, keep, &show, &stop).await;
    interrupt.abort();
    let outcome = outcome?;
    if let Some(why) = &outcome.not_recorded {
        out::note(format!("warroom: {name} ran, but the run was not recorded: {why}"));
    }
    if as_json {
        out::json(&json!({"done": true, "name": name, "script": prepared.script, "env": prepared.env,
                          "exit_code": outcome.exit_code, "output": outcome.output, "evidence": outcome.evidence}))?;
    } else {
        let evidence = outcome.evidence.map(|id| format!(", saved as {id}")).unwrap_or_default();
        out::note(format!("{name}: {}{evidence}", outcome.summary));
    }
    Ok(if outcome.exit_code == Some(0) { Done::Complete } else { Done::Problems })
}

async fn labels_of(desk: &Desk, fingerprint: &str) -> Result<crate::telemetry::Labels, CliError> {
    let board = desk.board().await;
    let found = board.alerts.iter().find(|a| a.fingerprints().any(|f| f == fingerprint));
    let missing = || {
        Refusal::not_found(format!("no source lists the alert {fingerprint}")).advise("Run `warroom alerts` to list the alerts.")
    };
    Ok(found.ok_or_else(missing)?.labels.clone())
}

fn list(commands: &[CommandConfig], as_json: bool) -> Result<Done, CliError> {
    if as_json {
        let row = |c: &CommandConfig| {
            json!({"name": c.name, "help": c.help, "run": c.run, "confirm": c.confirm, "reads_only": c.reads_only,
                   "evidence": c.evidence, "timeout_secs": c.timeout.as_secs_f64(), "preset": c.preset})
        };
        out::json(&json!({"commands": commands.iter().map(row).collect::<Vec<Value>>()}))?;
        return Ok(Done::Complete);
    }
    let rows: Vec<Vec<String>> = commands
        .iter()
        .map(|c| {
            let preset = c.preset.as_ref().map(|p| format!(" (preset {p})")).unwrap_or_default();
            let first = c.run.lines().next().unwrap_or_default();
            vec![c.name.clone(), clean::line(&format!("{}{preset}", c.help)), clean::line(first)]
        })
        .collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    if rows.is_empty() {
        out::line("No custom commands yet. Add one to [[commands]] in the configuration.")?;
    }
    Ok(Done::Complete)
}
