//! Every change that can be made to an incident, as a value.
//!
//! The command line, the terminal UI, playbooks and the proposals of a model all build a [`Command`]; `Desk::run` (in
//! `investigate`) runs it. The doc comments are the help of `warroom incident`; variants with `skip` are built by other
//! subcommands. To add a command, add a variant with its parameters, its texts in `Command::texts`, and the facts that it
//! appends in `facts`; the compiler points out what is missing.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{ActionChange, ActionKind, ActionScope, parse_date, parse_priority};
use super::event::{Audience, EscalationLevel, EventKind, FoundBy, Grade, NextUpdate, ReviewState, Verdict};
use super::exit::ExitCriteria;
use super::fact::NoteKind;
use super::ids::{ActionId, IncidentId, parse_seq};
use super::milestone::Milestone;
use super::mitigation::{CardState, Risk};
use super::playbook_run::{BlockResult, StepState};
use super::proposal::Proposal;
use super::role::Role;
use super::severity::Severity;
use super::status::Status;
use crate::telemetry::failure::Explain;
use crate::telemetry::time::parse_duration;
use crate::telemetry::{Failure, LogLine, Moment, clean};

mod facts;

pub use facts::{Context, absorb, release};

/// A change to one incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Subcommand)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Add a note to the timeline; text after TODO becomes an action item
    Note {
        /// Text of the note
        text: String,
        /// Kind of note: observation, decision, lesson, went-well, went-badly, lucky, factor, question, hypothesis or mitigation
        #[arg(long, default_value = "observation")]
        kind: NoteKind,
    },
    /// Correct the text of an entry; the original is kept
    Correct {
        /// Number of the entry
        #[arg(value_parser = seq_arg)]
        entry: u64,
        /// Corrected text
        text: String,
        /// Reason for the correction
        #[arg(long, default_value = "corrected by hand")]
        reason: String,
    },
    /// Undo an entry; without a number, your most recent change
    Undo {
        /// Number of the entry
        #[arg(value_parser = seq_arg)]
        entry: Option<u64>,
    },
    /// Redo the change that you undid last
    Redo,
    /// Change the severity
    Severity {
        /// Severity, SEV1 (worst) to SEV5. If you are unsure, give two (SEV2/SEV3): the higher one is used
        #[arg(value_parser = severity_arg)]
        severity: Severity,
        /// Reason for the change
        #[arg(long)]
        reason: String,
    },
    /// Change the status
    Status {
        /// Status: triage, investigating, identified, mitigated, monitoring, resolved, closed or cancelled
        status: Status,
        /// Reason to go ahead although checklist items are open; recorded in the timeline
        #[arg(long = "override", value_name = "REASON")]
        override_reason: Option<String>,
        /// Reason for the change, such as why it was a false alarm
        #[arg(long)]
        reason: Option<String>,
    },
    /// Tick or untick a checklist item
    #[command(skip)]
    Tick { item: String, met: bool, text: String },
    /// Set the exit criteria: the condition for ending the incident
    #[command(skip)]
    SetExit { criteria: ExitCriteria },
    /// Check whether the linked alerts are still firing and the exit criteria are met
    Check,
    /// Assign a role
    #[command(skip)]
    Assign { role: Role, holder: String },
    /// Give up a role
    #[command(skip)]
    Renounce { role: Role, holder: Option<String> },
    /// Give someone a task, with a time to report back
    Task {
        /// Person who gets the task
        name: String,
        /// Task
        text: String,
        /// Minutes until they report back
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=MAX_MINUTES))]
        minutes: u64,
    },
    /// Record the result of a task and mark it as done
    Report {
        /// Task, such as A1
        action: ActionId,
        /// Result
        result: String,
        /// Minutes until the next report, if the task is not done yet
        #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=MAX_MINUTES))]
        again_in: Option<u64>,
    },
    /// Mark a hypothesis as supported or refuted
    Hypothesis {
        /// Number of the entry with the hypothesis
        #[arg(value_parser = seq_arg)]
        entry: u64,
        /// Verdict: supported or refuted
        verdict: Verdict,
        /// Reason, with the evidence in brackets, such as E3
        #[arg(long)]
        reason: String,
    },
    /// Record an objection to a decision
    Objection {
        /// Number of the entry with the decision
        #[arg(value_parser = seq_arg)]
        entry: u64,
        /// Objection
        text: String,
        /// Person who objects, if not you
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Record the outcome of a decision
    Outcome {
        /// Number of the entry with the decision
        #[arg(value_parser = seq_arg)]
        entry: u64,
        /// Outcome
        text: String,
    },
    /// Describe the impact
    Impact {
        /// Time when the impact started
        #[arg(long, value_name = "TIME")]
        started: Option<Moment>,
        /// Affected services, separated by commas
        #[arg(long, value_delimiter = ',', value_name = "A,B")]
        services: Option<Vec<String>>,
        /// Affected users and their number
        #[arg(long, value_name = "TEXT")]
        users: Option<String>,
        /// Affected region
        #[arg(long, value_name = "TEXT")]
        region: Option<String>,
        /// Description of what is failing
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
        /// Whether data was lost or corrupted: none, or what
        #[arg(long, value_name = "TEXT")]
        data: Option<String>,
    },
    /// Set a milestone by hand
    Time {
        /// Milestone: impact_started, detected, declared, acknowledged, identified, mitigated, resolved or closed
        moment: Milestone,
        /// Time: 17:00, 10m ago, 2026-11-28 18:00 (UTC) or RFC 3339
        time: Moment,
        /// How you know the time
        #[arg(long)]
        reason: String,
        /// Reason why it may be out of order
        #[arg(long, value_name = "WHY")]
        exception: Option<String>,
    },
    /// Record an update that was sent elsewhere
    #[command(skip)]
    RecordUpdate { audience: Audience, text: String, next: NextUpdate },
    /// Record an event, such as a deployment; investigations consider changes as causes
    Event {
        /// Kind of event. Changes: deploy-detected, config-changed, flag-changed or change-detected. Others: silence-created,
        /// silence-expired, responder-requested, snoozed, query-run, command-run, action-started, action-finished,
        /// priority-changed, urgency-changed or postmortem-created
        kind: EventKind,
        /// Description of the event
        text: String,
    },
    /// Record an escalation to a support level
    Escalate {
        /// Level: L1 (user support), L2 (technical), L3 (complex systems) or L4 (architecture and development)
        level: EscalationLevel,
        /// Reason for the escalation
        #[arg(long)]
        reason: String,
        /// Person or team that takes over
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// Page someone with the configured on-call program
    #[command(skip)]
    Page { name: String, text: String },
    /// Attach a file as evidence
    Attach {
        /// File to attach; - for standard input
        file: PathBuf,
        /// Description of the contents
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Store a log line as evidence, with a note that cites it
    #[command(skip)]
    KeepLine { line: Box<LogLine> },
    /// Link alerts by their fingerprints
    Link {
        /// Fingerprints, as listed by `warroom alerts`
        #[arg(required = true, value_name = "FINGERPRINT")]
        fingerprints: Vec<String>,
    },
    /// Unlink an alert that does not belong to the incident
    Unlink {
        /// Fingerprint of the alert
        fingerprint: String,
        /// Why it does not belong to the incident
        #[arg(long)]
        reason: Option<String>,
    },
    /// Merge the incident into another one, which takes over its alerts and open action items
    Merge {
        /// Incident to merge into
        into: IncidentId,
        /// Reason for the merge
        #[arg(long)]
        reason: Option<String>,
    },
    /// Acknowledge the incident: someone is working on it
    Acknowledge,
    /// Withdraw the acknowledgement
    Unacknowledge {
        /// Reason for withdrawing it
        #[arg(long)]
        reason: String,
    },
    /// Reopen an incident that has ended
    Reopen {
        /// Reason for reopening it
        #[arg(long)]
        reason: String,
    },
    /// Grade the diagnosis, after the incident
    Grade {
        /// Grade: bullseye, one-hop-short, right-area or wrong
        grade: Grade,
        /// Who found the cause: human, ai, both or rules
        #[arg(long)]
        found_by: FoundBy,
        /// Comment on the grade
        #[arg(long)]
        text: Option<String>,
    },
    /// Change the state of the post-mortem's review
    Review {
        /// State: draft, in-review, reviewed or closed
        state: ReviewState,
        /// Person who reviewed it
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Accept a model's answer as your own
    Accept {
        /// Number of the entry with the answer
        #[arg(value_parser = seq_arg)]
        entry: u64,
    },
    /// Accept or refute what an answer proposes
    #[command(skip)]
    DecideProposal { proposal: Box<Proposal>, is_accepted: bool, reason: Option<String> },
    /// Add an action item
    #[command(skip)]
    AddAction(NewAction),
    /// Change an action item
    #[command(skip)]
    ChangeAction { action: ActionId, change: ActionChange },
    /// Mark an action item as done
    #[command(skip)]
    CompleteAction { action: ActionId, result: Option<String> },
    /// Propose a mitigation
    #[command(skip)]
    ProposeMitigation(NewMitigation),
    /// Start, finish or drop a mitigation
    #[command(skip)]
    ChangeMitigation { card: u64, state: CardState, approved_by: Option<String>, result: Option<String> },
    /// Begin a playbook, or take over its steps as they are now
    #[command(skip)]
    StartPlaybook { playbook: String, title: String, steps: Vec<String> },
    /// Begin a step that runs something
    #[command(skip)]
    StartStep { playbook: String, step: u32, runs: String, again: bool },
    /// Record the end of a step
    #[command(skip)]
    EndStep { playbook: String, step: u32, state: StepState, reason: Option<String>, blocks: Vec<BlockResult> },
}

/// Longest time until someone reports back, in minutes: a week.
const MAX_MINUTES: u64 = 10_080;

/// A new action item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
pub struct NewAction {
    /// Action item
    pub text: String,
    /// Kind: prevent, mitigate, detect or process
    #[arg(long, default_value = "prevent")]
    pub kind: ActionKind,
    /// Owner
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// Due date, such as 2026-12-01
    #[arg(long, value_parser = parse_date)]
    pub due: Option<String>,
    /// Priority, P1 (highest) to P4
    #[arg(long, value_parser = parse_priority)]
    pub priority: Option<String>,
    /// Scope: follow-up (after the incident) or incident (during the incident)
    #[arg(long, default_value = "follow-up")]
    pub scope: ActionScope,
    /// Time until the owner reports back, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub check_back: Option<Duration>,
    /// URL of the ticket
    #[arg(long, value_name = "URL")]
    pub ticket: Option<String>,
}

/// A new mitigation card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
pub struct NewMitigation {
    /// What to do
    pub text: String,
    /// Risk: low, medium or high
    #[arg(long)]
    pub risk: Risk,
    /// How to undo it
    #[arg(long, value_name = "TEXT")]
    pub undo: Option<String>,
    /// Query and threshold that must hold afterwards, such as 'error_rate < 0.01'
    #[arg(skip)]
    pub verify: Option<ExitCriteria>,
    /// Why it may start without an undo or a check
    #[arg(long, value_name = "WHY")]
    pub exception: Option<String>,
    /// What proposed it, if not a person: a step of a playbook, or the assistant.
    #[arg(skip)]
    pub origin: Option<String>,
    /// The entry that proposed the card to change; `None` for a new card.
    #[arg(skip)]
    pub edits: Option<u64>,
}

impl NewMitigation {
    /// A card with only its text and its risk.
    pub fn new(text: impl Into<String>, risk: Risk) -> Self {
        Self { text: text.into(), risk, undo: None, verify: None, exception: None, origin: None, edits: None }
    }
}

impl NewAction {
    /// A follow-up without an owner or a due date.
    pub fn follow_up(kind: ActionKind, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind,
            owner: None,
            due: None,
            priority: None,
            scope: ActionScope::FollowUp,
            check_back: None,
            ticket: None,
        }
    }

    /// A task during the incident; `check_back` is the time until the owner reports back.
    pub fn task(owner: impl Into<String>, text: impl Into<String>, check_back: Duration) -> Self {
        Self {
            owner: Some(owner.into()),
            scope: ActionScope::Incident,
            check_back: Some(check_back),
            ..Self::follow_up(ActionKind::Mitigate, text)
        }
    }
}

/// Why a command was refused. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The command is invalid, or not allowed in the state of the incident.
    #[error("{0}")]
    Invalid(Failure),
    /// The command names an entry, alert, item or source that does not exist.
    #[error("{0}")]
    NotFound(Failure),
}

impl Refusal {
    /// A refusal of a command that is invalid or not allowed, without a remedy.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(Failure::new(message))
    }

    /// A refusal because something does not exist, without a remedy.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound(Failure::new(message))
    }

    /// Sets the remedy.
    #[must_use]
    pub fn advise(self, remedy: impl Into<String>) -> Self {
        match self {
            Self::Invalid(failure) => Self::Invalid(failure.advise(remedy)),
            Self::NotFound(failure) => Self::NotFound(failure.advise(remedy)),
        }
    }
}

impl Explain for Refusal {
    fn remedy(&self) -> Option<String> {
        let (Self::Invalid(failure) | Self::NotFound(failure)) = self;
        failure.remedy.clone()
    }

    fn failure(&self) -> Failure {
        let (Self::Invalid(failure) | Self::NotFound(failure)) = self;
        failure.clone()
    }
}

/// A text parameter of a command.
struct Text<'a> {
    /// Its name in messages.
    name: &'static str,
    value: &'a mut String,
    /// Whether it may span several lines.
    is_block: bool,
}

fn line<'a>(name: &'static str, value: &'a mut String) -> Text<'a> {
    Text { name, value, is_block: false }
}

fn block<'a>(name: &'static str, value: &'a mut String) -> Text<'a> {
    Text { name, value, is_block: true }
}

impl Command {
    /// Whether this is about the present, so that it cannot be backdated.
    pub fn is_about_now(&self) -> bool {
        matches!(self, Self::Check | Self::Page { .. } | Self::KeepLine { .. })
    }

    /// All text parameters that people write.
    #[expect(clippy::too_many_lines, reason = "one arm per command")]
    fn texts(&mut self) -> Vec<Text<'_>> {
        let mut texts = Vec::new();
        match self {
            Self::Note { text, .. } => texts.push(block("note", text)),
            Self::Correct { text, reason, .. } => texts.extend([block("correction", text), block("reason", reason)]),
            Self::Severity { reason, .. }
            | Self::Hypothesis { reason, .. }
            | Self::Unacknowledge { reason }
            | Self::Reopen { reason } => texts.push(block("reason", reason)),
            Self::Status { override_reason, reason, .. } => {
                texts.extend(override_reason.as_mut().map(|r| block("reason", r)));
                texts.extend(reason.as_mut().map(|r| block("reason", r)));
            }
            Self::Tick { text, .. } | Self::Outcome { text, .. } | Self::Event { text, .. } => texts.push(block("text", text)),
            Self::Assign { holder, .. } => texts.push(line("name", holder)),
            Self::Renounce { holder, .. } => texts.extend(holder.as_mut().map(|h| line("name", h))),
            Self::Task { name, text, .. } => texts.extend([line("name", name), block("task", text)]),
            Self::Report { result, .. } => texts.push(block("result", result)),
            Self::Objection { text, by, .. } => {
                texts.push(block("text", text));
                texts.extend(by.as_mut().map(|b| line("name", b)));
            }
            Self::Impact { users, region, text, data, .. } => {
                texts.extend(data.as_mut().map(|d| line("data loss", d)));
                texts.extend(users.as_mut().map(|u| line("users", u)));
                texts.extend(region.as_mut().map(|r| line("region", r)));
                texts.extend(text.as_mut().map(|t| line("text", t)));
            }
            Self::Time { reason, exception, .. } => {
                texts.push(block("reason", reason));
                texts.extend(exception.as_mut().map(|e| block("exception", e)));
            }
            Self::RecordUpdate { text, .. } => texts.push(block("update", text)),
            Self::Escalate { reason, to, .. } => {
                texts.push(block("reason", reason));
                texts.extend(to.as_mut().map(|t| line("name", t)));
            }
            Self::Page { name, text } => {
                texts.push(line("name", name));
                texts.extend((!text.trim().is_empty()).then(|| line("text", text)));
            }
            Self::Attach { note, .. } => texts.extend(note.as_mut().map(|n| line("note", n))),
            Self::Link { fingerprints } => texts.extend(fingerprints.iter_mut().map(|f| line("fingerprint", f))),
            Self::Unlink { fingerprint, reason } => {
                texts.push(line("fingerprint", fingerprint));
                texts.extend(reason.as_mut().map(|r| block("reason", r)));
            }
            Self::Review { by, .. } => texts.extend(by.as_mut().map(|b| line("name", b))),
            Self::DecideProposal { proposal, reason, .. } => {
                texts.push(block("proposal", &mut proposal.text));
                texts.extend(reason.as_mut().map(|r| block("reason", r)));
            }
            Self::Merge { reason, .. } => texts.extend(reason.as_mut().map(|r| block("reason", r))),
            Self::Grade { text, .. } => texts.extend(text.as_mut().map(|t| block("text", t))),
            Self::AddAction(new) => {
                texts.push(block("action item", &mut new.text));
                texts.extend(new.owner.as_mut().map(|o| line("owner", o)));
                texts.extend(new.ticket.as_mut().map(|t| line("ticket", t)));
            }
            Self::ChangeAction { change, .. } => {
                texts.extend(change.text.as_mut().map(|t| line("text", t)));
                texts.extend(change.owner.as_mut().map(|o| line("owner", o)));
                texts.extend(change.ticket.as_mut().map(|t| line("ticket", t)));
                texts.extend(change.result.as_mut().map(|r| line("reason", r)));
            }
            Self::CompleteAction { result, .. } => texts.extend(result.as_mut().map(|r| block("result", r))),
            Self::ProposeMitigation(new) => {
                texts.push(block("mitigation", &mut new.text));
                texts.extend(new.undo.as_mut().map(|u| block("way back", u)));
                texts.extend(new.exception.as_mut().map(|e| block("exception", e)));
            }
            Self::ChangeMitigation { approved_by, result, .. } => {
                texts.extend(approved_by.as_mut().map(|a| line("name", a)));
                texts.extend(result.as_mut().map(|r| block("result", r)));
            }
            Self::StartPlaybook { playbook, title, .. } => texts.extend([line("playbook", playbook), line("title", title)]),
            Self::StartStep { runs, .. } => texts.push(block("command", runs)),
            Self::EndStep { reason, .. } => texts.extend(reason.as_mut().map(|r| block("reason", r))),
            Self::Undo { .. }
            | Self::Redo
            | Self::SetExit { .. }
            | Self::Check
            | Self::KeepLine { .. }
            | Self::Acknowledge
            | Self::Accept { .. } => {}
        }
        texts
    }

    /// Whether its text may have several lines.
    pub fn is_multiline(&self) -> bool {
        match self {
            Self::Note { .. }
            | Self::Correct { .. }
            | Self::Severity { .. }
            | Self::Hypothesis { .. }
            | Self::Unacknowledge { .. }
            | Self::Reopen { .. }
            | Self::Status { .. }
            | Self::Tick { .. }
            | Self::Outcome { .. }
            | Self::Event { .. }
            | Self::Task { .. }
            | Self::Report { .. }
            | Self::Objection { .. }
            | Self::Time { .. }
            | Self::RecordUpdate { .. }
            | Self::Escalate { .. }
            | Self::Unlink { .. }
            | Self::Merge { .. }
            | Self::Grade { .. }
            | Self::DecideProposal { .. }
            | Self::AddAction(_)
            | Self::CompleteAction { .. }
            | Self::ProposeMitigation(_)
            | Self::ChangeMitigation { .. }
            | Self::EndStep { .. } => true,
            Self::StartPlaybook { .. }
            | Self::StartStep { .. }
            | Self::Assign { .. }
            | Self::Renounce { .. }
            | Self::Impact { .. }
            | Self::Review { .. }
            | Self::Page { .. }
            | Self::Attach { .. }
            | Self::Link { .. }
            | Self::ChangeAction { .. }
            | Self::Undo { .. }
            | Self::Redo
            | Self::SetExit { .. }
            | Self::Check
            | Self::KeepLine { .. }
            | Self::Acknowledge
            | Self::Accept { .. } => false,
        }
    }

    /// The command with its texts cleaned and trimmed.
    ///
    /// # Errors
    /// When a required text is empty, a text is too long, or a value has the wrong form.
    pub fn checked(mut self) -> Result<Self, Refusal> {
        for text in self.texts() {
            *text.value = check_text(text.name, text.value, text.is_block)?;
        }
        let check = |due: &mut Option<String>, priority: &mut Option<String>| {
            *due = due.as_deref().map(parse_date).transpose().map_err(Refusal::invalid)?;
            *priority = priority.as_deref().map(parse_priority).transpose().map_err(Refusal::invalid)?;
            Ok::<(), Refusal>(())
        };
        if let Self::AddAction(new) = &mut self {
            check(&mut new.due, &mut new.priority)?;
        }
        if let Self::ChangeAction { change, .. } = &mut self {
            check(&mut change.due, &mut change.priority)?;
        }
        Ok(self)
    }
}

/// Cleans a text that a person wrote: removes control characters, trims it, and joins its lines unless it is a block.
///
/// # Errors
/// When it is empty or longer than [`clean::MAX_TEXT_BYTES`].
pub fn check_text(name: &str, text: &str, is_block: bool) -> Result<String, Refusal> {
    if text.len() > clean::MAX_TEXT_BYTES {
        let message =
            format!("the {name} is too long: {} KiB, the limit is {} KiB", text.len() / 1024, clean::MAX_TEXT_BYTES / 1024);
        return Err(Refusal::invalid(message).advise("Attach it as evidence: `warroom incident attach ID FILE`."));
    }
    let cleaned = if is_block { clean::block(text) } else { clean::line(text) };
    let trimmed = cleaned.trim();
    if trimmed.is_empty() {
        return Err(Refusal::invalid(format!("the {name} is empty")).advise("Write a few words."));
    }
    Ok(trimmed.to_owned())
}

/// Parses the number of an entry. The error is for the command line.
pub fn seq_arg(text: &str) -> Result<u64, String> {
    parse_seq(text).ok_or_else(|| {
        format!("'{text}' is not an entry number; use a number such as 12, or L3 for an entry that is not synced yet")
    })
}

/// Parses a severity. Of two (`SEV2/SEV3`), the higher one is used. The error is for the command line.
pub fn severity_arg(text: &str) -> Result<Severity, String> {
    let mut worst: Option<Severity> = None;
    for part in text.split('/') {
        let severity = part.parse::<Severity>().map_err(|e| e.to_string())?;
        worst = Some(worst.map_or(severity, |w| w.min(severity)));
    }
    worst.ok_or_else(|| "no severity given; use SEV1 (worst) to SEV5".to_owned())
}
