//! Sends stakeholder updates and briefs through channels. What is to be sent is recorded before it is sent, and its outcome after, so that a
//! crash in between shows as an unknown outcome. A text has a key that is the same for every attempt to send it.

use super::clock::now;
use super::desk::{Desk, DeskError};
use crate::comms::{Hit, Stage, customer_hits};
use crate::config::{CLIPBOARD, ChannelConfig, ChannelKind};
use crate::evidence::Redactor;
use crate::evidence::body::digest;
use crate::incident::brief::{Reader, brief};
use crate::incident::command::check_text;
use crate::incident::{Audience, Fact, Incident, IncidentId, Letter, Outgoing, Refusal, SendOutcome, Sending};
use crate::notify::channel::{Delivery, Message, Parcel, deliver, is_repeatable, pack};
use crate::telemetry::words::{capitalized, list, nearest};
use crate::telemetry::{Failure, Timestamp, clean};

/// The length of a key, in hexadecimal digits: 128 bits.
const KEY_LENGTH: usize = 32;
/// The longest subject that is taken from a text, in characters.
const MAX_SUBJECT: usize = 200;

/// What a person wants to send.
#[derive(Clone, Debug, PartialEq)]
pub struct SendRequest {
    /// The name of a channel, or `clipboard`.
    pub channel: String,
    pub audience: Audience,
    pub letter: Letter,
    /// The stage of an update; `None` for that of the status.
    pub stage: Option<Stage>,
    /// What to send instead of a draft. A first line that is followed by an empty line is the subject.
    pub text: Option<String>,
    /// Exactly what a preview showed; it is neither drafted nor written again.
    pub exact: Option<Box<Outgoing>>,
    /// The incident or issue in the other system.
    pub target: Option<String>,
    /// Replaces the last message instead of sending another one.
    pub edit: bool,
    /// Why it is sent although its wording has open points.
    pub override_reason: Option<String>,
    /// Sends again what was sent, or what may have been.
    pub again: bool,
}

impl SendRequest {
    /// A request to send the draft of an update.
    pub fn new(channel: impl Into<String>, audience: Audience) -> Self {
        Self {
            channel: channel.into(),
            audience,
            letter: Letter::Update,
            stage: None,
            text: None,
            exact: None,
            target: None,
            edit: false,
            override_reason: None,
            again: false,
        }
    }
}

/// Why a plan cannot be carried out as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The same text was sent through the channel.
    AlreadySent,
    /// It may have been sent: an earlier attempt has an unknown outcome.
    MayBeSent,
    /// Someone is sending it.
    UnderWay,
    /// Its wording has open points.
    OpenHits,
}

/// What would be sent, for a person to review.
#[derive(Clone, Debug)]
pub struct SendPlan {
    channel: ChannelConfig,
    message: Message,
    parcel: Parcel,
    /// What should be worded differently. Only texts for customers are checked.
    pub hits: Vec<Hit>,
    pub obstacle: Option<Obstacle>,
    /// The entries with earlier attempts through the channel, as of the plan.
    seen: Vec<u64>,
    /// Whether an earlier attempt of this key may have arrived.
    may_have_arrived: bool,
}

impl SendPlan {
    /// Identifies the preview: what would be sent, where, and how.
    pub fn token(&self) -> String {
        digest(format!("{}\u{0}{}", self.key(), self.preview()).as_bytes())
    }

    /// Identifies what is sent. The same for every attempt.
    pub fn key(&self) -> &str {
        &self.message.outgoing.key
    }

    /// The name of the channel.
    pub fn channel(&self) -> &str {
        &self.channel.name
    }

    /// What is sent, as it is recorded.
    pub fn outgoing(&self) -> &Outgoing {
        &self.message.outgoing
    }

    /// Exactly what would be sent.
    pub fn preview(&self) -> String {
        self.parcel.preview()
    }

    /// Why it cannot be sent as it is, with what to do. `None` if it can.
    pub fn refusal(&self) -> Option<Failure> {
        let name = &self.channel.name;
        Some(match self.obstacle.as_ref()? {
            Obstacle::AlreadySent => Failure::new(format!("this text was already sent through {name}"))
                .advise("To send it again, use --again, or \"send again\" in the terminal UI."),
            Obstacle::MayBeSent => Failure::new(format!("this text may have been sent through {name}: the outcome is unknown"))
                .advise(format!(
                    "Look whether it arrived in {name}. If it did not, send it with --again, or \"send again\" in the terminal UI."
                )),
            Obstacle::UnderWay => Failure::new(format!("this text is being sent through {name}"))
                .advise("Wait for the outcome: `warroom update list`. If it was interrupted, send it with --again."),
            Obstacle::OpenHits => Failure::new(format!("the text is not fit for customers: {}", self.hit_words().join("; ")))
                .advise("Change the text, or give a reason with --override."),
        })
    }

    /// The open points of its wording, one line each.
    pub fn hit_words(&self) -> Vec<String> {
        self.hits.iter().map(describe_hit).collect()
    }
}

/// A part of a text and the reason to change it.
pub fn describe_hit(hit: &Hit) -> String {
    if hit.text.is_empty() { hit.reason.clone() } else { format!("\"{}\": {}", clean::line(&hit.text), hit.reason) }
}

/// How a sending ended.
#[derive(Clone, Debug)]
pub struct Sent {
    pub outcome: SendOutcome,
    /// What the server said, or what went wrong.
    pub detail: String,
    /// The entry with the outcome.
    pub seq: u64,
    pub incident: Incident,
}

impl Sent {
    /// In one line, for the user.
    pub fn describe(&self, channel: &str) -> String {
        let detail = if self.detail.is_empty() { String::new() } else { format!(": {}", self.detail) };
        match self.outcome {
            SendOutcome::Sent => format!("Sent through {channel}{detail}"),
            SendOutcome::Failed => format!("Not sent through {channel}{detail}"),
            SendOutcome::Refused => format!("{channel} refused it{detail}"),
            SendOutcome::Unknown => format!("It is unknown whether {channel} has it{detail}"),
        }
    }
}

impl Desk {
    /// The channels that texts for these readers can be sent through; the clipboard is the last one.
    pub fn channels_for(&self, audience: Audience) -> Vec<ChannelConfig> {
        let configured = self.updates.channels.iter().filter(|c| c.audiences.contains(&audience)).cloned();
        configured.chain([ChannelConfig::clipboard()]).collect()
    }

    fn channel(&self, name: &str) -> Result<ChannelConfig, Refusal> {
        if name == CLIPBOARD {
            return Ok(ChannelConfig::clipboard());
        }
        self.updates.channels.iter().find(|c| c.name == name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.updates.channels.iter().map(|c| c.name.as_str()).chain([CLIPBOARD]).collect();
            let hint = nearest(name, known.iter().copied()).map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
            Refusal::not_found(format!("there is no channel '{name}'"))
                .advise(format!("{hint}Use one of {}, or add one to [[channels]] in the configuration.", list(&known)))
        })
    }

    /// Plans a sending and sends nothing. What was sent before through the channel decides on the thread, the target and what is edited.
    ///
    /// # Errors
    /// If there is no such channel, it is not for these readers, it cannot take the text, or there is no text.
    pub fn plan_send(&self, incident: &Incident, request: &SendRequest) -> Result<SendPlan, DeskError> {
        let channel = self.channel(&request.channel)?;
        if !channel.audiences.contains(&request.audience) {
            let message = format!("{} is not for {} readers", channel.name, request.audience.title());
            return Err(Refusal::invalid(message)
                .advise("Choose another channel, or set audiences in its configuration.")
                .into());
        }
        let at = now();
        let stage = match &request.exact {
            Some(exact) => exact.stage.parse().unwrap_or_else(|_unknown| Stage::of(incident.head.status)),
            None => request.stage.unwrap_or_else(|| Stage::of(incident.head.status)),
        };
        let mut outgoing = match &request.exact {
            Some(exact) => (**exact).clone(),
            None => self.outgoing(incident, request, &channel, stage, at)?,
        };
        outgoing.override_reason = request.override_reason.as_deref().map(|why| check_text("reason", why, false)).transpose()?;
        let hits = if request.audience == Audience::External {
            customer_hits(incident, stage, &outgoing.as_one_text(), &self.names(incident))
        } else {
            Vec::new()
        };
        outgoing.hits = hits.iter().map(describe_hit).collect();
        outgoing.key = key(incident, &outgoing);
        // A text that was sent again on purpose is another message, with another key.
        let same: Vec<&str> =
            incident.sendings.iter().map(|s| s.outgoing.key.as_str()).filter(|k| is_of(k, &outgoing.key)).collect();
        let base = outgoing.key.clone();
        if let Some(latest) = same.last() {
            (*latest).clone_into(&mut outgoing.key);
        }
        let mut obstacle = obstacle(incident, &outgoing.key, is_repeatable(&channel, &outgoing), request.again, at);
        if obstacle == Some(Obstacle::AlreadySent) && request.again {
            outgoing.key = format!("{base}-{}", same.len() + 1);
            obstacle = None;
        }
        let earlier = incident.sending(&outgoing.key);
        if let Some(earlier) = earlier {
            // Every attempt sends the same, with the same promise.
            outgoing.next_due = earlier.outgoing.next_due;
        }
        let may_have_arrived = earlier.is_some_and(|s| matches!(s.outcome, None | Some(SendOutcome::Unknown)));
        let message = Message::new(incident, outgoing, stage, at);
        let is_first = message.first.is_none() && begins_something(&channel);
        if obstacle.is_none() && is_first && !request.again && has_open_sending(incident, &message.outgoing) {
            obstacle = Some(Obstacle::MayBeSent);
        }
        if obstacle.is_none() && !hits.is_empty() && message.outgoing.override_reason.is_none() {
            obstacle = Some(Obstacle::OpenHits);
        }
        let parcel = pack(&channel, &message).map_err(Refusal::Invalid)?;
        let seen = attempts_through(incident, &channel.name);
        Ok(SendPlan { channel, message, parcel, hits, obstacle, seen, may_have_arrived })
    }

    /// What a request asks to send, without its key.
    fn outgoing(
        &self,
        incident: &Incident,
        request: &SendRequest,
        channel: &ChannelConfig,
        stage: Stage,
        at: Timestamp,
    ) -> Result<Outgoing, DeskError> {
        if request.target.is_some() && !channel.kind.takes_target() {
            let message = format!("a channel of type {} has no target", channel.kind.word());
            return Err(Refusal::invalid(message).advise("Leave out --target.").into());
        }
        let earlier: Vec<_> = incident.sent_through(&channel.name).collect();
        let target = request.target.clone().or_else(|| channel.target.clone());
        let target = target.or_else(|| earlier.iter().rev().find_map(|s| s.outgoing.target.clone()));
        let is_like = |o: &Outgoing| o.target == target && o.audience == request.audience && o.letter == request.letter;
        let last = earlier.iter().rev().find(|s| is_like(&s.outgoing) && s.reference.is_some());
        let edits = match (request.edit, last) {
            (false, _) => None,
            (true, Some(last)) => last.reference.clone(),
            (true, None) => {
                let message = format!("nothing like this that was sent through {} can be edited", channel.name);
                return Err(Refusal::invalid(message).advise("Send it as a new message.").into());
            }
        };
        // A draft names the time, so that it is another text each minute. It is the same message as long as the last one is open, or nothing
        // has happened since.
        let is_draft = request.text.is_none() && !request.edit;
        let same = incident.sendings.iter().rev().find(|s| {
            s.outgoing.channel == channel.name
                && is_like(&s.outgoing)
                && s.outgoing.stage == stage.word()
                && s.outgoing.edits.is_none()
        });
        if let Some(same) = same.filter(|s| is_draft && is_still_current(incident, s, request.again)) {
            return Ok(same.outgoing.clone());
        }
        let (subject, text, next_due) = self.letter(incident, request, stage, at)?;
        let mut redactor = Redactor::new();
        Ok(Outgoing {
            key: String::new(),
            channel: channel.name.clone(),
            letter: request.letter,
            audience: request.audience,
            stage: stage.word().to_owned(),
            text: redactor.redact_text(&text).into_owned(),
            subject: redactor.redact_text(&clean::line(&subject)).into_owned(),
            next_due,
            target,
            edits,
            override_reason: None,
            hits: Vec::new(),
        })
    }

    /// The subject, the text and the time that it promises.
    fn letter(
        &self,
        incident: &Incident,
        request: &SendRequest,
        stage: Stage,
        at: Timestamp,
    ) -> Result<(String, String, Option<Timestamp>), DeskError> {
        let reader = match request.letter {
            Letter::Update => None,
            Letter::Briefing => Some(Reader::Joining),
            Letter::Handover => Some(Reader::TakingOver),
        };
        if let Some(reader) = reader {
            if request.audience == Audience::External {
                return Err(Refusal::invalid("a brief is for responders, not for customers").advise("Send an update.").into());
            }
            let text = brief(incident, reader, at, self.monitor, incident.head.update_due());
            let subject = format!("[{}] {}: {}", incident.id(), capitalized(request.letter.word()), incident.head.title);
            return Ok((subject, text, None));
        }
        let draft = self.draft(incident, request.audience, Some(stage)).map_err(Refusal::Invalid)?;
        let Some(given) = &request.text else { return Ok((draft.subject, draft.text, draft.next_update_at)) };
        let given = clean::document(given);
        let given = given.trim();
        if given.is_empty() {
            return Err(Refusal::invalid("the text is empty").into());
        }
        let (subject, text) = match given.split_once("\n\n") {
            Some((first, rest)) if !first.contains('\n') && first.chars().count() <= MAX_SUBJECT => {
                (first.trim_start_matches('#').trim().to_owned(), rest.trim().to_owned())
            }
            _ => (draft.subject, given.to_owned()),
        };
        Ok((subject, text, draft.next_update_at))
    }

    /// Sends what was planned: records that it begins, sends it, and records the outcome.
    ///
    /// # Errors
    /// If the plan has an obstacle, someone else is sending the same, only reading is allowed, or the journal cannot be written.
    /// An outcome that could not be recorded is [`DeskError::NotRecorded`].
    pub async fn send(&self, id: IncidentId, plan: &SendPlan) -> Result<Sent, DeskError> {
        self.refuse_read_only("nothing can be sent")?;
        if let Some(refusal) = plan.refusal() {
            return Err(Refusal::Invalid(refusal).into());
        }
        let outgoing = &plan.message.outgoing;
        let (begun, _) = self
            .append(id, &self.actor(), None, |incident| {
                // Someone else may have begun to send through the channel since the plan was made.
                if attempts_through(incident, &outgoing.channel) != plan.seen {
                    let failure = Failure::new(format!("someone else has just sent something through {}", outgoing.channel));
                    return Err(Refusal::Invalid(failure.advise("Look at it, and try again: `warroom update list`.")).into());
                }
                Ok(vec![Fact::SendStarted { outgoing: outgoing.clone() }])
            })
            .await?;
        let Delivery { outcome, detail, reference } =
            deliver(&plan.channel, &plan.message, &plan.parcel, is_repeatable(&plan.channel, outgoing), plan.may_have_arrived)
                .await;
        let mut detail = clean::truncate(&clean::line(&detail), 300);
        let mut outcome = outcome;
        if plan.may_have_arrived && matches!(outcome, SendOutcome::Failed | SendOutcome::Refused) {
            // That this attempt failed says nothing about the earlier one.
            detail = format!("an earlier attempt may have arrived; this one: {detail}");
            outcome = SendOutcome::Unknown;
        }
        let recorded = self
            .append(begun.id(), &self.actor(), None, |incident| {
                Ok(incident.end_sending(outgoing, outcome, &detail, reference.as_deref()))
            })
            .await;
        let what = format!("the sending through {} ended as {}", outgoing.channel, outcome.word());
        let (incident, appended) = recorded.map_err(DeskError::after(what))?;
        Ok(Sent { outcome, detail, seq: appended.entries.first().map_or(0, |e| e.seq), incident })
    }
}

/// Whether an earlier attempt prevents sending this key.
fn obstacle(incident: &Incident, key: &str, is_repeatable: bool, again: bool, at: Timestamp) -> Option<Obstacle> {
    let earlier = incident.sending(key)?;
    match earlier.outcome_at(at) {
        Some(SendOutcome::Sent) => Some(Obstacle::AlreadySent),
        Some(SendOutcome::Failed | SendOutcome::Refused) => None,
        None | Some(SendOutcome::Unknown) if is_repeatable || again => None,
        None => Some(Obstacle::UnderWay),
        Some(SendOutcome::Unknown) => Some(Obstacle::MayBeSent),
    }
}

/// Whether the first message through a channel begins what later ones belong to: a thread, or an incident of a status page.
fn begins_something(channel: &ChannelConfig) -> bool {
    matches!(channel.kind, ChannelKind::Slack { .. } | ChannelKind::Statuspage { .. })
}

/// Whether another message for the same place may have arrived, so that it is not known what this one would belong to.
fn has_open_sending(incident: &Incident, outgoing: &Outgoing) -> bool {
    let is_open = |s: &Sending| matches!(s.outcome, None | Some(SendOutcome::Unknown));
    let is_beside = |s: &Sending| s.outgoing.channel == outgoing.channel && s.outgoing.target == outgoing.target;
    incident.sendings.iter().any(|s| s.outgoing.key != outgoing.key && is_beside(s) && is_open(s))
}

/// The entries with the attempts through a channel, and how many of them have ended.
fn attempts_through(incident: &Incident, channel: &str) -> Vec<u64> {
    incident.sendings.iter().filter(|s| s.outgoing.channel == channel).map(|s| s.seq).collect()
}

/// Whether a draft would say the same as what was sent, or may have been: it has not arrived yet, or nothing has happened since.
fn is_still_current(incident: &Incident, sending: &Sending, again: bool) -> bool {
    if sending.outcome != Some(SendOutcome::Sent) {
        return true;
    }
    let is_about_sending =
        |fact: &Fact| matches!(fact, Fact::SendStarted { .. } | Fact::SendEnded { .. } | Fact::UpdatePublished { .. });
    !again && incident.entries.iter().filter(|e| e.seq > sending.seq).all(|e| is_about_sending(&e.fact))
}

/// The key of a text: the same incident, channel, readers and text give the same key, also on another machine.
fn key(incident: &Incident, outgoing: &Outgoing) -> String {
    let parts = [
        incident.entries.first().map_or(0, |e| e.recorded_at.micros()).to_string(),
        outgoing.channel.clone(),
        outgoing.letter.word().to_owned(),
        outgoing.audience.word().to_owned(),
        outgoing.stage.clone(),
        outgoing.target.clone().unwrap_or_default(),
        outgoing.edits.clone().unwrap_or_default(),
        outgoing.subject.clone(),
        outgoing.text.clone(),
    ];
    let mut hash = digest(parts.join("\u{0}").as_bytes());
    hash.truncate(KEY_LENGTH);
    format!("wr-{hash}")
}

/// Whether a key is `base`, or that of the same text sent again: `base-2`.
fn is_of(key: &str, base: &str) -> bool {
    key.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
