//! The desk: everything an investigation works with, and the writing of facts.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{AssistantConfig, Config, OncallConfig, SloConfig};
use crate::evidence::Redactor;
use crate::incident::{Actor, AnswerSource, Entry, Fact, Incident, IncidentId, LinkedAlert, Matrix, Role, Severity, Status};
use crate::journal::{Append, Appended, Journal, JournalError, NewEntry, StoreAt};
use crate::prompt::{Library, PromptError};
use crate::telemetry::{Timestamp, clean};

use super::clock::now;
use super::set::{AlertBoard, SourceSet};

/// Told in words what is being done.
pub type Progress = Arc<dyn Fn(String) + Send + Sync>;

/// How often an append is made anew when numbers change under it.
const ANEW: u32 = 5;
/// How long `declare` and `link` look for what an alert is.
const LOOK_UP: Duration = Duration::from_secs(3);

/// Why a job of the desk was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The person asked for something that cannot be; the message says what to do instead.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    NotFound(String),
    #[error("a text could not be redacted and was not written: {0}")]
    Redaction(#[from] serde_json::Error),
}

/// See the module's words.
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
        Ok(Self {
            journal: Journal::open(&store_at(config)?)?,
            sources: SourceSet::from_config(config),
            library: Library::with_user_prompts(&user_prompts(config))?,
            matrix: config.matrix.clone(),
            assistant: config.assistant.clone(),
            user: clean::line(&config.user),
            monitor: config.monitor,
            oncall: config.oncall.clone(),
            slo: config.slo.clone(),
        })
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
        Err(DeskError::Refused(format!("{id} changes faster than it can be read: try again")))
    }

    /// [`Self::append`] of one fact by the person at the desk.
    pub async fn write(
        &self,
        id: IncidentId,
        at: Option<Timestamp>,
        fact: impl Fn(&Incident) -> Result<Fact, DeskError>,
    ) -> Result<(Incident, Entry), DeskError> {
        let (incident, appended) = self.append(id, &self.person(), at, |i| Ok(vec![fact(i)?])).await?;
        match appended.entries.into_iter().next_back() {
            Some(entry) => Ok((incident, entry)),
            None => Err(DeskError::Refused("nothing was to be written".to_owned())),
        }
    }

    /// Opens an incident. It is in the journal before any source is asked; alerts that no source knows are linked by their
    /// fingerprint, unverified. Gives the incident and warnings.
    pub async fn declare(&self, declaration: Declaration) -> Result<(Incident, Vec<String>), DeskError> {
        check_time(declaration.at)?;
        let title = checked_line("title", &declaration.title)?;
        let recorded_at = now();
        let fact = Fact::IncidentDeclared {
            title,
            severity: declaration.severity.unwrap_or(Severity::Sev3),
            status: if declaration.triage { Status::Triage } else { Status::Investigating },
            severity_given: declaration.severity.is_some(),
            reason: declaration.reason.as_deref().map(|r| checked_line("reason", r)).transpose()?,
            // The matrix in force belongs to the record: a report made elsewhere must say the same.
            matrix: (self.matrix != Matrix::default()).then(|| self.matrix.clone()),
        };
        let mut facts = vec![fact];
        if let Some(holder) = &declaration.commander {
            facts.push(Fact::RoleAssigned { role: Role::Commander, holder: checked_line("name", holder)?, from: None });
        }
        if let Some(holder) = &declaration.reporter {
            facts.push(Fact::RoleAssigned { role: Role::Reporter, holder: checked_line("name", holder)?, from: None });
        }
        let known = declaration.known;
        facts.extend(known.iter().cloned().map(|alert| Fact::AlertLinked { alert }));
        let entries = new_entries(facts, &self.person(), declaration.at, recorded_at)?;
        let written = self.journal.create(Append { entries, bodies: Vec::new() }).await?;
        let incident = Incident::fold(written).ok_or_else(|| DeskError::Refused("the store gave no incident back".to_owned()))?;
        if declaration.fingerprints.is_empty() {
            return Ok((incident, Vec::new()));
        }
        self.link(incident.id(), &declaration.fingerprints, declaration.at).await
    }

    /// Links alerts by fingerprint (or by a unique beginning or name of one).
    pub async fn link(
        &self,
        id: IncidentId,
        fingerprints: &[String],
        at: Option<Timestamp>,
    ) -> Result<(Incident, Vec<String>), DeskError> {
        let board = self.sources.find(fingerprints, LOOK_UP).await;
        let mut warnings = Vec::new();
        let mut linked = Vec::new();
        for wanted in fingerprints {
            let found = board.alerts.iter().find(|a| a.fingerprint == *wanted);
            if let Some(alert) = found {
                linked.push(LinkedAlert::from_alert(alert));
            } else {
                // As it will be stored, so that it is found again by the same text.
                let wanted = Redactor::new().text(&checked_line("fingerprint", wanted)?).into_owned();
                let silent: Vec<&str> = board.sources.iter().filter(|s| s.error.is_some()).map(|s| s.name.as_str()).collect();
                let why = if silent.is_empty() { String::new() } else { format!(" ({} did not answer)", silent.join(", ")) };
                warnings.push(format!("no source knows an alert {wanted} now{why}: it is linked unverified"));
                linked.push(LinkedAlert::unverified(wanted));
            }
        }
        let (incident, _) = self
            .append(id, &self.person(), at, |i| {
                Ok(linked
                    .iter()
                    .filter(|l| !i.alerts.iter().any(|have| have.fingerprint == l.fingerprint && have.verified >= l.verified))
                    .cloned()
                    .map(|alert| Fact::AlertLinked { alert })
                    .collect())
            })
            .await?;
        Ok((incident, warnings))
    }

    /// Takes an alert away from an incident.
    pub async fn unlink(
        &self,
        id: IncidentId,
        fingerprint: &str,
        reason: Option<String>,
        at: Option<Timestamp>,
    ) -> Result<(Incident, Entry), DeskError> {
        let stored = Redactor::new().text(fingerprint).into_owned();
        let fingerprint = stored.as_str();
        self.write(id, at, |i| {
            let Some(alert) = i.alerts.iter().find(|a| a.fingerprint == fingerprint) else {
                return Err(DeskError::NotFound(format!(
                    "{id} has no alert {fingerprint}: `warroom incident show {id}` lists them"
                )));
            };
            Ok(Fact::AlertUnlinked { name: alert.label(), fingerprint: fingerprint.to_owned(), reason: reason.clone() })
        })
        .await
    }

    /// Accepts a model's text as one's own.
    pub async fn accept(&self, id: IncidentId, seq: u64) -> Result<(Incident, Entry), DeskError> {
        self.write(id, None, |i| match i.answers.iter().find(|a| a.seq == seq) {
            Some(a) if a.accepted_by.is_none() && a.answer.source == AnswerSource::Llm => Ok(Fact::DraftAccepted { seq }),
            Some(_) => Err(DeskError::Refused(format!("entry {seq} is no open draft"))),
            None => Err(DeskError::NotFound(format!("{id} has no answer at entry {seq}"))),
        })
        .await
    }

    /// What fires now.
    pub async fn board(&self) -> AlertBoard {
        self.sources.alerts().await
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
    pub known: Vec<LinkedAlert>,
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
            let fact = Redactor::new().value(&fact)?;
            Ok(NewEntry::new(at.unwrap_or(recorded_at), recorded_at, actor.clone(), fact))
        })
        .collect()
}

/// How far ahead of this clock a time may lie: other clocks run fast, the future has not happened.
const AHEAD: Duration = Duration::from_secs(300);

pub(super) fn check_time(at: Option<Timestamp>) -> Result<(), DeskError> {
    match at {
        Some(at) if at > now() + AHEAD => {
            Err(DeskError::Refused(format!("{at} lies in the future: give a time that has passed")))
        }
        _ => Ok(()),
    }
}

/// A person's text on one line.
pub fn checked_line(what: &str, text: &str) -> Result<String, DeskError> {
    checked_text(what, &clean::line(text))
}

/// A person's text, cleaned; an empty one is refused.
pub fn checked_text(what: &str, text: &str) -> Result<String, DeskError> {
    if text.len() > clean::MAX_TEXT_BYTES {
        return Err(DeskError::Refused(format!(
            "the {what} is {} KiB long, at most {} are taken: keep it as evidence, `warroom incident attach ID FILE`",
            text.len() / 1024,
            clean::MAX_TEXT_BYTES / 1024
        )));
    }
    let cleaned = clean::block(text);
    let trimmed = cleaned.trim();
    if trimmed.is_empty() {
        return Err(DeskError::Refused(format!("the {what} is empty: say it in a few words")));
    }
    Ok(trimmed.to_owned())
}

/// Where the store is. The password is fetched only for a store that could want one.
pub fn store_at(config: &Config) -> Result<StoreAt, DeskError> {
    let wants_one = crate::journal::postgres::is_postgres(&config.store_url);
    let password = match config.store_password.as_ref().filter(|_| wants_one) {
        Some(secret) => Some(secret.resolve().map_err(|e| DeskError::Refused(format!("the store's password: {e}")))?),
        None => None,
    };
    Ok(StoreAt { url: config.store_url.clone(), password, copies: config.copies.clone() })
}

fn user_prompts(config: &Config) -> Vec<(String, String)> {
    let Some(folder) = crate::config::user_folder(config, "prompts") else { return Vec::new() };
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut prompts: Vec<(String, String)> = files
        .filter_map(Result::ok)
        .map(|f| f.path())
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
        .filter_map(|p| Some((p.file_stem()?.to_str()?.to_owned(), std::fs::read_to_string(&p).ok()?)))
        .collect();
    prompts.sort();
    prompts
}
