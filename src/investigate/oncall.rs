//! Shows who is on call and pages people, with the programs that the team configures. The programs run without a shell and get
//! each argument separately, so that no name or text can become a command. Callers show the exact command before they run it.

use std::time::Duration;

use super::desk::{Desk, DeskError};
use crate::config::CommandLine;
use crate::evidence::Redactor;
use crate::incident::command::check_text;
use crate::incident::similar::{Features, Similar, similar};
use crate::incident::{Incident, IncidentId, Refusal};
use crate::telemetry::{Failure, clean};

/// How long a program may run.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How much of the output is kept, in bytes.
const MAX_OUTPUT: usize = 16 * 1024;

/// Runs a program and returns its cleaned stdout.
///
/// # Errors
/// When it cannot be started, fails, or takes too long. The message names the program, and its stderr if it failed.
pub(super) async fn run(argv: &[String]) -> Result<String, Refusal> {
    let fail = |failure: Failure| Refusal::Invalid(failure.advise("Check [oncall] in the configuration."));
    let Some((program, args)) = argv.split_first() else {
        return Err(fail(Failure::new("the command in [oncall] is empty")));
    };
    let child = tokio::process::Command::new(program).args(args).stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(TIMEOUT, child).await {
        Err(_late) => return Err(fail(Failure::new(format!("'{program}' did not finish within {} s", TIMEOUT.as_secs())))),
        Ok(Err(e)) => return Err(fail(Failure::new(format!("cannot run '{program}'")).because(&e))),
        Ok(Ok(output)) => output,
    };
    let text = |bytes: &[u8]| clean::block(&String::from_utf8_lossy(bytes.get(..MAX_OUTPUT.min(bytes.len())).unwrap_or(&[])));
    if output.status.success() {
        Ok(text(&output.stdout).trim().to_owned())
    } else {
        let printed = clean::truncate(text(&output.stderr).trim(), 200);
        let printed = if printed.is_empty() { "it printed nothing to stderr".to_owned() } else { printed };
        Err(fail(Failure::new(format!("'{program}' failed with {}: {printed}", output.status))))
    }
}

impl Desk {
    /// The output of the configured on-call program.
    pub async fn on_call(&self) -> Result<String, DeskError> {
        match &self.oncall.show {
            Some(command) => Ok(run(&command.argv()).await?),
            None => Err(Refusal::invalid("no on-call program is configured").advise("Add show = [\"…\"] to [oncall].").into()),
        }
    }

    /// The exact command that pages a person, with `{name}`, `{text}` and `{incident}` filled in.
    ///
    /// # Errors
    /// When no paging program is configured, or the name or the text is invalid.
    pub fn page_command(&self, incident: &Incident, name: &str, text: &str) -> Result<Vec<String>, DeskError> {
        let (name, text) = (check_text("name", name, false)?, check_text("text", text, false)?);
        if name.starts_with('-') {
            return Err(Refusal::invalid(format!("'{name}' starts with a hyphen and would be read as an option"))
                .advise("Give a name without the hyphen.")
                .into());
        }
        let advice = "Write page = [\"program\", \"{name}\", \"{text}\"] in [oncall].";
        let argv = match &self.oncall.page {
            None => return Err(Refusal::invalid("no paging program is configured").advise(advice).into()),
            // In a shell command, a name or a text could be run as a command.
            Some(CommandLine::Shell(_)) => return Err(Refusal::invalid("page in [oncall] is not a list").advise(advice).into()),
            Some(CommandLine::Program(argv)) => argv,
        };
        let text = Redactor::new().redact_text(&text).into_owned();
        let filled = |arg: &String| match arg.as_str() {
            // Arguments that are only a placeholder: placeholders inside the text stay as they are.
            "{name}" => name.clone(),
            "{text}" => text.clone(),
            other => other.replace("{incident}", &incident.id().to_string()).replace("{name}", &name),
        };
        Ok(argv.iter().map(filled).collect())
    }

    /// Past incidents that are similar to this one.
    pub async fn similar(&self, id: IncidentId) -> Result<Vec<Similar>, DeskError> {
        let this = Features::from_incident(&self.journal.incident(id).await?);
        let mut others = Vec::new();
        for head in self.journal.list().await? {
            others.push(Features::from_incident(&self.journal.incident(head.id).await?));
        }
        Ok(similar(&this, &others))
    }
}
