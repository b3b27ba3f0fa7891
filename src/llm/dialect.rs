//! What a server does not accept, learnt from its own words.
//!
//! Compatible servers accept different parameters, and name the one that they refuse in the error: as `param`, as the last
//! part of `loc`, or in the text. That parameter is renamed or left out, and the request is repeated. Nothing here knows a
//! server by name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The two names of the limit on the answer's tokens: reasoning models need the newer one, most other servers the older one.
const TOKEN_LIMITS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// How requests to one model differ from the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Dialect {
    /// Parameters that are left out.
    pub without: BTreeSet<String>,
    /// Whether the system message is put in front of the user's message.
    pub merges_system: bool,
    /// The most tokens that an answer may have, if the server named a limit below the configured one.
    pub answer_tokens: Option<u64>,
    /// Whether paths begin with `/v1`, which the configured address lacks.
    pub adds_version: bool,
}

impl Dialect {
    /// Changes a request that is built from the configuration as this dialect needs it.
    pub(super) fn apply(&self, body: &mut Map<String, Value>) {
        if self.without.contains("stream") {
            body.remove("stream_options");
        }
        for name in &self.without {
            let Some(value) = body.remove(name) else { continue };
            // A refused name of the token limit is replaced by the other one.
            let other = TOKEN_LIMITS.iter().find(|t| **t != name.as_str() && TOKEN_LIMITS.contains(&name.as_str()));
            if let Some(other) = other.filter(|o| !self.without.contains(**o)) {
                body.insert((*other).to_owned(), value);
            }
        }
        if let Some(limit) = self.answer_tokens {
            for name in TOKEN_LIMITS {
                if let Some(value) = body.get_mut(name).filter(|v| v.as_u64().is_some_and(|n| n > limit)) {
                    *value = limit.into();
                }
            }
        }
        if self.merges_system
            && let Some(Value::Array(messages)) = body.get_mut("messages")
            && messages.len() > 1
        {
            let text = |m: &Value| m.get("content").and_then(Value::as_str).unwrap_or("").to_owned();
            let system = messages.remove(0);
            if let Some(first) = messages.first_mut() {
                let joined = format!("{}\n\n{}", text(&system), text(first));
                *first = serde_json::json!({"role": "user", "content": joined});
            }
        }
    }

    /// The dialect to try after an error response, and what changed, in words. `None` if the error names nothing that can be
    /// changed.
    pub(super) fn after(&self, status: u16, text: &str, sent: &Map<String, Value>) -> Option<(Self, String)> {
        if matches!(status, 404 | 405) && !self.adds_version {
            return Some((Self { adds_version: true, ..self.clone() }, "added the path /v1".to_owned()));
        }
        if !matches!(status, 400 | 415 | 422 | 500 | 501) || context_limit(status, text).is_some() {
            return None;
        }
        let lower = text.to_lowercase();
        let refuses = REFUSALS.iter().any(|w| lower.contains(w));
        if refuses_system(&lower) && !self.merges_system {
            return Some((
                Self { merges_system: true, ..self.clone() },
                "put the system message in front of the question".to_owned(),
            ));
        }
        let name = refused_parameter(text, &lower, sent, refuses)?;
        if TOKEN_LIMITS.contains(&name.as_str())
            && !says_unsupported(&lower)
            && let Some(limit) = smaller_limit(&lower, sent.get(&name).and_then(Value::as_u64)?)
        {
            return Some((Self { answer_tokens: Some(limit), ..self.clone() }, format!("lowered {name} to {limit}")));
        }
        let mut next = self.clone();
        let other =
            TOKEN_LIMITS.iter().find(|t| TOKEN_LIMITS.contains(&name.as_str()) && **t != name && !self.without.contains(**t));
        let what = other.map_or_else(|| format!("left out {name}"), |other| format!("renamed {name} to {other}"));
        next.without.insert(name).then_some((next, what))
    }
}

/// Words with which servers refuse a parameter or its value.
const REFUSALS: [&str; 18] = [
    "unsupported",
    "not supported",
    "n't support",
    "not support",
    "unrecognized",
    "unrecognised",
    "unknown",
    "unexpected",
    "extra inputs",
    "extra field",
    "additional propert",
    "not permitted",
    "not allowed",
    "invalid",
    "cannot be used",
    "must be",
    "too large",
    "is deprecated",
];

fn says_unsupported(lower: &str) -> bool {
    ["unsupported parameter", "not supported", "unrecognized", "unknown", "extra", "not permitted", "instead", "deprecated"]
        .iter()
        .any(|w| lower.contains(w))
}

/// Whether an error refuses a message whose role is `system`.
fn refuses_system(lower: &str) -> bool {
    let about_roles = [
        "system role",
        "system message",
        "role 'system'",
        "role \"system\"",
        "role: system",
        "role `system`",
        "\\\"system\\\"",
        "developer instruction",
        "system instruction",
        "system prompt",
        "roles must alternate",
        "only user and assistant",
    ];
    about_roles.iter().any(|w| lower.contains(w))
        && (lower.contains("must alternate")
            || lower.contains("only user and assistant")
            || lower.contains("not enabled")
            || REFUSALS.iter().any(|w| lower.contains(w)))
}

/// The parameter of the request that an error names.
fn refused_parameter(text: &str, lower: &str, sent: &Map<String, Value>, refuses: bool) -> Option<String> {
    let known = |name: &str| {
        let name = name
            .rsplit(['.', '/'])
            .find(|p| sent.contains_key(*p))
            .or_else(|| name.split('.').next().filter(|p| sent.contains_key(*p)))?;
        (!["model", "messages"].contains(&name)).then(|| name.to_owned())
    };
    let json: Option<Value> = serde_json::from_str(text).ok();
    let error = json.as_ref().map(|j| j.get("error").filter(|e| e.is_object()).unwrap_or(j));
    if let Some(name) = error.and_then(|e| e.get("param")).and_then(Value::as_str).and_then(known) {
        return Some(name);
    }
    // FastAPI's and pydantic's form: {"detail": [{"loc": ["body", "stream_options"], …}]}.
    let details = json.as_ref().and_then(|j| j.get("detail")).and_then(Value::as_array);
    let located = details.into_iter().flatten().filter_map(|d| d.get("loc")?.as_array());
    if let Some(name) = located.flat_map(|loc| loc.iter().filter_map(Value::as_str)).find_map(known) {
        return Some(name);
    }
    if !refuses {
        return None;
    }
    // The parameter that the text names first, as a word of its own.
    let candidates = sent.keys().filter(|k| !["model", "messages"].contains(&k.as_str()));
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    candidates
        .filter_map(|name| {
            let found = lower.match_indices(name.as_str()).find(|(at, _)| {
                !is_part(lower.get(..*at).and_then(|t| t.chars().next_back()))
                    && !is_part(lower.get(at + name.len()..).and_then(|t| t.chars().next()))
            });
            found.map(|(at, _)| (at, name.clone()))
        })
        .min()
        .map(|(_, name)| name)
}

/// The largest number in a text that is below what was asked for; `None` without one.
fn smaller_limit(lower: &str, asked: u64) -> Option<u64> {
    numbers(lower).filter(|n| *n >= 16 && *n < asked).max()
}

fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split(|c: char| !c.is_ascii_digit() && c != ',').filter_map(|n| n.replace(',', "").parse().ok())
}

/// The size of the model's context window, as an error names it that says that the prompt does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContextLimit {
    /// In tokens.
    Named(u64),
    NotNamed,
}

/// The window that a prompt did not fit; `None` for any other error.
pub(super) fn context_limit(status: u16, text: &str) -> Option<ContextLimit> {
    let lower = text.to_lowercase();
    let says = [
        "context length",
        "context_length",
        "context window",
        "context size",
        "context_size",
        "maximum context",
        "context overflow",
        "context the overflows",
        "prompt is too long",
        "prompt too long",
        "input is too long",
        "input too long",
        "too many tokens",
        "input token count",
        "reduce the length",
        "number of tokens allowed",
        "too large for model",
        "exceeds the maximum number of tokens",
        "longer than the model",
        "token limit exceeded",
        "exceeds the model's",
    ];
    if status != 413 && !(matches!(status, 400 | 422 | 500) && says.iter().any(|w| lower.contains(w))) {
        return None;
    }
    // The number that follows a word for the limit, or precedes one.
    let markers = [
        "maximum context length is",
        "context length of only",
        "context length of",
        "n_ctx",
        "maximum context length",
        "context window of",
        "context size (",
        "tokens allowed (",
        "maximum number of tokens allowed",
        "limit of",
        "maximum of",
        "limit is",
        "context length",
    ];
    let after = markers.iter().find_map(|m| {
        let (_, rest) = lower.split_once(m)?;
        let near: String = rest.chars().take(24).collect();
        numbers(&near).find(|n| *n >= 256)
    });
    let before = || {
        let (head, _) =
            lower.split_once(" maximum").or_else(|| lower.split_once(" tokens limit")).or_else(|| lower.split_once(" limit"))?;
        numbers(head).last().filter(|n| *n >= 256)
    };
    Some(after.or_else(before).map_or(ContextLimit::NotNamed, ContextLimit::Named))
}

/// The tokens of a prompt that did not fit, as the server counted them; `None` if it does not name them.
pub(super) fn counted_tokens(text: &str) -> Option<u64> {
    let lower = text.to_lowercase();
    if let Some((head, _)) = lower.split_once(" in the messages").filter(|(head, _)| head.contains("requested")) {
        return numbers(head).last().filter(|n| *n >= 256);
    }
    let markers = [
        "n_prompt_tokens",
        "resulted in",
        "prompt is too long:",
        "input token count",
        "request (",
        "your input has",
        "prompt contains",
    ];
    markers.iter().find_map(|m| {
        let near: String = lower.split_once(m)?.1.chars().take(24).collect();
        numbers(&near).find(|n| *n >= 256)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent() -> Map<String, Value> {
        let Value::Object(map) = json!({
            "model": "m", "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}], "stream": true,
            "stream_options": {"include_usage": true}, "max_tokens": 4096, "temperature": 0.2, "reasoning_effort": "low", "top_k": 5
        }) else {
            unreachable!()
        };
        map
    }

    #[test]
    fn a_parameter_that_a_server_refuses_is_renamed_or_left_out() {
        for (status, text, gone, now) in [
            (
                400,
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens"}}"#,
                "max_tokens",
                json!({"max_completion_tokens": 4096}),
            ),
            (
                400,
                r#"{"error":{"message":"litellm.BadRequestError: OpenAIException - Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."}}"#,
                "max_tokens",
                json!({"max_completion_tokens": 4096}),
            ),
            (
                400,
                r#"{"error":{"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens'\"}}"}}}"#,
                "max_tokens",
                json!({"max_completion_tokens": 4096}),
            ),
            (
                422,
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}"#,
                "stream_options",
                json!({}),
            ),
            (400, "unknown field `stream_options`", "stream_options", json!({})),
            (
                400,
                r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.","param":"temperature"}}"#,
                "temperature",
                json!({}),
            ),
            (400, r#"{"message":"property 'reasoning_effort' is unsupported"}"#, "reasoning_effort", json!({})),
            (400, r#"{"error":"Unrecognized request argument supplied: top_k"}"#, "top_k", json!({})),
            (
                400,
                r#"{"error":{"message":"streaming is not supported for this model: stream must be false","param":"stream"}}"#,
                "stream",
                json!({}),
            ),
            (
                400,
                r#"{"error":{"message":"max_tokens is too large: 4096. This model supports at most 2048 completion tokens, whereas you provided 4096."}}"#,
                "",
                json!({"max_tokens": 2048}),
            ),
        ] {
            let (next, what) = Dialect::default().after(status, text, &sent()).unwrap_or_else(|| panic!("{text}"));
            let mut body = sent();
            next.apply(&mut body);
            assert!(!body.contains_key(gone), "{text}: {what}");
            for (key, value) in now.as_object().unwrap() {
                assert_eq!(body.get(key), Some(value), "{text}: {what}");
            }
        }
    }

    #[test]
    fn a_refused_system_role_is_merged_into_the_question() {
        for text in [
            r#"{"error":{"message":"System role not supported"}}"#,
            "Conversation roles must alternate user/assistant/user/assistant/...",
            r#"{"error":{"code":400,"message":"Developer instruction is not enabled for models/gemma-3"}}"#,
            r#"{"error":{"message":"Unsupported value: 'messages[0].role' does not support 'system' with this model: system message unsupported","param":"messages[0].role"}}"#,
        ] {
            let (next, _) = Dialect::default().after(400, text, &sent()).unwrap_or_else(|| panic!("{text}"));
            let mut body = sent();
            next.apply(&mut body);
            assert_eq!(body["messages"], json!([{"role": "user", "content": "S\n\nU"}]), "{text}");
        }
    }

    #[test]
    fn both_names_of_the_limit_may_be_refused_and_other_errors_change_nothing() {
        let dialect = Dialect {
            without: ["max_tokens".to_owned(), "max_completion_tokens".to_owned()].into(),
            adds_version: true,
            ..Dialect::default()
        };
        let mut body = sent();
        dialect.apply(&mut body);
        assert!(!body.contains_key("max_tokens") && !body.contains_key("max_completion_tokens"));
        for (status, text) in
            [(401, "invalid api key"), (400, "the moon is full"), (404, "model 'm' not found"), (500, "unexpected end")]
        {
            assert_eq!(dialect.after(status, text, &sent()), None, "{text}");
        }
    }

    #[test]
    fn reads_the_context_window_from_the_error() {
        for (status, text, limit, counted) in [
            (
                400,
                "This model's maximum context length is 8192 tokens. However, you requested 10240 tokens (8192 in the messages, 2048 in the completion).",
                Some(ContextLimit::Named(8192)),
                Some(8192),
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9001,"n_ctx":4096}}"#,
                Some(ContextLimit::Named(4096)),
                Some(9001),
            ),
            (400, "prompt is too long: 210000 tokens > 200000 maximum", Some(ContextLimit::Named(200_000)), Some(210_000)),
            (
                400,
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                Some(ContextLimit::Named(1_048_576)),
                Some(1_200_000),
            ),
            (
                400,
                "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens",
                Some(ContextLimit::Named(4096)),
                None,
            ),
            (400, "Please reduce the length of the messages or completion.", Some(ContextLimit::NotNamed), None),
            (413, "", Some(ContextLimit::NotNamed), None),
            (400, "bad temperature", None, None),
            (429, "too many tokens per minute", None, None),
        ] {
            assert_eq!((context_limit(status, text), counted_tokens(text)), (limit, counted), "{text}");
        }
    }
}
