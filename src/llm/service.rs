//! The HTTP transport under async-openai, with our own retries, limits and error handling.
//!
//! async-openai's own layer waits as long as a `Retry-After` header asks, loses the status of error bodies that it cannot
//! decode, and ends a stream at the first event that is not JSON. Here a request is tried at most [`ATTEMPTS`] times, waits
//! are capped, an error keeps its status and text, and bodies are taken apart by [`super::events`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::mpsc;

use super::events::Decoder;
use super::{LlmError, Refused};
use crate::prompt::Delta;
use crate::sources::SourceError;
use crate::sources::http::{fault, innermost, proxy_of};
use crate::telemetry::failure::Explain;

const ATTEMPTS: usize = 3;
/// The longest wait between two attempts. If the server asks for more, the request fails at once.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// The message for a body in HTML.
pub(super) const HTML_PAGE: &str = "the response is an HTML page";
/// Reading an error body stops once it is longer than this, in bytes.
const MAX_ERROR: usize = 64 * 1024;
/// The key of the event that we add at the end of a body, with an [`Ending`] and, if the connection broke, the reason.
pub(super) const ENDING: &str = "warroom_ending";

tokio::task_local! {
    /// Receives the progress messages of the current request.
    static PROGRESS: mpsc::Sender<Delta>;
}

/// Runs a request and sends its progress messages to `sink`.
pub(super) async fn with_progress<F: Future>(sink: mpsc::Sender<Delta>, request: F) -> F::Output {
    PROGRESS.scope(sink, request).await
}

fn report_progress(text: String) {
    // If the queue is full, the message is dropped: the reader is busy anyway.
    let _dropped = PROGRESS.try_with(|sink| sink.try_send(Delta::Waiting(text)));
}

/// An HTTP error response.
#[derive(Debug, thiserror::Error)]
#[error("HTTP {status}: {message}")]
pub(super) struct ErrorResponse {
    pub status: u16,
    pub message: String,
    /// The body as it came, at most [`MAX_ERROR`] bytes.
    pub text: String,
}

/// Sends requests, with retries.
#[derive(Clone)]
pub(super) struct Service {
    client: reqwest::Client,
    timeout: Duration,
    /// Added to the address of each request, such as `api-version=…`.
    query: Option<String>,
    /// Base of the exponential backoff.
    base_wait: Duration,
}

impl Service {
    pub(super) fn new(client: reqwest::Client, timeout: Duration, query: Option<String>) -> Self {
        Self { client, timeout, query, base_wait: Duration::from_millis(500) }
    }

    async fn send(self, factory: HttpRequestFactory) -> Result<reqwest::Response, OpenAIError> {
        let mut waits = ExponentialBuilder::default().with_min_delay(self.base_wait).with_max_times(ATTEMPTS - 1).build();
        let mut attempt = 1;
        report_progress("waiting for the model".to_owned());
        loop {
            let mut request = factory.build().await?;
            if self.query.is_some() {
                request.url_mut().set_query(self.query.as_deref());
            }
            let proxy = proxy_of(request.url());
            let sent = self.client.execute(request).await;
            let (error, wait) = match sent {
                Ok(response) if response.status().is_success() => return Ok(as_events(response)),
                Ok(response) => {
                    let asked = asked_wait(response.headers());
                    let error = read_error(response).await;
                    let wait = if is_passing(&error) { waits.next().map(|wait| asked.unwrap_or(wait)) } else { None };
                    (OpenAIError::Boxed(Box::new(error)), wait)
                }
                Err(e) => {
                    // Without a response the model has not answered, so repeating costs nothing but its time.
                    let retry = e.is_connect() || (e.is_request() && !e.is_timeout());
                    let error = fault(&e, self.timeout, proxy.as_deref());
                    (OpenAIError::Boxed(Box::new(error)), if retry { waits.next() } else { None })
                }
            };
            match wait {
                Some(wait) if wait <= MAX_WAIT => {
                    report_progress(format!(
                        "{}; retrying in {:.1} s (attempt {attempt} of {ATTEMPTS} failed)",
                        explain(&error).message,
                        wait.as_secs_f64()
                    ));
                    tokio::time::sleep(wait).await;
                    attempt += 1;
                }
                _ => return Err(error),
            }
        }
    }
}

/// How long a response asks to wait: `Retry-After` in seconds or as a date, or `retry-after-ms`.
fn asked_wait(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let exact = text("retry-after-ms").and_then(|v| v.trim().parse().ok()).map(Duration::from_millis);
    exact.or_else(|| text("retry-after").and_then(crate::sources::http::retry_after))
}

/// Whether an error may pass by itself. A used-up quota does not, although it has the status of a rate limit.
fn is_passing(error: &ErrorResponse) -> bool {
    let says = |word: &str| error.text.to_ascii_lowercase().contains(word);
    match error.status {
        429 => !is_quota(&error.text),
        408 | 502 | 503 | 504 | 520..=524 | 529 => true,
        // A template that refuses a role fails the same way each time.
        500 => !says("role") && !says("template"),
        _ => false,
    }
}

fn is_quota(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["insufficient_quota", "billing", "credit balance", "insufficient credit", "payment"].iter().any(|w| lower.contains(w))
}

/// The body of a response as one JSON event a line of data, followed by one that says how it ended.
fn as_events(response: reqwest::Response) -> reqwest::Response {
    let bytes = response.bytes_stream();
    let events = futures_util::stream::unfold(Some((Box::pin(bytes), Decoder::default())), |state| async move {
        let (mut bytes, mut decoder) = state?;
        let (next, broken) = match bytes.next().await {
            Some(Ok(chunk)) => {
                let events = decoder.push(&chunk);
                if !decoder.is_done() {
                    return Some((Ok::<_, std::io::Error>(as_body(&events)), Some((bytes, decoder))));
                }
                (events, None)
            }
            Some(Err(e)) => (Vec::new(), Some(innermost(&e))),
            None => (Vec::new(), None),
        };
        let (last, ending) = decoder.finish();
        let ending = serde_json::json!({ENDING: {
            "done": ending.done, "skipped": ending.skipped, "sample": ending.sample, "broken": broken,
        }});
        let all: Vec<Value> = next.into_iter().chain(last).chain([ending]).collect();
        Some((Ok(as_body(&all)), None))
    });
    reqwest::Response::from(http::Response::new(reqwest::Body::wrap_stream(events)))
}

fn as_body(events: &[Value]) -> String {
    events.iter().map(|e| format!("data: {e}\n\n")).collect()
}

/// Reads the status and message of an error response.
async fn read_error(mut response: reqwest::Response) -> ErrorResponse {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ERROR {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    ErrorResponse { status, message: error_message(&text), text }
}

/// The message of an error body, or the start of its text.
fn error_message(text: &str) -> String {
    let json: Option<Value> = serde_json::from_str(text).ok();
    match json.as_ref().and_then(message_of) {
        Some(message) => message,
        None if text.trim_start().starts_with('<') => HTML_PAGE.to_owned(),
        None if text.trim().is_empty() => "no message".to_owned(),
        None => text.trim().chars().take(300).collect(),
    }
}

/// The message in an error value, whatever its shape: `{error:{message}}`, `{error:"…"}`, `{message}`, `{detail}`, `{msg}`,
/// `{errors:[…]}`, `[{error}]`. A gateway's `metadata.raw` is more exact than its own message.
pub(super) fn message_of(error: &Value) -> Option<String> {
    match error {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => items.iter().find_map(message_of),
        Value::Object(map) => {
            let raw = map.get("metadata").and_then(|m| m.get("raw")).and_then(Value::as_str).map(error_message);
            let fields = ["error", "message", "detail", "msg", "errors"];
            let own = fields.iter().filter_map(|f| map.get(*f)).find_map(message_of);
            match (own, raw) {
                (Some(own), Some(raw)) => Some(format!("{own}: {raw}")),
                (own, raw) => own.or(raw),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Converts an async-openai error, adding a remedy where the HTTP status suggests one.
pub(super) fn explain(error: &OpenAIError) -> LlmError {
    match error {
        OpenAIError::Boxed(inner) => {
            let response = inner.downcast_ref::<ErrorResponse>();
            let remedy = match response.map(|r| r.status) {
                Some(401 | 403) => Some("Check api_key_env in [assistant].".to_owned()),
                Some(402) => Some("Check the account's credit.".to_owned()),
                Some(429) if response.is_some_and(|r| is_quota(&r.text)) => {
                    Some("Check the account's quota and billing.".to_owned())
                }
                Some(429) => Some("Wait a moment, or use another model with --model.".to_owned()),
                Some(404 | 405) => {
                    Some("Check base_url and model in [assistant]; `warroom models` lists what the server has.".to_owned())
                }
                Some(413) => Some("Lower context_tokens in [assistant].".to_owned()),
                Some(400 | 422) => Some("Check model, context_tokens and extra_body in [assistant].".to_owned()),
                Some(_) if response.is_some_and(|r| r.message == HTML_PAGE) => Some("Check base_url in [assistant].".to_owned()),
                _ => inner.downcast_ref::<SourceError>().and_then(Explain::remedy),
            };
            let refused = response.map(|r| Refused { status: r.status, text: r.text.clone() });
            LlmError { remedy, refused, ..LlmError::new(inner.to_string()) }
        }
        OpenAIError::Reqwest(e) => LlmError::new(format!("the connection to the model was lost: {}", innermost(e))),
        OpenAIError::StreamError(e) => LlmError::new(format!("the stream of the answer broke off: {e}")),
        OpenAIError::JSONDeserialize(e, text) => LlmError::new(format!(
            "the model sent a response that cannot be parsed ({e}): {}",
            text.chars().take(120).collect::<String>()
        )),
        other => LlmError::new(other.to_string()),
    }
}

impl tower::Service<HttpRequestFactory> for Service {
    type Response = reqwest::Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<reqwest::Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        Box::pin(self.clone().send(factory))
    }
}
