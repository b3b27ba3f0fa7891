use super::*;
use crate::evidence::{Draft, Redactor};
use crate::incident::{Actor, EvidenceKind, Fact, NoteKind, Severity, Status};
use crate::journal::NewEntry;
use crate::telemetry::{LogLine, Timestamp, Window};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_795_253_400 + secs)
}

fn new(fact: &Fact) -> NewEntry {
    NewEntry::new(at(0), at(0), Actor::human("ana"), Redactor::new().redact_value(fact).unwrap())
}

fn declared() -> Append {
    let fact = Fact::IncidentDeclared {
        title: "checkout is failing".into(),
        severity: Severity::Sev3,
        status: Status::Investigating,
        severity_given: true,
        reason: None,
        matrix: None,
    };
    Append { entries: vec![new(&fact)], bodies: Vec::new() }
}

fn note(text: &str) -> Append {
    let fact = Fact::Note { text: text.into(), note_kind: NoteKind::Observation };
    Append { entries: vec![new(&fact)], bodies: Vec::new() }
}

fn evidence(text: &str) -> Append {
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

fn open(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("sub/journal.db")).unwrap()
}

#[test]
fn verify_finds_tampering_at_its_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder);
    let id = store.create(declared()).unwrap()[0].incident;
    for n in 1..5 {
        store.append(id, n, note("x")).unwrap();
    }
    store.append(id, 5, evidence("x")).unwrap();
    for (sql, seq) in [
        ("UPDATE entry SET text = replace(text, '\"x\"', '\"y\"') WHERE seq = 3", 3),
        ("DELETE FROM entry WHERE seq = 4", 4),
        ("DELETE FROM entry WHERE seq = 6", 6),
    ] {
        let copy = tempfile::tempdir().unwrap();
        let path = copy.path().join("journal.db");
        store.connection.execute("VACUUM INTO ?1", [path.display().to_string()]).unwrap();
        let mut damaged = SqliteStore::open(&path).unwrap();
        damaged.connection.execute(sql, []).unwrap();
        let broken = damaged.verify().unwrap().broken;
        assert_eq!(broken.first().map(|b| b.seq), Some(seq), "{sql}: {broken:?}");
    }
}

#[test]
fn does_not_change_files_of_other_programs_or_newer_versions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.db");
    SqliteStore::open(&path).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(JournalError::Newer { found: 99, .. })));
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    assert!(SqliteStore::open(&other).is_err());
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is not a database, it is a text that a person wrote").unwrap();
    assert!(SqliteStore::open(&text).is_err());
    assert_eq!(std::fs::read_to_string(&text).unwrap().len(), 56);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder);
    store.create(declared()).unwrap();
    for name in ["journal.db", "journal.db-wal"] {
        let mode = std::fs::metadata(folder.path().join("sub").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
