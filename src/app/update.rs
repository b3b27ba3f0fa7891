//! The state machine: a message changes the model and returns the effects to run. No I/O, no clock.
//!
//! Imports run in one direction: `pointer` → `keys` → `dialogs` → `perform` → `lists`, `logs`, `go` → `history` → `common`.

mod common;
mod conversation;
mod cursor;
mod custom;
mod dialogs;
mod fields;
mod go;
mod history;
mod keys;
mod lists;
mod logs;
mod metric;
mod mitigation;
mod overview;
mod perform;
mod playbook;
mod pointer;
mod silences;
mod updates;

use super::action::Action;
use super::attention;
use super::model::{Model, Screen, Tone};
use super::msg::{CheckSummary, CustomEffect, Effect, Msg, SendEffect, StoreState};
use super::overlay::{ConfirmDialog, Next, Row};
use super::room::{CANCELLING, Tab};
use crate::incident::CANCELLED;
use crate::incident::{IncidentId, SourceStatus};
use crate::prompt::Delta;
use crate::telemetry::words::count;
use crate::telemetry::{Failure, Timestamp};
use go::{PREVIEW, open_room, refresh_tab};
pub(crate) use history::title as history_title;
pub(crate) use lists::action_for;
pub(crate) use logs::is_hit;
pub(crate) use metric::comparison_of;
pub(crate) use silences::ending_soon;

/// Applies a message to the model and returns the effects to run. `at` is the time of the message.
pub(crate) fn update(model: &mut Model, at: Timestamp, msg: Msg) -> Vec<Effect> {
    model.now = at;
    if model.toast.as_ref().is_some_and(|t| t.until <= at) {
        model.toast = None;
    }
    let before = charted_alert(model);
    let mut effects = handle(model, at, msg);
    super::tour::advance(model);
    // The chart follows the selected alert, no matter what changed the selection: a key, a filter, new alerts, or returning
    // to the board.
    let is_fetch = |e: &Effect| matches!(e, Effect::FetchSeries(_));
    if charted_alert(model) != before
        && !effects.iter().any(is_fetch)
        && let Some(alert) = model.board.current().filter(|_| model.screen == Screen::Board)
    {
        effects.push(Effect::FetchSeries(Box::new(alert.clone())));
    }
    effects
}

/// The fingerprint of the alert whose chart the board shows; `None` if another screen is open.
fn charted_alert(model: &Model) -> Option<String> {
    model.board.current().filter(|_| model.screen == Screen::Board).map(|a| a.fingerprint.clone())
}

#[expect(clippy::too_many_lines, reason = "one arm per message")]
fn handle(model: &mut Model, at: Timestamp, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Pressed(chord) => keys::pressed(model, chord),
        Msg::Pasted(text) => keys::pasted(model, &text),
        Msg::Resized(width, height) => {
            model.size = (width, height);
            unread(model);
            Vec::new()
        }
        Msg::Edited(text) => text.map_or_else(Vec::new, |text| dialogs::edited(model, &text)),
        Msg::Pointed(what, x, y) => pointer::pointed(model, what, x, y),
        Msg::Focused(has_focus) => {
            model.attention.has_focus = Some(has_focus);
            Vec::new()
        }
        Msg::Ticked => attention::of_updates(model, !model.board.incidents_loaded).into_iter().collect(),
        Msg::AlertsArrived(board) => alerts_arrived(model, *board, at),
        Msg::IncidentsListed(summaries) => listed(model, summaries),
        Msg::IncidentRead(incident, bodies) => incident_read(model, *incident, bodies),
        Msg::Declared(id, warnings) => declared(model, id, &warnings),
        Msg::SeriesArrived(fingerprint, series) => {
            model.board.series = Some((fingerprint, series));
            Vec::new()
        }
        Msg::LogsArrived(batch) => {
            // Live logs are followed on while the tab shows a history.
            model.below.first_mut().unwrap_or(&mut model.logs).add(batch);
            Vec::new()
        }
        Msg::MetricsRead(request, result) => metric::read(model, &request, result),
        Msg::MetricNamesRead(names) => metric::names_read(model, names),
        Msg::LabelValuesRead(label, values) => metric::values_read(model, label, values),
        Msg::LinesRead(request, found) => history::lines_read(model, request, found),
        Msg::LinesSaved(path) => {
            model.say(Tone::Good, format!("Saved to {path}"));
            Vec::new()
        }
        Msg::LinesExist { path, .. } if model.overlay.is_some() => {
            common::say(model, format!("{path} already exists, and nothing was saved."))
        }
        Msg::LinesExist { path, text } => {
            let lines = vec![format!("{path} already exists. Replace it?")];
            let effect = Effect::SaveLines { path, text, replace: true };
            model.overlay = Some(super::Overlay::Confirm(ConfirmDialog::new("Replace file", lines, effect)));
            Vec::new()
        }
        Msg::Progressed(id, text) => {
            if let Some(room) = model.room_of(id) {
                room.investigating = Some(text);
            }
            Vec::new()
        }
        Msg::Investigated(id) => {
            if let Some(room) = model.room_of(id) {
                room.investigating = None;
            }
            let key = model.key(Action::Tab3);
            model.say(Tone::Good, format!("{id}: the investigation is complete. {key} shows the signals."));
            vec![Effect::ReadIncident(id)]
        }
        Msg::RequestsRead(id, requests) => requests_read(model, id, requests),
        Msg::Planned(id, plan) => planned(model, id, plan),
        Msg::Answering(request, delta) => {
            let now = model.now;
            // What still arrives of a cancelled answer is not shown; what is recorded of it is.
            if let Some(s) = streaming(model, request).filter(|s| s.status != CANCELLING) {
                match delta {
                    Delta::Waiting(what) => s.status = what,
                    Delta::Asked(usual) => (s.asked, s.expected) = (Some(now), usual),
                    Delta::Next(title) => (s.text, s.status) = (String::new(), title),
                    Delta::Text(text) => {
                        s.status.clear();
                        s.text.push_str(&text);
                    }
                    Delta::Instead(text) => {
                        s.status.clear();
                        s.text = text;
                    }
                }
            }
            Vec::new()
        }
        Msg::Answered(request, result) => answered(model, request, result),
        Msg::ReportReady(id, text, missing) => {
            if let Some(room) = model.room_of(id) {
                (room.report, room.missing) = (Some(text), missing);
            }
            Vec::new()
        }
        Msg::DraftReady(id, draft) => {
            if let Some(room) = model.room_of(id) {
                // An answer to an earlier choice of audience or stage may arrive after the choice.
                let chosen = draft
                    .as_ref()
                    .as_ref()
                    .map_or(true, |d| d.audience == room.draft_audience && room.draft_stage.is_none_or(|s| s == d.stage));
                // What a model has reworded is not replaced by the rules' draft because something was recorded in the meantime.
                let is_model = |d: &crate::comms::Draft| d.model.is_some();
                let reworded = room.draft.as_ref().and_then(|d| d.as_ref().ok()).filter(|d| is_model(d));
                let keeps = reworded.is_some_and(|old| {
                    draft
                        .as_ref()
                        .as_ref()
                        .is_ok_and(|new| !is_model(new) && (new.audience, new.stage) == (old.audience, old.stage))
                });
                if chosen && !keeps {
                    room.draft = Some(draft.map_err(|e| sentence(&e)));
                }
            }
            updates::drafted(model)
        }
        Msg::Exported(path, damage) => {
            match damage {
                None => model.say(Tone::Good, format!("The post-mortem was exported to {path}")),
                Some(what) => model.say(Tone::Bad, format!("Exported to {path}, but the records are damaged: {what}")),
            }
            Vec::new()
        }
        Msg::ExportFailed { id, path, failure } => perform::export_again(model, id, path, &sentence(&failure)),
        Msg::ExportExists { id, path } => {
            let lines = vec![format!("{path} already exists. Replace it?")];
            let effect = Effect::Export { id, path, replace: true };
            model.overlay = Some(super::Overlay::Confirm(ConfirmDialog::new("Replace file", lines, effect)));
            Vec::new()
        }
        Msg::StoreChanged(state) => store_changed(model, state),
        Msg::TextReady(title, text) => {
            // Do not replace anything that was opened in the meantime.
            if model.overlay.is_none() {
                model.overlay = Some(super::Overlay::Text { title, text, scroll: 0 });
            }
            Vec::new()
        }
        Msg::PageReady { id, name, text, mut lines } => {
            lines.push("The timeline records the page.".to_owned());
            let effect =
                Effect::Run { id, command: Box::new(crate::incident::Command::Page { name: name.clone(), text }), at: None };
            confirm(model, format!("Page {name}?"), lines, effect);
            Vec::new()
        }
        Msg::UrlOpened(url, true) => {
            model.say(Tone::Good, format!("Opened {url}."));
            Vec::new()
        }
        Msg::UrlOpened(url, false) => {
            model.say(Tone::Plain, format!("Nothing here can open a URL, so it was copied: {url}"));
            vec![Effect::Copy(url)]
        }
        Msg::ToConfirm { effect, title, lines } => {
            let sends = matches!(*effect, Effect::Send(_));
            if model.running.is_some() && !sends {
                return common::say(model, "Another script is still running.");
            }
            if let (true, Effect::Send(SendEffect::Send(call, ..))) = (model.overlay.is_some(), &*effect) {
                // Something else is open: the text can be opened again after that.
                return updates::cannot_send(model, (**call).clone(), "The preview is ready.");
            }
            if lines.is_empty() {
                // What was asked for and needs no question is not done behind a dialog that was opened since.
                return if model.overlay.is_none() { common::write(model, *effect) } else { Vec::new() };
            }
            confirm(model, title, lines, *effect);
            Vec::new()
        }
        Msg::ScriptOutput(text) => {
            if let Some(running) = &mut model.running {
                running.add(&text);
            }
            Vec::new()
        }
        Msg::ScriptEnded => {
            model.running = None;
            Vec::new()
        }
        Msg::ValueNeeded { call, name, description, choices } => playbook::ask_value(model, call, &name, &description, choices),
        Msg::CommandEnded { name, text, keep } => custom::ended(model, name, text, keep),
        Msg::SilencesListed(silences) => silences::listed(model, silences),
        Msg::SendFailed(call, failure) => updates::cannot_send(model, *call, &sentence(&failure)),
        Msg::SendHits(call, hits) => updates::open_points(model, *call, &hits),
        Msg::Present(names) => {
            let joined: Vec<&String> = names.iter().filter(|n| !model.colleagues.contains(n)).collect();
            if let Some(name) = joined.first() {
                let words = format!("{name} opened this incident.");
                model.say(Tone::Plain, words);
            }
            model.colleagues = names;
            Vec::new()
        }
        Msg::Refused(effect, failure) => refused(model, &effect, &failure),
        Msg::NotWritten(effect, failure) => {
            model.unsaved = model.unsaved.saturating_sub(1);
            model.not_written.push(*effect);
            let retry = model.key(Action::Retry);
            model.say(Tone::Bad, format!("{} Your change is kept. Press {retry} to retry.", sentence(&failure)));
            Vec::new()
        }
        Msg::Ran(text, warnings) => {
            model.unsaved = model.unsaved.saturating_sub(1);
            match warnings.first() {
                Some(warning) => model.say(Tone::Bad, format!("{text}. {warning}")),
                None => model.say(Tone::Good, text),
            }
            reread(model)
        }
        Msg::FilesRead { playbooks, prompts, problems } => {
            (model.playbooks, model.prompts, model.problems) = (playbooks, prompts, problems);
            report_problems(model);
            Vec::new()
        }
        Msg::Failed(failure) => {
            if let Some(room) = &mut model.room {
                room.investigating = None;
            }
            model.say(Tone::Bad, sentence(&failure));
            Vec::new()
        }
    }
}

/// Shows the first problem in the user's files, with the number of further ones.
fn report_problems(model: &mut Model) {
    let Some(first) = model.problems.first() else { return };
    let more = match model.problems.len() - 1 {
        0 => String::new(),
        n => format!(" (+{n} more)"),
    };
    let text = format!("{first}{more} Press {} for details.", model.key(Action::ShowProblems));
    model.say(Tone::Bad, text);
}

fn alerts_arrived(model: &mut Model, board: crate::incident::AlertBoard, at: Timestamp) -> Vec<Effect> {
    let announced = attention::announced_alerts(model);
    model.board.set_alerts(board.alerts, board.sources, at);
    // Update the chart even if the same alert stays selected.
    let shown = model.board.current().filter(|_| model.screen == Screen::Board);
    let series = shown.map(|alert| Effect::FetchSeries(Box::new(alert.clone())));
    series.into_iter().chain(attention::of_alerts(model, &announced)).collect()
}

/// Asks for a confirmation that has to be read to its end, unless something else was opened in the meantime.
fn confirm(model: &mut Model, title: String, lines: Vec<String>, effect: Effect) {
    if model.overlay.is_some() {
        return;
    }
    let mut dialog = ConfirmDialog::new(title, lines, effect);
    dialog.must_be_read = true;
    model.overlay = Some(super::Overlay::Confirm(dialog));
    unread(model);
}

/// Makes an open confirmation unread. Only drawing it says where its end is.
fn unread(model: &mut Model) {
    if matches!(&model.overlay, Some(super::Overlay::Confirm(dialog)) if dialog.must_be_read) {
        model.scroll_limit = usize::MAX;
    }
}

/// A failure as sentences for the footer: message and causes, then the remedy.
fn sentence(failure: &Failure) -> String {
    let line = failure.line();
    let mut chars = line.chars();
    let upper = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    let end = if line.ends_with(['.', '?', '!', '…']) { "" } else { "." };
    format!("{upper}{}{end}", chars.as_str())
}

fn incident_read(
    model: &mut Model,
    incident: crate::incident::Incident,
    bodies: std::collections::BTreeMap<String, crate::evidence::Body>,
) -> Vec<Effect> {
    let id = incident.id();
    let is_parked = model.parked.iter().any(|r| r.id == id);
    let Some(room) = model.room.as_mut().filter(|r| r.id == id || r.id.is_local() && !is_parked) else {
        if let Some(room) = model.room_of(id) {
            (room.incident, room.bodies, room.report) = (Some(incident), bodies, None);
        }
        return Vec::new();
    };
    // If the user is reading lines when patterns arrive, keep showing lines.
    let reads_lines = room.tab == Tab::Logs && !room.shows_patterns() && model.logs.received() > 0;
    room.id = id;
    (room.incident, room.bodies, room.report) = (Some(incident), bodies, None);
    let effects = refresh_tab(room);
    if reads_lines && room.shows_patterns() {
        room.show_lines = true;
        let key = model.key(Action::LogView);
        model.say(Tone::Good, format!("Log patterns have arrived. Press {key} to show them."));
    }
    effects
}

fn store_changed(model: &mut Model, state: StoreState) -> Vec<Effect> {
    let before = std::mem::replace(&mut model.store, state.clone());
    match (&state.unreachable, before.unreachable.is_some()) {
        (Some(why), false) => {
            let text = format!("The shared store is unreachable: {why}. Entries are kept on this machine.");
            model.say(Tone::Bad, text);
        }
        (None, true) => model.say(Tone::Good, "The shared store is back. Waiting entries are being merged."),
        _ => {}
    }
    if let Some(why) = state.merge_failure.filter(|why| before.merge_failure.as_ref() != Some(why)) {
        model.say(Tone::Bad, why);
    }
    if let Some(notice) = state.notices.get(before.notices.len()..).and_then(<[String]>::first) {
        model.say(Tone::Bad, notice.clone());
    }
    Vec::new()
}

/// Handles a refused command: opens the dialog again in which it was typed, or keeps it for a retry if something else is open.
fn refused(model: &mut Model, effect: &Effect, failure: &Failure) -> Vec<Effect> {
    model.unsaved = model.unsaved.saturating_sub(1);
    if matches!(effect, Effect::Custom(CustomEffect::Run(..))) && matches!(model.overlay, Some(super::Overlay::Output { .. })) {
        model.overlay = None;
    }
    let why = sentence(failure);
    if let Effect::Send(SendEffect::Send(call, ..)) = effect {
        return updates::cannot_send(model, (**call).clone(), &why);
    }
    let typed = model.sent.take().filter(|(sent, _)| sent == effect);
    match (typed, &model.overlay) {
        (Some((_, line)), None) => {
            model.overlay = Some(line);
            model.say(Tone::Bad, why);
        }
        (Some((_, line)), Some(_)) => {
            let retry = model.key(Action::Retry);
            model.say(Tone::Bad, format!("{why} Press {retry} to edit your text."));
            model.refused = Some((line, why));
        }
        (None, _) => model.say(Tone::Bad, why),
    }
    Vec::new()
}

/// The question being answered, if it is this one.
fn streaming(model: &mut Model, request: u64) -> Option<&mut super::room::Streaming> {
    let mut rooms = model.room.iter_mut().chain(&mut model.parked);
    rooms.find_map(|room| room.streaming.as_mut().filter(|s| s.request == request))
}

/// Takes a new list of incidents, and reads the open incident again if someone else has changed it.
fn listed(model: &mut Model, summaries: Vec<crate::incident::Summary>) -> Vec<Effect> {
    let newer = model.room.as_ref().and_then(|room| {
        // An incident that was declared offline gets another number when it is merged.
        let Some(head) = summaries.iter().find(|h| h.id == room.id) else { return room.id.is_local().then_some(room.id) };
        let last_read = room.incident.as_ref().map_or(0, |i| i.head.last_seq);
        // The number can also become smaller: entries get other numbers when they are merged.
        (head.last_seq != last_read).then_some(room.id)
    });
    let is_first = !model.board.incidents_loaded;
    model.board.set_incidents(summaries);
    let restored = if is_first { restored(model) } else { Vec::new() };
    newer.map(Effect::ReadIncident).into_iter().chain(attention::of_updates(model, is_first)).chain(restored).collect()
}

/// Opens the room that was open when the program was ended, if its incident still exists and nothing else was opened since.
fn restored(model: &mut Model) -> Vec<Effect> {
    let Some(session) = model.restoring.take() else { return Vec::new() };
    let exists = |id: IncidentId| model.board.incidents.iter().any(|head| head.id == id);
    model.parked = session.rooms().into_iter().filter(|room| exists(room.id)).collect();
    model.unsent.retain(|unsent| unsent.incident.is_none_or(exists));
    let text =
        model.unsent.first().map(|unsent| format!(" Your text for “{}” is kept; open it again to continue.", unsent.title));
    let open = session.open.filter(|id| !session.ended && exists(*id));
    let Some(id) = open.filter(|_| model.room.is_none() && model.overlay.is_none()) else {
        if let Some(text) = text.filter(|_| !session.ended) {
            model.say(Tone::Plain, text.trim().to_owned());
        }
        return Vec::new();
    };
    let mut effects = open_room(model, id);
    let to = model.room.as_ref().map_or(Tab::Overview, |r| r.tab);
    effects.extend(go::tab(model, to));
    let back = model.key(Action::Quit);
    model.say(Tone::Plain, format!("{id} was open when warroom ended. Press {back} for the board.{}", text.unwrap_or_default()));
    effects
}

fn reread(model: &Model) -> Vec<Effect> {
    let mut effects = vec![Effect::ListIncidents];
    effects.extend(model.room.as_ref().map(|r| Effect::ReadIncident(r.id)));
    effects
}

fn declared(model: &mut Model, id: IncidentId, warnings: &[String]) -> Vec<Effect> {
    model.unsaved = model.unsaved.saturating_sub(1);
    model.board.marked.clear();
    match warnings.first() {
        Some(warning) => model.say(Tone::Bad, format!("{id} was declared. {warning}")),
        None => model.say(Tone::Good, format!("{id} was declared. Gathering evidence.")),
    }
    let mut effects = vec![Effect::ListIncidents];
    effects.extend(open_room(model, id));
    effects.push(Effect::Investigate(id, None));
    if let Some(room) = &mut model.room {
        room.investigating = Some("gathering evidence".to_owned());
    }
    effects
}

/// Lists the requests to models, the latest one selected.
fn requests_read(model: &mut Model, id: IncidentId, requests: Vec<(String, String, String)>) -> Vec<Effect> {
    if model.room.as_ref().is_none_or(|r| r.id != id) {
        return Vec::new();
    }
    let rows: Vec<Row> =
        requests.into_iter().map(|(title, detail, text)| Row::new(title.clone(), detail, Next::Text(title, text))).collect();
    match rows.len().checked_sub(1) {
        Some(last) => common::choose(model, "Requests to models", rows, last),
        None => common::say(model, "Nothing was sent to a model about this incident."),
    }
}

fn planned(model: &mut Model, id: IncidentId, plan: Result<(String, String), Failure>) -> Vec<Effect> {
    let wants_preview = matches!(&model.overlay, Some(super::Overlay::Text { title, .. }) if title == PREVIEW);
    if let Some(room) = model.room_of(id) {
        match plan {
            Ok((summary, text)) => {
                room.plan = Some(summary);
                if wants_preview {
                    model.overlay = Some(super::Overlay::Text { title: PREVIEW.to_owned(), text, scroll: 0 });
                }
            }
            Err(e) => room.plan = Some(sentence(&e)),
        }
    }
    Vec::new()
}

fn answered(model: &mut Model, request: u64, result: Result<CheckSummary, Failure>) -> Vec<Effect> {
    let Some(s) = streaming(model, request) else { return Vec::new() };
    let was_cancelled = s.status == CANCELLING;
    let rings = !was_cancelled && result.is_ok();
    let mut rooms = model.room.iter_mut().chain(&mut model.parked);
    let id = rooms.find(|r| r.streaming.as_ref().is_some_and(|s| s.request == request)).map(|room| {
        room.streaming = None;
        room.id
    });
    let is_here = model.screen == Screen::Room && model.room.as_ref().map(|r| r.id) == id;
    match result {
        Ok(_) if was_cancelled => model.say(Tone::Plain, "Cancelled. What had arrived of the answer is kept."),
        Ok(verdict) if !is_here => {
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            model.say(Tone::Good, format!("{id}: the answer is ready. {}.", verdict.text.trim_end_matches('.')));
        }
        Ok(verdict) => {
            let next = conversation::next_step(model, &verdict);
            model.say(
                if verdict.holds { Tone::Good } else { Tone::Plain },
                format!("{}. {next}", verdict.text.trim_end_matches('.')),
            );
        }
        Err(e) if was_cancelled && e.message.starts_with(CANCELLED) => {
            model.say(Tone::Plain, "Cancelled. Nothing of the answer had arrived.");
        }
        Err(e) => model.say(Tone::Bad, sentence(&e)),
    }
    let ring = id.filter(|_| rings).and_then(|id| attention::of_answer(model, id));
    id.map(Effect::ReadIncident).into_iter().chain([Effect::ListIncidents]).chain(ring).collect()
}

/// Proposes a severity from the alerts, with the reason: SEV2 if any alert is critical, else SEV3. A person confirms or
/// changes it.
pub(super) fn propose(alerts: &[&crate::telemetry::Alert]) -> (crate::incident::Severity, String) {
    use crate::incident::Severity;
    use crate::telemetry::AlertSeverity;
    let critical = alerts.iter().filter(|a| a.severity == AlertSeverity::Critical).count();
    let mut services: Vec<&str> = alerts.iter().filter_map(|a| a.service()).collect();
    services.sort_unstable();
    services.dedup();
    let on = if services.is_empty() { String::new() } else { format!(" on {}", count(services.len(), "service")) };
    match critical {
        0 if alerts.len() <= 1 => (Severity::Sev3, "one alert, not critical".to_owned()),
        0 => (Severity::Sev3, format!("{}{on}, none critical", count(alerts.len(), "alert"))),
        c => (Severity::Sev2, format!("{}{on}", count(c, "critical alert"))),
    }
}

/// Whether it is known which alerts are firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AlertVisibility {
    /// No alert source has answered yet.
    Waiting,
    /// All alert sources have failed, so that an empty list means nothing.
    AllFailed,
    /// At least one alert source has answered.
    Known,
}

/// Whether an empty list of alerts means that nothing is firing.
pub(crate) fn alert_visibility(model: &Model) -> AlertVisibility {
    let report = |name: &String| model.board.sources.iter().find(|s| s.report.name == *name).map(|s| s.report.status);
    let statuses: Vec<Option<SourceStatus>> = model.alert_sources.iter().map(report).collect();
    if statuses.contains(&Some(SourceStatus::Ok)) {
        AlertVisibility::Known
    } else if statuses.contains(&None) {
        AlertVisibility::Waiting
    } else {
        AlertVisibility::AllFailed
    }
}

#[cfg(test)]
mod tests;
