//! `warroom logs`: log files without any backend.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::reading::{Progress, STOPPED, open, stoppable};
use super::{CliError, Done, out};
use crate::analysis::patterns::study::{LogAnalysis, LogReport, PatternReport, Side};
use crate::evidence::Redactor;
use crate::evidence::render::bars;
use crate::investigate::clock::now;
use crate::sources::lines::read_line;
use crate::telemetry::parse::Context;
use crate::telemetry::parse::layout::Layout;
use crate::telemetry::words::count;
use crate::telemetry::{Timestamp, clean};

/// Lines that are read, learned from and studied at a time.
const CHUNK: usize = 4000;
/// The longest line that is kept; the rest of it is dropped.
const MAX_LINE: usize = 1024 * 1024;
/// Patterns printed for people, and columns of their rates.
const SHOWN: usize = 60;
const RATE: usize = 20;

/// The subcommands of `warroom logs`.
#[derive(Subcommand)]
pub enum LogsCommand {
    /// What the lines say: patterns with their counts; with --baseline what is new, up, down and gone
    Patterns(PatternsArgs),
}

/// Arguments of `warroom logs patterns`.
#[derive(Args)]
pub struct PatternsArgs {
    /// Log files, also .gz and .zst; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What was normal: the patterns are compared with those of this file
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Each line is a message as it stands: no header is looked for
    #[arg(long)]
    content: bool,
    /// Write which line belongs to which pattern: a CSV of line_no,cluster_id; each line is then one, also of a stack trace
    #[arg(long, value_name = "FILE")]
    assignments: Option<PathBuf>,
}

pub(super) async fn run(command: LogsCommand, as_json: bool) -> Result<Done, CliError> {
    let LogsCommand::Patterns(args) = command;
    stoppable(move |stop| patterns(&args, stop, as_json)).await
}

fn patterns(args: &PatternsArgs, stop: &AtomicBool, as_json: bool) -> Result<Done, CliError> {
    let context = Context::utc(now());
    let mut reading = Reading {
        study: LogAnalysis::new(context, args.assignments.is_none()),
        context,
        content: args.content,
        numbers: None,
        progress: Progress::new(),
    };
    if let Some(path) = &args.baseline {
        reading.file(path, Side::Baseline, None, stop)?;
    }
    if args.assignments.is_some() {
        reading.numbers = Some(Vec::new());
    }
    // One of several that cannot be read, or one that is cut off, takes nothing from what was.
    let (mut partly, mut failed) = (false, None);
    for path in &args.files {
        let name = path.file_name().and_then(|n| n.to_str()).map(|n| n.split('.').next().unwrap_or(n));
        let before = reading.study.line_count();
        if let Err(error) = reading.file(path, Side::Incident, name.filter(|_| args.files.len() > 1), stop) {
            if reading.study.line_count() > before {
                out::note(format!(
                    "warroom: {error}; the {} before that are told",
                    count(reading.study.line_count() - before, "line")
                ));
                partly = true;
            } else if args.files.len() > 1 {
                out::note(format!("warroom: {error}; it is left out"));
                failed = Some(error);
            } else {
                return Err(error);
            }
        }
    }
    if let Some(error) = failed {
        if reading.study.line_count() == 0 {
            return Err(error);
        }
        partly = true;
    }
    reading.progress.end();
    let mut found = reading.study.finish(args.baseline.is_some());
    // What is shown of a log is likely to be passed on.
    let mut redactor = Redactor::new();
    for pattern in &mut found.patterns {
        for text in [&mut pattern.sample, &mut pattern.template] {
            *text = redactor.text(text).into_owned();
        }
        for facet in pattern.facets.values_mut() {
            let mut values = BTreeMap::new();
            for (value, n) in std::mem::take(&mut facet.values) {
                *values.entry(redactor.text(&value).into_owned()).or_default() += n;
            }
            facet.values = values;
        }
    }
    if let (Some(path), Some(numbers)) = (&args.assignments, &reading.numbers) {
        assign(path, numbers, &found).map_err(|e| CliError::file("write", path, &e))?;
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
    Ok(if partly { Done::Partial } else { Done::Complete })
}

/// What goes from files into a study.
struct Reading {
    study: LogAnalysis,
    context: Context,
    content: bool,
    /// The number of each line, where they are asked for.
    numbers: Option<Vec<u32>>,
    progress: Progress,
}

impl Reading {
    /// Reads one file to its end: one stream, with headers of its own.
    /// `service`: who wrote it, where several files tell that apart.
    fn file(&mut self, path: &Path, side: Side, service: Option<&str>, stop: &AtomicBool) -> Result<(), CliError> {
        let fail = |e: std::io::Error| {
            if e.kind() == ErrorKind::UnexpectedEof {
                return CliError::failed(format!("cannot read {}: the compressed data is truncated", path.display()));
            }
            CliError::file("read", path, &e)
        };
        let mut from = open(path).map_err(fail)?;
        // A time of day alone is of the day on which the file was last written, or of the one before.
        let written =
            path.metadata().ok().and_then(|m| m.modified().ok()).map(|t| Timestamp::from(time::OffsetDateTime::from(t)));
        let context = Context { now: written.map_or(self.context.now, |w| w.min(self.context.now)), ..self.context };
        self.study.start_stream(context);
        let mut layout = Layout::default();
        let mut text = Vec::new();
        let mut ends: Vec<usize> = Vec::with_capacity(CHUNK);
        while !stop.load(Ordering::Relaxed) {
            text.clear();
            ends.clear();
            let mut broken = None;
            while ends.len() < CHUNK {
                match read_line(from.as_mut(), &mut text, MAX_LINE) {
                    Ok(true) => ends.push(text.len()),
                    Ok(false) => break,
                    Err(e) => {
                        // Of the line that it broke in only a part is known.
                        text.truncate(ends.last().copied().unwrap_or(0));
                        broken = Some(e);
                        break;
                    }
                }
            }
            if !ends.is_empty() {
                self.chunk(&text, &ends, (&mut layout, context), side, service);
                self.progress.lines(ends.len());
            }
            match broken {
                Some(e) => return Err(fail(e)),
                None if ends.is_empty() => break,
                None => {}
            }
        }
        Ok(())
    }

    fn chunk(
        &mut self,
        text: &[u8],
        ends: &[usize],
        (layout, context): (&mut Layout, Context),
        side: Side,
        service: Option<&str>,
    ) {
        // Only what is no UTF-8 is copied; most is, and to find that out is fast.
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
        // Colours hide the header.
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
            let number = self.study.add_line(raw, (!self.content).then_some(&*layout), side);
            if let Some(service) = service.filter(|_| !raw.starts_with('{')) {
                self.study.set_service(number, service);
            }
            if let Some(numbers) = self.numbers.as_mut().filter(|_| side == Side::Incident) {
                numbers.push(number);
            }
        }
    }
}

fn assign(path: &Path, numbers: &[u32], found: &LogReport) -> std::io::Result<()> {
    let mut to = BufWriter::new(File::create(path)?);
    writeln!(to, "line_no,cluster_id")?;
    for (n, number) in numbers.iter().enumerate() {
        writeln!(to, "{},P{}", n + 1, found.pattern_of(*number) + 1)?;
    }
    to.flush()
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

/// `{"region":{"values":{"eu-1":200},"other":0}}`
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
    let rows: Vec<Vec<String>> = found.patterns.iter().take(SHOWN).map(|p| row(p, has_baseline)).collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    if found.patterns.len() > SHOWN {
        out::line(format!("and {} more; --json gives all", found.patterns.len() - SHOWN))?;
    }
    if found.overflow_lines > 0 {
        out::note(format!("warroom: {} of patterns beyond those kept apart", count(found.overflow_lines, "line")));
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
    cells.push(bars(&p.rate, 0, RATE));
    cells.push(p.level.map_or("", crate::telemetry::Level::word).to_owned());
    cells.push(p.services.join(","));
    // Where it comes from in the source, or what was answered: the words may be the same elsewhere.
    cells.push(p.location.as_ref().map_or_else(|| p.template.clone(), |place| format!("{place}: {}", p.template)));
    cells
}
