//! The shared store: PostgreSQL with a copy on this machine. While the server is reachable, it is authoritative and the copy
//! follows it. While it is not, incidents are read from the copy, and new entries wait in the outbox under local numbers.
//! When the server is reachable again, the outbox is merged, incident by incident, in the order of writing. No entry is
//! lost, because it leaves the outbox only after the commit that contains it. No entry is duplicated, because each has a
//! unique id.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::watch;

use super::commit::json;
use super::copy::{Copy, Pending};
use super::postgres::{CHANNEL, Link, PgStore};
use super::{Append, Appended, Import, JournalError, Purge, RawEntry, Store, StoreStatus, Turn, Verification, chain, commit};
use crate::evidence::Body;
use crate::evidence::body::{StoredBody, digest};
use crate::incident::ids::LOCAL_SEQ;
use crate::incident::renumber::Renumbering;
use crate::incident::{ActionId, Entry, EvidenceId, Fact, Incident, IncidentId, Summary};
use crate::telemetry::{Explain, Failure};

/// How long to wait after a failure before the next try. Doubles with each failure, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// The interval between comparisons of the list of incidents while the listener is connected.
const COMPARE_INTERVAL: Duration = Duration::from_secs(15);
/// The largest number of entries that are merged in one commit.
const MERGE_BATCH: usize = 100;

/// An open shared store.
pub struct TeamStore {
    pg: PgStore,
    copy: Copy,
    link: Link,
    notifications: Notifications,
    /// A notice about the copy since the program started, such as a repair.
    notices: Vec<String>,
    /// Why the server is unreachable; `None` if it answers.
    away: Option<String>,
    /// Whether the server has been reached since the program started.
    was_connected: bool,
    /// The current wait after a failure.
    wait: Duration,
    /// When to try to connect again.
    next_try: Option<Instant>,
    /// Increases with every change, for [`Store::version`].
    version: i64,
    /// When the list of incidents was last compared, and the number of notifications at that time. `None` forces a comparison.
    compared: Option<(Instant, u64)>,
    /// Why waiting entries could not be merged, and when this was tried.
    stuck: Option<(Instant, String)>,
}

/// The state that the listening thread reports.
#[derive(Clone, Default)]
struct Notifications {
    /// The number of notifications so far.
    count: Arc<AtomicU64>,
    is_listening: Arc<AtomicBool>,
}

/// A function that starts a listener; see [`TeamStore::listener`].
pub(super) type Listener = Arc<dyn Fn() -> watch::Receiver<u64> + Send + Sync>;

impl TeamStore {
    /// Opens this machine's copy. Connects to the server only when it is first needed.
    pub fn open(url: &str, password: Option<&SecretString>, copies: &Path) -> Result<Self, JournalError> {
        let link = Link::parse(url, password)?;
        // A store has the same copy, no matter how its URL is written.
        let name = digest(link.identity().as_bytes());
        let path = copies.join(format!("team-{}.db", name.get(..16).unwrap_or("")));
        let (copy, notice) = Copy::open(&path)?;
        Ok(Self {
            pg: PgStore::new(link.clone())?,
            copy,
            notices: notice.into_iter().collect(),
            link,
            notifications: Notifications::default(),
            away: None,
            was_connected: false,
            wait: FIRST_WAIT,
            next_try: None,
            version: 0,
            compared: None,
            stuck: None,
        })
    }

    /// The URL without its password.
    pub fn shown(&self) -> &str {
        &self.link.shown
    }

    /// A function that starts listening to changes by others, on a thread with its own connection. The thread ends when its
    /// receiver is dropped.
    pub(super) fn listener(&self) -> Listener {
        let (link, notifications) = (self.link.clone(), self.notifications.clone());
        Arc::new(move || {
            let (sender, receiver) = watch::channel(0);
            let (link, notifications) = (link.clone(), notifications.clone());
            let work = move || listen(&link, &notifications, &sender);
            let spawned = std::thread::Builder::new().name("listener".into()).spawn(work);
            if let Err(error) = spawned {
                tracing::error!(%error, "cannot start the listening thread; polling for changes instead");
            }
            receiver
        })
    }

    /// Connects if necessary, and merges waiting entries.
    ///
    /// # Errors
    /// [`JournalError::Unreachable`] if the server is unreachable; other errors if it rejects the connection.
    fn ensure_online(&mut self) -> Result<(), JournalError> {
        if !self.pg.is_connected() {
            if self.next_try.is_some_and(|at| Instant::now() < at) {
                return Err(self.unreachable_error());
            }
            if let Err(e) = self.pg.connect().and_then(|()| self.check_store_id()) {
                self.pg.disconnect();
                return Err(self.record_failure(e));
            }
            self.away = None;
            self.was_connected = true;
            self.wait = FIRST_WAIT;
            self.next_try = None;
            self.compared = None;
            self.version += 1;
        }
        if self.copy.waiting_count()? > 0 && self.stuck.as_ref().is_none_or(|(at, _)| at.elapsed() > LONGEST_WAIT) {
            self.stuck = None;
            self.merge_all()?;
        }
        Ok(())
    }

    /// Checks that this is a copy of this store. A copy of another store (because the database was recreated under the same
    /// name) is reset, unless entries are waiting in it. Those belong to incidents of the other store and must not be merged
    /// into this one.
    fn check_store_id(&mut self) -> Result<(), JournalError> {
        let id = self.pg.store_id()?;
        match self.copy.store_id()? {
            Some(have) if have == id => Ok(()),
            Some(_) if self.copy.waiting_count()? > 0 => Err(JournalError::Rejected {
                url: self.link.shown.clone(),
                reason: format!(
                    "{} on this machine for a different store with the same address",
                    crate::telemetry::words::entries_waiting(self.copy.waiting_count()?)
                ),
                remedy: format!("Restore the original store, or move {} to another folder.", self.copy.path().display()),
            }),
            _ => self.copy.reset_for(&id),
        }
    }

    fn unreachable_error(&self) -> JournalError {
        let reason = self.away.clone().unwrap_or_else(|| "not connected".to_owned());
        JournalError::Unreachable { url: self.link.shown.clone(), reason }
    }

    /// Updates the connection state after a failure and returns the error to report. A server that rejects the first
    /// connection is reported as rejecting. A later rejection counts as unreachable, so that entries being written are kept
    /// in the outbox.
    fn record_failure(&mut self, e: JournalError) -> JournalError {
        let reason = match &e {
            JournalError::Unreachable { reason, .. } => reason.clone(),
            JournalError::Rejected { reason, .. } if self.was_connected => reason.clone(),
            _ => return e,
        };
        if self.away.is_none() {
            self.version += 1;
        }
        self.away = Some(reason);
        self.next_try = Some(Instant::now() + self.wait);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.unreachable_error()
    }

    /// Runs a request on the server. Records a failure of the connection.
    fn request<T>(&mut self, work: impl FnOnce(&mut PgStore) -> Result<T, JournalError>) -> Result<T, JournalError> {
        self.ensure_online()?;
        let result = work(&mut self.pg);
        self.pg.drop_if_away(result).map_err(|e| self.record_failure(e))
    }

    /// Merges the outbox. First, all local incidents get their numbers; then the other entries follow, so that references to
    /// local incidents can be replaced. An incident that cannot be merged does not block the others, or reading and writing.
    fn merge_all(&mut self) -> Result<(), JournalError> {
        let mut map = self.copy.renumbering()?;
        for incident in self.copy.waiting_incidents()?.into_iter().filter(|i| i.is_local()) {
            let Some(first) = self.copy.pending(incident)?.into_iter().next() else { continue };
            let assigned = self.copy.assigned_number(incident)?;
            let number = match assigned {
                Some(number) => Ok(number),
                None => self.merge_one(incident, std::slice::from_ref(&first), &[], &mut map),
            };
            match number {
                // Its other entries now wait under this number.
                Ok(number) => self.copy.finish_merge(incident, number, &[], &map)?,
                Err(e @ JournalError::Unreachable { .. }) => return Err(e),
                Err(e) => self.record_stuck(incident, &e),
            }
            self.version += 1;
        }
        for incident in self.copy.waiting_incidents()?.into_iter().filter(|i| !i.is_local()) {
            // Merge in batches, so that the lock of the incident is held only briefly.
            for batch in self.copy.pending(incident)?.chunks(MERGE_BATCH) {
                match self.merge_batch(incident, batch, &mut map) {
                    Ok(()) => {}
                    Err(e @ JournalError::Unreachable { .. }) => return Err(e),
                    Err(e) => {
                        self.record_stuck(incident, &e);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Merges a batch of waiting entries, copies the result, and removes the entries from the outbox.
    fn merge_batch(&mut self, incident: IncidentId, batch: &[Pending], map: &mut Renumbering) -> Result<(), JournalError> {
        let bodies = self.bodies_of(batch)?;
        let number = self.merge_one(incident, batch, &bodies, map)?;
        // Copy the entries before removing them from the outbox, so that acknowledged entries can always be read.
        let copied = self.copy_entries_now(number);
        self.pg.drop_if_away(copied).map_err(|e| self.record_failure(e))?;
        let uids: Vec<String> = batch.iter().map(|p| p.uid.clone()).collect();
        self.copy.finish_merge(incident, number, &uids, map)?;
        self.version += 1;
        self.compared = None;
        Ok(())
    }

    /// Records why the entries of an incident cannot be merged (for example because it was purged). They stay in the outbox.
    fn record_stuck(&mut self, incident: IncidentId, why: &JournalError) {
        tracing::warn!(%incident, %why, "waiting entries cannot be merged");
        self.stuck = Some((Instant::now(), format!("cannot merge the entries waiting for {incident}: {}", why.failure())));
    }

    fn merge_one(
        &mut self,
        incident: IncidentId,
        pending: &[Pending],
        bodies: &[StoredBody],
        map: &mut Renumbering,
    ) -> Result<IncidentId, JournalError> {
        let result = self.pg.merge(incident, pending, bodies, map);
        self.pg.drop_if_away(result).map_err(|e| self.record_failure(e))
    }

    /// The evidence bodies that waiting entries refer to.
    fn bodies_of(&self, pending: &[Pending]) -> Result<Vec<StoredBody>, JournalError> {
        let mut bodies = Vec::new();
        for p in pending {
            if let Some(digest) = p.fact.body_digest() {
                bodies.extend(self.copy.body(digest)?.map(|json| StoredBody { digest: digest.to_owned(), json }));
            }
        }
        Ok(bodies)
    }

    /// Updates the copy: the summaries of all incidents, and the entries of open incidents and of those that have been read
    /// here before.
    fn compare(&mut self) -> Result<(), JournalError> {
        let notifications = self.notifications.count.load(Ordering::Acquire);
        let last_seqs = self.request(PgStore::last_seqs)?;
        let copied = self.copy.last_seqs()?;
        let changed: Vec<u32> = last_seqs.iter().filter(|(n, seq)| copied.get(*n) != Some(*seq)).map(|(n, _)| *n).collect();
        let gone: Vec<u32> = self.copy.copied_incidents()?.into_iter().filter(|n| !last_seqs.contains_key(n)).collect();
        if !changed.is_empty() || !gone.is_empty() {
            self.copy.put_heads(&[], &gone)?;
            for numbers in changed.chunks(1000) {
                let heads = self.request(|pg| pg.heads(numbers))?;
                let mut closed = Vec::new();
                for head in heads {
                    let is_open = serde_json::from_str::<Summary>(&head.head).is_ok_and(|h| h.status.is_open());
                    if is_open || self.copy.last_copied_seq(IncidentId(head.number))? > 0 {
                        // Copy the entries before the row, because the row means that they have been copied.
                        self.copy_entries(IncidentId(head.number))?;
                        self.copy.put_heads(&[head], &[])?;
                    } else {
                        closed.push(head);
                    }
                }
                self.copy.put_heads(&closed, &[])?;
            }
            self.version += 1;
        }
        self.compared = Some((Instant::now(), notifications));
        Ok(())
    }

    /// Copies the new entries of an incident.
    fn copy_entries(&mut self, incident: IncidentId) -> Result<(), JournalError> {
        self.ensure_online()?;
        let copied = self.copy_entries_now(incident);
        self.pg.drop_if_away(copied).map_err(|e| self.record_failure(e))
    }

    /// Copies the new entries of an incident over the existing connection.
    fn copy_entries_now(&mut self, incident: IncidentId) -> Result<(), JournalError> {
        let last = self.copy.last_copied_seq(incident)?;
        // Read the last copied entry again. If it differs or is gone, the store was restored from a backup: discard the copy.
        let mut new = self.pg.raw(incident, last.saturating_sub(1))?;
        if last > 0 {
            let mine = self.copy.raw(incident, last - 1)?;
            let is_same = new.first().zip(mine.first()).is_some_and(|(theirs, mine)| theirs.hash == mine.hash);
            if is_same {
                new.remove(0);
            } else {
                self.copy.delete_entries(incident)?;
                new = self.pg.raw(incident, 0)?;
            }
        }
        if new.is_empty() { Ok(()) } else { self.copy.put_entries(incident, &new) }
    }

    /// The entries of an incident on this machine: the copied ones, then the waiting ones.
    fn view(&self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError> {
        let mut entries = chain::read_all(incident, &self.copy.raw(incident, after)?)?;
        let waiting = self.copy.pending(incident)?;
        entries.extend(waiting.into_iter().filter(|p| p.seq() > after).map(|p| p.entry(incident)));
        Ok(entries)
    }

    /// Adds an append to the outbox. Fails with a conflict if `expected` is set and is not the last entry.
    fn enqueue(&mut self, incident: IncidentId, expected: Option<u64>, append: &Append) -> Result<Appended, JournalError> {
        let view = self.view(incident, 0)?;
        if let Some(expected) = expected {
            let found = view.last().map(|e| e.seq).ok_or(JournalError::NoSuchIncident(incident))?;
            if found != expected {
                return Err(JournalError::Conflict { incident, expected, found });
            }
        }
        let mut existing: BTreeMap<String, EvidenceId> = view
            .iter()
            .filter_map(|e| match &e.fact {
                Fact::EvidenceAttached { evidence } => Some((commit::identity(evidence), evidence.id)),
                _ => None,
            })
            .collect();
        let mut assigned = Vec::new();
        let mut queued = Vec::new();
        for new in &append.entries {
            let mut fact = new.fact.get().clone();
            match &mut fact {
                Fact::EvidenceAttached { evidence } => {
                    let identity = commit::identity(evidence);
                    if let Some(id) = existing.get(&identity) {
                        assigned.push(*id);
                        continue;
                    }
                    evidence.id = EvidenceId::local(self.copy.next_local_number("evidence")?);
                    assigned.push(evidence.id);
                    existing.insert(identity, evidence.id);
                }
                Fact::ActionAdded { id, .. } => *id = ActionId::local(self.copy.next_local_number("action")?),
                _ => {}
            }
            queued.push((new, fact));
        }
        let pushed = self.copy.push(incident, &queued, &append.bodies)?;
        self.version += 1;
        Ok(Appended { entries: pushed.into_iter().map(|p| p.entry(incident)).collect(), evidence: assigned })
    }

    /// The server's answer; `None` if the server is unreachable.
    fn unless_away<T>(result: Result<T, JournalError>) -> Result<Option<T>, JournalError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(JournalError::Unreachable { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Runs `work`, which uses the copy. First opens the copy again if another process has replaced it. If the copy turns
    /// out to be damaged, replaces it and runs `work` again.
    fn with_repair<T>(&mut self, mut work: impl FnMut(&mut Self) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let notice = self.copy.refresh()?;
        self.notices.extend(notice);
        match work(self) {
            Err(e) if e.is_damage() => {
                let notice = self.copy.repair()?;
                self.notices.extend(notice);
                self.compared = None;
                self.version += 1;
                work(self)
            }
            result => result,
        }
    }

    /// Updates the copy after a write.
    fn after_write(&mut self, incident: IncidentId) {
        // Ignore errors: the write has succeeded, and the next comparison updates the copy anyway.
        let _copied_later = self.copy_entries(incident);
        self.compared = None;
    }
}

impl Store for TeamStore {
    fn create(&mut self, append: Append) -> Result<Vec<Entry>, JournalError> {
        self.with_repair(|s| {
            if Self::unless_away(s.ensure_online())?.is_some() {
                let map = s.copy.renumbering()?;
                if let Some(entries) = Self::unless_away(s.request(|pg| pg.create(&append, &map)))? {
                    if let Some(first) = entries.first() {
                        s.after_write(first.incident);
                    }
                    return Ok(entries);
                }
            }
            let local = IncidentId::local(s.copy.next_local_number("incident")?);
            Ok(s.enqueue(local, None, &append)?.entries)
        })
    }

    fn append(&mut self, incident: IncidentId, expected: u64, append: Append) -> Result<Appended, JournalError> {
        self.with_repair(|s| {
            let reached = Self::unless_away(s.ensure_online())?.is_some();
            let incident = s.resolve(incident);
            if reached && !incident.is_local() {
                let map = s.copy.renumbering()?;
                if let Some(appended) = Self::unless_away(s.request(|pg| pg.append(incident, expected, &append, &map)))? {
                    s.after_write(incident);
                    return Ok(appended);
                }
                // The commit may have succeeded, and another process may have copied its entries already. The uids of the
                // entries prevent duplicates when they are merged.
                return s.enqueue(incident, None, &append);
            }
            s.enqueue(incident, Some(expected), &append)
        })
    }

    fn append_in_turn(&mut self, incident: IncidentId, known: u64, turn: &mut Turn<'_>) -> Result<Appended, JournalError> {
        let mut is_second = false;
        self.with_repair(|s| {
            if std::mem::replace(&mut is_second, true) {
                // The copy was replaced after `turn` was called. The caller has to read again.
                return Err(JournalError::Conflict { incident, expected: known, found: known });
            }
            let reached = Self::unless_away(s.ensure_online())?.is_some();
            let incident = s.resolve(incident);
            let mut made = None;
            if reached && !incident.is_local() {
                if known >= LOCAL_SEQ {
                    // The local entries that the caller has read have new numbers now. It has to read again.
                    return Err(JournalError::Conflict { incident, expected: known, found: s.copy.last_copied_seq(incident)? });
                }
                let map = s.copy.renumbering()?;
                let result = s.pg.append_in_turn(incident, known, turn, &mut made, &map);
                let result = s.pg.drop_if_away(result).map_err(|e| s.record_failure(e));
                if let Some(appended) = Self::unless_away(result)? {
                    s.after_write(incident);
                    return Ok(appended);
                }
            }
            // The server is unreachable. Keep the append that was already built, or build it from the entries on this machine.
            let append = match made {
                Some(append) => append,
                None => match turn(s.view(incident, known)?) {
                    Some(append) => append,
                    None => return Ok(Appended::default()),
                },
            };
            s.enqueue(incident, None, &append)
        })
    }

    fn entries(&mut self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError> {
        self.with_repair(|s| {
            let reached = Self::unless_away(s.ensure_online())?.is_some();
            let incident = s.resolve(incident);
            if reached && !incident.is_local() {
                Self::unless_away(s.copy_entries(incident))?;
            }
            s.view(incident, after)
        })
    }

    fn list(&mut self) -> Result<Vec<Summary>, JournalError> {
        self.with_repair(|s| {
            Self::unless_away(s.compare())?;
            let mut heads = s.copy.heads()?;
            for incident in s.copy.waiting_incidents()? {
                let count = u32::try_from(s.copy.pending(incident)?.len()).unwrap_or(u32::MAX);
                if let Some(folded) = Incident::fold(s.view(incident, 0)?) {
                    let head = Summary { unsynced: count, ..folded.head };
                    match heads.iter_mut().find(|h| h.id == incident) {
                        Some(existing) => *existing = head,
                        None => heads.insert(0, head),
                    }
                }
            }
            Ok(heads)
        })
    }

    fn body(&mut self, digest: &str) -> Result<Option<Body>, JournalError> {
        match self.raw_body(digest)? {
            Some(text) => serde_json::from_str(&text).map(Some).map_err(json("read")),
            None => Ok(None),
        }
    }

    fn raw_body(&mut self, digest: &str) -> Result<Option<String>, JournalError> {
        self.with_repair(|s| {
            if let Some(text) = s.copy.body(digest)? {
                return Ok(Some(text));
            }
            let found = Self::unless_away(s.request(|pg| pg.body(digest)))?.flatten();
            if let Some(json) = &found {
                s.copy.put_bodies(&[StoredBody { digest: digest.to_owned(), json: json.clone() }])?;
            }
            Ok(found)
        })
    }

    fn raw(&mut self, incident: IncidentId) -> Result<Vec<RawEntry>, JournalError> {
        self.with_repair(|s| {
            // Waiting entries are not part of a chain yet and are left out. The caller reports that.
            s.entries(incident, 0)?;
            let incident = s.resolve(incident);
            if incident.is_local() {
                let failure = Failure::new(format!("cannot export {incident}: it has not been merged into the shared store yet"))
                    .advise("Try again when the shared store is reachable.");
                return Err(JournalError::Bundle(failure));
            }
            let raw = s.copy.raw(incident, 0)?;
            if raw.is_empty() { Err(JournalError::NoSuchIncident(incident)) } else { Ok(raw) }
        })
    }

    /// Checks the shared store, and that this machine's copy is a prefix of it. The comparison finds a chain that was
    /// rewritten completely, which is valid on its own but differs from the copy.
    fn verify(&mut self) -> Result<Verification, JournalError> {
        self.with_repair(|s| {
            let mut result = if let Some(result) = Self::unless_away(s.request(PgStore::verify))? { result } else {
                let reason = s.away.clone().unwrap_or_default();
                Verification { gaps: vec![format!("the shared store is unreachable ({reason})")], ..Verification::default() }
            };
            if s.away.is_none() {
                let purged = s.request(PgStore::purged)?;
                for number in s.copy.copied_incidents()? {
                    let incident = IncidentId(number);
                    let mine = s.copy.raw(incident, 0)?;
                    if mine.is_empty() {
                        continue;
                    }
                    let theirs = s.request(|pg| pg.raw(incident, 0))?;
                    if purged.contains(&number) {
                        continue;
                    }
                    let differs = mine.iter().zip(&theirs).find(|(a, b)| a.hash != b.hash).map(|(a, _)| a.seq);
                    let truncated = (theirs.len() < mine.len()).then(|| theirs.len() as u64 + 1);
                    if let Some(seq) = differs.or(truncated) {
                        let what = "the shared store differs from this machine's earlier copy: it was rewritten, or restored from a backup";
                        result.broken.push(super::Broken { incident: incident.to_string(), seq, what: what.to_owned() });
                    }
                }
            }
            let waiting = s.copy.waiting_count()?;
            if waiting > 0 {
                result.gaps.push(format!("{} on this machine for the shared store", crate::telemetry::words::entries_waiting(waiting)));
            }
            Ok(result)
        })
    }

    fn version(&mut self) -> Result<i64, JournalError> {
        self.with_repair(|s| {
            let notifications = s.notifications.count.load(Ordering::Acquire);
            let is_listening = s.notifications.is_listening.load(Ordering::Acquire);
            let is_due =
                s.compared.is_none_or(|(at, seen)| notifications != seen || !is_listening || at.elapsed() > COMPARE_INTERVAL);
            if is_due || !s.pg.is_connected() {
                Self::unless_away(s.compare())?;
            }
            Ok(s.version)
        })
    }

    fn import(&mut self, incident: IncidentId, entries: &[RawEntry], bodies: &[StoredBody]) -> Result<Import, JournalError> {
        let import = self.request(|pg| pg.import(incident, entries, bodies))?;
        self.after_write(incident);
        Ok(import)
    }

    fn purge(&mut self, purge: &Purge) -> Result<(), JournalError> {
        self.request(|pg| pg.purge(purge))?;
        self.compare()
    }

    fn status(&mut self) -> StoreStatus {
        StoreStatus {
            unsynced: self.copy.waiting_count().unwrap_or(0),
            unreachable: self.away.clone(),
            read_only: None,
            merge_failure: self.stuck.as_ref().map(|(_, why)| why.clone()),
            notices: self.notices.clone(),
        }
    }

    fn purged_note(&mut self, incident: IncidentId) -> Result<Option<String>, JournalError> {
        Ok(Self::unless_away(self.request(|pg| pg.purged_note(incident)))?.flatten())
    }

    fn presence(&mut self, session: &str, name: &str, incident: Option<IncidentId>) -> Result<Vec<String>, JournalError> {
        if !self.pg.is_connected() {
            return Ok(Vec::new());
        }
        let incident = incident.map(|i| self.resolve(i)).filter(|i| !i.is_local());
        Ok(Self::unless_away(self.request(|pg| pg.presence(session, name, incident)))?.unwrap_or_default())
    }

    fn resolve(&mut self, incident: IncidentId) -> IncidentId {
        if !incident.is_local() {
            return incident;
        }
        // Ignore an unreadable copy here: the next operation on it reports the error.
        self.copy.assigned_number(incident).ok().flatten().unwrap_or(incident)
    }
}

/// Listens until the receiver is dropped, and reconnects after a failure. Wakes the receiver on every notification and
/// whenever the connection is established or lost.
fn listen(link: &Link, notifications: &Notifications, changes: &watch::Sender<u64>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the listener");
            return;
        }
    };
    let wake = || {
        notifications.count.fetch_add(1, Ordering::AcqRel);
        changes.send_modify(|n| *n = n.wrapping_add(1));
    };
    runtime.block_on(async {
        let mut wait = FIRST_WAIT;
        while !changes.is_closed() {
            let (notify, mut notified) = tokio::sync::mpsc::channel(16);
            if let Ok((client, driver)) = link.connect(Some(notify)).await
                && client.batch_execute(&format!("LISTEN {CHANNEL}")).await.is_ok()
            {
                wait = FIRST_WAIT;
                notifications.is_listening.store(true, Ordering::Release);
                // Catch up with changes made before the connection.
                wake();
                loop {
                    tokio::select! {
                        () = changes.closed() => return,
                        message = notified.recv() => match message {
                            Some(()) => wake(),
                            None => break,
                        },
                    }
                }
                driver.abort();
                notifications.is_listening.store(false, Ordering::Release);
                wake();
            }
            tokio::select! {
                () = changes.closed() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    });
}
