//! The transport under async-openai: our own retries, limits and reading of errors.
//!
//! The crate's own layer would wait as long as any `Retry-After` says and loses the status of error bodies that it cannot
//! decode. Here a read of at most [`ATTEMPTS`] tries is made, waits are capped, and an error keeps status and words.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use serde_json::Value;
use tokio::sync::mpsc;

use super::LlmError;
use crate::prompt::Delta;
use crate::sources::http::{chain, fault};

const ATTEMPTS: u32 = 3;
/// The longest wait between two attempts, whatever the server asks for.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Bytes kept of an error body.
const MAX_ERROR: usize = 64 * 1024;

tokio::task_local! {
    /// Where the attempts of the request under way are told.
    static PROGRESS: mpsc::Sender<Delta>;
}

/// Runs a request with its progress going to `sink`.
pub(super) async fn with_progress<F: Future>(sink: mpsc::Sender<Delta>, request: F) -> F::Output {
    PROGRESS.scope(sink, request).await
}

fn tell(text: String) {
    // A full queue means that there is plenty to read already.
    let _untold = PROGRESS.try_with(|sink| sink.try_send(Delta::Waiting(text)));
}

/// An HTTP answer that is an error, with its words.
#[derive(Debug, thiserror::Error)]
#[error("HTTP {status}: {message}")]
struct Refused {
    status: u16,
    message: String,
}

/// Sends requests.
#[derive(Clone)]
pub(super) struct Service {
    client: reqwest::Client,
    timeout: Duration,
    /// The first wait between attempts; a test shortens it.
    first_wait: Duration,
}

impl Service {
    pub(super) fn new(client: reqwest::Client, timeout: Duration, first_wait: Option<Duration>) -> Self {
        Self { client, timeout, first_wait: first_wait.unwrap_or(Duration::from_millis(500)) }
    }

    async fn send(self, factory: HttpRequestFactory) -> Result<reqwest::Response, OpenAIError> {
        let mut attempt = 1;
        tell("asking the model".to_owned());
        loop {
            let sent = self.client.execute(factory.build().await?).await;
            let (error, wait) = match sent {
                Ok(response) if response.status().is_success() => return as_stream(response).await,
                Ok(response) => {
                    let retry = matches!(response.status().as_u16(), 408 | 429 | 500 | 502 | 503 | 504);
                    let asked = response
                        .headers()
                        .get("retry-after")
                        .and_then(|v| v.to_str().ok())
                        .and_then(|v| v.trim().parse().ok())
                        .map(Duration::from_secs);
                    let refused = refused(response).await;
                    (OpenAIError::Boxed(Box::new(refused)), retry.then(|| asked.unwrap_or_else(|| self.wait(attempt))))
                }
                Err(e) => {
                    let retry = e.is_connect();
                    let error = fault(&e, self.timeout);
                    (OpenAIError::Boxed(Box::new(error)), retry.then(|| self.wait(attempt)))
                }
            };
            match wait {
                Some(wait) if attempt < ATTEMPTS && wait <= MAX_WAIT => {
                    tell(format!(
                        "{}; trying again in {:.1} s ({attempt} of {ATTEMPTS})",
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

    fn wait(&self, attempt: u32) -> Duration {
        self.first_wait.saturating_mul(1 << attempt.min(5))
    }
}

/// A server that ignores `stream` and answers with one JSON object is read as a stream of one event.
async fn as_stream(response: reqwest::Response) -> Result<reqwest::Response, OpenAIError> {
    let json =
        response.headers().get("content-type").and_then(|v| v.to_str().ok()).is_some_and(|t| t.contains("application/json"));
    if !json {
        return Ok(response);
    }
    let text = response.text().await.map_err(OpenAIError::Reqwest)?;
    let flat = text.replace(['\n', '\r'], " ");
    let event = made_response(format!("data: {flat}\n\ndata: [DONE]\n\n"));
    Ok(event)
}

/// A response made from a text.
fn made_response(text: String) -> reqwest::Response {
    reqwest::Response::from(http::Response::new(text))
}

async fn refused(mut response: reqwest::Response) -> Refused {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ERROR {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    Refused { status, message: words(&text) }
}

/// The words of an error body: `{error:{message}}`, `{error:"…"}`, `{message}`, `{detail}`, or the text itself.
fn words(text: &str) -> String {
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
        Some(words) => words.to_owned(),
        None if text.trim_start().starts_with('<') => "an HTML page: check base_url".to_owned(),
        None => text.trim().chars().take(300).collect(),
    }
}

/// The crate's error in our words.
pub(super) fn explain(error: &OpenAIError) -> LlmError {
    match error {
        OpenAIError::Boxed(inner) => {
            let text = inner.to_string();
            let remedy = inner.downcast_ref::<Refused>().map_or("", |r| match r.status {
                401 | 403 => "; check api_key_env",
                404 => "; check base_url and model",
                400 | 413 => "; check model and context_tokens",
                _ => "",
            });
            LlmError::new(format!("{text}{remedy}"))
        }
        OpenAIError::Reqwest(e) => LlmError::new(format!("the connection to the model broke: {}", chain(e))),
        OpenAIError::StreamError(e) => LlmError::new(format!("the stream broke: {e}")),
        OpenAIError::JSONDeserialize(e, text) => LlmError::new(format!(
            "the model sent something that is no answer ({e}): {}",
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
