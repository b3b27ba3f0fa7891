//! Files that version 0.1 wrote are read by every later version: a journal, bundles with evidence of each kind, and the recording of
//! the demo. A new version adds a folder to `tests/fixtures` and a line to [`VERSIONS`]; it never changes an older folder.

#[path = "support/program.rs"]
mod program;

use std::path::{Path, PathBuf};

use program::{json, run, stderr, stdout};
use serde_json::Value;

const VERSIONS: [&str; 1] = ["v0.1"];

fn fixture(version: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version).join(name)
}

/// Exit status and JSON of a command on a store.
fn on(folder: &Path, store: &str, args: &[&str]) -> (i32, Value) {
    json(folder, &[&["--store", store], args].concat())
}

#[test]
fn reads_and_continues_older_journals() {
    for version in VERSIONS {
        let f = tempfile::tempdir().unwrap();
        let path = f.path().join("journal.db");
        std::fs::copy(fixture(version, "journal.db"), &path).unwrap();
        let store = format!("sqlite:{}", path.display());
        let (code, verified) = on(f.path(), &store, &["verify"]);
        assert_eq!((code, verified["ok"].as_bool()), (0, Some(true)), "{version}: {verified}");
        let (_, list) = on(f.path(), &store, &["incident", "list"]);
        assert_eq!(list["incidents"].as_array().unwrap().len(), 4, "{version}: {list}");
        let (_, plain) = on(f.path(), &store, &["incident", "show", "INC-1"]);
        assert_eq!((plain["status"].as_str(), plain["severity"].as_str()), (Some("resolved"), Some("SEV2")), "{version}");
        assert_eq!(plain["timeline"].as_array().unwrap().len(), 12, "{version}");
        assert_eq!(plain["action_items"][0]["due"], "2026-12-01", "{version}");
        let (_, part) = on(f.path(), &store, &["incident", "show", "INC-2"]);
        assert_eq!(part["status"], "merged", "{version}: {part}");
        let (_, found) = on(f.path(), &store, &["incident", "show", "INC-4"]);
        assert_eq!(found["evidence"].as_array().unwrap().len(), 19, "{version}");
        let report = stdout(&run(f.path(), &["--store", &store, "export", "INC-4"]));
        for part in ["checkout db_pool_in_use", "version 1.41.3 → 1.42.0", "pool exhausted after"] {
            assert!(report.contains(part), "{version}: {part}");
        }
        let report = stdout(&run(f.path(), &["--store", &store, "export", "INC-1"]));
        assert!(report.contains("pool full: 20 of 20") && !report.contains("ana@example.com"), "{version}: {report}");
        let (code, _) = on(f.path(), &store, &["incident", "note", "INC-4", "read by a later version"]);
        assert_eq!(code, 0, "{version}");
        let (code, verified) = on(f.path(), &store, &["verify"]);
        assert_eq!((code, verified["ok"].as_bool()), (0, Some(true)), "{version}: {verified}");
    }
}

#[test]
fn imports_older_bundles() {
    for version in VERSIONS {
        for (name, id, entries) in [("plain.bundle", "INC-1", 12), ("investigated.bundle", "INC-4", 22)] {
            let f = tempfile::tempdir().unwrap();
            let file = fixture(version, name).display().to_string();
            let (code, read) = on(f.path(), &format!("bundle:{file}"), &["incident", "show", id]);
            assert_eq!(code, 0, "{version} {name}: {read}");
            let output = run(f.path(), &["bundle", "import", &file]);
            assert!(output.status.success(), "{version} {name}: {}", stderr(&output));
            let (_, shown) = json(f.path(), &["incident", "show", id]);
            assert_eq!(shown["timeline"].as_array().unwrap().len(), entries, "{version} {name}");
            let (code, verified) = json(f.path(), &["verify"]);
            assert_eq!((code, verified["ok"].as_bool()), (0, Some(true)), "{version} {name}: {verified}");
        }
    }
}

#[test]
fn replays_the_recording_of_the_demo() {
    let f = tempfile::tempdir().unwrap();
    let out = f.path().join("out");
    let output = run(f.path(), &["demo", "--headless", "--out", &out.display().to_string()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let found = std::fs::read_to_string(out.join("investigation.json")).unwrap();
    assert!(found.contains("db_pool_in_use") && found.contains("pool exhausted after"), "{found}");
}
