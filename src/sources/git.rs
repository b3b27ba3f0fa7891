//! A git repository on this machine: the commits that its checked-out branch took in, and the annotated tags.
//!
//! Asked by the `git` program. Only the first parent is followed, so that a merge is one change with all the files it brought; of a
//! folder within a repository only what changed below it. A commit stands at the time when it was committed, which may be before it
//! was pushed, and a branch is as new as its last fetch. An annotated tag stands at its own time and counts as a release.

use std::process::Stdio;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;

use super::fault::{FaultKind, SourceError};
use super::{Answer, Asked, ChangeSource, Source};
use crate::config::SourceConfig;
use crate::telemetry::{ChangeEvent, Timestamp, Window, clean, words};

/// Commits read of one window, and tags.
const MAX_COMMITS: usize = 500;
const MAX_TAGS: usize = 2_000;
/// Bytes read of one answer: commits that touch very many files end it.
const MAX_OUTPUT: u64 = 8 * 1024 * 1024;
/// Files named of one commit.
const FILES: usize = 3;
/// Fields of a commit, in front of its files.
const FIELDS: usize = 5;

/// A repository.
pub struct Git {
    name: String,
    path: String,
    service: Option<String>,
    timeout: Duration,
}

/// What the repository is.
struct Place {
    /// The folder within it that the path is; empty: all of it.
    part: String,
    /// Its history begins in the middle.
    is_shallow: bool,
}

impl Git {
    /// From its configuration; looks at nothing yet.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        let path = config.path.clone().unwrap_or_default();
        Ok(Self { name: config.name.clone(), path, service: config.service.clone(), timeout: config.timeout })
    }

    async fn run(&self, args: &[&str]) -> Result<Vec<u8>, SourceError> {
        let mut command = tokio::process::Command::new("git");
        // What the environment says of another repository must not win over the path.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE"] {
            command.env_remove(name);
        }
        // Neither a pager, nor a password prompt, nor a lock that others would wait for; nor what a person likes to see in logs.
        command.args(["--no-pager", "--no-optional-locks", "-c", "log.showSignature=false", "-c", "log.diffMerges=separate"]);
        command.args(["-c", "i18n.logOutputEncoding=UTF-8", "-C", &self.path]).args(args);
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        tokio::time::timeout(self.timeout, self.read(command))
            .await
            .map_err(|_| SourceError::new(FaultKind::Timeout, format!("git took longer than {} s", self.timeout.as_secs())))?
    }

    async fn read(&self, mut command: tokio::process::Command) -> Result<Vec<u8>, SourceError> {
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => SourceError::new(FaultKind::Config, "the program git is not installed"),
            _ => SourceError::new(FaultKind::Io, format!("git cannot be run: {e}")),
        };
        let mut child = command.spawn().map_err(failed)?;
        let (mut out, mut said) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read_out = async {
            if let Some(stdout) = stdout {
                stdout.take(MAX_OUTPUT).read_to_end(&mut out).await?;
            }
            Ok::<(), std::io::Error>(())
        };
        let read_said = async {
            if let Some(stderr) = stderr {
                stderr.take(64 * 1024).read_to_end(&mut said).await?;
            }
            Ok::<(), std::io::Error>(())
        };
        let (a, b) = futures_util::join!(read_out, read_said);
        a.and(b).map_err(failed)?;
        if u64::try_from(out.len()).unwrap_or(MAX_OUTPUT) >= MAX_OUTPUT {
            // Enough is known; the child ends with its pipe.
            return Ok(out);
        }
        if child.wait().await.map_err(failed)?.success() {
            return Ok(out);
        }
        let said = String::from_utf8_lossy(&said).into_owned();
        let fatal = said.lines().find_map(|l| l.strip_prefix("fatal: ")).or_else(|| said.lines().next()).unwrap_or("git failed");
        let is_ours = ["not a git repository", "cannot change to", "dubious ownership"].iter().any(|w| fatal.contains(w));
        let advice = if fatal.contains("dubious ownership") {
            "; if you trust it, add its root: git config --global --add safe.directory ROOT".to_owned()
        } else {
            String::new()
        };
        let kind = if is_ours { FaultKind::Config } else { FaultKind::Io };
        Err(SourceError::new(kind, format!("{}: {fatal}{advice}", self.path)))
    }

    async fn place(&self) -> Result<Place, SourceError> {
        let told = self.run(&["rev-parse", "--is-shallow-repository", "--show-prefix"]).await?;
        let told = String::from_utf8_lossy(&told).into_owned();
        let mut lines = told.lines();
        let is_shallow = lines.next() == Some("true");
        Ok(Place { part: lines.next().unwrap_or_default().trim_end_matches('/').to_owned(), is_shallow })
    }

    /// Whether anything was ever committed.
    async fn has_commits(&self) -> bool {
        self.run(&["rev-parse", "-q", "--verify", "HEAD^{commit}", "--"]).await.is_ok()
    }

    async fn log(&self, window: Window, place: &Place) -> Result<Vec<u8>, SourceError> {
        let (since, until) = (window.start.secs(), format!("--until=@{}", window.end.secs() + 1));
        let most = format!("--max-count={}", MAX_COMMITS + 1);
        // Whatever a message holds, it holds no NUL; an empty field begins a commit, as no file has an empty name.
        let format = "--format=%x00%x00%h %p%x00%ct%x00%an%x00%D%x00%s";
        let mut last = Err(SourceError::new(FaultKind::Io, "git failed"));
        // The plain --since ends at the first commit with an older date; before git 2.37 there is no other.
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
                &most,
                format,
                "HEAD",
                "--",
            ];
            args.extend((!place.part.is_empty()).then_some("."));
            last = self.run(&args).await;
            if !last.as_ref().is_err_and(|e| e.message.contains("unrecognized argument")) {
                break;
            }
        }
        last
    }

    /// Annotated tags of what the branch holds, each at its own time; of a folder those that name it, or its service.
    async fn tags(&self, window: Window, place: &Place) -> Result<Vec<ChangeEvent>, SourceError> {
        let most = format!("--count={MAX_TAGS}");
        let format = "--format=%(objecttype)%00%(creatordate:unix)%00%(refname:short)%00%(taggername)";
        let text = self.run(&["for-each-ref", "--sort=-creatordate", &most, "--merged=HEAD", format, "refs/tags"]).await?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let tag = |line: &str| {
            let mut parts = line.split('\0');
            let (kind, at, name, by) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            let at = Timestamp::from_secs(at.parse().ok()?);
            let folder = place.part.rsplit('/').next().unwrap_or_default();
            let names = [Some(folder), self.service.as_deref()];
            let is_of_it = folder.is_empty() || names.iter().flatten().any(|part| name.contains(part));
            (kind == "tag" && is_of_it && window.contains(at)).then(|| ChangeEvent {
                at,
                service: self.service.clone(),
                what: format!("tagged {}", clean::line(name)),
                by: Some(clean::line(by)).filter(|b| !b.is_empty()),
                link: None,
                is_release: true,
            })
        };
        Ok(text.lines().filter_map(tag).collect())
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
            self.place().await?;
            if !self.has_commits().await {
                return Ok("a repository without a commit yet".to_owned());
            }
            let head = self.run(&["log", "-1", "--format=%h on %D", "HEAD", "--"]).await?;
            Ok(clean::line(&format!("at {}", String::from_utf8_lossy(&head).trim())))
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

    fn within(&self, window: Window) -> Asked<'_, Vec<ChangeEvent>> {
        async move {
            let mut answer = Answer::whole(Vec::new());
            let place = self.place().await?;
            if !self.has_commits().await {
                return Ok(answer);
            }
            let text = self.log(window, &place).await?;
            if u64::try_from(text.len()).unwrap_or(MAX_OUTPUT) >= MAX_OUTPUT {
                answer.gaps.push("the commits touch so many files that only the newest were read".to_owned());
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            let mut found = commits(&text, self.service.as_deref(), place.is_shallow);
            if found.len() > MAX_COMMITS {
                found.truncate(MAX_COMMITS);
                answer.gaps.push(format!("more than {MAX_COMMITS} commits: the newest were read"));
            }
            // Where the walk came to the end of what was cloned.
            if place.is_shallow && text.contains(" \0") {
                answer.gaps.push("the clone is shallow: commits before its oldest one are not seen".to_owned());
            }
            found.reverse();
            found.extend(self.tags(window, &place).await?);
            found.retain(|c| window.contains(c.at));
            found.sort_by_key(|c| c.at);
            answer.value = found;
            Ok(answer)
        }
        .boxed()
    }
}

/// Commits as `hash parents, time, author, refs, subject`, each with the files that it changed.
fn commits(text: &str, service: Option<&str>, is_shallow: bool) -> Vec<ChangeEvent> {
    let mut parts = text.split('\0').peekable();
    let mut out = Vec::new();
    while let Some(part) = parts.next() {
        if !part.is_empty() || parts.peek().is_none() {
            continue;
        }
        // What begins a commit may be more than one empty part.
        while parts.next_if(|p| p.is_empty()).is_some() {}
        let fields: Vec<&str> = parts.by_ref().take(FIELDS).collect();
        let mut files = Vec::new();
        while let Some(file) = parts.next_if(|p| !p.is_empty()) {
            // The first stands behind a line feed.
            files.push(if files.is_empty() { file.strip_prefix('\n').unwrap_or(file) } else { file });
        }
        out.extend(commit(&fields, &files, service, is_shallow));
    }
    out
}

fn commit(fields: &[&str], files: &[&str], service: Option<&str>, is_shallow: bool) -> Option<ChangeEvent> {
    let [hash, at, author, refs, subject] = fields else { return None };
    let (hash, parents) = hash.split_once(' ').unwrap_or((hash, ""));
    let tags: Vec<String> = refs.split(", ").filter_map(|r| r.strip_prefix("tag: refs/tags/")).map(clean::line).collect();
    // The oldest commit of a shallow clone seems to bring everything.
    let files = if is_shallow && parents.is_empty() { &[] } else { files };
    let mut named: Vec<String> = files.iter().take(FILES).map(|f| clean::line(f)).collect();
    if files.len() > FILES {
        named.push(words::count(files.len() - FILES, "other file"));
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
    async fn commits_of_the_window_with_their_tags_and_files() {
        const T: i64 = 1_795_253_400;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, T, &["init", "-q", "-b", "main"]);
        let window = Window::new(Timestamp::from_secs(T - 600), Timestamp::from_secs(T + 60));
        assert!(source(path).within(window).await.unwrap().value.is_empty(), "without a commit nothing was done");
        assert!(source(path).probe().await.unwrap().contains("without a commit yet"));
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
        // A file of that name must not be taken for the revision.
        commit(T - 900, &["HEAD", "cart/x"], "long ago");
        git(path, T - 30, &["tag", "-a", "v1.42.0", "-m", "the release"]);
        commit(T - 60, &["schön pool.yaml"], "Pool of 2 connections\n\nwith a body");
        // A date out of order ends a plain walk; a message can hold anything but NUL.
        commit(T - 9000, &["a"], "by a clock that is wrong");
        commit(T - 10, &[], "nothing but words");
        commit(T, &["a", "b", "c", "cart/x"], "Retry \u{1b}[31mtwice \u{1e}beef\u{1f}1795253400\u{1f}Mallory");
        git(path, T, &["tag", "backup"]);
        commit(T + 900, &["a"], "after it");
        let told = |found: &Answer<Vec<ChangeEvent>>| -> Vec<String> {
            let sure = |c: &ChangeEvent| if c.is_release { "!" } else { "" };
            let hash = regex::Regex::new("commit [0-9a-f]+").unwrap();
            found.value.iter().map(|c| format!("{}{} {}", c.at.secs() - T, sure(c), hash.replace(&c.told(), "commit"))).collect()
        };
        let found = source(path).within(window).await.unwrap();
        assert_eq!(
            told(&found),
            [
                "-60 commit \"Pool of 2 connections\" (schön pool.yaml) by Ada",
                "-30! tagged v1.42.0 by Ada",
                "-10 commit \"nothing but words\" by Ada",
                "0 commit \"Retry twice \u{fffd}beef\u{fffd}1795253400\u{fffd}Mallory\", tagged backup (a, b, c, 1 other file) by Ada",
            ]
        );
        // A folder within it is told what changed there.
        let part = source(&path.join("cart")).within(window).await.unwrap();
        assert_eq!(told(&part).len(), 1, "nor the tag, which names neither it nor its service: {part:?}");
        assert!(source(path).probe().await.unwrap().starts_with("at "));
        let shallow = tempfile::tempdir().unwrap();
        let from = format!("file://{}", path.display());
        git(shallow.path(), T, &["clone", "-q", "--depth", "2", &from, "."]);
        let found = source(shallow.path()).within(window).await.unwrap();
        assert!(found.gaps[0].contains("shallow") && told(&found).last().unwrap().ends_with("tagged backup by Ada"), "{found:?}");
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
