//! A git repository on this machine: the commits that its checked-out branch took in, and the tags on them.
//!
//! Asked by the `git` program. Only the first parent is followed, so that a merge is one change with all the files it brought.
//! A branch is as new as its last fetch: that is the repository's keeper's to see to.

use std::process::Stdio;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::fault::{FaultKind, SourceError};
use super::{Answer, Asked, ChangeSource, Source};
use crate::config::SourceConfig;
use crate::telemetry::{ChangeEvent, Timestamp, Window, clean, words};

/// Commits read of one window.
const MAX_COMMITS: usize = 500;
/// Files named of one commit.
const FILES: usize = 3;
/// Bytes of a subject that are shown.
const SUBJECT: usize = 120;

/// A repository.
pub struct Git {
    name: String,
    path: String,
    service: Option<String>,
    timeout: Duration,
}

impl Git {
    /// From its configuration; looks at nothing yet.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        let path = config.path.clone().unwrap_or_default();
        Ok(Self { name: config.name.clone(), path, service: config.service.clone(), timeout: config.timeout })
    }

    async fn run(&self, args: &[&str]) -> Result<String, SourceError> {
        let mut command = tokio::process::Command::new("git");
        // Neither a pager, nor a password prompt, nor a lock that others would wait for.
        command.args(["--no-pager", "--no-optional-locks", "-C", &self.path]).args(args);
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(self.timeout, command.output())
            .await
            .map_err(|_| SourceError::new(FaultKind::Timeout, format!("git took longer than {} s", self.timeout.as_secs())))?
            .map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => SourceError::new(FaultKind::Config, "the program git is not installed"),
                _ => SourceError::new(FaultKind::Io, format!("git cannot be run: {e}")),
            })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = clean::line(said.lines().next().unwrap_or("git failed").trim_start_matches("fatal: "));
        let kind = if said.contains("not a git repository") || said.contains("cannot change to") {
            FaultKind::Config
        } else {
            FaultKind::Io
        };
        Err(SourceError::new(kind, format!("{}: {said}", self.path)))
    }
}

impl Source for Git {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &str {
        "git"
    }
    fn probe(&self) -> BoxFuture<'_, Result<String, SourceError>> {
        async move {
            let head = self.run(&["log", "-1", "--format=%h on %D", "HEAD"]).await?;
            Ok(format!("at {}", clean::line(head.trim())))
        }
        .boxed()
    }
    fn changes(&self) -> Option<&dyn ChangeSource> {
        Some(self)
    }
}

impl ChangeSource for Git {
    fn query(&self, window: Window) -> String {
        format!("git log --first-parent --since={} --until={} HEAD", window.start, window.end)
    }

    fn within(&self, window: Window) -> Asked<'_, Vec<ChangeEvent>> {
        async move {
            let (since, until) = (format!("--since=@{}", window.start.secs()), format!("--until=@{}", window.end.secs() + 1));
            let most = format!("--max-count={}", MAX_COMMITS + 1);
            // The committer's date is when it came in; the author's may be weeks older.
            let format = "--format=%x1e%h%x1f%ct%x1f%an%x1f%D%x1f%s";
            let args = ["log", "--first-parent", "-m", "--name-only", "--decorate=full", &since, &until, &most, format, "HEAD"];
            let text = self.run(&args).await?;
            let mut found: Vec<ChangeEvent> = text.split('\u{1e}').filter_map(|c| commit(c, self.service.as_deref())).collect();
            let mut answer = Answer::whole(Vec::new());
            if found.len() > MAX_COMMITS {
                found.truncate(MAX_COMMITS);
                answer.gaps.push(format!("more than {MAX_COMMITS} commits: the newest were read"));
            }
            found.retain(|c| window.contains(c.at));
            found.reverse();
            answer.value = found;
            Ok(answer)
        }
        .boxed()
    }
}

/// A commit as `hash, time, author, refs, subject`, then the files that it changed.
fn commit(text: &str, service: Option<&str>) -> Option<ChangeEvent> {
    let mut lines = text.lines();
    let mut parts = lines.next()?.splitn(5, '\u{1f}');
    let (hash, at, author, refs, subject) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let tags: Vec<String> = refs.split(", ").filter_map(|r| r.strip_prefix("tag: refs/tags/")).map(clean::line).collect();
    let files: Vec<&str> = lines.filter(|l| !l.is_empty()).collect();
    let mut named: Vec<String> = files.iter().take(FILES).map(|f| clean::line(f)).collect();
    if files.len() > FILES {
        named.push(words::count(files.len() - FILES, "other file"));
    }
    let mut what = format!("commit {hash} \"{}\"", clean::cut(&clean::line(subject), SUBJECT));
    if !tags.is_empty() {
        what = format!("tag {}, {what}", tags.join(", "));
    }
    if !named.is_empty() {
        what += &format!(" ({})", named.join(", "));
    }
    Some(ChangeEvent {
        at: Timestamp::from_secs(at.parse().ok()?),
        service: service.map(str::to_owned),
        what,
        by: Some(clean::line(author)).filter(|a| !a.is_empty()),
        link: None,
        is_release: !tags.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &std::path::Path, at: i64, args: &[&str]) {
        let date = format!("@{at} +0000");
        let status = std::process::Command::new("git")
            .args(["-C", &folder.display().to_string(), "-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(args)
            .env("GIT_AUTHOR_DATE", "@1000000000 +0000")
            .env("GIT_COMMITTER_DATE", date)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{args:?}");
    }

    fn source(path: &std::path::Path) -> Git {
        Git {
            name: "code".into(),
            path: path.display().to_string(),
            service: Some("shop".into()),
            timeout: Duration::from_secs(10),
        }
    }

    #[tokio::test]
    async fn commits_of_the_window_with_their_tags_and_files() {
        const T: i64 = 1_795_253_400;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, T, &["init", "-q", "-b", "main"]);
        let mut n = 0;
        let mut commit = |at: i64, files: &[&str], message: &str| {
            for file in files {
                n += 1;
                std::fs::write(path.join(file), n.to_string()).unwrap();
            }
            git(path, at, &["add", "."]);
            git(path, at, &["commit", "-q", "-m", message]);
        };
        commit(T - 900, &["a"], "long ago");
        commit(T - 60, &["pool.yaml"], "Pool of 2 connections\n\nwith a body");
        commit(T, &["a", "b", "c", "d"], "Retry \u{1b}[31mtwice");
        git(path, T, &["tag", "v1.42.0"]);
        commit(T + 900, &["a"], "after it");
        let window = Window::new(Timestamp::from_secs(T - 600), Timestamp::from_secs(T + 60));
        let found = source(path).within(window).await.unwrap();
        assert_eq!(found.value.iter().map(|c| (c.at.secs(), c.is_release)).collect::<Vec<_>>(), [(T - 60, false), (T, true)]);
        assert!(found.value[1].told().contains("\"Retry twice\" (a, b, c, 1 other file) by Ada"), "{:?}", found.value[1]);
        assert!(found.value[0].told().ends_with("\"Pool of 2 connections\" (pool.yaml) by Ada"), "{:?}", found.value[0]);
        assert!(source(path).probe().await.unwrap().starts_with("at "));
    }

    #[tokio::test]
    async fn what_is_no_repository_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let window = Window::before(Timestamp::from_secs(1_795_253_400), Duration::from_secs(60));
        let e = source(folder.path()).within(window).await.unwrap_err();
        assert_eq!(e.kind, FaultKind::Config, "{e}");
        let e = source(&folder.path().join("none")).probe().await.unwrap_err();
        assert_eq!(e.kind, FaultKind::Config, "{e}");
    }
}
