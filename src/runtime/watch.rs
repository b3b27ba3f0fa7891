//! Watches open incidents while the program runs: records when their alerts resolve or fire again, and when their exit
//! criteria are met. Each change is recorded once, by the first instance that notices it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::incident::{AlertBoard, IncidentId};
use crate::investigate::Desk;

/// How long an alert must be gone before it counts as resolved, because a restarted Alertmanager briefly has no alerts.
const RESOLVE_DELAY: Duration = Duration::from_secs(20);
/// The interval between checks of the exit criteria and of mitigations.
const EXIT_CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// Watches until the sender of the boards is gone.
pub(super) async fn run(desk: Arc<Desk>, mut boards: watch::Receiver<Option<AlertBoard>>) {
    let mut gone: BTreeMap<(IncidentId, String), Instant> = BTreeMap::new();
    let mut checked: BTreeMap<IncidentId, Instant> = BTreeMap::new();
    while boards.changed().await.is_ok() {
        let Some(board) = boards.borrow_and_update().clone() else { continue };
        let Ok(summaries) = desk.journal.list().await else { continue };
        for summary in summaries.iter().filter(|s| s.status.is_open()) {
            if !summary.alerts.is_empty() {
                check_alerts(&desk, summary.id, &board, &mut gone).await;
            }
            let is_due = checked.get(&summary.id).is_none_or(|at| at.elapsed() >= EXIT_CHECK_INTERVAL);
            if is_due {
                checked.insert(summary.id, Instant::now());
                if let Err(error) = desk.check_exit(summary.id).await {
                    tracing::debug!(incident = %summary.id, %error, "cannot check the exit criteria");
                }
                if let Err(error) = desk.judge_mitigations(summary.id).await {
                    tracing::debug!(incident = %summary.id, %error, "cannot check the mitigations");
                }
            }
        }
    }
}

/// Records alerts that fire again, and alerts that have been gone for [`RESOLVE_DELAY`].
async fn check_alerts(desk: &Desk, id: IncidentId, board: &AlertBoard, gone: &mut BTreeMap<(IncidentId, String), Instant>) {
    let Ok(seen) = desk.alert_changes(id, board).await else { return };
    gone.retain(|(i, fingerprint), _| *i != id || seen.resolved.contains(fingerprint));
    for fingerprint in &seen.resolved {
        gone.entry((id, fingerprint.clone())).or_insert_with(Instant::now);
    }
    let settled = seen.resolved.iter().all(|p| gone.get(&(id, p.clone())).is_some_and(|at| at.elapsed() >= RESOLVE_DELAY));
    let has_changed = !seen.resolved.is_empty() && settled || seen.resolved.is_empty() && seen.fires_again;
    if has_changed && let Err(error) = desk.record_alert_changes(id, board).await {
        tracing::warn!(incident = %id, %error, "cannot record the state of the alerts");
    }
}
