//! The configuration: defaults, then the user's file, then the environment, then flags. Each mistake is told with its
//! line, the key, the nearest known key and what to do. There is no project or system file: a checkout must not be able to
//! run somebody's `api_key_command`.

mod file;
mod secret;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use file::{
    AssistantConfig, Auth, BasicAuth, OncallConfig, SloConfig, SourceConfig, TlsConfig, TrackerConfig, TrackerKind, UiConfig,
};
pub use secret::{SecretError, SecretRef};

use crate::incident::Matrix;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path} cannot be read: {reason}")]
    Read { path: String, reason: String },
    /// The message holds the place and the remedy.
    #[error("{path}{place}: {message}")]
    Invalid { path: String, place: String, message: String },
}

/// The values that the rest of the program works with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read; `None` when there is none.
    pub path: Option<PathBuf>,
    pub sources: Vec<SourceConfig>,
    pub assistant: Option<AssistantConfig>,
    pub store_url: String,
    /// The password of a shared store.
    pub store_password: Option<SecretRef>,
    /// The folder in which copies of shared stores are kept.
    pub copies: PathBuf,
    pub user: String,
    pub matrix: Matrix,
    /// How long a service is watched before it counts as restored.
    pub monitor: Duration,
    /// After how long an ended incident may be purged; `None`: kept for ever. Nothing is purged by itself.
    pub retention: Option<Duration>,
    pub trackers: Vec<TrackerConfig>,
    pub oncall: OncallConfig,
    /// Objectives of the error budgets.
    pub slo: SloConfig,
    pub ui: UiConfig,
}

/// What flags and the environment say.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub config: Option<PathBuf>,
    pub store: Option<String>,
}

impl Config {
    /// Reads the configuration. A file that was named must exist; the default one may be absent.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let named = overrides.config.clone().or_else(|| env("WARROOM_CONFIG").map(PathBuf::from));
        let path = match &named {
            Some(path) => Some(path.clone()),
            None => default_path().filter(|p| p.exists()),
        };
        let mut config = Self::defaults();
        if let Some(path) = path {
            let text = std::fs::read_to_string(&path).map_err(|e| ConfigError::Read {
                path: path.display().to_string(),
                reason: format!("{e}; check the path, or leave --config and WARROOM_CONFIG out to start without one"),
            })?;
            file::apply(&mut config, &text, &path)?;
            config.path = Some(path);
        }
        if let Some(store) = overrides.store.clone().or_else(|| env("WARROOM_STORE")) {
            config.store_url = store;
        }
        Ok(config)
    }

    /// What holds without a file: no sources, the local store, the login name.
    pub fn defaults() -> Self {
        Self {
            path: None,
            sources: Vec::new(),
            assistant: None,
            store_url: default_store(),
            store_password: None,
            copies: data_folder(),
            user: env("WARROOM_USER").or_else(login_name).unwrap_or_else(|| "unknown".to_owned()),
            matrix: Matrix::default(),
            monitor: crate::incident::gate::DEFAULT_MONITOR_TIME,
            retention: None,
            trackers: Vec::new(),
            oncall: OncallConfig::default(),
            slo: SloConfig::default(),
            ui: UiConfig::default(),
        }
    }
}

/// The login name: from the environment, else from the system's list of users.
fn login_name() -> Option<String> {
    let named = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|n| env(n));
    #[cfg(unix)]
    let named = named.or_else(|| {
        let uid = rustix::process::getuid().as_raw().to_string();
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        users
            .lines()
            .map(|l| l.split(':').collect::<Vec<_>>())
            .find(|f| f.get(2) == Some(&uid.as_str()))?
            .first()
            .map(|n| (*n).to_owned())
    });
    named
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Where a configuration is looked for when none is named: `<config dir>/warroom/config.toml`.
pub fn default_path() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "warroom").map(|d| d.config_dir().join("config.toml"))
}

/// The folder of the user's own prompts, playbooks and themes: beside the configuration that is in use.
pub fn user_folder(config: &Config, what: &str) -> Option<PathBuf> {
    config.path.clone().or_else(default_path).and_then(|p| p.parent().map(Path::to_path_buf)).map(|p| p.join(what))
}

/// Where our own log is written.
pub fn log_folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "warroom").map(|d| d.state_dir().unwrap_or_else(|| d.data_dir()).to_path_buf())
}

/// Where incidents rest when nothing else is said.
pub fn data_folder() -> PathBuf {
    directories::ProjectDirs::from("", "", "warroom").map_or_else(|| PathBuf::from("."), |d| d.data_dir().to_path_buf())
}

fn default_store() -> String {
    format!("sqlite:{}", data_folder().join("journal.db").display())
}

/// The default total time for one request to a source.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The known word nearest to `word` within three edits, for "did you mean".
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (distance(word, k), k))
        .filter(|(d, k)| *d <= 3.min(k.len().saturating_sub(1)).max(1))
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Edits between two short words (insert, delete, replace).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut current = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let replace = previous.get(j).copied().unwrap_or(0) + usize::from(ca != *cb);
            let delete = previous.get(j + 1).copied().unwrap_or(0) + 1;
            let insert = current.get(j).copied().unwrap_or(0) + 1;
            current.push(replace.min(delete).min(insert));
        }
        previous = current;
    }
    previous.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
