//! The playbook tab: the steps with their state, and the selected step with its text and results.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::pointer::Target;
use crate::app::room::Room;
use crate::evidence::Body;
use crate::incident::{BlockResult, EvidenceRecord, StepRecord, StepState};
use crate::playbook::{Playbook, Step};
use crate::telemetry::time::human_duration;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{Chart, chart, frame as bordered, markdown, put, scrolled};
use crate::ui::{ViewCache, text};

/// Draws the playbook tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let Some(playbook) = room.open_playbook(&model.playbooks) else {
        let block = bordered(theme, "Playbook".to_owned(), true);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let why = if incident.alerts.is_empty() { "no alert is linked" } else { "none is for the linked alerts" };
        let words = format!("No playbook matches: {why}. Press {} to choose one.", model.key(Action::ChoosePlaybook));
        for (row, part) in text::wrap(&words, usize::from(inner.width).saturating_sub(2)).iter().enumerate() {
            put(frame.buffer_mut(), inner, row, &Line::from(Span::styled(format!(" {part}"), theme.style(Meaning::Muted))), None);
        }
        return;
    };
    let run = incident.playbooks.iter().find(|p| p.playbook == playbook.id);
    let records: Vec<StepRecord> = playbook
        .steps
        .iter()
        .enumerate()
        .map(|(n, _)| run.and_then(|run| run.steps.get(n)).cloned().unwrap_or_default())
        .collect();
    let rows = u16::try_from(playbook.steps.len()).unwrap_or(u16::MAX).saturating_add(2);
    let [list, detail] = if area.width >= 100 {
        Layout::horizontal([Constraint::Percentage(38), Constraint::Min(40)]).areas::<2>(area)
    } else {
        Layout::vertical([Constraint::Length(rows.min(area.height / 2)), Constraint::Min(3)]).areas::<2>(area)
    };
    let [list, detail] = if model.is_zoomed { [Rect { height: 0, ..area }, area] } else { [list, detail] };
    let selected = room.step.min(playbook.steps.len().saturating_sub(1));
    steps(playbook, &records, selected, theme, cache, frame, list);
    if let (Some(step), Some(record)) = (playbook.steps.get(selected), records.get(selected)) {
        step_detail(model, room, (playbook, step, record), theme, cache, frame, detail);
    }
}

/// The mark of a state, and how it is drawn.
fn mark(state: StepState) -> (&'static str, Meaning) {
    match state {
        StepState::Waiting => ("☐", Meaning::Text),
        StepState::Started => ("…", Meaning::Warn),
        StepState::Done => ("✓", Meaning::Ok),
        StepState::Skipped => ("–", Meaning::Muted),
        StepState::Failed => ("✗", Meaning::Bad),
    }
}

fn steps(
    playbook: &Playbook,
    records: &[StepRecord],
    selected: usize,
    theme: &Theme,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let over = records.iter().filter(|r| r.state.is_over()).count();
    let block = bordered(theme, format!("{} {over} of {}", playbook.title, records.len()), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let offset = cache.offset("playbook", selected, usize::from(inner.height), records.len());
    for (row, (step, record)) in playbook.steps.iter().zip(records).enumerate().skip(offset).take(usize::from(inner.height)) {
        let (sign, meaning) = mark(record.state);
        let who = record.by.as_deref().unwrap_or_default();
        let room = usize::from(inner.width).saturating_sub(8 + text::width(who));
        let line = Line::from(vec![
            Span::styled(format!(" {sign} {:>2} ", step.number), theme.style(meaning)),
            Span::styled(
                text::pad(&step.title, room),
                theme.style(if record.state.is_over() { Meaning::Muted } else { Meaning::Text }),
            ),
            Span::styled(format!(" {who}"), theme.style(Meaning::Muted)),
        ]);
        put(frame.buffer_mut(), inner, row - offset, &line, (row == selected).then(|| theme.style(Meaning::Selection)));
        cache.target(inner, row - offset, Target::Row(row));
    }
}

fn step_detail(
    model: &Model,
    room: &Room,
    (playbook, step, record): (&Playbook, &Step, &StepRecord),
    theme: &Theme,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let block = bordered(theme, format!("{} {}", step.number, step.title), false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let width = usize::from(inner.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let running = model.running.as_ref().filter(|r| r.step == Some((playbook.id.clone(), step.number)));
    if let Some(running) = running {
        let since = human_duration(model.now.since(running.since));
        let words = format!("Running for {since}. Press {} to stop it.", model.key(Action::Cancel));
        lines.push(Line::from(Span::styled(words, theme.style(Meaning::Warn))));
        let output: Vec<String> = running.output.lines().flat_map(|l| text::wrap(l, width)).collect();
        let from = output.len().saturating_sub(usize::from(inner.height).saturating_sub(1));
        lines.extend(output.into_iter().skip(from).map(Line::from));
        lines.push(Line::default());
    }
    lines.extend(results(model, room, record, theme, width));
    if step.number == 1 && !playbook.prerequisites.is_empty() {
        lines.push(Line::from(Span::styled("Before you begin", theme.style(Meaning::Title))));
        let list: Vec<String> = playbook.prerequisites.iter().map(|p| format!("- {p}")).collect();
        lines.extend(markdown(theme, &list.join("\n"), width));
        lines.push(Line::default());
    }
    lines.extend(markdown(theme, &step.body, width));
    if !room.values.is_empty() {
        lines.push(Line::default());
        let values: Vec<String> = room.values.iter().map(|(name, value)| format!("${name} = {value:?}")).collect();
        let style = theme.style(Meaning::Accent);
        lines.extend(text::wrap(&values.join("  "), width).into_iter().map(|l| Line::from(Span::styled(l, style))));
    }
    let drawn = if running.is_some() { None } else { charted(room, record) };
    let below = if drawn.is_some() && inner.height >= MIN_HEIGHT_FOR_CHART { CHART_ROWS } else { 0 };
    let [words, plot] = Layout::vertical([Constraint::Min(0), Constraint::Length(below)]).areas::<2>(inner);
    cache.scroll_limit = scrolled(frame.buffer_mut(), words, &lines, room.scroll);
    if let Some((evidence, Body::Series { series, threshold, unit, .. })) = drawn.filter(|_| below > 0) {
        let title = text::fit(&format!("[{}] {}", evidence.id, evidence.query), usize::from(plot.width));
        put(frame.buffer_mut(), plot, 0, &Line::from(Span::styled(title, theme.style(Meaning::Evidence))), None);
        let data = Chart { threshold: *threshold, ..Chart::of(series, evidence.window, unit, model.now) };
        chart(frame.buffer_mut(), Rect { y: plot.y + 1, height: plot.height - 1, ..plot }, theme, &data);
    }
}

/// The rows of the chart below a step, and the smallest height of the step at which it is drawn.
const CHART_ROWS: u16 = 10;
const MIN_HEIGHT_FOR_CHART: u16 = 16;
/// The last lines of an output, and of log lines, that are shown below a result.
const SHOWN_LINES: usize = 6;

/// The series to draw below a step: of the first query whose check did not hold, or else of the last one.
fn charted<'a>(room: &'a Room, record: &StepRecord) -> Option<(&'a EvidenceRecord, &'a Body)> {
    let incident = room.incident.as_ref()?;
    let series = |result: &BlockResult| {
        let evidence = incident.evidence(result.evidence?)?;
        let body = room.bodies.get(&evidence.digest)?;
        matches!(body, Body::Series { series, .. } if !series.is_empty()).then_some((evidence, body))
    };
    let failed = record.blocks.iter().filter(|r| r.verified == Some(false)).find_map(series);
    failed.or_else(|| record.blocks.iter().rev().find_map(series))
}

/// Who did the step, when, and the results of its blocks with the end of their output.
fn results(model: &Model, room: &Room, record: &StepRecord, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let (Some(by), Some(at)) = (&record.by, record.at) else { return Vec::new() };
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut add = |words: &str, meaning: Meaning| {
        let style = theme.style(meaning);
        lines.extend(text::wrap(words, width).into_iter().map(|l| Line::from(Span::styled(l, style))));
    };
    let why = record.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
    add(&format!("{} by {by} at {} UTC{why}", record.state.word(), text::moment(model.now, at)), mark(record.state).1);
    for result in &record.blocks {
        let evidence = result.evidence.map(|id| format!(" [{id}]")).unwrap_or_default();
        let meaning = if result.verified == Some(false) { Meaning::Bad } else { Meaning::Text };
        add(&format!("{}: {}{evidence}", result.kind, result.summary), meaning);
        let incident = room.incident.as_ref();
        let body = result.evidence.and_then(|id| room.bodies.get(&incident?.evidence(id)?.digest));
        let output: Vec<&str> = match body {
            Some(Body::Text { text }) => text.lines().collect(),
            Some(Body::Lines { lines }) => lines.iter().filter_map(|l| l.message.lines().next()).collect(),
            _ => Vec::new(),
        };
        for line in output.iter().skip(output.len().saturating_sub(SHOWN_LINES)) {
            add(&format!("  {line}"), Meaning::Muted);
        }
    }
    lines.push(Line::default());
    lines
}
