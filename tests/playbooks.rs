//! Tests of `warroom playbook`: the built-in playbooks, a user's folder, matching and linting.

#[path = "support/program.rs"]
mod program;

use std::path::Path;

use program::{json, run, stderr, stdout};

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
