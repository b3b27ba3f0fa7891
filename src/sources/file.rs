//! A source of logs from files that match glob patterns: reads a window of the past and follows new lines across rotation.
//!
//! The format is detected per line by `telemetry::parse`. Rotation by rename is detected by the inode, truncation by the
//! size. Compressed files (`.gz`, `.zst`, `.bz2`, `.xz`) are read but not followed. All reading runs on blocking threads.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::fault::{FaultKind, SourceError};
use super::{Answer, AnswerFuture, Batch, FOLLOW_BACKLOG, LogFilter, LogSource, Probe, Source, lines};
use crate::config::SourceConfig;
use crate::telemetry::parse::layout::Layout;
use crate::telemetry::parse::{self, Context, Formats, Joiner, stamp};
use crate::telemetry::{LogLine, Timestamp, Window, clean};

/// The largest number of bytes read from one file; of a larger file, the end is read.
const MAX_READ_BACK: u64 = 64 * 1024 * 1024;
/// The number of lines from which the header formats of a file are learned.
const LAYOUT_LINES: usize = 400;
/// The number of lines that an investigation reads of each part of a window.
const MAX_LINES: usize = 250_000;
/// The longest raw line kept, in bytes; the rest of the line is dropped.
const MAX_LINE: usize = clean::MAX_TEXT_BYTES;
/// Following starts with the last `TAIL_BYTES` of each of the `TAIL_FILES` files that were modified most recently.
const TAIL_BYTES: u64 = 64 * 1024;
const TAIL_FILES: usize = 50;
/// A file modified more recently than this may still be in the middle of a multi-line event.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// How often followed files are polled.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
/// The globs are evaluated again after this number of polls.
const GLOB_EVERY: u32 = 20;
/// The largest number of followed lines that wait for the receiver; beyond it the oldest are dropped.
const MAX_WAITING_LINES: usize = 10_000;
/// The largest number of bytes read from one compressed file, after decompression; of a larger file, the start is read.
const MAX_DECOMPRESSED: u64 = 256 * 1024 * 1024;
/// The largest accepted difference between the last line's time and the file's modification time, in seconds. Time zones
/// differ by at least half an hour, so a larger difference suggests a wrong time zone.
const MAX_CLOCK_SKEW: f64 = 1500.0;
/// The largest number of bytes read from one followed file per poll, so that a busy file does not hold up the others.
const MAX_CHUNK: u64 = 8 * 1024 * 1024;

/// Log files that match glob patterns.
pub struct FileLogs {
    name: String,
    globs: Vec<String>,
    service: Option<String>,
    offset_secs: i32,
    formats: Formats,
}

impl FileLogs {
    /// Creates the source from its configuration; opens no file. An invalid glob is an error, a glob without matches is not.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        for pattern in &config.paths {
            glob::Pattern::new(pattern)
                .map_err(|e| SourceError::new(FaultKind::Config, format!("paths: '{pattern}' is not a valid glob: {e}")))?;
        }
        Ok(Self {
            name: config.name.clone(),
            globs: config.paths.clone(),
            service: config.service.clone(),
            offset_secs: config.timezone_offset_minutes.saturating_mul(60),
            formats: config.log_formats.clone(),
        })
    }

    fn reader(&self, now: Timestamp) -> Reader {
        Reader {
            globs: self.globs.clone(),
            service: self.service.clone(),
            formats: self.formats.clone(),
            context: Context { offset_secs: self.offset_secs, ..Context::utc(now) },
        }
    }

    fn query_text(&self, filter: &LogFilter) -> String {
        let mut text = self.globs.join(" ");
        if let Some(raw) = &filter.raw {
            return format!("{text} | {raw}");
        }
        if !filter.services.is_empty() {
            text.push_str(&format!(" | service in {}", filter.services.join(",")));
        }
        if filter.bad_only {
            text.push_str(" | level >= error");
        }
        text
    }
}

/// The settings that a blocking read needs.
#[derive(Clone)]
struct Reader {
    globs: Vec<String>,
    service: Option<String>,
    formats: Formats,
    context: Context,
}

impl Reader {
    /// The files that match the globs now, sorted; unreadable folders are skipped.
    fn files(&self) -> Vec<PathBuf> {
        matching_files(&self.globs)
    }

    /// Sets the service of a line that does not name one: the configured service, or else the file name up to its first dot.
    fn with_service(&self, mut line: LogLine, path: &Path) -> LogLine {
        if line.service.is_none() {
            let stem = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.split('.').next()).filter(|s| !s.is_empty());
            line.service = self.service.clone().or_else(|| stem.map(clean::line));
        }
        line
    }

    /// Reads one file and adds the lines that are in the window and match the filter.
    fn read(&self, path: &Path, window: Window, filter: &LogFilter, out: &mut Collector) -> std::io::Result<()> {
        let meta = path.metadata()?;
        // A file that was last modified before the window has no lines in it.
        if meta.modified().is_ok_and(|m| to_timestamp(m) < window.start) {
            return Ok(());
        }
        let is_compressed = is_compressed(path);
        let from = meta.len().saturating_sub(MAX_READ_BACK);
        if from > 0 && !is_compressed {
            out.gaps.push(format!("{}: only the last {} MiB were read", path.display(), MAX_READ_BACK >> 20));
        }
        let written = meta.modified().map_or(self.context.now, to_timestamp);
        let mut days = DayTracker::scan(open(path, from)?.as_mut(), written, self.context)?;
        let mut reader = open(path, from)?;
        let total_before = out.total;
        let mut last = None;
        let mut joiner = Joiner::new(self.context);
        joiner.set_layout(self.learn_layout(open(path, from)?.as_mut())?);
        let mut raw = Vec::new();
        let mut bytes = 0_u64;
        loop {
            bytes += u64::try_from(raw.len()).unwrap_or(0) + 1;
            raw.clear();
            let more = lines::read_line(reader.as_mut(), &mut raw, MAX_LINE)?;
            let text = String::from_utf8_lossy(&raw);
            if let Some(context) = days.as_mut().and_then(|d| d.context_for(&text)) {
                joiner.set_context(context);
            }
            let events = if more { joiner.push(&text) } else { joiner.finish() };
            for line in events.into_iter().map(|l| self.with_service(l, path)) {
                last = line.at.or(last);
                out.add(line, window, filter);
            }
            if !more {
                if let Some(last) = last.filter(|at| out.total == total_before && is_clock_skewed(*at, written)) {
                    out.gaps.push(format!(
                        "{}: the last line is stamped {} UTC, but the file was modified at {} UTC; if its times are in another time zone, set timezone_offset_minutes",
                        path.display(),
                        last.date_clock(),
                        written.date_clock()
                    ));
                }
                if is_compressed && bytes >= MAX_DECOMPRESSED {
                    out.gaps.push(format!("{}: only the first {} MiB were read", path.display(), MAX_DECOMPRESSED >> 20));
                }
                return Ok(());
            }
        }
    }
}

impl Reader {
    /// Learns the header formats of a file from its first lines.
    fn learn_layout(&self, reader: &mut dyn BufRead) -> std::io::Result<Layout> {
        let sample = first_lines(reader)?;
        let mut layout = Layout::with_formats(self.formats.clone());
        layout.learn_more(sample.iter().map(String::as_str), self.context);
        Ok(layout)
    }

    /// A followed file, read from an offset. What its first lines show is known at once, the rest as it comes.
    fn follow(&self, path: &Path, file: File, offset: u64) -> Followed {
        let first = if offset > 0 { open(path, 0).and_then(|mut reader| first_lines(reader.as_mut())) } else { Ok(Vec::new()) };
        Followed {
            identity: identity(&file),
            file,
            offset,
            partial: Vec::new(),
            joiner: Joiner::learning(self.context, self.formats.clone(), first.unwrap_or_default()),
            idle_polls: 0,
        }
    }
}

/// The first lines of a file, at most [`LAYOUT_LINES`].
fn first_lines(reader: &mut dyn BufRead) -> std::io::Result<Vec<String>> {
    let (mut sample, mut raw) = (Vec::new(), Vec::new());
    while sample.len() < LAYOUT_LINES && lines::read_line(reader, &mut raw, MAX_LINE)? {
        sample.push(String::from_utf8_lossy(&raw).trim_end().to_owned());
        raw.clear();
    }
    Ok(sample)
}

/// Whether the time of a file's last line is far from the file's modification time.
fn is_clock_skewed(last: Timestamp, written: Timestamp) -> bool {
    last.secs_since(written).abs() > MAX_CLOCK_SKEW
}

/// Opens a file at an offset. A compressed file is always read from its start.
fn open(path: &Path, from: u64) -> std::io::Result<Box<dyn BufRead + Send>> {
    let mut file = File::open(path)?;
    if from > 0 && !is_compressed(path) {
        file.seek(SeekFrom::Start(from))?;
        return Ok(Box::new(std::io::BufReader::new(file)));
    }
    lines::open_text(file, MAX_DECOMPRESSED)
}

fn is_compressed(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| lines::COMPRESSED.contains(&e))
}

/// The number of lines that decide whether a file's timestamps lack a date.
const SNIFF_LINES: usize = 100;
/// A line may be this many seconds earlier in the day than the previous one; if it is earlier still, it belongs to the next
/// day.
const MAX_DISORDER_SECS: u32 = 3600;

/// Assigns dates to the lines of a file whose timestamps are times of day without a date.
///
/// The last line belongs to the day on which the file was last modified. Counting back from there, a new day starts where
/// the time of day drops by more than [`MAX_DISORDER_SECS`]. A day without lines goes unnoticed.
struct DayTracker {
    context: Context,
    /// The number of midnights between the current line and the last one.
    midnights_left: u32,
    /// A time within the last day.
    last_day: Timestamp,
    /// When the file was last modified.
    written: Timestamp,
    /// The second of the day of the previous line.
    previous: Option<u32>,
}

impl DayTracker {
    /// Reads the whole file to count its days; `None` when its lines have a date, or no time at all.
    fn scan(reader: &mut dyn BufRead, written: Timestamp, context: Context) -> std::io::Result<Option<Self>> {
        let (mut raw, mut sniffed, mut midnights, mut previous, mut first) = (Vec::new(), 0, 0, None, None);
        while lines::read_line(reader, &mut raw, MAX_LINE)? {
            let text = String::from_utf8_lossy(&raw);
            if sniffed < SNIFF_LINES {
                sniffed += 1;
                if parse::line(&text, context).at.is_some() || (sniffed == SNIFF_LINES && previous.is_none()) {
                    return Ok(None);
                }
            }
            if let Some(second) = stamp::second_of_day(&text) {
                if previous.is_some_and(|p: u32| second + MAX_DISORDER_SECS < p) {
                    midnights += 1;
                    first = None;
                }
                if first.is_none() {
                    first = Some(text.into_owned());
                }
                previous = Some(second);
            }
            raw.clear();
        }
        let context = Context { has_times_of_day: true, now: written, ..context };
        let last_day = first.and_then(|line| stamp::time_of_day(&line, context)).map(|(at, _)| at);
        Ok(last_day.map(|last_day| Self { context, midnights_left: midnights, last_day, written, previous: None }))
    }

    /// The context for parsing the next line, when that line is the first or starts another day.
    fn context_for(&mut self, text: &str) -> Option<Context> {
        let second = stamp::second_of_day(text)?;
        let is_first = self.previous.is_none();
        let starts_day = self.previous.replace(second).is_some_and(|previous| second + MAX_DISORDER_SECS < previous);
        self.midnights_left -= u32::from(starts_day && self.midnights_left > 0);
        if !is_first && !starts_day {
            return None;
        }
        self.context.now = if self.midnights_left == 0 {
            self.written
        } else {
            // An hour before the end of the day, because the parser accepts a time of day up to an hour ahead of `now`.
            let day = 86_400;
            let offset = i64::from(self.context.offset_secs);
            let midnight = (self.last_day.secs() + offset).div_euclid(day) * day - offset;
            Timestamp::from_micros((midnight - i64::from(self.midnights_left) * day + day - 3600) * 1_000_000 - 1)
        };
        Some(self.context)
    }
}

fn to_timestamp(time: SystemTime) -> Timestamp {
    Timestamp::from(time::OffsetDateTime::from(time))
}

/// The lines, counts and gaps collected from several files.
#[derive(Default)]
struct Collector {
    lines: VecDeque<LogLine>,
    /// The largest number of lines kept per file; the newest are kept.
    limit: usize,
    /// The index of the first line of the file being read.
    file_start: usize,
    /// The number of lines that are in the window and match the filter, kept or not.
    total: usize,
    gaps: Vec<String>,
    /// Files that could not be read; `gaps` names them too.
    failed: Vec<String>,
    /// The number of those lines that have no time.
    untimed: u64,
    /// The time of the newest line that was dropped because there were too many.
    dropped_until: Option<Timestamp>,
}

impl Collector {
    fn add(&mut self, line: LogLine, window: Window, filter: &LogFilter) {
        let timed = line.at.is_some();
        if line.at.is_some_and(|at| !window.contains(at)) || !matches_filter(&line, filter) {
            return;
        }
        self.untimed += u64::from(!timed);
        self.total += 1;
        // Files are written in time order, so the first line of this file is its oldest.
        if self.lines.len() - self.file_start >= self.limit {
            let dropped = self.lines.remove(self.file_start).and_then(|l| l.at);
            self.dropped_until = self.dropped_until.max(dropped);
        }
        self.lines.push_back(line);
    }
}

fn matches_filter(line: &LogLine, filter: &LogFilter) -> bool {
    if let Some(raw) = &filter.raw {
        return line.message.to_lowercase().contains(&raw.to_lowercase());
    }
    let service = filter.services.is_empty() || line.service.as_ref().is_some_and(|s| filter.services.contains(s));
    service && (!filter.bad_only || line.is_error())
}

fn read_all(reader: &Reader, window: Window, filter: &LogFilter, limit: usize) -> Answer<Vec<LogLine>> {
    let mut read = Collector { limit: limit.max(1), ..Collector::default() };
    for path in reader.files() {
        read.file_start = read.lines.len();
        if let Err(e) = reader.read(&path, window, filter, &mut read) {
            let failure = clean::line(&format!("{} could not be read: {e}", path.display()));
            read.gaps.push(failure.clone());
            read.failed.push(failure);
        }
    }
    // Lines without a time stay after the line that precedes them.
    let mut last = window.start;
    let mut keyed: Vec<(Timestamp, LogLine)> = read
        .lines
        .into_iter()
        .map(|l| {
            last = l.at.unwrap_or(last);
            (last, l)
        })
        .collect();
    keyed.sort_by_key(|(at, _)| *at);
    let (kept, total) = (keyed.len(), read.total);
    let mut gaps = read.gaps;
    if read.untimed > 0 {
        gaps.push(format!(
            "{} without a timestamp, possibly outside the window",
            crate::telemetry::words::count(read.untimed, "line")
        ));
    }
    if total > limit {
        gaps.push(format!("{total} lines in the window; only the newest {limit} are included"));
    }
    let skipped = kept.saturating_sub(limit);
    let unread_until = read.dropped_until.max(keyed.get(..skipped).and_then(|s| s.last()).map(|(at, _)| *at));
    let unread = unread_until.map(|until| Window::new(window.start, until)).into_iter().collect();
    let lines = keyed.into_iter().skip(skipped).map(|(_, l)| l).collect();
    Answer { value: lines, gaps, failed: read.failed, total: u64::try_from(total).ok(), unread }
}

/// The files that match any of the globs now, sorted and without duplicates; unreadable folders are skipped.
pub(super) fn matching_files(globs: &[String]) -> Vec<PathBuf> {
    let found = globs.iter().filter_map(|g| glob::glob(g).ok()).flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> = found.filter(|p| p.is_file()).collect();
    files.sort();
    files.dedup();
    files
}

/// Runs blocking work on a blocking thread. An error when the work panics.
pub(super) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| SourceError::new(FaultKind::Io, format!("the file reader thread failed: {e}")))
}

impl Source for FileLogs {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &'static str {
        "file"
    }
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
        let reader = self.reader(Timestamp::default());
        async move {
            let (count, unreadable) = run_blocking(move || {
                let files = reader.files();
                (files.len(), files.iter().find_map(|f| File::open(f).err().map(|e| format!("{}: {e}", f.display()))))
            })
            .await?;
            match unreadable {
                Some(error) => Err(SourceError::new(FaultKind::Io, format!("cannot read {error}"))),
                None => Ok(Probe::files(count)),
            }
        }
        .boxed()
    }
    fn logs(&self) -> Option<&dyn LogSource> {
        Some(self)
    }
}

impl LogSource for FileLogs {
    fn query<'a>(&'a self, filter: &'a LogFilter, _window: Window) -> BoxFuture<'a, Result<String, SourceError>> {
        let text = self.query_text(filter);
        async move { Ok(text) }.boxed()
    }

    fn lines<'a>(&'a self, filter: &'a LogFilter, window: Window, limit: usize) -> AnswerFuture<'a, Vec<LogLine>> {
        let (reader, filter) = (self.reader(window.end), filter.clone());
        async move { run_blocking(move || read_all(&reader, window, &filter, limit)).await }.boxed()
    }

    fn max_lines(&self) -> usize {
        MAX_LINES
    }

    fn follow<'a>(&'a self, filter: &'a LogFilter, sink: mpsc::Sender<Batch>) -> BoxFuture<'a, Result<(), SourceError>> {
        let now = Timestamp::from(time::OffsetDateTime::now_utc());
        let mut follower = Follower {
            reader: self.reader(now),
            filter: filter.clone(),
            files: BTreeMap::new(),
            waiting: VecDeque::new(),
            dropped: 0,
        };
        async move {
            follower = run_blocking(move || {
                follower.discover(true);
                follower.read_tails();
                follower
            })
            .await?;
            follower.send(&sink, true);
            let mut round = 0_u32;
            while !sink.is_closed() {
                tokio::time::sleep(FOLLOW_EVERY).await;
                round = round.wrapping_add(1);
                follower = run_blocking(move || {
                    if round.is_multiple_of(GLOB_EVERY) {
                        follower.discover(false);
                    }
                    follower.poll();
                    follower
                })
                .await?;
                follower.send(&sink, false);
            }
            Ok(())
        }
        .boxed()
    }
}

/// The files being followed and the lines that wait for the receiver.
struct Follower {
    reader: Reader,
    filter: LogFilter,
    files: BTreeMap<PathBuf, Followed>,
    waiting: VecDeque<LogLine>,
    /// Lines dropped since the last batch was sent.
    dropped: u64,
}

struct Followed {
    file: File,
    identity: u64,
    offset: u64,
    /// The start of a line whose end is not written yet.
    partial: Vec<u8>,
    joiner: Joiner,
    /// The number of polls in a row that found nothing new.
    idle_polls: u32,
}

/// The inode of an open file; 0 when unknown.
#[cfg(unix)]
fn identity(file: &File) -> u64 {
    use std::os::unix::fs::MetadataExt;
    file.metadata().map_or(0, |m| m.ino())
}

#[cfg(not(unix))]
fn identity(_file: &File) -> u64 {
    // Without inodes, a rotation by rename is detected as a shorter file under the same name.
    0
}

impl Follower {
    /// Opens files that are not followed yet, at their end if `at_end`, else at their start.
    fn discover(&mut self, at_end: bool) {
        for path in self.reader.files() {
            if is_compressed(&path) || self.files.contains_key(&path) {
                continue;
            }
            let Ok(file) = File::open(&path) else { continue };
            // A rotated file appears under a new name but is followed already.
            let id = identity(&file);
            if id != 0 && self.files.values().any(|f| f.identity == id) {
                continue;
            }
            let offset = if at_end { file.metadata().map_or(0, |m| m.len()) } else { 0 };
            let followed = self.reader.follow(&path, file, offset);
            self.files.insert(path, followed);
        }
    }

    /// Reads the last lines of the most recently modified files, sorted by time.
    fn read_tails(&mut self) {
        let mut latest: Vec<(SystemTime, PathBuf)> = self
            .files
            .iter()
            .filter_map(|(path, f)| Some((f.file.metadata().and_then(|m| m.modified()).ok()?, path.clone())))
            .collect();
        latest.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
        latest.truncate(TAIL_FILES);
        latest.sort_by(|a, b| a.1.cmp(&b.1));
        let now = SystemTime::now();
        let mut timed: Vec<(Timestamp, LogLine)> = Vec::new();
        for (written, path) in latest {
            let Some(followed) = self.files.get_mut(&path) else { continue };
            // A time of day without a date belongs to the day on which the file was last modified.
            let context = Context { now: to_timestamp(written), has_times_of_day: true, ..self.reader.context };
            followed.joiner.set_context(context);
            let mut lines = Vec::new();
            followed.seek_back(TAIL_BYTES);
            followed.read(&mut lines);
            if now.duration_since(written).is_ok_and(|age| age > SETTLE_TIME) {
                lines.extend(followed.joiner.finish());
            }
            let mut last = Timestamp::default();
            timed.extend(lines.into_iter().map(|line| {
                let line = self.reader.with_service(line, &path);
                last = line.at.unwrap_or(last);
                (last, line)
            }));
        }
        timed.retain(|(_, line)| matches_filter(line, &self.filter));
        timed.sort_by_key(|(at, _)| *at);
        let skip = timed.len().saturating_sub(FOLLOW_BACKLOG);
        self.waiting.extend(timed.into_iter().skip(skip).map(|(_, line)| line));
    }

    /// Reads the lines added to each file since the last poll.
    fn poll(&mut self) {
        // New lines were written today.
        self.reader.context.now = Timestamp::from(time::OffsetDateTime::now_utc());
        self.reader.context.has_times_of_day = true;
        self.files.values_mut().for_each(|f| f.joiner.set_context(self.reader.context));
        let mut lines = Vec::new();
        self.files.retain(|path, followed| {
            followed.read(&mut lines);
            let Ok(fresh) = File::open(path) else {
                // Renamed or removed without a successor: the open file may still grow, so keep it for about a minute.
                followed.idle_polls += 1;
                return followed.idle_polls < 600;
            };
            let id = identity(&fresh);
            if id != followed.identity {
                lines.extend(followed.joiner.finish());
                *followed = self.reader.follow(path, fresh, 0);
                followed.read(&mut lines);
            }
            for line in lines.drain(..) {
                let line = self.reader.with_service(line, path);
                if matches_filter(&line, &self.filter) {
                    self.waiting.push_back(line);
                }
            }
            true
        });
        while self.waiting.len() > MAX_WAITING_LINES {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }

    /// Sends the waiting lines as one batch; keeps them when the channel is full.
    fn send(&mut self, sink: &mpsc::Sender<Batch>, is_past: bool) {
        if self.waiting.is_empty() {
            return;
        }
        // Reserve first, so that the lines stay in the queue when the channel is full.
        if let Ok(permit) = sink.try_reserve() {
            permit.send(Batch {
                lines: self.waiting.drain(..).collect(),
                dropped: std::mem::take(&mut self.dropped),
                is_backlog: is_past,
            });
        }
    }
}

impl Followed {
    /// Moves the offset back by at most `max_bytes`, to the start of a line; leaves it when no line starts there.
    fn seek_back(&mut self, max_bytes: u64) {
        let from = self.offset.saturating_sub(max_bytes);
        if from == 0 {
            self.offset = 0;
            return;
        }
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(from)).and_then(|_| (&mut self.file).take(max_bytes).read_to_end(&mut bytes));
        if let Some(end) = read.ok().and_then(|_| memchr::memchr(b'\n', &bytes)) {
            self.offset = from + u64::try_from(end).unwrap_or(0) + 1;
        }
    }

    /// Reads the data appended since the last call and adds the complete events to `out`.
    fn read(&mut self, out: &mut Vec<LogLine>) {
        let Ok(length) = self.file.metadata().map(|m| m.len()) else { return };
        if length < self.offset {
            // Truncated in place (copytruncate): read from the start.
            self.offset = 0;
            self.partial.clear();
        }
        if length == self.offset {
            self.idle_polls += 1;
            // A multi-line event is complete when nothing was appended for three polls.
            if self.idle_polls == 3 {
                out.extend(self.joiner.finish());
            }
            return;
        }
        self.idle_polls = 0;
        let mut bytes = Vec::new();
        let read =
            self.file.seek(SeekFrom::Start(self.offset)).and_then(|_| (&mut self.file).take(MAX_CHUNK).read_to_end(&mut bytes));
        let Ok(count) = read else { return };
        self.offset += u64::try_from(count).unwrap_or(0);
        let mut rest = bytes.as_slice();
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            self.partial.extend_from_slice(line.get(..line.len().min(MAX_LINE)).unwrap_or_default());
            let raw = std::mem::take(&mut self.partial);
            out.extend(self.joiner.push(&String::from_utf8_lossy(&raw)));
        }
        let room = MAX_LINE.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(rest.get(..rest.len().min(room)).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn source(folder: &Path) -> FileLogs {
        FileLogs {
            name: "app".into(),
            globs: vec![format!("{}/*.log*", folder.display())],
            service: None,
            offset_secs: 0,
            formats: Formats::default(),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from(time::OffsetDateTime::now_utc())
    }

    #[test]
    fn assigns_dates_to_times_of_day_from_the_modification_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        // Lines from three days; the file was last modified shortly after midnight of the third.
        let lines = [
            "22:10:00.100 [main] INFO  c.s.Pool - first",
            "23:59:59.900 [main] INFO  c.s.Pool - late",
            "\tat a.B.c(B.java:1)",
            "00:00:01.000 [main] WARN  c.s.Pool - second day",
            "23:00:00.000 [main] INFO  c.s.Pool - second evening",
            "00:30:00.000 [main] ERROR c.s.Pool - third day",
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let written = Timestamp::parse("2026-11-21T00:40:00Z").unwrap();
        let secs = Duration::from_secs(written.secs().unsigned_abs());
        File::options().append(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH + secs).unwrap();
        let reader = source(folder.path()).reader(written);
        let window = Window::new(written - Duration::from_hours(72), written);
        let found = read_all(&reader, window, &LogFilter::default(), 100);
        let lines: Vec<(String, Option<&str>)> = found
            .value
            .iter()
            .map(|l| (l.at.map_or_else(String::new, Timestamp::date_clock), l.level.map(crate::telemetry::log::Level::word)))
            .collect();
        let line = |at: &str, level| (at.to_owned(), Some(level));
        assert_eq!(
            lines,
            [
                line("2026-11-19 22:10:00", "info"),
                line("2026-11-19 23:59:59", "info"),
                line("2026-11-20 00:00:01", "warn"),
                line("2026-11-20 23:00:00", "info"),
                line("2026-11-21 00:30:00", "error")
            ]
        );
        assert!(found.gaps.is_empty() && found.value[1].message.contains("B.java:1"), "{found:?}");
        // Lines of earlier days are not taken for lines of the last day.
        let today = Window::new(written - Duration::from_mins(30), written);
        assert_eq!(read_all(&reader, today, &LogFilter::default(), 100).value.len(), 1);
    }

    #[test]
    fn followed_lines_are_read_as_those_of_the_past() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let line = |n: u32| format!("worker-{} {} [pool-{n}] ERROR c.s.Pool - order {n} failed\n", n % 3, now().date_clock());
        std::fs::write(&path, (0..40).map(line).collect::<String>()).unwrap();
        let source = source(folder.path());
        let mut follower = Follower {
            reader: source.reader(now()),
            filter: LogFilter::default(),
            files: BTreeMap::new(),
            waiting: VecDeque::new(),
            dropped: 0,
        };
        follower.discover(true);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all((40..44).map(line).collect::<String>().as_bytes()).unwrap();
        follower.poll();
        let live: Vec<&str> = follower.waiting.iter().map(|l| l.message.as_str()).collect();
        assert_eq!(live, ["order 40 failed", "order 41 failed", "order 42 failed"], "the last one may go on");
        // A new file shows its form as it grows.
        let new = folder.path().join("new.log");
        std::fs::write(&new, "").unwrap();
        follower.discover(false);
        follower.waiting.clear();
        std::fs::write(&new, (0..20).map(line).collect::<String>()).unwrap();
        follower.poll();
        assert_eq!(follower.waiting.back().map(|l| l.message.as_str()), Some("order 18 failed"));
        let window = Window::before(now() + Duration::from_mins(1), Duration::from_mins(10));
        let past = read_all(&source.reader(now()), window, &LogFilter::default(), 1000);
        assert!(past.value.iter().all(|l| l.message.starts_with("order ")), "{:?}", past.value.first());
    }

    #[test]
    fn reports_a_likely_time_zone_mismatch() {
        let folder = tempfile::tempdir().unwrap();
        let line = |secs: u64| format!("{} ERROR boom\n", (now() - Duration::from_secs(secs)).date_clock());
        std::fs::write(folder.path().join("app.log"), line(5 * 3600 + 60) + &line(5 * 3600)).unwrap();
        let window = Window::before(now(), Duration::from_mins(10));
        let read = |source: FileLogs| read_all(&source.reader(window.end), window, &LogFilter::default(), 100);
        let found = read(source(folder.path()));
        assert!(found.value.is_empty() && found.gaps[0].contains("timezone_offset_minutes"), "{:?}", found.gaps);
        let shifted = read(FileLogs { offset_secs: -5 * 3600, ..source(folder.path()) });
        assert_eq!((shifted.value.len(), shifted.gaps.len()), (2, 0));
    }

    #[tokio::test]
    async fn reads_plain_gz_and_zst_files_within_the_window() {
        let folder = tempfile::tempdir().unwrap();
        let line = |secs: u64, text: &str| format!("{} ERROR {text}\n", (now() - Duration::from_secs(secs)).rfc3339());
        std::fs::write(folder.path().join("checkout.log"), format!("{}{}", line(7200, "old"), line(60, "new"))).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(line(120, "zipped").as_bytes()).unwrap();
        std::fs::write(folder.path().join("checkout.log.1.gz"), gz.finish().unwrap()).unwrap();
        let packed = zstd::bulk::compress(line(90, "packed").as_bytes(), 3).unwrap();
        std::fs::write(folder.path().join("payment.log.2.zst"), packed).unwrap();
        let window = Window::before(now(), Duration::from_mins(10));
        let answer = source(folder.path()).lines(&LogFilter::default(), window, 100).await.unwrap();
        let found: Vec<(&str, Option<&str>)> = answer.value.iter().map(|l| (l.message.as_str(), l.service.as_deref())).collect();
        assert_eq!(found, [("zipped", Some("checkout")), ("packed", Some("payment")), ("new", Some("checkout"))]);
        let limited = source(folder.path()).lines(&LogFilter::default(), window, 2).await.unwrap();
        assert_eq!((limited.value.len(), limited.total, limited.gaps.len()), (2, Some(3), 1));
        let oldest = limited.value[0].at.unwrap();
        assert!(
            limited.unread.len() == 1 && limited.unread[0].start == window.start && limited.unread[0].end < oldest,
            "{:?}",
            limited.unread
        );
    }

    #[tokio::test]
    async fn follows_a_file_across_rotation_and_truncation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        std::fs::write(&path, "2026-11-21T09:00:00Z INFO before\n").unwrap();
        let (sender, mut receiver) = mpsc::channel(8);
        let files = source(folder.path());
        let task = tokio::spawn(async move { files.follow(&LogFilter::default(), sender).await });
        let mut messages: Vec<String> = Vec::new();
        let append = |text: &str| {
            std::fs::OpenOptions::new().append(true).create(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
        };
        let mut steps = 0;
        // The follower may open the file before or after this write; either way the line arrives exactly once.
        append("2026-11-21T09:00:01Z INFO one\n");
        while messages.len() < 4 {
            let batch = tokio::time::timeout(Duration::from_mins(1), receiver.recv()).await.expect("a line in time").unwrap();
            messages.extend(batch.lines.into_iter().map(|l| l.message));
            match (steps, messages.len()) {
                (0, 2) => {
                    std::fs::rename(&path, folder.path().join("app.log.1")).unwrap();
                    append("2026-11-21T09:00:02Z INFO two\n");
                    steps = 1;
                }
                (1, 3) => {
                    File::create(&path).unwrap();
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    append("2026-11-21T09:00:03Z INFO three\n");
                    steps = 2;
                }
                _ => {}
            }
        }
        assert_eq!(messages, ["before", "one", "two", "three"]);
        drop(receiver);
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn following_starts_with_the_last_lines_of_all_files_in_time_order() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(1000);
        let line = |n: usize, text: &str| format!("2026-11-21T09:{:02}:{:02}Z INFO {text}\n", n / 60, n % 60);
        let many: String = (0..600).map(|n| line(n, &format!("a{n} {long}"))).collect();
        std::fs::write(folder.path().join("a.log"), many).unwrap();
        std::fs::write(folder.path().join("b.log"), line(598, "b598\n\tat b.B(b.java:1)") + &line(599, "b599")).unwrap();
        for name in ["a.log", "b.log"] {
            let file = File::options().append(true).open(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
        }
        let (sender, mut receiver) = mpsc::channel(8);
        let files = source(folder.path());
        let task = tokio::spawn(async move { files.follow(&LogFilter::default(), sender).await });
        let batch = tokio::time::timeout(Duration::from_mins(1), receiver.recv()).await.expect("lines in time").unwrap();
        assert!(batch.is_backlog && batch.dropped == 0);
        let messages: Vec<String> = batch.lines.iter().map(|l| l.message.replace(&long, "…")).collect();
        assert_eq!(messages[messages.len() - 4..], ["a598 …", "b598\n  at b.B(b.java:1)", "a599 …", "b599"]);
        // 64 KiB hold 63 lines of 1,031 bytes and part of another, which is left out.
        assert_eq!((messages.len(), messages[0].as_str()), (65, "a537 …"));
        drop(receiver);
        task.await.unwrap().unwrap();
    }
}
