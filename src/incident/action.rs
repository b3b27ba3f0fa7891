//! Action items: what is to be done so that it does not happen again.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::ActionId;

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

/// Whether it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionState {
    Open,
    Done,
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
}
