//! `warroom incident …`: looking at incidents, and every command on one.

use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use serde_json::{Value, json};

use super::{CliError, Done, duration_arg, id_arg, out};
use crate::incident::brief::Reader;
use crate::incident::ids::seq_label;
use crate::incident::{ActorKind, Audience, Command, Entry, GateItem, Incident, IncidentId, Milestone, NextUpdate, Role, Status};
use crate::investigate::clock::now;
use crate::investigate::{Desk, Outcome};
use crate::telemetry::time::human_duration;
use crate::telemetry::{Moment, Timestamp};

/// The subcommands of `warroom incident`.
#[derive(Subcommand)]
pub enum IncidentCommand {
    /// List all incidents, newest first
    List {
        /// Only open incidents
        #[arg(long)]
        open: bool,
    },
    /// Show everything about an incident
    Show {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Print the briefing for responders who are joining
    Brief {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Print the handover brief; with --to, also hand over the command
    Handover {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// The next commander
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Show the checklist of each phase; with an item, tick it
    Gate {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// The item's name, such as stakeholders-told
        item: Option<String>,
        /// It is done: say how you know
        #[arg(long, value_name = "TEXT", conflicts_with = "not_met", requires = "item")]
        met: Option<String>,
        /// It is not done: say why
        #[arg(long, value_name = "TEXT", requires = "item")]
        not_met: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Set the exit criteria: a metric must stay on one side of a threshold for a while
    Exit {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// A query of the metrics source, with its comparison ('error_rate < 0.01') or without
        expression: String,
        #[arg(long, value_name = "NUMBER", group = "side", allow_negative_numbers = true)]
        below: Option<f64>,
        #[arg(long, value_name = "NUMBER", group = "side", allow_negative_numbers = true)]
        above: Option<f64>,
        /// For how long, such as 30m
        #[arg(long = "for", value_name = "DURATION", value_parser = duration_arg)]
        length: Duration,
        /// The source to query, if several could answer
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Assign a role (to yourself, without a name). A new holder replaces the old one, except in roles that several people share
    Role {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// commander, deputy, scribe, sme, customer-liaison, internal-liaison, next-commander, operations-lead,
        /// planning-lead, communications-lead, reporter, participant or observer
        role: Role,
        name: Option<String>,
        /// Give the role up instead
        #[arg(long)]
        renounce: bool,
        #[command(flatten)]
        when: When,
    },
    /// Record that an update was sent (this sends nothing)
    Update {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        text: String,
        /// internal, executive or external
        #[arg(long, default_value = "internal")]
        audience: Audience,
        /// When the next one is due, if not after the severity's interval
        #[arg(long, value_name = "DURATION", value_parser = duration_arg)]
        next_in: Option<Duration>,
        /// This was the last update for this audience
        #[arg(long, conflicts_with = "next_in")]
        last: bool,
        #[command(flatten)]
        when: When,
    },
    /// Page someone through the program in [oncall]. Shows the exact command; runs it with --yes
    Page {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        name: String,
        text: String,
        /// Run the command
        #[arg(long)]
        yes: bool,
    },
    /// Show similar incidents, and how they ended
    Similar {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Resolve the incident: the service is restored. Refused while checklist items are open
    Resolve {
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Go ahead although checklist items are open, and record why
        #[arg(long = "override", value_name = "REASON")]
        override_reason: Option<String>,
        #[command(flatten)]
        when: When,
    },
    #[command(flatten)]
    Change(Change),
}

/// When something happened.
#[derive(Args)]
pub struct When {
    /// When it happened, if not now: 17:00, 10m ago, 2026-11-28 18:00 (UTC) or RFC 3339
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
}

impl When {
    pub(super) fn resolve(&self) -> Result<Option<Timestamp>, CliError> {
        self.at.as_ref().map(super::resolve).transpose()
    }
}

/// A command on an incident. The incident's id comes first, and `--at` is added to each command's own arguments.
pub struct Change {
    id: IncidentId,
    when: When,
    command: Command,
}

impl FromArgMatches for Change {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let command = Command::from_arg_matches(matches)?;
        let own = matches.subcommand().map(|(_, own)| own);
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingRequiredArgument);
        let id = own.and_then(|m| m.get_one::<IncidentId>("id")).copied().ok_or_else(missing)?;
        let at = own.and_then(|m| m.get_one::<Moment>("at")).cloned();
        Ok(Self { id, when: When { at }, command })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Change {
    fn augment_subcommands(app: clap::Command) -> clap::Command {
        let commands = Command::augment_subcommands(clap::Command::new("incident"));
        commands.get_subcommands().fold(app, |app, command| {
            let id = clap::Arg::new("id").required(true).value_name("ID").value_parser(id_arg);
            let mut whole = clap::Command::new(command.get_name().to_owned())
                .arg(id)
                .args(command.get_arguments().cloned())
                .groups(command.get_groups().cloned());
            whole = When::augment_args(whole);
            // The arguments' own description would replace it.
            whole = match (command.get_about(), command.get_long_about()) {
                (Some(about), _) => whole.about(about.clone()),
                (None, _) => whole,
            };
            app.subcommand(whole)
        })
    }

    fn augment_subcommands_for_update(app: clap::Command) -> clap::Command {
        Self::augment_subcommands(app)
    }

    fn has_subcommand(name: &str) -> bool {
        Command::has_subcommand(name)
    }
}

pub(super) async fn run(desk: &Desk, command: IncidentCommand, as_json: bool) -> Result<Done, CliError> {
    use IncidentCommand as C;
    let (id, command, when) = match command {
        C::List { open } => return list(desk, open, as_json).await,
        C::Show { id } => return show(desk, id, as_json).await,
        C::Brief { id } => return brief(desk, id, Reader::Joining, as_json).await,
        C::Handover { id, to: None, .. } => return brief(desk, id, Reader::TakingOver, as_json).await,
        C::Handover { id, to: Some(holder), when } => {
            let command = Command::Assign { role: Role::Commander, holder };
            let outcome = desk.run(id, command, when.resolve()?).await?;
            if !as_json {
                brief(desk, id, Reader::TakingOver, false).await?;
            }
            return print_outcome(&outcome, as_json);
        }
        C::Gate { id, item: None, .. } => return checklist(desk, id, as_json).await,
        C::Gate { id, item: Some(item), met, not_met, when } => match (met, not_met) {
            (Some(text), _) => (id, Command::Tick { item, met: true, text }, when),
            (None, Some(text)) => (id, Command::Tick { item, met: false, text }, when),
            (None, None) => {
                return Err(CliError::usage(
                    format!("nothing said about {item}"),
                    "Say how you know: --met TEXT or --not-met TEXT.",
                ));
            }
        },
        C::Exit { id, expression, below, above, length, source, when } => {
            let criteria = crate::analysis::exit::build(&expression, below, above, length, source);
            let criteria = criteria.map_err(|e| CliError::Usage(crate::telemetry::Failure::new(e)))?;
            (id, Command::SetExit { criteria }, when)
        }
        C::Role { id, role, name, renounce: true, when } => (id, Command::Renounce { role, holder: name }, when),
        C::Role { id, role, name, renounce: false, when } => {
            (id, Command::Assign { role, holder: name.unwrap_or_else(|| desk.user.clone()) }, when)
        }
        C::Update { id, text, audience, next_in, last, when } => {
            let next = if last { NextUpdate::Never } else { next_in.map_or(NextUpdate::Scheduled, NextUpdate::In) };
            (id, Command::RecordUpdate { audience, text, next }, when)
        }
        C::Page { id, name, text, yes: false } => return preview_page(desk, id, &name, &text, as_json).await,
        C::Page { id, name, text, yes: true } => (id, Command::Page { name, text }, When { at: None }),
        C::Similar { id } => return similar(desk, id, as_json).await,
        C::Resolve { id, override_reason, when } => {
            (id, Command::Status { status: Status::Resolved, override_reason, reason: None }, when)
        }
        C::Change(Change { id, when, command }) => (id, command, when),
    };
    let is_check = command == Command::Check;
    let is_status = matches!(command, Command::Status { .. });
    let outcome = desk.run(id, command, when.resolve()?).await?;
    if is_check {
        return print_check(&outcome, as_json);
    }
    if is_status {
        warn_of_open_items(desk, &outcome.incident);
    }
    print_outcome(&outcome, as_json)
}

async fn preview_page(desk: &Desk, id: IncidentId, name: &str, text: &str, as_json: bool) -> Result<Done, CliError> {
    let command = desk.page_command(&desk.journal.incident(id).await?, name, text)?;
    if as_json {
        out::json(&json!({"paged": false, "command": command}))?;
    } else {
        out::line(format!("{command:?}"))?;
        out::note("Nothing was run. Add --yes to run exactly this command.");
    }
    Ok(Done::Complete)
}

/// Notes the open items of earlier phases, which do not block a change of status.
fn warn_of_open_items(desk: &Desk, incident: &Incident) {
    let Some(phase) = incident.head.status.phase() else { return };
    let gates = desk.gates(incident);
    let open: Vec<&str> = gates.iter().filter(|g| g.phase < phase && !g.met).map(|g| g.item).collect();
    if !open.is_empty() {
        let id = incident.id();
        out::note(format!("warroom: still open in earlier phases: {} (see `warroom incident gate {id}`)", open.join(", ")));
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
    Ok(Done::Complete)
}

async fn similar(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let found = desk.similar(id).await?;
    if as_json {
        out::json(&json!({"id": id, "similar": found}))?;
    } else {
        out::raw(&crate::incident::similar::describe(&found))?;
    }
    Ok(Done::Complete)
}

fn gate_shape(g: &GateItem) -> Value {
    json!({"phase": g.phase, "item": g.item, "met": g.met, "words": g.label, "check": g.check, "detail": g.detail})
}

async fn checklist(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let incident = desk.journal.incident(id).await?;
    let gates = desk.gates(&incident);
    if as_json {
        out::json(&json!({"id": id, "status": incident.head.status, "gates": gates.iter().map(gate_shape).collect::<Vec<_>>()}))?;
        return Ok(Done::Complete);
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
    Ok(Done::Complete)
}

/// The result of `warroom incident check`. Partial when something could not be checked.
fn print_check(outcome: &Outcome, as_json: bool) -> Result<Done, CliError> {
    let incident = &outcome.incident;
    outcome.warnings.iter().for_each(|w| out::note(format!("warroom: {w}")));
    if as_json {
        let reading = incident.readings.last().map(|r| &r.reading);
        let entries: Vec<Value> = outcome.entries.iter().map(|e| entry_shape(incident, e)).collect();
        out::json(&json!({"id": incident.id(), "entries": entries, "reading": reading, "silent": outcome.warnings}))?;
    } else if outcome.entries.is_empty() {
        out::line(format!("Nothing new. {}.", outcome.message))?;
    } else {
        for e in &outcome.entries {
            print_entry(e)?;
        }
    }
    Ok(if outcome.warnings.is_empty() { Done::Complete } else { Done::Partial })
}

fn print_entry(entry: &Entry) -> Result<(), CliError> {
    out::line(format!("{} entry {}: {}", entry.incident, seq_label(entry.seq), entry.fact.sentence()))
}

/// The main entry that a command appended, as JSON or as one line, and its warnings on stderr.
pub(super) fn print_outcome(outcome: &Outcome, as_json: bool) -> Result<Done, CliError> {
    outcome.warnings.iter().for_each(|w| out::note(format!("warroom: {w}")));
    match outcome.entries.first() {
        Some(entry) if as_json => out::json(&entry_shape(&outcome.incident, entry))?,
        Some(entry) => print_entry(entry)?,
        None => return Err(CliError::failed("nothing changed")),
    }
    Ok(Done::Complete)
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
        return Ok(Done::Complete);
    }
    if heads.is_empty() {
        out::note("No incidents yet. Run `warroom declare --title …` to declare one.");
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
    Ok(Done::Complete)
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
        return Ok(Done::Complete);
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
    Ok(Done::Complete)
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
