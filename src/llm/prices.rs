//! The list prices of models, for the cost of an answer where the configuration has none.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::config::AssistantConfig;

#[derive(Deserialize)]
struct List {
    /// The day on which the prices were read.
    as_of: String,
    /// By server and model: dollars for a million tokens of a prompt, and of an answer.
    #[serde(flatten)]
    servers: BTreeMap<String, BTreeMap<String, [f64; 2]>>,
}

static LIST: LazyLock<Option<List>> = LazyLock::new(|| toml::from_str(include_str!("prices.toml")).ok());

/// What a million tokens cost: of a prompt, and of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prices {
    pub input: f64,
    pub output: f64,
}

/// The day of the list prices, such as `2026-11-30`.
pub(crate) fn as_of() -> Option<&'static str> {
    LIST.as_ref().map(|list| list.as_of.as_str())
}

/// The prices of a model: those of the configuration, or those of the list. `None` if neither has any, as for local servers.
pub(crate) fn of(config: &AssistantConfig) -> Option<Prices> {
    if config.input_price.is_some() || config.output_price.is_some() {
        return Some(Prices { input: config.input_price.unwrap_or(0.0), output: config.output_price.unwrap_or(0.0) });
    }
    listed(&config.base_url, &config.model)
}

/// The list price of a model at a server. The longest name that begins the model's name wins: providers add dates.
fn listed(base_url: &str, model: &str) -> Option<Prices> {
    let host = base_url.split("://").nth(1)?.split(['/', ':']).next()?;
    let models = LIST.as_ref()?.servers.get(host)?;
    let model = model.rsplit('/').next()?;
    let begins = |name: &str| model.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':', '@']));
    let (_, [input, output]) = models.iter().filter(|(name, _)| begins(name)).max_by_key(|(name, _)| name.len())?;
    Some(Prices { input: *input, output: *output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_wins_and_a_local_server_has_no_price() {
        let price = |url: &str, model: &str| listed(url, model).map(|p| (p.input, p.output));
        let openai = "https://api.openai.com/v1";
        let mini = price(openai, "gpt-4o-mini-2024-07-18");
        assert!(mini.is_some() && mini == price(openai, "gpt-4o-mini") && mini != price(openai, "gpt-4o"));
        assert_eq!(price(openai, "gpt-4ox"), None);
        assert_eq!(price("http://127.0.0.1:11434/v1", "gpt-4o"), None);
        assert!(as_of().is_some_and(|day| day.len() == 10));
    }
}
