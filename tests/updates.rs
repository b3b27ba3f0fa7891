//! Tests of drafts of stakeholder updates, and of the checks of wording.

#[path = "support/program.rs"]
mod program;
#[path = "support/stub.rs"]
mod stub;

use std::io::Write;
use std::process::Stdio;

use program::{json, run, stderr, stdout, warroom};

fn lint(folder: &std::path::Path, args: &[&str], text: &str) -> (i32, serde_json::Value) {
    let mut command = warroom(folder, &[&["lint", "-", "--json"], args].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn drafts_follow_the_state_of_the_incident_and_the_readers() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    json(d, &["declare", "--title", "payment-api is failing", "--severity", "SEV2", "--at", "30m ago"]);
    json(d, &["incident", "role", "INC-1", "commander", "Ben Okafor"]);
    json(
        d,
        &[
            "incident",
            "impact",
            "INC-1",
            "--services",
            "payment-api",
            "--text",
            "17% of payments fail",
            "--users",
            "all customers in Europe",
        ],
    );
    let draft =
        |audience: &str, more: &[&str]| json(d, &[&["update", "draft", "INC-1", "--audience", audience], more].concat()).1;
    let customer = draft("customer", &[]);
    let text = customer["text"].as_str().unwrap();
    assert_eq!((&customer["stage"], &customer["audience"]), (&"investigating".into(), &"customer".into()));
    assert!(text.contains("17% of payments fail (all customers in Europe).") && text.contains("the next update by"), "{text}");
    assert!(!text.contains("payment-api") && !text.contains("Ben") && customer["hits"] == serde_json::json!([]), "{customer}");
    assert!(customer["next_update_at"].is_string());
    let technical = draft("technical", &[]);
    let text = technical["text"].as_str().unwrap();
    for part in [
        "**Conditions**",
        "**Actions**",
        "**Needs**",
        "Incident commander: Ben Okafor",
        "17% of payments fail",
        "SEV2, investigating",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A mitigation is among the actions; a confirmed cause is named; the stage follows the status.
    json(d, &["mitigation", "add", "INC-1", "roll back to 1.41", "--risk", "low", "--undo", "x", "--verify", "errors < 1"]);
    let noted = json(d, &["incident", "note", "INC-1", "the pool is too small", "--kind", "hypothesis"]).1;
    let seq = noted["seq"].as_u64().unwrap().to_string();
    let text = draft("technical", &[])["text"].as_str().unwrap().to_owned();
    assert!(text.contains("Working theory, not confirmed: The pool is too small."), "{text}");
    json(d, &["incident", "hypothesis", "INC-1", &seq, "supported", "--reason", "seen in the pool metric"]);
    json(d, &["incident", "status", "INC-1", "identified"]);
    let technical = draft("technical", &[]);
    let text = technical["text"].as_str().unwrap();
    assert!(
        technical["stage"] == "identified" && text.contains("Cause, as the responders judged it: the pool is too small."),
        "{text}"
    );
    assert!(
        text.contains("- M1 roll back to 1.41 (proposed)") && text.contains("- a decision on M1: roll back to 1.41"),
        "{text}"
    );
    let executive = draft("executive", &["--stage", "investigating"]);
    let text = executive["text"].as_str().unwrap();
    assert!(text.contains("Cause: the pool is too small.") && !text.contains("looking for the cause"), "{text}");
    let last = draft("customer", &["--stage", "resolved"]);
    assert!(
        last["next_update_at"].is_null() && last["text"].as_str().unwrap().contains("Everything works as usual again"),
        "{last}"
    );
    let executive = draft("executive", &[]);
    assert!(executive["text"].as_str().unwrap().contains("Ben Okafor leads the response."), "{executive}");
    // What people wrote into the impact is checked as well.
    json(d, &["incident", "impact", "INC-1", "--text", "payments fail, probably because of db-prod-1 (10.0.0.5)"]);
    let hits = draft("customer", &[])["hits"].clone();
    let kinds: Vec<&str> = hits.as_array().unwrap().iter().map(|h| h["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["cause", "hostname", "address"], "{hits}");
    let shown = run(d, &["update", "draft", "INC-1", "--audience", "customer"]);
    assert!(stderr(&shown).contains("\"db-prod-1\": An internal machine"), "{}", stderr(&shown));
}

#[test]
fn a_template_of_the_user_replaces_the_built_in_one_and_a_broken_one_is_reported() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    std::fs::create_dir_all(d.join("warroom/updates")).unwrap();
    std::fs::write(
        d.join("warroom/updates/executive.md"),
        "Subject {{ incident.id }}\n\nOurs: {{ incident.title }}, {{ stage }}.\n",
    )
    .unwrap();
    std::fs::write(d.join("warroom/updates/technical.md"), "{{ incident.nothing }}").unwrap();
    json(d, &["declare", "--title", "it fails"]);
    let shown = stdout(&run(d, &["update", "draft", "INC-1", "--audience", "executive"]));
    assert_eq!(shown, "Subject INC-1\n\nOurs: it fails, investigating.\n");
    let broken = run(d, &["update", "draft", "INC-1", "--audience", "technical"]);
    let why = stderr(&broken);
    assert!(broken.status.code() == Some(1) && why.contains("updates/technical.md") && why.contains("nothing"), "{why}");
    // It is found before it is needed.
    std::fs::write(d.join("warroom/updates/technical.md"), "{{ stage }}\n\n{{ nothing }}").unwrap();
    std::fs::write(d.join("warroom/updates/board.md"), "{{ stage }}").unwrap();
    let checked = stdout(&run(d, &["doctor"]));
    for part in ["updates/technical.md:3: there is no value 'nothing'", "updates/board.md: there are no readers 'board'"] {
        assert!(checked.contains(part), "{part}: {checked}");
    }
}

#[test]
fn lint_names_the_line_the_part_and_the_reason() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    json(d, &["declare", "--title", "it fails"]);
    json(d, &["incident", "role", "INC-1", "commander", "Priya"]);
    let text = "Payments work again.\nPriya restarted the pods.\nNext update at 14:30 UTC.\n";
    let (code, v) = lint(d, &["--rules", "customer", "--incident", "INC-1"], text);
    let hits = v["hits"].as_array().unwrap();
    assert_eq!((code, hits.len()), (1, 2), "{v}");
    assert_eq!((hits[0]["line"].as_u64(), &hits[0]["kind"], &hits[0]["text"]), (Some(2), &"person".into(), &"Priya".into()));
    let (start, end) = (hits[1]["start"].as_u64().unwrap() as usize, hits[1]["end"].as_u64().unwrap() as usize);
    assert_eq!(text.get(start..end), hits[1]["text"].as_str());
    assert_eq!(
        lint(d, &["--rules", "customer"], "Payments work again. Next update at 14:30 UTC.\n"),
        (0, serde_json::json!({"hits": []}))
    );
    let (code, v) = lint(d, &["--rules", "blameless"], "The deploy set the pool to 20.\nThe on-call should have seen it.\n");
    assert_eq!((code, &v["hits"][0]["line"], &v["hits"][0]["kind"]), (1, &2.into(), &"counterfactual".into()), "{v}");
    let (code, v) = lint(d, &["--rules", "actions"], "- Limit retries of the checkout client to 3\n- The pool\n");
    assert!(code == 1 && v["hits"].as_array().unwrap().iter().all(|h| h["line"] == 2), "{v}");
}

#[test]
fn a_model_rewords_a_draft_and_what_it_adds_is_pointed_out() {
    use stub::{Reply, Stub, chat_events};
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    let server = Stub::start(|_| {
        let text = "Payments are failing\n\n17% of payments fail in Europe, and 42 orders were lost on db-prod-1 [E3].\n\n\
                    We will post the next update soon.";
        Reply::events(&chat_events(text), std::time::Duration::ZERO)
    });
    let c = d.join("c.toml");
    std::fs::write(&c, format!("[assistant]\nbase_url = \"{}/v1\"\nmodel = \"stub-model\"\n", server.url())).unwrap();
    let c = c.display().to_string();
    json(d, &["declare", "--title", "payment-api is failing", "--severity", "SEV2", "--at", "30m ago"]);
    json(d, &["incident", "impact", "INC-1", "--text", "17% of payments fail", "--users", "all customers in Europe"]);
    let draft = ["update", "draft", "INC-1", "--audience", "customer", "--improve"];
    let (code, made) = json(d, &[&["--config", &c], &draft[..]].concat());
    assert_eq!((code, &made["model"], &made["subject"]), (0, &"stub-model".into(), &"Payments are failing".into()), "{made}");
    let text = made["text"].as_str().unwrap();
    assert!(text.starts_with("17% of payments fail in Europe") && !text.contains("[E3]"), "{text}");
    let hits: Vec<(&str, &str)> =
        made["hits"].as_array().unwrap().iter().map(|h| (h["kind"].as_str().unwrap(), h["text"].as_str().unwrap())).collect();
    assert!(hits.contains(&("number", "42")) && hits.contains(&("hostname", "db-prod-1")), "{hits:?}");
    assert!(!hits.iter().any(|(_, text)| *text == "17%"), "{hits:?}");
    // The model got the draft, and the timeline has its run.
    let asked = server.requests().last().unwrap().body.clone();
    assert!(asked.contains("<<<DRAFT") && asked.contains("17% of payments fail (all customers in Europe)"), "{asked}");
    let shown = json(d, &["incident", "show", "INC-1"]).1.to_string();
    assert!(shown.contains("ai_run"), "{shown}");
    // Without a model there is no such draft, and the reason is said.
    let output = run(d, &draft);
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("cannot be improved: no LLM is configured"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_update_for_customers_that_was_sent_elsewhere_is_checked_as_well() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    json(d, &["declare", "--title", "payments fail", "--severity", "SEV2"]);
    let text = "db-prod-1 (10.0.0.7) is down, because Ben forgot to fail over. The next update follows by 18:00 UTC.";
    let output = run(d, &["incident", "update", "INC-1", text, "--audience", "external"]);
    let notes = stderr(&output);
    assert!(output.status.success(), "it is recorded: {notes}");
    for part in ["Customers read \"db-prod-1\"", "Customers read \"10.0.0.7\"", "forgot to"] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    let output = run(d, &["incident", "update", "INC-1", text, "--audience", "internal"]);
    assert!(!stderr(&output).contains("Customers"), "{}", stderr(&output));
}

#[test]
fn what_only_the_evidence_names_is_not_for_customers() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    let at = |minutes: i64| {
        let at = time::OffsetDateTime::now_utc() - time::Duration::minutes(minutes);
        at.replace_nanosecond(0).unwrap().format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    let lines: String = (0..20)
        .map(|n| format!("{} ERROR cannot reserve stock, host=olympia pool=saturn-rw:6432 attempt={n}\n", at(20 - n)))
        .collect();
    std::fs::write(d.join("warehouse.log"), lines).unwrap();
    std::fs::write(
        d.join("deploys.jsonl"),
        format!(
            "{{\"at\": \"{}\", \"service\": \"warehouse\", \"what\": \"new reservation rules\", \"by\": \"Xiulan\"}}\n",
            at(25)
        ),
    )
    .unwrap();
    std::fs::create_dir_all(d.join("warroom")).unwrap();
    std::fs::write(
        d.join("warroom/config.toml"),
        "[[sources]]\nname = \"logs\"\ntype = \"file\"\npaths = [\"warehouse.log\"]\n\
         [[sources]]\nname = \"deploys\"\ntype = \"changes\"\npaths = [\"deploys.jsonl\"]\n\
         [updates]\npublic_names = [\"depot-7\"]\n",
    )
    .unwrap();
    json(d, &["declare", "--title", "orders cannot be packed", "--severity", "SEV2", "--at", "15m ago"]);
    let text = "Orders are late, because olympia is down. Xiulan has gone back to the old rules at depot-7. \
                The next update follows by 18:00 UTC.\n";
    let marked = |args: &[&str]| -> Vec<(String, String)> {
        let hits = lint(d, &[&["--rules", "customer"], args].concat(), text).1;
        let word = |h: &serde_json::Value, key: &str| h[key].as_str().unwrap().to_owned();
        hits["hits"].as_array().unwrap().iter().map(|h| (word(h, "kind"), word(h, "text"))).collect()
    };
    let named = |marked: &[(String, String)]| {
        ["olympia", "Xiulan", "depot-7"].map(|name| marked.iter().find(|(_, text)| text == name).map(|(kind, _)| kind.clone()))
    };
    assert_eq!(named(&marked(&["--incident", "INC-1"])), [None, None, None], "nothing names them yet");
    json(d, &["investigate", "INC-1"]);
    let hits = named(&marked(&["--incident", "INC-1"]));
    assert_eq!(hits, [Some("hostname".to_owned()), Some("person".to_owned()), None], "{:?}", marked(&["--incident", "INC-1"]));
}
