//! `warroom models`: the configured models and whether their servers have them; without any, what runs on this machine.

use serde_json::json;

use super::{CliError, Done, out};
use crate::config::{AssistantConfig, Config};
use crate::llm::{Found, find_local, look};

pub(super) async fn run(config: &Config, as_json: bool) -> Result<Done, CliError> {
    let mut found: Vec<(String, Found)> = Vec::new();
    if let Some(main) = &config.assistant {
        let named = main.named.iter().map(|(name, model)| (name.clone(), model.clone()));
        let all: Vec<(String, AssistantConfig)> = std::iter::once(("default".to_owned(), main.clone())).chain(named).collect();
        for (name, model) in all {
            found.push((name, look(&model).await));
        }
    } else {
        found.extend(find_local().await.into_iter().map(|f| ("found".to_owned(), f)));
    }
    let is_complete = found.iter().all(|(_, f)| f.reachable);
    if as_json {
        let shape = |(name, f): &(String, Found)| {
            json!({
                "name": name, "base_url": f.base_url, "model": f.model, "reachable": f.reachable, "context_tokens": f.context_tokens,
                "tools": null, "detail": f.detail, "remedy": f.remedy,
            })
        };
        out::json(&json!({"models": found.iter().map(shape).collect::<Vec<_>>()}))?;
    } else {
        for (name, f) in &found {
            let window = f.context_tokens.map_or_else(String::new, |n| format!(", {n} tokens of context"));
            out::line(format!("{name}  {}  {}  {}{window}", f.model, f.base_url, f.detail))?;
            if let Some(remedy) = &f.remedy {
                out::note(format!("    {remedy}"));
            }
        }
        if found.is_empty() {
            out::note(
                "No model is configured, and no server was found on the usual ports of this machine. Add [assistant] to the configuration.",
            );
        } else if config.assistant.is_none() {
            out::note("No model is configured. Add one of these as [assistant] to the configuration.");
        }
    }
    Ok(if is_complete { Done::Complete } else { Done::Partial })
}
