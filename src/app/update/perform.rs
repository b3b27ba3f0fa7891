//! Actions on the model: a table of short arms.

use super::super::action::Action;
use super::super::board::Pane;
use super::super::edit::LineEdit;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::{Effect, ImpactPart};
use super::super::overlay::{Choice, DeclareForm, Overlay, Purpose};
use super::super::room::{Room, Streaming, Tab};
use super::logs::{line_to_note, pattern_lines, search, to_error, to_hit};
use super::{PREVIEW, current, open_room, propose, refresh_tab};
use crate::incident::brief::{Reader, brief};
use crate::incident::gate::{gates, open_for};
use crate::incident::{
    ActionId, ActionKind, AnswerSource, Audience, Entry, EventKind, EvidenceId, EvidenceKind, Fact, FindingKind, Grade,
    IncidentId, Level, LinkedAlert, Milestone, NoteKind, Remark, Role, Severity, Status, Verdict, cited_ids,
};
use crate::telemetry::Timestamp;

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
            let rows = Level::ALL.iter().map(|l| (l.word().to_owned(), l.title().to_owned())).collect();
            choose(model, "Escalate to", rows, Choice::Level(Level::ALL.to_vec()))
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

fn line(model: &mut Model, title: &str, purpose: Purpose, hint: &str) -> Vec<Effect> {
    show(model, Overlay::Line { title: title.to_owned(), edit: LineEdit::default(), purpose, hint: hint.to_owned() })
}

fn choose(model: &mut Model, title: &str, rows: Vec<(String, String)>, choice: Choice) -> Vec<Effect> {
    show(model, Overlay::Choose { title: title.to_owned(), rows, selected: 0, choice })
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

fn shift(position: usize, by: isize, length: usize) -> usize {
    let last = length.saturating_sub(1);
    match by {
        isize::MIN => 0,
        isize::MAX => last,
        by => position.saturating_add_signed(by).min(last),
    }
}

/// Moves the selection of whatever list has the keys.
fn step(model: &mut Model, by: isize) -> Vec<Effect> {
    if model.screen == Screen::Board {
        return step_board(model, by);
    }
    let Some(room) = &mut model.room else { return Vec::new() };
    match room.tab {
        Tab::Timeline => {
            let place = shift(room.entry_position(), by, room.shown_entries().len());
            room.entry = room.shown_entries().get(place).map(|e| e.seq);
        }
        Tab::Signals => {
            // Suspects first, the evidence below.
            let (suspects, evidence) = (room.suspects().len(), room.shown_evidence().len());
            let at = room.suspect.filter(|_| suspects > 0).map_or(suspects + room.evidence_position(), |s| s.min(suspects - 1));
            let place = shift(at, by, suspects + evidence);
            room.suspect = (place < suspects).then_some(place);
            if let Some(row) = place.checked_sub(suspects) {
                room.evidence = room.shown_evidence().get(row).copied();
            }
        }
        Tab::Logs if room.shows_patterns() => {
            room.pattern = shift(room.pattern, by, room.patterns(&model.logs.filter).len());
        }
        Tab::Logs => match by {
            isize::MAX => {
                model.logs.is_following = true;
                model.logs.selected = None;
            }
            by => model.logs.step(by.max(-10_000)),
        },
        Tab::Actions => room.action = shift(room.action, by, room.incident.as_ref().map_or(0, |i| i.actions.len())),
        // The end of a text is clamped where its height is known, when it is drawn.
        Tab::Overview | Tab::Assistant | Tab::Report => {
            room.scroll = match by {
                isize::MIN => 0,
                isize::MAX => usize::MAX / 2,
                by => room.scroll.saturating_add_signed(by),
            };
        }
    }
    Vec::new()
}

fn step_board(model: &mut Model, by: isize) -> Vec<Effect> {
    if model.board.pane == Pane::Incidents {
        let ids: Vec<IncidentId> = model.board.listed_incidents().iter().map(|h| h.id).collect();
        let place = model.board.selected_incident.and_then(|id| ids.iter().position(|i| *i == id)).unwrap_or(0);
        model.board.selected_incident = ids.get(shift(place, by, ids.len())).copied();
        return Vec::new();
    }
    let before = model.board.current().map(|a| a.fingerprint.clone());
    let place = shift(model.board.position().unwrap_or(0), by, model.board.rows().len());
    model.board.select(place);
    match model.board.current() {
        Some(alert) if Some(&alert.fingerprint) != before.as_ref() => vec![Effect::FetchSeries(Box::new(alert.clone()))],
        _ => Vec::new(),
    }
}

fn back(model: &mut Model) -> Vec<Effect> {
    if model.screen == Screen::Board {
        if !model.board.filter.is_empty() {
            model.board.filter.clear();
            model.board.lay_out();
        } else if !model.board.marked.is_empty() {
            model.board.marked.clear();
        } else {
            model.say(Tone::Plain, "this is the board; q quits");
        }
        return Vec::new();
    }
    if let Some(room) = &mut model.room {
        if room.streaming.is_some() {
            model.say(Tone::Plain, "cancelled; what came is kept");
            return vec![Effect::CancelAsk];
        }
        if !room.filter.is_empty() {
            room.filter.clear();
            return Vec::new();
        }
        if room.tab == Tab::Logs && !model.logs.search.is_empty() {
            model.logs.search.clear();
            return Vec::new();
        }
        if room.tab == Tab::Logs && !model.logs.filter.is_empty() {
            model.logs.filter.clear();
            return Vec::new();
        }
    }
    leave(model)
}

fn leave(model: &mut Model) -> Vec<Effect> {
    model.screen = Screen::Board;
    model.present.clear();
    let mut effects = vec![Effect::ListIncidents, Effect::Enter(None)];
    if std::mem::take(&mut model.logs.is_live) {
        effects.push(Effect::StopLogs);
    }
    effects
}

/// Back, and from the board out; asks only when something would be lost.
fn quit(model: &mut Model) -> Vec<Effect> {
    if model.screen == Screen::Room {
        return leave(model);
    }
    let streaming = model.room.as_ref().is_some_and(|r| r.streaming.is_some());
    if streaming || model.unsaved > 0 || !model.not_written.is_empty() {
        let lines = if streaming {
            vec!["an answer is still coming; what came so far is kept".to_owned()]
        } else if model.not_written.is_empty() {
            vec![format!("still being written: {}", crate::telemetry::words::count(model.unsaved, "fact"))]
        } else {
            vec![format!(
                "{} could not be written and would be lost; C-r tries again",
                crate::telemetry::words::count(model.not_written.len(), "fact")
            )]
        };
        return show(model, Overlay::Confirm { title: "Quit".to_owned(), lines, yes: false, effect: Box::new(Effect::Quit) });
    }
    vec![Effect::Quit]
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

fn open(model: &mut Model) -> Vec<Effect> {
    let id = match model.board.pane {
        Pane::Incidents => model.board.selected_incident,
        Pane::Alerts => {
            let prints = model.board.below(model.board.position().unwrap_or(0));
            prints.iter().find_map(|f| model.board.owner(f))
        }
    };
    match id {
        Some(id) => open_room(model, id),
        None => {
            let why = match model.board.pane {
                Pane::Incidents => "there is no incident; d on an alert declares one",
                Pane::Alerts => "this alert belongs to no incident; d declares one",
            };
            model.say(Tone::Plain, why);
            Vec::new()
        }
    }
}

fn mark(model: &mut Model) -> Vec<Effect> {
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

fn link(model: &mut Model) -> Vec<Effect> {
    let prints: Vec<String> = model.board.chosen().iter().map(|a| a.fingerprint.clone()).collect();
    let open: Vec<(IncidentId, (String, String))> =
        model.board.open_incidents().iter().map(|h| (h.id, (format!("{} {}", h.id, h.severity), h.title.clone()))).collect();
    if prints.is_empty() || open.is_empty() {
        let why = if prints.is_empty() { "select an alert first" } else { "no incident is open; d declares one" };
        model.say(Tone::Plain, why);
        return Vec::new();
    }
    let (ids, rows) = open.into_iter().unzip();
    let title = format!("Link {} to", crate::telemetry::words::count(prints.len(), "alert"));
    choose(model, &title, rows, Choice::LinkTo(ids, prints))
}

fn tab(model: &mut Model, to: Tab) -> Vec<Effect> {
    let Some(room) = &mut model.room else { return Vec::new() };
    if std::mem::replace(&mut room.tab, to) != to {
        room.scroll = 0;
    }
    let mut effects = refresh_tab(room);
    // Lines that come while another view is looked at are not missed.
    if to == Tab::Logs && !model.logs.is_live {
        model.logs.begin();
        effects.push(Effect::FollowLogs);
    }
    effects
}

fn beside(model: &mut Model, by: isize) -> Vec<Effect> {
    match model.room.as_ref().map(|r| r.tab.beside(by)) {
        Some(to) => tab(model, to),
        None => Vec::new(),
    }
}

/// `[E3][E4]`, or nothing.
fn tagged(ids: &[EvidenceId]) -> String {
    ids.iter().map(|id| format!("[{id}]")).collect()
}

/// The severity that the last investigation proposes, and why, with its evidence.
pub(super) fn proposed_severity(model: &Model) -> Option<(Severity, String)> {
    let found = &current(model)?.investigation.as_ref()?.findings;
    found.iter().find_map(|f| f.proposed().map(|(severity, why)| (severity, format!("{why} {}", tagged(&f.evidence)))))
}

fn choose_severity(model: &mut Model) -> Vec<Effect> {
    let now = current(model).map(|i| i.head.severity);
    let proposed = proposed_severity(model).map(|(severity, _)| severity);
    let mark = |s: Severity| match (Some(s) == now, Some(s) == proposed) {
        (true, true) => " (now, proposed)",
        (true, false) => " (now)",
        (false, true) => " (proposed)",
        (false, false) => "",
    };
    let rows = Severity::ALL.iter().map(|s| (format!("{s}{}", mark(*s)), model.matrix.meaning(*s).to_owned())).collect();
    show(
        model,
        Overlay::Choose {
            title: "Severity: when unsure, the higher one".to_owned(),
            rows,
            // What the evidence speaks for is offered, else the higher one.
            selected: match proposed.filter(|p| Some(*p) != now) {
                Some(proposed) => usize::from(proposed.number()).saturating_sub(1),
                None => now.map_or(0, |s| usize::from(s.number()).saturating_sub(2)),
            },
            choice: Choice::Severity(Severity::ALL.to_vec()),
        },
    )
}

fn choose_status(model: &mut Model) -> Vec<Effect> {
    let usable = [
        Status::Investigating,
        Status::Identified,
        Status::Mitigated,
        Status::Monitoring,
        Status::Resolved,
        Status::Closed,
        Status::Cancelled,
        Status::Triage,
    ];
    let meaning = |s: Status| match s {
        Status::Investigating => "the cause is being looked for",
        Status::Identified => "the cause is known",
        Status::Mitigated => "the impact is contained, the cause not yet fixed",
        Status::Monitoring => "fixed; watched for a while",
        Status::Resolved => "the service is restored",
        Status::Closed => "the review was held",
        Status::Triage => "not yet known to be an incident",
        _ => "a false alarm",
    };
    let now = current(model).map(|i| i.head.status);
    let rows =
        usable.iter().map(|s| (format!("{s}{}", if Some(*s) == now { " (now)" } else { "" }), meaning(*s).to_owned())).collect();
    choose(model, "Status", rows, Choice::Status(usable.to_vec()))
}

/// Moves the status; where gate items are open for it, asks why they do not matter.
pub(super) fn move_status(model: &mut Model, to: Status) -> Vec<Effect> {
    let (now, monitor) = (model.now, model.monitor);
    let Some(incident) = current(model) else { return Vec::new() };
    let id = incident.id();
    let all = gates(incident, now, monitor);
    let open: Vec<&str> = open_for(&all, to).iter().map(|g| g.item).collect();
    let title = incident.head.title.clone();
    if !open.is_empty() {
        let hint = format!("open: {} · K shows them, esc goes back", open.join(", "));
        return line(model, &format!("{} open for {to}: why go on", open.len()), Purpose::Override(to), &hint);
    }
    if to == Status::Cancelled {
        return line(model, "Cancelled: why", Purpose::CancelReason, "what made it a false alarm");
    }
    if to.is_open() {
        return act(model, Effect::SetStatus { id, to, over: None, reason: None });
    }
    let lines = vec![format!("{id} {title} becomes {to}, in the timeline as by {}", model.user)];
    let effect = Box::new(Effect::SetStatus { id, to, over: None, reason: None });
    show(model, Overlay::Confirm { title: format!("{to}?"), lines, yes: false, effect })
}

/// The first open item of the checklist.
fn first_open(model: &Model) -> usize {
    current(model).and_then(|i| gates(i, model.now, model.monitor).iter().position(|g| !g.met)).unwrap_or(0)
}

fn choose_moment(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let rows = Milestone::ALL
        .iter()
        .map(|m| {
            let at = incident.milestone(*m).map_or_else(|| "unknown".to_owned(), |t| format!("{} UTC", t.date_clock()));
            (m.title().to_owned(), at)
        })
        .collect();
    choose(model, "Which moment", rows, Choice::Milestone(Milestone::ALL.to_vec()))
}

fn choose_unlink(model: &mut Model) -> Vec<Effect> {
    let Some(incident) = current(model) else { return Vec::new() };
    let rows: Vec<(String, String)> = incident.alerts.iter().map(|a| (a.label(), a.fingerprint.clone())).collect();
    let prints: Vec<String> = incident.alerts.iter().map(|a| a.fingerprint.clone()).collect();
    if prints.is_empty() {
        model.say(Tone::Plain, "no alert is linked");
        return Vec::new();
    }
    choose(model, "Take which alert away", rows, Choice::Unlink(prints))
}

fn choose_merge(model: &mut Model) -> Vec<Effect> {
    let own = model.room.as_ref().map(|r| r.id);
    let open: Vec<(IncidentId, (String, String))> = model
        .board
        .open_incidents()
        .iter()
        .filter(|h| Some(h.id) != own)
        .map(|h| (h.id, (format!("{} {}", h.id, h.severity), h.title.clone())))
        .collect();
    if open.is_empty() {
        model.say(Tone::Plain, "no other incident is open");
        return Vec::new();
    }
    let (ids, rows) = open.into_iter().unzip();
    choose(model, "Make this a part of", rows, Choice::MergeInto(ids))
}

fn show_brief(model: &mut Model, reader: Reader) -> Vec<Effect> {
    let (now, monitor) = (model.now, model.monitor);
    let Some(incident) = current(model) else { return Vec::new() };
    let text = brief(incident, reader, now, monitor, incident.head.update_due());
    let title = if reader == Reader::Joining { "Read-in · y copies" } else { "Hand-over · y copies · c gives the command" };
    show(model, Overlay::Text { title: title.to_owned(), text, scroll: 0 })
}

/// The entry that the timeline stands on.
fn selected_entry(model: &Model) -> Option<&Entry> {
    let room = model.room.as_ref()?;
    room.shown_entries().get(room.entry_position()).copied()
}

/// How far from an entry evidence may end to be shown for it.
const NEAR: std::time::Duration = std::time::Duration::from_secs(900);

/// From an entry to the graph, or the log lines, of its minute: what the entry cites first, else what covers the moment.
fn jump(model: &mut Model, to_graph: bool) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    let (at, cited) = (entry.at, entry.fact.evidence());
    let wanted = |kind: EvidenceKind| match kind {
        EvidenceKind::Metric => to_graph,
        EvidenceKind::Logs | EvidenceKind::Patterns => !to_graph,
        _ => false,
    };
    // Of log lines only those of that very minute will do; without them the sources are asked.
    if !to_graph {
        if let Some(id) = lines_at(model, &cited, at) {
            return show(model, Overlay::Evidence { id, scroll: usize::MAX, at: Some(at) });
        }
        if model.has_logs {
            model.say(Tone::Plain, format!("asking the log sources about {}Z", at.clock(time::UtcOffset::UTC)));
            return vec![Effect::LogsAt(at)];
        }
    }
    let found = current(model).and_then(|i| {
        let usable = |id: &EvidenceId| i.evidence(*id).is_some_and(|e| wanted(e.kind));
        let by_cite = cited.iter().copied().find(usable);
        let covers = |e: &&crate::incident::EvidenceRecord| wanted(e.kind) && e.window.contains(at);
        // Findings first: they are in the order of what tells most.
        let by_finding = i
            .investigation
            .iter()
            .flat_map(|n| n.findings.iter().flat_map(|f| f.evidence.iter()))
            .copied()
            .find(|id| i.evidence(*id).as_ref().is_some_and(covers));
        let covering = by_cite.or(by_finding).or_else(|| i.evidence.iter().find(covers).map(|e| e.id));
        // What ends a little before, or begins a little after, still shows where things were going.
        let away = |e: &crate::incident::EvidenceRecord| at.since(e.window.end).max(e.window.start.since(at));
        covering.map(|id| (id, true)).or_else(|| {
            let near = i.evidence.iter().filter(|e| wanted(e.kind) && away(e) <= NEAR);
            near.min_by_key(|e| away(e)).map(|e| (e.id, false))
        })
    });
    match found {
        Some((id, covers)) => {
            if !covers {
                model.say(Tone::Plain, "this evidence does not reach that minute: i looks again, w at a wider window");
            }
            show(model, Overlay::Evidence { id, scroll: usize::MAX, at: Some(at) })
        }
        None => {
            let what = if to_graph { "metric" } else { "log" };
            model.say(
                Tone::Plain,
                format!("no {what} evidence covers {}Z; w looks at a wider window", at.clock(time::UtcOffset::UTC)),
            );
            Vec::new()
        }
    }
}

/// How far from a moment a log line still tells of it.
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

/// Log evidence that the entry cites, else such that has lines of that minute.
fn lines_at(model: &Model, cited: &[EvidenceId], at: Timestamp) -> Option<EvidenceId> {
    let (room, incident) = model.room.as_ref().and_then(|r| r.incident.as_ref().map(|i| (r, i)))?;
    let is_log = |e: &&crate::incident::EvidenceRecord| matches!(e.kind, EvidenceKind::Logs | EvidenceKind::Patterns);
    let near = |l: &crate::telemetry::LogLine| l.at.is_some_and(|t| t.since(at).max(at.since(t)) <= MINUTE);
    let has = |e: &&crate::incident::EvidenceRecord| matches!(room.bodies.get(&e.digest), Some(crate::evidence::Body::Lines { lines }) if lines.iter().any(near));
    let by_cite = cited.iter().filter_map(|id| incident.evidence(*id)).find(is_log);
    by_cite.or_else(|| incident.evidence.iter().find(has)).map(|e| e.id)
}

fn judge(model: &mut Model, verdict: Verdict) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    if !matches!(entry.fact, Fact::Note { note_kind: NoteKind::Hypothesis, .. }) {
        model.say(Tone::Plain, "this entry is no hypothesis; H records one");
        return Vec::new();
    }
    let seq = entry.seq;
    let title = format!("Hypothesis {}: why", verdict.word());
    line(model, &title, Purpose::Judge(seq, verdict), "what shows it, with its evidence [E…]")
}

fn remark(model: &mut Model, remark: Remark) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    if !matches!(entry.fact, Fact::Note { note_kind: NoteKind::Decision, .. }) {
        model.say(Tone::Plain, "this entry is no decision; D records one");
        return Vec::new();
    }
    let seq = entry.seq;
    let (title, hint) = match remark {
        Remark::Objection => ("Objection", "what speaks against it; the decision stands until the commander changes it"),
        Remark::Outcome => ("Outcome", "what came of it"),
    };
    line(model, title, Purpose::Remark(seq, remark), hint)
}

fn with_item(model: &mut Model, then: impl FnOnce(&mut Model, ActionId) -> Vec<Effect>) -> Vec<Effect> {
    let chosen = model.room.as_ref().and_then(|r| r.incident.as_ref()?.actions.get(r.action).map(|a| (a.id, a.state)));
    match chosen {
        Some((id, state)) if state.is_open() => then(model, id),
        Some((_, state)) => {
            model.say(Tone::Plain, format!("it is {} already", state.word().replace('_', " ")));
            Vec::new()
        }
        None => {
            model.say(Tone::Plain, "there are no action items; A writes one down");
            Vec::new()
        }
    }
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
            room.investigating = Some(format!("looking at the last {}", crate::telemetry::time::human(twice)));
        }
        vec![Effect::Investigate(id, Some(twice))]
    })
}

fn open_evidence(model: &mut Model) -> Vec<Effect> {
    let id = model.room.as_ref().and_then(Room::selected_evidence);
    open_evidence_id(model, id)
}

fn open_evidence_id(model: &mut Model, id: Option<EvidenceId>) -> Vec<Effect> {
    match id {
        Some(id) => show(model, Overlay::Evidence { id, scroll: 0, at: None }),
        None => {
            model.say(Tone::Plain, "no evidence here; i investigates");
            Vec::new()
        }
    }
}

fn open_entry(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &model.room else { return Vec::new() };
    let entry = room.shown_entries().get(room.entry_position()).map(|e| (e.seq, e.fact.clone()));
    match entry {
        Some((seq, Fact::AiRun { answer })) => {
            show(model, Overlay::Text { title: format!("entry {seq}: {}", answer.verdict()), text: answer.answer, scroll: 0 })
        }
        Some((_, Fact::Note { text, .. })) => open_evidence_id(model, cited_ids(&text).first().copied()),
        Some((_, fact)) => open_evidence_id(model, fact.evidence().first().copied()),
        None => Vec::new(),
    }
}

fn correct(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &model.room else { return Vec::new() };
    // Of a note its own words: what kind it is stays.
    let words = |e: &Entry| match &e.fact {
        Fact::Note { text, .. } => text.clone(),
        fact => fact.sentence(),
    };
    let Some((seq, text, is_told)) = room.shown_entries().get(room.entry_position()).map(|e| (e.seq, words(e), e.fact.is_told()))
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

fn choose_finding(model: &mut Model) -> Vec<Effect> {
    let findings = current(model).and_then(|i| i.investigation.as_ref()).map(|i| i.findings.as_slice()).unwrap_or_default();
    let rows: Vec<(String, String)> =
        findings.iter().map(|f| (f.kind.word().to_owned(), format!("{} {}", f.title, tagged(&f.evidence)))).collect();
    let ranks = findings.iter().map(|f| f.rank).collect();
    if rows.is_empty() {
        model.say(Tone::Plain, "no findings yet: i investigates");
        return Vec::new();
    }
    choose(model, "Go to", rows, Choice::Finding(ranks))
}

/// From a finding to its graph, its pattern, or else its evidence.
pub(super) fn go_to_finding(model: &mut Model, rank: u32) -> Vec<Effect> {
    let found = current(model).and_then(|i| i.investigation.as_ref()?.findings.iter().find(|f| f.rank == rank)).cloned();
    let (Some(finding), Some(room)) = (found, model.room.as_mut()) else { return Vec::new() };
    let incident = room.incident.as_ref();
    let kind = |id: &EvidenceId| incident.and_then(|i| i.evidence(*id)).map(|e| e.kind);
    let metric = finding.evidence.iter().copied().find(|id| kind(id) == Some(EvidenceKind::Metric));
    let has_patterns = finding.evidence.iter().any(|id| kind(id) == Some(EvidenceKind::Patterns));
    if finding.kind == FindingKind::Pattern && has_patterns {
        model.logs.filter.clear();
        room.show_lines = false;
        // The title ends with the template, or its beginning.
        let template = finding.title.split_once(": ").map_or("", |(_, t)| t.trim_end_matches('…'));
        room.pattern = room.patterns("").iter().position(|(_, p)| p.template.starts_with(template)).unwrap_or(0);
        return tab(model, Tab::Logs);
    }
    let Some(id) = metric else { return open_evidence_id(model, finding.evidence.first().copied()) };
    room.filter.clear();
    // Where it is a suspect, that has the marks.
    let name = |s: &crate::incident::CitedSuspect| format!("{} {}", s.service.as_deref().unwrap_or(""), s.title);
    room.suspect =
        room.suspects().iter().position(|s| s.evidence.first() == Some(&id) && finding.title.starts_with(name(s).trim_start()));
    room.evidence = Some(id);
    tab(model, Tab::Signals)
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
