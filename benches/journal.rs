//! The journal's figures, each in one run on one disk: an append against a bare write and fdatasync of as many bytes as the
//! commit adds; opening an incident of 100,000 entries; listing 10,000 incidents; fifty writers on one incident of a real
//! PostgreSQL (where Debian's is installed). Prints what it measured; asserts nothing.

#[path = "../tests/support/measure.rs"]
mod measure;
#[path = "../tests/support/pg.rs"]
mod pg;

use std::io::Write;
use std::time::Instant;

use measure::Times;
use warroom::evidence::Redactor;
use warroom::incident::{Actor, Fact, Incident, IncidentId, NoteKind, Severity, Status};
use warroom::investigate::{Desk, SourceSet};
use warroom::journal::sqlite::SqliteStore;
use warroom::journal::{Append, Journal, NewEntry, Store, StoreAt};
use warroom::telemetry::Timestamp;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 400;
const LONG: usize = 100_000;
const MANY: usize = 10_000;
const WRITERS: usize = 50;
const NOTES: usize = 20;

fn at(n: usize) -> Timestamp {
    Timestamp::from_secs(1_795_253_400 + i64::try_from(n).unwrap_or(0))
}

fn new(n: usize, fact: &Fact) -> NewEntry {
    let fact = Redactor::new().value(fact).expect("a fact survives JSON");
    NewEntry::new(at(n), at(n), Actor::human("ana"), fact)
}

fn append(fact: &Fact) -> Append {
    Append { entries: vec![new(0, fact)], bodies: Vec::new() }
}

fn declared() -> Fact {
    Fact::IncidentDeclared {
        title: "checkout fails 17 % of requests".into(),
        severity: Severity::Sev3,
        status: Status::Investigating,
        severity_given: true,
        reason: None,
        matrix: None,
    }
}

fn note(n: usize) -> Fact {
    let text = format!("note {n}: looked at the pool, it is full; raised it to 40 [E3]");
    Fact::Note { text, note_kind: NoteKind::Observation }
}

fn against_the_disk(folder: &std::path::Path) {
    let (path, wal) = (folder.join("journal.db"), folder.join("journal.db-wal"));
    let mut store = SqliteStore::open(&path).expect("a store");
    let id = store.create(append(&declared())).expect("an incident")[0].incident;
    let fact = Fact::Note { text: "looked at the pool, it is full; raised it to 40".into(), note_kind: NoteKind::Observation };
    let mut bare = std::fs::File::create(folder.join("bare")).expect("a file");
    let (mut appends, mut writes, mut bytes) = (Times::default(), Times::default(), Vec::new());
    let mut length = std::fs::metadata(&wal).map_or(0, |m| m.len());
    // The declaration was entry 1.
    for seq in 1..=u64::try_from(ROUNDS).unwrap_or(u64::MAX) {
        let new = append(&fact);
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

fn a_long_incident(folder: &std::path::Path) {
    let path = folder.join("long.db");
    let mut store = SqliteStore::open(&path).expect("a store");
    let id = store.create(append(&declared())).expect("an incident")[0].incident;
    let entries = (1..LONG).map(|n| new(n, &note(n))).collect();
    store.append(id, 1, Append { entries, bodies: Vec::new() }).expect("many entries");
    drop(store);
    let (mut opened, mut read) = (Times::default(), Times::default());
    for _ in 0..15 {
        let started = Instant::now();
        let mut store = SqliteStore::open(&path).expect("a store");
        let entries = store.entries(id, 0).expect("entries");
        read.add(started.elapsed());
        let incident = Incident::fold(entries).expect("an incident");
        opened.add(started.elapsed());
        assert_eq!(incident.entries.len(), LONG);
    }
    println!("open an incident of {LONG} entries (store opened, entries read, parsed and folded), 15 rounds");
    println!("  open        {} (aim: under 150 ms)", opened.line());
    println!("  of it until the fold {}", read.line());
}

fn many_incidents(folder: &std::path::Path) {
    let path = folder.join("many.db");
    let mut store = SqliteStore::open(&path).expect("a store");
    for _ in 0..MANY {
        store.create(append(&declared())).expect("an incident");
    }
    drop(store);
    let mut listed = Times::default();
    for _ in 0..30 {
        let started = Instant::now();
        let mut store = SqliteStore::open(&path).expect("a store");
        assert_eq!(store.list().expect("heads").len(), MANY);
        listed.add(started.elapsed());
    }
    println!("list {MANY} incidents (store opened), 30 rounds");
    println!("  list        {} (aim: under 50 ms)", listed.line());
}

fn fifty_writers(folder: &std::path::Path) {
    let server = pg::Pg::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let desk = |n: usize| Desk {
        journal: Journal::open(&StoreAt { url: server.url(), password: None, copies: folder.join(format!("w{n}")) })
            .expect("a store"),
        sources: SourceSet::default(),
        library: warroom::prompt::Library::with(&[]).expect("prompts"),
        matrix: warroom::incident::Matrix::default(),
        assistant: None,
        user: format!("w{n}"),
        monitor: warroom::incident::gate::MONITOR,
        slo: warroom::config::SloConfig::default(),
        oncall: warroom::config::OncallConfig::default(),
    };
    runtime.block_on(async {
        let desks: Vec<Desk> = (0..WRITERS).map(desk).collect();
        desks[0].journal.create(append(&declared())).await.expect("an incident");
        // Everybody is connected before the clock starts.
        for d in &desks {
            d.journal.entries(IncidentId(1), 0).await.expect("entries");
        }
        let alone = {
            let mut times = Times::default();
            for n in 0..100 {
                let started = Instant::now();
                desks[0].note(IncidentId(1), &format!("alone {n}"), NoteKind::Observation, None).await.expect("a note");
                times.add(started.elapsed());
            }
            times
        };
        let started = Instant::now();
        let tasks: Vec<_> = desks
            .into_iter()
            .map(|d| {
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    for n in 0..NOTES {
                        let one = Instant::now();
                        d.note(IncidentId(1), &format!("{} {n}", d.user), NoteKind::Observation, None).await.expect("a note");
                        times.push(one.elapsed());
                    }
                    times
                })
            })
            .collect();
        let mut times = Times::default();
        for task in tasks {
            task.await.expect("a writer").into_iter().for_each(|t| times.add(t));
        }
        let took = started.elapsed().as_secs_f64();
        let count =
            server.sql("SELECT count(*), count(DISTINCT text::jsonb #>> '{fact,text}') FROM warroom.entry WHERE seq > 101");
        println!(
            "{WRITERS} writers on one incident of a real PostgreSQL on the same two cores, {NOTES} notes each, optimistic append"
        );
        println!("  one writer alone, read and append: {}", alone.line());
        println!("  a note, with its retries:          {}", times.line());
        println!(
            "  {:.0} notes a second; entries, and how many differ: {count} (expected {}|{})",
            (WRITERS * NOTES) as f64 / took,
            WRITERS * NOTES,
            WRITERS * NOTES
        );
    });
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    against_the_disk(folder.path());
    a_long_incident(folder.path());
    many_incidents(folder.path());
    if std::path::Path::new("/usr/lib/postgresql").exists() {
        fifty_writers(folder.path());
    } else {
        println!("fifty writers: left out, PostgreSQL is not installed");
    }
}
