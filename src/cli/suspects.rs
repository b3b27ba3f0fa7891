//! `warroom suspects`: ranks the services and series where an incident probably began, from CSV files.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::reading::{Progress, STOPPED, open, run_interruptible};
use super::{CliError, Done, out};
use crate::analysis::call_graph::CallGraph;
use crate::analysis::departure::{MAX_NOTICE_DELAY, MeasuredSeries, Point, SeriesId};
use crate::analysis::log_shift::{LogComparison, LogShift, LogShifts};
use crate::analysis::parts::{LeftOut, Part};
use crate::analysis::patterns::classify_change;
use crate::analysis::patterns::log_analysis::Side;
use crate::analysis::requests::RequestIds;
use crate::analysis::suspects::{Suspect, SuspectContext, suspects};
use crate::telemetry::words::count;
use crate::telemetry::{Failure, Moment, Timestamp, clean};

/// Maximum number of services in the text output.
const MAX_SERVICES: usize = 10;
/// Maximum number of series per service in the text output.
const MAX_SERIES: usize = 3;
/// Maximum number of log patterns in the text output.
const MAX_PATTERNS: usize = 8;

/// Minimum number of samples in normal times, and of rows in the incident, for the end of a series to be reported.
const MIN_SAMPLES: usize = 3;
/// Number of steps without a sample after which a series has ended.
const ENDED_STEPS: u32 = 3;

/// Arguments of `warroom suspects`.
#[derive(Args)]
pub struct SuspectsArgs {
    /// CSV file of series: a column `time`, and a column for each series, named `service|metric`
    incident: PathBuf,
    /// Time when the incident was noticed, such as 17:00 (UTC), 10m ago or 2026-11-28 18:00; may be a few minutes late
    #[arg(long)]
    at: Moment,
    /// CSV file of series from normal times, instead of the rows before --at
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Series that shows the symptom, such as `shop|latency`
    #[arg(long)]
    symptom: Option<String>,
    /// CSV file of the call graph: the caller in the first column, then a column per callee. A cell is a
    /// call unless it is empty or 0
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
    /// CSV file of log lines from the incident, with columns time, service and message
    #[arg(long, value_name = "FILE", requires = "logs_baseline")]
    logs: Option<PathBuf>,
    /// CSV file of log lines from normal times
    #[arg(long, value_name = "FILE", requires = "logs")]
    logs_baseline: Option<PathBuf>,
    /// Part of the ranking to leave out; for scripts/analysis-table
    #[arg(long, value_name = "PART", hide = true, value_parser = Part::from_word)]
    without: Vec<Part>,
}

/// A CSV file of series: the times of the rows in ascending order, and the values of each column by name. A gap is NaN.
struct Table {
    times: Vec<Timestamp>,
    columns: BTreeMap<String, Vec<f64>>,
}

impl Table {
    /// The time range for messages, such as `2026-11-21 09:00:00 to 2026-11-21 10:00:00 UTC`.
    fn span(&self) -> String {
        let clock = |at: Option<&Timestamp>| at.map_or_else(String::new, |at| at.date_clock());
        format!("{} to {} UTC", clock(self.times.first()), clock(self.times.last()))
    }
}

pub(super) async fn run(args: SuspectsArgs, as_json: bool) -> Result<Done, CliError> {
    run_interruptible(move |stop| rank(&args, stop, as_json)).await
}

/// The state of reading: progress, and whether to stop.
struct Input<'a> {
    stop: &'a AtomicBool,
    progress: Progress,
}

impl Input<'_> {
    /// Counts row `n`. Returns `false` after a Ctrl-C.
    fn count_row(&mut self, n: usize) -> bool {
        if n.is_multiple_of(1024) {
            self.progress.add(1024);
        }
        !self.stop.load(Ordering::Relaxed)
    }
}

fn rank(args: &SuspectsArgs, stop: &AtomicBool, as_json: bool) -> Result<Done, CliError> {
    let at = super::resolve(&args.at)?;
    let mut input = Input { stop, progress: Progress::new() };
    let incident = table(&args.incident, &mut input)?;
    let baseline = args.baseline.as_deref().map(|path| table(path, &mut input)).transpose()?;
    // After a Ctrl-C, the tables may be incomplete.
    if !stop.load(Ordering::Relaxed) {
        check_comparable(args, at, &incident, baseline.as_ref())?;
    }
    if let Some(symptom) = args.symptom.as_ref().filter(|s| !incident.columns.contains_key(*s)) {
        let nearest = crate::telemetry::words::nearest(symptom, incident.columns.keys().map(String::as_str));
        let remedy = nearest.map_or_else(
            || "Use the name of one of its columns; they are listed in the first line of the file.".to_owned(),
            |name| format!("Did you mean '{name}'?"),
        );
        return Err(CliError::usage(format!("{} has no series '{symptom}'", args.incident.display()), remedy));
    }
    let left_out = args.without.iter().fold(LeftOut::default(), |all, part| all.and(*part));
    let mut context =
        SuspectContext { symptom: args.symptom.as_deref().map(SeriesId::from_column), left_out, ..SuspectContext::default() };
    if let Some(path) = &args.graph {
        context.calls = call_graph(path)?;
    }
    let mut shifts = Vec::new();
    if let (Some(normal), Some(logs)) = (&args.logs_baseline, &args.logs) {
        let compared = log_shifts(normal, logs, &mut input)?;
        if context.left_out.uses(Part::Logs) {
            context.logs = compared.by_service();
        }
        if context.left_out.uses(Part::Requests) {
            context.requests = compared.requests.by_service;
        }
        shifts = compared.shifts;
    }
    input.progress.clear();
    let found = suspects(&measured_series(&incident, baseline.as_ref(), at), &context);
    if as_json {
        out::json(&shape(at, &found, &shifts))?;
    } else {
        print(at, &found, &shifts)?;
    }
    if stop.load(Ordering::Relaxed) {
        out::note(STOPPED);
        return Ok(Done::Partial);
    }
    Ok(Done::Complete)
}

/// Checks that there are values from before and since the incident to compare.
fn check_comparable(args: &SuspectsArgs, at: Timestamp, incident: &Table, baseline: Option<&Table>) -> Result<(), CliError> {
    let (path, noticed) = (args.incident.display(), at.date_clock());
    let fail = |message: String, remedy: &str| Err(CliError::Failed(Failure::new(message).advise(remedy)));
    if let Some(baseline) = baseline {
        let normal = args.baseline.as_deref().unwrap_or_else(|| Path::new("")).display();
        if !incident.columns.keys().any(|name| baseline.columns.contains_key(name)) {
            let message = format!("{path} and {normal} have no series in common");
            return fail(message, "Give each series the same column name in both files.");
        }
        return Ok(());
    }
    if !incident.times.iter().any(|t| *t < at) {
        let message = format!("{path} has no rows before {noticed} UTC to compare with: it covers {}", incident.span());
        return fail(message, "Check --at, or give a file from normal times with --baseline.");
    }
    if !incident.times.iter().any(|t| *t >= at) {
        return fail(format!("{path} has no rows since {noticed} UTC: it covers {}", incident.span()), "Check --at.");
    }
    Ok(())
}

/// Splits each series of the incident file into its values from normal times and from the incident. With a separate
/// baseline, a sample less than one step before `at` belongs to the incident, because it covers the time until the next one.
fn measured_series(incident: &Table, baseline: Option<&Table>, at: Timestamp) -> Vec<MeasuredSeries> {
    let mut steps: Vec<Duration> =
        incident.times.windows(2).filter_map(|w| Some(w.get(1)?.since(*w.first()?))).filter(|d| !d.is_zero()).collect();
    steps.sort_unstable();
    let step = steps.get(steps.len() / 2).copied().unwrap_or_default();
    let has_baseline = baseline.is_some();
    let since = |t: &Timestamp| if has_baseline { *t + step > at } else { *t >= at };
    let has_incident_rows = incident.times.iter().filter(|t| since(t)).count() >= 2;
    incident
        .columns
        .keys()
        .map(|name| {
            let points =
                |table: &Table| table.times.iter().copied().zip(values_of(table, name).iter().copied()).collect::<Vec<_>>();
            let rows = points(incident);
            let mut normal = match baseline {
                Some(table) => points(table),
                None => rows.iter().copied().filter(|(t, _)| !since(t)).collect(),
            };
            normal.sort_by_key(|(at, _)| *at);
            // With a separate baseline, a file with fewer than two rows since `at` belongs to the incident as a whole.
            let is_now = |t: &Timestamp| since(t) || (has_baseline && !has_incident_rows);
            let (now, before): (Vec<Point>, Vec<Point>) = rows.into_iter().partition(|(t, _)| is_now(t));
            if has_baseline {
                // The incident may have begun before it was noticed.
                normal.extend(before.into_iter().filter(|(t, _)| at.since(*t) <= MAX_NOTICE_DELAY));
            }
            let ended = end_of_series(&normal, &now, step);
            MeasuredSeries {
                id: SeriesId::from_column(name),
                unit: unit_of(name).to_owned(),
                baseline: normal,
                incident: now,
                ended,
                changed_at: None,
            }
        })
        .collect()
}

/// The time of the last sample of a series that had regular samples in normal times and then ended, although the table
/// goes on. `None` if it did not end.
fn end_of_series(normal: &[Point], now: &[Point], step: Duration) -> Option<Timestamp> {
    let has_value = |(_, v): &&Point| v.is_finite();
    // A series with many gaps in normal times has not ended.
    let samples = normal.iter().filter(has_value).count();
    if samples < MIN_SAMPLES || samples * 5 < normal.len() * 4 {
        return None;
    }
    let (end, _) = now.last()?;
    let (last, _) = now.iter().rev().find(has_value).or_else(|| normal.iter().rev().find(|(t, v)| v.is_finite() && t < end))?;
    (now.len() >= MIN_SAMPLES && end.since(*last) > ENDED_STEPS * step).then_some(*last)
}

/// The unit in the name of a series, such as `latency(s)`, `latency_seconds` or `heap_bytes`; empty if it names none.
fn unit_of(name: &str) -> &str {
    let metric = name.split('{').next().unwrap_or(name);
    if let Some((_, unit)) = metric.strip_suffix(')').and_then(|m| m.rsplit_once('(')) {
        return if unit.len() <= 6 { unit } else { "" };
    }
    match metric.rsplit('_').next() {
        Some("seconds") => "s",
        Some("ms" | "millis" | "milliseconds") => "ms",
        Some("us" | "micros" | "microseconds") => "µs",
        Some("ns" | "nanos" | "nanoseconds") => "ns",
        Some("bytes") => "B",
        Some("percent") => "%",
        _ => "",
    }
}

fn values_of<'a>(table: &'a Table, name: &str) -> &'a [f64] {
    table.columns.get(name).map_or(&[], Vec::as_slice)
}

fn reader(path: &Path) -> Result<csv::Reader<Box<dyn BufRead>>, CliError> {
    let fail = |e: std::io::Error| CliError::file("read", path, &e);
    Ok(csv::ReaderBuilder::new().flexible(true).from_reader(open(path).map_err(fail)?))
}

fn csv_error(path: &Path, e: &csv::Error) -> CliError {
    CliError::failed(format!("{} is not valid CSV: {e}", path.display()))
}

fn time_of(path: &Path, row: usize, text: &str) -> Result<Timestamp, CliError> {
    Timestamp::parse(text).map_err(|e| CliError::failed(format!("cannot read the time in {}, row {row}: {e}", path.display())))
}

/// Reads a CSV file of series. Sorts rows that are out of order and renames columns with the same name. Reports both, and
/// cells that are not numbers, to stderr.
fn table(path: &Path, input: &mut Input<'_>) -> Result<Table, CliError> {
    let mut rows = reader(path)?;
    let header = rows.byte_headers().map_err(|e| csv_error(path, &e))?.clone();
    let names: Vec<String> = header.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
    let Some(time) = names.iter().position(|n| n == "time") else {
        let failure = Failure::new(format!("{} has no column 'time'", path.display()));
        return Err(CliError::Failed(failure.advise("Name the time column 'time'; every other column is a series.")));
    };
    let mut times: Vec<Timestamp> = Vec::new();
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
    let mut issues = TableIssues::default();
    for (n, row) in rows.byte_records().enumerate() {
        if !input.count_row(n + 1) {
            break;
        }
        let row = row.map_err(|e| csv_error(path, &e))?;
        let text = |at: usize| row.get(at).map_or("", |cell| std::str::from_utf8(cell).unwrap_or("").trim());
        times.push(time_of(path, n + 2, text(time))?);
        issues.ragged_rows += usize::from(row.len() != names.len());
        for (at, column) in values.iter_mut().enumerate() {
            let value = text(at).parse().ok();
            issues.numbers += usize::from(at != time && value.is_some());
            if at != time && value.is_none() && !is_gap(text(at)) {
                let name = names.get(at).map_or("", String::as_str);
                issues.add_invalid(|| {
                    format!("'{}' in row {}, column '{}'", clean::truncate(&clean::line(text(at)), 30), n + 2, clean::line(name))
                });
            }
            // A cell that is not a number is a gap.
            column.push(value.unwrap_or(f64::NAN));
        }
    }
    if times.is_empty() && !input.stop.load(Ordering::Relaxed) {
        let failure = Failure::new(format!("{} has no rows below its header", path.display()));
        return Err(CliError::Failed(failure.advise("Each row must have a time and a value for each series.")));
    }
    if !times.is_sorted() {
        let mut order: Vec<usize> = (0..times.len()).collect();
        order.sort_by_key(|n| times.get(*n));
        times = sorted(&times, &order);
        for column in &mut values {
            *column = sorted(column, &order);
        }
        issues.was_unsorted = true;
    }
    let mut found = Table { times, columns: BTreeMap::new() };
    for (_, (name, column)) in names.into_iter().zip(values).enumerate().filter(|(at, _)| *at != time) {
        let (mut unique, mut nth) = (name.clone(), 1);
        while found.columns.contains_key(&unique) {
            nth += 1;
            unique = format!("{name} ({nth})");
        }
        issues.renamed.extend((nth > 1).then_some(unique.clone()));
        found.columns.insert(unique, column);
    }
    issues.report(path)?;
    Ok(found)
}

/// Whether a cell means that there is no value.
fn is_gap(cell: &str) -> bool {
    cell.is_empty() || ["nan", "null", "none", "na", "n/a", "-", "nil", "undefined"].iter().any(|w| cell.eq_ignore_ascii_case(w))
}

/// `values` in the order of these indexes.
fn sorted<T: Copy>(values: &[T], order: &[usize]) -> Vec<T> {
    order.iter().filter_map(|n| values.get(*n)).copied().collect()
}

/// Issues found while reading a table.
#[derive(Default)]
struct TableIssues {
    /// Number of cells that are numbers.
    numbers: usize,
    /// Number of cells that are neither numbers nor gaps, and a description of the first one.
    invalid: usize,
    first_invalid: String,
    /// Number of rows with more or fewer cells than the header.
    ragged_rows: usize,
    was_unsorted: bool,
    /// The new names of columns whose name was already taken.
    renamed: Vec<String>,
}

impl TableIssues {
    fn add_invalid(&mut self, describe: impl Fn() -> String) {
        if self.invalid == 0 {
            self.first_invalid = describe();
        }
        self.invalid += 1;
    }

    /// Prints the issues to stderr.
    ///
    /// # Errors
    /// When the table has invalid cells and no numbers at all.
    fn report(&self, path: &Path) -> Result<(), CliError> {
        let path = path.display();
        if self.invalid > 0 {
            let cells = count(self.invalid, "cell");
            let first = &self.first_invalid;
            if self.numbers == 0 {
                let message = format!("{path} has no numbers: {first} is the first of {cells} that cannot be read as a number");
                let remedy = "Write numbers with a decimal point, and leave a cell empty if there is no value.";
                return Err(CliError::Failed(Failure::new(message).advise(remedy)));
            }
            out::note(format!("warroom: {path}: {cells} without a valid number, treated as missing; the first is {first}"));
        }
        if self.ragged_rows > 0 {
            out::note(format!("warroom: {path}: {} with more or fewer cells than the header", count(self.ragged_rows, "row")));
        }
        if self.was_unsorted {
            out::note(format!("warroom: {path}: the rows were not in time order and were sorted"));
        }
        if let Some(name) = self.renamed.first() {
            let columns = count(self.renamed.len(), "column");
            let name = clean::line(name);
            out::note(format!("warroom: {path}: {columns} with a duplicate name, renamed; the first is now '{name}'"));
        }
        Ok(())
    }
}

/// Reads the call graph: a row for each caller, a column for each callee. A cell that is neither empty nor zero is a call.
fn call_graph(path: &Path) -> Result<CallGraph, CliError> {
    let mut rows = reader(path)?;
    let header = rows.headers().map_err(|e| csv_error(path, &e))?.clone();
    let mut calls = CallGraph::default();
    for row in rows.records() {
        let row = row.map_err(|e| csv_error(path, &e))?;
        let mut cells = header.iter().zip(row.iter());
        let Some((_, caller)) = cells.next() else { continue };
        let is_call = |cell: &str| !cell.trim().is_empty() && cell.trim().parse::<f64>() != Ok(0.0);
        for (callee, _) in cells.filter(|(_, cell)| is_call(cell)) {
            calls.add(caller, callee);
        }
    }
    Ok(calls)
}

/// Compares the log lines of normal times with those of the incident.
fn log_shifts(normal: &Path, incident: &Path, input: &mut Input<'_>) -> Result<LogShifts, CliError> {
    let mut comparison = LogComparison::default();
    for (side, path) in [(Side::Baseline, normal), (Side::Incident, incident)] {
        let mut rows = reader(path)?;
        let header = rows.byte_headers().map_err(|e| csv_error(path, &e))?.clone();
        let column = |name: &str| {
            header.iter().position(|h| h == name.as_bytes()).ok_or_else(|| {
                let failure = Failure::new(format!("{} has no column '{name}'", path.display()));
                CliError::Failed(failure.advise("A log file needs the columns time, service and message."))
            })
        };
        let (service, message) = (column("service")?, column("message")?);
        let time = header.iter().position(|h| h == b"time");
        for (n, row) in rows.byte_records().enumerate() {
            if !input.count_row(n + 1) {
                break;
            }
            let row = row.map_err(|e| csv_error(path, &e))?;
            let text = row.get(message).unwrap_or(&[]);
            let at = time.and_then(|t| std::str::from_utf8(row.get(t)?).ok()).and_then(|t| Timestamp::parse(t.trim()).ok());
            comparison.add(side, at, &String::from_utf8_lossy(row.get(service).unwrap_or(&[])), text, RequestIds::find(text));
        }
    }
    Ok(comparison.finish())
}

fn shape(at: Timestamp, found: &[Suspect], shifts: &[LogShift]) -> Value {
    let list: Vec<Value> = found
        .iter()
        .enumerate()
        .map(|(n, s)| {
            json!({"rank": n + 1, "service": s.service, "series": s.series.as_ref().map(SeriesId::column), "score": s.score, "direction": s.direction.word(),
                   "changed_at": s.changed_at, "before": s.before, "after": s.after, "why": s.why()})
        })
        .collect();
    let patterns: Vec<Value> = shifts
        .iter()
        .map(|s| {
            json!({"service": s.service, "template": s.template, "count": s.count, "baseline_count": s.baseline_count,
                   "change": classify_change(s.count, s.baseline_count, s.score), "score": s.score})
        })
        .collect();
    json!({"at": at, "suspects": list, "log_patterns": patterns})
}

fn print(at: Timestamp, found: &[Suspect], shifts: &[LogShift]) -> Result<(), CliError> {
    out::line(format!("Changes around {} UTC, most likely origin first", at.date_clock()))?;
    let mut services: Vec<(&Option<String>, Vec<&Suspect>)> = Vec::new();
    for suspect in found {
        match services.iter_mut().find(|(service, _)| *service == &suspect.service) {
            Some((_, series)) => series.push(suspect),
            None => services.push((&suspect.service, vec![suspect])),
        }
    }
    for (n, (service, series)) in services.iter().take(MAX_SERVICES).enumerate() {
        let score = series.first().map_or(0.0, |s| s.score);
        let name = service.as_deref().unwrap_or("(no service)");
        out::line(format!("{:>2}.  {}  {score:.2}", n + 1, clean::line(name)))?;
        // The first series is always printed, the others only if they changed.
        let shown = series.iter().enumerate().filter(|(n, s)| *n == 0 || s.changed_at.is_some()).take(MAX_SERIES);
        for (_, suspect) in shown {
            for part in clean::line(&suspect.why()).split("; ") {
                out::line(format!("       {part}"))?;
            }
        }
    }
    if services.len() > MAX_SERVICES {
        out::line(format!("     and {} more. Use --json to list all.", services.len() - MAX_SERVICES))?;
    }
    if found.is_empty() {
        out::line("No changes found.")?;
    }
    if !shifts.is_empty() {
        out::line("\nLog patterns")?;
    }
    let rows: Vec<Vec<String>> = shifts
        .iter()
        .take(MAX_PATTERNS)
        .map(|s| vec![s.service.clone(), format!("{} → {}", s.baseline_count, s.count), clean::truncate(&s.template, 100)])
        .collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    Ok(())
}
