//! Benchmarks of the journal, on one disk. Prints the times; asserts nothing about them.
//!
//! - Append one entry, compared with a bare write and fdatasync of the same number of bytes.
//! - Open an incident of 100,000 entries.
//! - List 10,000 incidents.
//! - Fifty writers on one incident in PostgreSQL, if Debian's package is installed.

#[path = "../tests/support/measure.rs"]
mod measure;
#[path = "../tests/support/pg.rs"]
mod pg;

use std::io::Write;
use std::time::Instant;

use measure::Times;
use warroom::evidence::Redactor;
use warroom::incident::{Actor, Command, Fact, Incident, IncidentId, NoteKind, Severity, Status};
use warroom::investigate::{Desk, SourceSet};
use warroom::journal::sqlite::SqliteStore;
use warroom::journal::{Append, Journal, NewEntry, Store, StoreAt};
use warroom::telemetry::Timestamp;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APPENDS: usize = 400;
const ENTRIES: usize = 100_000;
const INCIDENTS: usize = 10_000;
const WRITERS: usize = 50;
const NOTES_PER_WRITER: usize = 20;

fn at(n: usize) -> Timestamp {
    Timestamp::from_secs(1_795_253_400 + i64::try_from(n).unwrap_or(0))
}

fn new_entry(n: usize, fact: &Fact) -> NewEntry {
    let fact = Redactor::new().redact_value(fact).expect("redact the fact");
    NewEntry::new(at(n), at(n), Actor::human("ana"), fact)
}

fn append(fact: &Fact) -> Append {
    Append { entries: vec![new_entry(0, fact)], bodies: Vec::new() }
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

fn bench_append(folder: &std::path::Path) {
    let (path, wal) = (folder.join("journal.db"), folder.join("journal.db-wal"));
    let mut store = SqliteStore::open(&path).expect("open the store");
    let id = store.create(append(&declared())).expect("create the incident")[0].incident;
    let fact = Fact::Note { text: "looked at the pool, it is full; raised it to 40".into(), note_kind: NoteKind::Observation };
    let mut bare = std::fs::File::create(folder.join("bare")).expect("create the file");
    let (mut appends, mut writes, mut bytes) = (Times::default(), Times::default(), Vec::new());
    let mut length = std::fs::metadata(&wal).map_or(0, |m| m.len());
    // The declaration was entry 1.
    for seq in 1..=u64::try_from(APPENDS).unwrap_or(u64::MAX) {
        let new = append(&fact);
        let started = Instant::now();
        store.append(id, seq, new).expect("append the entry");
        appends.add(started.elapsed());
        let now = std::fs::metadata(&wal).map_or(0, |m| m.len());
        // After a checkpoint the WAL starts again: use the size of the previous commit.
        let added = now.checked_sub(length).filter(|n| *n > 0).unwrap_or_else(|| bytes.last().copied().unwrap_or(4096));
        length = now;
        bytes.push(added);
        let block = vec![7_u8; usize::try_from(added).unwrap_or(4096)];
        let started = Instant::now();
        bare.write_all(&block).and_then(|()| bare.sync_data()).expect("write the bytes");
        writes.add(started.elapsed());
    }
    bytes.sort_unstable();
    println!(
        "append one note, {APPENDS} rounds, each followed by a bare write and fdatasync of the bytes that it added to the WAL"
    );
    println!("  bytes per commit: median {}", bytes[bytes.len() / 2]);
    println!("  append      {}", appends.summary());
    println!("  bare write  {}", writes.summary());
    println!("  ratio of the medians: {:.2} (target: at most 1.3)", appends.median() / writes.median());
}

fn bench_open(folder: &std::path::Path) {
    let path = folder.join("long.db");
    let mut store = SqliteStore::open(&path).expect("open the store");
    let id = store.create(append(&declared())).expect("create the incident")[0].incident;
    let entries = (1..ENTRIES).map(|n| new_entry(n, &note(n))).collect();
    store.append(id, 1, Append { entries, bodies: Vec::new() }).expect("append the entries");
    drop(store);
    let (mut opened, mut read) = (Times::default(), Times::default());
    for _ in 0..15 {
        let started = Instant::now();
        let mut store = SqliteStore::open(&path).expect("open the store");
        let entries = store.entries(id, 0).expect("read the entries");
        read.add(started.elapsed());
        let incident = Incident::fold(entries).expect("fold the incident");
        opened.add(started.elapsed());
        assert_eq!(incident.entries.len(), ENTRIES);
    }
    println!("open an incident of {ENTRIES} entries (open the store; read, parse and fold the entries), 15 rounds");
    println!("  open        {} (target: under 150 ms)", opened.summary());
    println!("  without the fold {}", read.summary());
}

fn bench_list(folder: &std::path::Path) {
    let path = folder.join("many.db");
    let mut store = SqliteStore::open(&path).expect("open the store");
    for _ in 0..INCIDENTS {
        store.create(append(&declared())).expect("create the incident");
    }
    drop(store);
    let mut listed = Times::default();
    for _ in 0..30 {
        let started = Instant::now();
        let mut store = SqliteStore::open(&path).expect("open the store");
        assert_eq!(store.list().expect("list the incidents").len(), INCIDENTS);
        listed.add(started.elapsed());
    }
    println!("list {INCIDENTS} incidents (including opening the store), 30 rounds");
    println!("  list        {} (target: under 50 ms)", listed.summary());
}

fn note_command(text: String) -> Command {
    Command::Note { text, kind: NoteKind::Observation }
}

fn bench_writers(folder: &std::path::Path) {
    let server = pg::Pg::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("start the runtime");
    let desk = |n: usize| Desk {
        journal: Journal::open(&StoreAt { url: server.url(), password: None, copies: folder.join(format!("w{n}")) })
            .expect("open the store"),
        sources: SourceSet::default(),
        library: warroom::prompt::Library::load(&[]).into(),
        matrix: warroom::incident::Matrix::default(),
        assistant: None,
        user: format!("w{n}"),
        monitor: warroom::incident::gate::DEFAULT_MONITOR_TIME,
        slo: warroom::config::SloConfig::default(),
        oncall: warroom::config::OncallConfig::default(),
        commands: Vec::new(),
        presets: Vec::new(),
        updates: warroom::investigate::desk::UpdateSettings::default(),
        playbooks: warroom::playbook::Library::load(&[]).into(),
        read_only: false,
        investigating: std::sync::Arc::default(),
    };
    runtime.block_on(async {
        let desks: Vec<Desk> = (0..WRITERS).map(desk).collect();
        desks[0].journal.create(append(&declared())).await.expect("create the incident");
        // Connect all writers before the measurement starts.
        for d in &desks {
            d.journal.entries(IncidentId(1), 0).await.expect("read the entries");
        }
        let alone = {
            let mut times = Times::default();
            for n in 0..100 {
                let started = Instant::now();
                desks[0].run(IncidentId(1), note_command(format!("alone {n}")), None).await.expect("add the note");
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
                    for n in 0..NOTES_PER_WRITER {
                        let started = Instant::now();
                        d.run(IncidentId(1), note_command(format!("{} {n}", d.user)), None).await.expect("add the note");
                        times.push(started.elapsed());
                    }
                    times
                })
            })
            .collect();
        let mut times = Times::default();
        for task in tasks {
            task.await.expect("join the writer").into_iter().for_each(|t| times.add(t));
        }
        let elapsed = started.elapsed().as_secs_f64();
        let count =
            server.sql("SELECT count(*), count(DISTINCT text::jsonb #>> '{fact,text}') FROM warroom.entry WHERE seq > 101");
        println!(
            "{WRITERS} writers on one incident in PostgreSQL on the same machine, {NOTES_PER_WRITER} notes each, optimistic append"
        );
        println!("  one writer, read and append:  {}", alone.summary());
        println!("  one of many, with retries:    {}", times.summary());
        println!(
            "  {:.0} notes/s; total and distinct entries: {count} (expected {}|{})",
            (WRITERS * NOTES_PER_WRITER) as f64 / elapsed,
            WRITERS * NOTES_PER_WRITER,
            WRITERS * NOTES_PER_WRITER
        );
    });
}

fn main() {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    bench_append(folder.path());
    bench_open(folder.path());
    bench_list(folder.path());
    if std::path::Path::new("/usr/lib/postgresql").exists() {
        bench_writers(folder.path());
    } else {
        println!("{WRITERS} writers: skipped, PostgreSQL is not installed");
    }
}
