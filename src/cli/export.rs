//! `warroom export`: writes the post-mortem as Markdown, HTML or JSON.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, Done, id_arg, out};
use crate::incident::IncidentId;
use crate::investigate::Desk;
use crate::postmortem::Format;

/// Arguments of `warroom export`.
#[derive(Args)]
pub struct ExportArgs {
    /// Incident, such as INC-1
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    /// Format: md, html or json
    #[arg(long, default_value = "md")]
    format: Format,
    /// Export the version for customers: summary, what happened, what we are doing
    #[arg(long)]
    external: bool,
    /// Show the times of this time zone next to UTC: +01:00
    #[arg(long, value_name = "OFFSET", value_parser = offset_arg, allow_hyphen_values = true)]
    utc_offset: Option<time::UtcOffset>,
    /// File to write, instead of stdout
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
}

pub(super) async fn run(desk: &Desk, args: &ExportArgs) -> Result<Done, CliError> {
    let made = desk.export_verified(args.id, args.format, args.external, args.utc_offset).await?;
    match &args.output {
        None => out::raw(&made.text)?,
        Some(path) => {
            write(path, made.text.as_bytes())?;
            out::note(format!("Wrote {}", path.display()));
        }
    }
    if !made.missing.is_empty() {
        out::note(format!("warroom: {} missing; the document lists them at its top", count_things(made.missing.len())));
    }
    for (text, why) in &made.left_out {
        out::note(format!("warroom: left out \"{}\": {why}", crate::telemetry::clean::line(text)));
    }
    for what in &made.damage {
        out::note(format!("warroom: the records behind this document are damaged: {what}"));
    }
    Ok(if made.damage.is_empty() { Done::Complete } else { Done::Partial })
}

/// Parses `+01:00` or `-05:30`.
fn offset_arg(text: &str) -> Result<time::UtcOffset, String> {
    let format = time::macros::format_description!("[offset_hour sign:mandatory]:[offset_minute]");
    time::UtcOffset::parse(text.trim(), format).map_err(|_invalid| format!("'{text}' is not an offset; use +01:00"))
}

fn count_things(n: usize) -> String {
    if n == 1 { "1 thing is".to_owned() } else { format!("{n} things are") }
}

/// Writes to a temporary file in the same directory and renames it, so that a failure leaves no partial file behind.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let fail = |e: std::io::Error| CliError::file("write", path, &e);
    let mut name = path.file_name().map(std::ffi::OsStr::to_os_string).ok_or_else(|| {
        CliError::usage(format!("cannot write to {}: it is not a file name", path.display()), "Give the path of a file.")
    })?;
    name.push(format!(".part{}", std::process::id()));
    let part = path.with_file_name(name);
    std::fs::write(&part, bytes).map_err(fail)?;
    std::fs::rename(&part, path).map_err(|e| {
        let _ignored = std::fs::remove_file(&part);
        fail(e)
    })
}
