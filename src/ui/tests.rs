use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::analysis::patterns::RATE_BUCKETS;
use crate::analysis::{Change, Pattern};
use crate::app::msg::StoreState;
use crate::app::room::{Room, Tab};
use crate::app::{Chord, Code, Msg, update};
use crate::evidence::Body;
use crate::incident::state::tests::{declared, entries};
use crate::incident::{
    AlertBoard, Certainty, CitedFinding, CitedSuspect, Conclusion, EvidenceId, EvidenceKind, EvidenceRecord, Fact, FindingKind,
    Incident, LinkedAlert, NoteKind, SourceReport, SourceStatus,
};
use crate::telemetry::{Alert, AlertSeverity, AlertState, Labels, Level, LogLine, Sample, Series, Silence, Timestamp, Window};
use crate::ui::theme::Meaning;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_795_253_400 + secs)
}

/// Text that would control a terminal if it were written as it is. Sources remove such characters before it gets here.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}txt";

fn alert(name: &str, service: &str, state: AlertState) -> Alert {
    Alert {
        fingerprint: format!("{name}{service}"),
        name: name.into(),
        severity: AlertSeverity::Critical,
        state,
        starts_at: Some(at(-252)),
        pending_since: None,
        labels: Labels::from([("service".into(), service.into())]),
        annotations: Labels::from([("summary".into(), format!("{service} fails 17.2% of requests"))]),
        source: "am".into(),
        occurrences: 1,
        value: Some(0.172),
        unit: "%".into(),
        silenced_by: if state == AlertState::Suppressed {
            vec![Silence { id: "s".into(), created_by: "ana".into(), comment: "migration".into(), ends_at: Some(at(720)) }]
        } else {
            vec![]
        },
        ..Alert::default()
    }
}

fn board() -> Model {
    let mut model = Model::new(at(0), time::UtcOffset::UTC);
    model.user = "ana".into();
    model.has_sources = true;
    model.alert_sources = vec!["prom".into()];
    model.has_logs = true;
    model.profile = Some("prod-eu".into());
    let report = |name: &str, status, error: Option<&str>| SourceReport {
        name: name.into(),
        kind: "prometheus".into(),
        status,
        error: error.map(str::to_owned),
        age_secs: None,
        fault: None,
        remedy: None,
    };
    let board = AlertBoard {
        alerts: vec![
            alert("HighErrorRate", "checkout", AlertState::Firing),
            alert("SlowResponses", "checkout", AlertState::Pending),
            alert("DiskFull", "node-3", AlertState::Suppressed),
        ],
        sources: vec![
            report("prom", SourceStatus::Ok, None),
            SourceReport {
                fault: Some("unreachable".into()),
                ..report("loki", SourceStatus::Failed, Some("127.0.0.1:3100: connection refused"))
            },
        ],
        gaps: vec![],
        expected: vec!["prom".into()],
    };
    update(&mut model, at(0), Msg::AlertsArrived(Box::new(board)));
    update(&mut model, at(0), Msg::IncidentsListed(vec![]));
    model
}

#[expect(clippy::too_many_lines, reason = "a room with something in every part")]
fn room(tab: Tab) -> Model {
    let mut model = board();
    model.playbooks = std::sync::Arc::new(crate::playbook::Library::load(&[]));
    let window = Window::new(at(-600), at(0));
    let record = |n: u32, kind| EvidenceRecord {
        id: EvidenceId(n),
        kind,
        source: "prom".into(),
        query: "max by (service) (db_pool_in_use)".into(),
        window,
        taken_at: at(0),
        summary: "checkout db_pool_in_use 4 → 20 from 09:27:10".into(),
        digest: n.to_string(),
        complete: n == 1,
        gaps: vec![],
        shown: 1,
        total: 1,
        redactions: 0,
        names: crate::telemetry::Names::default(),
    };
    let finding = CitedFinding {
        rank: 1,
        kind: FindingKind::Metric,
        title: "checkout db_pool_in_use rose 4 → 20 (changed first)".into(),
        text: "x".into(),
        confidence: 0.9,
        at: None,
        evidence: vec![EvidenceId(1)],
        against: vec![],
        ..CitedFinding::default()
    };
    let finding = CitedFinding { service: Some("checkout".into()), subject: Some("db_pool_in_use".into()), ..finding };
    let conclusion = CitedFinding {
        kind: FindingKind::Conclusion,
        title: "the incident most likely began at checkout".into(),
        text: "The incident most likely began at checkout (certainty: high).".into(),
        evidence: vec![EvidenceId(1), EvidenceId(3)],
        conclusion: Some(Conclusion {
            origins: vec!["checkout".into()],
            mechanism: Some("db_pool is at 100%".into()),
            trigger: Some("checkout version 1.41.3 → 1.42.0".into()),
            trigger_at: Some(at(-305)),
            extent: Some("gateway, which calls checkout, is affected as well".into()),
            certainty: Certainty::High,
            test: Some("undo the change and watch whether db_pool_in_use returns to 4".into()),
            ..Conclusion::default()
        }),
        ..finding.clone()
    };
    let new_pattern = CitedFinding {
        kind: FindingKind::Pattern,
        title: "New log pattern in checkout: pool exhausted after <*>".into(),
        subject: Some("pool exhausted after <*>".into()),
        evidence: vec![EvidenceId(3)],
        details: Vec::new(),
        ..finding.clone()
    };
    let behind = |title: &str| CitedFinding { title: title.into(), ..finding.clone() };
    let details = (1..7).map(|n| behind(&format!("checkout worker {n} queue rose 0 → {n}"))).collect();
    let finding = CitedFinding { title: format!("{}, and 5 more series", finding.title), details, ..finding };
    let suspect = CitedSuspect {
        service: Some("checkout".into()),
        title: "db_pool_in_use".into(),
        labels: Labels::from([("service".into(), "checkout".into())]),
        unit: String::new(),
        score: 5.0,
        direction: "up".into(),
        changed_at: Some(at(-300)),
        before: Some(4.0),
        after: Some(20.0),
        why: "db_pool_in_use rose 4 → 20 at 09:25:00 UTC, 80σ (robust) above baseline".into(),
        evidence: vec![EvidenceId(1)],
    };
    let pattern = |template: &str, change, level, from: usize| Pattern {
        template: template.into(),
        level: Some(level),
        services: vec!["checkout".into()],
        count: 40,
        baseline_count: if from == 0 { 40 } else { 0 },
        change,
        first_at: Some(at(-300)),
        last_at: Some(at(0)),
        sample: template.replace("<*>", "7"),
        rate: (0..RATE_BUCKETS).map(|n| u32::from(n >= from)).collect(),
        facets: [
            ("code".to_owned(), vec![("502".to_owned(), 40)]),
            ("region".to_owned(), vec![("eu-1".to_owned(), 30), ("us-1".to_owned(), 10)]),
        ]
        .into(),
        is_baseline_cut: false,
    };
    let patterns = vec![
        pattern("order <*> placed", Change::Same, Level::Info, 0),
        pattern("pool exhausted after <*>", Change::New, Level::Error, 20),
    ];
    let incident = Incident::fold(entries(vec![
        declared(),
        Fact::AlertLinked { alert: LinkedAlert::from_alert(&alert("HighErrorRate", "checkout", AlertState::Firing)) },
        Fact::EvidenceAttached { evidence: record(1, EvidenceKind::Metric) },
        Fact::EvidenceAttached { evidence: record(2, EvidenceKind::Logs) },
        Fact::EvidenceAttached { evidence: record(3, EvidenceKind::Patterns) },
        Fact::Investigated {
            window,
            findings: vec![conclusion, finding, new_pattern],
            sources: vec![],
            suspects: vec![suspect],
            onset: Some(at(-310)),
            gathered: vec![],
            bad_baseline: false,
        },
        Fact::Note { text: "restarted db-1 [E1]".into(), note_kind: NoteKind::Decision },
    ]))
    .unwrap();
    let samples = (0..60).map(|i| Sample { at: at(-600 + i * 10), value: if i < 30 { 4.0 } else { 20.0 } }).collect();
    let series = vec![Series { labels: Labels::from([("service".into(), "checkout".into())]), samples }];
    let bodies = std::collections::BTreeMap::from([
        (
            "1".to_owned(),
            Body::Series { title: "db_pool_in_use".into(), unit: String::new(), step_secs: 10.0, threshold: Some(18.0), series },
        ),
        ("2".to_owned(), Body::Lines { lines: vec![LogLine::plain("pool exhausted")] }),
        ("3".to_owned(), Body::Patterns { onset: at(-310), patterns, unread: vec![] }),
    ]);
    let mut room = Room::new(incident.id());
    room.tab = tab;
    model.room = Some(room);
    model.screen = Screen::Room;
    update(&mut model, at(0), Msg::IncidentRead(Box::new(incident), bodies));
    model
}

fn draw(model: &Model, width: u16, height: u16) -> String {
    let theme = Theme::load("dark", &[], theme::Colours::All).0;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut cache = ViewCache::default();
    terminal.draw(|f| render(model, &theme, &mut cache, f)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows: Vec<String> = (0..height)
        .map(|y| (0..width).map(|x| buffer.cell((x, y)).map_or(" ", |c| c.symbol())).collect::<String>().trim_end().to_owned())
        .collect();
    rows.join("\n")
}

fn press(model: &mut Model, key: char) {
    pressed(model, key);
}

/// Presses a key and returns the effects.
fn pressed(model: &mut Model, key: char) -> Vec<crate::app::Effect> {
    let code = match key {
        '⏎' => Code::Enter,
        '⎋' => Code::Esc,
        '⇥' => Code::Tab,
        c => Code::Char(c),
    };
    update(model, at(1), Msg::Pressed(Chord::plain(code)))
}

#[test]
fn board_shows_alerts_and_failed_sources() {
    for (width, height) in [(140, 40), (100, 30), (80, 24)] {
        let screen = draw(&board(), width, height);
        for part in [
            "Alerts 1 firing · 1 pending · 1 suppressed · by service",
            "● crit HighErrorRate",
            "◌ crit DiskFull",
            "4m12s",
            "loki ○ unreachable",
            "d declare",
            "? keys",
            "No incidents yet",
        ] {
            assert!(screen.contains(part), "{width}x{height}: {part}\n{screen}");
        }
    }
}

#[test]
fn empty_board_claims_no_health_without_answers() {
    let mut model = board();
    let reports = |status, error: Option<&str>| {
        vec![
            SourceReport {
                name: "prom".into(),
                kind: "prometheus".into(),
                status,
                error: error.map(str::to_owned),
                age_secs: None,
                fault: None,
                remedy: None,
            },
            SourceReport {
                name: "logs".into(),
                kind: "file".into(),
                status: SourceStatus::Ok,
                error: None,
                age_secs: None,
                fault: None,
                remedy: None,
            },
        ]
    };
    model.board.alerts.clear();
    model.board.set_alerts(vec![], reports(SourceStatus::Ok, None), at(1));
    assert!(draw(&model, 100, 30).contains("No alerts are firing"));
    model.board.set_alerts(vec![], reports(SourceStatus::Failed, Some("connection refused")), at(2));
    let screen = draw(&model, 100, 30);
    assert!(screen.contains("Alert status unknown") && screen.contains("connection refused"), "{screen}");
    model.board.set_alerts(vec![], reports(SourceStatus::Ok, None).split_off(1), at(3));
    assert!(draw(&model, 100, 30).contains("Querying the sources"));
}

#[test]
fn selected_alert_shows_its_silence() {
    let mut model = board();
    press(&mut model, 'G');
    let screen = draw(&model, 140, 40);
    assert!(screen.contains("silenced by ana, 11m59s left: migration"), "{screen}");
}

#[test]
fn every_tab_shows_its_content() {
    for (tab, parts) in [
        (Tab::Overview, ["SEV3", "▲ checkout db_pool_in_use  4 → 20", "Do next  Undo the change"]),
        (Tab::Timeline, ["Declared SEV3", "Decision: restarted db-1 [E1]", "2026-11-21"]),
        (Tab::Signals, ["Suspects 1", "db_pool_in_use rose 4 → 20", "[E1]"]),
        (Tab::Logs, ["Log patterns 2 · 1 new", "all lines", "pool exhausted after <*>"]),
        (Tab::Assistant, ["built-in rules", "Would send:", "Every claim"]),
        (Tab::Playbook, ["application error", "0 of 7", "See how bad it is"]),
        (Tab::Actions, ["0 of 0 open", "no action items yet", "F to propose a mitigation"]),
        (Tab::Updates, ["Updates 0 sent", "Preparing the draft", "8 Updates"]),
        (Tab::Report, ["Preparing the report", "e to export", "9 Report"]),
    ] {
        for (width, height) in [(140, 40), (80, 24)] {
            let screen = draw(&room(tab), width, height);
            for part in parts {
                assert!(screen.contains(part), "{tab:?} {width}x{height}: {part}\n{screen}");
            }
        }
    }
}

/// The assistant tab with an answer that cites, proposes and has a flagged sentence.
fn conversation() -> Model {
    use crate::incident::answer::{Answer, Claim, ClaimState};
    let mut model = room(Tab::Assistant);
    let text = "## Root-cause hypotheses\n\n1. **The pool ran dry** [E1].\n   - Against: nothing\n\n\
        ## Immediate mitigations\n\n- Roll back. Risk: low.\n\n## Symptoms\n\nThe moon was full.\n";
    let moon = text.find("The moon").unwrap();
    let claim = Claim {
        reason: Some("it cites nothing".into()),
        start: moon,
        end: moon + "The moon was full.".len(),
        ..Claim::new("The moon was full.", ClaimState::Uncited)
    };
    let answer = |thread: &str, question: Option<&str>| Answer {
        answer: text.into(),
        claims: vec![claim.clone()],
        prompt: "troubleshoot".into(),
        question: question.map(str::to_owned),
        ..crate::incident::conversation::tests::answer(thread, None)
    };
    let incident = model.room.as_ref().and_then(|r| r.incident.as_ref()).unwrap();
    let mut facts: Vec<Fact> = incident.entries.iter().map(|e| e.fact.clone()).collect();
    facts.push(Fact::AiRun { answer: answer("other", Some("is it the moon?")) });
    facts.push(Fact::AiRun { answer: answer("main", None) });
    let incident = Incident::fold(entries(facts)).unwrap();
    update(&mut model, at(0), Msg::IncidentRead(Box::new(incident), std::collections::BTreeMap::default()));
    model
}

#[test]
fn what_an_answer_cites_and_proposes_is_selected_opened_accepted_and_refuted() {
    use crate::app::{Effect, Overlay};
    use crate::incident::Command;
    use crate::incident::proposal::Proposed;
    let mut model = conversation();
    let screen = draw(&model, 140, 40);
    assert!(screen.contains("thread main of 2") && !screen.contains("is it the moon?"), "{screen}");
    press(&mut model, ']');
    let screen = draw(&model, 140, 40);
    assert!(screen.contains("Hypothesis") && screen.contains("a accept · x refute"), "{screen}");
    assert!(!screen.contains(['\u{2063}', '\u{2064}']), "{screen}");
    let effects = pressed(&mut model, 'a');
    let [Effect::Run { command, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Command::DecideProposal { proposal, is_accepted: true, .. } = command.as_ref() else { panic!("{command:?}") };
    assert_eq!((proposal.text.as_str(), &proposal.proposed), ("The pool ran dry [E1]. Against: nothing", &Proposed::Hypothesis));
    // The citation in it opens the evidence.
    press(&mut model, ']');
    assert!(draw(&model, 140, 40).contains("opens [E1] checkout db_pool_in_use"), "{}", draw(&model, 140, 40));
    press(&mut model, '⏎');
    assert!(matches!(model.overlay, Some(Overlay::Evidence { id: EvidenceId(1), .. })));
    press(&mut model, '⎋');
    // The mitigation is refuted with a reason.
    press(&mut model, ']');
    press(&mut model, 'x');
    for c in "too slow".chars() {
        press(&mut model, c);
    }
    let effects = pressed(&mut model, '⏎');
    let [Effect::Run { command, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(
        matches!(command.as_ref(), Command::DecideProposal { is_accepted: false, reason: Some(r), .. } if r == "too slow"),
        "{command:?}"
    );
    // The reason of the flagged sentence, also in a narrow terminal.
    press(&mut model, ']');
    assert!(draw(&model, 80, 24).contains("?1 uncited: it cites nothing"), "{}", draw(&model, 80, 24));
    assert!(pressed(&mut model, 'a').is_empty(), "a flagged sentence is not accepted");
    press(&mut model, '⎋');
    assert!(model.room.as_ref().unwrap().conversation.selected.is_none());
}

#[test]
fn requests_to_models_can_be_read() {
    use crate::app::Effect;
    let mut model = conversation();
    pressed(&mut model, 'g');
    let effects = pressed(&mut model, 'a');
    let [Effect::ReadRequests(id)] = effects.as_slice() else { panic!("{effects:?}") };
    let requests = vec![("09:30 troubleshoot".to_owned(), "m · answered".to_owned(), "exactly what was sent".to_owned())];
    update(&mut model, at(1), Msg::RequestsRead(*id, requests));
    assert!(draw(&model, 140, 40).contains("m · answered"));
    pressed(&mut model, '⏎');
    assert!(draw(&model, 140, 40).contains("exactly what was sent"));
    pressed(&mut model, '⎋');
    update(&mut model, at(1), Msg::RequestsRead(*id, vec![]));
    assert!(draw(&model, 140, 40).contains("Nothing was sent to a model"));
}

#[test]
fn answers_of_several_personas_are_side_by_side_where_there_is_room() {
    use crate::incident::answer::{Claim, ClaimState, Panel};
    let mut model = conversation();
    let incident = model.room.as_ref().and_then(|r| r.incident.as_ref()).unwrap();
    let mut facts: Vec<Fact> = incident.entries.iter().map(|e| e.fact.clone()).collect();
    let mut number = 0;
    for fact in &mut facts {
        if let Fact::AiRun { answer } = fact {
            number += 1;
            answer.answer = format!("Answer {number} [E1].");
            answer.claims = [ClaimState::Supported, ClaimState::Uncited, ClaimState::UnknownEvidence, ClaimState::NumberNotFound]
                .map(|state| Claim::new("The pool is full.", state))
                .into();
            answer.persona = format!("expert {number}");
            let turn = answer.turn.as_mut().unwrap();
            (turn.thread, turn.panel) = ("main".into(), Some(Panel { number, of: 2 }));
        }
    }
    let incident = Incident::fold(entries(facts)).unwrap();
    update(&mut model, at(0), Msg::IncidentRead(Box::new(incident), std::collections::BTreeMap::default()));
    let beside = |screen: &str| screen.lines().any(|l| l.contains("Answer 1 [E1].") && l.contains("Answer 2 [E1]."));
    let wide = draw(&model, 140, 40);
    assert!(beside(&wide) && wide.contains("(expert 2)"), "{wide}");
    let overlaps =
        wide.lines().any(|l| l.contains("4 claims") && l.matches("4 claims").count() == 2 && !l.contains("  ? 4 claims"));
    assert!(!overlaps, "a long summary stays in its column\n{wide}");
    let narrow = draw(&model, 80, 24);
    assert!(!beside(&narrow) && narrow.contains("Answer 1 [E1].") && narrow.contains("Answer 2 [E1]."), "{narrow}");
}

#[test]
fn threads_are_chosen_forked_and_asked_again() {
    use crate::app::Effect;
    let mut model = conversation();
    model.prompts = vec!["troubleshoot".into(), "postmortem".into()];
    let asked = |effects: Vec<Effect>| {
        effects.into_iter().find_map(|e| if let Effect::Ask { question, .. } = e { Some(*question) } else { None }).unwrap()
    };
    press(&mut model, 'b');
    assert!(draw(&model, 140, 40).contains("New thread"));
    press(&mut model, '⎋');
    press(&mut model, 'f');
    assert!(draw(&model, 140, 40).contains("into main-2"), "{}", draw(&model, 140, 40));
    for c in "/trou".chars() {
        press(&mut model, c);
    }
    press(&mut model, '⇥');
    for c in "--persona sre".chars() {
        press(&mut model, c);
    }
    let question = asked(pressed(&mut model, '⏎'));
    assert_eq!((question.text.as_str(), question.personas.as_slice()), ("troubleshoot", &["sre".to_owned()][..]));
    assert_eq!(question.thread.as_deref(), Some("main-2"));
    assert!(question.follows.is_some());

    let mut model = conversation();
    let again = asked(pressed(&mut model, '='));
    assert_eq!((again.text.as_str(), again.begins, again.thread.as_deref()), ("troubleshoot", true, Some("main")));
    let mut model = conversation();
    press(&mut model, 'E');
    assert!(draw(&model, 140, 40).contains("> /troubleshoot"), "{}", draw(&model, 140, 40));
    press(&mut model, '⎋');
    press(&mut model, 'p');
    for c in "/troubleshoot --modle x".chars() {
        press(&mut model, c);
    }
    press(&mut model, '⏎');
    assert!(draw(&model, 140, 40).contains("Did you mean --model?"), "{}", draw(&model, 140, 40));
}

#[test]
fn the_mark_below_an_answer_says_whether_every_claim_is_supported() {
    use crate::incident::answer::{Answer, AnswerSource, Claim, ClaimState, Usage};
    for (states, mark) in [
        (vec![ClaimState::Supported, ClaimState::Supported], "✓ 2 claims: 2 supported"),
        (vec![ClaimState::Supported, ClaimState::Uncited], "? 2 claims: 1 supported, 1 uncited"),
        (vec![], "· no claims to check"),
    ] {
        let mut model = room(Tab::Assistant);
        let claim = |state: &ClaimState| Claim::new("The pool is full.", *state);
        let answer = Answer {
            answer: "The pool is full.".into(),
            citations: vec![],
            claims: states.iter().map(claim).collect(),
            usage: Usage::default(),
            model: Some("m".into()),
            source: AnswerSource::Llm,
            fallback_reason: None,
            prompt: "troubleshoot".into(),
            prompt_version: "1".into(),
            persona: "p".into(),
            question: None,
            partial: false,
            sent: None,
            asked_model: None,
            url: None,
            notices: vec![],
            headings: vec![],
            cost: None,
            turn: None,
        };
        let incident = model.room.as_ref().and_then(|r| r.incident.as_ref()).unwrap();
        let mut facts: Vec<Fact> = incident.entries.iter().map(|e| e.fact.clone()).collect();
        facts.push(Fact::AiRun { answer });
        let incident = Incident::fold(entries(facts)).unwrap();
        update(&mut model, at(0), Msg::IncidentRead(Box::new(incident), std::collections::BTreeMap::default()));
        let screen = draw(&model, 140, 40);
        assert!(screen.contains(mark), "{mark}\n{screen}");
    }
}

#[test]
fn a_text_of_several_lines_grows_and_shows_its_cursor() {
    let theme = Theme::load("dark", &[], theme::Colours::All).0;
    let mut model = room(Tab::Overview);
    press(&mut model, 'n');
    for n in 1..=30 {
        let line = if n == 29 { format!("line 29 {}end", "x".repeat(157)) } else { format!("line {n}") };
        update(&mut model, at(1), Msg::Pasted(format!("{line}\n")));
    }
    for (width, height) in [(140, 40), (80, 24), (60, 16)] {
        update(&mut model, at(1), Msg::Resized(width, height));
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|f| render(&model, &theme, &mut ViewCache::default(), f)).unwrap();
        let screen = draw(&model, width, height);
        assert!(screen.contains("line 30") && screen.contains("xend"), "the last rows are visible: {width}\n{screen}");
        assert!(!screen.contains("line 18") && screen.contains("new line"), "{screen}");
        let cursor = terminal.get_cursor_position().unwrap();
        let above = terminal.backend().buffer().cell((cursor.x, cursor.y - 1)).unwrap().symbol().to_owned();
        assert_eq!(above, "l", "the cursor is below the start of line 30: {screen}");
    }
}

#[test]
fn suspects_share_a_time_axis_with_alerts_and_lead_to_evidence() {
    let mut model = room(Tab::Signals);
    let screen = draw(&model, 140, 40);
    let axis = screen.lines().find(|l| l.contains("┆ normal until")).unwrap();
    let sparkline = screen.lines().find(|l| l.contains("4 → 20 ") && l.contains('▁')).unwrap();
    // The alert's mark is close to the step in the sparkline, because the alert fired soon after.
    let column = |line: &str, symbol: char| line.chars().collect::<Vec<_>>().iter().rposition(|c| *c == symbol);
    let step = column(sparkline, '▁').unwrap() + 1;
    let alert = column(axis.split("┐").next().unwrap(), '●').unwrap();
    assert!(alert.abs_diff(step) <= 2, "{step} {alert}\n{screen}");
    press(&mut model, 'j');
    let below = draw(&model, 140, 40);
    assert!(below.contains("E1 metric from prom"), "{below}");
    press(&mut model, 'k');
    assert!(draw(&model, 140, 40).contains("checkout db_pool_in_use [E1]"));
}

#[test]
fn a_chart_has_a_scale_a_cursor_with_its_values_and_a_zoom() {
    let mut model = room(Tab::Signals);
    press(&mut model, '⏎');
    let screen = draw(&model, 140, 40);
    // The samples are 4 until 09:25:00 and 20 from then on, every ten seconds from 09:20:00 to 09:29:50.
    for part in ["20 ", "15 ", "10 ", "5 ", "09:20:00", "09:22", "09:26", "09:30:00 UTC"] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    press(&mut model, 'h');
    assert!(draw(&model, 140, 40).contains("at 2026-11-21 09:29:50 UTC"), "the cursor begins at the last sample");
    for _ in 0..5 {
        press(&mut model, 'H');
    }
    let screen = draw(&model, 140, 40);
    assert!(screen.contains("at 2026-11-21 09:24:50 UTC") && screen.contains("│ 4 {service="), "{screen}");
    assert!(screen.contains('┊'), "{screen}");
    press(&mut model, 'l');
    assert!(draw(&model, 140, 40).contains("│ 20 {service="));
    press(&mut model, '+');
    press(&mut model, '+');
    let zoomed = draw(&model, 140, 40);
    assert!(zoomed.contains("09:23:45") && zoomed.contains("09:26:15 UTC"), "{zoomed}");
    // The view follows the cursor, and ends at the ends of the window.
    for _ in 0..30 {
        press(&mut model, 'L');
    }
    assert!(draw(&model, 140, 40).contains("09:30:00 UTC"));
    press(&mut model, '-');
    press(&mut model, '-');
    assert!(draw(&model, 140, 40).contains("09:20:00"));
}

#[test]
fn the_report_begins_with_what_is_missing_and_the_keys_that_add_it() {
    use crate::postmortem::{MissingPart, Remedy};
    let mut model = room(Tab::Report);
    let id = model.room.as_ref().unwrap().id;
    let part = |what: &str, remedy| MissingPart { what: what.into(), remedy: Some(remedy) };
    let missing = vec![part("Impact: impact and scope", Remedy::Impact), part("Lessons: what went well", Remedy::Lesson)];
    update(&mut model, at(1), Msg::ReportReady(id, "# Checkout is failing\n".into(), missing));
    for (width, height) in [(140, 40), (80, 24)] {
        let screen = draw(&model, width, height);
        for part in ["Missing 2 · ⏎ lists and adds it", "I   Impact: impact and scope", "W   Lessons: what went well"] {
            assert!(screen.contains(part), "{part}\n{screen}");
        }
    }
    press(&mut model, '⏎');
    press(&mut model, '2');
    assert!(draw(&model, 80, 24).contains("went well"), "the second row asks for a lesson");
    update(&mut model, at(1), Msg::ReportReady(id, "# Checkout is failing\n".into(), Vec::new()));
    model.overlay = None;
    press(&mut model, '⏎');
    assert!(draw(&model, 80, 24).contains("Nothing is missing in the report. Press e to export it."));
}

#[test]
fn a_message_hides_neither_the_keys_of_the_view_nor_a_dialog() {
    let mut model = room(Tab::Overview);
    model.say(crate::app::model::Tone::Bad, "The file cannot be written. ".repeat(5));
    let screen = draw(&model, 80, 24);
    assert!(screen.lines().last().unwrap().contains("p ask"), "{screen}");
    assert!(screen.contains("! The file cannot be written. The file") && screen.matches("cannot").count() == 5, "{screen}");
    press(&mut model, 'n');
    model.say(crate::app::model::Tone::Good, "Saved.");
    let screen = draw(&model, 80, 24);
    assert!(screen.lines().last().unwrap().contains("✓ Saved."), "{screen}");
}

#[test]
fn the_help_shows_the_keys_that_contain_what_is_typed() {
    let mut model = room(Tab::Overview);
    press(&mut model, '?');
    assert!(draw(&model, 80, 24).contains("type to filter"));
    for key in "severity".chars() {
        press(&mut model, key);
    }
    let screen = draw(&model, 80, 24);
    assert!(screen.contains("s            Change the severity") && !screen.contains("Write a note"), "{screen}");
    press(&mut model, 'z');
    assert!(draw(&model, 80, 24).contains("No key of this view matches."));
    press(&mut model, '⎋');
    press(&mut model, '?');
    "mute".chars().for_each(|key| press(&mut model, key));
    assert!(draw(&model, 80, 24).contains("No key of this view matches."), "silences are on the board");
    press(&mut model, '⎋');
    press(&mut model, '?');
    "ack".chars().for_each(|key| press(&mut model, key));
    assert!(draw(&model, 80, 24).contains("Acknowledge, or withdraw"), "another word for it");
    press(&mut model, '⎋');
    press(&mut model, '?');
    let wide = draw(&model, 140, 40);
    // In one column, every text begins left of the middle.
    let begins_right =
        |text: &str| wide.lines().any(|l| l.split_once(text).is_some_and(|(before, _)| before.chars().count() > 70));
    assert!(begins_right("Find a command by name") && !begins_right("Show or hide the findings"), "two columns\n{wide}");
}

#[test]
fn every_tab_is_named_at_every_width() {
    let model = room(Tab::Signals);
    for width in [60, 70, 80, 99, 100, 120, 140] {
        let bar = draw(&model, width, 24).lines().nth(1).unwrap().to_owned();
        for (key, name) in Tab::ALL.map(Tab::label) {
            let start: String = name.chars().take(3).collect();
            assert!(bar.contains(&format!("{key} {start}")), "{width}: {name}\n{bar}");
        }
        assert!(bar.contains("3 Signals"), "the open tab has its whole name\n{bar}");
    }
}

#[test]
fn small_overview_shows_the_cause_before_alerts_and_impact() {
    let screen = draw(&room(Tab::Overview), 80, 30);
    let row = |text: &str| screen.lines().position(|l| l.contains(text)).unwrap_or_else(|| panic!("{text}\n{screen}"));
    let rows =
        ["Likely cause", "1.41.3 → 1.42.0", "4 → 20", "new ×40", "Do next", "Gateway, which", "db_pool_in_use rose", "Alerts 1"]
            .map(row);
    assert!(rows.is_sorted(), "{rows:?}\n{screen}");
}

#[test]
fn an_incident_older_than_its_data_has_a_banner_with_the_key_that_reads_more() {
    let mut model = room(Tab::Overview);
    let investigation = model.room.as_mut().unwrap().incident.as_mut().unwrap().investigation.as_mut().unwrap();
    investigation.bad_baseline = true;
    for (width, height) in [(140, 40), (80, 24)] {
        let screen = draw(&model, width, height);
        assert!(screen.contains("! The baseline already includes the incident") && screen.contains("w reads a"), "{screen}");
    }
}

#[test]
fn logs_tab_shows_patterns_first_and_switches_to_lines() {
    let mut model = room(Tab::Logs);
    let screen = draw(&model, 140, 40);
    let row = |text: &str| screen.lines().position(|l| l.contains(text)).unwrap();
    assert!(row("pool exhausted after <*>") < row("order <*> placed"), "{screen}");
    assert!(screen.contains("40 lines after ┆, none before") && screen.contains("[E3] from prom"), "{screen}");
    assert!(screen.contains("code 502 · region eu-1 30, us-1 10"), "{screen}");
    press(&mut model, 'v');
    assert!(draw(&model, 140, 40).contains("Waiting for the first log line"));
    press(&mut model, 'v');
    assert!(draw(&model, 140, 40).contains("Log patterns 2 · 1 new ─"));
    // If the source failed in the latest investigation, the patterns are from the one before.
    let failed = SourceReport {
        name: "prom".into(),
        kind: "loki".into(),
        status: SourceStatus::Failed,
        error: Some("timeout".into()),
        age_secs: None,
        fault: None,
        remedy: None,
    };
    let incident = model.room.as_mut().and_then(|r| r.incident.as_mut()).unwrap();
    incident.investigation.as_mut().unwrap().sources.push(failed);
    assert!(!draw(&model, 140, 40).contains("prom failed"), "the patterns are from the same investigation");
    let incident = model.room.as_mut().and_then(|r| r.incident.as_mut()).unwrap();
    incident.investigation.as_mut().unwrap().window.end = at(60);
    assert!(draw(&model, 140, 40).contains("Log patterns 2 · 1 new · prom failed, data as of "));
}

#[test]
fn the_cursor_of_a_chart_goes_to_a_typed_time() {
    let mut model = room(Tab::Signals);
    press(&mut model, '⏎');
    let typed = |model: &mut Model, keys: &str| keys.chars().for_each(|key| press(model, key));
    let cursor = |model: &Model| match &model.overlay {
        Some(crate::app::Overlay::Evidence { at, .. }) => *at,
        other => panic!("{other:?}"),
    };
    typed(&mut model, "tnoon⏎");
    assert!(draw(&model, 140, 40).contains("> noon"), "what is no time can be corrected");
    typed(&mut model, "⎋t09:25⏎");
    let at = cursor(&model).unwrap();
    assert_eq!(at.clock(time::UtcOffset::UTC).get(..5), Some("09:25"), "the sample at that time");
    typed(&mut model, "t03:00⏎");
    assert!(draw(&model, 140, 40).contains("no sample near"), "{}", draw(&model, 140, 40));
    press(&mut model, '⎋');
    assert_eq!(cursor(&model), Some(at), "the chart is still there");
}

#[test]
fn columns_of_fields_have_names_and_are_as_wide_as_their_values() {
    let mut model = room(Tab::Logs);
    press(&mut model, 'v');
    let line = |secs: i64, status: &str| LogLine {
        at: Some(at(secs)),
        fields: [("status".to_owned(), status.to_owned())].into(),
        ..LogLine::plain(format!("GET /cart {secs}"))
    };
    let lines = vec![line(1, "a value that is longer than a column"), line(2, "502"), line(3, "200")];
    model.logs.folds = false;
    update(&mut model, at(5), Msg::LogsArrived(crate::telemetry::log::Batch { lines, ..Default::default() }));
    assert!(
        draw(&model, 140, 40).contains("GET /cart 2") && !draw(&model, 140, 40).contains("status"),
        "no names without fields"
    );
    model.logs.columns = vec!["time".into(), "status".into()];
    let screen = draw(&model, 100, 20);
    let rows: Vec<&str> = screen.lines().skip_while(|l| !l.contains("time     status")).take(4).collect();
    let place = |row: usize, text: &str| rows[row].find(text).map(|at| rows[row][..at].chars().count());
    assert_eq!((place(0, "status"), place(2, "502"), place(3, "200")), (Some(10), Some(10), Some(10)), "{screen}");
    assert!(
        rows[1].contains("a value that is longer t… GET /cart 1") || rows[1].contains("a value that is longer … GET /cart 1"),
        "{screen}"
    );
}

#[test]
fn overview_shows_clocks_tasks_and_open_items() {
    let mut model = room(Tab::Overview);
    let task = |who: &str, after: i64| {
        let mut fact =
            Fact::action("check the replica", crate::incident::ActionKind::Mitigate, crate::incident::ActionScope::Incident);
        if let Fact::ActionAdded { owner, check_back_at, .. } = &mut fact {
            (*owner, *check_back_at) = (Some(who.into()), Some(at(after)));
        }
        fact
    };
    let all = entries(vec![declared(), task("ben", 8000), task("cleo", 4000)]);
    update(&mut model, at(4500), Msg::IncidentRead(Box::new(Incident::fold(all).unwrap()), std::collections::BTreeMap::new()));
    update(&mut model, at(4500), Msg::Present(vec!["ben".into(), "cleo".into()]));
    let changed = Msg::StoreChanged(StoreState { unsynced: 2, unreachable: Some("refused".into()), ..StoreState::default() });
    update(&mut model, at(4500), changed);
    for (width, height) in [(140, 40), (112, 60)] {
        let screen = draw(&model, width, height);
        for part in [
            "update OVERDUE 15m00s",
            "A0 ben due in 58m20s",
            "A0 cleo LATE 8m20s",
            "☐ Impact and scope",
            "↯2 unsynced",
            "store ○ unreachable",
            "☺ ben, cleo",
        ] {
            assert!(screen.contains(part), "{part}\n{screen}");
        }
    }
    // Every tab shows what is overdue, even with eighty columns.
    for tab in ['2', '3', '7', '1'] {
        press(&mut model, tab);
        (model.now, model.toast) = (at(4500), None);
        let screen = draw(&model, 80, 24);
        assert!(screen.contains("cleo LATE 8m20s") && screen.contains("update OVERDUE 15m00s"), "{tab}\n{screen}");
    }
    let screen = draw(&model, 80, 24);
    assert!(screen.contains("store ○ ↯2") && screen.contains("☺ ben") && screen.contains("checkout is"), "{screen}");
}

#[test]
fn long_timeline_shows_the_selected_entry() {
    let mut model = room(Tab::Timeline);
    let note =
        |n: u32| Fact::Note { text: format!("note {n} {}", "long ".repeat((n % 40) as usize)), note_kind: NoteKind::Observation };
    let all = entries(std::iter::once(declared()).chain((1..20_000).map(note)).collect());
    update(&mut model, at(0), Msg::IncidentRead(Box::new(Incident::fold(all).unwrap()), std::collections::BTreeMap::new()));
    let theme = Theme::load("dark", &[], theme::Colours::All).0;
    let mut cache = ViewCache::default();
    let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
    let mut screen = |model: &Model| {
        terminal.draw(|f| render(model, &theme, &mut cache, f)).unwrap();
        terminal.backend().to_string()
    };
    assert!(screen(&model).contains("note 19999 "), "the newest entry is selected first");
    press(&mut model, 'g');
    press(&mut model, 'g');
    let top = screen(&model);
    assert!(top.contains("Declared SEV3") && top.contains("note 1 "), "{top}");
    for _ in 0..30 {
        press(&mut model, 'j');
    }
    assert!(screen(&model).contains("note 30 "));
    press(&mut model, 'G');
    press(&mut model, 'k');
    let end = screen(&model);
    assert!(end.contains("note 19998 ") && end.contains("note 19999 "), "{end}");
}

#[test]
fn help_lists_every_key_of_the_view() {
    let mut model = room(Tab::Logs);
    press(&mut model, '?');
    let screen = draw(&model, 100, 120);
    for spec in crate::app::action::ACTIONS.iter().filter(|s| model.view_contexts().contains(&s.context)) {
        assert!(screen.contains(spec.help), "{}\n{screen}", spec.help);
    }
}

#[test]
fn declare_dialog_shows_the_severity_matrix() {
    let mut model = board();
    press(&mut model, 'd');
    let screen = draw(&model, 80, 24);
    for part in ["▸ SEV2", "a critical function is failing", "SEV5", "checkout fails 17.2%", "me (ana)"] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
}

#[test]
fn wraps_hints_and_scrolls_long_lists_on_small_terminals() {
    let mut model = room(Tab::Overview);
    press(&mut model, 'U');
    update(&mut model, at(1), Msg::Pressed(Chord::plain(Code::Enter)));
    let screen = draw(&model, 80, 24);
    assert!(screen.contains("Text of the update") && screen.contains("`next none` to set the next update."), "{screen}");
    let mut model = room(Tab::Overview);
    press(&mut model, '!');
    for _ in 0..40 {
        update(&mut model, at(1), Msg::Pressed(Chord::plain(Code::Down)));
    }
    let screen = draw(&model, 80, 16);
    assert!(screen.contains("15 Post-mortem") && !screen.contains(" 1 Deploy") && screen.contains("choose"), "{screen}");
}

#[test]
fn too_small_terminal_still_shows_the_incident() {
    let screen = draw(&room(Tab::Overview), 40, 8);
    assert!(screen.contains("SEV3 INC-1 checkout is failing") && screen.contains("at least 60x16"), "{screen}");
}

#[test]
fn hostile_text_cannot_control_the_terminal() {
    let mut model = board();
    let mut hostile = alert("A", "x", AlertState::Firing);
    hostile.annotations.insert("summary".into(), HOSTILE.into());
    let reports = vec![];
    model.board.set_alerts(vec![hostile], reports, at(1));
    let screen = draw(&model, 140, 40);
    assert!(!screen.chars().any(|c| c.is_control() && c != '\n'), "{screen:?}");
}

#[test]
fn works_without_colours() {
    use ratatui::style::Color;
    let theme = Theme::load("dark", &[], theme::Colours::None).0;
    let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
    terminal.draw(|f| render(&board(), &theme, &mut ViewCache::default(), f)).unwrap();
    let cells = &terminal.backend().buffer().content;
    assert!(cells.iter().all(|c| c.fg == Color::Reset && c.bg == Color::Reset));
    assert!(cells.iter().any(|c| c.modifier.contains(ratatui::style::Modifier::REVERSED)));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]
    #[test]
    fn draws_any_size_after_any_keys_without_panic(width in 0_u16..200, height in 0_u16..80, tab in 0_usize..7, keys in "[a-zA-Z?:/ 1-9\\[\\]]{0,6}") {
        let mut model = room(Tab::ALL[tab]);
        for key in keys.chars() {
            press(&mut model, key);
        }
        draw(&model, width, height);
        draw(&board(), width, height);
    }
}

#[test]
fn title_stays_visible_when_many_sources_fail() {
    let mut model = room(Tab::Overview);
    let title = model.room.as_ref().unwrap().incident.as_ref().unwrap().head.title.clone();
    let failed = model.board.sources[1].clone();
    model.board.sources = (0..6)
        .map(|n| {
            let mut source = failed.clone();
            source.report.name = format!("a-source-{n}");
            source
        })
        .collect();
    for width in [80, 100, 140] {
        let screen = draw(&model, width, 30);
        let top = screen.lines().next().unwrap();
        let beginning: String = title.chars().take(12).collect();
        assert!(
            top.contains(&beginning)
                && (top.contains("6 of 6 sources ○") || top.contains("6/6 ○"))
                && top.trim_end().ends_with('Z'),
            "{top}"
        );
    }
    model.board.sources.truncate(2);
    assert!(draw(&model, 140, 30).lines().next().unwrap().contains("a-source-1 ○"));
    // One that failed among several that answered is named with the reason, also at 120 columns.
    let mut healthy = model.board.sources[0].clone();
    (healthy.report.status, healthy.report.fault, healthy.answered_at) = (SourceStatus::Ok, None, Some(model.now));
    model.board.sources.truncate(1);
    for name in ["prometheus-eu", "alertmanager-eu", "checkout-logs"] {
        healthy.report.name = name.into();
        model.board.sources.push(healthy.clone());
    }
    let top = draw(&model, 120, 30).lines().next().unwrap().to_owned();
    assert!(top.contains("a-source-0 ○ unreachable") && top.contains(&title) && !top.contains("prometheus-eu"), "{top}");
}

#[test]
fn help_can_be_read_to_its_end() {
    let mut model = room(Tab::Logs);
    press(&mut model, '?');
    assert!(draw(&model, 80, 24).contains(" for more"));
    let tall = draw(&model, 84, 130);
    assert!(!tall.contains("for more"), "{tall}");
    for part in [
        "? data gap",
        "└",
        "┄ alert threshold",
        "not accepted yet  ? claim not supported",
        "not in the shared store yet, or not saved",
    ] {
        assert!(tall.contains(part), "{part}\n{tall}");
    }
}

#[test]
fn running_investigation_is_not_shown_as_missing() {
    let mut model = room(Tab::Overview);
    let room = model.room.as_mut().unwrap();
    room.incident.as_mut().unwrap().investigation = None;
    assert!(draw(&model, 140, 40).contains("Not investigated yet"));
    model.room.as_mut().unwrap().investigating = Some("step 3 of 4".into());
    let screen = draw(&model, 140, 40);
    assert!(
        screen.contains("Gathering evidence from all sources: step 3 of 4") && !screen.contains("Not investigated"),
        "{screen}"
    );
}

#[test]
fn keeps_showing_lines_when_patterns_arrive() {
    let mut model = room(Tab::Logs);
    let (incident, bodies) = {
        let room = model.room.as_ref().unwrap();
        (room.incident.clone().unwrap(), room.bodies.clone())
    };
    for (is_read, now) in [(true, 1), (false, 100)] {
        model.logs.reset();
        let room = model.room.as_mut().unwrap();
        (room.incident, room.show_lines) = (None, false);
        if is_read {
            let lines = vec![LogLine::plain("order 7 placed")];
            update(&mut model, at(0), Msg::LogsArrived(crate::telemetry::log::Batch { lines, ..Default::default() }));
        }
        update(&mut model, at(now), Msg::IncidentRead(Box::new(incident.clone()), bodies.clone()));
        let screen = draw(&model, 100, 30);
        assert_eq!(screen.contains("order 7 placed"), is_read, "{screen}");
        assert_eq!(screen.contains("Press v to show them"), is_read, "{screen}");
    }
}

mod snapshots;

/// Draws the model, and gives it what the pointer can reach.
fn drawn(model: &mut Model, width: u16, height: u16) -> String {
    let theme = Theme::load("dark", &[], theme::Colours::All).0;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut cache = ViewCache::default();
    terminal.draw(|f| render(model, &theme, &mut cache, f)).unwrap();
    model.pointer.targets = cache.targets;
    draw(model, width, height)
}

/// Presses the button of the pointer where this text is shown.
fn click(model: &mut Model, part: &str) -> Vec<crate::app::Effect> {
    let screen = drawn(model, 140, 40);
    let (y, line) = screen.lines().enumerate().find(|(_, l)| l.contains(part)).unwrap_or_else(|| panic!("{part}: {screen}"));
    let x = u16::try_from(text::width(line.split_once(part).unwrap().0)).unwrap();
    update(model, at(1), Msg::Pointed(crate::app::pointer::Pointer::Pressed, x, u16::try_from(y).unwrap()))
}

#[test]
fn clicks_select_rows_and_open_what_is_selected() {
    use crate::app::Overlay;
    let mut model = board();
    click(&mut model, "crit SlowResponses");
    assert_eq!(model.board.current().map(|a| a.name.as_str()), Some("SlowResponses"));
    click(&mut model, "crit SlowResponses");
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("has no incident")), "a second click opens: {:?}", model.toast);
    let mut model = room(Tab::Overview);
    click(&mut model, "2 Timeline");
    assert_eq!(model.room.as_ref().unwrap().tab, Tab::Timeline);
    click(&mut model, "3 Signals");
    click(&mut model, "E2  ");
    assert_eq!(model.room.as_ref().unwrap().selected_evidence(), Some(EvidenceId(2)));
    click(&mut model, "E2  ");
    assert!(matches!(model.overlay, Some(Overlay::Evidence { id: EvidenceId(2), .. })));
    click(&mut model, "E2");
    assert!(model.overlay.is_some(), "the view below a text is not reached");
    model.overlay = None;
    press(&mut model, 's');
    let Some(Overlay::List(list)) = &model.overlay else { panic!("no list") };
    assert_ne!(list.selected, 3);
    click(&mut model, "SEV4");
    let Some(Overlay::List(list)) = &model.overlay else { panic!("a click only selects") };
    assert_eq!(list.selected, 3);
    click(&mut model, "SEV4");
    assert!(matches!(model.overlay, Some(Overlay::Input(_))), "{:?}", model.overlay);
    let typed = model.overlay.clone();
    for wheel in [crate::app::pointer::Pointer::WheelUp, crate::app::pointer::Pointer::WheelDown] {
        update(&mut model, at(1), Msg::Pointed(wheel, 5, 5));
    }
    assert_eq!(model.overlay, typed, "the wheel does not touch a text that is typed");
}

#[test]
fn dragging_in_a_chart_moves_the_cursor_and_zooms() {
    use crate::app::Overlay;
    use crate::app::pointer::{Pointer, Target};
    let mut model = room(Tab::Signals);
    model.overlay = Some(Overlay::evidence(EvidenceId(1), 0, None));
    drawn(&mut model, 140, 40);
    let chart = model.pointer.targets.iter().find(|(_, t)| matches!(t, Target::Chart(_))).copied();
    let Some((area, Target::Chart(window))) = chart else { panic!("no chart") };
    // Columns are wider than a hundredth.
    let share = |t: Timestamp| (t.secs_since(window.start) / window.length().as_secs_f64() * 10.0).round();
    let point = |model: &mut Model, what, percent: u16| {
        update(model, at(1), Msg::Pointed(what, area.x + (area.width - 1) * percent / 100, area.y + 1));
        let Some(Overlay::Evidence { at, view, .. }) = &model.overlay else { panic!("closed") };
        (at.map(share), *view)
    };
    assert_eq!(point(&mut model, Pointer::Pressed, 50), (Some(5.0), None));
    assert_eq!(point(&mut model, Pointer::Released, 50), (Some(5.0), None), "a click does not zoom");
    point(&mut model, Pointer::Pressed, 80);
    assert_eq!(point(&mut model, Pointer::Dragged, 60).0, Some(6.0));
    let (_, view) = point(&mut model, Pointer::Released, 40);
    assert_eq!(view.map(|v| (share(v.start), share(v.end))), Some((4.0, 8.0)), "in any direction");
}

/// Series of several instances, each at another level.
fn instances(days: i64) -> Vec<Series> {
    let series = |n: i32| Series {
        labels: Labels::from([("instance".into(), format!("web-{n}"))]),
        samples: (0..60).map(|i| Sample { at: at(-600 + 10 * i), value: f64::from(n) + days as f64 }).collect(),
    };
    (1..=3).map(series).collect()
}

#[test]
fn any_query_is_a_chart_that_is_compared_and_kept() {
    use crate::app::metric::{MetricNames, MetricRequest, MetricsRead};
    use crate::app::{Effect, Overlay};
    let mut model = room(Tab::Signals);
    model.has_metrics = true;
    let alt =
        |model: &mut Model, c: char| update(model, at(1), Msg::Pressed(Chord { code: Code::Char(c), ctrl: false, alt: true }));
    assert_eq!(alt(&mut model, 'q'), [Effect::ReadMetricNames]);
    assert!(draw(&model, 140, 40).contains("max by (service) (db_pool_in_use)"), "the query of the selected evidence");
    let names = MetricNames {
        metrics: vec!["up".into(), "uptime_seconds".into()],
        labels: vec!["instance".into()],
        ..Default::default()
    };
    update(&mut model, at(1), Msg::MetricNamesRead(names));
    "u".chars().for_each(|key| press(&mut model, key));
    press(&mut model, '⇥');
    let screen = draw(&model, 140, 40);
    assert!(screen.contains("> up") && screen.contains("up  uptime_seconds"), "{screen}");
    let effects = pressed(&mut model, '⏎');
    let [Effect::ReadMetrics(request)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((request.query.as_str(), request.days), ("up", 0));
    assert!(draw(&model, 140, 40).contains("Reading the series"));
    let read = |days: i64| MetricsRead { source: "prom".into(), step_secs: 10.0, series: instances(days), gaps: Vec::new() };
    let answer =
        |model: &mut Model, request: &MetricRequest, found| update(model, at(1), Msg::MetricsRead(request.clone(), Ok(found)));
    answer(&mut model, request, read(0));
    let screen = draw(&model, 140, 40);
    for part in ["a {instance=\"web-1\"}", "b {instance=\"web-2\"}", "c {instance=\"web-3\"}"] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    assert!(screen.lines().any(|l| l.trim_end_matches(['│', ' ']).ends_with('a')), "each series ends with its letter\n{screen}");
    // Yesterday behind it, with the value at the cursor.
    let effects = pressed(&mut model, 'c');
    let [Effect::ReadMetrics(earlier)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((earlier.days, earlier.window), (1, request.window));
    assert!(draw(&model, 140, 40).contains("reading yesterday …"));
    answer(&mut model, earlier, read(4));
    press(&mut model, 'h');
    let screen = draw(&model, 140, 40);
    assert!(screen.contains("a 1 (yesterday 5) {instance=") && screen.contains("faint: yesterday"), "{screen}");
    let effects = pressed(&mut model, 'c');
    assert!(matches!(effects.as_slice(), [Effect::ReadMetrics(r)] if r.days == 7), "{effects:?}");
    assert!(pressed(&mut model, 'c').is_empty());
    assert!(!draw(&model, 140, 40).contains("faint"));
    let effects = pressed(&mut model, 'm');
    let [Effect::KeepMetric(kept)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((kept.request.query.as_str(), kept.found.series.len()), ("up", 3));
    // A query that cannot be answered is there to be corrected.
    alt(&mut model, 'q');
    "up{".chars().for_each(|key| press(&mut model, key));
    let effects = pressed(&mut model, '⏎');
    let [Effect::ReadMetrics(request)] = effects.as_slice() else { panic!("{effects:?}") };
    update(&mut model, at(1), Msg::MetricsRead(request.clone(), Err(crate::telemetry::Failure::new("parse error"))));
    assert!(matches!(&model.overlay, Some(Overlay::Input(dialog)) if dialog.edit.text() == "up{"), "{:?}", model.overlay);
}

#[test]
fn the_normal_range_of_a_series_is_drawn_as_a_band() {
    let data = |normal_until| {
        let samples = (0..60)
            .map(|i| Sample { at: at(-600 + 10 * i), value: f64::from(if i < 30 { i32::try_from(i % 5).unwrap() } else { 9 }) });
        let series = vec![Series { samples: samples.collect(), labels: Labels::new() }];
        let theme = Theme::load("dark", &[], theme::Colours::All).0;
        let mut buffer = ratatui::buffer::Buffer::empty(Rect::new(0, 0, 60, 12));
        let window = Window::new(at(-600), at(0));
        let chart = widgets::Chart { normal_until, ..widgets::Chart::of(&series, window, "", at(0)) };
        widgets::chart(&mut buffer, Rect::new(0, 0, 60, 12), &theme, &chart);
        buffer.content.iter().filter(|c| c.symbol() == "·").count()
    };
    assert_eq!(data(None), 0);
    assert_eq!(data(Some(at(-595))), 0, "too few values to say what is normal");
    assert!(data(Some(at(-300))) > 0);
}

#[test]
fn details_get_the_whole_screen_and_evidence_stays_beside_every_tab() {
    let mut model = room(Tab::Signals);
    press(&mut model, 'Z');
    let screen = draw(&model, 80, 24);
    assert!(screen.contains("checkout db_pool_in_use [E1]") && !screen.contains("Suspects"), "{screen}");
    assert!(
        screen.lines().filter(|l| l.contains('┄')).count() == 1 && screen.contains("query") || screen.contains("max by"),
        "{screen}"
    );
    press(&mut model, '⎋');
    assert!(draw(&model, 80, 24).contains("Suspects"), "esc gives the list back");
    press(&mut model, 'g');
    press(&mut model, 'p');
    press(&mut model, '2');
    for (width, height) in [(140, 40), (80, 24)] {
        let screen = draw(&model, width, height);
        assert!(screen.contains("Timeline") && screen.contains("E1 pinned · gp removes it"), "{screen}");
    }
    press(&mut model, 'g');
    press(&mut model, 'p');
    assert!(!draw(&model, 140, 40).contains("E1 pinned"));
    // The board has no room for the details of an alert in a narrow terminal.
    let mut model = board();
    assert!(!draw(&model, 80, 24).contains("fails 17.2% of requests"));
    press(&mut model, 'Z');
    assert!(draw(&model, 80, 24).contains("fails 17.2% of requests"));
}

#[test]
fn the_tour_goes_on_when_its_steps_are_done() {
    let mut model = board();
    model.tour = Some(crate::app::tour::Tour::default());
    let shows = |model: &Model, part: &str| {
        let screen = draw(model, 140, 40);
        assert!(screen.contains(part), "{part}\n{screen}");
    };
    shows(&model, "Tour 1 of 6  These alerts are firing. Press d");
    press(&mut model, 'd');
    shows(&model, "Tour 2 of 6  ⏎ declares it.");
    let mut in_room = room(Tab::Overview);
    in_room.tour = model.tour;
    update(&mut in_room, at(1), Msg::Ticked);
    shows(&in_room, "Tour 3 of 6  The likely cause comes first. Select a row");
    press(&mut in_room, '⏎');
    shows(&in_room, "Tour 4 of 6  Press 4");
    press(&mut in_room, '4');
    shows(&in_room, "Tour 5 of 6  Press 5, then ⏎");
    press(&mut in_room, '5');
    press(&mut in_room, '⏎');
    shows(&in_room, "Tour 6 of 6  Press 9");
    press(&mut in_room, '9');
    shows(&in_room, "That was the tour.");
    assert!(in_room.tour.is_none());
    update(&mut model, at(2), Msg::Pressed(Chord { code: Code::Esc, ctrl: false, alt: false }));
    update(&mut model, at(2), Msg::Pressed(Chord { code: Code::Char('t'), ctrl: false, alt: true }));
    assert!(!draw(&model, 140, 40).contains("Tour"));
}

#[test]
fn a_text_is_searched_with_its_matches_counted() {
    use crate::app::Overlay;
    let mut model = room(Tab::Overview);
    let lines: String =
        (0..200).map(|n| if n % 50 == 7 { format!("line {n}: Pool full\n") } else { format!("line {n}\n") }).collect();
    model.overlay = Some(Overlay::Text { title: "Output".to_owned(), text: lines, scroll: 0 });
    let frame = |model: &mut Model| {
        let theme = Theme::load("dark", &[], theme::Colours::All).0;
        let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
        let mut cache = ViewCache::default();
        terminal.draw(|f| render(model, &theme, &mut cache, f)).unwrap();
        model.scroll_limit = cache.scroll_limit;
        let again = crate::app::find::drawn(model, cache.matches);
        let hits = terminal.backend().buffer().content.iter().filter(|c| c.style().bg == theme.style(Meaning::Hit).bg).count();
        (again, hits)
    };
    frame(&mut model);
    press(&mut model, '/');
    "pool".chars().for_each(|key| press(&mut model, key));
    press(&mut model, '⏎');
    assert!(frame(&mut model).0, "the first match is shown in the next frame");
    assert_eq!(frame(&mut model), (false, 4), "the letters of the match");
    let at = |model: &Model| match &model.overlay {
        Some(Overlay::Text { scroll, .. }) => *scroll,
        other => panic!("{other:?}"),
    };
    assert_eq!(at(&model), 7);
    assert!(draw(&model, 100, 30).contains("'pool' 1 of 4"));
    press(&mut model, 'n');
    assert_eq!(at(&model), 57);
    assert!(draw(&model, 100, 30).contains("'pool' 2 of 4"));
    press(&mut model, 'N');
    assert_eq!(at(&model), 7);
    press(&mut model, '/');
    press(&mut model, '⎋');
    assert!(matches!(model.overlay, Some(Overlay::Text { .. })), "the text is open again");
    press(&mut model, 'q');
    assert!(model.overlay.is_none() && model.find.text.is_empty());
}
