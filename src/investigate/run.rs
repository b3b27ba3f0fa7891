//! Investigates an incident: gathers data, records the evidence, and records the findings that follow from it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::clock::now;
use super::desk::{Desk, DeskError, Progress, new_entries};
use super::gather::{Request, earliest_onset, gather, linked_alert};
use super::set::AlertBoard;
use crate::analysis::findings::{Key, findings};
use crate::analysis::onset::first_alert;
use crate::evidence::body::StoredBody;
use crate::evidence::citations::{cite, cite_suspects};
use crate::incident::{Actor, Entry, EventKind, EvidenceId, Fact, Incident, IncidentId, Refusal};
use crate::journal::Append;
use crate::telemetry::{Alert, ChangeEvent, Timestamp, Window};

/// The changes that people recorded in the incident and did not undo.
fn recorded_changes(incident: &Incident) -> Vec<ChangeEvent> {
    use EventKind::{ChangeDetected, ConfigChanged, DeployDetected, FlagChanged};
    let is_change = |e: &&Entry| {
        matches!(&e.fact, Fact::Event { event: DeployDetected | ConfigChanged | FlagChanged | ChangeDetected, .. })
            && !incident.undone.contains(&e.seq)
    };
    // The entry says who recorded the change, not who made it.
    let changes = incident.timeline().into_iter().filter(is_change).map(|e| ChangeEvent {
        at: e.at,
        service: None,
        what: format!("{} (recorded by {})", incident.entry_text(e), e.actor.name),
        by: None,
        link: None,
        is_release: true,
    });
    changes.collect()
}

/// How long before the first alert a window begins, so that it shows what was normal.
const LEAD: Duration = Duration::from_mins(10);
/// The part of an incident's length that is read from before it, to know what was normal; at most a day.
const BASELINE_SHARE: u32 = 3;
const MAX_BASELINE: Duration = Duration::from_hours(24);
/// How far before a window that was asked for data are read.
const MAX_EXTENSION: Duration = Duration::from_hours(6);

/// The window to investigate.
struct Chosen {
    /// The window as shown.
    window: Window,
    /// What is read; it begins earlier if that is needed to know what was normal.
    read: Window,
    /// When the incident's first alert began.
    first_alert: Option<Timestamp>,
    /// What the reader must know about the window.
    note: Option<String>,
    /// Whether the incident had begun before what is read.
    bad_baseline: bool,
}

/// The last `length` before the incident's mitigation or now. By default the window begins ten minutes before the first alert, also if
/// none was linked. In both cases data are read from earlier on if the time before the first alert is short.
fn window_of(incident: &Incident, board: &AlertBoard, length: Option<Duration>) -> Chosen {
    let end = incident.mitigated_at.unwrap_or_else(now);
    let is_linked = !incident.alerts.is_empty();
    let known: Vec<Alert> = if is_linked {
        // The first start that was known counts: a source that was restarted may have forgotten it.
        let now = incident.alerts.iter().filter_map(|l| board.find(l).cloned());
        incident.alerts.iter().map(linked_alert).chain(now).collect()
    } else {
        board.alerts.clone()
    };
    let first_alert = first_alert(&known, is_linked, end);
    let mut window = length.map_or_else(|| incident.window(now()), |length| Window::before(end, length));
    let mut chosen = Chosen { window, read: window, first_alert, note: None, bad_baseline: false };
    let Some(first) = first_alert else { return chosen };
    if length.is_none() && !is_linked {
        window.start = window.start.min(first - LEAD);
    }
    (chosen.window, chosen.read) = (window, window);
    let began =
        format!("The first alert began at {} UTC, before the part of the window that counts as normal", first.date_clock());
    if window.start.since(first) > MAX_EXTENSION {
        chosen.note = Some(format!("{began}, so unchanged series are no evidence. Investigate a longer window."));
        chosen.bad_baseline = true;
        return chosen;
    }
    let baseline = (window.end.since(first) / BASELINE_SHARE).clamp(LEAD, MAX_BASELINE);
    chosen.read.start = window.start.min(first - baseline);
    if first <= earliest_onset(window) && chosen.read.start < window.start {
        chosen.note = Some(format!("{began}, so data were read from {} UTC on.", chosen.read.start.date_clock()));
    }
    chosen
}

impl Desk {
    /// Investigates the window of the incident, or the last `length` before its mitigation or now. Returns the incident with
    /// the new evidence and findings.
    pub async fn investigate(
        &self,
        id: IncidentId,
        length: Option<Duration>,
        progress: &Progress,
    ) -> Result<Incident, DeskError> {
        let never = CancellationToken::new();
        let investigated = self.investigate_unless(&never, id, length, progress).await?;
        investigated.ok_or_else(|| Refusal::invalid("the investigation was cancelled").into())
    }

    /// Like [`Desk::investigate`]; `None` if it was cancelled before all data were read, and nothing is recorded then.
    pub(super) async fn investigate_unless(
        &self,
        cancel: &CancellationToken,
        id: IncidentId,
        length: Option<Duration>,
        progress: &Progress,
    ) -> Result<Option<Incident>, DeskError> {
        let _one_at_a_time = self.investigating.lock().await;
        let incident = self.journal.incident(id).await?;
        progress("step 1 of 4: reading alerts".to_owned());
        let board = tokio::select! {
            () = cancel.cancelled() => return Ok(None),
            board = self.sources.alerts() => board,
        };
        let Chosen { window, read, first_alert, note, bad_baseline } = window_of(&incident, &board, length);
        let request = Request {
            window: read,
            linked: incident.alerts.clone(),
            matrix: incident.matrix.clone().unwrap_or_default(),
            first_alert,
            bad_baseline,
            notes: note.into_iter().collect(),
            slo: self.slo.clone(),
            recorded: recorded_changes(&incident),
        };
        let gathered = tokio::select! {
            () = cancel.cancelled() => return Ok(None),
            gathered = gather(&self.sources, &request, &board, progress) => gathered,
        };

        let mut keys: Vec<Key> = Vec::new();
        let mut facts: Vec<Fact> = gathered.verified.iter().cloned().map(|alert| Fact::AlertLinked { alert }).collect();
        let mut bodies: Vec<StoredBody> = Vec::new();
        for (key, draft) in gathered.drafts.clone() {
            let (record, body, _) = draft.seal()?;
            keys.push(key);
            facts.push(Fact::EvidenceAttached { evidence: record.into_inner() });
            bodies.push(body);
        }
        let entries = new_entries(facts, &Actor::system(), None, now())?;
        // Write facts and bodies in one commit.
        let (incident, appended) =
            self.append_to(incident, |_| Ok(Append { entries: entries.clone(), bodies: bodies.clone() })).await?;
        let ids = appended.evidence.clone();
        let numbers: BTreeMap<Key, EvidenceId> = keys.into_iter().zip(appended.evidence).collect();
        let cited = cite(findings(&gathered.signals), &numbers);
        let sources = gathered.sources.clone();
        let suspects = cite_suspects(&gathered.signals.suspects, &numbers);
        let (onset, bad_baseline) = (gathered.onset, gathered.signals.bad_baseline);
        // If the incident turned out to be older than its alerts, the window shows all of it; one that was asked for stays as it is.
        let is_older = length.is_none() && onset.is_some_and(|onset| onset < window.start);
        let used = gathered.signals.window.filter(|_| is_older).unwrap_or(window);
        let (incident, _) = self
            .append(incident.id(), &Actor::system(), None, |_| {
                Ok(vec![Fact::Investigated {
                    window: used,
                    findings: cited.clone(),
                    sources: sources.clone(),
                    suspects: suspects.clone(),
                    onset,
                    gathered: ids.clone(),
                    bad_baseline,
                }])
            })
            .await?;
        Ok(Some(incident))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::LinkedAlert;
    use crate::incident::state::tests::{declared, entries};

    fn incident(began: Option<Timestamp>) -> Incident {
        let link = |at| {
            let alert = Alert { name: "Down".into(), starts_at: Some(at), ..Alert::default() };
            Fact::AlertLinked { alert: LinkedAlert::from_alert(&alert) }
        };
        let facts: Vec<Fact> = std::iter::once(declared()).chain(began.map(link)).collect();
        Incident::fold(entries(facts)).unwrap()
    }

    fn minutes_before(at: Timestamp, from: Timestamp) -> u64 {
        (from.since(at).as_secs() + 30) / 60
    }

    #[test]
    fn a_long_incident_is_compared_with_a_long_time_before_it() {
        let began = now() - Duration::from_hours(2);
        let chosen = window_of(&incident(Some(began)), &AlertBoard::default(), None);
        assert_eq!((minutes_before(chosen.window.start, began), minutes_before(chosen.read.start, began)), (10, 40));
        assert!(earliest_onset(chosen.read) < began && chosen.note.is_none(), "{:?}", chosen.note);
    }

    #[test]
    fn a_window_that_was_asked_for_stays_and_data_are_read_from_before_the_incident() {
        let began = now() - Duration::from_hours(2);
        let ask = |minutes| window_of(&incident(Some(began)), &AlertBoard::default(), Some(Duration::from_mins(minutes)));
        let inside = ask(30);
        assert_eq!((inside.window.length(), minutes_before(inside.read.start, began)), (Duration::from_mins(30), 40));
        assert!(inside.note.unwrap().contains("so data were read from"));
        let around = ask(200);
        assert_eq!((around.window, around.note), (around.read, None));
        let late =
            window_of(&incident(Some(now() - Duration::from_hours(48))), &AlertBoard::default(), Some(Duration::from_mins(30)));
        assert!(late.bad_baseline && late.read == late.window && late.note.unwrap().contains("no evidence"));
    }

    #[test]
    fn without_linked_alerts_the_window_begins_before_the_most_recent_wave() {
        let alert = |name: &str, hours| Alert {
            name: name.into(),
            starts_at: Some(now() - Duration::from_mins(hours)),
            ..Alert::default()
        };
        let board = AlertBoard { alerts: vec![alert("Down", 30), alert("Cert", 9 * 24 * 60)], ..AlertBoard::default() };
        let mut incident = incident(None);
        incident.head.declared_at = now();
        let chosen = window_of(&incident, &board, None);
        assert_eq!(minutes_before(chosen.window.start, now()), 40);
    }
}
