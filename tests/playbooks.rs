//! Tests of `warroom playbook`: the built-in playbooks, a user's folder, matching and linting.

#[path = "support/port.rs"]
mod port;
#[path = "support/program.rs"]
mod program;
#[path = "support/stub.rs"]
mod stub;

use std::path::Path;

use program::{json, run, stderr, stdout};
use stub::{Reply, Stub};

/// Writes a configuration that replays the demo's recording; returns its path.
fn config(folder: &Path) -> String {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/pool-exhaustion.wrec");
    let path = folder.join("config.toml");
    std::fs::write(&path, format!("[[sources]]\nname = \"rec\"\ntype = \"recording\"\npath = \"{}\"\n", recording.display()))
        .unwrap();
    path.display().to_string()
}

#[test]
fn lists_shows_and_matches_playbooks() {
    let f = tempfile::tempdir().unwrap();
    let c = config(f.path());
    let (code, list) = json(f.path(), &["--config", &c, "playbook", "list"]);
    let ids: Vec<&str> = list["playbooks"].as_array().unwrap().iter().filter_map(|p| p["id"].as_str()).collect();
    assert_eq!((code, ids.len()), (0, 16), "{ids:?}");
    for id in &ids {
        let shown = run(f.path(), &["--config", &c, "playbook", "show", id]);
        let file = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("playbooks/{id}.md"))).unwrap();
        assert_eq!(stdout(&shown), file);
    }
    let missing = run(f.path(), &["--config", &c, "playbook", "show", "rolback"]);
    assert_eq!(missing.status.code(), Some(4));
    assert!(stderr(&missing).contains("Did you mean 'rollback'?"), "{}", stderr(&missing));

    let (_, alerts) = json(f.path(), &["--config", &c, "alerts"]);
    let fingerprint = alerts["alerts"][0]["fingerprint"].as_str().unwrap();
    let (_, _) = json(f.path(), &["--config", &c, "declare", "--title", "it fails", "--alert", fingerprint]);
    let (code, found) = json(f.path(), &["--config", &c, "playbook", "match", "INC-1"]);
    let found = found["matches"].as_array().unwrap();
    assert!(code == 0 && !found.is_empty(), "{found:?}");
    assert!(found[0]["why"][0].as_str().unwrap().starts_with("alertname="), "{found:?}");
    let scores: Vec<f64> = found.iter().map(|m| m["score"].as_f64().unwrap()).collect();
    assert!(scores.windows(2).all(|w| w[0] >= w[1]), "{scores:?}");
    json(f.path(), &["--config", &c, "declare", "--title", "without alerts"]);
    let shown = stdout(&run(f.path(), &["--config", &c, "playbook", "match", "INC-2"]));
    assert!(shown.starts_with("No playbook matches INC-2: no alert is linked."), "{shown}");
}

#[test]
fn checks_a_users_folder_and_keeps_the_built_in_ones() {
    let f = tempfile::tempdir().unwrap();
    let c = config(f.path());
    let own = f.path().join("playbooks");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("rollback.md"), "---\nid: rollback\ntitel: X\n---\n## a\nb\n").unwrap();
    std::fs::write(own.join("ours.md"), "---\nid: ours\ntitle: Ours\nsummary: S\n---\n## a\nb\n").unwrap();
    std::fs::write(own.join("large.md"), "x".repeat(10 * 1024 * 1024)).unwrap();
    std::fs::write(own.join("binary.md"), [0xff, 0xfe, 0]).unwrap();
    let (code, list) = json(f.path(), &["--config", &c, "playbook", "list"]);
    let rows = list["playbooks"].as_array().unwrap();
    let source = |id: &str| rows.iter().find(|p| p["id"] == id).and_then(|p| p["source"].as_str());
    assert_eq!((code, rows.len(), source("ours"), source("rollback")), (0, 17, Some("user"), Some("built-in")));
    let (code, lint) = json(f.path(), &["--config", &c, "playbook", "lint"]);
    assert_eq!((code, lint["ok"].as_bool()), (1, Some(false)));
    let of = |name: &str| {
        let all = lint["problems"].as_array().unwrap();
        all.iter().find(|p| p["file"].as_str().unwrap().ends_with(name)).cloned().unwrap_or_default()
    };
    assert_eq!(of("rollback.md")["line"], 3, "{lint}");
    assert!(of("rollback.md")["text"].as_str().unwrap().contains("titel"), "{lint}");
    assert!(of("large.md")["text"].as_str().unwrap().contains("KiB, more than 256"), "{lint}");
    assert!(!of("binary.md")["text"].as_str().unwrap().is_empty() && of("ours.md").is_null(), "{lint}");
    let good = own.join("ours.md").display().to_string();
    let shown = run(f.path(), &["--config", &c, "playbook", "lint", &good]);
    assert_eq!((shown.status.code(), stdout(&shown).trim()), (Some(0), "1 playbook, no problems"));
    let missing = run(f.path(), &["--config", &c, "playbook", "lint", "nowhere.md"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("cannot read nowhere.md"), "{}", stderr(&missing));
}

/// A configuration with a metrics server whose every query has this value, and a playbook for it.
fn with_server(folder: &Path, url: &str, more: &str) -> String {
    let path = folder.join("config.toml");
    std::fs::write(&path, format!("[[sources]]\nname = \"prom\"\ntype = \"prometheus\"\nurl = \"{url}\"\n{more}")).unwrap();
    let own = folder.join("playbooks");
    std::fs::create_dir_all(&own).unwrap();
    let front = "id: fix\ntitle: Fix it\nsummary: S\nvariables:\n  pod: The pod\n  file:\n    description: A file\n    default: out.txt\n";
    let steps = r##"## Look

```promql verify="< 1" if="> 10" goto="#read-more"
errors{service="$service"}
```

## Act

```sh undo="rm $file" danger="writes $file" verify='errors{pod="$pod"} < 1' timeout=20s
printf '%s' $pod > $file
echo "wrote $pod"
```

## Ask

Call the owner.

## Read more

```http verify="2xx"
GET $base/health?x=$pod
```
"##;
    let steps = steps.replace("$base", url);
    std::fs::write(own.join("fix.md"), format!("---\n{front}---\n{steps}")).unwrap();
    path.display().to_string()
}

/// A metrics server: every query answers with the value that is set. `/health` answers with it as the status.
fn server(value: &'static std::sync::atomic::AtomicU32) -> Stub {
    Stub::start(move |r| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let value = value.load(std::sync::atomic::Ordering::SeqCst);
        if r.path().ends_with("/health") {
            return Reply::new(if value < 1 { 200 } else { 503 }, "text/plain", "state");
        }
        if r.path().ends_with("/query_range") {
            return Reply::json(format!(
                r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[[{},"{value}"],[{now},"{value}"]]}}]}}}}"#,
                now - 15
            ));
        }
        Reply::json(r#"{"status":"success","data":[]}"#.to_owned())
    })
}

#[test]
fn runs_steps_shows_scripts_first_and_keeps_the_results() {
    static VALUE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let (f, stub) = (tempfile::tempdir().unwrap(), server(&VALUE));
    let c = with_server(f.path(), &stub.url(), "");
    let hostile = "$(touch pwned); `id` 'x' \"y\" * \\";
    json(f.path(), &["--config", &c, "declare", "--title", "it fails"]);
    json(f.path(), &["--config", &c, "incident", "impact", "INC-1", "--services", "shop"]);
    let var = format!("pod={hostile}");
    let play = |more: &[&str]| json(f.path(), &[&["--config", &c, "playbook", "run", "INC-1", "fix"], more].concat());
    // A query needs no consent.
    let (code, v) = play(&[]);
    assert_eq!((code, v["run"].as_str(), v["steps"][0]["state"].as_str()), (0, Some("R1"), Some("done")), "{v}");
    let query = &v["steps"][0]["blocks"][0];
    assert_eq!((query["text"].as_str(), query["verified"].as_bool()), (Some("errors{service=\"shop\"}"), Some(true)), "{v}");
    assert!(query["evidence"].as_str().is_some_and(|e| e.starts_with('E')), "{v}");
    // A script is shown first, and nothing runs.
    let (code, v) = play(&["--var", &var]);
    let block = &v["steps"][1]["blocks"][0];
    assert_eq!((code, v["steps"][1]["state"].as_str(), block["exit_code"].is_null()), (0, Some("waiting"), true), "{v}");
    assert_eq!(block["text"], "printf '%s' \"${pod}\" > \"${file}\"\necho \"wrote ${pod}\"", "{v}");
    assert_eq!((block["env"]["pod"].as_str(), block["argv"][0].as_str()), (Some(hostile), Some("sh")), "{v}");
    assert!(!f.path().join("out.txt").exists());
    let shown = run(f.path(), &["--config", &c, "playbook", "run", "INC-1", "fix", "--var", &var]);
    let text = stdout(&shown);
    assert!(
        text.contains("Would run:\n  On ") && text.contains("danger: writes $file") && text.contains("undo: rm out.txt"),
        "{text}"
    );
    assert!(stderr(&shown).contains("Nothing was run. Add --yes to run it."), "{}", stderr(&shown));
    let missing = run(f.path(), &["--config", &c, "playbook", "run", "INC-1", "fix"]);
    assert!(stderr(&missing).contains("$pod has no value: The pod"), "{}", stderr(&missing));
    // With consent it runs; the value is one argument, whatever it holds.
    let (code, v) = play(&["--var", &var, "--yes"]);
    let block = &v["steps"][1]["blocks"][0];
    assert_eq!((code, v["steps"][1]["state"].as_str(), v["steps"][1]["by"].as_str()), (0, Some("done"), Some("ana")), "{v}");
    assert_eq!((block["exit_code"].as_i64(), block["verified"].as_bool()), (Some(0), Some(true)), "{v}");
    assert_eq!(std::fs::read_to_string(f.path().join("out.txt")).unwrap(), hostile);
    assert!(block["output"].as_str().unwrap().starts_with("wrote $(touch pwned)") && !f.path().join("pwned").exists(), "{v}");
    let again = run(f.path(), &["--config", &c, "playbook", "run", "INC-1", "fix", "--step", "2", "--var", &var, "--yes"]);
    assert!(stderr(&again).contains("step 2 was already done by ana"), "{}", stderr(&again));
    // A step with only text is done when a person says so; another is skipped with a reason.
    let (_, v) = play(&[]);
    assert_eq!(v["steps"][2]["state"], "waiting");
    let (_, v) = play(&["--skip", "the owner is here"]);
    assert_eq!((v["steps"][2]["state"].as_str(), v["steps"][2]["reason"].as_str()), (Some("skipped"), Some("the owner is here")));
    let (code, v) = play(&["--var", &var]);
    assert_eq!((code, v["steps"][3]["state"].as_str(), v["next"].is_null()), (0, Some("done"), true), "{v}");
    let request = stub.requests().into_iter().find(|r| r.path().ends_with("/health")).unwrap();
    assert_eq!(request.param("x").as_deref(), Some(hostile), "{}", request.target);
    let brief = stdout(&run(f.path(), &["--config", &c, "incident", "brief", "INC-1"]));
    assert!(brief.contains("- Fix it (fix): 4 of 4 steps"), "{brief}");
    // All of it is in the timeline.
    let shown = stdout(&run(f.path(), &["--config", &c, "incident", "show", "INC-1"]));
    for part in [
        "Playbook fix started: Fix it (4 steps)",
        "step 2 (Act) runs: printf",
        "step 2 (Act) done: exit code 0",
        "step 3 (Ask) skipped: the owner is here",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn a_step_whose_check_does_not_hold_has_failed() {
    static VALUE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(50);
    let (f, stub) = (tempfile::tempdir().unwrap(), server(&VALUE));
    let c = with_server(f.path(), &stub.url(), "");
    json(f.path(), &["--config", &c, "declare", "--title", "it fails"]);
    let play = |more: &[&str]| {
        json(f.path(), &[&["--config", &c, "playbook", "run", "INC-1", "fix", "--var", "service=shop"], more].concat())
    };
    let (code, v) = play(&[]);
    assert_eq!(
        (code, v["steps"][0]["state"].as_str(), v["next"].as_u64()),
        (1, Some("failed"), Some(4)),
        "the value proposes step 4: {v}"
    );
    assert_eq!(v["steps"][0]["blocks"][0]["verified"], false, "{v}");
    let (code, v) = play(&["--step", "4", "--var", "pod=a"]);
    assert_eq!((code, v["steps"][3]["blocks"][0]["verified"].as_bool()), (1, Some(false)), "{v}");
    // The source fails: that is no verdict.
    with_server(f.path(), "http://127.0.0.1:9", "");
    let (code, v) = play(&["--step", "1"]);
    assert_eq!(
        (code, v["steps"][0]["state"].as_str(), v["steps"][0]["blocks"][0]["verified"].is_null()),
        (1, Some("failed"), true),
        "{v}"
    );
    assert!(
        v["steps"][0]["blocks"][0]["output"].as_str().unwrap_or_default().is_empty()
            || v.to_string().contains("the query failed"),
        "{v}"
    );
}

#[test]
fn scripts_are_off_with_read_only_and_an_interrupted_one_stays_begun() {
    static VALUE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let (f, stub) = (tempfile::tempdir().unwrap(), server(&VALUE));
    let c = with_server(f.path(), &stub.url(), "[ui]\nread_only = true\n");
    json(f.path(), &["--config", &c, "declare", "--title", "it fails"]);
    let args = |more: &[&'static str]| [&["--config", &c, "playbook", "run", "INC-1", "slow", "--yes"], more].concat();
    std::fs::write(
        f.path().join("playbooks/slow.md"),
        "---\nid: slow\ntitle: Slow\nsummary: S\n---\n## Wait\n\n```sh timeout=5m\necho begun > begun\nsleep 300\n```\n",
    )
    .unwrap();
    let refused = run(f.path(), &args(&[]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("[ui] read_only is set") && !f.path().join("begun").exists(), "{}", stderr(&refused));
    let c2 = with_server(f.path(), &stub.url(), "");
    assert_eq!(c, c2);
    // Killed in the middle: the step stays begun, and is not run again by accident.
    let mut child = program::warroom(f.path(), &args(&[])).spawn().unwrap();
    for _ in 0..600 {
        if f.path().join("begun").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = run(f.path(), &args(&[]));
    assert!(stderr(&refused).contains("step 1 was begun by ana") && stderr(&refused).contains("--again"), "{}", stderr(&refused));
    let (_, v) = json(f.path(), &["--config", &c, "playbook", "run", "INC-1", "slow", "--skip", "it was killed"]);
    assert_eq!(v["steps"][0]["state"], "skipped", "{v}");
}

#[test]
fn two_people_never_run_one_script_at_the_same_time() {
    let f = tempfile::tempdir().unwrap();
    let c = config(f.path());
    std::fs::create_dir(f.path().join("playbooks")).unwrap();
    json(f.path(), &["--config", &c, "declare", "--title", "it fails"]);
    // It ends only when the test says so, so that the others come while it runs, however slow the machine.
    let script = "echo ran >> runs\nwhile ! test -e stop; do sleep 0.1; done";
    let text = format!("---\nid: once\ntitle: Once\nsummary: S\n---\n## Do it\n\n```sh timeout=5m\n{script}\n```\n");
    std::fs::write(f.path().join("playbooks/once.md"), text).unwrap();
    let args = ["--config", &c, "playbook", "run", "INC-1", "once", "--yes"];
    let start =
        |_| program::warroom(f.path(), &args).stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn();
    let mut people: Vec<_> = (0..4).map(start).map(Result::unwrap).collect();
    // All but one are refused and end by themselves.
    for _ in 0..1200 {
        let ended = people.iter_mut().map(|p| usize::from(p.try_wait().unwrap().is_some())).sum::<usize>();
        if ended >= 3 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::fs::write(f.path().join("stop"), "").unwrap();
    let outputs: Vec<_> = people.into_iter().map(|p| p.wait_with_output().unwrap()).collect();
    assert_eq!(outputs.iter().filter(|o| o.status.success()).count(), 1);
    let others: Vec<_> = outputs.iter().filter(|o| !o.status.success()).map(stderr).collect();
    assert!(others.iter().all(|why| why.contains("step 1 was begun by ana")), "{others:?}");
    assert_eq!(std::fs::read_to_string(f.path().join("runs")).unwrap(), "ran\n");
}

/// A metrics server where every query is 0, and a service whose `/drain` answers that it is elsewhere.
fn service() -> Stub {
    Stub::start(|r| match (r.method.as_str(), r.path()) {
        ("POST", "/drain") => Reply::new(302, "text/plain", "").with_header("location", "/elsewhere"),
        ("DELETE", "/node") => Reply::new(204, "text/plain", ""),
        (_, "/elsewhere") => Reply::new(200, "text/plain", "never asked"),
        (_, path) if path.ends_with("/query_range") => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            Reply::json(format!(
                r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[[{now},"0"]]}}]}}}}"#
            ))
        }
        _ => Reply::json(r#"{"status":"success","data":[]}"#),
    })
}

#[test]
fn a_request_that_may_change_something_is_confirmed_and_sent_once_as_it_was_shown() {
    let f = tempfile::tempdir().unwrap();
    let (server, own) = (service(), f.path().join("playbooks"));
    std::fs::create_dir(&own).unwrap();
    let url = server.url();
    let text = format!(
        "---\nid: drain\ntitle: Drain\nvariables:\n  node: the node\n---\n\n## Drain it\n\n\
         ```http undo=\"undrain it\" risk=low verify='errors < 1'\nPOST {url}/drain\ncontent-type: application/json\n\n\
         {{\"node\": \"$node\"}}\n```\n\n## Break it\n\n```http undo=\"x\" verify='errors < 1'\nDELETE {url}/node\n```\n"
    );
    std::fs::write(own.join("drain.md"), &text).unwrap();
    std::fs::write(own.join("odd.md"), text.replace("POST ", "SEND ").replace("id: drain", "id: odd")).unwrap();
    // A method is no variable: it decides whether the request is confirmed.
    std::fs::write(own.join("vary.md"), text.replace("POST ", "$node ").replace("id: drain", "id: vary")).unwrap();
    let c = f.path().join("config.toml");
    let write = |more: &str| {
        std::fs::write(&c, format!("[[sources]]\nname = \"prom\"\ntype = \"prometheus\"\nurl = \"{url}\"\n{more}")).unwrap();
    };
    write("[ui]\nread_only = true\n");
    let c = c.display().to_string();
    let lint = run(f.path(), &["--config", &c, "playbook", "lint", "playbooks/odd.md"]);
    assert!(stdout(&lint).contains("odd.md:10: error: 'SEND' is not a supported HTTP method"), "{}", stdout(&lint));
    let lint = run(f.path(), &["--config", &c, "playbook", "lint", "playbooks/vary.md"]);
    assert!(stdout(&lint).contains("'$node' is not a supported HTTP method"), "{}", stdout(&lint));
    json(f.path(), &["--config", &c, "declare", "--title", "it fails"]);
    let hostile = "a\", \"b\": \"$(touch owned)";
    let variable = format!("node={hostile}");
    let args = ["--config", &c, "playbook", "run", "INC-1", "drain", "--var", &variable];
    let sent = || server.requests().into_iter().filter(|r| r.method != "GET" && !r.path().contains("/api/")).collect::<Vec<_>>();
    let refused = run(f.path(), &[&args[..], &["--yes"]].concat());
    assert!(stderr(&refused).contains("read_only is set"), "{}", stderr(&refused));
    write("");
    let shown = stdout(&run(f.path(), &args));
    assert!(shown.contains("Would send this request:") && shown.contains(&format!("POST {url}/drain")), "{shown}");
    assert!(shown.contains("undo: undrain it") && sent().is_empty(), "{shown}");
    let (code, ran) = json(f.path(), &[&args[..], &["--yes"]].concat());
    // It was answered elsewhere, so nothing was changed.
    assert_eq!((code, ran["steps"][0]["state"].as_str()), (1, Some("failed")), "{ran}");
    let requests = sent();
    assert_eq!(requests.len(), 1, "it does not follow a redirect");
    let body: serde_json::Value = serde_json::from_str(&requests[0].body).unwrap();
    assert_eq!(body["node"].as_str(), Some(hostile));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    // It is a mitigation, which was dropped because it failed; one that worked is done.
    let (_, cards) = json(f.path(), &["--config", &c, "mitigation", "list", "INC-1"]);
    let card = &cards["mitigations"][0];
    assert_eq!(
        (card["state"].as_str(), card["risk"].as_str(), card["undo"].as_str()),
        (Some("dropped"), Some("low"), Some("undrain it"))
    );
    assert_eq!(card["origin"], "playbook drain, step 1");
    let (code, ran) = json(f.path(), &[&args[..6], &["--step", "2", "--yes"]].concat());
    assert_eq!((code, ran["steps"][1]["state"].as_str()), (0, Some("done")), "{ran}");
    let (_, cards) = json(f.path(), &["--config", &c, "mitigation", "list", "INC-1"]);
    assert_eq!((&cards["mitigations"][1]["state"], sent().len()), (&"done".into(), 2), "{cards}");
    let again = run(f.path(), &[&args[..6], &["--step", "2", "--yes"]].concat());
    assert!(stderr(&again).contains("step 2 was already done by ana") && sent().len() == 2, "{}", stderr(&again));
}

#[test]
fn a_check_that_does_not_hold_ends_the_step() {
    let f = tempfile::tempdir().unwrap();
    let server = service();
    let c = f.path().join("config.toml");
    std::fs::write(&c, format!("[[sources]]\nname = \"prom\"\ntype = \"prometheus\"\nurl = \"{}\"\n", server.url())).unwrap();
    let c = c.display().to_string();
    std::fs::create_dir(f.path().join("playbooks")).unwrap();
    let text = "---\nid: two\ntitle: Two\n---\n\n## Drain, then kill\n\n```promql verify=\"< -1\"\nconnections\n```\n\n```sh\ntouch killed\n```\n";
    std::fs::write(f.path().join("playbooks/two.md"), text).unwrap();
    json(f.path(), &["--config", &c, "declare", "--title", "it fails"]);
    let (code, ran) = json(f.path(), &["--config", &c, "playbook", "run", "INC-1", "two", "--yes"]);
    let step = &ran["steps"][0];
    assert_eq!(
        (code, step["state"].as_str(), step["blocks"][0]["verified"].as_bool()),
        (1, Some("failed"), Some(false)),
        "{ran}"
    );
    assert!(!f.path().join("killed").exists(), "the next block did not run: {ran}");
}
