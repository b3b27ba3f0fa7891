//! The timeline: newest at the bottom, day by day, who and what, with evidence tags.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::model::Model;
use crate::app::room::{Room, Shown};
use crate::incident::{ActorKind, Entry, Fact, Incident, NoteKind};
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{cited, frame as bordered, put};
use crate::ui::{ViewCache, text};

pub fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let shown = room.shown_entries();
    let hidden = incident.entries.len() - shown.len();
    let more = if hidden > 0 { format!(" · {hidden} not shown (z, f)") } else { String::new() };
    let kind = if room.shown == Shown::All { String::new() } else { format!(" · {}", room.shown.word()) };
    // Where there is room for it, local time stands beside UTC; else its zone is named.
    let here = Some(model.offset).filter(|o| !o.is_utc() && area.width >= 100);
    let zone = match (model.offset.is_utc(), here) {
        (true, _) => "UTC".to_owned(),
        (false, Some(offset)) => format!("UTC and local ({})", crate::telemetry::time::zone_label(offset)),
        (false, None) => format!("UTC, here {}", crate::telemetry::time::zone_label(model.offset)),
    };
    let block =
        bordered(theme, format!("Timeline {} · {zone}{kind}{more}", crate::telemetry::words::count(shown.len(), "entry")), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let selected = room.entry_position();
    // Only entries that can be seen are written out: an incident may have a hundred thousand.
    let block_of = |i: usize| -> Vec<Line<'static>> {
        let Some(entry) = shown.get(i) else { return Vec::new() };
        let before = i.checked_sub(1).and_then(|b| shown.get(b)).map(|e| e.at.date());
        lines_of(incident, entry, before.as_deref(), here, theme, width)
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
    // At the end of the story the screen is filled from above.
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
        for (k, line) in block.iter().enumerate() {
            // A line that separates days belongs to no entry.
            let is_day = k == 0 && line.spans.len() == 1 && block.len() > 1;
            let style = (first + n == selected && !is_day).then(|| theme.style(Meaning::Selection));
            put(frame.buffer_mut(), inner, row, line, style);
            row += 1;
        }
    }
}

/// An entry as lines, with a separator before it where a day begins.
fn lines_of(
    incident: &Incident,
    entry: &Entry,
    before: Option<&str>,
    here: Option<time::UtcOffset>,
    theme: &Theme,
    width: usize,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let date = entry.at.date();
    if before != Some(date.as_str()) {
        let rule = format!("── {date} {}", "─".repeat(width.saturating_sub(15)));
        lines.push(Line::from(Span::styled(rule, theme.style(Meaning::Muted))));
    }
    let (mark, meaning) = match entry.actor.kind {
        ActorKind::Human => ("◆", Meaning::Accent),
        ActorKind::Ai => ("AI", Meaning::Ai),
        ActorKind::System => ("·", Meaning::Muted),
    };
    let said = incident.entry_text(entry);
    let tags = entry.evidence_tags(&said);
    let back = if entry.is_backdated() { " (backdated)" } else { "" };
    let waits = if entry.is_unsynced() { " ↯" } else { "" };
    let mut body = format!("{said}{tags}{back}{waits}");
    if let Fact::Note { note_kind: NoteKind::Hypothesis, .. } = entry.fact
        && let Some(h) = incident.hypotheses.iter().find(|h| h.seq == entry.seq)
    {
        body.push_str(&format!(" ({})", h.state()));
    }
    let local = here.map(|o| format!(" ({})", entry.at.clock(o).get(..5).unwrap_or(""))).unwrap_or_default();
    let head = format!("{}{local} {} ", entry.at.clock(time::UtcOffset::UTC), text::pad(mark, 2));
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
