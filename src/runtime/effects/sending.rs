//! Runs effects that send updates and briefs.

use super::Runner;
use crate::app::msg::{SendCall, SendEffect};
use crate::app::{Effect, Msg};
use crate::incident::{Incident, SendOutcome};
use crate::investigate::send::{Obstacle, SendPlan, SendRequest};
use crate::investigate::{Desk, DeskError};
use crate::telemetry::Explain;

impl Runner {
    /// Starts an effect that plans a sending or carries one out.
    pub(super) fn send(&mut self, effect: SendEffect) {
        match effect {
            SendEffect::Plan(call) => self.request(move |desk| async move {
                let planned = match desk.journal.incident(call.id).await {
                    Ok(incident) => plan(&desk, &incident, &call),
                    Err(e) => Err(e.into()),
                };
                // What was typed is not lost, whatever failed.
                Ok(match planned {
                    Ok(plan) => preview(call, &plan),
                    Err(e) => Msg::SendFailed(call, e.failure()),
                })
            }),
            SendEffect::Send(ref call, ref outgoing, ref token) => {
                let (call, outgoing, token) = (call.clone(), outgoing.clone(), token.clone());
                self.write(Effect::Send(effect), move |desk| async move {
                    let incident = desk.journal.incident(call.id).await?;
                    let request = SendRequest { exact: Some(outgoing), ..request(&call) };
                    let plan = desk.plan_send(&incident, &request)?;
                    if plan.token() != token {
                        let refusal = crate::incident::Refusal::invalid("what would be sent is no longer what you confirmed");
                        return Err(refusal.advise("Look at the preview again.").into());
                    }
                    let sent = desk.send(incident.id(), &plan).await?;
                    let warnings = match sent.outcome {
                        SendOutcome::Sent => Vec::new(),
                        SendOutcome::Failed | SendOutcome::Refused => vec!["Send it again, or use another channel.".to_owned()],
                        SendOutcome::Unknown => vec!["Look whether it arrived before you send it again.".to_owned()],
                    };
                    Ok(Msg::Ran(sent.describe(plan.channel()), warnings))
                });
            }
        }
    }
}

/// The message that follows from a plan: to confirm it, or what prevents it.
fn preview(call: Box<SendCall>, plan: &SendPlan) -> Msg {
    let refusal = plan.refusal();
    match (&plan.obstacle, refusal) {
        (None, _) | (_, None) => {
            let lines = plan.preview().lines().map(str::to_owned).collect();
            let title = format!("Send this through {}?", plan.channel());
            let send = SendEffect::Send(call, Box::new(plan.outgoing().clone()), plan.token());
            Msg::ToConfirm { effect: Box::new(Effect::Send(send)), title, lines }
        }
        (Some(Obstacle::OpenHits), _) => Msg::SendHits(call, plan.hit_words()),
        (Some(_), Some(failure)) => {
            let again = Box::new(Effect::Send(SendEffect::Plan(Box::new(SendCall { again: true, ..*call }))));
            Msg::ToConfirm { effect: again, title: "Send it again?".to_owned(), lines: vec![failure.line()] }
        }
    }
}

fn plan(desk: &Desk, incident: &Incident, call: &SendCall) -> Result<SendPlan, DeskError> {
    desk.plan_send(incident, &request(call))
}

fn request(call: &SendCall) -> SendRequest {
    let SendCall { id: _, channel, letter, audience, stage, text, target, override_reason, again } = call;
    SendRequest {
        letter: *letter,
        stage: *stage,
        text: text.clone(),
        target: target.clone(),
        override_reason: override_reason.clone(),
        again: *again,
        ..SendRequest::new(channel.clone(), *audience)
    }
}
