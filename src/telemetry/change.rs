//! What was done to a system: a deploy, a commit, a scaling, a switch.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Something that was done, as a source of changes tells it; its text is cleaned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeEvent {
    pub at: Timestamp,
    pub service: Option<String>,
    /// In words, without time and service: `image shop:1.41.3 → shop:1.42.0 (revision 7)`.
    pub what: String,
    /// Who did it; `None` where the source does not say.
    pub by: Option<String>,
    /// Where to read more.
    pub link: Option<String>,
    /// Whether it took effect for sure when it was done: a deploy did, a commit may wait for one.
    pub is_release: bool,
}

impl ChangeEvent {
    /// What was done and by whom: `commit 1a2b3c4 "Retry twice" by Ada`.
    pub fn told(&self) -> String {
        match &self.by {
            Some(by) => format!("{} by {by}", self.what),
            None => self.what.clone(),
        }
    }
}

/// Environments that no customer sees, by a part of their name.
const ASIDE: [&str; 8] = ["stag", "test", "dev", "qa", "preview", "sandbox", "review", "demo"];

/// Whether an environment, or a namespace, is named as one that no customer sees.
pub fn is_aside(environment: Option<&str>) -> bool {
    environment.is_some_and(|e| ASIDE.iter().any(|word| e.to_lowercase().contains(word)))
}
