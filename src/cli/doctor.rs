//! `warroom doctor`: checks the configuration, the user's files, the store, the sources and the LLM, and suggests remedies.

use std::time::Instant;

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::json;

use super::{CliError, Done, Global, load_config, out};
use crate::config::{Config, Trust, default_path, load_presets};
use crate::investigate::SourceSet;
use crate::investigate::desk::{load_playbooks, store_at};
use crate::journal::{Journal, StoreStatus};
use crate::llm::Llm;
use crate::prompt::Library;
use crate::runtime::user_files;
use crate::sources::Probe;
use crate::telemetry::words::count;
use crate::telemetry::{Explain, Failure};

#[derive(Serialize)]
struct Check {
    name: String,
    status: &'static str,
    latency_ms: Option<f64>,
    detail: String,
    remedy: Option<String>,
}

impl Check {
    fn new(name: &str, status: &'static str, since: Option<Instant>, detail: String, remedy: Option<String>) -> Self {
        Self { name: name.to_owned(), status, latency_ms: since.map(millis), detail, remedy }
    }

    fn ok(name: &str, since: Option<Instant>, detail: String) -> Self {
        Self::new(name, "ok", since, detail, None)
    }

    fn warn(name: &str, since: Option<Instant>, detail: String, remedy: &str) -> Self {
        Self::new(name, "warn", since, detail, Some(remedy.to_owned()))
    }

    fn fail(name: &str, since: Option<Instant>, failure: &Failure) -> Self {
        let failure = super::error::redacted(failure);
        Self::new(name, "fail", since, failure.summary(), failure.remedy)
    }

    /// The result of a probe: a warning if it works but is not usable as configured.
    fn probe(name: &str, since: Instant, probe: Probe) -> Self {
        let status = if probe.warning.is_some() { "warn" } else { "ok" };
        Self::new(name, status, Some(since), probe.detail, probe.warning)
    }
}

fn millis(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e4).round() / 10.0
}

pub(super) async fn run(global: &Global) -> Result<Done, CliError> {
    let mut checks = Vec::new();
    match load_config(global) {
        Err(e) => checks.push(Check::fail("config", None, &e.failure())),
        Ok(config) => {
            checks.push(config_check(&config));
            checks.extend(file_checks(&config));
            checks.push(store_check(&config).await);
            checks.extend(source_checks(&config).await);
            checks.push(llm_check(&config).await);
        }
    }
    let ok = checks.iter().all(|c| c.status != "fail");
    if global.json {
        out::json(&json!({"ok": ok, "checks": checks}))?;
    } else {
        let rows: Vec<Vec<String>> = checks
            .iter()
            .map(|c| {
                let latency = c.latency_ms.map_or_else(String::new, |l| format!("{l:.1} ms"));
                let remedy = c.remedy.as_ref().map_or_else(String::new, |r| format!(". {r}"));
                vec![c.status.to_owned(), c.name.clone(), latency, format!("{}{remedy}", c.detail)]
            })
            .collect();
        for line in out::table(&rows) {
            out::line(line)?;
        }
    }
    Ok(if ok { Done::Complete } else { Done::Problems })
}

fn config_check(config: &Config) -> Check {
    let path = default_path().map_or_else(|| "a config.toml".to_owned(), |p| p.display().to_string());
    match &config.path {
        Some(path) if config.sources.is_empty() => {
            Check::warn("config", None, format!("{} has no sources", path.display()), "Add a [[sources]] section.")
        }
        Some(path) => Check::ok("config", None, format!("{}, {}", path.display(), count(config.sources.len(), "source"))),
        None => {
            let remedy = format!("Create {path}, or run `warroom demo` to try warroom without one.");
            Check::warn("config", None, "no configuration file".to_owned(), &remedy)
        }
    }
}

/// Checks the user's prompts, themes, keys, playbooks, presets and templates of updates: a warning for each problem, because the rest is used.
fn file_checks(config: &Config) -> Vec<Check> {
    let (prompts, unreadable) = crate::config::user_files(config, "prompts", "md");
    let mut problems = Library::load(&prompts).with_problems(unreadable).problems().to_vec();
    problems.extend(user_files::load(config).problems);
    problems.extend(load_playbooks(config).problems().iter().cloned());
    let (templates, unreadable) = crate::config::user_files(config, "updates", "md");
    problems.extend(unreadable.into_iter().chain(crate::comms::template_problems(&templates)));
    let mut checks: Vec<Check> = problems
        .into_iter()
        .map(|p| {
            let place = p.line.map_or_else(|| p.file.clone(), |line| format!("{}:{line}", p.file));
            Check::new("files", "warn", None, format!("{place}: {}", p.text), Some(p.remedy))
        })
        .collect();
    for preset in load_presets(config).into_iter().filter(|p| p.trust() != Trust::Trusted) {
        let state = if preset.trust() == Trust::New { "is not trusted" } else { "has changed since it was trusted" };
        let remedy =
            format!("Review it with `warroom preset show {0}`, and trust it with `warroom preset trust {0}`.", preset.name);
        checks.push(Check::new("presets", "warn", None, format!("preset {} {state}", preset.name), Some(remedy)));
    }
    if checks.is_empty() {
        let themes = crate::config::user_files(config, "themes", "toml").0.len();
        let keys = if crate::config::user_file(config, "keys.toml").is_some() { "your keys.toml" } else { "the default keys" };
        let detail = format!("{}, {}, {keys}", count(prompts.len(), "custom prompt"), count(themes, "custom theme"));
        checks.push(Check::ok("files", None, detail));
    }
    checks
}

async fn store_check(config: &Config) -> Check {
    let since = Instant::now();
    let journal = match store_at(config).and_then(|at| Ok(Journal::open(&at)?)) {
        Err(e) => return Check::fail("store", Some(since), &e.failure()),
        Ok(journal) => journal,
    };
    let incidents = match journal.list().await {
        Err(e) => return Check::fail("store", Some(since), &e.failure()),
        Ok(heads) => heads.len(),
    };
    let detail = format!("{}, {}", journal.url(), count(incidents, "incident"));
    match journal.status().await.unwrap_or_default() {
        StoreStatus { unreachable: Some(why), unsynced, .. } => {
            let waiting = crate::telemetry::words::entries_waiting(unsynced);
            let detail = format!("{}: unreachable ({why}); {waiting} on this machine", journal.url());
            Check::warn(
                "store",
                Some(since),
                detail,
                "warroom uses this machine's copy and merges the entries when the store is reachable.",
            )
        }
        StoreStatus { read_only: Some(why), .. } => {
            Check::warn("store", Some(since), format!("{detail}, read-only: {why}"), "Use another store with --store to write.")
        }
        StoreStatus { notices, .. } => match notices.first() {
            Some(notice) => Check::warn(
                "store",
                Some(since),
                format!("{detail}. {}", notice.trim_end_matches('.')),
                "Keep the damaged file until you have compared it with the store.",
            ),
            None => Check::ok("store", Some(since), detail),
        },
    }
}

async fn source_checks(config: &Config) -> Vec<Check> {
    let set = SourceSet::from_config(config);
    let mut checks: Vec<Check> =
        set.broken.iter().map(|(name, kind, e)| Check::fail(&format!("{name} ({kind})"), None, &e.failure())).collect();
    let probed = join_all(set.sources.iter().map(|s| async move {
        let name = format!("{} ({})", s.name(), s.kind());
        let since = Instant::now();
        match s.probe().await {
            Ok(probe) => Check::probe(&name, since, probe),
            Err(e) => Check::fail(&name, Some(since), &Failure { message: e.summary(), ..e.failure() }),
        }
    }));
    checks.extend(probed.await);
    checks
}

async fn llm_check(config: &Config) -> Check {
    let Some(assistant) = &config.assistant else {
        let detail = "not configured; the built-in rules answer".to_owned();
        return Check::warn("llm", None, detail, "Add [assistant] with base_url and model to use an LLM.");
    };
    let since = Instant::now();
    match Llm::probe(assistant).await {
        Ok(probe) => Check::probe("llm", since, probe),
        Err(e) => Check::fail("llm", Some(since), &e.failure()),
    }
}
