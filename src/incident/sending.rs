//! What is sent to people outside of the incident room, and whether it arrived. A sending is recorded before it begins, so that one whose
//! outcome is unknown is known, and nothing is sent twice by accident.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Audience;
use super::fact::Fact;
use super::state::Incident;
use crate::telemetry::Timestamp;

/// How long a sending may take, with all its attempts. One without an outcome after this was interrupted.
pub const LONGEST: Duration = Duration::from_mins(2);

/// How a sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SendOutcome {
    Sent,
    /// It did not reach the server, or the server was too busy to take it.
    Failed,
    /// The server did not accept it.
    Refused,
    /// It may have arrived: the answer was lost or cannot be understood.
    Unknown,
}

impl SendOutcome {
    /// The word as stored and printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// What kind of text is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Letter {
    /// A stakeholder update, which restarts the timer.
    #[default]
    Update,
    /// The brief for responders who are joining.
    Briefing,
    /// The brief for the next commander.
    Handover,
}

impl Letter {
    /// The noun: `update`, `briefing`, `handover`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Briefing => "briefing",
            Self::Handover => "handover",
        }
    }
}

/// What is to be sent, as it is recorded before it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The same for every attempt to send this.
    pub key: String,
    /// The name of the channel in the configuration.
    pub channel: String,
    #[serde(default)]
    pub letter: Letter,
    pub audience: Audience,
    /// The stage of an update, in a word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    pub subject: String,
    pub text: String,
    /// The time that it promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due: Option<Timestamp>,
    /// The incident or issue in the other system, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The reference of the message that it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<String>,
    /// Why it is sent although its wording has open points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// The open points of its wording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<String>,
}

/// A sending of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sending {
    /// The entry with the latest attempt.
    pub seq: u64,
    /// When the latest attempt began.
    pub at: Timestamp,
    pub by: String,
    pub outgoing: Outgoing,
    /// `None` while it is under way, and for good if it was interrupted.
    pub outcome: Option<SendOutcome>,
    /// What the server said, or what went wrong.
    pub detail: String,
    /// How the other system identifies the message.
    pub reference: Option<String>,
}

impl Sending {
    /// Whether it may still be under way.
    pub fn is_under_way(&self, now: Timestamp) -> bool {
        self.outcome.is_none() && now.since(self.at) < LONGEST
    }

    /// The outcome at a time: a sending that was interrupted is unknown. `None` while it is under way.
    pub fn outcome_at(&self, now: Timestamp) -> Option<SendOutcome> {
        if self.is_under_way(now) { None } else { Some(self.outcome.unwrap_or(SendOutcome::Unknown)) }
    }
}

impl Incident {
    /// The sending with a key.
    pub fn sending(&self, key: &str) -> Option<&Sending> {
        self.sendings.iter().find(|s| s.outgoing.key == key)
    }

    /// The sendings through a channel that arrived, in the order in which they began.
    pub fn sent_through<'a>(&'a self, channel: &'a str) -> impl DoubleEndedIterator<Item = &'a Sending> {
        let has_arrived = |s: &&Sending| s.outcome == Some(SendOutcome::Sent);
        self.sendings.iter().filter(move |s| s.outgoing.channel == channel).filter(has_arrived)
    }

    /// The facts that end a sending. An update that arrived is published, unless it was before, through another channel.
    pub fn end_sending(&self, outgoing: &Outgoing, outcome: SendOutcome, detail: &str, reference: Option<&str>) -> Vec<Fact> {
        let mut facts = vec![Fact::SendEnded {
            key: outgoing.key.clone(),
            channel: outgoing.channel.clone(),
            outcome,
            detail: detail.to_owned(),
            reference: reference.map(str::to_owned),
        }];
        let Outgoing { audience, next_due, .. } = *outgoing;
        let text = outgoing.as_one_text();
        let is_published = self.updates.iter().any(|u| u.audience == audience && u.text == text);
        if outcome == SendOutcome::Sent && outgoing.letter == Letter::Update && !is_published {
            facts.push(Fact::UpdatePublished { audience, text, next_due });
        }
        facts
    }
}

impl Outgoing {
    /// The subject and the text, as an update is recorded.
    pub fn as_one_text(&self) -> String {
        format!("{}\n\n{}", self.subject, self.text)
    }
}
