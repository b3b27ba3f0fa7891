//! `warroom audit`: the request behind each answer about an incident, with its exact messages. Of requests that were repeated, the last.

use clap::Args;
use serde_json::json;

use super::{CliError, Done, id_arg, out};
use crate::incident::{AnswerSource, IncidentId};
use crate::investigate::Desk;
use crate::investigate::assistant::SentRequest;

/// Arguments of `warroom audit`.
#[derive(Args)]
pub struct AuditArgs {
    /// Incident, such as INC-1
    #[arg(value_parser = id_arg)]
    id: IncidentId,
}

/// How a request ended.
fn outcome(request: &SentRequest) -> &'static str {
    match request.answer.source {
        AnswerSource::Rules => "failed",
        AnswerSource::Llm if request.answer.partial => "partial",
        AnswerSource::Llm => "answered",
    }
}

pub(super) async fn run(desk: &Desk, args: &AuditArgs, as_json: bool) -> Result<Done, CliError> {
    let requests = desk.sent_requests(args.id).await?;
    if as_json {
        let shape = |r: &SentRequest| {
            let a = &r.answer;
            json!({
                "at": r.at, "purpose": a.prompt, "prompt_version": a.prompt_version, "model": a.asked_model.as_ref().or(a.model.as_ref()),
                "url": a.url, "messages": r.messages, "tools": [], "prompt_tokens": a.usage.prompt_tokens,
                "completion_tokens": a.usage.completion_tokens, "cost": null, "redactions": r.redactions, "outcome": outcome(r),
                "detail": a.fallback_reason,
            })
        };
        out::json(&json!({"requests": requests.iter().map(shape).collect::<Vec<_>>()}))?;
        return Ok(Done::Complete);
    }
    if requests.is_empty() {
        out::note(format!("Nothing was sent to a model about {}.", args.id));
    }
    for r in &requests {
        let a = &r.answer;
        let tokens = a.usage.prompt_tokens.map_or_else(|| "tokens not reported".to_owned(), |n| format!("{n} prompt tokens"));
        let redactions: u64 = r.redactions.iter().map(|c| c.count).sum();
        out::line(format!(
            "{}  {}  {}  {}  {tokens}, {redactions} redactions, {}",
            r.at.rfc3339(),
            a.prompt,
            a.asked_model.as_deref().or(a.model.as_deref()).unwrap_or("unknown model"),
            a.url.as_deref().unwrap_or("unknown server"),
            outcome(r)
        ))?;
        for message in &r.messages {
            out::line(format!("----- {} -----", serde_json::to_value(message.role)?.as_str().unwrap_or("")))?;
            out::line(&message.content)?;
        }
    }
    Ok(Done::Complete)
}
