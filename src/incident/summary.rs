//! The summary of an incident, as shown in lists. The journal stores it next to the entries and updates it with each one, so that
//! a list of a thousand incidents can be shown without reading their entries. It can always be rebuilt from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::Audience;
use super::fact::{Entry, Fact, LinkedAlert};
use super::ids::IncidentId;
use super::milestone::Milestone;
use super::role::Role;
use super::severity::{Matrix, Severity};
use super::status::Status;
use crate::telemetry::{Labels, Timestamp};

/// One row in the list of incidents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub id: IncidentId,
    pub title: String,
    pub severity: Severity,
    pub status: Status,
    pub declared_at: Timestamp,
    /// When the status last changed.
    pub status_since: Timestamp,
    pub commander: Option<String>,
    /// Fingerprints of the linked alerts.
    pub alerts: Vec<String>,
    /// The linked alerts that are known by their labels too, because their fingerprints differ between sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<LinkedAlert>,
    pub open_actions: u32,
    pub last_seq: u64,
    pub last_at: Timestamp,
    /// When the last update was published; `None` if there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// When the next update to each audience was promised. An update to one audience does not fulfil a promise to another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub promised: BTreeMap<Audience, Timestamp>,
    /// When the severity last changed. A severity change backdated to before this time does not affect the current severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<IncidentId>,
    /// Update intervals in seconds by severity, if the matrix in force at the declaration was not the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cadence: Option<BTreeMap<Severity, u64>>,
    /// Number of entries that are not in the shared store yet. Filled in by the store on reading; never stored.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsynced: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "required by serde")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Summary {
    /// Builds the summary from the first entry. Returns `None` if that entry does not declare an incident.
    pub fn from_declaration(entry: &Entry) -> Option<Self> {
        let Fact::IncidentDeclared { title, severity, status, matrix, .. } = &entry.fact else { return None };
        let cadence = matrix
            .as_ref()
            .map(|m| Severity::ALL.iter().filter_map(|s| m.update_every(*s).map(|every| (*s, every.as_secs()))).collect());
        Some(Self {
            id: entry.incident,
            title: title.clone(),
            severity: *severity,
            status: *status,
            declared_at: entry.at,
            status_since: entry.at,
            commander: None,
            alerts: Vec::new(),
            linked: Vec::new(),
            open_actions: 0,
            last_seq: entry.seq,
            last_at: entry.recorded_at,
            updated_at: None,
            promised: BTreeMap::new(),
            severity_at: Some(entry.at),
            merged_into: None,
            cadence,
            unsynced: 0,
        })
    }

    /// When the next update is due. See [`Self::next_update`].
    pub fn update_due(&self) -> Option<Timestamp> {
        self.next_update().map(|(due, _)| due)
    }

    /// When the next update is due, and for which audience.
    ///
    /// This is the earliest promised update. Without a promise, it follows the update interval of the severity, counted from the
    /// last update or the declaration. `None` if the severity requires no updates or the incident is over.
    pub fn next_update(&self) -> Option<(Timestamp, Option<Audience>)> {
        if !self.status.is_open() {
            return None;
        }
        if let Some((audience, due)) = self.promised.iter().min_by_key(|(_, due)| **due) {
            return Some((*due, Some(*audience)));
        }
        let every = match &self.cadence {
            Some(own) => own.get(&self.severity).map(|secs| std::time::Duration::from_secs(*secs)),
            None => Matrix::default().update_every(self.severity),
        };
        every.map(|every| (self.updated_at.unwrap_or(self.declared_at) + every, None))
    }

    /// Skips an entry that has no effect because it was undone or is an undo itself.
    pub fn skip(&mut self, entry: &Entry) {
        self.last_seq = entry.seq;
        self.last_at = entry.recorded_at;
    }

    /// Applies the next entry. An undo cannot be applied on its own; it needs [`super::Incident::fold`].
    pub fn apply(&mut self, entry: &Entry) {
        self.skip(entry);
        match &entry.fact {
            Fact::AlertLinked { alert } => {
                self.linked.retain(|l| l.fingerprint != alert.fingerprint);
                if alert.verified {
                    self.linked.push(LinkedAlert { annotations: Labels::new(), ..alert.clone() });
                }
                if !self.alerts.contains(&alert.fingerprint) {
                    self.alerts.push(alert.fingerprint.clone());
                }
            }
            Fact::AlertUnlinked { fingerprint, .. } => {
                self.alerts.retain(|f| f != fingerprint);
                self.linked.retain(|l| l.fingerprint != *fingerprint);
            }
            Fact::SeverityChanged { to, .. } if self.severity_at.is_none_or(|since| entry.at >= since) => {
                if *to < self.severity {
                    // Updates promised at a lower severity no longer apply.
                    self.promised.clear();
                }
                self.severity = *to;
                self.severity_at = Some(entry.at);
            }
            Fact::StatusChanged { to, .. } => {
                self.status = *to;
                self.status_since = entry.at;
            }
            Fact::Reopened { .. } => {
                self.merged_into = None;
                self.status = Status::Investigating;
                self.status_since = entry.at;
            }
            Fact::Merged { into, .. } => {
                self.status = Status::Merged;
                self.status_since = entry.at;
                self.merged_into = Some(*into);
            }
            Fact::TimeSet { milestone: Milestone::Declared, to, .. } => self.declared_at = *to,
            Fact::RoleAssigned { role: Role::Commander, holder, .. } => self.commander = Some(holder.clone()),
            Fact::RoleRenounced { role: Role::Commander, .. } => self.commander = None,
            Fact::UpdatePublished { audience, next_due, .. } => {
                self.updated_at = Some(entry.at);
                match next_due {
                    Some(due) => self.promised.insert(*audience, *due),
                    None => self.promised.remove(audience),
                };
            }
            Fact::ActionAdded { .. } => self.open_actions = self.open_actions.saturating_add(1),
            Fact::ActionDone { .. } => self.open_actions = self.open_actions.saturating_sub(1),
            Fact::ActionChanged { from, change, .. } => match (from.is_open(), change.state.unwrap_or(*from).is_open()) {
                (true, false) => self.open_actions = self.open_actions.saturating_sub(1),
                (false, true) => self.open_actions = self.open_actions.saturating_add(1),
                _ => {}
            },
            _ => {}
        }
    }
}
