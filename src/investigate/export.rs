//! "Export": the post-mortem of an incident, from the journal alone.

use super::desk::{Desk, DeskError};
use crate::incident::IncidentId;
use crate::postmortem::{Format, Postmortem};

impl Desk {
    /// The post-mortem in a format. Reads no clock and writes no fact: the same journal gives the same bytes.
    pub async fn export(&self, id: IncidentId, format: Format) -> Result<String, DeskError> {
        let incident = self.journal.incident(id).await?;
        let bodies = self.journal.bodies(&incident).await?;
        let postmortem = Postmortem::new(&incident, &bodies);
        Ok(postmortem.render(format)?)
    }
}
