//! A source of alerts, alerting rules and metrics from servers with the HTTP API of Prometheus (`/api/v1`).
//!
//! Queries are sent as POST forms, because proxies reject long URLs. If the server or a proxy refuses POST, they are sent as
//! GET from then on. Sample values are strings (also `NaN`, `+Inf`). An alert's `activeAt` is when its condition first held;
//! the alert fires from then plus the rule's `for`. `warnings` and VictoriaMetrics' `isPartial` are reported as gaps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use super::fault::{FaultKind, SourceError};
use super::fingerprint::fingerprint;
use super::http::{Http, Params, Reply, refused, status_kind};
use super::lenient::{self, Items, or_default};
use super::{AlertSource, Answer, AnswerFuture, MetricSource, Probe, Source};
use crate::analysis::expression::{is_constant, unit_of_rule};
use crate::config::SourceConfig;
use crate::telemetry::series::{Sample, parse_value};
use crate::telemetry::{Alert, AlertSeverity, AlertState, Labels, Rule, Series, Timestamp, Window, clean};

/// The largest number of series returned for one query; if there are more, a gap says how many.
const MAX_SERIES: usize = 2000;

/// How old the text of rules may be that were read for their alerts.
const RULES_AGE: Duration = Duration::from_secs(10);

/// A Prometheus-compatible server.
pub struct Prometheus {
    name: String,
    http: Http,
    get_only: AtomicBool,
    /// The rules that were read most recently, and when. Their text changes rarely, so alerts and rules need only one question.
    latest_rules: Mutex<Option<(Instant, Answer<Vec<RawRule>>)>>,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    status: String,
    #[serde(default)]
    data: Value,
    error: Option<String>,
    #[serde(default, rename = "isPartial", deserialize_with = "or_default")]
    is_partial: bool,
    #[serde(default, deserialize_with = "or_default")]
    warnings: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    infos: Vec<String>,
}

#[derive(Deserialize)]
struct RawRules {
    #[serde(default)]
    groups: Items<RawGroup>,
}

#[derive(Deserialize)]
struct RawGroup {
    #[serde(default)]
    rules: Items<RawRule>,
}

#[derive(Clone, Deserialize)]
struct RawRule {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    query: String,
    #[serde(default, deserialize_with = "or_default")]
    duration: f64,
    #[serde(default, deserialize_with = "lenient::labels")]
    labels: Labels,
    #[serde(default, deserialize_with = "lenient::labels")]
    annotations: Labels,
    #[serde(default)]
    alerts: Items<RawAlert>,
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    kind: String,
}

#[derive(Clone, Deserialize)]
struct RawAlert {
    #[serde(default, deserialize_with = "lenient::labels")]
    labels: Labels,
    #[serde(default, deserialize_with = "lenient::labels")]
    annotations: Labels,
    #[serde(default, deserialize_with = "or_default")]
    state: String,
    #[serde(rename = "activeAt")]
    active_at: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    value: String,
}

#[derive(Deserialize)]
struct RawResult {
    #[serde(default, rename = "resultType")]
    kind: String,
    #[serde(default)]
    result: Value,
}

#[derive(Deserialize)]
struct RawSeries {
    #[serde(default, deserialize_with = "lenient::labels")]
    metric: Labels,
    #[serde(default, deserialize_with = "or_default")]
    values: Vec<(f64, String)>,
    value: Option<(f64, String)>,
    /// Samples of a native histogram.
    #[serde(default, deserialize_with = "or_default")]
    histograms: Vec<serde::de::IgnoredAny>,
    histogram: Option<serde::de::IgnoredAny>,
}

impl RawSeries {
    fn is_histogram(&self) -> bool {
        self.values.is_empty() && self.value.is_none() && (!self.histograms.is_empty() || self.histogram.is_some())
    }
}

impl Prometheus {
    /// Creates the source from its configuration; opens no connection.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        Ok(Self {
            name: config.name.clone(),
            http: Http::new(config)?,
            get_only: AtomicBool::new(false),
            latest_rules: Mutex::default(),
        })
    }

    /// Sends a query by POST, or by GET if the server refuses POST.
    async fn call(&self, path: &str, params: &Params<'_>) -> Result<Reply, SourceError> {
        if !self.get_only.load(Ordering::Relaxed) {
            let reply = self.http.post_form(path, params).await?;
            if !matches!(reply.status, 403 | 404 | 405 | 501) {
                return Ok(reply);
            }
            let by_get = self.http.get(path, params).await?;
            if status_kind(by_get.status).is_none() {
                self.get_only.store(true, Ordering::Relaxed);
            }
            return Ok(by_get);
        }
        self.http.get(path, params).await
    }

    /// Unwraps the `data` of a response; warnings become gaps. An error when the response does not report success.
    fn parse_envelope(reply: &Reply) -> Result<Answer<Value>, SourceError> {
        let envelope: Result<Envelope, SourceError> = reply.json();
        if status_kind(reply.status).is_some() {
            return Err(refused(reply, envelope.ok().and_then(|e| e.error)));
        }
        let envelope = envelope?;
        if envelope.status != "success" {
            let message = envelope.error.unwrap_or_else(|| "the response does not report success".to_owned());
            return Err(SourceError::new(FaultKind::Malformed, message));
        }
        let mut gaps: Vec<String> = envelope.warnings.iter().map(|w| clean::line(w)).collect();
        // Other infos are advice on the query. Aggregations such as `max` leave out native histograms, and say only this.
        if envelope.infos.iter().any(|info| info.contains("histogram")) {
            gaps.push(NATIVE_HISTOGRAMS.to_owned());
        }
        if envelope.is_partial {
            gaps.push("the server reports that the response is partial".to_owned());
        }
        Ok(Answer { value: envelope.data, gaps, failed: Vec::new(), total: None, unread: Vec::new() })
    }

    /// The rules of all groups, with their alerts.
    async fn raw_rules(&self) -> Result<Answer<Vec<RawRule>>, SourceError> {
        let reply = self.http.get("api/v1/rules", &vec![("type", "alert".to_owned())]).await?;
        let answer = Self::parse_envelope(&reply)?;
        let raw: RawRules = decode(answer.value)?;
        let mut gaps = answer.gaps;
        gaps.extend(raw.groups.gap("group of rules"));
        gaps.extend(raw.groups.items.iter().filter_map(|g| g.rules.gap("rule")));
        let rules: Vec<RawRule> = raw.groups.items.into_iter().flat_map(|g| g.rules.items).collect();
        gaps.extend(rules.iter().filter_map(|rule| rule.alerts.gap("alert")));
        let answer = Answer { value: rules, gaps, failed: Vec::new(), total: None, unread: Vec::new() };
        *self.latest_rules.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answer.clone()));
        Ok(answer)
    }

    /// The rules as they were read at most [`RULES_AGE`] ago, or else as they are now. Their alerts may be out of date.
    async fn recent_rules(&self) -> Result<Answer<Vec<RawRule>>, SourceError> {
        let recent = self.latest_rules.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match recent.filter(|(at, _)| at.elapsed() <= RULES_AGE) {
            Some((_, answer)) => Ok(answer),
            None => self.raw_rules().await,
        }
    }

    async fn samples(&self, path: &str, params: Params<'_>) -> Result<Answer<Vec<Series>>, SourceError> {
        let reply = self.call(path, &params).await?;
        let answer = Self::parse_envelope(&reply)?;
        let raw: RawResult = decode(answer.value)?;
        let (series, has_histograms) = parse_series(&raw)?;
        let total = series.len();
        let mut gaps = answer.gaps;
        if has_histograms && !gaps.iter().any(|g| g == NATIVE_HISTOGRAMS) {
            gaps.push(NATIVE_HISTOGRAMS.to_owned());
        }
        if total > MAX_SERIES {
            gaps.push(format!("{total} series matched; only the first {MAX_SERIES} are included"));
        }
        Ok(Answer {
            value: series.into_iter().take(MAX_SERIES).collect(),
            gaps,
            failed: Vec::new(),
            total: u64::try_from(total).ok(),
            unread: Vec::new(),
        })
    }
}

/// A label name as a part of a path: Prometheus 3 encodes names with other characters than letters, digits and `_` as `U__` with the
/// code point of each such character between underscores (proposal "UTF-8 support for metric and label names").
fn path_name(label: &str) -> String {
    let is_plain = |(at, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || at > 0 && c.is_ascii_digit();
    if label.chars().enumerate().all(is_plain) {
        return label.to_owned();
    }
    let encode = |(at, c): (usize, char)| match c {
        '_' => "__".to_owned(),
        c if is_plain((at, c)) => c.to_string(),
        c => format!("_{:x}_", u32::from(c)),
    };
    format!("U__{}", label.chars().enumerate().map(encode).collect::<String>())
}

fn decode<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, SourceError> {
    serde_json::from_value(value)
        .map_err(|e| SourceError::new(FaultKind::Malformed, format!("the response has an unexpected shape: {e}")))
}

/// Cleans labels for display; values are cut at 4,096 bytes.
pub(super) fn clean_labels(labels: &Labels) -> Labels {
    labels.iter().map(|(k, v)| (clean::line(k), clean::truncate(&clean::line(v), 4096))).collect()
}

/// The gap of an answer without the native histograms that the query selects.
const NATIVE_HISTOGRAMS: &str = "native histograms are left out, because they are not single values";

/// The series of a query result, and whether some were native histograms, which are left out. A scalar or string becomes one series
/// without labels. Invalid samples are left out.
fn parse_series(raw: &RawResult) -> Result<(Vec<Series>, bool), SourceError> {
    if matches!(raw.kind.as_str(), "scalar" | "string") {
        let (at, value): (f64, String) = decode(raw.result.clone())?;
        return Ok((vec![Series { labels: Labels::new(), samples: sample(at, &value).into_iter().collect() }], false));
    }
    let list: Vec<RawSeries> = decode(raw.result.clone())?;
    let has_histograms = list.iter().any(RawSeries::is_histogram);
    let series = list.into_iter().filter(|s| !s.is_histogram()).map(|s| Series {
        labels: clean_labels(&s.metric),
        samples: s.values.iter().chain(s.value.iter()).filter_map(|(at, v)| sample(*at, v)).collect(),
    });
    Ok((series.collect(), has_histograms))
}

fn sample(at: f64, value: &str) -> Option<Sample> {
    Some(Sample { at: Timestamp::from_secs_f64(at)?, value: parse_value(value)? })
}

impl Source for Prometheus {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &'static str {
        "prometheus"
    }
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
        async move {
            let reply = self.http.get("api/v1/status/buildinfo", &Vec::new()).await?;
            if reply.status == 404 {
                // Compatible servers may lack this endpoint; a trivial query shows that they answer.
                self.samples("api/v1/query", vec![("query", "vector(1)".to_owned())]).await?;
                return Ok(Probe::ok("answers queries, reports no version"));
            }
            let data = Self::parse_envelope(&reply)?.value;
            Ok(Probe::ok(format!("version {}", data.get("version").and_then(Value::as_str).unwrap_or("unknown"))))
        }
        .boxed()
    }
    fn alerts(&self) -> Option<&dyn AlertSource> {
        Some(self)
    }
    fn metrics(&self) -> Option<&dyn MetricSource> {
        Some(self)
    }
}

impl AlertSource for Prometheus {
    fn active(&self) -> AnswerFuture<'_, Vec<Alert>> {
        async move {
            let answer = self.raw_rules().await?;
            let alerts =
                answer.value.iter().flat_map(|rule| rule.alerts.items.iter().map(|a| alert(rule, a, &self.name))).collect();
            Ok(Answer { value: alerts, gaps: answer.gaps, failed: Vec::new(), total: None, unread: Vec::new() })
        }
        .boxed()
    }
    fn query(&self) -> String {
        "GET /api/v1/rules?type=alert".to_owned()
    }
}

/// An alert of a rule; it starts when it began to fire, or when its condition first held while it is pending.
fn alert(rule: &RawRule, raw: &RawAlert, source: &str) -> Alert {
    let mut labels = clean_labels(&raw.labels);
    labels.entry("alertname".to_owned()).or_insert_with(|| clean::line(&rule.name));
    let active = raw.active_at.as_deref().and_then(|t| Timestamp::parse(t).ok());
    let firing = raw.state.eq_ignore_ascii_case("firing");
    let since = active.map(|at| if firing { at + Duration::try_from_secs_f64(rule.duration).unwrap_or_default() } else { at });
    Alert {
        fingerprint: fingerprint(&labels),
        name: labels.get("alertname").cloned().unwrap_or_default(),
        severity: severity(&labels),
        state: match raw.state.to_ascii_lowercase().as_str() {
            "firing" | "alerting" => AlertState::Firing,
            "inactive" | "normal" => AlertState::Resolved,
            _ => AlertState::Pending,
        },
        starts_at: since,
        pending_since: active,
        annotations: clean_labels(&raw.annotations),
        labels,
        source: source.to_owned(),
        occurrences: 1,
        value: parse_value(&raw.value),
        unit: unit_of_rule(&rule.query).to_owned(),
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
        generator_url: String::new(),
        aliases: Vec::new(),
        also_in: Vec::new(),
        is_constant: is_constant(&rule.query),
    }
}

/// The severity from the first of the labels `severity`, `priority` and `level` that exists.
pub(super) fn severity(labels: &Labels) -> AlertSeverity {
    ["severity", "priority", "level"]
        .iter()
        .find_map(|k| labels.get(*k))
        .map_or(AlertSeverity::Unknown, |w| AlertSeverity::from_label(w))
}

impl MetricSource for Prometheus {
    fn range<'a>(&'a self, query: &'a str, window: Window, step_secs: f64) -> AnswerFuture<'a, Vec<Series>> {
        async move {
            let params = vec![
                ("query", query.to_owned()),
                ("start", window.start.rfc3339()),
                ("end", window.end.rfc3339()),
                ("step", format!("{step_secs}")),
            ];
            self.samples("api/v1/query_range", params).await
        }
        .boxed()
    }
    fn series<'a>(&'a self, selector: &'a str, window: Window) -> AnswerFuture<'a, Vec<Labels>> {
        async move {
            let params = vec![("match[]", selector.to_owned()), ("start", window.start.rfc3339()), ("end", window.end.rfc3339())];
            let answer = Self::parse_envelope(&self.call("api/v1/series", &params).await?)?;
            let sets: Vec<Labels> = decode(answer.value)?;
            let total = sets.len();
            Ok(Answer {
                value: sets.iter().take(20_000).map(clean_labels).collect(),
                gaps: answer.gaps,
                failed: Vec::new(),
                total: u64::try_from(total).ok(),
                unread: Vec::new(),
            })
        }
        .boxed()
    }
    fn label_values<'a>(&'a self, label: &'a str, window: Window) -> AnswerFuture<'a, Vec<String>> {
        async move {
            if label.is_empty() {
                return Err(SourceError::new(FaultKind::BadQuery, "a label has no name"));
            }
            let label = path_name(label);
            let params = vec![("start", window.start.rfc3339()), ("end", window.end.rfc3339())];
            let answer = Self::parse_envelope(&self.http.get(&format!("api/v1/label/{label}/values"), &params).await?)?;
            let values: Vec<String> = decode(answer.value)?;
            Ok(Answer {
                value: values.iter().map(|v| clean::line(v)).collect(),
                gaps: answer.gaps,
                failed: Vec::new(),
                total: None,
                unread: Vec::new(),
            })
        }
        .boxed()
    }
    fn label_names(&self, window: Window) -> AnswerFuture<'_, Vec<String>> {
        async move {
            let params = vec![("start", window.start.rfc3339()), ("end", window.end.rfc3339())];
            let answer = Self::parse_envelope(&self.http.get("api/v1/labels", &params).await?)?;
            let names: Vec<String> = decode(answer.value)?;
            Ok(Answer { gaps: answer.gaps, ..Answer::complete(names.iter().map(|n| clean::line(n)).collect()) })
        }
        .boxed()
    }
    fn rules(&self) -> AnswerFuture<'_, Vec<Rule>> {
        async move {
            let answer = self.recent_rules().await?;
            Ok(answer.map(|rules| {
                rules
                    .into_iter()
                    .filter(|r| r.kind.is_empty() || r.kind == "alerting")
                    .map(|r| Rule {
                        name: clean::line(&r.name),
                        query: clean::block(&r.query),
                        for_secs: r.duration,
                        labels: clean_labels(&r.labels),
                        annotations: clean_labels(&r.annotations),
                    })
                    .collect()
            }))
        }
        .boxed()
    }
}
