//! The configuration file: its shape, and its mistakes with their place.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::secret::SecretRef;
use super::{Config, ConfigError, nearest};
use crate::incident::{Due, Severity};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    sources: Vec<toml::Spanned<RawSource>>,
    assistant: Option<toml::Spanned<RawAssistant>>,
    store: Option<RawStore>,
    user: Option<RawUser>,
    #[serde(default)]
    severity: Option<toml::Spanned<BTreeMap<String, RawSeverity>>>,
    incident: Option<toml::Spanned<RawIncident>>,
    retention: Option<toml::Spanned<RawRetention>>,
    #[serde(default)]
    oncall: OncallConfig,
    #[serde(default)]
    trackers: Vec<toml::Spanned<RawTracker>>,
    slo: Option<toml::Spanned<RawSlo>>,
    ui: Option<toml::Spanned<RawUi>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStore {
    url: String,
    password_env: Option<String>,
    password_command: Option<String>,
    password_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIncident {
    monitor_minutes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetention {
    days: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTracker {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
    project: String,
    token_env: Option<String>,
    token_command: Option<String>,
    token_file: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    tls: Option<TlsConfig>,
    timeout_secs: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeverity {
    meaning: Option<String>,
    response: Option<String>,
    update_minutes: Option<u64>,
    roles: Option<Vec<String>>,
    postmortem_days: Option<u16>,
    postmortem_business_days: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUi {
    theme: Option<String>,
    mouse: Option<bool>,
    read_only: Option<bool>,
    profile: Option<String>,
    refresh_secs: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
    auth: Option<RawAuth>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    tls: Option<TlsConfig>,
    timeout_secs: Option<f64>,
    #[serde(default)]
    paths: Vec<String>,
    path: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    matchers: Vec<String>,
    selector: Option<String>,
    service: Option<String>,
    timezone_offset_minutes: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuth {
    bearer_env: Option<String>,
    bearer_command: Option<String>,
    bearer_file: Option<String>,
    basic: Option<RawBasic>,
    header: Option<String>,
    value_env: Option<String>,
    value_command: Option<String>,
    value_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBasic {
    user: String,
    password_env: Option<String>,
    password_command: Option<String>,
    password_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAssistant {
    base_url: String,
    model: String,
    api_key_env: Option<String>,
    api_key_command: Option<String>,
    api_key_file: Option<String>,
    context_tokens: Option<u64>,
    answer_tokens: Option<u64>,
    timeout_secs: Option<f64>,
    temperature: Option<f64>,
    tls: Option<TlsConfig>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Further models by name: what they leave out is as above.
    #[serde(default)]
    models: BTreeMap<String, RawModel>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    model: String,
    base_url: Option<String>,
    api_key_env: Option<String>,
    api_key_command: Option<String>,
    api_key_file: Option<String>,
    context_tokens: Option<u64>,
    answer_tokens: Option<u64>,
}

/// Certificates of a private authority, and our own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
}

/// Name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    pub user: String,
    pub password: SecretRef,
}

/// How a source is told who asks.
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

/// One configured source. Which keys a type takes is said in `sources::registry`.
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
    /// The one Kubernetes namespace that is asked; `None`: all.
    pub namespace: Option<String>,
    /// Label matchers that narrow the alerts that are asked for.
    pub matchers: Vec<String>,
    /// A LogQL stream selector that every question to Loki stays within.
    pub selector: Option<String>,
    /// The service that a file's lines, a repository's commits and a file's changes belong to when they do not say.
    pub service: Option<String>,
    /// The zone of times without one, in minutes east of UTC.
    pub timezone_offset_minutes: i32,
}

/// Programs of the team's own that tell who is on call and page them: program and arguments, run without a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OncallConfig {
    /// Prints who is on call.
    #[serde(default)]
    pub show: Vec<String>,
    /// Pages somebody; `{name}`, `{text}` and `{incident}` are filled in.
    #[serde(default)]
    pub page: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlo {
    objective: Option<f64>,
    #[serde(default)]
    services: BTreeMap<String, f64>,
}

/// Objectives of the error budgets: the share of requests that is to succeed, such as .999.
#[derive(Clone, Debug, PartialEq)]
pub struct SloConfig {
    /// For services without one of their own.
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
    pub fn of(&self, service: &str) -> f64 {
        self.services.get(service).copied().unwrap_or(self.objective)
    }
}

/// Which tracker it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackerKind {
    Github,
    Gitlab,
}

/// A tracker that action items can be sent to.
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    pub name: String,
    pub kind: TrackerKind,
    /// The base of its API.
    pub url: String,
    /// `owner/repository`, or a GitLab project's path or number.
    pub project: String,
    pub token: Option<SecretRef>,
    /// Labels that every issue gets.
    pub labels: Vec<String>,
    pub tls: TlsConfig,
    pub timeout: Duration,
}

/// The LLM endpoint.
#[derive(Clone, Debug)]
pub struct AssistantConfig {
    pub base_url: String,
    pub model: String,
    pub api_key: Option<SecretRef>,
    /// The model's context window.
    pub context_tokens: u64,
    /// Tokens of it that are kept for the answer.
    pub answer_tokens: u64,
    /// How long the stream may stay silent.
    pub timeout: Duration,
    /// Sent only when set: reasoning models refuse it.
    pub temperature: Option<f64>,
    pub tls: TlsConfig,
    pub headers: BTreeMap<String, String>,
    /// Further models by the name that `ask --model` takes.
    pub named: BTreeMap<String, AssistantConfig>,
}

/// Looks and manners of the terminal interface.
#[derive(Clone, Debug)]
pub struct UiConfig {
    pub theme: Option<String>,
    pub mouse: bool,
    /// Nothing may be changed from the TUI.
    pub read_only: bool,
    /// A word for the header, such as `prod-eu`.
    pub profile: Option<String>,
    pub refresh: Duration,
}

impl Default for UiConfig {
    fn default() -> Self {
        Self { theme: None, mouse: false, read_only: false, profile: None, refresh: Duration::from_secs(10) }
    }
}

struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn error(&self, at: Option<usize>, message: impl Into<String>) -> ConfigError {
        let place = at.map_or_else(String::new, |at| {
            let before = self.text.get(..at.min(self.text.len())).unwrap_or("");
            format!(":{}", before.matches('\n').count() + 1)
        });
        ConfigError::Invalid { path: self.path.display().to_string(), place, message: message.into() }
    }
}

/// Puts what the file says over what is there.
pub(super) fn apply(config: &mut Config, text: &str, path: &Path) -> Result<(), ConfigError> {
    let place = Place { path, text };
    let file: File = toml::from_str(text).map_err(|e| {
        let at = e.span().map(|s| s.start);
        place.error(at, explain(e.message(), at.and_then(|at| line_around(text, at))))
    })?;
    for raw in file.sources {
        let at = raw.span().start;
        let source = source(raw.into_inner(), |m| place.error(Some(at), m))?;
        if config.sources.iter().any(|s| s.name == source.name) {
            return Err(place.error(Some(at), format!("two sources are named '{}': give each its own name", source.name)));
        }
        config.sources.push(source);
    }
    if let Some(raw) = file.assistant {
        let at = raw.span().start;
        config.assistant = Some(assistant(raw.into_inner(), &|m| place.error(Some(at), m))?);
    }
    if let Some(store) = file.store {
        config.store_url = store.url;
        config.store_password = one_of(store.password_env, store.password_command, store.password_file, "[store] password")
            .map_err(|m| place.error(None, m))?;
    }
    config.oncall = file.oncall;
    if let Some(raw) = file.incident {
        let at = raw.span().start;
        if let Some(minutes) = raw.into_inner().monitor_minutes {
            if minutes > 7 * 24 * 60 {
                return Err(place.error(Some(at), "[incident] monitor_minutes is more than a week"));
            }
            config.monitor = Duration::from_secs(minutes * 60);
        }
    }
    if let Some(raw) = file.retention {
        let at = raw.span().start;
        let days = raw.into_inner().days;
        if days == 0 {
            return Err(place.error(Some(at), "[retention] days must be at least 1; leave the section out to keep everything"));
        }
        config.retention = Some(Duration::from_secs(days.saturating_mul(86_400)));
    }
    for raw in file.trackers {
        let at = raw.span().start;
        let tracker = tracker(raw.into_inner()).map_err(|m| place.error(Some(at), m))?;
        if config.trackers.iter().any(|t| t.name == tracker.name) {
            return Err(place.error(Some(at), format!("two trackers are named '{}': give each its own name", tracker.name)));
        }
        config.trackers.push(tracker);
    }
    if let Some(user) = file.user.filter(|u| !u.name.trim().is_empty()) {
        config.user = user.name;
    }
    if let Some(rows) = file.severity {
        let at = rows.span().start;
        for (key, row) in rows.into_inner() {
            let severity: Severity = key.parse().map_err(|e| place.error(Some(at), format!("[severity] {e}")))?;
            if let Some(found) = config.matrix.rows.iter_mut().find(|r| r.severity == severity) {
                if let Some(meaning) = row.meaning {
                    found.meaning = meaning;
                }
                if let Some(response) = row.response {
                    found.response = response;
                }
                if let Some(minutes) = row.update_minutes {
                    found.update_secs = (minutes > 0).then_some(minutes.saturating_mul(60));
                }
                if let Some(roles) = row.roles {
                    found.roles = roles
                        .iter()
                        .map(|r| r.parse())
                        .collect::<Result<_, crate::incident::role::RoleError>>()
                        .map_err(|e| place.error(Some(at), format!("[severity] {severity}: {e}")))?;
                }
                found.postmortem = match (row.postmortem_days, row.postmortem_business_days) {
                    (None, None) => found.postmortem,
                    (Some(0), None) | (None, Some(0)) => None,
                    (Some(days), None) => Some(Due::Days(days)),
                    (None, Some(days)) => Some(Due::BusinessDays(days)),
                    (Some(_), Some(_)) => {
                        let why = format!("[severity] {severity}: give postmortem_days or postmortem_business_days, not both");
                        return Err(place.error(Some(at), why));
                    }
                };
            }
        }
    }
    if let Some(raw) = file.slo {
        let at = raw.span().start;
        let raw = raw.into_inner();
        let share = |what: &str, percent: f64| {
            if percent > 0.0 && percent < 100.0 {
                Ok(percent / 100.0)
            } else {
                Err(place.error(
                    Some(at),
                    format!(
                        "[slo] {what} = {percent} is no percentage of requests that succeed: give one below 100, such as 99.9"
                    ),
                ))
            }
        };
        if let Some(objective) = raw.objective {
            config.slo.objective = share("objective", objective)?;
        }
        for (service, objective) in raw.services {
            let of = share(&service, objective)?;
            config.slo.services.insert(service, of);
        }
    }
    if let Some(raw) = file.ui {
        let at = raw.span().start;
        let raw = raw.into_inner();
        if raw.refresh_secs == Some(0) {
            return Err(place.error(Some(at), "[ui] refresh_secs must be at least 1"));
        }
        config.ui.theme = raw.theme.or(config.ui.theme.take());
        config.ui.mouse = raw.mouse.unwrap_or(config.ui.mouse);
        config.ui.read_only = raw.read_only.unwrap_or(config.ui.read_only);
        config.ui.profile = raw.profile.or(config.ui.profile.take());
        config.ui.refresh = raw.refresh_secs.map_or(config.ui.refresh, Duration::from_secs);
    }
    Ok(())
}

/// The whole line that a position lies in.
fn line_around(text: &str, at: usize) -> Option<&str> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |i| i + 1);
    text.get(start..)?.lines().next()
}

/// Serde's words for an unknown key, with the nearest known one in front of the whole list.
fn explain(message: &str, line: Option<&str>) -> String {
    let message = message.trim_end();
    let Some(rest) = message.strip_prefix("unknown field `") else {
        let shown = line.map(|l| format!(" in `{}`", l.chars().take(60).collect::<String>())).unwrap_or_default();
        return format!("{message}{shown}");
    };
    let Some((key, expected)) = rest.split_once('`') else { return message.to_owned() };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let hint = nearest(key, known.iter().copied()).map_or_else(String::new, |n| format!(" did you mean '{n}'?"));
    format!("unknown key '{key}';{hint} known here: {}", known.join(", "))
}

fn one_of(env: Option<String>, command: Option<String>, file: Option<String>, what: &str) -> Result<Option<SecretRef>, String> {
    match (env, command, file) {
        (None, None, None) => Ok(None),
        (Some(env), None, None) => Ok(Some(SecretRef::Env(env))),
        (None, Some(command), None) => Ok(Some(SecretRef::Command(command))),
        (None, None, Some(file)) => Ok(Some(SecretRef::File(file))),
        _ => Err(format!("{what} is given twice: keep one of _env, _command and _file")),
    }
}

fn seconds(value: Option<f64>, default: Duration) -> Result<Duration, String> {
    match value {
        None => Ok(default),
        Some(secs) if secs > 0.0 && secs <= 3600.0 => Ok(Duration::from_secs_f64(secs)),
        Some(secs) => Err(format!("timeout_secs is {secs}: give a number between 0 and 3600")),
    }
}

/// A label as DNS has it (RFC 1123): what Kubernetes names namespaces by.
fn is_dns_label(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn check_url(url: &str) -> Result<(), String> {
    let parsed =
        reqwest::Url::parse(url).map_err(|e| format!("url '{url}' is not a URL: {e}; it looks like http://127.0.0.1:9090"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(format!("url '{url}' must begin with http:// or https://"));
    }
    if parsed.password().is_some() || !parsed.username().is_empty() {
        return Err("a URL must not hold a password: use auth = { basic = { user = \"…\", password_env = \"…\" } }".to_owned());
    }
    Ok(())
}

fn source(raw: RawSource, fail: impl Fn(String) -> ConfigError) -> Result<SourceConfig, ConfigError> {
    let name = raw.name.clone();
    let fail = |m: String| fail(format!("source '{name}': {m}"));
    if raw.name.trim().is_empty() {
        return Err(fail("the name is empty".to_owned()));
    }
    if let Some(url) = &raw.url {
        check_url(url).map_err(&fail)?;
    }
    if let Some(namespace) = raw.namespace.as_deref().filter(|n| !is_dns_label(n)) {
        return Err(fail(format!("namespace '{namespace}' is no Kubernetes namespace: small letters, digits and '-'")));
    }
    let auth = match raw.auth {
        None => Auth::None,
        Some(raw) => auth(raw).map_err(&fail)?,
    };
    if raw.tls.as_ref().is_some_and(|t| t.cert_file.is_some() != t.key_file.is_some()) {
        return Err(fail("tls.cert_file and tls.key_file go together".to_owned()));
    }
    let source = SourceConfig {
        timeout: seconds(raw.timeout_secs, super::DEFAULT_TIMEOUT).map_err(&fail)?,
        name: raw.name,
        kind: raw.kind,
        url: raw.url,
        auth,
        headers: raw.headers,
        tls: raw.tls.unwrap_or_default(),
        paths: raw.paths,
        path: raw.path,
        namespace: raw.namespace,
        matchers: raw.matchers,
        selector: raw.selector,
        service: raw.service,
        timezone_offset_minutes: raw.timezone_offset_minutes.unwrap_or(0),
    };
    crate::sources::registry::check(&source).map_err(fail)?;
    Ok(source)
}

fn auth(raw: RawAuth) -> Result<Auth, String> {
    let bearer = one_of(raw.bearer_env, raw.bearer_command, raw.bearer_file, "auth.bearer")?;
    let value = one_of(raw.value_env, raw.value_command, raw.value_file, "auth.value")?;
    let basic = match raw.basic {
        None => None,
        Some(b) => {
            let password = one_of(b.password_env, b.password_command, b.password_file, "auth.basic.password")?
                .ok_or("auth.basic needs password_env, password_command or password_file")?;
            Some(BasicAuth { user: b.user, password })
        }
    };
    match (bearer, basic, raw.header, value) {
        (Some(secret), None, None, None) => Ok(Auth::Bearer(secret)),
        (None, Some(basic), None, None) => Ok(Auth::Basic(basic)),
        (None, None, Some(name), Some(value)) => Ok(Auth::Header { name, value }),
        (None, None, Some(_), None) => Err("auth.header needs value_env, value_command or value_file".to_owned()),
        (None, None, None, None) => Err("auth is empty: give bearer_env, basic or header".to_owned()),
        _ => Err("auth: give one of bearer, basic and header".to_owned()),
    }
}

fn tracker(raw: RawTracker) -> Result<TrackerConfig, String> {
    let fail = |m: String| format!("tracker '{}': {m}", raw.name);
    let (kind, default) = match raw.kind.as_str() {
        "github" => (TrackerKind::Github, "https://api.github.com"),
        "gitlab" => (TrackerKind::Gitlab, "https://gitlab.com/api/v4"),
        other => return Err(fail(format!("type '{other}' is not known: give github or gitlab"))),
    };
    let url = raw.url.clone().unwrap_or_else(|| default.to_owned());
    check_url(&url).map_err(fail)?;
    let parts = raw.project.split('/').filter(|p| !p.is_empty()).count();
    if parts == 0 || (kind == TrackerKind::Github && parts != 2) {
        return Err(fail(format!("project '{}' must be owner/repository (GitLab: group/project, or a number)", raw.project)));
    }
    Ok(TrackerConfig {
        kind,
        url: url.trim_end_matches('/').to_owned(),
        project: raw.project.clone(),
        token: one_of(raw.token_env.clone(), raw.token_command.clone(), raw.token_file.clone(), "token").map_err(fail)?,
        labels: raw.labels.clone(),
        tls: raw.tls.clone().unwrap_or_default(),
        timeout: seconds(raw.timeout_secs, super::DEFAULT_TIMEOUT).map_err(fail)?,
        name: raw.name.clone(),
    })
}

fn assistant(raw: RawAssistant, fail: &dyn Fn(String) -> ConfigError) -> Result<AssistantConfig, ConfigError> {
    let mut named = BTreeMap::new();
    for (name, other) in &raw.models {
        let own_key = other.api_key_env.is_some() || other.api_key_command.is_some() || other.api_key_file.is_some();
        // A key is for its server: another base_url does not get it.
        let inherits_key = !own_key && other.base_url.is_none();
        let merged = RawAssistant {
            base_url: other.base_url.clone().unwrap_or_else(|| raw.base_url.clone()),
            model: other.model.clone(),
            api_key_env: other.api_key_env.clone().or_else(|| raw.api_key_env.clone().filter(|_| inherits_key)),
            api_key_command: other.api_key_command.clone().or_else(|| raw.api_key_command.clone().filter(|_| inherits_key)),
            api_key_file: other.api_key_file.clone().or_else(|| raw.api_key_file.clone().filter(|_| inherits_key)),
            context_tokens: other.context_tokens.or(raw.context_tokens),
            answer_tokens: other.answer_tokens.or_else(|| raw.answer_tokens.filter(|_| other.context_tokens.is_none())),
            timeout_secs: raw.timeout_secs,
            temperature: raw.temperature,
            tls: raw.tls.clone(),
            headers: if other.base_url.is_none() { raw.headers.clone() } else { BTreeMap::new() },
            models: BTreeMap::new(),
        };
        named.insert(name.clone(), assistant(merged, &|m| fail(format!("models.{name}: {m}")))?);
    }
    let fail = |m: String| fail(format!("[assistant] {m}"));
    check_url(&raw.base_url).map_err(&fail)?;
    let context_tokens = raw.context_tokens.unwrap_or(8192);
    if context_tokens < 1024 {
        return Err(fail(format!("context_tokens is {context_tokens}: at least 1024 are needed for a prompt and its answer")));
    }
    let answer_tokens = raw.answer_tokens.unwrap_or((context_tokens / 4).clamp(256, 4096));
    if answer_tokens > context_tokens / 2 {
        return Err(fail(format!("answer_tokens ({answer_tokens}) must be at most half of context_tokens ({context_tokens})")));
    }
    Ok(AssistantConfig {
        base_url: raw.base_url.trim_end_matches('/').to_owned(),
        model: raw.model,
        api_key: one_of(raw.api_key_env, raw.api_key_command, raw.api_key_file, "api_key").map_err(&fail)?,
        context_tokens,
        answer_tokens,
        timeout: seconds(raw.timeout_secs, Duration::from_secs(120)).map_err(&fail)?,
        temperature: raw.temperature,
        tls: raw.tls.unwrap_or_default(),
        headers: raw.headers,
        named,
    })
}
