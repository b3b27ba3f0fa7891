//! "Record": asks what an investigation would ask, over one span, and keeps the answers.

use std::sync::Arc;

use super::desk::Progress;
use super::gather::{Request, gather};
use super::set::SourceSet;
use crate::config::SloConfig;
use crate::incident::Matrix;
use crate::sources::recorder::Recorder;
use crate::sources::recording::Recording;
use crate::sources::{Source, step_for};
use crate::telemetry::{Window, clean};

/// Records the sources over a span that ends now. What fires decides what is asked, as in an investigation without linked
/// alerts, once over the span and once for each alert alone. Secrets in the answers are redacted.
pub async fn record(
    set: &SourceSet,
    span: Window,
    title: &str,
    progress: &Progress,
) -> Result<Recording, crate::sources::SourceError> {
    let step = step_for(Window::before(span.end, std::time::Duration::from_secs(600))).min(step_for(span));
    let taps: Vec<Arc<Recorder>> = set.sources.iter().map(|s| Arc::new(Recorder::new(Arc::clone(s), span, step))).collect();
    let tapped = SourceSet::over(taps.iter().map(|t| Arc::clone(t) as Arc<dyn Source>).collect());
    gather(
        &tapped,
        &Request { window: span, linked: Vec::new(), matrix: Matrix::default(), slo: SloConfig::default(), recorded: Vec::new() },
        progress,
    )
    .await;
    let sources = taps.iter().map(|t| t.recorded()).collect();
    let recording = Recording::new(clean::line(title), span, step, sources);
    // A recording leaves the machine: it goes through the engine like everything else.
    let json = |e: serde_json::Error| crate::sources::SourceError::new(crate::sources::FaultKind::Malformed, e.to_string());
    Ok(crate::evidence::Redactor::new().redact_value(&recording).map_err(json)?.into_inner())
}
