//! Search for similar past incidents. The score depends on the alerts, services and title words that two incidents share, and
//! each match says which ones those are.

use std::collections::BTreeSet;

use serde::Serialize;

use super::ids::IncidentId;
use super::state::Incident;
use super::status::Status;
use crate::telemetry::Timestamp;

/// The parts of an incident that are compared, and those that are shown for a match.
#[derive(Clone, Debug)]
pub struct Features {
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

impl Features {
    /// Extracts them from an incident.
    pub fn from_incident(incident: &Incident) -> Self {
        let mitigation_text = |seq: u64| {
            incident.entries.iter().find(|e| e.seq == seq).map(|e| {
                let text = incident.entry_text(e);
                text.strip_prefix("Mitigation: ").unwrap_or(&text).to_owned()
            })
        };
        let is_supported = |h: &&super::state::Hypothesis| h.verdict == Some(super::event::Verdict::Supported);
        Self {
            id: incident.id(),
            title: incident.head.title.clone(),
            status: incident.head.status,
            declared_at: incident.head.declared_at,
            alerts: incident.alerts.iter().filter(|a| !a.name.is_empty()).map(|a| a.name.clone()).collect(),
            services: incident.services().into_iter().collect(),
            words: title_words(&incident.head.title),
            cause: incident.hypotheses.iter().rev().find(is_supported).map(|h| h.text.clone()),
            fixes: incident.mitigations.iter().filter_map(|(seq, _)| mitigation_text(*seq)).collect(),
        }
    }
}

/// A similar incident.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Similar {
    pub id: IncidentId,
    pub title: String,
    pub status: Status,
    pub declared_at: Timestamp,
    /// 0 to 1: half for shared alerts, a third for shared services, a sixth for shared title words.
    pub score: f64,
    /// The shared alerts, services and title words.
    pub why: String,
    /// The text of the supported hypothesis.
    pub cause: Option<String>,
    /// The recorded mitigations, in order.
    pub fixes: Vec<String>,
}

/// The minimum score of a match. A lower score usually means that only one title word is shared.
const MIN_SCORE: f64 = 0.2;

/// The distinctive words of a title: longer than three characters and without digits.
fn title_words(title: &str) -> BTreeSet<String> {
    title
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|w| w.chars().count() > 3 && !w.chars().any(|c| c.is_ascii_digit()))
        .collect()
}

/// The Jaccard similarity of two sets: common elements over all elements. 0 if both are empty.
fn similarity(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let all = a.union(b).count();
    if all == 0 { 0.0 } else { a.intersection(b).count() as f64 / all as f64 }
}

/// Returns the incidents in `others` that are similar to `this`, most similar first. Cancelled and merged incidents and `this`
/// itself are left out.
pub fn similar(this: &Features, others: &[Features]) -> Vec<Similar> {
    let mut found: Vec<Similar> = others
        .iter()
        .filter(|o| o.id != this.id && !matches!(o.status, Status::Cancelled | Status::Merged))
        .filter_map(|o| {
            let score = similarity(&this.alerts, &o.alerts) / 2.0
                + similarity(&this.services, &o.services) / 3.0
                + similarity(&this.words, &o.words) / 6.0;
            let shared = |name: &str, a: &BTreeSet<String>, b: &BTreeSet<String>| {
                let common: Vec<&str> = a.intersection(b).map(String::as_str).collect();
                (!common.is_empty()).then(|| format!("{name} {}", common.join(", ")))
            };
            let why: Vec<String> = [
                shared("alerts", &this.alerts, &o.alerts),
                shared("services", &this.services, &o.services),
                shared("title words", &this.words, &o.words),
            ]
            .into_iter()
            .flatten()
            .collect();
            (score >= MIN_SCORE).then(|| Similar {
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

/// Formats matches as text: one paragraph per incident, with its cause and mitigations.
pub fn describe(found: &[Similar]) -> String {
    if found.is_empty() {
        return "No similar incidents found.\n".to_owned();
    }
    let mut out = String::new();
    for s in found {
        out.push_str(&format!("{} {} ({}, {}); in common: {}\n", s.id, s.title, s.declared_at.date(), s.status, s.why));
        out.push_str(&format!("  cause: {}\n", s.cause.as_deref().unwrap_or("not confirmed")));
        for fix in &s.fixes {
            out.push_str(&format!("  mitigation: {fix}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{declared, entries};
    use super::*;
    use crate::incident::{Fact, LinkedAlert, NoteKind};

    fn trace(n: u32, alert: &str, service: &str, fix: &str) -> Features {
        let mut linked = LinkedAlert::unverified(alert);
        linked.name = alert.to_owned();
        linked.labels.insert("service".into(), service.into());
        let mut all = entries(vec![
            declared(),
            Fact::AlertLinked { alert: linked },
            Fact::Note { text: fix.into(), note_kind: NoteKind::Mitigation },
        ]);
        for e in &mut all {
            e.incident = IncidentId(n);
        }
        Features::from_incident(&Incident::fold(all).unwrap())
    }

    #[test]
    fn lists_the_most_similar_first_with_its_mitigations() {
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
        assert!(describe(&found).contains("mitigation: raised the pool") && describe(&[]).contains("No similar incidents"));
    }
}
