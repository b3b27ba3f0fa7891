//! `warroom bundle …`: exports one incident to a file, and imports it into another store.

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
    /// Export an incident to a file: facts, evidence, and the requests to models with their answers, redacted and compressed
    Export {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// File to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Import an incident into the store under its own number; never overwrites anything
    ///
    /// To look at a bundle without importing it, use --store bundle:FILE.
    Import {
        /// Bundle to import
        file: PathBuf,
    },
}

pub(super) async fn run(desk: &Desk, command: BundleCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        BundleCommand::Export { id, output } => {
            let unsynced = desk.journal.incident(id).await?.unsynced();
            let bytes = desk.journal.export_bundle(id).await?;
            super::export::write(&output, &bytes)?;
            if as_json {
                out::json(&json!({"id": id, "path": output, "bytes": bytes.len(), "left_out": unsynced}))?;
            } else {
                out::line(format!("Wrote {id} to {}: {} bytes", output.display(), bytes.len()))?;
            }
            if unsynced > 0 {
                let waiting = crate::telemetry::words::entries_waiting(u64::try_from(unsynced).unwrap_or(u64::MAX));
                out::note(format!(
                    "warroom: {waiting} for the shared store and not in the bundle. Export again when the store is reachable."
                ));
                return Ok(Done::Partial);
            }
        }
        BundleCommand::Import { file } => {
            let bytes = std::fs::read(&file).map_err(|e| CliError::file("read", &file, &e))?;
            let bundle = bundle::read(&bytes)?;
            let title = bundle.title.clone();
            let done = desk.journal.import_bundle(bundle).await?;
            if as_json {
                out::json(&json!({"id": done.incident, "added": done.added, "had": done.already_present}))?;
            } else if done.added == 0 {
                out::line(format!("{} {title}: all entries are already in the store", done.incident))?;
            } else {
                out::line(format!(
                    "{} {title}: {} added, {} already in the store",
                    done.incident,
                    crate::telemetry::words::count(done.added, "entry"),
                    done.already_present
                ))?;
            }
        }
    }
    Ok(Done::Complete)
}
