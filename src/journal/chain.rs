//! The hash chain: how an entry becomes the text that is stored and hashed, and back.
//!
//! The stored text is the JSON of everything but the hash, `prev` included, with times in microseconds; the hash is
//! SHA-256 over exactly these bytes. A store therefore never has to write JSON twice the same way.

use serde::{Deserialize, Serialize};

use crate::evidence::body::digest;
use crate::incident::{Actor, Entry, Fact, IncidentId};
use crate::telemetry::Timestamp;

#[derive(Serialize, Deserialize)]
struct Stored {
    incident: IncidentId,
    seq: u64,
    at: Timestamp,
    recorded_at: Timestamp,
    actor: Actor,
    fact: Fact,
    prev: String,
}

/// Links a new entry to `prev`; gives it with its hash, and the text to store.
pub(super) fn link(
    incident: IncidentId,
    seq: u64,
    new: super::Stamp<'_>,
    fact: Fact,
    prev: &str,
) -> Result<(Entry, String), serde_json::Error> {
    let stored =
        Stored { incident, seq, at: new.at, recorded_at: new.recorded_at, actor: new.actor.clone(), fact, prev: prev.to_owned() };
    let text = serde_json::to_string(&stored)?;
    let hash = digest(text.as_bytes());
    Ok((entry(stored, hash), text))
}

/// Reads a stored text. The hash is not checked here (see [`check`]).
pub fn read(text: &str, hash: &str) -> Result<Entry, serde_json::Error> {
    serde_json::from_str(text).map(|stored| entry(stored, hash.to_owned()))
}

fn entry(stored: Stored, hash: String) -> Entry {
    Entry {
        incident: stored.incident,
        seq: stored.seq,
        at: stored.at,
        recorded_at: stored.recorded_at,
        actor: stored.actor,
        fact: stored.fact,
        prev: stored.prev,
        hash,
    }
}

/// Below this many entries one thread reads them faster than two.
const PARALLEL: usize = 4_000;

/// Reads stored entries, on two threads when there are many. The hashes are not checked here.
pub fn read_all(incident: IncidentId, raw: &[super::RawEntry]) -> Result<Vec<Entry>, super::JournalError> {
    let part = |raw: &[super::RawEntry]| -> Result<Vec<Entry>, super::JournalError> {
        raw.iter()
            .map(|r| {
                read(&r.text, &r.hash).map_err(|e| super::JournalError::Damaged { incident, seq: r.seq, reason: e.to_string() })
            })
            .collect()
    };
    if raw.len() < PARALLEL {
        return part(raw);
    }
    let (first, second) = raw.split_at(raw.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| part(second));
        let mut all = part(first)?;
        // A parser that panics would be a fault of ours; it is told as damage, not passed on.
        let rest = other.join().unwrap_or_else(|_panic| {
            Err(super::JournalError::Damaged { incident, seq: 0, reason: "reading it failed".to_owned() })
        })?;
        all.extend(rest);
        Ok(all)
    })
}

/// Why a stored entry does not continue the chain, if it does not.
pub fn check(text: &str, hash: &str, incident: IncidentId, seq: u64, prev: &str) -> Result<(), String> {
    if digest(text.as_bytes()) != hash {
        return Err("the text does not match its hash: it was changed after it was written".to_owned());
    }
    let entry = read(text, hash).map_err(|e| format!("the text cannot be read: {e}"))?;
    if entry.incident != incident || entry.seq != seq {
        return Err(format!("it says that it is entry {} of {}", entry.seq, entry.incident));
    }
    if entry.prev != prev {
        return Err("it does not follow the entry before it: one was removed, added or replaced".to_owned());
    }
    Ok(())
}
