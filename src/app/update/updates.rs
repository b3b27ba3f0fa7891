//! The updates tab: drafts for each audience and stage, and recording one as sent.

use super::super::action::Action;
use super::super::edit::TextField;
use super::super::model::Model;
use super::super::msg::Effect;
use super::super::overlay::{InputDialog, Overlay, Purpose};
use super::common::{say, say_key, show};
use super::go::refresh_tab;
use crate::comms::Stage;
use crate::incident::{Audience, Command, NextUpdate};

/// The audiences in the order in which they are drafted for.
const AUDIENCES: [Audience; 3] = [Audience::Internal, Audience::Executive, Audience::External];

/// Drafts for the next audience.
pub(super) fn next_audience(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &mut model.room else { return Vec::new() };
    let at = AUDIENCES.iter().position(|a| *a == room.draft_audience).map_or(0, |at| at + 1);
    room.draft_audience = AUDIENCES.get(at).copied().unwrap_or(Audience::Internal);
    room.scroll = 0;
    refresh_tab(room)
}

/// Drafts for the next stage, and after the last one for that of the status again.
pub(super) fn next_stage(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &mut model.room else { return Vec::new() };
    let next = room.draft_stage.and_then(|s| Stage::ALL.iter().position(|a| *a == s)).map_or(0, |at| at + 1);
    room.draft_stage = Stage::ALL.get(next).copied();
    room.scroll = 0;
    refresh_tab(room)
}

/// The draft as it would be sent: its subject and its text.
pub(super) fn draft_text(model: &Model) -> Option<String> {
    let draft = model.room.as_ref()?.draft.as_ref()?.as_ref().ok()?;
    Some(format!("{}\n\n{}", draft.subject, draft.text))
}

/// Opens the draft to be edited and recorded as sent.
pub(super) fn record_draft(model: &mut Model) -> Vec<Effect> {
    let Some(text) = draft_text(model) else {
        return say_key(model, "The draft is not ready yet. Press {} to draft it again.", Action::Tab8);
    };
    let Some(Ok(draft)) = model.room.as_ref().and_then(|r| r.draft.as_ref()) else {
        return say(model, "The draft is not ready yet.");
    };
    // The last update does not promise another one.
    let next = if draft.stage == Stage::Resolved { NextUpdate::Never } else { NextUpdate::Scheduled };
    let title = format!("Update sent to {}", draft.audience.word());
    let command = Command::RecordUpdate { audience: draft.audience, text: String::new(), next };
    let hint = "Send it yourself; this records it and restarts the update timer.";
    let purpose = Purpose::Command(Box::new(command));
    show(model, Overlay::Input(InputDialog::new(title, purpose, hint, TextField::with(text))))
}
