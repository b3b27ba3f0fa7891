//! Keeps what the screen shows in `<state dir>/warroom/sessions/`, one file for each store, user and process, so that it is there again after the
//! terminal was closed or the process was ended. The files may be deleted at any time.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::app::model::Model;
use crate::app::session::Session;
use crate::config::Config;
use crate::evidence::redact::Redactor;

/// The file of this process's session, and what was written to it last.
pub(super) struct SessionFile {
    path: Option<PathBuf>,
    written: Session,
    writing: Option<tokio::task::JoinHandle<()>>,
    /// The files of ended processes that were restored. They are removed once this process has written its own.
    restored: Vec<PathBuf>,
}

impl SessionFile {
    /// The session of a store and user; keeps nothing if the configuration says so.
    pub(super) fn new(config: &Config) -> Self {
        let (store, user) = (config.ui.restore.then_some(&config.store_url), &config.user);
        let path = store.zip(crate::config::log_folder()).map(|(store, folder)| {
            let digest = Sha256::digest(format!("{store}\n{user}").as_bytes());
            let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            folder.join("sessions").join(format!("{name}-{}.json", std::process::id()))
        });
        Self { path, written: Session::default(), writing: None, restored: Vec::new() }
    }

    /// Restores what the process showed that ended last. One that still runs keeps its screen and its texts to itself.
    pub(super) fn restore(&mut self, model: &mut Model) {
        let name =
            self.path.as_ref().and_then(|p| p.file_name()?.to_str()?.split_once('-').map(|(store, _)| format!("{store}-")));
        let Some((folder, name)) = self.path.as_ref().and_then(|p| p.parent()).zip(name) else { return };
        let is_ours = |path: &PathBuf| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(&name));
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_ours);
        let (files, unfinished): (Vec<PathBuf>, Vec<PathBuf>) =
            files.partition(|path| path.extension().is_some_and(|ending| ending == "json"));
        let read = |path: PathBuf| {
            let session: Session = serde_json::from_str(&std::fs::read_to_string(&path).ok()?).ok()?;
            let changed = std::fs::metadata(&path).and_then(|m| m.modified()).ok()?;
            (!is_running(session.pid)).then_some((changed, path, session))
        };
        let mut ended: Vec<_> = files.into_iter().filter_map(read).collect();
        ended.sort_by_key(|(changed, ..)| *changed);
        // What a killed process was writing is worth nothing.
        let pid = |path: &Path| path.file_stem()?.to_str()?.rsplit_once('-')?.1.parse().ok();
        let is_left = |path: &PathBuf| pid(path).is_some_and(|pid| !is_running(pid));
        self.restored = ended.iter().map(|(_, path, _)| path.clone()).chain(unfinished.into_iter().filter(is_left)).collect();
        if let Some((.., session)) = ended.pop() {
            session.restore(model);
        }
    }

    /// Writes what the screen shows, if it has changed, without waiting for the disk. While an earlier state is being written, nothing
    /// is begun; the next call writes the newest. Before the restored state is shown, there is nothing to write.
    pub(super) fn keep(&mut self, model: &Model) {
        let is_free = model.restoring.is_none() && self.writing.as_ref().is_none_or(tokio::task::JoinHandle::is_finished);
        let Some(path) = self.path.clone().filter(|_| is_free) else { return };
        let session = Session::of(model, std::process::id());
        if session != self.written {
            self.written = session.clone();
            let restored = std::mem::take(&mut self.restored);
            self.writing = Some(tokio::task::spawn_blocking(move || write(&path, &session, &restored)));
        }
    }

    /// Writes the last state, and whether the user has quit.
    pub(super) async fn end(&mut self, model: &Model, ended: bool) {
        if let Some(writing) = self.writing.take() {
            let _panicked = writing.await;
        }
        // What was not shown again yet stays in the file of the process before.
        if model.restoring.is_some() {
            return;
        }
        let session = Session { ended, ..Session::of(model, std::process::id()) };
        let restored = std::mem::take(&mut self.restored);
        if let Some(path) = self.path.clone() {
            let _panicked = tokio::task::spawn_blocking(move || write(&path, &session, &restored)).await;
        }
    }
}

/// Writes a session redacted, as the journal does with texts, and then removes the files that it follows.
fn write(path: &Path, session: &Session, restored: &[PathBuf]) {
    let written = Redactor::new().redact_value(session).map_err(std::io::Error::from);
    match written.and_then(|session| replace(path, &session.into_inner())) {
        Ok(()) => {
            for old in restored.iter().filter(|old| *old != path) {
                let _gone = std::fs::remove_file(old);
            }
        }
        Err(error) => tracing::warn!(%error, path = %path.display(), "cannot keep the session"),
    }
}

/// Replaces the file at once, so that it is whole after a power loss. Only its owner may read it.
fn replace(path: &Path, session: &Session) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(serde_json::to_string(session)?.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

/// Whether a process of this machine runs, and is not this one.
pub(crate) fn is_running(pid: u32) -> bool {
    #[cfg(unix)]
    {
        let other = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).filter(|_| pid != std::process::id());
        other.is_some_and(|other| rustix::process::test_kill_process(other).is_ok())
    }
    #[cfg(not(unix))]
    {
        let _unknown = pid;
        false
    }
}
