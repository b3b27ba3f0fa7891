//! Tests of the shared store on a real PostgreSQL server: the contract of all stores, work without the server and the merge
//! afterwards, several users, and what is refused.

#![cfg(unix)]

#[path = "support/contract.rs"]
mod contract;
#[path = "support/pg.rs"]
mod pg;
#[path = "support/program.rs"]
mod program;

use std::path::Path;
use std::time::{Duration, Instant};

use contract::{append_next, declared, evidence, facts, fold, note};
use pg::Pg;
use warroom::evidence::Body;
use warroom::incident::{ActionKind, ActionScope, EvidenceId, Fact, IncidentId, NoteKind, Severity};
use warroom::journal::team::TeamStore;
use warroom::journal::{JournalError, Store};
use warroom::telemetry::Explain;

fn team(pg: &Pg, folder: &Path) -> TeamStore {
    TeamStore::open(&pg.url(), None, folder).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The file of the local copy of the store.
fn copy_file(folder: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
    files.into_iter().find(|p| p.extension().is_some_and(|e| e == "db")).unwrap()
}

/// Waits until the store has reached the server again and has no unsynced entries.
fn wait_until_synced(store: &mut TeamStore) {
    let start = Instant::now();
    loop {
        store.version().unwrap();
        let status = store.status();
        if status.unreachable.is_none() && status.unsynced == 0 {
            return;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "{status:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn postgres_keeps_the_contract_of_all_stores() {
    let (pg, one, two) = (Pg::start(), folder(), folder());
    contract::check_store(&mut team(&pg, one.path()), &mut team(&pg, two.path()));
}

#[test]
fn works_offline_and_merges_when_the_server_is_back() {
    let (mut pg, ana_folder, ben_folder) = (Pg::start(), folder(), folder());
    let mut ana = team(&pg, ana_folder.path());
    let mut ben = team(&pg, ben_folder.path());
    let id = ana.create(declared("shared")).unwrap()[0].incident;
    append_next(&mut ana, id, evidence("before"));
    assert_eq!(ben.entries(id, 0).unwrap().len(), 2);
    pg.crash();

    // What was read before is available, and new entries wait under local numbers.
    let added = append_next(&mut ana, id, evidence("offline"));
    assert_eq!(added.evidence, [EvidenceId::local(1)]);
    assert_eq!(
        append_next(&mut ana, id, evidence("offline")).evidence,
        [EvidenceId::local(1)],
        "the same evidence keeps its number"
    );
    assert_eq!(
        append_next(&mut ana, id, evidence("before")).evidence,
        [EvidenceId(1)],
        "evidence that the server has keeps its number"
    );
    append_next(&mut ana, id, facts(&[Fact::action("check it", ActionKind::Detect, ActionScope::FollowUp)]));
    append_next(&mut ana, id, note("full, see [EL1] and AL1"));
    let wrong_entry = fold(&mut ana, id).head.last_seq;
    append_next(
        &mut ana,
        id,
        facts(&[Fact::Corrected { seq: wrong_entry, text: "empty, see [EL1]".into(), reason: "looked again".into() }]),
    );
    append_next(&mut ben, id, note("ben is offline too"));
    let local = ana.create(declared("new while away")).unwrap()[0].incident;
    assert_eq!(local.to_string(), "INC-L1");
    append_next(&mut ana, local, facts(&[Fact::Absorbed { from: id, title: "x".into(), impact: None, alerts: vec![] }]));
    append_next(&mut ana, id, facts(&[Fact::Merged { into: local, reason: None }]));
    let offline = fold(&mut ana, id);
    assert_eq!((offline.unsynced(), ana.status().unsynced), (5, 7));
    assert!(ana.status().unreachable.is_some());
    let heads = ana.list().unwrap();
    assert_eq!(heads.iter().map(|h| (h.id, h.unsynced)).collect::<Vec<_>>(), [(local, 2), (id, 5)]);
    assert!(matches!(ana.append(id, 2, note("late")), Err(JournalError::Conflict { .. })), "conflicts are found offline as well");

    pg.start_server();
    wait_until_synced(&mut ben);
    // Meanwhile the numbers are assigned to another user's entries.
    append_next(&mut ben, id, evidence("ben's"));
    let other = ben.create(declared("ben's")).unwrap()[0].incident;
    assert_eq!(other, IncidentId(2));
    wait_until_synced(&mut ana);
    let merged = fold(&mut ana, id);
    let texts: Vec<String> = merged.entries.iter().map(|e| merged.entry_text(e)).collect();
    assert!(texts.iter().any(|t| t == "empty, see [E3] (corrected)"), "{texts:?}");
    assert_eq!(merged.evidence.iter().map(|e| e.id.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(merged.head.merged_into, Some(IncidentId(3)), "references to the local incident get its final number");
    assert_eq!(ana.resolve(local), IncidentId(3));
    assert_eq!(fold(&mut ana, local).absorbed, [id]);
    let body = ben.body(&merged.evidence[2].digest).unwrap().unwrap();
    assert_eq!(
        body,
        Body::Lines { lines: vec![warroom::telemetry::LogLine::plain("offline")] },
        "evidence bodies are merged as well"
    );
    assert_eq!(fold(&mut ben, id), merged, "all readers agree");
    assert!(ana.verify().unwrap().broken.is_empty());
}

#[test]
fn does_not_repeat_a_commit_whose_answer_was_lost() {
    let (pg, ana_folder) = (Pg::start(), folder());
    let mut ana = team(&pg, ana_folder.path());
    let id = ana.create(declared("shared")).unwrap()[0].incident;
    // The server committed but failed before it answered: the entry is in the store and still in the outbox.
    let append = facts(&[Fact::Note { text: "once".into(), note_kind: NoteKind::Observation }]);
    let mut other = team(&pg, folder().path());
    other.append(id, 1, append.clone()).unwrap();
    let outbox = rusqlite::Connection::open(copy_file(ana_folder.path())).unwrap();
    let entry = &append.entries[0];
    outbox
        .execute(
            "INSERT INTO outbox (uid, incident, at, recorded_at, actor, fact) VALUES (?1, ?2, ?3, ?3, ?4, ?5)",
            rusqlite::params![
                entry.uid,
                id.0,
                entry.at.rfc3339(),
                serde_json::to_string(&entry.actor).unwrap(),
                serde_json::to_string(entry.fact.get()).unwrap()
            ],
        )
        .unwrap();
    assert_eq!(ana.status().unsynced, 1);
    wait_until_synced(&mut ana);
    let texts: Vec<String> = ana.entries(id, 1).unwrap().iter().map(|e| e.fact.sentence()).collect();
    assert_eq!(texts, ["once"]);
}

#[test]
fn resolves_local_ids_after_the_merge() {
    let (mut pg, ana_folder) = (Pg::start(), folder());
    let mut ana = team(&pg, ana_folder.path());
    let id = ana.create(declared("shared")).unwrap()[0].incident;
    append_next(&mut ana, id, evidence("one"));
    pg.shut_down();
    append_next(&mut ana, id, evidence("offline"));
    let local = ana.create(declared("new while away")).unwrap()[0].incident;
    let last_seq = fold(&mut ana, id).head.last_seq;
    // A model was asked while the server was away: the prompt waits together with the answer.
    let sent = warroom::evidence::body::StoredBody {
        digest: warroom::evidence::body::digest(b"{\"kind\":\"sent\"}"),
        json: "{\"kind\":\"sent\"}".to_owned(),
    };
    let answer = serde_json::json!({"answer": "as [EL1] says", "citations": [], "claims": [], "usage": {}, "model": "m", "source": "llm",
        "fallback_reason": null, "prompt": "p", "prompt_version": "1", "persona": "p", "question": null, "partial": false, "sent": sent.digest});
    let ai_run = Fact::AiRun { answer: serde_json::from_value(answer).unwrap() };
    append_next(&mut ana, id, warroom::journal::Append { bodies: vec![sent.clone()], ..facts(&[ai_run]) });
    pg.start_server();
    wait_until_synced(&mut ana);
    assert!(pg.sql("SELECT text FROM warroom.entry WHERE text LIKE '%ai_run%'").contains("as [E2] says"));
    assert_eq!(pg.sql(&format!("SELECT count(*) FROM warroom.body WHERE digest = '{}'", sent.digest)), "1");
    // A user may still see the old ids on the screen and use them, even after a restart.
    let mut ana = team(&pg, ana_folder.path());
    append_next(
        &mut ana,
        id,
        note(&format!("[EL1] says why, see entry {} and {local}", warroom::incident::ids::seq_label(last_seq))),
    );
    assert_eq!(
        pg.sql("SELECT text::jsonb #>> '{fact,text}' FROM warroom.entry WHERE text LIKE '%says why%'"),
        "[E2] says why, see entry 3 and INC-2"
    );
    let next = ana.create(declared("as in INC-L1")).unwrap()[0].incident;
    assert_eq!(fold(&mut ana, next).head.title, "as in INC-2");
    // A writer that counted the local entries gets a conflict, because it has not read the merged ones.
    let stale = ana.append_in_turn(id, last_seq, &mut |_| Some(note("stale")));
    assert!(matches!(stale, Err(JournalError::Conflict { .. })), "{stale:?}");
    assert!(ana.verify().unwrap().broken.is_empty());
}

#[test]
fn reports_an_entry_that_cannot_be_merged_and_syncs_the_rest() {
    let (mut pg, ana_folder, ben_folder) = (Pg::start(), folder(), folder());
    let (mut ana, mut ben) = (team(&pg, ana_folder.path()), team(&pg, ben_folder.path()));
    let gone = ana.create(declared("purged meanwhile")).unwrap()[0].incident;
    let stays = ana.create(declared("stays")).unwrap()[0].incident;
    ben.list().unwrap();
    pg.shut_down();
    append_next(&mut ana, gone, note("too late"));
    append_next(&mut ana, stays, note("in time"));
    pg.start_server();
    let start = Instant::now();
    while let Err(e) = ben.purge(&warroom::journal::Purge { incidents: vec![gone], note: "old".into() }) {
        assert!(matches!(e, JournalError::Unreachable { .. }) && start.elapsed() < Duration::from_mins(1), "{e}");
        std::thread::sleep(Duration::from_millis(50));
    }
    while ana.status().unsynced != 1 {
        ana.version().unwrap();
        assert!(start.elapsed() < Duration::from_mins(1), "{:?}", ana.status());
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = ana.status();
    assert!(
        status.unreachable.is_none() && status.merge_failure.as_ref().is_some_and(|why| why.contains(&gone.to_string())),
        "{status:?}"
    );
    let last = fold(&mut ben, stays).head.last_seq;
    assert_eq!(fold(&mut ana, stays).entries[1].fact.sentence(), "in time");
    ana.append(stays, last, note("and on")).unwrap();
    ana.create(declared("another")).unwrap();
    assert!(ana.verify().unwrap().gaps[0].contains("1 entr"), "the waiting entry is reported");
}

/// A bundle of what the shared store had can be exported while the server is away, for example when a shift ends.
#[test]
fn exports_a_bundle_offline_without_unsynced_entries() {
    let (mut pg, ana_folder) = (Pg::start(), folder());
    let mut ana = team(&pg, ana_folder.path());
    let id = ana.create(declared("handed over")).unwrap()[0].incident;
    append_next(&mut ana, id, note("known to all"));
    fold(&mut ana, id);
    pg.shut_down();
    append_next(&mut ana, id, note("waits"));
    assert_eq!(fold(&mut ana, id).unsynced(), 1);
    assert_eq!(ana.raw(id).unwrap().len(), 2);
    let local = ana.create(declared("made alone")).unwrap()[0].incident;
    let error = ana.raw(local).unwrap_err().to_string();
    assert!(error.contains("has not been merged into the shared store"), "{error}");
}

#[test]
fn purge_clears_the_copies_and_a_bundle_restores_the_incident() {
    let (pg, ana_folder, ben_folder) = (Pg::start(), folder(), folder());
    let (mut ana, mut ben) = (team(&pg, ana_folder.path()), team(&pg, ben_folder.path()));
    let id = ana.create(declared("secret")).unwrap()[0].incident;
    append_next(&mut ana, id, evidence("only here"));
    let other = ana.create(declared("keeps its own")).unwrap()[0].incident;
    append_next(&mut ana, other, evidence("kept"));
    let digests: Vec<String> = [id, other].map(|i| fold(&mut ben, i).evidence[0].digest.clone()).into();
    for digest in &digests {
        assert!(ben.raw_body(digest).unwrap().is_some(), "a body that was read is in the copy");
    }
    let (raw, body) = (ana.raw(id).unwrap(), ana.raw_body(&digests[0]).unwrap().unwrap());
    let bodies = [warroom::evidence::body::StoredBody { digest: digests[0].clone(), json: body }];
    let purge = warroom::journal::Purge { incidents: vec![id], note: "old".into() };
    for round in 0..2 {
        ana.purge(&purge).unwrap();
        ben.list().unwrap();
        ben.version().unwrap();
        assert!(ben.verify().unwrap().broken.is_empty());
        drop(ben);
        let copy = rusqlite::Connection::open(copy_file(ben_folder.path())).unwrap();
        let is_stored = |digest: &str| {
            copy.query_row("SELECT count(*) FROM body WHERE digest = ?1", [digest], |r| r.get::<_, i64>(0)).unwrap() == 1
        };
        assert!(!is_stored(&digests[0]) && (round > 0 || is_stored(&digests[1])));
        ben = team(&pg, ben_folder.path());
        assert_eq!(ana.import(id, &raw, &bodies).unwrap().added, 2);
        assert_eq!(fold(&mut ben, id).head.title, "secret");
        assert!(ben.raw_body(&digests[0]).unwrap().is_some());
    }
    assert!(ana.verify().unwrap().broken.is_empty());
}

#[test]
fn detects_a_recreated_database() {
    let (pg, ana_folder) = (Pg::start(), folder());
    let mut ana = team(&pg, ana_folder.path());
    let id = ana.create(declared("old store")).unwrap()[0].incident;
    pg.sql("DROP SCHEMA warroom CASCADE");
    let mut ana = team(&pg, ana_folder.path());
    assert!(ana.list().unwrap().is_empty(), "the new store shows nothing from the old one");
    assert!(ana.entries(id, 0).unwrap().is_empty());
    // With an entry waiting, the new store is refused: the entry would end up in another incident with the same number.
    let id = ana.create(declared("new store")).unwrap()[0].incident;
    drop(ana);
    let outbox = rusqlite::Connection::open(copy_file(ana_folder.path())).unwrap();
    let sql = "INSERT INTO outbox (uid, incident, at, recorded_at, actor, fact) VALUES ('u', ?1, '2026-11-21T09:30:00Z', '2026-11-21T09:30:00Z', '{}', '{}')";
    outbox.execute(sql, [id.0]).unwrap();
    pg.sql("DROP SCHEMA warroom CASCADE");
    let error = team(&pg, ana_folder.path()).list().unwrap_err().failure().line();
    assert!(error.contains("for a different store with the same address") && error.contains("team-"), "{error}");
}

#[test]
fn notifies_of_new_entries_and_shows_who_is_present() {
    let (pg, ana_folder, ben_folder) = (Pg::start(), folder(), folder());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store_at = |copies: &Path| warroom::journal::StoreAt { url: pg.url(), password: None, copies: copies.to_owned() };
        let ana = warroom::journal::Journal::open(&store_at(ana_folder.path())).unwrap();
        let ben = warroom::journal::Journal::open(&store_at(ben_folder.path())).unwrap();
        let id = ana.create(declared("shared")).await.unwrap()[0].incident;
        let mut changes = ben.listen().unwrap();
        let mut version = ben.version().await.unwrap();
        // The listener sends its first notification when it has connected.
        tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
        version = version.max(ben.version().await.unwrap());
        ana.append(id, 1, note("look")).await.unwrap();
        let written = Instant::now();
        tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.expect("a notification").unwrap();
        assert_ne!(ben.version().await.unwrap(), version);
        assert_eq!(ben.entries(id, 1).await.unwrap().len(), 1);
        println!("the entry was read {} ms after it was written", written.elapsed().as_millis());

        assert_eq!(ana.presence("s1", "ana", Some(id)).await.unwrap(), Vec::<String>::new());
        assert_eq!(ben.presence("s2", "ben", Some(id)).await.unwrap(), ["ana"]);
        assert_eq!(ana.presence("s1", "ana", Some(id)).await.unwrap(), ["ben"]);
        ben.presence("s2", "ben", None).await.unwrap();
        assert_eq!(ana.presence("s1", "ana", Some(id)).await.unwrap(), Vec::<String>::new());
    });
}

#[test]
fn rejects_a_newer_schema_and_writes_nothing() {
    let (pg, ana_folder) = (Pg::start(), folder());
    let mut ana = team(&pg, ana_folder.path());
    let id = ana.create(declared("shared")).unwrap()[0].incident;
    pg.sql("UPDATE warroom.meta SET value = '99' WHERE key = 'schema'");
    // A program that is already connected refuses as well.
    assert!(matches!(ana.append(id, 1, note("x")), Err(JournalError::Newer { found: 99, .. })));
    assert!(matches!(ana.create(declared("x")), Err(JournalError::Newer { found: 99, .. })));
    let f = folder();
    let mut new = team(&pg, f.path());
    let error = new.list().unwrap_err();
    assert!(
        matches!(error, JournalError::Newer { found: 99, .. }) && error.failure().line().contains("Update warroom"),
        "{error}"
    );
    // A second attempt fails in the same way and queues nothing.
    assert!(matches!(new.list(), Err(JournalError::Newer { .. })));
    assert!(matches!(new.append(id, 1, note("x")), Err(JournalError::Newer { .. })));
    assert_eq!(new.status().unsynced, 0);
    assert_eq!(pg.sql("SELECT count(*) FROM warroom.entry"), "1");
    assert_eq!(ana.status().unsynced, 0, "nothing is queued for a store that must not be written");
}

#[test]
fn detects_a_broken_chain_and_a_rewritten_store() {
    let (pg, ana_folder) = (Pg::start(), folder());
    let mut ana = team(&pg, ana_folder.path());
    let id = ana.create(declared("shared")).unwrap()[0].incident;
    for n in 1..4 {
        ana.append(id, n, note("x")).unwrap();
    }
    ana.entries(id, 0).unwrap();
    let text = pg.sql("SELECT text FROM warroom.entry WHERE seq = 3");
    pg.sql("UPDATE warroom.entry SET text = replace(text, '\"x\"', '\"y\"') WHERE seq = 3");
    let broken = ana.verify().unwrap().broken;
    assert_eq!((broken[0].incident.as_str(), broken[0].seq), ("INC-1", 3), "{broken:?}");
    // If the hashes are recomputed, the comparison with a local copy still finds the change.
    let forged = text.replace("\"x\"", "\"y\"");
    let hash = warroom::evidence::body::digest(forged.as_bytes());
    let last = pg
        .sql("SELECT text FROM warroom.entry WHERE seq = 4")
        .replace(&pg.sql("SELECT hash FROM warroom.entry WHERE seq = 3"), &hash);
    let end = warroom::evidence::body::digest(last.as_bytes());
    pg.sql(&format!("UPDATE warroom.entry SET hash = '{hash}' WHERE seq = 3"));
    pg.sql(&format!("UPDATE warroom.entry SET text = '{last}', hash = '{end}' WHERE seq = 4"));
    pg.sql(&format!("UPDATE warroom.incident SET last_hash = '{end}'"));
    assert!(team(&pg, folder().path()).verify().unwrap().broken.is_empty(), "the forged chain is valid in itself");
    let broken = ana.verify().unwrap().broken;
    assert!(broken[0].seq == 3 && broken[0].what.contains("copy"), "{broken:?}");
}

#[test]
fn reports_server_refusals_with_a_remedy() {
    let (pg, ana_folder) = (Pg::start(), folder());
    let url = pg.url().replace("/postgres", "/nothere");
    let error = TeamStore::open(&url, None, ana_folder.path()).unwrap().list().unwrap_err().failure().line();
    assert!(error.contains("nothere") && error.contains("database"), "{error}");
    pg.sql("CREATE ROLE guest LOGIN");
    let url = pg.url().replace("warroom@", "guest@");
    let error = TeamStore::open(&url, None, ana_folder.path()).unwrap().list().unwrap_err().failure().line();
    assert!(error.contains("schema warroom"), "{error}");
    // If the administrator has created the schema, the right to create one is not needed.
    pg.sql("CREATE SCHEMA warroom AUTHORIZATION guest");
    assert!(TeamStore::open(&url, None, folder().path()).unwrap().list().unwrap().is_empty());
}

#[test]
fn verify_finds_missing_data_and_an_altered_list() {
    let (pg, ana_folder) = (Pg::start(), folder());
    let mut ana = team(&pg, ana_folder.path());
    let id = ana.create(declared("shared")).unwrap()[0].incident;
    append_next(&mut ana, id, evidence("x"));
    assert!(ana.verify().unwrap().broken.is_empty());
    pg.sql("DELETE FROM warroom.body");
    pg.sql("UPDATE warroom.incident SET head = replace(head, '\"shared\"', '\"harmless\"')");
    let broken: Vec<String> = ana.verify().unwrap().broken.into_iter().map(|b| format!("{} {}", b.seq, b.what)).collect();
    assert!(broken.iter().any(|b| b.starts_with("2 the evidence body") && b.ends_with("is not in the store")), "{broken:?}");
    assert!(broken.iter().any(|b| b.contains("a different title")), "{broken:?}");
    pg.sql("DELETE FROM warroom.incident");
    assert!(ana.verify().unwrap().broken.iter().any(|b| b.what.contains("its row")));
    pg.sql("DELETE FROM warroom.entry");
    assert!(team(&pg, folder().path()).verify().unwrap().broken.iter().any(|b| b.what.contains("all its entries are missing")));
}

#[test]
fn connects_over_tls_with_a_verified_certificate_and_a_password() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, &authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let mut pg = Pg::start();
    pg.enable_tls(&certificate.pem(), &key.serialize_pem(), "ana", "s3cret");
    let f = folder();
    let ca = f.path().join("ca.pem");
    std::fs::write(&ca, root.pem()).unwrap();
    let url = |more: &str| format!("postgres://ana@127.0.0.1:{}/postgres?{more}", pg.port);
    let config = f.path().join("c.toml");
    let trusted = url(&format!("sslmode=verify-full&sslrootcert={}", ca.display()));
    std::fs::write(&config, format!("[store]\nurl = \"{trusted}\"\npassword_env = \"DB_PASSWORD\"\n")).unwrap();
    let run = |config: &Path, password: &str, args: &[&str]| {
        let config = config.display().to_string();
        let all = [&["--config", &config], args].concat();
        program::warroom(f.path(), &all).env_remove("WARROOM_STORE").env("DB_PASSWORD", password).output().unwrap()
    };
    let output = run(&config, "s3cret", &["declare", "--title", "over TLS"]);
    assert!(output.status.success() && program::stderr(&output).is_empty(), "{}", program::stderr(&output));
    let wrong_password = run(&config, "wrong", &["incident", "list"]);
    assert!(
        wrong_password.status.code() == Some(1)
            && program::stderr(&wrong_password).contains("Check the user name, the password in [store]"),
        "{}",
        program::stderr(&wrong_password)
    );
    assert!(!program::stderr(&wrong_password).contains("wrong"), "no password is ever shown");
    let untrusted = f.path().join("d.toml");
    std::fs::write(&untrusted, format!("[store]\nurl = \"{}\"\npassword_env = \"DB_PASSWORD\"\n", url("sslmode=verify-full")))
        .unwrap();
    let refused = run(&untrusted, "s3cret", &["incident", "list"]);
    assert!(
        refused.status.code() == Some(1) && program::stderr(&refused).contains("sslrootcert"),
        "{}",
        program::stderr(&refused)
    );
    let doctor = run(&config, "s3cret", &["doctor"]);
    assert!(program::stdout(&doctor).contains("ok    store"), "{}", program::stdout(&doctor));
}

/// Two people use the program on the command line, with and without the server.
#[test]
fn two_people_share_an_incident_on_the_command_line() {
    let (mut pg, ana_folder, ben_folder) = (Pg::start(), folder(), folder());
    let run = |who: &Path, name: &str, args: &[&str]| {
        program::warroom(who, args).env("WARROOM_STORE", pg.url()).env("WARROOM_USER", name).output().unwrap()
    };
    let ok = |output: std::process::Output| {
        assert!(output.status.success(), "{}", program::stderr(&output));
        program::stdout(&output)
    };
    assert_eq!(
        ok(run(ana_folder.path(), "ana", &["declare", "--title", "checkout fails", "--severity", "SEV2/SEV3"])).trim(),
        "INC-1"
    );
    ok(run(ben_folder.path(), "ben", &["incident", "note", "INC-1", "ben looks at the pool"]));
    let shown = ok(run(ana_folder.path(), "ana", &["incident", "show", "INC-1"]));
    assert!(shown.contains("SEV2") && shown.contains("ben looks at the pool"), "{shown}");
    pg.shut_down();
    let run = |who: &Path, name: &str, args: &[&str]| {
        program::warroom(who, args).env("WARROOM_STORE", pg.url()).env("WARROOM_USER", name).output().unwrap()
    };
    let output = run(ana_folder.path(), "ana", &["incident", "note", "INC-1", "written in a train"]);
    assert!(output.status.success() && program::stderr(&output).contains("is unreachable"), "{}", program::stderr(&output));
    assert!(program::stderr(&output).contains("1 entry is waiting"), "{}", program::stderr(&output));
    assert_eq!(
        run(ana_folder.path(), "ana", &["verify"]).status.code(),
        Some(3),
        "verify reports that it could not check everything"
    );
    pg.start_server();
    let run = |who: &Path, name: &str, args: &[&str]| {
        program::warroom(who, args).env("WARROOM_STORE", pg.url()).env("WARROOM_USER", name).output().unwrap()
    };
    let listed = run(ana_folder.path(), "ana", &["incident", "list"]);
    assert!(program::stderr(&listed).is_empty(), "{}", program::stderr(&listed));
    let shown = ok(run(ben_folder.path(), "ben", &["incident", "show", "INC-1"]));
    assert!(shown.contains("written in a train"), "{shown}");
    let severity = Severity::Sev2;
    assert!(shown.contains(&severity.to_string()));
}

/// Two people follow one playbook on one server: what one does, the other sees, and no script runs twice.
#[test]
fn two_people_follow_one_playbook() {
    let (pg, ana, ben) = (Pg::start(), folder(), folder());
    let shared = folder();
    let script = format!("echo \"$incident\" >> {0}/runs\nwhile ! test -e {0}/stop; do sleep 0.1; done", shared.path().display());
    let step = |title: &str| format!("## {title}\n\n```sh timeout=5m\n{script}\n```\n\n");
    let text = format!("---\nid: once\ntitle: Once\n---\n\n{}{}## Third\n\nLook.\n", step("First"), step("Second"));
    for home in [&ana, &ben] {
        let playbooks = home.path().join("warroom/playbooks");
        std::fs::create_dir_all(&playbooks).unwrap();
        std::fs::write(playbooks.join("once.md"), &text).unwrap();
    }
    let command = |who: &tempfile::TempDir, name: &str, args: &[&str]| {
        let mut command = program::warroom(who.path(), args);
        command.env("WARROOM_STORE", pg.url()).env("WARROOM_USER", name);
        command
    };
    let run = |who, name, args: &[&str]| command(who, name, args).output().unwrap();
    assert!(run(&ana, "ana", &["declare", "--title", "checkout fails"]).status.success());
    for (number, title) in [("1", "First"), ("2", "Second")] {
        let args = ["playbook", "run", "INC-1", "once", "--step", number, "--yes"];
        let start = |who, name| {
            let mut command = command(who, name, &args);
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        };
        let mut both = [start(&ana, "ana"), start(&ben, "ben")];
        // One of them is refused while the other's script still runs, however slow the machine.
        let began = Instant::now();
        while both.iter_mut().all(|p| p.try_wait().unwrap().is_none()) {
            assert!(began.elapsed() < Duration::from_mins(2), "both run step {number}");
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::write(shared.path().join("stop"), "").unwrap();
        let outputs = both.map(|p| p.wait_with_output().unwrap());
        std::fs::remove_file(shared.path().join("stop")).unwrap();
        let refused: Vec<String> = outputs.iter().filter(|o| !o.status.success()).map(program::stderr).collect();
        assert!(refused.len() == 1 && refused[0].contains(&format!("step {number} was begun by")), "{title}: {refused:?}");
    }
    assert_eq!(std::fs::read_to_string(shared.path().join("runs")).unwrap(), "INC-1\nINC-1\n");
    assert!(run(&ben, "ben", &["playbook", "run", "INC-1", "once", "--step", "3", "--skip", "seen already"]).status.success());
    let add = ["mitigation", "add", "INC-1", "roll back", "--risk", "low", "--undo", "x", "--verify", "errors < 1"];
    assert!(run(&ana, "ana", &add).status.success());
    assert!(run(&ben, "ben", &["mitigation", "start", "INC-1", "M1"]).status.success());
    let shown = program::stdout(&run(&ana, "ana", &["incident", "show", "INC-1", "--json"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let by = |part: &str| {
        let entries = shown["timeline"].as_array().unwrap();
        entries.iter().filter(|e| e["text"].as_str().unwrap().contains(part)).map(|e| e["actor"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(by("step 3 (Third) skipped: seen already"), ["ben"]);
    assert_eq!(by("Mitigation proposed: roll back"), ["ana"]);
    assert_eq!(by("Mitigation started: roll back"), ["ben"]);
}
