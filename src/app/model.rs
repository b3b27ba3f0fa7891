//! The whole state of the TUI.

use std::sync::Arc;

use time::UtcOffset;

use super::action::{Action, Context};
use super::board::Board;
use super::chord::Chord;
use super::keymap::Keymap;
use super::logs::Logs;
use super::msg::{Effect, StoreState};
use super::overlay::Overlay;
use super::room::{Room, Tab};
use crate::incident::Matrix;
use crate::telemetry::Timestamp;
use crate::telemetry::failure::FileProblem;

/// The screen that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    #[default]
    Board,
    Room,
}

/// The tone of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Plain,
}

/// A message in the footer that disappears after some seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    pub text: String,
    pub tone: Tone,
    pub until: Timestamp,
}

/// The whole state of the terminal UI.
#[derive(Clone, Debug)]
pub struct Model {
    pub now: Timestamp,
    pub offset: UtcOffset,
    pub size: (u16, u16),
    pub user: String,
    pub profile: Option<String>,
    pub read_only: bool,
    pub has_sources: bool,
    /// Names of the sources that know alerts.
    pub alert_sources: Vec<String>,
    pub has_logs: bool,
    pub model_name: Option<String>,
    /// The path of the configuration, for the empty board.
    pub config_path: String,
    pub matrix: Matrix,
    pub screen: Screen,
    pub board: Board,
    pub room: Option<Room>,
    pub logs: Logs,
    pub overlay: Option<Overlay>,
    pub toast: Option<Toast>,
    pub banner: Option<String>,
    /// Keys of a sequence that is not complete.
    pub pending: Vec<Chord>,
    /// Counts questions, so that late answers to older ones are dropped.
    pub requests: u64,
    /// Changes handed to the journal that it has not acknowledged yet.
    pub unsaved: u32,
    /// Changes that could not be written (because the disk is full, say), kept to be retried.
    pub not_written: Vec<Effect>,
    /// The last line that was typed and sent, with its effect: it comes back when that is refused.
    pub sent: Option<(Effect, Overlay)>,
    /// A refused line that waits because something else was open, and why it was refused.
    pub refused: Option<(Overlay, String)>,
    /// The state of the store, as last reported.
    pub store: StoreState,
    /// Colleagues who have this incident open.
    pub present: Vec<String>,
    /// How long a service must stay healthy before it counts as restored.
    pub monitor: std::time::Duration,
    /// Messages that a full queue refused.
    pub shed: u64,
    pub keymap: Arc<Keymap>,
    /// What cannot be used in the user's prompts, themes and keys.
    pub problems: Vec<FileProblem>,
    /// The last offset at which the text that was drawn last still shows anything.
    pub scroll_limit: usize,
}

impl Model {
    /// An empty model.
    pub fn new(now: Timestamp, offset: UtcOffset) -> Self {
        Self {
            now,
            offset,
            size: (80, 24),
            user: String::new(),
            profile: None,
            read_only: false,
            has_sources: false,
            alert_sources: Vec::new(),
            has_logs: false,
            model_name: None,
            config_path: String::new(),
            matrix: Matrix::default(),
            screen: Screen::Board,
            board: Board::default(),
            room: None,
            logs: Logs::default(),
            overlay: None,
            toast: None,
            banner: None,
            pending: Vec::new(),
            requests: 0,
            unsaved: 0,
            not_written: Vec::new(),
            sent: None,
            refused: None,
            store: StoreState::default(),
            keymap: Arc::default(),
            problems: Vec::new(),
            scroll_limit: 0,
            present: Vec::new(),
            monitor: crate::incident::gate::DEFAULT_MONITOR_TIME,
            shed: 0,
        }
    }

    /// Where keys are looked up, the narrowest context first: those of the dialog that is open, else those of the view.
    pub fn contexts(&self) -> Vec<Context> {
        match self.overlay.as_ref().map(Overlay::context) {
            Some(Context::Reader) => vec![Context::Reader, Context::Everywhere],
            Some(dialog) => vec![dialog],
            None => self.view_contexts(),
        }
    }

    /// The contexts of the view, whatever is open over it.
    pub fn view_contexts(&self) -> Vec<Context> {
        match (self.screen, &self.room) {
            (Screen::Room, Some(room)) => {
                let search = (room.tab == Tab::Logs && !self.logs.search.is_empty()).then_some(Context::Search);
                search.into_iter().chain(room.tab.context()).chain([Context::Room, Context::Everywhere]).collect()
            }
            _ => vec![Context::Board, Context::Everywhere],
        }
    }

    /// The key of an action, for a hint.
    pub fn key(&self, action: Action) -> String {
        self.keymap.hint(action)
    }

    /// Rows that half a screen holds.
    pub fn half_page(&self) -> usize {
        usize::from(self.size.1 / 2).max(1)
    }

    /// Shows a message in the footer for some seconds.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let secs = if tone == Tone::Bad { 12 } else { 5 };
        self.toast = Some(Toast { text: text.into(), tone, until: self.now + std::time::Duration::from_secs(secs) });
    }
}
