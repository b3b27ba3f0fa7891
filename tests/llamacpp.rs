//! The assistant against a real llama.cpp server whose model writes nonsense: windows that are smaller than configured, a
//! vocabulary that needs more tokens than any other, and a connection that fails every other time. `scripts/test` installs it.

#[path = "support/gguf.rs"]
mod gguf;
#[path = "support/program.rs"]
mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use program::{json, run};
use serde_json::Value;

/// The folder that `scripts/test` installs the server's Python package in.
fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/llamacpp")
}

struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_exited = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A server with so many tokens of context.
fn serve(folder: &Path, window: u32) -> Server {
    let model = folder.join("nonsense.gguf");
    gguf::write_nonsense_model(&model);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/llama_server.py");
    let mut child = Command::new("python3")
        .args([&script, &model])
        .arg(window.to_string())
        .env("PYTHONPATH", packages())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3 starts");
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    assert!(
        url.starts_with("http://127.0.0.1:"),
        "llama.cpp did not start; run scripts/test, which installs it. It printed: {url:?}"
    );
    Server { child, url: url.trim().to_owned() }
}

/// An incident with so many different kinds of log lines as evidence. Returns the path of the configuration.
fn prepare(folder: &Path, url: &str, more: &str, kinds: usize) -> String {
    let path = folder.join("config.toml");
    let text = format!(
        "[[sources]]\nname = \"logs\"\ntype = \"file\"\npaths = [\"{}/*.log\"]\n[assistant]\nbase_url = \"{url}/v1\"\nmodel = \"nonsense\"\n{more}",
        folder.display()
    );
    std::fs::write(&path, text).unwrap();
    let recent = time::OffsetDateTime::now_utc() - std::time::Duration::from_mins(1);
    let stamp = recent.format(&time::format_description::well_known::Rfc3339).unwrap();
    let words = ["pool", "queue", "cache", "lease", "shard", "index", "token", "quota", "route", "batch"];
    let word = |n: usize| words[n % words.len()];
    let lines: String = (0..kinds)
        .map(|n| {
            let (a, b, c) = (word(n), word(n / 10), word(n / 100));
            format!("{stamp} ERROR checkout: the {a} of the {b} in the {c} is exhausted, and its requests wait\n").repeat(5)
        })
        .collect();
    std::fs::write(folder.join("app.log"), lines).unwrap();
    let config = path.display().to_string();
    run(folder, &["--config", &config, "declare", "--title", "checkout is failing"]);
    run(folder, &["--config", &config, "investigate", "INC-1", "--window", "30m"]);
    config
}

fn ask(folder: &Path, config: &str, question: &str) -> Value {
    let (code, answer) = json(folder, &["--config", config, "ask", "INC-1", question]);
    assert_eq!(code, 0, "{answer}");
    answer
}

/// An answer of a model: whole, or partial with the reason, and without anything that acts on a terminal.
fn assert_answered(v: &Value) {
    assert_eq!(v["source"], "llm", "{v}");
    let text = v["answer"].as_str().unwrap();
    assert!(!text.trim().is_empty(), "{v}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
    assert_eq!(v["partial"].as_bool(), Some(v["fallback_reason"].is_string()), "{v}");
}

#[test]
fn a_live_server_answers_with_its_address_and_model_alone() {
    let f = tempfile::tempdir().unwrap();
    let server = serve(f.path(), 16_384);
    let config = prepare(f.path(), &server.url, "", 10);
    let (code, models) = json(f.path(), &["--config", &config, "models"]);
    assert_eq!(code, 0, "{models}");
    assert_eq!(models["models"][0]["context_tokens"], 16_384, "{models}");
    for question in ["troubleshoot", "what broke here?", "severity"] {
        assert_answered(&ask(f.path(), &config, question));
    }
}

#[test]
fn a_prompt_fits_a_window_that_is_smaller_than_configured() {
    for (window, configured) in [(4096, 32_768), (8192, 131_072)] {
        let f = tempfile::tempdir().unwrap();
        let server = serve(f.path(), window);
        let more = format!("context_tokens = {configured}\nanswer_tokens = 500\n");
        let config = prepare(f.path(), &server.url, &more, 400);
        let v = ask(f.path(), &config, "troubleshoot");
        assert_answered(&v);
        let counted = v["usage"]["prompt_tokens"].as_u64().unwrap();
        assert!(counted + 500 <= u64::from(window), "{counted} of {window}: {v}");
        assert!(counted > u64::from(window) / 3, "the window is used: {counted} of {window}");
    }
}

/// Passes connections on to a server. Every second one ends at once, or within the answer.
fn failing_proxy(server: &str) -> String {
    let to = server.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let number = connections.fetch_add(1, Ordering::Relaxed);
            let to = to.clone();
            std::thread::spawn(move || pass(stream, &to, number));
        }
    });
    format!("http://{address}")
}

fn pass(mut client: TcpStream, to: &str, number: usize) {
    let limit = match number % 4 {
        0 => 0,
        2 => 700,
        _ => usize::MAX,
    };
    if limit == 0 {
        return;
    }
    let Ok(mut server) = TcpStream::connect(to) else { return };
    let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut into));
    let (mut buffer, mut passed) = ([0u8; 256], 0);
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        if client.write_all(&buffer[..n]).is_err() || passed + n > limit {
            break;
        }
        passed += n;
    }
    let _already_closed = (client.shutdown(std::net::Shutdown::Both), server.shutdown(std::net::Shutdown::Both));
}

#[test]
fn a_connection_that_fails_half_the_time_gives_an_answer_or_a_true_reason() {
    let f = tempfile::tempdir().unwrap();
    let server = serve(f.path(), 16_384);
    let config = prepare(f.path(), &failing_proxy(&server.url), "", 10);
    let mut from_model = 0;
    for _ in 0..8 {
        let v = ask(f.path(), &config, "what broke here?");
        let reason = v["fallback_reason"].as_str().unwrap_or_default();
        if v["source"] == "rules" {
            assert!(reason.contains("connection") || reason.contains("connect") || reason.contains("ended"), "{v}");
        } else {
            assert_answered(&v);
            from_model += 1;
        }
    }
    assert!(from_model >= 4, "{from_model} of 8 answers are from the model");
}
