//! The embedded store: SQLite in WAL mode with `synchronous = FULL`, so that a completed commit is on the disk.
//!
//! Each process has one connection, on the journal's thread. Several processes can share the file: a writer takes the lock
//! immediately (`BEGIN IMMEDIATE`), and others wait for it for up to ten seconds.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::commit::{self, Ledger, Row, json};
use super::inspection::Inspection;
use super::{Append, Appended, Import, JournalError, Purge, RawEntry, Store, Turn, Verification, chain};
use crate::evidence::Body;
use crate::evidence::body::StoredBody;
use crate::incident::{Entry, Incident, IncidentId, Summary};
use crate::telemetry::Explain;
use crate::telemetry::failure::Cause;

/// The schema of this version, with one file in `migrations/sqlite` per step.
const MIGRATIONS: [&str; 2] =
    [include_str!("migrations/sqlite/0001_journal.sql"), include_str!("migrations/sqlite/0002_team.sql")];
/// How long a writer waits for the lock of another process.
const BUSY: Duration = Duration::from_secs(10);
/// "WAR1" as SQLite's application id, which distinguishes warroom's files from others.
const APPLICATION_ID: i64 = 0x5741_5231;

/// An open SQLite store.
pub struct SqliteStore {
    connection: Connection,
    /// Set if the store is read-only. The open file is then a copy in a temporary folder, which is removed with the store.
    frozen: Option<Frozen>,
}

struct Frozen {
    path: String,
    why: String,
    _copy: Scratch,
}

/// A folder that is removed when this value is dropped.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_dir_all(&self.0);
    }
}

impl SqliteStore {
    /// Opens or creates the file and its folder. Only the owner can read the file. On a disk that is full or read-only,
    /// existing content can be read, and each write fails with the reason.
    ///
    /// # Errors
    /// [`JournalError::Open`], or [`JournalError::Newer`] for a file that a newer version wrote.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let shown = path.display().to_string();
        let has_content = std::fs::metadata(path).is_ok_and(|m| m.len() > 0);
        match create_private(path) {
            Ok(()) => match Self::open_at(path, &shown) {
                // SQLite needs some disk space even to read. Try to read a copy on another disk.
                Err(e) if has_content && is_disk(&e) => {
                    Self::open_frozen(path, &shown, &e.failure().causes.join(": ")).map_err(|_no_copy| e)
                }
                opened => opened,
            },
            // The existing content can still be read.
            Err(e) if is_read_only(&e) && has_content => {
                Self::open_frozen(path, &shown, "the file or its file system is read-only")
            }
            Err(e) => Err(JournalError::Open { path: shown, source: e.into() }),
        }
    }

    /// A store in memory, which is lost when it is dropped.
    pub(super) fn in_memory() -> Result<Self, JournalError> {
        Self::open_at(Path::new(":memory:"), "in memory")
    }

    fn open_at(path: &Path, shown: &str) -> Result<Self, JournalError> {
        let fail = |e: rusqlite::Error| JournalError::Open { path: shown.to_owned(), source: e.into() };
        let mut connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(BUSY).map_err(fail)?;
        retry_while_busy(|| prepare(&mut connection, shown))?;
        Ok(Self { connection, frozen: None })
    }

    /// Opens a store on a disk that cannot be written to. SQLite's write-ahead log needs a writable folder even for reading,
    /// so this opens a copy of the file and the log.
    fn open_frozen(path: &Path, shown: &str, why: &str) -> Result<Self, JournalError> {
        let fail = |e: std::io::Error| JournalError::Open {
            path: shown.to_owned(),
            source: format!("it is read-only, and cannot be copied for reading: {e}").into(),
        };
        let folder = std::env::temp_dir().join(format!("warroom-frozen-{}-{}", std::process::id(), uuid::Uuid::now_v7()));
        let scratch = Scratch(folder.clone());
        std::fs::create_dir(&folder).map_err(fail)?;
        let copy = folder.join("journal.db");
        create_private(&copy).map_err(fail)?;
        std::fs::copy(path, &copy).map_err(fail)?;
        let log = |p: &Path| std::path::PathBuf::from(format!("{}-wal", p.display()));
        if log(path).exists() {
            std::fs::copy(log(path), log(&copy)).map_err(fail)?;
        }
        let mut store = Self::open_at(&copy, shown)?;
        store.frozen = Some(Frozen { path: shown.to_owned(), why: why.to_owned(), _copy: scratch });
        Ok(store)
    }

    /// Fails if the store is read-only.
    fn writable(&self) -> Result<(), JournalError> {
        match &self.frozen {
            Some(f) => Err(JournalError::ReadOnly { path: f.path.clone(), reason: f.why.clone() }),
            None => Ok(()),
        }
    }

    /// Begins a write: takes the lock, and checks that no newer version has changed the schema.
    fn begin(&mut self) -> Result<Transaction<'_>, JournalError> {
        self.writable()?;
        let path = self.connection.path().unwrap_or("").to_owned();
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(io("write to"))?;
        let found: i64 = tx.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(io("read"))?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(JournalError::Newer { path, found, known });
        }
        Ok(tx)
    }
}

/// Configures the connection and migrates the schema.
fn prepare(connection: &mut Connection, path: &str) -> Result<(), JournalError> {
    let open = |e: rusqlite::Error| JournalError::Open { path: path.to_owned(), source: e.into() };
    let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(open)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if version > known {
        return Err(JournalError::Newer { path: path.to_owned(), found: version, known });
    }
    let id: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0)).map_err(open)?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |r| r.get(0)).map_err(open)?;
    if id != APPLICATION_ID && (id != 0 || (version == 0 && tables > 0)) {
        let source = "it is an SQLite database of another program; nothing was changed".into();
        return Err(JournalError::Open { path: path.to_owned(), source });
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(open)?;
    connection.pragma_update(None, "foreign_keys", "ON").map_err(open)?;
    // Overwrite purged content on disk.
    connection.pragma_update(None, "secure_delete", "ON").map_err(open)?;
    if version < known {
        migrate(connection, known).map_err(open)?;
    }
    Ok(())
}

fn migrate(connection: &mut Connection, known: i64) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated while this one waited for the lock.
    let version: i64 = tx.pragma_query_value(None, "user_version", |r| r.get(0))?;
    for step in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", known)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.commit()
}

/// Repeats `work` while another process has locked the file. SQLite's own busy timeout does not cover the switch to WAL
/// mode, which fails immediately if several processes open a new file at the same time.
pub(super) fn retry_while_busy<T>(work: impl FnMut() -> Result<T, JournalError>) -> Result<T, JournalError> {
    use backon::BlockingRetryable;
    let every = backon::ConstantBuilder::default().with_delay(Duration::from_millis(20)).with_jitter().without_max_times();
    let deadline = std::time::Instant::now() + BUSY;
    work.retry(every).when(|e| e.is_busy() && std::time::Instant::now() < deadline).call()
}

/// Whether the disk is at fault: full, failing or read-only.
fn is_disk(e: &JournalError) -> bool {
    use rusqlite::ErrorCode as C;
    matches!(e.sqlite_code(), Some(C::DiskFull | C::SystemIoFailure | C::ReadOnly | C::CannotOpen))
}

/// Creates folder and file so that only the owner can read them. Restricts the permissions of an existing file as well.
pub(super) fn create_private(path: &Path) -> std::io::Result<()> {
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

/// Whether an error means that the file system is read-only, or that the user has no permission to write.
fn is_read_only(e: &std::io::Error) -> bool {
    matches!(e.kind(), std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied)
}

/// Converts an error of SQLite. `doing` completes "cannot … the store".
pub(super) fn io(doing: &'static str) -> impl Fn(rusqlite::Error) -> JournalError {
    move |e| JournalError::io(doing, e)
}

/// A number as SQLite stores it.
pub(super) fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The row of an incident in the list.
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

impl Ledger for Transaction<'_> {
    fn evidence(&mut self, incident: IncidentId, identity: &str) -> Result<Option<u32>, JournalError> {
        self.prepare_cached("SELECT number FROM evidence WHERE incident = ?1 AND identity = ?2")
            .and_then(|mut s| s.query_row(params![incident.0, identity], |r| r.get(0)).optional())
            .map_err(io("read"))
    }

    fn put_evidence(&mut self, incident: IncidentId, identity: &str, number: u32) -> Result<(), JournalError> {
        self.prepare_cached("INSERT INTO evidence (incident, identity, number) VALUES (?1, ?2, ?3)")
            .and_then(|mut s| s.execute(params![incident.0, identity, number]))
            .map(|_| ())
            .map_err(io("write to"))
    }

    /// The uid is not stored, because a process always learns the result of its own commit.
    fn put_entry(&mut self, entry: &Entry, _uid: &str, text: &str) -> Result<(), JournalError> {
        self.prepare_cached("INSERT INTO entry (incident, seq, text, hash) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut s| s.execute(params![entry.incident.0, number(entry.seq), text, entry.hash]))
            .map(|_| ())
            .map_err(io("write to"))
    }

    fn entries(&mut self, incident: IncidentId) -> Result<Vec<Entry>, JournalError> {
        read_entries(self, incident, 0)
    }
}

/// The entries after a number, in order. Parsed directly from SQLite's memory, so that long incidents open quickly.
pub(super) fn read_entries(connection: &Connection, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError> {
    let mut statement = connection
        .prepare_cached("SELECT seq, text, hash FROM entry WHERE incident = ?1 AND seq > ?2 ORDER BY seq")
        .map_err(io("read"))?;
    // Numbers have no gaps, so the last one gives the count. Reserving the capacity avoids copying the vector as it grows.
    let last: i64 = connection
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM entry WHERE incident = ?1")
        .and_then(|mut s| s.query_row([incident.0], |r| r.get(0)))
        .map_err(io("read"))?;
    let expected = usize::try_from(last.unsigned_abs().saturating_sub(after)).unwrap_or(0).min(1 << 20);
    let mut rows = statement.query(params![incident.0, number(after)]).map_err(io("read"))?;
    let mut entries = Vec::with_capacity(expected);
    while let Some(row) = rows.next().map_err(io("read"))? {
        let column = |n: usize| row.get_ref(n).map_err(io("read"));
        let damaged = |source: Cause| {
            let seq = row.get::<_, i64>(0).map_or(0, i64::unsigned_abs);
            JournalError::Damaged { incident, seq, source }
        };
        let text = column(1)?.as_str().map_err(|e| damaged(e.into()))?;
        let hash = column(2)?.as_str().map_err(|e| damaged(e.into()))?;
        entries.push(chain::read(text, hash).map_err(|e| damaged(e.into()))?);
    }
    Ok(entries)
}

/// The entries after a number as stored, in order.
pub(super) fn read_raw(connection: &Connection, incident: IncidentId, after: u64) -> Result<Vec<RawEntry>, JournalError> {
    let mut statement = connection
        .prepare_cached("SELECT seq, text, hash FROM entry WHERE incident = ?1 AND seq > ?2 ORDER BY seq")
        .map_err(io("read"))?;
    let rows = statement
        .query_map(params![incident.0, number(after)], |r| {
            Ok(RawEntry { seq: u64::try_from(r.get::<_, i64>(0)?).unwrap_or(0), text: r.get(1)?, hash: r.get(2)? })
        })
        .map_err(io("read"))?;
    rows.collect::<Result<_, _>>().map_err(io("read"))
}

/// Writes evidence bodies. Existing ones are skipped.
pub(super) fn write_bodies(connection: &Connection, bodies: &[StoredBody]) -> Result<(), JournalError> {
    for body in bodies {
        let packed = super::pack_body(&body.json)?;
        connection
            .prepare_cached("INSERT OR IGNORE INTO body (digest, zstd) VALUES (?1, ?2)")
            .and_then(|mut s| s.execute(params![body.digest, packed]))
            .map_err(io("write to"))?;
    }
    Ok(())
}

/// The JSON of an evidence body; `None` if it is not in the store.
pub(super) fn read_body(connection: &Connection, digest: &str) -> Result<Option<String>, JournalError> {
    let packed: Option<Vec<u8>> = connection
        .prepare_cached("SELECT zstd FROM body WHERE digest = ?1")
        .and_then(|mut s| s.query_row([digest], |r| r.get(0)).optional())
        .map_err(io("read"))?;
    packed.map(|p| super::unpack_body(&p)).transpose()
}

fn write_row(tx: &Transaction<'_>, row: &Row) -> Result<(), JournalError> {
    let head = serde_json::to_string(&row.head).map_err(json("write to"))?;
    tx.prepare_cached(
        "INSERT INTO incident (number, head, last_seq, last_hash, next_evidence, next_action) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (number) DO UPDATE SET head = ?2, last_seq = ?3, last_hash = ?4, next_evidence = ?5, next_action = ?6",
    )
    .and_then(|mut s| {
        s.execute(params![row.head.id.0, head, number(row.last_seq), row.last_hash, row.next_evidence, row.next_action])
    })
    .map_err(io("write to"))?;
    Ok(())
}

impl Store for SqliteStore {
    fn create(&mut self, append: Append) -> Result<Vec<Entry>, JournalError> {
        let mut tx = self.begin()?;
        let incident = next_number(&tx)?;
        let mut entries = Vec::new();
        let mut state: Option<Row> = None;
        for new in &append.entries {
            let fact = new.fact.get().clone();
            if let Some(row) = &mut state {
                entries.extend(commit::next(&mut tx, row, new.stamp(), fact, &mut Vec::new())?);
            } else {
                let (row, entry) = commit::first(&mut tx, incident, new.stamp(), fact)?;
                state = Some(row);
                entries.push(entry);
            }
        }
        write_bodies(&tx, &append.bodies)?;
        if let Some(row) = &state {
            write_row(&tx, row)?;
            reserve_number(&tx, incident, false)?;
        }
        tx.commit().map_err(io("write to"))?;
        Ok(entries)
    }

    fn append(&mut self, incident: IncidentId, expected: u64, append: Append) -> Result<Appended, JournalError> {
        let mut tx = self.begin()?;
        let mut row = row(&tx, incident)?;
        if row.last_seq != expected {
            return Err(JournalError::Conflict { incident, expected, found: row.last_seq });
        }
        let appended = append_rows(&mut tx, &mut row, &append)?;
        tx.commit().map_err(io("write to"))?;
        Ok(appended)
    }

    fn append_in_turn(&mut self, incident: IncidentId, known: u64, turn: &mut Turn<'_>) -> Result<Appended, JournalError> {
        let mut tx = self.begin()?;
        let mut row = row(&tx, incident)?;
        let Some(append) = turn(read_entries(&tx, incident, known)?) else { return Ok(Appended::default()) };
        let appended = append_rows(&mut tx, &mut row, &append)?;
        tx.commit().map_err(io("write to"))?;
        Ok(appended)
    }

    fn entries(&mut self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError> {
        read_entries(&self.connection, incident, after)
    }

    fn list(&mut self) -> Result<Vec<Summary>, JournalError> {
        let mut statement =
            self.connection.prepare_cached("SELECT head FROM incident ORDER BY number DESC").map_err(io("read"))?;
        let rows = statement.query_map([], |r| r.get::<_, String>(0)).map_err(io("read"))?;
        rows.map(|head| serde_json::from_str(&head.map_err(io("read"))?).map_err(json("read"))).collect()
    }

    fn body(&mut self, digest: &str) -> Result<Option<Body>, JournalError> {
        match read_body(&self.connection, digest)? {
            Some(json_text) => serde_json::from_str(&json_text).map(Some).map_err(json("read")),
            None => Ok(None),
        }
    }

    fn raw(&mut self, incident: IncidentId) -> Result<Vec<RawEntry>, JournalError> {
        let raw = read_raw(&self.connection, incident, 0)?;
        if raw.is_empty() { Err(JournalError::NoSuchIncident(incident)) } else { Ok(raw) }
    }

    fn raw_body(&mut self, digest: &str) -> Result<Option<String>, JournalError> {
        read_body(&self.connection, digest)
    }

    fn import(&mut self, incident: IncidentId, entries: &[RawEntry], bodies: &[StoredBody]) -> Result<Import, JournalError> {
        let mut tx = self.begin()?;
        let have = read_raw(&tx, incident, 0)?;
        let missing = super::missing(incident, &have, entries)?;
        let all = chain::read_all(incident, entries)?;
        for raw in missing {
            tx.execute(
                "INSERT INTO entry (incident, seq, text, hash) VALUES (?1, ?2, ?3, ?4)",
                params![incident.0, number(raw.seq), raw.text, raw.hash],
            )
            .map_err(io("write to"))?;
        }
        for entry in all.iter().skip(have.len()) {
            if let crate::incident::Fact::EvidenceAttached { evidence } = &entry.fact {
                tx.put_evidence(incident, &commit::identity(evidence), evidence.id.0)?;
            }
        }
        write_bodies(&tx, bodies)?;
        reserve_number(&tx, incident, false)?;
        for other in all.iter().filter_map(|e| e.fact.related_incident()) {
            reserve_number(&tx, other, true)?;
        }
        if let Some(folded) = Incident::fold(all).filter(|_| !missing.is_empty()) {
            write_row(&tx, &super::row_of(&folded))?;
        }
        tx.commit().map_err(io("write to"))?;
        Ok(Import { incident, added: missing.len(), already_present: have.len() })
    }

    fn purge(&mut self, purge: &Purge) -> Result<(), JournalError> {
        let tx = self.begin()?;
        for id in &purge.incidents {
            let n = id.0;
            tx.execute(
                "INSERT INTO purged (number, last_seq, last_hash, note) SELECT number, last_seq, last_hash, ?2 FROM incident WHERE number = ?1
                 ON CONFLICT (number) DO UPDATE SET last_seq = excluded.last_seq, last_hash = excluded.last_hash, note = excluded.note",
                params![n, purge.note],
            )
            .map_err(io("write to"))?;
            for sql in [
                "DELETE FROM incident WHERE number = ?1",
                "DELETE FROM entry WHERE incident = ?1",
                "DELETE FROM evidence WHERE incident = ?1",
            ] {
                tx.execute(sql, [n]).map_err(io("write to"))?;
            }
        }
        let used = used_digests(&tx)?;
        let all: Vec<String> = {
            let mut s = tx.prepare("SELECT digest FROM body").map_err(io("read"))?;
            let rows = s.query_map([], |r| r.get(0)).map_err(io("read"))?;
            rows.collect::<Result<_, _>>().map_err(io("read"))?
        };
        for digest in all.iter().filter(|d| !used.contains(*d)) {
            tx.execute("DELETE FROM body WHERE digest = ?1", [digest]).map_err(io("write to"))?;
        }
        tx.commit().map_err(io("write to"))?;
        // Shrink the file, and truncate the log, which still contains the old pages.
        self.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").map_err(io("write to"))
    }

    fn verify(&mut self) -> Result<Verification, JournalError> {
        // Use one snapshot, so that concurrent writes and purges do not look like damage.
        let tx = self.connection.transaction().map_err(io("read"))?;
        let mut inspection = Inspection::default();
        let rows: Vec<(u32, i64, String, String)> = {
            let sql = "SELECT number, last_seq, last_hash, head FROM incident ORDER BY number";
            let mut s = tx.prepare(sql).map_err(io("read"))?;
            let rows = s.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))).map_err(io("read"))?;
            rows.collect::<Result<_, _>>().map_err(io("read"))?
        };
        for (incident, last_seq, last_hash, head) in rows {
            let (incident, last_seq) = (IncidentId(incident), u64::try_from(last_seq).unwrap_or(0));
            let raw = read_raw(&tx, incident, 0)?;
            inspection.incident(incident, &raw, (last_seq, &last_hash, &head));
        }
        let sql = "SELECT DISTINCT incident FROM entry WHERE incident NOT IN (SELECT number FROM incident)";
        for incident in column::<u32>(&tx, sql)? {
            inspection.orphan(IncidentId(incident));
        }
        let sql = "SELECT number FROM number WHERE spoken = 0 AND number NOT IN (SELECT number FROM incident)
                   AND number NOT IN (SELECT incident FROM entry) AND number NOT IN (SELECT number FROM purged)";
        for incident in column::<u32>(&tx, sql)? {
            inspection.vanished(IncidentId(incident));
        }
        for digest in column::<String>(&tx, "SELECT digest FROM body ORDER BY digest")? {
            let read = read_body(&tx, &digest);
            inspection.body(digest, read);
        }
        let purged = column::<i64>(&tx, "SELECT count(*) FROM purged")?;
        Ok(inspection.finish(purged.first().copied().unwrap_or(0).unsigned_abs()))
    }

    fn version(&mut self) -> Result<i64, JournalError> {
        // `data_version` changes only with commits of other connections. Add the changes of this connection, so that entries
        // that this process writes in the background are noticed as well. Neither number ever decreases.
        let others: i64 = self.connection.pragma_query_value(None, "data_version", |r| r.get(0)).map_err(io("read"))?;
        Ok(others.saturating_add_unsigned(self.connection.total_changes()))
    }

    fn purged_note(&mut self, incident: IncidentId) -> Result<Option<String>, JournalError> {
        self.connection
            .query_row("SELECT note FROM purged WHERE number = ?1", [incident.0], |r| r.get(0))
            .optional()
            .map_err(io("read"))
    }

    fn status(&mut self) -> super::StoreStatus {
        super::StoreStatus { read_only: self.frozen.as_ref().map(|f| f.why.clone()), ..super::StoreStatus::default() }
    }
}

/// The values of a query with one column.
fn column<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> Result<Vec<T>, JournalError> {
    let mut statement = connection.prepare(sql).map_err(io("read"))?;
    let rows = statement.query_map([], |r| r.get(0)).map_err(io("read"))?;
    rows.collect::<Result<_, _>>().map_err(io("read"))
}

/// Writes the entries and bodies of an append, and updates the incident's row.
fn append_rows(tx: &mut Transaction<'_>, row: &mut Row, append: &Append) -> Result<Appended, JournalError> {
    let mut appended = Appended::default();
    for new in &append.entries {
        let fact = new.fact.get().clone();
        appended.entries.extend(commit::next(tx, row, new.stamp(), fact, &mut appended.evidence)?);
    }
    if !appended.entries.is_empty() {
        write_bodies(tx, &append.bodies)?;
        write_row(tx, row)?;
    }
    Ok(appended)
}

/// Reserves an incident number because it was assigned or, with `is_mention`, because an imported entry mentions it.
fn reserve_number(tx: &Transaction<'_>, incident: IncidentId, is_mention: bool) -> Result<(), JournalError> {
    let sql = "INSERT INTO number (number, spoken) VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET spoken = min(spoken, ?2)";
    tx.execute(sql, params![incident.0, i64::from(is_mention)]).map(|_| ()).map_err(io("write to"))
}

/// The next free incident number: one that was never assigned and that no imported incident mentions.
fn next_number(tx: &Transaction<'_>) -> Result<IncidentId, JournalError> {
    let sql = "SELECT coalesce(max(number), 0) + 1 FROM (SELECT number FROM incident UNION ALL SELECT number FROM purged UNION ALL SELECT number FROM number)";
    tx.query_row(sql, [], |r| r.get(0)).map(IncidentId).map_err(io("read"))
}

/// The digests of all evidence bodies that entries refer to.
fn used_digests(tx: &Transaction<'_>) -> Result<std::collections::BTreeSet<String>, JournalError> {
    let sql = "SELECT json_extract(text, '$.fact.evidence.digest') FROM entry WHERE json_extract(text, '$.fact.kind') = 'evidence_attached'
               UNION SELECT json_extract(text, '$.fact.answer.sent') FROM entry WHERE json_extract(text, '$.fact.kind') = 'ai_run'";
    let mut statement = tx.prepare(sql).map_err(io("read"))?;
    let rows = statement.query_map([], |r| r.get::<_, Option<String>>(0)).map_err(io("read"))?;
    let digests: Vec<Option<String>> = rows.collect::<Result<_, _>>().map_err(io("read"))?;
    Ok(digests.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
