//! The view of a metric: its chart with the values at the cursor, the series by letter and colour, and an earlier day behind them.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::overlay::{keys, window};
use super::signals::{marks_of, onset_of};
use crate::app::action::Action;
use crate::app::metric::{MetricView, days_word};
use crate::app::model::Model;
use crate::app::update::comparison_of;
use crate::telemetry::series::human_measure;
use crate::telemetry::{Series, Timestamp, Window};
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{Chart, chart, letter, put};
use crate::ui::{ViewCache, centered, text};

/// What a chart shows, whether it is evidence or a query for the screen.
pub(super) struct Shown<'a> {
    pub query: &'a str,
    pub window: Window,
    pub series: &'a [Series],
    pub threshold: Option<f64>,
    pub unit: &'a str,
    pub step_secs: f64,
    /// The cursor.
    pub at: Option<Timestamp>,
    /// The part of the window that is shown; `None` for all of it.
    pub view: Option<Window>,
    /// Whether its keys and the pointer work: not where it is only looked at.
    pub is_open: bool,
}

/// The most series that are listed below a chart.
const MAX_LISTED: usize = 6;

/// A value of a series as it is read: shares in percent.
pub(super) fn measured(value: f64, unit: &str) -> String {
    human_measure(if unit == "%" { value * 100.0 } else { value }, unit)
}

/// Draws the chart of a query.
pub(super) fn render(model: &Model, theme: &Theme, cache: &mut ViewCache, view: &MetricView, frame: &mut Frame<'_>, area: Rect) {
    let at = view.at.map_or_else(String::new, |t| format!(" at {} UTC", t.date_clock()));
    let actions = [Action::KeepOutput, Action::QueryMetrics, Action::CopyText, Action::CloseReader];
    let width = usize::from(area.width);
    let hints = keys(model, &actions);
    let title =
        format!("{}{at} · {hints}", text::fit(&view.title, width.saturating_sub(text::width(&hints) + text::width(&at) + 12)));
    let inner = window(theme, frame, centered(area, area.width.saturating_sub(4), area.height), title);
    let say = |frame: &mut Frame<'_>, words: &str| {
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(words.to_owned(), theme.style(Meaning::Muted))), None);
    };
    let Some(found) = &view.found else { return say(frame, "Reading the series …") };
    if found.series.is_empty() {
        let words = format!("No series for {} in {}.", view.request.query, view.request.window.label());
        return say(frame, &words);
    }
    let mut rest = inner;
    for gap in found.gaps.iter().take(2) {
        let line = Line::from(Span::styled(format!("Incomplete: {gap}"), theme.style(Meaning::Warn)));
        put(frame.buffer_mut(), rest, 0, &line, None);
        rest = Rect { y: rest.y + 1, height: rest.height.saturating_sub(1), ..rest };
    }
    let shown = Shown {
        query: &view.request.query,
        window: view.request.window,
        series: &found.series,
        threshold: view.threshold,
        unit: &view.unit,
        step_secs: found.step_secs,
        at: view.at,
        view: view.view,
        is_open: true,
    };
    draw(model, theme, cache, &shown, frame, rest);
}

/// Draws a chart with the list of its series and its keys below, in at most the given area. Returns the rows that were used.
pub(super) fn draw(
    model: &Model,
    theme: &Theme,
    cache: &mut ViewCache,
    shown: &Shown<'_>,
    frame: &mut Frame<'_>,
    area: Rect,
) -> u16 {
    let compared = comparison_of(model, shown.query, shown.window);
    let listed = shown.series.len().min(MAX_LISTED);
    let more = usize::from(shown.series.len() > listed);
    let below = u16::try_from(listed + more + usize::from(shown.is_open)).unwrap_or(u16::MAX);
    let height = area.height.saturating_sub(below);
    let marks = marks_of(model);
    let part = shown.view.unwrap_or(shown.window);
    let data = Chart {
        before: compared.and_then(|c| c.series.as_deref()).unwrap_or_default(),
        threshold: shown.threshold,
        marks: &marks,
        normal_until: onset_of(model),
        cursor: shown.at,
        ..Chart::of(shown.series, part, shown.unit, model.now)
    };
    let plot = chart(frame.buffer_mut(), Rect { height, ..area }, theme, &data);
    if shown.is_open {
        cache.chart(plot, part);
    }
    let value_at = |series: &Series, at: Timestamp| {
        // A series that has ended has no value here.
        let before = series.samples.iter().rev().find(|x| x.at <= at);
        before.filter(|x| at.secs_since(x.at) <= 2.0 * shown.step_secs).map(|x| measured(x.value, shown.unit))
    };
    for (row, s) in shown.series.iter().take(listed).enumerate() {
        let value = shown.at.map(|at| value_at(s, at));
        let value = value.map(|v| format!("{} ", v.unwrap_or_else(|| "no sample".to_owned()))).unwrap_or_default();
        // The same series on the earlier day has the same labels.
        let earlier = shown.at.zip(compared).and_then(|(at, c)| {
            let same = c.series.as_ref()?.iter().find(|b| b.labels == s.labels)?;
            Some(format!("({} {}) ", days_word(c.request.days), value_at(same, at)?))
        });
        let mark = if shown.series.len() > 1 { format!("{} ", letter(row)) } else { String::new() };
        let line = Line::from(vec![
            Span::styled(mark, theme.style(Meaning::of_series(row))),
            Span::raw(value),
            Span::styled(earlier.unwrap_or_default(), theme.style(Meaning::Muted)),
            Span::raw(s.title()),
        ]);
        put(frame.buffer_mut(), area, usize::from(height) + row, &line, None);
    }
    if more > 0 {
        let words = format!("and {} more series", shown.series.len() - listed);
        let line = Line::from(Span::styled(words, theme.style(Meaning::Muted)));
        put(frame.buffer_mut(), area, usize::from(height) + listed, &line, None);
    }
    let against = match compared {
        Some(c) if c.series.is_none() => format!("  reading {} …", days_word(c.request.days)),
        Some(c) => format!("  faint: {}", days_word(c.request.days)),
        None => String::new(),
    };
    if !shown.is_open {
        return height + below;
    }
    let moves = keys(model, &[Action::Earlier, Action::Later, Action::ZoomIn, Action::ZoomOut, Action::Compare]);
    let line = Line::from(Span::styled(format!("{moves}{against}"), theme.style(Meaning::Muted)));
    put(frame.buffer_mut(), area, usize::from(height) + listed + more, &line, None);
    height + below
}
