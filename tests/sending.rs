//! Tests of sending updates: what each kind of channel gets, what is recorded when servers fail, and that nothing is lost or sent twice when
//! the program is killed. The servers are real: HTTP on loopback, and Debian's aiosmtpd for e-mail.

#![cfg(unix)]

#[path = "support/program.rs"]
mod program;
#[path = "support/servers.rs"]
mod servers;
#[path = "support/stub.rs"]
mod stub;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use program::{json, run, stderr, warroom};
use serde_json::{Value, json};
use stub::{Reply, Stub};

/// Declares an incident, and writes the configuration.
fn start(folder: &Path, channels: &str) {
    std::fs::create_dir_all(folder.join("warroom")).unwrap();
    std::fs::write(folder.join("warroom/config.toml"), channels).unwrap();
    json(folder, &["declare", "--title", "payment-api is failing", "--severity", "SEV2"]);
    json(folder, &["incident", "impact", "INC-1", "--text", "17% of payments fail", "--services", "payment-api"]);
}

fn send(folder: &Path, args: &[&str]) -> Value {
    json(folder, &[&["update", "send", "INC-1"], args].concat()).1
}

fn sendings(folder: &Path) -> Vec<Value> {
    json(folder, &["update", "list", "INC-1"]).1["sendings"].as_array().unwrap().clone()
}

fn body(request: &stub::Request) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

/// The APIs of all services, as far as they are used.
fn services() -> Stub {
    let messages = AtomicUsize::new(1);
    Stub::start(move |r| {
        let n = messages.fetch_add(1, Ordering::SeqCst);
        match (r.method.as_str(), r.path()) {
            ("POST", "/slack/chat.postMessage" | "/slack/chat.update") => {
                Reply::json(format!(r#"{{"ok":true,"channel":"C0123","ts":"1700000000.00010{n}"}}"#))
            }
            ("POST", "/slack-webhook") => Reply::new(200, "text/plain", "ok"),
            ("POST", "/teams") => Reply::new(202, "text/plain", ""),
            ("POST" | "PATCH", path) if path.starts_with("/discord/") => Reply::json(format!(r#"{{"id":"9{n}"}}"#)),
            ("POST", "/hook") => Reply::new(204, "text/plain", ""),
            ("POST", "/pd/incidents/Q1/notes") => Reply::new(201, "application/json", r#"{"note":{"id":"N1"}}"#),
            ("POST", "/pd/incidents/Q1/status_updates") => Reply::json(r#"{"status_update":{"id":"S1"}}"#),
            ("POST" | "PATCH", path) if path.starts_with("/sp/pages/p1/incidents") => Reply::json(r#"{"id":"spinc"}"#),
            ("POST" | "PATCH", path) if path.starts_with("/gh/repos/acme/shop/issues/") => {
                Reply::new(201, "application/json", r#"{"id":77}"#)
            }
            _ => Reply::new(404, "application/json", r#"{"message":"Not Found"}"#),
        }
    })
}

/// A channel of each kind that the stub serves.
fn all_channels(server: &Stub) -> String {
    let url = server.url();
    let token = "token_command = [\"echo\", \"T0K3N\"]";
    format!(
        r#"
[[channels]]
name = "bot"
type = "slack"
url = "{url}/slack"
{token}
channel = "C0123"
[[channels]]
name = "incoming"
type = "slack-webhook"
url = "{url}/slack-webhook"
[[channels]]
name = "teams"
type = "teams"
url_command = ["echo", "{url}/teams"]
[[channels]]
name = "discord"
type = "discord"
url = "{url}/discord/w1"
[[channels]]
name = "hook"
type = "webhook"
url = "{url}/hook"
secret_command = ["echo", "S3CRET"]
[[channels]]
name = "pd"
type = "pagerduty"
url = "{url}/pd"
{token}
from = "ana@example.org"
[[channels]]
name = "pd-note"
type = "pagerduty"
url = "{url}/pd"
{token}
from = "ana@example.org"
post = "note"
target = "Q1"
[[channels]]
name = "status"
type = "statuspage"
url = "{url}/sp"
{token}
page = "p1"
components = ["c1"]
[[channels]]
name = "issue"
type = "github"
url = "{url}/gh"
{token}
project = "acme/shop"
[[channels]]
name = "log"
type = "file"
path = "updates.md"
"#
    )
}

#[test]
fn each_kind_of_channel_gets_the_text_in_its_own_form() {
    let f = tempfile::tempdir().unwrap();
    let (d, server) = (f.path(), services());
    start(d, &all_channels(&server));
    let text = d.join("text.md");
    std::fs::write(&text, "Payments fail <again>\n\n**Impact**: 17% & rising, see [status](https://s.example/1).\n\n- @here\n")
        .unwrap();
    let file = text.display().to_string();
    let to = |channel: &str, audience: &str, more: &[&str]| {
        send(d, &[&["--channel", channel, "--audience", audience, "--text-file", &file], more].concat())
    };
    // Without --yes, nothing is sent, and the preview is what is sent with it.
    let shown = to("bot", "technical", &[]);
    assert_eq!((&shown["done"], &shown["outcome"]), (&false.into(), &"not_sent".into()));
    assert!(shown["preview"].as_str().unwrap().contains("/slack/chat.postMessage") && server.requests().is_empty(), "{shown}");
    let sent = to("bot", "technical", &["--yes"]);
    assert_eq!((&sent["done"], &sent["outcome"], &sent["preview"]), (&true.into(), &"sent".into(), &shown["preview"]));
    let first = &server.requests()[0];
    assert_eq!(first.header("authorization"), Some("Bearer T0K3N"));
    let blocks = body(first)["blocks"].clone();
    assert_eq!(blocks[0]["text"]["text"], "Payments fail <again>");
    assert_eq!(blocks[1]["text"]["text"], "*Impact*: 17% &amp; rising, see <https://s.example/1|status>.\n\n• @here");
    let preview: Value = serde_json::from_str(shown["preview"].as_str().unwrap().split_once("\n\n").unwrap().1).unwrap();
    assert_eq!(preview, body(first), "the preview is exact");

    for (channel, audience, more) in [
        ("incoming", "technical", &["--yes"][..]),
        ("teams", "executive", &["--yes"]),
        ("discord", "technical", &["--yes"]),
        ("hook", "technical", &["--yes"]),
        ("pd", "technical", &["--yes", "--target", "Q1"]),
        ("pd-note", "technical", &["--yes"]),
        ("status", "customer", &["--yes", "--override", "approved by legal"]),
        ("issue", "technical", &["--yes", "--target", "42"]),
        ("log", "technical", &["--yes"]),
    ] {
        let sent = to(channel, audience, more);
        assert_eq!((channel, &sent["outcome"]), (channel, &"sent".into()), "{sent}");
    }
    let asked = server.requests();
    let of = |path: &str| asked.iter().find(|r| r.path() == path).unwrap_or_else(|| panic!("nothing was sent to {path}"));
    let card = body(of("/teams"))["attachments"][0].clone();
    assert_eq!(
        (&card["contentType"], &card["content"]["type"]),
        (&"application/vnd.microsoft.card.adaptive".into(), &"AdaptiveCard".into())
    );
    let discord = of("/discord/w1");
    assert!(discord.target.ends_with("?wait=true") && body(discord)["allowed_mentions"] == json!({"parse": []}));
    let hook = of("/hook");
    assert_eq!(hook.header("webhook-id"), body(hook)["key"].as_str());
    assert_eq!(body(hook)["text"], "**Impact**: 17% & rising, see [status](https://s.example/1).\n\n- @here");
    check_signature(hook);
    let update = body(of("/pd/incidents/Q1/status_updates"));
    assert!(update["message"].as_str().unwrap().starts_with("Payments fail <again>\n\nImpact: 17% & rising"), "{update}");
    assert_eq!(of("/pd/incidents/Q1/notes").header("from"), Some("ana@example.org"));
    let page = body(of("/sp/pages/p1/incidents"));
    assert_eq!(page["incident"]["status"], "investigating");
    assert_eq!(
        (&page["incident"]["deliver_notifications"], &page["incident"]["components"]["c1"]),
        (&false.into(), &"partial_outage".into())
    );
    let comment = body(of("/gh/repos/acme/shop/issues/42/comments"));
    assert!(comment["body"].as_str().unwrap().starts_with("### Payments fail <again>\n\n**Impact**"), "{comment}");
    assert!(std::fs::read_to_string(d.join("updates.md")).unwrap().contains("## Payments fail <again>"));

    // One text for the same readers is one update, however many channels it went through; no secret is stored.
    let all = json(d, &["incident", "show", "INC-1"]).1;
    let published = all["timeline"].as_array().unwrap().iter().filter(|e| e["kind"] == "update_published").count();
    assert_eq!(published, 3, "technical, executive, customer");
    let stored = format!("{all}{:?}", sendings(d));
    assert!(!stored.contains("T0K3N") && !stored.contains("S3CRET") && !stored.contains("/teams"), "a secret is stored");
}

#[test]
fn later_messages_follow_the_first_one_and_edits_replace_the_last_one() {
    let f = tempfile::tempdir().unwrap();
    let (d, server) = (f.path(), services());
    start(d, &all_channels(&server));
    let text = d.join("text.md");
    let file = text.display().to_string();
    let to = |channel: &str, audience: &str, more: &[&str]| {
        send(d, &[&["--channel", channel, "--audience", audience, "--text-file", &file, "--yes"], more].concat())
    };
    std::fs::write(&text, "Payments fail\n\nThe next update follows by 17:00 UTC.\n").unwrap();
    to("bot", "technical", &[]);
    to("status", "customer", &[]);
    to("pd", "technical", &["--target", "Q1"]);
    to("discord", "technical", &[]);
    to("issue", "technical", &["--target", "42"]);
    to("hook", "technical", &[]);
    // Later messages join the thread, update the same incident of the status page, and go to the same target.
    std::fs::write(&text, "Fixed\n\nThe next update follows by 18:00 UTC.\n").unwrap();
    to("bot", "technical", &[]);
    to("status", "customer", &["--stage", "monitoring"]);
    to("pd", "technical", &[]);
    let asked = server.requests();
    let last = |part: &str| asked.iter().rev().find(|r| r.path().contains(part)).unwrap();
    assert_eq!(body(last("chat.postMessage"))["thread_ts"], "1700000000.000101");
    assert_eq!((last("/sp/").method.as_str(), last("/sp/").path()), ("PATCH", "/sp/pages/p1/incidents/spinc"));
    assert!(body(last("/sp/"))["incident"].get("name").is_none() && last("/pd/").path().contains("/Q1/"));
    // Editing changes the last message instead of sending another one.
    std::fs::write(&text, "Fixed\n\nThe next update follows by 19:00 UTC.\n").unwrap();
    for (channel, path) in [
        ("bot", "/slack/chat.update"),
        ("discord", "/discord/w1/messages/94"),
        ("issue", "/gh/repos/acme/shop/issues/comments/77"),
    ] {
        let sent = to(channel, "technical", &["--edit"]);
        assert_eq!((&sent["outcome"], server.requests().last().unwrap().path()), (&"sent".into(), path), "{sent}");
    }
    let (code, refused) = json(d, &["update", "send", "INC-1", "--channel", "hook", "--audience", "technical", "--edit"]);
    assert!(code == 1 && refused.to_string().contains("cannot edit"), "{refused}");
}

/// The signature that a receiver computes with Python's standard library.
fn check_signature(request: &stub::Request) {
    let program = "import base64, hashlib, hmac, sys\n\
        key, id, at, body = b'S3CRET', sys.argv[1], sys.argv[2], sys.argv[3]\n\
        print('v1,' + base64.b64encode(hmac.new(key, f'{id}.{at}.{body}'.encode(), hashlib.sha256).digest()).decode())\n\
        print('sha256=' + hmac.new(key, body.encode(), hashlib.sha256).hexdigest())";
    let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let args = ["-c", program, &header("webhook-id"), &header("webhook-timestamp"), &request.body];
    let output = std::process::Command::new("python3").args(args).output().unwrap();
    let expected = String::from_utf8(output.stdout).unwrap();
    assert_eq!(format!("{}\n{}\n", header("webhook-signature"), header("x-signature-256")), expected);
}

#[test]
fn texts_for_customers_with_open_points_need_a_reason() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    start(d, "[[channels]]\nname = \"log\"\ntype = \"file\"\npath = \"updates.md\"\n");
    let text = d.join("t.md");
    std::fs::write(&text, "ana thinks payment-api on 10.0.0.7 is down.").unwrap();
    let args = ["--channel", "log", "--audience", "customer", "--text-file", &text.display().to_string(), "--yes"];
    let (code, refused) = json(d, &[&["update", "send", "INC-1"], &args[..]].concat());
    assert_eq!((code, &refused["outcome"], &refused["done"]), (1, &"refused".into(), &false.into()), "{refused}");
    let kinds: BTreeSet<&str> = refused["hits"].as_array().unwrap().iter().map(|h| h["kind"].as_str().unwrap()).collect();
    for kind in ["person", "service", "address", "no_next_update"] {
        assert!(kinds.contains(kind), "{kind}: {refused}");
    }
    assert!(!d.join("updates.md").exists() && sendings(d).is_empty());
    let sent = send(d, &[&args[..], &["--override", "legal approved the names"]].concat());
    assert_eq!(sent["outcome"], "sent", "{sent}");
    let recorded = sendings(d);
    assert_eq!(recorded[0]["override"], "legal approved the names");
    assert_eq!(recorded[0]["hits"].as_array().unwrap().len(), refused["hits"].as_array().unwrap().len());
    let shown = json(d, &["incident", "show", "INC-1"]).1.to_string();
    assert!(shown.contains("legal approved the names"), "the timeline says why");
    // Briefs are not for customers, and a channel can be kept from some readers.
    let (code, refused) =
        json(d, &["update", "send", "INC-1", "--channel", "log", "--audience", "customer", "--brief", "handover"]);
    assert!(code == 1 && refused.to_string().contains("not for customers"), "{refused}");
    let sent = send(d, &["--channel", "log", "--audience", "technical", "--brief", "handover", "--yes"]);
    assert_eq!(sent["outcome"], "sent");
    assert!(std::fs::read_to_string(d.join("updates.md")).unwrap().contains("# Handover: INC-1"));
}

/// What a server does with a request: its status and body; `None` closes the connection without an answer.
type Answer = Option<(u16, &'static str)>;

/// A server that gives its answers in order, the last one for ever, and counts the requests.
fn answering(answers: &'static [Answer]) -> (u16, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let Ok(_request) = stub::read_request(&stream) else { continue };
            let n = counted.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            if let Some((status, body)) = answers[n] {
                let head = format!(
                    "HTTP/1.1 {status} X\r\nretry-after: 0\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _closed = std::io::Write::write_all(&mut stream, format!("{head}{body}").as_bytes());
            }
        }
    });
    (port, count)
}

#[test]
fn outcomes_are_recorded_as_they_are_and_only_safe_attempts_are_repeated() {
    // The kind of channel, the answers, the outcome, and how many requests were made.
    let cases: &[(&str, &'static [Answer], &str, usize)] = &[
        ("webhook", &[Some((200, ""))], "sent", 1),
        ("webhook", &[Some((429, "")), Some((200, ""))], "sent", 2),
        ("webhook", &[Some((500, "")), Some((200, ""))], "sent", 2),
        ("webhook", &[None, Some((200, ""))], "sent", 2),
        ("webhook", &[Some((429, "slow down"))], "failed", 4),
        ("webhook", &[None], "unknown", 4),
        ("webhook", &[Some((404, r#"{"message":"no such hook"}"#))], "refused", 1),
        ("webhook", &[Some((302, ""))], "refused", 1),
        // What may have arrived is not known to have failed because a later attempt did.
        ("webhook", &[None, Some((404, ""))], "unknown", 2),
        ("slack-webhook", &[Some((200, "ok"))], "sent", 1),
        ("slack-webhook", &[Some((429, "")), Some((200, "ok"))], "sent", 2),
        ("slack-webhook", &[Some((500, "rollup_error"))], "unknown", 1),
        ("slack-webhook", &[Some((200, "<html>sign in</html>"))], "unknown", 1),
        ("slack-webhook", &[None], "unknown", 1),
        ("slack-webhook", &[Some((404, "no_service"))], "refused", 1),
    ];
    for (kind, answers, outcome, requests) in cases {
        let f = tempfile::tempdir().unwrap();
        let d = f.path();
        let (port, count) = answering(answers);
        start(d, &format!("[[channels]]\nname = \"c\"\ntype = \"{kind}\"\nurl = \"http://127.0.0.1:{port}/x\"\n"));
        std::fs::write(d.join("t.md"), "All payments fail.").unwrap();
        let args = ["update", "send", "INC-1", "--channel", "c", "--audience", "technical", "--text-file", "t.md", "--yes"];
        let (code, sent) = json(d, &args);
        let found = (sent["outcome"].as_str().unwrap(), count.load(Ordering::SeqCst));
        assert_eq!(found, (*outcome, *requests), "{kind} {answers:?}: {sent}");
        assert_eq!((code, &sent["done"]), (i32::from(*outcome != "sent"), &(*outcome == "sent").into()));
        assert_eq!(sendings(d)[0]["outcome"], *outcome);
        let updates = json(d, &["incident", "show", "INC-1"]).1.to_string().matches("\"update_published\"").count();
        assert_eq!(updates, usize::from(*outcome == "sent"), "only what arrived is an update");
        // The same command again sends nothing twice: not what was sent, and not what may have been.
        let (code, again) = json(d, &args);
        match (*outcome, *kind) {
            ("sent", _) => assert_eq!((code, &again["outcome"], count.load(Ordering::SeqCst)), (0, &"sent".into(), *requests)),
            ("unknown", "slack-webhook") => {
                assert_eq!((code, &again["outcome"], count.load(Ordering::SeqCst)), (1, &"unknown".into(), *requests));
                let key = again["idempotency_key"].clone();
                let (_, by_hand) = json(d, &[&args[..], &["--again"]].concat());
                assert_eq!((&by_hand["idempotency_key"], count.load(Ordering::SeqCst)), (&key, requests + 1), "a person may");
            }
            _ => assert!(count.load(Ordering::SeqCst) > *requests, "{again}"),
        }
    }
    // A server that is not there.
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    let port = servers::reserve();
    start(d, &format!("[[channels]]\nname = \"c\"\ntype = \"teams\"\nurl = \"http://127.0.0.1:{port}/x?sig=T0K3N\"\n"));
    let sent = send(d, &["--channel", "c", "--audience", "technical", "--yes"]);
    assert_eq!(sent["outcome"], "failed", "{sent}");
    assert!(!sent["detail"].as_str().unwrap().contains("T0K3N"), "{sent}");
}

/// A code host whose answers to new comments are lost. It keeps the comments whose number is in `keeps`, counted from 0, and lists them.
fn code_host(keeps: std::ops::Range<usize>) -> Stub {
    let (posted, comments) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    Stub::start(move |r| match r.method.as_str() {
        "POST" => {
            let n = posted.fetch_add(1, Ordering::SeqCst);
            if keeps.contains(&n) {
                comments.lock().unwrap().push(json!({"id": 500 + n, "body": body(r)["body"]}));
            }
            Reply::new(502, "text/html", "<html>Bad gateway</html>")
        }
        "GET" => {
            let since = r.param("since").unwrap();
            assert!(since.ends_with('Z') && r.param("per_page").as_deref() == Some("100"), "{since}");
            let mut shown = vec![json!({"id": 1, "body": "What others wrote"})];
            shown.extend(comments.lock().unwrap().iter().cloned());
            Reply::json(Value::from(shown).to_string())
        }
        _ => Reply::json(r#"{"id":500}"#),
    })
}

#[test]
fn a_comment_whose_answer_was_lost_is_looked_up_and_not_written_twice() {
    let start_with = |d: &Path, host: &Stub| {
        let url = host.url();
        start(
            d,
            &format!(
                "[[channels]]\nname = \"issue\"\ntype = \"github\"\nurl = \"{url}\"\ntoken_command = [\"echo\", \"T0K3N\"]\nproject = \"acme/shop\"\n"
            ),
        );
        std::fs::write(d.join("t.md"), "All payments fail.").unwrap();
    };
    let args = ["--channel", "issue", "--target", "42", "--audience", "technical", "--text-file", "t.md", "--yes"];
    let posts = |host: &Stub| host.requests().iter().filter(|r| r.method == "POST").count();
    // It had arrived: the comment is found by its key, and its number is used for later changes.
    let f = tempfile::tempdir().unwrap();
    let (d, host) = (f.path(), code_host(0..1));
    start_with(d, &host);
    let sent = send(d, &args);
    assert_eq!((&sent["outcome"], &sent["detail"]), (&"sent".into(), &"it had arrived".into()), "{sent}");
    let asked = host.requests();
    let asked: Vec<_> = asked.iter().map(|r| (r.method.as_str(), r.path(), r.header("authorization"))).collect();
    let path = "/repos/acme/shop/issues/42/comments";
    assert_eq!(asked, [("POST", path, Some("Bearer T0K3N")), ("GET", path, Some("Bearer T0K3N"))]);
    std::fs::write(d.join("t.md"), "Most payments fail.").unwrap();
    assert_eq!(send(d, &[&args[..], &["--edit"]].concat())["outcome"], "sent");
    assert_eq!(host.requests().last().unwrap().path(), "/repos/acme/shop/issues/comments/500");
    // It had not arrived: that is not known. A person sends it again, and it arrives without an answer.
    let f = tempfile::tempdir().unwrap();
    let (d, host) = (f.path(), code_host(1..2));
    start_with(d, &host);
    assert_eq!(send(d, &args)["outcome"], "unknown");
    assert_eq!(send(d, &args)["outcome"], "unknown", "no one has asked for it");
    assert_eq!(posts(&host), 1);
    assert_eq!(send(d, &[&args[..], &["--again"]].concat())["outcome"], "sent");
    assert_eq!(posts(&host), 2);
    assert_eq!(send(d, &args)["detail"], "It was sent before, and not again.");
    // It shows up only later: sending it again looks first.
    let f = tempfile::tempdir().unwrap();
    let late = AtomicUsize::new(0);
    let written = std::sync::Mutex::new(Value::Null);
    let host = Stub::start(move |r| match (r.method.as_str(), late.fetch_add(1, Ordering::SeqCst)) {
        ("POST", _) => {
            *written.lock().unwrap() = body(r)["body"].clone();
            Reply::new(502, "text/html", "")
        }
        (_, 0..=1) => Reply::new(503, "text/html", ""),
        _ => Reply::json(json!([{"id": 9, "body": written.lock().unwrap().clone()}]).to_string()),
    });
    let d = f.path();
    start_with(d, &host);
    assert_eq!(send(d, &args)["outcome"], "unknown");
    let again = send(d, &[&args[..], &["--again"]].concat());
    assert_eq!((&again["outcome"], &again["detail"]), (&"sent".into(), &"it had arrived".into()), "{again}");
    assert_eq!(posts(&host), 1);
}

#[test]
fn a_draft_is_the_same_message_until_something_happens() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    let (port, count) = answering(&[None, Some((200, "ok"))]);
    start(d, &format!("[[channels]]\nname = \"c\"\ntype = \"slack-webhook\"\nurl = \"http://127.0.0.1:{port}/T0K3N\"\n"));
    let args = ["--channel", "c", "--audience", "technical", "--yes"];
    let first = send(d, &args);
    assert_eq!(first["outcome"], "unknown", "{first}");
    assert!(!first["preview"].as_str().unwrap().contains("T0K3N"), "the address is a secret: {first}");
    // Its age is another one a moment later, but it is the same draft.
    std::thread::sleep(Duration::from_millis(1100));
    let again = send(d, &args);
    assert_eq!((&again["outcome"], &again["idempotency_key"]), (&"unknown".into(), &first["idempotency_key"]));
    let by_hand = send(d, &[&args[..], &["--again"]].concat());
    assert_eq!((&by_hand["outcome"], &by_hand["idempotency_key"]), (&"sent".into(), &first["idempotency_key"]), "{by_hand}");
    assert_eq!(send(d, &args)["detail"], "It was sent before, and not again.");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    // Something has happened: it is another update.
    json(d, &["incident", "status", "INC-1", "identified"]);
    let next = send(d, &args);
    assert_eq!(next["outcome"], "sent", "{next}");
    assert_ne!(next["idempotency_key"], first["idempotency_key"]);
}

/// A generator of delays, the same in each run.
struct Delays(u64);

impl Delays {
    fn next(&mut self, most: u64) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((self.0 >> 33) % most)
    }
}

/// The command that sends the text of `tN.md` through a channel.
fn update_args(n: usize, channel: &str) -> Vec<String> {
    let words = ["update", "send", "INC-1", "--channel", channel, "--audience", "technical", "--yes", "--text-file"];
    words.map(str::to_owned).into_iter().chain([format!("t{n}.md")]).collect()
}

#[test]
fn killing_the_program_loses_nothing_and_sends_nothing_twice() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    // The answer takes a while, so that many kills hit the wait for it.
    let server = Stub::start(|r| {
        std::thread::sleep(Duration::from_millis(25));
        if r.path() == "/hook" { Reply::new(204, "text/plain", "") } else { Reply::new(200, "text/plain", "ok") }
    });
    let channels = [("hook", "webhook"), ("slack", "slack-webhook")];
    let table = |(name, kind): (&str, &str)| {
        format!("[[channels]]\nname = \"{name}\"\ntype = \"{kind}\"\nurl = \"{}/{name}\"\n", server.url())
    };
    start(d, &channels.map(table).concat());
    let mut delays = Delays(15);
    let is_interrupted = |s: &&Value| s["outcome"] != "sent";
    let mut texts = 0;
    // On a busy machine a sending takes longer, and the kills are spread over the time that one takes now.
    let mut usual = Duration::from_millis(100);
    while texts < 24 || texts < 96 && sendings(d).iter().filter(is_interrupted).count() == 0 {
        std::fs::write(d.join(format!("t{texts}.md")), format!("Update number {texts}.")).unwrap();
        for (channel, _) in channels {
            let args = update_args(texts, channel);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let begun = std::time::Instant::now();
            let mut child = warroom(d, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            if texts % 8 == 0 {
                child.wait().unwrap();
                usual = begun.elapsed();
                continue;
            }
            let most = u64::try_from(usual.as_millis()).unwrap_or(100).max(20);
            std::thread::sleep(delays.next(most));
            let _exited = child.kill();
            let _reaped = child.wait();
        }
        texts += 1;
    }
    // Requests on the way have arrived when this is over.
    std::thread::sleep(Duration::from_millis(200));
    let recorded = sendings(d);
    let text_of = |r: &stub::Request| {
        let body = body(r);
        body["text"]
            .as_str()
            .filter(|_| r.path() == "/hook")
            .map_or_else(|| body["blocks"][1]["text"]["text"].as_str().unwrap().to_owned(), str::to_owned)
    };
    // A request that was cut off has no effect.
    let arrived = || server.requests().into_iter().filter(|r| serde_json::from_str::<Value>(&r.body).is_ok()).collect::<Vec<_>>();
    for request in arrived() {
        let (channel, text) = (request.path().trim_start_matches('/').to_owned(), text_of(&request));
        let known = recorded.iter().any(|s| s["channel"] == channel.as_str() && s["text"] == text.as_str());
        assert!(known, "{channel} got '{text}', and the journal does not know");
    }
    for sending in recorded.iter().filter(|s| s["outcome"] == "sent") {
        let is_there = arrived()
            .iter()
            .any(|r| r.path().ends_with(sending["channel"].as_str().unwrap()) && text_of(r) == sending["text"].as_str().unwrap());
        assert!(is_there, "{sending} did not arrive");
    }
    let interrupted = recorded.iter().filter(is_interrupted).count();
    println!("{} sendings, {interrupted} of them interrupted, {} requests", recorded.len(), arrived().len());
    assert!(interrupted > 0, "no kill hit a sending");
    // Running each command again completes what can be repeated, under the same key, and leaves the rest to a person.
    for n in 0..texts {
        for (channel, _) in channels {
            let args = update_args(n, channel);
            json(d, &args.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    let requests = arrived();
    for n in 0..texts {
        let text = format!("Update number {n}.");
        let keys: BTreeSet<Option<&str>> =
            requests.iter().filter(|r| r.path() == "/hook" && text_of(r) == text).map(|r| r.header("webhook-id")).collect();
        assert_eq!(keys.len(), 1, "'{text}' was sent under one key");
        let posts = requests.iter().filter(|r| r.path() == "/slack" && text_of(r) == text).count();
        assert!(posts <= 1, "'{text}' was posted {posts} times");
        let state = sendings(d).into_iter().find(|s| s["channel"] == "slack" && s["text"] == text.as_str()).unwrap();
        assert!(posts == 1 || state["outcome"] != "sent", "{state}");
    }
    let hooks: Vec<Value> = sendings(d).into_iter().filter(|s| s["channel"] == "hook").collect();
    assert!(hooks.len() == texts && hooks.iter().all(|s| s["outcome"] == "sent"), "{hooks:?}");
}

/// Debian's aiosmtpd, with a certificate for localhost; returns the port and the folder that gets the mail.
fn mail_server(folder: &Path, how: &str) -> (servers::Running, u16) {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, private) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, key.cert.pem()).unwrap();
    std::fs::write(&private, key.signing_key.serialize_pem()).unwrap();
    let port = servers::reserve();
    let (cert, private) = (cert.display().to_string(), private.display().to_string());
    let maildir = folder.join("mail").display().to_string();
    let mut args = vec!["-n".to_owned(), "-l".to_owned(), format!("localhost:{port}")];
    match how {
        "tls" => args.extend(["--smtpscert".to_owned(), cert, "--smtpskey".to_owned(), private]),
        "starttls" => args.extend(["--tlscert".to_owned(), cert, "--tlskey".to_owned(), private]),
        _ => {}
    }
    args.extend(["-c".to_owned(), "aiosmtpd.handlers.Mailbox".to_owned(), maildir]);
    let running = servers::spawn("aiosmtpd", &args, &folder.join("smtp.log"));
    let is_up = || std::net::TcpStream::connect(("localhost", port)).is_ok();
    servers::wait_until("aiosmtpd is up", Duration::from_secs(30), is_up);
    (running, port)
}

#[test]
fn mail_is_sent_with_tls_and_answers_the_first_one() {
    for how in ["tls", "starttls", "none"] {
        let f = tempfile::tempdir().unwrap();
        let d = f.path();
        let (_server, port) = mail_server(d, how);
        let mail = |name: &str, port: u16, tls: &str| {
            format!(
                "[[channels]]\nname = \"{name}\"\ntype = \"email\"\nhost = \"localhost\"\nport = {port}\nsecurity = \"{how}\"\n{tls}\
                 from = \"War Room <ops@example.org>\"\nto = [\"a@example.org\", \"b@example.org\"]\n"
            )
        };
        let trusted = "tls = { ca_file = \"cert.pem\" }\n";
        start(d, &(mail("mail", port, trusted) + &mail("untrusted", port, "")));
        let sent = send(d, &["--channel", "mail", "--audience", "technical", "--yes"]);
        assert_eq!(sent["outcome"], "sent", "{how}: {sent}");
        json(d, &["incident", "status", "INC-1", "identified"]);
        let sent = send(d, &["--channel", "mail", "--audience", "technical", "--yes"]);
        assert_eq!(sent["outcome"], "sent", "{how}: {sent}");
        let mut mails = Vec::new();
        for entry in std::fs::read_dir(d.join("mail/new")).unwrap() {
            let mut text = String::new();
            std::fs::File::open(entry.unwrap().path()).unwrap().read_to_string(&mut text).unwrap();
            mails.push(text);
        }
        assert_eq!(mails.len(), 2, "{how}");
        let first = mails.iter().find(|m| !m.contains("In-Reply-To")).unwrap();
        let id = first.lines().find_map(|l| l.strip_prefix("Message-ID: ")).unwrap();
        assert!(mails.iter().any(|m| m.contains(&format!("In-Reply-To: {id}"))), "{mails:?}");
        assert!(
            first.contains("Subject: [INC-1] Investigating: payment-api is failing") && first.contains("17% of payments fail"),
            "{first}"
        );
        assert!(first.contains("To: a@example.org, b@example.org"), "{first}");
        if how != "none" {
            let refused = send(d, &["--channel", "untrusted", "--audience", "technical", "--yes"]);
            assert_eq!(refused["outcome"], "failed", "{how}: {refused}");
        }
    }
}

#[test]
fn mail_logs_in_over_tls_only_with_the_right_password() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(d.join("cert.pem"), key.cert.pem()).unwrap();
    std::fs::write(d.join("key.pem"), key.signing_key.serialize_pem()).unwrap();
    let port = servers::reserve();
    // aiosmtpd's command line has no logins; its library has.
    let program = format!(
        "import ssl, threading\n\
         from aiosmtpd.controller import Controller\n\
         from aiosmtpd.handlers import Mailbox\n\
         from aiosmtpd.smtp import AuthResult\n\
         context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)\n\
         context.load_cert_chain('cert.pem', 'key.pem')\n\
         login = lambda server, session, envelope, mechanism, data: AuthResult(\n\
         \x20   success=(data.login, data.password) == (b'warroom', b'S3CRET'), handled=False)\n\
         Controller(Mailbox('mail'), hostname='localhost', port={port}, tls_context=context, require_starttls=True,\n\
         \x20   authenticator=login, auth_required=True).start()\n\
         threading.Event().wait()\n"
    );
    std::fs::write(d.join("server.py"), program).unwrap();
    let log = std::fs::File::create(d.join("smtp.log")).unwrap();
    // Debian's Python, for which Debian's aiosmtpd is installed.
    let child = std::process::Command::new("/usr/bin/python3")
        .arg("server.py")
        .current_dir(d)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let _server = servers::Running::of(child);
    let is_up = || std::net::TcpStream::connect(("localhost", port)).is_ok();
    servers::wait_until("aiosmtpd is up", Duration::from_secs(30), is_up);
    let mail = |name: &str, password: &str| {
        format!(
            "[[channels]]\nname = \"{name}\"\ntype = \"email\"\nhost = \"localhost\"\nport = {port}\nsecurity = \"starttls\"\n\
             tls = {{ ca_file = \"cert.pem\" }}\nuser = \"warroom\"\npassword_command = [\"echo\", \"{password}\"]\n\
             from = \"ops@example.org\"\nto = [\"a@example.org\"]\n"
        )
    };
    start(d, &(mail("right", "S3CRET") + &mail("wrong", "WR0NG")));
    let sent = send(d, &["--channel", "right", "--audience", "technical", "--yes"]);
    assert_eq!(sent["outcome"], "sent", "{sent}");
    let refused = send(d, &["--channel", "wrong", "--audience", "technical", "--yes"]);
    assert_eq!(refused["outcome"], "failed", "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("535") && !refused.to_string().contains("WR0NG"), "{refused}");
}

#[test]
fn channels_are_checked_when_the_configuration_is_read() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    for (table, message) in [
        ("type = \"slak\"", "unknown type 'slak'"),
        ("", "type is missing"),
        ("type = \"teams\"", "the address is missing"),
        ("type = \"webhook\"\nurl = \"http://a\"\nsecrets_env = \"X\"", "has no key 'secrets_env'"),
        ("type = \"slack\"\nchannel = \"C1\"", "token_env, token_command or token_file is missing"),
        ("type = \"email\"\nhost = \"h\"\nfrom = \"me\"\nto = [\"a@b.c\"]", "'me' is not an e-mail address"),
        ("type = \"email\"\nhost = \"h\"\nfrom = \"a@b.c\"\nto = []", "to is missing"),
        ("type = \"github\"\nproject = \"shop\"\ntoken_env = \"T\"", "'shop' is not a project"),
        ("type = \"file\"\npath = \"x\"\naudiences = [\"boss\"]", "'boss' is not an audience"),
        ("type = \"discord\"\nurl = \"http://a\"\nurl_env = \"X\"", "set more than once"),
        ("type = \"webhook\"\nurl = \"http://a\"\nsecret = \"x\"", "has no key 'secret'"),
    ] {
        std::fs::create_dir_all(d.join("warroom")).unwrap();
        std::fs::write(d.join("warroom/config.toml"), format!("[[channels]]\nname = \"c\"\n{table}\n")).unwrap();
        let output = run(d, &["update", "channels"]);
        let text = stderr(&output);
        assert!(output.status.code() == Some(2) && text.contains(message) && text.contains("channel 'c'"), "{table}: {text}");
    }
}
