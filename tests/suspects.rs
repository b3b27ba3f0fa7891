//! `warroom suspects` on files of a made-up shop: series, call graph, logs.

#[path = "support/program.rs"]
mod program;

use std::fmt::Write as _;
use std::io::Write as _;

use program::{json, run, stderr, stdout};
use serde_json::Value;

const AT: i64 = 1_795_253_400;

/// Series of four services, a row a minute: twenty before the incident, six since. The pool of `checkout` runs full; `gateway`
/// waits for it; `quiet` never changes.
fn rows(from: i64, to: i64) -> String {
    let mut out = String::from(
        "time,gateway|latency_seconds,checkout|latency_seconds,db|latency_seconds,checkout|pool_cpu,quiet|cpu,gateway|requests\n",
    );
    for n in from..to {
        let wave = (n % 5) as f64 / 100.0;
        let bad = n >= 0;
        let latency = if bad { 4.0 } else { 0.1 } + wave;
        let pool = if n == 3 { String::new() } else { format!("{}", if bad { 20.0 } else { 4.0 + wave }) };
        let _infallible = writeln!(
            out,
            "{},{},{},{},{pool},7,{}",
            AT + 60 * n,
            latency + 0.05,
            latency,
            0.002 + wave / 1000.0,
            if bad { 12.0 } else { 20.0 } + wave
        );
    }
    out
}

fn services(v: &Value) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for s in v["suspects"].as_array().unwrap() {
        let service = s["service"].as_str().unwrap_or("").to_owned();
        if !out.contains(&service) {
            out.push(service);
        }
    }
    out
}

#[test]
fn the_service_that_changed_most_is_first_and_says_why() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("i.csv"), rows(-20, 6)).unwrap();
    let at = AT.to_string();
    let (code, v) = json(f.path(), &["suspects", &path("i.csv"), "--at", &at]);
    assert_eq!((code, &services(&v)[0], v["at"].as_str()), (0, &"checkout".to_owned(), Some("2026-11-21T09:30:00Z")), "{v}");
    let first = &v["suspects"][0];
    assert_eq!((&first["rank"], &first["series"], &first["direction"]), (&1.into(), &"checkout|pool_cpu".into(), &"up".into()));
    assert_eq!((&first["changed_at"], &first["after"]), (&"2026-11-21T09:30:00Z".into(), &20.0.into()));
    assert!(first["why"].as_str().unwrap().starts_with("pool_cpu rose 3.98 → 20 from"), "{first}");
    assert!(!services(&v).contains(&"quiet".to_owned()));
    assert_eq!(v["log_patterns"], Value::Array(vec![]));
    // The same with the normal times in a file of their own, packed.
    std::fs::write(path("now.csv"), rows(0, 6)).unwrap();
    let mut gz =
        flate2::write::GzEncoder::new(std::fs::File::create(path("before.csv.gz")).unwrap(), flate2::Compression::fast());
    gz.write_all(rows(-20, 0).as_bytes()).unwrap();
    gz.finish().unwrap();
    let two =
        json(f.path(), &["suspects", &path("now.csv"), "--baseline", &path("before.csv.gz"), "--at", "2026-11-21T09:30:00Z"]).1;
    assert_eq!(services(&two), services(&v));
    let printed = stdout(&run(f.path(), &["suspects", &path("i.csv"), "--at", &at]));
    assert!(printed.contains("1.  checkout"), "{printed}");
}

#[test]
fn with_symptom_and_calls_the_cause_is_looked_for_below_the_symptom() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("i.csv"), rows(-20, 6)).unwrap();
    std::fs::write(path("g.csv"), "caller,gateway,checkout,db\ngateway,0,12,\ncheckout,,,3\ndb,0,0,0\n").unwrap();
    let at = AT.to_string();
    let args = ["suspects", &path("i.csv"), "--at", &at, "--graph", &path("g.csv"), "--symptom"];
    let (_, v) = json(f.path(), &[&args[..], &["gateway|latency_seconds"]].concat());
    assert_eq!(services(&v)[0], "checkout", "{v}");
    let output = run(f.path(), &[&args[..], &["gateway|latency_second"]].concat());
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("did you mean 'gateway|latency_seconds'"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn logs_point_to_a_service_too() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("i.csv"), "time,a|cpu\n1795253300,1\n1795253360,1\n1795253420,1\n").unwrap();
    let log = |odd: u32| {
        let mut out = String::from("time,service,message\n");
        for n in 0..200 {
            let _infallible = writeln!(out, "2026-11-21T09:30:00Z,b,\"order {n} placed, paid\"");
            if n < odd {
                let _infallible = writeln!(out, "2026-11-21T09:30:00Z,b,no stock for item {n}");
            }
        }
        out
    };
    std::fs::write(path("before.csv"), log(0)).unwrap();
    std::fs::write(path("now.csv"), log(60)).unwrap();
    let args =
        ["suspects", &path("i.csv"), "--at", "1795253400", "--logs", &path("now.csv"), "--logs-baseline", &path("before.csv")];
    let (_, v) = json(f.path(), &args);
    assert_eq!((&v["suspects"][0]["service"], &v["suspects"][0]["series"]), (&"b".into(), &Value::Null), "{v}");
    let pattern = &v["log_patterns"][0];
    assert_eq!((&pattern["template"], &pattern["change"]), (&"no stock for item <*>".into(), &"new".into()));
    assert_eq!((&pattern["count"], &pattern["baseline_count"]), (&60.into(), &0.into()));
}

#[test]
fn files_that_are_not_as_expected_are_told_with_their_place() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("no_time.csv"), "when,a|cpu\n1,2\n").unwrap();
    std::fs::write(path("bad_time.csv"), "time,a|cpu\n1795253400,2\nyesterday,3\n").unwrap();
    for (file, words) in [("no_time.csv", "no column 'time'"), ("bad_time.csv", "row 3"), ("nowhere.csv", "cannot be read")] {
        let output = run(f.path(), &["suspects", &path(file), "--at", "1795253400"]);
        assert!(output.status.code() == Some(1) && stderr(&output).contains(words), "{file}: {}", stderr(&output));
    }
    std::fs::write(path("gaps.csv"), "time,a|cpu,b\n1795253400,,NaN\n1795253460,x,\n").unwrap();
    let (code, v) = json(f.path(), &["suspects", &path("gaps.csv"), "--at", "1795253400"]);
    assert_eq!((code, v["suspects"].as_array().unwrap().len()), (0, 0));
}
