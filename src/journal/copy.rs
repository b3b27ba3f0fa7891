//! This machine's copy of a shared store, to read from while the store is unreachable, and the outbox of entries that have
//! not been merged into the store yet. One SQLite file per store, shared by all instances on this machine. [`repair`]
//! replaces a damaged copy.

mod repair;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::commit::json;
use super::sqlite::{create_private, io, number, read_body, read_raw, retry_while_busy, write_bodies};
use super::{JournalError, NewEntry, RawEntry, Stamp};
use crate::evidence::body::StoredBody;
use crate::incident::ids::{LOCAL_SEQ, parse_seq, seq_label};
use crate::incident::renumber::Renumbering;
use crate::incident::{Actor, Entry, Fact, IncidentId, Summary};
use crate::telemetry::Timestamp;

/// The schema of this version, with one file in `migrations/copy` per step.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/copy/0001_copy.sql")];
/// How long a writer waits for the lock of another process.
const BUSY: Duration = Duration::from_secs(10);

/// Configures the connection, migrates the schema, and checks that the tables are readable.
fn prepare(connection: &mut Connection, path: &str) -> Result<(), JournalError> {
    let open = |e: rusqlite::Error| JournalError::Open { path: path.to_owned(), source: e.into() };
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(open)?;
    connection.pragma_update(None, "secure_delete", "ON").map_err(open)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(open)?;
    let found: i64 = tx.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(open)?;
    if found > known {
        return Err(JournalError::Newer { path: path.to_owned(), found, known });
    }
    for step in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        tx.execute_batch(step).map_err(open)?;
    }
    tx.pragma_update(None, "user_version", known).map_err(open)?;
    // A current schema version without its tables is damage as well.
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table'
               AND name IN ('incident', 'entry', 'body', 'outbox', 'renumbered', 'meta', 'alias', 'counter')";
    if tx.query_row(sql, [], |r| r.get::<_, i64>(0)).map_err(open)? < 8 {
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(open(rusqlite::Error::SqliteFailure(error, Some("tables are missing".to_owned()))));
    }
    for table in ["outbox", "meta", "alias", "renumbered", "counter"] {
        let _rows: i64 = tx.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).map_err(open)?;
    }
    tx.commit().map_err(open)
}

/// An entry that is waiting to be merged.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// The position in the outbox.
    pub(super) place: u64,
    pub(super) uid: String,
    pub(super) at: Timestamp,
    pub(super) recorded_at: Timestamp,
    pub(super) actor: Actor,
    pub(super) fact: Fact,
}

impl Pending {
    pub(super) fn stamp(&self) -> Stamp<'_> {
        Stamp { at: self.at, recorded_at: self.recorded_at, actor: &self.actor, uid: &self.uid }
    }

    /// The temporary sequence number.
    pub(super) fn seq(&self) -> u64 {
        LOCAL_SEQ + self.place
    }

    /// Converts it to an entry that sorts after all merged ones. It has no hash, because it is not part of a chain yet.
    pub(super) fn entry(self, incident: IncidentId) -> Entry {
        let seq = self.seq();
        Entry {
            incident,
            seq,
            at: self.at,
            recorded_at: self.recorded_at,
            actor: self.actor,
            fact: self.fact,
            hash: String::new(),
        }
    }
}

/// An incident's row in the shared store.
#[derive(Clone, Debug)]
pub(super) struct HeadRow {
    pub(super) number: u32,
    pub(super) head: String,
    pub(super) last_seq: u64,
    pub(super) last_hash: String,
}

/// An open copy.
pub(super) struct Copy {
    connection: Connection,
    /// The path of the first generation.
    base: PathBuf,
    /// The generation of the open file. Each damaged file is replaced by a file of the next generation.
    generation: u32,
}

/// The file of a generation: `team-X.db`, `team-X.2.db`, …
fn generation_path(base: &Path, generation: u32) -> PathBuf {
    if generation < 2 { base.to_owned() } else { base.with_extension(format!("{generation}.db")) }
}

/// The newest generation that exists.
fn newest_generation(base: &Path) -> u32 {
    (2..u32::MAX).find(|n| !generation_path(base, *n).exists()).unwrap_or(2) - 1
}

impl Copy {
    /// Opens or creates the copy. Waits while another process sets it up. Replaces a damaged file, and then also returns a
    /// notice for the user.
    ///
    /// # Errors
    /// [`JournalError::Open`] if the file cannot be read or written, [`JournalError::Newer`] if a newer version wrote it.
    pub(super) fn open(base: &Path) -> Result<(Self, Option<String>), JournalError> {
        let generation = newest_generation(base);
        match Self::open_generation(base, generation) {
            Err(e) if e.is_damage() => repair::replace(base, generation),
            opened => opened.map(|copy| (copy, None)),
        }
    }

    fn open_generation(base: &Path, generation: u32) -> Result<Self, JournalError> {
        let path = generation_path(base, generation);
        create_private(&path).map_err(|e| JournalError::Open { path: path.display().to_string(), source: e.into() })?;
        Ok(Self { connection: Self::connect(&path)?, base: base.to_owned(), generation })
    }

    fn connect(path: &Path) -> Result<Connection, JournalError> {
        let shown = path.display().to_string();
        let fail = |e: rusqlite::Error| JournalError::Open { path: shown.clone(), source: e.into() };
        let mut connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(BUSY).map_err(fail)?;
        retry_while_busy(|| prepare(&mut connection, &shown))?;
        Ok(connection)
    }

    /// Opens the newest file if another process has replaced this one. Returns a notice for the user if that file is damaged
    /// as well.
    pub(super) fn refresh(&mut self) -> Result<Option<String>, JournalError> {
        if !generation_path(&self.base, self.generation + 1).exists() {
            return Ok(None);
        }
        let (copy, notice) = Self::open(&self.base)?;
        *self = copy;
        Ok(notice)
    }

    /// Replaces a file that has turned out to be damaged. Returns a notice for the user, unless another process has replaced
    /// it already.
    pub(super) fn repair(&mut self) -> Result<Option<String>, JournalError> {
        let (copy, notice) = repair::replace(&self.base, self.generation)?;
        *self = copy;
        Ok(notice)
    }

    /// The path of the open file.
    pub(super) fn path(&self) -> PathBuf {
        generation_path(&self.base, self.generation)
    }

    fn rows<T>(&self, sql: &str, read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>, JournalError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(io("read"))?;
        let rows = statement.query_map([], |r| read(r)).map_err(io("read"))?;
        rows.collect::<Result<_, _>>().map_err(io("read"))
    }

    /// The last sequence number of each incident at the last comparison with the shared store.
    pub(super) fn last_seqs(&self) -> Result<BTreeMap<u32, u64>, JournalError> {
        let rows = self.rows("SELECT number, last_seq FROM incident", |r| Ok((r.get(0)?, r.get::<_, i64>(1)?)))?;
        Ok(rows.into_iter().map(|(n, seq)| (n, u64::try_from(seq).unwrap_or(0))).collect())
    }

    /// The incidents of which anything has been copied.
    pub(super) fn copied_incidents(&self) -> Result<Vec<u32>, JournalError> {
        self.rows("SELECT number FROM incident UNION SELECT DISTINCT incident FROM entry", |r| r.get(0))
    }

    /// The copied summaries, newest first.
    pub(super) fn heads(&self) -> Result<Vec<Summary>, JournalError> {
        self.rows("SELECT head FROM incident ORDER BY number DESC", |r| r.get::<_, String>(0))?
            .into_iter()
            .map(|head| serde_json::from_str(&head).map_err(json("read")))
            .collect()
    }

    /// Writes rows of incidents, and deletes the copies of incidents that are `gone` from the shared store.
    pub(super) fn put_heads(&mut self, rows: &[HeadRow], gone: &[u32]) -> Result<(), JournalError> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(io("write to"))?;
        for row in rows {
            tx.prepare_cached("INSERT OR REPLACE INTO incident (number, head, last_seq, last_hash) VALUES (?1, ?2, ?3, ?4)")
                .and_then(|mut s| s.execute(params![row.number, row.head, number(row.last_seq), row.last_hash]))
                .map_err(io("write to"))?;
        }
        for n in gone {
            tx.execute("DELETE FROM incident WHERE number = ?1", [n]).map_err(io("write to"))?;
            tx.execute("DELETE FROM entry WHERE incident = ?1", [n]).map_err(io("write to"))?;
        }
        if !gone.is_empty() {
            // Delete the evidence of purged incidents as well.
            let sql = "DELETE FROM body WHERE digest NOT IN (
                 SELECT coalesce(json_extract(text, '$.fact.evidence.digest'), json_extract(text, '$.fact.answer.sent'), '') FROM entry
                 UNION SELECT coalesce(json_extract(fact, '$.evidence.digest'), json_extract(fact, '$.answer.sent'), '') FROM outbox)";
            tx.execute(sql, []).map_err(io("write to"))?;
        }
        tx.commit().map_err(io("write to"))?;
        if !gone.is_empty() {
            self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").map_err(io("write to"))?;
        }
        Ok(())
    }

    /// The id of the shared store that this is a copy of; `None` before the first connection.
    pub(super) fn store_id(&self) -> Result<Option<String>, JournalError> {
        self.connection.query_row("SELECT value FROM meta WHERE key = 'store'", [], |r| r.get(0)).optional().map_err(io("read"))
    }

    /// Makes this the copy of a store, and deletes everything that was copied from another store. Does nothing if it is that
    /// store's copy already: another process may have made it one, and filled it, since [`Self::store_id`] was read.
    pub(super) fn reset_for(&mut self, id: &str) -> Result<(), JournalError> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(io("write to"))?;
        let have: Option<String> =
            tx.query_row("SELECT value FROM meta WHERE key = 'store'", [], |r| r.get(0)).optional().map_err(io("read"))?;
        if have.as_deref() == Some(id) {
            return Ok(());
        }
        for table in ["incident", "entry", "body", "alias", "renumbered"] {
            tx.execute(&format!("DELETE FROM {table}"), []).map_err(io("write to"))?;
        }
        tx.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('store', ?1)", [id]).map_err(io("write to"))?;
        tx.commit().map_err(io("write to"))
    }

    /// The final number of each local id.
    pub(super) fn renumbering(&self) -> Result<Renumbering, JournalError> {
        let mut map = Renumbering::default();
        for (local, given) in
            self.rows("SELECT local, given FROM renumbered", |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)))?
        {
            match (local.starts_with('L').then(|| parse_seq(&local)).flatten(), given.parse()) {
                (Some(seq), Ok(number)) => {
                    map.seqs.insert(seq, number);
                }
                _ => {
                    map.ids.insert(local, given);
                }
            }
        }
        Ok(map)
    }

    /// The last copied sequence number of an incident; 0 if nothing has been copied.
    pub(super) fn last_copied_seq(&self, incident: IncidentId) -> Result<u64, JournalError> {
        self.connection
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM entry WHERE incident = ?1")
            .and_then(|mut s| s.query_row([incident.0], |r| r.get::<_, i64>(0)))
            .map(|n| u64::try_from(n).unwrap_or(0))
            .map_err(io("read"))
    }

    /// Adds copied entries. Existing ones are skipped.
    pub(super) fn put_entries(&mut self, incident: IncidentId, entries: &[RawEntry]) -> Result<(), JournalError> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(io("write to"))?;
        for e in entries {
            tx.prepare_cached("INSERT OR IGNORE INTO entry (incident, seq, text, hash) VALUES (?1, ?2, ?3, ?4)")
                .and_then(|mut s| s.execute(params![incident.0, number(e.seq), e.text, e.hash]))
                .map_err(io("write to"))?;
        }
        tx.commit().map_err(io("write to"))
    }

    /// Deletes the copied entries of an incident, so that they are copied again.
    pub(super) fn delete_entries(&mut self, incident: IncidentId) -> Result<(), JournalError> {
        self.connection.execute("DELETE FROM entry WHERE incident = ?1", [incident.0]).map(|_| ()).map_err(io("write to"))
    }

    pub(super) fn raw(&self, incident: IncidentId, after: u64) -> Result<Vec<RawEntry>, JournalError> {
        read_raw(&self.connection, incident, after)
    }

    pub(super) fn body(&self, digest: &str) -> Result<Option<String>, JournalError> {
        read_body(&self.connection, digest)
    }

    pub(super) fn put_bodies(&mut self, bodies: &[StoredBody]) -> Result<(), JournalError> {
        write_bodies(&self.connection, bodies)
    }

    /// The next local number of a counter. Committed immediately, so that it is never assigned twice.
    pub(super) fn next_local_number(&mut self, name: &str) -> Result<u32, JournalError> {
        self.connection
            .query_row(
                "INSERT INTO counter (name, next) VALUES (?1, 2) ON CONFLICT (name) DO UPDATE SET next = next + 1 RETURNING next - 1",
                [name],
                |r| r.get(0),
            )
            .map_err(io("write to"))
    }

    /// Adds entries to the outbox, each with its redacted fact with local numbers, and the evidence bodies that they refer to.
    pub(super) fn push(
        &mut self,
        incident: IncidentId,
        entries: &[(&NewEntry, Fact)],
        bodies: &[StoredBody],
    ) -> Result<Vec<Pending>, JournalError> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(io("write to"))?;
        write_bodies(&tx, bodies)?;
        // Another process may have merged the incident in the meantime.
        let number: Option<u32> = tx
            .query_row("SELECT number FROM alias WHERE local = ?1", [incident.0], |r| r.get(0))
            .optional()
            .map_err(io("read"))?;
        let incident = number.map_or(incident, IncidentId);
        let mut pushed = Vec::new();
        for (new, fact) in entries {
            let (actor, text) = (
                serde_json::to_string(&new.actor).map_err(json("write to"))?,
                serde_json::to_string(fact).map_err(json("write to"))?,
            );
            tx.prepare_cached("INSERT INTO outbox (uid, incident, at, recorded_at, actor, fact) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
                .and_then(|mut s| {
                    s.execute(params![new.uid, incident.0, new.at.rfc3339(), new.recorded_at.rfc3339(), actor, text])
                })
                .map_err(io("write to"))?;
            pushed.push(Pending {
                place: tx.last_insert_rowid().unsigned_abs(),
                uid: new.uid.clone(),
                at: new.at,
                recorded_at: new.recorded_at,
                actor: new.actor.clone(),
                fact: fact.clone(),
            });
        }
        tx.commit().map_err(io("write to"))?;
        Ok(pushed)
    }

    /// The waiting entries of an incident, in order.
    pub(super) fn pending(&self, incident: IncidentId) -> Result<Vec<Pending>, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT place, uid, at, recorded_at, actor, fact FROM outbox WHERE incident = ?1 ORDER BY place")
            .map_err(io("read"))?;
        let rows = statement
            .query_map([incident.0], |r| {
                Ok((
                    r.get::<_, i64>(0)?.unsigned_abs(),
                    r.get::<_, String>(1)?,
                    r.get::<_, String>(2)?,
                    r.get::<_, String>(3)?,
                    r.get::<_, String>(4)?,
                    r.get::<_, String>(5)?,
                ))
            })
            .map_err(io("read"))?;
        let time = |text: &str| Timestamp::parse(text).map_err(|e| JournalError::io("read", e));
        let mut pending = Vec::new();
        for row in rows {
            let (place, uid, at, recorded_at, actor, fact) = row.map_err(io("read"))?;
            pending.push(Pending {
                place,
                uid,
                at: time(&at)?,
                recorded_at: time(&recorded_at)?,
                actor: serde_json::from_str(&actor).map_err(json("read"))?,
                fact: serde_json::from_str(&fact).map_err(json("read"))?,
            });
        }
        Ok(pending)
    }

    /// The incidents with waiting entries, longest waiting first.
    pub(super) fn waiting_incidents(&self) -> Result<Vec<IncidentId>, JournalError> {
        self.rows("SELECT incident FROM outbox GROUP BY incident ORDER BY min(place)", |r| r.get(0).map(IncidentId))
    }

    /// The number of waiting entries.
    pub(super) fn waiting_count(&self) -> Result<u64, JournalError> {
        self.connection
            .prepare_cached("SELECT count(*) FROM outbox")
            .and_then(|mut s| s.query_row([], |r| r.get::<_, i64>(0)))
            .map(i64::unsigned_abs)
            .map_err(io("read"))
    }

    /// The final number of a local incident; `None` until it is merged.
    pub(super) fn assigned_number(&self, local: IncidentId) -> Result<Option<IncidentId>, JournalError> {
        self.connection
            .prepare_cached("SELECT number FROM alias WHERE local = ?1")
            .and_then(|mut s| s.query_row([local.0], |r| r.get(0).map(IncidentId)).optional())
            .map_err(io("read"))
    }

    /// Removes merged entries from the outbox and records the numbers that they got. Entries of a local incident that are
    /// still waiting move to its final number.
    pub(super) fn finish_merge(
        &mut self,
        incident: IncidentId,
        number: IncidentId,
        uids: &[String],
        map: &Renumbering,
    ) -> Result<(), JournalError> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(io("write to"))?;
        let seqs = map.seqs.iter().map(|(local, given)| (seq_label(*local), given.to_string()));
        for (local, given) in map.ids.clone().into_iter().chain(seqs) {
            tx.prepare_cached("INSERT OR IGNORE INTO renumbered (local, given) VALUES (?1, ?2)")
                .and_then(|mut s| s.execute([local, given]))
                .map_err(io("write to"))?;
        }
        for uid in uids {
            tx.prepare_cached("DELETE FROM outbox WHERE uid = ?1").and_then(|mut s| s.execute([uid])).map_err(io("write to"))?;
        }
        if incident != number {
            tx.execute("INSERT OR IGNORE INTO alias (local, number) VALUES (?1, ?2)", [incident.0, number.0])
                .map_err(io("write to"))?;
            tx.execute("UPDATE outbox SET incident = ?2 WHERE incident = ?1", [incident.0, number.0]).map_err(io("write to"))?;
        }
        tx.commit().map_err(io("write to"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_does_not_empty_a_copy_that_the_first_has_filled() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("team-x.db");
        let (mut first, _) = Copy::open(&base).unwrap();
        let (mut second, _) = Copy::open(&base).unwrap();
        // Both find a copy of no store.
        assert_eq!((first.store_id().unwrap(), second.store_id().unwrap()), (None, None));
        let row = || HeadRow { number: 7, head: "{}".to_owned(), last_seq: 3, last_hash: "h".to_owned() };
        first.reset_for("store").unwrap();
        first.put_heads(&[row()], &[]).unwrap();
        second.reset_for("store").unwrap();
        assert_eq!(first.last_seqs().unwrap(), BTreeMap::from([(7, 3)]));
        // The copy of another store is emptied.
        second.reset_for("another store").unwrap();
        assert!(first.last_seqs().unwrap().is_empty());
    }
}
