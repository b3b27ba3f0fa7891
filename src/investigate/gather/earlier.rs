//! The same hours a day and a week earlier, for the metrics that moved most.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::super::clock::now;
use super::Gathered;
use crate::analysis::Direction;
use crate::analysis::departure::quantile;
use crate::analysis::findings::{EarlierLevel, Key};
use crate::evidence::{Body, Draft};
use crate::incident::EvidenceKind;
use crate::sources::MetricSource;
use crate::telemetry::series::human_value;
use crate::telemetry::{Timestamp, Window, clean};

/// Metrics whose earlier levels are queried: enough for the suspects at the top, and few enough that all questions of an investigation stay
/// below 34 in a shop of three services.
const MAX_METRICS: usize = 3;

/// Asks how the metrics that changed most were at the same hours a day and a week earlier, and adds those levels to them. A backend
/// that no longer holds those days is not a gap: most keep a few days only.
pub(super) async fn add(
    out: &mut Gathered,
    source: &str,
    backend: &dyn MetricSource,
    window: Window,
    onset: Timestamp,
    step: f64,
) {
    let keys = changed_most(out);
    let prefix = format!("metric/{source}/");
    let days = [("a day earlier", Duration::from_hours(24)), ("a week earlier", Duration::from_hours(7 * 24))];
    let asked: Vec<(&Key, &str, &str, Window)> = keys
        .iter()
        .flat_map(|key| {
            let query = key.strip_prefix(&prefix).unwrap_or_default();
            days.iter().map(move |(when, by)| (key, query, *when, Window { start: onset - *by, end: window.end - *by }))
        })
        .collect();
    let answers = join_all(asked.iter().map(|(_, query, _, hours)| backend.range(query, *hours, step))).await;
    for ((key, query, when, hours), answer) in asked.into_iter().zip(answers) {
        let Ok(answer) = answer else { continue };
        let earlier_key = format!("{key} {when}");
        let mut levels: Vec<String> = Vec::new();
        for series in &answer.value {
            let mut values: Vec<f64> = series.samples.iter().map(|s| s.value).filter(|v| v.is_finite()).collect();
            let Some(level) = quantile(&mut values, 0.5) else { continue };
            for m in out.signals.metrics.iter_mut().filter(|m| m.key == *key && m.labels == series.labels) {
                let shown = if m.unit == "%" { format!("{}%", human_value(level * 100.0)) } else { human_value(level) };
                levels.push(format!("{}{shown}", m.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default()));
                m.earlier.push(EarlierLevel { when: when.to_owned(), level, key: earlier_key.clone() });
            }
        }
        if levels.is_empty() {
            continue;
        }
        let total = u64::try_from(answer.value.len()).unwrap_or(0);
        let drawn = out.drafts.iter().find(|(k, _)| k == key).map(|(_, d)| d.body.clone());
        let (title, unit) = match drawn {
            Some(Body::Series { title, unit, .. }) => (title, unit),
            _ => (query.to_owned(), String::new()),
        };
        let draft = Draft {
            kind: EvidenceKind::Metric,
            source: source.to_owned(),
            query: query.to_owned(),
            window: hours,
            taken_at: now(),
            summary: format!("{title} at the same hours {when}: {}", clean::truncate(&levels.join(", "), 120)),
            shown: total,
            total: answer.total.unwrap_or(total),
            body: Body::Series { title, unit, step_secs: step, threshold: None, series: answer.value },
            gaps: answer.gaps,
        };
        out.drafts.push((earlier_key, draft));
    }
}

/// The metrics that changed most, by key, at most [`MAX_METRICS`].
fn changed_most(out: &Gathered) -> Vec<Key> {
    let mut scores: BTreeMap<&Key, f64> = BTreeMap::new();
    for m in out.signals.metrics.iter().filter(|m| m.movement.direction != Direction::Flat && !m.is_alert_expression) {
        let score = scores.entry(&m.key).or_insert(m.movement.score);
        *score = score.max(m.movement.score);
    }
    let mut scores: Vec<(&Key, f64)> = scores.into_iter().collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    scores.into_iter().take(MAX_METRICS).map(|(key, _)| key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Movement;
    use crate::analysis::findings::MetricInput;
    use crate::sources::{Answer, AnswerFuture, Probe, Source, SourceError};
    use crate::telemetry::{Labels, Rule, Sample, Series};
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_795_253_400 + secs)
    }

    /// Answers every range with one series of a level, and nothing before a moment.
    struct Fake {
        since: Timestamp,
    }

    impl Source for Fake {
        fn name(&self) -> &'static str {
            "prom"
        }
        fn kind(&self) -> &'static str {
            "prometheus"
        }
        fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
            async { Ok(Probe::ok("")) }.boxed()
        }
    }

    impl MetricSource for Fake {
        fn range<'a>(&'a self, _query: &'a str, window: Window, _step_secs: f64) -> AnswerFuture<'a, Vec<Series>> {
            let known = window.start >= self.since;
            let samples = (0..5).map(|n| Sample { at: window.start + Duration::from_secs(60 * n), value: 4.5 }).collect();
            let series = Series { labels: Labels::from([("service".into(), "shop".into())]), samples };
            async move { Ok(Answer::complete(if known { vec![series] } else { vec![] })) }.boxed()
        }
        fn series<'a>(&'a self, _selector: &'a str, _window: Window) -> AnswerFuture<'a, Vec<Labels>> {
            async { Ok(Answer::complete(vec![])) }.boxed()
        }
        fn label_values<'a>(&'a self, _label: &'a str, _window: Window) -> AnswerFuture<'a, Vec<String>> {
            async { Ok(Answer::complete(vec![])) }.boxed()
        }
        fn rules(&self) -> AnswerFuture<'_, Vec<Rule>> {
            async { Ok(Answer::complete(vec![])) }.boxed()
        }
    }

    #[tokio::test]
    async fn earlier_levels_lower_the_confidence_in_what_is_usual_at_that_hour() {
        let window = Window::new(at(0), at(1200));
        let moved = MetricInput {
            key: "metric/prom/latency".into(),
            service: Some("shop".into()),
            title: "latency p95".into(),
            unit: "s".into(),
            movement: Movement {
                direction: Direction::Up,
                score: 80.0,
                changed_at: Some(at(700)),
                before: Some(0.1),
                after: Some(4.6),
                back_at: None,
            },
            is_alert_expression: false,
            threshold: None,
            requests: None,
            labels: Labels::from([("service".into(), "shop".into())]),
            earlier: vec![],
        };
        let mut out = Gathered::default();
        out.signals.alerts_known = true;
        out.signals.metrics.push(moved);
        // The backend keeps two days, so it has no data of the week before.
        let source = Fake { since: at(0) - Duration::from_hours(48) };
        add(&mut out, "prom", &source, window, at(600), 60.0).await;
        let earlier = &out.signals.metrics[0].earlier;
        assert_eq!((earlier.len(), earlier[0].when.as_str(), earlier[0].level), (1, "a day earlier", 4.5));
        let (key, draft) = &out.drafts[0];
        assert_eq!((out.drafts.len(), draft.window.end), (1, at(1200) - Duration::from_hours(24)));
        let found = crate::analysis::findings::single(&out.signals);
        let finding = found.iter().find(|f| f.kind == crate::incident::FindingKind::Metric).unwrap();
        assert!(
            finding.text.contains("at the same time of day it was 4.5 s a day earlier: usual at this time of day"),
            "{finding:?}"
        );
        assert!(finding.against == [key.clone()] && finding.confidence < 0.5, "{finding:?}");
    }
}
