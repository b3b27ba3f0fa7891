//! `warroom playbook`: lists, shows, checks and matches playbooks.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{CliError, Done, id_arg, out};
use crate::config::{Config, user_files};
use crate::incident::IncidentId;
use crate::investigate::Desk;
use crate::playbook::{Library, MAX_BYTES, Playbook, Problem, Severity, matches, parse};
use crate::telemetry::words::{count, nearest};
use crate::telemetry::{Failure, clean};

/// `warroom playbook …`.
#[derive(Subcommand)]
pub enum PlaybookCommand {
    /// List the built-in playbooks and yours
    List,
    /// Print a playbook as written
    Show {
        /// ID of the playbook
        id: String,
    },
    /// List the playbooks for the alerts of an incident, and why they match
    Match {
        /// ID of the incident, such as INC-7
        #[arg(value_parser = id_arg)]
        incident: IncidentId,
    },
    /// Check playbook files for problems
    Lint {
        /// Files to check; without any, your own playbooks
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

impl PlaybookCommand {
    /// Whether it is about an incident, so that it needs the store.
    pub(super) fn is_about_incident(&self) -> bool {
        matches!(self, Self::Match { .. })
    }
}

/// The playbooks that are available with a configuration.
pub(super) fn library(config: &Config) -> Library {
    let (files, unreadable) = user_files(config, "playbooks", "md");
    Library::load(&files).with_problems(unreadable)
}

/// Runs a command that needs no store.
pub(super) fn run(config: &Config, command: &PlaybookCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        PlaybookCommand::List => list(&library(config), as_json),
        PlaybookCommand::Show { id } => {
            out::raw(&find(&library(config), id)?.text)?;
            Ok(Done::Complete)
        }
        PlaybookCommand::Lint { files } => lint(config, files, as_json),
        PlaybookCommand::Match { .. } => Ok(Done::Complete),
    }
}

/// Runs a command about an incident.
pub(super) async fn run_at_desk(desk: &Desk, config: &Config, command: PlaybookCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        PlaybookCommand::Match { incident } => {
            let incident = desk.journal.incident(incident).await?;
            print_matches(&library(config), &incident, as_json)
        }
        other => run(config, &other, as_json),
    }
}

/// The playbook with this id.
fn find<'a>(library: &'a Library, id: &str) -> Result<&'a Playbook, CliError> {
    library.get(id).ok_or_else(|| {
        let known: Vec<&str> = library.all().map(|p| p.id.as_str()).collect();
        let remedy = nearest(id, known).map_or_else(
            || "Run `warroom playbook list` to list the playbooks.".to_owned(),
            |n| format!("Did you mean '{n}'? Run `warroom playbook list` to list the playbooks."),
        );
        CliError::NotFound(Failure::new(format!("there is no playbook '{id}'")).advise(remedy))
    })
}

fn list(library: &Library, as_json: bool) -> Result<Done, CliError> {
    if as_json {
        let rows: Vec<Value> = library
            .all()
            .map(|p| {
                let source = if p.path.is_some() { "user" } else { "built-in" };
                json!({"id": p.id, "title": p.title, "source": source, "path": p.path, "steps": p.steps.len()})
            })
            .collect();
        out::json(&json!({"playbooks": rows}))?;
    } else {
        let mark = |p: &Playbook| if p.path.is_some() { " (yours)" } else { "" };
        let rows: Vec<Vec<String>> = library
            .all()
            .map(|p| {
                let title = format!("{}{}", clean::line(&p.title), mark(p));
                vec![p.id.clone(), count(p.steps.len(), "step"), title, clean::line(&p.summary)]
            })
            .collect();
        for line in out::table(&rows) {
            out::line(line)?;
        }
    }
    for problem in library.problems() {
        out::note(format!("warroom: {problem}"));
    }
    Ok(Done::Complete)
}

fn print_matches(library: &Library, incident: &crate::incident::Incident, as_json: bool) -> Result<Done, CliError> {
    let found = matches(library, &incident.alerts);
    if as_json {
        let rows: Vec<Value> = found.iter().map(|m| json!({"id": m.playbook.id, "why": m.why, "score": m.score})).collect();
        out::json(&json!({"matches": rows}))?;
        return Ok(Done::Complete);
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|m| vec![m.playbook.id.clone(), clean::line(&m.playbook.title), clean::line(&m.why.join(", "))])
        .collect();
    for line in out::table(&rows) {
        out::line(line)?;
    }
    if rows.is_empty() {
        let why = if incident.alerts.is_empty() { "no alert is linked" } else { "no playbook is for its alerts" };
        out::line(format!("No playbook matches {}: {why}. Run `warroom playbook list` to list all.", incident.id()))?;
    }
    Ok(Done::Complete)
}

fn lint(config: &Config, files: &[PathBuf], as_json: bool) -> Result<Done, CliError> {
    let mut rows: Vec<(String, Problem)> = Vec::new();
    let mut checked = files.len();
    if files.is_empty() {
        let (own, unreadable) = user_files(config, "playbooks", "md");
        checked = own.len() + unreadable.len();
        for problem in unreadable {
            let found = Problem { line: problem.line, severity: Severity::Error, text: problem.text, remedy: problem.remedy };
            rows.push((problem.file, found));
        }
        for file in own {
            rows.extend(parse(&file.name, &file.text).1.into_iter().map(|p| (file.path.clone(), p)));
        }
    }
    for path in files {
        let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        rows.extend(parse(&name, &read(path)?).1.into_iter().map(|p| (path.display().to_string(), p)));
    }
    let is_ok = rows.iter().all(|(_, p)| p.severity != Severity::Error);
    if as_json {
        let problems: Vec<Value> = rows
            .iter()
            .map(|(file, p)| json!({"file": file, "line": p.line, "severity": p.severity, "text": p.text, "remedy": p.remedy}))
            .collect();
        out::json(&json!({"ok": is_ok, "problems": problems}))?;
    } else {
        for (file, p) in &rows {
            let line = p.line.map(|n| format!(":{n}")).unwrap_or_default();
            let severity = if p.severity == Severity::Error { "error" } else { "warning" };
            out::line(format!("{file}{line}: {severity}: {}. {}", clean::line(&p.text), clean::line(&p.remedy)))?;
        }
        if rows.is_empty() {
            out::line(format!("{}, no problems", count(checked, "playbook")))?;
        }
    }
    Ok(if is_ok { Done::Complete } else { Done::Problems })
}

/// The text of a file that may be a playbook. A file that is too large is read no further than needed to say so.
fn read(path: &Path) -> Result<String, CliError> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|e| CliError::file("read", path, &e))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|e| CliError::file("read", path, &e))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // A file that was cut within a character is too large, not in another encoding.
        Err(e) if e.as_bytes().len() > MAX_BYTES => Ok(String::from_utf8_lossy(e.as_bytes()).into_owned()),
        Err(e) => Err(CliError::file("read", path, &e.utf8_error())),
    }
}
