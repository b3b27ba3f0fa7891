//! What lies over a screen: help, palette, dialogs.

use super::action::{ACTIONS, Action, Context, Spec};
use super::edit::LineEdit;
use super::msg::{Effect, ImpactPart};
use crate::incident::{
    ActionId, ActionKind, Audience, EscalationLevel, EventKind, EvidenceId, FoundBy, Grade, IncidentId, LinkedAlert, Milestone,
    NoteKind, Remark, Role, Severity, Status, Verdict,
};
use crate::telemetry::Timestamp;

/// What a typed line is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    Note(NoteKind),
    NoteAt,
    SeverityReason(Severity),
    Override(Status),
    ReopenReason,
    Holder(Role),
    ActionText(ActionKind),
    Question,
    ExportPath,
    Correction(u64),
    Task,
    Published(Audience),
    Impact(ImpactPart),
    Event(EventKind),
    Attach,
    Page,
    CancelReason,
    Tick {
        item: &'static str,
        met: bool,
    },
    Exit,
    Time(Milestone),
    EscalationReason(EscalationLevel),
    UnlinkReason(String),
    Judge(u64, Verdict),
    Remark(u64, Remark),
    Unacknowledge,
    Result(ActionId),
    Owner(ActionId),
    Due(ActionId),
    DropReason(ActionId),
    Filter,
    /// Words to go to in the logs; the other lines stay.
    Search,
}

/// What a choice is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    Severity(Vec<Severity>),
    Status(Vec<Status>),
    Role(Vec<Role>),
    ActionKind(Vec<ActionKind>),
    /// Incidents to link the alerts to.
    LinkTo(Vec<IncidentId>, Vec<String>),
    /// Incidents to merge into.
    MergeInto(Vec<IncidentId>),
    Milestone(Vec<Milestone>),
    Level(Vec<EscalationLevel>),
    Audience(Vec<Audience>),
    Impact,
    /// Ranks of findings.
    Finding(Vec<u32>),
    Event(Vec<EventKind>),
    Grade(Vec<Grade>),
    FoundBy(Grade, Vec<FoundBy>),
    Renounce(Vec<(Role, String)>),
    /// Fingerprints of linked alerts.
    Unlink(Vec<String>),
}

/// The fields of the declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclareForm {
    pub title: LineEdit,
    pub severity: Severity,
    pub proposed: Severity,
    pub reason: String,
    pub alerts: Vec<LinkedAlert>,
    pub is_commander: bool,
    /// 0 title, 1 severity, 2 commander.
    pub field: usize,
}

/// See the module's words.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    Help {
        scroll: usize,
    },
    Palette {
        edit: LineEdit,
        selected: usize,
    },
    Line {
        title: String,
        edit: LineEdit,
        purpose: Purpose,
        hint: String,
    },
    Choose {
        title: String,
        rows: Vec<(String, String)>,
        selected: usize,
        choice: Choice,
    },
    Declare(Box<DeclareForm>),
    /// The exact effect, and "No" as the default.
    Confirm {
        title: String,
        lines: Vec<String>,
        yes: bool,
        effect: Box<Effect>,
    },
    /// The checklist of the phases.
    Gates {
        selected: usize,
    },
    /// `at`: the moment that is looked at, marked in a chart and scrolled to in a log.
    Evidence {
        id: EvidenceId,
        scroll: usize,
        at: Option<Timestamp>,
    },
    Text {
        title: String,
        text: String,
        scroll: usize,
    },
}

/// The palette's commands for what was typed, the best match first.
pub fn palette(query: &str, contexts: &[Context]) -> Vec<&'static Spec> {
    use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
    use nucleo_matcher::{Config, Matcher, Utf32Str};
    let usable = ACTIONS.iter().filter(|s| contexts.contains(&s.context) && !matches!(s.action, Action::Up | Action::Down));
    if query.trim().is_empty() {
        return usable.collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut found: Vec<(u32, &Spec)> = usable
        .filter_map(|s| {
            let text = format!("{} {}", s.word, s.help);
            pattern.score(Utf32Str::new(&text, &mut buffer), &mut matcher).map(|score| (score, s))
        })
        .collect();
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, s)| s).collect()
}
