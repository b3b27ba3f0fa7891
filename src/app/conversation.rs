//! The conversation that the assistant tab shows, and what can be selected in its answers: citations, flagged sentences and
//! proposals.

use std::sync::OnceLock;

use regex::Regex;

use super::room::Room;
use crate::incident::conversation::{DRAFTS_THREAD, MAIN_THREAD, thread_of};
use crate::incident::proposal::Proposal;
use crate::incident::state::RecordedAnswer;
use crate::incident::{Claim, EvidenceId, Incident};
use crate::playbook::proposals;

/// What is selected in the assistant tab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConversationView {
    /// The thread that was chosen; `None` for that of the latest answer.
    pub thread: Option<String>,
    pub selected: Option<SpotId>,
    /// Whether the selected spot must be scrolled into view.
    pub reveals: bool,
}

/// Identifies a spot: the entry of its answer, where it begins, and its place among the spots that begin there.
pub(crate) type SpotId = (u64, usize, usize);

/// What a spot in an answer is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    Evidence(EvidenceId),
    /// A sentence that the check flagged, with its number in the answer.
    Flag(usize, Box<Claim>),
    Proposal(Box<Proposal>),
}

/// A place in an answer that can be selected.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spot {
    pub id: SpotId,
    /// The bytes of the answer that it covers.
    pub start: usize,
    pub end: usize,
    pub target: Target,
}

impl Room {
    /// The name of the shown thread.
    pub(crate) fn thread(&self) -> String {
        let latest = || {
            let answers = self.incident.iter().flat_map(|i| i.answers.iter().rev());
            answers.map(|a| thread_of(&a.answer)).find(|t| *t != DRAFTS_THREAD).unwrap_or(MAIN_THREAD).to_owned()
        };
        self.conversation.thread.clone().unwrap_or_else(latest)
    }

    /// The answers of the shown thread, oldest first.
    pub(crate) fn shown_answers(&self) -> Vec<&RecordedAnswer> {
        self.incident.as_ref().map_or_else(Vec::new, |i| i.thread_answers(&self.thread()))
    }

    /// The spots of the shown thread, in the order of the text.
    pub(crate) fn spots(&self) -> Vec<Spot> {
        let Some(incident) = &self.incident else { return Vec::new() };
        self.shown_answers().into_iter().flat_map(|a| spots_of(incident, a)).collect()
    }

    /// The selected spot.
    pub(crate) fn selected_spot(&self) -> Option<Spot> {
        let id = self.conversation.selected?;
        self.spots().into_iter().find(|s| s.id == id)
    }

    /// The answer of the selected spot, or else the latest one of the shown thread.
    pub(crate) fn selected_answer(&self) -> Option<&RecordedAnswer> {
        let answers = self.shown_answers();
        let selected = self.conversation.selected.and_then(|(seq, ..)| answers.iter().find(|a| a.seq == seq).copied());
        selected.or(answers.last().copied())
    }
}

/// The spots of an answer.
fn spots_of(incident: &Incident, recorded: &RecordedAnswer) -> Vec<Spot> {
    let text = &recorded.answer.answer;
    let mut found: Vec<(usize, usize, Target)> = Vec::new();
    for p in proposals(incident, recorded) {
        found.push((p.start, p.end, Target::Proposal(Box::new(p))));
    }
    for group in citations().find_iter(text) {
        for id in crate::incident::cited_ids(group.as_str()).into_iter().filter(|id| incident.evidence(*id).is_some()) {
            found.push((group.start(), group.end(), Target::Evidence(id)));
        }
    }
    for (n, claim) in recorded.answer.claims.iter().filter(|c| c.is_flagged()).enumerate() {
        // Claims of earlier versions have no place.
        let is_placed = claim.end > claim.start && text.get(claim.start..claim.end).is_some();
        if is_placed {
            found.push((claim.start, claim.end, Target::Flag(n + 1, Box::new(claim.clone()))));
        }
    }
    found.sort_by_key(|(start, ..)| *start);
    let mut spots: Vec<Spot> = Vec::new();
    for (start, end, target) in found {
        let nth = spots.iter().filter(|s| s.start == start).count();
        spots.push(Spot { id: (recorded.seq, start, nth), start, end, target });
    }
    spots
}

fn citations() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| Regex::new(r"\[E[^\]\n]{0,200}\]").unwrap_or_else(|e| unreachable!("{e}")))
}
