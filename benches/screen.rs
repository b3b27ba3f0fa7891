//! What a person feels: time to the first frame, key press to screen under load, memory then, processor when idle. Drives
//! the release binary in a pseudo-terminal; prints what it measured and asserts nothing. Linux only (reads /proc).

#[path = "../tests/support/measure.rs"]
mod measure;
#[path = "../tests/support/stub.rs"]
mod stub;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use measure::Times;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use stub::{Reply, Stub};
use warroom::evidence::Redactor;
use warroom::incident::{Actor, Fact, Severity, Status};
use warroom::journal::sqlite::SqliteStore;
use warroom::journal::{Append, NewEntry, Store};
use warroom::telemetry::Timestamp;

struct Program {
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    bytes: Arc<Mutex<Vec<u8>>>,
    started: Instant,
    _master: Box<dyn MasterPty + Send>,
}

impl Program {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let pty =
            native_pty_system().openpty(PtySize { rows: 40, cols: 140, pixel_width: 0, pixel_height: 0 }).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_warroom"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, folder);
        }
        let mut reader = pty.master.try_clone_reader().expect("a reader");
        let writer = pty.master.take_writer().expect("a writer");
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        let started = Instant::now();
        let child = pty.slave.spawn_command(command).expect("the program");
        Self { child, writer, bytes, started, _master: pty.master }
    }

    /// Waits for a text among the bytes that came since the last call.
    fn until(&self, part: &str) -> Instant {
        loop {
            {
                let mut bytes = self.bytes.lock().unwrap();
                if bytes.windows(part.len()).any(|w| w == part.as_bytes()) {
                    bytes.clear();
                    return Instant::now();
                }
            }
            assert!(self.started.elapsed() < Duration::from_secs(180), "'{part}' never came");
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).expect("a key");
        self.writer.flush().expect("a key");
    }

    fn proc_file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.process_id().unwrap_or(0))).unwrap_or_default()
    }

    fn memory_mib(&self) -> f64 {
        let status = self.proc_file("status");
        let kib: f64 = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .and_then(|l| l.split_whitespace().next()?.parse().ok())
            .unwrap_or(f64::NAN);
        kib / 1024.0
    }

    /// Processor time so far, in hundredths of a second.
    fn ticks(&self) -> f64 {
        let stat = self.proc_file("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn fill(path: &Path, incidents: usize) {
    let mut store = SqliteStore::open(path).expect("a store");
    for n in 0..incidents {
        let at = Timestamp::from_secs(1_795_000_000 + i64::try_from(n).unwrap_or(0) * 60);
        let fact = Fact::IncidentDeclared {
            title: format!("incident number {n}"),
            severity: Severity::Sev3,
            status: Status::Investigating,
            severity_given: true,
            reason: None,
            matrix: None,
        };
        let fact = Redactor::new().value(&fact).expect("a fact");
        store
            .create(Append { entries: vec![NewEntry::new(at, at, Actor::human("ana"), fact)], bodies: Vec::new() })
            .expect("an incident");
    }
}

fn first_frame(incidents: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.db");
    fill(&path, incidents);
    let store = path.display().to_string();
    let mut times = Times::default();
    for _ in 0..30 {
        let program = Program::start(folder.path(), &["--store", &store]);
        times.add(program.until("Incidents ") - program.started);
    }
    println!("first frame, store of {incidents} incidents: {} (aim: under 30 ms)", times.line());
}

fn idle() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path(), &[]);
    program.until("no sources are configured");
    std::thread::sleep(Duration::from_secs(2));
    let before = program.ticks();
    std::thread::sleep(Duration::from_secs(20));
    println!(
        "idle on an empty board, 20 s: {:.2} % of a core, {:.0} MiB (aim: under 0.5 %)",
        (program.ticks() - before) / 20.0,
        program.memory_mib()
    );
}

fn load() {
    let folder = tempfile::tempdir().expect("a folder");
    let alerts: Vec<String> = (0..5000)
        .map(|i| format!(r#"{{"labels":{{"alertname":"Alert{}","service":"service-{}","severity":"warning","pod":"pod-{i}"}},"annotations":{{"summary":"pod {i} is not well"}},"fingerprint":"{i:016x}","startsAt":"2026-11-21T09:00:00Z","status":{{"state":"active","silencedBy":[],"inhibitedBy":[]}}}}"#, i % 40, i % 200))
        .collect();
    let body = format!("[{}]", alerts.join(","));
    let stub = Stub::start(move |_| Reply::json(body.clone()));
    let log = folder.path().join("app.log");
    std::fs::write(&log, "").expect("a log");
    let config = folder.path().join("c.toml");
    let text = format!(
        "[[sources]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"{}\"\n[[sources]]\nname = \"app\"\ntype = \"file\"\npaths = [\"{}\"]\n[ui]\nrefresh_secs = 5\n",
        stub.url(),
        log.display()
    );
    std::fs::write(&config, text).expect("a configuration");
    let mut program = Program::start(folder.path(), &["--config", &config.display().to_string()]);
    program.until("5000 firing");
    let mut board = Times::default();
    for i in 0..200 {
        std::thread::sleep(Duration::from_millis(15));
        program.bytes.lock().unwrap().clear();
        let pressed = Instant::now();
        program.keys("?");
        board.add(program.until("Keys of this view") - pressed);
        program.keys("q");
        std::thread::sleep(Duration::from_millis(if i % 10 == 0 { 60 } else { 10 }));
    }
    println!("key to screen, 5,000 alerts on the board: {} (aim: p99 under 16 ms)", board.line());
    program.keys("d");
    program.until("Declare an incident");
    program.keys("\r");
    program.until("Overview");
    program.keys("4");
    program.until("following");
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
    let writer = std::thread::spawn(move || {
        let mut file = std::fs::OpenOptions::new().append(true).open(&log).expect("the log");
        let begun = Instant::now();
        while !stopped.load(Ordering::Relaxed) {
            // 50,000 lines a second, in portions of 20 ms.
            let due = (begun.elapsed().as_secs_f64() * 50_000.0) as u64;
            let mut portion = String::new();
            for n in count.load(Ordering::Relaxed)..due {
                portion.push_str(&format!("{{\"ts\":\"2026-11-21T09:00:00Z\",\"level\":\"info\",\"service\":\"checkout\",\"msg\":\"order {n} placed by customer {}\"}}\n", n % 977));
            }
            file.write_all(portion.as_bytes()).expect("a write");
            count.store(due, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
        begun.elapsed().as_secs_f64()
    });
    std::thread::sleep(Duration::from_secs(3));
    let mut keys = Times::default();
    let mut memory = 0.0_f64;
    for _ in 0..300 {
        std::thread::sleep(Duration::from_millis(25));
        program.bytes.lock().unwrap().clear();
        let pressed = Instant::now();
        program.keys("?");
        keys.add(program.until("Keys of this view") - pressed);
        program.keys("q");
        memory = memory.max(program.memory_mib());
    }
    stop.store(true, Ordering::Relaxed);
    let secs = writer.join().expect("the writer");
    println!(
        "key to screen, {:.0} log lines a second arriving, 5,000 alerts: {} (aim: p99 under 16 ms)",
        written.load(Ordering::Relaxed) as f64 / secs,
        keys.line()
    );
    println!("memory then: {memory:.0} MiB (aim: under 150 MB)");
}

fn main() {
    first_frame(0);
    first_frame(1000);
    load();
    idle();
}
