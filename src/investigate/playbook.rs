//! Runs the steps of playbooks: fills in their variables, runs their blocks, checks what must hold, and records all of it.
//!
//! A step that runs a script is recorded before the script begins. If warroom is killed in between, the step stays begun: its outcome is
//! unknown, and a person decides whether to run it again.

mod blocks;
mod values;

use tokio_util::sync::CancellationToken;

use blocks::Ran;
pub use values::MissingValue;
pub(super) use values::queries_for;
use values::{missing_value, prepare_block};

use super::command::Outcome;
use super::desk::{Desk, DeskError, Progress};
use super::script;
use crate::evidence::Redactor;
use crate::evidence::body::digest;
use crate::incident::command::NewMitigation;
use crate::incident::{BlockResult, CardState, Command, ExitCriteria, Incident, IncidentId, Refusal, StepState};
use crate::playbook::{BUILT_IN, Block, Check, HOLDS_FOR_SECS, Playbook, Step, Values};
use crate::telemetry::words::list;
use crate::telemetry::{Explain, clean, time};

/// A step with its variables filled in: exactly what would run.
#[derive(Clone, Debug)]
pub struct PreparedStep {
    pub playbook: String,
    pub title: String,
    pub step: Step,
    pub blocks: Vec<PreparedBlock>,
}

/// A block with its variables filled in.
#[derive(Clone, Debug)]
pub struct PreparedBlock {
    pub block: Block,
    pub text: String,
    /// For a script: its arguments, and the variables in its environment.
    pub argv: Option<Vec<String>>,
    pub env: Values,
    pub verify: Option<Check>,
    pub undo: Option<String>,
}

impl PreparedStep {
    /// Whether it may change something, so that a person has to confirm it.
    pub fn changes(&self) -> bool {
        self.blocks.iter().any(|b| b.block.changes())
    }

    /// What may change something, as lines to show to the user: where, exactly what, with which variables, and what it can do.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for block in self.blocks.iter().filter(|b| b.block.changes()) {
            if block.argv.is_some() {
                lines.extend(script::describe(&block.text, &block.env));
            } else {
                lines.push("Would send this request:".to_owned());
                lines.extend(clean::block(&block.text).lines().map(|line| format!("  {line}")));
            }
            let verify = block.verify.as_ref().map(ToString::to_string);
            let timeout = Some(time::human_duration(block.block.timeout));
            let notes =
                [("danger", block.block.danger.clone()), ("undo", block.undo.clone()), ("verify", verify), ("timeout", timeout)];
            lines.extend(notes.into_iter().filter_map(|(label, text)| Some(format!("{label}: {}", clean::line(&text?)))));
        }
        lines
    }

    /// Identifies exactly what would run, so that nothing else runs after it was confirmed.
    pub fn token(&self) -> String {
        let parts: Vec<String> = self
            .blocks
            .iter()
            .map(|b| format!("{:?}", (b.block.kind, &b.text, &b.env, &b.verify, &b.undo, &b.block.danger, b.block.timeout)))
            .collect();
        digest(parts.join("\n").as_bytes())
    }

    fn number(&self) -> u32 {
        u32::try_from(self.step.number).unwrap_or(u32::MAX)
    }
}

/// How a step is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Consent {
    /// A person has seen exactly what will run, and confirmed it.
    pub is_confirmed: bool,
    /// Run it although it was run before.
    pub again: bool,
}

/// The result of a step.
#[derive(Clone, Debug)]
pub struct StepOutcome {
    pub outcome: Outcome,
    pub state: StepState,
    pub results: Vec<BlockResult>,
    /// The outputs of the blocks, redacted, in the order of the results.
    pub outputs: Vec<String>,
    /// The number of the step that a result proposes.
    pub goto: Option<usize>,
}

impl Desk {
    /// The playbook with this id.
    ///
    /// # Errors
    /// If there is none.
    pub fn playbook(&self, id: &str) -> Result<&Playbook, Refusal> {
        self.playbooks.find(id)
    }

    /// Fills in the variables of a step. `given` are the values that a person chose.
    ///
    /// # Errors
    /// If the step does not exist, a variable has no value or several, or a value cannot be used where it is.
    pub fn prepare_step(
        &self,
        i: &Incident,
        playbook: &Playbook,
        number: usize,
        given: &Values,
    ) -> Result<PreparedStep, Refusal> {
        let step = playbook.steps.get(number.wrapping_sub(1)).ok_or_else(|| {
            Refusal::not_found(format!("playbook {} has no step {number}", playbook.id))
                .advise(format!("Its steps are 1 to {}.", playbook.steps.len()))
        })?;
        if let Some(name) = given.keys().find(|n| !playbook.has_variable(n)) {
            let known: Vec<&str> = playbook.variables.keys().map(String::as_str).chain(BUILT_IN.map(|(n, _)| n)).collect();
            return Err(Refusal::invalid(format!("playbook {} has no variable '{name}'", playbook.id))
                .advise(format!("Its variables are {}.", list(&known))));
        }
        let blocks = step.blocks.iter().map(|block| prepare_block(i, playbook, block, given)).collect::<Result<_, _>>()?;
        Ok(PreparedStep { playbook: playbook.id.clone(), title: playbook.title.clone(), step: step.clone(), blocks })
    }

    /// The first variable of a step that has no value; `None` if each has one, or there is no such step.
    pub fn missing_value(&self, i: &Incident, playbook: &Playbook, step: usize, given: &Values) -> Option<MissingValue> {
        missing_value(i, playbook, step, given)
    }

    /// Runs the blocks of a step in their order, up to the first that fails, and records the result. A step without blocks is done when a
    /// person says so. `show` receives the output of scripts as it comes. A script that says how to undo it and which query must hold
    /// afterwards becomes a mitigation card. Once `stop` is cancelled, what runs is ended, and the step has failed.
    ///
    /// # Errors
    /// If it has a script and is not confirmed, or only reading is allowed; if it was run before; or if the journal cannot be written.
    pub async fn run_step(
        &self,
        id: IncidentId,
        prepared: &PreparedStep,
        consent: Consent,
        show: &Progress,
        stop: &CancellationToken,
    ) -> Result<StepOutcome, DeskError> {
        if let Some(preset) = self.playbook(&prepared.playbook)?.preset.as_deref().filter(|_| !prepared.blocks.is_empty()) {
            self.require_trust(preset)?;
        }
        if prepared.changes() {
            if self.read_only {
                let refusal =
                    Refusal::invalid("[ui] read_only is set: scripts, and requests other than GET and HEAD, do not run");
                return Err(refusal.advise("Run it elsewhere and record the result, or change the configuration.").into());
            }
            if !consent.is_confirmed {
                return Err(Refusal::invalid("the step may change something and was not confirmed").into());
            }
        }
        let incident = self.begin(id, prepared, consent).await?;
        let (mut all, mut goto, mut notes) = (Vec::new(), None, Vec::new());
        for block in &prepared.blocks {
            // The card is about the step, not the other way round: without a card the step goes on.
            let card = self.begin_card(id, prepared, block).await.unwrap_or_else(|e| {
                notes.push(format!("no mitigation card: {}", e.failure().summary()));
                None
            });
            let ran = self.run_block(&incident, block, show, stop).await;
            if let Some(card) = card
                && let Err(e) = self.end_card(id, card, &ran).await
            {
                notes.push(format!("the mitigation card was not changed: {}", e.failure().summary()));
            }
            let goes_on = ran.is_ok && ran.result.verified != Some(false);
            if ran.goes {
                goto = goto.or_else(|| block.block.goto.as_ref().map(|(_, anchor)| anchor.clone()));
            }
            all.push(ran);
            if !goes_on {
                break;
            }
        }
        let done = format!("step {} of {} was run", prepared.step.number, prepared.playbook);
        let mut outcome = self.end(id, prepared, all).await.map_err(DeskError::after(done))?;
        outcome.outcome.warnings.extend(notes);
        let playbook = self.playbooks.get(&prepared.playbook);
        outcome.goto = goto.and_then(|anchor| playbook?.steps.iter().find(|s| s.anchor == anchor).map(|s| s.number));
        Ok(outcome)
    }

    /// Records the results of the blocks that were run, with their evidence.
    async fn end(&self, id: IncidentId, prepared: &PreparedStep, all: Vec<Ran>) -> Result<StepOutcome, DeskError> {
        let is_failed = all.iter().any(|ran| !ran.is_ok || ran.result.verified == Some(false));
        let state = if is_failed { StepState::Failed } else { StepState::Done };
        let (mut results, mut outputs) = (Vec::new(), Vec::new());
        for ran in all {
            let evidence = match ran.draft {
                Some(draft) => self.append_evidence(id, draft, &self.actor(), None).await?.1.evidence.first().copied(),
                None => None,
            };
            results.push(BlockResult { evidence, ..ran.result });
            outputs.push(Redactor::new().redact_text(&ran.output).into_owned());
        }
        let command = Command::EndStep {
            playbook: prepared.playbook.clone(),
            step: prepared.number(),
            state,
            reason: None,
            blocks: results.clone(),
        };
        let outcome = self.run(id, command, None).await?;
        Ok(StepOutcome { outcome, state, results, outputs, goto: None })
    }

    /// Proposes and starts the mitigation card of a script that is about to run. Returns the entry that proposed it; `None` if the script
    /// does not say how to undo it, or which query must hold afterwards.
    async fn begin_card(&self, id: IncidentId, prepared: &PreparedStep, block: &PreparedBlock) -> Result<Option<u64>, DeskError> {
        let (Some(undo), Some(Check::Query { expression, condition }), true) =
            (&block.undo, &block.verify, block.block.changes())
        else {
            return Ok(None);
        };
        let origin = format!("playbook {}, step {}", prepared.playbook, prepared.step.number);
        let verify = ExitCriteria {
            expression: expression.clone(),
            comparison: condition.comparison,
            threshold: condition.threshold,
            for_secs: HOLDS_FOR_SECS,
            source: None,
        };
        let new = NewMitigation {
            undo: Some(undo.clone()),
            verify: Some(verify),
            origin: Some(origin),
            ..NewMitigation::new(prepared.step.title.clone(), block.block.risk)
        };
        let proposed = Box::pin(self.run(id, Command::ProposeMitigation(new), None)).await?;
        let mine = proposed.entries.first().map(|entry| entry.seq);
        if let Some(card) = mine {
            let start = Command::ChangeMitigation { card, state: CardState::Started, approved_by: None, result: None };
            Box::pin(self.run(id, start, None)).await?;
        }
        Ok(mine)
    }

    /// Records that the script of a card is done, or drops it if the block failed.
    async fn end_card(&self, id: IncidentId, card: u64, ran: &Ran) -> Result<(), DeskError> {
        let state = if ran.is_ok { CardState::Done } else { CardState::Dropped };
        let result = Some(format!("{}: {}", if ran.is_ok { "done" } else { "failed" }, ran.result.summary));
        let end = Command::ChangeMitigation { card, state, approved_by: None, result };
        Box::pin(self.run(id, end, ran.is_ok.then_some(ran.ended_at))).await?;
        Ok(())
    }

    /// Skips a step, with the reason.
    ///
    /// # Errors
    /// If the step does not exist, or the journal cannot be written.
    pub async fn skip_step(
        &self,
        id: IncidentId,
        playbook: &Playbook,
        number: usize,
        reason: &str,
    ) -> Result<Outcome, DeskError> {
        self.run(id, start(playbook), None).await?;
        let step = u32::try_from(number).unwrap_or(u32::MAX);
        let (playbook, reason) = (playbook.id.clone(), Some(reason.to_owned()));
        self.run(id, Command::EndStep { playbook, step, state: StepState::Skipped, reason, blocks: Vec::new() }, None).await
    }

    /// Records that a playbook and one of its steps begin.
    async fn begin(&self, id: IncidentId, prepared: &PreparedStep, consent: Consent) -> Result<Incident, DeskError> {
        let playbook = self.playbook(&prepared.playbook)?;
        let incident = Box::pin(self.run(id, start(playbook), None)).await?.incident;
        let scripts: Vec<&str> = prepared.blocks.iter().filter(|b| b.block.changes()).map(|b| b.text.as_str()).collect();
        if scripts.is_empty() {
            return Ok(incident);
        }
        let command = Command::StartStep {
            playbook: prepared.playbook.clone(),
            step: prepared.number(),
            runs: scripts.join("\n"),
            again: consent.again,
        };
        Ok(Box::pin(self.run(id, command, None)).await?.incident)
    }
}

/// The command that begins a playbook.
fn start(playbook: &Playbook) -> Command {
    let steps = playbook.steps.iter().map(|s| s.title.clone()).collect();
    Command::StartPlaybook { playbook: playbook.id.clone(), title: playbook.title.clone(), steps }
}
