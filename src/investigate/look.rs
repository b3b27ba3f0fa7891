//! Single questions from a screen: a live log, a query, the series behind an alert.

use tokio::sync::mpsc;

use super::desk::Desk;
use crate::analysis::expression::threshold;
use crate::sources::{Batch, LogFilter, SourceError, step_for};
pub use crate::telemetry::series::AlertSeries;
use crate::telemetry::{Alert, Series, Window};

impl Desk {
    /// The expression of an alert's rule over a window, only the series that carry the alert's labels; `None` when no
    /// metrics source knows the rule.
    pub async fn alert_series(&self, alert: &Alert, window: Window) -> Result<Option<AlertSeries>, SourceError> {
        for source in &self.sources.sources {
            let Some(metrics) = source.metrics() else { continue };
            let rules = metrics.rules().await?.value;
            let Some(rule) = rules.into_iter().find(|r| r.name == alert.name) else { continue };
            let split = threshold(&rule.query);
            let (query, limit) = split.map_or((rule.query, None), |t| (t.series, Some(t.value)));
            let answer = metrics.range(&query, window, step_for(window)).await?;
            let mine =
                |s: &Series| s.labels.iter().all(|(k, v)| k == "__name__" || alert.labels.get(k).is_none_or(|have| have == v));
            let series = answer.value.into_iter().filter(mine).collect();
            return Ok(Some(AlertSeries { query, threshold: limit, series }));
        }
        Ok(None)
    }

    /// Follows every log source until the receiver is gone. Each source has its own task; the set ends them when dropped.
    pub fn follow_logs(&self, sink: &mpsc::Sender<Batch>) -> tokio::task::JoinSet<()> {
        let mut tasks = tokio::task::JoinSet::new();
        for source in self.sources.sources.iter().filter(|s| s.logs().is_some()) {
            let (source, sink) = (std::sync::Arc::clone(source), sink.clone());
            tasks.spawn(async move {
                let filter = LogFilter::default();
                while let Some(logs) = source.logs() {
                    match logs.follow(&filter, sink.clone()).await {
                        Ok(()) => return,
                        Err(error) => tracing::warn!(source = source.name(), %error, "following the log"),
                    }
                    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
                }
            });
        }
        tasks
    }
}
