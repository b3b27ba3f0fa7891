//! The desk: everything an investigation works with, and the writing of facts.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{AssistantConfig, Config, OncallConfig, SloConfig};
use crate::evidence::Redactor;
use crate::incident::command::check_text;
use crate::incident::{Actor, Command, Fact, Incident, IncidentId, LinkedAlert, Matrix, Refusal, Role, Severity, Status};
use crate::journal::{Append, Appended, Journal, JournalError, NewEntry, StoreAt};
use crate::prompt::{Library, PromptError};
use crate::telemetry::{Alert, Explain, Failure, Timestamp, clean};

use super::clock::now;
use super::command::Outcome;
use super::set::{AlertBoard, SourceSet};

/// Told in words what is being done.
pub type Progress = Arc<dyn Fn(String) + Send + Sync>;

/// How often an append is made anew when numbers change under it.
const ANEW: u32 = 5;

/// Why the desk did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The request makes no sense for this incident or this configuration.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("cannot redact the text, so it was not written")]
    Redaction(#[from] serde_json::Error),
}

impl Explain for DeskError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Journal(e) => e.remedy(),
            Self::Prompt(e) => e.remedy(),
            Self::Refused(e) => e.remedy(),
            Self::Redaction(_) => None,
        }
    }

    fn failure(&self) -> Failure {
        match self {
            Self::Journal(e) => e.failure(),
            Self::Prompt(e) => e.failure(),
            Self::Refused(e) => e.failure(),
            Self::Redaction(e) => Failure::new(self.to_string()).because(e),
        }
    }
}

/// Everything that an investigation works with, and the writing of facts.
#[derive(Clone)]
pub struct Desk {
    pub journal: Journal,
    pub sources: SourceSet,
    pub library: Library,
    pub matrix: Matrix,
    pub assistant: Option<AssistantConfig>,
    pub user: String,
    /// How long a service is watched before it counts as restored.
    pub monitor: Duration,
    pub oncall: OncallConfig,
    /// Objectives of the error budgets.
    pub slo: SloConfig,
}

impl Desk {
    /// From a configuration: opens the store, makes the sources, reads the user's prompts.
    pub fn open(config: &Config) -> Result<Self, DeskError> {
        let (prompts, unreadable) = crate::config::user_files(config, "prompts", "md");
        Ok(Self {
            journal: Journal::open(&store_at(config)?)?,
            sources: SourceSet::from_config(config),
            library: Library::load(&prompts)?.with_problems(unreadable),
            matrix: config.matrix.clone(),
            assistant: config.assistant.clone(),
            user: clean::line(&config.user),
            monitor: config.monitor,
            oncall: config.oncall.clone(),
            slo: config.slo.clone(),
        })
    }

    /// The checklist of an incident as of now.
    pub fn gates(&self, incident: &Incident) -> Vec<crate::incident::GateItem> {
        crate::incident::gate::gates(incident, now(), self.monitor)
    }

    /// The person at the desk.
    pub fn person(&self) -> Actor {
        Actor::human(self.user.clone())
    }

    /// Appends what `facts` makes of the incident as it is; made anew when somebody else wrote meanwhile.
    pub async fn append(
        &self,
        id: IncidentId,
        actor: &Actor,
        at: Option<Timestamp>,
        facts: impl Fn(&Incident) -> Result<Vec<Fact>, DeskError>,
    ) -> Result<(Incident, Appended), DeskError> {
        check_time(at)?;
        let incident = self.journal.incident(id).await?;
        self.append_to(incident, |i| Ok(Append { entries: new_entries(facts(i)?, actor, at, now())?, bodies: Vec::new() })).await
    }

    /// Appends what `make` makes of the incident; read again and made anew when somebody else was faster.
    pub(super) async fn append_to(
        &self,
        mut incident: Incident,
        make: impl Fn(&Incident) -> Result<Append, DeskError>,
    ) -> Result<(Incident, Appended), DeskError> {
        let id = incident.id();
        let append = make(&incident)?;
        if append.entries.is_empty() {
            return Ok((incident, Appended::default()));
        }
        match self.journal.append(id, incident.head.last_seq, append).await {
            Ok(appended) => {
                for entry in &appended.entries {
                    incident.apply(entry.clone());
                }
                return Ok((incident, appended));
            }
            Err(JournalError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        // Somebody was faster. Now in turn: what the others wrote is taken in and the facts are made anew, with nobody in
        // between; fifty writers that only tried again would keep each other from ever getting through.
        for _ in 0..ANEW {
            if incident.unsynced() > 0 {
                // What waited may have been merged under other numbers.
                incident = self.journal.incident(id).await?;
            }
            let mut refused = None;
            let (id, known) = (incident.id(), incident.head.last_seq);
            let turn = self
                .journal
                .append_in_turn(id, known, |entries| {
                    for entry in entries {
                        incident.apply(entry);
                    }
                    match make(&incident) {
                        Ok(append) => Some(append).filter(|a| !a.entries.is_empty()),
                        Err(e) => {
                            refused = Some(e);
                            None
                        }
                    }
                })
                .await;
            match (turn, refused) {
                (_, Some(e)) => return Err(e),
                (Ok(appended), None) => {
                    for entry in &appended.entries {
                        incident.apply(entry.clone());
                    }
                    return Ok((incident, appended));
                }
                // Merged just now: once more, under the real numbers.
                (Err(JournalError::Conflict { .. }), None) => incident = self.journal.incident(id).await?,
                (Err(e), None) => return Err(e.into()),
            }
        }
        Err(Refusal::invalid(format!("{id} is changing faster than it can be read")).advise("Try again.").into())
    }

    /// Declares an incident. It is in the journal before any source is asked; alerts that no source knows are linked by their
    /// fingerprint, unverified.
    pub async fn declare(&self, declaration: Declaration) -> Result<Outcome, DeskError> {
        check_time(declaration.at)?;
        let line = |name: &str, text: &Option<String>| text.as_deref().map(|t| check_text(name, t, false)).transpose();
        let mut facts = vec![Fact::IncidentDeclared {
            title: check_text("title", &declaration.title, false)?,
            severity: declaration.severity.unwrap_or(Severity::Sev3),
            status: if declaration.triage { Status::Triage } else { Status::Investigating },
            severity_given: declaration.severity.is_some(),
            reason: line("reason", &declaration.reason)?,
            // The matrix in force belongs to the record: a report made elsewhere must say the same.
            matrix: (self.matrix != Matrix::default()).then(|| self.matrix.clone()),
        }];
        for (role, holder) in [(Role::Commander, &declaration.commander), (Role::Reporter, &declaration.reporter)] {
            if let Some(holder) = line("name", holder)? {
                facts.push(Fact::RoleAssigned { role, holder, from: None });
            }
        }
        facts.extend(declaration.alerts.into_iter().map(|alert| Fact::AlertLinked { alert }));
        let entries = new_entries(facts, &self.person(), declaration.at, now())?;
        let written = self.journal.create(Append { entries, bodies: Vec::new() }).await?;
        let incident = Incident::fold(written.clone()).ok_or_else(|| Refusal::invalid("the store returned no incident"))?;
        let id = incident.id();
        let mut outcome = Outcome { message: format!("{id} declared"), incident, entries: written, warnings: Vec::new() };
        if !declaration.fingerprints.is_empty() {
            let command = Command::Link { fingerprints: declaration.fingerprints };
            let linked = self.run(id, command, declaration.at).await?;
            outcome.incident = linked.incident;
            outcome.entries.extend(linked.entries);
            outcome.warnings.extend(linked.warnings);
        }
        Ok(outcome)
    }

    /// What is firing now, redacted for screens and output. Fingerprints and names of sources stay as they are.
    pub async fn board(&self) -> AlertBoard {
        let mut board = self.sources.alerts().await;
        // One redactor for all alerts, so that the same secret has the same number everywhere.
        let mut redactor = Redactor::new();
        board.alerts.iter_mut().for_each(|alert| redact(alert, &mut redactor));
        board
    }
}

fn redact(alert: &mut Alert, redactor: &mut Redactor) {
    let Alert {
        fingerprint: _,
        name,
        severity: _,
        state: _,
        starts_at: _,
        pending_since: _,
        labels,
        annotations,
        source: _,
        occurrences: _,
        value: _,
        silenced_by,
        inhibited_by: _,
        generator_url,
    } = alert;
    let silences = silenced_by.iter_mut().flat_map(|s| [&mut s.created_by, &mut s.comment]);
    let texts: Vec<&mut String> =
        [name, generator_url].into_iter().chain(labels.values_mut()).chain(annotations.values_mut()).chain(silences).collect();
    for text in texts {
        if let std::borrow::Cow::Owned(redacted) = redactor.redact_text(text) {
            *text = redacted;
        }
    }
}

/// What a declaration says.
#[derive(Clone, Debug, Default)]
pub struct Declaration {
    pub title: String,
    pub severity: Option<Severity>,
    /// Why this severity.
    pub reason: Option<String>,
    /// Who reported it, if not who declares it.
    pub reporter: Option<String>,
    /// Alerts to look up and link.
    pub fingerprints: Vec<String>,
    /// Alerts that the caller has in its hand.
    pub alerts: Vec<LinkedAlert>,
    pub commander: Option<String>,
    /// Not yet an incident: opened in triage.
    pub triage: bool,
    pub at: Option<Timestamp>,
}

/// Entries from facts, each redacted.
pub(super) fn new_entries(
    facts: Vec<Fact>,
    actor: &Actor,
    at: Option<Timestamp>,
    recorded_at: Timestamp,
) -> Result<Vec<NewEntry>, DeskError> {
    facts
        .into_iter()
        .map(|fact| {
            let fact = Redactor::new().redact_value(&fact)?;
            Ok(NewEntry::new(at.unwrap_or(recorded_at), recorded_at, actor.clone(), fact))
        })
        .collect()
}

/// How far ahead of this clock a time may be: other clocks run fast, but the future has not happened.
const AHEAD: Duration = Duration::from_secs(300);

fn check_time(at: Option<Timestamp>) -> Result<(), Refusal> {
    match at {
        Some(at) if at > now() + AHEAD => {
            Err(Refusal::invalid(format!("{at} is in the future")).advise("Give a time that has passed."))
        }
        _ => Ok(()),
    }
}

/// Where the store is. The password is fetched only for a store that could want one.
pub fn store_at(config: &Config) -> Result<StoreAt, DeskError> {
    let wants_one = crate::journal::postgres::is_postgres(&config.store_url);
    let password = match config.store_password.as_ref().filter(|_| wants_one) {
        Some(secret) => Some(secret.resolve().map_err(|e| {
            Refusal::Invalid(
                Failure::new("cannot get the store's password").because(&e).advise("Check [store] in the configuration."),
            )
        })?),
        None => None,
    };
    Ok(StoreAt { url: config.store_url.clone(), password, copies: config.copies.clone() })
}
