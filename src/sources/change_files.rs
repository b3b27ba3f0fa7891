//! A source of changes from JSON files: deploys, releases and pushes as other tools report them.
//!
//! A file holds one JSON object after another, or lists of them, as a pipeline writes them or as stored webhook bodies.
//! Understood are GitHub's `deployment_status`, `deployment`, `release` and `push`, GitLab's `deployment`, `release` and
//! `push`, and plain objects with a time and a text:
//!
//! `{"at": "2026-11-21T09:17:00Z", "service": "shop", "what": "feature flag retry on", "by": "ada"}`
//!
//! For the webhook shapes see docs.github.com and docs.gitlab.com, webhook events. Entries that cannot be read are counted
//! in a gap and do not fail the query.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::fault::{FaultKind, SourceError};
use super::file::{matching_files, run_blocking};
use super::{Answer, AnswerFuture, ChangeSource, Probe, Source, lines};
use crate::config::SourceConfig;
use crate::telemetry::change::is_non_production;
use crate::telemetry::{ChangeEvent, Timestamp, Window, clean, words};

/// The largest number of bytes read from one file; of a larger file, the end is read, which has the newest changes.
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// The largest number of changes returned for one window.
const MAX_CHANGES: usize = 1_000;
/// The number of invalid JSON entries after which the rest of a file is skipped.
const MAX_INVALID: usize = 1_000;
/// Later times are rejected: 2200-01-01, in seconds since 1970.
const MAX_EPOCH_SECS: f64 = 7_258_118_400.0;

/// JSON files that match glob patterns.
pub struct ChangeFiles {
    name: String,
    globs: Vec<String>,
    service: Option<String>,
}

impl ChangeFiles {
    /// Creates the source from its configuration; opens no file.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        Ok(Self { name: config.name.clone(), globs: config.paths.clone(), service: config.service.clone() })
    }
}

impl Source for ChangeFiles {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &'static str {
        "changes"
    }
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
        let globs = self.globs.clone();
        async move { Ok(Probe::files(run_blocking(move || matching_files(&globs).len()).await?)) }.boxed()
    }
    fn changes(&self) -> Option<&dyn ChangeSource> {
        Some(self)
    }
}

impl ChangeSource for ChangeFiles {
    fn query(&self, _window: Window) -> String {
        self.globs.join(" ")
    }

    fn within(&self, window: Window) -> AnswerFuture<'_, Vec<ChangeEvent>> {
        let (globs, service) = (self.globs.clone(), self.service.clone());
        async move { run_blocking(move || read(&matching_files(&globs), service.as_deref(), window)).await? }.boxed()
    }
}

/// The changes of a window from all files, oldest first and without duplicates. `service` is used for objects that do not
/// name theirs. An error when there are files and none of them can be read.
fn read(files: &[PathBuf], service: Option<&str>, window: Window) -> Result<Answer<Vec<ChangeEvent>>, SourceError> {
    let mut answer = Answer::complete(Vec::new());
    let mut failed = Vec::new();
    for path in files {
        let (bytes, is_truncated) = match read_bytes(path) {
            Ok(read) => read,
            Err(e) => {
                failed.push(format!("{}: {e}", path.display()));
                continue;
            }
        };
        if is_truncated {
            answer.gaps.push(format!("{}: only {} MiB of the file were read", path.display(), MAX_FILE / 1024 / 1024));
        }
        let (mut skipped, mut invalid) = (0, 0);
        let outcome = for_each_object(&bytes, |value| {
            match value.as_ref().map(|v| (parse_change(v, service), is_webhook(v))) {
                Some((Some(change), _)) if window.contains(change.at) => answer.value.push(change),
                // Most webhook events are not about a deploy.
                Some((Some(_), _) | (None, true)) => {}
                Some((None, false)) => skipped += 1,
                None => {
                    skipped += 1;
                    invalid += 1;
                }
            }
            if invalid > MAX_INVALID { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if skipped > 0 {
            let rest = if outcome.is_break() { "; the rest of the file was not read" } else { "" };
            answer.gaps.push(format!(
                "{}: {} skipped (invalid JSON, or no time or text){rest}",
                path.display(),
                words::count(skipped, "entry")
            ));
        }
    }
    // An error only when no file could be read.
    if let Some(first) = failed.first().filter(|_| failed.len() == files.len()) {
        return Err(SourceError::new(FaultKind::Io, first));
    }
    answer.gaps.extend(failed);
    if files.is_empty() {
        answer.gaps.push("no file matches the configured paths".to_owned());
    }
    answer.value.sort_by(|a, b| (a.at, &a.service, &a.what).cmp(&(b.at, &b.service, &b.what)));
    // GitHub reports one release as both published and released, and a webhook may be delivered twice.
    answer.value.dedup();
    let left_out = answer.value.len().saturating_sub(MAX_CHANGES);
    if left_out > 0 {
        answer.total = u64::try_from(answer.value.len()).ok();
        answer.gaps.push(format!("more than {MAX_CHANGES} changes in the window; only the newest {MAX_CHANGES} are included"));
        answer.value.drain(..left_out);
    }
    Ok(answer)
}

/// The bytes of a file without its byte order mark, and whether the file has more than [`MAX_FILE`]. Of a larger file, the
/// end is returned, from the start of a line; of a compressed one, the beginning.
fn read_bytes(path: &Path) -> std::io::Result<(Vec<u8>, bool)> {
    let mut file = File::open(path)?;
    let is_compressed = path.extension().and_then(|e| e.to_str()).is_some_and(|e| lines::COMPRESSED.contains(&e));
    let from = if is_compressed { 0 } else { file.metadata()?.len().saturating_sub(MAX_FILE) };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    lines::open_text(file, MAX_FILE)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    let is_truncated = from > 0 || (is_compressed && u64::try_from(bytes.len()).unwrap_or(MAX_FILE) >= MAX_FILE);
    if from > 0 {
        let line = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| end + 1);
        bytes.drain(..line);
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    Ok((bytes, is_truncated))
}

/// Calls `visit` with each JSON value of a text (for a list, with each of its items) and with `None` at each place that is
/// not valid JSON. After such a place it continues with the next line that can start a value. Stops early when `visit`
/// breaks.
fn for_each_object(bytes: &[u8], mut visit: impl FnMut(Option<Value>) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.iter().any(|b| !b.is_ascii_whitespace())) {
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let mut is_invalid = false;
        for value in stream.by_ref() {
            match value {
                Ok(Value::Array(values)) => values.into_iter().try_for_each(|v| visit(Some(v)))?,
                Ok(value) => visit(Some(value))?,
                Err(_) => {
                    is_invalid = true;
                    break;
                }
            }
        }
        if !is_invalid {
            break;
        }
        visit(None)?;
        let read = stream.byte_offset();
        // An indented line belongs to the invalid value, so it is skipped.
        let rest = rest.get(read..).unwrap_or_default();
        let next = rest
            .windows(2)
            .position(|w| matches!(w, [b'\n', b'{' | b'[' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'"' | b'<']));
        match next {
            Some(end) => at += read + end + 1,
            None => break,
        }
    }
    ControlFlow::Continue(())
}

/// The string at a JSON pointer; `None` when it is missing, blank or not a string.
fn string_at<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str().filter(|t| !t.trim().is_empty())
}

/// The first string that exists at one of several JSON pointers.
fn first_string<'a>(value: &'a Value, paths: &[&str]) -> Option<&'a str> {
    paths.iter().find_map(|p| string_at(value, p))
}

/// Parses a time: RFC 3339, GitLab's `2021-04-28 21:50:00 +0200`, or a number since 1970 (also as a string) in seconds,
/// milli-, micro- or nanoseconds, depending on its size. `None` for anything else and for numbers outside 1970 to 2200.
fn parse_time(value: &Value) -> Option<Timestamp> {
    let number = |n: f64| Timestamp::from_epoch(n).filter(|at| (0.0..MAX_EPOCH_SECS).contains(&at.secs_f64()));
    let text = match value {
        Value::Number(n) => return number(n.as_f64()?),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    if let Ok(n) = text.parse::<f64>() {
        return number(n);
    }
    // An offset without a colon, `+0200`, as `date` and Python write it.
    let with_compact_offset = || {
        let (head, minutes) = (text.get(..text.len().checked_sub(2)?)?, text.get(text.len().checked_sub(2)?..)?);
        let is_offset = head.len() > 3 && head.as_bytes().get(head.len() - 3).is_some_and(|b| b"+-".contains(b));
        if is_offset && text.contains('T') { Timestamp::parse(&format!("{head}:{minutes}")).ok() } else { None }
    };
    Timestamp::parse(text).ok().or_else(with_compact_offset).or_else(|| {
        let (stamp, zone) = text.rsplit_once(' ')?;
        let zone = match zone {
            "UTC" => "Z".to_owned(),
            zone if zone.len() == 5 => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
            _ => return None,
        };
        Timestamp::parse(&format!("{}{zone}", stamp.replacen(' ', "T", 1))).ok()
    })
}

/// The first valid time at one of several JSON pointers.
fn first_time(value: &Value, paths: &[&str]) -> Option<Timestamp> {
    paths.iter().filter_map(|p| value.pointer(p)).find_map(parse_time)
}

/// Whether an object is a webhook body of GitHub or GitLab rather than a plain object. GitHub's have a repository and a
/// sender (or another object of their event), GitLab's name their kind.
fn is_webhook(value: &Value) -> bool {
    let has = |key: &str| value.get(key).is_some_and(Value::is_object);
    let is_github =
        has("repository") && (has("sender") || has("pusher") || has("deployment") || has("release") || has("head_commit"));
    is_github || value.get("object_kind").is_some() || value.get("event_name").is_some() || value.get("zen").is_some()
}

/// The change that an object describes; `None` if it describes none or has an unknown shape.
fn parse_change(value: &Value, service: Option<&str>) -> Option<ChangeEvent> {
    let kind = string_at(value, "/object_kind");
    let deployment = value.get("deployment").filter(|d| d.is_object() && value.get("deployment_callback_url").is_none());
    let release = value.get("release").filter(|r| r.is_object() && value.get("repository").is_some());
    let is_push = string_at(value, "/ref").is_some() && (value.get("repository").is_some() || value.get("project").is_some());
    let commits = value.get("commits").and_then(Value::as_array).filter(|_| is_push);
    let mut change = if let Some(deployment) = deployment {
        github_deployment(value, deployment)
    } else if kind == Some("release") {
        gitlab_release(value)
    } else if let Some(release) = release {
        github_release(value, release)
    } else if kind == Some("deployment") {
        gitlab_deployment(value)
    } else if let Some(commits) = commits {
        push(value, commits)
    } else if is_webhook(value) {
        None
    } else {
        plain_object(value)
    }?;
    change.service = change.service.or_else(|| service.map(clean::line));
    Some(change)
}

/// A change, cleaned.
fn make(
    at: Timestamp,
    what: String,
    by: Option<&str>,
    link: Option<&str>,
    is_release: bool,
    service: Option<String>,
) -> ChangeEvent {
    ChangeEvent {
        at,
        service: service.map(|s| clean::line(&s)),
        what: clean::line(&what),
        by: by.map(clean::line),
        link: link.map(clean::line),
        is_release,
    }
}

/// The name of the repository or project of a webhook, without its owner.
fn repository(value: &Value) -> Option<String> {
    first_string(value, &["/repository/name", "/project/name"]).map(|r| r.rsplit('/').next().unwrap_or(r).to_owned())
}

/// The first eight characters of a commit id.
fn short(sha: &str) -> String {
    sha.chars().take(8).collect()
}

/// A `deployment` or `deployment_status` webhook of GitHub.
fn github_deployment(value: &Value, deployment: &Value) -> Option<ChangeEvent> {
    let state = string_at(value, "/deployment_status/state").unwrap_or("in_progress");
    let action = match state {
        "success" => "deployed",
        "in_progress" => "started deploying",
        "failure" | "error" => "failed to deploy",
        _ => return None,
    };
    let at = first_time(value, &["/deployment_status/created_at", "/deployment/created_at"])?;
    let sha = string_at(deployment, "/sha").map(short).unwrap_or_default();
    // A branch name does not identify what was deployed, so the commit is added.
    let revision = match string_at(deployment, "/ref") {
        Some(tag) if sha.is_empty() || tag.starts_with(&sha) || tag.bytes().any(|b| b.is_ascii_digit()) => tag.to_owned(),
        Some(branch) => format!("{branch} {sha}"),
        None => sha,
    };
    let what = match first_string(deployment, &["/environment"]) {
        Some(environment) => format!("{revision} {action} to {environment}"),
        None => format!("{revision} {action}"),
    };
    let by = first_string(value, &["/deployment/creator/login", "/sender/login"]);
    let link = first_string(value, &["/deployment_status/target_url", "/deployment_status/log_url", "/repository/html_url"]);
    let is_production = deployment.get("production_environment").and_then(Value::as_bool).unwrap_or(false);
    let is_release = state == "success" && (is_production || !is_non_production(string_at(deployment, "/environment")));
    Some(make(at, what, by, link, is_release, repository(value)))
}

/// A release webhook of GitLab.
fn gitlab_release(value: &Value) -> Option<ChangeEvent> {
    let at = first_time(value, &["/released_at", "/created_at"])?;
    let what = format!("release {} published", first_string(value, &["/tag", "/name"])?);
    let is_new = matches!(string_at(value, "/action"), None | Some("create"));
    is_new.then(|| make(at, what, None, string_at(value, "/url"), true, repository(value)))
}

/// A `release` webhook of GitHub.
fn github_release(value: &Value, release: &Value) -> Option<ChangeEvent> {
    if !matches!(string_at(value, "/action"), None | Some("published" | "released")) {
        return None;
    }
    let at = first_time(release, &["/published_at", "/created_at"])?;
    let what = format!("release {} published", first_string(release, &["/tag_name", "/name"])?);
    Some(make(at, what, string_at(release, "/author/login"), string_at(release, "/html_url"), true, repository(value)))
}

/// A deployment webhook of GitLab.
fn gitlab_deployment(value: &Value) -> Option<ChangeEvent> {
    let status = string_at(value, "/status")?;
    let action = match status {
        "success" => "deployed",
        "running" => "started deploying",
        "failed" => "failed to deploy",
        _ => return None,
    };
    let at = first_time(value, &["/status_changed_at"])?;
    let revision = first_string(value, &["/ref", "/short_sha"]).unwrap_or_default();
    let title = string_at(value, "/commit_title").map(|t| format!(" \"{t}\"")).unwrap_or_default();
    let to = string_at(value, "/environment").map(|e| format!(" to {e}")).unwrap_or_default();
    let by = first_string(value, &["/user/username", "/user/name"]);
    let is_production = string_at(value, "/environment_tier") == Some("production");
    let is_release = status == "success" && (is_production || !is_non_production(string_at(value, "/environment")));
    let what = format!("{revision}{title} {action}{to}");
    Some(make(at, what, by, string_at(value, "/deployable_url"), is_release, repository(value)))
}

/// A push webhook of GitHub or GitLab: a tag, or commits on the default branch.
fn push(value: &Value, commits: &[Value]) -> Option<ChangeEvent> {
    // In a push from GitHub, the last commit is in `head_commit` and the time of the push in `repository`; the commit
    // itself may be older than the push.
    let head = value.get("head_commit").filter(|h| h.is_object()).or_else(|| commits.last())?;
    let at = first_time(value, &["/repository/pushed_at"]).or_else(|| first_time(head, &["/timestamp"]))?;
    let by = string_at(head, "/author/name");
    let pushed = string_at(value, "/ref").unwrap_or_default();
    if let Some(tag) = pushed.strip_prefix("refs/tags/") {
        return Some(make(at, format!("tag {tag} pushed"), by, string_at(head, "/url"), false, repository(value)));
    }
    let branch = pushed.strip_prefix("refs/heads/").unwrap_or(pushed);
    let main = first_string(value, &["/repository/default_branch", "/project/default_branch"]);
    if main.is_some_and(|main| main != branch) {
        return None;
    }
    let count = value.get("total_commits_count").and_then(Value::as_u64).unwrap_or(commits.len() as u64);
    let subject = string_at(head, "/message").and_then(|m| m.lines().next()).unwrap_or_default();
    let id = short(string_at(head, "/id").unwrap_or_default());
    let what = format!("{} pushed to {branch}, latest {id} \"{subject}\"", words::count(count, "commit"));
    Some(make(at, what, by, string_at(head, "/url"), false, repository(value)))
}

/// An object of any other shape, by the usual names of its fields.
fn plain_object(value: &Value) -> Option<ChangeEvent> {
    let at = first_time(value, &["/at", "/time", "/timestamp", "/ts", "/date", "/created_at", "/deployed_at", "/started_at"])?;
    let version = ["version", "release", "tag", "revision"].iter().find_map(|key| match value.get(key)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    });
    let description =
        first_string(value, &["/what", "/text", "/title", "/message", "/description", "/summary", "/event", "/action"]);
    let what = match (description, version) {
        (Some(text), Some(version)) if !text.contains(&version) => format!("{text} {version}"),
        (Some(text), _) => text.to_owned(),
        (None, Some(version)) => format!("version {version} deployed"),
        (None, None) => return None,
    };
    let by = first_string(value, &["/by", "/user", "/author", "/actor", "/who", "/user/name", "/author/name"]);
    let named = first_string(value, &["/service", "/app", "/application", "/component", "/service_name", "/name"]);
    let is_release = !is_non_production(first_string(value, &["/environment", "/env"]));
    Some(make(at, what, by, first_string(value, &["/url", "/link", "/html_url"]), is_release, named.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_795_253_400;

    /// All changes and gaps of a file, as text; a change that is not a release ends in `?`.
    fn read_all(bytes: &str) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deploys.jsonl");
        std::fs::write(&file, bytes).unwrap();
        let window = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(4_000_000_000));
        let answer = read(&[file], Some("shop"), window).unwrap();
        let changes = answer.value.iter().map(|c| {
            let mark = if c.is_release { "" } else { "?" };
            format!("{} {}: {}{mark}", c.at, c.service.clone().unwrap_or_default(), c.describe())
        });
        (changes.collect(), answer.gaps.iter().map(|g| g.rsplit("deploys.jsonl").next().unwrap_or(g).to_owned()).collect())
    }

    #[test]
    fn reads_webhook_bodies_and_plain_objects() {
        let (changes, gaps) = read_all(
            r#"{"deployment_status":{"state":"success","created_at":"2026-11-21T09:17:00Z","target_url":"https://ci.example.org/7"},
                "deployment":{"ref":"v1.42.0","sha":"a84d88e7554f","environment":"production","creator":{"login":"ada"}},
                "repository":{"name":"gateway","full_name":"acme/gateway"}}
{"deployment_status":{"state":"queued","created_at":"2026-11-21T09:16:00Z"},"deployment":{"ref":"v1.42.0"},"repository":{"name":"gateway"}}
{"action":"published","release":{"tag_name":"v2.0.0","published_at":"2026-11-21T09:18:00Z","author":{"login":"bob"}},"repository":{"name":"mail"}}
{"action":"created","release":{"tag_name":"v2.0.0","created_at":"2026-11-21T09:18:00Z"},"repository":{"name":"mail"}}
{"object_kind":"deployment","status":"success","status_changed_at":"2026-11-21 11:19:00 +0200","environment":"staging","project":{"name":"cart","path_with_namespace":"acme/cart"},"ref":"main","commit_title":"Larger pool","user":{"username":"eve"}}
{"ref":"refs/heads/main","commits":[{"id":"1"},{"id":"2"}],"head_commit":{"id":"2f0c1d3b4a5e6f","timestamp":"2026-11-21T09:20:00+00:00","message":"Retry twice\n\nmore","author":{"name":"Ada"}},"repository":{"name":"pay"}}
[{"at": 1795253400, "service": "search", "what": "flag retry on", "by": "ada"}, {"timestamp": 1795253460000, "version": "7"}]
"#,
        );
        let expected = [
            "2026-11-21T09:17:00Z gateway: v1.42.0 deployed to production by ada",
            "2026-11-21T09:18:00Z mail: release v2.0.0 published by bob",
            "2026-11-21T09:19:00Z cart: main \"Larger pool\" deployed to staging by eve?",
            "2026-11-21T09:20:00Z pay: 2 commits pushed to main, latest 2f0c1d3b \"Retry twice\" by Ada?",
            "2026-11-21T09:30:00Z search: flag retry on by ada",
            "2026-11-21T09:31:00Z shop: version 7 deployed",
        ];
        assert_eq!(changes, expected);
        assert!(gaps.is_empty(), "{gaps:?}");
    }

    #[test]
    fn counts_invalid_entries_and_reads_the_rest() {
        let (changes, gaps) = read_all(
            "{\"at\": 1795253400, \"what\": \"a\"}\r\nGET / HTTP/1.1\n{\"half\": \n{\"at\": 1795253401, \"what\": \"b\"}\n{\"no\": \"time\"}\n",
        );
        assert_eq!(changes, ["2026-11-21T09:30:00Z shop: a", "2026-11-21T09:30:01Z shop: b"]);
        assert_eq!(gaps, [": 3 entries skipped (invalid JSON, or no time or text)"]);
        // A byte order mark with a list, then more invalid entries than are tolerated.
        assert_eq!(
            read_all("\u{feff}[{\"at\": 1795253400, \"release\": 7}]").0,
            ["2026-11-21T09:30:00Z shop: version 7 deployed"]
        );
        let (changes, gaps) =
            read_all(&format!("{}{{\"at\": 1795253400, \"what\": \"a\"}}", "nonsense\n".repeat(MAX_INVALID + 9)));
        assert!(changes.is_empty() && gaps[0].ends_with("the rest of the file was not read"), "{gaps:?}");
    }

    #[test]
    fn parses_times_in_every_unit_and_rejects_impossible_ones() {
        for (at, secs) in [
            ("1795253400", Some(T)),
            ("1795253400.5", Some(T)),
            ("1795253400000", Some(T)),
            ("\"1795253400000\"", Some(T)),
            ("1795253400000000", Some(T)),
            ("1795253400000000000", Some(T)),
            ("\"2026-11-21 11:30:00 +0200\"", Some(T)),
            ("\"2026-11-21 09:30:00 UTC\"", Some(T)),
            ("\"2026-11-21T11:30:00+0200\"", Some(T)),
            ("-5", None),
            ("1e300", None),
            ("\"soon\"", None),
        ] {
            assert_eq!(parse_time(&serde_json::from_str(at).unwrap()).map(Timestamp::secs), secs, "{at}");
        }
    }

    #[test]
    fn skips_other_branches_marks_staging_and_reports_unreadable_files() {
        let push = |branch: &str| {
            format!(
                r#"{{"ref":"refs/{branch}","commits":[],"head_commit":{{"id":"2f0c1d3b4a","timestamp":"2026-11-18T09:20:00Z","message":"m"}},"repository":{{"name":"pay","default_branch":"main","pushed_at":1795253400}}}}"#
            )
        };
        let staging = r#"{"at": 1795253400, "environment": "staging", "what": "version 3"}"#;
        let twice = r#"{"at": 1795253400, "what": "x"}"#;
        let (changes, gaps) =
            read_all(&[&push("heads/feature"), &push("heads/main"), &push("tags/v9"), staging, twice, twice].join("\n"));
        let expected = [
            "2026-11-21T09:30:00Z pay: 0 commits pushed to main, latest 2f0c1d3b \"m\"?",
            "2026-11-21T09:30:00Z pay: tag v9 pushed?",
            "2026-11-21T09:30:00Z shop: version 3?",
            "2026-11-21T09:30:00Z shop: x",
        ];
        assert_eq!((changes, gaps), (expected.map(str::to_owned).to_vec(), vec![]));
        let window = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(4_000_000_000));
        let none = read(&[], None, window).unwrap();
        assert_eq!(none.gaps, ["no file matches the configured paths"]);
        // An unreadable file is a gap when another file can be read, and an error when it is the only one.
        let folder = tempfile::tempdir().unwrap();
        let (broken, whole) = (folder.path().join("a.gz"), folder.path().join("b.jsonl"));
        std::fs::write(&broken, b"\x1f\x8b\x08 this is not gzip").unwrap();
        std::fs::write(&whole, "{}\n").unwrap();
        let both = read(&[broken.clone(), whole], None, window).unwrap();
        assert!(both.gaps.len() == 2 && both.gaps[1].contains("a.gz"), "{both:?}");
        assert_eq!(read(&[broken], None, window).unwrap_err().kind, FaultKind::Io);
    }

    #[test]
    fn ignores_webhook_events_that_are_not_deploys() {
        let hook = |inner: &str| format!(r#"{{{inner},"repository":{{"name":"pay"}},"sender":{{"login":"ada"}}}}"#);
        let mut lines: Vec<String> = (0..MAX_INVALID + 9).map(|n| hook(&format!(r#""pull_request":{{"number":{n}}}"#))).collect();
        lines.extend([
            hook(r#""state":"success","description":"Your tests passed","created_at":"2026-11-21T09:30:00Z""#),
            hook(r#""deployment":{"ref":"main","created_at":"2026-11-21T09:30:00Z"},"deployment_callback_url":"https://x""#),
            r#"{"object_kind":"release","action":"delete","tag":"v1.1","created_at":"2026-11-21 09:30:00 UTC","project":{"name":"cart"}}"#.into(),
            r#"{"object_kind":"release","action":"create","tag":"v1.2","created_at":"2026-11-21 09:30:00 UTC","project":{"name":"cart"}}"#.into(),
            r#"{"at":1795253400,"service":"own","what":"deployed 1.42.0","commits":[{"id":"1"}]}"#.into(),
            r#"{"at":1795253401,"service":"own","release":{"name":"x"},"action":"deploy 7"}"#.into(),
            hook(r#""deployment_status":{"state":"success","created_at":"2026-11-21T09:30:02Z"},"deployment":{"ref":"main","sha":"a84d88e7554f","environment":"int","production_environment":true}"#),
            // One invalid line, then a broken object that spans several lines.
            "nonsense".into(),
            "{\n  \"ref\": \"refs/heads/x\",\n  \"broken\": \n  \"commits\": [\n  {\"timestamp\": 1795253400, \"message\": \"no deploy\"}\n  ]\n}".into(),
        ]);
        let (changes, gaps) = read_all(&lines.join("\n"));
        let expected = [
            "2026-11-21T09:30:00Z cart: release v1.2 published",
            "2026-11-21T09:30:00Z own: deployed 1.42.0",
            "2026-11-21T09:30:01Z own: deploy 7",
            "2026-11-21T09:30:02Z pay: main a84d88e7 deployed to int by ada",
        ];
        assert_eq!(changes, expected);
        assert_eq!(gaps, [": 2 entries skipped (invalid JSON, or no time or text)"]);
    }

    #[test]
    fn reads_the_end_of_a_long_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.jsonl");
        let line = format!("{{\"at\": 1, \"what\": \"{}\"}}\n", "x".repeat(100_000));
        let mut text = line.repeat(100);
        text.push_str("{\"at\": 1795253400, \"what\": \"the last\"}\n");
        std::fs::write(&path, text).unwrap();
        let window = Window::new(Timestamp::from_secs(T - 60), Timestamp::from_secs(T + 60));
        let read = read(&[path], None, window).unwrap();
        assert!(read.value.len() == 1 && read.gaps[0].contains("only 8 MiB"), "{:?}", read.gaps);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80), json in "[\\{\\}\\[\\]:,\"a-z0-9\n ]{0,60}") {
            for text in [bytes.as_slice(), json.as_bytes()] {
                let _read = for_each_object(text, |value| {
                    let _change = value.map(|v| parse_change(&v, None));
                    ControlFlow::Continue(())
                });
            }
        }
    }
}
