use super::*;

fn context() -> Context {
    Context::utc(Timestamp::parse("2026-11-21T10:00:00Z").unwrap())
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what may be missing")]
fn at(text: &str) -> Option<Timestamp> {
    Some(Timestamp::parse(text).unwrap())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of formats")]
fn every_format_gives_time_level_and_message() {
    let nine = "2026-11-21T09:31:07Z";
    for (raw, time, level, message) in [
        (
            r#"{"ts":"2026-11-21T09:31:07Z","level":"error","msg":"pool exhausted","service":"checkout"}"#,
            nine,
            Some(Level::Error),
            "pool exhausted",
        ),
        (r#"{"time":1795253467000,"severity":"WARNING","message":"slow"}"#, nine, Some(Level::Warn), "slow"),
        (r#"{"t":1795253467.0,"level":50,"msg":"pino"}"#, nine, Some(Level::Error), "pino"),
        (r#"ts=2026-11-21T09:31:07Z level=warn msg="retry \"later\"" attempt=3"#, nine, Some(Level::Warn), r#"retry "later""#),
        (
            r#"10.0.0.1 - ana [21/Nov/2026:09:31:07 +0000] "GET /cart HTTP/1.1" 502 173 "-" "curl/8""#,
            nine,
            Some(Level::Error),
            "GET /cart HTTP/1.1 502",
        ),
        ("Nov 21 09:31:07 eu-3 sshd[811]: Failed password for root", nine, None, "Failed password for root"),
        ("<11>Nov 21 09:31:07 eu-3 app: broke", nine, Some(Level::Error), "broke"),
        (
            r#"<165>1 2026-11-21T09:31:07.000Z host app 12 ID47 [ex@1 k="a\"]b" z="1"][o@2] ready"#,
            nine,
            Some(Level::Info),
            "ready",
        ),
        ("<165>1 2026-11-21T09:31:07Z host app - - - text", nine, Some(Level::Info), "text"),
        ("E1121 09:31:07.000000    1 pool.go:12] exhausted", nine, Some(Level::Error), "exhausted"),
        (
            "2026-11-21 09:31:07,000 ERROR [pool-1] c.shop.Pool: exhausted",
            nine,
            Some(Level::Error),
            "[pool-1] c.shop.Pool: exhausted",
        ),
        ("2026/11/21 09:31:07 [error] 12#0: upstream timed out", nine, Some(Level::Error), "12#0: upstream timed out"),
        ("[Sat Nov 21 09:31:07.000000 2026] [core:error] x", nine, None, "[core:error] x"),
        ("[ERROR] 2026-11-21 09:31:07 level first", nine, Some(Level::Error), "level first"),
        ("21-11-2026 09:31:07 ERROR day first", nine, Some(Level::Error), "day first"),
        ("[2026-11-21 09:31:07] production.ERROR: php", nine, Some(Level::Error), "php"),
        (r#"2026-11-21T09:31:07Z stderr F {"level":"error","msg":"cri"}"#, nine, Some(Level::Error), "cri"),
        (
            r#"{"log":"ERROR: docker\n","stream":"stderr","time":"2026-11-21T09:31:07Z"}"#,
            nine,
            Some(Level::Error),
            "ERROR: docker",
        ),
        ("2026-11-21T10:31:07+01:00 [main] INFO started", nine, Some(Level::Info), "started"),
        ("E20261121 09:31:07.000000 12 pool.go:12] exhausted", nine, Some(Level::Error), "exhausted"),
        ("20261121-9:31:7|Step|3 walked", nine, None, "Step|3 walked"),
        (r#"{"t":{"$date":"2026-11-21T09:31:07.000+00:00"},"s":"W","c":"NET","msg":"slow"}"#, nine, Some(Level::Warn), "slow"),
        ("\u{1b}[2m2026-11-21T09:31:07Z\u{1b}[0m \u{1b}[31mERROR\u{1b}[0m broke", nine, Some(Level::Error), "broke"),
        ("2026-11-21 09:31:07 zookeeper connected", nine, None, "zookeeper connected"),
        ("2026-11-21 09:31:07 Zone loaded", nine, None, "Zone loaded"),
        ("2026-11-21 09:31:07 -1500 rows", nine, None, "1500 rows"),
        ("2026/11/21 - 09:31:07 | 200 | GET", nine, None, "200 | GET"),
        ("2026-11-21  9:31:07 7 [ERROR] full", nine, Some(Level::Error), "full"),
        ("Nov 21, 2026 9:31:07 AM com.x.Foo bar", nine, None, "com.x.Foo bar"),
        ("11/21/2026 9:31:07 AM INFO full", nine, Some(Level::Info), "full"),
        ("I261121 09:31:07.0 12 node.go:88] full", nine, Some(Level::Info), "full"),
        ("web-1  | 2026-11-21T09:31:07Z WARN slow", nine, Some(Level::Warn), "slow"),
        ("1:M 21 Nov 2026 09:31:07.000 * Ready", nine, None, "1:M * Ready"),
        ("E, [2026-11-21T09:31:07.000000 #12]  ERROR -- : broke", nine, Some(Level::Error), "#12]  ERROR -- : broke"),
        ("11/5/2026 9:31:07 AM INFO month first", "2026-11-05T09:31:07Z", Some(Level::Info), "month first"),
        (
            "12/11/2026 09:31:07 ERROR month first is in the future",
            "2026-11-12T09:31:07Z",
            Some(Level::Error),
            "month first is in the future",
        ),
        (
            "11/12/2026 09:31:07 ERROR day first is in the future",
            "2026-11-12T09:31:07Z",
            Some(Level::Error),
            "day first is in the future",
        ),
        ("2026-11-21 04:31:07 EST ERROR boom", nine, Some(Level::Error), "boom"),
        ("2026-11-21 10:31:07.000 CET [7] LOG:  ready", nine, Some(Level::Info), "ready"),
        ("2026-11-21 09:31:07 ESTIMATE done", nine, None, "ESTIMATE done"),
        (r#"[pod/shop-7f9/shop] {"time":"2026-11-21T09:31:07Z","level":"error","msg":"full"}"#, nine, Some(Level::Error), "full"),
        (r#"  @cee: {"ts":"2026-11-21T09:31:07Z","severity":"warn","message":"slow"}"#, nine, Some(Level::Warn), "slow"),
        (r#"{"ts":"2026-11-21T09:31:07Z","level":"info","msg":"of a list"},"#, nine, Some(Level::Info), "of a list"),
        (
            r#"{"timestamp":"2026-11-21T09:31:07Z","level":"WARN","fields":{"message":"late","n":3},"target":"a::b"}"#,
            nine,
            Some(Level::Warn),
            "late",
        ),
        (
            r#"{"version":"1.1","host":"h","short_message":"gelf","timestamp":1795253467.0,"level":3}"#,
            nine,
            Some(Level::Error),
            "gelf",
        ),
        (
            r#"{"timestamp":"2026-11-21T09:31:07Z","severity":"ERROR","jsonPayload":{"message":"gcp"}}"#,
            nine,
            Some(Level::Error),
            "gcp",
        ),
        (
            r#"{"Timestamp":"2026-11-21T09:31:07Z","Level":"Error","MessageTemplate":"n {N}","RenderedMessage":"n 7"}"#,
            nine,
            Some(Level::Error),
            "n 7",
        ),
        (r#"{"TimeUnixNano":"1795253467000000000","SeverityText":"WARN","Body":"otel"}"#, nine, Some(Level::Warn), "otel"),
        (
            r#"{"__REALTIME_TIMESTAMP":"1795253467000000","PRIORITY":"3","MESSAGE":"journal"}"#,
            nine,
            Some(Level::Error),
            "journal",
        ),
        ("WARN  [Gossip:1] 2026-11-21 09:31:07,000 Foo.java:88 - late", nine, Some(Level::Warn), "[Gossip:1] Foo.java:88 - late"),
    ] {
        let line = line(raw, context());
        assert_eq!(line.at, at(time), "{raw}");
        assert_eq!(line.level, level, "{raw}");
        assert_eq!(line.message, message, "{raw}");
    }
}

#[test]
fn a_date_without_a_year_is_the_most_recent_one() {
    assert_eq!(line("Dec 31 23:59:59 h a: x", context()).at, at("2025-12-31T23:59:59Z"));
    assert_eq!(line("Feb 29 00:00:00 h a: x", context()).at, at("2024-02-29T00:00:00Z"));
}

#[test]
fn a_line_of_unknown_format_is_a_message() {
    for raw in ["", "hello = world", "{not json}", "<999>x", "Nov 99 x", "a=b", "2026-99-99 10:00:00 x", "1795253467 ordinary"] {
        let line = line(raw, context());
        assert!(line.message.len() <= raw.len().max(1), "{raw}");
    }
    // A time inside a sentence is not the time of the line.
    assert_eq!(line("Last login at 2026-11-21 09:31:07 from db", context()).at, None);
    assert_eq!(line("web-1  | 2026-11-21T09:31:07Z up", context()).service.as_deref(), Some("web-1"));
    assert_eq!(
        line(r#"[pod/shop-7f9/shop] {"time":"2026-11-21T09:31:07Z","msg":"full"}"#, context()).service.as_deref(),
        Some("shop")
    );
    // A sentence may end in an object.
    assert_eq!(line(r#"got payload {"level":1,"other":2}"#, context()).message, r#"got payload {"level":1,"other":2}"#);
    assert_eq!(line("Information is not a level here", context()).level, None);
}

#[test]
fn stack_traces_stay_together() {
    let raw = "2026-11-21 09:31:07 ERROR boom\njava.lang.IllegalStateException: x\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException\n\tat d.E\n2026-11-21 09:31:08 INFO next\nTraceback (most recent call last):\n  File \"a.py\", line 1\nValueError: bad\n2026-11-21 09:31:09 INFO last";
    let mut joiner = Joiner::new(context());
    let mut events: Vec<LogLine> = raw.lines().flat_map(|l| joiner.push(l)).collect();
    events.extend(joiner.finish());
    let firsts: Vec<(&str, usize)> =
        events.iter().map(|e| (e.message.lines().next().unwrap_or(""), e.message.lines().count())).collect();
    assert_eq!(firsts, [("boom", 5), ("next", 4), ("last", 1)]);
}

#[test]
fn a_go_panic_and_a_private_key_are_one_event_each() {
    let events = |raw: &str| {
        let mut joiner = Joiner::new(context());
        let mut events: Vec<LogLine> = raw.lines().flat_map(|l| joiner.push(l)).collect();
        events.extend(joiner.finish());
        events.iter().map(|e| e.message.lines().count()).collect::<Vec<_>>()
    };
    let go = "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/a/b.go:3 +0x1\nexit status 2\n{\"msg\":\"next\"}";
    assert_eq!(events(go), [6, 1]);
    let key = "ERROR could not load key\n-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nxyz\n-----END RSA PRIVATE KEY-----\nINFO next";
    assert_eq!(events(key), [5, 1]);
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let mut joiner = Joiner::new(context());
        for raw in text.lines() {
            joiner.push(raw);
        }
        joiner.finish();
    }

    #[test]
    fn near_misses_of_formats_do_not_panic(text in "[<{\\[]?(1|Nov|2026)?[-/ T]?[0-9]{0,4}[:\\]>\"= a-zé]{0,30}") {
        line(&text, context());
    }
}

#[test]
fn what_every_line_of_a_stream_has_before_its_message_is_no_part_of_it() {
    let context = Context::utc(Timestamp::parse("2026-11-21T12:00:00Z").unwrap());
    let raw: Vec<String> = (0..60)
        .map(|n| format!("worker-{} 2026-11-21 09:31:{n:02},123 [pool-{}] ERROR c.s.Checkout - order {n} failed", n % 7, n % 3))
        .collect();
    let layout = Layout::learn(raw.iter().map(String::as_str), context);
    let parsed = line_of(&raw[7], &layout, context);
    assert_eq!(parsed.at, Some(Timestamp::parse("2026-11-21T09:31:07.123Z").unwrap()));
    assert_eq!((parsed.level, parsed.message.as_str()), (Some(Level::Error), "order 7 failed"));
    // Structured lines and single lines of another form stay as they are.
    let json = r#"{"time":"2026-11-21T09:31:07Z","level":"info","msg":"done","n":1}"#;
    for other in [json, "no time here"] {
        assert_eq!(line_of(other, &layout, context), line(other, context));
    }
}

/// The time, the level and the number of lines of each event of a stream, read with what its lines show.
fn events_of(raw: &str) -> Vec<(Option<String>, Option<Level>, usize)> {
    let context = Context::utc(Timestamp::parse("2026-11-21T12:00:00Z").unwrap());
    let lines: Vec<&str> = raw.lines().collect();
    let mut joiner = Joiner::new(context);
    joiner.set_layout(Layout::learn(lines.iter().copied(), context));
    let mut events: Vec<LogLine> = lines.iter().flat_map(|l| joiner.push(l)).collect();
    events.extend(joiner.finish());
    events.into_iter().map(|e| (e.at.map(Timestamp::rfc3339), e.level, e.message.lines().count())).collect()
}

/// Reads logs, and compares the first event and the number of events. An empty time is not compared.
fn check(rows: &[(&str, &str, Option<Level>, usize)]) {
    for (raw, at, level, events) in rows {
        let found = events_of(raw);
        let first = found.first().cloned().unwrap_or_default();
        if !at.is_empty() {
            assert_eq!(first.0.as_deref(), Some(*at), "{raw}\n{found:?}");
        }
        assert_eq!((first.1, found.len()), (*level, *events), "{raw}\n{found:?}");
    }
}

const NINE: &str = "2026-11-21T09:31:07Z";

/// Logs, with the time and the level of their first event and the number of events.
const STREAMS: &[(&str, &str, Option<Level>, usize)] = &[
    // Zones by place, also in winter, and years at the end.
    ("[21-Nov-2026 10:31:07 Europe/Berlin] PHP Warning:  full", NINE, Some(Level::Warn), 1),
    ("[21-Jul-2026 10:31:07 Europe/Berlin] PHP Fatal error:  full", "2026-07-21T08:31:07Z", Some(Level::Error), 1),
    (
        "[11/21/26 10:31:07:000 CET] 0000006a Pool          E   full\n[11/21/26 10:31:08:000 CET] 0000004a SystemOut     O   fine",
        NINE,
        Some(Level::Error),
        2,
    ),
    ("26/11/21 09:31:07 INFO full\n26/11/21 09:31:08 INFO fine", NINE, Some(Level::Info), 2),
    ("####<Nov 21, 2026 10:31:07,000 AM CET> <Warning> <Pool> full", NINE, Some(Level::Warn), 1),
    ("2026-Nov-21 09:31:07.000000 full", NINE, None, 1),
    ("6a201585.00000000 0x7f3a slapd starting", "2026-06-03T11:52:37Z", None, 1),
    ("9:31AM ERR full\n10:31AM INF fine", "2026-11-21T09:31:00Z", Some(Level::Error), 2),
    ("000118: .Nov 21 2026 09:31:07.000: %LINK-3-UPDOWN: down", NINE, Some(Level::Error), 1),
    // A number is no time where others have clocks, and a line of dashes is a message.
    (
        "2026-11-21 09:31:07 INFO a\n2026-11-21 09:31:08 INFO b\n7f o=- 1795253000 1795253000 IN\n2026-11-21 09:31:09 INFO ----------",
        NINE,
        Some(Level::Info),
        3,
    ),
    // What an event shows belongs to it: an answer, an indented time, the pairs of its record.
    (
        "[2026/11/21 09:31:07] [error] failed, response:\n{\"error\":{\"type\":\"x\"},\"code\":429}\n[2026/11/21 09:31:08] [ info] fine",
        NINE,
        Some(Level::Error),
        2,
    ),
    (
        "[21-Nov-2026 09:31:07 UTC] PHP Notice:  a\n    [when] => 2026-11-20 23:59:59\n[21-Nov-2026 09:31:08 UTC] PHP Notice:  b",
        NINE,
        Some(Level::Info),
        2,
    ),
    ("Sat 2026-11-21 09:31:07.000000 UTC [s=1]\n    PRIORITY=3\n    MESSAGE=full", NINE, Some(Level::Error), 1),
    ("Nov 21 09:31:07 kdc krb5kdc[812](Error): full\nNov 21 09:31:08 kdc krb5kdc[812](info): fine", NINE, Some(Level::Error), 2),
    ("<132>  id=fw time=\"2026-11-21 09:31:07 UTC\" pri=4 msg=\"full\" n=1", NINE, Some(Level::Warn), 1),
    // Levels with a mark, a facility or a number of syslog, and glued to the time.
    ("2026-11-21T09:31:07Z W! [inputs.docker] slow\n2026-11-21T09:31:08Z I! fine", NINE, Some(Level::Warn), 2),
    (
        "Sat Nov 21 09:31:07 2026 daemon.warn netifd: slow\nSat Nov 21 09:31:08 2026 daemon.info netifd: fine",
        NINE,
        Some(Level::Warn),
        2,
    ),
    ("2026-11-21T09:31:07Z Wa(180) vmkwarning: slow\n2026-11-21T09:31:08Z In(182) vmkernel: fine", NINE, Some(Level::Warn), 2),
    ("DEBUG[11-21|09:31:07.000] served\nINFO [11-21|09:31:08.000] fine", NINE, Some(Level::Debug), 2),
    // Zones of hours, the level ahead of a structure, columns of small letters, and lines within records.
    ("2026-11-21 10:31:07+01 mac installd[701]: full", NINE, None, 1),
    (
        "Nov 21 09:31:07 phone locationd(Core)[68] <Error>: {\"msg\":\"full\",\"n\":1}\nNov 21 09:31:08 phone kernel(Wifi)[0] <Notice>: fine",
        NINE,
        Some(Level::Error),
        2,
    ),
    (
        "[41022]{-1} 2026-11-21 09:31:07.000000 e Session  a.cc(00412) : full\n[41022]{-1} 2026-11-21 09:31:08.000000 i Session  a.cc(00413) : fine",
        NINE,
        Some(Level::Error),
        2,
    ),
    (
        "[4021:4021:1121/093107.000000:ERROR:gpu.cc(523)] full\n[4021:4044:1121/093108.000000:INFO:a.cc(7)] fine",
        NINE,
        Some(Level::Error),
        2,
    ),
    (
        r#"{"labels":{"app":"shop"},"line":"level=error caller=a.go:41 msg=\"full\"","timestamp":"2026-11-21T10:31:07+01:00"}"#,
        NINE,
        Some(Level::Error),
        1,
    ),
    ("HIT|200|1795253467000|41022|DE\nMISS|404|1795253468000|17|FR", NINE, None, 2),
    // A header alone on a line dates a structure.
    (
        "2026-11-21 09:31:06 INFO a\n[2026-11-21 09:31:07]\n{\"code\":429}\n2026-11-21 09:31:08 INFO b",
        "2026-11-21T09:31:06Z",
        Some(Level::Info),
        3,
    ),
    // Statuses of requests.
    (r#"{"time_local":"21/Nov/2026:09:31:07 +0000","request":"GET / HTTP/1.1","status":"502"}"#, NINE, Some(Level::Error), 1),
    ("1795253467.000    215 10.0.0.1 TCP_MISS/503 1234 GET http://a.example/ - DIRECT/1.2.3.4", NINE, Some(Level::Error), 1),
    ("event='full' timestamp='2026-11-21T09:31:07Z' level='warning' n=1", NINE, Some(Level::Warn), 1),
    ("7:X 21 Nov 2026 09:31:07.000 # +sdown master", NINE, Some(Level::Warn), 1),
    ("00:0002:2026/11/21 09:31:07.00 server  Error: 1105, Severity: 17", NINE, Some(Level::Error), 1),
    // Clocks without seconds.
    ("2026-11-21 09:31 ERROR full", "2026-11-21T09:31:00Z", Some(Level::Error), 1),
    ("21-Nov 09:31 dir JobId 7: full\n21-Nov 09:32 dir JobId 7: fine", "2026-11-21T09:31:00Z", None, 2),
    ("11/21/2026 9:31 AM full", "2026-11-21T09:31:00Z", None, 1),
    // Named levels and statuses behind a header.
    ("2026-11-21T09:31:07Z heroku[router]: at=error code=H12 method=GET status=503", NINE, Some(Level::Error), 1),
    ("2026-11-21T09:31:07Z router: method=GET path=\"/\" status=404 bytes=7", NINE, Some(Level::Warn), 1),
    // Day and month are told apart by the file.
    ("03/11/2026 09:31:07 INFO a\n21/11/2026 09:31:07 ERROR full", "2026-11-03T09:31:07Z", Some(Level::Info), 2),
    ("11/03/2026 09:31:07 INFO a\n11/21/2026 09:31:07 ERROR full", "2026-11-03T09:31:07Z", Some(Level::Info), 2),
    (
        "02/03/2026 09:31:07 INFO a\n02/04/2026 09:31:07 INFO b\n02/05/2026 09:31:07 INFO c",
        "2026-02-03T09:31:07Z",
        Some(Level::Info),
        3,
    ),
    (
        "02/03/2026 09:31:07 INFO a\n03/03/2026 09:31:07 INFO b\n04/03/2026 09:31:07 INFO c",
        "2026-03-02T09:31:07Z",
        Some(Level::Info),
        3,
    ),
    // Bytes, and elements.
    (
        r#"{"__REALTIME_TIMESTAMP":"1795253467000000","PRIORITY":"3","MESSAGE":[27,91,51,49,109,102,117,108,108]}"#,
        NINE,
        Some(Level::Error),
        1,
    ),
    (
        "<?xml version=\"1.0\"?>\n<log>\n<record>\n  <date>2026-11-21T09:31:07Z</date>\n  <level>SEVERE</level>\n  <message>full</message>\n</record>\n</log>",
        NINE,
        Some(Level::Error),
        1,
    ),
];

#[test]
fn dates_records_and_levels_are_told_apart_by_the_stream() {
    check(STREAMS);
}

/// Logs, with the time and the level of their first event and the number of events.
const FORMS: &[(&str, &str, Option<Level>, usize)] = &[
    // Times of other forms.
    ("2026-325T09:31:07,000:ERROR:full\n2026-325T09:31:08,000:INFO:fine", NINE, Some(Level::Error), 2),
    ("20261121.093107,000:ERROR:full\n20261121.093108,000:INFO:fine", NINE, Some(Level::Error), 2),
    ("Sat Nov 21 10:31:07 CET 2026 full\n  of orders", NINE, None, 1),
    ("11/21/2026-09:31:07.000000 [**] full", NINE, None, 1),
    ("2026-11-21 9:31:07 AM ERROR full", NINE, Some(Level::Error), 1),
    ("21 nov. 2026 09:31:07 ERROR full", NINE, Some(Level::Error), 1),
    ("@40000000 not a label\n@400000006a2015850000000a full", "", None, 2),
    // A time in the middle, and rows of columns.
    ("Pool::ERROR::2026-11-21 09:31:07,000::full\nsecond line of it", NINE, Some(Level::Error), 1),
    ("[pid 7] a b c d e f g h i [Sat Nov 21 09:31:07 2026] POST /x => 200", NINE, None, 1),
    ("#Fields: date time cs-method cs-uri-stem sc-status\n2026-11-21 09:31:07 GET /cart 503", NINE, Some(Level::Error), 1),
    ("time,severity,text\n2026-11-21 09:31:07,ERROR,full", NINE, Some(Level::Error), 1),
    (
        "2026-11-21 09:31:07 UTC,\"a\",7,ERROR,x1,\"full, said \"\"b\"\"\nand c\"\n2026-11-21 09:31:08 UTC,\"a\",7,LOG,x1,fine",
        NINE,
        Some(Level::Error),
        2,
    ),
    // Lines inside of others.
    ("2026-11-21T09:31:07.5Z stderr F E1121 09:31:07.000000       1 pool.go:7] full", NINE, Some(Level::Error), 1),
    ("Nov 21 09:31:07 node-1 kubelet[7]: W1121 09:31:07.000000       1 pool.go:7] full", NINE, Some(Level::Warn), 1),
    (
        "2026-11-21T09:31:07Z stdout F 2026-11-21 09:31:07 ERROR full\n2026-11-21T09:31:07Z stdout F java.lang.Error: x\n2026-11-21T09:31:07Z stdout F \tat a.B(c)",
        NINE,
        Some(Level::Error),
        1,
    ),
    ("2026-11-21T09:31:07Z stdout P ERROR pool exha\n2026-11-21T09:31:07Z stdout F usted", NINE, Some(Level::Error), 1),
    ("__REALTIME_TIMESTAMP=1795253467000000\nPRIORITY=3\nMESSAGE=full\n\n__CURSOR=x\nMESSAGE=y", NINE, Some(Level::Error), 2),
    // Structured records.
    (r#"{"requestReceivedTimestamp":"2026-11-21T09:31:07Z","verb":"get","level":"Request"}"#, NINE, None, 1),
    (
        r#"{"instant":{"epochSecond":1795253467,"nanoOfSecond":0},"error_severity":"ERROR","msg":"full"}"#,
        NINE,
        Some(Level::Error),
        1,
    ),
    (
        "{\"time\":\"2026-11-21T09:31:07Z\",\"level\":3,\"message\":\"full\"}\n{\"time\":\"2026-11-21T09:31:08Z\",\"level\":1,\"message\":\"a\"}\n{\"time\":\"2026-11-21T09:31:08Z\",\"level\":1,\"message\":\"b\"}",
        NINE,
        Some(Level::Error),
        3,
    ),
    ("{\n \"time\": \"2026-11-21T09:31:07Z\",\n \"level\": \"error\",\n \"msg\": \"full\"\n}", NINE, Some(Level::Error), 1),
    // Levels.
    ("2026-11-21T09:31:07Z app[db.7]: [x] [15-1]  err_code = 00000 ERROR:  full", NINE, Some(Level::Error), 1),
    ("2026-11-21T09:31:07Z SECURITY[7]: a.c:7 cb: Event=\"x\",Severity=\"Error\"", NINE, Some(Level::Error), 1),
    ("2026-11-21T09:31:07Z leto kernel: [8.5] su[7]: segfault at 7f1f9b891000 ip 00007f", NINE, Some(Level::Error), 1),
    ("Nov 21 2026 09:31:07 fw : %ASA-3-106014: Deny inbound", NINE, Some(Level::Error), 1),
    ("000123: *Nov 21 09:31:07.000: %LINK-3-UPDOWN: Interface down", NINE, Some(Level::Error), 1),
    ("2026-11-21T09:31:07Z ##[error]Process completed", NINE, Some(Level::Error), 1),
    (
        "Nov 21, 2026 9:31:07 AM a.b.C run\nSEVERE: full\nNov 21, 2026 9:31:08 AM a.b.C run\nINFO: fine",
        NINE,
        Some(Level::Error),
        2,
    ),
    ("2026-11-21T10:31:07+01:00\nORA-00600: full\n2026-11-21T10:31:08+01:00\nThread 1 advanced", NINE, None, 2),
    (r#"{"Records":[{"eventTime":"2026-11-21T09:31:07Z","n":1},{"eventTime":"2026-11-21T09:31:08Z","n":2}]}"#, NINE, None, 2),
    // A number is no time where there is a clock.
    ("09:31:07.0 IP a > b: seq 1700000000, win 7\n09:31:08.0 IP b > a: seq 1700000001, win 7", "", None, 2),
];

#[test]
fn a_stream_is_read_by_what_its_lines_show() {
    check(FORMS);
}
