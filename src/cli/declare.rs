//! `warroom declare`: declares an incident. It is stored before any source is queried.

use clap::Args;
use serde_json::json;

use super::incident::When;
use super::{CliError, Done, out};
use crate::incident::Severity;
use crate::investigate::Desk;
use crate::investigate::desk::Declaration;

/// Arguments of `warroom declare`.
#[derive(Args)]
pub struct DeclareArgs {
    /// Short description of the problem
    #[arg(long)]
    title: String,
    /// Severity, SEV1 (worst) to SEV5; SEV3 if not given. If you are unsure, give two (SEV2/SEV3): the higher one is used
    #[arg(long, value_parser = crate::incident::command::severity_arg)]
    severity: Option<Severity>,
    /// Reason for the severity
    #[arg(long, value_name = "TEXT", requires = "severity")]
    reason: Option<String>,
    /// Person who reported it, if not you
    #[arg(long, value_name = "NAME")]
    reporter: Option<String>,
    /// Fingerprint of an alert to link; can be repeated
    #[arg(long = "alert", value_name = "FINGERPRINT")]
    alerts: Vec<String>,
    /// Incident commander
    #[arg(long, value_name = "NAME")]
    commander: Option<String>,
    /// Start in triage: not yet confirmed as an incident
    #[arg(long)]
    triage: bool,
    #[command(flatten)]
    when: When,
}

pub(super) async fn run(desk: &Desk, args: DeclareArgs, as_json: bool) -> Result<Done, CliError> {
    let declaration = Declaration {
        title: args.title,
        severity: args.severity,
        reason: args.reason,
        reporter: args.reporter,
        fingerprints: args.alerts,
        alerts: Vec::new(),
        commander: args.commander,
        triage: args.triage,
        at: args.when.resolve()?,
    };
    let outcome = desk.declare(declaration).await?;
    outcome.warnings.iter().for_each(|w| out::note(format!("warroom: {w}")));
    let head = &outcome.incident.head;
    if as_json {
        out::json(
            &json!({"id": head.id, "title": head.title, "severity": head.severity, "status": head.status, "declared_at": head.declared_at}),
        )?;
    } else {
        out::line(head.id.to_string())?;
    }
    Ok(Done::Complete)
}
