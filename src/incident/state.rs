//! The fold: from an incident's entries to what is true of it now.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::action::{ActionItem, ActionState};
use super::answer::Answer;
use super::event::{Audience, FoundBy, Grade, Level, Remark, Verdict};
use super::evidence::EvidenceRecord;
use super::exit::{ExitCriteria, ExitReading};
use super::fact::{ActorKind, Entry, Fact, LinkedAlert, NoteKind};
use super::finding::{CitedFinding, CitedSuspect, SourceReport};
use super::ids::{ActionId, EvidenceId, IncidentId};
use super::milestone::Milestone;
use super::role::Role;
use super::severity::{Matrix, Severity};
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
    /// The likeliest first.
    #[serde(default)]
    pub suspects: Vec<CitedSuspect>,
    /// Until when the data counted as normal; `None`: it was not written down.
    #[serde(default)]
    pub onset: Option<Timestamp>,
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

/// A stretch of time in which somebody held a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleSpan {
    pub role: Role,
    pub holder: String,
    pub from: Timestamp,
    /// `None`: still.
    pub until: Option<Timestamp>,
}

/// Whether a linked alert fires, as far as the sources said, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertWatch {
    pub is_firing: bool,
    pub since: Timestamp,
}

/// What the incident does to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    pub services: Vec<String>,
    pub users: Option<String>,
    pub region: Option<String>,
    pub text: Option<String>,
}

impl Impact {
    /// Whether anything was said.
    pub fn is_known(&self) -> bool {
        self.users.is_some() || self.text.is_some()
    }

    /// `checkout fails; users 17 % of orders; region eu`. Empty when nothing was said.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.text.clone());
        parts.extend(self.users.as_ref().map(|u| format!("users: {u}")));
        parts.extend(self.region.as_ref().map(|r| format!("region: {r}")));
        if !self.services.is_empty() {
            parts.push(format!("services: {}", self.services.join(", ")));
        }
        parts.join("; ")
    }
}

/// A gate item ticked by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    pub met: bool,
    pub text: String,
    pub by: String,
    pub at: Timestamp,
}

/// A reading of the exit criteria, in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedReading {
    pub seq: u64,
    pub at: Timestamp,
    pub reading: ExitReading,
}

/// What somebody takes the cause to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    pub seq: u64,
    pub at: Timestamp,
    pub text: String,
    pub by: String,
    pub by_kind: ActorKind,
    /// `None`: proposed, not judged yet.
    pub verdict: Option<Verdict>,
    /// Why it was judged so, and when.
    pub reason: Option<String>,
    pub judged_at: Option<Timestamp>,
}

impl Hypothesis {
    /// `proposed`, `supported` or `refuted`.
    pub fn state(&self) -> &'static str {
        self.verdict.map_or("proposed", Verdict::word)
    }
}

/// A decision with who objected and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub seq: u64,
    pub at: Timestamp,
    pub text: String,
    pub by: String,
    /// Who, and what they said.
    pub objections: Vec<(String, String)>,
    pub outcome: Option<String>,
}

/// An update that went out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    pub seq: u64,
    pub at: Timestamp,
    pub by: String,
    pub audience: Audience,
    pub text: String,
    pub next_due: Option<Timestamp>,
}

/// The diagnosis, judged afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graded {
    pub grade: Grade,
    pub found_by: FoundBy,
    pub text: Option<String>,
    pub by: String,
}

/// Two milestones in the wrong order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFault {
    pub earlier: Milestone,
    pub later: Milestone,
    /// What is wrong, with both times.
    pub words: String,
    /// The written exception.
    pub exception: Option<String>,
}

/// What is true of an incident now, as its entries add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub head: Summary,
    pub entries: Vec<Entry>,
    /// The severity matrix in force when it was declared; `None`: the built-in one.
    pub matrix: Option<Matrix>,
    pub alerts: Vec<LinkedAlert>,
    /// What is known of linked alerts whose firing a source told, by fingerprint.
    pub watched: BTreeMap<String, AlertWatch>,
    /// Who holds which role now; of the shared roles the latest holder.
    pub roles: BTreeMap<Role, String>,
    pub role_spans: Vec<RoleSpan>,
    /// In the order of time.
    pub severities: Vec<SeveritySpan>,
    pub acknowledged_at: Option<Timestamp>,
    pub identified_at: Option<Timestamp>,
    pub mitigated_at: Option<Timestamp>,
    /// Nobody said when it was mitigated: the resolution ended its impact.
    pub mitigated_assumed: bool,
    /// When it was last found to be back, by a reopening or by a status before the mitigation. What was seen, done and
    /// ticked before proves nothing about this round.
    pub back_at: Option<Timestamp>,
    /// Since when it is only watched.
    pub monitoring_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    /// Moments set by hand that no other field holds.
    pub set_times: BTreeMap<Milestone, Timestamp>,
    /// Why a moment may lie out of order.
    pub exceptions: BTreeMap<Milestone, String>,
    pub impact: Impact,
    pub ticks: BTreeMap<String, Tick>,
    pub exit: Option<ExitCriteria>,
    pub readings: Vec<RecordedReading>,
    pub escalation: Option<Level>,
    pub updates: Vec<Update>,
    pub hypotheses: Vec<Hypothesis>,
    pub decisions: Vec<Decision>,
    /// Entries that say what was done to stop the harm.
    pub mitigations: Vec<(u64, Timestamp)>,
    pub grade: Option<Graded>,
    /// Incidents that became a part of this one.
    pub absorbed: Vec<IncidentId>,
    /// The alerts that each of them brought along, also of one that was released since.
    pub brought: BTreeMap<IncidentId, BTreeSet<String>>,
    pub evidence: Vec<EvidenceRecord>,
    pub actions: Vec<ActionItem>,
    pub investigation: Option<Investigation>,
    pub answers: Vec<RecordedAnswer>,
    /// Corrected texts by the entry they correct.
    pub corrections: BTreeMap<u64, String>,
    /// Entries without effect, because a later one took them back.
    pub undone: BTreeSet<u64>,
}

/// The entries that were taken back. An undoing that was itself undone has no effect.
fn undone(entries: &[Entry]) -> BTreeSet<u64> {
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
    /// Folds entries in their order. `None` when there is none or the first does not declare an incident. Facts that make
    /// no sense where they stand (an action that does not exist) change nothing; nothing panics.
    pub fn fold(entries: impl IntoIterator<Item = Entry>) -> Option<Self> {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let undone = undone(&entries);
        let (first, rest) = entries.split_first()?;
        let head = Summary::first(first)?;
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
            back_at: None,
            monitoring_at: None,
            resolved_at: None,
            closed_at: None,
            set_times: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            impact: Impact::default(),
            ticks: BTreeMap::new(),
            exit: None,
            readings: Vec::new(),
            escalation: None,
            updates: Vec::new(),
            hypotheses: Vec::new(),
            decisions: Vec::new(),
            mitigations: Vec::new(),
            grade: None,
            absorbed: Vec::new(),
            brought: BTreeMap::new(),
            evidence: Vec::new(),
            actions: Vec::new(),
            investigation: None,
            answers: Vec::new(),
            corrections: BTreeMap::new(),
            undone: BTreeSet::new(),
        };
        for entry in rest {
            if undone.contains(&entry.seq) || matches!(entry.fact, Fact::Undone { .. }) {
                incident.head.pass(entry);
            } else {
                incident.head.apply(entry);
                incident.effect(entry);
            }
        }
        incident.entries = entries;
        incident.undone = undone;
        Some(incident)
    }

    /// Takes the next entry in. An undoing folds everything anew.
    pub fn apply(&mut self, entry: Entry) {
        if !matches!(entry.fact, Fact::Undone { .. }) {
            self.head.apply(&entry);
            self.effect(&entry);
            self.entries.push(entry);
            return;
        }
        let mut entries = std::mem::take(&mut self.entries);
        entries.push(entry);
        // The first entry declared the incident before and still does.
        if let Some(folded) = Self::fold(entries) {
            *self = folded;
        }
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each fact: a table")]
    fn effect(&mut self, entry: &Entry) {
        let (seq, at, by) = (entry.seq, entry.at, &entry.actor.name);
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
            Fact::SeverityChanged { to, reason, .. } => {
                let span = SeveritySpan { severity: *to, from: at, reason: Some(reason.clone()), by: by.clone() };
                // A change dated back takes its place in time; changes of one moment keep their order.
                let place = self.severities.partition_point(|s| s.from <= at);
                self.severities.insert(place, span);
            }
            Fact::StatusChanged { to, .. } => self.reach(*to, at),
            Fact::Reopened { .. } => self.begin_round(at),
            Fact::ImpactChanged { services, users, region, text } => {
                if let Some(services) = services {
                    self.impact.services.clone_from(services);
                }
                for (new, old) in
                    [(users, &mut self.impact.users), (region, &mut self.impact.region), (text, &mut self.impact.text)]
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
            // A reading counts for the criteria that it was taken for, and for no others that came back since.
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
                self.grade = Some(Graded { grade: *grade, found_by: *found_by, text: text.clone(), by: by.clone() });
            }
            Fact::RoleAssigned { role, holder, .. } => self.assign(*role, holder, at),
            Fact::RoleRenounced { role, holder } => {
                self.end_spans(*role, Some(holder), at);
                // Of a shared role the latest of the others is named now.
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
                NoteKind::Observation | NoteKind::Lesson => {}
            },
            Fact::EvidenceAttached { evidence } => self.evidence.push(evidence.clone()),
            Fact::Investigated { window, findings, sources, suspects, onset } => {
                self.investigation = Some(Investigation {
                    seq,
                    at,
                    window: *window,
                    findings: findings.clone(),
                    sources: sources.clone(),
                    suspects: suspects.clone(),
                    onset: *onset,
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
                self.brought.entry(*from).or_default().extend(alerts.iter().cloned());
            }
            Fact::Released { from } => self.absorbed.retain(|a| a != from),
            Fact::IncidentDeclared { .. }
            | Fact::TitleChanged { .. }
            | Fact::Merged { .. }
            | Fact::Event { .. }
            | Fact::Undone { .. } => {}
        }
    }

    fn assign(&mut self, role: Role, holder: &str, at: Timestamp) {
        if !role.is_shared() {
            self.end_spans(role, None, at);
        }
        // Who was next in command and now has it is no longer next.
        if role == Role::Commander && self.roles.get(&Role::NextCommander).map(String::as_str) == Some(holder) {
            self.roles.remove(&Role::NextCommander);
            self.end_spans(Role::NextCommander, None, at);
        }
        self.roles.insert(role, holder.to_owned());
        self.role_spans.push(RoleSpan { role, holder: holder.to_owned(), from: at, until: None });
    }

    /// Ends the open spans of a role, of one holder or of all.
    fn end_spans(&mut self, role: Role, holder: Option<&str>, at: Timestamp) {
        let mine = |s: &&mut RoleSpan| s.role == role && s.until.is_none() && holder.is_none_or(|h| s.holder == h);
        for span in self.role_spans.iter_mut().filter(mine) {
            span.until = Some(at.max(span.from));
        }
    }

    fn set_time(&mut self, milestone: Milestone, to: Timestamp) {
        match milestone {
            Milestone::ImpactStarted | Milestone::Detected | Milestone::Declared => {
                self.set_times.insert(milestone, to);
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

    /// Notes when a milestone was reached. A status that skips milestones does not invent their times, except that
    /// resolving an incident ends its impact: then it is mitigated too.
    fn reach(&mut self, status: Status, at: Timestamp) {
        if status != Status::Monitoring && status.is_open() {
            self.monitoring_at = None;
        }
        match status {
            Status::Identified => {
                // A cause may be found after the harm has stopped: the mitigation stands.
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
            // It is back: what was taken for the end was none.
            Status::Triage | Status::Investigating if self.mitigated_at.is_some() => self.begin_round(at),
            Status::Triage | Status::Investigating | Status::Cancelled | Status::Merged => {}
        }
    }

    /// It is back: the end of the last round, and what was ticked for it, count no more.
    fn begin_round(&mut self, at: Timestamp) {
        self.mitigated_at = None;
        self.mitigated_assumed = false;
        self.monitoring_at = None;
        self.resolved_at = None;
        self.closed_at = None;
        self.back_at = Some(at);
        self.ticks.retain(|item, _| !super::gate::OF_A_ROUND.contains(&item.as_str()));
    }

    /// Its id.
    pub fn id(&self) -> IncidentId {
        self.head.id
    }

    /// The severity matrix that holds for it.
    pub fn matrix(&self) -> Matrix {
        self.matrix.clone().unwrap_or_default()
    }

    /// What was set by hand, else the earliest firing start of a linked alert, else when it was declared.
    pub fn detected_at(&self) -> Timestamp {
        let set = self.set_times.get(&Milestone::Detected).copied();
        set.or_else(|| self.alerts.iter().filter_map(|a| a.starts_at).min()).unwrap_or(self.head.declared_at)
    }

    /// What was set by hand, else the earliest pending start of a linked alert (its firing start where the backend tells no
    /// more), else when it was declared.
    pub fn impact_started_at(&self) -> Timestamp {
        let set = self.set_times.get(&Milestone::ImpactStarted).copied();
        set.or_else(|| self.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min()).unwrap_or(self.head.declared_at)
    }

    /// A moment of its life; `None` while it is unknown.
    pub fn milestone(&self, milestone: Milestone) -> Option<Timestamp> {
        match milestone {
            Milestone::ImpactStarted => Some(self.impact_started_at()),
            Milestone::Detected => Some(self.detected_at()),
            Milestone::Declared => Some(self.head.declared_at),
            Milestone::Acknowledged => self.acknowledged_at,
            Milestone::Identified => self.identified_at,
            Milestone::Mitigated => self.mitigated_at,
            Milestone::Resolved => self.resolved_at,
            Milestone::Closed => self.closed_at,
        }
    }

    /// Milestones that rest on no evidence: the first two are taken to be the declaration, the mitigation to be the resolution.
    pub fn assumed(&self) -> Vec<&'static str> {
        let told = self.alerts.iter().any(|a| a.starts_at.is_some());
        let mut assumed: Vec<&'static str> =
            [(Milestone::ImpactStarted, "impact_started_at"), (Milestone::Detected, "detected_at")]
                .into_iter()
                .filter(|(m, _)| !told && !self.set_times.contains_key(m))
                .map(|(_, name)| name)
                .collect();
        if self.mitigated_assumed {
            assumed.push("mitigated_at");
        }
        assumed
    }

    /// The moments that are known.
    pub fn moments(&self) -> BTreeMap<Milestone, Timestamp> {
        Milestone::ALL.into_iter().filter_map(|m| self.milestone(m).map(|at| (m, at))).collect()
    }

    /// Neighbours of the chain of milestones (those that are known) that lie in the wrong order, each with its written
    /// exception where there is one.
    pub fn order_faults(&self) -> Vec<OrderFault> {
        faults(&self.moments())
            .into_iter()
            .map(|(earlier, later, words)| OrderFault {
                exception: self.exceptions.get(&later).or_else(|| self.exceptions.get(&earlier)).cloned(),
                earlier,
                later,
                words,
            })
            .collect()
    }

    /// By when the post-mortem is due: counted from the resolution (else the declaration), as the matrix says for the worst
    /// severity that it had. `None`: none is required.
    pub fn postmortem_due(&self) -> Option<Timestamp> {
        let due = self.matrix().row(self.peak_severity())?.postmortem?;
        Some(due.after(self.resolved_at.unwrap_or(self.head.declared_at)))
    }

    /// Roles that the severity asks for and that nobody holds.
    pub fn roles_missing(&self) -> Vec<Role> {
        self.matrix().roles(self.head.severity).iter().copied().filter(|r| !self.roles.contains_key(r)).collect()
    }

    /// Seconds from the detection until the first hypothesis was written that was later found to be right.
    pub fn first_useful_hypothesis_secs(&self) -> Option<f64> {
        let first = self.hypotheses.iter().filter(|h| h.verdict == Some(Verdict::Supported)).map(|h| h.at).min()?;
        Some(first.secs_since(self.detected_at()).max(0.0))
    }

    /// Entries that wait for the shared store.
    pub fn unsynced(&self) -> usize {
        self.entries.iter().rev().take_while(|e| e.is_unsynced()).count()
    }

    /// The durations between the milestones.
    pub fn durations(&self) -> Durations {
        let span = |to: Option<Timestamp>, from: Timestamp| to.map(|to| to.secs_since(from).max(0.0));
        // Whoever sees it before an alert fires is simply quick; an end before the start is no duration at all.
        let whole = |to: Option<Timestamp>, from: Timestamp| span(to.filter(|to| *to >= from), from);
        let (detected, impact) = (self.detected_at(), self.impact_started_at());
        Durations {
            detect_secs: span(Some(detected), impact),
            acknowledge_secs: span(self.acknowledged_at, detected),
            mitigate_secs: whole(self.mitigated_at, impact),
            resolve_secs: whole(self.resolved_at, impact),
        }
    }

    /// The durations that rest on evidence: those from or to a moment that is only assumed, or that lies out of order without a
    /// written exception, are left out. For figures over many incidents, which a guess would bend.
    pub fn measured(&self) -> Durations {
        let all = self.durations();
        let faulty = |m: Milestone| self.order_faults().iter().any(|f| f.exception.is_none() && (f.earlier == m || f.later == m));
        let assumed = self.assumed();
        let set = |m: Milestone| self.set_times.contains_key(&m);
        // Without a pending start the firing start stands for both ends of the time to detect: that is no measurement.
        let told = set(Milestone::ImpactStarted) || self.alerts.iter().any(|a| a.pending_since.is_some());
        let impact = !assumed.contains(&"impact_started_at") && !faulty(Milestone::ImpactStarted);
        let detected = !assumed.contains(&"detected_at") && !faulty(Milestone::Detected);
        Durations {
            detect_secs: all.detect_secs.filter(|_| impact && detected && told),
            acknowledge_secs: all.acknowledge_secs.filter(|_| detected && !faulty(Milestone::Acknowledged)),
            mitigate_secs: all.mitigate_secs.filter(|_| impact && !self.mitigated_assumed && !faulty(Milestone::Mitigated)),
            resolve_secs: all.resolve_secs.filter(|_| impact && !faulty(Milestone::Resolved)),
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

    /// Seconds at each severity, up to its end (resolved, cancelled, merged) or `now`, the worst first; severities it never had
    /// are left out.
    pub fn time_in_severity(&self, now: Timestamp) -> Vec<(Severity, f64)> {
        let ended = (!self.head.status.is_open()).then_some(self.head.status_since);
        let end = self.resolved_at.or(ended).unwrap_or(now);
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

    /// The services that linked alerts speak of, and those that people named, sorted.
    pub fn services(&self) -> Vec<String> {
        let mut services: Vec<String> =
            self.alerts.iter().filter_map(|a| crate::telemetry::series::service_of(&a.labels)).map(str::to_owned).collect();
        services.extend(self.impact.services.iter().cloned());
        services.sort();
        services.dedup();
        services
    }

    /// What an entry says now: its correction where there is one; whether it was taken back.
    pub fn text_of(&self, entry: &Entry) -> String {
        let text = match self.corrections.get(&entry.seq) {
            Some(text) => match &entry.fact {
                Fact::Note { note_kind, .. } if *note_kind != NoteKind::Observation => {
                    format!("{}: {text} (corrected)", note_kind.word())
                }
                _ => format!("{text} (corrected)"),
            },
            None => entry.fact.sentence(),
        };
        if self.undone.contains(&entry.seq) { format!("{text} (undone)") } else { text }
    }

    /// Notes of one kind, in their order.
    pub fn notes(&self, kind: NoteKind) -> impl Iterator<Item = (&Entry, &str)> {
        self.entries.iter().filter_map(move |e| match &e.fact {
            Fact::Note { text, note_kind } if *note_kind == kind && !self.undone.contains(&e.seq) => {
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

/// Neighbours of [`Milestone::CHAIN`] (those that are known) of which the later lies before the earlier, with the words for it.
pub fn faults(moments: &BTreeMap<Milestone, Timestamp>) -> Vec<(Milestone, Milestone, String)> {
    let known: Vec<(Milestone, Timestamp)> = Milestone::CHAIN.iter().filter_map(|m| moments.get(m).map(|at| (*m, *at))).collect();
    let neighbours = known.windows(2).filter_map(|pair| match pair {
        [(a, _), (b, _)] => Some((*a, *b)),
        _ => None,
    });
    // Outside of the chain, and still within the incident's life.
    use Milestone as M;
    let others = [(M::ImpactStarted, M::Identified), (M::Identified, M::Closed), (M::Declared, M::Closed)];
    neighbours
        .chain(others)
        .filter_map(|(a, b)| Some((a, b, *moments.get(&a)?, *moments.get(&b)?)))
        .filter(|(_, _, at, bt)| bt < at)
        .map(|(a, b, at, bt)| (a, b, format!("{b} ({} UTC) lies before {a} ({} UTC)", bt.date_clock(), at.date_clock())))
        .collect()
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
            reason: None,
            matrix: None,
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
            Fact::StatusChanged {
                from: Status::Investigating,
                to: Status::Mitigated,
                override_reason: None,
                open: Vec::new(),
                reason: None,
            },
            Fact::StatusChanged {
                from: Status::Mitigated,
                to: Status::Resolved,
                override_reason: None,
                open: Vec::new(),
                reason: None,
            },
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
    fn a_cause_found_late_leaves_the_mitigation_and_a_change_dated_back_is_not_the_current_one() {
        let to = |from, to| Fact::StatusChanged { from, to, override_reason: None, open: Vec::new(), reason: None };
        let severity = |to| Fact::SeverityChanged { from: Severity::Sev3, to, reason: "x".into() };
        let mut all = entries(vec![
            declared(),
            to(Status::Investigating, Status::Mitigated),
            to(Status::Mitigated, Status::Identified),
            severity(Severity::Sev2),
            severity(Severity::Sev1),
        ]);
        // SEV1 was true for a while before SEV2.
        all[4].at = Timestamp::from_secs(1_795_253_400 + 90);
        let incident = Incident::fold(all).unwrap();
        assert_eq!(incident.durations().mitigate_secs, Some(60.0));
        assert_eq!((incident.head.severity, incident.peak_severity()), (Severity::Sev2, Severity::Sev1));
        assert_eq!(incident.severities.last().map(|s| s.severity), Some(incident.head.severity));
    }

    #[test]
    fn a_resolution_alone_measures_no_mitigation_and_an_end_stops_the_clock_of_the_severity() {
        let change = |to| Fact::StatusChanged {
            from: Status::Investigating,
            to,
            override_reason: Some("x".into()),
            open: Vec::new(),
            reason: None,
        };
        let mut alert = LinkedAlert::unverified("f");
        (alert.starts_at, alert.pending_since) = (Some(Timestamp::from_secs(0)), Some(Timestamp::from_secs(0)));
        let linked = Fact::AlertLinked { alert };
        let resolved = Incident::fold(entries(vec![declared(), linked.clone(), change(Status::Resolved)])).unwrap();
        assert_eq!(resolved.assumed(), ["mitigated_at"]);
        assert_eq!(resolved.measured().mitigate_secs, None);
        assert!(resolved.measured().resolve_secs.is_some());
        let said =
            Incident::fold(entries(vec![declared(), linked, change(Status::Mitigated), change(Status::Resolved)])).unwrap();
        assert!(said.assumed().is_empty() && said.measured().mitigate_secs.is_some());
        let cancelled = Incident::fold(entries(vec![declared(), change(Status::Cancelled)])).unwrap();
        let later = Timestamp::from_secs(1_795_253_400 + 86_400);
        assert_eq!(cancelled.time_in_severity(later), [(Severity::Sev3, 60.0)]);
    }

    #[test]
    fn reopening_takes_the_resolution_back() {
        let incident = Incident::fold(entries(vec![
            declared(),
            Fact::StatusChanged {
                from: Status::Investigating,
                to: Status::Resolved,
                override_reason: Some("x".into()),
                open: Vec::new(),
                reason: None,
            },
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
            Fact::ActionDone { id: ActionId(9), result: None },
            Fact::TitleChanged { title: "new".into() },
        ]);
        let mut head = Summary::first(&all[0]).unwrap();
        all[1..].iter().for_each(|e| head.apply(e));
        assert_eq!(head, Incident::fold(all).unwrap().head);
    }
}
