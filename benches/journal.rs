//! One append against a bare write and fsync of as many bytes as the commit adds to the write-ahead log, in one run, on one
//! disk. Prints both and their ratio; asserts nothing.

#[path = "../tests/support/measure.rs"]
mod measure;

use std::io::Write;
use std::time::Instant;

use measure::Times;
use warroom::evidence::Redactor;
use warroom::incident::{Actor, Fact, NoteKind, Severity, Status};
use warroom::journal::sqlite::SqliteStore;
use warroom::journal::{Append, NewEntry, Store};
use warroom::telemetry::Timestamp;

const ROUNDS: usize = 400;

fn append(fact: &Fact) -> Append {
    let at = Timestamp::from_secs(1_795_253_400);
    let fact = Redactor::new().value(fact).expect("a fact survives JSON");
    Append { entries: vec![NewEntry::new(at, at, Actor::human("ana"), fact)], bodies: Vec::new() }
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let wal = folder.path().join("journal.db-wal");
    let mut store = SqliteStore::open(&path).expect("a store");
    let declared = Fact::IncidentDeclared {
        title: "bench".into(),
        severity: Severity::Sev3,
        status: Status::Investigating,
        severity_given: true,
        reason: None,
        matrix: None,
    };
    let id = store.create(append(&declared)).expect("an incident")[0].incident;
    let note = Fact::Note { text: "looked at the pool, it is full; raised it to 40".into(), note_kind: NoteKind::Observation };
    let mut bare = std::fs::File::create(folder.path().join("bare")).expect("a file");
    let (mut appends, mut writes, mut bytes) = (Times::default(), Times::default(), Vec::new());
    let mut length = std::fs::metadata(&wal).map_or(0, |m| m.len());
    // The declaration was entry 1.
    for seq in 1..=u64::try_from(ROUNDS).unwrap_or(u64::MAX) {
        let new = append(&note);
        let started = Instant::now();
        store.append(id, seq, new).expect("an append");
        appends.add(started.elapsed());
        let now = std::fs::metadata(&wal).map_or(0, |m| m.len());
        // A checkpoint starts the log anew: then the last size stands for this commit too.
        let added = now.checked_sub(length).filter(|n| *n > 0).unwrap_or_else(|| bytes.last().copied().unwrap_or(4096));
        length = now;
        bytes.push(added);
        let block = vec![7_u8; usize::try_from(added).unwrap_or(4096)];
        let started = Instant::now();
        bare.write_all(&block).and_then(|()| bare.sync_data()).expect("a write");
        writes.add(started.elapsed());
    }
    bytes.sort_unstable();
    println!(
        "append of one note, {ROUNDS} rounds, each followed by a bare write + fdatasync of the bytes that it added to the WAL"
    );
    println!("  bytes a commit adds: median {}", bytes[bytes.len() / 2]);
    println!("  append      {}", appends.line());
    println!("  bare write  {}", writes.line());
    println!("  ratio of the medians: {:.2} (aim: at most 1.3)", appends.median() / writes.median());
}
