//! Facts: everything that can happen to an incident, and the entry that a fact becomes in the journal.

use serde::{Deserialize, Serialize};

use super::action::ActionKind;
use super::answer::Answer;
use super::evidence::EvidenceRecord;
use super::finding::{CitedFinding, SourceReport};
use super::ids::{ActionId, EvidenceId, IncidentId};
use super::role::Role;
use super::severity::Severity;
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
}

impl NoteKind {
    /// The word as typed, stored and printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::Decision => "decision",
            Self::Lesson => "lesson",
            Self::Hypothesis => "hypothesis",
        }
    }
}

impl std::str::FromStr for NoteKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Observation, Self::Decision, Self::Lesson, Self::Hypothesis]
            .into_iter()
            .find(|k| k.word() == text.trim().to_ascii_lowercase())
            .ok_or_else(|| format!("'{text}' is not a kind of note: give observation, decision, lesson or hypothesis"))
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
    },
    TitleChanged {
        title: String,
    },
    AlertLinked {
        alert: LinkedAlert,
    },
    AlertUnlinked {
        fingerprint: String,
        reason: Option<String>,
    },
    AlertResolved {
        fingerprint: String,
        name: String,
    },
    Acknowledged,
    SeverityChanged {
        from: Severity,
        to: Severity,
        reason: String,
    },
    StatusChanged {
        from: Status,
        to: Status,
        override_reason: Option<String>,
    },
    Reopened {
        reason: String,
    },
    RoleAssigned {
        role: Role,
        holder: String,
        from: Option<String>,
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
    },
    ActionDone {
        id: ActionId,
    },
    /// An older entry's text was wrong; the original stays in the journal.
    Corrected {
        seq: u64,
        text: String,
        reason: String,
    },
}

impl Fact {
    /// The event type, in the field's words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::IncidentDeclared { .. } => "incident_declared",
            Self::TitleChanged { .. } => "field_updated",
            Self::AlertLinked { .. } => "alert_linked",
            Self::AlertUnlinked { .. } => "alert_unlinked",
            Self::AlertResolved { .. } => "alert_resolved",
            Self::Acknowledged => "acknowledged",
            Self::SeverityChanged { .. } => "severity_changed",
            Self::StatusChanged { to: Status::Resolved, .. } => "resolved",
            Self::StatusChanged { .. } => "status_changed",
            Self::Reopened { .. } => "reopened",
            Self::RoleAssigned { from: None, .. } => "role_assigned",
            Self::RoleAssigned { .. } => "role_handed_off",
            Self::Note { note_kind: NoteKind::Decision, .. } => "decision",
            Self::Note { note_kind: NoteKind::Hypothesis, .. } => "hypothesis",
            Self::Note { .. } => "note",
            Self::EvidenceAttached { .. } => "evidence_attached",
            Self::Investigated { .. } => "finding",
            Self::AiRun { .. } => "ai_run",
            Self::DraftAccepted { .. } => "draft_accepted",
            Self::ActionAdded { .. } => "todo",
            Self::ActionDone { .. } => "action_finished",
            Self::Corrected { .. } => "corrected",
        }
    }

    /// What happened, in one sentence for the timeline. No judgement, no time, no actor.
    pub fn sentence(&self) -> String {
        match self {
            Self::IncidentDeclared { title, severity, severity_given, .. } => {
                format!("declared {severity}{}: {title}", if *severity_given { "" } else { " (by default)" })
            }
            Self::TitleChanged { title } => format!("title is now: {title}"),
            Self::AlertLinked { alert } => {
                format!("linked {}{}", alert.label(), if alert.verified { "" } else { " (unverified: no source knew it)" })
            }
            Self::AlertUnlinked { fingerprint, reason } => {
                format!("unlinked alert {fingerprint}{}", reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())
            }
            Self::AlertResolved { fingerprint, name } => {
                format!("alert {} resolved", if name.is_empty() { fingerprint } else { name })
            }
            Self::Acknowledged => "acknowledged".to_owned(),
            Self::SeverityChanged { from, to, reason } => format!("severity {from} → {to}: {reason}"),
            Self::StatusChanged { from, to, override_reason } => format!(
                "status {from} → {to}{}",
                override_reason.as_deref().map(|r| format!(" (open items overridden: {r})")).unwrap_or_default()
            ),
            Self::Reopened { reason } => format!("reopened: {reason}"),
            Self::RoleAssigned { role, holder, from: None } => format!("{holder} is {role}"),
            Self::RoleAssigned { role, holder, from: Some(from) } => format!("{role} handed over from {from} to {holder}"),
            Self::Note { text, note_kind: NoteKind::Observation } => text.clone(),
            Self::Note { text, note_kind } => format!("{}: {text}", note_kind.word()),
            Self::EvidenceAttached { evidence } => format!("{} {}: {}", evidence.id, evidence.kind.word(), evidence.summary),
            Self::Investigated { findings, window, .. } => match findings.first() {
                Some(first) => format!("investigated {}: {} findings, first: {}", window.label(), findings.len(), first.title),
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
            Self::DraftAccepted { seq } => format!("accepted the draft of entry {seq}"),
            Self::ActionAdded { id, text, action_kind, owner, .. } => format!(
                "{id} to {}: {text}{}",
                action_kind.word(),
                owner.as_deref().map(|o| format!(" ({o})")).unwrap_or_default()
            ),
            Self::ActionDone { id } => format!("{id} is done"),
            Self::Corrected { seq, text, .. } => format!("entry {seq} corrected: {text}"),
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
            Self::Note { text, .. } => cited_ids(text),
            _ => Vec::new(),
        }
    }

    /// Whether it is too small for the story: shown in the full timeline, left out of the overview.
    pub fn is_detail(&self) -> bool {
        matches!(self, Self::EvidenceAttached { .. } | Self::DraftAccepted { .. })
    }
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

/// A fact in the journal. `hash` chains the entries of one incident: SHA-256 over the stored text, which holds `prev`.
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
    /// The hash of the entry before; empty for the first.
    pub prev: String,
    pub hash: String,
}

impl Entry {
    /// Whether a person dated it back (more than a minute before it was written).
    pub fn is_backdated(&self) -> bool {
        self.recorded_at.secs_since(self.at) > 60.0
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
    fn facts_carry_their_kind_in_the_stored_text() {
        let fact = Fact::Note { text: "x".into(), note_kind: NoteKind::Decision };
        let text = serde_json::to_string(&fact).unwrap();
        assert_eq!(text, r#"{"kind":"note","text":"x","note_kind":"decision"}"#);
        assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), fact);
        assert_eq!(fact.kind(), "decision");
    }
}
