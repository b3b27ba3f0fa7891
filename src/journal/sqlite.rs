//! The embedded store: SQLite in WAL mode with `synchronous = FULL`, so that a commit that returned is on the disk.
//!
//! One process has one connection, on the journal's thread. Several processes may share the file: a writer takes the lock
//! at once (`BEGIN IMMEDIATE`) and others wait for it up to ten seconds.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Append, Appended, Broken, JournalError, NewEntry, Store, Verification, chain};
use crate::evidence::Body;
use crate::evidence::body::digest;
use crate::incident::{ActionId, Entry, EvidenceId, Fact, IncidentId, Summary};

/// The schema of this version; one file in `migrations/sqlite` a step.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/sqlite/0001_journal.sql")];
/// How long a writer waits for another process's commit before it gives up.
const BUSY: Duration = Duration::from_secs(10);
/// "WAR1" as SQLite's application id: tells our files from others.
const APPLICATION_ID: i64 = 0x5741_5231;

/// An open SQLite store.
pub struct SqliteStore {
    connection: Connection,
}

impl SqliteStore {
    /// Opens or creates the file. Its folder is created too; the file can be read by its owner only.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let shown = path.display().to_string();
        let fail = |reason: String| JournalError::Open { path: shown.clone(), reason };
        create_private(path).map_err(|e| fail(e.to_string()))?;
        let connection = Connection::open(path).map_err(|e| fail(e.to_string()))?;
        connection.busy_timeout(BUSY).map_err(|e| fail(e.to_string()))?;
        let mut store = Self { connection };
        store.prepare(&shown).map_err(|e| match e {
            Prepare::Sql(e) => fail(e.to_string()),
            Prepare::Journal(e) => e,
        })?;
        Ok(store)
    }

    fn prepare(&mut self, path: &str) -> Result<(), Prepare> {
        let version: i64 = self.connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if version > known {
            return Err(JournalError::Newer { path: path.to_owned(), found: version, known }.into());
        }
        let id: i64 = self.connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
        let tables: i64 = self.connection.query_row("SELECT count(*) FROM sqlite_master", [], |r| r.get(0))?;
        if id != APPLICATION_ID && (id != 0 || (version == 0 && tables > 0)) {
            let reason = "it is a SQLite file of another program; nothing was changed".to_owned();
            return Err(JournalError::Open { path: path.to_owned(), reason }.into());
        }
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection.pragma_update(None, "foreign_keys", "ON")?;
        if version < known {
            let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have done it while this one waited.
            let version: i64 = tx.pragma_query_value(None, "user_version", |r| r.get(0))?;
            for step in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
                tx.execute_batch(step)?;
            }
            tx.pragma_update(None, "user_version", known)?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.commit()?;
        }
        Ok(())
    }
}

enum Prepare {
    Sql(rusqlite::Error),
    Journal(JournalError),
}

impl From<rusqlite::Error> for Prepare {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sql(e)
    }
}

impl From<JournalError> for Prepare {
    fn from(e: JournalError) -> Self {
        Self::Journal(e)
    }
}

/// Creates folder and file so that only the owner can read them; an existing file is narrowed to that.
fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
        std::fs::create_dir_all(folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        }
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(0o600);
        let file = options.open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
    }
    #[cfg(not(unix))]
    options.open(path)?;
    Ok(())
}

fn io(doing: &'static str) -> impl Fn(rusqlite::Error) -> JournalError {
    move |e| {
        let remedy = match e.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => "; free some space, nothing was lost",
            Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::PermissionDenied) => "; check its permissions",
            Some(rusqlite::ErrorCode::DatabaseBusy) => "; another process holds it, try again",
            _ => "",
        };
        JournalError::Io { doing, reason: format!("{e}{remedy}") }
    }
}

fn json(doing: &'static str) -> impl Fn(serde_json::Error) -> JournalError {
    move |e| JournalError::Io { doing, reason: e.to_string() }
}

struct Row {
    head: Summary,
    last_seq: u64,
    last_hash: String,
    next_evidence: u32,
    next_action: u32,
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn row(tx: &Transaction<'_>, incident: IncidentId) -> Result<Row, JournalError> {
    let found: Option<(String, i64, String, u32, u32)> = tx
        .prepare_cached("SELECT head, last_seq, last_hash, next_evidence, next_action FROM incident WHERE number = ?1")
        .and_then(|mut s| s.query_row([incident.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))).optional())
        .map_err(io("read"))?;
    let (head, last_seq, last_hash, next_evidence, next_action) = found.ok_or(JournalError::NoSuchIncident(incident))?;
    Ok(Row {
        head: serde_json::from_str(&head).map_err(json("read"))?,
        last_seq: u64::try_from(last_seq).unwrap_or(0),
        last_hash,
        next_evidence,
        next_action,
    })
}

/// Numbers a fact's evidence or action item. `None`: the evidence is there already.
fn numbered(
    tx: &Transaction<'_>,
    row: &mut Row,
    mut fact: Fact,
    given: &mut Vec<EvidenceId>,
) -> Result<Option<Fact>, JournalError> {
    match &mut fact {
        Fact::EvidenceAttached { evidence } => {
            let incident = row.head.id.0;
            let identity = digest(
                format!(
                    "{}\0{}\0{}\0{}\0{}",
                    evidence.source,
                    evidence.query,
                    evidence.window.start.micros(),
                    evidence.window.end.micros(),
                    evidence.digest
                )
                .as_bytes(),
            );
            let known: Option<u32> = tx
                .prepare_cached("SELECT number FROM evidence WHERE incident = ?1 AND identity = ?2")
                .and_then(|mut s| s.query_row(params![incident, identity], |r| r.get(0)).optional())
                .map_err(io("read"))?;
            if let Some(known) = known {
                given.push(EvidenceId(known));
                return Ok(None);
            }
            evidence.id = EvidenceId(row.next_evidence);
            row.next_evidence += 1;
            given.push(evidence.id);
            tx.prepare_cached("INSERT INTO evidence (incident, identity, number) VALUES (?1, ?2, ?3)")
                .and_then(|mut s| s.execute(params![incident, identity, evidence.id.0]))
                .map_err(io("written"))?;
        }
        Fact::ActionAdded { id, .. } => {
            *id = ActionId(row.next_action);
            row.next_action += 1;
        }
        _ => {}
    }
    Ok(Some(fact))
}

fn write_entry(tx: &Transaction<'_>, row: &mut Row, new: &NewEntry, fact: Fact) -> Result<Entry, JournalError> {
    let seq = row.last_seq + 1;
    let (entry, text) = chain::link(row.head.id, seq, new, fact, &row.last_hash).map_err(json("written"))?;
    tx.prepare_cached("INSERT INTO entry (incident, seq, text, hash) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut s| s.execute(params![row.head.id.0, number(seq), text, entry.hash]))
        .map_err(io("written"))?;
    row.last_seq = seq;
    row.last_hash.clone_from(&entry.hash);
    Ok(entry)
}

fn write_bodies(tx: &Transaction<'_>, append: &Append) -> Result<(), JournalError> {
    for body in &append.bodies {
        let packed = zstd::bulk::compress(body.json.as_bytes(), 3)
            .map_err(|e| JournalError::Io { doing: "written", reason: e.to_string() })?;
        tx.prepare_cached("INSERT OR IGNORE INTO body (digest, zstd) VALUES (?1, ?2)")
            .and_then(|mut s| s.execute(params![body.digest, packed]))
            .map_err(io("written"))?;
    }
    Ok(())
}

fn write_row(tx: &Transaction<'_>, row: &Row) -> Result<(), JournalError> {
    let head = serde_json::to_string(&row.head).map_err(json("written"))?;
    tx.prepare_cached(
        "INSERT INTO incident (number, head, last_seq, last_hash, next_evidence, next_action) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (number) DO UPDATE SET head = ?2, last_seq = ?3, last_hash = ?4, next_evidence = ?5, next_action = ?6",
    )
    .and_then(|mut s| {
        s.execute(params![row.head.id.0, head, number(row.last_seq), row.last_hash, row.next_evidence, row.next_action])
    })
    .map_err(io("written"))?;
    Ok(())
}

impl Store for SqliteStore {
    fn create(&mut self, append: Append) -> Result<Vec<Entry>, JournalError> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(io("written"))?;
        let next: u32 =
            tx.query_row("SELECT coalesce(max(number), 0) + 1 FROM incident", [], |r| r.get(0)).map_err(io("read"))?;
        let incident = IncidentId(next);
        let mut entries = Vec::new();
        let mut state: Option<Row> = None;
        for new in &append.entries {
            if let Some(row) = &mut state {
                if let Some(fact) = numbered(&tx, row, new.fact.get().clone(), &mut Vec::new())? {
                    let entry = write_entry(&tx, row, new, fact)?;
                    row.head.apply(&entry);
                    entries.push(entry);
                }
                continue;
            }
            let (entry, text) = chain::link(incident, 1, new, new.fact.get().clone(), "").map_err(json("written"))?;
            tx.execute(
                "INSERT INTO entry (incident, seq, text, hash) VALUES (?1, 1, ?2, ?3)",
                params![incident.0, text, entry.hash],
            )
            .map_err(io("written"))?;
            let head = Summary::first(&entry).ok_or_else(|| JournalError::Io {
                doing: "written",
                reason: "the first fact of an incident must declare it".to_owned(),
            })?;
            state = Some(Row { head, last_seq: 1, last_hash: entry.hash.clone(), next_evidence: 1, next_action: 1 });
            entries.push(entry);
        }
        write_bodies(&tx, &append)?;
        if let Some(row) = &state {
            write_row(&tx, row)?;
        }
        tx.commit().map_err(io("written"))?;
        Ok(entries)
    }

    fn append(&mut self, incident: IncidentId, expected: u64, append: Append) -> Result<Appended, JournalError> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(io("written"))?;
        let mut row = row(&tx, incident)?;
        if row.last_seq != expected {
            return Err(JournalError::Conflict { incident, expected, found: row.last_seq });
        }
        let mut appended = Appended::default();
        for new in &append.entries {
            let Some(fact) = numbered(&tx, &mut row, new.fact.get().clone(), &mut appended.evidence)? else { continue };
            let entry = write_entry(&tx, &mut row, new, fact)?;
            row.head.apply(&entry);
            appended.entries.push(entry);
        }
        if !appended.entries.is_empty() {
            write_bodies(&tx, &append)?;
            write_row(&tx, &row)?;
        }
        tx.commit().map_err(io("written"))?;
        Ok(appended)
    }

    fn entries(&mut self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq, text, hash FROM entry WHERE incident = ?1 AND seq > ?2 ORDER BY seq")
            .map_err(io("read"))?;
        let rows = statement
            .query_map(params![incident.0, number(after)], |r| {
                Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?))
            })
            .map_err(io("read"))?;
        let mut entries = Vec::new();
        for found in rows {
            let (seq, text, hash) = found.map_err(io("read"))?;
            entries.push(chain::read(&text, &hash).map_err(|e| JournalError::Damaged {
                incident,
                seq: u64::try_from(seq).unwrap_or(0),
                reason: e.to_string(),
            })?);
        }
        Ok(entries)
    }

    fn list(&mut self) -> Result<Vec<Summary>, JournalError> {
        let mut statement =
            self.connection.prepare_cached("SELECT head FROM incident ORDER BY number DESC").map_err(io("read"))?;
        let rows = statement.query_map([], |r| r.get::<_, String>(0)).map_err(io("read"))?;
        rows.map(|head| serde_json::from_str(&head.map_err(io("read"))?).map_err(json("read"))).collect()
    }

    fn body(&mut self, wanted: &str) -> Result<Option<Body>, JournalError> {
        match self.raw_body(wanted)? {
            Some(json_text) => serde_json::from_str(&json_text).map(Some).map_err(json("read")),
            None => Ok(None),
        }
    }

    fn verify(&mut self) -> Result<Verification, JournalError> {
        let mut result = Verification::default();
        let heads: Vec<(u32, i64, String)> = {
            let mut s = self
                .connection
                .prepare("SELECT number, last_seq, last_hash FROM incident ORDER BY number")
                .map_err(io("read"))?;
            let rows = s.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).map_err(io("read"))?;
            rows.collect::<Result<_, _>>().map_err(io("read"))?
        };
        for (incident, last_seq, last_hash) in heads {
            result.incidents += 1;
            self.verify_chain(IncidentId(incident), u64::try_from(last_seq).unwrap_or(0), &last_hash, &mut result)?;
        }
        self.verify_bodies(&mut result)?;
        Ok(result)
    }

    fn version(&mut self) -> Result<i64, JournalError> {
        self.connection.pragma_query_value(None, "data_version", |r| r.get(0)).map_err(io("read"))
    }
}

impl SqliteStore {
    fn raw_body(&mut self, wanted: &str) -> Result<Option<String>, JournalError> {
        let packed: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT zstd FROM body WHERE digest = ?1")
            .and_then(|mut s| s.query_row([wanted], |r| r.get(0)).optional())
            .map_err(io("read"))?;
        let Some(packed) = packed else { return Ok(None) };
        let bytes =
            zstd::stream::decode_all(packed.as_slice()).map_err(|e| JournalError::Io { doing: "read", reason: e.to_string() })?;
        String::from_utf8(bytes).map(Some).map_err(|e| JournalError::Io { doing: "read", reason: e.to_string() })
    }

    fn verify_chain(
        &mut self,
        incident: IncidentId,
        last_seq: u64,
        last_hash: &str,
        result: &mut Verification,
    ) -> Result<(), JournalError> {
        let mut statement =
            self.connection.prepare("SELECT seq, text, hash FROM entry WHERE incident = ?1 ORDER BY seq").map_err(io("read"))?;
        let mut rows = statement.query([incident.0]).map_err(io("read"))?;
        let (mut expected, mut prev) = (1_u64, String::new());
        let mut broken = |seq, what: String| result.broken.push(Broken { incident: incident.to_string(), seq, what });
        while let Some(row) = rows.next().map_err(io("read"))? {
            let seq = u64::try_from(row.get::<_, i64>(0).map_err(io("read"))?).unwrap_or(0);
            let text: String = row.get(1).map_err(io("read"))?;
            let hash: String = row.get(2).map_err(io("read"))?;
            if seq != expected {
                broken(expected, format!("entries {expected} to {} are missing", seq.saturating_sub(1)));
            } else if let Err(what) = chain::check(&text, &hash, incident, seq, &prev) {
                broken(seq, what);
            }
            result.entries += 1;
            expected = seq + 1;
            prev = hash;
        }
        if expected != last_seq + 1 || prev != last_hash {
            broken(expected, format!("the chain ends before entry {last_seq}, the last one that was written"));
        }
        Ok(())
    }

    fn verify_bodies(&mut self, result: &mut Verification) -> Result<(), JournalError> {
        let digests: Vec<String> = {
            let mut s = self.connection.prepare("SELECT digest FROM body ORDER BY digest").map_err(io("read"))?;
            let rows = s.query_map([], |r| r.get(0)).map_err(io("read"))?;
            rows.collect::<Result<_, _>>().map_err(io("read"))?
        };
        for wanted in digests {
            result.bodies += 1;
            let what = match self.raw_body(&wanted) {
                Ok(Some(text)) if digest(text.as_bytes()) == wanted => continue,
                Ok(_) => "the evidence body does not match its digest".to_owned(),
                Err(e) => format!("the evidence body cannot be read: {e}"),
            };
            result.broken.push(Broken { incident: "evidence".to_owned(), seq: 0, what: format!("{wanted}: {what}") });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
