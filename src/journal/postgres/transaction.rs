//! Transactions: the tables of the shared store within one commit.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::types::Type;
use tokio_postgres::{IsolationLevel, Transaction};

use super::super::commit::{self, Ledger, Row, json};
use super::super::{Append, Appended, JournalError, RawEntry, chain, pack_body};
use super::{CHANNEL, LOCK, Link, MIGRATIONS, PgStore, STATEMENT, Typed, big, signed, small, text};
use crate::evidence::body::StoredBody;
use crate::incident::renumber::Renumbering;
use crate::incident::{Entry, IncidentId, Summary};

impl PgStore {
    /// A transaction: what `work` does is committed whole or not at all.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        self.transaction_within(STATEMENT, work)
    }

    /// The same, each statement within a limit of its own.
    pub(super) fn transaction_within<T>(
        &mut self,
        limit: Duration,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let Self { link, runtime, client } = self;
        let Some((open, _)) = client.as_mut() else { return Err(link.away("not connected")) };
        let begun = runtime.block_on(async {
            // Read committed: a writer that waited for the row then sees what the other wrote.
            let begin = open.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start();
            tokio::time::timeout(STATEMENT, begin).await
        });
        let transaction = match begun {
            Ok(Ok(tx)) => tx,
            Ok(Err(e)) => return Err(link.error(&e, "write to")),
            Err(_late) => return Err(link.away("no answer when a transaction began")),
        };
        let mut tx = Tx { link, runtime, transaction, limit };
        let worked = work(&mut tx);
        let Tx { transaction, .. } = tx;
        let value = match worked {
            Ok(value) => value,
            Err(e) => {
                // Now, and not when this thread next talks to the server: others wait for the lock. A server that does not
                // answer is let go of by who called.
                runtime.block_on(async {
                    let _gone = tokio::time::timeout(Duration::from_secs(1), transaction.rollback()).await;
                });
                return Err(e);
            }
        };
        match runtime.block_on(async { tokio::time::timeout(STATEMENT, transaction.commit()).await }) {
            Ok(Ok(())) => Ok(value),
            Ok(Err(e)) => Err(link.error(&e, "write to")),
            Err(_late) => Err(link.away("no answer to a commit")),
        }
    }
}

/// A transaction under way.
pub(super) struct Tx<'a> {
    link: &'a Link,
    runtime: &'a Runtime,
    transaction: Transaction<'a>,
    /// How long one statement may take.
    limit: Duration,
}

impl Tx<'_> {
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

    /// Keeps a number: `spoken` of only, or given.
    pub(super) fn keep_number(&self, incident: IncidentId, spoken: bool) -> Result<(), JournalError> {
        let sql = "INSERT INTO warroom.number AS n (number, spoken) VALUES ($1, $2)
                   ON CONFLICT (number) DO UPDATE SET spoken = least(n.spoken, excluded.spoken)";
        self.execute(sql, &[(&i64::from(incident.0), Type::INT8), (&i64::from(spoken), Type::INT8)]).map(|_| ())
    }

    /// The next free number; held until the commit, so that nobody else gets it.
    pub(super) fn next_number(&self) -> Result<IncidentId, JournalError> {
        self.check_schema()?;
        self.batch(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?;
        let sql = "SELECT coalesce(max(number), 0) + 1 FROM (SELECT number FROM warroom.incident UNION ALL SELECT number FROM warroom.purged UNION ALL SELECT number FROM warroom.number) AS used";
        let rows = self.rows(sql, &[])?;
        rows.first().map_or(Ok(IncidentId(1)), |r| small(r, 0).map(IncidentId))
    }

    /// A newer program may have changed the tables since we connected.
    pub(super) fn check_schema(&self) -> Result<(), JournalError> {
        let rows = self.rows("SELECT value FROM warroom.meta WHERE key = 'schema'", &[])?;
        let found: i64 = rows.first().and_then(|r| r.try_get::<_, String>(0).ok()).and_then(|v| v.parse().ok()).unwrap_or(0);
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known { Err(JournalError::Newer { path: self.link.shown.clone(), found, known }) } else { Ok(()) }
    }

    /// The row of an incident, locked: nobody else appends to it until the commit.
    pub(super) fn row(&self, incident: IncidentId) -> Result<Row, JournalError> {
        let sql =
            "SELECT head, last_seq, last_hash, next_evidence, next_action, (SELECT value FROM warroom.meta WHERE key = 'schema')
                   FROM warroom.incident WHERE number = $1 FOR UPDATE";
        let number = i64::from(incident.0);
        let rows = self.rows(sql, &[(&number, Type::INT8)])?;
        let row = rows.first().ok_or(JournalError::NoSuchIncident(incident))?;
        let found: i64 = text(row, 5)?.parse().unwrap_or(0);
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(JournalError::Newer { path: self.link.shown.clone(), found, known });
        }
        Ok(Row {
            head: serde_json::from_str::<Summary>(&text(row, 0)?).map_err(json("read"))?,
            last_seq: big(row, 1)?,
            last_hash: text(row, 2)?,
            next_evidence: small(row, 3)?,
            next_action: small(row, 4)?,
        })
    }

    pub(super) fn put_row(&self, row: &Row) -> Result<(), JournalError> {
        let head = serde_json::to_string(&row.head).map_err(json("write to"))?;
        let (number, last_seq) = (i64::from(row.head.id.0), signed(row.last_seq));
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

    pub(super) fn put_bodies(&self, bodies: &[StoredBody]) -> Result<(), JournalError> {
        for body in bodies {
            let packed = pack_body(&body.json)?;
            let sql = "INSERT INTO warroom.body (digest, zstd) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
            self.execute(sql, &[(&body.digest, Type::TEXT), (&packed, Type::BYTEA)])?;
        }
        Ok(())
    }

    pub(super) fn notify(&self, incident: IncidentId) -> Result<(), JournalError> {
        let what = incident.to_string();
        self.rows("SELECT pg_notify($1, $2)", &[(&CHANNEL, Type::TEXT), (&what, Type::TEXT)]).map(|_| ())
    }

    /// Entries by their writers' names that are there already.
    pub(super) fn found(&self, uids: &[String]) -> Result<BTreeMap<String, Entry>, JournalError> {
        let sql = "SELECT uid, text, hash FROM warroom.entry WHERE uid = ANY($1)";
        let rows = self.rows(sql, &[(&uids, Type::TEXT_ARRAY)])?;
        rows.iter()
            .map(|r| {
                let entry = chain::read(&text(r, 1)?, &text(r, 2)?).map_err(json("read"))?;
                Ok((text(r, 0)?, entry))
            })
            .collect()
    }

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

    pub(super) fn raw(&self, incident: IncidentId, after: u64) -> Result<Vec<RawEntry>, JournalError> {
        let (number, after) = (i64::from(incident.0), signed(after));
        let sql = "SELECT seq, text, hash FROM warroom.entry WHERE incident = $1 AND seq > $2 ORDER BY seq";
        let rows = self.rows(sql, &[(&number, Type::INT8), (&after, Type::INT8)])?;
        rows.iter().map(|r| Ok(RawEntry { seq: big(r, 0)?, text: text(r, 1)?, hash: text(r, 2)? })).collect()
    }
}

impl Ledger for Tx<'_> {
    fn evidence(&mut self, incident: IncidentId, identity: &str) -> Result<Option<u32>, JournalError> {
        let number = i64::from(incident.0);
        let sql = "SELECT number FROM warroom.evidence WHERE incident = $1 AND identity = $2";
        let rows = self.rows(sql, &[(&number, Type::INT8), (&identity, Type::TEXT)])?;
        rows.first().map(|r| small(r, 0)).transpose()
    }

    fn put_evidence(&mut self, incident: IncidentId, identity: &str, number: u32) -> Result<(), JournalError> {
        let (incident, number) = (i64::from(incident.0), i64::from(number));
        let sql = "INSERT INTO warroom.evidence (incident, identity, number) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        self.execute(sql, &[(&incident, Type::INT8), (&identity, Type::TEXT), (&number, Type::INT8)]).map(|_| ())
    }

    fn put_entry(&mut self, entry: &Entry, uid: &str, text: &str) -> Result<(), JournalError> {
        let (number, seq) = (i64::from(entry.incident.0), signed(entry.seq));
        let sql = "INSERT INTO warroom.entry (incident, seq, uid, text, hash) VALUES ($1, $2, $3, $4, $5)";
        let params: [Typed<'_>; 5] =
            [(&number, Type::INT8), (&seq, Type::INT8), (&uid, Type::TEXT), (&text, Type::TEXT), (&entry.hash, Type::TEXT)];
        self.execute(sql, &params).map(|_| ())
    }

    fn entries(&mut self, incident: IncidentId) -> Result<Vec<Entry>, JournalError> {
        chain::read_all(incident, &self.raw(incident, 0)?)
    }
}
