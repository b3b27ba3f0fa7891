//! Whole frames of every tab and dialog, as text and as styles, at the two sizes that matter: 140x40 and 80x24.
//!
//! A changed frame fails with a diff. If the change is intended, run the tests again with `INSTA_UPDATE=always` and review the
//! changed files.

use super::*;
use crate::incident::IncidentId;
use crate::ui::theme::Colours;

/// Draws a model and returns its text, then the styled runs of each row in the dark theme and without colour.
fn frame(model: &Model, width: u16, height: u16) -> String {
    let mut out = String::new();
    for (name, colours) in [("dark", Colours::All), ("no colour", Colours::None)] {
        let theme = Theme::load("dark", &[], colours).0;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|f| render(model, &theme, &mut ViewCache::default(), f)).unwrap();
        let buffer = terminal.backend().buffer();
        if colours == Colours::All {
            for y in 0..height {
                let row: String = (0..width).filter_map(|x| buffer.cell((x, y))).map(ratatui::buffer::Cell::symbol).collect();
                out.push_str(row.trim_end());
                out.push('\n');
            }
        }
        out.push_str(&format!("--- {name}\n"));
        for y in 0..height {
            let runs = styled_runs(buffer, y, width);
            if !runs.is_empty() {
                out.push_str(&format!("{y}: {}\n", runs.join(", ")));
            }
        }
    }
    out
}

/// The runs of a row that are not in the terminal's own style: `2-11 Red bold`.
fn styled_runs(buffer: &ratatui::buffer::Buffer, y: u16, width: u16) -> Vec<String> {
    let style = |x: u16| {
        let cell = buffer.cell((x, y)).unwrap();
        let mut words = Vec::new();
        if cell.fg != ratatui::style::Color::Reset {
            words.push(cell.fg.to_string());
        }
        if cell.bg != ratatui::style::Color::Reset {
            words.push(format!("on {}", cell.bg));
        }
        words.extend(cell.modifier.iter_names().map(|(name, _)| name.to_lowercase()));
        words.join(" ")
    };
    let mut runs: Vec<(u16, u16, String)> = Vec::new();
    for x in 0..width {
        let style = style(x);
        match runs.last_mut() {
            Some((_, end, last)) if *last == style => *end = x,
            _ => runs.push((x, x, style)),
        }
    }
    runs.into_iter().filter(|(_, _, style)| !style.is_empty()).map(|(from, to, style)| format!("{from}-{to} {style}")).collect()
}

fn check(name: &str, model: &Model) {
    for (width, height) in [(140, 40), (80, 24)] {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), frame(model, width, height));
        });
    }
}

/// A room where some keys were pressed.
fn room_after(tab: Tab, keys: &str) -> Model {
    let mut model = room(tab);
    model.toast = None;
    keys.chars().for_each(|key| press_key(&mut model, key));
    model.toast = None;
    model
}

fn press_key(model: &mut Model, key: char) {
    let chord = match key {
        '⏎' => Chord::plain(Code::Enter),
        '↓' => Chord::plain(Code::Down),
        key => Chord::plain(Code::Char(key)),
    };
    update(model, at(1), Msg::Pressed(chord));
}

#[test]
fn draws_the_board() {
    check("board", &board());
    let mut empty = Model::new(at(0), time::UtcOffset::UTC);
    empty.config_path = "/home/ana/.config/warroom/config.toml".into();
    check("board-without-sources", &empty);
}

#[test]
fn draws_every_tab() {
    for (name, tab) in [
        ("overview", Tab::Overview),
        ("timeline", Tab::Timeline),
        ("signals", Tab::Signals),
        ("logs", Tab::Logs),
        ("assistant", Tab::Assistant),
        ("playbook", Tab::Playbook),
        ("actions", Tab::Actions),
        ("updates", Tab::Updates),
        ("report", Tab::Report),
    ] {
        check(&format!("tab-{name}"), &room_after(tab, ""));
    }
}

#[test]
fn draws_a_draft_for_customers() {
    use crate::incident::{Actor, Audience, Entry, Fact};
    let mut model = room_after(Tab::Updates, "ff");
    let room = model.room.as_mut().unwrap();
    let incident = room.incident.as_mut().unwrap();
    let fact = Fact::UpdatePublished {
        audience: Audience::Internal,
        text: "Checkout fails for 1 in 5 requests; the pool of db-1 is full.".into(),
        next_due: Some(at(600)),
    };
    let (incident_id, actor) = (incident.id(), Actor::human("ana"));
    incident.apply(Entry { incident: incident_id, seq: 90, at: at(-60), recorded_at: at(-60), actor, fact, hash: String::new() });
    let text = "Errors in checkout\n\nSome payments fail. The Redis pool on db-1 is full.\n".to_owned();
    let own = crate::telemetry::failure::UserFile { path: "updates/customer.md".into(), name: "customer".into(), text };
    let draft =
        crate::comms::draft(incident, Audience::External, None, &[own], &crate::comms::names_of(incident), at(0)).unwrap();
    room.draft = Some(Ok(draft));
    check("tab-updates-customer", &model);
    check("dialog-draft", &{
        press_key(&mut model, '⏎');
        model
    });
}

#[test]
fn draws_a_mitigation_with_its_readings() {
    use crate::incident::{Actor, Comparison, Entry, ExitCriteria, Fact, Judgement, MitigationVerdict, Risk};
    let mut model = room_after(Tab::Actions, "");
    let incident = model.room.as_mut().and_then(|r| r.incident.as_mut()).unwrap();
    let verify = Some(ExitCriteria {
        expression: "max by (service) (db_pool_in_use)".into(),
        comparison: Comparison::Below,
        threshold: 10.0,
        for_secs: 300,
        source: None,
    });
    let text = "roll back checkout to 1.41.3".to_owned();
    let changed = |state, result: Option<&str>| Fact::MitigationChanged {
        seq: 90,
        text: text.clone(),
        state,
        approved_by: Some("ben".into()),
        result: result.map(str::to_owned),
    };
    let judgement = Judgement {
        verdict: MitigationVerdict::NoEffect,
        before: Some(20.0),
        after: Some(20.0),
        why: "stayed at 20, still not below 10 after 10m00s".into(),
        evidence: Some(EvidenceId(1)),
    };
    let facts = [
        (
            at(-400),
            Fact::MitigationProposed {
                text: text.clone(),
                risk: Risk::Low,
                undo: Some("deploy 1.42.0 again".into()),
                verify,
                exception: None,
                origin: Some("playbook rollback, step 4".into()),
                seq: None,
            },
        ),
        (at(-300), changed(crate::incident::CardState::Started, None)),
        (at(-240), changed(crate::incident::CardState::Done, Some("rolled back"))),
        (at(0), Fact::MitigationJudged { seq: 90, text: text.clone(), judgement }),
    ];
    for (n, (at, fact)) in facts.into_iter().enumerate() {
        let (id, seq, hash) = (incident.id(), 90 + n as u64, String::new());
        let entry = Entry { incident: id, seq, at, recorded_at: at, actor: Actor::human("ana"), fact, hash };
        incident.apply(entry);
    }
    check("tab-actions-mitigation", &model);
    check("dialog-mitigation", &room_after(Tab::Actions, "F⏎"));
}

#[test]
fn draws_every_dialog() {
    for (name, keys) in [
        ("help", "?"),
        ("palette", ":"),
        ("note", "n"),
        ("severity", "s"),
        ("severity-reason", "s⏎"),
        ("status", "t"),
        ("roles", "r"),
        ("impact", "I"),
        ("update", "U"),
        ("event", "!"),
        ("milestone", "M"),
        ("checklist", "K"),
        ("task", "T"),
        ("action-item", "A"),
        ("action-kind", "Afix it @ana fri⏎"),
        ("attach", "@"),
        ("exit-criteria", "X"),
    ] {
        check(&format!("dialog-{name}"), &room_after(Tab::Overview, keys));
    }
    check("dialog-evidence", &room_after(Tab::Signals, "v"));
    let mut declare = board();
    press_key(&mut declare, 'd');
    check("dialog-declare", &declare);
    let mut filter = board();
    "/check".chars().for_each(|key| press_key(&mut filter, key));
    check("board-filter", &filter);
}

#[test]
fn draws_confirmations() {
    let mut page = room(Tab::Overview);
    let lines = vec!["This runs:".to_owned(), "  [\"pager\", \"ben\"]".to_owned()];
    let (id, name, text) = (IncidentId(1), "ben".to_owned(), "please join".to_owned());
    update(&mut page, at(1), Msg::PageReady { id, name, text, lines });
    page.toast = None;
    check("dialog-page", &page);
    let mut replace = room(Tab::Report);
    update(&mut replace, at(1), Msg::ExportExists { id, path: "INC-1.md".into() });
    replace.toast = None;
    check("dialog-replace", &replace);
}
