//! Presence: announces which incident room the user has open, and learns who else has it open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::app::Msg;
use crate::incident::IncidentId;
use crate::investigate::Desk;

/// The interval between announcements. The store ignores announcements that are three times as old.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The incident room that the user has open. Cheap to clone.
#[derive(Clone)]
pub(super) struct CurrentRoom {
    room: Arc<watch::Sender<Option<IncidentId>>>,
    session: String,
}

impl Default for CurrentRoom {
    fn default() -> Self {
        Self { room: Arc::new(watch::Sender::new(None)), session: uuid::Uuid::now_v7().to_string() }
    }
}

impl CurrentRoom {
    pub(super) fn set(&self, room: Option<IncidentId>) {
        self.room.send_replace(room);
    }

    /// Announces that the user has left. Waits at most half a second, because the user wants to quit.
    pub(super) async fn leave(&self, desk: &Desk) {
        let announcement = desk.journal.presence(&self.session, &desk.user, None);
        let _too_slow = tokio::time::timeout(Duration::from_millis(500), announcement).await;
    }
}

/// Announces the user's room and reports who else is in it, until the program ends. Returns immediately if the store cannot
/// notify.
pub(super) async fn run(desk: Arc<Desk>, current: CurrentRoom, messages: mpsc::Sender<Msg>) {
    let mut room = current.room.subscribe();
    let mut notifications = desk.journal.listen();
    // A store on this machine has no other users.
    if notifications.is_none() {
        return;
    }
    let mut reported: Vec<String> = Vec::new();
    loop {
        let now = *room.borrow_and_update();
        if let Ok(mut names) = desk.journal.presence(&current.session, &desk.user, now).await {
            // Leave out the user's other windows.
            names.retain(|n| *n != desk.user);
            if names != reported {
                reported.clone_from(&names);
                if messages.send(Msg::Present(names)).await.is_err() {
                    return;
                }
            }
        }
        let notified = async {
            match &mut notifications {
                Some(notifications) => notifications.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = room.changed() => if changed.is_err() { return },
            is_open = notified => if !is_open { notifications = None },
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
    }
}
