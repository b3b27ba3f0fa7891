//! `warroom prompts` lists, prints, fills in and checks the prompts.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::{CliError, Done, id_arg, out};
use crate::incident::IncidentId;
use crate::investigate::Desk;
use crate::investigate::ask::Question;
use crate::prompt::library::{PromptFile, problem_of};
use crate::telemetry::failure::{FileProblem, UserFile};

/// The subcommands of `warroom prompts`.
#[derive(Subcommand)]
pub enum PromptsCommand {
    /// List the prompts: the built-in ones and yours
    List,
    /// Print a prompt file as it is written
    Show {
        /// ID of a prompt, such as troubleshoot
        prompt: String,
    },
    /// Print a prompt as it would be sent about an incident; sends nothing
    Render {
        /// ID of a prompt, such as troubleshoot
        prompt: String,
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// Check prompt files, or yours if none is given
    Lint {
        /// Prompt files
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(super) async fn run(desk: &Desk, command: PromptsCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        PromptsCommand::List => list(desk, as_json),
        PromptsCommand::Show { prompt } => {
            out::raw(&desk.prompt(&prompt)?.text)?;
            Ok(Done::Complete)
        }
        PromptsCommand::Render { prompt, id } => {
            let name = desk.prompt(&prompt)?.id.clone();
            let question = Question { text: name, ..Question::default() };
            super::ask::dry_run(desk, id, &question, as_json).await
        }
        PromptsCommand::Lint { files } => lint(desk, &files, as_json),
    }
}

fn list(desk: &Desk, as_json: bool) -> Result<Done, CliError> {
    let problems = desk.library.problems();
    if as_json {
        let prompts: Vec<_> = desk
            .library
            .all()
            .map(|p| {
                let own: Vec<_> = problems.iter().filter(|f| is_about(f, p)).map(FileProblem::to_string).collect();
                json!({
                    "id": p.id, "title": p.title, "persona": p.persona, "purpose": p.purpose, "version": p.version,
                    "source": if p.is_built_in { "built-in" } else { "user" }, "problems": own,
                })
            })
            .collect();
        out::json(&json!({"prompts": prompts}))?;
        return Ok(Done::Complete);
    }
    let width = desk.library.all().map(|p| p.id.len()).max().unwrap_or(0);
    for p in desk.library.all() {
        out::line(format!("{:width$}  {}{}", p.id, p.purpose, if p.is_built_in { "" } else { " (yours)" }))?;
    }
    for problem in problems {
        out::note(problem.to_string());
    }
    Ok(Done::Complete)
}

fn is_about(problem: &FileProblem, prompt: &PromptFile) -> bool {
    Path::new(&problem.file).file_stem().is_some_and(|s| s == prompt.id.as_str())
}

fn lint(desk: &Desk, files: &[PathBuf], as_json: bool) -> Result<Done, CliError> {
    let mut problems: Vec<FileProblem> = if files.is_empty() { desk.library.problems().to_vec() } else { Vec::new() };
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let file = UserFile { path: path.display().to_string(), name, text: super::read_text(path)? };
        problems.extend(PromptFile::parse(&file.name, &file.text).err().map(|e| problem_of(&file, &e, false)));
    }
    let is_clean = problems.is_empty();
    if as_json {
        let shape =
            |p: &FileProblem| json!({"file": p.file, "line": p.line, "severity": "error", "text": p.text, "remedy": p.remedy});
        out::json(&json!({"ok": is_clean, "problems": problems.iter().map(shape).collect::<Vec<_>>()}))?;
    } else {
        for problem in &problems {
            out::line(problem.to_string())?;
        }
    }
    Ok(if is_clean { Done::Complete } else { Done::Problems })
}
