//! The overlays of a screen: help, texts, dialogs, lists and the command palette.

use super::action::{Action, Context};
use super::edit::TextField;
use super::metric::MetricView;
use super::msg::{Effect, SendCall, StepCall};
use crate::incident::{Command, EvidenceId, ExitCriteria, IncidentId, LinkedAlert, Severity, Status};
use crate::prompt::question::Question;
use crate::telemetry::{Timestamp, Window};

/// The purpose of the text in an input dialog.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Purpose {
    /// The parameters of a command (see [`super::fill`]).
    Command(Box<Command>),
    /// A backdated note, which starts with its time.
    NoteAt,
    /// A question to the assistant; the thread and the answer that it follows.
    Question(Box<Question>),
    /// Why a step of a playbook is skipped.
    SkipStep {
        playbook: String,
        step: usize,
    },
    /// How long, and why, alerts are silenced: `2h migration`.
    Silence {
        fingerprints: Vec<String>,
        incident: Option<IncidentId>,
    },
    /// The value of a variable: `NAME=VALUE`.
    Variable,
    /// The value of a variable that a step needs.
    Value {
        call: StepCall,
        name: String,
    },
    /// How long a silence stays in force from now on.
    ExtendSilence {
        silence: String,
        incident: Option<IncidentId>,
    },
    /// Why a silence is ended.
    ExpireSilence {
        silence: String,
        incident: Option<IncidentId>,
    },
    /// The text of an update that is to be sent.
    SendText(Box<SendCall>),
    /// The incident or issue in the other system that a text goes to.
    SendTarget(Box<SendCall>),
    /// Why a text is sent although its wording has open points.
    SendOverride(Box<SendCall>),
    ExportPath,
    /// A query of metrics.
    Query,
    /// The file that these log lines are written to.
    SaveLines(String),
    Filter,
    /// A search in the logs. It hides nothing.
    Search,
    /// A search in the text that is open.
    Find,
    /// The time that the cursor of the open chart goes to.
    ChartTime,
    /// An action item, whose purpose is chosen next.
    ActionItem,
}

impl Purpose {
    /// Whether the text may have several lines.
    pub(crate) fn is_multiline(&self) -> bool {
        match self {
            Self::Command(command) => command.is_multiline(),
            Self::NoteAt | Self::Question(_) | Self::SendText(_) => true,
            Self::Silence { .. }
            | Self::ExtendSilence { .. }
            | Self::ExpireSilence { .. }
            | Self::SkipStep { .. }
            | Self::Variable
            | Self::Value { .. }
            | Self::SendTarget(_)
            | Self::SendOverride(_)
            | Self::ExportPath
            | Self::Query
            | Self::SaveLines(_)
            | Self::Filter
            | Self::Search
            | Self::Find
            | Self::ChartTime
            | Self::ActionItem => false,
        }
    }
}

/// A dialog with a text to type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InputDialog {
    pub title: String,
    pub edit: TextField,
    pub purpose: Purpose,
    /// Below the text: what to type.
    pub hint: String,
    /// The text that it was opened with.
    pub initial: String,
}

impl InputDialog {
    /// A dialog for `purpose` with a text to start from. `hint` says what to type.
    pub(crate) fn new(title: impl Into<String>, purpose: Purpose, hint: impl Into<String>, edit: TextField) -> Self {
        let edit = edit.with_lines(purpose.is_multiline());
        Self { title: title.into(), initial: edit.text().to_owned(), edit, purpose, hint: hint.into() }
    }

    /// Whether both ask for the same, so that a text of one belongs into the other. The time that an update names differs with each draft.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_update = |p: &Purpose| matches!(p, Purpose::Command(c) if matches!(**c, Command::RecordUpdate { .. }));
        self.title == other.title && (self.purpose == other.purpose || is_update(&self.purpose) && is_update(&other.purpose))
    }

    /// The same dialog with another text.
    pub(crate) fn with_text(self, edit: TextField) -> Self {
        Self::new(self.title, self.purpose, self.hint, edit)
    }
}

/// The effect of choosing a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// Runs a command on the incident of the room.
    Run(Box<Command>),
    /// Runs a command on another incident.
    RunOn(IncidentId, Box<Command>),
    Input(Box<InputDialog>),
    List(Box<ListDialog>),
    Confirm(Box<ConfirmDialog>),
    /// Changes the status, after asking for what the change requires.
    Status(Status),
    /// Does what this action does.
    Act(Action),
    /// Opens the finding with this rank.
    Finding(usize),
    /// Opens the playbook with this ID.
    Playbook(String),
    /// Opens a playbook at a step, counted from 1.
    PlaybookStep(String, usize),
    Form(Box<FieldsForm>),
    /// Does this.
    Effect(Box<Effect>),
    /// Shows a text below a title.
    Text(String, String),
    /// Opens this.
    Show(Box<Overlay>),
    /// Shows this thread of the assistant tab.
    Thread(String),
    /// Asks something in a new thread.
    AskIn(String),
    /// Adds or removes this column of the log lines.
    Column(String),
    /// Adds this to the filter of the logs.
    FilterTerm(String),
}

/// A row of a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub label: String,
    pub detail: String,
    pub next: Next,
}

impl Row {
    /// A row with its label, a detail (may be empty) and what choosing it does.
    pub(crate) fn new(label: impl Into<String>, detail: impl Into<String>, next: Next) -> Self {
        Self { label: label.into(), detail: detail.into(), next }
    }
}

/// A list to choose from. Typing filters it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListDialog {
    pub title: String,
    pub rows: Vec<Row>,
    pub filter: TextField,
    /// The position of the selected row among those that match the filter.
    pub selected: usize,
}

impl ListDialog {
    /// A list with one row selected.
    pub(crate) fn new(title: impl Into<String>, rows: Vec<Row>, selected: usize) -> Self {
        Self { title: title.into(), rows, filter: TextField::default(), selected }
    }

    /// The rows that contain all words of the filter, in any case.
    pub(crate) fn shown(&self) -> Vec<&Row> {
        let words: Vec<String> = self.filter.text().to_lowercase().split_whitespace().map(str::to_owned).collect();
        let matches = |r: &&Row| {
            let text = format!("{} {}", r.label, r.detail).to_lowercase();
            words.iter().all(|w| text.contains(w))
        };
        self.rows.iter().filter(matches).collect()
    }
}

/// A question with Yes and No that states exactly what Yes does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConfirmDialog {
    pub title: String,
    pub lines: Vec<String>,
    /// Whether Yes is selected. No is the default.
    pub yes: bool,
    pub effect: Effect,
    /// The first line that is shown.
    pub scroll: usize,
    /// Whether it is confirmed only after its end was shown.
    pub must_be_read: bool,
}

impl ConfirmDialog {
    /// A question in a few lines.
    pub(crate) fn new(title: impl Into<String>, lines: Vec<String>, effect: Effect) -> Box<Self> {
        Box::new(Self { title: title.into(), lines, yes: false, effect, scroll: 0, must_be_read: false })
    }
}

/// A text field of a form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub label: &'static str,
    /// What to type, shown while the field has the focus.
    pub hint: &'static str,
    pub edit: TextField,
    /// The text that it was opened with.
    pub initial: String,
}

impl Field {
    /// A field with a proposed text.
    pub(crate) fn new(label: &'static str, hint: &'static str, text: String) -> Self {
        Self { label, hint, edit: TextField::proposed(&text), initial: text }
    }
}

/// What a form is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FormPurpose {
    /// A mitigation card (see [`super::fill::mitigation`]): `edits` and `origin` are as in the command.
    /// `verify` is the check that was proposed, which stays as it is, with its source, if its text is not changed.
    Mitigation { edits: Option<u64>, origin: Option<String>, verify: Option<ExitCriteria> },
}

/// A dialog with several text fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldsForm {
    pub title: String,
    pub fields: Vec<Field>,
    /// The position of the field that has the focus.
    pub focus: usize,
    pub purpose: FormPurpose,
    /// Why it could not be submitted.
    pub problem: Option<String>,
}

impl FieldsForm {
    /// The texts of the fields, in order.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.fields.iter().map(|f| f.edit.text().trim()).collect()
    }

    /// Moves the focus by one field; wraps around.
    pub(crate) fn step(&mut self, forward: bool) {
        let count = self.fields.len().max(1);
        self.focus = if forward { self.focus + 1 } else { self.focus + count - 1 } % count;
    }

    /// The field that has the focus.
    pub(crate) fn focused(&mut self) -> Option<&mut Field> {
        self.fields.get_mut(self.focus)
    }
}

/// The fields of the dialog that declares an incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DeclareField {
    #[default]
    Title,
    Severity,
    Commander,
}

impl DeclareField {
    /// The next field, or the previous one; wraps around.
    pub(crate) fn step(self, forward: bool) -> Self {
        match (self, forward) {
            (Self::Title, true) | (Self::Commander, false) => Self::Severity,
            (Self::Severity, true) | (Self::Title, false) => Self::Commander,
            (Self::Commander, true) | (Self::Severity, false) => Self::Title,
        }
    }
}

/// The dialog that declares an incident.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeclareForm {
    pub title: TextField,
    pub severity: Severity,
    pub proposed: Severity,
    /// Why `proposed` was proposed.
    pub reason: String,
    pub alerts: Vec<LinkedAlert>,
    /// Whether the user becomes the incident commander.
    pub is_commander: bool,
    pub field: DeclareField,
}

/// An overlay over a screen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Overlay {
    /// The keys of the view that contain what was typed.
    Help {
        filter: TextField,
        scroll: usize,
    },
    Palette {
        edit: TextField,
        selected: usize,
    },
    Input(InputDialog),
    List(ListDialog),
    Declare(Box<DeclareForm>),
    Fields(Box<FieldsForm>),
    Confirm(Box<ConfirmDialog>),
    /// The checklist of the phases.
    Checklist {
        selected: usize,
    },
    /// An evidence item. `at` is the time of interest: the cursor in a chart, scrolled to in a log. `view` is the part of the window
    /// that a chart shows; `None` for all of it.
    Evidence {
        id: EvidenceId,
        scroll: usize,
        at: Option<Timestamp>,
        view: Option<Window>,
    },
    /// A chart of a query.
    Metric(Box<MetricView>),
    Text {
        title: String,
        text: String,
        scroll: usize,
    },
    /// The output of a command of the user: as it comes while it runs, then as a whole.
    Output {
        name: String,
        text: String,
        scroll: usize,
        /// Keeps it as evidence.
        keep: Option<Box<Effect>>,
    },
}

impl Overlay {
    /// An evidence item with its time of interest.
    pub(crate) fn evidence(id: EvidenceId, scroll: usize, at: Option<Timestamp>) -> Self {
        Self::Evidence { id, scroll, at, view: None }
    }

    /// The context whose keys apply while it is open.
    pub(crate) fn context(&self) -> Context {
        match self {
            Self::Evidence { .. } | Self::Metric(_) | Self::Text { .. } | Self::Output { .. } => Context::Reader,
            Self::Help { .. } | Self::Palette { .. } | Self::List(_) | Self::Checklist { .. } => Context::List,
            Self::Input(_) => Context::Line,
            Self::Declare(_) | Self::Fields(_) => Context::Form,
            Self::Confirm(_) => Context::Confirm,
        }
    }
}
