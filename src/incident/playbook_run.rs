//! The state of playbooks in an incident: who did which step, when, and with what result.

use serde::{Deserialize, Serialize};

use super::ids::EvidenceId;
use crate::telemetry::Timestamp;

/// The state of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    #[default]
    Waiting,
    /// Begun, without a result so far: it is running, or it was interrupted and its outcome is unknown.
    Started,
    Done,
    Skipped,
    Failed,
}

impl StepState {
    /// The word to display.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Started => "started",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// Whether there is nothing left to do in the step.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

/// The result of a block that was run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockResult {
    /// `promql`, `logql`, `http` or `sh`.
    pub kind: String,
    /// What was run, with its variables.
    pub text: String,
    /// The exit code of a script; `None` if it was ended by a signal or its timeout, and for other kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The result in one line.
    pub summary: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceId>,
    /// Whether what must hold afterwards did; `None` if nothing was to be checked, or it could not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// How long it took.
    #[serde(default)]
    pub secs: f64,
}

/// A step of a playbook in an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    pub title: String,
    pub state: StepState,
    /// Who changed the state last; `None` while it waits.
    pub by: Option<String>,
    pub at: Option<Timestamp>,
    /// Why it was skipped, or what went wrong.
    pub reason: Option<String>,
    pub blocks: Vec<BlockResult>,
}

/// A playbook in an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaybookRun {
    /// The ID of the playbook.
    pub playbook: String,
    pub title: String,
    pub started_at: Timestamp,
    pub started_by: String,
    pub steps: Vec<StepRecord>,
}

impl PlaybookRun {
    /// The index of the first step that is not over.
    pub fn next(&self) -> Option<usize> {
        self.steps.iter().position(|s| !s.state.is_over())
    }

    /// The steps that failed, or whose check did not hold, with their numbers.
    pub fn failed(&self) -> impl Iterator<Item = (usize, &StepRecord)> {
        self.steps.iter().enumerate().map(|(n, s)| (n + 1, s)).filter(|(_, s)| s.state == StepState::Failed)
    }

    /// Takes over the steps of the playbook as it is now. A step keeps its record if its title is the same.
    pub(super) fn set_steps(&mut self, titles: &[String]) {
        let mut old = std::mem::take(&mut self.steps);
        for title in titles {
            let known = old.iter().position(|s| s.title == *title);
            let record = known.map_or_else(|| StepRecord { title: title.clone(), ..StepRecord::default() }, |at| old.remove(at));
            self.steps.push(record);
        }
    }
}
