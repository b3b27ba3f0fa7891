//! The event loop of the terminal UI: terminal, input, frames, and running effects.
//!
//! Signals and keys come first (`biased`), then messages from tasks, in bounded batches. A frame is drawn immediately after
//! a key, and at most thirty times a second after other changes. The loop never waits for the network, a disk, a lock or the terminal.

mod editor;
mod effects;
mod input;
mod keyboard;
mod links;
pub mod log;
mod output;
mod poll;
mod presence;
mod session;
pub mod terminal;
pub mod user_files;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc;

use crate::app::model::Model;
use crate::app::{Effect, Keymap, Msg, update};
use crate::config::Config;
use crate::investigate::Desk;
use crate::investigate::clock::now;
use crate::telemetry::Failure;
use crate::telemetry::failure::FileProblem;
use crate::ui::theme::Theme;
use crate::ui::{ViewCache, render};
use effects::Runner;
use keyboard::{Input, Keyboard};
use output::Tty;
pub(crate) use session::is_running;
use user_files::UserFiles;

/// The shortest time between frames that are not caused by a key.
const FRAME: Duration = Duration::from_millis(33);
/// The largest number of messages handled before the keyboard is checked again.
const PORTION: usize = 256;
/// The capacity of the message queue. When it is full, log batches are dropped by their sender.
const QUEUE: usize = 1024;

/// Why the terminal UI ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The user quit, or the terminal is gone.
    Quit,
    /// The process received this signal.
    Signal(u8),
}

/// Runs the terminal UI until the user quits. The terminal is always restored.
///
/// # Errors
/// If there is no usable terminal. One that is lost later ends the program like a quit.
pub async fn run(desk: Desk, config: &Config, banner: Option<String>) -> Result<Ending, Failure> {
    let files = user_files::load(config);
    let mut guard = terminal::Guard::enter(config.ui.mouse).map_err(|e| {
        let failure = Failure::new("cannot use the terminal").because(&e);
        failure.advise("Run warroom in an interactive terminal, or use its subcommands.")
    })?;
    let result = drive(desk, config, banner, files, &mut guard).await;
    guard.leave();
    result.map_err(|e| Failure::new("the terminal failed").because(&e))
}

fn start_model(desk: &Desk, config: &Config, banner: Option<String>, keymap: Arc<Keymap>) -> Model {
    // Read the local time zone once. The screen shows UTC and, next to it, local time.
    let offset = time::UtcOffset::current_local_offset().unwrap_or(time::UtcOffset::UTC);
    let mut model = Model::new(now(), offset);
    model.keymap = keymap;
    model.user.clone_from(&desk.user);
    model.profile.clone_from(&config.ui.profile);
    model.read_only = config.ui.read_only;
    model.has_sources = !desk.sources.is_empty();
    model.alert_sources = desk.sources.sources.iter().filter(|s| s.alerts().is_some()).map(|s| s.name().to_owned()).collect();
    model.has_metrics = desk.sources.sources.iter().any(|s| s.metrics().is_some());
    model.has_logs = desk.sources.sources.iter().any(|s| s.logs().is_some());
    model.model_name = desk.assistant.as_ref().map(|a| a.model.clone());
    let used = config.path.clone().or_else(crate::config::default_path);
    model.config_path = used.map_or_else(|| "a config.toml".to_owned(), |p| p.display().to_string());
    model.has_silences = desk.sources.sources.iter().any(|s| s.silences().is_some());
    model.matrix = desk.matrix.clone();
    model.monitor = desk.monitor;
    model.model_names = desk.assistant.iter().flat_map(|a| a.named.keys().cloned()).collect();
    let described = |c: &crate::config::CommandConfig| {
        let preset = c.preset.as_ref().map(|p| format!(" (preset {p})")).unwrap_or_default();
        (c.name.clone(), format!("{}{preset}", c.help))
    };
    model.commands = desk.commands.iter().map(described).collect();
    model.channels = desk.updates.channels.iter().map(channel).collect();
    model.tour = banner.as_ref().map(|_| crate::app::tour::Tour::default());
    model.banner = banner;
    model.pointer.is_on = config.ui.mouse;
    model.attention.occasions = config.ui.notify.iter().map(|n| occasion(*n)).collect();
    model
}

/// An occasion of a notification, as the model knows it.
fn occasion(config: crate::config::Notification) -> crate::app::attention::Occasion {
    use crate::app::attention::Occasion;
    use crate::config::Notification;
    match config {
        Notification::Alert => Occasion::Alert,
        Notification::Update => Occasion::Update,
        Notification::Answer => Occasion::Answer,
    }
}

/// A channel as the model knows it.
fn channel(config: &crate::config::ChannelConfig) -> crate::app::model::Channel {
    crate::app::model::Channel {
        name: config.name.clone(),
        kind: config.kind.word().to_owned(),
        audiences: config.audiences.clone(),
        needs_target: config.target.is_none() && config.kind.takes_target(),
    }
}

/// How long to wait for the terminal's answer before leaving. Later, it would be typed into the shell.
const ANSWER: Duration = Duration::from_millis(300);
/// After this time, no answer is expected: the terminal does not know the question.
const NO_ANSWER: Duration = Duration::from_secs(3);

/// The question for the background of the terminal, if the theme depends on it.
struct BackgroundQuestion {
    /// When it was asked; `None` if it was not, or is answered.
    asked: Option<Instant>,
}

impl BackgroundQuestion {
    fn ask(config: &Config) -> Self {
        let is_needed = user_files::is_automatic(config) && user_files::colours() != crate::ui::theme::Colours::None;
        Self { asked: (is_needed && terminal::ask_background()).then(Instant::now) }
    }

    fn answered(&mut self) {
        self.asked = None;
    }

    /// Waits for a pending answer, so that it does not reach the shell or an editor.
    async fn wait(&mut self, events: &mut Keyboard) {
        if self.asked.is_some_and(|at| at.elapsed() < NO_ANSWER) {
            let answer = async { while !matches!(events.next().await, None | Some(Input::Background(_))) {} };
            let _answered = tokio::time::timeout(ANSWER, answer).await;
        }
    }
}

type Screen = Terminal<CrosstermBackend<Tty>>;

/// Clears the screen and returns a terminal with empty buffers, so that the next frame is drawn completely.
/// `Terminal::clear` would query the cursor position, and the terminal's answer could mix with key presses.
fn cleared_terminal() -> std::io::Result<Screen> {
    use crossterm::terminal::{Clear, ClearType};
    crossterm::execute!(Tty, Clear(ClearType::All))?;
    Terminal::new(CrosstermBackend::new(Tty))
}

/// The screen with what it needs to be drawn.
struct Display {
    terminal: Screen,
    theme: Theme,
    cache: ViewCache,
    drawn: Instant,
    /// Whether the model has changed since the last frame.
    is_stale: bool,
    /// Whether the terminal's locale has ASCII only.
    is_ascii: bool,
    /// The title of the terminal; `None` if the user wants none.
    title: Option<String>,
}

impl Display {
    fn new(theme: Theme, has_title: bool) -> std::io::Result<Self> {
        let title = has_title.then(String::new);
        let terminal = cleared_terminal()?;
        let is_ascii = crate::ui::ascii::is_needed(|name| std::env::var(name).ok());
        Ok(Self { terminal, theme, cache: ViewCache::default(), drawn: Instant::now(), is_stale: true, is_ascii, title })
    }

    fn set_theme(&mut self, theme: Theme) {
        (self.theme, self.is_stale) = (theme, true);
    }

    /// Forgets what the terminal shows, so that the next frame is drawn completely.
    fn clear(&mut self) -> std::io::Result<()> {
        self.terminal = cleared_terminal()?;
        self.title = self.title.take().map(|_| String::new());
        Ok(())
    }

    fn draw(&mut self, model: &mut Model) -> std::io::Result<()> {
        // Terminals that can show a frame at once do; the others ignore it.
        crossterm::queue!(Tty, BeginSynchronizedUpdate)?;
        let frame = self.terminal.draw(|f| {
            render(model, &self.theme, &mut self.cache, f);
            if self.is_ascii {
                crate::ui::ascii::reduce(f.buffer_mut());
            }
        })?;
        // In ASCII, the end of a URL that was cut off cannot be seen.
        if terminal::has_control_strings() && !self.is_ascii {
            let links = links::found(frame.buffer);
            links::write(self.terminal.backend_mut(), links)?;
        }
        crossterm::execute!(Tty, EndSynchronizedUpdate)?;
        model.scroll_limit = self.cache.scroll_limit;
        std::mem::swap(&mut model.pointer.targets, &mut self.cache.targets);
        let moved = crate::app::find::drawn(model, std::mem::take(&mut self.cache.matches));
        let title = crate::app::attention::title(model);
        if let Some(shown) = self.title.as_mut().filter(|shown| **shown != title) {
            terminal::set_title(&title);
            *shown = title;
        }
        if let (Some(at), Some(room)) = (self.cache.scrolled_to.take(), &mut model.room) {
            room.scroll = at;
            (room.conversation.reveals, room.overview.reveals) = (false, false);
        }
        self.drawn = Instant::now();
        self.is_stale = moved;
        Ok(())
    }
}

/// The queue of messages. Playbooks and prompts, which the first frame does not need, are read meanwhile; `known` are the problems in themes
/// and keys.
fn queue(desk: &Desk, known: Vec<FileProblem>) -> (mpsc::Sender<Msg>, mpsc::Receiver<Msg>) {
    let (messages, inbox) = mpsc::channel::<Msg>(QUEUE);
    let (library, playbooks, sender) = (desk.library.clone(), desk.playbooks.clone(), messages.clone());
    tokio::task::spawn_blocking(move || {
        let others = library.problems().iter().chain(playbooks.problems());
        let problems = others.cloned().chain(known).collect();
        let prompts = library.all().map(|p| p.id.clone()).collect();
        let _closed = sender.blocking_send(Msg::FilesRead { playbooks: Arc::new((*playbooks).clone()), prompts, problems });
    });
    (messages, inbox)
}

/// A tick every second, without those that were missed.
fn seconds() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    ticks
}

/// What faces the user: the terminal with its display and its input.
struct Front<'a> {
    guard: &'a mut terminal::Guard,
    display: Display,
    /// `None` while another program has the terminal.
    keyboard: Option<Keyboard>,
    question: BackgroundQuestion,
    /// Whether a frame that should have been drawn at once was not.
    is_late: bool,
}

impl Front<'_> {
    /// The next event; `None` if the terminal is gone.
    async fn next(&mut self) -> Option<Input> {
        match &mut self.keyboard {
            Some(keyboard) => keyboard.next().await,
            None => std::future::pending().await,
        }
    }

    /// Before another program gets the terminal: what was written is read, unless the terminal takes too long.
    async fn hand_over(&mut self) {
        let _slow = tokio::time::timeout(NO_ANSWER, output::idle()).await;
        self.settle().await;
    }

    /// Draws a frame if one is due, and after a key at once. Keys that wait are handled first, and a terminal that has not read the last
    /// frame gets none.
    fn draw(&mut self, model: &mut Model, urgent: bool) -> std::io::Result<()> {
        let is_due = self.display.drawn.elapsed() >= FRAME;
        let has_input = self.keyboard.as_ref().is_some_and(Keyboard::has_input);
        let is_free = output::is_idle() && (is_due || !has_input);
        if is_free && (urgent || self.display.is_stale && is_due) {
            return self.display.draw(model);
        }
        if urgent {
            (self.is_late, self.display.is_stale) = (true, true);
        }
        Ok(())
    }

    /// Waits for a pending answer of the terminal, so that it does not reach the shell or an editor.
    async fn settle(&mut self) {
        if let Some(keyboard) = &mut self.keyboard {
            self.question.wait(keyboard).await;
        }
    }

    /// Runs an effect that concerns the terminal; gives the others back.
    async fn run(&mut self, effect: Effect, model: &mut Model, runner: &mut Runner) -> std::io::Result<Option<Effect>> {
        match effect {
            Effect::Copy(text) => terminal::copy(&text),
            Effect::Notify(text) => terminal::notify(&text),
            Effect::Mouse(is_on) => self.guard.set_mouse(is_on),
            Effect::Pager(text) => {
                self.hand_over().await;
                self.keyboard = None;
                self.guard.leave();
                let shown = editor::page(&text).await;
                self.guard.renew();
                self.keyboard = Some(Keyboard::open()?);
                self.display.clear()?;
                if let Err(failure) = shown {
                    runner.run_all(update(model, now(), Msg::Failed(failure)), model);
                }
            }
            Effect::Redraw => {
                self.guard.renew();
                self.display.clear()?;
            }
            Effect::Suspend => {
                self.hand_over().await;
                self.keyboard = None;
                self.guard.suspend();
                self.keyboard = Some(Keyboard::open()?);
                self.display.clear()?;
            }
            Effect::Editor { text, is_kept } => {
                self.hand_over().await;
                self.keyboard = None;
                let msg = in_editor(&text, is_kept, self.guard).await;
                // First of all, what was written is taken over.
                runner.run_all(update(model, now(), msg), model);
                self.keyboard = Some(Keyboard::open()?);
                self.display.clear()?;
            }
            effect => return Ok(Some(effect)),
        }
        Ok(None)
    }
}

/// Has the terminal report keys unambiguously, if it can. The question goes past the thread that writes, so that the thread ends first.
async fn enhance_keyboard(guard: &mut terminal::Guard) {
    let _slow = tokio::time::timeout(ANSWER, output::idle()).await;
    if output::is_idle() && !output::has_failed() {
        guard.enhance_keyboard();
    }
}

/// Notes that the terminal cannot be used any more.
fn lost(error: &std::io::Error) -> bool {
    tracing::error!(%error, "the terminal failed");
    true
}

async fn drive(
    desk: Desk,
    config: &Config,
    banner: Option<String>,
    files: UserFiles,
    guard: &mut terminal::Guard,
) -> std::io::Result<Ending> {
    // From here on a signal ends the program in order.
    let mut signals = input::Signals::new()?;
    let mut model = start_model(&desk, config, banner, files.keymap);
    let mut session = session::SessionFile::new(config);
    session.restore(&mut model);
    let mut display = Display::new(files.theme, config.ui.title)?;
    model.size = display.terminal.size().map(|s| (s.width, s.height))?;
    // Draw the first frame before any source is queried.
    display.draw(&mut model)?;

    let (messages, mut inbox) = queue(&desk, files.problems);
    let mut runner = Runner::new(desk, messages.clone());
    runner.start(config.ui.refresh, config.ui.read_only);
    enhance_keyboard(guard).await;
    let (keyboard, question) = (Some(Keyboard::open()?), BackgroundQuestion::ask(config));
    let mut front = Front { guard, display, keyboard, question, is_late: false };
    let mut ticks = seconds();
    loop {
        let mut urgent = std::mem::take(&mut front.is_late);
        let (is_written, mut is_gone) = (output::is_idle(), false);
        let mut effects: Vec<Effect> = Vec::new();
        let drawn = front.display.drawn;
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                input::Signal::End(number) => {
                    session.end(&model, false).await;
                    front.settle().await;
                    return Ok(Ending::Signal(number));
                }
                input::Signal::Continue => effects.push(Effect::Redraw),
            },
            event = front.next() => match event {
                // Without an event, the terminal is gone. Everything acknowledged is already in the journal.
                None => {
                    session.end(&model, false).await;
                    return Ok(Ending::Quit);
                }
                Some(Input::Background(background)) => {
                    front.question.answered();
                    front.display.set_theme(user_files::theme(config, background).0);
                }
                Some(Input::Event(event)) => {
                    let is_key;
                    (effects, is_key) = handle_event(&mut model, event);
                    urgent |= is_key;
                }
            },
            Some(msg) = inbox.recv() => {
                effects = handle_batch(&mut model, msg, &mut inbox);
                front.display.is_stale = true;
            }
            _ = ticks.tick() => {
                effects = update(&mut model, now(), Msg::Ticked);
                session.keep(&model);
                front.display.is_stale = true;
            }
            () = tokio::time::sleep_until((drawn + FRAME).into()), if front.display.is_stale && is_written => urgent = true,
            () = output::idle(), if !is_written => {}
        }
        for effect in effects {
            if effect == Effect::Quit {
                front.settle().await;
                runner.finish().await;
                session.end(&model, true).await;
                return Ok(Ending::Quit);
            }
            urgent |= matches!(effect, Effect::Suspend | Effect::Redraw | Effect::Pager(_) | Effect::Editor { .. });
            let is_program = matches!(effect, Effect::Pager(_) | Effect::Editor { .. });
            match front.run(effect, &mut model, &mut runner).await {
                Ok(effect) => effect.into_iter().for_each(|effect| runner.run(effect, &model)),
                Err(error) => is_gone = lost(&error),
            }
            if is_program {
                signals.forget_interrupt();
            }
        }
        // Without a terminal, everything acknowledged is already in the journal.
        if is_gone || output::has_failed() || front.draw(&mut model, urgent).is_err() {
            session.end(&model, false).await;
            return Ok(Ending::Quit);
        }
    }
}

/// Handles an event of the terminal. Returns the effects, and whether to draw at once.
fn handle_event(model: &mut Model, event: crossterm::event::Event) -> (Vec<Effect>, bool) {
    let mut effects = Vec::new();
    // Draw everything again, even if the size is the same after several changes: the terminal may have moved its text.
    if matches!(event, crossterm::event::Event::Resize(..)) {
        effects.push(Effect::Redraw);
    }
    let Some(msg) = input::translate(event) else { return (effects, false) };
    effects.extend(update(model, now(), msg));
    (effects, true)
}

/// Leaves the terminal to the user's editor until it ends.
async fn in_editor(text: &str, is_kept: bool, guard: &mut terminal::Guard) -> Msg {
    guard.leave();
    let written = editor::edit(text).await;
    guard.renew();
    match written {
        Ok(text) => Msg::Edited(Some(text).filter(|_| is_kept)),
        Err(failure) => Msg::Failed(failure),
    }
}

/// Handles a message and those that wait behind it, within [`PORTION`] and a few milliseconds.
fn handle_batch(model: &mut Model, first: Msg, inbox: &mut mpsc::Receiver<Msg>) -> Vec<Effect> {
    let mut effects = update(model, now(), first);
    let started = Instant::now();
    for _ in 0..PORTION {
        let Ok(msg) = inbox.try_recv() else { break };
        effects.extend(update(model, now(), msg));
        if started.elapsed() > Duration::from_millis(4) {
            break;
        }
    }
    effects
}
