//! `warroom investigate`: gathers evidence, analyses it and prints the findings with their evidence.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::reading::on_ctrl_c;
use super::{CliError, Done, duration_arg, id_arg, out};
use crate::evidence::citations::tags;
use crate::incident::{CitedFinding, FindingKind, Incident, IncidentId, SourceStatus};
use crate::investigate::{Desk, Progress};

/// Arguments of `warroom investigate`.
#[derive(Args)]
pub struct InvestigateArgs {
    /// Incident, such as INC-1
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    /// Length of the window, such as 30m or 2h, counted back from now or from the mitigation
    #[arg(long, value_name = "DURATION", value_parser = duration_arg)]
    window: Option<Duration>,
}

/// Prints progress to stderr, unless `quiet`.
pub(super) fn progress(quiet: bool) -> Progress {
    Arc::new(move |text| {
        if !quiet {
            out::note(text);
        }
    })
}

pub(super) async fn run(desk: &Desk, args: &InvestigateArgs, as_json: bool) -> Result<Done, CliError> {
    // The data received before Ctrl-C is analysed, stored and printed.
    let interrupt = on_ctrl_c(|| {
        out::note("warroom: stopping and analysing the data received so far; press Ctrl-C again to quit");
        crate::sources::http::stop();
    });
    let done = desk.investigate(args.id, args.window, &progress(as_json)).await;
    interrupt.abort();
    print(&done?, as_json)
}

/// Number of evidence ids that are printed for a finding.
const MAX_TAGS: usize = 6;

/// Prints a finding: the conclusion as a paragraph, others with one line for each finding that they sum up.
fn print_finding(f: &CitedFinding) -> Result<(), CliError> {
    let shown = |f: &CitedFinding| tags(f.evidence.get(..MAX_TAGS).unwrap_or(&f.evidence));
    if f.kind == FindingKind::Conclusion {
        out::line(format!("\n{} {}\n", f.text, shown(f)).trim_end())?;
        return out::line("");
    }
    out::line(format!("{:>3}. [{}] {} {}", f.rank, f.kind.word(), f.title, shown(f)).trim_end())?;
    if f.details.is_empty() {
        return out::line(format!("       {}", f.text));
    }
    for detail in &f.details {
        let text = if detail.kind == FindingKind::Metric { &detail.title } else { &detail.text };
        out::line(format!("       {text} {}", shown(detail)).trim_end())?;
    }
    Ok(())
}

/// Prints the most recent investigation of an incident. Partial if a source failed.
pub(super) fn print(incident: &Incident, as_json: bool) -> Result<Done, CliError> {
    let Some(found) = &incident.investigation else {
        return Err(CliError::failed("the investigation recorded no results"));
    };
    if as_json {
        let ids = &found.gathered;
        let conclusion = found.conclusion().and_then(|f| f.conclusion.as_ref());
        out::json(&json!({"window": found.window, "conclusion": conclusion, "findings": found.findings,
                          "suspects": found.suspects, "onset": found.onset,
                          "evidence": ids, "sources": found.sources}))?;
    } else {
        out::line(format!("{} {} · window {}", incident.id(), incident.head.title, found.window.label()))?;
        for f in &found.findings {
            print_finding(f)?;
        }
        out::line(format!(
            "{}. Run `warroom export {}` to see all of them.",
            crate::telemetry::words::count(found.gathered.len(), "evidence item"),
            incident.id()
        ))?;
    }
    let failed = found.sources.iter().any(|s| s.status != SourceStatus::Ok);
    Ok(if failed { Done::Partial } else { Done::Complete })
}
