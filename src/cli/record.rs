//! `warroom record`: records the data of all sources in one file that can be replayed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{CliError, Done, duration_arg, out};
use crate::investigate::Desk;
use crate::investigate::clock::now;
use crate::investigate::record::record;
use crate::telemetry::Window;

/// Arguments of `warroom record`.
#[derive(Args)]
pub struct RecordArgs {
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Time span to record, up to now
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration_arg)]
    window: Duration,
    /// Further PromQL query to record, such as that of a mitigation or of the exit criteria; may be repeated
    #[arg(long = "query", value_name = "EXPR")]
    queries: Vec<String>,
    /// Title of the recording
    #[arg(long, default_value = "a recording")]
    title: String,
}

pub(super) async fn run(desk: &Desk, args: &RecordArgs, as_json: bool) -> Result<Done, CliError> {
    if desk.sources.sources.is_empty() {
        return Err(CliError::usage(
            "no sources are configured, so there is nothing to record",
            "Add [[sources]] to the configuration.",
        ));
    }
    let span = Window::before(now(), args.window);
    let progress = super::investigate::progress(as_json);
    let recording = record(&desk.sources, span, &args.title, &args.queries, &desk.playbooks, &progress).await?;
    let bytes = recording.encode()?;
    super::export::write(&args.output, &bytes)?;
    let answers: usize = recording.sources.iter().map(|s| s.ranges.len() + s.lines.len() + usize::from(s.alerts.is_some())).sum();
    if as_json {
        out::json(
            &json!({"path": args.output, "bytes": bytes.len(), "span": span, "sources": recording.sources.len(), "answers": answers}),
        )?;
    } else {
        out::line(format!(
            "Wrote {}: {} bytes, {}, {}",
            args.output.display(),
            bytes.len(),
            crate::telemetry::words::count(recording.sources.len(), "source"),
            crate::telemetry::words::count(answers, "answer")
        ))?;
    }
    Ok(Done::Complete)
}
