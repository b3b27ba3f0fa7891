use super::super::chord::{Chord, Code};
use super::super::msg::{
    CheckSummary, CustomCall, CustomEffect, LineRequest, Lines, LinesRead, SilenceCall, SilenceEffect, StepCall, StepEffect,
};
use super::super::overlay::Overlay;
use super::super::room::{Room, Tab};
use super::*;
use crate::incident::gate::gates;
use crate::incident::state::tests::{declared as declared_fact, entries};
use crate::incident::{
    AlertBoard, CardState, CitedSuspect, Command, EvidenceId, EvidenceKind, Fact, Incident, Milestone, NoteKind, Severity,
    SourceReport, Summary, Verdict,
};
use crate::telemetry::log::Batch;
use crate::telemetry::{Alert, AlertSeverity, AlertState, Labels, LogLine, Window};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_795_253_400 + secs)
}

fn alert(name: &str, service: &str) -> Alert {
    Alert {
        fingerprint: format!("{name}-{service}"),
        name: name.into(),
        severity: AlertSeverity::Critical,
        state: AlertState::Firing,
        starts_at: Some(at(-60)),
        pending_since: None,
        labels: Labels::from([("service".into(), service.into())]),
        annotations: Labels::from([("summary".into(), format!("{service} fails"))]),
        source: "am".into(),
        occurrences: 1,
        value: None,
        silenced_by: vec![],
        ..Alert::default()
    }
}

fn report(name: &str, status: SourceStatus) -> SourceReport {
    SourceReport {
        name: name.into(),
        kind: "alertmanager".into(),
        status,
        error: None,
        age_secs: None,
        fault: None,
        remedy: None,
    }
}

fn board(alerts: Vec<Alert>, status: SourceStatus) -> Msg {
    Msg::AlertsArrived(Box::new(AlertBoard {
        alerts,
        sources: vec![report("am", status)],
        gaps: vec![],
        expected: vec!["am".into()],
    }))
}

fn model() -> Model {
    let mut model = Model::new(at(0), time::UtcOffset::UTC);
    model.user = "ana".into();
    update(&mut model, at(0), board(vec![alert("A", "x"), alert("B", "x"), alert("C", "y")], SourceStatus::Ok));
    model
}

/// Presses keys, as if everything fitted on the screen and had been drawn.
fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    if model.scroll_limit == usize::MAX {
        model.scroll_limit = 0;
    }
    press_undrawn(model, keys)
}

fn press_undrawn(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys.chars() {
        let code = match key {
            '⏎' => Code::Enter,
            '⎋' => Code::Esc,
            '⇥' => Code::Tab,
            '↓' => Code::Down,
            '↑' => Code::Up,
            c => Code::Char(c),
        };
        effects = update(model, at(1), Msg::Pressed(Chord::plain(code)));
    }
    effects
}

fn room() -> Model {
    let mut model = model();
    let incident = Incident::fold(entries(vec![declared_fact()])).unwrap();
    model.room = Some(Room::new(incident.id()));
    model.screen = Screen::Room;
    update(&mut model, at(0), Msg::IncidentRead(Box::new(incident), Default::default()));
    model
}

/// The effect that runs a command on the incident of the room, without a time of its own.
fn run(command: Command) -> Effect {
    Effect::Run { id: IncidentId(1), command: Box::new(command), at: None }
}

/// The command in the only effect.
fn only_command(effects: &[Effect]) -> &Command {
    let [Effect::Run { id: IncidentId(1), command, .. }] = effects else { panic!("{effects:?}") };
    command
}

/// The open input dialog.
fn input_dialog(model: &Model) -> &super::super::overlay::InputDialog {
    let Some(Overlay::Input(line)) = &model.overlay else { panic!("{:?}", model.overlay) };
    line
}

#[test]
fn a_note_can_have_several_lines() {
    let mut model = room();
    press(&mut model, "none");
    update(&mut model, at(1), Msg::Pressed(Chord::ctrl('j')));
    press(&mut model, "two");
    update(&mut model, at(1), Msg::Pasted("\nthree\r\nfour".into()));
    press(&mut model, "↑!");
    let effects = press(&mut model, "⏎");
    let Command::Note { text, .. } = only_command(&effects) else { panic!("{effects:?}") };
    assert_eq!(text, "one\ntwo\nthre!e\nfour");
    // A name has one line.
    press(&mut model, "c1");
    update(&mut model, at(1), Msg::Pressed(Chord::ctrl('j')));
    update(&mut model, at(1), Msg::Pasted("ana\nben".into()));
    assert!(!input_dialog(&model).edit.text().contains('\n'), "{:?}", input_dialog(&model));
}

#[test]
fn fetches_the_chart_whenever_the_selection_moves() {
    let fetched = |effects: &[Effect]| -> Vec<String> {
        let fingerprint = |e: &Effect| if let Effect::FetchSeries(alert) = e { Some(alert.fingerprint.clone()) } else { None };
        effects.iter().filter_map(fingerprint).collect()
    };
    let mut model = model();
    assert_eq!(fetched(&press(&mut model, "j")), ["B-x"]);
    assert_eq!(fetched(&press(&mut model, "/fails y")), ["C-y"], "a filter moves the selection");
    let mut model = room();
    assert_eq!(fetched(&press(&mut model, "q")).len(), 1, "so does returning to the board");
}

#[test]
fn declares_from_the_marked_alerts() {
    let mut model = model();
    let effects = press(&mut model, "  d⏎");
    let [Effect::Declare { title, severity, alerts, is_commander, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((title.as_str(), *severity, alerts.len(), *is_commander), ("x fails", Severity::Sev2, 2, true));
    assert_eq!(model.unsaved, 1);
}

#[test]
fn keeps_the_selected_alert_when_data_arrives() {
    let mut model = model();
    press(&mut model, "G");
    assert_eq!(model.board.current().unwrap().name, "C");
    update(&mut model, at(10), board(vec![alert("0", "0"), alert("A", "x"), alert("C", "y"), alert("D", "z")], SourceStatus::Ok));
    assert_eq!(model.board.current().unwrap().name, "C");
}

#[test]
fn keeps_the_alerts_and_age_of_a_failed_source() {
    let mut model = model();
    update(&mut model, at(10), board(vec![], SourceStatus::Failed));
    assert_eq!(model.board.alerts.len(), 3);
    assert_eq!(model.board.sources[0].answered_at, Some(at(0)));
    update(&mut model, at(20), board(vec![], SourceStatus::Ok));
    assert!(model.board.alerts.is_empty());
}

#[test]
fn esc_closes_dialogs_and_filters_but_not_the_room() {
    let mut model = room();
    press(&mut model, "nhello⎋");
    assert!(model.overlay.is_none());
    press(&mut model, "⎋⎋");
    assert_eq!(model.screen, Screen::Room, "Esc does not leave the room");
    press(&mut model, "q");
    assert_eq!(model.screen, Screen::Board);
    press(&mut model, "/=y⏎");
    assert_eq!(model.board.rows().len(), 2);
    press(&mut model, "⎋");
    assert_eq!(model.board.rows().len(), 5);
    assert_eq!(press(&mut model, "⎋"), []);
}

#[test]
fn writes_a_note_with_one_key() {
    let mut model = room();
    let effects = press(&mut model, "nit broke⏎");
    assert_eq!(effects, [run(Command::Note { text: "it broke".into(), kind: NoteKind::Observation })]);
    let effects = press(&mut model, "N08:00 before⏎");
    let [Effect::Run { at: Some(when), command, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Command::Note { text, .. } = command.as_ref() else { panic!("{command:?}") };
    assert_eq!((when.clock(time::UtcOffset::UTC).as_str(), text.as_str()), ("08:00:00", "before"));
    assert!(*when <= at(1));
}

#[test]
fn widening_doubles_the_window() {
    let mut model = room();
    let before = model.room.as_ref().unwrap().incident.as_ref().unwrap().window(at(1)).length();
    assert_eq!(press(&mut model, "w"), [Effect::Investigate(IncidentId(1), Some(before * 2))]);
    assert_eq!(press(&mut model, "w"), [], "only one investigation runs at a time");
}

#[test]
fn changing_the_severity_needs_a_reason() {
    let mut model = room();
    // The list starts at SEV3, the current severity.
    assert_eq!(press(&mut model, "s↑⏎⏎"), []);
    press(&mut model, "⎋");
    let effects = press(&mut model, "s↑⏎all orders fail⏎");
    assert_eq!(effects, [run(Command::Severity { severity: Severity::Sev2, reason: "all orders fail".into() })]);
}

#[test]
fn read_only_mode_changes_nothing_and_says_so() {
    let mut model = room();
    model.read_only = true;
    for key in ["n", "a", "s", "R", "i", "A", "e", "p"] {
        assert_eq!(press(&mut model, key), [], "{key}");
        assert!(model.overlay.is_none(), "{key}");
        assert!(model.toast.as_ref().is_some_and(|t| t.text.starts_with("Read-only mode")), "{key}");
    }
}

#[test]
fn pasting_never_submits() {
    let mut model = room();
    press(&mut model, "n");
    let effects = update(&mut model, at(1), Msg::Pasted("one\ntwo\n".into()));
    assert_eq!(effects, []);
    assert_eq!(input_dialog(&model).edit.text(), "one\ntwo\n");
}

#[test]
fn an_answer_says_how_long_it_takes_and_what_to_do_next() {
    let mut model = room();
    press(&mut model, "5⏎");
    let request = model.requests;
    let progress = |model: &Model| model.room.as_ref().unwrap().streaming.as_ref().unwrap().progress(model.now);
    assert_eq!(progress(&model), "", "no model was asked yet");
    update(&mut model, at(2), Msg::Answering(request, Delta::Asked(Some(std::time::Duration::from_millis(11_400)))));
    update(&mut model, at(10), Msg::Answering(request, Delta::Text("The pool".into())));
    assert_eq!(progress(&model), "8 s of about 12 s");
    update(&mut model, at(20), Msg::Answering(request, Delta::Text(" ran dry.".into())));
    assert_eq!(progress(&model), "18 s, usually 12 s");
    update(
        &mut model,
        at(21),
        Msg::Answered(request, Ok(CheckSummary { text: "1 claim: 1 uncited".into(), holds: false, is_flagged: true })),
    );
    let said = model.toast.as_ref().map(|t| t.text.clone()).unwrap_or_default();
    assert_eq!(said, "1 claim: 1 uncited. ] selects what was flagged, with the reason.");
}

#[test]
fn drops_answers_to_an_older_question() {
    let mut model = room();
    press(&mut model, "5⏎");
    let request = model.requests;
    update(&mut model, at(2), Msg::Answering(request - 1, Delta::Text("old".into())));
    update(&mut model, at(2), Msg::Answering(request, Delta::Text("new".into())));
    assert_eq!(model.room.as_ref().unwrap().streaming.as_ref().unwrap().text, "new");
    assert_eq!(press(&mut model, "⎋"), [Effect::CancelAsk]);
    assert_eq!(
        update(
            &mut model,
            at(3),
            Msg::Answered(request - 1, Ok(CheckSummary { text: "x".into(), holds: true, is_flagged: false }))
        ),
        []
    );
    assert!(model.room.as_ref().unwrap().streaming.is_some());
    update(&mut model, at(3), Msg::Answered(request, Ok(CheckSummary { text: "x".into(), holds: false, is_flagged: true })));
    assert_eq!(model.toast.as_ref().map(|t| t.tone), Some(Tone::Plain), "an answer with flagged claims has no tick");
    assert!(model.room.as_ref().unwrap().streaming.is_none());
}

#[test]
fn follows_logs_from_the_first_visit_until_the_room_is_left() {
    let mut model = room();
    assert_eq!(press(&mut model, "4"), [Effect::FollowLogs]);
    let line = LogLine::plain("an earlier line".to_owned());
    let batch = Batch { lines: vec![line], dropped: 0, is_backlog: true };
    update(&mut model, at(1), Msg::LogsArrived(batch));
    assert_eq!(press(&mut model, "34"), [], "lines are followed on other tabs too, and following is not started twice");
    assert_eq!(model.logs.received(), 1);
    press(&mut model, "3");
    assert!(press(&mut model, "q").contains(&Effect::StopLogs));
    assert!(!model.logs.is_live, "the next room starts without live logs");
}

#[test]
fn resolving_lists_open_items_and_needs_a_reason() {
    let mut model = room();
    press(&mut model, "R");
    let dialog = input_dialog(&model);
    assert!(dialog.hint.contains("Mitigation recorded") && dialog.title.contains("resolved"), "{dialog:?}");
    assert_eq!(press(&mut model, "⏎"), [], "resolving needs a reason");
    assert!(input_dialog(&model).hint.contains("Mitigation recorded"), "the dialog stays open, with what it says");
    let effects = press(&mut model, "a drill⏎");
    let override_reason = Some("a drill".to_owned());
    let status = crate::incident::Status::Resolved;
    assert_eq!(effects, [run(Command::Status { status, override_reason, reason: None })]);
}

/// A room whose incident has these facts after its declaration.
fn room_with(facts: Vec<Fact>) -> Model {
    let mut model = room();
    let all = entries(std::iter::once(declared_fact()).chain(facts).collect());
    update(&mut model, at(5), Msg::IncidentRead(Box::new(Incident::fold(all).unwrap()), Default::default()));
    model
}

#[test]
fn cancelling_needs_a_reason() {
    use crate::incident::Status;
    let mut model = room();
    press(&mut model, "t8");
    assert_eq!(press(&mut model, "⏎"), [], "cancelling needs a reason");
    press(&mut model, "⎋");
    press(&mut model, "t8");
    let effects = press(&mut model, "a probe was wrong⏎");
    let reason = Some("a probe was wrong".to_owned());
    assert_eq!(effects, [run(Command::Status { status: Status::Cancelled, override_reason: None, reason })]);
}

#[test]
fn records_the_audience_of_an_update_and_when_the_next_is_due() {
    use crate::incident::{Audience, NextUpdate};
    let mut model = room();
    press(&mut model, "U⏎");
    let effects = press(&mut model, "still failing; next 45m⏎");
    let Command::RecordUpdate { audience, text, next } = only_command(&effects) else { panic!("{effects:?}") };
    let expected = NextUpdate::In(std::time::Duration::from_mins(45));
    assert_eq!((*audience, text.as_str(), *next), (Audience::ALL[0], "still failing", expected));
    press(&mut model, "U⏎");
    let effects = press(&mut model, "all is well, next none⏎");
    assert!(matches!(only_command(&effects), Command::RecordUpdate { next: NextUpdate::Never, .. }), "{effects:?}");
    press(&mut model, "U↓⏎");
    let effects = press(&mut model, "the next step is a restart⏎");
    let Command::RecordUpdate { audience, text, next: NextUpdate::Scheduled } = only_command(&effects) else {
        panic!("{effects:?}")
    };
    assert_eq!((*audience, text.as_str()), (Audience::ALL[1], "the next step is a restart"));
}

#[test]
fn an_update_is_drafted_edited_and_recorded() {
    use crate::comms::{Stage, draft};
    use crate::incident::{Audience, NextUpdate};
    use crate::telemetry::Names;
    let mut model = room();
    let asked = |audience, stage| [Effect::MakeDraft { id: IncidentId(1), audience, stage }];
    assert_eq!(press(&mut model, "8"), asked(Audience::Internal, None));
    // A draft that is not there yet is not recorded; choosing another one ends the wait for it.
    assert_eq!(press(&mut model, "⏎"), asked(Audience::Internal, None));
    assert!(model.overlay.is_none());
    assert_eq!(press(&mut model, "f"), asked(Audience::Executive, None));
    assert_eq!(press(&mut model, "f"), asked(Audience::External, None));
    let incident = model.room.as_ref().unwrap().incident.clone().unwrap();
    let made = |audience, stage| {
        Msg::DraftReady(IncidentId(1), Box::new(draft(&incident, audience, stage, &[], &Names::default(), at(1))))
    };
    // The answer for an audience that is no longer chosen is not shown.
    update(&mut model, at(1), made(Audience::Executive, None));
    assert!(model.room.as_ref().unwrap().draft.is_none());
    update(&mut model, at(1), made(Audience::External, None));
    press(&mut model, "⏎");
    let effects = press(&mut model, "Sorry. ⏎");
    let Command::RecordUpdate { audience: Audience::External, text, next: NextUpdate::At(_) } = only_command(&effects) else {
        panic!("{effects:?}")
    };
    assert!(text.starts_with("Sorry. ") && text.contains("\n\n"), "{text}");
    // The last stage promises no further update, and after it comes the stage of the status.
    for stage in Stage::ALL {
        assert_eq!(press(&mut model, "gs"), asked(Audience::External, Some(stage)));
    }
    update(&mut model, at(1), made(Audience::External, Some(Stage::Resolved)));
    press(&mut model, "⏎");
    let effects = press(&mut model, "⏎");
    assert!(matches!(only_command(&effects), Command::RecordUpdate { next: NextUpdate::Never, .. }), "{effects:?}");
    assert_eq!(press(&mut model, "gs"), asked(Audience::External, None));
    let [Effect::Copy(text)] = &press(&mut model, "y")[..] else { panic!("nothing is copied") };
    assert!(text.starts_with("Resolved\n\n"), "{text}");
}

#[test]
fn rejects_future_times() {
    // The current time is 09:30 UTC.
    let mut model = room();
    assert_eq!(press(&mut model, "N14:40 saw it⏎"), [], "a time in the future is rejected");
    let dialog = input_dialog(&model);
    assert!(dialog.edit.text() == "14:40 saw it" && dialog.hint.contains("09:30"), "{dialog:?}");
    press(&mut model, "⎋");
    press(&mut model, "N");
    update(&mut model, at(1), Msg::Pressed(Chord::ctrl('u')));
    let effects = press(&mut model, "yesterday 23:50 the last good backup⏎");
    let [Effect::Run { at: Some(when), .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(when.date_clock(), "2026-11-20 23:50:00");
}

#[test]
fn shows_the_command_of_a_page_and_runs_it_only_when_confirmed() {
    let mut model = room();
    let (id, name, text) = (IncidentId(1), "ben".to_owned(), "please join".to_owned());
    assert_eq!(press(&mut model, "&ben please join⏎"), [Effect::PreparePage { id, name: name.clone(), text: text.clone() }]);
    let lines = vec!["This runs:".to_owned(), "  [\"pager\", \"ben\"]".to_owned()];
    update(&mut model, at(2), Msg::PageReady { id, name: name.clone(), text: text.clone(), lines });
    let Some(Overlay::Confirm(dialog)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert!(dialog.lines[1].contains("pager") && !dialog.yes, "{dialog:?}");
    assert_eq!(press(&mut model, "y"), [run(Command::Page { name, text })]);
}

#[test]
fn a_step_of_a_playbook_is_shown_before_it_runs_and_skipped_with_a_reason() {
    let mut model = room();
    assert_eq!(press(&mut model, "6⏎"), [], "no playbook matches");
    model.playbooks = std::sync::Arc::new(crate::playbook::Library::load(&[]));
    press(&mut model, "brelease of its own⏎");
    assert_eq!(model.room.as_ref().and_then(|r| r.playbook.as_deref()), Some("rollback"));
    press(&mut model, "jjj");
    press(&mut model, "vnamespace=shop⏎");
    let values = std::collections::BTreeMap::from([("namespace".to_owned(), "shop".to_owned())]);
    let effects = press(&mut model, "⏎");
    let call = |again| StepCall { id: IncidentId(1), playbook: "rollback".into(), step: 4, values: values.clone(), again };
    assert_eq!(effects, [Effect::Step(StepEffect::Prepare(call(false)))]);
    let run = |again| Effect::Step(StepEffect::Run(call(again), "t".into()));
    // A step that only reads runs at once; a script is shown, and not run unless it is confirmed.
    let ready = |lines: Vec<String>| Msg::ToConfirm { effect: Box::new(run(false)), title: "Step 4".into(), lines };
    assert_eq!(update(&mut model, at(2), ready(vec![])), [run(false)]);
    // Its output is shown as it comes, a second step waits, and C-c stops it.
    update(&mut model, at(3), Msg::ScriptOutput("pod deleted\n".into()));
    let running = model.running.as_ref().unwrap();
    assert_eq!((running.step.as_ref(), running.output.as_str()), (Some(&("rollback".to_owned(), 4)), "pod deleted\n"));
    assert_eq!(press(&mut model, "⏎"), [], "it is still running");
    let stop = Chord { code: Code::Char('c'), ctrl: true, alt: false };
    assert_eq!(update(&mut model, at(3), Msg::Pressed(stop)), [Effect::StopScript]);
    update(&mut model, at(4), Msg::ScriptEnded);
    assert_eq!(update(&mut model, at(4), Msg::Pressed(stop)), []);
    assert_eq!(update(&mut model, at(2), ready(vec!["This runs on a in b:".into(), "  kubectl".into()])), []);
    assert_eq!(press(&mut model, "⏎"), [], "No is the default");
    update(&mut model, at(2), ready(vec!["This runs on a in b:".into()]));
    assert_eq!(press(&mut model, "y"), [run(false)]);
    // While it runs, nothing else does.
    update(&mut model, at(2), ready(vec![]));
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("still running")));
    update(&mut model, at(2), Msg::ScriptEnded);
    assert_eq!(press(&mut model, "x⏎"), [], "a reason is required");
    model.running = None;
    let (playbook, reason) = ("rollback".to_owned(), "not needed".to_owned());
    let skip = Effect::Step(StepEffect::Skip { id: IncidentId(1), playbook, step: 4, reason });
    assert_eq!(press(&mut model, "xnot needed⏎"), [skip]);
    // What does not fit on the screen is confirmed only after its end was shown.
    update(&mut model, at(2), ready(vec!["  a line".into(); 30]));
    assert_eq!(press_undrawn(&mut model, "y"), [], "not drawn yet");
    model.scroll_limit = 2;
    assert_eq!(press(&mut model, "jy"), [], "its last line was not shown");
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("Scroll to the end first")));
    assert_eq!(press(&mut model, "jky"), []);
    assert_eq!(press(&mut model, "jjy"), [run(false)]);
    model.running = None;
    assert_eq!(press(&mut model, "E"), [Effect::Step(StepEffect::Prepare(call(true)))]);
    model.read_only = true;
    assert_eq!(press(&mut model, "⏎"), []);
}

#[test]
fn a_step_asks_for_the_value_that_it_needs() {
    let mut model = room();
    model.playbooks = std::sync::Arc::new(crate::playbook::Library::load(&[]));
    let call = StepCall { id: IncidentId(1), playbook: "rollback".into(), step: 4, values: Default::default(), again: false };
    let needed = |choices: &[&str]| Msg::ValueNeeded {
        call: call.clone(),
        name: "namespace".into(),
        description: "the namespace".into(),
        choices: choices.iter().map(|c| (*c).to_owned()).collect(),
    };
    let prepared = |value: &str| {
        let values = std::collections::BTreeMap::from([("namespace".to_owned(), value.to_owned())]);
        [Effect::Step(StepEffect::Prepare(StepCall { values, ..call.clone() }))]
    };
    assert_eq!(update(&mut model, at(1), needed(&[])), []);
    assert_eq!(press(&mut model, "⏎"), [], "a value is required");
    assert_eq!(press(&mut model, "shop⏎"), prepared("shop"));
    assert_eq!(model.room.as_ref().and_then(|r| r.values.get("namespace")).map(String::as_str), Some("shop"));
    update(&mut model, at(1), needed(&["shop", "web"]));
    assert_eq!(press(&mut model, "↓⏎"), prepared("web"), "one of those that the alerts have");
}

#[test]
fn silences_are_listed_extended_and_ended_and_their_end_is_announced_once() {
    use crate::telemetry::silence::{ListedSilence, SilenceRecord, SilenceState};
    let mut model = model();
    assert_eq!(press(&mut model, "S"), [], "none yet");
    assert!(model.overlay.is_none());
    let silence = |id: &str, end: i64, hides: &[&str]| ListedSilence {
        silence: SilenceRecord {
            id: id.into(),
            source: "am".into(),
            matchers: vec!["service=x".parse().unwrap()],
            state: SilenceState::Active,
            starts_at: Some(at(-600)),
            ends_at: Some(at(end)),
            created_by: "ben".into(),
            comment: "migration".into(),
        },
        hides: hides.iter().map(|h| (String::from("A"), (*h).to_owned())).collect(),
    };
    let listed = vec![silence("s1", 600, &["A-x"]), silence("s2", 300, &[]), silence("s3", 36_000, &["B-x"])];
    model.toast = None;
    update(&mut model, at(1), Msg::SilencesListed(listed.clone()));
    let text = model.toast.take().map(|t| t.text).unwrap();
    assert!(text.contains("A silence that hides 1 alert ends in 9m59s. Press S on the board"), "{text}");
    update(&mut model, at(61), Msg::SilencesListed(listed));
    assert!(model.toast.is_none(), "announced once");
    let extend = SilenceEffect::Extend { silence: "s1".into(), length: std::time::Duration::from_hours(1), incident: None };
    assert_eq!(press(&mut model, "S12soon⏎"), [], "a duration is required");
    press(&mut model, "⎋");
    assert_eq!(press(&mut model, "S121h⏎"), [Effect::Silence(extend)]);
    let end = SilenceEffect::Expire { silence: "s3".into(), reason: "all done".into(), incident: None };
    assert_eq!(press(&mut model, "S33⏎"), [], "a reason is required");
    assert_eq!(press(&mut model, "all done⏎"), [Effect::Silence(end)]);
}

#[test]
fn a_silence_is_created_only_after_its_preview_was_confirmed() {
    let mut model = model();
    press(&mut model, "s");
    assert!(model.overlay.is_none(), "no source can silence");
    model.has_silences = true;
    let fingerprints: Vec<String> = model.board.target_alerts().iter().map(|a| a.fingerprint.clone()).collect();
    assert!(!fingerprints.is_empty());
    assert_eq!(press(&mut model, "s2h⏎"), [], "a reason is required");
    assert!(matches!(model.overlay, Some(Overlay::Input(_))), "the text is kept");
    press(&mut model, "⎋");
    assert_eq!(press(&mut model, "ssoon x⏎"), [], "and a duration");
    press(&mut model, "⎋s");
    update(&mut model, at(1), Msg::Pressed(Chord::ctrl('u')));
    let effects = press(&mut model, "2h migration⏎");
    let length = std::time::Duration::from_hours(2);
    let call = SilenceCall { fingerprints, length, reason: "migration".into(), incident: None };
    assert_eq!(effects, [Effect::Silence(SilenceEffect::Plan(call.clone()))]);
    let create = Effect::Silence(SilenceEffect::Create(call, "t".into()));
    let lines = vec!["In am, until 12:00 UTC:".to_owned()];
    update(&mut model, at(2), Msg::ToConfirm { effect: Box::new(create.clone()), title: "Create this silence?".into(), lines });
    let mut other = model.clone();
    assert_eq!(press(&mut model, "⏎"), [], "No is the default");
    assert_eq!((press(&mut other, "y"), other.unsaved), (vec![create], 1));
}

#[test]
fn an_update_is_sent_only_after_its_preview_was_confirmed() {
    use super::super::model::Channel;
    use super::super::msg::{SendCall, SendEffect};
    use crate::comms::draft;
    use crate::incident::{Audience, Letter};
    use crate::telemetry::Names;
    let mut model = room();
    let channel = |name: &str, kind: &str, needs_target| Channel {
        name: name.into(),
        kind: kind.into(),
        audiences: Audience::ALL.to_vec(),
        needs_target,
    };
    model.channels = vec![channel("team", "slack", false), channel("issue", "github", true)];
    // From another tab: the draft is written first, and then the channels are offered by themselves.
    let effects = press(&mut model, ":send⏎");
    assert!(matches!(effects.last(), Some(Effect::MakeDraft { .. })) && model.overlay.is_none(), "there is no draft yet");
    let incident = model.room.as_ref().unwrap().incident.clone().unwrap();
    let made = draft(&incident, Audience::Internal, None, &[], &Names::default(), at(1)).unwrap();
    let text = format!("{}\n\n{}", made.subject, made.text);
    update(&mut model, at(1), Msg::DraftReady(IncidentId(1), Box::new(Ok(made))));
    let call = SendCall {
        id: IncidentId(1),
        channel: "team".into(),
        letter: Letter::Update,
        audience: Audience::Internal,
        stage: None,
        text: Some(text.clone()),
        target: None,
        override_reason: None,
        again: false,
    };
    let plan = |call: &SendCall| vec![Effect::Send(SendEffect::Plan(Box::new(call.clone())))];
    assert_eq!(press(&mut model, "1"), []);
    assert_eq!(press(&mut model, "⏎"), plan(&call), "the text can be edited first, and nothing is sent yet");
    let outgoing = crate::incident::Outgoing {
        key: "wr-1".into(),
        channel: "team".into(),
        letter: Letter::Update,
        audience: Audience::Internal,
        stage: "investigating".into(),
        subject: "s".into(),
        text: "t".into(),
        next_due: None,
        target: None,
        edits: None,
        override_reason: None,
        hits: Vec::new(),
    };
    let send = Effect::Send(SendEffect::Send(Box::new(call.clone()), Box::new(outgoing), "token".into()));
    let lines = vec!["POST http://x".to_owned()];
    update(&mut model, at(2), Msg::ToConfirm { effect: Box::new(send.clone()), title: "Send this?".into(), lines });
    let mut other = model.clone();
    assert_eq!(press(&mut other, "⏎"), [], "No is the default");
    assert_eq!(input_dialog(&other).edit.text(), text, "the text can be changed then");
    assert_eq!((press(&mut model, "y"), model.unsaved), (vec![send], 1));
    // A channel that needs a target asks for it first.
    press(&mut model, "m2");
    assert_eq!(press(&mut model, "⏎"), [], "a target is required");
    press(&mut model, "42⏎");
    let to_issue = SendCall { channel: "issue".into(), target: Some("42".into()), ..call.clone() };
    assert_eq!(press(&mut model, "⏎"), plan(&to_issue));
    // The clipboard needs no plan, and a brief no text.
    assert_eq!(press(&mut model, "m3"), [Effect::Copy(text)]);
    assert_eq!(press(&mut model, "m4"), plan(&SendCall { letter: Letter::Briefing, text: None, ..call.clone() }));
    // A text that cannot be sent is open again, also if something else was opened in the meantime.
    let failure = Failure::new("the issue is not known");
    update(&mut model, at(3), Msg::SendFailed(Box::new(call.clone()), failure.clone()));
    assert_eq!(input_dialog(&model).edit.text(), call.text.as_deref().unwrap());
    update(&mut model, at(3), Msg::SendFailed(Box::new(call.clone()), failure));
    assert!(model.refused.is_some());
    press(&mut model, "⎋");
    // Open points offer a change of the text, or a reason.
    update(&mut model, at(4), Msg::SendHits(Box::new(call.clone()), vec!["\"db-1\": a machine".into()]));
    press(&mut model, "2");
    assert_eq!(press(&mut model, "⏎"), [], "a reason is required");
    assert_eq!(press(&mut model, "legal agreed⏎"), plan(&SendCall { override_reason: Some("legal agreed".into()), ..call }));
}

#[test]
fn a_sending_with_an_unknown_outcome_is_repeated_by_a_person() {
    use super::super::msg::SendEffect;
    use crate::incident::{Audience, Letter, Outgoing, SendOutcome};
    let outgoing = |key: &str| Outgoing {
        key: key.into(),
        channel: "team".into(),
        letter: Letter::Update,
        audience: Audience::Internal,
        stage: String::new(),
        subject: "Still failing".into(),
        text: "More at nine.".into(),
        next_due: None,
        target: None,
        edits: None,
        override_reason: None,
        hits: Vec::new(),
    };
    let ended = |key: &str, outcome| Fact::SendEnded {
        key: key.into(),
        channel: "team".into(),
        outcome,
        detail: String::new(),
        reference: None,
    };
    let begun = |key: &str| Fact::SendStarted { outgoing: outgoing(key) };
    let mut model = room_with(vec![begun("a"), ended("a", SendOutcome::Sent)]);
    assert_eq!(press(&mut model, "8gm"), []);
    assert!(model.toast.take().unwrap().text.contains("has arrived"));
    // Interrupted an hour ago: it may have arrived.
    let mut model = room_with(vec![begun("a")]);
    model.now = at(3600);
    assert_eq!(update(&mut model, at(3600), Msg::Pressed(Chord::plain(Code::Char('8')))).len(), 1);
    for key in ['g', 'm', '1'] {
        update(&mut model, at(3600), Msg::Pressed(Chord::plain(Code::Char(key))));
    }
    let Some(Overlay::Confirm(dialog)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert!(dialog.lines[0].contains("unknown whether team has this message"), "{dialog:?}");
    let effects = press(&mut model, "y");
    let [Effect::Send(SendEffect::Plan(call))] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(call.again && call.text.as_deref() == Some("Still failing\n\nMore at nine."));
}

#[test]
fn reads_log_sources_when_there_is_no_evidence_of_the_minute() {
    let mut model = room_with(vec![Fact::Note { text: "restarted".into(), note_kind: NoteKind::Observation }]);
    model.has_logs = true;
    let window = Window::new(at(0), at(120));
    let request = LineRequest { id: 1, what: Lines::Around(at(60)), window, search: None };
    assert_eq!(press(&mut model, "2Gl"), [Effect::FollowLogs, Effect::ReadLines(request)]);
}

fn log_line(secs: i64, text: &str) -> LogLine {
    LogLine { at: Some(at(secs)), ..LogLine::plain(text.to_owned()) }
}

fn press_at(model: &mut Model, secs: i64, key: char) -> Vec<Effect> {
    update(model, at(secs), Msg::Pressed(Chord::plain(Code::Char(key))))
}

/// The only request for log lines among the effects.
fn line_request(effects: &[Effect]) -> LineRequest {
    let requests: Vec<&LineRequest> =
        effects.iter().filter_map(|e| if let Effect::ReadLines(request) = e { Some(request) } else { None }).collect();
    let [request] = requests.as_slice() else { panic!("{effects:?}") };
    (*request).clone()
}

fn answer(model: &mut Model, request: LineRequest, lines: Vec<LogLine>) {
    let found = LinesRead { window: request.window, searched: lines.len().max(1000), lines, gaps: Vec::new() };
    update(model, at(400), Msg::LinesRead(request, found));
}

#[test]
fn lines_around_a_time_are_paged_in_both_directions() {
    let mut model = room_with(vec![Fact::Note { text: "restarted".into(), note_kind: NoteKind::Observation }]);
    model.has_logs = true;
    let press =
        |model: &mut Model, keys: &str| -> Vec<Effect> { keys.chars().flat_map(|key| press_at(model, 400, key)).collect() };
    let request = line_request(&press(&mut model, "2Gl"));
    let words = ["alpha", "beta", "gamma", "delta"];
    answer(&mut model, request, (0..4).map(|n| log_line(20 + 20 * n, words[n as usize])).collect());
    assert_eq!(model.logs.current().map(|l| l.message.as_str()), Some("gamma"), "the line of that minute");
    assert!(press(&mut model, "kk").is_empty());
    assert_eq!(model.logs.current().map(|l| l.message.as_str()), Some("alpha"));
    let earlier = line_request(&press(&mut model, "k"));
    assert_eq!((&earlier.what, earlier.window), (&Lines::Earlier, Window::new(at(-120), at(0))));
    assert!(press(&mut model, "k").is_empty(), "one page at a time");
    answer(&mut model, earlier, Vec::new());
    let wider = line_request(&press(&mut model, "k"));
    assert_eq!(wider.window, Window::new(at(-360), at(-120)), "after a page without lines, a longer one");
    answer(&mut model, wider, vec![log_line(-200, "older")]);
    assert_eq!(model.logs.current().map(|l| l.message.as_str()), Some("alpha"), "the selection stays");
    press(&mut model, "k");
    assert_eq!(model.logs.current().map(|l| l.message.as_str()), Some("older"));
    press(&mut model, "jjjj");
    let later = line_request(&press(&mut model, "j"));
    assert_eq!((&later.what, later.window), (&Lines::Later, Window::new(at(120), at(240))));
    answer(&mut model, later, vec![log_line(130, "newer")]);
    press(&mut model, "j");
    assert_eq!(model.logs.current().map(|l| l.message.as_str()), Some("newer"));
    // Live lines arrive in the meantime, and are there after going back.
    update(&mut model, at(401), Msg::LogsArrived(Batch { lines: vec![LogLine::plain("live")], ..Batch::default() }));
    assert_eq!(model.logs.current().map(|l| l.message.as_str()), Some("newer"));
    update(&mut model, at(402), Msg::Pressed(Chord::plain(Code::Esc)));
    assert_eq!(model.logs.current().map(|l| l.message.as_str()), Some("live"));
}

#[test]
fn an_answer_reaches_the_history_that_asked_for_it() {
    let mut model = room_with(vec![Fact::Note { text: "restarted".into(), note_kind: NoteKind::Observation }]);
    model.has_logs = true;
    let first = line_request(&press(&mut model, "2Gl"));
    answer(&mut model, first, vec![log_line(60, "alpha"), log_line(61, "beta")]);
    let page = line_request(&press(&mut model, "k"));
    // Left before the page arrives, and opened again.
    press(&mut model, "⎋");
    let second = line_request(&press(&mut model, "2Gl"));
    answer(&mut model, page, vec![log_line(-30, "late")]);
    assert!(model.logs.history.as_ref().is_some_and(super::super::logs::History::is_reading), "the late page is not its answer");
    // Another one is opened above it, and its answer still arrives.
    model.logs.search = "x".to_owned();
    let third = line_request(&press(&mut model, "S"));
    answer(&mut model, second, vec![log_line(60, "gamma")]);
    answer(&mut model, third, Vec::new());
    press(&mut model, "⎋⎋");
    assert_eq!(model.logs.current().map(|l| l.message.as_str()), Some("gamma"));
}

#[test]
fn a_hidden_line_is_not_acted_on() {
    let mut model = room();
    press(&mut model, "4");
    let error = LogLine { level: Some(crate::telemetry::Level::Error), ..LogLine::plain("broken") };
    let lines = vec![error, LogLine::plain("fine")];
    update(&mut model, at(2), Msg::LogsArrived(Batch { lines, ..Batch::default() }));
    press(&mut model, "k");
    press(&mut model, "x");
    assert_eq!(
        model.logs.current().map(|l| l.message.as_str()),
        Some("broken"),
        "the selected line is hidden, and the nearest selected"
    );
    press(&mut model, "&fine⏎");
    assert_eq!(model.logs.current(), None, "no line is shown");
}

#[test]
fn a_search_looks_through_the_whole_window_when_nothing_loaded_matches() {
    let mut model = room_with(vec![Fact::Note { text: "restarted".into(), note_kind: NoteKind::Observation }]);
    model.has_logs = true;
    press(&mut model, "4");
    update(&mut model, at(400), Msg::LogsArrived(Batch { lines: vec![LogLine::plain("GET /cart")], ..Batch::default() }));
    let request = line_request(&press(&mut model, "/pool⏎"));
    assert_eq!((&request.what, request.search.as_deref()), (&Lines::Matching, Some("pool")));
    assert!(request.window.contains(at(0)) && request.window.length() >= std::time::Duration::from_mins(10), "{request:?}");
    let mut hit = log_line(50, "pool exhausted");
    hit.fields.insert("trace_id".to_owned(), "4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
    answer(&mut model, request, vec![log_line(20, "pool is 90 % full"), hit]);
    assert!(model.toast.as_ref().is_some_and(|t| t.text.starts_with("2 of 1000 lines")), "{:?}", model.toast);
    assert_eq!(model.logs.hits(), (Some(2), 2));
    press(&mut model, "⏎");
    let Some(Overlay::Text { text, .. }) = &model.overlay else { panic!("no fields") };
    assert!(text.contains("trace_id     4bf92f3577b34da6a3ce929d0e0e4736") && text.contains("pool exhausted"), "{text}");
    press(&mut model, "⎋");
    let followed = line_request(&press(&mut model, "gt"));
    assert_eq!(followed.search.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    answer(&mut model, followed, vec![log_line(50, "pool exhausted")]);
    press(&mut model, "o");
    assert!(input_dialog(&model).edit.text().starts_with("inc-1-logs-"), "{}", input_dialog(&model).edit.text());
    let effects = press(&mut model, "lines.log⏎");
    let [Effect::SaveLines { path, text, replace: false }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(path == "lines.log" && text.contains("pool exhausted"), "{path} {text}");
    assert!(matches!(press(&mut model, "|").as_slice(), [Effect::Pager(_)]));
    // An answer that arrives after going back changes nothing.
    let late = line_request(&press(&mut model, "S"));
    // Each view that was opened is left in turn: its search, then it.
    press(&mut model, "⎋⎋⎋⎋⎋⎋");
    assert!(model.logs.history.is_none() && model.logs.search.is_empty(), "{:?}", model.logs.history);
    answer(&mut model, late, vec![log_line(1, "late")]);
    assert_eq!(model.logs.current().map(|l| l.message.as_str()), Some("GET /cart"));
}

#[test]
fn prefills_the_impact_and_records_events() {
    use crate::incident::EventKind;
    let mut model = room_with(vec![Fact::ImpactChanged {
        services: Some(vec!["checkout".into(), "payment".into()]),
        users: None,
        region: None,
        text: None,
        data: None,
    }]);
    press(&mut model, "I3");
    assert_eq!(input_dialog(&model).edit.text(), "checkout, payment");
    let effects = press(&mut model, ", cart⏎");
    let services = Some(vec!["checkout".to_owned(), "payment".to_owned(), "cart".to_owned()]);
    assert_eq!(effects, [run(Command::Impact { started: None, services, users: None, region: None, text: None, data: None })]);
    press(&mut model, "!⏎");
    let effects = press(&mut model, "payment 1.42 went out⏎");
    let text = "payment 1.42 went out".to_owned();
    assert_eq!(effects, [run(Command::Event { kind: EventKind::ALL[0], text })]);
}

#[test]
fn attaches_a_file_with_a_note() {
    let mut model = room();
    let attach = |path: &str, note: Option<&str>| [run(Command::Attach { file: path.into(), note: note.map(str::to_owned) })];
    assert_eq!(press(&mut model, "@~/top.txt load at 09:30⏎"), attach("~/top.txt", Some("load at 09:30")));
    assert_eq!(press(&mut model, "@/tmp/a.txt⏎"), attach("/tmp/a.txt", None));
    assert_eq!(press(&mut model, "@\"/tmp/my file.txt\" the dump⏎"), attach("/tmp/my file.txt", Some("the dump")));
}

#[test]
fn schedules_the_next_check_of_an_action() {
    use crate::incident::{ActionId, ActionKind, ActionScope};
    let mut added = Fact::action("Check the replica", ActionKind::Mitigate, ActionScope::Incident);
    if let Fact::ActionAdded { id, .. } = &mut added {
        *id = ActionId(1);
    }
    let mut model = room_with(vec![added]);
    press(&mut model, "7x");
    assert_eq!(press(&mut model, "again soon⏎"), [], "the next check needs a number of minutes");
    press(&mut model, "⎋x");
    update(&mut model, at(1), Msg::Pressed(Chord::ctrl('u')));
    let effects = press(&mut model, "again 10 the disk is slow⏎");
    let result = "the disk is slow".to_owned();
    assert_eq!(effects, [run(Command::Report { action: ActionId(1), result, again_in: Some(10) })]);
}

#[test]
fn reopens_a_refused_line_with_its_text() {
    let mut model = room();
    let [effect] = press(&mut model, "nwe raised the pool⏎").try_into().unwrap();
    update(&mut model, at(2), Msg::Refused(Box::new(effect), Failure::new("INC-1 is closed").advise("Reopen it.")));
    assert_eq!((input_dialog(&model).edit.text(), model.unsaved), ("we raised the pool", 0));
    assert!(model.toast.as_ref().unwrap().text.contains("is closed"));
    // If another line is being typed by then, it stays open and the refused line waits.
    let [effect] = press(&mut model, "⏎").try_into().unwrap();
    press(&mut model, "Dgo back");
    update(&mut model, at(3), Msg::Refused(Box::new(effect), Failure::new("INC-1 is closed").advise("Reopen it.")));
    assert_eq!(input_dialog(&model).edit.text(), "go back");
    press(&mut model, "⎋");
    update(&mut model, at(4), Msg::Pressed(Chord::ctrl('r')));
    assert_eq!(input_dialog(&model).edit.text(), "we raised the pool");
    assert!(model.refused.is_none());
}

#[test]
fn creates_a_task_from_one_line_and_keeps_an_invalid_line() {
    let mut model = room();
    let effects = press(&mut model, "Tben 5m check the replica⏎");
    let text = "check the replica".to_owned();
    assert_eq!(effects, [run(Command::Task { name: "ben".into(), minutes: 5, text })]);
    assert_eq!(press(&mut model, "Tben soon check it⏎"), []);
    assert_eq!(input_dialog(&model).edit.text(), "ben soon check it");
}

#[test]
fn parses_exit_criteria_and_milestone_times() {
    let mut model = room();
    let effects = press(&mut model, "Xerror_rate < 0.01 for 30m⏎");
    let Command::SetExit { criteria } = only_command(&effects) else { panic!("{effects:?}") };
    assert_eq!((criteria.threshold, criteria.for_secs), (0.01, 1800));
    let effects = press(&mut model, "M⏎09:27 the first mail⏎");
    let Command::Time { moment, time, reason, exception: None } = only_command(&effects) else { panic!("{effects:?}") };
    assert_eq!((*moment, time.clone(), reason.as_str()), (Milestone::ImpactStarted, "09:27".parse().unwrap(), "the first mail"));
}

#[test]
fn ticks_only_the_gate_items_that_people_check_and_goes_to_the_others() {
    let begun = Fact::PlaybookStarted {
        playbook: "rollback".into(),
        title: "Roll back a release".into(),
        steps: (1..=6).map(|n| format!("step {n}")).collect(),
    };
    let ended = |step, verified| Fact::StepEnded {
        playbook: "rollback".into(),
        step,
        title: format!("step {step}"),
        state: if verified { crate::incident::StepState::Done } else { crate::incident::StepState::Failed },
        reason: None,
        blocks: vec![crate::incident::BlockResult { verified: Some(verified), ..Default::default() }],
    };
    let mut model = room_with(vec![begun, ended(1, true), ended(3, false)]);
    model.playbooks = std::sync::Arc::new(crate::playbook::Library::load(&[]));
    press(&mut model, "K");
    let all = gates(model.room.as_ref().unwrap().incident.as_ref().unwrap(), model.now, model.monitor);
    let index_of = |item: &str| all.iter().position(|g| g.item == item).unwrap();
    model.overlay = Some(Overlay::Checklist { selected: index_of("commander") });
    // Who is in command is not ticked but chosen.
    assert_eq!(press(&mut model, "⏎"), []);
    assert!(matches!(&model.overlay, Some(Overlay::List(list)) if list.title == "Role to assign"), "{:?}", model.overlay);
    model.overlay = Some(Overlay::Checklist { selected: index_of("reporter") });
    assert_eq!(press(&mut model, "⏎"), []);
    assert!(model.toast.as_ref().unwrap().text.contains("checks this itself"));
    // A check of a playbook that does not hold leads to its step.
    let verified = &all[index_of("verified")];
    assert_eq!((verified.phase, verified.met), (crate::incident::Phase::Recovery, false));
    assert!(verified.detail.starts_with("Not verified: rollback step 3 (step 3)"), "{}", verified.detail);
    assert!(all[index_of("playbooks")].met, "the step itself did not fail");
    model.overlay = Some(Overlay::Checklist { selected: index_of("verified") });
    assert_eq!(press(&mut model, "⏎"), []);
    let room = model.room.as_ref().unwrap();
    assert_eq!((room.tab, room.playbook.as_deref(), room.step), (Tab::Playbook, Some("rollback"), 2));
    model.overlay = Some(Overlay::Checklist { selected: index_of("rollback-plan") });
    press(&mut model, "⏎");
    let effects = press(&mut model, "image 1.41 is kept⏎");
    let text = "image 1.41 is kept".to_owned();
    assert_eq!(effects, [run(Command::Tick { item: "rollback-plan".into(), met: true, text })]);
}

#[test]
fn keeps_and_retries_a_failed_write() {
    let mut model = room();
    let [effect] = press(&mut model, "nwe raised the pool⏎").try_into().unwrap();
    assert_eq!(model.unsaved, 1);
    update(&mut model, at(2), Msg::NotWritten(Box::new(effect.clone()), Failure::new("the disk is full")));
    assert_eq!((model.unsaved, model.not_written.len()), (0, 1));
    // Quitting would lose the entry, so the program asks first.
    press(&mut model, "q");
    press(&mut model, "q");
    assert!(matches!(&model.overlay, Some(Overlay::Confirm(dialog)) if !dialog.yes), "{:?}", model.overlay);
    press(&mut model, "n");
    assert_eq!(update(&mut model, at(3), Msg::Pressed(Chord::ctrl('r'))), [effect]);
    assert!(model.not_written.is_empty());
}

#[test]
fn opens_the_graph_and_the_logs_of_an_entry() {
    let record = |n: u32, kind, from: i64, to: i64| Fact::EvidenceAttached {
        evidence: crate::incident::EvidenceRecord {
            id: EvidenceId(n),
            kind,
            source: "prom".into(),
            query: "q".into(),
            window: Window::new(at(from), at(to)),
            taken_at: at(0),
            summary: "s".into(),
            digest: n.to_string(),
            complete: true,
            gaps: vec![],
            shown: 1,
            total: 1,
            redactions: 0,
            names: crate::telemetry::Names::default(),
        },
    };
    let note = |text: &str| Fact::Note { text: text.into(), note_kind: NoteKind::Observation };
    let mut model = room_with(vec![
        record(1, EvidenceKind::Metric, -600, 100),
        record(2, EvidenceKind::Metric, -600, 600),
        record(3, EvidenceKind::Logs, -600, 600),
        note("restarted"),
        note("it was full [E1]"),
    ]);
    press(&mut model, "2");
    press(&mut model, "G");
    press(&mut model, "v");
    assert_eq!(
        model.overlay,
        Some(Overlay::evidence(EvidenceId(1), usize::MAX, Some(at(300)))),
        "the evidence that the entry cites"
    );
    press(&mut model, "⎋");
    press(&mut model, "k");
    press(&mut model, "v");
    assert_eq!(
        model.overlay,
        Some(Overlay::evidence(EvidenceId(2), usize::MAX, Some(at(240)))),
        "the evidence that covers the time of the entry"
    );
    press(&mut model, "⎋");
    press(&mut model, "l");
    assert!(matches!(model.overlay, Some(Overlay::Evidence { id: EvidenceId(3), .. })));
}

#[test]
fn judges_hypotheses_and_decisions_in_the_timeline() {
    let note = |kind| Fact::Note { text: "x".into(), note_kind: kind };
    let mut model = room_with(vec![note(NoteKind::Hypothesis), note(NoteKind::Decision)]);
    press(&mut model, "2G");
    assert_eq!(press(&mut model, "+"), []);
    assert!(model.toast.as_ref().unwrap().text.contains("not a hypothesis"));
    let effects = press(&mut model, "ohides the leak⏎");
    assert!(matches!(only_command(&effects), Command::Objection { entry: 3, by: None, .. }), "{effects:?}");
    press(&mut model, "k");
    let effects = press(&mut model, "+the pool was full [E1]⏎");
    assert!(matches!(only_command(&effects), Command::Hypothesis { entry: 2, verdict: Verdict::Supported, .. }), "{effects:?}");
}

#[test]
fn hypotheses_are_listed_with_their_evidence_and_judged_in_the_list() {
    let note = |text: &str| Fact::Note { text: text.into(), note_kind: NoteKind::Hypothesis };
    let mut model =
        room_with(vec![note("The pool of checkout ran dry [E1][E2], although payment is calm [E3]"), note("a second one")]);
    press(&mut model, "gh");
    let Some(Overlay::List(list)) = &model.overlay else { panic!("{:?}", model.overlay) };
    let rows: Vec<(&str, &str)> = list.rows.iter().map(|r| (r.label.as_str(), r.detail.as_str())).collect();
    assert!(rows[0].0 == "proposed" && rows[0].1.starts_with("a second one · "), "{rows:?}");
    assert!(rows[1].1.starts_with("for E1, E2 · against E3 · The pool of checkout"), "{rows:?}");
    // The evidence is one key away, and so is the verdict.
    press(&mut model, "↓⏎");
    let Some(Overlay::List(list)) = &model.overlay else { panic!("{:?}", model.overlay) };
    let labels: Vec<&str> = list.rows.iter().map(|r| r.label.as_str()).collect();
    assert_eq!(labels, ["Supported", "Refuted", "Open E1", "Open E2", "Open E3"]);
    let effects = press(&mut model, "↓⏎the pool was half empty [E2]⏎");
    assert!(matches!(only_command(&effects), Command::Hypothesis { entry: 2, verdict: Verdict::Refuted, .. }), "{effects:?}");
}

#[test]
fn announces_a_store_outage_and_its_end_once() {
    let mut model = room();
    let changed = |away: Option<&str>, unsynced| {
        Msg::StoreChanged(StoreState { unsynced, unreachable: away.map(str::to_owned), ..StoreState::default() })
    };
    update(&mut model, at(2), changed(Some("refused"), 0));
    assert!(model.toast.as_ref().unwrap().text.contains("Entries are kept on this machine"));
    model.toast = None;
    update(&mut model, at(3), changed(Some("refused"), 2));
    assert!(model.toast.is_none() && model.store.unsynced == 2);
    update(&mut model, at(4), changed(None, 0));
    assert!(model.toast.as_ref().unwrap().text.contains("is back"));
    update(&mut model, at(5), Msg::Present(vec!["ben".into()]));
    assert!(model.toast.as_ref().unwrap().text.contains("ben opened this incident"));
}

#[test]
fn room_follows_its_incident_to_the_final_number() {
    let mut model = room();
    model.room = Some(Room::new(IncidentId::local(1)));
    let head = room().room.unwrap().incident.unwrap().head;
    assert_eq!(update(&mut model, at(5), Msg::IncidentsListed(vec![head])), [Effect::ReadIncident(IncidentId::local(1))]);
    let merged = Incident::fold(entries(vec![declared_fact()])).unwrap();
    update(&mut model, at(6), Msg::IncidentRead(Box::new(merged), Default::default()));
    assert_eq!(model.room.as_ref().unwrap().id, IncidentId(1));
}

#[test]
fn reads_an_incident_that_a_colleague_changed() {
    let mut model = room();
    let mut head: Summary = model.room.as_ref().unwrap().incident.as_ref().unwrap().head.clone();
    head.last_seq += 1;
    assert_eq!(update(&mut model, at(5), Msg::IncidentsListed(vec![head])), [Effect::ReadIncident(IncidentId(1))]);
}

#[test]
fn palette_runs_the_matching_action() {
    let mut model = room();
    press(&mut model, ":timeline⏎");
    assert_eq!(model.room.as_ref().unwrap().tab, Tab::Timeline);
}

#[test]
fn palette_finds_what_works_elsewhere_and_everything_with_a_name() {
    let mut model = investigated_room();
    let mut alerts = board(vec![alert("HighErrorRate", "checkout"), alert("DiskFull", "node-3")], SourceStatus::Ok);
    if let Msg::AlertsArrived(board) = &mut alerts {
        board.sources.clear();
    }
    update(&mut model, at(1), alerts);
    let head = model.room.as_ref().unwrap().incident.as_ref().unwrap().head.clone();
    update(&mut model, at(1), Msg::IncidentsListed(vec![head]));
    press(&mut model, ":next error⏎");
    assert_eq!(model.room.as_ref().unwrap().tab, Tab::Logs, "the action works in the logs");
    press(&mut model, ":E1⏎");
    assert!(matches!(model.overlay, Some(Overlay::Evidence { id: EvidenceId(1), .. })), "{:?}", model.overlay);
    press(&mut model, "⎋:note the pool is full⏎");
    assert_eq!((input_dialog(&model).title.as_str(), input_dialog(&model).edit.text()), ("Note", "the pool is full"));
    press(&mut model, "⎋:severity sev4⏎");
    let Some(Overlay::List(list)) = &model.overlay else { panic!("no list") };
    assert!(list.rows[list.selected].label.contains("SEV4"), "{list:?}");
    press(&mut model, "⎋:severity 4 only staging is hit⏎");
    assert_eq!(input_dialog(&model).edit.text(), "only staging is hit", "the row is chosen and its reason is typed");
    press(&mut model, "⎋:role⏎");
    assert!(matches!(&model.overlay, Some(Overlay::List(list)) if list.title.contains("ole")), "the whole label wins");
    press(&mut model, "⎋:mute");
    let found = super::super::palette::items(&model, "mute");
    assert!(found[0].id == "action silence", "{:?}", found[0]);
    press(&mut model, "⎋:no such thing⏎");
    assert!(
        matches!(&model.overlay, Some(Overlay::Palette { edit, .. }) if edit.text() == "no such thing"),
        "{:?}",
        model.overlay
    );
    press(&mut model, "⎋:diskfull⏎");
    assert_eq!((model.screen, model.board.current().map(|a| a.name.as_str())), (Screen::Board, Some("DiskFull")));
    press(&mut model, ":alerts of checkout⏎");
    assert_eq!(model.board.filter, "checkout");
    press(&mut model, "⎋:INC-1⏎");
    assert_eq!(model.screen, Screen::Room);
    press(&mut model, ":");
    let first = super::super::palette::items(&model, "").into_iter().next().map(|item| item.id);
    assert_eq!(first.as_deref(), Some("incident INC-1"), "the most recent choice");
}

#[test]
fn several_incidents_stay_open_and_one_key_switches_between_them() {
    let mut model = room();
    let first: Incident = model.room.as_ref().unwrap().incident.clone().unwrap();
    press(&mut model, "3");
    press(&mut model, "q");
    let mut second = first.head.clone();
    second.id = IncidentId(2);
    update(&mut model, at(1), Msg::IncidentsListed(vec![first.head.clone(), second]));
    press(&mut model, ":INC-2⏎");
    assert_eq!(model.room.as_ref().map(|r| (r.id, r.tab)), Some((IncidentId(2), Tab::Overview)));
    assert!(press(&mut model, "`").contains(&Effect::ReadIncident(IncidentId(1))));
    assert_eq!(model.room.as_ref().map(|r| (r.id, r.tab)), Some((IncidentId(1), Tab::Signals)), "as it was left");
    press(&mut model, "`");
    assert_eq!(model.room.as_ref().map(|r| r.id), Some(IncidentId(2)));
    // What arrives for the other incident is not lost.
    update(&mut model, at(2), Msg::Progressed(IncidentId(1), "reading".to_owned()));
    press(&mut model, "`");
    assert_eq!(model.room.as_ref().unwrap().investigating.as_deref(), Some("reading"));
    press(&mut model, "q4");
    assert_eq!((model.screen, model.room.as_ref().map(|r| (r.id, r.tab))), (Screen::Room, Some((IncidentId(1), Tab::Logs))));
    press(&mut model, "?");
    press(&mut model, "⎋");
    model.overlay = Some(Overlay::Text { title: "Briefing".to_owned(), text: "x".to_owned(), scroll: 0 });
    press(&mut model, "2");
    assert_eq!((model.overlay.is_none(), model.room.as_ref().map(|r| r.tab)), (true, Some(Tab::Timeline)), "from a text as well");
}

proptest::proptest! {
    #[test]
    fn any_keys_keep_the_model_valid(keys in proptest::collection::vec("[a-zA-Z0-9?:/ \\[\\]⏎⎋⇥↓]", 0..60), start_in_room in proptest::bool::ANY) {
        let mut model = if start_in_room { room() } else { model() };
        for key in keys {
            press(&mut model, &key);
            proptest::prop_assert!(model.board.position().is_none_or(|p| p < model.board.rows().len()));
            proptest::prop_assert!(model.pending.len() < 3);
        }
    }
}

fn pool_suspect() -> CitedSuspect {
    CitedSuspect {
        service: Some("checkout".into()),
        title: "pool".into(),
        labels: Labels::new(),
        unit: String::new(),
        score: 4.0,
        direction: "up".into(),
        changed_at: Some(at(-300)),
        before: Some(4.0),
        after: Some(20.0),
        why: "pool rose 4 → 20".into(),
        evidence: vec![EvidenceId(1)],
    }
}

/// A room with a suspect, two patterns and three findings, based on evidence E1 (a metric) and E2 (patterns).
fn investigated_room() -> Model {
    use crate::analysis::{Change, Pattern};
    use crate::evidence::Body;
    use crate::incident::{CitedFinding, EvidenceRecord, FindingKind};
    let window = Window::new(at(-600), at(0));
    let record = |n: u32, kind| EvidenceRecord {
        id: EvidenceId(n),
        kind,
        source: "prom".into(),
        query: "q".into(),
        window,
        taken_at: at(0),
        summary: "pool".into(),
        digest: n.to_string(),
        complete: true,
        gaps: vec![],
        shown: 1,
        total: 1,
        redactions: 0,
        names: crate::telemetry::Names::default(),
    };
    let finding = |rank: u32, kind, title: &str, evidence: u32| CitedFinding {
        rank,
        kind,
        title: title.into(),
        text: title.into(),
        confidence: 0.8,
        at: None,
        evidence: vec![EvidenceId(evidence)],
        against: vec![],
        ..CitedFinding::default()
    };
    let suspect = pool_suspect();
    let pattern = |template: &str, change| Pattern {
        template: template.into(),
        level: Some(crate::telemetry::Level::Error),
        services: vec!["checkout".into()],
        count: 7,
        baseline_count: 0,
        change,
        first_at: Some(at(-290)),
        last_at: None,
        sample: template.into(),
        rate: vec![],
        facets: Default::default(),
        is_baseline_cut: false,
    };
    let patterns = vec![pattern("first <*>", Change::New), pattern("pool exhausted after <*>", Change::Up)];
    let incident = Incident::fold(entries(vec![
        declared_fact(),
        Fact::EvidenceAttached { evidence: record(1, EvidenceKind::Metric) },
        Fact::EvidenceAttached { evidence: record(2, EvidenceKind::Patterns) },
        Fact::Investigated {
            window,
            findings: vec![
                CitedFinding {
                    service: Some("checkout".into()),
                    subject: Some("pool".into()),
                    ..finding(1, FindingKind::Metric, "checkout pool rose 4 → 20", 1)
                },
                CitedFinding {
                    subject: Some("pool exhausted after <*>".into()),
                    ..finding(2, FindingKind::Pattern, "More frequent log pattern in checkout: pool exhausted after <*>", 2)
                },
                finding(3, FindingKind::Severity, "Proposed severity SEV4: 1 alert, none critical", 2),
            ],
            sources: vec![],
            suspects: vec![suspect],
            onset: Some(at(-310)),
            gathered: vec![],
            bad_baseline: false,
        },
    ]))
    .unwrap();
    let bodies =
        std::collections::BTreeMap::from([("2".to_owned(), Body::Patterns { onset: at(-310), patterns, unread: vec![] })]);
    let mut model = model();
    model.room = Some(Room::new(incident.id()));
    model.screen = Screen::Room;
    update(&mut model, at(0), Msg::IncidentRead(Box::new(incident), bodies));
    model
}

#[test]
fn a_role_goes_to_an_unknown_person_only_after_a_question() {
    let mut model = room();
    press(&mut model, "c");
    press(&mut model, "1");
    // Typing replaces the proposed name.
    press(&mut model, "zoe");
    assert_eq!(press(&mut model, "⏎"), []);
    let Some(Overlay::Confirm(dialog)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert!(dialog.lines[0].contains("“zoe” is not known in this incident"), "{:?}", dialog.lines);
    let effects = press(&mut model, "y");
    assert!(matches!(only_command(&effects), Command::Assign { holder, .. } if holder == "zoe"));
    // A name that is known is completed, and not asked about.
    press(&mut model, "c");
    press(&mut model, "1");
    let me = model.user.clone();
    press(&mut model, &me.chars().take(2).collect::<String>());
    press(&mut model, "⇥");
    assert_eq!(input_dialog(&model).edit.text(), me);
    let effects = press(&mut model, "⏎");
    assert!(matches!(only_command(&effects), Command::Assign { holder, .. } if *holder == me));
}

#[test]
fn an_alert_of_an_ended_incident_leads_to_it() {
    let mut model = room();
    let incident = model.room.as_ref().unwrap().incident.clone().unwrap();
    let firing = alert("HighErrorRate", "checkout");
    let mut summary = incident.head.clone();
    summary.linked = vec![crate::incident::LinkedAlert::from_alert(&firing)];
    summary.status = crate::incident::Status::Resolved;
    model.screen = Screen::Board;
    update(&mut model, at(1), board(vec![firing], SourceStatus::Ok));
    model.board.incidents = vec![summary];
    model.board.rebuild_rows();
    press(&mut model, "j⏎");
    assert_eq!(model.screen, Screen::Room);
    let said = model.toast.as_ref().map(|t| t.text.clone()).unwrap_or_default();
    assert_eq!(said, "INC-1 has this alert and is resolved. O reopens it.");
}

#[test]
fn several_texts_are_kept_and_the_title_of_a_declaration() {
    let mut model = room();
    press(&mut model, "naaa⎋Dbbb⎋");
    press(&mut model, "n");
    assert_eq!(input_dialog(&model).edit.text(), "aaa");
    press(&mut model, "⎋D");
    assert_eq!(input_dialog(&model).edit.text(), "bbb");
    press(&mut model, "⎋qdcart is down⎋d");
    let Some(Overlay::Declare(form)) = &model.overlay else { panic!("no form") };
    assert_eq!(form.title.text(), "cart is down");
}

#[test]
fn a_text_that_was_not_used_is_there_again() {
    let mut model = room();
    press(&mut model, "n");
    press(&mut model, "half a note");
    press(&mut model, "⎋");
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("keeps your text")));
    press(&mut model, "n");
    assert!(input_dialog(&model).edit.text() == "half a note" && !input_dialog(&model).edit.is_selected(), "a key adds to it");
    // Closed once more, also with C-c, it is still kept. Another dialog, or another incident, does not get it.
    update(&mut model, at(1), Msg::Pressed(Chord::ctrl('c')));
    press(&mut model, "D");
    assert_eq!(input_dialog(&model).edit.text(), "");
    press(&mut model, "⎋");
    press(&mut model, "n");
    assert_eq!(input_dialog(&model).edit.text(), "half a note");
    press(&mut model, "⎋");
    model.room.as_mut().unwrap().id = IncidentId(2);
    press(&mut model, "n");
    assert_eq!(input_dialog(&model).edit.text(), "");
}

#[test]
fn a_cancelled_question_shows_nothing_more() {
    let mut model = room();
    press(&mut model, "5⏎");
    let request = model.requests;
    assert_eq!(press(&mut model, "⎋"), [Effect::CancelAsk]);
    update(&mut model, at(2), Msg::Answering(request, Delta::Text("late".into())));
    let streaming = model.room.as_ref().unwrap().streaming.clone().unwrap();
    assert_eq!((streaming.text.as_str(), streaming.status.as_str()), ("", "cancelling"));
    let failure = Failure::new("the question was cancelled before any of the answer had arrived");
    update(&mut model, at(3), Msg::Answered(request, Err(failure)));
    assert!(model.toast.as_ref().is_some_and(|t| t.tone == Tone::Plain && t.text.starts_with("Cancelled.")));
}

#[test]
fn the_path_of_an_export_is_replaced_by_typing_and_comes_back_after_a_failure() {
    let mut model = room();
    press(&mut model, "e");
    press(&mut model, "/nowhere/pm.md");
    let effects = press(&mut model, "⏎");
    assert!(matches!(effects.as_slice(), [Effect::Export { path, .. }] if path == "/nowhere/pm.md"), "{effects:?}");
    let failure = Failure::new("cannot write /nowhere/pm.md");
    update(&mut model, at(1), Msg::ExportFailed { id: IncidentId(1), path: "/nowhere/pm.md".into(), failure });
    assert_eq!(input_dialog(&model).edit.text(), "/nowhere/pm.md");
}

#[test]
fn findings_are_selected_opened_and_unfolded_where_they_are() {
    use crate::incident::{CitedFinding, FindingKind};
    let mut model = investigated_room();
    let room = model.room.as_mut().unwrap();
    let investigation = room.incident.as_mut().unwrap().investigation.as_mut().unwrap();
    let metric = investigation.findings[0].clone();
    let behind = |n: usize| CitedFinding { subject: Some(format!("worker {n}")), ..metric.clone() };
    investigation.findings[0].details = (0..8).map(behind).collect();
    let parts = crate::incident::Conclusion { origins: vec!["checkout".into()], ..Default::default() };
    let conclusion = CitedFinding { kind: FindingKind::Conclusion, text: "It began at checkout.".into(), ..metric };
    investigation.findings.insert(0, CitedFinding { conclusion: Some(parts), ..conclusion });
    let shown = |model: &Model| {
        let room = model.room.as_ref().unwrap();
        let rows = room.overview_rows(model.size.0);
        let at = room.overview_position(&rows);
        (rows.len(), super::super::overview::row_ids(&rows)[at].clone())
    };
    model.size = (80, 24);
    // The conclusion and its series, then the findings, which are folded in a narrow terminal.
    assert_eq!(shown(&model), (5, "cause".to_owned()));
    press(&mut model, "⏎");
    assert!(matches!(&model.overlay, Some(Overlay::Text { text, .. }) if text.contains("It began at checkout.")));
    press(&mut model, "⎋jj");
    assert_eq!(shown(&model).1, "finding metric checkout pool");
    press(&mut model, " ");
    assert_eq!(shown(&model), (12, "finding metric checkout pool".to_owned()));
    press(&mut model, "jj");
    assert_eq!(shown(&model).1, "detail metric checkout worker 2");
    press(&mut model, " ");
    assert_eq!(shown(&model), (5, "finding metric checkout pool".to_owned()), "a finding behind another one folds it");
    // A wide terminal has room for some of them, and the selection stays on its row when data arrive.
    model.room.as_mut().unwrap().overview.folds.clear();
    model.size = (140, 40);
    assert_eq!(shown(&model), (9, "finding metric checkout pool".to_owned()));
    let investigation = model.room.as_mut().unwrap().incident.as_mut().unwrap().investigation.as_mut().unwrap();
    investigation.findings.insert(1, CitedFinding { title: "new".into(), ..CitedFinding::default() });
    assert_eq!(shown(&model), (10, "finding metric checkout pool".to_owned()));
    press(&mut model, "⏎");
    let room = model.room.as_ref().unwrap();
    assert_eq!((room.tab, room.evidence), (Tab::Signals, Some(EvidenceId(1))));
    press(&mut model, "1G");
    assert_eq!(shown(&model).1, "finding severity  Proposed severity SEV4: 1 alert, none critical");
}

#[test]
fn opens_the_graph_or_pattern_of_a_finding() {
    let mut model = investigated_room();
    press(&mut model, "d");
    press(&mut model, "⏎");
    let room = model.room.as_ref().unwrap();
    assert_eq!((room.tab, room.suspect, room.selected_evidence()), (Tab::Signals, Some(0), Some(EvidenceId(1))));
    press(&mut model, "d↓");
    press(&mut model, "⏎");
    let room = model.room.as_ref().unwrap();
    assert_eq!((room.tab, room.pattern, room.shows_patterns()), (Tab::Logs, 1, true));
    let effects = press(&mut model, "⏎");
    assert_eq!(line_request(&effects).what, Lines::Pattern("pool exhausted after <*>".to_owned()));
    press(&mut model, "v");
    assert!(model.room.as_ref().unwrap().shows_patterns(), "back to the patterns");
}

#[test]
fn marks_series_patterns_and_lines_with_their_evidence() {
    let mut model = investigated_room();
    press(&mut model, "3");
    let effects = press(&mut model, "m");
    let [Effect::Run { at: when, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Command::Note { text, .. } = only_command(&effects) else { panic!("{effects:?}") };
    assert_eq!((text.as_str(), *when), ("marked: checkout: pool rose 4 → 20 [E1]", Some(at(-300))));
    press(&mut model, "4↓");
    let effects = press(&mut model, "m");
    let Command::Note { text, .. } = only_command(&effects) else { panic!("{effects:?}") };
    assert_eq!(text, "log pattern, 7 lines in checkout: pool exhausted after <*> [E2]");
    press(&mut model, "v");
    let line = LogLine::plain("pool exhausted after 7 ms");
    update(&mut model, at(1), Msg::LogsArrived(Batch { lines: vec![line], ..Default::default() }));
    let effects = press(&mut model, "m");
    let Command::KeepLine { line } = only_command(&effects) else { panic!("{effects:?}") };
    assert_eq!(line.message, "pool exhausted after 7 ms");
}

#[test]
fn offers_the_proposed_severity_with_its_reason() {
    let mut model = investigated_room();
    press(&mut model, "s");
    let Some(Overlay::List(list)) = &model.overlay else { panic!("{:?}", model.overlay) };
    let row = &list.rows[list.selected];
    assert_eq!((row.label.as_str(), row.detail.is_empty()), ("SEV4 (proposed)", false));
    press(&mut model, "⏎");
    assert_eq!(
        (input_dialog(&model).title.as_str(), input_dialog(&model).edit.text()),
        ("Reason for SEV4", "1 alert, none critical [E2]")
    );
    let effects = press(&mut model, "⏎");
    assert!(matches!(only_command(&effects), Command::Severity { severity: Severity::Sev4, .. }), "{effects:?}");
    // For another severity the reason starts empty.
    press(&mut model, "s↑⏎");
    assert_eq!((input_dialog(&model).title.as_str(), input_dialog(&model).edit.text()), ("Reason for SEV3", ""));
}

#[test]
fn searches_and_filters_logs_and_recalls_both() {
    let mut model = room();
    press(&mut model, "4");
    let lines = ["start", "pool full", "retry", "pool full again", "end"].map(LogLine::plain).to_vec();
    update(&mut model, at(1), Msg::LogsArrived(Batch { lines, ..Default::default() }));
    press(&mut model, "/pool⏎");
    let current = |m: &Model| m.logs.current().unwrap().message.clone();
    assert_eq!((current(&model).as_str(), model.logs.window(9).len()), ("pool full again", 5), "the other lines stay");
    // During a search `n` goes to the next match; after it `n` writes a note again.
    press(&mut model, "N");
    assert_eq!(current(&model), "pool full");
    press(&mut model, "n");
    assert_eq!(current(&model), "pool full again");
    press(&mut model, "⎋n");
    assert!(input_dialog(&model).title.contains("ote"), "{:?}", model.overlay);
    press(&mut model, "⎋&retry⏎");
    assert_eq!((model.logs.search.as_str(), model.logs.window(9).len()), ("", 1));
    press(&mut model, "⎋");
    assert_eq!(model.logs.window(9).len(), 5);
    // The Up key recalls what was typed, separately for searches and filters.
    for (key, text) in [('/', "pool"), ('&', "retry")] {
        press(&mut model, &key.to_string());
        update(&mut model, at(1), Msg::Pressed(Chord::plain(Code::Up)));
        assert_eq!(input_dialog(&model).edit.text(), text);
        press(&mut model, "⎋");
    }
}

#[test]
fn clearing_a_filter_selects_the_line_or_alert_that_it_hid() {
    let mut model = room();
    press(&mut model, "4");
    let lines = ["start", "pool full", "retry", "pool full again", "end"].map(LogLine::plain).to_vec();
    update(&mut model, at(1), Msg::LogsArrived(Batch { lines, ..Default::default() }));
    let current = |m: &Model| m.logs.current().unwrap().message.clone();
    press(&mut model, "kkkk");
    assert_eq!(current(&model), "pool full");
    press(&mut model, "&end");
    assert_eq!(current(&model), "end");
    press(&mut model, "⎋⎋");
    assert_eq!((current(&model).as_str(), model.logs.filter.as_str()), ("pool full", ""));
    // Who moves the selection meanwhile stays there.
    press(&mut model, "&end⏎⎋&pool⏎j⎋");
    assert_eq!(current(&model), "pool full again");
    press(&mut model, "k&end⏎");
    assert_eq!(current(&model), "end");
    press(&mut model, "⎋");
    assert_eq!(current(&model), "retry");

    let mut model = Model::new(at(0), time::UtcOffset::UTC);
    let alerts = vec![alert("Latency", "x"), alert("Errors", "x"), alert("Queue", "y")];
    update(&mut model, at(0), board(alerts, SourceStatus::Ok));
    let current = |m: &Model| m.board.current().unwrap().name.clone();
    let before = current(&model);
    let other = if before == "Queue" { "Errors" } else { "Queue" };
    press(&mut model, &format!("/{other}"));
    assert_eq!(current(&model), other);
    press(&mut model, "⎋⎋");
    assert_eq!((current(&model), model.board.filter.as_str()), (before, ""));
}

#[test]
fn columns_and_filters_are_chosen_from_the_fields_of_the_lines() {
    use crate::telemetry::Level::{Error, Info};
    let mut model = room();
    press(&mut model, "4");
    let line = |secs: i64, level, status: &str, user: &str| LogLine {
        level: Some(level),
        fields: [("status", status), ("user", user)].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..log_line(secs, "GET /cart")
    };
    let mut lines = vec![line(0, Info, "200", "Ana Lima"), line(1, Error, "502", "ben"), line(2, Error, "503", "ben")];
    lines.extend((3..9).map(|n| log_line(n, "no fields")));
    update(&mut model, at(10), Msg::LogsArrived(Batch { lines, ..Default::default() }));
    let rows = |model: &Model| -> Vec<String> {
        let Some(Overlay::List(list)) = &model.overlay else { panic!("{:?}", model.overlay) };
        list.rows.iter().map(|r| format!("{} {}", r.label, r.detail).trim().to_owned()).collect()
    };
    press(&mut model, "gc");
    let all = ["[x] time", "[x] level", "[x] service", "[ ] status in 3 lines: 503", "[ ] user in 3 lines: ben"];
    assert_eq!(rows(&model), all);
    // A digit chooses; the list stays open, and each row where it is.
    press(&mut model, "43");
    assert_eq!(rows(&model)[..4], ["[x] time", "[x] level", "[ ] service", "[x] status in 3 lines: 503"].map(String::from));
    press(&mut model, "⎋");
    assert_eq!(model.logs.columns, ["time", "level", "status"]);
    // A value of the selected line becomes a term of the filter, also one with spaces.
    press(&mut model, "gg");
    press(&mut model, "gf");
    assert_eq!(
        rows(&model)[..3],
        ["level=info in 1 loaded line", "status=200 in 1 loaded line", "user=\"Ana Lima\" in 1 loaded line"]
    );
    press(&mut model, "user=⏎");
    assert_eq!((model.logs.filter.as_str(), model.logs.shown_lines().len()), ("user=\"Ana Lima\"", 1));
    for (filter, shown) in [("status>=500", 2), ("level>=warn !status=503", 1), ("\"no fields\"", 6), ("status!=200", 2)] {
        press(&mut model, "⎋&");
        press(&mut model, &format!("{filter}⏎"));
        assert_eq!(model.logs.shown_lines().len(), shown, "{filter}");
    }
    // What is saved has the columns.
    press(&mut model, "o");
    let [Effect::SaveLines { text, .. }] = &press(&mut model, "⏎")[..] else { panic!("nothing is saved") };
    assert!(text.lines().next().is_some_and(|l| l.ends_with("error 502   GET /cart")), "{text}");
}

#[test]
fn before_the_first_live_line_earlier_ones_are_read() {
    let mut model = room();
    model.has_logs = true;
    press(&mut model, "4");
    update(
        &mut model,
        at(10),
        Msg::LogsArrived(Batch { lines: (5..9).map(|n| log_line(n, "x y")).collect(), ..Default::default() }),
    );
    model.logs.folds = false;
    assert_eq!(press(&mut model, "gg"), []);
    let request = line_request(&press(&mut model, "k"));
    assert_eq!(request.what, Lines::Around(at(5)));
    answer(&mut model, request, vec![log_line(1, "earlier"), log_line(5, "x y")]);
    assert_eq!(model.logs.current().map(|l| l.at), Some(Some(at(5))), "the same line is selected");
}

#[test]
fn help_and_commands_over_a_text_come_back_to_it() {
    let mut model = investigated_room();
    press(&mut model, "3⏎");
    let evidence = model.overlay.clone();
    assert!(matches!(evidence, Some(Overlay::Evidence { .. })), "{evidence:?}");
    for keys in ["?⎋", "?q", ":⎋"] {
        press(&mut model, keys);
        assert_eq!(model.overlay, evidence, "{keys}");
    }
    press(&mut model, "?");
    assert!(model.help_contexts().contains(&super::super::action::Context::Reader), "the keys of the text");
    press(&mut model, "⎋:note⏎");
    assert_eq!(input_dialog(&model).title, "Note", "a command that was chosen closes the text");
}

#[test]
fn what_was_typed_into_a_form_is_there_again() {
    let mut model = room();
    press(&mut model, "F");
    press(&mut model, "roll back⇥⇥the pool setting⎋");
    assert!(model.overlay.is_none() && model.toast.as_ref().is_some_and(|t| t.text.contains("keeps your text")));
    press(&mut model, "F");
    let Some(Overlay::Fields(form)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert_eq!(form.texts()[..3], ["roll back", "medium", "the pool setting"]);
}

#[test]
fn a_silence_from_a_room_is_about_its_alerts() {
    let mut model = room();
    model.has_silences = true;
    press(&mut model, ":silence⏎");
    assert!(model.screen == Screen::Room && model.overlay.is_none());
    let mut incident = model.room.as_ref().unwrap().incident.clone().unwrap();
    incident.alerts = vec![crate::incident::LinkedAlert::from_alert(&alert("B", "x"))];
    update(&mut model, at(1), Msg::IncidentRead(Box::new(incident), Default::default()));
    press(&mut model, ":silence⏎");
    assert_eq!((input_dialog(&model).title.as_str(), model.screen), ("Silence 1 alert", Screen::Room));
}

#[test]
fn search_selects_the_matching_pattern() {
    let mut model = investigated_room();
    press(&mut model, "4/exhausted⏎");
    let row = |m: &Model| m.room.as_ref().unwrap().pattern;
    assert_eq!((row(&model), model.room.as_ref().unwrap().shows_patterns()), (1, true));
    press(&mut model, "n");
    assert_eq!(row(&model), 1);
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("o further pattern")), "{:?}", model.toast);
    press(&mut model, "/first⏎");
    assert_eq!((row(&model), model.logs.search.as_str()), (0, "first"), "a new search replaces the previous one");
}

/// A proposed card that can be verified but not undone.
fn proposed_card() -> Fact {
    let verify = crate::analysis::exit_criteria::parse("errors < 1 for 5m").unwrap();
    let (text, risk) = ("roll back".to_owned(), crate::incident::Risk::Low);
    Fact::MitigationProposed { text, risk, undo: None, verify: Some(verify), exception: None, origin: None, seq: None }
}

#[test]
fn a_mitigation_is_proposed_in_a_form_and_a_wrong_field_keeps_what_was_typed() {
    let mut model = room_with(vec![]);
    press(&mut model, "F");
    assert_eq!(press(&mut model, "roll back⇥huge⇥⇥errors < 1⏎"), vec![]);
    let Some(Overlay::Fields(form)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert_eq!((form.focus, form.texts()), (1, vec!["roll back", "huge", "", "errors < 1", ""]));
    assert!(form.problem.as_ref().is_some_and(|p| p.contains("low, medium or high")));
    // The wrong field is not selected, so it is emptied by hand.
    for _ in 0..4 {
        update(&mut model, at(1), Msg::Pressed(Chord::plain(Code::Backspace)));
    }
    let effects = press(&mut model, "high⏎");
    let [Effect::Run { command, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Command::ProposeMitigation(new) = command.as_ref() else { panic!("{command:?}") };
    assert_eq!((new.text.as_str(), new.risk, &new.undo, new.edits), ("roll back", crate::incident::Risk::High, &None, None));
}

#[test]
fn a_mitigation_that_cannot_be_undone_is_edited_before_it_is_started() {
    let mut model = room_with(vec![proposed_card()]);
    press(&mut model, "7⏎");
    let Some(Overlay::Fields(form)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert_eq!((form.title.as_str(), form.focus), ("Edit mitigation M1", 2));
    let effects = press(&mut model, "roll forward⏎");
    let [Effect::Run { command, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Command::ProposeMitigation(new) = command.as_ref() else { panic!("{command:?}") };
    assert_eq!((new.edits, new.undo.as_deref()), (Some(2), Some("roll forward")));

    let edited = Fact::MitigationProposed {
        text: "roll back to 1.41".into(),
        risk: crate::incident::Risk::Low,
        undo: Some("roll forward".into()),
        verify: new.verify.clone(),
        exception: None,
        origin: None,
        seq: Some(2),
    };
    let mut model = room_with(vec![proposed_card(), edited]);
    let card = |state, approved_by: Option<&str>, result: Option<&str>| {
        run(Command::ChangeMitigation {
            card: 2,
            state,
            approved_by: approved_by.map(str::to_owned),
            result: result.map(str::to_owned),
        })
    };
    assert_eq!(press(&mut model, "7⏎ben⏎"), vec![card(CardState::Started, Some("ben"), None)]);
    assert_eq!(press(&mut model, "⏎⏎"), vec![card(CardState::Started, None, None)]);
    assert_eq!(press(&mut model, "b⏎"), vec![], "a reason is needed");
    assert_eq!(press(&mut model, "not needed⏎"), vec![card(CardState::Dropped, None, Some("not needed"))]);
    let started =
        Fact::MitigationChanged { seq: 2, text: String::new(), state: CardState::Started, approved_by: None, result: None };
    let mut model = room_with(vec![proposed_card(), started.clone()]);
    assert_eq!(press(&mut model, "7⏎done⏎"), vec![card(CardState::Done, None, Some("done"))]);
    let done = Fact::MitigationChanged { seq: 2, text: String::new(), state: CardState::Done, approved_by: None, result: None };
    let mut model = room_with(vec![proposed_card(), started, done]);
    assert_eq!(press(&mut model, "7⏎"), vec![Effect::JudgeMitigations(IncidentId(1))]);
}

#[test]
fn a_custom_command_runs_with_what_is_selected_and_its_output_is_kept_on_request() {
    let mut model = room();
    assert_eq!(press(&mut model, ";"), [], "there are none");
    model.commands = vec![("pods".into(), "Pods of the service".into())];
    let call = |labels: Labels, incident| CustomCall { name: "pods".into(), incident, labels, evidence: None };
    let of_room = call(Labels::new(), Some(IncidentId(1)));
    assert_eq!(press(&mut model, ";⏎"), [Effect::Custom(CustomEffect::Prepare(of_room.clone()))]);
    let run = Effect::Custom(CustomEffect::Run(of_room, "t".into()));
    let lines = vec!["On a in b:".to_owned(), "  kubectl get pods".to_owned()];
    update(&mut model, at(1), Msg::ToConfirm { effect: Box::new(run.clone()), title: "Run pods?".into(), lines });
    assert_eq!(press(&mut model, "y"), [run]);
    assert!(matches!(&model.overlay, Some(Overlay::Output { text, .. }) if text.is_empty()));
    update(&mut model, at(2), Msg::ScriptOutput("web-1 Running\n".into()));
    assert_eq!(press(&mut model, "m"), [], "it is still running");
    let stop = Chord { code: Code::Char('c'), ctrl: true, alt: false };
    assert_eq!(update(&mut model, at(2), Msg::Pressed(stop)), [Effect::StopScript]);
    update(&mut model, at(3), Msg::ScriptEnded);
    let keep = Effect::Custom(CustomEffect::Keep {
        id: IncidentId(1),
        name: "pods".into(),
        summary: "exit code 0 after 1s".into(),
        output: "web-1 Running\n".into(),
        window: Window::new(at(1), at(2)),
    });
    let ended = |keep: &Effect| Msg::CommandEnded {
        name: "pods".into(),
        text: "exit code 0 after 1s\n\nweb-1 Running\n".into(),
        keep: Some(Box::new(keep.clone())),
    };
    update(&mut model, at(3), ended(&keep));
    assert_eq!(press(&mut model, "m"), [keep]);
    assert_eq!(press(&mut model, "m"), [], "kept once");
    assert_eq!(press(&mut model, "y").len(), 1, "and copied");
    press(&mut model, "q");
    assert!(model.overlay.is_none() && model.room.is_some());
    // On the board, the labels of the selected alert are its variables.
    let mut model = self::model();
    model.commands = vec![("pods".into(), String::new())];
    let labels = model.board.current().unwrap().labels.clone();
    assert!(!labels.is_empty());
    assert_eq!(press(&mut model, ";⏎"), [Effect::Custom(CustomEffect::Prepare(call(labels, None)))]);
}

#[test]
fn a_script_that_could_not_be_begun_is_confirmed_again() {
    let mut model = room();
    let call = StepCall { id: IncidentId(1), playbook: "rollback".into(), step: 4, values: Default::default(), again: false };
    let run = Effect::Step(StepEffect::Run(call.clone(), "t".into()));
    update(&mut model, at(1), Msg::NotWritten(Box::new(run), Failure::new("the disk is full")));
    let retry = Chord { code: Code::Char('r'), ctrl: true, alt: false };
    assert_eq!(update(&mut model, at(2), Msg::Pressed(retry)), [Effect::Step(StepEffect::Prepare(call))]);
    assert_eq!(model.unsaved, 0, "nothing is being written");
}

#[test]
fn a_confirmation_is_unread_again_after_a_resize() {
    let mut model = room();
    let (id, name, text) = (IncidentId(1), "ben".to_owned(), "please join".to_owned());
    update(&mut model, at(2), Msg::PageReady { id, name, text, lines: vec!["Would run:".to_owned()] });
    model.scroll_limit = 0;
    update(&mut model, at(2), Msg::Resized(60, 16));
    assert_eq!(press_undrawn(&mut model, "y"), [], "not drawn at this size yet");
    assert_eq!(press(&mut model, "y").len(), 1);
}

#[test]
fn values_of_other_playbooks_stay_out_and_a_value_can_be_removed() {
    let mut model = room();
    model.playbooks = std::sync::Arc::new(crate::playbook::Library::load(&[]));
    press(&mut model, "6brelease of its own⏎");
    model.room.as_mut().unwrap().values.insert("elsewhere".into(), "x".into());
    press(&mut model, "vnamspace=shop⏎");
    assert!(model.toast.as_ref().unwrap().text.contains("no variable 'namspace'"));
    press(&mut model, "⎋");
    press(&mut model, "vnamespace=shop⏎");
    let effects = press(&mut model, "⏎");
    let [Effect::Step(StepEffect::Prepare(call))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(call.values.keys().collect::<Vec<_>>(), ["namespace"]);
    press(&mut model, "vnamespace=⏎");
    let effects = press(&mut model, "⏎");
    let [Effect::Step(StepEffect::Prepare(call))] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(call.values.is_empty());
}

#[test]
fn a_check_with_a_source_keeps_it_unless_its_text_is_changed() {
    let criteria = |source: Option<&str>| crate::incident::ExitCriteria {
        source: source.map(str::to_owned),
        ..crate::analysis::exit_criteria::parse("errors < 1 for 5m").unwrap()
    };
    let exit = Fact::ExitCriteriaSet { criteria: criteria(Some("prod")) };
    let mut model = room_with(vec![exit]);
    let proposed = |effects: Vec<Effect>| match effects.as_slice() {
        [Effect::Run { command, .. }] => match command.as_ref() {
            Command::ProposeMitigation(new) => new.verify.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(proposed(press(&mut model, "Froll back⏎")), Some(criteria(Some("prod"))));
    assert_eq!(proposed(press(&mut model, "Froll back⇥⇥⇥errors < 1 for 5m ⏎")), Some(criteria(Some("prod"))), "the same text");
    assert_eq!(proposed(press(&mut model, "Froll back⇥⇥⇥errors < 1 for 300s⏎")), Some(criteria(None)));
}

#[test]
fn reports_problems_in_the_users_files() {
    let problem = |file: &str| crate::telemetry::failure::FileProblem {
        file: file.to_owned(),
        line: Some(3),
        text: "not a key".to_owned(),
        remedy: "Use one of the keys.".to_owned(),
    };
    let mut model = Model::new(at(0), time::UtcOffset::UTC);
    let mut read = |problems: Vec<_>| {
        let playbooks = std::sync::Arc::new(crate::playbook::Library::load(&[]));
        update(&mut model, at(0), Msg::FilesRead { playbooks, prompts: vec!["severity".into()], problems });
        model.toast.clone()
    };
    assert_eq!(read(Vec::new()), None);
    assert!(read(vec![problem("keys.toml"), problem("themes/x.toml")]).is_some());
    assert!(model.playbooks.all().count() > 3 && model.prompts == ["severity"]);
    let said = &model.toast.as_ref().unwrap().text;
    assert!(said.starts_with("keys.toml") && said.contains("(+1 more)"), "{said}");
    assert_eq!(model.problems.len(), 2);
}
