//! The PostgreSQL store that a team shares, with the same facts and chains as the SQLite store.
//!
//! All calls wait for a limited time. A server that cannot be reached, or cannot write, is reported as
//! [`JournalError::Unreachable`]; [`super::team`] then continues without it. Statements are sent together with their parameter
//! types, so that each takes one round trip and works through proxies that do not support prepared statements. `link`
//! connects; `transaction` contains the steps of a commit.

mod link;
mod transaction;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::commit::{self, Ledger, Row, json};
use super::copy::{HeadRow, Pending};
use super::inspection::Inspection;
use super::{Append, Appended, Import, JournalError, Purge, RawEntry, Turn, Verification, chain};
use crate::evidence::body::StoredBody;
use crate::incident::renumber::Renumbering;
use crate::incident::{Entry, Fact, Incident, IncidentId};
pub(super) use link::Link;
pub use link::{is_postgres, without_password};

/// The schema of this version, with one file in `migrations/postgres` per step.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/postgres/0001_journal.sql")];
/// The timeout of a statement. A healthy server answers in milliseconds; reading a long incident takes longest.
const STATEMENT: Duration = Duration::from_secs(10);
/// The key of the advisory lock: "WARROOM" in ASCII.
const LOCK: i64 = 0x0057_4152_524F_4F4D;
/// The channel on which writers send notifications.
pub(super) const CHANNEL: &str = "warroom";
/// How long someone counts as present after their last announcement.
const PRESENCE_TIMEOUT: &str = "30 seconds";

/// A statement parameter with its type.
type Typed<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection to the shared store, on the journal's thread.
pub(super) struct PgStore {
    link: Link,
    runtime: Runtime,
    client: Option<(Client, tokio::task::JoinHandle<()>)>,
}

impl PgStore {
    /// A store that is not connected yet.
    pub(super) fn new(link: Link) -> Result<Self, JournalError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| JournalError::io("open", e))?;
        Ok(Self { link, runtime, client: None })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.as_ref().is_some_and(|(c, _)| !c.is_closed())
    }

    /// Closes the connection immediately, which releases its locks.
    pub(super) fn disconnect(&mut self) {
        if let Some((client, driver)) = self.client.take() {
            drop(client);
            driver.abort();
            // The driver runs on this runtime, which makes progress only while something waits on it.
            self.runtime.block_on(async {
                let _aborted = tokio::time::timeout(Duration::from_millis(200), driver).await;
            });
        }
    }

    /// Connects and migrates the schema. Waits for a few seconds at most.
    pub(super) fn connect(&mut self) -> Result<(), JournalError> {
        self.disconnect();
        self.client = Some(self.runtime.block_on(self.link.connect(None))?);
        // Do not leave a connection open that looks usable but is not.
        let ready = self.settings().and_then(|()| self.migrate());
        if ready.is_err() {
            self.disconnect();
        }
        ready
    }

    /// The id of the store, which was assigned when it was created.
    pub(super) fn store_id(&mut self) -> Result<String, JournalError> {
        let rows = self.rows("SELECT value FROM warroom.meta WHERE key = 'store'", &[])?;
        rows.first().map_or_else(|| Ok("unnamed".to_owned()), |r| text_at(r, 0))
    }

    /// The numbers of purged incidents.
    pub(super) fn purged(&mut self) -> Result<std::collections::BTreeSet<u32>, JournalError> {
        self.rows("SELECT number FROM warroom.purged", &[])?.iter().map(|r| u32_at(r, 0)).collect()
    }

    /// Sets the session parameters.
    fn settings(&mut self) -> Result<(), JournalError> {
        // The timeouts of the server are shorter than those of the client, and locks of a client that is gone are released.
        let sql = "SET statement_timeout = '9s'; SET lock_timeout = '8s'; SET idle_in_transaction_session_timeout = '15s'; \
                   SET synchronous_commit = on; SET client_min_messages = warning";
        self.run(|_, client| async move { client.batch_execute(sql).await })
    }

    /// Migrates the schema to this version.
    fn migrate(&mut self) -> Result<(), JournalError> {
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        let found = self.schema()?;
        if found == known {
            return Ok(());
        }
        if found > known {
            return Err(JournalError::Newer { path: self.link.shown.clone(), found, known });
        }
        self.transaction(|tx| {
            tx.batch(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?;
            // Do not create a schema that exists: the user may not have the permission to.
            let exists = tx.rows("SELECT to_regnamespace('warroom') IS NOT NULL", &[])?;
            if !exists.first().and_then(|r| r.try_get::<_, bool>(0).ok()).unwrap_or(false) {
                tx.batch("CREATE SCHEMA warroom")?;
            }
            tx.batch("CREATE TABLE IF NOT EXISTS warroom.meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")?;
            let name = uuid::Uuid::now_v7().to_string();
            let sql = "INSERT INTO warroom.meta (key, value) VALUES ('store', $1) ON CONFLICT (key) DO NOTHING";
            tx.execute(sql, &[(&name, Type::TEXT)])?;
            // Another process may have migrated while this one waited for the lock.
            let rows = tx.rows("SELECT value FROM warroom.meta WHERE key = 'schema'", &[])?;
            let at: usize = rows.first().and_then(|r| r.try_get::<_, String>(0).ok()).and_then(|v| v.parse().ok()).unwrap_or(0);
            for step in MIGRATIONS.iter().skip(at) {
                tx.batch(step)?;
            }
            let value = known.max(i64::try_from(at).unwrap_or(0)).to_string();
            let sql = "INSERT INTO warroom.meta (key, value) VALUES ('schema', $1) ON CONFLICT (key) DO UPDATE SET value = $1";
            tx.execute(sql, &[(&value, Type::TEXT)]).map(|_| ())
        })
    }

    /// The version of the schema; 0 before the first step.
    fn schema(&mut self) -> Result<i64, JournalError> {
        let exists = self.rows("SELECT to_regclass('warroom.meta') IS NOT NULL", &[])?;
        if !exists.first().and_then(|r| r.try_get::<_, bool>(0).ok()).unwrap_or(false) {
            return Ok(0);
        }
        let rows = self.rows("SELECT value FROM warroom.meta WHERE key = 'schema'", &[])?;
        Ok(rows.first().and_then(|r| r.try_get::<_, String>(0).ok()).and_then(|v| v.parse().ok()).unwrap_or(0))
    }

    /// Runs a request with a timeout.
    fn run<'s, T, F>(&'s mut self, work: impl FnOnce(&'s Link, &'s Client) -> F) -> Result<T, JournalError>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>> + 's,
    {
        let Self { link, runtime, client } = self;
        let link: &Link = link;
        let Some((open, _)) = client.as_ref() else { return Err(link.away("not connected")) };
        let result = runtime.block_on(async { tokio::time::timeout(STATEMENT, work(link, open)).await });
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(link.error(&e, "read")),
            Err(_late) => Err(link.away(format!("no answer within {} s", STATEMENT.as_secs()))),
        }
    }

    /// Closes the connection if a result says that the server is unreachable.
    pub(super) fn drop_if_away<T>(&mut self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        if matches!(result, Err(JournalError::Unreachable { .. })) {
            self.disconnect();
        }
        result
    }

    fn rows(&mut self, sql: &str, params: &[Typed<'_>]) -> Result<Vec<tokio_postgres::Row>, JournalError> {
        self.run(|_, client| client.query_typed(sql, params))
    }

    /// See [`super::Store::create`].
    pub(super) fn create(&mut self, append: &Append, map: &Renumbering) -> Result<Vec<Entry>, JournalError> {
        self.transaction(|tx| {
            let incident = tx.next_number()?;
            let mut entries = Vec::new();
            let mut state: Option<Row> = None;
            for new in &append.entries {
                let fact = map.apply(new.fact.get()).map_err(json("write to"))?;
                if let Some(row) = &mut state {
                    entries.extend(commit::next(tx, row, new.stamp(), fact, &mut Vec::new())?);
                } else {
                    let (row, entry) = commit::first(tx, incident, new.stamp(), fact)?;
                    state = Some(row);
                    entries.push(entry);
                }
            }
            tx.put_bodies(&append.bodies)?;
            if let Some(row) = &state {
                tx.put_row(row)?;
                tx.reserve_number(incident, false)?;
            }
            tx.notify(incident)?;
            Ok(entries)
        })
    }

    /// See [`super::Store::append`]. `map` holds the final numbers of local ids, because new entries may still refer to `EL1`.
    pub(super) fn append(
        &mut self,
        incident: IncidentId,
        expected: u64,
        append: &Append,
        map: &Renumbering,
    ) -> Result<Appended, JournalError> {
        self.transaction(|tx| {
            let mut row = tx.row(incident)?;
            if row.last_seq != expected {
                return Err(JournalError::Conflict { incident, expected, found: row.last_seq });
            }
            tx.append_rows(&mut row, append, map)
        })
    }

    /// See [`super::Store::append_in_turn`]. Leaves the append in `made`, so that the caller can keep it if the server is
    /// unreachable.
    pub(super) fn append_in_turn(
        &mut self,
        incident: IncidentId,
        known: u64,
        turn: &mut Turn<'_>,
        made: &mut Option<Append>,
        map: &Renumbering,
    ) -> Result<Appended, JournalError> {
        self.transaction(|tx| {
            let mut row = tx.row(incident)?;
            let raw = tx.raw(incident, known)?;
            *made = turn(chain::read_all(incident, &raw)?);
            match made {
                Some(append) => tx.append_rows(&mut row, append, map),
                None => Ok(Appended::default()),
            }
        })
    }

    /// Merges waiting entries: assigns their numbers and links them to the end of the chain. Entries that are already in the
    /// store, because the answer to their commit was lost, are not written again. A local incident gets its final number,
    /// which is returned.
    pub(super) fn merge(
        &mut self,
        incident: IncidentId,
        pending: &[Pending],
        bodies: &[StoredBody],
        map: &mut Renumbering,
    ) -> Result<IncidentId, JournalError> {
        self.transaction(|tx| {
            let uids: Vec<String> = pending.iter().map(|p| p.uid.clone()).collect();
            // Take the lock before reading, because another process of the same machine may be merging the same entries.
            let mut row = if incident.is_local() { None } else { Some(tx.row(incident)?) };
            let next = if incident.is_local() { tx.next_number()? } else { incident };
            let found = tx.found(&uids)?;
            let mut number = incident;
            for p in pending {
                let fact = map.apply(&p.fact).map_err(json("write to"))?;
                let mut assigned = Vec::new();
                let entry = match (found.get(&p.uid), &mut row) {
                    (Some(entry), _) => Some(entry.clone()),
                    (None, Some(row)) => commit::next(tx, row, p.stamp(), fact, &mut assigned)?,
                    (None, None) => {
                        let (new, entry) = commit::first(tx, next, p.stamp(), fact)?;
                        row = Some(new);
                        Some(entry)
                    }
                };
                if let Some(entry) = &entry {
                    number = entry.incident;
                    if row.is_none() {
                        row = Some(tx.row(number)?);
                    }
                }
                record_numbers(map, p, entry.as_ref(), &assigned);
            }
            map.ids.insert(incident.to_string(), number.to_string());
            tx.put_bodies(bodies)?;
            if let Some(row) = &row {
                tx.put_row(row)?;
                tx.reserve_number(number, false)?;
            }
            tx.notify(number)?;
            Ok(number)
        })
    }

    /// The last sequence number of each incident.
    pub(super) fn last_seqs(&mut self) -> Result<BTreeMap<u32, u64>, JournalError> {
        let rows = self.rows("SELECT number, last_seq FROM warroom.incident", &[])?;
        rows.iter().map(|r| Ok((u32_at(r, 0)?, u64_at(r, 1)?))).collect()
    }

    /// The rows of some incidents.
    pub(super) fn heads(&mut self, numbers: &[u32]) -> Result<Vec<HeadRow>, JournalError> {
        let numbers: Vec<i64> = numbers.iter().map(|n| i64::from(*n)).collect();
        let sql = "SELECT number, head, last_seq, last_hash FROM warroom.incident WHERE number = ANY($1)";
        let rows = self.rows(sql, &[(&numbers, Type::INT8_ARRAY)])?;
        rows.iter()
            .map(|r| {
                Ok(HeadRow { number: u32_at(r, 0)?, head: text_at(r, 1)?, last_seq: u64_at(r, 2)?, last_hash: text_at(r, 3)? })
            })
            .collect()
    }

    /// The entries after a number as stored, in order.
    pub(super) fn raw(&mut self, incident: IncidentId, after: u64) -> Result<Vec<RawEntry>, JournalError> {
        // Read in batches, so that a long incident over a slow connection does not exceed the timeout of a statement.
        const BATCH: i64 = 20_000;
        let mut all: Vec<RawEntry> = Vec::new();
        loop {
            let from = to_i64(all.last().map_or(after, |e| e.seq));
            let sql = "SELECT seq, text, hash FROM warroom.entry WHERE incident = $1 AND seq > $2 ORDER BY seq LIMIT $3";
            let number = i64::from(incident.0);
            let rows = self.rows(sql, &[(&number, Type::INT8), (&from, Type::INT8), (&BATCH, Type::INT8)])?;
            let is_full = i64::try_from(rows.len()).unwrap_or(0) == BATCH;
            for r in &rows {
                all.push(RawEntry { seq: u64_at(r, 0)?, text: text_at(r, 1)?, hash: text_at(r, 2)? });
            }
            if !is_full {
                return Ok(all);
            }
        }
    }

    /// The JSON of an evidence body; `None` if it is not in the store.
    pub(super) fn body(&mut self, digest: &str) -> Result<Option<String>, JournalError> {
        let rows = self.rows("SELECT zstd FROM warroom.body WHERE digest = $1", &[(&digest, Type::TEXT)])?;
        rows.first()
            .map(|r| r.try_get::<_, Vec<u8>>(0).map_err(unexpected_shape).and_then(|packed| super::unpack_body(&packed)))
            .transpose()
    }

    /// Checks all chains, all rows of the list and all digests.
    pub(super) fn verify(&mut self) -> Result<Verification, JournalError> {
        // Use one snapshot, so that concurrent writes and purges do not look like damage.
        self.run(|_, c| async move { c.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await })?;
        let inspected = self.inspect();
        let ended = self.run(|_, c| async move { c.batch_execute("ROLLBACK").await });
        inspected.and_then(|found| ended.map(|()| found))
    }

    fn inspect(&mut self) -> Result<Verification, JournalError> {
        let mut inspection = Inspection::default();
        let incidents = self.rows("SELECT number, last_seq, last_hash, head FROM warroom.incident ORDER BY number", &[])?;
        for r in &incidents {
            let (incident, last_seq) = (IncidentId(u32_at(r, 0)?), u64_at(r, 1)?);
            let raw = self.raw(incident, 0)?;
            inspection.incident(incident, &raw, (last_seq, &text_at(r, 2)?, &text_at(r, 3)?));
        }
        let orphans = "SELECT DISTINCT incident FROM warroom.entry WHERE incident NOT IN (SELECT number FROM warroom.incident)";
        for r in self.rows(orphans, &[])? {
            inspection.orphan(IncidentId(u32_at(&r, 0)?));
        }
        let gone = "SELECT number FROM warroom.number WHERE spoken = 0 AND number NOT IN (SELECT number FROM warroom.incident)
                    AND number NOT IN (SELECT incident FROM warroom.entry) AND number NOT IN (SELECT number FROM warroom.purged)";
        for r in self.rows(gone, &[])? {
            inspection.vanished(IncidentId(u32_at(&r, 0)?));
        }
        for r in self.rows("SELECT digest FROM warroom.body ORDER BY digest", &[])? {
            let digest = text_at(&r, 0)?;
            match self.body(&digest) {
                Err(e @ JournalError::Unreachable { .. }) => return Err(e),
                read => inspection.body(digest, read),
            }
        }
        let purged = self.rows("SELECT count(*) FROM warroom.purged", &[])?;
        Ok(inspection.finish(purged.first().map(|r| u64_at(r, 0)).transpose()?.unwrap_or(0)))
    }

    /// See [`super::Store::import`].
    pub(super) fn import(
        &mut self,
        incident: IncidentId,
        entries: &[RawEntry],
        bodies: &[StoredBody],
    ) -> Result<Import, JournalError> {
        let all = chain::read_all(incident, entries)?;
        let folded = Incident::fold(all.clone()).ok_or(JournalError::NoSuchIncident(incident))?;
        self.transaction(|tx| {
            tx.check_schema()?;
            tx.batch(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?;
            let have = tx.raw(incident, 0)?;
            let missing = super::missing(incident, &have, entries)?;
            for (raw, entry) in missing.iter().zip(all.iter().skip(have.len())) {
                // Imported entries have no uid. Use their hash instead.
                tx.put_entry(entry, &raw.hash, &raw.text)?;
                if let Fact::EvidenceAttached { evidence } = &entry.fact {
                    tx.put_evidence(incident, &commit::identity(evidence), evidence.id.0)?;
                }
            }
            tx.put_bodies(bodies)?;
            tx.reserve_number(incident, false)?;
            for other in all.iter().filter_map(|e| e.fact.related_incident()) {
                tx.reserve_number(other, true)?;
            }
            if !missing.is_empty() {
                tx.put_row(&super::row_of(&folded))?;
                tx.notify(incident)?;
            }
            Ok(Import { incident, added: missing.len(), already_present: have.len() })
        })
    }

    /// See [`super::Store::purge`].
    pub(super) fn purge(&mut self, purge: &Purge) -> Result<(), JournalError> {
        // Searching all entries for references to evidence bodies may take long.
        self.transaction_within(Duration::from_mins(5), |tx| {
            tx.check_schema()?;
            tx.batch("SET LOCAL statement_timeout = '290s'")?;
            for id in &purge.incidents {
                let n = i64::from(id.0);
                let params: [Typed<'_>; 2] = [(&n, Type::INT8), (&purge.note, Type::TEXT)];
                let sql = "INSERT INTO warroom.purged (number, last_seq, last_hash, note) SELECT number, last_seq, last_hash, $2 FROM warroom.incident WHERE number = $1 FOR UPDATE
                           ON CONFLICT (number) DO UPDATE SET last_seq = excluded.last_seq, last_hash = excluded.last_hash, note = excluded.note";
                tx.execute(sql, &params)?;
                for table in ["incident WHERE number", "entry WHERE incident", "evidence WHERE incident"] {
                    tx.execute(&format!("DELETE FROM warroom.{table} = $1"), &[(&n, Type::INT8)])?;
                }
            }
            let used = "SELECT coalesce(text::jsonb #>> '{fact,evidence,digest}', text::jsonb #>> '{fact,answer,sent}') FROM warroom.entry
                        WHERE text LIKE '%\"kind\":\"evidence_attached\"%' OR text LIKE '%\"kind\":\"ai_run\"%'";
            tx.execute(&format!("DELETE FROM warroom.body WHERE digest NOT IN (SELECT d FROM ({used}) AS used(d) WHERE d IS NOT NULL)"), &[])?;
            purge.incidents.first().map_or(Ok(()), |id| tx.notify(*id))
        })
    }

    /// See [`super::Store::purged_note`].
    pub(super) fn purged_note(&mut self, incident: IncidentId) -> Result<Option<String>, JournalError> {
        let rows = self.rows("SELECT note FROM warroom.purged WHERE number = $1", &[(&i64::from(incident.0), Type::INT8)])?;
        rows.first().map(|r| text_at(r, 0)).transpose()
    }

    /// See [`super::Store::presence`].
    pub(super) fn presence(
        &mut self,
        session: &str,
        name: &str,
        incident: Option<IncidentId>,
    ) -> Result<Vec<String>, JournalError> {
        let Some(incident) = incident else {
            let sql = "DELETE FROM warroom.presence WHERE session = $1 OR seen_at < now() - interval '1 hour'";
            let gone = self.run(|_, c| async move { c.execute_typed(sql, &[(&session, Type::TEXT)]).await })?;
            if gone > 0 {
                self.announce("presence")?;
            }
            return Ok(Vec::new());
        };
        let number = i64::from(incident.0);
        let sql = "INSERT INTO warroom.presence AS p (session, name, incident) VALUES ($1, $2, $3)
                   ON CONFLICT (session) DO UPDATE SET name = $2, incident = $3, seen_at = now()
                   RETURNING (xmax = 0)";
        let params: [Typed<'_>; 3] = [(&session, Type::TEXT), (&name, Type::TEXT), (&number, Type::INT8)];
        let rows = self.rows(sql, &params)?;
        if rows.first().and_then(|r| r.try_get::<_, bool>(0).ok()).unwrap_or(false) {
            self.announce("presence")?;
        }
        let sql = format!(
            "SELECT DISTINCT name FROM warroom.presence WHERE incident = $1 AND session <> $2 AND seen_at > now() - interval '{PRESENCE_TIMEOUT}' ORDER BY name"
        );
        let rows = self.rows(&sql, &[(&number, Type::INT8), (&session, Type::TEXT)])?;
        rows.iter().map(|r| text_at(r, 0)).collect()
    }

    /// Sends a notification.
    fn announce(&mut self, what: &str) -> Result<(), JournalError> {
        self.rows("SELECT pg_notify($1, $2)", &[(&CHANNEL, Type::TEXT), (&what, Type::TEXT)]).map(|_| ())
    }
}

/// Records the numbers that a merged entry got. `entry` is `None` if its evidence already existed; `assigned` then holds the
/// evidence number.
fn record_numbers(map: &mut Renumbering, p: &Pending, entry: Option<&Entry>, assigned: &[crate::incident::EvidenceId]) {
    if let Some(entry) = entry {
        map.seqs.insert(p.seq(), entry.seq);
    }
    match (&p.fact, entry.map(|e| &e.fact)) {
        (Fact::EvidenceAttached { evidence: local }, Some(Fact::EvidenceAttached { evidence })) => {
            map.ids.insert(local.id.to_string(), evidence.id.to_string());
        }
        (Fact::EvidenceAttached { evidence: local }, None) => {
            if let Some(existing) = assigned.first() {
                map.ids.insert(local.id.to_string(), existing.to_string());
            }
        }
        (Fact::ActionAdded { id: local, .. }, Some(Fact::ActionAdded { id, .. })) => {
            map.ids.insert(local.to_string(), id.to_string());
        }
        _ => {}
    }
}

/// A number as PostgreSQL stores it.
fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The error for a column that does not have the expected type.
fn unexpected_shape(e: tokio_postgres::Error) -> JournalError {
    JournalError::io("read", format!("a table has an unexpected schema: {}", link::summary(&e)))
}

fn text_at(row: &tokio_postgres::Row, at: usize) -> Result<String, JournalError> {
    row.try_get(at).map_err(unexpected_shape)
}

fn u64_at(row: &tokio_postgres::Row, at: usize) -> Result<u64, JournalError> {
    row.try_get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or(0)).map_err(unexpected_shape)
}

fn u32_at(row: &tokio_postgres::Row, at: usize) -> Result<u32, JournalError> {
    row.try_get::<_, i64>(at).map(|n| u32::try_from(n).unwrap_or(u32::MAX)).map_err(unexpected_shape)
}
