//! Gathering: which source is asked what, and the parts that the answers make. Writes nothing.
//!
//! Each module below reads one kind of data and returns a [`Gathered`] of its own; [`gather`] puts them together in order, because what
//! is asked of the logs depends on what the metrics show.

mod alerts;
mod changes;
mod earlier;
mod logs;
mod metrics;
mod queries;
mod readings;
mod suspects;

pub(super) use alerts::{earliest_onset, linked_alert};

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::clock::now;
use super::desk::Progress;
use super::set::{AlertBoard, SourceSet, report_failed};
use crate::analysis::departure::MeasuredSeries;
use crate::analysis::findings::{CHANGES_BEFORE, Key};
use crate::analysis::onset::is_older;
use crate::analysis::suspects::SuspectContext;
use crate::analysis::{Direction, Signals, relations};
use crate::config::SloConfig;
use crate::evidence::{Body, Draft};
use crate::incident::{EvidenceKind, LinkedAlert, Matrix, SourceReport};
use crate::sources::{Answer, Source, SourceError};
use crate::telemetry::{Alert, ChangeEvent, LogLine, Timestamp, Window};

/// Alert expressions that are drawn; fewer if the alerts are one storm, where the first to fire represent the rest.
const MAX_EXPRESSIONS: usize = 20;
const MAX_STORM_EXPRESSIONS: usize = 6;

/// What to gather for.
#[derive(Clone, Debug)]
pub struct Request {
    pub window: Window,
    /// Linked alerts. If empty, everything that fires in the window counts.
    pub linked: Vec<LinkedAlert>,
    /// What each severity means to this team.
    pub matrix: Matrix,
    /// When the first of its alerts began; `None` if that is unknown.
    pub first_alert: Option<Timestamp>,
    /// Whether the incident is known to have begun before the window.
    pub bad_baseline: bool,
    /// What the reader must know about the window.
    pub notes: Vec<String>,
    /// Objectives of the error budgets.
    pub slo: SloConfig,
    /// Changes that people recorded in the incident.
    pub recorded: Vec<ChangeEvent>,
}

/// What was gathered, or one part of it.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Evidence by key, in the order in which it is to be numbered.
    pub drafts: Vec<(Key, Draft)>,
    pub signals: Signals,
    pub sources: Vec<SourceReport>,
    /// Alerts that were linked by fingerprint alone and are now known.
    pub verified: Vec<LinkedAlert>,
    /// Data before this moment count as normal.
    pub onset: Option<Timestamp>,
    /// The series among which suspects are sought, with their evidence.
    measured: Vec<MeasuredSeries>,
    /// All log lines that were read, of each source.
    lines: Vec<Vec<LogLine>>,
    /// What the logs say about the services.
    context: SuspectContext,
}

impl Gathered {
    /// Notes what could not be checked; once, however often it comes up.
    fn gap(&mut self, text: String) {
        if !self.signals.gaps.contains(&text) {
            self.signals.gaps.push(text);
        }
    }

    fn report(&mut self, report: SourceReport) {
        match self.sources.iter_mut().find(|s| s.name == report.name) {
            // A failure of one query outweighs the success of another.
            Some(existing) if report.error.is_some() => *existing = report,
            Some(_) => {}
            None => self.sources.push(report),
        }
    }

    /// Records that a source failed to answer about something.
    fn fail(&mut self, source: &dyn Source, subject: &str, error: &SourceError) {
        self.report(report_failed(source.name(), source.kind(), error));
        self.gap(format!("{}: {subject} could not be read ({}): {error}", source.name(), error.kind.word()));
    }

    /// Adds a part. What only one part can know (alerts, onset, storm) is set by whoever knows it.
    fn absorb(&mut self, part: Self) {
        let Self { drafts, signals, sources, verified, onset: _, measured, lines, context: _ } = part;
        self.drafts.extend(drafts);
        self.verified.extend(verified);
        self.measured.extend(measured);
        self.lines.extend(lines);
        let own = &mut self.signals;
        own.alerts_known |= signals.alerts_known;
        own.has_alert_source |= signals.has_alert_source;
        own.unknown_alerts.extend(signals.unknown_alerts);
        own.bad_baseline |= signals.bad_baseline;
        own.notes.extend(signals.notes);
        if own.alerts_key.is_empty() {
            own.alerts_key = signals.alerts_key;
        }
        own.alerts.extend(signals.alerts);
        own.metrics.extend(signals.metrics);
        own.patterns.extend(signals.patterns);
        own.changes.extend(signals.changes);
        own.limits.extend(signals.limits);
        own.expiring.extend(signals.expiring);
        own.burns.extend(signals.burns);
        own.calls.add_all(&signals.calls);
        own.call_sources.extend(signals.call_sources);
        own.change_gaps.extend(signals.change_gaps);
        for gap in signals.gaps {
            self.gap(gap);
        }
        for report in sources {
            self.report(report);
        }
    }
}

/// Asks every source about the window. A source that fails costs its own part and is reported.
pub async fn gather(set: &SourceSet, request: &Request, board: &AlertBoard, progress: &Progress) -> Gathered {
    let mut out = Gathered { sources: set.broken_reports(), ..Gathered::default() };
    out.signals.window = Some(request.window);
    out.signals.matrix = Some(request.matrix.clone());
    if set.is_empty() {
        out.gap("no source is configured: nothing could be checked".to_owned());
    }
    for (name, _, e) in &set.broken {
        out.gap(format!("{name}: {e}"));
    }

    out.absorb(alerts::collect(set, request, board));
    out.signals.first_alert = request.first_alert;
    out.signals.bad_baseline = request.bad_baseline;
    out.signals.notes.clone_from(&request.notes);
    out.signals.storm = relations::find_storm(&firing(&out));
    let onset = alerts::onset(request, request.first_alert);

    progress("step 2 of 4: reading metrics of the affected services".to_owned());
    let most = if out.signals.storm.is_some() { MAX_STORM_EXPRESSIONS } else { MAX_EXPRESSIONS };
    // The metrics of older alerts say nothing about this incident.
    let is_own = |a: &&Alert| !is_older(a, request.first_alert);
    let alerts: Vec<Alert> = out.signals.alerts.iter().filter(is_own).cloned().collect();
    let (onset, request) = metrics::collect(&mut out, set, request, onset, &alerts, most).await;
    let request = &request;

    progress("step 3 of 4: reading logs and changes".to_owned());
    // A metric may have changed before the alert: log lines since then count as new as well.
    let first_change = out.signals.metrics.iter().filter_map(|m| m.movement.changed_at).min();
    let log_onset = first_change.map_or(onset, |at| at.min(onset)) - Duration::from_secs(5);
    let services = services_of_interest(&out);
    let logs = set.sources.iter().map(|s| logs::collect(s.as_ref(), request.window, log_onset, &services));
    let logs = join_all(logs);
    // A deploy can take its time to hurt, so changes are read further back than metrics.
    let span = Window::new(request.window.start - CHANGES_BEFORE, request.window.end);
    let changes = join_all(set.sources.iter().map(|s| changes::collect(s.as_ref(), span)));
    let (logs, changes) = futures_util::future::join(logs, changes).await;
    logs.into_iter().chain(changes).for_each(|part| out.absorb(part));
    let recorded = changes::recorded(request, span, &out);
    out.absorb(recorded);

    progress("step 4 of 4: comparing".to_owned());
    alerts::relate(&mut out, request.window);
    logs::follow_requests(&mut out, request.window, log_onset);
    // Which service calls which is known only now.
    if out.signals.storm.is_none() {
        out.signals.storm = relations::find_call_storm(&firing(&out), &out.signals.calls);
    }
    suspects::rank(&mut out);
    out
}

/// The services that the incident is about: those of its alerts, those whose metrics changed, and whatever they call or are called by.
/// Empty if its alerts name none, because the cause may then be anywhere.
fn services_of_interest(out: &Gathered) -> Vec<String> {
    let mut services: BTreeSet<&str> = firing(out).into_iter().filter_map(Alert::service).collect();
    if services.is_empty() {
        return Vec::new();
    }
    let changed = out.signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat);
    services.extend(changed.filter_map(|m| m.service.as_deref()));
    let calls = &out.signals.calls;
    let neighbours: Vec<&str> = services.iter().flat_map(|s| calls.callees(s).chain(calls.callers(s))).collect();
    services.extend(neighbours);
    services.into_iter().map(str::to_owned).collect()
}

fn firing(out: &Gathered) -> Vec<&Alert> {
    out.signals.alerts.iter().filter(|a| a.is_firing()).collect()
}

/// Log lines or changes as evidence.
fn lines_evidence(
    kind: EvidenceKind,
    source: &str,
    query: String,
    window: Window,
    summary: String,
    answer: Answer<Vec<LogLine>>,
) -> Draft {
    let shown = u64::try_from(answer.value.len()).unwrap_or(0);
    Draft {
        kind,
        source: source.to_owned(),
        query,
        window,
        taken_at: now(),
        summary,
        shown,
        total: answer.total.unwrap_or(shown).max(shown),
        gaps: answer.gaps,
        body: Body::Lines { lines: answer.value },
    }
}
