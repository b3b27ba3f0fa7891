//! Action items: a task for a named person while the incident lasts, or what is to be done afterwards so that it does not
//! happen again. One kind of thing with one numbering; the scope tells the two apart.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::ActionId;
use crate::telemetry::Timestamp;

/// What an action item is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    Prevent,
    Mitigate,
    Detect,
    Process,
}

impl ActionKind {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Prevent, Self::Mitigate, Self::Detect, Self::Process];

    /// The word as typed and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prevent => "prevent",
            Self::Mitigate => "mitigate",
            Self::Detect => "detect",
            Self::Process => "process",
        }
    }
}

impl FromStr for ActionKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|k| k.word() == text.trim().to_ascii_lowercase())
            .ok_or_else(|| format!("'{text}' is not a kind of action: give prevent, mitigate, detect or process"))
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    #[default]
    Open,
    InProgress,
    Done,
    /// Decided not to do, with the reason in its result.
    Dropped,
}

impl ActionState {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Open, Self::InProgress, Self::Done, Self::Dropped];

    /// The word as typed, stored and printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }

    /// Whether somebody still has to do it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::InProgress)
    }
}

impl FromStr for ActionState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        Self::ALL
            .into_iter()
            .find(|s| s.word() == word)
            .ok_or_else(|| format!("'{text}' is not a state of an action: give open, in-progress, done or dropped"))
    }
}

/// When it is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionScope {
    /// After the incident.
    #[default]
    FollowUp,
    /// Now: a task for somebody who reports back.
    Incident,
}

impl ActionScope {
    /// The word as typed, stored and printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::FollowUp => "follow-up",
            Self::Incident => "incident",
        }
    }
}

impl FromStr for ActionScope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "follow-up" | "followup" => Ok(Self::FollowUp),
            "incident" | "now" => Ok(Self::Incident),
            _ => Err(format!("'{text}' is not a scope: give incident or follow-up")),
        }
    }
}

/// An action item. `owner`, `due` (a date, `2026-12-01`) and `priority` (`P1` to `P4`) may be unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionItem {
    pub id: ActionId,
    pub text: String,
    pub kind: ActionKind,
    pub owner: Option<String>,
    pub due: Option<String>,
    pub priority: Option<String>,
    pub state: ActionState,
    pub scope: ActionScope,
    /// The address of its ticket in a tracker.
    pub ticket: Option<String>,
    /// When the owner of a task reports back.
    pub check_back_at: Option<Timestamp>,
    /// What came of it, or why it was dropped.
    pub result: Option<String>,
    pub given_at: Timestamp,
    pub given_by: String,
    /// The incident that it came from when that became a part of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<super::ids::IncidentId>,
}

impl ActionItem {
    /// Whether it is a task whose owner should have reported by now.
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.state.is_open() && self.check_back_at.is_some_and(|at| at <= now)
    }

    /// Whether its due date (a day in UTC) has passed.
    pub fn is_overdue(&self, today: &str) -> bool {
        // Dates in this form compare as text.
        self.state.is_open() && self.due.as_deref().is_some_and(|d| d < today)
    }
}

/// What of an action item changes; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ActionKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ActionScope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_back_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ActionState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

impl ActionChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts the change into an item.
    pub fn apply(&self, item: &mut ActionItem) {
        if let Some(text) = &self.text {
            item.text.clone_from(text);
        }
        item.kind = self.kind.unwrap_or(item.kind);
        item.scope = self.scope.unwrap_or(item.scope);
        item.state = self.state.unwrap_or(item.state);
        item.check_back_at = self.check_back_at.or(item.check_back_at);
        for (new, old) in [
            (&self.owner, &mut item.owner),
            (&self.due, &mut item.due),
            (&self.priority, &mut item.priority),
            (&self.ticket, &mut item.ticket),
            (&self.result, &mut item.result),
        ] {
            if new.is_some() {
                old.clone_from(new);
            }
        }
    }

    /// `owner ben, due 2026-12-01`.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        if let Some(state) = self.state {
            parts.push(state.word().replace('_', " "));
        }
        for (name, value) in [
            ("owner", &self.owner),
            ("due", &self.due),
            ("priority", &self.priority),
            ("ticket", &self.ticket),
            ("now reads", &self.text),
        ] {
            parts.extend(value.as_ref().map(|v| format!("{name} {v}")));
        }
        parts.extend(self.kind.map(|k| format!("kind {}", k.word())));
        parts.extend(self.scope.map(|s| format!("scope {}", s.word())));
        parts.extend(self.check_back_at.map(|at| format!("reports back at {} UTC", at.clock(time::UtcOffset::UTC))));
        parts.extend(self.result.clone());
        parts.join(", ")
    }
}
