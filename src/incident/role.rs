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
    /// Takes the command next.
    NextCommander,
    OperationsLead,
    PlanningLead,
    CommunicationsLead,
    /// Who told us; the first one is who declared.
    Reporter,
    Participant,
    Observer,
}

impl Role {
    /// Every role, the commander first.
    pub const ALL: [Self; 13] = [
        Self::Commander,
        Self::Deputy,
        Self::Scribe,
        Self::Sme,
        Self::CustomerLiaison,
        Self::InternalLiaison,
        Self::NextCommander,
        Self::OperationsLead,
        Self::PlanningLead,
        Self::CommunicationsLead,
        Self::Reporter,
        Self::Participant,
        Self::Observer,
    ];

    /// Whether several people hold it side by side; for the others a second holder is a hand-over.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Participant | Self::Observer | Self::Reporter)
    }

    /// The word as typed and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commander => "commander",
            Self::Deputy => "deputy",
            Self::Scribe => "scribe",
            Self::Sme => "sme",
            Self::CustomerLiaison => "customer-liaison",
            Self::InternalLiaison => "internal-liaison",
            Self::NextCommander => "next-commander",
            Self::OperationsLead => "operations-lead",
            Self::PlanningLead => "planning-lead",
            Self::CommunicationsLead => "communications-lead",
            Self::Reporter => "reporter",
            Self::Participant => "participant",
            Self::Observer => "observer",
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
            Self::NextCommander => "Next commander",
            Self::OperationsLead => "Operations lead",
            Self::PlanningLead => "Planning lead",
            Self::CommunicationsLead => "Communications lead",
            Self::Reporter => "Reporter",
            Self::Participant => "Participant",
            Self::Observer => "Observer",
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
            Self::NextCommander => "takes the command next and is read in before",
            Self::OperationsLead => "directs the hands that change the system",
            Self::PlanningLead => "hand-overs, follow-ups, what was changed",
            Self::CommunicationsLead => "speaks for the response, inside and outside",
            Self::Reporter => "told us of it",
            Self::Participant => "works on it",
            Self::Observer => "listens, does not act",
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
#[error(
    "'{0}' is not a role: give commander, deputy, scribe, sme, customer-liaison, internal-liaison, next-commander, operations-lead, planning-lead, communications-lead, reporter, participant or observer"
)]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        let lower = text.trim().to_ascii_lowercase();
        // The field has several names for the same person.
        let lower = match lower.as_str() {
            "ic" | "incident-commander" | "incident-manager" => "commander",
            "subject-matter-expert" => "sme",
            "comms" | "communications" => "communications-lead",
            "operations" | "ops" => "operations-lead",
            "planning" => "planning-lead",
            other => other,
        };
        Self::ALL.into_iter().find(|r| r.word() == lower).ok_or_else(|| RoleError(text.chars().take(40).collect()))
    }
}
