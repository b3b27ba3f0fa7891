//! Running effects: each becomes a task that asks the desk and sends back what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::poll::Wake;
use crate::app::model::Model;
use crate::app::msg::ImpactPart;
use crate::app::{Effect, Msg};
use crate::incident::{IncidentId, Role};
use crate::investigate::ask::Question;
use crate::investigate::clock::now;
use crate::investigate::desk::Declaration;
use crate::investigate::work::{NewAction, NewImpact, read_to_attach};
use crate::investigate::{Desk, DeskError, Progress};
use crate::journal::JournalError;
use crate::postmortem::Format;
use crate::prompt::Delta;
use crate::sources::Batch;
use crate::telemetry::Window;

/// How much of the past the board's chart shows.
const CHART: Duration = Duration::from_secs(1800);
/// How often another process's writing is looked for.
const POLL: Duration = Duration::from_secs(1);
/// Text of an answer is passed on at most this often.
const JOIN: Duration = Duration::from_millis(50);
/// How long quitting waits for facts that are being written.
const FINISH: Duration = Duration::from_secs(5);

/// Runs effects.
pub(super) struct Runner {
    desk: Arc<Desk>,
    messages: mpsc::Sender<Msg>,
    tasks: JoinSet<()>,
    /// Facts under way: quitting waits for them.
    writes: JoinSet<()>,
    logs: Option<JoinSet<()>>,
    /// A newer chart replaces an older one.
    chart: Option<AbortHandle>,
    wake: Wake,
    asking: CancellationToken,
    room: super::presence::Where,
    shed: Arc<AtomicU64>,
}

impl Runner {
    pub(super) fn new(desk: Desk, messages: mpsc::Sender<Msg>) -> Self {
        Self {
            desk: Arc::new(desk),
            messages,
            tasks: JoinSet::new(),
            writes: JoinSet::new(),
            logs: None,
            chart: None,
            wake: Wake::default(),
            asking: CancellationToken::new(),
            room: super::presence::Where::default(),
            shed: Arc::default(),
        }
    }

    /// Messages that a full queue refused.
    pub(super) fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// Starts what goes on by itself: asking the sources, looking after open incidents, and hearing of what others write.
    pub(super) fn start(&mut self, refresh: Duration, read_only: bool) {
        let boards = super::poll::start(&self.desk.sources, refresh, &self.wake, &self.messages, &mut self.tasks);
        if !read_only {
            self.tasks.spawn(super::watch::run(Arc::clone(&self.desk), boards));
        }
        self.tasks.spawn(follow_store(Arc::clone(&self.desk), self.messages.clone()));
        self.tasks.spawn(super::presence::run(Arc::clone(&self.desk), self.room.clone(), self.messages.clone()));
    }

    /// Waits for facts that are being written, so that nothing acknowledged on screen is lost; not for ever.
    pub(super) async fn finish(&mut self) {
        self.asking.cancel();
        let writes = std::mem::take(&mut self.writes);
        let _too_slow = tokio::time::timeout(FINISH, writes.join_all()).await;
        self.room.leave(&self.desk).await;
        self.tasks.abort_all();
    }

    fn spawn<F>(&mut self, work: impl FnOnce(Arc<Desk>, mpsc::Sender<Msg>) -> F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(work(Arc::clone(&self.desk), self.messages.clone()))
    }

    /// A fact: its answer is "done" with words, or why not. What the store could not take goes back to the model, which
    /// keeps it: what a person typed is not lost to a full disk.
    fn write<F>(&mut self, effect: Effect, work: impl FnOnce(Arc<Desk>) -> F)
    where
        F: Future<Output = Result<String, DeskError>> + Send + 'static,
    {
        while self.writes.try_join_next().is_some() {}
        let (work, messages) = (work(Arc::clone(&self.desk)), self.messages.clone());
        self.writes.spawn(async move {
            let msg = match work.await {
                Ok(words) => Msg::Done(words),
                Err(DeskError::Journal(
                    e @ (JournalError::Io { .. } | JournalError::ReadOnly { .. } | JournalError::Newer { .. }),
                )) => Msg::NotWritten(Box::new(effect), e.to_string()),
                Err(e) => Msg::Refused(Box::new(effect), e.to_string()),
            };
            let _quitting = messages.send(msg).await;
        });
    }

    /// Starts an effect. Never waits.
    pub(super) fn run(&mut self, effect: Effect, model: &mut Model) {
        match effect {
            Effect::FetchAlerts => self.wake.now(),
            Effect::ListIncidents => {
                self.spawn(|desk, messages| async move { list(&desk, &messages).await });
            }
            Effect::ReadIncident(id) => {
                self.spawn(move |desk, messages| async move {
                    let msg = match read(&desk, id).await {
                        Ok(msg) => msg,
                        Err(e) => Msg::Failed(e.to_string()),
                    };
                    let _quitting = messages.send(msg).await;
                });
            }
            Effect::FetchSeries(alert) => {
                if let Some(running) = self.chart.take() {
                    running.abort();
                }
                self.chart = Some(self.spawn(move |desk, messages| async move {
                    // A key held down passes many alerts: only the one that it stops at is asked for.
                    tokio::time::sleep(Duration::from_millis(120)).await;
                    let series = desk.alert_series(&alert, Window::before(now(), CHART)).await.map_err(|e| e.to_string());
                    let _quitting = messages.send(Msg::SeriesArrived(alert.fingerprint, series)).await;
                }));
            }
            Effect::FollowLogs => self.follow_logs(),
            Effect::StopLogs => self.logs = None,
            Effect::Investigate(id, length) => self.investigate(id, length),
            Effect::Plan { id, question } => {
                self.spawn(move |desk, messages| async move {
                    let plan = desk.plan(id, &Question { text: question, ..Question::default() }).await;
                    let told = plan.map_err(|e| e.to_string()).map(|(_, p)| {
                        let text: Vec<String> =
                            p.messages.get().iter().map(|m| format!("── {:?} ──\n{}", m.role, m.content)).collect();
                        (p.summary(), text.join("\n\n"))
                    });
                    let _quitting = messages.send(Msg::Planned(id, told)).await;
                });
            }
            Effect::Ask { id, request, question } => self.ask(id, request, question),
            Effect::CancelAsk => self.asking.cancel(),
            Effect::MakeReport(id) => {
                self.spawn(move |desk, messages| async move {
                    let msg = match desk.export(id, Format::Markdown).await {
                        Ok(text) => Msg::ReportMade(id, text),
                        Err(e) => Msg::Failed(e.to_string()),
                    };
                    let _quitting = messages.send(msg).await;
                });
            }
            Effect::Export { id, path } => {
                self.spawn(move |desk, messages| async move {
                    let msg = match export(&desk, id, &path).await {
                        Ok(()) => Msg::Exported(path),
                        Err(e) => Msg::Failed(e),
                    };
                    let _quitting = messages.send(msg).await;
                });
            }
            Effect::Enter(room) => self.room.set(room),
            Effect::Similar(id) => {
                self.spawn(move |desk, messages| async move {
                    let msg = match desk.similar(id).await {
                        Ok(found) => {
                            Msg::TextMade("Similar incidents · y copies".to_owned(), crate::incident::similar::describe(&found))
                        }
                        Err(e) => Msg::Failed(e.to_string()),
                    };
                    let _quitting = messages.send(msg).await;
                });
            }
            Effect::OnCall => {
                self.spawn(move |desk, messages| async move {
                    let msg = match desk.on_call().await {
                        Ok(text) => Msg::TextMade("On call · y copies".to_owned(), text),
                        Err(e) => Msg::Failed(e.to_string()),
                    };
                    let _quitting = messages.send(msg).await;
                });
            }
            Effect::PreparePage { id, name, text } => {
                self.spawn(move |desk, messages| async move {
                    let made = match desk.journal.incident(id).await {
                        Ok(incident) => desk.page_command(&incident, &name, &text).map_err(|e| e.to_string()),
                        Err(e) => Err(e.to_string()),
                    };
                    let msg = match made {
                        Ok(command) => Msg::PageReady { id, name, text, command: format!("{command:?}") },
                        Err(why) => Msg::Failed(why),
                    };
                    let _quitting = messages.send(msg).await;
                });
            }
            Effect::PatternLines { template, window } => {
                self.spawn(move |desk, messages| async move {
                    let text = desk.lines_of(&template, window).await;
                    let title = format!("Lines of '{}' · y copies", crate::telemetry::clean::truncate(&template, 60));
                    let _quitting = messages.send(Msg::TextMade(title, text)).await;
                });
            }
            Effect::LogsAt(at) => {
                self.spawn(move |desk, messages| async move {
                    let text = desk.lines_around(at).await;
                    let title = format!("Log around {} UTC · y copies", at.date_clock());
                    let _quitting = messages.send(Msg::TextMade(title, text)).await;
                });
            }
            Effect::Declare { title, severity, reason, alerts, is_commander } => {
                let commander = is_commander.then(|| model.user.clone());
                let declaration =
                    Declaration { title, severity: Some(severity), reason, known: alerts, commander, ..Declaration::default() };
                let (desk, messages) = (Arc::clone(&self.desk), self.messages.clone());
                self.writes.spawn(async move {
                    let msg = match desk.declare(declaration).await {
                        Ok((incident, warnings)) => Msg::Declared(incident.id(), warnings),
                        Err(e) => Msg::Failed(e.to_string()),
                    };
                    let _quitting = messages.send(msg).await;
                });
            }
            other => self.fact(other),
        }
    }

    fn fact(&mut self, effect: Effect) {
        match effect.clone() {
            Effect::Link(id, prints) => self.write(effect, move |d| async move {
                let (_, warnings) = d.link(id, &prints, None).await?;
                Ok(warnings.first().cloned().unwrap_or_else(|| format!("linked to {id}")))
            }),
            Effect::Page { id, name, text } => {
                self.write(effect, move |d| async move { d.page(id, &name, &text).await.map(told) })
            }
            Effect::Note { id, text, kind, at } => {
                self.write(effect, move |d| async move { d.note(id, &text, kind, at).await.map(told) })
            }
            Effect::KeepLine { id, line } => self.write(effect, move |d| async move { d.keep_line(id, &line).await.map(told) }),
            Effect::Correct { id, seq, text } => {
                self.write(effect, move |d| async move { d.correct(id, seq, &text, "corrected by hand", None).await.map(told) })
            }
            Effect::Acknowledge(id) => self.write(effect, move |d| async move { d.acknowledge(id, None).await.map(told) }),
            Effect::SetSeverity { id, to, reason } => {
                self.write(effect, move |d| async move { d.set_severity(id, to, &reason, None).await.map(told) })
            }
            Effect::SetStatus { id, to, over, reason } => {
                self.write(effect, move |d| async move { d.set_status(id, to, over, reason.as_deref(), None).await.map(told) })
            }
            Effect::Event { id, kind, text } => {
                self.write(effect, move |d| async move { d.event(id, kind, &text, None).await.map(told) })
            }
            Effect::Attach { id, path, note } => self.write(effect, move |d| async move {
                let file = home(&path);
                let read = tokio::task::spawn_blocking(move || read_to_attach(&file)).await;
                let read = read.map_err(|e| DeskError::Refused(e.to_string()))??;
                d.attach(id, &path, &read, note.as_deref(), None).await.map(told)
            }),
            Effect::Reopen { id, reason } => {
                self.write(effect, move |d| async move { d.reopen(id, &reason, None).await.map(told) })
            }
            Effect::Assign { id, role, holder } => {
                self.write(effect, move |d| async move { assign(&d, id, role, &holder).await })
            }
            Effect::AddAction { id, text, kind } => self
                .write(effect, move |d| async move { d.add_action(id, NewAction::follow_up(kind, &text), None).await.map(told) }),
            Effect::ActionDone { id, action, result } => {
                self.write(effect, move |d| async move { d.action_done(id, action, result, None).await.map(told) })
            }
            Effect::ChangeAction { id, action, change } => {
                self.write(effect, move |d| async move { d.change_action(id, action, change, None).await.map(told) })
            }
            Effect::Task { id, who, minutes, text } => self.write(effect, move |d| async move {
                d.add_action(id, NewAction::task(&who, &text, Duration::from_secs(minutes * 60)), None).await.map(told)
            }),
            Effect::Published { id, audience, text, next } => {
                self.write(effect, move |d| async move { d.published(id, audience, &text, next, None).await.map(told) })
            }
            Effect::Impact { id, part, text } => self.write(effect, move |d| async move {
                let mut impact = NewImpact::default();
                match part {
                    ImpactPart::Text => impact.text = Some(text),
                    ImpactPart::Users => impact.users = Some(text),
                    ImpactPart::Region => impact.region = Some(text),
                    ImpactPart::Services => impact.services = Some(text.split(',').map(str::to_owned).collect()),
                }
                d.set_impact(id, impact, None).await.map(told)
            }),
            Effect::Tick { id, item, met, text } => {
                self.write(effect, move |d| async move { d.tick(id, &item, met, &text, None).await.map(told) })
            }
            Effect::SetExit { id, criteria } => {
                self.write(effect, move |d| async move { d.set_exit(id, criteria, None).await.map(told) })
            }
            Effect::Check(id) => self.write(effect, move |d| async move {
                let (incident, silent) = d.check(id).await?;
                let read = incident.readings.last().map(|r| r.reading.why.clone());
                let words = read.map_or_else(|| "looked at the alerts".to_owned(), |why| format!("exit criteria: {why}"));
                match silent.first() {
                    Some(why) => Err(DeskError::Refused(format!("{words}; {why}"))),
                    None => Ok(words),
                }
            }),
            Effect::SetTime { id, milestone, to, reason, exception } => self
                .write(effect, move |d| async move { d.set_time(id, milestone, to, &reason, exception, None).await.map(told) }),
            Effect::Escalate { id, level, reason } => {
                self.write(effect, move |d| async move { d.escalate(id, level, None, &reason, None).await.map(told) })
            }
            Effect::Unlink { id, fingerprint, reason } => {
                self.write(effect, move |d| async move { d.unlink(id, &fingerprint, Some(reason), None).await.map(told) })
            }
            Effect::Merge { id, into } => {
                self.write(effect, move |d| async move { d.merge(id, into, None, None).await.map(told) })
            }
            Effect::Judge { id, seq, verdict, reason } => {
                self.write(effect, move |d| async move { d.judge(id, seq, verdict, &reason, None).await.map(told) })
            }
            Effect::Remark { id, seq, remark, text } => {
                self.write(effect, move |d| async move { d.remark(id, seq, remark, None, &text, None).await.map(told) })
            }
            Effect::Unacknowledge { id, reason } => {
                self.write(effect, move |d| async move { d.unacknowledge(id, &reason, None).await.map(told) })
            }
            Effect::Renounce { id, role, holder } => {
                self.write(effect, move |d| async move { d.renounce(id, role, Some(&holder), None).await.map(told) })
            }
            Effect::Grade { id, grade, found_by } => {
                self.write(effect, move |d| async move { d.grade(id, grade, found_by, None, None).await.map(told) })
            }
            Effect::Undo(id) => self.write(effect, move |d| async move { d.undo(id, None, None).await.map(told) }),
            Effect::Accept { id, seq } => self.write(effect, move |d| async move { d.accept(id, seq).await.map(told) }),
            // Everything else was run before.
            _ => {}
        }
    }

    fn investigate(&mut self, id: IncidentId, length: Option<Duration>) {
        self.spawn(move |desk, messages| async move {
            let words = messages.clone();
            // Progress may be lost when the queue is full; the result may not.
            let progress: Progress = Arc::new(move |text| {
                let _busy = words.try_send(Msg::Progressed(id, text));
            });
            let msg = match desk.investigate(id, length, &progress).await {
                Ok(_) => Msg::Investigated(id),
                Err(e) => Msg::Failed(e.to_string()),
            };
            let _quitting = messages.send(msg).await;
        });
    }

    fn ask(&mut self, id: IncidentId, request: u64, question: String) {
        self.asking = CancellationToken::new();
        let cancel = self.asking.clone();
        let (desk, messages) = (Arc::clone(&self.desk), self.messages.clone());
        // Among the writes: an answer that is cut off by quitting is still sealed.
        self.writes.spawn(async move {
            let (sink, deltas) = mpsc::channel::<Delta>(64);
            let passing = tokio::spawn(pass_on(deltas, request, messages.clone()));
            let words = messages.clone();
            let progress: Progress = Arc::new(move |text| {
                let _busy = words.try_send(Msg::Answering(request, Delta::Waiting(text)));
            });
            let question = Question { text: question, ..Question::default() };
            let answered = desk.ask(id, &question, sink, cancel, &progress).await;
            let _passed = passing.await;
            let result = match answered {
                Ok((_, a)) => Ok(match &a.fallback_reason {
                    Some(reason) => format!("{} · {reason}", a.claim_summary()),
                    None => a.claim_summary(),
                }),
                Err(e) => Err(e.to_string()),
            };
            let _quitting = messages.send(Msg::Answered(request, result)).await;
        });
    }

    /// Live logs while they are looked at. What the screen cannot take is shed here and counted.
    fn follow_logs(&mut self) {
        let (sink, mut batches) = mpsc::channel::<Batch>(16);
        let mut tasks = self.desk.follow_logs(&sink);
        let messages = self.messages.clone();
        tasks.spawn(async move {
            let mut waiting: [Option<Batch>; 2] = [None, None];
            loop {
                if waiting.iter().all(Option::is_none) {
                    match batches.recv().await {
                        Some(batch) => wait(&mut waiting, batch),
                        None => return,
                    }
                }
                // One message for all that is there: bulk never queues in front of control.
                while let Ok(more) = batches.try_recv() {
                    wait(&mut waiting, more);
                }
                match messages.try_reserve() {
                    Ok(place) => {
                        if let Some(batch) = waiting.iter_mut().find_map(Option::take) {
                            place.send(Msg::LogsArrived(batch));
                        }
                    }
                    Err(mpsc::error::TrySendError::Full(())) => tokio::time::sleep(SCREEN_BUSY).await,
                    Err(mpsc::error::TrySendError::Closed(())) => return,
                }
            }
        });
        self.logs = Some(tasks);
    }
}

/// How long lines wait for the screen when it has no place for them.
const SCREEN_BUSY: Duration = Duration::from_millis(50);

/// Lets a batch wait, those of the past apart, at most as many lines as the screen keeps.
fn wait(waiting: &mut [Option<Batch>; 2], batch: Batch) {
    let [past, live] = waiting;
    let place = if batch.is_backlog { past } else { live }
        .get_or_insert_with(|| Batch { is_backlog: batch.is_backlog, ..Batch::default() });
    place.dropped += batch.dropped;
    place.lines.extend(batch.lines);
    let cut = place.lines.len().saturating_sub(crate::app::logs::RING);
    place.lines.drain(..cut);
    place.dropped += u64::try_from(cut).unwrap_or(0);
}

/// Tells of what other processes and colleagues write: at once where the store says so, else by looking once a second.
async fn follow_store(desk: Arc<Desk>, messages: mpsc::Sender<Msg>) {
    let mut told = desk.journal.listen();
    let (mut version, mut stood) = (None, None);
    loop {
        let found = desk.journal.version().await;
        match &found {
            Ok(n) if version != Some(*n) => {
                version = Some(*n);
                list(&desk, &messages).await;
            }
            Ok(_) => {}
            Err(e) if version.is_none() => {
                version = Some(0);
                let _quitting = messages.send(Msg::Failed(e.to_string())).await;
            }
            Err(_) => {}
        }
        if let Ok(status) = desk.journal.status().await
            && stood.as_ref() != Some(&status)
        {
            stood = Some(status.clone());
            let msg =
                Msg::StoreStood { unsynced: status.unsynced, away: status.away, frozen: status.read_only, stuck: status.stuck };
            if messages.send(msg).await.is_err() {
                return;
            }
        }
        match &mut told {
            Some(told) => {
                tokio::select! {
                    changed = told.changed() => if changed.is_err() {
                        tokio::time::sleep(POLL).await;
                    },
                    () = tokio::time::sleep(POLL) => {}
                }
            }
            None => tokio::time::sleep(POLL).await,
        }
    }
}

async fn list(desk: &Desk, messages: &mpsc::Sender<Msg>) {
    let msg = match desk.journal.list().await {
        Ok(heads) => Msg::IncidentsListed(heads),
        Err(e) => Msg::Failed(e.to_string()),
    };
    let _quitting = messages.send(msg).await;
}

async fn read(desk: &Desk, id: IncidentId) -> Result<Msg, DeskError> {
    let incident = desk.journal.incident(id).await?;
    let bodies = desk.journal.bodies(&incident).await?;
    Ok(Msg::IncidentRead(Box::new(incident), bodies))
}

fn told((_, entry): (crate::incident::Incident, crate::incident::Entry)) -> String {
    let when = if entry.is_backdated() { format!("{} UTC: ", entry.at.date_clock()) } else { String::new() };
    format!("{when}{}", crate::telemetry::clean::truncate(&entry.fact.sentence(), 160))
}

async fn assign(desk: &Desk, id: IncidentId, role: Role, holder: &str) -> Result<String, DeskError> {
    desk.assign(id, role, holder, None).await.map(told)
}

/// A path as typed: `~/` is this person's folder, as in a shell.
fn home(path: &str) -> std::path::PathBuf {
    match (path.strip_prefix("~/"), directories::BaseDirs::new()) {
        (Some(rest), Some(dirs)) => dirs.home_dir().join(rest),
        _ => path.into(),
    }
}

async fn export(desk: &Desk, id: IncidentId, path: &str) -> Result<(), String> {
    let ending = path.rsplit('.').next().unwrap_or("md");
    let format: Format = ending.parse().unwrap_or(Format::Markdown);
    let text = desk.export(id, format).await.map_err(|e| e.to_string())?;
    tokio::fs::write(home(path), text).await.map_err(|e| format!("{path} cannot be written: {e}; give another path"))
}

/// Texts are joined for a moment; control steps go on at once.
async fn pass_on(mut deltas: mpsc::Receiver<Delta>, request: u64, messages: mpsc::Sender<Msg>) {
    let mut text = String::new();
    loop {
        let delta = if text.is_empty() {
            deltas.recv().await
        } else {
            tokio::time::timeout(JOIN, deltas.recv()).await.unwrap_or(Some(Delta::Text(String::new())))
        };
        let flush = match delta {
            Some(Delta::Text(more)) if !more.is_empty() => {
                text.push_str(&more);
                text.len() > 2048
            }
            Some(Delta::Text(_)) | None => true,
            Some(waiting) => {
                let _quitting = messages.send(Msg::Answering(request, waiting)).await;
                false
            }
        };
        let ended = deltas.is_closed() && deltas.is_empty();
        if flush || ended {
            if !text.is_empty() {
                let _quitting = messages.send(Msg::Answering(request, Delta::Text(std::mem::take(&mut text)))).await;
            }
            if ended {
                return;
            }
        }
    }
}
