//! The board: open incidents above, alerts in groups, the selected alert beside them.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::expression;
use crate::app::board::{Filter, Pane, Row};
use crate::app::model::Model;
use crate::app::update::{Sight, sight};
use crate::telemetry::series::human_value;
use crate::telemetry::time::human_duration;
use crate::telemetry::{Alert, AlertState, Window};
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{Chart, Mark, chart, frame as bordered, put};
use crate::ui::{ViewCache, text};

pub fn render(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let listed = model.board.listed_incidents().len();
    let height = u16::try_from(listed.clamp(1, 6)).unwrap_or(6) + 2;
    let [top, rest] = Layout::vertical([Constraint::Length(height.min(area.height / 2)), Constraint::Min(4)]).areas::<2>(area);
    incidents(model, theme, cache, frame, top);
    if area.width >= 100 {
        let [list, detail] = Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas::<2>(rest);
        alerts(model, theme, cache, frame, list);
        one(model, theme, frame, detail);
    } else {
        alerts(model, theme, cache, frame, rest);
    }
}

fn incidents(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let has_keys = model.board.pane == Pane::Incidents;
    let open = model.board.open_incidents().len();
    let listed = model.board.listed_incidents();
    let title = if open == 0 && !listed.is_empty() {
        "Incidents none open · the last ones".to_owned()
    } else {
        format!("Incidents {open} open")
    };
    let block = bordered(theme, title, has_keys);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if listed.is_empty() {
        let words = if model.board.incidents_known {
            "no incidents yet: select an alert and press d to declare one"
        } else {
            "reading the store …"
        };
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(format!(" {words}"), theme.style(Meaning::Muted))), None);
        return;
    }
    let place = model.board.selected_incident.and_then(|id| listed.iter().position(|h| h.id == id)).unwrap_or(0);
    let offset = cache.offset("incidents", place, usize::from(inner.height), listed.len());
    let width = usize::from(inner.width);
    for (row, head) in listed.iter().enumerate().skip(offset).take(usize::from(inner.height)) {
        let tail = format!(
            "{}  {}  {:<12} {}",
            text::pad(head.status.word(), 13),
            text::right(&human_duration(model.now.since(head.declared_at)), 7),
            head.commander.as_ref().map_or_else(|| "no IC".to_owned(), |c| format!("IC {}", text::fit(c, 9))),
            match head.alerts.len() {
                1 => "1 alert ".to_owned(),
                n => format!("{n} alerts"),
            }
        );
        // The clock of the next update, where there is room for it; overdue it is never left out.
        let clock = match head.update_due() {
            Some(due) if due <= model.now => format!("  update OVERDUE {}", human_duration(model.now.since(due))),
            Some(due) if width >= 110 => format!("  update in {}", human_duration(due.since(model.now))),
            _ => String::new(),
        };
        let waits = if head.unsynced > 0 { format!("  ↯{}", head.unsynced) } else { String::new() };
        let tail = if width >= 96 {
            format!("{tail}{clock}{waits}")
        } else {
            format!("{clock}{waits}  {}", human_duration(model.now.since(head.declared_at)))
        };
        let title = text::pad(&head.title, width.saturating_sub(text::width(&tail) + 16));
        let line = Line::from(vec![
            Span::styled(format!(" {} ", head.severity), theme.style(Meaning::of(head.severity))),
            Span::raw(format!("{} {title} {tail}", text::pad(&head.id.to_string(), 7))),
        ]);
        let selected = (has_keys && row == place).then(|| theme.style(Meaning::Selection));
        put(frame.buffer_mut(), inner, row - offset, &line, selected);
    }
}

fn alerts_title(model: &Model) -> String {
    let (firing, pending, hidden) = model.board.counts();
    let mut title = format!("Alerts {firing} firing");
    if pending > 0 {
        title.push_str(&format!(" · {pending} pending"));
    }
    if hidden > 0 {
        title.push_str(&format!(" · {hidden} suppressed"));
    }
    if let Some(storm) = &model.board.storm {
        title.push_str(&format!(" · storm: {} share {}={}", storm.shared, storm.label, text::fit(&storm.value, 24)));
    }
    title.push_str(&format!(" · by {}", model.board.group_by.word()));
    if !model.board.marked.is_empty() {
        title.push_str(&format!(" · {} marked", model.board.marked.len()));
    }
    if model.board.only_new {
        title.push_str(" · without an incident");
    }
    if !model.board.filter.is_empty() {
        title.push_str(&format!(" · /{}", model.board.filter));
    }
    title
}

/// Why the list is empty, and what to press.
fn empty_words(model: &Model) -> Vec<String> {
    if !model.has_sources {
        return vec![
            "no sources are configured".to_owned(),
            format!("write {} (docs/config.sample.toml shows every key)", model.config_path),
            "or see a recorded incident: q, then `warroom demo`".to_owned(),
        ];
    }
    if model.alert_sources.is_empty() {
        return vec!["no source of alerts is configured: add one of type prometheus or alertmanager".to_owned()];
    }
    if sight(model) == Sight::Waiting {
        return vec!["asking the sources …".to_owned()];
    }
    if !model.board.filter.is_empty() || model.board.only_new {
        let odd = Filter::broken(&model.board.filter).map_or_else(String::new, |why| format!("; {why}"));
        return vec![format!("no alert passes the filter; esc clears it, w shows all{odd}")];
    }
    if sight(model) == Sight::Blind {
        let told = "it is not known what fires: no source that could tell has answered".to_owned();
        let failed = model.board.sources.iter().filter(|s| s.report.error.is_some());
        let reasons = failed.map(|s| format!("{}: {}", s.report.name, s.report.error.as_deref().unwrap_or("failed")));
        return std::iter::once(told).chain(reasons).collect();
    }
    vec!["nothing is firing".to_owned()]
}

fn alerts(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let has_keys = model.board.pane == Pane::Alerts;
    let block = bordered(theme, alerts_title(model), has_keys);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let rows = model.board.rows();
    let width = usize::from(inner.width);
    if rows.is_empty() {
        let words = empty_words(model);
        let lines = words.iter().flat_map(|w| text::wrap(w, width.saturating_sub(2)));
        for (row, words) in lines.enumerate() {
            put(
                frame.buffer_mut(),
                inner,
                row,
                &Line::from(Span::styled(format!(" {words}"), theme.style(Meaning::Muted))),
                None,
            );
        }
        return;
    }
    let place = model.board.position().unwrap_or(0);
    let height = usize::from(inner.height);
    let offset = cache.offset("alerts", place, height, rows.len());
    // Only the visible slice is laid out: five thousand alerts cost what forty do.
    for (row, entry) in rows.iter().enumerate().skip(offset).take(height) {
        let line = match entry {
            Row::Group { title, count, firing } => Line::from(vec![
                Span::styled(format!("▾ {}", text::pad(title, width.saturating_sub(20))), theme.style(Meaning::Title)),
                Span::styled(format!("{firing} of {count}"), theme.style(Meaning::Muted)),
            ]),
            Row::Alert { index } => {
                model.board.alerts.get(*index).map_or_else(Line::default, |a| alert_line(model, theme, a, width))
            }
        };
        let selected = (has_keys && row == place).then(|| theme.style(Meaning::Selection));
        put(frame.buffer_mut(), inner, row - offset, &line, selected);
    }
}

fn glyph(alert: &Alert) -> &'static str {
    match alert.state {
        AlertState::Firing => "●",
        AlertState::Pending => "◔",
        AlertState::Suppressed => "◌",
        AlertState::Acknowledged => "◑",
        AlertState::Resolved => "○",
    }
}

fn alert_line(model: &Model, theme: &Theme, alert: &Alert, width: usize) -> Line<'static> {
    let marked = if model.board.marked.contains(&alert.fingerprint) { "✓" } else { " " };
    let age = alert.starts_at.map_or_else(|| "?".to_owned(), |t| human_duration(model.now.since(t)));
    let owner = match (alert.state, model.board.owner(&alert.fingerprint)) {
        (AlertState::Suppressed, _) => "hidden".to_owned(),
        (_, Some(id)) => id.to_string(),
        (AlertState::Pending, None) => "pending".to_owned(),
        _ => String::new(),
    };
    let value = alert.value.filter(|v| v.is_finite()).map_or_else(String::new, human_value);
    let name_width = (width.saturating_sub(34)).clamp(12, 30);
    let summary_width = width.saturating_sub(name_width + 34);
    let style = if alert.state == AlertState::Firing { Style::default() } else { theme.style(Meaning::Muted) };
    Line::from(vec![
        Span::raw(format!("{marked} ")),
        Span::styled(format!("{} {:<4} ", glyph(alert), alert.severity.short()), theme.style(Meaning::of_alert(alert.severity))),
        Span::styled(text::pad(&alert.name, name_width), style),
        Span::styled(format!(" {} ", text::right(&value, 6)), style),
        Span::styled(text::pad(alert.summary(), summary_width), theme.style(Meaning::Muted)),
        Span::styled(format!(" {} ", text::right(&age, 7)), style),
        Span::styled(text::pad(&owner, 8), theme.style(Meaning::Accent)),
    ])
}

/// The selected alert: what it says, its chart, its labels, what hides it.
fn one(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(alert) = model.board.current() else {
        let block = bordered(theme, "Alert".to_owned(), false);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        put(
            frame.buffer_mut(),
            inner,
            0,
            &Line::from(Span::styled(" select an alert with j and k", theme.style(Meaning::Muted))),
            None,
        );
        return;
    };
    let title = alert.service().map_or_else(|| alert.name.clone(), |s| format!("{} · {s}", alert.name));
    let block = bordered(theme, title, false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width).saturating_sub(2);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {} ", alert.severity.short()), theme.style(Meaning::of_alert(alert.severity))),
        Span::raw(format!(
            "{} {}",
            alert.state.word(),
            alert.starts_at.map_or_else(String::new, |t| human_duration(model.now.since(t)))
        )),
        Span::styled(format!("  from {}", alert.source), theme.style(Meaning::Muted)),
    ])];
    lines.extend(text::wrap(alert.summary(), width).into_iter().map(|l| Line::from(format!(" {l}"))));
    for silence in &alert.silenced_by {
        let until = silence.ends_at.map_or_else(String::new, |t| format!(", {} left", human_duration(t.since(model.now))));
        let words = format!("silenced by {}{until}: {}", silence.created_by, silence.comment);
        lines.extend(
            text::wrap(&words, width).into_iter().map(|l| Line::from(Span::styled(format!(" {l}"), theme.style(Meaning::Warn)))),
        );
    }
    if !alert.inhibited_by.is_empty() {
        lines.push(Line::from(Span::styled(
            format!(" inhibited by {} other alerts", alert.inhibited_by.len()),
            theme.style(Meaning::Warn),
        )));
    }
    let mut tail: Vec<Line<'static>> = Vec::new();
    let labels: Vec<String> = alert.labels.iter().filter(|(k, _)| *k != "alertname").map(|(k, v)| format!("{k}={v}")).collect();
    tail.extend(
        text::wrap(&labels.join("  "), width)
            .into_iter()
            .map(|l| Line::from(Span::styled(format!(" {l}"), theme.style(Meaning::Muted)))),
    );
    if let Some(url) = alert.annotations.get("runbook_url").or_else(|| alert.annotations.get("runbook")) {
        tail.push(Line::from(Span::styled(
            format!(" runbook {} (o copies)", text::fit(url, width.saturating_sub(20))),
            theme.style(Meaning::Accent),
        )));
    }
    let (head, foot) = (lines.len(), tail.len());
    for (row, line) in lines.iter().enumerate() {
        put(frame.buffer_mut(), inner, row, line, None);
    }
    let chart_top = u16::try_from(head + 1).unwrap_or(u16::MAX);
    let used = u16::try_from(head + foot + 2).unwrap_or(u16::MAX);
    let chart_height = inner.height.saturating_sub(used).min(12);
    let place =
        Rect { x: inner.x + 1, y: inner.y.saturating_add(chart_top), width: inner.width.saturating_sub(2), height: chart_height };
    if chart_height >= 4 {
        series(model, theme, frame, place, alert);
    }
    for (row, line) in tail.iter().enumerate() {
        put(frame.buffer_mut(), inner, head + usize::from(chart_height) + 2 + row, line, None);
    }
}

fn series(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect, alert: &Alert) {
    let muted = |words: String| Line::from(Span::styled(text::fit(&words, usize::from(area.width)), theme.style(Meaning::Muted)));
    match model.board.series.as_ref().filter(|(f, _)| *f == alert.fingerprint).map(|(_, s)| s) {
        None => put(frame.buffer_mut(), area, 0, &muted("loading the series behind it …".to_owned()), None),
        Some(Err(e)) => put(frame.buffer_mut(), area, 0, &muted(format!("no series: {e}")), None),
        Some(Ok(None)) => put(frame.buffer_mut(), area, 0, &muted("no metrics source knows this rule".to_owned()), None),
        Some(Ok(Some(found))) => {
            let ends = found.series.iter().filter_map(|s| s.samples.last().map(|p| p.at)).max();
            let starts = found.series.iter().filter_map(|s| s.samples.first().map(|p| p.at)).min();
            let (Some(start), Some(end)) = (starts, ends) else {
                put(frame.buffer_mut(), area, 0, &muted("no samples in the last half hour".to_owned()), None);
                return;
            };
            let unit = expression::infer_unit(&found.query, found.threshold);
            let marks: Vec<Mark> = alert.starts_at.iter().map(|at| Mark { at: *at, glyph: '▲', meaning: Meaning::Bad }).collect();
            let window = Window::new(start, end);
            let what = Chart { series: &found.series, window, threshold: found.threshold, unit, marks: &marks };
            chart(frame.buffer_mut(), area, theme, &what);
        }
    }
}
