//! `warroom purge`: deletes what was kept long enough. Shows what it would delete, and deletes only when told so.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{CliError, Done, duration_arg, id_arg, out};
use crate::incident::{IncidentId, Status, Summary};
use crate::investigate::Desk;
use crate::investigate::clock::now;
use crate::journal::{JournalError, Purge};

/// Arguments of `warroom purge`.
#[derive(Args)]
pub struct PurgeArgs {
    /// What ended longer ago than this, such as 365d; without it as [retention] days says
    #[arg(long, value_name = "DURATION", value_parser = duration_arg, conflicts_with = "ids")]
    older_than: Option<Duration>,
    /// These incidents, whatever their age
    #[arg(value_parser = id_arg, value_name = "ID")]
    ids: Vec<IncidentId>,
    /// Why; stays behind with the numbers
    #[arg(long, default_value = "kept long enough")]
    reason: String,
    /// Delete them; there is no way back
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(desk: &Desk, retention: Option<Duration>, args: &PurgeArgs, as_json: bool) -> Result<Done, CliError> {
    let heads = desk.journal.list().await?;
    let chosen: Vec<&Summary> = if args.ids.is_empty() {
        let Some(age) = args.older_than.or(retention) else {
            let remedy = "Give --older-than 365d or ids, or set [retention] days in the configuration.";
            return Err(CliError::usage("nothing says what to delete", remedy));
        };
        let end = now() - age;
        heads.iter().filter(|h| has_ended(h) && h.status_since < end && h.last_at < end).collect()
    } else {
        let mut chosen = Vec::new();
        for id in &args.ids {
            match heads.iter().find(|h| h.id == *id) {
                None => {
                    return Err(JournalError::NoSuchIncident(*id).into());
                }
                Some(h) if !has_ended(h) => {
                    let message = format!("{id} is {}; only closed, cancelled and merged incidents can be purged", h.status);
                    return Err(CliError::failed(message));
                }
                Some(h) => chosen.push(h),
            }
        }
        chosen
    };
    let ids: Vec<IncidentId> = chosen.iter().map(|h| h.id).collect();
    if !as_json {
        for h in &chosen {
            out::line(format!("{} {} {} since {}: {}", h.id, h.severity, h.status, h.status_since.date(), h.title))?;
        }
    }
    if args.yes && !ids.is_empty() {
        let reason = crate::incident::command::check_text("reason", &args.reason, false)?;
        // It outlives what it is about: names and secrets stay out of it as they do everywhere.
        let reason = crate::evidence::Redactor::new().text(&reason).into_owned();
        let note = format!("purged at {} by {}: {reason}", now().rfc3339(), desk.user);
        desk.journal.purge(Purge { incidents: ids.clone(), note }).await?;
    }
    if as_json {
        out::json(&json!({"purged": args.yes, "incidents": ids}))?;
    } else {
        out::note(match (ids.len(), args.yes) {
            (0, _) => "nothing to purge".to_owned(),
            (n, true) => format!("{} purged; no number is given again", crate::telemetry::words::count(n, "incident")),
            (n, false) => format!("{} would be deleted for good; --yes does it", crate::telemetry::words::count(n, "incident")),
        });
    }
    Ok(Done::Whole)
}

fn has_ended(h: &Summary) -> bool {
    matches!(h.status, Status::Closed | Status::Cancelled | Status::Merged)
}
