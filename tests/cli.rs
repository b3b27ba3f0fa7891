//! Tests of the command line's contract: JSON shapes, exit statuses and errors, and the steps from an alert to a checked
//! answer, with stub servers.

#[path = "support/port.rs"]
mod port;
#[path = "support/program.rs"]
mod program;
#[path = "support/stub.rs"]
mod stub;

use std::path::Path;
use std::time::Duration;

use program::{json, run, single_findings, stderr, stdout, warroom};
use serde_json::Value;
use stub::{Reply, Stub, chat_events};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes a configuration that replays the demo's recording, with an assistant if `llm` is its URL; returns its path.
fn config(folder: &Path, llm: Option<&str>, more: &str) -> String {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/pool-exhaustion.wrec");
    let assistant = llm.map_or_else(String::new, |url| {
        format!("[assistant]\nbase_url = \"{url}/v1/\"\nmodel = \"stub-model\"\ncontext_tokens = 8192\nanswer_tokens = 512\n")
    });
    let text =
        format!("[[sources]]\nname = \"rec\"\ntype = \"recording\"\npath = \"{}\"\n{assistant}\n{more}", recording.display());
    let path = folder.join("config.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Declares INC-1 with the first alert; returns its JSON.
fn declare(folder: &Path, config: &str) -> Value {
    let (_, alerts) = json(folder, &["--config", config, "alerts"]);
    let fingerprint = alerts["alerts"][0]["fingerprint"].as_str().unwrap().to_owned();
    json(
        folder,
        &["--config", config, "declare", "--title", "checkout is failing", "--severity", "SEV2", "--alert", &fingerprint],
    )
    .1
}

#[test]
fn works_without_a_configuration() {
    let f = folder();
    // An empty list would look like an all-clear.
    let (code, alerts) = json(f.path(), &["alerts"]);
    assert_eq!((code, alerts["error"]["kind"].as_str()), (2, Some("usage")), "{alerts}");
    assert!(alerts["error"]["message"].as_str().unwrap().contains("no sources are configured"), "{alerts}");
    let (code, doctor) = json(f.path(), &["doctor"]);
    assert_eq!((code, doctor["ok"].as_bool()), (0, Some(true)));
    let (code, incident) = json(f.path(), &["declare", "--title", "it broke"]);
    assert_eq!(
        (code, incident["id"].as_str(), incident["severity"].as_str(), incident["status"].as_str()),
        (0, Some("INC-1"), Some("SEV3"), Some("investigating"))
    );
    assert_eq!(stdout(&run(f.path(), &["declare", "--title", "again"])).trim(), "INC-2");
    // Nothing was investigated: the report says so and does not claim that all is well.
    let (code, v) = json(f.path(), &["ask", "INC-1", "troubleshoot"]);
    let answer = v["answer"].as_str().unwrap();
    assert_eq!((code, v["source"].as_str()), (0, Some("rules")));
    assert!(answer.contains("no source is configured") && answer.contains("No logs were read"), "{answer}");
    assert!(!answer.contains("Every source answered"), "{answer}");
}

#[test]
fn alerts_have_the_documented_shape() {
    let f = folder();
    let c = config(f.path(), None, "");
    let (code, v) = json(f.path(), &["--config", &c, "alerts"]);
    assert_eq!(code, 0);
    for key in ["fingerprint", "name", "severity", "state", "starts_at", "labels", "annotations", "source", "occurrences"] {
        assert!(v["alerts"][0].get(key).is_some(), "{key}");
    }
    // Prometheus and Alertmanager both report each alert; it is listed once.
    assert_eq!(v["alerts"].as_array().unwrap().len(), 5);
    let grouped: usize = v["groups"].as_array().unwrap().iter().map(|g| g["alerts"].as_array().unwrap().len()).sum();
    assert_eq!(grouped, 5);
    assert_eq!(v["groups"][0]["key"]["service"], "checkout");
    let sources: Vec<&str> = v["sources"].as_array().unwrap().iter().map(|s| s["status"].as_str().unwrap()).collect();
    assert_eq!(sources, ["ok", "ok"]);
    assert_eq!(v["sources"][0]["type"], "prometheus");
}

#[test]
fn alerts_are_redacted_on_every_output() {
    let f = folder();
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let alert = serde_json::json!([{
        "fingerprint": "f00", "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
        "labels": {"alertname": "Leak", "severity": "critical", "owner": "ana@example.com"},
        "annotations": {"summary": format!("login with {token} as ana@example.com failed")},
        "startsAt": "2026-11-21T09:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "updatedAt": "2026-11-21T09:00:00Z",
        "generatorURL": "", "receivers": [{"name": "x"}],
    }])
    .to_string();
    let server = Stub::start(move |_| Reply::json(alert.clone()));
    let c = f.path().join("c.toml");
    std::fs::write(&c, format!("[[sources]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"{}\"\n", server.url())).unwrap();
    let c = c.display().to_string();
    let text = stdout(&run(f.path(), &["--config", &c, "alerts"]));
    let (_, v) = json(f.path(), &["--config", &c, "alerts"]);
    for shown in [text, v.to_string()] {
        assert!(shown.contains("Leak") && shown.contains("<redacted:email#1>"), "{shown}");
        assert!(!shown.contains(&token) && !shown.contains("ana@example.com"), "{shown}");
    }
    assert_eq!(v["alerts"][0]["fingerprint"], "f00", "an alert is linked by its fingerprint");
}

#[test]
fn broken_user_files_are_reported_and_replaced() {
    let f = folder();
    let d = f.path();
    let c = config(d, None, "[ui]\ntheme = \"mine\"\n");
    std::fs::create_dir(d.join("prompts")).unwrap();
    std::fs::create_dir(d.join("themes")).unwrap();
    std::fs::write(d.join("prompts/README.md"), "# My prompts\n").unwrap();
    std::fs::write(d.join("prompts/bytes.md"), b"+++\n\xff\xfe\n+++\n").unwrap();
    std::fs::write(d.join("themes/mine.toml"), "no = [\n").unwrap();
    std::fs::write(d.join("keys.toml"), "[room]\n\"s\" = \"fly\"\n").unwrap();
    for args in [vec!["alerts"], vec!["incident", "list"], vec!["declare", "--title", "x"]] {
        let output = run(d, &[&["--config", &c], args.as_slice()].concat());
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    }
    let (_, v) = json(d, &["--config", &c, "doctor"]);
    let checks = v["checks"].as_array().unwrap();
    for file in ["README.md:1", "bytes.md", "mine.toml:", "keys.toml:2"] {
        let found = checks.iter().find(|check| check["detail"].as_str().is_some_and(|d| d.contains(file)));
        let found = found.unwrap_or_else(|| panic!("{file}: {v}"));
        assert!(found["status"] == "warn" && found["remedy"].is_string(), "{found}");
    }
}

#[test]
fn keys_lists_the_bindings_in_effect() {
    let f = folder();
    let c = config(f.path(), None, "");
    std::fs::write(f.path().join("keys.toml"), "[room]\n\"g r\" = \"resolve\"\n\"R\" = \"none\"\n").unwrap();
    let (code, v) = json(f.path(), &["--config", &c, "keys"]);
    let text = v.to_string();
    assert!(code == 0 && text.contains("\"g r\""), "{text}");
    let shown = stdout(&run(f.path(), &["--config", &c, "keys"]));
    let resolve = shown.lines().find(|l| l.contains("resolve")).unwrap();
    assert!(resolve.contains("g r") && !resolve.contains(" R "), "{resolve}");
}

#[test]
fn changes_that_are_about_now_cannot_be_backdated() {
    let f = folder();
    let c = config(f.path(), None, "");
    declare(f.path(), &c);
    let (code, v) = json(f.path(), &["--config", &c, "incident", "check", "INC-1", "--at", "10m ago"]);
    assert!(code == 1 && v["error"]["remedy"].is_string(), "{v}");
    let same = run(f.path(), &["--config", &c, "incident", "severity", "INC-1", "SEV2", "--reason", "orders fail"]);
    assert!(same.status.success(), "a missing reason can be added: {}", stderr(&same));
    let again = run(f.path(), &["--config", &c, "incident", "severity", "INC-1", "SEV2", "--reason", "still"]);
    assert!(again.status.code() == Some(1) && stderr(&again).contains("already SEV2"), "{}", stderr(&again));
}

#[test]
fn shows_all_changes_to_an_incident() {
    let f = folder();
    let c = config(f.path(), None, "[user]\nname = \"ben\"\n");
    let incident = declare(f.path(), &c);
    assert_eq!(incident["id"], "INC-1");
    let d = f.path();
    let ok = |args: &[&str]| {
        let output = run(d, &[&["--config", &c], args].concat());
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    };
    ok(&["incident", "acknowledge", "INC-1"]);
    ok(&["incident", "role", "INC-1", "commander", "ana"]);
    ok(&["incident", "role", "INC-1", "commander", "cleo"]);
    ok(&["incident", "severity", "INC-1", "SEV1", "--reason", "every order fails"]);
    ok(&["incident", "note", "INC-1", "raised the pool, password=hunter2", "--kind", "decision"]);
    ok(&["incident", "note", "INC-1", "it began earlier", "--at", "2026-11-21T09:00:00Z"]);
    ok(&["incident", "status", "INC-1", "mitigated"]);
    ok(&[
        "action",
        "add",
        "INC-1",
        "Alert on pool use",
        "--kind",
        "detect",
        "--owner",
        "ben",
        "--due",
        "2026-12-01",
        "--priority",
        "p2",
    ]);
    ok(&["action", "done", "INC-1", "A1"]);
    ok(&["incident", "link", "INC-1", "feedfacefeedface"]);
    ok(&["incident", "unlink", "INC-1", "feedfacefeedface"]);
    let refused = run(d, &["--config", &c, "incident", "resolve", "INC-1"]);
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains("mitigation-recorded"), "{}", stderr(&refused));
    ok(&["incident", "resolve", "INC-1", "--override", "the lab ends here"]);
    ok(&["incident", "reopen", "INC-1", "--reason", "it is back"]);
    let (code, v) = json(d, &["--config", &c, "incident", "show", "INC-1"]);
    assert_eq!(code, 0);
    for key in [
        "id",
        "title",
        "severity",
        "status",
        "phase",
        "impact_started_at",
        "detected_at",
        "declared_at",
        "acknowledged_at",
        "identified_at",
        "mitigated_at",
        "resolved_at",
        "closed_at",
        "assumed",
        "durations",
        "roles",
        "gates",
        "timeline",
        "evidence",
        "action_items",
        "hypotheses",
    ] {
        assert!(v.get(key).is_some(), "{key}");
    }
    assert_eq!(
        (v["severity"].as_str(), v["status"].as_str(), v["roles"]["commander"].as_str()),
        (Some("SEV1"), Some("investigating"), Some("cleo"))
    );
    assert!(v["impact_started_at"].as_str() < v["detected_at"].as_str());
    assert!(v["durations"]["acknowledge_secs"].as_f64().unwrap() > 0.0);
    assert_eq!(v["resolved_at"], Value::Null);
    assert_eq!(v["action_items"][0]["state"], "done");
    let texts: Vec<&str> = v["timeline"].as_array().unwrap().iter().map(|e| e["text"].as_str().unwrap()).collect();
    // The backdated note comes first, the secret is redacted, and the handover names the previous commander.
    assert!(texts[0].contains("it began earlier"), "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("password=<redacted:secret#1>")), "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("handed over from ana to cleo")), "{texts:?}");
    assert!(!String::from_utf8_lossy(&std::fs::read(d.join("journal.db-wal")).unwrap_or_default()).contains("hunter2"));
    assert_eq!(v["timeline"][0]["actor"], "ben", "the name in the configuration file overrides WARROOM_USER");
    let (code, verify) = json(d, &["--config", &c, "verify"]);
    assert_eq!((code, verify["ok"].as_bool()), (0, Some(true)));
}

#[test]
fn errors_have_an_exit_status_and_a_remedy() {
    let f = folder();
    let c = config(f.path(), None, "");
    std::fs::write(f.path().join("bad.toml"), "[[sources]]\nname = \"x\"\ntyp = \"y\"\n").unwrap();
    let bad = f.path().join("bad.toml").display().to_string();
    declare(f.path(), &c);
    for (args, code, expected) in [
        (vec!["incident", "show", "INC-99"], 4, "warroom incident list"),
        (vec!["incident", "show", "seven"], 2, "INC-7"),
        (vec!["incident", "role", "INC-1", "commander", "x"], 0, ""),
        (vec!["incident", "role", "INC-1", "commander", "x"], 1, "already"),
        (vec!["incident", "gate", "INC-1", "comander", "--met", "x"], 4, "Did you mean 'commander'"),
        (vec!["incident", "gate", "INC-1", "commander", "--met", "x"], 1, "warroom checks it"),
        (vec!["incident", "time", "INC-1", "mitigatd", "2026-11-21T09:00:00Z", "--reason", "x"], 2, "mitigated"),
        (vec!["incident", "hypothesis", "INC-1", "1", "supported", "--reason", "x"], 4, "not a hypothesis"),
        (vec!["incident", "undo", "INC-1", "1"], 1, "cannot be undone"),
        (vec!["incident", "merge", "INC-1", "INC-1"], 1, "into itself"),
        (vec!["incident", "exit", "INC-1", "up", "--for", "5m"], 2, "--below"),
        (vec!["incident", "escalate", "INC-1", "L9", "--reason", "x"], 2, "L1, L2, L3, L4"),
        (vec!["action", "push", "INC-1", "A1"], 2, "[[trackers]]"),
        (vec!["purge"], 2, "--older-than"),
        (vec!["purge", "INC-1"], 1, "Only closed"),
        (vec!["bundle", "import", "/nonexistent"], 1, "cannot read /nonexistent"),
        (vec!["--store", "postgres://ana@127.0.0.1/x?sslmode=maybe", "incident", "list"], 2, "sslmode"),
        (vec!["incident", "severity", "INC-1", "SEV1"], 2, "--reason"),
        (vec!["incident", "severity", "INC-1", "SEV9", "--reason", "x"], 2, "SEV1"),
        (vec!["incident", "note", "INC-1", "  "], 1, "empty"),
        (vec!["incident", "note", "INC-1", "x", "--at", "yesterday"], 2, "10m ago"),
        (vec!["action", "done", "INC-1", "A9"], 4, "warroom action list"),
        (vec!["ask", "INC-1", "trubleshoot"], 4, "Did you mean 'troubleshoot'"),
        (vec!["--store", "mysql://x", "incident", "list"], 2, "sqlite:PATH"),
        (vec!["--config", "/nonexistent/c.toml", "alerts"], 2, "cannot read"),
        (vec!["--config", &bad, "alerts"], 2, "Did you mean 'type'"),
        (vec!["export", "INC-1", "-o", "/nonexistent/x.md"], 1, "cannot write /nonexistent/x.md"),
        (vec!["frobnicate"], 2, "frobnicate"),
    ] {
        let output = run(f.path(), &args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{args:?}: {}", stderr(&output));
        if code == 0 {
            continue;
        }
        let (code_json, v) = json(f.path(), &args);
        assert_eq!(code_json, code, "{args:?}");
        assert!(v["error"]["message"].as_str().is_some_and(|m| !m.is_empty()) && v["error"].get("remedy").is_some(), "{v}");
    }
}

#[test]
fn a_failed_source_makes_the_result_partial() {
    let f = folder();
    let port = port::reserve();
    let c = config(
        f.path(),
        None,
        &format!("[[sources]]\nname = \"dead\"\ntype = \"alertmanager\"\nurl = \"http://127.0.0.1:{port}\"\n"),
    );
    let (code, v) = json(f.path(), &["--config", &c, "alerts"]);
    assert_eq!((code, v["alerts"].as_array().unwrap().len()), (3, 5));
    let dead = v["sources"].as_array().unwrap().iter().find(|s| s["name"] == "dead").unwrap();
    assert_eq!((dead["status"].as_str(), &dead["age_secs"]), (Some("failed"), &Value::Null));
    assert!(dead["error"].as_str().unwrap().contains("refused"));
    let (code, doctor) = json(f.path(), &["--config", &c, "doctor"]);
    assert_eq!((code, doctor["ok"].as_bool()), (1, Some(false)));
    declare(f.path(), &c);
    let (code, v) = json(f.path(), &["--config", &c, "investigate", "INC-1"]);
    assert_eq!(code, 3);
    assert!(
        v["findings"].as_array().unwrap().iter().any(|f| f["kind"] == "gap" && f["text"].as_str().unwrap().contains("dead")),
        "{v}"
    );
}

#[test]
fn streams_and_checks_an_answer_and_sends_exactly_the_preview() {
    let f = folder();
    let answer = "## Symptoms and impact\n\nCheckout runs out of connections [E1]. It lost 12345 orders [E1]. The moon is full. See [E99].";
    let llm = Stub::start(move |_| Reply::events(&chat_events(answer), Duration::ZERO));
    let c = config(f.path(), Some(&llm.url()), "");
    declare(f.path(), &c);
    let (_, before) = json(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot", "--dry-run"]);
    assert_eq!(before["evidence"].as_array().unwrap().len(), 0);
    assert!(llm.requests().is_empty(), "a dry run sends nothing");
    run(f.path(), &["--config", &c, "investigate", "INC-1"]);
    let (code, preview) = json(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot", "--dry-run"]);
    assert_eq!(code, 0);
    assert!(preview["estimated_tokens"].as_u64().unwrap() <= preview["budget_tokens"].as_u64().unwrap());
    let (code, v) = json(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot"]);
    assert_eq!((code, v["source"].as_str(), v["model"].as_str()), (0, Some("llm"), Some("stub-model")));
    assert_eq!(v["answer"], answer);
    assert_eq!((v["usage"]["prompt_tokens"].as_u64(), v["usage"]["completion_tokens"].as_u64()), (Some(1234), Some(56)));
    let states: Vec<&str> = v["claims"].as_array().unwrap().iter().map(|c| c["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["supported", "number_not_found", "uncited", "unknown_evidence"]);
    assert_eq!(v["citations"], serde_json::json!([{"id": "E1", "ok": true}, {"id": "E99", "ok": false}]));
    let sent: Value = serde_json::from_str(&llm.requests()[0].body).unwrap();
    assert_eq!(llm.requests().len(), 1);
    assert_eq!(llm.requests()[0].path(), "/v1/chat/completions");
    assert_eq!(sent["messages"], preview["messages"]);
    assert_eq!((sent["stream"].as_bool(), sent["model"].as_str()), (Some(true), Some("stub-model")));
    let postmortem = stdout(&run(f.path(), &["--config", &c, "export", "INC-1"]));
    assert!(
        postmortem.contains("**AI draft, not accepted by a person**")
            && postmortem.contains("> Not supported: uncited: The moon is full."),
        "{postmortem}"
    );
}

#[test]
fn rules_answer_when_the_model_fails_and_give_the_reason() {
    for (reply, expected) in [
        (Reply::new(500, "application/json", r#"{"error":{"message":"overloaded","code":500}}"#), "overloaded"),
        (Reply::new(401, "application/json", r#"{"error":"bad key"}"#), "api_key_env"),
        (Reply::new(200, "text/event-stream", "data: {\"error\":{\"message\":\"no memory\"}}\n\n"), "no memory"),
        (Reply::new(200, "text/event-stream", "data: [DONE]\n\n"), "empty answer"),
    ] {
        let f = folder();
        let llm = Stub::start(move |_| reply.clone());
        let c = config(f.path(), Some(&llm.url()), "");
        declare(f.path(), &c);
        // There is no evidence yet, so `ask` investigates first.
        let (code, v) = json(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot"]);
        assert_eq!((code, v["source"].as_str(), &v["model"]), (0, Some("rules"), &Value::Null), "{expected}");
        assert!(v["fallback_reason"].as_str().unwrap().contains(expected), "{expected}: {}", v["fallback_reason"]);
        let answer = v["answer"].as_str().unwrap();
        assert!(answer.contains("Rule-based report") && answer.contains("db_pool_in_use"), "{answer}");
        assert!(v["claims"].as_array().unwrap().iter().all(|c| c["state"] == "supported"), "{}", v["claims"]);
    }
}

#[test]
fn keeps_the_partial_answer_of_a_broken_stream() {
    let f = folder();
    let mut events = chat_events("The pool of checkout is exhausted [E1]. And then");
    events.truncate(6);
    let broken = Reply { is_truncated: true, ..Reply::events(&events, Duration::ZERO) };
    let llm = Stub::start(move |_| broken.clone());
    let c = config(f.path(), Some(&llm.url()), "");
    declare(f.path(), &c);
    let (code, v) = json(f.path(), &["--config", &c, "ask", "INC-1", "what is it?"]);
    assert_eq!((code, v["source"].as_str(), v["partial"].as_bool()), (0, Some("llm"), Some(true)));
    assert!(v["answer"].as_str().unwrap().starts_with("The pool of checkout"));
    assert!(v["fallback_reason"].as_str().unwrap().contains("ends early"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_cancels_an_answer_and_keeps_the_partial_text() {
    let f = folder();
    let events = chat_events(&"word ".repeat(400));
    let llm = Stub::start(move |_| Reply::events(&events, Duration::from_millis(50)));
    let c = config(f.path(), Some(&llm.url()), "");
    declare(f.path(), &c);
    run(f.path(), &["--config", &c, "investigate", "INC-1"]);
    let child = warroom(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    while llm.requests().is_empty() {
        assert!(start.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let v: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), v["partial"].as_bool()), (Some(0), Some(true)));
    let words = v["answer"].as_str().unwrap().split_whitespace().count();
    assert!(words > 0 && words < 400, "{words}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_cancels_the_investigation_that_a_question_began() {
    let f = folder();
    // It reads the question for metrics and never answers.
    let silent = Stub::start(|_| Reply { chunks: vec![(Duration::from_mins(5), "{}".into())], ..Reply::json("") });
    let c = f.path().join("config.toml").display().to_string();
    let source = format!("name = \"prom\"\ntype = \"prometheus\"\nurl = \"{}\"\ntimeout_secs = 300", silent.url());
    std::fs::write(&c, format!("[[sources]]\n{source}\n")).unwrap();
    run(f.path(), &["declare", "--title", "x", "--severity", "sev3"]);
    let child = warroom(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    while silent.requests().is_empty() {
        assert!(start.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("was cancelled before any of the answer had arrived"), "{error}");
    let (_, v) = json(f.path(), &["incident", "show", "INC-1"]);
    assert_eq!(v["evidence"].as_array().map(Vec::len), Some(0), "nothing is recorded: {v}");
}

#[test]
fn exports_identical_bytes_without_backends() {
    let f = folder();
    let c = config(f.path(), None, "");
    declare(f.path(), &c);
    run(f.path(), &["--config", &c, "investigate", "INC-1"]);
    run(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot"]);
    for format in ["md", "json", "html"] {
        let one = run(f.path(), &["--config", &c, "export", "INC-1", "--format", format]).stdout;
        let two = run(f.path(), &["export", "INC-1", "--format", format]).stdout;
        assert!(one.len() > 3000, "{format}");
        assert_eq!(one, two, "{format}: the export depends on the sources or the time");
    }
}

#[test]
fn records_evidence_for_the_chosen_window() {
    let f = folder();
    let c = config(f.path(), None, "");
    // No alert is linked: every alert that fires in the window is included.
    run(f.path(), &["--config", &c, "declare", "--title", "x"]);
    let (code, v) = json(f.path(), &["--config", &c, "investigate", "INC-1", "--window", "20m"]);
    assert_eq!(code, 0, "{v}");
    assert_eq!(
        (v["findings"][0]["kind"].as_str(), v["conclusion"]["origins"][0].as_str()),
        (Some("conclusion"), Some("checkout"))
    );
    assert!(single_findings(&v)[0]["title"].is_string());
    let text = v.to_string();
    for part in ["db_pool_in_use", "pool exhausted after <*> (in_use=", "checkout"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, shown) = json(f.path(), &["--config", &c, "incident", "show", "INC-1"]);
    for e in shown["evidence"].as_array().unwrap() {
        assert_eq!(e["digest"].as_str().unwrap().len(), 64);
        assert!(!e["query"].as_str().unwrap().is_empty() && e["window"]["start"].is_string() && e["taken_at"].is_string(), "{e}");
    }
    let secs = |k: &str| warroom::telemetry::Timestamp::parse(v["window"][k].as_str().unwrap()).unwrap().secs();
    assert_eq!(secs("end") - secs("start"), 1200);
    // A much wider window still finds the change. A window that the recording does not cover is reported.
    let rises = |v: &Value| v["findings"].to_string().matches("latency p95 rose").count();
    let (_, hour) = json(f.path(), &["--config", &c, "investigate", "INC-1", "--window", "63m"]);
    assert!(rises(&hour) >= 1 && !hour.to_string().contains("the recording has no answer to"), "{hour}");
    let (_, day) = json(f.path(), &["--config", &c, "investigate", "INC-1", "--window", "5h"]);
    assert!(rises(&day) == 0 && day.to_string().contains("the recording has no answer to"), "{day}");
}

#[test]
fn an_investigation_replaces_what_earlier_ones_gathered() {
    let f = folder();
    let c = config(f.path(), None, "");
    declare(f.path(), &c);
    let evidence = |v: &Value| -> Vec<String> {
        v["evidence"].as_array().unwrap().iter().map(|e| e.as_str().or(e["id"].as_str()).unwrap().to_owned()).collect()
    };
    let runs: Vec<Vec<String>> = (0..3).map(|_| evidence(&json(f.path(), &["--config", &c, "investigate", "INC-1"]).1)).collect();
    assert!(!runs[2].is_empty() && runs[0].iter().all(|id| !runs[2].contains(id)), "{runs:?}");
    // What an entry cites stays.
    let cited = &runs[0][0];
    run(f.path(), &["incident", "note", "INC-1", &format!("look at this [{cited}]")]);
    let (_, shown) = json(f.path(), &["incident", "show", "INC-1"]);
    assert_eq!(evidence(&shown).len(), runs.iter().map(Vec::len).sum::<usize>(), "the journal keeps all");
    let current: Vec<String> = shown["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["superseded"] == false)
        .map(|e| e["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(current, [&[cited.clone()][..], &runs[2]].concat());
    let (_, export) = json(f.path(), &["export", "INC-1", "--format", "json"]);
    assert_eq!(evidence(&export), current);
    let (_, prompt) = json(f.path(), &["ask", "INC-1", "troubleshoot", "--dry-run"]);
    assert!(evidence(&prompt).iter().all(|id| current.contains(id)), "{}", prompt["evidence"]);
}

/// The demo is a whole incident: a bad release, found, rolled back and verified, and a post-mortem that can be sent as it is.
#[test]
fn headless_demo_runs_from_alert_to_postmortem() {
    let f = folder();
    let out = f.path().join("out");
    let (code, v) = json(f.path(), &["demo", "--headless", "--out", &out.display().to_string()]);
    assert_eq!((code, v["alerts"].as_u64()), (0, Some(5)));
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    for name in v["files"].as_array().unwrap() {
        assert!(!read(name.as_str().unwrap()).is_empty(), "{name}");
    }
    for (name, parts) in [
        ("investigation.json", vec!["db_pool_in_use", "pool exhausted"]),
        ("prompt.json", vec!["db_pool_in_use", "<<<E1"]),
        (
            "answer.md",
            vec![
                "Rule-based report",
                "SEV1 is proposed",
                "of its requests and is customer-facing",
                "1. checkout is the most likely origin [E",
                "2. checkout version 1.41.3 → 1.42.0 at",
                "checkout is burning its error budget",
                "checkout db_pool is at 100%",
            ],
        ),
        ("alerts.json", vec!["HighErrorRate"]),
        (
            "postmortem.md",
            vec![
                "About 2 of 3 orders failed at the last step. Affected: most customers who tried to pay.",
                "### Contributing factors",
                "The cause, as the responders judged it: version 1.42.0 of checkout",
                "It ended with this mitigation at",
                "Checkout version went from 1.41.3 to 1.42.0.",
                "requests failed (",
                "- No request to payment failed.",
                "### Ruled out\n\n- The payment service was slow.",
                "- Playbook: Roll back a release, 6 of 9 steps done.",
                "- 2 promised updates: 2 in time.",
                "| roll back checkout to 1.41.3 | low | worked: fell from 0.69 to 0 and was below 0.01 for 2m00s",
                "The exit criterion was met at",
                "### Where we were lucky",
                "max by (service) (db_pool_in_use",
            ],
        ),
        ("updates.md", vec!["## We have found the problem", "## A fix is in place", "## Resolved", "**Conditions**"]),
        ("postmortem.html", vec!["<!doctype html>", "<svg", "Content-Security-Policy"]),
        ("postmortem-external.md", vec!["## Summary", "## What happened", "## What we are doing"]),
    ] {
        let text = read(name);
        for part in parts {
            assert!(text.contains(part), "{name}: {part}\n{text}");
        }
    }
    let postmortem = read("postmortem.md");
    for part in ["Missing before", "Open questions", "Unknown", "overrid", "not checked", "Not trustworthy"] {
        assert!(!postmortem.contains(part), "{part}\n{postmortem}");
    }
    let failed = postmortem.split("requests failed (").nth(1).and_then(|rest| rest.split('%').next());
    assert!(failed.and_then(|share| share.parse().ok()).is_some_and(|share: f64| (40.0..80.0).contains(&share)), "{failed:?}");
    let report: Value = serde_json::from_str(&read("postmortem.json")).unwrap();
    assert_eq!((&report["status"], &report["review_status"]), (&"resolved".into(), &"in review".into()));
    let none = Value::Array(Vec::new());
    assert_eq!((&report["overrides"], &report["missing"], &report["questions"]), (&none, &none, &none));
    assert!(report["durations"]["mitigate_secs"].as_f64().is_some_and(|s| (300.0..420.0).contains(&s)), "{report}");
    let external = read("postmortem-external.md");
    for name in ["checkout", "gateway", "1.42.0", "ana", "[E"] {
        assert!(!external.contains(&format!("{name} ")) && !external.contains(&format!(" {name}")), "{name}: {external}");
    }
    assert!(!f.path().join("journal.db").exists(), "the demo does not touch the store");
}

#[test]
fn generates_completions_and_the_manual() {
    let f = folder();
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&run(f.path(), &["completions", shell])).contains("investigate"), "{shell}");
    }
    assert!(stdout(&run(f.path(), &["man"])).contains(".TH warroom"));
}

#[test]
fn window_applies_to_one_run_and_a_relapse_clears_the_mitigation() {
    let f = folder();
    let c = config(f.path(), None, "");
    declare(f.path(), &c);
    let window = |args: &[&str]| {
        let (_, v) = json(f.path(), &[&["--config", &c, "investigate", "INC-1"], args].concat());
        let at = |k: &str| warroom::telemetry::Timestamp::parse(v["window"][k].as_str().unwrap()).unwrap();
        (at("start"), at("end"))
    };
    let (start, end) = window(&["--window", "1m"]);
    assert_eq!(end.secs() - start.secs(), 60);
    let (start, again) = window(&[]);
    assert!(again > end && again.secs() - start.secs() > 600);
    assert_eq!(run(f.path(), &["investigate", "INC-1", "--window", "0"]).status.code(), Some(2));
    run(f.path(), &["incident", "status", "INC-1", "mitigated"]);
    run(f.path(), &["incident", "status", "INC-1", "investigating"]);
    let (_, v) = json(f.path(), &["incident", "show", "INC-1"]);
    assert_eq!((&v["mitigated_at"], &v["durations"]["mitigate_secs"]), (&Value::Null, &Value::Null));
    run(f.path(), &["incident", "resolve", "INC-1", "--override", "a test"]);
    let refused = run(f.path(), &["incident", "status", "INC-1", "investigating"]);
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains("reopen"), "{}", stderr(&refused));
    let future = run(f.path(), &["incident", "acknowledge", "INC-1", "--at", "2999-01-01T00:00:00Z"]);
    assert!(future.status.code() == Some(1) && stderr(&future).contains("future"), "{}", stderr(&future));
}

#[test]
fn declares_without_waiting_for_a_hanging_source() {
    let f = folder();
    let hung = Stub::start(|_| {
        std::thread::sleep(Duration::from_mins(1));
        Reply::json("[]")
    });
    let healthy = Stub::start(|_| {
        Reply::json(
            r#"[{"labels":{"alertname":"A"},"fingerprint":"abcd","startsAt":"2026-11-21T09:00:00Z","status":{"state":"active"}}]"#,
        )
    });
    let text = format!(
        "[[sources]]\nname = \"hung\"\ntype = \"prometheus\"\nurl = \"{}\"\n[[sources]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"{}\"\n",
        hung.url(),
        healthy.url()
    );
    let path = f.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    let c = path.display().to_string();
    let output = run(f.path(), &["--config", &c, "declare", "--title", "x", "--alert", "abcd", "--alert", "nobody"]);
    assert!(output.status.success());
    assert!(stderr(&output).contains("nobody") && stderr(&output).contains("hung did not answer"), "{}", stderr(&output));
    let (_, v) = json(f.path(), &["incident", "show", "INC-1"]);
    assert_eq!((v["alerts"][0]["verified"].as_bool(), v["detected_at"].as_str()), (Some(true), Some("2026-11-21T09:00:00Z")));
    assert_eq!(v["alerts"][1]["verified"], false);
}

#[test]
fn reports_unreadable_logs_and_never_stores_secrets() {
    let f = folder();
    std::fs::write(f.path().join("broken.log.gz"), b"\x1f\x8b\x08 this is no gzip").unwrap();
    let now = warroom::telemetry::Timestamp::from(time::OffsetDateTime::now_utc()).rfc3339();
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let line = format!("{now} ERROR {} push failed {token} for ana@example.com password=hunter2\n", "x".repeat(90));
    std::fs::write(f.path().join("app.log"), format!("{line}{now} INFO done\n")).unwrap();
    let path = f.path().join("c.toml");
    let pattern = f.path().join("*.log*").display().to_string();
    std::fs::write(&path, format!("[[sources]]\nname = \"logs\"\ntype = \"file\"\npaths = [\"{pattern}\"]\n")).unwrap();
    let c = path.display().to_string();
    run(f.path(), &["--config", &c, "declare", "--title", "mail bob@example.com"]);
    let (code, v) = json(f.path(), &["--config", &c, "investigate", "INC-1", "--window", "10m"]);
    assert_eq!(code, 3, "{v}");
    assert_eq!(v["sources"][0]["status"], "failed");
    assert!(
        v["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|g| g["kind"] == "gap" && g["text"].as_str().unwrap().contains("broken.log.gz")),
        "{v}"
    );
    let outputs = [
        v.to_string(),
        stdout(&run(f.path(), &["export", "INC-1"])),
        stdout(&run(f.path(), &["ask", "INC-1", "troubleshoot", "--dry-run", "--json"])),
    ];
    for text in &outputs {
        for secret in ["ghp_a1B2", "hunter2", "ana@example.com", "bob@example.com"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert!(outputs[2].contains("redacted:github-token") && outputs[2].contains("redacted:secret"), "{}", outputs[2]);
    for file in ["journal.db", "journal.db-wal"] {
        let bytes = std::fs::read(f.path().join(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"), "{file}");
    }
}

#[test]
fn never_reports_a_firing_service_as_unchanged() {
    let f = folder();
    let c = config(f.path(), None, "");
    run(f.path(), &["--config", &c, "declare", "--title", "late"]);
    // The whole window is inside the incident.
    let (_, v) = json(f.path(), &["--config", &c, "investigate", "INC-1", "--window", "3m"]);
    let findings = v["findings"].as_array().unwrap();
    assert!(
        !findings.iter().any(|f| f["kind"] == "unchanged" && f["text"].as_str().unwrap().contains("checkout")),
        "{findings:#?}"
    );
    assert!(
        findings.iter().any(|f| f["kind"] == "gap" && f["text"].as_str().unwrap().contains("so data were read from")),
        "{findings:#?}"
    );
}

#[test]
fn asks_the_selected_model() {
    let f = folder();
    let small = Stub::start(|_| Reply::events(&chat_events("Small says so [E1]."), Duration::ZERO));
    let large = Stub::start(|_| Reply::events(&chat_events("Large says so [E1]."), Duration::ZERO));
    let more = format!("[assistant.models.large]\nmodel = \"big\"\nbase_url = \"{}/v1\"\n", large.url());
    let c = config(f.path(), Some(&small.url()), &more);
    declare(f.path(), &c);
    let (_, v) = json(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot", "--model", "large"]);
    assert_eq!(v["answer"], "Large says so [E1].");
    assert!(small.requests().is_empty() && large.requests()[0].body.contains("\"big\""));
    let (_, v) = json(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot"]);
    assert_eq!(v["answer"], "Small says so [E1].");
    let (code, v) = json(f.path(), &["--config", &c, "ask", "INC-1", "troubleshoot", "--model", "huge"]);
    assert_eq!(code, 4);
    assert_eq!(v["error"]["remedy"], "Use one of large.", "{v}");
}

#[test]
fn lists_action_items_as_csv_and_markdown() {
    let f = folder();
    run(f.path(), &["declare", "--title", "x"]);
    run(f.path(), &["action", "add", "INC-1", "=cmd(), \"quoted\" | piped", "--owner", "ben"]);
    let csv = stdout(&run(f.path(), &["action", "list", "--format", "csv"]));
    assert_eq!(
        csv,
        "incident,id,text,kind,owner,due,priority,state,scope,ticket,check_back_at,result\nINC-1,A1,\"'=cmd(), \"\"quoted\"\" | piped\",prevent,ben,,,open,follow-up,,,\n"
    );
    let md = stdout(&run(f.path(), &["action", "list", "--format", "md"]));
    assert!(md.ends_with("| INC-1 | A1 | =cmd(), \"quoted\" \\| piped | prevent | ben |  |  | open | follow-up |  |\n"), "{md}");
}

/// An unreachable source leaves its gate item unchecked, whatever it answered before, so `resolve` is refused.
#[test]
fn refuses_to_resolve_when_an_alert_source_is_unreachable() {
    let f = folder();
    let c = config(f.path(), None, "[incident]\nmonitor_minutes = 0\n");
    let incident = declare(f.path(), &c);
    let id = incident["id"].as_str().unwrap().to_owned();
    let port = port::reserve();
    let dead = f.path().join("dead.toml");
    std::fs::write(&dead, format!("[[sources]]\nname = \"dead\"\ntype = \"alertmanager\"\nurl = \"http://127.0.0.1:{port}\"\n"))
        .unwrap();
    let dead = dead.display().to_string();
    // No alert is known to fire, and none is known not to.
    run(f.path(), &["--config", &dead, "declare", "--title", "x", "--alert", "abc"]);
    let check = stdout(&run(f.path(), &["--config", &dead, "incident", "check", "INC-2"]));
    assert!(check.contains("Alert status unknown") && !check.contains("0 linked"), "{check}");
    let refused = run(f.path(), &["--config", &dead, "incident", "resolve", &id]);
    let message = stderr(&refused);
    assert!(
        refused.status.code() == Some(1) && message.contains("not checked (dead:") && message.lines().count() <= 2,
        "{message}"
    );
    let overridden = json(f.path(), &["--config", &dead, "incident", "resolve", &id, "--override", "a drill"]).1;
    let open = overridden["fact"]["open"].as_array().unwrap();
    assert!(open.iter().any(|o| o == "not-checked"), "{overridden}");
}

/// Changes reported by a pipeline, a repository and a cluster are listed together with the changes found in the metrics.
#[test]
#[expect(clippy::too_many_lines, reason = "three kinds of sources in one configuration")]
fn lists_changes_from_webhooks_git_and_kubernetes() {
    use warroom::telemetry::Timestamp;
    let f = folder();
    let changes = |v: &Value| -> Vec<Value> { single_findings(v).into_iter().filter(|f| f["kind"] == "change").collect() };
    let c = config(f.path(), None, "");
    declare(f.path(), &c);
    let (_, v) = json(f.path(), &["--config", &c, "investigate", "INC-1"]);
    let before = changes(&v);
    let title = before[0]["title"].as_str().unwrap();
    assert!(title.starts_with("checkout version 1.41.3 → 1.42.0 at "), "{title}");
    // The time of the release. The title has only its time of day, and the recording is replayed as if it ended now.
    let clock = title.split(" at ").nth(1).and_then(|t| t.split([',', ' ']).next()).unwrap();
    let end = Timestamp::parse(v["window"]["end"].as_str().unwrap()).unwrap();
    let day = |back: i64| {
        let date = Timestamp::from_secs(end.secs() - 86_400 * back).rfc3339();
        Timestamp::parse(&format!("{}T{clock}", &date[..10])).unwrap()
    };
    let release = if day(0) <= end { day(0) } else { day(1) }.secs();
    let at = |secs: i64| Timestamp::from_secs(release + secs).rfc3339();

    let deploys = f.path().join("deploys.jsonl");
    let lines = [
        format!(
            r#"{{"deployment_status":{{"state":"success","created_at":"{}"}},"deployment":{{"ref":"v1.42.0","environment":"production","creator":{{"login":"ada"}}}},"repository":{{"name":"checkout"}}}}"#,
            at(20)
        ),
        format!(r#"{{"at":"{}","service":"mail","what":"flag digest on, password=hunter2"}}"#, at(60)),
    ];
    // `early` is before the window, which starts ten minutes before the alerts, but within the lookback of one hour.
    // `too_early` is not.
    let early = format!(r#"{{"at":"{}","service":"cart","version":"7"}}"#, at(-2400));
    let too_early = format!(r#"{{"at":"{}","service":"cart","version":"6"}}"#, at(-9000));
    std::fs::write(&deploys, [&lines[..], &[early, too_early]].concat().join("\n")).unwrap();
    let repository = f.path().join("code");
    std::fs::create_dir(&repository).unwrap();
    for args in [
        vec!["init", "-q"],
        vec!["-c", "user.name=Bob", "-c", "user.email=bob@example.org", "commit", "-q", "--allow-empty", "-m", "Larger batches"],
    ] {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(&repository).args(args).env("GIT_COMMITTER_DATE", format!("@{} +0000", release - 240));
        assert!(git.status().unwrap().success());
    }
    let event = at(-120);
    let cluster = Stub::start(move |request| match request.path() {
        "/api/v1/namespaces/prod/events" if request.param("continue").is_none() => Reply::json(
            r#"{"metadata":{"continue":"more"},"items":[{"reason":"BackOff","involvedObject":{"kind":"Pod","name":"x-1-2"}}]}"#,
        ),
        "/api/v1/namespaces/prod/events" => Reply::json(format!(
            r#"{{"metadata":{{}},"items":[{{"reason":"ScalingReplicaSet","message":"Scaled down replica set gateway-5d from 4 to 2","lastTimestamp":"{event}","involvedObject":{{"kind":"Deployment","name":"gateway"}}}}]}}"#
        )),
        _ => Reply::new(
            403,
            "application/json",
            r#"{"kind":"Status","status":"Failure","message":"replicasets is forbidden","code":403}"#,
        ),
    });
    let more = format!(
        "[[sources]]\nname = \"ci\"\ntype = \"changes\"\npaths = [\"{}\"]\n\
         [[sources]]\nname = \"code\"\ntype = \"git\"\npath = \"{}\"\nservice = \"batch\"\n\
         [[sources]]\nname = \"k8s\"\ntype = \"kubernetes\"\nurl = \"{}\"\nnamespace = \"prod\"\n",
        deploys.display(),
        repository.display(),
        cluster.url()
    );
    let c = config(f.path(), None, &more);
    // Events that people record count as changes too, unless they are undone.
    run(f.path(), &["incident", "event", "INC-1", "flag-changed", "retry on for gateway", "--at", &at(-400)]);
    run(f.path(), &["incident", "event", "INC-1", "deploy-detected", "never was", "--at", &at(-300)]);
    run(f.path(), &["incident", "undo", "INC-1"]);
    let (code, v) = json(f.path(), &["--config", &c, "investigate", "INC-1"]);
    assert_eq!(code, 0, "{v}");
    let found = changes(&v);
    let titles: Vec<&str> = found.iter().map(|f| f["title"].as_str().unwrap()).collect();
    // A deploy that two sources report is one change, with the evidence of both. It is still listed first.
    let text = found[0]["text"].as_str().unwrap();
    assert!(
        titles[0].starts_with("checkout ")
            && text.contains("v1.42.0 deployed to production by ada")
            && text.contains("1.41.3 → 1.42.0"),
        "{titles:#?}\n{text}"
    );
    assert!(found[0]["evidence"].as_array().unwrap().len() >= 2, "{}", found[0]);
    for part in [
        "batch commit ",
        "\"Larger batches\" by Bob at",
        "gateway ScalingReplicaSet: Scaled down replica set gateway-5d",
        "mail flag digest on",
        "retry on for gateway",
    ] {
        assert!(titles.iter().any(|t| t.contains(part)), "{part}: {titles:#?}");
    }
    let ci = json(f.path(), &["incident", "show", "INC-1"]).1;
    let ci = ci["evidence"].as_array().unwrap().iter().find(|e| e["source"] == "ci").unwrap().clone();
    assert!(ci["summary"].as_str().unwrap().starts_with("3 changes, most recent: "), "{ci}");
    assert!(!v.to_string().contains("hunter2") && !v.to_string().contains("never was"));
    let (_, shown) = json(f.path(), &["incident", "show", "INC-1"]);
    let evidence: Vec<&Value> = shown["evidence"].as_array().unwrap().iter().filter(|e| e["kind"] == "changes").collect();
    assert_eq!(evidence.len(), 4, "{shown}");
    let cluster = evidence.iter().find(|e| e["source"] == "k8s").unwrap();
    assert_eq!(cluster["complete"], false, "one list was denied, so the evidence is incomplete: {cluster}");
    let report = stdout(&run(f.path(), &["export", "INC-1"]));
    assert!(report.contains("v1.42.0 deployed to production by ada"), "the export names the deploy");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_an_investigation_and_keeps_the_answers() {
    let f = folder();
    let log = f.path().join("checkout.log");
    let now = warroom::telemetry::Timestamp::from(time::OffsetDateTime::now_utc());
    let lines: String = (0..40_u64)
        .map(|n| format!("{} ERROR pool exhausted after {n} ms\n", (now - Duration::from_secs(40 - n)).rfc3339()))
        .collect();
    std::fs::write(&log, lines).unwrap();
    let slow = Stub::start(|_| {
        std::thread::sleep(Duration::from_mins(5));
        Reply::json("{}")
    });
    let config = f.path().join("config.toml");
    let text = format!(
        "[[sources]]\nname = \"prom\"\ntype = \"prometheus\"\nurl = \"{}\"\ntimeout_secs = 290\n[[sources]]\nname = \"files\"\ntype = \"file\"\npaths = [\"{}\"]\n",
        slow.url(),
        log.display()
    );
    std::fs::write(&config, text).unwrap();
    let c = config.display().to_string();
    run(f.path(), &["--config", &c, "declare", "--title", "checkout fails"]);
    let child = warroom(f.path(), &["--config", &c, "investigate", "INC-1", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    while slow.requests().is_empty() {
        assert!(start.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let v: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let source = |name: &str| v["sources"].as_array().unwrap().iter().find(|s| s["name"] == name).cloned().unwrap_or_default();
    assert_eq!((output.status.code(), source("files")["status"].as_str()), (Some(3), Some("ok")), "{v}");
    assert!(source("prom")["error"].as_str().unwrap().contains("stopped"), "{v}");
    assert!(v["findings"].to_string().contains("pool exhausted"), "{v}");
}
