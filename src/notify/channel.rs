//! Sends a text through a channel. What would be sent is built first, so that a person can review exactly that ([`pack`]); sending it is a
//! separate step ([`deliver`]).
//!
//! A message is sent again by itself only if the last attempt certainly had no effect, or if the other system drops repetitions by the key.

mod attempts;
mod discord;
mod file;
mod github;
mod mail;
mod pagerduty;
mod slack;
mod statuspage;
mod teams;
mod webhook;

use serde_json::Value;

pub(crate) use attempts::deliver;

use crate::comms::Stage;
use crate::config::{Address, ChannelConfig, ChannelKind, SecretRef};
use crate::incident::{Audience, Incident, Letter, Outgoing, SendOutcome, Sending};
use crate::telemetry::{Failure, Timestamp};

/// What is sent, and what other systems show beside it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub outgoing: Outgoing,
    /// `INC-1`.
    pub incident: String,
    pub title: String,
    pub severity: String,
    pub status: String,
    pub stage: Stage,
    /// The reference of the first message through the channel, which later ones follow.
    pub first: Option<String>,
    /// When the first attempt to send this text began.
    pub begun: Timestamp,
}

impl Message {
    /// What is sent about an incident. `stage` is that of an update.
    pub(crate) fn new(incident: &Incident, outgoing: Outgoing, stage: Stage, now: Timestamp) -> Self {
        let head = &incident.head;
        let is_beside = |s: &&Sending| s.outgoing.target == outgoing.target && s.reference.is_some();
        let first = incident.sent_through(&outgoing.channel).find(is_beside).and_then(|s| s.reference.clone());
        Self {
            incident: incident.id().to_string(),
            title: head.title.clone(),
            severity: head.severity.to_string(),
            status: head.status.to_string(),
            stage,
            first,
            begun: incident.sending(&outgoing.key).map_or(now, |earlier| earlier.at),
            outgoing,
        }
    }

    /// What identifies the incident to responders; customers get nothing of it.
    fn label(&self) -> Option<String> {
        let is_internal = self.outgoing.audience != Audience::External;
        is_internal.then(|| format!("{} · {} · {}", self.incident, self.severity, self.status))
    }
}

/// How a request authenticates. The secret is fetched when the request is sent.
#[derive(Clone, Debug, PartialEq)]
enum Authentication {
    None,
    /// `Authorization: PREFIX SECRET`.
    Authorization(&'static str, SecretRef),
    /// Signs the body.
    Signature(Option<SecretRef>),
}

/// A request over HTTP, without secrets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    method: &'static str,
    address: Address,
    /// What follows the address, such as `?wait=true`.
    path: String,
    headers: Vec<(&'static str, String)>,
    authentication: Authentication,
    body: Value,
}

/// What would be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parcel {
    Http(Box<Request>),
    Mail(mail::Mail),
    /// A section at the end of a file.
    File {
        path: String,
        section: String,
        marker: String,
    },
    Clipboard(String),
}

impl Parcel {
    /// Exactly what would be sent, for a person to review. Secrets are named, not shown.
    pub(crate) fn preview(&self) -> String {
        match self {
            Self::Http(request) => {
                let address = match (&request.address, &request.authentication) {
                    // Whoever knows the address of a webhook can post.
                    (Address::Plain(url), Authentication::None | Authentication::Signature(_)) => host_of(url),
                    (Address::Plain(url), Authentication::Authorization(..)) => url.clone(),
                    (Address::Secret(secret), _) => format!("the address in {secret}"),
                };
                let mut lines = vec![format!("{} {address}{}", request.method, request.path)];
                lines.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
                match &request.authentication {
                    Authentication::None | Authentication::Signature(None) => {}
                    Authentication::Authorization(prefix, secret) => {
                        lines.push(format!("authorization: {prefix}<{secret}>"));
                    }
                    Authentication::Signature(Some(secret)) => lines.push(format!("signed with {secret}")),
                }
                lines.push(String::new());
                lines.push(serde_json::to_string_pretty(&request.body).unwrap_or_default());
                lines.join("\n")
            }
            Self::Mail(mail) => mail.preview(),
            Self::File { path, section, .. } => format!("Added to {path}:\n\n{section}"),
            Self::Clipboard(text) => format!("Copied to the clipboard:\n\n{text}"),
        }
    }
}

/// The scheme and the host of a URL: `https://hooks.example/…`.
fn host_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}/…")
}

/// Builds what would be sent through a channel.
///
/// # Errors
/// If the channel needs a target that is missing, cannot edit, or cannot take this kind of text.
pub(crate) fn pack(channel: &ChannelConfig, message: &Message) -> Result<Parcel, Failure> {
    let can_edit = matches!(channel.kind, ChannelKind::Slack { .. } | ChannelKind::Discord { .. } | ChannelKind::Github { .. });
    if message.outgoing.edits.is_some() && !can_edit {
        return Err(Failure::new(format!("a channel of type {} cannot edit what was sent", channel.kind.word()))
            .advise("Send it as a new message."));
    }
    let request = match &channel.kind {
        ChannelKind::Clipboard => return Ok(Parcel::Clipboard(message.outgoing.as_one_text())),
        ChannelKind::File { path } => return Ok(file::pack(path, message)),
        ChannelKind::Email(config) => return Ok(Parcel::Mail(mail::pack(config, message)?)),
        ChannelKind::Webhook { address, secret } => webhook::pack(address, secret.as_ref(), message),
        ChannelKind::Slack { url, token, channel } => slack::pack(url, token, channel, message),
        ChannelKind::SlackWebhook { address } => slack::pack_webhook(address, message),
        ChannelKind::Teams { address } => teams::pack(address, message),
        ChannelKind::Discord { address } => discord::pack(address, message)?,
        ChannelKind::PagerDuty { url, token, from, post } => pagerduty::pack(url, token, from, *post, message)?,
        ChannelKind::Statuspage { url, token, page, components, notifies } => {
            statuspage::pack((url, token), page, components, *notifies, message)?
        }
        ChannelKind::Github { url, token, project } => github::pack(url, token, project, message)?,
    };
    Ok(Parcel::Http(Box::new(request)))
}

/// The target that a channel needs: the one that was given, else that of the configuration.
fn target<'a>(message: &'a Message, what: &str) -> Result<&'a str, Failure> {
    message.outgoing.target.as_deref().ok_or_else(|| {
        Failure::new(format!("{what} is not known"))
            .advise("Give it with --target, or set target in the channel's configuration. Later messages use the same.")
    })
}

/// How a sending ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub outcome: SendOutcome,
    pub detail: String,
    /// How the other system identifies the message.
    pub reference: Option<String>,
}

impl Delivery {
    fn new(outcome: SendOutcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), reference: None }
    }

    fn sent(reference: Option<String>) -> Self {
        Self { outcome: SendOutcome::Sent, detail: String::new(), reference }
    }
}

/// Whether the other system drops a repetition with the same key, or sending it again changes nothing.
pub(crate) fn is_repeatable(channel: &ChannelConfig, outgoing: &Outgoing) -> bool {
    match channel.kind {
        ChannelKind::Clipboard | ChannelKind::File { .. } | ChannelKind::Webhook { .. } => true,
        ChannelKind::Slack { .. } | ChannelKind::Discord { .. } | ChannelKind::Github { .. } => outgoing.edits.is_some(),
        ChannelKind::SlackWebhook { .. }
        | ChannelKind::Teams { .. }
        | ChannelKind::Email(_)
        | ChannelKind::PagerDuty { .. }
        | ChannelKind::Statuspage { .. } => false,
    }
}

/// The request that shows whether a message has arrived whose answer was lost. `None` if the other system does not know its key.
fn look_up(channel: &ChannelConfig, message: &Message) -> Option<Request> {
    match &channel.kind {
        ChannelKind::Github { url, token, project } => github::look_up(url, token, project, message),
        _ => None,
    }
}

/// Reads the answer to an accepted request, with a status of success: whether the message is there, and how it is identified.
fn read_answer(channel: &ChannelConfig, message: &Message, body: &[u8]) -> Delivery {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    match &channel.kind {
        ChannelKind::Slack { .. } => slack::read(&json),
        ChannelKind::SlackWebhook { .. } => slack::read_webhook(text.trim()),
        ChannelKind::Discord { .. } => identified(json.get("id")),
        ChannelKind::Statuspage { .. } | ChannelKind::Github { .. } => identified(json.get("id")),
        ChannelKind::PagerDuty { .. } => identified(json.pointer("/note/id").or_else(|| json.pointer("/status_update/id"))),
        ChannelKind::Webhook { .. } | ChannelKind::Teams { .. } => Delivery::sent(Some(message.outgoing.key.clone())),
        ChannelKind::Clipboard | ChannelKind::File { .. } | ChannelKind::Email(_) => Delivery::sent(None),
    }
}

/// A message that the other system identifies; an answer without that is not one of this API.
fn identified(id: Option<&Value>) -> Delivery {
    let id = match id {
        Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    };
    match id {
        Some(id) => Delivery::sent(Some(id)),
        None => Delivery::new(SendOutcome::Unknown, "the answer does not identify the message"),
    }
}

/// What an answer of failure says, if it is JSON of a known shape.
fn error_text(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let paths = ["/error/message", "/error", "/message", "/errors/0"];
    let found = paths.iter().find_map(|p| json.pointer(p).and_then(Value::as_str));
    let text = found.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let is_page = text.trim_start().starts_with('<');
    if is_page { String::new() } else { crate::telemetry::clean::truncate(&crate::telemetry::clean::line(&text), 200) }
}

/// The noun for what is sent: an update, a briefing, a handover.
fn letter(message: &Message) -> &'static str {
    match message.outgoing.letter {
        Letter::Update => "update",
        Letter::Briefing => "briefing",
        Letter::Handover => "handover",
    }
}
