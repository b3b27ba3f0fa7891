//! GitHub REST API version 2022-11-28: a comment on an issue, or a change of one. The comment holds its key where readers do not see it.

use serde_json::json;

use super::{Authentication, Message, Request, target};
use crate::config::{Address, SecretRef};
use crate::telemetry::Failure;

pub(super) fn pack(url: &str, token: &SecretRef, project: &str, message: &Message) -> Result<Request, Failure> {
    let outgoing = &message.outgoing;
    let (method, path) = if let Some(id) = &outgoing.edits {
        ("PATCH", format!("issues/comments/{id}"))
    } else {
        let issue = target(message, "the issue")?.trim_start_matches('#');
        if issue.is_empty() || !issue.chars().all(|c| c.is_ascii_digit()) {
            return Err(Failure::new(format!("'{issue}' is not the number of an issue")).advise("Give a number such as 42."));
        }
        ("POST", format!("issues/{issue}/comments"))
    };
    let label = message.label().map_or_else(String::new, |label| format!("\n\n_{label}_"));
    let body = format!("### {}\n\n{}{label}\n\n<!-- warroom {} -->", outgoing.subject, outgoing.text, outgoing.key);
    Ok(Request {
        method,
        address: Address::Plain(format!("{url}/repos/{project}/{path}")),
        path: String::new(),
        headers: vec![("accept", "application/vnd.github+json".to_owned()), ("x-github-api-version", "2022-11-28".to_owned())],
        authentication: Authentication::Authorization("Bearer ", token.clone()),
        body: json!({"body": body}),
    })
}
