//! `warroom claims`: checks any text against the evidence of an incident, as an answer of a model is checked.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{CliError, Done, id_arg, out};
use crate::incident::{Claim, ClaimState, IncidentId};
use crate::investigate::Desk;

/// Arguments of `warroom claims`.
#[derive(Args)]
pub struct ClaimsArgs {
    /// Incident, such as INC-1
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    /// Markdown file to check; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(desk: &Desk, args: &ClaimsArgs, as_json: bool) -> Result<Done, CliError> {
    let text = super::read_text(&args.file)?;
    let claims = desk.check_claims(args.id, &text).await?.claims;
    let is_clean = !claims.iter().any(Claim::is_flagged);
    if as_json {
        out::json(&json!({"claims": claims.iter().map(|c| shape(c, state(c))).collect::<Vec<_>>()}))?;
    } else {
        for claim in claims.iter().filter(|c| c.is_flagged()) {
            out::line(format!("{}: {}: {}", claim.line, claim.state.word(), claim.text))?;
            if let Some(reason) = &claim.reason {
                out::line(format!("    {reason}"))?;
            }
        }
        let count = |state: ClaimState| claims.iter().filter(|c| c.state == state).count();
        out::note(format!(
            "{} claims: {} supported, {} flagged. {} plans and admissions were not checked.",
            claims.len() - count(ClaimState::NotCheckable),
            count(ClaimState::Supported),
            claims.iter().filter(|c| c.is_flagged()).count(),
            count(ClaimState::NotCheckable),
        ));
    }
    Ok(if is_clean { Done::Complete } else { Done::Problems })
}

/// Figures are one of the ways in which a claim is not supported.
fn state(claim: &Claim) -> ClaimState {
    match claim.state {
        ClaimState::NumberNotFound => ClaimState::Unsupported,
        other => other,
    }
}

/// The JSON of a claim, as documented in docs/json.md.
pub(super) fn shape(claim: &Claim, state: ClaimState) -> serde_json::Value {
    json!({
        "text": claim.text, "line": claim.line, "start": claim.start, "end": claim.end, "state": state, "kind": claim.kind,
        "reason": claim.reason, "evidence": claim.evidence,
    })
}
