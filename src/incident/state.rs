//! The current state of an incident, computed by folding over its entries.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::action::{ActionItem, ActionState};
use super::answer::Answer;
use super::event::{Audience, EscalationLevel, FoundBy, Grade, Remark, ReviewState, Verdict};
use super::evidence::EvidenceRecord;
use super::exit::{ExitCriteria, ExitReading};
use super::fact::{ActorKind, Entry, Fact, LinkedAlert, NoteKind, cited_ids};
use super::finding::{CitedFinding, CitedSuspect, FindingKind, SourceReport};
use super::ids::{ActionId, EvidenceId, IncidentId};
use super::milestone::Milestone;
use super::mitigation::{CardState, MitigationCard};
use super::playbook_run::{BlockResult, PlaybookRun, StepState};
use super::proposal::Decided;
use super::role::Role;
use super::sending::Sending;
use super::severity::{Matrix, Severity};
use super::status::Status;
use super::summary::Summary;
use crate::telemetry::{Timestamp, Window};

mod measure;

pub use measure::find_order_faults;

/// How long before the first alert (or the declaration) the window of an investigation starts.
pub const WINDOW_LEAD_SECS: u64 = 600;

/// The results of the latest investigation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Investigation {
    pub seq: u64,
    pub at: Timestamp,
    pub window: Window,
    pub findings: Vec<CitedFinding>,
    pub sources: Vec<SourceReport>,
    /// Most likely first.
    #[serde(default)]
    pub suspects: Vec<CitedSuspect>,
    /// The end of the period in which the data counted as normal; `None` if it was not recorded.
    #[serde(default)]
    pub onset: Option<Timestamp>,
    /// Everything that was gathered; empty if it was not recorded.
    #[serde(default)]
    pub gathered: Vec<EvidenceId>,
    /// Whether the baseline already includes the incident, so that nothing in it counts as normal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bad_baseline: bool,
}

impl Investigation {
    /// The single findings behind the list, in its order, without the conclusion.
    pub fn details(&self) -> impl Iterator<Item = &CitedFinding> {
        self.findings.iter().flat_map(CitedFinding::parts).filter(|f| f.kind != FindingKind::Conclusion)
    }

    /// The conclusion; `None` in entries of older versions.
    pub fn conclusion(&self) -> Option<&CitedFinding> {
        self.findings.iter().find(|f| f.kind == FindingKind::Conclusion)
    }
}

/// An assistant answer in the journal, and who accepted it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedAnswer {
    pub seq: u64,
    pub at: Timestamp,
    pub answer: Answer,
    pub accepted_by: Option<String>,
}

/// A period at one severity. It ends when the next one starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeveritySpan {
    pub severity: Severity,
    pub from: Timestamp,
    pub reason: Option<String>,
    pub by: String,
}

/// Durations between milestones, in seconds. `None` if one of the two milestones is unknown. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    pub detect_secs: Option<f64>,
    pub acknowledge_secs: Option<f64>,
    pub mitigate_secs: Option<f64>,
    pub resolve_secs: Option<f64>,
}

/// A period in which a person held a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleSpan {
    pub role: Role,
    pub holder: String,
    pub from: Timestamp,
    /// `None` if the person still holds the role.
    pub until: Option<Timestamp>,
}

/// Whether a linked alert is firing according to its sources, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertWatch {
    pub is_firing: bool,
    pub since: Timestamp,
}

/// The impact of an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    pub services: Vec<String>,
    pub users: Option<String>,
    pub region: Option<String>,
    pub text: Option<String>,
    /// Whether data was lost or corrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl Impact {
    /// Whether the impact is described: the affected users or a text are given.
    pub fn is_described(&self) -> bool {
        self.users.is_some() || self.text.is_some()
    }

    /// Describes the impact: `checkout fails; users: 17% of orders; region: eu`. Empty if nothing is known.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.text.clone());
        parts.extend(self.users.as_ref().map(|u| format!("users: {u}")));
        parts.extend(self.region.as_ref().map(|r| format!("region: {r}")));
        parts.extend(self.data.as_ref().map(|d| format!("data loss: {d}")));
        if !self.services.is_empty() {
            parts.push(format!("services: {}", self.services.join(", ")));
        }
        parts.join("; ")
    }
}

/// A checklist item ticked or unticked by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    pub met: bool,
    pub text: String,
    pub by: String,
    pub at: Timestamp,
}

/// An evaluation of the exit criteria, as recorded in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedReading {
    pub seq: u64,
    pub at: Timestamp,
    pub reading: ExitReading,
}

/// A hypothesis about the cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    pub seq: u64,
    pub at: Timestamp,
    pub text: String,
    pub by: String,
    pub by_kind: ActorKind,
    /// The model whose answer proposed it; `None` if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<String>,
    /// `None` if the hypothesis has not been judged yet.
    pub verdict: Option<Verdict>,
    /// The reason for the verdict.
    pub reason: Option<String>,
    pub judged_at: Option<Timestamp>,
}

/// The evidence for and against a hypothesis, each sorted by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weighed {
    pub supports: Vec<EvidenceId>,
    pub contradicts: Vec<EvidenceId>,
}

impl Weighed {
    /// Such as `for E3, E5 · against E7`; empty without evidence.
    pub fn line(&self) -> String {
        let part = |word: &str, ids: &[EvidenceId]| {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            (!ids.is_empty()).then(|| format!("{word} {}", ids.join(", ")))
        };
        [part("for", &self.supports), part("against", &self.contradicts)].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}

impl Hypothesis {
    /// The state to display: `proposed`, `supported` or `refuted`.
    pub fn state(&self) -> &'static str {
        self.verdict.map_or("proposed", Verdict::word)
    }

    /// The evidence that it cites for itself and against itself; both may be empty. What is cited behind "against", "contradicts"
    /// or the like contradicts it, and so does the evidence of a verdict that refutes it.
    pub fn weighed(&self) -> Weighed {
        let lower = self.text.to_lowercase();
        let turns = ["against", "contradict", "speaks for another", "but not ", "although", "however", "despite"];
        let turn = turns.iter().filter_map(|word| lower.find(word)).min().unwrap_or(lower.len());
        // Lower case may have another length outside ASCII.
        let (says, objects) = self.text.split_at_checked(turn).unwrap_or((&self.text, ""));
        let mut weighed = Weighed { supports: cited_ids(says), contradicts: cited_ids(objects) };
        let reason = self.reason.as_deref().map(cited_ids).unwrap_or_default();
        match self.verdict {
            Some(Verdict::Refuted) => weighed.contradicts.extend(reason),
            Some(Verdict::Supported) | None => weighed.supports.extend(reason),
        }
        for ids in [&mut weighed.supports, &mut weighed.contradicts] {
            ids.sort_unstable();
            ids.dedup();
        }
        weighed
    }

    /// Who it is from: `ana`, or `ana, from qwen3` if a person accepted it from an answer.
    pub fn origin(&self) -> String {
        match &self.proposed_by {
            Some(model) if *model != self.by => format!("{}, from {model}", self.by),
            _ => self.by.clone(),
        }
    }
}

/// A decision, with objections and outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub seq: u64,
    pub at: Timestamp,
    pub text: String,
    pub by: String,
    /// Who objected, and the objection.
    pub objections: Vec<(String, String)>,
    pub outcome: Option<String>,
}

/// An update that was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    pub seq: u64,
    pub at: Timestamp,
    pub by: String,
    pub audience: Audience,
    pub text: String,
    pub next_due: Option<Timestamp>,
}

/// The grade given to the diagnosis afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiagnosisGrade {
    pub grade: Grade,
    pub found_by: FoundBy,
    pub text: Option<String>,
    pub by: String,
}

/// The review of the post-mortem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    pub state: ReviewState,
    /// When it reached that state; `None` if it was never reviewed.
    pub since: Option<Timestamp>,
    /// Who reviewed it, and when.
    pub reviewers: Vec<(String, Timestamp)>,
}

impl Default for Review {
    fn default() -> Self {
        Self { state: ReviewState::Draft, since: None, reviewers: Vec::new() }
    }
}

/// Two milestones that are out of order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFault {
    pub earlier: Milestone,
    pub later: Milestone,
    /// Describes the fault, with both times.
    #[serde(rename = "words")]
    pub message: String,
    /// The recorded reason for the exception, if any.
    pub exception: Option<String>,
}

/// The current state of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub head: Summary,
    pub entries: Vec<Entry>,
    /// The severity matrix in force at the declaration; `None` for the built-in one.
    pub matrix: Option<Matrix>,
    pub alerts: Vec<LinkedAlert>,
    /// The firing state of linked alerts, by fingerprint. Alerts that no source has reported are missing.
    pub watched: BTreeMap<String, AlertWatch>,
    /// The current holder of each role; for shared roles the most recent holder.
    pub roles: BTreeMap<Role, String>,
    pub role_spans: Vec<RoleSpan>,
    /// Sorted by time.
    pub severities: Vec<SeveritySpan>,
    pub acknowledged_at: Option<Timestamp>,
    pub identified_at: Option<Timestamp>,
    pub mitigated_at: Option<Timestamp>,
    /// No mitigation time was recorded, so `mitigated_at` is the resolution time.
    pub mitigated_assumed: bool,
    /// When the incident last recurred: when it was reopened, or set back to triage or investigating after a mitigation. Earlier
    /// readings, mitigations and ticks do not count for the checklist after that.
    pub recurred_at: Option<Timestamp>,
    /// When monitoring started.
    pub monitoring_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    /// Milestone times set by hand that have no field of their own.
    pub manual_times: BTreeMap<Milestone, Timestamp>,
    /// Reasons why a milestone may be out of order.
    pub exceptions: BTreeMap<Milestone, String>,
    pub impact: Impact,
    /// Checklist items ticked by hand, by item name.
    pub ticks: BTreeMap<String, Tick>,
    pub exit: Option<ExitCriteria>,
    pub readings: Vec<RecordedReading>,
    pub escalation: Option<EscalationLevel>,
    pub updates: Vec<Update>,
    /// What was sent or is being sent, one for each key, in the order in which they first began.
    #[serde(default)]
    pub sendings: Vec<Sending>,
    pub hypotheses: Vec<Hypothesis>,
    pub decisions: Vec<Decision>,
    /// Entry number and time of each recorded mitigation.
    pub mitigations: Vec<(u64, Timestamp)>,
    /// Mitigation cards, in the order in which they were proposed.
    #[serde(default)]
    pub cards: Vec<MitigationCard>,
    /// Playbooks that were begun, in that order.
    #[serde(default)]
    pub playbooks: Vec<PlaybookRun>,
    pub grade: Option<DiagnosisGrade>,
    #[serde(default)]
    pub review: Review,
    /// Incidents merged into this one.
    pub absorbed: Vec<IncidentId>,
    /// The alerts that came with each merged incident, including incidents that have been separated again.
    pub absorbed_alerts: BTreeMap<IncidentId, BTreeSet<String>>,
    pub evidence: Vec<EvidenceRecord>,
    pub actions: Vec<ActionItem>,
    pub investigation: Option<Investigation>,
    /// What investigations before the latest one gathered.
    #[serde(default)]
    pub gathered_before: BTreeSet<EvidenceId>,
    /// Evidence that entries other than those of investigations cite.
    #[serde(default)]
    pub cited: BTreeSet<EvidenceId>,
    pub answers: Vec<RecordedAnswer>,
    /// Corrected texts, by the number of the entry they correct.
    pub corrections: BTreeMap<u64, String>,
    /// What people decided about the proposals of answers, in order.
    pub decided: Vec<Decided>,
    /// Numbers of the entries that were undone.
    pub undone: BTreeSet<u64>,
}

/// Returns the numbers of the entries that are undone. An undo that was itself undone has no effect.
fn undone_entries(entries: &[Entry]) -> BTreeSet<u64> {
    let mut undone = BTreeSet::new();
    for entry in entries.iter().rev() {
        if let Fact::Undone { seq, .. } = entry.fact
            && seq < entry.seq
            && !undone.contains(&entry.seq)
        {
            undone.insert(seq);
        }
    }
    if !undone.is_empty() {
        let locked: Vec<u64> = entries.iter().filter(|e| !e.fact.can_be_undone()).map(|e| e.seq).collect();
        for seq in locked {
            undone.remove(&seq);
        }
    }
    undone
}

impl Incident {
    /// Computes the state from entries in journal order. Returns `None` if there are no entries or the first one does not declare
    /// an incident. Facts that cannot be applied, such as a change to an action item that does not exist, are ignored.
    pub fn fold(entries: impl IntoIterator<Item = Entry>) -> Option<Self> {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let undone = undone_entries(&entries);
        let (first, rest) = entries.split_first()?;
        let head = Summary::from_declaration(first)?;
        let (reason, matrix) = match &first.fact {
            Fact::IncidentDeclared { reason, matrix, .. } => (reason.clone(), matrix.clone()),
            _ => (None, None),
        };
        let (at, by) = (first.at, first.actor.name.clone());
        let mut incident = Self {
            severities: vec![SeveritySpan { severity: head.severity, from: at, reason, by }],
            head,
            entries: Vec::new(),
            matrix,
            alerts: Vec::new(),
            watched: BTreeMap::new(),
            roles: BTreeMap::new(),
            role_spans: Vec::new(),
            acknowledged_at: None,
            identified_at: None,
            mitigated_at: None,
            mitigated_assumed: false,
            recurred_at: None,
            monitoring_at: None,
            resolved_at: None,
            closed_at: None,
            manual_times: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            impact: Impact::default(),
            ticks: BTreeMap::new(),
            exit: None,
            readings: Vec::new(),
            escalation: None,
            updates: Vec::new(),
            sendings: Vec::new(),
            hypotheses: Vec::new(),
            decisions: Vec::new(),
            mitigations: Vec::new(),
            cards: Vec::new(),
            playbooks: Vec::new(),
            grade: None,
            review: Review::default(),
            absorbed: Vec::new(),
            absorbed_alerts: BTreeMap::new(),
            evidence: Vec::new(),
            actions: Vec::new(),
            investigation: None,
            gathered_before: BTreeSet::new(),
            cited: BTreeSet::new(),
            answers: Vec::new(),
            corrections: BTreeMap::new(),
            decided: Vec::new(),
            undone: BTreeSet::new(),
        };
        for entry in rest {
            if undone.contains(&entry.seq) || matches!(entry.fact, Fact::Undone { .. }) {
                incident.head.skip(entry);
            } else {
                incident.head.apply(entry);
                incident.apply_fact(entry);
            }
        }
        incident.entries = entries;
        incident.undone = undone;
        Some(incident)
    }

    /// Applies the next entry. An undo recomputes the state from all entries.
    pub fn apply(&mut self, entry: Entry) {
        if !matches!(entry.fact, Fact::Undone { .. }) {
            self.head.apply(&entry);
            self.apply_fact(&entry);
            self.entries.push(entry);
            return;
        }
        let mut entries = std::mem::take(&mut self.entries);
        entries.push(entry);
        // Cannot fail: the first entry still declares the incident.
        if let Some(folded) = Self::fold(entries) {
            *self = folded;
        }
    }

    /// Changes a step of a playbook. The step is found by its title, because the playbook may have changed, or else by its number.
    fn set_step(
        &mut self,
        entry: &Entry,
        (playbook, number, title): (&str, u32, &str),
        state: StepState,
        reason: Option<&str>,
        blocks: &[BlockResult],
    ) {
        let Some(run) = self.playbooks.iter_mut().find(|p| p.playbook == playbook) else { return };
        let at = (number as usize).saturating_sub(1);
        let is_there = run.steps.get(at).is_some_and(|s| s.title == title);
        let by_title = run.steps.iter().position(|s| s.title == title);
        let at = if is_there { at } else { by_title.unwrap_or(at) };
        let Some(step) = run.steps.get_mut(at) else { return };
        step.state = state;
        (step.by, step.at) = (Some(entry.actor.name.clone()), Some(entry.at));
        step.reason = reason.map(str::to_owned);
        if state != StepState::Started {
            step.blocks = blocks.to_vec();
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm per fact")]
    fn apply_fact(&mut self, entry: &Entry) {
        let (seq, at, by) = (entry.seq, entry.at, &entry.actor.name);
        if !matches!(entry.fact, Fact::EvidenceAttached { .. } | Fact::Investigated { .. }) {
            self.cited.extend(entry.fact.evidence());
        }
        match &entry.fact {
            Fact::AlertLinked { alert } => {
                self.alerts.retain(|a| a.fingerprint != alert.fingerprint);
                if let (true, Some(starts)) = (alert.verified, alert.starts_at) {
                    self.watched.entry(alert.fingerprint.clone()).or_insert(AlertWatch { is_firing: true, since: starts });
                }
                self.alerts.push(alert.clone());
            }
            Fact::AlertUnlinked { fingerprint, .. } => {
                self.alerts.retain(|a| a.fingerprint != *fingerprint);
                self.watched.remove(fingerprint);
            }
            Fact::AlertFired { fingerprint, .. } => {
                self.watched.insert(fingerprint.clone(), AlertWatch { is_firing: true, since: at });
            }
            Fact::AlertResolved { fingerprint, .. } => {
                self.watched.insert(fingerprint.clone(), AlertWatch { is_firing: false, since: at });
            }
            Fact::Acknowledged => {
                self.acknowledged_at.get_or_insert(at);
            }
            Fact::Unacknowledged { .. } => self.acknowledged_at = None,
            Fact::Escalated { level, .. } => self.escalation = Some(*level),
            // A reason for the severity that it has already: no change.
            Fact::SeverityChanged { from, to, reason } if from == to => {
                if let Some(span) = self.severities.iter_mut().rfind(|s| s.from <= at && s.severity == *to) {
                    span.reason.get_or_insert_with(|| reason.clone());
                }
            }
            Fact::SeverityChanged { to, reason, .. } => {
                let span = SeveritySpan { severity: *to, from: at, reason: Some(reason.clone()), by: by.clone() };
                // A backdated change is inserted by its time; changes at the same time keep their order.
                let index = self.severities.partition_point(|s| s.from <= at);
                self.severities.insert(index, span);
            }
            Fact::StatusChanged { to, .. } => self.enter_status(*to, at),
            Fact::Reopened { .. } => self.recur(at),
            Fact::ImpactChanged { services, users, region, text, data } => {
                if let Some(services) = services {
                    self.impact.services.clone_from(services);
                }
                let impact = &mut self.impact;
                for (new, old) in
                    [(users, &mut impact.users), (region, &mut impact.region), (text, &mut impact.text), (data, &mut impact.data)]
                {
                    if new.is_some() {
                        old.clone_from(new);
                    }
                }
            }
            Fact::TimeSet { milestone, to, exception, .. } => {
                self.set_time(*milestone, *to);
                match exception {
                    Some(why) => self.exceptions.insert(*milestone, why.clone()),
                    None => self.exceptions.remove(milestone),
                };
            }
            Fact::GateTicked { item, met, text } => {
                self.ticks.insert(item.clone(), Tick { met: *met, text: text.clone(), by: by.clone(), at });
            }
            Fact::ExitCriteriaSet { criteria } => {
                self.exit = Some(criteria.clone());
                self.readings.clear();
            }
            // A reading counts only for the criteria that it evaluated.
            Fact::ExitRead { reading, criteria } => {
                if criteria.as_ref().is_none_or(|c| self.exit.as_ref() == Some(c)) {
                    self.readings.push(RecordedReading { seq, at, reading: reading.clone() });
                }
            }
            Fact::UpdatePublished { audience, text, next_due } => self.updates.push(Update {
                seq,
                at,
                by: by.clone(),
                audience: *audience,
                text: text.clone(),
                next_due: *next_due,
            }),
            Fact::SendStarted { outgoing } => {
                let begun = Sending {
                    seq,
                    at,
                    by: by.clone(),
                    outgoing: outgoing.clone(),
                    outcome: None,
                    detail: String::new(),
                    reference: None,
                };
                match self.sendings.iter_mut().find(|s| s.outgoing.key == outgoing.key) {
                    Some(known) => *known = Sending { reference: known.reference.take(), ..begun },
                    None => self.sendings.push(begun),
                }
            }
            Fact::SendEnded { key, outcome, detail, reference, .. } => {
                if let Some(sending) = self.sendings.iter_mut().find(|s| s.outgoing.key == *key) {
                    sending.outcome = Some(*outcome);
                    sending.detail.clone_from(detail);
                    sending.reference = reference.clone().or(sending.reference.take());
                }
            }
            Fact::HypothesisJudged { seq, verdict, reason } => {
                if let Some(h) = self.hypotheses.iter_mut().find(|h| h.seq == *seq) {
                    h.verdict = Some(*verdict);
                    h.reason = Some(reason.clone());
                    h.judged_at = Some(at);
                }
            }
            Fact::DecisionRemarked { seq, remark, by, text } => {
                if let Some(d) = self.decisions.iter_mut().find(|d| d.seq == *seq) {
                    match remark {
                        Remark::Objection => d.objections.push((by.clone(), text.clone())),
                        Remark::Outcome => d.outcome = Some(text.clone()),
                    }
                }
            }
            Fact::DiagnosisGraded { grade, found_by, text } => {
                self.grade = Some(DiagnosisGrade { grade: *grade, found_by: *found_by, text: text.clone(), by: by.clone() });
            }
            Fact::ReviewChanged { state, reviewer } => {
                (self.review.state, self.review.since) = (*state, Some(at));
                self.review.reviewers.extend(reviewer.clone().map(|who| (who, at)));
            }
            Fact::RoleAssigned { role, holder, from } => {
                // Older versions recorded a second holder of a shared role as a handover.
                if let Some(from) = from.as_deref().filter(|_| role.is_shared()) {
                    self.end_spans(*role, Some(from), at);
                }
                self.assign(*role, holder, at);
            }
            Fact::RoleRenounced { role, holder } => {
                self.end_spans(*role, Some(holder), at);
                // For a shared role, the most recent remaining holder is shown.
                match self.role_spans.iter().rev().find(|s| s.role == *role && s.until.is_none()) {
                    Some(other) => self.roles.insert(*role, other.holder.clone()),
                    None => self.roles.remove(role),
                };
            }
            Fact::Note { text, note_kind } => match note_kind {
                NoteKind::Hypothesis => self.hypotheses.push(Hypothesis {
                    seq,
                    at,
                    text: text.clone(),
                    by: by.clone(),
                    by_kind: entry.actor.kind,
                    proposed_by: None,
                    verdict: None,
                    reason: None,
                    judged_at: None,
                }),
                NoteKind::Decision => self.decisions.push(Decision {
                    seq,
                    at,
                    text: text.clone(),
                    by: by.clone(),
                    objections: Vec::new(),
                    outcome: None,
                }),
                NoteKind::Mitigation => self.mitigations.push((seq, at)),
                NoteKind::Observation
                | NoteKind::Lesson
                | NoteKind::WentWell
                | NoteKind::WentBadly
                | NoteKind::Lucky
                | NoteKind::Factor
                | NoteKind::Question => {}
            },
            Fact::MitigationProposed { text, risk, undo, verify, exception, origin, seq: edited } => {
                let index = edited.and_then(|card| self.cards.iter().position(|c| c.seq == card));
                let mut card = match (index.and_then(|n| self.cards.get(n)), edited) {
                    (Some(card), _) => card.clone(),
                    (None, None) => MitigationCard::new(seq, by.clone(), at),
                    // The proposal was undone, and its changes with it.
                    (None, Some(_)) => return,
                };
                (card.text, card.risk) = (text.clone(), *risk);
                (card.undo, card.verify, card.exception) = (undo.clone(), verify.clone(), exception.clone());
                card.origin = origin.clone().or(card.origin);
                match index.and_then(|n| self.cards.get_mut(n)) {
                    Some(old) => *old = card,
                    None => self.cards.push(card),
                }
            }
            Fact::MitigationChanged { seq: card, state, approved_by, result, .. } => {
                let Some(card) = self.cards.iter_mut().find(|c| c.seq == *card) else { return };
                card.state = *state;
                card.approved_by = approved_by.clone().or(card.approved_by.take());
                card.result = result.clone().or(card.result.take());
                match state {
                    CardState::Started => card.started_at = Some(at),
                    CardState::Done => {
                        // A verdict from before it was undone and done again is not about this.
                        card.judgement = None;
                        card.done_at = Some(at);
                        self.mitigations.push((seq, at));
                    }
                    CardState::Proposed | CardState::Dropped => {}
                }
            }
            Fact::MitigationJudged { seq: card, judgement, .. } => {
                if let Some(card) = self.cards.iter_mut().find(|c| c.seq == *card) {
                    card.judgement = Some((at, judgement.clone()));
                }
            }
            Fact::PlaybookStarted { playbook, title, steps } => {
                let known = self.playbooks.iter().position(|p| p.playbook == *playbook);
                let at = known.unwrap_or_else(|| {
                    self.playbooks.push(PlaybookRun {
                        playbook: playbook.clone(),
                        title: title.clone(),
                        started_at: at,
                        started_by: by.clone(),
                        steps: Vec::new(),
                    });
                    self.playbooks.len() - 1
                });
                if let Some(run) = self.playbooks.get_mut(at) {
                    run.set_steps(steps);
                }
            }
            Fact::StepStarted { playbook, step, title, .. } => {
                self.set_step(entry, (playbook, *step, title), StepState::Started, None, &[]);
            }
            Fact::StepEnded { playbook, step, title, state, reason, blocks } => {
                self.set_step(entry, (playbook, *step, title), *state, reason.as_deref(), blocks);
            }
            Fact::EvidenceAttached { evidence } => self.evidence.push(evidence.clone()),
            Fact::Investigated { window, findings, sources, suspects, onset, gathered, bad_baseline } => {
                if let Some(before) = &self.investigation {
                    self.gathered_before.extend(before.gathered.iter().copied());
                }
                self.investigation = Some(Investigation {
                    seq,
                    at,
                    window: *window,
                    findings: findings.clone(),
                    sources: sources.clone(),
                    suspects: suspects.clone(),
                    onset: *onset,
                    gathered: gathered.clone(),
                    bad_baseline: *bad_baseline,
                });
            }
            Fact::AiRun { answer } => {
                self.answers.push(RecordedAnswer { seq, at, answer: answer.clone(), accepted_by: None });
            }
            Fact::DraftAccepted { seq } => {
                if let Some(answer) = self.answers.iter_mut().find(|a| a.seq == *seq) {
                    answer.accepted_by = Some(by.clone());
                }
            }
            Fact::ProposalDecided { seq: answer, what, text, model, is_accepted, reason } => {
                let (is_accepted, reason) = (*is_accepted, reason.clone());
                if what == "hypothesis" && !is_accepted {
                    // A theory that was ruled out belongs on the board, so that it is not proposed again.
                    self.hypotheses.push(Hypothesis {
                        seq,
                        at,
                        text: text.clone(),
                        by: model.clone(),
                        by_kind: ActorKind::Ai,
                        proposed_by: Some(model.clone()),
                        verdict: Some(Verdict::Refuted),
                        reason: reason.clone(),
                        judged_at: Some(at),
                    });
                } else if let Some(h) = self.hypotheses.iter_mut().rev().find(|h| what == "hypothesis" && h.text == *text) {
                    h.proposed_by = Some(model.clone());
                }
                let text = text.clone();
                self.decided.push(Decided { entry: seq, seq: *answer, text, is_accepted, reason, by: by.clone(), at });
            }
            Fact::ActionAdded { id, text, action_kind, owner, due, priority, scope, check_back_at, ticket, part_of } => {
                self.actions.push(ActionItem {
                    id: *id,
                    text: text.clone(),
                    kind: *action_kind,
                    owner: owner.clone(),
                    due: due.clone(),
                    priority: priority.clone(),
                    state: ActionState::Open,
                    scope: *scope,
                    ticket: ticket.clone(),
                    check_back_at: *check_back_at,
                    result: None,
                    given_at: at,
                    given_by: by.clone(),
                    part_of: *part_of,
                });
            }
            Fact::ActionChanged { id, change, .. } => {
                if let Some(item) = self.actions.iter_mut().find(|a| a.id == *id) {
                    change.apply(item);
                }
            }
            Fact::ActionDone { id, result } => {
                if let Some(item) = self.actions.iter_mut().find(|a| a.id == *id) {
                    item.state = ActionState::Done;
                    if result.is_some() {
                        item.result.clone_from(result);
                    }
                }
            }
            Fact::Corrected { seq, text, .. } => {
                if let Some(h) = self.hypotheses.iter_mut().find(|h| h.seq == *seq) {
                    h.text.clone_from(text);
                }
                if let Some(d) = self.decisions.iter_mut().find(|d| d.seq == *seq) {
                    d.text.clone_from(text);
                }
                self.corrections.insert(*seq, text.clone());
            }
            Fact::Absorbed { from, alerts, .. } => {
                if !self.absorbed.contains(from) {
                    self.absorbed.push(*from);
                }
                self.absorbed_alerts.entry(*from).or_default().extend(alerts.iter().cloned());
            }
            Fact::Released { from } => self.absorbed.retain(|a| a != from),
            Fact::IncidentDeclared { .. } | Fact::Merged { .. } | Fact::Event { .. } | Fact::Undone { .. } => {}
        }
    }

    fn assign(&mut self, role: Role, holder: &str, at: Timestamp) {
        if !role.is_shared() {
            self.end_spans(role, None, at);
        }
        // A next commander who takes over command is no longer next.
        if role == Role::Commander && self.roles.get(&Role::NextCommander).map(String::as_str) == Some(holder) {
            self.roles.remove(&Role::NextCommander);
            self.end_spans(Role::NextCommander, None, at);
        }
        self.roles.insert(role, holder.to_owned());
        self.role_spans.push(RoleSpan { role, holder: holder.to_owned(), from: at, until: None });
    }

    /// Ends the open spans of a role, either of one holder or of all holders.
    fn end_spans(&mut self, role: Role, holder: Option<&str>, at: Timestamp) {
        let matches = |s: &&mut RoleSpan| s.role == role && s.until.is_none() && holder.is_none_or(|h| s.holder == h);
        for span in self.role_spans.iter_mut().filter(matches) {
            span.until = Some(at.max(span.from));
        }
    }

    fn set_time(&mut self, milestone: Milestone, to: Timestamp) {
        match milestone {
            Milestone::ImpactStarted | Milestone::Detected | Milestone::Declared => {
                self.manual_times.insert(milestone, to);
            }
            Milestone::Acknowledged => self.acknowledged_at = Some(to),
            Milestone::Identified => self.identified_at = Some(to),
            Milestone::Mitigated => {
                self.mitigated_at = Some(to);
                self.mitigated_assumed = false;
            }
            Milestone::Resolved => self.resolved_at = Some(to),
            Milestone::Closed => self.closed_at = Some(to),
        }
    }

    /// Records the milestones that a new status implies. Skipped milestones stay unknown, with one exception: resolving an incident
    /// also ends its impact, so the resolution time becomes the mitigation time if there is none.
    fn enter_status(&mut self, status: Status, at: Timestamp) {
        if status != Status::Monitoring && status.is_open() {
            self.monitoring_at = None;
        }
        match status {
            Status::Identified => {
                // A cause may be found after the mitigation, which then stays in effect.
                self.identified_at.get_or_insert(at);
            }
            Status::Mitigated => {
                self.mitigated_at.get_or_insert(at);
            }
            Status::Monitoring => {
                self.mitigated_at.get_or_insert(at);
                self.monitoring_at.get_or_insert(at);
            }
            Status::Resolved => {
                if self.mitigated_at.is_none() {
                    self.mitigated_at = Some(at);
                    self.mitigated_assumed = true;
                }
                self.resolved_at = Some(at);
            }
            Status::Closed => {
                self.closed_at = Some(at);
            }
            // The incident recurred after a mitigation.
            Status::Triage | Status::Investigating if self.mitigated_at.is_some() => self.recur(at),
            Status::Triage | Status::Investigating | Status::Cancelled | Status::Merged => {}
        }
    }

    /// Starts over after a recurrence: clears the mitigation, resolution and closing times, and the ticks that must be repeated.
    fn recur(&mut self, at: Timestamp) {
        self.mitigated_at = None;
        self.mitigated_assumed = false;
        self.monitoring_at = None;
        self.resolved_at = None;
        self.closed_at = None;
        self.recurred_at = Some(at);
        self.ticks.retain(|item, _| !super::gate::RESET_ON_RECURRENCE.contains(&item.as_str()));
    }

    /// The incident's id.
    pub fn id(&self) -> IncidentId {
        self.head.id
    }

    /// The severity matrix of this incident.
    pub fn matrix(&self) -> Matrix {
        self.matrix.clone().unwrap_or_default()
    }

    /// The number of entries that are not in the shared store yet.
    pub fn unsynced(&self) -> usize {
        self.entries.iter().rev().take_while(|e| e.is_unsynced()).count()
    }

    /// Whether a newer investigation replaced this evidence: an earlier one gathered it, the latest did not, and no entry cites it. It stays
    /// in the journal, but is neither shown nor sent.
    pub fn is_superseded(&self, id: EvidenceId) -> bool {
        let is_current = self.investigation.as_ref().is_some_and(|i| i.gathered.contains(&id));
        self.gathered_before.contains(&id) && !is_current && !self.cited.contains(&id)
    }

    /// The evidence that was not superseded by a newer investigation, by number.
    pub fn current_evidence(&self) -> impl Iterator<Item = &EvidenceRecord> {
        self.evidence.iter().filter(|e| !self.is_superseded(e.id))
    }

    /// The evidence record with this id.
    pub fn evidence(&self, id: EvidenceId) -> Option<&EvidenceRecord> {
        self.evidence.iter().find(|e| e.id == id)
    }

    /// The action item with this id.
    pub fn action(&self, id: ActionId) -> Option<&ActionItem> {
        self.actions.iter().find(|a| a.id == id)
    }

    /// The services named by linked alerts and by the impact, sorted and without duplicates.
    pub fn services(&self) -> Vec<String> {
        let mut services: Vec<String> =
            self.alerts.iter().filter_map(|a| crate::telemetry::subject::service_of(&a.labels)).map(str::to_owned).collect();
        services.extend(self.impact.services.iter().cloned());
        services.sort();
        services.dedup();
        services
    }

    /// The current text of an entry: its corrected text if there is one, marked as `(corrected)` or `(undone)` where that applies.
    pub fn entry_text(&self, entry: &Entry) -> String {
        let text = match self.corrections.get(&entry.seq) {
            Some(text) => match &entry.fact {
                Fact::Note { note_kind, .. } if *note_kind != NoteKind::Observation => {
                    format!("{}: {text} (corrected)", note_kind.title())
                }
                _ => format!("{text} (corrected)"),
            },
            None => entry.fact.sentence(),
        };
        if self.undone.contains(&entry.seq) { format!("{text} (undone)") } else { text }
    }

    /// The notes of one kind in journal order, with corrected texts. Undone notes are left out.
    pub fn notes(&self, kind: NoteKind) -> impl Iterator<Item = (&Entry, &str)> {
        self.entries.iter().filter_map(move |e| match &e.fact {
            Fact::Note { text, note_kind } if *note_kind == kind && !self.undone.contains(&e.seq) => {
                Some((e, self.corrections.get(&e.seq).unwrap_or(text).as_str()))
            }
            _ => None,
        })
    }

    /// The entries sorted by when they happened. Entries with the same time stay in journal order.
    pub fn timeline(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|e| (e.at, e.seq));
        entries
    }

    /// The alerts that fired after `after` and not after `until`, in one line with the time of the first; they are no entries, because they
    /// were not recorded when they fired. `None` if there were none.
    pub fn alerts_fired(&self, after: Option<Timestamp>, until: Timestamp) -> Option<(Timestamp, String)> {
        let is_within = |at: Timestamp| after.is_none_or(|after| at > after) && at <= until;
        let mut fired: Vec<(Timestamp, String)> =
            self.alerts.iter().filter_map(|a| a.starts_at.filter(|at| is_within(*at)).map(|at| (at, a.label()))).collect();
        fired.sort();
        let (first, _) = *fired.first().as_ref()?;
        let names: Vec<&str> = fired.iter().map(|(_, name)| name.as_str()).collect();
        let what = if names.len() == 1 { "Alert" } else { "Alerts" };
        Some((*first, format!("{what} {} fired", crate::telemetry::words::list(&names))))
    }

    /// When the last entry was written. Exports and prompts use this as the current time, so that their output is reproducible.
    pub fn as_of(&self) -> Timestamp {
        self.head.last_at
    }
}

#[cfg(test)]
pub(crate) mod tests;
