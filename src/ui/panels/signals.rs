//! The signals tab: the suspects with their sparklines on a common time axis, the evidence in the order of the findings, and
//! the details of the selected suspect or evidence item.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::{Model, Screen};
use crate::app::pointer::Target;
use crate::app::room::Room;
use crate::evidence::Body;
use crate::evidence::render::{self, Detail, aligned_sparkline, sparkline};
use crate::incident::state::Investigation;
use crate::incident::{CitedSuspect, EvidenceKind, EvidenceRecord, FindingKind, Incident};
use crate::telemetry::series::human_measure;
use crate::telemetry::{Series, Timestamp};
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{Chart, Mark, chart, frame as bordered, put};
use crate::ui::{ViewCache, text};

/// Draws the signals tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let areas = if area.width >= 120 {
        Layout::horizontal([Constraint::Percentage(56), Constraint::Percentage(44)]).areas::<2>(area)
    } else {
        Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas::<2>(area)
    };
    // Zoomed, the details have everything.
    let [list, detail] = if model.is_zoomed { [Rect { height: 0, ..area }, area] } else { areas };
    let rows = u16::try_from(room.suspects().len()).unwrap_or(u16::MAX);
    let height = match room.selected_suspect() {
        _ if rows == 0 => 0,
        // If there is no room for both lists, show only the one with the selection.
        Some(_) if list.height < MIN_ROWS_FOR_BOTH => list.height,
        None if list.height < MIN_ROWS_FOR_BOTH => 0,
        _ => (rows + 3).min(list.height * 3 / 5),
    };
    let [top, bottom] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas::<2>(list);
    if height > 3 {
        suspect_list(model, room, incident, theme, cache, frame, top);
    }
    evidence_list(model, room, incident, theme, cache, frame, bottom);
    let selected = room.selected_evidence().and_then(|id| incident.evidence(id));
    if let (Some(suspect), Some(record)) = (room.selected_suspect(), selected) {
        let name = suspect.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default();
        let block = bordered(theme, format!("{name}{} [{}]", suspect.title, record.id), false);
        let inner = block.inner(detail);
        frame.render_widget(block, detail);
        suspect_detail(model, room, incident, record, theme, frame, inner);
        return;
    }
    let block = bordered(
        theme,
        selected.map_or_else(|| "Evidence".to_owned(), |r| format!("{} {} from {}", r.id, r.kind.word(), r.source)),
        false,
    );
    let inner = block.inner(detail);
    frame.render_widget(block, detail);
    if let Some(record) = selected {
        evidence_detail(model, incident, record, room.bodies.get(&record.digest), theme, frame, inner);
    }
}

/// The columns of a sparkline in a wide pane.
const WIDE_SPARKLINE: usize = 20;
/// The columns of a sparkline in a narrow pane.
const NARROW_SPARKLINE: usize = 16;
/// From this height on, suspects and evidence are both shown.
const MIN_ROWS_FOR_BOTH: u16 = 14;

/// The marks on every time axis: the onset, the declaration, and the starts of alerts and changes.
fn marks(incident: &Incident) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let found = incident.investigation.as_ref();
    marks.extend(found.and_then(|f| f.onset).map(|at| Mark { at, glyph: '┆', meaning: Meaning::Muted }));
    marks.push(Mark { at: incident.head.declared_at, glyph: '⚑', meaning: Meaning::Accent });
    let alerts = incident.alerts.iter().filter_map(|a| a.starts_at);
    marks.extend(alerts.map(|at| Mark { at, glyph: '●', meaning: Meaning::Bad }));
    let changes =
        found.into_iter().flat_map(Investigation::details).filter(|f| f.kind == FindingKind::Change).filter_map(|f| f.at);
    marks.extend(changes.map(|at| Mark { at, glyph: '◇', meaning: Meaning::Warn }));
    let is_note = |e: &&crate::incident::Entry| matches!(e.fact, crate::incident::Fact::Note { .. });
    let notes = incident.timeline().into_iter().filter(is_note).filter(|e| e.actor.kind == crate::incident::ActorKind::Human);
    marks.extend(notes.map(|e| Mark { at: e.at, glyph: '✎', meaning: Meaning::Accent }));
    marks
}

/// The onset of the incident in the room: what is before it counts as normal. `None` if it is not known.
pub(super) fn onset_of(model: &Model) -> Option<Timestamp> {
    let room = model.room.as_ref().filter(|_| model.screen == Screen::Room)?;
    let investigation = room.incident.as_ref()?.investigation.as_ref()?;
    investigation.onset.filter(|_| !investigation.bad_baseline)
}

/// The marks of the incident in the room; none without one.
pub(super) fn marks_of(model: &Model) -> Vec<Mark> {
    let room = model.room.as_ref().filter(|_| model.screen == Screen::Room);
    room.and_then(|r| r.incident.as_ref()).map(marks).unwrap_or_default()
}

/// The series of a suspect in its evidence; `None` if the evidence has no such series.
pub(super) fn samples_of<'a>(room: &'a Room, record: &EvidenceRecord, suspect: &CitedSuspect) -> Option<&'a Series> {
    match room.bodies.get(&record.digest) {
        Some(Body::Series { series, .. }) => {
            series.iter().find(|s| s.labels == suspect.labels).or_else(|| series.first().filter(|_| series.len() == 1))
        }
        _ => None,
    }
}

/// The sign for the direction of a suspect.
pub(super) fn arrow_of(suspect: &CitedSuspect) -> &'static str {
    match suspect.direction.as_str() {
        "up" => "▲",
        "down" => "▼",
        _ => "─",
    }
}

/// The values of a suspect before and after: `1 → 20`.
pub(super) fn values_of(suspect: &CitedSuspect) -> String {
    let value = |v: Option<f64>, unit: &str| v.map_or_else(|| "–".to_owned(), |v| human_measure(v, unit));
    // Show the unit once, except for bytes: the two values may have different prefixes.
    let unit_before = if suspect.unit == "B" { "B" } else { "" };
    format!("{} → {}", value(suspect.before, unit_before), value(suspect.after, &suspect.unit))
}

/// The list of suspects, most likely first, with their sparklines on a common time axis.
fn suspect_list(
    model: &Model,
    room: &Room,
    incident: &Incident,
    theme: &Theme,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let suspects = room.suspects();
    let has_focus = room.selected_suspect().is_some();
    let title = format!("Suspects {} · {} to add to the timeline", suspects.len(), model.key(Action::MarkSignal));
    let block = bordered(theme, title, has_focus);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let place = room.suspect.unwrap_or(0).min(suspects.len().saturating_sub(1));
    let width = usize::from(inner.width);
    // Where there is little room, the name matters more.
    let spark = match width {
        70.. => WIDE_SPARKLINE,
        62..70 => NARROW_SPARKLINE,
        _ => NARROW_SPARKLINE / 2,
    };
    let window = incident.investigation.as_ref().map(|i| i.window);
    // The marks above the sparklines.
    let mut axis: Vec<(char, Meaning)> = vec![('─', Meaning::Border); spark];
    if let Some(window) = window {
        let length = window.length().as_secs_f64().max(1.0);
        for mark in marks(incident).iter().filter(|m| window.contains(m.at)) {
            let column = ((mark.at.secs_since(window.start) / length * spark as f64) as usize).min(spark - 1);
            // If a change and an alert fall into the same column, move the change one column to the left.
            let is_taken = axis.get(column).is_some_and(|(glyph, _)| *glyph == '●');
            let column = if mark.glyph == '◇' && is_taken { column.saturating_sub(1) } else { column };
            if let Some(cell) = axis.get_mut(column) {
                *cell = (mark.glyph, mark.meaning);
            }
        }
    }
    let lead = width.saturating_sub(spark + 6);
    let legend = text::fit("  ● alert  ◇ change  ⚑ declared  ┆ normal until here", lead);
    let mut head = vec![Span::styled(text::pad(&legend, lead), theme.style(Meaning::Muted))];
    head.extend(axis.into_iter().map(|(glyph, meaning)| Span::styled(glyph.to_string(), theme.style(meaning))));
    put(frame.buffer_mut(), inner, 0, &Line::from(head), None);
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let height = usize::from(rows.height);
    let offset = cache.offset("suspects", place, height, suspects.len());
    for (row, s) in suspects.iter().enumerate().skip(offset).take(height) {
        let record = s.evidence.first().and_then(|id| incident.evidence(*id));
        let shape = record
            .and_then(|r| {
                samples_of(room, r, s).map(|series| aligned_sparkline(&series.samples, window.unwrap_or(r.window), spark))
            })
            .unwrap_or_default();
        let change = values_of(s);
        let change = if s.title.is_empty() { "logs changed".to_owned() } else { change };
        let tag = record.map_or_else(String::new, |r| format!("[{}]", r.id));
        let names = lead.saturating_sub(6 + 18);
        let name = format!("{} {}", s.service.as_deref().unwrap_or(""), s.title);
        let line = Line::from(vec![
            Span::styled(format!("{:>3} ", row + 1), theme.style(Meaning::Muted)),
            Span::styled(
                format!("{} ", arrow_of(s)),
                theme.style(if s.changed_at.is_some() { Meaning::Bad } else { Meaning::Muted }),
            ),
            Span::raw(text::pad(name.trim(), names)),
            Span::styled(text::align_right(&text::fit(&change, 17), 17), theme.style(Meaning::Accent)),
            Span::raw(" "),
            Span::styled(text::pad(&shape, spark), theme.style(Meaning::Chart)),
            Span::styled(format!(" {tag}"), theme.style(Meaning::Evidence)),
        ]);
        put(frame.buffer_mut(), rows, row - offset, &line, (row == place && has_focus).then(|| theme.style(Meaning::Selection)));
        cache.target(rows, row - offset, Target::Row(row));
    }
}

/// The selected suspect: why it is suspected, its query, and its chart with all marks.
fn suspect_detail(
    model: &Model,
    room: &Room,
    incident: &Incident,
    record: &EvidenceRecord,
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let Some(suspect) = room.selected_suspect() else { return };
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let width = usize::from(area.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for part in suspect.why.split("; ") {
        lines.extend(text::wrap(part, width).into_iter().map(Line::from));
    }
    lines.extend(
        text::wrap(&record.query, width)
            .into_iter()
            .take(if area.height < MIN_ROWS_FOR_BOTH { 0 } else { 2 })
            .map(|l| Line::from(Span::styled(l, theme.style(Meaning::Accent)))),
    );
    for (row, line) in lines.iter().enumerate() {
        put(frame.buffer_mut(), area, row, line, None);
    }
    let used = u16::try_from(lines.len() + usize::from(area.height >= MIN_ROWS_FOR_BOTH)).unwrap_or(u16::MAX);
    let rest = Rect { y: area.y.saturating_add(used), height: area.height.saturating_sub(used), ..area };
    match (room.bodies.get(&record.digest), samples_of(room, record, suspect)) {
        (Some(Body::Series { unit, threshold, .. }), Some(series)) => {
            let series = std::slice::from_ref(series);
            let marks = marks(incident);
            let data = Chart {
                threshold: *threshold,
                marks: &marks,
                normal_until: onset_of(model),
                ..Chart::of(series, record.window, unit, model.now)
            };
            chart(frame.buffer_mut(), rest, theme, &data);
        }
        (Some(body), _) => {
            let words = render::text(body, Detail::Short);
            for (row, l) in words.lines().flat_map(|l| text::wrap(l, width)).take(usize::from(rest.height)).enumerate() {
                put(frame.buffer_mut(), rest, row, &Line::from(l), None);
            }
        }
        (None, _) => {}
    }
}

/// The list of evidence, in the order of the findings.
fn evidence_list(
    model: &Model,
    room: &Room,
    incident: &Incident,
    theme: &Theme,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let shown = room.shown_evidence();
    let window = incident.investigation.as_ref().map_or_else(String::new, |i| format!(" · window {}", i.window.label()));
    let block = bordered(theme, format!("Evidence {}{window}", shown.len()), room.selected_suspect().is_none());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if shown.is_empty() {
        let words = if room.investigating.is_some() {
            " Gathering evidence …".to_owned()
        } else if !room.filter.is_empty() {
            format!(" No evidence matches the filter. Press {} to clear it.", model.key(Action::Back))
        } else {
            format!(" No evidence yet. Press {} to gather it from all sources.", model.key(Action::Investigate))
        };
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
        return;
    }
    let place = room.evidence_position();
    let has_selection = room.selected_suspect().is_none();
    let height = usize::from(inner.height);
    let offset = cache.offset("signals", place, height, shown.len());
    let width = usize::from(inner.width);
    let spark_width = if width >= 70 { 20 } else { 12 };
    for (row, id) in shown.iter().enumerate().skip(offset).take(height) {
        let Some(record) = incident.evidence(*id) else { continue };
        let shape = match room.bodies.get(&record.digest) {
            Some(Body::Series { series, .. }) => {
                series.first().map(|s| sparkline(&s.samples, record.window, spark_width)).unwrap_or_default()
            }
            _ => String::new(),
        };
        let mark = if record.complete { " " } else { "~" };
        let line = Line::from(vec![
            Span::styled(format!(" {} ", text::pad(&record.id.to_string(), 4)), theme.style(Meaning::Evidence)),
            Span::styled(format!("{:<8}{mark} ", record.kind.word()), theme.style(Meaning::Muted)),
            Span::raw(text::pad(&record.summary, width.saturating_sub(spark_width + 18))),
            Span::raw(" "),
            Span::styled(text::pad(&shape, spark_width), theme.style(Meaning::Chart)),
        ]);
        put(
            frame.buffer_mut(),
            inner,
            row - offset,
            &line,
            (row == place && has_selection).then(|| theme.style(Meaning::Selection)),
        );
        cache.target(inner, row - offset, Target::Row(room.suspects().len() + row));
    }
}

/// The selected evidence item: its summary, query and gaps, and its chart or text.
fn evidence_detail(
    model: &Model,
    incident: &Incident,
    record: &EvidenceRecord,
    body: Option<&Body>,
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let width = usize::from(area.width);
    let mut lines: Vec<Line<'static>> = text::wrap(&record.summary, width).into_iter().map(Line::from).collect();
    lines.extend(
        text::wrap(&record.query, width).into_iter().take(3).map(|l| Line::from(Span::styled(l, theme.style(Meaning::Accent)))),
    );
    for gap in &record.gaps {
        lines.extend(
            text::wrap(&format!("Incomplete: {gap}"), width)
                .into_iter()
                .map(|l| Line::from(Span::styled(l, theme.style(Meaning::Warn)))),
        );
    }
    for (row, line) in lines.iter().enumerate() {
        put(frame.buffer_mut(), area, row, line, None);
    }
    let used = u16::try_from(lines.len() + 1).unwrap_or(u16::MAX);
    let rest = Rect { y: area.y.saturating_add(used), height: area.height.saturating_sub(used), ..area };
    match body {
        Some(Body::Series { series, threshold, unit, .. }) => {
            let marks = marks(incident);
            let many = series.len() > 1;
            let height =
                if many { rest.height.saturating_sub(u16::try_from(series.len().min(4)).unwrap_or(4)) } else { rest.height };
            let data = Chart {
                threshold: *threshold,
                marks: &marks,
                normal_until: onset_of(model),
                ..Chart::of(series, record.window, unit, model.now)
            };
            chart(frame.buffer_mut(), Rect { height, ..rest }, theme, &data);
            if many {
                for (i, s) in series.iter().take(4).enumerate() {
                    let shape = sparkline(&s.samples, record.window, 24);
                    let line = Line::from(vec![
                        Span::styled(shape, theme.style(Meaning::Chart)),
                        Span::raw(format!(" {}", text::fit(&s.title(), width.saturating_sub(26)))),
                    ]);
                    put(frame.buffer_mut(), rest, usize::from(height) + i, &line, None);
                }
            }
        }
        Some(body) => {
            let is_lines = matches!(record.kind, EvidenceKind::Logs | EvidenceKind::Changes);
            let detail = if is_lines { Detail::Full } else { Detail::Short };
            let words = render::text(body, detail);
            let all: Vec<String> = words.lines().flat_map(|l| text::wrap(l, width)).collect();
            // Show the end of logs and changes, where the newest lines are.
            let skip = if is_lines { all.len().saturating_sub(usize::from(rest.height)) } else { 0 };
            for (row, l) in all.iter().skip(skip).take(usize::from(rest.height)).enumerate() {
                put(frame.buffer_mut(), rest, row, &Line::from(l.clone()), None);
            }
        }
        None => put(
            frame.buffer_mut(),
            rest,
            0,
            &Line::from(Span::styled("The data of this evidence item is not in this store.", theme.style(Meaning::Muted))),
            None,
        ),
    }
}
