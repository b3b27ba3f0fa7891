//! `warroom bundle …`: one incident in a file, for another laptop.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{CliError, Done, id_arg, out};
use crate::incident::IncidentId;
use crate::investigate::Desk;
use crate::journal::bundle;

/// The subcommands of `warroom bundle`.
#[derive(Subcommand)]
pub enum BundleCommand {
    /// Write one: facts, evidence, what was sent to models and what they answered, redacted and compressed
    Export {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// The file
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Take one into your store under its own number; nothing is ever overwritten
    /// (to look at it without: --store bundle:FILE)
    Import { file: PathBuf },
}

pub(super) async fn run(desk: &Desk, command: BundleCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        BundleCommand::Export { id, output } => {
            let waits = desk.journal.incident(id).await?.unsynced();
            let bytes = desk.journal.export_bundle(id).await?;
            super::export::write(&output, &bytes)?;
            if as_json {
                out::json(&json!({"id": id, "path": output, "bytes": bytes.len(), "left_out": waits}))?;
            } else {
                out::line(format!("{id}: {} bytes in {}", bytes.len(), output.display()))?;
            }
            if waits > 0 {
                let waits = crate::telemetry::words::entries_waiting(u64::try_from(waits).unwrap_or(u64::MAX));
                out::note(format!("warroom: {waits} for the shared store and cannot be in it; export again when that is back"));
                return Ok(Done::Partial);
            }
        }
        BundleCommand::Import { file } => {
            let bytes = std::fs::read(&file).map_err(|e| CliError::file("read", &file, &e))?;
            let bundle = bundle::read(&bytes)?;
            let title = bundle.title.clone();
            let done = desk.journal.import_bundle(bundle).await?;
            if as_json {
                out::json(&json!({"id": done.incident, "added": done.added, "had": done.had}))?;
            } else if done.added == 0 {
                out::line(format!("{} {title}: all of its entries are here already", done.incident))?;
            } else {
                out::line(format!(
                    "{} {title}: {} added, {} here before",
                    done.incident,
                    crate::telemetry::words::count(done.added, "entry"),
                    done.had
                ))?;
            }
        }
    }
    Ok(Done::Whole)
}
