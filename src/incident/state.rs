//! The fold: from an incident's entries to what is true of it now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::action::{ActionItem, ActionState};
use super::answer::Answer;
use super::evidence::EvidenceRecord;
use super::fact::{Entry, Fact, LinkedAlert, NoteKind};
use super::finding::{CitedFinding, SourceReport};
use super::ids::{ActionId, EvidenceId, IncidentId};
use super::role::Role;
use super::severity::Severity;
use super::status::Status;
use super::summary::Summary;
use crate::telemetry::{Timestamp, Window};

/// How long before the first sign the window of an investigation begins.
pub const WINDOW_LEAD_SECS: u64 = 600;

/// The findings of the last investigation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Investigation {
    pub seq: u64,
    pub at: Timestamp,
    pub window: Window,
    pub findings: Vec<CitedFinding>,
    pub sources: Vec<SourceReport>,
}

/// An answer in the journal, and whether a person accepted it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedAnswer {
    pub seq: u64,
    pub at: Timestamp,
    pub answer: Answer,
    pub accepted_by: Option<String>,
}

/// A stretch of time at one severity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeveritySpan {
    pub severity: Severity,
    pub from: Timestamp,
    pub reason: Option<String>,
    pub by: String,
}

/// Times between the milestones, in seconds; `None` while one of the two is unknown. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    pub detect_secs: Option<f64>,
    pub acknowledge_secs: Option<f64>,
    pub mitigate_secs: Option<f64>,
    pub resolve_secs: Option<f64>,
}

/// What is true of an incident now, as its entries add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub head: Summary,
    pub entries: Vec<Entry>,
    pub alerts: Vec<LinkedAlert>,
    pub roles: BTreeMap<Role, String>,
    pub severities: Vec<SeveritySpan>,
    pub acknowledged_at: Option<Timestamp>,
    pub identified_at: Option<Timestamp>,
    pub mitigated_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub evidence: Vec<EvidenceRecord>,
    pub actions: Vec<ActionItem>,
    pub investigation: Option<Investigation>,
    pub answers: Vec<RecordedAnswer>,
    /// Corrected texts by the entry they correct.
    pub corrections: BTreeMap<u64, String>,
}

impl Incident {
    /// Folds entries in their order. `None` when there is none or the first does not declare an incident. Facts that make
    /// no sense where they stand (an action that does not exist) change nothing; nothing panics.
    pub fn fold(entries: impl IntoIterator<Item = Entry>) -> Option<Self> {
        let mut entries = entries.into_iter();
        let first = entries.next()?;
        let head = Summary::first(&first)?;
        let mut incident = Self {
            severities: vec![SeveritySpan {
                severity: head.severity,
                from: first.at,
                reason: None,
                by: first.actor.name.clone(),
            }],
            head,
            entries: vec![first],
            alerts: Vec::new(),
            roles: BTreeMap::new(),
            acknowledged_at: None,
            identified_at: None,
            mitigated_at: None,
            resolved_at: None,
            closed_at: None,
            evidence: Vec::new(),
            actions: Vec::new(),
            investigation: None,
            answers: Vec::new(),
            corrections: BTreeMap::new(),
        };
        for entry in entries {
            incident.apply(entry);
        }
        Some(incident)
    }

    /// Takes the next entry in.
    pub fn apply(&mut self, entry: Entry) {
        self.head.apply(&entry);
        match &entry.fact {
            Fact::AlertLinked { alert } => {
                self.alerts.retain(|a| a.fingerprint != alert.fingerprint);
                self.alerts.push(alert.clone());
            }
            Fact::AlertUnlinked { fingerprint, .. } => self.alerts.retain(|a| a.fingerprint != *fingerprint),
            Fact::Acknowledged => {
                self.acknowledged_at.get_or_insert(entry.at);
            }
            Fact::SeverityChanged { to, reason, .. } => self.severities.push(SeveritySpan {
                severity: *to,
                from: entry.at,
                reason: Some(reason.clone()),
                by: entry.actor.name.clone(),
            }),
            Fact::StatusChanged { to, .. } => self.reach(*to, entry.at),
            Fact::Reopened { .. } => {
                self.mitigated_at = None;
                self.resolved_at = None;
                self.closed_at = None;
            }
            Fact::RoleAssigned { role, holder, .. } => {
                self.roles.insert(*role, holder.clone());
            }
            Fact::EvidenceAttached { evidence } => self.evidence.push(evidence.clone()),
            Fact::Investigated { window, findings, sources } => {
                self.investigation = Some(Investigation {
                    seq: entry.seq,
                    at: entry.at,
                    window: *window,
                    findings: findings.clone(),
                    sources: sources.clone(),
                });
            }
            Fact::AiRun { answer } => {
                self.answers.push(RecordedAnswer { seq: entry.seq, at: entry.at, answer: answer.clone(), accepted_by: None })
            }
            Fact::DraftAccepted { seq } => {
                if let Some(answer) = self.answers.iter_mut().find(|a| a.seq == *seq) {
                    answer.accepted_by = Some(entry.actor.name.clone());
                }
            }
            Fact::ActionAdded { id, text, action_kind, owner, due, priority } => self.actions.push(ActionItem {
                id: *id,
                text: text.clone(),
                kind: *action_kind,
                owner: owner.clone(),
                due: due.clone(),
                priority: priority.clone(),
                state: ActionState::Open,
            }),
            Fact::ActionDone { id } => {
                if let Some(item) = self.actions.iter_mut().find(|a| a.id == *id) {
                    item.state = ActionState::Done;
                }
            }
            Fact::Corrected { seq, text, .. } => {
                self.corrections.insert(*seq, text.clone());
            }
            Fact::IncidentDeclared { .. } | Fact::TitleChanged { .. } | Fact::AlertResolved { .. } | Fact::Note { .. } => {}
        }
        self.entries.push(entry);
    }

    /// Notes when a milestone was reached. A status that skips milestones does not invent their times, except that
    /// resolving an incident ends its impact: then it is mitigated too.
    fn reach(&mut self, status: Status, at: Timestamp) {
        match status {
            Status::Identified => {
                self.identified_at.get_or_insert(at);
                self.mitigated_at = None;
                self.resolved_at = None;
            }
            Status::Mitigated | Status::Monitoring => {
                self.mitigated_at.get_or_insert(at);
            }
            Status::Resolved => {
                self.mitigated_at.get_or_insert(at);
                self.resolved_at = Some(at);
            }
            Status::Closed => {
                self.closed_at = Some(at);
            }
            // It is back: what was taken for the end was none.
            Status::Triage | Status::Investigating => {
                self.mitigated_at = None;
                self.resolved_at = None;
            }
            Status::Cancelled | Status::Merged => {}
        }
    }

    /// Its id.
    pub fn id(&self) -> IncidentId {
        self.head.id
    }

    /// The earliest firing start of a linked alert, else when it was declared.
    pub fn detected_at(&self) -> Timestamp {
        self.alerts.iter().filter_map(|a| a.starts_at).min().unwrap_or(self.head.declared_at)
    }

    /// The earliest pending start of a linked alert (its firing start where the backend tells no more), else when it was
    /// declared.
    pub fn impact_started_at(&self) -> Timestamp {
        self.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min().unwrap_or(self.head.declared_at)
    }

    /// Milestones that rest on no evidence and are taken to be the declaration.
    pub fn assumed(&self) -> Vec<&'static str> {
        if self.alerts.iter().any(|a| a.starts_at.is_some()) { Vec::new() } else { vec!["impact_started_at", "detected_at"] }
    }

    /// The durations between the milestones.
    pub fn durations(&self) -> Durations {
        let span = |to: Option<Timestamp>, from: Timestamp| to.map(|to| to.secs_since(from).max(0.0));
        let (detected, impact) = (self.detected_at(), self.impact_started_at());
        Durations {
            detect_secs: span(Some(detected), impact),
            acknowledge_secs: span(self.acknowledged_at, detected),
            mitigate_secs: span(self.mitigated_at, impact),
            resolve_secs: span(self.resolved_at, impact),
        }
    }

    /// The window of everything that is asked about this incident: from ten minutes before the earliest linked alert (else the declaration) to `now` or the mitigation.
    pub fn window(&self, now: Timestamp) -> Window {
        let lead = std::time::Duration::from_secs(WINDOW_LEAD_SECS);
        let from = self.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min().unwrap_or(self.head.declared_at);
        Window::new(from - lead, self.mitigated_at.unwrap_or(now).max(from))
    }

    /// The worst severity it ever had.
    pub fn peak_severity(&self) -> Severity {
        self.severities.iter().map(|s| s.severity).min().unwrap_or(self.head.severity)
    }

    /// Seconds at each severity, up to the resolution or `now`, the worst first; severities it never had are left out.
    pub fn time_in_severity(&self, now: Timestamp) -> Vec<(Severity, f64)> {
        let end = self.resolved_at.unwrap_or(now);
        let mut spent: BTreeMap<Severity, f64> = BTreeMap::new();
        for (index, span) in self.severities.iter().enumerate() {
            let until = self.severities.get(index + 1).map_or(end, |next| next.from);
            *spent.entry(span.severity).or_default() += until.secs_since(span.from).max(0.0);
        }
        spent.into_iter().collect()
    }

    /// An evidence record by its id.
    pub fn evidence(&self, id: EvidenceId) -> Option<&EvidenceRecord> {
        self.evidence.iter().find(|e| e.id == id)
    }

    /// An action item by its id.
    pub fn action(&self, id: ActionId) -> Option<&ActionItem> {
        self.actions.iter().find(|a| a.id == id)
    }

    /// The services that linked alerts speak of, sorted.
    pub fn services(&self) -> Vec<String> {
        let mut services: Vec<String> =
            self.alerts.iter().filter_map(|a| crate::telemetry::series::service_of(&a.labels)).map(str::to_owned).collect();
        services.sort();
        services.dedup();
        services
    }

    /// What an entry says now: its correction where there is one.
    pub fn text_of(&self, entry: &Entry) -> String {
        match self.corrections.get(&entry.seq) {
            Some(text) => format!("{text} (corrected)"),
            None => entry.fact.sentence(),
        }
    }

    /// Notes of one kind, in their order.
    pub fn notes(&self, kind: NoteKind) -> impl Iterator<Item = (&Entry, &str)> {
        self.entries.iter().filter_map(move |e| match &e.fact {
            Fact::Note { text, note_kind } if *note_kind == kind => {
                Some((e, self.corrections.get(&e.seq).unwrap_or(text).as_str()))
            }
            _ => None,
        })
    }

    /// The entries in the order in which things happened; entries of one moment stay in the order they were written.
    pub fn timeline(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|e| (e.at, e.seq));
        entries
    }

    /// The last answer to a prompt.
    pub fn last_answer(&self, prompt: &str) -> Option<&RecordedAnswer> {
        self.answers.iter().rev().find(|a| a.answer.prompt == prompt)
    }

    /// When anything was last written about it: the clock of exports and prompts, which read no other.
    pub fn as_of(&self) -> Timestamp {
        self.head.last_at
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::incident::fact::Actor;

    /// Entries of an incident from facts a minute apart; hashes are left empty.
    pub(crate) fn entries(facts: Vec<Fact>) -> Vec<Entry> {
        facts
            .into_iter()
            .enumerate()
            .map(|(i, fact)| {
                let at = Timestamp::from_secs(1_795_253_400 + 60 * i64::try_from(i).unwrap());
                Entry {
                    incident: IncidentId(1),
                    seq: u64::try_from(i).unwrap() + 1,
                    at,
                    recorded_at: at,
                    actor: Actor::human("ana"),
                    fact,
                    prev: String::new(),
                    hash: String::new(),
                }
            })
            .collect()
    }

    pub(crate) fn declared() -> Fact {
        Fact::IncidentDeclared {
            title: "checkout is failing".into(),
            severity: Severity::Sev3,
            status: Status::Investigating,
            severity_given: true,
        }
    }

    #[test]
    fn a_life_folds_to_milestones_and_durations() {
        let mut alert = LinkedAlert::unverified("f1");
        alert.starts_at = Some(Timestamp::from_secs(1_795_253_400 - 120));
        alert.pending_since = Some(Timestamp::from_secs(1_795_253_400 - 180));
        let incident = Incident::fold(entries(vec![
            declared(),
            Fact::AlertLinked { alert },
            Fact::Acknowledged,
            Fact::SeverityChanged { from: Severity::Sev3, to: Severity::Sev2, reason: "orders fail".into() },
            Fact::StatusChanged { from: Status::Investigating, to: Status::Mitigated, override_reason: None },
            Fact::StatusChanged { from: Status::Mitigated, to: Status::Resolved, override_reason: None },
        ]))
        .unwrap();
        let d = incident.durations();
        assert_eq!(d.detect_secs, Some(60.0));
        assert_eq!(d.acknowledge_secs, Some(240.0));
        assert_eq!(d.mitigate_secs, Some(420.0));
        assert_eq!(d.resolve_secs, Some(480.0));
        assert_eq!(incident.time_in_severity(Timestamp::from_secs(0)), [(Severity::Sev2, 120.0), (Severity::Sev3, 180.0)]);
        assert_eq!(incident.peak_severity(), Severity::Sev2);
        assert!(incident.assumed().is_empty());
        assert_eq!(incident.window(Timestamp::from_secs(0)).start.secs(), 1_795_253_400 - 180 - 600);
    }

    #[test]
    fn reopening_takes_the_resolution_back() {
        let incident = Incident::fold(entries(vec![
            declared(),
            Fact::StatusChanged { from: Status::Investigating, to: Status::Resolved, override_reason: Some("x".into()) },
            Fact::Reopened { reason: "it is back".into() },
        ]))
        .unwrap();
        assert_eq!(incident.head.status, Status::Investigating);
        assert_eq!(incident.durations().resolve_secs, None);
        assert_eq!(incident.assumed(), ["impact_started_at", "detected_at"]);
    }

    #[test]
    fn a_correction_shows_and_keeps_the_original() {
        let incident = Incident::fold(entries(vec![
            declared(),
            Fact::Note { text: "restarted db-1".into(), note_kind: NoteKind::Observation },
            Fact::Corrected { seq: 2, text: "restarted db-2".into(), reason: "wrong host".into() },
        ]))
        .unwrap();
        assert_eq!(incident.text_of(&incident.entries[1]), "restarted db-2 (corrected)");
        assert_eq!(incident.entries[1].fact.sentence(), "restarted db-1");
    }

    #[test]
    fn entries_that_do_not_begin_with_a_declaration_fold_to_nothing() {
        assert!(Incident::fold(Vec::new()).is_none());
        assert!(Incident::fold(entries(vec![Fact::Acknowledged])).is_none());
    }

    #[test]
    fn the_head_is_the_same_by_steps_and_by_fold() {
        let all = entries(vec![
            declared(),
            Fact::RoleAssigned { role: Role::Commander, holder: "ben".into(), from: None },
            Fact::ActionDone { id: ActionId(9) },
            Fact::TitleChanged { title: "new".into() },
        ]);
        let mut head = Summary::first(&all[0]).unwrap();
        all[1..].iter().for_each(|e| head.apply(e));
        assert_eq!(head, Incident::fold(all).unwrap().head);
    }
}
