//! Computes every fact of a post-mortem.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::prose;
use super::story::{self, Chart, FailedRequests, Link, LinkRole, OpenQuestion, TriedMitigation};
use crate::evidence::render::{self, Detail, sparkline};
use crate::evidence::{Body, citations};
use crate::incident::fact::todos_in;
use crate::incident::state::Investigation;
use crate::incident::state::{Decision, DiagnosisGrade, Hypothesis, Impact, OrderFault, RecordedReading, RoleSpan, Update};
use crate::incident::{
    ActionItem, ActorKind, AnswerSource, Audience, CitedFinding, Durations, Entry, EvidenceId, EvidenceKind, EvidenceRecord,
    Fact, Incident, LinkedAlert, NoteKind, Promises, Severity, SourceReport, Verdict,
};
use crate::telemetry::words::count;
use crate::telemetry::{Timestamp, Window};

/// The minimum gap between two timeline entries of a major incident that is marked, in seconds.
const GAP_SECS: f64 = 1800.0;

/// How much of a title is in the heading, in bytes.
const MAX_TITLE: usize = 120;

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
    /// Whether it is bookkeeping, which the timeline for people leaves out.
    #[serde(skip)]
    pub is_bookkeeping: bool,
    /// The alert that fired or resolved.
    #[serde(skip)]
    pub alert: Option<String>,
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

/// A lesson, with its kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Lesson {
    pub kind: NoteKind,
    pub at: Timestamp,
    pub text: String,
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

/// A status change that went ahead although checklist items were open.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Override {
    pub at: Timestamp,
    pub status: &'static str,
    /// The reason that was given.
    pub reason: String,
    /// The items that were open.
    pub items: Vec<String>,
}

/// Something that the post-mortem still lacks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Missing {
    pub section: &'static str,
    /// What is missing, with a remedy in parentheses if there is one.
    pub what: String,
    /// What adds it.
    #[serde(skip)]
    pub remedy: Option<Remedy>,
}

/// What adds a missing part of the post-mortem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    AssignRole,
    SetStatus,
    Investigate,
    Acknowledge,
    Hypothesis,
    Lesson,
    ActionItem,
    ActionItems,
    SetTime,
    Impact,
}

/// A part that is missing: its section and what it is, and what adds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingPart {
    pub what: String,
    pub remedy: Option<Remedy>,
}

/// All facts of a post-mortem. All times are UTC.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    pub id: String,
    /// Date, services and incident title.
    pub title: String,
    pub incident_title: String,
    pub status: &'static str,
    /// `draft`, `in review`, `reviewed` or `closed`.
    pub review_status: &'static str,
    /// When the review reached this state; `None` if there was none.
    pub review_since: Option<Timestamp>,
    /// Who reviewed it, and when.
    pub reviewers: Vec<(String, Timestamp)>,
    /// The time zone whose times are shown next to UTC in the table and the timeline; `None` for UTC alone.
    #[serde(skip)]
    pub offset: Option<time::UtcOffset>,
    /// What is damaged in the journal or the evidence; empty if all of it was verified, or nothing was.
    pub damage: Vec<String>,
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
    pub mitigations: Vec<TriedMitigation>,
    /// What was proposed and not begun, each with the reason if it was dropped.
    pub not_tried: Vec<(String, Option<String>)>,
    /// Who confirmed at the checklist what the mitigation had done, and their words.
    pub confirmed_effect: Option<(String, String)>,
    /// Who reported the incident.
    pub reporter: Option<String>,
    /// Whether a person gave it a severity.
    pub is_severity_given: bool,
    /// Hypotheses that were taken for the cause for a while, by the number of their entry: from when to when.
    pub believed: BTreeMap<u64, (Timestamp, Timestamp)>,
    /// The impact of the incidents that were merged into this one.
    pub absorbed_impact: Vec<(crate::incident::IncidentId, String)>,
    /// From the trigger to the recovery, in the order of time.
    pub chain: Vec<Link>,
    /// The requests of each service that failed during the impact.
    pub failed_requests: Vec<FailedRequests>,
    pub charts: Vec<Chart>,
    /// What is not known yet.
    pub questions: Vec<OpenQuestion>,
    /// Playbooks that were followed: the title, and how many of its steps were done.
    pub playbooks: Vec<(String, usize, usize)>,
    /// Why it was no incident, and when that was decided; `None` unless it was cancelled.
    pub cancelled: Option<(Timestamp, String)>,
    /// When it was reopened, and why.
    pub reopened: Vec<(Timestamp, String)>,
    /// Escalations: the time and the sentence.
    pub escalations: Vec<(Timestamp, String)>,
    /// Earlier descriptions of the impact, with the time.
    pub earlier_impact: Vec<(Timestamp, String)>,
    /// The reason for the severity that it had at its peak.
    pub severity_reason: Option<String>,
    /// Status changes that overrode open checklist items: the time, the status and the reason.
    pub overrides: Vec<Override>,
    pub exit: Option<String>,
    pub exit_reading: Option<RecordedReading>,
    pub grade: Option<DiagnosisGrade>,
    pub role_spans: Vec<RoleSpan>,
    pub merged_into: Option<crate::incident::IncidentId>,
    pub absorbed: Vec<crate::incident::IncidentId>,
    /// The number of entries that are not yet in the shared store.
    pub unsynced: usize,
    pub lessons: Vec<Lesson>,
    /// Contributing factors, as people noted them.
    pub factors: Vec<String>,
    pub todos: Vec<(u64, String)>,
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
    #[expect(clippy::too_many_lines, reason = "one line per fact")]
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
            review_status: incident.review.state.title(),
            review_since: incident.review.since,
            reviewers: incident.review.reviewers.clone(),
            damage: Vec::new(),
            offset: None,
            // Whoever was the last to command it, if no one does any more.
            owner: incident.head.commander.clone().or_else(|| {
                let spans = incident.role_spans.iter().rev();
                spans.filter(|s| s.role == crate::incident::Role::Commander).map(|s| s.holder.clone()).next()
            }),
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
            updates: {
                let mut updates = incident.updates.clone();
                updates.sort_by_key(|u| (u.at, u.seq));
                updates
            },
            promises: Promises::of(incident, as_of),
            mitigations: story::mitigations(incident),
            not_tried: story::not_tried(incident),
            confirmed_effect: incident
                .ticks
                .get("effect-seen")
                .filter(|t| t.met && !t.text.trim().is_empty())
                .map(|t| (t.by.clone(), t.text.clone())),
            reporter: incident.role_spans.iter().find(|s| s.role == crate::incident::Role::Reporter).map(|s| s.holder.clone()),
            is_severity_given: is_severity_given(incident),
            believed: believed(incident),
            absorbed_impact: absorbed_impact(incident),
            chain: story::chain(incident),
            failed_requests: story::failed_requests(incident, bodies, as_of),
            charts: story::charts(incident, bodies),
            questions: Vec::new(),
            playbooks: playbooks(incident),
            overrides: overrides(incident),
            cancelled: cancelled(incident),
            reopened: entries_of(incident, |f| match f {
                Fact::Reopened { reason } => Some(reason.clone()),
                _ => None,
            }),
            escalations: entries_of(incident, |f| matches!(f, Fact::Escalated { .. }).then(|| f.sentence())),
            earlier_impact: earlier_impact(incident),
            severity_reason: severity_reason(incident),
            exit: incident.exit.as_ref().map(crate::incident::ExitCriteria::describe),
            exit_reading: incident.readings.last().cloned(),
            grade: incident.grade.clone(),
            role_spans: incident.role_spans.clone(),
            merged_into: incident.head.merged_into,
            absorbed: incident.absorbed.clone(),
            unsynced: incident.unsynced(),
            lessons: lessons(incident),
            factors: incident.notes(NoteKind::Factor).map(|(_, text)| text.to_owned()).collect(),
            todos: todos(incident),
            draft: draft(incident),
            ai_runs: ai_runs(incident),
            timeline: timeline(incident),
            action_items: incident.actions.clone(),
            evidence: shown_evidence(incident).map(|r| evidence_row(r, bodies.get(&r.digest))).collect(),
            missing: Vec::new(),
            order_faults: incident.order_faults(),
            severity_matrix: matrix.rows.iter().map(|r| (r.severity, r.meaning.clone())).collect(),
            as_of_entry: incident.head.last_seq,
            as_of,
            chain_head: incident.entries.last().map(|e| e.hash.clone()).unwrap_or_default(),
            tool_version: crate::VERSION,
        };
        // What was no incident, or belongs to another one, has no open questions.
        if report.cancelled.is_none() && report.merged_into.is_none() {
            report.questions = story::questions(incident, report.failed_requests.iter().any(|f| f.failed >= 1.0));
        }
        report.summary = report.summarise(incident);
        if report.cancelled.is_none() && report.merged_into.is_none() {
            report.missing = report.find_missing();
            report.missing.extend(blamed(&report, incident));
        }
        report
    }

    /// What users experienced, how long, how bad, the cause as people confirmed it or the best supported explanation, and what ended it.
    fn summarise(&self, incident: &Incident) -> String {
        if let Some((at, why)) = &self.cancelled {
            let raised = self.milestones.iter().find(|m| m.name == "declared").and_then(|m| m.at).unwrap_or(*at);
            let what = self.incident_title.split(" (at ").next().unwrap_or(&self.incident_title);
            return format!(
                "This was a false alarm. It was raised at {} because of “{what}”, and cancelled at {}: {}",
                prose::moment(*at, raised),
                prose::moment(*at, *at),
                prose::sentence(why)
            );
        }
        if let Some(into) = self.merged_into {
            return format!("This was part of {into}, which has the whole response.");
        }
        let started = self.milestones.first().and_then(|m| m.at).unwrap_or(self.as_of);
        let length = prose::length(self.impact_secs);
        let ended = started + Duration::from_secs_f64(self.impact_secs);
        let mut out = self.experience();
        let is_assumed = |name: &str| self.milestones.iter().any(|m| m.name == name && m.assumed);
        out.push_str(&if self.impact_over {
            let when = prose::from_to(started, ended);
            match (is_assumed("impact started"), is_assumed("mitigated")) {
                (true, true) => {
                    format!(" The incident was open for {length}, {when}; when users were affected was not recorded.")
                }
                (false, false) => format!(" It lasted {length}, {when}."),
                _ => format!(" It lasted about {length}, {when}."),
            }
        } else {
            let since = format!("{} UTC on {}", prose::minute(started), prose::day(started));
            format!(" It began at {since} and had lasted {length} at the last entry; its end was not recorded.")
        });
        for (at, why) in &self.reopened {
            let at = prose::minute_since(started, *at);
            out.push_str(&format!(" It was reopened at {at} UTC: {}", prose::past_or_quoted(why)));
        }
        let because = self.severity_reason.as_ref().map_or_else(String::new, |r| prose::because(r));
        out.push_str(&if !self.is_severity_given && self.severity == self.peak_severity {
            format!(" Its severity was not assessed; {} is the default.", self.severity)
        } else if self.severity == self.peak_severity {
            format!(" It was rated {}{because}.", self.severity)
        } else {
            format!(" It was rated {} in the end, and {} at its peak{because}.", self.severity, self.peak_severity)
        });
        out.push_str(&self.cause(incident));
        if let Some(worse) = self.mitigations.iter().find(|m| m.made_worse) {
            let at = prose::moment(started, worse.at);
            out.push_str(&format!(" One mitigation made it worse, at {at}: {}", prose::sentence(&worse.text)));
        }
        out.push_str(&self.ending());
        out
    }

    /// What users experienced, in sentences in the past tense.
    fn experience(&self) -> String {
        let users = self.impact.users.as_ref().map_or_else(String::new, |u| format!(" Affected: {}.", u.trim_end_matches('.')));
        let worst = self.failed_requests.first().filter(|f| f.failed >= 1.0);
        let what = match (&self.impact.text, worst) {
            (Some(text), _) => prose::past_or_quoted(text),
            (None, Some(worst)) => format!(
                "{:.0}% of the requests to {} failed. {}",
                worst.share() * 100.0,
                worst.service,
                citations::tags(&worst.evidence)
            ),
            (None, None) => {
                // The title may say of when its figure is.
                let title = self.incident_title.split(" (at ").next().unwrap_or(&self.incident_title);
                prose::past_or_quoted(title)
            }
        };
        let data =
            self.impact.data.as_ref().filter(|d| !is_none(d)).map_or_else(String::new, |d| format!(" {}", prose::lost_data(d)));
        format!("{what}{users}{data}")
    }

    /// The cause as people confirmed it, else the best supported explanation, labelled as such.
    fn cause(&self, incident: &Incident) -> String {
        let of = |verdict: Option<Verdict>| self.hypotheses.iter().rev().find(move |h| h.verdict == verdict);
        if let Some(confirmed) = of(Some(Verdict::Supported)) {
            return format!(" The cause, as the responders judged it: {}", prose::past_or_quoted_clause(&confirmed.text));
        }
        if let Some((found, finding)) = story::conclusion(incident).filter(|(c, _)| !c.origins.is_empty()) {
            let at = found.trigger_at.map_or_else(String::new, |at| format!(" at {} UTC", prose::minute(at)));
            let trigger = found.trigger.as_ref().map_or_else(String::new, |t| format!(", after {}{at}", story::change_words(t)));
            let mechanism = found.mechanism.as_ref().map_or_else(String::new, |m| format!(" ({})", prose::past(m)));
            return format!(
                " The cause was not confirmed. The best supported explanation is that it began at {}{trigger}{mechanism}. {}",
                crate::telemetry::words::list(&found.origins),
                citations::tags(&finding.evidence)
            );
        }
        match of(None) {
            Some(proposed) => {
                format!(" The cause was not confirmed. A hypothesis was: {}", prose::past_or_quoted_clause(&proposed.text))
            }
            None => match self.chain.iter().find(|l| l.role == LinkRole::Fault) {
                Some(first) => {
                    let cited =
                        if first.evidence.is_empty() { String::new() } else { format!(" {}", citations::tags(&first.evidence)) };
                    format!(" The cause was not confirmed. What changed first: {}{cited}", first.text)
                }
                None => " The cause was not found.".to_owned(),
            },
        }
    }

    /// What ended it: a mitigation whose readings say so, else what was tried last before the end, with what came of it.
    fn ending(&self) -> String {
        let tag = |m: &TriedMitigation| m.evidence.map_or_else(String::new, |e| format!(" [{e}]"));
        let text = |m: &TriedMitigation| m.text.trim_end_matches('.').to_owned();
        let started = self.milestones.first().and_then(|m| m.at);
        let at = |m: &TriedMitigation| prose::moment(started.unwrap_or(m.at), m.at);
        if let Some(worked) = self.credited() {
            let (at, text, tag) = (at(worked), text(worked), tag(worked));
            return format!(" It ended with this mitigation at {at}, as its readings confirm: {text}{tag}.");
        }
        if !self.impact_over {
            return String::new();
        }
        let end = self.milestones.iter().find(|m| m.name == "mitigated").and_then(|m| m.at).unwrap_or(self.as_of);
        let recurred = self.reopened.last().map(|(at, _)| *at);
        let is_in_time = |m: &&TriedMitigation| m.done && m.at <= end && recurred.is_none_or(|since| m.at >= since);
        match self.mitigations.iter().rfind(is_in_time) {
            Some(last) if self.confirmed_effect.is_some() => {
                let (who, words) = self.confirmed_effect.clone().unwrap_or_default();
                let (at, text) = (at(last), text(last));
                format!(
                    " It ended with this mitigation at {at}: {text}. {who} confirmed its effect: {}",
                    prose::past_or_quoted_clause(&words)
                )
            }
            Some(last) => format!(
                " What ended it was not confirmed. The last thing that was tried before its end, at {}: {} ({}).",
                at(last),
                text(last),
                last.effect()
            ),
            None => match self.mitigations.iter().find(|m| recurred.is_none_or(|since| m.at >= since)) {
                Some(later) => format!(
                    " What ended it was not confirmed. This was tried, at {}: {} ({}).",
                    at(later),
                    text(later),
                    later.effect()
                ),
                None => " What ended it was not recorded.".to_owned(),
            },
        }
    }

    /// The mitigation that ended it, as its readings say.
    pub(crate) fn credited(&self) -> Option<&TriedMitigation> {
        let recurred = self.reopened.last().map(|(at, _)| *at);
        self.mitigations.iter().rfind(|m| m.worked && m.done && recurred.is_none_or(|since| m.at >= since))
    }

    /// The missing parts of the post-mortem, each with a remedy.
    fn find_missing(&self) -> Vec<Missing> {
        let mut out = Vec::new();
        let mut need = |ok: bool, section: &'static str, what: &str, remedy: Remedy| {
            if !ok {
                out.push(Missing { section, what: what.to_owned(), remedy: Some(remedy) });
            }
        };
        need(self.owner.is_some(), "Header", "the owner (assign an incident commander)", Remedy::AssignRole);
        need(
            self.durations.mitigate_secs.is_some(),
            "Impact",
            "when the impact ended (set the status to mitigated)",
            Remedy::SetStatus,
        );
        need(!self.findings.is_empty(), "Detection", "an investigation (run warroom investigate)", Remedy::Investigate);
        need(
            self.durations.acknowledge_secs.is_some(),
            "Response",
            "when the incident was acknowledged (acknowledge it)",
            Remedy::Acknowledge,
        );
        need(
            !self.hypotheses.is_empty() || self.draft.is_some(),
            "Trigger, fault and contributing factors",
            "the cause (add a hypothesis, or ask the postmortem prompt)",
            Remedy::Hypothesis,
        );
        need(
            self.durations.resolve_secs.is_some(),
            "Resolution and recovery",
            "the resolution (set the status to resolved)",
            Remedy::SetStatus,
        );
        for (kind, what) in [
            (NoteKind::WentWell, "what went well (a note with --kind went-well)"),
            (NoteKind::WentBadly, "what went badly (a note with --kind went-badly)"),
        ] {
            // Lessons of older journals have no kind.
            need(self.lessons.iter().any(|l| l.kind == kind || l.kind == NoteKind::Lesson), "Lessons", what, Remedy::Lesson);
        }
        need(!self.action_items.is_empty(), "Action items", "at least one action item", Remedy::ActionItem);
        for item in &self.action_items {
            if item.scope == crate::incident::ActionScope::FollowUp && item.state.is_open() {
                need(
                    item.owner.is_some() && item.due.is_some(),
                    "Action items",
                    &format!("the owner and due date of {}", item.id),
                    Remedy::ActionItems,
                );
            }
        }
        for fault in self.order_faults.iter().filter(|f| f.exception.is_none()) {
            need(false, "Header", &format!("times in order, or the reason why they are not: {}", fault.message), Remedy::SetTime);
        }
        need(self.impact.is_described(), "Impact", "impact and scope (run warroom incident impact)", Remedy::Impact);
        let improves_response = self
            .action_items
            .iter()
            .any(|a| matches!(a.kind, crate::incident::ActionKind::Detect | crate::incident::ActionKind::Process));
        need(
            self.action_items.is_empty() || improves_response,
            "Action items",
            "at least one item that improves detection or response",
            Remedy::ActionItem,
        );
        for (seq, text) in &self.todos {
            need(
                false,
                "Action items",
                &format!("an action item for the TODO in entry {seq}, or a decision to drop it: {text}"),
                Remedy::ActionItem,
            );
        }
        need(
            !self.factors.is_empty(),
            "Trigger, fault and contributing factors",
            "what made it possible, or worse (a note with --kind factor)",
            Remedy::Lesson,
        );
        need(self.questions.is_empty(), "Open questions", &count(self.questions.len(), "open question"), Remedy::Lesson);
        out
    }
}

/// Whether a person gave it a severity, when it was declared or later.
fn is_severity_given(incident: &Incident) -> bool {
    incident
        .entries
        .iter()
        .any(|e| matches!(&e.fact, Fact::IncidentDeclared { severity_given: true, .. } | Fact::SeverityChanged { .. }))
}

/// Hypotheses that were supported and refuted later.
fn believed(incident: &Incident) -> BTreeMap<u64, (Timestamp, Timestamp)> {
    let mut since: BTreeMap<u64, Timestamp> = BTreeMap::new();
    let mut out = BTreeMap::new();
    for entry in incident.entries.iter().filter(|e| !incident.undone.contains(&e.seq)) {
        match &entry.fact {
            Fact::HypothesisJudged { seq, verdict: Verdict::Supported, .. } => {
                since.insert(*seq, entry.at);
            }
            Fact::HypothesisJudged { seq, verdict: Verdict::Refuted, .. } => {
                out.extend(since.remove(seq).map(|from| (*seq, (from, entry.at))));
            }
            _ => {}
        }
    }
    out
}

/// The impact of the incidents that were merged into this one, as they had it.
fn absorbed_impact(incident: &Incident) -> Vec<(crate::incident::IncidentId, String)> {
    let of = |e: &Entry| match &e.fact {
        Fact::Absorbed { from, impact: Some(impact), .. } if incident.absorbed.contains(from) => Some((*from, impact.clone())),
        _ => None,
    };
    incident.entries.iter().filter_map(of).collect()
}

/// The evidence that is current, and what entries, hypotheses and decisions cite of the rest.
fn shown_evidence(incident: &Incident) -> impl Iterator<Item = &EvidenceRecord> {
    let mut cited: BTreeSet<EvidenceId> = incident.current_evidence().map(|e| e.id).collect();
    let entries = incident.entries.iter().filter(|e| !e.fact.is_detail() && !matches!(e.fact, Fact::Investigated { .. }));
    for entry in entries {
        cited.extend(citations::tagged(&incident.entry_text(entry)));
        cited.extend(entry.fact.evidence());
    }
    incident.evidence.iter().filter(move |e| cited.contains(&e.id))
}

/// What blames someone in the lessons, causes and action items, as something that is missing: other words.
fn blamed(report: &Report, incident: &Incident) -> Vec<Missing> {
    let names = crate::comms::names_of(incident);
    let lessons = report.lessons.iter().map(|l| ("Lessons", l.text.as_str()));
    let causes = report.hypotheses.iter().map(|h| h.text.as_str()).chain(report.factors.iter().map(String::as_str));
    let causes = causes.map(|text| ("Trigger, fault and contributing factors", text));
    let blames = |text: &str| {
        let hits = crate::comms::blameless(text, &names);
        hits.into_iter().find(|h| matches!(h.kind, crate::comms::HitKind::Person | crate::comms::HitKind::Blame))
    };
    lessons
        .chain(causes)
        .filter_map(|(section, text)| {
            let hit = blames(text)?;
            Some(Missing { section, what: format!("words that blame no one, instead of “{}”", hit.text), remedy: None })
        })
        .collect()
}

/// Whether a text says that there was nothing.
pub(crate) fn is_none(text: &str) -> bool {
    matches!(text.trim().trim_end_matches('.').to_lowercase().as_str(), "none" | "no" | "nothing" | "no data" | "keine" | "n/a")
}

/// The texts of entries that were not undone, with their times.
fn entries_of(incident: &Incident, text: impl Fn(&Fact) -> Option<String>) -> Vec<(Timestamp, String)> {
    let valid = incident.timeline().into_iter().filter(|e| !incident.undone.contains(&e.seq));
    valid.filter_map(|e| Some((e.at, text(&e.fact)?))).collect()
}

fn cancelled(incident: &Incident) -> Option<(Timestamp, String)> {
    if incident.head.status != crate::incident::Status::Cancelled {
        return None;
    }
    let found = entries_of(incident, |f| match f {
        Fact::StatusChanged { to: crate::incident::Status::Cancelled, reason, .. } => Some(reason.clone().unwrap_or_default()),
        _ => None,
    });
    found.into_iter().next_back()
}

/// The descriptions of the impact before the last one, each with its time.
fn earlier_impact(incident: &Incident) -> Vec<(Timestamp, String)> {
    let mut all = entries_of(incident, |f| match f {
        Fact::ImpactChanged { text: Some(text), users, .. } => {
            let users = users.as_ref().map_or_else(String::new, |u| format!(" (affected: {u})"));
            Some(format!("{}{users}", text.trim_end_matches('.')))
        }
        _ => None,
    });
    all.pop();
    all
}

/// The reason for the severity at the peak, as people gave it.
fn severity_reason(incident: &Incident) -> Option<String> {
    let peak = incident.peak_severity();
    incident.severities.iter().rev().filter(|s| s.severity == peak).find_map(|s| s.reason.clone())
}

/// `DATE SERVICES: TITLE`, with the date on which the impact started.
fn title(incident: &Incident, services: &[String]) -> String {
    let services = if services.is_empty() { String::new() } else { format!("{}: ", services.join(", ")) };
    let text = incident.head.title.split(" (at ").next().unwrap_or(&incident.head.title);
    let text = crate::telemetry::clean::truncate(&prose::past(text), MAX_TITLE);
    format!("{} {services}{text}", incident.impact_started_at().date())
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

/// The lessons by kind, each kind in the order of time.
fn lessons(incident: &Incident) -> Vec<Lesson> {
    let of = |kind: NoteKind| incident.notes(kind).map(move |(e, text)| Lesson { kind, at: e.at, text: text.to_owned() });
    NoteKind::LESSONS.into_iter().flat_map(of).collect()
}

/// The playbooks that were followed, with the number of steps that were done and of all steps.
fn playbooks(incident: &Incident) -> Vec<(String, usize, usize)> {
    let done = |p: &crate::incident::PlaybookRun| p.steps.iter().filter(|s| s.state == crate::incident::StepState::Done).count();
    incident.playbooks.iter().map(|p| (p.title.clone(), done(p), p.steps.len())).collect()
}

/// Status changes that went ahead although checklist items were open.
fn overrides(incident: &Incident) -> Vec<Override> {
    let all = incident.entries.iter().filter(|e| !incident.undone.contains(&e.seq));
    all.filter_map(|e| match &e.fact {
        Fact::StatusChanged { to, override_reason: Some(reason), open, .. } if !open.is_empty() => {
            let items = open.iter().map(|item| crate::incident::gate::item_label(item).to_owned()).collect();
            Some(Override { at: e.at, status: to.word(), reason: reason.clone(), items })
        }
        _ => None,
    })
    .collect()
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
        unsupported: a.claims.iter().filter(|c| c.is_flagged()).map(|c| format!("{}: {}", c.state.word(), c.text)).collect(),
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
            text: row_text(incident, e),
            evidence: e.fact.evidence(),
            backdated: e.is_backdated(),
            corrected: incident.corrections.contains_key(&e.seq),
            original: incident.corrections.contains_key(&e.seq).then(|| e.fact.sentence()),
            gap_before_secs: None,
            is_bookkeeping: is_bookkeeping(incident, e),
            alert: match &e.fact {
                Fact::AlertFired { fingerprint, name } | Fact::AlertResolved { fingerprint, name } => {
                    let alert = incident.alerts.iter().find(|a| a.fingerprint == *fingerprint);
                    Some(alert.map_or_else(|| name.clone(), LinkedAlert::label))
                }
                _ => None,
            },
        })
        .collect();
    let alert_evidence: Option<EvidenceId> = incident.current_evidence().find(|e| e.kind == EvidenceKind::Alerts).map(|e| e.id);
    let mut add_system_row = |at: Timestamp, kind: &'static str, text: String, alert: Option<String>| {
        rows.push(TimelineRow {
            seq: 0,
            at,
            recorded_at: at,
            actor: "warroom".to_owned(),
            actor_kind: ActorKind::System,
            kind,
            text,
            evidence: if kind == "moment" { Vec::new() } else { alert_evidence.into_iter().collect() },
            backdated: false,
            corrected: false,
            original: None,
            gap_before_secs: None,
            is_bookkeeping: alert.is_none() && kind != "moment",
            alert,
        });
    };
    let assumed = incident.assumed_milestones();
    let is_incident = incident.head.status != crate::incident::Status::Cancelled;
    let noticed = Some(incident.detected_at()).filter(|_| incident.alerts.is_empty());
    let moments = [
        (Some(incident.impact_started_at()), "impact_started_at", "The impact began"),
        (noticed, "detected_at", "The incident was noticed"),
        (incident.mitigated_at, "mitigated_at", "The impact ended"),
    ];
    for (at, _, text) in moments.into_iter().filter(|(_, field, _)| is_incident && !assumed.contains(field)) {
        if let Some(at) = at {
            add_system_row(at, "moment", text.to_owned(), None);
        }
    }
    for alert in &incident.alerts {
        if let Some(at) = alert.pending_since.filter(|p| Some(*p) != alert.starts_at) {
            add_system_row(at, "condition_true", format!("condition of {} became true", alert.label()), None);
        }
        if let Some(at) = alert.starts_at {
            add_system_row(at, "alert_fired", format!("alert {} fired", alert.label()), Some(alert.label()));
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

/// An entry in the words of the timeline for people.
fn row_text(incident: &Incident, e: &Entry) -> String {
    match &e.fact {
        Fact::StatusChanged { from, to, override_reason: Some(why), .. } => {
            format!("Status changed from {from} to {to}: {why}")
        }
        Fact::HypothesisJudged { seq, verdict, reason } => {
            let text = incident.hypotheses.iter().find(|h| h.seq == *seq).map_or("", |h| h.text.as_str());
            format!("Hypothesis {}: {text}. Reason: {reason}", verdict.word())
        }
        Fact::UpdatePublished { audience, .. } => {
            let readers = readers(*audience);
            let text = incident.entry_text(e);
            let text = text.split_once("): ").map_or(text.as_str(), |(_, text)| text);
            format!("Update to {readers}: {}", text.lines().next().unwrap_or_default())
        }
        Fact::Investigated { findings, window, .. } => match findings.first() {
            Some(first) => format!("Investigated {}: {}", window.label(), first.title.replace("<*>", "…")),
            None => format!("Investigated {}: nothing was found", window.label()),
        },
        _ => incident.entry_text(e),
    }
}

/// Who reads an update.
pub(crate) fn readers(audience: Audience) -> &'static str {
    match audience {
        Audience::Internal => "responders",
        Audience::Executive => "executives",
        Audience::External => "customers",
    }
}

/// Whether an entry is bookkeeping: ticks, links, to-dos, changes of action items, corrections (which their entry shows), and readings of the
/// exit criteria with the same result as before.
fn is_bookkeeping(incident: &Incident, entry: &Entry) -> bool {
    match &entry.fact {
        Fact::GateTicked { .. }
        | Fact::AlertLinked { .. }
        | Fact::ActionChanged { .. }
        | Fact::Corrected { .. }
        | Fact::ExitCriteriaSet { .. }
        | Fact::StepStarted { .. }
        | Fact::SendStarted { .. }
        // The moment that was set is a row of its own.
        | Fact::TimeSet { .. }
        | Fact::ReviewChanged { .. }
        | Fact::DiagnosisGraded { .. } => true,
        Fact::AiRun { answer } => answer.source == AnswerSource::Rules,
        Fact::Note { note_kind, .. } => {
            matches!(note_kind, NoteKind::Question | NoteKind::Factor) || NoteKind::LESSONS.contains(note_kind)
        }
        Fact::ActionAdded { scope, .. } => *scope == crate::incident::ActionScope::FollowUp,
        Fact::ActionDone { id, .. } => incident.action(*id).is_some_and(|a| a.scope == crate::incident::ActionScope::FollowUp),
        Fact::ExitRead { reading, .. } => {
            let before = incident.readings.iter().rev().find(|r| r.seq < entry.seq);
            before.is_some_and(|r| r.reading.met == reading.met)
        }
        _ => false,
    }
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
