//! Runs custom commands with the variables of what is selected, and decides whether what comes from a preset may run.

use tokio_util::sync::CancellationToken;

use super::clock::now;
use super::desk::{Desk, DeskError, Progress};
use super::script::{self, Ending};
use crate::config::{CommandConfig, Trust};
use crate::evidence::body::digest;
use crate::evidence::pack::item_text;
use crate::evidence::render::Detail;
use crate::evidence::{Body, Draft, Redactor};
use crate::incident::{Command, EventKind, EvidenceId, EvidenceKind, IncidentId, Refusal};
use crate::playbook::{BlockKind, Values, label_values, substitute, used_in};
use crate::telemetry::subject::service_of;
use crate::telemetry::words::{list, nearest};
use crate::telemetry::{Explain, Labels, Timestamp, Window, clean, time};

/// How much of an evidence item a command gets, in bytes: the environment of a process is limited.
const MAX_EVIDENCE: usize = 64 * 1024;

/// What is selected when a command is run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    pub incident: Option<IncidentId>,
    /// The labels of the selected alert.
    pub labels: Labels,
    pub evidence: Option<EvidenceId>,
    /// Values that a person gave. They come first.
    pub values: Values,
}

/// A command with its variables: exactly what would run.
#[derive(Clone, Debug)]
pub struct PreparedCommand {
    pub command: CommandConfig,
    pub script: String,
    pub env: Values,
    pub incident: Option<IncidentId>,
}

impl PreparedCommand {
    /// Identifies exactly what would run, so that nothing else runs after it was confirmed.
    pub fn token(&self) -> String {
        digest(format!("{:?}", (&self.script, &self.env, self.command.timeout)).as_bytes())
    }

    /// What it would run, as lines to show to the user: where, exactly what, and with which variables.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = script::describe(&self.script, &self.env);
        lines.push(format!("timeout: {}", time::human_duration(self.command.timeout)));
        if let Some(preset) = &self.command.preset {
            lines.push(format!("from the preset {}", clean::line(preset)));
        }
        lines
    }
}

/// The result of a command.
#[derive(Clone, Debug)]
pub struct CommandOutcome {
    /// The result in one line.
    pub summary: String,
    /// Redacted.
    pub output: String,
    pub exit_code: Option<i32>,
    /// The evidence that the output is kept as, if it is.
    pub evidence: Option<EvidenceId>,
    pub window: Window,
    /// Why it could not be recorded in the incident, although it ran.
    pub not_recorded: Option<String>,
}

impl Desk {
    /// Refuses to run what comes from a preset that is not trusted as it is now.
    ///
    /// # Errors
    /// If it was never trusted, or has changed since.
    pub(super) fn require_trust(&self, preset: &str) -> Result<(), Refusal> {
        let Some(found) = self.presets.iter().find(|p| p.name == preset) else {
            return Err(Refusal::not_found(format!("there is no preset '{preset}'")));
        };
        if found.is_safe_to_run() {
            return Ok(());
        }
        let why = match found.trust() {
            Trust::New => format!("the preset '{preset}' is not trusted"),
            Trust::Changed | Trust::Trusted => format!("the preset '{preset}' has changed since it was trusted"),
        };
        let remedy = format!(
            "Review it with `warroom preset show {preset}`, trust it with `warroom preset trust {preset}`, then restart warroom."
        );
        Err(Refusal::invalid(why).advise(remedy))
    }

    /// The command of this name.
    ///
    /// # Errors
    /// If there is none, with the nearest name.
    fn custom_command(&self, name: &str) -> Result<&CommandConfig, Refusal> {
        self.commands.iter().find(|c| c.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.commands.iter().map(|c| c.name.as_str()).collect();
            let meant = nearest(name, names.iter().copied()).map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
            let known = match names.as_slice() {
                [] => "Add one to [[commands]] in the configuration.".to_owned(),
                names => format!("{meant}The commands are {}.", list(names)),
            };
            Refusal::not_found(format!("there is no command '{name}'")).advise(known)
        })
    }

    /// Fills in the variables of a command: `$incident`, `$title`, `$severity`, `$since`, `$service`, `$evidence`, `$evidence_text`, and the
    /// labels of the selected alert, or of the incident's alerts if they agree. Other names stay as they are: they are the shell's own.
    ///
    /// # Errors
    /// If there is no such command, its preset is not trusted, only reading is allowed, or the alerts have several values for a name.
    pub async fn prepare_command(&self, name: &str, selection: &Selection) -> Result<PreparedCommand, DeskError> {
        let command = self.custom_command(name)?.clone();
        if let Some(preset) = &command.preset {
            self.require_trust(preset)?;
        }
        if self.read_only && !command.reads_only {
            let refusal = Refusal::invalid(format!(
                "cannot run '{name}': [ui] read_only is set, and the command does not have reads_only = true"
            ));
            return Err(refusal.advise("Set reads_only = true if it changes nothing, or turn off read_only.").into());
        }
        let incident = match selection.incident {
            Some(id) => Some(self.journal.incident(id).await?),
            None => None,
        };
        let mut values = selection.values.clone();
        for name in used_in(&command.run) {
            if values.contains_key(name) {
                continue;
            }
            let value = match (name, &incident) {
                ("incident", Some(i)) => Some(i.id().to_string()),
                ("title", Some(i)) => Some(i.head.title.clone()),
                ("severity", Some(i)) => Some(i.head.severity.to_string()),
                ("since", Some(i)) => Some(i.impact_started_at().rfc3339()),
                ("evidence", _) => selection.evidence.map(|id| id.to_string()),
                ("evidence_text", Some(i)) => match selection.evidence.and_then(|id| i.evidence(id)) {
                    Some(record) => {
                        let bodies = self.journal.bodies(i).await?;
                        let text = item_text(record, None, bodies.get(&record.digest), Detail::Whole);
                        Some(clean::truncate(&text, MAX_EVIDENCE))
                    }
                    None => None,
                },
                ("service", i) => service_of(&selection.labels)
                    .or_else(|| i.as_ref()?.impact.services.first().map(String::as_str))
                    .or_else(|| i.as_ref()?.alerts.iter().find_map(|a| service_of(&a.labels)))
                    .map(str::to_owned),
                _ => None,
            };
            let value = match value {
                Some(value) => Some(value),
                None => label(name, &selection.labels, incident.as_ref())?,
            };
            if let Some(value) = value {
                values.insert(name.to_owned(), value);
            }
        }
        let prepared = substitute(BlockKind::Sh, &command.run, &values).map_err(|why| {
            Refusal::invalid(format!("command '{name}': {why}")).advise("Write it so that the variable is an argument.")
        })?;
        Ok(PreparedCommand { command, script: prepared.text, env: prepared.env, incident: selection.incident })
    }

    /// Runs a prepared command, and records it in the incident if it changes something or its output is kept. `show` receives its output as
    /// it comes; once `stop` is cancelled, it is ended.
    ///
    /// # Errors
    /// If its preset is not trusted, or it cannot be started.
    pub async fn run_command(
        &self,
        prepared: &PreparedCommand,
        keeps_output: bool,
        show: &Progress,
        stop: &CancellationToken,
    ) -> Result<CommandOutcome, DeskError> {
        if let Some(preset) = &prepared.command.preset {
            self.require_trust(preset)?;
        }
        let began = now();
        let stream = |text: &str| show(Redactor::new().redact_text(text).into_owned());
        let finished = script::run(&prepared.script, &prepared.env, prepared.command.timeout, &stream, stop).await?;
        let exit_code = match finished.ending {
            Ending::Exited(code) => Some(code),
            Ending::Signalled(_) | Ending::TimedOut | Ending::Stopped => None,
        };
        let output = Redactor::new().redact_text(&finished.output).into_owned();
        let (summary, window) = (finished.describe(prepared.command.timeout), Window::new(began, now()));
        let mut outcome = CommandOutcome { summary, output, exit_code, evidence: None, window, not_recorded: None };
        // It has run: a failure from here on must not make anyone run it again.
        if let Err(e) = self.record_command(prepared, keeps_output, &mut outcome).await {
            outcome.not_recorded = Some(e.failure().line());
        }
        Ok(outcome)
    }

    async fn record_command(
        &self,
        prepared: &PreparedCommand,
        keeps_output: bool,
        outcome: &mut CommandOutcome,
    ) -> Result<(), DeskError> {
        let Some(id) = prepared.incident else { return Ok(()) };
        if keeps_output || prepared.command.evidence && !self.read_only {
            outcome.evidence = Some(self.keep_output(id, &prepared.command.name, outcome).await?);
        }
        if !prepared.command.reads_only {
            let evidence = outcome.evidence.map(|id| format!(" [{id}]")).unwrap_or_default();
            let text = format!("{}: {}{evidence}", prepared.command.name, outcome.summary);
            self.run(id, Command::Event { kind: EventKind::CommandRun, text }, None).await?;
        }
        Ok(())
    }

    /// Keeps the output of a command as evidence of an incident.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn keep_output(&self, id: IncidentId, name: &str, outcome: &CommandOutcome) -> Result<EvidenceId, DeskError> {
        let lines = outcome.output.lines().count() as u64;
        let draft = Draft {
            kind: EvidenceKind::Note,
            source: self.user.clone(),
            query: format!("command {name}"),
            window: outcome.window,
            taken_at: now(),
            summary: clean::truncate(&format!("command {name}: {}", outcome.summary), 160),
            body: Body::Text { text: outcome.output.clone() },
            gaps: Vec::new(),
            shown: lines,
            total: lines,
        };
        let (_, appended) = self.append_evidence(id, draft, &self.actor(), None::<Timestamp>).await?;
        let kept = appended.evidence.first().copied();
        kept.ok_or_else(|| Refusal::invalid("the output was not saved").into())
    }
}

/// The value of a label: of the selected alert, or of the incident's alerts if all that have it agree. `None` if none has it.
fn label(name: &str, labels: &Labels, incident: Option<&crate::incident::Incident>) -> Result<Option<String>, Refusal> {
    if let [one, ..] = label_values(name, [labels]).as_slice() {
        return Ok(Some(one.clone()));
    }
    let found = label_values(name, incident.into_iter().flat_map(|i| i.alerts.iter().map(|a| &a.labels)));
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => {
            let message = format!("the alerts have several values for ${name}: {}", several.join(", "));
            Err(Refusal::invalid(message).advise(format!("Choose one with --var {name}=VALUE, or on the board by its alert.")))
        }
    }
}
