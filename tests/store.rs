//! Tests of the embedded store: the contract of all stores, the migration from the first version, `verify`, and the checks of
//! imported bundles.

#[path = "support/contract.rs"]
mod contract;

use warroom::journal::sqlite::SqliteStore;

#[test]
fn sqlite_keeps_the_contract_of_all_stores() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    contract::check_store(&mut SqliteStore::open(&path).unwrap(), &mut SqliteStore::open(&path).unwrap());
}

/// The store is written here exactly as the first version wrote it.
#[test]
fn migrates_a_store_of_the_first_version() {
    use warroom::incident::{ActionScope, Incident, IncidentId, Severity};
    use warroom::journal::Store;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../src/journal/migrations/sqlite/0001_journal.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.pragma_update(None, "application_id", 0x5741_5231).unwrap();
    let facts = [
        r#"{"kind":"incident_declared","title":"checkout fails","severity":"SEV2","status":"investigating","severity_given":true}"#,
        r#"{"kind":"action_added","id":"A1","text":"alert on it","action_kind":"detect","owner":null,"due":null,"priority":null}"#,
        r#"{"kind":"status_changed","from":"investigating","to":"mitigated","override_reason":null}"#,
        r#"{"kind":"action_done","id":"A1"}"#,
    ];
    let mut prev = String::new();
    for (n, fact) in facts.iter().enumerate() {
        let seq = n + 1;
        let text = format!(
            r#"{{"incident":"INC-1","seq":{seq},"at":"2026-11-21T09:3{n}:00Z","recorded_at":"2026-11-21T09:3{n}:00Z","actor":{{"name":"ana","kind":"human"}},"fact":{fact},"prev":"{prev}"}}"#
        );
        prev = warroom::evidence::body::digest(text.as_bytes());
        old.execute("INSERT INTO entry VALUES (1, ?1, ?2, ?3)", rusqlite::params![seq as i64, text, prev]).unwrap();
    }
    let head = r#"{"id":"INC-1","title":"checkout fails","severity":"SEV2","status":"mitigated","declared_at":"2026-11-21T09:30:00Z","status_since":"2026-11-21T09:32:00Z","commander":null,"alerts":[],"open_actions":0,"last_seq":4,"last_at":"2026-11-21T09:33:00Z"}"#;
    old.execute("INSERT INTO incident VALUES (1, ?1, 4, ?2, 1, 2)", [head, &prev]).unwrap();
    drop(old);

    let mut store = SqliteStore::open(&path).unwrap();
    let incident = Incident::fold(store.entries(IncidentId(1), 0).unwrap()).unwrap();
    assert_eq!((incident.head.severity, incident.actions[0].scope), (Severity::Sev2, ActionScope::FollowUp));
    assert_eq!(store.list().unwrap()[0].status, incident.head.status);
    contract::append_next(&mut store, IncidentId(1), contract::note("goes on"));
    let found = store.verify().unwrap();
    assert_eq!((found.entries, found.broken.len()), (5, 0));
    drop(store);
    let number: i64 =
        rusqlite::Connection::open(&path).unwrap().query_row("SELECT number FROM number", [], |r| r.get(0)).unwrap();
    assert_eq!(number, 1, "`verify` can report the incident if its rows vanish");
    let version: i64 = rusqlite::Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    assert_eq!(version, 2, "an older program refuses a store with facts that it does not know");
}

#[test]
fn verify_finds_missing_data_and_an_altered_list() {
    use warroom::journal::Store;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let id = store.create(contract::declared("shared")).unwrap()[0].incident;
    store.append(id, 1, contract::evidence("x")).unwrap();
    assert!(store.verify().unwrap().broken.is_empty());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("DELETE FROM body; UPDATE incident SET head = replace(head, '\"shared\"', '\"harmless\"')").unwrap();
    let broken: Vec<String> = store.verify().unwrap().broken.into_iter().map(|b| format!("{} {}", b.seq, b.what)).collect();
    assert!(broken.iter().any(|b| b.starts_with("2 the evidence body") && b.ends_with("is not in the store")), "{broken:?}");
    assert!(broken.iter().any(|b| b.contains("a different title")), "{broken:?}");
    raw.execute("DELETE FROM incident", []).unwrap();
    assert!(store.verify().unwrap().broken.iter().any(|b| b.what.contains("its row")));
    raw.execute("DELETE FROM entry", []).unwrap();
    assert!(
        store.verify().unwrap().broken.iter().any(|b| b.what.contains("all its entries are missing")),
        "an incident without rows is reported"
    );
    assert_eq!(
        store.create(contract::declared("next")).unwrap()[0].incident.0,
        2,
        "the number of a deleted incident is not assigned again"
    );
}

/// A bundle with numbers that no store assigns is rejected when it is read, before anything is written.
#[test]
fn rejects_bundles_with_invalid_numbers() {
    use warroom::evidence::body::digest;
    let bundle = |incident: &str, fact: &str| {
        let text = format!(
            r#"{{"incident":"{incident}","seq":1,"at":"2026-11-21T09:30:00Z","recorded_at":"2026-11-21T09:30:00Z","actor":{{"name":"ana","kind":"human"}},"fact":{fact},"prev":""}}"#
        );
        let file = serde_json::json!({"format": "warroom-bundle", "version": 1, "tool": "0", "incident": incident, "title": "x",
            "entries": [{"seq": 1, "text": text, "hash": digest(text.as_bytes())}], "bodies": []});
        warroom::journal::bundle::read(&zstd::bulk::compress(file.to_string().as_bytes(), 3).unwrap())
    };
    let declared = r#"{"kind":"incident_declared","title":"x","severity":"SEV3","status":"investigating","severity_given":true}"#;
    assert!(bundle("INC-1", declared).is_ok());
    for bad in ["INC-L1", "INC-0", "INC-2147483647", "INC-4294967295"] {
        let error = bundle(bad, declared).unwrap_err().to_string();
        assert!(error.contains("bundle"), "{bad}: {error}");
    }
    let action =
        r#"{"kind":"action_added","id":"A4000000000","text":"x","action_kind":"detect","owner":null,"due":null,"priority":null}"#;
    assert!(bundle("INC-1", action).is_err());
}
