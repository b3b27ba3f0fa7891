//! Overlays: help, command palette, dialogs, checklist, evidence items and texts.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use super::metric::{self, Shown};
use crate::app::action::{ACTIONS, Action, Context};
use crate::app::checklist::item_action;
use crate::app::edit::{MAX_DIALOG, TextField, input_width};
use crate::app::model::{Model, Screen};
use crate::app::overlay::{ConfirmDialog, DeclareField, DeclareForm, FieldsForm, InputDialog, ListDialog, Overlay};
use crate::app::palette::{self, Entry};
use crate::app::pointer::Target;
use crate::app::synonyms;
use crate::evidence::Body;
use crate::evidence::pack::item_text;
use crate::evidence::render::Detail;
use crate::incident::gate::{Check, gates};
use crate::incident::{EvidenceId, GateItem, Severity};
use crate::telemetry::Timestamp;
use crate::telemetry::Window;
use crate::telemetry::time::human_duration;
use crate::telemetry::words::count;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{cited, frame as bordered, markdown, put, scrolled};
use crate::ui::{ViewCache, centered, text};

/// The largest height of a text field, in rows.
const MAX_INPUT_ROWS: usize = 10;

/// Draws the open overlay on top of the screen.
pub(crate) fn render(model: &Model, theme: &Theme, cache: &mut ViewCache, overlay: &Overlay, frame: &mut Frame<'_>, area: Rect) {
    match overlay {
        Overlay::Help { filter, scroll } => {
            let in_columns = area.width >= TWO_COLUMNS;
            let place = centered(area, if in_columns { 164 } else { 84 }, area.height.saturating_sub(2));
            let width = usize::from(place.width.saturating_sub(4));
            let lines = help(model, theme, filter.text(), if in_columns { width / 2 - 1 } else { width });
            let lines = if in_columns { two_columns(lines, width) } else { lines };
            let is_cut = lines.len() + 2 > usize::from(place.height);
            let more = if is_cut { format!(" · {} for more", model.key(Action::Down)) } else { String::new() };
            let typed =
                if filter.text().is_empty() { "type to filter".to_owned() } else { format!("with “{}”", filter.text()) };
            let inner = window(theme, frame, place, format!("Keys of this view · {typed} · esc close{more}"));
            cache.scroll_limit = scrolled(frame.buffer_mut(), inner, &lines, *scroll);
        }
        Overlay::Palette { edit, selected } => commands(model, theme, cache, edit, *selected, frame, area),
        Overlay::Input(dialog) => text_input(model, theme, dialog, frame, area),
        Overlay::List(list) => choices(model, theme, cache, list, frame, area),
        Overlay::Declare(form) => declare(model, theme, form, frame, area),
        Overlay::Fields(form) => fields(model, theme, form, frame, area),
        Overlay::Confirm(dialog) => cache.scroll_limit = question(model, theme, dialog, frame, area),
        Overlay::Evidence { id, scroll, at, view } => {
            cache.scroll_limit = evidence(model, theme, cache, *id, (*scroll, *at, *view), frame, area);
        }
        Overlay::Metric(view) => metric::render(model, theme, cache, view, frame, area),
        Overlay::Checklist { selected } => checklist(model, theme, cache, *selected, frame, area),
        Overlay::Output { name, text: words, scroll, .. } => {
            let running = model.running.as_ref().filter(|r| r.step.is_none());
            let state = match running {
                Some(running) => format!("running for {}", human_duration(model.now.since(running.since))),
                None => "output".to_owned(),
            };
            let actions: &[Action] =
                if running.is_some() { &[Action::Cancel] } else { &[Action::KeepOutput, Action::CopyText, Action::CloseReader] };
            let title = format!("{name}: {state} · {}", keys(model, actions));
            let inner = window(theme, frame, centered(area, area.width.saturating_sub(4), area.height), title);
            let shown = running.map_or(words, |r| &r.output);
            let lines: Vec<Line<'static>> = text::wrap(shown, usize::from(inner.width)).into_iter().map(Line::from).collect();
            // The newest lines while it runs.
            let scroll = if running.is_some() { usize::MAX } else { *scroll };
            cache.scroll_limit = searched(model, theme, cache, frame, inner, &lines, scroll);
        }
        Overlay::Text { title, text: words, scroll } => {
            let path = breadcrumbs(model, area.width);
            let title = format!("{path}{title} · {}", keys(model, &[Action::CopyText, Action::CloseReader]));
            let inner = window(theme, frame, centered(area, area.width.saturating_sub(4), area.height), title);
            // A briefing is Markdown. The preview of a prompt is not, and is shown byte for byte.
            let lines: Vec<Line<'static>> = if words.starts_with("# ") {
                markdown(theme, words, usize::from(inner.width))
            } else {
                text::wrap(words, usize::from(inner.width)).iter().map(|l| Line::from(cited(theme, l))).collect()
            };
            cache.scroll_limit = searched(model, theme, cache, frame, inner, &lines, *scroll);
        }
    }
}

/// The keys of some actions with their labels: `⏎ ok  esc close`.
pub(super) fn keys(model: &Model, actions: &[Action]) -> String {
    let shown: Vec<String> = actions.iter().map(|a| format!("{} {}", model.key(*a), a.spec().word)).collect();
    shown.join("  ")
}

/// The last line of a dialog: the keys of its actions, and the key that closes it.
fn dialog_keys(model: &Model, theme: &Theme, actions: &[Action]) -> Line<'static> {
    let close = format!("{} close", model.key(Action::Back));
    Line::from(Span::styled(format!("{}  {close}", keys(model, actions)), theme.style(Meaning::Muted)))
}

/// A dialog with a text to type.
fn text_input(model: &Model, theme: &Theme, dialog: &InputDialog, frame: &mut Frame<'_>, area: Rect) {
    let width = area.width.saturating_sub(4).min(MAX_DIALOG);
    // In a narrow terminal the hint takes several rows.
    let hint = text::wrap(&dialog.hint, usize::from(width.saturating_sub(4)).max(1));
    let most = usize::from(area.height).saturating_sub(hint.len() + 4).clamp(1, MAX_INPUT_ROWS);
    let field = dialog.edit.is_multiline().then(|| dialog.edit.rows(input_width(area.width)));
    let rows = field.as_ref().map_or(1, |rows| rows.len().min(most));
    let height = u16::try_from(hint.len() + 3 + rows).unwrap_or(area.height);
    let inner = window(theme, frame, bottom(area, width, height), dialog.title.clone());
    match field {
        None => input(theme, frame, inner, 0, &dialog.edit, true),
        Some(lines) => {
            let cursor = dialog.edit.cursor_in(&lines);
            let first = (cursor.0 + 1).saturating_sub(rows);
            let style = if dialog.edit.is_selected() { theme.style(Meaning::Selection) } else { Style::default() };
            for (row, line) in lines.into_iter().skip(first).take(rows).enumerate() {
                let mark = if row + first == 0 { "> " } else { "  " };
                let typed = dialog.edit.text().get(line).unwrap_or("");
                let line = Line::from(vec![Span::styled(mark, theme.style(Meaning::Accent)), Span::styled(typed, style)]);
                put(frame.buffer_mut(), inner, row, &line, None);
            }
            place_cursor(frame, inner, cursor.0 - first, cursor.1 + 2);
        }
    }
    for (row, words) in hint.iter().enumerate() {
        put(frame.buffer_mut(), inner, row + rows, &Line::from(Span::styled(words.clone(), theme.style(Meaning::Muted))), None);
    }
    let actions: &[Action] =
        if dialog.edit.is_multiline() { &[Action::Submit, Action::NewLine, Action::EditText] } else { &[Action::Submit] };
    put(frame.buffer_mut(), inner, hint.len() + rows, &dialog_keys(model, theme, actions), None);
}

fn place_cursor(frame: &mut Frame<'_>, area: Rect, row: usize, column: usize) {
    let (row, column) = (u16::try_from(row).unwrap_or(u16::MAX), u16::try_from(column).unwrap_or(u16::MAX));
    if row < area.height {
        frame.set_cursor_position((area.x.saturating_add(column).min(area.right().saturating_sub(1)), area.y + row));
    }
}

/// A list to choose from.
fn choices(model: &Model, theme: &Theme, cache: &mut ViewCache, list: &ListDialog, frame: &mut Frame<'_>, area: Rect) {
    let rows = list.shown();
    let height = u16::try_from(list.rows.len() + 4).unwrap_or(area.height);
    let inner = window(theme, frame, centered(area, 92, height), list.title.clone());
    let width = usize::from(inner.width);
    // Typing starts the filter, so it is shown only once it has text.
    let is_filtered = !list.filter.text().is_empty();
    if is_filtered {
        input(theme, frame, inner, 0, &list.filter, true);
    }
    let top = usize::from(is_filtered);
    // Scroll the list so that the selected row is visible.
    let room = usize::from(inner.height).saturating_sub(1 + top).max(1);
    let first = (list.selected + 1).saturating_sub(room);
    let digits = if list.rows.len() > 9 { 2 } else { 1 };
    for (row, choice) in rows.iter().enumerate().skip(first).take(room) {
        let number = if is_filtered { String::new() } else { (row + 1).to_string() };
        let line = Line::from(vec![
            Span::styled(format!("{number:>digits$} {} ", text::pad(&choice.label, 22)), theme.style(Meaning::Title)),
            Span::raw(text::fit(&choice.detail, width.saturating_sub(25 + digits))),
        ]);
        let style = (row == list.selected).then(|| theme.style(Meaning::Selection));
        put(frame.buffer_mut(), inner, top + row - first, &line, style);
        cache.target(inner, top + row - first, Target::Row(row));
    }
    if rows.is_empty() {
        put(frame.buffer_mut(), inner, top, &Line::from(Span::styled("No row matches.", theme.style(Meaning::Muted))), None);
    }
    let mut hint = dialog_keys(model, theme, &[Action::Choose, Action::NextChoice, Action::PreviousChoice]);
    // Digits belong to the filter once something is typed.
    let more = if list.filter.text().is_empty() { "  type to filter  1-9 choose" } else { "" };
    hint.spans.push(Span::styled(more, theme.style(Meaning::Muted)));
    put(frame.buffer_mut(), inner, usize::from(inner.height).saturating_sub(1), &hint, None);
}

/// A question with Yes and No. Returns the largest useful scroll offset of its text.
fn question(model: &Model, theme: &Theme, dialog: &ConfirmDialog, frame: &mut Frame<'_>, area: Rect) -> usize {
    // A line that is continued says so, because a command must not look like two.
    let wrapped: Vec<String> = dialog
        .lines
        .iter()
        .flat_map(|l| {
            let is_command = l.starts_with("  ");
            let part = move |(n, part): (usize, String)| {
                if n > 0 && is_command { format!("    ↳ {}", part.trim_start()) } else { part }
            };
            let widest = usize::from(area.width.min(78)).saturating_sub(5);
            text::wrap(l, if is_command { widest.saturating_sub(6) } else { widest }).into_iter().enumerate().map(part)
        })
        .collect();
    let height = u16::try_from(wrapped.len() + 5).unwrap_or(area.height);
    let inner = window(theme, frame, centered(area, 78, height), dialog.title.clone());
    let words = Rect { height: inner.height.saturating_sub(3), ..inner };
    let lines: Vec<Line<'_>> = wrapped.iter().map(|line| Line::from(line.as_str())).collect();
    let limit = scrolled(frame.buffer_mut(), words, &lines, dialog.scroll);
    let below = limit.saturating_sub(dialog.scroll);
    if below > 0 {
        let more = format!("{} below. Press {} to scroll down.", count(below, "more line"), model.key(Action::ReadOn));
        put(
            frame.buffer_mut(),
            inner,
            usize::from(words.height),
            &Line::from(Span::styled(more, theme.style(Meaning::Warn))),
            None,
        );
    }
    let choice = |label: &'static str, on: bool| {
        Span::styled(format!(" {label} "), theme.style(if on { Meaning::Selection } else { Meaning::Muted }))
    };
    let answers = Line::from(vec![choice("No", !dialog.yes), Span::raw("  "), choice("Yes", dialog.yes)]);
    put(frame.buffer_mut(), inner, usize::from(words.height) + 1, &answers, None);
    let keys = dialog_keys(model, theme, &[Action::Yes, Action::No, Action::SwitchAnswer, Action::ConfirmAnswer]);
    put(frame.buffer_mut(), inner, usize::from(words.height) + 2, &keys, None);
    limit
}

/// Draws a cleared area with a border. Returns the area inside.
pub(super) fn window(theme: &Theme, frame: &mut Frame<'_>, area: Rect, title: String) -> Rect {
    frame.render_widget(Clear, area);
    let block = bordered(theme, title, true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// A rectangle of at most the given size, centered at the bottom of `area`.
fn bottom(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    // Above the lower border of what is behind it, if there is room.
    let gap = u16::from(height < area.height);
    Rect { x: area.x + (area.width - width) / 2, y: area.y + area.height - height - gap, width, height }
}

/// Draws a text field with its cursor, scrolled so that the cursor is visible.
fn input(theme: &Theme, frame: &mut Frame<'_>, area: Rect, row: u16, edit: &TextField, has_focus: bool) {
    let (before, after) = edit.parts();
    let width = usize::from(area.width).saturating_sub(2);
    let lead = text::end_of(before, width.saturating_sub(1));
    let cursor = text::width(&lead);
    let tail = text::fit(after, width.saturating_sub(cursor));
    let style = if edit.is_selected() { theme.style(Meaning::Selection) } else { Style::default() };
    let line =
        Line::from(vec![Span::styled("> ", theme.style(Meaning::Accent)), Span::styled(lead, style), Span::styled(tail, style)]);
    put(frame.buffer_mut(), area, usize::from(row), &line, None);
    if has_focus {
        place_cursor(frame, area, usize::from(row), cursor + 2);
    }
}

/// From this width on, the help has two columns.
const TWO_COLUMNS: u16 = 120;

/// Lines in two columns of equal height. They are divided where a part begins, if one begins near the middle.
fn two_columns(mut lines: Vec<Line<'static>>, width: usize) -> Vec<Line<'static>> {
    let half = lines.len().div_ceil(2);
    let begins = |n: &usize| lines.get(*n).is_some_and(|line| line.width() == 0);
    let near = half..(half + half / 4).min(lines.len());
    let at = near.clone().find(begins).map_or(half, |blank| blank + 1);
    let right = lines.split_off(at.min(lines.len()));
    let mut right = right.into_iter();
    let left_width = width / 2;
    let mut rows: Vec<Line<'static>> = Vec::new();
    for mut line in lines {
        let gap = left_width.saturating_sub(line.width());
        line.spans.push(Span::raw(" ".repeat(gap)));
        line.spans.extend(right.next().unwrap_or_default().spans);
        rows.push(line);
    }
    rows
}

/// The lines of the help: the keys of the view by context, then the symbols.
fn help(model: &Model, theme: &Theme, filter: &str, width: usize) -> Vec<Line<'static>> {
    let words: Vec<String> = filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let has_all = |text: &str| words.iter().all(|w| synonyms::contains(&text.to_lowercase(), w));
    let mut lines = Vec::new();
    for context in model.help_contexts() {
        let mut rows = Vec::new();
        for spec in ACTIONS.iter().filter(|s| s.context == context) {
            let off = if model.read_only && spec.changes { " (not in read-only mode)" } else { "" };
            let keys = model.keymap.keys_of(spec.action).join(" ");
            if !has_all(&format!("{keys} {} {} {}", spec.name, spec.word, spec.help)) {
                continue;
            }
            for (n, part) in text::wrap(&format!("{}{off}", spec.help), width.saturating_sub(15)).into_iter().enumerate() {
                let keys = if n == 0 { keys.as_str() } else { "" };
                rows.push(Line::from(vec![
                    Span::styled(format!("  {} ", text::pad(keys, 12)), theme.style(Meaning::Accent)),
                    Span::raw(part),
                ]));
            }
        }
        if !rows.is_empty() {
            lines.push(Line::from(Span::styled(context.title().to_owned(), theme.style(Meaning::Title))));
            lines.extend(rows);
            lines.push(Line::default());
        }
    }
    // In a column, the legend takes more lines.
    let legend: Vec<Line<'static>> = symbols(model, theme)
        .into_iter()
        .flat_map(|line| {
            let fits = line.width() <= width;
            let parts = if fits { Vec::new() } else { text::wrap(&line.to_string(), width) };
            if fits { vec![line] } else { parts.into_iter().map(Line::from).collect() }
        })
        .collect();
    if words.is_empty() {
        lines.extend(legend);
    } else {
        lines.extend(legend.into_iter().skip(1).filter(|l| has_all(&l.to_string())));
    }
    if lines.is_empty() {
        lines.push(Line::from(Span::styled("No key of this view matches.", theme.style(Meaning::Muted))));
    }
    lines
}

/// The legend of the symbols on the screen. The lines are not wrapped, so they must fit into a terminal of 80 columns.
fn symbols(model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(Span::styled("Symbols", theme.style(Meaning::Title)))];
    let of_view: &[&str] = if model.view_contexts().contains(&Context::Board) {
        &[
            "Alerts      ● firing  ◔ pending  ◌ suppressed  ◑ acknowledged  ○ resolved",
            "            ✓ marked",
            "Chart       ● start of the alert  ┄ alert threshold",
        ]
    } else {
        &[
            "Findings    ● alerts  ! proposed severity  ◎ probable origin",
            "            ⊘ contradicting evidence  ▲ rose  ▼ fell  ∿ changed",
            "            ≋ log pattern  ◇ change  ⇄ dependency  ◔ error budget",
            "            ▮ saturation  ◷ expiring  ∞ related alerts  ─ unchanged",
            "            ▶ likely cause  ? data gap  ▸ more behind it  ▾ all shown",
            "            ✓ healthy or recovered  … not recovered, or inconclusive",
            "Hypotheses  ✓ supported  ✗ refuted  ? not decided yet",
            "Suspects    ▲ rose  ▼ fell  ─ found in logs or calls, not in a metric",
            "Charts      ● start of an alert  ◇ change  ⚑ incident declared",
            "            ┆ normal until here  ┄ alert threshold  ┊ cursor",
            "Logs        ×3 lines that differ in numbers only  ░ not read  ┃ selected",
            "Evidence    ~ incomplete",
            "Timeline    ◆ written by a person  AI by a model  · by warroom",
            "Assistant   AI draft by a model, not accepted yet  ? claim not supported",
            "Actions     ☐ open  ▸ in progress  ✓ done  ✗ dropped  ! late",
            "Mitigations ☐ proposed  ▸ started  ✓ worked  ✗ did not work  … too early",
            "Checklist   ✓ met  ☐ open  ✎ can be ticked by hand",
            "People      ☺ colleagues who have this incident open",
        ]
    };
    let of_header = ["Sources     ● answered  ○ failed  ◌ stale", "Changes     ↯ not in the shared store yet, or not saved"];
    lines.extend(of_view.iter().chain(&of_header).map(|s| Line::from(format!("  {s}"))));
    lines
}

/// The command palette.
fn commands(
    model: &Model,
    theme: &Theme,
    cache: &mut ViewCache,
    edit: &TextField,
    selected: usize,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let found = palette::items(model, edit.text());
    let inner = window(
        theme,
        frame,
        centered(area, 84, area.height.min(20)),
        format!("Commands and places · {} found · words after a command are its text", found.len()),
    );
    input(theme, frame, inner, 0, edit, true);
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let offset = cache.offset("palette", selected, usize::from(list.height), found.len());
    for (row, item) in found.iter().enumerate().skip(offset).take(usize::from(list.height)) {
        let meaning = if matches!(item.entry, Entry::Action { .. }) { Meaning::Accent } else { Meaning::Muted };
        let line = Line::from(vec![
            Span::styled(text::pad(&item.lead, 6), theme.style(meaning)),
            Span::raw(text::fit(&item.text, usize::from(list.width).saturating_sub(7))),
        ]);
        put(frame.buffer_mut(), list, row - offset, &line, (row == selected).then(|| theme.style(Meaning::Selection)));
        cache.target(list, row - offset, Target::Row(row));
    }
}

/// A form with several text fields. Below them: what to type in the field that has the focus, or why it could not be submitted.
fn fields(model: &Model, theme: &Theme, form: &FieldsForm, frame: &mut Frame<'_>, area: Rect) {
    let width = area.width.saturating_sub(4).min(MAX_DIALOG);
    let (words, meaning) = match (&form.problem, form.fields.get(form.focus)) {
        (Some(problem), _) => (problem.as_str(), Meaning::Bad),
        (None, field) => (field.map_or("", |f| f.hint), Meaning::Muted),
    };
    let hint = text::wrap(words, usize::from(width.saturating_sub(4)).max(1));
    let height = u16::try_from(form.fields.len() + hint.len() + 4).unwrap_or(area.height);
    let inner = window(theme, frame, bottom(area, width, height), form.title.clone());
    let label_width = form.fields.iter().map(|f| text::width(f.label)).max().unwrap_or(0) + 1;
    let indent = u16::try_from(label_width).unwrap_or(0);
    for (row, field) in form.fields.iter().enumerate() {
        let has_focus = row == form.focus;
        let style = theme.style(if has_focus { Meaning::Accent } else { Meaning::Muted });
        put(frame.buffer_mut(), inner, row, &Line::from(Span::styled(field.label, style)), None);
        let place = Rect { x: inner.x + indent, width: inner.width.saturating_sub(indent), ..inner };
        input(theme, frame, place, u16::try_from(row).unwrap_or(0), &field.edit, has_focus);
    }
    for (row, words) in hint.iter().enumerate() {
        let line = Line::from(Span::styled(words.clone(), theme.style(meaning)));
        put(frame.buffer_mut(), inner, form.fields.len() + 1 + row, &line, None);
    }
    let keys = dialog_keys(model, theme, &[Action::SubmitForm, Action::NextField, Action::PreviousField]);
    put(frame.buffer_mut(), inner, form.fields.len() + 1 + hint.len(), &keys, None);
}

/// The dialog that declares an incident.
fn declare(model: &Model, theme: &Theme, form: &DeclareForm, frame: &mut Frame<'_>, area: Rect) {
    let title = match form.alerts.len() {
        0 => "Declare an incident".to_owned(),
        1 => "Declare an incident from 1 alert".to_owned(),
        n => format!("Declare an incident from {n} alerts"),
    };
    let inner = window(theme, frame, centered(area, 94, 14), title);
    let width = usize::from(inner.width);
    let label = |words: &str, field: DeclareField| {
        Span::styled(text::pad(words, 10), theme.style(if form.field == field { Meaning::Accent } else { Meaning::Muted }))
    };
    put(frame.buffer_mut(), inner, 0, &Line::from(label("Title", DeclareField::Title)), None);
    let field = Rect { x: inner.x + 10, width: inner.width.saturating_sub(10), ..inner };
    input(theme, frame, field, 0, &form.title, form.field == DeclareField::Title);
    // A small terminal has no room for blank rows.
    let is_small = inner.height < 12;
    let first = if is_small { 1 } else { 3 };
    for (i, severity) in Severity::ALL.iter().enumerate() {
        let chosen = *severity == form.severity;
        let line = Line::from(vec![
            Span::raw(format!("          {} ", if chosen { "▸" } else { " " })),
            Span::styled(severity.to_string(), theme.style(Meaning::for_severity(*severity))),
            Span::raw(text::fit(&format!("  {}", model.matrix.meaning(*severity)), width.saturating_sub(17))),
        ]);
        let style = (chosen && form.field == DeclareField::Severity).then(|| theme.style(Meaning::Selection));
        put(frame.buffer_mut(), inner, first + i, &line, style);
    }
    put(frame.buffer_mut(), inner, first - usize::from(!is_small), &Line::from(label("Severity", DeclareField::Severity)), None);
    let below = first + Severity::ALL.len();
    let proposal = format!("          Proposed {}: {}", form.proposed, form.reason);
    put(
        frame.buffer_mut(),
        inner,
        below,
        &Line::from(Span::styled(text::fit(&proposal, width), theme.style(Meaning::Muted))),
        None,
    );
    let commander = if form.is_commander { format!("me ({})", model.user) } else { "not assigned".to_owned() };
    let line = Line::from(vec![
        label("Commander", DeclareField::Commander),
        Span::raw(commander),
        // In the title, the key would be typed.
        Span::styled(
            if form.field == DeclareField::Commander {
                format!("   {} to change", model.key(Action::Toggle))
            } else {
                String::new()
            },
            theme.style(Meaning::Muted),
        ),
    ]);
    put(frame.buffer_mut(), inner, below + 1 + usize::from(!is_small), &line, None);
    let others = keys(model, &[Action::PreviousSeverity, Action::NextSeverity, Action::NextField]);
    let words = format!("{} declare  {others}  {} close", model.key(Action::SubmitForm), model.key(Action::Back));
    let keys = Line::from(Span::styled(words, theme.style(Meaning::Muted)));
    put(frame.buffer_mut(), inner, below + 2 + usize::from(!is_small), &keys, None);
}

/// An evidence item in full. With a time of interest, marks it in the chart or scrolls the log to it. Returns the largest
/// useful scroll offset.
fn evidence(
    model: &Model,
    theme: &Theme,
    cache: &mut ViewCache,
    id: EvidenceId,
    (scroll, at, view): (usize, Option<Timestamp>, Option<Window>),
    frame: &mut Frame<'_>,
    area: Rect,
) -> usize {
    let at_time = at.map_or_else(String::new, |t| format!(" at {} UTC", t.date_clock()));
    let path = breadcrumbs(model, area.width);
    let title = format!("{path}{id}{at_time} · {}", keys(model, &[Action::Pin, Action::CopyText, Action::CloseReader]));
    let inner = window(theme, frame, centered(area, area.width.saturating_sub(4), area.height), title);
    evidence_body(model, theme, cache, id, (scroll, at, view), frame, inner)
}

/// Where an open text was opened from: `INC-1 › Signals › `; empty in a narrow terminal.
fn breadcrumbs(model: &Model, width: u16) -> String {
    /// From this width on, there is room for it.
    const WIDE: u16 = 100;
    match model.room.as_ref().filter(|_| model.screen == Screen::Room && width >= WIDE) {
        Some(room) => format!("{} › {} › ", room.id, room.tab.label().1),
        None => String::new(),
    }
}

/// The chart and the text of an evidence item. Returns the largest useful scroll offset.
pub(super) fn evidence_body(
    model: &Model,
    theme: &Theme,
    cache: &mut ViewCache,
    id: EvidenceId,
    (scroll, at, view): (usize, Option<Timestamp>, Option<Window>),
    frame: &mut Frame<'_>,
    inner: Rect,
) -> usize {
    let record = model.room.as_ref().and_then(|r| r.incident.as_ref()).and_then(|i| i.evidence(id));
    let Some(record) = record else {
        put(frame.buffer_mut(), inner, 0, &Line::from("This evidence item does not exist."), None);
        return 0;
    };
    let body = model.room.as_ref().and_then(|r| r.bodies.get(&record.digest));
    let mut inner = inner;
    if let Some(Body::Series { series, threshold, unit, step_secs, .. }) = body {
        let height = inner.height * 3 / 5;
        let shown = Shown {
            query: &record.query,
            window: record.window,
            series,
            threshold: *threshold,
            unit,
            step_secs: *step_secs,
            at,
            view,
            is_open: matches!(&model.overlay, Some(Overlay::Evidence { id: open, .. }) if *open == id),
        };
        let place = Rect { height: (height + 6).min(inner.height), ..inner };
        let used = metric::draw(model, theme, cache, &shown, frame, place) + 1;
        let used = used.min(inner.height);
        inner = Rect { y: inner.y + used, height: inner.height - used, ..inner };
    }
    let words = format!(
        "{}\nCollected at {} UTC · SHA-256 {} · {}",
        item_text(record, None, body, Detail::Whole),
        record.taken_at.date_clock(),
        record.digest,
        count(record.redactions, "redaction")
    );
    let lines: Vec<Line<'static>> = text::wrap(&words, usize::from(inner.width)).into_iter().map(Line::from).collect();
    // `usize::MAX` means that the user has not scrolled yet: show a log at the time of interest.
    let scroll = match (scroll, at, body) {
        (usize::MAX, Some(at), Some(Body::Lines { lines: logged })) => {
            let before = logged.iter().take_while(|l| l.at.is_none_or(|t| t < at)).count();
            let share = before * lines.len() / logged.len().max(1);
            share.saturating_sub(usize::from(inner.height) / 2)
        }
        (usize::MAX, ..) => 0,
        (n, ..) => n,
    };
    searched(model, theme, cache, frame, inner, &lines, scroll)
}

/// Draws a text from a line on, with the matches of the search in it. Returns the largest useful scroll offset.
fn searched(
    model: &Model,
    theme: &Theme,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
    lines: &[Line<'_>],
    scroll: usize,
) -> usize {
    let limit = scrolled(frame.buffer_mut(), area, lines, scroll);
    let wanted = model.find.text.as_str();
    if wanted.is_empty() {
        return limit;
    }
    let has_match = |line: &Line<'_>| line.to_string().to_lowercase().contains(wanted);
    cache.matches = lines.iter().enumerate().filter(|(_, line)| has_match(line)).map(|(n, _)| n).collect();
    let style = theme.style(Meaning::Hit);
    for y in area.y..area.bottom() {
        // The column of each character of the row, because lower case can have another length.
        let mut row = String::new();
        let mut columns: Vec<u16> = Vec::new();
        for x in area.x..area.right() {
            let symbol = frame.buffer_mut().cell((x, y)).map_or(" ", |c| c.symbol()).to_lowercase();
            columns.extend(std::iter::repeat_n(x, symbol.len()));
            row.push_str(&symbol);
        }
        for (start, part) in row.match_indices(wanted) {
            for x in columns.get(start..start + part.len()).unwrap_or_default() {
                if let Some(cell) = frame.buffer_mut().cell_mut((*x, y)) {
                    cell.set_style(style);
                }
            }
        }
    }
    limit
}

/// The detail of a checklist item: the evidence if it is met, or what to do if it is open.
fn item_detail(model: &Model, g: &GateItem) -> String {
    let tick = model.key(Action::Choose);
    if g.met {
        return g.detail.clone();
    }
    // The details of open items name commands of the CLI. Name keys instead.
    let detail = if g.detail.contains("`warroom") { String::new() } else { format!("{}. ", g.detail.trim_end_matches('.')) };
    let can_tick = g.check != Check::Automatic;
    let action_text = |action: Action| match action {
        Action::Tab2 => "open the timeline".to_owned(),
        Action::Tab6 => "open the step".to_owned(),
        Action::Tab7 => "open the mitigations".to_owned(),
        _ => {
            let mut help = action.spec().help.chars();
            help.next().map(|first| first.to_lowercase().chain(help).collect()).unwrap_or_default()
        }
    };
    match (item_action(g.item), can_tick) {
        (Some(action), false) => format!("{detail}Press {tick} to {}", action_text(action)),
        (Some(action), true) => format!("{detail}Press {} to {}, or {tick} to tick", model.key(action), action_text(action)),
        (None, true) if g.item == "alerts-linked" => {
            format!("Press {} on the board to link alerts, or {tick} to say who reported it", model.key(Action::Link))
        }
        (None, true) => format!("{detail}Press {tick} to tick and say how you know"),
        (None, false) => g.detail.clone(),
    }
}

/// The checklist of all phases: which items are met and why, and which are open and what to do.
fn checklist(model: &Model, theme: &Theme, cache: &mut ViewCache, selected: usize, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = model.room.as_ref().and_then(|r| r.incident.as_ref()) else { return };
    let items = gates(incident, model.now, model.monitor);
    let open = items.iter().filter(|g| !g.met).count();
    let (tick, close) = (model.key(Action::Choose), model.key(Action::Back));
    let title = format!("Checklist {open} of {} open · {tick} fill in, or tick ✎ items  {close} close", items.len());
    let inner = window(theme, frame, centered(area, 120, area.height), title);
    let mut lines: Vec<(Line<'static>, Option<usize>)> = Vec::new();
    let mut phase = None;
    let width = usize::from(inner.width);
    for (n, g) in items.iter().enumerate() {
        if phase != Some(g.phase) {
            phase = Some(g.phase);
            let left = items.iter().filter(|x| x.phase == g.phase && !x.met).count();
            let state = if left == 0 { "complete".to_owned() } else { format!("{left} open") };
            lines.push((Line::from(Span::styled(format!("{}: {state}", g.phase.title()), theme.style(Meaning::Title))), None));
        }
        let (mark, meaning) = if g.met { ("✓", Meaning::Ok) } else { ("☐", Meaning::Warn) };
        let manual = if g.check == Check::Automatic { " " } else { "✎" };
        let lead = format!("{mark}{manual} {} ", text::pad(g.label, 44.min(width / 2)));
        let used = text::width(&lead) + 1;
        let line = Line::from(vec![
            Span::raw(" "),
            Span::styled(lead, theme.style(meaning)),
            Span::styled(text::fit(&item_detail(model, g), width.saturating_sub(used)), theme.style(Meaning::Muted)),
        ]);
        lines.push((line, Some(n)));
    }
    let at = lines.iter().position(|(_, item)| *item == Some(selected)).unwrap_or(0);
    let offset = cache.offset("checklist", at, usize::from(inner.height), lines.len());
    for (row, (line, item)) in lines.iter().enumerate().skip(offset).take(usize::from(inner.height)) {
        let style = (*item == Some(selected)).then(|| theme.style(Meaning::Selection));
        put(frame.buffer_mut(), inner, row - offset, line, style);
        if let Some(item) = item {
            cache.target(inner, row - offset, Target::Row(*item));
        }
    }
}
