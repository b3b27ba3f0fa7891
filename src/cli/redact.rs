//! `warroom redact`: shows what is replaced in a text before it is stored or sent.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{CliError, Done, out};
use crate::evidence::Redactor;

/// Arguments of `warroom redact`.
#[derive(Args)]
pub struct RedactArgs {
    /// File to redact; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// List each kind that was replaced, with the rule behind it, on standard error
    #[arg(long)]
    explain: bool,
}

pub(super) fn run(args: &RedactArgs, as_json: bool) -> Result<Done, CliError> {
    let text = super::read_text(&args.file)?;
    let mut redactor = Redactor::new();
    let redacted = redactor.redact_text(&text).into_owned();
    if as_json {
        let counts: Vec<_> = redactor
            .counts()
            .into_iter()
            .map(|c| json!({"kind": c.kind, "count": c.count, "reason": crate::evidence::redact::reason(&c.kind)}))
            .collect();
        out::json(&json!({"text": redacted, "redactions": counts}))?;
        return Ok(Done::Complete);
    }
    out::raw(&redacted)?;
    if args.explain {
        for c in redactor.counts() {
            out::note(format!("{} × {}: {}", c.count, c.kind, crate::evidence::redact::reason(&c.kind)));
        }
    }
    Ok(Done::Complete)
}
