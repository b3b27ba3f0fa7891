//! The model: OpenAI-compatible chat through async-openai, streamed.
//!
//! Servers that call themselves compatible differ in small things (see `wire`), so the stream is decoded by our own
//! tolerant shapes, and errors are read from status and body before the crate tries its own (see `service`). Dropping the
//! future cancels the request; what came until then is with the caller already.

mod service;
mod wire;

use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use futures_util::StreamExt;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use crate::config::AssistantConfig;
use crate::incident::Usage;
use crate::prompt::{Delta, PromptPlan};
use crate::telemetry::clean;

/// Why a model did not answer, or not to the end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LlmError {
    pub message: String,
    /// Whether part of an answer had come.
    pub partial: bool,
}

impl LlmError {
    pub(crate) fn new(message: impl AsRef<str>) -> Self {
        let cleaned = clean::line(message.as_ref());
        let redacted = crate::evidence::Redactor::new().text(&cleaned).into_owned();
        Self { message: clean::cut(&redacted, 400), partial: false }
    }
}

/// A finished answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub text: String,
    pub usage: Usage,
    pub model: Option<String>,
    /// Set when the server stopped before the end: `length`, `content_filter`.
    pub cut_by: Option<String>,
}

/// A configured model.
pub struct Llm {
    config: AssistantConfig,
    client: Client<OpenAIConfig>,
}

/// The longest answer that is kept, in bytes: a server that never ends must not fill the memory.
const MAX_ANSWER: usize = 512 * 1024;

impl Llm {
    /// Makes the client; fetches the key (which may run a command), so call it off the drawing thread.
    pub async fn new(config: &AssistantConfig) -> Result<Self, LlmError> {
        let key = match config.api_key.clone() {
            None => None,
            Some(reference) => Some(
                tokio::task::spawn_blocking(move || reference.resolve())
                    .await
                    .map_err(|e| LlmError::new(e.to_string()))?
                    .map_err(|e| LlmError::new(e.to_string()))?,
            ),
        };
        let builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            // Between two bytes, not over the whole answer: a long answer is no failure.
            .read_timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("warroom/", env!("CARGO_PKG_VERSION")));
        let headers = crate::sources::http::headers(&config.headers).map_err(|e| LlmError::new(e.message))?;
        let http = crate::sources::http::tls(builder, &config.tls)
            .and_then(|b| {
                b.default_headers(headers).build().map_err(|e| {
                    crate::sources::SourceError::new(crate::sources::FaultKind::Config, crate::sources::http::chain(&e))
                })
            })
            .map_err(|e| LlmError::new(e.message))?;
        // Every field is set: the crate's defaults read the environment.
        let api = OpenAIConfig::new()
            .with_api_base(config.base_url.trim_end_matches('/'))
            .with_api_key(key.as_ref().map_or("none", |k| k.expose_secret()))
            .with_org_id("")
            .with_project_id("");
        let client = Client::build(http.clone(), api).with_http_service(service::Service::new(http, config.timeout, None));
        Ok(Self { config: config.clone(), client })
    }

    /// Streams an answer. Deltas go to `sink` as they come; a closed sink does not stop the answer.
    pub async fn answer(&self, plan: &PromptPlan, sink: &mpsc::Sender<Delta>) -> Result<Outcome, LlmError> {
        let request = wire::Request::of(&self.config, plan);
        let progress = sink.clone();
        let mut stream = service::with_progress(progress, self.client.chat().create_stream_byot::<_, wire::Chunk>(request))
            .await
            .map_err(|e| service::explain(&e))?;
        let mut outcome = Outcome::default();
        let mut thinking = wire::Thinking::default();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => {
                    if let Some(message) = chunk.error_message() {
                        return Err(LlmError { partial: !outcome.text.is_empty(), ..LlmError::new(message) });
                    }
                    chunk.note(&mut outcome);
                    let text = thinking.visible(&chunk.text());
                    if text.is_empty() {
                        continue;
                    }
                    outcome.text.push_str(&text);
                    // Awaiting here slows the reading of the stream, which is what a slow terminal needs.
                    let _closed = sink.send(Delta::Text(text)).await;
                    if outcome.text.len() > MAX_ANSWER {
                        outcome.cut_by = Some("warroom: the answer is longer than 512 KiB".to_owned());
                        break;
                    }
                }
                Err(e) => return Err(LlmError { partial: !outcome.text.is_empty(), ..service::explain(&e) }),
            }
        }
        if outcome.text.trim().is_empty() {
            return Err(LlmError::new("the model gave an empty answer"));
        }
        Ok(outcome)
    }

    /// A cheap question for `doctor`: does the server list models, and is ours among them?
    pub async fn probe(config: &AssistantConfig) -> Result<String, LlmError> {
        let source = crate::config::SourceConfig {
            name: "assistant".to_owned(),
            kind: "llm".to_owned(),
            url: Some(config.base_url.clone()),
            auth: config.api_key.clone().map_or(crate::config::Auth::None, crate::config::Auth::Bearer),
            headers: config.headers.clone(),
            tls: config.tls.clone(),
            timeout: Duration::from_secs(10),
            paths: Vec::new(),
            path: None,
            namespace: None,
            matchers: Vec::new(),
            selector: None,
            service: None,
            timezone_offset_minutes: 0,
        };
        let fail = |e: crate::sources::SourceError| LlmError::new(e.message);
        let http = crate::sources::http::Http::new(&source).map_err(fail)?;
        let reply = http.get("models", &Vec::new()).await.map_err(fail)?;
        if reply.status == 404 {
            return Ok("reachable, lists no models".to_owned());
        }
        if crate::sources::http::status_kind(reply.status).is_some() {
            return Err(LlmError::new(crate::sources::http::refused(&reply, None).message));
        }
        let list: serde_json::Value = reply.json().map_err(fail)?;
        let known = list
            .get("data")
            .and_then(|d| d.as_array())
            .is_some_and(|models| models.iter().any(|m| m.get("id").and_then(|i| i.as_str()) == Some(config.model.as_str())));
        Ok(if known { format!("has {}", config.model) } else { format!("reachable, does not list {}", config.model) })
    }
}
