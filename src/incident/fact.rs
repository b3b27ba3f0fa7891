//! Facts: everything that can happen to an incident, and the entry that a fact becomes in the journal.

use serde::{Deserialize, Serialize};

use super::action::{ActionChange, ActionKind, ActionScope, ActionState};
use super::answer::Answer;
use super::event::{Audience, EventKind, FoundBy, Grade, Level, Remark, Verdict};
use super::evidence::EvidenceRecord;
use super::exit::{ExitCriteria, ExitReading};
use super::finding::{CitedFinding, CitedSuspect, SourceReport};
use super::ids::{ActionId, EvidenceId, IncidentId, seq_label};
use super::milestone::Milestone;
use super::role::Role;
use super::severity::{Matrix, Severity};
use super::status::Status;
use crate::telemetry::{Alert, AlertSeverity, Labels, Timestamp, Window};

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    Human,
    Ai,
    System,
}

/// A named actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub name: String,
    pub kind: ActorKind,
}

impl Actor {
    /// A person.
    pub fn human(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: ActorKind::Human }
    }

    /// The program itself.
    pub fn system() -> Self {
        Self { name: "warroom".to_owned(), kind: ActorKind::System }
    }

    /// A model, by its name.
    pub fn ai(model: impl Into<String>) -> Self {
        Self { name: model.into(), kind: ActorKind::Ai }
    }
}

/// What kind of note it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoteKind {
    #[default]
    Observation,
    Decision,
    Lesson,
    Hypothesis,
    /// Something was done to stop the harm.
    Mitigation,
}

impl NoteKind {
    /// All five.
    pub const ALL: [Self; 5] = [Self::Observation, Self::Decision, Self::Lesson, Self::Hypothesis, Self::Mitigation];

    /// The word as typed, stored and printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::Decision => "decision",
            Self::Lesson => "lesson",
            Self::Hypothesis => "hypothesis",
            Self::Mitigation => "mitigation",
        }
    }
}

impl std::str::FromStr for NoteKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|k| k.word() == text.trim().to_ascii_lowercase()).ok_or_else(|| {
            format!("'{text}' is not a kind of note: give observation, decision, lesson, hypothesis or mitigation")
        })
    }
}

/// An alert as it was when it was linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedAlert {
    pub fingerprint: String,
    /// Empty for an alert that no source knew.
    pub name: String,
    pub severity: AlertSeverity,
    pub starts_at: Option<Timestamp>,
    pub pending_since: Option<Timestamp>,
    pub labels: Labels,
    pub annotations: Labels,
    pub source: String,
    /// `false`: linked by its fingerprint alone, no source knew it at that moment.
    pub verified: bool,
}

impl LinkedAlert {
    /// As a source tells it.
    pub fn from_alert(alert: &Alert) -> Self {
        Self {
            fingerprint: alert.fingerprint.clone(),
            name: alert.name.clone(),
            severity: alert.severity,
            starts_at: alert.starts_at,
            pending_since: alert.pending_since,
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            source: alert.source.clone(),
            verified: true,
        }
    }

    /// Known by its fingerprint only.
    pub fn unverified(fingerprint: impl Into<String>) -> Self {
        Self {
            fingerprint: fingerprint.into(),
            name: String::new(),
            severity: AlertSeverity::Unknown,
            starts_at: None,
            pending_since: None,
            labels: Labels::new(),
            annotations: Labels::new(),
            source: String::new(),
            verified: false,
        }
    }

    /// `HighErrorRate (checkout)`, or the fingerprint.
    pub fn label(&self) -> String {
        match (self.name.is_empty(), crate::telemetry::series::service_of(&self.labels)) {
            (true, _) => format!("alert {}", self.fingerprint),
            (false, Some(service)) => format!("{} ({service})", self.name),
            (false, None) => self.name.clone(),
        }
    }
}

/// Everything that can happen. Stored as JSON with the `kind` beside the fields; a variant is only ever extended with
/// optional fields, so that an old journal stays readable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    IncidentDeclared {
        title: String,
        severity: Severity,
        status: Status,
        severity_given: bool,
        /// Why this severity, where somebody said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The severity matrix in force, where it is not the built-in one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matrix: Option<Matrix>,
    },
    TitleChanged {
        title: String,
    },
    AlertLinked {
        alert: LinkedAlert,
    },
    AlertUnlinked {
        /// Its name; empty in entries of older versions.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
        fingerprint: String,
        reason: Option<String>,
    },
    /// A linked alert fires again.
    AlertFired {
        fingerprint: String,
        name: String,
    },
    AlertResolved {
        fingerprint: String,
        name: String,
    },
    Acknowledged,
    Unacknowledged {
        reason: String,
    },
    Escalated {
        level: Level,
        to: Option<String>,
        reason: String,
    },
    SeverityChanged {
        from: Severity,
        to: Severity,
        reason: String,
    },
    StatusChanged {
        from: Status,
        to: Status,
        override_reason: Option<String>,
        /// Gate items that were open and were overridden.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        open: Vec<String>,
        /// Why, where somebody said so: a false alarm is told apart from an oversight.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Reopened {
        reason: String,
    },
    /// It is part of another incident.
    Merged {
        into: IncidentId,
        reason: Option<String>,
    },
    /// An incident that was a part of this one is one of its own again.
    Released {
        from: IncidentId,
    },
    /// Another incident became a part of this one.
    Absorbed {
        from: IncidentId,
        title: String,
        /// Fingerprints of the alerts that came with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        alerts: Vec<String>,
    },
    /// What it does to whom; what is `None` stays as it was.
    ImpactChanged {
        services: Option<Vec<String>>,
        users: Option<String>,
        region: Option<String>,
        text: Option<String>,
    },
    /// A moment set by hand. `exception`: why it may lie out of order.
    TimeSet {
        milestone: Milestone,
        to: Timestamp,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exception: Option<String>,
    },
    /// A gate item ticked (or unticked) by hand.
    GateTicked {
        item: String,
        met: bool,
        text: String,
    },
    ExitCriteriaSet {
        criteria: ExitCriteria,
    },
    ExitRead {
        reading: ExitReading,
        /// What was read; without it, the criteria in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        criteria: Option<ExitCriteria>,
    },
    UpdatePublished {
        audience: Audience,
        text: String,
        next_due: Option<Timestamp>,
    },
    /// Something that a person puts on record: a change, a silence, a query.
    Event {
        event: EventKind,
        text: String,
    },
    HypothesisJudged {
        seq: u64,
        verdict: Verdict,
        reason: String,
    },
    /// An objection to a decision, or what came of it.
    DecisionRemarked {
        seq: u64,
        remark: Remark,
        by: String,
        text: String,
    },
    DiagnosisGraded {
        grade: Grade,
        found_by: FoundBy,
        text: Option<String>,
    },
    RoleAssigned {
        role: Role,
        holder: String,
        from: Option<String>,
    },
    RoleRenounced {
        role: Role,
        holder: String,
    },
    Note {
        text: String,
        note_kind: NoteKind,
    },
    EvidenceAttached {
        evidence: EvidenceRecord,
    },
    Investigated {
        window: Window,
        findings: Vec<CitedFinding>,
        sources: Vec<SourceReport>,
        /// The likeliest first. Entries of before there were any have none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        suspects: Vec<CitedSuspect>,
        /// Until when the data count as normal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        onset: Option<Timestamp>,
    },
    AiRun {
        answer: Answer,
    },
    DraftAccepted {
        seq: u64,
    },
    ActionAdded {
        id: ActionId,
        text: String,
        action_kind: ActionKind,
        owner: Option<String>,
        due: Option<String>,
        priority: Option<String>,
        #[serde(default)]
        scope: ActionScope,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        check_back_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ticket: Option<String>,
        /// The incident that it came from when that became a part of this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part_of: Option<IncidentId>,
    },
    ActionChanged {
        id: ActionId,
        /// The state before, so that a list can count without a fold.
        from: ActionState,
        change: ActionChange,
    },
    ActionDone {
        id: ActionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// An entry is taken back: what it changed is as it was. The entry stays in the journal; to undo the undoing is to redo.
    Undone {
        seq: u64,
        text: String,
    },
    /// An older entry's text was wrong; the original stays in the journal.
    Corrected {
        seq: u64,
        text: String,
        reason: String,
    },
}

impl Fact {
    /// A new action item with nothing but its text, kind and scope.
    pub fn action(text: impl Into<String>, action_kind: ActionKind, scope: ActionScope) -> Self {
        Self::ActionAdded {
            id: ActionId::UNNUMBERED,
            text: text.into(),
            action_kind,
            owner: None,
            due: None,
            priority: None,
            scope,
            check_back_at: None,
            ticket: None,
            part_of: None,
        }
    }

    /// The other incidents that it speaks of.
    pub fn others(&self) -> Option<IncidentId> {
        match self {
            Self::Merged { into, .. } => Some(*into),
            Self::Absorbed { from, .. } | Self::Released { from } => Some(*from),
            Self::ActionAdded { part_of, .. } => *part_of,
            _ => None,
        }
    }

    /// The event type, in the field's words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::IncidentDeclared { .. } => "incident_declared",
            Self::TitleChanged { .. } => "field_updated",
            Self::AlertLinked { .. } => "alert_linked",
            Self::AlertUnlinked { .. } => "alert_unlinked",
            Self::AlertFired { .. } => "alert_fired",
            Self::AlertResolved { .. } => "alert_resolved",
            Self::Acknowledged => "acknowledged",
            Self::Unacknowledged { .. } => "unacknowledged",
            Self::Escalated { .. } => "escalated",
            Self::Merged { .. } => "merged",
            Self::Absorbed { .. } => "merged",
            Self::Released { .. } => "released",
            Self::ImpactChanged { .. } | Self::TimeSet { .. } => "field_updated",
            Self::GateTicked { .. } => "gate_ticked",
            Self::ExitCriteriaSet { .. } => "exit_criteria_set",
            Self::ExitRead { .. } => "query_run",
            Self::UpdatePublished { .. } => "update_published",
            Self::Event { event, .. } => event.word(),
            Self::HypothesisJudged { verdict: Verdict::Supported, .. } => "hypothesis_supported",
            Self::HypothesisJudged { verdict: Verdict::Refuted, .. } => "hypothesis_refuted",
            Self::DecisionRemarked { .. } => "decision",
            Self::DiagnosisGraded { .. } => "diagnosis_graded",
            Self::RoleRenounced { .. } => "role_renounced",
            Self::Undone { .. } => "undone",
            Self::SeverityChanged { .. } => "severity_changed",
            Self::StatusChanged { to: Status::Resolved, .. } => "resolved",
            Self::StatusChanged { .. } => "status_changed",
            Self::Reopened { .. } => "reopened",
            Self::RoleAssigned { from: None, .. } => "role_assigned",
            Self::RoleAssigned { .. } => "role_handed_off",
            Self::Note { note_kind: NoteKind::Decision, .. } => "decision",
            Self::Note { note_kind: NoteKind::Hypothesis, .. } => "hypothesis",
            Self::Note { note_kind: NoteKind::Mitigation, .. } => "mitigation",
            Self::Note { .. } => "note",
            Self::EvidenceAttached { .. } => "evidence_attached",
            Self::Investigated { .. } => "finding",
            Self::AiRun { .. } => "ai_run",
            Self::DraftAccepted { .. } => "draft_accepted",
            Self::ActionAdded { scope: ActionScope::Incident, .. } => "action_started",
            Self::ActionAdded { .. } => "todo",
            Self::ActionChanged { change, .. } if change.state.is_some_and(|s| !s.is_open()) => "action_finished",
            Self::ActionChanged { change, .. } if change.owner.is_some() => "assigned",
            Self::ActionChanged { .. } => "field_updated",
            Self::ActionDone { .. } => "action_finished",
            Self::Corrected { .. } => "corrected",
        }
    }

    /// The digest of the body that it names, if it names one: evidence, or what was sent to a model.
    pub fn body(&self) -> Option<&str> {
        match self {
            Self::EvidenceAttached { evidence } => Some(&evidence.digest),
            Self::AiRun { answer } => answer.sent.as_deref(),
            _ => None,
        }
    }

    /// What happened, in one sentence for the timeline. No judgement, no time, no actor.
    pub fn sentence(&self) -> String {
        match self {
            Self::IncidentDeclared { title, severity, severity_given, reason, .. } => format!(
                "declared {severity}{}: {title}{}",
                if *severity_given { "" } else { " (by default)" },
                reason.as_deref().map(|r| format!(" (severity because {r})")).unwrap_or_default()
            ),
            Self::TitleChanged { title } => format!("title is now: {title}"),
            Self::AlertLinked { alert } => {
                format!("linked {}{}", alert.label(), if alert.verified { "" } else { " (unverified: no source knew it)" })
            }
            Self::AlertUnlinked { fingerprint, name, reason } => {
                let what = if name.is_empty() { format!("alert {fingerprint}") } else { name.clone() };
                format!("unlinked {what}{}", reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())
            }
            Self::AlertFired { fingerprint, name } => {
                format!("alert {} fires again", if name.is_empty() { fingerprint } else { name })
            }
            Self::AlertResolved { fingerprint, name } => {
                format!("alert {} resolved", if name.is_empty() { fingerprint } else { name })
            }
            Self::Acknowledged => "acknowledged".to_owned(),
            Self::Unacknowledged { reason } => format!("acknowledgement taken back: {reason}"),
            Self::Escalated { level, to, reason } => {
                format!("escalated to {level}{}: {reason}", to.as_deref().map(|t| format!(" ({t})")).unwrap_or_default())
            }
            Self::Merged { into, reason } => {
                format!("merged into {into}{}", reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())
            }
            Self::Released { from } => format!("{from} is no part of this any more"),
            Self::Absorbed { from, title, .. } => format!("{from} is a part of this: {title}"),
            Self::ImpactChanged { services, users, region, text } => {
                let mut parts = Vec::new();
                parts.extend(text.clone());
                parts.extend(services.as_ref().map(|s| format!("services {}", s.join(", "))));
                parts.extend(users.as_ref().map(|u| format!("users {u}")));
                parts.extend(region.as_ref().map(|r| format!("region {r}")));
                format!("impact: {}", parts.join("; "))
            }
            Self::TimeSet { milestone, to, reason, exception } => format!(
                "{milestone} set to {} UTC: {reason}{}",
                to.date_clock(),
                exception.as_deref().map(|e| format!(" (out of order because {e})")).unwrap_or_default()
            ),
            Self::GateTicked { item, met, text } => {
                format!("gate item {item} {}: {text}", if *met { "met" } else { "not met" })
            }
            Self::ExitCriteriaSet { criteria } => format!("it is over when {}", criteria.words()),
            Self::ExitRead { reading, .. } => {
                format!("exit criteria {}: {}", if reading.met { "met" } else { "not met" }, reading.why)
            }
            Self::UpdatePublished { audience, text, next_due } => format!(
                "{} update: {text}{}",
                audience.word(),
                next_due.map(|at| format!(" (next by {} UTC)", at.clock(time::UtcOffset::UTC))).unwrap_or_default()
            ),
            Self::Event { event, text } => format!("{}: {text}", event.title()),
            Self::HypothesisJudged { seq, verdict, reason } => {
                format!("hypothesis of entry {} {}: {reason}", seq_label(*seq), verdict.word())
            }
            Self::DecisionRemarked { seq, remark: Remark::Objection, by, text } => {
                format!("{by} objects to the decision of entry {}: {text}", seq_label(*seq))
            }
            Self::DecisionRemarked { seq, remark: Remark::Outcome, text, .. } => {
                format!("outcome of the decision of entry {}: {text}", seq_label(*seq))
            }
            Self::DiagnosisGraded { grade, found_by, text } => format!(
                "diagnosis graded: {}, reached by {}{}",
                grade.title(),
                found_by.title(),
                text.as_deref().map(|t| format!("; {t}")).unwrap_or_default()
            ),
            Self::SeverityChanged { from, to, reason } => format!("severity {from} → {to}: {reason}"),
            Self::StatusChanged { from, to, override_reason, open, reason } => format!(
                "status {from} → {to}{}{}",
                reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default(),
                match (override_reason, open.is_empty()) {
                    (None, _) => String::new(),
                    (Some(why), true) => format!(" ({why})"),
                    (Some(why), false) => format!(
                        " ({} overridden, {why}: {})",
                        crate::telemetry::words::count(open.len(), "open item"),
                        open.join(", ")
                    ),
                }
            ),
            Self::Reopened { reason } => format!("reopened: {reason}"),
            Self::RoleAssigned { role, holder, from: None } => format!("{holder} is {role}"),
            Self::RoleAssigned { role, holder, from: Some(from) } => format!("{role} handed over from {from} to {holder}"),
            Self::RoleRenounced { role, holder } => format!("{holder} is no longer {role}"),
            Self::Note { text, note_kind: NoteKind::Observation } => text.clone(),
            Self::Note { text, note_kind } => format!("{}: {text}", note_kind.word()),
            Self::EvidenceAttached { evidence } => format!("{} {}: {}", evidence.id, evidence.kind.word(), evidence.summary),
            Self::Investigated { findings, window, .. } => match findings.first() {
                Some(first) => {
                    let found = crate::telemetry::words::count(findings.len(), "finding");
                    format!("investigated {}: {found}, first: {}", window.label(), first.title)
                }
                None => format!("investigated {}: no findings", window.label()),
            },
            Self::AiRun { answer } => format!(
                "asked {}{}: {}",
                answer.prompt,
                match (answer.source, answer.partial) {
                    (super::AnswerSource::Rules, _) => " (rule-based report)",
                    (super::AnswerSource::Llm, true) => " (partial answer)",
                    (super::AnswerSource::Llm, false) => "",
                },
                answer.verdict()
            ),
            Self::DraftAccepted { seq } => format!("accepted the draft of entry {}", seq_label(*seq)),
            Self::ActionAdded { id, text, owner, scope: ActionScope::Incident, check_back_at, .. } => format!(
                "{id} for {}: {text}{}",
                owner.as_deref().unwrap_or("whoever is free"),
                check_back_at.map(|at| format!(" (reports back at {} UTC)", at.clock(time::UtcOffset::UTC))).unwrap_or_default()
            ),
            Self::ActionAdded { id, text, action_kind, owner, .. } => format!(
                "{id} to {}: {text}{}",
                action_kind.word(),
                owner.as_deref().map(|o| format!(" ({o})")).unwrap_or_default()
            ),
            Self::ActionChanged { id, change, .. } => format!("{id}: {}", change.words()),
            Self::ActionDone { id, result } => {
                format!("{id} is done{}", result.as_deref().map(|r| format!(": {r}")).unwrap_or_default())
            }
            Self::Undone { seq, text } => format!("entry {} undone: {text}", seq_label(*seq)),
            Self::Corrected { seq, text, reason } => format!("entry {} corrected ({reason}): {text}", seq_label(*seq)),
        }
    }

    /// The evidence that a fact speaks of, for the timeline's tags.
    pub fn evidence(&self) -> Vec<EvidenceId> {
        match self {
            Self::EvidenceAttached { evidence } => vec![evidence.id],
            Self::Investigated { findings, .. } => {
                let mut ids: Vec<EvidenceId> = findings.iter().flat_map(|f| f.evidence.iter().copied()).collect();
                ids.sort_unstable();
                ids.dedup();
                ids
            }
            Self::AiRun { answer } => {
                let mut ids: Vec<EvidenceId> =
                    answer.citations.iter().filter(|c| c.ok).filter_map(|c| c.id.parse().ok()).collect();
                ids.sort_unstable();
                ids.dedup();
                ids
            }
            Self::Note { text, .. } | Self::UpdatePublished { text, .. } | Self::Event { text, .. } => cited_ids(text),
            Self::HypothesisJudged { reason, .. } => cited_ids(reason),
            Self::ExitRead { reading, .. } => reading.evidence.into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is too small for the story: shown in the full timeline, left out of the overview.
    pub fn is_detail(&self) -> bool {
        matches!(self, Self::EvidenceAttached { .. } | Self::DraftAccepted { .. } | Self::Undone { .. })
    }

    /// Whether it is what somebody told in words, which may be corrected in words; of any other entry the words only describe
    /// what it did.
    pub fn is_told(&self) -> bool {
        matches!(
            self,
            Self::Note { .. }
                | Self::Event { .. }
                | Self::UpdatePublished { .. }
                | Self::Escalated { .. }
                | Self::HypothesisJudged { .. }
                | Self::DecisionRemarked { .. }
                | Self::AiRun { .. }
                | Self::Corrected { .. }
        )
    }

    /// Whether a person changed something with it, which an undoing without a number then means: what sources and models
    /// told is none, and an undoing is not undone by another.
    pub fn is_a_change(&self) -> bool {
        let is_gathered = matches!(self, Self::EvidenceAttached { evidence } if evidence.kind != super::EvidenceKind::Note);
        !is_gathered
            && !matches!(
                self,
                Self::Investigated { .. }
                    | Self::AiRun { .. }
                    | Self::AlertFired { .. }
                    | Self::AlertResolved { .. }
                    | Self::ExitRead { .. }
                    | Self::Undone { .. }
            )
    }

    /// Whether it is a local change that can be taken back. What the program or a model wrote, what was sent, and what
    /// others rely on as a number cannot.
    pub fn can_be_undone(&self) -> bool {
        match self {
            Self::IncidentDeclared { .. }
            | Self::EvidenceAttached { .. }
            | Self::Investigated { .. }
            | Self::AiRun { .. }
            | Self::AlertFired { .. }
            | Self::AlertResolved { .. }
            | Self::ExitRead { .. }
            | Self::UpdatePublished { .. }
            | Self::Escalated { .. }
            | Self::Merged { .. }
            | Self::Released { .. }
            | Self::Absorbed { .. } => false,
            Self::TitleChanged { .. }
            | Self::AlertLinked { .. }
            | Self::AlertUnlinked { .. }
            | Self::Acknowledged
            | Self::Unacknowledged { .. }
            | Self::SeverityChanged { .. }
            | Self::StatusChanged { .. }
            | Self::Reopened { .. }
            | Self::ImpactChanged { .. }
            | Self::TimeSet { .. }
            | Self::GateTicked { .. }
            | Self::ExitCriteriaSet { .. }
            | Self::Event { .. }
            | Self::HypothesisJudged { .. }
            | Self::DecisionRemarked { .. }
            | Self::DiagnosisGraded { .. }
            | Self::RoleAssigned { .. }
            | Self::RoleRenounced { .. }
            | Self::Note { .. }
            | Self::DraftAccepted { .. }
            | Self::ActionAdded { .. }
            | Self::ActionChanged { .. }
            | Self::ActionDone { .. }
            | Self::Undone { .. }
            | Self::Corrected { .. } => true,
        }
    }
}

/// What a TODO of a note asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Todo {
    pub owner: Option<String>,
    pub text: String,
}

/// What the TODOs of a note ask for: after each word `TODO` (in capitals) what follows on its line up to the next one.
/// `TODO(bob): …` and `TODO @bob …` name who does it.
pub fn todos_in(text: &str) -> Vec<Todo> {
    let mut found = Vec::new();
    for line in text.lines() {
        let ends: Vec<usize> = line.match_indices("TODO").map(|(at, _)| at).filter(|at| is_todo(line, *at)).collect();
        for (n, at) in ends.iter().enumerate() {
            let end = ends.get(n + 1).copied().unwrap_or(line.len());
            let rest = line.get(at + 4..end).unwrap_or("");
            let (owner, what) = owner_of(rest);
            let what = what.trim_start_matches([':', ' ', '\u{2013}', '-']).trim_end_matches([' ', ',', ';']);
            if !what.is_empty() {
                found.push(Todo { owner, text: what.to_owned() });
            }
        }
    }
    found
}

/// Whether the `TODO` at this place is a word of its own that says something.
fn is_todo(line: &str, at: usize) -> bool {
    let (before, rest) = (line.get(..at).unwrap_or(""), line.get(at + 4..).unwrap_or(""));
    !before.ends_with(char::is_alphanumeric) && rest.starts_with([':', ' ', '\u{2013}', '-', '('])
}

/// `(bob): …` or ` @bob …`: the name, and the rest.
fn owner_of(rest: &str) -> (Option<String>, &str) {
    if let Some((name, rest)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
        let name = name.trim().trim_start_matches('@');
        return ((!name.is_empty()).then(|| name.to_owned()), rest);
    }
    let trimmed = rest.trim_start_matches([':', ' ']);
    if let Some(named) = trimmed.strip_prefix('@') {
        let end = named.find(|c: char| c.is_whitespace() || c == ':').unwrap_or(named.len());
        let (name, rest) = named.split_at(end);
        return ((!name.is_empty()).then(|| name.to_owned()), rest);
    }
    (None, rest)
}

/// The evidence ids in square brackets within a text: `[E3]`, `[E3, E4]`.
pub fn cited_ids(text: &str) -> Vec<EvidenceId> {
    let mut ids = Vec::new();
    for bracket in text.split('[').skip(1) {
        let Some((inside, _)) = bracket.split_once(']') else { continue };
        for part in inside.split([',', ';', ' ']).filter(|p| !p.is_empty()) {
            if part.starts_with('E')
                && let Ok(id) = part.parse::<EvidenceId>()
                && !ids.contains(&id)
            {
                ids.push(id);
            }
        }
    }
    ids
}

/// A fact in the journal. `hash` chains the entries of one incident: SHA-256 over the stored text, which holds
/// the hash of the entry before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub incident: IncidentId,
    /// From 1, without a gap.
    pub seq: u64,
    /// When it happened; a person may set it back.
    pub at: Timestamp,
    /// When it was written.
    pub recorded_at: Timestamp,
    pub actor: Actor,
    pub fact: Fact,
    pub hash: String,
}

impl Entry {
    /// Whether a person dated it back (more than a minute before it was written).
    pub fn is_backdated(&self) -> bool {
        self.recorded_at.secs_since(self.at) > 60.0
    }

    /// ` [E3] [E4]`: its evidence that `said` does not name yet, four at most.
    pub fn tags(&self, said: &str) -> String {
        let tags = self.fact.evidence().into_iter().map(|e| format!("[{e}]"));
        tags.filter(|t| !said.contains(t.as_str())).take(4).map(|t| format!(" {t}")).collect()
    }

    /// Whether it waits for the shared store and has no number yet.
    pub fn is_unsynced(&self) -> bool {
        self.seq >= super::ids::LOCAL_SEQ
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_in_notes_are_found() {
        assert_eq!(cited_ids("pool is full [E3], see [E4, E3] and [x] [E"), [EvidenceId(3), EvidenceId(4)]);
    }

    #[test]
    fn todos_are_words_in_capitals() {
        let said = |text: &str| todos_in(text).into_iter().map(|t| (t.owner.unwrap_or_default(), t.text)).collect::<Vec<_>>();
        let nobody = |text: &str| (String::new(), text.to_owned());
        assert_eq!(
            said("TODO: page the DBA\nfine\nwe need this: TODO add an alert"),
            [nobody("page the DBA"), nobody("add an alert")]
        );
        assert_eq!(
            said("x TODO(bob): check the disk; TODO @cleo write it down"),
            [("bob".to_owned(), "check the disk".to_owned()), ("cleo".to_owned(), "write it down".to_owned())]
        );
        assert!(todos_in("todo later, TODOS, MYTODO x, TODO").is_empty());
    }

    #[test]
    fn facts_carry_their_kind_in_the_stored_text() {
        let fact = Fact::Note { text: "x".into(), note_kind: NoteKind::Decision };
        let text = serde_json::to_string(&fact).unwrap();
        assert_eq!(text, r#"{"kind":"note","text":"x","note_kind":"decision"}"#);
        assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), fact);
        assert_eq!(fact.kind(), "decision");
    }
}
