//! Carries out actions: one match over all of them, and the short ones in full. Navigation is in [`super::go`], lists are in
//! [`super::lists`], the Logs tab is in [`super::logs`].

use super::super::action::Action;
use super::super::board::Pane;
use super::super::edit::TextField;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::{CustomEffect, Effect, SilenceEffect, StepEffect};
use super::super::overlay::{DeclareField, DeclareForm, InputDialog, Overlay, Purpose};
use super::super::room::Tab;
use super::common::{ask, command_dialog, current, run, run_at, say, say_key, selected_entry, show, with_id};
use super::conversation;
use super::custom;
use super::fields;
use super::go::{
    PREVIEW, back, jump, next_question, open, open_entry, open_evidence, quit, scroll, start_question, step, step_board,
    step_tab, switch_incident, tab_here,
};
use super::history::leave_all;
use super::lists::{
    ask_action_item, change_status, choose_audience, choose_event, choose_finding, choose_grade, choose_hypothesis,
    choose_impact, choose_lesson, choose_level, choose_merge, choose_milestone, choose_missing, choose_renounce, choose_review,
    choose_role, choose_severity, choose_status, choose_unlink, first_open, judge, link, remark, with_item,
};
use super::logs::{self, go_to_error, go_to_hit, line_to_note, pattern_lines, search};
use super::metric;
use super::mitigation::{self, propose_mitigation};
use super::overview::{fold_finding, open_finding};
use super::playbook::{choose_playbook, run_step, set_variable, skip_step, stop_script};
use super::propose;
use super::silences::{self, silence};
use super::updates;
use crate::incident::action::{ActionChange, ActionItem, ActionState};
use crate::incident::brief::{Reader, brief};
use crate::incident::{
    Command, Comparison, Entry, EvidenceId, ExitCriteria, Fact, IncidentId, LinkedAlert, NoteKind, Status, Verdict,
};
use crate::prompt::question::Question;

/// Carries out an action, or shows why it is not possible.
#[expect(clippy::too_many_lines, reason = "one arm per action")]
pub(super) fn perform(model: &mut Model, action: Action) -> Vec<Effect> {
    if model.read_only && action.spec().changes {
        model.say(Tone::Bad, format!("Read-only mode: '{}' is disabled.", action.spec().word));
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
        Action::Help => show(model, Overlay::Help { filter: TextField::default(), scroll: 0 }),
        Action::Palette => show(model, Overlay::Palette { edit: TextField::default(), selected: 0 }),
        Action::ShowProblems => problems(model),
        Action::CustomCommand => custom::choose_command(model),
        Action::Filter | Action::FilterLogs => filter(model),
        Action::Search => search(model),
        Action::NextHit => go_to_hit(model, true),
        Action::PreviousHit => go_to_hit(model, false),
        Action::Refresh => {
            model.board.refreshing = true;
            let mut effects = vec![Effect::FetchAlerts, Effect::ListIncidents, Effect::Silence(SilenceEffect::List)];
            effects.extend(model.room.as_ref().map(|r| Effect::ReadIncident(r.id)));
            effects
        }
        Action::Retry => retry(model),
        Action::QueryMetrics => metric::ask_here(model),
        Action::AlertChart => metric::alert_chart(model),
        Action::Zoom => zoom(model),
        Action::Pin => pin_here(model),
        Action::RequestLog => vec![Effect::ReadRequestLog],
        Action::EndTour => {
            let ended = model.tour.take().is_some();
            say(model, if ended { "The tour has ended." } else { "There is no tour. It is part of `warroom demo`." })
        }
        Action::SwitchIncident => switch_incident(model),
        Action::ToggleMouse => super::common::toggle_mouse(model),
        Action::Redraw => vec![Effect::Redraw],
        Action::Suspend => vec![Effect::Suspend],
        Action::Cancel if model.running.is_some() => stop_script(model),
        Action::Cancel => {
            say_key(model, "Nothing to cancel. Press {} to leave the room or, on the board, to quit.", Action::Quit)
        }
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
            model.board.rebuild_rows();
            Vec::new()
        }
        Action::OnlyNew => {
            model.board.only_new = !model.board.only_new;
            model.board.rebuild_rows();
            Vec::new()
        }
        Action::CopyAlert => copy(model, |m| m.board.current().map(|a| a.fingerprint.clone()), "Select an alert first."),
        Action::Silence => silence(model),
        Action::Silences => silences::list(model),
        Action::OpenRunbook => match runbook(model) {
            // Nothing else is opened: an annotation is text from outside.
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => vec![Effect::OpenUrl(url)],
            Some(url) => {
                model.say(Tone::Good, COPIED);
                vec![Effect::Copy(url)]
            }
            None => say(model, "This alert has no runbook."),
        },
        Action::CopyRunbook => copy(model, runbook, "This alert has no runbook."),
        Action::Tab1 => tab_here(model, Tab::Overview),
        Action::Tab2 => tab_here(model, Tab::Timeline),
        Action::Tab3 => tab_here(model, Tab::Signals),
        Action::Tab4 => tab_here(model, Tab::Logs),
        Action::Tab5 => tab_here(model, Tab::Assistant),
        Action::Tab6 => tab_here(model, Tab::Playbook),
        Action::Tab7 => tab_here(model, Tab::Actions),
        Action::Tab8 => tab_here(model, Tab::Updates),
        Action::Tab9 => tab_here(model, Tab::Report),
        Action::RecordDraft => updates::record_draft(model),
        Action::SendDraft => updates::send_draft(model),
        Action::SendAgain => updates::send_again(model),
        Action::ImproveDraft => updates::improve(model),
        Action::NextAudience => updates::next_audience(model),
        Action::NextStage => updates::next_stage(model),
        Action::CopyDraft => copy(model, updates::draft_text, "The draft is not ready yet."),
        Action::NextTab => step_tab(model, 1),
        Action::PreviousTab => step_tab(model, -1),
        Action::Findings => choose_finding(model),
        Action::OpenFinding => open_finding(model),
        Action::FoldFinding => fold_finding(model),
        Action::Hypotheses => choose_hypothesis(model),
        Action::Investigate => investigate(model, None),
        Action::Widen => widen(model),
        Action::Note => note(
            model,
            "Note",
            NoteKind::Observation,
            "Describe what you saw or did. [E3] cites evidence. Text after TODO becomes an action item.",
        ),
        Action::NoteAt => {
            open_input(model, "Backdated note", Purpose::NoteAt, "The time in UTC, then the text: 09:27 text, 10m ago text")
        }
        Action::Decision => note(model, "Decision", NoteKind::Decision, "Describe the decision, and name anyone who objected."),
        Action::Hypothesis => propose_hypothesis(model),
        Action::Lesson => choose_lesson(model),
        Action::Review => choose_review(model),
        Action::FillIn => choose_missing(model),
        Action::Mitigation => propose_mitigation(model),
        Action::Task => ask(
            model,
            "Task",
            "Name, minutes until they report back, task: ben 5 check the replica",
            Command::Task { name: String::new(), text: String::new(), minutes: 10 },
        ),
        Action::Published => choose_audience(model),
        Action::Event => choose_event(model),
        Action::Attach => ask(
            model,
            "Attach file",
            "The path of the file (in quotes if it contains spaces), then what it shows.",
            Command::Attach { file: std::path::PathBuf::new(), note: None },
        ),
        Action::Impact => choose_impact(model),
        Action::Checklist => show(model, Overlay::Checklist { selected: first_open(model) }),
        Action::Exit => ask(model, "Exit criteria", "Query, threshold and duration: error_rate < 0.01 for 30m", no_criteria()),
        Action::Check => {
            model.say(Tone::Plain, "Checking alerts and exit criteria …");
            run(model, Command::Check)
        }
        Action::SetTime => choose_milestone(model),
        Action::Escalate => choose_level(model),
        Action::Unlink => choose_unlink(model),
        Action::Merge => choose_merge(model),
        Action::OnCall => vec![Effect::OnCall],
        Action::Page => ask(
            model,
            "Page someone",
            "Name, then message: ben checkout is down. Without a message, warroom sends \"please join\".",
            Command::Page { name: String::new(), text: String::new() },
        ),
        Action::Undo => run(model, Command::Undo { entry: None }),
        Action::Redo => run(model, Command::Redo),
        Action::Similar => with_id(model, |_, id| vec![Effect::Similar(id)]),
        Action::ReadIn => show_brief(model, Reader::Joining),
        Action::HandOver => show_brief(model, Reader::TakingOver),
        Action::GraphAt => jump(model, true),
        Action::LogAt => jump(model, false),
        Action::FilterKind => {
            if let Some(room) = &mut model.room {
                room.entry_filter = room.entry_filter.next();
            }
            Vec::new()
        }
        Action::Support => judge(model, Verdict::Supported),
        Action::Refute => judge(model, Verdict::Refuted),
        Action::Object => remark(model, true),
        Action::Outcome => remark(model, false),
        Action::ActionOwner => change_item(model, "Owner", "One name.", |item, change| {
            change.owner = Some(String::new());
            item.owner.clone()
        }),
        Action::ActionDue => change_item(model, "Due date", "A date such as 2026-12-01, fri, tomorrow or 3d.", |item, change| {
            change.due = Some(String::new());
            item.due.clone()
        }),
        Action::ActionDrop if mitigation::is_selected(model) => mitigation::drop_card(model),
        Action::ActionDrop => change_item(model, "Reason for dropping", "Why it will not be done.", |_, change| {
            change.state = Some(ActionState::Dropped);
            None
        }),
        Action::Acknowledge => match current(model).and_then(|i| i.acknowledged_at) {
            Some(_) => ask(
                model,
                "Reason for withdrawing the acknowledgement",
                "Why no one is working on it.",
                Command::Unacknowledge { reason: String::new() },
            ),
            None => run(model, Command::Acknowledge),
        },
        Action::Grade => choose_grade(model),
        Action::Renounce => choose_renounce(model),
        Action::SetSeverity => choose_severity(model),
        Action::SetStatus => choose_status(model),
        Action::Resolve => change_status(model, Status::Resolved),
        Action::Reopen => {
            ask(model, "Reason for reopening", "Explain why the incident is not over.", Command::Reopen { reason: String::new() })
        }
        Action::AssignRole => choose_role(model),
        Action::AddAction => ask_action_item(model),
        Action::Ask => conversation::ask_here(model),
        Action::Export => export(model),
        Action::OpenEvidence => open_evidence(model),
        Action::CopyQuery => {
            let none = format!("No evidence yet. Press {} to investigate.", model.key(Action::Investigate));
            copy(model, selected_query, &none)
        }
        Action::OpenEntry => open_entry(model),
        Action::Correct => correct(model),
        Action::Details => {
            if let Some(room) = &mut model.room {
                room.show_details = !room.show_details;
            }
            Vec::new()
        }
        Action::Follow => {
            if leave_all(model) {
                (model.logs.is_following, model.logs.selected) = (true, None);
                return Vec::new();
            }
            model.logs.is_following = !model.logs.is_following;
            if !model.logs.is_following {
                model.logs.selected = model.logs.received().checked_sub(1);
            }
            Vec::new()
        }
        Action::OnlyErrors => {
            model.logs.only_errors = !model.logs.only_errors;
            model.logs.reselect();
            Vec::new()
        }
        Action::Wrap => {
            model.logs.wrap = !model.logs.wrap;
            Vec::new()
        }
        Action::PatternLines => pattern_lines(model),
        Action::LinesAround => logs::context_of_line(model),
        Action::SearchAll => logs::search_all(model),
        Action::FollowRequest => logs::follow_request(model),
        Action::ChooseColumns => fields::choose_columns(model),
        Action::FilterByField => fields::filter_by_field(model),
        Action::FoldLines => {
            model.logs.folds = !model.logs.folds;
            say(model, if model.logs.folds { "Repeated lines are shown as one." } else { "Each line is shown." })
        }
        Action::SaveLines => logs::save_lines(model),
        Action::LinesInPager => logs::lines_in_pager(model),
        Action::LogView => switch_log_view(model),
        Action::MarkSignal => mark_signal(model),
        Action::NextError => go_to_error(model, true),
        Action::PreviousError => go_to_error(model, false),
        Action::LineToNote => line_to_note(model),
        Action::CopyLine => copy(model, |m| m.logs.current().map(|l| l.message.clone()), "No log lines yet."),
        Action::AskTroubleshoot => start_question(model, Question::new("troubleshoot")),
        Action::AskPostmortem => start_question(model, Question::new("postmortem")),
        Action::Preview => with_id(model, |m, id| {
            m.overlay = Some(Overlay::Text { title: PREVIEW.to_owned(), text: "…".to_owned(), scroll: 0 });
            let question = m.room.as_ref().map(next_question).unwrap_or_default();
            vec![Effect::Plan { id, question: Box::new(question) }]
        }),
        Action::Accept => conversation::accept(model),
        Action::NextSpot => conversation::select_spot(model, true),
        Action::PreviousSpot => conversation::select_spot(model, false),
        Action::OpenSpot => conversation::open_spot(model),
        Action::RefuteProposal => conversation::refute(model),
        Action::AskAgain => conversation::ask_again(model),
        Action::EditQuestion => conversation::edit_question(model),
        Action::Fork => conversation::fork(model),
        Action::ChooseThread => conversation::choose_thread(model),
        Action::ShowRequests => with_id(model, |_, id| vec![Effect::ReadRequests(id)]),
        Action::CopyAnswer => copy(model, conversation::answer_text, "No answers yet."),
        Action::AnswerInEditor => match conversation::answer_text(model) {
            Some(text) => vec![Effect::Editor { text, is_kept: false }],
            None => say(model, "No answers yet."),
        },
        Action::ActionEdit => mitigation::edit(model),
        Action::ActionDone if mitigation::is_selected(model) => mitigation::advance(model),
        Action::ActionDone => with_item(model, |m, action| {
            let hint = "The result, in a few words (may be empty). If it is not done yet: again 10 still looking";
            ask(m, "Result", hint, Command::CompleteAction { action, result: None })
        }),
        Action::RunStep => run_step(model, false),
        Action::RunAgain => run_step(model, true),
        Action::SkipStep => skip_step(model),
        Action::SetVariable => set_variable(model),
        Action::ChoosePlaybook => choose_playbook(model),
        Action::ScrollDown => scroll_text(model, model.half_page().cast_signed()),
        Action::ScrollUp => scroll_text(model, -model.half_page().cast_signed()),
        Action::CopyReport => copy(model, |m| m.room.as_ref()?.report.clone(), "The report is not ready yet."),
        // These belong to dialogs and are handled there.
        Action::CopyText
        | Action::CloseReader
        | Action::KeepOutput
        | Action::Compare
        | Action::Find
        | Action::NextFind
        | Action::PreviousFind
        | Action::NextChoice
        | Action::NextPage
        | Action::PreviousPage
        | Action::PreviousChoice
        | Action::Choose
        | Action::Submit
        | Action::NewLine
        | Action::EditText
        | Action::Earlier
        | Action::Later
        | Action::FarEarlier
        | Action::FarLater
        | Action::ZoomIn
        | Action::GoToTime
        | Action::ZoomOut
        | Action::ReadInEditor
        | Action::Complete
        | Action::Recall
        | Action::RecallNext
        | Action::NextField
        | Action::PreviousField
        | Action::NextSeverity
        | Action::PreviousSeverity
        | Action::Toggle
        | Action::SubmitForm
        | Action::Yes
        | Action::No
        | Action::ReadOn
        | Action::ReadBack
        | Action::SwitchAnswer
        | Action::ConfirmAnswer => Vec::new(),
    }
}

/// Retries the changes that could not be written. If there are none, opens the dialog whose text was refused.
fn retry(model: &mut Model) -> Vec<Effect> {
    if let (true, Some((overlay, why))) = (model.not_written.is_empty(), model.refused.take()) {
        model.overlay = Some(overlay);
        return say(model, why);
    }
    // What would run has to be confirmed again.
    let again = std::mem::take(&mut model.not_written).into_iter().map(|effect| match effect {
        Effect::Step(StepEffect::Run(call, _)) => Effect::Step(StepEffect::Prepare(call)),
        Effect::Custom(CustomEffect::Run(call, _)) => Effect::Custom(CustomEffect::Prepare(call)),
        other => other,
    });
    let again: Vec<Effect> = again.collect();
    if again.is_empty() {
        model.say(Tone::Plain, "Everything is saved.");
    }
    let is_prepared = |e: &&Effect| matches!(e, Effect::Step(StepEffect::Prepare(_)) | Effect::Custom(CustomEffect::Prepare(_)));
    model.unsaved += u32::try_from(again.iter().filter(|e| !is_prepared(e)).count()).unwrap_or(0);
    again
}

/// Scrolls the text beside a list.
fn scroll_text(model: &mut Model, by: isize) -> Vec<Effect> {
    let limit = model.scroll_limit;
    if let Some(room) = &mut model.room {
        room.scroll = scroll(room.scroll, by, limit);
    }
    Vec::new()
}

fn problems(model: &mut Model) -> Vec<Effect> {
    if model.problems.is_empty() {
        return say(model, "No problems in your prompts, themes, keys and playbooks.");
    }
    let text: Vec<String> = model.problems.iter().map(ToString::to_string).collect();
    show(model, Overlay::Text { title: "Problems in your files".to_owned(), text: text.join("\n\n"), scroll: 0 })
}

fn note(model: &mut Model, title: &str, kind: NoteKind, hint: &str) -> Vec<Effect> {
    ask(model, title, hint, Command::Note { text: String::new(), kind })
}

fn open_input(model: &mut Model, title: &str, purpose: Purpose, hint: &str) -> Vec<Effect> {
    show(model, Overlay::Input(InputDialog::new(title, purpose, hint, TextField::default())))
}

/// A command with empty exit criteria, to be filled in.
fn no_criteria() -> Command {
    let comparison = Comparison::Below;
    Command::SetExit {
        criteria: ExitCriteria { expression: String::new(), comparison, threshold: 0.0, for_secs: 0, source: None },
    }
}

/// Asks for a new value of the selected action item. `mark` sets the field to change to an empty text, and returns what it has now.
fn change_item(
    model: &mut Model,
    title: &str,
    hint: &str,
    mark: impl FnOnce(&ActionItem, &mut ActionChange) -> Option<String>,
) -> Vec<Effect> {
    with_item(model, |m, action| {
        let mut change = ActionChange::default();
        let now = current(m).and_then(|i| i.actions.iter().find(|a| a.id == action)).and_then(|item| mark(item, &mut change));
        let dialog = command_dialog(title, hint, Command::ChangeAction { action, change });
        show(m, Overlay::Input(dialog.with_text(now.map(TextField::proposed).unwrap_or_default())))
    })
}

fn runbook(model: &Model) -> Option<String> {
    let annotations = &model.board.current()?.annotations;
    annotations.get("runbook_url").or_else(|| annotations.get("runbook")).cloned()
}

fn selected_query(model: &Model) -> Option<String> {
    let room = model.room.as_ref()?;
    let id = room.selected_evidence()?;
    room.incident.as_ref()?.evidence(id).map(|e| e.query.clone())
}

fn export(model: &mut Model) -> Vec<Effect> {
    let name = model.room.as_ref().map_or_else(|| "postmortem.md".to_owned(), |r| format!("{}.md", r.id));
    let hint = "The path of the file. Its extension sets the format: .md, .html or .json.".to_owned();
    let edit = TextField::proposed(name);
    show(model, Overlay::Input(InputDialog::new("Export to", Purpose::ExportPath, hint, edit)))
}

/// Asks for a hypothesis. The first one starts from what the investigation found most likely.
fn propose_hypothesis(model: &mut Model) -> Vec<Effect> {
    let found =
        current(model).filter(|i| i.hypotheses.is_empty()).and_then(|i| i.investigation.as_ref()?.conclusion()?.in_short());
    let edit = TextField::proposed(found.unwrap_or_default());
    let command = Command::Note { text: String::new(), kind: NoteKind::Hypothesis };
    let hint = "Describe the suspected cause, with its evidence [E…].";
    show(model, Overlay::Input(InputDialog::new("Hypothesis", Purpose::Command(Box::new(command)), hint, edit)))
}

/// Asks for another path after a failure.
pub(super) fn export_again(model: &mut Model, id: IncidentId, path: String, why: &str) -> Vec<Effect> {
    model.say(Tone::Bad, why);
    // Do not ask in another room, and do not replace anything that was opened in the meantime.
    let is_here = model.screen == Screen::Room && model.room.as_ref().is_some_and(|r| r.id == id);
    if model.overlay.is_some() || !is_here {
        return Vec::new();
    }
    show(model, Overlay::Input(InputDialog::new("Export to", Purpose::ExportPath, why, TextField::with(path))))
}

/// Switches between the log patterns of the investigation and the live lines.
fn switch_log_view(model: &mut Model) -> Vec<Effect> {
    // From a history, back to what the tab showed before.
    if leave_all(model) {
        return Vec::new();
    }
    let Some(room) = &mut model.room else { return Vec::new() };
    room.show_lines = !room.show_lines;
    if !room.show_lines && room.patterns("").is_empty() {
        return say_key(model, "No log patterns yet. Press {} to investigate.", Action::Investigate);
    }
    Vec::new()
}

/// Investigates over the incident's window, or over `length` before its end. Only one investigation runs at a time.
fn investigate(model: &mut Model, length: Option<std::time::Duration>) -> Vec<Effect> {
    with_id(model, |m, id| {
        if let Some(room) = &mut m.room {
            if room.investigating.is_some() {
                return say(m, "An investigation is already running.");
            }
            room.investigating = Some(match length {
                Some(length) => format!("looking at the last {}", crate::telemetry::time::human_duration(length)),
                None => "gathering evidence".to_owned(),
            });
        }
        vec![Effect::Investigate(id, length)]
    })
}

/// The message after copying. The text goes through the terminal (OSC 52), so this works over ssh.
pub(super) const COPIED: &str = "Copied (OSC 52; tmux needs `set-clipboard on`).";

fn copy(model: &mut Model, what: impl Fn(&Model) -> Option<String>, otherwise: &str) -> Vec<Effect> {
    match what(model) {
        Some(text) => {
            model.say(Tone::Good, COPIED);
            vec![Effect::Copy(text)]
        }
        None => say(model, otherwise),
    }
}

fn filter(model: &mut Model) -> Vec<Effect> {
    let now = match (model.screen, &model.room) {
        (Screen::Board, _) => model.board.filter.clone(),
        (Screen::Room, Some(room)) if room.tab == Tab::Logs => model.logs.filter.clone(),
        (Screen::Room, Some(room)) => room.filter.clone(),
        (Screen::Room, None) => String::new(),
    };
    let keys = |a: Action| model.key(a);
    let fields = if model.room.as_ref().is_some_and(|r| r.tab == Tab::Logs) && model.screen == Screen::Room {
        " level>=warn, status=502, \"two words\"."
    } else {
        ""
    };
    let hint = format!(
        "Words that must occur; !word must not; ~regex.{fields} {} keeps the filter, {} recalls the previous one, {} clears it.",
        keys(Action::Submit),
        keys(Action::Recall),
        keys(Action::Back)
    );
    let edit = TextField::proposed(now);
    show(model, Overlay::Input(InputDialog::new("Filter", Purpose::Filter, hint, edit)))
}

/// Marks the alerts of the selected row, or removes the marks if all are marked.
pub(super) fn mark(model: &mut Model) -> Vec<Effect> {
    let place = model.board.position().unwrap_or(0);
    let fingerprints = model.board.fingerprints_at(place);
    let all_marked = fingerprints.iter().all(|f| model.board.marked.contains(f));
    for fingerprint in fingerprints {
        if all_marked {
            model.board.marked.remove(&fingerprint);
        } else {
            model.board.marked.insert(fingerprint);
        }
    }
    step_board(model, 1)
}

fn declare(model: &mut Model) -> Vec<Effect> {
    let chosen = model.board.target_alerts();
    let (proposed, reason) = propose(&chosen);
    let title = chosen.iter().min_by_key(|a| (a.severity, a.began_at())).map_or_else(String::new, |a| a.headline(model.now));
    let alerts = chosen.iter().map(|a| LinkedAlert::from_alert(a)).collect();
    let reason = if chosen.is_empty() { "no alerts are selected".to_owned() } else { reason };
    let fingerprints: Vec<String> = chosen.iter().map(|a| a.fingerprint.clone()).collect();
    let key = super::super::session::declare_key(&fingerprints);
    let unsent = model.unsent.iter().position(|u| u.incident.is_none() && u.title == key);
    let unsent = unsent.map(|n| model.unsent.remove(n).text);
    let unused = model.unused_title.take_if(|(alerts, _)| *alerts == fingerprints).map(|(_, title)| title);
    let title = unused.or(unsent).unwrap_or(title);
    let form = DeclareForm {
        title: TextField::proposed(title),
        severity: proposed,
        proposed,
        reason,
        alerts,
        is_commander: true,
        field: DeclareField::Title,
    };
    show(model, Overlay::Declare(Box::new(form)))
}

fn show_brief(model: &mut Model, reader: Reader) -> Vec<Effect> {
    let (now, monitor) = (model.now, model.monitor);
    let Some(incident) = current(model) else { return Vec::new() };
    let text = brief(incident, reader, now, monitor, incident.head.update_due());
    let title = match reader {
        Reader::Joining => "Briefing for responders who are joining",
        Reader::TakingOver => "Handover brief for the next commander",
    };
    show(model, Overlay::Text { title: title.to_owned(), text, scroll: 0 })
}

/// Investigates over a window twice as long as the last one.
fn widen(model: &mut Model) -> Vec<Effect> {
    let now = model.now;
    let length = |i: &crate::incident::Incident| i.investigation.as_ref().map_or_else(|| i.window(now), |n| n.window).length();
    match current(model).map(length) {
        Some(length) => investigate(model, Some(length.saturating_mul(2))),
        None => Vec::new(),
    }
}

fn correct(model: &mut Model) -> Vec<Effect> {
    // Of a note, offer only its text: its kind stays.
    let text = |e: &Entry| match &e.fact {
        Fact::Note { text, .. } => text.clone(),
        fact => fact.sentence(),
    };
    let Some((seq, text, can_be_corrected)) = selected_entry(model).map(|e| (e.seq, text(e), e.fact.can_be_corrected())) else {
        return Vec::new();
    };
    if !can_be_corrected {
        return say_key(
            model,
            "This entry records a change and cannot be corrected. Press {} to undo your last change, or make the change again.",
            Action::Undo,
        );
    }
    let command = Command::Correct { entry: seq, text: String::new(), reason: "corrected by hand".to_owned() };
    let hint = "The original text is kept, and the entry is marked as corrected.".to_owned();
    let (edit, purpose) = (TextField::with(text), Purpose::Command(Box::new(command)));
    show(model, Overlay::Input(InputDialog::new(format!("Correct entry {seq}"), purpose, hint, edit)))
}

/// Adds a note about the selected suspect or evidence item to the timeline.
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
        return say_key(model, "No evidence yet. Press {} to investigate.", Action::Investigate);
    };
    run_at(model, Command::Note { text, kind: NoteKind::Observation }, at)
}

/// Gives the details of the selected row the whole screen, or gives it back.
fn zoom(model: &mut Model) -> Vec<Effect> {
    let has_details = match (model.screen, &model.room) {
        (Screen::Board, _) => true,
        (Screen::Room, Some(room)) => matches!(room.tab, Tab::Signals | Tab::Playbook | Tab::Actions | Tab::Updates),
        (Screen::Room, None) => false,
    };
    if !has_details {
        return say(model, "This tab has the whole screen already.");
    }
    model.is_zoomed = !model.is_zoomed;
    if model.is_zoomed {
        return say_key(model, "Press {} for the list again.", Action::Zoom);
    }
    Vec::new()
}

/// Pins the selected evidence, or removes the one that is pinned.
fn pin_here(model: &mut Model) -> Vec<Effect> {
    let Some(room) = model.room.as_mut().filter(|_| model.screen == Screen::Room) else {
        return say(model, "Open an incident to pin its evidence.");
    };
    if room.pinned.take().is_some() {
        return Vec::new();
    }
    match room.selected_evidence().filter(|_| room.tab == Tab::Signals) {
        Some(id) => super::common::pin(model, id),
        None => say_key(model, "Select evidence in the signals tab ({}), or open it, to pin it.", Action::Tab3),
    }
}
