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

/// Words that name an environment which no customer sees.
const ASIDE: [&str; 17] = [
    "stage",
    "staging",
    "stg",
    "test",
    "testing",
    "dev",
    "development",
    "qa",
    "uat",
    "int",
    "nonprod",
    "preprod",
    "preview",
    "sandbox",
    "review",
    "demo",
    "github-pages",
];

/// Whether an environment, or a namespace, is named as one that no customer sees: by a whole word of it, unless another says that it
/// is production.
pub fn is_aside(environment: Option<&str>) -> bool {
    let Some(name) = environment.map(str::to_lowercase) else { return false };
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    ASIDE.contains(&name.as_str())
        || (words.clone().any(|w| ASIDE.contains(&w)) && !words.any(|w| matches!(w, "prod" | "production" | "live")))
}

#[cfg(test)]
mod tests {
    use super::is_aside;

    #[test]
    fn environments_are_told_by_whole_words() {
        for (name, aside) in [
            ("staging", true),
            ("shop-stg", true),
            ("uat_eu", true),
            ("github-pages", true),
            ("Dev", true),
            ("production", false),
            ("latest", false),
            ("reviews", false),
            ("demographics", false),
            ("production-test-eu", false),
            ("prod", false),
        ] {
            assert_eq!(is_aside(Some(name)), aside, "{name}");
        }
        assert!(!is_aside(None));
    }
}
