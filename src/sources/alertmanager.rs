//! A source of alerts from Alertmanager's API v2, with the silences and inhibitions that suppress them.
//!
//! The `endsAt` of a firing alert is in the future and does not mean that the alert ended, so it is ignored; the state
//! decides. Errors are a bare JSON string, or an object with a `message`. Fields that older servers do not send are
//! optional.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::fault::SourceError;
use super::http::{Http, Params};
use super::prometheus::{clean_labels, severity};
use super::{AlertSource, Answer, AnswerFuture, Probe, Source};
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
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
    #[serde(default)]
    fingerprint: String,
    #[serde(default, rename = "startsAt")]
    starts_at: String,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
    #[serde(default)]
    status: RawStatus,
}

#[derive(Default, Deserialize)]
struct RawStatus {
    #[serde(default)]
    state: String,
    #[serde(default, rename = "silencedBy")]
    silenced_by: Vec<String>,
    #[serde(default, rename = "inhibitedBy")]
    inhibited_by: Vec<String>,
    #[serde(default, rename = "mutedBy")]
    muted_by: Vec<String>,
}

#[derive(Deserialize)]
struct RawSilence {
    #[serde(default)]
    id: String,
    #[serde(default, rename = "createdBy")]
    created_by: String,
    #[serde(default)]
    comment: String,
    #[serde(default, rename = "endsAt")]
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
        let raw: Vec<RawSilence> = self.http.get_json("api/v2/silences", &Vec::new()).await?;
        Ok(raw
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
        inhibited_by: raw.status.inhibited_by.iter().chain(&raw.status.muted_by).map(|i| clean::line(i)).collect(),
        generator_url: clean::line(&raw.generator_url),
    }
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
            let raw: Vec<RawAlert> = self.http.get_json("api/v2/alerts", &params).await?;
            let mut gaps = Vec::new();
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
            Ok(Answer { value: alerts, gaps, failed: Vec::new(), total: u64::try_from(total).ok() })
        }
        .boxed()
    }
    fn query(&self) -> String {
        let filters: String = self.matchers.iter().map(|m| format!("&filter={m}")).collect();
        format!("GET /api/v2/alerts{}", filters.replacen('&', "?", 1))
    }
}
