//! The append-only store of facts and evidence bodies.
//!
//! [`Store`] is what a store must do; [`sqlite`] is the embedded one. [`Journal`] owns a store on a thread of its own, so
//! that nobody else ever waits for a disk: callers send a request over a bounded queue and await the answer. A fact whose
//! append was answered survives `kill -9` and power loss.

use std::path::Path;

use tokio::sync::{mpsc, oneshot, watch};

use crate::evidence::body::StoredBody;
use crate::evidence::{Body, Redacted};
use crate::incident::{Actor, Entry, Fact, Incident, IncidentId, Summary};
use crate::telemetry::Timestamp;

pub mod bundle;
pub mod chain;
mod commit;
mod copy;
pub mod postgres;
pub mod sqlite;
pub mod team;

/// What can go wrong with the store. Each message says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{0} is not in this store: `warroom incident list` shows what is")]
    NoSuchIncident(IncidentId),
    #[error("{incident} was deleted, its number is not given again: {note}")]
    Purged { incident: IncidentId, note: String },
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
    #[error("the store {path} can be read, but not written: {reason}; nothing was written")]
    ReadOnly { path: String, reason: String },
    /// The shared store cannot be reached or cannot write now; what was to be written is kept elsewhere by who can.
    #[error("the shared store {url} is out of reach: {reason}")]
    Away { url: String, reason: String },
    #[error("the shared store {url} refuses us: {reason}")]
    Rejected { url: String, reason: String },
    #[error("{0}")]
    Bundle(String),
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
    /// The writer's own name for it, by which a commit whose answer was lost is known again.
    pub uid: String,
}

impl NewEntry {
    /// With a new uid.
    pub fn new(at: Timestamp, recorded_at: Timestamp, actor: Actor, fact: Redacted<Fact>) -> Self {
        Self { at, recorded_at, actor, fact, uid: uuid::Uuid::now_v7().to_string() }
    }
}

/// Who, when, and the writer's own name of an entry.
#[derive(Clone, Copy, Debug)]
struct Stamp<'a> {
    at: Timestamp,
    recorded_at: Timestamp,
    actor: &'a Actor,
    uid: &'a str,
}

impl NewEntry {
    fn stamp(&self) -> Stamp<'_> {
        Stamp { at: self.at, recorded_at: self.recorded_at, actor: &self.actor, uid: &self.uid }
    }
}

/// An entry as stored: the text that is hashed, and the hash.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RawEntry {
    pub seq: u64,
    pub text: String,
    pub hash: String,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    pub incident: IncidentId,
    /// Entries that were written.
    pub added: usize,
    /// Entries that were there before.
    pub had: usize,
}

/// What is to be deleted for good.
#[derive(Clone, Debug)]
pub struct Purge {
    pub incidents: Vec<IncidentId>,
    /// Who, when and why; stays behind with the number.
    pub note: String,
}

/// How the store stands, for the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Entries that wait for the shared store.
    pub unsynced: u64,
    /// Why the shared store is out of reach, while it is.
    pub away: Option<String>,
    /// Why nothing can be written.
    pub read_only: Option<String>,
    /// Why something that waits could not be merged although the shared store is there.
    pub stuck: Option<String>,
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
    /// Incidents that were purged.
    pub purged: u64,
    pub broken: Vec<Broken>,
    /// What could not be checked.
    pub gaps: Vec<String>,
}

/// What every store does. All calls block; they run on the journal's own thread.
pub trait Store: Send {
    /// Opens a new incident with its first entries (the first must declare it). Gives the entries as stored.
    fn create(&mut self, append: Append) -> Result<Vec<Entry>, JournalError>;
    /// Appends after entry `expected`; E- and A-numbers are put in here. Evidence that is already there (the same source,
    /// query, window and digest) is not attached again: its entry is left out of the answer. Gives the stored entries and,
    /// for each evidence fact in order, the number that it has.
    fn append(&mut self, incident: IncidentId, expected: u64, append: Append) -> Result<Appended, JournalError>;
    /// Appends in turn: waits for everybody else's commit, gives `turn` the entries after `known`, and appends what it makes
    /// of them; nothing comes in between. For a writer that lost the race of [`Self::append`]. `None` from `turn`: nothing.
    fn append_in_turn(&mut self, incident: IncidentId, known: u64, turn: &mut Turn<'_>) -> Result<Appended, JournalError>;
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
    /// The entries of an incident as stored.
    fn raw(&mut self, incident: IncidentId) -> Result<Vec<RawEntry>, JournalError>;
    /// The JSON of a body as stored.
    fn raw_body(&mut self, digest: &str) -> Result<Option<String>, JournalError>;
    /// Takes entries in as they are, under their own number. What is there already must be their beginning, or they its;
    /// nothing is overwritten.
    fn import(&mut self, incident: IncidentId, entries: &[RawEntry], bodies: &[StoredBody]) -> Result<Import, JournalError>;
    /// Deletes incidents and the bodies that no other one uses.
    fn purge(&mut self, purge: &Purge) -> Result<(), JournalError>;
    /// What a purge left behind about an incident: when, by whom and why. `None`: it was not purged, or nobody knows.
    fn purged_note(&mut self, _incident: IncidentId) -> Result<Option<String>, JournalError> {
        Ok(None)
    }
    /// How it stands.
    fn status(&mut self) -> StoreStatus {
        StoreStatus::default()
    }
    /// Says that somebody is in an incident's room (`None`: left it); gives who else is, without doubles, by name. Stores
    /// that only one machine uses know nobody.
    fn presence(&mut self, _session: &str, _name: &str, _incident: Option<IncidentId>) -> Result<Vec<String>, JournalError> {
        Ok(Vec::new())
    }
    /// The number that an incident has now: a local one gives way to a real one.
    fn resolve(&mut self, incident: IncidentId) -> IncidentId {
        incident
    }
}

/// Which of `entries` are missing after `have`. Refuses a chain that is broken in itself, or that differs from what is there.
fn missing<'a>(incident: IncidentId, have: &[RawEntry], entries: &'a [RawEntry]) -> Result<&'a [RawEntry], JournalError> {
    let mut found = Verification::default();
    let (last_seq, last_hash) = entries.last().map_or((0, ""), |e| (e.seq, e.hash.as_str()));
    verify_chain(incident, entries, last_seq, last_hash, &mut found);
    if let Some(broken) = found.broken.first() {
        return Err(JournalError::Bundle(format!(
            "its chain is broken at entry {}: {}; nothing was imported",
            broken.seq, broken.what
        )));
    }
    for (mine, theirs) in have.iter().zip(entries) {
        if mine.hash != theirs.hash {
            return Err(JournalError::Bundle(format!(
                "this store has another {incident} (they differ from entry {} on): nothing was overwritten; import it into a store of its own with --store sqlite:PATH",
                mine.seq
            )));
        }
    }
    Ok(entries.get(have.len()..).unwrap_or(&[]))
}

/// What a look through a whole store gathers: what is wrong, and which evidence is spoken of.
#[derive(Default)]
struct Inspection {
    result: Verification,
    /// Digests that entries name, with one of those entries.
    named: std::collections::BTreeMap<String, (IncidentId, u64)>,
    found: std::collections::BTreeSet<String>,
}

impl Inspection {
    /// Looks at one incident: its chain, and whether the row in the list tells what the entries do.
    fn incident(&mut self, incident: IncidentId, raw: &[RawEntry], row: (u64, &str, &str)) {
        let (last_seq, last_hash, head) = row;
        self.result.incidents += 1;
        let before = self.result.broken.len();
        verify_chain(incident, raw, last_seq, last_hash, &mut self.result);
        let Ok(entries) = chain::read_all(incident, raw) else { return };
        for e in &entries {
            self.named.extend(e.fact.body().map(|digest| (digest.to_owned(), (incident, e.seq))));
        }
        if self.result.broken.len() > before {
            return;
        }
        // Only what every version wrote into the row.
        let told = |h: &Summary| (h.title.clone(), h.severity, h.status);
        let listed = serde_json::from_str::<Summary>(head).ok();
        if listed.as_ref().map(told) != Incident::fold(entries).map(|i| told(&i.head)) {
            let what = "the list of incidents tells another title, severity or status than the entries do".to_owned();
            self.result.broken.push(Broken { incident: incident.to_string(), seq: last_seq, what });
        }
    }

    /// Entries of an incident that the list does not have.
    fn orphan(&mut self, incident: IncidentId) {
        let what = "its entries are there, its row in the list of incidents is not".to_owned();
        self.result.broken.push(Broken { incident: incident.to_string(), seq: 1, what });
    }

    /// An incident that was there once, and was not purged.
    fn vanished(&mut self, incident: IncidentId) {
        let what = "it was declared or imported here, and is gone with all of its entries; it was not purged".to_owned();
        self.result.broken.push(Broken { incident: incident.to_string(), seq: 0, what });
    }

    /// Looks at one body, as it was read.
    fn body(&mut self, wanted: String, read: Result<Option<String>, JournalError>) {
        self.result.bodies += 1;
        let what = match read {
            Ok(Some(json)) if crate::evidence::body::digest(json.as_bytes()) == wanted => None,
            Ok(_) => Some("the evidence body does not match its digest".to_owned()),
            Err(e) => Some(format!("the evidence body cannot be read: {e}")),
        };
        if let Some(what) = what {
            self.result.broken.push(Broken { incident: "evidence".to_owned(), seq: 0, what: format!("{wanted}: {what}") });
        }
        self.found.insert(wanted);
    }

    fn end(mut self, purged: u64) -> Verification {
        for (digest, (incident, seq)) in &self.named {
            if !self.found.contains(digest) {
                let what = format!("the evidence body {digest} that it names is not in the store");
                self.result.broken.push(Broken { incident: incident.to_string(), seq: *seq, what });
            }
        }
        self.result.purged = purged;
        self.result
    }
}

/// Checks a chain from its first entry to the last one that should be there; what is wrong is added to `result`.
fn verify_chain(incident: IncidentId, raw: &[RawEntry], last_seq: u64, last_hash: &str, result: &mut Verification) {
    let (mut expected, mut prev) = (1_u64, "");
    let mut broken = |seq, what: String| result.broken.push(Broken { incident: incident.to_string(), seq, what });
    for r in raw {
        if r.seq != expected {
            broken(expected, format!("entries {expected} to {} are missing", r.seq.saturating_sub(1)));
        } else if let Err(what) = chain::check(&r.text, &r.hash, incident, r.seq, prev) {
            broken(r.seq, what);
        }
        expected = r.seq.saturating_add(1);
        prev = &r.hash;
    }
    if expected != last_seq.saturating_add(1) || prev != last_hash {
        broken(expected, format!("the chain ends before entry {last_seq}, the last one that was written"));
    }
    result.entries += u64::try_from(raw.len()).unwrap_or(0);
}

/// The row of a folded incident.
fn row_of(incident: &Incident) -> commit::Row {
    use crate::incident::Fact;
    let next_action = incident.entries.iter().filter(|e| matches!(e.fact, Fact::ActionAdded { .. })).count() + 1;
    commit::Row {
        head: incident.head.clone(),
        last_seq: incident.head.last_seq,
        last_hash: incident.entries.last().map(|e| e.hash.clone()).unwrap_or_default(),
        next_evidence: incident.evidence.iter().map(|e| e.id.0).max().unwrap_or(0).saturating_add(1),
        next_action: u32::try_from(next_action).unwrap_or(u32::MAX),
    }
}

fn pack_body(json: &str) -> Result<Vec<u8>, JournalError> {
    zstd::bulk::compress(json.as_bytes(), 3).map_err(|e| JournalError::Io { doing: "written", reason: e.to_string() })
}

fn unpack_body(packed: &[u8]) -> Result<String, JournalError> {
    let bytes = zstd::stream::decode_all(packed).map_err(|e| JournalError::Io { doing: "read", reason: e.to_string() })?;
    String::from_utf8(bytes).map_err(|e| JournalError::Io { doing: "read", reason: e.to_string() })
}

/// What makes an append of the entries that came meanwhile.
pub type Turn<'a> = dyn FnMut(Vec<Entry>) -> Option<Append> + 'a;

/// How long a lock is held for who has the turn: making a fact takes microseconds.
const TURN: std::time::Duration = std::time::Duration::from_secs(2);

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
    listener: Option<team::Listener>,
}

/// Where a store is.
#[derive(Clone, Debug)]
pub struct StoreAt {
    /// `sqlite:PATH`, `postgres://…` or `bundle:FILE`.
    pub url: String,
    /// The password of a shared store, when it is not in the URL.
    pub password: Option<secrecy::SecretString>,
    /// The folder in which copies of shared stores are kept.
    pub copies: std::path::PathBuf,
}

impl StoreAt {
    /// A store on this machine.
    pub fn local(url: impl Into<String>) -> Self {
        Self { url: url.into(), password: None, copies: std::path::PathBuf::new() }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Requests that may wait for the store at once; a sender beyond waits for a place.
const QUEUE: usize = 256;

impl Journal {
    /// Opens the store that a URL names: `sqlite:PATH`, `sqlite:///PATH` or a plain path (created, file mode 0600, when it is
    /// not there), `postgres://…` for a team's, `bundle:FILE` for one incident in a file. A team's store is not waited for.
    pub fn open(at: &StoreAt) -> Result<Self, JournalError> {
        let url = at.url.as_str();
        if postgres::is_postgres(url) {
            let store = team::TeamStore::open(url, at.password.as_ref(), &at.copies)?;
            let (shown, listener) = (store.shown().to_owned(), store.listener());
            let mut journal = Self::over(Box::new(store), shown);
            journal.listener = Some(listener);
            return Ok(journal);
        }
        if let Some(path) = url.strip_prefix("bundle:") {
            return Ok(Self::over(Box::new(bundle::open(Path::new(path))?), url.to_owned()));
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
        Self { jobs, url, listener: None }
    }

    /// Starts listening to a shared store: the value changes whenever somebody wrote. `None` for stores that do not tell.
    pub fn listen(&self) -> Option<watch::Receiver<u64>> {
        self.listener.as_ref().map(|start| start())
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

    /// See [`Store::append_in_turn`]. `make` runs here, while the store waits for it.
    pub async fn append_in_turn(
        &self,
        incident: IncidentId,
        known: u64,
        make: impl FnOnce(Vec<Entry>) -> Option<Append>,
    ) -> Result<Appended, JournalError> {
        let (ask, asked) = oneshot::channel::<Vec<Entry>>();
        let (reply, replied) = std::sync::mpsc::sync_channel::<Option<Append>>(1);
        let mut ask = Some(ask);
        let written = self.ask(move |s| {
            s.append_in_turn(incident, known, &mut |entries| {
                ask.take()?.send(entries).ok()?;
                // Who has the turn and is gone appends nothing.
                replied.recv_timeout(TURN).ok().flatten()
            })
        });
        let made = async {
            if let Ok(entries) = asked.await {
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

    /// An incident, folded.
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

    /// One incident with everything that belongs to it, as a bundle.
    pub async fn export_bundle(&self, incident: IncidentId) -> Result<Vec<u8>, JournalError> {
        self.ask(move |s| bundle::write(s, incident)).await
    }

    /// Takes a bundle in.
    pub async fn import_bundle(&self, bundle: bundle::Bundle) -> Result<Import, JournalError> {
        self.ask(move |s| s.import(bundle.incident, &bundle.entries, &bundle.bodies)).await
    }
}
