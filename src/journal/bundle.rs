//! Bundles: one incident in a file, with its facts, its evidence bodies and the prompts behind its answers, as
//! zstd-compressed JSON.
//!
//! All content was redacted before it was stored; writing a bundle checks this again with the current rules. The entries are
//! byte for byte those of the journal, so the chain stays valid and a post-mortem exported from the bundle is identical.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::sqlite::SqliteStore;
use super::{JournalError, RawEntry, Store, chain};
use crate::evidence::Redactor;
use crate::evidence::body::{StoredBody, digest};
use crate::incident::{Fact, Incident, IncidentId};
use crate::telemetry::Failure;

/// The version of the format. Bundles with a later version are rejected.
const VERSION: u32 = 1;
/// The largest unpacked size in bytes. It limits memory use, because the content is held in memory twice.
const MAX_BYTES: u64 = 1 << 30;

/// The largest accepted number of an incident, evidence or action item. No store assigns larger numbers.
const MAX_NUMBER: u32 = 1_000_000_000;

/// What every version of the format begins with.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// The content of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pub incident: IncidentId,
    pub title: String,
    pub entries: Vec<RawEntry>,
    pub bodies: Vec<StoredBody>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    version: u32,
    /// The version of the warroom that wrote it.
    tool: String,
    incident: IncidentId,
    title: String,
    entries: Vec<RawEntry>,
    bodies: Vec<FileBody>,
}

#[derive(Serialize, Deserialize)]
struct FileBody {
    digest: String,
    json: String,
}

/// Builds the bundle of an incident. Evidence bodies that the store does not have are left out; exports report them as
/// missing.
///
/// # Errors
/// [`JournalError::Bundle`] if the current redaction rules would hide more of the content.
pub(super) fn write(store: &mut dyn Store, incident: IncidentId) -> Result<Vec<u8>, JournalError> {
    let entries = store.raw(incident)?;
    let folded = Incident::fold(chain::read_all(incident, &entries)?).ok_or(JournalError::NoSuchIncident(incident))?;
    let mut digests: std::collections::BTreeSet<&str> = folded.evidence.iter().map(|e| e.digest.as_str()).collect();
    digests.extend(folded.answers.iter().filter_map(|a| a.answer.sent.as_deref()));
    let mut bodies = Vec::new();
    for digest in digests {
        bodies.extend(store.raw_body(digest)?.map(|json| FileBody { digest: digest.to_owned(), json }));
    }
    let mut unredacted = Vec::new();
    for (what, text) in entries
        .iter()
        .map(|e| (format!("entry {}", e.seq), e.text.as_str()))
        .chain(bodies.iter().map(|b| (format!("evidence body {}", b.digest.get(..12).unwrap_or("")), b.json.as_str())))
    {
        let value: serde_json::Value = serde_json::from_str(text).map_err(super::commit::json("read"))?;
        let mut redactor = Redactor::new();
        redactor.redact_value(&value).map_err(super::commit::json("read"))?;
        if redactor.total() > 0 {
            unredacted.push(what);
        }
    }
    if !unredacted.is_empty() {
        let message = format!(
            "cannot export {incident}: the current redaction rules would hide text in {}, written by an older warroom. Nothing was exported",
            unredacted.join(", ")
        );
        return Err(JournalError::Bundle(Failure::new(message).advise("Correct those entries, or purge the incident.")));
    }
    let file = File {
        format: "warroom-bundle".to_owned(),
        version: VERSION,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        incident,
        title: folded.head.title,
        entries,
        bodies,
    };
    let json = serde_json::to_vec(&file).map_err(super::commit::json("write to"))?;
    zstd::bulk::compress(&json, 9).map_err(|e| JournalError::io("write to", e))
}

/// Reads a bundle and checks its format, its chain and all digests.
pub fn read(bytes: &[u8]) -> Result<Bundle, JournalError> {
    let bad = |what: String| JournalError::Bundle(Failure::new(format!("cannot read the bundle: {what}")));
    let mut json = Vec::new();
    let decoder = zstd::stream::Decoder::new(bytes).map_err(|e| bad(e.to_string()))?;
    decoder.take(MAX_BYTES + 1).read_to_end(&mut json).map_err(|e| {
        let failure = Failure::new(format!("cannot read the bundle: {e}"));
        JournalError::Bundle(failure.advise("Check that the file is complete."))
    })?;
    if json.len() as u64 > MAX_BYTES {
        return Err(bad("it unpacks to more than 1 GiB".to_owned()));
    }
    let head: Head = serde_json::from_slice(&json).map_err(|e| bad(e.to_string()))?;
    if head.format != "warroom-bundle" {
        return Err(bad(format!("its format is '{}', not 'warroom-bundle'", head.format)));
    }
    if head.version > VERSION {
        let message = format!(
            "cannot read the bundle: a newer warroom wrote it (format {}, this warroom supports {VERSION})",
            head.version
        );
        return Err(JournalError::Bundle(Failure::new(message).advise("Update warroom.")));
    }
    let file: File = serde_json::from_slice(&json).map_err(|e| bad(e.to_string()))?;
    let bundle = Bundle {
        incident: file.incident,
        title: file.title,
        entries: file.entries,
        bodies: file.bodies.into_iter().map(|b| StoredBody { digest: b.digest, json: b.json }).collect(),
    };
    // Reject numbers that no store assigns, because they would break the numbering of later incidents and items.
    if bundle.incident.is_local() || bundle.incident.0 == 0 || bundle.incident.0 > MAX_NUMBER {
        return Err(bad(format!("its incident number {} is not valid", bundle.incident)));
    }
    super::missing(bundle.incident, &[], &bundle.entries)?;
    for entry in chain::read_all(bundle.incident, &bundle.entries)? {
        let is_invalid = match &entry.fact {
            Fact::EvidenceAttached { evidence } => evidence.id.is_local() || evidence.id.0 > MAX_NUMBER,
            Fact::ActionAdded { id, .. } => id.is_local() || id.0 > MAX_NUMBER,
            fact => fact.related_incident().is_some_and(|id| id.is_local() || id.0 > MAX_NUMBER),
        };
        if is_invalid {
            return Err(bad(format!("entry {} contains a number that no store assigns", entry.seq)));
        }
    }
    if let Some(changed) = bundle.bodies.iter().find(|b| digest(b.json.as_bytes()) != b.digest) {
        return Err(bad(format!("the evidence body {} does not match its digest", changed.digest)));
    }
    Ok(bundle)
}

/// Opens a bundle as a read-only store in memory.
pub(super) fn open(path: &Path) -> Result<Opened, JournalError> {
    let shown = path.display().to_string();
    let fail = |e: std::io::Error| JournalError::Open { path: shown.clone(), source: e.into() };
    let length = std::fs::metadata(path).map_err(fail)?.len();
    if length > MAX_BYTES {
        return Err(JournalError::bundle(format!("{shown} is not a bundle: it is larger than 1 GiB")));
    }
    let bundle = read(&std::fs::read(path).map_err(fail)?)?;
    let mut store = SqliteStore::in_memory()?;
    store.import(bundle.incident, &bundle.entries, &bundle.bodies)?;
    Ok(Opened { store, path: shown })
}

/// An open bundle, as a read-only store.
pub(super) struct Opened {
    store: SqliteStore,
    path: String,
}

impl Opened {
    fn refuse<T>(&self) -> Result<T, JournalError> {
        let failure = Failure::new(format!("cannot write to {}: bundles are read-only", self.path))
            .advise(format!("Run `warroom bundle import {}` to copy it into your store.", self.path));
        Err(JournalError::Bundle(failure))
    }
}

impl Store for Opened {
    fn create(&mut self, _: super::Append) -> Result<Vec<crate::incident::Entry>, JournalError> {
        self.refuse()
    }
    fn append(&mut self, _: IncidentId, _: u64, _: super::Append) -> Result<super::Appended, JournalError> {
        self.refuse()
    }
    fn append_in_turn(&mut self, _: IncidentId, _: u64, _: &mut super::Turn<'_>) -> Result<super::Appended, JournalError> {
        self.refuse()
    }
    fn import(&mut self, _: IncidentId, _: &[RawEntry], _: &[StoredBody]) -> Result<super::Import, JournalError> {
        self.refuse()
    }
    fn purge(&mut self, _: &super::Purge) -> Result<(), JournalError> {
        self.refuse()
    }
    fn entries(&mut self, incident: IncidentId, after: u64) -> Result<Vec<crate::incident::Entry>, JournalError> {
        self.store.entries(incident, after)
    }
    fn list(&mut self) -> Result<Vec<crate::incident::Summary>, JournalError> {
        self.store.list()
    }
    fn body(&mut self, digest: &str) -> Result<Option<crate::evidence::Body>, JournalError> {
        self.store.body(digest)
    }
    fn verify(&mut self) -> Result<super::Verification, JournalError> {
        self.store.verify()
    }
    fn version(&mut self) -> Result<i64, JournalError> {
        self.store.version()
    }
    fn raw(&mut self, incident: IncidentId) -> Result<Vec<RawEntry>, JournalError> {
        self.store.raw(incident)
    }
    fn raw_body(&mut self, digest: &str) -> Result<Option<String>, JournalError> {
        self.store.raw_body(digest)
    }
    fn status(&mut self) -> super::StoreStatus {
        super::StoreStatus { read_only: Some("it is a bundle".to_owned()), ..super::StoreStatus::default() }
    }
}
