//! The whole way on real servers: a fault in the shop, a real Prometheus that notices, a real Alertmanager that tells, and
//! warroom from the alert to the post-mortem, with a streaming model that is a stub.
//!
//! Takes about two minutes: the baseline is real time.

#![cfg(unix)]

#[path = "support/program.rs"]
mod program;
#[path = "support/servers.rs"]
mod servers;
#[path = "support/stub.rs"]
mod stub;

use std::path::PathBuf;
use std::time::Duration;

use program::{json, run, stderr, stdout};
use serde_json::Value;
use servers::{Lab, QUICK, wait_until};
use stub::{Reply, Stub, chat_events};

/// How long the shop is well before it is broken.
const WELL: Duration = Duration::from_secs(75);

fn shop() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_warroom")).parent().unwrap().join("examples/shop")
}

/// A model that reads its prompt: it cites the evidence that holds the pool, and invents one thing.
fn model() -> Stub {
    Stub::start(|request| {
        let sent: Value = serde_json::from_str(&request.body).unwrap();
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

#[test]
fn from_the_alert_to_the_post_mortem() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(folder.path(), &shop(), QUICK);
    let llm = model();
    let config = lab.config(Some(&llm.url())).display().to_string();
    let home = folder.path();
    let started = std::time::Instant::now();
    let (code, doctor) = json(home, &["--config", &config, "doctor"]);
    // The stub lists no models; everything else is well.
    let bad: Vec<&Value> =
        doctor["checks"].as_array().unwrap().iter().filter(|c| c["status"] == "fail" && c["name"] != "llm").collect();
    assert!(bad.is_empty() && code <= 1, "{bad:?}");
    let (_, calm) = json(home, &["--config", &config, "alerts"]);
    assert!(calm["alerts"].as_array().unwrap().iter().all(|a| a["state"] != "firing"), "{calm}");
    std::thread::sleep(WELL.saturating_sub(started.elapsed()));

    lab.fault("pool_exhaustion");
    let firing = |v: &Value, name: &str, service: &str| {
        v["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|a| a["name"] == name && a["labels"]["service"] == service && a["state"] == "firing")
            .cloned()
    };
    wait_until("checkout's alerts fire in Alertmanager", Duration::from_secs(60), || {
        let (_, v) = json(home, &["--config", &config, "alerts"]);
        ["HighErrorRate", "DbPoolNearlyExhausted"].iter().all(|n| firing(&v, n, "checkout").is_some_and(|a| a["source"] == "am"))
    });
    let (code, alerts) = json(home, &["--config", &config, "alerts"]);
    assert_eq!(code, 0);
    let errors = firing(&alerts, "HighErrorRate", "checkout").unwrap();
    // One alert of two sources: Alertmanager's identity, Prometheus's value and pending start.
    assert!(errors["value"].as_f64().unwrap() > 0.01 && errors["pending_since"].is_string(), "{errors}");
    let pool = firing(&alerts, "DbPoolNearlyExhausted", "checkout").unwrap();
    let prints: Vec<&str> = [&errors, &pool].iter().map(|a| a["fingerprint"].as_str().unwrap()).collect();

    let (code, made) = json(
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
            prints[0],
            "--alert",
            prints[1],
        ],
    );
    assert_eq!((code, made["id"].as_str()), (0, Some("INC-1")));
    // Some seconds of the fault make the picture clear.
    std::thread::sleep(Duration::from_secs(8));
    let (code, found) = json(home, &["--config", &config, "investigate", "INC-1"]);
    assert_eq!(code, 0, "{found}");
    let findings = found["findings"].as_array().unwrap();
    let of = |kind: &str| {
        findings.iter().filter(|f| f["kind"] == kind).map(|f| f["text"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
    };
    assert!(of("alerts").contains("HighErrorRate on checkout"), "{findings:#?}");
    assert!(of("moved").contains("checkout db_pool_in_use rose"), "{findings:#?}");
    assert!(of("moved").contains("checkout latency p95 rose"), "{findings:#?}");
    assert!(of("moved").contains("checkout errors per second rose"), "{findings:#?}");
    assert!(of("pattern").contains("pool exhausted after"), "{findings:#?}");
    assert!(of("related").contains("service=checkout"), "{findings:#?}");
    assert!(findings.iter().filter(|f| f["kind"] != "gap").all(|f| !f["evidence"].as_array().unwrap().is_empty()));

    let (_, preview) = json(home, &["--config", &config, "ask", "INC-1", "troubleshoot", "--dry-run"]);
    let prompt = preview["messages"][1]["content"].as_str().unwrap();
    for part in ["checkout", "db_pool_in_use", "pool exhausted after", "HighErrorRate"] {
        assert!(prompt.contains(part), "{part}: {prompt}");
    }
    assert!(!prompt.contains("@example.com"), "customers' addresses are redacted");
    let streamed = run(home, &["--config", &config, "ask", "INC-1", "troubleshoot"]);
    assert!(stdout(&streamed).contains("database pool is full"), "{}", stderr(&streamed));
    assert!(stderr(&streamed).contains("2 claims: 1 supported, 1 number not in evidence"), "{}", stderr(&streamed));
    let sent: Value = serde_json::from_str(&llm.seen().last().unwrap().body).unwrap();
    assert_eq!(sent["messages"], preview["messages"]);

    lab.fault("none");
    for args in [
        vec!["incident", "note", "INC-1", "raised the pool to 40", "--kind", "decision"],
        vec!["incident", "status", "INC-1", "mitigated"],
        vec!["incident", "resolve", "INC-1"],
    ] {
        let output = run(home, &[vec!["--config", &config], args].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    }
    // Every backend is gone: the report stands on the journal.
    drop(lab);
    let report = stdout(&run(home, &["--config", &config, "export", "INC-1"]));
    for part in [
        "checkout db_pool_in_use rose",
        "pool exhausted after",
        "alert DbPoolNearlyExhausted (checkout) fired",
        "raised the pool to 40",
        "**AI draft, not accepted by a person**",
        "> Not supported: number not in evidence: The pool of 987654",
        "max by (service) (db_pool_in_use",
        "▁",
    ] {
        assert!(report.contains(part), "{part}\n{report}");
    }
    assert_eq!(json(home, &["--config", &config, "verify"]).1["ok"], true);
}
