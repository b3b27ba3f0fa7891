//! The facts that each command appends, built from the state of the incident at the time of the append.

use std::time::Duration;

use super::{Command, NewAction, NewMitigation, Refusal};
use crate::incident::ActionItem;
use crate::incident::action::{ActionChange, ActionKind, ActionScope, ActionState};
use crate::incident::answer::AnswerSource;
use crate::incident::event::{NextUpdate, Remark, ReviewState};
use crate::incident::fact::{Entry, Fact, LinkedAlert, NoteKind, todos_in};
use crate::incident::gate::{Check, gates, open_items_for};
use crate::incident::ids::{ActionId, IncidentId, seq_label};
use crate::incident::milestone::Milestone;
use crate::incident::mitigation::{CardState, MitigationCard, card_label};
use crate::incident::playbook_run::StepState;
use crate::incident::proposal::{Proposal, Proposed};
use crate::incident::state::{Incident, find_order_faults};
use crate::incident::status::Status;
use crate::telemetry::words::{count, nearest};
use crate::telemetry::{Moment, Timestamp, clean};

/// The inputs of a command besides the incident.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// When it happened, if that is not now.
    pub at: Option<Timestamp>,
    /// Who runs the command.
    pub user: &'a str,
    /// How long a service must stay healthy before it counts as restored.
    pub monitor: Duration,
    /// For [`Command::Link`]: the alerts as the sources know them, or unverified.
    pub alerts: &'a [LinkedAlert],
    /// For a status that ends the incident: what could not be checked just now. Each counts as an open item.
    pub unchecked: &'a [String],
}

impl Context<'_> {
    /// When it happened.
    fn when(&self) -> Timestamp {
        self.at.unwrap_or(self.now)
    }

    fn resolve(&self, moment: &Moment) -> Result<Timestamp, Refusal> {
        let at = moment.resolve(self.now).map_err(|e| Refusal::invalid(e.to_string()))?;
        self.not_in_the_future(at)
    }

    /// How far ahead of this machine's clock a time may be, to allow for other clocks that run fast.
    fn not_in_the_future(&self, at: Timestamp) -> Result<Timestamp, Refusal> {
        const AHEAD: Duration = Duration::from_mins(5);
        if at > self.now + AHEAD {
            return Err(Refusal::invalid(format!("{at} is in the future")).advise("Give a time that has passed."));
        }
        Ok(at)
    }
}

fn invalid<T>(message: impl Into<String>, remedy: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::invalid(message).advise(remedy))
}

impl Command {
    /// The facts that the command appends to `i`. Empty when there is nothing to change.
    ///
    /// # Errors
    /// Why the incident does not allow it. The commands that need more than the incident and the context (see `Desk::run`) are refused
    /// here.
    #[expect(clippy::too_many_lines, reason = "one arm per command")]
    pub fn facts(&self, i: &Incident, context: &Context<'_>) -> Result<Vec<Fact>, Refusal> {
        if let Some(at) = context.at {
            context.not_in_the_future(at)?;
        }
        match self {
            Self::Note { text, kind } => Ok(note(text, *kind)),
            Self::Correct { entry, text, reason } => single(correct(i, *entry, text, reason)),
            Self::Undo { entry } => single(undo(i, *entry, context)),
            Self::Redo => single(redo(i, context)),
            Self::Severity { severity, reason } => {
                let (from, to) = (i.head.severity, *severity);
                // An incident that was declared without a reason can be given one; it is then not a change.
                let has_reason = i.severities.last().is_some_and(|s| s.reason.is_some());
                if from == to && has_reason {
                    return Err(Refusal::invalid(format!("{} is already {to}", i.id())));
                }
                Ok(vec![Fact::SeverityChanged { from, to, reason: reason.clone() }])
            }
            Self::Status { status, override_reason, reason } => {
                single(change_status(i, *status, override_reason.as_deref(), reason.as_deref(), context))
            }
            Self::Tick { item, met, text } => single(tick(i, item, *met, text, context)),
            Self::SetExit { criteria } => {
                if criteria.expression.trim().is_empty() || criteria.for_secs == 0 || !criteria.threshold.is_finite() {
                    return invalid("the exit criteria are incomplete", "Give an expression, a threshold and a duration.");
                }
                Ok(vec![Fact::ExitCriteriaSet { criteria: criteria.clone() }])
            }
            Self::Assign { role, holder } => {
                if i.role_spans.iter().any(|s| s.role == *role && s.holder == *holder && s.until.is_none()) {
                    return Err(Refusal::invalid(format!("{holder} is already {role}")));
                }
                let from = if role.is_shared() { None } else { i.roles.get(role).cloned() };
                Ok(vec![Fact::RoleAssigned { role: *role, holder: holder.clone(), from }])
            }
            Self::Renounce { role, holder } => {
                let mut open = i.role_spans.iter().rev().filter(|s| s.role == *role && s.until.is_none());
                match open.find(|s| holder.as_ref().is_none_or(|h| *h == s.holder)) {
                    Some(span) => Ok(vec![Fact::RoleRenounced { role: *role, holder: span.holder.clone() }]),
                    None => Err(Refusal::invalid(match holder {
                        Some(holder) => format!("{holder} is not {role} of {}", i.id()),
                        None => format!("no one is {role} of {}", i.id()),
                    })),
                }
            }
            Self::Task { name, text, minutes } => {
                let new = NewAction::task(name.clone(), text.clone(), Duration::from_secs(minutes * 60));
                Ok(vec![added(&new, context)])
            }
            Self::Report { action, result, again_in: None } => single(complete(i, *action, Some(result))),
            Self::Report { action, result, again_in: Some(minutes) } => {
                let change = ActionChange {
                    state: Some(ActionState::InProgress),
                    result: Some(result.clone()),
                    check_back_at: Some(context.when() + Duration::from_secs(minutes * 60)),
                    ..ActionChange::default()
                };
                single(change_item(i, *action, &change))
            }
            Self::Hypothesis { entry, verdict, reason } => {
                let known = i.hypotheses.iter().map(|h| h.seq).collect();
                is_one_of(i, "hypothesis", *entry, known)?;
                Ok(vec![Fact::HypothesisJudged { seq: *entry, verdict: *verdict, reason: reason.clone() }])
            }
            Self::Objection { entry, text, by } => {
                single(remark(i, *entry, Remark::Objection, by.as_deref().unwrap_or(context.user), text))
            }
            Self::Outcome { entry, text } => single(remark(i, *entry, Remark::Outcome, context.user, text)),
            Self::Review { state, by } => {
                let reviewer = by.clone().or_else(|| (*state == ReviewState::Reviewed).then(|| context.user.to_owned()));
                Ok(vec![Fact::ReviewChanged { state: *state, reviewer }])
            }
            Self::Impact { started, services, users, region, text, data } => {
                let mut facts = Vec::new();
                let services: Option<Vec<String>> = services
                    .as_ref()
                    .map(|all| all.iter().map(|s| clean::line(s).trim().to_owned()).filter(|s| !s.is_empty()).collect());
                if services.is_some() || users.is_some() || region.is_some() || text.is_some() || data.is_some() {
                    let (users, region, text, data) = (users.clone(), region.clone(), text.clone(), data.clone());
                    facts.push(Fact::ImpactChanged { services, users, region, text, data });
                }
                if let Some(moment) = started {
                    let to = context.resolve(moment)?;
                    facts.push(time_fact(i, Milestone::ImpactStarted, to, "given with the impact", None)?);
                }
                if facts.is_empty() {
                    return invalid("no impact given", "Give --started, --services, --users, --region, --text or --data.");
                }
                Ok(facts)
            }
            Self::Time { moment, time, reason, exception } => {
                let to = context.resolve(time)?;
                let reached = match moment {
                    Milestone::Resolved => i.resolved_at.is_some(),
                    Milestone::Closed => i.closed_at.is_some(),
                    Milestone::ImpactStarted
                    | Milestone::Detected
                    | Milestone::Declared
                    | Milestone::Acknowledged
                    | Milestone::Identified
                    | Milestone::Mitigated => true,
                };
                if !reached {
                    let (id, status) = (i.id(), i.head.status);
                    return invalid(
                        format!("{id} is {status}; setting a time does not make it {moment}"),
                        format!("Run `warroom incident status {id} {moment} --at TIME`."),
                    );
                }
                Ok(vec![time_fact(i, *moment, to, reason, exception.as_deref())?])
            }
            Self::RecordUpdate { audience, text, next } => {
                let scheduled = || i.matrix().update_every(i.head.severity).map(|every| context.when() + every);
                let due = match next {
                    NextUpdate::Scheduled => scheduled(),
                    NextUpdate::In(every) => Some(context.when() + *every),
                    // A draft that was open for long names a time that has passed.
                    NextUpdate::At(at) => Some(*at).filter(|at| *at > context.when()).or_else(scheduled),
                    NextUpdate::Never => None,
                };
                let next_due = due.filter(|_| i.head.status.is_open());
                Ok(vec![Fact::UpdatePublished { audience: *audience, text: text.clone(), next_due }])
            }
            Self::Event { kind, text } => Ok(vec![Fact::Event { event: *kind, text: text.clone() }]),
            Self::Escalate { level, reason, to } => {
                Ok(vec![Fact::Escalated { level: *level, to: to.clone(), reason: reason.clone() }])
            }
            Self::Link { .. } => {
                let is_new = |l: &&LinkedAlert| !i.alerts.iter().any(|have| have.is_same(l) && have.verified >= l.verified);
                Ok(context.alerts.iter().filter(is_new).cloned().map(|alert| Fact::AlertLinked { alert }).collect())
            }
            Self::Unlink { fingerprint, reason } => match i.alerts.iter().find(|a| a.fingerprint == *fingerprint) {
                Some(alert) => Ok(vec![Fact::AlertUnlinked {
                    name: alert.label(),
                    fingerprint: fingerprint.clone(),
                    reason: reason.clone(),
                }]),
                None => Err(Refusal::not_found(format!("alert {fingerprint} is not linked to {}", i.id()))
                    .advise(format!("Run `warroom incident show {}` to list the linked alerts.", i.id()))),
            },
            Self::Merge { into, reason } => match i.head.merged_into {
                Some(have) => Err(Refusal::invalid(format!("{} is already merged into {have}", i.id()))),
                None => Ok(vec![Fact::Merged { into: *into, reason: reason.clone() }]),
            },
            Self::Acknowledge => {
                if let Some(when) = i.acknowledged_at {
                    Err(Refusal::invalid(format!("{} was already acknowledged at {} UTC", i.id(), when.date_clock())))
                } else {
                    in_order(i, &[Milestone::Acknowledged], context.at)?;
                    Ok(vec![Fact::Acknowledged])
                }
            }
            Self::Unacknowledge { reason } => match i.acknowledged_at {
                Some(_) => Ok(vec![Fact::Unacknowledged { reason: reason.clone() }]),
                None => Err(Refusal::invalid(format!("{} is not acknowledged", i.id()))),
            },
            Self::Reopen { reason } => {
                if i.head.status.is_open() {
                    return Err(Refusal::invalid(format!("{} is {}, so it is open already", i.id(), i.head.status)));
                }
                Ok(vec![Fact::Reopened { reason: reason.clone() }])
            }
            Self::Grade { grade, found_by, text } => {
                if i.head.status.is_open() {
                    return invalid(format!("{} is still {}", i.id(), i.head.status), "Grade the diagnosis after the incident.");
                }
                Ok(vec![Fact::DiagnosisGraded { grade: *grade, found_by: *found_by, text: text.clone() }])
            }
            Self::Accept { entry } => match i.answers.iter().find(|a| a.seq == *entry) {
                Some(a) if a.accepted_by.is_none() && a.answer.source == AnswerSource::Llm => {
                    Ok(vec![Fact::DraftAccepted { seq: *entry }])
                }
                Some(_) => Err(Refusal::invalid(format!("entry {} is not a draft waiting to be accepted", seq_label(*entry)))),
                None => Err(Refusal::not_found(format!("entry {} of {} is not an answer", seq_label(*entry), i.id()))),
            },
            Self::DecideProposal { proposal, is_accepted, reason } => decide(i, proposal, *is_accepted, reason.as_ref(), context),
            Self::AddAction(new) => Ok(vec![added(new, context)]),
            Self::ChangeAction { action, change } => single(change_item(i, *action, change)),
            Self::CompleteAction { action, result } => single(complete(i, *action, result.as_ref())),
            Self::ProposeMitigation(new) => single(propose_card(i, new)),
            Self::ChangeMitigation { card, state, approved_by, result } => {
                single(change_card(i, *card, *state, approved_by.as_ref(), result.as_ref()))
            }
            Self::StartPlaybook { playbook, title, steps } => {
                let known = i.playbooks.iter().find(|p| p.playbook == *playbook);
                if known.is_some_and(|p| p.steps.iter().map(|s| &s.title).eq(steps)) {
                    return Ok(Vec::new());
                }
                Ok(vec![Fact::PlaybookStarted { playbook: playbook.clone(), title: title.clone(), steps: steps.clone() }])
            }
            Self::StartStep { playbook, step, runs, again } => {
                let title = startable(i, playbook, *step, *again)?;
                Ok(vec![Fact::StepStarted { playbook: playbook.clone(), step: *step, title, command: runs.clone() }])
            }
            Self::EndStep { playbook, step, state, reason, blocks } => {
                let (title, now) = step_of(i, playbook, *step)?;
                if *state == StepState::Skipped && reason.is_none() {
                    return invalid("a step is skipped without a reason", "Say why it is not needed.");
                }
                if blocks.is_empty() && now == *state {
                    return Err(Refusal::invalid(format!("step {step} of {playbook} is already {}", state.word())));
                }
                let (playbook, reason, blocks) = (playbook.clone(), reason.clone(), blocks.clone());
                Ok(vec![Fact::StepEnded { playbook, step: *step, title, state: *state, reason, blocks }])
            }
            Self::Check | Self::Page { .. } | Self::Attach { .. } | Self::KeepLine { .. } => {
                Err(Refusal::invalid("this command needs the sources, a program or a file"))
            }
        }
    }
}

/// Accepts a proposal, which then takes effect, or refutes it with a reason.
fn decide(
    i: &Incident,
    proposal: &Proposal,
    is_accepted: bool,
    reason: Option<&String>,
    context: &Context<'_>,
) -> Result<Vec<Fact>, Refusal> {
    let id = proposal.id();
    if let Some(known) = i.decision_on(proposal) {
        let word = if known.is_accepted { "accepted" } else { "refuted" };
        return Err(Refusal::invalid(format!("proposal {id} was already {word} by {}", known.by)));
    }
    let decided = Fact::ProposalDecided {
        seq: proposal.seq,
        what: proposal.proposed.word().to_owned(),
        text: proposal.text.clone(),
        model: proposal.model.clone(),
        is_accepted,
        reason: reason.cloned(),
    };
    if !is_accepted {
        if reason.is_none() {
            return invalid(format!("proposal {id} is refuted without a reason"), "Say why, with the evidence in brackets.");
        }
        return Ok(vec![decided]);
    }
    let text = proposal.text.clone();
    let mut facts = match &proposal.proposed {
        Proposed::Hypothesis => vec![Fact::Note { text, note_kind: NoteKind::Hypothesis }],
        Proposed::Verdict { seq, verdict } => {
            Command::Hypothesis { entry: *seq, verdict: *verdict, reason: text }.facts(i, context)?
        }
        Proposed::Mitigation { new } => {
            let origin = Some(format!("the assistant ({})", proposal.model));
            vec![propose_card(i, &NewMitigation { origin, ..new.as_ref().clone() })?]
        }
        Proposed::Action { action_kind } => vec![added(&NewAction::follow_up(*action_kind, text), context)],
        Proposed::Severity { severity } => {
            let reason = format!("{text} (proposed by {} in entry {})", proposal.model, seq_label(proposal.seq));
            Command::Severity { severity: *severity, reason }.facts(i, context)?
        }
        Proposed::Update => {
            let remedy = format!("Send it: `warroom update send {} --channel NAME --text-file FILE`.", i.id());
            return invalid(format!("proposal {id} is an update, which is sent and not accepted"), remedy);
        }
    };
    facts.push(decided);
    Ok(facts)
}

/// Proposes a mitigation card, or changes one that is neither done nor dropped.
fn propose_card(i: &Incident, new: &NewMitigation) -> Result<Fact, Refusal> {
    if let Some(edited) = new.edits {
        let (index, card) = card_of(i, edited)?;
        if !card.is_open() {
            return Err(Refusal::invalid(format!("{} is already {}", card_label(index), card.state.word())));
        }
    }
    Ok(Fact::MitigationProposed {
        text: new.text.clone(),
        risk: new.risk,
        undo: new.undo.clone(),
        verify: new.verify.clone(),
        exception: new.exception.clone(),
        origin: new.origin.clone(),
        seq: new.edits,
    })
}

/// The card that an entry proposed, with its place.
fn card_of(i: &Incident, seq: u64) -> Result<(usize, &MitigationCard), Refusal> {
    let found = i.cards.iter().enumerate().find(|(_, c)| c.seq == seq);
    found.ok_or_else(|| Refusal::not_found(format!("{} has no such mitigation", i.id())))
}

/// Starts, finishes or drops a mitigation card.
fn change_card(
    i: &Incident,
    seq: u64,
    to: CardState,
    approved_by: Option<&String>,
    result: Option<&String>,
) -> Result<Fact, Refusal> {
    let (index, card) = card_of(i, seq)?;
    let label = card_label(index);
    let fits = match to {
        CardState::Proposed => false,
        CardState::Started => card.state == CardState::Proposed,
        CardState::Done | CardState::Dropped => card.is_open(),
    };
    if !fits {
        return Err(Refusal::invalid(format!("{label} is already {}", card.state.word())));
    }
    if let Some(missing) = card.missing().filter(|_| to != CardState::Dropped) {
        return invalid(format!("{label} does not say {missing}"), "Edit the card: add it, or give a reason for an exception.");
    }
    if to == CardState::Dropped && result.is_none() {
        return invalid(format!("{label} is dropped without a reason"), "Say why it is not done.");
    }
    Ok(Fact::MitigationChanged {
        seq,
        text: card.text.clone(),
        state: to,
        approved_by: approved_by.cloned(),
        result: result.cloned(),
    })
}

/// The title and the state of a step of a playbook that was begun.
fn step_of(i: &Incident, playbook: &str, step: u32) -> Result<(String, StepState), Refusal> {
    let run = i.playbooks.iter().find(|p| p.playbook == playbook);
    let run = run.ok_or_else(|| Refusal::not_found(format!("playbook {playbook} was not begun in {}", i.id())))?;
    let record = run.steps.get((step as usize).wrapping_sub(1));
    let record = record.ok_or_else(|| {
        let message = format!("playbook {playbook} has no step {step}");
        Refusal::not_found(message).advise(format!("Its steps are 1 to {}.", run.steps.len()))
    })?;
    Ok((record.title.clone(), record.state))
}

/// The title of a step that may be started. Decided within the commit, so that two people cannot start one step at the same time.
fn startable(i: &Incident, playbook: &str, step: u32, again: bool) -> Result<String, Refusal> {
    let (title, state) = step_of(i, playbook, step)?;
    let record = i.playbooks.iter().find(|p| p.playbook == playbook).and_then(|p| p.steps.get((step as usize).wrapping_sub(1)));
    let by = record.and_then(|r| r.by.as_deref()).unwrap_or("someone");
    let when = record.and_then(|r| r.at).map_or_else(String::new, |at| format!(" at {} UTC", at.date_clock()));
    let why = match state {
        _ if again => return Ok(title),
        StepState::Started => format!("step {step} was begun by {by}{when} and has no result; it may still be running"),
        StepState::Done => format!("step {step} was already done by {by}{when}"),
        StepState::Waiting | StepState::Skipped | StepState::Failed => return Ok(title),
    };
    Err(Refusal::invalid(why).advise("To run it again anyway, use --again, or \"run again\" in the terminal UI."))
}

fn single(fact: Result<Fact, Refusal>) -> Result<Vec<Fact>, Refusal> {
    fact.map(|fact| vec![fact])
}

/// A note, and the action items that it asks for after `TODO`.
fn note(text: &str, note_kind: NoteKind) -> Vec<Fact> {
    let mut facts = vec![Fact::Note { text: text.to_owned(), note_kind }];
    for todo in todos_in(text) {
        let mut fact = Fact::action(todo.text, ActionKind::Process, ActionScope::FollowUp);
        if let Fact::ActionAdded { owner, .. } = &mut fact {
            *owner = todo.owner;
        }
        facts.push(fact);
    }
    facts
}

fn entry_of(i: &Incident, seq: u64) -> Result<&Entry, Refusal> {
    i.entries.iter().find(|e| e.seq == seq).ok_or_else(|| {
        let id = i.id();
        Refusal::not_found(format!("{id} has no entry {}", seq_label(seq)))
            .advise(format!("Run `warroom incident show {id}` to see the entries with their numbers."))
    })
}

fn correct(i: &Incident, seq: u64, text: &str, reason: &str) -> Result<Fact, Refusal> {
    let entry = entry_of(i, seq)?;
    if !entry.fact.can_be_corrected() {
        let (label, what) = (seq_label(seq), clean::truncate(&entry.fact.sentence(), 80));
        return invalid(
            format!("entry {label} ({what}) records a change, not text, so it cannot be corrected"),
            format!("Run `warroom incident undo {} {label}`, or make the change again.", i.id()),
        );
    }
    Ok(Fact::Corrected { seq, text: text.to_owned(), reason: reason.to_owned() })
}

/// Undoes entry `seq`, or the most recent change of the user. If that one cannot be undone, no older one is taken in its place.
fn undo(i: &Incident, seq: Option<u64>, context: &Context<'_>) -> Result<Fact, Refusal> {
    let id = i.id();
    let entry = match seq {
        Some(seq) => entry_of(i, seq)?,
        None => newest_of_user(i, context)
            .find(|e| e.fact.is_user_change() && !i.undone.contains(&e.seq))
            .ok_or_else(|| Refusal::invalid(format!("{} has made no change to {id} that can be undone", context.user)))?,
    };
    let label = seq_label(entry.seq);
    if i.undone.contains(&entry.seq) {
        return Err(Refusal::invalid(format!("entry {label} is already undone")));
    }
    if !entry.fact.can_be_undone() {
        let what = clean::truncate(&entry.fact.sentence(), 80);
        let (why, remedy) = match &entry.fact {
            Fact::Absorbed { from, .. } => {
                ("other entries depend on it", format!("Run `warroom incident reopen {from} --reason …` to split it off again."))
            }
            Fact::Merged { .. } => ("other entries depend on it", format!("Run `warroom incident reopen {id} --reason …`.")),
            Fact::UpdatePublished { .. } | Fact::SendStarted { .. } | Fact::SendEnded { .. } => {
                ("it was sent, and has been read", "Send another update that corrects it.".to_owned())
            }
            Fact::Escalated { .. } | Fact::StepEnded { .. } | Fact::StepStarted { .. } | Fact::MitigationJudged { .. } => {
                ("it happened outside warroom", "Write a note, or correct the entry.".to_owned())
            }
            _ => ("other entries depend on it", "Write a note, or correct the entry.".to_owned()),
        };
        let older =
            if seq.is_none() { format!(" `warroom incident undo {id} ENTRY` undoes an older entry.") } else { String::new() };
        return invalid(format!("entry {label} ({what}) cannot be undone: {why}"), format!("{remedy}{older}"));
    }
    Ok(undone(i, entry))
}

/// The entries that the user wrote by hand, the newest first.
fn newest_of_user<'a>(i: &'a Incident, context: &'a Context<'_>) -> impl Iterator<Item = &'a Entry> {
    i.entries.iter().rev().filter(|e| e.actor.name == context.user && e.actor.kind == crate::incident::ActorKind::Human)
}

/// The entry that an undo is about; `None` for any other entry.
fn undone_by<'a>(i: &'a Incident, entry: &Entry) -> Option<&'a Entry> {
    let Fact::Undone { seq, .. } = entry.fact else { return None };
    i.entries.iter().find(|e| e.seq == seq)
}

/// The fact that undoes `entry`. If that is an undo, what it undid takes effect again.
fn undone(i: &Incident, entry: &Entry) -> Fact {
    let again = undone_by(i, entry).filter(|of| !matches!(of.fact, Fact::Undone { .. }));
    let sentence = clean::truncate(&again.unwrap_or(entry).fact.sentence(), 200);
    match again {
        Some(again) => {
            Fact::Undone { seq: entry.seq, text: format!("entry {}: {sentence}", seq_label(again.seq)), is_redo: true }
        }
        None => Fact::Undone { seq: entry.seq, text: sentence, is_redo: false },
    }
}

/// Makes the change again that the user undid last. As in editors, a change made after the undo ends the chance.
fn redo(i: &Incident, context: &Context<'_>) -> Result<Fact, Refusal> {
    let newest = newest_of_user(i, context)
        .filter(|e| !i.undone.contains(&e.seq))
        .find(|e| e.fact.is_user_change() || undone_by(i, e).is_some_and(|of| !matches!(of.fact, Fact::Undone { .. })));
    match newest {
        Some(entry) if matches!(entry.fact, Fact::Undone { .. }) => Ok(undone(i, entry)),
        _ => invalid(
            format!("there is nothing to redo: {} has undone nothing in {}, or has changed it since", context.user, i.id()),
            format!("Run `warroom incident undo {} ENTRY` with the number of an older undo.", i.id()),
        ),
    }
}

/// Changes the status. To resolve and to close require their checklist items: open ones are refused with their names unless
/// `override_reason` says why to go ahead; then both are recorded.
fn change_status(
    i: &Incident,
    to: Status,
    override_reason: Option<&str>,
    reason: Option<&str>,
    context: &Context<'_>,
) -> Result<Fact, Refusal> {
    let (id, from) = (i.id(), i.head.status);
    if to == Status::Merged {
        return invalid("merging needs the other incident", format!("Run `warroom incident merge {id} INTO`."));
    }
    if from == to {
        return Err(Refusal::invalid(format!("{id} is already {to}")));
    }
    let is_final = matches!(from, Status::Closed | Status::Cancelled | Status::Merged);
    if is_final || (from == Status::Resolved && to.is_open()) {
        return invalid(format!("{id} is {from}"), format!("Reopen it first: `warroom incident reopen {id} --reason …`."));
    }
    if to == Status::Closed && from != Status::Resolved {
        return invalid(format!("{id} is {from}"), format!("Resolve it first: `warroom incident resolve {id}`."));
    }
    if to == Status::Cancelled && reason.is_none() {
        return invalid("cancelling needs a reason", "Say what made it a false alarm: --reason TEXT.");
    }
    let all = gates(i, context.when(), context.monitor);
    let mut open: Vec<String> = open_items_for(&all, to).iter().map(|g| g.item.to_owned()).collect();
    if !(open.is_empty() && context.unchecked.is_empty()) && override_reason.is_none() {
        let mut list = open.clone();
        list.extend(context.unchecked.iter().map(|s| format!("not checked ({s})")));
        let are = if list.len() == 1 { "is" } else { "are" };
        return invalid(
            format!("{id} cannot be {to}: {} {are} open: {}", count(list.len(), "checklist item"), list.join(", ")),
            format!("Run `warroom incident gate {id}` to see what each needs, or go ahead with --override REASON."),
        );
    }
    let mut moments = match to {
        Status::Mitigated | Status::Monitoring => vec![Milestone::Mitigated],
        Status::Resolved => vec![Milestone::Mitigated, Milestone::Resolved],
        Status::Closed => vec![Milestone::Closed],
        Status::Triage | Status::Investigating | Status::Identified | Status::Cancelled | Status::Merged => Vec::new(),
    };
    moments.retain(|m| matches!(m, Milestone::Resolved | Milestone::Closed) || i.milestone(*m).is_none());
    in_order(i, &moments, context.at)?;
    open.extend(context.unchecked.first().map(|_| "not-checked".to_owned()));
    Ok(Fact::StatusChanged {
        from,
        to,
        override_reason: override_reason.map(str::to_owned),
        open,
        reason: reason.map(str::to_owned),
    })
}

/// Ticks a checklist item. Items that the program checks itself cannot be ticked.
fn tick(i: &Incident, item: &str, met: bool, text: &str, context: &Context<'_>) -> Result<Fact, Refusal> {
    let all = gates(i, context.now, context.monitor);
    let Some(found) = all.iter().find(|g| g.item == item.trim()) else {
        let known: Vec<&str> = all.iter().map(|g| g.item).collect();
        let hint = nearest(item, known.iter().copied()).map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
        return Err(Refusal::not_found(format!("'{item}' is not a checklist item"))
            .advise(format!("{hint}The items are {}.", known.join(", "))));
    };
    if found.check == Check::Automatic {
        return invalid(
            format!("'{}' cannot be ticked by hand: warroom checks it ({})", found.item, found.detail),
            "Go ahead without it with --override REASON when you change the status.",
        );
    }
    Ok(Fact::GateTicked { item: found.item.to_owned(), met, text: text.to_owned() })
}

fn added(new: &NewAction, context: &Context<'_>) -> Fact {
    Fact::ActionAdded {
        id: ActionId::UNNUMBERED,
        text: new.text.clone(),
        action_kind: new.kind,
        owner: new.owner.clone(),
        due: new.due.clone(),
        priority: new.priority.clone(),
        scope: new.scope,
        check_back_at: new.check_back.map(|d| context.when() + d),
        ticket: new.ticket.clone(),
        part_of: None,
    }
}

fn item_of(i: &Incident, action: ActionId) -> Result<&ActionItem, Refusal> {
    let id = i.id();
    i.action(action).ok_or_else(|| {
        Refusal::not_found(format!("{id} has no action item {action}"))
            .advise(format!("Run `warroom action list {id}` to list them."))
    })
}

fn change_item(i: &Incident, action: ActionId, change: &ActionChange) -> Result<Fact, Refusal> {
    if change.is_empty() {
        return invalid("nothing to change", "Give --owner, --due, --priority, --kind, --ticket, --text or --state.");
    }
    if change.state == Some(ActionState::Dropped) && change.result.is_none() {
        return invalid("dropping an action item needs a reason", "Say why it will not be done: --reason TEXT.");
    }
    let item = item_of(i, action)?;
    let mut after = item.clone();
    change.apply(&mut after);
    if after == *item {
        return Err(Refusal::invalid(format!("{action} already has these values")));
    }
    Ok(Fact::ActionChanged { id: action, from: item.state, change: change.clone() })
}

fn complete(i: &Incident, action: ActionId, result: Option<&String>) -> Result<Fact, Refusal> {
    let item = item_of(i, action)?;
    if !item.state.is_open() {
        return Err(Refusal::invalid(format!("{action} is already {}", item.state.word())));
    }
    Ok(Fact::ActionDone { id: action, result: result.cloned() })
}

/// Refuses a number that is not among `known`, and lists those that are.
fn is_one_of(i: &Incident, what: &str, seq: u64, known: Vec<u64>) -> Result<(), Refusal> {
    if known.contains(&seq) {
        return Ok(());
    }
    let known: Vec<String> = known.into_iter().map(seq_label).collect();
    let remedy = match known.as_slice() {
        [] => format!("{} has none.", i.id()),
        known => format!("Use one of {}.", known.join(", ")),
    };
    Err(Refusal::not_found(format!("entry {} of {} is not a {what}", seq_label(seq), i.id())).advise(remedy))
}

fn remark(i: &Incident, seq: u64, remark: Remark, by: &str, text: &str) -> Result<Fact, Refusal> {
    is_one_of(i, "decision", seq, i.decisions.iter().map(|d| d.seq).collect())?;
    Ok(Fact::DecisionRemarked { seq, remark, by: by.to_owned(), text: text.to_owned() })
}

/// A milestone set by hand, unless it would be out of order without a reason.
fn time_fact(i: &Incident, milestone: Milestone, to: Timestamp, reason: &str, exception: Option<&str>) -> Result<Fact, Refusal> {
    if exception.is_none() {
        in_order(i, &[milestone], Some(to))?;
    }
    Ok(Fact::TimeSet { milestone, to, reason: reason.to_owned(), exception: exception.map(str::to_owned) })
}

/// Refuses milestones that would be out of order with their neighbours where they were not before. `at` is `None` for what happens now:
/// a clock that runs fast must not hold anyone up.
fn in_order(i: &Incident, moments: &[Milestone], at: Option<Timestamp>) -> Result<(), Refusal> {
    let Some(at) = at else { return Ok(()) };
    let before = i.order_faults();
    let mut probe = i.milestones();
    for m in moments {
        probe.insert(*m, at);
    }
    for (earlier, later, message) in find_order_faults(&probe) {
        if !before.iter().any(|b| (b.earlier, b.later) == (earlier, later)) {
            let (id, word) = (i.id(), later.word());
            return invalid(
                message,
                format!("Correct the time, or say why: `warroom incident time {id} {word} TIME --reason … --exception WHY`."),
            );
        }
    }
    Ok(())
}

/// The facts that `into` records when `part` is merged into it: the part's alerts, its open action items and, if it is the higher one, its severity.
/// Empty when `part` is in it already.
pub fn absorb(into: &Incident, part: &Incident) -> Result<Vec<Fact>, Refusal> {
    let id = part.id();
    if let Some(further) = into.head.merged_into {
        return invalid(format!("{} is itself merged into {further}", into.id()), format!("Merge {id} into {further}."));
    }
    if !into.head.status.is_open() {
        return invalid(format!("{} is {}", into.id(), into.head.status), "Reopen it first.");
    }
    if into.absorbed.contains(&id) {
        return Ok(Vec::new());
    }
    let mut facts = Vec::new();
    if part.head.severity < into.head.severity {
        // The merged incident is at least as severe as the more severe of the two.
        let reason = format!("{id}, which is now part of this incident, is {}", part.head.severity);
        facts.push(Fact::SeverityChanged { from: into.head.severity, to: part.head.severity, reason });
    }
    for item in part.actions.iter().filter(|a| a.state.is_open()) {
        let mut fact = Fact::action(item.text.clone(), item.kind, item.scope);
        if let Fact::ActionAdded { owner, due, priority, check_back_at, ticket, part_of, .. } = &mut fact {
            (*owner, *due, *priority) = (item.owner.clone(), item.due.clone(), item.priority.clone());
            (*check_back_at, *ticket, *part_of) = (item.check_back_at, item.ticket.clone(), Some(id));
        }
        facts.push(fact);
    }
    let is_new = |a: &&LinkedAlert| !into.alerts.iter().any(|have| have.is_same(a));
    let new: Vec<&LinkedAlert> = part.alerts.iter().filter(is_new).collect();
    for alert in &new {
        facts.push(Fact::AlertLinked { alert: (*alert).clone() });
        // An alert that has ended there does not fire here.
        if part.watched.get(&alert.fingerprint).is_some_and(|w| !w.is_firing) {
            facts.push(Fact::AlertResolved { fingerprint: alert.fingerprint.clone(), name: alert.name.clone() });
        }
    }
    let alerts = new.iter().map(|a| a.fingerprint.clone()).collect();
    let impact = Some(part.impact.describe()).filter(|text| !text.is_empty());
    facts.push(Fact::Absorbed { from: id, title: part.head.title.clone(), impact, alerts });
    Ok(facts)
}

/// The facts that `whole` records when `part` is split off again: the alerts that it brought are unlinked, its open action items are dropped.
/// Empty when `part` is not in it.
pub fn release(whole: &Incident, part: IncidentId) -> Vec<Fact> {
    if !whole.absorbed.contains(&part) {
        return Vec::new();
    }
    let reason = Some(format!("{part} is an incident of its own again"));
    let brought = whole.absorbed_alerts.get(&part).into_iter().flatten();
    let mut facts: Vec<Fact> = brought
        .filter_map(|print| whole.alerts.iter().find(|a| a.fingerprint == *print))
        .map(|a| Fact::AlertUnlinked { name: a.label(), fingerprint: a.fingerprint.clone(), reason: reason.clone() })
        .collect();
    for item in whole.actions.iter().filter(|a| a.part_of == Some(part) && a.state.is_open()) {
        let result = Some(format!("continues in {part}"));
        let change = ActionChange { state: Some(ActionState::Dropped), result, ..ActionChange::default() };
        facts.push(Fact::ActionChanged { id: item.id, from: item.state, change });
    }
    facts.push(Fact::Released { from: part });
    facts
}
