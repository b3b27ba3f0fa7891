//! Pages a service through PagerDuty: an event of the Events API v2 (`POST /v2/enqueue`), built first so that a person can review it.
//! Its `dedup_key` is the same for every attempt, so that it is safe to send it again.
//!
//! Limits of the API: a summary has at most 1,024 characters, a key at most 255, an event at most 512 KB.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::config::PagerDutyConfig;
use crate::evidence::Redactor;
use crate::incident::{Incident, Severity};
use crate::sources::http::{client_builder, innermost};
use crate::telemetry::{Explain, clean};

const MAX_SUMMARY: usize = 1024;
const MAX_KEY: usize = 255;
/// How much of the brief is sent, in characters; far below the limit of an event.
const MAX_BRIEF: usize = 30_000;
const TIMEOUT: Duration = Duration::from_secs(10);
const RETRIES: usize = 3;

/// Why PagerDuty did not accept an event.
#[derive(Debug, thiserror::Error)]
#[error("cannot page '{name}' through PagerDuty: {message}")]
pub(crate) struct PagerDutyError {
    name: String,
    message: String,
    remedy: Option<&'static str>,
    is_temporary: bool,
}

impl Explain for PagerDutyError {
    fn remedy(&self) -> Option<String> {
        self.remedy.map(str::to_owned)
    }
}

/// The event that pages a service, without its routing key. All of it is redacted.
pub(crate) fn event(name: &str, incident: &Incident, text: &str, brief: &str) -> Value {
    let mut redactor = Redactor::new();
    let mut redact = |text: &str, most: usize| clean::truncate(&redactor.redact_text(text), most);
    let head = &incident.head;
    let severity = match head.severity {
        Severity::Sev1 => "critical",
        Severity::Sev2 => "error",
        Severity::Sev3 => "warning",
        Severity::Sev4 | Severity::Sev5 => "info",
    };
    let summary = redact(&clean::line(&format!("{} {} {}: {text}", incident.id(), head.severity, head.title)), MAX_SUMMARY);
    let services = if incident.impact.services.is_empty() { "warroom".to_owned() } else { incident.impact.services.join(", ") };
    let key = format!("warroom-{}-{}-{name}", incident.id(), head.declared_at.micros() / 1_000_000);
    json!({
        "event_action": "trigger",
        "dedup_key": clean::truncate(&key, MAX_KEY),
        "client": "warroom",
        "payload": {
            "summary": summary,
            "source": redact(&services, MAX_KEY),
            "severity": severity,
            "custom_details": {"brief": redact(brief, MAX_BRIEF)},
        },
    })
}

/// Sends an event, and again if the server is busy or does not answer. Returns the key under which PagerDuty keeps it.
///
/// # Errors
/// If there is no routing key, the event is refused, or no attempt was answered.
pub(crate) async fn send(config: &PagerDutyConfig, event: &Value) -> Result<String, PagerDutyError> {
    let fail = |message: String, remedy: Option<&'static str>, is_temporary: bool| PagerDutyError {
        name: config.name.clone(),
        message,
        remedy,
        is_temporary,
    };
    let Some(reference) = config.routing_key.clone() else {
        let remedy = "Add routing_key_env, routing_key_command or routing_key_file to its table in [[oncall.pagerduty]].";
        return Err(fail("no routing key is configured".to_owned(), Some(remedy), false));
    };
    let resolved =
        tokio::task::spawn_blocking(move || reference.resolve()).await.map_err(|e| fail(e.to_string(), None, false))?;
    let key = resolved.map_err(|e| fail(e.to_string(), None, false))?;
    let mut body = event.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("routing_key".to_owned(), json!(key.expose_secret()));
    }
    let client = client_builder(&config.tls).map_err(|e| fail(e.message, None, false))?;
    let client = client.timeout(TIMEOUT).build().map_err(|e| fail(innermost(&e), None, false))?;
    let attempt = || async {
        // The URL is configured, and the body holds the key: neither is part of an error.
        let reply = client.post(&config.url).json(&body).send().await;
        let reply = reply.map_err(|e| fail(innermost(&e.without_url()), Some("Check the URL and the network."), true))?;
        let status = reply.status();
        let answer: Value = reply.json().await.unwrap_or_default();
        if status.is_success() {
            return Ok(answer.get("dedup_key").and_then(Value::as_str).map(clean::line).unwrap_or_default());
        }
        let text = |field: &str| answer.get(field).map(ToString::to_string).unwrap_or_default();
        let detail = clean::truncate(&clean::line(&format!("{} {}", text("message"), text("errors"))), 200);
        let message = format!("the server responded with {status} {detail}").trim_end().to_owned();
        let is_busy = status.as_u16() == 429 || status.is_server_error();
        let remedy = if is_busy { "Try again, or page another way." } else { "Check the routing key of the integration." };
        Err(fail(message, Some(remedy), is_busy))
    };
    let waits = ExponentialBuilder::default().with_min_delay(Duration::from_millis(300)).with_max_times(RETRIES).with_jitter();
    attempt.retry(waits).when(|e: &PagerDutyError| e.is_temporary).await
}
