//! Tests the whole workflow on real servers: a fault in the shop, Prometheus and Alertmanager that fire the alerts, and
//! warroom from the alert to the post-mortem. Only the streaming model is a stub.
//!
//! Takes about two minutes, because the baseline is recorded in real time.

#![cfg(unix)]

#[path = "support/program.rs"]
mod program;
#[path = "support/servers.rs"]
mod servers;
#[path = "support/stub.rs"]
mod stub;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use program::{json, run, single_findings, stderr, stdout};
use serde_json::Value;
use servers::{Lab, QUICK, wait_until};
use stub::{Reply, Stub, chat_events};

/// How long the shop runs without a fault.
const BASELINE: Duration = Duration::from_secs(75);

fn shop() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_warroom")).parent().unwrap().join("examples/shop")
}

/// A stub model that cites the evidence about the pool from its prompt and invents one number.
fn model() -> Stub {
    Stub::start(|request| {
        // Other requests, such as the one for the list of models, get a 404.
        let Ok(sent) = serde_json::from_str::<Value>(&request.body) else { return Reply::new(404, "text/plain", "no") };
        let prompt = sent["messages"][1]["content"].as_str().unwrap_or("").to_owned();
        let id = prompt
            .split("<<<")
            .skip(1)
            .find(|item| item.contains("(db_pool_in_use"))
            .and_then(|item| item.split_whitespace().next())
            .unwrap_or("E0")
            .to_owned();
        let answer = format!(
            "## Symptoms and impact\n\n- Checkout answers with errors because its database pool is full [{id}].\n\n\
             ## Root-cause hypotheses and investigation steps\n\n- The pool of 987654 connections leaks [{id}].\n"
        );
        Reply::events(&chat_events(&answer), Duration::from_millis(5))
    })
}

/// The names that complete a query come from the server itself.
fn assert_completes_from_the_server(config: &str) {
    use warroom::config::{Config, Overrides};
    let overrides = Overrides { config: Some(PathBuf::from(config)), store: None };
    let config = Config::load(&overrides, warroom::sources::registry::check).unwrap();
    let set = warroom::investigate::SourceSet::from_config(&config);
    let hour = Duration::from_hours(1);
    let window = warroom::telemetry::Window::before(warroom::investigate::clock::now(), hour);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let source = set.sources.iter().find(|s| s.metrics().is_some()).unwrap();
    let metrics = source.metrics().unwrap();
    let names = runtime.block_on(metrics.label_values("__name__", window)).unwrap().value;
    let labels = runtime.block_on(metrics.label_names(window)).unwrap().value;
    assert!(names.iter().any(|n| n == "db_pool_in_use") && names.iter().any(|n| n == "up"), "{names:?}");
    assert!(labels.iter().any(|l| l == "service") && labels.iter().any(|l| l == "__name__"), "{labels:?}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "the life of one incident")]
fn handles_an_incident_from_alert_to_postmortem() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(folder.path(), &shop(), QUICK);
    let llm = model();
    let config = lab.config(Some(&llm.url())).display().to_string();
    let home = folder.path();
    let started = std::time::Instant::now();
    let (code, doctor) = json(home, &["--config", &config, "doctor"]);
    // The stub does not list models, so only the check `llm` may fail.
    let failed: Vec<&Value> =
        doctor["checks"].as_array().unwrap().iter().filter(|c| c["status"] == "fail" && c["name"] != "llm").collect();
    assert!(failed.is_empty() && code <= 1, "{failed:?}");
    let (_, before) = json(home, &["--config", &config, "alerts"]);
    assert!(before["alerts"].as_array().unwrap().iter().all(|a| a["state"] != "firing"), "{before}");
    std::thread::sleep(BASELINE.saturating_sub(started.elapsed()));

    lab.inject_fault("pool_exhaustion");
    let firing = |v: &Value, name: &str, service: &str| {
        v["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|a| a["name"] == name && a["labels"]["service"] == service && a["state"] == "firing")
            .cloned()
    };
    wait_until("checkout's alerts fire in Alertmanager", Duration::from_mins(1), || {
        let (_, v) = json(home, &["--config", &config, "alerts"]);
        ["HighErrorRate", "DbPoolNearlyExhausted"].iter().all(|n| firing(&v, n, "checkout").is_some_and(|a| a["source"] == "am"))
    });
    let (code, alerts) = json(home, &["--config", &config, "alerts"]);
    assert_eq!(code, 0);
    let errors = firing(&alerts, "HighErrorRate", "checkout").unwrap();
    // One alert from two sources: the identity is from Alertmanager, the value and the pending time are from Prometheus.
    assert!(errors["value"].as_f64().unwrap() > 0.01 && errors["pending_since"].is_string(), "{errors}");
    let pool = firing(&alerts, "DbPoolNearlyExhausted", "checkout").unwrap();
    let fingerprints: Vec<&str> = [&errors, &pool].iter().map(|a| a["fingerprint"].as_str().unwrap()).collect();

    let (code, declared) = json(
        home,
        &[
            "--config",
            &config,
            "declare",
            "--title",
            "checkout is failing",
            "--severity",
            "SEV2",
            "--alert",
            fingerprints[0],
            "--alert",
            fingerprints[1],
        ],
    );
    assert_eq!((code, declared["id"].as_str()), (0, Some("INC-1")));
    assert_completes_from_the_server(&config);
    assert!(run(home, &["--config", &config, "incident", "acknowledge", "INC-1"]).status.success());
    // Give the metrics time to show the fault clearly.
    std::thread::sleep(Duration::from_secs(8));
    let (code, found) = json(home, &["--config", &config, "investigate", "INC-1"]);
    assert_eq!(code, 0, "{found}");
    let listed = found["findings"].as_array().unwrap();
    assert!(listed.len() <= 8 && listed[0]["kind"] == "conclusion" && listed[1]["kind"] == "change", "{listed:#?}");
    assert_eq!(found["conclusion"]["origins"][0], "checkout", "{}", found["conclusion"]);
    assert!(listed[0]["text"].as_str().unwrap().contains("Probable trigger: checkout version 1.41.3 → 1.42.0"), "{}", listed[0]);
    let findings = single_findings(&found);
    let texts_of = |kind: &str| {
        findings.iter().filter(|f| f["kind"] == kind).map(|f| f["text"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
    };
    assert!(texts_of("alerts").contains("HighErrorRate on checkout"), "{findings:#?}");
    assert!(texts_of("moved").contains("checkout db_pool_in_use rose"), "{findings:#?}");
    assert!(texts_of("moved").contains("checkout latency p95 rose"), "{findings:#?}");
    assert!(texts_of("moved").contains("checkout errors per second rose"), "{findings:#?}");
    assert!(texts_of("pattern").contains("pool exhausted after"), "{findings:#?}");
    assert!(texts_of("related").contains("service=checkout"), "{findings:#?}");
    let first = |kind: &str| findings.iter().find(|f| f["kind"] == kind).unwrap_or(&Value::Null);
    assert!(first("suspect")["title"].as_str().unwrap_or("").starts_with("checkout is the most likely"), "{findings:#?}");
    let suspect = &found["suspects"][0];
    assert!(suspect["service"] == "checkout" && !suspect["evidence"].as_array().unwrap().is_empty(), "{}", found["suspects"]);
    assert!(found["onset"].is_string());
    assert!(texts_of("change").contains("checkout version 1.41.3 → 1.42.0"), "{findings:#?}");
    // The metrics have a label with the name of the called service.
    assert!(texts_of("dependency").contains("gateway calls checkout (according to the labels of the metrics)"), "{findings:#?}");
    assert!(texts_of("saturation").contains("checkout db_pool is at 100%"), "{findings:#?}");
    assert!(texts_of("slo").contains("checkout is burning its error budget"), "{findings:#?}");
    assert!(first("severity")["text"].as_str().unwrap_or("").contains("checkout is failing"), "{findings:#?}");
    assert!(
        texts_of("dependency").contains("db_pool_in_use")
            && texts_of("dependency").contains("calls payment, which did not change"),
        "{findings:#?}"
    );
    assert!(findings.iter().filter(|f| f["kind"] != "gap").all(|f| !f["evidence"].as_array().unwrap().is_empty()));

    // The same incident from a recording and from the log files alone: the same suspects and patterns.
    let templates = |findings: &[Value]| -> BTreeSet<String> {
        findings.iter().filter(|f| f["kind"] == "pattern").map(|f| f["subject"].as_str().unwrap().to_owned()).collect()
    };
    let recorded = tempfile::tempdir().unwrap();
    let file = recorded.path().join("lab.wrec").display().to_string();
    let made = run(home, &["--config", &config, "record", "--window", "10m", "-o", &file]);
    assert!(made.status.success(), "{}", stderr(&made));
    let replay = recorded.path().join("config.toml");
    std::fs::write(&replay, format!("[[sources]]\nname = \"rec\"\ntype = \"recording\"\npath = {file:?}\n")).unwrap();
    let replay = replay.display().to_string();
    run(
        recorded.path(),
        &["--config", &replay, "declare", "--title", "again", "--alert", fingerprints[0], "--alert", fingerprints[1]],
    );
    let (_, again) = json(recorded.path(), &["--config", &replay, "investigate", "INC-1"]);
    assert_eq!(again["conclusion"]["origins"], found["conclusion"]["origins"], "{again:#}");
    assert_eq!(again["conclusion"]["mechanism"], found["conclusion"]["mechanism"]);
    let services = |v: &Value| -> Vec<String> {
        let mut names: Vec<String> =
            v["suspects"].as_array().unwrap().iter().filter_map(|s| s["service"].as_str().map(str::to_owned)).collect();
        names.dedup();
        names.truncate(2);
        names
    };
    assert_eq!(services(&again), services(&found));
    let live_patterns = templates(&findings);
    assert_eq!(templates(&single_findings(&again)), live_patterns);
    let logs: Vec<String> =
        ["gateway", "checkout", "payment"].iter().map(|s| home.join(format!("logs/{s}.log")).display().to_string()).collect();
    let (_, mined) = json(home, &["logs", "patterns", &logs[0], &logs[1], &logs[2]]);
    for template in &live_patterns {
        assert!(
            mined["patterns"].as_array().unwrap().iter().any(|p| p["template"] == template.as_str()),
            "{template}: {mined:#}"
        );
    }

    let (_, preview) = json(home, &["--config", &config, "ask", "INC-1", "troubleshoot", "--dry-run"]);
    let prompt = preview["messages"][1]["content"].as_str().unwrap();
    for part in ["checkout", "db_pool_in_use", "pool exhausted after", "HighErrorRate"] {
        assert!(prompt.contains(part), "{part}: {prompt}");
    }
    assert!(!prompt.contains("@example.com"), "email addresses of customers are redacted");
    let streamed = run(home, &["--config", &config, "ask", "INC-1", "troubleshoot"]);
    assert!(stdout(&streamed).contains("database pool is full"), "{}", stderr(&streamed));
    assert!(stderr(&streamed).contains("2 claims: 1 supported, 1 number not in evidence"), "{}", stderr(&streamed));
    let sent: Value = serde_json::from_str(&llm.requests().last().unwrap().body).unwrap();
    assert_eq!(sent["messages"], preview["messages"]);

    // Resolve the incident: warroom checks some gate items on the servers, and a person ticks the others.
    let warroom = |args: &[&str]| run(home, &[&["--config", &config], args].concat());
    let ok = |args: &[&str]| {
        let output = warroom(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    };
    let checkout_rate = |code: &str| format!("sum(rate(http_requests_total{{service=\"checkout\"{code}}}[15s]))");
    let expression = format!("{} / {} < 0.01", checkout_rate(",code=~\"5..\""), checkout_rate(""));
    ok(&["incident", "exit", "INC-1", &expression, "--for", "12s"]);
    let (code, read) = json(home, &["--config", &config, "incident", "check", "INC-1"]);
    assert_eq!((code, &read["reading"]["met"]), (0, &Value::Bool(false)), "the fault is still there: {read}");
    lab.inject_fault("none");
    ok(&["incident", "note", "INC-1", "raised the pool to 40", "--kind", "mitigation"]);
    ok(&["incident", "status", "INC-1", "mitigated"]);
    let refused = warroom(&["incident", "resolve", "INC-1"]);
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains("restored"), "{}", stderr(&refused));
    wait_until("the alerts end and the exit criteria hold", Duration::from_secs(90), || {
        let (_, v) = json(home, &["--config", &config, "incident", "check", "INC-1"]);
        let (_, shown) = json(home, &["--config", &config, "incident", "show", "INC-1"]);
        std::thread::sleep(Duration::from_secs(2));
        v["reading"]["met"] == true && shown["alerts"].as_array().unwrap().iter().all(|a| a["firing"] == false)
    });
    ok(&["incident", "role", "INC-1", "commander", "ana"]);
    ok(&["incident", "role", "INC-1", "scribe", "ben"]);
    ok(&["incident", "severity", "INC-1", "SEV2", "--reason", "two of three orders fail"]);
    ok(&["incident", "impact", "INC-1", "--users", "two of three orders", "--services", "checkout"]);
    ok(&["incident", "update", "INC-1", "Orders work again; we keep watching."]);
    let refused = warroom(&["incident", "resolve", "INC-1"]);
    let message = stderr(&refused);
    assert!(
        message.contains("2 checklist items are open") && message.contains("health-checks") && message.contains("rollback-plan"),
        "{message}"
    );
    ok(&["incident", "gate", "INC-1", "health-checks", "--met", "checkout /healthz answers 200"]);
    ok(&["incident", "gate", "INC-1", "rollback-plan", "--met", "set the pool back to 20"]);
    ok(&["incident", "resolve", "INC-1"]);
    let (_, shown) = json(home, &["--config", &config, "incident", "show", "INC-1"]);
    let open: Vec<&Value> =
        shown["gates"].as_array().unwrap().iter().filter(|g| g["met"] == false && g["phase"] != "post-incident").collect();
    assert!(open.is_empty() && shown["status"] == "resolved", "{open:?}");
    assert!(shown["order_faults"].as_array().unwrap().is_empty(), "{}", shown["order_faults"]);
    let bundle = home.join("INC-1.wbundle").display().to_string();
    ok(&["bundle", "export", "INC-1", "-o", &bundle]);
    let exported = warroom(&["export", "INC-1"]);
    // All servers are stopped now: the report comes from the journal alone.
    drop(lab);
    let report = stdout(&run(home, &["--config", &config, "export", "INC-1"]));
    // Both gauges of the pool rise within one reading; either may come first.
    assert!(["in_use", "waiting"].iter().any(|gauge| report.contains(&format!("Checkout db_pool_{gauge} rose"))), "{report}");
    for part in [
        "pool exhausted after",
        "DbPoolNearlyExhausted (checkout)",
        "raised the pool to 40",
        "The exit criterion",
        "Orders work again; we keep watching.",
        "**AI draft, not accepted by a person**",
        "> Not supported: number not in evidence: The pool of 987654",
        "max by (service) (db_pool_in_use",
        "▁",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
    assert_eq!(json(home, &["--config", &config, "verify"]).1["ok"], true);
    assert_eq!(exported.stdout, report.as_bytes());

    // On another machine without servers and configuration, the bundle gives the same report, directly and after an import.
    let other = tempfile::tempdir().unwrap();
    let from_bundle = run(other.path(), &["--store", &format!("bundle:{bundle}"), "export", "INC-1"]);
    assert_eq!(from_bundle.stdout, exported.stdout, "{}", stderr(&from_bundle));
    let (code, imported) = json(other.path(), &["bundle", "import", &bundle]);
    assert_eq!((code, imported["id"].as_str(), imported["had"].as_u64()), (0, Some("INC-1"), Some(0)));
    assert_eq!(run(other.path(), &["export", "INC-1"]).stdout, exported.stdout);
    assert_eq!(json(other.path(), &["verify"]).1["ok"], true);
    let again = json(other.path(), &["bundle", "import", &bundle]).1;
    assert_eq!(again["added"], 0, "importing twice adds nothing");
    // The bundle contains the prompt that was sent to the model.
    let text = zstd::stream::decode_all(std::fs::read(&bundle).unwrap().as_slice()).unwrap();
    assert!(
        String::from_utf8_lossy(&text).contains("pool exhausted after")
            && text.windows(12).any(|w| w == b"<<<E1 alerts" || w == b"DevOps engin")
    );
}
