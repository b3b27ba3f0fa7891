//! Answers from the assistant, with their claims and the results of the citation check.

use serde::{Deserialize, Serialize};

/// Why a question has no answer that was cancelled before anything had arrived.
pub const CANCELLED: &str = "the question was cancelled before any of the answer had arrived";

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
    /// The claim contains a number, with its unit, or a time that is not in the cited evidence.
    NumberNotFound,
    /// The cited evidence does not support the claim in another way, which its kind names.
    Unsupported,
    /// A recommendation, a plan, an opinion, or an admission that something is not known.
    NotCheckable,
}

/// What the cited evidence does not support in a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// A figure.
    Number,
    /// The unit of a figure that is otherwise right.
    Unit,
    /// A time of day, a date or a duration.
    Time,
    /// The name of a service, host, metric, version or person.
    Name,
    /// Quoted text.
    Quotation,
    /// Where a value goes.
    Direction,
    /// The cited evidence is about something else.
    Subject,
    /// It claims more certainty than the findings have.
    Confidence,
}

impl ClaimState {
    /// The label to display.
    pub fn word(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Uncited => "uncited",
            Self::UnknownEvidence => "unknown evidence",
            Self::NumberNotFound => "number not in evidence",
            Self::Unsupported => "not supported by its evidence",
            Self::NotCheckable => "not checkable",
        }
    }
}

/// A sentence in an answer that makes a claim about the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub text: String,
    pub state: ClaimState,
    /// What is not supported; `None` unless the state says that something is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ClaimKind>,
    /// Why the state is what it is, in a sentence; `None` for a supported claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The line of the answer that it begins on, from 1; 0 in entries of earlier versions.
    #[serde(default)]
    pub line: usize,
    /// Its bytes in the answer; both 0 in entries of earlier versions.
    #[serde(default)]
    pub start: usize,
    #[serde(default)]
    pub end: usize,
    /// The ids that it cites, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl Claim {
    /// A claim without a reason or a place.
    pub fn new(text: impl Into<String>, state: ClaimState) -> Self {
        Self { text: text.into(), state, kind: None, reason: None, line: 0, start: 0, end: 0, evidence: Vec::new() }
    }

    /// Whether the check found something that is not supported by what the claim cites.
    pub fn is_flagged(&self) -> bool {
        !matches!(self.state, ClaimState::Supported | ClaimState::NotCheckable)
    }
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
    /// The model that was asked; `model` is what the server calls itself. `None` if nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_model: Option<String>,
    /// The address of the server that was asked; `None` if nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the reader should know about how the answer came, such as a model that was asked instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// The headings that the prompt asked for, in order, whatever the language of the answer; empty if it asked for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headings: Vec<String>,
    /// What it cost, at the configured prices; `None` if there are none, or nothing was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Its place in a conversation; `None` in entries of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Box<Turn>>,
}

/// The place of an answer in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The name of the thread.
    pub thread: String,
    /// The answer that this one follows; `None` if it begins the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<EntryRef>,
    /// What the prompt carried of earlier turns; `None` if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
    /// Its place among the answers that several personas gave at the same time; `None` for a single answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panel: Option<Panel>,
}

/// The place of an answer among those that several personas gave at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panel {
    /// Counted from 1.
    pub number: usize,
    pub of: usize,
}

/// An entry of the same incident, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRef {
    pub seq: u64,
}

/// What a prompt carried of the earlier turns of a conversation. Tokens are estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Turns in full.
    pub whole: usize,
    /// Turns of which only the supported statements were carried.
    pub shortened: usize,
    pub left_out: usize,
    /// The tokens of all turns in full.
    pub tokens_before: u64,
    /// The tokens that were carried.
    pub tokens_after: u64,
}

impl Carried {
    /// Summarises it: `3 earlier turns (1 shortened, 1 left out; 2140 → 610 tokens)`.
    pub fn summary(self) -> String {
        let turns = crate::telemetry::words::count(self.whole + self.shortened + self.left_out, "earlier turn");
        let mut parts = Vec::new();
        parts.extend((self.shortened > 0).then(|| format!("{} shortened", self.shortened)));
        parts.extend((self.left_out > 0).then(|| format!("{} left out", self.left_out)));
        let parts = if parts.is_empty() { String::new() } else { format!("{}; ", parts.join(", ")) };
        format!("{turns} ({parts}{} → {} tokens)", self.tokens_before, self.tokens_after)
    }
}

impl Answer {
    /// The text with a mark such as `‹?1›` behind each claim that the check flagged, in the order of the claims. Claims of
    /// earlier versions have no place and are not marked.
    pub fn marked_text(&self) -> String {
        let mut out = self.answer.clone();
        let flagged: Vec<&Claim> = self.claims.iter().filter(|c| c.is_flagged()).collect();
        let mut marks: Vec<(usize, usize)> =
            flagged.iter().enumerate().map(|(i, c)| (c.end, i + 1)).filter(|(end, _)| *end > 0).collect();
        marks.sort_unstable();
        for (end, number) in marks.into_iter().rev().filter(|(end, _)| self.answer.is_char_boundary(*end)) {
            out.insert_str(end, &format!(" ‹?{number}›"));
        }
        out
    }

    /// Summarises the check: `9 claims: 7 supported, 1 uncited, 1 number not in evidence`.
    pub fn claim_summary(&self) -> String {
        let states = [
            ClaimState::Supported,
            ClaimState::Uncited,
            ClaimState::UnknownEvidence,
            ClaimState::NumberNotFound,
            ClaimState::Unsupported,
        ];
        // What cannot be checked is no claim about the incident.
        let claims: Vec<&Claim> = self.claims.iter().filter(|c| c.state != ClaimState::NotCheckable).collect();
        let parts: Vec<String> = states
            .iter()
            .map(|s| (claims.iter().filter(|c| c.state == *s).count(), s.word()))
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}"))
            .collect();
        match claims.len() {
            0 => "no claims to check".to_owned(),
            1 => format!("1 claim: {}", parts.join(", ")),
            n => format!("{n} claims: {}", parts.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flagged_claims_are_marked_where_they_end() {
        let text = "Fine [E1]. Wrong [E2]. Bad.";
        let place = |start, end, state| Claim { start, end, ..Claim::new(text.get(start..end).unwrap(), state) };
        let answer = Answer {
            answer: text.to_owned(),
            citations: vec![],
            claims: vec![
                place(0, 10, ClaimState::Supported),
                place(11, 22, ClaimState::NumberNotFound),
                place(23, 27, ClaimState::Uncited),
            ],
            usage: Usage::default(),
            model: None,
            source: AnswerSource::Llm,
            fallback_reason: None,
            prompt: String::new(),
            prompt_version: String::new(),
            persona: String::new(),
            question: None,
            partial: false,
            sent: None,
            asked_model: None,
            url: None,
            notices: vec![],
            headings: vec![],
            cost: None,
            turn: None,
        };
        assert_eq!(answer.marked_text(), "Fine [E1]. Wrong [E2]. ‹?1› Bad. ‹?2›");
        assert_eq!(answer.claim_summary(), "3 claims: 1 supported, 1 uncited, 1 number not in evidence");
    }
}
