//! Findings about the context of the changed series: probable origin, recent changes, dependencies, error budgets,
//! saturation and expiry.

use std::time::Duration;

use super::{ChangeInput, Finding, Key, Signals, theories};
use crate::analysis::Direction;
use crate::incident::FindingKind;
use crate::telemetry::series::human_value;
use crate::telemetry::{Timestamp, time, words};

/// Number of services reported as suspects.
const MAX_SUSPECTS: usize = 3;
/// Number of series reported per suspect.
const SERIES_PER_SUSPECT: usize = 2;
/// Departure, in spreads, from which a further series of a suspect is reported.
const MIN_SIZE: f64 = 3.0;
/// Factor on the confidence in a suspect for each contradiction.
const CONTRADICTION_FACTOR: f64 = 0.9;
const MAX_CHANGES: usize = 5;
/// How long before the onset a change may still be its cause.
pub const CHANGE_LOOKBACK: Duration = Duration::from_hours(1);
/// Factor on the distance in time of a change that is not certainly a release.
const UNCERTAIN_FACTOR: f64 = 4.0;
/// Number of further signs quoted per change.
const MAX_SIGNS: usize = 3;
/// Longest time between signs of one change.
const MAX_SIGN_GAP: Duration = Duration::from_mins(2);
/// Share from which a resource counts as full; below it, it is reported if it fills up within [`FILLS_WITHIN`].
pub(super) const FULL: f64 = 0.9;
const FILLS_WITHIN: Duration = Duration::from_hours(24);
/// Expiry later than this is not reported.
const EXPIRES_WITHIN: Duration = Duration::from_hours(14 * 24);
/// Score from which a service is a suspect.
pub(super) const MIN_SCORE: f64 = 1.0;

fn new_finding(kind: FindingKind, title: String, text: String, confidence: f64, inputs: Vec<Key>) -> Finding {
    Finding { kind, title, text, confidence, inputs, ..Finding::default() }
}

/// Reports the services that the incident most likely began with, each with its most suspect series.
pub(super) fn suspects(signals: &Signals) -> Vec<Finding> {
    let mut services: Vec<(&str, Vec<&super::SuspectInput>)> = Vec::new();
    for input in &signals.suspects {
        let Some(service) = input.suspect.service.as_deref() else { continue };
        match services.iter_mut().find(|(name, _)| *name == service) {
            Some((_, list)) => list.push(input),
            None => services.push((service, vec![input])),
        }
    }
    services.retain(|(_, list)| list.first().is_some_and(|s| s.suspect.score >= MIN_SCORE));
    let total: f64 = services.iter().filter_map(|(_, l)| l.first()).map(|s| s.suspect.score).sum();
    services
        .iter()
        .take(MAX_SUSPECTS)
        .enumerate()
        .map(|(n, (service, list))| {
            let share = list.first().map_or(0.0, |s| s.suspect.score) / total.max(f64::MIN_POSITIVE);
            let shown: Vec<&&super::SuspectInput> = list
                .iter()
                .enumerate()
                .filter(|(n, s)| *n == 0 || s.suspect.size >= MIN_SIZE)
                .map(|(_, s)| s)
                .take(SERIES_PER_SUSPECT)
                .collect();
            let reasons: Vec<String> = shown.iter().map(|s| s.suspect.why()).collect();
            let mut inputs: Vec<Key> = Vec::new();
            for key in shown.iter().flat_map(|s| &s.keys) {
                if !inputs.contains(key) {
                    inputs.push(key.clone());
                }
            }
            let title = match n {
                0 => format!("{service} is the most likely origin"),
                _ => format!("{service} is a less likely origin (rank {})", n + 1),
            };
            // Its log, or a waiting caller, may point to it although none of its own series changed.
            let has_changed = list.iter().any(|s| s.suspect.series.is_some() && s.suspect.changed_at.is_some());
            let confidence = (0.3 + share).min(if has_changed { 0.9 } else { 0.5 });
            let against = theories::contradictions(signals, service);
            let confidence = confidence * CONTRADICTION_FACTOR.powi(i32::try_from(against.len()).unwrap_or(0));
            let text = format!("{title}: {}.", reasons.join("; "));
            let found = new_finding(FindingKind::Suspect, title, text, confidence, inputs);
            let against = theories::keys(against.into_iter().flat_map(|(_, keys)| keys));
            Finding { against, service: Some((*service).to_owned()), ..found }
        })
        .collect()
}

/// Returns when the first series of the leading suspect changed, else of any service, else when the first alert's condition
/// became true.
pub(super) fn onset(signals: &Signals) -> Option<Timestamp> {
    let suspect = signals.suspects.first().and_then(|s| s.suspect.service.as_deref());
    let changed = || signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat && !super::is_usual_now(m));
    let of_suspect = changed().filter(|m| suspect.is_some() && m.service.as_deref() == suspect);
    let first = of_suspect.filter_map(|m| m.movement.changed_at).min();
    first.or_else(|| changed().filter_map(|m| m.movement.changed_at).min()).or_else(|| signals.first_alert())
}

/// A change with its further signs, as ranked by how likely it caused the incident.
pub(super) struct RankedChange<'a> {
    pub(super) change: &'a ChangeInput,
    /// Further signs of the same change.
    signs: Vec<&'a ChangeInput>,
    /// When it happened compared with the onset, as the end of a sentence: `, 5s before the first metric change`.
    pub(super) when: String,
    pub(super) confidence: f64,
}

impl RankedChange<'_> {
    /// The change with its service: `checkout version 1.41.3 → 1.42.0`.
    pub(super) fn describe(&self) -> String {
        let service = self.change.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default();
        format!("{service}{}", self.change.description)
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        theories::keys(std::iter::once(&self.change.key).chain(self.signs.iter().map(|o| &o.key)).cloned())
    }
}

/// What the times of changes are compared with: the onset and its name.
fn onset_label(signals: &Signals) -> &'static str {
    if signals.metrics.iter().any(|m| m.movement.changed_at.is_some()) { "first metric change" } else { "first alert" }
}

/// The recent changes, the closest before the onset first. A change after the onset is more likely a reaction than a cause.
pub(super) fn ranked_changes(signals: &Signals) -> Vec<RankedChange<'_>> {
    let onset = onset(signals);
    let onset_label = onset_label(signals);
    let suspect = signals.suspects.first().and_then(|s| s.suspect.service.as_deref());
    let concerns = |c: &ChangeInput| match (suspect, c.service.as_deref()) {
        (Some(suspect), service) => service == Some(suspect),
        (None, service) => service.is_some_and(|s| theories::has_firing_alert(signals, s)),
    };
    // Slack of one step: a new version appears at the scrape after its first failed request.
    let slack = Duration::from_mins(1);
    let rank = |c: &ChangeInput| {
        let distance = onset.map_or(0.0, |b| b.secs_since(c.at)).abs() * if c.is_release { 1.0 } else { UNCERTAIN_FACTOR };
        let is_before = onset.is_none_or(|b| c.at <= b + slack);
        (!is_before, !concerns(c), distance.round() as i64)
    };
    let mut list: Vec<&ChangeInput> =
        signals.changes.iter().filter(|c| onset.is_none_or(|b| c.at + CHANGE_LOOKBACK >= b)).collect();
    list.sort_by_key(|c| (rank(c), c.description.clone()));
    group_changes(list)
        .into_iter()
        .filter_map(|group| {
            let c = group.iter().find(|c| c.is_release).or_else(|| group.first()).copied()?;
            let certain = if c.is_release { 1.0 } else { 0.85 };
            let (when, confidence) = match onset {
                None => (String::new(), 0.4),
                Some(b) if b.secs_since(c.at).abs() < 1.0 => (format!(", at the same time as the {onset_label}"), 0.75),
                Some(b) if c.at <= b => {
                    // The longer before the onset, the less likely.
                    let late = (b.since(c.at).as_secs_f64() / CHANGE_LOOKBACK.as_secs_f64() - 0.25).clamp(0.0, 0.75) / 0.75;
                    (format!(", {} before the {onset_label}", time::human_duration(b.since(c.at))), 0.75 - 0.25 * late)
                }
                Some(b) if c.at <= b + slack => (
                    format!(
                        ", at about the same time as the {onset_label} (seen {} after it)",
                        time::human_duration(c.at.since(b))
                    ),
                    0.7,
                ),
                Some(b) => (format!(", {} after the {onset_label}", time::human_duration(c.at.since(b))), 0.3),
            };
            let signs = group.iter().copied().filter(|o| o.description != c.description).collect();
            Some(RankedChange { change: c, signs, when, confidence: confidence * certain })
        })
        .collect()
}

/// Reports recent changes, the most likely cause first.
pub(super) fn changes(signals: &Signals) -> Vec<Finding> {
    let ranked = ranked_changes(signals);
    let mut out: Vec<Finding> = ranked
        .iter()
        .take(MAX_CHANGES)
        .map(|r| {
            let c = r.change;
            let mut others: Vec<String> = r.signs.iter().take(MAX_SIGNS).map(|o| o.description.clone()).collect();
            let more = r.signs.len().saturating_sub(MAX_SIGNS);
            others.extend((more > 0).then(|| format!("{more} more")));
            let also = if others.is_empty() {
                String::new()
            } else {
                format!(" Probably part of the same change: {}.", others.join("; "))
            };
            let title = format!("{} at {}{}", r.describe(), signals.clock(c.at), r.when);
            let text = format!("{title}.{also}");
            Finding {
                at: Some(c.at),
                service: c.service.clone(),
                ..new_finding(FindingKind::Change, title, text, r.confidence, r.keys())
            }
        })
        .collect();
    let rest = ranked.get(MAX_CHANGES..).unwrap_or_default();
    if !rest.is_empty() {
        let title = words::count(rest.len(), "other change");
        let text = format!("{title}, further from the {} or on other services.", onset_label(signals));
        let keys = theories::keys(rest.iter().flat_map(RankedChange::keys).take(64));
        out.push(new_finding(FindingKind::Change, title, text, 0.3, keys));
    }
    out
}

/// Groups signs of the same change, such as a release, its rollout, its scaling and the restart: they concern one service
/// and are at most [`MAX_SIGN_GAP`] apart. Two releases or two commits from one source are separate, and so is every flag or
/// config change.
fn group_changes(list: Vec<&ChangeInput>) -> Vec<Vec<&ChangeInput>> {
    let is_separate =
        |c: &ChangeInput| ["flag", "config", "switch"].iter().any(|word| c.description.to_lowercase().contains(word));
    let are_two = |a: &ChangeInput, b: &ChangeInput| {
        let both_commits = a.description.starts_with("commit ") && b.description.starts_with("commit ");
        a.key == b.key && ((a.is_release && b.is_release) || both_commits)
    };
    let mut groups: Vec<Vec<&ChangeInput>> = Vec::new();
    for change in list {
        let is_same = |group: &&mut Vec<&ChangeInput>| {
            change.service.is_some()
                && !is_separate(change)
                && group.iter().all(|c| {
                    c.service == change.service
                        && !is_separate(c)
                        && !are_two(c, change)
                        && c.at.secs_since(change.at).abs() <= MAX_SIGN_GAP.as_secs_f64()
                })
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(change),
            None => groups.push(vec![change]),
        }
    }
    groups
}

/// Words in a metric's title that name a dependency.
const DEPENDENCY_WORDS: [&str; 14] = [
    "db",
    "database",
    "pool",
    "postgres",
    "mysql",
    "redis",
    "cache",
    "queue",
    "kafka",
    "rabbit",
    "upstream",
    "dependency",
    "external",
    "dns",
];

/// Reports the callers and callees of the leading suspect, and which of its changed series measure a dependency.
pub(super) fn dependencies(signals: &Signals) -> Vec<Finding> {
    let Some(suspect) = signals.suspects.first().and_then(|s| s.suspect.service.as_deref()) else { return Vec::new() };
    let has_changed = |service: &str| {
        signals.metrics.iter().find(|m| m.service.as_deref() == Some(service) && m.movement.direction != Direction::Flat)
    };
    let mut out = Vec::new();
    let call_keys: Vec<Key> = signals.call_sources.iter().map(|(key, _)| key.clone()).collect();
    let sources = words::list(&signals.call_sources.iter().map(|(_, from)| *from).collect::<Vec<_>>());
    let callers: Vec<&str> = signals.calls.callers(suspect).collect();
    let hit: Vec<&str> = callers.iter().copied().filter(|c| has_changed(c).is_some()).collect();
    if !hit.is_empty() {
        let mut inputs: Vec<Key> = call_keys.clone();
        inputs.extend(hit.iter().filter_map(|c| has_changed(c)).map(|m| m.key.clone()));
        let names = words::list(&hit);
        let (verb, their) = if hit.len() == 1 { ("calls", "its") } else { ("call", "their") };
        out.push(new_finding(
            FindingKind::Dependency,
            format!("{names} {verb} {suspect}: {their} changes may be a consequence"),
            format!("{names} {verb} {suspect} (according to {sources}), so {their} changes may be a consequence."),
            0.65,
            inputs,
        ));
    }
    let naming: Vec<&str> = signals
        .blames
        .iter()
        .filter(|(who, named)| who.as_str() != suspect && named.contains(suspect) && !hit.contains(&who.as_str()))
        .map(|(who, _)| who.as_str())
        .collect();
    if !naming.is_empty() {
        let names = words::list(&naming);
        out.push(new_finding(
            FindingKind::Dependency,
            format!("New log lines of {names} mention {suspect}"),
            format!("New log lines of {names} mention {suspect}: changes there may be a consequence."),
            0.65,
            vec![signals.blames_key.clone()],
        ));
    }
    for callee in signals.calls.callees(suspect) {
        let series = signals.metrics.iter().find(|m| m.service.as_deref() == Some(callee));
        let Some(series) = series else { continue };
        let (title, confidence) = match has_changed(callee) {
            Some(m) => (format!("{suspect} calls {callee}, where {} changed as well: the origin may be {callee}", m.title), 0.5),
            None => (format!("{suspect} calls {callee}, which did not change: {callee} is probably not the origin"), 0.6),
        };
        let mut finding = new_finding(
            FindingKind::Dependency,
            title.clone(),
            format!("{title}."),
            confidence,
            call_keys.iter().cloned().chain([series.key.clone()]).collect(),
        );
        if has_changed(callee).is_none() {
            finding.against.push(series.key.clone());
        }
        out.push(finding);
    }
    let own: Vec<&super::MetricInput> = signals
        .metrics
        .iter()
        .filter(|m| m.service.as_deref() == Some(suspect) && m.movement.direction != Direction::Flat && !m.is_alert_expression)
        .filter(|m| {
            m.title
                .split(|c: char| !c.is_ascii_alphanumeric())
                .any(|w| DEPENDENCY_WORDS.contains(&w.to_ascii_lowercase().as_str()))
        })
        .take(3)
        .collect();
    if !own.is_empty() {
        let titles: Vec<&str> = own.iter().map(|m| m.title.as_str()).collect();
        out.push(new_finding(
            FindingKind::Dependency,
            format!("Metrics of dependencies changed on {suspect}: {}", words::list(&titles)),
            format!("Metrics of dependencies changed on {suspect}: {}.", words::list(&titles)),
            0.6,
            own.iter().map(|m| m.key.clone()).collect(),
        ));
    }
    out
}

/// Reports error budgets that burn too fast over both the long and the short window: the long one shows that it matters, the
/// short one that it is still going on. Rates and windows: the Google SRE workbook, chapter 5.
pub(super) fn burns(signals: &Signals) -> Vec<Finding> {
    let mut reported: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for b in &signals.burns {
        if b.long.1 < b.pages_at || b.short.1 < b.pages_at || reported.contains(&b.service.as_str()) {
            continue;
        }
        reported.push(&b.service);
        let used = time::human_duration(Duration::try_from_secs_f64(30.0 * 86_400.0 / b.long.1).unwrap_or_default());
        let title = format!("{} is burning its error budget at {}× the sustainable rate", b.service, human_value(b.long.1));
        let text = format!(
            "{title}: {}× over {} and {}× over {}, for an objective of {}% (pages from {}×). At this rate the 30-day budget is gone in {used}.",
            human_value(b.long.1),
            b.long.0,
            human_value(b.short.1),
            b.short.0,
            human_value(b.objective * 100.0),
            human_value(b.pages_at)
        );
        out.push(new_finding(FindingKind::Slo, title, text, 0.85, b.keys.clone()));
    }
    out
}

/// Reports resources that are full or fill up within a day.
pub(super) fn limits(signals: &Signals) -> Vec<Finding> {
    let end = signals.window.map(|w| w.end);
    signals
        .limits
        .iter()
        .filter_map(|l| {
            let service = l.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default();
            let share = format!("{}%", human_value((l.share * 100.0).round()));
            let full = l.full_at.filter(|at| end.is_some_and(|end| *at >= end && at.since(end) <= FILLS_WITHIN));
            let title = match (l.share >= FULL, full) {
                (true, _) => format!("{service}{} is at {share}", l.title),
                (false, Some(at)) => format!("{service}{} will be full by {} UTC at the current rate", l.title, at.date_clock()),
                (false, None) => return None,
            };
            let text = match full.filter(|_| l.share < 1.0) {
                Some(at) => {
                    format!("{service}{} is at {share} and will be full by {} UTC at the current rate.", l.title, at.date_clock())
                }
                None => format!("{title}."),
            };
            Some(new_finding(
                FindingKind::Saturation,
                title,
                text,
                if l.share >= FULL { 0.85 } else { 0.55 },
                vec![l.key.clone()],
            ))
        })
        .take(4)
        .collect()
}

/// Reports what has expired or expires within two weeks, the earliest first.
pub(super) fn expiring(signals: &Signals) -> Vec<Finding> {
    let Some(end) = signals.window.map(|w| w.end) else { return Vec::new() };
    let mut list: Vec<&super::ExpiryInput> = signals.expiring.iter().filter(|e| e.at <= end + EXPIRES_WITHIN).collect();
    list.sort_by_key(|e| (e.at, e.name.clone()));
    list.iter()
        .take(4)
        .map(|e| {
            let title = if e.at <= end {
                format!("{} expired {} ago", e.name, time::human_duration(end.since(e.at)))
            } else {
                format!("{} expires in {}", e.name, time::human_duration(e.at.since(end)))
            };
            let text = format!("{title}, at {} UTC.", e.at.date_clock());
            new_finding(FindingKind::Expiring, title, text, if e.at <= end { 0.9 } else { 0.6 }, vec![e.key.clone()])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::MetricInput;
    use super::*;
    use crate::analysis::movement::Movement;

    fn change(at: i64, service: &str, what: &str, is_release: bool, key: &str) -> ChangeInput {
        let service = (!service.is_empty()).then(|| service.to_owned());
        ChangeInput { at: Timestamp::from_secs(at), service, description: what.into(), is_release, key: key.into() }
    }

    #[test]
    fn lists_the_closest_change_first_and_groups_its_signs() {
        const T: i64 = 1_795_253_400;
        let movement = Movement {
            direction: Direction::Up,
            score: 9.0,
            changed_at: Some(Timestamp::from_secs(T)),
            before: None,
            after: None,
            back_at: None,
        };
        let metric = MetricInput {
            key: "m".into(),
            title: "latency p95".into(),
            service: Some("shop".into()),
            unit: "s".into(),
            movement,
            is_alert_expression: false,
            threshold: None,
            requests: None,
            labels: Default::default(),
            earlier: vec![],
        };
        let changes = vec![
            change(T - 7200, "shop", "version 1 → 2", true, "versions"),
            change(T + 300, "shop", "rolled back", true, "deploys"),
            change(T - 900, "mail", "flag digest on", true, "deploys"),
            change(T - 130, "shop", "started a process", false, "starts"),
            change(T - 180, "shop", "v3 deployed by ada", true, "deploys"),
            change(T - 170, "shop", "commit 1a2b \"Retry\"", false, "git"),
            change(T - 600, "", "node eu-3: Rebooted", false, "k8s"),
            // Two releases from one source are separate; their further signs are grouped.
            change(T - 240, "shop", "v2 deployed by ada", true, "deploys"),
            change(T - 160, "shop", "scaled up to 3", false, "starts"),
            // A flag change is never grouped. Beyond the maximum, changes are only counted.
            change(T - 900, "shop", "flag bulk on by ana", true, "journal"),
            change(T + 400, "cart", "v7 deployed", true, "deploys"),
            change(T + 500, "cart", "v8 deployed", true, "deploys"),
        ];
        let signals = Signals { metrics: vec![metric], changes, ..Signals::default() };
        let reported: Vec<(String, Vec<Key>)> = super::changes(&signals).into_iter().map(|f| (f.text, f.inputs)).collect();
        let first = "shop v3 deployed by ada at 09:27:00Z, 3m00s before the first metric change. Probably part of the same change: started a process; scaled up to 3; commit 1a2b \"Retry\".";
        assert_eq!(reported[0], (first.to_owned(), vec!["deploys".to_owned(), "starts".into(), "git".into()]));
        let rest: Vec<&str> = reported[1..].iter().map(|(text, _)| text.split(" at ").next().unwrap()).collect();
        assert_eq!(
            rest,
            [
                "shop v2 deployed by ada",
                "shop flag bulk on by ana",
                "mail flag digest on",
                "node eu-3: Rebooted",
                "3 other changes, further from the first metric change or on other services."
            ]
        );
    }
}
