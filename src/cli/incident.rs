//! `warroom incident …`: look at incidents and write facts.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CliError, Done, id_arg, out, time_arg};
use crate::incident::{Entry, Incident, IncidentId, NoteKind, Role, Severity, Status};
use crate::investigate::Desk;
use crate::investigate::clock::now;
use crate::telemetry::Timestamp;
use crate::telemetry::time::human;

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
    /// Write a note into the timeline
    Note {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        text: String,
        /// observation, decision, lesson or hypothesis
        #[arg(long, default_value = "observation")]
        kind: NoteKind,
        #[command(flatten)]
        when: When,
    },
    /// Change the severity
    Severity {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
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
        /// investigating, identified, mitigated, monitoring, closed or cancelled
        status: Status,
        /// Go on although something is open, and say why
        #[arg(long = "override", value_name = "REASON")]
        override_reason: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Give a role to somebody; a second holder is a hand-over
    Role {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// commander, deputy, scribe, sme, customer-liaison or internal-liaison
        role: Role,
        name: String,
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
    /// It is over: the service is restored
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
}

/// When it happened.
#[derive(Args)]
pub struct When {
    /// When it happened, if not now
    #[arg(long, value_name = "TIME", value_parser = time_arg)]
    at: Option<Timestamp>,
}

pub(super) async fn run(desk: &Desk, command: IncidentCommand, as_json: bool) -> Result<Done, CliError> {
    use IncidentCommand as C;
    let (incident, entry) = match command {
        C::List { open } => return list(desk, open, as_json).await,
        C::Show { id } => return show(desk, id, as_json).await,
        C::Note { id, text, kind, when } => desk.note(id, &text, kind, when.at).await?,
        C::Severity { id, severity, reason, when } => desk.set_severity(id, severity, &reason, when.at).await?,
        C::Status { id, status, override_reason, when } => desk.set_status(id, status, override_reason, when.at).await?,
        C::Role { id, role, name, when } => desk.assign(id, role, &name, when.at).await?,
        C::Unlink { id, fingerprint, when } => desk.unlink(id, &fingerprint, when.at).await?,
        C::Acknowledge { id, when } => desk.acknowledge(id, when.at).await?,
        C::Resolve { id, override_reason, when } => desk.set_status(id, Status::Resolved, override_reason, when.at).await?,
        C::Reopen { id, reason, when } => desk.reopen(id, &reason, when.at).await?,
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

/// The entry that was written: JSON, or one line.
pub(super) fn print_entry(incident: &Incident, entry: &Entry, as_json: bool) -> Result<Done, CliError> {
    if as_json {
        out::json(&entry_shape(incident, entry))?;
    } else {
        out::line(format!("{} entry {}: {}", entry.incident, entry.seq, entry.fact.sentence()))?;
    }
    Ok(Done::Whole)
}

fn entry_shape(incident: &Incident, e: &Entry) -> Value {
    json!({
        "incident": e.incident, "seq": e.seq, "at": e.at, "recorded_at": e.recorded_at, "actor": e.actor.name, "actor_kind": e.actor.kind,
        "kind": e.fact.kind(), "text": incident.text_of(e), "evidence": e.fact.evidence(), "fact": e.fact, "hash": e.hash,
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
                    "open_actions": h.open_actions, "last_seq": h.last_seq,
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
                human(now.since(h.declared_at)),
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
pub(super) fn shape(i: &Incident) -> Value {
    let timeline: Vec<Value> = i
        .timeline()
        .into_iter()
        .map(|e| {
            json!({"seq": e.seq, "at": e.at, "recorded_at": e.recorded_at, "actor": e.actor.name, "actor_kind": e.actor.kind,
                   "kind": e.fact.kind(), "text": i.text_of(e), "evidence": e.fact.evidence()})
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
    let hypotheses: Vec<Value> =
        i.notes(NoteKind::Hypothesis).map(|(e, t)| json!({"seq": e.seq, "at": e.at, "text": t, "by": e.actor.name})).collect();
    let alerts: Vec<Value> = i
        .alerts
        .iter()
        .map(|a| json!({"fingerprint": a.fingerprint, "name": a.name, "severity": a.severity, "starts_at": a.starts_at, "labels": a.labels, "verified": a.verified}))
        .collect();
    json!({
        "id": i.id(), "title": i.head.title, "severity": i.head.severity, "status": i.head.status, "phase": i.head.status.phase(),
        "impact_started_at": i.impact_started_at(), "detected_at": i.detected_at(), "declared_at": i.head.declared_at,
        "acknowledged_at": i.acknowledged_at, "identified_at": i.identified_at, "mitigated_at": i.mitigated_at,
        "resolved_at": i.resolved_at, "closed_at": i.closed_at, "assumed": i.assumed(), "durations": i.durations(), "roles": i.roles,
        "gates": [], "alerts": alerts, "timeline": timeline, "evidence": evidence, "action_items": i.actions, "hypotheses": hypotheses,
        "findings": i.investigation.as_ref().map(|n| &n.findings), "window": i.window(i.as_of()),
        "time_in_severity_secs": i.time_in_severity(i.as_of()).into_iter().map(|(s, t)| (s.to_string(), json!(t))).collect::<serde_json::Map<_, _>>(),
    })
}

async fn show(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let i = desk.journal.incident(id).await?;
    if as_json {
        out::json(&shape(&i))?;
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
        human(now().since(h.declared_at))
    ))?;
    for (role, holder) in &i.roles {
        out::line(format!("  {}: {holder}", role.title()))?;
    }
    for a in &i.alerts {
        out::line(format!("  alert {} {}{}", a.fingerprint, a.label(), if a.verified { "" } else { " (unverified)" }))?;
    }
    out::line("\nTimeline (UTC)")?;
    let rows: Vec<Vec<String>> = i
        .timeline()
        .into_iter()
        .map(|e| vec![format!("  {}", e.at.date_clock()), e.actor.name.clone(), i.text_of(e).replace('\n', " ")])
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
