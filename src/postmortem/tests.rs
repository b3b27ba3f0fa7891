use super::*;
use crate::incident::state::tests::{declared, entries};
use crate::incident::{
    ActionKind, Answer, AnswerSource, CitedFinding, EvidenceId, EvidenceKind, EvidenceRecord, Fact, FindingKind, LinkedAlert,
    NoteKind, Status, Usage,
};
use crate::telemetry::{Labels, Sample, Series, Timestamp, Window};

fn answer(source: AnswerSource) -> Answer {
    Answer {
        answer: "## Root cause\n\nThe pool was too small [E1]. <script>alert(1)</script>".into(),
        citations: vec![],
        claims: vec![],
        usage: Usage::default(),
        model: Some("m".into()),
        source,
        fallback_reason: None,
        prompt: "postmortem".into(),
        prompt_version: "abc".into(),
        persona: "p".into(),
        question: None,
        partial: false,
        sent: None,
    }
}

fn incident(with_answer: bool) -> (Incident, BTreeMap<String, Body>) {
    let start = Timestamp::from_secs(1_795_253_000);
    let window = Window::new(start, Timestamp::from_secs(1_795_253_600));
    let samples = (0..20)
        .map(|i| Sample { at: Timestamp::from_secs(1_795_253_000 + i * 30), value: if i < 10 { 4.0 } else { 20.0 } })
        .collect();
    let body = Body::Series {
        title: "db_pool_in_use".into(),
        unit: String::new(),
        step_secs: 30.0,
        threshold: None,
        series: vec![Series { labels: Labels::from([("service".into(), "checkout".into())]), samples }],
    };
    let record = EvidenceRecord {
        id: EvidenceId(1),
        kind: EvidenceKind::Metric,
        source: "prom".into(),
        query: "max by (service) (db_pool_in_use)".into(),
        window,
        taken_at: window.end,
        summary: "checkout db_pool_in_use 4 → 20 | `x`".into(),
        digest: "d".repeat(64),
        complete: true,
        gaps: vec![],
        shown: 1,
        total: 1,
        redactions: 0,
    };
    let mut alert = LinkedAlert::unverified("f1");
    alert.name = "HighErrorRate".into();
    alert.labels.insert("service".into(), "checkout".into());
    alert.starts_at = Some(Timestamp::from_secs(1_795_253_340));
    alert.pending_since = Some(Timestamp::from_secs(1_795_253_280));
    let finding = CitedFinding {
        rank: 1,
        kind: FindingKind::Metric,
        title: "checkout db_pool_in_use rose 4 → 20 (changed first)".into(),
        text: "checkout db_pool_in_use rose from 4 to 20 at 09:21:40.".into(),
        confidence: 0.9,
        at: None,
        evidence: vec![EvidenceId(1)],
        against: vec![],
        ..CitedFinding::default()
    };
    let mut facts = vec![
        declared(),
        Fact::AlertLinked { alert },
        Fact::EvidenceAttached { evidence: record },
        Fact::Investigated { window, findings: vec![finding], sources: vec![], suspects: vec![], onset: None, gathered: vec![] },
        Fact::Note { text: "raised the pool | to 40\n\n## not a heading".into(), note_kind: NoteKind::Decision },
        Fact::Note { text: "TODO: write a runbook".into(), note_kind: NoteKind::Observation },
        Fact::StatusChanged {
            from: Status::Investigating,
            to: Status::Mitigated,
            override_reason: None,
            open: Vec::new(),
            reason: None,
        },
        Fact::action("Alert on pool use", ActionKind::Detect, crate::incident::ActionScope::FollowUp),
    ];
    if with_answer {
        facts.push(Fact::AiRun { answer: answer(AnswerSource::Llm) });
    }
    (Incident::fold(entries(facts)).unwrap(), BTreeMap::from([("d".repeat(64), body)]))
}

fn render(with_answer: bool, format: Format) -> String {
    let (incident, bodies) = incident(with_answer);
    Postmortem::new(&incident, &bodies).render(format).unwrap()
}

#[test]
fn every_required_section_is_present_and_not_empty() {
    let text = render(false, Format::Markdown);
    let sections: Vec<&str> = text.split("\n## ").skip(1).collect();
    let titles: Vec<&str> = sections.iter().filter_map(|s| s.lines().next()).collect();
    assert_eq!(
        titles,
        [
            "1. Summary",
            "2. Impact",
            "3. Lessons",
            "4. Detection",
            "5. Response",
            "6. Trigger, fault, contributing factors",
            "7. Resolution and recovery",
            "8. Timeline",
            "9. Action items",
            "10. Appendix"
        ]
    );
    assert!(sections.iter().all(|s| s.lines().filter(|l| !l.trim().is_empty()).count() > 1), "{text}");
    for part in [
        "Time to mitigate, from the start of the impact: 8m00s",
        "Time to detect, from the start of the impact: 1m00s",
        "alert HighErrorRate (checkout) fired",
        "`▁▁▁",
        "max by (service) (db_pool_in_use)",
        "the owner and due date of A0",
        "the TODO in entry 6",
        "none of this text was written by a model",
        "Unknown - the owner (not assigned)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn says_whether_customers_were_told_and_whether_promised_updates_came_in_time() {
    let left_out = "background and lead-up, messages to customers.";
    let written = |facts: Vec<Fact>| {
        let incident = Incident::fold(entries(facts)).unwrap();
        Postmortem::new(&incident, &BTreeMap::new()).render(Format::Markdown).unwrap()
    };
    let text = written(vec![declared()]);
    assert!(text.contains(left_out) && !text.contains("promised update"), "{text}");
    let update =
        |next_due| Fact::UpdatePublished { audience: crate::incident::Audience::External, text: "Errors.".into(), next_due };
    let note = || Fact::Note { text: "still failing".into(), note_kind: NoteKind::Observation };
    // The entries are a minute apart, so that the second update comes three minutes after the first.
    let text = written(vec![declared(), update(Some(Timestamp::from_secs(1_795_253_520))), note(), note(), update(None)]);
    assert!(!text.contains(left_out) && text.contains("- 1 promised update: 1 late (by up to 2m00s)."), "{text}");
}

#[test]
fn the_same_journal_gives_the_same_bytes_in_every_format() {
    for format in [Format::Markdown, Format::Html, Format::Json] {
        assert_eq!(render(true, format), render(true, format));
    }
}

#[test]
fn model_text_is_marked_and_escaped() {
    let text = render(true, Format::Markdown);
    assert!(text.contains("**AI draft, not accepted by a person**"));
    assert!(text.contains("> The pool was too small [E1]."));
    let page = render(true, Format::Html);
    assert!(!page.contains("<script>") && page.contains("&lt;script"), "{page}");
}

#[test]
fn tables_survive_hostile_cells() {
    let text = render(false, Format::Markdown);
    let row = text.lines().find(|l| l.starts_with('|') && l.contains("raised the pool")).unwrap();
    assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
    assert!(!text.contains("\n## not a heading"));
}

#[test]
fn json_has_the_same_facts() {
    let json: serde_json::Value = serde_json::from_str(&render(true, Format::Json)).unwrap();
    assert_eq!(json["durations"]["mitigate_secs"], 480.0);
    assert_eq!(json["evidence"][0]["id"], "E1");
    assert_eq!(json["draft"]["model"], "m");
    assert_eq!(json["timeline"].as_array().unwrap().len(), 10);
}

/// The whole export, so that every change of it is seen in review. Run with `INSTA_UPDATE=always` if the change is intended.
#[test]
fn golden_postmortem() {
    let (incident, bodies) = incident(true);
    let report = Postmortem::new(&incident, &bodies);
    for (name, format) in [("postmortem.md", Format::Markdown), ("postmortem.json", Format::Json)] {
        let text = report.render(format).unwrap().replace(crate::VERSION, "VERSION");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, text);
        });
    }
}
