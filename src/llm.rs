//! The client for the model: streams chat completions from an OpenAI-compatible server through async-openai.
//!
//! Compatible servers differ in details (see `wire`), so the stream is decoded into our own tolerant types, and errors are
//! read from the HTTP status and body before async-openai decodes them (see `service`). Dropping the future cancels the
//! request; the caller already has the text that arrived before.

mod dialect;
mod events;
mod memory;
mod prices;
mod service;
mod thoughts;
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
pub(crate) use dialect::ContextLimit;
use dialect::Dialect;
pub(crate) use memory::{known, learn};
pub(crate) use prices::{as_of as prices_as_of, of as prices_of};
use thoughts::{Thoughts, Visible};

/// An error response of the server, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub status: u16,
    pub text: String,
}

/// Why a model did not answer, or why its answer is incomplete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct LlmError {
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The response, if the server refused the request.
    pub refused: Option<Refused>,
    /// Whether repeating the request may help: the connection broke before any text arrived.
    pub broke_early: bool,
}

impl LlmError {
    /// A failure whose message may contain text from outside.
    pub(crate) fn new(message: impl AsRef<str>) -> Self {
        let cleaned = clean::line(message.as_ref());
        let redacted = crate::evidence::Redactor::new().redact_text(&cleaned).into_owned();
        Self { message: clean::truncate(&redacted, 400), remedy: None, refused: None, broke_early: false }
    }

    fn advise(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The context window that the prompt did not fit; `None` for any other failure.
    pub(crate) fn context_limit(&self) -> Option<ContextLimit> {
        let refused = self.refused.as_ref()?;
        dialect::context_limit(refused.status, &refused.text)
    }

    /// How many tokens the server counted in a prompt that did not fit; `None` if it does not name them.
    pub(crate) fn counted_tokens(&self) -> Option<u64> {
        dialect::counted_tokens(&self.refused.as_ref()?.text)
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
    /// Why the answer was cut short: the server's reason, a lost connection, or our size limit.
    pub cut_reason: Option<String>,
    /// What the reader should know about how the answer came, such as a parameter that the server refused.
    pub notices: Vec<String>,
    /// Whether the server gave a reason for the end.
    finished: bool,
}

/// A request as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sent {
    /// The body without the messages.
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// Why it has no answer; `None` if it has one, or was cancelled.
    pub failure: Option<String>,
}

/// A client for the configured model.
pub(crate) struct Llm {
    config: AssistantConfig,
    http: reqwest::Client,
    key: Option<secrecy::SecretString>,
}

/// Streaming stops once the answer is longer than this, in bytes, so that an endless answer cannot fill the memory.
const MAX_ANSWER: usize = 512 * 1024;
/// How often a request is changed because the server names something that it does not accept.
const MAX_CHANGES: usize = 6;
/// How often a request is repeated because its stream broke before any text arrived.
const MAX_REPEATS: usize = 2;
/// How long to wait for usage once the server said that the answer is complete. Some servers never close the stream.
const AFTER_FINISH: Duration = Duration::from_secs(3);

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
        let mut headers = crate::sources::http::headers(&config.headers).map_err(|e| LlmError::new(e.message))?;
        // Azure reads the key from a header of its own.
        if config.base_url.contains(".azure.com")
            && let Some(key) = &key
            && let Ok(mut value) = reqwest::header::HeaderValue::try_from(key.expose_secret())
        {
            value.set_sensitive(true);
            headers.entry("api-key").or_insert(value);
        }
        let fault = |message: String| LlmError::new(message);
        let mut builder = crate::sources::http::client_builder(&config.tls)
            .map_err(|e| fault(e.message))?
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(10))
            // Limits the time between two reads, not the whole answer: a long answer is not a failure.
            .read_timeout(config.timeout);
        if let Some(proxy) = &config.proxy {
            let proxy = reqwest::Proxy::all(proxy).map_err(|e| fault(format!("the proxy '{proxy}' cannot be used: {e}")))?;
            builder = builder.proxy(proxy);
        }
        let http = builder.build().map_err(|e| fault(crate::sources::http::innermost(&e)))?;
        Ok(Self { config: config.clone(), http, key })
    }

    fn client(&self, dialect: &Dialect) -> Client<OpenAIConfig> {
        let (base, query) = address(&self.config.base_url);
        let version = if dialect.adds_version { "/v1" } else { "" };
        // Set every field: async-openai's defaults read environment variables.
        let api = OpenAIConfig::new()
            .with_api_base(format!("{base}{version}"))
            .with_api_key(self.key.as_ref().map_or("none", |k| k.expose_secret()))
            .with_org_id("")
            .with_project_id("");
        let service = service::Service::new(self.http.clone(), self.config.timeout, query.map(str::to_owned));
        Client::build(self.http.clone(), api).with_http_service(service)
    }

    /// Streams an answer. Sends each delta to `sink` as it arrives; a closed sink does not stop the answer.
    ///
    /// A parameter that the server refuses is renamed or left out, and the request repeated; what was learnt is remembered.
    /// Each request is added to `log` before it is sent.
    pub(crate) async fn answer(
        &self,
        plan: &PromptPlan,
        sink: &mpsc::Sender<Delta>,
        log: &mut Vec<Sent>,
    ) -> Result<Outcome, LlmError> {
        let first = known(&self.config).dialect;
        let (mut dialect, mut changes, mut repeats) = (first.clone(), Vec::new(), 0);
        loop {
            let request = wire::Request::new(&self.config, plan, &dialect);
            let sent = request.0.clone();
            let mut parameters = sent.clone();
            parameters.remove("messages");
            log.push(Sent { parameters, failure: None });
            let attempted = self.attempt(request, &dialect, sink).await;
            if let (Err(e), Some(last)) = (&attempted, log.last_mut()) {
                last.failure = Some(e.failure().line());
            }
            match attempted {
                Ok(mut outcome) => {
                    if dialect != first {
                        learn(&self.config, |k| k.dialect = dialect);
                        outcome.notices.insert(
                            0,
                            format!(
                                "the server did not accept the request as usual, so warroom {}; this is remembered",
                                changes.join(", ")
                            ),
                        );
                    }
                    return Ok(outcome);
                }
                Err(e) if e.broke_early && repeats < MAX_REPEATS => {
                    repeats += 1;
                    let _closed = sink.send(Delta::Waiting(format!("{}; asking again", e.message))).await;
                }
                Err(e) => {
                    let refused =
                        e.refused.as_ref().filter(|r| !matches!(r.status, 404 | 405) || lacks_path(&self.config.base_url));
                    match refused.and_then(|r| dialect.after(r.status, &r.text, &sent)) {
                        Some((next, what)) if changes.len() < MAX_CHANGES => {
                            let text = format!("the server did not accept the request; {what} and asking again");
                            let _closed = sink.send(Delta::Waiting(text)).await;
                            changes.push(what);
                            dialect = next;
                        }
                        _ => return Err(e),
                    }
                }
            }
        }
    }

    async fn attempt(&self, request: wire::Request, dialect: &Dialect, sink: &mpsc::Sender<Delta>) -> Result<Outcome, LlmError> {
        let client = self.client(dialect);
        let chat = client.chat();
        let mut stream = service::with_progress(sink.clone(), chat.create_stream_byot::<_, wire::Chunk>(request))
            .await
            .map_err(|e| service::explain(&e))?;
        let mut reading = Reading::default();
        loop {
            let next = stream.next();
            let next = if reading.outcome.finished {
                let Ok(next) = tokio::time::timeout(AFTER_FINISH, next).await else { break };
                next
            } else {
                next.await
            };
            let Some(chunk) = next else { break };
            reading.read(&chunk.map_err(|e| service::explain(&e))?, sink).await;
            if reading.error.is_some() || reading.is_too_long() {
                break;
            }
        }
        reading.finish(&self.config)
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

/// The base of an address and its query. A copied address of the endpoint itself is cut back to its base.
fn address(url: &str) -> (&str, Option<&str>) {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let base = base.trim_end_matches('/');
    (base.strip_suffix("/chat/completions").unwrap_or(base), query)
}

/// Whether an address consists only of scheme and host.
fn lacks_path(url: &str) -> bool {
    address(url).0.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'))
}

/// An answer while it arrives.
#[derive(Default)]
struct Reading {
    outcome: Outcome,
    thoughts: Thoughts,
    /// What arrived instead of an answer.
    has_reasoning: bool,
    refusal: String,
    tool: Option<String>,
    error: Option<String>,
    /// How the body ended, from the transport.
    ending: serde_json::Value,
}

impl Reading {
    fn is_too_long(&self) -> bool {
        self.outcome.text.len() > MAX_ANSWER
    }

    async fn read(&mut self, chunk: &wire::Chunk, sink: &mpsc::Sender<Delta>) {
        if let Some(ending) = chunk.ending() {
            self.ending = ending.clone();
            return;
        }
        self.error = chunk.error_message();
        chunk.update(&mut self.outcome);
        self.has_reasoning |= chunk.has_reasoning();
        self.refusal.push_str(&chunk.refusal().unwrap_or_default());
        if let Some(tool) = chunk.tool() {
            self.tool.get_or_insert(tool);
        }
        let text = chunk.text();
        // Some servers repeat the whole message after its parts.
        if text.is_empty() || chunk.is_whole() && !self.thoughts.is_empty() {
            return;
        }
        // Waiting for the sink slows down reading from the server when the terminal is slow.
        let _closed = match self.thoughts.push(&text) {
            Visible::Nothing => Ok(()),
            Visible::More(more) => {
                self.outcome.text.push_str(&more);
                sink.send(Delta::Text(more)).await
            }
            Visible::Instead(all) => {
                self.outcome.text.clone_from(&all);
                sink.send(Delta::Instead(all)).await
            }
        };
    }

    /// The answer, or the true reason why there is none.
    fn finish(mut self, config: &AssistantConfig) -> Result<Outcome, LlmError> {
        let broken = self.ending.get("broken").and_then(|b| b.as_str()).map(str::to_owned);
        let skipped = self.ending.get("skipped").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let sample = self.ending.get("sample").and_then(|s| s.as_str()).unwrap_or("").to_owned();
        let is_whole = self.outcome.finished || self.ending.get("done").and_then(serde_json::Value::as_bool) == Some(true);
        self.has_reasoning |= self.thoughts.any();
        let too_long = self.is_too_long();
        self.outcome.text = self.thoughts.finish();
        let has_text = !self.outcome.text.trim().is_empty();
        if let Some(message) = self.error.take() {
            if !has_text {
                let remedy = (message == service::HTML_PAGE).then(|| "Check base_url in [assistant].".to_owned());
                return Err(LlmError { remedy, ..LlmError::new(message) });
            }
            self.outcome.cut_reason = Some(LlmError::new(message).message);
        } else if too_long {
            self.outcome.cut_reason = Some("warroom's limit of 512 KiB".to_owned());
        } else if !is_whole {
            self.outcome.cut_reason.get_or_insert_with(|| match &broken {
                Some(reason) => format!("the connection to the model was lost: {reason}"),
                None => "the server closed the stream without saying that the answer is complete".to_owned(),
            });
        }
        if !has_text {
            return Err(self.why_empty(config, is_whole, broken.as_deref(), skipped, &sample));
        }
        if self.has_reasoning {
            tracing::debug!("the model's reasoning was left out");
        }
        if skipped > 0 {
            self.outcome
                .notices
                .push(format!("{skipped} unreadable events in the stream were skipped, such as: {}", clean::line(&sample)));
        }
        Ok(self.outcome)
    }

    fn why_empty(&self, config: &AssistantConfig, is_whole: bool, broken: Option<&str>, skipped: u64, sample: &str) -> LlmError {
        let cut = self.outcome.cut_reason.as_deref();
        let limit = config.answer_tokens;
        if !self.refusal.is_empty() {
            return LlmError::new(format!("the model refused to answer: {}", self.refusal));
        }
        if let Some(tool) = &self.tool {
            return LlmError::new(format!(
                "the model asked to call the tool '{tool}' instead of answering, although it was offered none"
            ))
            .advise("Choose a model that answers without tools, or turn tools off on the server.");
        }
        let is_length = matches!(cut, Some("length" | "max_tokens" | "max_output_tokens" | "model_length"));
        if self.has_reasoning {
            let why =
                if is_length { format!("used up its {limit} tokens on reasoning") } else { "sent only its reasoning".to_owned() };
            return LlmError::new(format!("the model {why} and gave no answer"))
                .advise("Raise answer_tokens in [assistant], or turn reasoning down with reasoning_effort or extra_body.");
        }
        if let Some(reason) =
            cut.filter(|r| matches!(*r, "content_filter" | "safety" | "blocklist" | "prohibited_content" | "recitation"))
        {
            return LlmError::new(format!("the server's content filter withheld the answer ({reason})"))
                .advise("Ask in other words, or use another model with --model.");
        }
        if is_length {
            return LlmError::new(format!("the answer was cut off before its first word (limit: {limit} tokens)"))
                .advise("Raise answer_tokens in [assistant].");
        }
        if skipped > 0 {
            return LlmError::new(format!("the response holds no chat completion; it begins with: {sample}"))
                .advise("Check base_url in [assistant]: it must be the address of an OpenAI-compatible API, such as http://127.0.0.1:11434/v1.");
        }
        if let Some(reason) = broken {
            return LlmError {
                broke_early: true,
                ..LlmError::new(format!("the connection to the model was lost before an answer: {reason}"))
            };
        }
        if !is_whole {
            return LlmError { broke_early: true, ..LlmError::new("the server closed the connection without an answer") }
                .advise("Check the server's log; it may have run out of memory.");
        }
        LlmError::new("the model returned an empty answer: it ended without any text or reasoning")
            .advise("Check that the server uses the model's own chat template.")
    }
}

/// What a server says about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub base_url: String,
    pub model: String,
    pub reachable: bool,
    /// The size of the context window as the server names it; `None` if it does not.
    pub context_tokens: Option<u64>,
    pub detail: String,
    pub remedy: Option<String>,
}

/// Asks a configured model's server whether it has the model, and for the size of its context window.
pub(crate) async fn look(config: &AssistantConfig) -> Found {
    let mut found = Found {
        base_url: config.base_url.clone(),
        model: config.model.clone(),
        reachable: false,
        context_tokens: None,
        detail: String::new(),
        remedy: None,
    };
    match Llm::probe(config).await {
        Ok(probe) => {
            found.reachable = true;
            found.detail = probe.detail;
            found.remedy = probe.warning;
            found.context_tokens = context_window(config).await;
            if let Some(window) = found.context_tokens.filter(|w| *w < config.context_tokens) {
                let text =
                    format!("The server's context window is {window} tokens. Set context_tokens = {window} in [assistant].");
                found.remedy.get_or_insert(text);
            }
        }
        Err(e) => {
            found.detail = e.message;
            found.remedy = e.remedy;
        }
    }
    found
}

/// The size of a model's context window as its server names it: vLLM and others in the list of models, llama.cpp in `/props`,
/// Ollama in `/api/show`. `None` if it names none.
async fn context_window(config: &AssistantConfig) -> Option<u64> {
    let llm = Llm::new(config).await.ok()?;
    let (base, _) = address(&config.base_url);
    let root = base.strip_suffix("/v1").unwrap_or(base);
    let request = |url: String, body: Option<serde_json::Value>| {
        let request = match body {
            Some(body) => llm.http.post(url).json(&body),
            None => llm.http.get(url),
        };
        let request = request.timeout(Duration::from_secs(5));
        match &llm.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    };
    let read = async |url: String, body: Option<serde_json::Value>| -> Option<serde_json::Value> {
        request(url, body).send().await.ok()?.error_for_status().ok()?.json().await.ok()
    };
    let number = |value: &serde_json::Value, names: &[&str]| names.iter().find_map(|n| value.get(*n)?.as_u64());
    if let Some(list) = read(format!("{base}/models"), None).await {
        let entries = list.get("data").and_then(|d| d.as_array()).cloned().unwrap_or_default();
        let own = entries.iter().find(|m| m.get("id").and_then(|i| i.as_str()) == Some(config.model.as_str()));
        let names = ["max_model_len", "context_length", "context_window", "max_context_length", "n_ctx"];
        if let Some(window) = own.and_then(|m| number(m, &names).or_else(|| number(m.get("meta")?, &["n_ctx", "n_ctx_train"]))) {
            return Some(window);
        }
    }
    if let Some(props) = read(format!("{root}/props"), None).await
        && let Some(window) = props.get("default_generation_settings").and_then(|s| number(s, &["n_ctx"]))
    {
        return Some(window);
    }
    let shown = read(format!("{root}/api/show"), Some(serde_json::json!({"model": config.model}))).await?;
    // What Ollama uses is `num_ctx` of its parameters; the model itself may be able to hold more.
    let parameters = shown.get("parameters").and_then(|p| p.as_str()).unwrap_or("");
    let set = parameters.lines().find_map(|l| l.trim().strip_prefix("num_ctx")?.trim().parse().ok());
    set.or_else(|| shown.get("model_info")?.as_object()?.iter().find(|(k, _)| k.ends_with(".context_length"))?.1.as_u64())
}

/// The ports that local servers use: Ollama, llama.cpp and LocalAI, vLLM, LM Studio, text-generation-webui, Jan.
const LOCAL_PORTS: [u16; 6] = [11434, 8080, 8000, 1234, 5000, 1337];

/// The models of OpenAI-compatible servers on the usual ports of this machine. Empty if none answers within a second.
pub(crate) async fn find_local() -> Vec<Found> {
    let Ok(http) = crate::sources::http::client_builder(&crate::config::TlsConfig::default()).and_then(|b| {
        b.timeout(Duration::from_secs(1))
            .no_proxy()
            .build()
            .map_err(|e| SourceError::new(crate::sources::FaultKind::Config, crate::sources::http::innermost(&e)))
    }) else {
        return Vec::new();
    };
    let one = async |port: u16| -> Vec<Found> {
        let base_url = format!("http://127.0.0.1:{port}/v1");
        let reply = async { http.get(format!("{base_url}/models")).send().await.ok()?.json::<serde_json::Value>().await.ok() };
        let list = reply.await.unwrap_or_default();
        let models = list.get("data").and_then(|d| d.as_array()).cloned().unwrap_or_default();
        let named = models.iter().filter_map(|m| m.get("id")?.as_str());
        named
            .map(|model| Found {
                base_url: base_url.clone(),
                model: clean::line(model),
                reachable: true,
                context_tokens: None,
                detail: "is available".to_owned(),
                remedy: None,
            })
            .collect()
    };
    futures_util::future::join_all(LOCAL_PORTS.map(one)).await.into_iter().flatten().collect()
}
