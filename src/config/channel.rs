//! The channels that stakeholder updates are sent through: `[[channels]]`.

use std::time::Duration;

use serde::Deserialize;

use super::file::{check_url, secret, timeout};
use super::secret::{CommandLine, SecretRef};
use super::types::TlsConfig;
use crate::incident::Audience;
use crate::telemetry::Failure;
use crate::telemetry::words::{list, nearest};

/// The channel that is there without a configuration: the clipboard of the terminal.
pub const CLIPBOARD: &str = "clipboard";

/// The address of a webhook. It is a secret of its own if whoever knows it can post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Plain(String),
    Secret(SecretRef),
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the first byte, usually on port 465.
    Tls,
    /// TLS by STARTTLS, which is required; usually on port 587.
    StartTls,
    /// Not encrypted; for a relay on the same machine.
    None,
}

/// What PagerDuty records a text as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagerDutyPost {
    Note,
    StatusUpdate,
}

/// Where a channel leads, with the settings of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// The clipboard of the terminal, by OSC 52.
    Clipboard,
    /// A file that texts are appended to.
    File {
        path: String,
    },
    /// Any server that takes JSON; signed if there is a secret.
    Webhook {
        address: Address,
        secret: Option<SecretRef>,
    },
    /// A bot of Slack, which keeps a thread per incident and can edit.
    Slack {
        url: String,
        token: SecretRef,
        channel: String,
    },
    /// An incoming webhook of Slack.
    SlackWebhook {
        address: Address,
    },
    /// A webhook of a Microsoft Teams workflow.
    Teams {
        address: Address,
    },
    Discord {
        address: Address,
    },
    Email(MailConfig),
    PagerDuty {
        url: String,
        token: SecretRef,
        from: String,
        post: PagerDutyPost,
    },
    Statuspage {
        url: String,
        token: SecretRef,
        page: String,
        components: Vec<String>,
        notifies: bool,
    },
    Github {
        url: String,
        token: SecretRef,
        project: String,
    },
}

/// A mail server, its sender and its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailConfig {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    /// The user and the password.
    pub login: Option<(String, SecretRef)>,
    pub from: String,
    pub to: Vec<String>,
}

impl ChannelKind {
    /// Whether a text goes to an incident or an issue in the other system that has to be named.
    pub fn takes_target(&self) -> bool {
        matches!(self, Self::PagerDuty { .. } | Self::Github { .. })
    }

    /// The type as in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Clipboard => CLIPBOARD,
            Self::File { .. } => "file",
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::SlackWebhook { .. } => "slack-webhook",
            Self::Teams { .. } => "teams",
            Self::Discord { .. } => "discord",
            Self::Email(_) => "email",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Statuspage { .. } => "statuspage",
            Self::Github { .. } => "github",
        }
    }
}

/// A channel for stakeholder updates.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    pub name: String,
    pub kind: ChannelKind,
    /// Who reads it; updates for others are refused.
    pub audiences: Vec<Audience>,
    /// The incident of PagerDuty or the issue of GitHub that texts go to, unless it is given when they are sent.
    pub target: Option<String>,
    pub tls: TlsConfig,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl ChannelConfig {
    /// The clipboard, which needs no configuration.
    pub fn clipboard() -> Self {
        Self {
            name: CLIPBOARD.to_owned(),
            kind: ChannelKind::Clipboard,
            audiences: Audience::ALL.to_vec(),
            target: None,
            tls: TlsConfig::default(),
            timeout: super::DEFAULT_TIMEOUT,
        }
    }
}

#[derive(Deserialize)]
struct RawChannel {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    audiences: Option<Vec<String>>,
    target: Option<String>,
    tls: Option<TlsConfig>,
    timeout_secs: Option<f64>,
    path: Option<String>,
    url: Option<String>,
    url_env: Option<String>,
    url_command: Option<CommandLine>,
    url_file: Option<String>,
    secret_env: Option<String>,
    secret_command: Option<CommandLine>,
    secret_file: Option<String>,
    token_env: Option<String>,
    token_command: Option<CommandLine>,
    token_file: Option<String>,
    channel: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    security: Option<String>,
    user: Option<String>,
    password_env: Option<String>,
    password_command: Option<CommandLine>,
    password_file: Option<String>,
    from: Option<String>,
    to: Option<Vec<String>>,
    post: Option<String>,
    page: Option<String>,
    #[serde(default)]
    components: Vec<String>,
    #[serde(default)]
    notify_subscribers: bool,
    project: Option<String>,
}

/// The keys that all types have.
const COMMON_KEYS: [&str; 5] = ["name", "type", "audiences", "tls", "timeout_secs"];

/// The further keys of each type. `url_*` is `url_env`, `url_command` and `url_file`.
const KEYS: [(&str, &[&str]); 10] = [
    ("file", &["path"]),
    ("webhook", &["url", "url_*", "secret_*"]),
    ("slack", &["url", "token_*", "channel"]),
    ("slack-webhook", &["url", "url_*"]),
    ("teams", &["url", "url_*"]),
    ("discord", &["url", "url_*"]),
    ("email", &["host", "port", "security", "user", "password_*", "from", "to"]),
    ("pagerduty", &["url", "token_*", "from", "post", "target"]),
    ("statuspage", &["url", "token_*", "page", "components", "notify_subscribers"]),
    ("github", &["url", "token_*", "project", "target"]),
];

/// The value of a key that the type needs.
fn needed<T>(value: Option<T>, key: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::new(format!("{key} is missing")).advise(format!("Set {key}.")))
}

/// Reads a channel from its table.
///
/// # Errors
/// If its type or a key is unknown, a key that the type needs is missing, or a value is invalid.
pub(super) fn channel(table: toml::Table) -> Result<ChannelConfig, Failure> {
    let name = table.get("name").and_then(toml::Value::as_str).map(str::to_owned);
    let what = name.map_or_else(|| "channel".to_owned(), |name| format!("channel '{name}'"));
    checked(table).map_err(super::file::about(what))
}

fn checked(table: toml::Table) -> Result<ChannelConfig, Failure> {
    check_keys(&table)?;
    let raw: RawChannel = toml::Value::Table(table).try_into().map_err(|e: toml::de::Error| Failure::new(e.message()))?;
    if raw.name == CLIPBOARD {
        return Err(Failure::new("the name 'clipboard' is that of the terminal's clipboard").advise("Choose another name."));
    }
    Ok(ChannelConfig {
        name: raw.name.clone(),
        audiences: audiences(raw.audiences.as_deref(), &raw.kind)?,
        target: raw.target.clone(),
        tls: raw.tls.clone().unwrap_or_default(),
        timeout: timeout(raw.timeout_secs, super::DEFAULT_TIMEOUT)?,
        kind: kind(raw)?,
    })
}

fn check_keys(table: &toml::Table) -> Result<(), Failure> {
    let types: Vec<&str> = KEYS.iter().map(|(kind, _)| *kind).collect();
    let kind = table.get("type").and_then(toml::Value::as_str).unwrap_or_default();
    let Some((_, own)) = KEYS.iter().find(|(word, _)| *word == kind) else {
        let is_missing = !table.contains_key("type");
        let message = if is_missing { "type is missing".to_owned() } else { format!("unknown type '{kind}'") };
        return Err(Failure::new(message).advise(format!("Set type to one of {}.", list(&types))));
    };
    let has = |key: &str| {
        COMMON_KEYS.contains(&key)
            || own.iter().any(|a| match a.strip_suffix('*') {
                Some(stem) => key.strip_prefix(stem).is_some_and(|rest| matches!(rest, "env" | "command" | "file")),
                None => *a == key,
            })
    };
    match table.keys().find(|key| !has(key)) {
        None => Ok(()),
        Some(other) => {
            let known = own.iter().map(|k| k.trim_end_matches('*').trim_end_matches('_')).chain(COMMON_KEYS);
            let hint = nearest(other, known.clone()).map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
            let known: Vec<&str> = known.collect();
            Err(Failure::new(format!("a channel of type {kind} has no key '{other}'"))
                .advise(format!("{hint}Its keys are {}.", list(&known))))
        }
    }
}

/// Without a list, a status page is for customers only, and every other channel for all.
fn audiences(words: Option<&[String]>, kind: &str) -> Result<Vec<Audience>, Failure> {
    let parse =
        |word: &String| match word.as_str() {
            "technical" => Ok(Audience::Internal),
            "executive" => Ok(Audience::Executive),
            "customer" => Ok(Audience::External),
            other => Err(Failure::new(format!("'{other}' is not an audience"))
                .advise("Use technical, executive and customer in audiences.")),
        };
    match words {
        Some([]) => Err(Failure::new("audiences is empty").advise("List who reads the channel.")),
        Some(words) => words.iter().map(parse).collect(),
        None if kind == "statuspage" => Ok(vec![Audience::External]),
        None => Ok(Audience::ALL.to_vec()),
    }
}

/// The address of a webhook, given openly or as a secret.
fn address(url: Option<String>, hidden: Option<SecretRef>) -> Result<Address, Failure> {
    match (url, hidden) {
        (Some(url), None) => check_url(&url).map(|()| Address::Plain(url)),
        (None, Some(secret)) => Ok(Address::Secret(secret)),
        (None, None) => Err(Failure::new("the address is missing").advise("Set url_env, url_command, url_file or url.")),
        (Some(_), Some(_)) => {
            Err(Failure::new("the address is set more than once").advise("Keep one of url, url_env, url_command and url_file."))
        }
    }
}

/// The address of an API, without a slash at its end.
fn api(url: Option<String>, default: &str) -> Result<String, Failure> {
    let url = url.unwrap_or_else(|| default.to_owned());
    check_url(&url)?;
    Ok(url.trim_end_matches('/').to_owned())
}

fn kind(raw: RawChannel) -> Result<ChannelKind, Failure> {
    let token = secret(raw.token_env, raw.token_command, raw.token_file, "token")?;
    let token = || needed(token.clone(), "token_env, token_command or token_file");
    let hidden = secret(raw.url_env, raw.url_command, raw.url_file, "url")?;
    Ok(match raw.kind.as_str() {
        "file" => ChannelKind::File { path: needed(raw.path, "path")? },
        "webhook" => ChannelKind::Webhook {
            address: address(raw.url, hidden)?,
            secret: secret(raw.secret_env, raw.secret_command, raw.secret_file, "secret")?,
        },
        "slack" => ChannelKind::Slack {
            url: api(raw.url, "https://slack.com/api")?,
            token: token()?,
            channel: needed(raw.channel, "channel")?,
        },
        "slack-webhook" => ChannelKind::SlackWebhook { address: address(raw.url, hidden)? },
        "teams" => ChannelKind::Teams { address: address(raw.url, hidden)? },
        "discord" => ChannelKind::Discord { address: address(raw.url, hidden)? },
        "email" => {
            let password = secret(raw.password_env, raw.password_command, raw.password_file, "password")?;
            let login = match (raw.user, password) {
                (Some(user), Some(password)) => Some((user, password)),
                (None, None) => None,
                (Some(_), None) => {
                    return Err(
                        Failure::new("the user has no password").advise("Set password_env, password_command or password_file.")
                    );
                }
                (None, Some(_)) => return Err(Failure::new("the password has no user").advise("Set user.")),
            };
            let host = needed(raw.host, "host")?;
            ChannelKind::Email(mail(host, raw.port, raw.security.as_deref(), login, raw.from, raw.to)?)
        }
        "pagerduty" => ChannelKind::PagerDuty {
            url: api(raw.url, "https://api.pagerduty.com")?,
            token: token()?,
            from: needed(raw.from, "from")?,
            post: match raw.post.as_deref().unwrap_or("status-update") {
                "status-update" => PagerDutyPost::StatusUpdate,
                "note" => PagerDutyPost::Note,
                other => return Err(Failure::new(format!("post = '{other}' is unknown")).advise("Use status-update or note.")),
            },
        },
        "statuspage" => ChannelKind::Statuspage {
            url: api(raw.url, "https://api.statuspage.io/v1")?,
            token: token()?,
            page: needed(raw.page, "page")?,
            components: raw.components,
            notifies: raw.notify_subscribers,
        },
        _ => {
            let project = needed(raw.project, "project")?;
            if project.split('/').filter(|p| !p.is_empty()).count() != 2 {
                return Err(Failure::new(format!("'{project}' is not a project")).advise("Set owner/repository."));
            }
            ChannelKind::Github { url: api(raw.url, "https://api.github.com")?, token: token()?, project }
        }
    })
}

fn mail(
    host: String,
    port: Option<u16>,
    security: Option<&str>,
    login: Option<(String, SecretRef)>,
    from: Option<String>,
    to: Option<Vec<String>>,
) -> Result<MailConfig, Failure> {
    let (security, default_port) = match security.unwrap_or("tls") {
        "tls" => (MailSecurity::Tls, 465),
        "starttls" => (MailSecurity::StartTls, 587),
        "none" => (MailSecurity::None, 25),
        other => return Err(Failure::new(format!("security = '{other}' is unknown")).advise("Use tls, starttls or none.")),
    };
    let (from, to) = (needed(from, "from")?, needed(to.filter(|to| !to.is_empty()), "to")?);
    for address in std::iter::once(&from).chain(&to) {
        address.parse::<lettre::message::Mailbox>().map_err(|_invalid| {
            Failure::new(format!("'{address}' is not an e-mail address"))
                .advise("Write name@example.com or \"Name <name@example.com>\".")
        })?;
    }
    Ok(MailConfig { host, port: port.unwrap_or(default_port), security, login, from, to })
}
