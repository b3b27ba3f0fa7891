//! `warroom logs patterns`: groups log lines into patterns and counts them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::follow::Tail;
use super::selection::Selection;
use super::stream::{Spare, Stream};
use crate::analysis::patterns::Change;
use crate::analysis::patterns::batch::{Batch, Prepare, PreparedBatch};
use crate::analysis::patterns::log_analysis::{LogAnalysis, LogReport, PatternReport, Side};
use crate::analysis::patterns::tally::Facet;
use crate::cli::parallel::{in_order, processors};
use crate::cli::reading::{Progress, STOPPED};
use crate::cli::{CliError, Done, out};
use crate::evidence::Redactor;
use crate::evidence::render::bar_chart;
use crate::investigate::clock::now;
use crate::telemetry::Timestamp;
use crate::telemetry::log::Level;
use crate::telemetry::parse::{Context, Formats};
use crate::telemetry::words::count;

/// Maximum number of patterns in the text output, unless `--top` says another.
const MAX_PATTERNS: usize = 60;
/// Width of the rate bars in the text output, in columns.
const RATE_WIDTH: usize = 20;
/// Maximum number of values of `--by` in the text output of a pattern.
const MAX_SHOWN_VALUES: usize = 12;

/// The order of patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Most lines first
    Count,
    /// Most severe level first
    Level,
    /// First line first
    First,
    /// Latest last line first
    Last,
    /// The one whose share of the lines changed most certainly first; needs a baseline
    Change,
}

/// Arguments of `warroom logs patterns`.
#[derive(Args)]
#[command(
    after_help = "Exit status: 0; 1 if lines are selected and there are none, or for a failure; 2 for wrong arguments; 3 if a file was left out or not read to its end."
)]
pub struct PatternsArgs {
    /// Log files, plain or compressed (gzip, zstd, bzip2, xz); - for standard input
    #[arg(required_unless_present = "diff", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Log file from normal times to compare with
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Show only what differs between two log files: new, up, down and gone in B
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["files", "baseline", "follow"])]
    diff: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// Show at most N patterns
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Order of the patterns; if not given, new ones first with a baseline, else most lines first
    #[arg(long, value_enum, value_name = "ORDER")]
    sort: Option<Order>,
    /// Count the values of a field for each pattern, such as region; also level and service
    #[arg(long, value_name = "FIELD")]
    by: Option<String>,
    /// Show the first N lines of each pattern
    #[arg(long, value_name = "N", default_value_t = 0)]
    examples: usize,
    /// Go on when the files end, and show what is added: a live table on a terminal, else each new pattern once
    #[arg(long, conflicts_with_all = ["baseline", "assignments"])]
    follow: bool,
    /// Treat each line as a bare message, without looking for a time, level or service
    #[arg(long)]
    content: bool,
    /// CSV file to write with the pattern of each line (line_no,cluster_id); lines of a stack trace are then not joined
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "until", "level", "service", "grep"])]
    assignments: Option<PathBuf>,
    /// Number of threads; all processors if not given. The result is the same for any number
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZeroU8>,
}

impl PatternsArgs {
    /// The file to compare with.
    fn normal(&self) -> Option<&Path> {
        self.baseline.as_deref().or_else(|| self.diff.first().map(PathBuf::as_path))
    }

    /// The files to analyse.
    fn files(&self) -> &[PathBuf] {
        if self.diff.is_empty() { &self.files } else { self.diff.get(1..).unwrap_or_default() }
    }
}

pub(super) fn patterns(args: &PatternsArgs, formats: Formats, stop: &AtomicBool, as_json: bool) -> Result<Done, CliError> {
    let mut reader = LogReader::new(args, formats);
    if args.follow {
        return reader.follow(args, stop, as_json);
    }
    if let Some(path) = args.normal() {
        reader.file(path, Side::Baseline, None, stop)?;
    }
    if args.assignments.is_some() {
        reader.numbers = Some(Vec::new());
    }
    // If a file cannot be read, the others still count; if reading breaks off, the lines before that count.
    let (mut is_partial, mut failed) = (false, None);
    for path in args.files() {
        let before = reader.analysis.line_count();
        if let Err(error) = reader.file(path, Side::Incident, service_of(path).filter(|_| args.files().len() > 1), stop) {
            if reader.analysis.line_count() > before {
                out::note(format!(
                    "warroom: {error}; the {} before that are included",
                    count(reader.analysis.line_count() - before, "line")
                ));
                is_partial = true;
            } else if args.files().len() > 1 {
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
    let has_baseline = args.normal().is_some();
    let mut found = reader.analysis.finish(has_baseline);
    redact(&mut found);
    if let (Some(path), Some(numbers)) = (&args.assignments, &reader.numbers) {
        write_assignments(path, numbers, &found).map_err(|e| CliError::file("write", path, &e))?;
    }
    arrange(&mut found, args);
    if as_json {
        out::json(&shape(&found, has_baseline, args))?;
    } else if found.lines == 0 && !args.selection.is_empty() {
        out::note(format!("warroom: none of the {} that were read is selected", count(reader.progress.lines(), "line")));
    } else {
        print(&found, has_baseline, args)?;
    }
    if stop.load(Ordering::Relaxed) {
        out::note(STOPPED);
        return Ok(Done::Partial);
    }
    Ok(match is_partial {
        true => Done::Partial,
        // As grep: nothing was found.
        false if found.lines == 0 && !args.selection.is_empty() => Done::Problems,
        false => Done::Complete,
    })
}

/// The service that a file is named after.
pub(super) fn service_of(path: &Path) -> Option<&str> {
    path.file_name().and_then(|n| n.to_str()).map(|n| n.split('.').next().unwrap_or(n))
}

/// Redacts the texts of a report, because the output is likely to be shared.
fn redact(found: &mut LogReport) {
    let mut redactor = Redactor::new();
    for pattern in &mut found.patterns {
        for text in [&mut pattern.sample, &mut pattern.template].into_iter().chain(&mut pattern.examples) {
            *text = redactor.redact_text(text).into_owned();
        }
        for facet in pattern.facets.values_mut().chain([&mut pattern.by]) {
            let mut values = BTreeMap::new();
            for (value, n) in std::mem::take(&mut facet.values) {
                *values.entry(redactor.redact_text(&value).into_owned()).or_default() += n;
            }
            facet.values = values;
        }
    }
}

/// Puts the patterns into the order that was asked for, and leaves out what was not.
fn arrange(found: &mut LogReport, args: &PatternsArgs) {
    if !args.diff.is_empty() {
        found.patterns.retain(|p| p.change != Change::Same);
    }
    match args.sort {
        None => {}
        Some(Order::Count) => found.patterns.sort_by_key(|p| std::cmp::Reverse(p.count)),
        Some(Order::Level) => found.patterns.sort_by_key(|p| std::cmp::Reverse((p.level, p.count))),
        Some(Order::First) => found.patterns.sort_by_key(|p| (p.first_at.is_none(), p.first_at)),
        Some(Order::Last) => found.patterns.sort_by_key(|p| std::cmp::Reverse(p.last_at)),
        Some(Order::Change) => found.patterns.sort_by(|a, b| b.score.total_cmp(&a.score)),
    }
}

/// Reads log files into an analysis.
struct LogReader {
    analysis: LogAnalysis,
    context: Context,
    formats: Formats,
    selection: Selection,
    /// Whether each line is a bare message without a header.
    content: bool,
    threads: usize,
    prepare: Prepare,
    /// The pattern id of each incident line in order, for `--assignments`; `None` if not needed.
    numbers: Option<Vec<u32>>,
    progress: Progress,
}

impl LogReader {
    fn new(args: &PatternsArgs, formats: Formats) -> Self {
        let context = Context::utc(now());
        let threads = args.threads.map_or_else(processors, |n| usize::from(n.get()));
        let mut analysis = LogAnalysis::new(context, args.assignments.is_none());
        analysis.keep_examples(args.examples);
        if let Some(field) = &args.by {
            analysis.count_by(field);
        }
        // On one thread it takes longer to keep the shapes than to make them when they are needed.
        let prepare = Prepare { shapes: threads > 1, details: args.by.is_some() || args.selection.asks_for_services() };
        let selection = args.selection.clone();
        Self {
            analysis,
            context,
            formats,
            selection,
            content: args.content,
            threads,
            prepare,
            numbers: None,
            progress: Progress::new(),
        }
    }

    /// Reads one file to its end, or until `stop` is set. Each file is a stream with its own header layout. `service` is the
    /// service of lines that do not name one.
    ///
    /// # Errors
    /// When the file cannot be opened, or reading fails; the complete lines before that are in the analysis.
    fn file(&mut self, path: &Path, side: Side, service: Option<&str>, stop: &AtomicBool) -> Result<(), CliError> {
        let spare = Spare::default();
        let mut stream = Stream::open(path, self.context, self.formats.clone(), self.content, spare.clone())?;
        let filter = self.selection.filter(stream.context());
        // What is normal is so at any time.
        let filter = if side == Side::Baseline { filter.at_any_time() } else { filter };
        self.analysis.start_stream(stream.context(), filter);
        let next = || if stop.load(Ordering::Relaxed) { None } else { stream.next() };
        let mut numbers = self.numbers.as_mut().filter(|_| side == Side::Incident);
        let prepare = self.prepare;
        let add = |mut batch: PreparedBatch| {
            let mut read = 0;
            self.analysis.add_batch(&mut batch, side, service, |id, lines| {
                read += lines;
                if let Some(numbers) = numbers.as_mut() {
                    numbers.extend(std::iter::repeat_n(id, lines));
                }
            });
            self.progress.add(read);
            spare.give_back(batch.into_memory());
        };
        in_order(self.threads, next, |batch: Batch| batch.prepare(prepare), add);
        self.analysis.end_stream();
        stream.ended()
    }

    /// Reads files, and goes on with what is added to them until `stop` is set or a pipe ends.
    fn follow(&mut self, args: &PatternsArgs, stop: &AtomicBool, as_json: bool) -> Result<Done, CliError> {
        let is_live = std::io::stdout().is_terminal() && !as_json;
        let mut tails = args
            .files()
            .iter()
            .map(|path| Tail::open(path, self.context, self.formats.clone(), self.content))
            .collect::<Result<Vec<_>, _>>()?;
        // Files take turns, each with what its own lines said so far.
        let (mut shown_ids, mut current, mut idle_rounds) = (0, None, 0);
        loop {
            let mut has_more = false;
            for (n, tail) in tails.iter_mut().enumerate() {
                let Some(batch) = tail.next()? else { continue };
                has_more = true;
                if current.replace(n) != Some(n) {
                    let filter = self.selection.filter(batch.context);
                    self.analysis.resume_stream(batch.context, filter, tail.take_sequence());
                }
                let service = service_of(tail.path()).filter(|_| args.files().len() > 1);
                self.analysis.add_batch(&mut batch.prepare(self.prepare), Side::Incident, service, |_, _| {});
                tail.keep_sequence(self.analysis.sequence());
            }
            let is_over = stop.load(Ordering::Relaxed) || tails.iter().all(Tail::has_ended);
            if has_more && !is_over {
                idle_rounds = 0;
                continue;
            }
            // An event is whole when nothing was added for a while.
            idle_rounds += 1;
            if idle_rounds == 2 {
                self.analysis.end_stream();
            }
            if is_live || is_over || self.analysis.id_count() > shown_ids {
                let mut found = self.analysis.clone().finish(false);
                redact(&mut found);
                let ids = std::mem::replace(&mut shown_ids, self.analysis.id_count());
                if is_live {
                    show_live(&mut found, args)?;
                } else if !as_json {
                    print_new(&found, ids)?;
                }
                if is_over {
                    arrange(&mut found, args);
                    if as_json {
                        out::json(&shape(&found, false, args))?;
                    }
                    return Ok(if found.lines == 0 && !self.selection.is_empty() { Done::Problems } else { Done::Complete });
                }
            }
            Tail::wait(stop);
        }
    }
}

/// Draws the most frequent patterns over the whole terminal.
fn show_live(found: &mut LogReport, args: &PatternsArgs) -> Result<(), CliError> {
    let (_, height) = crossterm::terminal::size().unwrap_or((80, 24));
    arrange(found, args);
    let most = usize::from(height).saturating_sub(3).max(1);
    let mut text = format!("\x1b[H\x1b[2J{}\n", summary(found));
    for line in table(found, false, args, args.top.unwrap_or(most).min(most)) {
        text.push_str(&line);
        text.push('\n');
    }
    out::raw(&text)
}

/// Prints the patterns that are new since there were `ids` ids.
fn print_new(found: &LogReport, ids: usize) -> Result<(), CliError> {
    let mut new = found.new_since(ids);
    new.sort_by_key(|p| p.first_at);
    for p in new {
        let at = p.first_at.map_or_else(|| "-".to_owned(), Timestamp::rfc3339);
        out::line(format!("{at} {:5} {} {}", p.level.map_or("-", Level::word), p.id, named(p)))?;
    }
    Ok(())
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

fn shape(found: &LogReport, has_baseline: bool, args: &PatternsArgs) -> Value {
    let patterns: Vec<Value> = found
        .patterns
        .iter()
        .take(args.top.unwrap_or(usize::MAX))
        .map(|p| {
            let compared = |v: Value| if has_baseline { v } else { Value::Null };
            let levels: Map<String, Value> = p.levels.iter().map(|(level, n)| (level.word().to_owned(), json!(n))).collect();
            let by = if args.by.is_some() { values(&p.by) } else { Value::Null };
            json!({"id": p.id, "template": p.template, "level": p.level, "levels": levels, "count": p.count, "first_at": p.first_at,
                   "last_at": p.last_at, "sample": p.sample, "examples": p.examples, "rate": p.rate, "place": p.location,
                   "services": p.services, "facets": facets(p), "by": by, "baseline_count": compared(json!(p.baseline_count)),
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
    p.facets.iter().map(|(field, facet)| (field.clone(), values(facet))).collect::<Map<_, _>>().into()
}

fn values(facet: &Facet) -> Value {
    json!({"values": facet.values, "other": facet.other})
}

/// `1,204 lines in 12 patterns, 09:31:07 to 09:35:12 UTC; 1,200 with a time, 1,100 with a level`.
fn summary(found: &LogReport) -> String {
    let span = match (found.first_at, found.last_at) {
        (Some(a), Some(b)) => format!(", {} to {} UTC", a.date_clock(), b.date_clock()),
        _ => String::new(),
    };
    format!(
        "{} in {}{span}; {} with a time, {} with a level",
        count(found.lines, "line"),
        count(found.patterns.len(), "pattern"),
        found.timed_lines,
        found.levelled_lines
    )
}

fn print(found: &LogReport, has_baseline: bool, args: &PatternsArgs) -> Result<(), CliError> {
    out::line(summary(found))?;
    let most = args.top.unwrap_or(MAX_PATTERNS);
    for line in table(found, has_baseline, args, most) {
        out::line(line)?;
    }
    if found.patterns.len() > most {
        let remedy = if args.top.is_some() { "" } else { " Use --top N or --json to list more." };
        out::line(format!("and {} more.{remedy}", found.patterns.len() - most))?;
    }
    if found.overflow_lines > 0 {
        out::note(format!(
            "warroom: pattern limit reached: {} grouped into one common pattern",
            count(found.overflow_lines, "line")
        ));
    }
    Ok(())
}

/// The first patterns as lines, each followed by its values and examples.
fn table(found: &LogReport, has_baseline: bool, args: &PatternsArgs, most: usize) -> Vec<String> {
    let shown: Vec<&PatternReport> = found.patterns.iter().take(most).collect();
    let rows: Vec<Vec<String>> = shown.iter().map(|p| row(p, has_baseline)).collect();
    let mut lines = Vec::new();
    for (line, p) in out::table(&rows).into_iter().zip(shown) {
        lines.push(out::coloured(&line, p.level));
        if let Some(field) = args.by.as_ref().filter(|_| !p.by.values.is_empty()) {
            lines.push(format!("    {field}: {}", described(&p.by)));
        }
        lines.extend(p.examples.iter().map(|line| format!("    {line}")));
    }
    lines
}

/// The most frequent values of a field: `eu-1 200, eu-2 31, 3 others 12`.
fn described(facet: &Facet) -> String {
    let mut values: Vec<(&String, u64)> = facet.values.iter().map(|(value, n)| (value, *n)).collect();
    values.sort_by_key(|(value, n)| (std::cmp::Reverse(*n), *value));
    let rest: u64 = facet.other + values.iter().skip(MAX_SHOWN_VALUES).map(|(_, n)| n).sum::<u64>();
    let mut parts: Vec<String> = values.iter().take(MAX_SHOWN_VALUES).map(|(value, n)| format!("{value} {n}")).collect();
    if rest > 0 {
        parts.push(format!("others {rest}"));
    }
    parts.join(", ")
}

fn row(p: &PatternReport, has_baseline: bool) -> Vec<String> {
    let mut cells = vec![p.id.clone()];
    if has_baseline {
        cells.push(p.change.word().to_owned());
        cells.push(p.baseline_count.to_string());
    }
    cells.push(p.count.to_string());
    cells.push(bar_chart(&p.rate, 0, RATE_WIDTH));
    cells.push(match p.levels.as_slice() {
        [] => String::new(),
        [(level, _)] => level.word().to_owned(),
        several => several.iter().map(|(level, n)| format!("{} {n}", level.word())).collect::<Vec<_>>().join(" "),
    });
    cells.push(p.services.join(","));
    cells.push(named(p));
    cells
}

/// The template with its source location: the same template may occur at several.
fn named(p: &PatternReport) -> String {
    p.location.as_ref().map_or_else(|| p.template.clone(), |place| format!("{place}: {}", p.template))
}
