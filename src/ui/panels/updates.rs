//! The updates tab: the clock, the updates that were sent, and the draft of the next one with what should be worded differently.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::room::Room;
use crate::incident::state::Update;
use crate::incident::{Audience, Incident, Promises, SendOutcome, Sending};
use crate::telemetry::time::human_duration;
use crate::telemetry::words::count;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, markdown, put, scrolled};
use crate::ui::{ViewCache, text};

/// From this width on, the draft is beside the updates.
const WIDE: u16 = 100;

/// Draws the updates tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let kept = Promises::of(incident, model.now).words();
    let open = incident.sendings.iter().filter(|s| s.outcome != Some(SendOutcome::Sent)).count();
    let rows = u16::try_from(incident.updates.len() + open + usize::from(kept.is_some())).unwrap_or(u16::MAX).saturating_add(3);
    let [list, detail] = if area.width >= WIDE {
        Layout::horizontal([Constraint::Percentage(42), Constraint::Percentage(58)]).areas::<2>(area)
    } else {
        Layout::vertical([Constraint::Length(rows.min(area.height / 3)), Constraint::Min(3)]).areas::<2>(area)
    };
    let [list, detail] = if model.is_zoomed { [Rect { height: 0, ..area }, area] } else { [list, detail] };
    sent(model, incident, kept.as_deref(), theme, frame, list);
    draft(model, room, theme, cache, frame, detail);
}

/// The clock, whether promised updates came in time, and the updates that were sent, the newest first.
fn sent(model: &Model, incident: &Incident, kept: Option<&str>, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let block = bordered(theme, format!("Updates {} sent", incident.updates.len()), false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (words, meaning) = match incident.head.update_due() {
        Some(due) if due <= model.now => {
            (format!("Next update OVERDUE by {}", human_duration(model.now.since(due))), Meaning::Bad)
        }
        Some(due) => (format!("Next update in {}", human_duration(due.since(model.now))), Meaning::Text),
        None => ("No update is due.".to_owned(), Meaning::Muted),
    };
    put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(format!(" {words}"), theme.style(meaning))), None);
    let width = usize::from(inner.width);
    if let Some(kept) = kept {
        put(frame.buffer_mut(), inner, 1, &Line::from(Span::styled(format!(" {kept}"), theme.style(Meaning::Muted))), None);
    }
    let mut row = if kept.is_some() { 2 } else { 1 };
    // What did not arrive comes first: someone has to look after it.
    for sending in incident.sendings.iter().rev() {
        let (word, meaning) = match sending.outcome_at(model.now) {
            None => ("sending …", Meaning::Muted),
            Some(SendOutcome::Sent) => continue,
            Some(SendOutcome::Unknown) => ("arrived?", Meaning::Warn),
            Some(SendOutcome::Failed) => ("not sent", Meaning::Bad),
            Some(SendOutcome::Refused) => ("refused", Meaning::Bad),
        };
        let when = text::moment(model.now, sending.at);
        let detail = if sending.detail.is_empty() { String::new() } else { format!(": {}", sending.detail) };
        let line = Line::from(vec![
            Span::styled(format!(" {when} "), theme.style(Meaning::Muted)),
            Span::styled(text::pad(word, 10), theme.style(meaning)),
            Span::raw(text::fit(&format!("{}{detail}", sending.outgoing.channel), width.saturating_sub(text::width(&when) + 12))),
        ]);
        put(frame.buffer_mut(), inner, row, &line, None);
        row += 1;
    }
    for update in incident.updates.iter().rev() {
        let when = text::moment(model.now, update.at);
        let through: Vec<&str> = channels_of(incident, update);
        let through = if through.is_empty() { String::new() } else { format!("{}: ", through.join(", ")) };
        let line = Line::from(vec![
            Span::styled(format!(" {when} "), theme.style(Meaning::Muted)),
            Span::styled(text::pad(update.audience.title(), 10), theme.style(Meaning::Accent)),
            Span::styled(through.clone(), theme.style(Meaning::Ok)),
            Span::raw(text::fit(&update.text, width.saturating_sub(text::width(&when) + 12 + text::width(&through)))),
        ]);
        put(frame.buffer_mut(), inner, row, &line, None);
        row += 1;
    }
}

/// The channels that an update arrived through.
fn channels_of<'a>(incident: &'a Incident, update: &Update) -> Vec<&'a str> {
    let is_it = |s: &&Sending| {
        s.outcome == Some(SendOutcome::Sent) && s.outgoing.audience == update.audience && s.outgoing.as_one_text() == update.text
    };
    incident.sendings.iter().filter(is_it).map(|s| s.outgoing.channel.as_str()).collect()
}

/// The draft, and below it each part that should be worded differently, with the reason.
fn draft(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let readers = room.draft_audience.title();
    let stage = match (&room.draft, room.draft_stage) {
        (Some(Ok(draft)), _) => draft.stage.word(),
        (_, Some(stage)) => stage.word(),
        _ => "",
    };
    let block = bordered(theme, format!("Draft for {readers} readers · {stage}"), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let width = usize::from(inner.width);
    let styled = |words: &str, meaning: Meaning| {
        let style = theme.style(meaning);
        text::wrap(words, width).into_iter().map(|l| Line::from(Span::styled(l, style))).collect::<Vec<_>>()
    };
    let lines = match &room.draft {
        None => styled("Preparing the draft …", Meaning::Muted),
        Some(Err(why)) => styled(why, Meaning::Bad),
        Some(Ok(draft)) => {
            let mut lines = styled(&draft.subject, Meaning::Title);
            lines.push(Line::default());
            lines.extend(markdown(theme, &draft.text, width));
            lines.push(Line::default());
            if let Some(model) = &draft.model {
                lines.extend(styled(&format!("Reworded by {model}. Read it before you send it."), Meaning::Warn));
            }
            match (draft.audience, draft.hits.len()) {
                (Audience::External, 0) => lines.extend(styled("✓ The wording check has found nothing to change.", Meaning::Ok)),
                (Audience::External, n) => {
                    lines.extend(styled(&format!("! {} to change before it is sent:", count(n, "part")), Meaning::Warn));
                }
                (Audience::Internal | Audience::Executive, 0) => {}
                (Audience::Internal | Audience::Executive, n) => {
                    lines.extend(styled(&format!("! {} to check:", count(n, "part")), Meaning::Warn));
                }
            }
            for hit in &draft.hits {
                let part = if hit.text.is_empty() { String::new() } else { format!("\"{}\": ", hit.text) };
                lines.extend(styled(&format!("  {part}{}", hit.reason), Meaning::Warn));
            }
            lines.extend(styled(
                &format!(
                    "{} sends it through a channel, {} records it as sent; you can edit it first.",
                    model.key(Action::SendDraft),
                    model.key(Action::RecordDraft)
                ),
                Meaning::Muted,
            ));
            lines
        }
    };
    cache.scroll_limit = scrolled(frame.buffer_mut(), inner, &lines, room.scroll);
}
