//! Statuspage API v1: the first update creates an incident on the page, later ones update it (`POST` and `PATCH /pages/{page}/incidents`).

use serde_json::{Map, Value, json};

use super::{Authentication, Message, Request};
use crate::comms::Stage;
use crate::config::{Address, SecretRef};
use crate::incident::Letter;
use crate::notify::markdown::plain;
use crate::telemetry::Failure;

pub(super) fn pack(
    (url, token): (&str, &SecretRef),
    page: &str,
    components: &[String],
    notifies: bool,
    message: &Message,
) -> Result<Request, Failure> {
    if message.outgoing.letter != Letter::Update {
        return Err(Failure::new("a status page takes updates only").advise("Send briefs through another channel."));
    }
    let state = match (message.stage, message.severity.as_str()) {
        (Stage::Resolved, _) => "operational",
        (_, "SEV1") => "major_outage",
        (_, "SEV2") => "partial_outage",
        _ => "degraded_performance",
    };
    let mut incident = json!({
        "status": message.stage.word(),
        "body": plain(&message.outgoing.text),
        "deliver_notifications": notifies,
    });
    if let Some(fields) = incident.as_object_mut() {
        if message.first.is_none() {
            fields.insert("name".to_owned(), json!(plain(&message.outgoing.subject)));
        }
        if !components.is_empty() {
            let states: Map<String, Value> = components.iter().map(|c| (c.clone(), json!(state))).collect();
            fields.insert("component_ids".to_owned(), json!(components));
            fields.insert("components".to_owned(), Value::Object(states));
        }
    }
    let (method, path) = match &message.first {
        None => ("POST", String::new()),
        Some(id) => ("PATCH", format!("/{id}")),
    };
    Ok(Request {
        method,
        address: Address::Plain(format!("{url}/pages/{page}/incidents{path}")),
        path: String::new(),
        headers: Vec::new(),
        authentication: Authentication::Authorization("OAuth ", token.clone()),
        body: json!({"incident": incident}),
    })
}
