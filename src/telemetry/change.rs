//! Changes to a system: deploys, commits, scaling, feature flags.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A change as reported by a change source. Its text is cleaned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeEvent {
    pub at: Timestamp,
    pub service: Option<String>,
    /// A description without time and service: `image shop:1.41.3 → shop:1.42.0 (revision 7)`.
    pub what: String,
    /// Who made the change; `None` if the source does not say.
    pub by: Option<String>,
    /// A URL with more details.
    pub link: Option<String>,
    /// Whether the change took effect at `at`: true for a deploy, false for a commit, which may still be waiting for one.
    pub is_release: bool,
}

impl ChangeEvent {
    /// The change with its author, if known: `commit 1a2b3c4 "Retry twice" by Ada`.
    pub fn describe(&self) -> String {
        match &self.by {
            Some(by) => format!("{} by {by}", self.what),
            None => self.what.clone(),
        }
    }
}

/// Words that mark an environment as one that customers do not use.
const NON_PRODUCTION: [&str; 17] = [
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

/// Whether the name of an environment or namespace marks it as non-production: one of its words is `staging`, `test`, `dev`
/// or the like, and none is `prod`, `production` or `live`. False for `None`.
pub fn is_non_production(environment: Option<&str>) -> bool {
    let Some(name) = environment.map(str::to_lowercase) else { return false };
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    NON_PRODUCTION.contains(&name.as_str())
        || (words.clone().any(|w| NON_PRODUCTION.contains(&w)) && !words.any(|w| matches!(w, "prod" | "production" | "live")))
}

#[cfg(test)]
mod tests {
    use super::is_non_production;

    #[test]
    fn matches_environments_by_whole_words() {
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
            assert_eq!(is_non_production(Some(name)), aside, "{name}");
        }
        assert!(!is_non_production(None));
    }
}
