//! Past incidents that look like this one, and what ended them: by the alerts they share, the services, and the words of their
//! titles. Plain rules: each match says why.

use std::collections::BTreeSet;

use serde::Serialize;

use super::ids::IncidentId;
use super::state::Incident;
use super::status::Status;
use crate::telemetry::Timestamp;

/// What is compared of an incident, and what is told of it.
#[derive(Clone, Debug)]
pub struct Trace {
    id: IncidentId,
    title: String,
    status: Status,
    declared_at: Timestamp,
    alerts: BTreeSet<String>,
    services: BTreeSet<String>,
    words: BTreeSet<String>,
    cause: Option<String>,
    fixes: Vec<String>,
}

impl Trace {
    /// Of a folded incident.
    pub fn of(incident: &Incident) -> Self {
        let text = |seq: u64| {
            incident.entries.iter().find(|e| e.seq == seq).map(|e| {
                let text = incident.text_of(e);
                text.strip_prefix("mitigation: ").unwrap_or(&text).to_owned()
            })
        };
        let supported = |h: &&super::state::Hypothesis| h.verdict == Some(super::event::Verdict::Supported);
        Self {
            id: incident.id(),
            title: incident.head.title.clone(),
            status: incident.head.status,
            declared_at: incident.head.declared_at,
            alerts: incident.alerts.iter().filter(|a| !a.name.is_empty()).map(|a| a.name.clone()).collect(),
            services: incident.services().into_iter().collect(),
            words: words(&incident.head.title),
            cause: incident.hypotheses.iter().rev().find(supported).map(|h| h.text.clone()),
            fixes: incident.mitigations.iter().filter_map(|(seq, _)| text(*seq)).collect(),
        }
    }
}

/// One that looks alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Similar {
    pub id: IncidentId,
    pub title: String,
    pub status: Status,
    pub declared_at: Timestamp,
    /// 0 to 1: half of it by shared alerts, a third by services, the rest by the title.
    pub score: f64,
    pub why: String,
    /// The hypothesis that was found to be right.
    pub cause: Option<String>,
    /// What was done to stop the harm, in order.
    pub fixes: Vec<String>,
}

/// Below this there is only a common word.
const LEAST: f64 = 0.2;

/// Words of a title that tell something: no figures, nothing short.
fn words(title: &str) -> BTreeSet<String> {
    title
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|w| w.chars().count() > 3 && !w.chars().any(|c| c.is_ascii_digit()))
        .collect()
}

/// Shared over all; 0 when neither side has any.
#[allow(clippy::cast_precision_loss, reason = "a handful of words")]
fn share(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let all = a.union(b).count();
    if all == 0 { 0.0 } else { a.intersection(b).count() as f64 / all as f64 }
}

/// Those of `others` that look like `this`, the most alike first; false alarms, parts of others and itself are left out.
pub fn similar(this: &Trace, others: &[Trace]) -> Vec<Similar> {
    let mut found: Vec<Similar> = others
        .iter()
        .filter(|o| o.id != this.id && !matches!(o.status, Status::Cancelled | Status::Merged))
        .filter_map(|o| {
            let score = share(&this.alerts, &o.alerts) / 2.0
                + share(&this.services, &o.services) / 3.0
                + share(&this.words, &o.words) / 6.0;
            let both = |name: &str, a: &BTreeSet<String>, b: &BTreeSet<String>| {
                let shared: Vec<&str> = a.intersection(b).map(String::as_str).collect();
                (!shared.is_empty()).then(|| format!("{name} {}", shared.join(", ")))
            };
            let why: Vec<String> = [
                both("alerts", &this.alerts, &o.alerts),
                both("services", &this.services, &o.services),
                both("words", &this.words, &o.words),
            ]
            .into_iter()
            .flatten()
            .collect();
            (score >= LEAST).then(|| Similar {
                id: o.id,
                title: o.title.clone(),
                status: o.status,
                declared_at: o.declared_at,
                score,
                why: why.join("; "),
                cause: o.cause.clone(),
                fixes: o.fixes.clone(),
            })
        })
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.declared_at.cmp(&a.declared_at)));
    found
}

/// For people: one paragraph each, with what ended it.
pub fn told(found: &[Similar]) -> String {
    if found.is_empty() {
        return "No past incident looks like this one.\n".to_owned();
    }
    let mut out = String::new();
    for s in found {
        out.push_str(&format!("{} {} ({}, {}): shares {}\n", s.id, s.title, s.declared_at.date(), s.status, s.why));
        out.push_str(&format!("  cause: {}\n", s.cause.as_deref().unwrap_or("none was confirmed")));
        for fix in &s.fixes {
            out.push_str(&format!("  done: {fix}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{declared, entries};
    use super::*;
    use crate::incident::{Fact, LinkedAlert, NoteKind};

    fn trace(n: u32, alert: &str, service: &str, fix: &str) -> Trace {
        let mut linked = LinkedAlert::unverified(alert);
        linked.name = alert.to_owned();
        linked.labels.insert("service".into(), service.into());
        let mut all = entries(vec![
            declared(),
            Fact::AlertLinked { alert: linked },
            Fact::Note { text: fix.into(), note_kind: NoteKind::Mitigation },
        ]);
        all.iter_mut().for_each(|e| e.incident = IncidentId(n));
        Trace::of(&Incident::fold(all).unwrap())
    }

    #[test]
    fn the_most_alike_comes_first_with_what_ended_it() {
        let this = trace(9, "PoolFull", "checkout", "");
        let others = [
            trace(1, "DiskFull", "node-3", "x"),
            trace(2, "SlowQueries", "checkout", "y"),
            trace(3, "PoolFull", "checkout", "raised the pool"),
            this.clone(),
        ];
        let found = similar(&this, &others);
        assert_eq!(found.iter().map(|s| s.id.0).collect::<Vec<_>>(), [3, 2], "{found:?}");
        assert_eq!(
            (found[0].fixes.as_slice(), found[0].why.contains("alerts PoolFull")),
            (&["raised the pool".to_owned()][..], true)
        );
        assert!(told(&found).contains("done: raised the pool") && told(&[]).contains("No past incident"));
    }
}
