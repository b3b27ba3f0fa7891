//! Exports the post-mortem of an incident from the journal.

use super::desk::{Desk, DeskError};
use crate::incident::{Incident, IncidentId};
use crate::postmortem::{External, Format, MissingPart, Postmortem};
use crate::telemetry::Explain;

/// An export, and what it says about itself.
#[derive(Clone, Debug)]
pub struct Exported {
    pub text: String,
    /// What is damaged in the journal or in the evidence of the incident.
    pub damage: Vec<String>,
    /// What the post-mortem still lacks.
    pub missing: Vec<String>,
    /// The sentences that the version for customers leaves out, each with the reason.
    pub left_out: Vec<(String, String)>,
}

impl Desk {
    /// Renders the post-mortem in a format. Does not read the clock or write to the journal, so the same journal always gives
    /// the same bytes.
    pub async fn export(&self, id: IncidentId, format: Format) -> Result<String, DeskError> {
        let incident = self.journal.incident(id).await?;
        let bodies = self.journal.bodies(&incident).await?;
        Ok(Postmortem::new(&incident, &bodies).render(format)?)
    }

    /// The post-mortem to read on a screen, and what is missing in it.
    pub(crate) async fn report(&self, id: IncidentId) -> Result<(String, Vec<MissingPart>), DeskError> {
        let incident = self.journal.incident(id).await?;
        let bodies = self.journal.bodies(&incident).await?;
        let mut postmortem = Postmortem::new(&incident, &bodies);
        let missing = postmortem.take_missing();
        Ok((postmortem.render(Format::Text)?, missing))
    }

    /// Renders the post-mortem, or its version for customers, after verifying the journal and the evidence of the incident. What is damaged
    /// is named in the document. With an `offset`, the times of that zone are shown next to UTC.
    pub async fn export_verified(
        &self,
        id: IncidentId,
        format: Format,
        is_external: bool,
        offset: Option<time::UtcOffset>,
    ) -> Result<Exported, DeskError> {
        let incident = self.journal.incident(id).await?;
        let damage = self.damage(&incident).await;
        let bodies = self.journal.bodies(&incident).await?;
        let postmortem = Postmortem::new(&incident, &bodies).with_damage(damage.clone()).with_offset(offset);
        let missing = postmortem.missing();
        if !is_external {
            return Ok(Exported { text: postmortem.render(format)?, damage, missing, left_out: Vec::new() });
        }
        let external = postmortem.external(&self.names(&incident));
        let text = match format {
            Format::Markdown | Format::Text => external.text.clone(),
            Format::Html => postmortem.external_page(&external),
            Format::Json => serde_json::to_string_pretty(&external)? + "\n",
        };
        let External { left_out, .. } = external;
        Ok(Exported { text, damage, missing: Vec::new(), left_out })
    }

    /// What is damaged in the entries or the evidence of an incident. A journal that cannot be verified counts as damaged.
    async fn damage(&self, incident: &Incident) -> Vec<String> {
        let id = incident.id().to_string();
        let found = match self.journal.verify().await {
            Ok(found) => found,
            Err(e) => return vec![format!("the journal could not be verified: {}", e.failure().line())],
        };
        let is_evidence = |what: &str| incident.evidence.iter().any(|e| what.starts_with(&e.digest));
        let of_incident =
            found.broken.into_iter().filter(|b| b.incident == id || b.incident == "evidence" && is_evidence(&b.what));
        of_incident
            .map(|b| match (b.seq, incident.evidence.iter().find(|e| b.what.starts_with(&e.digest))) {
                (_, Some(evidence)) => {
                    format!("{}: {}", evidence.id, b.what.split_once(": ").map_or(b.what.as_str(), |(_, what)| what))
                }
                (0, None) => b.what,
                (seq, None) => format!("entry {}: {}", crate::incident::ids::seq_label(seq), b.what),
            })
            .collect()
    }
}
