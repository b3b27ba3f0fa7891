//! The loop: terminal, input, frames, and the running of effects.
//!
//! Keys and signals come first (`biased`), then what the tasks say, in bounded portions. A frame is drawn when something
//! changed: at once after a key, else at most thirty a second. Nothing here waits for a network, a disk or a lock.

mod effects;
mod input;
pub mod log;
mod poll;
mod presence;
pub mod terminal;
pub mod user_files;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::EventStream;
use futures_util::StreamExt;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc;

use crate::app::model::Model;
use crate::app::{Effect, Msg, update};
use crate::config::Config;
use crate::investigate::Desk;
use crate::investigate::clock::now;
use crate::telemetry::Failure;
use crate::ui::{ViewCache, render};
use effects::Runner;
use user_files::UserFiles;

/// Frames that data alone may cause: thirty a second.
const FRAME: Duration = Duration::from_millis(33);
/// Messages taken between two looks at the keyboard.
const PORTION: usize = 256;
/// Messages that may wait; log batches beyond are shed where they come from.
const QUEUE: usize = 1024;

/// Runs the TUI until it is quit. The terminal is restored in every case.
///
/// # Errors
/// When there is no usable terminal.
pub async fn run(desk: Desk, config: &Config, banner: Option<String>) -> Result<(), Failure> {
    let files = user_files::load(config, &desk.library);
    let mut guard = terminal::Guard::enter(config.ui.mouse).map_err(|e| {
        let failure = Failure::new("cannot use the terminal").because(&e);
        failure.advise("Run warroom in an interactive terminal, or use its subcommands.")
    })?;
    let result = drive(desk, config, banner, files, &mut guard).await;
    guard.leave();
    result.map_err(|e| Failure::new("the terminal failed").because(&e))
}

fn start_model(desk: &Desk, config: &Config, banner: Option<String>) -> Model {
    // The zone is read once: the screen shows UTC, and local time beside it.
    let offset = time::UtcOffset::current_local_offset().unwrap_or(time::UtcOffset::UTC);
    let mut model = Model::new(now(), offset);
    model.user.clone_from(&desk.user);
    model.profile.clone_from(&config.ui.profile);
    model.read_only = config.ui.read_only;
    model.has_sources = !desk.sources.is_empty();
    model.alert_sources = desk.sources.sources.iter().filter(|s| s.alerts().is_some()).map(|s| s.name().to_owned()).collect();
    model.has_logs = desk.sources.sources.iter().any(|s| s.logs().is_some());
    model.model_name = desk.assistant.as_ref().map(|a| a.model.clone());
    model.config_path = crate::config::default_path().map_or_else(|| "a config.toml".to_owned(), |p| p.display().to_string());
    model.matrix = desk.matrix.clone();
    model.monitor = desk.monitor;
    model.banner = banner;
    model
}

/// Shows what is wrong with the user's files, once, at the start.
fn report_problems(model: &mut Model) {
    let Some(first) = model.problems.first() else { return };
    let more = match model.problems.len() - 1 {
        0 => String::new(),
        n => format!(" (+{n} more)"),
    };
    let text = format!("{first}{more} Press {} for details.", model.key(crate::app::Action::ShowProblems));
    model.say(crate::app::model::Tone::Bad, text);
}

type Tty = Terminal<CrosstermBackend<std::io::Stdout>>;

/// A cleared screen and empty buffers, so that the next frame is drawn whole. `Terminal::clear` would ask where the cursor
/// is, and that answer races with the keys.
fn fresh() -> std::io::Result<Tty> {
    use crossterm::terminal::{Clear, ClearType};
    crossterm::execute!(std::io::stdout(), Clear(ClearType::All))?;
    Terminal::new(CrosstermBackend::new(std::io::stdout()))
}

async fn drive(
    desk: Desk,
    config: &Config,
    banner: Option<String>,
    files: UserFiles,
    guard: &mut terminal::Guard,
) -> std::io::Result<()> {
    let mut terminal = fresh()?;
    let mut model = start_model(&desk, config, banner);
    let UserFiles { theme, keymap, problems } = files;
    (model.keymap, model.problems) = (Arc::new(keymap), problems);
    report_problems(&mut model);
    let size = terminal.size()?;
    model.size = (size.width, size.height);
    let mut cache = ViewCache::default();
    // The first frame comes before any source was asked.
    terminal.draw(|f| render(&model, &theme, &mut cache, f))?;

    let (messages, mut inbox) = mpsc::channel::<Msg>(QUEUE);
    let mut runner = Runner::new(desk, messages.clone());
    runner.start(config.ui.refresh, config.ui.read_only);
    let mut signals = input::Signals::new()?;
    let mut events = EventStream::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut drawn = Instant::now();
    let mut dirty = false;
    loop {
        let mut urgent = false;
        let mut asked: Vec<Effect> = Vec::new();
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                input::Signal::End => return Ok(()),
                input::Signal::Continue => asked.push(Effect::Redraw),
            },
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if let Some(msg) = input::translate(event) {
                        asked = update(&mut model, now(), msg);
                        urgent = true;
                    }
                }
                // The terminal is gone: what was acknowledged is in the journal.
                Some(Err(_)) | None => return Ok(()),
            },
            Some(msg) = inbox.recv() => {
                asked = update(&mut model, now(), msg);
                let started = Instant::now();
                for _ in 0..PORTION {
                    let Ok(msg) = inbox.try_recv() else { break };
                    asked.extend(update(&mut model, now(), msg));
                    if started.elapsed() > Duration::from_millis(4) {
                        break;
                    }
                }
                dirty = true;
            }
            _ = ticks.tick() => {
                asked = update(&mut model, now(), Msg::Ticked);
                dirty = true;
            }
            () = tokio::time::sleep_until((drawn + FRAME).into()), if dirty => urgent = true,
        }
        for effect in asked {
            match effect {
                Effect::Quit => {
                    runner.finish().await;
                    return Ok(());
                }
                Effect::Suspend => {
                    drop(events);
                    guard.suspend();
                    events = EventStream::new();
                    terminal = fresh()?;
                    urgent = true;
                }
                Effect::Redraw => {
                    guard.renew();
                    terminal = fresh()?;
                    urgent = true;
                }
                Effect::Copy(text) => terminal::copy(&text),
                effect => runner.run(effect, &model),
            }
        }
        model.shed = runner.shed();
        if urgent || dirty && drawn.elapsed() >= FRAME {
            terminal.draw(|f| render(&model, &theme, &mut cache, f))?;
            model.scroll_limit = cache.scroll_limit;
            drawn = Instant::now();
            dirty = false;
        }
    }
}
