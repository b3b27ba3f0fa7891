//! The store that a team shares: PostgreSQL, the same facts in the same chains. Every call waits a bounded time; a server
//! that cannot be reached, or cannot write, is told as [`JournalError::Away`], and it is for [`super::team`] to go on
//! without it. Statements are sent with their types, so that each costs one round trip and no proxy has to keep them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, IsolationLevel, NoTls, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::commit::{self, Ledger, Row, json};
use super::copy::{HeadRow, Pending};
use super::{Append, Appended, Import, JournalError, Purge, RawEntry, Turn, Verification, chain};
use crate::evidence::body::StoredBody;
use crate::incident::renumber::Renumbering;
use crate::incident::{Entry, Fact, Incident, IncidentId, Summary};

/// The schema of this version; one file in `migrations/postgres` a step.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/postgres/0001_journal.sql")];
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long one statement may take: a server that is up answers in milliseconds, and reading a long incident is the slowest.
const STATEMENT: Duration = Duration::from_secs(10);
/// "WARROOM" in ASCII, cut to an advisory lock's 64 bits.
const LOCK: i64 = 0x0057_4152_524F_4F4D;
/// The channel on which writers tell what they wrote.
pub(super) const CHANNEL: &str = "warroom";
/// How long somebody counts as present after the last sign.
const PRESENT: &str = "30 seconds";

/// Whether a store URL names PostgreSQL.
pub fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// How a shared store is reached.
#[derive(Clone)]
pub(super) struct Link {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// The URL without its password.
    pub(super) shown: String,
}

impl Link {
    /// Reads a URL. Beyond libpq's own parameters: `sslmode=disable|require|verify-full` and `sslrootcert=FILE`. A server on
    /// this machine is reached in the clear, any other over TLS with its certificate checked, unless the URL says otherwise.
    pub(super) fn parse(url: &str, password: Option<&SecretString>) -> Result<Self, JournalError> {
        let shown = without_password(url);
        let bad = |why: String| JournalError::BadUrl(format!("{shown}: {why}; it looks like postgres://name@host/database"));
        // A password may hold a question mark: parameters begin behind the credentials.
        let host_at = url.find('@').map_or(0, |i| i + 1);
        let (base, query) = match url.get(host_at..).and_then(|rest| rest.find('?')) {
            Some(i) => (url.get(..host_at + i).unwrap_or(url), url.get(host_at + i + 1..).unwrap_or("")),
            None => (url, ""),
        };
        let (mut mode, mut root, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", v)) => mode = Some(v.to_owned()),
                Some(("sslrootcert", v)) => root = Some(v.replace("%2F", "/").replace("%2f", "/")),
                _ => rest.push(pair),
            }
        }
        let plain = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config: Config = plain.parse().map_err(|e: tokio_postgres::Error| bad(told(&e)))?;
        if let (Some(secret), None) = (password, config.get_password()) {
            config.password(secret.expose_secret());
        }
        let is_local = config.get_hosts().iter().all(|h| match h {
            tokio_postgres::config::Host::Tcp(name) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
            #[cfg(unix)]
            tokio_postgres::config::Host::Unix(_) => true,
        });
        let encrypted = match mode.as_deref() {
            None => !is_local,
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            Some(other) => return Err(bad(format!("sslmode={other} is not known here: give disable or verify-full"))),
        };
        let tls = if encrypted { Some(tls(root.as_deref()).map_err(bad)?) } else { None };
        config.ssl_mode(if encrypted {
            tokio_postgres::config::SslMode::Require
        } else {
            tokio_postgres::config::SslMode::Disable
        });
        config
            .connect_timeout(CONNECT)
            .tcp_user_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .application_name("warroom");
        Ok(Self { config, tls, shown })
    }

    /// Host, port and database: what makes it the same store, however the URL is spelled.
    pub(super) fn place(&self) -> String {
        format!("{:?} {:?} {:?}", self.config.get_hosts(), self.config.get_ports(), self.config.get_dbname())
    }

    fn away(&self, reason: impl Into<String>) -> JournalError {
        JournalError::Away { url: self.shown.clone(), reason: reason.into() }
    }

    /// Connects, within the current runtime; `wire` gets the messages that the server sends by itself.
    pub(super) async fn connect(
        &self,
        wire: Option<tokio::sync::mpsc::Sender<()>>,
    ) -> Result<(Client, tokio::task::JoinHandle<()>), JournalError> {
        let opened = match &self.tls {
            None => {
                let made = self.config.connect(NoTls);
                tokio::time::timeout(CONNECT, made).await.map(|r| r.map(|(c, w)| (c, drive(w, wire))))
            }
            Some(tls) => {
                let made = self.config.connect(tls.clone());
                tokio::time::timeout(CONNECT, made).await.map(|r| r.map(|(c, w)| (c, drive(w, wire))))
            }
        };
        match opened {
            Err(_late) => Err(self.away(format!("no connection within {} s", CONNECT.as_secs()))),
            Ok(Err(e)) => Err(self.error(&e, "opened")),
            Ok(Ok(open)) => Ok(open),
        }
    }

    /// What an error means for us.
    fn error(&self, e: &tokio_postgres::Error, doing: &'static str) -> JournalError {
        let Some(db) = e.as_db_error() else {
            let said = told(e);
            // A certificate that is not trusted, a server without TLS or a password that is missing do not mend themselves.
            return if ["certificate", "does not support TLS", "password missing"].iter().any(|w| said.contains(w)) {
                let remedy = "check sslrootcert=FILE and sslmode in the URL, and [store] password_env …";
                JournalError::Rejected { url: self.shown.clone(), reason: format!("{said}; {remedy}") }
            } else {
                self.away(said)
            };
        };
        let said = format!("{} (SQLSTATE {})", db.message(), db.code().code());
        let class = db.code().code().get(..2).unwrap_or("").to_owned();
        match (class.as_str(), db.code()) {
            // Connection trouble, no room, shutting down, a system error there, a replica that takes no writes.
            // Locks that are held for long and deadlocks are trouble that passes, too: what is written is kept meanwhile.
            ("08" | "40" | "53" | "55" | "57" | "58", _) | (_, &SqlState::READ_ONLY_SQL_TRANSACTION) => self.away(said),
            ("28" | "3D", _) => JournalError::Rejected {
                url: self.shown.clone(),
                reason: format!("{said}; check name, password ([store] password_env …) and database"),
            },
            (_, &SqlState::INSUFFICIENT_PRIVILEGE) => JournalError::Rejected {
                url: self.shown.clone(),
                reason: format!("{said}; the user needs the schema warroom, or the right to create it"),
            },
            _ => JournalError::Io { doing, reason: said },
        }
    }
}

/// Drives a connection; each notification is told by an empty message, and a full queue says enough.
fn drive<S, T>(
    mut wire: tokio_postgres::Connection<S, T>,
    tell: Option<tokio::sync::mpsc::Sender<()>>,
) -> tokio::task::JoinHandle<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|cx| wire.poll_message(cx)).await {
                Some(Ok(tokio_postgres::AsyncMessage::Notification(_))) => {
                    if let Some(tell) = &tell {
                        let _full_is_enough = tell.try_send(());
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    })
}

/// The error with what lies under it.
fn told(e: &(dyn std::error::Error + 'static)) -> String {
    let mut text = e.to_string();
    let mut below = e.source();
    while let Some(cause) = below {
        text = format!("{text}: {cause}");
        below = cause.source();
    }
    text
}

fn tls(root: Option<&str>) -> Result<MakeRustlsConnect, String> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be used: {e}"))?;
    let config = match root {
        None => builder
            .with_platform_verifier()
            .map_err(|e| format!("this machine's certificates cannot be read: {e}"))?
            .with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            let found = rustls::pki_types::CertificateDer::pem_file_iter(path)
                .map_err(|e| format!("sslrootcert {path} cannot be read: {e}"))?;
            for cert in found {
                let cert = cert.map_err(|e| format!("sslrootcert {path} cannot be read: {e}"))?;
                roots.add(cert).map_err(|e| format!("sslrootcert {path}: {e}"))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

/// A URL without the password that may stand in it.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // As the parser of the URL does: credentials are all up to the first `@`, whatever they hold.
    let (credentials, rest) = rest.split_once('@').map_or((None, rest), |(c, rest)| (Some(c), rest));
    let rest = rest.split_once('?').map_or(rest.to_owned(), |(before, query)| {
        let kept: Vec<&str> = query.split('&').filter(|p| !p.starts_with("password=")).collect();
        if kept.is_empty() { before.to_owned() } else { format!("{before}?{}", kept.join("&")) }
    });
    match credentials {
        Some(c) => format!("{scheme}://{}@{rest}", c.split(':').next().unwrap_or("")),
        None => format!("{scheme}://{rest}"),
    }
}

/// A connection to the shared store, on the journal's thread.
pub(super) struct PgStore {
    link: Link,
    runtime: Runtime,
    client: Option<(Client, tokio::task::JoinHandle<()>)>,
}

type Typed<'a> = (&'a (dyn ToSql + Sync), Type);

impl PgStore {
    pub(super) fn new(link: Link) -> Result<Self, JournalError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| JournalError::Io { doing: "opened", reason: e.to_string() })?;
        Ok(Self { link, runtime, client: None })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.as_ref().is_some_and(|(c, _)| !c.is_closed())
    }

    /// Closes the connection at once: whatever lock it held is free.
    pub(super) fn disconnect(&mut self) {
        if let Some((client, driver)) = self.client.take() {
            drop(client);
            driver.abort();
            // The driver lives in this runtime, which only runs while it is waited for.
            self.runtime.block_on(async {
                let _aborted = tokio::time::timeout(Duration::from_millis(200), driver).await;
            });
        }
    }

    /// Connects and brings the schema up to date. Waits at most some seconds.
    pub(super) fn connect(&mut self) -> Result<(), JournalError> {
        self.disconnect();
        self.client = Some(self.runtime.block_on(self.link.connect(None))?);
        // A store that is not to be used leaves no open connection behind that somebody would take for one that is.
        let ready = self.settings().and_then(|()| self.migrate());
        if ready.is_err() {
            self.disconnect();
        }
        ready
    }

    /// The store's own name, given when it was made.
    pub(super) fn store_id(&mut self) -> Result<String, JournalError> {
        let rows = self.rows("SELECT value FROM warroom.meta WHERE key = 'store'", &[])?;
        rows.first().map_or_else(|| Ok("unnamed".to_owned()), |r| text(r, 0))
    }

    /// Numbers that were purged.
    pub(super) fn purged(&mut self) -> Result<std::collections::BTreeSet<u32>, JournalError> {
        self.rows("SELECT number FROM warroom.purged", &[])?.iter().map(|r| small(r, 0)).collect()
    }

    fn settings(&mut self) -> Result<(), JournalError> {
        // The server gives up before we do, and no lock outlives a client that vanished.
        let sql = "SET statement_timeout = '9s'; SET lock_timeout = '8s'; SET idle_in_transaction_session_timeout = '15s'; \
                   SET synchronous_commit = on; SET client_min_messages = warning";
        self.run(|_, client| async move { client.batch_execute(sql).await })
    }

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
            // A schema that the administrator made may be used by who may make none.
            let there = tx.rows("SELECT to_regnamespace('warroom') IS NOT NULL", &[])?;
            if !there.first().and_then(|r| r.try_get::<_, bool>(0).ok()).unwrap_or(false) {
                tx.batch("CREATE SCHEMA warroom")?;
            }
            tx.batch("CREATE TABLE IF NOT EXISTS warroom.meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")?;
            let name = uuid::Uuid::now_v7().to_string();
            let sql = "INSERT INTO warroom.meta (key, value) VALUES ('store', $1) ON CONFLICT (key) DO NOTHING";
            tx.execute(sql, &[(&name, Type::TEXT)])?;
            // Somebody else may have done it while this one waited.
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

    /// The schema's number; 0 before the first step.
    fn schema(&mut self) -> Result<i64, JournalError> {
        let there = self.rows("SELECT to_regclass('warroom.meta') IS NOT NULL", &[])?;
        if !there.first().and_then(|r| r.try_get::<_, bool>(0).ok()).unwrap_or(false) {
            return Ok(0);
        }
        let rows = self.rows("SELECT value FROM warroom.meta WHERE key = 'schema'", &[])?;
        Ok(rows.first().and_then(|r| r.try_get::<_, String>(0).ok()).and_then(|v| v.parse().ok()).unwrap_or(0))
    }

    /// Runs one request; a connection that failed is dropped, so that the next one begins anew.
    fn run<'s, T, F>(&'s mut self, work: impl FnOnce(&'s Link, &'s Client) -> F) -> Result<T, JournalError>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>> + 's,
    {
        let Self { link, runtime, client } = self;
        let link: &Link = link;
        let Some((open, _)) = client.as_ref() else { return Err(link.away("not connected")) };
        let done = runtime.block_on(async { tokio::time::timeout(STATEMENT, work(link, open)).await });
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(link.error(&e, "read")),
            Err(_late) => Err(link.away(format!("no answer within {} s", STATEMENT.as_secs()))),
        }
    }

    /// Drops a connection of which an error says that it is of no use.
    pub(super) fn drop_if_away<T>(&mut self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        if matches!(result, Err(JournalError::Away { .. })) {
            self.disconnect();
        }
        result
    }

    fn rows(&mut self, sql: &str, params: &[Typed<'_>]) -> Result<Vec<tokio_postgres::Row>, JournalError> {
        self.run(|_, client| client.query_typed(sql, params))
    }

    /// A transaction: what `work` does is committed whole or not at all.
    fn transaction<T>(&mut self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, JournalError>) -> Result<T, JournalError> {
        self.transaction_within(STATEMENT, work)
    }

    /// The same, each statement within a limit of its own.
    fn transaction_within<T>(
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
            Ok(Err(e)) => return Err(link.error(&e, "written")),
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
            Ok(Err(e)) => Err(link.error(&e, "written")),
            Err(_late) => Err(link.away("no answer to a commit")),
        }
    }

    /// See [`super::Store::create`].
    pub(super) fn create(&mut self, append: &Append, map: &Renumbering) -> Result<Vec<Entry>, JournalError> {
        self.transaction(|tx| {
            let incident = tx.next_number()?;
            let mut entries = Vec::new();
            let mut state: Option<Row> = None;
            for new in &append.entries {
                let fact = map.fact(new.fact.get()).map_err(json("written"))?;
                match &mut state {
                    Some(row) => entries.extend(commit::next(tx, row, new.stamp(), fact, &mut Vec::new())?),
                    None => {
                        let (row, entry) = commit::first(tx, incident, new.stamp(), fact)?;
                        state = Some(row);
                        entries.push(entry);
                    }
                }
            }
            tx.put_bodies(&append.bodies)?;
            if let Some(row) = &state {
                tx.put_row(row)?;
                tx.keep_number(incident, false)?;
            }
            tx.notify(incident)?;
            Ok(entries)
        })
    }

    /// See [`super::Store::append`].
    /// `map`: what local ids have become; somebody may still write of `EL1`.
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

    /// See [`super::Store::append_in_turn`]. The made append is left in `made`, for who goes on without the server.
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

    /// Merges what waited: numbers it, links it behind what is there. Entries that are there already (their commit's answer
    /// was lost) are not written again. A local incident gets its number. Gives the number.
    pub(super) fn merge(
        &mut self,
        incident: IncidentId,
        pending: &[Pending],
        bodies: &[StoredBody],
        map: &mut Renumbering,
    ) -> Result<IncidentId, JournalError> {
        self.transaction(|tx| {
            let uids: Vec<String> = pending.iter().map(|p| p.uid.clone()).collect();
            // The lock first, then the look: two processes of one machine may both be here.
            let mut row = if incident.is_local() { None } else { Some(tx.row(incident)?) };
            let next = if incident.is_local() { tx.next_number()? } else { incident };
            let found = tx.found(&uids)?;
            let mut number = incident;
            for p in pending {
                let fact = map.fact(&p.fact).map_err(json("written"))?;
                let mut given = Vec::new();
                let entry = match (found.get(&p.uid), &mut row) {
                    (Some(entry), _) => Some(entry.clone()),
                    (None, Some(row)) => commit::next(tx, row, p.stamp(), fact, &mut given)?,
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
                learn(map, p, entry.as_ref(), &given);
            }
            map.ids.insert(incident.to_string(), number.to_string());
            tx.put_bodies(bodies)?;
            if let Some(row) = &row {
                tx.put_row(row)?;
                tx.keep_number(number, false)?;
            }
            tx.notify(number)?;
            Ok(number)
        })
    }

    /// The last entry of every incident.
    pub(super) fn ends(&mut self) -> Result<BTreeMap<u32, u64>, JournalError> {
        let rows = self.rows("SELECT number, last_seq FROM warroom.incident", &[])?;
        rows.iter().map(|r| Ok((small(r, 0)?, big(r, 1)?))).collect()
    }

    /// The heads of some incidents.
    pub(super) fn heads(&mut self, numbers: &[u32]) -> Result<Vec<HeadRow>, JournalError> {
        let numbers: Vec<i64> = numbers.iter().map(|n| i64::from(*n)).collect();
        let sql = "SELECT number, head, last_seq, last_hash FROM warroom.incident WHERE number = ANY($1)";
        let rows = self.rows(sql, &[(&numbers, Type::INT8_ARRAY)])?;
        rows.iter()
            .map(|r| Ok(HeadRow { number: small(r, 0)?, head: text(r, 1)?, last_seq: big(r, 2)?, last_hash: text(r, 3)? }))
            .collect()
    }

    /// Entries after a number, as stored.
    pub(super) fn raw(&mut self, incident: IncidentId, after: u64) -> Result<Vec<RawEntry>, JournalError> {
        // In portions, so that a long incident over a slow line stays within the time for one statement.
        const PORTION: i64 = 20_000;
        let mut all: Vec<RawEntry> = Vec::new();
        loop {
            let from = signed(all.last().map_or(after, |e| e.seq));
            let sql = "SELECT seq, text, hash FROM warroom.entry WHERE incident = $1 AND seq > $2 ORDER BY seq LIMIT $3";
            let number = i64::from(incident.0);
            let rows = self.rows(sql, &[(&number, Type::INT8), (&from, Type::INT8), (&PORTION, Type::INT8)])?;
            let full = i64::try_from(rows.len()).unwrap_or(0) == PORTION;
            for r in &rows {
                all.push(RawEntry { seq: big(r, 0)?, text: text(r, 1)?, hash: text(r, 2)? });
            }
            if !full {
                return Ok(all);
            }
        }
    }

    pub(super) fn body(&mut self, wanted: &str) -> Result<Option<String>, JournalError> {
        let rows = self.rows("SELECT zstd FROM warroom.body WHERE digest = $1", &[(&wanted, Type::TEXT)])?;
        rows.first()
            .map(|r| r.try_get::<_, Vec<u8>>(0).map_err(strange).and_then(|packed| super::unpack_body(&packed)))
            .transpose()
    }

    /// Checks every chain, every row of the list and every digest.
    pub(super) fn verify(&mut self) -> Result<Verification, JournalError> {
        // One snapshot: what others write or purge meanwhile is not part of this look.
        self.run(|_, c| async move { c.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await })?;
        let looked = self.inspect();
        let ended = self.run(|_, c| async move { c.batch_execute("ROLLBACK").await });
        looked.and_then(|found| ended.map(|()| found))
    }

    fn inspect(&mut self) -> Result<Verification, JournalError> {
        let mut look = super::Inspection::default();
        let ends = self.rows("SELECT number, last_seq, last_hash, head FROM warroom.incident ORDER BY number", &[])?;
        for r in &ends {
            let (incident, last_seq) = (IncidentId(small(r, 0)?), big(r, 1)?);
            let raw = self.raw(incident, 0)?;
            look.incident(incident, &raw, (last_seq, &text(r, 2)?, &text(r, 3)?));
        }
        let orphans = "SELECT DISTINCT incident FROM warroom.entry WHERE incident NOT IN (SELECT number FROM warroom.incident)";
        for r in self.rows(orphans, &[])? {
            look.orphan(IncidentId(small(&r, 0)?));
        }
        let gone = "SELECT number FROM warroom.number WHERE spoken = 0 AND number NOT IN (SELECT number FROM warroom.incident)
                    AND number NOT IN (SELECT incident FROM warroom.entry) AND number NOT IN (SELECT number FROM warroom.purged)";
        for r in self.rows(gone, &[])? {
            look.vanished(IncidentId(small(&r, 0)?));
        }
        for r in self.rows("SELECT digest FROM warroom.body ORDER BY digest", &[])? {
            let wanted = text(&r, 0)?;
            match self.body(&wanted) {
                Err(e @ JournalError::Away { .. }) => return Err(e),
                read => look.body(wanted, read),
            }
        }
        let purged = self.rows("SELECT count(*) FROM warroom.purged", &[])?;
        Ok(look.end(purged.first().map(|r| big(r, 0)).transpose()?.unwrap_or(0)))
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
                // Imported entries have no writer's name of their own: their hash is one.
                tx.put_entry(entry, &raw.hash, &raw.text)?;
                if let Fact::EvidenceAttached { evidence } = &entry.fact {
                    tx.put_evidence(incident, &commit::identity(evidence), evidence.id.0)?;
                }
            }
            tx.put_bodies(bodies)?;
            tx.keep_number(incident, false)?;
            for other in all.iter().filter_map(|e| e.fact.others()) {
                tx.keep_number(other, true)?;
            }
            if !missing.is_empty() {
                tx.put_row(&super::row_of(&folded))?;
                tx.notify(incident)?;
            }
            Ok(Import { incident, added: missing.len(), had: have.len() })
        })
    }

    /// See [`super::Store::purge`].
    pub(super) fn purge(&mut self, purge: &Purge) -> Result<(), JournalError> {
        // Looking through all entries for what still names a body may take its time.
        self.transaction_within(Duration::from_secs(300), |tx| {
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
        rows.first().map(|r| text(r, 0)).transpose()
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
                self.tell("presence")?;
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
            self.tell("presence")?;
        }
        let sql = format!(
            "SELECT DISTINCT name FROM warroom.presence WHERE incident = $1 AND session <> $2 AND seen_at > now() - interval '{PRESENT}' ORDER BY name"
        );
        let rows = self.rows(&sql, &[(&number, Type::INT8), (&session, Type::TEXT)])?;
        rows.iter().map(|r| text(r, 0)).collect()
    }

    fn tell(&mut self, what: &str) -> Result<(), JournalError> {
        self.rows("SELECT pg_notify($1, $2)", &[(&CHANNEL, Type::TEXT), (&what, Type::TEXT)]).map(|_| ())
    }
}

/// Notes what an entry that was merged is called now.
fn learn(map: &mut Renumbering, p: &Pending, entry: Option<&Entry>, given: &[crate::incident::EvidenceId]) {
    if let Some(entry) = entry {
        map.seqs.insert(p.seq(), entry.seq);
    }
    match (&p.fact, entry.map(|e| &e.fact)) {
        (Fact::EvidenceAttached { evidence: local }, Some(Fact::EvidenceAttached { evidence })) => {
            map.ids.insert(local.id.to_string(), evidence.id.to_string());
        }
        // It was there already: the number it has.
        (Fact::EvidenceAttached { evidence: local }, None) => {
            if let Some(have) = given.first() {
                map.ids.insert(local.id.to_string(), have.to_string());
            }
        }
        (Fact::ActionAdded { id: local, .. }, Some(Fact::ActionAdded { id, .. })) => {
            map.ids.insert(local.to_string(), id.to_string());
        }
        _ => {}
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn strange(e: tokio_postgres::Error) -> JournalError {
    JournalError::Io { doing: "read", reason: format!("the table is not as it should be: {}", told(&e)) }
}

fn text(row: &tokio_postgres::Row, at: usize) -> Result<String, JournalError> {
    row.try_get(at).map_err(strange)
}

fn big(row: &tokio_postgres::Row, at: usize) -> Result<u64, JournalError> {
    row.try_get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or(0)).map_err(strange)
}

fn small(row: &tokio_postgres::Row, at: usize) -> Result<u32, JournalError> {
    row.try_get::<_, i64>(at).map(|n| u32::try_from(n).unwrap_or(u32::MAX)).map_err(strange)
}

/// A transaction under way.
struct Tx<'a> {
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
            Ok(Err(e)) => Err(self.link.error(&e, "written")),
            Err(_late) => Err(self.link.away(format!("no answer within {} s", self.limit.as_secs()))),
        }
    }

    fn rows(&self, sql: &str, params: &[Typed<'_>]) -> Result<Vec<tokio_postgres::Row>, JournalError> {
        self.wait(self.transaction.query_typed(sql, params))
    }

    fn execute(&self, sql: &str, params: &[Typed<'_>]) -> Result<u64, JournalError> {
        self.wait(self.transaction.execute_typed(sql, params))
    }

    fn batch(&self, sql: &str) -> Result<(), JournalError> {
        self.wait(self.transaction.batch_execute(sql))
    }

    /// Keeps a number: `spoken` of only, or given.
    fn keep_number(&self, incident: IncidentId, spoken: bool) -> Result<(), JournalError> {
        let sql = "INSERT INTO warroom.number AS n (number, spoken) VALUES ($1, $2)
                   ON CONFLICT (number) DO UPDATE SET spoken = least(n.spoken, excluded.spoken)";
        self.execute(sql, &[(&i64::from(incident.0), Type::INT8), (&i64::from(spoken), Type::INT8)]).map(|_| ())
    }

    /// The next free number; held until the commit, so that nobody else gets it.
    fn next_number(&self) -> Result<IncidentId, JournalError> {
        self.check_schema()?;
        self.batch(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?;
        let sql = "SELECT coalesce(max(number), 0) + 1 FROM (SELECT number FROM warroom.incident UNION ALL SELECT number FROM warroom.purged UNION ALL SELECT number FROM warroom.number) AS used";
        let rows = self.rows(sql, &[])?;
        rows.first().map_or(Ok(IncidentId(1)), |r| small(r, 0).map(IncidentId))
    }

    /// A newer program may have changed the tables since we connected.
    fn check_schema(&self) -> Result<(), JournalError> {
        let rows = self.rows("SELECT value FROM warroom.meta WHERE key = 'schema'", &[])?;
        let found: i64 = rows.first().and_then(|r| r.try_get::<_, String>(0).ok()).and_then(|v| v.parse().ok()).unwrap_or(0);
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known { Err(JournalError::Newer { path: self.link.shown.clone(), found, known }) } else { Ok(()) }
    }

    /// The row of an incident, locked: nobody else appends to it until the commit.
    fn row(&self, incident: IncidentId) -> Result<Row, JournalError> {
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

    fn put_row(&self, row: &Row) -> Result<(), JournalError> {
        let head = serde_json::to_string(&row.head).map_err(json("written"))?;
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

    fn put_bodies(&self, bodies: &[StoredBody]) -> Result<(), JournalError> {
        for body in bodies {
            let packed = super::pack_body(&body.json)?;
            let sql = "INSERT INTO warroom.body (digest, zstd) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
            self.execute(sql, &[(&body.digest, Type::TEXT), (&packed, Type::BYTEA)])?;
        }
        Ok(())
    }

    fn notify(&self, incident: IncidentId) -> Result<(), JournalError> {
        let what = incident.to_string();
        self.rows("SELECT pg_notify($1, $2)", &[(&CHANNEL, Type::TEXT), (&what, Type::TEXT)]).map(|_| ())
    }

    /// Entries by their writers' names that are there already.
    fn found(&self, uids: &[String]) -> Result<BTreeMap<String, Entry>, JournalError> {
        let sql = "SELECT uid, text, hash FROM warroom.entry WHERE uid = ANY($1)";
        let rows = self.rows(sql, &[(&uids, Type::TEXT_ARRAY)])?;
        rows.iter()
            .map(|r| {
                let entry = chain::read(&text(r, 1)?, &text(r, 2)?).map_err(json("read"))?;
                Ok((text(r, 0)?, entry))
            })
            .collect()
    }

    fn append_rows(&mut self, row: &mut Row, append: &Append, map: &Renumbering) -> Result<Appended, JournalError> {
        let mut appended = Appended::default();
        for new in &append.entries {
            let fact = map.fact(new.fact.get()).map_err(json("written"))?;
            appended.entries.extend(commit::next(self, row, new.stamp(), fact, &mut appended.evidence)?);
        }
        if !appended.entries.is_empty() {
            self.put_bodies(&append.bodies)?;
            self.put_row(row)?;
            self.notify(row.head.id)?;
        }
        Ok(appended)
    }

    fn raw(&self, incident: IncidentId, after: u64) -> Result<Vec<RawEntry>, JournalError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        for (url, shown) in [
            ("postgres://ana:secret@db.example/warroom", "postgres://ana@db.example/warroom"),
            ("postgres://ana:p%40ss@db:5433/w?sslmode=disable&password=x", "postgres://ana@db:5433/w?sslmode=disable"),
            ("postgres://db/w", "postgres://db/w"),
            ("postgres://ana:pa/ss?x@db/w?sslmode=disable", "postgres://ana@db/w?sslmode=disable"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn other_machines_are_reached_over_tls() {
        let tls = |url: &str| Link::parse(url, None).unwrap().tls.is_some();
        assert!(!tls("postgres://ana@127.0.0.1:5433/w") && !tls("postgres://ana@localhost/w"));
        assert!(tls("postgres://ana@db.example/w") && !tls("postgres://ana@db.example/w?sslmode=disable"));
        assert!(tls("postgres://ana@127.0.0.1/w?sslmode=verify-full"));
        let odd = Link::parse("postgres://ana:pa/ss?x@127.0.0.1/w?sslmode=disable", None).unwrap();
        assert_eq!(odd.config.get_password(), Some("pa/ss?x".as_bytes()));
        let (a, b) = ("postgres://ana@127.0.0.1/w", "postgresql://ben:x@127.0.0.1/w?sslmode=disable");
        assert_eq!(Link::parse(a, None).unwrap().place(), Link::parse(b, None).unwrap().place());
        assert!(Link::parse("postgres://ana@db/w?sslmode=prefer", None).is_err());
        assert!(Link::parse("postgres://ana@db/w?sslrootcert=/nowhere.pem", None).is_err());
        assert!(Link::parse("postgres://ana@db/w?nonsense=1", None).is_err());
    }
}
