//! `warroom purge`: deletes incidents past the retention period. Without `--yes` it only lists them.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{CliError, Done, duration_arg, id_arg, out};
use crate::incident::{IncidentId, Status, Summary};
use crate::investigate::Desk;
use crate::investigate::clock::now;
use crate::journal::{JournalError, Purge};
use crate::telemetry::Failure;

/// Arguments of `warroom purge`.
#[derive(Args)]
pub struct PurgeArgs {
    /// Minimum time since the incident ended, such as 365d, instead of [retention] days from the configuration
    #[arg(long, value_name = "DURATION", value_parser = duration_arg, conflicts_with = "ids")]
    older_than: Option<Duration>,
    /// Incidents to delete, whatever their age
    #[arg(value_parser = id_arg, value_name = "ID")]
    ids: Vec<IncidentId>,
    /// Reason for deleting them, kept together with their numbers
    #[arg(long, default_value = "past the retention period")]
    reason: String,
    /// Delete the incidents; this cannot be undone
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(desk: &Desk, retention: Option<Duration>, args: &PurgeArgs, as_json: bool) -> Result<Done, CliError> {
    let heads = desk.journal.list().await?;
    let chosen: Vec<&Summary> = if args.ids.is_empty() {
        let Some(age) = args.older_than.or(retention) else {
            let remedy = "Give --older-than 365d or incident IDs, or set days in the [retention] section of the configuration.";
            return Err(CliError::usage("no incidents were selected", remedy));
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
                    let failure = Failure::new(format!("cannot purge {id}: it is {}", h.status));
                    let remedy = format!(
                        "Only closed, cancelled and merged incidents can be purged. Run `warroom incident status {id} closed` first."
                    );
                    return Err(CliError::Failed(failure.advise(remedy)));
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
        // The reason outlives the incidents, so it is redacted like every other stored text.
        let reason = crate::evidence::Redactor::new().redact_text(&reason).into_owned();
        let note = format!("purged at {} by {}: {reason}", now().rfc3339(), desk.user);
        desk.journal.purge(Purge { incidents: ids.clone(), note }).await?;
    }
    if as_json {
        out::json(&json!({"purged": args.yes, "incidents": ids}))?;
    } else {
        out::note(match (ids.len(), args.yes) {
            (0, _) => "Nothing to purge.".to_owned(),
            (n, true) => format!("{} purged. Purged numbers are never reused.", crate::telemetry::words::count(n, "incident")),
            (n, false) => {
                format!("{} would be deleted permanently. Add --yes to delete.", crate::telemetry::words::count(n, "incident"))
            }
        });
    }
    Ok(Done::Complete)
}

fn has_ended(h: &Summary) -> bool {
    matches!(h.status, Status::Closed | Status::Cancelled | Status::Merged)
}
