//! Starts real servers for tests on reserved loopback ports: Debian's Prometheus, Alertmanager and node_exporter, and the
//! example shop (tests/lab/shop.rs). Dropping a handle stops its server.

#![allow(dead_code, reason = "each test binary uses only a part of this module")]

#[path = "port.rs"]
mod port;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use port::reserve;

/// A child process that is killed on drop.
pub(crate) struct Running(Child);

impl Running {
    /// A child process that was started in another way.
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_exited = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Sends a GET request to a loopback port; returns the status and the body.
pub(crate) fn get(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    request(port, "GET", path)
}

/// Sends a request without a body to a loopback port; returns the status and the body.
pub(crate) fn request(port: u16, method: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("{method} {path} HTTP/1.0\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Ok((status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, b)| b.to_owned())))
}

/// Waits until a condition holds; panics with its description after `limit`.
pub(crate) fn wait_until(description: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "timed out after {limit:?} waiting for: {description}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_up(port: u16, path: &str) -> bool {
    get(port, path).is_ok_and(|(status, _)| status == 200)
}

pub(crate) fn spawn(program: &str, args: &[String], log: &Path) -> Running {
    let log = std::fs::File::create(log).unwrap();
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {program}: {e}; run ./scripts/test, which installs it"));
    Running(child)
}

/// The time scale of the lab: scrape interval, range of `rate()` in alerting rules, and their `for`.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub scrape_secs: u32,
    pub rate: &'static str,
    pub for_secs: u32,
}

/// Short intervals, so that tests see alerts within seconds.
pub(crate) const QUICK: Pace = Pace { scrape_secs: 1, rate: "15s", for_secs: 2 };
/// Realistic intervals, for playing with the lab and for recordings.
pub(crate) const USUAL: Pace = Pace { scrape_secs: 5, rate: "1m", for_secs: 15 };

/// A running lab: the shop, Prometheus with alerting rules, Alertmanager and node_exporter. Numbers are ports.
pub(crate) struct Lab {
    pub folder: PathBuf,
    pub prometheus: u16,
    pub alertmanager: u16,
    pub node_exporter: u16,
    /// The ports of gateway, checkout and payment.
    pub shop: [u16; 3],
    _processes: Vec<Running>,
}

impl Lab {
    /// Starts all servers and waits until each one answers. `shop` is the path of the example binary.
    pub(crate) fn start(folder: &Path, shop: &Path, pace: Pace) -> Self {
        std::fs::create_dir_all(folder.join("logs")).unwrap();
        let (prometheus, alertmanager, node_exporter) = (reserve(), reserve(), reserve());
        let ports = [reserve(), reserve(), reserve()];
        let path = |name: &str| folder.join(name);
        std::fs::write(path("rules.yml"), rules(pace)).unwrap();
        std::fs::write(path("prometheus.yml"), prometheus_config(pace, alertmanager, node_exporter, ports)).unwrap();
        std::fs::write(
            path("alertmanager.yml"),
            "route: { receiver: none, group_wait: 1s, group_interval: 5s }\nreceivers: [{ name: none }]\n",
        )
        .unwrap();
        let path_text = |name: &str| path(name).display().to_string();
        let mut processes = vec![spawn(
            &shop.display().to_string(),
            &[ports[0].to_string(), ports[1].to_string(), ports[2].to_string(), path_text("logs")],
            &path("shop.out"),
        )];
        processes.push(spawn(
            "prometheus-node-exporter",
            &[format!("--web.listen-address=127.0.0.1:{node_exporter}")],
            &path("node_exporter.out"),
        ));
        processes.push(spawn(
            "prometheus-alertmanager",
            &[
                format!("--config.file={}", path_text("alertmanager.yml")),
                format!("--storage.path={}", path_text("am")),
                format!("--web.listen-address=127.0.0.1:{alertmanager}"),
                "--cluster.listen-address=".to_owned(),
            ],
            &path("alertmanager.out"),
        ));
        processes.push(spawn(
            "prometheus",
            &[
                format!("--config.file={}", path_text("prometheus.yml")),
                format!("--storage.tsdb.path={}", path_text("tsdb")),
                format!("--web.listen-address=127.0.0.1:{prometheus}"),
            ],
            &path("prometheus.out"),
        ));
        let lab = Self { folder: folder.to_owned(), prometheus, alertmanager, node_exporter, shop: ports, _processes: processes };
        let limit = Duration::from_secs(30);
        wait_until("the shop answers", limit, || ports.iter().all(|p| is_up(*p, "/metrics")));
        wait_until("node_exporter answers", limit, || is_up(node_exporter, "/metrics"));
        wait_until("Alertmanager is ready", limit, || is_up(alertmanager, "/-/ready"));
        wait_until("Prometheus is ready", limit, || is_up(prometheus, "/-/ready"));
        lab
    }

    /// Injects a fault: pool_exhaustion, bad_deploy, slow_dependency, memory_leak or none.
    pub(crate) fn inject_fault(&self, name: &str) {
        let (status, _) = request(self.shop[0], "POST", &format!("/fault/{name}")).unwrap();
        assert_eq!(status, 200, "fault {name}");
    }

    /// Writes a warroom configuration for this lab, with an assistant if `llm` is its URL; returns its path.
    pub(crate) fn config(&self, llm: Option<&str>) -> PathBuf {
        let assistant = llm.map_or_else(String::new, |url| {
            format!("[assistant]\nbase_url = \"{url}/v1\"\nmodel = \"stub-model\"\ncontext_tokens = 16384\n")
        });
        let text = format!(
            "[[sources]]\nname = \"prom\"\ntype = \"prometheus\"\nurl = \"http://127.0.0.1:{}\"\n\n\
             [[sources]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"http://127.0.0.1:{}\"\n\n\
             [[sources]]\nname = \"shop-logs\"\ntype = \"file\"\npaths = [{:?}]\n\n\
             {assistant}\n[store]\nurl = \"sqlite:{}\"\n\n[user]\nname = \"ana\"\n\n[incident]\nmonitor_minutes = 0\n",
            self.prometheus,
            self.alertmanager,
            format!("{}/*.log", self.folder.join("logs").display()),
            self.folder.join("journal.db").display(),
        );
        let path = self.folder.join("config.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn prometheus_config(pace: Pace, alertmanager: u16, node: u16, shop: [u16; 3]) -> String {
    let targets: Vec<String> = shop.iter().map(|p| format!("\"127.0.0.1:{p}\"")).collect();
    format!(
        "global: {{ scrape_interval: {s}s, evaluation_interval: {s}s, scrape_timeout: 1s }}\n\
         rule_files: [rules.yml]\n\
         alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"127.0.0.1:{alertmanager}\"] }}] }}] }}\n\
         scrape_configs:\n\
         \x20 - {{ job_name: shop, static_configs: [{{ targets: [{}] }}] }}\n\
         \x20 - {{ job_name: node, static_configs: [{{ targets: [\"127.0.0.1:{node}\"] }}] }}\n",
        targets.join(", "),
        s = pace.scrape_secs,
    )
}

fn rules(pace: Pace) -> String {
    let (rate, wait) = (pace.rate, pace.for_secs);
    format!(
        r#"groups:
  - name: shop
    rules:
      - alert: HighErrorRate
        expr: sum by (service) (rate(http_requests_total{{code=~"5.."}}[{rate}])) / sum by (service) (rate(http_requests_total[{rate}])) > 0.01
        for: {wait}s
        labels: {{ severity: critical, team: shop }}
        annotations:
          summary: '{{{{ $value | humanizePercentage }}}} of {{{{ $labels.service }}}} requests are failing'
          runbook_url: https://runbooks.example/high-error-rate
      - alert: SlowResponses
        expr: histogram_quantile(0.95, sum by (service, le) (rate(http_request_duration_seconds_bucket[{rate}]))) > 0.8
        for: {wait}s
        labels: {{ severity: warning, team: shop }}
        annotations:
          summary: 'p95 latency of {{{{ $labels.service }}}} is {{{{ $value | humanizeDuration }}}}'
      - alert: DbPoolNearlyExhausted
        expr: max by (service) (db_pool_in_use / db_pool_size) > 0.9
        for: {wait}s
        labels: {{ severity: warning, team: shop }}
        annotations:
          summary: 'database pool of {{{{ $labels.service }}}} is {{{{ $value | humanizePercentage }}}} in use'
      - alert: InstanceDown
        expr: up == 0
        for: {wait}s
        labels: {{ severity: critical }}
        annotations: {{ summary: '{{{{ $labels.instance }}}} is down' }}
"#
    )
}
