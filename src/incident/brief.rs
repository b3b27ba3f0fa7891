//! The briefing for responders who are joining, and the handover for the next commander. Both are Markdown text generated from
//! the facts.

use std::fmt::Write as _;
use std::time::Duration;

use super::action::ActionScope;
use super::event::Verdict;
use super::fact::{Fact, NoteKind};
use super::gate::{gates, open_items_for};
use super::mitigation::card_label;
use super::role::Role;
use super::state::Incident;
use super::status::Status;
use crate::telemetry::Timestamp;
use crate::telemetry::time::human_duration;

/// The reader of a brief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A responder who is joining.
    Joining,
    /// The next commander. The brief also lists finished tasks and more of the timeline.
    TakingOver,
}

/// Number of recent timeline entries for a joining responder. The next commander gets three times as many.
const RECENT_ENTRIES: usize = 6;

/// Writes a list item on one line, also if its texts have several.
macro_rules! item {
    ($out:expr, $($arg:tt)*) => { put!($out, "{}", format!($($arg)*).replace('\n', " ")) };
}

macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        // Writing to a string cannot fail.
        let _infallible = writeln!($out, $($arg)*);
    };
}

/// `5m00s ago`, or `in 5m00s` for a time after `now`.
fn ago(now: Timestamp, at: Timestamp) -> String {
    if at > now { format!("in {}", human_duration(at.since(now))) } else { format!("{} ago", human_duration(now.since(at))) }
}

/// The time of day in UTC, with the date unless it is the same as that of `now`.
fn dated(now: Timestamp, at: Timestamp) -> String {
    if now.date() == at.date() { clock(at) } else { format!("{} UTC", at.date_clock()) }
}

/// The time of day in UTC.
fn clock(at: Timestamp) -> String {
    format!("{} UTC", at.clock(time::UtcOffset::UTC))
}

/// Writes a brief as Markdown. `monitor` is how long the service must stay healthy, `due` is when the next update is due.
pub fn brief(i: &Incident, reader: Reader, now: Timestamp, monitor: Duration, due: Option<Timestamp>) -> String {
    let mut out = String::new();
    let h = &i.head;
    let heading = if reader == Reader::Joining { "Briefing" } else { "Handover" };
    put!(out, "# {heading}: {} {} {}\n", h.id, h.severity, h.title);
    situation(&mut out, i, now);
    hypotheses(&mut out, i);
    tasks(&mut out, i, now, reader);
    playbooks(&mut out, i);
    next_steps(&mut out, i, now, monitor, due);
    roles(&mut out, i, now);
    decisions(&mut out, i);
    timeline(&mut out, i, now, if reader == Reader::Joining { RECENT_ENTRIES } else { RECENT_ENTRIES * 3 });
    out
}

fn situation(out: &mut String, i: &Incident, now: Timestamp) {
    let h = &i.head;
    let started = i.impact_started_at();
    let length = i.mitigated_at.map_or_else(
        || format!("started at {} ({})", dated(now, started), ago(now, started)),
        |end| format!("lasted {}, until {}", human_duration(end.since(started)), dated(now, end)),
    );
    let assumed = if i.assumed_milestones().contains(&"impact_started_at") { " (assumed: no start time recorded)" } else { "" };
    put!(out, "**Status:** {} for {}. The impact {length}{assumed}.", h.status, human_duration(now.since(h.status_since)));
    let impact = i.impact.describe();
    put!(out, "**Impact:** {}.", if impact.is_empty() { "not described yet" } else { impact.as_str() });
    let meaning = i.matrix().meaning(h.severity).to_owned();
    let why = i.severities.last().and_then(|s| s.reason.clone()).map(|r| format!(" Reason: {r}.")).unwrap_or_default();
    let peak = i.peak_severity();
    let peak = if peak < h.severity { format!(" Peak severity: {peak}.") } else { String::new() };
    put!(out, "**Severity:** {} ({meaning}).{why}{peak}", h.severity);
    if i.alerts.is_empty() {
        put!(out, "**Alerts:** none linked.\n");
        return;
    }
    let states: Vec<String> = i
        .alerts
        .iter()
        .take(8)
        .map(|a| match i.watched.get(&a.fingerprint) {
            Some(w) if w.is_firing => format!("{} firing", a.label()),
            Some(w) => format!("{} resolved at {}", a.label(), clock(w.since)),
            None => format!("{} unverified", a.label()),
        })
        .collect();
    let more = i.alerts.len().saturating_sub(states.len());
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    put!(out, "**Alerts:** {}{more}.\n", states.join("; "));
}

fn hypotheses(out: &mut String, i: &Incident) {
    put!(out, "## Hypotheses and findings\n");
    if i.hypotheses.is_empty() {
        put!(out, "No hypotheses yet.");
    }
    for h in i.hypotheses.iter().rev().take(5) {
        let why = h.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        let state = h.verdict.map_or("proposed", Verdict::word);
        item!(out, "- {state}: {}{why}, by {}", h.text, h.origin());
    }
    if let Some(found) = &i.investigation {
        for f in found.findings.iter().take(3) {
            let tags: String = f.evidence.iter().take(3).map(|e| format!("[{e}]")).collect();
            item!(out, "- finding: {} {tags}", f.title);
        }
    }
    put!(out, "");
}

fn tasks(out: &mut String, i: &Incident, now: Timestamp, reader: Reader) {
    put!(out, "## Tasks\n");
    let mut any = false;
    for a in i.actions.iter().filter(|a| a.scope == ActionScope::Incident && a.state.is_open()) {
        any = true;
        let who = a.owner.as_deref().unwrap_or("not assigned");
        let when = a.check_back_at.map_or_else(String::new, |at| {
            if a.is_late(now) {
                format!(", **report overdue since {}**", clock(at))
            } else {
                format!(", report due {}", ago(now, at))
            }
        });
        item!(out, "- {} {who}: {}{when}", a.id, a.text);
    }
    if !any {
        put!(out, "No open tasks.");
    }
    if reader == Reader::TakingOver {
        for a in i.actions.iter().filter(|a| a.scope == ActionScope::Incident && !a.state.is_open()) {
            item!(out, "- {} {}: {}: {}", a.id, a.state.word(), a.text, a.result.as_deref().unwrap_or("no result recorded"));
        }
    }
    let is_card = |seq: u64| i.entries.iter().any(|e| e.seq == seq && matches!(e.fact, Fact::MitigationChanged { .. }));
    if !i.mitigations.is_empty() || !i.cards.is_empty() {
        put!(out, "\n## Mitigations\n");
    }
    for (index, card) in i.cards.iter().enumerate() {
        let verdict = card.judgement.as_ref().map(|(_, j)| format!("; {}: {}", j.verdict, j.why)).unwrap_or_default();
        let undo = card.undo.as_deref().map(|u| format!("; to undo it: {u}")).unwrap_or_default();
        item!(out, "- {} {}: {}{verdict}{undo}", card_label(index), card.state.word(), card.text);
    }
    // Cards that were done are listed above.
    for (seq, at) in i.mitigations.iter().filter(|(seq, _)| !is_card(*seq)) {
        if let Some(entry) = i.entries.iter().find(|e| e.seq == *seq) {
            item!(out, "- {}: {}", dated(now, *at), i.entry_text(entry).trim_start_matches("Mitigation: "));
        }
    }
    put!(out, "");
}

/// The playbooks that were begun: how far they are, what comes next, and what failed.
fn playbooks(out: &mut String, i: &Incident) {
    if i.playbooks.is_empty() {
        return;
    }
    put!(out, "## Playbooks\n");
    for run in &i.playbooks {
        let over = run.steps.iter().filter(|s| s.state.is_over()).count();
        let next =
            run.next().and_then(|at| Some(format!("; next: step {}, {}", at + 1, run.steps.get(at)?.title))).unwrap_or_default();
        let failed: Vec<String> = run.failed().map(|(n, s)| format!("step {n} ({}) failed", s.title)).collect();
        let failed = if failed.is_empty() { String::new() } else { format!("; {}", failed.join(", ")) };
        item!(out, "- {} ({}): {over} of {} steps{failed}{next}", run.title, run.playbook, run.steps.len());
    }
    put!(out, "");
}

fn next_steps(out: &mut String, i: &Incident, now: Timestamp, monitor: Duration, due: Option<Timestamp>) {
    put!(out, "## Next steps\n");
    match (due, i.updates.last()) {
        (Some(due), last) => {
            let last = last.map_or_else(
                || "no update has been sent yet".to_owned(),
                |u| format!("the last one was sent at {}", clock(u.at)),
            );
            let word = if due <= now { "has been **overdue** since" } else { "is due at" };
            let to = i.head.next_update().and_then(|(_, a)| a).map(|a| format!(" to {}", a.word())).unwrap_or_default();
            item!(out, "- The next update{to} {word} {}; {last}.", dated(now, due));
        }
        (None, Some(u)) => {
            item!(out, "- The last update was sent at {}; no further update is scheduled.", clock(u.at));
        }
        (None, None) => {}
    }
    if let Some(exit) = &i.exit {
        let reading =
            i.readings.last().map_or_else(|| "not checked yet".to_owned(), |r| format!("last reading: {}", r.reading.why));
        item!(out, "- Exit criteria: {}; {reading}.", exit.describe());
    }
    if matches!(i.head.status, Status::Closed | Status::Cancelled | Status::Merged) {
        let into =
            i.head.merged_into.map(|into| format!(" into {into}. See that incident for what happens next")).unwrap_or_default();
        put!(out, "- Nothing to do: this incident is {}{into}.\n", i.head.status);
        return;
    }
    let all = gates(i, now, monitor);
    let to = if i.head.status < Status::Resolved { Status::Resolved } else { Status::Closed };
    let open = open_items_for(&all, to);
    if open.is_empty() {
        item!(out, "- No open checklist items.");
    } else {
        let names: Vec<&str> = open.iter().map(|g| g.label).collect();
        item!(out, "- Before it can be {to}, complete these checklist items: {}.", names.join("; "));
    }
    if let Some(due) = i.postmortem_due() {
        item!(out, "- The post-mortem is due on {}.", due.date());
    }
    put!(out, "");
}

fn roles(out: &mut String, i: &Incident, now: Timestamp) {
    put!(out, "## Roles\n");
    if i.roles.is_empty() {
        put!(out, "No roles assigned.");
    }
    for role in Role::ALL {
        let holders: Vec<String> = if role.is_shared() {
            let open = i.role_spans.iter().filter(|s| s.role == role && s.until.is_none());
            open.map(|s| s.holder.clone()).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
        } else {
            i.roles.get(&role).cloned().into_iter().collect()
        };
        if !holders.is_empty() {
            item!(out, "- {}: {}", role.title(), holders.join(", "));
        }
    }
    let past: Vec<String> = i
        .role_spans
        .iter()
        .filter(|s| s.role == Role::Commander)
        .filter_map(|s| s.until.map(|until| format!("{} ({} to {})", s.holder, dated(now, s.from), dated(now, until))))
        .collect();
    if !past.is_empty() {
        item!(out, "- Previous commanders: {}", past.join("; "));
    }
    let missing: Vec<&str> = i.missing_roles().into_iter().map(Role::title).collect();
    if !missing.is_empty() && i.head.status.is_open() {
        item!(out, "- Not assigned, but required for {}: {}", i.head.severity, missing.join(", "));
    }
    if let Some(level) = i.escalation {
        item!(out, "- Escalated to {}", level.title());
    }
    put!(out, "");
}

fn decisions(out: &mut String, i: &Incident) {
    if i.decisions.is_empty() {
        return;
    }
    put!(out, "## Decisions\n");
    for d in &i.decisions {
        item!(out, "- {} {}: {}", clock(d.at), d.by, d.text);
        for (by, text) in &d.objections {
            item!(out, "  - {by} objected: {text}");
        }
        if let Some(outcome) = &d.outcome {
            item!(out, "  - Outcome: {outcome}");
        }
    }
    put!(out, "");
}

/// Whether a fact belongs in the timeline of a brief. Facts that other sections show, such as roles and tasks, are left out.
fn is_in_timeline(fact: &Fact) -> bool {
    match fact {
        Fact::Note { note_kind, .. } => !NoteKind::LESSONS.contains(note_kind),
        Fact::RoleAssigned { .. }
        | Fact::RoleRenounced { .. }
        | Fact::AlertLinked { .. }
        | Fact::GateTicked { .. }
        | Fact::TimeSet { .. }
        | Fact::ActionAdded { .. }
        | Fact::ActionChanged { .. }
        | Fact::ExitCriteriaSet { .. }
        | Fact::Corrected { .. } => false,
        _ => !fact.is_detail(),
    }
}

/// The declaration and the `most` latest entries.
fn timeline(out: &mut String, i: &Incident, now: Timestamp, most: usize) {
    put!(out, "## Timeline\n");
    let shown: Vec<_> = i.timeline().into_iter().filter(|e| is_in_timeline(&e.fact) && !i.undone.contains(&e.seq)).collect();
    let skipped = shown.len().saturating_sub(most + 1);
    for (n, e) in shown.iter().enumerate().filter(|(n, _)| *n == 0 || *n > skipped) {
        if n == skipped + 1 && skipped > 0 {
            item!(out, "- … {} omitted", crate::telemetry::words::count(skipped, "entry"));
        }
        let text = i.entry_text(e).replace('\n', " ");
        item!(out, "- {} ({}) {}: {text}", dated(now, e.at), ago(now, e.at), e.actor.name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{declared, entries};
    use super::*;
    use crate::incident::{ActionId, ActionKind, Severity};

    #[test]
    fn handover_lists_promised_updates_and_overdue_tasks() {
        let t = |m: i64| Timestamp::from_secs(1_795_253_400 + 60 * m);
        let severity = |from, to| Fact::SeverityChanged { from, to, reason: "x".into() };
        let facts = vec![
            declared(),
            Fact::RoleAssigned { role: Role::Commander, holder: "ana".into(), from: None },
            Fact::Note { text: "the pool is full [E3]".into(), note_kind: NoteKind::Hypothesis },
            Fact::ActionAdded {
                id: ActionId(1),
                text: "check the replica".into(),
                action_kind: ActionKind::Mitigate,
                owner: Some("ben".into()),
                due: None,
                priority: None,
                scope: ActionScope::Incident,
                check_back_at: Some(t(8)),
                ticket: None,
                part_of: None,
            },
            Fact::Note { text: "raise the pool".into(), note_kind: NoteKind::Decision },
            Fact::DecisionRemarked {
                seq: 5,
                remark: crate::incident::Remark::Objection,
                by: "ben".into(),
                text: "hides the leak".into(),
            },
            Fact::RoleAssigned { role: Role::Commander, holder: "ben".into(), from: Some("ana".into()) },
            severity(Severity::Sev3, Severity::Sev2),
            severity(Severity::Sev2, Severity::Sev3),
        ];
        let i = Incident::fold(entries(facts)).unwrap();
        let text = brief(&i, Reader::TakingOver, t(10), super::super::gate::DEFAULT_MONITOR_TIME, Some(t(9)));
        for part in [
            "# Handover: INC-1 SEV3 checkout is failing",
            "A1 ben: check the replica, **report overdue since",
            "**overdue**",
            "proposed: the pool is full [E3], by ana",
            "ben objected: hides the leak",
            "Incident commander: ben",
            "Previous commanders: ana (09:31:00 UTC to 09:36:00 UTC)",
            "Peak severity: SEV2",
            "Before it can be resolved",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let short = brief(&i, Reader::Joining, t(10), super::super::gate::DEFAULT_MONITOR_TIME, None);
        assert!(short.starts_with("# Briefing") && short.contains("## Decisions") && short.contains("(assumed:"), "{short}");
    }
}
