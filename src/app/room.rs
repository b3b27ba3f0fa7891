//! The state of the incident room: the incident, the open tab, the selections, and the question being answered. Also the
//! rows that each tab lists.

use std::collections::BTreeMap;

use super::action::{Action, Context};
use super::conversation::ConversationView;
use super::filter::Filter;
use super::overview::OverviewView;
use crate::analysis::Pattern;
use crate::analysis::patterns::sort_key;
use crate::comms::{Draft, Stage};
use crate::evidence::Body;
use crate::incident::{
    ActorKind, Audience, CitedSuspect, Entry, EvidenceId, EvidenceKind, EvidenceRecord, Incident, IncidentId, SourceStatus,
};
use crate::playbook::{Library, Playbook, matches};
use crate::postmortem::MissingPart;
use crate::telemetry::Timestamp;

/// The largest number of suspects that the screen lists.
pub(crate) const MAX_SUSPECTS: usize = 12;

/// The tabs of the incident room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    #[default]
    Overview,
    Timeline,
    Signals,
    Logs,
    Assistant,
    Playbook,
    Actions,
    Updates,
    Report,
}

impl Tab {
    /// Every tab, in order.
    pub(crate) const ALL: [Self; 9] = [
        Self::Overview,
        Self::Timeline,
        Self::Signals,
        Self::Logs,
        Self::Assistant,
        Self::Playbook,
        Self::Actions,
        Self::Updates,
        Self::Report,
    ];

    /// The number and the name in the tab bar.
    pub(crate) fn label(self) -> (char, &'static str) {
        match self {
            Self::Overview => ('1', "Overview"),
            Self::Timeline => ('2', "Timeline"),
            Self::Signals => ('3', "Signals"),
            Self::Logs => ('4', "Logs"),
            Self::Assistant => ('5', "Assistant"),
            Self::Playbook => ('6', "Playbook"),
            Self::Actions => ('7', "Actions"),
            Self::Updates => ('8', "Updates"),
            Self::Report => ('9', "Report"),
        }
    }

    /// The name in the tab bar of a narrow terminal, so that all fit into 80 columns.
    pub(crate) fn short_name(self) -> &'static str {
        match self {
            Self::Overview => "Over",
            Self::Timeline => "Time",
            Self::Assistant => "Assist",
            Self::Playbook => "Play",
            other => other.label().1,
        }
    }

    /// The context whose keys apply on this tab.
    pub(crate) fn context(self) -> Context {
        match self {
            Self::Overview => Context::Overview,
            Self::Timeline => Context::Timeline,
            Self::Signals => Context::Signals,
            Self::Logs => Context::Logs,
            Self::Assistant => Context::Assistant,
            Self::Playbook => Context::Playbook,
            Self::Actions => Context::Actions,
            Self::Updates => Context::Updates,
            Self::Report => Context::Report,
        }
    }

    /// The tab `by` steps to the right; wraps around.
    pub(crate) fn step(self, by: isize) -> Self {
        let at = Self::ALL.iter().position(|t| *t == self).unwrap_or(0);
        let length = Self::ALL.len().cast_signed();
        let next = (at.cast_signed() + by).rem_euclid(length);
        Self::ALL.get(next.cast_unsigned()).copied().unwrap_or_default()
    }
}

/// Which entries the timeline shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EntryFilter {
    #[default]
    All,
    People,
    Models,
    Warroom,
    Decisions,
}

impl EntryFilter {
    /// The next filter; wraps around.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::All => Self::People,
            Self::People => Self::Models,
            Self::Models => Self::Warroom,
            Self::Warroom => Self::Decisions,
            Self::Decisions => Self::All,
        }
    }

    /// The label in the title of the timeline.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::People => "people only",
            Self::Models => "models only",
            Self::Warroom => "warroom only",
            Self::Decisions => "decisions only",
        }
    }

    fn includes(self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::People => entry.actor.kind == ActorKind::Human,
            Self::Models => entry.actor.kind == ActorKind::Ai,
            Self::Warroom => entry.actor.kind == ActorKind::System,
            Self::Decisions => entry.fact.kind() == "decision",
        }
    }
}

/// A row of the actions tab, by its position among its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActionRow {
    Card(usize),
    Item(usize),
}

/// The status of a question that the user has cancelled.
pub(crate) const CANCELLING: &str = "cancelling";

/// A question that is being answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Streaming {
    /// The number of the question. Answers to other questions are ignored.
    pub request: u64,
    pub question: String,
    pub text: String,
    pub status: String,
    /// When the model was asked.
    pub asked: Option<Timestamp>,
    /// How long its answers usually take; `None` if that is not known.
    pub expected: Option<std::time::Duration>,
}

impl Streaming {
    /// How long the answer has taken, beside what is usual, such as `8 s of about 12 s`; empty before a model was asked.
    pub(crate) fn progress(&self, now: Timestamp) -> String {
        let Some(asked) = self.asked else { return String::new() };
        let (taken, usual) = (now.since(asked).as_secs(), self.expected.map(|d| d.as_secs_f64().ceil() as u64));
        match usual {
            Some(usual) if taken <= usual => format!("{taken} s of about {usual} s"),
            Some(usual) => format!("{taken} s, usually {usual} s"),
            None => format!("{taken} s"),
        }
    }
}

/// The state of the incident room.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub id: IncidentId,
    /// `None` until the journal has answered.
    pub incident: Option<Incident>,
    pub bodies: BTreeMap<String, Body>,
    pub tab: Tab,
    /// The sequence number of the selected timeline entry; `None` selects the last one.
    pub entry: Option<u64>,
    /// The selected evidence item.
    pub evidence: Option<EvidenceId>,
    /// The playbook that was chosen; `None` for the one that was begun last, or matches best.
    pub playbook: Option<String>,
    /// The position of the selected step.
    pub step: usize,
    /// Values of variables that the user has set.
    pub values: BTreeMap<String, String>,
    /// The position of the selected row of the actions tab: the mitigations, then the action items.
    pub action: usize,
    /// The position of the selected log pattern.
    pub pattern: usize,
    /// The position of the selected suspect; `None` if an evidence item is selected instead.
    pub suspect: Option<usize>,
    /// Whether the logs tab shows lines even if there are patterns.
    pub show_lines: bool,
    /// What is selected and unfolded in the overview.
    pub overview: OverviewView,
    /// The evidence that stays visible beside every tab.
    pub pinned: Option<EvidenceId>,
    /// The scroll offset of overview, assistant and report, in lines.
    pub scroll: usize,
    /// Whether the timeline shows evidence entries.
    pub show_details: bool,
    pub entry_filter: EntryFilter,
    pub filter: String,
    pub streaming: Option<Streaming>,
    /// What is shown and selected in the assistant tab.
    pub conversation: ConversationView,
    /// The progress message of a running investigation; `None` if none is running.
    pub investigating: Option<String>,
    /// A summary of what the next question would send to the model.
    pub plan: Option<String>,
    pub report: Option<String>,
    /// What is missing in the report.
    pub missing: Vec<MissingPart>,
    /// The draft of an update, or why there is none.
    pub draft: Option<Result<Draft, String>>,
    /// What is done with the draft as soon as it is there.
    pub when_drafted: Option<Action>,
    pub draft_audience: Audience,
    /// The stage that the user chose; `None` for that of the status.
    pub draft_stage: Option<Stage>,
}

impl Room {
    /// The room of an incident that has not been read yet.
    pub(crate) fn new(id: IncidentId) -> Self {
        Self {
            id,
            incident: None,
            bodies: BTreeMap::new(),
            tab: Tab::Overview,
            entry: None,
            evidence: None,
            playbook: None,
            step: 0,
            values: BTreeMap::new(),
            action: 0,
            pattern: 0,
            suspect: Some(0),
            show_lines: false,
            overview: OverviewView::default(),
            pinned: None,
            scroll: 0,
            show_details: false,
            entry_filter: EntryFilter::All,
            filter: String::new(),
            streaming: None,
            conversation: ConversationView::default(),
            investigating: None,
            plan: None,
            report: None,
            missing: Vec::new(),
            draft: None,
            when_drafted: None,
            draft_audience: Audience::Internal,
            draft_stage: None,
        }
    }

    /// Marks the question that is being answered as cancelled.
    pub(crate) fn streaming_is_cancelled(&mut self) {
        if let Some(s) = &mut self.streaming {
            CANCELLING.clone_into(&mut s.status);
        }
    }

    /// Whether `esc` clears something here: a filter, a search, a selection, or a question that is being answered.
    pub(crate) fn can_go_back(&self, logs: &super::logs::Logs) -> bool {
        let is_in_logs = self.tab == Tab::Logs && !(logs.search.is_empty() && logs.filter.is_empty() && logs.history.is_none());
        let is_selected = self.tab == Tab::Assistant && self.conversation.selected.is_some();
        self.streaming.is_some() || !self.filter.is_empty() || is_in_logs || is_selected
    }

    /// The open playbook: the one that was chosen, or else was begun last, or else matches the alerts best.
    pub(crate) fn open_playbook<'a>(&self, library: &'a Library) -> Option<&'a Playbook> {
        if let Some(chosen) = self.playbook.as_ref().and_then(|id| library.get(id)) {
            return Some(chosen);
        }
        let incident = self.incident.as_ref()?;
        let begun = incident.playbooks.iter().rev().find_map(|p| library.get(&p.playbook));
        begun.or_else(|| matches(library, &incident.alerts).first().map(|m| m.playbook))
    }

    /// The selected row of the actions tab; `None` if there is none.
    pub(crate) fn action_row(&self) -> Option<ActionRow> {
        let incident = self.incident.as_ref()?;
        let (cards, items) = (incident.cards.len(), incident.actions.len());
        match self.action.min((cards + items).checked_sub(1)?) {
            n if n < cards => Some(ActionRow::Card(n)),
            n => Some(ActionRow::Item(n - cards)),
        }
    }

    /// The entries that the timeline shows, oldest first.
    pub(crate) fn shown_entries(&self) -> Vec<&Entry> {
        let Some(incident) = &self.incident else { return Vec::new() };
        let filter = Filter::new(&self.filter);
        incident
            .timeline()
            .into_iter()
            .filter(|e| self.show_details || !e.fact.is_detail())
            .filter(|e| self.entry_filter.includes(e))
            // Building the text of every entry is slow in a long timeline, so skip it without a filter.
            .filter(|e| {
                self.filter.is_empty()
                    || filter.matches(&format!("{} {} {}", e.actor.name, e.fact.kind(), incident.entry_text(e)).to_lowercase())
            })
            .collect()
    }

    /// The evidence that the signals tab lists: first what the findings cite, in their order, then the rest by number.
    pub(crate) fn shown_evidence(&self) -> Vec<EvidenceId> {
        let Some(incident) = &self.incident else { return Vec::new() };
        let mut order: Vec<EvidenceId> =
            incident.investigation.iter().flat_map(|i| i.findings.iter().flat_map(|f| f.evidence.iter().copied())).collect();
        order.extend(incident.current_evidence().map(|e| e.id));
        let mut seen = std::collections::BTreeSet::new();
        order.retain(|id| seen.insert(*id) && incident.evidence(*id).is_some());
        if !self.filter.is_empty() {
            let filter = Filter::new(&self.filter);
            order.retain(|id| {
                let text = |e: &EvidenceRecord| format!("{} {} {} {}", e.id, e.source, e.query, e.summary).to_lowercase();
                incident.evidence(*id).is_some_and(|e| filter.matches(&text(e)))
            });
        }
        order
    }

    /// The log patterns of the last investigation that match a filter, each with its evidence record, the most significant
    /// change first.
    pub(crate) fn patterns(&self, filter: &str) -> Vec<(&EvidenceRecord, &Pattern)> {
        let Some((incident, investigation)) = self.incident.as_ref().and_then(|i| Some((i, i.investigation.as_ref()?))) else {
            return Vec::new();
        };
        let filter = (!filter.is_empty()).then(|| Filter::new(filter));
        let mut all: Vec<(&EvidenceRecord, &Pattern)> = Vec::new();
        // Use only the most recent evidence of each source.
        let mut seen = std::collections::BTreeSet::new();
        let current: Vec<&EvidenceRecord> = incident.current_evidence().collect();
        for record in current.into_iter().rev().filter(|e| e.kind == EvidenceKind::Patterns) {
            if record.window.end > investigation.window.end || !seen.insert(record.source.as_str()) {
                continue;
            }
            if let Some(Body::Patterns { patterns, .. }) = self.bodies.get(&record.digest) {
                all.extend(patterns.iter().map(|p| (record, p)));
            }
        }
        all.retain(|(_, p)| filter.as_ref().is_none_or(|f| f.matches_with(&pattern_text(p), *p)));
        all.sort_by_key(|(_, p)| sort_key(p));
        all
    }

    /// The sources that failed in the last investigation while their earlier patterns are still shown, each with the end of
    /// the window of those patterns.
    pub(crate) fn stale_patterns(&self) -> Vec<(&str, Timestamp)> {
        let Some(investigation) = self.incident.as_ref().and_then(|i| i.investigation.as_ref()) else { return Vec::new() };
        let has_failed = |name: &str| investigation.sources.iter().any(|s| s.name == name && s.status == SourceStatus::Failed);
        let mut found: Vec<(&str, Timestamp)> = Vec::new();
        for (record, _) in self.patterns("") {
            let is_old = record.window.end < investigation.window.end;
            if is_old && has_failed(&record.source) && !found.iter().any(|(name, _)| *name == record.source) {
                found.push((&record.source, record.window.end));
            }
        }
        found
    }

    /// Whether the logs tab shows patterns rather than lines.
    pub(crate) fn shows_patterns(&self) -> bool {
        !self.show_lines && !self.patterns("").is_empty()
    }

    /// The suspects of the last investigation that match the filter, at most [`MAX_SUSPECTS`].
    pub(crate) fn suspects(&self) -> Vec<&CitedSuspect> {
        let Some(investigation) = self.incident.as_ref().and_then(|i| i.investigation.as_ref()) else { return Vec::new() };
        let filter = Filter::new(&self.filter);
        let matches = |s: &CitedSuspect| {
            self.filter.is_empty()
                || filter.matches(&format!("{} {}", s.service.as_deref().unwrap_or(""), s.title).to_lowercase())
        };
        investigation.suspects.iter().filter(|s| matches(s)).take(MAX_SUSPECTS).collect()
    }

    /// The selected suspect; `None` if an evidence item is selected.
    pub(crate) fn selected_suspect(&self) -> Option<&CitedSuspect> {
        let suspects = self.suspects();
        let place = self.suspect?.min(suspects.len().checked_sub(1)?);
        suspects.get(place).copied()
    }

    /// The selected evidence item or, if a suspect is selected, its first evidence.
    pub(crate) fn selected_evidence(&self) -> Option<EvidenceId> {
        match self.selected_suspect() {
            Some(suspect) => suspect.evidence.first().copied(),
            None => self.shown_evidence().get(self.evidence_position()).copied(),
        }
    }

    /// The position of the selected timeline entry; the last one if none is selected.
    pub(crate) fn entry_position(&self) -> usize {
        let shown = self.shown_entries();
        let last = shown.len().saturating_sub(1);
        self.entry.and_then(|seq| shown.iter().position(|e| e.seq == seq)).unwrap_or(last)
    }

    /// The position of the selected evidence item; 0 if none is selected.
    pub(crate) fn evidence_position(&self) -> usize {
        let shown = self.shown_evidence();
        self.evidence.and_then(|id| shown.iter().position(|e| *e == id)).unwrap_or(0)
    }
}
/// The text that filter and search match, in lower case.
pub(crate) fn pattern_text(p: &Pattern) -> String {
    let level = p.level.map_or("", |l| l.word());
    format!("{} {level} {} {} {}", p.change.word(), p.services.join(" "), p.template, p.sample).to_lowercase()
}
