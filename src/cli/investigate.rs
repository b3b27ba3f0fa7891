//! `warroom investigate`: gather evidence, analyse, print cited findings.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::reading::on_ctrl_c;
use super::{CliError, Done, duration_arg, id_arg, out};
use crate::evidence::cited::tags;
use crate::incident::{Incident, IncidentId, SourceStatus};
use crate::investigate::{Desk, Progress};

/// Arguments of `warroom investigate`.
#[derive(Args)]
pub struct InvestigateArgs {
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    /// The last 30m, 2h, … instead of the incident's own window
    #[arg(long, value_name = "DURATION", value_parser = duration_arg)]
    window: Option<Duration>,
}

/// Progress on stderr, unless JSON is asked for.
pub(super) fn progress(quiet: bool) -> Progress {
    Arc::new(move |text| {
        if !quiet {
            out::note(text);
        }
    })
}

pub(super) async fn run(desk: &Desk, args: &InvestigateArgs, as_json: bool) -> Result<Done, CliError> {
    // What was answered by then is compared, kept and told.
    let waits = on_ctrl_c(|| {
        out::note("warroom: stopping: what was answered so far is told; once more ends at once");
        crate::sources::http::stop();
    });
    let done = desk.investigate(args.id, args.window, &progress(as_json)).await;
    waits.abort();
    print(&done?, as_json)
}

/// Prints the last investigation.
pub(super) fn print(incident: &Incident, as_json: bool) -> Result<Done, CliError> {
    let Some(found) = &incident.investigation else {
        return Err(CliError::failed("the investigation recorded nothing"));
    };
    if as_json {
        let ids: Vec<_> = incident.evidence.iter().map(|e| e.id).collect();
        out::json(&json!({"window": found.window, "findings": found.findings, "suspects": found.suspects, "onset": found.onset,
                          "evidence": ids, "sources": found.sources}))?;
    } else {
        out::line(format!("{} {} · window {}", incident.id(), incident.head.title, found.window.label()))?;
        for f in &found.findings {
            out::line(format!("{:>3}. [{}] {} {}", f.rank, f.kind.word(), f.title, tags(&f.evidence)).trim_end())?;
            out::line(format!("       {}", f.text))?;
        }
        out::line(format!(
            "{} evidence items; `warroom export {}` writes them all down",
            incident.evidence.len(),
            incident.id()
        ))?;
    }
    let failed = found.sources.iter().any(|s| s.status != SourceStatus::Ok);
    Ok(if failed { Done::Partial } else { Done::Whole })
}
