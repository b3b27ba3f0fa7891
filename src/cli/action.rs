//! `warroom action …`: action items of an incident.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;

use super::incident::print_entry;
use super::{CliError, Done, duration_arg, id_arg, out, time_arg};
use crate::config::TrackerConfig;
use crate::incident::{ActionChange, ActionId, ActionItem, ActionKind, ActionScope, ActionState, Incident, IncidentId, lint};
use crate::investigate::Desk;
use crate::investigate::desk::checked_line;
use crate::investigate::work::NewAction;
use crate::notify::tracker;
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
        /// What came of it
        #[arg(long, value_name = "TEXT")]
        result: Option<String>,
        /// When it was done, if not now
        #[arg(long, value_name = "TIME", value_parser = time_arg)]
        at: Option<Timestamp>,
    },
    /// Change one
    Edit(EditArgs),
    /// Decide not to do one, with the reason
    Drop {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        action: ActionId,
        #[arg(long)]
        reason: String,
        /// When it was decided, if not now
        #[arg(long, value_name = "TIME", value_parser = time_arg)]
        at: Option<Timestamp>,
    },
    /// What is unclear about how they are written
    Lint {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Make an issue of one in a tracker; shows what would be sent, and sends it with --send
    Push {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        action: ActionId,
        /// The tracker's name in the configuration, if there are several
        #[arg(long, value_name = "NAME")]
        tracker: Option<String>,
        /// Send it
        #[arg(long)]
        send: bool,
    },
    /// Those of an incident, or of all
    List {
        #[arg(value_parser = id_arg)]
        id: Option<IncidentId>,
        /// Only open ones whose due date has passed, and tasks whose owner is late
        #[arg(long)]
        overdue: bool,
        /// Only open ones
        #[arg(long)]
        open: bool,
        /// Only those of one owner
        #[arg(long, value_name = "NAME")]
        owner: Option<String>,
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
    /// follow-up (after the incident) or incident (now)
    #[arg(long, default_value = "follow-up")]
    scope: ActionScope,
    /// When its owner reports back, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = duration_arg)]
    check_back: Option<Duration>,
    /// The address of its ticket
    #[arg(long, value_name = "URL")]
    ticket: Option<String>,
    /// When it was decided, if not now
    #[arg(long, value_name = "TIME", value_parser = time_arg)]
    at: Option<Timestamp>,
}

/// Arguments of `warroom action edit`.
#[derive(Args)]
pub struct EditArgs {
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    action: ActionId,
    #[arg(long)]
    text: Option<String>,
    /// prevent, mitigate, detect or process
    #[arg(long)]
    kind: Option<ActionKind>,
    #[arg(long)]
    owner: Option<String>,
    /// A date such as 2026-12-01
    #[arg(long, value_parser = date_arg)]
    due: Option<String>,
    /// P1 (first) to P4
    #[arg(long, value_parser = priority_arg)]
    priority: Option<String>,
    /// The address of its ticket
    #[arg(long, value_name = "URL")]
    ticket: Option<String>,
    /// incident or follow-up
    #[arg(long)]
    scope: Option<ActionScope>,
    /// open, in-progress, done or dropped
    #[arg(long)]
    state: Option<ActionState>,
    /// Why, or what came of it
    #[arg(long)]
    reason: Option<String>,
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

pub(super) async fn run(
    desk: &Desk,
    trackers: &[TrackerConfig],
    command: ActionCommand,
    as_json: bool,
) -> Result<Done, CliError> {
    let (incident, entry) = match command {
        ActionCommand::Add(args) => {
            let action = NewAction {
                owner: args.owner,
                due: args.due,
                priority: args.priority,
                scope: args.scope,
                check_back: args.check_back,
                ticket: args.ticket,
                ..NewAction::follow_up(args.kind, &args.text)
            };
            let written = desk.add_action(args.id, action, args.at).await?;
            if args.scope == ActionScope::FollowUp {
                lint::action(&args.text).iter().for_each(|advice| out::note(format!("warroom: hint: {advice}")));
            }
            written
        }
        ActionCommand::Done { id, action, result, at } => desk.action_done(id, action, result, at).await?,
        ActionCommand::Edit(args) => {
            let line = |what: &str, text: Option<String>| text.map(|t| checked_line(what, &t)).transpose();
            let change = ActionChange {
                text: line("text", args.text)?,
                kind: args.kind,
                owner: line("owner", args.owner)?,
                due: args.due,
                priority: args.priority,
                scope: args.scope,
                ticket: line("ticket", args.ticket)?,
                check_back_at: None,
                state: args.state,
                result: line("reason", args.reason)?,
            };
            desk.change_action(args.id, args.action, change, args.at).await?
        }
        ActionCommand::Drop { id, action, reason, at } => {
            let reason = checked_line("reason", &reason)?;
            let change = ActionChange { state: Some(ActionState::Dropped), result: Some(reason), ..ActionChange::default() };
            desk.change_action(id, action, change, at).await?
        }
        ActionCommand::Lint { id } => return advise(desk, id, as_json).await,
        ActionCommand::Push { id, action, tracker, send } => {
            return push(desk, trackers, id, action, tracker.as_deref(), send, as_json).await;
        }
        ActionCommand::List { id, overdue, open, owner, format } => {
            return list(desk, id, &Only { overdue, open, owner }, format, as_json).await;
        }
    };
    print_entry(&incident, &entry, as_json)
}

async fn advise(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
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
            out::line("nothing to say")?;
        }
        for (a, advice) in &found {
            out::line(format!("{} {}", a.id, a.text))?;
            for words in advice {
                out::line(format!("  {words}"))?;
            }
        }
    }
    Ok(if found.is_empty() { Done::Whole } else { Done::No })
}

/// Shows the request, or sends it and writes the ticket down.
async fn push(
    desk: &Desk,
    trackers: &[TrackerConfig],
    id: IncidentId,
    action: ActionId,
    name: Option<&str>,
    send: bool,
    as_json: bool,
) -> Result<Done, CliError> {
    let known: Vec<&str> = trackers.iter().map(|t| t.name.as_str()).collect();
    let tracker = match (name, trackers) {
        (None, [only]) => only,
        (None, []) => {
            return Err(CliError::Usage("no tracker is configured: add [[trackers]] to the configuration".to_owned()));
        }
        (None, _) => return Err(CliError::Usage(format!("say which tracker: --tracker {}", known.join(" or ")))),
        (Some(name), all) => all
            .iter()
            .find(|t| t.name == name)
            .ok_or_else(|| CliError::NotFound(format!("no tracker is named '{name}'; configured are: {}", known.join(", "))))?,
    };
    let incident = desk.journal.incident(id).await?;
    let item = incident
        .action(action)
        .ok_or_else(|| CliError::NotFound(format!("{id} has no action item {action}: `warroom action list {id}` lists them")))?;
    if item.state == ActionState::Dropped {
        return Err(CliError::Failed(format!("{action} is dropped: nobody is to work on it")));
    }
    if let Some(ticket) = &item.ticket {
        return Err(CliError::Failed(format!("{action} has its ticket already: {ticket}")));
    }
    let outgoing = tracker::issue_request(tracker, &incident, item);
    if !send {
        if as_json {
            out::json(&json!({"sent": false, "method": outgoing.method, "url": outgoing.url, "body": outgoing.body}))?;
        } else {
            out::line(format!("{} {}", outgoing.method, outgoing.url))?;
            out::line(serde_json::to_string_pretty(&outgoing.body)?)?;
            out::note("nothing was sent; --send sends exactly this");
        }
        return Ok(Done::Whole);
    }
    let url = tracker::send(tracker, &outgoing).await.map_err(|e| CliError::Failed(e.to_string()))?;
    let change = ActionChange { ticket: Some(url.clone()), ..ActionChange::default() };
    let (incident, entry) = desk.change_action(id, action, change, None).await?;
    if as_json {
        out::json(&json!({"sent": true, "method": outgoing.method, "url": outgoing.url, "body": outgoing.body, "ticket": url}))?;
        return Ok(Done::Whole);
    }
    print_entry(&incident, &entry, false)
}

/// Which action items are listed.
struct Only {
    overdue: bool,
    open: bool,
    owner: Option<String>,
}

impl Only {
    fn takes(&self, a: &ActionItem, now: Timestamp) -> bool {
        (!self.overdue || a.is_overdue(&now.date()) || a.is_late(now))
            && (!self.open || a.state.is_open())
            && self.owner.as_ref().is_none_or(|o| a.owner.as_ref() == Some(o))
    }
}

async fn list(desk: &Desk, id: Option<IncidentId>, only: &Only, format: ListFormat, as_json: bool) -> Result<Done, CliError> {
    let now = crate::investigate::clock::now();
    let heads = match id {
        Some(_) => Vec::new(),
        None => desk.journal.list().await?,
    };
    // What is open is counted in the heads: incidents without any need not be read.
    let skips = |h: &crate::incident::Summary| (only.open || only.overdue) && h.open_actions == 0;
    let ids: Vec<IncidentId> = id.into_iter().chain(heads.iter().filter(|h| !skips(h)).map(|h| h.id)).collect();
    let mut rows = Vec::new();
    if !as_json {
        match format {
            ListFormat::Csv => out::line("incident,id,text,kind,owner,due,priority,state,scope,ticket,check_back_at,result")?,
            ListFormat::Md => out::line(
                "| Incident | Id | Action | Kind | Owner | Due | Priority | State | Scope | Ticket |\n|---|---|---|---|---|---|---|---|---|---|",
            )?,
            ListFormat::Text => {}
        }
    }
    for id in ids {
        let mut incident = desk.journal.incident(id).await?;
        // What was open in a part goes on in the whole.
        let is_part = incident.head.merged_into.is_some();
        incident.actions.retain(|a| only.takes(a, now) && !(is_part && a.state.is_open()));
        if as_json {
            rows.extend(incident.actions.iter().map(|a| {
                json!({"incident": incident.id(), "id": a.id, "text": a.text, "kind": a.kind, "owner": a.owner, "due": a.due,
                       "priority": a.priority, "state": a.state, "scope": a.scope, "ticket": a.ticket,
                       "check_back_at": a.check_back_at, "result": a.result, "overdue": a.is_overdue(&now.date()) || a.is_late(now)})
            }));
        } else if format != ListFormat::Text {
            for a in &incident.actions {
                let or = |v: &Option<String>| v.clone().unwrap_or_default();
                let mut cells = vec![
                    incident.id().to_string(),
                    a.id.to_string(),
                    a.text.clone(),
                    a.kind.word().to_owned(),
                    or(&a.owner),
                    or(&a.due),
                    or(&a.priority),
                    a.state.word().to_owned(),
                    a.scope.word().to_owned(),
                    or(&a.ticket),
                ];
                if format == ListFormat::Csv {
                    cells.push(a.check_back_at.map(|t| t.rfc3339()).unwrap_or_default());
                    cells.push(or(&a.result));
                }
                out::line(written(&cells, format))?;
            }
        } else if !incident.actions.is_empty() {
            out::line(format!("{} {}", incident.id(), incident.head.title))?;
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
    let now = crate::investigate::clock::now();
    let rows: Vec<Vec<String>> = incident
        .actions
        .iter()
        .map(|a| {
            let or = |v: &Option<String>, none: &str| v.clone().unwrap_or_else(|| none.to_owned());
            let is_task = a.scope == ActionScope::Incident;
            let back = a.check_back_at.filter(|_| a.state.is_open());
            let when = match (is_task, back) {
                (true, Some(at)) if at <= now => format!("late since {}Z", at.clock(time::UtcOffset::UTC)),
                (true, Some(at)) => format!("back in {}", crate::telemetry::time::human_duration(at.since(now))),
                (true, None) => "now".to_owned(),
                (false, _) => or(&a.due, "no date"),
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
