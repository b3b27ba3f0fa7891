//! Creates, extends and ends silences. What the matchers hit is shown first, and nothing wider than that is ever sent.

use std::time::Duration;

use super::clock::now;
use super::command::Outcome;
use super::desk::{Desk, DeskError};
use crate::evidence::{Redactor, body::digest};
use crate::incident::{Command, EventKind, Incident, IncidentId, Refusal};
use crate::sources::{SilenceStore, Source, SourceError};
use crate::telemetry::matcher::Matcher;
use crate::telemetry::matcher::matchers_text;
use crate::telemetry::silence::{ListedSilence, NewSilence, SilenceRecord, SilenceState, hides};
use crate::telemetry::words::{count, list};
use crate::telemetry::{Alert, Explain, Failure, Labels, clean};

/// The number of alerts that a preview lists.
const MAX_LISTED: usize = 20;
/// The length of a preview's token, in characters.
const TOKEN: usize = 12;

/// A silence that could be created, and the alerts that it would hide now.
#[derive(Clone, Debug)]
pub struct SilencePlan {
    pub source: String,
    pub new: NewSilence,
    /// The alerts that its matchers hit now, redacted.
    pub hits: Vec<Alert>,
    /// Identifies the matchers and the alerts that they hit.
    pub token: String,
}

impl SilencePlan {
    /// What it would do, in lines for a person: where, which alerts, and until when.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = vec![
            format!("In {}, until {} UTC:", self.source, self.new.ends_at.date_clock()),
            format!("  {}", clean::line(&matchers_text(&self.new.matchers))),
            format!("{} hidden now:", count(self.hits.len(), "alert")),
        ];
        lines.extend(self.hits.iter().take(MAX_LISTED).map(|alert| {
            let labels = alert.labels.iter().filter(|(k, _)| *k != "alertname").map(|(k, v)| format!("{k}={v}"));
            format!("  {} {}", clean::line(&alert.name), clean::line(&labels.collect::<Vec<_>>().join(" ")))
        }));
        if self.hits.len() > MAX_LISTED {
            lines.push(format!("  and {} more", self.hits.len() - MAX_LISTED));
        }
        lines
    }

    /// The fingerprints of the alerts that it hides.
    pub fn fingerprints(&self) -> Vec<&str> {
        self.hits.iter().map(|a| a.fingerprint.as_str()).collect()
    }
}

fn failed(source: &str, what: &str, e: &SourceError) -> Refusal {
    let failure = e.failure();
    let message = format!("cannot {what} in {source}: {}", failure.message);
    Refusal::Invalid(Failure { message, ..failure })
}

/// The labels of an alert as matchers see them.
fn labels(alert: &Alert) -> Labels {
    let mut labels = alert.labels.clone();
    labels.entry("alertname".to_owned()).or_insert_with(|| alert.name.clone());
    labels
}

impl Desk {
    /// The source with this name whose silences can be changed, or the only one.
    fn silencer(&self, name: Option<&str>) -> Result<(&dyn Source, &dyn SilenceStore), Refusal> {
        let all: Vec<(&dyn Source, &dyn SilenceStore)> =
            self.sources.sources.iter().filter_map(|s| Some((s.as_ref(), s.silences()?))).collect();
        let names: Vec<&str> = all.iter().map(|(s, _)| s.name()).collect();
        match (name, all.as_slice()) {
            (_, []) => Err(Refusal::invalid("no source has silences").advise("Add a source of type alertmanager.")),
            (None, [one]) => Ok(*one),
            (None, _) => Err(Refusal::invalid("several sources have silences")
                .advise(format!("Choose one of {} with --source.", list(&names)))),
            (Some(name), all) => all.iter().find(|(s, _)| s.name() == name).copied().ok_or_else(|| {
                Refusal::not_found(format!("no source '{name}' has silences")).advise(format!("Use one of {}.", list(&names)))
            }),
        }
    }

    /// Matchers for the alerts with these fingerprints: of one alert all its labels, of several those that they have in common.
    ///
    /// # Errors
    /// If no source lists one of them, or they have no label in common.
    pub async fn matchers_of(&self, fingerprints: &[String]) -> Result<Vec<Matcher>, Refusal> {
        let board = self.board().await;
        let find = |fingerprint: &String| {
            let found = board.alerts.iter().find(|a| a.fingerprints().any(|f| f == fingerprint));
            found.ok_or_else(|| {
                Refusal::not_found(format!("no source lists the alert {fingerprint}"))
                    .advise("Run `warroom alerts` to list the alerts.")
            })
        };
        let alerts: Vec<&Alert> = fingerprints.iter().map(find).collect::<Result<_, _>>()?;
        let matchers = matchers_for(&alerts);
        if matchers.is_empty() {
            return Err(Refusal::invalid("these alerts have no label in common").advise("Silence them one by one."));
        }
        Ok(matchers)
    }

    /// Plans a silence: reads which alerts its matchers hit now. Changes nothing.
    ///
    /// # Errors
    /// If there is no such source, it does not answer, or the silence is not allowed.
    pub async fn plan_silence(
        &self,
        source: Option<&str>,
        matchers: Vec<Matcher>,
        length: Duration,
        reason: &str,
        incident: Option<IncidentId>,
    ) -> Result<SilencePlan, DeskError> {
        let reason = crate::incident::command::check_text("reason", reason, false)?;
        if matchers.is_empty() {
            return Err(Refusal::invalid("a silence without matchers would hide every alert").advise("Give --matcher.").into());
        }
        if length.is_zero() {
            return Err(Refusal::invalid("a silence needs a duration").advise("Give --for, such as 2h.").into());
        }
        let (source, _) = self.silencer(source)?;
        let hits = hits(source, &matchers).await?;
        // The incident is named in the silence itself, so that it is found even if nothing could be recorded.
        let comment = incident.map_or_else(|| reason.clone(), |id| format!("{id}: {reason}"));
        let starts_at = now();
        let new = NewSilence { matchers, starts_at, ends_at: starts_at + length, created_by: self.user.clone(), comment };
        let token = token(source.name(), &new, &hits);
        let redacted = Redactor::new().redact_value(&hits).map_err(DeskError::from)?.into_inner();
        Ok(SilencePlan { source: source.name().to_owned(), new, hits: redacted, token })
    }

    /// Creates a planned silence, if its matchers still hit exactly the alerts of the plan, and records it. Returns its id.
    ///
    /// # Errors
    /// If the alerts have changed since, only reading is allowed, or the server refuses.
    pub async fn create_silence(
        &self,
        plan: &SilencePlan,
        incident: Option<IncidentId>,
    ) -> Result<(String, Option<Outcome>), DeskError> {
        self.refuse_read_only("silences cannot be changed")?;
        let (source, store) = self.silencer(Some(&plan.source))?;
        let hits = hits(source, &plan.new.matchers).await?;
        if token(source.name(), &plan.new, &hits) != plan.token {
            let message = format!("the matchers now hit {}, not those of the preview", count(hits.len(), "alert"));
            return Err(Refusal::invalid(message).advise("Look at the preview again.").into());
        }
        let id = store.create(&plan.new, None).await.map_err(|e| failed(source.name(), "create the silence", &e))?;
        let text = format!(
            "{} in {} until {} UTC, hiding {}: {} (silence {id})",
            matchers_text(&plan.new.matchers),
            plan.source,
            plan.new.ends_at.date_clock(),
            count(hits.len(), "alert"),
            plan.new.comment
        );
        let recorded = self.record_silence(incident, EventKind::SilenceCreated, text).await;
        let outcome = recorded.map_err(DeskError::after(format!("silence {id} was created")))?;
        Ok((id, outcome))
    }

    /// Makes a silence end later, counted from now. Its matchers stay as they are. Returns its id, which may be a new one.
    ///
    /// # Errors
    /// If there is no such silence in force, only reading is allowed, or the server refuses.
    pub async fn extend_silence(&self, id: &str, length: Duration, incident: Option<IncidentId>) -> Result<String, DeskError> {
        self.refuse_read_only("silences cannot be changed")?;
        let found = self.find_silence(id).await?;
        let (source, store) = self.silencer(Some(&found.source))?;
        let new = NewSilence {
            matchers: found.matchers.clone(),
            starts_at: found.starts_at.unwrap_or_else(now),
            ends_at: now() + length,
            created_by: self.user.clone(),
            comment: found.comment.clone(),
        };
        if new.matchers.is_empty() {
            return Err(Refusal::invalid("the matchers of this silence cannot be read, so it is not changed").into());
        }
        let id = store.create(&new, Some(id)).await.map_err(|e| failed(source.name(), "extend the silence", &e))?;
        let text = format!("{} now ends at {} UTC (silence {id})", matchers_text(&new.matchers), new.ends_at.date_clock());
        let recorded = self.record_silence(incident, EventKind::SilenceCreated, text).await;
        recorded.map_err(DeskError::after(format!("silence {id} was extended")))?;
        Ok(id)
    }

    /// Ends a silence now, with the reason.
    ///
    /// # Errors
    /// If there is no such silence in force, only reading is allowed, or the server refuses.
    pub async fn expire_silence(&self, id: &str, reason: &str, incident: Option<IncidentId>) -> Result<SilenceRecord, DeskError> {
        self.refuse_read_only("silences cannot be changed")?;
        let reason = crate::incident::command::check_text("reason", reason, false)?;
        let found = self.find_silence(id).await?;
        let (source, store) = self.silencer(Some(&found.source))?;
        store.expire(id).await.map_err(|e| failed(source.name(), "end the silence", &e))?;
        let text = format!("{}: {reason} (silence {id})", matchers_text(&found.matchers));
        let recorded = self.record_silence(incident, EventKind::SilenceExpired, text).await;
        recorded.map_err(DeskError::after(format!("silence {id} was ended")))?;
        Ok(found)
    }

    /// The silence with this id that is in force or still to come.
    pub async fn find_silence(&self, id: &str) -> Result<SilenceRecord, DeskError> {
        let (listed, failures) = self.list_silences(None).await;
        let found = listed.into_iter().map(|l| l.silence).find(|s| s.id == id && s.state != SilenceState::Expired);
        found.ok_or_else(|| {
            let why = if failures.is_empty() { String::new() } else { format!(" ({})", failures.join("; ")) };
            let refusal = Refusal::not_found(format!("no silence '{id}' is in force{why}"));
            refusal.advise("Run `warroom silence list` to list the silences.").into()
        })
    }

    /// The silences of all sources with the alerts that they hide now; those that end first come first. With an incident, only those that hide
    /// its alerts. Also returns which sources failed.
    pub async fn list_silences(&self, incident: Option<&Incident>) -> (Vec<ListedSilence>, Vec<String>) {
        let (mut out, mut failures) = (Vec::new(), Vec::new());
        for source in &self.sources.sources {
            let Some(store) = source.silences() else { continue };
            let silences = match store.list().await {
                Ok(answer) => answer.value,
                Err(e) => {
                    failures.push(format!("{}: {}", source.name(), e.summary()));
                    continue;
                }
            };
            let alerts = match source.alerts() {
                Some(alerts) => alerts.active().await.map(|a| a.value).unwrap_or_default(),
                None => Vec::new(),
            };
            for silence in silences {
                let is_hidden = |a: &&Alert| silence.state == SilenceState::Active && hides(&silence.matchers, &labels(a));
                let hidden: Vec<&Alert> = alerts.iter().filter(is_hidden).collect();
                let is_of_incident = |i: &Incident| {
                    let of_alert = |a: &&Alert| i.alerts.iter().any(|linked| linked.is(a));
                    hidden.iter().any(of_alert)
                        || silence.state == SilenceState::Active && i.alerts.iter().any(|a| hides(&silence.matchers, &a.labels))
                };
                if incident.is_some_and(|i| !is_of_incident(i)) {
                    continue;
                }
                let hides = hidden.iter().map(|a| (a.name.clone(), a.fingerprint.clone())).collect();
                out.push(ListedSilence { silence, hides });
            }
        }
        out.sort_by_key(|l| (l.silence.state == SilenceState::Expired, l.silence.ends_at));
        (out, failures)
    }

    /// Refuses a change outside in read-only mode. `what` cannot be done.
    pub(super) fn refuse_read_only(&self, what: &str) -> Result<(), Refusal> {
        if self.read_only {
            return Err(Refusal::invalid(format!("{what}: [ui] read_only is set")).advise("Change the configuration."));
        }
        Ok(())
    }

    async fn record_silence(
        &self,
        incident: Option<IncidentId>,
        kind: EventKind,
        text: String,
    ) -> Result<Option<Outcome>, DeskError> {
        let Some(id) = incident else { return Ok(None) };
        Ok(Some(self.run(id, Command::Event { kind, text: clean::line(&text) }, None).await?))
    }
}

/// The alerts that matchers hit now, sorted by fingerprint.
async fn hits(source: &dyn Source, matchers: &[Matcher]) -> Result<Vec<Alert>, Refusal> {
    let Some(alerts) = source.alerts() else { return Ok(Vec::new()) };
    let answer = alerts.active().await.map_err(|e| failed(source.name(), "read the alerts", &e))?;
    let mut hits: Vec<Alert> = answer.value.into_iter().filter(|a| hides(matchers, &labels(a))).collect();
    hits.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    Ok(hits)
}

/// Identifies matchers and the alerts that they hit.
fn token(source: &str, new: &NewSilence, hits: &[Alert]) -> String {
    let fingerprints: Vec<&str> = hits.iter().map(|a| a.fingerprint.as_str()).collect();
    let text = format!("{source}\n{}\n{}", matchers_text(&new.matchers), fingerprints.join("\n"));
    digest(text.as_bytes()).chars().take(TOKEN).collect()
}

/// Matchers for alerts: the labels that all of them have with the same value. Empty if they have none in common.
fn matchers_for(alerts: &[&Alert]) -> Vec<Matcher> {
    let Some((first, rest)) = alerts.split_first() else { return Vec::new() };
    let first = labels(first);
    let common = first.iter().filter(|(k, v)| rest.iter().all(|a| labels(a).get(*k) == Some(*v)));
    common.filter_map(|(k, v)| Matcher::new(k, crate::telemetry::matcher::Comparison::Equal, v).ok()).collect()
}
