//! The [`Desk`], which holds the journal, the sources and the settings, and appends facts to incidents.

use std::sync::Arc;
use std::time::Duration;

use crate::comms::{Draft, Stage, names_of};
use crate::config::{AssistantConfig, ChannelConfig, CommandConfig, Config, OncallConfig, Preset, SloConfig, load_presets};
use crate::evidence::Redactor;
use crate::incident::command::check_text;
use crate::incident::{
    Actor, Audience, Command, Fact, Incident, IncidentId, LinkedAlert, Matrix, Refusal, Role, Severity, Status,
};
use crate::journal::{Append, Appended, Journal, JournalError, NewEntry, StoreAt};
use crate::prompt::{Library, PromptError};
use crate::telemetry::failure::UserFile;
use crate::telemetry::{Alert, Deferred, Explain, Failure, Names, Timestamp, clean};

use super::clock::now;
use super::command::Outcome;
use super::set::{AlertBoard, SourceSet};

/// Receives progress messages for the user.
pub type Progress = Arc<dyn Fn(String) + Send + Sync>;

/// How often an append is retried when the number of the incident changes.
const MAX_RETRIES: u32 = 5;

/// Why an operation of the desk failed.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The request is invalid for this incident or configuration.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("cannot redact the text, so it was not written")]
    Redaction(#[from] serde_json::Error),
    /// Something was done outside, but the journal does not say so. Doing it again would do it twice.
    #[error("{done}, but it was not recorded: {why}")]
    NotRecorded { done: String, why: String },
}

impl DeskError {
    /// Marks a failure to record what was already done: `silence s1 was created`.
    pub(super) fn after(done: impl Into<String>) -> impl FnOnce(Self) -> Self {
        let done = done.into();
        move |e| Self::NotRecorded { done, why: e.failure().summary() }
    }
}

impl Explain for DeskError {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Journal(e) => e.remedy(),
            Self::Prompt(e) => e.remedy(),
            Self::Refused(e) => e.remedy(),
            Self::Redaction(_) => None,
            Self::NotRecorded { .. } => Some("Do not repeat it. Record it with a note.".to_owned()),
        }
    }

    fn failure(&self) -> Failure {
        match self {
            Self::Journal(e) => e.failure(),
            Self::Prompt(e) => e.failure(),
            Self::Refused(e) => e.failure(),
            Self::Redaction(e) => Failure::new(self.to_string()).because(e),
            Self::NotRecorded { .. } => Failure::new(self.to_string()).advise(self.remedy().unwrap_or_default()),
        }
    }
}

/// The journal, the sources and the settings of one user.
#[derive(Clone)]
pub struct Desk {
    pub journal: Journal,
    pub sources: SourceSet,
    pub library: Deferred<Library>,
    pub matrix: Matrix,
    pub assistant: Option<AssistantConfig>,
    pub user: String,
    /// How long a service is monitored after mitigation before it counts as restored.
    pub monitor: Duration,
    pub oncall: OncallConfig,
    /// The service level objectives, for error budgets.
    pub slo: SloConfig,
    pub playbooks: Deferred<crate::playbook::Library>,
    /// The user's own commands and those of presets.
    pub commands: Vec<CommandConfig>,
    pub presets: Vec<Preset>,
    pub updates: UpdateSettings,
    /// Whether nothing outside of warroom may be changed.
    pub read_only: bool,
    /// Held while an investigation runs, so that a question waits for it instead of starting another one.
    pub investigating: Arc<tokio::sync::Mutex<()>>,
}

/// How stakeholder updates are drafted and where they are sent.
#[derive(Clone, Debug, Default)]
pub struct UpdateSettings {
    /// The user's templates.
    pub templates: Vec<UserFile>,
    pub channels: Vec<ChannelConfig>,
    /// The machines and people that the configuration names.
    pub names: Names,
}

impl UpdateSettings {
    fn from_config(config: &Config) -> Self {
        let mut names = Names { public: config.public_names.iter().cloned().collect(), ..Names::default() };
        names.add_person(&clean::line(&config.user));
        for url in config.sources.iter().filter_map(|s| s.url.as_deref()) {
            names.add_host_of(url);
        }
        Self { templates: crate::config::user_files(config, "updates", "md").0, channels: config.channels.clone(), names }
    }
}

/// The playbooks that are available with a configuration: the built-in ones and the user's.
pub fn load_playbooks(config: &Config) -> Deferred<crate::playbook::Library> {
    playbooks_with(config, &load_presets(config))
}

/// Reading playbooks and prompts takes most of the time of a start, so that only their first use reads them.
fn playbooks_with(config: &Config, presets: &[Preset]) -> Deferred<crate::playbook::Library> {
    let (config, presets) = (config.clone(), presets.to_vec());
    Deferred::new(move || read_playbooks(&config, &presets))
}

fn read_playbooks(config: &Config, presets: &[Preset]) -> crate::playbook::Library {
    let (files, mut problems) = crate::config::user_files(config, "playbooks", "md");
    problems.extend(presets.iter().flat_map(|p| p.problems.iter().cloned()));
    let shared: Vec<(String, Vec<UserFile>)> = presets.iter().map(|p| (p.name.clone(), p.playbooks.clone())).collect();
    crate::playbook::Library::load_with_presets(&shared, &files).with_problems(problems)
}

/// The built-in prompts and the user's.
fn load_prompts(config: &Config) -> Deferred<Library> {
    let config = config.clone();
    Deferred::new(move || {
        let (prompts, unreadable) = crate::config::user_files(&config, "prompts", "md");
        Library::load(&prompts).with_problems(unreadable)
    })
}

/// The user's own commands, and those of presets that they do not replace.
fn all_commands(config: &Config, presets: &[Preset]) -> Vec<CommandConfig> {
    let mut all = config.commands.clone();
    for command in presets.iter().flat_map(|p| &p.commands) {
        if all.iter().all(|c| c.name != command.name) {
            all.push(command.clone());
        }
    }
    all
}

impl Desk {
    /// Opens the store and creates the sources, as configured. Prompts and playbooks are read when they are first used.
    pub fn open(config: &Config) -> Result<Self, DeskError> {
        let presets = load_presets(config);
        Ok(Self {
            journal: Journal::open(&store_at(config)?)?,
            sources: SourceSet::from_config(config),
            library: load_prompts(config),
            matrix: config.matrix.clone(),
            assistant: config.assistant.clone(),
            user: clean::line(&config.user),
            monitor: config.monitor,
            oncall: config.oncall.clone(),
            slo: config.slo.clone(),
            playbooks: playbooks_with(config, &presets),
            commands: all_commands(config, &presets),
            presets,
            updates: UpdateSettings::from_config(config),
            read_only: config.ui.read_only,
            investigating: Arc::default(),
        })
    }

    /// Drafts a stakeholder update. Without a stage, it follows from the status.
    ///
    /// # Errors
    /// If a template cannot be filled in.
    pub fn draft(&self, incident: &Incident, audience: Audience, stage: Option<Stage>) -> Result<Draft, Failure> {
        crate::comms::draft(incident, audience, stage, &self.updates.templates, &self.names(incident), now())
    }

    /// The internal names that customers must not read: those of the incident and of the configuration.
    pub fn names(&self, incident: &Incident) -> Names {
        let mut names = names_of(incident);
        names.extend(&self.updates.names);
        names
    }

    /// The checklist of an incident at the current time.
    pub fn gates(&self, incident: &Incident) -> Vec<crate::incident::GateItem> {
        crate::incident::gate::gates(incident, now(), self.monitor)
    }

    /// The user, as the actor of new entries.
    pub fn actor(&self) -> Actor {
        Actor::human(self.user.clone())
    }

    /// Appends the facts that `facts` makes from the current incident. Calls it again if someone else writes at the same time.
    /// `at` is the time at which the facts happened; `None` means now.
    ///
    /// # Errors
    /// When `at` is in the future, `facts` fails, or the journal cannot be written.
    pub async fn append(
        &self,
        id: IncidentId,
        actor: &Actor,
        at: Option<Timestamp>,
        facts: impl Fn(&Incident) -> Result<Vec<Fact>, DeskError>,
    ) -> Result<(Incident, Appended), DeskError> {
        reject_future_time(at)?;
        let incident = self.journal.incident(id).await?;
        self.append_to(incident, |i| Ok(Append { entries: new_entries(facts(i)?, actor, at, now())?, bodies: Vec::new() })).await
    }

    /// Appends what `make` makes from the incident. If another writer was faster, reads the incident again and calls `make`
    /// again.
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
        // Another writer was faster. Append under the lock of the store: apply the new entries, make the facts again and write
        // them before anyone else can. With optimistic retries alone, fifty writers would starve each other.
        for _ in 0..MAX_RETRIES {
            if incident.unsynced() > 0 {
                // Unsynced entries may have been merged since, under other numbers.
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
                // The entries were merged in the meantime: try again with the new numbers.
                (Err(JournalError::Conflict { .. }), None) => incident = self.journal.incident(id).await?,
                (Err(e), None) => return Err(e.into()),
            }
        }
        Err(Refusal::invalid(format!("cannot write to {id}: other writers keep changing it")).advise("Try again.").into())
    }

    /// Declares an incident. Writes it to the journal before querying any source. Fingerprints that no source knows are linked
    /// as unverified alerts.
    pub async fn declare(&self, declaration: Declaration) -> Result<Outcome, DeskError> {
        reject_future_time(declaration.at)?;
        let line = |name: &str, text: &Option<String>| text.as_deref().map(|t| check_text(name, t, false)).transpose();
        let mut facts = vec![Fact::IncidentDeclared {
            title: check_text("title", &declaration.title, false)?,
            severity: declaration.severity.unwrap_or(Severity::Sev3),
            status: if declaration.triage { Status::Triage } else { Status::Investigating },
            severity_given: declaration.severity.is_some(),
            reason: line("reason", &declaration.reason)?,
            // Record a custom severity matrix, so that a report made on another machine is the same.
            matrix: (self.matrix != Matrix::default()).then(|| self.matrix.clone()),
        }];
        for (role, holder) in [(Role::Commander, &declaration.commander), (Role::Reporter, &declaration.reporter)] {
            if let Some(holder) = line("name", holder)? {
                facts.push(Fact::RoleAssigned { role, holder, from: None });
            }
        }
        facts.extend(declaration.alerts.into_iter().map(|alert| Fact::AlertLinked { alert }));
        let entries = new_entries(facts, &self.actor(), declaration.at, now())?;
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

    /// The current alerts, redacted for display. Fingerprints and source names are not redacted.
    pub async fn board(&self) -> AlertBoard {
        let mut board = self.sources.alerts().await;
        // Use one redactor for all alerts, so that a secret has the same number everywhere.
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
        unit: _,
        silenced_by,
        inhibited_by: _,
        muted_by: _,
        generator_url,
        aliases: _,
        also_in: _,
        is_constant: _,
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

/// A new incident.
#[derive(Clone, Debug, Default)]
pub struct Declaration {
    pub title: String,
    pub severity: Option<Severity>,
    /// Why it has this severity.
    pub reason: Option<String>,
    /// Who reported it, if not the user who declares it.
    pub reporter: Option<String>,
    /// Fingerprints of alerts to look up and link.
    pub fingerprints: Vec<String>,
    /// Alerts to link that the caller already has.
    pub alerts: Vec<LinkedAlert>,
    pub commander: Option<String>,
    /// Whether to open it in triage, because it may not be an incident.
    pub triage: bool,
    /// The time of the declaration; `None` means now.
    pub at: Option<Timestamp>,
}

/// Makes an entry from each fact, redacted. `at` is the time at which they happened; `None` means `recorded_at`.
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

/// How far ahead of this clock a time may be, because the clocks of other machines may be fast.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);

fn reject_future_time(at: Option<Timestamp>) -> Result<(), Refusal> {
    match at {
        Some(at) if at > now() + MAX_CLOCK_SKEW => {
            Err(Refusal::invalid(format!("{at} is in the future")).advise("Give a time that has passed."))
        }
        _ => Ok(()),
    }
}

/// The location of the store, with its password. The password is fetched only for PostgreSQL, because that may run a command.
pub fn store_at(config: &Config) -> Result<StoreAt, DeskError> {
    let needs_password = crate::journal::postgres::is_postgres(&config.store_url);
    let password = match config.store_password.as_ref().filter(|_| needs_password) {
        Some(secret) => Some(secret.resolve().map_err(|e| {
            Refusal::Invalid(
                Failure::new("cannot get the store's password").because(&e).advise("Check [store] in the configuration."),
            )
        })?),
        None => None,
    };
    Ok(StoreAt { url: config.store_url.clone(), password, copies: config.copies.clone() })
}
