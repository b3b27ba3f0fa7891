//! Creates GitHub and GitLab issues from action items. The request is built first, so that a person can review it
//! ([`IssueRequest`]); sending it is a separate step. A request is never retried: if its response is lost, a person has to
//! check whether the issue was created.
//!
//! GitHub: REST API version 2022-11-28, "Create an issue". GitLab: REST API v4, "New issue".

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::config::{TrackerConfig, TrackerKind};
use crate::evidence::Redactor;
use crate::incident::{ActionItem, Incident};
use crate::sources::http::{client_builder, innermost};
use crate::telemetry::Explain;

/// Why an issue was not created, or may not have been.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrackerError {
    #[error("cannot create an issue in tracker '{name}': {message}")]
    Failed { name: String, message: String, remedy: Option<String> },
}

impl Explain for TrackerError {
    fn remedy(&self) -> Option<String> {
        let Self::Failed { remedy, .. } = self;
        remedy.clone()
    }
}

/// The remedy when an issue may have been created although no valid response arrived.
const CHECK_TRACKER: &str = "Check in the tracker whether the issue was created before you try again.";

/// A request that creates an issue, without the token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IssueRequest {
    pub method: &'static str,
    pub url: String,
    pub body: Value,
}

/// The longest response body that is read, in bytes.
const MAX_RESPONSE: usize = 1024 * 1024;

/// Builds the request for an action item. Its text comes from the journal, which is redacted already; it is redacted again.
pub(crate) fn issue_request(tracker: &TrackerConfig, incident: &Incident, item: &ActionItem) -> IssueRequest {
    let mut redactor = Redactor::new();
    let title = redactor.redact_text(&format!("{}: {}", incident.id(), item.text.lines().next().unwrap_or(""))).into_owned();
    let mut text = format!("{}\n\n", item.text);
    text.push_str(&format!("- Incident: {} {} {}\n", incident.id(), incident.head.severity, incident.head.title));
    text.push_str(&format!("- Action item: {} ({})\n", item.id, item.kind.word()));
    for (name, value) in [("Owner", &item.owner), ("Due", &item.due), ("Priority", &item.priority)] {
        text.push_str(&format!("- {name}: {}\n", value.as_deref().unwrap_or("not set")));
    }
    let text = redactor.redact_text(&text).into_owned();
    match tracker.kind {
        TrackerKind::Github => IssueRequest {
            method: "POST",
            url: format!("{}/repos/{}/issues", tracker.url, tracker.project),
            body: json!({"title": title, "body": text, "labels": tracker.labels}),
        },
        TrackerKind::Gitlab => {
            let mut body = json!({"title": title, "description": text, "labels": tracker.labels.join(",")});
            if let (Some(due), Some(fields)) = (&item.due, body.as_object_mut()) {
                fields.insert("due_date".to_owned(), json!(due));
            }
            IssueRequest {
                method: "POST",
                url: format!("{}/projects/{}/issues", tracker.url, tracker.project.replace('/', "%2F")),
                body,
            }
        }
    }
}

/// Sends the request once and returns the URL of the new issue. Fails if there is no token, the request fails or times out,
/// or the response is not a success with that URL.
pub(crate) async fn send(tracker: &TrackerConfig, outgoing: &IssueRequest) -> Result<String, TrackerError> {
    let fail = |message: String| TrackerError::Failed { name: tracker.name.clone(), message, remedy: None };
    let fail_with = |message: String, remedy: &str| TrackerError::Failed {
        name: tracker.name.clone(),
        message,
        remedy: Some(remedy.to_owned()),
    };
    let Some(reference) = tracker.token.clone() else {
        return Err(fail_with("no token is configured".to_owned(), "Add token_env, token_command or token_file to the tracker."));
    };
    let token = tokio::task::spawn_blocking(move || reference.resolve())
        .await
        .map_err(|e| fail(e.to_string()))?
        .map_err(|e| fail(e.to_string()))?;
    let client = client_builder(&tracker.tls)
        .map_err(|e| fail(e.message))?
        .connect_timeout(Duration::from_secs(5).min(tracker.timeout))
        .timeout(tracker.timeout)
        .build()
        .map_err(|e| fail(innermost(&e)))?;
    let request = client.post(&outgoing.url).json(&outgoing.body);
    let request = match tracker.kind {
        TrackerKind::Github => request
            .bearer_auth(token.expose_secret())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28"),
        TrackerKind::Gitlab => request.header("private-token", token.expose_secret()),
    };
    let mut response = request.send().await.map_err(|e| {
        if e.is_timeout() {
            fail_with(format!("no response within {:?}", tracker.timeout), CHECK_TRACKER)
        } else {
            fail(innermost(&e))
        }
    })?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| fail(innermost(&e)))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_RESPONSE {
            return Err(fail_with("the response is larger than 1 MiB".to_owned(), CHECK_TRACKER));
        }
    }
    let reply: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if !status.is_success() {
        let detail = reply.get("message").or_else(|| reply.get("error")).map(ToString::to_string).unwrap_or_default();
        let detail = crate::telemetry::clean::truncate(&crate::telemetry::clean::line(&detail), 200);
        let message = format!("the server responded with {status} {detail}").trim_end().to_owned();
        return Err(match status.as_u16() {
            401 | 403 => fail_with(message, "Check the token and its permissions."),
            404 => fail_with(message, "Check the project name and that the token has access to it."),
            _ => fail(message),
        });
    }
    let field = if tracker.kind == TrackerKind::Github { "html_url" } else { "web_url" };
    match reply.get(field).and_then(Value::as_str) {
        Some(url) => Ok(crate::telemetry::clean::line(url)),
        None => Err(fail_with(format!("the response ({status}) has no {field}"), CHECK_TRACKER)),
    }
}
