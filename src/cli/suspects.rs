//! `warroom suspects`: which series and services an incident began with, from files.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::reading::{Progress, STOPPED, open, stoppable};
use super::{CliError, Done, out};
use crate::analysis::departure::{MAX_NOTICE_DELAY, MeasuredSeries, Point};
use crate::analysis::log_shift::{LogComparison, LogShift, LogShifts};
use crate::analysis::patterns::study::{Side, classify_change};
use crate::analysis::requests::RequestIds;
use crate::analysis::suspects::{Suspect, SuspectContext, suspects};
use crate::telemetry::words::count;
use crate::telemetry::{Timestamp, clean};

/// Services printed for people, and series of each.
const SHOWN: usize = 10;
const PER_SERVICE: usize = 3;
/// Log patterns printed for people.
const PATTERNS: usize = 8;

/// Samples that a series must have had to be missed, and steps without one after which it has ended.
const KNOWN: usize = 3;
const ENDED: u32 = 3;

/// Arguments of `warroom suspects`.
#[derive(Args)]
pub struct SuspectsArgs {
    /// Series: a CSV with a column `time` and one for each series, named `service|metric`
    incident: PathBuf,
    /// When the incident was noticed; may be some minutes late
    #[arg(long, value_parser = Timestamp::parse)]
    at: Timestamp,
    /// Series of normal times; without it what lies before --at
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// The series that shows the symptom, such as `shop|latency`
    #[arg(long)]
    symptom: Option<String>,
    /// Who calls whom: a CSV whose first column is the caller, the others its callees
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
    /// Log lines since then: a CSV of time, service, message
    #[arg(long, value_name = "FILE", requires = "logs_baseline")]
    logs: Option<PathBuf>,
    /// Log lines of normal times
    #[arg(long, value_name = "FILE", requires = "logs")]
    logs_baseline: Option<PathBuf>,
}

/// A CSV of series: the times of the rows in their order, and each column with its name.
struct Table {
    times: Vec<Timestamp>,
    columns: BTreeMap<String, Vec<f64>>,
}

impl Table {
    /// `2026-11-21 09:00:00 to 10:00:00 UTC`, for what is said of it.
    fn span(&self) -> String {
        let clock = |at: Option<&Timestamp>| at.map_or_else(String::new, |at| at.date_clock());
        format!("{} to {} UTC", clock(self.times.first()), clock(self.times.last()))
    }
}

pub(super) async fn run(args: SuspectsArgs, as_json: bool) -> Result<Done, CliError> {
    stoppable(move |stop| rank(&args, stop, as_json)).await
}

/// Reads until it is told to stop.
struct Input<'a> {
    stop: &'a AtomicBool,
    progress: Progress,
}

impl Input<'_> {
    /// Counts a row; whether to go on.
    fn row(&mut self, n: usize) -> bool {
        if n.is_multiple_of(1024) {
            self.progress.lines(1024);
        }
        !self.stop.load(Ordering::Relaxed)
    }
}

fn rank(args: &SuspectsArgs, stop: &AtomicBool, as_json: bool) -> Result<Done, CliError> {
    let mut input = Input { stop, progress: Progress::new() };
    let incident = table(&args.incident, &mut input)?;
    let baseline = args.baseline.as_deref().map(|path| table(path, &mut input)).transpose()?;
    // Of a table that was not read to its end nothing is missed.
    if !stop.load(Ordering::Relaxed) {
        comparable(args, &incident, baseline.as_ref())?;
    }
    if let Some(symptom) = args.symptom.as_ref().filter(|s| !incident.columns.contains_key(*s)) {
        let near = crate::telemetry::words::nearest(symptom, incident.columns.keys().map(String::as_str));
        let hint = near.map_or_else(String::new, |n| format!("; did you mean '{n}'?"));
        return Err(CliError::usage(format!("{} has no series '{symptom}'", args.incident.display()), hint));
    }
    let mut known = SuspectContext { symptom: args.symptom.clone(), ..SuspectContext::default() };
    if let Some(path) = &args.graph {
        known.calls = graph(path)?;
    }
    let mut shifts = Vec::new();
    if let (Some(before), Some(now)) = (&args.logs_baseline, &args.logs) {
        let shifted = log_shifts(before, now, &mut input)?;
        known.logs = shifted.by_service();
        known.requests = shifted.requests.by_service;
        shifts = shifted.shifts;
    }
    input.progress.end();
    let found = suspects(&measured(&incident, baseline.as_ref(), args.at), &known);
    if as_json {
        out::json(&shape(args.at, &found, &shifts))?;
    } else {
        print(args.at, &found, &shifts)?;
    }
    if stop.load(Ordering::Relaxed) {
        out::note(STOPPED);
        return Ok(Done::Partial);
    }
    Ok(Done::Complete)
}

/// Whether there is something to compare with something.
fn comparable(args: &SuspectsArgs, incident: &Table, baseline: Option<&Table>) -> Result<(), CliError> {
    let (path, at) = (args.incident.display(), args.at.date_clock());
    let fail = |text: String| Err(CliError::failed(text));
    if let Some(baseline) = baseline {
        let normal = args.baseline.as_deref().unwrap_or_else(|| Path::new("")).display();
        if !incident.columns.keys().any(|name| baseline.columns.contains_key(name)) {
            return fail(format!("{path} and {normal} have no series in common: columns are compared by their names"));
        }
        return Ok(());
    }
    if !incident.times.iter().any(|t| *t < args.at) {
        return fail(format!(
            "{path} has no rows before {at} UTC to compare with: it covers {}; check --at, or give normal times as --baseline",
            incident.span()
        ));
    }
    if !incident.times.iter().any(|t| *t >= args.at) {
        return fail(format!("{path} has no rows since {at} UTC: it covers {}; check --at", incident.span()));
    }
    Ok(())
}

/// Each series with its normal values and those since the incident. A sample stands for the step before the next one: one that
/// began just before `at` is of the incident.
fn measured(incident: &Table, baseline: Option<&Table>, at: Timestamp) -> Vec<MeasuredSeries> {
    let mut steps: Vec<Duration> =
        incident.times.windows(2).filter_map(|w| Some(w.get(1)?.since(*w.first()?))).filter(|d| !d.is_zero()).collect();
    steps.sort_unstable();
    let step = steps.get(steps.len() / 2).copied().unwrap_or_default();
    let has_baseline = baseline.is_some();
    let since = |t: &Timestamp| if has_baseline { *t + step > at } else { *t >= at };
    let enough = incident.times.iter().filter(|t| since(t)).count() >= 2;
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
            // With a baseline of its own a file of a row or two is all of it the incident's.
            let is_now = |t: &Timestamp| since(t) || (has_baseline && !enough);
            let (now, before): (Vec<Point>, Vec<Point>) = rows.into_iter().partition(|(t, _)| is_now(t));
            if has_baseline {
                // It may have begun before it was noticed.
                normal.extend(before.into_iter().filter(|(t, _)| at.since(*t) <= MAX_NOTICE_DELAY));
            }
            let ended = ended(&normal, &now, step);
            MeasuredSeries {
                name: name.clone(),
                unit: unit_of(name).to_owned(),
                baseline: normal,
                incident: now,
                ended,
                changed_at: None,
            }
        })
        .collect()
}

/// When a series ended that was there in normal times: it has no sample while the table goes on.
fn ended(normal: &[Point], now: &[Point], step: Duration) -> Option<Timestamp> {
    let is_there = |(_, v): &&Point| v.is_finite();
    // One that comes and goes has not ended.
    let known = normal.iter().filter(is_there).count();
    if known < KNOWN || known * 5 < normal.len() * 4 {
        return None;
    }
    let (end, _) = now.last()?;
    let (last, _) = now.iter().rev().find(is_there).or_else(|| normal.iter().rev().find(|(t, v)| v.is_finite() && t < end))?;
    (now.len() >= KNOWN && end.since(*last) > ENDED * step).then_some(*last)
}

/// The unit that a name tells: `latency(s)`, `latency_seconds`, `heap_bytes`; empty when it tells none.
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

fn bad(path: &Path, e: &csv::Error) -> CliError {
    CliError::failed(format!("{} is not valid CSV: {e}", path.display()))
}

fn time_of(path: &Path, row: usize, text: &str) -> Result<Timestamp, CliError> {
    Timestamp::parse(text).map_err(|e| CliError::failed(format!("{}, row {row}: {e}", path.display())))
}

fn table(path: &Path, input: &mut Input<'_>) -> Result<Table, CliError> {
    let mut rows = reader(path)?;
    let header = rows.byte_headers().map_err(|e| bad(path, &e))?.clone();
    let names: Vec<String> = header.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
    let Some(time) = names.iter().position(|n| n == "time") else {
        return Err(CliError::failed(format!(
            "{} has no column 'time': it holds the times, the others a series each",
            path.display()
        )));
    };
    let mut times: Vec<Timestamp> = Vec::new();
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
    let mut odd = Odd::default();
    for (n, row) in rows.byte_records().enumerate() {
        if !input.row(n + 1) {
            break;
        }
        let row = row.map_err(|e| bad(path, &e))?;
        let text = |at: usize| row.get(at).map_or("", |cell| std::str::from_utf8(cell).unwrap_or("").trim());
        times.push(time_of(path, n + 2, text(time))?);
        odd.ragged += usize::from(row.len() != names.len());
        for (at, column) in values.iter_mut().enumerate() {
            let value = text(at).parse().ok();
            odd.numbers += usize::from(at != time && value.is_some());
            if at != time && value.is_none() && !is_gap(text(at)) {
                let name = names.get(at).map_or("", String::as_str);
                odd.word(|| {
                    format!("'{}' in row {}, column '{}'", clean::truncate(&clean::line(text(at)), 30), n + 2, clean::line(name))
                });
            }
            // What is no number is a gap.
            column.push(value.unwrap_or(f64::NAN));
        }
    }
    if times.is_empty() && !input.stop.load(Ordering::Relaxed) {
        return Err(CliError::failed(format!(
            "{} has no rows: below its header each row is a time and its values",
            path.display()
        )));
    }
    if !times.is_sorted() {
        let mut order: Vec<usize> = (0..times.len()).collect();
        order.sort_by_key(|n| times.get(*n));
        fn sorted<T: Copy>(of: &[T], order: &[usize]) -> Vec<T> {
            order.iter().filter_map(|n| of.get(*n)).copied().collect()
        }
        times = sorted(&times, &order);
        values.iter_mut().for_each(|column| *column = sorted(column, &order));
        odd.is_shuffled = true;
    }
    let mut found = Table { times, columns: BTreeMap::new() };
    for (_, (name, column)) in names.into_iter().zip(values).enumerate().filter(|(at, _)| *at != time) {
        let (mut own, mut nth) = (name.clone(), 1);
        while found.columns.contains_key(&own) {
            nth += 1;
            own = format!("{name} ({nth})");
        }
        odd.twice.extend((nth > 1).then_some(own.clone()));
        found.columns.insert(own, column);
    }
    odd.tell(path)?;
    Ok(found)
}

/// What stands for no value.
fn is_gap(cell: &str) -> bool {
    cell.is_empty() || ["nan", "null", "none", "na", "n/a", "-", "nil", "undefined"].iter().any(|w| cell.eq_ignore_ascii_case(w))
}

/// What in a table was not as it should be.
#[derive(Default)]
struct Odd {
    /// Cells that are numbers, and those that are neither numbers nor gaps with the first of them.
    numbers: usize,
    words: usize,
    first: String,
    ragged: usize,
    is_shuffled: bool,
    twice: Vec<String>,
}

impl Odd {
    fn word(&mut self, told: impl Fn() -> String) {
        if self.words == 0 {
            self.first = told();
        }
        self.words += 1;
    }

    /// Says it on stderr; a table without a number is an error.
    fn tell(&self, path: &Path) -> Result<(), CliError> {
        let path = path.display();
        if self.words > 0 {
            let many = count(self.words, "cell");
            if self.numbers == 0 {
                return Err(CliError::failed(format!(
                    "{path} has no numbers: {} is the first of {many} that are none",
                    self.first
                )));
            }
            out::note(format!("warroom: {path}: {many} of no number, the first {}, count as gaps", self.first));
        }
        if self.ragged > 0 {
            out::note(format!("warroom: {path}: {} of another length than the header", count(self.ragged, "row")));
        }
        if self.is_shuffled {
            out::note(format!("warroom: {path}: its rows are not in the order of time; they were sorted"));
        }
        if let Some(name) = self.twice.first() {
            let many = count(self.twice.len(), "column");
            out::note(format!("warroom: {path}: {many} of a name that is there already, told apart as '{}'", clean::line(name)));
        }
        Ok(())
    }
}

/// Callees by caller. A cell that is neither empty nor zero is a call.
fn graph(path: &Path) -> Result<BTreeMap<String, Vec<String>>, CliError> {
    let mut rows = reader(path)?;
    let header = rows.headers().map_err(|e| bad(path, &e))?.clone();
    let mut calls = BTreeMap::new();
    for row in rows.records() {
        let row = row.map_err(|e| bad(path, &e))?;
        let mut cells = header.iter().zip(row.iter());
        let Some((_, caller)) = cells.next() else { continue };
        let is_call = |cell: &str| !cell.trim().is_empty() && cell.trim().parse::<f64>() != Ok(0.0);
        let callees: Vec<String> = cells.filter(|(_, cell)| is_call(cell)).map(|(name, _)| name.to_owned()).collect();
        calls.insert(caller.to_owned(), callees);
    }
    Ok(calls)
}

/// The log lines of normal times and of the incident, studied.
fn log_shifts(before: &Path, now: &Path, input: &mut Input<'_>) -> Result<LogShifts, CliError> {
    let mut study = LogComparison::default();
    for (side, path) in [(Side::Baseline, before), (Side::Incident, now)] {
        let mut rows = reader(path)?;
        let header = rows.byte_headers().map_err(|e| bad(path, &e))?.clone();
        let column = |name: &str| {
            header.iter().position(|h| h == name.as_bytes()).ok_or_else(|| {
                CliError::failed(format!("{} has no column '{name}': log files have time, service and message", path.display()))
            })
        };
        let (service, message) = (column("service")?, column("message")?);
        let time = header.iter().position(|h| h == b"time");
        for (n, row) in rows.byte_records().enumerate() {
            if !input.row(n + 1) {
                break;
            }
            let row = row.map_err(|e| bad(path, &e))?;
            let text = row.get(message).unwrap_or(&[]);
            let at = time.and_then(|t| std::str::from_utf8(row.get(t)?).ok()).and_then(|t| Timestamp::parse(t.trim()).ok());
            study.add(side, at, &String::from_utf8_lossy(row.get(service).unwrap_or(&[])), text, RequestIds::find(text));
        }
    }
    Ok(study.finish())
}

fn shape(at: Timestamp, found: &[Suspect], shifts: &[LogShift]) -> Value {
    let list: Vec<Value> = found
        .iter()
        .enumerate()
        .map(|(n, s)| {
            json!({"rank": n + 1, "service": s.service, "series": s.series, "score": s.score, "direction": s.direction.word(),
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
    out::line(format!("What changed around {} UTC, the likeliest first", at.date_clock()))?;
    let mut services: Vec<(&Option<String>, Vec<&Suspect>)> = Vec::new();
    for suspect in found {
        match services.iter_mut().find(|(service, _)| *service == &suspect.service) {
            Some((_, series)) => series.push(suspect),
            None => services.push((&suspect.service, vec![suspect])),
        }
    }
    for (n, (service, series)) in services.iter().take(SHOWN).enumerate() {
        let score = series.first().map_or(0.0, |s| s.score);
        let name = service.as_deref().unwrap_or("(no service)");
        out::line(format!("{:>2}.  {}  {score:.2}", n + 1, clean::line(name)))?;
        // The most telling one always; of the others those that changed.
        let telling = series.iter().enumerate().filter(|(n, s)| *n == 0 || s.changed_at.is_some()).take(PER_SERVICE);
        for (_, suspect) in telling {
            for part in clean::line(&suspect.why()).split("; ") {
                out::line(format!("       {part}"))?;
            }
        }
    }
    if services.len() > SHOWN {
        out::line(format!("     and {} more; --json lists them all", services.len() - SHOWN))?;
    }
    if found.is_empty() {
        out::line("nothing has changed")?;
    }
    if !shifts.is_empty() {
        out::line("\nIn the logs")?;
    }
    let rows: Vec<Vec<String>> = shifts
        .iter()
        .take(PATTERNS)
        .map(|s| vec![s.service.clone(), format!("{} → {}", s.baseline_count, s.count), clean::truncate(&s.template, 100)])
        .collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    Ok(())
}
