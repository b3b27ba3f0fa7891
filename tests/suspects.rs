//! Tests of `warroom suspects` on files of a made-up shop: time series, a call graph and logs.

#[path = "support/program.rs"]
mod program;

use std::fmt::Write as _;
use std::io::Write as _;

use program::{json, run, stderr, stdout};
use serde_json::Value;

const AT: i64 = 1_795_253_400;

/// A CSV table of four services with one row per minute; minute 0 is the start of the incident. The pool of `checkout` fills
/// up, `gateway` waits for it, and `quiet` never changes.
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
fn ranks_the_service_that_changed_most_first() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("i.csv"), rows(-20, 6)).unwrap();
    let at = AT.to_string();
    let (code, v) = json(f.path(), &["suspects", &path("i.csv"), "--at", &at]);
    assert_eq!((code, &services(&v)[0], v["at"].as_str()), (0, &"checkout".to_owned(), Some("2026-11-21T09:30:00Z")), "{v}");
    let first = &v["suspects"][0];
    assert_eq!((&first["rank"], &first["series"], &first["direction"]), (&1.into(), &"checkout|pool_cpu".into(), &"up".into()));
    assert_eq!((&first["changed_at"], &first["after"]), (&"2026-11-21T09:30:00Z".into(), &20.0.into()));
    assert!(first["why"].as_str().unwrap().starts_with("pool_cpu rose 3.98 → 20 at"), "{first}");
    assert!(!services(&v).contains(&"quiet".to_owned()));
    assert_eq!(v["log_patterns"], Value::Array(vec![]));
    // The same with the baseline in a separate, compressed file.
    std::fs::write(path("now.csv"), rows(0, 6)).unwrap();
    let mut gz =
        flate2::write::GzEncoder::new(std::fs::File::create(path("before.csv.gz")).unwrap(), flate2::Compression::fast());
    gz.write_all(rows(-20, 0).as_bytes()).unwrap();
    gz.finish().unwrap();
    let separate =
        json(f.path(), &["suspects", &path("now.csv"), "--baseline", &path("before.csv.gz"), "--at", "2026-11-21T09:30:00Z"]).1;
    assert_eq!(services(&separate), services(&v));
    let printed = stdout(&run(f.path(), &["suspects", &path("i.csv"), "--at", &at]));
    assert!(printed.contains("1.  checkout"), "{printed}");
}

#[test]
fn looks_for_the_cause_below_the_symptom_in_the_call_graph() {
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
        output.status.code() == Some(2) && stderr(&output).contains("Did you mean 'gateway|latency_seconds'"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn ranks_a_service_by_its_logs() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("i.csv"), "time,a|cpu\n1795253300,1\n1795253360,1\n1795253420,1\n").unwrap();
    let log = |errors: u32| {
        let mut out = String::from("time,service,message\n");
        for n in 0..200 {
            let _infallible = writeln!(out, "2026-11-21T09:30:00Z,b,\"order {n} placed, paid\"");
            if n < errors {
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
fn reports_invalid_files_with_the_position() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("no_time.csv"), "when,a|cpu\n1,2\n").unwrap();
    std::fs::write(path("bad_time.csv"), "time,a|cpu\n1795253400,2\nyesterday,3\n").unwrap();
    for (file, expected) in [("no_time.csv", "no column 'time'"), ("bad_time.csv", "row 3"), ("nowhere.csv", "cannot read")] {
        let output = run(f.path(), &["suspects", &path(file), "--at", "1795253400"]);
        assert!(output.status.code() == Some(1) && stderr(&output).contains(expected), "{file}: {}", stderr(&output));
    }
    std::fs::write(path("gaps.csv"), "time,a|cpu,b\n1795253400,,NaN\n1795253460,x,\n").unwrap();
    let (code, v) = json(f.path(), &["suspects", &path("gaps.csv"), "--at", "1795253460"]);
    assert_eq!((code, v["suspects"].as_array().unwrap().len()), (0, 0));

    // Errors about data that cannot be compared name what the file contains.
    std::fs::write(path("shop.csv"), rows(-20, 6)).unwrap();
    std::fs::write(path("other.csv"), "time,x|cpu\n1795253400,2\n").unwrap();
    std::fs::write(path("empty.csv"), "time,a|cpu\n").unwrap();
    std::fs::write(path("commas.csv"), "time,a|cpu\n1795253400,\"0,3\"\n1795253460,\"0,4\"\n").unwrap();
    for (file, at, more, expected) in [
        (
            "shop.csv",
            AT + 9000,
            &[][..],
            "no rows since 2026-11-21 12:00:00 UTC: it covers 2026-11-21 09:10:00 to 2026-11-21 09:35:00",
        ),
        ("shop.csv", AT - 9000, &[], "no rows before"),
        ("shop.csv", AT, &["--baseline", "other.csv"], "no series in common"),
        ("empty.csv", AT, &[], "has no rows"),
        ("commas.csv", AT + 60, &[], "no numbers: '0,3' in row 2, column 'a|cpu' is the first of 2 cells"),
    ] {
        let mut args = vec!["suspects".to_owned(), path(file), "--at".to_owned(), at.to_string()];
        args.extend(more.iter().map(|m| if m.starts_with("--") { (*m).to_owned() } else { path(m) }));
        let output = run(f.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.code() == Some(1) && stderr(&output).contains(expected), "{file}: {}", stderr(&output));
    }
}

#[test]
fn repairs_and_reports_a_malformed_table() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    let plain = rows(-20, 6);
    std::fs::write(path("plain.csv"), &plain).unwrap();
    let (_, expected) = json(f.path(), &["suspects", &path("plain.csv"), "--at", &AT.to_string()]);
    // Times in milliseconds, rows in reverse order, a duplicate column, a cell that is not a number, a short row.
    let mut lines: Vec<String> = plain.lines().map(|l| l.replacen(',', "000,", 1)).collect();
    lines[0] = plain.lines().next().unwrap().replacen("quiet|cpu", "quiet|cpu,quiet|cpu", 1);
    lines.iter_mut().skip(1).for_each(|l| *l = l.replacen(",7,", ",7,7,", 1));
    lines[3] = lines[3].replacen(",7,7,", ",7,banana,", 1);
    lines[1..].reverse();
    lines.push((AT - 21 * 60).to_string());
    std::fs::write(path("odd.csv"), lines.join("\n")).unwrap();
    let output = run(f.path(), &["suspects", &path("odd.csv"), "--at", &(AT * 1000).to_string(), "--json"]);
    let v: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(v, expected);
    for message in [
        "1 cell without a valid number, treated as missing; the first is 'banana' in row 25, column 'quiet|cpu'",
        "1 row with more or fewer cells than the header",
        "were sorted",
        "1 column with a duplicate name, renamed; the first is now 'quiet|cpu (2)'",
    ] {
        assert!(stderr(&output).contains(message), "{message}: {}", stderr(&output));
    }
}

#[test]
fn finds_series_that_stop_or_change_before_detection() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    let mut table = String::from("time,pay|qps,new|errors,shop|qps,late|latency\n");
    let mut normal = String::from("time,pay|qps,shop|qps,late|latency\n");
    for n in -40..10_i64 {
        let wave = n.rem_euclid(5) as f64;
        let pay = if n < -1 { format!("{}", 200.0 + wave) } else { String::new() };
        let new = if n < -2 { String::new() } else { format!("{}", 5.0 + wave / 10.0) };
        let late = if n < -6 { 0.2 } else { 2.0 } + wave / 100.0;
        let _infallible = writeln!(table, "{},{pay},{new},{},{late}", AT + 60 * n, 300.0 + wave);
        let _infallible = writeln!(normal, "{},{},{},{}", AT - 86_400 + 60 * n, 200.0 + wave, 300.0 + wave, 0.2 + wave / 100.0);
    }
    std::fs::write(path("t.csv"), table).unwrap();
    std::fs::write(path("n.csv"), normal).unwrap();
    let at = AT.to_string();
    let clock = |n: i64| warroom::telemetry::Timestamp::from_secs(AT + 60 * n).rfc3339();
    for more in [&[][..], &["--baseline", &path("n.csv")]] {
        let (_, v) = json(f.path(), &[&["suspects", &path("t.csv"), "--at", &at], more].concat());
        let suspect =
            |name: &str| v["suspects"].as_array().unwrap().iter().find(|s| s["series"] == name).cloned().unwrap_or_default();
        let (pay, late) = (suspect("pay|qps"), suspect("late|latency"));
        assert!(pay["after"].is_null() && pay["direction"] == "down" && pay["changed_at"] == clock(-2), "{pay}");
        assert!(pay["why"].as_str().unwrap().contains("→ no data"), "{pay}");
        assert_eq!(late["changed_at"], clock(-6), "{late}");
        if more.is_empty() {
            let new = suspect("new|errors");
            assert!(new["before"].is_null() && new["changed_at"] == clock(-2), "{new}");
        }
        let quiet = suspect("shop|qps");
        assert!(quiet["direction"] != "up" && quiet["changed_at"].is_null(), "{quiet}");
    }
}
