//! Keeps what the screen shows in `<state dir>/warroom/sessions/`, one file for each store, so that it is there again after the
//! terminal was closed or the process was ended. The files may be deleted at any time.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::app::model::Model;
use crate::app::session::Session;
use crate::config::Config;
use crate::evidence::redact::Redactor;

/// The file of a session, and what was written to it last.
pub(super) struct SessionFile {
    path: Option<PathBuf>,
    written: Session,
    writing: Option<tokio::task::JoinHandle<()>>,
}

impl SessionFile {
    /// The session of a store and user; keeps nothing if the configuration says so.
    pub(super) fn new(config: &Config) -> Self {
        let (store, user) = (config.ui.restore.then_some(&config.store_url), &config.user);
        let path = store.zip(crate::config::log_folder()).map(|(store, folder)| {
            let digest = Sha256::digest(format!("{store}\n{user}").as_bytes());
            let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            folder.join("sessions").join(format!("{name}.json"))
        });
        Self { path, written: Session::default(), writing: None }
    }

    /// Restores what an earlier process showed. One that still runs keeps its screen to itself.
    pub(super) fn restore(&self, model: &mut Model) {
        let text = self.path.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        let Some(mut session) = text.and_then(|text| serde_json::from_str::<Session>(&text).ok()) else { return };
        if is_running(session.pid) {
            (session.ended, session.unsent) = (true, Vec::new());
        }
        session.restore(model);
    }

    /// Writes what the screen shows, if it has changed, without waiting for the disk. While an earlier state is being written, nothing
    /// is begun; the next call writes the newest.
    pub(super) fn keep(&mut self, model: &Model) {
        let Some(path) = self.path.clone().filter(|_| self.writing.as_ref().is_none_or(tokio::task::JoinHandle::is_finished))
        else {
            return;
        };
        let session = Session::of(model, std::process::id());
        if session != self.written {
            self.written = session.clone();
            self.writing = Some(tokio::task::spawn_blocking(move || write(&path, session)));
        }
    }

    /// Writes the last state, and whether the user has quit.
    pub(super) async fn end(&mut self, model: &Model, ended: bool) {
        if let Some(writing) = self.writing.take() {
            let _panicked = writing.await;
        }
        let session = Session { ended, ..Session::of(model, std::process::id()) };
        if let Some(path) = self.path.clone() {
            let _panicked = tokio::task::spawn_blocking(move || write(&path, session)).await;
        }
    }
}

fn write(path: &Path, mut session: Session) {
    // As in the journal, a text is stored redacted.
    for unsent in &mut session.unsent {
        unsent.text = Redactor::default().redact_text(&unsent.text).into_owned();
    }
    if let Err(error) = replace(path, &session) {
        tracing::warn!(%error, path = %path.display(), "cannot keep the session");
    }
}

/// Replaces the file at once, so that it is whole after a power loss. Only its owner may read it.
fn replace(path: &Path, session: &Session) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&new)?.write_all(serde_json::to_string(session)?.as_bytes())?;
    std::fs::rename(new, path)
}

/// Whether a process of this machine runs, and is not this one.
fn is_running(pid: u32) -> bool {
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
