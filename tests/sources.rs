//! What every source guarantees, whatever its backend. A new backend over HTTP is one line in [`HTTP_KINDS`].

#[path = "support/port.rs"]
mod port;
#[path = "support/stub.rs"]
mod stub;

use std::sync::Arc;

use stub::{Reply, Stub};
use warroom::config::{Config, Overrides};
use warroom::investigate::SourceSet;
use warroom::sources::{FaultKind, LogFilter, Source, SourceError};
use warroom::telemetry::{Explain, Timestamp, Window};

/// Each kind of source over HTTP.
const HTTP_KINDS: [&str; 4] = ["prometheus", "alertmanager", "loki", "kubernetes"];

/// A source from a configuration's text, as a user writes it.
fn source(lines: &str) -> Arc<dyn Source> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, format!("[[sources]]\nname = \"s\"\n{lines}\n")).unwrap();
    let config = Config::load(&Overrides { config: Some(path), store: None }, warroom::sources::registry::check).unwrap();
    let set = SourceSet::from_config(&config);
    assert!(set.broken.is_empty(), "{:?}", set.broken);
    set.sources[0].clone()
}

fn over_http(kind: &str, url: &str) -> Arc<dyn Source> {
    source(&format!("type = \"{kind}\"\nurl = \"{url}\"\ntimeout_secs = 2"))
}

fn window() -> Window {
    Window::before(Timestamp::from_secs(1_795_253_400), std::time::Duration::from_mins(10))
}

/// Asks everything that a source can answer, and returns the errors.
async fn ask_all(source: &dyn Source) -> Vec<SourceError> {
    let mut errors = Vec::new();
    if let Some(alerts) = source.alerts() {
        errors.extend(alerts.active().await.err());
    }
    if let Some(metrics) = source.metrics() {
        errors.extend(metrics.range("up", window(), 15.0).await.err());
        errors.extend(metrics.series("up", window()).await.err());
        errors.extend(metrics.label_values("service", window()).await.err());
        errors.extend(metrics.rules().await.err());
    }
    if let Some(logs) = source.logs() {
        errors.extend(logs.lines(&LogFilter::default(), window(), 10).await.err());
    }
    if let Some(changes) = source.changes() {
        errors.extend(changes.within(window()).await.err());
    }
    errors
}

#[tokio::test]
async fn failures_have_their_kind_and_a_remedy_and_no_secret() {
    for kind in HTTP_KINDS {
        for (reply, expected) in [
            (Reply::new(401, "text/plain", "who are you"), FaultKind::Unauthenticated),
            (Reply::new(403, "text/plain", "not yours"), FaultKind::Denied),
            (Reply::new(500, "text/plain", "boom password=hunter2\u{1b}[2J"), FaultKind::Server),
            (Reply::new(200, "text/html", "<html>please log in</html>"), FaultKind::Malformed),
        ] {
            let stub = Stub::start(move |_| reply.clone());
            let errors = ask_all(over_http(kind, &stub.url()).as_ref()).await;
            assert!(!errors.is_empty(), "{kind}: {expected:?} was taken for an answer");
            for e in errors {
                assert_eq!(e.kind, expected, "{kind}: {e}");
                let text = e.failure().line();
                assert!(!text.contains("hunter2") && !text.contains('\u{1b}'), "{kind}: {text}");
                assert!(e.remedy().is_some() || matches!(expected, FaultKind::Server | FaultKind::Malformed), "{kind}: {text}");
            }
        }
        let port = port::reserve();
        let errors = ask_all(over_http(kind, &format!("http://127.0.0.1:{port}")).as_ref()).await;
        assert!(!errors.is_empty() && errors.iter().all(|e| e.kind == FaultKind::Unreachable), "{kind}: {errors:?}");
        assert!(errors.iter().all(|e| e.to_string().contains(&format!("127.0.0.1:{port}"))), "{kind}: {errors:?}");
    }
}

/// JSON of a wrong shape is an error or an empty answer, and never a panic.
#[tokio::test]
async fn any_json_is_survived() {
    for kind in HTTP_KINDS {
        for body in [
            "null",
            "[]",
            "{}",
            "7",
            "\"x\"",
            "[null]",
            "[[]]",
            "[{}]",
            "{\"data\":null}",
            "{\"status\":\"success\",\"data\":{}}",
            "{\"status\":\"success\",\"data\":{\"result\":[{}]}}",
            "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"values\":[[null,null],[1e400,\"x\"]]}]}}",
            "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[{\"stream\":{},\"values\":[[\"x\"],[]]}]}}",
            "{\"items\":[null,{},{\"metadata\":7}]}",
            "{\"items\":[{\"metadata\":{\"creationTimestamp\":\"never\"}}],\"metadata\":{\"continue\":\"\"}}",
        ] {
            let stub = Stub::start(move |_| Reply::json(body));
            for e in ask_all(over_http(kind, &stub.url()).as_ref()).await {
                assert!(
                    matches!(e.kind, FaultKind::Malformed | FaultKind::Server | FaultKind::BadQuery | FaultKind::NotFound),
                    "{kind} {body}: {e}"
                );
            }
        }
    }
}

/// Each kind of source over files, with what its table needs; `{}` is the path.
const FILE_KINDS: [(&str, &str); 3] = [("file", "paths = [\"{}\"]"), ("changes", "paths = [\"{}\"]"), ("git", "path = \"{}\"")];

#[tokio::test]
async fn files_that_are_missing_or_garbage_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, b"\x00\xff\xfe{\"at\": 7}\n\x1b[2J\n{").unwrap();
    for (kind, table) in FILE_KINDS {
        let missing = source(&format!("type = \"{kind}\"\n{}", table.replace("{}", "/nonexistent/x")));
        match missing.probe().await {
            Ok(probe) => assert!(probe.warning.is_some(), "{kind}: {probe:?}"),
            Err(e) => assert!(e.failure().line().contains("/nonexistent/x"), "{kind}: {e}"),
        }
        let garbled = source(&format!("type = \"{kind}\"\n{}", table.replace("{}", &garbage.display().to_string())));
        for e in ask_all(garbled.as_ref()).await {
            assert!(!e.failure().line().contains('\u{1b}'), "{kind}: {e}");
        }
    }
}
