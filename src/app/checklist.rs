//! What a person does about an open item of the checklist.

use super::action::Action;

/// The action that helps with an open item; `None` if it can only be ticked.
pub(crate) fn item_action(item: &str) -> Option<Action> {
    match item {
        "start-time" | "timeline-complete" => Some(Action::SetTime),
        "severity" => Some(Action::SetSeverity),
        "impact" => Some(Action::Impact),
        "commander" | "roles" => Some(Action::AssignRole),
        "stakeholders-told" => Some(Action::Published),
        "contained" => Some(Action::SetStatus),
        "mitigation-recorded" => Some(Action::Mitigation),
        "effect-seen" => Some(Action::Tab7),
        "playbooks" | "verified" => Some(Action::Tab6),
        "exit-criteria" | "restored" | "monitored" => Some(Action::Check),
        "causes" => Some(Action::Tab2),
        "actions" => Some(Action::AddAction),
        "diagnosis-graded" => Some(Action::Grade),
        _ => None,
    }
}
