//! Who is in which room: this person says where they are every ten seconds, and hears who else is there.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::app::Msg;
use crate::incident::IncidentId;
use crate::investigate::Desk;

/// A sign that is three times as old no longer counts (see the store).
const SIGN: Duration = Duration::from_secs(10);

/// Where this person is. Cheap to clone.
#[derive(Clone)]
pub(super) struct Where {
    room: Arc<watch::Sender<Option<IncidentId>>>,
    session: String,
}

impl Default for Where {
    fn default() -> Self {
        Self { room: Arc::new(watch::Sender::new(None)), session: uuid::Uuid::now_v7().to_string() }
    }
}

impl Where {
    pub(super) fn set(&self, room: Option<IncidentId>) {
        self.room.send_replace(room);
    }

    /// Says goodbye; not for long, since somebody wants to quit.
    pub(super) async fn leave(&self, desk: &Desk) {
        let bye = desk.journal.presence(&self.session, &desk.user, None);
        let _unheard = tokio::time::timeout(Duration::from_millis(500), bye).await;
    }
}

/// Tells and hears until the program ends.
pub(super) async fn run(desk: Arc<Desk>, place: Where, messages: mpsc::Sender<Msg>) {
    let mut room = place.room.subscribe();
    let mut told = desk.journal.listen();
    // A store that only this machine uses knows nobody.
    if told.is_none() {
        return;
    }
    let mut known: Vec<String> = Vec::new();
    loop {
        let now = *room.borrow_and_update();
        if let Ok(mut names) = desk.journal.presence(&place.session, &desk.user, now).await {
            // The same person in another window is no company.
            names.retain(|n| *n != desk.user);
            if names != known {
                known.clone_from(&names);
                if messages.send(Msg::Present(names)).await.is_err() {
                    return;
                }
            }
        }
        let word = async {
            match &mut told {
                Some(told) => told.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = room.changed() => if changed.is_err() { return },
            heard = word => if !heard { told = None },
            () = tokio::time::sleep(SIGN) => {}
        }
    }
}
