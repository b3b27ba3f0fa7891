//! Roles of the incident command.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who does what. One person may hold several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Decides and coordinates; does not fix.
    Commander,
    Deputy,
    Scribe,
    Sme,
    CustomerLiaison,
    InternalLiaison,
}

impl Role {
    /// Every role, the commander first.
    pub const ALL: [Self; 6] =
        [Self::Commander, Self::Deputy, Self::Scribe, Self::Sme, Self::CustomerLiaison, Self::InternalLiaison];

    /// The word as typed and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commander => "commander",
            Self::Deputy => "deputy",
            Self::Scribe => "scribe",
            Self::Sme => "sme",
            Self::CustomerLiaison => "customer-liaison",
            Self::InternalLiaison => "internal-liaison",
        }
    }

    /// The role's full name, for headings.
    pub fn title(self) -> &'static str {
        match self {
            Self::Commander => "Incident commander",
            Self::Deputy => "Deputy",
            Self::Scribe => "Scribe",
            Self::Sme => "Subject matter expert",
            Self::CustomerLiaison => "Customer liaison",
            Self::InternalLiaison => "Internal liaison",
        }
    }

    /// What the holder does, shown while choosing.
    pub fn duty(self) -> &'static str {
        match self {
            Self::Commander => "decides and coordinates, does not fix",
            Self::Deputy => "stands in for the commander and watches the clock",
            Self::Scribe => "keeps the timeline and the decisions",
            Self::Sme => "knows the failing part and works on it",
            Self::CustomerLiaison => "writes what customers read",
            Self::InternalLiaison => "keeps the house informed and fetches people",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A role that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a role: give commander, deputy, scribe, sme, customer-liaison or internal-liaison")]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        let lower = text.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|r| r.word() == lower || (lower == "ic" && *r == Self::Commander))
            .ok_or_else(|| RoleError(text.chars().take(40).collect()))
    }
}
