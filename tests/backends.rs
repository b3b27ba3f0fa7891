//! Tests of the source connectors over real sockets: answers recorded from Loki, and the failures that servers and proxies
//! produce.

#[path = "support/port.rs"]
mod port;
#[path = "support/stub.rs"]
mod stub;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use stub::{Reply, Request, Stub};
use warroom::config::{Config, Overrides};
use warroom::investigate::SourceSet;
use warroom::sources::{FaultKind, LogFilter, Source, SourceError};
use warroom::telemetry::{AlertState, Explain, Timestamp, Window};

/// Creates a source from the text of a configuration file; `more` is added to its section.
fn source(kind: &str, url: &str, more: &str) -> Arc<dyn Source> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, format!("[[sources]]\nname = \"s\"\ntype = \"{kind}\"\nurl = \"{url}\"\n{more}\n")).unwrap();
    let config = Config::load(&Overrides { config: Some(path), store: None }, warroom::sources::registry::check).unwrap();
    let set = SourceSet::from_config(&config);
    assert!(set.broken.is_empty(), "{:?}", set.broken);
    set.sources[0].clone()
}

fn window() -> Window {
    Window::new(Timestamp::from_nanos(1_795_253_315_304_442_736), Timestamp::from_nanos(1_795_253_915_304_442_736))
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/loki").join(name)).unwrap()
}

const RULES: &str = r#"{"status":"success","data":{"groups":[{"rules":[{"name":"HighErrorRate","query":"a > 0.01","duration":60,"type":"alerting","labels":{"severity":"critical"},
 "alerts":[{"labels":{"alertname":"HighErrorRate","service":"check\u001b[31mout","severity":"critical"},"annotations":{"summary":"17 %"},"state":"firing","activeAt":"2026-11-21T09:27:00.5Z","value":"1.72e-01"}]}]}]}}"#;

#[tokio::test]
async fn computes_when_prometheus_alerts_fired_and_cleans_their_labels() {
    let stub = Stub::start(|_| Reply::json(RULES));
    let s = source("prometheus", &stub.url(), "");
    let alerts = s.alerts().unwrap().active().await.unwrap().value;
    let a = &alerts[0];
    assert_eq!(a.starts_at.unwrap().rfc3339(), "2026-11-21T09:28:00.5Z");
    assert_eq!(a.pending_since.unwrap().rfc3339(), "2026-11-21T09:27:00.5Z");
    assert_eq!((a.state, a.value, a.service()), (AlertState::Firing, Some(0.172), Some("checkout")));
}

#[tokio::test]
async fn alerts_and_rules_need_one_question_but_each_look_at_the_alerts_is_a_new_one() {
    let stub = Stub::start(|_| Reply::json(RULES));
    let s = source("prometheus", &stub.url(), "");
    s.alerts().unwrap().active().await.unwrap();
    let rules = s.metrics().unwrap().rules().await.unwrap().value;
    assert_eq!((rules[0].query.as_str(), stub.requests().len()), ("a > 0.01", 1));
    s.alerts().unwrap().active().await.unwrap();
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test]
async fn falls_back_to_get_when_a_proxy_rejects_post() {
    let stub = Stub::start(|r| match r.method.as_str() {
        "POST" => Reply::new(405, "text/plain", "no POST here"),
        _ => Reply::json(
            r#"{"status":"success","warnings":["partial"],"data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1795253400,"1"],[1795253415,"NaN"],[1795253430,"+Inf"]]}]}}"#,
        ),
    });
    // The path prefix of the URL is kept, even without a trailing slash.
    let s = source("prometheus", &format!("{}/prometheus", stub.url()), "");
    for _ in 0..2 {
        let answer = s.metrics().unwrap().range("up", window(), 15.0).await.unwrap();
        assert_eq!((answer.value[0].samples.len(), answer.gaps.as_slice()), (3, &["partial".to_owned()][..]));
    }
    let requests = stub.requests();
    assert_eq!(requests.iter().map(|r| r.method.as_str()).collect::<Vec<_>>(), ["POST", "GET", "GET"]);
    assert!(requests.iter().all(|r| r.path() == "/prometheus/api/v1/query_range"));
    assert_eq!(requests[2].param("query").as_deref(), Some("up"));
}

async fn query_error(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static, more: &str) -> SourceError {
    let stub = Stub::start(reply);
    source("prometheus", &stub.url(), more).metrics().unwrap().range("up", window(), 15.0).await.unwrap_err()
}

#[tokio::test]
async fn reports_each_failure_with_its_kind_and_the_server_message() {
    for (reply, kind, expected) in [
        (Reply::new(401, "text/plain", "no org id"), FaultKind::Unauthenticated, "no org id"),
        (
            Reply::new(400, "application/json", r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
            FaultKind::BadQuery,
            "parse error",
        ),
        (
            Reply::new(422, "application/json", r#"{"status":"error","errorType":"422","error":"cannot parse"}"#),
            FaultKind::BadQuery,
            "cannot parse",
        ),
        (Reply::new(500, "text/plain", "boom password=hunter2\u{1b}[2J"), FaultKind::Server, "boom password=<redacted"),
        (Reply::new(200, "text/html", "<html>login</html>"), FaultKind::Malformed, "login"),
        (
            Reply::json("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":7}}"),
            FaultKind::Malformed,
            "unexpected shape",
        ),
        (Reply::json("{\"status\":\"success\""), FaultKind::Malformed, "not what this API returns"),
    ] {
        let e = query_error(move |_| reply.clone(), "").await;
        assert_eq!(e.kind, kind, "{e}");
        assert!(e.message.contains(expected), "{e}");
        assert!(!e.message.contains("hunter2") && !e.message.contains('\u{1b}'), "{e}");
    }
}

#[tokio::test]
async fn distinguishes_a_truncated_body_a_timeout_and_a_closed_port() {
    let cut = query_error(|_| Reply { is_truncated: true, ..Reply::json("{\"status\":") }, "").await;
    assert_eq!(cut.kind, FaultKind::Unreachable, "{cut}");
    let mut slow = Reply::json("{}");
    slow.chunks[0].0 = Duration::from_secs(5);
    let slow = query_error(move |_| slow.clone(), "timeout_secs = 0.3").await;
    assert_eq!(slow.kind, FaultKind::Timeout, "{slow}");
    let port = port::reserve();
    let s = source("prometheus", &format!("http://127.0.0.1:{port}"), "");
    let closed = s.metrics().unwrap().range("up", window(), 15.0).await.unwrap_err();
    assert_eq!(closed.kind, FaultKind::Unreachable, "{closed}");
    assert!(closed.message.contains("refused"), "{closed}");
}

#[tokio::test]
async fn honours_retry_after_and_limits_retries() {
    let count = Arc::new(AtomicU32::new(0));
    let calls = Arc::clone(&count);
    let stub = Stub::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(429, "text/plain", "slow down").with_header("retry-after", "1"),
        _ => Reply::json(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#),
    });
    let s = source("prometheus", &stub.url(), "");
    let started = Instant::now();
    s.metrics().unwrap().range("up", window(), 60.0).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(950));
    assert_eq!(count.load(Ordering::SeqCst), 2);
    // A `retry-after` of an hour is not waited for, and a failing server gets three requests at most.
    let long = query_error(|_| Reply::new(503, "text/plain", "later").with_header("retry-after", "3600"), "").await;
    assert_eq!(long.kind, FaultKind::Server);
    let stub = Stub::start(|_| Reply::new(503, "text/plain", "down"));
    let s = source("prometheus", &stub.url(), "");
    s.metrics().unwrap().range("up", window(), 60.0).await.unwrap_err();
    assert_eq!(stub.requests().len(), 3);
}

#[tokio::test]
async fn sends_credentials_only_to_the_configured_host() {
    let other = Stub::start(|_| Reply::json(RULES));
    let target = format!("{}/elsewhere", other.url());
    let first = Stub::start(move |_| Reply::new(302, "text/plain", "").with_header("location", &target));
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cr3t-token").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let more = format!("auth = {{ bearer_file = \"{}\" }}\nheaders = {{ X-Scope-OrgID = \"t1\" }}", token.display());
    let s = source("prometheus", &first.url(), &more);
    s.alerts().unwrap().active().await.unwrap();
    let (at_first, at_other) = (first.requests(), other.requests());
    assert_eq!(at_first[0].header("authorization"), Some("Bearer s3cr3t-token"));
    assert_eq!(at_first[0].header("x-scope-orgid"), Some("t1"));
    assert_eq!((at_other[0].header("authorization"), at_other[0].header("x-scope-orgid")), (None, None));
}

#[tokio::test]
async fn sends_at_most_four_concurrent_requests_to_a_host() {
    let (in_flight, peak) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (current, highest) = (Arc::clone(&in_flight), Arc::clone(&peak));
    let stub = Stub::start(move |_| {
        highest.fetch_max(current.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(60));
        current.fetch_sub(1, Ordering::SeqCst);
        Reply::json(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#)
    });
    let s = source("prometheus", &stub.url(), "");
    let requests = (0..20).map(|_| s.metrics().unwrap().range("up", window(), 60.0));
    for answer in futures_util::future::join_all(requests).await {
        answer.unwrap();
    }
    assert_eq!(peak.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn alertmanager_alerts_include_silences_and_inhibitions() {
    let stub = Stub::start(|r| match r.path() {
        "/am/api/v2/alerts" => Reply::json(
            r#"[{"labels":{"alertname":"A","severity":"page"},"annotations":{},"fingerprint":"f1","startsAt":"2026-11-21T09:27:00Z","endsAt":"2026-11-21T12:00:00Z","status":{"state":"suppressed","silencedBy":["s1"],"inhibitedBy":[]}},
                {"labels":{"alertname":"B"},"fingerprint":"f2","startsAt":"2026-11-21T09:27:00Z","status":{"state":"active","silencedBy":[],"inhibitedBy":[]}},
                {"labels":{"alertname":"C"},"fingerprint":"f3","startsAt":"0001-01-01T00:00:00Z","status":{"state":"suppressed","silencedBy":[],"inhibitedBy":["f2"]}}]"#,
        ),
        _ => Reply::json(
            r#"[{"id":"s1","createdBy":"ana","comment":"migration","endsAt":"2026-11-21T10:00:00Z","status":{"state":"active"},"matchers":[]}]"#,
        ),
    });
    let s = source("alertmanager", &format!("{}/am/", stub.url()), "matchers = ['team=\"shop\"']");
    let alerts = s.alerts().unwrap().active().await.unwrap().value;
    let states: Vec<AlertState> = alerts.iter().map(|a| a.state).collect();
    assert_eq!(states, [AlertState::Suppressed, AlertState::Firing, AlertState::Suppressed]);
    assert_eq!(
        (alerts[0].silenced_by[0].created_by.as_str(), alerts[2].inhibited_by.as_slice()),
        ("ana", &["f2".to_owned()][..])
    );
    assert_eq!(stub.requests()[0].param("filter").as_deref(), Some("team=\"shop\""));
    let bad = Stub::start(|_| Reply::new(400, "application/json", "\"bad matcher format\""));
    let e = source("alertmanager", &bad.url(), "").alerts().unwrap().active().await.unwrap_err();
    assert!(e.message.contains("bad matcher format"), "{e}");
}

/// A stub that answers with responses recorded from a real Loki.
fn loki() -> Stub {
    Stub::start(|r| {
        let plain = |status, name: &str| Reply::new(status, "text/plain; charset=utf-8", fixture(name));
        match (r.path(), r.param("query").unwrap_or_default()) {
            ("/loki/api/v1/labels", _) => Reply::json(fixture("labels.body")),
            ("/loki/api/v1/status/buildinfo", _) => Reply::json(fixture("buildinfo.body")),
            (_, q) if q.contains("count_over_time") => Reply::json(fixture("query_range_matrix.body")),
            (_, q) if q.contains("nothing") => Reply::json(fixture("query_range_empty.body")),
            (_, q) if q == "{namespace=" => plain(400, "error_bad_query.body"),
            (_, q) if q.contains("|~") => Reply::json(fixture("query_range_streams.body")),
            _ => Reply::json(fixture("query_range_forward.body")),
        }
    })
}

#[tokio::test]
async fn parses_lines_and_errors_recorded_from_loki() {
    let stub = loki();
    let s = source("loki", &stub.url(), "headers = { X-Scope-OrgID = \"tenant\" }");
    assert!(s.probe().await.unwrap().detail.starts_with("version "));
    let logs = s.logs().unwrap();
    let bad = LogFilter { bad_only: true, ..LogFilter::default() };
    let lines = logs.lines(&bad, window(), 5).await.unwrap().value;
    assert!(!lines.is_empty());
    assert!(lines.iter().all(|l| l.at.is_some_and(|at| window().contains(at)) && l.service.is_some()), "{lines:?}");
    assert!(lines.windows(2).all(|w| w[0].at <= w[1].at));
    assert!(lines.iter().any(|l| l.message.contains("panic")), "{lines:?}");
    assert!(logs.query(&bad, window()).await.unwrap().starts_with("{service_name=~\".+\", level=~"));
    let all = logs.lines(&LogFilter::default(), window(), 1000).await.unwrap().value;
    assert_eq!(all.len(), 20);
    let raw = |text: &str| LogFilter { raw: Some(text.to_owned()), ..LogFilter::default() };
    assert_eq!(logs.lines(&raw("{namespace=\"nothing\"}"), window(), 5).await.unwrap().value.len(), 0);
    let e = logs.lines(&raw("{namespace="), window(), 5).await.unwrap_err();
    assert_eq!(e.kind, FaultKind::BadQuery);
    assert!(e.message.contains("parse error"), "{e}");
    assert!(stub.requests().iter().all(|r| r.header("x-scope-orgid") == Some("tenant")));
}

/// A stub Loki with these lines (nanoseconds and text, in time order). It returns pages that start at the newest line, as a
/// real Loki does. `available` returns how many of the lines exist at the n-th query.
fn loki_with(lines: Vec<(i64, String)>, available: impl Fn(u32) -> usize + Send + Sync + 'static) -> Stub {
    let queries = AtomicU32::new(0);
    Stub::start(move |r| {
        if r.path().ends_with("/labels") {
            return Reply::json(r#"{"status":"success","data":["service"]}"#);
        }
        loki_page(&lines[..lines.len().min(available(queries.fetch_add(1, Ordering::SeqCst)))], r)
    })
}

/// The page of lines that a request asks for, the newest first.
fn loki_page(lines: &[(i64, String)], r: &Request) -> Reply {
    let number = |name: &str| r.param(name).unwrap_or_else(|| panic!("{name} in {}", r.target)).parse::<i64>().unwrap();
    let (start, end, limit) = (number("start"), number("end"), usize::try_from(number("limit")).unwrap());
    let values: Vec<String> = (lines.iter().rev())
        .filter(|(at, _)| *at >= start && *at < end)
        .take(limit)
        .map(|(at, text)| format!("[\"{at}\",\"{text}\"]"))
        .collect();
    Reply::json(format!(
        r#"{{"status":"success","data":{{"resultType":"streams","result":[{{"stream":{{"service":"a"}},"values":[{}]}}]}}}}"#,
        values.join(",")
    ))
}

#[tokio::test]
async fn pages_backwards_through_loki_without_duplicates() {
    // 12,000 lines, two at each millisecond; pages of 5,000 lines from the newest back.
    let base = 1_795_253_400_000_000_000_i64;
    let stub = loki_with((0..12_000_i64).map(|i| (base + i / 2 * 1_000_000, format!("line {i}"))).collect(), |_| usize::MAX);
    let s = source("loki", &stub.url(), "");
    let answer = s.logs().unwrap().lines(&LogFilter::default(), window(), 20_000).await.unwrap();
    assert_eq!(answer.value.len(), 12_000);
    assert!(answer.gaps.is_empty(), "{:?}", answer.gaps);
    assert_eq!(answer.value[0].message, "line 0");
    let limited = s.logs().unwrap().lines(&LogFilter::default(), window(), 100).await.unwrap();
    assert_eq!((limited.value.len(), limited.gaps.len()), (100, 1));
}

#[tokio::test]
async fn asks_loki_for_error_lines_by_level() {
    let base = 1_795_253_400_000_000_000_i64;
    for labels in [r#"["level","service"]"#, r#"["service"]"#] {
        let stub = Stub::start(move |r| {
            if r.path().ends_with("/labels") {
                return Reply::json(format!(r#"{{"status":"success","data":{labels}}}"#));
            }
            // One line whose level only is that of an error, and a later one whose words only are.
            let by_level = !r.param("query").unwrap_or_default().contains("|~");
            let (at, text) = if by_level { (base, "no more connections") } else { (base + 1_000_000_000, "request failed") };
            loki_page(&[(at, text.to_owned())], r)
        });
        let s = source("loki", &stub.url(), "");
        let bad = LogFilter { bad_only: true, services: vec!["pay.eu".into()], ..LogFilter::default() };
        let window = Window::new(Timestamp::from_nanos(base), Timestamp::from_nanos(base + 60_000_000_000));
        let lines = s.logs().unwrap().lines(&bad, window, 10).await.unwrap().value;
        let texts: Vec<&str> = lines.iter().map(|l| l.message.as_str()).collect();
        assert_eq!(texts, ["no more connections", "request failed"], "{labels}");
        let newest = s.logs().unwrap().lines(&bad, window, 1).await.unwrap().value;
        assert_eq!(newest.iter().map(|l| l.message.as_str()).collect::<Vec<_>>(), ["request failed"]);
        let query = s.logs().unwrap().query(&bad, window).await.unwrap();
        let by_level = if labels.contains("level") {
            r#"{service="pay.eu", level=~"(?i)("#
        } else {
            r#"{service="pay.eu"} | detected_level=~"(?i)("#
        };
        assert!(query.starts_with(by_level) && query.split("; ").count() == 2, "{query}");
        let other = if labels.contains("level") { "level!~" } else { "| detected_level!~" };
        assert!(query.split("; ").nth(1).is_some_and(|q| q.contains("|~") && q.contains(other)), "{query}");
    }
}

#[tokio::test]
async fn asks_prometheus_3_for_label_names_with_dots() {
    let stub = Stub::start(|r| {
        Reply::json(if r.path() == "/api/v1/label/U__service_2e_name/values" {
            r#"{"status":"success","data":["checkout"]}"#
        } else {
            r#"{"status":"success","data":[]}"#
        })
    });
    let s = source("prometheus", &stub.url(), "");
    let values = |label: &'static str| {
        let metrics = s.metrics().unwrap();
        async move { metrics.label_values(label, window()).await.unwrap().value }
    };
    assert_eq!(values("service.name").await, ["checkout"]);
    assert!(values("service").await.is_empty() && values("1_größe").await.is_empty());
    let paths: Vec<String> = stub.requests().iter().map(|r| r.path().to_owned()).collect();
    assert_eq!(paths[1..], ["/api/v1/label/service/values", "/api/v1/label/U___31___gr_f6__df_e/values"]);
}

#[tokio::test]
async fn native_histograms_are_said_to_be_unread() {
    // The shapes of Prometheus 2.40 and later: samples of a histogram, and an aggregation that left them out.
    let histogram = r#"[1795253400,{"count":"60","sum":"1.8","buckets":[[0,"0.02","0.03","60"]]}]"#;
    let stub = Stub::start(move |r| {
        let query = r.param("query").unwrap_or_else(|| r.body.clone());
        Reply::json(if query.contains("max") {
            r#"{"status":"success","data":{"resultType":"matrix","result":[]},"infos":["PromQL info: ignored histogram in max aggregation (1:1)"]}"#.to_owned()
        } else {
            format!(
                r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"service":"a"}},"histograms":[{histogram}]}},{{"metric":{{"service":"b"}},"values":[[1795253400,"4"]]}}]}}}}"#
            )
        })
    });
    let s = source("prometheus", &stub.url(), "");
    let metrics = s.metrics().unwrap();
    for (query, series) in [("duration_seconds", 1), ("max(duration_seconds)", 0)] {
        let answer = metrics.range(query, window(), 15.0).await.unwrap();
        assert_eq!(answer.value.len(), series, "{query}: {:?}", answer.value);
        assert!(answer.gaps.iter().any(|g| g.contains("native histograms")), "{query}: {:?}", answer.gaps);
    }
}

#[tokio::test]
async fn obeys_the_limits_that_loki_names() {
    let base = 1_795_253_400_000_000_000_i64;
    let lines: Vec<(i64, String)> = (0..3000_i64).map(|i| (base + i * 200_000_000, format!("line {i}"))).collect();
    let minute = 60_000_000_000_i64;
    let stub = Stub::start(move |r| {
        let number = |name: &str| r.param(name).unwrap_or_default().parse::<i64>().unwrap_or(0);
        if r.path().ends_with("/labels") {
            return Reply::json(r#"{"status":"success","data":["service"]}"#);
        }
        if r.path().ends_with("/query") {
            return Reply::json(
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,"3000"]}]}}"#,
            );
        }
        if number("limit") > 400 {
            let text =
                format!("max entries limit per query exceeded, limit > max_entries_limit_per_query ({} > 400)", number("limit"));
            return Reply::new(400, "text/plain", text);
        }
        if number("end") - number("start") > 2 * minute {
            return Reply::new(400, "text/plain", "the query time range exceeds the limit (query length: 10m0s, limit: 2m)");
        }
        loki_page(&lines, r)
    });
    let s = source("loki", &stub.url(), "");
    let window = Window::new(Timestamp::from_nanos(base), Timestamp::from_nanos(base + 10 * minute));
    let all = s.logs().unwrap().lines(&LogFilter::default(), window, 50_000).await.unwrap();
    assert_eq!((all.value.len(), all.total), (3000, Some(3000)), "{:?}", all.gaps);
    assert!(all.gaps.is_empty(), "{:?}", all.gaps);
    assert_eq!((all.value[0].message.as_str(), all.value[2999].message.as_str()), ("line 0", "line 2999"));
    let refused = stub.requests().iter().filter(|r| r.param("limit").is_some_and(|l| l == "5000")).count();
    assert!(refused <= 8, "each part learns the limits once: {refused}");
    let cut = s.logs().unwrap().lines(&LogFilter::default(), window, 1000).await.unwrap();
    assert_eq!((cut.value.len(), cut.total), (1000, Some(3000)));
    assert!(cut.gaps.iter().any(|g| g == "1000 of 3000 lines were read"), "{:?}", cut.gaps);
    assert!(cut.gaps.iter().any(|g| g.starts_with("the lines of ") && g.ends_with(" were not read")), "{:?}", cut.gaps);
}

#[tokio::test]
async fn following_loki_starts_with_recent_lines_and_skips_none() {
    let now = Timestamp::from(time::OffsetDateTime::now_utc()).nanos();
    // 300 lines from the last five minutes; one more exists from the second query on.
    let lines = (0..301_i64).map(|i| (now - 300_500_000_000 + i * 1_000_000_000, format!("line {i}"))).collect();
    let stub = loki_with(lines, |query| if query == 0 { 300 } else { 301 });
    let s = source("loki", &stub.url(), "");
    let (sender, mut batches) = tokio::sync::mpsc::channel(8);
    let task = tokio::spawn(async move { s.logs().unwrap().follow(&LogFilter::default(), sender).await });
    let mut next = async || tokio::time::timeout(Duration::from_mins(1), batches.recv()).await.expect("in time").unwrap();
    let (past, live) = (next().await, next().await);
    assert!(past.is_backlog && !live.is_backlog);
    let texts: Vec<&str> = past.lines.iter().map(|l| l.message.as_str()).collect();
    assert_eq!((texts.len(), texts[0], texts[199]), (200, "line 100", "line 299"));
    assert_eq!(live.lines.iter().map(|l| l.message.as_str()).collect::<Vec<_>>(), ["line 300"]);
    task.abort();
}

#[tokio::test]
async fn shows_alerts_of_other_sources_when_one_fails() {
    let alive = Stub::start(|_| Reply::json(RULES));
    let port = port::reserve();
    let mut set = SourceSet::from_sources(vec![source("prometheus", &alive.url(), "")]);
    set.sources.push(source("alertmanager", &format!("http://127.0.0.1:{port}"), ""));
    let board = set.alerts().await;
    assert_eq!(board.alerts.len(), 1);
    let failed: Vec<&str> = board.sources.iter().filter_map(|s| s.error.as_deref()).collect();
    assert!(failed.len() == 1 && failed[0].contains("refused"), "{failed:?}");
}

/// Starts an HTTPS server with this certificate that answers one request per connection; returns its port.
async fn https(certificate: rcgen::Certificate, key: &rcgen::KeyPair) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate hangs up here.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _read = stream.read(&mut request).await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{RULES}",
                RULES.len()
            );
            let _written = stream.write_all(answer.as_bytes()).await;
            let _closed = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn trusts_a_private_authority_only_when_configured() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, &authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let port = https(certificate, &key).await;
    let url = format!("https://127.0.0.1:{port}");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority_certificate.pem()).unwrap();
    let trusted = source("prometheus", &url, &format!("tls = {{ ca_file = \"{}\" }}", ca.display()));
    assert_eq!(trusted.alerts().unwrap().active().await.unwrap().value.len(), 1);
    let untrusted = source("prometheus", &url, "").alerts().unwrap().active().await.unwrap_err();
    assert_eq!(untrusted.kind, FaultKind::Tls, "{untrusted}");
    assert!(untrusted.remedy().unwrap().contains("ca_file"));
}

/// A server that ends the handshake with an alert is not answered with advice about its own certificate.
#[tokio::test]
async fn explains_why_a_server_refuses_the_handshake() {
    // RFC 8446, section 6: handshake_failure is 40, protocol_version 70, certificate_required 116.
    for (alert, remedy) in
        [(40, "no TLS parameters in common"), (70, "no TLS parameters"), (116, "asks for a client certificate")]
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _hello = stream.read(&mut [0; 4096]);
                let _sent = stream.write_all(&[21, 3, 3, 0, 2, 2, alert]);
            }
        });
        let s = source("prometheus", &format!("https://127.0.0.1:{port}"), "");
        let error = s.alerts().unwrap().active().await.unwrap_err();
        assert_eq!(error.kind, FaultKind::Tls, "{error}");
        assert!(error.remedy().unwrap().contains(remedy), "{alert}: {:?}", error.remedy());
    }
}

#[tokio::test]
async fn reads_kubernetes_lists_page_by_page_and_reports_denied_ones() {
    let list = |items: &str, more: &str| Reply::json(format!(r#"{{"metadata":{{"continue":"{more}"}},"items":{items}}}"#));
    let scaled = |at: &str| {
        format!(
            r#"[{{"reason":"SuccessfulRescale","message":"New size: 9","lastTimestamp":"{at}","metadata":{{"namespace":"prod"}},"involvedObject":{{"kind":"HorizontalPodAutoscaler","name":"shop"}}}}]"#
        )
    };
    let (first, last) = (scaled("2026-11-21T09:16:00Z"), scaled("2026-11-21T09:18:00Z"));
    let stub = Stub::start(move |request| match (request.path(), request.param("continue").as_deref()) {
        ("/version", _) => Reply::json(r#"{"gitVersion":"v1.30.2"}"#),
        ("/api/v1/events", None) => list(&first, "2"),
        ("/api/v1/events", Some("2")) => list(&last, "3"),
        ("/api/v1/events", _) => {
            Reply::new(410, "application/json", r#"{"kind":"Status","message":"the continue parameter is too old"}"#)
        }
        _ => Reply::new(403, "application/json", r#"{"kind":"Status","message":"replicasets.apps is forbidden"}"#),
    });
    let s = source("kubernetes", &stub.url(), "");
    let detail = s.probe().await.unwrap().detail;
    assert!(detail.starts_with("Kubernetes v1.30.2; cannot read rollouts: ") && detail.contains("forbidden"), "{detail}");
    let window =
        Window::new(Timestamp::parse("2026-11-21T09:10:00Z").unwrap(), Timestamp::parse("2026-11-21T09:20:00Z").unwrap());
    let answer = s.changes().unwrap().within(window).await.unwrap();
    let changes: Vec<(Option<&str>, &str)> = answer.value.iter().map(|c| (c.service.as_deref(), c.what.as_str())).collect();
    assert_eq!(changes, [(Some("shop"), "SuccessfulRescale in prod: New size: 9"); 2]);
    assert!(
        answer.gaps.len() == 2 && answer.gaps[0].contains("forbidden") && answer.gaps[1].contains("too old"),
        "{:?}",
        answer.gaps
    );
    // If neither list may be read, the read fails. A list that is null counts as empty.
    let denied = changes_error("kubernetes", |_| Reply::new(403, "application/json", r#"{"message":"no"}"#)).await;
    assert_eq!(denied.kind, FaultKind::Denied, "{denied}");
    let empty = Stub::start(|_| Reply::json(r#"{"metadata":{},"items":null}"#));
    let s = source("kubernetes", &empty.url(), "namespace = \"shop\"");
    assert!(s.changes().unwrap().within(window).await.unwrap().value.is_empty());
}

async fn changes_error(kind: &str, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> SourceError {
    let stub = Stub::start(reply);
    source(kind, &stub.url(), "").changes().unwrap().within(window()).await.unwrap_err()
}
