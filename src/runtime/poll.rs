//! Polls the sources. Each source has its own task, so that a source that hangs does not delay the others. Each answer
//! produces a new board from the latest answers of all sources.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::analysis::merge::merge;
use crate::app::Msg;
use crate::incident::{AlertBoard, SourceReport};
use crate::investigate::clock::now;
use crate::investigate::set::{SourceSet, report_failed, report_ok, source_gaps};
use crate::sources::Source;
use crate::telemetry::Alert;

/// The latest answer of one source.
struct Latest {
    kind: String,
    alerts: Vec<Alert>,
    report: SourceReport,
    gaps: Vec<String>,
}

/// Makes the pollers query their sources immediately.
#[derive(Clone, Default)]
pub(super) struct Wake(Arc<Notify>);

impl Wake {
    pub(super) fn now(&self) {
        self.0.notify_waiters();
    }
}

/// Starts a poller for each source. Sources that could not be created are reported immediately. Returns a receiver of the
/// latest board, for the task that watches open incidents.
pub(super) fn start(
    set: &SourceSet,
    refresh: Duration,
    wake: &Wake,
    messages: &mpsc::Sender<Msg>,
    tasks: &mut JoinSet<()>,
) -> watch::Receiver<Option<AlertBoard>> {
    let (latest_board, boards) = watch::channel(None);
    let latest_board = Arc::new(latest_board);
    let shared: Arc<Mutex<BTreeMap<usize, Latest>>> = Arc::default();
    let start = Arc::new(set.empty_board());
    for (place, source) in set.sources.iter().enumerate() {
        let (source, shared, start) = (Arc::clone(source), Arc::clone(&shared), Arc::clone(&start));
        let (wake, messages, latest_board) = (wake.clone(), messages.clone(), Arc::clone(&latest_board));
        tasks.spawn(async move {
            loop {
                let woken = wake.0.notified();
                let latest = query(source.as_ref()).await;
                let board = {
                    let mut all = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    all.insert(place, latest);
                    board(&all, &start)
                };
                latest_board.send_replace(Some(board.clone()));
                if messages.send(Msg::AlertsArrived(Box::new(board))).await.is_err() {
                    return;
                }
                // Jitter, so that many instances do not query at the same time.
                let jitter = Duration::from_millis(now().micros().unsigned_abs() / 7 % 1000);
                tokio::select! {
                    () = tokio::time::sleep(refresh + jitter) => {}
                    () = woken => {}
                }
            }
        });
    }
    if set.sources.is_empty() && !start.sources.is_empty() {
        let messages = messages.clone();
        tasks.spawn(async move {
            let _quitting = messages.send(Msg::AlertsArrived(Box::new(board(&BTreeMap::new(), &start)))).await;
        });
    }
    boards
}

/// Queries the alerts of a source, or probes it if it does not provide alerts.
async fn query(source: &dyn Source) -> Latest {
    let (name, kind) = (source.name(), source.kind());
    let (alerts, report, gaps) = match source.alerts() {
        Some(alerts) => match alerts.active().await {
            Ok(answer) => (answer.value, report_ok(name, kind), answer.gaps),
            Err(e) => (Vec::new(), report_failed(name, kind, &e), Vec::new()),
        },
        None => match source.probe().await {
            Ok(_) => (Vec::new(), report_ok(name, kind), Vec::new()),
            Err(e) => (Vec::new(), report_failed(name, kind, &e), Vec::new()),
        },
    };
    Latest { kind: kind.to_owned(), alerts, report, gaps }
}

/// The board of all latest answers.
fn board(all: &BTreeMap<usize, Latest>, start: &AlertBoard) -> AlertBoard {
    AlertBoard {
        alerts: merge(all.values().map(|l| (l.kind.as_str(), l.alerts.clone())).collect()),
        sources: start.sources.iter().chain(all.values().map(|l| &l.report)).cloned().collect(),
        gaps: all.values().flat_map(|l| source_gaps(&l.report.name, l.gaps.clone())).collect(),
        expected: start.expected.clone(),
    }
}
