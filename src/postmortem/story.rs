//! What happened, as a chain from the trigger to the recovery, and the figures of the impact. All of it is computed from typed facts:
//! nothing reads a text.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::prose::{amount, past, sentence};
use crate::analysis::quantity::{Meaning, Quantity};
use crate::evidence::Body;
use crate::incident::state::Investigation;
use crate::incident::{
    CardState, CitedFinding, CitedSuspect, Conclusion, EventKind, EvidenceId, Fact, FindingKind, Incident, LinkedAlert, NoteKind,
};
use crate::telemetry::time::human_duration;
use crate::telemetry::words::{count, list};
use crate::telemetry::{Labels, Sample, Series, Timestamp, Window};

/// A change that is at least this well supported by the evidence may be the trigger.
const LIKELY: f64 = 0.7;
/// The number of other services that the chain lists.
const MAX_SPREAD: usize = 4;
/// The longest usual time between two scrapes, in seconds.
const SCRAPE_SECS: f64 = 60.0;
/// How long before the impact a recorded change may have begun it, in seconds: an investigation looks an hour further back, too.
const CHANGE_BEFORE_SECS: f64 = 3600.0;
/// How long after the impact began a line may first be logged to count as the fault, in seconds.
const EARLY_SECS: f64 = 120.0;
/// The number of charts.
const MAX_CHARTS: usize = 3;

/// The place of a link in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LinkRole {
    Trigger,
    /// A change that people recorded, and that nothing shows to be the trigger.
    Change,
    Fault,
    Effect,
    Spread,
    Detection,
    Mitigation,
    Recovery,
}

impl TriedMitigation {
    /// What came of it, in words.
    pub(crate) fn effect(&self) -> String {
        match (&self.verdict, &self.result, self.done) {
            (Some(verdict), Some(result), _) => format!("{verdict}; reported: {}", super::prose::past_if_whole(result)),
            (Some(verdict), None, _) => verdict.clone(),
            (None, Some(result), true) => format!("reported, not measured: {}", super::prose::past_if_whole(result)),
            (None, Some(reason), false) => format!("not done: {reason}"),
            (None, None, true) => "not checked".to_owned(),
            (None, None, false) => "not finished".to_owned(),
        }
    }
}

impl LinkRole {
    /// The word to display.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Trigger => "Trigger",
            Self::Change => "Change",
            Self::Fault => "Fault",
            Self::Effect => "Effect",
            Self::Spread => "Spread",
            Self::Detection => "Detection",
            Self::Mitigation => "Mitigation",
            Self::Recovery => "Recovery",
        }
    }
}

/// One link of the chain from the trigger to the recovery.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Link {
    pub role: LinkRole,
    pub at: Option<Timestamp>,
    /// A sentence in the past tense.
    pub text: String,
    pub evidence: Vec<EvidenceId>,
}

/// How many requests of a service failed during the impact.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FailedRequests {
    pub service: String,
    pub failed: f64,
    pub total: f64,
    pub from: Timestamp,
    pub to: Timestamp,
    pub evidence: Vec<EvidenceId>,
}

impl FailedRequests {
    /// The share that failed, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        if self.total > 0.0 { (self.failed / self.total).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// A mitigation that was tried, with its readings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TriedMitigation {
    /// When it was done, or else begun.
    pub at: Timestamp,
    /// When it was begun; `None` if only its end was recorded.
    pub started: Option<Timestamp>,
    pub text: String,
    pub risk: Option<&'static str>,
    /// The verdict of the readings and why; `None` if its effect was not checked.
    pub verdict: Option<String>,
    /// What the responders reported about it.
    pub result: Option<String>,
    pub worked: bool,
    pub made_worse: bool,
    /// Whether it was carried out to its end.
    pub done: bool,
    pub evidence: Option<EvidenceId>,
}

/// A series to draw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Chart {
    pub title: String,
    pub unit: String,
    pub threshold: Option<f64>,
    #[serde(skip)]
    pub window: Window,
    #[serde(skip)]
    pub samples: Vec<Sample>,
    /// Times to mark, each with a word.
    pub marks: Vec<(Timestamp, &'static str)>,
    pub evidence: EvidenceId,
}

/// Something that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OpenQuestion {
    pub text: String,
    /// Who will find out, if a person said so.
    pub owner: Option<String>,
    /// By when, if a person said so.
    pub due: Option<String>,
}

/// The evidence bodies that are series, with their record.
struct Measured<'a> {
    id: EvidenceId,
    title: &'a str,
    unit: &'a str,
    threshold: Option<f64>,
    window: Window,
    series: &'a [Series],
}

fn measured<'a>(incident: &'a Incident, bodies: &'a BTreeMap<String, Body>) -> Vec<Measured<'a>> {
    let read = |record: &'a crate::incident::EvidenceRecord| match bodies.get(&record.digest) {
        Some(Body::Series { title, unit, threshold, series, .. }) => {
            Some(Measured { id: record.id, title, unit, threshold: *threshold, window: record.window, series })
        }
        _ => None,
    };
    incident.current_evidence().filter_map(read).collect()
}

/// The service of a series, from its labels.
fn service_of(labels: &Labels) -> Option<&str> {
    crate::telemetry::subject::service_of(labels)
}

/// The requests of each service that failed during the impact, the highest share first. Services without a failure are last.
pub(crate) fn failed_requests(incident: &Incident, bodies: &BTreeMap<String, Body>, as_of: Timestamp) -> Vec<FailedRequests> {
    let all = measured(incident, bodies);
    let (from, to) = (incident.impact_started_at(), incident.mitigated_at.or(incident.resolved_at).unwrap_or(as_of));
    let rates = |quantity: Quantity| {
        let mut found: BTreeMap<&str, (EvidenceId, Window, &Series)> = BTreeMap::new();
        for body in all.iter().filter(|m| m.unit == "/s" && Meaning::of(m.title).quantity == quantity) {
            for series in body.series {
                if let Some(service) = service_of(&series.labels) {
                    found.insert(service, (body.id, body.window, series));
                }
            }
        }
        found
    };
    let (errors, requests) = (rates(Quantity::Errors), rates(Quantity::Traffic));
    let mut out: Vec<FailedRequests> = Vec::new();
    for (service, (id, window, total)) in &requests {
        let (from, to) = (from.max(window.start), to.min(window.end));
        let total_count = integral(&total.samples, from, to);
        let (failed, mut evidence) = match errors.get(service) {
            Some((errors_id, _, series)) => (integral(&series.samples, from, to), vec![*errors_id]),
            None => continue,
        };
        evidence.push(*id);
        evidence.sort_unstable();
        evidence.dedup();
        if total_count >= 1.0 {
            out.push(FailedRequests { service: (*service).to_owned(), failed, total: total_count, from, to, evidence });
        }
    }
    out.sort_by(|a, b| b.share().total_cmp(&a.share()).then_with(|| a.service.cmp(&b.service)));
    out
}

/// The area under a rate within a window: a number of events. Each sample counts until the next one.
fn integral(samples: &[Sample], from: Timestamp, to: Timestamp) -> f64 {
    let mut sum = 0.0;
    for pair in samples.windows(2) {
        let [a, b] = pair else { continue };
        let (start, end) = (a.at.max(from), b.at.min(to));
        if end > start && a.value.is_finite() {
            sum += a.value * end.secs_since(start);
        }
    }
    sum
}

/// The mitigations in the order in which they were done.
pub(crate) fn mitigations(incident: &Incident) -> Vec<TriedMitigation> {
    let mut all: Vec<TriedMitigation> = incident
        .notes(NoteKind::Mitigation)
        .map(|(e, text)| TriedMitigation {
            at: e.at,
            started: None,
            text: text.to_owned(),
            risk: None,
            verdict: None,
            result: None,
            worked: false,
            made_worse: false,
            done: true,
            evidence: e.fact.evidence().first().copied(),
        })
        .collect();
    for card in &incident.cards {
        // What was only proposed was not tried.
        let Some(done) = card.done_at.or(card.started_at) else { continue };
        let judgement = card.judgement.as_ref().map(|(_, j)| j);
        all.push(TriedMitigation {
            at: done,
            started: card.started_at,
            text: card.text.clone(),
            risk: Some(card.risk.word()),
            verdict: judgement.map(|j| format!("{}: {}", j.verdict, j.why)),
            result: card.result.clone(),
            done: card.state == CardState::Done,
            worked: judgement.is_some_and(|j| j.verdict == crate::incident::MitigationVerdict::Worked),
            made_worse: judgement.is_some_and(|j| j.verdict == crate::incident::MitigationVerdict::Worse),
            evidence: judgement.and_then(|j| j.evidence),
        });
    }
    all.sort_by_key(|m| m.at);
    all
}

/// What was proposed and not begun, each with the reason if it was dropped.
pub(crate) fn not_tried(incident: &Incident) -> Vec<(String, Option<String>)> {
    let cards = incident.cards.iter().filter(|c| c.done_at.or(c.started_at).is_none());
    cards.map(|c| (c.text.clone(), c.result.clone())).collect()
}

/// The conclusion of the latest investigation, as values.
pub(crate) fn conclusion(incident: &Incident) -> Option<(&Conclusion, &CitedFinding)> {
    let finding = incident.investigation.as_ref().and_then(Investigation::conclusion)?;
    finding.conclusion.as_ref().map(|c| (c, finding))
}

/// A suspect that changed, as a sentence.
fn change_sentence(suspect: &CitedSuspect) -> String {
    let title = match suspect.service.as_deref() {
        Some(service) => format!("{service} {}", suspect.title),
        None => suspect.title.clone(),
    };
    match (suspect.before, suspect.after) {
        (Some(before), Some(after)) if before != after => {
            let verb = if after > before { "rose" } else { "fell" };
            let (before, after) = (amount(before, &suspect.unit), amount(after, &suspect.unit));
            format!("{title} {verb} from {before} to {after}.")
        }
        _ => format!("{title} changed."),
    }
}

/// The chain from the trigger to the recovery, in the order of time. Empty without an investigation, an alert and a mitigation.
pub(crate) fn chain(incident: &Incident) -> Vec<Link> {
    let mut links = Vec::new();
    let details: Vec<&CitedFinding> = incident.investigation.iter().flat_map(Investigation::details).collect();
    let concluded = conclusion(incident);
    trigger(&mut links, concluded, &details);
    if links.is_empty() {
        recorded_changes(&mut links, incident);
    }
    let origins: Vec<&str> = concluded.map(|(c, _)| c.origins.iter().map(String::as_str).collect()).unwrap_or_default();
    changes(&mut links, incident, &origins);
    // Investigations of older versions have no conclusion: what they found first is the best there is.
    if let (None, Some(first)) = (concluded, details.iter().find(|f| f.kind == FindingKind::Metric)) {
        let text = sentence(&past(&first.text));
        links.push(Link { role: LinkRole::Fault, at: first.at, text, evidence: first.evidence.clone() });
    }
    // What a later investigation found is counted from a later onset: what began after the impact did is not what began it.
    let began = incident.impact_started_at();
    let is_early = |f: &&&CitedFinding| f.at.is_none_or(|at| at.secs_since(began) <= EARLY_SECS);
    for pattern in details.iter().filter(|f| f.kind == FindingKind::Pattern).filter(is_early) {
        let is_of_origin = pattern.service.as_deref().is_none_or(|s| origins.contains(&s));
        if is_of_origin && !links.iter().any(|l| l.role == LinkRole::Fault && l.text.contains("logged")) {
            let service = pattern.service.as_deref().unwrap_or("The logs");
            let verb = if pattern.service.is_some() { "logged lines" } else { "had lines that were logged" };
            let template = pattern.subject.as_deref().unwrap_or(&pattern.title).replace("<*>", "…");
            let text = format!("{service} {verb} that had not been there before: “{template}”.");
            links.push(Link { role: LinkRole::Fault, at: pattern.at, text, evidence: pattern.evidence.clone() });
        }
    }
    detection(&mut links, incident);
    for mitigation in mitigations(incident) {
        let text = format!("{} ({})", mitigation.text.trim_end_matches('.'), mitigation.effect());
        links.push(Link {
            role: LinkRole::Mitigation,
            at: Some(mitigation.at),
            text: sentence(&text),
            evidence: mitigation.evidence.into_iter().collect(),
        });
    }
    // The first of the last readings in a row that were met.
    let met = incident.readings.iter().rev().skip_while(|r| !r.reading.met).take_while(|r| r.reading.met).last();
    if let Some(reading) = met {
        links.push(Link {
            role: LinkRole::Recovery,
            at: Some(reading.at),
            text: format!("The exit criteria were met: {}.", reading.reading.why.trim_end_matches('.')),
            evidence: reading.reading.evidence.into_iter().collect(),
        });
    }
    links.sort_by_key(|l| (l.at.is_none(), l.at, l.role));
    // A change that a metric shows is seen only at the next scrape, when its effects may have begun.
    let first = links.first().and_then(|l| l.at);
    if let Some(at) = links.iter().position(|l| l.role == LinkRole::Trigger)
        && let (Some(first), Some(seen)) = (first, links.get(at).and_then(|l| l.at))
        && seen.secs_since(first) <= SCRAPE_SECS
    {
        let trigger = links.remove(at);
        links.insert(0, trigger);
    }
    links
}

fn trigger(links: &mut Vec<Link>, concluded: Option<(&Conclusion, &CitedFinding)>, details: &[&CitedFinding]) {
    let change = details.iter().find(|f| f.kind == FindingKind::Change && f.confidence >= LIKELY);
    let named = concluded.and_then(|(c, finding)| Some((c.trigger.as_deref()?, c.trigger_at, finding)));
    let link = match (named, change) {
        (Some((text, at, finding)), change) => {
            let evidence = change.map_or_else(|| finding.evidence.clone(), |c| c.evidence.clone());
            Link { role: LinkRole::Trigger, at, text: sentence(&past(&change_words(text))), evidence }
        }
        (None, Some(change)) => Link {
            role: LinkRole::Trigger,
            at: change.at,
            text: sentence(&past(&change_words(&change.title))),
            evidence: change.evidence.clone(),
        },
        (None, None) => return,
    };
    links.push(link);
}

/// Changes that people recorded, the last one before the impact and those soon after it began. A change that follows later is no trigger.
fn recorded_changes(links: &mut Vec<Link>, incident: &Incident) {
    let began = incident.impact_started_at();
    for entry in incident.timeline().into_iter().filter(|e| !incident.undone.contains(&e.seq)) {
        let Fact::Event { event, .. } = &entry.fact else { continue };
        let is_change = matches!(
            event,
            EventKind::DeployDetected | EventKind::ConfigChanged | EventKind::FlagChanged | EventKind::ChangeDetected
        );
        let (before, after) = (began.secs_since(entry.at), entry.at.secs_since(began));
        if is_change && before <= CHANGE_BEFORE_SECS && after <= SCRAPE_SECS {
            let text = incident.entry_text(entry);
            links.push(Link { role: LinkRole::Change, at: Some(entry.at), text: sentence(&past(&text)), evidence: Vec::new() });
        }
    }
}

/// `checkout version went from 1.41.3 to 1.42.0` for `checkout version 1.41.3 → 1.42.0`; any other text as it is.
pub(super) fn change_words(text: &str) -> String {
    match text.split_once(" → ") {
        Some((before, after)) => match before.rsplit_once(' ') {
            Some((what, value)) => format!("{what} went from {value} to {after}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

/// The first fault and the first effect at the origin, and the first effect at each other service.
fn changes(links: &mut Vec<Link>, incident: &Incident, origins: &[&str]) {
    let suspects: Vec<&CitedSuspect> = incident.investigation.iter().flat_map(|i| &i.suspects).collect();
    let mut changed: Vec<&CitedSuspect> =
        suspects.into_iter().filter(|s| s.changed_at.is_some() && !s.title.is_empty() && s.direction != "flat").collect();
    changed.sort_by_key(|s| s.changed_at);
    let link = |role, suspect: &CitedSuspect| Link {
        role,
        at: suspect.changed_at,
        text: change_sentence(suspect),
        evidence: suspect.evidence.clone(),
    };
    let is_symptom = |s: &CitedSuspect| Meaning::of(&s.title).is_symptom();
    let is_traffic = |s: &CitedSuspect| Meaning::of(&s.title).quantity == Quantity::Traffic;
    let is_origin = |s: &CitedSuspect| s.service.as_deref().is_some_and(|s| origins.contains(&s));
    if let Some(fault) = changed.iter().find(|s| is_origin(s) && !is_symptom(s) && !is_traffic(s)) {
        links.push(link(LinkRole::Fault, fault));
    }
    for quantity in [Quantity::Latency, Quantity::Errors, Quantity::Success] {
        let first = changed.iter().find(|s| is_origin(s) && is_symptom(s) && Meaning::of(&s.title).quantity == quantity);
        links.extend(first.map(|effect| link(LinkRole::Effect, effect)));
    }
    let mut seen: BTreeSet<&str> = origins.iter().copied().collect();
    for spread in changed.iter().filter(|s| is_symptom(s)) {
        let Some(service) = spread.service.as_deref() else { continue };
        if seen.len() < origins.len() + MAX_SPREAD && seen.insert(service) {
            links.push(link(LinkRole::Spread, spread));
        }
    }
}

/// The first alert, and how many followed.
fn detection(links: &mut Vec<Link>, incident: &Incident) {
    let mut fired: Vec<&LinkedAlert> = incident.alerts.iter().filter(|a| a.starts_at.is_some()).collect();
    fired.sort_by_key(|a| a.starts_at);
    let Some(first) = fired.first() else { return };
    let last = fired.last().and_then(|a| a.starts_at).zip(first.starts_at).map(|(l, f)| l.since(f));
    let more = match (fired.len() - 1, last) {
        (0, _) => String::new(),
        (n, Some(within)) if !within.is_zero() => format!("; {} followed within {}", count(n, "alert"), human_duration(within)),
        (n, _) => format!("; {} fired at the same time", count(n, "more alert")),
    };
    let evidence = incident.current_evidence().find(|e| e.kind == crate::incident::EvidenceKind::Alerts).map(|e| e.id);
    links.push(Link {
        role: LinkRole::Detection,
        at: first.starts_at,
        text: format!("The alert {} fired{more}.", first.label()),
        evidence: evidence.into_iter().collect(),
    });
}

/// The alerts by name, each with the subjects that it fired for: `HighErrorRate (checkout and gateway)`.
pub(crate) fn alert_names(alerts: &[LinkedAlert]) -> Vec<String> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for alert in alerts {
        let name = if alert.name.is_empty() { alert.fingerprint.as_str() } else { alert.name.as_str() };
        names.entry(name).or_default().extend(service_of(&alert.labels));
    }
    let words = |(name, mut services): (&str, Vec<&str>)| {
        services.sort_unstable();
        services.dedup();
        if services.is_empty() { name.to_owned() } else { format!("{name} ({})", list(&services)) }
    };
    names.into_iter().map(words).collect()
}

/// The series that show the incident best: the first fault and the first effect at the origin, and what a mitigation that worked changed.
pub(crate) fn charts(incident: &Incident, bodies: &BTreeMap<String, Body>) -> Vec<Chart> {
    let all = measured(incident, bodies);
    let marks: Vec<(Timestamp, &'static str)> = [
        (Some(incident.impact_started_at()), "impact"),
        (incident.alerts.iter().filter_map(|a| a.starts_at).min(), "alert"),
        (mitigations(incident).last().map(|m| m.at), "mitigation"),
    ]
    .into_iter()
    .filter_map(|(at, word)| Some((at?, word)))
    .collect();
    let chart = |m: &Measured<'_>, series: &Series| {
        let factor = if m.unit == "%" { 100.0 } else { 1.0 };
        let samples = series.samples.iter().map(|s| Sample { at: s.at, value: s.value * factor }).collect();
        let name = match service_of(&series.labels) {
            Some(service) if !m.title.contains(service) => format!("{service} {}", m.title),
            _ => m.title.to_owned(),
        };
        Chart {
            title: name,
            unit: m.unit.to_owned(),
            threshold: m.threshold,
            window: m.window,
            samples,
            marks: marks.iter().copied().filter(|(at, _)| m.window.contains(*at)).collect(),
            evidence: m.id,
        }
    };
    let mut out: Vec<Chart> = Vec::new();
    let origins: Vec<&str> =
        conclusion(incident).map(|(c, _)| c.origins.iter().map(String::as_str).collect()).unwrap_or_default();
    let mut suspects: Vec<&CitedSuspect> = incident.investigation.iter().flat_map(|i| &i.suspects).collect();
    suspects.retain(|s| s.changed_at.is_some() && s.service.as_deref().is_some_and(|s| origins.contains(&s)));
    suspects.sort_by_key(|s| s.changed_at);
    let is_symptom = |s: &&&CitedSuspect| Meaning::of(&s.title).is_symptom();
    let chosen = suspects.iter().find(|s| !is_symptom(s)).into_iter().chain(suspects.iter().find(is_symptom));
    for suspect in chosen {
        let found = suspect.evidence.iter().find_map(|id| {
            let body = all.iter().find(|m| m.id == *id && m.title == suspect.title)?;
            let is_it = |s: &&Series| suspect.labels.iter().all(|(k, v)| s.labels.get(k) == Some(v));
            body.series.iter().find(is_it).map(|series| chart(body, series))
        });
        out.extend(found);
    }
    let worked = mitigations(incident).into_iter().rev().find(|m| m.worked).and_then(|m| m.evidence);
    if let Some(body) = worked.and_then(|id| all.iter().find(|m| m.id == id))
        && let Some(series) = body.series.first()
    {
        // Its title is the whole check; what was done says more.
        let text = mitigations(incident).into_iter().rev().find(|m| m.worked).map(|m| m.text).unwrap_or_default();
        let subject = service_of(&series.labels).map_or_else(String::new, |s| format!("{s}, "));
        out.push(Chart { title: format!("{subject}before and after: {text}"), ..chart(body, series) });
    }
    out.retain(|c| c.samples.len() > 1);
    out.truncate(MAX_CHARTS);
    out
}

/// What is not known yet: what people noted, and what the incident lacks.
pub(crate) fn questions(incident: &Incident, has_failed_requests: bool) -> Vec<OpenQuestion> {
    let mut out: Vec<OpenQuestion> = incident.notes(NoteKind::Question).map(|(_, text)| question(text)).collect();
    let impact = &incident.impact;
    let is_over = incident.mitigated_at.or(incident.resolved_at).is_some();
    let is_confirmed = incident.hypotheses.iter().any(|h| h.verdict == Some(crate::incident::Verdict::Supported));
    let has_mitigation = !mitigations(incident).is_empty();
    let assumed = incident.assumed_milestones();
    let lacks = [
        (!impact.is_described(), "What did users experience?"),
        (impact.users.is_none() && !has_failed_requests, "How many users or requests were affected?"),
        (impact.data.is_none(), "Was data lost or corrupted?"),
        (!is_confirmed, "What was the cause? No hypothesis was confirmed."),
        (assumed.contains(&"impact_started_at"), "When did the impact begin?"),
        (!is_over || assumed.contains(&"mitigated_at"), "When did the impact end?"),
        (is_over && !has_mitigation, "What ended the impact? No mitigation was carried out."),
    ];
    let missing = lacks.into_iter().filter(|(is_missing, _)| *is_missing);
    out.extend(missing.map(|(_, text)| OpenQuestion { text: text.to_owned(), owner: None, due: None }));
    out
}

/// A question as people write it: `@ana 2026-12-01 how many orders were lost?`.
fn question(text: &str) -> OpenQuestion {
    let mut owner = None;
    let mut due = None;
    let mut rest: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_matches([',', ':', '(', ')']);
        if let Some(name) = bare.strip_prefix('@').filter(|n| !n.is_empty() && owner.is_none()) {
            owner = Some(name.to_owned());
        } else if let (None, Ok(date)) = (&due, crate::incident::action::parse_date(bare)) {
            due = Some(date);
        } else if !(word == "by" && rest.is_empty()) {
            rest.push(word);
        }
    }
    if due.is_some() && rest.last() == Some(&"by") {
        rest.pop();
    }
    OpenQuestion { text: super::prose::capitalized(&rest.join(" ")), owner, due }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_name_who_finds_out_and_by_when_only_if_a_person_said_so() {
        let parts = |text: &str| {
            let q = question(text);
            (q.text, q.owner.unwrap_or_default(), q.due.unwrap_or_default())
        };
        let of = |text: &str, owner: &str, due: &str| (text.to_owned(), owner.to_owned(), due.to_owned());
        assert_eq!(parts("how many orders were lost?"), of("How many orders were lost?", "", ""));
        assert_eq!(
            parts("@ana by 2026-12-01: how many orders were lost?"),
            of("How many orders were lost?", "ana", "2026-12-01")
        );
        assert_eq!(parts("were backups used? @ben by 2026-12-02"), of("Were backups used?", "ben", "2026-12-02"));
    }

    #[test]
    fn an_integral_counts_events_within_the_window() {
        let at = Timestamp::from_secs;
        let samples: Vec<Sample> = (0..10).map(|n| Sample { at: at(n * 10), value: 2.0 }).collect();
        assert_eq!(integral(&samples, at(0), at(90)), 180.0);
        assert_eq!(integral(&samples, at(15), at(35)), 40.0);
        assert_eq!(integral(&[], at(0), at(10)), 0.0);
    }
}
