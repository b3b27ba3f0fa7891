//! Tests of the exported post-mortem: its version for customers, its review, and what it says about damaged records.

#[path = "support/program.rs"]
mod program;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use program::{json, run, stderr, stdout, warroom};

/// An incident with internal names in its impact, cause, mitigation and action items.
fn incident(d: &Path) {
    json(d, &["declare", "--title", "payment-api on db-prod-1 is failing", "--severity", "SEV2", "--at", "40m ago"]);
    json(d, &["incident", "role", "INC-1", "commander", "Ben Okafor"]);
    json(d, &["incident", "acknowledge", "INC-1"]);
    json(
        d,
        &[
            "incident",
            "impact",
            "INC-1",
            "--services",
            "payment-api",
            "--text",
            "17% of payments fail",
            "--users",
            "all customers in Europe",
            "--data",
            "none",
        ],
    );
    let cause = json(d, &["incident", "note", "INC-1", "db-prod-1 ran out of connections", "--kind", "hypothesis"]).1;
    let entry = cause["seq"].as_u64().unwrap().to_string();
    json(d, &["incident", "hypothesis", "INC-1", &entry, "supported", "--reason", "seen in its metrics"]);
    json(d, &["incident", "note", "INC-1", "restarted payment-api", "--kind", "mitigation"]);
    for (kind, text) in [
        ("went-well", "the alert came within a minute"),
        ("went-badly", "the runbook was out of date"),
        ("lucky", "it was a quiet hour"),
        ("question", "@ben 2026-12-24 how many payments have to be repeated?"),
    ] {
        json(d, &["incident", "note", "INC-1", text, "--kind", kind]);
    }
    json(d, &["incident", "status", "INC-1", "mitigated"]);
    for text in ["Raise the limit on db-prod-1", "Test payments under load before each release; done when the test runs nightly"]
    {
        json(d, &["action", "add", "INC-1", text, "--owner", "ben", "--due", "2026-12-24"]);
    }
}

fn export(d: &Path, args: &[&str]) -> (i32, String, String) {
    let output = run(d, &[&["export", "INC-1"], args].concat());
    (output.status.code().unwrap(), stdout(&output), stderr(&output))
}

#[test]
fn the_version_for_customers_passes_the_check_for_customers() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    incident(d);
    let (code, text, notes) = export(d, &["--external"]);
    assert_eq!(code, 0, "{notes}");
    for part in
        ["## Summary", "17% of payments failed. Affected: all customers in Europe.", "## What happened", "## What we are doing"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("- Test payments under load before each release.") && text.contains("No data was lost"), "{text}");
    for name in ["payment-api", "db-prod-1", "Ben", "SEV2", "INC-1"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    assert!(notes.contains("left out") && notes.contains("db-prod-1"), "{notes}");
    let mut command = warroom(d, &["lint", "-", "--rules", "customer", "--incident", "INC-1", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // A report about what is over promises no further update; the check of an update asks for one.
    child.stdin.take().unwrap().write_all(format!("{text}\nThe next update follows by 18:00 UTC.").as_bytes()).unwrap();
    let found: serde_json::Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(found["hits"], serde_json::json!([]), "{text}");
    let (_, page, _) = export(d, &["--external", "--format", "html"]);
    assert!(
        page.starts_with("<!doctype html>") && page.contains("Content-Security-Policy") && !page.contains("db-prod-1"),
        "{page}"
    );
    let (_, shape, _) = export(d, &["--external", "--format", "json"]);
    let shape: serde_json::Value = serde_json::from_str(&shape).unwrap();
    assert_eq!(shape["text"].as_str().unwrap(), text);
    assert!(shape["left_out"].as_array().is_some_and(|all| all.len() == 2), "{shape}");
}

#[test]
fn the_review_has_a_state_and_reviewers() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    incident(d);
    let review = || export(d, &[]).1.lines().find(|l| l.starts_with("| Review |")).unwrap().to_owned();
    assert!(review().starts_with("| Review | draft, review due by "), "{}", review());
    json(d, &["incident", "review", "INC-1", "in-review"]);
    assert!(review().starts_with("| Review | in review since 20"), "{}", review());
    json(d, &["incident", "review", "INC-1", "reviewed"]);
    json(d, &["incident", "review", "INC-1", "reviewed", "--by", "cleo"]);
    assert!(review().contains("reviewed by ana (") && review().contains(" and cleo ("), "{}", review());
    json(d, &["incident", "review", "INC-1", "closed"]);
    let shape: serde_json::Value = serde_json::from_str(&export(d, &["--format", "json"]).1).unwrap();
    assert_eq!((&shape["review_status"], shape["reviewers"].as_array().unwrap().len()), (&"closed".into(), 2));
    let unknown = run(d, &["incident", "review", "INC-1", "done"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
}

#[test]
fn lessons_and_questions_have_their_places() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    incident(d);
    let text = export(d, &[]).1;
    for part in [
        "### What went well\n\n- The alert came within a minute.",
        "### What went badly\n\n- The runbook was out of date.",
        "### Where we were lucky\n\n- It was a quiet hour.",
        "## Open questions\n\n- How many payments have to be repeated? (ben, by 2026-12-24)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.to_lowercase().contains("unknown"), "{text}");
}

#[test]
fn a_damaged_record_is_named_at_the_top_and_by_the_exit_status() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    incident(d);
    let (code, text, _) = export(d, &[]);
    assert!(code == 0 && !text.contains("Not trustworthy"), "{text}");
    let store = rusqlite::Connection::open(d.join("journal.db")).unwrap();
    store.execute("UPDATE entry SET text = replace(text, '17% of payments', '1% of payments')", []).unwrap();
    drop(store);
    for format in ["md", "html"] {
        let (code, text, notes) = export(d, &["--format", format]);
        assert_eq!(code, 3, "{notes}");
        let top = text.split("Summary").next().unwrap();
        assert!(top.contains("Not trustworthy") && top.contains("ntry 4: the text does not match its hash"), "{top}");
        assert!(notes.contains("the records behind this document are damaged: entry 4"), "{notes}");
    }
    let shape: serde_json::Value = serde_json::from_str(&export(d, &["--format", "json"]).1).unwrap();
    assert_eq!(shape["damage"].as_array().unwrap().len(), 1, "{shape}");
}

#[test]
fn times_of_another_zone_are_shown_next_to_utc() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    json(d, &["declare", "--title", "it fails", "--at", "2026-11-20 09:31"]);
    let (_, text, _) = export(d, &["--utc-offset", "-05:30"]);
    assert!(text.contains("| Declared | 2026-11-20 09:31:00 UTC (04:01) |") && text.contains("times at -05:30"), "{text}");
    assert!(!export(d, &[]).1.contains("(04:01)"));
    assert_eq!(run(d, &["export", "INC-1", "--utc-offset", "CET"]).status.code(), Some(2));
}
