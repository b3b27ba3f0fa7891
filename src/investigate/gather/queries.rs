//! Which queries an investigation sends to a metrics backend, besides the expressions of the alerts: request rate, errors and latency
//! where metrics with the usual names exist, and the gauges and counters of the affected services.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::findings::Requests;
use crate::telemetry::Labels;

/// A query and what its series mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MetricQuery {
    /// A lower rank is asked and shown first.
    pub rank: u8,
    pub title: String,
    pub unit: &'static str,
    pub query: String,
    /// Kept as evidence even if nothing changed.
    pub always: bool,
    pub role: Role,
    /// What to ask instead if the metric turns out to be a native histogram.
    pub if_histogram: Option<String>,
    /// If it counts the requests to a service: which of them.
    pub requests: Option<Requests>,
}

/// What the series of a query measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// A level, which may change.
    #[default]
    Level,
    /// When a process started, in Unix seconds; a change is a restart.
    Start,
    /// 1 for the running version; another label value is a deploy.
    Version,
    /// A number that changes with each deploy.
    Generation,
    /// A count of restarts.
    Restarts,
    /// How full something is, 0 to 1.
    Share,
    /// When something expires, in Unix seconds.
    Expiry,
    /// The share of failed requests over one of the windows of [`BURNS`].
    Failed(&'static str),
    /// Calls between services: the callee in one of [`CALLEES`], the caller in the other label.
    Calls,
}

/// Client metrics that are queried for calls, per callee label.
const MAX_CLIENTS: usize = 4;

/// Labels that name the callee: of service graphs (`client` calls `server`), of service meshes, and of client metrics.
pub(super) const CALLEES: [&str; 12] = [
    "server",
    "destination_workload",
    "dst_deployment",
    "peer_service",
    "target_service",
    "remote_service",
    "destination_service_name",
    "destination_service",
    "upstream",
    "callee",
    "dependency",
    "peer",
];

/// Long window, short window, and the burn rate from which both page (Google SRE workbook, chapter 5: 2 % of the budget of 30
/// days in an hour, 5 % in six).
pub(super) const BURNS: [(&str, &str, f64); 2] = [("1h", "5m", 14.4), ("6h", "30m", 6.0)];

/// Queries about the machines and the cluster, whatever the services: saturation, expiry and deployments. Names: node_exporter, blackbox_exporter, kubelet and kube-state-metrics.
pub(super) fn infrastructure() -> Vec<MetricQuery> {
    let disks = "fstype!~\"tmpfs|ramfs|overlay|squashfs|iso9660|efivarfs\"";
    let make = |title: &str, unit, query: String, role| MetricQuery {
        rank: 7,
        title: title.to_owned(),
        unit,
        query,
        always: false,
        role,
        if_histogram: None,
        requests: None,
    };
    vec![
        make(
            "disk",
            "%",
            format!(
                "max by (instance, mountpoint) (1 - node_filesystem_avail_bytes{{{disks}}} / node_filesystem_size_bytes{{{disks}}})"
            ),
            Role::Share,
        ),
        make(
            "memory",
            "%",
            "max by (instance) (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)".to_owned(),
            Role::Share,
        ),
        make(
            "volume",
            "%",
            "max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_used_bytes / kubelet_volume_stats_capacity_bytes)"
                .to_owned(),
            Role::Share,
        ),
        make("certificate", "", "min by (instance) (probe_ssl_earliest_cert_expiry)".to_owned(), Role::Expiry),
        make(
            "rollout",
            "",
            "max by (namespace, deployment) (kube_deployment_status_observed_generation)".to_owned(),
            Role::Generation,
        ),
        make(
            "restarts",
            "",
            "max by (namespace, pod, container) (kube_pod_container_status_restarts_total)".to_owned(),
            Role::Restarts,
        ),
        // The service graphs that Tempo and the OpenTelemetry collector derive from traces, and those of Istio and Linkerd.
        make(
            "calls",
            "",
            "count by (client, server) (traces_service_graph_request_total) or \
             count by (source_workload, destination_workload) (istio_requests_total) or \
             count by (deployment, dst_deployment) (response_total{dst_deployment!=\"\"})"
                .to_owned(),
            Role::Calls,
        ),
    ]
}

/// Queries over the metrics that exist. `sets` are the label sets of the services' series, `label` is the label that names the service,
/// `services` the services to query, `rate` the range of a rate such as `1m`. At most `most` levels, the most informative first; the
/// second value is how many were left out.
pub(super) fn queries(sets: &[Labels], label: &str, services: &[String], rate: &str, most: usize) -> (Vec<MetricQuery>, usize) {
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for set in sets {
        if let Some(name) = set.get("__name__") {
            names.entry(name).or_default().extend(set.keys().map(String::as_str));
        }
    }
    let pick = selector(label, services);
    let mut out: Vec<MetricQuery> =
        names.iter().flat_map(|(name, labels)| of_metric(name, labels, label, &pick, rate, &names)).collect();
    out.sort();
    out.dedup_by(|a, b| a.query == b.query);
    let left_out = out.len().saturating_sub(most);
    out.truncate(most);
    // These come last, so that the levels keep their numbers, and do not count towards the limit.
    let mut others = fixed_queries(&names, label, &pick);
    others.sort();
    others.dedup_by(|a, b| a.query == b.query);
    others.truncate(most);
    out.extend(others);
    (out, left_out)
}

/// `service=~"a|b"`, or nothing for all services.
pub(super) fn selector(label: &str, services: &[String]) -> String {
    if services.is_empty() {
        return String::new();
    }
    let names: Vec<String> = services.iter().map(|s| regex::escape(s).replace('\\', "\\\\").replace('"', "\\\"")).collect();
    format!("{}=~\"{}\"", quoted(label), names.join("|"))
}

/// A label or metric name as PromQL has it: Prometheus 3 has names with dots and other characters, and those are quoted.
fn quoted(name: &str) -> Cow<'_, str> {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    if is_plain && !name.starts_with(|c: char| c.is_ascii_digit()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("{name:?}"))
    }
}

/// The series of a metric with these matchers, which may be empty. A quoted name is a matcher itself.
fn select(name: &str, matchers: &[&str]) -> String {
    let matchers = matchers.iter().copied().filter(|m| !m.is_empty());
    match quoted(name) {
        Cow::Borrowed(name) => {
            let all: Vec<&str> = matchers.collect();
            if all.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", all.join(",")) }
        }
        Cow::Owned(name) => format!("{{{}}}", std::iter::once(name.as_str()).chain(matchers).collect::<Vec<_>>().join(",")),
    }
}

/// Metrics of the language runtime and of scraping itself, which say little about the service.
fn is_noise(name: &str) -> bool {
    [
        "go_",
        "promhttp_",
        "scrape_",
        "python_",
        "nodejs_",
        "jvm_buffer",
        "jvm_classes",
        "net_conntrack",
        "prometheus_",
        "alertmanager_",
        "ALERTS",
    ]
    .iter()
    .any(|p| name.starts_with(p))
        || name.ends_with("_created")
        || name.ends_with("_info")
        || name.contains("start_time")
        || matches!(name, "process_max_fds" | "process_virtual_memory_max_bytes" | "process_virtual_memory_bytes")
}

/// Queries for everything that is not a level: starts, versions, shares of a limit, expiry times, calls, and failed requests over long
/// windows.
fn fixed_queries(names: &BTreeMap<&str, BTreeSet<&str>>, label: &str, pick: &str) -> Vec<MetricQuery> {
    let by = &quoted(label);
    let make = |rank, title: &str, unit, query: String, role| MetricQuery {
        rank,
        title: title.to_owned(),
        unit,
        query,
        always: false,
        role,
        if_histogram: None,
        requests: None,
    };
    let mut out = Vec::new();
    let mut peers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, labels) in names {
        let whole = select(name, &[pick]);
        // Clients that name what they call, of all services: the callers of a failing service matter as much.
        if let Some(callee) = CALLEES.iter().find(|c| labels.contains(**c) && **c != label).filter(|_| !name.ends_with("_bucket"))
            && let kinds = peers.entry(callee).or_default()
            && kinds.len() < MAX_CLIENTS
            && kinds.insert(name.trim_end_matches("_total").trim_end_matches("_count").trim_end_matches("_sum"))
        {
            let query = format!("count by ({by}, {}) ({})", quoted(callee), select(name, &[]));
            out.push(make(5, "calls", "", query, Role::Calls));
        }
        if *name == "process_start_time_seconds" {
            out.push(make(0, "start", "", format!("max by ({by}) ({whole})"), Role::Start));
        } else if !name.starts_with("go_") && (name.ends_with("build_info") || name.ends_with("version_info")) {
            if let Some(version) = ["version", "revision", "image", "tag"].iter().find(|l| labels.contains(**l)) {
                out.push(make(0, version, "", format!("max by ({by}, {}) ({whole})", quoted(version)), Role::Version));
            }
        } else if ["expir", "not_after"].iter().any(|w| name.contains(w)) && name.contains("timestamp") {
            out.push(make(4, name, "", format!("min by ({by}) ({whole})"), Role::Expiry));
        } else if name.ends_with("_utilization") || name.ends_with("_usage_ratio") {
            out.push(make(4, name, "%", format!("max by ({by}) ({whole})"), Role::Share));
        }
        // Usage next to its limit.
        for (used, ends) in [
            ("_in_use", &["_size", "_max", "_limit", "_capacity"][..]),
            ("_used", &["_total", "_max", "_limit", "_capacity"]),
            ("_used_bytes", &["_size_bytes", "_limit_bytes", "_max_bytes", "_capacity_bytes", "_total_bytes"]),
        ] {
            let Some(base) = name.strip_suffix(used) else { continue };
            let limit = ends.iter().map(|end| format!("{base}{end}")).find(|n| names.contains_key(n.as_str()));
            if let Some(limit) = limit {
                // Divided per series, then the maximum: a small full pool must not hide behind a large one.
                let query = format!("max by ({by}) ({whole} / ({} > 0))", select(&limit, &[pick]));
                out.push(make(4, base, "%", query, Role::Share));
            }
        }
        if (name.ends_with("_total") || name.ends_with("_count")) && is_request(name) {
            let Some(code) = STATUS_LABELS.iter().find(|c| labels.contains(**c)) else { continue };
            let failing = select(name, &[pick, &format!("{}=~\"5..\"", quoted(code))]);
            for window in BURNS.iter().flat_map(|(long, short, _)| [*long, *short]) {
                let query = format!("sum by ({by}) (rate({failing}[{window}])) / sum by ({by}) (rate({whole}[{window}]))");
                out.push(make(1, &format!("share of failed requests over {window}"), "%", query, Role::Failed(window)));
            }
        }
    }
    out
}

fn is_request(name: &str) -> bool {
    ["request", "http_server", "grpc_server", "rpc_server", "http.server", "rpc.server"].iter().any(|w| name.contains(w))
        && !name.contains("in_flight")
        && !name.contains("size")
        && !name.contains("client")
}

/// Labels that have the HTTP status of a response.
const STATUS_LABELS: [&str; 6] =
    ["code", "status", "status_code", "http_status_code", "http_response_status_code", "http.response.status_code"];

fn of_metric(
    name: &str,
    labels: &BTreeSet<&str>,
    label: &str,
    pick: &str,
    rate: &str,
    all: &BTreeMap<&str, BTreeSet<&str>>,
) -> Vec<MetricQuery> {
    if is_noise(name) {
        return Vec::new();
    }
    let (by, whole) = (&quoted(label), select(name, &[pick]));
    let make = |rank, title: String, unit, query: String, always| MetricQuery {
        rank,
        title,
        unit,
        query,
        always,
        role: Role::Level,
        if_histogram: None,
        requests: None,
    };
    if let Some(base) = name.strip_suffix("_bucket") {
        let unit = unit_of_durations(base);
        let title = if is_request(base) { "latency p95".to_owned() } else { format!("{base} p95") };
        let query = format!("histogram_quantile(0.95, sum by ({by}, le) (rate({whole}[{rate}])))");
        return vec![make(if is_request(base) { 2 } else { 4 }, title, unit, query, is_request(base))];
    }
    if let Some(base) = name.strip_suffix("_sum").filter(|base| all.contains_key(format!("{base}_count").as_str())) {
        let rate_of = |series: &str| format!("sum by ({by}) (rate({series}[{rate}]))");
        let query = format!("{} / {}", rate_of(&whole), rate_of(&select(&format!("{base}_count"), &[pick])));
        if is_request(base) && is_duration(base) {
            // With the number of requests it shows which of several slow services added the most time.
            return vec![make(4, "latency mean".to_owned(), unit_of_durations(base), query, false)];
        }
        // The 95th percentile of a histogram is enough.
        let is_summary = !all.contains_key(format!("{base}_bucket").as_str());
        return is_summary.then(|| make(6, format!("{base} mean"), unit_of(base), query, false)).into_iter().collect();
    }
    let is_part_of_histogram = ["_count", "_sum"]
        .iter()
        .any(|s| name.strip_suffix(s).is_some_and(|base| all.contains_key(format!("{base}_bucket").as_str())));
    if is_part_of_histogram && !(name.ends_with("_count") && is_request(name) && !has_request_counter(all)) {
        return Vec::new();
    }
    if name.ends_with("_total") || name.ends_with("_count") {
        let rate_of = |series: &str| format!("sum by ({by}) (rate({series}[{rate}]))");
        if !is_request(name) {
            let errors = name.contains("error") || name.contains("fail");
            let title = format!("{} per second", name.trim_end_matches("_total"));
            return vec![make(if errors { 1 } else { 6 }, title, "/s", rate_of(&whole), errors)];
        }
        let failing = match STATUS_LABELS.iter().find(|c| labels.contains(**c)) {
            Some(code) => Some(select(name, &[pick, &format!("{}=~\"5..\"", quoted(code))])),
            None => labels.contains("grpc_code").then(|| select(name, &[pick, "grpc_code!=\"OK\""])),
        };
        let count = |rank, title: &str, series: &str, requests| MetricQuery {
            requests: Some(requests),
            ..make(rank, title.to_owned(), "/s", rate_of(series), true)
        };
        let all = count(3, "requests per second", &whole, Requests::All);
        let errors = failing.map(|failing| count(1, "errors per second", &failing, Requests::Failed));
        return std::iter::once(all).chain(errors).collect();
    }
    if name == "up" {
        return vec![make(0, "up".to_owned(), "", format!("min by ({by}) ({whole})"), false)];
    }
    if labels.contains("quantile") {
        let ninety = select(name, &[pick, "quantile=~\"0.95|0.99\""]);
        return vec![make(2, format!("{name} p95"), unit_of(name), format!("max by ({by}) ({ninety})"), true)];
    }
    let saturation = ["pool", "queue", "connections", "in_use", "waiting", "backlog", "saturation", "memory", "utilization"]
        .iter()
        .any(|w| name.contains(w));
    let level = make(if saturation { 4 } else { 5 }, name.to_owned(), unit_of(name), format!("max by ({by}) ({whole})"), false);
    // A native histogram has the name of a gauge.
    let quantile = format!("histogram_quantile(0.95, sum by ({by}) (rate({whole}[{rate}])))");
    vec![MetricQuery { if_histogram: Some(quantile), ..level }]
}

/// The unit of a histogram of durations: seconds, unless its name says milliseconds or microseconds.
fn unit_of_durations(base: &str) -> &'static str {
    if base.contains("microseconds") || base.ends_with("_us") {
        "µs"
    } else if base.contains("milli") || base.ends_with("_ms") {
        "ms"
    } else {
        "s"
    }
}

fn is_duration(base: &str) -> bool {
    ["duration", "latency", "seconds", "response_time"].iter().any(|word| base.contains(word)) || base.ends_with("_ms")
}

fn has_request_counter(all: &BTreeMap<&str, BTreeSet<&str>>) -> bool {
    all.keys().any(|n| n.ends_with("_total") && is_request(n))
}

fn unit_of(name: &str) -> &'static str {
    if name.ends_with("_bytes") {
        "B"
    } else if name.ends_with("_seconds") {
        "s"
    } else if name.ends_with("_milliseconds") || name.ends_with("_ms") {
        "ms"
    } else if name.ends_with("_ratio") {
        "%"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, labels: &[&str]) -> Labels {
        let mut set: Labels = labels.iter().map(|l| ((*l).to_owned(), "x".to_owned())).collect();
        set.insert("__name__".into(), name.into());
        set
    }

    #[test]
    fn finds_rate_errors_duration_and_saturation_by_the_usual_names() {
        let sets = [
            set("http_requests_total", &["service", "code"]),
            set("http_request_duration_seconds_bucket", &["service", "le"]),
            set("http_request_duration_seconds_count", &["service"]),
            set("http_request_duration_seconds_sum", &["service"]),
            set("http_request_size_bytes_sum", &["service"]),
            set("http_request_size_bytes_count", &["service"]),
            set("db_pool_in_use", &["service"]),
            set("go_goroutines", &["service"]),
        ];
        let (found, left_out) = queries(&sets, "service", &["checkout".into(), "a.b".into()], "1m", 10);
        let (burn, found): (Vec<MetricQuery>, Vec<MetricQuery>) = found.into_iter().partition(|q| q.role != Role::Level);
        assert_eq!(burn.iter().map(|q| q.role).collect::<Vec<_>>(), ["1h", "30m", "5m", "6h"].map(Role::Failed));
        let titles: Vec<&str> = found.iter().map(|q| q.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "errors per second",
                "latency p95",
                "requests per second",
                "db_pool_in_use",
                "latency mean",
                "http_request_size_bytes mean",
                "http_request_size_bytes_count per second"
            ]
        );
        assert_eq!(left_out, 0);
        let pick = r#"service=~"checkout|a\\.b""#;
        let (sum, count) = ["sum", "count"]
            .map(|of| format!("sum by (service) (rate(http_request_duration_seconds_{of}{{{pick}}}[1m]))"))
            .into();
        assert_eq!(found[4].query, format!("{sum} / {count}"));
        assert_eq!(found[0].query, r#"sum by (service) (rate(http_requests_total{service=~"checkout|a\\.b",code=~"5.."}[1m]))"#);
        assert_eq!(queries(&sets, "service", &[], "1m", 2).1, 5);
    }

    #[test]
    fn histograms_are_in_the_unit_that_their_name_says() {
        for (base, unit) in [
            ("http_request_duration_seconds", "s"),
            ("http.server.request.duration", "s"),
            ("istio_request_duration_milliseconds", "ms"),
            ("request_latency_ms", "ms"),
            ("grpc_server_latency_microseconds", "µs"),
        ] {
            assert_eq!(unit_of_durations(base), unit, "{base}");
        }
    }

    #[test]
    fn names_that_only_prometheus_3_has_are_quoted() {
        let sets = [
            set("http.server.request.duration_bucket", &["service.name", "le"]),
            set("http.server.request.duration_count", &["service.name", "http.response.status_code"]),
            set("db_pool_in_use", &["service.name"]),
            set("db_pool_max", &["service.name"]),
        ];
        let (found, _) = queries(&sets, "service.name", &["checkout".into()], "1m", 10);
        let query = |title: &str| found.iter().find(|q| q.title == title).map(|q| q.query.as_str()).unwrap_or_default();
        assert_eq!(
            query("latency p95"),
            r#"histogram_quantile(0.95, sum by ("service.name", le) (rate({"http.server.request.duration_bucket","service.name"=~"checkout"}[1m])))"#
        );
        assert_eq!(
            query("errors per second"),
            r#"sum by ("service.name") (rate({"http.server.request.duration_count","service.name"=~"checkout","http.response.status_code"=~"5.."}[1m]))"#
        );
        assert_eq!(query("db_pool_in_use"), r#"max by ("service.name") (db_pool_in_use{"service.name"=~"checkout"})"#);
        assert_eq!(
            query("db_pool"),
            r#"max by ("service.name") (db_pool_in_use{"service.name"=~"checkout"} / (db_pool_max{"service.name"=~"checkout"} > 0))"#
        );
    }
}
