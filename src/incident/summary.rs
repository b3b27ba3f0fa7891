//! The head of an incident: what a list shows. Kept beside the entries by the journal, so that a board of a thousand
//! incidents needs no fold; it is itself a fold of one fact at a time and can always be made again.

use serde::{Deserialize, Serialize};

use super::fact::{Entry, Fact};
use super::ids::IncidentId;
use super::role::Role;
use super::severity::Severity;
use super::status::Status;
use crate::telemetry::Timestamp;

/// One row of the list of incidents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub id: IncidentId,
    pub title: String,
    pub severity: Severity,
    pub status: Status,
    pub declared_at: Timestamp,
    /// Since when it has this status.
    pub status_since: Timestamp,
    pub commander: Option<String>,
    /// Fingerprints of the linked alerts.
    pub alerts: Vec<String>,
    pub open_actions: u32,
    pub last_seq: u64,
    pub last_at: Timestamp,
}

impl Summary {
    /// The head after the first entry; `None` when that entry does not declare an incident.
    pub fn first(entry: &Entry) -> Option<Self> {
        let Fact::IncidentDeclared { title, severity, status, .. } = &entry.fact else { return None };
        Some(Self {
            id: entry.incident,
            title: title.clone(),
            severity: *severity,
            status: *status,
            declared_at: entry.at,
            status_since: entry.at,
            commander: None,
            alerts: Vec::new(),
            open_actions: 0,
            last_seq: entry.seq,
            last_at: entry.recorded_at,
        })
    }

    /// Takes the next entry in.
    pub fn apply(&mut self, entry: &Entry) {
        self.last_seq = entry.seq;
        self.last_at = entry.recorded_at;
        match &entry.fact {
            Fact::TitleChanged { title } => self.title.clone_from(title),
            Fact::AlertLinked { alert } if !self.alerts.contains(&alert.fingerprint) => {
                self.alerts.push(alert.fingerprint.clone());
            }
            Fact::AlertUnlinked { fingerprint, .. } => self.alerts.retain(|f| f != fingerprint),
            Fact::SeverityChanged { to, .. } => self.severity = *to,
            Fact::StatusChanged { to, .. } => {
                self.status = *to;
                self.status_since = entry.at;
            }
            Fact::Reopened { .. } => {
                self.status = Status::Investigating;
                self.status_since = entry.at;
            }
            Fact::RoleAssigned { role: Role::Commander, holder, .. } => self.commander = Some(holder.clone()),
            Fact::ActionAdded { .. } => self.open_actions += 1,
            Fact::ActionDone { .. } => self.open_actions = self.open_actions.saturating_sub(1),
            _ => {}
        }
    }
}
