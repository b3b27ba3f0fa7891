//! `warroom doctor`: what works and what does not, with the remedy.

use std::time::Instant;

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::json;

use super::{CliError, Done, out};
use crate::config::{Config, Overrides, default_path};
use crate::investigate::SourceSet;
use crate::investigate::desk::store_at;
use crate::journal::Journal;
use crate::llm::Llm;

#[derive(Serialize)]
struct Check {
    name: String,
    status: &'static str,
    latency_ms: Option<f64>,
    detail: String,
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &str, since: Option<Instant>, detail: String) -> Self {
        Self { name: name.to_owned(), status: "ok", latency_ms: since.map(millis), detail, remedy: None }
    }
    fn bad(name: &str, status: &'static str, since: Option<Instant>, detail: String, remedy: &str) -> Self {
        Self { name: name.to_owned(), status, latency_ms: since.map(millis), detail, remedy: Some(remedy.to_owned()) }
    }
}

fn millis(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e4).round() / 10.0
}

pub(super) async fn run(overrides: &Overrides, as_json: bool) -> Result<Done, CliError> {
    let mut checks = Vec::new();
    match Config::load(overrides) {
        Err(e) => checks.push(Check::bad("config", "fail", None, e.to_string(), "correct it and run `warroom doctor` again")),
        Ok(config) => {
            checks.push(config_check(&config));
            checks.push(store_check(&config).await);
            checks.extend(source_checks(&config).await);
            checks.push(llm_check(&config).await);
        }
    }
    let ok = checks.iter().all(|c| c.status != "fail");
    if as_json {
        out::json(&json!({"ok": ok, "checks": checks}))?;
    } else {
        let rows: Vec<Vec<String>> = checks
            .iter()
            .map(|c| {
                let latency = c.latency_ms.map_or_else(String::new, |l| format!("{l:.1} ms"));
                let remedy = c.remedy.as_ref().map_or_else(String::new, |r| format!(" - {r}"));
                vec![c.status.to_owned(), c.name.clone(), latency, format!("{}{remedy}", c.detail)]
            })
            .collect();
        for line in out::table(&rows) {
            out::line(line)?;
        }
    }
    Ok(if ok { Done::Whole } else { Done::No })
}

fn config_check(config: &Config) -> Check {
    let place = default_path().map_or_else(|| "no config folder is known".to_owned(), |p| p.display().to_string());
    match &config.path {
        Some(path) if config.sources.is_empty() => {
            Check::bad("config", "warn", None, format!("{} names no sources", path.display()), "add a [[sources]] section")
        }
        Some(path) => Check::ok(
            "config",
            None,
            format!("{}, {}", path.display(), crate::telemetry::words::count(config.sources.len(), "source")),
        ),
        None => {
            Check::bad("config", "warn", None, "there is none".to_owned(), &format!("write {place}; `warroom demo` needs none"))
        }
    }
}

async fn store_check(config: &Config) -> Check {
    let since = Instant::now();
    match store_at(config).and_then(|at| Ok(Journal::open(&at)?)) {
        Err(e) => Check::bad("store", "fail", Some(since), e.to_string(), "give another with --store"),
        Ok(journal) => match journal.list().await {
            Ok(heads) => {
                let status = journal.status().await.unwrap_or_default();
                let detail = format!("{}, {}", journal.url(), crate::telemetry::words::count(heads.len(), "incident"));
                let waiting = format!("{} on this machine", crate::telemetry::words::entries_waiting(status.unsynced));
                match (status.away, status.read_only) {
                    (Some(why), _) => {
                        let detail = format!("{}: out of reach ({why}); {waiting}", journal.url());
                        Check::bad("store", "warn", Some(since), detail, "warroom goes on without it and merges when it is back")
                    }
                    (None, Some(why)) => Check::bad(
                        "store",
                        "warn",
                        Some(since),
                        format!("{detail}, {why}"),
                        "it can be read; give another to write to with --store",
                    ),
                    (None, None) => Check::ok("store", Some(since), detail),
                }
            }
            Err(e) => Check::bad("store", "fail", Some(since), e.to_string(), "run `warroom verify`"),
        },
    }
}

async fn source_checks(config: &Config) -> Vec<Check> {
    let set = SourceSet::from_config(config);
    let mut checks: Vec<Check> = set
        .broken
        .iter()
        .map(|(name, kind, e)| Check::bad(&format!("{name} ({kind})"), "fail", None, e.message.clone(), e.kind.remedy()))
        .collect();
    checks.extend(
        join_all(set.sources.iter().map(|s| async move {
            let name = format!("{} ({})", s.name(), s.kind());
            let since = Instant::now();
            match s.probe().await {
                Ok(detail) => Check::ok(&name, Some(since), detail),
                Err(e) => Check::bad(&name, "fail", Some(since), format!("{}: {}", e.kind.word(), e.message), e.kind.remedy()),
            }
        }))
        .await,
    );
    checks
}

async fn llm_check(config: &Config) -> Check {
    let Some(assistant) = &config.assistant else {
        return Check::bad(
            "llm",
            "warn",
            None,
            "none is configured: the rule-based report answers".to_owned(),
            "add [assistant] base_url and model",
        );
    };
    let since = Instant::now();
    match Llm::probe(assistant).await {
        Ok(detail) => Check::ok("llm", Some(since), detail),
        Err(e) => Check::bad("llm", "fail", Some(since), e.message, "check [assistant] base_url and the key"),
    }
}
