//! Discord: webhooks, which answer with the message if asked to wait, and can edit it. It mentions no one.
//!
//! Limits: 256 characters in the title of an embed, 4,096 in its description, 10 embeds, 6,000 characters in all.

use serde_json::{Value, json};

use super::{Authentication, Message, Request};
use crate::config::Address;
use crate::notify::markdown::plain;
use crate::telemetry::clean;

const MAX_TITLE: usize = 256;
const MAX_TEXT: usize = 4096;

pub(super) fn pack(address: &Address, message: &Message) -> Request {
    let mut embed = json!({
        "title": clean::truncate(&plain(&message.outgoing.subject), MAX_TITLE - 1),
        "description": clean::truncate(&message.outgoing.text, MAX_TEXT - 1),
    });
    if let (Some(label), Some(fields)) = (message.label(), embed.as_object_mut()) {
        fields.insert("footer".to_owned(), json!({"text": label}));
    }
    let (method, path) = match &message.outgoing.edits {
        Some(id) => ("PATCH", format!("/messages/{id}")),
        None => ("POST", "?wait=true".to_owned()),
    };
    let none: [Value; 0] = [];
    Request {
        method,
        address: address.clone(),
        path,
        headers: Vec::new(),
        authentication: Authentication::None,
        body: json!({"embeds": [embed], "allowed_mentions": {"parse": none}}),
    }
}
