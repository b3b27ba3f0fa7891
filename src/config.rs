//! The configuration: defaults, then the user's file, then the environment, then flags. Every mistake is reported with its line, the
//! key, the nearest known key and what to do. There is no project or system file: a checkout must not be able to run an
//! `api_key_command`.

mod file;
mod secret;
mod types;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use secret::{CommandLine, SecretError, SecretRef};
pub use types::{
    AssistantConfig, Auth, BasicAuth, OncallConfig, SloConfig, SourceConfig, TlsConfig, TrackerConfig, TrackerKind, UiConfig,
};

use crate::incident::Matrix;
use crate::telemetry::Failure;
use crate::telemetry::failure::{Explain, UserFile};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}{}: {mistake}", line.map_or_else(String::new, |n| format!(":{n}")))]
    Invalid {
        path: String,
        /// Counted from 1; `None` when no single line is wrong.
        line: Option<usize>,
        mistake: Failure,
    },
}

impl Explain for ConfigError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("Check the path, or start without --config and WARROOM_CONFIG.".to_owned()),
            Self::Invalid { mistake, .. } => mistake.remedy.clone(),
        }
    }
}

/// Says whether a source has what its type needs. The types of sources are registered elsewhere, so callers pass it in.
pub type CheckSource = fn(&SourceConfig) -> Result<(), Failure>;

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
    /// The folder that holds this machine's copies of shared stores.
    pub copies: PathBuf,
    pub user: String,
    pub matrix: Matrix,
    /// How long a service must stay healthy before it counts as restored.
    pub monitor: Duration,
    /// After how long an ended incident may be purged; `None` keeps everything. Nothing is purged automatically.
    pub retention: Option<Duration>,
    pub trackers: Vec<TrackerConfig>,
    pub oncall: OncallConfig,
    /// The objectives of the error budgets.
    pub slo: SloConfig,
    pub ui: UiConfig,
}

/// Settings from the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub config: Option<PathBuf>,
    pub store: Option<String>,
}

impl Config {
    /// Reads the configuration. A file named by a flag or the environment must exist; the default one may be missing.
    pub fn load(overrides: &Overrides, check: CheckSource) -> Result<Self, ConfigError> {
        let named = overrides.config.clone().or_else(|| env("WARROOM_CONFIG").map(PathBuf::from));
        let path = match &named {
            Some(path) => Some(path.clone()),
            None => default_path().filter(|p| p.exists()),
        };
        let mut config = Self::defaults();
        if let Some(path) = path {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| ConfigError::Read { path: path.display().to_string(), source })?;
            file::apply(&mut config, &text, &path, check)?;
            config.path = Some(path);
        }
        if let Some(store) = overrides.store.clone().or_else(|| env("WARROOM_STORE")) {
            config.store_url = store;
        }
        Ok(config)
    }

    /// The configuration without a file: no sources, the local store, the login name.
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

/// The login name; `None` when the system does not know it.
fn login_name() -> Option<String> {
    whoami::username().ok().filter(|name| !name.is_empty())
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// The path of the default configuration: `<config dir>/warroom/config.toml`.
pub fn default_path() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "warroom").map(|d| d.config_dir().join("config.toml"))
}

/// The folders of the user's own prompts, themes and playbooks: `<config dir>/warroom/<what>`, and `<what>` beside a configuration that is
/// elsewhere. A file in a later folder replaces one of the same name.
pub fn user_folders(config: &Config, what: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for file in default_path().iter().chain(config.path.iter()) {
        let folder = file.parent().map(|p| p.join(what));
        folders.extend(folder.filter(|f| !folders.contains(f)));
    }
    folders
}

/// The user's files of one kind, by name. Files that cannot be read are left out with their reason in the text of the problem.
pub fn user_files(config: &Config, what: &str, extension: &str) -> Vec<UserFile> {
    let mut files: BTreeMap<String, UserFile> = BTreeMap::new();
    for folder in user_folders(config, what) {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let paths = entries.filter_map(Result::ok).map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == extension));
        for path in paths {
            let Some(name) = path.file_stem().and_then(|s| s.to_str()).map(str::to_owned) else { continue };
            let text = std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            files.insert(name.clone(), UserFile { path: path.display().to_string(), name, text });
        }
    }
    files.into_values().collect()
}

/// The user's file of this name beside the configuration, such as `keys.toml`; `None` when there is none.
pub fn user_file(config: &Config, name: &str) -> Option<UserFile> {
    let path = user_folders(config, name).into_iter().rev().find(|p| p.is_file())?;
    let text = std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    Some(UserFile { path: path.display().to_string(), name: name.to_owned(), text })
}

/// The folder of warroom's own log.
pub fn log_folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "warroom").map(|d| d.state_dir().unwrap_or_else(|| d.data_dir()).to_path_buf())
}

/// The folder of the default store.
pub fn data_folder() -> PathBuf {
    directories::ProjectDirs::from("", "", "warroom").map_or_else(|| PathBuf::from("."), |d| d.data_dir().to_path_buf())
}

fn default_store() -> String {
    format!("sqlite:{}", data_folder().join("journal.db").display())
}

/// The default time limit of one request to a source.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
