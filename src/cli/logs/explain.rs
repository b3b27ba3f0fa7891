//! `warroom logs explain`: what was found out about the format of a log file.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::stream::{Spare, Stream};
use crate::cli::{CliError, Done, out};
use crate::evidence::Redactor;
use crate::investigate::clock::now;
use crate::telemetry::log::Level;
use crate::telemetry::parse::layout::{Layout, Part};
use crate::telemetry::parse::{Context, Formats, Place, Record, Sequence};
use crate::telemetry::words::count;
use crate::telemetry::{Timestamp, clean};

/// Width of a line in the text output, in columns.
const WIDTH: usize = 120;

/// Arguments of `warroom logs explain`.
#[derive(Args)]
pub struct ExplainArgs {
    /// Log file, plain or compressed (gzip, zstd, bzip2, xz); - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take the first N lines apart
    #[arg(long, value_name = "N", default_value_t = 10)]
    lines: usize,
}

/// A line, taken apart.
struct Explained {
    raw: String,
    /// Whether it belongs to the event before.
    is_further: bool,
    record: Record,
    parts: Vec<Part>,
    /// The name of the user's format that it has.
    format: Option<String>,
}

pub(super) fn explain(args: &ExplainArgs, formats: Formats, as_json: bool) -> Result<Done, CliError> {
    let mut stream = Stream::open(&args.file, Context::utc(now()), formats, false, Spare::default())?;
    let context = stream.context();
    let Some(batch) = stream.next() else {
        if as_json {
            out::json(&json!({"lines": 0, "timed": 0, "levelled": 0, "further": 0, "forms": [], "columns": null, "first": []}))?;
        } else {
            out::line("The file is empty.")?;
        }
        return Ok(Done::Complete);
    };
    let layout = batch.layout.clone().unwrap_or_default();
    let (mut sequence, mut first) = (Sequence::default(), Vec::new());
    let (mut timed, mut levelled, mut further) = (0_u64, 0_u64, 0_u64);
    for piece in &batch.pieces {
        let raw = batch.text.get(piece.range.clone()).unwrap_or("");
        let mut record = Record::read(raw, &layout, context);
        let is_further = sequence.place(raw, &mut record, &layout) != Place::Event;
        timed += u64::from(record.at.is_some());
        levelled += u64::from(record.level.is_some());
        further += u64::from(is_further);
        if first.len() < args.lines {
            if !is_further {
                record.add_details(raw, &layout, context);
            }
            let format = layout.formats().read(raw, context).map(|(_, name)| name.to_owned());
            let parts = if record.line.is_none() && !is_further { layout.parts(raw, context) } else { Vec::new() };
            first.push(Explained { raw: raw.to_owned(), is_further, record, parts, format });
        }
    }
    let lines: u64 = batch.pieces.len().try_into().unwrap_or(u64::MAX);
    let mut redactor = Redactor::new();
    if as_json {
        let first: Vec<Value> = first.iter().map(|line| shape(line, &mut redactor)).collect();
        let forms: Vec<Value> = layout.forms().map(|form| json!({"lines": form.lines, "header": form.fields})).collect();
        return out::json(&json!({"lines": lines, "timed": timed, "levelled": levelled, "further": further, "forms": forms,
            "columns": layout.columns().map(|columns| columns.names().to_vec()), "first": first}))
        .map(|()| Done::Complete);
    }
    out::line(format!(
        "The first {}: {timed} with a time, {levelled} with a level, {further} that belong to the event before",
        count(lines, "line")
    ))?;
    print_forms(&layout)?;
    for line in &first {
        print_line(line, &mut redactor)?;
    }
    Ok(Done::Complete)
}

fn print_forms(layout: &Layout) -> Result<(), CliError> {
    if let Some(columns) = layout.columns() {
        out::line(format!("Columns: {}", columns.names().join(", ")))?;
    }
    let forms: Vec<_> = layout.forms().collect();
    for (n, form) in forms.iter().enumerate() {
        let name = if forms.len() > 1 { format!("Header {}", n + 1) } else { "Header".to_owned() };
        out::line(format!("{name} (learned from {}): {}", count(form.lines as u64, "line"), form.fields.join(" · ")))?;
    }
    if forms.is_empty() && layout.columns().is_none() {
        out::line("No header was found: each line is a message, or a record that names its fields.")?;
    }
    Ok(())
}

/// Prints a line with its parts marked below, and what they mean.
fn print_line(line: &Explained, redactor: &mut Redactor) -> Result<(), CliError> {
    let text = clean::truncate(&redactor.redact_text(&clean::line(&line.raw)), WIDTH);
    out::line("")?;
    out::line(&text)?;
    if line.is_further {
        return out::line("  belongs to the event before");
    }
    // The marks fit the text only if nothing before them was changed.
    let is_plain =
        line.raw.is_ascii() && line.raw.get(..text.len().saturating_sub(3)) == text.get(..text.len().saturating_sub(3));
    if is_plain && !line.parts.is_empty() {
        out::line(marks(&line.parts, text.len()))?;
    }
    if let Some(format) = &line.format {
        out::line(format!("  in your format '{format}'"))?;
    }
    let record = &line.record;
    let details = record.line.as_ref().or(record.details.as_ref());
    let mut rows = vec![
        vec!["  time".to_owned(), record.at.map_or_else(|| "none".to_owned(), Timestamp::rfc3339)],
        vec!["  level".to_owned(), record.level.map_or("none", Level::word).to_owned()],
    ];
    if let Some(service) = record.service() {
        rows.push(vec!["  service".to_owned(), service.to_owned()]);
    }
    rows.push(vec!["  message".to_owned(), redactor.redact_text(&clean::line(record.message(&line.raw))).into_owned()]);
    for (key, value) in details.into_iter().flat_map(|d| &d.fields) {
        rows.push(vec![format!("  {key}"), redactor.redact_text(value).into_owned()]);
    }
    for row in out::table(&rows) {
        out::line(clean::truncate(&row, WIDTH))?;
    }
    Ok(())
}

/// `└time──────────────────┘ └level┘ └[…]───┘` below the parts of a line.
fn marks(parts: &[Part], width: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for part in parts.iter().filter(|part| part.range.start < width) {
        let room = part.range.end.min(width).saturating_sub(part.range.start);
        text.push_str(&" ".repeat(part.range.start.saturating_sub(column)));
        let name: String = part.name.chars().take(room.saturating_sub(2)).collect();
        let line = "─".repeat(room.saturating_sub(2).saturating_sub(name.chars().count()));
        text.push_str(&match room {
            0 => String::new(),
            1 => "╵".to_owned(),
            _ => format!("└{name}{line}┘"),
        });
        column = part.range.start + room;
    }
    text
}

fn shape(line: &Explained, redactor: &mut Redactor) -> Value {
    let mut redacted = |text: &str| redactor.redact_text(&clean::line(text)).into_owned();
    let record = &line.record;
    let fields: serde_json::Map<String, Value> = record
        .line
        .as_ref()
        .or(record.details.as_ref())
        .into_iter()
        .flat_map(|d| &d.fields)
        .map(|(key, value)| (key.clone(), redacted(value).into()))
        .collect();
    let parts: Vec<Value> = line
        .parts
        .iter()
        .map(|part| json!({"name": part.name, "text": redacted(line.raw.get(part.range.clone()).unwrap_or(""))}))
        .collect();
    json!({"raw": redacted(&line.raw), "further": line.is_further, "at": record.at, "level": record.level, "service": record.service(),
           "message": redacted(record.message(&line.raw)), "fields": fields, "parts": parts, "format": line.format})
}
