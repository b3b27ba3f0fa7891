//! What was learnt about each model: its dialect, its context window, and how its tokens compare with the estimate. Kept in
//! `<state dir>/warroom/models.json`, so that the next process need not learn it again. The file may be deleted at any time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::dialect::Dialect;
use crate::config::AssistantConfig;

/// What is known about one model on one server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Known {
    pub dialect: Dialect,
    /// The context window in tokens that the server named when a prompt did not fit.
    pub context_tokens: Option<u64>,
    /// The largest share of the estimated tokens that the server counted in a prompt; at most 1.
    pub token_share: Option<f64>,
}

fn path() -> Option<PathBuf> {
    crate::config::log_folder().map(|folder| folder.join("models.json"))
}

fn key(config: &AssistantConfig) -> String {
    format!("{} {}", config.base_url, config.model)
}

fn read() -> BTreeMap<String, Known> {
    let text = path().and_then(|p| std::fs::read_to_string(p).ok());
    text.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default()
}

/// What is known about a model. Nothing is known if the file is missing or damaged.
pub(crate) fn known(config: &AssistantConfig) -> Known {
    read().remove(&key(config)).unwrap_or_default()
}

/// Changes what is known about a model. A file that cannot be written is not an error: the next process learns again.
pub(crate) fn learn(config: &AssistantConfig, change: impl FnOnce(&mut Known)) {
    let mut all = read();
    let entry = all.entry(key(config)).or_default();
    let before = entry.clone();
    change(entry);
    if *entry == before {
        return;
    }
    let written = path().zip(serde_json::to_string_pretty(&all).ok()).map(|(path, text)| {
        std::fs::create_dir_all(path.parent()?).ok()?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        std::fs::write(&temporary, text).ok()?;
        std::fs::rename(&temporary, &path).ok()
    });
    if written.flatten().is_none() {
        tracing::debug!("what was learnt about the model cannot be saved");
    }
}
