//! Tests of the behaviour that every [`Store`] must have: the embedded store, a shared store, and a shared store while its
//! server is unreachable.

#![allow(dead_code, reason = "each test binary uses only a part of this module")]

use warroom::evidence::{Body, Draft, Redactor};
use warroom::incident::{Actor, EvidenceId, EvidenceKind, Fact, Incident, IncidentId, NoteKind, Severity, Status};
use warroom::journal::{Append, JournalError, NewEntry, Purge, Store};
use warroom::telemetry::{LogLine, Timestamp, Window};

/// A time `secs` seconds after the fixed start of these tests.
pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_795_253_400 + secs)
}

/// A new entry by the user `ana` at the start time.
pub(crate) fn new_entry(fact: &Fact) -> NewEntry {
    NewEntry::new(at(0), at(0), Actor::human("ana"), Redactor::new().redact_value(fact).unwrap())
}

pub(crate) fn facts(facts: &[Fact]) -> Append {
    Append { entries: facts.iter().map(new_entry).collect(), bodies: Vec::new() }
}

pub(crate) fn declared(title: &str) -> Append {
    facts(&[Fact::IncidentDeclared {
        title: title.into(),
        severity: Severity::Sev3,
        status: Status::Investigating,
        severity_given: true,
        reason: None,
        matrix: None,
    }])
}

pub(crate) fn note(text: &str) -> Append {
    facts(&[Fact::Note { text: text.into(), note_kind: NoteKind::Observation }])
}

/// An append that attaches evidence with one log line; the same text makes the same evidence.
pub(crate) fn evidence(text: &str) -> Append {
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
    Append { entries: vec![new_entry(&Fact::EvidenceAttached { evidence: record.into_inner() })], bodies: vec![stored] }
}

/// Reads an incident from its entries.
pub(crate) fn fold(store: &mut dyn Store, id: IncidentId) -> Incident {
    Incident::fold(store.entries(id, 0).unwrap()).unwrap()
}

/// Appends after the last entry of an incident, without a conflict.
pub(crate) fn append_next(store: &mut dyn Store, id: IncidentId, append: Append) -> warroom::journal::Appended {
    let last = store.entries(id, 0).unwrap().last().unwrap().seq;
    store.append(id, last, append).unwrap()
}

/// Checks everything that a store must do. `one` and `two` are two handles to the same empty store.
pub(crate) fn check_store(one: &mut dyn Store, two: &mut dyn Store) {
    returns_entries_in_order_with_an_intact_chain(one);
    rejects_the_second_writer_and_overwrites_nothing(one, two);
    retries_an_append_after_a_conflict(one, two);
    same_evidence_keeps_its_number(one);
    undo_restores_the_head(one);
    version_changes_with_own_writes(one);
    assigns_incident_numbers_inside_the_commit(one, two);
    purge_deletes_an_incident_and_never_reuses_its_number(one);
    let found = one.verify().unwrap();
    assert!(found.broken.is_empty() && found.gaps.is_empty(), "{found:?}");
}

fn returns_entries_in_order_with_an_intact_chain(store: &mut dyn Store) {
    let id = store.create(declared("in order")).unwrap()[0].incident;
    append_next(store, id, note("one"));
    append_next(store, id, note("two"));
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

fn rejects_the_second_writer_and_overwrites_nothing(one: &mut dyn Store, two: &mut dyn Store) {
    let id = one.create(declared("two writers")).unwrap()[0].incident;
    assert_eq!(two.entries(id, 0).unwrap().len(), 1);
    let version = two.version().unwrap();
    one.append(id, 1, note("first")).unwrap();
    assert!(matches!(two.append(id, 1, note("second")), Err(JournalError::Conflict { found: 2, .. })));
    assert_ne!(two.version().unwrap(), version, "the version changes when another handle writes");
    two.append(id, 2, note("second")).unwrap();
    let texts: Vec<String> = one.entries(id, 1).unwrap().iter().map(|e| e.fact.sentence()).collect();
    assert_eq!(texts, ["first", "second"]);
}

fn retries_an_append_after_a_conflict(one: &mut dyn Store, two: &mut dyn Store) {
    let id = one.create(declared("in turn")).unwrap()[0].incident;
    one.append(id, 1, note("first")).unwrap();
    let mut others = Vec::new();
    let appended = two
        .append_in_turn(id, 1, &mut |entries| {
            others.extend(entries.iter().map(|e| e.fact.sentence()));
            Some(note("second"))
        })
        .unwrap();
    assert_eq!((others, appended.entries[0].seq), (vec!["first".to_owned()], 3));
    // A writer that has nothing left to write appends nothing.
    assert!(one.append_in_turn(id, 3, &mut |_| None).unwrap().entries.is_empty());
    assert_eq!(one.entries(id, 0).unwrap().len(), 3);
}

fn same_evidence_keeps_its_number(store: &mut dyn Store) {
    let id = store.create(declared("evidence")).unwrap()[0].incident;
    assert_eq!(store.append(id, 1, evidence("x")).unwrap().evidence, [EvidenceId(1)]);
    let again = store.append(id, 2, evidence("x")).unwrap();
    assert_eq!((again.evidence.as_slice(), again.entries.len()), (&[EvidenceId(1)][..], 0));
    assert_eq!(store.append(id, 2, evidence("y")).unwrap().evidence, [EvidenceId(2)]);
    let digest = fold(store, id).evidence[1].digest.clone();
    assert_eq!(store.body(&digest).unwrap(), Some(Body::Lines { lines: vec![LogLine::plain("y")] }));
    assert_eq!(store.body(&"0".repeat(64)).unwrap(), None);
}

fn undo_restores_the_head(store: &mut dyn Store) {
    let id = store.create(declared("undo")).unwrap()[0].incident;
    let change = Fact::SeverityChanged { from: Severity::Sev3, to: Severity::Sev1, reason: "x".into() };
    store.append(id, 1, facts(&[change])).unwrap();
    let head = |store: &mut dyn Store| store.list().unwrap().into_iter().find(|h| h.id == id).unwrap();
    assert_eq!(head(store).severity, Severity::Sev1);
    store.append(id, 2, facts(&[Fact::Undone { seq: 2, text: "x".into(), is_redo: false }])).unwrap();
    assert_eq!(head(store), fold(store, id).head);
    assert_eq!(head(store).severity, Severity::Sev3);
    store.append(id, 3, facts(&[Fact::Undone { seq: 3, text: "redo".into(), is_redo: true }])).unwrap();
    assert_eq!((head(store).severity, head(store).last_seq), (Severity::Sev1, 4));
}

fn assigns_incident_numbers_inside_the_commit(one: &mut dyn Store, two: &mut dyn Store) {
    let a = one.create(declared("a")).unwrap()[0].incident;
    let b = two.create(declared("b")).unwrap()[0].incident;
    assert_eq!(b.0, a.0 + 1);
    let ids: Vec<IncidentId> = one.list().unwrap().into_iter().map(|h| h.id).take(2).collect();
    assert_eq!(ids, [b, a], "newest first");
}

fn purge_deletes_an_incident_and_never_reuses_its_number(store: &mut dyn Store) {
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
    assert!(store.raw_body(&kept).unwrap().is_some(), "evidence of other incidents stays");
    assert_ne!(kept, digest);
    assert_eq!(store.create(declared("after")).unwrap()[0].incident.0, shared.0 + 1, "no number is assigned twice");
}

/// A screen polls the version, and must also show what its own process wrote in the background.
fn version_changes_with_own_writes(store: &mut dyn Store) {
    let id = store.create(declared("watched")).unwrap()[0].incident;
    let before = store.version().unwrap();
    assert_eq!(store.version().unwrap(), before, "nothing was written");
    append_next(store, id, note("written by the watcher"));
    assert!(store.version().unwrap() > before);
}
