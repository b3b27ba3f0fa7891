//! Replaces a damaged copy with a new file of the next generation. Entries waiting in the outbox are carried over as far as
//! they are readable, and the result is reported. The damaged file is not changed.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, params};

use super::{Copy, generation_path, newest_generation};
use crate::evidence::body::StoredBody;
use crate::incident::Fact;
use crate::journal::JournalError;
use crate::journal::sqlite::{create_private, io, read_body, write_bodies};
use crate::telemetry::words::count;

/// A row of the outbox as stored: uid, incident, at, recorded_at, actor, fact.
type Waiting = (String, i64, String, String, String, String);

/// The rows that could be read from a damaged copy.
#[derive(Default)]
struct Rescued {
    waiting: Vec<Waiting>,
    bodies: Vec<StoredBody>,
    // The tables `meta`, `alias`, `renumbered` and `counter`, which are needed to interpret local numbers.
    meta: Vec<(String, String)>,
    aliases: Vec<(i64, i64)>,
    renumbered: Vec<(String, String)>,
    counters: Vec<(String, i64)>,
    /// Whether the whole outbox could be read.
    is_complete: bool,
}

/// Replaces the damaged file of a copy with a new one, unless another process has already done so. Returns the copy and a
/// notice for the user. The damaged file keeps its name, because another process may still have the file and its log open.
pub(super) fn replace(base: &Path, broken: u32) -> Result<(Copy, Option<String>), JournalError> {
    let fail = |e: std::io::Error| JournalError::Open { path: base.display().to_string(), source: e.into() };
    let lock = File::create(base.with_extension("lock")).map_err(fail)?;
    lock.lock().map_err(fail)?;
    let newest = newest_generation(base);
    if newest > broken {
        return Copy::open_generation(base, newest).map(|copy| (copy, None));
    }
    let (damaged, target) = (generation_path(base, broken), generation_path(base, broken + 1));
    // Remove what a process that was killed during a repair may have left.
    let fresh = base.with_extension("new");
    for ending in ["", "-wal", "-shm"] {
        let _not_there = std::fs::remove_file(format!("{}{ending}", fresh.display()));
    }
    create_private(&fresh).map_err(fail)?;
    let mut connection = Copy::connect(&fresh)?;
    let rescued = rescue(&damaged);
    let carried = fill(&mut connection, &rescued)?;
    // Leave WAL mode, so that the copy is a single file that can be renamed.
    connection.pragma_update(None, "journal_mode", "DELETE").map_err(io("write to"))?;
    drop(connection);
    std::fs::rename(&fresh, &target).map_err(fail)?;
    Ok((Copy::open_generation(base, broken + 1)?, Some(notice(&damaged, carried, rescued.is_complete))))
}

/// The notice for the user.
fn notice(damaged: &Path, carried: usize, is_complete: bool) -> String {
    let waiting = match (carried, is_complete) {
        (0, true) => "No entries were waiting in it.".to_owned(),
        (n, true) => format!("All {} waiting in it were carried over.", count(n, "entry")),
        (n, false) => format!(
            "{} waiting in it {} carried over; others may be lost. Keep the damaged file to recover them.",
            count(n, "entry"),
            if n == 1 { "was" } else { "were" }
        ),
    };
    format!(
        "This machine's copy of the shared store was damaged and is being rebuilt from the server. The damaged file is kept: {}. {waiting}",
        damaged.display()
    )
}

/// Reads as much as possible. If a damaged page stops reading in one direction, reading in the other direction may find more
/// rows.
fn rescue(path: &Path) -> Rescued {
    let mut rescued = Rescued::default();
    let Ok(connection) = Connection::open(path) else { return rescued };
    let columns = "SELECT uid, incident, at, recorded_at, actor, fact FROM outbox";
    let read = |order: &str| -> (Vec<Waiting>, bool) {
        let mut found = Vec::new();
        let Ok(mut statement) = connection.prepare(&format!("{columns} ORDER BY place {order}")) else { return (found, false) };
        let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)));
        let Ok(rows) = rows else { return (found, false) };
        for row in rows {
            match row {
                Ok(row) => found.push(row),
                Err(_) => return (found, false),
            }
        }
        (found, true)
    };
    (rescued.waiting, rescued.is_complete) = read("ASC");
    if !rescued.is_complete {
        let mut last = read("DESC").0;
        last.retain(|row| !rescued.waiting.iter().any(|have| have.0 == row.0));
        last.reverse();
        rescued.waiting.extend(last);
    }
    let total = rescued.waiting.len();
    rescued.waiting.retain(|row| serde_json::from_str::<Fact>(&row.5).is_ok());
    rescued.is_complete &= rescued.waiting.len() == total;
    for row in &rescued.waiting {
        let fact = serde_json::from_str::<Fact>(&row.5).ok();
        if let Some(digest) = fact.as_ref().and_then(Fact::body_digest) {
            let json = read_body(&connection, digest).ok().flatten();
            rescued.bodies.extend(json.map(|json| StoredBody { digest: digest.to_owned(), json }));
        }
    }
    rescued.meta = pairs(&connection, "SELECT key, value FROM meta");
    rescued.aliases = pairs(&connection, "SELECT local, number FROM alias");
    rescued.renumbered = pairs(&connection, "SELECT local, given FROM renumbered");
    rescued.counters = pairs(&connection, "SELECT name, next FROM counter");
    rescued
}

/// The rows of a query with two columns, up to the first row that cannot be read.
fn pairs<A: rusqlite::types::FromSql, B: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> Vec<(A, B)> {
    let Ok(mut statement) = connection.prepare(sql) else { return Vec::new() };
    let Ok(rows) = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))) else { return Vec::new() };
    rows.map_while(Result::ok).collect()
}

/// Writes the rescued rows into a new copy. Returns the number of waiting entries that were carried over.
fn fill(connection: &mut Connection, rescued: &Rescued) -> Result<usize, JournalError> {
    let tx = connection.transaction().map_err(io("write to"))?;
    let mut carried = 0;
    for (uid, incident, at, recorded_at, actor, fact) in &rescued.waiting {
        let sql = "INSERT OR IGNORE INTO outbox (uid, incident, at, recorded_at, actor, fact) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        carried += tx.execute(sql, params![uid, incident, at, recorded_at, actor, fact]).map_err(io("write to"))?;
    }
    write_bodies(&tx, &rescued.bodies)?;
    for (key, value) in &rescued.meta {
        tx.execute("INSERT OR IGNORE INTO meta VALUES (?1, ?2)", params![key, value]).map_err(io("write to"))?;
    }
    for (local, number) in &rescued.aliases {
        tx.execute("INSERT OR IGNORE INTO alias VALUES (?1, ?2)", params![local, number]).map_err(io("write to"))?;
    }
    for (local, given) in &rescued.renumbered {
        tx.execute("INSERT OR IGNORE INTO renumbered VALUES (?1, ?2)", params![local, given]).map_err(io("write to"))?;
    }
    for (name, next) in &rescued.counters {
        tx.execute("INSERT OR IGNORE INTO counter VALUES (?1, ?2)", params![name, next]).map_err(io("write to"))?;
    }
    tx.commit().map_err(io("write to"))?;
    Ok(carried)
}
