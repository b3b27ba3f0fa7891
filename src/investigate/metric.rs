//! Queries of metrics that a person types, and charts that are kept as evidence.

use super::clock::now;
use super::desk::{Desk, DeskError};
use crate::evidence::{Body, Draft};
use crate::incident::{EvidenceId, EvidenceKind, IncidentId, Refusal};
use crate::sources::{FaultKind, SourceError, step_for};
use crate::telemetry::{Series, Window, clean, words};

/// The most series of one answer that are kept.
const MAX_SERIES: usize = 50;

/// The answer to a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueriedSeries {
    /// The source that answered.
    pub source: String,
    pub step_secs: f64,
    pub series: Vec<Series>,
    /// What is missing, and why.
    pub gaps: Vec<String>,
}

impl Desk {
    /// Reads a query over a window: the answer of the named source, or of the first metrics source that has series for it, else an empty
    /// answer. At most the first 50 series. Of other sources that failed, the answer has gaps.
    ///
    /// # Errors
    /// If no metrics source can answer, the error of the first one.
    pub async fn query_metrics(&self, query: &str, window: Window, source: Option<&str>) -> Result<QueriedSeries, SourceError> {
        let step_secs = step_for(window);
        let mut failed: Option<SourceError> = None;
        let mut empty: Option<QueriedSeries> = None;
        let mut gaps_of_others = Vec::new();
        for source in self.sources.sources.iter().filter(|s| source.is_none_or(|name| s.name() == name)) {
            let Some(metrics) = source.metrics() else { continue };
            match metrics.range(query, window, step_secs).await {
                Ok(answer) => {
                    let mut gaps = answer.gaps;
                    if answer.value.len() > MAX_SERIES {
                        gaps.push(format!("the first {MAX_SERIES} of {}", words::count(answer.value.len(), "series")));
                    }
                    let is_empty = answer.value.is_empty();
                    let series = answer.value.into_iter().take(MAX_SERIES).collect();
                    let found = QueriedSeries { source: source.name().to_owned(), step_secs, series, gaps };
                    if !is_empty {
                        return Ok(found);
                    }
                    empty.get_or_insert(found);
                }
                Err(error) => {
                    gaps_of_others.push(format!("{}: {error}", source.name()));
                    failed.get_or_insert(error);
                }
            }
        }
        match (empty, failed) {
            (Some(mut found), _) => {
                found.gaps.extend(gaps_of_others);
                Ok(found)
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(SourceError::new(FaultKind::Config, "no metrics source is configured")),
        }
    }

    /// The names of metrics and of labels of every metrics source, sorted. A source that cannot list them adds none.
    pub async fn metric_names(&self, window: Window) -> (Vec<String>, Vec<String>) {
        let (mut metrics, mut labels) = (Vec::new(), Vec::new());
        for backend in self.sources.sources.iter().filter_map(|s| s.metrics()) {
            metrics.extend(backend.label_values("__name__", window).await.map(|a| a.value).unwrap_or_default());
            labels.extend(backend.label_names(window).await.map(|a| a.value).unwrap_or_default());
        }
        for names in [&mut metrics, &mut labels] {
            names.sort();
            names.dedup();
        }
        (metrics, labels)
    }

    /// The values of a label in every metrics source, sorted. A source that cannot list them adds none.
    pub async fn label_values(&self, label: &str, window: Window) -> Vec<String> {
        let mut values = Vec::new();
        for backend in self.sources.sources.iter().filter_map(|s| s.metrics()) {
            values.extend(backend.label_values(label, window).await.map(|a| a.value).unwrap_or_default());
        }
        values.sort();
        values.dedup();
        values
    }

    /// Keeps series as evidence of an incident.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub async fn keep_metric(
        &self,
        id: IncidentId,
        query: &str,
        window: Window,
        found: QueriedSeries,
        (unit, threshold): (String, Option<f64>),
    ) -> Result<EvidenceId, DeskError> {
        let count = found.series.len() as u64;
        let title = clean::truncate(query, 80);
        let draft = Draft {
            kind: EvidenceKind::Metric,
            source: found.source,
            query: query.to_owned(),
            window,
            taken_at: now(),
            summary: clean::truncate(&format!("{title}: {}", words::count(found.series.len(), "series")), 160),
            body: Body::Series { title: title.clone(), unit, step_secs: found.step_secs, threshold, series: found.series },
            gaps: found.gaps,
            shown: count,
            total: count,
        };
        let (_, appended) = self.append_evidence(id, draft, &self.actor(), None).await?;
        let kept = appended.evidence.first().copied();
        kept.ok_or_else(|| Refusal::invalid("the chart was not saved").into())
    }
}
