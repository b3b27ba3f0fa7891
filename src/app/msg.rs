//! Messages in, effects out.

use std::collections::BTreeMap;

use super::chord::Chord;
use crate::evidence::Body;
use crate::incident::AlertBoard;
use crate::incident::{
    ActionChange, ActionId, ActionKind, Audience, EscalationLevel, EventKind, ExitCriteria, FoundBy, Grade, Incident, IncidentId,
    LinkedAlert, Milestone, NextUpdate, NoteKind, Remark, Role, Severity, Status, Summary, Verdict,
};
use crate::prompt::Delta;
use crate::telemetry::log::Batch;
use crate::telemetry::series::AlertSeries;
use crate::telemetry::{Alert, LogLine, Timestamp, Window};

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
    /// How the store stands: entries that wait, why the shared store is away, why nothing can be written.
    StoreStood {
        unsynced: u64,
        away: Option<String>,
        frozen: Option<String>,
        /// Why something that waits cannot be merged.
        stuck: Option<String>,
    },
    /// A text to show: its title and itself.
    TextMade(String, String),
    /// Somebody can be paged: with which command.
    PageReady {
        id: IncidentId,
        name: String,
        text: String,
        command: String,
    },
    /// Who else has the incident open.
    Present(Vec<String>),
    /// What was asked for cannot be: why. What a person typed for it comes back to be mended.
    Refused(Box<Effect>, String),
    /// A fact that the store could not take: kept to be tried again.
    NotWritten(Box<Effect>, String),
    /// Something was done; the words to show.
    Done(String),
    Failed(String),
}

/// What is told of an impact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImpactPart {
    Text,
    Users,
    Services,
    Region,
}

impl ImpactPart {
    /// All, as offered.
    pub const ALL: [Self; 4] = [Self::Text, Self::Users, Self::Services, Self::Region];

    /// Its title, and what to type.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("What fails", "with figures: 17 % of orders fail at the last step"),
            Self::Users => ("For whom", "which users and how many: all customers in eu, some 4,000"),
            Self::Services => ("Affected services", "by comma: checkout, payment"),
            Self::Region => ("Region", "such as eu-west-1"),
        }
    }
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
        reason: Option<String>,
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
        /// Why open items do not matter.
        over: Option<String>,
        /// Why at all.
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
        result: Option<String>,
    },
    ChangeAction {
        id: IncidentId,
        action: ActionId,
        change: ActionChange,
    },
    Task {
        id: IncidentId,
        who: String,
        minutes: u64,
        text: String,
    },
    Published {
        id: IncidentId,
        audience: Audience,
        text: String,
        next: NextUpdate,
    },
    Impact {
        id: IncidentId,
        part: ImpactPart,
        text: String,
    },
    Event {
        id: IncidentId,
        kind: EventKind,
        text: String,
    },
    /// A log line to keep as evidence, with a note that cites it.
    KeepLine {
        id: IncidentId,
        line: Box<LogLine>,
    },
    /// The lines of a pattern: its template, and the window.
    PatternLines {
        template: String,
        window: Window,
    },
    /// A file to keep as evidence, and what it shows.
    Attach {
        id: IncidentId,
        path: String,
        note: Option<String>,
    },
    Tick {
        id: IncidentId,
        item: String,
        met: bool,
        text: String,
    },
    SetExit {
        id: IncidentId,
        criteria: ExitCriteria,
    },
    Check(IncidentId),
    SetTime {
        id: IncidentId,
        milestone: Milestone,
        to: Timestamp,
        reason: String,
        /// Why it may lie out of order.
        exception: Option<String>,
    },
    Escalate {
        id: IncidentId,
        level: EscalationLevel,
        reason: String,
    },
    Unlink {
        id: IncidentId,
        fingerprint: String,
        reason: String,
    },
    Merge {
        id: IncidentId,
        into: IncidentId,
    },
    Judge {
        id: IncidentId,
        seq: u64,
        verdict: Verdict,
        reason: String,
    },
    Remark {
        id: IncidentId,
        seq: u64,
        remark: Remark,
        text: String,
    },
    Undo(IncidentId),
    Unacknowledge {
        id: IncidentId,
        reason: String,
    },
    Renounce {
        id: IncidentId,
        role: Role,
        holder: String,
    },
    Grade {
        id: IncidentId,
        grade: Grade,
        found_by: FoundBy,
    },
    /// Past incidents that look alike.
    Similar(IncidentId),
    /// Who is on call.
    OnCall,
    /// The exact command that would page somebody, to be confirmed.
    PreparePage {
        id: IncidentId,
        name: String,
        text: String,
    },
    Page {
        id: IncidentId,
        name: String,
        text: String,
    },
    /// The log lines around a moment, from the sources.
    LogsAt(Timestamp),
    /// This person is in an incident's room now, or in none.
    Enter(Option<IncidentId>),
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
