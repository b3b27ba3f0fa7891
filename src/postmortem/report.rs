//! Computes every fact of a post-mortem.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::evidence::render::{self, Detail, sparkline};
use crate::evidence::{Body, citations};
use crate::incident::fact::todos_in;
use crate::incident::state::Investigation;
use crate::incident::state::{Decision, DiagnosisGrade, Hypothesis, Impact, OrderFault, RecordedReading, RoleSpan, Update};
use crate::incident::{
    ActionItem, ActorKind, AnswerSource, CitedFinding, Durations, EvidenceId, EvidenceKind, EvidenceRecord, Fact, FindingKind,
    Incident, LinkedAlert, NoteKind, Promises, Severity, SourceReport,
};
use crate::telemetry::time::human_duration;
use crate::telemetry::{Timestamp, Window};

/// The minimum gap between two timeline entries of a major incident that is marked, in seconds.
const GAP_SECS: f64 = 1800.0;

/// A milestone of the incident and its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Milestone {
    pub name: &'static str,
    /// `None` if it is unknown or was not reached.
    pub at: Option<Timestamp>,
    /// Whether the time was not recorded and another milestone's time is used instead.
    pub assumed: bool,
}

/// One row of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TimelineRow {
    pub seq: u64,
    pub at: Timestamp,
    pub recorded_at: Timestamp,
    pub actor: String,
    pub actor_kind: ActorKind,
    pub kind: &'static str,
    pub text: String,
    pub evidence: Vec<EvidenceId>,
    pub backdated: bool,
    pub corrected: bool,
    /// The original text of a corrected entry.
    pub original: Option<String>,
    /// Seconds since the previous entry, in a major incident and only if longer than 30 minutes.
    pub gap_before_secs: Option<f64>,
}

/// One evidence item with an excerpt and, for metrics, sparklines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct EvidenceRow {
    #[serde(flatten)]
    pub record: EvidenceRecord,
    /// The title and sparkline of up to six series.
    pub sparklines: Vec<(String, String)>,
    /// A summary of the body; `None` if the store does not have the body.
    pub excerpt: Option<String>,
}

/// A draft written by a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Draft {
    pub seq: u64,
    pub prompt: String,
    pub prompt_version: String,
    pub model: String,
    pub text: String,
    pub accepted_by: Option<String>,
    pub verdict: String,
    pub unsupported: Vec<String>,
    pub partial: bool,
}

/// One answer by a model or by the rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct AiRun {
    pub seq: u64,
    pub prompt: String,
    pub prompt_version: String,
    pub source: AnswerSource,
    pub model: Option<String>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    pub verdict: String,
}

/// Something that the post-mortem still lacks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Missing {
    pub section: &'static str,
    pub what: String,
}

/// All facts of a post-mortem. All times are UTC.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    pub id: String,
    /// Date, services and incident title.
    pub title: String,
    pub incident_title: String,
    pub status: &'static str,
    pub review_status: &'static str,
    pub owner: Option<String>,
    pub authors: Vec<String>,
    pub severity: Severity,
    pub peak_severity: Severity,
    pub severity_meaning: String,
    pub severity_changes: Vec<(Timestamp, Severity, String, String)>,
    pub time_in_severity_secs: Vec<(Severity, f64)>,
    pub milestones: Vec<Milestone>,
    pub durations: Durations,
    pub impact_secs: f64,
    pub impact_over: bool,
    pub review_due: Option<Timestamp>,
    pub services: Vec<String>,
    pub alerts: Vec<LinkedAlert>,
    pub window: Window,
    pub findings: Vec<CitedFinding>,
    /// The conclusion of the rules; `None` without an investigation.
    pub conclusion: Option<CitedFinding>,
    pub sources: Vec<SourceReport>,
    pub summary: String,
    pub roles: Vec<(&'static str, String)>,
    pub hand_overs: Vec<String>,
    pub decisions: Vec<Decision>,
    pub hypotheses: Vec<Hypothesis>,
    pub impact: Impact,
    /// Published updates, in order.
    pub updates: Vec<Update>,
    /// Whether they came when they were promised.
    #[serde(skip)]
    pub promises: Promises,
    /// Mitigations that were tried, in order.
    pub mitigations: Vec<(Timestamp, String)>,
    pub exit: Option<String>,
    pub exit_reading: Option<RecordedReading>,
    pub grade: Option<DiagnosisGrade>,
    pub role_spans: Vec<RoleSpan>,
    pub merged_into: Option<crate::incident::IncidentId>,
    pub absorbed: Vec<crate::incident::IncidentId>,
    /// The number of entries that are not yet in the shared store.
    pub unsynced: usize,
    pub lessons: Vec<(Timestamp, String)>,
    pub todos: Vec<(u64, String)>,
    pub resolution_steps: Vec<(Timestamp, String)>,
    pub draft: Option<Draft>,
    pub ai_runs: Vec<AiRun>,
    pub timeline: Vec<TimelineRow>,
    pub action_items: Vec<ActionItem>,
    pub evidence: Vec<EvidenceRow>,
    pub missing: Vec<Missing>,
    pub order_faults: Vec<OrderFault>,
    pub severity_matrix: Vec<(Severity, String)>,
    pub as_of_entry: u64,
    pub as_of: Timestamp,
    pub chain_head: String,
    pub tool_version: &'static str,
}

impl Report {
    /// Computes the report. `bodies` are keyed by digest.
    pub(crate) fn new(incident: &Incident, bodies: &BTreeMap<String, Body>) -> Self {
        let matrix = incident.matrix();
        let as_of = incident.as_of();
        let impact = incident.impact_started_at();
        let impact_end = incident.mitigated_at.or(incident.resolved_at);
        let services = incident.services();
        let mut report = Self {
            id: incident.id().to_string(),
            title: title(incident, &services),
            incident_title: incident.head.title.clone(),
            status: incident.head.status.word(),
            review_status: "draft",
            owner: incident.head.commander.clone(),
            authors: authors(incident),
            severity: incident.head.severity,
            peak_severity: incident.peak_severity(),
            severity_meaning: matrix.meaning(incident.head.severity).to_owned(),
            severity_changes: incident
                .severities
                .iter()
                .filter_map(|s| Some((s.from, s.severity, s.reason.clone()?, s.by.clone())))
                .collect(),
            time_in_severity_secs: incident.time_in_severity(as_of),
            milestones: milestones(incident),
            durations: incident.durations(),
            impact_secs: impact_end.unwrap_or(as_of).secs_since(impact).max(0.0),
            impact_over: impact_end.is_some(),
            review_due: incident.postmortem_due(),
            services,
            alerts: incident.alerts.clone(),
            window: incident.investigation.as_ref().map_or_else(|| incident.window(as_of), |i| i.window),
            findings: incident.investigation.iter().flat_map(Investigation::details).cloned().collect(),
            conclusion: incident.investigation.as_ref().and_then(Investigation::conclusion).cloned(),
            sources: incident.investigation.iter().flat_map(|i| i.sources.clone()).collect(),
            summary: String::new(),
            roles: incident.roles.iter().map(|(r, h)| (r.title(), h.clone())).collect(),
            hand_overs: hand_overs(incident),
            decisions: incident.decisions.clone(),
            hypotheses: incident.hypotheses.clone(),
            impact: incident.impact.clone(),
            updates: incident.updates.clone(),
            promises: Promises::of(incident, as_of),
            mitigations: mitigations(incident),
            exit: incident.exit.as_ref().map(crate::incident::ExitCriteria::describe),
            exit_reading: incident.readings.last().cloned(),
            grade: incident.grade.clone(),
            role_spans: incident.role_spans.clone(),
            merged_into: incident.head.merged_into,
            absorbed: incident.absorbed.clone(),
            unsynced: incident.unsynced(),
            lessons: notes(incident, NoteKind::Lesson),
            todos: todos(incident),
            resolution_steps: resolution_steps(incident),
            draft: draft(incident),
            ai_runs: ai_runs(incident),
            timeline: timeline(incident),
            action_items: incident.actions.clone(),
            evidence: incident.current_evidence().map(|r| evidence_row(r, bodies.get(&r.digest))).collect(),
            missing: Vec::new(),
            order_faults: incident.order_faults(),
            severity_matrix: matrix.rows.iter().map(|r| (r.severity, r.meaning.clone())).collect(),
            as_of_entry: incident.head.last_seq,
            as_of,
            chain_head: incident.entries.last().map(|e| e.hash.clone()).unwrap_or_default(),
            tool_version: crate::VERSION,
        };
        report.summary = report.summarise();
        report.missing = report.find_missing();
        report
    }

    /// Two to five sentences: title and severity, impact time, the first signal and a recent change, and the last recorded step.
    fn summarise(&self) -> String {
        let mut out = format!("{} ({}, {}).", capitalized(&self.incident_title), self.severity, self.severity_meaning);
        let length = human_duration(Duration::from_secs_f64(self.impact_secs));
        let start = self.milestones.first().and_then(|m| m.at).map(Timestamp::date_clock).unwrap_or_default();
        out.push_str(&if self.impact_over {
            format!(" The impact started at {start} UTC and lasted {length}.")
        } else {
            format!(" The impact started at {start} UTC and had lasted {length} at the last entry; its end is not recorded yet.")
        });
        if let Some(found) = &self.conclusion {
            out.push_str(&format!(" {} {}", found.text, citations::tags(&found.evidence)));
        } else if let Some(first) = self.findings.iter().find(|f| f.kind == FindingKind::Metric) {
            out.push_str(&format!(
                " First signal to leave its normal range: {} {}.",
                without_suffix(&first.title),
                citations::tags(&first.evidence)
            ));
            // A recent change is the first thing that readers ask about.
            if let Some(change) = self.findings.iter().find(|f| f.kind == FindingKind::Change && f.confidence >= 0.7) {
                out.push_str(&format!(
                    " Recent change: {} {}.",
                    without_suffix(&change.title),
                    citations::tags(&change.evidence)
                ));
            }
        } else if let Some(first) = self.findings.first().filter(|f| f.evidence.is_empty()) {
            out.push_str(&format!(" {}.", capitalized(&first.title).trim_end_matches('.')));
        } else if let Some(first) = self.findings.first() {
            out.push_str(&format!(" {} {}.", capitalized(&first.title).trim_end_matches('.'), citations::tags(&first.evidence)));
        }
        if let Some((at, text)) = self.resolution_steps.last() {
            out.push_str(&format!(" Last recorded step: {} at {} UTC.", text.trim_end_matches('.'), at.date_clock()));
        }
        out
    }

    /// The missing parts of the post-mortem, each with a remedy.
    fn find_missing(&self) -> Vec<Missing> {
        let mut out = Vec::new();
        let mut need = |ok: bool, section: &'static str, what: &str| {
            if !ok {
                out.push(Missing { section, what: what.to_owned() });
            }
        };
        need(self.owner.is_some(), "Header", "the owner (assign an incident commander)");
        need(self.durations.mitigate_secs.is_some(), "Impact", "when the impact ended (set the status to mitigated)");
        need(!self.findings.is_empty(), "Detection", "an investigation (run `warroom investigate`)");
        need(self.durations.acknowledge_secs.is_some(), "Response", "when the incident was acknowledged (acknowledge it)");
        need(
            !self.hypotheses.is_empty() || self.draft.is_some(),
            "Trigger, fault, contributing factors",
            "the cause (add a hypothesis, or ask the postmortem prompt)",
        );
        need(self.durations.resolve_secs.is_some(), "Resolution and recovery", "the resolution (set the status to resolved)");
        need(!self.lessons.is_empty(), "Lessons", "lessons learned (add notes with --kind lesson)");
        need(!self.action_items.is_empty(), "Action items", "at least one action item");
        for item in &self.action_items {
            if item.scope == crate::incident::ActionScope::FollowUp && item.state.is_open() {
                need(
                    item.owner.is_some() && item.due.is_some(),
                    "Action items",
                    &format!("the owner and due date of {}", item.id),
                );
            }
        }
        for fault in self.order_faults.iter().filter(|f| f.exception.is_none()) {
            need(false, "Header", &format!("times in order, or the reason why they are not: {}", fault.message));
        }
        need(self.impact.is_described(), "Impact", "impact and scope (run `warroom incident impact`)");
        let improves_response = self
            .action_items
            .iter()
            .any(|a| matches!(a.kind, crate::incident::ActionKind::Detect | crate::incident::ActionKind::Process));
        need(
            self.action_items.is_empty() || improves_response,
            "Action items",
            "at least one item that improves detection or response",
        );
        for (seq, text) in &self.todos {
            need(false, "Action items", &format!("an action item for the TODO in entry {seq}, or a decision to drop it: {text}"));
        }
        out
    }
}

/// The title of a finding without the note that its series changed first.
fn without_suffix(text: &str) -> &str {
    text.split(" (changed first").next().unwrap_or(text)
}

/// A text with its first letter in upper case.
fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// `DATE SERVICES: TITLE`, with the date on which the impact started.
fn title(incident: &Incident, services: &[String]) -> String {
    let services = if services.is_empty() { String::new() } else { format!("{}: ", services.join(", ")) };
    format!("{} {services}{}", incident.impact_started_at().date(), incident.head.title)
}

/// The people who wrote entries, sorted by name.
fn authors(incident: &Incident) -> Vec<String> {
    let people: BTreeSet<&str> =
        incident.entries.iter().filter(|e| e.actor.kind == ActorKind::Human).map(|e| e.actor.name.as_str()).collect();
    people.into_iter().map(str::to_owned).collect()
}

/// All eight milestones in the order of an incident's life.
fn milestones(incident: &Incident) -> Vec<Milestone> {
    let assumed = incident.assumed_milestones();
    let milestone =
        |name: &'static str, at: Option<Timestamp>, field: &str| Milestone { name, at, assumed: assumed.contains(&field) };
    vec![
        milestone("impact started", Some(incident.impact_started_at()), "impact_started_at"),
        milestone("detected", Some(incident.detected_at()), "detected_at"),
        milestone("declared", Some(incident.head.declared_at), ""),
        milestone("acknowledged", incident.acknowledged_at, ""),
        milestone("identified", incident.identified_at, ""),
        milestone("mitigated", incident.mitigated_at, "mitigated_at"),
        milestone("resolved", incident.resolved_at, ""),
        milestone("closed", incident.closed_at, ""),
    ]
}

/// Role assignments that replaced a previous holder.
fn hand_overs(incident: &Incident) -> Vec<String> {
    incident
        .entries
        .iter()
        .filter(|e| matches!(e.fact, Fact::RoleAssigned { from: Some(_), .. }))
        .map(|e| format!("{} UTC: {}", e.at.date_clock(), e.fact.sentence()))
        .collect()
}

fn notes(incident: &Incident, kind: NoteKind) -> Vec<(Timestamp, String)> {
    incident.notes(kind).map(|(e, t)| (e.at, t.to_owned())).collect()
}

/// The mitigations in the order in which they were recorded or done; a card with its verdict.
fn mitigations(incident: &Incident) -> Vec<(Timestamp, String)> {
    let mut all = notes(incident, NoteKind::Mitigation);
    for card in &incident.cards {
        let Some(done) = card.done_at else { continue };
        let evidence = card.judgement.iter().filter_map(|(_, j)| j.evidence).map(|id| format!(" [{id}]")).collect::<String>();
        let verdict = card
            .judgement
            .as_ref()
            .map_or_else(|| "not verified".to_owned(), |(_, j)| format!("{}: {}{evidence}", j.verdict, j.why));
        all.push((done, format!("{} ({verdict})", card.text)));
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

/// TODOs in notes that are not action items yet, each with the number of its entry.
fn todos(incident: &Incident) -> Vec<(u64, String)> {
    let action_items: BTreeSet<&str> = incident
        .entries
        .iter()
        .filter_map(|e| match &e.fact {
            Fact::ActionAdded { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    incident
        .notes(NoteKind::Observation)
        .flat_map(|(e, t)| todos_in(t).into_iter().map(|t| (e.seq, t.text)))
        .filter(|(_, t)| !action_items.contains(t.as_str()))
        .collect()
}

/// Status changes and reopenings that were not undone.
fn resolution_steps(incident: &Incident) -> Vec<(Timestamp, String)> {
    incident
        .entries
        .iter()
        .filter(|e| !incident.undone.contains(&e.seq))
        .filter_map(|e| match &e.fact {
            Fact::StatusChanged { .. } | Fact::Reopened { .. } => Some((e.at, e.fact.sentence())),
            _ => None,
        })
        .collect()
}

/// The latest model answer to the `postmortem` prompt, or else to the `troubleshoot` prompt; `None` without either.
fn draft(incident: &Incident) -> Option<Draft> {
    let recorded = incident
        .answers
        .iter()
        .rev()
        .filter(|a| a.answer.source == AnswerSource::Llm)
        .find(|a| a.answer.prompt == "postmortem")
        .or_else(|| {
            incident
                .answers
                .iter()
                .rev()
                .filter(|a| a.answer.source == AnswerSource::Llm)
                .find(|a| a.answer.prompt == "troubleshoot")
        })?;
    let a = &recorded.answer;
    Some(Draft {
        seq: recorded.seq,
        prompt: a.prompt.clone(),
        prompt_version: a.prompt_version.clone(),
        model: a.model.clone().unwrap_or_default(),
        text: a.answer.clone(),
        accepted_by: recorded.accepted_by.clone(),
        verdict: a.claim_summary(),
        unsupported: a
            .claims
            .iter()
            .filter(|c| c.state != crate::incident::ClaimState::Supported)
            .map(|c| format!("{}: {}", c.state.word(), c.text))
            .collect(),
        partial: a.partial,
    })
}

fn ai_runs(incident: &Incident) -> Vec<AiRun> {
    incident
        .answers
        .iter()
        .map(|r| AiRun {
            seq: r.seq,
            prompt: r.answer.prompt.clone(),
            prompt_version: r.answer.prompt_version.clone(),
            source: r.answer.source,
            model: r.answer.model.clone(),
            prompt_tokens: r.answer.usage.prompt_tokens,
            completion_tokens: r.answer.usage.completion_tokens,
            verdict: r.answer.claim_summary(),
        })
        .collect()
}

/// The timeline, oldest first: all entries except details and undone ones, and the times at which the linked alerts became
/// true and fired.
fn timeline(incident: &Incident) -> Vec<TimelineRow> {
    let mut rows: Vec<TimelineRow> = incident
        .timeline()
        .into_iter()
        .filter(|e| !e.fact.is_detail() && !incident.undone.contains(&e.seq))
        .map(|e| TimelineRow {
            seq: e.seq,
            at: e.at,
            recorded_at: e.recorded_at,
            actor: e.actor.name.clone(),
            actor_kind: e.actor.kind,
            kind: e.fact.kind(),
            text: incident.entry_text(e),
            evidence: e.fact.evidence(),
            backdated: e.is_backdated(),
            corrected: incident.corrections.contains_key(&e.seq),
            original: incident.corrections.contains_key(&e.seq).then(|| e.fact.sentence()),
            gap_before_secs: None,
        })
        .collect();
    let alert_evidence: Option<EvidenceId> = incident.current_evidence().find(|e| e.kind == EvidenceKind::Alerts).map(|e| e.id);
    let mut add_system_row = |at: Timestamp, kind: &'static str, text: String| {
        rows.push(TimelineRow {
            seq: 0,
            at,
            recorded_at: at,
            actor: "warroom".to_owned(),
            actor_kind: ActorKind::System,
            kind,
            text,
            evidence: alert_evidence.into_iter().collect(),
            backdated: false,
            corrected: false,
            original: None,
            gap_before_secs: None,
        });
    };
    for alert in &incident.alerts {
        if let Some(at) = alert.pending_since.filter(|p| Some(*p) != alert.starts_at) {
            add_system_row(at, "condition_true", format!("condition of {} became true", alert.label()));
        }
        if let Some(at) = alert.starts_at {
            add_system_row(at, "alert_fired", format!("alert {} fired", alert.label()));
        }
    }
    rows.sort_by(|a, b| (a.at, a.seq, &a.text).cmp(&(b.at, b.seq, &b.text)));
    if incident.peak_severity().is_major() {
        let times: Vec<Timestamp> = rows.iter().map(|r| r.at).collect();
        for (row, before) in rows.iter_mut().skip(1).zip(times) {
            let gap = row.at.secs_since(before);
            row.gap_before_secs = (gap > GAP_SECS).then_some(gap);
        }
    }
    rows
}

fn evidence_row(record: &EvidenceRecord, body: Option<&Body>) -> EvidenceRow {
    let sparklines = match body {
        Some(Body::Series { series, .. }) => series
            .iter()
            .take(6)
            .map(|s| {
                let title = s.title();
                (if title.is_empty() { "value".to_owned() } else { title }, sparkline(&s.samples, record.window, 40))
            })
            .filter(|(_, line)| !line.is_empty())
            .collect(),
        _ => Vec::new(),
    };
    EvidenceRow { record: record.clone(), sparklines, excerpt: body.map(|b| render::text(b, Detail::Short)) }
}
