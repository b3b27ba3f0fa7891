//! Runs effects on the user's own commands.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Runner;
use super::steps::changed;
use crate::app::msg::{CustomCall, CustomEffect};
use crate::app::{Effect, Msg};
use crate::investigate::Progress;
use crate::investigate::custom::{CommandOutcome, Selection};

impl Runner {
    /// Starts an effect on a command of the user.
    pub(super) fn custom(&mut self, effect: CustomEffect) {
        match effect {
            CustomEffect::Prepare(call) => self.request(move |desk| async move {
                let prepared = desk.prepare_command(&call.name, &selected(&call)).await?;
                let title = format!("Run {}?", call.name);
                let lines = if prepared.command.confirm { prepared.describe() } else { Vec::new() };
                let effect = Box::new(Effect::Custom(CustomEffect::Run(call, prepared.token())));
                Ok(Msg::ToConfirm { effect, title, lines })
            }),
            CustomEffect::Run(call, token) => self.run_custom(call, token),
            CustomEffect::Keep { id, ref name, ref summary, ref output, window } => {
                let (name, evidence, exit_code) = (name.clone(), None, None);
                let (summary, output, not_recorded) = (summary.clone(), output.clone(), None);
                let outcome = CommandOutcome { summary, output, exit_code, evidence, window, not_recorded };
                self.write(Effect::Custom(effect), move |desk| async move {
                    let evidence = desk.keep_output(id, &name, &outcome).await?;
                    Ok(Msg::Ran(format!("Saved the output of {name} as {evidence}"), Vec::new()))
                });
            }
        }
    }

    fn run_custom(&mut self, call: CustomCall, token: String) {
        self.script = CancellationToken::new();
        let (stop, messages) = (self.script.clone(), self.messages.clone());
        self.write(Effect::Custom(CustomEffect::Run(call.clone(), token.clone())), move |desk| async move {
            let sender = messages.clone();
            let show: Progress = Arc::new(move |text| {
                let _queue_full = sender.try_send(Msg::ScriptOutput(text));
            });
            let run = async {
                let prepared = desk.prepare_command(&call.name, &selected(&call)).await?;
                if prepared.token() != token {
                    return Err(changed().into());
                }
                desk.run_command(&prepared, false, &show, &stop).await
            };
            let outcome = run.await;
            let _quitting = messages.send(Msg::ScriptEnded).await;
            let outcome = outcome?;
            let name = call.name.clone();
            let keep = call.incident.filter(|_| outcome.evidence.is_none()).map(|id| {
                let (summary, output) = (outcome.summary.clone(), outcome.output.clone());
                Box::new(Effect::Custom(CustomEffect::Keep { id, name: name.clone(), summary, output, window: outcome.window }))
            });
            let text = format!("{}\n\n{}", outcome.summary, outcome.output);
            let _quitting = messages.send(Msg::CommandEnded { name: name.clone(), text, keep }).await;
            let kept = outcome.evidence.map(|id| format!(", saved as {id}")).unwrap_or_default();
            let is_failed = outcome.exit_code != Some(0);
            let mut notes: Vec<String> =
                outcome.not_recorded.map(|why| format!("Not recorded in the timeline: {why}")).into_iter().collect();
            notes.extend(is_failed.then(|| "See the output.".to_owned()));
            Ok(Msg::Ran(format!("{name}: {}{kept}", outcome.summary), notes))
        });
    }
}

fn selected(call: &CustomCall) -> Selection {
    Selection { incident: call.incident, labels: call.labels.clone(), evidence: call.evidence, ..Selection::default() }
}
