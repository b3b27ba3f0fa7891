//! Watches open incidents: whether their alerts are still firing, and whether their exit criteria are met. Changes are recorded
//! once, as entries by the system, even if several people have the incident open.

use std::time::Duration;

use super::clock::now;
use super::desk::{Desk, DeskError};
use crate::evidence::{Body, Draft};
use crate::incident::mitigation::card_label;
use crate::incident::{
    Actor, AlertBoard, AlertNow, EvidenceKind, ExitCriteria, ExitReading, Fact, Incident, IncidentId, Judgement, LinkedAlert,
    MitigationCard, Refusal,
};
use crate::sources::{Answer, step_for};
use crate::telemetry::words::count;
use crate::telemetry::{AlertState, Series, Timestamp, Window};

/// What the linked alerts do now, to follow a verdict; empty if none has been reported.
fn alerts_now(incident: &Incident) -> String {
    let all = incident.watched.len();
    match incident.watched.values().filter(|w| w.is_firing).count() {
        _ if all == 0 => String::new(),
        0 => "; no linked alert is firing".to_owned(),
        n => format!("; {n} of {} still firing", count(all, "linked alert")),
    }
}

/// The start and the label of the first mitigation that began after a card was done.
fn next_mitigation(incident: &Incident, card: &MitigationCard) -> Option<(Timestamp, String)> {
    let done = card.done_at?;
    let later = incident.cards.iter().enumerate().filter(|(_, c)| c.seq != card.seq);
    let starts = later.filter_map(|(n, c)| Some((c.started_at.or(c.done_at).filter(|at| *at > done)?, card_label(n))));
    starts.min()
}

/// The times at which exit criteria are read are multiples of this, in seconds.
const READING_STEP: i64 = 5;

impl Desk {
    /// Records which linked alerts have resolved or are firing again, and a new reading of the exit criteria. Returns the
    /// updated incident, and why something could not be checked. Does nothing if the incident is not open.
    pub async fn check(&self, id: IncidentId) -> Result<(Incident, Vec<String>), DeskError> {
        let incident = self.journal.incident(id).await?;
        if !incident.head.status.is_open() {
            return Ok((incident, Vec::new()));
        }
        let mut unchecked = Vec::new();
        if !incident.alerts.is_empty() {
            if !incident.watched.is_empty() && !self.sources.sources.iter().any(|s| s.alerts().is_some()) {
                unchecked.push("the linked alerts cannot be checked: no alert source is configured".to_owned());
            }
            let board = self.board().await;
            unchecked.extend(board.sources.iter().filter_map(|s| s.error.as_ref().map(|e| format!("{}: {e}", s.name))));
            self.record_alert_changes(id, &board).await?;
        }
        if let Some(criteria) = incident.exit.clone() {
            match self.evaluate_exit(&criteria).await {
                Ok((reading, draft)) => self.record_reading(id, &criteria, reading, draft).await?,
                Err(why) => unchecked.push(format!("the exit criteria cannot be checked: {why}")),
            }
        }
        unchecked.extend(self.judge_mitigations(id).await?);
        Ok((self.journal.incident(id).await?, unchecked))
    }

    /// Reads what must hold after the mitigations that were done, and records each verdict that is new. Returns why some could not be
    /// read.
    pub async fn judge_mitigations(&self, id: IncidentId) -> Result<Vec<String>, DeskError> {
        let incident = self.journal.incident(id).await?;
        let mut unread = Vec::new();
        for (index, card) in incident.cards.iter().enumerate().filter(|(_, c)| c.needs_reading(now())) {
            let next = next_mitigation(&incident, card);
            let window = card.window(now(), next.as_ref().map(|(at, _)| *at));
            let (Some(window), Some(criteria)) = (window, card.verify.as_ref()) else { continue };
            let step = step_for(window).min((criteria.duration().as_secs_f64() / 4.0).max(1.0));
            let (source, answer) = match self.range(criteria, window, step).await {
                Ok(answer) => answer,
                Err(why) => {
                    unread.push(format!("mitigation {} cannot be checked: {why}", card_label(index)));
                    continue;
                }
            };
            let next = next.as_ref().map(|(_, label)| label.as_str());
            let judged = card.judge(&answer.value, window.end, Duration::from_secs_f64(step), next);
            let Some(judgement) = judged.filter(|j| card.verdict() != Some(j.verdict)) else { continue };
            let judgement = Judgement { why: format!("{}{}", judgement.why, alerts_now(&incident)), ..judgement };
            let title = format!("{} ({}): {}", card_label(index), card.text, criteria.describe());
            let summary = format!("{} {}: {}", card_label(index), judgement.verdict, judgement.why);
            let draft = series_draft(source, criteria, window, step, (title, summary), answer);
            let evidence = self.append_evidence(id, draft, &Actor::system(), None).await?.1.evidence.first().copied();
            let verdict = judgement.verdict;
            let judgement = Judgement { evidence, ..judgement };
            let fact = Fact::MitigationJudged { seq: card.seq, text: card.text.clone(), judgement };
            // Someone else may have recorded the same verdict just before.
            let is_known = |i: &Incident| i.cards.iter().any(|c| c.seq == card.seq && c.verdict() == Some(verdict));
            self.append(id, &Actor::system(), None, |i| Ok(if is_known(i) { Vec::new() } else { vec![fact.clone()] })).await?;
        }
        Ok(unread)
    }

    /// The answer to the query of criteria from the source that they name, or else from the first metrics source that answers, and the
    /// name of the source. The error says why there is none.
    async fn range(&self, criteria: &ExitCriteria, window: Window, step: f64) -> Result<(String, Answer<Vec<Series>>), String> {
        let mut why = "no metrics source is configured".to_owned();
        for source in &self.sources.sources {
            let Some(metrics) = source.metrics() else { continue };
            if criteria.source.as_deref().is_some_and(|s| s != source.name()) {
                continue;
            }
            match metrics.range(&criteria.expression, window, step).await {
                Ok(answer) => return Ok((source.name().to_owned(), answer)),
                Err(e) => why = format!("{}: {e}", source.name()),
            }
        }
        if let Some(name) = criteria.source.as_ref().filter(|n| !self.sources.sources.iter().any(|s| s.name() == n.as_str())) {
            why = format!("there is no source '{name}'");
        }
        Err(why)
    }

    /// Records the changes of an incident's alerts on a board. An alert has resolved only if a source that knows it has answered and
    /// no longer lists it (see [`AlertBoard::now`]).
    pub async fn record_alert_changes(&self, id: IncidentId, board: &AlertBoard) -> Result<Incident, DeskError> {
        let (incident, _) = self.append(id, &Actor::system(), None, |i| Ok(alert_facts(i, board))).await?;
        Ok(incident)
    }

    /// The changes of an incident's alerts on a board, without recording them.
    pub async fn alert_changes(&self, id: IncidentId, board: &AlertBoard) -> Result<AlertChanges, DeskError> {
        let facts = alert_facts(&self.journal.incident(id).await?, board);
        let mut changes = AlertChanges::default();
        for fact in facts {
            match fact {
                Fact::AlertResolved { fingerprint, .. } => changes.resolved.push(fingerprint),
                _ => changes.fires_again = true,
            }
        }
        Ok(changes)
    }

    /// Evaluates the exit criteria of an open, mitigated incident, and records the reading if the result differs from the last
    /// one. Does nothing for other incidents.
    pub async fn check_exit(&self, id: IncidentId) -> Result<(), DeskError> {
        let incident = self.journal.incident(id).await?;
        let Some(criteria) = incident.exit.as_ref().filter(|_| incident.mitigated_at.is_some() && incident.head.status.is_open())
        else {
            return Ok(());
        };
        let (reading, draft) = self.evaluate_exit(criteria).await.map_err(Refusal::invalid)?;
        if incident.readings.last().is_none_or(|r| r.reading.met != reading.met) {
            self.record_reading(id, criteria, reading, draft).await?;
        }
        Ok(())
    }

    /// Queries and evaluates the exit criteria over their duration, with the source that they name or else the first metrics
    /// source that answers. The error says why there is no reading.
    async fn evaluate_exit(&self, criteria: &ExitCriteria) -> Result<(ExitReading, Draft), String> {
        // To steps of some seconds, so that two readings within one are the same piece of evidence.
        let end = Timestamp::from_secs(now().secs() / READING_STEP * READING_STEP);
        let window = Window::before(end, criteria.duration());
        let step = step_for(window).min((criteria.duration().as_secs_f64() / 4.0).max(1.0));
        let (source, answer) = self.range(criteria, window, step).await?;
        let reading = criteria.evaluate(&answer.value, window, Duration::from_secs_f64(step), &source);
        let summary = format!("exit criteria {}: {}", if reading.met { "met" } else { "not met" }, reading.why);
        let title = format!("exit criteria: {}", criteria.describe());
        Ok((reading, series_draft(source, criteria, window, step, (title, summary), answer)))
    }

    /// Records a reading, with the series as evidence.
    async fn record_reading(
        &self,
        id: IncidentId,
        criteria: &ExitCriteria,
        reading: ExitReading,
        draft: Draft,
    ) -> Result<(), DeskError> {
        let evidence = self.append_evidence(id, draft, &Actor::system(), None).await?.1.evidence.first().copied();
        let reading = ExitReading { evidence, ..reading };
        let fact = Fact::ExitRead { reading, criteria: Some(criteria.clone()) };
        self.append(id, &Actor::system(), None, |_| Ok(vec![fact.clone()])).await?;
        Ok(())
    }
}

/// The series of criteria as evidence, with its title and summary.
fn series_draft(
    source: String,
    criteria: &ExitCriteria,
    window: Window,
    step: f64,
    (title, summary): (String, String),
    answer: Answer<Vec<Series>>,
) -> Draft {
    let shown = u64::try_from(answer.value.len()).unwrap_or(0);
    Draft {
        kind: EvidenceKind::Metric,
        source,
        query: criteria.expression.clone(),
        window,
        taken_at: now(),
        summary,
        body: Body::Series {
            title,
            unit: String::new(),
            step_secs: step,
            threshold: Some(criteria.threshold),
            series: answer.value,
        },
        gaps: answer.gaps,
        shown,
        total: answer.total.unwrap_or(shown),
    }
}

/// The changes of an incident's linked alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertChanges {
    /// Fingerprints of the alerts that have resolved.
    pub resolved: Vec<String>,
    /// Whether an alert is firing again, or an unverified alert was found.
    pub fires_again: bool,
}

/// The facts that record the changes of an incident's alerts on a board. Empty if the incident is not open.
fn alert_facts(incident: &Incident, board: &AlertBoard) -> Vec<Fact> {
    if !incident.head.status.is_open() {
        return Vec::new();
    }
    let mut facts = Vec::new();
    for alert in &incident.alerts {
        let now = board.now(alert);
        if let (false, AlertNow::Active(found)) = (alert.verified, now) {
            // It was linked by its fingerprint only, and now a source has it.
            facts.push(Fact::AlertLinked { alert: LinkedAlert::from_alert(found) });
            continue;
        }
        let Some(watch) = incident.watched.get(&alert.fingerprint) else { continue };
        let (fingerprint, name) = (alert.fingerprint.clone(), alert.name.clone());
        match (watch.is_firing, now) {
            (true, AlertNow::Ended) => facts.push(Fact::AlertResolved { fingerprint, name }),
            // Silenced and pending alerts have not resolved, and a pending one does not fire yet.
            (false, AlertNow::Active(found)) if found.state != AlertState::Pending => {
                facts.push(Fact::AlertFired { fingerprint, name });
            }
            _ => {}
        }
    }
    facts
}
