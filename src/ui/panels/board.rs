//! The board: incidents at the top, the grouped alerts below, and in a wide terminal the selected alert next to them.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::expression;
use crate::analysis::grouping::GroupBy;
use crate::app::action::Action;
use crate::app::board::{Pane, Row};
use crate::app::filter::Filter;
use crate::app::model::Model;
use crate::app::pointer::Target;
use crate::app::update::{AlertVisibility, alert_visibility};
use crate::telemetry::time::human_duration;
use crate::telemetry::{Alert, AlertState, SubjectKind, Window};
use crate::ui::panels::metric::measured;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{Chart, Mark, chart, frame as bordered, put};
use crate::ui::{ViewCache, text};

/// Draws the board.
pub(crate) fn render(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let listed = model.board.listed_incidents().len();
    let height = u16::try_from(listed.clamp(1, 6)).unwrap_or(6) + 2;
    let [top, rest] = Layout::vertical([Constraint::Length(height.min(area.height / 2)), Constraint::Min(4)]).areas::<2>(area);
    if model.is_zoomed {
        return alert_detail(model, theme, frame, area);
    }
    incidents(model, theme, cache, frame, top);
    if area.width >= 100 {
        let [list, detail] = Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas::<2>(rest);
        alerts(model, theme, cache, frame, list);
        alert_detail(model, theme, frame, detail);
    } else {
        alerts(model, theme, cache, frame, rest);
    }
}

fn incidents(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let has_focus = model.board.pane == Pane::Incidents;
    let open = model.board.open_incidents().len();
    let listed = model.board.listed_incidents();
    let title = if open == 0 && !listed.is_empty() {
        format!("Incidents 0 open · {} most recent", listed.len())
    } else {
        format!("Incidents {open} open")
    };
    let block = bordered(theme, title, has_focus);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if listed.is_empty() {
        let words = if model.board.incidents_loaded {
            format!("No incidents yet. Select an alert and press {} to declare one.", model.key(Action::Declare))
        } else {
            "Loading incidents …".to_owned()
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
            text::align_right(&human_duration(model.now.since(head.declared_at)), 7),
            head.commander.as_ref().map_or_else(|| "no IC".to_owned(), |c| format!("IC {}", text::fit(c, 9))),
            match head.alerts.len() {
                1 => "1 alert ".to_owned(),
                n => format!("{n} alerts"),
            }
        );
        // Show when the next update is due if there is room for it. An overdue update is always shown.
        let clock = match head.update_due() {
            Some(due) if due <= model.now => format!("  update OVERDUE {}", human_duration(model.now.since(due))),
            Some(due) if width >= 110 => format!("  update in {}", human_duration(due.since(model.now))),
            _ => String::new(),
        };
        let unsynced = if head.unsynced > 0 { format!("  ↯{}", head.unsynced) } else { String::new() };
        let tail = if width >= 96 {
            format!("{tail}{clock}{unsynced}")
        } else {
            format!("{clock}{unsynced}  {}", human_duration(model.now.since(head.declared_at)))
        };
        let title = text::pad(&head.title, width.saturating_sub(text::width(&tail) + 16));
        let line = Line::from(vec![
            Span::styled(format!(" {} ", head.severity), theme.style(Meaning::for_severity(head.severity))),
            Span::raw(format!("{} {title} {tail}", text::pad(&head.id.to_string(), 7))),
        ]);
        let selected = (has_focus && row == place).then(|| theme.style(Meaning::Selection));
        put(frame.buffer_mut(), inner, row - offset, &line, selected);
        cache.target(inner, row - offset, Target::Incident(row));
    }
}

fn alerts_title(model: &Model) -> String {
    let (firing, pending, suppressed) = model.board.counts();
    // Without an answer, it is not known how many fire.
    let mut title = match alert_visibility(model) {
        _ if !model.board.alerts.is_empty() => format!("Alerts {firing} firing"),
        AlertVisibility::Known => "Alerts 0 firing".to_owned(),
        _ if model.alert_sources.is_empty() => "Alerts".to_owned(),
        AlertVisibility::Waiting => "Alerts …".to_owned(),
        AlertVisibility::AllFailed => "Alerts unknown".to_owned(),
    };
    if pending > 0 {
        title.push_str(&format!(" · {pending} pending"));
    }
    if suppressed > 0 {
        title.push_str(&format!(" · {suppressed} suppressed"));
    }
    if let Some(storm) = &model.board.storm {
        title.push_str(&format!(" · alert storm: {} share {}={}", storm.shared, storm.label, text::fit(&storm.value, 24)));
    }
    match model.board.group_by {
        GroupBy::None => title.push_str(" · not grouped"),
        by => title.push_str(&format!(" · by {}", by.word())),
    }
    if !model.board.marked.is_empty() {
        title.push_str(&format!(" · {} marked", model.board.marked.len()));
    }
    if model.board.only_new {
        title.push_str(" · without an incident");
    }
    if !model.board.filter.is_empty() {
        title.push_str(&format!(" · filter: {}", model.board.filter));
    }
    title
}

/// Why the list of alerts is empty, and what to do.
fn empty_state(model: &Model) -> Vec<String> {
    if !model.has_sources {
        return vec![
            "No sources are configured.".to_owned(),
            format!("Create {}. docs/config.sample.toml documents every setting.", model.config_path),
            format!("Or press {} and run `warroom demo` to see a recorded incident.", model.key(Action::Quit)),
        ];
    }
    if model.alert_sources.is_empty() {
        let hint = format!("Add a source of type prometheus or alertmanager to {}.", model.config_path);
        return vec!["No alert source is configured.".to_owned(), hint];
    }
    if alert_visibility(model) == AlertVisibility::Waiting {
        return vec!["Querying the sources …".to_owned()];
    }
    if !model.board.filter.is_empty() || model.board.only_new {
        let (clear, all) = (model.key(Action::Back), model.key(Action::OnlyNew));
        let hint = match (model.board.filter.is_empty(), model.board.only_new) {
            (false, true) => format!("Press {clear} to clear the filter, or {all} to include alerts with an incident."),
            (false, false) => format!("Press {clear} to clear the filter."),
            (true, _) => format!("Press {all} to include alerts with an incident."),
        };
        let invalid_regex = Filter::invalid_regex_note(&model.board.filter).map(|why| format!("{why}."));
        return std::iter::once(format!("No alert matches. {hint}")).chain(invalid_regex).collect();
    }
    if alert_visibility(model) == AlertVisibility::AllFailed {
        let conclusion = "Alert status unknown: no alert source answered.".to_owned();
        let failed = model.board.sources.iter().filter(|s| s.report.error.is_some());
        let reasons = failed.map(|s| {
            let error = format!("{}: {}", s.report.name, s.report.error.as_deref().unwrap_or("failed"));
            match &s.report.remedy {
                Some(remedy) => format!("{error}. {remedy}"),
                None => error,
            }
        });
        return std::iter::once(conclusion).chain(reasons).collect();
    }
    vec!["No alerts are firing.".to_owned()]
}

fn alerts(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let has_focus = model.board.pane == Pane::Alerts;
    let block = bordered(theme, alerts_title(model), has_focus);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let rows = model.board.rows();
    let width = usize::from(inner.width);
    if rows.is_empty() {
        let words = empty_state(model);
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
    let shown = rows.iter().skip(offset).take(height);
    let alerts = shown.filter_map(|row| if let Row::Alert { index } = row { model.board.alerts.get(*index) } else { None });
    let alerts: Vec<&Alert> = alerts.collect();
    let widest = |of: &dyn Fn(&Alert) -> usize| alerts.iter().map(|a| of(a)).max().unwrap_or(0);
    let columns = Columns {
        name: widest(&|a| text::width(&a.name)).min(width.saturating_sub(36).clamp(12, 30)),
        state: widest(&|a| text::width(&state_or_incident(model, a))).min(10),
    };
    // Lay out only the visible rows, so that thousands of alerts cost no more than one screen of them.
    for (row, entry) in rows.iter().enumerate().skip(offset).take(height) {
        let line = match entry {
            Row::Group { title, count, firing } => Line::from(vec![
                Span::styled(format!(" ▾ {}", text::pad(title, width.saturating_sub(21))), theme.style(Meaning::Title)),
                Span::styled(format!("{firing} of {count}"), theme.style(Meaning::Muted)),
            ]),
            Row::Alert { index } => {
                model.board.alerts.get(*index).map_or_else(Line::default, |a| alert_line(model, theme, a, width, columns))
            }
        };
        let selected = (has_focus && row == place).then(|| theme.style(Meaning::Selection));
        put(frame.buffer_mut(), inner, row - offset, &line, selected);
        cache.target(inner, row - offset, Target::Row(row));
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

/// The state of an alert that does not fire, or its incident.
fn state_or_incident(model: &Model, alert: &Alert) -> String {
    match (alert.state, model.board.owner(alert)) {
        (AlertState::Suppressed, _) => alert.state.word().to_owned(),
        (_, Some(id)) => id.to_string(),
        (AlertState::Pending, None) => alert.state.word().to_owned(),
        _ => String::new(),
    }
}

/// The widths of the columns of the list, as wide as the shown rows need them.
#[derive(Clone, Copy)]
struct Columns {
    name: usize,
    /// Of the state or the incident.
    state: usize,
}

/// The row of an alert.
fn alert_line(model: &Model, theme: &Theme, alert: &Alert, width: usize, columns: Columns) -> Line<'static> {
    let marked = if model.board.marked.contains(&alert.fingerprint) { "✓" } else { " " };
    let age = alert.starts_at.map_or_else(|| "?".to_owned(), |t| human_duration(model.now.since(t)));
    let value = alert.value.filter(|v| v.is_finite()).map_or_else(String::new, |v| measured(v, &alert.unit));
    let summary_width = width.saturating_sub(columns.name + columns.state + 27);
    let style = if alert.state == AlertState::Firing { Style::default() } else { theme.style(Meaning::Muted) };
    Line::from(vec![
        Span::raw(format!("{marked} ")),
        Span::styled(format!("{} {:<4} ", glyph(alert), alert.severity.short()), theme.style(Meaning::of_alert(alert.severity))),
        Span::styled(text::pad(&alert.name, columns.name), style),
        Span::styled(format!(" {} ", text::align_right(&value, 7)), style),
        Span::styled(text::pad(alert.summary(), summary_width), theme.style(Meaning::Muted)),
        Span::styled(format!(" {} ", text::align_right(&age, 7)), style),
        Span::styled(text::pad(&state_or_incident(model, alert), columns.state), theme.style(Meaning::Accent)),
    ])
}

/// The name of an alert, and what it is about.
fn title_of(alert: &Alert) -> String {
    let Some(s) = alert.subject() else { return alert.name.clone() };
    match (s.kind, s.namespace) {
        (SubjectKind::Service | SubjectKind::Workload, None) => format!("{} · {}", alert.name, s.name),
        (SubjectKind::Service | SubjectKind::Workload, Some(namespace)) => format!("{} · {} in {namespace}", alert.name, s.name),
        (kind, _) => format!("{} · {} {}", alert.name, kind.word(), s.name),
    }
}

/// The selected alert: its summary, what suppresses it, its chart, its labels and its runbook.
fn alert_detail(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(alert) = model.board.current() else {
        let block = bordered(theme, "Alert".to_owned(), false);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let words = if model.board.rows().is_empty() {
            " No alert to show.".to_owned()
        } else {
            format!(" No alert selected. Press {} or {} to select one.", model.key(Action::Down), model.key(Action::Up))
        };
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
        return;
    };
    let block = bordered(theme, title_of(alert), false);
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
        Span::styled(
            format!("  from {}", crate::telemetry::words::list(&alert.listed_in().collect::<Vec<_>>())),
            theme.style(Meaning::Muted),
        ),
    ])];
    lines.extend(text::wrap(alert.summary(), width).into_iter().map(|l| Line::from(format!(" {l}"))));
    for silence in &alert.silenced_by {
        let until = silence.ends_at.map_or_else(String::new, |t| format!(", {} left", human_duration(t.since(model.now))));
        let words = format!("silenced by {}{until}: {}", silence.created_by, silence.comment);
        lines.extend(
            text::wrap(&words, width).into_iter().map(|l| Line::from(Span::styled(format!(" {l}"), theme.style(Meaning::Warn)))),
        );
    }
    if !alert.muted_by.is_empty() {
        let words = format!(" muted by {}", alert.muted_by.join(", "));
        lines.push(Line::from(Span::styled(text::fit(&words, width), theme.style(Meaning::Warn))));
    }
    if !alert.inhibited_by.is_empty() {
        lines.push(Line::from(Span::styled(
            format!(" inhibited by {}", crate::telemetry::words::count(alert.inhibited_by.len(), "other alert")),
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
        let hint = format!("({} to open)", model.key(Action::OpenRunbook));
        let url = text::fit(url, width.saturating_sub(10 + text::width(&hint)));
        tail.push(Line::from(Span::styled(format!(" runbook {url} {hint}"), theme.style(Meaning::Accent))));
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
        alert_chart(model, theme, frame, place, alert);
    }
    for (row, line) in tail.iter().enumerate() {
        put(frame.buffer_mut(), inner, head + usize::from(chart_height) + 2 + row, line, None);
    }
}

/// The metric behind an alert, with the start of the alert and its threshold; if there is none, why.
fn alert_chart(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect, alert: &Alert) {
    let muted = |words: String| Line::from(Span::styled(text::fit(&words, usize::from(area.width)), theme.style(Meaning::Muted)));
    match model.board.series.as_ref().filter(|(f, _)| *f == alert.fingerprint).map(|(_, s)| s) {
        None => put(frame.buffer_mut(), area, 0, &muted("Loading the chart …".to_owned()), None),
        Some(Err(e)) => put(frame.buffer_mut(), area, 0, &muted(format!("Chart not available: {e}")), None),
        Some(Ok(None)) => put(frame.buffer_mut(), area, 0, &muted("No metrics source has this alert rule.".to_owned()), None),
        Some(Ok(Some(found))) => {
            let ends = found.series.iter().filter_map(|s| s.samples.last().map(|p| p.at)).max();
            let starts = found.series.iter().filter_map(|s| s.samples.first().map(|p| p.at)).min();
            let (Some(start), Some(end)) = (starts, ends) else {
                put(frame.buffer_mut(), area, 0, &muted("No samples in the last 30 minutes.".to_owned()), None);
                return;
            };
            let unit = expression::infer_unit(&found.query, found.threshold);
            let marks: Vec<Mark> = alert.starts_at.iter().map(|at| Mark { at: *at, glyph: '●', meaning: Meaning::Bad }).collect();
            let window = Window::new(start, end);
            let data = Chart { threshold: found.threshold, marks: &marks, ..Chart::of(&found.series, window, unit, model.now) };
            chart(frame.buffer_mut(), area, theme, &data);
        }
    }
}
