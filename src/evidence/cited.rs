//! Findings of the analysis turned into cited ones, and the report that they make without a model.

use std::collections::BTreeMap;

use crate::analysis::Finding;
use crate::analysis::findings::{Key, SuspectInput};
use crate::incident::{CitedFinding, CitedSuspect, EvidenceId, EvidenceKind, FindingKind, Incident, SourceStatus};
use crate::telemetry::series::human_value;

/// Puts evidence numbers in place of keys; keys without evidence are dropped, and a finding that loses all of its inputs
/// that way is dropped too, except gaps, which have none.
pub fn cite(findings: Vec<Finding>, ids: &BTreeMap<Key, EvidenceId>) -> Vec<CitedFinding> {
    let number = |keys: &[Key]| {
        let mut found: Vec<EvidenceId> = keys.iter().filter_map(|k| ids.get(k).copied()).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let mut out: Vec<CitedFinding> = Vec::new();
    for finding in findings {
        let evidence = number(&finding.inputs);
        if evidence.is_empty() && !finding.inputs.is_empty() {
            continue;
        }
        out.push(CitedFinding {
            rank: u32::try_from(out.len() + 1).unwrap_or(u32::MAX),
            kind: finding.kind,
            title: finding.title,
            text: finding.text,
            confidence: (finding.confidence * 100.0).round() / 100.0,
            at: finding.at,
            evidence,
            against: number(&finding.against),
        });
    }
    out
}

/// Suspects that are written down.
const MAX_SUSPECTS: usize = 40;

/// Suspects with evidence numbers in place of keys, the likeliest first.
pub fn cite_suspects(suspects: &[SuspectInput], ids: &BTreeMap<Key, EvidenceId>) -> Vec<CitedSuspect> {
    suspects
        .iter()
        .take(MAX_SUSPECTS)
        .map(|SuspectInput { suspect: s, labels, unit, keys }| CitedSuspect {
            service: s.service.clone(),
            title: s.series.as_deref().map(|name| name.split_once('|').map_or(name, |(_, t)| t).to_owned()).unwrap_or_default(),
            labels: labels.clone(),
            unit: unit.clone(),
            score: (s.score * 100.0).round() / 100.0,
            direction: s.way.word().to_owned(),
            changed_at: s.changed_at,
            before: s.before,
            after: s.after,
            why: s.why(),
            evidence: keys.iter().filter_map(|k| ids.get(k).copied()).collect(),
        })
        .collect()
}

/// `[E3][E4]`, or nothing.
pub fn tags(ids: &[EvidenceId]) -> String {
    ids.iter().map(|id| format!("[{id}]")).collect()
}

/// The rule-based report: what an engineer gets when no model answers. Markdown; every statement cites.
pub fn rule_report(incident: &Incident) -> String {
    let mut out = String::from("_Rule-based report: computed from the evidence, no model was asked._\n");
    let Some(investigation) = &incident.investigation else {
        out.push_str("\nNothing was investigated yet: run `warroom investigate` first.\n");
        return out;
    };
    let read = |kinds: &[EvidenceKind]| incident.evidence.iter().any(|e| kinds.contains(&e.kind));
    let no_metrics = if read(&[EvidenceKind::Metric]) {
        "No series that was looked at left its normal range."
    } else {
        "No metrics were read."
    };
    let no_logs = if read(&[EvidenceKind::Logs, EvidenceKind::Patterns]) {
        "No new or rising error pattern was found in the logs that were read."
    } else {
        "No logs were read."
    };
    let no_gaps =
        if investigation.sources.is_empty() { "Everything: no source was asked." } else { "Every source answered in full." };
    let mut section = |title: &str, kinds: &[FindingKind], empty: &str| {
        out.push_str(&format!("\n## {title}\n\n"));
        let mut any = false;
        for f in investigation.findings.iter().filter(|f| kinds.contains(&f.kind)) {
            any = true;
            out.push_str(&format!("- {} {}\n", f.text.trim_end_matches('.'), tags(&f.evidence)).replace(" \n", "\n"));
        }
        if !any {
            out.push_str(&format!("{empty}\n"));
        }
    };
    section("What fires", &[FindingKind::Alerts, FindingKind::Verdict], "It was not looked at.");
    section("How bad it is", &[FindingKind::Severity, FindingKind::Slo], "Nothing that was seen speaks for a severity.");
    section(
        "Where it may have begun",
        &[FindingKind::Suspect, FindingKind::Against, FindingKind::Dependency],
        "No service stands out.",
    );
    section("What was changed", &[FindingKind::Change], "No deploy, restart or switch was seen in the window.");
    section("What moved, in order", &[FindingKind::Moved], no_metrics);
    section("What is new in the logs", &[FindingKind::Pattern], no_logs);
    section(
        "What is full or runs out",
        &[FindingKind::Saturation, FindingKind::Expiring],
        "Nothing that was looked at is nearly full or ends soon.",
    );
    section("What belongs together", &[FindingKind::Related], "No labels that tie the alerts together.");
    section(
        "What did not change",
        &[FindingKind::Unchanged],
        "No error or latency series of another service was available to compare.",
    );
    section("What could not be seen", &[FindingKind::Gap], no_gaps);
    out.push_str(&first_steps(&investigation.findings));
    let failed: Vec<&str> =
        investigation.sources.iter().filter(|s| s.status != SourceStatus::Ok).map(|s| s.name.as_str()).collect();
    if !failed.is_empty() {
        out.push_str(&format!("\nSources that did not answer: {}.\n", failed.join(", ")));
    }
    out
}

/// What to do first, in order: the likeliest place, the change closest to it, the first mover; each says what it does not prove.
fn first_steps(findings: &[CitedFinding]) -> String {
    let first = |kind: FindingKind| findings.iter().find(|f| f.kind == kind);
    let mut steps: Vec<String> = Vec::new();
    if let Some(f) = first(FindingKind::Suspect) {
        steps.push(format!(
            "{} {} (confidence of the evidence {}): look there first.",
            f.title,
            tags(&f.evidence),
            human_value(f.confidence)
        ));
    }
    if let Some(f) = first(FindingKind::Change).filter(|f| f.confidence >= 0.7) {
        steps.push(format!("{} {}: ask who made it, and whether it can be taken back.", f.title, tags(&f.evidence)));
    }
    if let Some(f) = first(FindingKind::Moved) {
        steps.push(format!(
            "{} {}: nothing else that was looked at moved earlier (confidence of the evidence {}). First to move is not proof of \
             cause: check what changed there at that time.",
            f.title,
            tags(&f.evidence),
            human_value(f.confidence)
        ));
    }
    if steps.is_empty() {
        return String::new();
    }
    let list: String = steps.iter().enumerate().map(|(n, s)| format!("{}. {s}\n", n + 1)).collect();
    format!("\n## Where to look first\n\n{list}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_numbers_and_the_unfounded_is_dropped() {
        let finding = |inputs: &[&str], kind| Finding {
            kind,
            title: "t".into(),
            text: "x".into(),
            confidence: 0.8333,
            at: None,
            inputs: inputs.iter().map(|s| (*s).to_owned()).collect(),
            against: vec![],
        };
        let ids = BTreeMap::from([("a".to_owned(), EvidenceId(4)), ("b".to_owned(), EvidenceId(2))]);
        let cited = cite(
            vec![
                finding(&["gone"], FindingKind::Moved),
                finding(&["a", "b", "a"], FindingKind::Moved),
                finding(&[], FindingKind::Gap),
            ],
            &ids,
        );
        assert_eq!(cited.len(), 2);
        assert_eq!((cited[0].rank, cited[0].evidence.as_slice()), (1, &[EvidenceId(2), EvidenceId(4)][..]));
        assert_eq!(cited[0].confidence, 0.83);
    }
}
