//! Looking after open incidents while the program runs: whether their alerts end or fire again, and whether the exit
//! criteria come to hold. Each is written once, by whoever of the people in the room sees it first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::incident::{AlertBoard, IncidentId};
use crate::investigate::Desk;

/// An alert counts as ended when it has been gone for this long: a restarted Alertmanager knows nothing for a moment.
const GONE: Duration = Duration::from_secs(20);
/// How often exit criteria are read.
const READ: Duration = Duration::from_secs(60);

/// Runs until the boards end.
pub(super) async fn run(desk: Arc<Desk>, mut boards: watch::Receiver<Option<AlertBoard>>) {
    let mut gone: BTreeMap<(IncidentId, String), Instant> = BTreeMap::new();
    let mut read: BTreeMap<IncidentId, Instant> = BTreeMap::new();
    while boards.changed().await.is_ok() {
        let Some(board) = boards.borrow_and_update().clone() else { continue };
        let Ok(heads) = desk.journal.list().await else { continue };
        for head in heads.iter().filter(|h| h.status.is_open()) {
            if !head.alerts.is_empty() {
                look(&desk, head.id, &board, &mut gone).await;
            }
            let due = read.get(&head.id).is_none_or(|at| at.elapsed() >= READ);
            if due {
                read.insert(head.id, Instant::now());
                if let Err(error) = desk.check_exit(head.id).await {
                    tracing::debug!(incident = %head.id, %error, "the exit criteria");
                }
            }
        }
    }
}

async fn look(desk: &Desk, id: IncidentId, board: &AlertBoard, gone: &mut BTreeMap<(IncidentId, String), Instant>) {
    let Ok(seen) = desk.seen(id, board).await else { return };
    gone.retain(|(i, print), _| *i != id || seen.ended.contains(print));
    for print in &seen.ended {
        gone.entry((id, print.clone())).or_insert_with(Instant::now);
    }
    let settled = seen.ended.iter().all(|p| gone.get(&(id, p.clone())).is_some_and(|at| at.elapsed() >= GONE));
    let tells = !seen.ended.is_empty() && settled || seen.ended.is_empty() && seen.fires_again;
    if tells && let Err(error) = desk.watch(id, board).await {
        tracing::warn!(incident = %id, %error, "what was seen of its alerts could not be written");
    }
}
