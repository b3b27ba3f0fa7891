//! Messages in, effects out.

use std::collections::BTreeMap;

use super::chord::Chord;
use crate::evidence::Body;
use crate::incident::AlertBoard;
use crate::incident::{ActionId, ActionKind, Incident, IncidentId, LinkedAlert, NoteKind, Role, Severity, Status, Summary};
use crate::prompt::Delta;
use crate::telemetry::log::Batch;
use crate::telemetry::series::AlertSeries;
use crate::telemetry::{Alert, Timestamp};

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
    /// An incident was opened by this person.
    Declared(IncidentId, Vec<String>),
    SeriesArrived(String, Result<Option<AlertSeries>, String>),
    LogsArrived(Batch),
    Progressed(IncidentId, String),
    Investigated(IncidentId),
    Planned(IncidentId, Result<(String, String), String>),
    Answering(u64, Delta),
    Answered(u64, Result<String, String>),
    ReportMade(IncidentId, String),
    Exported(String),
    /// Something was done; the words to show.
    Done(String),
    Failed(String),
}

/// What is to be done outside, in the imperative.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Quit,
    Suspend,
    Redraw,
    FetchAlerts,
    ListIncidents,
    ReadIncident(IncidentId),
    Declare {
        title: String,
        severity: Severity,
        alerts: Vec<LinkedAlert>,
        is_commander: bool,
    },
    Link(IncidentId, Vec<String>),
    Note {
        id: IncidentId,
        text: String,
        kind: NoteKind,
        at: Option<Timestamp>,
    },
    Correct {
        id: IncidentId,
        seq: u64,
        text: String,
    },
    Acknowledge(IncidentId),
    SetSeverity {
        id: IncidentId,
        to: Severity,
        reason: String,
    },
    SetStatus {
        id: IncidentId,
        to: Status,
        reason: Option<String>,
    },
    Reopen {
        id: IncidentId,
        reason: String,
    },
    Assign {
        id: IncidentId,
        role: Role,
        holder: String,
    },
    AddAction {
        id: IncidentId,
        text: String,
        kind: ActionKind,
    },
    ActionDone {
        id: IncidentId,
        action: ActionId,
    },
    /// Over the incident's own window, or the last so long before its end.
    Investigate(IncidentId, Option<std::time::Duration>),
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
    Accept {
        id: IncidentId,
        seq: u64,
    },
    MakeReport(IncidentId),
    Export {
        id: IncidentId,
        path: String,
    },
    FetchSeries(Box<Alert>),
    FollowLogs,
    StopLogs,
    Copy(String),
}
