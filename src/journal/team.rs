//! A shared store with this machine's copy of it. While PostgreSQL answers, it is what counts and the copy follows; while it
//! does not, incidents are read from the copy, and what is written waits in the outbox under local numbers. When it is back
//! the outbox is merged, incident by incident, each in one commit and in the order of writing. Nothing is lost: an entry
//! leaves the outbox only after the commit that holds it. Nothing is there twice: each entry has a name of its own.

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

/// After a failure the server is not tried again for this long, doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// With a listener that lives, the list of incidents is compared this often all the same.
const COMPARE: Duration = Duration::from_secs(15);
/// Entries that are merged in one commit.
const PORTION: usize = 100;

/// See the module's words.
pub struct TeamStore {
    pg: PgStore,
    copy: Copy,
    link: Link,
    notifications: Notifications,
    /// What happened to the copy since the program started.
    notices: Vec<String>,
    /// Why the server is unreachable, while it is.
    away: Option<String>,
    was_connected: bool,
    wait: Duration,
    next_try: Option<Instant>,
    /// Counts what changed, for [`Store::version`].
    version: i64,
    compared: Option<(Instant, u64)>,
    /// Why something that waits could not be merged, and when that was.
    stuck: Option<(Instant, String)>,
}

/// What the listening thread reports.
#[derive(Clone, Default)]
struct Notifications {
    count: Arc<AtomicU64>,
    is_listening: Arc<AtomicBool>,
}

/// Starts a listener; see [`TeamStore::listener`].
pub(super) type Listener = Arc<dyn Fn() -> watch::Receiver<u64> + Send + Sync>;

impl TeamStore {
    /// Opens this machine's copy; the server is tried when it is first needed.
    pub fn open(url: &str, password: Option<&SecretString>, copies: &Path) -> Result<Self, JournalError> {
        let link = Link::parse(url, password)?;
        // The same store has the same copy, however its URL is written.
        let name = digest(link.place().as_bytes());
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

    /// What starts listening to what others write: a thread with a connection of its own, which ends with the last receiver.
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

    /// Makes sure that the server answers and has what waited here. `Err(Away)` when it does not; other errors are the
    /// server's refusals.
    fn online(&mut self) -> Result<(), JournalError> {
        if !self.pg.is_connected() {
            if self.next_try.is_some_and(|at| Instant::now() < at) {
                return Err(self.out_of_reach());
            }
            if let Err(e) = self.pg.connect().and_then(|()| self.belong()) {
                self.pg.disconnect();
                return Err(self.failed(e));
            }
            self.away = None;
            self.was_connected = true;
            self.wait = FIRST_WAIT;
            self.next_try = None;
            self.compared = None;
            self.version += 1;
        }
        if self.copy.count()? > 0 && self.stuck.as_ref().is_none_or(|(at, _)| at.elapsed() > LONGEST_WAIT) {
            self.stuck = None;
            self.merge_all()?;
        }
        Ok(())
    }

    /// Makes sure that this copy is of this store. One of another store (a database made anew behind the same name) is begun
    /// anew, unless something waits in it: that belongs to incidents of the other store and is not merged into these.
    fn belong(&mut self) -> Result<(), JournalError> {
        let id = self.pg.store_id()?;
        match self.copy.store_id()? {
            Some(have) if have == id => Ok(()),
            Some(_) if self.copy.count()? > 0 => Err(JournalError::Rejected {
                url: self.link.shown.clone(),
                reason: format!(
                    "it is not the store for which {} on this machine",
                    crate::telemetry::words::entries_waiting(self.copy.count()?)
                ),
                remedy: format!("Restore the original store, or move {} away.", self.copy.path().display()),
            }),
            _ => self.copy.belong_to(&id),
        }
    }

    fn out_of_reach(&self) -> JournalError {
        let reason = self.away.clone().unwrap_or_else(|| "not connected".to_owned());
        JournalError::Away { url: self.link.shown.clone(), reason }
    }

    /// Takes a failure in: whether the server is away now. A server that refuses us from the start is told as such; one that
    /// refuses us later is as good as away, since what is being written must not be lost.
    fn failed(&mut self, e: JournalError) -> JournalError {
        let reason = match &e {
            JournalError::Away { reason, .. } => reason.clone(),
            JournalError::Rejected { reason, .. } if self.was_connected => reason.clone(),
            _ => return e,
        };
        if self.away.is_none() {
            self.version += 1;
        }
        self.away = Some(reason);
        self.next_try = Some(Instant::now() + self.wait);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.out_of_reach()
    }

    /// Asks the server; an answer that says that it is gone is remembered.
    fn ask<T>(&mut self, work: impl FnOnce(&mut PgStore) -> Result<T, JournalError>) -> Result<T, JournalError> {
        self.online()?;
        let result = work(&mut self.pg);
        self.pg.drop_if_away(result).map_err(|e| self.failed(e))
    }

    /// Merges the outbox. First every local incident gets its number, then the rest follows, so that what speaks of another
    /// local incident finds its number. An incident that cannot be merged holds up no other one, and no reading or writing.
    fn merge_all(&mut self) -> Result<(), JournalError> {
        let mut map = self.copy.renumbering()?;
        for incident in self.copy.waiting()?.into_iter().filter(|i| i.is_local()) {
            let Some(first) = self.copy.pending(incident)?.into_iter().next() else { continue };
            let known = self.copy.alias(incident)?;
            let number = match known {
                Some(number) => Ok(number),
                None => self.merge_one(incident, std::slice::from_ref(&first), &[], &mut map),
            };
            match number {
                // From here on it waits under its number.
                Ok(number) => self.copy.settle(incident, number, &[], &map)?,
                Err(e @ JournalError::Away { .. }) => return Err(e),
                Err(e) => self.hold(incident, &e),
            }
            self.version += 1;
        }
        for incident in self.copy.waiting()?.into_iter().filter(|i| !i.is_local()) {
            // In portions: the lock of the incident is not held for longer than a moment.
            for portion in self.copy.pending(incident)?.chunks(PORTION) {
                match self.merge_portion(incident, portion, &mut map) {
                    Ok(()) => {}
                    Err(e @ JournalError::Away { .. }) => return Err(e),
                    Err(e) => {
                        self.hold(incident, &e);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn merge_portion(&mut self, incident: IncidentId, portion: &[Pending], map: &mut Renumbering) -> Result<(), JournalError> {
        let bodies = self.bodies_of(portion)?;
        let number = self.merge_one(incident, portion, &bodies, map)?;
        // Into the copy first, out of the outbox then: what was acknowledged can be read at every moment.
        let followed = self.follow_now(number);
        self.pg.drop_if_away(followed).map_err(|e| self.failed(e))?;
        let uids: Vec<String> = portion.iter().map(|p| p.uid.clone()).collect();
        self.copy.settle(incident, number, &uids, map)?;
        self.version += 1;
        self.compared = None;
        Ok(())
    }

    /// Notes that an incident's entries cannot be merged now (it was purged, or locked for long); they stay here, counted.
    fn hold(&mut self, incident: IncidentId, why: &JournalError) {
        tracing::warn!(%incident, %why, "waiting entries cannot be merged");
        self.stuck = Some((Instant::now(), format!("cannot merge the entries that wait for {incident}: {}", why.failure())));
    }

    fn merge_one(
        &mut self,
        incident: IncidentId,
        pending: &[Pending],
        bodies: &[StoredBody],
        map: &mut Renumbering,
    ) -> Result<IncidentId, JournalError> {
        let result = self.pg.merge(incident, pending, bodies, map);
        self.pg.drop_if_away(result).map_err(|e| self.failed(e))
    }

    fn bodies_of(&self, pending: &[Pending]) -> Result<Vec<StoredBody>, JournalError> {
        let mut bodies = Vec::new();
        for p in pending {
            if let Some(digest) = p.fact.body_digest() {
                bodies.extend(self.copy.body(digest)?.map(|json| StoredBody { digest: digest.to_owned(), json }));
            }
        }
        Ok(bodies)
    }

    /// Brings the copy of the heads up to date, and the entries of open incidents, so that they can be read without the
    /// server.
    fn compare(&mut self) -> Result<(), JournalError> {
        let heard = self.notifications.count.load(Ordering::Acquire);
        let ends = self.ask(PgStore::ends)?;
        let known = self.copy.last_seqs()?;
        let changed: Vec<u32> = ends.iter().filter(|(n, seq)| known.get(*n) != Some(*seq)).map(|(n, _)| *n).collect();
        let gone: Vec<u32> = self.copy.kept()?.into_iter().filter(|n| !ends.contains_key(n)).collect();
        if !changed.is_empty() || !gone.is_empty() {
            self.copy.put_heads(&[], &gone)?;
            for some in changed.chunks(1000) {
                let heads = self.ask(|pg| pg.heads(some))?;
                let mut closed = Vec::new();
                for head in heads {
                    let open = serde_json::from_str::<Summary>(&head.head).is_ok_and(|h| h.status.is_open());
                    if open || self.copy.copied(IncidentId(head.number))? > 0 {
                        // The entries first: a head says that they are here.
                        self.follow(IncidentId(head.number))?;
                        self.copy.put_heads(&[head], &[])?;
                    } else {
                        closed.push(head);
                    }
                }
                self.copy.put_heads(&closed, &[])?;
            }
            self.version += 1;
        }
        self.compared = Some((Instant::now(), heard));
        Ok(())
    }

    /// Copies the entries of an incident that are not here yet.
    fn follow(&mut self, incident: IncidentId) -> Result<(), JournalError> {
        self.online()?;
        let followed = self.follow_now(incident);
        self.pg.drop_if_away(followed).map_err(|e| self.failed(e))
    }

    /// The same, of a server that has just answered.
    fn follow_now(&mut self, incident: IncidentId) -> Result<(), JournalError> {
        let have = self.copy.copied(incident)?;
        // From the last one that is here on: it must be the same there. If it is not, or is gone, the store was put back from a
        // backup, and the store counts.
        let mut new = self.pg.raw(incident, have.saturating_sub(1))?;
        if have > 0 {
            let mine = self.copy.raw(incident, have - 1)?;
            let same = new.first().zip(mine.first()).is_some_and(|(theirs, mine)| theirs.hash == mine.hash);
            if same {
                new.remove(0);
            } else {
                self.copy.forget(incident)?;
                new = self.pg.raw(incident, 0)?;
            }
        }
        if new.is_empty() { Ok(()) } else { self.copy.put_entries(incident, &new) }
    }

    /// The entries as they can be seen now: the copy, then what waits.
    fn view(&self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError> {
        let mut entries = chain::read_all(incident, &self.copy.raw(incident, after)?)?;
        let waiting = self.copy.pending(incident)?;
        entries.extend(waiting.into_iter().filter(|p| p.seq() > after).map(|p| p.entry(incident)));
        Ok(entries)
    }

    /// Puts an append into the outbox.
    fn keep(&mut self, incident: IncidentId, expected: Option<u64>, append: &Append) -> Result<Appended, JournalError> {
        let view = self.view(incident, 0)?;
        if let Some(expected) = expected {
            let found = view.last().map(|e| e.seq).ok_or(JournalError::NoSuchIncident(incident))?;
            if found != expected {
                return Err(JournalError::Conflict { incident, expected, found });
            }
        }
        let mut known: BTreeMap<String, EvidenceId> = view
            .iter()
            .filter_map(|e| match &e.fact {
                Fact::EvidenceAttached { evidence } => Some((commit::identity(evidence), evidence.id)),
                _ => None,
            })
            .collect();
        let mut given = Vec::new();
        let mut kept = Vec::new();
        for new in &append.entries {
            let mut fact = new.fact.get().clone();
            match &mut fact {
                Fact::EvidenceAttached { evidence } => {
                    let identity = commit::identity(evidence);
                    if let Some(have) = known.get(&identity) {
                        given.push(*have);
                        continue;
                    }
                    evidence.id = EvidenceId::local(self.copy.next("evidence")?);
                    given.push(evidence.id);
                    known.insert(identity, evidence.id);
                }
                Fact::ActionAdded { id, .. } => *id = ActionId::local(self.copy.next("action")?),
                _ => {}
            }
            kept.push((new, fact));
        }
        let pushed = self.copy.push(incident, &kept, &append.bodies)?;
        self.version += 1;
        Ok(Appended { entries: pushed.into_iter().map(|p| p.entry(incident)).collect(), evidence: given })
    }

    /// The server's answer, or `None` when it is away.
    fn unless_away<T>(result: Result<T, JournalError>) -> Result<Option<T>, JournalError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(JournalError::Away { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Does something that needs the copy. A copy that another process replaced is opened again; one that turns out to be damaged is
    /// set aside, and the work is done again with a new one.
    fn guarded<T>(&mut self, mut work: impl FnMut(&mut Self) -> Result<T, JournalError>) -> Result<T, JournalError> {
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
            done => done,
        }
    }

    fn after_write(&mut self, incident: IncidentId) {
        // The copy follows at the next look anyway; a failure now is no failure of the write.
        let _follows_later = self.follow(incident);
        self.compared = None;
    }
}

impl Store for TeamStore {
    fn create(&mut self, append: Append) -> Result<Vec<Entry>, JournalError> {
        self.guarded(|s| {
            if Self::unless_away(s.online())?.is_some() {
                let map = s.copy.renumbering()?;
                if let Some(entries) = Self::unless_away(s.ask(|pg| pg.create(&append, &map)))? {
                    if let Some(first) = entries.first() {
                        s.after_write(first.incident);
                    }
                    return Ok(entries);
                }
            }
            let local = IncidentId::local(s.copy.next("incident")?);
            Ok(s.keep(local, None, &append)?.entries)
        })
    }

    fn append(&mut self, incident: IncidentId, expected: u64, append: Append) -> Result<Appended, JournalError> {
        self.guarded(|s| {
            let reached = Self::unless_away(s.online())?.is_some();
            let incident = s.resolve(incident);
            if reached && !incident.is_local() {
                let map = s.copy.renumbering()?;
                if let Some(appended) = Self::unless_away(s.ask(|pg| pg.append(incident, expected, &append, &map)))? {
                    s.after_write(incident);
                    return Ok(appended);
                }
                // It may have been committed, and another process of this machine may have copied it already: the names of the
                // entries settle that when they are merged.
                return s.keep(incident, None, &append);
            }
            s.keep(incident, Some(expected), &append)
        })
    }

    fn append_in_turn(&mut self, incident: IncidentId, known: u64, turn: &mut Turn<'_>) -> Result<Appended, JournalError> {
        let mut is_second = false;
        self.guarded(|s| {
            if std::mem::replace(&mut is_second, true) {
                // The copy was replaced after `turn` had its say: the caller reads again.
                return Err(JournalError::Conflict { incident, expected: known, found: known });
            }
            let reached = Self::unless_away(s.online())?.is_some();
            let incident = s.resolve(incident);
            let mut made = None;
            if reached && !incident.is_local() {
                if known >= LOCAL_SEQ {
                    // What the caller knows has other numbers now: it reads anew.
                    return Err(JournalError::Conflict { incident, expected: known, found: s.copy.copied(incident)? });
                }
                let map = s.copy.renumbering()?;
                let result = s.pg.append_in_turn(incident, known, turn, &mut made, &map);
                let result = s.pg.drop_if_away(result).map_err(|e| s.failed(e));
                if let Some(appended) = Self::unless_away(result)? {
                    s.after_write(incident);
                    return Ok(appended);
                }
            }
            // Away: what was made before the server went is kept under its own names, else it is made of what can be seen here.
            let append = match made {
                Some(append) => append,
                None => match turn(s.view(incident, known)?) {
                    Some(append) => append,
                    None => return Ok(Appended::default()),
                },
            };
            s.keep(incident, None, &append)
        })
    }

    fn entries(&mut self, incident: IncidentId, after: u64) -> Result<Vec<Entry>, JournalError> {
        self.guarded(|s| {
            let reached = Self::unless_away(s.online())?.is_some();
            let incident = s.resolve(incident);
            if reached && !incident.is_local() {
                Self::unless_away(s.follow(incident))?;
            }
            s.view(incident, after)
        })
    }

    fn list(&mut self) -> Result<Vec<Summary>, JournalError> {
        self.guarded(|s| {
            Self::unless_away(s.compare())?;
            let mut heads = s.copy.heads()?;
            for incident in s.copy.waiting()? {
                let count = u32::try_from(s.copy.pending(incident)?.len()).unwrap_or(u32::MAX);
                if let Some(folded) = Incident::fold(s.view(incident, 0)?) {
                    let head = Summary { unsynced: count, ..folded.head };
                    match heads.iter_mut().find(|h| h.id == incident) {
                        Some(have) => *have = head,
                        None => heads.insert(0, head),
                    }
                }
            }
            Ok(heads)
        })
    }

    fn body(&mut self, wanted: &str) -> Result<Option<Body>, JournalError> {
        match self.raw_body(wanted)? {
            Some(text) => serde_json::from_str(&text).map(Some).map_err(json("read")),
            None => Ok(None),
        }
    }

    fn raw_body(&mut self, wanted: &str) -> Result<Option<String>, JournalError> {
        self.guarded(|s| {
            if let Some(text) = s.copy.body(wanted)? {
                return Ok(Some(text));
            }
            let found = Self::unless_away(s.ask(|pg| pg.body(wanted)))?.flatten();
            if let Some(json) = &found {
                s.copy.put_bodies(&[StoredBody { digest: wanted.to_owned(), json: json.clone() }])?;
            }
            Ok(found)
        })
    }

    fn raw(&mut self, incident: IncidentId) -> Result<Vec<RawEntry>, JournalError> {
        self.guarded(|s| {
            // What waits is in no chain yet: the rest is given without it, and who asks says so.
            s.entries(incident, 0)?;
            let incident = s.resolve(incident);
            if incident.is_local() {
                let failure = Failure::new(format!("cannot export {incident}: it has not been merged into the shared store yet"))
                    .advise("Try again when the shared store answers.");
                return Err(JournalError::Bundle(failure));
            }
            let raw = s.copy.raw(incident, 0)?;
            if raw.is_empty() { Err(JournalError::NoSuchIncident(incident)) } else { Ok(raw) }
        })
    }

    /// Checks the shared store, and whether this machine's copy is its beginning: a store whose chain was written anew as a
    /// whole holds in itself, and differs from the copies.
    fn verify(&mut self) -> Result<Verification, JournalError> {
        self.guarded(|s| {
            let mut result = match Self::unless_away(s.ask(PgStore::verify))? {
                Some(result) => result,
                None => {
                    let reason = s.away.clone().unwrap_or_default();
                    Verification { gaps: vec![format!("the shared store is unreachable ({reason})")], ..Verification::default() }
                }
            };
            if s.away.is_none() {
                let purged = s.ask(PgStore::purged)?;
                for number in s.copy.kept()? {
                    let incident = IncidentId(number);
                    let mine = s.copy.raw(incident, 0)?;
                    if mine.is_empty() {
                        continue;
                    }
                    let theirs = s.ask(|pg| pg.raw(incident, 0))?;
                    if purged.contains(&number) {
                        continue;
                    }
                    let differs = mine.iter().zip(&theirs).find(|(a, b)| a.hash != b.hash).map(|(a, _)| a.seq);
                    let short = (theirs.len() < mine.len()).then(|| theirs.len() as u64 + 1);
                    if let Some(seq) = differs.or(short) {
                        let what = "the shared store differs from this machine's earlier copy: it was rewritten, or restored from a backup";
                        result.broken.push(super::Broken { incident: incident.to_string(), seq, what: what.to_owned() });
                    }
                }
            }
            let waiting = s.copy.count()?;
            if waiting > 0 {
                result.gaps.push(format!("{} on this machine for the shared store", crate::telemetry::words::entries_waiting(waiting)));
            }
            Ok(result)
        })
    }

    fn version(&mut self) -> Result<i64, JournalError> {
        self.guarded(|s| {
            let heard = s.notifications.count.load(Ordering::Acquire);
            let listening = s.notifications.is_listening.load(Ordering::Acquire);
            let due = s.compared.is_none_or(|(at, at_heard)| heard != at_heard || !listening || at.elapsed() > COMPARE);
            if due || !s.pg.is_connected() {
                Self::unless_away(s.compare())?;
            }
            Ok(s.version)
        })
    }

    fn import(&mut self, incident: IncidentId, entries: &[RawEntry], bodies: &[StoredBody]) -> Result<Import, JournalError> {
        let import = self.ask(|pg| pg.import(incident, entries, bodies))?;
        self.after_write(incident);
        Ok(import)
    }

    fn purge(&mut self, purge: &Purge) -> Result<(), JournalError> {
        self.ask(|pg| pg.purge(purge))?;
        self.compare()
    }

    fn status(&mut self) -> StoreStatus {
        StoreStatus {
            unsynced: self.copy.count().unwrap_or(0),
            away: self.away.clone(),
            read_only: None,
            stuck: self.stuck.as_ref().map(|(_, why)| why.clone()),
            notices: self.notices.clone(),
        }
    }

    fn purged_note(&mut self, incident: IncidentId) -> Result<Option<String>, JournalError> {
        Ok(Self::unless_away(self.ask(|pg| pg.purged_note(incident)))?.flatten())
    }

    fn presence(&mut self, session: &str, name: &str, incident: Option<IncidentId>) -> Result<Vec<String>, JournalError> {
        if !self.pg.is_connected() {
            return Ok(Vec::new());
        }
        let incident = incident.map(|i| self.resolve(i)).filter(|i| !i.is_local());
        Ok(Self::unless_away(self.ask(|pg| pg.presence(session, name, incident)))?.unwrap_or_default())
    }

    fn resolve(&mut self, incident: IncidentId) -> IncidentId {
        if !incident.is_local() {
            return incident;
        }
        // A copy that cannot be read is told by whatever is asked of it next.
        self.copy.alias(incident).ok().flatten().unwrap_or(incident)
    }
}

/// Listens until nobody wants to know any more; connects again after a failure. Whoever waits is woken by every
/// notification and by every change of the connection.
fn listen(link: &Link, notifications: &Notifications, changes: &watch::Sender<u64>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the listener did not start");
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
                // Catch up with what was written before.
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
