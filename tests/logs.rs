//! Tests of `warroom logs` on typical files: compressed, mixed, growing, from a pipe, with and without a baseline.

#[path = "support/program.rs"]
mod program;

use std::io::Write;
use std::process::Stdio;

use program::{json, run, stderr, stdout, warroom};
use serde_json::Value;

/// A service log whose line format is not configured anywhere; `with_errors` adds errors with a line of a stack trace.
fn service_log(lines: u32, with_errors: bool) -> String {
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
        if with_errors && n % 5 == 0 {
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
fn finds_patterns_without_format_configuration() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("a.log"), service_log(100, false)).unwrap();
    let (code, v) = json(f.path(), &["logs", "patterns", &path("a.log")]);
    assert_eq!((code, &v["lines"], &v["timed_lines"], &v["levelled_lines"]), (0, &110.into(), &110.into(), &110.into()));
    assert_eq!(templates(&v), [("order <*> placed for <*>".to_owned(), 100), ("cart <*> is empty".to_owned(), 10)]);
    assert_eq!(
        (&v["patterns"][0]["id"], &v["patterns"][0]["level"], &v["patterns"][0]["change"]),
        (&"P1".into(), &"info".into(), &Value::Null)
    );
    assert_eq!(v["first_at"], "2026-11-21T09:00:00Z");
    // With `--content` every line is a message as a whole.
    let (_, v) = json(f.path(), &["logs", "patterns", "--content", &path("a.log")]);
    assert!(templates(&v)[0].0.contains("INFO"), "{v}");
    assert_eq!(v["timed_lines"], 0);
    let printed = stdout(&run(f.path(), &["logs", "patterns", &path("a.log")]));
    assert!(printed.contains("110 lines in 2 patterns, 2026-11-21 09:00:00 to"), "{printed}");
}

#[test]
fn lists_new_patterns_first_with_a_baseline() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    std::fs::write(path("before.log"), service_log(400, false)).unwrap();
    let mut gz = flate2::write::GzEncoder::new(std::fs::File::create(path("now.log.gz")).unwrap(), flate2::Compression::fast());
    gz.write_all(service_log(200, true).as_bytes()).unwrap();
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
    // The same with zstd compression, and from a pipe.
    std::fs::write(path("now.log.zst"), zstd::bulk::compress(service_log(200, true).as_bytes(), 3).unwrap()).unwrap();
    let (_, zst) = json(f.path(), &["logs", "patterns", "--baseline", &path("before.log"), &path("now.log.zst")]);
    assert_eq!(v, zst);
    let mut child =
        warroom(f.path(), &["logs", "patterns", "-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(service_log(50, false).as_bytes()).unwrap();
    let piped: Value = serde_json::from_str(&stdout(&child.wait_with_output().unwrap())).unwrap();
    assert_eq!(piped["lines"], 55);
}

#[test]
fn assigns_every_line_to_a_pattern_with_stable_ids() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    let mut mixed = service_log(60, true).into_bytes();
    for n in 0..60 {
        mixed.extend_from_slice(format!("Nov 21 09:31:{n:02} web sshd[{n}]: Invalid user u{n} from 10.0.0.{n}\n").as_bytes());
        mixed.extend_from_slice(
            format!("{{\"time\":\"2026-11-21T09:31:{n:02}Z\",\"level\":\"warn\",\"msg\":\"slow query {n}\"}}\n").as_bytes(),
        );
        mixed.extend_from_slice(b"\xff\xfe no utf-8 \x00\n");
    }
    std::fs::write(path("mixed.log"), &mixed).unwrap();
    let assign = |out: &str| json(f.path(), &["logs", "patterns", &path("mixed.log"), "--assignments", &path(out)]).1;
    let (v, again) = (assign("one.csv"), assign("two.csv"));
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
    for expected in ["Invalid user <*> from <*>", "slow query <*>", "exhausted after <*>"] {
        assert!(templates(&v).iter().any(|(t, n)| t == expected && *n >= 12), "{expected}: {:?}", templates(&v));
    }
}

#[test]
fn reports_a_missing_file_and_accepts_an_empty_one() {
    let f = tempfile::tempdir().unwrap();
    let output = run(f.path(), &["logs", "patterns", "/nonexistent/a.log"]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("cannot read /nonexistent/a.log"), "{}", stderr(&output));
    std::fs::write(f.path().join("empty"), "").unwrap();
    let (code, v) = json(f.path(), &["logs", "patterns", &f.path().join("empty").display().to_string()]);
    assert_eq!((code, &v["lines"], &v["first_at"], v["patterns"].as_array().unwrap().len()), (0, &0.into(), &Value::Null, 0));
}

#[test]
fn groups_a_stack_trace_unless_lines_are_assigned() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    let python = "2026-11-25 10:00:01,000 ERROR request 7 failed\nTraceback (most recent call last):\n  File \"x.py\", line 3, in a\n    foo()\nValueError: z\n";
    let java = "2026-11-25 10:00:02,000 ERROR order 8 lost\njava.lang.IllegalStateException: no stock\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: gone\n\t... 3 more\n";
    let plain = "2026-11-25 10:00:03,100 INFO stopped\nno time here\n";
    std::fs::write(path("a.log"), format!("{python}{java}{plain}")).unwrap();
    let (_, v) = json(f.path(), &["logs", "patterns", &path("a.log")]);
    let all: Vec<String> = templates(&v).into_iter().map(|t| t.0).collect();
    // In a stream with times, a line without one belongs to the event before it.
    assert_eq!(all, ["request <*> failed", "order <*> lost", "stopped"]);
    assert_eq!((v["lines"].as_u64(), v["timed_lines"].as_u64()), (Some(12), Some(12)));
    let (_, each) = json(f.path(), &["logs", "patterns", &path("a.log"), "--assignments", &path("out.csv")]);
    assert!(templates(&each).len() > 8 && std::fs::read_to_string(path("out.csv")).unwrap().lines().count() == 13);
}

#[test]
fn reads_records_that_were_cut_wrapped_batched_or_named_by_columns() {
    let f = tempfile::tempdir().unwrap();
    let path = f.path().join("a.log");
    let read = |content: &str| {
        std::fs::write(&path, content).unwrap();
        json(f.path(), &["logs", "patterns", &path.display().to_string()]).1
    };
    let record = |nanos: &str, level: &str, text: &str| {
        format!(r#"{{"timeUnixNano":"{nanos}","severityText":"{level}","body":{{"stringValue":"{text}"}}}}"#)
    };
    let batch = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},"scopeLogs":[{{"logRecords":[{},{}]}}]}}]}}"#,
        record("1795253467000000000", "ERROR", "pool full"),
        record("1795253468000000000", "INFO", "order placed")
    );
    let cut = "2026-11-21T09:31:07Z stdout P {\"level\":\"error\",\"msg\":\"pool \n2026-11-21T09:31:07Z stdout F full\"}\n\
               2026-11-21T09:31:08Z stdout F {\"level\":\"info\",\"msg\":\"order placed\"}\n";
    let zeros = format!("{}2026-11-21 09:31:07 ERROR pool full\n2026-11-21 09:31:08 INFO order placed\n", "\0".repeat(100_000));
    let journal = "__REALTIME_TIMESTAMP=1795253467000000\nPRIORITY=3\nMESSAGE=pool full\n\n\
                   __REALTIME_TIMESTAMP=1795253468000000\nPRIORITY=6\nMESSAGE=order placed\n";
    for (name, content) in [("batch", batch.as_str()), ("cut", cut), ("zeros", &zeros), ("journal", journal)] {
        let v = read(content);
        let found: Vec<(String, String)> = v["patterns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| (p["template"].as_str().unwrap().to_owned(), p["level"].as_str().unwrap_or_default().to_owned()))
            .collect();
        let expected = [("pool full", "error"), ("order placed", "info")].map(|(t, l)| (t.to_owned(), l.to_owned()));
        assert_eq!(found, expected, "{name}: {v}");
        assert_eq!(v["first_at"], "2026-11-21T09:31:07Z", "{name}");
        assert_eq!(v["lines"], v["timed_lines"], "{name}");
    }
    // Comments are no messages, and each status class is a pattern of its own.
    let rows = "#Software: x\n#Date: 2026-11-21 09:31:00\n#Fields: time cs-method cs-uri-stem sc-status\n\
                09:31:07 GET /cart 200\n09:31:08 GET /cart 503\n\n09:31:09 GET /cart 200\n";
    let v = read(rows);
    let mut places: Vec<(String, u64)> = v["patterns"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| Some((p["place"].as_str()?.to_owned(), p["count"].as_u64()?)))
        .collect();
    places.sort();
    assert_eq!(places, [("GET 2xx".to_owned(), 2), ("GET 5xx".to_owned(), 1)], "{v}");
    assert!(templates(&v).iter().all(|(t, _)| !t.trim().is_empty()), "{v}");
}

#[test]
fn reports_what_was_read_and_names_unreadable_files() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    let long: String = (0..20_000)
        .map(|n| format!("2026-11-21T09:{:02}:{:02}Z INFO order {} placed\n", n / 60 % 60, n % 60, n * 7919))
        .collect();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(long.as_bytes()).unwrap();
    let compressed = gz.finish().unwrap();
    // The file name does not show that the file is compressed.
    std::fs::write(path("cut.log"), &compressed[..compressed.len() / 2]).unwrap();
    std::fs::write(path("good.log"), service_log(50, false)).unwrap();
    std::fs::write(path("wide.log"), b"\xff\xfeI\0N\0F\0O\0").unwrap();
    let run_patterns = |args: &[&str]| {
        let output = run(f.path(), &[&["logs", "patterns", "--json"], args].concat());
        let lines = serde_json::from_slice::<Value>(&output.stdout).ok().and_then(|v| v["lines"].as_u64()).unwrap_or(0);
        (output.status.code(), lines, stderr(&output))
    };
    let (code, lines, message) = run_patterns(&[&path("cut.log")]);
    assert!(
        code == Some(3) && lines > 1000 && lines < 20_000 && message.contains("the compressed data is truncated"),
        "{code:?} {lines} {message}"
    );
    let (code, lines, message) = run_patterns(&[&path("good.log"), &path("nowhere.log"), &path("wide.log")]);
    assert!(
        code == Some(3)
            && lines == 55
            && message.contains("No such file or directory (os error 2); the file is left out")
            && message.contains("iconv"),
        "{code:?} {lines} {message}"
    );
    for (file, expected) in [("wide.log", "UTF-16"), (".", "it is a directory")] {
        let (code, _, message) = run_patterns(&[&path(file)]);
        assert!(code == Some(1) && message.contains(expected), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_reading_from_a_quiet_pipe() {
    let f = tempfile::tempdir().unwrap();
    let mut child = warroom(f.path(), &["logs", "patterns", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(service_log(50, false).as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(pipe);
    let v: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), v["lines"].as_u64()), (Some(3), Some(55)));
}

#[test]
fn splits_access_log_patterns_by_status_class() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    let line = |n: usize, status: u16| {
        let (minute, second, method) = (n / 60 % 60, n % 60, if n.is_multiple_of(3) { "POST" } else { "GET" });
        format!(
            "10.0.{}.{} - - [21/Nov/2026:09:{minute:02}:{second:02} +0000] \"{method} /cart/{n} HTTP/1.1\" {status} {} \"-\" \"curl/8.{n}\"\n",
            n % 7,
            n % 251,
            n * 13
        )
    };
    std::fs::write(path("before.log"), (0..600).map(|n| line(n, 200)).collect::<String>()).unwrap();
    std::fs::write(path("now.log"), (0..600).map(|n| line(n, if n % 2 == 0 { 502 } else { 200 })).collect::<String>()).unwrap();
    let (_, v) = json(f.path(), &["logs", "patterns", "--baseline", &path("before.log"), &path("now.log")]);
    let patterns: Vec<(&str, &str, u64)> = v["patterns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["change"].as_str().unwrap(), p["level"].as_str().unwrap_or(""), p["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(patterns, [("new", "error", 200), ("new", "error", 100), ("down", "info", 200), ("down", "info", 100)], "{v}");
    std::fs::write(
        path("mail.log"),
        "{\"level\":\"warn\",\"msg\":\"no such user ana@example.com\",\"user\":\"ana@example.com\"}\n",
    )
    .unwrap();
    let (_, mail) = json(f.path(), &["logs", "patterns", &path("mail.log")]);
    assert!(!mail.to_string().contains("ana@example.com"), "{mail}");
    let printed = stdout(&run(f.path(), &["logs", "patterns", "--baseline", &path("before.log"), &path("now.log")]));
    assert!(printed.contains("GET 5xx: \"GET <*>\"") && printed.contains("POST 2xx: "), "{printed}");
}

#[test]
fn does_not_report_a_steady_rate_as_a_rise() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    let line = |second: u64, text: &str| {
        format!("2026-11-21T{:02}:{:02}:{:02}Z INFO {text}\n", second / 3600, second / 60 % 60, second % 60)
    };
    // There is a cache miss every ten seconds in both files; only the requests have stopped.
    let misses =
        |from: u64, to: u64| (from..to).step_by(10).map(|s| line(s, &format!("cache miss of {}", s * 7919))).collect::<String>();
    let requests: String = (0..36_000).map(|s| line(s, &format!("request {} ok", s * 7919))).collect();
    std::fs::write(path("before.log"), misses(0, 36_000) + &requests).unwrap();
    std::fs::write(path("now.log"), misses(40_000, 40_600)).unwrap();
    let (_, v) = json(f.path(), &["logs", "patterns", "--baseline", &path("before.log"), &path("now.log")]);
    let changes: Vec<(&str, &str)> = v["patterns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["template"].as_str().unwrap(), p["change"].as_str().unwrap()))
        .collect();
    assert_eq!(changes, [("request <*> ok", "gone"), ("cache miss of <*>", "same")]);
}

/// Two logs of one minute: a shop whose errors have traces, and JSON of a cart.
fn two_logs(folder: &std::path::Path) -> (String, String) {
    let (mut shop, mut cart) = (String::new(), String::new());
    for n in 0..60 {
        let level = if n % 10 == 3 { "ERROR" } else { "INFO" };
        shop.push_str(&format!("2026-11-21 09:31:{n:02},500 {level} [pool-{}] c.s.Checkout: order {n} handled\n", n % 4));
        if level == "ERROR" {
            shop.push_str("java.lang.IllegalStateException: pool exhausted\n\tat a.B.c(B.java:1)\n");
        }
        if n % 2 == 0 {
            cart.push_str(&format!(
                "{{\"time\":\"2026-11-21T09:31:{n:02}Z\",\"level\":\"{}\",\"msg\":\"cart {n} saved\",\"region\":\"eu-{}\"}}\n",
                ["info", "warn"][n % 4 / 2],
                n % 3
            ));
        }
    }
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(path("shop.log"), shop).unwrap();
    std::fs::write(path("cart.log"), cart).unwrap();
    (path("shop.log"), path("cart.log"))
}

#[test]
fn counts_only_the_events_that_are_selected() {
    let f = tempfile::tempdir().unwrap();
    let (shop, cart) = two_logs(f.path());
    let lines = |args: &[&str]| {
        let (code, v) = json(f.path(), &[&["logs", "patterns"], args].concat());
        (code, v["lines"].as_u64().unwrap(), templates(&v))
    };
    let errors = vec![("order <*> handled".to_owned(), 6)];
    // Each error is three lines with its trace.
    assert_eq!(lines(&[&shop, "--level", "error"]), (0, 18, errors.clone()));
    // The text of an event is that of all its lines.
    assert_eq!(lines(&[&shop, "--grep", "pool ex.*"]), (0, 18, errors));
    let window = ["--since", "2026-11-21T09:31:10Z", "--until", "2026-11-21 09:31:20"];
    assert_eq!(lines(&[&[shop.as_str()], &window[..]].concat()).1, 12);
    assert_eq!(lines(&[&shop, &cart, "--service", "cart"]).2, [("cart <*> saved".to_owned(), 30)]);
    assert_eq!(lines(&[&shop, "--grep", "no such thing"]), (1, 0, Vec::new()), "as grep");
    let output = run(f.path(), &["logs", "patterns", &shop, "--grep", "no such thing"]);
    assert!(stderr(&output).contains("none of the 72 lines that were read is selected"), "{}", stderr(&output));
    for wrong in [["--level", "loud"], ["--grep", "("], ["--since", "soonish"]] {
        assert_eq!(run(f.path(), &[&["logs", "patterns", &shop], &wrong[..]].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn orders_cuts_and_describes_patterns() {
    let f = tempfile::tempdir().unwrap();
    let (shop, cart) = two_logs(f.path());
    let (_, v) = json(f.path(), &["logs", "patterns", &shop, &cart, "--by", "region", "--examples", "2", "--sort", "first"]);
    assert_eq!(v["patterns"][0]["template"], "cart <*> saved");
    assert_eq!(v["patterns"][0]["levels"], serde_json::json!({"info": 15, "warn": 15}), "several levels are all shown");
    assert_eq!(v["patterns"][0]["by"], serde_json::json!({"values": {"eu-0": 10, "eu-1": 10, "eu-2": 10}, "other": 0}));
    assert_eq!(v["patterns"][1]["examples"][0], "2026-11-21 09:31:00,500 INFO [pool-0] c.s.Checkout: order 0 handled");
    assert_eq!(v["patterns"][1]["examples"].as_array().unwrap().len(), 2);
    let (_, v) = json(f.path(), &["logs", "patterns", &shop, &cart, "--top", "1"]);
    assert_eq!(templates(&v), [("order <*> handled".to_owned(), 60)]);
    let printed = stdout(&run(f.path(), &["logs", "patterns", &shop, &cart, "--by", "level", "--top", "1"]));
    assert!(printed.contains("level: info 54, error 6") && printed.contains("and 1 more."), "{printed}");
    assert!(!printed.contains('\u{1b}'), "no colours in a pipe");
    let (_, v) = json(f.path(), &["logs", "patterns", "--diff", &shop, &cart]);
    let changes: Vec<&str> = v["patterns"].as_array().unwrap().iter().map(|p| p["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["new", "gone"]);
    let (_, v) = json(f.path(), &["logs", "patterns", "--diff", &shop, &shop]);
    assert_eq!(templates(&v), [], "nothing differs");
}

#[test]
fn any_number_of_threads_gives_the_same_result() {
    let f = tempfile::tempdir().unwrap();
    let (shop, cart) = two_logs(f.path());
    let path = f.path().join("long.log");
    // More than one batch, with a format that changes on the way.
    let text = std::fs::read_to_string(&shop).unwrap().repeat(200) + &std::fs::read_to_string(&cart).unwrap().repeat(200);
    std::fs::write(&path, text + &service_log(5000, true)).unwrap();
    let path = path.display().to_string();
    let with = |threads: &str, more: &[&str]| {
        stdout(&run(f.path(), &[&["logs", "patterns", "--json", &path, "--threads", threads], more].concat()))
    };
    for more in [&[][..], &["--by", "region", "--level", "warn"], &["--content"]] {
        let one = with("1", more);
        assert!(one.len() > 1000, "{one}");
        for threads in ["2", "3", "16"] {
            assert_eq!(with(threads, more), one, "{threads} {more:?}");
        }
    }
}

#[test]
fn follows_a_file_that_grows_and_is_replaced() {
    let f = tempfile::tempdir().unwrap();
    let path = f.path().join("grow.log");
    std::fs::write(&path, "2026-11-21 09:31:01 ERROR pool exhausted after 7 ms\n").unwrap();
    let mut child = warroom(f.path(), &["logs", "patterns", "--follow", &path.display().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut printed = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next = || printed.next().unwrap().unwrap();
    assert!(next().ends_with("P1 pool exhausted after <*>"));
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    // Half a line is no line yet, and a known pattern is not printed again.
    write!(file, "2026-11-21 09:31:02 ERROR pool exhausted after 9 ms\n2026-11-21 09:31:03 WARN ca").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    writeln!(file, "rt is slow").unwrap();
    assert!(next().ends_with("P2 cart is slow"));
    std::fs::rename(&path, f.path().join("grow.log.1")).unwrap();
    std::fs::write(&path, "2026-11-21 09:31:04 INFO a new file\n").unwrap();
    assert!(next().ends_with("P3 a new file"));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn follows_an_event_that_comes_in_two_parts() {
    let f = tempfile::tempdir().unwrap();
    let mut child = warroom(f.path(), &["logs", "patterns", "--follow", "-", "--grep", "pool is empty"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"2026-11-21 09:31:01 ERROR cannot save\n\tat a.B.c(B.java:1)\n").unwrap();
    pipe.write_all(b"Caused by: pool is empty\n2026-11-21 09:31:02 INFO fine\n").unwrap();
    let mut printed = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert!(printed.next().unwrap().unwrap().ends_with("error P1 cannot save"));
    // The last event is complete when nothing follows for a while.
    pipe.write_all(b"2026-11-21 09:31:03 WARN pool is empty again\n").unwrap();
    assert!(printed.next().unwrap().unwrap().ends_with("warn  P2 pool is empty again"));
    drop(pipe);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn follows_a_pipe_to_its_end() {
    let f = tempfile::tempdir().unwrap();
    let mut child = warroom(f.path(), &["logs", "patterns", "--follow", "-", "--json", "--level", "warn"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(service_log(50, true).trim_end().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let v: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(templates(&v), [("exhausted after <*>".to_owned(), 10), ("cart <*> is empty".to_owned(), 5)]);
}

#[test]
fn shows_the_events_of_several_files_by_time() {
    let f = tempfile::tempdir().unwrap();
    let (shop, cart) = two_logs(f.path());
    let printed = stdout(&run(f.path(), &["logs", "show", &shop, &cart, "--until", "2026-11-21 09:31:04"]));
    let expected = "2026-11-21 09:31:00.000 INFO  cart  cart 0 saved
2026-11-21 09:31:00.500 INFO  shop  order 0 handled
2026-11-21 09:31:01.500 INFO  shop  order 1 handled
2026-11-21 09:31:02.000 WARN  cart  cart 2 saved
2026-11-21 09:31:02.500 INFO  shop  order 2 handled
2026-11-21 09:31:03.500 ERROR shop  order 3 handled
    java.lang.IllegalStateException: pool exhausted
      at a.B.c(B.java:1)
";
    assert_eq!(printed, expected);
    let fields = stdout(&run(f.path(), &["logs", "show", &cart, "--fields", "--grep", "cart 4 "]));
    assert_eq!(fields, "2026-11-21 09:31:04.000 INFO  cart 4 saved  region=eu-1\n");
    let output = run(f.path(), &["--json", "logs", "show", &shop, "--level", "error"]);
    let events: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 6);
    assert_eq!((&events[0]["at"], &events[0]["level"]), (&"2026-11-21T09:31:03.5Z".into(), &"error".into()));
    let missing = f.path().join("missing.log").display().to_string();
    assert_eq!(run(f.path(), &["logs", "show", &missing]).status.code(), Some(1));
    let output = run(f.path(), &["logs", "show", &cart, &missing]);
    assert_eq!((output.status.code(), stdout(&output).lines().count()), (Some(3), 30));
    assert_eq!(run(f.path(), &["logs", "show", &cart, "--level", "fatal"]).status.code(), Some(1));
}

#[test]
fn explains_the_format_of_a_file() {
    let f = tempfile::tempdir().unwrap();
    let (shop, cart) = two_logs(f.path());
    let printed = stdout(&run(f.path(), &["logs", "explain", &shop, "--lines", "1"]));
    let expected = "The first 72 lines: 60 with a time, 60 with a level, 12 that belong to the event before
Header (learned from 60 lines): time · level · bracket · name with a colon · message

2026-11-21 09:31:00,500 INFO [pool-0] c.s.Checkout: order 0 handled
└time─────────────────┘ └le┘ └bracke┘ └name with a┘ └message──────┘
  time     2026-11-21T09:31:00.5Z
  level    info
  message  order 0 handled
";
    assert_eq!(printed, expected);
    let (code, v) = json(f.path(), &["logs", "explain", &cart, "--lines", "1"]);
    assert_eq!((code, &v["timed"], &v["forms"]), (0, &30.into(), &serde_json::json!([])));
    let first = &v["first"][0];
    assert_eq!((&first["message"], &first["fields"]["region"]), (&"cart 0 saved".into(), &"eu-0".into()));
    let (_, v) = json(f.path(), &["logs", "explain", &shop, "--lines", "100"]);
    assert_eq!(v["first"][5]["further"], true, "a line of a trace belongs to the event before");
    assert_eq!(v["first"][0]["parts"][4], serde_json::json!({"name": "message", "text": "order 0 handled"}));
    std::fs::write(&cart, "").unwrap();
    assert_eq!(stdout(&run(f.path(), &["logs", "explain", &cart])), "The file is empty.\n");
}

#[test]
fn reads_formats_that_the_configuration_describes() {
    let f = tempfile::tempdir().unwrap();
    let path = |name: &str| f.path().join(name).display().to_string();
    let log = "#K# 21:11:26 09h31m07 cart -> pool full\n  at Pool.take\nno header here\n#N# 21:11:26 09h31m08 shop -> fine\n";
    std::fs::write(path("house.log"), log).unwrap();
    std::fs::write(path("lines.log"), "1795253467000|E12|cart|full\n1795253468000|I|cart|fine\n").unwrap();
    let lnav = r#"{"house_log": {"regex": {"std": {"pattern": "^(?<ts>\\d+)\\|(?<lvl>\\w+)\\|(?<mod>\\w+)\\|(?<body>.*)$"}},
        "timestamp-field": "ts", "timestamp-divisor": 1000, "level-field": "lvl", "module-field": "mod", "level": {"error": "^E"}}}"#;
    std::fs::write(path("house.json"), lnav).unwrap();
    let config = "[[log_formats]]\nname = 'house'\npattern = '^#(?<level>.)# (?<time>\\S+ \\S+) (?<service>\\S+) -> (?<message>.*)'\n\
                  time = '%d:%m:%y %Hh%Mm%S'\nlevels = { error = '^K$', info = '^N$' }\n[[log_formats]]\nlnav = 'house.json'\n";
    std::fs::write(path("config.toml"), config).unwrap();
    let config = path("config.toml");
    let show = |name: &str| stdout(&run(f.path(), &["--config", &config, "logs", "show", &path(name)]));
    let expected = "2026-11-21 09:31:07.000 ERROR cart  pool full\n      at Pool.take\n    no header here\n2026-11-21 09:31:08.000 INFO  shop  fine\n";
    assert_eq!(show("house.log"), expected);
    assert_eq!(show("lines.log"), "2026-11-21 09:31:07.000 ERROR cart  full\n2026-11-21 09:31:08.000 INFO  cart  fine\n");
    let explained = stdout(&run(f.path(), &["--config", &config, "logs", "explain", &path("house.log")]));
    assert!(explained.contains("  in your format 'house'\n  time     2026-11-21T09:31:07Z\n  level    error\n"), "{explained}");
    let (_, v) =
        json(f.path(), &["--config", &config, "logs", "patterns", &path("house.log"), &path("lines.log"), "--service", "cart"]);
    assert_eq!((&v["lines"], v["levelled_lines"].as_u64()), (&5.into(), Some(3)));
    for (mistake, message) in [
        (
            "[[log_formats]]\nname = 'x'\npattern = '(?<time>'\n",
            "config.toml:1: [[log_formats]] x: the pattern of 'x' cannot be used",
        ),
        ("[[log_formats]]\nname = 'x'\n", "needs either name and pattern, or lnav"),
        ("[[log_formats]]\nlnav = 'gone.json'\n", "gone.json"),
        ("[[log_formats]]\nname = 'x'\npattern = '(?<time>a)'\ntime = '%Q'\n", "'%Q' in the time format"),
    ] {
        std::fs::write(&config, mistake).unwrap();
        let output = run(f.path(), &["--config", &config, "logs", "show", &path("house.log")]);
        assert!(!output.status.success() && stderr(&output).contains(message), "{mistake}: {}", stderr(&output));
    }
}
