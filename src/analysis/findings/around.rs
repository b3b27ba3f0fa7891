//! Findings beside the moved series: where it may have begun, what was changed just before, what depends on what, which error
//! budget burns, what is full and what runs out.

use std::time::Duration;

use super::{ChangeInput, Finding, Key, Signals, clock, theories};
use crate::analysis::Direction;
use crate::incident::FindingKind;
use crate::telemetry::series::human_value;
use crate::telemetry::{Timestamp, time, words};

/// Services named as suspects.
const MAX_SUSPECTS: usize = 3;
/// Series told of one suspect.
const PER_SUSPECT: usize = 2;
/// So many spreads from normal a further series must be to be told.
const TELLING: f64 = 3.0;
/// What a contradiction leaves of the confidence in a suspect.
const DOUBT: f64 = 0.9;
const MAX_CHANGES: usize = 5;
/// A change so long before what moved first may still be its cause.
pub const BEFORE: Duration = Duration::from_hours(1);
/// How much further off than a release of the same distance a lesser sign counts.
const SIGN: f64 = 4.0;
/// Further signs of one deed that are quoted.
const MAX_SIGNS: usize = 3;
/// Signs of one deed lie this close together.
const SAME: Duration = Duration::from_mins(2);
/// From this share on something is full; below, it must fill up within [`SOON`].
pub(super) const FULL: f64 = 0.9;
const SOON: Duration = Duration::from_hours(24);
/// What runs out later than this is no finding.
const EXPIRES: Duration = Duration::from_hours(14 * 24);
/// A service below this score is no suspect.
pub(super) const LEAST_SCORE: f64 = 1.0;

fn of(kind: FindingKind, title: String, text: String, confidence: f64, inputs: Vec<Key>) -> Finding {
    Finding { kind, title, text, confidence, at: None, inputs, against: Vec::new() }
}

/// The services that it most likely began with, each with its most telling series.
pub(super) fn suspects(signals: &Signals) -> Vec<Finding> {
    let mut services: Vec<(&str, Vec<&super::SuspectInput>)> = Vec::new();
    for input in &signals.suspects {
        let Some(service) = input.suspect.service.as_deref() else { continue };
        match services.iter_mut().find(|(name, _)| *name == service) {
            Some((_, list)) => list.push(input),
            None => services.push((service, vec![input])),
        }
    }
    services.retain(|(_, list)| list.first().is_some_and(|s| s.suspect.score >= LEAST_SCORE));
    let total: f64 = services.iter().filter_map(|(_, l)| l.first()).map(|s| s.suspect.score).sum();
    services
        .iter()
        .take(MAX_SUSPECTS)
        .enumerate()
        .map(|(n, (service, list))| {
            let share = list.first().map_or(0.0, |s| s.suspect.score) / total.max(f64::MIN_POSITIVE);
            let telling: Vec<&&super::SuspectInput> = list
                .iter()
                .enumerate()
                .filter(|(n, s)| *n == 0 || s.suspect.size >= TELLING)
                .map(|(_, s)| s)
                .take(PER_SUSPECT)
                .collect();
            let told: Vec<String> = telling.iter().map(|s| s.suspect.why()).collect();
            let mut inputs: Vec<Key> = Vec::new();
            for key in telling.iter().flat_map(|s| &s.keys) {
                if !inputs.contains(key) {
                    inputs.push(key.clone());
                }
            }
            let title = match n {
                0 => format!("{service} is the likeliest place where it began"),
                _ => format!("{service} is suspect {}", n + 1),
            };
            // Its log, or who waits for it, may point to it while none of its own series moved.
            let has_moved = list.iter().any(|s| s.suspect.series.is_some() && s.suspect.changed_at.is_some());
            let confidence = (0.3 + share).min(if has_moved { 0.9 } else { 0.5 });
            let against = theories::contradictions(signals, service);
            let confidence = confidence * DOUBT.powi(i32::try_from(against.len()).unwrap_or(0));
            // A lead over the others is what makes a suspicion: alone with half of all suspicion is sure enough for a look.
            let found = of(FindingKind::Suspect, title, format!("{service}: {}.", told.join("; ")), confidence, inputs);
            Finding { against: theories::keys(against.into_iter().flat_map(|(_, keys)| keys)), ..found }
        })
        .collect()
}

/// When the first series of the likeliest suspect moved, else of any, else when the first alert's condition held.
fn began(signals: &Signals) -> Option<Timestamp> {
    let suspect = signals.suspects.first().and_then(|s| s.suspect.service.as_deref());
    let moved = || signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat && !super::is_usual_now(m));
    let of_suspect = moved().filter(|m| suspect.is_some() && m.service.as_deref() == suspect);
    let first = of_suspect.filter_map(|m| m.movement.changed_at).min();
    first
        .or_else(|| moved().filter_map(|m| m.movement.changed_at).min())
        .or_else(|| signals.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min())
}

/// What was changed, the closest before the beginning first; what came after it speaks of a reaction, not of a cause.
pub(super) fn changes(signals: &Signals) -> Vec<Finding> {
    let began = began(signals);
    let what_began = if signals.metrics.iter().any(|m| m.movement.changed_at.is_some()) { "first move" } else { "first alert" };
    let suspect = signals.suspects.first().and_then(|s| s.suspect.service.as_deref());
    let concerns = |c: &ChangeInput| match (suspect, c.service.as_deref()) {
        (Some(suspect), service) => service == Some(suspect),
        (None, service) => service.is_some_and(|s| theories::fires_for(signals, s)),
    };
    // A step of slack: a version shows at the scrape after the first request to it failed.
    let slack = Duration::from_secs(60);
    let rank = |c: &ChangeInput| {
        let distance = began.map_or(0.0, |b| b.secs_since(c.at)).abs() * if c.is_release { 1.0 } else { SIGN };
        let is_before = began.is_none_or(|b| c.at <= b + slack);
        (!is_before, !concerns(c), distance.round() as i64)
    };
    let mut list: Vec<&ChangeInput> = signals.changes.iter().filter(|c| began.is_none_or(|b| c.at + BEFORE >= b)).collect();
    list.sort_by_key(|c| (rank(c), c.what.clone()));
    let deeds = deeds(list);
    let mut out: Vec<Finding> = deeds
        .iter()
        .take(MAX_CHANGES)
        .filter_map(|deed| {
            let c = deed.iter().find(|c| c.is_release).or_else(|| deed.first())?;
            let mut others: Vec<&str> = deed.iter().filter(|o| o.what != c.what).map(|o| o.what.as_str()).collect();
            let more = others.len().saturating_sub(MAX_SIGNS);
            others.truncate(MAX_SIGNS);
            let rest = format!("{more} more");
            others.extend((more > 0).then_some(rest.as_str()));
            let also = if others.is_empty() { String::new() } else { format!(" Told with it: {}.", others.join("; ")) };
            let service = c.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default();
            let certain = if c.is_release { 1.0 } else { 0.85 };
            let (when, confidence) = match began {
                None => (String::new(), 0.4),
                Some(b) if b.secs_since(c.at).abs() < 1.0 => (format!(", with the {what_began}"), 0.75),
                Some(b) if c.at <= b => {
                    // The longer it took, the less it is likely.
                    let late = (b.since(c.at).as_secs_f64() / BEFORE.as_secs_f64() - 0.25).clamp(0.0, 0.75) / 0.75;
                    (format!(", {} before the {what_began}", time::human(b.since(c.at))), 0.75 - 0.25 * late)
                }
                Some(b) if c.at <= b + slack => {
                    (format!(", with the {what_began} ({} after it was seen)", time::human(c.at.since(b))), 0.7)
                }
                Some(b) => (format!(", {} after the {what_began}", time::human(c.at.since(b))), 0.3),
            };
            let all = std::iter::once(c.key.clone()).chain(deed.iter().map(|o| o.key.clone()));
            Some(Finding {
                at: Some(c.at),
                ..of(
                    FindingKind::Change,
                    format!("{service}{} at {}{when}", c.what, clock(c.at)),
                    format!("{service}{} at {}{when}.{also}", c.what, clock(c.at)),
                    confidence * certain,
                    theories::keys(all),
                )
            })
        })
        .collect();
    let rest: Vec<&&ChangeInput> = deeds.iter().skip(MAX_CHANGES).flatten().collect();
    if !rest.is_empty() {
        let title = words::count(deeds.len() - MAX_CHANGES, "further change");
        let text = format!("{title}, less close to the {what_began} or of other services.");
        out.push(of(FindingKind::Change, title, text, 0.3, theories::keys(rest.iter().map(|c| c.key.clone()).take(64))));
    }
    out
}

/// Changes put together where they are signs of one deed: a release, its rollout, its scalings, the restart. What several sources
/// tell at one time of one service is; two releases of one source are two, and neither a commit nor a switch is a sign of another.
fn deeds(list: Vec<&ChangeInput>) -> Vec<Vec<&ChangeInput>> {
    let stands_alone = |c: &ChangeInput| ["flag", "config", "switch"].iter().any(|word| c.what.to_lowercase().contains(word));
    let are_two = |a: &ChangeInput, b: &ChangeInput| {
        let both_commits = a.what.starts_with("commit ") && b.what.starts_with("commit ");
        a.key == b.key && ((a.is_release && b.is_release) || both_commits)
    };
    let mut deeds: Vec<Vec<&ChangeInput>> = Vec::new();
    for change in list {
        let is_same = |deed: &&mut Vec<&ChangeInput>| {
            change.service.is_some()
                && !stands_alone(change)
                && deed.iter().all(|c| {
                    c.service == change.service
                        && !stands_alone(c)
                        && !are_two(c, change)
                        && c.at.secs_since(change.at).abs() <= SAME.as_secs_f64()
                })
        };
        match deeds.iter_mut().find(is_same) {
            Some(deed) => deed.push(change),
            None => deeds.push(vec![change]),
        }
    }
    deeds
}

/// Words that name something a service depends on.
const DEPENDS: [&str; 14] = [
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

/// Who calls the likeliest suspect, whom it calls, and which of its own moves are of what it depends on.
pub(super) fn dependencies(signals: &Signals) -> Vec<Finding> {
    let Some(suspect) = signals.suspects.first().and_then(|s| s.suspect.service.as_deref()) else { return Vec::new() };
    let has_moved = |service: &str| {
        signals.metrics.iter().find(|m| m.service.as_deref() == Some(service) && m.movement.direction != Direction::Flat)
    };
    let mut out = Vec::new();
    let by_key: Vec<Key> = signals.calls_from.iter().map(|(key, _)| key.clone()).collect();
    let by = words::list(&signals.calls_from.iter().map(|(_, from)| *from).collect::<Vec<_>>());
    let callers: Vec<&str> =
        signals.calls.iter().filter(|(_, to)| to.iter().any(|s| s == suspect)).map(|(from, _)| from.as_str()).collect();
    let hit: Vec<&str> = callers.iter().copied().filter(|c| has_moved(c).is_some()).collect();
    if !hit.is_empty() {
        let mut inputs: Vec<Key> = by_key.clone();
        inputs.extend(hit.iter().filter_map(|c| has_moved(c)).map(|m| m.key.clone()));
        let names = words::list(&hit);
        out.push(of(
            FindingKind::Dependency,
            format!("{names} {} {suspect}: what moved there may follow from it", if hit.len() == 1 { "calls" } else { "call" }),
            format!(
                "By {by} {names} {} {suspect}; what moved there may follow from it.",
                if hit.len() == 1 { "calls" } else { "call" }
            ),
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
        out.push(of(
            FindingKind::Dependency,
            format!("new log lines of {names} name {suspect}"),
            format!("New log lines of {names} name {suspect}: what moved there may follow from it."),
            0.65,
            vec![signals.blames_key.clone()],
        ));
    }
    for callee in signals.calls.get(suspect).into_iter().flatten() {
        let series = signals.metrics.iter().find(|m| m.service.as_deref() == Some(callee.as_str()));
        let Some(series) = series else { continue };
        let (title, confidence) = match has_moved(callee) {
            Some(m) => (format!("{suspect} calls {callee}, where {} moved too: it may begin there", m.title), 0.5),
            None => (format!("{suspect} calls {callee}, which did not change: it does not begin there"), 0.6),
        };
        let mut finding = of(
            FindingKind::Dependency,
            title.clone(),
            format!("{title}."),
            confidence,
            by_key.iter().cloned().chain([series.key.clone()]).collect(),
        );
        if has_moved(callee).is_none() {
            finding.against.push(series.key.clone());
        }
        out.push(finding);
    }
    let own: Vec<&super::MetricInput> = signals
        .metrics
        .iter()
        .filter(|m| m.service.as_deref() == Some(suspect) && m.movement.direction != Direction::Flat && !m.is_alert_expression)
        .filter(|m| {
            m.title.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| DEPENDS.contains(&w.to_ascii_lowercase().as_str()))
        })
        .take(3)
        .collect();
    if !own.is_empty() {
        let titles: Vec<&str> = own.iter().map(|m| m.title.as_str()).collect();
        out.push(of(
            FindingKind::Dependency,
            format!("what {suspect} depends on moved: {}", words::list(&titles)),
            format!("Of {suspect}'s series {} tell of something that it depends on, and moved.", words::list(&titles)),
            0.6,
            own.iter().map(|m| m.key.clone()).collect(),
        ));
    }
    out
}

/// Error budgets that burn over the long and the short window at once: the long one says that it matters, the short one that it
/// still goes on. Rates and windows: the Google SRE workbook, chapter 5.
pub(super) fn burns(signals: &Signals) -> Vec<Finding> {
    let mut told: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for b in &signals.burns {
        if b.long.1 < b.pages_at || b.short.1 < b.pages_at || told.contains(&b.service.as_str()) {
            continue;
        }
        told.push(&b.service);
        let used = time::human(Duration::try_from_secs_f64(30.0 * 86_400.0 / b.long.1).unwrap_or_default());
        let title = format!("{} burns its error budget {} times too fast", b.service, human_value(b.long.1));
        let text = format!(
            "{title}: {} over {}, {} over {}, against an objective of {} % (pages from {}). At this rate the budget of 30 days is gone in {used}.",
            human_value(b.long.1),
            b.long.0,
            human_value(b.short.1),
            b.short.0,
            human_value(b.objective * 100.0),
            human_value(b.pages_at)
        );
        out.push(of(FindingKind::Slo, title, text, 0.85, b.keys.clone()));
    }
    out
}

/// What is full, and what fills up within a day.
pub(super) fn limits(signals: &Signals) -> Vec<Finding> {
    let end = signals.window.map(|w| w.end);
    signals
        .limits
        .iter()
        .filter_map(|l| {
            let service = l.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default();
            let share = format!("{} %", human_value((l.share * 100.0).round()));
            let full = l.full_at.filter(|at| end.is_some_and(|end| *at >= end && at.since(end) <= SOON));
            let title = match (l.share >= FULL, full) {
                (true, _) => format!("{service}{} is at {share}", l.title),
                (false, Some(at)) => format!("{service}{} is full at {} if it goes on", l.title, clock(at)),
                (false, None) => return None,
            };
            let text = match full.filter(|_| l.share < 1.0) {
                Some(at) => format!("{service}{} is at {share}, and full at {} if it goes on as it does.", l.title, clock(at)),
                None => format!("{title}."),
            };
            Some(of(FindingKind::Saturation, title, text, if l.share >= FULL { 0.85 } else { 0.55 }, vec![l.key.clone()]))
        })
        .take(4)
        .collect()
}

/// What has run out or runs out within two weeks, the next first.
pub(super) fn expiring(signals: &Signals) -> Vec<Finding> {
    let Some(end) = signals.window.map(|w| w.end) else { return Vec::new() };
    let mut list: Vec<&super::ExpiryInput> = signals.expiring.iter().filter(|e| e.at <= end + EXPIRES).collect();
    list.sort_by_key(|e| (e.at, e.what.clone()));
    list.iter()
        .take(4)
        .map(|e| {
            let title = if e.at <= end {
                format!("{} has expired {} ago", e.what, time::human(end.since(e.at)))
            } else {
                format!("{} expires in {}", e.what, time::human(e.at.since(end)))
            };
            let text = format!("{title}, at {} UTC.", e.at.date_clock());
            of(FindingKind::Expiring, title, text, if e.at <= end { 0.9 } else { 0.6 }, vec![e.key.clone()])
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
        ChangeInput { at: Timestamp::from_secs(at), service, what: what.into(), is_release, key: key.into() }
    }

    #[test]
    fn the_change_closest_before_the_first_move_leads_and_one_deed_is_told_once() {
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
            // Two releases of one source are two; its smaller signs are one.
            change(T - 240, "shop", "v2 deployed by ada", true, "deploys"),
            change(T - 160, "shop", "scaled up to 3", false, "starts"),
            // A switch stands alone, however close; of many the rest is counted.
            change(T - 900, "shop", "flag bulk on by ana", true, "journal"),
            change(T + 400, "cart", "v7 deployed", true, "deploys"),
            change(T + 500, "cart", "v8 deployed", true, "deploys"),
        ];
        let signals = Signals { metrics: vec![metric], changes, ..Signals::default() };
        let told: Vec<(String, Vec<Key>)> = super::changes(&signals).into_iter().map(|f| (f.text, f.inputs)).collect();
        let first = "shop v3 deployed by ada at 09:27:00Z, 3m00s before the first move. Told with it: started a process; scaled up to 3; commit 1a2b \"Retry\".";
        assert_eq!(told[0], (first.to_owned(), vec!["deploys".to_owned(), "starts".into(), "git".into()]));
        let rest: Vec<&str> = told[1..].iter().map(|(text, _)| text.split(" at ").next().unwrap()).collect();
        assert_eq!(
            rest,
            [
                "shop v2 deployed by ada",
                "shop flag bulk on by ana",
                "mail flag digest on",
                "node eu-3: Rebooted",
                "3 further changes, less close to the first move or of other services."
            ]
        );
    }
}
