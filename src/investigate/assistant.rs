//! Around the assistant: the check of any text against the evidence of an incident, and the record of what was sent to models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ask::certainty;
use super::desk::{Desk, DeskError};
use crate::evidence::claims::{CheckedAnswer, check_claims_within};
use crate::evidence::pack::item_text;
use crate::evidence::render::Detail;
use crate::evidence::{Body, RedactionCount};
use crate::incident::{Answer, AnswerSource, EvidenceId, IncidentId};
use crate::prompt::Message;
use crate::prompt::plan::count_redactions;
use crate::telemetry::Timestamp;

/// A request to a model and how it ended, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub model: String,
    pub url: String,
    pub messages: Vec<Message>,
    /// The rest of the body; empty for requests of versions before.
    #[serde(default)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// Why it has no answer; `None` if it has one.
    pub failure: Option<String>,
}

/// The stored requests behind an answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    All {
        requests: Vec<Attempt>,
    },
    /// Versions before stored only the messages of the last request.
    Last(Vec<Message>),
}

/// A request to a model, as it was recorded.
#[derive(Clone, Debug)]
pub struct SentRequest {
    pub at: Timestamp,
    /// The answer that it is for.
    pub answer: Answer,
    /// Whether it is the last one for that answer, whose tokens and cost the answer has.
    pub is_last: bool,
    /// The model and the server; without messages if their body is not in this store.
    pub attempt: Attempt,
    /// The redactions in the messages, by kind.
    pub redactions: Vec<RedactionCount>,
}

impl SentRequest {
    /// How it ended: `answered`, `partial` or `failed`.
    pub fn outcome(&self) -> &'static str {
        match &self.attempt.failure {
            Some(_) if !(self.is_last && self.answer.source == AnswerSource::Llm) => "failed",
            _ if self.answer.partial => "partial",
            _ => "answered",
        }
    }

    /// One line: when, what for, to which model and server, its size and how it ended.
    pub fn summary(&self) -> String {
        let a = &self.answer;
        let tokens = a.usage.prompt_tokens.filter(|_| self.is_last);
        let tokens = tokens.map_or_else(|| "tokens not reported".to_owned(), |n| format!("{n} prompt tokens"));
        let cost = a.cost.filter(|_| self.is_last).map_or_else(String::new, |c| format!(", cost {c:.4}"));
        let redactions: u64 = self.redactions.iter().map(|c| c.count).sum();
        let why = self.attempt.failure.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let known = |text: &str, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text.to_owned() };
        format!(
            "{}  {}  {}  {}  {tokens}{cost}, {redactions} redactions, {}{why}",
            self.at.rfc3339(),
            a.prompt,
            known(&self.attempt.model, "unknown model"),
            known(&self.attempt.url, "unknown server"),
            self.outcome()
        )
    }

    /// The summary and the messages, to read.
    pub fn text(&self) -> String {
        let messages = self.attempt.messages.iter().map(|m| format!("── {:?} ──\n{}", m.role, m.content));
        let parameters = serde_json::to_string(&self.attempt.parameters).ok().filter(|_| !self.attempt.parameters.is_empty());
        std::iter::once(self.summary()).chain(parameters).chain(messages).collect::<Vec<_>>().join("\n\n")
    }
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
        Ok(check_claims_within(text, &shown, certainty(&incident)))
    }

    /// The requests behind each answer about an incident, in order, also those that failed.
    ///
    /// # Errors
    /// When the incident cannot be read.
    pub async fn sent_requests(&self, id: IncidentId) -> Result<Vec<SentRequest>, DeskError> {
        let incident = self.journal.incident(id).await?;
        let mut out = Vec::new();
        for recorded in incident.answers.iter().filter(|r| r.answer.sent.is_some()) {
            let a = &recorded.answer;
            let digest = a.sent.clone().unwrap_or_default();
            let stored = match self.journal.body(&digest).await? {
                Some(Body::Text { text }) => serde_json::from_str(&text).unwrap_or(Stored::Last(Vec::new())),
                _ => Stored::Last(Vec::new()),
            };
            let attempts = match stored {
                Stored::All { requests } => requests,
                Stored::Last(messages) => vec![Attempt {
                    model: a.asked_model.clone().or_else(|| a.model.clone()).unwrap_or_default(),
                    url: a.url.clone().unwrap_or_default(),
                    messages,
                    parameters: serde_json::Map::new(),
                    failure: a.fallback_reason.clone().filter(|_| a.source == AnswerSource::Rules),
                }],
            };
            let last = attempts.len().saturating_sub(1);
            out.extend(attempts.into_iter().enumerate().map(|(n, attempt)| SentRequest {
                at: recorded.at,
                answer: a.clone(),
                is_last: n == last,
                redactions: count_redactions(&attempt.messages),
                attempt,
            }));
        }
        Ok(out)
    }
}
