//! Tests of the local copy of a shared store: many processes open it at the same time, and a damaged copy is replaced without
//! losing the entries in its outbox.

#![cfg(unix)]

#[path = "support/contract.rs"]
mod contract;
#[path = "support/pg.rs"]
mod pg;
#[path = "support/program.rs"]
mod program;

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use contract::note;
use pg::Pg;
use program::{stderr, stdout, warroom};
use warroom::incident::IncidentId;
use warroom::journal::Store;
use warroom::journal::team::TeamStore;

/// A command for the program on a shared store, with the local copy in `folder`.
fn team_command(pg: &Pg, folder: &Path, args: &[&str]) -> Command {
    let mut command = warroom(folder, args);
    command.env("WARROOM_STORE", pg.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(pg: &Pg, folder: &Path, args: &[&str]) -> Output {
    team_command(pg, folder, args).output().unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// The files of the local copy, oldest first; a damaged file stays beside its replacement.
fn copies(folder: &Path) -> Vec<PathBuf> {
    let is_copy =
        |p: &PathBuf| p.file_name().unwrap().to_str().unwrap().starts_with("team-") && p.extension().is_some_and(|e| e == "db");
    let mut found: Vec<PathBuf> = files(folder).into_iter().filter(is_copy).collect();
    found.sort_by_key(|p| p.as_os_str().len());
    found
}

/// The newest file of the local copy, with its write-ahead log merged into it.
fn copy(folder: &Path) -> PathBuf {
    let path = copies(folder).pop().expect("a copy");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "journal_mode", "DELETE").unwrap();
    path
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// The offset of a table's root page in the file, and the page size; both in bytes.
fn root_page(path: &Path, table: &str) -> (u64, u64) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let root: i64 = connection.query_row("SELECT rootpage FROM sqlite_master WHERE name = ?1", [table], |r| r.get(0)).unwrap();
    let size: i64 = connection.pragma_query_value(None, "page_size", |r| r.get(0)).unwrap();
    ((root.unsigned_abs() - 1) * size.unsigned_abs(), size.unsigned_abs())
}

fn all_succeed(children: Vec<Child>) -> Vec<Output> {
    let outputs: Vec<Output> = children.into_iter().map(|c| c.wait_with_output().unwrap()).collect();
    for output in &outputs {
        assert!(output.status.success(), "{:?}: {}{}", output.status, stdout(output), stderr(output));
    }
    outputs
}

/// Runs eight processes at the same time; all must succeed.
fn run_eight(pg: &Pg, folder: &Path, args: impl Fn(usize) -> Vec<String>) -> Vec<Output> {
    let spawn = |n| {
        let args = args(n);
        team_command(pg, folder, &args.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap()
    };
    all_succeed((0..8).map(spawn).collect())
}

#[test]
fn eight_processes_create_a_copy_at_the_same_time() {
    let pg = Pg::start();
    let declared = run(&pg, tempfile::tempdir().unwrap().path(), &["declare", "--title", "checkout is failing"]);
    assert!(declared.status.success(), "{}", stderr(&declared));
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        run_eight(&pg, folder.path(), |n| ["incident", "note", "INC-1", &format!("note {n}")].map(str::to_owned).to_vec());
        assert_eq!(copies(folder.path()).len(), 1, "processes wait for a busy copy and do not replace it");
    }
    let shown = run(&pg, tempfile::tempdir().unwrap().path(), &["incident", "show", "INC-1", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&stdout(&shown)).unwrap();
    assert_eq!(value["timeline"].as_array().unwrap().iter().filter(|e| e["kind"] == "note").count(), 24);
}

#[test]
fn waits_for_a_locked_copy() {
    let (pg, folder) = (Pg::start(), tempfile::tempdir().unwrap());
    assert!(run(&pg, folder.path(), &["declare", "--title", "x"]).status.success());
    let holder = rusqlite::Connection::open(copy(folder.path())).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let child = team_command(&pg, folder.path(), &["incident", "list"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    holder.execute_batch("ROLLBACK").unwrap();
    all_succeed(vec![child]);
    assert_eq!(copies(folder.path()).len(), 1);
}

/// For each kind of damage: eight processes open the copy at the same time, one replaces it, and the incident is read again
/// from the server.
#[test]
fn one_of_eight_processes_replaces_a_damaged_copy() {
    type Damage = fn(&Path);
    let pg = Pg::start();
    let kinds: [(&str, Damage); 6] = [
        ("garbage", |p| std::fs::write(p, b"not a database at all, but long enough to be read as one").unwrap()),
        ("cut off", |p| std::fs::OpenOptions::new().write(true).open(p).unwrap().set_len(5000).unwrap()),
        ("a broken header", |p| overwrite(p, 0, &[0xA5; 64])),
        ("a broken schema page", |p| overwrite(p, 100, &[0xA5; 2000])),
        ("a broken outbox page", |p| {
            let (at, size) = root_page(p, "outbox");
            overwrite(p, at, &vec![0xA5; usize::try_from(size).unwrap()]);
        }),
        ("tables missing", |p| {
            rusqlite::Connection::open(p).unwrap().execute_batch("DROP TABLE entry; DROP TABLE alias").unwrap();
        }),
    ];
    for (n, (kind, damage)) in kinds.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let id = format!("INC-{}", n + 1);
        assert!(run(&pg, folder.path(), &["declare", "--title", kind]).status.success());
        damage(&copy(folder.path()));
        let outputs = run_eight(&pg, folder.path(), |_| ["incident", "show", &id].map(str::to_owned).to_vec());
        assert!(outputs.iter().all(|o| stdout(o).contains(kind)), "{kind}");
        let messages: Vec<String> = outputs.iter().map(stderr).filter(|e| e.contains("was damaged")).collect();
        assert_eq!(
            (messages.len(), copies(folder.path()).len()),
            (1, 2),
            "{kind}: exactly one process replaces the copy and reports it: {messages:?}"
        );
    }
}

#[test]
fn keeps_waiting_entries_when_a_copy_is_damaged() {
    let (mut pg, folder) = (Pg::start(), tempfile::tempdir().unwrap());
    assert!(run(&pg, folder.path(), &["declare", "--title", "checkout is failing"]).status.success());
    pg.shut_down();
    for n in 0..5 {
        assert!(run(&pg, folder.path(), &["incident", "note", "INC-1", &format!("waiting {n}")]).status.success());
    }
    let path = copy(folder.path());
    let (at, size) = root_page(&path, "entry");
    overwrite(&path, at, &vec![0xA5; usize::try_from(size).unwrap()]);
    // The damaged table is not read by every command.
    let shown = run(&pg, folder.path(), &["incident", "list"]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    pg.start_server();
    let noted = run(&pg, folder.path(), &["incident", "note", "INC-1", "after"]);
    assert!(noted.status.success(), "{}", stderr(&noted));
    let all = stderr(&shown) + &stderr(&noted);
    assert!(all.contains("was damaged") && all.contains("All 5 entries"), "{all}");
    let shown = run(&pg, tempfile::tempdir().unwrap().path(), &["incident", "show", "INC-1"]);
    for n in 0..5 {
        assert_eq!(stdout(&shown).matches(&format!("waiting {n}")).count(), 1, "{}", stdout(&shown));
    }
}

#[test]
fn reports_an_unreadable_outbox() {
    let (mut pg, folder) = (Pg::start(), tempfile::tempdir().unwrap());
    assert!(run(&pg, folder.path(), &["declare", "--title", "checkout is failing"]).status.success());
    pg.shut_down();
    assert!(run(&pg, folder.path(), &["incident", "note", "INC-1", "waiting"]).status.success());
    let path = copy(folder.path());
    let (at, size) = root_page(&path, "outbox");
    overwrite(&path, at, &vec![0xA5; usize::try_from(size).unwrap()]);
    pg.start_server();
    let shown = run(&pg, folder.path(), &["incident", "show", "INC-1"]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    assert!(stderr(&shown).contains("others may be lost") && copies(folder.path()).len() == 2, "{}", stderr(&shown));
}

#[test]
fn replaces_a_copy_that_is_damaged_while_open() {
    let (pg, folder) = (Pg::start(), tempfile::tempdir().unwrap());
    let copy_folder = folder.path().join("warroom");
    let mut store = TeamStore::open(&pg.url(), None, &copy_folder).unwrap();
    let id = store.create(contract::declared("checkout is failing")).unwrap()[0].incident;
    contract::append_next(&mut store, id, note("before"));
    let path = copies(folder.path()).pop().unwrap();
    // SQLite reads the header from the write-ahead log as long as the log contains it, so empty the log first.
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    overwrite(&path, 0, &[0xA5; 64]);
    let shown = run(&pg, folder.path(), &["incident", "show", "INC-1"]);
    assert!(shown.status.success() && copies(folder.path()).len() == 2, "{}", stderr(&shown));
    contract::append_next(&mut store, id, note("after"));
    assert_eq!(store.entries(IncidentId(1), 0).unwrap().len(), 3);
    let new = rusqlite::Connection::open(copies(folder.path()).pop().unwrap()).unwrap();
    let copied: i64 = new.query_row("SELECT count(*) FROM entry", [], |r| r.get(0)).unwrap();
    assert_eq!(copied, 3, "the open store writes to the new file");
}

#[test]
fn reports_a_copy_that_cannot_be_opened() {
    let (pg, folder) = (Pg::start(), tempfile::tempdir().unwrap());
    assert!(run(&pg, folder.path(), &["declare", "--title", "x"]).status.success());
    let path = copy(folder.path());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let output = run(&pg, folder.path(), &["incident", "list"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot open the store") && !stderr(&output).contains("panicked"), "{}", stderr(&output));
    std::fs::remove_dir(&path).unwrap();
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let output = run(&pg, folder.path(), &["incident", "list"]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("newer warroom"), "{}", stderr(&output));
}
