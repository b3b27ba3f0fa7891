//! `warroom demo`: replays an embedded recording of an incident. Uses a temporary store, ignores the configuration and sends
//! nothing.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, Done};
use crate::config::Config;
use crate::investigate::clock::now;
use crate::investigate::desk::load_playbooks;
use crate::investigate::{Desk, SourceSet};
use crate::journal::{Journal, StoreAt};
use crate::prompt::Library;
use crate::sources::recording::Recording;
use crate::telemetry::Deferred;

mod story;

/// A recording of an incident in the lab (`tests/lab`): a shop's checkout service runs out of database connections.
const RECORDING: &[u8] = include_bytes!("../../demo/pool-exhaustion.wrec");
/// The same incident eleven minutes after the rollback, without logs.
const RECOVERY: &[u8] = include_bytes!("../../demo/recovery.wrec");

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

/// The start of the name of a temporary store, before the number of its process.
const PREFIX: &str = "warroom-demo-";

/// How old a temporary store is before it may be a leftover: the process of a younger one may run in another container that shares the
/// folder.
const LEFTOVER: std::time::Duration = std::time::Duration::from_hours(24);

/// Removes the temporary stores of demos that were killed, a day later.
fn remove_leftovers() {
    if !cfg!(unix) {
        return;
    }
    let pid = |name: &str| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok();
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let is_leftover = entry.file_name().to_str().and_then(pid).is_some_and(|pid| !crate::runtime::is_running(pid));
        // Those of other users stay, because they cannot be removed.
        let is_old =
            |m: std::fs::Metadata| m.is_dir() && m.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFTOVER));
        if is_leftover && entry.metadata().is_ok_and(is_old) {
            let _not_ours = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Recording, CliError> {
    Recording::decode(bytes).map_err(|e| CliError::failed(format!("the embedded recording is damaged: {e}")))
}

/// `user` is the user's configuration, of which only how the screen looks is taken.
fn desk(user: Option<&Config>) -> Result<(Desk, Config, Scratch), CliError> {
    remove_leftovers();
    let scratch = Scratch(std::env::temp_dir().join(format!("{PREFIX}{}-{}", std::process::id(), now().micros())));
    let mut config = Config::defaults();
    config.store_url = format!("sqlite:{}", scratch.0.join("journal.db").display());
    if let Some(user) = user {
        config.path.clone_from(&user.path);
        (config.ui.theme, config.ui.mouse) = (user.ui.theme.clone(), user.ui.mouse);
        (config.ui.notify, config.ui.title) = (user.ui.notify.clone(), user.ui.title);
    }
    config.ui.profile = Some("demo".to_owned());
    config.ui.restore = false;
    let recording = decode(RECORDING)?;
    let desk = Desk {
        journal: Journal::open(&StoreAt::local(&config.store_url))?,
        sources: SourceSet::from_sources(recording.play(now())),
        library: Deferred::new(|| Library::load(&[])),
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
        investigating: std::sync::Arc::default(),
    };
    Ok((desk, config, scratch))
}

pub(super) async fn run(args: &DemoArgs, user: Option<&Config>, as_json: bool) -> Result<Done, CliError> {
    let (desk, config, _scratch) = desk(user)?;
    if let (Some(folder), true) = (&args.out, args.headless) {
        Box::pin(story::replay(desk, folder, as_json)).await
    } else {
        let keys = crate::runtime::user_files::keymap(&config).0;
        let (declare, help) = (keys.hint(crate::app::Action::Declare), keys.hint(crate::app::Action::Help));
        let banner = format!(
            "Demo: a recorded incident, replayed as if it happened now. Press {declare} to declare an incident, {help} for the keys."
        );
        Ok(crate::runtime::run(desk, &config, Some(banner)).await.map_err(CliError::Failed)?.into())
    }
}
