//! Property tests of the incident state: any sequence of facts folds into a valid incident without a panic or a negative
//! duration, and folding step by step gives the same state as folding all facts together.

use proptest::prelude::*;
use warroom::incident::brief::{Reader, brief};
use warroom::incident::gate::{DEFAULT_MONITOR_TIME, gates, open_items_for};
use warroom::incident::stats::{Row, stats};
use warroom::incident::{
    ActionChange, ActionId, ActionKind, ActionScope, ActionState, Actor, Audience, Comparison, Entry, EscalationLevel, EventKind,
    EvidenceId, ExitCriteria, ExitReading, Fact, FoundBy, Grade, Incident, IncidentId, LinkedAlert, Milestone, NoteKind, Remark,
    Role, Severity, Status, Verdict,
};
use warroom::telemetry::{Timestamp, Window};

const START: i64 = 1_795_253_400;

fn pick<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = T> + use<T> {
    proptest::sample::select(all.to_vec())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-50_000_i64..50_000).prop_map(|s| Timestamp::from_secs(START + s))
}

fn text() -> impl Strategy<Value = String> {
    pick(&["pool is full [E1]", "TODO: page the DBA", "", "x\ny | z `q`", "[E99] see AL3", "✓ 家族"]).prop_map(str::to_owned)
}

fn alert() -> impl Strategy<Value = LinkedAlert> {
    (0_u8..4, proptest::option::of(time()), proptest::option::of(time()), any::<bool>()).prop_map(
        |(n, starts, pending, verified)| LinkedAlert {
            starts_at: starts,
            pending_since: pending,
            verified,
            ..LinkedAlert::unverified(format!("f{n}"))
        },
    )
}

fn change() -> impl Strategy<Value = ActionChange> {
    (proptest::option::of(text()), proptest::option::of(pick(&ActionState::ALL)), proptest::option::of(time()))
        .prop_map(|(owner, state, check_back_at)| ActionChange { owner, state, check_back_at, ..ActionChange::default() })
}

fn reading() -> impl Strategy<Value = ExitReading> {
    (any::<bool>(), time(), time()).prop_map(|(met, a, b)| ExitReading {
        met,
        window: Window::new(a, b),
        worst: Some(f64::NAN),
        last: None,
        samples: 0,
        held_secs: 0.0,
        why: "x".into(),
        source: "p".into(),
        evidence: Some(EvidenceId(1)),
    })
}

/// Any kind of fact, including facts about entries, actions and roles that do not exist.
#[expect(clippy::too_many_lines, reason = "one strategy per fact")]
fn fact() -> impl Strategy<Value = Fact> {
    let seq = 0_u64..30;
    let action = (0_u32..4).prop_map(ActionId);
    let one = prop_oneof![
        alert().prop_map(|alert| Fact::AlertLinked { alert }),
        (0_u8..4).prop_map(|n| Fact::AlertUnlinked { name: String::new(), fingerprint: format!("f{n}"), reason: None }),
        (0_u8..4).prop_map(|n| Fact::AlertFired { fingerprint: format!("f{n}"), name: String::new() }),
        (0_u8..4).prop_map(|n| Fact::AlertResolved { fingerprint: format!("f{n}"), name: "A".into() }),
        Just(Fact::Acknowledged),
        text().prop_map(|reason| Fact::Unacknowledged { reason }),
        (pick(EscalationLevel::ALL), text()).prop_map(|(level, reason)| Fact::Escalated { level, to: None, reason }),
        (pick(&Severity::ALL), pick(&Severity::ALL), text()).prop_map(|(from, to, reason)| Fact::SeverityChanged {
            from,
            to,
            reason
        }),
        (pick(&Status::ALL), pick(&Status::ALL), proptest::option::of(text()))
            .prop_map(|(from, to, reason)| { Fact::StatusChanged { from, to, override_reason: None, open: Vec::new(), reason } }),
        text().prop_map(|reason| Fact::Reopened { reason }),
        (0_u32..4).prop_map(|n| Fact::Merged { into: IncidentId(n), reason: None }),
        (0_u32..4).prop_map(|n| Fact::Absorbed {
            from: IncidentId(n),
            title: "t".into(),
            impact: None,
            alerts: vec!["f1".into()]
        }),
        (0_u32..4).prop_map(|n| Fact::Released { from: IncidentId(n) }),
    ];
    let two = prop_oneof![
        (proptest::option::of(text()), proptest::option::of(text())).prop_map(|(users, text)| Fact::ImpactChanged {
            services: Some(vec!["checkout".into()]),
            users,
            region: None,
            text,
            data: None,
        }),
        (pick(&Milestone::ALL), time(), proptest::option::of(text())).prop_map(|(milestone, to, exception)| Fact::TimeSet {
            milestone,
            to,
            reason: "r".into(),
            exception
        }),
        (pick(&["stakeholders-told", "commander", "nonsense"]), any::<bool>()).prop_map(|(item, met)| Fact::GateTicked {
            item: item.into(),
            met,
            text: "x".into()
        }),
        Just(Fact::ExitCriteriaSet {
            criteria: ExitCriteria {
                expression: "e".into(),
                comparison: Comparison::Below,
                threshold: 1.0,
                for_secs: 60,
                source: None
            }
        }),
        reading().prop_map(|reading| Fact::ExitRead { reading, criteria: None }),
        (pick(Audience::ALL), proptest::option::of(time())).prop_map(|(audience, next_due)| Fact::UpdatePublished {
            audience,
            text: "x".into(),
            next_due
        }),
        (pick(EventKind::ALL), text()).prop_map(|(event, text)| Fact::Event { event, text }),
        (seq.clone(), pick(Verdict::ALL)).prop_map(|(seq, verdict)| Fact::HypothesisJudged { seq, verdict, reason: "x".into() }),
        (seq.clone(), pick(Remark::ALL), text()).prop_map(|(seq, remark, text)| Fact::DecisionRemarked {
            seq,
            remark,
            by: "ben".into(),
            text
        }),
        (pick(Grade::ALL), pick(FoundBy::ALL)).prop_map(|(grade, found_by)| Fact::DiagnosisGraded {
            grade,
            found_by,
            text: None
        }),
    ];
    let three = prop_oneof![
        (pick(&Role::ALL), pick(&["ana", "ben"])).prop_map(|(role, holder)| Fact::RoleAssigned {
            role,
            holder: holder.into(),
            from: None
        }),
        (pick(&Role::ALL), pick(&["ana", "ben"])).prop_map(|(role, holder)| Fact::RoleRenounced { role, holder: holder.into() }),
        (pick(&NoteKind::ALL), text()).prop_map(|(note_kind, text)| Fact::Note { text, note_kind }),
        seq.clone().prop_map(|seq| Fact::DraftAccepted { seq }),
        (action.clone(), pick(&ActionKind::ALL), any::<bool>(), proptest::option::of(time())).prop_map(
            |(number, kind, now, check_back)| {
                let scope = if now { ActionScope::Incident } else { ActionScope::FollowUp };
                let mut fact = Fact::action("do it", kind, scope);
                if let Fact::ActionAdded { id, check_back_at, .. } = &mut fact {
                    (*id, *check_back_at) = (number, check_back);
                }
                fact
            }
        ),
        (action.clone(), pick(&ActionState::ALL), change()).prop_map(|(id, from, change)| Fact::ActionChanged {
            id,
            from,
            change
        }),
        action.prop_map(|id| Fact::ActionDone { id, result: None }),
        (seq.clone(), text()).prop_map(|(seq, text)| Fact::Corrected { seq, text, reason: "x".into() }),
        (seq, text()).prop_map(|(seq, text)| Fact::Undone { seq, text, is_redo: false }),
        Just(Fact::Acknowledged),
    ];
    prop_oneof![one, two, three]
}

fn declared() -> Fact {
    Fact::IncidentDeclared {
        title: "checkout fails".into(),
        severity: Severity::Sev3,
        status: Status::Investigating,
        severity_given: true,
        reason: None,
        matrix: None,
    }
}

fn entries(facts: Vec<(Fact, Timestamp)>) -> Vec<Entry> {
    std::iter::once((declared(), Timestamp::from_secs(START)))
        .chain(facts)
        .enumerate()
        .map(|(i, (fact, at))| Entry {
            incident: IncidentId(1),
            seq: i as u64 + 1,
            at,
            recorded_at: Timestamp::from_secs(START + i as i64),
            actor: if i % 3 == 0 { Actor::system() } else { Actor::human("ana") },
            fact,
            hash: format!("{i}"),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_sequence_of_facts_folds_into_a_valid_incident(facts in proptest::collection::vec((fact(), time()), 0..40)) {
        let all = entries(facts);
        let now = Timestamp::from_secs(START + 60_000);
        let mut stepped: Option<Incident> = None;
        for n in 1..=all.len() {
            let folded = Incident::fold(all[..n].iter().cloned()).expect("the first fact declares the incident");
            match &mut stepped {
                None => stepped = Some(folded.clone()),
                Some(i) => i.apply(all[n - 1].clone()),
            }
            // Compare the serialized form, because NaN is not equal to itself.
            let serialized = |i: &Incident| serde_json::to_string(i).unwrap();
            prop_assert_eq!(serialized(stepped.as_ref().unwrap()), serialized(&folded), "step by step and all together");
            prop_assert_eq!(folded.head.last_seq, n as u64);
            let d = folded.durations();
            for secs in [d.detect_secs, d.acknowledge_secs, d.mitigate_secs, d.resolve_secs].into_iter().flatten() {
                prop_assert!(secs >= 0.0 && secs.is_finite(), "{:?}", d);
            }
            let spent: f64 = folded.time_in_severity(now).iter().map(|(_, s)| *s).sum();
            prop_assert!(folded.time_in_severity(now).iter().all(|(_, s)| *s >= 0.0));
            let first = folded.severities.iter().map(|s| s.from).min().unwrap();
            let ended = (!folded.head.status.is_open()).then_some(folded.head.status_since);
            let end = folded.resolved_at.or(ended).unwrap_or(now);
            let last = folded.severities.iter().map(|s| s.from).max().unwrap();
            if end >= last {
                prop_assert!((spent - end.secs_since(first)).abs() < 1e-3, "the times per severity add up to the total");
            }
            prop_assert!(folded.severities.iter().all(|s| s.severity >= folded.peak_severity()));
            prop_assert!(folded.severities.windows(2).all(|w| w[0].from <= w[1].from));
            prop_assert!(folded.role_spans.iter().all(|s| s.until.is_none_or(|u| u >= s.from)));
            prop_assert!(folded.first_useful_hypothesis_secs().is_none_or(|s| s >= 0.0));
            if n == all.len() {
                let items = gates(&folded, now, DEFAULT_MONITOR_TIME);
                prop_assert!(items.iter().all(|g| !g.detail.is_empty() || g.met));
                open_items_for(&items, Status::Resolved);
                let due = folded.head.update_due();
                prop_assert!(brief(&folded, Reader::TakingOver, now, DEFAULT_MONITOR_TIME, due).starts_with("# Handover"));
                prop_assert!(brief(&folded, Reader::Joining, now, DEFAULT_MONITOR_TIME, due).starts_with("# Briefing"));
                stats(&[Row::from_incident(&folded)]);
                for e in folded.timeline() {
                    prop_assert!(!folded.entry_text(e).contains('\0') && !e.fact.kind().is_empty());
                }
            }
        }
    }

    /// Undoing the last change restores the previous state, and undoing the undo restores the change.
    #[test]
    fn undo_reverts_exactly_one_entry(facts in proptest::collection::vec((fact(), time()), 0..15), last in fact()) {
        prop_assume!(last.can_be_undone() && !matches!(last, Fact::Undone { .. }));
        prop_assume!(facts.iter().all(|(f, _)| !matches!(f, Fact::Undone { .. })));
        let at = Timestamp::from_secs(START + 5);
        let before = Incident::fold(entries(facts.clone())).unwrap();
        let n = facts.len() as u64 + 2;
        let mut more = facts.clone();
        more.push((last, at));
        let changed = Incident::fold(entries(more.clone())).unwrap();
        more.push((Fact::Undone { seq: n, text: "x".into(), is_redo: false }, at));
        let undone = Incident::fold(entries(more.clone())).unwrap();
        more.push((Fact::Undone { seq: n + 1, text: "x".into(), is_redo: true }, at));
        let redone = Incident::fold(entries(more)).unwrap();
        let state = |i: &Incident| {
            let mut v = serde_json::to_value(i).unwrap();
            for field in ["entries", "undone"] {
                v[field] = serde_json::Value::Null;
            }
            for field in ["last_seq", "last_at"] {
                v["head"][field] = serde_json::Value::Null;
            }
            v
        };
        prop_assert_eq!(state(&undone), state(&before));
        prop_assert_eq!(state(&redone), state(&changed));
    }

    /// A fact that is serialized and read again is the same fact.
    #[test]
    fn facts_survive_serialization(fact in fact()) {
        let text = serde_json::to_string(&fact).unwrap();
        let again: Fact = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }
}
