//! The chat-completions dialect, read with tolerance: everything optional, unknown words kept as text. Deviations that
//! were seen in the wild: `finish_reason` as `""` or `eos`, no `id` or `created`, `usage: {}`, an error inside the stream
//! with HTTP 200, a first chunk without choices, a whole `message` instead of a `delta`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Outcome;
use crate::config::AssistantConfig;
use crate::prompt::{Message, PromptPlan};
use crate::telemetry::clean;

/// What is sent. `stream` is set here: the crate does not, with own types.
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
    pub(super) fn of(config: &'a AssistantConfig, plan: &'a PromptPlan) -> WithoutNulls<'a> {
        // OpenAI's reasoning models want the new name, everybody else the old one.
        let reasoning = config.base_url.contains("api.openai.com") || config.base_url.contains(".openai.azure.com");
        WithoutNulls(Self {
            model: &config.model,
            messages: plan.messages.get(),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: (!reasoning).then_some(config.answer_tokens),
            max_completion_tokens: reasoning.then_some(config.answer_tokens),
            temperature: config.temperature,
        })
    }
}

/// A request that leaves out what is not set: some servers refuse nulls.
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
    /// The text that this chunk adds, cleaned; nothing for other choices and tool calls.
    pub(super) fn text(&self) -> String {
        let Some(choice) = self.choices.first() else { return String::new() };
        let part = choice.delta.as_ref().or(choice.message.as_ref());
        let content = part.and_then(|p| p.get("content")).or(choice.text.as_ref());
        match content {
            Some(Value::String(text)) => clean::block(text),
            // Content as a list of parts.
            Some(Value::Array(parts)) => {
                parts.iter().filter_map(|p| p.get("text").and_then(Value::as_str)).map(clean::block).collect()
            }
            _ => String::new(),
        }
    }

    /// An error inside the stream, in whatever shape.
    pub(super) fn error_message(&self) -> Option<String> {
        match self.error.as_ref()? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.get("message").and_then(Value::as_str).map_or_else(|| other.to_string(), str::to_owned)),
        }
    }

    /// Takes usage, model and the reason of the end over.
    pub(super) fn note(&self, outcome: &mut Outcome) {
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
            outcome.cut_by = Some(reason.to_owned());
        }
    }
}

/// Hides what a local reasoning model thinks aloud between `<think>` and `</think>` at the start of its answer.
#[derive(Default)]
pub(super) struct Thinking {
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

impl Thinking {
    pub(super) fn visible(&mut self, text: &str) -> String {
        if self.state == State::Answer {
            return text.to_owned();
        }
        self.held.push_str(text);
        let begun = self.held.trim_start();
        if self.state == State::Start {
            if begun.starts_with("<think>") {
                self.state = State::Inside;
            } else if "<think>".starts_with(begun) {
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
    fn chunks_of_many_servers_are_read() {
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
        chunk(r#"{"choices":[{"finish_reason":"length"}],"usage":{"prompt_tokens":7},"model":"m"}"#).note(&mut outcome);
        assert_eq!(
            (outcome.usage.prompt_tokens, outcome.cut_by.as_deref(), outcome.model.as_deref()),
            (Some(7), Some("length"), Some("m"))
        );
    }

    #[test]
    fn thinking_aloud_is_hidden() {
        let mut thinking = Thinking::default();
        let parts = ["<th", "ink>hm", "m</thi", "nk>\n\nThe ", "pool"];
        assert_eq!(parts.iter().map(|p| thinking.visible(p)).collect::<String>(), "The pool");
        assert_eq!(Thinking::default().visible("<table>"), "<table>");
    }
}
