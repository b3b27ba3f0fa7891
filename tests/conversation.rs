//! Conversations with a model over a real socket: what follow-ups carry, forks, and what people accept from an answer.

#[path = "support/port.rs"]
mod port;
#[path = "support/program.rs"]
mod program;
#[path = "support/stub.rs"]
mod stub;

use std::path::Path;
use std::time::Duration;

use program::{json, run, stderr};
use serde_json::Value;
use stub::{Reply, Request, Stub, chat_events};

const FIRST: &str = "## Symptoms and impact\n\nOrders fail [E1].\n\n\
    ## Root-cause hypotheses and investigation steps\n\n\
    1. **The pool of checkout ran dry** [E1]. Next check: `pool_in_use`.\n   - Against: nothing yet\n\
    2. Hypothesis 2: the network drops packets.\n\n\
    ## Immediate mitigations\n\n- Restart checkout. Risk: low. Undo: start the old one. Verify: `error_rate < 0.01`\n\n\
    ## Long-term prevention\n\n- Add an alert on the pool\n- It is not known who deployed.\n- None.\n\n\
    ## Proposed severity\n\nSEV2, because orders fail [E1].\n\n\
    ## Stakeholder communication plan\n\n- Customers: orders may fail, we are working on it.\n";

/// An incident with log lines as evidence, and a configuration that asks `address`.
fn prepare(folder: &Path, address: &str, window: u64) -> String {
    let path = folder.join("config.toml");
    let text = format!(
        "[[sources]]\nname = \"logs\"\ntype = \"file\"\npaths = [\"{}/*.log\"]\n[assistant]\nbase_url = \"{address}/v1\"\nmodel = \"m\"\n\
         context_tokens = {window}\nanswer_tokens = {}\n",
        folder.display(),
        window / 4
    );
    std::fs::write(&path, text).unwrap();
    let recent = time::OffsetDateTime::now_utc() - Duration::from_mins(1);
    let stamp = recent.format(&time::format_description::well_known::Rfc3339).unwrap();
    std::fs::write(folder.join("app.log"), format!("{stamp} ERROR checkout: pool exhausted\n").repeat(40)).unwrap();
    let config = path.display().to_string();
    run(folder, &["--config", &config, "declare", "--title", "checkout is failing"]);
    run(folder, &["--config", &config, "investigate", "INC-1", "--window", "30m"]);
    config
}

/// A model that gives the answers one after the other, the last one for ever.
fn model(answers: &'static [&'static str]) -> Stub {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Stub::start(move |_| {
        let at = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Reply::events(&chat_events(answers.get(at).or(answers.last()).unwrap_or(&"")), Duration::ZERO)
    })
}

fn messages(request: &Request) -> Vec<(String, String)> {
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let text = |m: &Value, key: &str| m[key].as_str().unwrap_or_default().to_owned();
    body["messages"].as_array().unwrap().iter().map(|m| (text(m, "role"), text(m, "content"))).collect()
}

/// Runs warroom with JSON output and expects success.
fn ok(folder: &Path, config: &str, args: &[&str]) -> Value {
    let (code, value) = json(folder, &[&["--config", config], args].concat());
    assert_eq!(code, 0, "{args:?}: {value}");
    value
}

#[test]
fn follow_ups_carry_the_conversation_and_forks_keep_what_came_before() {
    let f = tempfile::tempdir().unwrap();
    let server = model(&[FIRST, "The second answer [E1].", "The third answer [E1].", "The fork's answer [E1]."]);
    let config = prepare(f.path(), &server.url(), 8192);
    let first = ok(f.path(), &config, &["ask", "INC-1", "troubleshoot"]);
    assert_eq!((first["thread"].as_str(), &first["follows"], &first["carried"]), (Some("main"), &Value::Null, &Value::Null));
    let second = ok(f.path(), &config, &["ask", "INC-1", "which pool is it?"]);
    assert!(second["follows"].is_u64() && second["carried"]["whole"] == 1, "{second}");
    ok(f.path(), &config, &["ask", "INC-1", "and since when?"]);
    let entry = second["follows"].to_string();
    let fork = ok(f.path(), &config, &["ask", "INC-1", "what else could it be?", "--follow", &entry]);
    assert_eq!((fork["thread"].as_str(), fork["follows"].to_string()), (Some("main-2"), entry));

    let requests = server.requests();
    let roles = |n: usize| messages(&requests[n]).into_iter().map(|(role, _)| role).collect::<Vec<_>>();
    assert_eq!(roles(0), ["system", "user"]);
    assert_eq!(roles(2), ["system", "user", "assistant", "user", "assistant", "user"]);
    let third = messages(&requests[2]);
    assert!(third[2].1.contains("The pool of checkout ran dry") && third[3].1 == "which pool is it?", "{third:?}");
    assert!(third[4].1 == "The second answer [E1]." && third[5].1.contains("and since when?"));
    let forked: Vec<String> = messages(&requests[3]).into_iter().map(|(_, text)| text).collect();
    assert!(forked.iter().any(|t| t.contains("ran dry")) && !forked.iter().any(|t| t.contains("second answer")), "{forked:?}");

    let threads = ok(f.path(), &config, &["threads", "INC-1"]);
    let names: Vec<&str> = threads["threads"].as_array().unwrap().iter().filter_map(|t| t["name"].as_str()).collect();
    assert_eq!(names, ["main", "main-2"]);
    let other = ok(f.path(), &config, &["threads", "INC-1", "main-2"]);
    assert_eq!(other["answers"].as_array().unwrap().len(), 2);
    let fresh = ok(f.path(), &config, &["ask", "INC-1", "a fresh look, please", "--thread", "fresh"]);
    assert_eq!((fresh["thread"].as_str(), &fresh["carried"]), (Some("fresh"), &Value::Null));
    let missing = run(f.path(), &["--config", &config, "threads", "INC-1", "nope"]);
    assert!(
        missing.status.code() == Some(4) && stderr(&missing).contains("The threads are main, main-2"),
        "{}",
        stderr(&missing)
    );
}

#[test]
fn a_long_conversation_is_shortened_and_says_so() {
    let f = tempfile::tempdir().unwrap();
    let long: &'static str = Box::leak(format!("{FIRST}\n{}", "Nothing else is known about it. ".repeat(120)).into_boxed_str());
    let server = model(Box::leak(vec![long].into_boxed_slice()));
    let config = prepare(f.path(), &server.url(), 3072);
    let first = ok(f.path(), &config, &["ask", "INC-1", "troubleshoot"]);
    assert_eq!(first["source"], "llm");
    // What a person accepted is pinned.
    let entry = ok(f.path(), &config, &["threads", "INC-1", "main"])["answers"][0]["entry"].to_string();
    run(f.path(), &["--config", &config, "incident", "accept", "INC-1", &entry]);
    for n in 0..7 {
        ok(f.path(), &config, &["ask", "INC-1", &format!("question number {n}, please")]);
    }
    let plan = ok(f.path(), &config, &["ask", "INC-1", "one more thing", "--dry-run"]);
    let carried = &plan["carried"];
    let count = |key: &str| carried[key].as_u64().unwrap();
    assert_eq!(count("whole") + count("shortened") + count("left_out"), 8, "{carried}");
    assert!(count("shortened") > 0 && count("tokens_after") < count("tokens_before") / 4, "{carried}");
    assert!(plan["estimated_tokens"].as_u64() <= plan["budget_tokens"].as_u64());
    let pinned = plan["messages"].as_array().unwrap().iter().any(|m| m["content"] == "The prompt \"troubleshoot\".");
    assert!(pinned, "the accepted answer is carried");
}

#[test]
fn proposals_of_an_answer_are_accepted_and_refuted_and_the_next_prompt_knows() {
    let f = tempfile::tempdir().unwrap();
    let server = model(&[FIRST, "- #99 refuted: no such entry\n"]);
    let config = prepare(f.path(), &server.url(), 8192);
    ok(f.path(), &config, &["ask", "INC-1", "troubleshoot"]);
    let list = || ok(f.path(), &config, &["proposal", "list", "INC-1"])["proposals"].clone();
    let all = list();
    let kinds: Vec<&str> = all.as_array().unwrap().iter().filter_map(|p| p["kind"].as_str()).collect();
    assert_eq!(kinds, ["hypothesis", "hypothesis", "mitigation", "action item", "severity", "update"], "{all}");
    assert_eq!(all[1]["text"], "the network drops packets.");
    assert_eq!(all[0]["evidence"][0], "E1");
    let id = |n: usize| all[n]["id"].as_str().unwrap().to_owned();
    for n in [0, 2, 3, 4] {
        let done = ok(f.path(), &config, &["proposal", "accept", "INC-1", &id(n)]);
        assert_eq!((done["state"].as_str(), done["entries"].as_array().unwrap().len()), (Some("accepted"), 2), "{done}");
    }
    ok(f.path(), &config, &["proposal", "refute", "INC-1", &id(1), "--reason", "no packet is lost [E1]"]);
    let update = run(f.path(), &["--config", &config, "proposal", "accept", "INC-1", &id(5)]);
    assert!(update.status.code() == Some(1) && stderr(&update).contains("warroom update send"), "{}", stderr(&update));
    let twice = run(f.path(), &["--config", &config, "proposal", "accept", "INC-1", &id(0)]);
    assert!(stderr(&twice).contains("already accepted"), "{}", stderr(&twice));

    let shown = ok(f.path(), &config, &["incident", "show", "INC-1"]);
    assert_eq!(shown["severity"], "SEV2", "{shown}");
    assert!(
        ok(f.path(), &config, &["action", "list"])["action_items"][0]["text"].as_str().unwrap().contains("alert on the pool")
    );
    let cards = ok(f.path(), &config, &["mitigation", "list", "INC-1"]);
    assert_eq!(cards["mitigations"][0]["text"], "Restart checkout", "{cards}");

    ok(f.path(), &config, &["ask", "INC-1", "what do you make of it?"]);
    let (_, last) = messages(server.requests().last().unwrap()).pop().unwrap();
    assert!(last.contains("supported") && last.contains("proposed: The pool of checkout ran dry"), "{last}");
    assert!(last.contains("refuted: the network drops packets., because: no packet is lost [E1]"), "{last}");
    // A verdict on an entry that is not a hypothesis proposes nothing.
    assert_eq!(list().as_array().unwrap().len(), 6);

    // Undoing what was accepted opens the proposal again.
    let entries = ok(f.path(), &config, &["incident", "show", "INC-1"]);
    let note = entries["timeline"].as_array().unwrap().iter().find(|e| e["kind"] == "hypothesis").unwrap()["seq"].to_string();
    run(f.path(), &["--config", &config, "incident", "undo", "INC-1", &note]);
    assert_eq!(list()[0]["state"], "open");
    assert_eq!(list()[1]["state"], "refuted");
}

#[test]
fn several_personas_answer_in_sequence_at_the_same_time_and_with_a_lead() {
    let f = tempfile::tempdir().unwrap();
    // Answers with the persona, so that the texts show who saw what.
    let server = Stub::start(|request| {
        let system = messages(request).first().map(|(_, text)| text.clone()).unwrap_or_default();
        let persona = system.split(['.', '\n']).next().unwrap_or_default().replace("You are a ", "");
        Reply::events(&chat_events(&format!("The {persona} has spoken [E1].")), Duration::ZERO)
    });
    let config = prepare(f.path(), &server.url(), 8192);
    let seen = |n: usize| {
        let sent = messages(&server.requests()[n]);
        sent.iter().filter(|(role, _)| role == "assistant").map(|(_, text)| text.clone()).collect::<Vec<_>>()
    };

    let all = ok(f.path(), &config, &["ask", "INC-1", "what broke here?", "--persona", "security", "--persona", "a poet"]);
    let personas: Vec<&str> = all["answers"].as_array().unwrap().iter().filter_map(|a| a["persona"].as_str()).collect();
    assert_eq!(personas, ["DevOps engineer focused on production security", "a poet"]);
    assert!(seen(0).is_empty());
    assert!(seen(1).len() == 1 && seen(1)[0].starts_with("The DevOps engineer focused on production security has spoken"));

    let slash = "/troubleshoot --persona 'a poet,a painter' --together lead --thread panel";
    let led = ok(f.path(), &config, &["ask", "INC-1", slash]);
    let answers = led["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 3, "{led}");
    assert!(answers.iter().all(|a| a["thread"] == "panel"), "{led}");
    assert!(seen(2).is_empty() && seen(3).is_empty(), "neither sees the other");
    let lead = seen(4);
    assert!(lead.len() == 2 && lead.iter().any(|t| t.contains("poet")) && lead.iter().any(|t| t.contains("painter")), "{lead:?}");
    assert_eq!(answers[2]["prompt"], "reconcile");
    // What follows sees all of them.
    ok(f.path(), &config, &["ask", "INC-1", "and who is right?", "--thread", "panel"]);
    assert_eq!(seen(5).len(), 3);

    let many = ["--persona"; 7].map(|flag| [flag, "x"]).concat();
    let refused = run(f.path(), &[&["--config", &config, "ask", "INC-1", "what broke here?"], many.as_slice()].concat());
    assert!(stderr(&refused).contains("7 personas are too many"), "{}", stderr(&refused));
    let printed = run(
        f.path(),
        &["--config", &config, "ask", "INC-1", "what broke here?", "--persona", "a poet,", "--persona", "b", "--thread", "p"],
    );
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(text.contains("----- 2 of 2: b -----"), "{text}");
}
