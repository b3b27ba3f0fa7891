//! Charts of metrics: any query, the series of an alert, a comparison with an earlier day, and keeping a chart as evidence.

use std::time::Duration;

use super::super::action::Action;
use super::super::edit::TextField;
use super::super::metric::{
    Comparison, Completion, KeptMetric, MetricNames, MetricRequest, MetricView, MetricsRead, complete, days_word, next_days,
};
use super::super::model::{Model, Screen, Tone};
use super::super::msg::Effect;
use super::super::overlay::{InputDialog, Overlay, Purpose};
use super::super::room::Room;
use super::common::{current, incident_window, say, say_key, show, write};
use super::cursor::Span;
use crate::evidence::Body;
use crate::telemetry::{Failure, Moment, Timestamp, Window};

/// The window of a chart outside an incident.
const WINDOW: Duration = Duration::from_hours(1);

/// Asks for a query. `query` is the one to start from.
pub(super) fn ask(model: &mut Model, query: &str) -> Vec<Effect> {
    if !model.has_metrics {
        return say(model, "No metrics source is configured.");
    }
    let hint = format!(
        "PromQL. {} completes metrics, labels and their values, {} recalls earlier queries.",
        model.key(Action::Complete),
        model.key(Action::Recall)
    );
    let mut effects = Vec::new();
    // Values come and go, such as those of pods.
    if let Some(names) = &mut model.metric_names {
        names.values.clear();
    }
    if model.metric_names.as_ref().is_none_or(|n| n.metrics.is_empty() && n.labels.is_empty()) {
        effects.push(Effect::ReadMetricNames);
    }
    remember_queries(model);
    show(model, Overlay::Input(InputDialog::new("Query metrics", Purpose::Query, hint, TextField::proposed(query))));
    effects
}

/// The queries of the evidence can be recalled, before those that were typed.
fn remember_queries(model: &mut Model) {
    let of_series = |e: &&crate::incident::EvidenceRecord| e.kind == crate::incident::EvidenceKind::Metric;
    let queries: Vec<String> =
        current(model).map(|i| i.current_evidence().filter(of_series).map(|e| e.query.clone()).collect()).unwrap_or_default();
    let typed = std::mem::take(&mut model.queries);
    queries.iter().rev().for_each(|query| model.queries.push(query));
    typed.iter().for_each(|query| model.queries.push(query));
}

/// Asks for a query, starting from that of the selected evidence, alert or chart.
pub(super) fn ask_here(model: &mut Model) -> Vec<Effect> {
    let alert = model.board.current().map(|a| a.fingerprint.clone()).filter(|_| model.screen == Screen::Board);
    let of_alert = alert.and_then(|fingerprint| match &model.board.series {
        Some((of, Ok(Some(series)))) if *of == fingerprint => Some(series.query.clone()),
        _ => None,
    });
    let evidence = model.room.as_ref().and_then(Room::selected_evidence).filter(|_| model.screen == Screen::Room);
    let of_evidence =
        evidence.and_then(|id| current(model)?.evidence(id)).filter(|e| e.kind == crate::incident::EvidenceKind::Metric);
    let query = of_alert.or_else(|| of_evidence.map(|e| e.query.clone())).unwrap_or_default();
    ask(model, &query)
}

/// Reads a query over the window of the incident, up to now while it is open; outside an incident over the last hour.
pub(super) fn query_typed(model: &mut Model, query: &str) -> Vec<Effect> {
    model.queries.push(query);
    let incident = current(model).filter(|_| model.screen == Screen::Room);
    let window = match incident {
        Some(incident) => incident_window(incident, model.now),
        None => Window::before(model.now, WINDOW),
    };
    let request = MetricRequest { query: query.to_owned(), source: None, window, days: 0 };
    let view = MetricView::reading(request.clone());
    model.comparison = None;
    show(model, Overlay::Metric(Box::new(view)));
    vec![Effect::ReadMetrics(request)]
}

/// Shows the chart of the selected alert.
pub(super) fn alert_chart(model: &mut Model) -> Vec<Effect> {
    let Some(alert) = model.board.current() else { return say(model, "Select an alert first.") };
    let series = match &model.board.series {
        Some((of, Ok(Some(series)))) if *of == alert.fingerprint => series.clone(),
        Some((of, Err(failure))) if *of == alert.fingerprint => {
            let why = format!("No chart: {}", failure.line());
            return say(model, why);
        }
        _ => return say_key(model, "This alert has no chart. Press {} to query metrics.", Action::QueryMetrics),
    };
    let times = || series.series.iter().flat_map(|s| s.samples.iter().map(|p| p.at));
    let Some((start, end)) = times().min().zip(times().max()) else { return say(model, "No samples to show.") };
    let request = MetricRequest { query: series.query.clone(), source: None, window: Window::new(start, end), days: 0 };
    let unit = crate::analysis::expression::infer_unit(&series.query, series.threshold).to_owned();
    let title = alert.service().map_or_else(|| alert.name.clone(), |service| format!("{} · {service}", alert.name));
    let found = MetricsRead { series: series.series, step_secs: 15.0, ..MetricsRead::default() };
    let view = MetricView { title, threshold: series.threshold, unit, found: Some(found), ..MetricView::reading(request) };
    model.comparison = None;
    show(model, Overlay::Metric(Box::new(view)))
}

/// Takes the series that were read into the chart that asked for them.
pub(super) fn read(model: &mut Model, request: &MetricRequest, result: Result<MetricsRead, Failure>) -> Vec<Effect> {
    if let Some(comparison) = model.comparison.as_mut().filter(|c| c.request == *request) {
        let days = days_word(request.days);
        match result {
            Ok(found) if found.series.iter().all(|s| s.samples.is_empty()) => {
                model.comparison = None;
                return say(model, format!("No samples {days}."));
            }
            Ok(found) => comparison.series = Some(found.series),
            Err(failure) => {
                model.comparison = None;
                model.say(Tone::Bad, format!("Cannot read the values of {days}: {}", failure.line()));
            }
        }
        return Vec::new();
    }
    let Some(Overlay::Metric(view)) = model.overlay.as_mut().filter(|o| matches!(o, Overlay::Metric(v) if v.request == *request))
    else {
        return Vec::new();
    };
    match result {
        Ok(found) => view.found = Some(found),
        Err(failure) => {
            // The query can be corrected.
            let query = request.query.clone();
            let effects = ask(model, &query);
            if let Some(Overlay::Input(dialog)) = &mut model.overlay {
                dialog.edit = TextField::with(query);
            }
            model.say(Tone::Bad, super::sentence(&failure));
            return effects;
        }
    }
    Vec::new()
}

/// The query and the window of the chart that is open, and the samples that the cursor moves over.
pub(super) fn span(model: &Model, overlay: &Overlay) -> Option<(MetricRequest, Span)> {
    match overlay {
        Overlay::Evidence { id, at, view, .. } => {
            let record = current(model)?.evidence(*id)?;
            let Body::Series { series, .. } = model.room.as_ref()?.bodies.get(&record.digest)? else { return None };
            let request = MetricRequest {
                query: record.query.clone(),
                source: Some(record.source.clone()),
                window: record.window,
                days: 0,
            };
            Some((request, Span::new(series, record.window, *at, *view)))
        }
        Overlay::Metric(view) => Some((view.request.clone(), Span::new(view.series(), view.request.window, view.at, view.view))),
        _ => None,
    }
}

/// Compares the open chart with the day before, then with the week before, then with nothing.
pub(super) fn compare(model: &mut Model, overlay: &Overlay) -> Vec<Effect> {
    let Some((shown, _)) = span(model, overlay) else { return say(model, "Only a chart can be compared.") };
    let before = model.comparison.take().filter(|c| (&c.request.query, c.request.window) == (&shown.query, shown.window));
    let days = next_days(before.map_or(0, |c| c.request.days));
    if days == 0 {
        return Vec::new();
    }
    let request = MetricRequest { days, ..shown };
    model.comparison = Some(Comparison { request: request.clone(), series: None });
    vec![Effect::ReadMetrics(request)]
}

/// The comparison of a chart, if it belongs to its query and window.
pub(crate) fn comparison_of<'a>(model: &'a Model, query: &str, window: Window) -> Option<&'a Comparison> {
    model.comparison.as_ref().filter(|c| c.request.query == query && c.request.window == window)
}

/// Keeps the open chart as evidence of the incident.
pub(super) fn keep(model: &mut Model, view: &MetricView) -> Vec<Effect> {
    let Some(incident) = model.room.as_ref().filter(|_| model.screen == Screen::Room).map(|r| r.id) else {
        return say(model, "Open an incident to keep this chart as its evidence.");
    };
    if model.read_only {
        return say(model, "Read-only mode: the chart was not saved.");
    }
    let Some(found) = view.found.clone() else { return say(model, "The series are still being read.") };
    let kept = KeptMetric { incident, request: view.request.clone(), unit: view.unit.clone(), threshold: view.threshold, found };
    write(model, Effect::KeepMetric(Box::new(kept)))
}

/// Takes the names for completion.
pub(super) fn names_read(model: &mut Model, names: MetricNames) -> Vec<Effect> {
    model.metric_names = Some(names);
    Vec::new()
}

/// Takes the values of a label, and completes the query that waits for them.
pub(super) fn values_read(model: &mut Model, label: String, values: Vec<String>) -> Vec<Effect> {
    let Some(names) = &mut model.metric_names else { return Vec::new() };
    let is_empty = values.is_empty();
    // The query may have been typed on.
    let needs = |query: &str, names: &MetricNames| complete(query, names) == Completion::NeedsValues(label.clone());
    let waits = matches!(&model.overlay, Some(Overlay::Input(d)) if d.purpose == Purpose::Query && needs(d.edit.text(), names));
    if !is_empty {
        names.values.insert(label, values);
    }
    match model.overlay.take() {
        Some(Overlay::Input(mut dialog)) if waits && is_empty => {
            "No metrics source lists values of this label.".clone_into(&mut dialog.hint);
            model.overlay = Some(Overlay::Input(dialog));
            Vec::new()
        }
        Some(Overlay::Input(dialog)) if waits => complete_query(model, dialog),
        other => {
            model.overlay = other;
            Vec::new()
        }
    }
}

/// What the hint says while the values of a label are being read.
const READING_VALUES: &str = "The values of the label are being read.";

/// Completes a metric, a label or its value at the end of a query; the hint lists the candidates.
pub(super) fn complete_query(model: &mut Model, mut dialog: InputDialog) -> Vec<Effect> {
    /// The most candidates that the hint lists.
    const LISTED: usize = 12;
    let mut effects = Vec::new();
    match &model.metric_names {
        _ if !dialog.edit.parts().1.is_empty() => {}
        None => "The names are still being read.".clone_into(&mut dialog.hint),
        Some(names) if names.metrics.is_empty() && names.labels.is_empty() => {
            "No metrics source lists names. An earlier query can be recalled.".clone_into(&mut dialog.hint);
        }
        Some(names) => match complete(dialog.edit.text(), names) {
            Completion::Nothing => "Nothing known begins like this.".clone_into(&mut dialog.hint),
            Completion::NeedsValues(label) => {
                READING_VALUES.clone_into(&mut dialog.hint);
                effects.push(Effect::ReadLabelValues(label));
            }
            Completion::Found(text, found) => {
                dialog.edit = TextField::with(text);
                let more = if found.len() > LISTED { format!("  and {} more", found.len() - LISTED) } else { String::new() };
                dialog.hint = format!("{}{more}", found.iter().take(LISTED).cloned().collect::<Vec<_>>().join("  "));
            }
        },
    }
    model.overlay = Some(Overlay::Input(dialog));
    effects
}

/// Asks for the time that the cursor of an open chart goes to. The chart is there again afterwards.
pub(super) fn ask_time(model: &mut Model, overlay: Overlay) -> Vec<Effect> {
    if span(model, &overlay).is_none() {
        model.overlay = Some(overlay);
        return say(model, "There is no chart here.");
    }
    model.under = Some(Box::new(overlay));
    let hint = "In UTC, as on the axis: 10:07, 10:07:30, 15m ago, yesterday 18:20.";
    show(model, Overlay::Input(InputDialog::new("Go to time", Purpose::ChartTime, hint, TextField::default())))
}

/// Moves the cursor of the chart below the dialog to the sample at a time.
pub(super) fn go_to_time(model: &mut Model, typed: &str) -> Result<(), String> {
    let moment: Moment = typed.parse().map_err(|e| format!("{e}"))?;
    let at = moment.resolve(model.now).map_err(|e| e.to_string())?;
    let Some(below) = model.under.as_deref() else { return Ok(()) };
    let (_, span) = span(model, below).ok_or("There is no chart here.")?;
    let (cursor, view) =
        super::cursor::to_time(&span, at).ok_or_else(|| format!("The chart has no sample near {} UTC.", at.date_clock()))?;
    model.overlay = model.under.take().map(|below| *below);
    if let Some(overlay) = &mut model.overlay {
        set_cursor(overlay, Some(cursor), view);
    }
    Ok(())
}

/// The cursor and the view of a chart after they were set.
pub(super) fn set_cursor(overlay: &mut Overlay, to: Option<Timestamp>, part: Option<Window>) {
    match overlay {
        Overlay::Evidence { at, view, .. } => (*at, *view) = (to, part),
        Overlay::Metric(metric) => (metric.at, metric.view) = (to, part),
        _ => {}
    }
}
