//! The demo without the terminal UI: a recorded incident from the alert to the post-mortem, as a team would handle it. The clock of the process
//! runs as fast as the story needs; what the sources answer is what they answered at that time in the lab.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::{CliError, Done, out};
use super::{RECORDING, RECOVERY, decode};
use crate::analysis::GroupBy;
use crate::config::{ChannelConfig, ChannelKind};
use crate::evidence::citations::tags;
use crate::incident::command::{NewAction, NewMitigation};
use crate::incident::exit::Comparison;
use crate::incident::{
    ActionKind, Audience, CardState, Command, EvidenceId, ExitCriteria, FindingKind, FoundBy, Grade, Incident, IncidentId,
    LinkedAlert, Milestone, NoteKind, ReviewState, Risk, Role, Severity, Status, StepState, Verdict,
};
use crate::investigate::ask::Question;
use crate::investigate::clock;
use crate::investigate::desk::Declaration;
use crate::investigate::send::SendRequest;
use crate::investigate::{Desk, SourceSet};
use crate::postmortem::Format;
use crate::telemetry::{Moment, Timestamp};

/// The share of failed requests of each service, as its alert reads it.
const FAILED_SHARE: &str =
    "sum by (service) (rate(http_requests_total{code=~\"5..\"}[1m])) / sum by (service) (rate(http_requests_total[1m]))";
/// When the lab rolled the release back, after the end of the first recording.
const ROLLBACK: Duration = Duration::from_secs(96);
/// How long the rollback took.
const ROLLED_OUT: Duration = Duration::from_secs(15);
/// How long the service is monitored in this story.
const MONITOR: Duration = Duration::from_mins(5);

/// The replay in progress.
struct Story<'a> {
    desk: Desk,
    folder: &'a Path,
    id: IncidentId,
    /// When the story begins: the end of the first recording.
    begins: Timestamp,
    files: Vec<&'static str>,
}

/// Replays the incident and writes its files into a folder.
pub(super) async fn replay(mut desk: Desk, folder: &Path, as_json: bool) -> Result<Done, CliError> {
    std::fs::create_dir_all(folder)?;
    let (first, recovery) = (decode(RECORDING)?, decode(RECOVERY)?);
    let ends = clock::now();
    let length = recovery.span.end.since(first.span.end);
    let begins = Timestamp::from_micros(ends.micros().saturating_sub(i64::try_from(length.as_micros()).unwrap_or(0)));
    clock::set(begins);
    desk.sources = SourceSet::from_sources(first.play(begins));
    "ana".clone_into(&mut desk.user);
    desk.monitor = MONITOR;
    let path = folder.join("updates.md");
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    let kind = ChannelKind::File { path: path.display().to_string() };
    desk.updates.channels.push(ChannelConfig { name: "updates".to_owned(), kind, ..ChannelConfig::clipboard() });
    let progress = super::super::investigate::progress(as_json);
    let board = desk.board().await;
    let mut story = Story { desk, folder, id: IncidentId(1), begins, files: Vec::new() };
    story
        .write("alerts.json", &(serde_json::to_string_pretty(&super::super::alerts::shape(&board, GroupBy::Service))? + "\n"))?;
    let firing: Vec<LinkedAlert> = board.alerts.iter().filter(|a| a.is_firing()).map(LinkedAlert::from_alert).collect();
    let alerts = firing.len();
    story.declare(firing).await?;
    let incident = Box::pin(story.investigate(&progress)).await?;
    story.diagnose(&incident).await?;
    story.mitigate().await?;
    // From here on the sources answer as they did after the rollback.
    story.at(Duration::from_mins(5));
    story.desk.sources = SourceSet::from_sources(recovery.play(ends));
    story.recover().await?;
    story.at(length.saturating_sub(Duration::from_secs(30)));
    story.close(begins).await?;
    for (name, format) in
        [("postmortem.md", Format::Markdown), ("postmortem.html", Format::Html), ("postmortem.json", Format::Json)]
    {
        let text = story.desk.export(story.id, format).await?;
        story.write(name, &text)?;
    }
    let external = story.desk.export_verified(story.id, Format::Markdown, true, None).await?;
    story.write("postmortem-external.md", &external.text)?;
    story.files.push("updates.md");
    story.report(alerts, incident.evidence.len(), as_json)
}

impl Story<'_> {
    /// Moves the clock to a time after the beginning.
    fn at(&self, after: Duration) {
        clock::set(self.begins + after);
    }

    fn write(&mut self, name: &'static str, text: &str) -> Result<(), CliError> {
        super::super::export::write(&self.folder.join(name), text.as_bytes())?;
        self.files.push(name);
        Ok(())
    }

    /// Runs a command, and returns the number of its entry.
    async fn run(&self, command: Command) -> Result<u64, CliError> {
        let outcome = self.desk.run(self.id, command, None).await?;
        Ok(outcome.entries.first().map_or(0, |e| e.seq))
    }

    async fn note(&self, kind: NoteKind, text: impl Into<String>) -> Result<u64, CliError> {
        self.run(Command::Note { text: text.into(), kind }).await
    }

    async fn status(&self, status: Status) -> Result<u64, CliError> {
        self.run(Command::Status { status, override_reason: None, reason: None }).await
    }

    /// Drafts an update and sends it to the file of updates.
    async fn update(&self, audience: Audience) -> Result<(), CliError> {
        let incident = self.desk.journal.incident(self.id).await?;
        let plan = self.desk.plan_send(&incident, &SendRequest::new("updates", audience))?;
        self.desk.send(self.id, &plan).await?;
        Ok(())
    }

    async fn declare(&mut self, alerts: Vec<LinkedAlert>) -> Result<(), CliError> {
        let declaration = Declaration {
            title: "checkout is failing most orders".to_owned(),
            severity: Some(Severity::Sev2),
            reason: Some("most customers cannot pay".to_owned()),
            alerts,
            commander: Some(self.desk.user.clone()),
            ..Declaration::default()
        };
        self.id = self.desk.declare(declaration).await?.incident.id();
        self.run(Command::Acknowledge).await?;
        self.at(Duration::from_secs(8));
        self.run(Command::Assign { role: Role::Scribe, holder: "ben".to_owned() }).await?;
        self.at(Duration::from_secs(14));
        Ok(())
    }

    /// Investigates, and asks for the conclusion.
    async fn investigate(&mut self, progress: &crate::investigate::Progress) -> Result<Incident, CliError> {
        let incident = self.desk.investigate(self.id, None, progress).await?;
        let found = serde_json::to_string_pretty(&incident.investigation)? + "\n";
        self.write("investigation.json", &found)?;
        let question = Question { text: "troubleshoot".to_owned(), ..Question::default() };
        let (_, plan) = self.desk.plan(self.id, &question).await?;
        self.write("prompt.json", &serde_json::to_string_pretty(&plan.messages)?)?;
        let (sink, mut deltas) = mpsc::channel(64);
        let drain = tokio::spawn(async move { while deltas.recv().await.is_some() {} });
        let (_, answer) = self.desk.ask(self.id, &question, sink, CancellationToken::new(), progress).await?;
        let _drained = drain.await;
        self.write("answer.md", &answer.answer)?;
        Ok(incident)
    }

    /// What the team makes of the findings.
    async fn diagnose(&self, incident: &Incident) -> Result<(), CliError> {
        let found = incident.investigation.as_ref();
        let of = |is_it: &dyn Fn(&crate::incident::CitedFinding) -> bool| -> Vec<EvidenceId> {
            found.and_then(|f| f.details().find(|f| is_it(f))).map(|f| f.evidence.clone()).unwrap_or_default()
        };
        let release = of(&|f| f.kind == FindingKind::Change);
        let pool = of(&|f| f.kind == FindingKind::Saturation);
        let latency = of(&|f| f.kind == FindingKind::Metric && f.title.contains("latency"));
        self.at(Duration::from_secs(30));
        self.run(Command::Impact {
            started: None,
            services: Some(vec!["checkout".to_owned(), "gateway".to_owned()]),
            users: Some("most customers who tried to pay".to_owned()),
            region: None,
            text: Some("about 2 of 3 orders fail at the last step".to_owned()),
            data: Some("none".to_owned()),
        })
        .await?;
        self.at(Duration::from_secs(38));
        let cause = format!(
            "version 1.42.0 of checkout {} held its database connections for seconds, until all 20 of the pool were in use {}",
            tags(&release),
            tags(&pool)
        );
        // It is confirmed when the rollback has worked.
        self.note(NoteKind::Hypothesis, cause).await?;
        let other = self.note(NoteKind::Hypothesis, "the payment service is slow").await?;
        self.at(Duration::from_secs(47));
        let reason = format!("its latency stayed at 45 ms while that of checkout rose to seconds {}", tags(&latency));
        self.run(Command::Hypothesis { entry: other, verdict: Verdict::Refuted, reason }).await?;
        self.status(Status::Identified).await?;
        Ok(())
    }

    /// Follows the playbook for a rollback, up to the rollback itself, and sends the first updates.
    async fn mitigate(&self) -> Result<(), CliError> {
        let criteria = |for_secs| ExitCriteria {
            expression: FAILED_SHARE.to_owned(),
            comparison: Comparison::Below,
            threshold: 0.01,
            for_secs,
            source: None,
        };
        self.at(Duration::from_secs(52));
        let playbook = self.desk.playbooks.get("rollback");
        let playbook = playbook.ok_or_else(|| CliError::failed("the playbook for rollbacks is missing"))?;
        let steps: Vec<String> = playbook.steps.iter().map(|s| s.title.clone()).collect();
        let (id, title) = (playbook.id.clone(), playbook.title.clone());
        self.run(Command::StartPlaybook { playbook: id, title, steps }).await?;
        self.step(1, StepState::Done, None).await?;
        self.step(2, StepState::Done, None).await?;
        self.step(3, StepState::Done, None).await?;
        self.run(Command::SetExit { criteria: criteria(300) }).await?;
        self.at(Duration::from_secs(61));
        self.update(Audience::Internal).await?;
        self.update(Audience::External).await?;
        self.at(Duration::from_secs(75));
        let card = NewMitigation {
            undo: Some("deploy 1.42.0 again".to_owned()),
            verify: Some(criteria(120)),
            ..NewMitigation::new("roll back checkout to 1.41.3", Risk::Low)
        };
        let card = self.run(Command::ProposeMitigation(card)).await?;
        let change = |state, result: Option<&str>| Command::ChangeMitigation {
            card,
            state,
            approved_by: Some("ben".to_owned()),
            result: result.map(str::to_owned),
        };
        self.at(ROLLBACK);
        self.run(change(CardState::Started, None)).await?;
        self.at(ROLLBACK + ROLLED_OUT);
        self.run(change(CardState::Done, Some("version 1.41.3 runs everywhere"))).await?;
        self.step(4, StepState::Done, None).await?;
        let skipped = "the platform rolled it back";
        self.step(5, StepState::Skipped, Some(skipped)).await?;
        self.step(6, StepState::Skipped, Some(skipped)).await
    }

    async fn step(&self, step: u32, state: StepState, reason: Option<&str>) -> Result<(), CliError> {
        let (playbook, reason) = ("rollback".to_owned(), reason.map(str::to_owned));
        self.run(Command::EndStep { playbook, step, state, reason, blocks: Vec::new() }).await?;
        Ok(())
    }

    /// Reads whether the rollback has worked, and says so.
    async fn recover(&self) -> Result<(), CliError> {
        self.desk.check(self.id).await?;
        self.step(7, StepState::Done, None).await?;
        self.status(Status::Mitigated).await?;
        let incident = self.desk.journal.incident(self.id).await?;
        if let Some(cause) = incident.hypotheses.iter().find(|h| h.verdict.is_none()) {
            let read: Vec<EvidenceId> =
                incident.cards.iter().filter_map(|c| c.judgement.as_ref()).filter_map(|(_, j)| j.evidence).collect();
            let reason = format!("the pool emptied and the errors ended within a minute of the rollback {}", tags(&read));
            let (entry, verdict) = (cause.seq, Verdict::Supported);
            self.run(Command::Hypothesis { entry, verdict, reason }).await?;
        }
        // The reading shows since when the errors were gone, before anyone looked.
        let healthy = incident.readings.last().map(|r| r.reading.window.end - Duration::from_secs_f64(r.reading.held_secs));
        if let Some(Ok(time)) = healthy.map(|at| at.date_clock().parse::<Moment>()) {
            let moment = Milestone::Mitigated;
            let reason = "no request has failed since then".to_owned();
            self.run(Command::Time { moment, time, reason, exception: None }).await?;
        }
        self.at(Duration::from_secs(310));
        self.status(Status::Monitoring).await?;
        self.update(Audience::External).await
    }

    /// Checks the exit criterion, resolves the incident, and writes down what was learned.
    async fn close(&self, begins: Timestamp) -> Result<(), CliError> {
        self.desk.check(self.id).await?;
        self.step(8, StepState::Skipped, Some("the rollback helped")).await?;
        self.step(9, StepState::Done, None).await?;
        for (item, text) in [
            ("health-checks", "all instances of checkout are ready"),
            ("rollback-plan", "1.42.0 is blocked in the pipeline; 1.41.3 stays"),
        ] {
            self.run(Command::Tick { item: item.to_owned(), met: true, text: text.to_owned() }).await?;
        }
        self.status(Status::Resolved).await?;
        self.update(Audience::External).await?;
        for (kind, text) in [
            (NoteKind::WentWell, "the alert on the pool fired before the errors began"),
            (NoteKind::WentWell, "the rollback took 15 seconds, because the previous version was still available"),
            (NoteKind::WentBadly, "the release went to all instances at once"),
            (NoteKind::WentBadly, "no test ran the release against a database with realistic data"),
            (NoteKind::Factor, "the pool has 20 connections and no limit on how long a request may hold one"),
            (NoteKind::Factor, "a release reaches all instances within a minute, before any alert can fire"),
            (NoteKind::Lucky, "the release did not change the database schema, so that nothing stood in the way of going back"),
        ] {
            self.note(kind, text).await?;
        }
        let due = |days: u64| Some((begins + Duration::from_hours(24 * days)).date());
        for (kind, owner, priority, days, text) in [
            (
                ActionKind::Prevent,
                "ben",
                "P1",
                14,
                "Release each version to one instance first; done when the pipeline stops at one",
            ),
            (
                ActionKind::Detect,
                "ana",
                "P2",
                14,
                "Alert when a request holds a connection for over 1 s; done when it fires in a test",
            ),
            (ActionKind::Prevent, "ben", "P2", 28, "Run load tests against a copy of the real data; done when 1.42.0 fails them"),
        ] {
            let action = NewAction {
                owner: Some(owner.to_owned()),
                due: due(days),
                priority: Some(priority.to_owned()),
                ..NewAction::follow_up(kind, text)
            };
            self.run(Command::AddAction(action)).await?;
        }
        self.run(Command::Grade { grade: Grade::Bullseye, found_by: FoundBy::Both, text: None }).await?;
        self.run(Command::Review { state: ReviewState::InReview, by: None }).await?;
        Ok(())
    }

    fn report(&self, alerts: usize, evidence: usize, as_json: bool) -> Result<Done, CliError> {
        if as_json {
            out::json(&json!({"id": self.id, "out": self.folder, "files": self.files, "alerts": alerts, "evidence": evidence}))?;
        } else {
            out::line(format!(
                "{}: {}, {}; wrote {} to {}",
                self.id,
                crate::telemetry::words::count(alerts, "alert"),
                crate::telemetry::words::count(evidence, "evidence item"),
                self.files.join(", "),
                self.folder.display()
            ))?;
        }
        Ok(Done::Complete)
    }
}
