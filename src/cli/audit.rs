//! `warroom audit`: the requests behind the answers about an incident, with their exact messages.

use clap::Args;
use serde_json::json;

use super::{CliError, Done, id_arg, out};
use crate::incident::{IncidentId, Usage};
use crate::investigate::Desk;
use crate::investigate::assistant::SentRequest;

/// Arguments of `warroom audit`.
#[derive(Args)]
pub struct AuditArgs {
    /// Incident, such as INC-1
    #[arg(value_parser = id_arg)]
    id: IncidentId,
}

pub(super) async fn run(desk: &Desk, args: &AuditArgs, as_json: bool) -> Result<Done, CliError> {
    let requests = desk.sent_requests(args.id).await?;
    if as_json {
        let shape = |r: &SentRequest| {
            let a = &r.answer;
            // The answer has the tokens and the cost of its last request.
            let usage = if r.is_last { a.usage } else { Usage::default() };
            json!({
                "at": r.at, "purpose": a.prompt, "prompt_version": a.prompt_version, "model": r.attempt.model,
                "url": r.attempt.url, "messages": r.attempt.messages, "parameters": r.attempt.parameters, "tools": [], "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens, "cost": a.cost.filter(|_| r.is_last), "redactions": r.redactions,
                "outcome": r.outcome(), "detail": r.attempt.failure,
            })
        };
        out::json(&json!({"requests": requests.iter().map(shape).collect::<Vec<_>>()}))?;
        return Ok(Done::Complete);
    }
    if requests.is_empty() {
        out::note(format!("Nothing was sent to a model about {}.", args.id));
    }
    let spent: Vec<f64> = requests.iter().filter(|r| r.is_last).filter_map(|r| r.answer.cost).collect();
    if !spent.is_empty() {
        let list =
            desk.list_prices_of().map_or_else(String::new, |day| format!(", or else the list prices of {day} in US dollars"));
        out::note(format!("Cost of all answers at the configured prices{list}: {:.4}.", spent.iter().sum::<f64>()));
    }
    for r in &requests {
        out::line(r.summary())?;
        if !r.attempt.parameters.is_empty() {
            out::line(serde_json::to_string(&r.attempt.parameters)?)?;
        }
        for message in &r.attempt.messages {
            out::line(format!("----- {} -----", serde_json::to_value(message.role)?.as_str().unwrap_or("")))?;
            out::line(&message.content)?;
        }
    }
    Ok(Done::Complete)
}
