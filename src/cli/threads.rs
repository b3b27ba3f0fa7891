//! `warroom threads`: the conversations about an incident, and the answers of one.

use clap::Args;
use serde_json::{Value, json};

use super::{CliError, Done, ask, id_arg, out};
use crate::incident::conversation::{Thread, thread_arg, thread_of};
use crate::incident::ids::seq_label;
use crate::incident::state::RecordedAnswer;
use crate::incident::{IncidentId, Refusal};
use crate::investigate::Desk;
use crate::telemetry::words;

/// Arguments of `warroom threads`.
#[derive(Args)]
pub struct ThreadsArgs {
    /// Incident, such as INC-1
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    /// Thread to print; without it, the threads are listed
    #[arg(value_parser = thread_arg)]
    thread: Option<String>,
}

fn shape(recorded: &RecordedAnswer) -> Value {
    let mut shape = ask::shape(&recorded.answer);
    if let Value::Object(fields) = &mut shape {
        fields.insert("entry".to_owned(), json!(recorded.seq));
        fields.insert("at".to_owned(), json!(recorded.at));
        fields.insert("question".to_owned(), json!(recorded.answer.question));
        fields.insert("accepted_by".to_owned(), json!(recorded.accepted_by));
    }
    shape
}

pub(super) async fn run(desk: &Desk, args: &ThreadsArgs, as_json: bool) -> Result<Done, CliError> {
    let incident = desk.journal.incident(args.id).await?;
    let threads = incident.threads();
    let Some(name) = &args.thread else {
        if as_json {
            out::json(&json!({"threads": threads}))?;
        } else if threads.is_empty() {
            out::note(format!("No answers yet. `warroom ask {} troubleshoot` begins a conversation.", args.id));
        }
        for Thread { name, answers, last } in threads.iter().filter(|_| !as_json) {
            out::line(format!("{name}  {}, latest entry {}", words::count(*answers, "answer"), seq_label(*last)))?;
        }
        return Ok(Done::Complete);
    };
    let answers = incident.thread_answers(name);
    if answers.is_empty() {
        let known: Vec<&str> = threads.iter().map(|t| t.name.as_str()).collect();
        let remedy = match known.as_slice() {
            [] => format!("Begin it: `warroom ask {} QUESTION --thread {name}`.", args.id),
            known => format!("The threads are {}.", words::list(known)),
        };
        let refusal = Refusal::not_found(format!("{} has no thread '{name}'", args.id)).advise(remedy);
        return Err(crate::investigate::DeskError::from(refusal).into());
    }
    if as_json {
        out::json(&json!({"thread": name, "answers": answers.iter().map(|a| shape(a)).collect::<Vec<_>>()}))?;
        return Ok(Done::Complete);
    }
    for recorded in answers {
        let a = &recorded.answer;
        let question = a.question.clone().unwrap_or_else(|| format!("/{}", a.prompt));
        let who = a.model.as_deref().unwrap_or("built-in rules");
        let thread = if thread_of(a) == name { String::new() } else { format!(", from thread {}", thread_of(a)) };
        out::line(format!("----- entry {}, {}, {who}{thread} -----", seq_label(recorded.seq), recorded.at.rfc3339()))?;
        out::line(format!("> {}\n\n{}\n", question.replace('\n', "\n> "), a.marked_text().trim()))?;
        ask::verdict(a);
    }
    Ok(Done::Complete)
}
