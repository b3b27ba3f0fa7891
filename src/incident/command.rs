//! Everything that can be done to an incident, as a value.
//!
//! The command line, the terminal, playbooks and the proposals of a model all build the same [`Command`], and `Desk::run` (in
//! `investigate`) is the one function that runs it. The doc comments are the help of `warroom incident`; variants with `skip` are built
//! by other subcommands. A new verb is a variant here with its parameters, its texts in [`Command::texts`], and the facts that it appends
//! in [`facts`]; the compiler asks for each of them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{ActionChange, ActionKind, ActionScope, parse_date, parse_priority};
use super::event::{Audience, EscalationLevel, EventKind, FoundBy, Grade, NextUpdate, Verdict};
use super::exit::ExitCriteria;
use super::fact::NoteKind;
use super::ids::{ActionId, IncidentId, parse_seq};
use super::milestone::Milestone;
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
    /// Add a note to the timeline. Text after TODO becomes an action item
    Note {
        text: String,
        /// observation, decision, lesson, hypothesis or mitigation
        #[arg(long, default_value = "observation")]
        kind: NoteKind,
    },
    /// Correct the text of an entry. The original is kept
    Correct {
        /// The entry's number
        #[arg(value_parser = seq_arg)]
        entry: u64,
        text: String,
        /// Why it was wrong
        #[arg(long, default_value = "corrected by hand")]
        reason: String,
    },
    /// Undo a change: one entry, or your most recent change
    Undo {
        /// The entry's number
        #[arg(value_parser = seq_arg)]
        entry: Option<u64>,
    },
    /// Change the severity
    Severity {
        /// SEV1 (worst) to SEV5. If you are unsure, give two (SEV2/SEV3): the higher one is used
        #[arg(value_parser = severity_arg)]
        severity: Severity,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Change the status
    Status {
        /// triage, investigating, identified, mitigated, monitoring, resolved, closed or cancelled
        status: Status,
        /// Go ahead although checklist items are open, and record why
        #[arg(long = "override", value_name = "REASON")]
        override_reason: Option<String>,
        /// Why it changes, such as what made it a false alarm
        #[arg(long)]
        reason: Option<String>,
    },
    /// Tick an item of the checklist, or untick it
    #[command(skip)]
    Tick { item: String, met: bool, text: String },
    /// Set the exit criteria: what must hold for the incident to be over
    #[command(skip)]
    SetExit { criteria: ExitCriteria },
    /// Check whether the linked alerts still fire and the exit criteria hold
    Check,
    /// Assign a role
    #[command(skip)]
    Assign { role: Role, holder: String },
    /// Give a role up
    #[command(skip)]
    Renounce { role: Role, holder: Option<String> },
    /// Give someone a task to report back on
    Task {
        name: String,
        text: String,
        /// Minutes until they report back
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=MAX_MINUTES))]
        minutes: u64,
    },
    /// Record the result of a task
    Report {
        action: ActionId,
        result: String,
        /// Not done yet: they report back again in this many minutes
        #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=MAX_MINUTES))]
        again_in: Option<u64>,
    },
    /// Judge a hypothesis: supported or refuted
    Hypothesis {
        /// The number of the entry that proposed it
        #[arg(value_parser = seq_arg)]
        entry: u64,
        verdict: Verdict,
        /// Why, with the evidence: "pool was full [E3]"
        #[arg(long)]
        reason: String,
    },
    /// Record an objection to a decision
    Objection {
        /// The decision's number
        #[arg(value_parser = seq_arg)]
        entry: u64,
        text: String,
        /// Who objects, if not you
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Record the outcome of a decision
    Outcome {
        /// The decision's number
        #[arg(value_parser = seq_arg)]
        entry: u64,
        text: String,
    },
    /// Describe the impact
    Impact {
        /// When it started
        #[arg(long, value_name = "TIME")]
        started: Option<Moment>,
        /// The affected services, separated by commas
        #[arg(long, value_delimiter = ',', value_name = "A,B")]
        services: Option<Vec<String>>,
        /// Which users are affected, and how many
        #[arg(long, value_name = "TEXT")]
        users: Option<String>,
        #[arg(long, value_name = "TEXT")]
        region: Option<String>,
        /// What fails
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
    },
    /// Set a milestone by hand
    Time {
        /// impact_started, detected, declared, acknowledged, identified, mitigated, resolved or closed
        moment: Milestone,
        time: Moment,
        /// How you know
        #[arg(long)]
        reason: String,
        /// Why it may be out of order
        #[arg(long, value_name = "WHY")]
        exception: Option<String>,
    },
    /// Record that an update was sent (this sends nothing)
    #[command(skip)]
    RecordUpdate { audience: Audience, text: String, next: NextUpdate },
    /// Record an event. The first four kinds are changes, which the next investigation ranks
    Event {
        /// deploy-detected, config-changed, flag-changed, change-detected, silence-created, silence-expired, responder-requested,
        /// snoozed, query-run, command-run, action-started, action-finished, priority-changed, urgency-changed or
        /// postmortem-created
        kind: EventKind,
        text: String,
    },
    /// Record an escalation: L1 user support, L2 technical, L3 complex systems, L4 architecture and development
    Escalate {
        level: EscalationLevel,
        #[arg(long)]
        reason: String,
        /// Who it went to
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// Page someone through the program in [oncall]
    #[command(skip)]
    Page { name: String, text: String },
    /// Attach a file (or - for standard input) as evidence
    Attach {
        file: PathBuf,
        /// What it shows
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Keep a log line as evidence, with a note that cites it
    #[command(skip)]
    KeepLine { line: Box<LogLine> },
    /// Link alerts by their fingerprints
    Link {
        #[arg(required = true, value_name = "FINGERPRINT")]
        fingerprints: Vec<String>,
    },
    /// Unlink an alert that does not belong to the incident
    Unlink {
        fingerprint: String,
        /// Why it does not belong
        #[arg(long)]
        reason: Option<String>,
    },
    /// Merge this incident into another one, which takes over its alerts and open action items
    Merge {
        into: IncidentId,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Acknowledge the incident: someone is working on it
    Acknowledge,
    /// Take the acknowledgement back
    Unacknowledge {
        #[arg(long)]
        reason: String,
    },
    /// Reopen an incident that has ended
    Reopen {
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Grade the diagnosis after the incident
    Grade {
        /// bullseye, one-hop-short, right-area or wrong
        grade: Grade,
        /// Who found it: human, ai, both or rules
        #[arg(long)]
        found_by: FoundBy,
        #[arg(long)]
        text: Option<String>,
    },
    /// Accept the answer of a model as your own
    Accept {
        /// The number of the answer's entry
        #[arg(value_parser = seq_arg)]
        entry: u64,
    },
    /// Add an action item
    #[command(skip)]
    AddAction(NewAction),
    /// Change an action item
    #[command(skip)]
    ChangeAction { action: ActionId, change: ActionChange },
    /// Mark an action item as done
    #[command(skip)]
    CompleteAction { action: ActionId, result: Option<String> },
}

/// A week: the longest time until someone reports back.
const MAX_MINUTES: u64 = 10_080;

/// A new action item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
pub struct NewAction {
    pub text: String,
    /// prevent, mitigate, detect or process
    #[arg(long, default_value = "prevent")]
    pub kind: ActionKind,
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// A date such as 2026-12-01
    #[arg(long, value_parser = parse_date)]
    pub due: Option<String>,
    /// P1 (highest) to P4
    #[arg(long, value_parser = parse_priority)]
    pub priority: Option<String>,
    /// follow-up (after the incident) or incident (now)
    #[arg(long, default_value = "follow-up")]
    pub scope: ActionScope,
    /// When its owner reports back, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub check_back: Option<Duration>,
    /// The URL of its ticket
    #[arg(long, value_name = "URL")]
    pub ticket: Option<String>,
}

impl NewAction {
    /// A follow-up without an owner or a date.
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

    /// A task during the incident.
    pub fn task(owner: impl Into<String>, text: impl Into<String>, check_back: Duration) -> Self {
        Self {
            owner: Some(owner.into()),
            scope: ActionScope::Incident,
            check_back: Some(check_back),
            ..Self::follow_up(ActionKind::Mitigate, text)
        }
    }
}

/// Why a command was refused. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The incident, or the command itself, does not allow it.
    #[error("{0}")]
    Invalid(Failure),
    /// It names an entry, alert, item or source that does not exist.
    #[error("{0}")]
    NotFound(Failure),
}

impl Refusal {
    /// A command that cannot be run, without advice.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(Failure::new(message))
    }

    /// Something that does not exist, without advice.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound(Failure::new(message))
    }

    /// Adds what to do instead.
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
    /// What it is called in a refusal.
    name: &'static str,
    value: &'a mut String,
    /// Whether it may have several lines.
    is_block: bool,
}

fn line<'a>(name: &'static str, value: &'a mut String) -> Text<'a> {
    Text { name, value, is_block: false }
}

fn block<'a>(name: &'static str, value: &'a mut String) -> Text<'a> {
    Text { name, value, is_block: true }
}

impl Command {
    /// All text parameters that a person wrote.
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
            Self::Impact { users, region, text, .. } => {
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
            Self::Page { name, text } => texts.extend([line("name", name), line("text", text)]),
            Self::Attach { note, .. } => texts.extend(note.as_mut().map(|n| line("note", n))),
            Self::Link { fingerprints } => texts.extend(fingerprints.iter_mut().map(|f| line("fingerprint", f))),
            Self::Unlink { fingerprint, reason } => {
                texts.push(line("fingerprint", fingerprint));
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
            Self::Undo { .. }
            | Self::SetExit { .. }
            | Self::Check
            | Self::KeepLine { .. }
            | Self::Acknowledge
            | Self::Accept { .. } => {}
        }
        texts
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
            Ok(())
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

/// A text that a person wrote: control characters removed, trimmed, on one line unless it is a block.
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

/// The number of an entry, as an argument.
pub fn seq_arg(text: &str) -> Result<u64, String> {
    parse_seq(text).ok_or_else(|| {
        format!("'{text}' is not an entry number; use a number such as 12, or L3 for an entry that is not synced yet")
    })
}

/// A severity, as an argument. Of two (`SEV2/SEV3`) the higher one is used.
pub fn severity_arg(text: &str) -> Result<Severity, String> {
    let mut worst: Option<Severity> = None;
    for part in text.split('/') {
        let severity = part.parse::<Severity>().map_err(|e| e.to_string())?;
        worst = Some(worst.map_or(severity, |w| w.min(severity)));
    }
    worst.ok_or_else(|| "no severity given; use SEV1 (worst) to SEV5".to_owned())
}
