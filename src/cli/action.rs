//! `warroom action …`: the action items of an incident.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::incident::{When, print_outcome};
use super::{CliError, Done, id_arg, out};
use crate::config::TrackerConfig;
use crate::incident::action::{parse_due, parse_priority};
use crate::incident::command::NewAction;
use crate::incident::{
    ActionChange, ActionId, ActionItem, ActionKind, ActionScope, ActionState, Command, Incident, IncidentId, lint,
};
use crate::investigate::Desk;
use crate::notify::tracker;
use crate::telemetry::{Explain, Failure, Timestamp};

/// The subcommands of `warroom action`.
#[derive(Subcommand)]
pub enum ActionCommand {
    /// Add an action item
    Add {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        #[command(flatten)]
        action: NewAction,
        #[command(flatten)]
        when: When,
    },
    /// Mark an action item as done
    Done {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Action item, such as A1
        action: ActionId,
        /// Result
        #[arg(long, value_name = "TEXT")]
        result: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Change an action item
    Edit {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Action item, such as A1
        action: ActionId,
        #[command(flatten)]
        change: Box<EditArgs>,
        #[command(flatten)]
        when: When,
    },
    /// Drop an action item that will not be done
    Drop {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Action item, such as A1
        action: ActionId,
        /// Reason for dropping it
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        when: When,
    },
    /// Find unclear follow-ups: no verb, vague, or no condition for being done
    Lint {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Create an issue in a tracker from an action item; without --send, only show the request
    Push {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Action item, such as A1
        action: ActionId,
        /// Name of the tracker in the configuration, if there are several
        #[arg(long, value_name = "NAME")]
        tracker: Option<String>,
        /// Send the request
        #[arg(long)]
        send: bool,
    },
    /// List action items
    List {
        /// Incident, such as INC-1; all incidents if not given
        #[arg(value_parser = id_arg)]
        id: Option<IncidentId>,
        /// Only open items past their due date, and tasks past their check-back time
        #[arg(long)]
        overdue: bool,
        /// Only open items
        #[arg(long)]
        open: bool,
        /// Only items of this owner
        #[arg(long, value_name = "NAME")]
        owner: Option<String>,
        /// Format of the list
        #[arg(long, value_enum, default_value = "text")]
        format: ListFormat,
    },
}

/// The format of the list.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ListFormat {
    Text,
    Md,
    Csv,
}

/// The changes of `warroom action edit`.
#[derive(Args)]
pub struct EditArgs {
    /// New text
    #[arg(long)]
    text: Option<String>,
    /// Kind: prevent, mitigate, detect or process
    #[arg(long)]
    kind: Option<ActionKind>,
    /// Owner
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Due date, such as 2026-12-01, fri, tomorrow or 3d
    #[arg(long, value_parser = due_arg)]
    due: Option<String>,
    /// Priority, P1 (highest) to P4
    #[arg(long, value_parser = parse_priority)]
    priority: Option<String>,
    /// URL of the ticket
    #[arg(long, value_name = "URL")]
    ticket: Option<String>,
    /// Scope: incident (during the incident) or follow-up (after it)
    #[arg(long)]
    scope: Option<ActionScope>,
    /// State: open, in-progress, done or dropped
    #[arg(long)]
    state: Option<ActionState>,
    /// Reason for the change, or the result
    #[arg(long)]
    reason: Option<String>,
}

/// A due date as people type it, counted from today in UTC.
fn due_arg(text: &str) -> Result<String, String> {
    parse_due(text, time::OffsetDateTime::now_utc().date())
}

impl EditArgs {
    fn change(self) -> ActionChange {
        ActionChange {
            text: self.text,
            kind: self.kind,
            owner: self.owner,
            due: self.due,
            priority: self.priority,
            scope: self.scope,
            ticket: self.ticket,
            check_back_at: None,
            state: self.state,
            result: self.reason,
        }
    }
}

pub(super) async fn run(
    desk: &Desk,
    trackers: &[TrackerConfig],
    command: ActionCommand,
    as_json: bool,
) -> Result<Done, CliError> {
    let (id, command, when) = match command {
        ActionCommand::Add { id, action, when } => {
            if action.scope == ActionScope::FollowUp {
                for advice in lint::action(&action.text) {
                    out::note(format!("warroom: hint: {advice}"));
                }
            }
            (id, Command::AddAction(action), when)
        }
        ActionCommand::Done { id, action, result, when } => (id, Command::CompleteAction { action, result }, when),
        ActionCommand::Edit { id, action, change, when } => (id, Command::ChangeAction { action, change: change.change() }, when),
        ActionCommand::Drop { id, action, reason, when } => {
            let change = ActionChange { state: Some(ActionState::Dropped), result: Some(reason), ..ActionChange::default() };
            (id, Command::ChangeAction { action, change }, when)
        }
        ActionCommand::Lint { id } => return lint_items(desk, id, as_json).await,
        ActionCommand::Push { id, action, tracker, send } => {
            return push(desk, find_tracker(trackers, tracker.as_deref())?, id, action, send, as_json).await;
        }
        ActionCommand::List { id, overdue, open, owner, format } => {
            return list(desk, id, &Filter { overdue, open, owner }, format, as_json).await;
        }
    };
    print_outcome(&desk.run(id, command, when.resolve()?).await?, as_json)
}

/// Prints hints for the follow-ups whose text is unclear.
async fn lint_items(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let incident = desk.journal.incident(id).await?;
    let found: Vec<(&ActionItem, Vec<String>)> = incident
        .actions
        .iter()
        .filter(|a| a.scope == ActionScope::FollowUp && a.state != ActionState::Dropped)
        .map(|a| (a, lint::action(&a.text)))
        .filter(|(_, advice)| !advice.is_empty())
        .collect();
    if as_json {
        let rows: Vec<Value> = found.iter().map(|(a, advice)| json!({"id": a.id, "text": a.text, "advice": advice})).collect();
        out::json(&json!({"action_items": rows}))?;
    } else {
        if found.is_empty() {
            out::line("All follow-ups are clear.")?;
        }
        for (a, advice) in &found {
            out::line(format!("{} {}", a.id, a.text))?;
            for hint in advice {
                out::line(format!("  {hint}"))?;
            }
        }
    }
    Ok(if found.is_empty() { Done::Complete } else { Done::Problems })
}

/// The tracker with a name; without a name, the only one.
fn find_tracker<'a>(trackers: &'a [TrackerConfig], name: Option<&str>) -> Result<&'a TrackerConfig, CliError> {
    let names: Vec<&str> = trackers.iter().map(|t| t.name.as_str()).collect();
    match (name, trackers) {
        (None, [only]) => Ok(only),
        (None, []) => Err(CliError::usage("no tracker is configured", "Add [[trackers]] to the configuration.")),
        (None, _) => {
            Err(CliError::usage("several trackers are configured", format!("Choose one: --tracker {}.", names.join(" or "))))
        }
        (Some(_), []) => Err(CliError::usage("no tracker is configured", "Add [[trackers]] to the configuration.")),
        (Some(name), all) => all.iter().find(|t| t.name == name).ok_or_else(|| {
            let failure = Failure::new(format!("no tracker named '{name}' is configured"));
            CliError::NotFound(failure.advise(format!("Use one of {}.", names.join(", "))))
        }),
    }
}

/// Shows the request that creates an issue; with `send`, sends it and records the ticket.
async fn push(
    desk: &Desk,
    tracker: &TrackerConfig,
    id: IncidentId,
    action: ActionId,
    send: bool,
    as_json: bool,
) -> Result<Done, CliError> {
    let incident = desk.journal.incident(id).await?;
    let item = incident.action(action).ok_or_else(|| {
        let failure = Failure::new(format!("{id} has no action item {action}"));
        CliError::NotFound(failure.advise(format!("Run `warroom action list {id}` to see its action items.")))
    })?;
    if item.state == ActionState::Dropped {
        let failure = Failure::new(format!("cannot create an issue for {action}: it is dropped"));
        return Err(CliError::Failed(
            failure.advise(format!("Run `warroom action edit {id} {action} --state open` to reopen it.")),
        ));
    }
    if let Some(ticket) = &item.ticket {
        return Err(CliError::failed(format!("{action} already has a ticket: {ticket}")));
    }
    let request = tracker::issue_request(tracker, &incident, item);
    if !send {
        if as_json {
            out::json(&json!({"sent": false, "method": request.method, "url": request.url, "body": request.body}))?;
        } else {
            out::line(format!("{} {}", request.method, request.url))?;
            out::line(serde_json::to_string_pretty(&request.body)?)?;
            out::note("Nothing was sent. Add --send to send exactly this.");
        }
        return Ok(Done::Complete);
    }
    let url = tracker::send(tracker, &request).await.map_err(|e| CliError::Failed(e.failure()))?;
    let change = ActionChange { ticket: Some(url.clone()), ..ActionChange::default() };
    let outcome = desk.run(id, Command::ChangeAction { action, change }, None).await?;
    if as_json {
        out::json(&json!({"sent": true, "method": request.method, "url": request.url, "body": request.body, "ticket": url}))?;
        return Ok(Done::Complete);
    }
    print_outcome(&outcome, false)
}

/// Which action items to list.
struct Filter {
    overdue: bool,
    open: bool,
    owner: Option<String>,
}

impl Filter {
    fn matches(&self, a: &ActionItem, now: Timestamp) -> bool {
        (!self.overdue || a.is_overdue(&now.date()) || a.is_late(now))
            && (!self.open || a.state.is_open())
            && self.owner.as_ref().is_none_or(|o| a.owner.as_ref() == Some(o))
    }
}

/// The columns of a list in CSV. Markdown omits the last two.
const COLUMNS: [&str; 12] =
    ["incident", "id", "text", "kind", "owner", "due", "priority", "state", "scope", "ticket", "check_back_at", "result"];

fn json_row(incident: IncidentId, a: &ActionItem, now: Timestamp) -> Value {
    json!({"incident": incident, "id": a.id, "text": a.text, "kind": a.kind, "owner": a.owner, "due": a.due,
           "priority": a.priority, "state": a.state, "scope": a.scope, "ticket": a.ticket,
           "check_back_at": a.check_back_at, "result": a.result, "overdue": a.is_overdue(&now.date()) || a.is_late(now)})
}

fn cells(incident: IncidentId, a: &ActionItem) -> Vec<String> {
    let or_empty = |v: &Option<String>| v.clone().unwrap_or_default();
    vec![
        incident.to_string(),
        a.id.to_string(),
        a.text.clone(),
        a.kind.word().to_owned(),
        or_empty(&a.owner),
        or_empty(&a.due),
        or_empty(&a.priority),
        a.state.word().to_owned(),
        a.scope.word().to_owned(),
        or_empty(&a.ticket),
        a.check_back_at.map(Timestamp::rfc3339).unwrap_or_default(),
        or_empty(&a.result),
    ]
}

async fn list(desk: &Desk, id: Option<IncidentId>, filter: &Filter, format: ListFormat, as_json: bool) -> Result<Done, CliError> {
    let now = crate::investigate::clock::now();
    let heads = match id {
        Some(_) => Vec::new(),
        None => desk.journal.list().await?,
    };
    // Incidents whose summary counts no open items need not be read.
    let is_skipped = |h: &crate::incident::Summary| (filter.open || filter.overdue) && h.open_actions == 0;
    let ids: Vec<IncidentId> = id.into_iter().chain(heads.iter().filter(|h| !is_skipped(h)).map(|h| h.id)).collect();
    let (mut json_rows, mut table) = (Vec::new(), Vec::new());
    for id in ids {
        let mut incident = desk.journal.incident(id).await?;
        // The open items of a merged incident are listed with the incident that it was merged into.
        let is_merged = incident.head.merged_into.is_some();
        incident.actions.retain(|a| filter.matches(a, now) && !(is_merged && a.state.is_open()));
        let id = incident.id();
        if as_json {
            json_rows.extend(incident.actions.iter().map(|a| json_row(id, a, now)));
        } else if format != ListFormat::Text {
            table.extend(incident.actions.iter().map(|a| cells(id, a)));
        } else if !incident.actions.is_empty() {
            out::line(format!("{id} {}", incident.head.title))?;
            print(&incident)?;
        }
    }
    match (as_json, format) {
        (true, _) => out::json(&json!({"action_items": json_rows}))?,
        (false, ListFormat::Csv) => out::raw(&csv(&table)?)?,
        (false, ListFormat::Md) => out::raw(&markdown(&table))?,
        (false, ListFormat::Text) => {}
    }
    Ok(Done::Complete)
}

/// CSV (RFC 4180). A cell that a spreadsheet would read as a formula is prefixed with an apostrophe.
fn csv(rows: &[Vec<String>]) -> Result<String, CliError> {
    let fail = |e: &dyn std::fmt::Display| CliError::failed(format!("cannot write CSV: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(|e| fail(&e))?;
    for row in rows {
        let is_formula = |c: &str| c.starts_with(['=', '+', '-', '@', '\t']);
        let safe = row.iter().map(|c| if is_formula(c) { format!("'{c}") } else { c.clone() });
        writer.write_record(safe).map_err(|e| fail(&e))?;
    }
    let bytes = writer.into_inner().map_err(|e| fail(&e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn markdown(rows: &[Vec<String>]) -> String {
    let mut text = "| Incident | ID | Action | Kind | Owner | Due | Priority | State | Scope | Ticket |\n|---|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for row in rows {
        let safe = |c: &String| c.replace('\\', "\\\\").replace('|', "\\|").replace('\n', " ");
        let cells: Vec<String> = row.iter().take(COLUMNS.len() - 2).map(safe).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

/// Prints an incident's action items as a table.
pub(super) fn print(incident: &Incident) -> Result<(), CliError> {
    let now = crate::investigate::clock::now();
    let rows: Vec<Vec<String>> = incident
        .actions
        .iter()
        .map(|a| {
            let or = |v: &Option<String>, none: &str| v.clone().unwrap_or_else(|| none.to_owned());
            let is_task = a.scope == ActionScope::Incident;
            let back = a.check_back_at.filter(|_| a.state.is_open());
            let when = match (is_task, back) {
                (true, Some(at)) if at <= now => format!("report overdue since {} UTC", at.date_clock()),
                (true, Some(at)) => format!("reports back in {}", crate::telemetry::time::human_duration(at.since(now))),
                (true, None) => "now".to_owned(),
                (false, _) => or(&a.due, "no due date"),
            };
            let mut text = a.text.clone();
            for more in [&a.ticket, &a.result].into_iter().flatten() {
                text.push_str(&format!(" · {more}"));
            }
            let overdue = if a.is_overdue(&now.date()) || a.is_late(now) { " OVERDUE" } else { "" };
            vec![
                format!("  {}", a.id),
                format!("{}{overdue}", a.state.word().replace('_', " ")),
                if is_task { "task".to_owned() } else { a.kind.word().to_owned() },
                or(&a.priority, "-"),
                or(&a.owner, "no owner"),
                when,
                text,
            ]
        })
        .collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    Ok(())
}
