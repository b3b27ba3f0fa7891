//! `warroom incident …`: shows incidents and changes them.

use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use serde_json::{Value, json};

use super::{CliError, Done, duration_arg, id_arg, out};
use crate::incident::brief::Reader;
use crate::incident::ids::seq_label;
use crate::incident::{ActorKind, Audience, Command, Entry, GateItem, Incident, IncidentId, Milestone, NextUpdate, Role, Status};
use crate::investigate::clock::now;
use crate::investigate::oncall::PagePlan;
use crate::investigate::{Desk, Outcome};
use crate::telemetry::time::human_duration;
use crate::telemetry::{Moment, Timestamp, clean};

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
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Print a briefing for responders who are joining
    Brief {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Print a handover briefing; with --to, also hand over command
    Handover {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Next incident commander
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Show the checklist of each phase; with an item, tick or untick it
    Gate {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Name of an item, such as health-checks
        item: Option<String>,
        /// How you know that it is done
        #[arg(long, value_name = "TEXT", conflicts_with = "not_met", requires = "item")]
        met: Option<String>,
        /// Why it is not done
        #[arg(long, value_name = "TEXT", requires = "item")]
        not_met: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Set the exit criteria: a metric that must stay above or below a threshold
    Exit {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Query for the metrics source, with a comparison ('error_rate < 0.01') or with --below or --above
        expression: String,
        /// Threshold that the metric must stay below
        #[arg(long, value_name = "NUMBER", group = "side", allow_negative_numbers = true)]
        below: Option<f64>,
        /// Threshold that the metric must stay above
        #[arg(long, value_name = "NUMBER", group = "side", allow_negative_numbers = true)]
        above: Option<f64>,
        /// Duration for which it must hold, such as 30m
        #[arg(long = "for", value_name = "DURATION", value_parser = duration_arg)]
        length: Duration,
        /// Source to query, instead of the first one that answers
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Assign a role; without a name, to yourself
    ///
    /// A new holder replaces the previous one, except in the roles sme, participant, observer and reporter.
    Role {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Role: commander, deputy, scribe, sme, customer-liaison, internal-liaison, next-commander, operations-lead,
        /// planning-lead, communications-lead, reporter, participant or observer
        role: Role,
        /// Person who takes the role
        name: Option<String>,
        /// Give up the role instead
        #[arg(long)]
        renounce: bool,
        #[command(flatten)]
        when: When,
    },
    /// Record an update that was sent elsewhere; this command sends nothing
    Update {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Text of the update
        text: String,
        /// Audience: technical, executive or customer
        #[arg(long, default_value = "technical")]
        audience: Audience,
        /// Time until the next update is due, instead of the interval for the severity
        #[arg(long, value_name = "DURATION", value_parser = duration_arg)]
        next_in: Option<Duration>,
        /// No further updates for this audience
        #[arg(long, conflicts_with = "next_in")]
        last: bool,
        #[command(flatten)]
        when: When,
    },
    /// Page a person through the program in [oncall], or page a PagerDuty service; without --yes, only show what would be sent
    Page {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Person, or the name of a PagerDuty service
        name: String,
        /// Message
        #[arg(default_value = "please join")]
        text: String,
        /// Run the command, or send the event
        #[arg(long)]
        yes: bool,
    },
    /// Show similar incidents and how they ended
    Similar {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Resolve the incident after the service is restored; refused while checklist items are open
    Resolve {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Reason to resolve it although checklist items are open; recorded in the timeline
        #[arg(long = "override", value_name = "REASON")]
        override_reason: Option<String>,
        #[command(flatten)]
        when: When,
    },
    #[command(flatten)]
    Change(Change),
}

/// The time of a change, for backdating.
#[derive(Args)]
pub struct When {
    /// Time when it happened, if not now: 17:00, 10m ago, 2026-11-28 18:00 (UTC) or RFC 3339
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
}

impl When {
    pub(super) fn resolve(&self) -> Result<Option<Timestamp>, CliError> {
        self.at.as_ref().map(super::resolve).transpose()
    }
}

/// A [`Command`] as a subcommand of `warroom incident`: its own arguments, with the incident ID before them and `--at` added.
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
            let id = clap::Arg::new("id").required(true).value_name("ID").value_parser(id_arg).help("Incident, such as INC-1");
            let mut whole = clap::Command::new(command.get_name().to_owned())
                .arg(id)
                .args(command.get_arguments().cloned())
                .groups(command.get_groups().cloned());
            whole = When::augment_args(whole);
            // Set last, because `augment_args` sets the doc comment of `When` as the description.
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
                    format!("cannot tick {item} without a reason"),
                    "Add --met TEXT or --not-met TEXT, and say how you know.",
                ));
            }
        },
        C::Exit { id, expression, below, above, length, source, when } => {
            let criteria = crate::analysis::exit_criteria::build(&expression, below, above, length, source);
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
    let plan = desk.plan_page(&desk.journal.incident(id).await?, name, text)?;
    if as_json {
        let (command, event) = match &plan {
            PagePlan::Program(argv) => (Some(argv), None),
            PagePlan::PagerDuty { event, .. } => (None, Some(event)),
        };
        out::json(&json!({"paged": false, "command": command, "event": event}))?;
    } else {
        for line in plan.describe() {
            out::line(clean::line(&line))?;
        }
        out::note("No one was paged. Add --yes to send exactly this.");
    }
    Ok(Done::Complete)
}

/// Prints the open checklist items of earlier phases to stderr. They do not block a change of status.
fn warn_of_open_items(desk: &Desk, incident: &Incident) {
    let Some(phase) = incident.head.status.phase() else { return };
    let gates = desk.gates(incident);
    let open: Vec<&str> = gates.iter().filter(|g| g.phase < phase && !g.met).map(|g| g.item).collect();
    if !open.is_empty() {
        let id = incident.id();
        out::note(format!(
            "warroom: open checklist items of earlier phases: {} (see `warroom incident gate {id}`)",
            open.join(", ")
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
                g.phase.title(),
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

/// Prints the result of `warroom incident check`. Partial if something could not be checked.
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

/// Prints the main entry that a command appended, as JSON or as one line, and its warnings to stderr.
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
        out::note(if open {
            "No open incidents."
        } else {
            "No incidents yet. Run `warroom declare --title …` to declare one."
        });
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

/// The JSON of `warroom incident show`, as documented in docs/json.md.
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
                   "redactions": e.redactions, "superseded": i.is_superseded(e.id)})
        })
        .collect();
    let hypotheses: Vec<Value> = i
        .hypotheses
        .iter()
        .map(|h| {
            let weighed = h.weighed();
            json!({"seq": h.seq, "at": h.at, "text": h.text, "by": h.by, "state": h.state(), "reason": h.reason,
                "judged_at": h.judged_at, "for": weighed.supports, "against": weighed.contradicts})
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
    let zone = local_offset();
    show_head(&i)?;
    show_times(&i, zone)?;
    show_state(&i, &desk.gates(&i))?;
    show_timeline(&i, zone)?;
    if let Some(n) = &i.investigation {
        out::line(format!("\nFindings for the window {}", n.window.label()))?;
        for f in &n.findings {
            let text =
                if f.details.is_empty() || f.kind == crate::incident::FindingKind::Conclusion { &f.text } else { &f.title };
            out::line(format!("  {:>2}. {text} {}", f.rank, crate::evidence::citations::tags(&f.evidence)))?;
        }
    }
    if !i.actions.is_empty() {
        out::line("\nAction items")?;
        super::action::print(&i)?;
    }
    Ok(Done::Complete)
}

/// Title, people, impact and alerts.
fn show_head(i: &Incident) -> Result<(), CliError> {
    let h = &i.head;
    out::line(format!(
        "{} {} {} · {} · declared {} UTC ({} ago)",
        h.id,
        h.severity,
        h.title,
        h.status,
        h.declared_at.date_clock(),
        human_duration(now().since(h.declared_at))
    ))?;
    let open = |role: Role| i.role_spans.iter().filter(move |s| s.role == role && s.until.is_none());
    for role in Role::ALL {
        let holders: Vec<&str> = open(role).map(|s| s.holder.as_str()).collect();
        if !holders.is_empty() {
            out::line(format!("  {}: {}", role.title(), holders.join(", ")))?;
        }
    }
    let missing: Vec<&str> = i.missing_roles().into_iter().map(Role::word).collect();
    if h.status.is_open() && !missing.is_empty() {
        out::line(format!("  Roles to assign for {}: {}", h.severity, missing.join(", ")))?;
    }
    if i.impact.is_described() {
        out::line(format!("  Impact: {}", i.impact.describe()))?;
    }
    for a in &i.alerts {
        let state = match (a.verified, i.watched.get(&a.fingerprint)) {
            (false, _) => " (unverified)",
            (_, Some(w)) if !w.is_firing => " (resolved)",
            _ => "",
        };
        out::line(format!("  Alert {} {}{state}", a.fingerprint, a.label()))?;
    }
    Ok(())
}

/// Milestones and due times.
fn show_times(i: &Incident, zone: time::UtcOffset) -> Result<(), CliError> {
    for m in Milestone::ALL {
        if let Some(at) = i.milestone(m) {
            let assumed = if i.assumed_milestones().contains(&format!("{}_at", m.word()).as_str()) { " (assumed)" } else { "" };
            out::line(format!("  {:<15} {}{assumed}", m.title(), utc_and_local(at, zone)))?;
        }
    }
    for fault in i.order_faults() {
        let why = fault.exception.map_or_else(|| "correct it or record an exception".to_owned(), |e| format!("exception: {e}"));
        out::line(format!("  Out of order: {}; {why}", fault.message))?;
    }
    if let Some(due) = i.head.update_due() {
        let word = if due <= now() { "OVERDUE since" } else { "due at" };
        out::line(format!("  Next update {word} {}", utc_and_local(due, zone)))?;
    }
    if let Some(due) = i.postmortem_due().filter(|_| is_standalone(i)) {
        out::line(format!("  Post-mortem due on {}", due.date()))?;
    }
    Ok(())
}

/// Exit criteria, merges, severity, open checklist items and hypotheses.
fn show_state(i: &Incident, gates: &[GateItem]) -> Result<(), CliError> {
    let h = &i.head;
    if let Some(exit) = &i.exit {
        let reading = i.readings.last().map_or_else(|| "not checked yet".to_owned(), |r| r.reading.why.clone());
        out::line(format!("  Exit criteria: {} ({reading})", exit.describe()))?;
    }
    if let Some(into) = h.merged_into {
        out::line(format!("  Merged into {into}"))?;
    }
    for from in &i.absorbed {
        out::line(format!("  Includes {from}, which was merged into it"))?;
    }
    let spent: Vec<String> = i
        .time_in_severity(now())
        .into_iter()
        .map(|(s, secs)| format!("{s} {}", human_duration(Duration::from_secs_f64(secs))))
        .collect();
    let major = if i.peak_severity().is_major() { "; major incident" } else { "" };
    out::line(format!(
        "  Severity {} now, {} at its peak; time in each: {}{major}",
        h.severity,
        i.peak_severity(),
        spent.join(", ")
    ))?;
    // Items of later phases are not due yet.
    let phase = h.status.phase();
    let open_items: Vec<&'static str> =
        gates.iter().filter(|g| !g.met && phase.is_some_and(|p| g.phase <= p)).map(|g| g.item).collect();
    if !open_items.is_empty() {
        out::line(format!("  Open checklist items: {}", open_items.join(", ")))?;
    }
    for hypothesis in &i.hypotheses {
        out::line(format!("  Hypothesis {} ({}): {}", seq_label(hypothesis.seq), hypothesis.state(), hypothesis.text))?;
    }
    Ok(())
}

fn show_timeline(i: &Incident, zone: time::UtcOffset) -> Result<(), CliError> {
    if zone.is_utc() {
        out::line("\nTimeline (UTC)")?;
    } else {
        out::line(format!("\nTimeline (UTC, then local time at {})", crate::telemetry::time::zone_label(zone)))?;
    }
    let local = |at: Timestamp| if zone.is_utc() { String::new() } else { at.clock(zone) };
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut before = None;
    for e in i.timeline() {
        if let Some((at, fired)) = i.alerts_fired(before, e.at) {
            rows.push(vec![String::new(), at.date_clock(), local(at), "(alerts)".to_owned(), fired]);
        }
        before = Some(e.at);
        let back = if e.is_backdated() { " (backdated)" } else { "" };
        let text = i.entry_text(e).replace('\n', " ");
        let tags = e.evidence_tags(&text);
        let who = match e.actor.kind {
            ActorKind::Human => e.actor.name.clone(),
            ActorKind::Ai => format!("AI {}", e.actor.name),
            ActorKind::System => format!("({})", e.actor.name),
        };
        rows.push(vec![format!("  {}", seq_label(e.seq)), e.at.date_clock(), local(e.at), who, format!("{text}{tags}{back}")]);
    }
    for line in out::table(&rows) {
        out::line(line)?;
    }
    Ok(())
}

/// Whether an incident is neither cancelled nor merged into another.
fn is_standalone(i: &Incident) -> bool {
    i.head.status.phase().is_some()
}

/// The time zone of this machine; UTC if it is unknown.
fn local_offset() -> time::UtcOffset {
    time::UtcOffset::current_local_offset().unwrap_or(time::UtcOffset::UTC)
}

/// A time in UTC and, if different, in the time zone `zone`: `2026-11-21 09:30:00 UTC (10:30:00 at +01:00)`.
fn utc_and_local(at: Timestamp, zone: time::UtcOffset) -> String {
    let utc = format!("{} UTC", at.date_clock());
    if zone.is_utc() {
        return utc;
    }
    let local = at.datetime().to_offset(zone);
    // The local date is only added if it differs from the UTC date.
    let day = if local.date() == at.datetime().date() { String::new() } else { format!("{} ", local.date()) };
    format!("{utc} ({day}{} at {})", at.clock(zone), crate::telemetry::time::zone_label(zone))
}
