//! A source of changes from a Kubernetes API server: rollouts, rollbacks, scaling, evictions and reboots.
//!
//! It reads two lists. Each new revision of a deployment creates a replica set, so replica sets show rollouts, with their
//! images compared to the previous revision. Events show the rest; only events whose reason is an action and not a symptom
//! count. A rollback creates no replica set: it gives an old one a new revision number, and only events show when that
//! happened. Kubernetes keeps events for about an hour. If the permission to list one of the two is missing, the other is
//! still used. Rollouts of stateful sets and daemon sets are not detected; only their events are reported. For the shapes
//! see kubernetes.io, API v1 `Event` and apps/v1 `ReplicaSet`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::fault::{FaultKind, SourceError};
use super::http::{Http, Params};
use super::{Answer, AnswerFuture, ChangeSource, Probe, Source};
use crate::config::SourceConfig;
use crate::telemetry::change::is_non_production;
use crate::telemetry::subject::owner_of_pod;
use crate::telemetry::{ChangeEvent, Explain, Failure, Timestamp, Window, clean};

/// The number of objects per page.
const PAGE: usize = 500;
/// The largest number of pages read from one list.
const MAX_PAGES: usize = 20;
/// The largest number of changes returned for one window.
const MAX_CHANGES: usize = 1_000;
/// Scaling events of a deployment within this time after the start of a rollout can be part of the rollout.
const ROLLOUT_LENGTH: Duration = Duration::from_mins(10);
/// The annotation of a replica set that holds its revision number.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// Event reasons that are actions; all others, such as `BackOff`, are symptoms and ignored.
const ACTION_REASONS: [&str; 9] = [
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

/// A Kubernetes API server.
pub struct Kubernetes {
    name: String,
    http: Http,
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct List<T> {
    #[serde(default)]
    metadata: ListMeta,
    // `null` when the list is empty.
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(rename = "continue")]
    continue_token: Option<String>,
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
    series: Option<EventSeries>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EventSeries {
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
    /// Creates the source from its configuration; opens no connection.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        Ok(Self { name: config.name.clone(), http: Http::new(config)?, namespace: config.namespace.clone() })
    }

    /// The API path of a resource, in the configured namespace or in all namespaces.
    fn path(&self, group: &str, resource: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{resource}"),
            None => format!("{group}/{resource}"),
        }
    }

    /// All objects of a list, fetched page by page, and the gap if the list is incomplete.
    async fn list<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<(Vec<T>, Option<String>), SourceError> {
        let (mut out, mut continue_token) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut params: Params<'_> = vec![("limit", PAGE.to_string())];
            params.extend(continue_token.take().map(|token| ("continue", token)));
            let page: List<T> = match self.http.get_json(path, &params).await {
                Ok(page) => page,
                // A list that changes during paging may end in "410 Gone"; the pages so far are still valid.
                Err(e) if !out.is_empty() => return Ok((out, Some(format!("{path}: the list is incomplete: {e}")))),
                Err(e) => return Err(e),
            };
            out.extend(page.items.unwrap_or_default());
            continue_token = page.metadata.continue_token.filter(|token| !token.is_empty());
            if continue_token.is_none() {
                return Ok((out, None));
            }
        }
        let gap = format!("{path}: only the first {} objects were read; set namespace to narrow the list", out.len());
        Ok((out, Some(gap)))
    }
}

/// Whether a configuration has a URL and, if it names a namespace, a valid name (a DNS label, RFC 1123).
pub(super) fn check(config: &SourceConfig) -> Result<(), Failure> {
    super::registry::needs_url(config)?;
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = |t: &str| (1..=63).contains(&t.len()) && t.bytes().all(is_inner) && !t.starts_with('-') && !t.ends_with('-');
    match config.namespace.as_deref().filter(|n| !is_label(n)) {
        Some(namespace) => Err(Failure::new(format!("'{namespace}' is not a Kubernetes namespace"))
            .advise("A namespace has only lower-case letters, digits and '-'.")),
        None => Ok(()),
    }
}

impl Source for Kubernetes {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &'static str {
        "kubernetes"
    }
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
        async move {
            let version: serde_json::Value = self.http.get_json("version", &Vec::new()).await?;
            let version = version.get("gitVersion").and_then(|v| v.as_str());
            let version =
                version.ok_or_else(|| SourceError::new(FaultKind::Malformed, "the response has no gitVersion field"))?;
            let one: Params<'_> = vec![("limit", "1".to_owned())];
            let (sets, events) = (self.path("apis/apps/v1", "replicasets"), self.path("api/v1", "events"));
            let (sets, events) = futures_util::join!(
                self.http.get_json::<List<ReplicaSet>>(&sets, &one),
                self.http.get_json::<List<Event>>(&events, &one)
            );
            let missing = match (sets, events) {
                (Err(e), Err(_)) => return Err(e),
                (Err(e), _) => Some(("rollouts", e)),
                (_, Err(e)) => Some(("events", e)),
                _ => None,
            };
            let version = clean::line(&format!("Kubernetes {version}"));
            Ok(match missing {
                None => Probe::ok(version),
                Some((what, e)) => Probe { detail: format!("{version}; cannot read {what}: {e}"), warning: e.remedy() },
            })
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

    fn within(&self, window: Window) -> AnswerFuture<'_, Vec<ChangeEvent>> {
        async move {
            let (sets, events) = (self.path("apis/apps/v1", "replicasets"), self.path("api/v1", "events"));
            let (sets, events) = futures_util::join!(self.list::<ReplicaSet>(&sets), self.list::<Event>(&events));
            let mut gaps = Vec::new();
            let (mut found, mut rollouts) = (Vec::new(), Vec::new());
            match (&sets, &events) {
                (Err(e), Err(_)) => return Err(e.clone()),
                (Err(e), _) => gaps.push(format!("cannot read rollouts: {e}")),
                (_, Err(e)) => gaps.push(format!("cannot read events: {e}")),
                _ => {}
            }
            let with_namespace = self.namespace.is_none();
            if let Ok((sets, gap)) = sets {
                gaps.extend(gap);
                rollouts = find_rollouts(&sets, with_namespace);
            }
            if let Ok((events, gap)) = events {
                gaps.extend(gap);
                found.extend(rollouts.iter().filter_map(|r| r.rollback_change(&events, window)));
                let is_part_of_rollout = |event: &Event| rollouts.iter().any(|r| r.includes(event, window));
                found.extend(
                    events.iter().filter(|e| !is_part_of_rollout(e)).filter_map(|e| event_change(e, window, with_namespace)),
                );
            }
            found.extend(rollouts.into_iter().map(|r| r.change));
            found.retain(|c| window.contains(c.at));
            found.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.what.cmp(&b.what)));
            let total = u64::try_from(found.len()).ok();
            let left_out = found.len().saturating_sub(MAX_CHANGES);
            if left_out > 0 {
                gaps.push(format!("more than {MAX_CHANGES} changes in the window; only the newest {MAX_CHANGES} are included"));
                found.drain(..left_out);
            }
            Ok(Answer { value: found, gaps, failed: Vec::new(), total, unread: Vec::new() })
        }
        .boxed()
    }
}

fn parse_time(text: Option<&str>) -> Option<Timestamp> {
    Timestamp::parse(text?).ok()
}

/// ` in NAMESPACE` when the source reads all namespaces, else nothing.
fn namespace_suffix(meta: &Meta, with_namespace: bool) -> String {
    if with_namespace && !meta.namespace.is_empty() { format!(" in {}", meta.namespace) } else { String::new() }
}

/// A rollout of a deployment.
struct Rollout {
    change: ChangeEvent,
    namespace: String,
    /// The name of the replica set that the rollout created.
    replica_set: String,
    /// The text of the rollback, if the deployment was rolled back to this replica set later.
    rollback: Option<String>,
}

impl Rollout {
    /// Whether an event is a scaling step of this rollout: the new replica set scaled up, or another one scaled down.
    fn includes(&self, event: &Event, window: Window) -> bool {
        let Some(at) = event_time(event, window) else { return false };
        let message = event.message.as_deref().unwrap_or_default();
        let names_new_set = message.split_whitespace().any(|word| word == self.replica_set);
        event.reason.as_deref() == Some("ScalingReplicaSet")
            && event.metadata.namespace == self.namespace
            && Some(&event.involved_object.name) == self.change.service.as_ref()
            && names_new_set == message.starts_with("Scaled up")
            && (self.change.at..=self.change.at + ROLLOUT_LENGTH).contains(&at)
    }

    /// The rollback to this rollout's replica set, at the time of the first event that scaled it up again; `None` when there
    /// was no rollback or no such event.
    fn rollback_change(&self, events: &[Event], window: Window) -> Option<ChangeEvent> {
        let what = self.rollback.clone()?;
        let is_scaled_up = |e: &&Event| {
            let message = e.message.as_deref().unwrap_or_default();
            e.metadata.namespace == self.namespace
                && message.starts_with("Scaled up")
                && message.split_whitespace().any(|word| word == self.replica_set)
        };
        // Events soon after the replica set was created belong to the original rollout.
        let times = events
            .iter()
            .filter(is_scaled_up)
            .filter_map(|e| event_time(e, window))
            .filter(|at| *at > self.change.at + ROLLOUT_LENGTH);
        Some(ChangeEvent { at: times.min()?, what, ..self.change.clone() })
    }
}

/// A replica set of a deployment: its creation time, its current revision number and the object.
type Revision<'a> = (Timestamp, u64, &'a ReplicaSet);

/// The rollouts of all deployments, each with its images compared to the revision that it replaced.
fn find_rollouts(sets: &[ReplicaSet], with_namespace: bool) -> Vec<Rollout> {
    let mut by_deployment: BTreeMap<(&str, &str), Vec<Revision<'_>>> = BTreeMap::new();
    for set in sets {
        let owner = set.metadata.owner_references.iter().flatten().find(|o| o.kind == "Deployment");
        let revision = set.metadata.annotations.as_ref().and_then(|a| a.get(REVISION)).and_then(|r| r.parse().ok());
        let created = parse_time(set.metadata.creation_timestamp.as_deref());
        if let (Some(owner), Some(revision), Some(created)) = (owner, revision, created) {
            by_deployment.entry((&set.metadata.namespace, &owner.name)).or_default().push((created, revision, set));
        }
    }
    let mut out = Vec::new();
    for ((namespace, deployment), mut revisions) in by_deployment {
        revisions.sort_by_key(|(at, revision, _)| (*at, *revision));
        for (n, (at, revision, set)) in revisions.iter().enumerate() {
            let suffix = namespace_suffix(&set.metadata, with_namespace);
            let (earlier, later) = (revisions.get(..n).unwrap_or_default(), revisions.get(n + 1..).unwrap_or_default());
            // A number higher than that of a replica set created later comes from a rollback, not from the original rollout.
            let was_restored = later.iter().any(|(_, newer, _)| newer < revision);
            let action = if was_restored { "rolled out".to_owned() } else { format!("revision {revision} rolled out") };
            let lower = earlier.iter().filter(|(_, number, _)| number < revision).max_by_key(|(_, number, _)| *number);
            let previous = lower.filter(|_| !was_restored).or_else(|| earlier.last()).map(|(_, _, set)| *set);
            let what = match previous.map(|previous| images(set, Some(previous))) {
                None => format!("{action}{suffix}: image {}", images(set, None).join(", ")),
                Some(changed) if changed.is_empty() => {
                    format!("{action}{suffix} with unchanged images (new settings or a restart)")
                }
                Some(changed) => format!("{action}{suffix}: image {}", changed.join(", ")),
            };
            let is_current = was_restored && revisions.iter().all(|(_, other, _)| other <= revision);
            let rollback = is_current.then(|| {
                clean::line(&format!("rolled back{suffix} to image {} (revision {revision})", images(set, None).join(", ")))
            });
            let is_release = !is_non_production(Some(namespace));
            let service = Some(clean::line(deployment));
            let change = ChangeEvent { at: *at, service, what: clean::line(&what), by: None, link: None, is_release };
            out.push(Rollout { change, namespace: namespace.to_owned(), replica_set: set.metadata.name.clone(), rollback });
        }
    }
    out
}

/// The images of a replica set; with a previous one, only the images that differ.
fn images(set: &ReplicaSet, previous: Option<&ReplicaSet>) -> Vec<String> {
    let image_of =
        |set: &ReplicaSet, name: &str| set.spec.template.spec.containers.iter().find(|c| c.name == name).map(|c| c.image.clone());
    let containers = set.spec.template.spec.containers.iter();
    containers
        .filter_map(|c| match previous.map(|p| image_of(p, &c.name)) {
            None => Some(c.image.clone()),
            Some(Some(old)) => (old != c.image).then(|| format!("{old} → {}", c.image)),
            Some(None) => Some(format!("{} (new container {})", c.image, c.name)),
        })
        .collect()
}

/// The earliest recorded time of an event that is within the window; its earliest recorded time when none is.
fn event_time(event: &Event, window: Window) -> Option<Timestamp> {
    let last_observed = event.series.as_ref().and_then(|s| s.last_observed_time.as_deref());
    // Events of the newer API have neither firstTimestamp nor lastTimestamp.
    let candidates =
        [event.first_timestamp.as_deref(), event.event_time.as_deref(), last_observed, event.last_timestamp.as_deref()];
    let times: Vec<Timestamp> = candidates.into_iter().filter_map(parse_time).collect();
    let first = times.iter().find(|at| window.contains(**at)).or(times.first()).copied();
    first.or_else(|| parse_time(event.metadata.creation_timestamp.as_deref()))
}

/// The change that an event reports; `None` when its reason is not one of [`ACTION_REASONS`] or it has no time.
fn event_change(event: &Event, window: Window, with_namespace: bool) -> Option<ChangeEvent> {
    let reason = event.reason.as_deref().filter(|r| ACTION_REASONS.contains(r))?;
    let at = event_time(event, window)?;
    let object = &event.involved_object;
    let service = match object.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" | "HorizontalPodAutoscaler" => Some(object.name.as_str()),
        "ReplicaSet" => object.name.rsplit_once('-').map(|(deployment, _)| deployment),
        "Pod" => Some(owner_of_pod(&object.name)),
        _ => None,
    };
    let prefix = if service.is_some() { String::new() } else { format!("{} {}: ", object.kind.to_lowercase(), object.name) };
    let suffix = namespace_suffix(&event.metadata, with_namespace);
    let message = event.message.as_deref().unwrap_or_default();
    Some(ChangeEvent {
        at,
        service: service.map(clean::line),
        what: clean::line(&format!("{prefix}{reason}{suffix}: {message}")),
        by: None,
        link: None,
        is_release: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica_set(revision: &str, at: &str, image: &str) -> serde_json::Value {
        serde_json::json!({"metadata": {"name": format!("shop-{revision}"), "namespace": "prod", "creationTimestamp": at,
            "annotations": {REVISION: revision}, "ownerReferences": [{"kind": "Deployment", "name": "shop"}]},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}, {"name": "proxy", "image": "envoy:1"}]}}}})
    }

    fn rollouts(sets: serde_json::Value, with_namespace: bool) -> Vec<Rollout> {
        find_rollouts(&serde_json::from_value::<Vec<ReplicaSet>>(sets).unwrap(), with_namespace)
    }

    fn describe(found: &[Rollout]) -> Vec<String> {
        found.iter().map(|r| format!("{} {}", r.change.at, r.change.what)).collect()
    }

    fn scaling_event(at: &str, message: &str) -> Event {
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
    fn compares_rollouts_with_the_revision_they_replaced() {
        let sets = serde_json::json!([
            replica_set("10", "2026-11-21T09:17:00Z", "shop:1.42.0"),
            replica_set("9", "2026-11-20T08:00:00Z", "shop:1.41.3"),
            replica_set("11", "2026-11-21T09:40:00Z", "shop:1.42.0"),
            {"metadata": {"name": "alone", "annotations": null, "ownerReferences": null}},
        ]);
        let found = rollouts(sets, true);
        let expected = [
            "2026-11-20T08:00:00Z revision 9 rolled out in prod: image shop:1.41.3, envoy:1",
            "2026-11-21T09:17:00Z revision 10 rolled out in prod: image shop:1.41.3 → shop:1.42.0",
            "2026-11-21T09:40:00Z revision 11 rolled out in prod with unchanged images (new settings or a restart)",
        ];
        assert_eq!(describe(&found), expected);
        // Scaling the new replica set up and others down is part of the rollout; later or opposite scaling is not.
        for (at, message, is_included) in [
            ("2026-11-21T09:17:01Z", "Scaled up replica set shop-10 from 0 to 1", true),
            ("2026-11-21T09:18:00Z", "Scaled down replica set shop-9 from 4 to 3", true),
            ("2026-11-21T09:19:00Z", "Scaled down replica set shop-10 from 6 to 1", false),
            ("2026-11-21T09:20:00Z", "Scaled up replica set shop-9 from 0 to 4", false),
            ("2026-11-21T09:30:00Z", "Scaled up replica set shop-10 from 4 to 9", false),
        ] {
            assert_eq!(found[1].includes(&scaling_event(at, message), window()), is_included, "{message}");
        }
        let mut elsewhere = scaling_event("2026-11-21T09:17:01Z", "Scaled up replica set shop-10 from 0 to 1");
        elsewhere.metadata.namespace = "staging".into();
        assert!(!found[1].includes(&elsewhere, window()));
    }

    #[test]
    fn a_rollback_has_the_time_of_its_events_and_not_of_the_old_replica_set() {
        let (old, new) =
            (replica_set("3", "2026-11-21T09:00:00Z", "shop:1.41.3"), replica_set("2", "2026-11-21T09:17:00Z", "shop:1.42.0"));
        let found = rollouts(serde_json::json!([old, new]), false);
        let expected = [
            "2026-11-21T09:00:00Z rolled out: image shop:1.41.3, envoy:1",
            "2026-11-21T09:17:00Z revision 2 rolled out: image shop:1.41.3 → shop:1.42.0",
        ];
        assert_eq!(describe(&found), expected);
        let events = [scaling_event("2026-11-21T09:21:00Z", "Scaled up replica set shop-3 from 0 to 1")];
        let rollbacks: Vec<String> =
            found.iter().filter_map(|r| r.rollback_change(&events, window())).map(|c| format!("{} {}", c.at, c.what)).collect();
        assert_eq!(rollbacks, ["2026-11-21T09:21:00Z rolled back to image shop:1.41.3, envoy:1 (revision 3)"]);
        assert!(found.iter().all(|r| r.rollback_change(&[], window()).is_none()), "without an event the time is unknown");
        // A rollout after the rollback replaces the restored revision.
        let (old, new) =
            (replica_set("3", "2026-11-21T09:00:00Z", "shop:1.0"), replica_set("2", "2026-11-21T09:10:00Z", "shop:2.0"));
        let found = rollouts(serde_json::json!([old, new, replica_set("4", "2026-11-21T09:30:00Z", "shop:1.1")]), false);
        assert_eq!(describe(&found)[2], "2026-11-21T09:30:00Z revision 4 rolled out: image shop:1.0 → shop:1.1");
    }

    #[test]
    fn events_are_changes_only_when_they_report_an_action() {
        let window =
            Window::new(Timestamp::parse("2026-11-21T09:10:00Z").unwrap(), Timestamp::parse("2026-11-21T09:30:00Z").unwrap());
        let event = |reason: &str, kind: &str, name: &str, times: serde_json::Value| {
            let mut event = serde_json::json!({"metadata": {"creationTimestamp": "2026-11-21T09:00:00Z", "namespace": "prod"},
                "involvedObject": {"kind": kind, "name": name}, "reason": reason, "message": "it\u{1b}[1m was so"});
            event.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
            let event: Event = serde_json::from_value(event).unwrap();
            event_change(&event, window, false).map(|c| format!("{} {}: {}", c.at, c.service.unwrap_or_default(), c.what))
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
}
