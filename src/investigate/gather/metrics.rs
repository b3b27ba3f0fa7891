//! Levels of one metrics source: the expressions of the alerts' rules, then the usual metrics of the services.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use super::super::clock::now;
use super::super::set::{SourceSet, report_ok};
use super::queries::{self, Role};
use super::{Gathered, Request, earlier, readings, suspects};
use crate::analysis::baseline::is_symptom_of_old_incident;
use crate::analysis::departure::SeriesId;
use crate::analysis::expression::{self, parse_threshold};
use crate::analysis::findings::{ChangeInput, MetricInput, Requests};
use crate::analysis::movement::movement;
use crate::analysis::quantity::is_setting;
use crate::analysis::{Direction, Movement, Signals};
use crate::evidence::{Body, Draft};
use crate::incident::EvidenceKind;
use crate::sources::{Answer, FaultKind, MetricSource, Source, SourceError, step_for};
use crate::telemetry::series::{human_measure, human_value};
use crate::telemetry::subject::{METRIC_SERVICE_LABELS, SERVICE_LABELS};
use crate::telemetry::{Alert, Labels, Rule, Series, Timestamp, Window, clean, words};

/// Queries to one metrics source, besides the alerts' expressions.
const MAX_QUERIES: usize = 40;

/// Services that are queried, affected ones first.
const MAX_SERVICES: usize = 12;

/// A source without samples for longer than this at the end of the window is reported.
const SILENT: Duration = Duration::from_mins(5);

/// Series kept of one evidence item.
const MAX_SERIES: usize = 30;

/// A query, and what to make of its answer.
pub(super) struct Question {
    pub(super) title: String,
    /// Empty: inferred from the query.
    pub(super) unit: String,
    pub(super) query: String,
    /// Of an alert's expression: the value that it compares with.
    threshold: Option<f64>,
    /// Kept as evidence even if nothing changed.
    always: bool,
    /// The service that the series are about, where their labels name none.
    service: Option<String>,
    pub(super) role: Role,
    /// What to ask instead if the metric turns out to be a native histogram.
    if_histogram: Option<String>,
    /// If it counts the requests to a service: which of them.
    requests: Option<Requests>,
}

impl From<queries::MetricQuery> for Question {
    fn from(q: queries::MetricQuery) -> Self {
        let queries::MetricQuery { rank: _, title, unit, query, always, role, if_histogram, requests } = q;
        Self { title, unit: unit.to_owned(), query, threshold: None, always, service: None, role, if_histogram, requests }
    }
}

/// The period that the answers are about.
struct Period {
    window: Window,
    /// The time of which the backend has data: series that begin or end with it begin or end with all others, which is not an event.
    known: Window,
    onset: Timestamp,
    /// Seconds between samples.
    step: f64,
}

/// How far back to look if the incident is older than its alerts: this many times the window, at least an hour, at most a day.
const LOOK_BACK: u32 = 4;
const MIN_LOOK_BACK: Duration = Duration::from_hours(1);
const MAX_LOOK_BACK: Duration = Duration::from_hours(24);

/// Everything that the metrics sources know about the window. If the time that counts as normal was not, looks further back once.
/// Returns the onset and the request with the window that it used.
pub(super) async fn collect(
    out: &mut Gathered,
    set: &SourceSet,
    request: &Request,
    onset: Timestamp,
    alerts: &[Alert],
    most: usize,
) -> (Timestamp, Request) {
    let (mut onset, mut request) = (onset, request.clone());
    let ask_all = |window| join_all(set.sources.iter().map(move |s| ask(s.as_ref(), window, alerts, most)));
    let mut asked: Vec<Asked<'_>> = ask_all(request.window).await.into_iter().flatten().collect();
    // Without data from before the onset nothing is known to be normal.
    let known = Window::new(known_from(&asked, request.window), request.window.end);
    let earliest = known.start + known.length() / 10;
    let mut has_no_baseline = false;
    if onset < earliest {
        match request.first_alert {
            None => onset = known.start + known.length() / 3,
            Some(_) => has_no_baseline = true,
        }
    }
    let read_all = |asked: &[Asked<'_>], request: &Request, onset| {
        let mut all = out.clone();
        for a in asked {
            all.absorb(a.read(request, onset));
        }
        all
    };
    let mut all = read_all(&asked, &request, onset);
    if has_no_baseline && !asked.is_empty() {
        all.signals.bad_baseline = true;
        all.signals.notes.push(format!(
            "The metrics begin at {} UTC, so there is no normal time before the alerts to compare with.",
            known.start.date_clock()
        ));
    } else if all.signals.metrics.iter().any(|m| is_symptom_of_old_incident(&all.signals, m)) {
        let window = request.window;
        let back = (window.length() * LOOK_BACK).clamp(MIN_LOOK_BACK, MAX_LOOK_BACK);
        let longer = Request { window: Window::new(window.start - back, window.end), ..request.clone() };
        let further: Vec<Asked<'_>> = ask_all(longer.window).await.into_iter().flatten().collect();
        let (known_from, began) = began(&further, &longer, &all.signals);
        let clock = |at: Timestamp| format!("{} UTC", at.date_clock());
        if let Some(began) = began {
            let note = format!(
                "The metrics behind the alerts were already abnormal when the alerts began. They first changed at {}, so the window begins at {}.",
                clock(began),
                clock(longer.window.start)
            );
            (onset, request, asked) = (began - Duration::from_secs(5), longer, further);
            all = read_all(&asked, &request, onset);
            all.signals.notes.push(note);
        } else {
            let note = format!(
                "The metrics behind the alerts were abnormal in all data since {}, so the normal level is unknown and unchanged series are no evidence. Investigate a longer window.",
                clock(known_from)
            );
            all.signals.notes.push(note);
            all.signals.bad_baseline = true;
        }
    }
    for asked in &asked {
        asked.add_earlier_days(&mut all, onset).await;
    }
    all.signals.window = Some(request.window);
    all.onset = Some(onset);
    *out = all;
    (onset, request)
}

/// Since when data are known, and when the symptoms of an incident that is older than its alerts first changed. If they never were normal,
/// `None`. The first third of the time counts as normal.
fn began(asked: &[Asked<'_>], request: &Request, symptoms: &Signals) -> (Timestamp, Option<Timestamp>) {
    let known_from = known_from(asked, request.window);
    let provisional = known_from + request.window.end.since(known_from) / 3;
    let mut read = Gathered::default();
    for a in asked {
        read.absorb(a.read(request, provisional));
    }
    let is_symptom = |m: &&MetricInput| {
        let same = |old: &MetricInput| old.key == m.key && old.labels == m.labels && is_symptom_of_old_incident(symptoms, old);
        symptoms.metrics.iter().any(same)
    };
    let has_normal = |m: &&MetricInput| {
        !is_symptom_of_old_incident(
            &Signals { alerts: symptoms.alerts.clone(), metrics: read.signals.metrics.clone(), ..Signals::default() },
            m,
        )
    };
    let changed = read.signals.metrics.iter().filter(is_symptom).filter(has_normal).filter_map(|m| m.movement.changed_at);
    (known_from, changed.min())
}

/// Since when any of the sources has data.
fn known_from(asked: &[Asked<'_>], window: Window) -> Timestamp {
    asked.iter().map(|a| known(&a.answers, a.window).start).min().unwrap_or(window.start)
}

/// What one metrics source was asked, and what it answered.
pub(super) struct Asked<'a> {
    source: &'a dyn Source,
    backend: &'a dyn MetricSource,
    window: Window,
    questions: Vec<Question>,
    answers: Vec<Result<Answer<Vec<Series>>, SourceError>>,
    /// What was noticed while asking.
    noticed: Gathered,
}

/// Asks one metrics source about a window; `None` if it has no metrics.
pub(super) async fn ask<'a>(source: &'a dyn Source, window: Window, alerts: &[Alert], most: usize) -> Option<Asked<'a>> {
    let backend = source.metrics()?;
    let step = step_for(window);
    let (mut questions, noticed) = questions(source, backend, window, alerts, most).await;
    let mut answers = join_all(questions.iter().map(|q| backend.range(&q.query, window, step))).await;
    // Native histograms have the names of gauges: aggregations leave them out, and only newer servers report that.
    let is_empty = |answer: &Result<Answer<Vec<Series>>, SourceError>| answer.as_ref().is_ok_and(|a| a.value.is_empty());
    for (question, answer) in questions.iter_mut().zip(&mut answers).filter(|(_, answer)| is_empty(answer)) {
        let Some(query) = question.if_histogram.take() else { continue };
        let quantiles = backend.range(&query, window, step).await;
        if !is_empty(&quantiles) {
            *answer = quantiles;
            (question.query, question.title) = (query, format!("{} p95", question.title));
        }
    }
    Some(Asked { source, backend, window, questions, answers, noticed })
}

impl Asked<'_> {
    /// What the answers say if everything before `onset` was normal.
    pub(super) fn read(&self, request: &Request, onset: Timestamp) -> Gathered {
        let (source, window, step) = (self.source, self.window, step_for(self.window));
        let mut out = self.noticed.clone();
        let known = known(&self.answers, window);
        let silence = window.end.since(known.end);
        if silence > SILENT && known.end > window.start {
            out.gap(format!(
                "{}: its last samples are from {} UTC, {} before the end of the window",
                source.name(),
                known.end.clock(time::UtcOffset::UTC),
                crate::telemetry::time::human_duration(silence)
            ));
        }
        let period = Period { window, known, onset, step };
        let mut rates = Vec::new();
        let mut missing = 0;
        for (question, answer) in self.questions.iter().zip(&self.answers) {
            match answer {
                Ok(answer) if question.role == Role::Level => {
                    out.absorb(levels(source.name(), question, answer.clone(), &period));
                }
                Ok(answer) => {
                    let (part, failed) = readings::read(source.name(), question, answer.clone(), request, step);
                    out.absorb(part);
                    rates.extend(failed);
                }
                Err(e) if e.kind == FaultKind::NotRecorded => {
                    missing += usize::from(question.role == Role::Level && question.threshold.is_none());
                }
                Err(e) => out.fail(source, &format!("`{}`", clean::truncate(&question.query, 80)), e),
            }
        }
        if missing > 0 {
            let queries = words::count(missing, "query");
            out.gap(format!(
                "{}: the recording has no answer to {queries} for this window; try a narrower window",
                source.name()
            ));
        }
        out.signals.burns = readings::burns(&rates, &out.drafts);
        out
    }

    /// Adds to what was read how the metrics that changed most were on earlier days.
    pub(super) async fn add_earlier_days(&self, out: &mut Gathered, onset: Timestamp) {
        earlier::add(out, self.source.name(), self.backend, self.window, onset, step_for(self.window)).await;
    }
}

/// What to ask: the expressions of the alerts' rules, the metrics of the services, and what they run on. Each query once.
async fn questions(
    source: &dyn Source,
    backend: &dyn MetricSource,
    window: Window,
    alerts: &[Alert],
    most: usize,
) -> (Vec<Question>, Gathered) {
    let mut out = Gathered::default();
    let mut questions: Vec<Question> = Vec::new();
    let affected: BTreeSet<&str> = alerts.iter().filter_map(Alert::service).collect();
    let affected: Vec<String> = affected.into_iter().map(str::to_owned).collect();
    let (rules, metrics) = tokio::join!(backend.rules(), service_metrics(backend, window, &affected, step_for(window)));
    match rules {
        Ok(rules) => {
            out.report(report_ok(source.name(), source.kind()));
            let (expressions, gap) = expressions(&rules.value, alerts, most);
            questions.extend(expressions);
            if let Some(gap) = gap {
                out.gap(gap);
            }
        }
        Err(e) => out.fail(source, "its alerting rules", &e),
    }
    match metrics {
        Ok((queries, left_out)) => {
            if left_out > 0 {
                out.gap(format!("{}: {left_out} more metrics of the services were not queried", source.name()));
            }
            questions.extend(queries.into_iter().chain(queries::infrastructure()).map(Question::from));
        }
        Err(e) => out.fail(source, "the series of the services", &e),
    }
    let mut known = BTreeSet::new();
    questions.retain(|q| known.insert(q.query.clone()));
    (questions, out)
}

/// From the oldest to the newest sample of all answers, within the window. If a source lags, or a recording or the retention of a
/// backend is over, all of its series begin or end at once.
fn known(answers: &[Result<Answer<Vec<Series>>, SourceError>], window: Window) -> Window {
    let series = || answers.iter().flatten().flat_map(|a| &a.value);
    let oldest = series().filter_map(|s| s.samples.first()).map(|sample| sample.at).min();
    let newest = series().filter_map(|s| s.samples.last()).map(|sample| sample.at).max();
    Window {
        start: oldest.map_or(window.start, |at| at.max(window.start)),
        end: newest.map_or(window.end, |at| at.min(window.end)),
    }
}

/// The expressions of the rules behind the alerts, without their comparison. Those whose alerts began first come first, at most
/// `most`; a gap says if there are more.
fn expressions(rules: &[Rule], alerts: &[Alert], most: usize) -> (Vec<Question>, Option<String>) {
    // When the first alert of each rule's name began. An alert whose start is unknown comes last.
    let mut began: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for alert in alerts {
        let at = alert.began_at().unwrap_or(Timestamp::from_micros(i64::MAX));
        began.entry(&alert.name).and_modify(|first| *first = at.min(*first)).or_insert(at);
    }
    let mut matching: Vec<&Rule> = rules.iter().filter(|r| began.contains_key(r.name.as_str())).collect();
    matching.sort_by_key(|r| began.get(r.name.as_str()).copied());
    let gap = (matching.len() > most)
        .then(|| format!("only the first {most} of {} alert expressions to fire were queried", matching.len()));
    let questions = matching
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
                if_histogram: None,
                requests: None,
            }
        })
        .collect();
    (questions, gap)
}

/// Queries over the metrics that exist for the affected services and their neighbours, and how many were left out.
async fn service_metrics(
    backend: &dyn MetricSource,
    window: Window,
    affected: &[String],
    step: f64,
) -> Result<(Vec<queries::MetricQuery>, usize), SourceError> {
    let mut chosen: Option<(&str, Vec<String>)> = None;
    for label in METRIC_SERVICE_LABELS {
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
    // Affected services first, then neighbours, which show whether the fault is everywhere.
    let mut services: Vec<String> = affected.iter().filter(|a| values.contains(a)).cloned().collect();
    let neighbours: Vec<String> = values.iter().filter(|v| !services.contains(v) && !v.is_empty()).cloned().collect();
    services.extend(neighbours);
    services.truncate(MAX_SERVICES);
    // Sorted, so that the same services always make the same query and the same evidence.
    services.sort();
    let sets = backend.series(&format!("{{{}}}", queries::selector(label, &services)), window).await?.value;
    // At the usual scrape interval of 15 s a minute holds four samples. Longer if steps would leave gaps between minutes.
    let rate = if step <= 30.0 { "1m".to_owned() } else { format!("{}s", (step * 2.0) as u64) };
    Ok(queries::queries(&sets, label, &services, &rate, MAX_QUERIES))
}

/// The levels of one answer as signals and as evidence; empty if nothing changed and the question does not ask to keep that.
fn levels(source: &str, question: &Question, answer: Answer<Vec<Series>>, period: &Period) -> Gathered {
    let mut out = Gathered::default();
    let baseline = Window::new(period.window.start, period.onset);
    let total = answer.value.len();
    let mut moved: Vec<(Movement, Series)> =
        answer.value.into_iter().map(|s| (movement(&s, baseline, period.known), s)).collect();
    moved.sort_by(|a, b| b.0.score.total_cmp(&a.0.score).then_with(|| a.1.labels.cmp(&b.1.labels)));
    let has_changed = moved.iter().any(|(m, _)| m.direction != Direction::Flat);
    if moved.is_empty() && question.threshold.is_none() || !has_changed && !question.always {
        return out;
    }
    let mut gaps = answer.gaps;
    if total > MAX_SERIES {
        gaps.push(format!("only the {MAX_SERIES} of {total} series that changed most are kept"));
        moved.truncate(MAX_SERIES);
    }
    let key = format!("metric/{source}/{}", question.query);
    let unit = match question.unit.as_str() {
        "" => expression::infer_unit(&question.query, question.threshold).to_owned(),
        unit => unit.to_owned(),
    };
    let summary = match moved.first() {
        None => format!("{}: no series matched", question.title),
        Some((m, s)) => summarise(question, m, s, &unit, total),
    };
    for (m, s) in &moved {
        let service = s.service().map(str::to_owned).or_else(|| question.service.clone());
        let title = with_labels(&question.title, &s.labels);
        out.signals.changes.extend(setting_change(&title, service.as_deref(), s, &key));
        // An alert's expression repeats what its parts show, so it is not a suspect of its own.
        let has_baseline = m.before.is_some() || m.direction != Direction::Flat;
        if question.threshold.is_none() && has_baseline {
            let id = SeriesId {
                service: service.clone().unwrap_or_default(),
                metric: title.clone(),
                labels: s.labels.clone(),
                source: key.clone(),
            };
            out.measured.push(suspects::measured(id, &unit, s, period.onset, m));
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
            threshold: question.threshold,
            requests: question.requests,
        });
    }
    let draft = Draft {
        kind: EvidenceKind::Metric,
        source: source.to_owned(),
        query: question.query.clone(),
        window: period.window,
        taken_at: now(),
        summary,
        shown: u64::try_from(moved.len()).unwrap_or(0),
        total: answer.total.unwrap_or_else(|| u64::try_from(total).unwrap_or(0)),
        body: Body::Series {
            title: question.title.clone(),
            unit,
            step_secs: period.step,
            threshold: question.threshold,
            series: moved.into_iter().map(|(_, s)| s).collect(),
        },
        gaps,
    };
    out.drafts.push((key, draft));
    out
}

/// Number of samples before a step from which a value counts as a setting.
const MIN_SETTING_SAMPLES: usize = 5;

/// A change of a setting: a metric that shows one was constant, and has been constant at another value since.
fn setting_change(title: &str, service: Option<&str>, series: &Series, key: &str) -> Option<ChangeInput> {
    if !is_setting(title) {
        return None;
    }
    let before = series.samples.first().filter(|s| s.value.is_finite())?.value;
    let step = series.samples.iter().position(|s| s.value != before)?;
    let changed = series.samples.get(step).filter(|s| s.value.is_finite())?;
    let is_constant = series.samples.get(step..)?.iter().all(|s| s.value == changed.value);
    (step >= MIN_SETTING_SAMPLES && is_constant).then(|| ChangeInput {
        at: changed.at,
        service: service.map(str::to_owned),
        description: format!("{title} {} → {}", human_value(before), human_value(changed.value)),
        is_release: true,
        key: key.to_owned(),
    })
}

/// A title with the labels that distinguish the series of one query; the service is named elsewhere.
pub(super) fn with_labels(title: &str, labels: &Labels) -> String {
    let rest: Vec<String> = labels
        .iter()
        .filter(|(k, _)| !SERVICE_LABELS.contains(&k.as_str()) && !matches!(k.as_str(), "__name__" | "instance"))
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    if rest.is_empty() { title.to_owned() } else { format!("{title} ({})", rest.join(", ")) }
}

/// One line about the series that changed most.
fn summarise(question: &Question, m: &Movement, s: &Series, unit: &str, total: usize) -> String {
    let factor = if unit == "%" { 100.0 } else { 1.0 };
    let show = |v: Option<f64>| v.map_or_else(|| "no data".to_owned(), |v| human_measure(v * factor, unit));
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

#[cfg(test)]
mod tests {
    use super::super::alerts::linked_alert;
    use super::*;
    use crate::incident::LinkedAlert;
    use crate::sources::{AnswerFuture, Probe};
    use crate::telemetry::Sample;
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    fn series(from: i64, to: i64) -> Series {
        let samples = (from..=to).step_by(15).map(|secs| Sample { at: Timestamp::from_secs(secs), value: 4.0 }).collect();
        Series { labels: Labels::new(), samples }
    }

    #[test]
    fn a_series_that_begins_or_ends_with_all_others_has_not_changed() {
        let window = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(1200));
        let answers = |spans: &[(i64, i64)]| -> Vec<Result<Answer<Vec<Series>>, SourceError>> {
            spans.iter().map(|(from, to)| Ok(Answer::complete(vec![series(*from, *to)]))).collect()
        };
        assert_eq!(known(&answers(&[(0, 1200), (0, 600), (30, 1195)]), window), window);
        let over = known(&answers(&[(300, 600), (600, 900)]), window);
        assert_eq!(over, Window::new(Timestamp::from_secs(300), Timestamp::from_secs(900)));
        assert_eq!(known(&[], window), window);
        let baseline = Window::new(window.start, Timestamp::from_secs(300));
        let of = |known| movement(&series(0, 600), baseline, known);
        assert_eq!(of(window).direction, Direction::Down);
        assert_eq!(of(Window { end: Timestamp::from_secs(600), ..window }).direction, Direction::Flat);
    }

    #[test]
    fn a_setting_that_steps_to_another_value_was_changed() {
        let of = |title: &str, values: &[f64]| {
            let samples = values.iter().zip(0..).map(|(v, n)| Sample { at: Timestamp::from_secs(15 * n), value: *v }).collect();
            setting_change(title, Some("shop"), &Series { labels: Labels::new(), samples }, "k")
                .map(|c| (c.description, c.at.secs()))
        };
        let step = [20.0, 20.0, 20.0, 20.0, 20.0, 5.0, 5.0];
        assert_eq!(of("db_pool_max", &step), Some(("db_pool_max 20 → 5".into(), 75)));
        assert_eq!(of("db_pool_in_use", &step), None, "what happens is no setting");
        assert_eq!(of("queue_size", &step), None);
        assert_eq!(of("db_pool_max", &[20.0, 20.0, 20.0, 20.0, 20.0, 5.0, 7.0]), None, "not constant since");
        assert_eq!(of("db_pool_max", &step[3..]), None, "too short before");
        assert_eq!(of("db_pool_max", &[20.0; 9]), None);
    }

    /// Fails from a moment on, as far back as its data go.
    struct Failing {
        since: Timestamp,
        data_from: Timestamp,
    }

    impl Source for Failing {
        fn name(&self) -> &'static str {
            "prom"
        }
        fn kind(&self) -> &'static str {
            "prometheus"
        }
        fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
            async { Ok(Probe::ok("")) }.boxed()
        }
        fn metrics(&self) -> Option<&dyn MetricSource> {
            Some(self)
        }
    }

    impl MetricSource for Failing {
        fn range<'a>(&'a self, query: &'a str, window: Window, step: f64) -> AnswerFuture<'a, Vec<Series>> {
            let mut samples = Vec::new();
            let mut at = window.start.max(self.data_from);
            while query == "errors" && at <= window.end {
                samples.push(Sample { at, value: if at >= self.since { 20.0 } else { 1.0 } });
                at = at + Duration::from_secs_f64(step);
            }
            let labels = Labels::from([("service".into(), "shop".into())]);
            let series = if samples.is_empty() { vec![] } else { vec![Series { labels, samples }] };
            async move { Ok(Answer::complete(series)) }.boxed()
        }
        fn series<'a>(&'a self, _selector: &'a str, _window: Window) -> AnswerFuture<'a, Vec<Labels>> {
            async { Ok(Answer::complete(vec![])) }.boxed()
        }
        fn label_values<'a>(&'a self, _label: &'a str, _window: Window) -> AnswerFuture<'a, Vec<String>> {
            async { Ok(Answer::complete(vec![])) }.boxed()
        }
        fn rules(&self) -> AnswerFuture<'_, Vec<Rule>> {
            let rule = Rule {
                name: "Errors".into(),
                query: "errors > 5".into(),
                for_secs: 0.0,
                labels: Labels::new(),
                annotations: Labels::new(),
            };
            async { Ok(Answer::complete(vec![rule])) }.boxed()
        }
    }

    #[tokio::test]
    async fn looks_further_back_if_the_incident_is_older_than_its_alerts() {
        let minutes = |n: i64| Timestamp::from_secs(1_795_253_400 + n * 60);
        let labels = Labels::from([("service".into(), "shop".into())]);
        let alerts = [Alert { name: "Errors".into(), labels, starts_at: Some(minutes(0)), ..Alert::default() }];
        let request = Request {
            window: Window::new(minutes(-10), minutes(10)),
            linked: vec![],
            matrix: Default::default(),
            first_alert: Some(minutes(0)),
            bad_baseline: false,
            notes: vec![],
            slo: Default::default(),
            recorded: vec![],
        };
        let run = async |since: i64, data_from: i64| {
            let source = Failing { since: minutes(since), data_from: minutes(data_from) };
            let set = SourceSet::from_sources(vec![std::sync::Arc::new(source)]);
            let mut out = Gathered::default();
            out.signals.alerts = alerts.to_vec();
            let (onset, used) = collect(&mut out, &set, &request, minutes(0), &alerts, 9).await;
            (onset, used.window, out.signals)
        };
        let (onset, window, signals) = run(-40, -600).await;
        assert!(onset >= minutes(-41) && onset <= minutes(-39), "{onset}");
        assert!(window.start <= minutes(-60) && signals.notes.len() == 1 && !signals.bad_baseline, "{:?}", signals.notes);
        let errors = signals.metrics.iter().find(|m| m.is_alert_expression).unwrap();
        assert_eq!((errors.movement.before, errors.movement.after), (Some(1.0), Some(20.0)));
        // It was so in all data: unchanged series are no evidence.
        let (_, window, signals) = run(-900, -600).await;
        assert!(signals.bad_baseline && window == request.window, "{:?}", signals.notes);
        assert!(signals.notes[0].contains("the normal level is unknown"), "{:?}", signals.notes);
        // It began with the alert, and there are no older data.
        let (onset, _, signals) = run(0, -600).await;
        assert!(onset == minutes(0) && signals.notes.is_empty() && !signals.bad_baseline);
        let (_, _, signals) = run(0, 0).await;
        assert!(signals.bad_baseline && signals.notes[0].contains("The metrics begin at"), "{:?}", signals.notes);
    }

    #[test]
    fn keeps_the_alert_expressions_that_fired_first() {
        let rule = |name: &str| Rule {
            name: name.into(),
            query: format!("{name}_errors > 5"),
            for_secs: 0.0,
            labels: Labels::new(),
            annotations: Labels::new(),
        };
        let alert = |name: &str, at: i64| {
            let linked = LinkedAlert { starts_at: Some(Timestamp::from_secs(at)), ..LinkedAlert::unverified(name) };
            Alert { name: name.into(), ..linked_alert(&linked) }
        };
        let rules = [rule("late"), rule("first"), rule("other"), rule("next")];
        let alerts = [alert("late", 900), alert("next", 700), alert("first", 800), alert("first", 600)];
        let (questions, gap) = expressions(&rules, &alerts, 2);
        let queries: Vec<&str> = questions.iter().map(|q| q.query.as_str()).collect();
        assert_eq!(queries, ["first_errors", "next_errors"]);
        assert_eq!(gap.unwrap(), "only the first 2 of 3 alert expressions to fire were queried");
        let (all, gap) = expressions(&rules, &alerts, 9);
        assert_eq!((all.len(), gap), (3, None));
    }
}
