//! Request and response types of the chat-completions API. Responses are parsed leniently: every field is optional and may
//! have any JSON type. Real servers deviate in these ways: `finish_reason` is `""` or `eos`, `id` or `created` is missing,
//! `usage` is `{}`, an error comes inside the stream with HTTP 200, the first chunk has no choices, a whole `message` comes
//! instead of a `delta`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Outcome;
use crate::config::AssistantConfig;
use crate::prompt::{Message, PromptPlan};
use crate::telemetry::clean;

/// The request body. Sets `stream` itself, because async-openai does not set it for custom types.
#[derive(Serialize)]
pub(super) struct Request<'a> {
    model: &'a str,
    messages: &'a [Message],
    stream: bool,
    stream_options: StreamOptions,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> Request<'a> {
    pub(super) fn from_plan(config: &'a AssistantConfig, plan: &'a PromptPlan) -> WithoutNulls<'a> {
        // OpenAI's reasoning models need `max_completion_tokens`; other servers expect the older `max_tokens`.
        let is_openai = config.base_url.contains("api.openai.com") || config.base_url.contains(".openai.azure.com");
        WithoutNulls(Self {
            model: &config.model,
            messages: plan.messages.get(),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: (!is_openai).then_some(config.answer_tokens),
            max_completion_tokens: is_openai.then_some(config.answer_tokens),
            temperature: config.temperature,
        })
    }
}

/// Serializes a request without its null fields, which some servers reject.
pub(super) struct WithoutNulls<'a>(Request<'a>);

impl Serialize for WithoutNulls<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serde_json::to_value(&self.0).map_err(serde::ser::Error::custom)?;
        if let Value::Object(map) = &mut value {
            map.retain(|_, v| !v.is_null());
        }
        value.serialize(serializer)
    }
}

/// One event of the stream.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Value>,
    model: Option<Value>,
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Choice {
    delta: Option<Value>,
    message: Option<Value>,
    text: Option<Value>,
    finish_reason: Option<Value>,
}

impl Chunk {
    /// The text that this chunk adds, cleaned. Empty for a tool call; only the first choice is read.
    pub(super) fn text(&self) -> String {
        let Some(choice) = self.choices.first() else { return String::new() };
        let part = choice.delta.as_ref().or(choice.message.as_ref());
        let content = part.and_then(|p| p.get("content")).or(choice.text.as_ref());
        match content {
            Some(Value::String(text)) => clean::block(text),
            // Some servers send the content as a list of parts.
            Some(Value::Array(parts)) => {
                parts.iter().filter_map(|p| p.get("text").and_then(Value::as_str)).map(clean::block).collect()
            }
            _ => String::new(),
        }
    }

    /// The message of an error inside the stream, whatever its JSON shape.
    pub(super) fn error_message(&self) -> Option<String> {
        match self.error.as_ref()? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.get("message").and_then(Value::as_str).map_or_else(|| other.to_string(), str::to_owned)),
        }
    }

    /// Copies usage, model and the reason for an early end into `outcome`.
    pub(super) fn update(&self, outcome: &mut Outcome) {
        let tokens = |key: &str| self.usage.as_ref().and_then(|u| u.get(key)).and_then(Value::as_u64);
        outcome.usage.prompt_tokens = tokens("prompt_tokens").or(outcome.usage.prompt_tokens);
        outcome.usage.completion_tokens = tokens("completion_tokens").or(outcome.usage.completion_tokens);
        if let Some(Value::String(model)) = &self.model
            && !model.is_empty()
        {
            outcome.model = Some(clean::line(model));
        }
        let reason = self.choices.first().and_then(|c| c.finish_reason.as_ref()).and_then(Value::as_str);
        if let Some(reason @ ("length" | "content_filter")) = reason {
            outcome.cut_reason = Some(reason.to_owned());
        }
    }
}

/// Removes the reasoning that local models write between `<think>` and `</think>` at the start of an answer.
#[derive(Default)]
pub(super) struct ThinkingFilter {
    state: State,
    held: String,
}

#[derive(Default, PartialEq)]
enum State {
    #[default]
    Start,
    Inside,
    Answer,
}

impl ThinkingFilter {
    /// The part of the next piece of text to show. Holds text back while it may still be reasoning.
    pub(super) fn visible(&mut self, text: &str) -> String {
        if self.state == State::Answer {
            return text.to_owned();
        }
        self.held.push_str(text);
        let start = self.held.trim_start();
        if self.state == State::Start {
            if start.starts_with("<think>") {
                self.state = State::Inside;
            } else if "<think>".starts_with(start) {
                return String::new();
            } else {
                self.state = State::Answer;
                return std::mem::take(&mut self.held);
            }
        }
        match self.held.split_once("</think>") {
            Some((_, rest)) => {
                let rest = rest.trim_start().to_owned();
                self.state = State::Answer;
                self.held.clear();
                rest
            }
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Chunk {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn reads_chunks_of_many_servers() {
        for (json, text) in [
            (r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}"#, "a"),
            (r#"{"choices":[{"delta":{"role":"","content":null},"finish_reason":"eos"}],"usage":{}}"#, ""),
            (r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4},"created":1.5}"#, ""),
            (r#"{"choices":[{"message":{"content":[{"type":"text","text":"b"}]}}]}"#, "b"),
            (r#"{"choices":[{"delta":{"content":"x\u001b[31m"}}]}"#, "x"),
            (r#"{"object":"error"}"#, ""),
        ] {
            assert_eq!(chunk(json).text(), text, "{json}");
        }
        assert_eq!(chunk(r#"{"error":{"code":503,"message":"loading"}}"#).error_message().as_deref(), Some("loading"));
        let mut outcome = Outcome::default();
        chunk(r#"{"choices":[{"finish_reason":"length"}],"usage":{"prompt_tokens":7},"model":"m"}"#).update(&mut outcome);
        assert_eq!(
            (outcome.usage.prompt_tokens, outcome.cut_reason.as_deref(), outcome.model.as_deref()),
            (Some(7), Some("length"), Some("m"))
        );
    }

    #[test]
    fn hides_reasoning() {
        let mut filter = ThinkingFilter::default();
        let parts = ["<th", "ink>hm", "m</thi", "nk>\n\nThe ", "pool"];
        assert_eq!(parts.iter().map(|p| filter.visible(p)).collect::<String>(), "The pool");
        assert_eq!(ThinkingFilter::default().visible("<table>"), "<table>");
    }
}
