//! The HTTP transport under async-openai, with our own retries, limits and error handling.
//!
//! async-openai's own layer waits as long as a `Retry-After` header asks and loses the status of error bodies that it cannot
//! decode. Here a request is tried at most [`ATTEMPTS`] times, waits are capped, and an error keeps its status and message.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use backon::{BackoffBuilder, ExponentialBuilder};
use serde_json::Value;
use tokio::sync::mpsc;

use super::LlmError;
use crate::prompt::Delta;
use crate::sources::SourceError;
use crate::sources::http::{fault, innermost, proxy_of};
use crate::telemetry::failure::Explain;

const ATTEMPTS: usize = 3;
/// The longest wait between two attempts. If the server asks for more, the request fails at once.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// The message for an error body in HTML.
const HTML_PAGE: &str = "the response is an HTML page";
/// Reading an error body stops once it is longer than this, in bytes.
const MAX_ERROR: usize = 64 * 1024;

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

/// An HTTP error response with its message.
#[derive(Debug, thiserror::Error)]
#[error("HTTP {status}: {message}")]
struct ErrorResponse {
    status: u16,
    message: String,
}

/// Sends requests, with retries.
#[derive(Clone)]
pub(super) struct Service {
    client: reqwest::Client,
    timeout: Duration,
    /// Base of the exponential backoff (see [`Service::backoff`]).
    base_wait: Duration,
}

impl Service {
    pub(super) fn new(client: reqwest::Client, timeout: Duration, base_wait: Option<Duration>) -> Self {
        Self { client, timeout, base_wait: base_wait.unwrap_or(Duration::from_millis(500)) }
    }

    async fn send(self, factory: HttpRequestFactory) -> Result<reqwest::Response, OpenAIError> {
        let mut waits = ExponentialBuilder::default().with_min_delay(self.base_wait).with_max_times(ATTEMPTS - 1).build();
        let mut attempt = 1;
        report_progress("waiting for the model".to_owned());
        loop {
            let request = factory.build().await?;
            let proxy = proxy_of(request.url());
            let sent = self.client.execute(request).await;
            let (error, wait) = match sent {
                Ok(response) if response.status().is_success() => return as_stream(response).await,
                Ok(response) => {
                    let retry = matches!(response.status().as_u16(), 408 | 429 | 500 | 502 | 503 | 504);
                    let retry_after = response
                        .headers()
                        .get("retry-after")
                        .and_then(|v| v.to_str().ok())
                        .and_then(|v| v.trim().parse().ok())
                        .map(Duration::from_secs);
                    let error = read_error(response).await;
                    (
                        OpenAIError::Boxed(Box::new(error)),
                        if retry { waits.next().map(|wait| retry_after.unwrap_or(wait)) } else { None },
                    )
                }
                Err(e) => {
                    let retry = e.is_connect();
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

/// Turns a JSON response into a stream of one event, for servers that ignore `stream`; other responses pass through.
async fn as_stream(response: reqwest::Response) -> Result<reqwest::Response, OpenAIError> {
    let json =
        response.headers().get("content-type").and_then(|v| v.to_str().ok()).is_some_and(|t| t.contains("application/json"));
    if !json {
        return Ok(response);
    }
    let text = response.text().await.map_err(OpenAIError::Reqwest)?;
    let flat = text.replace(['\n', '\r'], " ");
    let event = response_from_text(format!("data: {flat}\n\ndata: [DONE]\n\n"));
    Ok(event)
}

/// A response with the given body.
fn response_from_text(text: String) -> reqwest::Response {
    reqwest::Response::from(http::Response::new(text))
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
    ErrorResponse { status, message: error_message(&text) }
}

/// The message of an error body: `{error:{message}}`, `{error:"…"}`, `{message}`, `{detail}`, or the start of the text.
fn error_message(text: &str) -> String {
    let json: Option<Value> = serde_json::from_str(text).ok();
    let found = json.as_ref().and_then(|j| {
        let error = j.get("error");
        error
            .and_then(|e| e.get("message"))
            .or(error.filter(|e| e.is_string()))
            .or_else(|| j.get("message"))
            .or_else(|| j.get("detail"))
            .and_then(Value::as_str)
    });
    match found {
        Some(message) => message.to_owned(),
        None if text.trim_start().starts_with('<') => HTML_PAGE.to_owned(),
        None => text.trim().chars().take(300).collect(),
    }
}

/// Converts an async-openai error, adding a remedy where the HTTP status suggests one.
pub(super) fn explain(error: &OpenAIError) -> LlmError {
    match error {
        OpenAIError::Boxed(inner) => {
            let response = inner.downcast_ref::<ErrorResponse>();
            let remedy = match response.map(|r| r.status) {
                Some(401 | 403) => Some("Check api_key_env in [assistant].".to_owned()),
                Some(404) => Some("Check base_url and model in [assistant].".to_owned()),
                Some(400 | 413) => Some("Check model and context_tokens in [assistant].".to_owned()),
                Some(_) if response.is_some_and(|r| r.message == HTML_PAGE) => Some("Check base_url in [assistant].".to_owned()),
                _ => inner.downcast_ref::<SourceError>().and_then(Explain::remedy),
            };
            LlmError { remedy, ..LlmError::new(inner.to_string()) }
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
