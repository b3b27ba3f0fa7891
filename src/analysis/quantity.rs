//! What a metric measures, from the words of its name: in which direction a change of it hurts, and whose behaviour it shows.
//!
//! The words are those of the Prometheus naming conventions, the OpenTelemetry semantic conventions, X-Ray and common exporters.
//! A name is split where its case or its separators change, so that a word never matches a part of another.

use super::movement::Direction;
use super::parts::{LeftOut, Part};

/// The kind of quantity that a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Errors, rejections, restarts: more hurt.
    Errors,
    /// Successes, availability, health: fewer hurt.
    Success,
    /// Durations: longer ones hurt.
    Latency,
    /// Use of a resource: processor, memory, disk, queue, pool. More hurts, and less may be a sign of a fault.
    Usage,
    /// Requests, bytes, packets: follow the demand.
    Traffic,
}

impl Quantity {
    /// The direction in which a change hurts; `None` if that depends on more than the quantity.
    pub fn worse(self) -> Option<Direction> {
        match self {
            Self::Errors | Self::Latency => Some(Direction::Up),
            Self::Success => Some(Direction::Down),
            Self::Usage | Self::Traffic => None,
        }
    }
}

/// Whose behaviour a metric shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The service's own.
    Own,
    /// That of the services it calls.
    Calls,
    /// That of the machine, which others share.
    Machine,
}

/// The words of each quantity. If a name has words of several, the first of this order counts: `http_request_errors` counts
/// errors, `cpu_seconds` a use.
const WORDS: [(Quantity, &[&str]); 5] = [
    (
        Quantity::Errors,
        &[
            "error",
            "errors",
            "err",
            "errs",
            "fail",
            "failed",
            "failure",
            "failures",
            "fault",
            "faults",
            "exception",
            "exceptions",
            "timeout",
            "timeouts",
            "rejected",
            "dropped",
            "aborted",
            "declined",
            "retry",
            "retries",
            "retransmits",
            "restart",
            "restarts",
            "oom",
            "throttled",
            "throttling",
            "5xx",
        ],
    ),
    (
        Quantity::Success,
        &["success", "successes", "successful", "availability", "available", "avail", "ready", "healthy", "health", "up"],
    ),
    (
        Quantity::Usage,
        &[
            "cpu",
            "mem",
            "memory",
            "heap",
            "gc",
            "disk",
            "fs",
            "filesystem",
            "inodes",
            "swap",
            "load",
            "fds",
            "threads",
            "goroutines",
            "pool",
            "queue",
            "waiting",
            "backlog",
            "lag",
            "connections",
            "usage",
            "utilization",
            "saturation",
        ],
    ),
    (Quantity::Latency, &["latency", "latencies", "lat", "duration", "time", "seconds", "delay", "elapsed", "rtt", "ms"]),
    (
        Quantity::Traffic,
        &[
            "workload",
            "request",
            "requests",
            "rps",
            "qps",
            "ops",
            "calls",
            "bytes",
            "packets",
            "network",
            "receive",
            "transmit",
            "received",
            "transmitted",
            "throughput",
            "syscall",
            "read",
            "reads",
            "write",
            "writes",
        ],
    ),
];

const CALL_WORDS: [&str; 7] = ["client", "upstream", "outbound", "egress", "downstream", "dependency", "remote"];
const MACHINE_WORDS: [&str; 3] = ["node", "host", "machine"];

/// What a change for the better counts, compared with one for the worse: it is more often an effect.
const BETTER: f64 = 0.4;
/// What less use of a resource counts: a service that stopped working uses less, but so does one with less to do.
const LESS_USE: f64 = 0.7;
/// What a change of traffic counts: it follows the demand, or a fault elsewhere.
const TRAFFIC: f64 = 0.4;
/// What calls to others count against the caller: they rather speak about the callee.
const CALLS: f64 = 0.5;
/// What a metric of the whole machine counts: every service on it has the same.
const MACHINE: f64 = 0.8;
/// What the view from outside counts: see [`is_view_from_outside`].
const FROM_OUTSIDE: f64 = 0.5;

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// A metric without a known word counts as a use of something.
    pub quantity: Quantity,
    pub view: View,
}

impl Meaning {
    /// Reads the name of a metric; labels in braces are ignored.
    pub fn of(metric: &str) -> Self {
        let words = words(metric.split('{').next().unwrap_or(metric));
        let has = |wanted: &[&str]| words.iter().any(|w| wanted.contains(&w.as_str()));
        let quantity = WORDS.iter().find(|(_, of)| has(of)).map_or(Quantity::Usage, |(quantity, _)| *quantity);
        let view = match () {
            () if has(&CALL_WORDS) => View::Calls,
            () if has(&MACHINE_WORDS) => View::Machine,
            () => View::Own,
        };
        Self { quantity, view }
    }

    /// Whether it shows how requests to the service itself end, or how long they take.
    pub fn is_symptom(self) -> bool {
        self.view == View::Own && matches!(self.quantity, Quantity::Errors | Quantity::Success | Quantity::Latency)
    }

    /// How much a change in this direction counts against the service: 1 at most.
    pub fn weight(self, direction: Direction, left_out: LeftOut) -> f64 {
        let is_up = direction != Direction::Down;
        let by_quantity = match self.quantity {
            Quantity::Errors | Quantity::Latency => {
                if is_up {
                    1.0
                } else {
                    BETTER
                }
            }
            Quantity::Success => {
                if is_up {
                    BETTER
                } else {
                    1.0
                }
            }
            Quantity::Usage => {
                if is_up {
                    1.0
                } else {
                    LESS_USE
                }
            }
            Quantity::Traffic => TRAFFIC,
        };
        let by_view = match self.view {
            View::Own => 1.0,
            View::Calls => CALLS,
            View::Machine => MACHINE,
        };
        let by_quantity = if left_out.uses(Part::Direction) { by_quantity } else { 1.0 };
        let by_view = if left_out.uses(Part::View) { by_view } else { 1.0 };
        by_quantity * by_view
    }

    /// Whether both say how requests ended, or both say how long they took; other quantities are comparable with both.
    pub fn is_like(self, symptom: Self) -> bool {
        let group = |quantity| match quantity {
            Quantity::Errors | Quantity::Success => Some(true),
            Quantity::Latency => Some(false),
            Quantity::Usage | Quantity::Traffic => None,
        };
        match (group(self.quantity), group(symptom.quantity)) {
            (Some(own), Some(of_symptom)) => own == of_symptom,
            _ => true,
        }
    }
}

/// How much a metric with this meaning counts for a service with this name, compared with others that changed as much.
pub fn service_weight(service: &str, meaning: Meaning) -> f64 {
    if is_view_from_outside(service) || (is_gateway(service) && meaning.is_symptom()) { FROM_OUTSIDE } else { 1.0 }
}

/// Whether the durations of a service with this name are rather those of the services behind it.
pub(super) fn shows_others(service: &str) -> bool {
    is_view_from_outside(service) || is_gateway(service)
}

/// Whether a name is that of an address, or of X-Ray's segments of the types `client` and `remote`, rather than of a service:
/// its metrics are what callers saw of the service that answers there.
fn is_view_from_outside(service: &str) -> bool {
    let (name, kind) = service.rsplit_once('_').unwrap_or((service, ""));
    if kind == "client" || kind == "remote" {
        return true;
    }
    let address = if kind.is_empty() { service } else { name };
    let host = address.split_once(':').map_or(address, |(host, _)| host);
    is_ip(address) || is_ip(host) || is_domain(host)
}

/// Words in the names of services that hand requests on. A gateway to something, such as `payment-gateway`, is a service like others.
const GATEWAY_WORDS: [&str; 14] = [
    "ingress",
    "ingressgateway",
    "apigateway",
    "proxy",
    "haproxy",
    "nginx",
    "envoy",
    "traefik",
    "loadbalancer",
    "balancer",
    "lb",
    "elb",
    "alb",
    "nlb",
];
/// Words before `gateway` with which it is one for all requests.
const GATEWAY_KINDS: [&str; 8] = ["api", "edge", "ingress", "http", "web", "istio", "public", "internal"];

/// Whether a service hands requests on to others, so that its errors and durations are rather those of the services behind it: by
/// a word of its name, or a segment of X-Ray's type `AWS::Lambda`, which contains that of the function, `AWS::Lambda::Function`.
fn is_gateway(service: &str) -> bool {
    let words = words(service);
    let has = |of: &[&str]| words.iter().any(|word| of.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())));
    let is_named = match words.iter().position(|word| word == "gateway") {
        Some(0) => words.len() == 1,
        Some(at) => words.get(at - 1).is_some_and(|word| GATEWAY_KINDS.contains(&word.as_str())),
        None => false,
    };
    is_named || has(&GATEWAY_WORDS) || service.ends_with("_AWS::Lambda")
}

/// Whether a text is an IP address, version 4 or 6.
fn is_ip(text: &str) -> bool {
    let is_v4 = text.split('.').count() == 4 && text.split('.').all(|part| part.parse::<u8>().is_ok());
    let is_v6 = text.matches(':').count() >= 2 && text.chars().all(|c| c == ':' || c == '.' || c.is_ascii_hexdigit());
    is_v4 || is_v6
}

/// Whether a text is a full domain name: at least three labels, the last one of letters only.
fn is_domain(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    let is_label = |l: &&str| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    labels.len() >= 3 && labels.iter().all(is_label) && labels.last().is_some_and(|l| l.chars().all(|c| c.is_ascii_alphabetic()))
}

/// Words of metrics that show a setting: what was configured, not what happens.
const SETTING_WORDS: [&str; 20] = [
    "max",
    "maximum",
    "min",
    "minimum",
    "limit",
    "limits",
    "size",
    "capacity",
    "quota",
    "desired",
    "replicas",
    "workers",
    "concurrency",
    "config",
    "configured",
    "setting",
    "enabled",
    "flag",
    "spec",
    "threshold",
];
/// Words that say that a metric with a word of a setting measures a use all the same.
const USE_WORDS: [&str; 12] =
    ["queue", "used", "use", "usage", "current", "available", "ready", "unavailable", "active", "idle", "request", "response"];

/// Whether a metric shows a setting, such as `db_pool_max`.
pub fn is_setting(metric: &str) -> bool {
    let words = words(metric.split('{').next().unwrap_or(metric));
    let has = |wanted: &[&str]| words.iter().any(|w| wanted.contains(&w.as_str()));
    has(&SETTING_WORDS) && !has(&USE_WORDS)
}

/// Splits a name into its words, in lower case: `PodClientLatencyP90(s)` into pod, client, latency, p90, s.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            let begins = !last.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && last.is_ascii_lowercase());
            if begins {
                out.push(String::new());
            }
            if let Some(word) = out.last_mut() {
                word.push(c.to_ascii_lowercase());
            }
        }
        last = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_metric_measures_from_whole_words() {
        for (metric, quantity, view) in [
            ("http_requests_errors_total{code=\"500\"}", Quantity::Errors, View::Own),
            ("PodClientLatencyP90(s)", Quantity::Latency, View::Calls),
            ("NodeCpuUsageRate(%)", Quantity::Usage, View::Machine),
            ("container_memory_working_set_bytes", Quantity::Usage, View::Own),
            ("http.server.request.duration", Quantity::Latency, View::Own),
            ("availability.Average", Quantity::Success, View::Own),
            ("node_network_receive_bytes_total", Quantity::Traffic, View::Machine),
            ("clientele_growth", Quantity::Usage, View::Own),
            ("m07", Quantity::Usage, View::Own),
        ] {
            assert_eq!(Meaning::of(metric), Meaning { quantity, view }, "{metric}");
        }
    }

    #[test]
    fn a_change_for_the_worse_counts_more() {
        for (metric, worse, better) in [
            ("errors", Direction::Up, Direction::Down),
            ("success_rate", Direction::Down, Direction::Up),
            ("latency_p95", Direction::Up, Direction::Down),
            ("queue_length", Direction::Up, Direction::Down),
        ] {
            let meaning = Meaning::of(metric);
            assert!(meaning.weight(worse, LeftOut::default()) > meaning.weight(better, LeftOut::default()), "{metric}");
        }
    }

    #[test]
    fn what_hands_requests_on_shows_the_services_behind_it() {
        let weight = |service: &str, metric: &str| service_weight(service, Meaning::of(metric));
        let gateways = [
            "gateway",
            "api-gateway",
            "istio-ingressgateway",
            "ingress-nginx",
            "haproxy",
            "lb01",
            "envoy-proxy",
            "orders/prod_AWS::ApiGateway::Stage",
            "orders_AWS::Lambda",
        ];
        for gateway in gateways {
            assert!(shows_others(gateway) && weight(gateway, "latency_p95") < 1.0, "{gateway}");
            assert!(weight(gateway, "memory_bytes") >= 1.0, "{gateway}: what it uses is its own");
        }
        for service in ["checkout", "payment-gateway", "edge-inventory", "orders_AWS::Lambda::Function", "albums"] {
            assert!(!shows_others(service) && weight(service, "latency_p95") >= 1.0, "{service}");
        }
    }

    #[test]
    fn addresses_are_views_from_outside() {
        for outside in [
            "lb-shop.eu-1.elb.example.com",
            "10.0.3.7",
            "10.0.3.7:8080",
            "fd00::1:7",
            "lb.eu.example.com_remote",
            "Search_client",
        ] {
            assert!(is_view_from_outside(outside), "{outside}");
        }
        for service in ["checkout", "shop.cart", "node-exporter", "client-api", "remote", "search_AWS::ECS::Fargate", "v1.2.3"] {
            assert!(!is_view_from_outside(service), "{service}");
        }
    }
}
