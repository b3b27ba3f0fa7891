//! Slack: `chat.postMessage` and `chat.update` of the Web API with Block Kit, and incoming webhooks.
//!
//! Limits: 150 characters in a header, 3,000 in the text of a section, 50 blocks. Errors of the Web API have the status 200.

use serde_json::{Value, json};

use super::{Authentication, Delivery, Message, Request};
use crate::config::{Address, SecretRef};
use crate::incident::SendOutcome;
use crate::notify::markdown::{mrkdwn, plain, split};
use crate::telemetry::clean;

const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3000;
const MAX_SECTIONS: usize = 45;

/// A message of the bot. The first one about an incident starts a thread, which later ones join.
pub(super) fn pack(url: &str, token: &SecretRef, channel: &str, message: &Message) -> Request {
    let mut body = json!({
        "channel": channel,
        "text": fallback(message),
        "blocks": blocks(message),
        "unfurl_links": false,
        "metadata": {"event_type": "warroom_message", "event_payload": {"key": message.outgoing.key}},
    });
    let mut call = "chat.postMessage";
    if let Some(fields) = body.as_object_mut() {
        // A reference is the channel's ID and the time of the message: `C0123/1700000000.000100`.
        if let Some((channel, ts)) = message.outgoing.edits.as_deref().and_then(|r| r.split_once('/')) {
            call = "chat.update";
            fields.insert("channel".to_owned(), json!(channel));
            fields.insert("ts".to_owned(), json!(ts));
        } else if let Some((_, ts)) = message.first.as_deref().and_then(|r| r.split_once('/')) {
            fields.insert("thread_ts".to_owned(), json!(ts));
        }
    }
    Request {
        method: "POST",
        address: Address::Plain(format!("{url}/{call}")),
        path: String::new(),
        headers: Vec::new(),
        authentication: Authentication::Authorization("Bearer ", token.clone()),
        body,
    }
}

/// A message through an incoming webhook, which knows neither threads nor edits.
pub(super) fn pack_webhook(address: &Address, message: &Message) -> Request {
    Request {
        method: "POST",
        address: address.clone(),
        path: String::new(),
        headers: Vec::new(),
        authentication: Authentication::None,
        body: json!({"text": fallback(message), "blocks": blocks(message)}),
    }
}

/// What notifications show.
fn fallback(message: &Message) -> String {
    let subject = plain(&message.outgoing.subject);
    subject.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn blocks(message: &Message) -> Vec<Value> {
    let subject = plain(&message.outgoing.subject);
    let mut text = mrkdwn(&message.outgoing.text);
    let mut blocks = Vec::new();
    if subject.is_empty() || subject.chars().count() > MAX_HEADER {
        text = format!("*{}*\n\n{text}", mrkdwn(&message.outgoing.subject));
    } else {
        blocks.push(json!({"type": "header", "text": {"type": "plain_text", "text": subject}}));
    }
    let sections = split(&text, MAX_SECTION);
    blocks.extend(
        sections.into_iter().take(MAX_SECTIONS).map(|text| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})),
    );
    blocks.extend(message.label().map(|label| json!({"type": "context", "elements": [{"type": "plain_text", "text": label}]})));
    blocks
}

pub(super) fn read(answer: &Value) -> Delivery {
    let text = |field: &str| answer.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    match answer.get("ok").and_then(Value::as_bool) {
        Some(true) if !text("ts").is_empty() => Delivery::sent(Some(format!("{}/{}", text("channel"), text("ts")))),
        // Slack says these when it did not post, but could not say why.
        Some(false) if matches!(text("error").as_str(), "internal_error" | "fatal_error" | "request_timeout") => {
            Delivery::new(SendOutcome::Unknown, format!("Slack reports {}", text("error")))
        }
        Some(false) => Delivery::new(SendOutcome::Refused, format!("Slack reports {}", clean::line(&text("error")))),
        _ => Delivery::new(SendOutcome::Unknown, "the answer is not one of Slack's"),
    }
}

pub(super) fn read_webhook(answer: &str) -> Delivery {
    if answer == "ok" { Delivery::sent(None) } else { Delivery::new(SendOutcome::Unknown, "the answer is not one of Slack's") }
}
