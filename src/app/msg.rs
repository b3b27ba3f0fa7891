//! Messages in, effects out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::chord::Chord;
use crate::evidence::Body;
use crate::incident::{AlertBoard, Command, Incident, IncidentId, LinkedAlert, Severity, Summary};
use crate::prompt::Delta;
use crate::telemetry::log::Batch;
use crate::telemetry::series::AlertSeries;
use crate::telemetry::{Alert, Failure, Timestamp, Window};

/// What happened outside, in the past tense. Each comes with its time (see `update`).
#[derive(Clone, Debug)]
pub enum Msg {
    Pressed(Chord),
    Pasted(String),
    Resized(u16, u16),
    /// A second has passed and something shows an age.
    Ticked,
    AlertsArrived(Box<AlertBoard>),
    IncidentsListed(Vec<Summary>),
    IncidentRead(Box<Incident>, BTreeMap<String, Body>),
    /// This person declared an incident.
    Declared(IncidentId, Vec<String>),
    SeriesArrived(String, Result<Option<AlertSeries>, Failure>),
    LogsArrived(Batch),
    Progressed(IncidentId, String),
    Investigated(IncidentId),
    Planned(IncidentId, Result<(String, String), Failure>),
    Answering(u64, Delta),
    Answered(u64, Result<String, Failure>),
    ReportMade(IncidentId, String),
    Exported(String),
    /// The file of an export exists: whether to replace it.
    ExportExists {
        id: IncidentId,
        path: String,
    },
    StoreChanged(StoreState),
    /// A text to show, with its title.
    TextMade(String, String),
    /// Someone can be paged, with this command.
    PageReady {
        id: IncidentId,
        name: String,
        text: String,
        command: String,
    },
    /// Who else has the incident open.
    Present(Vec<String>),
    /// A command was carried out: what to say, and what did not go as hoped.
    Ran(String, Vec<String>),
    /// A command was refused. What was typed for it comes back.
    Refused(Box<Effect>, Failure),
    /// The store could not take a command: kept to be retried.
    NotWritten(Box<Effect>, Failure),
    /// Something that was asked for, and that changes nothing, failed.
    Failed(Failure),
}

/// The state of the store, as the screen shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// Entries that wait for the shared store.
    pub unsynced: u64,
    /// Why the shared store is unreachable, while it is.
    pub away: Option<String>,
    /// Why nothing can be written.
    pub read_only: Option<String>,
    /// Why waiting entries cannot be merged.
    pub stuck: Option<String>,
    /// What happened to this machine's copy.
    pub notices: Vec<String>,
}

/// What is to be done outside, in the imperative.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Quit,
    Suspend,
    Redraw,
    Copy(String),
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
    /// Runs a command; `at` is when it happened, if that is not now.
    Run {
        id: IncidentId,
        command: Box<Command>,
        at: Option<Timestamp>,
    },
    /// The lines of a log pattern.
    PatternLines {
        template: String,
        window: Window,
    },
    Similar(IncidentId),
    OnCall,
    /// The exact command that would page someone, to be confirmed.
    PreparePage {
        id: IncidentId,
        name: String,
        text: String,
    },
    /// The log lines around a moment, from the sources.
    LogsAt(Timestamp),
    /// This person has an incident's room open, or none.
    Enter(Option<IncidentId>),
    /// Over the incident's own window, or the last so long before its end.
    Investigate(IncidentId, Option<Duration>),
    Plan {
        id: IncidentId,
        question: String,
    },
    Ask {
        id: IncidentId,
        request: u64,
        question: String,
    },
    CancelAsk,
    MakeReport(IncidentId),
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
