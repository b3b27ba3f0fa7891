//! Navigation: between rows, tabs and screens, from findings and entries to evidence, back, and quit.

use super::super::action::Action;
use super::super::board::Pane;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::Effect;
use super::super::overlay::{ConfirmDialog, Overlay};
use super::super::overview::row_ids;
use super::super::room::{Room, Streaming, Tab};
use super::common::{current, say, say_key, selected_entry, show, upper};
use super::history::{leave_all, leave_history, lines_around, page};
use super::overview::step_overview;
use crate::incident::ids::seq_label;
use crate::incident::{EvidenceId, EvidenceKind, Fact, FindingKind, IncidentId, cited_ids};
use crate::prompt::question::Question;
use crate::telemetry::Timestamp;

/// The title of the preview. Identifies the preview dialog when its text arrives.
pub(super) const PREVIEW: &str = "Exactly what would be sent";
/// The largest gap between an entry and the window of evidence that is still shown for it.
const MAX_GAP: std::time::Duration = std::time::Duration::from_mins(15);
/// The largest distance between a time and a log line that is shown for it.
const MINUTE: std::time::Duration = std::time::Duration::from_mins(1);

/// A position after moving by `by` rows, within the list. `isize::MIN` and `isize::MAX` go to the ends.
pub(super) fn shift(position: usize, by: isize, length: usize) -> usize {
    let last = length.saturating_sub(1);
    match by {
        isize::MIN => 0,
        isize::MAX => last,
        by => position.saturating_add_signed(by).min(last),
    }
}

/// A scroll offset after moving by `by` lines. `limit` is the largest useful offset, known from the last frame. `usize::MAX`
/// means the end and stays the end while text arrives.
pub(super) fn scroll(offset: usize, by: isize, limit: usize) -> usize {
    match by {
        isize::MIN => 0,
        isize::MAX => usize::MAX,
        by if by >= 0 && offset > limit => offset,
        by => offset.min(limit).saturating_add_signed(by),
    }
}

/// Moves the selection of the list that has the focus, or scrolls the text.
pub(super) fn step(model: &mut Model, by: isize) -> Vec<Effect> {
    if model.screen == Screen::Board {
        return step_board(model, by);
    }
    let limit = model.scroll_limit;
    let width = model.size.0;
    let Some(room) = &mut model.room else { return Vec::new() };
    match room.tab {
        Tab::Logs if !room.shows_patterns() => match by {
            isize::MAX if model.logs.history.is_none() => {
                model.logs.is_following = true;
                model.logs.selected = None;
            }
            // Beyond the first and the last line of a history, the next page is read; before the first live line begins a history.
            by => {
                let is_moved = model.logs.step(by.max(-10_000));
                let first = model.logs.span().map(|span| span.start).filter(|_| model.logs.current().is_some());
                match (is_moved, &model.logs.history, first) {
                    (false, Some(_), _) => return page(model, by > 0),
                    (false, None, Some(first)) if by < 0 => return lines_around(model, first),
                    (true, None, Some(_)) if by == isize::MIN => {
                        return say_key(model, "This is the first line that is loaded. {} reads earlier ones.", Action::Up);
                    }
                    _ => {}
                }
            }
        },
        Tab::Overview => step_overview(room, by, width, limit),
        Tab::Assistant | Tab::Updates | Tab::Report => room.scroll = scroll(room.scroll, by, limit),
        Tab::Timeline | Tab::Signals | Tab::Logs | Tab::Playbook | Tab::Actions => {
            if let Some((at, length)) = selection(model) {
                set_row(model, shift(at, by, length));
            }
        }
    }
    Vec::new()
}

/// Moves the selection of the focused list on the board.
pub(super) fn step_board(model: &mut Model, by: isize) -> Vec<Effect> {
    if let Some((at, length)) = selection(model) {
        set_row(model, shift(at, by, length));
    }
    Vec::new()
}

/// The position of the selected row of the list that has the focus, and the number of its rows. `None` for a text and for log lines.
/// In the signals tab, the suspects are listed above the evidence.
fn selection(model: &Model) -> Option<(usize, usize)> {
    let board = &model.board;
    let Some(room) = model.room.as_ref().filter(|_| model.screen == Screen::Room) else {
        return Some(match board.pane {
            Pane::Incidents => {
                let listed = board.listed_incidents();
                let at = board.selected_incident.and_then(|id| listed.iter().position(|h| h.id == id));
                (at.unwrap_or(0), listed.len())
            }
            Pane::Alerts => (board.position().unwrap_or(0), board.rows().len()),
        });
    };
    Some(match room.tab {
        Tab::Timeline => (room.entry_position(), room.shown_entries().len()),
        Tab::Signals => {
            let (suspects, evidence) = (room.suspects().len(), room.shown_evidence().len());
            let suspect = room.suspect.filter(|_| suspects > 0).map(|s| s.min(suspects - 1));
            (suspect.unwrap_or_else(|| suspects + room.evidence_position()), suspects + evidence)
        }
        Tab::Logs if room.shows_patterns() => (room.pattern, room.patterns(&model.logs.filter).len()),
        Tab::Playbook => {
            let steps = room.open_playbook(&model.playbooks).map_or(0, |p| p.steps.len());
            (room.step.min(steps.saturating_sub(1)), steps)
        }
        Tab::Actions => (room.action, room.incident.as_ref().map_or(0, |i| i.cards.len() + i.actions.len())),
        Tab::Overview => {
            let rows = room.overview_rows(model.size.0);
            (room.overview_position(&rows), rows.len())
        }
        Tab::Logs | Tab::Assistant | Tab::Updates | Tab::Report => return None,
    })
}

/// Selects a row of the list that has the focus. Returns whether another one was selected before.
pub(super) fn select(model: &mut Model, row: usize) -> bool {
    let Some((before, length)) = selection(model).filter(|(_, length)| *length > 0) else { return false };
    let row = row.min(length - 1);
    set_row(model, row);
    row != before
}

/// Selects the row at this position.
fn set_row(model: &mut Model, row: usize) {
    let width = model.size.0;
    let Some(room) = model.room.as_mut().filter(|_| model.screen == Screen::Room) else {
        match model.board.pane {
            Pane::Incidents => {
                let id = model.board.listed_incidents().get(row).map(|h| h.id);
                model.board.selected_incident = id;
            }
            Pane::Alerts => model.board.select(row),
        }
        return;
    };
    match room.tab {
        Tab::Timeline => room.entry = room.shown_entries().get(row).map(|e| e.seq),
        Tab::Signals => {
            let suspects = room.suspects().len();
            room.suspect = (row < suspects).then_some(row);
            if let Some(row) = row.checked_sub(suspects) {
                room.evidence = room.shown_evidence().get(row).copied();
            }
        }
        Tab::Logs => room.pattern = row,
        Tab::Playbook => (room.step, room.scroll) = (row, 0),
        Tab::Actions => room.action = row,
        Tab::Overview => {
            let id = row_ids(&room.overview_rows(width)).into_iter().nth(row);
            room.overview.selected = id;
            room.overview.reveals = true;
        }
        Tab::Assistant | Tab::Updates | Tab::Report => {}
    }
}

/// Clears the filter, the search or the marks, or cancels the question being answered. Never leaves the room and never
/// discards data.
pub(super) fn back(model: &mut Model) -> Vec<Effect> {
    if std::mem::take(&mut model.is_zoomed) {
        return Vec::new();
    }
    if model.screen == Screen::Board {
        if !model.board.filter.is_empty() {
            model.board.filter.clear();
            model.board.rebuild_rows();
        } else if !model.board.marked.is_empty() {
            model.board.marked.clear();
        } else {
            return say_key(model, "This is the board. Press {} to quit.", Action::Quit);
        }
        return Vec::new();
    }
    if let Some(room) = &mut model.room {
        if room.streaming.is_some() {
            room.streaming_is_cancelled();
            return vec![Effect::CancelAsk];
        }
        if !room.filter.is_empty() {
            room.filter.clear();
            return Vec::new();
        }
        if room.tab == Tab::Assistant && room.conversation.selected.take().is_some() {
            return Vec::new();
        }
        if room.tab == Tab::Logs && !model.logs.search.is_empty() {
            model.logs.search.clear();
            return Vec::new();
        }
        if room.tab == Tab::Logs && !model.logs.filter.is_empty() {
            model.logs.filter.clear();
            model.logs.reselect();
            return Vec::new();
        }
        if room.tab == Tab::Logs && leave_history(model) {
            return Vec::new();
        }
    }
    say_key(model, "This is the incident room. Press {} to leave it.", Action::Quit)
}

/// The number of rooms that keep their state beside the open one.
const MAX_PARKED: usize = 8;

/// Opens the room of an incident, as it was left. The room that was open before is kept.
pub(super) fn open_room(model: &mut Model, id: IncidentId) -> Vec<Effect> {
    if model.room.as_ref().is_none_or(|r| r.id != id) {
        // What was read belongs to the incident before.
        leave_all(model);
        let again = model.parked.iter().position(|r| r.id == id).map(|n| model.parked.remove(n));
        let before = model.room.replace(again.unwrap_or_else(|| Room::new(id)));
        model.parked.splice(0..0, before);
        model.parked.truncate(MAX_PARKED);
    }
    model.screen = Screen::Room;
    model.is_zoomed = false;
    model.colleagues.clear();
    let mut effects = vec![Effect::ReadIncident(id), Effect::Enter(Some(id))];
    // The room may have been left on its logs, which are followed again.
    if model.room.as_ref().is_some_and(|r| r.tab == Tab::Logs) {
        effects.extend(tab(model, Tab::Logs));
    }
    effects
}

/// Returns to the incident that was open before: on the board, the one that was left; in a room, the one before it.
pub(super) fn switch_incident(model: &mut Model) -> Vec<Effect> {
    let left = model.room.as_ref().filter(|_| model.screen == Screen::Board).map(|r| r.id);
    let here = model.room.as_ref().filter(|_| model.screen == Screen::Room).map(|r| r.id);
    let Some(id) = left.or_else(|| model.parked.first().map(|r| r.id)) else {
        return say(model, "No other incident was open.");
    };
    let mut effects = open_room(model, id);
    // What the tab shows depends on the incident.
    effects.extend(model.room.as_ref().map(refresh_tab).unwrap_or_default());
    if let Some(here) = here {
        let key = model.key(Action::SwitchIncident);
        model.say(Tone::Plain, format!("{id}. Press {key} to return to {here}."));
    }
    effects
}

/// Opens a tab of the room. On the board, of the incident that was left, or else of the selected one.
pub(super) fn tab_here(model: &mut Model, to: Tab) -> Vec<Effect> {
    // A message about one view means nothing in another.
    model.toast.take_if(|toast| toast.tone == Tone::Plain);
    if model.screen == Screen::Room {
        return tab(model, to);
    }
    let left = model.room.as_ref().map(|r| r.id);
    let Some(id) = left.or(model.board.selected_incident) else {
        return say_key(model, "No incidents yet. Press {} on an alert to declare one.", Action::Declare);
    };
    let mut effects = open_room(model, id);
    effects.extend(tab(model, to));
    effects
}

/// Shows the board; leaves the room if one is open.
pub(super) fn go_to_board(model: &mut Model) -> Vec<Effect> {
    if model.screen == Screen::Room { leave(model) } else { Vec::new() }
}

fn leave(model: &mut Model) -> Vec<Effect> {
    model.screen = Screen::Board;
    // A message about the room means nothing on the board.
    model.toast = None;
    model.colleagues.clear();
    let mut effects = vec![Effect::ListIncidents, Effect::Enter(None)];
    leave_all(model);
    model.is_zoomed = false;
    if std::mem::take(&mut model.logs.is_live) {
        effects.push(Effect::StopLogs);
    }
    effects
}

/// Leaves the room; on the board, quits. Asks first if an answer or unsaved changes are pending.
pub(super) fn quit(model: &mut Model) -> Vec<Effect> {
    use crate::telemetry::words::count;
    if model.screen == Screen::Room {
        return leave(model);
    }
    let is_streaming = model.room.iter().chain(&model.parked).any(|r| r.streaming.is_some());
    let line = if let Some(running) = &model.running {
        format!("{} is still running. Quitting stops it.", upper(&running.title))
    } else if is_streaming {
        "An answer is still arriving. If you quit, only the part that has arrived is kept.".to_owned()
    } else if !model.not_written.is_empty() {
        let n = count(model.not_written.len(), "change");
        format!(
            "{n} could not be saved and will be lost. To keep them, answer No and press {} to retry.",
            model.key(Action::Retry)
        )
    } else if model.unsaved > 0 {
        format!("Still saving {}.", count(model.unsaved, "change"))
    } else {
        return vec![Effect::Quit];
    };
    show(model, Overlay::Confirm(ConfirmDialog::new("Quit", vec![line], Effect::Quit)))
}

/// Opens the selected incident, or the incident of the selected alert.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let (id, ended) = match model.board.pane {
        Pane::Incidents => (model.board.selected_incident, None),
        Pane::Alerts => {
            let fingerprints = model.board.fingerprints_at(model.board.position().unwrap_or(0));
            let alerts = || model.board.alerts.iter().filter(|a| fingerprints.contains(&a.fingerprint));
            let has_ended = |alert: &crate::telemetry::Alert| {
                let linked = model.board.incidents.iter().filter(|i| i.linked.iter().any(|l| l.is(alert)));
                linked.max_by_key(|i| i.declared_at).map(|i| (i.id, i.status))
            };
            (alerts().find_map(|a| model.board.owner(a)), alerts().find_map(has_ended))
        }
    };
    if let (None, Some((id, status))) = (id, ended) {
        // Another incident for the same alert would split its story.
        let words = format!("{id} has this alert and is {status}. {} reopens it.", model.key(Action::Reopen));
        let effects = open_room(model, id);
        model.say(Tone::Plain, words);
        return effects;
    }
    match (id, model.board.pane) {
        (Some(id), _) => open_room(model, id),
        (None, Pane::Incidents) => say_key(model, "No incidents yet. Press {} on an alert to declare one.", Action::Declare),
        (None, Pane::Alerts) => say_key(model, "This alert has no incident. Press {} to declare one.", Action::Declare),
    }
}

/// The effects that load the content of the open tab. Needed when a tab opens or the incident changes.
pub(super) fn refresh_tab(room: &Room) -> Vec<Effect> {
    match room.tab {
        Tab::Report => vec![Effect::MakeReport(room.id)],
        Tab::Updates => vec![Effect::MakeDraft { id: room.id, audience: room.draft_audience, stage: room.draft_stage }],
        Tab::Assistant => vec![Effect::Plan { id: room.id, question: Box::new(next_question(room)) }],
        Tab::Overview | Tab::Timeline | Tab::Signals | Tab::Logs | Tab::Playbook | Tab::Actions => Vec::new(),
    }
}

/// Opens a tab.
pub(super) fn tab(model: &mut Model, to: Tab) -> Vec<Effect> {
    let Some(room) = &mut model.room else { return Vec::new() };
    if std::mem::replace(&mut room.tab, to) != to {
        (room.scroll, room.when_drafted) = (0, None);
        model.is_zoomed = false;
    }
    let mut effects = refresh_tab(room);
    // Once started, following continues while another tab is open.
    if to == Tab::Logs && !model.logs.is_live && model.below.is_empty() {
        model.logs.reset();
        effects.push(Effect::FollowLogs);
    }
    effects
}

/// Opens the next tab, or the previous one; wraps around.
pub(super) fn step_tab(model: &mut Model, by: isize) -> Vec<Effect> {
    match model.room.as_ref().map(|r| r.tab.step(by)) {
        Some(to) => tab(model, to),
        None => Vec::new(),
    }
}

/// What the troubleshoot prompt would ask in the shown thread.
pub(super) fn next_question(room: &Room) -> Question {
    Question { thread: Some(room.thread()), ..Question::new("troubleshoot") }
}

/// Asks the assistant. Only one question is answered at a time.
pub(super) fn start_question(model: &mut Model, question: Question) -> Vec<Effect> {
    model.requests += 1;
    let request = model.requests;
    if let Some(other) = model.parked.iter().find(|r| r.streaming.is_some()) {
        let words = format!("An answer for {} is still arriving. Open it to cancel the answer.", other.id);
        return say(model, words);
    }
    let Some(room) = &mut model.room else { return Vec::new() };
    if room.streaming.is_some() {
        return say_key(model, "An answer is still arriving. Press {} to cancel it.", Action::Back);
    }
    let thread = room.thread();
    // Without a place, a question continues the thread on the screen.
    let question = match (&question.thread, question.follows) {
        (None, None) => Question { thread: Some(thread), ..question },
        _ => question,
    };
    room.conversation.thread.clone_from(&question.thread);
    room.conversation.selected = None;
    let status = "asking".to_owned();
    room.streaming = Some(Streaming { request, question: question.text.clone(), status, ..Streaming::default() });
    let id = room.id;
    let mut effects = tab(model, Tab::Assistant);
    if let Some(room) = &mut model.room {
        // Stay at the end while the answer arrives.
        room.scroll = usize::MAX;
    }
    effects.push(Effect::Ask { id, request, question: Box::new(question) });
    effects
}

/// Opens the graph, or the logs, at the time of the selected entry: the evidence that the entry cites, else evidence that
/// covers its time.
pub(super) fn jump(model: &mut Model, to_graph: bool) -> Vec<Effect> {
    let Some(entry) = selected_entry(model) else { return Vec::new() };
    let (at, cited) = (entry.at, entry.fact.evidence());
    let has_kind = |kind: EvidenceKind| match kind {
        EvidenceKind::Metric => to_graph,
        EvidenceKind::Logs | EvidenceKind::Patterns => !to_graph,
        _ => false,
    };
    // The sources have the lines themselves. Without one, evidence that the entry cites or that has lines of that minute is shown.
    if !to_graph {
        if model.has_logs {
            return lines_around(model, at);
        }
        if let Some(id) = lines_at(model, &cited, at) {
            return show(model, Overlay::evidence(id, usize::MAX, Some(at)));
        }
    }
    let found = current(model).and_then(|i| {
        let usable = |id: &EvidenceId| i.evidence(*id).is_some_and(|e| has_kind(e.kind));
        let by_cite = cited.iter().copied().find(usable);
        let covers = |e: &&crate::incident::EvidenceRecord| has_kind(e.kind) && e.window.contains(at);
        // Prefer evidence that findings cite, because findings are ranked.
        let by_finding = i
            .investigation
            .iter()
            .flat_map(|n| n.details().flat_map(|f| f.evidence.iter()))
            .copied()
            .find(|id| i.evidence(*id).as_ref().is_some_and(covers));
        let covering = by_cite.or(by_finding).or_else(|| i.current_evidence().find(covers).map(|e| e.id));
        // Evidence that ends shortly before, or starts shortly after, still shows the trend.
        let gap = |e: &crate::incident::EvidenceRecord| at.since(e.window.end).max(e.window.start.since(at));
        covering.map(|id| (id, true)).or_else(|| {
            let near = i.current_evidence().filter(|e| has_kind(e.kind) && gap(e) <= MAX_GAP);
            near.min_by_key(|e| gap(e)).map(|e| (e.id, false))
        })
    });
    if let Some((id, covers)) = found {
        if !covers {
            let (again, wider) = (model.key(Action::Investigate), model.key(Action::Widen));
            model.say(
                Tone::Plain,
                format!(
                    "This evidence does not cover that time. Press {again} to investigate again, {wider} for a longer window."
                ),
            );
        }
        show(model, Overlay::evidence(id, usize::MAX, Some(at)))
    } else {
        let what = if to_graph { "metric" } else { "log" };
        let (at, wider) = (at.date_clock(), model.key(Action::Widen));
        say(model, format!("No {what} evidence covers {at} UTC. Press {wider} to investigate a longer window."))
    }
}

/// The log evidence that the entry cites, else the first that has lines within a minute of `at`.
fn lines_at(model: &Model, cited: &[EvidenceId], at: Timestamp) -> Option<EvidenceId> {
    let (room, incident) = model.room.as_ref().and_then(|r| r.incident.as_ref().map(|i| (r, i)))?;
    let is_log = |e: &&crate::incident::EvidenceRecord| matches!(e.kind, EvidenceKind::Logs | EvidenceKind::Patterns);
    let near = |l: &crate::telemetry::LogLine| l.at.is_some_and(|t| t.since(at).max(at.since(t)) <= MINUTE);
    let has = |e: &&crate::incident::EvidenceRecord| matches!(room.bodies.get(&e.digest), Some(crate::evidence::Body::Lines { lines }) if lines.iter().any(near));
    let by_cite = cited.iter().filter_map(|id| incident.evidence(*id)).find(is_log);
    by_cite.or_else(|| incident.current_evidence().find(has)).map(|e| e.id)
}

/// Opens the selected evidence.
pub(super) fn open_evidence(model: &mut Model) -> Vec<Effect> {
    let id = model.room.as_ref().and_then(Room::selected_evidence);
    open_evidence_id(model, id)
}

fn open_evidence_id(model: &mut Model, id: Option<EvidenceId>) -> Vec<Effect> {
    match id {
        Some(id) => show(model, Overlay::evidence(id, 0, None)),
        None if current(model).is_some_and(|i| !i.evidence.is_empty()) => say(model, "No evidence is cited or selected here."),
        None => say_key(model, "No evidence to show. Press {} to investigate.", Action::Investigate),
    }
}

/// Opens the evidence that the selected entry cites, or the text of an answer.
pub(super) fn open_entry(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &model.room else { return Vec::new() };
    let entry = room.shown_entries().get(room.entry_position()).map(|e| (e.seq, e.fact.clone()));
    match entry {
        Some((seq, Fact::AiRun { answer })) => show(
            model,
            Overlay::Text { title: format!("Entry {seq}: {}", answer.claim_summary()), text: answer.answer, scroll: 0 },
        ),
        Some((seq, fact)) => {
            let cited = match &fact {
                Fact::Note { text, .. } => cited_ids(text).first().copied(),
                fact => fact.evidence().first().copied(),
            };
            let known = cited.filter(|id| current(model).is_some_and(|i| i.evidence(*id).is_some()));
            if known.is_some() {
                return open_evidence_id(model, known);
            }
            let room = model.room.as_ref();
            let entry = room.and_then(|r| r.shown_entries().into_iter().find(|e| e.seq == seq).cloned());
            let Some((entry, incident)) = entry.zip(current(model)) else { return Vec::new() };
            let text = format!("{}\n\n{}, {} UTC", incident.entry_text(&entry), entry.actor.name, entry.at.date_clock());
            show(model, Overlay::Text { title: format!("Entry {}", seq_label(seq)), text, scroll: 0 })
        }
        None => Vec::new(),
    }
}

/// Opens the finding at a place among the single findings: its log pattern, its graph, or else its first evidence.
pub(super) fn go_to_finding(model: &mut Model, place: usize) -> Vec<Effect> {
    let found = current(model).and_then(|i| i.investigation.as_ref()?.details().nth(place)).cloned();
    let (Some(finding), Some(room)) = (found, model.room.as_mut()) else { return Vec::new() };
    let incident = room.incident.as_ref();
    let kind = |id: &EvidenceId| incident.and_then(|i| i.evidence(*id)).map(|e| e.kind);
    let metric = finding.evidence.iter().copied().find(|id| kind(id) == Some(EvidenceKind::Metric));
    let has_patterns = finding.evidence.iter().any(|id| kind(id) == Some(EvidenceKind::Patterns));
    if finding.kind == FindingKind::Pattern && has_patterns {
        model.logs.filter.clear();
        room.show_lines = false;
        let template = finding.subject.as_deref().unwrap_or_default();
        room.pattern = room.patterns("").iter().position(|(_, p)| p.template == template).unwrap_or(0);
        return tab(model, Tab::Logs);
    }
    let Some(id) = metric else { return open_evidence_id(model, finding.evidence.first().copied()) };
    room.filter.clear();
    // Select the suspect if there is one, because its chart shows the marks.
    let is_same = |s: &crate::incident::CitedSuspect| {
        s.evidence.first() == Some(&id) && s.service == finding.service && finding.subject.as_ref() == Some(&s.title)
    };
    room.suspect = room.suspects().iter().position(|s| is_same(s));
    room.evidence = Some(id);
    tab(model, Tab::Signals)
}
