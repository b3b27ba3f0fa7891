//! Runs commands. Every change to an incident goes through [`Desk::run`].

use std::path::Path;
use std::time::Duration;

use super::attach::{Attached, read_to_attach};
use super::clock::now;
use super::desk::{Desk, DeskError, new_entries};
use super::oncall::PLEASE_JOIN;
use super::send::describe_hit;
use crate::comms::{Stage, customer_hits};
use crate::evidence::{Body, Draft, Redactor};
use crate::incident::command::{Context, absorb, release};
use crate::incident::{
    Actor, Audience, Command, Entry, EventKind, EvidenceKind, ExitCriteria, Fact, Incident, IncidentId, LinkedAlert, NoteKind,
    Refusal, Status,
};
use crate::journal::{Append, Appended, JournalError};
use crate::telemetry::words::count;
use crate::telemetry::{LogLine, Timestamp, Window, clean};

/// How long `declare` and `link` wait for the alert sources when they look up fingerprints.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// The result of a command.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The incident after the command.
    pub incident: Incident,
    /// The appended entries, the main entry first. Empty if there was nothing to change.
    pub entries: Vec<Entry>,
    /// The result in one line, for the user.
    pub message: String,
    /// Problems that did not prevent the command, such as an alert that no source knows.
    pub warnings: Vec<String>,
}

impl Outcome {
    fn new(incident: Incident, entries: Vec<Entry>) -> Self {
        let message = entries.first().map_or_else(|| "Nothing changed".to_owned(), summary);
        Self { incident, entries, message, warnings: Vec::new() }
    }

    fn warn(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

/// The entry as a sentence, with its time if it is backdated.
fn summary(entry: &Entry) -> String {
    let when = if entry.is_backdated() { format!("{} UTC: ", entry.at.date_clock()) } else { String::new() };
    format!("{when}{}", clean::truncate(&entry.fact.sentence(), 160))
}

impl Desk {
    /// Runs a command on an incident. `at` is the time at which it happened; `None` means now.
    ///
    /// # Errors
    /// [`DeskError::Refused`] if the command is invalid or the incident does not allow it; other variants if it failed. The
    /// command itself is not recorded then.
    #[expect(clippy::too_many_lines, reason = "one arm per command")]
    pub async fn run(&self, id: IncidentId, command: Command, at: Option<Timestamp>) -> Result<Outcome, DeskError> {
        let command = command.checked()?;
        if at.is_some() && command.is_about_now() {
            return Err(Refusal::invalid("this command cannot be backdated: it applies to the present")
                .advise("Leave out the time.")
                .into());
        }
        match &command {
            Command::Check => self.run_check(id).await,
            Command::Page { name, text } => self.page(id, name, text).await,
            Command::Attach { file, note } => {
                let path = file.clone();
                let read = tokio::task::spawn_blocking(move || read_to_attach(&path)).await;
                let read = read.map_err(|e| Refusal::invalid(format!("cannot read the file: {e}")))??;
                self.attach(id, file, &read, note.as_deref(), at).await
            }
            Command::KeepLine { line } => self.keep_line(id, line).await,
            Command::Link { fingerprints } => {
                let (alerts, warnings) = self.look_up(fingerprints).await?;
                let outcome = self.record(id, &command, at, &alerts, &[]).await?;
                if outcome.entries.is_empty() && warnings.is_empty() {
                    let are = if fingerprints.len() == 1 { "this alert is" } else { "these alerts are" };
                    return Err(Refusal::invalid(format!("{are} already linked to {id}")).into());
                }
                Ok(outcome.warn(warnings))
            }
            Command::Merge { into, .. } => {
                let part = self.journal.incident(id).await?;
                // Numbers can change when offline entries are merged: use the current ones.
                let (id, into) = (part.id(), self.journal.incident(*into).await?.id());
                if id == into {
                    return Err(Refusal::invalid(format!("{id} cannot be merged into itself")).into());
                }
                if part.head.status == Status::Merged && part.head.merged_into != Some(into) {
                    return Err(Refusal::invalid(format!("{id} is already merged")).advise("Reopen it first.").into());
                }
                self.append(into, &self.actor(), at, |whole| Ok(absorb(whole, &part)?)).await?;
                self.record(id, &command, at, &[], &[]).await
            }
            Command::Reopen { .. } => {
                self.split_off(id, at).await?;
                self.record(id, &command, at, &[], &[]).await
            }
            Command::Status { status: Status::Resolved, .. } => {
                // Check even before an override, so that the record shows the values at the time of resolution.
                let (_, unchecked) = self.check(id).await?;
                self.record(id, &command, at, &[], &unchecked).await
            }
            Command::RecordUpdate { audience: Audience::External, text, .. } => {
                // It was sent already; what customers should not have read is said, so that the next one is better.
                let outcome = self.record(id, &command, at, &[], &[]).await?;
                let (stage, names) = (Stage::of(outcome.incident.head.status), self.names(&outcome.incident));
                let hits = customer_hits(&outcome.incident, stage, text, &names);
                Ok(outcome.warn(hits.iter().map(|hit| format!("Customers read {}", describe_hit(hit))).collect()))
            }
            Command::SetExit { criteria } => {
                self.check_source(criteria)?;
                self.record(id, &command, at, &[], &[]).await
            }
            Command::Note { .. }
            | Command::Correct { .. }
            | Command::Undo { .. }
            | Command::Redo
            | Command::Severity { .. }
            | Command::Status { .. }
            | Command::Tick { .. }
            | Command::Assign { .. }
            | Command::Renounce { .. }
            | Command::Task { .. }
            | Command::Report { .. }
            | Command::Hypothesis { .. }
            | Command::Objection { .. }
            | Command::Outcome { .. }
            | Command::Impact { .. }
            | Command::Time { .. }
            | Command::RecordUpdate { .. }
            | Command::Event { .. }
            | Command::Escalate { .. }
            | Command::Unlink { .. }
            | Command::Acknowledge
            | Command::Unacknowledge { .. }
            | Command::Grade { .. }
            | Command::Review { .. }
            | Command::Accept { .. }
            | Command::DecideProposal { .. }
            | Command::AddAction(_)
            | Command::ChangeAction { .. }
            | Command::CompleteAction { .. }
            | Command::ProposeMitigation(_)
            | Command::ChangeMitigation { .. }
            | Command::StartPlaybook { .. }
            | Command::StartStep { .. }
            | Command::EndStep { .. } => self.record(id, &command, at, &[], &[]).await,
        }
    }

    /// Appends the facts of a command to the incident.
    async fn record(
        &self,
        id: IncidentId,
        command: &Command,
        at: Option<Timestamp>,
        alerts: &[LinkedAlert],
        unchecked: &[String],
    ) -> Result<Outcome, DeskError> {
        // Redact first, so that names and fingerprints are compared in the form in which they are stored.
        let command = Redactor::new().redact_value(command)?.into_inner();
        let (incident, appended) = self
            .append(id, &self.actor(), at, |i| {
                let context = Context { now: now(), at, user: &self.user, monitor: self.monitor, alerts, unchecked };
                Ok(command.facts(i, &context)?)
            })
            .await?;
        Ok(Outcome::new(incident, appended.entries))
    }

    /// Looks up alerts by fingerprint. An alert that no source knows is returned unverified, with a warning.
    async fn look_up(&self, fingerprints: &[String]) -> Result<(Vec<LinkedAlert>, Vec<String>), DeskError> {
        let board = self.sources.find(fingerprints, LOOKUP_TIMEOUT).await;
        let failed: Vec<&str> = board.sources.iter().filter(|s| s.error.is_some()).map(|s| s.name.as_str()).collect();
        let why = if failed.is_empty() { String::new() } else { format!(" ({} did not answer)", failed.join(", ")) };
        let (mut alerts, mut warnings) = (Vec::new(), Vec::new());
        for fingerprint in fingerprints {
            if let Some(alert) = board.alerts.iter().find(|a| a.fingerprints().any(|f| f == fingerprint)) {
                alerts.push(LinkedAlert::from_alert(alert));
            } else {
                let fingerprint = Redactor::new().redact_text(fingerprint).into_owned();
                warnings.push(format!("No source knows alert {fingerprint}{why}. It is linked, but not verified."));
                alerts.push(LinkedAlert::unverified(fingerprint));
            }
        }
        Ok((alerts, warnings))
    }

    /// Undoes a merge: the other incident gives back the alerts and open action items that it took over. Does nothing if the
    /// incident is not merged.
    async fn split_off(&self, id: IncidentId, at: Option<Timestamp>) -> Result<(), DeskError> {
        let incident = self.journal.incident(id).await?;
        let Some(whole) = incident.head.merged_into else { return Ok(()) };
        let part = incident.id();
        match self.append(whole, &self.actor(), at, |i| Ok(release(i, part))).await {
            // If the other incident was purged, there is nothing to give back.
            Ok(_) | Err(DeskError::Journal(JournalError::NoSuchIncident(_) | JournalError::Purged { .. })) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Rejects exit criteria that name a metrics source that does not exist.
    fn check_source(&self, criteria: &ExitCriteria) -> Result<(), Refusal> {
        let Some(source) = criteria.source.as_deref() else { return Ok(()) };
        let known: Vec<&str> = self.sources.sources.iter().filter(|s| s.metrics().is_some()).map(|s| s.name()).collect();
        if known.contains(&source) {
            return Ok(());
        }
        let remedy = if known.is_empty() {
            "No metrics source is configured.".to_owned()
        } else {
            format!("Use one of {}.", known.join(", "))
        };
        Err(Refusal::not_found(format!("there is no metrics source named '{source}'")).advise(remedy))
    }

    /// Checks the alerts and exit criteria now; the outcome has the entries that this added.
    async fn run_check(&self, id: IncidentId) -> Result<Outcome, DeskError> {
        let before = self.journal.incident(id).await?.head.last_seq;
        let (incident, unchecked) = self.check(id).await?;
        let entries: Vec<Entry> = incident.entries.iter().filter(|e| e.seq > before).cloned().collect();
        let message = match (incident.readings.last(), incident.watched.values().filter(|w| w.is_firing).count()) {
            (Some(r), _) => format!("Exit criteria {}: {}", if r.reading.met { "met" } else { "not met" }, r.reading.why),
            (None, 0) if unchecked.is_empty() => "No linked alert is firing".to_owned(),
            (None, 0) => "Alert status unknown".to_owned(),
            (None, n) => format!("{} still firing", count(n, "linked alert")),
        };
        Ok(Outcome { message, ..Outcome::new(incident, entries) }.warn(unchecked))
    }

    /// Pages a person, and records the page with the output of the paging program.
    async fn page(&self, id: IncidentId, name: &str, text: &str) -> Result<Outcome, DeskError> {
        self.refuse_read_only("a page cannot be sent")?;
        let incident = self.journal.incident(id).await?;
        let output = self.send_page(&self.plan_page(&incident, name, text)?).await?;
        let output =
            if output.is_empty() { String::new() } else { format!(" ({})", clean::truncate(&clean::line(&output), 120)) };
        let command = Command::Event {
            kind: EventKind::ResponderRequested,
            text: format!(
                "{name} paged{}{output}",
                format_args!(": {}", if text.trim().is_empty() { PLEASE_JOIN } else { text })
            ),
        };
        self.record(id, &command, None, &[], &[]).await.map_err(DeskError::after(format!("{name} was paged")))
    }

    /// Appends evidence and its body in one commit.
    pub(super) async fn append_evidence(
        &self,
        id: IncidentId,
        draft: Draft,
        actor: &Actor,
        at: Option<Timestamp>,
    ) -> Result<(Incident, Appended), DeskError> {
        let (record, body, _) = draft.seal()?;
        let fact = Fact::EvidenceAttached { evidence: record.into_inner() };
        let incident = self.journal.incident(id).await?;
        self.append_to(incident, |_| {
            let entries = new_entries(vec![fact.clone()], actor, at, now())?;
            Ok(Append { entries, bodies: vec![body.clone()] })
        })
        .await
    }

    /// Adds a log line as evidence, and a note that cites it.
    async fn keep_line(&self, id: IncidentId, line: &LogLine) -> Result<Outcome, DeskError> {
        let when = line.at.unwrap_or_else(now);
        // Redact before truncating: half a token no longer matches the pattern that finds it.
        let first = clean::truncate(&Redactor::new().redact_text(line.message.lines().next().unwrap_or("")), 160);
        let service = line.service.as_deref().map(|s| format!("{s}: ")).unwrap_or_default();
        let draft = Draft {
            kind: EvidenceKind::Logs,
            source: self.user.clone(),
            query: "a line marked by hand".to_owned(),
            window: Window::new(when, when),
            taken_at: now(),
            summary: format!("{service}{first}"),
            body: Body::Lines { lines: vec![line.clone()] },
            gaps: Vec::new(),
            shown: 1,
            total: 1,
        };
        let summary = draft.summary.clone();
        let (_, appended) = self.append_evidence(id, draft, &self.actor(), None).await?;
        let cited = appended.evidence.first().map(|e| format!(" [{e}]")).unwrap_or_default();
        let note = Command::Note { text: format!("log line: {summary}{cited}"), kind: NoteKind::Observation };
        self.record(id, &note, line.at, &[], &[]).await
    }

    /// Attaches a text as evidence. Fails if the text is empty or already attached.
    async fn attach(
        &self,
        id: IncidentId,
        file: &Path,
        read: &Attached,
        note: Option<&str>,
        at: Option<Timestamp>,
    ) -> Result<Outcome, DeskError> {
        let origin = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
        let kept = clean::document(&read.text);
        if kept.trim().is_empty() {
            return Err(Refusal::invalid(format!("{origin} is empty")).into());
        }
        let mut gaps = read.gaps.clone();
        if kept.len() < read.text.replace("\r\n", "\n").len() {
            gaps.push("control characters were removed".to_owned());
        }
        let when = at.unwrap_or_else(now);
        let lines = u64::try_from(kept.lines().count()).unwrap_or(0);
        let draft = Draft {
            kind: EvidenceKind::Note,
            source: self.user.clone(),
            query: clean::line(&origin),
            window: Window::new(when, when),
            taken_at: when,
            summary: note.map_or_else(|| format!("{origin}, {}", count(lines, "line")), clean::line),
            body: Body::Text { text: kept },
            gaps: gaps.clone(),
            shown: lines,
            total: read.lines.max(lines),
        };
        let (incident, appended) = self.append_evidence(id, draft, &self.actor(), at).await?;
        match (appended.entries.is_empty(), appended.evidence.first()) {
            (true, Some(have)) => Err(Refusal::invalid(format!("this text is already attached as {have}")).into()),
            _ => Ok(Outcome::new(incident, appended.entries).warn(gaps)),
        }
    }
}
