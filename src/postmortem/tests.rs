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
        asked_model: None,
        url: None,
        notices: vec![],
        headings: vec![],
        cost: None,
        turn: None,
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
        names: crate::telemetry::Names::default(),
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
        Fact::Investigated {
            window,
            findings: vec![finding],
            sources: vec![],
            suspects: vec![],
            onset: None,
            gathered: vec![],
            bad_baseline: false,
        },
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
fn what_is_missing_has_a_remedy_and_is_taken_out_of_the_document() {
    let incident = Incident::fold(entries(vec![declared()])).unwrap();
    let mut postmortem = Postmortem::new(&incident, &BTreeMap::new());
    let missing = postmortem.take_missing();
    let impact = missing.iter().find(|m| m.what == "Impact: impact and scope").unwrap_or_else(|| panic!("{missing:?}"));
    assert_eq!(impact.remedy, Some(Remedy::Impact));
    assert!(missing.iter().all(|m| m.remedy.is_some() && !m.what.contains("warroom ")), "{missing:?}");
    assert!(!postmortem.render(Format::Text).unwrap().contains("Missing before"));
}

#[test]
fn every_required_section_is_present_and_not_empty() {
    let text = render(false, Format::Markdown);
    let sections: Vec<&str> = text.split("\n## ").skip(1).collect();
    let titles: Vec<&str> = sections.iter().filter_map(|s| s.lines().next()).collect();
    assert_eq!(
        titles,
        [
            "Summary",
            "Impact",
            "Trigger, fault and contributing factors",
            "Detection",
            "Response",
            "Resolution and recovery",
            "Lessons",
            "Action items",
            "Open questions",
            "Timeline",
            "Appendix"
        ]
    );
    assert!(sections.iter().all(|s| s.lines().filter(|l| !l.trim().is_empty()).count() > 1), "{text}");
    for part in [
        "The impact ended 8m00s after it began.",
        "The first alert was HighErrorRate (checkout) at 09:29:00 UTC, 1m00s after the impact began.",
        "Alert HighErrorRate (checkout) fired",
        "`▁▁▁",
        "max by (service) (db_pool_in_use)",
        "the owner and due date of A0",
        "the TODO in entry 6",
        "No text was written by a model",
        "- Was data lost or corrupted?",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.to_lowercase().contains("unknown"), "what is not known is an open question: {text}");
}

#[test]
fn says_whether_promised_updates_came_in_time() {
    let written = |facts: Vec<Fact>| {
        let incident = Incident::fold(entries(facts)).unwrap();
        Postmortem::new(&incident, &BTreeMap::new()).render(Format::Markdown).unwrap()
    };
    let text = written(vec![declared()]);
    assert!(text.contains("- Updates to stakeholders: none were sent.") && !text.contains("promised update"), "{text}");
    let update =
        |next_due| Fact::UpdatePublished { audience: crate::incident::Audience::External, text: "Errors.".into(), next_due };
    let note = || Fact::Note { text: "still failing".into(), note_kind: NoteKind::Observation };
    // The entries are a minute apart, so that the second update comes three minutes after the first.
    let text = written(vec![declared(), update(Some(Timestamp::from_secs(1_795_253_520))), note(), note(), update(None)]);
    assert!(text.contains("- Update to customers at 09:31 UTC: Errors."), "{text}");
    assert!(text.contains("- 1 promised update: 1 late (by up to 2m00s)."), "{text}");
}

/// An incident that people ran well, from the declaration to the lessons.
#[expect(clippy::too_many_lines, reason = "one fact after the other")]
fn well_run() -> Incident {
    use crate::incident::{
        Audience, CardState, Comparison, ExitCriteria, ExitReading, Judgement, MitigationVerdict, Risk, Role, Verdict,
    };
    let at = Timestamp::from_secs;
    let criteria = ExitCriteria {
        expression: "error_rate".into(),
        comparison: Comparison::Below,
        threshold: 0.01,
        for_secs: 300,
        source: None,
    };
    let reading = |met: bool, why: &str| Fact::ExitRead {
        reading: ExitReading {
            met,
            window: Window::new(at(1_795_253_000), at(1_795_253_600)),
            worst: Some(0.002),
            last: Some(0.001),
            samples: 60,
            held_secs: 300.0,
            why: why.into(),
            source: "prom".into(),
            evidence: None,
        },
        criteria: Some(criteria.clone()),
    };
    let status = |from, to| Fact::StatusChanged { from, to, override_reason: None, open: Vec::new(), reason: None };
    let note = |kind, text: &str| Fact::Note { text: text.into(), note_kind: kind };
    let tick = |item: &str| Fact::GateTicked { item: item.into(), met: true, text: "done".into() };
    let mut alert = LinkedAlert::unverified("f1");
    (alert.name, alert.verified) = ("HighErrorRate".into(), true);
    alert.labels.insert("service".into(), "checkout".into());
    alert.starts_at = Some(at(1_795_253_340));
    let change = |state| Fact::MitigationChanged {
        seq: 8,
        text: "roll back checkout to 1.41.3".into(),
        state,
        approved_by: None,
        result: None,
    };
    let facts = vec![
        declared(),
        Fact::RoleAssigned { role: Role::Commander, holder: "ana".into(), from: None },
        Fact::AlertLinked { alert },
        Fact::Acknowledged,
        Fact::ImpactChanged {
            services: Some(vec!["checkout".into()]),
            users: Some("all customers in Europe, about 4,000".into()),
            region: None,
            text: Some("17% of orders fail at the last step".into()),
            data: Some("none".into()),
        },
        note(NoteKind::Hypothesis, "version 1.42.0 opens too few database connections"),
        note(NoteKind::Hypothesis, "the payment provider is slow"),
        Fact::MitigationProposed {
            text: "roll back checkout to 1.41.3".into(),
            risk: Risk::Low,
            undo: Some("deploy 1.42.0".into()),
            verify: Some(criteria.clone()),
            exception: None,
            origin: None,
            seq: None,
        },
        Fact::HypothesisJudged { seq: 7, verdict: Verdict::Refuted, reason: "its latency is unchanged".into() },
        change(CardState::Started),
        change(CardState::Done),
        tick("stakeholders-told"),
        Fact::ExitCriteriaSet { criteria: criteria.clone() },
        reading(false, "too early"),
        reading(false, "too early"),
        Fact::MitigationJudged {
            seq: 8,
            text: "roll back checkout to 1.41.3".into(),
            judgement: Judgement {
                verdict: MitigationVerdict::Worked,
                before: Some(0.17),
                after: Some(0.0),
                why: "below 0.01 for 5m00s".into(),
                evidence: None,
            },
        },
        Fact::HypothesisJudged { seq: 6, verdict: Verdict::Supported, reason: "the rollback ended it".into() },
        status(Status::Investigating, Status::Mitigated),
        Fact::UpdatePublished { audience: Audience::External, text: "Orders work again\n\nSorry.".into(), next_due: None },
        reading(true, "stayed below 0.01 for 5m00s"),
        Fact::AlertResolved { fingerprint: "f1".into(), name: "HighErrorRate".into() },
        status(Status::Mitigated, Status::Resolved),
        note(NoteKind::WentWell, "the alert fired within a minute"),
        note(NoteKind::WentBadly, "the deploy had no canary"),
        note(NoteKind::Lucky, "it was a quiet hour"),
        note(NoteKind::Factor, "nothing limits how long a request may hold a connection"),
        Fact::ActionAdded {
            id: crate::incident::ActionId::UNNUMBERED,
            text: "Alert on pool use above 80%; done when the rule fires in a test".into(),
            action_kind: ActionKind::Detect,
            owner: Some("ana".into()),
            due: Some("2026-12-05".into()),
            priority: Some("P2".into()),
            scope: crate::incident::ActionScope::FollowUp,
            check_back_at: None,
            ticket: None,
            part_of: None,
        },
    ];
    Incident::fold(entries(facts)).unwrap()
}

#[test]
fn a_well_run_incident_can_be_sent_as_it_is() {
    let incident = well_run();
    let mut postmortem = Postmortem::new(&incident, &BTreeMap::new());
    // Without sources there is no investigation, which this incident did not need.
    postmortem.report.missing.retain(|m| m.section != "Detection");
    assert_eq!(postmortem.missing(), Vec::<String>::new());
    let text = postmortem.render(Format::Text).unwrap();
    let summary = text.split("## Summary\n\n").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(
        summary,
        "17% of orders failed at the last step. Affected: all customers in Europe, about 4,000. It lasted 18m, from 09:29 to \
         09:47 UTC on 21 November 2026. It was rated SEV3. The cause, as the responders judged it: version 1.42.0 opened too few \
         database connections. It ended with this mitigation at 09:40 UTC, as its readings confirm: roll back checkout to 1.41.3."
    );
    for part in [
        "- Data loss or corruption: none.",
        "### Contributing factors\n\n- Nothing limits how long",
        "### Ruled out\n\n- The payment provider was slow. Its latency was unchanged.",
        "| 09:39 | 09:40 | roll back checkout to 1.41.3 | low | worked: below 0.01 for 5m00s |",
        "The exit criterion was met at 09:49 UTC: stayed below 0.01 for 5m00s. It was: `error_rate below 0.01 for 5m00s`",
        "### What went well\n\n- The alert fired within a minute.",
        "### What went badly\n\n- The deploy had no canary.",
        "### Where we were lucky\n\n- It was a quiet hour.",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for part in ["Open questions", "Missing before", "Unknown", "unknown", "Checklist item", "went-well", "not checked"] {
        assert!(!text.contains(part), "{part}\n{text}");
    }
    let rows = text.split("## Timeline").nth(1).unwrap().split("## Appendix").next().unwrap();
    assert_eq!(rows.matches("too early").count(), 1, "repeated readings are one row: {rows}");
    assert!(rows.contains("Alert HighErrorRate (checkout) resolved"), "{rows}");
}

/// A post-mortem in Markdown from facts a minute apart, the first of them the declaration.
fn written(facts: Vec<Fact>) -> String {
    let incident = Incident::fold(entries(facts)).unwrap();
    Postmortem::new(&incident, &BTreeMap::new()).render(Format::Text).unwrap()
}

fn status(from: Status, to: Status, why: Option<&str>) -> Fact {
    let reason = why.map(str::to_owned);
    Fact::StatusChanged { from, to, override_reason: None, open: Vec::new(), reason }
}

#[test]
fn only_what_worked_is_credited_and_what_people_reported_is_listed() {
    use crate::incident::{CardState, Risk};
    let card = |text: &str| Fact::MitigationProposed {
        text: text.into(),
        risk: Risk::Low,
        undo: None,
        verify: None,
        exception: Some("no metric".into()),
        origin: None,
        seq: None,
    };
    let change = |seq, state, result: Option<&str>| Fact::MitigationChanged {
        seq,
        text: String::new(),
        state,
        approved_by: None,
        result: result.map(str::to_owned),
    };
    let text = written(vec![
        declared(),
        card("restart the search"),
        card("purge the queue"),
        card("read from Europe"),
        card("page the vendor"),
        change(2, CardState::Started, None),
        change(2, CardState::Done, Some("did not help")),
        change(3, CardState::Started, None),
        change(4, CardState::Dropped, Some("data may not leave Europe")),
        status(Status::Investigating, Status::Mitigated, None),
    ]);
    for part in [
        "What ended it was not confirmed. The last thing that was tried before its end, at 09:36 UTC: restart the search (reported, not measured: did not help).",
        "| 09:35 | 09:36 | restart the search | low | reported, not measured: did not help |",
        "| 09:37 | - | purge the queue | low | not finished |",
        "Considered and not done:\n\n- Read from Europe. Data may not leave Europe.",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("page the vendor |"), "what was only proposed was not tried: {text}");
}

#[test]
fn a_false_alarm_is_no_outage() {
    let facts = vec![declared(), status(Status::Investigating, Status::Cancelled, Some("the dashboard was blind"))];
    let incident = Incident::fold(entries(facts.clone())).unwrap();
    let text = written(facts);
    assert!(text.contains("This was a false alarm. It was raised at 09:30 UTC because of “checkout is failing”, and cancelled at 09:31 UTC: The dashboard was blind."), "{text}");
    for part in ["Missing before", "Open questions", "## Impact", "its end was not recorded", "not resolved"] {
        assert!(!text.contains(part), "{part}\n{text}");
    }
    let external = Postmortem::new(&incident, &BTreeMap::new()).external(&crate::telemetry::Names::default());
    assert!(
        external.text.contains("This was a false alarm") && !external.text.contains("sorry for the disruption"),
        "{external:?}"
    );
    let draft = crate::comms::draft(
        &incident,
        crate::incident::Audience::External,
        None,
        &[],
        &crate::telemetry::Names::default(),
        incident.as_of(),
    )
    .unwrap();
    assert!(draft.subject == "False alarm" && !draft.text.contains("ended at"), "{draft:?}");
}

#[test]
fn a_relapse_and_what_was_known_before_are_in_the_summary_and_the_impact() {
    let impact = |text: &str, users: &str| Fact::ImpactChanged {
        services: None,
        users: Some(users.into()),
        region: None,
        text: Some(text.into()),
        data: None,
    };
    let text = written(vec![
        declared(),
        impact("users cannot log in", "120 tenants"),
        Fact::Note { text: "renewed the certificate".into(), note_kind: NoteKind::Mitigation },
        status(Status::Investigating, Status::Resolved, None),
        Fact::Reopened { reason: "users see pages of others".into() },
        impact("users get a blank page", "3 tenants"),
        status(Status::Investigating, Status::Mitigated, None),
    ]);
    for part in [
        "It was reopened at 09:34 UTC: Users saw pages of others.",
        "- As described at 09:31 UTC: Users could not log in (affected: 120 tenants).",
        "What ended it was not recorded.",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn tags_of_evidence_that_is_not_there_are_no_links() {
    let facts = vec![declared(), Fact::Note { text: "nginx is too strict [E7]".into(), note_kind: NoteKind::Hypothesis }];
    let incident = Incident::fold(entries(facts)).unwrap();
    let postmortem = Postmortem::new(&incident, &BTreeMap::new());
    let text = postmortem.render(Format::Markdown).unwrap();
    assert!(text.contains("[E7]") && !text.contains("(#e7)"), "{text}");
    assert!(!postmortem.render(Format::Html).unwrap().contains("#e7"));
}

#[test]
fn a_recorded_change_before_the_impact_is_in_the_chain() {
    use crate::incident::EventKind;
    let text =
        written(vec![declared(), Fact::Event { event: EventKind::DeployDetected, text: "indexer 5.2 is rolled out".into() }]);
    assert!(text.contains("1. **Change**, 09:31:00 UTC: Deploy: indexer 5.2 was rolled out."), "{text}");
    assert!(text.contains("In the order of time:") && !text.contains("From the trigger to the recovery"), "{text}");
}

/// Every entry that the text refers to is in the timeline, and every link has its target.
#[test]
fn references_never_dangle() {
    for incident in [well_run(), incident(true).0] {
        let bodies = incident_bodies();
        let postmortem = Postmortem::new(&incident, &bodies);
        let text = postmortem.render(Format::Markdown).unwrap();
        let timeline = text.split("## Timeline").nth(1).unwrap();
        let prose = text.split("## Appendix").next().unwrap();
        for (at, _) in prose.match_indices(" entry ") {
            let number: String = prose[at + 7..].chars().take_while(char::is_ascii_digit).collect();
            let is_as_of = prose[..at].ends_with("as of") || prose[..at].ends_with("TODO in");
            assert!(number.is_empty() || is_as_of || timeline.contains(&format!(" | {number} | ")), "entry {number}: {text}");
        }
        let page = postmortem.render(Format::Html).unwrap();
        for target in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(page.contains(&format!("id=\"{target}\"")), "#{target}");
        }
        assert!(!page.contains("<th></th>"), "no table head is empty");
    }
}

fn incident_bodies() -> BTreeMap<String, Body> {
    incident(true).1
}

#[test]
fn damaged_records_are_named_at_the_top() {
    let (incident, bodies) = incident(false);
    let text = Postmortem::new(&incident, &bodies).with_damage(vec!["entry 3: changed".into()]).render(Format::Markdown).unwrap();
    assert!(text.lines().nth(2).unwrap().starts_with("> **Not trustworthy"), "{text}");
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
    assert!(text.contains("> The pool was too small [[E1]](#e1)."));
    let page = render(true, Format::Html);
    assert!(!page.contains("<script>") && page.contains("&lt;script"), "{page}");
    assert!(page.contains("default-src 'none'") && page.contains("<a href=\"#e1\""), "{page}");
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
    assert_eq!(json["timeline"].as_array().unwrap().len(), 12);
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

/// An entry by a person at a minute after the declaration.
fn changed(from: Status, to: Status, open: &[&str], why: &str) -> Fact {
    let open = open.iter().map(|item| (*item).to_owned()).collect();
    Fact::StatusChanged { from, to, override_reason: Some(why.into()), open, reason: None }
}

#[test]
fn what_was_not_recorded_is_not_written_as_a_fact() {
    let mut undeclared = declared();
    if let Fact::IncidentDeclared { severity_given, .. } = &mut undeclared {
        *severity_given = false;
    }
    let text = written(vec![undeclared, changed(Status::Investigating, Status::Resolved, &["severity", "impact"], "good to go")]);
    for part in [
        "The incident was open for 1m00s",
        "when users were affected was not recorded. Its severity was not assessed; SEV3 is the default.",
        "- Duration: the incident was open for 1m00s.",
        "- When did the impact begin?",
        "although 2 checklist items were open. The reason given: Good to go.\n\n- Severity, with a reason\n- Impact and scope",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("It lasted") && !text.contains("**The impact began**"), "{text}");
}

#[test]
fn a_hypothesis_that_was_believed_for_a_while_keeps_its_story() {
    use crate::incident::Verdict;
    let note = |note_kind, text: &str| Fact::Note { text: text.into(), note_kind };
    let judged = |seq, verdict, reason: &str| Fact::HypothesisJudged { seq, verdict, reason: reason.into() };
    let text = written(vec![
        declared(),
        note(NoteKind::Hypothesis, "the session store is too small"),
        judged(2, Verdict::Supported, "it is 92% full"),
        judged(2, Verdict::Refuted, "it is empty and logins still fail"),
        note(NoteKind::Hypothesis, "screens glitch out and garble everything"),
        judged(5, Verdict::Supported, "seen"),
        Fact::RoleAssigned { role: crate::incident::Role::Reporter, holder: "Sister Magda".into(), from: None },
    ]);
    for part in [
        "- The session store was too small. It was empty and logins still failed. It had been taken for the cause from 09:32 to 09:33 UTC.",
        "The cause, as the responders judged it: “screens glitch out and garble everything”.",
        "- Reported by Sister Magda.",
        "Sister Magda reported it.",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_merge_keeps_the_impact_and_points_customers_to_the_whole() {
    let whole = vec![
        declared(),
        Fact::Absorbed {
            from: crate::incident::IncidentId(9),
            title: "no rooms".into(),
            impact: Some("about 6,000 searches in Greece".into()),
            alerts: Vec::new(),
        },
    ];
    let text = written(whole);
    assert!(text.contains("- Of INC-9, which was merged into this incident: About 6,000 searches in Greece."), "{text}");
    let part = vec![declared(), Fact::Merged { into: crate::incident::IncidentId(10), reason: None }];
    let incident = Incident::fold(entries(part)).unwrap();
    let external = Postmortem::new(&incident, &BTreeMap::new()).external(&crate::telemetry::Names::default());
    assert!(
        external.text.contains("part of a larger disruption") && !external.text.contains("working to end it"),
        "{external:?}"
    );
    assert!(external.left_out[0].1.contains("INC-10"), "{external:?}");
}

#[test]
fn what_stakeholders_read_is_in_the_appendix() {
    use crate::incident::Audience;
    let update = |text: &str| Fact::UpdatePublished { audience: Audience::External, text: text.into(), next_due: None };
    let text = written(vec![declared(), update("Orders fail\n\nAbout **one** in ten orders fails.\n\n## Not a heading")]);
    let part = text.split("### Updates to stakeholders").nth(1).unwrap();
    assert!(part.contains("To customers, 2026-11-21 09:31:00 UTC:\n\n> Orders fail\n>\n> About"), "{part}");
    assert!(!text.contains("\n## Not a heading"), "{text}");
}
