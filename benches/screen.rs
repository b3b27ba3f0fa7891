//! Benchmarks of the terminal interface: time to the first frame, latency from key press to screen under load, memory under
//! load, and CPU when idle. Drives the release binary in a pseudo-terminal. Prints the figures; asserts nothing about them.
//! Linux only, because it reads `/proc`.

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

/// The program running in a pseudo-terminal.
struct Program {
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    /// Output since the last match of [`Self::wait_for`].
    output: Arc<Mutex<Vec<u8>>>,
    started: Instant,
    _master: Box<dyn MasterPty + Send>,
}

impl Program {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let pty = native_pty_system()
            .openpty(PtySize { rows: 40, cols: 140, pixel_width: 0, pixel_height: 0 })
            .expect("open a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_warroom"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, folder);
        }
        let mut reader = pty.master.try_clone_reader().expect("read from the terminal");
        let writer = pty.master.take_writer().expect("write to the terminal");
        let output = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        let started = Instant::now();
        let child = pty.slave.spawn_command(command).expect("start the program");
        Self { child, writer, output, started, _master: pty.master }
    }

    /// Waits until the output since the last call contains a text. Returns when it was found.
    fn wait_for(&self, text: &str) -> Instant {
        self.wait_for_any(&[text])
    }

    /// Waits for one of several texts: a cell that does not change is not drawn again, so that one of them may have a gap.
    fn wait_for_any(&self, texts: &[&str]) -> Instant {
        loop {
            {
                let mut output = self.output.lock().unwrap();
                if texts.iter().any(|text| output.windows(text.len()).any(|w| w == text.as_bytes())) {
                    output.clear();
                    return Instant::now();
                }
            }
            assert!(self.started.elapsed() < Duration::from_mins(3), "{texts:?} did not appear within 180 s");
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).expect("send a key");
        self.writer.flush().expect("send a key");
    }

    fn proc_file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.process_id().unwrap_or(0))).unwrap_or_default()
    }

    /// Resident memory, in MiB; NaN when it cannot be read.
    fn memory_mib(&self) -> f64 {
        let status = self.proc_file("status");
        let kib: f64 = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .and_then(|l| l.split_whitespace().next()?.parse().ok())
            .unwrap_or(f64::NAN);
        kib / 1024.0
    }

    /// CPU time so far, in hundredths of a second.
    fn cpu_ticks(&self) -> f64 {
        let stat = self.proc_file("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _may_have_exited = self.child.kill();
        let _exit_status = self.child.wait();
    }
}

/// Creates a store with a number of incidents.
fn create_store(path: &Path, incidents: usize) {
    let mut store = SqliteStore::open(path).expect("open the store");
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
        let fact = Redactor::new().redact_value(&fact).expect("redact the fact");
        store
            .create(Append { entries: vec![NewEntry::new(at, at, Actor::human("ana"), fact)], bodies: Vec::new() })
            .expect("create the incident");
    }
}

fn bench_first_frame(incidents: usize) {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let path = folder.path().join("j.db");
    create_store(&path, incidents);
    let store = path.display().to_string();
    let mut times = Times::default();
    for _ in 0..30 {
        let program = Program::start(folder.path(), &["--store", &store]);
        times.add(program.wait_for("Incidents ") - program.started);
    }
    println!("first frame, store of {incidents} incidents: {} (target: under 30 ms)", times.summary());
}

fn bench_idle() {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let program = Program::start(folder.path(), &[]);
    program.wait_for("No sources are configured");
    std::thread::sleep(Duration::from_secs(2));
    let before = program.cpu_ticks();
    std::thread::sleep(Duration::from_secs(20));
    println!(
        "idle on an empty board for 20 s: {:.2}% of a core, {:.0} MiB (target: under 0.5%)",
        (program.cpu_ticks() - before) / 20.0,
        program.memory_mib()
    );
}

fn bench_load() {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let alerts: Vec<String> = (0..5000)
        .map(|i| format!(r#"{{"labels":{{"alertname":"Alert{}","service":"service-{}","severity":"warning","pod":"pod-{i}"}},"annotations":{{"summary":"pod {i} is not well"}},"fingerprint":"{i:016x}","startsAt":"2026-11-21T09:00:00Z","status":{{"state":"active","silencedBy":[],"inhibitedBy":[]}}}}"#, i % 40, i % 200))
        .collect();
    let body = format!("[{}]", alerts.join(","));
    let stub = Stub::start(move |_| Reply::json(body.clone()));
    let log = folder.path().join("app.log");
    std::fs::write(&log, "").expect("create the log");
    let config = folder.path().join("c.toml");
    let text = format!(
        "[[sources]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"{}\"\n[[sources]]\nname = \"app\"\ntype = \"file\"\npaths = [\"{}\"]\n[ui]\nrefresh_secs = 5\n",
        stub.url(),
        log.display()
    );
    std::fs::write(&config, text).expect("write the configuration");
    let mut program = Program::start(folder.path(), &["--config", &config.display().to_string()]);
    program.wait_for("5000 firing");
    let mut board = Times::default();
    for i in 0..200 {
        std::thread::sleep(Duration::from_millis(15));
        program.output.lock().unwrap().clear();
        let pressed = Instant::now();
        program.press("?");
        board.add(program.wait_for("Keys of this view") - pressed);
        program.press("\u{1b}");
        program.wait_for("Alert");
        std::thread::sleep(Duration::from_millis(if i % 10 == 0 { 60 } else { 10 }));
    }
    println!("key press to screen, ? on the board, 5,000 alerts: {} (target: p99 under 16 ms)", board.summary());
    program.press("d");
    program.wait_for("Declare an incident");
    program.press("\r");
    program.wait_for("Overview");
    program.press("4");
    program.wait_for("following");
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
    let writer = std::thread::spawn(move || {
        let mut file = std::fs::OpenOptions::new().append(true).open(&log).expect("open the log");
        let started = Instant::now();
        while !stopped.load(Ordering::Relaxed) {
            // 50,000 lines/s, in batches of 20 ms.
            let due = (started.elapsed().as_secs_f64() * 50_000.0) as u64;
            let mut batch = String::new();
            for n in count.load(Ordering::Relaxed)..due {
                batch.push_str(&format!("{{\"ts\":\"2026-11-21T09:00:00Z\",\"level\":\"info\",\"service\":\"checkout\",\"msg\":\"order {n} placed by customer {}\"}}\n", n % 977));
            }
            file.write_all(batch.as_bytes()).expect("write to the log");
            count.store(due, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
        started.elapsed().as_secs_f64()
    });
    std::thread::sleep(Duration::from_secs(3));
    let mut keys = Times::default();
    let mut memory = 0.0_f64;
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(25));
        program.output.lock().unwrap().clear();
        let pressed = Instant::now();
        program.press("?");
        let shown =
            program.wait_for_any(&["Keys of this view", "Every view", "Switch between log patterns", "Search all lines of"]);
        keys.add(shown - pressed);
        program.press("\u{1b}");
        // Nothing that is drawn says that it is closed, because lines arrive all the time.
        std::thread::sleep(Duration::from_millis(150));
        memory = memory.max(program.memory_mib());
    }
    stop.store(true, Ordering::Relaxed);
    let secs = writer.join().expect("join the writer");
    println!(
        "key press to screen, ? in the logs, {:.0} log lines/s, 5,000 alerts: {} (target: p99 under 16 ms)",
        written.load(Ordering::Relaxed) as f64 / secs,
        keys.summary()
    );
    println!("memory under this load: {memory:.0} MiB (target: under 150 MB)");
}

fn main() {
    bench_first_frame(0);
    bench_first_frame(1000);
    bench_load();
    bench_idle();
}
