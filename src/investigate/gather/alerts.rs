//! What is firing: the alerts of the incident as evidence, when it began, and which labels the alerts share.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::clock::now;
use super::super::set::{AlertBoard, SourceSet};
use super::{Gathered, Request};
use crate::analysis::relations;
use crate::evidence::{Body, Draft};
use crate::incident::{AlertNow, EvidenceKind, LinkedAlert};
use crate::telemetry::{Alert, AlertState, Timestamp, Window, words};

/// When the incident began, judged by its alerts: half a minute before the first condition held (an expression over a rate needs
/// about that long to show it), but not before [`earliest_onset`]. Without alerts in the window, a third into it.
pub(super) fn onset(request: &Request, first: Option<Timestamp>) -> Timestamp {
    let window = request.window;
    let floor = earliest_onset(window);
    match first {
        Some(at) if at > floor && at <= window.end => (at - Duration::from_secs(30)).max(floor),
        _ => window.start + window.length() / 3,
    }
}

/// The longest time at the beginning of a window that is always taken to be normal.
const MAX_NORMAL: Duration = Duration::from_mins(5);

/// The first fifth of a window is always taken to be normal, but not more than its first five minutes.
pub(in crate::investigate) fn earliest_onset(window: Window) -> Timestamp {
    window.start + (window.length() / 5).min(MAX_NORMAL)
}

/// The alerts that concern the incident, as signals and as evidence: one item per source, one for linked alerts that have ended, and
/// and none for those whose state is unknown.
pub(super) fn collect(set: &SourceSet, request: &Request, board: &AlertBoard) -> Gathered {
    let mut out = Gathered::default();
    out.signals.alerts_known = board.any_alert_source_answered();
    out.signals.has_alert_source = board.has_alert_source();
    let relevant = relevant(request, board);
    let newly_known = |l: &&LinkedAlert| !l.verified;
    let verified = request.linked.iter().filter(newly_known).filter_map(|l| board.find(l));
    out.verified = verified.map(LinkedAlert::from_alert).collect();
    let unknown = linked_in_state(request, board, |now| matches!(now, AlertNow::Unknown));
    for source in &set.sources {
        let Some(alerts) = source.alerts() else { continue };
        let has_answered = board.sources.iter().any(|s| s.name == source.name() && s.error.is_none());
        let own: Vec<Alert> = relevant.iter().filter(|a| a.source == source.name()).cloned().collect();
        // A source that lists none of this incident's alerts is evidence only if no source lists any.
        if !has_answered || own.is_empty() && !relevant.is_empty() {
            continue;
        }
        let others = board.alerts.iter().filter(|a| a.source == source.name() && !a.is_heartbeat()).count() - own.len();
        let summary = match own.len() {
            0 if others == 0 => "no alert is firing".to_owned(),
            0 => format!("none of the linked alerts is active; {others} others are"),
            n => format!("{}: {}", words::count(n, "alert"), names(&own)),
        };
        let gaps = board.gaps.iter().filter(|g| g.source == source.name()).map(|g| g.text.clone()).collect();
        let draft = Draft { gaps, ..evidence(request.window, source.name(), alerts.query(), summary, own) };
        let key = format!("alerts/{}", source.name());
        if out.signals.alerts_key.is_empty() {
            out.signals.alerts_key.clone_from(&key);
        }
        out.drafts.push((key, draft));
    }
    let ended = linked_in_state(request, board, |now| matches!(now, AlertNow::Ended));
    if !ended.is_empty() {
        let query = "linked alerts that no source lists any more, as they were when they were linked".to_owned();
        let summary = format!("{} no longer firing: {}", words::count(ended.len(), "linked alert"), names(&ended));
        let draft = evidence(request.window, "warroom", query, summary, ended.clone());
        out.drafts.push(("alerts/ended".to_owned(), draft));
    }
    if !unknown.is_empty() {
        let (count, names) = (words::count(unknown.len(), "linked alert"), names(&unknown));
        out.gap(format!("no source that knows them answered, so it is unknown whether {count} still fire: {names}"));
    }
    for report in &board.sources {
        if let Some(error) = &report.error {
            out.gap(format!("{}: {error}", report.name));
        }
        out.report(report.clone());
    }
    board.gaps.iter().for_each(|g| out.gap(g.to_string()));
    out.signals.unknown_alerts = unknown;
    out.signals.alerts = relevant;
    out.signals.alerts.extend(ended);
    out
}

/// The linked alerts that are active; without linked alerts, everything that fires in the window and does not fire by design.
fn relevant(request: &Request, board: &AlertBoard) -> Vec<Alert> {
    if request.linked.is_empty() {
        let is_recent = |a: &&Alert| a.state != AlertState::Pending || a.starts_at.is_some_and(|t| request.window.contains(t));
        return board.alerts.iter().filter(is_recent).filter(|a| !a.is_heartbeat()).cloned().collect();
    }
    let mut found: Vec<&Alert> = request.linked.iter().filter_map(|l| board.find(l)).collect();
    found.retain(|a| a.state != AlertState::Resolved);
    // Two links may be the same alert, made while its sources had different fingerprints.
    let mut known = BTreeSet::new();
    found.retain(|a| known.insert(a.fingerprint.as_str()));
    found.into_iter().cloned().collect()
}

/// The linked alerts in a state; what was known when they were linked still counts. An alert that no source has reported yet is in
/// none.
fn linked_in_state(request: &Request, board: &AlertBoard, is_in: impl Fn(AlertNow<'_>) -> bool) -> Vec<Alert> {
    request.linked.iter().filter(|l| l.verified && is_in(board.now(l))).map(linked_alert).collect()
}

/// Alerts as evidence.
fn evidence(window: Window, source: &str, query: String, summary: String, alerts: Vec<Alert>) -> Draft {
    let count = u64::try_from(alerts.len()).unwrap_or(0);
    Draft {
        kind: EvidenceKind::Alerts,
        source: source.to_owned(),
        query,
        window,
        taken_at: now(),
        summary,
        body: Body::Alerts { alerts },
        gaps: Vec::new(),
        shown: count,
        total: count,
    }
}

fn names(alerts: &[Alert]) -> String {
    let name = |a: &Alert| a.subject().map_or_else(|| a.name.clone(), |s| format!("{} ({})", a.name, s.name));
    let names: BTreeSet<String> = alerts.iter().map(name).collect();
    let first: Vec<String> = names.iter().take(6).cloned().collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// A linked alert as an alert that has ended.
pub(in crate::investigate) fn linked_alert(linked: &LinkedAlert) -> Alert {
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
        aliases: linked.aliases.clone(),
        also_in: linked.also_in.clone(),
        occurrences: 1,
        ..Alert::default()
    }
}

/// Adds the labels that the alerts share, as a signal and as evidence.
pub(super) fn relate(out: &mut Gathered, window: Window) {
    let alerts: Vec<&Alert> = out.signals.alerts.iter().collect();
    let found = relations::find_relations(&alerts);
    if found.is_empty() {
        return;
    }
    let by_label: BTreeMap<&str, &str> = found.iter().map(|r| (r.label.as_str(), r.value.as_str())).collect();
    let count = u64::try_from(found.len()).unwrap_or(0);
    let shared: Vec<String> = by_label.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let draft = Draft {
        kind: EvidenceKind::Analysis,
        source: "warroom".to_owned(),
        query: "labels that alerts share".to_owned(),
        window,
        taken_at: now(),
        summary: format!("the alerts share {}", shared.join(", ")),
        body: Body::Relations { relations: found.clone() },
        gaps: Vec::new(),
        shown: count,
        total: count,
    };
    out.signals.relations = found;
    "relations".clone_into(&mut out.signals.relations_key);
    out.drafts.push(("relations".to_owned(), draft));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::onset::wave_start;
    use crate::incident::Matrix;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_795_253_400 + secs)
    }

    fn request(linked: Vec<LinkedAlert>) -> Request {
        let window = Window::new(at(0), at(1000));
        Request {
            window,
            linked,
            matrix: Matrix::default(),
            first_alert: None,
            bad_baseline: false,
            notes: vec![],
            slo: Default::default(),
            recorded: vec![],
        }
    }

    fn alert(name: &str, state: AlertState, since: i64) -> Alert {
        let linked = LinkedAlert { starts_at: Some(at(since)), ..LinkedAlert::unverified(name) };
        Alert { state, name: name.into(), source: "am".into(), ..linked_alert(&linked) }
    }

    #[test]
    fn onset_is_shortly_before_the_first_alert_but_leaves_a_baseline() {
        let firing = |since| vec![alert("A", AlertState::Firing, since)];
        let of = |since| onset(&request(vec![]), wave_start(&firing(since), at(1000)));
        assert_eq!(of(600), at(570));
        assert_eq!(of(210), at(200), "a fifth of the window stays normal");
        for outside in [firing(-50), firing(1100), vec![]] {
            let first = wave_start(&outside, at(1000));
            assert_eq!(onset(&request(vec![]), first), at(333) + Duration::from_nanos(333_333_333));
        }
    }

    #[test]
    fn linked_alerts_that_no_source_lists_have_ended_only_if_a_source_answered() {
        let linked = LinkedAlert { verified: true, name: "gone".into(), source: "am".into(), ..LinkedAlert::unverified("gone") };
        let sources = vec![super::super::super::set::report_ok("am", "alertmanager")];
        let answered = AlertBoard { sources, expected: vec!["am".into()], ..AlertBoard::default() };
        let set = SourceSet::default();
        let found = collect(&set, &request(vec![linked.clone()]), &answered);
        assert_eq!(found.signals.alerts[0].state, AlertState::Resolved);
        assert_eq!(found.drafts[0].1.summary, "1 linked alert no longer firing: gone");
        let silent = collect(&set, &request(vec![linked]), &AlertBoard::default());
        assert!(silent.signals.alerts.is_empty() && silent.drafts.is_empty() && !silent.signals.alerts_known);
        assert_eq!((silent.signals.unknown_alerts.len(), silent.signals.gaps.len()), (1, 1));
    }

    #[test]
    fn an_alert_linked_by_its_fingerprint_is_verified_when_a_source_lists_it() {
        let board = AlertBoard {
            alerts: vec![alert("A", AlertState::Firing, 500), alert("B", AlertState::Firing, 500)],
            ..AlertBoard::default()
        };
        let found = collect(&SourceSet::default(), &request(vec![LinkedAlert::unverified("A")]), &board);
        assert_eq!(found.verified.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["A"]);
        assert_eq!(found.signals.alerts.len(), 1, "the other alert is not part of the incident");
    }

    #[test]
    fn names_six_alerts_and_counts_the_rest() {
        let all: Vec<Alert> = (0..8).map(|n| alert(&format!("A{n}"), AlertState::Firing, 0)).collect();
        assert_eq!(names(&all), "A0, A1, A2, A3, A4, A5 and 2 more");
    }
}
