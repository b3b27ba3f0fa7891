//! The append-only store of facts and evidence bodies.
//!
//! [`Store`] is the interface of all stores: [`sqlite`] is the embedded store, [`team`] the shared one. [`Journal`] runs a
//! store on its own thread. An acknowledged append survives `kill -9` and power loss.

use crate::evidence::body::StoredBody;
use crate::evidence::{Body, Redacted};
use crate::incident::{Actor, Entry, EvidenceId, Fact, Incident, IncidentId, Summary};
use crate::telemetry::{Failure, Timestamp};

pub mod bundle;
pub mod chain;
mod commit;
mod copy;
mod error;
mod handle;
mod inspection;
pub mod postgres;
pub mod sqlite;
pub mod team;

pub use error::JournalError;
pub use handle::{Journal, StoreAt};

/// A fact to append, with its actor and its times. `at` may be earlier than `recorded_at`.
#[derive(Clone, Debug)]
pub struct NewEntry {
    pub at: Timestamp,
    pub recorded_at: Timestamp,
    pub actor: Actor,
    pub fact: Redacted<Fact>,
    /// A unique id chosen by the writer. Identifies the entry if the answer to a commit is lost.
    pub uid: String,
}

impl NewEntry {
    /// An entry with a new uid.
    pub fn new(at: Timestamp, recorded_at: Timestamp, actor: Actor, fact: Redacted<Fact>) -> Self {
        Self { at, recorded_at, actor, fact, uid: uuid::Uuid::now_v7().to_string() }
    }

    fn stamp(&self) -> Stamp<'_> {
        Stamp { at: self.at, recorded_at: self.recorded_at, actor: &self.actor, uid: &self.uid }
    }
}

/// The actor, the times and the uid of an entry.
#[derive(Clone, Copy, Debug)]
struct Stamp<'a> {
    at: Timestamp,
    recorded_at: Timestamp,
    actor: &'a Actor,
    uid: &'a str,
}

/// An entry as stored: the text that is hashed, and the hash.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RawEntry {
    pub seq: u64,
    pub text: String,
    pub hash: String,
}

/// The result of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    pub incident: IncidentId,
    /// The number of entries that were added.
    pub added: usize,
    /// The number of entries that already existed.
    pub already_present: usize,
}

/// Incidents to delete permanently.
#[derive(Clone, Debug)]
pub struct Purge {
    pub incidents: Vec<IncidentId>,
    /// Who purged them, when and why. Kept with the number of each incident.
    pub note: String,
}

/// The state of the store, for the header and for `doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// The number of entries that are waiting to be merged into the shared store.
    pub unsynced: u64,
    /// Why the shared store is unreachable; `None` if it answers.
    pub unreachable: Option<String>,
    /// Why the store is read-only; `None` if it is writable.
    pub read_only: Option<String>,
    /// Why waiting entries cannot be merged although the shared store answers; `None` if they can.
    pub merge_failure: Option<String>,
    /// A notice about this machine's copy since the program started, such as a damaged file that was set aside.
    pub notices: Vec<String>,
}

/// Facts to append in one commit, with the evidence bodies that they refer to.
#[derive(Clone, Debug, Default)]
pub struct Append {
    pub entries: Vec<NewEntry>,
    pub bodies: Vec<StoredBody>,
}

/// A place where an incident's chain or an evidence body is broken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Broken {
    pub incident: String,
    pub seq: u64,
    pub what: String,
}

/// The result of `warroom verify`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    pub incidents: u64,
    pub entries: u64,
    pub bodies: u64,
    /// The number of purged incidents.
    pub purged: u64,
    pub broken: Vec<Broken>,
    /// Data that could not be checked.
    pub gaps: Vec<String>,
}

/// Builds an append from the entries that other writers added in the meantime. `None` appends nothing.
pub type Turn<'a> = dyn FnMut(Vec<Entry>) -> Option<Append> + 'a;

/// The result of an append.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appended {
    pub entries: Vec<Entry>,
    /// The number of each evidence fact of the append, in order, whether it is new or already existed.
    pub evidence: Vec<EvidenceId>,
}

/// The interface of all stores. All calls block; they run on the journal's own thread.
pub trait Store: Send {
    /// Creates an incident with its first entries, of which the first must declare it. Returns the entries as stored.
    fn create(&mut self, append: Append) -> Result<Vec<Entry>, JournalError>;
    /// Appends after entry `expected` and assigns E- and A-numbers. Evidence that already exists (same source, query, window
    /// and digest) is not attached again, and its entry is left out of the result.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] if `expected` is not the last entry.
    fn append(&mut self, incident: IncidentId, expected: u64, append: Append) -> Result<Appended, JournalError>;
    /// Appends while holding the lock: waits for other writers, passes the entries after `known` to `turn`, and appends what
    /// it returns. For a writer whose [`Self::append`] ended in a conflict.
    fn append_in_turn(&mut self, incident: IncidentId, known: u64, turn: &mut Turn<'_>) -> Result<Appended, JournalError>;
    /// All entries after number `after`, in order; empty if there are none.
    fn entries(&mut self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError>;
    /// The summaries of all incidents, newest first.
    fn list(&mut self) -> Result<Vec<Summary>, JournalError>;
    /// An evidence body by its digest; `None` if this store does not have it.
    fn body(&mut self, digest: &str) -> Result<Option<Body>, JournalError>;
    /// Checks every chain and every digest.
    fn verify(&mut self) -> Result<Verification, JournalError>;
    /// A number that changes with every write, by this process or another one.
    fn version(&mut self) -> Result<i64, JournalError>;
    /// The entries of an incident as stored.
    fn raw(&mut self, incident: IncidentId) -> Result<Vec<RawEntry>, JournalError>;
    /// The JSON of an evidence body as stored.
    fn raw_body(&mut self, digest: &str) -> Result<Option<String>, JournalError>;
    /// Imports entries unchanged, under the incident's own number. The existing entries must be a prefix of the imported
    /// ones, or the other way round. Nothing is overwritten.
    fn import(&mut self, incident: IncidentId, entries: &[RawEntry], bodies: &[StoredBody]) -> Result<Import, JournalError>;
    /// Deletes incidents, and the evidence bodies that no other incident uses.
    fn purge(&mut self, purge: &Purge) -> Result<(), JournalError>;
    /// The note that a purge left for an incident: when, why, and who purged it. `None` if it was not purged, or if that is not
    /// known.
    fn purged_note(&mut self, _incident: IncidentId) -> Result<Option<String>, JournalError> {
        Ok(None)
    }
    /// The state of the store.
    fn status(&mut self) -> StoreStatus {
        StoreStatus::default()
    }
    /// Records that someone has an incident's room open (`None`: has left it). Returns the distinct names of the others who
    /// have it open; empty for stores that only one machine uses.
    fn presence(&mut self, _session: &str, _name: &str, _incident: Option<IncidentId>) -> Result<Vec<String>, JournalError> {
        Ok(Vec::new())
    }
    /// The current number of an incident: a local number is replaced by the final one when the incident is merged.
    fn resolve(&mut self, incident: IncidentId) -> IncidentId {
        incident
    }
}

/// The part of `entries` that comes after the existing entries `have`.
///
/// # Errors
/// If the chain of `entries` is broken, or differs from `have`.
fn missing<'a>(incident: IncidentId, have: &[RawEntry], entries: &'a [RawEntry]) -> Result<&'a [RawEntry], JournalError> {
    let mut found = Verification::default();
    let (last_seq, last_hash) = entries.last().map_or((0, ""), |e| (e.seq, e.hash.as_str()));
    inspection::verify_chain(incident, entries, last_seq, last_hash, &mut found);
    if let Some(broken) = found.broken.first() {
        let message = format!("cannot import {incident}: its chain is broken at entry {}: {}", broken.seq, broken.what);
        return Err(JournalError::Bundle(Failure::new(message).advise("Export it again. Nothing was imported.")));
    }
    for (mine, theirs) in have.iter().zip(entries) {
        if mine.hash != theirs.hash {
            let message = format!(
                "cannot import {incident}: this store has a different {incident}, which differs from entry {} on. Nothing was overwritten",
                mine.seq
            );
            let remedy = "Import it into a separate store with --store sqlite:PATH.";
            return Err(JournalError::Bundle(Failure::new(message).advise(remedy)));
        }
    }
    Ok(entries.get(have.len()..).unwrap_or(&[]))
}

/// The row of an incident in the list.
fn row_of(incident: &Incident) -> commit::Row {
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
    zstd::bulk::compress(json.as_bytes(), 3).map_err(|e| JournalError::io("write to", e))
}

fn unpack_body(packed: &[u8]) -> Result<String, JournalError> {
    let bytes = zstd::stream::decode_all(packed).map_err(|e| JournalError::io("read", e))?;
    String::from_utf8(bytes).map_err(|e| JournalError::io("read", e))
}
