//! Runs effects on silences, and polls the sources for silences.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::Runner;
use crate::app::msg::{SilenceCall, SilenceEffect};
use crate::app::{Effect, Msg};
use crate::incident::AlertBoard;
use crate::investigate::silence::SilencePlan;
use crate::investigate::{Desk, DeskError};

/// The shortest interval between two readings of the silences.
const INTERVAL: Duration = Duration::from_mins(1);

impl Runner {
    /// Starts an effect on silences.
    pub(super) fn silence(&mut self, effect: SilenceEffect) {
        match effect {
            SilenceEffect::Plan(call) => self.request(move |desk| async move {
                let plan = plan(&desk, &call).await?;
                let (lines, token) = (plan.describe(), plan.token);
                let effect = Box::new(Effect::Silence(SilenceEffect::Create(call, token)));
                Ok(Msg::ToConfirm { effect, title: "Create this silence?".to_owned(), lines })
            }),
            SilenceEffect::Create(ref call, ref token) => {
                let (call, token) = (call.clone(), token.clone());
                self.change(effect, move |desk| async move {
                    let plan = SilencePlan { token, ..plan(&desk, &call).await? };
                    let (id, _) = desk.create_silence(&plan, call.incident).await?;
                    Ok(format!("Created silence {id}"))
                });
            }
            SilenceEffect::List => self.request(|desk| async move { Ok(list(&desk).await) }),
            SilenceEffect::Extend { ref silence, length, incident } => {
                let silence = silence.clone();
                self.change(effect, move |desk| async move {
                    let id = desk.extend_silence(&silence, length, incident).await?;
                    Ok(format!("Extended silence {id}"))
                });
            }
            SilenceEffect::Expire { ref silence, ref reason, incident } => {
                let (silence, reason) = (silence.clone(), reason.clone());
                self.change(effect, move |desk| async move {
                    desk.expire_silence(&silence, &reason, incident).await?;
                    Ok(format!("Ended silence {silence}"))
                });
            }
        }
    }

    /// Changes a silence, and then reads all of them again.
    fn change<F>(&mut self, effect: SilenceEffect, work: impl FnOnce(Arc<Desk>) -> F + Send + 'static)
    where
        F: Future<Output = Result<String, DeskError>> + Send + 'static,
    {
        let messages = self.messages.clone();
        self.write(Effect::Silence(effect), move |desk| async move {
            let text = work(Arc::clone(&desk)).await?;
            let _quitting = messages.send(list(&desk).await).await;
            Ok(Msg::Ran(text, Vec::new()))
        });
    }
}

async fn plan(desk: &Desk, call: &SilenceCall) -> Result<SilencePlan, DeskError> {
    let matchers = desk.matchers_of(&call.fingerprints).await?;
    desk.plan_silence(None, matchers, call.length, &call.reason, call.incident).await
}

async fn list(desk: &Desk) -> Msg {
    // A source that failed is on the board already.
    let (silences, _failures) = desk.list_silences(None).await;
    Msg::SilencesListed(silences)
}

/// Reads the silences when new alerts have arrived, at most once a minute, until the sender of the boards is gone.
pub(super) async fn follow(desk: Arc<Desk>, mut boards: watch::Receiver<Option<AlertBoard>>, messages: mpsc::Sender<Msg>) {
    if desk.sources.sources.iter().all(|s| s.silences().is_none()) {
        return;
    }
    let mut read: Option<Instant> = None;
    while boards.changed().await.is_ok() {
        if read.is_some_and(|at| at.elapsed() < INTERVAL) {
            continue;
        }
        read = Some(Instant::now());
        if messages.send(list(&desk).await).await.is_err() {
            return;
        }
    }
}
