//! `warroom incident …`: look at incidents and write facts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CliError, Done, duration_arg, id_arg, out, seq_arg, severity_arg, time_arg};
use crate::incident::brief::Reader;
use crate::incident::ids::seq_label;
use crate::incident::{
    ActionChange, ActionId, ActionState, ActorKind, Audience, Entry, EscalationLevel, EventKind, FoundBy, GateItem, Grade,
    Incident, IncidentId, Milestone, NextUpdate, NoteKind, Remark, Role, Severity, Status, Verdict,
};
use crate::investigate::Desk;
use crate::investigate::clock::now;
use crate::investigate::work::{NewAction, NewImpact, read_to_attach};
use crate::telemetry::Timestamp;
use crate::telemetry::time::human_duration;

/// The subcommands of `warroom incident`.
#[derive(Subcommand)]
pub enum IncidentCommand {
    /// All incidents, the newest first
    List {
        /// Only those that are open
        #[arg(long)]
        open: bool,
    },
    /// Everything about one
    Show {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// What somebody must know who joins now
    Brief {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// The hand-over brief; with --to also hands the command over
    Handover {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Who takes the command
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Write a note into the timeline; what stands after TODO becomes an action item
    Note {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        text: String,
        /// observation, decision, lesson, hypothesis or mitigation
        #[arg(long, default_value = "observation")]
        kind: NoteKind,
        #[command(flatten)]
        when: When,
    },
    /// Correct what an entry says; the original is kept
    Correct {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        #[arg(value_parser = seq_arg)]
        entry: u64,
        text: String,
        /// Why
        #[arg(long, default_value = "corrected by hand")]
        reason: String,
        #[command(flatten)]
        when: When,
    },
    /// Take a change back: an entry, or the last one that you made
    Undo {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        #[arg(value_parser = seq_arg)]
        entry: Option<u64>,
        #[command(flatten)]
        when: When,
    },
    /// Change the severity
    Severity {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// SEV1 (worst) to SEV5; when unsure two (SEV2/SEV3): the higher one is taken
        #[arg(value_parser = severity_arg)]
        severity: Severity,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        when: When,
    },
    /// Change the status
    Status {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// triage, investigating, identified, mitigated, monitoring, resolved, closed or cancelled
        status: Status,
        /// Go on although something is open, and say why
        #[arg(long = "override", value_name = "REASON")]
        override_reason: Option<String>,
        /// Why it changes, such as what made it a false alarm
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// The checklist of the phases; with an item, tick it
    Gate {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// The item's name, such as stakeholders-told
        item: Option<String>,
        /// It holds: say how you know
        #[arg(long, value_name = "TEXT", conflicts_with = "not_met", requires = "item")]
        met: Option<String>,
        /// It does not hold: say why
        #[arg(long, value_name = "TEXT", requires = "item")]
        not_met: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Set when it is over: an expression on one side of a threshold for a while
    Exit {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// A query of the metrics backend, with its comparison ('error_rate < 0.01') or without
        expression: String,
        #[arg(long, value_name = "NUMBER", group = "side", allow_negative_numbers = true)]
        below: Option<f64>,
        #[arg(long, value_name = "NUMBER", group = "side", allow_negative_numbers = true)]
        above: Option<f64>,
        /// For how long, such as 30m
        #[arg(long = "for", value_name = "DURATION", value_parser = duration_arg)]
        length: Duration,
        /// The source to ask, if several could answer
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Look now whether its alerts still fire and its exit criteria hold
    Check {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Give a role to somebody (without a name: to yourself); a second holder is a hand-over
    Role {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// commander, deputy, scribe, sme, customer-liaison, internal-liaison, next-commander, operations-lead,
        /// planning-lead, communications-lead, reporter, participant or observer
        role: Role,
        name: Option<String>,
        /// Give it up instead
        #[arg(long)]
        renounce: bool,
        #[command(flatten)]
        when: When,
    },
    /// A task for somebody who reports back
    Task {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        name: String,
        text: String,
        /// Minutes until they report back
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_080))]
        minutes: u64,
        #[command(flatten)]
        when: When,
    },
    /// What came of a task
    Report {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        action: ActionId,
        result: String,
        /// Not done yet: they report again in so many minutes
        #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=10_080))]
        again_in: Option<u64>,
        #[command(flatten)]
        when: When,
    },
    /// Judge a hypothesis: supported or refuted
    Hypothesis {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// The entry that proposed it
        #[arg(value_parser = seq_arg)]
        entry: u64,
        verdict: Verdict,
        /// Why, with the evidence: "pool was full [E3]"
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        when: When,
    },
    /// An objection to a decision
    Objection {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        #[arg(value_parser = seq_arg)]
        entry: u64,
        text: String,
        /// Who objects, if not you
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// What came of a decision
    Outcome {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        #[arg(value_parser = seq_arg)]
        entry: u64,
        text: String,
        #[command(flatten)]
        when: When,
    },
    /// Say what it does to whom
    Impact {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// When it began
        #[arg(long, value_name = "TIME", value_parser = time_arg)]
        started: Option<Timestamp>,
        /// Affected services, by comma
        #[arg(long, value_delimiter = ',', value_name = "A,B")]
        services: Option<Vec<String>>,
        /// Which users and how many
        #[arg(long, value_name = "TEXT")]
        users: Option<String>,
        #[arg(long, value_name = "TEXT")]
        region: Option<String>,
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Set a moment of its life by hand
    Time {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// impact_started, detected, declared, acknowledged, identified, mitigated, resolved or closed
        moment: Milestone,
        #[arg(value_parser = time_arg)]
        time: Timestamp,
        /// How you know
        #[arg(long)]
        reason: String,
        /// Why it may lie out of order
        #[arg(long, value_name = "WHY")]
        exception: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Put on record that an update went out (sends nothing)
    Update {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        text: String,
        /// internal, executive or external
        #[arg(long, default_value = "internal")]
        audience: Audience,
        /// When the next one comes, if not as the severity says
        #[arg(long, value_name = "DURATION", value_parser = duration_arg)]
        next_in: Option<Duration>,
        /// It was the last one that they get
        #[arg(long, conflicts_with = "next_in")]
        last: bool,
        #[command(flatten)]
        when: When,
    },
    /// Put an event on record: a change, a silence, a query, a command. The first four kinds are changes, which the next
    /// investigation ranks
    Event {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// deploy-detected, config-changed, flag-changed, change-detected, silence-created, silence-expired,
        /// responder-requested, snoozed, query-run, command-run, action-started, action-finished, priority-changed,
        /// urgency-changed or postmortem-created
        kind: EventKind,
        text: String,
        #[command(flatten)]
        when: When,
    },
    /// Put an escalation on record: L1 user support, L2 technical, L3 complex systems, L4 architecture and development
    Escalate {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        level: EscalationLevel,
        #[arg(long)]
        reason: String,
        /// Whom it went to
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Page somebody through your own program; shows the exact command, and runs it with --yes
    Page {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        name: String,
        text: String,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Past incidents that look like this one, and what ended them
    Similar {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Keep a file (or `-` for standard input) as evidence
    Attach {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        file: PathBuf,
        /// What it shows
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Link an alert by its fingerprint
    Link {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        fingerprint: String,
        #[command(flatten)]
        when: When,
    },
    /// Take a wrong alert away
    Unlink {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        fingerprint: String,
        /// Why it is wrong
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Make it a part of another incident, which gets its alerts
    Merge {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        #[arg(value_parser = id_arg)]
        into: IncidentId,
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Say that somebody is on it
    Acknowledge {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        #[command(flatten)]
        when: When,
    },
    /// Nobody is on it after all
    Unacknowledge {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        when: When,
    },
    /// It is over: the service is restored. Refused while a gate is open
    Resolve {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Go on although something is open, and say why
        #[arg(long = "override", value_name = "REASON")]
        override_reason: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// It was not over
    Reopen {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        when: When,
    },
    /// Grade the diagnosis, afterwards
    Grade {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// bullseye, one-hop-short, right-area or wrong
        grade: Grade,
        /// Who reached it: human, ai, both or rules
        #[arg(long)]
        found_by: FoundBy,
        #[arg(long)]
        text: Option<String>,
        #[command(flatten)]
        when: When,
    },
}

/// When it happened.
#[derive(Args)]
pub struct When {
    /// When it happened, if not now
    #[arg(long, value_name = "TIME", value_parser = time_arg)]
    at: Option<Timestamp>,
}

#[allow(clippy::too_many_lines, reason = "one arm for each subcommand: a table")]
pub(super) async fn run(desk: &Desk, command: IncidentCommand, as_json: bool) -> Result<Done, CliError> {
    use IncidentCommand as C;
    let (incident, entry) = match command {
        C::List { open } => return list(desk, open, as_json).await,
        C::Show { id } => return show(desk, id, as_json).await,
        C::Brief { id } => return brief(desk, id, Reader::Joining, as_json).await,
        C::Handover { id, to: None, .. } => return brief(desk, id, Reader::TakingOver, as_json).await,
        C::Handover { id, to: Some(to), when } => {
            let written = desk.assign(id, Role::Commander, &to, when.at).await?;
            if !as_json {
                brief(desk, id, Reader::TakingOver, false).await?;
            }
            written
        }
        C::Gate { id, item: None, .. } => return checklist(desk, id, as_json).await,
        C::Gate { id, item: Some(item), met, not_met, when } => match (met, not_met) {
            (Some(text), _) => desk.tick(id, &item, true, &text, when.at).await?,
            (None, Some(text)) => desk.tick(id, &item, false, &text, when.at).await?,
            (None, None) => return Err(CliError::Usage(format!("say how you know: --met TEXT or --not-met TEXT for {item}"))),
        },
        C::Similar { id } => return likes(desk, id, as_json).await,
        C::Page { id, name, text, yes: false } => {
            let command = desk.page_command(&desk.journal.incident(id).await?, &name, &text)?;
            if as_json {
                out::json(&json!({"paged": false, "command": command}))?;
            } else {
                out::line(format!("{command:?}"))?;
                out::note("nothing was run; --yes runs exactly this");
            }
            return Ok(Done::Whole);
        }
        C::Page { id, name, text, yes: true } => desk.page(id, &name, &text).await?,
        C::Check { id } => return check(desk, id, as_json).await,
        C::Note { id, text, kind, when } => desk.note(id, &text, kind, when.at).await?,
        C::Correct { id, entry, text, reason, when } => desk.correct(id, entry, &text, &reason, when.at).await?,
        C::Undo { id, entry, when } => desk.undo(id, entry, when.at).await?,
        C::Severity { id, severity, reason, when } => desk.set_severity(id, severity, &reason, when.at).await?,
        C::Status { id, status, override_reason, reason, when } => {
            let written = desk.set_status(id, status, override_reason, reason.as_deref(), when.at).await?;
            tell_open(desk, &written.0);
            written
        }
        C::Exit { id, expression, below, above, length, source, when } => {
            let criteria = crate::analysis::exit::build(&expression, below, above, length, source).map_err(CliError::Usage)?;
            desk.set_exit(id, criteria, when.at).await?
        }
        C::Role { id, role, name, renounce: true, when } => desk.renounce(id, role, name.as_deref(), when.at).await?,
        C::Role { id, role, name, renounce: false, when } => {
            desk.assign(id, role, name.as_deref().unwrap_or(&desk.user), when.at).await?
        }
        C::Task { id, name, text, minutes, when } => {
            desk.add_action(id, NewAction::task(&name, &text, Duration::from_secs(minutes * 60)), when.at).await?
        }
        C::Report { id, action, result, again_in: None, when } => desk.action_done(id, action, Some(result), when.at).await?,
        C::Report { id, action, result, again_in: Some(minutes), when } => {
            let change = ActionChange {
                state: Some(ActionState::InProgress),
                result: Some(result),
                check_back_at: Some(when.at.unwrap_or_else(now) + Duration::from_secs(minutes * 60)),
                ..ActionChange::default()
            };
            desk.change_action(id, action, change, when.at).await?
        }
        C::Hypothesis { id, entry, verdict, reason, when } => desk.judge(id, entry, verdict, &reason, when.at).await?,
        C::Objection { id, entry, text, by, when } => {
            desk.remark(id, entry, Remark::Objection, by.as_deref(), &text, when.at).await?
        }
        C::Outcome { id, entry, text, when } => desk.remark(id, entry, Remark::Outcome, None, &text, when.at).await?,
        C::Impact { id, started, services, users, region, text, when } => {
            desk.set_impact(id, NewImpact { started, services, users, region, text }, when.at).await?
        }
        C::Time { id, moment, time, reason, exception, when } => {
            desk.set_time(id, moment, time, &reason, exception, when.at).await?
        }
        C::Update { id, text, audience, next_in, last, when } => {
            let next = if last { NextUpdate::Never } else { next_in.map_or(NextUpdate::Scheduled, NextUpdate::In) };
            desk.published(id, audience, &text, next, when.at).await?
        }
        C::Event { id, kind, text, when } => desk.event(id, kind, &text, when.at).await?,
        C::Escalate { id, level, reason, to, when } => desk.escalate(id, level, to.as_deref(), &reason, when.at).await?,
        C::Attach { id, file, note, when } => {
            let read = read_to_attach(&file)?;
            let from = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
            let written = desk.attach(id, &from, &read, note.as_deref(), when.at).await?;
            for gap in &read.gaps {
                out::note(format!("warroom: {gap}"));
            }
            written
        }
        C::Unlink { id, fingerprint, reason, when } => desk.unlink(id, &fingerprint, reason, when.at).await?,
        C::Merge { id, into, reason, when } => desk.merge(id, into, reason, when.at).await?,
        C::Acknowledge { id, when } => desk.acknowledge(id, when.at).await?,
        C::Unacknowledge { id, reason, when } => desk.unacknowledge(id, &reason, when.at).await?,
        C::Resolve { id, override_reason, when } => desk.set_status(id, Status::Resolved, override_reason, None, when.at).await?,
        C::Reopen { id, reason, when } => desk.reopen(id, &reason, when.at).await?,
        C::Grade { id, grade, found_by, text, when } => desk.grade(id, grade, found_by, text, when.at).await?,
        C::Link { id, fingerprint, when } => {
            let before = desk.journal.incident(id).await?.head.last_seq;
            let (incident, warnings) = desk.link(id, &[fingerprint], when.at).await?;
            warnings.iter().for_each(|w| out::note(format!("warroom: {w}")));
            let Some(entry) = incident.entries.last().filter(|e| e.seq > before).cloned() else {
                return Err(CliError::Failed(format!("{id} has this alert already")));
            };
            (incident, entry)
        }
    };
    print_entry(&incident, &entry, as_json)
}

/// What is open in the phases that lie behind: told, not asked for.
fn tell_open(desk: &Desk, incident: &Incident) {
    let Some(phase) = incident.head.status.phase() else { return };
    let gates = desk.gates(incident);
    let behind: Vec<&str> = gates.iter().filter(|g| g.phase < phase && !g.met).map(|g| g.item).collect();
    if !behind.is_empty() {
        out::note(format!(
            "warroom: still open in earlier phases: {} (`warroom incident gate {}`)",
            behind.join(", "),
            incident.id()
        ));
    }
}

async fn brief(desk: &Desk, id: IncidentId, reader: Reader, as_json: bool) -> Result<Done, CliError> {
    let incident = desk.journal.incident(id).await?;
    let due = incident.head.update_due();
    let text = crate::incident::brief::brief(&incident, reader, now(), desk.monitor, due);
    if as_json {
        out::json(&json!({"id": id, "as_of_entry": incident.head.last_seq, "text": text}))?;
    } else {
        out::raw(&text)?;
    }
    Ok(Done::Whole)
}

async fn likes(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let found = desk.similar(id).await?;
    if as_json {
        out::json(&json!({"id": id, "similar": found}))?;
    } else {
        out::raw(&crate::incident::similar::describe(&found))?;
    }
    Ok(Done::Whole)
}

fn gate_shape(g: &GateItem) -> Value {
    json!({"phase": g.phase, "item": g.item, "met": g.met, "words": g.label, "check": g.check, "detail": g.detail})
}

async fn checklist(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let incident = desk.journal.incident(id).await?;
    let gates = desk.gates(&incident);
    if as_json {
        out::json(&json!({"id": id, "status": incident.head.status, "gates": gates.iter().map(gate_shape).collect::<Vec<_>>()}))?;
        return Ok(Done::Whole);
    }
    let mut phase = None;
    for g in &gates {
        if phase != Some(g.phase) {
            phase = Some(g.phase);
            let open = gates.iter().filter(|x| x.phase == g.phase && !x.met).count();
            out::line(format!(
                "{}{}",
                g.phase.word(),
                if open == 0 { ": complete".to_owned() } else { format!(": {open} open") }
            ))?;
        }
        let mark = if g.met { "[x]" } else { "[ ]" };
        out::line(format!("  {mark} {:<20} {}", g.item, g.label))?;
        if !g.detail.is_empty() {
            out::line(format!("      {:<20} {}", "", g.detail))?;
        }
    }
    Ok(Done::Whole)
}

async fn check(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let before = desk.journal.incident(id).await?.head.last_seq;
    let (incident, silent) = desk.check(id).await?;
    silent.iter().for_each(|s| out::note(format!("warroom: {s}")));
    let new: Vec<&Entry> = incident.entries.iter().filter(|e| e.seq > before).collect();
    if as_json {
        let reading = incident.readings.last().map(|r| &r.reading);
        let shown: Vec<Value> = new.iter().map(|e| entry_shape(&incident, e)).collect();
        out::json(&json!({"id": id, "entries": shown, "reading": reading, "silent": silent}))?;
    } else if new.is_empty() {
        out::line("nothing new")?;
    } else {
        for e in new {
            out::line(format!("{} entry {}: {}", e.incident, seq_label(e.seq), e.fact.sentence()))?;
        }
    }
    Ok(if silent.is_empty() { Done::Whole } else { Done::Partial })
}

/// The entry that was written: JSON, or one line.
pub(super) fn print_entry(incident: &Incident, entry: &Entry, as_json: bool) -> Result<Done, CliError> {
    if as_json {
        out::json(&entry_shape(incident, entry))?;
    } else {
        out::line(format!("{} entry {}: {}", entry.incident, seq_label(entry.seq), entry.fact.sentence()))?;
    }
    Ok(Done::Whole)
}

fn entry_shape(incident: &Incident, e: &Entry) -> Value {
    json!({
        "incident": e.incident, "seq": e.seq, "at": e.at, "recorded_at": e.recorded_at, "actor": e.actor.name, "actor_kind": e.actor.kind,
        "kind": e.fact.kind(), "text": incident.entry_text(e), "evidence": e.fact.evidence(), "fact": e.fact, "hash": e.hash,
    })
}

async fn list(desk: &Desk, open: bool, as_json: bool) -> Result<Done, CliError> {
    let mut heads = desk.journal.list().await?;
    heads.retain(|h| !open || h.status.is_open());
    if as_json {
        let rows: Vec<Value> = heads
            .iter()
            .map(|h| {
                json!({
                    "id": h.id, "title": h.title, "severity": h.severity, "status": h.status, "phase": h.status.phase(),
                    "declared_at": h.declared_at, "status_since": h.status_since, "commander": h.commander, "alerts": h.alerts,
                    "open_actions": h.open_actions, "last_seq": h.last_seq, "updated_at": h.updated_at,
                    "update_due_at": h.update_due(), "merged_into": h.merged_into, "unsynced": h.unsynced,
                })
            })
            .collect();
        out::json(&json!({"incidents": rows}))?;
        return Ok(Done::Whole);
    }
    if heads.is_empty() {
        out::note("no incidents: `warroom declare --title …` opens one");
    }
    let now = now();
    let rows: Vec<Vec<String>> = heads
        .iter()
        .map(|h| {
            let commander = h.commander.as_ref().map_or_else(|| "no commander".to_owned(), |c| format!("IC {c}"));
            vec![
                h.severity.to_string(),
                h.id.to_string(),
                h.status.to_string(),
                human_duration(now.since(h.declared_at)),
                commander,
                h.title.clone(),
            ]
        })
        .collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    Ok(Done::Whole)
}

/// The documented shape of `incident show --json`.
pub(super) fn shape(i: &Incident, gates: &[GateItem]) -> Value {
    let timeline: Vec<Value> = i
        .timeline()
        .into_iter()
        .map(|e| {
            json!({"seq": e.seq, "at": e.at, "recorded_at": e.recorded_at, "actor": e.actor.name, "actor_kind": e.actor.kind,
                   "kind": e.fact.kind(), "text": i.entry_text(e), "evidence": e.fact.evidence(), "undone": i.undone.contains(&e.seq),
                   "original": i.corrections.contains_key(&e.seq).then(|| e.fact.sentence())})
        })
        .collect();
    let evidence: Vec<Value> = i
        .evidence
        .iter()
        .map(|e| {
            json!({"id": e.id, "kind": e.kind, "source": e.source, "query": e.query, "window": e.window, "taken_at": e.taken_at,
                   "summary": e.summary, "digest": e.digest, "complete": e.complete, "gaps": e.gaps, "shown": e.shown, "total": e.total,
                   "redactions": e.redactions})
        })
        .collect();
    let hypotheses: Vec<Value> = i
        .hypotheses
        .iter()
        .map(|h| {
            json!({"seq": h.seq, "at": h.at, "text": h.text, "by": h.by, "state": h.state(), "reason": h.reason, "judged_at": h.judged_at})
        })
        .collect();
    let decisions: Vec<Value> = i
        .decisions
        .iter()
        .map(|d| {
            let objections: Vec<Value> = d.objections.iter().map(|(by, text)| json!({"by": by, "text": text})).collect();
            json!({"seq": d.seq, "at": d.at, "text": d.text, "by": d.by, "objections": objections, "outcome": d.outcome})
        })
        .collect();
    let faults: Vec<Value> = i.order_faults().into_iter().map(|f| json!({"text": f.message, "exception": f.exception})).collect();
    let alerts: Vec<Value> = i
        .alerts
        .iter()
        .map(|a| json!({"fingerprint": a.fingerprint, "name": a.name, "severity": a.severity, "starts_at": a.starts_at, "labels": a.labels, "verified": a.verified,
            "firing": i.watched.get(&a.fingerprint).map(|w| w.is_firing)}))
        .collect();
    let mut shape = json!({
        "id": i.id(), "title": i.head.title, "severity": i.head.severity, "status": i.head.status, "phase": i.head.status.phase(),
        "impact_started_at": i.impact_started_at(), "detected_at": i.detected_at(), "declared_at": i.head.declared_at,
        "acknowledged_at": i.acknowledged_at, "identified_at": i.identified_at, "mitigated_at": i.mitigated_at,
        "resolved_at": i.resolved_at, "closed_at": i.closed_at, "assumed": i.assumed_milestones(), "durations": i.durations(), "roles": i.roles,
        "gates": gates.iter().map(gate_shape).collect::<Vec<_>>(), "alerts": alerts, "timeline": timeline, "evidence": evidence, "action_items": i.actions, "hypotheses": hypotheses,
        "findings": i.investigation.as_ref().map(|n| &n.findings), "window": i.window(now()), "major": i.peak_severity().is_major(),
        "time_in_severity_secs": i.time_in_severity(now()).into_iter().map(|(s, t)| (s.to_string(), json!(t))).collect::<serde_json::Map<_, _>>(),
    });
    let further = json!({
        "decisions": decisions, "role_spans": i.role_spans, "impact": i.impact, "peak_severity": i.peak_severity(),
        "order_faults": faults, "exit_criteria": i.exit, "exit_reading": i.readings.last().map(|r| &r.reading),
        "updates": i.updates, "update_due_at": i.head.update_due(), "postmortem_due_at": i.postmortem_due(),
        "roles_missing": i.missing_roles(), "escalation": i.escalation, "grade": i.grade, "merged_into": i.head.merged_into,
        "absorbed": i.absorbed, "first_useful_hypothesis_secs": i.first_useful_hypothesis_secs(), "unsynced": i.unsynced(),
    });
    if let (Some(shape), Value::Object(further)) = (shape.as_object_mut(), further) {
        shape.extend(further);
    }
    shape
}

async fn show(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let i = desk.journal.incident(id).await?;
    if as_json {
        out::json(&shape(&i, &desk.gates(&i)))?;
        return Ok(Done::Whole);
    }
    let h = &i.head;
    out::line(format!(
        "{} {} {} · {} · declared {} ({} ago)",
        h.id,
        h.severity,
        h.title,
        h.status,
        h.declared_at,
        human_duration(now().since(h.declared_at))
    ))?;
    let zone = local_offset();
    let open = |role: Role| i.role_spans.iter().filter(move |s| s.role == role && s.until.is_none());
    for role in Role::ALL {
        let holders: Vec<&str> = open(role).map(|s| s.holder.as_str()).collect();
        if !holders.is_empty() {
            out::line(format!("  {}: {}", role.title(), holders.join(", ")))?;
        }
    }
    let missing: Vec<&str> = i.missing_roles().into_iter().map(Role::word).collect();
    if h.status.is_open() && !missing.is_empty() {
        out::line(format!("  {} asks for: {}", h.severity, missing.join(", ")))?;
    }
    if i.impact.is_described() {
        out::line(format!("  impact: {}", i.impact.describe()))?;
    }
    for a in &i.alerts {
        let state = match (a.verified, i.watched.get(&a.fingerprint)) {
            (false, _) => " (unverified)",
            (_, Some(w)) if !w.is_firing => " (ended)",
            _ => "",
        };
        out::line(format!("  alert {} {}{state}", a.fingerprint, a.label()))?;
    }
    for m in Milestone::ALL {
        if let Some(at) = i.milestone(m) {
            let assumed = if i.assumed_milestones().contains(&format!("{}_at", m.word()).as_str()) { " (assumed)" } else { "" };
            out::line(format!("  {:<15} {}{assumed}", m.title(), both(at, zone)))?;
        }
    }
    for fault in i.order_faults() {
        let why = fault.exception.map_or_else(|| "correct it or write down why".to_owned(), |e| format!("because {e}"));
        out::line(format!("  out of order: {}; {why}", fault.message))?;
    }
    if let Some(due) = h.update_due() {
        let word = if due <= now() { "OVERDUE since" } else { "due at" };
        out::line(format!("  next update {word} {}", both(due, zone)))?;
    }
    if let Some(due) = i.postmortem_due().filter(|_| is_its_own(&i)) {
        out::line(format!("  post-mortem due on {}", due.date()))?;
    }
    if let Some(exit) = &i.exit {
        let read = i.readings.last().map_or_else(|| "not read yet".to_owned(), |r| r.reading.why.clone());
        out::line(format!("  over when {}: {read}", exit.describe()))?;
    }
    if let Some(into) = h.merged_into {
        out::line(format!("  a part of {into}"))?;
    }
    for from in &i.absorbed {
        out::line(format!("  {from} is a part of this"))?;
    }
    let spent: Vec<String> = i
        .time_in_severity(now())
        .into_iter()
        .map(|(s, secs)| format!("{s} {}", human_duration(Duration::from_secs_f64(secs))))
        .collect();
    let major = if i.peak_severity().is_major() { "; a major incident" } else { "" };
    out::line(format!("  severity {} now, {} at its peak: {}{major}", h.severity, i.peak_severity(), spent.join(", ")))?;
    // What lies ahead is not missing yet.
    let phase = h.status.phase();
    let gates = desk.gates(&i);
    let open_items: Vec<&'static str> =
        gates.iter().filter(|g| !g.met && phase.is_some_and(|p| g.phase <= p)).map(|g| g.item).collect();
    if !open_items.is_empty() {
        out::line(format!("  open on the checklist: {}", open_items.join(", ")))?;
    }
    for g in &i.hypotheses {
        out::line(format!("  hypothesis {} {}: {}", seq_label(g.seq), g.state(), g.text))?;
    }
    if zone.is_utc() {
        out::line("\nTimeline (UTC)")?;
    } else {
        out::line(format!("\nTimeline (UTC, and here {zone})"))?;
    }
    let rows: Vec<Vec<String>> = i
        .timeline()
        .into_iter()
        .map(|e| {
            let back = if e.is_backdated() { " (backdated)" } else { "" };
            let said = i.entry_text(e).replace('\n', " ");
            let tags = e.evidence_tags(&said);
            let local = if zone.is_utc() { String::new() } else { e.at.clock(zone) };
            let who = match e.actor.kind {
                ActorKind::Human => e.actor.name.clone(),
                ActorKind::Ai => format!("AI {}", e.actor.name),
                ActorKind::System => format!("({})", e.actor.name),
            };
            vec![format!("  {}", seq_label(e.seq)), e.at.date_clock(), local, who, format!("{said}{tags}{back}")]
        })
        .collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    if let Some(n) = &i.investigation {
        out::line(format!("\nFindings, window {}", n.window.label()))?;
        for f in &n.findings {
            out::line(format!("  {:>2}. {} {}", f.rank, f.text, crate::evidence::cited::tags(&f.evidence)))?;
        }
    }
    if !i.actions.is_empty() {
        out::line("\nAction items")?;
        super::action::print(&i)?;
    }
    Ok(Done::Whole)
}

/// Whether it is an incident of its own: no false alarm and no part of another.
fn is_its_own(i: &Incident) -> bool {
    i.head.status.phase().is_some()
}

/// The zone of this machine; UTC where it is unknown.
fn local_offset() -> time::UtcOffset {
    time::UtcOffset::current_local_offset().unwrap_or(time::UtcOffset::UTC)
}

/// A moment in UTC and, where that differs, in this machine's zone, which is named.
fn both(at: Timestamp, zone: time::UtcOffset) -> String {
    let utc = format!("{} UTC", at.date_clock());
    if zone.is_utc() {
        return utc;
    }
    let there = at.datetime().to_offset(zone);
    // The day is said where it is another one.
    let day = if there.date() == at.datetime().date() { String::new() } else { format!("{} ", there.date()) };
    format!("{utc} ({day}{} at {})", at.clock(zone), crate::telemetry::time::zone_label(zone))
}
