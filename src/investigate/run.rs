//! Investigates an incident: gathers data, records the evidence, and records the findings that follow from it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock::now;
use super::desk::{Desk, DeskError, Progress, new_entries};
use super::gather::{Request, gather};
use crate::analysis::findings::{Key, findings};
use crate::evidence::body::StoredBody;
use crate::evidence::citations::{cite, cite_suspects};
use crate::incident::{Actor, Entry, EventKind, EvidenceId, Fact, Incident, IncidentId};
use crate::journal::Append;
use crate::telemetry::{ChangeEvent, Window};

/// The changes that people recorded in the incident and did not undo.
fn recorded_changes(incident: &Incident) -> Vec<ChangeEvent> {
    use EventKind::{ChangeDetected, ConfigChanged, DeployDetected, FlagChanged};
    let is_change = |e: &&Entry| {
        matches!(&e.fact, Fact::Event { event: DeployDetected | ConfigChanged | FlagChanged | ChangeDetected, .. })
            && !incident.undone.contains(&e.seq)
    };
    // The entry says who recorded the change, not who made it.
    let changes = incident.timeline().into_iter().filter(is_change).map(|e| ChangeEvent {
        at: e.at,
        service: None,
        what: format!("{} (recorded by {})", incident.entry_text(e), e.actor.name),
        by: None,
        link: None,
        is_release: true,
    });
    changes.collect()
}

impl Desk {
    /// Investigates the window of the incident, or the last `length` before its mitigation or now. Returns the incident with
    /// the new evidence and findings.
    pub async fn investigate(
        &self,
        id: IncidentId,
        length: Option<Duration>,
        progress: &Progress,
    ) -> Result<Incident, DeskError> {
        let incident = self.journal.incident(id).await?;
        let default_window = incident.window(now());
        let window = length.map_or(default_window, |l| Window::before(incident.mitigated_at.unwrap_or_else(now), l));
        let request = Request {
            window,
            linked: incident.alerts.clone(),
            matrix: incident.matrix.clone().unwrap_or_default(),
            slo: self.slo.clone(),
            recorded: recorded_changes(&incident),
        };
        let gathered = gather(&self.sources, &request, progress).await;

        let mut keys: Vec<Key> = Vec::new();
        let mut facts: Vec<Fact> = gathered.verified.iter().cloned().map(|alert| Fact::AlertLinked { alert }).collect();
        let mut bodies: Vec<StoredBody> = Vec::new();
        for (key, draft) in gathered.drafts.clone() {
            let (record, body, _) = draft.seal()?;
            keys.push(key);
            facts.push(Fact::EvidenceAttached { evidence: record.into_inner() });
            bodies.push(body);
        }
        let entries = new_entries(facts, &Actor::system(), None, now())?;
        // Write facts and bodies in one commit.
        let (incident, appended) =
            self.append_to(incident, |_| Ok(Append { entries: entries.clone(), bodies: bodies.clone() })).await?;
        let numbers: BTreeMap<Key, EvidenceId> = keys.into_iter().zip(appended.evidence).collect();
        let cited = cite(findings(&gathered.signals), &numbers);
        let sources = gathered.sources.clone();
        let suspects = cite_suspects(&gathered.signals.suspects, &numbers);
        let onset = gathered.onset;
        let (incident, _) = self
            .append(incident.id(), &Actor::system(), None, |_| {
                Ok(vec![Fact::Investigated {
                    window,
                    findings: cited.clone(),
                    sources: sources.clone(),
                    suspects: suspects.clone(),
                    onset,
                }])
            })
            .await?;
        Ok(incident)
    }
}
