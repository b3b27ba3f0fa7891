//! The complete state of the terminal UI.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::UtcOffset;

use super::action::{Action, Context};
use super::attention::Attention;
use super::board::Board;
use super::chord::Chord;
use super::find::Find;
use super::keymap::Keymap;
use super::logs::{InputHistory, Logs};
use super::metric::{Comparison, MetricNames};
use super::msg::{Effect, StoreState};
use super::overlay::{InputDialog, Overlay};
use super::pointer::PointerState;
use super::room::{Room, Tab};
use super::session::{Session, Unsent};
use super::tour::Tour;
use crate::incident::IncidentId;
use crate::incident::{Audience, Matrix};
use crate::playbook::Library;
use crate::telemetry::Timestamp;
use crate::telemetry::failure::FileProblem;
use crate::telemetry::silence::ListedSilence;

/// The screen that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Screen {
    #[default]
    Board,
    Room,
}

/// The tone of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Plain,
}

/// A message in the footer that disappears after some seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    pub text: String,
    pub tone: Tone,
    pub until: Timestamp,
}

/// A script that is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// What it is, such as `step 4 of rollback`.
    pub title: String,
    pub since: Timestamp,
    /// The step that runs it: playbook and number. `None` for a command of the user.
    pub step: Option<(String, usize)>,
    /// The end of its output.
    pub output: String,
}

impl Running {
    /// The largest size of the output that is kept, in bytes.
    const MAX: usize = 64 * 1024;

    /// Adds output, and drops the oldest lines if there is too much.
    pub(crate) fn add(&mut self, text: &str) {
        self.output.push_str(text);
        let surplus = self.output.len().saturating_sub(Self::MAX);
        if surplus > 0 {
            let cut = self.output.char_indices().map(|(at, _)| at).find(|at| *at >= surplus).unwrap_or(self.output.len());
            self.output.drain(..cut);
        }
    }
}

/// A channel that updates can be sent through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub name: String,
    /// Its type as in the configuration.
    pub kind: String,
    pub audiences: Vec<Audience>,
    /// Whether a text goes to an incident or issue in the other system that is not configured.
    pub needs_target: bool,
}

/// The complete state of the terminal UI.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about the configuration")]
pub(crate) struct Model {
    pub now: Timestamp,
    pub offset: UtcOffset,
    pub size: (u16, u16),
    pub user: String,
    pub profile: Option<String>,
    pub read_only: bool,
    pub has_sources: bool,
    /// The names of the sources that provide alerts.
    pub alert_sources: Vec<String>,
    pub has_logs: bool,
    pub has_metrics: bool,
    /// Whether a source can silence alerts.
    pub has_silences: bool,
    /// The names for completion in queries; `None` if they were not read yet.
    pub metric_names: Option<MetricNames>,
    /// Queries of metrics that can be recalled.
    pub queries: InputHistory,
    /// The earlier day that the open chart is compared with.
    pub comparison: Option<Comparison>,
    pub model_name: Option<String>,
    /// The path of the configuration file, for the hint on the empty board.
    pub config_path: String,
    pub matrix: Matrix,
    pub screen: Screen,
    pub board: Board,
    pub room: Option<Room>,
    /// The rooms that were open before, the most recent one first.
    pub parked: Vec<Room>,
    /// The lines of the logs tab: the live logs, or a history.
    pub logs: Logs,
    /// What the tab shows again when a history is left: the live logs, then the histories that it was opened from.
    pub below: Vec<Logs>,
    pub overlay: Option<Overlay>,
    /// The text below the dialog that asks what to search for in it.
    pub under: Option<Box<Overlay>>,
    /// The search in the open text.
    pub find: Find,
    pub toast: Option<Toast>,
    pub banner: Option<String>,
    /// The keys typed so far of a sequence that is not complete.
    pub pending: Vec<Chord>,
    /// The output of the custom command that ended last, to look at again.
    pub last_output: Option<Overlay>,
    /// The script that is running, of a step or of a command.
    pub running: Option<Running>,
    /// The silences of all sources.
    pub silences: Vec<ListedSilence>,
    /// The ids and ends of silences whose end was announced.
    pub announced: BTreeSet<(String, Option<Timestamp>)>,
    /// The number of questions asked so far. Identifies a question, so that late answers to older ones are ignored.
    pub requests: u64,
    /// The number of changes that the journal has not acknowledged yet.
    pub unsaved: u32,
    /// Changes that could not be written (for example because the disk is full) and can be retried.
    pub not_written: Vec<Effect>,
    /// The dialog that was submitted last, with its effect. It is opened again if the effect is refused.
    pub sent: Option<(Effect, Overlay)>,
    /// A refused dialog that could not be opened again because something else was open, and why it was refused.
    pub refused: Option<(Overlay, String)>,
    /// The most recently reported state of the store.
    pub store: StoreState,
    /// Colleagues who have this incident open.
    pub colleagues: Vec<String>,
    /// How long a service must stay healthy before it counts as restored.
    pub monitor: std::time::Duration,
    pub keymap: Arc<Keymap>,
    /// Empty until they have been read.
    pub playbooks: Arc<Library>,
    /// The ids of the prompts; empty until they have been read.
    pub prompts: Vec<String>,
    /// The names of the configured models.
    pub model_names: Vec<String>,
    /// The channels that updates can be sent through.
    pub channels: Vec<Channel>,
    /// The user's own commands: names and descriptions.
    pub commands: Vec<(String, String)>,
    /// The dialogs that were closed with a text that was not used, the last one first, and the incidents of their rooms.
    pub unused: Vec<(Option<IncidentId>, InputDialog)>,
    /// The title that was typed into the dialog that declares an incident, and not used, with the fingerprints of its alerts.
    pub unused_title: Option<(Vec<String>, String)>,
    /// Texts from an earlier run of the program that were not used. The dialogs with their titles have them again.
    pub unsent: Vec<Unsent>,
    /// What an earlier run showed, until the incidents are listed.
    pub restoring: Option<Session>,
    /// What was chosen in the palette, the most recent first.
    pub recent: Vec<String>,
    /// Problems in the user's prompts, themes and keys.
    pub problems: Vec<FileProblem>,
    /// The largest useful scroll offset of the text that was drawn last.
    pub scroll_limit: usize,
    /// When the program started.
    pub started: Timestamp,
    pub attention: Attention,
    pub pointer: PointerState,
    /// The tour of the demo; `None` without one.
    pub tour: Option<Tour>,
    /// Whether the details of the selected row have the whole screen.
    pub is_zoomed: bool,
}

impl Model {
    /// An empty model.
    pub(crate) fn new(now: Timestamp, offset: UtcOffset) -> Self {
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
            has_metrics: false,
            has_silences: false,
            metric_names: None,
            queries: InputHistory::default(),
            comparison: None,
            model_name: None,
            config_path: String::new(),
            matrix: Matrix::default(),
            screen: Screen::Board,
            board: Board::default(),
            room: None,
            parked: Vec::new(),
            logs: Logs::default(),
            below: Vec::new(),
            overlay: None,
            under: None,
            find: Find::default(),
            toast: None,
            banner: None,
            pending: Vec::new(),
            last_output: None,
            running: None,
            silences: Vec::new(),
            announced: BTreeSet::new(),
            requests: 0,
            unsaved: 0,
            not_written: Vec::new(),
            sent: None,
            refused: None,
            store: StoreState::default(),
            keymap: Keymap::built_in(),
            playbooks: Arc::default(),
            prompts: Vec::new(),
            model_names: Vec::new(),
            channels: Vec::new(),
            commands: Vec::new(),
            unused: Vec::new(),
            unused_title: None,
            unsent: Vec::new(),
            restoring: None,
            recent: Vec::new(),
            problems: Vec::new(),
            scroll_limit: 0,
            started: now,
            attention: Attention::default(),
            pointer: PointerState::default(),
            tour: None,
            is_zoomed: false,
            colleagues: Vec::new(),
            monitor: crate::incident::gate::DEFAULT_MONITOR_TIME,
        }
    }

    /// The contexts in which keys are looked up, narrowest first: those of the open dialog, else those of the view.
    pub(crate) fn contexts(&self) -> Vec<Context> {
        match self.overlay.as_ref().map(Overlay::context) {
            Some(Context::Reader) => vec![Context::Reader, Context::Everywhere],
            Some(dialog) => vec![dialog],
            None => self.view_contexts(),
        }
    }

    /// The contexts whose keys the help lists: those of the text that it was opened over, or of the view.
    pub(crate) fn help_contexts(&self) -> Vec<Context> {
        if self.under.is_some() { vec![Context::Reader, Context::Everywhere] } else { self.view_contexts() }
    }

    /// The contexts of the view, ignoring any open dialog, narrowest first.
    pub(crate) fn view_contexts(&self) -> Vec<Context> {
        match (self.screen, &self.room) {
            (Screen::Room, Some(room)) => {
                let search = (room.tab == Tab::Logs && !self.logs.search.is_empty()).then_some(Context::Search);
                search.into_iter().chain([room.tab.context(), Context::Room, Context::Everywhere]).collect()
            }
            _ => vec![Context::Board, Context::Everywhere],
        }
    }

    /// Keeps a text that was not used for the next time its dialog is opened.
    pub(crate) fn keep_unused(&mut self, dialog: &InputDialog) {
        /// The number of texts that are kept.
        const KEPT: usize = 20;
        let room = self.here();
        self.unused.retain(|(of, d)| *of != room || !d.is_same(dialog));
        self.unused.insert(0, (room, dialog.clone()));
        self.unused.truncate(KEPT);
    }

    /// The incident whose room is shown; `None` on the board.
    pub(crate) fn here(&self) -> Option<IncidentId> {
        self.room.as_ref().filter(|_| self.screen == Screen::Room).map(|r| r.id)
    }

    /// The room of an incident, if it is or was open.
    pub(crate) fn room_of(&mut self, id: IncidentId) -> Option<&mut Room> {
        self.room.iter_mut().chain(&mut self.parked).find(|r| r.id == id)
    }

    /// The key of an action, for a hint (see [`Keymap::hint`]).
    pub(crate) fn key(&self, action: Action) -> String {
        self.keymap.hint(action)
    }

    /// The number of rows in half a screen, at least 1.
    pub(crate) fn half_page(&self) -> usize {
        usize::from(self.size.1 / 2).max(1)
    }

    /// Shows a message above the footer: an error for 12 s, anything else for 5 s.
    pub(crate) fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let secs = if tone == Tone::Bad { 12 } else { 5 };
        // It is one paragraph.
        let text = text.into().replace('\n', " ");
        self.toast = Some(Toast { text, tone, until: self.now + std::time::Duration::from_secs(secs) });
    }
}
