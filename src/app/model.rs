//! The whole state of the TUI.

use time::UtcOffset;

use super::action::Context;
use super::board::Board;
use super::chord::Chord;
use super::logs::Logs;
use super::msg::Effect;
use super::overlay::Overlay;
use super::room::{Room, Tab};
use crate::incident::Matrix;
use crate::telemetry::Timestamp;

/// Which screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    #[default]
    Board,
    Room,
}

/// How a word at the bottom is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Plain,
}

/// A word at the bottom that goes away by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    pub text: String,
    pub tone: Tone,
    pub until: Timestamp,
}

/// See the module's words.
#[derive(Clone, Debug)]
pub struct Model {
    pub now: Timestamp,
    pub offset: UtcOffset,
    pub size: (u16, u16),
    pub user: String,
    pub profile: Option<String>,
    pub read_only: bool,
    pub has_sources: bool,
    /// Names of the sources that can tell what fires.
    pub alert_sources: Vec<String>,
    pub has_logs: bool,
    pub model_name: Option<String>,
    /// Where a configuration would be, for the empty board.
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
    /// Counts questions, to tell late answers apart.
    pub requests: u64,
    /// Facts handed to the journal and not yet acknowledged by it.
    pub unsaved: u32,
    /// Facts that could not be written (a full disk, say), kept to be tried again.
    pub not_written: Vec<Effect>,
    /// The last line that was typed and sent, with what it asked for: it comes back when that is refused.
    pub sent: Option<(Effect, Overlay)>,
    /// A refused line that waits, since something else was open, and why it was refused.
    pub refused: Option<(Overlay, String)>,
    /// Why something that waits for the shared store cannot be merged, as last told.
    pub store_stuck: Option<String>,
    /// Entries that wait on this machine for the shared store.
    pub unsynced: u64,
    /// Why the shared store is out of reach, while it is.
    pub store_away: Option<String>,
    /// Why the store takes no writes.
    pub store_frozen: Option<String>,
    /// Colleagues who have this incident open.
    pub present: Vec<String>,
    /// How long a service is watched before it counts as restored.
    pub monitor: std::time::Duration,
    /// Messages that a full queue refused.
    pub shed: u64,
}

impl Model {
    /// An empty screen at a moment.
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
            store_stuck: None,
            unsynced: 0,
            store_away: None,
            store_frozen: None,
            present: Vec::new(),
            monitor: crate::incident::gate::DEFAULT_MONITOR_TIME,
            shed: 0,
        }
    }

    /// Where keys are looked up, the most special first.
    pub fn contexts(&self) -> Vec<Context> {
        match (self.screen, &self.room) {
            (Screen::Room, Some(room)) => {
                let tab = match room.tab {
                    Tab::Overview => None,
                    Tab::Timeline => Some(Context::Timeline),
                    Tab::Signals => Some(Context::Signals),
                    Tab::Logs => Some(Context::Logs),
                    Tab::Assistant => Some(Context::Assistant),
                    Tab::Actions => Some(Context::Actions),
                    Tab::Report => Some(Context::Report),
                };
                let search = (room.tab == Tab::Logs && !self.logs.search.is_empty()).then_some(Context::Search);
                search.into_iter().chain(tab).chain([Context::Room, Context::Everywhere]).collect()
            }
            _ => vec![Context::Board, Context::Everywhere],
        }
    }

    /// Rows that half a screen holds.
    pub fn half_page(&self) -> usize {
        usize::from(self.size.1 / 2).max(1)
    }

    /// Says something at the bottom for some seconds.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let secs = if tone == Tone::Bad { 12 } else { 5 };
        self.toast = Some(Toast { text: text.into(), tone, until: self.now + std::time::Duration::from_secs(secs) });
    }
}
