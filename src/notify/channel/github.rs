//! GitHub REST API version 2022-11-28: a comment on an issue, or a change of one. The comment holds its key where readers do not see it, so
//! that it can be looked up when the answer was lost.

use serde_json::{Value, json};

use std::time::Duration;

use super::{Authentication, Message, Request, target};
use crate::config::{Address, SecretRef};
use crate::telemetry::Failure;

/// How far the clocks of this machine and the server may differ.
const CLOCK_SKEW: Duration = Duration::from_mins(10);

pub(super) fn pack(url: &str, token: &SecretRef, project: &str, message: &Message) -> Result<Request, Failure> {
    let outgoing = &message.outgoing;
    let (method, path) = if let Some(id) = &outgoing.edits {
        ("PATCH", format!("issues/comments/{id}"))
    } else {
        ("POST", format!("issues/{}/comments", issue(message)?))
    };
    let label = message.label().map_or_else(String::new, |label| format!("\n\n_{label}_"));
    let body = format!("### {}\n\n{}{label}\n\n{}", outgoing.subject, outgoing.text, mark(message));
    Ok(request(method, url, token, &format!("{project}/{path}"), json!({"body": body})))
}

fn request(method: &'static str, url: &str, token: &SecretRef, path: &str, body: Value) -> Request {
    Request {
        method,
        address: Address::Plain(format!("{url}/repos/{path}")),
        path: String::new(),
        headers: vec![("accept", "application/vnd.github+json".to_owned()), ("x-github-api-version", "2022-11-28".to_owned())],
        authentication: Authentication::Authorization("Bearer ", token.clone()),
        body,
    }
}

/// The number of the issue.
fn issue(message: &Message) -> Result<&str, Failure> {
    let issue = target(message, "the issue")?.trim_start_matches('#');
    if issue.is_empty() || !issue.chars().all(|c| c.is_ascii_digit()) {
        return Err(Failure::new(format!("'{issue}' is not the number of an issue")).advise("Give a number such as 42."));
    }
    Ok(issue)
}

/// The key of a comment, as a comment of Markdown.
fn mark(message: &Message) -> String {
    format!("<!-- warroom {} -->", message.outgoing.key)
}

/// Asks for the comments since shortly before the first attempt. `None` for a change of a comment, which can simply be repeated.
pub(super) fn look_up(url: &str, token: &SecretRef, project: &str, message: &Message) -> Option<Request> {
    let issue = issue(message).ok().filter(|_| message.outgoing.edits.is_none())?;
    let mut request = request("GET", url, token, &format!("{project}/issues/{issue}/comments"), Value::Null);
    request.path = format!("?per_page=100&since={}", (message.begun - CLOCK_SKEW).rfc3339());
    Some(request)
}

/// The ID of the comment with the key of the message.
pub(super) fn find(message: &Message, comments: &Value) -> Option<String> {
    let mark = mark(message);
    let has_mark = |c: &&Value| c.get("body").and_then(Value::as_str).is_some_and(|body| body.contains(&mark));
    Some(comments.as_array()?.iter().find(has_mark)?.get("id")?.to_string())
}
