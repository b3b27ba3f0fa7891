//! Tests of the user's own commands, and of presets that a team shares: what runs, with which variables, and only when it is trusted.

#[path = "support/program.rs"]
mod program;
#[path = "support/stub.rs"]
mod stub;

use std::path::Path;

use program::{json, run, stderr, stdout};
use serde_json::Value;
use stub::{Reply, Stub};

/// An Alertmanager with one alert, whose labels are hostile.
fn alertmanager() -> Stub {
    Stub::start(|r| match r.path() {
        "/api/v2/alerts" => {
            let pod = "$(touch owned) `touch owned` '; touch owned; \" *\n\u{1b}[31m";
            let labels = serde_json::json!({"alertname": "Slow", "service": "shop", "pod": pod, "big": "x".repeat(10_000)});
            let status = serde_json::json!({"state": "active", "silencedBy": [], "inhibitedBy": []});
            Reply::json(
                serde_json::json!([{"labels": labels, "annotations": {}, "fingerprint": "f1", "status": status,
                    "startsAt": "2026-11-28T09:00:00Z", "endsAt": "2027-11-28T09:00:00Z", "generatorURL": "", "receivers": []}])
                .to_string(),
            )
        }
        _ => Reply::json("[]"),
    })
}

struct Home {
    folder: tempfile::TempDir,
    config: String,
    _server: Stub,
}

impl Home {
    fn new(more: &str) -> Self {
        let (folder, server) = (tempfile::tempdir().unwrap(), alertmanager());
        let path = folder.path().join("config.toml");
        let text = format!("[[sources]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"{}\"\n{more}", server.url());
        std::fs::write(&path, text).unwrap();
        Self { config: path.display().to_string(), folder, _server: server }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        run(self.path(), &[&["--config", &self.config], args].concat())
    }

    fn json(&self, args: &[&str]) -> (i32, Value) {
        json(self.path(), &[&["--config", &self.config], args].concat())
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

const COMMANDS: &str = r#"
[[commands]]
name = "show"
help = "Shows what is selected"
run = 'printf "%s|%s|%s\n" "$service" "$pod" "${#big}"; for i in 1 2; do echo "$i"; done'
reads_only = true

[[commands]]
name = "fix"
run = 'echo "fixed $incident $title token=ghp_abcdefghijklmnopqrstuvwxyz0123456789"; exit 3'

[[commands]]
name = "look"
run = 'echo "looked at $evidence"; printf "%s" "$evidence_text" | head -c 20'
confirm = false
reads_only = true
evidence = true
"#;

#[test]
fn a_command_gets_what_is_selected_as_values_and_never_as_syntax() {
    let home = Home::new(COMMANDS);
    let (_, list) = home.json(&["command", "list"]);
    assert_eq!(
        list["commands"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["show", "fix", "look"]
    );
    let shown = home.run(&["command", "run", "show", "--alert", "f1"]);
    assert!(shown.status.success() && stderr(&shown).contains("Nothing was run. Add --yes to run it."), "{}", stderr(&shown));
    assert!(stdout(&shown).contains("service = \"shop\"") && stdout(&shown).contains("timeout: 1m00s"), "{}", stdout(&shown));
    let (code, ran) = home.json(&["command", "run", "show", "--alert", "f1", "--yes"]);
    let output = ran["output"].as_str().unwrap();
    assert_eq!((code, ran["exit_code"].as_i64()), (0, Some(0)));
    assert!(output.starts_with("shop|$(touch owned) `touch owned` '; touch owned; \" *"), "{output}");
    // Labels are cut at 4 KiB where they enter.
    assert!(output.contains("|4096\n1\n2\n") && !output.contains('\u{1b}'), "{output}");
    assert!(!home.path().join("owned").exists(), "a label is never run");
    let given = home.json(&["command", "run", "show", "--alert", "f1", "--var", "service=other", "--yes"]).1;
    assert!(given["output"].as_str().unwrap().starts_with("other|"), "{given}");
    let unknown = home.run(&["command", "run", "shw", "--yes"]);
    assert!(unknown.status.code() == Some(4) && stderr(&unknown).contains("Did you mean 'show'?"), "{}", stderr(&unknown));
}

#[test]
fn a_command_that_changes_something_is_recorded_and_its_output_is_kept_on_request() {
    let home = Home::new(COMMANDS);
    home.json(&["declare", "--title", "it fails; $(id)", "--alert", "f1"]);
    let (code, ran) = home.json(&["command", "run", "fix", "--incident", "INC-1", "--keep", "--yes"]);
    assert_eq!((code, ran["exit_code"].as_i64(), ran["evidence"].as_str()), (1, Some(3), Some("E1")), "{ran}");
    let output = ran["output"].as_str().unwrap();
    assert!(output.starts_with("fixed INC-1 it fails; $(id) ") && !output.contains("ghp_abc"), "{output}");
    let (_, incident) = home.json(&["incident", "show", "INC-1"]);
    let last = incident["timeline"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["kind"], "command_run");
    assert!(
        last["text"].as_str().unwrap().contains("fix: exit code 3 after") && last["text"].to_string().contains("[E1]"),
        "{last}"
    );
    // One that only reads leaves no entry of its own, runs without a question if it says so, and keeps its output if it says so.
    let (code, looked) = home.json(&["command", "run", "look", "--incident", "INC-1", "--evidence", "E1"]);
    assert_eq!((code, looked["evidence"].as_str()), (0, Some("E2")), "{looked}");
    assert!(looked["output"].as_str().unwrap().starts_with("looked at E1\nE1"), "{looked}");
    let (_, after) = home.json(&["incident", "show", "INC-1"]);
    let kinds: Vec<&str> = after["timeline"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|k| **k == "command_run").count(), 1, "{kinds:?}");
}

#[test]
fn read_only_mode_runs_only_what_reads() {
    let home = Home::new(&format!("{COMMANDS}\n[ui]\nread_only = true\n"));
    assert_eq!(home.json(&["command", "run", "show", "--alert", "f1", "--yes"]).0, 0);
    let refused = home.run(&["command", "run", "fix", "--yes"]);
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains("read_only is set"), "{}", stderr(&refused));
    let broken = Home::new("[[commands]]\nname = \"a b\"\nrun = \"ls\"\n");
    let why = stderr(&broken.run(&["command", "list"]));
    assert!(why.contains("config.toml:5") && why.contains("its name is not a single word"), "{why}");
}

const PLAYBOOK: &str = "---\nid: team\ntitle: The team's way\n---\n\n## Do it\n\nText.\n\n```sh\n./helper.sh\n```\n";

#[test]
fn what_comes_from_a_preset_runs_only_after_it_was_trusted_and_again_after_a_change() {
    let home = Home::new("[[presets]]\npath = \"team\"\n");
    home.write("team/playbooks/team.md", PLAYBOOK);
    home.write("team/commands.toml", "[[commands]]\nname = \"hi\"\nrun = \"echo hi\"\nconfirm = false\nreads_only = true\n");
    home.write("team/helper.sh", "#!/bin/sh\necho one\n");
    home.json(&["declare", "--title", "it fails"]);
    let refused = |args: &[&str], why: &str| {
        let output = home.run(args);
        assert!(output.status.code() == Some(1) && stderr(&output).contains(why), "{args:?}: {}", stderr(&output));
    };
    let command = ["command", "run", "hi", "--yes"];
    let playbook = ["playbook", "run", "INC-1", "team", "--yes"];
    // Both are listed and can be read, but nothing of them runs.
    assert!(stdout(&home.run(&["playbook", "show", "team"])).contains("./helper.sh"));
    assert_eq!(home.json(&["command", "list"]).1["commands"][0]["preset"], "team");
    refused(&command, "the preset 'team' is not trusted");
    refused(&playbook, "the preset 'team' is not trusted");
    let shown = stdout(&home.run(&["preset", "show", "team"]));
    assert!(shown.contains("not trusted") && shown.contains("./helper.sh") && shown.contains("echo hi"), "{shown}");
    assert_eq!(home.json(&["preset", "list"]).1["presets"][0]["state"], "not_trusted");

    assert!(home.run(&["preset", "trust", "team"]).status.success());
    assert_eq!(home.json(&["preset", "list"]).1["presets"][0]["state"], "trusted");
    let hi = home.run(&["command", "run", "hi"]);
    assert!(stderr(&hi).contains("Nothing was run"), "a team's command is always shown first: {}", stderr(&hi));
    assert_eq!(home.json(&command).0, 0);

    // A change of a file that only a script uses counts as well.
    home.write("team/helper.sh", "#!/bin/sh\necho two\n");
    refused(&command, "the preset 'team' has changed since it was trusted");
    refused(&playbook, "the preset 'team' has changed since it was trusted");
    assert_eq!(home.json(&["preset", "list"]).1["presets"][0]["state"], "changed");
    // Only what was reviewed is trusted.
    let old = home.run(&["preset", "trust", "team", "--digest", "0123"]);
    assert!(stderr(&old).contains("has changed since it was shown"), "{}", stderr(&old));
    let digest = home.json(&["preset", "list"]).1["presets"][0]["digest"].as_str().unwrap().to_owned();
    assert!(home.run(&["preset", "trust", "team", "--digest", &digest]).status.success());
    assert_eq!(home.json(&command).0, 0);
    // What git does in its own folder does not count, but such a folder elsewhere does.
    home.write("team/bin/.git/x.sh", "echo hidden");
    refused(&command, "has changed since it was trusted");
    assert!(home.run(&["preset", "trust", "team"]).status.success());
    home.write("team/.git/FETCH_HEAD", "x");
    assert_eq!(home.json(&command).0, 0);
}

#[test]
fn a_broken_preset_is_reported_and_the_rest_works() {
    let home =
        Home::new("[[presets]]\npath = \"team\"\n\n[[presets]]\npath = \"missing\"\n\n[[presets]]\npath = \"other/team\"\n");
    home.write("other/team/commands.toml", "[[commands]]\nname = \"evil\"\nrun = \"echo evil\"\n");
    home.write("team/commands.toml", "[[commands]]\nname = \"hi\"\nrunn = \"echo hi\"\n");
    home.write("team/playbooks/bad.md", "no front matter\n");
    let listed = home.run(&["preset", "list"]);
    let why = stderr(&listed);
    assert_eq!(listed.status.code(), Some(1));
    assert!(why.contains("commands.toml:3") && why.contains("unknown field `runn`"), "{why}");
    assert!(why.contains("missing: cannot be read"), "{why}");
    // A second folder of one name would use the trust of the first.
    assert!(why.contains("a second preset is named 'team'"), "{why}");
    assert_eq!(home.json(&["command", "list"]).1["commands"], serde_json::json!([]));
    let doctor = home.json(&["doctor"]).1;
    let presets = doctor["checks"].as_array().unwrap().iter().filter(|c| c["name"] == "presets").count();
    assert_eq!(presets, 3, "{doctor}");
    assert!(home.run(&["playbook", "list"]).status.success());
}
