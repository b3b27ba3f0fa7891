//! Discord: webhooks, which answer with the message if asked to wait, and can edit it. It mentions no one.
//!
//! Limits: 256 characters in the title of an embed, 4,096 in its description, 10 embeds, 6,000 characters in all.

use serde_json::{Value, json};

use super::{Authentication, Message, Request};
use crate::config::Address;
use crate::notify::markdown::plain;
use crate::telemetry::Failure;

const MAX_TITLE: usize = 256;
const MAX_TEXT: usize = 4096;

pub(super) fn pack(address: &Address, message: &Message) -> Result<Request, Failure> {
    let (title, text) = (plain(&message.outgoing.subject), &message.outgoing.text);
    for (what, length, most) in [("subject", title.chars().count(), MAX_TITLE), ("text", text.chars().count(), MAX_TEXT)] {
        if length > most {
            return Err(Failure::new(format!("the {what} has {length} characters, and Discord takes {most}"))
                .advise("Shorten it, or use another channel."));
        }
    }
    let mut embed = json!({"title": title, "description": text});
    if let (Some(label), Some(fields)) = (message.label(), embed.as_object_mut()) {
        fields.insert("footer".to_owned(), json!({"text": label}));
    }
    let (method, path) = match &message.outgoing.edits {
        Some(id) => ("PATCH", format!("/messages/{id}")),
        None => ("POST", "?wait=true".to_owned()),
    };
    let none: [Value; 0] = [];
    Ok(Request {
        method,
        address: address.clone(),
        path,
        headers: Vec::new(),
        authentication: Authentication::None,
        body: json!({"embeds": [embed], "allowed_mentions": {"parse": none}}),
    })
}
