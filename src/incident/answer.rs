//! An answer to a question, its claims and what the citation check made of them.

use serde::{Deserialize, Serialize};

/// Who wrote an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerSource {
    Llm,
    /// The rule-based report, when there is no model or it failed.
    Rules,
}

/// A citation as written in the answer: the id may be of no evidence at all, so it is text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    pub id: String,
    /// Whether evidence of that id exists and was in the prompt.
    pub ok: bool,
}

/// What the check says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    Supported,
    Uncited,
    UnknownEvidence,
    NumberNotFound,
}

impl ClaimState {
    /// The word as printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Uncited => "uncited",
            Self::UnknownEvidence => "unknown evidence",
            Self::NumberNotFound => "number not in evidence",
        }
    }
}

/// A sentence of an answer that says something about the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub text: String,
    pub state: ClaimState,
}

/// Tokens as the server counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
}

/// A whole answer, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Markdown, redacted and cleaned.
    pub answer: String,
    pub citations: Vec<Citation>,
    pub claims: Vec<Claim>,
    pub usage: Usage,
    /// `None` when the rules answered.
    pub model: Option<String>,
    pub source: AnswerSource,
    /// Why the rules answered, or why the text ends early.
    pub fallback_reason: Option<String>,
    /// The prompt's id and the version (a short digest) of its text.
    pub prompt: String,
    pub prompt_version: String,
    pub persona: String,
    /// The question, when one was asked in own words.
    pub question: Option<String>,
    /// Whether it was cancelled or cut off, and so is only a part.
    pub partial: bool,
    /// The digest of what was sent, kept beside the evidence bodies; `None` when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
}

impl Answer {
    /// `9 claims: 7 supported, 1 uncited, 1 number not in evidence`.
    pub fn verdict(&self) -> String {
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
