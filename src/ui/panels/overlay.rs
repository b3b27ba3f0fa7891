//! What lies over a screen: help, palette, dialogs, one evidence item, a text.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use crate::app::action::{ACTIONS, Context};
use crate::app::edit::LineEdit;
use crate::app::model::Model;
use crate::app::overlay::{DeclareForm, Overlay, palette};
use crate::evidence::Body;
use crate::evidence::pack::item_text;
use crate::evidence::render::Detail;
use crate::incident::gate::{Check, gates};
use crate::incident::{EvidenceId, GateItem, Severity};
use crate::telemetry::Timestamp;
use crate::telemetry::series::human_value;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{Chart, Mark, chart, cited, frame as bordered, markdown, put, scrolled};
use crate::ui::{ViewCache, centered, text};

pub fn render(model: &Model, theme: &Theme, cache: &mut ViewCache, overlay: &Overlay, frame: &mut Frame<'_>, area: Rect) {
    match overlay {
        Overlay::Help { scroll } => {
            let (lines, place) = (help(model, theme), centered(area, 84, area.height.saturating_sub(2)));
            let goes_on = if lines.len() + 2 > usize::from(place.height) { " · ↓ goes on" } else { "" };
            let inner = window(theme, frame, place, format!("Keys of this view · esc closes{goes_on}"));
            scrolled(frame.buffer_mut(), inner, &lines, *scroll);
        }
        Overlay::Palette { edit, selected } => commands(model, theme, cache, edit, *selected, frame, area),
        Overlay::Line { title, edit, hint, .. } => {
            let width = area.width.saturating_sub(4).min(110);
            // A narrow terminal takes two rows for the hint, never half of it.
            let hint = text::wrap(hint, usize::from(width.saturating_sub(4)).max(1));
            let height = u16::try_from(hint.len() + 3).unwrap_or(4);
            let inner = window(theme, frame, bottom(area, width, height), title.clone());
            input(theme, frame, inner, 0, edit, true);
            for (row, words) in hint.into_iter().enumerate() {
                put(frame.buffer_mut(), inner, row + 1, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
            }
        }
        Overlay::Choose { title, rows, selected, .. } => {
            let height = u16::try_from(rows.len() + 3).unwrap_or(area.height);
            let inner = window(theme, frame, centered(area, 92, height), title.clone());
            let width = usize::from(inner.width);
            // What does not fit scrolls with the selection.
            let room = usize::from(inner.height).saturating_sub(1).max(1);
            let first = (selected + 1).saturating_sub(room);
            let digits = if rows.len() > 9 { 2 } else { 1 };
            for (row, (name, meaning)) in rows.iter().enumerate().skip(first).take(room) {
                let line = Line::from(vec![
                    Span::styled(format!("{:>digits$} {} ", row + 1, text::pad(name, 22)), theme.style(Meaning::Title)),
                    Span::raw(text::fit(meaning, width.saturating_sub(25 + digits))),
                ]);
                put(frame.buffer_mut(), inner, row - first, &line, (row == *selected).then(|| theme.style(Meaning::Selection)));
            }
            put(
                frame.buffer_mut(),
                inner,
                rows.len().min(room),
                &Line::from(Span::styled("⏎ choose   ↑↓ or 1-9   esc cancel", theme.style(Meaning::Muted))),
                None,
            );
        }
        Overlay::Declare(form) => declare(model, theme, form, frame, area),
        Overlay::Confirm { title, lines, yes, .. } => {
            let height = u16::try_from(lines.len() + 4).unwrap_or(area.height);
            let inner = window(theme, frame, centered(area, 76, height), title.clone());
            let mut row = 0;
            for words in lines {
                for l in text::wrap(words, usize::from(inner.width)) {
                    put(frame.buffer_mut(), inner, row, &Line::from(l), None);
                    row += 1;
                }
            }
            let choice = |label: &'static str, on: bool| {
                Span::styled(format!(" {label} "), theme.style(if on { Meaning::Selection } else { Meaning::Muted }))
            };
            put(
                frame.buffer_mut(),
                inner,
                row + 1,
                &Line::from(vec![
                    choice("No", !yes),
                    Span::raw("  "),
                    choice("Yes", *yes),
                    Span::styled("   y, n, ←→ ⏎", theme.style(Meaning::Muted)),
                ]),
                None,
            );
        }
        Overlay::Evidence { id, scroll, at } => evidence(model, theme, *id, *scroll, *at, frame, area),
        Overlay::Gates { selected } => checklist(model, theme, cache, *selected, frame, area),
        Overlay::Text { title, text: words, scroll } => {
            let inner = window(theme, frame, centered(area, area.width.saturating_sub(4), area.height), title.clone());
            // A brief is Markdown; what would be sent to a model is shown byte for byte.
            let lines: Vec<Line<'static>> = if words.starts_with("# ") {
                markdown(theme, words, usize::from(inner.width))
            } else {
                text::wrap(words, usize::from(inner.width)).iter().map(|l| Line::from(cited(theme, l))).collect()
            };
            scrolled(frame.buffer_mut(), inner, &lines, *scroll);
        }
    }
}

/// A cleared, bordered place; gives what is inside.
fn window(theme: &Theme, frame: &mut Frame<'_>, area: Rect, title: String) -> Rect {
    frame.render_widget(Clear, area);
    let block = bordered(theme, title, true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

fn bottom(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + area.height - height, width, height }
}

/// A field with its cursor, scrolled so that the cursor is visible.
fn input(theme: &Theme, frame: &mut Frame<'_>, area: Rect, row: u16, edit: &LineEdit, has_keys: bool) {
    let (before, after) = edit.parts();
    let width = usize::from(area.width).saturating_sub(2);
    let mut lead = before.to_owned();
    while text::width(&lead) > width.saturating_sub(1) {
        lead = lead.chars().skip(1).collect();
    }
    let cursor = text::width(&lead);
    let tail = text::fit(after, width.saturating_sub(cursor));
    let line = Line::from(vec![Span::styled("> ", theme.style(Meaning::Accent)), Span::raw(lead), Span::raw(tail)]);
    put(frame.buffer_mut(), area, usize::from(row), &line, None);
    if has_keys && row < area.height {
        let x = area.x.saturating_add(2).saturating_add(u16::try_from(cursor).unwrap_or(0));
        frame.set_cursor_position((x.min(area.right().saturating_sub(1)), area.y + row));
    }
}

fn help(model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for context in model.contexts() {
        lines.push(Line::from(Span::styled(context.title().to_owned(), theme.style(Meaning::Title))));
        for spec in ACTIONS.iter().filter(|s| s.context == context) {
            let off = if model.read_only && spec.changes { " (off: read-only)" } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!("  {} ", text::pad(&spec.all_keys(), 12)), theme.style(Meaning::Accent)),
                Span::raw(format!("{}{off}", spec.help)),
            ]));
        }
        lines.push(Line::default());
    }
    lines.extend(glyphs(model, theme));
    lines
}

/// What the signs on the screen mean.
fn glyphs(model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(Span::styled("signs", theme.style(Meaning::Title)))];
    let signs: &[&str] = if model.contexts().contains(&Context::Board) {
        &["● firing   ◔ pending   ◌ silenced or inhibited   ✓ marked", "chart: ▲ alert began, ┄ its threshold"]
    } else {
        &[
            "findings: ● fired  ! severity  ◎ suspect  ⊘ speaks against it",
            "          ▲ moved  ≋ new in the logs  ⇄ dependency  ◔ error budget",
            "          ▮ full  ◷ runs out  ◆ changed  ∞ related  ─ unchanged  ? not seen",
            "suspects: ▲ rose  ▼ fell  ─ only its log, or who waits for it, tells",
            "chart: ▲ alert began  ◇ change  ◆ declared  ┆ normal until  ┄ threshold",
            "evidence: ~ a part of it is missing",
            "timeline: ◆ a person  AI a model  · the program",
            "AI in the margin: a model's text that nobody accepted; ? not supported",
            "checklist: ✓ met  ☐ open  ✎ a person ticks it",
            "↯ waits for the shared store, or could not be written",
        ]
    };
    lines.extend(signs.iter().map(|s| Line::from(format!("  {s}"))));
    lines
}

fn commands(
    model: &Model,
    theme: &Theme,
    cache: &mut ViewCache,
    edit: &LineEdit,
    selected: usize,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let found = palette(edit.text(), &model.contexts());
    let inner = window(theme, frame, centered(area, 84, area.height.min(20)), format!("Command · {} match", found.len()));
    input(theme, frame, inner, 0, edit, true);
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let offset = cache.offset("palette", selected, usize::from(list.height), found.len());
    for (row, spec) in found.iter().enumerate().skip(offset).take(usize::from(list.height)) {
        let line = Line::from(vec![
            Span::styled(text::pad(&spec.first_key(), 6), theme.style(Meaning::Accent)),
            Span::raw(text::fit(&format!("{} · {}", spec.word, spec.help), usize::from(list.width).saturating_sub(7))),
        ]);
        put(frame.buffer_mut(), list, row - offset, &line, (row == selected).then(|| theme.style(Meaning::Selection)));
    }
}

fn declare(model: &Model, theme: &Theme, form: &DeclareForm, frame: &mut Frame<'_>, area: Rect) {
    let title = match form.alerts.len() {
        0 => "Declare an incident".to_owned(),
        1 => "Declare an incident from 1 alert".to_owned(),
        n => format!("Declare an incident from {n} alerts"),
    };
    let inner = window(theme, frame, centered(area, 94, 14), title);
    let width = usize::from(inner.width);
    let label = |words: &str, field: usize| {
        Span::styled(text::pad(words, 10), theme.style(if form.field == field { Meaning::Accent } else { Meaning::Muted }))
    };
    put(frame.buffer_mut(), inner, 0, &Line::from(label("Title", 0)), None);
    let field = Rect { x: inner.x + 10, width: inner.width.saturating_sub(10), ..inner };
    input(theme, frame, field, 0, &form.title, form.field == 0);
    put(frame.buffer_mut(), inner, 2, &Line::from(label("Severity", 1)), None);
    for (i, severity) in Severity::ALL.iter().enumerate() {
        let chosen = *severity == form.severity;
        let line = Line::from(vec![
            Span::raw(format!("          {} ", if chosen { "▸" } else { " " })),
            Span::styled(severity.to_string(), theme.style(Meaning::of(*severity))),
            Span::raw(text::fit(&format!("  {}", model.matrix.meaning(*severity)), width.saturating_sub(17))),
        ]);
        let style = (chosen && form.field == 1).then(|| theme.style(Meaning::Selection));
        put(frame.buffer_mut(), inner, 3 + i, &line, style);
    }
    let proposal = format!("          proposed {}: {}", form.proposed, form.reason);
    put(frame.buffer_mut(), inner, 8, &Line::from(Span::styled(text::fit(&proposal, width), theme.style(Meaning::Muted))), None);
    let commander = if form.is_commander { format!("me ({})", model.user) } else { "nobody yet".to_owned() };
    let line = Line::from(vec![
        label("Commander", 2),
        Span::raw(commander),
        Span::styled("   space changes", theme.style(Meaning::Muted)),
    ]);
    put(frame.buffer_mut(), inner, 10, &line, None);
    let keys = Line::from(Span::styled("⏎ declare   ↑↓ severity   tab field   esc cancel", theme.style(Meaning::Muted)));
    put(frame.buffer_mut(), inner, 11, &keys, None);
}

/// One evidence item whole; with a moment, its chart marked there or its lines from there on.
fn evidence(
    model: &Model,
    theme: &Theme,
    id: EvidenceId,
    scroll: usize,
    at: Option<Timestamp>,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let then = at.map_or_else(String::new, |t| format!(" at {}Z", t.clock(time::UtcOffset::UTC)));
    let title = format!("{id}{then} · y copies the query · esc closes");
    let inner = window(theme, frame, centered(area, area.width.saturating_sub(4), area.height), title);
    let record = model.room.as_ref().and_then(|r| r.incident.as_ref()).and_then(|i| i.evidence(id));
    let Some(record) = record else {
        put(frame.buffer_mut(), inner, 0, &Line::from("there is no such evidence"), None);
        return;
    };
    let body = model.room.as_ref().and_then(|r| r.bodies.get(&record.digest));
    let mut inner = inner;
    if let (Some(at), Some(Body::Series { series, threshold, unit, .. })) = (at, body) {
        let height = inner.height * 3 / 5;
        let marks = [Mark { at, glyph: '┃', meaning: Meaning::Accent }];
        let what = Chart { series, window: record.window, threshold: *threshold, unit, marks: &marks };
        chart(frame.buffer_mut(), Rect { height, ..inner }, theme, &what);
        for (row, s) in series.iter().take(4).enumerate() {
            let value = s.samples.iter().rev().find(|x| x.at <= at).map(|x| human_value(x.value));
            let words = format!("{} {}", value.unwrap_or_else(|| "no sample".to_owned()), s.title());
            put(frame.buffer_mut(), inner, usize::from(height) + row, &Line::from(words), None);
        }
        let used = (height + u16::try_from(series.len().min(4)).unwrap_or(4) + 1).min(inner.height);
        inner = Rect { y: inner.y + used, height: inner.height - used, ..inner };
    }
    let words = format!(
        "{}\ntaken {} · sha-256 {} · {} redactions",
        item_text(record, body, Detail::Whole),
        record.taken_at,
        record.digest,
        record.redactions
    );
    let lines: Vec<Line<'static>> = text::wrap(&words, usize::from(inner.width)).into_iter().map(Line::from).collect();
    // Until somebody scrolls, a log stands at the moment that was asked for.
    let scroll = match (scroll, at, body) {
        (usize::MAX, Some(at), Some(Body::Lines { lines: logged })) => {
            let before = logged.iter().take_while(|l| l.at.is_none_or(|t| t < at)).count();
            let share = before * lines.len() / logged.len().max(1);
            share.saturating_sub(usize::from(inner.height) / 2)
        }
        (usize::MAX, ..) => 0,
        (n, ..) => n,
    };
    scrolled(frame.buffer_mut(), inner, &lines, scroll);
}

/// What the program sees, or for an open item the key that mends it.
fn what_to_do(g: &GateItem) -> String {
    // The details name commands; here there are keys.
    if g.met || !g.detail.contains("`warroom") {
        return g.detail.clone();
    }
    let key = match g.item {
        "alerts-linked" => "L on the board links some; ⏎ ticks it: say who reported it",
        "start-time" | "timeline-complete" => "M sets moments",
        "severity" => "s, and say why",
        "impact" => "I says it",
        "commander" => "c gives the command",
        "stakeholders-told" => "U once they were told; ⏎ ticks it",
        "contained" => "t sets the status mitigated",
        "mitigation-recorded" => "F records it",
        "exit-criteria" => "C looks now",
        "causes" => "+ on a hypothesis in the timeline; ⏎ ticks it",
        "actions" => "A writes one down; ⏎ ticks it: say why none is needed",
        _ => "⏎ ticks it: say how you know",
    };
    key.to_owned()
}

/// The checklist of the phases: what is met, by what or whom; what is open, and what to do.
fn checklist(model: &Model, theme: &Theme, cache: &mut ViewCache, selected: usize, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = model.room.as_ref().and_then(|r| r.incident.as_ref()) else { return };
    let items = gates(incident, model.now, model.monitor);
    let open = items.iter().filter(|g| !g.met).count();
    let title = format!("Checklist {open} open of {} · ⏎ ticks what only people can see · esc closes", items.len());
    let inner = window(theme, frame, centered(area, 120, area.height), title);
    let mut lines: Vec<(Line<'static>, bool)> = Vec::new();
    let mut phase = None;
    let width = usize::from(inner.width);
    for (n, g) in items.iter().enumerate() {
        if phase != Some(g.phase) {
            phase = Some(g.phase);
            let left = items.iter().filter(|x| x.phase == g.phase && !x.met).count();
            let state = if left == 0 { "complete".to_owned() } else { format!("{left} open") };
            lines.push((Line::from(Span::styled(format!("{}: {state}", g.phase.word()), theme.style(Meaning::Title))), false));
        }
        let (mark, meaning) = if g.met { ("✓", Meaning::Ok) } else { ("☐", Meaning::Warn) };
        let by = if g.check == Check::Automatic { " " } else { "✎" };
        let lead = format!("{mark}{by} {} ", text::pad(g.label, 44.min(width / 2)));
        let used = text::width(&lead) + 1;
        let line = Line::from(vec![
            Span::raw(" "),
            Span::styled(lead, theme.style(meaning)),
            Span::styled(text::fit(&what_to_do(g), width.saturating_sub(used)), theme.style(Meaning::Muted)),
        ]);
        lines.push((line, n == selected));
    }
    let at = lines.iter().position(|(_, s)| *s).unwrap_or(0);
    let offset = cache.offset("checklist", at, usize::from(inner.height), lines.len());
    for (row, (line, is_selected)) in lines.iter().enumerate().skip(offset).take(usize::from(inner.height)) {
        put(frame.buffer_mut(), inner, row - offset, line, is_selected.then(|| theme.style(Meaning::Selection)));
    }
}
