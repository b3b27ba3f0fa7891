//! A Kubernetes API server: what was rolled out, scaled, moved away or rebooted.
//!
//! Two lists: replica sets, as each new revision of a deployment makes one (its images against those of the revision before), and
//! events of kinds that tell of a deed. Events are kept for about an hour; where the right to read one of the lists is missing the
//! other is still of use. Shapes: kubernetes.io, API v1 `Event` and apps/v1 `ReplicaSet`.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::fault::{FaultKind, SourceError};
use super::http::{Http, Params, Reply, refused, status_kind};
use super::{Answer, Asked, ChangeSource, Source};
use crate::config::SourceConfig;
use crate::telemetry::{ChangeEvent, Timestamp, Window, clean};

/// Objects of one page, and pages of one list.
const PAGE: usize = 500;
const MAX_PAGES: usize = 20;
/// Bytes of an event's message that are shown.
const MESSAGE: usize = 160;
/// The annotation that numbers a deployment's revisions.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// Reasons of events that tell of a deed rather than of a symptom.
const DEEDS: [&str; 10] = [
    "ScalingReplicaSet",
    "SuccessfulRescale",
    "DeploymentRollback",
    "Evicted",
    "Preempted",
    "TaintManagerEviction",
    "NodeNotReady",
    "NodeNotSchedulable",
    "Rebooted",
    "Drain",
];

/// An API server.
pub struct Kubernetes {
    name: String,
    http: Http,
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct List<T> {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(rename = "continue")]
    more: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    name: String,
    namespace: String,
    creation_timestamp: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<Owner>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event {
    metadata: Meta,
    involved_object: Owner,
    reason: Option<String>,
    message: Option<String>,
    first_timestamp: Option<String>,
    last_timestamp: Option<String>,
    event_time: Option<String>,
    series: Option<Repeats>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Repeats {
    last_observed_time: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReplicaSet {
    metadata: Meta,
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    template: Template,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: Pod,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pod {
    containers: Vec<Container>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    image: String,
}

impl Kubernetes {
    /// From its configuration; opens no connection.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        Ok(Self { name: config.name.clone(), http: Http::new(config)?, namespace: config.namespace.clone() })
    }

    fn path(&self, group: &str, what: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{what}"),
            None => format!("{group}/{what}"),
        }
    }

    /// Every object of a list, page by page; the second value says why it is not whole.
    async fn list<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<(Vec<T>, Option<String>), SourceError> {
        let (mut out, mut more) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut params: Params<'_> = vec![("limit", PAGE.to_string())];
            params.extend(more.take().map(|token| ("continue", token)));
            let reply = self.http.get(path, &params).await?;
            if status_kind(reply.status).is_some() {
                return Err(refused(&reply, said(&reply)));
            }
            let page: List<T> = reply.json()?;
            out.extend(page.items);
            more = page.metadata.more.filter(|token| !token.is_empty());
            if more.is_none() {
                return Ok((out, None));
            }
        }
        let gap = format!("{path}: only the first {} objects were read; give a namespace", out.len());
        Ok((out, Some(gap)))
    }
}

/// The message of a `Status`.
fn said(reply: &Reply) -> Option<String> {
    serde_json::from_slice::<serde_json::Value>(&reply.body).ok()?.get("message")?.as_str().map(str::to_owned)
}

impl Source for Kubernetes {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &str {
        "kubernetes"
    }
    fn probe(&self) -> BoxFuture<'_, Result<String, SourceError>> {
        async move {
            let reply = self.http.get("version", &Vec::new()).await?;
            if status_kind(reply.status).is_some() {
                return Err(refused(&reply, said(&reply)));
            }
            let version: serde_json::Value = reply.json()?;
            let version = version.get("gitVersion").and_then(|v| v.as_str());
            let version = version.ok_or_else(|| SourceError::new(FaultKind::Malformed, "the answer names no gitVersion"))?;
            Ok(clean::line(&format!("Kubernetes {version}")))
        }
        .boxed()
    }
    fn changes(&self) -> Option<&dyn ChangeSource> {
        Some(self)
    }
}

impl ChangeSource for Kubernetes {
    fn query(&self, window: Window) -> String {
        let (sets, events) = (self.path("apis/apps/v1", "replicasets"), self.path("api/v1", "events"));
        format!("GET {sets} and {events}, from {} to {}", window.start, window.end)
    }

    fn within(&self, window: Window) -> Asked<'_, Vec<ChangeEvent>> {
        async move {
            let (sets, events) = (self.path("apis/apps/v1", "replicasets"), self.path("api/v1", "events"));
            let (sets, events) = futures_util::join!(self.list::<ReplicaSet>(&sets), self.list::<Event>(&events));
            let mut gaps = Vec::new();
            let mut found = Vec::new();
            match (&sets, &events) {
                (Err(e), Err(_)) => return Err(e.clone()),
                (Err(e), _) => gaps.push(format!("rollouts could not be read: {e}")),
                (_, Err(e)) => gaps.push(format!("events could not be read: {e}")),
                _ => {}
            }
            if let Ok((sets, gap)) = sets {
                gaps.extend(gap);
                found.extend(rollouts(&sets));
            }
            if let Ok((events, gap)) = events {
                gaps.extend(gap);
                found.extend(events.iter().filter_map(deed));
            }
            found.retain(|c| window.contains(c.at));
            found.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.what.cmp(&b.what)));
            Ok(Answer { value: found, gaps, total: None })
        }
        .boxed()
    }
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    Timestamp::parse(text?).ok()
}

/// New revisions of deployments, each against the one before it.
fn rollouts(sets: &[ReplicaSet]) -> Vec<ChangeEvent> {
    let mut by_deployment: BTreeMap<(&str, &str), BTreeMap<u64, &ReplicaSet>> = BTreeMap::new();
    for set in sets {
        let owner = set.metadata.owner_references.iter().flatten().find(|o| o.kind == "Deployment");
        let revision = set.metadata.annotations.as_ref().and_then(|a| a.get(REVISION)).and_then(|r| r.parse().ok());
        if let (Some(owner), Some(revision)) = (owner, revision) {
            by_deployment.entry((&set.metadata.namespace, &owner.name)).or_default().insert(revision, set);
        }
    }
    let mut out = Vec::new();
    for ((_, deployment), revisions) in by_deployment {
        let mut before: Option<&ReplicaSet> = None;
        for (revision, set) in revisions {
            if let Some(at) = time(set.metadata.creation_timestamp.as_deref()) {
                let what = clean::line(&match before {
                    None => format!("revision {revision} rolled out: image {}", images(set, None).join(", ")),
                    Some(before) => match images(set, Some(before)) {
                        changed if changed.is_empty() => {
                            format!("revision {revision} rolled out with the same images (settings or a restart)")
                        }
                        changed => format!("revision {revision} rolled out: image {}", changed.join(", ")),
                    },
                });
                let service = Some(clean::line(deployment));
                out.push(ChangeEvent { at, service, what, by: None, link: None, is_release: true });
            }
            before = Some(set);
        }
    }
    out
}

/// The images of a replica set; beside another those that differ.
fn images(set: &ReplicaSet, before: Option<&ReplicaSet>) -> Vec<String> {
    let of =
        |set: &ReplicaSet, name: &str| set.spec.template.spec.containers.iter().find(|c| c.name == name).map(|c| c.image.clone());
    let containers = set.spec.template.spec.containers.iter();
    containers
        .filter_map(|c| match before.map(|b| of(b, &c.name)) {
            None => Some(c.image.clone()),
            Some(Some(old)) => (old != c.image).then(|| format!("{old} → {}", c.image)),
            Some(None) => Some(format!("{} (new container {})", c.image, c.name)),
        })
        .collect()
}

/// An event of a kind that tells of a deed.
fn deed(event: &Event) -> Option<ChangeEvent> {
    let reason = event.reason.as_deref().filter(|r| DEEDS.contains(r))?;
    let repeats = event.series.as_ref().and_then(|s| s.last_observed_time.as_deref());
    // Events of the newer kind have no lastTimestamp.
    let times = [event.last_timestamp.as_deref(), repeats, event.event_time.as_deref(), event.first_timestamp.as_deref()];
    let at = times.into_iter().chain([event.metadata.creation_timestamp.as_deref()]).find_map(time)?;
    let object = &event.involved_object;
    let service = match object.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" | "HorizontalPodAutoscaler" => Some(object.name.clone()),
        "ReplicaSet" => object.name.rsplit_once('-').map(|(deployment, _)| deployment.to_owned()),
        // A pod of a deployment ends in the hash of its template and a random part.
        "Pod" => object.name.rsplitn(3, '-').nth(2).map(str::to_owned),
        _ => None,
    };
    let of = if service.is_some() { String::new() } else { format!("{} {}: ", object.kind.to_lowercase(), object.name) };
    let message = clean::cut(&clean::line(event.message.as_deref().unwrap_or_default()), MESSAGE);
    Some(ChangeEvent {
        at,
        service: service.map(|s| clean::line(&s)),
        what: clean::line(&format!("{of}{reason}: {message}")),
        by: None,
        link: None,
        is_release: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollouts_are_told_against_the_revision_before() {
        let set = |revision: &str, at: &str, image: &str| {
            serde_json::json!({"metadata": {"name": format!("shop-{revision}"), "namespace": "prod", "creationTimestamp": at,
                "annotations": {REVISION: revision}, "ownerReferences": [{"kind": "Deployment", "name": "shop"}]},
                "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}, {"name": "proxy", "image": "envoy:1"}]}}}})
        };
        let sets: Vec<ReplicaSet> = serde_json::from_value(serde_json::json!([
            set("10", "2026-11-21T09:17:00Z", "shop:1.42.0"),
            set("9", "2026-11-20T08:00:00Z", "shop:1.41.3"),
            set("11", "2026-11-21T09:40:00Z", "shop:1.42.0"),
            {"metadata": {"name": "alone", "annotations": null, "ownerReferences": null}},
        ]))
        .unwrap();
        let told: Vec<(String, String)> = rollouts(&sets).into_iter().map(|c| (c.at.rfc3339(), c.what)).collect();
        let expected = [
            ("2026-11-20T08:00:00Z", "revision 9 rolled out: image shop:1.41.3, envoy:1"),
            ("2026-11-21T09:17:00Z", "revision 10 rolled out: image shop:1.41.3 → shop:1.42.0"),
            ("2026-11-21T09:40:00Z", "revision 11 rolled out with the same images (settings or a restart)"),
        ];
        assert_eq!(told, expected.map(|(at, what)| (at.to_owned(), what.to_owned())));
    }

    #[test]
    fn events_of_deeds_are_changes_and_symptoms_are_not() {
        let event = |reason: &str, kind: &str, name: &str, times: serde_json::Value| {
            let mut event = serde_json::json!({"metadata": {"creationTimestamp": "2026-11-21T09:00:00Z"},
                "involvedObject": {"kind": kind, "name": name}, "reason": reason, "message": "it\u{1b}[1m was so"});
            event.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
            let event: Event = serde_json::from_value(event).unwrap();
            deed(&event).map(|c| (c.at.rfc3339(), c.service.unwrap_or_default(), c.what))
        };
        let told = |at: &str, service: &str, what: &str| Some((at.to_owned(), service.to_owned(), what.to_owned()));
        assert_eq!(
            event("ScalingReplicaSet", "Deployment", "shop", serde_json::json!({"lastTimestamp": "2026-11-21T09:17:00Z"})),
            told("2026-11-21T09:17:00Z", "shop", "ScalingReplicaSet: it was so")
        );
        assert_eq!(
            event(
                "Evicted",
                "Pod",
                "shop-cart-6d4f-x2x1",
                serde_json::json!({"lastTimestamp": null, "eventTime": "2026-11-21T09:18:00.123456Z"})
            ),
            told("2026-11-21T09:18:00.123456Z", "shop-cart", "Evicted: it was so")
        );
        assert_eq!(
            event(
                "Rebooted",
                "Node",
                "eu-3",
                serde_json::json!({"series": {"count": 2, "lastObservedTime": "2026-11-21T09:19:00Z"}})
            ),
            told("2026-11-21T09:19:00Z", "", "node eu-3: Rebooted: it was so")
        );
        assert_eq!(event("BackOff", "Pod", "shop-6d4f-x2x1", serde_json::json!({})), None);
    }
}
