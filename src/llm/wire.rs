//! Request and response of the chat-completions API. Responses are read leniently, as plain JSON: every field may be missing
//! or of another type. Real servers deviate in these ways: `choices` is `null`, `finish_reason` is `""` or `eos`, `usage` is
//! `{}`, an error comes inside the stream with HTTP 200, a whole `message` comes instead of or after the deltas, content is a
//! list of parts, and Ollama's own API has `message` and `done` at the top.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::dialect::Dialect;
use crate::config::AssistantConfig;
use crate::prompt::PromptPlan;
use crate::telemetry::clean;

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Request(pub Map<String, Value>);

impl Request {
    /// The request for a plan. The user's `extra_body` is added last and wins.
    pub(super) fn new(config: &AssistantConfig, plan: &PromptPlan, dialect: &Dialect) -> Self {
        // OpenAI's reasoning models need `max_completion_tokens`; other servers expect the older `max_tokens`.
        let is_openai = config.base_url.contains("api.openai.com") || config.base_url.contains(".openai.azure.com");
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(config.model));
        body.insert("messages".to_owned(), json!(plan.messages.get()));
        body.insert("stream".to_owned(), json!(true));
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        let limit = if is_openai { "max_completion_tokens" } else { "max_tokens" };
        body.insert(limit.to_owned(), json!(config.answer_tokens));
        if let Some(temperature) = config.temperature {
            body.insert("temperature".to_owned(), json!(temperature));
        }
        if let Some(effort) = &config.reasoning_effort {
            body.insert("reasoning_effort".to_owned(), json!(effort));
        }
        body.extend(config.extra_body.clone());
        body.retain(|_, v| !v.is_null());
        dialect.apply(&mut body);
        Self(body)
    }
}

/// One event of the stream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Chunk(Value);

/// Reasons for an end that leave the answer incomplete, as servers spell them, in lower case.
const CUT: [&str; 14] = [
    "length",
    "max_tokens",
    "max_output_tokens",
    "model_length",
    "content_filter",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "error",
    "abort",
    "aborted",
    "network_error",
    "insufficient_system_resource",
];

impl Chunk {
    fn choice(&self) -> &Value {
        let choices = self.0.get("choices").and_then(Value::as_array);
        let first = choices.and_then(|c| c.iter().find(|c| c.get("index").is_none_or(|i| i.as_u64() == Some(0))));
        first.unwrap_or(&Value::Null)
    }

    /// The delta or the whole message of the choice; the message of Ollama's own API.
    fn part(&self) -> Option<&Value> {
        let choice = self.choice();
        let objects = [choice.get("delta"), choice.get("message"), self.0.get("message")];
        objects.into_iter().flatten().find(|p| p.is_object())
    }

    /// The text that this chunk adds to the answer, cleaned. Empty for a tool call or reasoning; only the first choice is read.
    pub(super) fn text(&self) -> String {
        let content = self.part().and_then(|p| p.get("content")).or_else(|| self.choice().get("text"));
        content.or_else(|| self.0.get("response")).map(plain).unwrap_or_default()
    }

    /// Whether the text is the whole message rather than the next part of it.
    pub(super) fn is_whole(&self) -> bool {
        self.choice().get("message").is_some_and(Value::is_object) && self.choice().get("delta").is_none_or(|d| !d.is_object())
    }

    /// Whether this chunk holds reasoning that the server keeps apart.
    pub(super) fn has_reasoning(&self) -> bool {
        let part = self.part();
        let fields = ["reasoning_content", "reasoning", "reasoning_text", "thinking"];
        let apart = fields.iter().filter_map(|f| part?.get(f)).any(|v| v.as_str().is_none_or(|s| !s.is_empty()) && !v.is_null());
        let in_parts = part.and_then(|p| p.get("content")).and_then(Value::as_array).into_iter().flatten().any(is_thinking);
        apart || in_parts
    }

    /// The text of a refusal, which some models send instead of content.
    pub(super) fn refusal(&self) -> Option<String> {
        self.part()?.get("refusal")?.as_str().filter(|t| !t.is_empty()).map(clean::block)
    }

    /// The name of the tool that the model wants to call.
    pub(super) fn tool(&self) -> Option<String> {
        let part = self.part()?;
        let call = part
            .get("tool_calls")
            .and_then(|t| t.get(0))
            .and_then(|t| t.get("function"))
            .or_else(|| part.get("function_call"))?;
        Some(call.get("name").and_then(Value::as_str).map(clean::line).unwrap_or_default())
    }

    /// The message of an error inside the stream, whatever its JSON shape.
    pub(super) fn error_message(&self) -> Option<String> {
        let nested = self.0.get("error").filter(|e| !e.is_null());
        let flat = || {
            let is_error = self.0.get("object").and_then(Value::as_str) == Some("error")
                || self.0.get("type").and_then(Value::as_str) == Some("error")
                || self.0.get("choices").is_none() && self.0.get("detail").is_some();
            is_error.then_some(&self.0)
        };
        let error = nested.or_else(flat)?;
        Some(super::service::message_of(error).unwrap_or_else(|| error.to_string()))
    }

    /// Copies usage, model and the reason for the end into `outcome`.
    pub(super) fn update(&self, outcome: &mut Outcome) {
        let usage = [self.0.get("usage"), self.0.get("x_groq").and_then(|x| x.get("usage")), Some(&self.0)];
        let tokens = |names: &[&str]| {
            let mut found = usage.iter().flatten().flat_map(|u| names.iter().filter_map(|n| u.get(*n)));
            found.find_map(|v| v.as_u64().or_else(|| v.as_f64().map(|f| f as u64)).or_else(|| v.as_str()?.parse().ok()))
        };
        outcome.usage.prompt_tokens =
            tokens(&["prompt_tokens", "input_tokens", "prompt_eval_count"]).or(outcome.usage.prompt_tokens);
        outcome.usage.completion_tokens =
            tokens(&["completion_tokens", "output_tokens", "eval_count"]).or(outcome.usage.completion_tokens);
        if let Some(Value::String(model)) = self.0.get("model")
            && !model.is_empty()
        {
            outcome.model = Some(clean::line(model));
        }
        let reason = self.choice().get("finish_reason").and_then(Value::as_str).filter(|r| !r.is_empty());
        let reason = reason.or_else(|| {
            self.0
                .get("done")
                .filter(|d| d.as_bool() == Some(true))
                .map(|_| self.0.get("done_reason").and_then(Value::as_str).unwrap_or("stop"))
        });
        if let Some(reason) = reason {
            outcome.finished = true;
            let lower = reason.to_ascii_lowercase();
            if CUT.contains(&lower.as_str()) {
                outcome.cut_reason = Some(clean::line(&lower));
            }
        }
    }

    /// How the body ended, in the last event.
    pub(super) fn ending(&self) -> Option<&Value> {
        self.0.get(super::service::ENDING)
    }
}

fn is_thinking(part: &Value) -> bool {
    part.get("type").and_then(Value::as_str).is_some_and(|t| t.contains("think") || t.contains("reason"))
}

/// The text of a content field: a string, or a list of parts, without the parts that hold reasoning.
fn plain(content: &Value) -> String {
    match content {
        Value::String(text) => clean::block(text),
        Value::Array(parts) => parts.iter().filter(|p| !is_thinking(p)).map(plain).collect(),
        Value::Object(part) => part.get("text").map(plain).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
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
            (r#"{"choices":null,"usage":{"prompt_tokens":3}}"#, ""),
            (r#"{"choices":[{"message":{"content":[{"type":"text","text":"b"}]}}]}"#, "b"),
            (
                r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"x"}]},{"type":"text","text":"b"}]}}]}"#,
                "b",
            ),
            (r#"{"choices":[{"delta":{"content":"x\u001b[31m"}}]}"#, "x"),
            (r#"{"choices":[{"index":1,"delta":{"content":"other"}},{"index":0,"delta":{"content":"first"}}]}"#, "first"),
            (r#"{"choices":[{"text":"old","finish_reason":null}]}"#, "old"),
            (r#"{"model":"m","message":{"role":"assistant","content":"ollama"},"done":false}"#, "ollama"),
            (r#"{"object":"error"}"#, ""),
        ] {
            assert_eq!(chunk(json).text(), text, "{json}");
        }
        for (json, message) in [
            (r#"{"error":{"code":503,"message":"loading"}}"#, "loading"),
            (r#"{"error":"loading"}"#, "loading"),
            (r#"{"object":"error","message":"loading","code":500}"#, "loading"),
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"loading"}}"#, "loading"),
            (r#"{"detail":"loading"}"#, "loading"),
        ] {
            assert_eq!(chunk(json).error_message().as_deref(), Some(message), "{json}");
        }
        let mut outcome = Outcome::default();
        chunk(r#"{"choices":[{"finish_reason":"length"}],"usage":{"prompt_tokens":7},"model":"m"}"#).update(&mut outcome);
        assert_eq!(
            (outcome.usage.prompt_tokens, outcome.cut_reason.as_deref(), outcome.model.as_deref(), outcome.finished),
            (Some(7), Some("length"), Some("m"), true)
        );
        assert!(chunk(r#"{"choices":[{"delta":{"reasoning":"x","content":""}}]}"#).has_reasoning());
        assert_eq!(chunk(r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f"}}]}}]}"#).tool().as_deref(), Some("f"));
    }
}
