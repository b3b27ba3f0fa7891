//! The checks of `warroom verify`: broken chains, a list of incidents that disagrees with the entries, and missing or
//! changed evidence.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broken, JournalError, RawEntry, Verification, chain};
use crate::evidence::body::digest;
use crate::incident::{Incident, IncidentId, Summary};
use crate::telemetry::Explain;

/// A check of a whole store. The store passes in its rows; [`Self::finish`] returns the result.
#[derive(Default)]
pub(super) struct Inspection {
    result: Verification,
    /// The digests that entries refer to, each with the last of those entries.
    referenced: BTreeMap<String, (IncidentId, u64)>,
    /// The digests of the bodies in the store.
    found: BTreeSet<String>,
}

impl Inspection {
    fn broken(&mut self, incident: impl ToString, seq: u64, what: impl Into<String>) {
        self.result.broken.push(Broken { incident: incident.to_string(), seq, what: what.into() });
    }

    /// Checks an incident: its chain, and that its row in the list agrees with the entries. `row` is the last sequence
    /// number, the last hash and the summary as JSON.
    pub(super) fn incident(&mut self, incident: IncidentId, raw: &[RawEntry], row: (u64, &str, &str)) {
        let (last_seq, last_hash, head) = row;
        self.result.incidents += 1;
        let before = self.result.broken.len();
        verify_chain(incident, raw, last_seq, last_hash, &mut self.result);
        let Ok(entries) = chain::read_all(incident, raw) else { return };
        for e in &entries {
            self.referenced.extend(e.fact.body_digest().map(|digest| (digest.to_owned(), (incident, e.seq))));
        }
        if self.result.broken.len() > before {
            return;
        }
        // Compare only the fields that all versions have written into the row.
        let essentials = |h: &Summary| (h.title.clone(), h.severity, h.status);
        let listed = serde_json::from_str::<Summary>(head).ok();
        if listed.as_ref().map(essentials) != Incident::fold(entries).map(|i| essentials(&i.head)) {
            self.broken(incident, last_seq, "the list of incidents has a different title, severity or status than the entries");
        }
    }

    /// Records an incident that has entries but is missing from the list.
    pub(super) fn orphan(&mut self, incident: IncidentId) {
        self.broken(incident, 1, "it has entries, but its row in the list of incidents is missing");
    }

    /// Records an incident that has disappeared without having been purged.
    pub(super) fn vanished(&mut self, incident: IncidentId) {
        self.broken(incident, 0, "it was declared or imported here, but all its entries are missing and it was not purged");
    }

    /// Checks one evidence body against its digest.
    pub(super) fn body(&mut self, stored_digest: String, read: Result<Option<String>, JournalError>) {
        self.result.bodies += 1;
        let what = match read {
            Ok(Some(json)) if digest(json.as_bytes()) == stored_digest => None,
            Ok(_) => Some("the evidence body does not match its digest".to_owned()),
            Err(e) => Some(format!("the evidence body cannot be read: {}", e.failure())),
        };
        if let Some(what) = what {
            self.broken("evidence", 0, format!("{stored_digest}: {what}"));
        }
        self.found.insert(stored_digest);
    }

    /// Completes the check and returns its result. `purged` is the number of purged incidents.
    pub(super) fn finish(mut self, purged: u64) -> Verification {
        for (digest, (incident, seq)) in std::mem::take(&mut self.referenced) {
            if !self.found.contains(&digest) {
                self.broken(incident, seq, format!("the evidence body {digest} that it refers to is not in the store"));
            }
        }
        self.result.purged = purged;
        self.result
    }
}

/// Checks a chain from its first entry to the last one written, and adds what is broken to `result`.
pub(super) fn verify_chain(incident: IncidentId, raw: &[RawEntry], last_seq: u64, last_hash: &str, result: &mut Verification) {
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
        broken(expected, format!("the chain ends before entry {last_seq}, the last one written"));
    }
    result.entries += u64::try_from(raw.len()).unwrap_or(0);
}
