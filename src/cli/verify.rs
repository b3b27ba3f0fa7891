//! `warroom verify`: verifies every hash chain and evidence digest in the store.

use crate::telemetry::words::count;
use serde_json::json;

use super::{CliError, Done, out};
use crate::investigate::Desk;

pub(super) async fn run(desk: &Desk, as_json: bool) -> Result<Done, CliError> {
    let found = desk.journal.verify().await?;
    let ok = found.broken.is_empty();
    if as_json {
        out::json(
            &json!({"ok": ok, "incidents": found.incidents, "entries": found.entries, "bodies": found.bodies, "purged": found.purged, "broken": found.broken, "gaps": found.gaps}),
        )?;
    } else {
        for b in &found.broken {
            out::line(format!("{} entry {}: {}", b.incident, b.seq, b.what))?;
        }
        found.gaps.iter().for_each(|g| out::note(format!("warroom: not checked: {g}")));
        let verdict = match (ok, found.incidents, found.gaps.is_empty()) {
            (true, 0, false) => "Nothing was checked",
            (true, _, _) => "All chains and digests are valid",
            (false, _, _) => "Problems found",
        };
        out::line(format!(
            "{verdict}: {}, {}, {}{}",
            count(found.incidents, "incident"),
            count(found.entries, "entry"),
            count(found.bodies, "evidence body"),
            if found.purged > 0 { format!("; {} purged earlier", count(found.purged, "incident")) } else { String::new() }
        ))?;
    }
    Ok(match (ok, found.gaps.is_empty()) {
        (false, _) => Done::Problems,
        (true, true) => Done::Complete,
        (true, false) => Done::Partial,
    })
}
