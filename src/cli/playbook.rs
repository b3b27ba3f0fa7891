//! `warroom playbook`: lists, shows, checks, matches and runs playbooks.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::reading::on_ctrl_c;
use super::{CliError, Done, id_arg, out, variable_arg};
use crate::config::{Config, user_files};
use crate::incident::{BlockResult, Incident, IncidentId, StepState};
use crate::investigate::desk::load_playbooks;
use crate::investigate::playbook::{Consent, PreparedStep};
use crate::investigate::{Desk, Progress};
use crate::playbook::{Library, MAX_BYTES, Playbook, Problem, Severity, Values, matches, parse};
use crate::telemetry::clean;
use crate::telemetry::words::count;

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
    /// Run a step of a playbook in an incident: the next one, or the one with --step. Shows scripts, and runs them only with --yes
    Run(RunArgs),
}

/// What `warroom playbook run` is given.
#[derive(Args)]
pub struct RunArgs {
    /// ID of the incident, such as INC-7
    #[arg(value_parser = id_arg)]
    incident: IncidentId,
    /// ID of the playbook
    id: String,
    /// Number of the step; without it, the first one that is neither done nor skipped
    #[arg(long, value_name = "N")]
    step: Option<usize>,
    /// Value of a variable
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable_arg)]
    variables: Vec<(String, String)>,
    /// Skip the step, with the reason
    #[arg(long, value_name = "REASON", conflicts_with_all = ["yes", "again"])]
    skip: Option<String>,
    /// Run the step although it was run before
    #[arg(long)]
    again: bool,
    /// Run the scripts of the step; of a step with only text, record that it is done
    #[arg(long)]
    yes: bool,
}

impl PlaybookCommand {
    /// Whether it is about an incident, so that it needs the store.
    pub(super) fn is_about_incident(&self) -> bool {
        matches!(self, Self::Match { .. } | Self::Run(_))
    }
}

/// Runs a command that needs no store.
pub(super) fn run(config: &Config, command: &PlaybookCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        PlaybookCommand::List => list(&load_playbooks(config), as_json),
        PlaybookCommand::Show { id } => {
            out::raw(&load_playbooks(config).find(id)?.text)?;
            Ok(Done::Complete)
        }
        PlaybookCommand::Lint { files } => lint(config, files, as_json),
        PlaybookCommand::Match { .. } | PlaybookCommand::Run(_) => Ok(Done::Complete),
    }
}

/// Runs a command about an incident.
pub(super) async fn run_at_desk(desk: &Desk, config: &Config, command: PlaybookCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        PlaybookCommand::Match { incident } => {
            let incident = desk.journal.incident(incident).await?;
            print_matches(&desk.playbooks, &incident, as_json)
        }
        PlaybookCommand::Run(args) => run_step(desk, args, as_json).await,
        other => run(config, &other, as_json),
    }
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

fn print_matches(library: &Library, incident: &Incident, as_json: bool) -> Result<Done, CliError> {
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

async fn run_step(desk: &Desk, args: RunArgs, as_json: bool) -> Result<Done, CliError> {
    let incident = desk.journal.incident(args.incident).await?;
    let playbook = desk.playbook(&args.id)?;
    let next = incident.playbooks.iter().find(|p| p.playbook == playbook.id).map_or(Some(0), crate::incident::PlaybookRun::next);
    let Some(number) = args.step.or_else(|| next.map(|at| at + 1)) else {
        return Err(CliError::usage(
            format!("every step of {} is done or skipped in {}", playbook.id, incident.id()),
            "Choose a step with --step and --again to run it once more.",
        ));
    };
    if let Some(reason) = &args.skip {
        let outcome = desk.skip_step(args.incident, playbook, number, reason).await?;
        return print_run(&outcome.incident, playbook, None, &[], as_json);
    }
    let given: Values = args.variables.into_iter().collect();
    let prepared = desk.prepare_step(&incident, playbook, number, &given)?;
    // Reading needs no consent; a script does, and only a person knows whether a step without blocks is done.
    if !args.yes && (prepared.changes() || prepared.blocks.is_empty()) {
        return preview(&incident, playbook, &prepared, desk.read_only, as_json);
    }
    let show: Progress = std::sync::Arc::new(move |text| {
        if !as_json {
            let _ignored = out::raw(&text);
        }
    });
    let consent = Consent { is_confirmed: args.yes, again: args.again };
    let stop = CancellationToken::new();
    let interrupt = on_ctrl_c({
        let stop = stop.clone();
        move || {
            out::note("warroom: stopping the script. Press Ctrl-C again to exit without recording a result.");
            stop.cancel();
        }
    });
    let outcome = desk.run_step(args.incident, &prepared, consent, &show, &stop).await;
    interrupt.abort();
    let outcome = outcome?;
    print_run(&outcome.outcome.incident, playbook, outcome.goto, &outcome.outputs, as_json)?;
    Ok(if outcome.state == StepState::Failed { Done::Problems } else { Done::Complete })
}

/// Shows exactly what a step would run, and runs nothing.
fn preview(
    incident: &Incident,
    playbook: &Playbook,
    prepared: &PreparedStep,
    read_only: bool,
    as_json: bool,
) -> Result<Done, CliError> {
    let number = prepared.step.number;
    if as_json {
        let blocks: Vec<Value> = prepared
            .blocks
            .iter()
            .map(|b| {
                json!({"kind": b.block.kind, "text": b.text, "argv": b.argv, "env": b.env, "exit_code": null, "output": null,
                       "evidence": null, "verified": null})
            })
            .collect();
        out::json(&shape(incident, playbook, None, Some((number, blocks))))?;
    } else {
        out::line(format!("Step {number} of {}: {}", playbook.id, clean::line(&prepared.step.title)))?;
        if !prepared.step.body.is_empty() {
            out::line("")?;
            out::line(clean::block(&prepared.step.body))?;
        }
        if prepared.changes() {
            out::line("\nWould run:")?;
        }
        for line in prepared.describe() {
            out::line(format!("  {line}"))?;
        }
    }
    let advice = match (prepared.changes(), read_only) {
        (true, true) => "Nothing was run. [ui] read_only is set, so steps that can change something do not run.",
        (true, false) => "Nothing was run. Add --yes to run it.",
        (false, _) => "Nothing was recorded. Add --yes when the step is done.",
    };
    out::note(advice);
    Ok(Done::Complete)
}

/// The JSON of a playbook in an incident. `next` is the step that a result proposes, `preview` the blocks of a step that was not run.
fn shape(incident: &Incident, playbook: &Playbook, goto: Option<usize>, preview: Option<(usize, Vec<Value>)>) -> Value {
    let position = incident.playbooks.iter().position(|p| p.playbook == playbook.id);
    let run = position.and_then(|at| incident.playbooks.get(at));
    let block = |b: &BlockResult| {
        json!({"kind": b.kind, "text": b.text, "argv": (b.kind == "sh").then(|| crate::investigate::script::argv(&b.text)),
               "exit_code": b.exit_code, "output": b.summary, "evidence": b.evidence, "verified": b.verified})
    };
    let steps: Vec<Value> = playbook
        .steps
        .iter()
        .map(|step| {
            let record = run.and_then(|run| run.steps.get(step.number - 1)).cloned().unwrap_or_default();
            let blocks = match &preview {
                Some((number, blocks)) if *number == step.number => blocks.clone(),
                _ => record.blocks.iter().map(block).collect(),
            };
            json!({"n": step.number, "title": step.title, "state": record.state, "by": record.by, "at": record.at,
                   "reason": record.reason, "blocks": blocks})
        })
        .collect();
    let next = goto.or_else(|| run.map_or(Some(1), |run| run.next().map(|at| at + 1)));
    json!({"run": position.map(|at| format!("R{}", at + 1)), "playbook": playbook.id, "next": next, "steps": steps})
}

fn print_run(
    incident: &Incident,
    playbook: &Playbook,
    goto: Option<usize>,
    outputs: &[String],
    as_json: bool,
) -> Result<Done, CliError> {
    if as_json {
        let mut value = shape(incident, playbook, goto, None);
        // The outputs of the step that has just been run, in full.
        let run = incident.playbooks.iter().find(|p| p.playbook == playbook.id);
        let last = run.and_then(|run| run.steps.iter().enumerate().max_by_key(|(_, s)| s.at).map(|(at, _)| at));
        for (n, output) in outputs.iter().enumerate() {
            let slot = last.and_then(|at| value.pointer_mut(&format!("/steps/{at}/blocks/{n}/output")));
            // A block that failed has no output, but a summary that says why.
            if let Some(slot) = slot.filter(|_| !output.is_empty()) {
                *slot = Value::from(output.as_str());
            }
        }
        out::json(&value)?;
        return Ok(Done::Complete);
    }
    let Some(run) = incident.playbooks.iter().find(|p| p.playbook == playbook.id) else { return Ok(Done::Complete) };
    for (n, step) in run.steps.iter().enumerate() {
        let who = step.by.as_ref().map(|by| format!("  {} by {by}", step.state.word())).unwrap_or_default();
        let mark = match step.state {
            StepState::Done => "✓",
            StepState::Skipped => "–",
            StepState::Failed => "✗",
            StepState::Started => "…",
            StepState::Waiting => " ",
        };
        let why = step.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        out::line(format!("{mark} {:>2}. {}{}", n + 1, clean::line(&step.title), clean::line(&format!("{who}{why}"))))?;
        for block in &step.blocks {
            let evidence = block.evidence.map(|id| format!(" [{id}]")).unwrap_or_default();
            out::line(format!("        {}: {}{evidence}", block.kind, clean::line(&block.summary)))?;
        }
    }
    let next = goto.or_else(|| run.next().map(|at| at + 1));
    let title = next.and_then(|n| run.steps.get(n - 1)).map(|s| s.title.as_str());
    match (next, title) {
        (Some(n), Some(title)) => out::line(format!("Next: step {n}, {}", clean::line(title)))?,
        _ => out::line("Every step is done or skipped.")?,
    }
    Ok(Done::Complete)
}
