//! Looking after open incidents: whether their alerts still fire, and whether the exit criteria hold. What is seen is written
//! down as the program's own entries, once, however many people have the incident open.

use std::time::Duration;

use super::clock::now;
use super::desk::{Desk, DeskError, new_entries};
use crate::evidence::{Body, Draft};
use crate::incident::{
    Actor, AlertBoard, EvidenceKind, ExitCriteria, ExitReading, Fact, Incident, IncidentId, LinkedAlert, Refusal, SourceStatus,
};
use crate::journal::Append;
use crate::sources::step_for;
use crate::telemetry::{AlertState, Window};

impl Desk {
    /// Looks at the sources now: writes which linked alerts ended or fire again, and reads the exit criteria. Gives the
    /// incident after it, and what could not be looked at.
    pub async fn check(&self, id: IncidentId) -> Result<(Incident, Vec<String>), DeskError> {
        let incident = self.journal.incident(id).await?;
        if !incident.head.status.is_open() {
            return Ok((incident, Vec::new()));
        }
        let mut silent = Vec::new();
        if !incident.alerts.is_empty() {
            if !incident.watched.is_empty() && !self.sources.sources.iter().any(|s| s.alerts().is_some()) {
                silent.push("no source of alerts is configured: whether they fire was not looked at".to_owned());
            }
            let board = self.board().await;
            silent.extend(board.sources.iter().filter_map(|s| s.error.as_ref().map(|e| format!("{}: {e}", s.name))));
            self.watch(id, &board).await?;
        }
        if let Some(criteria) = incident.exit.clone() {
            match self.read_exit(&criteria).await {
                Ok((reading, draft)) => self.write_reading(id, &criteria, reading, draft).await?,
                Err(why) => silent.push(format!("the exit criteria could not be read: {why}")),
            }
        }
        Ok((self.journal.incident(id).await?, silent))
    }

    /// Writes what a board says of an incident's alerts. An alert that no source lists any more has ended only when every
    /// alert source has answered: silence of a source is no recovery.
    pub async fn watch(&self, id: IncidentId, board: &AlertBoard) -> Result<Incident, DeskError> {
        let (incident, _) = self.append(id, &Actor::system(), None, |i| Ok(seen(i, board))).await?;
        Ok(incident)
    }

    /// What a board says of an incident's alerts, without writing it.
    pub async fn seen(&self, id: IncidentId, board: &AlertBoard) -> Result<AlertChanges, DeskError> {
        let facts = seen(&self.journal.incident(id).await?, board);
        let mut out = AlertChanges::default();
        for fact in facts {
            match fact {
                Fact::AlertResolved { fingerprint, .. } => out.ended.push(fingerprint),
                _ => out.fires_again = true,
            }
        }
        Ok(out)
    }

    /// Reads the exit criteria of an incident that has some and is mitigated; writes the reading when it says something new.
    pub async fn check_exit(&self, id: IncidentId) -> Result<(), DeskError> {
        let incident = self.journal.incident(id).await?;
        let Some(criteria) = incident.exit.as_ref().filter(|_| incident.mitigated_at.is_some() && incident.head.status.is_open())
        else {
            return Ok(());
        };
        let (reading, draft) = self.read_exit(criteria).await.map_err(Refusal::invalid)?;
        if incident.readings.last().is_none_or(|r| r.reading.met != reading.met) {
            self.write_reading(id, criteria, reading, draft).await?;
        }
        Ok(())
    }

    /// Asks for the exit criteria's values over their duration: the named source, else the first that answers.
    async fn read_exit(&self, criteria: &ExitCriteria) -> Result<(ExitReading, Draft), String> {
        let window = Window::before(now(), criteria.duration());
        let step = step_for(window).min((criteria.duration().as_secs_f64() / 4.0).max(1.0));
        let mut why = "no metrics source is configured".to_owned();
        for source in &self.sources.sources {
            let Some(metrics) = source.metrics() else { continue };
            if criteria.source.as_deref().is_some_and(|s| s != source.name()) {
                continue;
            }
            let answer = match metrics.range(&criteria.expression, window, step).await {
                Ok(answer) => answer,
                Err(e) => {
                    why = format!("{}: {e}", source.name());
                    continue;
                }
            };
            let reading = criteria.evaluate(&answer.value, window, Duration::from_secs_f64(step), source.name());
            let shown = u64::try_from(answer.value.len()).unwrap_or(0);
            let draft = Draft {
                kind: EvidenceKind::Metric,
                source: source.name().to_owned(),
                query: criteria.expression.clone(),
                window,
                taken_at: now(),
                summary: format!("exit criteria {}: {}", if reading.met { "met" } else { "not met" }, reading.why),
                body: Body::Series {
                    title: format!("exit criteria: {}", criteria.describe()),
                    unit: String::new(),
                    step_secs: step,
                    threshold: Some(criteria.threshold),
                    series: answer.value,
                },
                gaps: answer.gaps,
                shown,
                total: answer.total.unwrap_or(shown),
            };
            return Ok((reading, draft));
        }
        if let Some(name) = criteria.source.as_ref().filter(|n| !self.sources.sources.iter().any(|s| s.name() == n.as_str())) {
            why = format!("no source is named '{name}'");
        }
        Err(why)
    }

    async fn write_reading(
        &self,
        id: IncidentId,
        criteria: &ExitCriteria,
        reading: ExitReading,
        draft: Draft,
    ) -> Result<(), DeskError> {
        let (record, body, _) = draft.seal()?;
        let entries = new_entries(vec![Fact::EvidenceAttached { evidence: record.into_inner() }], &Actor::system(), None, now())?;
        let incident = self.journal.incident(id).await?;
        let (_, appended) =
            self.append_to(incident, |_| Ok(Append { entries: entries.clone(), bodies: vec![body.clone()] })).await?;
        let reading = ExitReading { evidence: appended.evidence.first().copied(), ..reading };
        let fact = Fact::ExitRead { reading, criteria: Some(criteria.clone()) };
        self.append(id, &Actor::system(), None, |_| Ok(vec![fact.clone()])).await?;
        Ok(())
    }
}

/// What a board says of an incident's alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertChanges {
    /// Fingerprints that no source lists any more.
    pub ended: Vec<String>,
    pub fires_again: bool,
}

/// The facts that a board adds to an incident.
fn seen(i: &Incident, board: &AlertBoard) -> Vec<Fact> {
    if !i.head.status.is_open() {
        return Vec::new();
    }
    let all_answered =
        board.any_source_answered() && board.sources.iter().all(|s| s.status == SourceStatus::Ok) && board.gaps.is_empty();
    let mut facts = Vec::new();
    for alert in &i.alerts {
        let found = board.alerts.iter().find(|a| a.fingerprint == alert.fingerprint);
        if let (false, Some(found)) = (alert.verified, found) {
            // Linked by its fingerprint alone; now a source knows it.
            facts.push(Fact::AlertLinked { alert: LinkedAlert::from_alert(found) });
            continue;
        }
        let Some(watch) = i.watched.get(&alert.fingerprint) else { continue };
        // Silenced or waiting alerts are there all the same.
        let fires = found.is_some_and(|a| a.state != AlertState::Resolved);
        let (fingerprint, name) = (alert.fingerprint.clone(), alert.name.clone());
        match (watch.is_firing, fires) {
            (true, false) if all_answered => facts.push(Fact::AlertResolved { fingerprint, name }),
            (false, true) if found.is_some_and(|a| a.state != AlertState::Pending) => {
                facts.push(Fact::AlertFired { fingerprint, name });
            }
            _ => {}
        }
    }
    facts
}
