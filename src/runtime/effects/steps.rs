//! Runs effects on the steps of playbooks.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Runner;
use crate::app::msg::{StepCall, StepEffect};
use crate::app::{Effect, Msg};
use crate::incident::{Refusal, StepState};
use crate::investigate::Progress;
use crate::investigate::playbook::{Consent, PreparedStep};

impl Runner {
    /// Starts an effect on a step of a playbook.
    pub(super) fn step(&mut self, effect: StepEffect) {
        match effect {
            StepEffect::Prepare(call) => self.request(move |desk| async move {
                let incident = desk.journal.incident(call.id).await?;
                let playbook = desk.playbook(&call.playbook)?;
                if let Some(missing) = desk.missing_value(&incident, playbook, call.step, &call.values) {
                    let (name, description, choices) = (missing.name, missing.description, missing.choices);
                    return Ok(Msg::ValueNeeded { call, name, description, choices });
                }
                let prepared = desk.prepare_step(&incident, playbook, call.step, &call.values)?;
                let (title, lines) = (format!("Step {}: {}", call.step, prepared.step.title), confirmation(&prepared));
                Ok(Msg::ToConfirm { effect: Box::new(Effect::Step(StepEffect::Run(call, prepared.token()))), title, lines })
            }),
            StepEffect::Run(call, token) => self.run_step(call, token),
            StepEffect::Skip { id, ref playbook, step, ref reason } => {
                let (playbook, reason) = (playbook.clone(), reason.clone());
                self.write(Effect::Step(effect), move |desk| async move {
                    let outcome = desk.skip_step(id, desk.playbook(&playbook)?, step, &reason).await?;
                    Ok(Msg::Ran(outcome.message, outcome.warnings))
                });
            }
        }
    }

    fn run_step(&mut self, call: StepCall, token: String) {
        self.script = CancellationToken::new();
        let (stop, messages) = (self.script.clone(), self.messages.clone());
        self.write(Effect::Step(StepEffect::Run(call.clone(), token.clone())), move |desk| async move {
            let sender = messages.clone();
            // Output may be skipped on the screen when the queue is full; what is stored is complete.
            let show: Progress = Arc::new(move |text| {
                let _queue_full = sender.try_send(Msg::ScriptOutput(text));
            });
            let run = async {
                let incident = desk.journal.incident(call.id).await?;
                let prepared = desk.prepare_step(&incident, desk.playbook(&call.playbook)?, call.step, &call.values)?;
                if prepared.token() != token {
                    return Err(changed().into());
                }
                desk.run_step(call.id, &prepared, Consent { is_confirmed: true, again: call.again }, &show, &stop).await
            };
            let outcome = run.await;
            let _quitting = messages.send(Msg::ScriptEnded).await;
            let outcome = outcome?;
            let is_failed = outcome.state == StepState::Failed;
            let mut notes = outcome.outcome.warnings;
            let next = outcome.goto.map(|n| format!(". Next: step {n}")).unwrap_or_default();
            // A recording answers what was recorded, however often it is asked.
            let is_recorded = desk.sources.sources.iter().any(|s| s.kind() == "recording");
            let advice = if is_recorded { "Skip it with a reason." } else { "Run it again, or skip it with a reason." };
            notes.extend(is_failed.then(|| advice.to_owned()));
            Ok(Msg::Ran(format!("{}{next}", outcome.outcome.message), notes))
        });
    }
}

/// The refusal to run something else than what was confirmed.
pub(super) fn changed() -> Refusal {
    Refusal::invalid("what would run has changed since it was shown").advise("Look at it again.")
}

/// What a step would run, for confirmation: exactly that, where, and with which variables. Empty if it only reads.
fn confirmation(prepared: &PreparedStep) -> Vec<String> {
    if prepared.blocks.is_empty() {
        return vec!["Record that this step is done?".to_owned()];
    }
    prepared.describe()
}
