//! Going about: from row to row, from view to view, from a finding to what it is about, and out.

use super::super::board::Pane;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::Effect;
use super::super::overlay::Overlay;
use super::super::room::{Room, Tab};
use super::perform::{selected_entry, show};
use super::{current, open_room, refresh_tab};
use crate::incident::{EvidenceId, EvidenceKind, Fact, FindingKind, IncidentId, cited_ids};
use crate::telemetry::Timestamp;

/// How far from an entry evidence may end to be shown for it.
const NEAR: std::time::Duration = std::time::Duration::from_secs(900);
/// How far from a moment a log line still tells of it.
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

fn shift(position: usize, by: isize, length: usize) -> usize {
    let last = length.saturating_sub(1);
    match by {
        isize::MIN => 0,
        isize::MAX => last,
        by => position.saturating_add_signed(by).min(last),
    }
}

/// Moves the selection of whatever list has the keys.
pub(super) fn step(model: &mut Model, by: isize) -> Vec<Effect> {
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

pub(super) fn step_board(model: &mut Model, by: isize) -> Vec<Effect> {
    if model.board.pane == Pane::Incidents {
        let ids: Vec<IncidentId> = model.board.listed_incidents().iter().map(|h| h.id).collect();
        let place = model.board.selected_incident.and_then(|id| ids.iter().position(|i| *i == id)).unwrap_or(0);
        model.board.selected_incident = ids.get(shift(place, by, ids.len())).copied();
        return Vec::new();
    }
    let place = shift(model.board.position().unwrap_or(0), by, model.board.rows().len());
    model.board.select(place);
    Vec::new()
}

pub(super) fn back(model: &mut Model) -> Vec<Effect> {
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
pub(super) fn quit(model: &mut Model) -> Vec<Effect> {
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

pub(super) fn open(model: &mut Model) -> Vec<Effect> {
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

pub(super) fn tab(model: &mut Model, to: Tab) -> Vec<Effect> {
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

pub(super) fn beside(model: &mut Model, by: isize) -> Vec<Effect> {
    match model.room.as_ref().map(|r| r.tab.beside(by)) {
        Some(to) => tab(model, to),
        None => Vec::new(),
    }
}

/// From an entry to the graph, or the log lines, of its minute: what the entry cites first, else what covers the moment.
pub(super) fn jump(model: &mut Model, to_graph: bool) -> Vec<Effect> {
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

/// Log evidence that the entry cites, else such that has lines of that minute.
fn lines_at(model: &Model, cited: &[EvidenceId], at: Timestamp) -> Option<EvidenceId> {
    let (room, incident) = model.room.as_ref().and_then(|r| r.incident.as_ref().map(|i| (r, i)))?;
    let is_log = |e: &&crate::incident::EvidenceRecord| matches!(e.kind, EvidenceKind::Logs | EvidenceKind::Patterns);
    let near = |l: &crate::telemetry::LogLine| l.at.is_some_and(|t| t.since(at).max(at.since(t)) <= MINUTE);
    let has = |e: &&crate::incident::EvidenceRecord| matches!(room.bodies.get(&e.digest), Some(crate::evidence::Body::Lines { lines }) if lines.iter().any(near));
    let by_cite = cited.iter().filter_map(|id| incident.evidence(*id)).find(is_log);
    by_cite.or_else(|| incident.evidence.iter().find(has)).map(|e| e.id)
}

pub(super) fn open_evidence(model: &mut Model) -> Vec<Effect> {
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

pub(super) fn open_entry(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &model.room else { return Vec::new() };
    let entry = room.shown_entries().get(room.entry_position()).map(|e| (e.seq, e.fact.clone()));
    match entry {
        Some((seq, Fact::AiRun { answer })) => show(
            model,
            Overlay::Text { title: format!("entry {seq}: {}", answer.claim_summary()), text: answer.answer, scroll: 0 },
        ),
        Some((_, Fact::Note { text, .. })) => open_evidence_id(model, cited_ids(&text).first().copied()),
        Some((_, fact)) => open_evidence_id(model, fact.evidence().first().copied()),
        None => Vec::new(),
    }
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
