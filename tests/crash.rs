//! Facts that were acknowledged are there after `kill -9`, and two processes on one store lose nothing.

#![cfg(unix)]

#[path = "support/program.rs"]
mod program;

use std::process::Stdio;
use std::time::Duration;

use program::{json, run, warroom};

#[test]
fn acknowledged_notes_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["declare", "--title", "crash test"]);
    let mut acknowledged = Vec::new();
    let mut killed = 0;
    // Each process writes one note and is killed after a time that sweeps over its whole life.
    for round in 0..60_u64 {
        let text = format!("note number {round}");
        let mut child = warroom(folder.path(), &["incident", "note", "INC-1", &text])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round % 30));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if String::from_utf8_lossy(&output.stdout).contains(&text) {
            acknowledged.push(text);
        } else {
            killed += 1;
        }
    }
    let (code, v) = json(folder.path(), &["incident", "show", "INC-1"]);
    assert_eq!(code, 0);
    let texts: Vec<&str> = v["timeline"].as_array().unwrap().iter().map(|e| e["text"].as_str().unwrap()).collect();
    for text in &acknowledged {
        assert_eq!(texts.iter().filter(|t| **t == text).count(), 1, "{text}");
    }
    assert!(killed > 0, "the test killed before the answer at least once");
    let seqs: Vec<u64> = v["timeline"].as_array().unwrap().iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs.len() as u64, *seqs.iter().max().unwrap());
    assert_eq!(json(folder.path(), &["verify"]).1["ok"], true);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["declare", "--title", "two writers"]);
    let path = folder.path();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                for n in 0..10 {
                    let output = run(path, &["incident", "note", "INC-1", &format!("w{writer} n{n}")]);
                    assert!(output.status.success(), "{}", program::stderr(&output));
                }
            });
        }
    });
    let (_, v) = json(path, &["incident", "show", "INC-1"]);
    let texts: std::collections::BTreeSet<&str> =
        v["timeline"].as_array().unwrap().iter().map(|e| e["text"].as_str().unwrap()).filter(|t| t.starts_with('w')).collect();
    assert_eq!(texts.len(), 40);
    assert_eq!(json(path, &["verify"]).1["entries"], 41);
}
