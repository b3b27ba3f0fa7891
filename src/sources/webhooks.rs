//! Deploys as other tools tell them: files of JSON, one object after the other, as a pipeline writes them or as the bodies of
//! webhooks were kept.
//!
//! Known are GitHub's `deployment_status`, `deployment`, `release` and `push`, GitLab's `deployment` and `push`, and plain objects
//! with a time and a text: `{"at": "2026-11-21T09:17:00Z", "service": "shop", "what": "feature flag retry on", "by": "ada"}`.
//! Shapes: docs.github.com and docs.gitlab.com, webhook events. What cannot be read is counted, never a failure.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::fault::{FaultKind, SourceError};
use super::file::{blocking, matching};
use super::{Answer, Asked, ChangeSource, Source, lines};
use crate::config::SourceConfig;
use crate::telemetry::{ChangeEvent, Timestamp, Window, clean, words};

/// Bytes read of one file.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Changes kept of one window.
const MAX_CHANGES: usize = 1_000;
/// Bytes of a text that are shown.
const TEXT: usize = 160;

/// Files of deploys.
pub struct Webhooks {
    name: String,
    globs: Vec<String>,
    service: Option<String>,
}

impl Webhooks {
    /// From its configuration; opens no file yet.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        Ok(Self { name: config.name.clone(), globs: config.paths.clone(), service: config.service.clone() })
    }
}

impl Source for Webhooks {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &str {
        "changes"
    }
    fn probe(&self) -> BoxFuture<'_, Result<String, SourceError>> {
        let globs = self.globs.clone();
        async move { Ok(format!("{} match", words::count(blocking(move || matching(&globs).len()).await?, "file"))) }.boxed()
    }
    fn changes(&self) -> Option<&dyn ChangeSource> {
        Some(self)
    }
}

impl ChangeSource for Webhooks {
    fn query(&self, window: Window) -> String {
        format!("{}, from {} to {}", self.globs.join(" "), window.start, window.end)
    }

    fn within(&self, window: Window) -> Asked<'_, Vec<ChangeEvent>> {
        let (globs, service) = (self.globs.clone(), self.service.clone());
        async move { blocking(move || read(&matching(&globs), service.as_deref(), window)).await? }.boxed()
    }
}

fn read(files: &[PathBuf], service: Option<&str>, window: Window) -> Result<Answer<Vec<ChangeEvent>>, SourceError> {
    let mut answer = Answer::whole(Vec::new());
    let mut failed = None;
    for file in files {
        let text = File::open(file).and_then(|opened| lines::unpacked(file, opened, MAX_FILE)).and_then(|reader| {
            let mut bytes = Vec::new();
            reader.take(MAX_FILE).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let bytes = match text {
            Ok(bytes) => bytes,
            Err(e) => {
                answer.gaps.push(format!("{}: {e}", file.display()));
                failed = Some(SourceError::new(FaultKind::Io, format!("{}: {e}", file.display())));
                continue;
            }
        };
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) >= MAX_FILE {
            answer.gaps.push(format!("{}: only its first {} MB were read", file.display(), MAX_FILE / 1024 / 1024));
        }
        let (values, unreadable) = objects(&bytes);
        let mut unknown = unreadable;
        for value in &values {
            match change(value, service) {
                Some(change) if window.contains(change.at) => answer.value.push(change),
                Some(_) => {}
                None if is_of_no_interest(value) => {}
                None => unknown += 1,
            }
        }
        if unknown > 0 {
            answer.gaps.push(format!("{}: {} told no change", file.display(), words::count(unknown, "object")));
        }
    }
    // Where nothing at all could be read that is a failure.
    if let Some(e) = failed.filter(|_| answer.value.is_empty() && files.len() == answer.gaps.len()) {
        return Err(e);
    }
    answer.value.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.what.cmp(&b.what)));
    let left_out = answer.value.len().saturating_sub(MAX_CHANGES);
    if left_out > 0 {
        answer.total = u64::try_from(answer.value.len()).ok();
        answer.value.drain(..left_out);
    }
    Ok(answer)
}

/// The objects in a text of JSON values one after the other, or in lists; and how many places were no JSON. After such a place it
/// goes on with the next line.
fn objects(bytes: &[u8]) -> (Vec<Value>, usize) {
    let (mut out, mut unreadable, mut at) = (Vec::new(), 0, 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.iter().any(|b| !b.is_ascii_whitespace())) {
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let mut read = 0;
        let mut is_bad = false;
        for value in stream.by_ref() {
            match value {
                Ok(Value::Array(values)) => out.extend(values),
                Ok(value) => out.push(value),
                Err(_) => {
                    is_bad = true;
                    break;
                }
            }
        }
        read += stream.byte_offset();
        if !is_bad {
            break;
        }
        unreadable += 1;
        let line = rest.get(read..).and_then(|rest| rest.iter().position(|b| *b == b'\n'));
        match line {
            Some(end) => at += read + end + 1,
            None => break,
        }
    }
    (out, unreadable)
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str().filter(|t| !t.trim().is_empty())
}

/// The first of several that is there.
fn first<'a>(value: &'a Value, paths: &[&str]) -> Option<&'a str> {
    paths.iter().find_map(|p| text(value, p))
}

/// RFC 3339, as GitLab writes it (`2021-04-28 21:50:00 +0200`), or seconds or milliseconds since 1970.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(n) => {
            let n = n.as_f64()?;
            Timestamp::from_secs_f64(if n > 1e11 { n / 1000.0 } else { n })
        }
        Value::String(text) => {
            let text = text.trim();
            Timestamp::parse(text).ok().or_else(|| {
                let (stamp, zone) = text.rsplit_once(' ')?;
                let zone = match zone {
                    "UTC" => "Z".to_owned(),
                    zone if zone.len() == 5 => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
                    _ => return None,
                };
                Timestamp::parse(&format!("{}{zone}", stamp.replacen(' ', "T", 1))).ok()
            })
        }
        _ => None,
    }
}

fn moment_of(value: &Value, paths: &[&str]) -> Option<Timestamp> {
    paths.iter().filter_map(|p| value.pointer(p)).find_map(moment)
}

/// Bodies of webhooks that tell of no change: a deploy that waits or was cancelled, a release that is only a draft.
fn is_of_no_interest(value: &Value) -> bool {
    let waits = |state: Option<&str>| {
        state.is_some_and(|s| ["pending", "queued", "inactive", "created", "blocked", "canceled"].contains(&s))
    };
    waits(text(value, "/deployment_status/state"))
        || (text(value, "/object_kind") == Some("deployment") && waits(text(value, "/status")))
        || value.get("release").is_some()
        || value.get("zen").is_some()
}

/// The change that an object tells; `None`: none, or in no shape that is known.
fn change(value: &Value, service: Option<&str>) -> Option<ChangeEvent> {
    let repository =
        || first(value, &["/repository/name", "/project/name"]).map(|r| r.rsplit('/').next().unwrap_or(r).to_owned());
    let make = |at: Timestamp, what: String, by: Option<&str>, link: Option<&str>, is_release: bool, named: Option<String>| {
        ChangeEvent {
            at,
            service: named.or_else(|| service.map(str::to_owned)).map(|s| clean::line(&s)),
            what: clean::cut(&clean::line(&what), TEXT),
            by: by.map(clean::line),
            link: link.map(clean::line),
            is_release,
        }
    };
    let short = |sha: &str| sha.chars().take(8).collect::<String>();
    if let Some(deployment) = value.get("deployment").filter(|d| d.is_object()) {
        let state = text(value, "/deployment_status/state").unwrap_or("in_progress");
        let done = match state {
            "success" => "deployed",
            "in_progress" => "deploy begun",
            "failure" | "error" => "deploy failed",
            _ => return None,
        };
        let at = moment_of(value, &["/deployment_status/created_at", "/deployment/created_at"])?;
        let named = first(deployment, &["/ref", "/sha"]).unwrap_or_default();
        let what = match first(deployment, &["/environment"]) {
            Some(environment) => format!("{named} {done} to {environment}"),
            None => format!("{named} {done}"),
        };
        let by = first(value, &["/deployment/creator/login", "/sender/login"]);
        let link = first(value, &["/deployment_status/target_url", "/deployment_status/log_url", "/repository/html_url"]);
        return Some(make(at, what, by, link, state == "success", repository()));
    }
    if let Some(release) = value.get("release").filter(|r| r.is_object()) {
        if !matches!(text(value, "/action"), None | Some("published" | "released")) {
            return None;
        }
        let at = moment_of(release, &["/published_at", "/created_at"])?;
        let what = format!("release {} published", first(release, &["/tag_name", "/name"])?);
        return Some(make(at, what, text(release, "/author/login"), text(release, "/html_url"), true, repository()));
    }
    if text(value, "/object_kind") == Some("deployment") {
        let status = text(value, "/status")?;
        let done = match status {
            "success" => "deployed",
            "running" => "deploy begun",
            "failed" => "deploy failed",
            _ => return None,
        };
        let at = moment_of(value, &["/status_changed_at"])?;
        let named = first(value, &["/ref", "/short_sha"]).unwrap_or_default();
        let title = text(value, "/commit_title").map(|t| format!(" \"{t}\"")).unwrap_or_default();
        let to = text(value, "/environment").map(|e| format!(" to {e}")).unwrap_or_default();
        let by = first(value, &["/user/username", "/user/name"]);
        return Some(make(
            at,
            format!("{named}{title} {done}{to}"),
            by,
            text(value, "/deployable_url"),
            status == "success",
            repository(),
        ));
    }
    if let Some(commits) = value.get("commits").and_then(Value::as_array) {
        // A push; of GitHub its last commit stands beside the list.
        let head = value.get("head_commit").filter(|h| h.is_object()).or_else(|| commits.last())?;
        let at = moment_of(head, &["/timestamp"])?;
        let branch = text(value, "/ref")
            .map(|r| r.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/"))
            .unwrap_or("a branch");
        let subject = text(head, "/message").and_then(|m| m.lines().next()).unwrap_or_default();
        let what = format!(
            "{} pushed to {branch}: commit {} \"{subject}\"",
            words::count(commits.len(), "commit"),
            short(text(head, "/id").unwrap_or_default())
        );
        return Some(make(at, what, text(head, "/author/name"), text(head, "/url"), false, repository()));
    }
    let at = moment_of(value, &["/at", "/time", "/timestamp", "/ts", "/date", "/created_at", "/deployed_at", "/started_at"])?;
    let version = first(value, &["/version", "/tag", "/revision"]);
    let said = first(value, &["/what", "/text", "/title", "/message", "/description", "/summary", "/event", "/action"]);
    let what = match (said, version) {
        (Some(said), Some(version)) if !said.contains(version) => format!("{said} {version}"),
        (Some(said), _) => said.to_owned(),
        (None, Some(version)) => format!("version {version} deployed"),
        (None, None) => return None,
    };
    let by = first(value, &["/by", "/user", "/author", "/actor", "/who", "/user/name", "/author/name"]);
    let named = first(value, &["/service", "/app", "/application", "/component", "/service_name", "/name"]);
    Some(make(at, what, by, first(value, &["/url", "/link", "/html_url"]), true, named.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_795_253_400;

    fn all(bytes: &str) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deploys.jsonl");
        std::fs::write(&file, bytes).unwrap();
        let window = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(4_000_000_000));
        let answer = read(&[file], Some("shop"), window).unwrap();
        let told = answer.value.iter().map(|c| {
            let sure = if c.is_release { "" } else { "?" };
            format!("{} {}: {}{sure}", c.at, c.service.clone().unwrap_or_default(), c.told())
        });
        (told.collect(), answer.gaps.iter().map(|g| g.rsplit("deploys.jsonl").next().unwrap_or(g).to_owned()).collect())
    }

    #[test]
    fn bodies_of_webhooks_and_plain_objects_are_changes() {
        let (told, gaps) = all(
            r#"{"deployment_status":{"state":"success","created_at":"2026-11-21T09:17:00Z","target_url":"https://ci.example.org/7"},
                "deployment":{"ref":"v1.42.0","sha":"a84d88e7554f","environment":"production","creator":{"login":"ada"}},
                "repository":{"name":"gateway","full_name":"acme/gateway"}}
{"deployment_status":{"state":"queued","created_at":"2026-11-21T09:16:00Z"},"deployment":{"ref":"v1.42.0"}}
{"action":"published","release":{"tag_name":"v2.0.0","published_at":"2026-11-21T09:18:00Z","author":{"login":"bob"}},"repository":{"name":"mail"}}
{"action":"created","release":{"tag_name":"v2.0.0","created_at":"2026-11-21T09:18:00Z"}}
{"object_kind":"deployment","status":"success","status_changed_at":"2026-11-21 11:19:00 +0200","environment":"staging","project":{"name":"cart","path_with_namespace":"acme/cart"},"ref":"main","commit_title":"Larger pool","user":{"username":"eve"}}
{"ref":"refs/heads/main","commits":[{"id":"1"},{"id":"2"}],"head_commit":{"id":"2f0c1d3b4a5e6f","timestamp":"2026-11-21T09:20:00+00:00","message":"Retry twice\n\nmore","author":{"name":"Ada"}},"repository":{"name":"pay"}}
[{"at": 1795253400, "service": "search", "what": "flag retry on", "by": "ada"}, {"timestamp": 1795253460000, "version": "7"}]
"#,
        );
        let expected = [
            "2026-11-21T09:17:00Z gateway: v1.42.0 deployed to production by ada",
            "2026-11-21T09:18:00Z mail: release v2.0.0 published by bob",
            "2026-11-21T09:19:00Z cart: main \"Larger pool\" deployed to staging by eve",
            "2026-11-21T09:20:00Z pay: 2 commits pushed to main: commit 2f0c1d3b \"Retry twice\" by Ada?",
            "2026-11-21T09:30:00Z search: flag retry on by ada",
            "2026-11-21T09:31:00Z shop: version 7 deployed",
        ];
        assert_eq!(told, expected);
        assert!(gaps.is_empty(), "{gaps:?}");
    }

    #[test]
    fn what_is_no_json_is_counted_and_the_rest_is_read() {
        let (told, gaps) = all(
            "{\"at\": 1795253400, \"what\": \"a\"}\nGET / HTTP/1.1\n{\"half\": \n{\"at\": 1795253401, \"what\": \"b\"}\n{\"no\": \"time\"}\n",
        );
        assert_eq!(told, ["2026-11-21T09:30:00Z shop: a", "2026-11-21T09:30:01Z shop: b"]);
        assert_eq!(gaps, [": 3 objects told no change"]);
        let missing = read(
            &[PathBuf::from("/none/deploys.jsonl")],
            None,
            Window::before(Timestamp::from_secs(T), std::time::Duration::from_secs(1)),
        );
        assert_eq!(missing.unwrap_err().kind, FaultKind::Io);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80), json in "[\\{\\}\\[\\]:,\"a-z0-9\n ]{0,60}") {
            let (values, _) = objects(&bytes);
            let (more, _) = objects(json.as_bytes());
            for value in values.iter().chain(&more) {
                let _told = change(value, None);
            }
        }
    }
}
