//! PagerDuty REST API v2: a note or a status update on an incident (`POST /incidents/{id}/notes` and `/status_updates`).

use serde_json::json;

use super::{Authentication, Message, Request, target};
use crate::config::{Address, PagerDutyPost, SecretRef};
use crate::notify::markdown::plain;
use crate::telemetry::Failure;

pub(super) fn pack(url: &str, token: &SecretRef, from: &str, post: PagerDutyPost, message: &Message) -> Result<Request, Failure> {
    let id = target(message, "the incident of PagerDuty")?;
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(Failure::new(format!("'{id}' is not the ID of an incident of PagerDuty")).advise("It is such as Q1A2B3C4."));
    }
    let text = plain(&format!("{}\n\n{}", message.outgoing.subject, message.outgoing.text));
    let (path, body) = match post {
        PagerDutyPost::Note => ("notes", json!({"note": {"content": text}})),
        PagerDutyPost::StatusUpdate => ("status_updates", json!({"message": text})),
    };
    Ok(Request {
        method: "POST",
        address: Address::Plain(format!("{url}/incidents/{id}/{path}")),
        path: String::new(),
        headers: vec![("accept", "application/vnd.pagerduty+json;version=2".to_owned()), ("from", from.to_owned())],
        authentication: Authentication::Authorization("Token token=", token.clone()),
        body,
    })
}
