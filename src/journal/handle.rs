//! The handle to the store for the rest of the program. Requests go through a bounded queue to the thread that owns the
//! store, so that no caller blocks on a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Append, Appended, Import, JournalError, Purge, Store, StoreStatus, Verification, bundle, postgres, sqlite, team};
use crate::evidence::Body;
use crate::incident::{Entry, Incident, IncidentId, Summary};

/// The capacity of the request queue. When it is full, senders wait.
const QUEUE: usize = 256;
/// How long the lock is held for a writer in [`Journal::append_in_turn`]. Building a fact takes microseconds.
const TURN: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// The location of a store.
#[derive(Clone, Debug)]
pub struct StoreAt {
    /// `sqlite:PATH`, `postgres://…` or `bundle:FILE`.
    pub url: String,
    /// The password of a shared store, if it is not in the URL.
    pub password: Option<SecretString>,
    /// The folder that holds this machine's copies of shared stores.
    pub copies: PathBuf,
}

impl StoreAt {
    /// A store on this machine.
    pub fn local(url: impl Into<String>) -> Self {
        Self { url: url.into(), password: None, copies: PathBuf::new() }
    }
}

/// A store that was just opened, with the URL to show and, for a shared store, a listener for changes.
struct Opened {
    store: Box<dyn Store>,
    url: String,
    listener: Option<team::Listener>,
}

impl Opened {
    fn local(store: impl Store + 'static, url: String) -> Self {
        Self { store: Box::new(store), url, listener: None }
    }
}

/// A handle to the store's thread. Cheap to clone. When the last handle is dropped, the thread finishes the queued requests
/// and ends.
#[derive(Clone)]
pub struct Journal {
    jobs: mpsc::Sender<Job>,
    url: String,
    listener: Option<team::Listener>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the store of a URL: `sqlite:PATH`, `sqlite:///PATH` or a plain path (created with file mode 0600 if it does not
    /// exist), `postgres://…` for a shared store, `bundle:FILE` for a bundle. Does not wait for the server of a shared
    /// store.
    ///
    /// # Errors
    /// [`JournalError::BadUrl`] for any other URL; otherwise the reason why the store cannot be opened.
    pub fn open(at: &StoreAt) -> Result<Self, JournalError> {
        let at = at.clone();
        Self::start(move || {
            let url = at.url.as_str();
            if postgres::is_postgres(url) {
                let store = team::TeamStore::open(url, at.password.as_ref(), &at.copies)?;
                let (url, listener) = (store.shown().to_owned(), Some(store.listener()));
                return Ok(Opened { store: Box::new(store), url, listener });
            }
            if let Some(path) = url.strip_prefix("bundle:") {
                return Ok(Opened::local(bundle::open(Path::new(path))?, url.to_owned()));
            }
            let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
            if path.is_empty() || (path.contains("://") && path == url) {
                let reason = "this kind of URL is not supported".to_owned();
                return Err(JournalError::BadUrl { url: url.chars().take(80).collect(), reason });
            }
            Ok(Opened::local(sqlite::SqliteStore::open(Path::new(path))?, format!("sqlite:{path}")))
        })
    }

    /// Opens a store on its own thread and runs its jobs there. The store is created and dropped on that thread, because a
    /// PostgreSQL client owns a runtime, which must not be dropped inside another one.
    fn start(open: impl FnOnce() -> Result<Opened, JournalError> + Send + 'static) -> Result<Self, JournalError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let (opened, result) = std::sync::mpsc::sync_channel(1);
        let run = move || {
            let mut store = match open() {
                Ok(Opened { store, url, listener }) => {
                    let _caller_gone = opened.send(Ok((url, listener)));
                    store
                }
                Err(e) => {
                    let _caller_gone = opened.send(Err(e));
                    return;
                }
            };
            while let Some(job) = queue.blocking_recv() {
                job(store.as_mut());
            }
        };
        std::thread::Builder::new().name("journal".into()).spawn(run).map_err(|e| JournalError::io("open", e))?;
        let (url, listener) = result.recv().map_err(|_panicked| JournalError::Gone)??;
        Ok(Self { jobs, url, listener })
    }

    /// Starts listening to a shared store. The value changes whenever someone writes. `None` for stores that cannot notify.
    pub fn listen(&self) -> Option<watch::Receiver<u64>> {
        self.listener.as_ref().map(|start| start())
    }

    /// The store's URL without its password, for `doctor` and the header.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a job on the store's thread and returns its result.
    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Store) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            // The caller may be gone. The job has taken effect anyway.
            let _caller_gone = answer.send(job(store));
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

    /// See [`Store::append_in_turn`]. `make` runs in the caller's task while the store waits for it.
    pub async fn append_in_turn(
        &self,
        incident: IncidentId,
        known: u64,
        make: impl FnOnce(Vec<Entry>) -> Option<Append>,
    ) -> Result<Appended, JournalError> {
        let (sender, receiver) = oneshot::channel::<Vec<Entry>>();
        let (reply, replies) = std::sync::mpsc::sync_channel::<Option<Append>>(1);
        let mut sender = Some(sender);
        let written = self.ask(move |s| {
            s.append_in_turn(incident, known, &mut |entries| {
                sender.take()?.send(entries).ok()?;
                // A caller that is gone appends nothing.
                replies.recv_timeout(TURN).ok().flatten()
            })
        });
        let made = async {
            if let Ok(entries) = receiver.await {
                let _too_late = reply.send(make(entries));
            }
        };
        let (written, ()) = tokio::join!(written, made);
        written
    }

    /// See [`Store::entries`].
    pub async fn entries(&self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError> {
        self.ask(move |s| s.entries(incident, after)).await
    }

    /// An incident, folded from its entries.
    ///
    /// # Errors
    /// [`JournalError::NoSuchIncident`], or [`JournalError::Purged`] with the note of the purge.
    pub async fn incident(&self, id: IncidentId) -> Result<Incident, JournalError> {
        let entries = self.entries(id, 0).await?;
        match Incident::fold(entries) {
            Some(incident) => Ok(incident),
            None => Err(match self.ask(move |s| s.purged_note(id)).await? {
                Some(note) => JournalError::Purged { incident: id, note },
                None => JournalError::NoSuchIncident(id),
            }),
        }
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

    /// The bodies of all evidence of an incident, by digest. Missing bodies are left out.
    pub async fn bodies(&self, incident: &Incident) -> Result<BTreeMap<String, Body>, JournalError> {
        let digests: BTreeSet<String> = incident.evidence.iter().map(|e| e.digest.clone()).collect();
        self.ask(move |s| {
            let mut bodies = BTreeMap::new();
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

    /// See [`Store::status`].
    pub async fn status(&self) -> Result<StoreStatus, JournalError> {
        self.ask(|s| Ok(s.status())).await
    }

    /// See [`Store::presence`].
    pub async fn presence(&self, session: &str, name: &str, incident: Option<IncidentId>) -> Result<Vec<String>, JournalError> {
        let (session, name) = (session.to_owned(), name.to_owned());
        self.ask(move |s| s.presence(&session, &name, incident)).await
    }

    /// See [`Store::purge`].
    pub async fn purge(&self, purge: Purge) -> Result<(), JournalError> {
        self.ask(move |s| s.purge(&purge)).await
    }

    /// See [`Store::resolve`].
    pub async fn resolve(&self, incident: IncidentId) -> Result<IncidentId, JournalError> {
        self.ask(move |s| Ok(s.resolve(incident))).await
    }

    /// The bytes of a bundle with an incident and everything that belongs to it.
    pub async fn export_bundle(&self, incident: IncidentId) -> Result<Vec<u8>, JournalError> {
        self.ask(move |s| bundle::write(s, incident)).await
    }

    /// Imports a bundle.
    pub async fn import_bundle(&self, bundle: bundle::Bundle) -> Result<Import, JournalError> {
        self.ask(move |s| s.import(bundle.incident, &bundle.entries, &bundle.bodies)).await
    }
}
