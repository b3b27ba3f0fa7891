//! The conclusion of an investigation in one paragraph, and the single findings summed up in a few.

use std::collections::BTreeSet;

use super::context::{self, FULL, RankedChange};
use super::theories::{self, has_firing_alert, keys};
use super::{Finding, Key, MetricInput, Signals, is_usual_now, metric_name, value};
use crate::analysis::{Change, Direction, Pattern};
use crate::incident::{Certainty, Conclusion, FindingKind, Situation};
use crate::telemetry::{clean, words};

/// Confidence from which a change is named as the trigger.
const MIN_TRIGGER: f64 = 0.6;
/// How close to the onset a change that may be automatic counts as the trigger, in seconds.
const CLOSE_SECS: f64 = 120.0;
/// Confidence in the leading suspect from which a conclusion is highly certain, if a mechanism or a trigger supports it, and below which its
/// certainty is low.
const HIGH: f64 = 0.7;
const LOW: f64 = 0.45;
/// Number of affected services that are named.
const MAX_AFFECTED: usize = 4;
/// Longest quotation of a log pattern, in bytes.
const MAX_QUOTE: usize = 100;

/// What is known about how an origin fails, as the sentences after its name.
struct Mechanism {
    /// In a few words, for a title.
    brief: String,
    text: String,
    keys: Vec<Key>,
    /// The series that shows it best.
    series: Option<MetricInput>,
}

/// Whether a change may be what caused the incident. What may have happened by itself, such as a restart, must be close in time.
fn is_trigger(ranked: &RankedChange<'_>, signals: &Signals) -> bool {
    let is_close = context::onset(signals).is_none_or(|onset| onset.secs_since(ranked.change.at).abs() <= CLOSE_SECS);
    ranked.confidence >= MIN_TRIGGER && (ranked.change.is_release || is_close)
}

/// The series of a service that changed, the first first; what is usual at this hour does not count.
fn changed<'a>(signals: &'a Signals, service: &'a str) -> Vec<&'a MetricInput> {
    let of_service = |m: &&MetricInput| m.service.as_deref() == Some(service) && !m.is_alert_expression;
    let mut changed: Vec<&MetricInput> = (signals.metrics.iter())
        .filter(of_service)
        .filter(|m| m.movement.direction != Direction::Flat && !is_usual_now(m))
        .collect();
    changed.sort_by_key(|m| m.movement.changed_at);
    changed
}

/// The new error pattern of a service with the most lines.
fn new_error<'a>(signals: &'a Signals, service: &str) -> Option<(&'a Key, &'a Pattern)> {
    let of_service = |p: &Pattern| p.services.iter().any(|s| s == service) && p.first_at.is_some();
    let is_new_error = |p: &Pattern| matches!(p.change, Change::New | Change::Up) && p.is_error();
    let found = signals.patterns.iter().filter(|(_, p)| of_service(p) && is_new_error(p));
    found.max_by_key(|(_, p)| (p.change == Change::New, p.count)).map(|(key, p)| (key, p))
}

/// Whether a service shows trouble that is its own: a new error in its log, or a resource that is full.
pub(super) fn has_own_trouble(signals: &Signals, service: &str) -> bool {
    let is_full = |l: &super::LimitInput| l.service.as_deref() == Some(service) && l.share >= FULL;
    new_error(signals, service).is_some() || signals.limits.iter().any(is_full)
}

fn mechanism(signals: &Signals, service: &str) -> Option<Mechanism> {
    let series = changed(signals, service);
    let leading = signals.suspects.iter().find(|s| s.suspect.service.as_deref() == Some(service));
    let full = signals.limits.iter().find(|l| l.service.as_deref() == Some(service) && l.share >= FULL);
    let error = new_error(signals, service);
    // The first series to change; one that measures the full resource says more than others of the same time.
    let of_resource = |m: &&&MetricInput| full.is_some_and(|l| m.title.starts_with(l.title.as_str()));
    let first = series.iter().find(of_resource).or_else(|| series.first()).copied();
    let mut parts: Vec<String> = Vec::new();
    let mut inputs: Vec<Key> = Vec::new();
    if let Some(m) = first {
        let verb = if m.movement.direction == Direction::Up { "rose" } else { "fell" };
        let at = m.movement.changed_at.map(|at| format!(" at {}", signals.clock(at))).unwrap_or_default();
        let (before, after) = (value(m.movement.before, &m.unit), value(m.movement.after, &m.unit));
        parts.push(format!("its {} {verb} from {before} to {after}{at}", m.title));
        inputs.push(m.key.clone());
    }
    if let Some(limit) = full {
        parts.push(format!("{} is at {}", limit.title, percent(limit.share)));
        inputs.push(limit.key.clone());
    }
    if let Some((key, pattern)) = error {
        let quote = quoted(&pattern.template, MAX_QUOTE);
        let times = words::count(pattern.count, "line");
        let what = if pattern.change == Change::New { "it logs a new error" } else { "it logs an error more often" };
        parts.push(format!("{what} ({times}): “{quote}”"));
        inputs.push(key.clone());
    }
    if parts.is_empty() {
        let suspect = leading?;
        parts.push(suspect.suspect.why());
        inputs.extend(suspect.keys.iter().cloned());
    }
    let brief = match (full, error, first) {
        (Some(limit), _, _) => format!("{} is at {}", limit.title, percent(limit.share)),
        (None, Some((_, pattern)), _) => format!("new error “{}”", quoted(&pattern.template, 60)),
        (None, None, Some(m)) => {
            let verb = if m.movement.direction == Direction::Up { "rose" } else { "fell" };
            format!("{} {verb} from {} to {}", m.title, value(m.movement.before, &m.unit), value(m.movement.after, &m.unit))
        }
        (None, None, None) => parts.first().cloned().unwrap_or_default(),
    };
    Some(Mechanism { brief, text: capitalized(&words::list(&parts)), keys: keys(inputs), series: first.cloned() })
}

/// A log pattern as a reader quotes it: `pool exhausted after …`.
fn quoted(template: &str, most: usize) -> String {
    clean::truncate(&template.replace("<*>", "…"), most)
}

fn percent(share: f64) -> String {
    format!("{}%", crate::telemetry::series::human_value((share * 100.0).round()))
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The services besides the origins that alerts or their metrics show to be affected.
fn affected<'a>(signals: &'a Signals, origins: &[String]) -> Vec<&'a str> {
    let symptoms = signals.metrics.iter().filter(|m| theories::is_symptom(m) && !is_usual_now(m));
    let moved = symptoms.filter(|m| m.movement.direction == Direction::Up && m.movement.back_at.is_none());
    let mut services: BTreeSet<&str> = moved.filter_map(|m| m.service.as_deref()).collect();
    services.extend(signals.alerts.iter().filter(|a| a.is_firing() && !signals.is_older(a)).filter_map(|a| a.service()));
    services.into_iter().filter(|s| !origins.iter().any(|o| o == s)).collect()
}

/// Which services are affected besides the origins, and by how much.
fn extent(signals: &Signals, origins: &[String], single: &[Finding]) -> Option<String> {
    let others = affected(signals, origins);
    let mut parts = Vec::new();
    let callers = |service: &str| {
        let names = |caller: &str| signals.blames.get(caller).is_some_and(|named| named.contains(service));
        others.iter().filter(|o| signals.calls.has(o, service) || names(o)).count()
    };
    if !others.is_empty() {
        let named: Vec<&str> = others.iter().copied().take(MAX_AFFECTED).collect();
        let more = others.len() - named.len();
        let names = if more > 0 { format!("{} and {more} more", named.join(", ")) } else { words::list(&named) };
        let verb = if others.len() == 1 { "is" } else { "are" };
        let calling = origins.first().map_or(0, |o| callers(o));
        let why = match origins.first() {
            Some(origin) if calling == others.len() => {
                format!(", which {} {origin},", if others.len() == 1 { "calls" } else { "call" })
            }
            _ => String::new(),
        };
        parts.push(format!("{names}{why} {verb} affected as well"));
    }
    if let Some((severity, reason)) = single.iter().find_map(|f| f.severity.as_ref()) {
        parts.push(format!("the proposed severity is {severity}, because {reason}"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What would show whether the conclusion is true.
fn test(signals: &Signals, origin: &str, mechanism: Option<&Mechanism>, trigger: Option<&RankedChange<'_>>) -> String {
    let watch = mechanism.and_then(|m| m.series.as_ref()).map_or_else(
        || format!("whether the errors of {origin} stop"),
        |m| format!("whether {} returns to {}", metric_name(m), value(m.movement.before, &m.unit)),
    );
    if let Some(trigger) = trigger {
        let what = trigger.describe();
        return if trigger.change.is_release {
            format!("undo the change ({what}) and watch {watch}")
        } else {
            format!("find out what caused it ({what}), and whether {origin} recovers when it is undone")
        };
    }
    let is_waited_for = signals.suspects.iter().any(|s| s.suspect.service.as_deref() == Some(origin) && s.suspect.wait.is_some());
    if is_waited_for {
        return format!("query {origin} directly, and compare how long it takes with how long its callers wait");
    }
    format!(
        "find out what changed at {origin} at that time (deploys, configuration, traffic, its dependencies), and watch {watch}"
    )
}

/// The conclusion: origin, mechanism, trigger, extent, certainty and a test, in one short paragraph.
pub(super) fn conclude(signals: &Signals, single: &[Finding]) -> Finding {
    let verdict = single.iter().find(|f| f.kind == FindingKind::Verdict);
    let situation = verdict.and_then(|f| f.situation);
    let mut origins: Vec<String> = Vec::new();
    let suspects: Vec<&Finding> = single.iter().filter(|f| f.kind == FindingKind::Suspect).collect();
    let leading = suspects.first();
    if !matches!(situation, Some(Situation::Healthy)) {
        origins.extend(leading.and_then(|f| f.service.clone()));
    }
    if let Some(both) = verdict.and_then(|f| f.conclusion.as_ref()) {
        origins.clone_from(&both.origins);
    }
    let mut conclusion = Conclusion { situation, origins: origins.clone(), ..Conclusion::default() };
    let mut sentences: Vec<String> = Vec::new();
    let mut inputs: Vec<Key> = Vec::new();
    if let Some(verdict) = verdict {
        sentences.push(verdict.text.clone());
        inputs.extend(verdict.inputs.iter().cloned());
    }
    let is_over = matches!(situation, Some(Situation::Healthy | Situation::Inconclusive));
    let Some(origin) = origins.first().filter(|_| !is_over) else {
        return without_origin(signals, single, conclusion, sentences, inputs);
    };
    let ranked = context::ranked_changes(signals);
    let trigger = ranked.first().filter(|r| is_trigger(r, signals));
    let mechanism = mechanism(signals, origin);
    conclusion.mechanism = mechanism.as_ref().map(|m| m.brief.clone());
    conclusion.trigger = trigger.map(RankedChange::describe);
    conclusion.trigger_at = trigger.map(|t| t.change.at);
    conclusion.extent = extent(signals, &origins, single);
    conclusion.certainty = certainty(signals, leading.copied(), mechanism.as_ref(), trigger, situation);
    conclusion.test = Some(test(signals, origin, mechanism.as_ref(), trigger));
    let certainty = conclusion.certainty.word();
    if situation != Some(Situation::TwoCauses) {
        sentences.push(format!("The incident most likely began at {origin} (certainty: {certainty})."));
    }
    if let Some(m) = &mechanism {
        sentences.push(format!("{}.", m.text.trim_end_matches('.')));
        inputs.extend(m.keys.iter().cloned());
    }
    if let Some(trigger) = trigger {
        let at = signals.clock(trigger.change.at);
        sentences.push(format!("Probable trigger: {} at {at}{}.", trigger.describe(), trigger.when));
        inputs.extend(trigger.keys());
    }
    if let Some(extent) = &conclusion.extent {
        sentences.push(format!("{}.", capitalized(extent)));
    }
    if let Some(test) = &conclusion.test {
        sentences.push(format!("To test it, {test}."));
    }
    let brief = mechanism.as_ref().map(|m| format!(": {}", m.brief)).unwrap_or_default();
    let after = trigger.map(|t| format!(", after {}", t.describe())).unwrap_or_default();
    let title = match origins.as_slice() {
        [a, b] => format!("Possibly two causes: {a} and {b}"),
        _ => format!("{origin} is the most likely origin{brief}{after}"),
    };
    Finding {
        kind: FindingKind::Conclusion,
        title,
        text: sentences.join(" "),
        confidence: leading.map_or(0.5, |f| f.confidence),
        at: mechanism.as_ref().and_then(|m| m.series.as_ref()).and_then(|m| m.movement.changed_at),
        inputs: keys(inputs),
        against: leading.map(|f| f.against.clone()).unwrap_or_default(),
        service: Some(origin.clone()),
        situation,
        conclusion: Some(conclusion),
        details: verdict.into_iter().cloned().collect(),
        ..Finding::default()
    }
}

/// The conclusion if no service is suspect: the verdict, or what is known about the alerts.
fn without_origin(
    signals: &Signals,
    single: &[Finding],
    mut conclusion: Conclusion,
    mut sentences: Vec<String>,
    mut inputs: Vec<Key>,
) -> Finding {
    let verdict = single.iter().find(|f| f.kind == FindingKind::Verdict);
    let alerts = single.iter().find(|f| f.kind == FindingKind::Alerts);
    let lead = verdict.or(alerts);
    conclusion.extent = single
        .iter()
        .find_map(|f| f.severity.as_ref())
        .map(|(severity, reason)| format!("the proposed severity is {severity}, because {reason}"));
    if verdict.is_none() {
        let first = alerts.map(|f| format!("{}.", f.title)).unwrap_or_default();
        let ranked = context::ranked_changes(signals);
        let trigger = ranked.first().filter(|r| is_trigger(r, signals));
        let known = match trigger {
            Some(t) => {
                conclusion.trigger = Some(t.describe());
                conclusion.trigger_at = Some(t.change.at);
                inputs.extend(t.keys());
                format!(
                    "No service is suspect according to the metrics and logs. A recent change: {} at {}{}.",
                    t.describe(),
                    signals.clock(t.change.at),
                    t.when
                )
            }
            None if signals.metrics.is_empty() && signals.patterns.is_empty() => {
                "No metrics and no logs could be read, so that nothing is known about the cause.".to_owned()
            }
            None => "No service is suspect according to the metrics and logs, and no recent change is known.".to_owned(),
        };
        sentences.extend([first, known]);
        inputs.extend(alerts.iter().flat_map(|f| f.inputs.iter().cloned()));
    }
    if let Some(extent) = &conclusion.extent {
        sentences.push(format!("{}.", capitalized(extent)));
    }
    if verdict.is_none() {
        let test = if signals.metrics.is_empty() && signals.patterns.is_empty() {
            "check the sources with `warroom doctor`"
        } else if signals.alerts.is_empty() {
            "link the alerts or name the services that are affected, and investigate again"
        } else {
            "look at the metrics and logs of the services that the alerts name, over a longer window"
        };
        let test = test.to_owned();
        sentences.push(format!("Next, {test}."));
        conclusion.test = Some(test);
    }
    conclusion.certainty = match lead.map_or(0.0, |f| f.confidence) {
        c if verdict.is_some() && c >= HIGH => Certainty::High,
        c if verdict.is_some() && c >= LOW => Certainty::Medium,
        _ => Certainty::Low,
    };
    Finding {
        kind: FindingKind::Conclusion,
        title: lead.map(|f| f.title.clone()).unwrap_or_default(),
        text: sentences.into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" "),
        confidence: lead.map_or(0.0, |f| f.confidence),
        inputs: keys(inputs),
        situation: conclusion.situation,
        conclusion: Some(conclusion),
        details: verdict.into_iter().cloned().collect(),
        ..Finding::default()
    }
}

/// How certain a conclusion with an origin is. Contradictions, a bad baseline and a second cause make it less certain.
fn certainty(
    signals: &Signals,
    leading: Option<&Finding>,
    mechanism: Option<&Mechanism>,
    trigger: Option<&RankedChange<'_>>,
    situation: Option<Situation>,
) -> Certainty {
    let Some(leading) = leading else { return Certainty::Low };
    let origin = leading.service.as_deref().unwrap_or_default();
    let concerns_origin = trigger.is_some_and(|t| t.change.service.as_deref().is_none_or(|s| s == origin));
    let has_symptom = has_firing_alert(signals, origin) || mechanism.is_some_and(|m| m.keys.len() > 1);
    let is_supported = concerns_origin || has_symptom;
    if leading.confidence < LOW || signals.bad_baseline {
        return Certainty::Low;
    }
    if leading.confidence >= HIGH && is_supported && leading.against.is_empty() && situation != Some(Situation::TwoCauses) {
        return Certainty::High;
    }
    Certainty::Medium
}

/// The groups in which findings are summed up, with their kinds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Change,
    Origin,
    Metric,
    Pattern,
    Alerts,
    Limits,
    Rest,
}

impl Group {
    const ALL: [Self; 7] = [Self::Change, Self::Origin, Self::Metric, Self::Pattern, Self::Alerts, Self::Limits, Self::Rest];

    fn of(kind: FindingKind) -> Option<Self> {
        Some(match kind {
            FindingKind::Change => Self::Change,
            FindingKind::Suspect | FindingKind::Contradiction | FindingKind::Dependency => Self::Origin,
            FindingKind::Metric => Self::Metric,
            FindingKind::Pattern => Self::Pattern,
            FindingKind::Alerts | FindingKind::Severity | FindingKind::Related => Self::Alerts,
            FindingKind::Slo | FindingKind::Saturation | FindingKind::Expiring => Self::Limits,
            FindingKind::Unchanged | FindingKind::Gap => Self::Rest,
            // Part of the conclusion.
            FindingKind::Verdict | FindingKind::Conclusion => return None,
        })
    }

    /// The title of several findings: that of the first, and how many more there are.
    fn title(self, members: &[Finding]) -> String {
        let first = members.first().map_or("", |f| f.title.as_str());
        let more = members.len().saturating_sub(1);
        let noun = match self {
            Self::Rest => return words::count(members.len(), "note") + " on what was checked",
            // The conclusion names the others.
            Self::Origin => return first.to_owned(),
            Self::Alerts => {
                let severity = members.iter().find_map(|f| f.severity.as_ref());
                let proposed = severity.map(|(severity, _)| format!("; proposed severity {severity}")).unwrap_or_default();
                return format!("{first}{proposed}");
            }
            Self::Change => "change",
            Self::Metric => return format!("{first}, and {more} more series"),
            Self::Pattern => "log pattern",
            Self::Limits => "limit",
        };
        let noun = if more == 1 { noun.to_owned() } else { format!("{noun}s") };
        format!("{first}, and {more} more {noun}")
    }
}

/// Sums up the single findings in at most seven, so that the list can be read at a glance: recent changes first if one of them may be the
/// trigger, then the origin, what changed, logs, alerts, limits and the rest.
pub(super) fn group(signals: &Signals, single: Vec<Finding>) -> Vec<Finding> {
    let has_trigger = context::ranked_changes(signals).first().is_some_and(|r| is_trigger(r, signals));
    let mut groups: Vec<(Group, Vec<Finding>)> = Group::ALL.into_iter().map(|g| (g, Vec::new())).collect();
    if !has_trigger {
        // Then a change is rather a reaction.
        groups.rotate_left(1);
        groups.swap(5, 6);
    }
    for finding in single {
        let Some(group) = Group::of(finding.kind) else { continue };
        if let Some((_, members)) = groups.iter_mut().find(|(g, _)| *g == group) {
            members.push(finding);
        }
    }
    groups.into_iter().filter_map(|(group, members)| sum_up(group, members)).collect()
}

/// A group as one finding; `None` if it is empty.
fn sum_up(group: Group, mut members: Vec<Finding>) -> Option<Finding> {
    // What could not be checked comes before what did not change.
    members.sort_by_key(|f| group == Group::Rest && f.kind != FindingKind::Gap);
    let first = members.first()?.clone();
    if members.len() == 1 {
        return Some(first);
    }
    let title = group.title(&members);
    Some(Finding {
        title,
        text: members.iter().map(|f| f.text.as_str()).collect::<Vec<_>>().join("\n"),
        confidence: members.iter().map(|f| f.confidence).fold(0.0, f64::max),
        inputs: keys(members.iter().flat_map(|f| f.inputs.iter().cloned())),
        against: keys(members.iter().flat_map(|f| f.against.iter().cloned())),
        severity: members.iter().find_map(|f| f.severity.clone()),
        details: members,
        ..first
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::super::tests::{alert, metric};
    use super::super::{ChangeInput, LimitInput, SuspectInput, findings};
    use super::*;
    use crate::analysis::departure::SeriesId;
    use crate::analysis::suspects::{SuspectContext, suspects};
    use crate::incident::Matrix;
    use crate::telemetry::{AlertSeverity, Level, Timestamp, Window};

    const T: i64 = 1_795_253_400;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(T + secs)
    }

    fn suspect(service: &str, score: f64) -> SuspectInput {
        let known = SuspectContext { logs: BTreeMap::from([(service.to_owned(), 40.0)]), ..SuspectContext::default() };
        let mut suspect = suspects(&[], &known).remove(0);
        (suspect.score, suspect.changed_at) = (score, Some(at(5)));
        suspect.series = Some(SeriesId::from_column(&format!("{service}|db_pool_in_use")));
        SuspectInput { suspect, keys: vec![format!("{service}/db_pool_in_use")] }
    }

    fn pool(service: &str, secs: i64) -> MetricInput {
        let mut m = metric("db_pool_in_use", service, Some(T + secs));
        (m.movement.before, m.movement.after, m.unit) = (Some(1.0), Some(20.0), String::new());
        m
    }

    pub(in crate::analysis::findings) fn pattern() -> Pattern {
        Pattern {
            template: "could not get a database connection after <*>".into(),
            level: Some(Level::Error),
            services: vec!["checkout".into()],
            count: 4937,
            baseline_count: 0,
            change: Change::New,
            first_at: Some(at(6)),
            last_at: Some(at(90)),
            sample: String::new(),
            rate: vec![],
            facets: BTreeMap::default(),
            is_baseline_cut: false,
        }
    }

    fn incident() -> Signals {
        let change = |secs, what: &str| ChangeInput {
            at: at(secs),
            service: Some("checkout".into()),
            description: what.into(),
            is_release: true,
            key: "changes".into(),
        };
        Signals {
            window: Some(Window::new(at(-600), at(300))),
            alerts_known: true,
            has_alert_source: true,
            alerts_key: "alerts".into(),
            alerts: vec![
                alert("Errors", AlertSeverity::Critical, "checkout"),
                alert("Errors", AlertSeverity::Critical, "gateway"),
            ],
            metrics: vec![
                pool("checkout", 0),
                metric("latency p95", "checkout", Some(T + 5)),
                metric("latency p95", "gateway", Some(T + 10)),
                metric("latency p95", "mail", None),
            ],
            patterns: vec![("patterns".into(), pattern())],
            suspects: vec![suspect("checkout", 9.0), suspect("gateway", 2.0)],
            changes: vec![change(-7, "db_pool_max 20 → 5"), change(200, "rolled back")],
            limits: vec![LimitInput {
                service: Some("checkout".into()),
                title: "db_pool".into(),
                share: 1.0,
                full_at: None,
                key: "limits".into(),
            }],
            calls: [("gateway", "checkout")].into_iter().collect(),
            matrix: Some(Matrix::default()),
            gaps: vec!["loki: timeout".into()],
            ..Signals::default()
        }
    }

    #[test]
    fn begins_with_the_conclusion_and_sums_up_the_rest() {
        let found = findings(&incident());
        let first = &found[0];
        assert_eq!(first.title, "checkout is the most likely origin: db_pool is at 100%, after checkout db_pool_max 20 → 5");
        for part in [
            "The incident most likely began at checkout (certainty: high).",
            "Its db_pool_in_use rose from 1 to 20 at 09:30:00Z, db_pool is at 100% and it logs a new error (4937 lines): “could not get a database connection after …”.",
            "Probable trigger: checkout db_pool_max 20 → 5 at 09:29:53Z, 7s before the first metric change.",
            "Gateway, which calls checkout, is affected as well; the proposed severity is SEV3",
            "To test it, undo the change (checkout db_pool_max 20 → 5) and watch whether checkout db_pool_in_use returns to 1.",
        ] {
            assert!(first.text.contains(part), "{part}\n{}", first.text);
        }
        let typed = first.conclusion.as_ref().unwrap();
        assert_eq!((typed.origins.as_slice(), typed.certainty), (["checkout".to_owned()].as_slice(), Certainty::High));
        assert_eq!((typed.trigger.as_deref(), typed.trigger_at), (Some("checkout db_pool_max 20 → 5"), Some(at(-7))));
        assert_eq!(first.inputs, ["checkout/db_pool_in_use", "limits", "patterns", "changes"]);
        let kinds: Vec<FindingKind> = found.iter().map(|f| f.kind).collect();
        let expected = [
            FindingKind::Conclusion,
            FindingKind::Change,
            FindingKind::Suspect,
            FindingKind::Metric,
            FindingKind::Pattern,
            FindingKind::Alerts,
            FindingKind::Saturation,
            FindingKind::Gap,
        ];
        assert_eq!(kinds, expected, "the change that came first is the second finding");
        let moved = &found[3];
        assert_eq!(moved.details.len(), 3);
        assert_eq!(moved.title, "checkout db_pool_in_use rose 1 → 20 (changed first), and 2 more series");
        assert!(found[5].title.ends_with("; proposed severity SEV3"), "{}", found[5].title);
    }

    #[test]
    fn a_change_after_the_onset_is_no_trigger_and_comes_last() {
        let mut signals = incident();
        signals.changes.remove(0);
        let found = findings(&signals);
        let typed = found[0].conclusion.as_ref().unwrap();
        assert_eq!((typed.trigger.as_ref(), typed.mechanism.as_deref()), (None, Some("db_pool is at 100%")));
        assert!(found[0].text.contains("find out what changed at checkout at that time"), "{}", found[0].text);
        assert_eq!(found[1].kind, FindingKind::Suspect);
        assert!(found.iter().position(|f| f.kind == FindingKind::Change).unwrap() > 4);
    }

    #[test]
    fn says_so_if_nothing_is_wrong_or_no_service_is_suspect() {
        let calm: Vec<MetricInput> = (0..4).map(|n| metric("latency p95", &format!("s{n}"), None)).collect();
        let base = Signals {
            alerts_known: true,
            has_alert_source: true,
            alerts_key: "alerts".into(),
            metrics: calm,
            ..Signals::default()
        };
        let healthy = findings(&base);
        let typed = healthy[0].conclusion.as_ref().unwrap();
        assert_eq!((typed.situation, typed.origins.len()), (Some(Situation::Healthy), 0));
        assert!(healthy[0].text.starts_with("No alerts are firing and none of the 4 series checked"), "{}", healthy[0].text);
        let unexplained = Signals { alerts: vec![alert("Errors", AlertSeverity::Critical, "shop")], ..base.clone() };
        let found = findings(&unexplained);
        assert_eq!(found[0].situation, Some(Situation::Inconclusive));
        assert_eq!(found[0].conclusion.as_ref().unwrap().test, None, "the verdict says what to check");
        let blind = findings(&Signals { alerts_known: false, ..base });
        assert!(blind[0].text.contains("No service is suspect"), "{}", blind[0].text);
        let nothing = findings(&Signals::default());
        assert!(nothing[0].text.contains("nothing is known about the cause. Next, check the sources"), "{}", nothing[0].text);
        assert_eq!(blind[0].conclusion.as_ref().unwrap().certainty, Certainty::Low);
    }

    #[test]
    fn a_baseline_inside_the_incident_makes_any_conclusion_uncertain() {
        let signals = Signals { bad_baseline: true, ..incident() };
        assert_eq!(findings(&signals)[0].conclusion.as_ref().unwrap().certainty, Certainty::Low);
    }
}
