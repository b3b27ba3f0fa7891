//! Facts: everything that can be recorded about an incident, and the journal entry that stores a fact.

use serde::{Deserialize, Serialize};

use super::action::{ActionChange, ActionKind, ActionScope, ActionState};
use super::answer::Answer;
use super::event::{Audience, EscalationLevel, EventKind, FoundBy, Grade, Remark, ReviewState, Verdict};
use super::evidence::EvidenceRecord;
use super::exit::{ExitCriteria, ExitReading};
use super::finding::{CitedFinding, CitedSuspect, SourceReport};
use super::gate::item_label;
use super::ids::{ActionId, EvidenceId, IncidentId, seq_label};
use super::milestone::Milestone;
use super::mitigation::{CardState, Judgement, Risk};
use super::playbook_run::{BlockResult, StepState};
use super::role::Role;
use super::sending::{Outgoing, SendOutcome};
use super::severity::{Matrix, Severity};
use super::status::Status;
use crate::telemetry::alert::same_alert;
use crate::telemetry::{Alert, AlertSeverity, Labels, Timestamp, Window};

/// The kind of actor behind an entry.
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

    /// An AI model, by name.
    pub fn ai(model: impl Into<String>) -> Self {
        Self { name: model.into(), kind: ActorKind::Ai }
    }
}

/// The kind of a note.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoteKind {
    #[default]
    Observation,
    Decision,
    Lesson,
    /// A lesson: something that went well.
    #[serde(rename = "went-well")]
    WentWell,
    /// A lesson: something that went badly.
    #[serde(rename = "went-badly")]
    WentBadly,
    /// A lesson: where the responders were lucky.
    Lucky,
    /// A condition that made the incident possible or worse.
    Factor,
    /// Something that is not known yet, with who will find out and by when if someone promised it.
    Question,
    Hypothesis,
    /// An action taken to stop or reduce the impact.
    Mitigation,
}

impl NoteKind {
    /// All note kinds.
    pub const ALL: [Self; 10] = [
        Self::Factor,
        Self::Observation,
        Self::Decision,
        Self::Lesson,
        Self::WentWell,
        Self::WentBadly,
        Self::Lucky,
        Self::Question,
        Self::Hypothesis,
        Self::Mitigation,
    ];

    /// The kinds of lessons.
    pub const LESSONS: [Self; 4] = [Self::WentWell, Self::WentBadly, Self::Lucky, Self::Lesson];

    /// The word for this kind as typed on the command line and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::Decision => "decision",
            Self::Lesson => "lesson",
            Self::WentWell => "went-well",
            Self::WentBadly => "went-badly",
            Self::Lucky => "lucky",
            Self::Question => "question",
            Self::Factor => "factor",
            Self::Hypothesis => "hypothesis",
            Self::Mitigation => "mitigation",
        }
    }

    /// The label in front of a note's text: `Decision`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Observation => "Observation",
            Self::Decision => "Decision",
            Self::Lesson => "Lesson",
            Self::WentWell => "Went well",
            Self::WentBadly => "Went badly",
            Self::Lucky => "Lucky",
            Self::Question => "Open question",
            Self::Factor => "Contributing factor",
            Self::Hypothesis => "Hypothesis",
            Self::Mitigation => "Mitigation",
        }
    }
}

impl std::str::FromStr for NoteKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|k| k.word() == text.trim().to_ascii_lowercase()).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|k| k.word()).collect();
            format!("'{text}' is not a note kind; use one of {}", crate::telemetry::words::list(&words))
        })
    }
}

/// An alert as it was when it was linked to the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedAlert {
    pub fingerprint: String,
    /// Empty if no source reported the alert.
    pub name: String,
    pub severity: AlertSeverity,
    pub starts_at: Option<Timestamp>,
    pub pending_since: Option<Timestamp>,
    pub labels: Labels,
    pub annotations: Labels,
    pub source: String,
    /// `false` if the alert was linked by its fingerprint alone, because no source reported it at that time.
    pub verified: bool,
    /// The fingerprints under which other sources list it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The other sources that list it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
}

impl LinkedAlert {
    /// Builds a verified link from an alert that a source reports.
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
            aliases: alert.aliases.clone(),
            also_in: alert.also_in.clone(),
        }
    }

    /// Builds an unverified link from a fingerprint alone.
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
            aliases: Vec::new(),
            also_in: Vec::new(),
        }
    }

    /// All fingerprints of the alert, its own first.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.fingerprint.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// The sources that listed it.
    pub fn listed_in(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.source.as_str()).chain(self.also_in.iter().map(String::as_str))
    }

    /// Whether an alert is this one: it has a fingerprint in common or, if this one is known, its name and labels.
    pub fn is(&self, alert: &Alert) -> bool {
        let has_fingerprint = alert.fingerprints().any(|f| self.fingerprints().any(|own| own == f));
        has_fingerprint || self.verified && self.name == alert.name && same_alert(&self.labels, &alert.labels).is_some()
    }

    /// Whether another link is to the same alert, perhaps under the fingerprint of another source.
    pub fn is_same(&self, other: &Self) -> bool {
        let has_fingerprint = other.fingerprints().any(|f| self.fingerprints().any(|own| own == f));
        let are_known = self.verified && other.verified && self.name == other.name;
        has_fingerprint || are_known && same_alert(&self.labels, &other.labels).is_some()
    }

    /// The alert's name and service, `HighErrorRate (checkout)`, or `alert FINGERPRINT` if the name is unknown.
    pub fn label(&self) -> String {
        match (self.name.is_empty(), crate::telemetry::subject::service_of(&self.labels)) {
            (true, _) => format!("alert {}", self.fingerprint),
            (false, Some(service)) => format!("{} ({service})", self.name),
            (false, None) => self.name.clone(),
        }
    }
}

/// Everything that can be recorded about an incident.
///
/// Stored as JSON with the `kind` beside the fields. Variants only ever gain optional fields, so that old journals stay
/// readable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    IncidentDeclared {
        title: String,
        severity: Severity,
        status: Status,
        severity_given: bool,
        /// Why this severity was chosen, if the declarer gave a reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The severity matrix in force, unless it is the built-in one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matrix: Option<Matrix>,
    },
    AlertLinked {
        alert: LinkedAlert,
    },
    AlertUnlinked {
        /// The alert's name; empty in entries written by older versions.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
        fingerprint: String,
        reason: Option<String>,
    },
    /// A linked alert is firing again.
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
        level: EscalationLevel,
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
        /// Checklist items that were open and were overridden.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        open: Vec<String>,
        /// Why the status changed, if a reason was given; for example why the incident was a false alarm.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Reopened {
        reason: String,
    },
    /// This incident was merged into another one.
    Merged {
        into: IncidentId,
        reason: Option<String>,
    },
    /// An incident that was merged into this one is separate again.
    Released {
        from: IncidentId,
    },
    /// Another incident was merged into this one.
    Absorbed {
        from: IncidentId,
        title: String,
        /// Its impact as it was described there; `None` if it was not, and in entries of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impact: Option<String>,
        /// Fingerprints of the alerts that came with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        alerts: Vec<String>,
    },
    /// A new description of the impact. Fields that are `None` stay unchanged.
    ImpactChanged {
        services: Option<Vec<String>>,
        users: Option<String>,
        region: Option<String>,
        text: Option<String>,
        /// Whether data was lost or corrupted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<String>,
    },
    /// A milestone time set by hand. `exception` explains why the time may be out of order.
    TimeSet {
        milestone: Milestone,
        to: Timestamp,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exception: Option<String>,
    },
    /// A checklist item ticked or unticked by hand.
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
        /// The criteria that were evaluated; if `None`, the criteria in force at the time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        criteria: Option<ExitCriteria>,
    },
    UpdatePublished {
        audience: Audience,
        text: String,
        next_due: Option<Timestamp>,
    },
    /// Something is about to be sent. Recorded before it is, so that an interrupted sending is known.
    SendStarted {
        outgoing: Outgoing,
    },
    SendEnded {
        key: String,
        channel: String,
        outcome: SendOutcome,
        /// What the server said, or what went wrong.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
        /// How the other system identifies the message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// An event that a person recorded: a change, a silence, a query.
    Event {
        event: EventKind,
        text: String,
    },
    HypothesisJudged {
        seq: u64,
        verdict: Verdict,
        reason: String,
    },
    /// An objection to a decision, or its outcome.
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
        /// Most likely first; empty in entries written by older versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        suspects: Vec<CitedSuspect>,
        /// The end of the period in which the data counted as normal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        onset: Option<Timestamp>,
        /// Everything that was gathered, cited or not; empty in entries written by older versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gathered: Vec<EvidenceId>,
        /// Whether the baseline already includes the incident, so that nothing in it counts as normal.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bad_baseline: bool,
    },
    AiRun {
        answer: Answer,
    },
    DraftAccepted {
        seq: u64,
    },
    /// What an answer proposes was accepted or refuted. What was accepted takes effect in the entry before.
    ProposalDecided {
        /// The entry of the answer.
        seq: u64,
        /// What is proposed: `hypothesis`, `mitigation`.
        what: String,
        text: String,
        /// The model that proposed it.
        model: String,
        is_accepted: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
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
        /// The merged incident that this item came from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part_of: Option<IncidentId>,
    },
    ActionChanged {
        id: ActionId,
        /// The previous state, so that a list can count open items without folding all entries.
        from: ActionState,
        change: ActionChange,
    },
    ActionDone {
        id: ActionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// A mitigation card.
    MitigationProposed {
        text: String,
        risk: Risk,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verify: Option<ExitCriteria>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exception: Option<String>,
        /// What proposed it, if not a person: a step of a playbook, or the assistant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<String>,
        /// The entry that proposed the card being edited; `None` for a new card.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    /// A card was started, done or dropped.
    MitigationChanged {
        /// The entry that proposed it.
        seq: u64,
        text: String,
        state: CardState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved_by: Option<String>,
        /// The result, or why it was dropped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// What must hold after a mitigation was read again.
    MitigationJudged {
        seq: u64,
        text: String,
        judgement: Judgement,
    },
    /// A playbook was begun, or its steps have changed since.
    PlaybookStarted {
        playbook: String,
        title: String,
        /// The titles of its steps.
        steps: Vec<String>,
    },
    /// A step that runs something was begun. Recorded before it runs, so that an interrupted one is known.
    StepStarted {
        playbook: String,
        step: u32,
        title: String,
        /// What runs.
        command: String,
    },
    StepEnded {
        playbook: String,
        /// Counted from 1.
        step: u32,
        title: String,
        state: StepState,
        /// Why it was skipped, or what went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        blocks: Vec<BlockResult>,
    },
    /// The review of the post-mortem has reached another state.
    ReviewChanged {
        state: ReviewState,
        /// Who reviewed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reviewer: Option<String>,
    },
    /// Reverts the effect of an earlier entry, which stays in the journal. Undoing this entry in turn redoes the earlier one.
    Undone {
        seq: u64,
        /// What the entry said; of a redo what takes effect again, with its number: `entry 7: Severity SEV3 -> SEV2`.
        text: String,
        /// Whether the entry `seq` is itself an undo.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_redo: bool,
    },
    /// Replaces the text of an earlier entry. The original text stays in the journal.
    Corrected {
        seq: u64,
        text: String,
        reason: String,
    },
}

impl Fact {
    /// Builds a new action item with only a text, a kind and a scope.
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

    /// The other incident that this fact refers to, if any.
    pub fn related_incident(&self) -> Option<IncidentId> {
        match self {
            Self::Merged { into, .. } => Some(*into),
            Self::Absorbed { from, .. } | Self::Released { from } => Some(*from),
            Self::ActionAdded { part_of, .. } => *part_of,
            _ => None,
        }
    }

    /// The event type, as used in timelines of incident tools: `incident_declared`, `alert_linked`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::IncidentDeclared { .. } => "incident_declared",
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
            Self::SendStarted { .. } => "send_started",
            Self::SendEnded { .. } => "send_ended",
            Self::Event { event, .. } => event.word(),
            Self::HypothesisJudged { verdict: Verdict::Supported, .. } => "hypothesis_supported",
            Self::HypothesisJudged { verdict: Verdict::Refuted, .. } => "hypothesis_refuted",
            Self::DecisionRemarked { .. } => "decision",
            Self::DiagnosisGraded { .. } => "diagnosis_graded",
            Self::ReviewChanged { .. } => "review_changed",
            Self::RoleRenounced { .. } => "role_renounced",
            Self::Undone { .. } => "undone",
            Self::SeverityChanged { from, to, .. } if from == to => "field_updated",
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
            Self::ProposalDecided { is_accepted: true, .. } => "proposal_accepted",
            Self::ProposalDecided { .. } => "proposal_refuted",
            Self::ActionAdded { scope: ActionScope::Incident, .. } => "action_started",
            Self::ActionAdded { .. } => "todo",
            Self::ActionChanged { change, .. } if change.state.is_some_and(|s| !s.is_open()) => "action_finished",
            Self::ActionChanged { change, .. } if change.owner.is_some() => "assigned",
            Self::ActionChanged { .. } => "field_updated",
            Self::ActionDone { .. } => "action_finished",
            Self::MitigationProposed { .. } => "mitigation",
            Self::MitigationChanged { state: CardState::Started, .. } => "action_started",
            Self::MitigationChanged { .. } => "action_finished",
            Self::MitigationJudged { .. } => "query_run",
            Self::PlaybookStarted { .. } | Self::StepStarted { .. } => "action_started",
            Self::StepEnded { .. } => "action_finished",
            Self::Corrected { .. } => "corrected",
        }
    }

    /// The digest of the stored body that this fact refers to: evidence, or the messages sent to a model.
    pub fn body_digest(&self) -> Option<&str> {
        match self {
            Self::EvidenceAttached { evidence } => Some(&evidence.digest),
            Self::AiRun { answer } => answer.sent.as_deref(),
            _ => None,
        }
    }

    /// One line for the timeline that says what happened. It contains neither the time nor the actor.
    #[expect(clippy::too_many_lines, reason = "one arm per fact")]
    pub fn sentence(&self) -> String {
        match self {
            Self::IncidentDeclared { title, severity, severity_given, reason, .. } => format!(
                "Declared {severity}{}: {title}{}",
                if *severity_given { "" } else { " (default severity)" },
                reason.as_deref().map(|r| format!(" (reason for severity: {r})")).unwrap_or_default()
            ),
            Self::AlertLinked { alert } => {
                format!("Linked {}{}", alert.label(), if alert.verified { "" } else { " (unverified: no source reported it)" })
            }
            Self::AlertUnlinked { fingerprint, name, reason } => {
                let what = if name.is_empty() { format!("alert {fingerprint}") } else { name.clone() };
                format!("Unlinked {what}{}", reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())
            }
            Self::AlertFired { fingerprint, name } => {
                format!("Alert {} is firing again", if name.is_empty() { fingerprint } else { name })
            }
            Self::AlertResolved { fingerprint, name } => {
                format!("Alert {} resolved", if name.is_empty() { fingerprint } else { name })
            }
            Self::Acknowledged => "Acknowledged".to_owned(),
            Self::Unacknowledged { reason } => format!("Acknowledgement withdrawn: {reason}"),
            Self::Escalated { level, to, reason } => {
                format!("Escalated to {level}{}: {reason}", to.as_deref().map(|t| format!(" ({t})")).unwrap_or_default())
            }
            Self::Merged { into, reason } => {
                format!("Merged into {into}{}", reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())
            }
            Self::Released { from } => format!("{from} is no longer part of this incident"),
            Self::Absorbed { from, title, .. } => format!("{from} merged into this incident: {title}"),
            Self::ImpactChanged { services, users, region, text, data } => {
                let mut parts = Vec::new();
                parts.extend(text.clone());
                parts.extend(services.as_ref().map(|s| format!("services: {}", s.join(", "))));
                parts.extend(users.as_ref().map(|u| format!("users: {u}")));
                parts.extend(region.as_ref().map(|r| format!("region: {r}")));
                parts.extend(data.as_ref().map(|d| format!("data loss: {d}")));
                format!("Impact: {}", parts.join("; "))
            }
            Self::TimeSet { milestone, to, reason, exception } => format!(
                "Milestone \"{milestone}\" set to {} UTC: {reason}{}",
                to.date_clock(),
                exception.as_deref().map(|e| format!(" (reason for the order: {e})")).unwrap_or_default()
            ),
            Self::GateTicked { item, met, text } => {
                format!("Checklist item \"{}\" {}: {text}", item_label(item), if *met { "met" } else { "not met" })
            }
            Self::ExitCriteriaSet { criteria } => format!("Exit criteria set: {}", criteria.describe()),
            Self::ExitRead { reading, .. } => {
                format!("Exit criteria {}: {}", if reading.met { "met" } else { "not met" }, reading.why)
            }
            Self::SendStarted { outgoing } => {
                let why = outgoing.override_reason.as_deref().map(|why| {
                    format!(" (sent with {}: {why})", crate::telemetry::words::count(outgoing.hits.len(), "open point"))
                });
                format!(
                    "Sending {} for {} readers through {}: {}{}",
                    outgoing.letter.word(),
                    outgoing.audience.title(),
                    outgoing.channel,
                    outgoing.subject,
                    why.unwrap_or_default()
                )
            }
            Self::SendEnded { channel, outcome, detail, .. } => {
                let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
                match outcome {
                    SendOutcome::Sent => format!("Sent through {channel}{detail}"),
                    SendOutcome::Failed => format!("Could not be sent through {channel}{detail}"),
                    SendOutcome::Refused => format!("Refused by {channel}{detail}"),
                    SendOutcome::Unknown => format!("May have been sent through {channel}; the outcome is unknown{detail}"),
                }
            }
            Self::UpdatePublished { audience, text, next_due } => format!(
                "Update ({}): {text}{}",
                audience.title(),
                // A text that names the minute itself needs no second time.
                next_due
                    .map(|at| at.clock(time::UtcOffset::UTC))
                    .filter(|clock| clock.get(..5).is_none_or(|minute| !text.contains(minute)))
                    .map(|clock| format!(" (next update by {clock} UTC)"))
                    .unwrap_or_default()
            ),
            Self::Event { event, text } => format!("{}: {text}", event.title()),
            Self::HypothesisJudged { seq, verdict, reason } => {
                format!("Hypothesis in entry {} {}: {reason}", seq_label(*seq), verdict.word())
            }
            Self::DecisionRemarked { seq, remark: Remark::Objection, by, text } => {
                format!("{by} objected to the decision in entry {}: {text}", seq_label(*seq))
            }
            Self::DecisionRemarked { seq, remark: Remark::Outcome, text, .. } => {
                format!("Outcome of the decision in entry {}: {text}", seq_label(*seq))
            }
            Self::DiagnosisGraded { grade, found_by, text } => format!(
                "Diagnosis graded \"{}\", found by {}{}",
                grade.title(),
                found_by.title(),
                text.as_deref().map(|t| format!("; {t}")).unwrap_or_default()
            ),
            Self::SeverityChanged { from, to, reason } if from == to => format!("Reason for {to}: {reason}"),
            Self::SeverityChanged { from, to, reason } => format!("Severity changed from {from} to {to}: {reason}"),
            Self::StatusChanged { from, to, override_reason, open, reason } => format!(
                "Status changed from {from} to {to}{}{}",
                reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default(),
                match (override_reason, open.is_empty()) {
                    (None, _) => String::new(),
                    (Some(why), true) => format!(" (override reason: {why})"),
                    (Some(why), false) => format!(
                        " ({} overridden: {}; reason: {why})",
                        crate::telemetry::words::count(open.len(), "open checklist item"),
                        open.iter().map(|item| item_label(item)).collect::<Vec<_>>().join("; ")
                    ),
                }
            ),
            Self::Reopened { reason } => format!("Reopened: {reason}"),
            Self::RoleAssigned { role, holder, from: None } => format!("{} role assigned to {holder}", role.title()),
            Self::RoleAssigned { role, holder, from: Some(from) } => {
                format!("{} role handed over from {from} to {holder}", role.title())
            }
            Self::RoleRenounced { role, holder } => format!("{} role given up by {holder}", role.title()),
            Self::Note { text, note_kind: NoteKind::Observation } => text.clone(),
            Self::Note { text, note_kind } => format!("{}: {text}", note_kind.title()),
            Self::EvidenceAttached { evidence } => {
                format!("Added evidence {} ({}): {}", evidence.id, evidence.kind.word(), evidence.summary)
            }
            Self::Investigated { findings, window, .. } => match findings.first() {
                Some(first) => {
                    // The conclusion sums the findings up, and is not one more.
                    let listed = findings.iter().filter(|f| f.kind != super::FindingKind::Conclusion).count();
                    let found = crate::telemetry::words::count(listed, "finding");
                    format!("Investigated {}: {found}; top finding: {}", window.label(), first.title)
                }
                None => format!("Investigated {}: no findings", window.label()),
            },
            Self::AiRun { answer } => format!(
                "{}{}; {}",
                match &answer.question {
                    Some(question) => format!("Asked “{}”", crate::telemetry::clean::truncate(question, 80)),
                    None => format!("Ran prompt \"{}\"", answer.prompt),
                },
                match (answer.source, answer.partial) {
                    (super::AnswerSource::Rules, _) => " (rule-based report)",
                    (super::AnswerSource::Llm, true) => " (partial answer)",
                    (super::AnswerSource::Llm, false) => "",
                },
                answer.claim_summary()
            ),
            Self::ProposalDecided { what, text, model, is_accepted, reason, .. } => {
                let reason = reason.as_deref().map(|r| format!(" (reason: {r})")).unwrap_or_default();
                let verb = if *is_accepted { "Accepted" } else { "Refuted" };
                format!("{verb} the {what} proposed by {model}: {text}{reason}")
            }
            Self::DraftAccepted { seq } => format!("Accepted the draft in entry {}", seq_label(*seq)),
            Self::ActionAdded { id, text, owner, scope: ActionScope::Incident, check_back_at, .. } => format!(
                "Task {id} ({}): {text}{}",
                owner.as_deref().unwrap_or("not assigned"),
                check_back_at.map(|at| format!(" (report due at {} UTC)", at.clock(time::UtcOffset::UTC))).unwrap_or_default()
            ),
            Self::ActionAdded { id, text, action_kind, owner, .. } => format!(
                "Action item {id} ({}): {text}{}",
                action_kind.word(),
                owner.as_deref().map(|o| format!(" (owner: {o})")).unwrap_or_default()
            ),
            Self::ActionChanged { id, change, .. } => format!("Updated {id}: {}", change.describe()),
            Self::ActionDone { id, result } => {
                format!("Completed {id}{}", result.as_deref().map(|r| format!(": {r}")).unwrap_or_default())
            }
            Self::MitigationProposed { text, risk, undo, verify, exception, origin, seq } => {
                let undo = undo.as_deref().map(|u| format!("; undo: {u}")).unwrap_or_default();
                let verify = verify.as_ref().map(|v| format!("; verify: {}", v.describe())).unwrap_or_default();
                let exception = exception.as_deref().map(|e| format!("; exception: {e}")).unwrap_or_default();
                let origin = origin.as_deref().map(|o| format!("; from {o}")).unwrap_or_default();
                let what = if seq.is_some() { "changed" } else { "proposed" };
                format!("Mitigation {what}: {text} ({} risk{undo}{verify}{exception}{origin})", risk.word())
            }
            Self::MitigationChanged { text, state, approved_by, result, .. } => {
                let approved = approved_by.as_deref().map(|by| format!(" (approved by {by})")).unwrap_or_default();
                let result = result.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
                format!("Mitigation {}: {text}{approved}{result}", state.word())
            }
            Self::MitigationJudged { text, judgement, .. } => {
                format!("Mitigation {}: {text}: {}", judgement.verdict, judgement.why)
            }
            Self::PlaybookStarted { playbook, title, steps } => {
                format!("Playbook {playbook} started: {title} ({} steps)", steps.len())
            }
            Self::StepStarted { playbook, step, title, command } => {
                let first = command.lines().next().unwrap_or_default();
                format!("Playbook {playbook}, step {step} ({title}) runs: {first}")
            }
            Self::StepEnded { playbook, step, title, state, reason, blocks } => {
                let results: Vec<&str> = blocks.iter().map(|b| b.summary.as_str()).filter(|s| !s.is_empty()).collect();
                let why = reason.iter().map(String::as_str).chain(results).collect::<Vec<_>>().join("; ");
                let why = if why.is_empty() { why } else { format!(": {why}") };
                format!("Playbook {playbook}, step {step} ({title}) {}{why}", state.word())
            }
            Self::ReviewChanged { state, reviewer } => {
                let by = reviewer.as_deref().map(|who| format!(", reviewed by {who}")).unwrap_or_default();
                format!("Post-mortem: {}{by}", state.title())
            }
            Self::Undone { text, is_redo: true, .. } => format!("Redid {text}"),
            Self::Undone { seq, text, is_redo: false } => format!("Undid entry {}: {text}", seq_label(*seq)),
            Self::Corrected { seq, text, reason } => format!("Corrected entry {} ({reason}): {text}", seq_label(*seq)),
        }
    }

    /// The evidence that this fact cites, for the tags in the timeline.
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
            Self::ProposalDecided { text, reason, .. } => cited_ids(&format!("{text} {}", reason.as_deref().unwrap_or_default())),
            Self::ExitRead { reading, .. } => reading.evidence.into_iter().collect(),
            Self::StepEnded { blocks, .. } => blocks.iter().filter_map(|b| b.evidence).collect(),
            Self::MitigationJudged { judgement, .. } => judgement.evidence.into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether this is a minor entry, shown in the full timeline but left out of summaries.
    pub fn is_detail(&self) -> bool {
        match self {
            Self::EvidenceAttached { .. }
            | Self::DraftAccepted { .. }
            | Self::ProposalDecided { is_accepted: true, .. }
            | Self::Undone { .. } => true,
            // The update itself follows.
            Self::SendStarted { outgoing } => outgoing.override_reason.is_none(),
            Self::SendEnded { outcome, .. } => *outcome == SendOutcome::Sent,
            _ => false,
        }
    }

    /// Whether this fact is free text that can be corrected with new text. The text of any other fact is generated.
    pub fn can_be_corrected(&self) -> bool {
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

    /// Whether `undo` without an entry number may pick this fact. Data from sources and models does not count, and neither does
    /// another undo.
    pub fn is_user_change(&self) -> bool {
        let is_from_source = matches!(self, Self::EvidenceAttached { evidence } if evidence.kind != super::EvidenceKind::Note);
        !is_from_source
            && !matches!(
                self,
                Self::Investigated { .. }
                    | Self::AiRun { .. }
                    | Self::ProposalDecided { is_accepted: true, .. }
                    | Self::AlertFired { .. }
                    | Self::AlertResolved { .. }
                    | Self::ExitRead { .. }
                    | Self::SendStarted { .. }
                    | Self::SendEnded { .. }
                    | Self::Undone { .. }
            )
    }

    /// Whether this fact can be undone. Anything written by the program or a model, anything already sent, and anything that
    /// others refer to by number cannot.
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
            | Self::SendStarted { .. }
            | Self::SendEnded { .. }
            | Self::Escalated { .. }
            | Self::Merged { .. }
            | Self::Released { .. }
            | Self::PlaybookStarted { .. }
            | Self::StepStarted { .. }
            | Self::MitigationJudged { .. }
            | Self::Absorbed { .. } => false,
            // What was run stays run; what was only ticked or skipped can wait again.
            Self::StepEnded { blocks, .. } => blocks.is_empty(),
            Self::AlertLinked { .. }
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
            | Self::ReviewChanged { .. }
            | Self::RoleAssigned { .. }
            | Self::RoleRenounced { .. }
            | Self::Note { .. }
            | Self::MitigationProposed { .. }
            | Self::MitigationChanged { .. }
            | Self::DraftAccepted { .. }
            | Self::ProposalDecided { .. }
            | Self::ActionAdded { .. }
            | Self::ActionChanged { .. }
            | Self::ActionDone { .. }
            | Self::Undone { .. }
            | Self::Corrected { .. } => true,
        }
    }
}

/// A TODO found in a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Todo {
    pub owner: Option<String>,
    pub text: String,
}

/// Finds the TODOs in a note.
///
/// Each starts with the word `TODO` in capitals and ends at the next `TODO` or the end of the line. `TODO(bob): …` and
/// `TODO @bob …` name an owner. A `TODO` without text is skipped.
pub fn todos_in(text: &str) -> Vec<Todo> {
    let mut found = Vec::new();
    for line in text.lines() {
        let starts: Vec<usize> = line.match_indices("TODO").map(|(at, _)| at).filter(|at| is_todo(line, *at)).collect();
        for (n, at) in starts.iter().enumerate() {
            let end = starts.get(n + 1).copied().unwrap_or(line.len());
            let rest = line.get(at + 4..end).unwrap_or("");
            let (owner, task) = split_owner(rest);
            let task = task.trim_start_matches([':', ' ', '\u{2013}', '-']).trim_end_matches([' ', ',', ';']);
            if !task.is_empty() {
                found.push(Todo { owner, text: task.to_owned() });
            }
        }
    }
    found
}

/// Whether the `TODO` at byte `at` is a whole word followed by a separator.
fn is_todo(line: &str, at: usize) -> bool {
    let (before, rest) = (line.get(..at).unwrap_or(""), line.get(at + 4..).unwrap_or(""));
    !before.ends_with(char::is_alphanumeric) && rest.starts_with([':', ' ', '\u{2013}', '-', '('])
}

/// Splits `(bob): …` or ` @bob …` into the owner's name and the rest.
fn split_owner(rest: &str) -> (Option<String>, &str) {
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

/// The evidence ids cited in square brackets in a text, `[E3]` or `[E3, E4]`, without duplicates.
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

/// A fact in the journal.
///
/// `hash` chains the entries of an incident: it is the SHA-256 of the stored text, which contains the hash of the previous
/// entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub incident: IncidentId,
    /// Numbered from 1 without gaps.
    pub seq: u64,
    /// When it happened. A person may backdate it.
    pub at: Timestamp,
    /// When the entry was written.
    pub recorded_at: Timestamp,
    pub actor: Actor,
    pub fact: Fact,
    pub hash: String,
}

impl Entry {
    /// Whether the entry is backdated: it happened more than a minute before it was written.
    pub fn is_backdated(&self) -> bool {
        self.recorded_at.secs_since(self.at) > 60.0
    }

    /// Tags for the entry's evidence, such as ` [E3] [E4]`: at most four, without those already in `text`.
    pub fn evidence_tags(&self, text: &str) -> String {
        let tags = self.fact.evidence().into_iter().map(|e| format!("[{e}]"));
        tags.filter(|t| !text.contains(t.as_str())).take(4).map(|t| format!(" {t}")).collect()
    }

    /// Whether the entry is not yet in the shared store and only has a local number.
    pub fn is_unsynced(&self) -> bool {
        self.seq >= super::ids::LOCAL_SEQ
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_citations_in_notes() {
        assert_eq!(cited_ids("pool is full [E3], see [E4, E3] and [x] [E"), [EvidenceId(3), EvidenceId(4)]);
    }

    #[test]
    fn finds_todos_in_capitals_with_their_owners() {
        let todos = |text: &str| todos_in(text).into_iter().map(|t| (t.owner.unwrap_or_default(), t.text)).collect::<Vec<_>>();
        let unassigned = |text: &str| (String::new(), text.to_owned());
        assert_eq!(
            todos("TODO: page the DBA\nfine\nwe need this: TODO add an alert"),
            [unassigned("page the DBA"), unassigned("add an alert")]
        );
        assert_eq!(
            todos("x TODO(bob): check the disk; TODO @cleo write it down"),
            [("bob".to_owned(), "check the disk".to_owned()), ("cleo".to_owned(), "write it down".to_owned())]
        );
        assert!(todos_in("todo later, TODOS, MYTODO x, TODO").is_empty());
    }

    #[test]
    fn serializes_facts_with_their_kind() {
        let fact = Fact::Note { text: "x".into(), note_kind: NoteKind::Decision };
        let text = serde_json::to_string(&fact).unwrap();
        assert_eq!(text, r#"{"kind":"note","text":"x","note_kind":"decision"}"#);
        assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), fact);
        assert_eq!(fact.kind(), "decision");
    }
}
