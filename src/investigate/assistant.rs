//! Around the assistant: the check of any text against the evidence of an incident, and the record of what was sent to models.

use std::collections::BTreeMap;

use super::desk::{Desk, DeskError};
use crate::evidence::claims::{CheckedAnswer, check_claims};
use crate::evidence::pack::item_text;
use crate::evidence::render::Detail;
use crate::evidence::{Body, RedactionCount};
use crate::incident::{Answer, EvidenceId, IncidentId};
use crate::prompt::Message;
use crate::prompt::plan::count_redactions;
use crate::telemetry::Timestamp;

/// A request to a model, as it was recorded.
#[derive(Clone, Debug)]
pub struct SentRequest {
    pub at: Timestamp,
    pub answer: Answer,
    /// The messages as they were sent; empty if their body is not in this store.
    pub messages: Vec<Message>,
    /// The redactions in them, by kind.
    pub redactions: Vec<RedactionCount>,
}

impl Desk {
    /// Checks a text against all evidence of an incident, as an answer of a model is checked.
    ///
    /// # Errors
    /// When the incident cannot be read.
    pub async fn check_claims(&self, id: IncidentId, text: &str) -> Result<CheckedAnswer, DeskError> {
        let incident = self.journal.incident(id).await?;
        let bodies = self.journal.bodies(&incident).await?;
        let shown: BTreeMap<EvidenceId, String> =
            incident.evidence.iter().map(|r| (r.id, item_text(r, None, bodies.get(&r.digest), Detail::Whole))).collect();
        Ok(check_claims(text, &shown))
    }

    /// The request behind each answer about an incident, in order. Of requests that were repeated, the last.
    ///
    /// # Errors
    /// When the incident cannot be read.
    pub async fn sent_requests(&self, id: IncidentId) -> Result<Vec<SentRequest>, DeskError> {
        let incident = self.journal.incident(id).await?;
        let mut out = Vec::new();
        for recorded in incident.answers.iter().filter(|r| r.answer.sent.is_some()) {
            let digest = recorded.answer.sent.clone().unwrap_or_default();
            let body = self.journal.body(&digest).await?;
            let messages: Vec<Message> = match body {
                Some(Body::Text { text }) => serde_json::from_str(&text).unwrap_or_default(),
                _ => Vec::new(),
            };
            let redactions = count_redactions(&messages);
            out.push(SentRequest { at: recorded.at, answer: recorded.answer.clone(), messages, redactions });
        }
        Ok(out)
    }
}
