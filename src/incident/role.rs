//! Roles in incident response.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A role in incident response. One person may hold several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Makes decisions and coordinates, but does not debug.
    Commander,
    Deputy,
    Scribe,
    Sme,
    CustomerLiaison,
    InternalLiaison,
    /// Takes over command at the next handover.
    NextCommander,
    OperationsLead,
    PlanningLead,
    CommunicationsLead,
    /// Reported the incident. By default the person who declared it.
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

    /// Whether several people can hold this role at the same time. Assigning any other role again is a handover.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Sme | Self::Participant | Self::Observer | Self::Reporter)
    }

    /// The word for this role as typed on the command line and stored.
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

    /// The role's full name, for labels.
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

    /// The duties of the holder, shown in the role picker.
    pub fn duty(self) -> &'static str {
        match self {
            Self::Commander => "Makes decisions and coordinates; does not debug",
            Self::Deputy => "Supports the commander and tracks time",
            Self::Scribe => "Records the timeline and decisions",
            Self::Sme => "Investigates and fixes the failing component",
            Self::CustomerLiaison => "Writes customer updates",
            Self::InternalLiaison => "Updates internal stakeholders and calls in responders",
            Self::NextCommander => "Takes over command next; is briefed first",
            Self::OperationsLead => "Directs all changes to the system",
            Self::PlanningLead => "Tracks handovers, follow-ups and changes",
            Self::CommunicationsLead => "Owns internal and external communication",
            Self::Reporter => "Reported the incident",
            Self::Participant => "Works on the incident",
            Self::Observer => "Follows the incident without acting",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The error for text that does not name a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a role; use commander, deputy, scribe, sme, customer-liaison, internal-liaison, next-commander, operations-lead, planning-lead, communications-lead, reporter, participant or observer"
)]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        let lower = text.trim().to_ascii_lowercase();
        // Common aliases.
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
