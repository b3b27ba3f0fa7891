use super::*;
use crate::incident::fact::Actor;

/// Builds the entries of an incident from facts that are a minute apart. Hashes are left empty.
pub(crate) fn entries(facts: Vec<Fact>) -> Vec<Entry> {
    facts
        .into_iter()
        .enumerate()
        .map(|(i, fact)| {
            let at = Timestamp::from_secs(1_795_253_400 + 60 * i64::try_from(i).unwrap());
            Entry {
                incident: IncidentId(1),
                seq: u64::try_from(i).unwrap() + 1,
                at,
                recorded_at: at,
                actor: Actor::human("ana"),
                fact,
                hash: String::new(),
            }
        })
        .collect()
}

pub(crate) fn declared() -> Fact {
    Fact::IncidentDeclared {
        title: "checkout is failing".into(),
        severity: Severity::Sev3,
        status: Status::Investigating,
        severity_given: true,
        reason: None,
        matrix: None,
    }
}

#[test]
fn computes_milestones_and_durations() {
    let mut alert = LinkedAlert::unverified("f1");
    alert.starts_at = Some(Timestamp::from_secs(1_795_253_400 - 120));
    alert.pending_since = Some(Timestamp::from_secs(1_795_253_400 - 180));
    let incident = Incident::fold(entries(vec![
        declared(),
        Fact::AlertLinked { alert },
        Fact::Acknowledged,
        Fact::SeverityChanged { from: Severity::Sev3, to: Severity::Sev2, reason: "orders fail".into() },
        Fact::StatusChanged {
            from: Status::Investigating,
            to: Status::Mitigated,
            override_reason: None,
            open: Vec::new(),
            reason: None,
        },
        Fact::StatusChanged {
            from: Status::Mitigated,
            to: Status::Resolved,
            override_reason: None,
            open: Vec::new(),
            reason: None,
        },
    ]))
    .unwrap();
    let d = incident.durations();
    assert_eq!(d.detect_secs, Some(60.0));
    assert_eq!(d.acknowledge_secs, Some(240.0));
    assert_eq!(d.mitigate_secs, Some(420.0));
    assert_eq!(d.resolve_secs, Some(480.0));
    assert_eq!(incident.time_in_severity(Timestamp::from_secs(0)), [(Severity::Sev2, 120.0), (Severity::Sev3, 180.0)]);
    assert_eq!(incident.peak_severity(), Severity::Sev2);
    assert!(incident.assumed_milestones().is_empty());
    assert_eq!(incident.window(Timestamp::from_secs(0)).start.secs(), 1_795_253_400 - 180 - 600);
}

#[test]
fn late_identification_keeps_the_mitigation_and_backdated_severity_is_not_current() {
    let to = |from, to| Fact::StatusChanged { from, to, override_reason: None, open: Vec::new(), reason: None };
    let severity = |to| Fact::SeverityChanged { from: Severity::Sev3, to, reason: "x".into() };
    let mut all = entries(vec![
        declared(),
        to(Status::Investigating, Status::Mitigated),
        to(Status::Mitigated, Status::Identified),
        severity(Severity::Sev2),
        severity(Severity::Sev1),
    ]);
    // SEV1 is backdated to before SEV2.
    all[4].at = Timestamp::from_secs(1_795_253_400 + 90);
    let incident = Incident::fold(all).unwrap();
    assert_eq!(incident.durations().mitigate_secs, Some(60.0));
    assert_eq!((incident.head.severity, incident.peak_severity()), (Severity::Sev2, Severity::Sev1));
    assert_eq!(incident.severities.last().map(|s| s.severity), Some(incident.head.severity));
}

#[test]
fn resolution_alone_is_not_a_measured_mitigation_and_cancelling_ends_time_in_severity() {
    let change = |to| Fact::StatusChanged {
        from: Status::Investigating,
        to,
        override_reason: Some("x".into()),
        open: Vec::new(),
        reason: None,
    };
    let mut alert = LinkedAlert::unverified("f");
    (alert.starts_at, alert.pending_since) = (Some(Timestamp::from_secs(0)), Some(Timestamp::from_secs(0)));
    let linked = Fact::AlertLinked { alert };
    let resolved = Incident::fold(entries(vec![declared(), linked.clone(), change(Status::Resolved)])).unwrap();
    assert_eq!(resolved.assumed_milestones(), ["mitigated_at"]);
    assert_eq!(resolved.measured_durations().mitigate_secs, None);
    assert!(resolved.measured_durations().resolve_secs.is_some());
    let mitigated =
        Incident::fold(entries(vec![declared(), linked, change(Status::Mitigated), change(Status::Resolved)])).unwrap();
    assert!(mitigated.assumed_milestones().is_empty() && mitigated.measured_durations().mitigate_secs.is_some());
    let cancelled = Incident::fold(entries(vec![declared(), change(Status::Cancelled)])).unwrap();
    let later = Timestamp::from_secs(1_795_253_400 + 86_400);
    assert_eq!(cancelled.time_in_severity(later), [(Severity::Sev3, 60.0)]);
}

#[test]
fn reopening_clears_the_resolution() {
    let incident = Incident::fold(entries(vec![
        declared(),
        Fact::StatusChanged {
            from: Status::Investigating,
            to: Status::Resolved,
            override_reason: Some("x".into()),
            open: Vec::new(),
            reason: None,
        },
        Fact::Reopened { reason: "it is back".into() },
    ]))
    .unwrap();
    assert_eq!(incident.head.status, Status::Investigating);
    assert_eq!(incident.durations().resolve_secs, None);
    assert_eq!(incident.assumed_milestones(), ["impact_started_at", "detected_at"]);
}

#[test]
fn correction_is_shown_and_keeps_the_original() {
    let incident = Incident::fold(entries(vec![
        declared(),
        Fact::Note { text: "restarted db-1".into(), note_kind: NoteKind::Observation },
        Fact::Corrected { seq: 2, text: "restarted db-2".into(), reason: "wrong host".into() },
    ]))
    .unwrap();
    assert_eq!(incident.entry_text(&incident.entries[1]), "restarted db-2 (corrected)");
    assert_eq!(incident.entries[1].fact.sentence(), "restarted db-1");
}

#[test]
fn fold_requires_a_declaration_first() {
    assert!(Incident::fold(Vec::new()).is_none());
    assert!(Incident::fold(entries(vec![Fact::Acknowledged])).is_none());
}

#[test]
fn summary_is_the_same_applied_step_by_step_and_folded() {
    let all = entries(vec![
        declared(),
        Fact::RoleAssigned { role: Role::Commander, holder: "ben".into(), from: None },
        Fact::ActionDone { id: ActionId(9), result: None },
        Fact::Acknowledged,
    ]);
    let mut head = Summary::from_declaration(&all[0]).unwrap();
    all[1..].iter().for_each(|e| head.apply(e));
    assert_eq!(head, Incident::fold(all).unwrap().head);
}
