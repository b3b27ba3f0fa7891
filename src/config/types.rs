//! The parts of a configuration that the rest of the program uses.

use crate::telemetry::names::NameKind;
use crate::telemetry::parse::Formats;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::secret::{CommandLine, SecretRef};

/// TLS settings: the certificate of a private authority, and the client certificate with its key. All are PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
}

/// A user name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    pub user: String,
    pub password: SecretRef,
}

/// How warroom authenticates to a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    None,
    Bearer(SecretRef),
    Basic(BasicAuth),
    Header {
        name: String,
        value: SecretRef,
    },
}

/// A configured source. Each source type checks the keys that it needs (see `sources::registry`).
#[derive(Clone, Debug)]
pub struct SourceConfig {
    pub name: String,
    pub kind: String,
    pub url: Option<String>,
    pub auth: Auth,
    pub headers: BTreeMap<String, String>,
    pub tls: TlsConfig,
    pub timeout: Duration,
    /// Globs of a file source.
    pub paths: Vec<String>,
    /// The file of a recording, the folder of a git repository.
    pub path: Option<String>,
    /// The Kubernetes namespace to query; `None` queries all.
    pub namespace: Option<String>,
    /// Label matchers that restrict which alerts are fetched.
    pub matchers: Vec<String>,
    /// A LogQL stream selector that restricts every query to Loki.
    pub selector: Option<String>,
    /// The service of log lines, commits and changes that do not name a service.
    pub service: Option<String>,
    /// The time zone of timestamps without one, in minutes east of UTC.
    pub timezone_offset_minutes: i32,
    /// The formats of log lines that the user described, the same for every source.
    pub log_formats: Formats,
}

/// The team's own programs for on-call rotas and paging, and the PagerDuty services that can be paged.
#[derive(Clone, Debug, Default)]
pub struct OncallConfig {
    /// Prints who is on call.
    pub show: Option<CommandLine>,
    /// Pages someone; `{name}`, `{text}`, `{brief}` and `{incident}` are filled in.
    pub page: Option<CommandLine>,
    pub pagerduty: Vec<PagerDutyConfig>,
}

/// A PagerDuty service that can be paged by its name.
#[derive(Clone, Debug)]
pub struct PagerDutyConfig {
    pub name: String,
    /// The address of the Events API v2.
    pub url: String,
    pub routing_key: Option<SecretRef>,
    pub tls: TlsConfig,
}

/// Service level objectives: the share of requests that must succeed, such as 0.999.
#[derive(Clone, Debug, PartialEq)]
pub struct SloConfig {
    /// For services without an objective of their own.
    pub objective: f64,
    pub services: BTreeMap<String, f64>,
}

impl Default for SloConfig {
    fn default() -> Self {
        Self { objective: 0.999, services: BTreeMap::new() }
    }
}

impl SloConfig {
    /// The objective of a service.
    pub fn objective_of(&self, service: &str) -> f64 {
        self.services.get(service).copied().unwrap_or(self.objective)
    }
}

/// The type of an issue tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackerKind {
    Github,
    Gitlab,
}

/// An issue tracker that action items can be sent to.
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    pub name: String,
    pub kind: TrackerKind,
    /// The base URL of its API.
    pub url: String,
    /// `owner/repository` for GitHub; the path or the number of a project for GitLab.
    pub project: String,
    pub token: Option<SecretRef>,
    /// The labels that every issue gets.
    pub labels: Vec<String>,
    pub tls: TlsConfig,
    pub timeout: Duration,
}

/// An endpoint for chat with a language model.
#[derive(Clone, Debug)]
pub struct AssistantConfig {
    pub base_url: String,
    pub model: String,
    pub api_key: Option<SecretRef>,
    /// The size of the model's context window, in tokens.
    pub context_tokens: u64,
    /// The part of the context window that is reserved for the answer, in tokens.
    pub answer_tokens: u64,
    /// The longest pause in the stream of an answer.
    pub timeout: Duration,
    /// Sent only when set, because reasoning models reject it.
    pub temperature: Option<f64>,
    /// How much a reasoning model thinks: `none`, `minimal`, `low`, `medium` or `high`, as the server knows them.
    pub reasoning_effort: Option<String>,
    /// Further fields of the request, as the server documents them; `null` removes a field.
    pub extra_body: serde_json::Map<String, serde_json::Value>,
    /// The proxy for requests to this model; `None` for the system's.
    pub proxy: Option<String>,
    /// The names of the models to ask in turn if this one does not answer.
    pub fallback: Vec<String>,
    /// The names of the models for short and for difficult prompts; `None` for this one.
    pub fast: Option<String>,
    pub careful: Option<String>,
    /// The price of a million tokens of a prompt, in any currency; `None` if it is free or not known.
    pub input_price: Option<f64>,
    /// The price of a million tokens of an answer.
    pub output_price: Option<f64>,
    /// The most that the answers about one incident may cost; `None` for no limit.
    pub max_cost: Option<f64>,
    /// The kinds of names to hide from the provider of this model.
    pub mask: Vec<NameKind>,
    pub tls: TlsConfig,
    pub headers: BTreeMap<String, String>,
    /// Further models, by their name for `ask --model`.
    pub named: BTreeMap<String, AssistantConfig>,
}

/// What the terminal rings for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notification {
    /// A critical alert began to fire.
    Alert,
    /// An update to stakeholders is overdue.
    Update,
    /// An answer of the assistant is complete.
    Answer,
}

/// Settings of the terminal UI.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
pub struct UiConfig {
    pub theme: Option<String>,
    pub mouse: bool,
    /// What the terminal rings for.
    pub notify: Vec<Notification>,
    /// Whether the title of the terminal shows the incident.
    pub title: bool,
    /// Whether the next start shows what was open when the program was ended.
    pub restore: bool,
    /// Disables every action that changes something.
    pub read_only: bool,
    /// A label for the header, such as `prod-eu`.
    pub profile: Option<String>,
    /// The interval between queries for alerts.
    pub refresh: Duration,
}

impl Default for UiConfig {
    fn default() -> Self {
        Self {
            theme: None,
            mouse: false,
            notify: vec![Notification::Alert, Notification::Update, Notification::Answer],
            title: true,
            restore: true,
            read_only: false,
            profile: None,
            refresh: Duration::from_secs(10),
        }
    }
}
