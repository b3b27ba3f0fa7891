//! Investigates an incident: gathers data, records the evidence, and records the findings that follow from it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock::now;
use super::desk::{Desk, DeskError, Progress, new_entries};
use super::gather::{Request, earliest_onset, gather, linked_alert};
use super::set::AlertBoard;
use crate::analysis::findings::{Key, findings};
use crate::analysis::onset::first_alert;
use crate::evidence::body::StoredBody;
use crate::evidence::citations::{cite, cite_suspects};
use crate::incident::{Actor, Entry, EventKind, EvidenceId, Fact, Incident, IncidentId};
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

/// How far a window may be extended so that it begins before the first alert.
const MAX_EXTENSION: Duration = Duration::from_hours(6);

/// The window to investigate.
struct Chosen {
    /// The window that the user asked for.
    asked: Option<Window>,
    /// The window that is read; it begins earlier if that is needed to know what was normal.
    window: Window,
    /// When the incident's first alert began.
    first_alert: Option<Timestamp>,
    /// What the reader must know about the window.
    note: Option<String>,
    /// Whether the incident had begun before the window.
    bad_baseline: bool,
}

/// The last `length` before the incident's mitigation or now; read from earlier on if the first alert began before it. By default the window begins ten
/// minutes before the first alert, also if none was linked.
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
    let first = first_alert(&known, is_linked, end);
    let asked = length.map(|length| Window::before(end, length));
    let mut window = asked.unwrap_or_else(|| incident.window(now()));
    if let Some(first) = first.filter(|_| length.is_none() && !is_linked) {
        window.start = window.start.min(first - LEAD);
    }
    let (mut note, mut bad_baseline) = (None, false);
    if let Some(first) = first.filter(|first| *first <= earliest_onset(window)) {
        let began =
            format!("The first alert began at {} UTC, before the part of the window that counts as normal", first.date_clock());
        if window.start.since(first) <= MAX_EXTENSION {
            window.start = window.start.min(first - LEAD);
            note = Some(format!("{began}, so data were read from {} UTC on.", window.start.date_clock()));
        } else {
            note = Some(format!("{began}, so series that did not change say nothing. Investigate a longer window."));
            bad_baseline = true;
        }
    }
    Chosen { asked, window, first_alert: first, note, bad_baseline }
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
        let incident = self.journal.incident(id).await?;
        progress("step 1 of 4: reading alerts".to_owned());
        let board = self.sources.alerts().await;
        let Chosen { asked, window, first_alert, note, bad_baseline } = window_of(&incident, &board, length);
        let request = Request {
            window,
            linked: incident.alerts.clone(),
            matrix: incident.matrix.clone().unwrap_or_default(),
            first_alert,
            bad_baseline,
            notes: note.into_iter().collect(),
            slo: self.slo.clone(),
            recorded: recorded_changes(&incident),
        };
        let gathered = gather(&self.sources, &request, &board, progress).await;

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
        let onset = gathered.onset;
        // Data may have been read from further back, to know what was normal. A window that was asked for stays as it is.
        let used = asked.or(gathered.signals.window).unwrap_or(window);
        let (incident, _) = self
            .append(incident.id(), &Actor::system(), None, |_| {
                Ok(vec![Fact::Investigated {
                    window: used,
                    findings: cited.clone(),
                    sources: sources.clone(),
                    suspects: suspects.clone(),
                    onset,
                    gathered: ids.clone(),
                }])
            })
            .await?;
        Ok(incident)
    }
}
