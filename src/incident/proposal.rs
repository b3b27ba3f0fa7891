//! What an answer of the assistant proposes for the incident, and what people decided about it.

use serde::{Deserialize, Serialize};

use super::action::ActionKind;
use super::command::NewMitigation;
use super::event::Verdict;
use super::ids::{parse_seq, seq_label};
use super::severity::Severity;
use super::state::Incident;
use crate::telemetry::Timestamp;

/// What is proposed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Proposed {
    /// A hypothesis about the cause.
    Hypothesis,
    /// A verdict on a hypothesis of the incident.
    Verdict {
        seq: u64,
        verdict: Verdict,
    },
    Mitigation {
        new: Box<NewMitigation>,
    },
    Action {
        action_kind: ActionKind,
    },
    /// A stakeholder update.
    Update,
    Severity {
        severity: Severity,
    },
}

impl Proposed {
    /// The label to display.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Hypothesis => "hypothesis",
            Self::Verdict { .. } => "verdict",
            Self::Mitigation { .. } => "mitigation",
            Self::Action { .. } => "action item",
            Self::Update => "update",
            Self::Severity { .. } => "severity",
        }
    }
}

/// A proposal in an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The entry of the answer.
    pub seq: u64,
    /// Its place among the proposals of the answer, from 1.
    pub number: usize,
    /// Its bytes in the answer.
    pub start: usize,
    pub end: usize,
    pub text: String,
    /// The model that wrote it.
    pub model: String,
    pub proposed: Proposed,
}

impl Proposal {
    /// Its id: `12.3` is the third proposal of entry 12.
    pub fn id(&self) -> String {
        format!("{}.{}", seq_label(self.seq), self.number)
    }
}

/// Parses the id of a proposal into its entry and number. The error is for the command line.
pub fn proposal_arg(text: &str) -> Result<(u64, usize), String> {
    let parts = text.split_once('.').and_then(|(entry, n)| Some((parse_seq(entry)?, n.parse().ok().filter(|n| *n > 0)?)));
    parts.ok_or_else(|| format!("'{text}' is not a proposal; use an id such as 12.3, the third proposal of entry 12"))
}

/// A decision about a proposal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The entry of the decision.
    pub entry: u64,
    /// The entry of the answer.
    pub seq: u64,
    /// The text of the proposal. It identifies it: places change when the ids in an answer get their final numbers.
    pub text: String,
    pub is_accepted: bool,
    /// Why it was refuted.
    pub reason: Option<String>,
    pub by: String,
    pub at: Timestamp,
}

impl Incident {
    /// What was decided about a proposal; `None` if nothing was, or if the decision was undone.
    pub fn decision_on(&self, proposal: &Proposal) -> Option<&Decided> {
        self.decided.iter().rev().find(|d| {
            // What was accepted is the entry before the decision, in the same commit; undoing it takes the decision back.
            let is_undone = d.is_accepted && d.entry.checked_sub(1).is_some_and(|effect| self.undone.contains(&effect));
            d.seq == proposal.seq && d.text == proposal.text && !is_undone
        })
    }
}
