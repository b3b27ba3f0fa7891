//! A source of changes from a local git repository: commits on the checked-out branch and annotated tags.
//!
//! Runs the `git` program. Only first parents are followed, so a merge is one change that lists all the files it brought in.
//! If the path is a folder within a repository, only commits that touch that folder are returned. A commit's time is its
//! committer date, which may be earlier than the push. The source never fetches: a branch is as recent as its last fetch. An
//! annotated tag has the tag's own date and counts as a release.

use std::process::Stdio;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;

use super::fault::{FaultKind, SourceError};
use super::{Answer, AnswerFuture, ChangeSource, Probe, Source};
use crate::config::SourceConfig;
use crate::telemetry::{ChangeEvent, Timestamp, Window, clean, words};

/// The largest number of commits returned for one window.
const MAX_COMMITS: usize = 500;
/// The largest number of tags read from the repository.
const MAX_TAGS: usize = 2_000;
/// The largest output read from one git command, in bytes. Commits that touch very many files can reach it.
const MAX_OUTPUT: u64 = 8 * 1024 * 1024;
/// The number of files named per commit; the others are counted.
const MAX_FILES_NAMED: usize = 3;
/// The number of fields that precede the files of a commit in the output of `git log`.
const COMMIT_FIELDS: usize = 5;

/// A local git repository, or a folder within one.
pub struct Git {
    name: String,
    path: String,
    service: Option<String>,
    timeout: Duration,
}

/// The state of the configured path, as reported by git.
struct WorkTree {
    /// The path relative to the root of the repository; empty for the root itself.
    subfolder: String,
    /// Whether the repository is a shallow clone, whose history is incomplete.
    is_shallow: bool,
}

impl Git {
    /// Creates the source from its configuration; does not open the repository.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        let path = config.path.clone().unwrap_or_default();
        Ok(Self { name: config.name.clone(), path, service: config.service.clone(), timeout: config.timeout })
    }

    async fn run(&self, args: &[&str]) -> Result<Vec<u8>, SourceError> {
        let mut command = tokio::process::Command::new("git");
        // These variables would override the configured path.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE"] {
            command.env_remove(name);
        }
        // No pager, no password prompt and no lock that blocks other git commands; log settings of the user must not change
        // the output.
        command.args(["--no-pager", "--no-optional-locks", "-c", "log.showSignature=false", "-c", "log.diffMerges=separate"]);
        command.args(["-c", "i18n.logOutputEncoding=UTF-8", "-C", &self.path]).args(args);
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        tokio::time::timeout(self.timeout, self.read_output(command)).await.map_err(|_| {
            SourceError::new(FaultKind::Timeout, format!("git did not finish within {} s", self.timeout.as_secs()))
        })?
    }

    async fn read_output(&self, mut command: tokio::process::Command) -> Result<Vec<u8>, SourceError> {
        let io_error = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => SourceError::new(FaultKind::Config, "git is not installed or not on the PATH"),
            _ => SourceError::new(FaultKind::Io, format!("cannot run git: {e}")),
        };
        let mut child = command.spawn().map_err(io_error)?;
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read_stdout = async {
            if let Some(stdout) = stdout {
                stdout.take(MAX_OUTPUT).read_to_end(&mut output).await?;
            }
            Ok::<(), std::io::Error>(())
        };
        let read_stderr = async {
            if let Some(stderr) = stderr {
                stderr.take(64 * 1024).read_to_end(&mut errors).await?;
            }
            Ok::<(), std::io::Error>(())
        };
        let (stdout_read, stderr_read) = futures_util::join!(read_stdout, read_stderr);
        stdout_read.and(stderr_read).map_err(io_error)?;
        if u64::try_from(output.len()).unwrap_or(MAX_OUTPUT) >= MAX_OUTPUT {
            // The limit is reached: do not wait for git, which exits when its pipe closes.
            return Ok(output);
        }
        if child.wait().await.map_err(io_error)?.success() {
            return Ok(output);
        }
        let errors = String::from_utf8_lossy(&errors).into_owned();
        let fatal = errors
            .lines()
            .find_map(|l| l.strip_prefix("fatal: "))
            .or_else(|| errors.lines().next())
            .unwrap_or("no error message");
        let is_config_error = ["not a git repository", "cannot change to", "dubious ownership"].iter().any(|w| fatal.contains(w));
        let advice = if fatal.contains("dubious ownership") {
            "; if you trust this repository, run: git config --global --add safe.directory REPOSITORY_ROOT".to_owned()
        } else {
            String::new()
        };
        let kind = if is_config_error { FaultKind::Config } else { FaultKind::Io };
        Err(SourceError::new(kind, format!("git failed in {}: {fatal}{advice}", self.path)))
    }

    /// Asks git about the configured path. An error when it is not in a repository.
    async fn work_tree(&self) -> Result<WorkTree, SourceError> {
        let output = self.run(&["rev-parse", "--is-shallow-repository", "--show-prefix"]).await?;
        let output = String::from_utf8_lossy(&output).into_owned();
        let mut lines = output.lines();
        let is_shallow = lines.next() == Some("true");
        Ok(WorkTree { subfolder: lines.next().unwrap_or_default().trim_end_matches('/').to_owned(), is_shallow })
    }

    /// Whether the repository has at least one commit.
    async fn has_commits(&self) -> bool {
        self.run(&["rev-parse", "-q", "--verify", "HEAD^{commit}", "--"]).await.is_ok()
    }

    /// The output of `git log` for a window, newest commit first, as [`parse_commits`] reads it.
    async fn log(&self, window: Window, work_tree: &WorkTree) -> Result<Vec<u8>, SourceError> {
        let (since, until) = (window.start.secs(), format!("--until=@{}", window.end.secs() + 1));
        let max_count = format!("--max-count={}", MAX_COMMITS + 1);
        // A message cannot contain NUL. An empty field starts a commit, because no file has an empty name.
        let format = "--format=%x00%x00%h %p%x00%ct%x00%an%x00%D%x00%s";
        let mut last = Err(SourceError::new(FaultKind::Io, "git log did not run"));
        // Plain --since stops at the first commit with an older date. Git before 2.37 has no --since-as-filter.
        for since in [format!("--since-as-filter=@{since}"), format!("--since=@{since}")] {
            let mut args = vec![
                "log",
                "-z",
                "--first-parent",
                "-m",
                "--name-only",
                "--decorate=full",
                &since,
                &until,
                &max_count,
                format,
                "HEAD",
                "--",
            ];
            args.extend((!work_tree.subfolder.is_empty()).then_some("."));
            last = self.run(&args).await;
            if !last.as_ref().is_err_and(|e| e.message.contains("unrecognized argument")) {
                break;
            }
        }
        last
    }

    /// The annotated tags of commits on the branch, as releases at the time of the tag. For a folder within the repository,
    /// only tags whose name contains the folder's name or the service.
    async fn tags(&self, window: Window, work_tree: &WorkTree) -> Result<Vec<ChangeEvent>, SourceError> {
        let max_count = format!("--count={MAX_TAGS}");
        let format = "--format=%(objecttype)%00%(creatordate:unix)%00%(refname:short)%00%(taggername)";
        let text = self.run(&["for-each-ref", "--sort=-creatordate", &max_count, "--merged=HEAD", format, "refs/tags"]).await?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let parse_tag = |line: &str| {
            let mut parts = line.split('\0');
            let (kind, at, name, by) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            let at = Timestamp::from_secs(at.parse().ok()?);
            let folder = work_tree.subfolder.rsplit('/').next().unwrap_or_default();
            let names = [Some(folder), self.service.as_deref()];
            let is_relevant = folder.is_empty() || names.iter().flatten().any(|part| name.contains(part));
            (kind == "tag" && is_relevant && window.contains(at)).then(|| ChangeEvent {
                at,
                service: self.service.clone(),
                what: format!("tagged {}", clean::line(name)),
                by: Some(clean::line(by)).filter(|b| !b.is_empty()),
                link: None,
                is_release: true,
            })
        };
        Ok(text.lines().filter_map(parse_tag).collect())
    }
}

impl Source for Git {
    fn name(&self) -> &str {
        &self.name
    }
    fn kind(&self) -> &'static str {
        "git"
    }
    fn probe(&self) -> BoxFuture<'_, Result<Probe, SourceError>> {
        async move {
            self.work_tree().await?;
            if !self.has_commits().await {
                return Ok(Probe::ok("repository has no commits yet"));
            }
            let head = self.run(&["log", "-1", "--format=%h on %D", "HEAD", "--"]).await?;
            Ok(Probe::ok(clean::line(&format!("at {}", String::from_utf8_lossy(&head).trim()))))
        }
        .boxed()
    }
    fn changes(&self) -> Option<&dyn ChangeSource> {
        Some(self)
    }
}

impl ChangeSource for Git {
    fn query(&self, window: Window) -> String {
        let (since, until) = (Timestamp::from_secs(window.start.secs()), Timestamp::from_secs(window.end.secs() + 1));
        format!("git -C '{}' log --first-parent --since={since} --until={until} HEAD", self.path)
    }

    fn within(&self, window: Window) -> AnswerFuture<'_, Vec<ChangeEvent>> {
        async move {
            let mut answer = Answer::complete(Vec::new());
            let work_tree = self.work_tree().await?;
            if !self.has_commits().await {
                return Ok(answer);
            }
            let text = self.log(window, &work_tree).await?;
            if u64::try_from(text.len()).unwrap_or(MAX_OUTPUT) >= MAX_OUTPUT {
                answer.gaps.push(format!(
                    "the output of git log was cut at {} MiB; only the newest commits are included",
                    MAX_OUTPUT >> 20
                ));
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            let mut found = parse_commits(&text, self.service.as_deref(), work_tree.is_shallow);
            if found.len() > MAX_COMMITS {
                found.truncate(MAX_COMMITS);
                answer
                    .gaps
                    .push(format!("more than {MAX_COMMITS} commits in the window; only the newest {MAX_COMMITS} are included"));
            }
            // A commit without parents means that the log reached the end of the shallow history.
            if work_tree.is_shallow && text.contains(" \0") {
                answer.gaps.push("the clone is shallow; commits older than its oldest commit are missing".to_owned());
            }
            found.reverse();
            found.extend(self.tags(window, &work_tree).await?);
            found.retain(|c| window.contains(c.at));
            found.sort_by_key(|c| c.at);
            answer.value = found;
            Ok(answer)
        }
        .boxed()
    }
}

/// Parses the output of `git log`: per commit the fields `hash parents`, time, author, refs and subject, then the files it
/// changed.
fn parse_commits(text: &str, service: Option<&str>, is_shallow: bool) -> Vec<ChangeEvent> {
    let mut parts = text.split('\0').peekable();
    let mut out = Vec::new();
    while let Some(part) = parts.next() {
        if !part.is_empty() || parts.peek().is_none() {
            continue;
        }
        // More than one empty part may precede a commit.
        while parts.next_if(|p| p.is_empty()).is_some() {}
        let fields: Vec<&str> = parts.by_ref().take(COMMIT_FIELDS).collect();
        let mut files = Vec::new();
        while let Some(file) = parts.next_if(|p| !p.is_empty()) {
            // The first file is preceded by a line feed.
            files.push(if files.is_empty() { file.strip_prefix('\n').unwrap_or(file) } else { file });
        }
        out.extend(parse_commit(&fields, &files, service, is_shallow));
    }
    out
}

/// A commit as a change; `None` when fields are missing or the time is not a number.
fn parse_commit(fields: &[&str], files: &[&str], service: Option<&str>, is_shallow: bool) -> Option<ChangeEvent> {
    let [hash, at, author, refs, subject] = fields else { return None };
    let (hash, parents) = hash.split_once(' ').unwrap_or((hash, ""));
    let tags: Vec<String> = refs.split(", ").filter_map(|r| r.strip_prefix("tag: refs/tags/")).map(clean::line).collect();
    // The oldest commit of a shallow clone lists every file of the repository.
    let files = if is_shallow && parents.is_empty() { &[] } else { files };
    let mut named: Vec<String> = files.iter().take(MAX_FILES_NAMED).map(|f| clean::line(f)).collect();
    if files.len() > MAX_FILES_NAMED {
        named.push(words::count(files.len() - MAX_FILES_NAMED, "other file"));
    }
    let mut what = format!("commit {hash} \"{}\"", clean::line(subject));
    if !tags.is_empty() {
        what += &format!(", tagged {}", tags.join(", "));
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
        is_release: false,
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
    async fn lists_commits_with_files_and_tags_in_the_window() {
        const T: i64 = 1_795_253_400;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, T, &["init", "-q", "-b", "main"]);
        let window = Window::new(Timestamp::from_secs(T - 600), Timestamp::from_secs(T + 60));
        assert!(source(path).within(window).await.unwrap().value.is_empty(), "an empty repository has no changes");
        assert!(source(path).probe().await.unwrap().detail.contains("no commits yet"));
        std::fs::create_dir(path.join("cart")).unwrap();
        let mut n = 0;
        let mut commit = |at: i64, files: &[&str], message: &str| {
            for file in files {
                n += 1;
                std::fs::write(path.join(file), n.to_string()).unwrap();
            }
            git(path, at, &["add", "."]);
            git(path, at, &["commit", "-q", "--allow-empty", "-m", message]);
        };
        // A file named HEAD must not be mistaken for the revision.
        commit(T - 900, &["HEAD", "cart/x"], "long ago");
        git(path, T - 30, &["tag", "-a", "v1.42.0", "-m", "the release"]);
        commit(T - 60, &["schön pool.yaml"], "Pool of 2 connections\n\nwith a body");
        // A commit date out of order stops plain --since. A message can contain anything but NUL.
        commit(T - 9000, &["a"], "by a clock that is wrong");
        commit(T - 10, &[], "nothing but words");
        commit(T, &["a", "b", "c", "cart/x"], "Retry \u{1b}[31mtwice \u{1e}beef\u{1f}1795253400\u{1f}Mallory");
        git(path, T, &["tag", "backup"]);
        commit(T + 900, &["a"], "after it");
        let describe = |found: &Answer<Vec<ChangeEvent>>| -> Vec<String> {
            let release_mark = |c: &ChangeEvent| if c.is_release { "!" } else { "" };
            let hash = regex::Regex::new("commit [0-9a-f]+").unwrap();
            found
                .value
                .iter()
                .map(|c| format!("{}{} {}", c.at.secs() - T, release_mark(c), hash.replace(&c.describe(), "commit")))
                .collect()
        };
        let found = source(path).within(window).await.unwrap();
        assert_eq!(
            describe(&found),
            [
                "-60 commit \"Pool of 2 connections\" (schön pool.yaml) by Ada",
                "-30! tagged v1.42.0 by Ada",
                "-10 commit \"nothing but words\" by Ada",
                "0 commit \"Retry twice \u{fffd}beef\u{fffd}1795253400\u{fffd}Mallory\", tagged backup (a, b, c, 1 other file) by Ada",
            ]
        );
        // For a folder, only commits that touch it.
        let part = source(&path.join("cart")).within(window).await.unwrap();
        assert_eq!(describe(&part).len(), 1, "the tag names neither the folder nor its service: {part:?}");
        assert!(source(path).probe().await.unwrap().detail.starts_with("at "));
        let shallow = tempfile::tempdir().unwrap();
        let from = format!("file://{}", path.display());
        git(shallow.path(), T, &["clone", "-q", "--depth", "2", &from, "."]);
        let found = source(shallow.path()).within(window).await.unwrap();
        assert!(
            found.gaps[0].contains("shallow") && describe(&found).last().unwrap().ends_with("tagged backup by Ada"),
            "{found:?}"
        );
    }

    #[tokio::test]
    async fn reports_a_config_error_when_the_path_is_not_a_repository() {
        let folder = tempfile::tempdir().unwrap();
        let window = Window::before(Timestamp::from_secs(1_795_253_400), Duration::from_mins(1));
        let e = source(folder.path()).within(window).await.unwrap_err();
        assert_eq!(e.kind, FaultKind::Config, "{e}");
        let e = source(&folder.path().join("none")).probe().await.unwrap_err();
        assert_eq!(e.kind, FaultKind::Config, "{e}");
    }
}
