//! The eight moments of an incident's life, and the order in which they should lie.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A moment that is measured. All but the declaration may be unknown; each may be set by hand afterwards.
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
    /// All eight, in the order of an incident's life.
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

    /// The chain that must not run backwards: `impact_started <= detected <= acknowledged <= mitigated <= resolved <= closed`.
    /// The declaration may come before or after the acknowledgement, and a cause may be found after the harm has stopped, so
    /// these two are outside of it.
    pub const CHAIN: [Self; 6] =
        [Self::ImpactStarted, Self::Detected, Self::Acknowledged, Self::Mitigated, Self::Resolved, Self::Closed];

    /// The word as typed and stored.
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

    /// The words for a person: `impact started`.
    pub fn title(self) -> &'static str {
        match self {
            Self::ImpactStarted => "impact started",
            other => other.word(),
        }
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

impl FromStr for Milestone {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        let word = word.strip_suffix("_at").unwrap_or(&word);
        Self::ALL.into_iter().find(|m| m.word() == word).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|m| m.word()).collect();
            format!("'{text}' is not a moment of an incident: give {}", known.join(", "))
        })
    }
}

/// How the durations are meant; printed wherever they are. "MTTR" alone has four readings in the field.
pub const DEFINITIONS: [(&str, &str); 4] = [
    ("time to detect", "from the start of the impact to the first alert that fired (or the declaration)"),
    ("time to acknowledge", "from the detection to the acknowledgement"),
    ("time to mitigate", "from the start of the impact until it was contained"),
    ("time to resolve", "from the start of the impact until the service was restored"),
];
