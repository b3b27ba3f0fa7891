//! Signals: the evidence in the order of the findings, each metric with its shape over one shared window, the selected one
//! large beside or below.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::room::Room;
use crate::evidence::Body;
use crate::evidence::render::{self, Detail, sparkline};
use crate::incident::{EvidenceKind, EvidenceRecord, Incident};
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{Chart, Mark, chart, frame as bordered, put};
use crate::ui::{ViewCache, text};

pub fn render(room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let areas = if area.width >= 120 {
        Layout::horizontal([Constraint::Percentage(52), Constraint::Percentage(48)]).areas::<2>(area)
    } else {
        Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas::<2>(area)
    };
    let [list, detail] = areas;
    listing(room, incident, theme, cache, frame, list);
    let selected = room.shown_evidence().get(room.evidence_position()).and_then(|id| incident.evidence(*id));
    let block = bordered(
        theme,
        selected.map_or_else(|| "Evidence".to_owned(), |r| format!("{} {} from {}", r.id, r.kind.word(), r.source)),
        false,
    );
    let inner = block.inner(detail);
    frame.render_widget(block, detail);
    if let Some(record) = selected {
        one(incident, record, room.bodies.get(&record.digest), theme, frame, inner);
    }
}

fn listing(room: &Room, incident: &Incident, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let shown = room.shown_evidence();
    let window = incident.investigation.as_ref().map_or_else(String::new, |i| format!(" · window {}", i.window.label()));
    let block = bordered(theme, format!("Evidence {}{window}", shown.len()), true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if shown.is_empty() {
        let words =
            if room.investigating.is_some() { " gathering …" } else { " no evidence yet: i gathers it from every source" };
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
        return;
    }
    let place = room.evidence_position();
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
        put(frame.buffer_mut(), inner, row - offset, &line, (row == place).then(|| theme.style(Meaning::Selection)));
    }
}

fn one(incident: &Incident, record: &EvidenceRecord, body: Option<&Body>, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let width = usize::from(area.width);
    let mut lines: Vec<Line<'static>> = text::wrap(&record.summary, width).into_iter().map(Line::from).collect();
    lines.extend(
        text::wrap(&record.query, width).into_iter().take(3).map(|l| Line::from(Span::styled(l, theme.style(Meaning::Accent)))),
    );
    for gap in &record.gaps {
        lines.extend(
            text::wrap(&format!("not complete: {gap}"), width)
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
            let mut marks: Vec<Mark> = incident
                .alerts
                .iter()
                .filter_map(|a| a.starts_at)
                .map(|at| Mark { at, glyph: '▲', meaning: Meaning::Bad })
                .collect();
            marks.push(Mark { at: incident.head.declared_at, glyph: '◆', meaning: Meaning::Accent });
            let many = series.len() > 1;
            let height =
                if many { rest.height.saturating_sub(u16::try_from(series.len().min(4)).unwrap_or(4)) } else { rest.height };
            let what = Chart { series, window: record.window, threshold: *threshold, unit, marks: &marks };
            chart(frame.buffer_mut(), Rect { height, ..rest }, theme, &what);
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
            let detail = if record.kind == EvidenceKind::Logs { Detail::Full } else { Detail::Short };
            let words = render::text(body, detail);
            let all: Vec<String> = words.lines().flat_map(|l| text::wrap(l, width)).collect();
            // The newest log lines are the last.
            let skip = if record.kind == EvidenceKind::Logs { all.len().saturating_sub(usize::from(rest.height)) } else { 0 };
            for (row, l) in all.iter().skip(skip).take(usize::from(rest.height)).enumerate() {
                put(frame.buffer_mut(), rest, row, &Line::from(l.clone()), None);
            }
        }
        None => put(
            frame.buffer_mut(),
            rest,
            0,
            &Line::from(Span::styled("the body is not in this store", theme.style(Meaning::Muted))),
            None,
        ),
    }
}
