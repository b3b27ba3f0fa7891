//! One incident in a file: facts, evidence bodies, and what was sent to models for its answers, zstd-compressed JSON. Everything in it
//! was redacted before it was stored; writing it checks that once more with today's rules. The entries are byte for byte
//! those of the journal, so that the chain still holds and an export made from the file is the same.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::sqlite::SqliteStore;
use super::{JournalError, RawEntry, Store, chain};
use crate::evidence::Redactor;
use crate::evidence::body::{StoredBody, digest};
use crate::incident::{Fact, Incident, IncidentId};

/// The format's own number: a file of a later one is refused.
const VERSION: u32 = 1;
/// A bundle that unpacks to more than this is refused: it would not fit into memory twice.
const MAX_BYTES: u64 = 1 << 30;

/// No store has given as many numbers.
const MAX_NUMBER: u32 = 1_000_000_000;

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
    /// The program that wrote it.
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

/// Writes the bundle of an incident. A body that the store does not have is left out, and so told as missing in an export
/// there as here.
pub(super) fn write(store: &mut dyn Store, incident: IncidentId) -> Result<Vec<u8>, JournalError> {
    let entries = store.raw(incident)?;
    let folded = Incident::fold(chain::read_all(incident, &entries)?).ok_or(JournalError::NoSuchIncident(incident))?;
    let mut digests: std::collections::BTreeSet<&str> = folded.evidence.iter().map(|e| e.digest.as_str()).collect();
    digests.extend(folded.answers.iter().filter_map(|a| a.answer.sent.as_deref()));
    let mut bodies = Vec::new();
    for digest in digests {
        bodies.extend(store.raw_body(digest)?.map(|json| FileBody { digest: digest.to_owned(), json }));
    }
    let mut unclean = Vec::new();
    for (what, text) in entries
        .iter()
        .map(|e| (format!("entry {}", e.seq), e.text.as_str()))
        .chain(bodies.iter().map(|b| (format!("evidence body {}", b.digest.get(..12).unwrap_or("")), b.json.as_str())))
    {
        let value: serde_json::Value = serde_json::from_str(text).map_err(super::commit::json("read"))?;
        let mut redactor = Redactor::new();
        redactor.value(&value).map_err(super::commit::json("read"))?;
        if redactor.total() > 0 {
            unclean.push(what);
        }
    }
    if !unclean.is_empty() {
        return Err(JournalError::Bundle(format!(
            "what today's redaction rules would hide stands in {}: it was written by an older warroom; correct or purge it, nothing was exported",
            unclean.join(", ")
        )));
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
    let json = serde_json::to_vec(&file).map_err(super::commit::json("written"))?;
    zstd::bulk::compress(&json, 9).map_err(|e| JournalError::Io { doing: "written", reason: e.to_string() })
}

/// Reads a bundle and checks it: the format, the chain, every digest.
pub fn read(bytes: &[u8]) -> Result<Bundle, JournalError> {
    let bad = |what: String| JournalError::Bundle(format!("this is no bundle that can be read: {what}"));
    let mut json = Vec::new();
    let decoder = zstd::stream::Decoder::new(bytes).map_err(|e| bad(e.to_string()))?;
    decoder.take(MAX_BYTES + 1).read_to_end(&mut json).map_err(|e| bad(format!("{e}; is the file whole?")))?;
    if json.len() as u64 > MAX_BYTES {
        return Err(bad("it unpacks to more than 1 GiB".to_owned()));
    }
    #[derive(Deserialize)]
    struct Head {
        format: String,
        version: u32,
    }
    let head: Head = serde_json::from_slice(&json).map_err(|e| bad(e.to_string()))?;
    if head.format != "warroom-bundle" {
        return Err(bad(format!("its format is '{}'", head.format)));
    }
    if head.version > VERSION {
        return Err(bad(format!(
            "it was written by a newer warroom (format {}, this one knows {VERSION}): update warroom",
            head.version
        )));
    }
    let file: File = serde_json::from_slice(&json).map_err(|e| bad(e.to_string()))?;
    let bundle = Bundle {
        incident: file.incident,
        title: file.title,
        entries: file.entries,
        bodies: file.bodies.into_iter().map(|b| StoredBody { digest: b.digest, json: b.json }).collect(),
    };
    // Numbers that no store gives would break those that come after them.
    if bundle.incident.is_local() || bundle.incident.0 == 0 || bundle.incident.0 > MAX_NUMBER {
        return Err(bad(format!("its incident is {}", bundle.incident)));
    }
    super::missing(bundle.incident, &[], &bundle.entries)?;
    for entry in chain::read_all(bundle.incident, &bundle.entries)? {
        let wrong = match &entry.fact {
            Fact::EvidenceAttached { evidence } => evidence.id.is_local() || evidence.id.0 > MAX_NUMBER,
            Fact::ActionAdded { id, .. } => id.is_local() || id.0 > MAX_NUMBER,
            fact => fact.others().is_some_and(|id| id.is_local() || id.0 > MAX_NUMBER),
        };
        if wrong {
            return Err(bad(format!("entry {} holds a number that no store gives", entry.seq)));
        }
    }
    if let Some(wrong) = bundle.bodies.iter().find(|b| digest(b.json.as_bytes()) != b.digest) {
        return Err(bad(format!("the evidence body {} does not match its digest", wrong.digest)));
    }
    Ok(bundle)
}

/// A bundle as a store of its own: read-only in effect, since it lives in memory and ends with the process.
pub(super) fn open(path: &Path) -> Result<Opened, JournalError> {
    let shown = path.display().to_string();
    let fail = |e: std::io::Error| JournalError::Open { path: shown.clone(), reason: e.to_string() };
    let length = std::fs::metadata(path).map_err(fail)?.len();
    if length > MAX_BYTES {
        return Err(JournalError::Bundle(format!("{shown} is no bundle: it is larger than 1 GiB")));
    }
    let bundle = read(&std::fs::read(path).map_err(fail)?)?;
    let mut store = SqliteStore::in_memory()?;
    store.import(bundle.incident, &bundle.entries, &bundle.bodies)?;
    Ok(Opened { store, path: shown })
}

/// See [`open`].
pub(super) struct Opened {
    store: SqliteStore,
    path: String,
}

impl Opened {
    fn refuse<T>(&self) -> Result<T, JournalError> {
        Err(JournalError::Bundle(format!(
            "{} is a bundle and cannot be written to: `warroom bundle import {}` puts it into your store",
            self.path, self.path
        )))
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
        super::StoreStatus { read_only: Some("a bundle".to_owned()), ..super::StoreStatus::default() }
    }
}
