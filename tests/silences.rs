//! Tests of `warroom silence` with a real Alertmanager: preview, creation, extension, end, and what they hide.

#[path = "support/program.rs"]
mod program;
#[path = "support/servers.rs"]
mod servers;
#[path = "support/stub.rs"]
mod stub;

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use program::{json, run, stderr, stdout};
use serde_json::Value;
use servers::{Running, get, reserve, spawn, wait_until};

fn post(port: u16, path: &str, body: &str) {
    let mut socket = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Fires an alert with these labels.
fn fire(port: u16, labels: &[(&str, &str)]) {
    let labels: serde_json::Map<String, Value> = labels.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect();
    post(port, "/api/v2/alerts", &serde_json::json!([{"labels": labels}]).to_string());
}

fn start(folder: &Path) -> (u16, Running) {
    let port = reserve();
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(path("alertmanager.yml"), "route: { receiver: none, group_wait: 1s }\nreceivers: [{ name: none }]\n").unwrap();
    std::fs::write(path("config.toml"), config(port, "")).unwrap();
    let running = spawn(
        "prometheus-alertmanager",
        &[
            format!("--config.file={}", path("alertmanager.yml")),
            format!("--storage.path={}", path("am")),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ],
        &folder.join("am.out"),
    );
    wait_until("Alertmanager is ready", Duration::from_secs(30), || get(port, "/-/ready").is_ok_and(|(status, _)| status == 200));
    (port, running)
}

fn config(port: u16, more: &str) -> String {
    format!("[[sources]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"http://127.0.0.1:{port}\"\n{more}")
}

#[test]
fn silences_are_previewed_created_extended_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let (port, _running) = start(f);
    let c = f.join("config.toml").display().to_string();
    let silence = |args: &[&str]| json(f, &[&["--config", &c, "silence"], args].concat());
    let refused = |args: &[&str]| stderr(&run(f, &[&["--config", &c, "silence"], args].concat()));
    fire(port, &[("alertname", "Slow"), ("service", "shop"), ("pod", "a \"b\" \\ $(c)")]);
    fire(port, &[("alertname", "Down"), ("service", "mail")]);
    let (_, board) = json(f, &["--config", &c, "alerts"]);
    let fingerprint = |name: &str| {
        let all = board["alerts"].as_array().unwrap();
        all.iter().find(|a| a["name"] == name).unwrap()["fingerprint"].as_str().unwrap().to_owned()
    };
    json(f, &["--config", &c, "declare", "--title", "shop is slow", "--alert", &fingerprint("Slow")]);
    let new = ["create", "--matcher", "service=\"shop\"", "--for", "2h", "--reason", "known", "--incident", "INC-1"];

    // The preview changes nothing.
    let (code, plan) = silence(&new);
    assert_eq!((code, plan["done"].as_bool(), plan["id"].is_null()), (0, Some(false), true), "{plan}");
    assert_eq!(plan["matches"], serde_json::json!([fingerprint("Slow")]));
    assert!(refused(&new).contains("Nothing was changed. Add --yes to do it."));
    assert_eq!(silence(&["list"]).1["silences"], serde_json::json!([]));
    // Another alert fires between the preview and the change: it is not made.
    fire(port, &[("alertname", "Errors"), ("service", "shop")]);
    let token = plan["preview"].as_str().unwrap();
    let why = refused(&[&new[..], &["--yes", "--preview", token]].concat());
    assert!(why.contains("the matchers now hit 2 alerts, not those of the preview"), "{why}");
    assert_eq!(silence(&["list"]).1["silences"], serde_json::json!([]));
    // With the new preview it is, and what it hides is seen everywhere.
    let token = silence(&new).1["preview"].as_str().unwrap().to_owned();
    let (code, made) = silence(&[&new[..], &["--yes", "--preview", &token]].concat());
    assert_eq!((code, made["done"].as_bool(), made["matches"].as_array().unwrap().len()), (0, Some(true), 2), "{made}");
    let id = made["id"].as_str().unwrap();
    let (_, list) = silence(&["list", "--incident", "INC-1"]);
    let row = &list["silences"][0];
    assert_eq!(
        (row["id"].as_str(), row["comment"].as_str(), row["created_by"].as_str()),
        (Some(id), Some("INC-1: known"), Some("ana"))
    );
    assert_eq!(row["hides"].as_array().unwrap().len(), 2, "{list}");
    let (_, board) = json(f, &["--config", &c, "alerts"]);
    let states: Vec<&str> = board["alerts"].as_array().unwrap().iter().filter_map(|a| a["state"].as_str()).collect();
    assert_eq!(states.iter().filter(|s| **s == "suppressed").count(), 2, "{states:?}");
    // It is made longer and ended, each only with consent, and all of it is in the timeline.
    let before = row["ends_at"].as_str().unwrap().to_owned();
    assert_eq!(silence(&["extend", id, "--for", "5h"]).1["done"], false);
    let (_, longer) = silence(&["extend", id, "--for", "5h", "--incident", "INC-1", "--yes"]);
    assert!(longer["ends_at"].as_str().unwrap() > before.as_str(), "{longer}");
    let id = longer["id"].as_str().unwrap();
    assert_eq!(silence(&["expire", id, "--reason", "fixed"]).1["done"], false);
    assert_eq!(silence(&["expire", id, "--reason", "fixed", "--incident", "INC-1", "--yes"]).1["done"], true);
    assert_eq!(silence(&["list"]).1["silences"], serde_json::json!([]));
    assert_eq!(silence(&["list", "--all"]).1["silences"][0]["state"], "expired");
    assert!(refused(&["expire", id, "--reason", "again", "--yes"]).contains("is in force"));
    let shown = stdout(&run(f, &["--config", &c, "incident", "show", "INC-1"]));
    assert!(shown.contains("Silence created: {service=\"shop\"} in am until") && shown.contains("Silence expired: "), "{shown}");
}

#[test]
fn silences_of_marked_alerts_and_what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let (port, running) = start(f);
    let c = f.join("config.toml").display().to_string();
    let silence = |args: &[&str]| json(f, &[&["--config", &c, "silence"], args].concat());
    let hostile = "a \"b\" \\ $(c) \n {x=~\".*\"}, y!=\"\"";
    fire(port, &[("alertname", "Slow"), ("service", "shop"), ("pod", hostile)]);
    fire(port, &[("alertname", "Slow"), ("service", "shop"), ("pod", "other")]);
    let (_, board) = json(f, &["--config", &c, "alerts"]);
    let of_pod = |plain: bool| {
        let all = board["alerts"].as_array().unwrap();
        let found = all.iter().find(|a| (a["labels"]["pod"] == "other") == plain).unwrap();
        found["fingerprint"].as_str().unwrap().to_owned()
    };
    // Of one alert all labels, of several those in common.
    let (_, one) = silence(&["create", "--alert", &of_pod(true), "--for", "1h", "--reason", "x"]);
    assert_eq!(one["matches"], serde_json::json!([of_pod(true)]), "{one}");
    let (_, both) = silence(&["create", "--alert", &of_pod(true), "--alert", &of_pod(false), "--for", "1h", "--reason", "x"]);
    assert_eq!(both["matchers"], serde_json::json!(["alertname=\"Slow\"", "service=\"shop\""]), "{both}");
    let (code, made) = silence(&[
        "create",
        "--matcher",
        "pod!=\"other\"",
        "--matcher",
        "alertname=~\"Sl.*\"",
        "--for",
        "1h",
        "--reason",
        "x",
        "--yes",
    ]);
    assert_eq!((code, made["matches"].clone()), (0, serde_json::json!([of_pod(false)])), "{made}");
    let (_, list) = silence(&["list"]);
    assert_eq!(list["silences"][0]["matchers"], serde_json::json!(["pod!=\"other\"", "alertname=~\"Sl.*\""]), "{list}");

    let refused = |args: &[&str]| {
        let output = run(f, &[&["--config", &c, "silence"], args].concat());
        (output.status.code().unwrap(), stderr(&output))
    };
    let (code, why) = refused(&["create", "--matcher", "shop", "--for", "1h", "--reason", "x"]);
    assert!(code == 2 && why.contains("'shop' is not a matcher: it has no operator"), "{why}");
    assert_eq!(refused(&["create", "--matcher", "a=\"b\"", "--reason", "x"]).0, 2, "without an end");
    assert_eq!(refused(&["create", "--matcher", "a=\"b\"", "--for", "1h"]).0, 2, "without a reason");
    let (_, why) = refused(&["create", "--matcher", "a=\"b\"", "--for", "1h", "--reason", " "]);
    assert!(why.contains("the reason is empty"), "{why}");
    let (code, why) = refused(&["create", "--matcher", "a=~\".*\"", "--for", "1h", "--reason", "x", "--yes"]);
    assert!(code == 1 && why.contains("cannot create the silence in am"), "the server refuses what matches everything: {why}");
    std::fs::write(&c, config(port, "[ui]\nread_only = true\n")).unwrap();
    let (_, why) = refused(&["create", "--matcher", "a=\"b\"", "--for", "1h", "--reason", "x", "--yes"]);
    assert!(why.contains("[ui] read_only is set"), "{why}");
    std::fs::write(&c, config(port, "")).unwrap();
    drop(running);
    wait_until("Alertmanager is gone", Duration::from_secs(10), || get(port, "/-/ready").is_err());
    let (code, why) = refused(&["create", "--matcher", "a=\"b\"", "--for", "1h", "--reason", "x", "--yes"]);
    assert!(code == 1 && why.contains("cannot read the alerts in am"), "{why}");
    assert_eq!(refused(&["list"]).0, 3);
}

/// Grafana's own Alertmanager: the same API below a prefix, with a service account's token. Its answers are of the published shapes.
fn grafana() -> stub::Stub {
    use std::sync::Mutex;
    let silences: Mutex<Vec<Value>> = Mutex::default();
    stub::Stub::start(move |r| {
        let path = r.path().strip_prefix("/api/alertmanager/grafana/api/v2/").unwrap_or_default().to_owned();
        if r.header("authorization") != Some("Bearer glsa_test") {
            return stub::Reply::new(401, "application/json", r#"{"message":"Unauthorized"}"#);
        }
        let mut silences = silences.lock().unwrap();
        match (r.method.as_str(), path.as_str()) {
            ("GET", "alerts") => stub::Reply::json(
                r#"[{"annotations":{"__orgId__":"1"},"endsAt":"2027-01-01T00:00:00.000Z","fingerprint":"c6eadffa33fcdf37",
                "receivers":[{"active":null,"integrations":null,"name":"grafana-default-email"}],"startsAt":"2026-11-28T10:00:00.000Z",
                "status":{"inhibitedBy":[],"silencedBy":[],"state":"active"},"updatedAt":"2026-11-28T10:00:00.000Z",
                "generatorURL":"","labels":{"alertname":"Slow","grafana_folder":"shop","service":"shop"}}]"#,
            ),
            ("GET", "silences") => stub::Reply::json(serde_json::to_string(&*silences).unwrap()),
            ("POST", "silences") => {
                let mut silence: Value = serde_json::from_str(&r.body).unwrap();
                silence["id"] = "8f4c1b7e-3c1f-4c55-8a9b-1d2f3a4b5c6d".into();
                silence["status"] = serde_json::json!({"state": "active"});
                silence["updatedAt"] = silence["startsAt"].clone();
                *silences = vec![silence];
                stub::Reply::new(202, "application/json", r#"{"silenceID":"8f4c1b7e-3c1f-4c55-8a9b-1d2f3a4b5c6d"}"#)
            }
            ("DELETE", "silence/8f4c1b7e-3c1f-4c55-8a9b-1d2f3a4b5c6d") => {
                silences.clear();
                stub::Reply::json(r#"{"message":"silence deleted"}"#)
            }
            _ => stub::Reply::new(404, "application/json", r#"{"message":"Not found"}"#),
        }
    })
}

#[test]
fn silences_of_grafana_are_created_extended_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (f, server) = (folder.path(), grafana());
    let config = format!(
        "[[sources]]\nname = \"grafana\"\ntype = \"alertmanager\"\nurl = \"{}/api/alertmanager/grafana\"\n\
         auth = {{ bearer_command = [\"echo\", \"glsa_test\"] }}\n",
        server.url()
    );
    let c = f.join("config.toml");
    std::fs::write(&c, config).unwrap();
    let c = c.display().to_string();
    let silence = |args: &[&str]| json(f, &[&["--config", &c, "silence"], args].concat());
    let (code, made) = silence(&["create", "--matcher", "service=shop", "--for", "1h", "--reason", "known", "--yes"]);
    let id = made["id"].as_str().unwrap();
    assert_eq!((code, &made["matches"]), (0, &serde_json::json!(["c6eadffa33fcdf37"])), "{made}");
    let (_, list) = silence(&["list"]);
    assert_eq!((list["silences"][0]["id"].as_str(), &list["silences"][0]["comment"]), (Some(id), &"known".into()), "{list}");
    assert_eq!(silence(&["extend", id, "--for", "3h", "--yes"]).0, 0);
    let sent = server.requests();
    let posted: Vec<Value> = sent.iter().filter(|r| r.method == "POST").map(|r| serde_json::from_str(&r.body).unwrap()).collect();
    assert_eq!((posted.len(), posted[1]["id"].as_str()), (2, Some(id)), "an extension keeps the silence");
    assert_eq!(silence(&["expire", id, "--reason", "over", "--yes"]).0, 0);
    assert_eq!(silence(&["list"]).1["silences"], serde_json::json!([]));
}
