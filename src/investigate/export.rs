//! Exports the post-mortem of an incident from the journal.

use super::desk::{Desk, DeskError};
use crate::incident::IncidentId;
use crate::postmortem::{Format, Postmortem};

impl Desk {
    /// Renders the post-mortem in a format. Does not read the clock or write to the journal, so the same journal always gives
    /// the same bytes.
    pub async fn export(&self, id: IncidentId, format: Format) -> Result<String, DeskError> {
        let incident = self.journal.incident(id).await?;
        let bodies = self.journal.bodies(&incident).await?;
        let postmortem = Postmortem::new(&incident, &bodies);
        Ok(postmortem.render(format)?)
    }
}
