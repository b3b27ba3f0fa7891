//! Drafts of stakeholder updates from the state of an incident: conditions, actions and needs for responders, the essentials for executives,
//! and for customers only what they see.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;
use tera::Context;

use super::templates::Template;
use super::{CustomerRules, Hit, customer};
use crate::incident::mitigation::card_label;
use crate::incident::{Audience, CardState, Incident, Severity, Status, Verdict};
use crate::telemetry::failure::UserFile;
use crate::telemetry::tense::past;
use crate::telemetry::time::human_duration;
use crate::telemetry::words::capitalized;
use crate::telemetry::{Failure, Names, Timestamp, clean};

/// How far the response is, as status pages say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    Investigating,
    Identified,
    Monitoring,
    Resolved,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 4] = [Self::Investigating, Self::Identified, Self::Monitoring, Self::Resolved];

    /// The word as typed and printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
        }
    }

    /// The stage that follows from the status of an incident.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Triage | Status::Investigating => Self::Investigating,
            Status::Identified => Self::Identified,
            Status::Mitigated | Status::Monitoring => Self::Monitoring,
            Status::Resolved | Status::Closed | Status::Cancelled | Status::Merged => Self::Resolved,
        }
    }
}

impl std::str::FromStr for Stage {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_lowercase();
        Self::ALL
            .into_iter()
            .find(|s| s.word() == word)
            .ok_or_else(|| format!("'{text}' is not a stage; use investigating, identified, monitoring or resolved"))
    }
}

/// A draft that a person reads before it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub stage: Stage,
    pub audience: Audience,
    /// The first line.
    pub subject: String,
    /// Markdown, without the subject.
    pub text: String,
    /// The time that it promises; `None` for the last update.
    pub next_update_at: Option<Timestamp>,
    /// What should be worded differently. Only drafts for customers are checked.
    pub hits: Vec<Hit>,
    /// The model that reworded it; `None` if the rules wrote it.
    pub model: Option<String>,
}

/// Drafts an update. `own` are the user's templates, by the names `technical`, `executive` and `customer`; `names` are internal; without a
/// stage, it follows from the status.
///
/// # Errors
/// If a template cannot be filled in: its file, and why.
pub fn draft(
    incident: &Incident,
    audience: Audience,
    stage: Option<Stage>,
    own: &[UserFile],
    names: &Names,
    now: Timestamp,
) -> Result<Draft, Failure> {
    let stage = stage.unwrap_or_else(|| Stage::of(incident.head.status));
    let next_update_at = next_update(incident, stage, now);
    let template = Template::of(audience, own);
    let rendered = template.render(&context(incident, stage, next_update_at, now)).map_err(|why| {
        Failure::new(format!("cannot fill in {}: {why}", template.place()))
            .advise("`warroom doctor` names the problems in your templates.")
    })?;
    let (subject, text) = rendered.trim().split_once('\n').unwrap_or((rendered.trim(), ""));
    let (subject, text) = (subject.trim().to_owned(), tidy(text));
    let hits = match audience {
        Audience::External => customer_hits(incident, stage, &text, names),
        Audience::Internal | Audience::Executive => Vec::new(),
    };
    Ok(Draft { stage, audience, subject, text, next_update_at, hits, model: None })
}

/// What should be worded differently in a text for customers.
pub fn customer_hits(incident: &Incident, stage: Stage, text: &str, names: &Names) -> Vec<Hit> {
    let rules = CustomerRules { is_cause_known: cause(incident).is_some(), is_last: stage == Stage::Resolved };
    customer(text, names, rules)
}

/// When the update after this one is due: after the interval of the severity. `None` if none follows.
fn next_update(incident: &Incident, stage: Stage, now: Timestamp) -> Option<Timestamp> {
    let severity: Severity = incident.head.severity;
    incident.matrix().update_every(severity).filter(|_| stage != Stage::Resolved).map(|every| now + every)
}

/// The most recent hypothesis that people have confirmed.
fn cause(incident: &Incident) -> Option<&str> {
    let confirmed = incident.hypotheses.iter().rev().find(|h| h.verdict == Some(Verdict::Supported));
    confirmed.map(|h| h.text.trim_end_matches('.'))
}

/// The most recent hypothesis that people have not judged yet, else what the analysis suspects.
fn theory(incident: &Incident) -> Option<String> {
    let open = incident.hypotheses.iter().rev().find(|h| h.verdict.is_none());
    let found = || incident.investigation.as_ref().and_then(|i| i.conclusion()).map(|c| c.title.as_str());
    open.map(|h| h.text.as_str()).or_else(found).map(|text| capitalized(&without_tags(text.trim_end_matches('.'))))
}

/// A text without the evidence that it cites, such as `[E3]`: readers outside the incident do not have it. Lines keep their indentation.
pub fn without_tags(text: &str) -> String {
    static TAGS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[ \t]*\[EL?\d+\]").ok());
    TAGS.as_ref().map_or_else(|| text.to_owned(), |tags| tags.replace_all(text, "").into_owned())
}

fn context(incident: &Incident, stage: Stage, next: Option<Timestamp>, now: Timestamp) -> Context {
    let clock = |at: Timestamp| format!("{} UTC", if at.date() == now.date() { short_clock(at) } else { at.date_clock() });
    let since = incident.impact_started_at();
    // The impact ends when it is mitigated, which may be long before the incident is resolved.
    let until = incident.mitigated_at.or(incident.resolved_at).unwrap_or(now);
    let head = &incident.head;
    let mut out = Context::new();
    out.insert(
        "incident",
        &BTreeMap::from([
            ("id", head.id.to_string()),
            ("title", head.title.clone()),
            ("severity", head.severity.to_string()),
            ("status", head.status.to_string()),
            ("since", clock(since)),
            ("until", clock(until)),
            ("age", human_duration(now.since(since))),
        ]),
    );
    out.insert("stage", stage.word());
    out.insert("is_false_alarm", &(head.status == Status::Cancelled));
    out.insert("stage_title", &capitalized(stage.word()));
    out.insert("impact", &capitalized(incident.impact.describe().trim_end_matches('.')));
    out.insert("customer_impact", &customer_impact(incident, stage));
    out.insert("cause", &cause(incident).map(without_tags));
    out.insert("conclusion", &incident.investigation.as_ref().and_then(|i| i.conclusion()).map(|c| c.text.clone()));
    out.insert("theory", &theory(incident));
    let firing = incident.alerts.iter().filter(|a| incident.watched.get(&a.fingerprint).is_some_and(|w| w.is_firing));
    out.insert("firing", &firing.map(crate::incident::LinkedAlert::label).collect::<Vec<_>>());
    out.insert("actions", &actions(incident));
    out.insert("measures", &measures(incident));
    out.insert("needs", &needs(incident));
    out.insert("changes", &changes(incident));
    out.insert("commander", &head.commander);
    out.insert("next_update", &next.map(clock));
    out
}

/// What customers see, and who: `About 2 of 3 orders fail (all customers in Europe)`. In the past tense when it is over.
fn customer_impact(incident: &Incident, stage: Stage) -> String {
    let trimmed = |text: &Option<String>| text.as_deref().map(|t| t.trim().trim_end_matches('.').to_owned());
    let (text, users) = (trimmed(&incident.impact.text), trimmed(&incident.impact.users));
    let words = match (text, users) {
        (Some(text), Some(users)) => format!("{text} ({users})"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return String::new(),
    };
    capitalized(&if matches!(stage, Stage::Monitoring | Stage::Resolved) { past(&words) } else { words })
}

/// The mitigations with their verdicts, and the open tasks.
fn actions(incident: &Incident) -> Vec<String> {
    let cards = incident.cards.iter().enumerate().filter(|(_, c)| c.state != CardState::Dropped).map(|(n, c)| {
        let verdict = c.judgement.as_ref().map(|(_, j)| format!(", {}: {}", j.verdict, j.why)).unwrap_or_default();
        format!("{} {} ({}{verdict})", card_label(n), c.text, c.state.word())
    });
    let tasks = incident.actions.iter().filter(|a| a.state.is_open() && a.scope == crate::incident::ActionScope::Incident);
    cards.chain(tasks.map(|a| format!("{}: {}", a.owner.as_deref().unwrap_or("not assigned"), a.text))).collect()
}

/// The mitigations that were begun, each with its verdict in a word.
fn measures(incident: &Incident) -> Vec<String> {
    let begun = incident.cards.iter().filter(|c| matches!(c.state, CardState::Started | CardState::Done));
    begun.map(|c| format!("{}: {}", c.text, c.verdict().map_or_else(|| c.state.word().to_owned(), |v| v.to_string()))).collect()
}

/// What the response lacks: roles that the severity requires, and mitigations that wait to be started.
fn needs(incident: &Incident) -> Vec<String> {
    let roles = incident.missing_roles().into_iter().map(|r| format!("{}: not assigned", r.title()));
    let waiting = incident.cards.iter().enumerate().filter(|(_, c)| c.state == CardState::Proposed);
    roles.chain(waiting.map(|(n, c)| format!("a decision on {}: {}", card_label(n), c.text))).collect()
}

/// What happened since the last update, without details; empty before the first one.
fn changes(incident: &Incident) -> Vec<String> {
    const MOST: usize = 6;
    let Some(last) = incident.updates.last() else { return Vec::new() };
    let kinds =
        ["severity_changed", "status_changed", "decision", "action_finished", "alert_resolved", "alert_fired", "mitigation"];
    let since = incident.timeline().into_iter().filter(|e| e.seq > last.seq && kinds.contains(&e.fact.kind()));
    let all: Vec<String> = since.map(|e| clean::truncate(&clean::line(&incident.entry_text(e)), 160)).collect();
    all.iter().skip(all.len().saturating_sub(MOST)).cloned().collect()
}

/// The text without spaces at the ends of lines and without more than one empty line in a row.
fn tidy(text: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if !(line.is_empty() && out.last().is_none_or(|last| last.is_empty())) {
            out.push(line);
        }
    }
    out.join("\n").trim().to_owned()
}

fn short_clock(at: Timestamp) -> String {
    let clock = at.clock(time::UtcOffset::UTC);
    clock.get(..5).unwrap_or(&clock).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::state::tests::{declared, entries};

    #[test]
    fn evidence_is_not_cited_to_readers_who_do_not_have_it() {
        assert_eq!(
            without_tags("The pool [E3] is full [E4][EL5]. See [Exhibit] and E6."),
            "The pool is full. See [Exhibit] and E6."
        );
    }

    /// A template with all the values that templates may use can be filled in.
    #[test]
    fn templates_are_checked_against_the_values_that_there_are() {
        let incident = Incident::fold(entries(vec![declared()])).unwrap();
        let context = context(&incident, Stage::Investigating, None, Timestamp::from_secs(1_795_253_400));
        let all = super::super::templates::VARIABLES;
        let text: String = all.iter().map(|v| format!("{{% if {v} %}}x{{% endif %}}")).collect();
        let own = UserFile { path: "updates/technical.md".into(), name: "technical".into(), text };
        assert!(Template::of(Audience::Internal, &[own]).render(&context).is_ok());
        assert!(all.iter().all(|v| context.contains_key(v)));
    }
}
