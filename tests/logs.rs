//! `warroom logs patterns` on files as they lie about: compressed, mixed, from a pipe, with and without a baseline.

#[path = "support/program.rs"]
mod program;

use std::io::Write;
use std::process::Stdio;

use program::{json, run, stderr, stdout, warroom};
use serde_json::Value;

/// A log of a service, with a header that nobody describes.
fn service(lines: u32, odd: bool) -> String {
    let mut out = String::new();
    for n in 0..lines {
        let (minute, second) = (n / 60 % 60, n % 60);
        out.push_str(&format!(
            "2026-11-21 09:{minute:02}:{second:02},{:03} INFO [pool-{}] c.s.Checkout: order {n} placed for user{}\n",
            n % 1000,
            n % 8,
            n * 7
        ));
        if n % 10 == 0 {
            out.push_str(&format!("2026-11-21 09:{minute:02}:{second:02},500 WARN [main] c.s.Cart: cart {} is empty\n", n * 3));
        }
        if odd && n % 5 == 0 {
            out.push_str(&format!(
                "2026-11-21 09:{minute:02}:{second:02},700 ERROR [pool-1] c.s.Pool: exhausted after {n} ms\n\tat c.s.Pool.get(Pool.java:{n})\n"
            ));
        }
    }
    out
}

fn templates(v: &Value) -> Vec<(String, u64)> {
    let patterns = v["patterns"].as_array().unwrap();
    patterns.iter().map(|p| (p["template"].as_str().unwrap().to_owned(), p["count"].as_u64().unwrap())).collect()
}

#[test]
fn patterns_are_found_without_a_word_about_the_format() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("a.log"), service(100, false)).unwrap();
    let (code, v) = json(f.path(), &["logs", "patterns", &path("a.log")]);
    assert_eq!((code, &v["lines"], &v["timed_lines"], &v["levelled_lines"]), (0, &110.into(), &110.into(), &110.into()));
    assert_eq!(templates(&v), [("order <*> placed for <*>".to_owned(), 100), ("cart <*> is empty".to_owned(), 10)]);
    assert_eq!(
        (&v["patterns"][0]["id"], &v["patterns"][0]["level"], &v["patterns"][0]["change"]),
        (&"P1".into(), &"info".into(), &Value::Null)
    );
    assert_eq!(v["first_at"], "2026-11-21T09:00:00Z");
    // As messages the whole line is mined.
    let (_, v) = json(f.path(), &["logs", "patterns", "--content", &path("a.log")]);
    assert!(templates(&v)[0].0.contains("INFO"), "{v}");
    assert_eq!(v["timed_lines"], 0);
    let printed = stdout(&run(f.path(), &["logs", "patterns", &path("a.log")]));
    assert!(printed.contains("110 lines in 2 patterns, 2026-11-21 09:00:00 to"), "{printed}");
}

#[test]
fn with_a_baseline_what_is_new_comes_first() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("before.log"), service(400, false)).unwrap();
    let mut gz = flate2::write::GzEncoder::new(std::fs::File::create(path("now.log.gz")).unwrap(), flate2::Compression::fast());
    gz.write_all(service(200, true).as_bytes()).unwrap();
    gz.finish().unwrap();
    let (_, v) = json(f.path(), &["logs", "patterns", "--baseline", &path("before.log"), &path("now.log.gz")]);
    let first = &v["patterns"][0];
    assert_eq!(
        (&first["template"], &first["change"], &first["count"]),
        (&"exhausted after <*>".into(), &"new".into(), &40.into())
    );
    assert_eq!((&first["baseline_count"], &first["level"]), (&0.into(), &"error".into()));
    assert!(first["score"].as_f64().unwrap() > 10.0 && first["sample"].as_str().unwrap().starts_with("exhausted after"));
    let order = v["patterns"].as_array().unwrap().iter().find(|p| p["template"] == "order <*> placed for <*>").unwrap();
    assert_eq!(order["change"], "same");
    // The same, packed otherwise and through a pipe.
    std::fs::write(path("now.log.zst"), zstd::bulk::compress(service(200, true).as_bytes(), 3).unwrap()).unwrap();
    let (_, zst) = json(f.path(), &["logs", "patterns", "--baseline", &path("before.log"), &path("now.log.zst")]);
    assert_eq!(v, zst);
    let mut child =
        warroom(f.path(), &["logs", "patterns", "-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(service(50, false).as_bytes()).unwrap();
    let piped: Value = serde_json::from_str(&stdout(&child.wait_with_output().unwrap())).unwrap();
    assert_eq!(piped["lines"], 55);
}

#[test]
fn every_line_has_its_pattern_and_the_same_input_the_same_ids() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    let mut mixed = service(60, true).into_bytes();
    for n in 0..60 {
        mixed.extend_from_slice(format!("Nov 21 09:31:{n:02} web sshd[{n}]: Invalid user u{n} from 10.0.0.{n}\n").as_bytes());
        mixed.extend_from_slice(
            format!("{{\"time\":\"2026-11-21T09:31:{n:02}Z\",\"level\":\"warn\",\"msg\":\"slow query {n}\"}}\n").as_bytes(),
        );
        mixed.extend_from_slice(b"\xff\xfe no utf-8 \x00\n");
    }
    std::fs::write(path("mixed.log"), &mixed).unwrap();
    let go = |out: &str| json(f.path(), &["logs", "patterns", &path("mixed.log"), "--assignments", &path(out)]).1;
    let (v, again) = (go("one.csv"), go("two.csv"));
    assert_eq!(v, again);
    let csv = std::fs::read_to_string(path("one.csv")).unwrap();
    assert_eq!(csv, std::fs::read_to_string(path("two.csv")).unwrap());
    let rows: Vec<(&str, &str)> = csv.lines().skip(1).map(|l| l.split_once(',').unwrap()).collect();
    assert_eq!((csv.lines().next(), rows.len() as u64), (Some("line_no,cluster_id"), v["lines"].as_u64().unwrap()));
    assert!(rows.iter().enumerate().all(|(n, (no, _))| *no == (n + 1).to_string()));
    for p in v["patterns"].as_array().unwrap() {
        let n = rows.iter().filter(|(_, id)| *id == p["id"]).count();
        assert_eq!(p["count"].as_u64(), Some(n as u64), "{p}");
    }
    for wanted in ["Invalid user <*> from <*>", "slow query <*>", "exhausted after <*>"] {
        assert!(templates(&v).iter().any(|(t, n)| t == wanted && *n >= 12), "{wanted}: {:?}", templates(&v));
    }
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let f = tempfile::tempdir().unwrap();
    let output = run(f.path(), &["logs", "patterns", "/nonexistent/a.log"]);
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("/nonexistent/a.log cannot be read"),
        "{}",
        stderr(&output)
    );
    std::fs::write(f.path().join("empty"), "").unwrap();
    let (code, v) = json(f.path(), &["logs", "patterns", &f.path().join("empty").display().to_string()]);
    assert_eq!((code, &v["lines"], &v["first_at"], v["patterns"].as_array().unwrap().len()), (0, &0.into(), &Value::Null, 0));
}
