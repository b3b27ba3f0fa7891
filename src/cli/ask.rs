//! `warroom ask`: asks the model and streams its answer. `--dry-run` prints exactly what would be sent.

use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{CliError, Done, duration_arg, id_arg, out};
use crate::incident::command::seq_arg;
use crate::incident::conversation::{thread_arg, thread_of};
use crate::incident::{Answer, AnswerSource, IncidentId, Refusal};
use crate::investigate::Desk;
use crate::investigate::ask::Question;
use crate::prompt::Delta;
use crate::prompt::question::Together;

/// How long an answer usually takes before a person is asked for patience.
const WORTH_SAYING: std::time::Duration = std::time::Duration::from_secs(3);

/// Arguments of `warroom ask`.
#[derive(Args)]
pub struct AskArgs {
    /// Incident, such as INC-1
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    /// ID of a prompt, such as troubleshoot or postmortem, or a question in your own words
    question: String,
    /// Persona for the answer, instead of the one in the prompt: the ID of a prompt, or words of your own; repeat it for several answers
    #[arg(long, value_name = "NAME")]
    persona: Vec<String>,
    /// How several personas answer
    #[arg(long, value_name = "HOW", value_enum, default_value = "sequence")]
    together: Together,
    /// Model from [assistant.models], instead of the default one
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Thread to continue, or to begin; without it, the main one
    #[arg(long, value_name = "NAME", value_parser = thread_arg)]
    thread: Option<String>,
    /// Entry of the answer to continue from, such as 12; begins a new thread unless it is the latest of its thread
    #[arg(long, value_name = "ENTRY", value_parser = seq_arg)]
    follow: Option<u64>,
    /// Carry nothing of earlier answers
    #[arg(long, conflicts_with = "follow")]
    fresh: bool,
    /// Investigate this window first, such as 30m
    #[arg(long, value_name = "DURATION", value_parser = duration_arg)]
    window: Option<std::time::Duration>,
    /// Print exactly what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(desk: &Desk, args: AskArgs, as_json: bool) -> Result<Done, CliError> {
    // A slash command may carry flags of its own.
    let typed = Question::parse(&args.question)
        .map_err(|why| crate::investigate::DeskError::from(Refusal::invalid(format!("cannot read the question: {why}"))))?;
    let question = Question {
        personas: if args.persona.is_empty() { typed.personas } else { args.persona },
        together: if args.together == Together::Sequence { typed.together } else { args.together },
        model: args.model.or(typed.model),
        thread: args.thread.or(typed.thread),
        follows: args.follow,
        window: args.window.or(typed.window),
        begins: args.fresh,
        ..typed
    };
    if args.dry_run {
        return dry_run(desk, args.id, &question, as_json).await;
    }
    let (sink, mut deltas) = mpsc::channel::<Delta>(256);
    let cancel = CancellationToken::new();
    let on_interrupt = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_interrupt.cancel();
        }
    });
    let printing = tokio::spawn(async move {
        while let Some(delta) = deltas.recv().await {
            let shown = match delta {
                Delta::Text(text) if !as_json => out::raw(&text),
                // Text that is printed cannot be taken back, so the answer begins anew below a line.
                Delta::Instead(text) if !as_json => {
                    out::note("(what was printed so far was the model's reasoning)");
                    out::raw(&text)
                }
                Delta::Next(title) if !as_json => out::raw(&format!("\n----- {title} -----\n\n")),
                Delta::Asked(Some(usual)) if !as_json && usual >= WORTH_SAYING => {
                    out::note(format!(
                        "Answers of this model usually take {} s. Ctrl-C stops and keeps the part that arrived.",
                        usual.as_secs()
                    ));
                    Ok(())
                }
                Delta::Waiting(what) if !as_json => {
                    out::note(what);
                    Ok(())
                }
                _ => Ok(()),
            };
            if shown.is_err() {
                return;
            }
        }
    });
    let answered = desk.ask_all(args.id, &question, sink, cancel, &super::investigate::progress(as_json)).await;
    // Print the rest of the stream before the verdict.
    let _printed = printing.await;
    let (_, answers) = answered?;
    match answers.as_slice() {
        [answer] if as_json => out::json(&shape(answer))?,
        answers if as_json => out::json(&json!({"answers": answers.iter().map(shape).collect::<Vec<_>>()}))?,
        answers => out::raw("\n").map(|()| answers.iter().for_each(verdict))?,
    }
    let proposes = |a: &Answer| a.source == AnswerSource::Llm && !a.answer.trim().is_empty();
    if !as_json && answers.iter().any(proposes) {
        out::note(format!("Next: `warroom proposal list {}` lists what the answer proposes, to accept or refute it.", args.id));
    }
    Ok(Done::Complete)
}

/// The JSON of `warroom ask`, as documented in docs/json.md.
pub(super) fn shape(a: &Answer) -> serde_json::Value {
    json!({
        "answer": a.answer, "citations": a.citations, "claims": a.claims.iter().map(|c| super::claims::shape(c, c.state)).collect::<Vec<_>>(), "usage": a.usage, "model": a.model, "source": a.source,
        "fallback_reason": a.fallback_reason, "prompt": a.prompt, "prompt_version": a.prompt_version, "partial": a.partial,
        "notices": a.notices, "thread": thread_of(a), "follows": a.turn.as_ref().and_then(|t| t.follows).map(|f| f.seq),
        "carried": a.turn.as_ref().and_then(|t| t.carried), "persona": a.persona,
    })
}

/// Prints how the answer came and what its check found, to standard error.
pub(super) fn verdict(a: &Answer) {
    if let Some(reason) = &a.fallback_reason {
        let what = if a.source == AnswerSource::Rules { "answered by the built-in rules" } else { "incomplete answer" };
        out::note(format!("({what}: {reason})"));
    }
    for notice in &a.notices {
        out::note(format!("({notice})"));
    }
    out::note(format!("Checked: {}", a.claim_summary()));
    for claim in a.claims.iter().filter(|c| c.is_flagged()) {
        out::note(format!("  ? {}: {}", claim.state.word(), claim.text));
        if let Some(reason) = &claim.reason {
            out::note(format!("    {reason}"));
        }
    }
}

pub(super) async fn dry_run(desk: &Desk, id: IncidentId, question: &Question, as_json: bool) -> Result<Done, CliError> {
    let (incident, plan) = desk.plan(id, question).await?;
    if incident.evidence.is_empty() {
        out::note("No evidence yet. A real run investigates first, so its prompt will contain more than this.");
    }
    let model = desk.assistant_for(question)?.map(|a| a.model.clone());
    if as_json {
        out::json(&json!({
            "model": model, "messages": plan.messages, "tools": [], "estimated_tokens": plan.estimated_tokens,
            "budget_tokens": plan.budget_tokens, "evidence": plan.items, "redactions": plan.redactions,
            "prompt": plan.prompt, "prompt_version": plan.version, "instructions": plan.instructions, "carried": plan.carried,
        }))?;
        return Ok(Done::Complete);
    }
    out::note(format!(
        "Prompt for {}: {}",
        model.as_deref().unwrap_or("no model (none is configured, so the built-in rules would answer)"),
        plan.summary()
    ));
    for message in plan.messages.get() {
        out::line(format!("----- {} -----", serde_json::to_value(message.role)?.as_str().unwrap_or("")))?;
        out::line(&message.content)?;
    }
    Ok(Done::Complete)
}
