//! What an alert or a series is about: a service, a workload, a node, a volume, a cluster or an external target.
//!
//! The labels `service`, `job` and `instance` name what was scraped. That is the service itself if it exports its own metrics,
//! but an exporter if the metrics are about something else (kube-state-metrics, the kubelet, node_exporter, blackbox_exporter).
//! Then the other labels say what the metrics are about. The rules are the tables below. Names: Kubernetes conventions,
//! kube-prometheus, and OpenTelemetry's resource attributes, dotted or with underscores.

use serde::{Deserialize, Serialize};

use super::series::Labels;

/// The kind of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// A service that its own labels name.
    Service,
    /// A deployment, stateful set, daemon set, job, or a pod's owner.
    Workload,
    Volume,
    Node,
    /// Something outside that is probed, such as a URL.
    Target,
    Namespace,
    Cluster,
}

impl SubjectKind {
    /// The name of the kind, as printed and as the key of a group of alerts: a workload is the service that people know.
    pub fn word(self) -> &'static str {
        match self {
            Self::Service | Self::Workload => "service",
            Self::Volume => "volume",
            Self::Node => "node",
            Self::Target => "target",
            Self::Namespace => "namespace",
            Self::Cluster => "cluster",
        }
    }
}

/// What an alert or a series is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject<'a> {
    pub kind: SubjectKind,
    pub name: &'a str,
    /// The Kubernetes namespace, unless it is the exporter's own or the subject itself.
    pub namespace: Option<&'a str>,
}

/// Labels that name a service, the most specific first. `job` is last, because it names a scrape configuration.
pub const SERVICE_LABELS: [&str; 9] = [
    "service",
    "service_name",
    "service.name",
    "app",
    "app_kubernetes_io_name",
    "app.kubernetes.io/name",
    "application",
    "k8s_app",
    "job",
];

/// Those of [`SERVICE_LABELS`] that a metrics backend is asked for, and the container as a last resort: each costs a request.
pub const METRIC_SERVICE_LABELS: [&str; 6] = ["service", "service_name", "service.name", "app", "job", "container"];

/// Labels that name a workload.
pub(super) const WORKLOAD_LABELS: [&str; 16] = [
    "deployment",
    "statefulset",
    "daemonset",
    "cronjob",
    "job_name",
    "horizontalpodautoscaler",
    "workload",
    "k8s_deployment_name",
    "k8s.deployment.name",
    "k8s_statefulset_name",
    "k8s.statefulset.name",
    "k8s_daemonset_name",
    "k8s.daemonset.name",
    "k8s_cronjob_name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

/// Labels that name a pod or a replica set; the workload is their name without the generated endings.
const POD_LABELS: [&str; 5] = ["pod", "pod_name", "k8s_pod_name", "k8s.pod.name", "replicaset"];

const CONTAINER_LABELS: [&str; 4] = ["container", "container_name", "k8s_container_name", "k8s.container.name"];

const VOLUME_LABELS: [&str; 3] = ["persistentvolumeclaim", "persistentvolume", "volumename"];

const NODE_LABELS: [&str; 9] =
    ["node", "nodename", "k8s_node_name", "k8s.node.name", "hostname", "host_name", "host.name", "host", "kubernetes_node"];

const NAMESPACE_LABELS: [&str; 3] = ["namespace", "k8s_namespace_name", "k8s.namespace.name"];

const CLUSTER_LABELS: [&str; 4] = ["cluster", "cluster_name", "k8s_cluster_name", "k8s.cluster.name"];

/// Labels whose values name a place where something runs.
pub(super) const MACHINE_LABELS: [&[&str]; 5] =
    [&POD_LABELS, &CONTAINER_LABELS, &NODE_LABELS, &NAMESPACE_LABELS, &CLUSTER_LABELS];

/// Parts of a name that only exporters have: what they export is about something else.
const EXPORTER_NAMES: [&str; 7] =
    ["kube-state-metrics", "kubelet", "cadvisor", "exporter", "blackbox", "pushgateway", "otel-collector"];

/// Exporters that speak about the objects of a whole cluster.
const CLUSTER_EXPORTERS: [&str; 3] = ["kube-state-metrics", "kubelet", "cadvisor"];

/// Exporters of a machine: their `instance` is the machine.
const NODE_EXPORTERS: [&str; 4] = ["node-exporter", "node_exporter", "windows-exporter", "windows_exporter"];

/// Names that jobs of such an exporter often have: nothing else is called so.
const NODE_JOBS: [&str; 3] = ["node", "nodes", "windows"];

fn contains_any(value: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| value.contains(part))
}

/// Whether a name is that of an exporter.
fn is_exporter(name: &str) -> bool {
    contains_any(name, &EXPORTER_NAMES) || NODE_JOBS.contains(&name)
}

/// Whether the metrics come from an exporter, so that `instance` and `pod` may be the exporter's.
pub fn names_exporter(labels: &Labels) -> bool {
    ["job", "service"].iter().filter_map(|l| labels.get(*l)).any(|v| is_exporter(v))
}

/// The first of the labels that is present and not empty, and does not name an exporter. If the scraped server's labels were kept
/// beside those of the exporter, `exported_` marks the server's.
fn first<'a>(labels: &'a Labels, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        let value = |name: &str| labels.get(name).map(String::as_str).filter(|v| !v.is_empty() && !is_exporter(v));
        value(&format!("exported_{name}")).or_else(|| value(name))
    })
}

/// The name of a pod's or a replica set's owner: without the endings that Kubernetes generates. These are five characters for a
/// pod, a template hash for a replica set, and an ordinal for a pod of a stateful set; generated characters are consonants and
/// digits, so that they make no words (k8s.io/apimachinery/pkg/util/rand).
pub fn owner_of_pod(pod: &str) -> &str {
    let is_generated = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
    };
    let Some((rest, last)) = pod.rsplit_once('-') else { return pod };
    if last.len() <= 4 && !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) {
        return rest;
    }
    // Jobs of a cron job, and old replica sets, end in digits only.
    let is_number = |part: &str| part.len() >= 8 && part.bytes().all(|b| b.is_ascii_digit());
    if is_generated(last, 8..=10) || is_number(last) {
        return rest;
    }
    if !is_generated(last, 5..=5) {
        return pod;
    }
    match rest.rsplit_once('-') {
        Some((owner, hash)) if is_generated(hash, 6..=10) || is_number(hash) => owner,
        _ => rest,
    }
}

/// What labels are about; `None` if no label says so. An empty label counts as missing.
pub fn subject_of(labels: &Labels) -> Option<Subject<'_>> {
    let (own, job) = SERVICE_LABELS.split_at(SERVICE_LABELS.len() - 1);
    let namespace = first(labels, &NAMESPACE_LABELS);
    let inside = |kind, name| Subject { kind, name, namespace };
    let outside = |kind, name| Subject { kind, name, namespace: None };
    let raw = |name: &str| labels.get(name).map(String::as_str).filter(|v| !v.is_empty());
    // Exporters alone, without an instance, were grouped by on purpose.
    let exporter = ["job", "service"].iter().find_map(|l| raw(l).filter(|v| is_exporter(v)));
    let is_own = exporter.is_some_and(|e| raw("instance").is_none() || !contains_any(e, &CLUSTER_EXPORTERS));
    first(labels, own)
        .map(|name| inside(SubjectKind::Service, name))
        .or_else(|| workload(labels).map(|name| inside(SubjectKind::Workload, name)))
        .or_else(|| first(labels, &VOLUME_LABELS).map(|name| inside(SubjectKind::Volume, name)))
        .or_else(|| raw("instance").filter(|i| i.contains("://")).map(|url| outside(SubjectKind::Target, url)))
        .or_else(|| first(labels, job).map(|name| inside(SubjectKind::Service, name)))
        .or_else(|| node(labels, exporter).map(|name| outside(SubjectKind::Node, name)))
        .or_else(|| ["target", "url"].iter().find_map(|l| raw(l)).map(|name| outside(SubjectKind::Target, name)))
        .or_else(|| exporter.filter(|_| is_own).map(|name| inside(SubjectKind::Service, name)))
        .or_else(|| namespace.map(|name| outside(SubjectKind::Namespace, name)))
        .or_else(|| first(labels, &CLUSTER_LABELS).map(|name| outside(SubjectKind::Cluster, name)))
        .or_else(|| exporter.map(|name| inside(SubjectKind::Service, name)))
}

/// The workload: named as such, else the owner of a pod, else a container.
fn workload(labels: &Labels) -> Option<&str> {
    let container = first(labels, &CONTAINER_LABELS).filter(|c| *c != "POD");
    first(labels, &WORKLOAD_LABELS)
        .or_else(|| {
            let pod = first(labels, &POD_LABELS)?;
            let owner = owner_of_pod(pod);
            // A name without a generated ending may be cut or made by hand; the container is then more likely the service.
            Some(if owner == pod { container.unwrap_or(owner) } else { owner })
        })
        .or(container)
}

/// The machine: named as such, or the instance of an exporter that runs on it.
fn node<'a>(labels: &'a Labels, exporter: Option<&str>) -> Option<&'a str> {
    first(labels, &NODE_LABELS).or_else(|| {
        let instance = labels.get("instance").filter(|i| !i.is_empty())?;
        exporter.filter(|e| contains_any(e, &NODE_EXPORTERS) || NODE_JOBS.contains(e)).map(|_| without_port(instance))
    })
}

/// The service or workload that labels are about; `None` if they are about something else, or nothing.
pub fn service_of(labels: &Labels) -> Option<&str> {
    subject_of(labels).filter(|s| matches!(s.kind, SubjectKind::Service | SubjectKind::Workload)).map(|s| s.name)
}

/// An address without its port: `10.0.0.7:9100` is `10.0.0.7`, `[::1]:9100` is `::1`.
fn without_port(address: &str) -> &str {
    if let Some(rest) = address.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[(&str, &str)]) -> String {
        let labels: Labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        subject_of(&labels).map_or_else(
            || "nothing".to_owned(),
            |s| {
                let namespace = s.namespace.map(|n| format!(" in {n}")).unwrap_or_default();
                format!("{} {}{namespace}", s.kind.word(), s.name)
            },
        )
    }

    const KSM: [(&str, &str); 3] =
        [("job", "kube-state-metrics"), ("service", "kps-kube-state-metrics"), ("instance", "10.0.0.3:8080")];

    fn with_ksm(labels: &[(&str, &str)]) -> String {
        of(&[&KSM[..], labels].concat())
    }

    #[test]
    fn an_exporter_is_never_the_subject() {
        for (labels, subject) in [
            (&[("namespace", "shop"), ("pod", "web-75465f769b-wsf8q"), ("container", "app")][..], "service web in shop"),
            (&[("namespace", "shop"), ("deployment", "payment")], "service payment in shop"),
            (&[("namespace", "shop"), ("statefulset", "db")], "service db in shop"),
            (&[("namespace", "shop"), ("pod", "db-0")], "service db in shop"),
            (&[("namespace", "shop"), ("pod", "by-hand"), ("container", "cart")], "service cart in shop"),
            (&[("namespace", "shop"), ("job_name", "report-28391")], "service report-28391 in shop"),
            (&[("namespace", "shop"), ("persistentvolumeclaim", "data-db-0")], "volume data-db-0 in shop"),
            (
                &[("node", "worker-3"), ("namespace", "monitoring"), ("pod", "kps-kube-state-metrics-6c9f7b5d4-x2x2x")],
                "node worker-3",
            ),
            (&[("namespace", "shop"), ("resourcequota", "cpu")], "namespace shop"),
            (&[("cluster", "eu-3")], "cluster eu-3"),
            (&[], "service kube-state-metrics"),
        ] {
            assert_eq!(with_ksm(labels), subject, "{labels:?}");
        }
        assert_eq!(
            of(&[("job", "node-exporter"), ("instance", "10.0.0.7:9100"), ("pod", "x-node-exporter-abcde")]),
            "node 10.0.0.7"
        );
        assert_eq!(of(&[("job", "node"), ("instance", "10.0.0.7:9100")]), "node 10.0.0.7");
        assert_eq!(of(&[("job", "blackbox"), ("instance", "https://shop.example.com")]), "target https://shop.example.com");
        assert_eq!(of(&[("job", "postgres-exporter"), ("instance", "10.0.0.9:9187")]), "service postgres-exporter");
        assert_eq!(
            of(&[("job", "node-exporter"), ("namespace", "monitoring")]),
            "service node-exporter in monitoring",
            "it is itself down"
        );
        assert_eq!(
            of(&[("job", "kubelet"), ("node", "n1"), ("pod", "cart-5d9f8b7c6d-x7x7x"), ("container", "cart")]),
            "service cart"
        );
        let kept = [("job", "kube-state-metrics"), ("pod", "ksm-0"), ("exported_pod", "cart-5d9f8b7c6d-x7x7x")];
        assert_eq!(of(&kept), "service cart", "labels of the scraped server are marked");
    }

    #[test]
    fn services_are_named_by_their_own_labels() {
        assert_eq!(of(&[("service", "checkout"), ("pod", "web-0"), ("namespace", "shop")]), "service checkout in shop");
        assert_eq!(of(&[("service.name", "checkout"), ("k8s.pod.name", "checkout-7d9")]), "service checkout");
        assert_eq!(of(&[("k8s.namespace.name", "shop"), ("k8s.pod.name", "cart-5d9f8b7c6d-x7x7x")]), "service cart in shop");
        assert_eq!(of(&[("service", ""), ("job", "api")]), "service api", "an empty label is no label");
        assert_eq!(of(&[("job", "api"), ("deployment", "api-canary")]), "service api-canary");
        assert_eq!(of(&[("host", "db-1")]), "node db-1");
        assert_eq!(of(&[("alertname", "A"), ("severity", "critical")]), "nothing");
    }

    #[test]
    fn generated_endings_are_removed_from_the_names_of_pods() {
        for (pod, owner) in [
            ("checkout-75465f769-wsf8q", "checkout"),
            ("checkout-7d9", "checkout-7d9"),
            ("checkout-75465f769", "checkout"),
            ("db-11", "db"),
            ("fluent-bit-x7x7x", "fluent-bit"),
            ("report-28391234-bcdfg", "report"),
            ("mysql-primary-0", "mysql-primary"),
            ("kube-proxy", "kube-proxy"),
            ("web-frontend", "web-frontend"),
            ("web", "web"),
            ("", ""),
        ] {
            assert_eq!(owner_of_pod(pod), owner, "{pod}");
        }
    }
}
