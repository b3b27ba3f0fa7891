//! Parses the configuration file and reports mistakes with their line.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::log_format::{RawLogFormat, log_formats};
use super::preset::{PresetConfig, RawCommand, command};
use super::secret::{CommandLine, SecretRef};
use super::types::{
    AssistantConfig, Auth, BasicAuth, OncallConfig, PagerDutyConfig, SourceConfig, TlsConfig, TrackerConfig, TrackerKind,
};
use super::{CheckSource, Config, ConfigError};
use crate::incident::{Due, Severity};
use crate::telemetry::Failure;
use crate::telemetry::names::NameKind;
use crate::telemetry::parse::Formats;
use crate::telemetry::words::nearest;

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
    oncall: RawOncall,
    #[serde(default)]
    trackers: Vec<toml::Spanned<RawTracker>>,
    #[serde(default)]
    channels: Vec<toml::Spanned<toml::Table>>,
    #[serde(default)]
    updates: RawUpdates,
    #[serde(default)]
    commands: Vec<toml::Spanned<RawCommand>>,
    #[serde(default)]
    presets: Vec<PresetConfig>,
    #[serde(default)]
    log_formats: Vec<toml::Spanned<RawLogFormat>>,
    slo: Option<toml::Spanned<RawSlo>>,
    ui: Option<toml::Spanned<RawUi>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStore {
    url: String,
    password_env: Option<String>,
    password_command: Option<CommandLine>,
    password_file: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUpdates {
    #[serde(default)]
    public_names: Vec<String>,
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

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOncall {
    show: Option<CommandLine>,
    page: Option<CommandLine>,
    #[serde(default)]
    pagerduty: Vec<toml::Spanned<RawPagerDuty>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPagerDuty {
    name: String,
    url: Option<String>,
    routing_key_env: Option<String>,
    routing_key_command: Option<CommandLine>,
    routing_key_file: Option<String>,
    tls: Option<TlsConfig>,
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
    token_command: Option<CommandLine>,
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
    notify: Option<Vec<super::Notification>>,
    title: Option<bool>,
    restore: Option<bool>,
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
    bearer_command: Option<CommandLine>,
    bearer_file: Option<String>,
    basic: Option<RawBasic>,
    header: Option<String>,
    value_env: Option<String>,
    value_command: Option<CommandLine>,
    value_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBasic {
    user: String,
    password_env: Option<String>,
    password_command: Option<CommandLine>,
    password_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAssistant {
    base_url: String,
    model: String,
    api_key_env: Option<String>,
    api_key_command: Option<CommandLine>,
    api_key_file: Option<String>,
    context_tokens: Option<u64>,
    answer_tokens: Option<u64>,
    timeout_secs: Option<f64>,
    temperature: Option<f64>,
    reasoning_effort: Option<String>,
    #[serde(default)]
    extra_body: serde_json::Map<String, serde_json::Value>,
    proxy: Option<String>,
    #[serde(default)]
    fallback: Vec<String>,
    fast: Option<String>,
    careful: Option<String>,
    input_price: Option<f64>,
    output_price: Option<f64>,
    max_cost: Option<f64>,
    #[serde(default)]
    mask: Vec<NameKind>,
    tls: Option<TlsConfig>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Further models, by name. They inherit the settings above.
    #[serde(default)]
    models: BTreeMap<String, RawModel>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    model: String,
    base_url: Option<String>,
    api_key_env: Option<String>,
    api_key_command: Option<CommandLine>,
    api_key_file: Option<String>,
    context_tokens: Option<u64>,
    answer_tokens: Option<u64>,
    temperature: Option<f64>,
    reasoning_effort: Option<String>,
    #[serde(default)]
    extra_body: serde_json::Map<String, serde_json::Value>,
    proxy: Option<String>,
    input_price: Option<f64>,
    output_price: Option<f64>,
    /// `[]` for a model on this machine.
    mask: Option<Vec<NameKind>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlo {
    objective: Option<f64>,
    #[serde(default)]
    services: BTreeMap<String, f64>,
}

/// The file being read, for error messages.
struct SourceText<'a> {
    path: &'a Path,
    text: &'a str,
}

impl SourceText<'_> {
    /// An error at a byte position, or about the file as a whole.
    fn error(&self, at: Option<usize>, mistake: impl Into<Failure>) -> ConfigError {
        let line = at.map(|at| self.text.get(..at.min(self.text.len())).unwrap_or("").matches('\n').count() + 1);
        ConfigError::Invalid { path: self.path.display().to_string(), line, mistake: mistake.into() }
    }
}

/// Applies a file to a configuration. `check` checks that a source has the keys that its type needs.
pub(super) fn apply(config: &mut Config, text: &str, path: &Path, check: CheckSource) -> Result<(), ConfigError> {
    let place = SourceText { path, text };
    let file: File = toml::from_str(text).map_err(|e| {
        let at = e.span().map(|s| s.start);
        place.error(at, toml_mistake(e.message(), at.and_then(|at| line_at(text, at))))
    })?;
    config.log_formats = all_log_formats(file.log_formats, &place)?;
    for raw in file.sources {
        let at = raw.span().start;
        let source = source(raw.into_inner(), check).map_err(|m| place.error(Some(at), m))?;
        if config.sources.iter().any(|s| s.name == source.name) {
            return Err(place.error(
                Some(at),
                Failure::new(format!("two sources are named '{}'", source.name)).advise("Give each source its own name."),
            ));
        }
        config.sources.push(SourceConfig { log_formats: config.log_formats.clone(), ..source });
    }
    if let Some(raw) = file.assistant {
        let at = raw.span().start;
        config.assistant = Some(assistant(raw.into_inner(), "[assistant]").map_err(|m| place.error(Some(at), m))?);
    }
    if let Some(store) = file.store {
        config.store_url = store.url;
        config.store_password = secret(store.password_env, store.password_command, store.password_file, "[store] password")
            .map_err(|m| place.error(None, m))?;
    }
    config.oncall = oncall(file.oncall, &place)?;
    if let Some(raw) = file.incident {
        apply_incident(config, raw, &place)?;
    }
    if let Some(raw) = file.retention {
        apply_retention(config, raw, &place)?;
    }
    for raw in file.trackers {
        let at = raw.span().start;
        let tracker = tracker(raw.into_inner()).map_err(|m| place.error(Some(at), m))?;
        if config.trackers.iter().any(|t| t.name == tracker.name) {
            return Err(place.error(
                Some(at),
                Failure::new(format!("two trackers are named '{}'", tracker.name)).advise("Give each tracker its own name."),
            ));
        }
        config.trackers.push(tracker);
    }
    for raw in file.channels {
        let at = raw.span().start;
        let channel = super::channel::channel(raw.into_inner()).map_err(|m| place.error(Some(at), m))?;
        if config.channels.iter().any(|c| c.name == channel.name) {
            let mistake = Failure::new(format!("two channels are named '{}'", channel.name));
            return Err(place.error(Some(at), mistake.advise("Give each channel its own name.")));
        }
        config.channels.push(channel);
    }
    config.public_names = file.updates.public_names;
    for raw in file.commands {
        let at = raw.span().start;
        let one = command(raw.into_inner(), None).map_err(|m| place.error(Some(at), m))?;
        if config.commands.iter().any(|c| c.name == one.name) {
            let mistake = Failure::new(format!("two commands are named '{}'", one.name));
            return Err(place.error(Some(at), mistake.advise("Give each command its own name.")));
        }
        config.commands.push(one);
    }
    config.presets = file.presets;
    if let Some(user) = file.user.filter(|u| !u.name.trim().is_empty()) {
        config.user = user.name;
    }
    if let Some(rows) = file.severity {
        apply_severity(config, rows, &place)?;
    }
    if let Some(raw) = file.slo {
        apply_slo(config, raw, &place)?;
    }
    if let Some(raw) = file.ui {
        apply_ui(config, raw, &place)?;
    }
    Ok(())
}

fn all_log_formats(tables: Vec<toml::Spanned<RawLogFormat>>, place: &SourceText<'_>) -> Result<Formats, ConfigError> {
    let mut formats = Vec::new();
    for raw in tables {
        let at = raw.span().start;
        formats.extend(log_formats(raw.into_inner(), place.path).map_err(|m| place.error(Some(at), m))?);
    }
    Ok(Formats::from(formats))
}

fn apply_incident(config: &mut Config, raw: toml::Spanned<RawIncident>, place: &SourceText<'_>) -> Result<(), ConfigError> {
    let at = raw.span().start;
    if let Some(minutes) = raw.into_inner().monitor_minutes {
        if minutes > 7 * 24 * 60 {
            return Err(place.error(
                Some(at),
                Failure::new(format!("[incident] monitor_minutes = {minutes} is more than a week")).advise("Set at most 10080."),
            ));
        }
        config.monitor = Duration::from_secs(minutes * 60);
    }
    Ok(())
}

fn apply_retention(config: &mut Config, raw: toml::Spanned<RawRetention>, place: &SourceText<'_>) -> Result<(), ConfigError> {
    let at = raw.span().start;
    let days = raw.into_inner().days;
    if days == 0 {
        return Err(place.error(
            Some(at),
            Failure::new("[retention] days = 0 is too small").advise("Set at least 1, or remove the section to keep everything."),
        ));
    }
    config.retention = Some(Duration::from_secs(days.saturating_mul(86_400)));
    Ok(())
}

fn apply_severity(
    config: &mut Config,
    rows: toml::Spanned<BTreeMap<String, RawSeverity>>,
    place: &SourceText<'_>,
) -> Result<(), ConfigError> {
    let at = rows.span().start;
    for (key, row) in rows.into_inner() {
        let severity: Severity = key.parse().map_err(|e| place.error(Some(at), Failure::new(format!("[severity] {e}"))))?;
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
                    .map_err(|e| place.error(Some(at), Failure::new(format!("[severity] {severity}: {e}"))))?;
            }
            found.postmortem = match (row.postmortem_days, row.postmortem_business_days) {
                (None, None) => found.postmortem,
                (Some(0), None) | (None, Some(0)) => None,
                (Some(days), None) => Some(Due::Days(days)),
                (None, Some(days)) => Some(Due::BusinessDays(days)),
                (Some(_), Some(_)) => {
                    let why =
                        Failure::new(format!("[severity] {severity} has both postmortem_days and postmortem_business_days"));
                    return Err(place.error(Some(at), why.advise("Keep one of them.")));
                }
            };
        }
    }
    Ok(())
}

fn apply_slo(config: &mut Config, raw: toml::Spanned<RawSlo>, place: &SourceText<'_>) -> Result<(), ConfigError> {
    let at = raw.span().start;
    let raw = raw.into_inner();
    let share = |what: &str, percent: f64| {
        if percent > 0.0 && percent < 100.0 {
            Ok(percent / 100.0)
        } else {
            let mistake = Failure::new(format!("[slo] {what} = {percent} is not a percentage of successful requests"));
            Err(place.error(Some(at), mistake.advise("Set a number below 100, such as 99.9.")))
        }
    };
    if let Some(objective) = raw.objective {
        config.slo.objective = share("objective", objective)?;
    }
    for (service, objective) in raw.services {
        let objective = share(&service, objective)?;
        config.slo.services.insert(service, objective);
    }
    Ok(())
}

fn apply_ui(config: &mut Config, raw: toml::Spanned<RawUi>, place: &SourceText<'_>) -> Result<(), ConfigError> {
    let at = raw.span().start;
    let raw = raw.into_inner();
    if raw.refresh_secs == Some(0) {
        return Err(place.error(Some(at), Failure::new("[ui] refresh_secs = 0 is too small").advise("Set at least 1.")));
    }
    config.ui.theme = raw.theme.or(config.ui.theme.take());
    config.ui.mouse = raw.mouse.unwrap_or(config.ui.mouse);
    config.ui.notify = raw.notify.unwrap_or(std::mem::take(&mut config.ui.notify));
    config.ui.title = raw.title.unwrap_or(config.ui.title);
    config.ui.restore = raw.restore.unwrap_or(config.ui.restore);
    config.ui.read_only = raw.read_only.unwrap_or(config.ui.read_only);
    config.ui.profile = raw.profile.or(config.ui.profile.take());
    config.ui.refresh = raw.refresh_secs.map_or(config.ui.refresh, Duration::from_secs);
    Ok(())
}

/// The line that contains a byte position.
fn line_at(text: &str, at: usize) -> Option<&str> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |i| i + 1);
    text.get(start..)?.lines().next()
}

/// An error of the TOML parser. For an unknown key, the remedy names the nearest known key.
/// serde has the key and the known keys only in its message; a message of another form is shown as it is.
fn toml_mistake(message: &str, line: Option<&str>) -> Failure {
    let message = message.trim_end();
    let Some(rest) = message.strip_prefix("unknown field `") else {
        let shown = line.map(|l| format!(" in `{}`", l.chars().take(60).collect::<String>())).unwrap_or_default();
        return Failure::new(format!("{message}{shown}"));
    };
    let Some((key, expected)) = rest.split_once('`') else { return Failure::new(message) };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let hint = nearest(key, known.iter().copied()).map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
    Failure::new(format!("unknown key '{key}'")).advise(format!("{hint}Known keys: {}.", known.join(", ")))
}

/// The secret that one of three keys sets; `None` if none is set. Setting more than one is an error.
pub(super) fn secret(
    env: Option<String>,
    command: Option<CommandLine>,
    file: Option<String>,
    what: &str,
) -> Result<Option<SecretRef>, Failure> {
    match (env, command, file) {
        (None, None, None) => Ok(None),
        (Some(env), None, None) => Ok(Some(SecretRef::Env(env))),
        (None, Some(command), None) => Ok(Some(SecretRef::Command(command))),
        (None, None, Some(file)) => Ok(Some(SecretRef::File(file))),
        _ => Err(Failure::new(format!("{what} is set more than once")).advise("Keep one of _env, _command and _file.")),
    }
}

pub(super) fn timeout(value: Option<f64>, default: Duration) -> Result<Duration, Failure> {
    match value {
        None => Ok(default),
        Some(secs) if secs > 0.0 && secs <= 3600.0 => Ok(Duration::from_secs_f64(secs)),
        Some(secs) => {
            Err(Failure::new(format!("timeout_secs = {secs} is out of range")).advise("Set a number above 0, at most 3600."))
        }
    }
}

pub(super) fn check_url(url: &str) -> Result<(), Failure> {
    let bad = |why: String| Failure::new(why).advise("Set a URL such as http://127.0.0.1:9090.");
    let parsed = reqwest::Url::parse(url).map_err(|e| bad(format!("'{url}' is not a URL: {e}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(bad(format!("the URL '{url}' does not start with http:// or https://")));
    }
    if parsed.password().is_some() || !parsed.username().is_empty() {
        return Err(Failure::new("a URL must not contain a password")
            .advise("Use auth = { basic = { user = \"…\", password_env = \"…\" } }."));
    }
    Ok(())
}

/// Prefixes the message of a failure with what it is about.
pub(super) fn about(what: impl std::fmt::Display) -> impl Fn(Failure) -> Failure {
    move |mistake| Failure { message: format!("{what}: {}", mistake.message), ..mistake }
}

fn source(raw: RawSource, check: CheckSource) -> Result<SourceConfig, Failure> {
    let name = raw.name.clone();
    checked_source(raw, check).map_err(about(format!("source '{name}'")))
}

fn checked_source(raw: RawSource, check: CheckSource) -> Result<SourceConfig, Failure> {
    if raw.name.trim().is_empty() {
        return Err(Failure::new("the name is empty"));
    }
    if let Some(url) = &raw.url {
        check_url(url)?;
    }
    if raw.tls.as_ref().is_some_and(|t| t.cert_file.is_some() != t.key_file.is_some()) {
        return Err(Failure::new("only one of tls.cert_file and tls.key_file is set").advise("Set both or neither."));
    }
    let source = SourceConfig {
        timeout: timeout(raw.timeout_secs, super::DEFAULT_TIMEOUT)?,
        name: raw.name,
        kind: raw.kind,
        url: raw.url,
        auth: raw.auth.map_or(Ok(Auth::None), auth)?,
        headers: raw.headers,
        tls: raw.tls.unwrap_or_default(),
        paths: raw.paths,
        path: raw.path,
        namespace: raw.namespace,
        matchers: raw.matchers,
        selector: raw.selector,
        service: raw.service,
        timezone_offset_minutes: raw.timezone_offset_minutes.unwrap_or(0),
        log_formats: Formats::default(),
    };
    check(&source)?;
    Ok(source)
}

fn auth(raw: RawAuth) -> Result<Auth, Failure> {
    let bearer = secret(raw.bearer_env, raw.bearer_command, raw.bearer_file, "auth.bearer")?;
    let value = secret(raw.value_env, raw.value_command, raw.value_file, "auth.value")?;
    let basic = match raw.basic {
        None => None,
        Some(b) => {
            let password = secret(b.password_env, b.password_command, b.password_file, "auth.basic.password")?;
            let missing =
                || Failure::new("auth.basic has no password").advise("Set password_env, password_command or password_file.");
            Some(BasicAuth { user: b.user, password: password.ok_or_else(missing)? })
        }
    };
    match (bearer, basic, raw.header, value) {
        (Some(secret), None, None, None) => Ok(Auth::Bearer(secret)),
        (None, Some(basic), None, None) => Ok(Auth::Basic(basic)),
        (None, None, Some(name), Some(value)) => Ok(Auth::Header { name, value }),
        (None, None, Some(_), None) => {
            Err(Failure::new("auth.header has no value").advise("Set value_env, value_command or value_file."))
        }
        (None, None, None, None) => Err(Failure::new("auth is empty").advise("Set bearer_env, basic or header.")),
        _ => Err(Failure::new("auth has more than one kind of credentials").advise("Keep one of bearer, basic and header.")),
    }
}

fn oncall(raw: RawOncall, place: &SourceText<'_>) -> Result<OncallConfig, ConfigError> {
    let mut pagerduty: Vec<PagerDutyConfig> = Vec::new();
    for raw in raw.pagerduty {
        let at = raw.span().start;
        let one = pagerduty_service(raw.into_inner()).map_err(|m| place.error(Some(at), m))?;
        if pagerduty.iter().any(|p| p.name == one.name) {
            let mistake = Failure::new(format!("two PagerDuty services are named '{}'", one.name));
            return Err(place.error(Some(at), mistake.advise("Give each its own name.")));
        }
        pagerduty.push(one);
    }
    Ok(OncallConfig { show: raw.show, page: raw.page, pagerduty })
}

fn pagerduty_service(raw: RawPagerDuty) -> Result<PagerDutyConfig, Failure> {
    let url = raw.url.unwrap_or_else(|| "https://events.pagerduty.com/v2/enqueue".to_owned());
    check_url(&url)?;
    let what = format!("routing_key of '{}'", raw.name);
    let routing_key = secret(raw.routing_key_env, raw.routing_key_command, raw.routing_key_file, &what)?;
    Ok(PagerDutyConfig { name: raw.name, url, routing_key, tls: raw.tls.unwrap_or_default() })
}

fn tracker(raw: RawTracker) -> Result<TrackerConfig, Failure> {
    let name = raw.name.clone();
    checked_tracker(raw).map_err(about(format!("tracker '{name}'")))
}

fn checked_tracker(raw: RawTracker) -> Result<TrackerConfig, Failure> {
    let (kind, default) = match raw.kind.as_str() {
        "github" => (TrackerKind::Github, "https://api.github.com"),
        "gitlab" => (TrackerKind::Gitlab, "https://gitlab.com/api/v4"),
        other => return Err(Failure::new(format!("unknown tracker type '{other}'")).advise("Use github or gitlab.")),
    };
    let url = raw.url.unwrap_or_else(|| default.to_owned());
    check_url(&url)?;
    let parts = raw.project.split('/').filter(|p| !p.is_empty()).count();
    if parts == 0 || (kind == TrackerKind::Github && parts != 2) {
        return Err(Failure::new(format!("'{}' is not a project", raw.project))
            .advise("Set owner/repository; for GitLab, also group/project or a number."));
    }
    Ok(TrackerConfig {
        kind,
        url: url.trim_end_matches('/').to_owned(),
        project: raw.project,
        token: secret(raw.token_env, raw.token_command, raw.token_file, "token")?,
        labels: raw.labels,
        tls: raw.tls.unwrap_or_default(),
        timeout: timeout(raw.timeout_secs, super::DEFAULT_TIMEOUT)?,
        name: raw.name,
    })
}

fn assistant(raw: RawAssistant, place: &str) -> Result<AssistantConfig, Failure> {
    let mut named = BTreeMap::new();
    for (name, other) in &raw.models {
        let has_key = other.api_key_env.is_some() || other.api_key_command.is_some() || other.api_key_file.is_some();
        // Never send an API key to another server: a model with its own base_url does not inherit the key.
        let inherits_key = !has_key && other.base_url.is_none();
        let merged = RawAssistant {
            base_url: other.base_url.clone().unwrap_or_else(|| raw.base_url.clone()),
            model: other.model.clone(),
            api_key_env: other.api_key_env.clone().or_else(|| raw.api_key_env.clone().filter(|_| inherits_key)),
            api_key_command: other.api_key_command.clone().or_else(|| raw.api_key_command.clone().filter(|_| inherits_key)),
            api_key_file: other.api_key_file.clone().or_else(|| raw.api_key_file.clone().filter(|_| inherits_key)),
            context_tokens: other.context_tokens.or(raw.context_tokens),
            answer_tokens: other.answer_tokens.or_else(|| raw.answer_tokens.filter(|_| other.context_tokens.is_none())),
            timeout_secs: raw.timeout_secs,
            temperature: other.temperature.or(raw.temperature),
            reasoning_effort: other.reasoning_effort.clone().or_else(|| raw.reasoning_effort.clone()),
            extra_body: if other.extra_body.is_empty() { raw.extra_body.clone() } else { other.extra_body.clone() },
            proxy: other.proxy.clone().or_else(|| raw.proxy.clone()),
            fallback: Vec::new(),
            fast: None,
            careful: None,
            // Another model has other prices.
            input_price: other.input_price,
            output_price: other.output_price,
            max_cost: raw.max_cost,
            mask: other.mask.clone().unwrap_or_else(|| raw.mask.clone()),
            tls: raw.tls.clone(),
            headers: if other.base_url.is_none() { raw.headers.clone() } else { BTreeMap::new() },
            models: BTreeMap::new(),
        };
        named.insert(name.clone(), assistant(merged, &format!("[assistant.models.{name}]"))?);
    }
    checked_assistant(raw, named).map_err(about(place))
}

/// A price, which is a number that is not negative.
fn price(key: &str, value: Option<f64>) -> Result<Option<f64>, Failure> {
    match value {
        Some(price) if !price.is_finite() || price < 0.0 => {
            Err(Failure::new(format!("{key} = {price} is not a price")).advise("Set a number from 0 up."))
        }
        value => Ok(value),
    }
}

fn checked_assistant(raw: RawAssistant, named: BTreeMap<String, AssistantConfig>) -> Result<AssistantConfig, Failure> {
    check_url(&raw.base_url)?;
    let fallback = raw.fallback.iter().map(|name| ("fallback", name));
    let roles =
        [("fast", &raw.fast), ("careful", &raw.careful)].into_iter().filter_map(|(key, name)| Some((key, name.as_ref()?)));
    if let Some((key, missing)) = fallback.chain(roles).find(|(_, name)| !named.contains_key(*name)) {
        return Err(Failure::new(format!("{key} names the model '{missing}', which does not exist"))
            .advise(format!("Add [assistant.models.{missing}], or remove the name.")));
    }
    let context_tokens = raw.context_tokens.unwrap_or(8192);
    if context_tokens < 1536 {
        return Err(Failure::new(format!("context_tokens = {context_tokens} is too small"))
            .advise("Set at least 1536, so that a prompt and its answer fit."));
    }
    let answer_tokens = raw.answer_tokens.unwrap_or((context_tokens / 4).clamp(256, 4096));
    if answer_tokens > context_tokens / 2 {
        return Err(Failure::new(format!(
            "answer_tokens ({answer_tokens}) is more than half of context_tokens ({context_tokens})"
        ))
        .advise("Lower answer_tokens."));
    }
    Ok(AssistantConfig {
        base_url: raw.base_url.trim_end_matches('/').to_owned(),
        model: raw.model,
        api_key: secret(raw.api_key_env, raw.api_key_command, raw.api_key_file, "api_key")?,
        context_tokens,
        answer_tokens,
        timeout: timeout(raw.timeout_secs, Duration::from_mins(2))?,
        temperature: raw.temperature,
        reasoning_effort: raw.reasoning_effort,
        extra_body: raw.extra_body,
        proxy: raw.proxy,
        fallback: raw.fallback,
        fast: raw.fast,
        careful: raw.careful,
        input_price: price("input_price", raw.input_price)?,
        output_price: price("output_price", raw.output_price)?,
        max_cost: price("max_cost", raw.max_cost)?,
        mask: raw.mask,
        tls: raw.tls.unwrap_or_default(),
        headers: raw.headers,
        named,
    })
}
