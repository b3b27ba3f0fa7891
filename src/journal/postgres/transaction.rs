//! Transactions on the tables of the shared store.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::types::Type;
use tokio_postgres::{IsolationLevel, Transaction};

use super::super::commit::{self, Ledger, Row, json};
use super::super::{Append, Appended, JournalError, RawEntry, chain, pack_body};
use super::{CHANNEL, LOCK, Link, MIGRATIONS, PgStore, STATEMENT, Typed, text_at, to_i64, u32_at, u64_at};
use crate::evidence::body::StoredBody;
use crate::incident::renumber::Renumbering;
use crate::incident::{Entry, IncidentId, Summary};

impl PgStore {
    /// Runs `work` in a transaction, with the default timeout for each statement.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        self.transaction_within(STATEMENT, work)
    }

    /// Runs `work` in a transaction, with a timeout of `limit` for each statement.
    pub(super) fn transaction_within<T>(
        &mut self,
        limit: Duration,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let Self { link, runtime, client } = self;
        let Some((open, _)) = client.as_mut() else { return Err(link.away("not connected")) };
        let begun = runtime.block_on(async {
            // Read committed, so that a writer that waited for the row lock sees what the other writer has committed.
            let begin = open.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start();
            tokio::time::timeout(STATEMENT, begin).await
        });
        let transaction = match begun {
            Ok(Ok(tx)) => tx,
            Ok(Err(e)) => return Err(link.error(&e, "write to")),
            Err(_late) => return Err(link.away("no answer to BEGIN")),
        };
        let mut tx = Tx { link, runtime, transaction, limit };
        let result = work(&mut tx);
        let Tx { transaction, .. } = tx;
        let value = match result {
            Ok(value) => value,
            Err(e) => {
                // Roll back now rather than with the next request, because others may be waiting for the lock. If the server
                // does not answer, the caller closes the connection.
                runtime.block_on(async {
                    let _no_answer = tokio::time::timeout(Duration::from_secs(1), transaction.rollback()).await;
                });
                return Err(e);
            }
        };
        match runtime.block_on(async { tokio::time::timeout(STATEMENT, transaction.commit()).await }) {
            Ok(Ok(())) => Ok(value),
            Ok(Err(e)) => Err(link.error(&e, "write to")),
            Err(_late) => Err(link.away("no answer to COMMIT")),
        }
    }
}

/// An open transaction.
pub(super) struct Tx<'a> {
    link: &'a Link,
    runtime: &'a Runtime,
    transaction: Transaction<'a>,
    /// The timeout of a statement.
    limit: Duration,
}

impl Tx<'_> {
    /// Waits for a statement, with the timeout.
    fn wait<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, JournalError> {
        match self.runtime.block_on(async { tokio::time::timeout(self.limit, work).await }) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(self.link.error(&e, "write to")),
            Err(_late) => Err(self.link.away(format!("no answer within {} s", self.limit.as_secs()))),
        }
    }

    pub(super) fn rows(&self, sql: &str, params: &[Typed<'_>]) -> Result<Vec<tokio_postgres::Row>, JournalError> {
        self.wait(self.transaction.query_typed(sql, params))
    }

    pub(super) fn execute(&self, sql: &str, params: &[Typed<'_>]) -> Result<u64, JournalError> {
        self.wait(self.transaction.execute_typed(sql, params))
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), JournalError> {
        self.wait(self.transaction.batch_execute(sql))
    }

    /// Reserves an incident number because it was assigned or, with `is_mention`, because an imported entry mentions it.
    pub(super) fn reserve_number(&self, incident: IncidentId, is_mention: bool) -> Result<(), JournalError> {
        let sql = "INSERT INTO warroom.number AS n (number, spoken) VALUES ($1, $2)
                   ON CONFLICT (number) DO UPDATE SET spoken = least(n.spoken, excluded.spoken)";
        self.execute(sql, &[(&i64::from(incident.0), Type::INT8), (&i64::from(is_mention), Type::INT8)]).map(|_| ())
    }

    /// The next free incident number. Holds a lock until the commit, so that no one else gets the same number.
    pub(super) fn next_number(&self) -> Result<IncidentId, JournalError> {
        self.check_schema()?;
        self.batch(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?;
        let sql = "SELECT coalesce(max(number), 0) + 1 FROM (SELECT number FROM warroom.incident UNION ALL SELECT number FROM warroom.purged UNION ALL SELECT number FROM warroom.number) AS used";
        let rows = self.rows(sql, &[])?;
        rows.first().map_or(Ok(IncidentId(1)), |r| u32_at(r, 0).map(IncidentId))
    }

    /// Checks that no newer version has changed the schema since the connection was opened.
    pub(super) fn check_schema(&self) -> Result<(), JournalError> {
        let rows = self.rows("SELECT value FROM warroom.meta WHERE key = 'schema'", &[])?;
        let found: i64 = rows.first().and_then(|r| r.try_get::<_, String>(0).ok()).and_then(|v| v.parse().ok()).unwrap_or(0);
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known { Err(JournalError::Newer { path: self.link.shown.clone(), found, known }) } else { Ok(()) }
    }

    /// The row of an incident. Locks it until the commit, so that no one else appends to the incident.
    pub(super) fn row(&self, incident: IncidentId) -> Result<Row, JournalError> {
        let sql =
            "SELECT head, last_seq, last_hash, next_evidence, next_action, (SELECT value FROM warroom.meta WHERE key = 'schema')
                   FROM warroom.incident WHERE number = $1 FOR UPDATE";
        let number = i64::from(incident.0);
        let rows = self.rows(sql, &[(&number, Type::INT8)])?;
        let row = rows.first().ok_or(JournalError::NoSuchIncident(incident))?;
        let found: i64 = text_at(row, 5)?.parse().unwrap_or(0);
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(JournalError::Newer { path: self.link.shown.clone(), found, known });
        }
        Ok(Row {
            head: serde_json::from_str::<Summary>(&text_at(row, 0)?).map_err(json("read"))?,
            last_seq: u64_at(row, 1)?,
            last_hash: text_at(row, 2)?,
            next_evidence: u32_at(row, 3)?,
            next_action: u32_at(row, 4)?,
        })
    }

    /// Writes the row of an incident.
    pub(super) fn put_row(&self, row: &Row) -> Result<(), JournalError> {
        let head = serde_json::to_string(&row.head).map_err(json("write to"))?;
        let (number, last_seq) = (i64::from(row.head.id.0), to_i64(row.last_seq));
        let (evidence, action) = (i64::from(row.next_evidence), i64::from(row.next_action));
        let sql = "INSERT INTO warroom.incident (number, head, last_seq, last_hash, next_evidence, next_action) VALUES ($1, $2, $3, $4, $5, $6)
                   ON CONFLICT (number) DO UPDATE SET head = $2, last_seq = $3, last_hash = $4, next_evidence = $5, next_action = $6";
        let params: [Typed<'_>; 6] = [
            (&number, Type::INT8),
            (&head, Type::TEXT),
            (&last_seq, Type::INT8),
            (&row.last_hash, Type::TEXT),
            (&evidence, Type::INT8),
            (&action, Type::INT8),
        ];
        self.execute(sql, &params).map(|_| ())
    }

    /// Writes evidence bodies. Existing ones are skipped.
    pub(super) fn put_bodies(&self, bodies: &[StoredBody]) -> Result<(), JournalError> {
        for body in bodies {
            let packed = pack_body(&body.json)?;
            let sql = "INSERT INTO warroom.body (digest, zstd) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
            self.execute(sql, &[(&body.digest, Type::TEXT), (&packed, Type::BYTEA)])?;
        }
        Ok(())
    }

    /// Notifies the listeners that an incident has changed. Sent with the commit.
    pub(super) fn notify(&self, incident: IncidentId) -> Result<(), JournalError> {
        let payload = incident.to_string();
        self.rows("SELECT pg_notify($1, $2)", &[(&CHANNEL, Type::TEXT), (&payload, Type::TEXT)]).map(|_| ())
    }

    /// The existing entries with these uids, by uid.
    pub(super) fn found(&self, uids: &[String]) -> Result<BTreeMap<String, Entry>, JournalError> {
        let sql = "SELECT uid, text, hash FROM warroom.entry WHERE uid = ANY($1)";
        let rows = self.rows(sql, &[(&uids, Type::TEXT_ARRAY)])?;
        rows.iter()
            .map(|r| {
                let entry = chain::read(&text_at(r, 1)?, &text_at(r, 2)?).map_err(json("read"))?;
                Ok((text_at(r, 0)?, entry))
            })
            .collect()
    }

    /// Writes the entries and bodies of an append, and updates the incident's row. `map` holds the final numbers of local ids.
    pub(super) fn append_rows(&mut self, row: &mut Row, append: &Append, map: &Renumbering) -> Result<Appended, JournalError> {
        let mut appended = Appended::default();
        for new in &append.entries {
            let fact = map.apply(new.fact.get()).map_err(json("write to"))?;
            appended.entries.extend(commit::next(self, row, new.stamp(), fact, &mut appended.evidence)?);
        }
        if !appended.entries.is_empty() {
            self.put_bodies(&append.bodies)?;
            self.put_row(row)?;
            self.notify(row.head.id)?;
        }
        Ok(appended)
    }

    /// The entries after a number as stored, in order.
    pub(super) fn raw(&self, incident: IncidentId, after: u64) -> Result<Vec<RawEntry>, JournalError> {
        let (number, after) = (i64::from(incident.0), to_i64(after));
        let sql = "SELECT seq, text, hash FROM warroom.entry WHERE incident = $1 AND seq > $2 ORDER BY seq";
        let rows = self.rows(sql, &[(&number, Type::INT8), (&after, Type::INT8)])?;
        rows.iter().map(|r| Ok(RawEntry { seq: u64_at(r, 0)?, text: text_at(r, 1)?, hash: text_at(r, 2)? })).collect()
    }
}

impl Ledger for Tx<'_> {
    fn evidence(&mut self, incident: IncidentId, identity: &str) -> Result<Option<u32>, JournalError> {
        let number = i64::from(incident.0);
        let sql = "SELECT number FROM warroom.evidence WHERE incident = $1 AND identity = $2";
        let rows = self.rows(sql, &[(&number, Type::INT8), (&identity, Type::TEXT)])?;
        rows.first().map(|r| u32_at(r, 0)).transpose()
    }

    fn put_evidence(&mut self, incident: IncidentId, identity: &str, number: u32) -> Result<(), JournalError> {
        let (incident, number) = (i64::from(incident.0), i64::from(number));
        let sql = "INSERT INTO warroom.evidence (incident, identity, number) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        self.execute(sql, &[(&incident, Type::INT8), (&identity, Type::TEXT), (&number, Type::INT8)]).map(|_| ())
    }

    fn put_entry(&mut self, entry: &Entry, uid: &str, text: &str) -> Result<(), JournalError> {
        let (number, seq) = (i64::from(entry.incident.0), to_i64(entry.seq));
        let sql = "INSERT INTO warroom.entry (incident, seq, uid, text, hash) VALUES ($1, $2, $3, $4, $5)";
        let params: [Typed<'_>; 5] =
            [(&number, Type::INT8), (&seq, Type::INT8), (&uid, Type::TEXT), (&text, Type::TEXT), (&entry.hash, Type::TEXT)];
        self.execute(sql, &params).map(|_| ())
    }

    fn entries(&mut self, incident: IncidentId) -> Result<Vec<Entry>, JournalError> {
        chain::read_all(incident, &self.raw(incident, 0)?)
    }
}
