//! The append-only store of facts and evidence bodies.
//!
//! [`Store`] is what every store does; [`sqlite`] is the embedded one, [`team`] the shared one. [`Journal`] owns a store on a thread
//! of its own. An append that was acknowledged survives `kill -9` and power loss.

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

/// A fact to append, with who and when. `at` may be earlier than `recorded_at`.
#[derive(Clone, Debug)]
pub struct NewEntry {
    pub at: Timestamp,
    pub recorded_at: Timestamp,
    pub actor: Actor,
    pub fact: Redacted<Fact>,
    /// A unique id given by the writer; it identifies the entry when the answer to a commit is lost.
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

/// Who wrote an entry, when, and its uid.
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
    /// Entries that were written.
    pub added: usize,
    /// Entries that were there already.
    pub had: usize,
}

/// Incidents to delete for good.
#[derive(Clone, Debug)]
pub struct Purge {
    pub incidents: Vec<IncidentId>,
    /// Who, when and why; kept with the number.
    pub note: String,
}

/// The state of the store, for the header and for `doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Entries that wait to be merged into the shared store.
    pub unsynced: u64,
    /// Why the shared store is unreachable, while it is.
    pub away: Option<String>,
    /// Why nothing can be written.
    pub read_only: Option<String>,
    /// Why waiting entries cannot be merged although the shared store answers.
    pub stuck: Option<String>,
    /// What happened to this machine's copy since the program started, such as a damaged file that was set aside.
    pub notices: Vec<String>,
}

/// Facts to append in one commit, with the evidence bodies that they attach.
#[derive(Clone, Debug, Default)]
pub struct Append {
    pub entries: Vec<NewEntry>,
    pub bodies: Vec<StoredBody>,
}

/// A broken place in a chain.
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
    /// Incidents that were purged.
    pub purged: u64,
    pub broken: Vec<Broken>,
    /// What could not be checked.
    pub gaps: Vec<String>,
}

/// Makes an append from the entries that other writers added in the meantime; `None` appends nothing.
pub type Turn<'a> = dyn FnMut(Vec<Entry>) -> Option<Append> + 'a;

/// The result of an append.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appended {
    pub entries: Vec<Entry>,
    /// The number of each evidence fact of the append, in order, whether new or already there.
    pub evidence: Vec<EvidenceId>,
}

/// What every store does. All calls block; they run on the journal's own thread.
pub trait Store: Send {
    /// Opens a new incident with its first entries, the first of which must declare it. Gives the entries as stored.
    fn create(&mut self, append: Append) -> Result<Vec<Entry>, JournalError>;
    /// Appends after entry `expected` and assigns E- and A-numbers. Evidence that is already there (same source, query, window and
    /// digest) is not attached again: its entry is left out of the answer.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] when `expected` is not the last entry.
    fn append(&mut self, incident: IncidentId, expected: u64, append: Append) -> Result<Appended, JournalError>;
    /// Appends under the lock: waits for other writers to finish, gives `turn` the entries after `known`, and appends what it makes of
    /// them. For a writer that lost the race of [`Self::append`].
    fn append_in_turn(&mut self, incident: IncidentId, known: u64, turn: &mut Turn<'_>) -> Result<Appended, JournalError>;
    /// All entries after `after`, in order; empty when there are none.
    fn entries(&mut self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError>;
    /// The summaries of all incidents, newest first.
    fn list(&mut self) -> Result<Vec<Summary>, JournalError>;
    /// A body by its digest; `None` when this store does not have it.
    fn body(&mut self, digest: &str) -> Result<Option<Body>, JournalError>;
    /// Checks every chain and every digest.
    fn verify(&mut self) -> Result<Verification, JournalError>;
    /// A number that changes when another process writes.
    fn version(&mut self) -> Result<i64, JournalError>;
    /// The entries of an incident as stored.
    fn raw(&mut self, incident: IncidentId) -> Result<Vec<RawEntry>, JournalError>;
    /// The JSON of a body as stored.
    fn raw_body(&mut self, digest: &str) -> Result<Option<String>, JournalError>;
    /// Imports entries unchanged, under their own number. What is there already must be a prefix of them, or they of it; nothing is
    /// overwritten.
    fn import(&mut self, incident: IncidentId, entries: &[RawEntry], bodies: &[StoredBody]) -> Result<Import, JournalError>;
    /// Deletes incidents, and the bodies that no other incident uses.
    fn purge(&mut self, purge: &Purge) -> Result<(), JournalError>;
    /// What a purge recorded about an incident: when, by whom and why. `None` when it was not purged, or this is unknown.
    fn purged_note(&mut self, _incident: IncidentId) -> Result<Option<String>, JournalError> {
        Ok(None)
    }
    /// The state of the store.
    fn status(&mut self) -> StoreStatus {
        StoreStatus::default()
    }
    /// Records that someone has an incident's room open (`None`: left it), and gives the names of the others who have, each once.
    /// Empty in stores that only one machine uses.
    fn presence(&mut self, _session: &str, _name: &str, _incident: Option<IncidentId>) -> Result<Vec<String>, JournalError> {
        Ok(Vec::new())
    }
    /// The number that an incident has now: a local number is replaced by the real one after the merge.
    fn resolve(&mut self, incident: IncidentId) -> IncidentId {
        incident
    }
}

/// The part of `entries` that comes after `have`.
///
/// # Errors
/// When the chain is broken in itself, or differs from what is there.
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
                "cannot import {incident}: this store has another {incident}, which differs from entry {} on. Nothing was overwritten",
                mine.seq
            );
            let remedy = "Import it into a store of its own with --store sqlite:PATH.";
            return Err(JournalError::Bundle(Failure::new(message).advise(remedy)));
        }
    }
    Ok(entries.get(have.len()..).unwrap_or(&[]))
}

/// The row of a folded incident.
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
