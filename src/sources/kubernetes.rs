//! A Kubernetes API server: what was rolled out, scaled, moved away or rebooted.
//!
//! Two lists: replica sets, as each new revision of a deployment makes one (its images against those of the one made before it), and
//! events of kinds that tell of a deed. A rollback makes no new replica set but gives an old one a new number: that it was done is
//! known, when only by its events. Events are kept for about an hour; where the right to read one of the lists is missing the other
//! is still of use. Stateful and daemon sets are told by their events alone. Shapes: kubernetes.io, API v1 `Event` and apps/v1
//! `ReplicaSet`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::fault::{FaultKind, SourceError};
use super::http::{Http, Params};
use super::{Answer, Asked, ChangeSource, Source};
use crate::config::SourceConfig;
use crate::telemetry::change::is_aside;
use crate::telemetry::{ChangeEvent, Timestamp, Window, clean};

/// Objects of one page, and pages of one list.
const PAGE: usize = 500;
const MAX_PAGES: usize = 20;
/// Changes kept of one window.
const MAX_CHANGES: usize = 1_000;
/// So long after a rollout began the scalings of its deployment are its own.
const ROLLS_FOR: Duration = Duration::from_mins(10);
/// The annotation that numbers a deployment's revisions.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// Reasons of events that tell of a deed rather than of a symptom.
const DEEDS: [&str; 9] = [
    "ScalingReplicaSet",
    "SuccessfulRescale",
    "DeploymentRollback",
    "Evicted",
    "Preempted",
    "TaintManagerEviction",
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
    // A list without objects may be null.
    items: Option<Vec<T>>,
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
            let page: List<T> = match self.http.get_json(path, &params).await {
                Ok(page) => page,
                // A list that changes while it is read may end with "410 Gone"; what came is still true.
                Err(e) if !out.is_empty() => return Ok((out, Some(format!("{path}: the rest of the list was not given: {e}")))),
                Err(e) => return Err(e),
            };
            out.extend(page.items.unwrap_or_default());
            more = page.metadata.more.filter(|token| !token.is_empty());
            if more.is_none() {
                return Ok((out, None));
            }
        }
        let gap = format!("{path}: only the first {} objects were read; give a namespace", out.len());
        Ok((out, Some(gap)))
    }
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
            let version: serde_json::Value = self.http.get_json("version", &Vec::new()).await?;
            let version = version.get("gitVersion").and_then(|v| v.as_str());
            let version = version.ok_or_else(|| SourceError::new(FaultKind::Malformed, "the answer names no gitVersion"))?;
            let one: Params<'_> = vec![("limit", "1".to_owned())];
            let (sets, events) = (self.path("apis/apps/v1", "replicasets"), self.path("api/v1", "events"));
            let (sets, events) = futures_util::join!(
                self.http.get_json::<List<ReplicaSet>>(&sets, &one),
                self.http.get_json::<List<Event>>(&events, &one)
            );
            let missing = match (sets, events) {
                (Err(e), Err(_)) => return Err(e),
                (Err(e), _) => format!("; rollouts cannot be read: {e}"),
                (_, Err(e)) => format!("; events cannot be read: {e}"),
                _ => String::new(),
            };
            Ok(clean::line(&format!("Kubernetes {version}{missing}")))
        }
        .boxed()
    }
    fn changes(&self) -> Option<&dyn ChangeSource> {
        Some(self)
    }
}

impl ChangeSource for Kubernetes {
    fn query(&self, _window: Window) -> String {
        format!("GET /{} and /{}", self.path("apis/apps/v1", "replicasets"), self.path("api/v1", "events"))
    }

    fn within(&self, window: Window) -> Asked<'_, Vec<ChangeEvent>> {
        async move {
            let (sets, events) = (self.path("apis/apps/v1", "replicasets"), self.path("api/v1", "events"));
            let (sets, events) = futures_util::join!(self.list::<ReplicaSet>(&sets), self.list::<Event>(&events));
            let mut gaps = Vec::new();
            let (mut found, mut rolled) = (Vec::new(), Vec::new());
            match (&sets, &events) {
                (Err(e), Err(_)) => return Err(e.clone()),
                (Err(e), _) => gaps.push(format!("rollouts could not be read: {e}")),
                (_, Err(e)) => gaps.push(format!("events could not be read: {e}")),
                _ => {}
            }
            let is_of_all = self.namespace.is_none();
            if let Ok((sets, gap)) = sets {
                gaps.extend(gap);
                rolled = rollouts(&sets, is_of_all);
            }
            if let Ok((events, gap)) = events {
                gaps.extend(gap);
                found.extend(rolled.iter().filter_map(|r| r.back(&events, window)));
                let is_rolling = |event: &Event| rolled.iter().any(|r| r.is_part(event, window));
                found.extend(events.iter().filter(|e| !is_rolling(e)).filter_map(|e| deed(e, window, is_of_all)));
            }
            found.extend(rolled.into_iter().map(|r| r.change));
            found.retain(|c| window.contains(c.at));
            found.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.what.cmp(&b.what)));
            let total = u64::try_from(found.len()).ok();
            let left_out = found.len().saturating_sub(MAX_CHANGES);
            if left_out > 0 {
                gaps.push(format!("more than {MAX_CHANGES} changes: the newest are kept"));
                found.drain(..left_out);
            }
            Ok(Answer { value: found, gaps, total })
        }
        .boxed()
    }
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    Timestamp::parse(text?).ok()
}

/// ` in NAMESPACE`, where objects of all are looked at.
fn place(meta: &Meta, is_of_all: bool) -> String {
    if is_of_all && !meta.namespace.is_empty() { format!(" in {}", meta.namespace) } else { String::new() }
}

/// A rollout: the change that it is, and the replica set that it made.
struct Rollout {
    change: ChangeEvent,
    namespace: String,
    set: String,
    /// What the rollback says, where the replica set is in use again since.
    back: Option<String>,
}

impl Rollout {
    /// Whether an event is a scaling that the rollout did: its own replica set up, or another one down.
    fn is_part(&self, event: &Event, window: Window) -> bool {
        let Some(at) = at_of(event, window) else { return false };
        let message = event.message.as_deref().unwrap_or_default();
        let names_it = message.split_whitespace().any(|word| word == self.set);
        event.reason.as_deref() == Some("ScalingReplicaSet")
            && event.metadata.namespace == self.namespace
            && Some(&event.involved_object.name) == self.change.service.as_ref()
            && names_it == message.starts_with("Scaled up")
            && (self.change.at..=self.change.at + ROLLS_FOR).contains(&at)
    }

    /// The rollback to it, at the time when its replica set was scaled up again.
    fn back(&self, events: &[Event], window: Window) -> Option<ChangeEvent> {
        let what = self.back.clone()?;
        let is_up = |e: &&Event| {
            let message = e.message.as_deref().unwrap_or_default();
            e.metadata.namespace == self.namespace
                && message.starts_with("Scaled up")
                && message.split_whitespace().any(|word| word == self.set)
        };
        // What scaled it up when it was made is long ago.
        let times = events.iter().filter(is_up).filter_map(|e| at_of(e, window)).filter(|at| *at > self.change.at + ROLLS_FOR);
        Some(ChangeEvent { at: times.min()?, what, ..self.change.clone() })
    }
}

/// When a replica set was made, and the number of its revision now.
type Made<'a> = (Timestamp, u64, &'a ReplicaSet);

/// New replica sets of deployments, each against the one that it took the place of.
fn rollouts(sets: &[ReplicaSet], is_of_all: bool) -> Vec<Rollout> {
    let mut by_deployment: BTreeMap<(&str, &str), Vec<Made<'_>>> = BTreeMap::new();
    for set in sets {
        let owner = set.metadata.owner_references.iter().flatten().find(|o| o.kind == "Deployment");
        let revision = set.metadata.annotations.as_ref().and_then(|a| a.get(REVISION)).and_then(|r| r.parse().ok());
        let made = time(set.metadata.creation_timestamp.as_deref());
        if let (Some(owner), Some(revision), Some(made)) = (owner, revision, made) {
            by_deployment.entry((&set.metadata.namespace, &owner.name)).or_default().push((made, revision, set));
        }
    }
    let mut out = Vec::new();
    for ((namespace, deployment), mut made) in by_deployment {
        made.sort_by_key(|(at, revision, _)| (*at, *revision));
        for (n, (at, revision, set)) in made.iter().enumerate() {
            let place = place(&set.metadata, is_of_all);
            let (earlier, later) = (made.get(..n).unwrap_or_default(), made.get(n + 1..).unwrap_or_default());
            // One with a higher number than a younger one has been rolled back to since: the number is not that of its making.
            let is_back = later.iter().any(|(_, younger, _)| younger < revision);
            let named = if is_back { "rolled out".to_owned() } else { format!("revision {revision} rolled out") };
            let below = earlier.iter().filter(|(_, number, _)| number < revision).max_by_key(|(_, number, _)| *number);
            let before = below.filter(|_| !is_back).or_else(|| earlier.last()).map(|(_, _, set)| *set);
            let what = match before.map(|before| images(set, Some(before))) {
                None => format!("{named}{place}: image {}", images(set, None).join(", ")),
                Some(changed) if changed.is_empty() => format!("{named}{place} with the same images (settings or a restart)"),
                Some(changed) => format!("{named}{place}: image {}", changed.join(", ")),
            };
            let is_current = is_back && made.iter().all(|(_, other, _)| other <= revision);
            let back = is_current.then(|| {
                clean::line(&format!("rolled back{place} to image {} (revision {revision})", images(set, None).join(", ")))
            });
            let is_release = !is_aside(Some(namespace));
            let service = Some(clean::line(deployment));
            let change = ChangeEvent { at: *at, service, what: clean::line(&what), by: None, link: None, is_release };
            out.push(Rollout { change, namespace: namespace.to_owned(), set: set.metadata.name.clone(), back });
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

/// The service that a pod's name tells: without the hash of its template and its random part, or its number.
fn of_pod(name: &str) -> &str {
    // Kubernetes writes random parts without vowels and without what looks like another character.
    let is_random = |part: &str| part.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b));
    let Some((rest, last)) = name.rsplit_once('-') else { return name };
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return rest;
    }
    if last.len() != 5 || !is_random(last) {
        return name;
    }
    match rest.rsplit_once('-') {
        Some((service, hash)) if (6..=10).contains(&hash.len()) && is_random(hash) => service,
        _ => rest,
    }
}

/// When an event was first, within the window where it was then more than once.
fn at_of(event: &Event, window: Window) -> Option<Timestamp> {
    let repeats = event.series.as_ref().and_then(|s| s.last_observed_time.as_deref());
    // Events of the newer kind have neither firstTimestamp nor lastTimestamp.
    let known = [event.first_timestamp.as_deref(), event.event_time.as_deref(), repeats, event.last_timestamp.as_deref()];
    let times: Vec<Timestamp> = known.into_iter().filter_map(time).collect();
    let first = times.iter().find(|at| window.contains(**at)).or(times.first()).copied();
    first.or_else(|| time(event.metadata.creation_timestamp.as_deref()))
}

/// An event of a kind that tells of a deed, at its first time within the window.
fn deed(event: &Event, window: Window, is_of_all: bool) -> Option<ChangeEvent> {
    let reason = event.reason.as_deref().filter(|r| DEEDS.contains(r))?;
    let at = at_of(event, window)?;
    let object = &event.involved_object;
    let service = match object.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" | "HorizontalPodAutoscaler" => Some(object.name.as_str()),
        "ReplicaSet" => object.name.rsplit_once('-').map(|(deployment, _)| deployment),
        "Pod" => Some(of_pod(&object.name)),
        _ => None,
    };
    let of = if service.is_some() { String::new() } else { format!("{} {}: ", object.kind.to_lowercase(), object.name) };
    let place = place(&event.metadata, is_of_all);
    let message = event.message.as_deref().unwrap_or_default();
    Some(ChangeEvent {
        at,
        service: service.map(clean::line),
        what: clean::line(&format!("{of}{reason}{place}: {message}")),
        by: None,
        link: None,
        is_release: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(revision: &str, at: &str, image: &str) -> serde_json::Value {
        serde_json::json!({"metadata": {"name": format!("shop-{revision}"), "namespace": "prod", "creationTimestamp": at,
            "annotations": {REVISION: revision}, "ownerReferences": [{"kind": "Deployment", "name": "shop"}]},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}, {"name": "proxy", "image": "envoy:1"}]}}}})
    }

    fn made(sets: serde_json::Value, is_of_all: bool) -> Vec<Rollout> {
        rollouts(&serde_json::from_value::<Vec<ReplicaSet>>(sets).unwrap(), is_of_all)
    }

    fn told(rolled: &[Rollout]) -> Vec<String> {
        rolled.iter().map(|r| format!("{} {}", r.change.at, r.change.what)).collect()
    }

    fn scaled(at: &str, message: &str) -> Event {
        serde_json::from_value(
            serde_json::json!({"metadata": {"namespace": "prod"}, "involvedObject": {"kind": "Deployment", "name": "shop"},
            "reason": "ScalingReplicaSet", "message": message, "lastTimestamp": at}),
        )
        .unwrap()
    }

    fn window() -> Window {
        Window::new(Timestamp::parse("2026-11-21T09:10:00Z").unwrap(), Timestamp::parse("2026-11-21T09:50:00Z").unwrap())
    }

    #[test]
    fn rollouts_are_told_against_what_they_took_the_place_of() {
        let sets = serde_json::json!([
            set("10", "2026-11-21T09:17:00Z", "shop:1.42.0"),
            set("9", "2026-11-20T08:00:00Z", "shop:1.41.3"),
            set("11", "2026-11-21T09:40:00Z", "shop:1.42.0"),
            {"metadata": {"name": "alone", "annotations": null, "ownerReferences": null}},
        ]);
        let rolled = made(sets, true);
        let expected = [
            "2026-11-20T08:00:00Z revision 9 rolled out in prod: image shop:1.41.3, envoy:1",
            "2026-11-21T09:17:00Z revision 10 rolled out in prod: image shop:1.41.3 → shop:1.42.0",
            "2026-11-21T09:40:00Z revision 11 rolled out in prod with the same images (settings or a restart)",
        ];
        assert_eq!(told(&rolled), expected);
        // Its own replica set up and the others down are the rollout; what somebody does by hand is not.
        for (at, message, is_part) in [
            ("2026-11-21T09:17:01Z", "Scaled up replica set shop-10 from 0 to 1", true),
            ("2026-11-21T09:18:00Z", "Scaled down replica set shop-9 from 4 to 3", true),
            ("2026-11-21T09:19:00Z", "Scaled down replica set shop-10 from 6 to 1", false),
            ("2026-11-21T09:20:00Z", "Scaled up replica set shop-9 from 0 to 4", false),
            ("2026-11-21T09:30:00Z", "Scaled up replica set shop-10 from 4 to 9", false),
        ] {
            assert_eq!(rolled[1].is_part(&scaled(at, message), window()), is_part, "{message}");
        }
        let mut elsewhere = scaled("2026-11-21T09:17:01Z", "Scaled up replica set shop-10 from 0 to 1");
        elsewhere.metadata.namespace = "staging".into();
        assert!(!rolled[1].is_part(&elsewhere, window()));
    }

    #[test]
    fn a_rollback_stands_at_the_time_of_its_events_and_not_of_the_old_replica_set() {
        let (old, new) = (set("3", "2026-11-21T09:00:00Z", "shop:1.41.3"), set("2", "2026-11-21T09:17:00Z", "shop:1.42.0"));
        let rolled = made(serde_json::json!([old, new]), false);
        let expected = [
            "2026-11-21T09:00:00Z rolled out: image shop:1.41.3, envoy:1",
            "2026-11-21T09:17:00Z revision 2 rolled out: image shop:1.41.3 → shop:1.42.0",
        ];
        assert_eq!(told(&rolled), expected);
        let events = [scaled("2026-11-21T09:21:00Z", "Scaled up replica set shop-3 from 0 to 1")];
        let back: Vec<String> =
            rolled.iter().filter_map(|r| r.back(&events, window())).map(|c| format!("{} {}", c.at, c.what)).collect();
        assert_eq!(back, ["2026-11-21T09:21:00Z rolled back to image shop:1.41.3, envoy:1 (revision 3)"]);
        assert!(rolled.iter().all(|r| r.back(&[], window()).is_none()), "without an event nobody knows when");
        // What comes after it takes the place of what was rolled back to.
        let (old, new) = (set("3", "2026-11-21T09:00:00Z", "shop:1.0"), set("2", "2026-11-21T09:10:00Z", "shop:2.0"));
        let rolled = made(serde_json::json!([old, new, set("4", "2026-11-21T09:30:00Z", "shop:1.1")]), false);
        assert_eq!(told(&rolled)[2], "2026-11-21T09:30:00Z revision 4 rolled out: image shop:1.0 → shop:1.1");
    }

    #[test]
    fn events_of_deeds_are_changes_and_symptoms_are_not() {
        let window =
            Window::new(Timestamp::parse("2026-11-21T09:10:00Z").unwrap(), Timestamp::parse("2026-11-21T09:30:00Z").unwrap());
        let event = |reason: &str, kind: &str, name: &str, times: serde_json::Value| {
            let mut event = serde_json::json!({"metadata": {"creationTimestamp": "2026-11-21T09:00:00Z", "namespace": "prod"},
                "involvedObject": {"kind": kind, "name": name}, "reason": reason, "message": "it\u{1b}[1m was so"});
            event.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
            let event: Event = serde_json::from_value(event).unwrap();
            deed(&event, window, false).map(|c| format!("{} {}: {}", c.at, c.service.unwrap_or_default(), c.what))
        };
        let times = serde_json::json!({"firstTimestamp": "2026-11-21T09:17:00Z", "lastTimestamp": "2026-11-21T09:29:00Z"});
        assert_eq!(
            event("ScalingReplicaSet", "Deployment", "shop", times).unwrap(),
            "2026-11-21T09:17:00Z shop: ScalingReplicaSet: it was so"
        );
        let times = serde_json::json!({"lastTimestamp": null, "eventTime": "2026-11-21T09:18:00.123456Z"});
        assert_eq!(
            event("Evicted", "Pod", "shop-cart-6d4f8c7b9d-x2x4z", times).unwrap(),
            "2026-11-21T09:18:00.123456Z shop-cart: Evicted: it was so"
        );
        let times = serde_json::json!({"series": {"count": 2, "lastObservedTime": "2026-11-21T09:19:00Z"}});
        assert_eq!(event("Rebooted", "Node", "eu-3", times).unwrap(), "2026-11-21T09:19:00Z : node eu-3: Rebooted: it was so");
        assert_eq!(event("BackOff", "Pod", "shop-6d4f-x2x1", serde_json::json!({})), None);
    }

    #[test]
    fn a_pods_service_is_its_name_without_what_was_drawn() {
        for (pod, service) in [
            ("shop-cart-6d4f8c7b9d-x2x4z", "shop-cart"),
            ("mysql-primary-0", "mysql-primary"),
            ("node-exporter-x2x4z", "node-exporter"),
            ("kube-proxy", "kube-proxy"),
            ("alone", "alone"),
        ] {
            assert_eq!(of_pod(pod), service);
        }
    }
}
