//! The append-only store of facts and evidence bodies.
//!
//! [`Store`] is what a store must do; [`sqlite`] is the embedded one. [`Journal`] owns a store on a thread of its own, so
//! that nobody else ever waits for a disk: callers send a request over a bounded queue and await the answer. A fact whose
//! append was answered survives `kill -9` and power loss.

use std::path::Path;

use tokio::sync::{mpsc, oneshot};

use crate::evidence::body::StoredBody;
use crate::evidence::{Body, Redacted};
use crate::incident::{Actor, Entry, Fact, Incident, IncidentId, Summary};
use crate::telemetry::Timestamp;

pub mod chain;
pub mod sqlite;

/// What can go wrong with the store. Each message says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{0} is not in this store: `warroom incident list` shows what is")]
    NoSuchIncident(IncidentId),
    /// Somebody else appended first: read again and retry.
    #[error("{incident} has changed meanwhile (entry {found} exists, {expected} was the last one read)")]
    Conflict { incident: IncidentId, expected: u64, found: u64 },
    #[error("the store {path} cannot be opened: {reason}; check the path and its permissions, or give another with --store")]
    Open { path: String, reason: String },
    #[error(
        "the store {path} was written by a newer warroom (schema {found}, this one knows {known}): update warroom; nothing was changed"
    )]
    Newer { path: String, found: i64, known: i64 },
    #[error("the store cannot be {doing}: {reason}")]
    Io { doing: &'static str, reason: String },
    #[error("entry {seq} of {incident} cannot be read: {reason}; `warroom verify` says where the chain is broken")]
    Damaged { incident: IncidentId, seq: u64, reason: String },
    #[error("'{0}' is not a store: give sqlite:PATH, or a path")]
    BadUrl(String),
    #[error("PostgreSQL stores are not built yet; give sqlite:PATH")]
    NoPostgres,
    #[error("the store's thread has ended; start warroom again")]
    Gone,
}

/// A fact to append, with who and when. `at` may be earlier than `recorded_at`.
#[derive(Clone, Debug)]
pub struct NewEntry {
    pub at: Timestamp,
    pub recorded_at: Timestamp,
    pub actor: Actor,
    pub fact: Redacted<Fact>,
}

/// What an append may carry besides facts.
#[derive(Clone, Debug, Default)]
pub struct Append {
    pub entries: Vec<NewEntry>,
    /// Bodies of the evidence that the facts attach; written in the same commit.
    pub bodies: Vec<StoredBody>,
}

/// A broken place in a chain.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Broken {
    pub incident: String,
    pub seq: u64,
    pub what: String,
}

/// What `verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    pub incidents: u64,
    pub entries: u64,
    pub bodies: u64,
    pub broken: Vec<Broken>,
}

/// What every store does. All calls block; they run on the journal's own thread.
pub trait Store: Send {
    /// Opens a new incident with its first entries (the first must declare it). Gives the entries as stored.
    fn create(&mut self, append: Append) -> Result<Vec<Entry>, JournalError>;
    /// Appends after entry `expected`; E- and A-numbers are put in here. Evidence that is already there (the same source,
    /// query, window and digest) is not attached again: its entry is left out of the answer. Gives the stored entries and,
    /// for each evidence fact in order, the number that it has.
    fn append(&mut self, incident: IncidentId, expected: u64, append: Append) -> Result<Appended, JournalError>;
    /// All entries after `after`, in order; empty when there are none.
    fn entries(&mut self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError>;
    /// The heads of all incidents, the newest first.
    fn list(&mut self) -> Result<Vec<Summary>, JournalError>;
    /// A body by its digest; `None` when this store does not have it.
    fn body(&mut self, digest: &str) -> Result<Option<Body>, JournalError>;
    /// Checks every chain and every digest.
    fn verify(&mut self) -> Result<Verification, JournalError>;
    /// A number that changes when another process has written.
    fn version(&mut self) -> Result<i64, JournalError>;
}

/// What an append gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appended {
    pub entries: Vec<Entry>,
    /// The number of each evidence fact of the append, in their order, old or new.
    pub evidence: Vec<crate::incident::EvidenceId>,
}

type Job = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// The handle to the store's thread. Cheap to clone; the thread ends when the last one is dropped, after what was queued.
#[derive(Clone)]
pub struct Journal {
    jobs: mpsc::Sender<Job>,
    url: String,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Requests that may wait for the store at once; a sender beyond waits for a place.
const QUEUE: usize = 256;

impl Journal {
    /// Opens the store that a URL names: `sqlite:PATH`, `sqlite:///PATH` or a plain path. Creates it (file mode 0600) when it
    /// is not there.
    pub fn open(url: &str) -> Result<Self, JournalError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Err(JournalError::NoPostgres);
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
        if path.is_empty() || (path.contains("://") && path == url) {
            return Err(JournalError::BadUrl(url.chars().take(80).collect()));
        }
        Ok(Self::over(Box::new(sqlite::SqliteStore::open(Path::new(path))?), format!("sqlite:{path}")))
    }

    /// A journal over any store.
    pub fn over(mut store: Box<dyn Store>, url: String) -> Self {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        // Without this thread nothing works, and its start only fails when the machine has no threads left.
        let spawned = std::thread::Builder::new().name("journal".into()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job(store.as_mut());
            }
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "the journal's thread did not start");
        }
        Self { jobs, url }
    }

    /// The store's URL, for `doctor` and the header.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Store) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            // The asker may be gone; what was done stays done.
            let _unheard = answer.send(job(store));
        });
        self.jobs.send(job).await.map_err(|_closed| JournalError::Gone)?;
        receiver.await.map_err(|_dropped| JournalError::Gone)?
    }

    /// See [`Store::create`].
    pub async fn create(&self, append: Append) -> Result<Vec<Entry>, JournalError> {
        self.ask(move |s| s.create(append)).await
    }

    /// See [`Store::append`].
    pub async fn append(&self, incident: IncidentId, expected: u64, append: Append) -> Result<Appended, JournalError> {
        self.ask(move |s| s.append(incident, expected, append)).await
    }

    /// See [`Store::entries`].
    pub async fn entries(&self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError> {
        self.ask(move |s| s.entries(incident, after)).await
    }

    /// An incident, folded.
    pub async fn incident(&self, id: IncidentId) -> Result<Incident, JournalError> {
        let entries = self.entries(id, 0).await?;
        Incident::fold(entries).ok_or(JournalError::NoSuchIncident(id))
    }

    /// See [`Store::list`].
    pub async fn list(&self) -> Result<Vec<Summary>, JournalError> {
        self.ask(|s| s.list()).await
    }

    /// See [`Store::body`].
    pub async fn body(&self, digest: &str) -> Result<Option<Body>, JournalError> {
        let digest = digest.to_owned();
        self.ask(move |s| s.body(&digest)).await
    }

    /// The bodies of all evidence of an incident, by digest; missing ones are left out.
    pub async fn bodies(&self, incident: &Incident) -> Result<std::collections::BTreeMap<String, Body>, JournalError> {
        let digests: std::collections::BTreeSet<String> = incident.evidence.iter().map(|e| e.digest.clone()).collect();
        self.ask(move |s| {
            let mut bodies = std::collections::BTreeMap::new();
            for digest in digests {
                if let Some(body) = s.body(&digest)? {
                    bodies.insert(digest, body);
                }
            }
            Ok(bodies)
        })
        .await
    }

    /// See [`Store::verify`].
    pub async fn verify(&self) -> Result<Verification, JournalError> {
        self.ask(|s| s.verify()).await
    }

    /// See [`Store::version`].
    pub async fn version(&self) -> Result<i64, JournalError> {
        self.ask(|s| s.version()).await
    }
}
