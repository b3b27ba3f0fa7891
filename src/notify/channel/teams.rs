//! Microsoft Teams: an Adaptive Card (version 1.4) for the webhook of a workflow, as in "Create incoming webhooks with Workflows".

use serde_json::{Value, json};

use super::{Authentication, Message, Request};
use crate::config::Address;
use crate::notify::markdown::plain;

pub(super) fn pack(address: &Address, message: &Message) -> Request {
    let block = |text: &str| json!({"type": "TextBlock", "text": text, "wrap": true});
    let heading = plain(&message.outgoing.subject);
    let mut body = vec![json!({"type": "TextBlock", "text": heading, "wrap": true, "size": "Large", "weight": "Bolder"})];
    // Text blocks know bold, lists and links of Markdown, and need an empty line between paragraphs.
    body.extend(message.outgoing.text.split("\n\n").map(str::trim).filter(|p| !p.is_empty()).map(block));
    body.extend(message.label().map(|label| json!({"type": "TextBlock", "text": label, "wrap": true, "isSubtle": true})));
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    });
    Request {
        method: "POST",
        address: address.clone(),
        path: String::new(),
        headers: Vec::new(),
        authentication: Authentication::None,
        body: json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": Value::Null,
                "content": card,
            }],
        }),
    }
}
