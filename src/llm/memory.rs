//! What was learnt about each model: its dialect, its context window, how its tokens compare with the estimate, and how long its
//! answers take. Kept in `<state dir>/warroom/models.json`, so that the next process need not learn it again. The file may be
//! deleted at any time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

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
    /// The largest share of the estimated tokens that the server counted in a prompt; above 1 for a tokenizer with short tokens.
    pub token_share: Option<f64>,
    /// How long the latest whole answers took, in seconds, the newest last.
    pub answer_seconds: Vec<f64>,
}

/// How many answers the usual time is taken from.
const TIMED_ANSWERS: usize = 5;

impl Known {
    /// The median time of the latest answers; `None` before the first.
    pub(crate) fn usual_time(&self) -> Option<Duration> {
        let mut sorted = self.answer_seconds.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        // A file that a person changed may hold any number.
        sorted.get(sorted.len() / 2).and_then(|s| Duration::try_from_secs_f64(*s).ok())
    }

    /// Adds the time that a whole answer took.
    pub(crate) fn took(&mut self, time: Duration) {
        self.answer_seconds.push(time.as_secs_f64());
        let surplus = self.answer_seconds.len().saturating_sub(TIMED_ANSWERS);
        self.answer_seconds.drain(..surplus);
    }
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
