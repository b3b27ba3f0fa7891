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
    /// File to write, instead of stdout
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
}

pub(super) async fn run(desk: &Desk, args: &ExportArgs) -> Result<Done, CliError> {
    let text = desk.export(args.id, args.format).await?;
    match &args.output {
        None => out::raw(&text)?,
        Some(path) => {
            write(path, text.as_bytes())?;
            out::note(format!("Wrote {}", path.display()));
        }
    }
    Ok(Done::Complete)
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
