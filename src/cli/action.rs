//! `warroom action …`: action items of an incident.

use clap::{Args, Subcommand};
use serde_json::json;

use super::incident::print_entry;
use super::{CliError, Done, id_arg, out, time_arg};
use crate::incident::{ActionId, ActionKind, ActionState, Incident, IncidentId};
use crate::investigate::Desk;
use crate::investigate::work::NewAction;
use crate::telemetry::Timestamp;

/// The subcommands of `warroom action`.
#[derive(Subcommand)]
pub enum ActionCommand {
    /// Write one down
    Add(AddArgs),
    /// Mark one done
    Done {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        action: ActionId,
        /// When it was done, if not now
        #[arg(long, value_name = "TIME", value_parser = time_arg)]
        at: Option<Timestamp>,
    },
    /// Those of an incident, or of all
    List {
        #[arg(value_parser = id_arg)]
        id: Option<IncidentId>,
        /// Only open ones whose due date has passed
        #[arg(long)]
        overdue: bool,
        /// text, md or csv
        #[arg(long, value_enum, default_value = "text")]
        format: ListFormat,
    },
}

/// How a list is written.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ListFormat {
    Text,
    Md,
    Csv,
}

/// Arguments of `warroom action add`.
#[derive(Args)]
pub struct AddArgs {
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    text: String,
    /// prevent, mitigate, detect or process
    #[arg(long, default_value = "prevent")]
    kind: ActionKind,
    #[arg(long)]
    owner: Option<String>,
    /// A date such as 2026-12-01
    #[arg(long, value_parser = date_arg)]
    due: Option<String>,
    /// P1 (first) to P4
    #[arg(long, value_parser = priority_arg)]
    priority: Option<String>,
    /// When it was decided, if not now
    #[arg(long, value_name = "TIME", value_parser = time_arg)]
    at: Option<Timestamp>,
}

/// A calendar date, given back in one form.
pub fn date_arg(text: &str) -> Result<String, String> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    time::Date::parse(text.trim(), format)
        .map(|_| text.trim().to_owned())
        .map_err(|_e| format!("'{text}' is not a date: it looks like 2026-12-01"))
}

fn priority_arg(text: &str) -> Result<String, String> {
    let upper = text.trim().to_ascii_uppercase();
    if ["P1", "P2", "P3", "P4"].contains(&upper.as_str()) {
        Ok(upper)
    } else {
        Err(format!("'{text}' is not a priority: give P1 to P4"))
    }
}

pub(super) async fn run(desk: &Desk, command: ActionCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        ActionCommand::Add(args) => {
            let action = NewAction {
                owner: args.owner,
                due: args.due,
                priority: args.priority,
                ..NewAction::follow_up(args.kind, &args.text)
            };
            let (incident, entry) = desk.add_action(args.id, action, args.at).await?;
            print_entry(&incident, &entry, as_json)
        }
        ActionCommand::Done { id, action, at } => {
            let (incident, entry) = desk.action_done(id, action, None, at).await?;
            print_entry(&incident, &entry, as_json)
        }
        ActionCommand::List { id, overdue, format } => list(desk, id, overdue, format, as_json).await,
    }
}

async fn list(desk: &Desk, id: Option<IncidentId>, overdue: bool, format: ListFormat, as_json: bool) -> Result<Done, CliError> {
    let today = crate::investigate::clock::now().date();
    let ids = match id {
        Some(id) => vec![id],
        None => desk.journal.list().await?.into_iter().map(|h| h.id).collect(),
    };
    let mut rows = Vec::new();
    if !as_json {
        match format {
            ListFormat::Csv => out::line("incident,id,text,kind,owner,due,priority,state")?,
            ListFormat::Md => out::line(
                "| Incident | Id | Action | Kind | Owner | Due | Priority | State |\n|---|---|---|---|---|---|---|---|",
            )?,
            ListFormat::Text => {}
        }
    }
    for id in ids {
        let mut incident = desk.journal.incident(id).await?;
        // Dates in this form compare as text.
        incident.actions.retain(|a| !overdue || a.state == ActionState::Open && a.due.as_ref().is_some_and(|d| *d < today));
        if as_json {
            rows.extend(incident.actions.iter().map(|a| {
                json!({"incident": id, "id": a.id, "text": a.text, "kind": a.kind, "owner": a.owner, "due": a.due, "priority": a.priority, "state": a.state})
            }));
        } else if format != ListFormat::Text {
            for a in &incident.actions {
                let or = |v: &Option<String>| v.clone().unwrap_or_default();
                let state = if a.state == ActionState::Done { "done" } else { "open" };
                let cells = [
                    id.to_string(),
                    a.id.to_string(),
                    a.text.clone(),
                    a.kind.word().to_owned(),
                    or(&a.owner),
                    or(&a.due),
                    or(&a.priority),
                    state.to_owned(),
                ];
                out::line(written(&cells, format))?;
            }
        } else if !incident.actions.is_empty() {
            out::line(format!("{id} {}", incident.head.title))?;
            print(&incident)?;
        }
    }
    if as_json {
        out::json(&json!({"action_items": rows}))?;
    }
    Ok(Done::Whole)
}

/// A row of CSV (RFC 4180; a cell that a spreadsheet would take for a formula is quoted as text) or of a Markdown table.
fn written(cells: &[String], format: ListFormat) -> String {
    if format == ListFormat::Md {
        let safe: Vec<String> = cells.iter().map(|c| c.replace('\\', "\\\\").replace('|', "\\|").replace('\n', " ")).collect();
        return format!("| {} |", safe.join(" | "));
    }
    let quoted = |c: &String| {
        let formula = c.starts_with(['=', '+', '-', '@', '\t']);
        let text = if formula { format!("'{c}") } else { c.clone() };
        if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",")
}

/// A table of an incident's action items.
pub(super) fn print(incident: &Incident) -> Result<(), CliError> {
    let rows: Vec<Vec<String>> = incident
        .actions
        .iter()
        .map(|a| {
            let or = |v: &Option<String>, none: &str| v.clone().unwrap_or_else(|| none.to_owned());
            let state = if a.state == ActionState::Done { "done" } else { "open" };
            vec![
                format!("  {}", a.id),
                state.to_owned(),
                a.kind.word().to_owned(),
                or(&a.priority, "-"),
                or(&a.owner, "no owner"),
                or(&a.due, "no date"),
                a.text.clone(),
            ]
        })
        .collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    Ok(())
}
