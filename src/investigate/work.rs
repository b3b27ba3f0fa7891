//! Working on an incident: status with its gates, severity, roles, notes and decisions, tasks and action items, times,
//! merging, undoing. Each is one or a few facts, made of the incident as it is at the moment of the append.

use std::time::Duration;

use super::clock::now;
use super::desk::{Desk, DeskError, checked_line, checked_text};
use crate::evidence::{Body, Draft, Redactor};
use crate::incident::fact::todos_in;
use crate::incident::gate::{Check, GateItem, gates, open_items_for};
use crate::incident::ids::seq_label;
use crate::incident::{
    ActionChange, ActionId, ActionKind, ActionScope, ActionState, Audience, Entry, EscalationLevel, EventKind, EvidenceKind,
    ExitCriteria, Fact, FoundBy, Grade, Incident, IncidentId, Milestone, NextUpdate, NoteKind, Remark, Role, Severity, Status,
    Verdict,
};
use crate::journal::{Append, JournalError};
use crate::telemetry::{LogLine, Timestamp, Window, clean};

/// What a command that writes gives back: the incident after it, and the (last) entry.
type Written = Result<(Incident, Entry), DeskError>;

/// Text that a person attaches as evidence is cut off here: it goes into prompts and exports.
pub const MAX_ATTACHED: usize = 1024 * 1024;

fn refused<T>(words: impl Into<String>) -> Result<T, DeskError> {
    Err(DeskError::Refused(words.into()))
}

/// A name as it is stored.
fn name(text: &str) -> Result<String, DeskError> {
    Ok(Redactor::new().text(&checked_line("name", text)?).into_owned())
}

impl Desk {
    /// The checklist of an incident as things stand.
    pub fn gates(&self, incident: &Incident) -> Vec<GateItem> {
        gates(incident, now(), self.monitor)
    }

    /// Moves the status. To resolve and to close need their gates: what is open is refused with its names unless
    /// `override_reason` says why it does not matter; then both are written down. `reason` is why it changes at all. A status that it has already, or that an
    /// ended incident cannot get, is refused.
    pub async fn set_status(
        &self,
        id: IncidentId,
        to: Status,
        override_reason: Option<String>,
        reason: Option<&str>,
        at: Option<Timestamp>,
    ) -> Written {
        let reason = reason.map(|r| checked_text("reason", r)).transpose()?;
        let override_reason = override_reason.map(|r| checked_text("reason", &r)).transpose()?;
        if to == Status::Merged {
            return refused(format!("merging needs the other incident: `warroom incident merge {id} INTO`"));
        }
        // What the program can see it looks at now, also before an override: the reading belongs to the resolution. What could
        // not be looked at is open, whatever was seen earlier.
        let silent = if to == Status::Resolved { self.check(id).await?.1 } else { Vec::new() };
        let when = at.unwrap_or_else(now);
        self.write(id, at, |i| {
            let from = i.head.status;
            if from == to {
                return refused(format!("{id} is {to} already"));
            }
            let over = matches!(from, Status::Closed | Status::Cancelled | Status::Merged);
            if over || (from == Status::Resolved && to.is_open()) {
                return refused(format!("{id} is {from}: reopen it first, `warroom incident reopen {id} --reason …`"));
            }
            if to == Status::Closed && from != Status::Resolved {
                return refused(format!("{id} is {from}: resolve it first, `warroom incident resolve {id}`"));
            }
            let all = gates(i, when, self.monitor);
            let open = open_items_for(&all, to);
            if !(open.is_empty() && silent.is_empty()) && override_reason.is_none() {
                let mut list: Vec<String> = open.iter().map(|g| g.item.to_owned()).collect();
                list.extend(silent.iter().map(|s| format!("not looked at now ({s})")));
                let count = if list.len() == 1 { "1 gate item is open".to_owned() } else { format!("{} gate items are open", list.len()) };
                return refused(format!(
                    "{id} cannot be {to}: {count}, {}; `warroom incident gate {id}` says what each asks for, --override REASON goes on without",
                    list.join(", ")
                ));
            }
            let mut moments = Vec::new();
            match to {
                Status::Mitigated | Status::Monitoring => moments.push(Milestone::Mitigated),
                Status::Resolved => moments.extend([Milestone::Mitigated, Milestone::Resolved]),
                Status::Closed => moments.push(Milestone::Closed),
                _ => {}
            }
            moments.retain(|m| *m == Milestone::Resolved || *m == Milestone::Closed || i.milestone(*m).is_none());
            in_order(i, &moments, at)?;
            let mut open: Vec<String> = open.iter().map(|g| g.item.to_owned()).collect();
            open.extend(silent.iter().map(|_| "not-looked-at".to_owned()).take(1));
            Ok(Fact::StatusChanged { from, to, override_reason: override_reason.clone(), open, reason: reason.clone() })
        })
        .await
    }

    /// Opens an ended incident again. One that was merged is no part of the other one any more: what it brought along, alerts
    /// and open action items, it takes back.
    pub async fn reopen(&self, id: IncidentId, reason: &str, at: Option<Timestamp>) -> Written {
        let reason = checked_text("reason", reason)?;
        let incident = self.journal.incident(id).await?;
        let id = incident.id();
        if let Some(whole) = incident.head.merged_into {
            let released = self
                .append(whole, &self.person(), at, |i| Ok(if i.absorbed.contains(&id) { release(i, id) } else { Vec::new() }))
                .await;
            match released {
                // It was purged: then it holds nothing of this one either.
                Ok(_) | Err(DeskError::Journal(JournalError::NoSuchIncident(_) | JournalError::Purged { .. })) => {}
                Err(e) => return Err(e),
            }
        }
        self.write(id, at, |i| {
            if i.head.status.is_open() {
                return refused(format!("{id} is {} and so open", i.head.status));
            }
            Ok(Fact::Reopened { reason: reason.clone() })
        })
        .await
    }

    /// Makes an incident a part of another: the other gets its alerts, its open action items and, where that is the higher one,
    /// its severity; this one ends. May be repeated after a crash in between: what is there already is not written twice.
    pub async fn merge(&self, id: IncidentId, into: IncidentId, reason: Option<String>, at: Option<Timestamp>) -> Written {
        let from = self.journal.incident(id).await?;
        // Under the numbers that they have now.
        let (id, into) = (from.id(), self.journal.incident(into).await?.id());
        if id == into {
            return refused(format!("{id} cannot be merged into itself"));
        }
        if from.head.status == Status::Merged && from.head.merged_into != Some(into) {
            return refused(format!("{id} is merged already: reopen it first"));
        }
        let (title, alerts, severity) = (from.head.title.clone(), from.alerts.clone(), from.head.severity);
        let open: Vec<_> = from.actions.iter().filter(|a| a.state.is_open()).cloned().collect();
        // What has ended there does not fire here.
        let ended: Vec<String> = from.watched.iter().filter(|(_, w)| !w.is_firing).map(|(print, _)| print.clone()).collect();
        self.append(into, &self.person(), at, |i| {
            if let Some(further) = i.head.merged_into {
                return refused(format!("{into} is itself merged into {further}: merge {id} into that"));
            }
            if !i.head.status.is_open() {
                return refused(format!("{into} is {}: reopen it first", i.head.status));
            }
            if i.absorbed.contains(&id) {
                return Ok(Vec::new());
            }
            let mut facts = Vec::new();
            if severity < i.head.severity {
                // Together they are at least as bad as the worse of them.
                let reason = format!("{id}, a part of it now, is {severity}");
                facts.push(Fact::SeverityChanged { from: i.head.severity, to: severity, reason });
            }
            for item in &open {
                let mut fact = Fact::action(item.text.clone(), item.kind, item.scope);
                if let Fact::ActionAdded { owner, due, priority, check_back_at, ticket, part_of, .. } = &mut fact {
                    (*owner, *due, *priority) = (item.owner.clone(), item.due.clone(), item.priority.clone());
                    (*check_back_at, *ticket, *part_of) = (item.check_back_at, item.ticket.clone(), Some(id));
                }
                facts.push(fact);
            }
            let new: Vec<_> = alerts.iter().filter(|a| !i.alerts.iter().any(|have| have.fingerprint == a.fingerprint)).collect();
            for alert in &new {
                facts.push(Fact::AlertLinked { alert: (*alert).clone() });
                if ended.contains(&alert.fingerprint) {
                    facts.push(Fact::AlertResolved { fingerprint: alert.fingerprint.clone(), name: alert.name.clone() });
                }
            }
            let alerts = new.iter().map(|a| a.fingerprint.clone()).collect();
            facts.push(Fact::Absorbed { from: id, title: title.clone(), alerts });
            Ok(facts)
        })
        .await?;
        self.write(id, at, |i| match i.head.merged_into {
            Some(have) => refused(format!("{id} is merged into {have} already")),
            None => Ok(Fact::Merged { into, reason: reason.clone() }),
        })
        .await
    }

    /// Changes the severity, with the reason.
    pub async fn set_severity(&self, id: IncidentId, to: Severity, reason: &str, at: Option<Timestamp>) -> Written {
        let reason = checked_text("reason", reason)?;
        self.write(id, at, |i| {
            let from = i.head.severity;
            // The same severity may be given its reason, once.
            if from == to && i.severities.iter().any(|s| s.reason.is_some()) {
                return refused(format!("{id} is {to} already"));
            }
            Ok(Fact::SeverityChanged { from, to, reason: reason.clone() })
        })
        .await
    }

    /// Gives a role. A second holder is a hand-over, but for the roles that several people hold side by side.
    pub async fn assign(&self, id: IncidentId, role: Role, holder: &str, at: Option<Timestamp>) -> Written {
        let holder = name(holder)?;
        self.write(id, at, |i| {
            let held = i.role_spans.iter().any(|s| s.role == role && s.holder == holder && s.until.is_none());
            if held {
                return refused(format!("{holder} is {role} already"));
            }
            let from = if role.is_shared() { None } else { i.roles.get(&role).cloned() };
            Ok(Fact::RoleAssigned { role, holder: holder.clone(), from })
        })
        .await
    }

    /// Gives a role up. `holder`: of a shared role, who; else its holder.
    pub async fn renounce(&self, id: IncidentId, role: Role, holder: Option<&str>, at: Option<Timestamp>) -> Written {
        let holder = holder.map(name).transpose()?;
        self.write(id, at, |i| {
            let mut open = i.role_spans.iter().rev().filter(|s| s.role == role && s.until.is_none());
            match open.find(|s| holder.as_ref().is_none_or(|h| *h == s.holder)) {
                Some(span) => Ok(Fact::RoleRenounced { role, holder: span.holder.clone() }),
                None => refused(match &holder {
                    Some(h) => format!("{h} is not {role} of {id}"),
                    None => format!("nobody is {role} of {id}"),
                }),
            }
        })
        .await
    }

    /// Writes a note. What it says after `TODO` becomes an action item in the same commit.
    pub async fn note(&self, id: IncidentId, text: &str, note_kind: NoteKind, at: Option<Timestamp>) -> Written {
        let text = checked_text("note", text)?;
        let todos = todos_in(&text);
        let (incident, appended) = self
            .append(id, &self.person(), at, |_| {
                let mut facts = vec![Fact::Note { text: text.clone(), note_kind }];
                for todo in &todos {
                    let mut fact = Fact::action(todo.text.clone(), ActionKind::Process, ActionScope::FollowUp);
                    if let Fact::ActionAdded { owner, .. } = &mut fact {
                        owner.clone_from(&todo.owner);
                    }
                    facts.push(fact);
                }
                Ok(facts)
            })
            .await?;
        match appended.entries.into_iter().next() {
            Some(entry) => Ok((incident, entry)),
            None => refused("nothing was written"),
        }
    }

    /// Corrects what an entry says. The original stays in the journal.
    pub async fn correct(&self, id: IncidentId, seq: u64, text: &str, reason: &str, at: Option<Timestamp>) -> Written {
        let text = checked_text("correction", text)?;
        let reason = checked_text("reason", reason)?;
        self.write(id, at, |i| {
            let entry = entry_of(i, seq)?;
            if !entry.fact.can_be_corrected() {
                let (label, what) = (seq_label(seq), clean::truncate(&entry.fact.sentence(), 80));
                return refused(format!(
                    "entry {label} ({what}) is no text of somebody: words would contradict what it did; `warroom incident undo {id} {label}` takes it back where that can be, or make the change anew"
                ));
            }
            Ok(Fact::Corrected { seq, text: text.clone(), reason: reason.clone() })
        })
        .await
    }

    /// Takes a local change back: the entry `seq`, else the last one that this person made. When that one cannot be taken back,
    /// nothing older is in its stead.
    pub async fn undo(&self, id: IncidentId, seq: Option<u64>, at: Option<Timestamp>) -> Written {
        self.write(id, at, |i| {
            let entry = match seq {
                Some(seq) => entry_of(i, seq)?,
                None => i
                    .entries
                    .iter()
                    .rev()
                    .find(|e| e.actor == self.person() && e.fact.is_user_change() && !i.undone.contains(&e.seq))
                    .ok_or_else(|| DeskError::Refused(format!("{} has made no change of {id} that can be undone", self.user)))?,
            };
            if i.undone.contains(&entry.seq) {
                return refused(format!("entry {} is undone already", seq_label(entry.seq)));
            }
            if !entry.fact.can_be_undone() {
                let what = clean::truncate(&entry.fact.sentence(), 80);
                let how = match (&entry.fact, seq) {
                    (Fact::Absorbed { from, .. }, _) => {
                        format!("`warroom incident reopen {from} --reason …` takes the part away")
                    }
                    (Fact::Merged { .. }, _) => format!("`warroom incident reopen {id} --reason …` takes it back"),
                    (_, None) => format!("`warroom incident undo {id} ENTRY` takes an older entry back"),
                    _ => "write a correction".to_owned(),
                };
                let label = seq_label(entry.seq);
                return refused(format!(
                    "entry {label} ({what}) cannot be undone: it happened outside, or others rely on it; {how}"
                ));
            }
            Ok(Fact::Undone { seq: entry.seq, text: clean::truncate(&entry.fact.sentence(), 200) })
        })
        .await
    }

    /// Says that somebody is on it.
    pub async fn acknowledge(&self, id: IncidentId, at: Option<Timestamp>) -> Written {
        self.write(id, at, |i| match i.acknowledged_at {
            Some(when) => refused(format!("{id} was acknowledged at {when}")),
            None => in_order(i, &[Milestone::Acknowledged], at).map(|()| Fact::Acknowledged),
        })
        .await
    }

    /// Takes the acknowledgement back.
    pub async fn unacknowledge(&self, id: IncidentId, reason: &str, at: Option<Timestamp>) -> Written {
        let reason = checked_text("reason", reason)?;
        self.write(id, at, |i| match i.acknowledged_at {
            Some(_) => Ok(Fact::Unacknowledged { reason: reason.clone() }),
            None => refused(format!("{id} is not acknowledged")),
        })
        .await
    }

    /// Puts an escalation on record. It pages nobody.
    pub async fn escalate(
        &self,
        id: IncidentId,
        level: EscalationLevel,
        to: Option<&str>,
        reason: &str,
        at: Option<Timestamp>,
    ) -> Written {
        let (to, reason) = (to.map(name).transpose()?, checked_text("reason", reason)?);
        self.write(id, at, |_| Ok(Fact::Escalated { level, to: to.clone(), reason: reason.clone() })).await
    }

    /// Says what it does to whom; what is `None` stays. `started` also sets when the impact began.
    pub async fn set_impact(&self, id: IncidentId, impact: NewImpact, at: Option<Timestamp>) -> Written {
        let line = |what: &str, text: Option<String>| text.map(|t| checked_line(what, &t)).transpose();
        let services: Option<Vec<String>> =
            impact.services.map(|all| all.iter().map(|s| clean::line(s).trim().to_owned()).filter(|s| !s.is_empty()).collect());
        let (users, region, text) = (line("users", impact.users)?, line("region", impact.region)?, line("text", impact.text)?);
        let says = services.is_some() || users.is_some() || region.is_some() || text.is_some();
        if !says && impact.started.is_none() {
            return refused("say something of the impact: --started, --services, --users, --region or --text");
        }
        let (incident, appended) = self
            .append(id, &self.person(), at, |i| {
                let mut facts = Vec::new();
                if let Some(to) = impact.started {
                    facts.push(time_fact(i, Milestone::ImpactStarted, to, "told with the impact", None)?);
                }
                if says {
                    facts.push(Fact::ImpactChanged {
                        services: services.clone(),
                        users: users.clone(),
                        region: region.clone(),
                        text: text.clone(),
                    });
                }
                Ok(facts)
            })
            .await?;
        last(incident, appended.entries)
    }

    /// Sets a moment of the incident's life. Times that would run backwards are refused unless `exception` says why.
    pub async fn set_time(
        &self,
        id: IncidentId,
        milestone: Milestone,
        to: Timestamp,
        reason: &str,
        exception: Option<String>,
        at: Option<Timestamp>,
    ) -> Written {
        super::desk::check_time(Some(to))?;
        let reason = checked_text("reason", reason)?;
        let exception = exception.map(|e| checked_text("exception", &e)).transpose()?;
        self.write(id, at, |i| {
            let reached = match milestone {
                Milestone::Resolved => i.resolved_at.is_some(),
                Milestone::Closed => i.closed_at.is_some(),
                _ => true,
            };
            if !reached {
                return refused(format!(
                    "{id} is {}: a time makes it not {milestone}; `warroom incident status {id} {milestone} --at TIME` does",
                    i.head.status
                ));
            }
            time_fact(i, milestone, to, &reason, exception.clone())
        })
        .await
    }

    /// Ticks a gate item, or takes the tick away. Items that the program checks itself cannot be ticked.
    pub async fn tick(&self, id: IncidentId, item: &str, met: bool, text: &str, at: Option<Timestamp>) -> Written {
        let text = checked_text("text", text)?;
        self.write(id, at, |i| {
            let all = self.gates(i);
            let Some(found) = all.iter().find(|g| g.item == item.trim()) else {
                let known: Vec<&str> = all.iter().map(|g| g.item).collect();
                let near = crate::config::nearest(item, known.iter().copied());
                let hint = near.map_or_else(String::new, |n| format!(" did you mean '{n}'?"));
                return Err(DeskError::NotFound(format!("no gate item '{item}';{hint} there are {}", known.join(", "))));
            };
            if found.check == Check::Automatic {
                return refused(format!(
                    "warroom checks '{}' itself ({}): it cannot be ticked; --override REASON goes on without it",
                    found.item, found.detail
                ));
            }
            Ok(Fact::GateTicked { item: found.item.to_owned(), met, text: text.clone() })
        })
        .await
    }

    /// Sets what must hold for the incident to be over.
    pub async fn set_exit(&self, id: IncidentId, criteria: ExitCriteria, at: Option<Timestamp>) -> Written {
        if criteria.expression.trim().is_empty() || criteria.for_secs == 0 || !criteria.threshold.is_finite() {
            return refused("exit criteria need an expression, a threshold and a duration");
        }
        let named = self.sources.sources.iter().filter(|s| s.metrics().is_some()).map(|s| s.name());
        let known: Vec<&str> = named.collect();
        if let Some(source) = criteria.source.as_deref().filter(|s| !known.contains(s)) {
            let known =
                if known.is_empty() { "none is configured".to_owned() } else { format!("there are {}", known.join(", ")) };
            return Err(DeskError::NotFound(format!("no metrics source is named '{source}': {known}")));
        }
        self.write(id, at, |_| Ok(Fact::ExitCriteriaSet { criteria: criteria.clone() })).await
    }

    /// Puts on record that an update went out; sends nothing.
    pub async fn published(
        &self,
        id: IncidentId,
        audience: Audience,
        text: &str,
        next: NextUpdate,
        at: Option<Timestamp>,
    ) -> Written {
        let text = checked_text("update", text)?;
        self.write(id, at, |i| {
            let from = at.unwrap_or_else(now);
            let every = match next {
                NextUpdate::Scheduled => i.matrix().update_every(i.head.severity),
                NextUpdate::In(every) => Some(every),
                NextUpdate::Never => None,
            };
            let every = every.filter(|_| i.head.status.is_open());
            Ok(Fact::UpdatePublished { audience, text: text.clone(), next_due: every.map(|e| from + e) })
        })
        .await
    }

    /// Puts an event on record.
    pub async fn event(&self, id: IncidentId, event: EventKind, text: &str, at: Option<Timestamp>) -> Written {
        let text = checked_text("text", text)?;
        self.write(id, at, |_| Ok(Fact::Event { event, text: text.clone() })).await
    }

    /// Judges a hypothesis.
    pub async fn judge(&self, id: IncidentId, seq: u64, verdict: Verdict, reason: &str, at: Option<Timestamp>) -> Written {
        let reason = checked_text("reason", reason)?;
        self.write(id, at, |i| match i.hypotheses.iter().find(|h| h.seq == seq) {
            Some(_) => Ok(Fact::HypothesisJudged { seq, verdict, reason: reason.clone() }),
            None => {
                let known: Vec<String> = i.hypotheses.iter().map(|h| seq_label(h.seq)).collect();
                let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
                Err(DeskError::NotFound(format!("entry {} is no hypothesis of {id}: {known}", seq_label(seq))))
            }
        })
        .await
    }

    /// An objection to a decision, or its outcome.
    pub async fn remark(
        &self,
        id: IncidentId,
        seq: u64,
        remark: Remark,
        by: Option<&str>,
        text: &str,
        at: Option<Timestamp>,
    ) -> Written {
        let by = by.map_or_else(|| Ok(self.user.clone()), name)?;
        let text = checked_text("text", text)?;
        self.write(id, at, |i| match i.decisions.iter().find(|d| d.seq == seq) {
            Some(_) => Ok(Fact::DecisionRemarked { seq, remark, by: by.clone(), text: text.clone() }),
            None => {
                let known: Vec<String> = i.decisions.iter().map(|d| seq_label(d.seq)).collect();
                let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
                Err(DeskError::NotFound(format!("entry {} is no decision of {id}: {known}", seq_label(seq))))
            }
        })
        .await
    }

    /// Grades the diagnosis, afterwards.
    pub async fn grade(
        &self,
        id: IncidentId,
        grade: Grade,
        found_by: FoundBy,
        text: Option<String>,
        at: Option<Timestamp>,
    ) -> Written {
        let text = text.map(|t| checked_text("text", &t)).transpose()?;
        self.write(id, at, |i| {
            if i.head.status.is_open() {
                return refused(format!("{id} is {}: the diagnosis is graded when it is over", i.head.status));
            }
            Ok(Fact::DiagnosisGraded { grade, found_by, text: text.clone() })
        })
        .await
    }

    /// Writes an action item down.
    pub async fn add_action(&self, id: IncidentId, action: NewAction, at: Option<Timestamp>) -> Written {
        let text = checked_text("action", &action.text)?;
        let owner = action.owner.as_deref().map(name).transpose()?;
        let ticket = action.ticket.as_deref().map(|t| checked_line("ticket", t)).transpose()?;
        self.write(id, at, |_| {
            Ok(Fact::ActionAdded {
                id: ActionId::UNNUMBERED,
                text: text.clone(),
                action_kind: action.kind,
                owner: owner.clone(),
                due: action.due.clone(),
                priority: action.priority.clone(),
                scope: action.scope,
                check_back_at: action.check_back.map(|d| at.unwrap_or_else(now) + d),
                ticket: ticket.clone(),
                part_of: None,
            })
        })
        .await
    }

    /// Changes an action item.
    pub async fn change_action(&self, id: IncidentId, action: ActionId, change: ActionChange, at: Option<Timestamp>) -> Written {
        if change.is_empty() {
            return refused("say what changes: --owner, --due, --priority, --kind, --ticket, --text or --state");
        }
        if change.state == Some(ActionState::Dropped) && change.result.is_none() {
            return refused("say why it is not done: --reason");
        }
        self.write(id, at, |i| {
            let item = item_of(i, action)?;
            let mut after = item.clone();
            change.apply(&mut after);
            if after == *item {
                return refused(format!("{action} is so already"));
            }
            Ok(Fact::ActionChanged { id: action, from: item.state, change: change.clone() })
        })
        .await
    }

    /// Marks an action item done, with what came of it.
    pub async fn action_done(&self, id: IncidentId, action: ActionId, result: Option<String>, at: Option<Timestamp>) -> Written {
        let result = result.map(|r| checked_text("result", &r)).transpose()?;
        self.write(id, at, |i| {
            let item = item_of(i, action)?;
            if !item.state.is_open() {
                return refused(format!("{action} is {} already", item.state.word()));
            }
            Ok(Fact::ActionDone { id: action, result: result.clone() })
        })
        .await
    }

    /// Keeps a log line as evidence, with a note that cites it.
    pub async fn keep_line(&self, id: IncidentId, line: &LogLine) -> Written {
        let when = line.at.unwrap_or_else(now);
        // Redacted before it is cut: half a token has lost the shape by which it is known.
        let first = clean::truncate(&Redactor::new().text(line.message.lines().next().unwrap_or("")), 160);
        let service = line.service.as_deref().map(|s| format!("{s}: ")).unwrap_or_default();
        let draft = Draft {
            kind: EvidenceKind::Logs,
            source: self.user.clone(),
            query: "a line marked by hand".to_owned(),
            window: Window::new(when, when),
            taken_at: now(),
            summary: format!("{service}{first}"),
            body: Body::Lines { lines: vec![line.clone()] },
            gaps: Vec::new(),
            shown: 1,
            total: 1,
        };
        let summary = draft.summary.clone();
        let (record, body, _) = draft.seal()?;
        let fact = Fact::EvidenceAttached { evidence: record.into_inner() };
        let incident = self.journal.incident(id).await?;
        let (_, appended) = self
            .append_to(incident, |_| {
                let entries = super::desk::new_entries(vec![fact.clone()], &self.person(), None, now())?;
                Ok(Append { entries, bodies: vec![body.clone()] })
            })
            .await?;
        let cited = appended.evidence.first().map(|e| format!(" [{e}]")).unwrap_or_default();
        self.note(id, &format!("log line: {summary}{cited}"), NoteKind::Observation, line.at).await
    }

    /// Keeps a text as evidence.
    pub async fn attach(
        &self,
        id: IncidentId,
        from: &str,
        read: &Attached,
        note: Option<&str>,
        at: Option<Timestamp>,
    ) -> Written {
        let kept = clean::document(&read.text);
        if kept.trim().is_empty() {
            return refused(format!("{from} is empty: there is nothing to keep"));
        }
        let mut gaps = read.gaps.clone();
        if kept.len() < read.text.replace("\r\n", "\n").len() {
            gaps.push("control characters are taken out".to_owned());
        }
        let when = at.unwrap_or_else(now);
        let lines = u64::try_from(kept.lines().count()).unwrap_or(0);
        let draft = Draft {
            kind: EvidenceKind::Note,
            source: self.user.clone(),
            query: clean::line(from),
            window: Window::new(when, when),
            taken_at: when,
            summary: note.map_or_else(|| format!("{from}, {}", crate::telemetry::words::count(lines, "line")), clean::line),
            body: Body::Text { text: kept },
            gaps,
            shown: lines,
            total: read.lines.max(lines),
        };
        let (record, body, _) = draft.seal()?;
        let fact = Fact::EvidenceAttached { evidence: record.into_inner() };
        let incident = self.journal.incident(id).await?;
        let (incident, appended) = self
            .append_to(incident, |_| {
                let entries = super::desk::new_entries(vec![fact.clone()], &self.person(), at, now())?;
                Ok(Append { entries, bodies: vec![body.clone()] })
            })
            .await?;
        match (appended.entries.into_iter().next(), appended.evidence.first()) {
            (Some(entry), _) => Ok((incident, entry)),
            (None, Some(have)) => refused(format!("{have} is this very text already")),
            (None, None) => refused("nothing was written"),
        }
    }
}

/// A text that was read to be attached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// At most [`MAX_ATTACHED`] bytes of it.
    pub text: String,
    /// Lines of the whole.
    pub lines: u64,
    /// What of the whole is not in the text.
    pub gaps: Vec<String>,
}

/// Reads what is to be attached (`-` is standard input), and counts what it does not keep. What is no text is refused: as text
/// it would be another thing. Blocks.
pub fn read_to_attach(path: &std::path::Path) -> Result<Attached, DeskError> {
    let fail = |e: std::io::Error| DeskError::Refused(format!("{} cannot be read: {e}; check the path", path.display()));
    if path.as_os_str() == "-" {
        return attached(std::io::stdin().lock(), path);
    }
    attached(std::fs::File::open(path).map_err(fail)?, path)
}

fn attached(mut from: impl std::io::Read, path: &std::path::Path) -> Result<Attached, DeskError> {
    let fail = |e: std::io::Error| DeskError::Refused(format!("{} cannot be read: {e}; check the path", path.display()));
    let (mut kept, mut all, mut lines, mut last) = (Vec::new(), 0_u64, 0_u64, b'\n');
    let mut chunk = vec![0_u8; 64 * 1024];
    loop {
        let n = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(fail(e)),
        };
        let part = chunk.get(..n).unwrap_or(&[]);
        if part.contains(&0) {
            let name = path.display();
            return refused(format!(
                "{name} is no text: attach a text of it, or keep it elsewhere and write its address in a note"
            ));
        }
        all += u64::try_from(n).unwrap_or(0);
        lines += u64::try_from(part.iter().filter(|b| **b == b'\n').count()).unwrap_or(0);
        last = part.last().copied().unwrap_or(last);
        kept.extend_from_slice(part.get(..n.min(MAX_ATTACHED - kept.len())).unwrap_or(&[]));
    }
    let mut gaps = Vec::new();
    if u64::try_from(kept.len()).unwrap_or(0) < all {
        // No half of a character at the cut.
        while kept.last().is_some_and(|b| (0x80..0xC0).contains(b)) {
            kept.pop();
        }
        if kept.last().is_some_and(|b| *b >= 0xC0) {
            kept.pop();
        }
        gaps.push(format!("cut: the first {} of {all} bytes are kept", kept.len()));
    }
    let text = String::from_utf8_lossy(&kept).into_owned();
    if std::str::from_utf8(&kept).is_err() {
        gaps.push("bytes that are no UTF-8 became U+FFFD".to_owned());
    }
    Ok(Attached { text, lines: lines + u64::from(last != b'\n'), gaps })
}

/// What is told of an impact.
#[derive(Clone, Debug, Default)]
pub struct NewImpact {
    pub started: Option<Timestamp>,
    pub services: Option<Vec<String>>,
    pub users: Option<String>,
    pub region: Option<String>,
    pub text: Option<String>,
}

/// A new action item. `check_back`: after how long its owner reports.
#[derive(Clone, Debug)]
pub struct NewAction {
    pub text: String,
    pub kind: ActionKind,
    pub owner: Option<String>,
    pub due: Option<String>,
    pub priority: Option<String>,
    pub scope: ActionScope,
    pub check_back: Option<Duration>,
    pub ticket: Option<String>,
}

impl NewAction {
    /// A task for somebody who reports back.
    pub fn task(who: &str, text: &str, check_back: Duration) -> Self {
        Self {
            text: text.to_owned(),
            kind: ActionKind::Mitigate,
            owner: Some(who.to_owned()),
            due: None,
            priority: None,
            scope: ActionScope::Incident,
            check_back: Some(check_back),
            ticket: None,
        }
    }

    /// Something for afterwards.
    pub fn follow_up(kind: ActionKind, text: &str) -> Self {
        Self {
            text: text.to_owned(),
            kind,
            owner: None,
            due: None,
            priority: None,
            scope: ActionScope::FollowUp,
            check_back: None,
            ticket: None,
        }
    }
}

/// What gives a part free again: it takes back the alerts that it brought, and its action items that are still open.
fn release(i: &Incident, part: IncidentId) -> Vec<Fact> {
    let reason = Some(format!("{part} is an incident of its own again"));
    let prints = i.absorbed_alerts.get(&part).into_iter().flatten().filter(|p| i.alerts.iter().any(|a| a.fingerprint == **p));
    let label = |p: &str| i.alerts.iter().find(|a| a.fingerprint == p).map(|a| a.label()).unwrap_or_default();
    let mut facts: Vec<Fact> =
        prints.map(|p| Fact::AlertUnlinked { name: label(p), fingerprint: p.clone(), reason: reason.clone() }).collect();
    for item in i.actions.iter().filter(|a| a.part_of == Some(part) && a.state.is_open()) {
        let result = Some(format!("goes on in {part}"));
        let change = ActionChange { state: Some(ActionState::Dropped), result, ..ActionChange::default() };
        facts.push(Fact::ActionChanged { id: item.id, from: item.state, change });
    }
    facts.push(Fact::Released { from: part });
    facts
}

fn last(incident: Incident, entries: Vec<Entry>) -> Written {
    match entries.into_iter().next_back() {
        Some(entry) => Ok((incident, entry)),
        None => refused("nothing was to be written"),
    }
}

fn entry_of(i: &Incident, seq: u64) -> Result<&Entry, DeskError> {
    i.entries.iter().find(|e| e.seq == seq).ok_or_else(|| {
        let id = i.id();
        DeskError::NotFound(format!("{id} has no entry {}: `warroom incident show {id} --json` numbers them", seq_label(seq)))
    })
}

fn item_of(i: &Incident, action: ActionId) -> Result<&crate::incident::ActionItem, DeskError> {
    let id = i.id();
    i.action(action)
        .ok_or_else(|| DeskError::NotFound(format!("{id} has no action item {action}: `warroom action list {id}` lists them")))
}

/// A moment set by hand, unless it would run backwards without a word why.
fn time_fact(
    i: &Incident,
    milestone: Milestone,
    to: Timestamp,
    reason: &str,
    exception: Option<String>,
) -> Result<Fact, DeskError> {
    if exception.is_none() {
        in_order(i, &[milestone], Some(to))?;
    }
    Ok(Fact::TimeSet { milestone, to, reason: reason.to_owned(), exception })
}

/// Refuses moments that would lie in the wrong order to their neighbours where they did not before. `at` is `None` for what
/// happens now: nobody is held up by a clock that runs fast.
fn in_order(i: &Incident, moments: &[Milestone], at: Option<Timestamp>) -> Result<(), DeskError> {
    let Some(at) = at else { return Ok(()) };
    let id = i.id();
    let before = i.order_faults();
    let mut probe = i.milestones();
    for m in moments {
        probe.insert(*m, at);
    }
    for fault in crate::incident::state::find_order_faults(&probe) {
        if !before.iter().any(|b| (b.earlier, b.later) == (fault.0, fault.1)) {
            let word = fault.1.word();
            return refused(format!(
                "{}: give the right time, or write down why with `warroom incident time {id} {word} TIME --reason … --exception WHY`",
                fault.2
            ));
        }
    }
    Ok(())
}
