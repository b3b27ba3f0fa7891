//! A small HTTP/1.1 server for tests that answers requests over a real socket with replies from the test. It starts one thread per
//! connection and serves one request per connection.

#![allow(dead_code, reason = "each test binary uses only a part of this module")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }
    /// A parameter of the query string or of the form body, decoded.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?').map_or("", |(_, q)| q);
        [query, &self.body]
            .iter()
            .flat_map(|p| p.split('&'))
            .filter_map(|p| p.split_once('='))
            .find(|(n, _)| decode(n) == name)
            .map(|(_, v)| decode(v))
    }
}

/// Decodes a URL-encoded text.
fn decode(text: &str) -> String {
    let (mut out, bytes, mut i) = (Vec::new(), text.as_bytes(), 0);
    while i < bytes.len() {
        match bytes[i] {
            b'+' => out.push(b' '),
            b'%' if i + 2 < bytes.len() => {
                out.push(u8::from_str_radix(&text[i + 1..i + 3], 16).unwrap_or(b'?'));
                i += 2;
            }
            b => out.push(b),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A response: chunks, each sent after a pause.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub chunks: Vec<(Duration, String)>,
    /// Close the connection before the body is complete.
    pub is_truncated: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            chunks: vec![(Duration::ZERO, body.into())],
            is_truncated: false,
        }
    }
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self::new(200, "application/json", body)
    }
    /// Adds a header.
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    /// A stream of server-sent events, one chunk each.
    pub(crate) fn events(events: &[String], pause: Duration) -> Self {
        let mut reply = Self::new(200, "text/event-stream", "");
        reply.chunks = events.iter().map(|e| (pause, format!("data: {e}\n\n"))).collect();
        reply
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server. It stops with the test process.
#[derive(Clone)]
pub(crate) struct Stub {
    pub port: u16,
    received: Arc<Mutex<Vec<Request>>>,
}

impl Stub {
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let log = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
                std::thread::spawn(move || {
                    // Some tests close the connection early.
                    let _disconnected = serve(stream, &*handler, &log);
                });
            }
        });
        Self { port, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests received so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.received.lock().unwrap().clone()
    }
}

pub(crate) fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut parts = line.split_whitespace();
    let (method, target) = (parts.next().unwrap_or("").to_owned(), parts.next().unwrap_or("").to_owned());
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.trim_end().split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    let length =
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("content-length")).and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Request { method, target, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn serve(mut stream: TcpStream, handler: &Handler, log: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let request = read_request(&stream)?;
    log.lock().unwrap().push(request.clone());
    let reply = handler(&request);
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\ntransfer-encoding: chunked\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    for (pause, chunk) in &reply.chunks {
        std::thread::sleep(*pause);
        if !chunk.is_empty() {
            stream.write_all(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes())?;
            stream.flush()?;
        }
    }
    if !reply.is_truncated {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// Events of a streamed chat completion: a text word by word, then the usage.
pub(crate) fn chat_events(text: &str) -> Vec<String> {
    let mut events: Vec<String> = text
        .split_inclusive(' ')
        .map(|piece| serde_json::json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "stub-model", "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}]}).to_string())
        .collect();
    events.push(serde_json::json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string());
    events.push(serde_json::json!({"choices": [], "usage": {"prompt_tokens": 1234, "completion_tokens": 56}}).to_string());
    events.push("[DONE]".to_owned());
    events
}
