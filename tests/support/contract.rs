//! What every store must do, as tests over any [`Store`]: the embedded one, a team's, and a team's while the server is away
//! are held to the same.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use warroom::evidence::{Body, Draft, Redactor};
use warroom::incident::{Actor, EvidenceId, EvidenceKind, Fact, Incident, IncidentId, NoteKind, Severity, Status};
use warroom::journal::{Append, JournalError, NewEntry, Purge, Store};
use warroom::telemetry::{LogLine, Timestamp, Window};

pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_795_253_400 + secs)
}

pub fn new(fact: &Fact) -> NewEntry {
    NewEntry::new(at(0), at(0), Actor::human("ana"), Redactor::new().value(fact).unwrap())
}

pub fn facts(facts: &[Fact]) -> Append {
    Append { entries: facts.iter().map(new).collect(), bodies: Vec::new() }
}

pub fn declared(title: &str) -> Append {
    facts(&[Fact::IncidentDeclared {
        title: title.into(),
        severity: Severity::Sev3,
        status: Status::Investigating,
        severity_given: true,
        reason: None,
        matrix: None,
    }])
}

pub fn note(text: &str) -> Append {
    facts(&[Fact::Note { text: text.into(), note_kind: NoteKind::Observation }])
}

pub fn evidence(text: &str) -> Append {
    let draft = Draft {
        kind: EvidenceKind::Logs,
        source: "app".into(),
        query: "*.log".into(),
        window: Window::new(at(0), at(60)),
        taken_at: at(60),
        summary: "lines".into(),
        body: Body::Lines { lines: vec![LogLine::plain(text)] },
        gaps: Vec::new(),
        shown: 1,
        total: 1,
    };
    let (record, stored, _) = draft.seal().unwrap();
    Append { entries: vec![new(&Fact::EvidenceAttached { evidence: record.into_inner() })], bodies: vec![stored] }
}

pub fn fold(store: &mut dyn Store, id: IncidentId) -> Incident {
    Incident::fold(store.entries(id, 0).unwrap()).unwrap()
}

/// Appends after whatever is there.
pub fn push(store: &mut dyn Store, id: IncidentId, append: Append) -> warroom::journal::Appended {
    let last = store.entries(id, 0).unwrap().last().unwrap().seq;
    store.append(id, last, append).unwrap()
}

/// Everything that a store must do by itself. `one` and `two` are two openings of the same empty store.
pub fn holds(one: &mut dyn Store, two: &mut dyn Store) {
    facts_come_back_in_order_and_the_chain_holds(one);
    the_second_writer_loses_and_nothing_is_overwritten(one, two);
    who_lost_appends_in_turn(one, two);
    the_same_evidence_keeps_its_number(one);
    what_is_undone_leaves_the_head(one);
    numbers_are_given_inside_the_commit(one, two);
    what_is_purged_is_gone_and_its_number_too(one);
    let found = one.verify().unwrap();
    assert!(found.broken.is_empty() && found.gaps.is_empty(), "{found:?}");
}

fn facts_come_back_in_order_and_the_chain_holds(store: &mut dyn Store) {
    let id = store.create(declared("in order")).unwrap()[0].incident;
    push(store, id, note("one"));
    push(store, id, note("two"));
    let incident = fold(store, id);
    assert_eq!(incident.entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(incident.entries.iter().all(|e| e.hash.len() == 64));
    let raw = store.raw(id).unwrap();
    assert!(raw.windows(2).all(|w| w[1].text.contains(&format!("\"prev\":\"{}\"", w[0].hash))));
    let head = store.list().unwrap().into_iter().find(|h| h.id == id).unwrap();
    assert_eq!(incident.head, head);
    assert_eq!(store.entries(id, 2).unwrap().len(), 1);
    assert!(store.entries(IncidentId(999), 0).unwrap().is_empty());
    assert!(matches!(store.append(IncidentId(999), 1, note("x")), Err(JournalError::NoSuchIncident(_))));
}

fn the_second_writer_loses_and_nothing_is_overwritten(one: &mut dyn Store, two: &mut dyn Store) {
    let id = one.create(declared("two writers")).unwrap()[0].incident;
    assert_eq!(two.entries(id, 0).unwrap().len(), 1);
    let version = two.version().unwrap();
    one.append(id, 1, note("first")).unwrap();
    assert!(matches!(two.append(id, 1, note("second")), Err(JournalError::Conflict { found: 2, .. })));
    assert_ne!(two.version().unwrap(), version, "the other's writing is seen");
    two.append(id, 2, note("second")).unwrap();
    let texts: Vec<String> = one.entries(id, 1).unwrap().iter().map(|e| e.fact.sentence()).collect();
    assert_eq!(texts, ["first", "second"]);
}

fn who_lost_appends_in_turn(one: &mut dyn Store, two: &mut dyn Store) {
    let id = one.create(declared("in turn")).unwrap()[0].incident;
    one.append(id, 1, note("first")).unwrap();
    let mut seen = Vec::new();
    let appended = two
        .append_in_turn(id, 1, &mut |entries| {
            seen.extend(entries.iter().map(|e| e.fact.sentence()));
            Some(note("second"))
        })
        .unwrap();
    assert_eq!((seen, appended.entries[0].seq), (vec!["first".to_owned()], 3));
    // Whoever has nothing to write any more writes nothing.
    assert!(one.append_in_turn(id, 3, &mut |_| None).unwrap().entries.is_empty());
    assert_eq!(one.entries(id, 0).unwrap().len(), 3);
}

fn the_same_evidence_keeps_its_number(store: &mut dyn Store) {
    let id = store.create(declared("evidence")).unwrap()[0].incident;
    assert_eq!(store.append(id, 1, evidence("x")).unwrap().evidence, [EvidenceId(1)]);
    let again = store.append(id, 2, evidence("x")).unwrap();
    assert_eq!((again.evidence.as_slice(), again.entries.len()), (&[EvidenceId(1)][..], 0));
    assert_eq!(store.append(id, 2, evidence("y")).unwrap().evidence, [EvidenceId(2)]);
    let digest = fold(store, id).evidence[1].digest.clone();
    assert_eq!(store.body(&digest).unwrap(), Some(Body::Lines { lines: vec![LogLine::plain("y")] }));
    assert_eq!(store.body(&"0".repeat(64)).unwrap(), None);
}

fn what_is_undone_leaves_the_head(store: &mut dyn Store) {
    let id = store.create(declared("undo")).unwrap()[0].incident;
    let change = Fact::SeverityChanged { from: Severity::Sev3, to: Severity::Sev1, reason: "x".into() };
    store.append(id, 1, facts(&[change])).unwrap();
    let head = |store: &mut dyn Store| store.list().unwrap().into_iter().find(|h| h.id == id).unwrap();
    assert_eq!(head(store).severity, Severity::Sev1);
    store.append(id, 2, facts(&[Fact::Undone { seq: 2, text: "x".into() }])).unwrap();
    assert_eq!(head(store), fold(store, id).head);
    assert_eq!(head(store).severity, Severity::Sev3);
    store.append(id, 3, facts(&[Fact::Undone { seq: 3, text: "redo".into() }])).unwrap();
    assert_eq!((head(store).severity, head(store).last_seq), (Severity::Sev1, 4));
}

fn numbers_are_given_inside_the_commit(one: &mut dyn Store, two: &mut dyn Store) {
    let a = one.create(declared("a")).unwrap()[0].incident;
    let b = two.create(declared("b")).unwrap()[0].incident;
    assert_eq!(b.0, a.0 + 1);
    let ids: Vec<IncidentId> = one.list().unwrap().into_iter().map(|h| h.id).take(2).collect();
    assert_eq!(ids, [b, a], "the newest first");
}

fn what_is_purged_is_gone_and_its_number_too(store: &mut dyn Store) {
    let id = store.create(declared("to be purged")).unwrap()[0].incident;
    store.append(id, 1, evidence("only here")).unwrap();
    let digest = fold(store, id).evidence[0].digest.clone();
    let shared = store.create(declared("keeps its evidence")).unwrap()[0].incident;
    store.append(shared, 1, evidence("y")).unwrap();
    store.purge(&Purge { incidents: vec![id], note: "old".into() }).unwrap();
    assert!(store.entries(id, 0).unwrap().is_empty());
    assert!(!store.list().unwrap().iter().any(|h| h.id == id));
    assert_eq!(store.purged_note(id).unwrap().as_deref(), Some("old"));
    assert_eq!(store.purged_note(shared).unwrap(), None);
    let found = store.verify().unwrap();
    assert_eq!((found.purged, found.broken.len()), (1, 0));
    let kept = fold(store, shared).evidence[0].digest.clone();
    assert!(store.raw_body(&kept).unwrap().is_some(), "another incident's evidence stays");
    assert_ne!(kept, digest);
    assert_eq!(store.create(declared("after")).unwrap()[0].incident.0, shared.0 + 1, "no number is given twice");
}
