use super::*;

fn context() -> Context {
    Context::utc(Timestamp::from_secs(1_795_253_400))
}

/// The message of each line, with the level and the time from its header.
fn split<'a>(lines: &[&'a str]) -> Vec<(&'a str, Option<Level>, String)> {
    let layout = Layout::learn(lines.iter().copied(), context());
    lines
        .iter()
        .map(|line| {
            let head = layout.header(line, context());
            (&line[head.message_start..], head.level, head.at.map_or_else(String::new, Timestamp::date_clock))
        })
        .collect()
}

#[test]
fn accepts_a_time_of_day_without_a_date() {
    let lines: Vec<String> =
        (0..40).map(|n| format!("09:{n:02}:07.181 INFO  f.m.s.Basic{}#360 query {n} of stations", n % 3)).collect();
    let context = Context::utc(Timestamp::parse("2026-11-21T09:30:00Z").unwrap());
    let layout = Layout::learn(lines.iter().map(String::as_str), context);
    let head = layout.header(&lines[5], context);
    assert_eq!(head.at, Timestamp::parse("2026-11-21T09:05:07.181Z").ok());
    assert_eq!((head.level, &lines[5][head.message_start..]), (Some(Level::Info), "f.m.s.Basic2#360 query 5 of stations"));
    // A time more than an hour ahead of now is from yesterday.
    assert_eq!(layout.header("10:31:00.000 INFO x", context).at, Timestamp::parse("2026-11-20T10:31:00Z").ok());
    for text in ["12:30 lunch", "at 12:30:07 it broke", "12:30:07x", "12:61:07 x"] {
        assert_eq!(layout.header(text, context).at, None, "{text}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of headers")]
fn the_message_begins_after_the_header_fields() {
    for (lines, message, level) in [
        (
            [
                "2015-10-18 18:01:47,978 INFO [main] o.a.App: Created it",
                "2015-10-18 18:01:48,963 WARN [pool 1] o.a.Pool: none left",
            ],
            "Created it",
            Some(Level::Info),
        ),
        (
            [
                "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: check pass; user unknown",
                "Jun 14 15:16:02 combo su[3]: session opened",
            ],
            "check pass; user unknown",
            None,
        ),
        (
            [
                "03-17 16:13:38.811  1702  2395 D WindowManager: printing it",
                "03-17 16:13:38.819  1702  8671 E PowerManager: ready=true",
            ],
            "printing it",
            Some(Level::Debug),
        ),
        (
            ["[10.30 16:49:06] chrome.exe - proxy:5070 open", "[10.30 16:49:07] chrome.exe *64 - proxy:80 close"],
            "proxy:5070 open",
            None,
        ),
        (
            [
                "134681 node-246 unix.hw unavailable 1077804742 1 Component is down",
                "350766 node-109 unix.hw up 1084680778 1 it is up",
            ],
            "Component is down",
            None,
        ),
        (
            ["20171223-22:15:29:606|Step_LSC|30002312|onStep 3579", "20171223-22:15:29:615|Step_SP|30002312|flush"],
            "onStep 3579",
            None,
        ),
        (
            [
                "- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL INFO cache parity error",
                "- 1117838571 2005.06.03 R02-M2 2005-06-03-15.42.51.675872 R02-M2 RAS KERNEL FATAL data storage interrupt",
            ],
            "cache parity error",
            Some(Level::Info),
        ),
        (
            ["081109 203615 148 INFO dfs.DataNode: got it", "081109 203807 222 INFO dfs.FSName: lost it"],
            "got it",
            Some(Level::Info),
        ),
        (
            ["17/06/09 20:10:40 INFO exec.Back: Registered", "17/06/09 20:10:40 INFO spark.Sec: Changing"],
            "Registered",
            Some(Level::Info),
        ),
        (
            [
                "2016-09-28 04:30:30, Info                  CBS    Loaded it",
                "2016-09-28 04:30:31, Info                  CSI    Seq 3",
            ],
            "Loaded it",
            Some(Level::Info),
        ),
        (
            [
                "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO nova.wsgi [req-1 a - - -] GET /x",
                "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.272 25746 INFO nova.wsgi [req-2 a - - -] GET /y",
            ],
            "GET /x",
            Some(Level::Info),
        ),
    ] {
        let found = split(&lines);
        assert_eq!((found[0].0, found[0].1), (message, level), "{found:?}");
        assert!(!found[0].2.is_empty());
    }
}

/// Two lines of each of the common loggers, with the message and level of the first.
#[test]
fn finds_headers_of_common_loggers() {
    for (lines, message, level) in [
        (
            ["I1121 09:31:07.123456    7 pool.go:88] full of 3", "E1121 09:31:08.123456    7 web.go:9] gone"],
            "full of 3",
            Some(Level::Info),
        ),
        (["W20261121 09:31:07.1 7 a.py:88] full", "I20261121 09:31:08.1 7 b.py:9] gone"], "full", Some(Level::Warn)),
        (
            ["2026-11-21T09:31:07Z\tINFO\tdb.pool\tpool full", "2026-11-21T09:31:08Z\tWARN\tapi\tgone now"],
            "pool full",
            Some(Level::Info),
        ),
        (["<30>Nov 21 09:31:07 h1 app[3]: pool full", "<27>Nov 21 09:31:08 h2 app[4]: gone"], "pool full", Some(Level::Info)),
        (
            ["<165>1 2026-11-21T09:31:07Z h1 app 12 ID4 - full", "<163>1 2026-11-21T09:31:08Z h2 app 7 ID5 - gone"],
            "full",
            Some(Level::Info),
        ),
        (
            ["[2026-11-21T09:31:07Z INFO  app::pool] pool full", "[2026-11-21T09:31:08Z WARN  app::web] gone"],
            "pool full",
            Some(Level::Info),
        ),
        (
            ["2026-11-21T09:31:07.1Z  INFO app::pool: full", "2026-11-21T09:31:08.1Z  WARN req{id=1 m=\"a b\"}: app::web: gone"],
            "full",
            Some(Level::Info),
        ),
        (
            [
                "2026-11-21 09:31:07.123  INFO 1 --- [           main] c.s.Pool                 : full",
                "2026-11-21 09:31:08.123  WARN 1 --- [nio-8080-exec-1] c.s.web.OrderController  : gone",
            ],
            "full",
            Some(Level::Info),
        ),
        (
            ["21-Nov-2026 09:31:07.1 INFO [main] o.a.core.Engine full", "21-Nov-2026 09:31:08.1 SEVERE [exec-3] o.a.Proto gone"],
            "full",
            Some(Level::Info),
        ),
        (
            ["[2026-11-21 09:31:07,123: INFO/MainProcess] full", "[2026-11-21 09:31:08,123: ERROR/Fork-2] gone"],
            "full",
            Some(Level::Info),
        ),
        (["1:M 21 Nov 2026 09:31:07.1 * full", "1:M 21 Nov 2026 09:31:08.1 # gone"], "full", Some(Level::Info)),
        (
            ["E, [2026-11-21T09:31:07.1 #7]  ERROR -- : full", "I, [2026-11-21T09:31:08.1 #7]  INFO -- : gone"],
            "full",
            Some(Level::Error),
        ),
        (
            [
                "[2026-11-21T09:31:07,1][INFO ][o.e.n.Node   ] [node-1] full",
                "[2026-11-21T09:31:08,1][WARN ][o.e.c.Master ] [node-2] gone",
            ],
            "full",
            Some(Level::Info),
        ),
        (["[09:31:07 INF] full", "[09:31:08 ERR] gone"], "full", Some(Level::Info)),
        (
            ["INFO  [main] 2026-11-21 09:31:07,1 A.java:8 - full", "WARN  [Read-2] 2026-11-21 09:31:08,1 B.java:9 - gone"],
            "full",
            Some(Level::Info),
        ),
        (["20261121-9:31:7:60|Step|3|full", "20261121-9:31:8:6|Walk|3|gone"], "full", None),
        (["Nov 21 09:31:07 mac launchd[1] (com.apple.x): full", "Nov 21 09:31:08 mac kernel[0]: gone"], "full", None),
        (["11-21 09:31:07.123 I/Activity(  585): full", "11-21 09:31:08.123 E/Power( 1585): gone"], "full", Some(Level::Info)),
    ] {
        let found = split(&lines);
        assert_eq!((found[0].0, found[0].1), (message, level), "{found:?}");
        assert!(found[1].0.starts_with("gone") && !found[0].2.is_empty(), "{found:?}");
    }
}

#[test]
fn finds_headers_in_streams_without_times() {
    for (lines, message, level) in [
        (["INFO:root:pool full", "ERROR:db.pool:gone"], "pool full", Some(Level::Info)),
        (["[    0.000000] pool full", "[12345.678901] gone"], "pool full", None),
    ] {
        let layout = Layout::learn(lines, context());
        let head = layout.header(lines[0], context());
        assert_eq!((&lines[0][head.message_start..], head.level, head.at), (message, level, None));
    }
    // In a stream with times, a line without one has no header.
    let layout = Layout::learn(["2026-11-21 09:31:07 INFO a", "ERROR in b", "ERROR in c"], context());
    assert_eq!(layout.header("ERROR in b", context()).message_start, 0);
}

#[test]
fn separates_mixed_formats_and_relearns_a_changed_one() {
    let tracing = |n: usize| format!("2026-11-21T09:31:{:02}Z  INFO app::pool: {n} full", n % 60);
    let spring = |n: usize| format!("2026-11-21T09:31:{:02}Z  INFO 1 --- [  main] c.s.Pool   : {n} full", n % 60);
    let nginx = |n: usize| format!("2026-11-21T09:31:{:02}Z  INFO 12#{n}: *{n} {n} full", n % 60);
    let mixed: Vec<String> = (0..100).flat_map(|n| [tracing(n), spring(n)]).collect();
    let mut layout = Layout::default();
    let mut messages = |lines: &[String]| -> Vec<String> {
        layout.learn_more(lines.iter().map(String::as_str), context());
        lines.iter().map(|l| l[layout.header(l, context()).message_start..].to_owned()).collect()
    };
    let expected: Vec<String> = (0..100).flat_map(|n| [format!("{n} full"), format!("{n} full")]).collect();
    assert_eq!(messages(&mixed), expected);
    // These lines begin like the `spring` format and then differ.
    let later: Vec<String> = (0..400).map(nginx).collect();
    assert_eq!(messages(&later)[7], "full");
}

#[test]
fn common_sentence_starts_are_not_headers() {
    let t = |n: usize| format!("2026-11-21T09:31:{:02}Z INFO", n % 60);
    for messages in [
        &["Payment failed | user=7 | 3ms", "Order placed | user=8 | 2ms", "Login | user=9 | 1ms"][..],
        &["Payment failed - user 7", "Payment accepted - user 8", "Cart emptied - user 9"],
        &["Opened connection [7] to db", "Closed connection [8] to db"],
        &["cache miss: order 7", "cache hit: order 8"],
    ] {
        let lines: Vec<String> = (0..100).map(|n| format!("{} {}", t(n), messages[n % messages.len()])).collect();
        let layout = Layout::learn(lines.iter().map(String::as_str), context());
        for (n, line) in lines.iter().enumerate() {
            assert_eq!(&line[layout.header(line, context()).message_start..], messages[n % messages.len()]);
        }
    }
    // A bracket with nothing after it is the message.
    let found = split(&["2026-11-21T09:31:07Z INFO [Broker 1]", "2026-11-21T09:31:08Z INFO [Broker 2]"]);
    assert_eq!(found[0].0, "[Broker 1]");
}

#[test]
fn finds_levels_in_tags_and_brackets() {
    let levels = |lines: &[&str]| split(lines).iter().map(|(_, level, _)| *level).collect::<Vec<_>>();
    let t = "2026-11-21 09:31:07.1 UTC [7]";
    assert_eq!(
        levels(&[&format!("{t} LOG:  a"), &format!("{t} ERROR:  b"), &format!("{t} STATEMENT:  select")]),
        [Some(Level::Info), Some(Level::Error), None]
    );
    assert_eq!(
        levels(&["[2026-11-21 09:31:07] production.ERROR: a", "[2026-11-21 09:31:07] local.INFO: b"]),
        [Some(Level::Error), Some(Level::Info)]
    );
    assert_eq!(
        levels(&["[Sat Nov 21 09:31:07 2026] [core:error] [pid 7] a", "[Sat Nov 21 09:31:07 2026] [mpm:notice] [pid 7] b"]),
        [Some(Level::Error), Some(Level::Info)]
    );
    // The `F` of a container runtime means a full line, not the level fatal.
    assert_eq!(levels(&["2026-11-21T09:31:07Z stdout F a", "2026-11-21T09:31:07Z stderr F ERROR b"]), [None, Some(Level::Error)]);
}

#[test]
fn relearns_a_kind_that_was_learned_from_one_line() {
    let mut layout = Layout::default();
    let line = |n: usize| format!("2026-11-21T09:31:07Z INFO [web-{}] app[{n}]: pool full", n % 3);
    let mut first: Vec<String> = (0..100).map(|n| format!("2026-11-21T09:31:07Z INFO a.b.C: {n}")).collect();
    first.push(line(1));
    layout.learn_more(first.iter().map(String::as_str), context());
    let later: Vec<String> = (0..200).map(line).collect();
    layout.learn_more(later.iter().map(String::as_str), context());
    assert_eq!(&later[7][layout.header(&later[7], context()).message_start..], "pool full");
}

#[test]
fn a_line_without_a_header_is_a_message() {
    let found = split(&["something happened", "\tat a.B.c(B.java:1)"]);
    assert_eq!((found[0].0, found[1].0), ("something happened", "\tat a.B.c(B.java:1)"));
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(lines in proptest::collection::vec("\\PC{0,60}", 0..12)) {
        let layout = Layout::learn(lines.iter().map(String::as_str), context());
        for line in &lines {
            let head = layout.header(line, context());
            proptest::prop_assert!(line.get(head.message_start..).is_some());
        }
    }
}

#[test]
fn a_syslog_line_without_a_time_has_a_level() {
    let found = split(&["<163>1 - h1 app 12 - [id@9 k=\"]\"] full", "<165>1 - - - - - - gone", "<165>1 -5 is no time"]);
    let actual: Vec<(&str, Option<Level>)> = found.iter().map(|(text, level, _)| (*text, *level)).collect();
    let expected = [("full", Some(Level::Error)), ("gone", Some(Level::Info)), ("<165>1 -5 is no time", None)];
    assert_eq!(actual, expected);
}

#[test]
fn levels_and_error_names_in_the_message_stay_there() {
    for (text, level) in [
        ("WARN Error budget of shop is at 1 percent", Level::Warn),
        ("INFO [shop] Debug endpoint 1 opened by admin", Level::Info),
        ("ERROR Error connecting to database db1: refused", Level::Error),
        ("ERROR TimeoutException: request 1 failed", Level::Error),
        ("ERROR java.lang.OutOfMemoryError: heap", Level::Error),
        ("ERROR ORA-00600: statement 7 failed", Level::Error),
    ] {
        let lines: Vec<String> = (0..3).map(|n| format!("2026-11-21T09:31:0{n}Z {text}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let message = text.split_once(' ').unwrap().1.trim_start_matches("[shop] ");
        assert_eq!((split(&lines)[0].0, split(&lines)[0].1), (message, Some(level)));
    }
}
