//! `warroom logs`: analyses log files without a log backend.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::reading::{Progress, STOPPED, open, run_interruptible};
use super::{CliError, Done, out};
use crate::analysis::patterns::log_analysis::{LogAnalysis, LogReport, PatternReport, Side};
use crate::evidence::Redactor;
use crate::evidence::render::bar_chart;
use crate::investigate::clock::now;
use crate::sources::lines::read_line;
use crate::telemetry::parse::Context;
use crate::telemetry::parse::assemble::{Assembler, unfold};
use crate::telemetry::parse::layout::Layout;
use crate::telemetry::words::count;
use crate::telemetry::{Timestamp, clean};

/// Number of lines that are read and analysed at a time.
const CHUNK_LINES: usize = 4000;
/// Longest line that is kept, in bytes. The rest of a longer line is dropped.
const MAX_LINE_BYTES: usize = 1024 * 1024;
/// Maximum number of patterns in the text output.
const MAX_PATTERNS: usize = 60;
/// Width of the rate bars in the text output, in columns.
const RATE_WIDTH: usize = 20;

/// The subcommands of `warroom logs`.
#[derive(Subcommand)]
pub enum LogsCommand {
    /// Group log lines into patterns and count them; with --baseline, show what is new, up, down or gone
    Patterns(PatternsArgs),
}

/// Arguments of `warroom logs patterns`.
#[derive(Args)]
pub struct PatternsArgs {
    /// Log files, plain or compressed (gzip, zstd, bzip2, xz); - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Log file from normal times to compare with
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Treat each line as a bare message, without looking for a time, level or service
    #[arg(long)]
    content: bool,
    /// CSV file to write with the pattern of each line (line_no,cluster_id); lines of a stack trace are then not joined
    #[arg(long, value_name = "FILE")]
    assignments: Option<PathBuf>,
}

pub(super) async fn run(command: LogsCommand, as_json: bool) -> Result<Done, CliError> {
    let LogsCommand::Patterns(args) = command;
    run_interruptible(move |stop| patterns(&args, stop, as_json)).await
}

fn patterns(args: &PatternsArgs, stop: &AtomicBool, as_json: bool) -> Result<Done, CliError> {
    let context = Context::utc(now());
    let mut reader = LogReader {
        analysis: LogAnalysis::new(context, args.assignments.is_none()),
        context,
        content: args.content,
        numbers: None,
        progress: Progress::new(),
    };
    if let Some(path) = &args.baseline {
        reader.file(path, Side::Baseline, None, stop)?;
    }
    if args.assignments.is_some() {
        reader.numbers = Some(Vec::new());
    }
    // If a file cannot be read, the others still count; if reading breaks off, the lines before that count.
    let (mut is_partial, mut failed) = (false, None);
    for path in &args.files {
        let name = path.file_name().and_then(|n| n.to_str()).map(|n| n.split('.').next().unwrap_or(n));
        let before = reader.analysis.line_count();
        if let Err(error) = reader.file(path, Side::Incident, name.filter(|_| args.files.len() > 1), stop) {
            if reader.analysis.line_count() > before {
                out::note(format!(
                    "warroom: {error}; the {} before that are included",
                    count(reader.analysis.line_count() - before, "line")
                ));
                is_partial = true;
            } else if args.files.len() > 1 {
                out::note(format!("warroom: {error}; the file is left out"));
                failed = Some(error);
            } else {
                return Err(error);
            }
        }
    }
    if let Some(error) = failed {
        if reader.analysis.line_count() == 0 {
            return Err(error);
        }
        is_partial = true;
    }
    reader.progress.clear();
    let mut found = reader.analysis.finish(args.baseline.is_some());
    // The output is likely to be shared, so it is redacted.
    let mut redactor = Redactor::new();
    for pattern in &mut found.patterns {
        for text in [&mut pattern.sample, &mut pattern.template] {
            *text = redactor.redact_text(text).into_owned();
        }
        for facet in pattern.facets.values_mut() {
            let mut values = BTreeMap::new();
            for (value, n) in std::mem::take(&mut facet.values) {
                *values.entry(redactor.redact_text(&value).into_owned()).or_default() += n;
            }
            facet.values = values;
        }
    }
    if let (Some(path), Some(numbers)) = (&args.assignments, &reader.numbers) {
        write_assignments(path, numbers, &found).map_err(|e| CliError::file("write", path, &e))?;
    }
    let has_baseline = args.baseline.is_some();
    if as_json {
        out::json(&shape(&found, has_baseline))?;
    } else {
        print(&found, has_baseline)?;
    }
    if stop.load(Ordering::Relaxed) {
        out::note(STOPPED);
        return Ok(Done::Partial);
    }
    Ok(if is_partial { Done::Partial } else { Done::Complete })
}

/// Reads log files into an analysis.
struct LogReader {
    analysis: LogAnalysis,
    context: Context,
    /// Whether each line is a bare message without a header.
    content: bool,
    /// The pattern id of each incident line in order, for `--assignments`; `None` if not needed.
    numbers: Option<Vec<u32>>,
    progress: Progress,
}

impl LogReader {
    /// Reads one file to its end, or until `stop` is set. Each file is a stream with its own header layout. `service` is the
    /// service of lines that do not name one.
    ///
    /// # Errors
    /// When the file cannot be opened, or reading fails; the complete lines before that are in the analysis.
    fn file(&mut self, path: &Path, side: Side, service: Option<&str>, stop: &AtomicBool) -> Result<(), CliError> {
        let fail = |e: std::io::Error| {
            if e.kind() == ErrorKind::UnexpectedEof {
                return CliError::failed(format!("cannot read {}: the compressed data is truncated", path.display()));
            }
            CliError::file("read", path, &e)
        };
        let mut input = open(path).map_err(fail)?;
        // A time without a date is resolved relative to when the file was last written.
        let modified =
            path.metadata().ok().and_then(|m| m.modified().ok()).map(|t| Timestamp::from(time::OffsetDateTime::from(t)));
        let context = Context { now: modified.map_or(self.context.now, |w| w.min(self.context.now)), ..self.context };
        self.analysis.start_stream(context);
        let mut layout = Layout::default();
        let mut assembler = Assembler::default();
        let mut text = Vec::new();
        let mut ends: Vec<usize> = Vec::with_capacity(CHUNK_LINES);
        while !stop.load(Ordering::Relaxed) {
            text.clear();
            ends.clear();
            let mut error = None;
            while ends.len() < CHUNK_LINES {
                match read_line(input.as_mut(), &mut text, MAX_LINE_BYTES) {
                    Ok(true) => ends.push(text.len()),
                    Ok(false) => break,
                    Err(e) => {
                        // Drop the incomplete line.
                        text.truncate(ends.last().copied().unwrap_or(0));
                        error = Some(e);
                        break;
                    }
                }
            }
            if !ends.is_empty() {
                self.chunk(&text, &ends, (&mut layout, &mut assembler, context), side, service);
                self.progress.add(ends.len());
            }
            match error {
                Some(e) => return Err(fail(e)),
                None if ends.is_empty() => break,
                None => {}
            }
        }
        if let Some((record, lines)) = assembler.finish() {
            self.record(&record, lines, &layout, side, service);
        }
        Ok(())
    }

    /// Adds lines to the analysis. `ends` are the positions in `text` where each line ends.
    fn chunk(
        &mut self,
        text: &[u8],
        ends: &[usize],
        (layout, assembler, context): (&mut Layout, &mut Assembler, Context),
        side: Side,
        service: Option<&str>,
    ) {
        // Text is only copied if it is not valid UTF-8, which is rare and fast to check.
        let whole = std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), std::borrow::Cow::Borrowed);
        let lossy: Vec<String>;
        let lines: Vec<&str> = if whole.len() == text.len() {
            let mut from = 0;
            ends.iter()
                .map(|end| {
                    let line = whole.get(from..*end).unwrap_or("");
                    from = *end;
                    line
                })
                .collect()
        } else {
            let mut from = 0;
            lossy = ends
                .iter()
                .map(|end| {
                    let line = String::from_utf8_lossy(text.get(from..*end).unwrap_or(&[])).into_owned();
                    from = *end;
                    line
                })
                .collect();
            lossy.iter().map(String::as_str).collect()
        };
        // Colour codes would hide the header.
        let plain: Vec<String>;
        let lines = if !self.content && memchr::memchr(0x1b, text).is_some() {
            plain = lines.iter().map(|l| clean::line(l)).collect();
            plain.iter().map(String::as_str).collect()
        } else {
            lines
        };
        if !self.content {
            layout.learn_more(lines.iter().copied(), context);
        }
        for raw in lines {
            if self.content {
                let number = self.analysis.add_line(raw, None, side);
                self.note(number, 1, raw, side, service);
                continue;
            }
            for (record, count) in assembler.push(raw, layout.columns()) {
                self.record(&record, count, layout, side, service);
            }
        }
    }

    /// Adds a record that was a number of lines.
    fn record(&mut self, record: &str, lines: usize, layout: &Layout, side: Side, service: Option<&str>) {
        let number = match unfold(record) {
            Some(inner) => {
                let numbers: Vec<u32> = inner.iter().map(|line| self.analysis.add_line(line, Some(layout), side)).collect();
                numbers.first().copied().unwrap_or_default()
            }
            None => self.analysis.add_line(record, Some(layout), side),
        };
        self.analysis.count_further_lines(lines.saturating_sub(1), side);
        self.note(number, lines, record, side, service);
    }

    /// Notes the service and the pattern id of a record.
    fn note(&mut self, number: u32, lines: usize, record: &str, side: Side, service: Option<&str>) {
        if let Some(service) = service.filter(|_| !record.starts_with('{')) {
            self.analysis.set_service(number, service);
        }
        if let Some(numbers) = self.numbers.as_mut().filter(|_| side == Side::Incident) {
            numbers.extend(std::iter::repeat_n(number, lines));
        }
    }
}

/// Writes the CSV file of `--assignments`.
fn write_assignments(path: &Path, numbers: &[u32], found: &LogReport) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "line_no,cluster_id")?;
    for (n, number) in numbers.iter().enumerate() {
        writeln!(file, "{},P{}", n + 1, found.pattern_of(*number) + 1)?;
    }
    file.flush()
}

fn shape(found: &LogReport, has_baseline: bool) -> Value {
    let patterns: Vec<Value> = found
        .patterns
        .iter()
        .map(|p| {
            let compared = |v: Value| if has_baseline { v } else { Value::Null };
            json!({"id": p.id, "template": p.template, "level": p.level, "count": p.count, "first_at": p.first_at, "last_at": p.last_at,
                   "sample": p.sample, "rate": p.rate, "place": p.location, "services": p.services, "facets": facets(p), "baseline_count": compared(json!(p.baseline_count)),
                   "change": compared(json!(p.change)), "score": compared(json!(p.score))})
        })
        .collect();
    json!({"lines": found.lines, "timed_lines": found.timed_lines, "levelled_lines": found.levelled_lines,
           "baseline_lines": if has_baseline { json!(found.baseline_lines) } else { Value::Null },
           "first_at": found.first_at, "last_at": found.last_at, "rate_start": found.rate_start,
           "rate_step_secs": found.rate_step.as_secs(), "beyond": found.overflow_lines, "patterns": patterns})
}

/// The facets of a pattern as JSON: `{"region":{"values":{"eu-1":200},"other":0}}`.
fn facets(p: &PatternReport) -> Value {
    p.facets
        .iter()
        .map(|(field, f)| (field.clone(), json!({"values": f.values, "other": f.other})))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn print(found: &LogReport, has_baseline: bool) -> Result<(), CliError> {
    let span = match (found.first_at, found.last_at) {
        (Some(a), Some(b)) => format!(", {} to {} UTC", a.date_clock(), b.date_clock()),
        _ => String::new(),
    };
    out::line(format!(
        "{} in {}{span}; {} with a time, {} with a level",
        count(found.lines, "line"),
        count(found.patterns.len(), "pattern"),
        found.timed_lines,
        found.levelled_lines
    ))?;
    let rows: Vec<Vec<String>> = found.patterns.iter().take(MAX_PATTERNS).map(|p| row(p, has_baseline)).collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    if found.patterns.len() > MAX_PATTERNS {
        out::line(format!("and {} more. Use --json to list all.", found.patterns.len() - MAX_PATTERNS))?;
    }
    if found.overflow_lines > 0 {
        out::note(format!(
            "warroom: pattern limit reached: {} grouped into one common pattern",
            count(found.overflow_lines, "line")
        ));
    }
    Ok(())
}

fn row(p: &PatternReport, has_baseline: bool) -> Vec<String> {
    let mut cells = vec![p.id.clone()];
    if has_baseline {
        cells.push(p.change.word().to_owned());
        cells.push(p.baseline_count.to_string());
    }
    cells.push(p.count.to_string());
    cells.push(bar_chart(&p.rate, 0, RATE_WIDTH));
    cells.push(p.level.map_or("", crate::telemetry::Level::word).to_owned());
    cells.push(p.services.join(","));
    // The same template may occur at several source locations.
    cells.push(p.location.as_ref().map_or_else(|| p.template.clone(), |place| format!("{place}: {}", p.template)));
    cells
}
