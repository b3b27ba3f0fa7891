//! Tests that acknowledged facts are never lost: after a thousand `kill -9` under load, while a PostgreSQL server restarts
//! under eight writers, and on full or read-only disks.

#![cfg(unix)]

#[path = "support/pg.rs"]
mod pg;
#[path = "support/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use program::{json, run, stderr, stdout, warroom};

/// How many times a writer is killed.
const KILLS: u32 = 1000;

/// The path of the example `hammer`, which is built if it is missing.
fn hammer() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_warroom")).with_file_name("examples").join("hammer");
    if !path.exists() {
        let status = Command::new(env!("CARGO")).args(["build", "--locked", "--example", "hammer"]).status().unwrap();
        assert!(status.success());
    }
    path
}

fn writer(url: &str, copies: &Path, name: &str, count: u64) -> Child {
    Command::new(hammer())
        .args([url, &copies.display().to_string(), "INC-1", name, &count.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn lines(child: &mut Child) -> Vec<String> {
    BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect()
}

/// Counts how often each note is in the incident, and checks that the entry numbers have no gap.
fn notes(folder: &Path, url: Option<&str>) -> BTreeMap<String, usize> {
    let mut command = warroom(folder, &["incident", "show", "INC-1", "--json"]);
    if let Some(url) = url {
        command.env("WARROOM_STORE", url);
    }
    let output = command.output().unwrap();
    let v: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|e| panic!("{e}: {}", stderr(&output)));
    let timeline = v["timeline"].as_array().unwrap();
    let seqs: Vec<u64> = timeline.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs.len() as u64, *seqs.iter().max().unwrap(), "the entry numbers have a gap");
    let mut count = BTreeMap::new();
    for e in timeline.iter().filter(|e| e["kind"] == "note") {
        *count.entry(e["text"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    count
}

fn report(test: &str, acknowledged: &[String], found: &BTreeMap<String, usize>) {
    let lost: Vec<&String> = acknowledged.iter().filter(|a| !found.contains_key(*a)).collect();
    let duplicated: Vec<&String> = found.iter().filter(|(_, n)| **n > 1).map(|(t, _)| t).collect();
    println!(
        "{test}: {} facts acknowledged, {} found ({} of them with an acknowledgement that was not read), {} lost, {} duplicated",
        acknowledged.len(),
        found.len(),
        found.len().saturating_sub(acknowledged.len()),
        lost.len(),
        duplicated.len()
    );
    assert!(lost.is_empty() && duplicated.is_empty(), "lost {lost:?}, duplicated {duplicated:?}");
}

#[test]
fn acknowledged_facts_survive_a_thousand_kills() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["declare", "--title", "crash test"]);
    let url = format!("sqlite:{}", folder.path().join("journal.db").display());
    let mut acknowledged = Vec::new();
    // A pseudo-random sequence (xorshift, arbitrary seed) of delays up to `span` microseconds, so that kills hit the start and all
    // later writes. The span follows the speed of the machine: about half of the writers acknowledge something.
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut span = 45_000;
    let mut productive = 0;
    // A second writer competes for the file during the whole test.
    let mut steady = writer(&url, folder.path(), "steady", 0);
    let reader = std::thread::spawn({
        let out = steady.stdout.take().unwrap();
        move || BufReader::new(out).lines().map_while(Result::ok).collect::<Vec<String>>()
    });
    for round in 0..KILLS {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let mut child = writer(&url, folder.path(), &format!("w{round}"), 0);
        std::thread::sleep(Duration::from_micros(500 + seed % span));
        child.kill().unwrap();
        let written = lines(&mut child);
        child.wait().unwrap();
        if written.is_empty() {
            span += span / 20;
        } else {
            span = (span - span / 20).max(45_000);
            productive += 1;
        }
        acknowledged.extend(written);
    }
    steady.kill().unwrap();
    steady.wait().unwrap();
    acknowledged.extend(reader.join().unwrap());
    assert!(productive > KILLS / 10, "only {productive} of {KILLS} killed writers acknowledged a fact");
    let found = notes(folder.path(), None);
    report(&format!("SQLite, {} times kill -9", KILLS + 1), &acknowledged, &found);
    assert_eq!(json(folder.path(), &["verify"]).1["ok"], true);
}

#[test]
fn eight_writers_lose_nothing_while_postgres_restarts() {
    let mut pg = pg::Pg::start();
    let folder = tempfile::tempdir().unwrap();
    let declared = warroom(folder.path(), &["declare", "--title", "crash test"]).env("WARROOM_STORE", pg.url()).output().unwrap();
    assert!(declared.status.success(), "{}", stderr(&declared));
    // Four machines with two writers each; the writers of one machine share its copy and outbox.
    let mut writers: Vec<Child> =
        (0..8).map(|w| writer(&pg.url(), &folder.path().join(format!("machine{}", w / 2)), &format!("w{w}"), 60)).collect();
    for round in 0..6 {
        std::thread::sleep(Duration::from_millis(350));
        if round % 2 == 0 {
            pg.crash();
        } else {
            pg.shut_down();
        }
        std::thread::sleep(Duration::from_millis(250));
        pg.start_server();
    }
    let mut acknowledged = Vec::new();
    for child in &mut writers {
        acknowledged.extend(lines(child));
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(acknowledged.len(), 8 * 60);
    let reader = tempfile::tempdir().unwrap();
    let found = notes(reader.path(), Some(&pg.url()));
    report("PostgreSQL, stopped and started 6 times under 8 writers", &acknowledged, &found);
    let verify = warroom(reader.path(), &["verify"]).env("WARROOM_STORE", pg.url()).output().unwrap();
    assert!(verify.status.success(), "{}", stdout(&verify));
    // Each writer's notes are in the order in which it wrote them.
    let order = pg.sql("SELECT string_agg(text::jsonb #>> '{fact,text}', ',' ORDER BY seq) FROM warroom.entry WHERE seq > 1");
    for w in 0..8 {
        let numbers: Vec<u32> =
            order.split(',').filter_map(|t| t.strip_prefix(&format!("w{w} ")).map(|n| n.parse().unwrap())).collect();
        assert!(numbers.is_sorted(), "w{w}: {numbers:?}");
    }
}

#[test]
fn concurrent_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["declare", "--title", "two writers"]);
    let path = folder.path();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                for n in 0..10 {
                    let output = run(path, &["incident", "note", "INC-1", &format!("w{writer} n{n}")]);
                    assert!(output.status.success(), "{}", stderr(&output));
                }
            });
        }
    });
    assert_eq!(notes(path, None).len(), 40);
    assert_eq!(json(path, &["verify"]).1["entries"], 41);
}

/// Runs a shell script in its own mount namespace, with a file system of 2 MB mounted at `disk`. Root may do this, and other
/// users where the kernel allows user namespaces. Otherwise returns `None`, or panics if `WARROOM_TEST_STRICT` is set.
fn run_on_small_disk(folder: &Path, script: &str) -> Option<std::process::Output> {
    std::fs::create_dir_all(folder.join("disk")).unwrap();
    let setup = "mount -t tmpfs -o size=2m none disk || exit 99\n";
    let user: &[&str] = if is_root() { &["-m"] } else { &["-r", "-m"] };
    let output = Command::new("unshare")
        .args(user)
        .args(["sh", "-c", &format!("{setup}{script}")])
        .current_dir(folder)
        .env("W", env!("CARGO_BIN_EXE_warroom"))
        .env("WARROOM_STORE", "sqlite:disk/journal.db")
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder)
        .env("XDG_DATA_HOME", folder)
        .env("WARROOM_USER", "ana")
        .env_remove("WARROOM_CONFIG")
        .output()
        .unwrap();
    if matches!(output.status.code(), Some(99 | 1)) && stderr(&output).contains("mount") || stderr(&output).contains("unshare") {
        assert!(std::env::var_os("WARROOM_TEST_STRICT").is_none(), "cannot mount a small disk: {}", stderr(&output));
        eprintln!("skipped: cannot mount a small disk here: {}", stderr(&output));
        return None;
    }
    Some(output)
}

fn is_root() -> bool {
    stdout(&Command::new("id").arg("-u").output().unwrap()).trim() == "0"
}

#[test]
fn reports_a_full_disk_and_corrupts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        "$W" declare --title "full disk" >/dev/null || exit 1
        "$W" incident note INC-1 "before" >/dev/null || exit 1
        # Fill most of the disk, then attach a text that does not fit.
        head -c 1500000 /dev/zero > disk/filler
        head -c 900000 /dev/urandom | base64 | "$W" incident attach INC-1 - ; echo "attach $?"
        cat /dev/zero > disk/filler2 2>/dev/null
        for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            "$W" incident note INC-1 "note $n" >/dev/null 2>>errors || { echo "refused"; break; }
        done
        "$W" incident show INC-1 | grep -c before
        "$W" verify
        rm disk/filler disk/filler2
        "$W" incident note INC-1 "after"
        "$W" incident show INC-1 | grep -c after
        "$W" verify
    "#;
    let Some(output) = run_on_small_disk(folder.path(), script) else { return };
    let (text, errors) = (stdout(&output), stderr(&output));
    assert!(text.contains("attach 1") && errors.contains("Free some space"), "{text}\n{errors}");
    assert_eq!(text.matches("All chains and digests are valid").count(), 2, "{text}\n{errors}");
    assert!(text.contains("INC-1 entry") && text.lines().filter(|l| *l == "1").count() == 2, "{text}\n{errors}");
}

#[test]
fn reads_a_store_on_a_read_only_file_system() {
    let folder = tempfile::tempdir().unwrap();
    // The note is only in the write-ahead log, not yet in the file, and must be read as well.
    let script = r#"
        "$W" declare --title "read-only" >/dev/null || exit 1
        "$W" incident note INC-1 "in the log" >/dev/null || exit 1
        mount -o remount,ro disk || exit 99
        "$W" incident show INC-1 | grep -c "in the log"
        "$W" export INC-1 | grep -c "^# Post-mortem"
        "$W" incident note INC-1 "lost?" ; echo "note $?"
        "$W" verify
        "$W" doctor
        mount -o remount,rw disk
        "$W" incident note INC-1 "again" && "$W" verify
    "#;
    let Some(output) = run_on_small_disk(folder.path(), script) else { return };
    let (text, errors) = (stdout(&output), stderr(&output));
    assert!(text.lines().filter(|l| *l == "1").count() == 2, "{text}\n{errors}");
    assert!(text.contains("note 1") && errors.contains("read-only"), "{text}\n{errors}");
    assert!(text.contains("warn  store"), "{text}\n{errors}");
    assert_eq!(text.matches("All chains and digests are valid").count(), 2, "{text}\n{errors}");
}
