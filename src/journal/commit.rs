//! The steps of a commit that are the same for every store: assigns E- and A-numbers, skips evidence that already exists,
//! links entries into the chain, and updates the incident's row. The store provides the tables ([`Ledger`]) and the
//! transaction.

use super::{JournalError, Stamp, chain};
use crate::evidence::body::digest;
use crate::incident::{ActionId, Entry, EvidenceId, EvidenceRecord, Fact, Incident, IncidentId, Summary};

/// The tables of a store, within a transaction.
pub(super) trait Ledger {
    /// The number of the evidence with this identity (see [`identity`]); `None` if there is none.
    fn evidence(&mut self, incident: IncidentId, identity: &str) -> Result<Option<u32>, JournalError>;
    fn put_evidence(&mut self, incident: IncidentId, identity: &str, number: u32) -> Result<(), JournalError>;
    fn put_entry(&mut self, entry: &Entry, uid: &str, text: &str) -> Result<(), JournalError>;
    /// All entries of an incident, including those of this transaction.
    fn entries(&mut self, incident: IncidentId) -> Result<Vec<Entry>, JournalError>;
}

/// The row of an incident in the list.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) head: Summary,
    pub(super) last_seq: u64,
    pub(super) last_hash: String,
    pub(super) next_evidence: u32,
    pub(super) next_action: u32,
}

/// Converts a JSON error. `doing` completes "cannot … the store".
pub(super) fn json(doing: &'static str) -> impl Fn(serde_json::Error) -> JournalError {
    move |e| JournalError::io(doing, e)
}

/// The identity of evidence: a hash of its source, query, window and digest.
pub(super) fn identity(evidence: &EvidenceRecord) -> String {
    digest(
        format!(
            "{}\0{}\0{}\0{}\0{}",
            evidence.source,
            evidence.query,
            evidence.window.start.micros(),
            evidence.window.end.micros(),
            evidence.digest
        )
        .as_bytes(),
    )
}

/// Writes the first entry of a new incident. It must declare the incident.
pub(super) fn first(
    ledger: &mut dyn Ledger,
    incident: IncidentId,
    new: Stamp<'_>,
    fact: Fact,
) -> Result<(Row, Entry), JournalError> {
    let (entry, text) = chain::link(incident, 1, new, fact, "").map_err(json("write to"))?;
    let head = Summary::from_declaration(&entry)
        .ok_or_else(|| JournalError::io("write to", "the first fact of an incident must declare it"))?;
    ledger.put_entry(&entry, new.uid, &text)?;
    Ok((Row { head, last_seq: 1, last_hash: entry.hash.clone(), next_evidence: 1, next_action: 1 }, entry))
}

/// Writes the next entry. `None` if its evidence already exists. The number of the evidence is added to `assigned` in both
/// cases.
pub(super) fn next(
    ledger: &mut dyn Ledger,
    row: &mut Row,
    new: Stamp<'_>,
    mut fact: Fact,
    assigned: &mut Vec<EvidenceId>,
) -> Result<Option<Entry>, JournalError> {
    let incident = row.head.id;
    match &mut fact {
        Fact::EvidenceAttached { evidence } => {
            let identity = identity(evidence);
            if let Some(existing) = ledger.evidence(incident, &identity)? {
                assigned.push(EvidenceId(existing));
                return Ok(None);
            }
            evidence.id = EvidenceId(row.next_evidence);
            row.next_evidence += 1;
            assigned.push(evidence.id);
            ledger.put_evidence(incident, &identity, evidence.id.0)?;
        }
        Fact::ActionAdded { id, .. } => {
            *id = ActionId(row.next_action);
            row.next_action += 1;
        }
        _ => {}
    }
    let seq = row.last_seq + 1;
    let (entry, text) = chain::link(incident, seq, new, fact, &row.last_hash).map_err(json("write to"))?;
    ledger.put_entry(&entry, new.uid, &text)?;
    row.last_seq = seq;
    row.last_hash.clone_from(&entry.hash);
    if matches!(entry.fact, Fact::Undone { .. }) {
        // Only folding all entries again removes an undone change from the row.
        if let Some(folded) = Incident::fold(ledger.entries(incident)?) {
            row.head = folded.head;
        }
    } else {
        row.head.apply(&entry);
    }
    Ok(Some(entry))
}
