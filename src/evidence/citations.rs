//! Adds evidence ids to the findings of the analysis, and writes the rule-based report that needs no model.

use std::collections::BTreeMap;

use crate::analysis::Finding;
use crate::analysis::findings::{Key, SuspectInput};
use crate::incident::state::Investigation;
use crate::incident::{CitedFinding, CitedSuspect, EvidenceId, EvidenceKind, FindingKind, Incident, SourceStatus};
use crate::telemetry::series::human_value;

/// Replaces the input keys of findings with evidence ids and ranks the findings from 1 in their order.
///
/// Keys without evidence are dropped. A finding that had inputs and loses all of them is dropped as well; a finding without
/// inputs, such as a data gap, is kept.
pub fn cite(findings: Vec<Finding>, ids: &BTreeMap<Key, EvidenceId>) -> Vec<CitedFinding> {
    let evidence_ids = |keys: &[Key]| {
        let mut found: Vec<EvidenceId> = keys.iter().filter_map(|k| ids.get(k).copied()).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let mut out: Vec<CitedFinding> = Vec::new();
    for finding in findings {
        let evidence = evidence_ids(&finding.inputs);
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
            against: evidence_ids(&finding.against),
            service: finding.service,
            subject: finding.subject,
            situation: finding.situation,
            severity: finding.severity,
            conclusion: finding.conclusion,
            details: cite(finding.details, ids),
        });
    }
    out
}

/// The maximum number of suspects that are recorded.
const MAX_SUSPECTS: usize = 40;

/// Replaces the keys of suspects with evidence ids. Keeps the order (most likely first) and at most `MAX_SUSPECTS`.
pub fn cite_suspects(suspects: &[SuspectInput], ids: &BTreeMap<Key, EvidenceId>) -> Vec<CitedSuspect> {
    suspects
        .iter()
        .take(MAX_SUSPECTS)
        .map(|SuspectInput { suspect: s, keys }| CitedSuspect {
            service: s.service.clone(),
            title: s.series.as_ref().map(|id| id.metric.clone()).unwrap_or_default(),
            labels: s.series.as_ref().map(|id| id.labels.clone()).unwrap_or_default(),
            unit: s.unit.clone(),
            score: (s.score * 100.0).round() / 100.0,
            direction: s.direction.word().to_owned(),
            changed_at: s.changed_at,
            before: s.before,
            after: s.after,
            why: s.why(),
            evidence: keys.iter().filter_map(|k| ids.get(k).copied()).collect(),
        })
        .collect()
}

/// The ids as citation tags, such as `[E3][E4]`. Empty without ids.
pub fn tags(ids: &[EvidenceId]) -> String {
    ids.iter().map(|id| format!("[{id}]")).collect()
}

/// The ids that a text cites by tags such as `[E3]`.
pub fn tagged(text: &str) -> impl Iterator<Item = EvidenceId> + '_ {
    text.split("[E").skip(1).filter_map(|rest| rest.split_once(']')?.0.parse().ok().map(EvidenceId))
}

/// The rule-based report in Markdown, used when no model answers. Each finding cites its evidence.
pub fn rule_report(incident: &Incident) -> String {
    let mut out = String::from("_Rule-based report: computed from the evidence without a model._\n");
    let Some(investigation) = &incident.investigation else {
        out.push_str("\nNot investigated yet. Run `warroom investigate` first.\n");
        return out;
    };
    let has_evidence = |kinds: &[EvidenceKind]| incident.current_evidence().any(|e| kinds.contains(&e.kind));
    let no_metrics = if has_evidence(&[EvidenceKind::Metric]) {
        "No series that was checked left its normal range."
    } else {
        "No metrics were queried."
    };
    let no_logs = if has_evidence(&[EvidenceKind::Logs, EvidenceKind::Patterns]) {
        "No new or rising error pattern was found in the logs."
    } else {
        "No logs were read."
    };
    let no_gaps = if investigation.sources.is_empty() { "No source was queried." } else { "Every source answered in full." };
    if let Some(conclusion) = investigation.conclusion() {
        out.push_str(&format!("\n## Conclusion\n\n{} {}\n", conclusion.text, tags(&conclusion.evidence)).replace(" \n", "\n"));
    }
    let mut section = |title: &str, kinds: &[FindingKind], empty: &str| {
        out.push_str(&format!("\n## {title}\n\n"));
        let mut any = false;
        for f in investigation.details().filter(|f| kinds.contains(&f.kind)) {
            any = true;
            out.push_str(&format!("- {} {}\n", f.text.trim_end_matches('.'), tags(&f.evidence)).replace(" \n", "\n"));
        }
        if !any {
            out.push_str(&format!("{empty}\n"));
        }
    };
    section("Alerts", &[FindingKind::Alerts, FindingKind::Verdict], "Alerts were not checked.");
    section("Severity", &[FindingKind::Severity, FindingKind::Slo], "The evidence does not suggest a severity.");
    section(
        "Probable origin",
        &[FindingKind::Suspect, FindingKind::Contradiction, FindingKind::Dependency],
        "No service is suspect.",
    );
    section("Recent changes", &[FindingKind::Change], "No deploy, restart or configuration change was found in the window.");
    section("Metric changes, in order", &[FindingKind::Metric], no_metrics);
    section("New log patterns", &[FindingKind::Pattern], no_logs);
    section(
        "Saturation and expiry",
        &[FindingKind::Saturation, FindingKind::Expiring],
        "Nothing that was checked is nearly full or about to expire.",
    );
    section("Related alerts", &[FindingKind::Related], "The alerts share no labels that link them.");
    section(
        "Unchanged signals",
        &[FindingKind::Unchanged],
        "No error or latency series of another service is known to have stayed the same.",
    );
    section("Data gaps", &[FindingKind::Gap], no_gaps);
    out.push_str(&first_steps(investigation));
    let failed: Vec<&str> =
        investigation.sources.iter().filter(|s| s.status != SourceStatus::Ok).map(|s| s.name.as_str()).collect();
    if !failed.is_empty() {
        out.push_str(&format!("\nSources that did not answer: {}.\n", failed.join(", ")));
    }
    out
}

/// The first steps to take: check the most likely origin, then a change with a confidence of at least 0.7, then the first
/// signal that changed. Empty without such findings.
fn first_steps(investigation: &Investigation) -> String {
    let first = |kind: FindingKind| investigation.details().find(|f| f.kind == kind);
    let mut steps: Vec<String> = Vec::new();
    if let Some(f) = first(FindingKind::Suspect) {
        steps.push(format!(
            "{} {} (confidence in the evidence: {}). Look there first.",
            f.title,
            tags(&f.evidence),
            human_value(f.confidence)
        ));
    }
    if let Some(f) = first(FindingKind::Change).filter(|f| f.confidence >= 0.7) {
        steps.push(format!("{} {}: ask who made it and whether it can be rolled back.", f.title, tags(&f.evidence)));
    }
    if let Some(f) = first(FindingKind::Metric) {
        steps.push(format!(
            "{} {}: no other metric that was checked changed earlier (confidence in the evidence: {}). Being first is not proof of \
             cause: check what happened there at that time.",
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
    fn replaces_keys_with_ids_and_drops_findings_without_evidence() {
        let finding = |inputs: &[&str], kind| Finding {
            kind,
            title: "t".into(),
            text: "x".into(),
            confidence: 0.8333,
            at: None,
            inputs: inputs.iter().map(|s| (*s).to_owned()).collect(),
            ..Finding::default()
        };
        let ids = BTreeMap::from([("a".to_owned(), EvidenceId(4)), ("b".to_owned(), EvidenceId(2))]);
        let cited = cite(
            vec![
                finding(&["gone"], FindingKind::Metric),
                finding(&["a", "b", "a"], FindingKind::Metric),
                finding(&[], FindingKind::Gap),
            ],
            &ids,
        );
        assert_eq!(cited.len(), 2);
        assert_eq!((cited[0].rank, cited[0].evidence.as_slice()), (1, &[EvidenceId(2), EvidenceId(4)][..]));
        assert_eq!(cited[0].confidence, 0.83);
    }
}
