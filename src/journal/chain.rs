//! The hash chain: converts an entry to the text that is stored and hashed, and back.
//!
//! The stored text is the JSON of all fields except the hash, including `prev`, with times in microseconds. The hash is
//! SHA-256 over exactly these bytes, so that verification never has to reproduce the same JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::evidence::body::digest;
use crate::incident::{Actor, Entry, Fact, IncidentId, NoteKind};
use crate::telemetry::Timestamp;

#[derive(Serialize)]
struct Stored {
    incident: IncidentId,
    seq: u64,
    at: Timestamp,
    recorded_at: Timestamp,
    actor: Actor,
    fact: Fact,
    prev: String,
}

/// Links a new entry to the hash `prev` of its predecessor. Returns the entry with its hash, and the text to store.
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
    let Stored { incident, seq, at, recorded_at, actor, fact, .. } = stored;
    Ok((Entry { incident, seq, at, recorded_at, actor, fact, hash }, text))
}

/// The fields that are read from a stored text. The fact stays text, so that notes can be parsed on a faster path.
#[derive(Deserialize)]
struct Read<'a> {
    incident: IncidentId,
    seq: u64,
    at: Timestamp,
    recorded_at: Timestamp,
    actor: Actor,
    #[serde(borrow)]
    fact: &'a RawValue,
}

#[derive(Deserialize)]
struct Note {
    text: String,
    note_kind: NoteKind,
}

/// Parses a stored text. Does not check the hash (see [`check`]).
pub fn read(text: &str, hash: &str) -> Result<Entry, serde_json::Error> {
    let read: Read<'_> = serde_json::from_str(text)?;
    let fact = read.fact.get();
    // Most entries of a long incident are notes. The general parser is slower, because it has to find the kind among all
    // fields first.
    let fact = if fact.starts_with(r#"{"kind":"note","#) {
        let Note { text, note_kind } = serde_json::from_str(fact)?;
        Fact::Note { text, note_kind }
    } else {
        serde_json::from_str(fact)?
    };
    Ok(Entry {
        incident: read.incident,
        seq: read.seq,
        at: read.at,
        recorded_at: read.recorded_at,
        actor: read.actor,
        fact,
        hash: hash.to_owned(),
    })
}

/// Whether a stored text has `prev` as the hash of its predecessor.
pub(super) fn follows(text: &str, prev: &str) -> bool {
    #[derive(Deserialize)]
    struct Link {
        prev: String,
    }
    serde_json::from_str::<Link>(text).is_ok_and(|link| link.prev == prev)
}

/// Parses stored entries. Does not check the hashes.
pub fn read_all(incident: IncidentId, raw: &[super::RawEntry]) -> Result<Vec<Entry>, super::JournalError> {
    raw.iter()
        .map(|r| read(&r.text, &r.hash).map_err(|e| super::JournalError::Damaged { incident, seq: r.seq, source: e.into() }))
        .collect()
}

/// Checks that a stored entry continues the chain.
///
/// # Errors
/// Why it does not.
pub fn check(text: &str, hash: &str, incident: IncidentId, seq: u64, prev: &str) -> Result<(), String> {
    if digest(text.as_bytes()) != hash {
        return Err("the text does not match its hash: it was changed after it was written".to_owned());
    }
    let entry = read(text, hash).map_err(|e| format!("the text cannot be read: {e}"))?;
    if entry.incident != incident || entry.seq != seq {
        return Err(format!("its text belongs to entry {} of {}", entry.seq, entry.incident));
    }
    if !follows(text, prev) {
        return Err("it does not follow the previous entry: an entry was removed, added or replaced".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_linked_entries_on_both_parser_paths() {
        let at = Timestamp::from_micros(1_795_253_400_123_456);
        let (actor, uid) = (Actor::human("ana"), "u");
        let stamp = super::super::Stamp { at, recorded_at: at, actor: &actor, uid };
        for fact in [
            Fact::Note { text: "quote \" and \u{1F525} ünï".into(), note_kind: NoteKind::Decision },
            Fact::Acknowledged,
            Fact::Reopened { reason: "x".into() },
        ] {
            let (entry, text) = link(IncidentId(7), 3, stamp, fact, "before").unwrap();
            assert_eq!(read(&text, &entry.hash).unwrap(), entry);
            assert_eq!(check(&text, &entry.hash, IncidentId(7), 3, "before"), Ok(()));
            assert!(check(&text, &entry.hash, IncidentId(7), 3, "other").unwrap_err().contains("follow"));
        }
        assert!(read("{}", "").is_err() && read("nothing", "").is_err());
    }
}
