//! "Investigate": gather, write the evidence, conclude, write the findings.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock::now;
use super::desk::{Desk, DeskError, Progress, new_entries};
use super::gather::{Request, gather};
use crate::analysis::findings::{Key, findings};
use crate::evidence::body::StoredBody;
use crate::evidence::cited::cite;
use crate::incident::{Actor, EvidenceId, Fact, Incident, IncidentId};
use crate::journal::{Append, JournalError, NewEntry};
use crate::telemetry::Window;

/// How often writing is tried again when others write at the same time.
const RETRIES: u32 = 20;

impl Desk {
    /// Gathers and concludes over the incident's window, or the last `length` before its end. What was written is in the
    /// incident that comes back.
    pub async fn investigate(
        &self,
        id: IncidentId,
        length: Option<Duration>,
        progress: &Progress,
    ) -> Result<Incident, DeskError> {
        let incident = self.journal.incident(id).await?;
        let usual = incident.window(now());
        let window = length.map_or(usual, |l| Window::before(incident.mitigated_at.unwrap_or_else(now), l));
        let request = Request { window, linked: incident.alerts.clone() };
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
        let (incident, ids) = self.append_evidence(incident, entries, bodies).await?;
        let numbers: BTreeMap<Key, EvidenceId> = keys.into_iter().zip(ids).collect();
        let cited = cite(findings(&gathered.signals), &numbers);
        let sources = gathered.sources.clone();
        let (incident, _) = self
            .append(incident.id(), &Actor::system(), None, |_| {
                Ok(vec![Fact::Investigated { window, findings: cited.clone(), sources: sources.clone() }])
            })
            .await?;
        Ok(incident)
    }

    /// Appends evidence with its bodies in one commit, tried again when others were faster.
    async fn append_evidence(
        &self,
        mut incident: Incident,
        entries: Vec<NewEntry>,
        bodies: Vec<StoredBody>,
    ) -> Result<(Incident, Vec<EvidenceId>), DeskError> {
        for attempt in 0..=RETRIES {
            let append = Append { entries: entries.clone(), bodies: bodies.clone() };
            match self.journal.append(incident.id(), incident.head.last_seq, append).await {
                Ok(appended) => {
                    appended.entries.into_iter().for_each(|e| incident.apply(e));
                    return Ok((incident, appended.evidence));
                }
                Err(JournalError::Conflict { .. }) if attempt < RETRIES => {
                    for entry in self.journal.entries(incident.id(), incident.head.last_seq).await? {
                        incident.apply(entry);
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
        Err(DeskError::Refused(format!("{} is being written by others all the time: try again", incident.id())))
    }
}
