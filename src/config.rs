//! The configuration: defaults, overridden by the user's file, the environment and flags, in this order. Mistakes are
//! reported with their line, the key, the nearest known key and a remedy. There is no project or system file, because a
//! checkout must not be able to run an `api_key_command`.

mod channel;
mod file;
mod log_format;
mod preset;
mod secret;
mod types;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use channel::{Address, CLIPBOARD, ChannelConfig, ChannelKind, MailConfig, MailSecurity, PagerDutyPost};
pub use preset::{CommandConfig, Preset, PresetConfig, Trust, load_presets, trust};
pub use secret::{CommandLine, SecretError, SecretRef};
pub use types::{
    AssistantConfig, Auth, BasicAuth, Notification, OncallConfig, PagerDutyConfig, SloConfig, SourceConfig, TlsConfig,
    TrackerConfig, TrackerKind, UiConfig,
};

use crate::incident::Matrix;
use crate::telemetry::Failure;
use crate::telemetry::failure::{Explain, FileProblem, UserFile};
use crate::telemetry::parse::Formats;

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
        /// Counted from 1; `None` if the mistake is not on a single line.
        line: Option<usize>,
        mistake: Failure,
    },
}

impl Explain for ConfigError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("Check the path, or run warroom without --config and WARROOM_CONFIG.".to_owned()),
            Self::Invalid { mistake, .. } => mistake.remedy.clone(),
        }
    }
}

/// Checks that a source has the keys that its type needs. Source types are registered in `sources`, so callers pass this in.
pub type CheckSource = fn(&SourceConfig) -> Result<(), Failure>;

/// The configuration in effect.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read; `None` if there is none.
    pub path: Option<PathBuf>,
    pub sources: Vec<SourceConfig>,
    pub assistant: Option<AssistantConfig>,
    pub store_url: String,
    /// The password of a shared store.
    pub store_password: Option<SecretRef>,
    /// The folder that holds this machine's copies of shared stores.
    pub copies: PathBuf,
    /// The name under which the user's entries are recorded.
    pub user: String,
    pub matrix: Matrix,
    /// How long a service must stay healthy before it counts as restored.
    pub monitor: Duration,
    /// How long after its end an incident is kept; `None` keeps everything. Nothing is purged automatically.
    pub retention: Option<Duration>,
    pub trackers: Vec<TrackerConfig>,
    /// Where stakeholder updates are sent, besides the clipboard.
    pub channels: Vec<ChannelConfig>,
    /// The formats of log lines that the user described.
    pub log_formats: Formats,
    /// Names that customers know, although they look like internal ones.
    pub public_names: Vec<String>,
    pub oncall: OncallConfig,
    /// The user's own commands.
    pub commands: Vec<CommandConfig>,
    /// Folders with playbooks and commands that a team shares.
    pub presets: Vec<PresetConfig>,
    /// The service level objectives.
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
    /// Loads the configuration. A file named by a flag or by WARROOM_CONFIG must exist; the default file may be missing.
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

    /// The configuration without a file: no sources, the local store, and the login name as the user.
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
            channels: Vec::new(),
            log_formats: Formats::default(),
            public_names: Vec::new(),
            oncall: OncallConfig::default(),
            commands: Vec::new(),
            presets: Vec::new(),
            slo: SloConfig::default(),
            ui: UiConfig::default(),
        }
    }
}

/// The login name; `None` if the system does not report one.
fn login_name() -> Option<String> {
    whoami::username().ok().filter(|name| !name.is_empty())
}

/// An environment variable; `None` if it is not set or empty.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// The path of the default configuration: `<config dir>/warroom/config.toml`.
pub fn default_path() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "warroom").map(|d| d.config_dir().join("config.toml"))
}

/// The folders of the user's own prompts, themes and playbooks: `<config dir>/warroom/<what>`, and `<what>` next to a
/// configuration file that is elsewhere. A file in a later folder replaces a file of the same name in an earlier one.
pub fn user_folders(config: &Config, what: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for file in default_path().iter().chain(config.path.iter()) {
        let folder = file.parent().map(|p| p.join(what));
        folders.extend(folder.filter(|f| !folders.contains(f)));
    }
    folders
}

/// The user's files of one kind, sorted by name, and the problems with those that could not be read.
pub fn user_files(config: &Config, what: &str, extension: &str) -> (Vec<UserFile>, Vec<FileProblem>) {
    let mut files: BTreeMap<String, UserFile> = BTreeMap::new();
    let mut problems = Vec::new();
    for folder in user_folders(config, what) {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => {
                problems.push(unreadable(&folder, &e));
                continue;
            }
        };
        let paths = entries.filter_map(Result::ok).map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == extension));
        for path in paths {
            let Some(name) = path.file_stem().and_then(|s| s.to_str()).map(str::to_owned) else { continue };
            match read_user_file(&path, &name) {
                Ok(file) => {
                    files.insert(name, file);
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    (files.into_values().collect(), problems)
}

/// The user's file of this name next to the configuration, such as `keys.toml`; `None` if there is none.
pub fn user_file(config: &Config, name: &str) -> Option<Result<UserFile, FileProblem>> {
    let path = user_folders(config, name).into_iter().rev().find(|p| p.exists())?;
    Some(read_user_file(&path, name))
}

fn read_user_file(path: &Path, name: &str) -> Result<UserFile, FileProblem> {
    let bytes = std::fs::read(path).map_err(|e| unreadable(path, &e))?;
    let text = String::from_utf8(bytes).map_err(|e| FileProblem {
        text: "not UTF-8 text".to_owned(),
        remedy: "Save it as UTF-8. It is ignored.".to_owned(),
        ..unreadable(path, &std::io::Error::other(e))
    })?;
    Ok(UserFile { path: path.display().to_string(), name: name.to_owned(), text })
}

fn unreadable(path: &Path, error: &std::io::Error) -> FileProblem {
    let remedy = "Check its permissions. It is ignored.".to_owned();
    FileProblem { file: path.display().to_string(), line: None, text: format!("cannot be read: {error}"), remedy }
}

/// Expands `~/` at the start of a path to the user's home folder, as a shell does.
pub fn expand_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), directories::BaseDirs::new()) {
        (Ok(rest), Some(dirs)) => dirs.home_dir().join(rest),
        _ => path.to_owned(),
    }
}

/// The folder of warroom's own log; `None` if the home folder is unknown.
pub fn log_folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "warroom").map(|d| d.state_dir().unwrap_or_else(|| d.data_dir()).to_path_buf())
}

/// The folder of the default store; the current folder if the home folder is unknown.
pub fn data_folder() -> PathBuf {
    directories::ProjectDirs::from("", "", "warroom").map_or_else(|| PathBuf::from("."), |d| d.data_dir().to_path_buf())
}

fn default_store() -> String {
    format!("sqlite:{}", data_folder().join("journal.db").display())
}

/// The default timeout of a request to a source.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
