//! Runs effects: each becomes a task that calls the desk and sends the result back as a message.

mod custom;
mod lines;
mod metrics;
mod sending;
mod silences;
mod steps;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::poll::Wake;
use crate::app::model::Model;
use crate::app::msg::{CheckSummary, StoreState};
use crate::app::{Effect, Msg};
use crate::config::expand_home;
use crate::incident::{Command, IncidentId, Refusal};
use crate::investigate::ask::Question;
use crate::investigate::assistant::SentRequest;
use crate::investigate::clock::now;
use crate::investigate::desk::Declaration;
use crate::investigate::{Desk, DeskError, Progress};
use crate::postmortem::Format;
use crate::prompt::Delta;
use crate::sources::Batch;
use crate::telemetry::failure::Explain;
use crate::telemetry::{Alert, Failure, Window};

/// The length of the board's chart.
const CHART: Duration = Duration::from_mins(30);
/// The interval between checks for changes by other processes.
const POLL: Duration = Duration::from_secs(1);
/// The shortest interval between two messages with text of an answer.
const TEXT_INTERVAL: Duration = Duration::from_millis(50);
/// How long quitting waits for changes that are being written.
const FINISH: Duration = Duration::from_secs(5);

/// Runs effects.
pub(super) struct Runner {
    desk: Arc<Desk>,
    messages: mpsc::Sender<Msg>,
    tasks: JoinSet<()>,
    /// Changes that are being written. Quitting waits for them.
    writes: JoinSet<()>,
    logs: Option<JoinSet<()>>,
    /// The running query for the chart. A newer one cancels it.
    chart: Option<AbortHandle>,
    /// What is being made for a tab. What is made next takes its place.
    tab: Option<AbortHandle>,
    wake: Wake,
    asking: CancellationToken,
    /// Stops the script that is running.
    script: CancellationToken,
    room: super::presence::CurrentRoom,
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
            tab: None,
            wake: Wake::default(),
            asking: CancellationToken::new(),
            script: CancellationToken::new(),
            room: super::presence::CurrentRoom::default(),
        }
    }

    /// Starts the background tasks: polling sources, watching open incidents, and following the store and the presence of
    /// others.
    pub(super) fn start(&mut self, refresh: Duration, read_only: bool) {
        let boards = super::poll::start(&self.desk.sources, refresh, &self.wake, &self.messages, &mut self.tasks);
        self.tasks.spawn(silences::follow(Arc::clone(&self.desk), boards.clone(), self.messages.clone()));
        if !read_only {
            self.tasks.spawn(super::watch::run(Arc::clone(&self.desk), boards));
        }
        self.tasks.spawn(follow_store(Arc::clone(&self.desk), self.messages.clone()));
        self.tasks.spawn(super::presence::run(Arc::clone(&self.desk), self.room.clone(), self.messages.clone()));
    }

    /// Waits for changes that are being written, so that none is lost, at most [`FINISH`]; then stops all tasks.
    pub(super) async fn finish(&mut self) {
        self.asking.cancel();
        self.script.cancel();
        let writes = std::mem::take(&mut self.writes);
        let _too_slow = tokio::time::timeout(FINISH, writes.join_all()).await;
        self.room.leave(&self.desk).await;
        self.tasks.abort_all();
    }

    /// Starts a task, and forgets the tasks that have finished.
    fn spawn<F>(&mut self, work: impl FnOnce(Arc<Desk>, mpsc::Sender<Msg>) -> F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(work(Arc::clone(&self.desk), self.messages.clone()))
    }

    /// Calls the desk and sends its answer, or [`Msg::Failed`].
    fn request<F>(&mut self, work: impl FnOnce(Arc<Desk>) -> F)
    where
        F: Future<Output = Result<Msg, DeskError>> + Send + 'static,
    {
        let _running = self.begin(work);
    }

    fn begin<F>(&mut self, work: impl FnOnce(Arc<Desk>) -> F) -> AbortHandle
    where
        F: Future<Output = Result<Msg, DeskError>> + Send + 'static,
    {
        let work = work(Arc::clone(&self.desk));
        self.spawn(move |_, messages| async move {
            let msg = work.await.unwrap_or_else(|e| Msg::Failed(e.failure()));
            let _quitting = messages.send(msg).await;
        })
    }

    /// Makes what a tab shows. Only the tab that was opened last needs it, so that what waits for another one is left out.
    fn for_tab<F>(&mut self, work: impl FnOnce(Arc<Desk>) -> F)
    where
        F: Future<Output = Result<Msg, DeskError>> + Send + 'static,
    {
        if let Some(waiting) = self.tab.take() {
            waiting.abort();
        }
        let work = work(Arc::clone(&self.desk));
        self.tab = Some(self.begin(|_| async move {
            // A key that is held opens many tabs. Work for the one where it stops.
            tokio::time::sleep(Duration::from_millis(30)).await;
            work.await
        }));
    }

    /// Runs an effect that writes. If the store cannot write, the effect goes back to the model for a retry, so that text is
    /// not lost when, for example, the disk is full.
    fn write<F>(&mut self, effect: Effect, work: impl FnOnce(Arc<Desk>) -> F)
    where
        F: Future<Output = Result<Msg, DeskError>> + Send + 'static,
    {
        while self.writes.try_join_next().is_some() {}
        let (work, messages) = (work(Arc::clone(&self.desk)), self.messages.clone());
        self.writes.spawn(async move {
            let msg = match work.await {
                Ok(msg) => msg,
                // It was done: nothing of it may be kept for a retry.
                Err(DeskError::NotRecorded { done, why }) => Msg::Ran(done, vec![format!("It was not recorded: {why}")]),
                Err(DeskError::Journal(e)) if e.is_write_failure() => Msg::NotWritten(Box::new(effect), e.failure()),
                Err(e) => Msg::Refused(Box::new(effect), e.failure()),
            };
            let _quitting = messages.send(msg).await;
        });
    }

    /// Starts several effects in their order.
    pub(super) fn run_all(&mut self, effects: Vec<Effect>, model: &Model) {
        for effect in effects {
            self.run(effect, model);
        }
    }

    /// Starts an effect and returns without waiting. Effects on the terminal are run by the event loop instead.
    #[expect(clippy::too_many_lines, reason = "one arm per effect")]
    pub(super) fn run(&mut self, effect: Effect, model: &Model) {
        match effect {
            Effect::FetchAlerts => self.wake.now(),
            Effect::ListIncidents => {
                self.spawn(|desk, messages| async move { list(&desk, &messages).await });
            }
            Effect::ReadIncident(id) => self.request(move |desk| async move { read(&desk, id).await }),
            Effect::FetchSeries(alert) => self.fetch_series(alert),
            Effect::FollowLogs => self.follow_logs(),
            Effect::StopLogs => self.logs = None,
            Effect::Investigate(id, length) => self.investigate(id, length),
            Effect::Plan { id, question } => {
                self.for_tab(move |desk| async move { Ok(Msg::Planned(id, preview(&desk, id, question).await)) });
            }
            Effect::Ask { id, request, question } => self.ask(id, request, question),
            Effect::CancelAsk => self.asking.cancel(),
            Effect::ReadRequests(id) => self.request(move |desk| async move {
                let requests = desk.sent_requests(id).await?;
                let row = |r: &SentRequest| {
                    let title = format!("{} {}", r.at.date_clock(), r.answer.prompt);
                    (title, format!("{} · {} · {}", r.attempt.model, r.attempt.url, r.outcome()), r.text())
                };
                Ok(Msg::RequestsRead(id, requests.iter().map(row).collect()))
            }),
            Effect::MakeReport(id) => self.for_tab(move |desk| async move {
                let (text, missing) = desk.report(id).await?;
                Ok(Msg::ReportReady(id, text, missing))
            }),
            Effect::MakeDraft { id, audience, stage } => self.for_tab(move |desk| async move {
                let incident = desk.journal.incident(id).await?;
                Ok(Msg::DraftReady(id, Box::new(desk.draft(&incident, audience, stage))))
            }),
            Effect::ImproveDraft { id, audience, stage } => self.request(move |desk| async move {
                let incident = desk.journal.incident(id).await?;
                let draft = match desk.draft(&incident, audience, stage) {
                    Ok(draft) => desk.improve_draft(id, draft, CancellationToken::new()).await.map_err(|e| e.failure()),
                    Err(failure) => Err(failure),
                };
                Ok(Msg::DraftReady(id, Box::new(draft)))
            }),
            Effect::Export { id, path, replace } => self.request(move |desk| async move {
                let typed = path.clone();
                Ok(export(&desk, id, path, replace).await.unwrap_or_else(|e| Msg::ExportFailed {
                    id,
                    path: typed,
                    failure: e.failure(),
                }))
            }),
            Effect::Enter(room) => self.room.set(room),
            Effect::Similar(id) => self.request(move |desk| async move {
                let text = crate::incident::similar::describe(&desk.similar(id).await?);
                Ok(Msg::TextReady("Similar incidents".to_owned(), text))
            }),
            Effect::OnCall => {
                self.request(|desk| async move { Ok(Msg::TextReady("On call".to_owned(), desk.on_call().await?)) });
            }
            Effect::PreparePage { id, name, text } => self.request(move |desk| async move {
                let lines = desk.plan_page(&desk.journal.incident(id).await?, &name, &text)?.describe();
                Ok(Msg::PageReady { id, name, text, lines })
            }),
            Effect::Step(step) => self.step(step),
            Effect::Custom(effect) => self.custom(effect),
            Effect::StopScript => self.script.cancel(),
            Effect::Silence(silence) => self.silence(silence),
            Effect::Send(send) => self.send(send),
            Effect::OpenUrl(url) => {
                self.spawn(|_, messages| async move {
                    let is_open = open_url(&url).await;
                    let _quitting = messages.send(Msg::UrlOpened(url, is_open)).await;
                });
            }
            Effect::ReadMetrics(request) => self.request(move |desk| metrics::read(desk, request)),
            Effect::ReadRequestLog => self.request(|_| async {
                let text = crate::sources::request_log::text(&crate::sources::request_log::recent());
                let text = if text.is_empty() { "No requests to sources yet.".to_owned() } else { text };
                let text = crate::evidence::Redactor::new().redact_text(&text).into_owned();
                Ok(Msg::TextReady("Requests to sources, newest first".to_owned(), text))
            }),
            Effect::ReadMetricNames => self.request(metrics::read_names),
            Effect::ReadLabelValues(label) => self.request(|desk| metrics::read_values(desk, label)),
            Effect::KeepMetric(ref kept) => {
                let kept = (**kept).clone();
                self.write(effect, move |desk| metrics::keep(desk, kept));
            }
            Effect::ReadLines(request) => self.request(move |desk| lines::read(desk, request)),
            Effect::SaveLines { path, text, replace } => self.request(move |_| lines::save(path, text, replace)),
            Effect::Declare { .. } => self.declare(effect, &model.user),
            Effect::Run { id, ref command, at } => {
                let mut command = (**command).clone();
                if let Command::Attach { file, .. } = &mut command {
                    *file = expand_home(file);
                }
                self.write(effect, move |desk| async move {
                    let outcome = desk.run(id, command, at).await?;
                    Ok(Msg::Ran(outcome.message, outcome.warnings))
                });
            }
            Effect::JudgeMitigations(id) => self.write(effect, move |desk| async move {
                let unread = desk.judge_mitigations(id).await?;
                let done = if unread.is_empty() { "Checked the mitigations" } else { "Some mitigations could not be checked" };
                Ok(Msg::Ran(done.to_owned(), unread))
            }),
            Effect::Quit
            | Effect::Suspend
            | Effect::Redraw
            | Effect::Copy(_)
            | Effect::Notify(_)
            | Effect::Mouse(_)
            | Effect::Pager(_)
            | Effect::Editor { .. } => {
                tracing::error!(?effect, "an effect on the terminal reached the task runner");
            }
        }
    }

    /// Declares an incident. `user` is the commander if the effect says so.
    fn declare(&mut self, effect: Effect, user: &str) {
        let Effect::Declare { title, severity, reason, alerts, is_commander } = effect.clone() else { return };
        let declaration = Declaration {
            title,
            severity: Some(severity),
            reason,
            alerts,
            commander: is_commander.then(|| user.to_owned()),
            ..Declaration::default()
        };
        self.write(effect, move |desk| async move {
            let outcome = desk.declare(declaration).await?;
            Ok(Msg::Declared(outcome.incident.id(), outcome.warnings))
        });
    }

    fn fetch_series(&mut self, alert: Box<Alert>) {
        if let Some(running) = self.chart.take() {
            running.abort();
        }
        self.chart = Some(self.spawn(move |desk, messages| async move {
            // A held key moves past many alerts. Query only the one where it stops.
            tokio::time::sleep(Duration::from_millis(120)).await;
            let series = desk.alert_series(&alert, Window::before(now(), CHART)).await.map_err(|e| e.failure());
            let _quitting = messages.send(Msg::SeriesArrived(alert.fingerprint, series)).await;
        }));
    }

    fn investigate(&mut self, id: IncidentId, length: Option<Duration>) {
        let messages = self.messages.clone();
        // Progress messages may be dropped when the queue is full, but not the result.
        let progress: Progress = Arc::new(move |text| {
            let _queue_full = messages.try_send(Msg::Progressed(id, text));
        });
        self.request(move |desk| async move {
            desk.investigate(id, length, &progress).await?;
            Ok(Msg::Investigated(id))
        });
    }

    fn ask(&mut self, id: IncidentId, request: u64, question: Box<Question>) {
        self.asking = CancellationToken::new();
        let cancel = self.asking.clone();
        let (desk, messages) = (Arc::clone(&self.desk), self.messages.clone());
        // Counts as a write, so that an answer that quitting interrupts is still recorded.
        self.writes.spawn(async move {
            let (sink, deltas) = mpsc::channel::<Delta>(64);
            let forwarding = tokio::spawn(forward_deltas(deltas, request, messages.clone()));
            let progress_messages = messages.clone();
            let progress: Progress = Arc::new(move |text| {
                let _queue_full = progress_messages.try_send(Msg::Answering(request, Delta::Waiting(text)));
            });
            let answered = desk.ask(id, &question, sink, cancel, &progress).await;
            let _forwarded = forwarding.await;
            let result = match answered {
                Ok((_, a)) => Ok(CheckSummary {
                    text: match &a.fallback_reason {
                        Some(reason) => format!("{} · {reason}", a.claim_summary()),
                        None => a.claim_summary(),
                    },
                    holds: a.fallback_reason.is_none() && !a.claims.iter().any(crate::incident::Claim::is_flagged),
                    is_flagged: a.claims.iter().any(crate::incident::Claim::is_flagged),
                }),
                Err(e) => Err(e.failure()),
            };
            let _quitting = messages.send(Msg::Answered(request, result)).await;
        });
    }

    /// Follows the live logs. Lines that the screen cannot keep up with are dropped here and counted.
    fn follow_logs(&mut self) {
        let (sink, mut batches) = mpsc::channel::<Batch>(16);
        let mut tasks = self.desk.follow_logs(&sink);
        let messages = self.messages.clone();
        tasks.spawn(async move {
            // Backlog and live lines.
            let mut waiting: [Option<Batch>; 2] = [None, None];
            loop {
                if waiting.iter().all(Option::is_none) {
                    match batches.recv().await {
                        Some(batch) => merge_batch(&mut waiting, batch),
                        None => return,
                    }
                }
                // Combine everything that has arrived into one message, so that log lines do not delay other messages.
                while let Ok(more) = batches.try_recv() {
                    merge_batch(&mut waiting, more);
                }
                match messages.try_reserve() {
                    Ok(permit) => {
                        if let Some(batch) = waiting.iter_mut().find_map(Option::take) {
                            permit.send(Msg::LogsArrived(batch));
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

/// Opens a URL with the program that the desktop uses for it. `false` without a desktop, as over ssh, and if that program fails.
async fn open_url(url: &str) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    if !cfg!(target_os = "macos") && !is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY") {
        return false;
    }
    let mut command = tokio::process::Command::new(program);
    let null = std::process::Stdio::null;
    // The URL is one argument, and begins with http, so that it is no option.
    command.arg(url).stdin(null()).stdout(null()).stderr(null());
    match tokio::time::timeout(OPEN_TIMEOUT, command.status()).await {
        Ok(status) => status.is_ok_and(|s| s.success()),
        // A browser that is still running has opened it.
        Err(_late) => true,
    }
}

/// How long opening a URL may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long lines wait before the next try when the message queue is full.
const SCREEN_BUSY: Duration = Duration::from_millis(50);

/// Adds a batch to the waiting lines, backlog and live lines apart. Keeps at most as many lines as the screen does, and
/// counts the rest as dropped.
fn merge_batch(waiting: &mut [Option<Batch>; 2], batch: Batch) {
    let [backlog, live] = waiting;
    let merged = if batch.is_backlog { backlog } else { live }
        .get_or_insert_with(|| Batch { is_backlog: batch.is_backlog, ..Batch::default() });
    merged.dropped += batch.dropped;
    merged.lines.extend(batch.lines);
    let excess = merged.lines.len().saturating_sub(crate::app::logs::MAX_LINES);
    merged.lines.drain(..excess);
    merged.dropped += u64::try_from(excess).unwrap_or(0);
}

/// Reports changes by other processes and users, and the state of the store: immediately if the store notifies, and
/// otherwise by polling once a second.
async fn follow_store(desk: Arc<Desk>, messages: mpsc::Sender<Msg>) {
    let mut notifications = desk.journal.listen();
    let (mut version, mut state) = (None, None);
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
                let _quitting = messages.send(Msg::Failed(e.failure())).await;
            }
            Err(_) => {}
        }
        if let Ok(status) = desk.journal.status().await
            && state.as_ref() != Some(&status)
        {
            let changed = StoreState {
                unsynced: status.unsynced,
                unreachable: status.unreachable.clone(),
                read_only: status.read_only.clone(),
                merge_failure: status.merge_failure.clone(),
                notices: status.notices.clone(),
            };
            state = Some(status);
            if messages.send(Msg::StoreChanged(changed)).await.is_err() {
                return;
            }
        }
        match &mut notifications {
            Some(notifications) => {
                tokio::select! {
                    changed = notifications.changed() => if changed.is_err() {
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
        Ok(summaries) => Msg::IncidentsListed(summaries),
        Err(e) => Msg::Failed(e.failure()),
    };
    let _quitting = messages.send(msg).await;
}

async fn read(desk: &Desk, id: IncidentId) -> Result<Msg, DeskError> {
    let incident = desk.journal.incident(id).await?;
    let bodies = desk.journal.bodies(&incident).await?;
    Ok(Msg::IncidentRead(Box::new(incident), bodies))
}

/// The preview of a question: a summary, and the messages that would be sent to the model.
async fn preview(desk: &Desk, id: IncidentId, question: Box<Question>) -> Result<(String, String), Failure> {
    let (_, plan) = desk.plan(id, &question).await.map_err(|e| e.failure())?;
    let messages = plan.messages.get().iter().map(|m| format!("── {:?} ──\n{}", m.role, m.content));
    Ok((plan.summary(), messages.collect::<Vec<_>>().join("\n\n")))
}

/// Writes the post-mortem to a file. An existing file is replaced only if `replace` is set. The format follows from the
/// extension; Markdown if it is unknown.
async fn export(desk: &Desk, id: IncidentId, path: String, replace: bool) -> Result<Msg, DeskError> {
    let format: Format = path.rsplit('.').next().and_then(|ending| ending.parse().ok()).unwrap_or(Format::Markdown);
    let file = expand_home(Path::new(&path));
    // Where a file is must be clear also to someone who does not know the folder that warroom was started in.
    let file = std::path::absolute(&file).unwrap_or(file);
    let path = file.display().to_string();
    if !replace && tokio::fs::try_exists(&file).await.unwrap_or(false) {
        return Ok(Msg::ExportExists { id, path });
    }
    let made = desk.export_verified(id, format, false, None).await?;
    let fail = |e: std::io::Error| {
        Refusal::Invalid(Failure::new(format!("cannot write {path}")).because(&e).advise("Choose another path."))
    };
    tokio::fs::write(file, made.text).await.map_err(fail)?;
    Ok(Msg::Exported(path, made.damage.into_iter().next()))
}

/// Forwards the parts of an answer as messages. Text is collected for [`TEXT_INTERVAL`]; status changes are forwarded
/// immediately.
async fn forward_deltas(mut deltas: mpsc::Receiver<Delta>, request: u64, messages: mpsc::Sender<Msg>) {
    let mut text = String::new();
    loop {
        let delta = if text.is_empty() {
            deltas.recv().await
        } else {
            tokio::time::timeout(TEXT_INTERVAL, deltas.recv()).await.unwrap_or(Some(Delta::Text(String::new())))
        };
        let flush = match delta {
            Some(Delta::Text(more)) if !more.is_empty() => {
                text.push_str(&more);
                text.len() > 2048
            }
            Some(Delta::Text(_)) | None => true,
            Some(Delta::Instead(all)) => {
                text.clear();
                let _quitting = messages.send(Msg::Answering(request, Delta::Instead(all))).await;
                false
            }
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
