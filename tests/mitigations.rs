//! Tests of `warroom mitigation`: cards, their rules, and verdicts from readings before and since.

#[path = "support/port.rs"]
mod port;
#[path = "support/program.rs"]
mod program;
#[path = "support/stub.rs"]
mod stub;

use program::{json, run, stderr};
use serde_json::Value;
use stub::{Reply, Stub};

/// A metrics server. Until 15 minutes ago every query was about 20. Since then `better` is 0, `same` is as before, `worse` is 90.
fn server() -> Stub {
    Stub::start(|r| {
        if !r.path().ends_with("/query_range") {
            return Reply::json(r#"{"status":"success","data":[]}"#);
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let number = |name: &str| r.param(name).or_else(|| form(&r.body, name)).and_then(|v| seconds(&v));
        let (start, end) = (number("start").unwrap(), number("end").unwrap());
        let query = r.param("query").or_else(|| form(&r.body, "query")).unwrap_or_default();
        let mut values = Vec::new();
        let mut at = (start / 15.0).ceil() * 15.0;
        while at <= end {
            let usual = if ((at / 15.0) as u64).is_multiple_of(2) { 19 } else { 21 };
            let value = match query.as_str() {
                _ if at < now - 900.0 => usual,
                "better" => 0,
                "worse" => 90,
                _ => usual,
            };
            values.push(format!("[{at},\"{value}\"]"));
            at += 15.0;
        }
        Reply::json(format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{}]}}]}}}}"#,
            values.join(",")
        ))
    })
}

fn form(body: &str, name: &str) -> Option<String> {
    body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).map(|v| v.replace('+', " "))
}

/// Seconds since the epoch of a time in either form that the API takes.
fn seconds(text: &str) -> Option<f64> {
    let text = text.replace("%3A", ":");
    text.parse().ok().or_else(|| {
        let at = time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339).ok()?;
        Some(at.unix_timestamp_nanos() as f64 / 1e9)
    })
}

struct Room {
    folder: tempfile::TempDir,
    config: String,
    _server: Stub,
}

impl Room {
    fn open() -> Self {
        let (folder, server) = (tempfile::tempdir().unwrap(), server());
        let path = folder.path().join("config.toml");
        std::fs::write(&path, format!("[[sources]]\nname = \"prom\"\ntype = \"prometheus\"\nurl = \"{}\"\n", server.url()))
            .unwrap();
        let config = path.display().to_string();
        json(folder.path(), &["--config", &config, "declare", "--title", "it fails", "--at", "1h ago"]);
        Self { folder, config, _server: server }
    }

    fn mitigation(&self, args: &[&str]) -> (i32, Value) {
        json(self.folder.path(), &[&["--config", &self.config, "mitigation"], args].concat())
    }

    fn refused(&self, args: &[&str]) -> String {
        let output = run(self.folder.path(), &[&["--config", &self.config, "mitigation"], args].concat());
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        stderr(&output)
    }

    /// Whether a checklist item is met, and its detail.
    fn gate(&self, item: &str) -> (bool, String) {
        let (_, v) = json(self.folder.path(), &["--config", &self.config, "incident", "gate", "INC-1"]);
        let items = v["items"].as_array().or_else(|| v["gates"].as_array()).unwrap_or_else(|| panic!("{v}"));
        let found = items.iter().find(|g| g["item"] == item).unwrap_or_else(|| panic!("{item} in {v}"));
        (found["met"].as_bool().unwrap(), found["detail"].as_str().unwrap().to_owned())
    }
}

#[test]
fn a_card_needs_a_way_back_and_a_check() {
    let room = Room::open();
    let (code, v) = room.mitigation(&["add", "INC-1", "restart it", "--risk", "low"]);
    assert_eq!((code, v["mitigations"][0]["state"].as_str()), (0, Some("proposed")), "{v}");
    let why = room.refused(&["start", "INC-1", "M1"]);
    assert!(why.contains("M1 does not say how to undo it and what shows that it works"), "{why}");
    room.mitigation(&["add", "INC-1", "fail over", "--risk", "high", "--exception", "the region is gone"]);
    let (code, v) = room.mitigation(&["start", "INC-1", "M2", "--approved-by", "ben"]);
    assert_eq!((code, v["mitigations"][1]["approved_by"].as_str()), (0, Some("ben")), "{v}");
    assert!(room.refused(&["start", "INC-1", "M2"]).contains("M2 is already started"));
    assert!(room.refused(&["start", "INC-1", "M9"]).contains("has no mitigation 'M9'"));
    let (_, v) = room.mitigation(&["drop", "INC-1", "M1", "--reason", "too slow"]);
    assert_eq!(
        (v["mitigations"][0]["state"].as_str(), v["mitigations"][0]["result"].as_str()),
        (Some("dropped"), Some("too slow"))
    );
    assert!(room.refused(&["done", "INC-1", "M1"]).contains("M1 is already dropped"));
    assert!(room.refused(&["add", "INC-1", "x", "--risk", "low", "--verify", "errors"]).contains("No threshold given"));
    assert!(room.refused(&["add", "INC-1", "x", "--risk", "huge"]).contains("not a risk"));
}

#[test]
fn readings_say_whether_it_worked() {
    let room = Room::open();
    for (n, query) in ["same", "worse", "better"].iter().enumerate() {
        let (label, verify) = (format!("M{}", n + 1), format!("{query} < 1"));
        room.mitigation(&["add", "INC-1", query, "--risk", "low", "--undo", "undo it", "--verify", &verify, "--for", "5m"]);
        room.mitigation(&["start", "INC-1", &label, "--at", "17m ago"]);
        let (code, _) = room.mitigation(&["done", "INC-1", &label, "--at", "15m ago"]);
        assert_eq!(code, 0, "{query}");
        let (met, detail) = room.gate("effect-seen");
        assert_eq!(met, *query == "better", "{detail}");
    }
    let (_, v) = room.mitigation(&["list", "INC-1"]);
    let of = |n: usize| (v["mitigations"][n]["verdict"].as_str().unwrap(), v["mitigations"][n]["why"].as_str().unwrap());
    assert_eq!((of(0).0, of(1).0, of(2).0), ("no_effect", "worse", "worked"), "{v}");
    assert!(of(2).1.contains("fell from 21 to 0 and was below 1 for 5m00s"), "{v}");
    assert!(v["mitigations"][2]["evidence"][0].as_str().is_some_and(|e| e.starts_with('E')), "{v}");
    assert_eq!(v["mitigations"][2]["after"], 0.0, "{v}");
    // The brief and the post-mortem say so as well.
    let brief = program::stdout(&run(room.folder.path(), &["--config", &room.config, "incident", "brief", "INC-1"]));
    assert!(brief.contains("- M3 done: better; worked: ") && brief.contains("; to undo it: undo it"), "{brief}");
    let report = program::stdout(&run(room.folder.path(), &["--config", &room.config, "export", "INC-1"]));
    assert!(report.contains("| worse | low | made it worse: "), "{report}");
    // What was done just now cannot be judged yet; without an answer there is no verdict.
    room.mitigation(&["add", "INC-1", "again", "--risk", "low", "--undo", "undo it", "--verify", "same < 1"]);
    room.mitigation(&["start", "INC-1", "M4"]);
    let (code, v) = room.mitigation(&["done", "INC-1", "M4"]);
    assert_eq!((code, v["mitigations"][3]["verdict"].as_str()), (0, Some("too_early")), "{v}");
    std::fs::write(&room.config, "[[sources]]\nname = \"prom\"\ntype = \"prometheus\"\nurl = \"http://127.0.0.1:9\"\n").unwrap();
    let (code, after) = room.mitigation(&["check", "INC-1"]);
    assert_eq!((code, &after), (3, &v));
    let shown = program::stdout(&run(room.folder.path(), &["--config", &room.config, "incident", "show", "INC-1"]));
    assert!(shown.contains("Mitigation worked: better: ") && shown.contains("Mitigation made it worse: worse: "), "{shown}");
}

#[test]
fn a_card_is_edited_until_it_is_done() {
    let room = Room::open();
    let (code, list) = room.mitigation(&["add", "INC-1", "roll back", "--risk", "low"]);
    assert_eq!((code, &list["mitigations"][0]["undo"]), (0, &Value::Null));
    assert!(room.refused(&["start", "INC-1", "M1"]).contains("how to undo it and what shows that it works"));
    room.mitigation(&["edit", "INC-1", "M1", "--undo", "roll forward"]);
    let (_, list) = room.mitigation(&["edit", "INC-1", "M1", "--verify", "better < 1", "--text", "roll back to 1.41"]);
    let card = &list["mitigations"][0];
    assert_eq!(list["mitigations"].as_array().map(Vec::len), Some(1), "the same card");
    assert_eq!(
        (&card["text"], &card["undo"], &card["risk"]),
        (&"roll back to 1.41".into(), &"roll forward".into(), &"low".into())
    );
    assert_eq!(card["verify"], "better below 1 for 5m00s");
    room.mitigation(&["start", "INC-1", "M1"]);
    room.mitigation(&["done", "INC-1", "M1"]);
    assert!(room.refused(&["edit", "INC-1", "M1", "--risk", "high"]).contains("already done"));
    assert!(room.refused(&["edit", "INC-1", "M9", "--risk", "high"]).contains("no mitigation 'M9'"));
}

#[test]
fn nothing_is_suggested_without_an_answer_or_a_playbook() {
    let room = Room::open();
    let (_, none) = room.mitigation(&["suggest", "INC-1"]);
    assert_eq!(none["suggestions"].as_array().map(Vec::len), Some(0));
}
