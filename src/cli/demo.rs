//! `warroom demo`: replays an embedded recording of an incident. Uses a temporary store, ignores the configuration and sends
//! nothing.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{CliError, Done, out};
use crate::analysis::GroupBy;
use crate::config::Config;
use crate::incident::command::NewAction;
use crate::incident::{ActionKind, Command, LinkedAlert, NoteKind, Role, Severity, Status};
use crate::investigate::ask::Question;
use crate::investigate::clock::now;
use crate::investigate::desk::Declaration;
use crate::investigate::desk::load_playbooks;
use crate::investigate::{Desk, SourceSet};
use crate::journal::{Journal, StoreAt};
use crate::postmortem::Format;
use crate::prompt::Library;
use crate::sources::recording::Recording;

/// A recording of an incident in the lab (`tests/lab`): a shop's checkout service runs out of database connections.
const RECORDING: &[u8] = include_bytes!("../../demo/pool-exhaustion.wrec");

/// Arguments of `warroom demo`.
#[derive(Args)]
pub struct DemoArgs {
    /// Run from alert to post-mortem without the terminal UI
    #[arg(long, requires = "out")]
    headless: bool,
    /// Output directory of a headless run
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The directory of the temporary store; removed on drop.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ignored = std::fs::remove_dir_all(&self.0);
    }
}

fn desk() -> Result<(Desk, Config, Scratch), CliError> {
    let scratch = Scratch(std::env::temp_dir().join(format!("warroom-demo-{}-{}", std::process::id(), now().micros())));
    let mut config = Config::defaults();
    config.store_url = format!("sqlite:{}", scratch.0.join("journal.db").display());
    config.ui.profile = Some("demo".to_owned());
    let recording =
        Recording::decode(RECORDING).map_err(|e| CliError::failed(format!("the embedded recording is damaged: {e}")))?;
    let desk = Desk {
        journal: Journal::open(&StoreAt::local(&config.store_url))?,
        sources: SourceSet::from_sources(recording.play(now())),
        library: Library::load(&[]).map_err(crate::investigate::DeskError::from)?,
        matrix: config.matrix.clone(),
        assistant: None,
        user: crate::telemetry::clean::line(&config.user),
        monitor: config.monitor,
        oncall: config.oncall.clone(),
        slo: config.slo.clone(),
        commands: Vec::new(),
        presets: Vec::new(),
        updates: crate::investigate::desk::UpdateSettings::default(),
        playbooks: load_playbooks(&config),
        read_only: config.ui.read_only,
    };
    Ok((desk, config, scratch))
}

pub(super) async fn run(args: &DemoArgs, as_json: bool) -> Result<Done, CliError> {
    let (desk, config, _scratch) = desk()?;
    if let (Some(folder), true) = (&args.out, args.headless) {
        Box::pin(headless(&desk, folder, as_json)).await
    } else {
        let keys = crate::app::Keymap::default();
        let (declare, help) = (keys.hint(crate::app::Action::Declare), keys.hint(crate::app::Action::Help));
        let banner = format!(
            "Demo: a recorded incident, replayed as if it happened now. Press {declare} to declare an incident, {help} for the keys."
        );
        Ok(crate::runtime::run(desk, &config, Some(banner)).await.map_err(CliError::Failed)?.into())
    }
}

/// Runs the demo without the terminal UI: declares an incident, investigates it, asks the assistant and exports the
/// post-mortem.
async fn headless(desk: &Desk, folder: &std::path::Path, as_json: bool) -> Result<Done, CliError> {
    std::fs::create_dir_all(folder)?;
    let progress = super::investigate::progress(as_json);
    let board = desk.board().await;
    let write = |name: &str, text: String| super::export::write(&folder.join(name), text.as_bytes());
    write("alerts.json", serde_json::to_string_pretty(&super::alerts::shape(&board, GroupBy::Service))? + "\n")?;
    let firing: Vec<LinkedAlert> = board.alerts.iter().filter(|a| a.is_firing()).map(LinkedAlert::from_alert).collect();
    let worst = board.alerts.iter().find(|a| a.is_firing());
    let title = worst.map_or_else(|| "No alert is firing in the recording".to_owned(), |a| a.headline(now()));
    let declaration = Declaration {
        title,
        severity: Some(Severity::Sev2),
        reason: Some("critical alert on the checkout service".to_owned()),
        alerts: firing,
        commander: Some(desk.user.clone()),
        ..Declaration::default()
    };
    let id = desk.declare(declaration).await?.incident.id();
    desk.run(id, Command::Acknowledge, None).await?;
    desk.run(id, Command::Assign { role: Role::Scribe, holder: "warroom demo".to_owned() }, None).await?;
    let incident = desk.investigate(id, None, &progress).await?;
    let found = incident.investigation.as_ref();
    write("investigation.json", serde_json::to_string_pretty(&found)? + "\n")?;
    let first = found.and_then(|f| f.details().find(|f| f.kind == crate::incident::FindingKind::Metric));
    if let Some(first) = first {
        let text = format!("Look here first: {} {}", first.title, crate::evidence::citations::tags(&first.evidence));
        desk.run(id, Command::Note { text, kind: NoteKind::Hypothesis }, None).await?;
    }
    let (sink, mut deltas) = mpsc::channel(64);
    let drain = tokio::spawn(async move { while deltas.recv().await.is_some() {} });
    let question = Question { text: "troubleshoot".to_owned(), ..Question::default() };
    let (_, plan) = desk.plan(id, &question).await?;
    write("prompt.json", serde_json::to_string_pretty(&plan.messages)? + "\n")?;
    let (_, answer) = desk.ask(id, &question, sink, CancellationToken::new(), &progress).await?;
    let _drained = drain.await;
    write("answer.md", answer.answer.clone())?;
    let status = |status, why: Option<&str>| Command::Status { status, override_reason: why.map(str::to_owned), reason: None };
    desk.run(id, status(Status::Identified, None), None).await?;
    desk.run(id, status(Status::Mitigated, None), None).await?;
    let action = NewAction {
        owner: Some(desk.user.clone()),
        due: Some((now() + std::time::Duration::from_hours(336)).date()),
        priority: Some("P2".to_owned()),
        ..NewAction::follow_up(
            ActionKind::Detect,
            "Alert on connection pool usage before the pool is exhausted; done when the rule fires in a test",
        )
    };
    desk.run(id, Command::AddAction(action), None).await?;
    let why = "the recording ends while the alerts are still firing";
    desk.run(id, status(Status::Resolved, Some(why)), None).await?;
    for (name, format) in
        [("postmortem.md", Format::Markdown), ("postmortem.html", Format::Html), ("postmortem.json", Format::Json)]
    {
        write(name, desk.export(id, format).await?)?;
    }
    let files =
        ["alerts.json", "investigation.json", "prompt.json", "answer.md", "postmortem.md", "postmortem.html", "postmortem.json"];
    if as_json {
        out::json(
            &json!({"id": id, "out": folder, "files": files, "alerts": board.alerts.len(), "evidence": incident.evidence.len()}),
        )?;
    } else {
        out::line(format!(
            "{id}: {}, {}; wrote {} to {}",
            crate::telemetry::words::count(board.alerts.len(), "alert"),
            crate::telemetry::words::count(incident.evidence.len(), "evidence item"),
            files.join(", "),
            folder.display()
        ))?;
    }
    Ok(Done::Complete)
}
