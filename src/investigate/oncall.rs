//! Shows who is on call and pages people, with the programs that the team configures, or through PagerDuty. The programs run without a shell and get
//! each argument separately, so that no name or text can become a command. Callers show the exact command before they run it.

use std::time::Duration;

use super::clock::now;
use super::desk::{Desk, DeskError};
use crate::config::{CommandLine, PagerDutyConfig};
use crate::evidence::Redactor;
use crate::incident::brief::{Reader, brief};
use crate::incident::command::check_text;
use crate::incident::similar::{Features, Similar, similar};
use crate::incident::{Incident, IncidentId, Refusal};
use crate::notify::pagerduty;
use crate::telemetry::{Explain, Failure, clean};

/// How long a program may run.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The message of a page without a text.
pub(super) const PLEASE_JOIN: &str = "please join";
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

/// What pages someone.
#[derive(Clone, Debug)]
pub enum PagePlan {
    /// A program with its arguments.
    Program(Vec<String>),
    /// An event for a PagerDuty service, without its routing key.
    PagerDuty { service: PagerDutyConfig, event: serde_json::Value },
}

impl PagePlan {
    /// Exactly what would be run or sent, as lines to show to the user.
    pub fn describe(&self) -> Vec<String> {
        match self {
            Self::Program(argv) => vec!["Would run:".to_owned(), format!("  {argv:?}")],
            Self::PagerDuty { service, event } => {
                let text =
                    |pointer: &str| event.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
                let brief = text("/payload/custom_details/brief");
                let mut lines = vec![
                    format!("Would send an event to {}:", service.url),
                    format!("  {}", text("/payload/summary")),
                    format!("  severity {}, dedup key {}", text("/payload/severity"), text("/dedup_key")),
                    "With the brief for responders who are joining, as it is then:".to_owned(),
                ];
                lines.extend(brief.lines().map(|line| format!("  {line}")));
                lines
            }
        }
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

    /// Plans a page to a person, or to the PagerDuty service of that name, and sends nothing. An empty text becomes "please join". PagerDuty
    /// also gets the brief.
    ///
    /// # Errors
    /// When nothing is configured that can page, or the name or the text is invalid.
    pub fn plan_page(&self, incident: &Incident, name: &str, text: &str) -> Result<PagePlan, DeskError> {
        let name = check_text("name", name, false)?;
        let text = if text.trim().is_empty() { PLEASE_JOIN.to_owned() } else { check_text("text", text, false)? };
        let brief = brief(incident, Reader::Joining, now(), self.monitor, incident.head.update_due());
        if let Some(service) = self.oncall.pagerduty.iter().find(|p| p.name == name) {
            return Ok(PagePlan::PagerDuty { service: service.clone(), event: pagerduty::event(&name, incident, &text, &brief) });
        }
        if name.starts_with('-') {
            return Err(Refusal::invalid(format!("'{name}' starts with a hyphen and would be read as an option"))
                .advise("Give a name without the hyphen.")
                .into());
        }
        let advice = "Write page = [\"program\", \"{name}\", \"{text}\"] in [oncall], or add a service to [[oncall.pagerduty]].";
        let argv = match &self.oncall.page {
            None => return Err(Refusal::invalid("no paging program is configured").advise(advice).into()),
            // In a shell command, a name or a text could be run as a command.
            Some(CommandLine::Shell(_)) => return Err(Refusal::invalid("page in [oncall] is not a list").advise(advice).into()),
            Some(CommandLine::Program(argv)) => argv,
        };
        let redact = |text: &str| Redactor::new().redact_text(text).into_owned();
        let filled = |arg: &String| match arg.as_str() {
            // Arguments that are only a placeholder: placeholders inside the text stay as they are.
            "{name}" => name.clone(),
            "{text}" => redact(&text),
            "{brief}" => redact(&brief),
            other => other.replace("{incident}", &incident.id().to_string()).replace("{name}", &name),
        };
        Ok(PagePlan::Program(argv.iter().map(filled).collect()))
    }

    /// Pages as planned. Returns what the program printed, or under which key PagerDuty keeps the event.
    pub(super) async fn send_page(&self, plan: &PagePlan) -> Result<String, Refusal> {
        match plan {
            PagePlan::Program(argv) => run(argv).await,
            PagePlan::PagerDuty { service, event } => {
                let key = pagerduty::send(service, event).await.map_err(|e| Refusal::Invalid(e.failure()))?;
                Ok(format!("PagerDuty, {key}"))
            }
        }
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
