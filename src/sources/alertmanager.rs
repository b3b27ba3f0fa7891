//! A source of alerts from Alertmanager's API v2, with the silences and inhibitions that suppress them.
//!
//! The `endsAt` of a firing alert is in the future and does not mean that the alert ended, so it is ignored; the state
//! decides. Errors are a bare JSON string, or an object with a `message`. Fields that older servers do not send are
//! optional, and `null` where a list or a map belongs is empty.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::fault::SourceError;
use super::http::{Http, Params};
use super::lenient::{self, Items, or_default};
use super::prometheus::{clean_labels, severity};
use super::{AlertSource, Answer, AnswerFuture, Probe, Source};
use crate::analysis::expression::is_constant;
use crate::config::SourceConfig;
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

#[derive(Deserialize)]
struct RawSilence {
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
