//! `warroom proposal`: what the assistant's answers propose for an incident; a person accepts or refutes it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{CliError, Done, id_arg, out};
use crate::incident::command::seq_arg;
use crate::incident::proposal::{Proposal, proposal_arg};
use crate::incident::{Command, Incident, IncidentId, Refusal, cited_ids};
use crate::investigate::{Desk, DeskError};
use crate::playbook::proposals;

/// The subcommands of `warroom proposal`.
#[derive(Subcommand)]
pub enum ProposalCommand {
    /// List the hypotheses, verdicts, mitigations, action items, updates and severities that the answers propose
    List {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Only those of this answer, by the number of its entry
        #[arg(value_parser = seq_arg)]
        entry: Option<u64>,
    },
    /// Accept a proposal into the incident
    Accept {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Proposal, such as 12.3
        #[arg(value_parser = proposal_arg)]
        proposal: (u64, usize),
    },
    /// Refute a proposal; a refuted hypothesis is kept with the reason
    Refute {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Proposal, such as 12.3
        #[arg(value_parser = proposal_arg)]
        proposal: (u64, usize),
        /// Reason, with the evidence in brackets, such as E3
        #[arg(long)]
        reason: String,
    },
}

/// `open`, `accepted` or `refuted`.
fn state(incident: &Incident, proposal: &Proposal) -> &'static str {
    match incident.decision_on(proposal) {
        None => "open",
        Some(d) if d.is_accepted => "accepted",
        Some(_) => "refuted",
    }
}

fn shape(incident: &Incident, p: &Proposal) -> Value {
    let decision = incident.decision_on(p);
    json!({
        "id": p.id(), "kind": p.proposed.word(), "text": p.text, "model": p.model, "entry": p.seq, "start": p.start, "end": p.end,
        "state": state(incident, p), "evidence": cited_ids(&p.text),
        "by": decision.map(|d| &d.by), "reason": decision.and_then(|d| d.reason.as_ref()),
    })
}

pub(super) async fn run(desk: &Desk, command: ProposalCommand, as_json: bool) -> Result<Done, CliError> {
    let (id, chosen, is_accepted, reason) = match command {
        ProposalCommand::List { id, entry } => {
            let incident = desk.journal.incident(id).await?;
            if let Some(seq) = entry.filter(|seq| incident.answer_at(*seq).is_none()) {
                let refusal = Refusal::not_found(format!("entry {seq} of {id} is not an answer"))
                    .advise(format!("Run `warroom threads {id}` to list the answers."));
                return Err(DeskError::from(refusal).into());
            }
            let answers = incident.answers.iter().filter(|a| entry.is_none_or(|seq| a.seq == seq));
            let all: Vec<Proposal> = answers.flat_map(|a| proposals(&incident, a)).collect();
            if as_json {
                out::json(&json!({"proposals": all.iter().map(|p| shape(&incident, p)).collect::<Vec<_>>()}))?;
            } else if all.is_empty() {
                out::note("No proposals. They come from answers of a model, such as those to the prompt troubleshoot.");
            }
            for p in all.iter().filter(|_| !as_json) {
                out::line(format!("{:<7} {:<11} {:<9} {}", p.id(), p.proposed.word(), state(&incident, p), p.text))?;
            }
            return Ok(Done::Complete);
        }
        ProposalCommand::Accept { id, proposal } => (id, proposal, true, None),
        ProposalCommand::Refute { id, proposal, reason } => (id, proposal, false, Some(reason)),
    };
    let (seq, number) = chosen;
    let incident = desk.journal.incident(id).await?;
    let all = incident.answer_at(seq).map_or_else(Vec::new, |a| proposals(&incident, a));
    let Some(proposal) = all.into_iter().find(|p| p.number == number) else {
        let refusal = Refusal::not_found(format!("{id} has no proposal {}.{number}", crate::incident::ids::seq_label(seq)))
            .advise(format!("Run `warroom proposal list {id}` to list them."));
        return Err(DeskError::from(refusal).into());
    };
    let (name, what) = (proposal.id(), proposal.proposed.word());
    let command = Command::DecideProposal { proposal: Box::new(proposal), is_accepted, reason };
    let outcome = desk.run(id, command, None).await?;
    if as_json {
        let entries: Vec<u64> = outcome.entries.iter().map(|e| e.seq).collect();
        out::json(
            &json!({"id": name, "kind": what, "state": if is_accepted { "accepted" } else { "refuted" }, "entries": entries}),
        )?;
    } else {
        out::line(format!("{} {what} {name}.", if is_accepted { "Accepted" } else { "Refuted" }))?;
    }
    Ok(Done::Complete)
}
