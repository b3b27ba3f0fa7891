//! This machine's copy of a team's store: opened by many processes at once, and replaced when it is damaged, without losing what waits in
//! its outbox.

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

/// The program on a team's store; its copy is in `folder`.
fn on_team(pg: &Pg, folder: &Path, args: &[&str]) -> Command {
    let mut command = warroom(folder, args);
    command.env("WARROOM_STORE", pg.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(pg: &Pg, folder: &Path, args: &[&str]) -> Output {
    on_team(pg, folder, args).output().unwrap()
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

/// The files of this machine's copy, oldest first; a damaged one is followed by another.
fn copies(folder: &Path) -> Vec<PathBuf> {
    let is_copy =
        |p: &PathBuf| p.file_name().unwrap().to_str().unwrap().starts_with("team-") && p.extension().is_some_and(|e| e == "db");
    let mut found: Vec<PathBuf> = files(folder).into_iter().filter(is_copy).collect();
    found.sort_by_key(|p| p.as_os_str().len());
    found
}

/// This machine's copy, folded into one file.
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

/// The page on which a table begins, and the size of pages.
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

fn eight(pg: &Pg, folder: &Path, args: impl Fn(usize) -> Vec<String>) -> Vec<Output> {
    let spawn = |n| {
        let args = args(n);
        on_team(pg, folder, &args.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap()
    };
    all_succeed((0..8).map(spawn).collect())
}

#[test]
fn eight_processes_open_a_new_copy_at_once() {
    let pg = Pg::start();
    let declared = run(&pg, tempfile::tempdir().unwrap().path(), &["declare", "--title", "checkout is failing"]);
    assert!(declared.status.success(), "{}", stderr(&declared));
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        eight(&pg, folder.path(), |n| ["incident", "note", "INC-1", &format!("note {n}")].map(str::to_owned).to_vec());
        assert_eq!(copies(folder.path()).len(), 1, "a busy copy is waited for, not replaced");
    }
    let shown = run(&pg, tempfile::tempdir().unwrap().path(), &["incident", "show", "INC-1", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&stdout(&shown)).unwrap();
    assert_eq!(value["timeline"].as_array().unwrap().iter().filter(|e| e["kind"] == "note").count(), 24);
}

#[test]
fn a_copy_that_is_locked_is_waited_for() {
    let (pg, folder) = (Pg::start(), tempfile::tempdir().unwrap());
    assert!(run(&pg, folder.path(), &["declare", "--title", "x"]).status.success());
    let holder = rusqlite::Connection::open(copy(folder.path())).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let child = on_team(&pg, folder.path(), &["incident", "list"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    holder.execute_batch("ROLLBACK").unwrap();
    all_succeed(vec![child]);
    assert_eq!(copies(folder.path()).len(), 1);
}

/// Each way to break the file: eight processes open it at once, one replaces it, and the incident is there again from the server.
#[test]
fn eight_processes_open_each_kind_of_damaged_copy() {
    let pg = Pg::start();
    let kinds: [(&str, fn(&Path)); 6] = [
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
    for (n, (what, break_it)) in kinds.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let id = format!("INC-{}", n + 1);
        assert!(run(&pg, folder.path(), &["declare", "--title", what]).status.success());
        break_it(&copy(folder.path()));
        let outputs = eight(&pg, folder.path(), |_| ["incident", "show", &id].map(str::to_owned).to_vec());
        assert!(outputs.iter().all(|o| stdout(o).contains(what)), "{what}");
        let messages: Vec<String> = outputs.iter().map(stderr).filter(|e| e.contains("was damaged")).collect();
        assert_eq!(
            (messages.len(), copies(folder.path()).len()),
            (1, 2),
            "{what}: one process replaces it and says so: {messages:?}"
        );
    }
}

#[test]
fn what_waits_in_a_damaged_copy_is_carried_over() {
    let (mut pg, folder) = (Pg::start(), tempfile::tempdir().unwrap());
    assert!(run(&pg, folder.path(), &["declare", "--title", "checkout is failing"]).status.success());
    pg.down();
    for n in 0..5 {
        assert!(run(&pg, folder.path(), &["incident", "note", "INC-1", &format!("waiting {n}")]).status.success());
    }
    let path = copy(folder.path());
    let (at, size) = root_page(&path, "entry");
    overwrite(&path, at, &vec![0xA5; usize::try_from(size).unwrap()]);
    // The damage is in a table that is read only when it is needed.
    let shown = run(&pg, folder.path(), &["incident", "list"]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    pg.up();
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
fn an_outbox_that_cannot_be_read_is_named() {
    let (mut pg, folder) = (Pg::start(), tempfile::tempdir().unwrap());
    assert!(run(&pg, folder.path(), &["declare", "--title", "checkout is failing"]).status.success());
    pg.down();
    assert!(run(&pg, folder.path(), &["incident", "note", "INC-1", "waiting"]).status.success());
    let path = copy(folder.path());
    let (at, size) = root_page(&path, "outbox");
    overwrite(&path, at, &vec![0xA5; usize::try_from(size).unwrap()]);
    pg.up();
    let shown = run(&pg, folder.path(), &["incident", "show", "INC-1"]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    assert!(stderr(&shown).contains("others may be lost") && copies(folder.path()).len() == 2, "{}", stderr(&shown));
}

#[test]
fn a_copy_that_breaks_under_an_open_window_is_replaced() {
    let (pg, folder) = (Pg::start(), tempfile::tempdir().unwrap());
    let place = folder.path().join("warroom");
    let mut store = TeamStore::open(&pg.url(), None, &place).unwrap();
    let id = store.create(contract::declared("checkout is failing")).unwrap()[0].incident;
    contract::push(&mut store, id, note("before"));
    let path = copies(folder.path()).pop().unwrap();
    // The header is read from the log while that holds one.
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    overwrite(&path, 0, &[0xA5; 64]);
    let shown = run(&pg, folder.path(), &["incident", "show", "INC-1"]);
    assert!(shown.status.success() && copies(folder.path()).len() == 2, "{}", stderr(&shown));
    contract::push(&mut store, id, note("after"));
    assert_eq!(store.entries(IncidentId(1), 0).unwrap().len(), 3);
    let new = rusqlite::Connection::open(copies(folder.path()).pop().unwrap()).unwrap();
    let copied: i64 = new.query_row("SELECT count(*) FROM entry", [], |r| r.get(0)).unwrap();
    assert_eq!(copied, 3, "the open window works on the new file");
}

#[test]
fn a_copy_that_cannot_be_opened_is_an_error_and_not_a_panic() {
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
