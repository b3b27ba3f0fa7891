//! A source of alerts from Alertmanager's API v2, with the silences and inhibitions that suppress them.
//!
//! The `endsAt` of a firing alert is in the future and does not mean that the alert ended, so it is ignored; the state
//! decides. Errors are a bare JSON string, or an object with a `message`. Fields that older servers do not send are
//! optional, and `null` where a list or a map belongs is empty.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::{FaultKind, SourceError};
use super::http::{Http, Params, Reply, refused, status_kind};
use super::lenient::{self, Items, or_default};
use super::prometheus::{clean_labels, severity};
use super::{AlertSource, Answer, AnswerFuture, Probe, SilenceStore, Source};
use crate::analysis::expression::is_constant;
use crate::config::SourceConfig;
use crate::telemetry::matcher::{Comparison, Matcher};
use crate::telemetry::silence::{NewSilence, SilenceRecord, SilenceState};
use crate::telemetry::{Alert, AlertState, Labels, Silence, Timestamp, clean};

/// The largest number of alerts returned; the API has no paging, so a response can be of any size.
const MAX_ALERTS: usize = 20_000;

/// An Alertmanager server.
pub struct Alertmanager {
    name: String,
    http: Http,
    matchers: Vec<String>,
}

#[derive(Deserialize)]
struct RawAlert {
    #[serde(default, deserialize_with = "lenient::labels")]
    labels: Labels,
    #[serde(default, deserialize_with = "lenient::labels")]
    annotations: Labels,
    #[serde(default, deserialize_with = "or_default")]
    fingerprint: String,
    #[serde(default, rename = "startsAt", deserialize_with = "or_default")]
    starts_at: String,
    #[serde(default, rename = "generatorURL", deserialize_with = "or_default")]
    generator_url: String,
    #[serde(default, deserialize_with = "or_default")]
    status: RawStatus,
}

#[derive(Default, Deserialize)]
struct RawStatus {
    #[serde(default, deserialize_with = "or_default")]
    state: String,
    #[serde(default, rename = "silencedBy", deserialize_with = "or_default")]
    silenced_by: Vec<String>,
    #[serde(default, rename = "inhibitedBy", deserialize_with = "or_default")]
    inhibited_by: Vec<String>,
    #[serde(default, rename = "mutedBy", deserialize_with = "or_default")]
    muted_by: Vec<String>,
}

/// A matcher of a silence. Servers before 0.22 do not send `isEqual`.
#[derive(Deserialize)]
struct RawMatcher {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    value: String,
    #[serde(default, rename = "isRegex", deserialize_with = "or_default")]
    is_regex: bool,
    #[serde(default, rename = "isEqual")]
    is_equal: Option<bool>,
}

impl RawMatcher {
    /// The matcher; `None` if its expression cannot be used.
    fn matcher(&self) -> Option<Matcher> {
        let comparison = match (self.is_regex, self.is_equal.unwrap_or(true)) {
            (false, true) => Comparison::Equal,
            (false, false) => Comparison::NotEqual,
            (true, true) => Comparison::Regex,
            (true, false) => Comparison::NotRegex,
        };
        Matcher::new(&self.name, comparison, &self.value).ok()
    }
}

#[derive(Deserialize)]
struct RawSilence {
    #[serde(default, deserialize_with = "or_default")]
    matchers: Vec<RawMatcher>,
    #[serde(default, deserialize_with = "or_default")]
    status: RawStatus,
    #[serde(default, rename = "startsAt", deserialize_with = "or_default")]
    starts_at: String,
    #[serde(default, deserialize_with = "or_default")]
    id: String,
    #[serde(default, rename = "createdBy", deserialize_with = "or_default")]
    created_by: String,
    #[serde(default, deserialize_with = "or_default")]
    comment: String,
    #[serde(default, rename = "endsAt", deserialize_with = "or_default")]
    ends_at: String,
}

impl Alertmanager {
    /// Creates the source from its configuration; opens no connection.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        Ok(Self { name: config.name.clone(), http: Http::new(config)?, matchers: config.matchers.clone() })
    }

    /// All silences by id; empty, without a request, when no alert is silenced.
    async fn silences(&self, alerts: &[RawAlert]) -> Result<HashMap<String, Silence>, SourceError> {
        if alerts.iter().all(|a| a.status.silenced_by.is_empty()) {
            return Ok(HashMap::new());
        }
        let raw: Items<RawSilence> = self.http.get_json("api/v2/silences", &Vec::new()).await?;
        Ok(raw
            .items
            .into_iter()
            .map(|s| {
                let silence = Silence {
                    id: clean::line(&s.id),
                    created_by: clean::line(&s.created_by),
                    comment: clean::line(&s.comment),
                    ends_at: Timestamp::parse(&s.ends_at).ok(),
                };
                (s.id, silence)
            })
            .collect())
    }
}

fn alert(raw: RawAlert, silences: &HashMap<String, Silence>, source: &str) -> Alert {
    let labels = clean_labels(&raw.labels);
    let is_suppressed =
        !raw.status.silenced_by.is_empty() || !raw.status.inhibited_by.is_empty() || !raw.status.muted_by.is_empty();
    let unknown_silence =
        |id: &String| Silence { id: clean::line(id), created_by: String::new(), comment: String::new(), ends_at: None };
    Alert {
        fingerprint: if raw.fingerprint.is_empty() {
            super::fingerprint::fingerprint(&labels)
        } else {
            clean::line(&raw.fingerprint)
        },
        name: labels.get("alertname").cloned().unwrap_or_else(|| "(no alertname)".to_owned()),
        severity: severity(&labels),
        state: if is_suppressed || raw.status.state == "suppressed" { AlertState::Suppressed } else { AlertState::Firing },
        starts_at: Timestamp::parse(&raw.starts_at).ok(),
        pending_since: None,
        annotations: clean_labels(&raw.annotations),
        labels,
        source: source.to_owned(),
        occurrences: 1,
        value: None,
        unit: String::new(),
        silenced_by: raw
            .status
            .silenced_by
            .iter()
            .map(|id| silences.get(id).cloned().unwrap_or_else(|| unknown_silence(id)))
            .collect(),
        inhibited_by: raw.status.inhibited_by.iter().map(|i| clean::line(i)).collect(),
        muted_by: raw.status.muted_by.iter().map(|i| clean::line(i)).collect(),
        is_constant: expression_of(&raw.generator_url).is_some_and(|e| is_constant(&e)),
        generator_url: clean::line(&raw.generator_url),
        aliases: Vec::new(),
        also_in: Vec::new(),
    }
}

/// The expression in a link to Prometheus's page of graphs (`…/graph?g0.expr=…`).
fn expression_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    url.query_pairs().find(|(name, _)| name == "g0.expr").map(|(_, expression)| expression.into_owned())
}

impl Source for Alertmanager {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &'static str {
        "alertmanager"
    }
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
        async move {
            let status: Value = self.http.get_json("api/v2/status", &Vec::new()).await?;
            let version = status.pointer("/versionInfo/version").and_then(Value::as_str).unwrap_or("unknown");
            let cluster = status.pointer("/cluster/status").and_then(Value::as_str).unwrap_or("unknown");
            Ok(Probe::ok(clean::line(&format!("version {version}, cluster {cluster}"))))
        }
        .boxed()
    }
    fn alerts(&self) -> Option<&dyn AlertSource> {
        Some(self)
    }
    fn silences(&self) -> Option<&dyn SilenceStore> {
        Some(self)
    }
}

/// The error of a change that the server refused.
fn check(reply: &Reply) -> Result<(), SourceError> {
    if status_kind(reply.status).is_some() { Err(refused(reply, None)) } else { Ok(()) }
}

impl SilenceStore for Alertmanager {
    fn list(&self) -> AnswerFuture<'_, Vec<SilenceRecord>> {
        async move {
            let raw: Items<RawSilence> = self.http.get_json("api/v2/silences", &Vec::new()).await?;
            let gaps = raw.gap("silence").into_iter().collect();
            let record = |s: RawSilence| SilenceRecord {
                id: clean::line(&s.id),
                source: self.name.clone(),
                // A matcher that cannot be read matches nothing, rather than making the silence look wider than it is.
                matchers: s.matchers.iter().map(RawMatcher::matcher).collect::<Option<_>>().unwrap_or_default(),
                state: match s.status.state.as_str() {
                    "pending" => SilenceState::Pending,
                    "expired" => SilenceState::Expired,
                    _ => SilenceState::Active,
                },
                starts_at: Timestamp::parse(&s.starts_at).ok(),
                ends_at: Timestamp::parse(&s.ends_at).ok(),
                created_by: clean::line(&s.created_by),
                comment: clean::line(&s.comment),
            };
            let value: Vec<SilenceRecord> = raw.items.into_iter().map(record).collect();
            Ok(Answer { value, gaps, failed: Vec::new(), total: None, unread: Vec::new() })
        }
        .boxed()
    }

    fn create<'a>(&'a self, new: &'a NewSilence, replaces: Option<&'a str>) -> BoxFuture<'a, Result<String, SourceError>> {
        async move {
            let matcher = |m: &Matcher| {
                let is_regex = matches!(m.comparison, Comparison::Regex | Comparison::NotRegex);
                json!({"name": m.label, "value": m.value, "isRegex": is_regex, "isEqual": m.comparison.is_equal()})
            };
            let mut body = json!({
                "matchers": new.matchers.iter().map(matcher).collect::<Vec<_>>(),
                "startsAt": new.starts_at.rfc3339(), "endsAt": new.ends_at.rfc3339(),
                "createdBy": new.created_by, "comment": new.comment,
            });
            if let (Some(id), Some(fields)) = (replaces, body.as_object_mut()) {
                fields.insert("id".to_owned(), json!(id));
            }
            let reply = self.http.change(Method::POST, "api/v2/silences", Some(&body)).await?;
            check(&reply)?;
            let answer: Value = reply.json()?;
            // Grafana names it `id` in some versions.
            let id = ["silenceID", "silenceId", "id"].iter().find_map(|key| answer.get(key).and_then(Value::as_str));
            id.map(clean::line).ok_or_else(|| SourceError::new(FaultKind::Malformed, "the answer does not name the silence"))
        }
        .boxed()
    }

    fn expire<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), SourceError>> {
        async move {
            if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') || id.is_empty() {
                return Err(SourceError::new(FaultKind::NotFound, format!("'{id}' is not the id of a silence")));
            }
            check(&self.http.change(Method::DELETE, &format!("api/v2/silence/{id}"), None).await?)
        }
        .boxed()
    }
}

impl AlertSource for Alertmanager {
    fn active(&self) -> AnswerFuture<'_, Vec<Alert>> {
        async move {
            let params: Params<'_> = self.matchers.iter().map(|m| ("filter", m.clone())).collect();
            let raw: Items<RawAlert> = self.http.get_json("api/v2/alerts", &params).await?;
            let mut gaps: Vec<String> = raw.gap("alert").into_iter().collect();
            let raw = raw.items;
            let silences = self.silences(&raw).await.unwrap_or_else(|e| {
                gaps.push(format!("cannot read silences: {e}"));
                HashMap::new()
            });
            let total = raw.len();
            if total > MAX_ALERTS {
                gaps.push(format!(
                    "{total} alerts received; only the first {MAX_ALERTS} are included; set matchers to narrow the list"
                ));
            }
            let alerts = raw.into_iter().take(MAX_ALERTS).map(|a| alert(a, &silences, &self.name)).collect();
            Ok(Answer { value: alerts, gaps, failed: Vec::new(), total: u64::try_from(total).ok(), unread: Vec::new() })
        }
        .boxed()
    }
    fn query(&self) -> String {
        let filters: String = self.matchers.iter().map(|m| format!("&filter={m}")).collect();
        format!("GET /api/v2/alerts{}", filters.replacen('&', "?", 1))
    }
}
