//! Metrics that are queried for a chart.

use std::sync::Arc;

use crate::app::Msg;
use crate::app::metric::{KeptMetric, MetricNames, MetricRequest, MetricsRead, length_of};
use crate::evidence::Redactor;
use crate::investigate::clock::now;
use crate::investigate::metric::QueriedSeries;
use crate::investigate::{Desk, DeskError};
use crate::telemetry::failure::Explain;
use crate::telemetry::{Sample, Series, Window};

/// How far back names are looked for.
const NAMES: std::time::Duration = std::time::Duration::from_hours(6);

/// Reads a query, at the time of the request or that many days earlier.
pub(super) async fn read(desk: Arc<Desk>, request: MetricRequest) -> Result<Msg, DeskError> {
    let shift = length_of(request.days);
    let window = Window::new(request.window.start - shift, request.window.end - shift);
    let moved = |s: Series| {
        let samples = s.samples.iter().map(|p| Sample { at: p.at + shift, ..*p }).collect();
        Series { samples, ..s }
    };
    let result = match desk.query_metrics(&request.query, window, request.source.as_deref()).await {
        Ok(QueriedSeries { source, step_secs, series, gaps }) => {
            let mut redactor = Redactor::new();
            let mut series: Vec<Series> = series.into_iter().map(moved).collect();
            for value in series.iter_mut().flat_map(|s| s.labels.values_mut()) {
                *value = redactor.redact_text(value).into_owned();
            }
            Ok(MetricsRead { source, step_secs, series, gaps })
        }
        Err(error) => Err(error.failure()),
    };
    Ok(Msg::MetricsRead(request, result))
}

/// Reads the names for completion.
pub(super) async fn read_names(desk: Arc<Desk>) -> Result<Msg, DeskError> {
    let (metrics, labels) = desk.metric_names(Window::before(now(), NAMES)).await;
    Ok(Msg::MetricNamesRead(MetricNames { metrics, labels, values: Default::default() }))
}

/// Reads the values of a label for completion.
pub(super) async fn read_values(desk: Arc<Desk>, label: String) -> Result<Msg, DeskError> {
    let values = desk.label_values(&label, Window::before(now(), NAMES)).await;
    Ok(Msg::LabelValuesRead(label, values))
}

/// Keeps a chart as evidence.
pub(super) async fn keep(desk: Arc<Desk>, kept: KeptMetric) -> Result<Msg, DeskError> {
    let KeptMetric { incident, request, unit, threshold, found } = kept;
    let MetricsRead { source, step_secs, series, gaps } = found;
    let found = QueriedSeries { source, step_secs, series, gaps };
    let id = desk.keep_metric(incident, &request.query, request.window, found, (unit, threshold)).await?;
    Ok(Msg::Ran(format!("Saved the chart as {id}"), Vec::new()))
}
