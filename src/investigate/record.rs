//! Records the answers of the sources to the queries of an investigation, so that it can be replayed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::desk::Progress;
use super::gather::{Request, gather};
use super::playbook::queries_for;
use super::set::SourceSet;
use crate::config::SloConfig;
use crate::incident::{LinkedAlert, Matrix};
use crate::playbook::{Library, matches};
use crate::sources::recorder::Recorder;
use crate::sources::recording::Recording;
use crate::sources::{Source, step_for};
use crate::telemetry::{Alert, Window, clean};

/// The most alerts whose playbooks are recorded, because each has several queries.
const MAX_ALERTS: usize = 20;

/// Records the sources over a span that ends now. Runs the queries of an investigation without linked alerts, over the whole
/// span and for each firing alert, those of the playbooks that fit the first firing alerts, and further PromQL `queries`. Redacts secrets in the
/// answers.
pub async fn record(
    set: &SourceSet,
    span: Window,
    title: &str,
    queries: &[String],
    playbooks: &Library,
    progress: &Progress,
) -> Result<Recording, crate::sources::SourceError> {
    let step = step_for(Window::before(span.end, std::time::Duration::from_mins(10))).min(step_for(span));
    let recorders: Vec<Arc<Recorder>> = set.sources.iter().map(|s| Arc::new(Recorder::new(Arc::clone(s), span, step))).collect();
    let recorded_set = SourceSet::from_sources(recorders.iter().map(|r| Arc::clone(r) as Arc<dyn Source>).collect());
    let board = recorded_set.alerts().await;
    let first_alert = crate::analysis::onset::wave_start(&board.alerts, span.end);
    gather(
        &recorded_set,
        &Request {
            window: span,
            linked: Vec::new(),
            matrix: Matrix::default(),
            first_alert,
            bad_baseline: false,
            notes: Vec::new(),
            slo: SloConfig::default(),
            recorded: Vec::new(),
        },
        &board,
        progress,
    )
    .await;
    let firing = board.alerts.iter().filter(|a| a.is_firing()).take(MAX_ALERTS);
    let for_alert = |a: &Alert| -> Vec<String> {
        let fitting = matches(playbooks, &[LinkedAlert::from_alert(a)]);
        fitting.iter().flat_map(|m| queries_for(m.playbook, &a.labels)).collect()
    };
    let of_playbooks = firing.flat_map(for_alert);
    let all: BTreeSet<String> = queries.iter().cloned().chain(of_playbooks).collect();
    for query in &all {
        for metrics in recorders.iter().filter_map(|r| r.metrics()) {
            // A source that cannot answer is recorded without it.
            let _unanswered = metrics.range(query, span, step).await;
        }
    }
    let sources = recorders.iter().map(|r| r.recorded()).collect();
    let recording = Recording::new(clean::line(title), span, step, sources);
    // A recording may be shared, so it is redacted too.
    let json = |e: serde_json::Error| crate::sources::SourceError::new(crate::sources::FaultKind::Malformed, e.to_string());
    Ok(crate::evidence::Redactor::new().redact_value(&recording).map_err(json)?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::investigate::clock::now;

    /// The demo is recorded like this, so that its playbooks can be run.
    #[tokio::test]
    async fn a_recording_answers_the_playbooks_of_its_alerts() {
        let demo = Recording::decode(include_bytes!("../../demo/pool-exhaustion.wrec")).unwrap();
        let set = SourceSet::from_sources(demo.clone().play(now()));
        let library = Library::load(&[]);
        let span = Window::before(now(), std::time::Duration::from_mins(13));
        let quiet: Progress = Arc::new(|_| {});
        let again = record(&set, span, "again", &[], &library, &quiet).await.unwrap();
        let alerts = set.alerts().await.alerts;
        let labels = &alerts.iter().find(|a| a.name == "HighErrorRate" && a.service() == Some("checkout")).unwrap().labels;
        let asked = queries_for(library.get("application-error").unwrap(), labels);
        assert!(asked.len() > 2 && asked[0].contains("service=\"checkout\""), "{asked:?}");
        for recording in [&demo, &again] {
            let is_known = |query: &String| recording.sources.iter().any(|s| s.ranges.contains_key(query));
            assert!(asked.iter().all(is_known), "{:?}", asked.iter().find(|q| !is_known(q)));
        }
    }
}
