//! Log files by globs: read back over a window, and followed across rotation.
//!
//! Formats are found line by line (`telemetry::parse`). Rotation by rename is seen by the file's identity, truncation by
//! its size; compressed siblings (`.gz`, `.zst`) are read as they are. Reading happens on blocking threads.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::fault::{FaultKind, SourceError};
use super::{Answer, Asked, Batch, LogFilter, LogSource, READ_BACK, Source, lines};
use crate::config::SourceConfig;
use crate::telemetry::parse::{self, Context, Joiner, stamp};
use crate::telemetry::series::Sample;
use crate::telemetry::{Labels, LogLine, Series, Timestamp, Window, clean};

/// How much of the end of one file is read back.
const MAX_READ_BACK: u64 = 64 * 1024 * 1024;
/// The longest raw line that is kept; the rest of it is dropped.
const MAX_LINE: usize = clean::MAX_TEXT_BYTES;
/// Following begins with so much of the end of the files that were written last.
const LAST_BYTES: u64 = 64 * 1024;
const LAST_FILES: usize = 50;
/// A file that was written within this may still be in the middle of an event of several lines.
const SETTLED: Duration = Duration::from_secs(1);
/// How often followed files are looked at, and the globs again.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
const GLOB_EVERY: u32 = 20;
/// Lines that wait for the screen; the oldest are shed.
const RING: usize = 10_000;
/// Bytes of a compressed file after decompression: a small one can hold very much.
const MAX_UNPACKED: u64 = 256 * 1024 * 1024;
/// Lines of one file that counts look at.
const MAX_COUNTED: usize = 500_000;
/// Seconds that the last line of a file may lie from when it was written without a word; zones differ by half an hour at least.
const CLOCKS_DIFFER: f64 = 1500.0;
/// How a gap names a file that could not be read.
pub const UNREADABLE: &str = "could not be read";
/// Bytes taken from one file in one look, so that no file starves the others.
const MAX_CHUNK: u64 = 8 * 1024 * 1024;

/// Log files.
pub struct FileLogs {
    name: String,
    globs: Vec<String>,
    service: Option<String>,
    offset_secs: i32,
}

impl FileLogs {
    /// From its configuration; opens no file. A glob that cannot be one is an error, one that matches nothing is not.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        for pattern in &config.paths {
            glob::Pattern::new(pattern)
                .map_err(|e| SourceError::new(FaultKind::Config, format!("paths: '{pattern}' is not a glob: {e}")))?;
        }
        Ok(Self {
            name: config.name.clone(),
            globs: config.paths.clone(),
            service: config.service.clone(),
            offset_secs: config.timezone_offset_minutes.saturating_mul(60),
        })
    }

    fn reader(&self, now: Timestamp) -> Reader {
        Reader {
            globs: self.globs.clone(),
            service: self.service.clone(),
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

/// What a blocking read needs.
#[derive(Clone)]
struct Reader {
    globs: Vec<String>,
    service: Option<String>,
    context: Context,
}

impl Reader {
    /// The files that the globs match now, sorted; unreadable folders are skipped by the walk.
    fn files(&self) -> Vec<PathBuf> {
        matching(&self.globs)
    }

    /// Fills in the service that a line does not name: the configured one, else the file's name up to its first dot.
    fn finish(&self, mut line: LogLine, path: &Path) -> LogLine {
        if line.service.is_none() {
            let stem = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.split('.').next()).filter(|s| !s.is_empty());
            line.service = self.service.clone().or_else(|| stem.map(clean::line));
        }
        line
    }

    fn read(&self, path: &Path, window: Window, filter: &LogFilter, out: &mut Read1) -> std::io::Result<()> {
        let meta = path.metadata()?;
        // A file last written before the window holds nothing of it.
        if meta.modified().is_ok_and(|m| modified(m) < window.start) {
            return Ok(());
        }
        let is_packed = is_packed(path);
        let from = meta.len().saturating_sub(MAX_READ_BACK);
        if from > 0 && !is_packed {
            out.gaps.push(format!("of {} only the last {} MiB were read", path.display(), MAX_READ_BACK >> 20));
        }
        let written = meta.modified().map_or(self.context.now, modified);
        let mut days = Days::of(open(path, from)?.as_mut(), written, self.context)?;
        let mut reader = open(path, from)?;
        let before = out.total;
        let mut last = None;
        let mut joiner = Joiner::new(self.context);
        let mut raw = Vec::new();
        let mut bytes = 0_u64;
        loop {
            bytes += u64::try_from(raw.len()).unwrap_or(0) + 1;
            raw.clear();
            let more = lines::read_line(reader.as_mut(), &mut raw, MAX_LINE)?;
            let text = String::from_utf8_lossy(&raw);
            if let Some(context) = days.as_mut().and_then(|d| d.context(&text)) {
                joiner.set_context(context);
            }
            let event = if more { joiner.push(&text) } else { joiner.finish() };
            if let Some(line) = event.map(|l| self.finish(l, path)) {
                last = line.at.or(last);
                out.take(line, window, filter);
            }
            if !more {
                if let Some(last) = last.filter(|at| out.total == before && is_off(*at, written)) {
                    out.gaps.push(format!(
                        "{}: its last line tells {} UTC, but it was written at {}: if its clock is in another zone, set timezone_offset_minutes",
                        path.display(),
                        last.date_clock(),
                        written.date_clock()
                    ));
                }
                if is_packed && bytes >= MAX_UNPACKED {
                    out.gaps.push(format!("of {} only the first {} MiB were read", path.display(), MAX_UNPACKED >> 20));
                }
                return Ok(());
            }
        }
    }
}

/// Whether the last line of a file tells a time far from when the file was written.
fn is_off(last: Timestamp, written: Timestamp) -> bool {
    last.secs_since(written).abs() > CLOCKS_DIFFER
}

/// Opens a file at its start, or a plain one at an offset.
fn open(path: &Path, from: u64) -> std::io::Result<Box<dyn BufRead>> {
    let mut file = File::open(path)?;
    if from > 0 && !is_packed(path) {
        file.seek(SeekFrom::Start(from))?;
        return Ok(Box::new(std::io::BufReader::new(file)));
    }
    lines::unpacked(file, MAX_UNPACKED)
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "gz" || e == "zst")
}

/// Lines of a file from which it is seen whether its times are of the day alone.
const SNIFFED: usize = 100;
/// So far back in the day a line may lie behind the one before it; farther, and it is the next day's.
const DISORDER_SECS: u32 = 3600;

/// The days of a file whose lines tell the time of day alone: it was last written on the last of them, and each time that the
/// clock falls back begins another. A day without a line cannot be seen.
struct Days {
    context: Context,
    /// Midnights that lie before the last line.
    left: u32,
    /// A moment within the last day, and when the file was written.
    last_day: Timestamp,
    written: Timestamp,
    before: Option<u32>,
}

impl Days {
    /// Reads through a file; `None` when its lines tell their date, or no time at all.
    fn of(reader: &mut dyn BufRead, written: Timestamp, context: Context) -> std::io::Result<Option<Self>> {
        let (mut raw, mut seen, mut left, mut before, mut first) = (Vec::new(), 0, 0, None, None);
        while lines::read_line(reader, &mut raw, MAX_LINE)? {
            let text = String::from_utf8_lossy(&raw);
            if seen < SNIFFED {
                seen += 1;
                if parse::line(&text, context).at.is_some() || (seen == SNIFFED && before.is_none()) {
                    return Ok(None);
                }
            }
            if let Some(second) = stamp::second_of_day(&text) {
                if before.is_some_and(|b: u32| second + DISORDER_SECS < b) {
                    left += 1;
                    first = None;
                }
                if first.is_none() {
                    first = Some(text.into_owned());
                }
                before = Some(second);
            }
            raw.clear();
        }
        let context = Context { has_times_of_day: true, now: written, ..context };
        let last_day = first.and_then(|line| stamp::time_of_day(&line, context)).map(|(at, _)| at);
        Ok(last_day.map(|last_day| Self { context, left, last_day, written, before: None }))
    }

    /// How the times of the next line are to be read, where that is another day's.
    fn context(&mut self, text: &str) -> Option<Context> {
        let second = stamp::second_of_day(text)?;
        let is_first = self.before.is_none();
        let turns = self.before.replace(second).is_some_and(|before| second + DISORDER_SECS < before);
        self.left -= u32::from(turns && self.left > 0);
        if !is_first && !turns {
            return None;
        }
        self.context.now = if self.left == 0 {
            self.written
        } else {
            // An hour before the day's end: a time of day may lie up to an hour ahead.
            let day = 86_400;
            let offset = i64::from(self.context.offset_secs);
            let midnight = (self.last_day.secs() + offset).div_euclid(day) * day - offset;
            Timestamp::from_micros((midnight - i64::from(self.left) * day + day - 3600) * 1_000_000 - 1)
        };
        Some(self.context)
    }
}

fn modified(time: SystemTime) -> Timestamp {
    Timestamp::from(time::OffsetDateTime::from(time))
}

/// What a read over several files gathers.
#[derive(Default)]
struct Read1 {
    lines: VecDeque<LogLine>,
    /// Lines of one file that are kept at most, the newest.
    limit: usize,
    /// Where the lines of the file that is being read begin.
    file_start: usize,
    total: usize,
    gaps: Vec<String>,
    untimed: u64,
}

impl Read1 {
    fn take(&mut self, line: LogLine, window: Window, filter: &LogFilter) {
        let timed = line.at.is_some();
        if line.at.is_some_and(|at| !window.contains(at)) || !wanted(&line, filter) {
            return;
        }
        self.untimed += u64::from(!timed);
        self.total += 1;
        // Files are written in the order of time: the oldest line of this file gives way.
        if self.lines.len() - self.file_start >= self.limit {
            self.lines.remove(self.file_start);
        }
        self.lines.push_back(line);
    }
}

fn wanted(line: &LogLine, filter: &LogFilter) -> bool {
    if let Some(raw) = &filter.raw {
        return line.message.to_lowercase().contains(&raw.to_lowercase());
    }
    let service = filter.services.is_empty() || line.service.as_ref().is_some_and(|s| filter.services.contains(s));
    service && (!filter.bad_only || line.is_bad())
}

fn read_all(reader: &Reader, window: Window, filter: &LogFilter, limit: usize) -> Answer<Vec<LogLine>> {
    let mut read = Read1 { limit: limit.max(1), ..Read1::default() };
    for path in reader.files() {
        read.file_start = read.lines.len();
        if let Err(e) = reader.read(&path, window, filter, &mut read) {
            read.gaps.push(clean::line(&format!("{} {UNREADABLE}: {e}", path.display())));
        }
    }
    // Lines without a time keep their place after the one before them.
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
            "no time of its own, so perhaps outside the window: {}",
            crate::telemetry::words::count(read.untimed, "line")
        ));
    }
    if total > limit {
        gaps.push(format!("{total} lines in the window, the newest {limit} are kept"));
    }
    let lines = keyed.into_iter().skip(kept.saturating_sub(limit)).map(|(_, l)| l).collect();
    Answer { value: lines, gaps, total: u64::try_from(total).ok() }
}

fn count(lines: &[LogLine], window: Window, step_secs: f64) -> Vec<Series> {
    let step = step_secs.max(1.0);
    let mut bins: BTreeMap<&str, BTreeMap<i64, f64>> = BTreeMap::new();
    for line in lines {
        let Some(at) = line.at else { continue };
        let bin = (at.secs_since(window.start) / step) as i64;
        *bins.entry(line.level.map_or("unknown", |l| l.word())).or_default().entry(bin).or_default() += 1.0;
    }
    bins.into_iter()
        .map(|(level, counts)| Series {
            labels: Labels::from([("level".to_owned(), level.to_owned())]),
            samples: counts
                .into_iter()
                .map(|(bin, value)| Sample {
                    at: window.start + Duration::from_secs_f64((bin.max(0) as f64 + 1.0) * step),
                    value,
                })
                .collect(),
        })
        .collect()
}

/// The files that globs match now, sorted, each once; folders that cannot be read are passed over.
pub(super) fn matching(globs: &[String]) -> Vec<PathBuf> {
    let found = globs.iter().filter_map(|g| glob::glob(g).ok()).flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> = found.filter(|p| p.is_file()).collect();
    files.sort();
    files.dedup();
    files
}

/// Work that blocks, on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| SourceError::new(FaultKind::Io, format!("the reading thread ended: {e}")))
}

impl Source for FileLogs {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &str {
        "file"
    }
    fn probe(&self) -> BoxFuture<'_, Result<String, SourceError>> {
        let reader = self.reader(Timestamp::default());
        async move {
            let (count, unreadable) = blocking(move || {
                let files = reader.files();
                (files.len(), files.iter().find_map(|f| File::open(f).err().map(|e| format!("{}: {e}", f.display()))))
            })
            .await?;
            match unreadable {
                Some(what) => Err(SourceError::new(FaultKind::Io, what)),
                None => Ok(format!("{count} files match")),
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

    fn lines<'a>(&'a self, filter: &'a LogFilter, window: Window, limit: usize) -> Asked<'a, Vec<LogLine>> {
        let (reader, filter) = (self.reader(window.end), filter.clone());
        async move { blocking(move || read_all(&reader, window, &filter, limit)).await }.boxed()
    }

    fn counts<'a>(&'a self, filter: &'a LogFilter, window: Window, step_secs: f64) -> Asked<'a, Vec<Series>> {
        let (reader, filter) = (self.reader(window.end), filter.clone());
        async move {
            let answer = blocking(move || read_all(&reader, window, &filter, MAX_COUNTED)).await?;
            Ok(answer.map(|lines| count(&lines, window, step_secs)))
        }
        .boxed()
    }

    fn follow<'a>(&'a self, filter: &'a LogFilter, sink: mpsc::Sender<Batch>) -> BoxFuture<'a, Result<(), SourceError>> {
        let now = Timestamp::from(time::OffsetDateTime::now_utc());
        let mut follower = Follower {
            reader: self.reader(now),
            filter: filter.clone(),
            files: BTreeMap::new(),
            ring: VecDeque::new(),
            dropped: 0,
        };
        async move {
            follower = blocking(move || {
                follower.discover(true);
                follower.look_back();
                follower
            })
            .await?;
            follower.send(&sink, true);
            let mut round = 0_u32;
            while !sink.is_closed() {
                tokio::time::sleep(FOLLOW_EVERY).await;
                round = round.wrapping_add(1);
                follower = blocking(move || {
                    if round.is_multiple_of(GLOB_EVERY) {
                        follower.discover(false);
                    }
                    follower.look();
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

/// Files being followed, and the lines that wait.
struct Follower {
    reader: Reader,
    filter: LogFilter,
    files: BTreeMap<PathBuf, Followed>,
    ring: VecDeque<LogLine>,
    dropped: u64,
}

struct Followed {
    file: File,
    identity: u64,
    offset: u64,
    partial: Vec<u8>,
    joiner: Joiner,
    quiet: u32,
}

#[cfg(unix)]
fn identity(file: &File) -> u64 {
    use std::os::unix::fs::MetadataExt;
    file.metadata().map_or(0, |m| m.ino())
}

#[cfg(not(unix))]
fn identity(_file: &File) -> u64 {
    // Without inodes rotation by rename is seen as a shorter file under the same name.
    0
}

impl Follower {
    /// Opens files that are new. What is there at the start is old news: it is followed from its end, or shortly before.
    fn discover(&mut self, at_end: bool) {
        for path in self.reader.files() {
            if is_packed(&path) || self.files.contains_key(&path) {
                continue;
            }
            let Ok(file) = File::open(&path) else { continue };
            // A file that appears under a name of its own because it was rotated there is one that we have already.
            let known = identity(&file);
            if known != 0 && self.files.values().any(|f| f.identity == known) {
                continue;
            }
            let offset = if at_end { file.metadata().map_or(0, |m| m.len()) } else { 0 };
            self.files.insert(
                path,
                Followed {
                    identity: known,
                    file,
                    offset,
                    partial: Vec::new(),
                    joiner: Joiner::new(self.reader.context),
                    quiet: 0,
                },
            );
        }
    }

    /// Reads the last lines of the files that were written last, sorted by time.
    fn look_back(&mut self) {
        let mut latest: Vec<(SystemTime, PathBuf)> = self
            .files
            .iter()
            .filter_map(|(path, f)| Some((f.file.metadata().and_then(|m| m.modified()).ok()?, path.clone())))
            .collect();
        latest.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
        latest.truncate(LAST_FILES);
        latest.sort_by(|a, b| a.1.cmp(&b.1));
        let now = SystemTime::now();
        let mut timed: Vec<(Timestamp, LogLine)> = Vec::new();
        for (written, path) in latest {
            let Some(followed) = self.files.get_mut(&path) else { continue };
            // Times of the day alone are of the day on which the file was written.
            let context = Context { now: modified(written), has_times_of_day: true, ..self.reader.context };
            followed.joiner.set_context(context);
            let mut lines = Vec::new();
            followed.back_to_lines(LAST_BYTES);
            followed.read(&mut lines);
            if now.duration_since(written).is_ok_and(|quiet| quiet > SETTLED) {
                lines.extend(followed.joiner.finish());
            }
            let mut last = Timestamp::default();
            timed.extend(lines.into_iter().map(|line| {
                let line = self.reader.finish(line, &path);
                last = line.at.unwrap_or(last);
                (last, line)
            }));
        }
        timed.retain(|(_, line)| wanted(line, &self.filter));
        timed.sort_by_key(|(at, _)| *at);
        let skip = timed.len().saturating_sub(READ_BACK);
        self.ring.extend(timed.into_iter().skip(skip).map(|(_, line)| line));
    }

    /// Reads what was added to each file since the last look.
    fn look(&mut self) {
        // What is written now is of today.
        self.reader.context.now = Timestamp::from(time::OffsetDateTime::now_utc());
        self.reader.context.has_times_of_day = true;
        self.files.values_mut().for_each(|f| f.joiner.set_context(self.reader.context));
        let mut lines = Vec::new();
        self.files.retain(|path, followed| {
            followed.read(&mut lines);
            let Ok(fresh) = File::open(path) else {
                // Renamed or removed, and nothing new under the name yet: the open one may still grow.
                followed.quiet += 1;
                return followed.quiet < 600;
            };
            let known = identity(&fresh);
            if known != followed.identity {
                lines.extend(followed.joiner.finish());
                *followed = Followed {
                    identity: known,
                    file: fresh,
                    offset: 0,
                    partial: Vec::new(),
                    joiner: Joiner::new(self.reader.context),
                    quiet: 0,
                };
                followed.read(&mut lines);
            }
            for line in lines.drain(..) {
                let line = self.reader.finish(line, path);
                if wanted(&line, &self.filter) {
                    self.ring.push_back(line);
                }
            }
            true
        });
        while self.ring.len() > RING {
            self.ring.pop_front();
            self.dropped += 1;
        }
    }

    fn send(&mut self, sink: &mpsc::Sender<Batch>, is_past: bool) {
        if self.ring.is_empty() {
            return;
        }
        // Taking a place first: a batch that cannot be sent would have to be put back.
        if let Ok(place) = sink.try_reserve() {
            place.send(Batch { lines: self.ring.drain(..).collect(), dropped: std::mem::take(&mut self.dropped), is_past });
        }
    }
}

impl Followed {
    /// From the end of the file back to the start of a line, at most `most` bytes; stays where it is when there is none.
    fn back_to_lines(&mut self, most: u64) {
        let from = self.offset.saturating_sub(most);
        if from == 0 {
            self.offset = 0;
            return;
        }
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(from)).and_then(|_| (&mut self.file).take(most).read_to_end(&mut bytes));
        if let Some(end) = read.ok().and_then(|_| memchr::memchr(b'\n', &bytes)) {
            self.offset = from + u64::try_from(end).unwrap_or(0) + 1;
        }
    }

    fn read(&mut self, out: &mut Vec<LogLine>) {
        let Ok(length) = self.file.metadata().map(|m| m.len()) else { return };
        if length < self.offset {
            // Truncated in place (copytruncate): begin again.
            self.offset = 0;
            self.partial.clear();
        }
        if length == self.offset {
            self.quiet += 1;
            // A joined event is complete once nothing followed for a moment.
            if self.quiet == 3 {
                out.extend(self.joiner.finish());
            }
            return;
        }
        self.quiet = 0;
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
        FileLogs { name: "app".into(), globs: vec![format!("{}/*.log*", folder.display())], service: None, offset_secs: 0 }
    }

    fn now() -> Timestamp {
        Timestamp::from(time::OffsetDateTime::now_utc())
    }

    #[test]
    fn times_of_day_are_of_the_days_before_the_file_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        // Three days: written in the night of the last, whose first lines are of the evening before.
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
        let told: Vec<(String, Option<&str>)> =
            found.value.iter().map(|l| (l.at.map_or_else(String::new, |t| t.date_clock()), l.level.map(|l| l.word()))).collect();
        let of = |at: &str, level| (at.to_owned(), Some(level));
        assert_eq!(
            told,
            [
                of("2026-11-19 22:10:00", "info"),
                of("2026-11-19 23:59:59", "info"),
                of("2026-11-20 00:00:01", "warn"),
                of("2026-11-20 23:00:00", "info"),
                of("2026-11-21 00:30:00", "error")
            ]
        );
        assert!(found.gaps.is_empty() && found.value[1].message.contains("B.java:1"), "{found:?}");
        // Yesterday's lines do not pass for today's.
        let today = Window::new(written - Duration::from_mins(30), written);
        assert_eq!(read_all(&reader, today, &LogFilter::default(), 100).value.len(), 1);
    }

    #[test]
    fn a_log_in_another_zone_says_why_nothing_of_it_is_in_the_window() {
        let folder = tempfile::tempdir().unwrap();
        let line = |secs: u64| format!("{} ERROR boom\n", (now() - Duration::from_secs(secs)).date_clock());
        std::fs::write(folder.path().join("app.log"), line(5 * 3600 + 60) + &line(5 * 3600)).unwrap();
        let window = Window::before(now(), Duration::from_secs(600));
        let read = |source: FileLogs| read_all(&source.reader(window.end), window, &LogFilter::default(), 100);
        let found = read(source(folder.path()));
        assert!(found.value.is_empty() && found.gaps[0].contains("timezone_offset_minutes"), "{:?}", found.gaps);
        let there = read(FileLogs { offset_secs: -5 * 3600, ..source(folder.path()) });
        assert_eq!((there.value.len(), there.gaps.len()), (2, 0));
    }

    #[tokio::test]
    async fn plain_gz_and_zst_are_read_within_the_window() {
        let folder = tempfile::tempdir().unwrap();
        let line = |secs: u64, text: &str| format!("{} ERROR {text}\n", (now() - Duration::from_secs(secs)).rfc3339());
        std::fs::write(folder.path().join("checkout.log"), format!("{}{}", line(7200, "old"), line(60, "new"))).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(line(120, "zipped").as_bytes()).unwrap();
        std::fs::write(folder.path().join("checkout.log.1.gz"), gz.finish().unwrap()).unwrap();
        let packed = zstd::bulk::compress(line(90, "packed").as_bytes(), 3).unwrap();
        std::fs::write(folder.path().join("payment.log.2.zst"), packed).unwrap();
        let window = Window::before(now(), Duration::from_secs(600));
        let answer = source(folder.path()).lines(&LogFilter::default(), window, 100).await.unwrap();
        let found: Vec<(&str, Option<&str>)> = answer.value.iter().map(|l| (l.message.as_str(), l.service.as_deref())).collect();
        assert_eq!(found, [("zipped", Some("checkout")), ("packed", Some("payment")), ("new", Some("checkout"))]);
        let two = source(folder.path()).lines(&LogFilter::default(), window, 2).await.unwrap();
        assert_eq!((two.value.len(), two.total, two.gaps.len()), (2, Some(3), 1));
    }

    #[tokio::test]
    async fn a_followed_file_survives_rotation_and_truncation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        std::fs::write(&path, "2026-11-21T09:00:00Z INFO before\n").unwrap();
        let (sender, mut receiver) = mpsc::channel(8);
        let files = source(folder.path());
        let task = tokio::spawn(async move { files.follow(&LogFilter::default(), sender).await });
        let mut seen: Vec<String> = Vec::new();
        let append = |text: &str| {
            std::fs::OpenOptions::new().append(true).create(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
        };
        let mut steps = 0;
        // Written before the follower may have opened it, or after: no line is missed, none comes twice.
        append("2026-11-21T09:00:01Z INFO one\n");
        while seen.len() < 4 {
            let batch = tokio::time::timeout(Duration::from_secs(60), receiver.recv()).await.expect("a line in time").unwrap();
            seen.extend(batch.lines.into_iter().map(|l| l.message));
            match (steps, seen.len()) {
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
        assert_eq!(seen, ["before", "one", "two", "three"]);
        drop(receiver);
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn following_begins_with_the_last_lines_of_all_files_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(1000);
        let line = |n: usize, text: &str| format!("2026-11-21T09:{:02}:{:02}Z INFO {text}\n", n / 60, n % 60);
        let many: String = (0..600).map(|n| line(n, &format!("a{n} {long}"))).collect();
        std::fs::write(folder.path().join("a.log"), many).unwrap();
        std::fs::write(folder.path().join("b.log"), line(598, "b598\n\tat b.B(b.java:1)") + &line(599, "b599")).unwrap();
        for name in ["a.log", "b.log"] {
            let file = File::options().append(true).open(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        }
        let (sender, mut receiver) = mpsc::channel(8);
        let files = source(folder.path());
        let task = tokio::spawn(async move { files.follow(&LogFilter::default(), sender).await });
        let batch = tokio::time::timeout(Duration::from_secs(60), receiver.recv()).await.expect("lines in time").unwrap();
        assert!(batch.is_past && batch.dropped == 0);
        let told: Vec<String> = batch.lines.iter().map(|l| l.message.replace(&long, "…")).collect();
        assert_eq!(told[told.len() - 4..], ["a598 …", "b598\n  at b.B(b.java:1)", "a599 …", "b599"]);
        // 64 KiB hold 63 lines of 1,031 bytes and the end of one, which is not told.
        assert_eq!((told.len(), told[0].as_str()), (65, "a537 …"));
        drop(receiver);
        task.await.unwrap().unwrap();
    }
}
