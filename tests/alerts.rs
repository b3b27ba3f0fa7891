//! Alerts of real servers that list one alert under different labels: Prometheus with external labels, and Alertmanager.

#[path = "support/program.rs"]
mod program;
#[path = "support/servers.rs"]
mod servers;

use std::path::Path;
use std::time::Duration;

use program::{json, run, single_findings, stdout};
use serde_json::Value;
use servers::{Running, get, reserve, spawn, wait_until};

/// Prometheus and Alertmanager with one alert that fires whenever the metrics of Alertmanager say that the file `failing` exists.
struct Pair {
    prometheus: u16,
    alertmanager: u16,
    _prometheus: Running,
    running_alertmanager: Option<Running>,
}

/// Fires by itself, with labels that Alertmanager sees with one more; `pending_secs` is the `for` of the rule.
fn start(folder: &Path, pending_secs: u32) -> Pair {
    let (prometheus, alertmanager) = (reserve(), reserve());
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(
        path("rules.yml"),
        format!(
            "groups:\n  - name: shop\n    rules:\n\
             \x20     - {{ alert: CheckoutDown, expr: 'up{{job=\"checkout\"}} == 0', for: {pending_secs}s, labels: {{ severity: critical }} }}\n\
             \x20     - {{ alert: Watchdog, expr: vector(1), labels: {{ severity: none }} }}\n"
        ),
    )
    .unwrap();
    let nothing = reserve();
    std::fs::write(
        path("prometheus.yml"),
        format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s, scrape_timeout: 1s, external_labels: {{ cluster: eu-3, prometheus_replica: a }} }}\n\
             rule_files: [rules.yml]\n\
             alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"127.0.0.1:{alertmanager}\"] }}] }}] }}\n\
             scrape_configs: [{{ job_name: checkout, static_configs: [{{ targets: [\"127.0.0.1:{nothing}\"] }}] }}]\n"
        ),
    )
    .unwrap();
    std::fs::write(
        path("alertmanager.yml"),
        "route: { receiver: none, group_wait: 1s, group_interval: 5s }\nreceivers: [{ name: none }]\n",
    )
    .unwrap();
    std::fs::write(
        path("config.toml"),
        format!(
            "[[sources]]\nname = \"prom\"\ntype = \"prometheus\"\nurl = \"http://127.0.0.1:{prometheus}\"\n\
             [[sources]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"http://127.0.0.1:{alertmanager}\"\n"
        ),
    )
    .unwrap();
    let running_alertmanager = spawn(
        "prometheus-alertmanager",
        &[
            format!("--config.file={}", path("alertmanager.yml")),
            format!("--storage.path={}", path("am")),
            format!("--web.listen-address=127.0.0.1:{alertmanager}"),
            "--cluster.listen-address=".to_owned(),
        ],
        &folder.join("am.out"),
    );
    let running_prometheus = spawn(
        "prometheus",
        &[
            format!("--config.file={}", path("prometheus.yml")),
            format!("--storage.tsdb.path={}", path("tsdb")),
            format!("--web.listen-address=127.0.0.1:{prometheus}"),
        ],
        &folder.join("prom.out"),
    );
    let up = |port, path| get(port, path).is_ok_and(|(status, _)| status == 200);
    wait_until("Alertmanager is ready", Duration::from_secs(30), || up(alertmanager, "/-/ready"));
    wait_until("Prometheus is ready", Duration::from_secs(30), || up(prometheus, "/-/ready"));
    Pair { prometheus, alertmanager, _prometheus: running_prometheus, running_alertmanager: Some(running_alertmanager) }
}

fn alert(board: &Value) -> Option<&Value> {
    board["alerts"].as_array()?.iter().find(|a| a["name"] == "CheckoutDown")
}

fn timeline(folder: &Path, config: &str) -> String {
    json(folder, &["--config", config, "incident", "show", "INC-1"]).1["timeline"].to_string()
}

#[test]
fn an_alert_is_one_alert_whichever_source_answers() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let mut pair = start(f, 1);
    let c = f.join("config.toml").display().to_string();
    let board = || json(f, &["--config", &c, "alerts"]).1;
    wait_until("Alertmanager lists the alert", Duration::from_secs(30), || {
        alert(&board()).is_some_and(|a| a["source"] == "am" && a["also_in"][0] == "prom" && a["state"] == "firing")
    });
    let listed = board();
    let names: Vec<&str> = listed["alerts"].as_array().unwrap().iter().filter_map(|a| a["name"].as_str()).collect();
    assert_eq!(names, ["CheckoutDown", "Watchdog"], "each is listed once");
    let found = alert(&listed).unwrap();
    assert_ne!(found["fingerprint"], found["aliases"][0], "Prometheus has another fingerprint, without external labels");
    assert_eq!((found["labels"]["cluster"].as_str(), found["subject"]["name"].as_str()), (Some("eu-3"), Some("checkout")));
    let fingerprint = found["fingerprint"].as_str().unwrap();
    run(f, &["--config", &c, "declare", "--title", "checkout is down", "--alert", fingerprint]);

    pair.running_alertmanager = None;
    wait_until("Alertmanager is gone", Duration::from_secs(10), || get(pair.alertmanager, "/-/ready").is_err());
    let (code, found) = json(f, &["--config", &c, "investigate", "INC-1"]);
    assert_eq!(code, 3, "a source failed");
    let firing = single_findings(&found).into_iter().find(|f| f["kind"] == "alerts").unwrap();
    assert_eq!(firing["title"], "CheckoutDown on checkout is firing", "{found:#}");
    assert!(!found.to_string().contains("no longer firing") && !found.to_string().contains("Watchdog"), "{found:#}");
    run(f, &["--config", &c, "incident", "check", "INC-1"]);
    let entries = timeline(f, &c);
    assert!(!entries.contains("resolved"), "{entries}");
    assert_eq!(get(pair.prometheus, "/-/ready").unwrap().0, 200);
}

#[test]
fn a_pending_alert_that_fires_has_not_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let _pair = start(f, 6);
    let c = f.join("config.toml").display().to_string();
    let board = || json(f, &["--config", &c, "alerts"]).1;
    wait_until("the alert is pending", Duration::from_secs(30), || alert(&board()).is_some_and(|a| a["state"] == "pending"));
    let fingerprint = alert(&board()).unwrap()["fingerprint"].as_str().unwrap().to_owned();
    run(f, &["--config", &c, "declare", "--title", "checkout may be down", "--alert", &fingerprint]);
    wait_until("the alert fires under another fingerprint", Duration::from_mins(1), || {
        let board = board();
        alert(&board).is_some_and(|a| a["state"] == "firing" && a["source"] == "am" && a["fingerprint"] != fingerprint.as_str())
    });
    let checked = run(f, &["--config", &c, "incident", "check", "INC-1"]);
    assert!(stdout(&checked).contains("1 linked alert still firing"), "{}", stdout(&checked));
    let entries = timeline(f, &c);
    assert!(!entries.contains("resolved"), "{entries}");
}
