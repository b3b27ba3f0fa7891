//! Who is on call, and paging them, through the team's own programs: whatever rota tool they have, it has a command. Programs
//! are run without a shell, each argument by itself, so that no name or text can become a command. Paging is an act on the
//! outside: it is shown first, and done when a person says so.

use std::time::Duration;

use super::desk::{Desk, DeskError, checked_line};
use crate::incident::similar::{Features, Similar, similar};
use crate::incident::{Entry, EventKind, Incident, IncidentId};
use crate::telemetry::clean;

/// How long such a program may take.
const LIMIT: Duration = Duration::from_secs(20);
/// What it may print.
const MOST: usize = 16 * 1024;

/// Runs a program; gives its output, cleaned. Errors name the program, what it said, and what to do.
async fn run(argv: &[String]) -> Result<String, DeskError> {
    let Some((program, args)) = argv.split_first() else {
        return Err(DeskError::Refused("the command is empty: [oncall] takes a list such as [\"oncall\", \"who\"]".to_owned()));
    };
    let fail = |why: String| DeskError::Refused(format!("{program}: {why}; check [oncall] in the configuration"));
    let child = tokio::process::Command::new(program).args(args).stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(LIMIT, child).await {
        Err(_late) => return Err(fail(format!("no end within {} s", LIMIT.as_secs()))),
        Ok(Err(e)) => return Err(fail(e.to_string())),
        Ok(Ok(output)) => output,
    };
    let text = |bytes: &[u8]| clean::block(&String::from_utf8_lossy(bytes.get(..MOST.min(bytes.len())).unwrap_or(&[])));
    if output.status.success() {
        Ok(text(&output.stdout).trim().to_owned())
    } else {
        Err(fail(format!("it ended with {}: {}", output.status, clean::truncate(text(&output.stderr).trim(), 200))))
    }
}

impl Desk {
    /// Who is on call, as the configured program says.
    pub async fn on_call(&self) -> Result<String, DeskError> {
        if self.oncall.show.is_empty() {
            return Err(DeskError::Refused("no program tells who is on call: add show = [\"…\"] to [oncall]".to_owned()));
        }
        run(&self.oncall.show).await
    }

    /// The exact command that would page somebody: `{name}`, `{text}` and `{incident}` filled in.
    pub fn page_command(&self, incident: &Incident, name: &str, text: &str) -> Result<Vec<String>, DeskError> {
        let (name, text) = (checked_line("name", name)?, checked_line("text", text)?);
        if name.starts_with('-') {
            return Err(DeskError::Refused(format!("'{name}' is no name: it would be read as an option")));
        }
        if self.oncall.page.is_empty() {
            return Err(DeskError::Refused(
                "no program pages: add page = [\"…\", \"{name}\", \"{text}\"] to [oncall]".to_owned(),
            ));
        }
        let text = crate::evidence::Redactor::new().text(&text).into_owned();
        let filled = |arg: &String| match arg.as_str() {
            // Whole arguments first: what a text holds is never filled in again.
            "{name}" => name.clone(),
            "{text}" => text.clone(),
            other => other.replace("{incident}", &incident.id().to_string()).replace("{name}", &name),
        };
        Ok(self.oncall.page.iter().map(filled).collect())
    }

    /// Pages somebody and writes down that it was done, with what the program said.
    pub async fn page(&self, id: IncidentId, name: &str, text: &str) -> Result<(Incident, Entry), DeskError> {
        let incident = self.journal.incident(id).await?;
        let said = run(&self.page_command(&incident, name, text)?).await?;
        let said = if said.is_empty() { String::new() } else { format!(" ({})", clean::truncate(&clean::line(&said), 120)) };
        self.event(id, EventKind::ResponderRequested, &format!("{} paged: {text}{said}", clean::line(name)), None).await
    }

    /// Past incidents that look like this one.
    pub async fn similar(&self, id: IncidentId) -> Result<Vec<Similar>, DeskError> {
        let this = Features::from_incident(&self.journal.incident(id).await?);
        let mut others = Vec::new();
        for head in self.journal.list().await? {
            others.push(Features::from_incident(&self.journal.incident(head.id).await?));
        }
        Ok(similar(&this, &others))
    }
}
