//! The messages that the state machine receives and the effects that it requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::chord::Chord;
use super::metric::{KeptMetric, MetricNames, MetricRequest, MetricsRead};
use super::pointer::Pointer;
use crate::comms::{Draft, Stage};
use crate::evidence::Body;
use crate::incident::{
    AlertBoard, Audience, Command, EvidenceId, Incident, IncidentId, Letter, LinkedAlert, Outgoing, Severity, Summary,
};
use crate::playbook::Library;
use crate::postmortem::MissingPart;
use crate::prompt::Delta;
use crate::prompt::question::Question;
use crate::telemetry::failure::FileProblem;
use crate::telemetry::log::Batch;
use crate::telemetry::series::AlertSeries;
use crate::telemetry::silence::ListedSilence;
use crate::telemetry::{Alert, Failure, Labels, LogLine, Timestamp, Window};

/// Something that happened outside, named in the past tense. Its time is passed along with it (see [`super::update()`]).
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    Pressed(Chord),
    Pasted(String),
    Resized(u16, u16),
    /// Something was done with the pointer in a cell: column and row.
    Pointed(Pointer, u16, u16),
    /// The terminal got the focus, or lost it.
    Focused(bool),
    /// A second has passed.
    Ticked,
    AlertsArrived(Box<AlertBoard>),
    IncidentsListed(Vec<Summary>),
    IncidentRead(Box<Incident>, BTreeMap<String, Body>),
    /// The user declared this incident; with warnings.
    Declared(IncidentId, Vec<String>),
    SeriesArrived(String, Result<Option<AlertSeries>, Failure>),
    LogsArrived(Batch),
    LinesRead(LineRequest, LinesRead),
    MetricsRead(MetricRequest, Result<MetricsRead, Failure>),
    MetricNamesRead(MetricNames),
    /// The values of a label; none if no source could list them.
    LabelValuesRead(String, Vec<String>),
    /// Log lines were written to the file with this absolute path.
    LinesSaved(String),
    /// The file for log lines already exists. Asks whether to replace it.
    LinesExist {
        path: String,
        text: String,
    },
    Progressed(IncidentId, String),
    /// Playbooks and prompts have been read; with the problems in all of the user's files.
    FilesRead {
        playbooks: Arc<Library>,
        prompts: Vec<String>,
        problems: Vec<FileProblem>,
    },
    Investigated(IncidentId),
    /// The requests to models about an incident: a title, details and the text of each.
    RequestsRead(IncidentId, Vec<(String, String, String)>),
    Planned(IncidentId, Result<(String, String), Failure>),
    Answering(u64, Delta),
    Answered(u64, Result<CheckSummary, Failure>),
    ReportReady(IncidentId, String, Vec<MissingPart>),
    DraftReady(IncidentId, Box<Result<Draft, Failure>>),
    /// The post-mortem was not exported to this path.
    ExportFailed {
        id: IncidentId,
        path: String,
        failure: Failure,
    },
    /// The absolute path that the post-mortem was exported to, and what is damaged in the records behind it.
    Exported(String, Option<String>),
    /// The file of an export already exists. Asks whether to replace it.
    ExportExists {
        id: IncidentId,
        path: String,
    },
    StoreChanged(StoreState),
    /// A title and a text to show.
    TextReady(String, String),
    /// What would page someone, in lines, to be confirmed.
    PageReady {
        id: IncidentId,
        name: String,
        text: String,
        lines: Vec<String>,
    },
    /// A URL was opened, or could not be and is to be copied instead.
    UrlOpened(String, bool),
    /// What an effect would do, to be confirmed. Without lines there is nothing to confirm, and it is carried out.
    ToConfirm {
        effect: Box<Effect>,
        title: String,
        lines: Vec<String>,
    },
    /// The editor was closed: the text for the open field, if it is for one.
    Edited(Option<String>),
    /// Output of the script that is running.
    ScriptOutput(String),
    /// The script that was running has ended. Its result follows.
    ScriptEnded,
    /// A step needs the value of a variable: its name, what it is, and values to choose from.
    ValueNeeded {
        call: StepCall,
        name: String,
        description: String,
        choices: Vec<String>,
    },
    /// A command of the user has ended: its output, and how to keep it as evidence of the open incident.
    CommandEnded {
        name: String,
        text: String,
        keep: Option<Box<Effect>>,
    },
    SilencesListed(Vec<ListedSilence>),
    /// A text cannot be sent as it is: why.
    SendFailed(Box<SendCall>, Failure),
    /// A text for customers has open points, one in each line.
    SendHits(Box<SendCall>, Vec<String>),
    /// The names of the other people who have the incident open.
    Present(Vec<String>),
    /// A command was carried out: a message, and warnings.
    Ran(String, Vec<String>),
    /// A command was refused. The dialog in which it was typed opens again.
    Refused(Box<Effect>, Failure),
    /// The store could not write a change, which is kept for a retry.
    NotWritten(Box<Effect>, Failure),
    /// An effect that changes nothing failed.
    Failed(Failure),
}

/// The state of the store, as the screen shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoreState {
    /// The number of entries that are waiting to be merged into the shared store.
    pub unsynced: u64,
    /// Why the shared store is unreachable; `None` if it answers.
    pub unreachable: Option<String>,
    /// Why the store is read-only; `None` if it is writable.
    pub read_only: Option<String>,
    /// Why waiting entries cannot be merged; `None` if they can.
    pub merge_failure: Option<String>,
    /// A notice about this machine's copy since the program started.
    pub notices: Vec<String>,
}

/// Something to do outside, named in the imperative.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Quit,
    Suspend,
    Redraw,
    Copy(String),
    /// Rings the terminal, with a text for terminals that show notifications.
    Notify(String),
    /// Turns the reporting of the pointer on or off.
    Mouse(bool),
    /// Opens a text in the user's editor. `is_kept` says whether the open field gets what was written.
    Editor {
        text: String,
        is_kept: bool,
    },
    FetchAlerts,
    ListIncidents,
    ReadIncident(IncidentId),
    Declare {
        title: String,
        severity: Severity,
        reason: Option<String>,
        alerts: Vec<LinkedAlert>,
        is_commander: bool,
    },
    /// Runs a command on an incident. `at` backdates its entry; `None` means now.
    Run {
        id: IncidentId,
        command: Box<Command>,
        at: Option<Timestamp>,
    },
    /// Reads metrics from the first source that can answer the query.
    ReadMetrics(MetricRequest),
    /// Reads the requests that were sent to sources.
    ReadRequestLog,
    /// Reads the names of metrics and labels, for completion.
    ReadMetricNames,
    /// Reads the values of this label for completion.
    ReadLabelValues(String),
    /// Keeps series as evidence.
    KeepMetric(Box<KeptMetric>),
    /// Reads log lines from the sources.
    ReadLines(LineRequest),
    /// Writes log lines to a file. An existing file is replaced only if `replace` is set.
    SaveLines {
        path: String,
        text: String,
        replace: bool,
    },
    /// Shows a text in lnav, or else in the user's pager.
    Pager(String),
    Similar(IncidentId),
    OnCall,
    /// Builds the exact command that would page someone, for confirmation.
    PreparePage {
        id: IncidentId,
        name: String,
        text: String,
    },
    Silence(SilenceEffect),
    Send(SendEffect),
    /// Opens a URL in the program that the system uses for it.
    OpenUrl(String),
    Step(StepEffect),
    Custom(CustomEffect),
    /// Reads again whether the mitigations that were done worked.
    JudgeMitigations(IncidentId),
    /// Announces which incident room the user has open; `None` for none.
    Enter(Option<IncidentId>),
    /// Investigates over the incident's window, or over this length before its end.
    Investigate(IncidentId, Option<Duration>),
    Plan {
        id: IncidentId,
        question: Box<Question>,
    },
    Ask {
        id: IncidentId,
        request: u64,
        question: Box<Question>,
    },
    CancelAsk,
    /// Reads the requests that were sent to models about an incident.
    ReadRequests(IncidentId),
    /// Stops the script that is running.
    StopScript,
    MakeReport(IncidentId),
    /// Drafts an update.
    MakeDraft {
        id: IncidentId,
        audience: Audience,
        stage: Option<Stage>,
    },
    /// Drafts an update, and has the model reword it.
    ImproveDraft {
        id: IncidentId,
        audience: Audience,
        stage: Option<Stage>,
    },
    /// Writes the post-mortem to a file. An existing file is replaced only if `replace` is set.
    Export {
        id: IncidentId,
        path: String,
        replace: bool,
    },
    FetchSeries(Box<Alert>),
    FollowLogs,
    StopLogs,
}

/// Log lines to read from the sources.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LineRequest {
    /// Identifies the request, so that its answer reaches the history that asked.
    pub id: u64,
    pub what: Lines,
    pub window: Window,
    /// Only those that match this search: words, or a regular expression behind `~`.
    pub search: Option<String>,
}

/// Which lines of a window are meant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Lines {
    /// All, because this time is of interest.
    Around(Timestamp),
    /// All, before those that are shown.
    Earlier,
    /// All, after those that are shown.
    Later,
    /// Those of a pattern.
    Pattern(String),
    /// Those that match the search.
    Matching,
}

/// Log lines that were read, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LinesRead {
    /// The part of the requested window that the lines are from. It is shorter where there are more lines than are read at once.
    pub window: Window,
    pub lines: Vec<LogLine>,
    /// The number of lines that were looked through.
    pub searched: usize,
    /// What could not be read, and why.
    pub gaps: Vec<String>,
}

/// A step of a playbook in an incident, and how it is to be run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StepCall {
    pub id: IncidentId,
    pub playbook: String,
    /// Counted from 1.
    pub step: usize,
    /// The values of variables that the user has set.
    pub values: BTreeMap<String, String>,
    /// Run it although it was run before.
    pub again: bool,
}

/// Something to do with a step of a playbook.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StepEffect {
    /// Fills in its variables, to be confirmed.
    Prepare(StepCall),
    /// Runs it, if what would run is still what was confirmed: the token says what that was.
    Run(StepCall, String),
    Skip {
        id: IncidentId,
        playbook: String,
        step: usize,
        reason: String,
    },
}

/// Something to do with silences.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SilenceEffect {
    /// Reads which alerts a silence of these alerts would hide, to be confirmed.
    Plan(SilenceCall),
    /// Creates a silence, if it still hides what the preview with this token showed.
    Create(SilenceCall, String),
    List,
    /// Makes a silence end this long from now.
    Extend {
        silence: String,
        length: Duration,
        incident: Option<IncidentId>,
    },
    /// Ends a silence now.
    Expire {
        silence: String,
        reason: String,
        incident: Option<IncidentId>,
    },
}

/// Something to send.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SendEffect {
    /// Builds exactly what would be sent, to be confirmed.
    Plan(Box<SendCall>),
    /// Sends exactly this, if where and how is still what the preview with this token showed.
    Send(Box<SendCall>, Box<Outgoing>, String),
}

/// What is to be sent, and through which channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SendCall {
    pub id: IncidentId,
    pub channel: String,
    pub letter: Letter,
    pub audience: Audience,
    pub stage: Option<Stage>,
    /// The text of an update; a brief is written when it is sent.
    pub text: Option<String>,
    /// The incident or issue in the other system.
    pub target: Option<String>,
    pub override_reason: Option<String>,
    /// Send again what was sent, or what may have been.
    pub again: bool,
}

/// A silence of alerts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SilenceCall {
    pub fingerprints: Vec<String>,
    pub length: Duration,
    pub reason: String,
    pub incident: Option<IncidentId>,
}

/// A command of the user, and what is selected.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CustomCall {
    pub name: String,
    pub incident: Option<IncidentId>,
    /// The labels of the selected alert.
    pub labels: Labels,
    pub evidence: Option<EvidenceId>,
}

/// Something to do with a command of the user.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CustomEffect {
    /// Fills in its variables, to be confirmed.
    Prepare(CustomCall),
    /// Runs it, if what would run is still what was confirmed: the token says what that was.
    Run(CustomCall, String),
    /// Keeps an output as evidence.
    Keep { id: IncidentId, name: String, summary: String, output: String, window: Window },
}

/// The result of checking an answer, for the message line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckSummary {
    pub text: String,
    /// Whether the answer is whole and the check flagged nothing.
    pub holds: bool,
    /// Whether the check flagged something.
    pub is_flagged: bool,
}
