//! What lies over a screen: help, palette, dialogs.

use super::action::{ACTIONS, Action, Context, Spec};
use super::edit::LineEdit;
use super::msg::Effect;
use crate::incident::{ActionKind, EvidenceId, LinkedAlert, NoteKind, Role, Severity, Status};

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
    Filter,
}

/// What a choice is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    Severity(Vec<Severity>),
    Status(Vec<Status>),
    Role(Vec<Role>),
    ActionKind(Vec<ActionKind>),
    /// Incidents to link the alerts to.
    LinkTo(Vec<crate::incident::IncidentId>, Vec<String>),
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
    Evidence {
        id: EvidenceId,
        scroll: usize,
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
