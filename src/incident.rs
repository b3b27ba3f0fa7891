//! The incident model: the facts that can be recorded ([`Fact`]), the state computed from them ([`Incident`]), and the types
//! for severity, status, phase, role, action item and evidence record.
//!
//! Everything here is pure. Storage belongs to the journal. State is never edited: it is always computed from the entries.

pub mod action;
pub mod alert_board;
pub mod answer;
pub mod brief;
pub mod command;
pub mod conversation;
pub mod event;
pub mod evidence;
pub mod exit;
pub mod fact;
pub mod finding;
pub mod gate;
pub mod ids;
pub mod lint;
pub mod milestone;
pub mod mitigation;
pub mod playbook_run;
pub mod promise;
pub mod proposal;
pub mod renumber;
pub mod role;
pub mod sending;
pub mod severity;
pub mod similar;
pub mod state;
pub mod stats;
pub mod status;
pub mod summary;

pub use action::{ActionChange, ActionItem, ActionKind, ActionScope, ActionState};
pub use alert_board::{AlertBoard, AlertNow, SourceGap};
pub use answer::{Answer, AnswerSource, CANCELLED, Citation, Claim, ClaimKind, ClaimState, Usage};
pub use command::{Command, Refusal};
pub use event::{Audience, EscalationLevel, EventKind, FoundBy, Grade, NextUpdate, Remark, ReviewState, Verdict};
pub use evidence::{EvidenceKind, EvidenceRecord};
pub use exit::{Comparison, ExitCriteria, ExitReading};
pub use fact::{Actor, ActorKind, Entry, Fact, LinkedAlert, NoteKind, cited_ids};
pub use finding::{Certainty, CitedFinding, CitedSuspect, Conclusion, FindingKind, Situation, SourceReport, SourceStatus};
pub use gate::GateItem;
pub use ids::{ActionId, EvidenceId, IncidentId};
pub use milestone::Milestone;
pub use mitigation::{CardState, Judgement, MitigationCard, MitigationVerdict, Risk};
pub use playbook_run::{BlockResult, PlaybookRun, StepRecord, StepState};
pub use promise::Promises;
pub use role::Role;
pub use sending::{Letter, Outgoing, SendOutcome, Sending};
pub use severity::{Due, Matrix, Severity};
pub use state::{Durations, Incident};
pub use status::{Phase, Status};
pub use summary::Summary;
