//! The eight milestones of an incident and their expected order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A milestone in an incident's lifecycle. Every milestone but the declaration may be unknown, and each can be set by hand later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    ImpactStarted,
    Detected,
    Declared,
    Acknowledged,
    Identified,
    Mitigated,
    Resolved,
    Closed,
}

impl Milestone {
    /// All milestones, in lifecycle order.
    pub const ALL: [Self; 8] = [
        Self::ImpactStarted,
        Self::Detected,
        Self::Declared,
        Self::Acknowledged,
        Self::Identified,
        Self::Mitigated,
        Self::Resolved,
        Self::Closed,
    ];

    /// Milestones that must be in order: `impact_started <= detected <= acknowledged <= mitigated <= resolved <= closed`.
    ///
    /// `declared` is not included because it may come before or after the acknowledgement, and neither is `identified`, because
    /// a cause may be found after the impact has ended.
    pub const CHAIN: [Self; 6] =
        [Self::ImpactStarted, Self::Detected, Self::Acknowledged, Self::Mitigated, Self::Resolved, Self::Closed];

    /// The word for this milestone as typed on the command line and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::ImpactStarted => "impact_started",
            Self::Detected => "detected",
            Self::Declared => "declared",
            Self::Acknowledged => "acknowledged",
            Self::Identified => "identified",
            Self::Mitigated => "mitigated",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }

    /// The label to display: `Impact started`. Within a sentence, the [`fmt::Display`] form is used: `impact started`.
    pub fn title(self) -> &'static str {
        match self {
            Self::ImpactStarted => "Impact started",
            Self::Detected => "Detected",
            Self::Declared => "Declared",
            Self::Acknowledged => "Acknowledged",
            Self::Identified => "Identified",
            Self::Mitigated => "Mitigated",
            Self::Resolved => "Resolved",
            Self::Closed => "Closed",
        }
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title().to_lowercase())
    }
}

impl FromStr for Milestone {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        let word = word.strip_suffix("_at").unwrap_or(&word);
        Self::ALL.into_iter().find(|m| m.word() == word).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|m| m.word()).collect();
            format!("'{text}' is not a milestone; use {}", words.join(", "))
        })
    }
}

/// The definition of each duration, printed with every report of durations: "MTTR" alone has four common meanings.
pub const DEFINITIONS: [(&str, &str); 4] = [
    ("time to detect", "from the start of the impact to the first alert that fired, or to the declaration if none did"),
    ("time to acknowledge", "from detection to acknowledgement"),
    ("time to mitigate", "from the start of the impact until the impact was contained"),
    ("time to resolve", "from the start of the impact until the service was restored"),
];
