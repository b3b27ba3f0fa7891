//! Tests the lab's shop alone: each fault shows in its metric and its log line.

#![cfg(unix)]

#[path = "support/servers.rs"]
mod servers;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use servers::{get, request, reserve, wait_until};

/// The value of the first metric line that begins with `line`; NaN if there is none.
fn metric(port: u16, line: &str) -> f64 {
    let text = get(port, "/metrics").map(|(_, body)| body).unwrap_or_default();
    text.lines().find(|l| l.starts_with(line)).and_then(|l| l.rsplit(' ').next()?.parse().ok()).unwrap_or(f64::NAN)
}

#[test]
fn each_fault_shows_in_metrics_and_logs() {
    let shop = PathBuf::from(env!("CARGO_BIN_EXE_warroom")).parent().unwrap().join("examples/shop");
    let logs = tempfile::tempdir().unwrap();
    let ports = [reserve(), reserve(), reserve()];
    let mut child = Command::new(shop)
        .args(ports.map(|p| p.to_string()))
        .arg(logs.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let [gateway, checkout, payment] = ports;
    let limit = Duration::from_mins(1);
    let fault = |name: &str| assert_eq!(request(gateway, "POST", &format!("/fault/{name}")).unwrap().0, 200, "{name}");
    let log = |name: &str| std::fs::read_to_string(logs.path().join(format!("{name}.log"))).unwrap_or_default();
    wait_until("orders go through", limit, || metric(gateway, "http_requests_total{service=\"gateway\",code=\"200\"}") > 20.0);
    assert_eq!(metric(gateway, "http_requests_total{service=\"gateway\",code=\"502\"}"), 0.0);

    fault("bad_deploy");
    wait_until("the new version fails", limit, || metric(payment, "http_requests_total{service=\"payment\",code=\"500\"}") > 3.0);
    assert_eq!(metric(payment, "build_info{service=\"payment\",version=\"1.42.0\"}"), 1.0);
    assert!(log("payment").contains("nil PriceRule") && log("checkout").contains("payment answered 500"));

    fault("slow_dependency");
    let slow_requests = |port, service: &str| {
        let count =
            |le: &str| metric(port, &format!("http_request_duration_seconds_bucket{{service=\"{service}\",le=\"{le}\"}}"));
        count("+Inf") - count("1")
    };
    wait_until("payment is slow", limit, || slow_requests(payment, "payment") > 3.0);

    fault("memory_leak");
    wait_until("checkout's heap grows", limit, || metric(checkout, "heap_in_use_bytes") > 65_000_000.0);

    fault("pool_exhaustion");
    wait_until("the pool is full", limit, || metric(checkout, "db_pool_in_use") >= 20.0);
    wait_until("checkout logs that the pool is exhausted", limit, || log("checkout").contains("pool exhausted after"));

    fault("none");
    wait_until("it recovers", limit, || metric(checkout, "db_pool_in_use") < 10.0);
    assert_eq!(request(gateway, "POST", "/fault/nonsense").unwrap().0, 404);
    child.kill().unwrap();
    child.wait().unwrap();
}
