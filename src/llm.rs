//! The client for the model: streams chat completions from an OpenAI-compatible server through async-openai.
//!
//! Compatible servers differ in details (see `wire`), so the stream is decoded into our own tolerant types, and errors are
//! read from the HTTP status and body before async-openai decodes them (see `service`). Dropping the future cancels the
//! request; the caller already has the text that arrived before.

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
use crate::sources::{Probe, SourceError};
use crate::telemetry::clean;
use crate::telemetry::failure::Explain;

/// Why a model did not answer, or why its answer is incomplete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct LlmError {
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Whether part of an answer had arrived.
    pub partial: bool,
}

impl LlmError {
    /// A failure whose message may contain text from outside.
    pub(crate) fn new(message: impl AsRef<str>) -> Self {
        let cleaned = clean::line(message.as_ref());
        let redacted = crate::evidence::Redactor::new().redact_text(&cleaned).into_owned();
        Self { message: clean::truncate(&redacted, 400), remedy: None, partial: false }
    }
}

impl From<SourceError> for LlmError {
    fn from(e: SourceError) -> Self {
        Self { remedy: e.remedy(), ..Self::new(e.summary()) }
    }
}

impl Explain for LlmError {
    fn remedy(&self) -> Option<String> {
        self.remedy.clone()
    }
}

/// An answer from the model, complete unless `cut_reason` is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub text: String,
    pub usage: Usage,
    pub model: Option<String>,
    /// Why the answer was cut short: `length` or `content_filter` from the server, or our size limit.
    pub cut_reason: Option<String>,
}

/// A client for the configured model.
pub(crate) struct Llm {
    config: AssistantConfig,
    client: Client<OpenAIConfig>,
}

/// Streaming stops once the answer is longer than this, in bytes, so that an endless answer cannot fill the memory.
const MAX_ANSWER: usize = 512 * 1024;

impl Llm {
    /// Builds the client. Fetches the API key, which may run a command, so do not call this on the drawing thread.
    pub(crate) async fn new(config: &AssistantConfig) -> Result<Self, LlmError> {
        let key = match config.api_key.clone() {
            None => None,
            Some(reference) => Some(
                tokio::task::spawn_blocking(move || reference.resolve())
                    .await
                    .map_err(|e| LlmError::new(e.to_string()))?
                    .map_err(|e| LlmError::new(e.to_string()))?,
            ),
        };
        let headers = crate::sources::http::headers(&config.headers).map_err(|e| LlmError::new(e.message))?;
        let http = crate::sources::http::client_builder(&config.tls)
            .and_then(|b| {
                b.default_headers(headers)
                    .connect_timeout(Duration::from_secs(10))
                    // Limits the time between two reads, not the whole answer: a long answer is not a failure.
                    .read_timeout(config.timeout)
                    .build()
                    .map_err(|e| SourceError::new(crate::sources::FaultKind::Config, crate::sources::http::innermost(&e)))
            })
            .map_err(|e| LlmError::new(e.message))?;
        // Set every field: async-openai's defaults read environment variables.
        let api = OpenAIConfig::new()
            .with_api_base(config.base_url.trim_end_matches('/'))
            .with_api_key(key.as_ref().map_or("none", |k| k.expose_secret()))
            .with_org_id("")
            .with_project_id("");
        let client = Client::build(http.clone(), api).with_http_service(service::Service::new(http, config.timeout, None));
        Ok(Self { config: config.clone(), client })
    }

    /// Streams an answer. Sends each delta to `sink` as it arrives; a closed sink does not stop the answer.
    pub(crate) async fn answer(&self, plan: &PromptPlan, sink: &mpsc::Sender<Delta>) -> Result<Outcome, LlmError> {
        let request = wire::Request::from_plan(&self.config, plan);
        let progress = sink.clone();
        let mut stream = service::with_progress(progress, self.client.chat().create_stream_byot::<_, wire::Chunk>(request))
            .await
            .map_err(|e| service::explain(&e))?;
        let mut outcome = Outcome::default();
        let mut thinking = wire::ThinkingFilter::default();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => {
                    if let Some(message) = chunk.error_message() {
                        return Err(LlmError { partial: !outcome.text.is_empty(), ..LlmError::new(message) });
                    }
                    chunk.update(&mut outcome);
                    let text = thinking.visible(&chunk.text());
                    if text.is_empty() {
                        continue;
                    }
                    outcome.text.push_str(&text);
                    // Waiting for the sink slows down reading from the server when the terminal is slow.
                    let _closed = sink.send(Delta::Text(text)).await;
                    if outcome.text.len() > MAX_ANSWER {
                        outcome.cut_reason = Some("warroom's limit of 512 KiB".to_owned());
                        break;
                    }
                }
                Err(e) => return Err(LlmError { partial: !outcome.text.is_empty(), ..service::explain(&e) }),
            }
        }
        if outcome.text.trim().is_empty() {
            return Err(LlmError::new("the model returned an empty answer"));
        }
        Ok(outcome)
    }

    /// Checks for `doctor` whether the server responds and lists the configured model. Returns the result as a phrase.
    pub(crate) async fn probe(config: &AssistantConfig) -> Result<Probe, LlmError> {
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
            log_formats: crate::telemetry::parse::Formats::default(),
        };
        let fail = LlmError::from;
        let http = crate::sources::http::Http::new(&source).map_err(fail)?;
        let reply = http.get("models", &Vec::new()).await.map_err(fail)?;
        if reply.status == 404 {
            return Ok(Probe::ok("reachable, but does not list its models"));
        }
        if crate::sources::http::status_kind(reply.status).is_some() {
            return Err(crate::sources::http::refused(&reply, None).into());
        }
        let list: serde_json::Value = reply.json().map_err(fail)?;
        let is_listed = list
            .get("data")
            .and_then(|d| d.as_array())
            .is_some_and(|models| models.iter().any(|m| m.get("id").and_then(|i| i.as_str()) == Some(config.model.as_str())));
        Ok(if is_listed {
            Probe::ok(format!("{} is available", config.model))
        } else {
            let detail = format!("reachable, but does not list {}", config.model);
            Probe { detail, warning: Some("Check model in [assistant], or pull the model on the server.".to_owned()) }
        })
    }
}
