//! What happens inside a commit, the same for every store: E- and A-numbers are assigned, evidence that is there already is not
//! written again, entries are linked into the chain, and the incident's row is updated. The store provides the tables ([`Ledger`])
//! and the transaction around them.

use super::{JournalError, Stamp, chain};
use crate::evidence::body::digest;
use crate::incident::{ActionId, Entry, EvidenceId, EvidenceRecord, Fact, Incident, IncidentId, Summary};

/// The tables of a store, within a transaction.
pub(super) trait Ledger {
    /// The number of the evidence with this identity.
    fn evidence(&mut self, incident: IncidentId, identity: &str) -> Result<Option<u32>, JournalError>;
    fn put_evidence(&mut self, incident: IncidentId, identity: &str, number: u32) -> Result<(), JournalError>;
    fn put_entry(&mut self, entry: &Entry, uid: &str, text: &str) -> Result<(), JournalError>;
    /// All entries of an incident, those of this transaction included.
    fn entries(&mut self, incident: IncidentId) -> Result<Vec<Entry>, JournalError>;
}

/// The row of an incident.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) head: Summary,
    pub(super) last_seq: u64,
    pub(super) last_hash: String,
    pub(super) next_evidence: u32,
    pub(super) next_action: u32,
}

pub(super) fn json(doing: &'static str) -> impl Fn(serde_json::Error) -> JournalError {
    move |e| JournalError::io(doing, e)
}

/// What identifies evidence: its source, query, window and digest, hashed.
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

/// The first entry of a new incident, which must declare it.
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

/// Writes the next entry. `None` when its evidence is there already; `given` receives the evidence number in both cases.
pub(super) fn next(
    ledger: &mut dyn Ledger,
    row: &mut Row,
    new: Stamp<'_>,
    mut fact: Fact,
    given: &mut Vec<EvidenceId>,
) -> Result<Option<Entry>, JournalError> {
    let incident = row.head.id;
    match &mut fact {
        Fact::EvidenceAttached { evidence } => {
            let identity = identity(evidence);
            if let Some(known) = ledger.evidence(incident, &identity)? {
                given.push(EvidenceId(known));
                return Ok(None);
            }
            evidence.id = EvidenceId(row.next_evidence);
            row.next_evidence += 1;
            given.push(evidence.id);
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
        // Folding again is the only way to remove an undone change from the row.
        if let Some(folded) = Incident::fold(ledger.entries(incident)?) {
            row.head = folded.head;
        }
    } else {
        row.head.apply(&entry);
    }
    Ok(Some(entry))
}
