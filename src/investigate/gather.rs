//! The gathering of evidence: what is asked of which source, and what the answers become. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::around;
use super::clock::now;
use super::desk::Progress;
use super::metrics::{self, Role};
use super::set::{AlertBoard, SourceSet, failed, ok};
use crate::analysis::departure::MeasuredSeries;
use crate::analysis::expression::{self, parse_threshold};
use crate::analysis::findings::{CHANGE_GAP_PREFIX, CHANGES_BEFORE, ChangeInput, Key, MetricInput};
use crate::analysis::movement::movement;
use crate::analysis::suspects::SuspectContext;
use crate::analysis::{Direction, Signals, patterns, relations};
use crate::config::SloConfig;
use crate::evidence::{Body, Draft, Redactor};
use crate::incident::{EvidenceKind, LinkedAlert, Matrix, SourceReport};
use crate::sources::file::UNREADABLE;
use crate::sources::{Answer, FaultKind, LogFilter, LogSource, MetricSource, Source, SourceError, step_for};
use crate::telemetry::series::human_measure;
use crate::telemetry::{Alert, AlertState, ChangeEvent, Labels, LogLine, Rule, Series, Timestamp, Window, clean, words};

/// Queries asked of one metrics source beside the alerts' expressions.
const MAX_QUERIES: usize = 40;
/// Alert expressions drawn, and of alerts that are one storm.
const MAX_EXPRESSIONS: usize = 20;
const MAX_OF_STORM: usize = 6;
/// Services looked at when the alerts name none or few.
const MAX_SERVICES: usize = 12;
const MAX_LINES: usize = 50_000;
const MAX_BAD_LINES: usize = 300;
/// A source without samples for so long at the end of the window is said to be silent.
const SILENT: Duration = Duration::from_mins(5);
/// Series kept of one evidence item.
const MAX_SERIES: usize = 30;

/// What to gather for.
#[derive(Clone, Debug)]
pub struct Request {
    pub window: Window,
    /// Linked alerts; empty: everything that fires in the window.
    pub linked: Vec<LinkedAlert>,
    /// What each severity means to this team.
    pub matrix: Matrix,
    /// Objectives of the error budgets.
    pub slo: SloConfig,
    /// Changes that people put on record in the incident.
    pub recorded: Vec<ChangeEvent>,
}

/// What came of it: drafts by key, in the order in which they are to be numbered.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    pub drafts: Vec<(Key, Draft)>,
    pub signals: Signals,
    pub sources: Vec<SourceReport>,
    /// Alerts that are known now and were linked unverified.
    pub verified: Vec<LinkedAlert>,
    /// Until when the data count as normal.
    pub onset: Option<Timestamp>,
    /// The series that suspects are sought among, with their evidence.
    pub(super) measured: Vec<(MeasuredSeries, Key, Labels)>,
    /// All log lines that were read.
    pub(super) lines: Vec<LogLine>,
    /// Failed requests over the windows of the error budgets.
    pub(super) failed: Vec<around::Failed>,
    /// What the logs tell of the services.
    pub(super) known: SuspectContext,
}

impl Gathered {
    pub(super) fn gap(&mut self, text: String) {
        if !self.signals.gaps.contains(&text) {
            self.signals.gaps.push(text);
        }
    }

    fn report(&mut self, report: SourceReport) {
        match self.sources.iter_mut().find(|s| s.name == report.name) {
            // A failure of one question outweighs the success of another.
            Some(known) if report.error.is_some() => *known = report,
            Some(_) => {}
            None => self.sources.push(report),
        }
    }
}

/// Asks everybody.
pub async fn gather(set: &SourceSet, request: &Request, progress: &Progress) -> Gathered {
    let mut out = Gathered { sources: set.broken_reports(), ..Gathered::default() };
    out.signals.window = Some(request.window);
    if set.is_empty() {
        out.gap("no source is configured: nothing could be looked at".to_owned());
    }
    for (name, _, e) in &set.broken {
        out.gap(format!("{name}: {e}"));
    }
    progress("step 1 of 4: asking what fires".to_owned());
    let board = set.alerts().await;
    take_alerts(&mut out, set, request, board);
    out.signals.matrix = Some(request.matrix.clone());
    out.signals.storm = relations::find_storm(&out.signals.alerts.iter().filter(|a| a.is_firing()).collect::<Vec<_>>());
    let onset = onset(request, &out.signals.alerts);
    out.onset = Some(onset);
    let first = out.signals.alerts.iter().filter(|a| a.is_firing()).filter_map(|a| a.pending_since.or(a.starts_at)).min();
    if let Some(first) = first.filter(|f| *f <= onset) {
        let text = format!(
            "the alerts began at {first}, before what is compared as normal: moves are told against a time that was bad already; ask for a longer window"
        );
        out.gap(text);
    }
    let mut services: Vec<String> = out.signals.alerts.iter().filter_map(|a| a.service().map(str::to_owned)).collect();
    services.sort();
    services.dedup();

    progress("step 2 of 4: reading metrics of the affected services".to_owned());
    // A storm is looked at as one: what fired first speaks for the rest.
    let most = if out.signals.storm.is_some() { MAX_OF_STORM } else { MAX_EXPRESSIONS };
    let metric_sources: Vec<Arc<dyn Source>> = set.sources.iter().filter(|s| s.metrics().is_some()).cloned().collect();
    let looked = join_all(
        metric_sources.iter().map(|s| look_at_metrics(s.as_ref(), request, onset, &out.signals.alerts, &services, most)),
    )
    .await;
    for part in looked {
        merge_part(&mut out, part);
    }

    progress("step 3 of 4: reading logs".to_owned());
    // What moved first may lie before the alert: log lines since then are new as well.
    let first_move = out.signals.metrics.iter().filter_map(|m| m.movement.changed_at).min();
    let log_onset = first_move.map_or(onset, |m| m.min(onset)) - Duration::from_secs(5);
    let log_sources: Vec<Arc<dyn Source>> = set.sources.iter().filter(|s| s.logs().is_some()).cloned().collect();
    let looked = join_all(log_sources.iter().map(|s| look_at_logs(s.as_ref(), request.window, log_onset))).await;
    for part in looked {
        merge_part(&mut out, part);
    }

    let change_sources: Vec<Arc<dyn Source>> = set.sources.iter().filter(|s| s.changes().is_some()).cloned().collect();
    // A deploy may take its time to hurt: what was done is looked for further back than what moved.
    let done = Window::new(request.window.start - CHANGES_BEFORE, request.window.end);
    for part in join_all(change_sources.iter().map(|s| look_at_changes(s.as_ref(), done))).await {
        merge_part(&mut out, part);
    }
    let recorded = recorded(request, done, &out);
    if !recorded.is_empty() {
        let query = "entries of the incident that record a change".to_owned();
        take_changes(&mut out, RECORD, query, done, Answer::whole(recorded));
    }

    progress("step 4 of 4: comparing".to_owned());
    relate(&mut out, request.window);
    around::follow(&mut out, request.window, log_onset);
    // Who calls whom is known only now.
    if out.signals.storm.is_none() {
        let firing: Vec<&Alert> = out.signals.alerts.iter().filter(|a| a.is_firing()).collect();
        out.signals.storm = relations::find_call_storm(&firing, &out.signals.calls);
    }
    around::suspect(&mut out);
    out
}

fn merge_part(out: &mut Gathered, part: Gathered) {
    out.drafts.extend(part.drafts);
    out.signals.metrics.extend(part.signals.metrics);
    out.signals.patterns.extend(part.signals.patterns);
    out.signals.changes.extend(part.signals.changes);
    out.signals.limits.extend(part.signals.limits);
    out.signals.expiring.extend(part.signals.expiring);
    out.signals.burns.extend(part.signals.burns);
    for (caller, callees) in part.signals.calls {
        out.signals.calls.entry(caller).or_default().extend(callees);
    }
    out.signals.call_sources.extend(part.signals.call_sources);
    out.measured.extend(part.measured);
    out.lines.extend(part.lines);
    part.signals.gaps.into_iter().for_each(|g| out.gap(g));
    part.sources.into_iter().for_each(|s| out.report(s));
}

/// When it began, as far as the alerts tell: half a minute before the first condition held (an expression over a rate needs
/// about that to show), at least a fifth into the window; without alerts in it, a third into the window.
fn onset(request: &Request, alerts: &[Alert]) -> Timestamp {
    let window = request.window;
    let floor = window.start + window.length() / 5;
    let first = alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min();
    match first {
        Some(at) if at > floor && at <= window.end => (at - Duration::from_secs(30)).max(floor),
        _ => window.start + window.length() / 3,
    }
}

fn take_alerts(out: &mut Gathered, set: &SourceSet, request: &Request, board: AlertBoard) {
    let taken_at = now();
    out.signals.alerts_known = board.any_source_answered();
    let relevant: Vec<Alert> = if request.linked.is_empty() {
        board
            .alerts
            .iter()
            .filter(|a| a.state != AlertState::Pending || a.starts_at.is_some_and(|t| request.window.contains(t)))
            .cloned()
            .collect()
    } else {
        let fingerprints: BTreeSet<&str> = request.linked.iter().map(|l| l.fingerprint.as_str()).collect();
        board.alerts.iter().filter(|a| fingerprints.contains(a.fingerprint.as_str())).cloned().collect()
    };
    out.verified = relevant
        .iter()
        .filter(|a| request.linked.iter().any(|l| l.fingerprint == a.fingerprint && !l.verified))
        .map(LinkedAlert::from_alert)
        .collect();
    // A linked alert that nobody knows any more has ended; what was known when it was linked still counts.
    let ended: Vec<Alert> = request
        .linked
        .iter()
        .filter(|l| l.verified && board.any_source_answered() && !relevant.iter().any(|a| a.fingerprint == l.fingerprint))
        .map(ended_alert)
        .collect();
    for source in &set.sources {
        let Some(alerts) = source.alerts() else { continue };
        if !board.sources.iter().any(|s| s.name == source.name() && s.error.is_none()) {
            continue;
        }
        let own: Vec<Alert> = relevant.iter().filter(|a| a.source == source.name()).cloned().collect();
        let others = board.alerts.iter().filter(|a| a.source == source.name()).count() - own.len();
        // A source that has nothing of this incident is evidence only when it says that nothing fires at all.
        if own.is_empty() && !relevant.is_empty() {
            continue;
        }
        let count = own.len();
        let summary = match count {
            0 if others == 0 => "nothing fires".to_owned(),
            0 => format!("none of the linked alerts is active; {others} others are"),
            n => format!("{}: {}", words::count(n, "alert"), names(&own)),
        };
        let draft = Draft {
            kind: EvidenceKind::Alerts,
            source: source.name().to_owned(),
            query: alerts.query(),
            window: request.window,
            taken_at,
            summary,
            body: Body::Alerts { alerts: own },
            gaps: board.gaps.iter().filter(|g| g.starts_with(source.name())).cloned().collect(),
            shown: u64::try_from(count).unwrap_or(0),
            total: u64::try_from(count).unwrap_or(0),
        };
        let key = format!("alerts/{}", source.name());
        if out.signals.alerts_key.is_empty() {
            out.signals.alerts_key.clone_from(&key);
        }
        out.drafts.push((key, draft));
    }
    if !ended.is_empty() {
        let count = u64::try_from(ended.len()).unwrap_or(0);
        let draft = Draft {
            kind: EvidenceKind::Alerts,
            source: "warroom".to_owned(),
            query: "linked alerts that no source lists any more, as they were when they were linked".to_owned(),
            window: request.window,
            taken_at,
            summary: format!("{count} linked alerts have ended: {}", names(&ended)),
            body: Body::Alerts { alerts: ended.clone() },
            gaps: Vec::new(),
            shown: count,
            total: count,
        };
        out.drafts.push(("alerts/ended".to_owned(), draft));
    }
    for report in &board.sources {
        if let Some(error) = &report.error {
            out.gap(format!("{}: {error}", report.name));
        }
        out.report(report.clone());
    }
    board.gaps.iter().for_each(|g| out.gap(g.clone()));
    out.signals.alerts = relevant;
    out.signals.alerts.extend(ended);
}

fn names(alerts: &[Alert]) -> String {
    let mut names: Vec<String> =
        alerts.iter().map(|a| a.service().map_or_else(|| a.name.clone(), |s| format!("{} ({s})", a.name))).collect();
    names.sort();
    names.dedup();
    let more = names.len().saturating_sub(6);
    names.truncate(6);
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

fn ended_alert(linked: &LinkedAlert) -> Alert {
    Alert {
        fingerprint: linked.fingerprint.clone(),
        name: linked.name.clone(),
        severity: linked.severity,
        state: AlertState::Resolved,
        starts_at: linked.starts_at,
        pending_since: linked.pending_since,
        labels: linked.labels.clone(),
        annotations: linked.annotations.clone(),
        source: linked.source.clone(),
        occurrences: 1,
        value: None,
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        generator_url: String::new(),
    }
}

/// Everything of one metrics source: alert expressions first, then the usual metrics of the services.
async fn look_at_metrics(
    source: &dyn Source,
    request: &Request,
    onset: Timestamp,
    alerts: &[Alert],
    affected: &[String],
    most: usize,
) -> Gathered {
    let window = request.window;
    let mut out = Gathered::default();
    let Some(backend) = source.metrics() else { return out };
    let step = step_for(window);
    let mut asked: Vec<Question> = Vec::new();
    match backend.rules().await {
        Ok(rules) => {
            out.report(ok(source.name(), source.kind()));
            asked.extend(expressions(&rules.value, alerts, most, &mut out));
        }
        Err(e) => fail(&mut out, source, "its alerting rules", &e),
    }
    match service_metrics(backend, window, affected, step).await {
        Ok((queries, left_out)) => {
            if left_out > 0 {
                out.gap(format!("{}: {left_out} further metrics of the services were not asked for", source.name()));
            }
            asked.extend(queries.into_iter().chain(metrics::beneath()).map(|q| Question {
                title: q.title,
                unit: q.unit.to_owned(),
                query: q.query,
                threshold: None,
                always: q.always,
                service: None,
                role: q.role,
            }));
        }
        Err(e) => fail(&mut out, source, "the series of the services", &e),
    }
    let mut seen = BTreeSet::new();
    asked.retain(|q| seen.insert(q.query.clone()));
    let answers = join_all(asked.iter().map(|q| backend.range(&q.query, window, step))).await;
    let known_until = known_until(&answers, window);
    let silent = window.end.since(known_until);
    if silent > SILENT && known_until > window.start {
        out.gap(format!(
            "{}: its last samples are of {}Z, {} before the end of the window",
            source.name(),
            known_until.clock(time::UtcOffset::UTC),
            crate::telemetry::time::human_duration(silent)
        ));
    }
    let mut missing = 0;
    for (question, answer) in asked.iter().zip(answers) {
        match answer {
            Ok(answer) if question.role == Role::Level => {
                take_series(&mut out, source, question, answer, (window, known_until), onset, step);
            }
            Ok(answer) => around::take(&mut out, source, question, answer, request, step),
            Err(e) if e.kind == FaultKind::NotRecorded => {
                missing += usize::from(question.role == Role::Level && question.threshold.is_none());
            }
            Err(e) => fail(&mut out, source, &format!("`{}`", clean::truncate(&question.query, 80)), &e),
        }
    }
    if missing > 0 {
        let many = words::count(missing, "question");
        out.gap(format!(
            "{}: the recording does not hold the answers to {many} about this window; a narrower one tells more",
            source.name()
        ));
    }
    around::budgets(&mut out, source);
    around::other_days(&mut out, source, backend, window, onset, step).await;
    out
}

/// When the last sample of any answer was taken, the end of the window at the latest: a source that lags, or a recording that is
/// over, ends for all of its series at once.
fn known_until(answers: &[Result<Answer<Vec<Series>>, SourceError>], window: Window) -> Timestamp {
    let last = |s: &Series| s.samples.last().map(|sample| sample.at);
    let newest = answers.iter().flatten().flat_map(|a| &a.value).filter_map(last).max();
    newest.map_or(window.end, |at| at.min(window.end))
}

pub(super) struct Question {
    pub title: String,
    pub unit: String,
    pub query: String,
    pub threshold: Option<f64>,
    pub always: bool,
    pub service: Option<String>,
    pub role: Role,
}

fn fail(out: &mut Gathered, source: &dyn Source, what: &str, error: &SourceError) {
    out.report(failed(source.name(), source.kind(), error));
    out.gap(format!("{}: {what} could not be read ({}): {error}", source.name(), error.kind.word()));
}

/// The expressions of the rules behind the alerts, without their comparison: those first whose alerts began first, at most `most`.
fn expressions(rules: &[Rule], alerts: &[Alert], most: usize, out: &mut Gathered) -> Vec<Question> {
    // When the first alert of each rule's name began; one whose start is not known comes last.
    let mut began: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for alert in alerts {
        let at = alert.pending_since.or(alert.starts_at).unwrap_or(Timestamp::from_micros(i64::MAX));
        began.entry(&alert.name).and_modify(|first| *first = at.min(*first)).or_insert(at);
    }
    let mut matching: Vec<&Rule> = rules.iter().filter(|r| began.contains_key(r.name.as_str())).collect();
    matching.sort_by_key(|r| began.get(r.name.as_str()).copied());
    if matching.len() > most {
        out.gap(format!("{} alert expressions exist, those of the first {most} to fire were drawn", matching.len()));
    }
    matching
        .into_iter()
        .take(most)
        .map(|rule| {
            let split = parse_threshold(&rule.query);
            let (query, limit) = split.map_or_else(|| (rule.query.clone(), None), |t| (t.series, Some(t.value)));
            Question {
                title: format!("expression of {}", rule.name),
                unit: String::new(),
                query,
                threshold: limit,
                always: true,
                service: alerts.iter().find(|a| a.name == rule.name).and_then(|a| a.service().map(str::to_owned)),
                role: Role::Level,
            }
        })
        .collect()
}

/// Queries over what exists for the affected services and their neighbours.
async fn service_metrics(
    backend: &dyn MetricSource,
    window: Window,
    affected: &[String],
    step: f64,
) -> Result<(Vec<metrics::MetricQuery>, usize), SourceError> {
    let mut chosen: Option<(&str, Vec<String>)> = None;
    for label in ["service", "service_name", "app", "job"] {
        let values = backend.label_values(label, window).await?.value;
        if values.is_empty() {
            continue;
        }
        let knows = affected.is_empty() || affected.iter().any(|a| values.contains(a));
        if knows {
            chosen = Some((label, values));
            break;
        }
        chosen.get_or_insert((label, values));
    }
    let Some((label, values)) = chosen else { return Ok((Vec::new(), 0)) };
    // The affected first, then neighbours, which show whether it is everywhere.
    let mut services: Vec<String> = affected.iter().filter(|a| values.contains(a)).cloned().collect();
    let neighbours: Vec<String> = values.iter().filter(|v| !services.contains(v) && !v.is_empty()).cloned().collect();
    services.extend(neighbours);
    services.truncate(MAX_SERVICES);
    // One order, so that the same services make the same query and the same evidence.
    services.sort();
    let first: Vec<String> = services.iter().map(|s| regex::escape(s).replace('\\', "\\\\").replace('"', "\\\"")).collect();
    let sets = backend.series(&format!("{{{label}=~\"{}\"}}", first.join("|")), window).await?.value;
    // A minute holds four samples of a usual scrape; more only where the steps leave gaps between such minutes.
    let rate = if step <= 30.0 { "1m".to_owned() } else { format!("{}s", (step * 2.0) as u64) };
    Ok(metrics::queries(&sets, label, &services, &rate, MAX_QUERIES))
}

fn take_series(
    out: &mut Gathered,
    source: &dyn Source,
    question: &Question,
    answer: Answer<Vec<Series>>,
    (window, known_until): (Window, Timestamp),
    onset: Timestamp,
    step: f64,
) {
    // What ends with everything else has not ended by itself.
    let seen = Window { start: window.start, end: known_until };
    let baseline = Window::new(window.start, onset);
    let total = answer.value.len();
    let mut series = answer.value;
    // The ones that moved farthest are kept of many.
    let mut moved: Vec<(crate::analysis::Movement, Series)> =
        series.drain(..).map(|s| (movement(&s, baseline, seen), s)).collect();
    moved.sort_by(|a, b| b.0.score.total_cmp(&a.0.score).then_with(|| a.1.labels.cmp(&b.1.labels)));
    let stirred = moved.iter().any(|(m, _)| m.direction != Direction::Flat);
    if moved.is_empty() && question.threshold.is_none() || !stirred && !question.always {
        return;
    }
    let mut gaps = answer.gaps;
    if total > MAX_SERIES {
        gaps.push(format!("{total} series, the {MAX_SERIES} that moved farthest are kept"));
        moved.truncate(MAX_SERIES);
    }
    let key = format!("metric/{}/{}", source.name(), question.query);
    let unit = if question.unit.is_empty() {
        expression::infer_unit(&question.query, question.threshold).to_owned()
    } else {
        question.unit.clone()
    };
    let summary = match moved.first() {
        None => format!("{}: no series matched", question.title),
        Some((m, s)) => summarise(question, m, s, &unit, total),
    };
    for (m, s) in &moved {
        let service = s.service().map(str::to_owned).or_else(|| question.service.clone());
        let title = with_labels(&question.title, &s.labels);
        // An alert's expression says again what its parts say.
        if question.threshold.is_none() {
            out.measured.push((
                around::measured((service.as_deref(), &title), &unit, s, onset, m),
                key.clone(),
                s.labels.clone(),
            ));
        }
        out.signals.metrics.push(MetricInput {
            key: key.clone(),
            service,
            title,
            labels: s.labels.clone(),
            earlier: Vec::new(),
            unit: unit.clone(),
            movement: m.clone(),
            is_alert_expression: question.threshold.is_some(),
        });
    }
    let draft = Draft {
        kind: EvidenceKind::Metric,
        source: source.name().to_owned(),
        query: question.query.clone(),
        window,
        taken_at: now(),
        summary,
        shown: u64::try_from(moved.len()).unwrap_or(0),
        total: answer.total.unwrap_or_else(|| u64::try_from(total).unwrap_or(0)),
        body: Body::Series {
            title: question.title.clone(),
            unit,
            step_secs: step,
            threshold: question.threshold,
            series: moved.into_iter().map(|(_, s)| s).collect(),
        },
        gaps,
    };
    out.drafts.push((key, draft));
}

/// Labels beside the service tell series of one query apart.
pub(super) fn with_labels(title: &str, labels: &Labels) -> String {
    let rest: Vec<String> = labels
        .iter()
        .filter(|(k, _)| !matches!(k.as_str(), "service" | "service_name" | "app" | "job" | "__name__" | "instance"))
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    if rest.is_empty() { title.to_owned() } else { format!("{title} ({})", rest.join(", ")) }
}

fn summarise(question: &Question, m: &crate::analysis::Movement, s: &Series, unit: &str, total: usize) -> String {
    let factor = if unit == "%" { 100.0 } else { 1.0 };
    let show = |v: Option<f64>| v.map_or_else(|| "nothing".to_owned(), |v| human_measure(v * factor, unit));
    let service = s.service().or(question.service.as_deref()).map(|s| format!("{s} ")).unwrap_or_default();
    let change = match m.direction {
        Direction::Flat => format!("steady at {}", show(m.after.or(m.before))),
        Direction::Up | Direction::Down => format!(
            "{} → {}{}",
            show(m.before),
            show(m.after),
            m.changed_at.map(|t| format!(" from {}", t.clock(time::UtcOffset::UTC))).unwrap_or_default()
        ),
    };
    let more = if total > 1 { format!(", {} other series", total - 1) } else { String::new() };
    format!("{service}{} {change}{more}", question.title)
}

/// Error lines and patterns of one log source.
async fn look_at_logs(source: &dyn Source, window: Window, onset: Timestamp) -> Gathered {
    let mut out = Gathered::default();
    let Some(backend) = source.logs() else { return out };
    let bad = LogFilter { bad_only: true, ..LogFilter::default() };
    match lines(backend, &bad, window, MAX_BAD_LINES).await {
        Ok((query, answer)) => {
            out.report(ok(source.name(), source.kind()));
            for gap in answer.gaps.iter().filter(|g| g.contains(UNREADABLE)) {
                fail(&mut out, source, "all of its files", &SourceError::new(FaultKind::Io, gap));
            }
            let draft = lines_draft(source, query, window, answer);
            out.drafts.push((format!("lines/{}", source.name()), draft));
        }
        Err(e) => fail(&mut out, source, "error lines", &e),
    }
    // Before and after are read apart: a flood after the onset must not push the baseline out.
    let halves = [Window::new(window.start, onset), Window::new(onset, window.end)];
    let mut read = Answer::whole(Vec::new());
    let mut query = String::new();
    for half in halves {
        match lines(backend, &LogFilter::default(), half, MAX_LINES).await {
            Ok((text, answer)) => {
                query = text;
                read.gaps.extend(answer.gaps);
                // A line on the border, and one without a time, would come with both halves.
                let first = half.start == window.start;
                read.value.extend(answer.value.into_iter().filter(|l| first || l.at.is_some_and(|at| at > onset)));
            }
            Err(e) => {
                fail(&mut out, source, "log lines", &e);
                return out;
            }
        }
    }
    take_patterns(&mut out, source, query, window, onset, read);
    out
}

/// What the incident's own record is called where a source's name stands.
const RECORD: &str = "journal";
/// Bytes of a change that findings quote.
const MAX_CHANGE: usize = 200;

/// What people recorded, with the service that their words name first, of those that are known by now.
fn recorded(request: &Request, span: Window, out: &Gathered) -> Vec<ChangeEvent> {
    let services: BTreeSet<&str> = (out.signals.metrics.iter().filter_map(|m| m.service.as_deref()))
        .chain(out.signals.alerts.iter().filter_map(Alert::service))
        .chain(out.signals.calls.iter().flat_map(|(caller, to)| to.iter().chain([caller])).map(String::as_str))
        .collect();
    let named = |text: &str| {
        let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
        words.find_map(|word| services.get(word)).map(|s| (*s).to_owned())
    };
    let inside = request.recorded.iter().filter(|c| span.contains(c.at));
    inside.map(|c| ChangeEvent { service: named(&c.what), ..c.clone() }).collect()
}

/// What a source of changes tells.
async fn look_at_changes(source: &dyn Source, window: Window) -> Gathered {
    let mut out = Gathered::default();
    let Some(backend) = source.changes() else { return out };
    let answer = match backend.within(window).await {
        Ok(answer) => answer,
        Err(e) => {
            fail(&mut out, source, "what was changed", &e);
            return out;
        }
    };
    out.report(ok(source.name(), source.kind()));
    for gap in &answer.gaps {
        out.gap(format!("{CHANGE_GAP_PREFIX}{}: {gap}", source.name()));
    }
    take_changes(&mut out, source.name(), backend.query(window), window, answer);
    out
}

/// Changes as signals and as evidence.
fn take_changes(out: &mut Gathered, name: &str, query: String, window: Window, answer: Answer<Vec<ChangeEvent>>) {
    let key = format!("changes/{name}");
    // Redacted before it is cut: half a token has lost the shape by which it is known.
    let redacted = |text: &str| clean::truncate(&Redactor::new().text(text), MAX_CHANGE);
    out.signals.changes.extend(answer.value.iter().map(|c| ChangeInput {
        at: c.at,
        service: c.service.clone(),
        description: redacted(&c.describe()),
        is_release: c.is_release,
        key: key.clone(),
    }));
    let shown = u64::try_from(answer.value.len()).unwrap_or(0);
    let summary = match answer.value.last() {
        None => "no change in the window".to_owned(),
        Some(last) => {
            let service = last.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default();
            format!("{}, the last: {service}{}", words::count(shown, "change"), redacted(&last.describe()))
        }
    };
    let lines = answer.map(|changes| changes.iter().map(change_line).collect());
    out.drafts.push((key, of_lines(EvidenceKind::Changes, name, query, window, summary, lines)));
}

/// A change as a line, so that it is shown, redacted and packed as lines are.
fn change_line(change: &ChangeEvent) -> LogLine {
    LogLine {
        at: Some(change.at),
        service: change.service.clone(),
        fields: change.link.iter().map(|link| ("link".to_owned(), link.clone())).collect(),
        ..LogLine::plain(clean::truncate(&Redactor::new().text(&change.describe()), 2 * MAX_CHANGE))
    }
}

async fn lines(
    backend: &dyn LogSource,
    filter: &LogFilter,
    window: Window,
    limit: usize,
) -> Result<(String, Answer<Vec<LogLine>>), SourceError> {
    let query = backend.query(filter, window).await?;
    Ok((query, backend.lines(filter, window, limit).await?))
}

fn lines_draft(source: &dyn Source, query: String, window: Window, answer: Answer<Vec<LogLine>>) -> Draft {
    let shown = u64::try_from(answer.value.len()).unwrap_or(0);
    let summary = match answer.value.last() {
        None => "no error lines in the window".to_owned(),
        Some(last) => format!(
            "{} error lines, the last: {}",
            answer.total.unwrap_or(shown),
            // Redacted before it is cut: half a token has lost the shape by which it is known.
            clean::truncate(Redactor::new().text(&last.message).lines().next().unwrap_or(""), 120)
        ),
    };
    of_lines(EvidenceKind::Logs, source.name(), query, window, summary, answer)
}

/// Evidence that is lines.
fn of_lines(
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

fn take_patterns(
    out: &mut Gathered,
    source: &dyn Source,
    query: String,
    window: Window,
    onset: Timestamp,
    answer: Answer<Vec<LogLine>>,
) {
    let mut found = patterns::group_lines(&answer.value, onset, window);
    out.signals.changes.extend(around::told_by_lines(&found, source.name()));
    for pattern in &mut found {
        // Findings quote these, cut short.
        pattern.sample = Redactor::new().text(&pattern.sample).into_owned();
        pattern.template = Redactor::new().text(&pattern.template).into_owned();
    }
    let lines = u64::try_from(answer.value.len()).unwrap_or(0);
    out.lines = answer.value;
    let fresh = found.iter().filter(|p| p.change == patterns::Change::New).count();
    let key = format!("patterns/{}", source.name());
    out.signals.patterns.extend(found.iter().map(|p| (key.clone(), p.clone())));
    let mut gaps = answer.gaps;
    let cut = found.len().saturating_sub(100);
    if cut > 0 {
        gaps.push(format!("{cut} further patterns are left out"));
    }
    let draft = Draft {
        kind: EvidenceKind::Patterns,
        source: source.name().to_owned(),
        query: format!("patterns of {query}"),
        window,
        taken_at: now(),
        summary: format!(
            "{} in {}, {fresh} new since {}",
            words::count(lines, "line"),
            words::count(found.len(), "pattern"),
            onset.clock(time::UtcOffset::UTC)
        ),
        shown: u64::try_from(found.len().min(100)).unwrap_or(0),
        total: u64::try_from(found.len()).unwrap_or(0),
        gaps,
        body: Body::Patterns { onset, patterns: found.into_iter().take(100).collect() },
    };
    out.drafts.push((key, draft));
}

fn relate(out: &mut Gathered, window: Window) {
    let alerts: Vec<&Alert> = out.signals.alerts.iter().collect();
    let found = relations::find_relations(&alerts);
    if found.is_empty() {
        return;
    }
    let by: BTreeMap<&str, &str> = found.iter().map(|r| (r.label.as_str(), r.value.as_str())).collect();
    let count = u64::try_from(found.len()).unwrap_or(0);
    let draft = Draft {
        kind: EvidenceKind::Analysis,
        source: "warroom".to_owned(),
        query: "labels that alerts share".to_owned(),
        window,
        taken_at: now(),
        summary: format!("alerts share {}", by.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(", ")),
        body: Body::Relations { relations: found.clone() },
        gaps: Vec::new(),
        shown: count,
        total: count,
    };
    out.signals.relations = found;
    out.signals.relations_key = "relations".to_owned();
    out.drafts.push(("relations".to_owned(), draft));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Sample;

    fn series(from: i64, to: i64) -> Series {
        let samples = (from..=to).step_by(15).map(|secs| Sample { at: Timestamp::from_secs(secs), value: 4.0 }).collect();
        Series { labels: Labels::new(), samples }
    }

    #[test]
    fn what_ends_alone_has_ended_and_what_ends_with_all_others_has_not() {
        let window = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(1200));
        let answers = |ends: &[i64]| -> Vec<Result<Answer<Vec<Series>>, SourceError>> {
            ends.iter().map(|end| Ok(Answer::whole(vec![series(0, *end)]))).collect()
        };
        let alone = answers(&[1200, 600, 1195]);
        assert_eq!(known_until(&alone, window), window.end);
        let over = answers(&[600, 600]);
        let until = known_until(&over, window);
        assert_eq!((until, known_until(&[], window)), (Timestamp::from_secs(600), window.end));
        let baseline = Window::new(window.start, Timestamp::from_secs(300));
        let of = |until| movement(&series(0, 600), baseline, Window { start: window.start, end: until });
        assert_eq!(of(window.end).direction, Direction::Down);
        assert_eq!(of(until).direction, Direction::Flat);
    }

    #[test]
    fn of_many_alert_expressions_those_that_fired_first_are_drawn() {
        let rule = |name: &str| Rule {
            name: name.into(),
            query: format!("{name}_errors > 5"),
            for_secs: 0.0,
            labels: Labels::new(),
            annotations: Labels::new(),
        };
        let alert = |name: &str, at: i64| {
            let linked = LinkedAlert { starts_at: Some(Timestamp::from_secs(at)), ..LinkedAlert::unverified(name) };
            Alert { name: name.into(), ..ended_alert(&linked) }
        };
        let rules = [rule("late"), rule("first"), rule("other"), rule("next")];
        let alerts = [alert("late", 900), alert("next", 700), alert("first", 800), alert("first", 600)];
        let mut out = Gathered::default();
        let drawn: Vec<String> = expressions(&rules, &alerts, 2, &mut out).into_iter().map(|q| q.query).collect();
        assert_eq!(drawn, ["first_errors", "next_errors"]);
        assert_eq!(out.signals.gaps, ["3 alert expressions exist, those of the first 2 to fire were drawn"]);
        assert_eq!(expressions(&rules, &alerts, 9, &mut out).len(), 3);
    }
}
