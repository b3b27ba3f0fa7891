//! What somebody must know who comes in late, or who takes over: written from the facts, in the order in which a tired person
//! asks. Markdown, so that it can be read aloud, pasted or mailed.

use std::fmt::Write as _;
use std::time::Duration;

use super::action::ActionScope;
use super::event::Verdict;
use super::fact::{Fact, NoteKind};
use super::gate::{gates, open_for};
use super::role::Role;
use super::state::Incident;
use super::status::Status;
use crate::telemetry::Timestamp;
use crate::telemetry::time::human;

/// For whom it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody who joins: what is going on.
    Joining,
    /// Who takes the command: also what is promised, what is open, what was tried.
    TakingOver,
}

/// Entries of the story that a joining reader is told.
const STORY: usize = 6;

macro_rules! say {
    ($out:expr, $($arg:tt)*) => {
        // Writing into a string cannot fail.
        let _infallible = writeln!($out, $($arg)*);
    };
}

fn ago(now: Timestamp, at: Timestamp) -> String {
    if at > now { format!("in {}", human(at.since(now))) } else { format!("{} ago", human(now.since(at))) }
}

/// The clock, with the day when it is another one than now's.
fn dated(now: Timestamp, at: Timestamp) -> String {
    if now.date() == at.date() { clock(at) } else { format!("{} UTC", at.date_clock()) }
}

fn clock(at: Timestamp) -> String {
    format!("{} UTC", at.clock(time::UtcOffset::UTC))
}

/// Writes it. `now` is when it is read, `monitor` the agreed time of watching, `due` when the next update must go out.
pub fn brief(i: &Incident, reader: Reader, now: Timestamp, monitor: Duration, due: Option<Timestamp>) -> String {
    let mut out = String::new();
    let h = &i.head;
    let what = if reader == Reader::Joining { "Read-in" } else { "Hand-over" };
    say!(out, "# {what}: {} {} {}\n", h.id, h.severity, h.title);
    situation(&mut out, i, now);
    causes(&mut out, i);
    work(&mut out, i, now, reader);
    promises(&mut out, i, now, monitor, due);
    people(&mut out, i, now);
    decisions(&mut out, i);
    story(&mut out, i, now, if reader == Reader::Joining { STORY } else { STORY * 3 });
    out
}

fn situation(out: &mut String, i: &Incident, now: Timestamp) {
    let h = &i.head;
    let started = i.impact_started_at();
    let length = i.mitigated_at.map_or_else(
        || format!("began {} ({})", dated(now, started), ago(now, started)),
        |end| format!("lasted {}, until {}", human(end.since(started)), dated(now, end)),
    );
    let assumed = if i.assumed().contains(&"impact_started_at") { " (assumed: nobody has said when it began)" } else { "" };
    say!(out, "**Now:** {} for {}. The impact {length}{assumed}.", h.status, human(now.since(h.status_since)));
    let impact = i.impact.words();
    say!(out, "**Impact:** {}.", if impact.is_empty() { "nobody has written it down yet" } else { impact.as_str() });
    let meaning = i.matrix().meaning(h.severity).to_owned();
    let why = i.severities.last().and_then(|s| s.reason.clone()).map(|r| format!(" Because {r}.")).unwrap_or_default();
    let peak = i.peak_severity();
    let peak = if peak < h.severity { format!(" At its worst {peak}.") } else { String::new() };
    say!(out, "**Severity:** {}, {meaning}.{why}{peak}", h.severity);
    if i.alerts.is_empty() {
        say!(out, "**Alerts:** none linked.\n");
        return;
    }
    let states: Vec<String> = i
        .alerts
        .iter()
        .take(8)
        .map(|a| match i.watched.get(&a.fingerprint) {
            Some(w) if w.is_firing => format!("{} fires", a.label()),
            Some(w) => format!("{} ended {}", a.label(), clock(w.since)),
            None => format!("{} not verified", a.label()),
        })
        .collect();
    let more = i.alerts.len().saturating_sub(states.len());
    let more = if more > 0 { format!("; {more} more") } else { String::new() };
    say!(out, "**Alerts:** {}{more}.\n", states.join("; "));
}

fn causes(out: &mut String, i: &Incident) {
    say!(out, "## What we think\n");
    if i.hypotheses.is_empty() {
        say!(out, "No hypothesis is written down yet.");
    }
    for h in i.hypotheses.iter().rev().take(5) {
        let why = h.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        let state = h.verdict.map_or("proposed", Verdict::word);
        say!(out, "- {state}: {}{why}, by {}", h.text, h.by);
    }
    if let Some(found) = &i.investigation {
        for f in found.findings.iter().take(3) {
            let tags: String = f.evidence.iter().take(3).map(|e| format!("[{e}]")).collect();
            say!(out, "- evidence: {} {tags}", f.title);
        }
    }
    say!(out, "");
}

fn work(out: &mut String, i: &Incident, now: Timestamp, reader: Reader) {
    say!(out, "## Under way\n");
    let mut any = false;
    for a in i.actions.iter().filter(|a| a.scope == ActionScope::Incident && a.state.is_open()) {
        any = true;
        let who = a.owner.as_deref().unwrap_or("nobody");
        let when = a.check_back_at.map_or_else(String::new, |at| {
            if a.is_late(now) { format!(", **late since {}**", clock(at)) } else { format!(", reports back {}", ago(now, at)) }
        });
        say!(out, "- {} {who}: {}{when}", a.id, a.text);
    }
    if !any {
        say!(out, "Nobody has a task.");
    }
    if reader == Reader::TakingOver {
        for a in i.actions.iter().filter(|a| a.scope == ActionScope::Incident && !a.state.is_open()) {
            say!(out, "- {} {}: {}: {}", a.id, a.state.word(), a.text, a.result.as_deref().unwrap_or("no result noted"));
        }
    }
    if !i.mitigations.is_empty() {
        say!(out, "\n## What was tried\n");
    }
    for (seq, at) in &i.mitigations {
        if let Some(entry) = i.entries.iter().find(|e| e.seq == *seq) {
            say!(out, "- {}: {}", dated(now, *at), i.text_of(entry).trim_start_matches("mitigation: "));
        }
    }
    say!(out, "");
}

fn promises(out: &mut String, i: &Incident, now: Timestamp, monitor: Duration, due: Option<Timestamp>) {
    say!(out, "## Next\n");
    match (due, i.updates.last()) {
        (Some(due), last) => {
            let last =
                last.map_or_else(|| "none has gone out yet".to_owned(), |u| format!("the last went out at {}", clock(u.at)));
            let word = if due <= now { "is **overdue** since" } else { "is due at" };
            let to = i.head.next_update().and_then(|(_, a)| a).map(|a| format!(" to {}", a.word())).unwrap_or_default();
            say!(out, "- The next update{to} {word} {}; {last}.", dated(now, due));
        }
        (None, Some(u)) => {
            say!(out, "- The last update went out at {}; no next one is due.", clock(u.at));
        }
        (None, None) => {}
    }
    if let Some(exit) = &i.exit {
        let read = i.readings.last().map_or_else(|| "not read yet".to_owned(), |r| format!("last reading: {}", r.reading.why));
        say!(out, "- It is over when {}; {read}.", exit.words());
    }
    if matches!(i.head.status, Status::Closed | Status::Cancelled | Status::Merged) {
        let into = i.head.merged_into.map(|into| format!(" into {into}: its story goes on there")).unwrap_or_default();
        say!(out, "- Nothing: it is {}{into}.\n", i.head.status);
        return;
    }
    let all = gates(i, now, monitor);
    let to = if i.head.status < Status::Resolved { Status::Resolved } else { Status::Closed };
    let open = open_for(&all, to);
    if open.is_empty() {
        say!(out, "- Nothing is open on the checklist.");
    } else {
        let names: Vec<&str> = open.iter().map(|g| g.words).collect();
        say!(out, "- Before it can be {to}: {}.", names.join("; "));
    }
    if let Some(due) = i.postmortem_due() {
        say!(out, "- The post-mortem is due on {}.", due.date());
    }
    say!(out, "");
}

fn people(out: &mut String, i: &Incident, now: Timestamp) {
    say!(out, "## Who\n");
    if i.roles.is_empty() {
        say!(out, "Nobody has a role.");
    }
    for role in Role::ALL {
        let holders: Vec<String> = if role.is_shared() {
            let open = i.role_spans.iter().filter(|s| s.role == role && s.until.is_none());
            open.map(|s| s.holder.clone()).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
        } else {
            i.roles.get(&role).cloned().into_iter().collect()
        };
        if !holders.is_empty() {
            say!(out, "- {}: {}", role.title(), holders.join(", "));
        }
    }
    let past: Vec<String> = i
        .role_spans
        .iter()
        .filter(|s| s.role == Role::Commander)
        .filter_map(|s| s.until.map(|until| format!("{} {} to {}", s.holder, dated(now, s.from), dated(now, until))))
        .collect();
    if !past.is_empty() {
        say!(out, "- Commanded before: {}", past.join("; "));
    }
    let missing: Vec<&str> = i.roles_missing().into_iter().map(Role::title).collect();
    if !missing.is_empty() && i.head.status.is_open() {
        say!(out, "- Missing for {}: {}", i.head.severity, missing.join(", "));
    }
    if let Some(level) = i.escalation {
        say!(out, "- Escalated to {}", level.title());
    }
    say!(out, "");
}

fn decisions(out: &mut String, i: &Incident) {
    if i.decisions.is_empty() {
        return;
    }
    say!(out, "## Decisions\n");
    for d in &i.decisions {
        say!(out, "- {} {}: {}", clock(d.at), d.by, d.text);
        for (by, text) in &d.objections {
            say!(out, "  - {by} objected: {text}");
        }
        if let Some(outcome) = &d.outcome {
            say!(out, "  - outcome: {outcome}");
        }
    }
    say!(out, "");
}

/// Whether an entry tells how the story went on, and not only who was there.
fn tells(fact: &Fact) -> bool {
    match fact {
        Fact::Note { note_kind, .. } => *note_kind != NoteKind::Lesson,
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

/// The declaration and the last entries that tell something.
fn story(out: &mut String, i: &Incident, now: Timestamp, most: usize) {
    say!(out, "## What happened\n");
    let told: Vec<_> = i.timeline().into_iter().filter(|e| tells(&e.fact) && !i.undone.contains(&e.seq)).collect();
    let skipped = told.len().saturating_sub(most + 1);
    for (n, e) in told.iter().enumerate().filter(|(n, _)| *n == 0 || *n > skipped) {
        if n == skipped + 1 && skipped > 0 {
            say!(out, "- … {} between", crate::telemetry::words::count(skipped, "entry"));
        }
        let text = i.text_of(e).replace('\n', " ");
        say!(out, "- {} ({}) {}: {text}", dated(now, e.at), ago(now, e.at), e.actor.name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{declared, entries};
    use super::*;
    use crate::incident::{ActionId, ActionKind, Severity};

    #[test]
    fn a_hand_over_tells_what_is_promised_and_what_is_late() {
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
        let text = brief(&i, Reader::TakingOver, t(10), super::super::gate::MONITOR, Some(t(9)));
        for part in [
            "# Hand-over: INC-1 SEV3 checkout is failing",
            "A1 ben: check the replica, **late since",
            "**overdue**",
            "proposed: the pool is full [E3], by ana",
            "ben objected: hides the leak",
            "Incident commander: ben",
            "Commanded before: ana 09:31:00 UTC to 09:36:00 UTC",
            "At its worst SEV2",
            "Before it can be resolved:",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let short = brief(&i, Reader::Joining, t(10), super::super::gate::MONITOR, None);
        assert!(short.starts_with("# Read-in") && short.contains("## Decisions") && short.contains("(assumed:"), "{short}");
    }
}
