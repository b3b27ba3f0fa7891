//! Actions on the model: a table of short arms.

use super::super::action::Action;
use super::super::board::Pane;
use super::super::edit::LineEdit;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::{Effect, ImpactPart};
use super::super::overlay::{Choice, DeclareForm, Overlay, Purpose};
use super::super::room::{Streaming, Tab};
use super::choose::{
    choose, choose_finding, choose_merge, choose_moment, choose_severity, choose_status, choose_unlink, first_open, judge, link,
    move_status, remark, with_item,
};
use super::go::{back, beside, jump, open, open_entry, open_evidence, quit, step, step_board, tab};
use super::logs::{line_to_note, pattern_lines, search, to_error, to_hit};
use super::{PREVIEW, current, propose};
use crate::incident::brief::{Reader, brief};
use crate::incident::{
    ActionKind, AnswerSource, Audience, Entry, EscalationLevel, EventKind, EvidenceId, Fact, Grade, IncidentId, LinkedAlert,
    NoteKind, Remark, Role, Status, Verdict,
};

/// Does what was asked for, or says why not.
pub(super) fn perform(model: &mut Model, action: Action) -> Vec<Effect> {
    if model.read_only && action.spec().changes {
        model.say(Tone::Bad, format!("read-only: {} is off", action.spec().word));
        return Vec::new();
    }
    match action {
        Action::Down => step(model, 1),
        Action::Up => step(model, -1),
        Action::HalfDown => step(model, model.half_page().cast_signed()),
        Action::HalfUp => step(model, -model.half_page().cast_signed()),
        Action::Top => step(model, isize::MIN),
        Action::Bottom => step(model, isize::MAX),
        Action::Back => back(model),
        Action::Quit => quit(model),
        Action::Help => show(model, Overlay::Help { scroll: 0 }),
        Action::Palette => show(model, Overlay::Palette { edit: LineEdit::default(), selected: 0 }),
        Action::Filter | Action::FilterLogs => filter(model),
        Action::Search => search(model),
        Action::NextHit => to_hit(model, true),
        Action::PreviousHit => to_hit(model, false),
        Action::Refresh => {
            model.board.refreshing = true;
            let mut effects = vec![Effect::FetchAlerts, Effect::ListIncidents];
            effects.extend(model.room.as_ref().map(|r| Effect::ReadIncident(r.id)));
            effects
        }
        Action::Retry => {
            if let (true, Some((overlay, why))) = (model.not_written.is_empty(), model.refused.take()) {
                model.overlay = Some(overlay);
                model.say(Tone::Plain, why);
                return Vec::new();
            }
            let again = std::mem::take(&mut model.not_written);
            if again.is_empty() {
                model.say(Tone::Plain, "nothing waits to be written");
            }
            model.unsaved += u32::try_from(again.len()).unwrap_or(0);
            again
        }
        Action::Redraw => vec![Effect::Redraw],
        Action::Suspend => vec![Effect::Suspend],
        Action::Open => open(model),
        Action::NextPane => {
            model.board.pane = if model.board.pane == Pane::Alerts { Pane::Incidents } else { Pane::Alerts };
            Vec::new()
        }
        Action::Mark => mark(model),
        Action::Declare => declare(model),
        Action::Link => link(model),
        Action::GroupBy => {
            model.board.group_by = model.board.group_by.next();
            model.board.lay_out();
            Vec::new()
        }
        Action::OnlyNew => {
            model.board.only_new = !model.board.only_new;
            model.board.lay_out();
            Vec::new()
        }
        Action::CopyAlert => copy(model, |m| m.board.current().map(|a| a.fingerprint.clone()), "select an alert first"),
        Action::CopyRunbook => copy(
            model,
            |m| {
                m.board.current().and_then(|a| a.annotations.get("runbook_url").or_else(|| a.annotations.get("runbook"))).cloned()
            },
            "this alert names no runbook",
        ),
        Action::Tab1 => tab(model, Tab::Overview),
        Action::Tab2 => tab(model, Tab::Timeline),
        Action::Tab3 => tab(model, Tab::Signals),
        Action::Tab4 => tab(model, Tab::Logs),
        Action::Tab5 => tab(model, Tab::Assistant),
        Action::Tab7 => tab(model, Tab::Actions),
        Action::Tab9 => tab(model, Tab::Report),
        Action::NextTab => beside(model, 1),
        Action::PreviousTab => beside(model, -1),
        Action::Findings => choose_finding(model),
        Action::Investigate => with_id(model, |m, id| {
            if let Some(room) = &mut m.room {
                if room.investigating.is_some() {
                    m.say(Tone::Plain, "an investigation is under way");
                    return Vec::new();
                }
                room.investigating = Some("gathering evidence".to_owned());
            }
            vec![Effect::Investigate(id, None)]
        }),
        Action::Widen => widen(model),
        Action::Note => line(
            model,
            "Note",
            Purpose::Note(NoteKind::Observation),
            "what you saw or did; [E3] ties it to evidence; TODO … waits as an action item",
        ),
        Action::NoteAt => line(
            model,
            "Note at",
            Purpose::NoteAt,
            "begin with the time in UTC (it stands at the top right): 09:27, or 2026-11-21T10:27:00+01:00, then the text",
        ),
        Action::Decision => line(model, "Decision", Purpose::Note(NoteKind::Decision), "what was decided, and who objected"),
        Action::Hypothesis => {
            line(model, "Hypothesis", Purpose::Note(NoteKind::Hypothesis), "what you take the cause to be, with [E…]")
        }
        Action::Lesson => line(model, "Lesson", Purpose::Note(NoteKind::Lesson), "went well, went badly, where we were lucky"),
        Action::Mitigation => line(
            model,
            "Mitigation",
            Purpose::Note(NoteKind::Mitigation),
            "what was done, how to undo it, which metric should show it [E…]",
        ),
        Action::Task => line(model, "Task", Purpose::Task, "who, minutes until they report back, what: ben 5 check the replica"),
        Action::Published => {
            let rows = Audience::ALL.iter().map(|a| (a.word().to_owned(), String::new())).collect();
            choose(model, "Who was told", rows, Choice::Audience(Audience::ALL.to_vec()))
        }
        Action::Event => {
            let rows = EventKind::ALL.iter().map(|k| (k.word().replace('_', " "), String::new())).collect();
            choose(model, "What happened", rows, Choice::Event(EventKind::ALL.to_vec()))
        }
        Action::Attach => {
            line(model, "Attach", Purpose::Attach, "a file's path (in quotes if it has blanks); then, if you like, what it shows")
        }
        Action::Impact => {
            let rows = ImpactPart::ALL.iter().map(|p| p.words()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
            choose(model, "Impact", rows, Choice::Impact)
        }
        Action::Checklist => show(model, Overlay::Gates { selected: first_open(model) }),
        Action::Exit => {
            line(model, "It is over when", Purpose::Exit, "a query, its threshold, how long: error_rate < 0.01 for 30m")
        }
        Action::Check => with_id(model, |m, id| {
            m.say(Tone::Plain, "looking at alerts and exit criteria");
            act(m, Effect::Check(id))
        }),
        Action::SetTime => choose_moment(model),
        Action::Escalate => {
            let rows = EscalationLevel::ALL.iter().map(|l| (l.word().to_owned(), l.title().to_owned())).collect();
            choose(model, "Escalate to", rows, Choice::Level(EscalationLevel::ALL.to_vec()))
        }
        Action::Unlink => choose_unlink(model),
        Action::Merge => choose_merge(model),
        Action::OnCall => vec![Effect::OnCall],
        Action::Page => line(model, "Page", Purpose::Page, "whom, then what: ben checkout is down, please join"),
        Action::Undo => with_id(model, |m, id| act(m, Effect::Undo(id))),
        Action::Similar => with_id(model, |_, id| vec![Effect::Similar(id)]),
        Action::ReadIn => show_brief(model, Reader::Joining),
        Action::HandOver => show_brief(model, Reader::TakingOver),
        Action::GraphAt => jump(model, true),
        Action::LogAt => jump(model, false),
        Action::FilterKind => {
            if let Some(room) = &mut model.room {
                room.shown = room.shown.next();
            }
            Vec::new()
        }
        Action::Support => judge(model, Verdict::Supported),
        Action::Refute => judge(model, Verdict::Refuted),
        Action::Object => remark(model, Remark::Objection),
        Action::Outcome => remark(model, Remark::Outcome),
        Action::ActionOwner => with_item(model, |m, a| line(m, "Owner", Purpose::Owner(a), "one name")),
        Action::ActionDue => with_item(model, |m, a| line(m, "Due", Purpose::Due(a), "a date such as 2026-12-01")),
        Action::ActionDrop => {
            with_item(model, |m, a| line(m, "Not done, because", Purpose::DropReason(a), "the decision is kept with the item"))
        }
        Action::Acknowledge => match current(model).and_then(|i| i.acknowledged_at) {
            Some(_) => {
                line(model, "Take the acknowledgement back: why", Purpose::Unacknowledge, "nobody is on it after all, because …")
            }
            None => with_id(model, |m, id| act(m, Effect::Acknowledge(id))),
        },
        Action::Grade => {
            let rows = Grade::ALL.iter().map(|g| (g.title().to_owned(), String::new())).collect();
            choose(model, "How close was the diagnosis", rows, Choice::Grade(Grade::ALL.to_vec()))
        }
        Action::Renounce => {
            let held: Vec<(Role, String)> =
                current(model).map(|i| i.roles.iter().map(|(r, h)| (*r, h.clone())).collect()).unwrap_or_default();
            if held.is_empty() {
                model.say(Tone::Plain, "nobody has a role; c gives one");
                return Vec::new();
            }
            let rows = held.iter().map(|(r, h)| (r.title().to_owned(), h.clone())).collect();
            choose(model, "Give up which role", rows, Choice::Renounce(held))
        }
        Action::SetSeverity => choose_severity(model),
        Action::SetStatus => choose_status(model),
        Action::Resolve => move_status(model, Status::Resolved),
        Action::Reopen => line(model, "Reopen: why", Purpose::ReopenReason, "it was not over, because …"),
        Action::AssignRole => {
            let rows = Role::ALL.iter().map(|r| (r.title().to_owned(), r.duty().to_owned())).collect();
            choose(model, "Which role", rows, Choice::Role(Role::ALL.to_vec()))
        }
        Action::AddAction => {
            let rows = [
                ("prevent", "so that it cannot happen again"),
                ("mitigate", "so that it hurts less"),
                ("detect", "so that we see it sooner"),
                ("process", "so that we respond better"),
            ];
            choose(
                model,
                "Action item: what for",
                rows.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec(),
                Choice::ActionKind(ActionKind::ALL.to_vec()),
            )
        }
        Action::Ask => line(model, "Ask", Purpose::Question, "troubleshoot, postmortem, or a question in your own words"),
        Action::Export => {
            let name = model.room.as_ref().map_or_else(|| "postmortem.md".to_owned(), |r| format!("{}.md", r.id));
            let hint = "a path; .md, .html or .json decides the format".to_owned();
            show(
                model,
                Overlay::Line { title: "Export to".to_owned(), edit: LineEdit::with(name), purpose: Purpose::ExportPath, hint },
            )
        }
        Action::OpenEvidence => open_evidence(model),
        Action::CopyQuery => copy(
            model,
            |m| {
                let room = m.room.as_ref()?;
                let id = room.selected_evidence()?;
                room.incident.as_ref()?.evidence(id).map(|e| e.query.clone())
            },
            "there is no evidence yet: i investigates",
        ),
        Action::OpenEntry => open_entry(model),
        Action::Correct => correct(model),
        Action::Details => {
            if let Some(room) = &mut model.room {
                room.show_details = !room.show_details;
            }
            Vec::new()
        }
        Action::Follow => {
            model.logs.is_following = !model.logs.is_following;
            if !model.logs.is_following {
                model.logs.selected = model.logs.taken().checked_sub(1);
            }
            Vec::new()
        }
        Action::OnlyErrors => {
            model.logs.only_errors = !model.logs.only_errors;
            Vec::new()
        }
        Action::Wrap => {
            model.logs.wrap = !model.logs.wrap;
            Vec::new()
        }
        Action::PatternLines => pattern_lines(model),
        Action::LogView => {
            let Some(room) = &mut model.room else { return Vec::new() };
            room.show_lines = !room.show_lines;
            if !room.show_lines && room.patterns("").is_empty() {
                model.say(Tone::Plain, "no patterns yet: i investigates");
            }
            Vec::new()
        }
        Action::MarkSignal => mark_signal(model),
        Action::NextError => to_error(model, true),
        Action::PreviousError => to_error(model, false),
        Action::LineToNote => line_to_note(model),
        Action::CopyLine => copy(model, |m| m.logs.current().map(|l| l.message.clone()), "there is no line"),
        Action::AskTroubleshoot => ask(model, "troubleshoot".to_owned()),
        Action::AskPostmortem => ask(model, "postmortem".to_owned()),
        Action::Preview => with_id(model, |m, id| {
            m.overlay = Some(Overlay::Text { title: PREVIEW.to_owned(), text: "…".to_owned(), scroll: 0 });
            vec![Effect::Plan { id, question: "troubleshoot".to_owned() }]
        }),
        Action::Accept => accept(model),
        Action::ActionDone => with_item(model, |m, a| {
            line(
                m,
                "Done: what came of it",
                Purpose::Result(a),
                "in a few words; ⏎ alone is fine; not yet: again 10 still looking",
            )
        }),
        Action::CopyReport => copy(model, |m| m.room.as_ref()?.report.clone(), "the report is being made"),
    }
}

pub(super) fn show(model: &mut Model, overlay: Overlay) -> Vec<Effect> {
    model.overlay = Some(overlay);
    Vec::new()
}

/// Hands a fact to the journal; counted until it answers.
pub(super) fn act(model: &mut Model, effect: Effect) -> Vec<Effect> {
    model.unsaved += 1;
    vec![effect]
}

pub(super) fn with_id(model: &mut Model, then: impl FnOnce(&mut Model, IncidentId) -> Vec<Effect>) -> Vec<Effect> {
    match model.room.as_ref().map(|r| r.id) {
        Some(id) => then(model, id),
        None => Vec::new(),
    }
}

pub(super) fn line(model: &mut Model, title: &str, purpose: Purpose, hint: &str) -> Vec<Effect> {
    show(model, Overlay::Line { title: title.to_owned(), edit: LineEdit::default(), purpose, hint: hint.to_owned() })
}

fn copy(model: &mut Model, what: impl Fn(&Model) -> Option<String>, otherwise: &str) -> Vec<Effect> {
    match what(model) {
        Some(text) => {
            model.say(Tone::Good, "copied (by OSC 52; tmux needs set-clipboard on)");
            vec![Effect::Copy(text)]
        }
        None => {
            model.say(Tone::Plain, otherwise);
            Vec::new()
        }
    }
}

fn filter(model: &mut Model) -> Vec<Effect> {
    let now = match (model.screen, &model.room) {
        (Screen::Board, _) => model.board.filter.clone(),
        (Screen::Room, Some(room)) if room.tab == Tab::Logs => model.logs.filter.clone(),
        (Screen::Room, Some(room)) => room.filter.clone(),
        (Screen::Room, None) => String::new(),
    };
    let hint = "words that must occur; !word must not; ~regex; ⏎ keeps, ↑ recalls, esc clears".to_owned();
    show(model, Overlay::Line { title: "Filter".to_owned(), edit: LineEdit::with(now), purpose: Purpose::Filter, hint })
}

pub(super) fn mark(model: &mut Model) -> Vec<Effect> {
    let place = model.board.position().unwrap_or(0);
    let prints = model.board.below(place);
    let all_marked = prints.iter().all(|f| model.board.marked.contains(f));
    for print in prints {
        if all_marked {
            model.board.marked.remove(&print);
        } else {
            model.board.marked.insert(print);
        }
    }
    step_board(model, 1)
}

fn declare(model: &mut Model) -> Vec<Effect> {
    let chosen = model.board.chosen();
    let (proposed, reason) = propose(&chosen);
    let title = chosen
        .iter()
        .min_by_key(|a| (a.severity, a.pending_since.or(a.starts_at)))
        .map_or_else(String::new, |a| a.summary().to_owned());
    let alerts = chosen.iter().map(|a| LinkedAlert::from_alert(a)).collect();
    let reason = if chosen.is_empty() { "no alert is chosen".to_owned() } else { reason };
    let form =
        DeclareForm { title: LineEdit::with(title), severity: proposed, proposed, reason, alerts, is_commander: true, field: 0 };
    show(model, Overlay::Declare(Box::new(form)))
}

/// `[E3][E4]`, or nothing.
pub(super) fn tagged(ids: &[EvidenceId]) -> String {
    ids.iter().map(|id| format!("[{id}]")).collect()
}

fn show_brief(model: &mut Model, reader: Reader) -> Vec<Effect> {
    let (now, monitor) = (model.now, model.monitor);
    let Some(incident) = current(model) else { return Vec::new() };
    let text = brief(incident, reader, now, monitor, incident.head.update_due());
    let title = if reader == Reader::Joining { "Read-in · y copies" } else { "Hand-over · y copies · c gives the command" };
    show(model, Overlay::Text { title: title.to_owned(), text, scroll: 0 })
}

/// The entry that the timeline stands on.
pub(super) fn selected_entry(model: &Model) -> Option<&Entry> {
    let room = model.room.as_ref()?;
    room.shown_entries().get(room.entry_position()).copied()
}

/// Twice the window of the last investigation.
fn widen(model: &mut Model) -> Vec<Effect> {
    let now = model.now;
    let Some(length) = current(model).map(|i| i.investigation.as_ref().map_or_else(|| i.window(now), |n| n.window).length())
    else {
        return Vec::new();
    };
    let twice = length.saturating_mul(2);
    with_id(model, |m, id| {
        if let Some(room) = &mut m.room {
            if room.investigating.is_some() {
                m.say(Tone::Plain, "an investigation is under way");
                return Vec::new();
            }
            room.investigating = Some(format!("looking at the last {}", crate::telemetry::time::human_duration(twice)));
        }
        vec![Effect::Investigate(id, Some(twice))]
    })
}

fn correct(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &model.room else { return Vec::new() };
    // Of a note its own words: what kind it is stays.
    let words = |e: &Entry| match &e.fact {
        Fact::Note { text, .. } => text.clone(),
        fact => fact.sentence(),
    };
    let Some((seq, text, is_told)) =
        room.shown_entries().get(room.entry_position()).map(|e| (e.seq, words(e), e.fact.can_be_corrected()))
    else {
        return Vec::new();
    };
    if !is_told {
        model.say(Tone::Plain, "this entry tells what was done: u takes your last change back, or make the change anew");
        return Vec::new();
    }
    let hint = "the original stays in the journal and is marked as corrected".to_owned();
    show(
        model,
        Overlay::Line {
            title: format!("Correct entry {seq}"),
            edit: LineEdit::with(text),
            purpose: Purpose::Correction(seq),
            hint,
        },
    )
}

/// Notes the selected suspect, or evidence, in the timeline.
fn mark_signal(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &model.room else { return Vec::new() };
    let cited = |ids: &[EvidenceId]| ids.iter().map(|id| format!("[{id}]")).collect::<String>();
    let note = match room.selected_suspect() {
        Some(s) => {
            let service = s.service.as_deref().map(|s| format!("{s}: ")).unwrap_or_default();
            Some((format!("marked: {service}{} {}", s.why, cited(&s.evidence)), s.changed_at))
        }
        None => room.selected_evidence().and_then(|id| {
            let record = room.incident.as_ref()?.evidence(id)?;
            Some((format!("marked: {} [{id}]", record.summary), None))
        }),
    };
    let Some((text, at)) = note else {
        model.say(Tone::Plain, "no evidence here; i investigates");
        return Vec::new();
    };
    with_id(model, |m, id| act(m, Effect::Note { id, text, kind: NoteKind::Observation, at }))
}

/// Starts a question; one at a time.
pub(super) fn ask(model: &mut Model, question: String) -> Vec<Effect> {
    model.requests += 1;
    let request = model.requests;
    let Some(room) = &mut model.room else { return Vec::new() };
    if room.streaming.is_some() {
        model.say(Tone::Plain, "an answer is still coming; esc cancels it");
        return Vec::new();
    }
    room.streaming = Some(Streaming { request, question: question.clone(), text: String::new(), status: "asking".to_owned() });
    room.scroll = usize::MAX / 2;
    let id = room.id;
    let mut effects = tab(model, Tab::Assistant);
    if let Some(room) = &mut model.room {
        room.scroll = usize::MAX / 2;
    }
    effects.push(Effect::Ask { id, request, question });
    effects
}

fn accept(model: &mut Model) -> Vec<Effect> {
    let open = current(model).and_then(|i| {
        i.answers.iter().rev().find(|a| a.accepted_by.is_none() && a.answer.source == AnswerSource::Llm).map(|a| (i.id(), a.seq))
    });
    match open {
        Some((id, seq)) => act(model, Effect::Accept { id, seq }),
        None => {
            model.say(Tone::Plain, "no draft of a model waits to be accepted");
            Vec::new()
        }
    }
}
