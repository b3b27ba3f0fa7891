//! Recordings: files that hold the answers of all sources for one span, and sources that play them back.
//!
//! A recording is JSON compressed with zstd. Each recorded source stores its answers by exact query, for the whole span and
//! at the finest step. Playback shifts times so that the span ends now, and cuts an answer to the window and step of the
//! request. A query that was not recorded is an error of kind `NotRecorded`, never an empty answer; names of metrics and labels that were
//! not recorded are those of the recorded series. `recorder` does the recording.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::fault::{FaultKind, SourceError};
use super::{AlertSource, Answer, AnswerFuture, Batch, ChangeSource, LogFilter, LogSource, MetricSource, Probe, Source};
use crate::analysis::expression::unit_of_rule;
use crate::config::SourceConfig;
use crate::telemetry::{Alert, ChangeEvent, Labels, LogLine, Rule, Series, Timestamp, Window};

/// The version of the file format; files of a newer version are rejected.
const FORMAT: u32 = 1;
/// How much of the end of the recorded lines is followed. A longer part would begin with the state before a recent incident.
const FOLLOWED: Duration = Duration::from_mins(1);
/// The largest recording that is read, in bytes after decompression.
const MAX_SIZE: usize = 512 * 1024 * 1024;

/// The content of a recording file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    pub format: u32,
    pub title: String,
    /// The span that every answer covers. On playback, its end is the time at which playback starts.
    pub span: Window,
    pub step_secs: f64,
    pub sources: Vec<RecordedSource>,
}

/// The recorded answers of one source. `None` means that the signal was never queried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordedSource {
    pub name: String,
    pub kind: String,
    pub alerts: Option<Answer<Vec<Alert>>>,
    pub alerts_query: String,
    pub rules: Option<Answer<Vec<Rule>>>,
    pub has_metrics: bool,
    pub ranges: BTreeMap<String, Answer<Vec<Series>>>,
    pub series: BTreeMap<String, Answer<Vec<Labels>>>,
    pub label_values: BTreeMap<String, Answer<Vec<String>>>,
    pub has_logs: bool,
    /// The source's own query for each filter; the key is the filter as JSON. `lines` is keyed by that query.
    pub log_queries: BTreeMap<String, String>,
    pub lines: BTreeMap<String, Answer<Vec<LogLine>>>,
    /// Changes within the span. Recordings made before warroom had sources of changes lack the field.
    #[serde(default)]
    pub changes: Option<Answer<Vec<ChangeEvent>>>,
    #[serde(default)]
    pub changes_query: String,
}

/// The key of a filter in `log_queries`: the filter as JSON.
pub(super) fn filter_key(filter: &LogFilter) -> String {
    serde_json::to_string(filter).unwrap_or_default()
}

impl Recording {
    /// Parses the bytes of a recording file. An error when they are not a recording or come from a newer version of warroom.
    pub fn decode(bytes: &[u8]) -> Result<Self, SourceError> {
        let malformed = |what: String| SourceError::new(FaultKind::Malformed, what);
        let decoder = zstd::stream::read::Decoder::new(bytes).map_err(|e| malformed(format!("not a warroom recording: {e}")))?;
        let mut json = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(decoder, u64::try_from(MAX_SIZE).unwrap_or(u64::MAX)), &mut json)
            .map_err(|e| malformed(format!("not a warroom recording: {e}")))?;
        let recording: Self = serde_json::from_slice(&json).map_err(|e| malformed(format!("not a warroom recording: {e}")))?;
        if recording.format > FORMAT {
            return Err(malformed(format!(
                "recorded by a newer version of warroom (format {}); update warroom",
                recording.format
            )));
        }
        Ok(recording)
    }

    /// The bytes of a recording file.
    pub fn encode(&self) -> Result<Vec<u8>, SourceError> {
        let json = serde_json::to_vec(self).map_err(|e| SourceError::new(FaultKind::Malformed, e.to_string()))?;
        zstd::bulk::compress(&json, 19).map_err(|e| SourceError::new(FaultKind::Io, e.to_string()))
    }

    /// A recording in the current format.
    pub fn new(title: String, span: Window, step_secs: f64, sources: Vec<RecordedSource>) -> Self {
        Self { format: FORMAT, title, span, step_secs, sources }
    }

    /// The recorded sources, with times shifted so that the span ends at `now`.
    pub fn play(self, now: Timestamp) -> Vec<Arc<dyn Source>> {
        let (shift, span) = (now.micros() - self.span.end.micros(), self.span);
        self.sources.into_iter().map(|source| Arc::new(Player { source, shift, span }) as Arc<dyn Source>).collect()
    }
}

/// The sources of a configured recording. Reads the file; an error when it cannot be read or is not a recording.
pub(super) fn open(config: &SourceConfig) -> Result<Vec<Arc<dyn Source>>, SourceError> {
    let path = config.path.as_deref().unwrap_or_default();
    let bytes =
        std::fs::read(Path::new(path)).map_err(|e| SourceError::new(FaultKind::Io, format!("cannot read {path}: {e}")))?;
    Ok(Recording::decode(&bytes)?.play(Timestamp::from(time::OffsetDateTime::now_utc())))
}

/// A source that plays back recorded answers.
struct Player {
    source: RecordedSource,
    /// Microseconds to add to a recorded time to get the playback time.
    shift: i64,
    /// The span of the recording, in recorded time.
    span: Window,
}

impl Player {
    /// The playback time of a recorded time.
    fn to_playback(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_micros(at.micros().saturating_add(self.shift))
    }

    /// The recorded window of a window in playback time.
    fn to_recorded(&self, window: Window) -> Window {
        let back = |at: Timestamp| Timestamp::from_micros(at.micros().saturating_sub(self.shift));
        Window { start: back(window.start), end: back(window.end) }
    }

    /// The error for a query that the recording has no answer to.
    fn not_recorded(query: &str) -> SourceError {
        SourceError::new(FaultKind::NotRecorded, format!("the recording does not contain {query}"))
    }

    /// Series cut to a window and thinned out to a step, in playback time; series without samples are left out.
    fn cut(&self, answer: &Answer<Vec<Series>>, window: Window, step_secs: f64) -> Answer<Vec<Series>> {
        let recorded = self.to_recorded(window);
        let series = answer.value.iter().filter_map(|s| {
            let mut next = i64::MIN;
            let step = (step_secs * 1e6) as i64;
            let samples: Vec<_> = s
                .within(recorded)
                .iter()
                .filter(|p| {
                    let due = p.at.micros() >= next;
                    if due {
                        // A quarter of a step early is still due, because the recorded step need not divide the requested
                        // one.
                        next = p.at.micros().saturating_add(step - step / 4);
                    }
                    due
                })
                .map(|p| crate::telemetry::Sample { at: self.to_playback(p.at), value: p.value })
                .collect();
            (!samples.is_empty()).then(|| Series { labels: s.labels.clone(), samples })
        });
        Answer { total: answer.total, gaps: answer.gaps.clone(), ..Answer::complete(series.collect()) }
    }
}

impl Source for Player {
    fn name(&self) -> &str {
        &self.source.name
    }
    fn kind(&self) -> &str {
        &self.source.kind
    }
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
        let held = self.source.ranges.len() + self.source.lines.len();
        async move { Ok(Probe::ok(format!("recording with {held} answers"))) }.boxed()
    }
    fn alerts(&self) -> Option<&dyn AlertSource> {
        self.source.alerts.is_some().then_some(self as &dyn AlertSource)
    }
    fn metrics(&self) -> Option<&dyn MetricSource> {
        self.source.has_metrics.then_some(self as &dyn MetricSource)
    }
    fn logs(&self) -> Option<&dyn LogSource> {
        self.source.has_logs.then_some(self as &dyn LogSource)
    }
    fn changes(&self) -> Option<&dyn ChangeSource> {
        self.source.changes.is_some().then_some(self as &dyn ChangeSource)
    }
}

impl ChangeSource for Player {
    fn query(&self, _window: Window) -> String {
        self.source.changes_query.clone()
    }
    fn within(&self, window: Window) -> AnswerFuture<'_, Vec<ChangeEvent>> {
        let answer = self.source.changes.clone().ok_or_else(|| Self::not_recorded("changes")).map(|answer| {
            answer.map(|changes| {
                let shifted = changes.into_iter().map(|c| ChangeEvent { at: self.to_playback(c.at), ..c });
                shifted.filter(|c| window.contains(c.at)).collect()
            })
        });
        async move { answer }.boxed()
    }
}

impl AlertSource for Player {
    fn active(&self) -> AnswerFuture<'_, Vec<Alert>> {
        let rules = self.source.rules.as_ref().map_or(&[][..], |rules| &rules.value);
        // Earlier recordings have no units.
        let unit = |name: &str| rules.iter().find(|r| r.name == name).map_or("", |r| unit_of_rule(&r.query));
        let answer = self.source.alerts.clone().ok_or_else(|| Self::not_recorded("alerts")).map(|answer| {
            answer.map(|alerts| {
                alerts
                    .into_iter()
                    .map(|mut a| {
                        a.starts_at = a.starts_at.map(|t| self.to_playback(t));
                        a.pending_since = a.pending_since.map(|t| self.to_playback(t));
                        if a.value.is_some() && a.unit.is_empty() {
                            unit(&a.name).clone_into(&mut a.unit);
                        }
                        for silence in &mut a.silenced_by {
                            silence.ends_at = silence.ends_at.map(|t| self.to_playback(t));
                        }
                        a
                    })
                    .collect()
            })
        });
        async move { answer }.boxed()
    }
    fn query(&self) -> String {
        self.source.alerts_query.clone()
    }
}

/// The names of metrics in a query: the names before a selector or a range.
fn metrics_in(query: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let before = |at: usize| query.get(..at).unwrap_or_default().rsplit(|c| !is_name(c)).next().unwrap_or_default();
    let names = query.match_indices(['{', '[']).map(|(at, _)| before(at)).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

impl MetricSource for Player {
    fn range<'a>(&'a self, query: &'a str, window: Window, step_secs: f64) -> AnswerFuture<'a, Vec<Series>> {
        let answer =
            self.source.ranges.get(query).map(|a| self.cut(a, window, step_secs)).ok_or_else(|| Self::not_recorded(query));
        async move { answer }.boxed()
    }
    fn series<'a>(&'a self, selector: &'a str, _window: Window) -> AnswerFuture<'a, Vec<Labels>> {
        let answer = self.source.series.get(selector).cloned().ok_or_else(|| Self::not_recorded(selector));
        async move { answer }.boxed()
    }
    fn label_values<'a>(&'a self, label: &'a str, _window: Window) -> AnswerFuture<'a, Vec<String>> {
        let answer = self.source.label_values.get(label).cloned().map_or_else(
            || {
                // What the recorded series have.
                let has_label = |s: &Series| s.labels.get(label).cloned();
                let mut values: BTreeSet<String> =
                    self.source.ranges.values().flat_map(|a| &a.value).filter_map(has_label).collect();
                if label == "__name__" {
                    values.extend(self.source.ranges.keys().flat_map(|query| metrics_in(query)));
                }
                if values.is_empty() {
                    Err(Self::not_recorded(label))
                } else {
                    Ok(Answer::complete(values.into_iter().collect()))
                }
            },
            Ok,
        );
        async move { answer }.boxed()
    }
    fn label_names(&self, _window: Window) -> AnswerFuture<'_, Vec<String>> {
        let all = self.source.ranges.values().flat_map(|a| &a.value).flat_map(|s| s.labels.keys().cloned());
        let names: BTreeSet<String> = all.filter(|name| name != "__name__").collect();
        async move { Ok(Answer::complete(names.into_iter().collect())) }.boxed()
    }
    fn rules(&self) -> AnswerFuture<'_, Vec<Rule>> {
        let answer = self.source.rules.clone().ok_or_else(|| Self::not_recorded("rules"));
        async move { answer }.boxed()
    }
}

impl LogSource for Player {
    fn query<'a>(&'a self, filter: &'a LogFilter, _window: Window) -> BoxFuture<'a, Result<String, SourceError>> {
        let text = match &filter.raw {
            Some(raw) => Ok(raw.clone()),
            None => self.source.log_queries.get(&filter_key(filter)).cloned().ok_or_else(|| Self::not_recorded("these logs")),
        };
        async move { text }.boxed()
    }

    fn lines<'a>(&'a self, filter: &'a LogFilter, window: Window, limit: usize) -> AnswerFuture<'a, Vec<LogLine>> {
        async move {
            let query = LogSource::query(self, filter, window).await?;
            let answer = self.source.lines.get(&query).ok_or_else(|| Self::not_recorded(&query))?;
            let recorded = self.to_recorded(window);
            let in_window: Vec<&LogLine> = answer.value.iter().filter(|l| l.at.is_none_or(|at| recorded.contains(at))).collect();
            let (total, mut gaps) = (in_window.len(), answer.gaps.clone());
            if recorded.end < self.span.start || recorded.start > self.span.end {
                let span = Window::new(self.to_playback(self.span.start), self.to_playback(self.span.end));
                gaps.push(format!("the window is outside the recording, which covers {}", span.label()));
            }
            if total > limit {
                gaps.push(format!("{total} lines in the window; only the newest {limit} are included"));
            }
            let skipped = total.saturating_sub(limit);
            let unread = in_window.get(..skipped).unwrap_or_default().iter().rev().find_map(|l| l.at);
            let unread = unread.map(|at| Window::new(window.start, self.to_playback(at)));
            let lines = in_window
                .into_iter()
                .skip(skipped)
                .map(|l| LogLine { at: l.at.map(|t| self.to_playback(t)), ..l.clone() })
                .collect();
            let unread = unread.into_iter().collect();
            Ok(Answer { value: lines, gaps, failed: Vec::new(), total: u64::try_from(total).ok(), unread })
        }
        .boxed()
    }

    /// Replays the last minute of recorded lines in a loop, at the pace at which they came; pauses are cut to 2 s.
    /// Each line gets the current time. Returns at once when there are no lines in that minute.
    fn follow<'a>(&'a self, filter: &'a LogFilter, sink: mpsc::Sender<Batch>) -> BoxFuture<'a, Result<(), SourceError>> {
        async move {
            let fallback = self.source.lines.values().max_by_key(|a| a.value.len());
            let query = self.source.log_queries.get(&filter_key(filter));
            let Some(answer) = query.and_then(|q| self.source.lines.get(q)).or(fallback) else {
                return Err(Self::not_recorded("live logs"));
            };
            let end = answer.value.iter().filter_map(|l| l.at).max().unwrap_or_default();
            let lines: Vec<&LogLine> = answer.value.iter().filter(|l| l.at.is_some_and(|at| end.since(at) <= FOLLOWED)).collect();
            if lines.is_empty() {
                return Ok(());
            }
            loop {
                let mut last = lines.first().and_then(|l| l.at).unwrap_or_default();
                let mut batch = Batch::default();
                for line in &lines {
                    let at = line.at.unwrap_or(last);
                    let wait = at.since(last);
                    if wait > Duration::from_millis(100) {
                        if !batch.lines.is_empty() && sink.send(std::mem::take(&mut batch)).await.is_err() {
                            return Ok(());
                        }
                        tokio::time::sleep(wait.min(Duration::from_secs(2))).await;
                        last = at;
                    }
                    let now = Timestamp::from(time::OffsetDateTime::now_utc());
                    batch.lines.push(LogLine { at: Some(now), ..(*line).clone() });
                }
                if sink.send(batch).await.is_err() {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Sample;

    fn deploy(at: i64) -> ChangeEvent {
        let (service, by, link) = (Some("shop".into()), None, None);
        ChangeEvent { at: Timestamp::from_secs(at), service, what: "version 2 deployed".into(), by, link, is_release: true }
    }

    #[tokio::test]
    async fn playback_cuts_and_shifts_recorded_answers() {
        let span = Window::new(Timestamp::from_secs(1000), Timestamp::from_secs(2000));
        let samples = (0..=200).map(|i| Sample { at: Timestamp::from_secs(1000 + i * 5), value: i as f64 }).collect();
        let series = vec![Series { labels: Labels::new(), samples }];
        let source = RecordedSource {
            name: "prom".into(),
            kind: "prometheus".into(),
            has_metrics: true,
            ranges: BTreeMap::from([("up".into(), Answer::complete(series))]),
            changes: Some(Answer::complete([1100, 1950].map(deploy).to_vec())),
            changes_query: "deploys.jsonl".into(),
            ..RecordedSource::default()
        };
        let recording = Recording::new("t".into(), span, 5.0, vec![source]);
        let read = Recording::decode(&recording.encode().unwrap()).unwrap();
        assert_eq!(read, recording);
        let now = Timestamp::from_secs(100_000);
        let played = read.play(now);
        let metrics = played[0].metrics().unwrap();
        let window = Window::before(now, Duration::from_secs(100));
        let fine = metrics.range("up", window, 5.0).await.unwrap().value;
        assert_eq!((fine[0].samples.len(), fine[0].samples.last().unwrap().at), (21, now));
        assert_eq!(metrics.range("up", window, 10.0).await.unwrap().value[0].samples.len(), 11);
        assert_eq!(metrics.range("down", window, 5.0).await.unwrap_err().kind, FaultKind::NotRecorded);
        let changes = played[0].changes().unwrap();
        assert_eq!(changes.within(window).await.unwrap().value, [deploy(99_950)], "only changes in the window, in playback time");
        assert_eq!(changes.query(window), "deploys.jsonl");
        assert!(played[0].alerts().is_none());
        assert!(Recording::decode(b"nonsense").is_err());
    }
}
