//! Real servers for tests: Debian's Prometheus, Alertmanager and node_exporter, and our shop, on free loopback ports.
//! Each is ended when its handle is dropped.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with its handle.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A GET over a plain socket: status and body.
pub fn get(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    request(port, "GET", path)
}

pub fn request(port: u16, method: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("{method} {path} HTTP/1.0\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Ok((status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, b)| b.to_owned())))
}

/// Waits until something is so, at most `limit`; panics with `what` otherwise.
pub fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_up(port: u16, path: &str) -> bool {
    get(port, path).is_ok_and(|(status, _)| status == 200)
}

fn spawn(program: &str, args: &[String], log: &Path) -> Running {
    let log = std::fs::File::create(log).unwrap();
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|e| panic!("{program} does not start ({e}): ./scripts/test installs it"));
    Running(child)
}

/// How fast the lab lives.
#[derive(Clone, Copy)]
pub struct Pace {
    pub scrape_secs: u32,
    pub rate: &'static str,
    pub for_secs: u32,
}

/// A test that cannot wait.
pub const QUICK: Pace = Pace { scrape_secs: 1, rate: "15s", for_secs: 2 };
/// As people run it.
pub const USUAL: Pace = Pace { scrape_secs: 5, rate: "1m", for_secs: 15 };

/// The whole lab: shop, Prometheus with alerting rules, Alertmanager, node_exporter.
pub struct Lab {
    pub folder: PathBuf,
    pub prometheus: u16,
    pub alertmanager: u16,
    pub node_exporter: u16,
    /// gateway, checkout, payment
    pub shop: [u16; 3],
    _processes: Vec<Running>,
}

impl Lab {
    /// Starts everything and waits until it answers. `shop` is the path of the example binary.
    pub fn start(folder: &Path, shop: &Path, pace: Pace) -> Self {
        std::fs::create_dir_all(folder.join("logs")).unwrap();
        let (prometheus, alertmanager, node_exporter) = (free_port(), free_port(), free_port());
        let ports = [free_port(), free_port(), free_port()];
        let at = |name: &str| folder.join(name);
        std::fs::write(at("rules.yml"), rules(pace)).unwrap();
        std::fs::write(at("prometheus.yml"), prometheus_config(pace, alertmanager, node_exporter, ports)).unwrap();
        std::fs::write(
            at("alertmanager.yml"),
            "route: { receiver: none, group_wait: 1s, group_interval: 5s }\nreceivers: [{ name: none }]\n",
        )
        .unwrap();
        let shown = |name: &str| at(name).display().to_string();
        let mut processes = vec![spawn(
            &shop.display().to_string(),
            &[ports[0].to_string(), ports[1].to_string(), ports[2].to_string(), shown("logs")],
            &at("shop.out"),
        )];
        processes.push(spawn(
            "prometheus-node-exporter",
            &[format!("--web.listen-address=127.0.0.1:{node_exporter}")],
            &at("node_exporter.out"),
        ));
        processes.push(spawn(
            "prometheus-alertmanager",
            &[
                format!("--config.file={}", shown("alertmanager.yml")),
                format!("--storage.path={}", shown("am")),
                format!("--web.listen-address=127.0.0.1:{alertmanager}"),
                "--cluster.listen-address=".to_owned(),
            ],
            &at("alertmanager.out"),
        ));
        processes.push(spawn(
            "prometheus",
            &[
                format!("--config.file={}", shown("prometheus.yml")),
                format!("--storage.tsdb.path={}", shown("tsdb")),
                format!("--web.listen-address=127.0.0.1:{prometheus}"),
            ],
            &at("prometheus.out"),
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
    pub fn fault(&self, name: &str) {
        let (status, _) = request(self.shop[0], "POST", &format!("/fault/{name}")).unwrap();
        assert_eq!(status, 200, "fault {name}");
    }

    /// A configuration for warroom on this lab.
    pub fn config(&self, llm: Option<&str>) -> PathBuf {
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
          summary: '{{{{ $labels.service }}}} fails {{{{ $value | humanizePercentage }}}} of requests'
          runbook_url: https://runbooks.example/high-error-rate
      - alert: SlowResponses
        expr: histogram_quantile(0.95, sum by (service, le) (rate(http_request_duration_seconds_bucket[{rate}]))) > 0.8
        for: {wait}s
        labels: {{ severity: warning, team: shop }}
        annotations:
          summary: '{{{{ $labels.service }}}} answers in {{{{ $value | humanizeDuration }}}} (p95)'
      - alert: DbPoolNearlyExhausted
        expr: max by (service) (db_pool_in_use / db_pool_size) > 0.9
        for: {wait}s
        labels: {{ severity: warning, team: shop }}
        annotations:
          summary: 'the database pool of {{{{ $labels.service }}}} is {{{{ $value | humanizePercentage }}}} in use'
      - alert: InstanceDown
        expr: up == 0
        for: {wait}s
        labels: {{ severity: critical }}
        annotations: {{ summary: '{{{{ $labels.instance }}}} does not answer' }}
"#
    )
}
