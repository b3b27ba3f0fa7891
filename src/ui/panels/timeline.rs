//! The timeline tab: entries by day with their time, author, text and evidence tags, the newest at the bottom.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::pointer::Target;
use crate::app::room::{EntryFilter, Room};
use crate::incident::{ActorKind, Entry, Fact, Incident, NoteKind};
use crate::telemetry::Timestamp;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{cited, frame as bordered, put};
use crate::ui::{ViewCache, text};

/// Draws the timeline tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let shown = room.shown_entries();
    let hidden = incident.entries.len() - shown.len();
    let more = if hidden > 0 {
        let (details, kind) = (model.key(Action::Details), model.key(Action::FilterKind));
        format!(" · {hidden} not shown ({details} details, {kind} kind)")
    } else {
        String::new()
    };
    let kind = if room.entry_filter == EntryFilter::All { String::new() } else { format!(" · {}", room.entry_filter.word()) };
    // A wide terminal shows local times next to UTC. A narrow one only names the local time zone.
    let local = Some(model.offset).filter(|o| !o.is_utc() && area.width >= 100);
    let zone = match (model.offset.is_utc(), local) {
        (true, _) => "UTC".to_owned(),
        (false, Some(offset)) => format!("UTC and local ({})", crate::telemetry::time::zone_label(offset)),
        (false, None) => format!("UTC, local {}", crate::telemetry::time::zone_label(model.offset)),
    };
    let block =
        bordered(theme, format!("Timeline {} · {zone}{kind}{more}", crate::telemetry::words::count(shown.len(), "entry")), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if shown.is_empty() {
        let words = if room.filter.is_empty() {
            format!(" No entries of this kind. Press {} to show other kinds.", model.key(Action::FilterKind))
        } else {
            format!(" No entry matches the filter. Press {} to clear it.", model.key(Action::Back))
        };
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
        return;
    }
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let selected = room.entry_position();
    // Lay out only the visible entries: an incident may have a hundred thousand.
    let block_of = |i: usize| -> Vec<Line<'static>> {
        let Some(entry) = shown.get(i) else { return Vec::new() };
        let before = i.checked_sub(1).and_then(|b| shown.get(b)).map(|e| e.at);
        entry_lines(incident, entry, before, local, theme, width)
    };
    let mut first = cache.first("timeline").min(shown.len().saturating_sub(1));
    if selected < first || selected - first > height {
        first = if selected < first { selected } else { (selected + 1).saturating_sub(height) };
    }
    let mut blocks: std::collections::VecDeque<Vec<Line<'static>>> = (first..=selected).map(block_of).collect();
    let mut total: usize = blocks.iter().map(Vec::len).sum();
    while total > height && blocks.len() > 1 {
        total -= blocks.pop_front().map_or(0, |b| b.len());
        first += 1;
    }
    let mut next = selected + 1;
    while total < height && next < shown.len() {
        let block = block_of(next);
        total += block.len();
        blocks.push_back(block);
        next += 1;
    }
    // At the end of the timeline, fill the rest of the screen with earlier entries.
    while total < height && first > 0 {
        let block = block_of(first - 1);
        if total + block.len() > height {
            break;
        }
        total += block.len();
        blocks.push_front(block);
        first -= 1;
    }
    cache.set_first("timeline", first);
    let mut row = 0;
    for (n, block) in blocks.iter().enumerate() {
        for line in block {
            // Lines before an entry have one span: the day, and alerts that fired. They are not part of the selected entry.
            let style = (first + n == selected && line.spans.len() > 1).then(|| theme.style(Meaning::Selection));
            put(frame.buffer_mut(), inner, row, line, style);
            cache.target(inner, row, Target::Row(first + n));
            row += 1;
        }
    }
}

/// The lines of an entry. Before them are a day separator, if the previous entry has another date, and the alerts that fired in between.
/// `before` is the time of the previous entry, and `local` the local time zone if local times are shown.
fn entry_lines(
    incident: &Incident,
    entry: &Entry,
    before: Option<Timestamp>,
    local: Option<time::UtcOffset>,
    theme: &Theme,
    width: usize,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let date = entry.at.date();
    if before.map(Timestamp::date) != Some(date.clone()) {
        let rule = format!("── {date} {}", "─".repeat(width.saturating_sub(15)));
        lines.push(Line::from(Span::styled(rule, theme.style(Meaning::Muted))));
    }
    if let Some((at, fired)) = incident.alerts_fired(before, entry.at) {
        let time = if at.date() == date { at.clock(time::UtcOffset::UTC) } else { at.date_clock() };
        let head = format!(" {time} ●  ");
        let indent = " ".repeat(text::width(&head));
        let parts = text::wrap(&fired, width.saturating_sub(indent.len() + 1).max(20));
        let line = |(n, part): (usize, String)| format!("{}{part}", if n == 0 { &head } else { &indent });
        lines.extend(parts.into_iter().enumerate().map(line).map(|l| Line::from(Span::styled(l, theme.style(Meaning::Warn)))));
    }
    let (mark, meaning) = match entry.actor.kind {
        ActorKind::Human => ("◆", Meaning::Accent),
        ActorKind::Ai => ("AI", Meaning::Ai),
        ActorKind::System => ("·", Meaning::Muted),
    };
    let entry_text = incident.entry_text(entry);
    let tags = entry.evidence_tags(&entry_text);
    let backdated = if entry.is_backdated() { " (backdated)" } else { "" };
    let unsynced = if entry.is_unsynced() { " ↯" } else { "" };
    let mut body = format!("{entry_text}{tags}{backdated}{unsynced}");
    if let Fact::Note { note_kind: NoteKind::Hypothesis, .. } = entry.fact
        && let Some(h) = incident.hypotheses.iter().find(|h| h.seq == entry.seq)
    {
        let origin = h.proposed_by.as_ref().map_or_else(String::new, |model| format!(", from {model}"));
        body.push_str(&format!(" ({}{origin})", h.state()));
    }
    let local_time = local.map(|o| format!(" ({})", entry.at.clock(o).get(..5).unwrap_or(""))).unwrap_or_default();
    let head = format!(" {}{local_time} {} ", entry.at.clock(time::UtcOffset::UTC), text::pad(mark, 2));
    let who = format!("{} ", text::pad(&entry.actor.name, 10));
    let indent = text::width(&head) + text::width(&who);
    for (n, part) in text::wrap(&body, width.saturating_sub(indent + 1).max(20)).iter().enumerate() {
        let mut spans = if n == 0 {
            vec![Span::styled(head.clone(), theme.style(meaning)), Span::styled(who.clone(), theme.style(Meaning::Muted))]
        } else {
            vec![Span::raw(" ".repeat(indent))]
        };
        spans.extend(cited(theme, part));
        lines.push(Line::from(spans));
    }
    lines
}
