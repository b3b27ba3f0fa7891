//! Answers from the assistant, with their claims and the results of the citation check.

use serde::{Deserialize, Serialize};

/// The author of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerSource {
    /// A language model.
    Llm,
    /// The rule-based report, used if no model is configured or the model failed.
    Rules,
}

/// A citation as written in the answer. The id is text because the cited evidence may not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    pub id: String,
    /// Whether the evidence exists and was in the prompt.
    pub ok: bool,
}

/// The result of checking a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    Supported,
    /// The claim cites no evidence.
    Uncited,
    /// The claim cites evidence that does not exist or was not in the prompt.
    UnknownEvidence,
    /// The claim contains a number that is not in the cited evidence.
    NumberNotFound,
}

impl ClaimState {
    /// The label to display.
    pub fn word(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Uncited => "uncited",
            Self::UnknownEvidence => "unknown evidence",
            Self::NumberNotFound => "number not in evidence",
        }
    }
}

/// A sentence in an answer that makes a claim about the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub text: String,
    pub state: ClaimState,
}

/// Token usage as reported by the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
}

/// A complete answer with the results of its checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text in Markdown, redacted and cleaned of control sequences.
    pub answer: String,
    pub citations: Vec<Citation>,
    pub claims: Vec<Claim>,
    pub usage: Usage,
    /// The model's name; `None` for a rule-based report.
    pub model: Option<String>,
    pub source: AnswerSource,
    /// Why this is a rule-based report, or why the text ends early.
    pub fallback_reason: Option<String>,
    /// The prompt's id.
    pub prompt: String,
    /// A short digest of the prompt's text.
    pub prompt_version: String,
    pub persona: String,
    /// The question, if the user asked a free-form one.
    pub question: Option<String>,
    /// Whether the answer is incomplete because it was cancelled or cut off.
    pub partial: bool,
    /// The digest of the messages sent to the model, stored with the evidence bodies; `None` if nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// What the reader should know about how the answer came, such as a model that was asked instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

impl Answer {
    /// Summarises the check: `9 claims: 7 supported, 1 uncited, 1 number not in evidence`.
    pub fn claim_summary(&self) -> String {
        let states = [ClaimState::Supported, ClaimState::Uncited, ClaimState::UnknownEvidence, ClaimState::NumberNotFound];
        let parts: Vec<String> = states
            .iter()
            .map(|s| (self.claims.iter().filter(|c| c.state == *s).count(), s.word()))
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}"))
            .collect();
        match self.claims.len() {
            0 => "no claims to check".to_owned(),
            1 => format!("1 claim: {}", parts.join(", ")),
            n => format!("{n} claims: {}", parts.join(", ")),
        }
    }
}
