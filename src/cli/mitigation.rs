//! `warroom mitigation`: the mitigation cards of an incident.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::incident::When;
use super::{CliError, Done, duration_arg, id_arg, out};
use crate::analysis::exit_criteria;
use crate::incident::command::NewMitigation;
use crate::incident::mitigation::{card_index, card_label};
use crate::incident::{CardState, Command, ExitCriteria, Incident, IncidentId, MitigationCard, Risk};
use crate::investigate::Desk;
use crate::playbook::{Suggestion, suggestions};
use crate::telemetry::{Failure, clean};

/// The subcommands of `warroom mitigation`.
#[derive(Subcommand)]
pub enum MitigationCommand {
    /// Propose a mitigation: what, how risky, how to undo it, and what shows that it works
    Add {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        #[command(flatten)]
        new: Box<AddArgs>,
    },
    /// Edit a proposed or started mitigation; omitted options keep their values
    Edit {
        #[command(flatten)]
        card: Card,
        /// What to do
        #[arg(long)]
        text: Option<String>,
        /// Risk: low, medium or high
        #[arg(long)]
        risk: Option<Risk>,
        /// How to undo it
        #[arg(long, value_name = "TEXT")]
        undo: Option<String>,
        /// Query and threshold that must hold afterwards, such as 'error_rate < 0.01'
        #[arg(long, value_name = "EXPR")]
        verify: Option<String>,
        /// How long it must hold; used with --verify
        #[arg(long = "for", value_name = "DURATION", value_parser = duration_arg, default_value = "5m")]
        length: Duration,
        /// Why it may start without an undo or a check
        #[arg(long, value_name = "WHY")]
        exception: Option<String>,
    },
    /// List the mitigations that the assistant's latest answer and the matching playbooks propose
    Suggest {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Record that a mitigation was started
    Start {
        #[command(flatten)]
        card: Card,
        /// Person who approved it
        #[arg(long, value_name = "NAME")]
        approved_by: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Record that a mitigation was done; what must hold is read again from then on
    Done {
        #[command(flatten)]
        card: Card,
        /// Result
        #[arg(long, value_name = "TEXT")]
        result: Option<String>,
        #[command(flatten)]
        when: When,
    },
    /// Drop a mitigation that will not be done
    Drop {
        #[command(flatten)]
        card: Card,
        /// Reason for dropping it
        #[arg(long)]
        reason: String,
    },
    /// Read again what must hold after the mitigations that were done
    Check {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// List the mitigations with their verdicts
    List {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
}

/// A mitigation of an incident.
#[derive(Args)]
pub struct Card {
    /// Incident, such as INC-1
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    /// Mitigation, such as M1
    mitigation: String,
}

/// What `warroom mitigation add` is given.
#[derive(Args)]
pub struct AddArgs {
    #[command(flatten)]
    new: NewMitigation,
    /// Query and threshold that must hold afterwards, such as 'error_rate < 0.01'
    #[arg(long, value_name = "EXPR")]
    verify: Option<String>,
    /// How long it must hold
    #[arg(long = "for", value_name = "DURATION", value_parser = duration_arg, default_value = "5m")]
    length: Duration,
}

pub(super) async fn run(desk: &Desk, command: MitigationCommand, as_json: bool) -> Result<Done, CliError> {
    let (id, command, at) = match command {
        MitigationCommand::Add { id, new } => {
            let AddArgs { mut new, verify, length } = *new;
            new.verify = criteria(verify, length)?;
            (id, Command::ProposeMitigation(new), None)
        }
        MitigationCommand::Edit { card, text, risk, undo, verify, length, exception } => {
            let incident = desk.journal.incident(card.id).await?;
            let old = find(&incident, &card)?;
            let new = NewMitigation {
                undo: undo.or_else(|| old.undo.clone()),
                verify: criteria(verify, length)?.or_else(|| old.verify.clone()),
                exception: exception.or_else(|| old.exception.clone()),
                edits: Some(old.seq),
                ..NewMitigation::new(text.unwrap_or_else(|| old.text.clone()), risk.unwrap_or(old.risk))
            };
            (card.id, Command::ProposeMitigation(new), None)
        }
        MitigationCommand::Suggest { id } => return suggest(desk, &desk.journal.incident(id).await?, as_json),
        MitigationCommand::Start { card, approved_by, when } => {
            (card.id, change(desk, &card, CardState::Started, approved_by, None).await?, when.resolve()?)
        }
        MitigationCommand::Done { card, result, when } => {
            (card.id, change(desk, &card, CardState::Done, None, result).await?, when.resolve()?)
        }
        MitigationCommand::Drop { card, reason } => {
            (card.id, change(desk, &card, CardState::Dropped, None, Some(reason)).await?, None)
        }
        MitigationCommand::List { id } => return list(&desk.journal.incident(id).await?, as_json),
        MitigationCommand::Check { id } => return check(desk, id, as_json).await,
    };
    let is_done = matches!(command, Command::ChangeMitigation { state: CardState::Done, .. });
    let outcome = desk.run(id, command, at).await?;
    if is_done {
        return check(desk, id, as_json).await;
    }
    list(&outcome.incident, as_json)
}

async fn change(
    desk: &Desk,
    card: &Card,
    state: CardState,
    approved_by: Option<String>,
    result: Option<String>,
) -> Result<Command, CliError> {
    let incident = desk.journal.incident(card.id).await?;
    Ok(Command::ChangeMitigation { card: find(&incident, card)?.seq, state, approved_by, result })
}

fn find<'a>(incident: &'a Incident, card: &Card) -> Result<&'a MitigationCard, CliError> {
    let found = card_index(&card.mitigation).and_then(|at| incident.cards.get(at));
    found.ok_or_else(|| {
        let message = format!("{} has no mitigation '{}'", card.id, card.mitigation);
        CliError::NotFound(Failure::new(message).advise(format!("Run `warroom mitigation list {}` to list them.", card.id)))
    })
}

/// What must hold, as typed.
fn criteria(verify: Option<String>, length: Duration) -> Result<Option<ExitCriteria>, CliError> {
    let build = |text: String| exit_criteria::build(&text, None, None, length, None);
    verify.map(build).transpose().map_err(|e| CliError::Usage(Failure::new(e)))
}

fn suggest(desk: &Desk, incident: &Incident, as_json: bool) -> Result<Done, CliError> {
    let found = suggestions(incident, &desk.playbooks);
    if as_json {
        let row = |s: &Suggestion| match s {
            Suggestion::Card(new) => {
                json!({"text": new.text, "risk": new.risk, "undo": new.undo, "origin": new.origin, "playbook": null, "step": null,
                       "verify": new.verify.as_ref().map(ExitCriteria::typed)})
            }
            Suggestion::Step { playbook, number, title } => {
                json!({"text": title, "risk": null, "undo": null, "verify": null, "origin": null, "playbook": playbook, "step": number})
            }
        };
        out::json(&json!({"suggestions": found.iter().map(row).collect::<Vec<Value>>()}))?;
        return Ok(Done::Complete);
    }
    for suggestion in &found {
        match suggestion {
            Suggestion::Card(new) => {
                let origin = new.origin.as_deref().unwrap_or("the assistant");
                out::line(format!("{}  {} risk, from {}", clean::line(&new.text), new.risk.word(), clean::line(origin)))?;
            }
            Suggestion::Step { playbook, number, title } => {
                let run = format!("warroom playbook run {} {playbook} --step {number}", incident.id());
                out::line(format!("{}  `{run}`", clean::line(title)))?;
            }
        }
    }
    if found.is_empty() {
        let words = "No suggestions from the assistant's latest answer or matching playbooks.";
        out::line(format!("{words} Run `warroom ask {} troubleshoot` to ask the assistant.", incident.id()))?;
    }
    Ok(Done::Complete)
}

async fn check(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let unread = desk.judge_mitigations(id).await?;
    for why in &unread {
        out::note(format!("warroom: {why}"));
    }
    list(&desk.journal.incident(id).await?, as_json)?;
    Ok(if unread.is_empty() { Done::Complete } else { Done::Partial })
}

fn list(incident: &Incident, as_json: bool) -> Result<Done, CliError> {
    if as_json {
        let rows: Vec<Value> = incident
            .cards
            .iter()
            .enumerate()
            .map(|(n, c)| {
                let judged = c.judgement.as_ref().map(|(_, j)| j);
                json!({"id": card_label(n), "text": c.text, "risk": c.risk, "reversible": c.undo.is_some(), "undo": c.undo,
                       "verify": c.verify.as_ref().map(ExitCriteria::describe), "exception": c.exception,
                       "state": c.state, "proposed_by": c.proposed_by, "origin": c.origin, "approved_by": c.approved_by,
                       "started_at": c.started_at, "done_at": c.done_at, "result": c.result,
                       "verdict": judged.map(|j| j.verdict), "why": judged.map(|j| j.why.as_str()),
                       "before": judged.and_then(|j| j.before), "after": judged.and_then(|j| j.after),
                       "evidence": judged.and_then(|j| j.evidence).into_iter().collect::<Vec<_>>()})
            })
            .collect();
        out::json(&json!({"mitigations": rows}))?;
        return Ok(Done::Complete);
    }
    if incident.cards.is_empty() {
        out::line(format!("No mitigations yet. Run `warroom mitigation add {} TEXT …` to propose one.", incident.id()))?;
    }
    for (n, card) in incident.cards.iter().enumerate() {
        let (label, text) = (card_label(n), clean::line(&card.text));
        out::line(format!("{label}  {text}  {}, {} risk", card.state.word(), card.risk.word()))?;
        let verify = card.verify.as_ref().map(ExitCriteria::describe);
        let rows = [
            ("undo", card.undo.clone()),
            ("verify", verify),
            ("exception", card.exception.clone()),
            ("result", card.result.clone()),
        ];
        for (name, value) in rows.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            out::line(format!("      {name}: {}", clean::line(&value)))?;
        }
        if let Some((at, judged)) = &card.judgement {
            let evidence = judged.evidence.map(|id| format!(" [{id}]")).unwrap_or_default();
            out::line(format!("      {} at {} UTC: {}{evidence}", judged.verdict, at.date_clock(), clean::line(&judged.why)))?;
        }
    }
    Ok(Done::Complete)
}
