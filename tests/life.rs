//! Tests of an incident from declaration to purge on the command line, as responders use it.

#[path = "support/program.rs"]
mod program;
#[path = "support/stub.rs"]
mod stub;

use std::path::Path;
use std::process::Stdio;

use program::{json, run, stderr, stdout, warroom};
use serde_json::Value;
use stub::{Reply, Stub};

fn ok(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

fn refused(folder: &Path, args: &[&str], expected: &str) {
    let output = run(folder, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stdout(&output));
    assert!(stderr(&output).contains(expected), "{args:?}: {}", stderr(&output));
}

fn show(folder: &Path) -> Value {
    json(folder, &["incident", "show", "INC-1"]).1
}

/// A value for `--at`: this many minutes ago.
fn ago(minutes: u64) -> String {
    (warroom::investigate::clock::now() - std::time::Duration::from_secs(minutes * 60)).rfc3339()
}

#[test]
fn records_results_of_tasks_decisions_and_hypotheses() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    assert_eq!(
        ok(d, &["declare", "--title", "checkout fails", "--severity", "SEV2/SEV3", "--reason", "orders fail"]).trim(),
        "INC-1"
    );
    ok(d, &["incident", "note", "INC-1", "the pool is full\nTODO: alert on pool use"]);
    ok(d, &["incident", "task", "INC-1", "ben", "check the replica", "--minutes", "5", "--at", &ago(9)]);
    let late = json(d, &["action", "list", "--overdue"]).1;
    assert_eq!((late["action_items"].as_array().unwrap().len(), &late["action_items"][0]["owner"]), (1, &Value::from("ben")));
    ok(d, &["incident", "report", "INC-1", "A2", "it lags 4 s", "--again-in", "10"]);
    ok(d, &["incident", "report", "INC-1", "A2", "the replica is fine"]);
    refused(d, &["incident", "report", "INC-1", "A2", "again"], "is already done");
    ok(d, &["incident", "note", "INC-1", "raise the pool", "--kind", "decision"]);
    let v = show(d);
    let seq = |kind: &str| v["timeline"].as_array().unwrap().iter().find(|e| e["kind"] == kind).unwrap()["seq"].to_string();
    let decision = seq("decision");
    ok(d, &["incident", "objection", "INC-1", &decision, "hides the leak", "--by", "cleo"]);
    ok(d, &["incident", "outcome", "INC-1", &decision, "errors stopped"]);
    ok(d, &["incident", "note", "INC-1", "the pool leaks", "--kind", "hypothesis", "--at", &ago(3)]);
    let hypothesis = show(d)["hypotheses"][0]["seq"].to_string();
    ok(d, &["incident", "hypothesis", "INC-1", &hypothesis, "supported", "--reason", "it grew all night"]);
    let v = show(d);
    assert_eq!(v["severity"], "SEV2", "an unclear severity is taken as the higher one");
    let todo = &v["action_items"][0];
    assert_eq!((&todo["text"], &todo["scope"]), (&Value::from("alert on pool use"), &Value::from("follow-up")));
    assert_eq!(v["action_items"][1]["result"], "the replica is fine");
    assert_eq!(v["decisions"][0]["objections"][0], serde_json::json!({"by": "cleo", "text": "hides the leak"}));
    assert_eq!(
        (&v["decisions"][0]["outcome"], &v["hypotheses"][0]["state"]),
        (&Value::from("errors stopped"), &Value::from("supported"))
    );
    let texts = stdout(&run(d, &["incident", "show", "INC-1"]));
    assert!(texts.contains("Completed A2: the replica is fine") && texts.contains("(backdated)"), "{texts}");
}

#[test]
fn hands_over_roles_and_tracks_promised_updates() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    ok(d, &["declare", "--title", "checkout fails", "--severity", "SEV1", "--reason", "all orders fail"]);
    ok(d, &["incident", "role", "INC-1", "commander"]);
    ok(d, &["incident", "role", "INC-1", "next-commander", "ben"]);
    ok(d, &["incident", "role", "INC-1", "observer", "p"]);
    ok(d, &["incident", "role", "INC-1", "observer", "q"]);
    ok(d, &["incident", "role", "INC-1", "observer", "q", "--renounce"]);
    assert_eq!(show(d)["roles"]["observer"], "p", "the other observer remains");
    ok(d, &["incident", "update", "INC-1", "We look into it.", "--next-in", "45m", "--at", &ago(50)]);
    let due = show(d)["update_due_at"].clone();
    // An update for one audience does not keep the promise made to another.
    ok(d, &["incident", "update", "INC-1", "orders work again", "--last"]);
    ok(d, &["incident", "update", "INC-1", "still down", "--audience", "external", "--next-in", "10m"]);
    let promised = show(d)["update_due_at"].clone();
    assert_ne!(promised, due);
    ok(d, &["incident", "update", "INC-1", "still down", "--audience", "executive", "--next-in", "3h"]);
    assert_eq!(show(d)["update_due_at"], promised);
    for audience in ["external", "executive"] {
        ok(d, &["incident", "update", "INC-1", "that was it", "--audience", audience, "--last"]);
    }
    ok(d, &["incident", "update", "INC-1", "We look into it.", "--next-in", "45m", "--at", &ago(50)]);
    ok(d, &["incident", "escalate", "INC-1", "L3", "--reason", "no one here knows the pool"]);
    let brief = ok(d, &["incident", "handover", "INC-1", "--to", "ben"]);
    for part in ["# Handover: INC-1 SEV1", "**overdue**", "Escalated to L3", "required for SEV1", "Before it can be resolved"] {
        assert!(brief.contains(part), "{part}\n{brief}");
    }
    let v = show(d);
    assert_eq!(
        (&v["roles"]["commander"], v["roles"].get("next-commander")),
        (&Value::from("ben"), None),
        "the next commander is the commander now"
    );
    let spans = v["role_spans"].as_array().unwrap();
    let first = spans.iter().find(|s| s["role"] == "commander" && s["holder"] == "ana").unwrap();
    assert!(first["until"].is_string(), "a handover ends the time of the previous holder: {first}");
    let promised = warroom::telemetry::Timestamp::parse(due.as_str().unwrap()).unwrap();
    assert!((warroom::investigate::clock::now().secs_since(promised) - 300.0).abs() < 60.0, "the promised time counts");
    assert!(ok(d, &["incident", "brief", "INC-1"]).starts_with("# Briefing: INC-1 SEV1 checkout fails"));
}

/// Whether a note with exactly this text counts in the timeline.
fn has_note(d: &Path, text: &str) -> bool {
    show(d)["timeline"].as_array().unwrap().iter().any(|e| e["undone"] == false && e["kind"] == "note" && e["text"] == text)
}

#[test]
fn corrects_and_undoes_entries_and_keeps_the_originals() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    ok(d, &["declare", "--title", "checkout fails", "--severity", "SEV3", "--reason", "some orders fail"]);
    ok(d, &["incident", "note", "INC-1", "restarted db-1"]);
    ok(d, &["incident", "correct", "INC-1", "2", "restarted db-2", "--reason", "wrong host"]);
    let row = show(d)["timeline"].as_array().unwrap().iter().find(|e| e["seq"] == 2).unwrap().clone();
    assert_eq!((&row["text"], &row["original"]), (&Value::from("restarted db-2 (corrected)"), &Value::from("restarted db-1")));
    assert!(ok(d, &["export", "INC-1"]).contains("(originally: restarted db-1)"), "the original is kept in the report");
    ok(d, &["incident", "severity", "INC-1", "SEV1", "--reason", "all orders fail"]);
    ok(d, &["incident", "undo", "INC-1"]);
    assert_eq!(
        (&show(d)["severity"], &json(d, &["incident", "list"]).1["incidents"][0]["severity"]),
        (&Value::from("SEV3"), &Value::from("SEV3"))
    );
    let last = show(d)["timeline"].as_array().unwrap().len().to_string();
    ok(d, &["incident", "undo", "INC-1", &last]);
    assert_eq!(show(d)["severity"], "SEV1", "an undo can be undone");
    refused(d, &["incident", "redo", "INC-1"], "nothing to redo");
    // Two changes are undone one after the other, and come back in the same way; what is changed in between ends that.
    ok(d, &["incident", "note", "INC-1", "restarted db-3"]);
    ok(d, &["incident", "undo", "INC-1"]);
    ok(d, &["incident", "undo", "INC-1"]);
    let state = || (show(d)["severity"].clone(), has_note(d, "restarted db-3"));
    assert_eq!(state(), ("SEV3".into(), false));
    assert!(ok(d, &["incident", "redo", "INC-1"]).contains("Redid entry 4: "));
    assert_eq!(state(), ("SEV1".into(), false));
    ok(d, &["incident", "redo", "INC-1"]);
    assert_eq!(state(), ("SEV1".into(), true));
    refused(d, &["incident", "redo", "INC-1"], "nothing to redo");
    ok(d, &["incident", "undo", "INC-1"]);
    ok(d, &["incident", "note", "INC-1", "restarted db-4"]);
    refused(d, &["incident", "redo", "INC-1"], "nothing to redo");
    refused(d, &["incident", "undo", "INC-1", "1"], "cannot be undone");
    // The last change is a published update, which cannot be undone, and no older change is undone in its place.
    ok(d, &["incident", "update", "INC-1", "we are on it"]);
    refused(d, &["incident", "undo", "INC-1"], "undo INC-1 ENTRY");
    assert_eq!(show(d)["severity"], "SEV1");
    // A correction can replace a text but not a recorded change.
    refused(d, &["incident", "correct", "INC-1", "1", "declared SEV5: all is fine"], "records a change, not text");
    ok(d, &["incident", "note", "INC-1", "TODO(bob): check the disk; TODO @cleo tell the customers"]);
    let v = show(d);
    let owners: Vec<&str> = v["action_items"].as_array().unwrap().iter().filter_map(|a| a["owner"].as_str()).collect();
    assert_eq!(owners, ["bob", "cleo"]);
    let mut attach = warroom(d, &["incident", "attach", "INC-1", "-", "--note", "pg_stat_activity"]);
    let mut child = attach.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"20 connections, password=hunter2\n").unwrap();
    assert!(stdout(&child.wait_with_output().unwrap()).contains("E1 (note): pg_stat_activity"));
    // A long file is stored in part and a binary file is refused; both are reported.
    std::fs::write(d.join("long.txt"), "0123456789 line\n".repeat(300_000)).unwrap();
    let output = run(d, &["incident", "attach", "INC-1", &d.join("long.txt").display().to_string()]);
    assert!(stderr(&output).contains("of 4800000 bytes are kept"), "{}", stderr(&output));
    let evidence = show(d)["evidence"][1].clone();
    assert_eq!(
        (&evidence["total"], &evidence["shown"], &evidence["complete"]),
        (&300_000.into(), &65_536.into(), &false.into()),
        "{evidence}"
    );
    std::fs::write(d.join("a.png"), b"\x89PNG\r\n\x1a\n\x00\x00").unwrap();
    refused(d, &["incident", "attach", "INC-1", &d.join("a.png").display().to_string()], "is not a text file");
    let report = ok(d, &["export", "INC-1"]);
    assert!(report.contains("20 connections") && !report.contains("hunter2"), "{report}");
    refused(d, &["incident", "note", "INC-1", &"x".repeat(70_000)], "attach");
}

#[test]
fn milestones_keep_their_order_or_need_an_exception() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    ok(d, &["declare", "--title", "checkout fails", "--at", &ago(60)]);
    ok(d, &["incident", "time", "INC-1", "impact_started", &ago(80), "--reason", "first customer mail"]);
    ok(d, &["incident", "time", "INC-1", "detected", &ago(70), "--reason", "the dashboard"]);
    ok(d, &["incident", "acknowledge", "INC-1", "--at", &ago(55)]);
    ok(d, &["incident", "status", "INC-1", "mitigated", "--at", &ago(30)]);
    refused(d, &["incident", "time", "INC-1", "mitigated", &ago(90), "--reason", "x"], "is before");
    refused(d, &["incident", "time", "INC-1", "identified", &ago(90), "--reason", "x"], "is before");
    refused(d, &["incident", "time", "INC-1", "resolved", &ago(10), "--reason", "x"], "does");
    ok(d, &["incident", "status", "INC-1", "identified", "--at", &ago(20)]);
    let durations = show(d)["durations"].clone();
    let near = |name: &str, secs: f64| assert!((durations[name].as_f64().unwrap() - secs).abs() < 2.0, "{name}: {durations}");
    near("detect_secs", 600.0);
    near("acknowledge_secs", 900.0);
    near("mitigate_secs", 3000.0);
    let why = "the page reached ben's phone late";
    ok(d, &["incident", "time", "INC-1", "acknowledged", &ago(75), "--reason", "call log", "--exception", why]);
    let faults = show(d)["order_faults"].clone();
    assert_eq!(faults[0]["exception"], why);
    assert!(ok(d, &["export", "INC-1"]).contains(why));
    assert_eq!(
        run(d, &["incident", "time", "INC-1", "impact_started", "2999-01-01T00:00:00Z", "--reason", "x"]).status.code(),
        Some(1)
    );
}

#[test]
fn merges_and_cancels_incidents_and_counts_both() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    for title in ["one", "two", "three"] {
        ok(d, &["declare", "--title", title, "--alert", "f1", "--at", &ago(30)]);
    }
    ok(d, &["incident", "link", "INC-2", "f2"]);
    ok(d, &["incident", "task", "INC-2", "bob", "check the replica", "--minutes", "5"]);
    ok(d, &["incident", "unlink", "INC-1", "f1", "--reason", "another shop"]);
    ok(d, &["incident", "merge", "INC-2", "INC-1", "--reason", "the same pool"]);
    refused(d, &["incident", "merge", "INC-2", "INC-1"], "is already merged into INC-1");
    refused(d, &["incident", "merge", "INC-3", "INC-2"], "Merge INC-3 into INC-1.");
    ok(d, &["incident", "status", "INC-3", "cancelled", "--reason", "the probe was wrong"]);
    assert!(ok(d, &["incident", "show", "INC-3"]).contains("the probe was wrong"));
    let v = show(d);
    let alerts: Vec<&str> = v["alerts"].as_array().unwrap().iter().map(|a| a["fingerprint"].as_str().unwrap()).collect();
    assert_eq!((alerts, &v["absorbed"][0]), (vec!["f1", "f2"], &Value::from("INC-2")));
    assert_eq!(json(d, &["incident", "show", "INC-2"]).1["merged_into"], "INC-1");
    // The merged incident brings its open action items along.
    assert_eq!((&v["action_items"][0]["text"], &v["action_items"][0]["owner"]), (&"check the replica".into(), &"bob".into()));
    let open = json(d, &["action", "list"]).1["action_items"].clone();
    assert_eq!(open.as_array().unwrap().len(), 1, "listed once, under the incident that absorbed it: {open}");
    refused(d, &["incident", "undo", "INC-1"], "incident reopen INC-2");
    assert!(ok(d, &["incident", "brief", "INC-3"]).contains("Nothing to do: this incident is cancelled"));
    ok(d, &["incident", "time", "INC-1", "impact_started", &ago(40), "--reason", "x"]);
    ok(d, &["incident", "resolve", "INC-1", "--override", "a drill"]);
    refused(d, &["incident", "status", "INC-1", "closed"], "diagnosis-graded");
    assert_eq!(run(d, &["incident", "grade", "INC-1", "bullseye"]).status.code(), Some(2), "--found-by is required");
    ok(d, &["incident", "grade", "INC-1", "one-hop-short", "--found-by", "both"]);
    let s = json(d, &["stats"]).1;
    assert_eq!((&s["incidents_all"], &s["cancelled"], &s["merged"]), (&Value::from(3), &Value::from(1), &Value::from(1)));
    let resolve = s["by_severity"]["SEV3"]["resolve"]["median_secs"].as_f64().unwrap();
    assert!((resolve - 2400.0).abs() < 5.0, "{s}");
    assert_eq!(s["overall"]["detect"]["n"], 0, "an assumed detection time is not counted");
    assert_eq!((&s["grades"]["one_hop_short"], &s["found_by"]["both"]), (&Value::from(1), &Value::from(1)));
    let months: Vec<&Value> = s["grades_by_month"].as_object().unwrap().values().collect();
    assert_eq!((months.len(), &months[0]["graded"], &months[0]["grades"]["one_hop_short"]), (1, &1.into(), &1.into()));
    assert!(s["noisy_alerts"].as_array().unwrap().iter().any(|a| a["name"] == "f1" && a["cancelled"] == 1), "{s}");
    let printed = ok(d, &["stats"]);
    assert!(printed.contains("time to resolve: from the start of the impact"), "{printed}");
    ok(d, &["incident", "reopen", "INC-2", "--reason", "another cause after all"]);
    let v = json(d, &["incident", "show", "INC-2"]).1;
    assert_eq!((&v["status"], &v["merged_into"]), (&Value::from("investigating"), &Value::Null));
    // INC-1 no longer contains INC-2 and its timeline says so; a second merge counts once.
    assert_eq!(show(d)["absorbed"], serde_json::json!([]));
    assert!(ok(d, &["incident", "show", "INC-1"]).contains("INC-2 is no longer part of this incident"));
    // INC-2 takes back its alerts and its unfinished task.
    let v = show(d);
    assert_eq!((v["alerts"].as_array().unwrap().len(), &v["action_items"][0]["state"]), (0, &"dropped".into()));
    ok(d, &["incident", "reopen", "INC-1", "--reason", "it is back"]);
    ok(d, &["incident", "severity", "INC-2", "SEV1", "--reason", "all is down"]);
    ok(d, &["incident", "merge", "INC-2", "INC-1"]);
    let v = show(d);
    assert_eq!((&v["absorbed"], &v["severity"]), (&serde_json::json!(["INC-2"]), &"SEV1".into()), "as severe as the worst part");
}

#[test]
fn stores_the_severity_matrix_with_the_incident() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    let c = d.join("c.toml");
    std::fs::write(
        &c,
        "[severity]\nSEV3 = { meaning = \"our third\", roles = [\"scribe\"], postmortem_days = 9, update_minutes = 7 }\n",
    )
    .unwrap();
    let c = c.display().to_string();
    ok(d, &["--config", &c, "declare", "--title", "x", "--severity", "SEV3", "--reason", "y"]);
    // With another configuration, or none, the matrix stored with the incident applies.
    let v = show(d);
    assert_eq!(v["roles_missing"], serde_json::json!(["scribe"]));
    assert!(v["postmortem_due_at"].is_string() && v["update_due_at"].is_string());
    // It also applies in the list, which reads no entries.
    let listed = json(d, &["incident", "list"]).1;
    let listed = listed["incidents"].as_array().or(listed.as_array()).unwrap()[0].clone();
    assert_eq!(listed["update_due_at"], v["update_due_at"], "{listed}");
    let minutes = |from: &Value, to: &Value| {
        let at = |v: &Value| warroom::telemetry::Timestamp::parse(v.as_str().unwrap()).unwrap();
        at(to).since(at(from)).as_secs() / 60
    };
    assert_eq!(minutes(&v["declared_at"], &v["update_due_at"]), 7);
    assert_eq!(ok(d, &["export", "INC-1"]), ok(d, &["--config", &c, "export", "INC-1"]));
    assert!(ok(d, &["export", "INC-1"]).contains("our third"));
    for (bad, expected) in [
        ("[severity]\nSEV3 = { roles = [\"boss\"] }", "boss"),
        ("[severity]\nSEV3 = { postmortem_days = 1, postmortem_business_days = 1 }", "Keep one of them"),
        ("[retention]\ndays = 0", "at least 1"),
        ("[incident]\nmonitor_minutes = 999999", "week"),
        ("[[trackers]]\nname = \"t\"\ntype = \"jira\"\nproject = \"a/b\"", "github or gitlab"),
        ("[[trackers]]\nname = \"t\"\ntype = \"github\"\nproject = \"shop\"", "owner/repository"),
    ] {
        std::fs::write(d.join("bad.toml"), bad).unwrap();
        let output = run(d, &["--config", &d.join("bad.toml").display().to_string(), "incident", "list"]);
        assert!(output.status.code() == Some(2) && stderr(&output).contains(expected), "{bad}: {}", stderr(&output));
    }
}

#[test]
fn creates_a_ticket_once_and_only_with_send() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    let tracker = Stub::start(|r| match (r.path(), r.header("authorization"), r.header("private-token")) {
        ("/repos/acme/shop/issues", Some("Bearer s3cret"), _) => {
            Reply::new(201, "application/json", r#"{"html_url":"https://gh.example/acme/shop/issues/7"}"#)
        }
        ("/projects/acme%2Fshop/issues", _, Some("s3cret")) => {
            Reply::new(201, "application/json", r#"{"web_url":"https://gl.example/9"}"#)
        }
        _ => Reply::new(401, "application/json", r#"{"message":"Bad credentials"}"#),
    });
    let c = d.join("c.toml");
    let tracker_config = |name: &str, kind: &str, env: &str| {
        format!(
            "[[trackers]]\nname = \"{name}\"\ntype = \"{kind}\"\nurl = \"{}\"\nproject = \"acme/shop\"\ntoken_env = \"{env}\"\nlabels = [\"pm\"]\n",
            tracker.url()
        )
    };
    std::fs::write(
        &c,
        [tracker_config("gh", "github", "T"), tracker_config("gl", "gitlab", "T"), tracker_config("no", "github", "BAD")]
            .concat(),
    )
    .unwrap();
    let c = c.display().to_string();
    let with_config = |args: &[&str]| {
        let all = [&["--config", &c], args].concat();
        warroom(d, &all).env("T", "s3cret").env("BAD", "wrong").output().unwrap()
    };
    assert!(with_config(&["declare", "--title", "checkout fails"]).status.success());
    let added = with_config(&["action", "add", "INC-1", "Improve things", "--owner", "ben", "--due", "2026-12-01"]);
    assert!(stderr(&added).contains("hint:") && stderr(&added).contains("done"), "{}", stderr(&added));
    assert_eq!(with_config(&["action", "lint", "INC-1"]).status.code(), Some(1));
    let dry = with_config(&["action", "push", "INC-1", "A1", "--tracker", "gh"]);
    assert!(stdout(&dry).contains("POST") && stdout(&dry).contains("INC-1: Improve things"), "{}", stdout(&dry));
    assert!(!stdout(&dry).contains("s3cret") && tracker.requests().is_empty(), "a dry run sends nothing");
    let rejected = with_config(&["action", "push", "INC-1", "A1", "--tracker", "no", "--send"]);
    let without = run(d, &["action", "push", "INC-1", "A1", "--tracker", "no", "--send"]);
    assert!(without.status.code() == Some(2) && stderr(&without).contains("no tracker is configured"), "{}", stderr(&without));
    assert!(rejected.status.code() == Some(1) && stderr(&rejected).contains("Bad credentials"), "{}", stderr(&rejected));
    assert!(with_config(&["action", "push", "INC-1", "A1", "--tracker", "gh", "--send"]).status.success());
    let sent: Value = serde_json::from_str(&tracker.requests().last().unwrap().body).unwrap();
    assert_eq!((&sent["title"], &sent["labels"][0]), (&Value::from("INC-1: Improve things"), &Value::from("pm")));
    let v = show(d);
    assert_eq!(v["action_items"][0]["ticket"], "https://gh.example/acme/shop/issues/7");
    let again = with_config(&["action", "push", "INC-1", "A1", "--tracker", "gh", "--send"]);
    assert!(again.status.code() == Some(1) && stderr(&again).contains("already has a ticket"), "{}", stderr(&again));
    assert!(
        with_config(&["action", "add", "INC-1", "Add an alert on pool use above 80%", "--due", "2026-12-01"]).status.success()
    );
    assert!(with_config(&["action", "push", "INC-1", "A2", "--tracker", "gl", "--send"]).status.success());
    let sent: Value = serde_json::from_str(&tracker.requests().last().unwrap().body).unwrap();
    assert_eq!(sent["due_date"], "2026-12-01");
    assert!(with_config(&["action", "drop", "INC-1", "A2", "--reason", "the pool goes away"]).status.success());
    assert_eq!(show(d)["action_items"][1]["state"], "dropped");
    // Texts of several lines stay on one row of a list.
    assert!(with_config(&["action", "add", "INC-1", "Alert on pool use\nand on waits", "--owner", "ben"]).status.success());
    let listed = stdout(&with_config(&["action", "list", "INC-1"]));
    assert!(listed.contains("Alert on pool use and on waits"), "{listed}");
    let brief = stdout(&with_config(&["incident", "brief", "INC-1"]));
    assert!(!brief.lines().any(|l| l.starts_with("and on waits")), "{brief}");
}

#[test]
fn purge_removes_an_incident_from_the_file() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    ok(d, &["declare", "--title", "a needle in the haystack", "--at", "2020-01-01T00:00:00Z"]);
    ok(d, &["incident", "status", "INC-1", "cancelled", "--reason", "a drill", "--at", "2020-01-02T00:00:00Z"]);
    ok(d, &["declare", "--title", "still open"]);
    refused(d, &["purge", "INC-2"], "Only closed");
    assert_eq!(json(d, &["purge", "INC-1"]).1, serde_json::json!({"purged": false, "incidents": ["INC-1"]}));
    assert_eq!(json(d, &["incident", "list"]).1["incidents"].as_array().unwrap().len(), 2, "nothing is deleted without --yes");
    ok(d, &["purge", "INC-1", "--yes", "--reason", "asked by bob@example.com"]);
    let output = run(d, &["incident", "show", "INC-1"]);
    assert_eq!(output.status.code(), Some(4));
    let message = stderr(&output);
    assert!(
        message.contains("deleted") && message.contains("asked by <redacted:email#1>") && !message.contains("bob@"),
        "{message}"
    );
    for file in ["journal.db", "journal.db-wal"] {
        let bytes = std::fs::read(d.join(file)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|w| w == b"needle"), "{file} still contains the title");
    }
    let v = json(d, &["verify"]).1;
    assert_eq!((&v["ok"], &v["purged"]), (&Value::from(true), &Value::from(1)));
    assert_eq!(ok(d, &["declare", "--title", "next"]).trim(), "INC-3", "no number is assigned twice");
}

#[test]
fn bundle_import_never_overwrites_and_rejects_damaged_files() {
    let (f, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let d = f.path();
    ok(d, &["declare", "--title", "mine"]);
    let file = d.join("b").display().to_string();
    ok(d, &["bundle", "export", "INC-1", "-o", &file]);
    ok(other.path(), &["declare", "--title", "theirs"]);
    refused(other.path(), &["bundle", "import", &file], "Nothing was overwritten");
    assert_eq!(json(other.path(), &["incident", "list"]).1["incidents"][0]["title"], "theirs");
    // A number that an imported incident refers to is not assigned to another incident.
    ok(d, &["declare", "--title", "a part"]);
    ok(d, &["incident", "merge", "INC-2", "INC-1"]);
    let whole = d.join("whole").display().to_string();
    ok(d, &["bundle", "export", "INC-1", "-o", &whole]);
    let third = tempfile::tempdir().unwrap();
    ok(third.path(), &["bundle", "import", &whole]);
    assert_eq!(ok(third.path(), &["declare", "--title", "another"]).trim(), "INC-3", "INC-2 is a part of the imported incident");
    // Importing an older bundle of the same incident adds nothing and removes nothing.
    ok(d, &["incident", "note", "INC-1", "more"]);
    assert_eq!(json(d, &["bundle", "import", &file]).1["added"], 0);
    assert_eq!(show(d)["timeline"].as_array().unwrap().len(), 3);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(d.join("half"), bytes).unwrap();
    refused(d, &["bundle", "import", &d.join("half").display().to_string()], "cannot read the bundle");
    let note = run(d, &["--store", &format!("bundle:{file}"), "incident", "note", "INC-1", "x"]);
    assert!(note.status.code() == Some(1) && stderr(&note).contains("cannot write to"), "{}", stderr(&note));
}

#[cfg(unix)]
#[test]
fn pages_with_the_configured_program_and_finds_similar_incidents() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    let c = d.join("c.toml");
    std::fs::write(
        &c,
        "[oncall]\nshow = [\"echo\", \"dora until 18:00\"]\npage = [\"echo\", \"sent\", \"{name}\", \"{text}\"]\n",
    )
    .unwrap();
    let c = c.display().to_string();
    let with_config = |args: &[&str]| run(d, &[&["--config", &c], args].concat());
    assert_eq!(stdout(&with_config(&["oncall"])).trim(), "dora until 18:00");
    ok(d, &["declare", "--title", "checkout pool is full"]);
    ok(d, &["incident", "impact", "INC-1", "--services", "checkout", "--text", "orders fail"]);
    ok(d, &["incident", "note", "INC-1", "raised the pool to 40", "--kind", "mitigation"]);
    ok(d, &["declare", "--title", "checkout pool is full again"]);
    ok(d, &["incident", "impact", "INC-2", "--services", "checkout", "--text", "orders fail"]);
    let found = json(d, &["incident", "similar", "INC-2"]).1;
    assert_eq!(
        (&found["similar"][0]["id"], &found["similar"][0]["fixes"][0]),
        (&Value::from("INC-1"), &Value::from("raised the pool to 40"))
    );
    let hostile = "pool; $(touch owned)";
    let shown = with_config(&["incident", "page", "INC-1", "dora", hostile]);
    assert!(shown.status.success() && stdout(&shown).contains("touch owned"), "{}", stderr(&shown));
    assert_eq!(show(d)["timeline"].as_array().unwrap().len(), 3, "nothing runs without --yes");
    assert!(with_config(&["incident", "page", "INC-1", "dora", hostile, "--yes"]).status.success());
    let v = show(d);
    let last = v["timeline"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["kind"], "responder_requested");
    assert!(last["text"].as_str().unwrap().contains("(sent dora pool; $(touch owned))"), "{last}");
    assert!(!d.join("owned").exists(), "the text is never run as a command");
    std::fs::write(&c, "[oncall]\nshow = [\"false\"]\n").unwrap();
    let silent = with_config(&["oncall"]);
    assert!(stderr(&silent).contains("'false' failed with exit status: 1: it printed nothing to stderr"), "{}", stderr(&silent));
    let unconfigured = run(d, &["oncall"]);
    assert!(unconfigured.status.code() == Some(1) && stderr(&unconfigured).contains("[oncall]"), "{}", stderr(&unconfigured));
}

/// A PagerDuty that is busy at first and then accepts events, but no key other than `R0UT1NG`.
fn pagerduty() -> Stub {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Stub::start(move |r| {
        let event: Value = serde_json::from_str(&r.body).unwrap_or_default();
        let is_first = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        match (r.method.as_str(), r.path(), event["routing_key"].as_str()) {
            ("POST", "/v2/enqueue", Some("R0UT1NG")) if is_first => {
                Reply::new(500, "application/json", r#"{"status":"error","message":"try again"}"#)
            }
            ("POST", "/v2/enqueue", Some("R0UT1NG")) => {
                let key = event["dedup_key"].as_str().unwrap();
                let body = format!(r#"{{"status":"success","message":"Event processed","dedup_key":"{key}"}}"#);
                Reply::new(202, "application/json", body)
            }
            _ => Reply::new(
                400,
                "application/json",
                r#"{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}"#,
            ),
        }
    })
}

#[cfg(unix)]
#[test]
fn pages_a_service_through_pagerduty_with_the_brief() {
    let f = tempfile::tempdir().unwrap();
    let (d, server) = (f.path(), pagerduty());
    let c = d.join("c.toml");
    let service = |name: &str, key: &str| {
        let url = server.url();
        format!(
            "[[oncall.pagerduty]]\nname = \"{name}\"\nurl = \"{url}/v2/enqueue\"\nrouting_key_command = [\"echo\", \"{key}\"]\n"
        )
    };
    std::fs::write(&c, service("payments", "R0UT1NG") + &service("orders", "WR0NG")).unwrap();
    let c = c.display().to_string();
    let with_config = |args: &[&str]| run(d, &[&["--config", &c], args].concat());
    ok(d, &["declare", "--title", "orders fail", "--severity", "SEV1"]);
    ok(d, &["incident", "impact", "INC-1", "--text", "17 % of orders fail, token=ghp_abcdefghijklmnopqrstuvwxyz0123456789"]);
    let shown = with_config(&["incident", "page", "INC-1", "payments"]);
    assert!(stdout(&shown).contains("INC-1 SEV1 orders fail: please join"), "{}", stdout(&shown));
    assert_eq!(server.requests().len(), 0, "nothing is sent without --yes");
    let sent = with_config(&["incident", "page", "INC-1", "payments", "--yes"]);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let asked = server.requests();
    assert_eq!(asked.len(), 2, "sent again after the server was busy");
    let event: Value = serde_json::from_str(&asked[1].body).unwrap();
    assert_eq!((&event["event_action"], &event["payload"]["severity"]), (&"trigger".into(), &"critical".into()));
    let brief = event["payload"]["custom_details"]["brief"].as_str().unwrap();
    assert!(brief.contains("17 % of orders fail") && !brief.contains("ghp_abc"), "{brief}");
    let first: Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(first["dedup_key"], event["dedup_key"], "PagerDuty merges both");
    let all = show(d);
    let last = all["timeline"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["kind"], "responder_requested");
    assert!(last["text"].as_str().unwrap().contains(": payments paged: please join (PagerDuty, warroom-INC-1-"), "{last}");
    assert!(!all.to_string().contains("R0UT1NG"), "the key is not stored");
    let read_only = std::fs::read_to_string(&c).unwrap() + "[ui]\nread_only = true\n";
    std::fs::write(d.join("read_only.toml"), read_only).unwrap();
    let path = d.join("read_only.toml").display().to_string();
    let output = run(d, &["--config", &path, "incident", "page", "INC-1", "payments", "--yes"]);
    assert!(stderr(&output).contains("read_only is set") && server.requests().len() == 2, "{}", stderr(&output));
    let refused = with_config(&["incident", "page", "INC-1", "orders", "please look", "--yes"]);
    let why = stderr(&refused);
    assert!(refused.status.code() == Some(1) && why.contains("Invalid routing key") && !why.contains("WR0NG"), "{why}");
    assert_eq!(show(d)["timeline"], all["timeline"], "a page that failed is not recorded");
}
