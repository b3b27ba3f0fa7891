//! The program in a pseudo-terminal: what a person sees, and the terminal afterwards.

#![cfg(unix)]

#[path = "support/pg.rs"]
mod pg;
#[path = "support/stub.rs"]
mod stub;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long a screen is waited for: far longer than it takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came over the terminal, as bytes, and the program behind it.
struct Screen {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    bytes: Arc<Mutex<Vec<u8>>>,
    size: (u16, u16),
    folder: tempfile::TempDir,
}

impl Screen {
    fn start(program: &str, args: &[&str], cols: u16, rows: u16, env: &[(&str, &str)]) -> Self {
        let pty = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("HOME", folder.path());
        command.env("XDG_CONFIG_HOME", folder.path());
        command.env("XDG_DATA_HOME", folder.path());
        command.env("WARROOM_USER", "ana");
        command.env_remove("NO_COLOR");
        // Readline would switch bracketed paste on by itself.
        std::fs::write(folder.path().join(".inputrc"), "set enable-bracketed-paste off\n").unwrap();
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 {
                    break;
                }
                sink.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        let writer = pty.master.take_writer().unwrap();
        Self { child, master: pty.master, writer, bytes, size: (cols, rows), folder }
    }

    fn warroom(args: &[&str], cols: u16, rows: u16) -> Self {
        Self::start(env!("CARGO_BIN_EXE_warroom"), args, cols, rows, &[])
    }

    fn parser(&self) -> vt100::Parser {
        let mut parser = vt100::Parser::new(self.size.1.try_into().unwrap(), self.size.0.try_into().unwrap(), 0);
        parser.process(&self.bytes.lock().unwrap());
        parser
    }

    fn text(&self) -> String {
        self.parser().screen().contents()
    }

    fn until(&self, part: &str) {
        let start = Instant::now();
        while !self.text().contains(part) {
            assert!(start.elapsed() < PATIENCE, "'{part}' never came:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn gone(&self, part: &str) {
        let start = Instant::now();
        while self.text().contains(part) {
            assert!(start.elapsed() < PATIENCE, "'{part}' never went:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Escape alone: what follows too soon would be read as Alt with a key.
    fn esc(&mut self) {
        self.keys("\x1b");
        std::thread::sleep(Duration::from_millis(200));
    }

    fn resize(&mut self, cols: u16, rows: u16) {
        self.size = (cols, rows);
        self.bytes.lock().unwrap().clear();
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    fn ended(&mut self) -> u32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                std::thread::sleep(Duration::from_millis(150));
                return status.exit_code();
            }
            assert!(start.elapsed() < PATIENCE, "it does not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The terminal as it was: no alternate screen, no modes left on, a cursor.
    fn assert_given_back(&self) {
        let parser = self.parser();
        let screen = parser.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left on");
        assert!(!screen.bracketed_paste(), "bracketed paste is left on");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is captured");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
    }
}

#[test]
fn the_demo_is_walked_through_from_alert_to_report() {
    let mut s = Screen::warroom(&["demo"], 140, 40);
    s.until("Alerts 5 firing");
    s.until("HighErrorRate");
    s.keys(" d");
    s.until("Declare an incident from");
    s.until("a critical function is failing");
    s.keys("\r");
    s.until("db_pool_in_use");
    s.until("pool exhausted after");
    s.keys("nlooked at the pool\r2");
    s.until("looked at the pool");
    s.keys("3");
    // Suspects on one axis; the change just before is named among the findings, and leads to its graph.
    s.until("Suspects");
    s.keys("j");
    s.until("max by (service)");
    s.keys("dversion");
    s.until("Go to");
    s.esc();
    s.keys("4");
    s.until("Log patterns");
    s.until("pool exhausted after <*>");
    s.keys("\r");
    s.until("the newest 1000");
    s.esc();
    s.keys("v");
    s.until("following");
    s.until("order");
    // A marked line stands in the timeline with evidence of its own.
    s.keys("m2");
    s.until("log line: ");
    s.keys("5\r");
    s.until("New log patterns");
    s.until("claims:");
    s.keys("A");
    s.until("Purpose of the action item");
    s.esc();
    s.keys("7A\r");
    s.until("Action item to prevent");
    s.keys("Alert on pool use\r");
    s.until("1 open of 1");
    s.keys("9");
    s.until("Post-mortem INC-1");
    s.keys("?");
    s.until("Keys of this view");
    s.esc();
    s.keys("qq");
    assert_eq!(s.ended(), 0);
    s.assert_given_back();
}

#[test]
fn eighty_by_twenty_four_has_everything_and_resizing_is_safe() {
    let mut s = Screen::warroom(&["demo"], 80, 24);
    s.until("5 firing");
    s.until("d declare");
    s.keys("d\r");
    s.until("Findings");
    for (cols, rows) in [(200, 60), (20, 5), (1, 1), (80, 24)] {
        s.resize(cols, rows);
        std::thread::sleep(Duration::from_millis(60));
    }
    s.until("1 Overview");
    s.keys("qq");
    assert_eq!(s.ended(), 0);
    s.assert_given_back();
}

#[test]
fn signals_give_the_terminal_back() {
    use rustix::process::Signal;
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut s = Screen::warroom(&["demo"], 100, 30);
        s.until("5 firing");
        s.signal(signal);
        assert_eq!(s.ended(), status, "{signal:?}");
        s.assert_given_back();
    }
}

#[test]
fn a_panic_gives_the_terminal_back_and_its_report_can_be_read() {
    let target = PathBuf::from(env!("CARGO_BIN_EXE_warroom")).parent().unwrap().join("examples/panic");
    let mut s = Screen::start(&target.display().to_string(), &[], 100, 30, &[]);
    assert_ne!(s.ended(), 0);
    s.assert_given_back();
    assert!(s.text().contains("this panic is part of a test"), "{}", s.text());
}

/// In a real shell with job control, as a person does it: Ctrl-Z, a command, `fg`.
#[test]
fn suspending_gives_the_terminal_to_the_shell_and_takes_it_again() {
    let mut s = Screen::start("bash", &["--norc", "--noprofile", "-i"], 100, 30, &[("PS1", "shell> ")]);
    s.until("shell>");
    s.keys(&format!("{} demo\r", env!("CARGO_BIN_EXE_warroom")));
    s.until("5 firing");
    s.keys("\x1a");
    s.until("Stopped");
    s.assert_given_back();
    s.keys("echo between-$((40+2))\r");
    s.until("between-42");
    s.keys("fg\r");
    let start = Instant::now();
    while !(s.parser().screen().alternate_screen() && s.text().contains("5 firing")) {
        assert!(start.elapsed() < PATIENCE, "{}", s.text());
        std::thread::sleep(Duration::from_millis(30));
    }
    s.keys("q");
    s.until("shell>");
    let start = Instant::now();
    while s.parser().screen().alternate_screen() {
        assert!(start.elapsed() < PATIENCE, "{}", s.text());
        std::thread::sleep(Duration::from_millis(30));
    }
    s.assert_given_back();
    s.keys("exit\r");
    s.ended();
}

/// A shell that sets the line's mode behind the program's back, as it does with a job that is stopped at the wrong moment.
#[test]
fn keys_are_read_again_whatever_mode_the_shell_left_the_line_in() {
    let mut s = Screen::warroom(&["demo"], 100, 30);
    s.until("5 firing");
    let tty = s.master.tty_name().unwrap();
    let stty = |args: &[&str]| {
        let output = std::process::Command::new("stty").arg("-F").arg(&tty).args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    stty(&["icanon", "echo"]);
    s.signal(rustix::process::Signal::CONT);
    let start = Instant::now();
    while !stty(&["-a"]).contains("-icanon") {
        assert!(start.elapsed() < PATIENCE, "the line is not raw again");
        std::thread::sleep(Duration::from_millis(30));
    }
    s.keys("q");
    assert_eq!(s.ended(), 0);
}

#[test]
fn with_no_color_no_colour_is_sent() {
    let mut s = Screen::start(env!("CARGO_BIN_EXE_warroom"), &["demo"], 100, 30, &[("NO_COLOR", "1")]);
    s.until("5 firing");
    s.keys("j?");
    s.until("Keys of this view");
    let text = String::from_utf8_lossy(&s.bytes.lock().unwrap()).into_owned();
    for sequence in text.split("\x1b[").skip(1) {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
        if sequence[end..].starts_with('m') {
            let codes: Vec<u32> = sequence[..end].split(';').filter_map(|c| c.parse().ok()).collect();
            assert!(
                codes.iter().all(|c| !(30..=38).contains(c) && !(40..=48).contains(c) && !(90..=107).contains(c)),
                "{codes:?}"
            );
        }
    }
    s.esc();
    s.keys("q");
    s.ended();
}

#[test]
fn without_a_configuration_the_board_says_where_one_goes() {
    let mut s = Screen::warroom(&[], 80, 24);
    s.until("no sources are configured");
    s.until("warroom demo");
    s.keys("q");
    assert_eq!(s.ended(), 0);
    assert!(s.folder.path().join("warroom/journal.db").exists());
}

#[test]
fn a_source_that_hangs_delays_nobody() {
    let slow = stub::Stub::start(|_| {
        std::thread::sleep(2 * PATIENCE);
        stub::Reply::json("[]")
    });
    let quick = stub::Stub::start(|_| {
        stub::Reply::json(
            r#"[{"labels":{"alertname":"Quick"},"fingerprint":"f","startsAt":"2026-11-21T09:00:00Z","status":{"state":"active"}}]"#,
        )
    });
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let source = |name: &str, url: &str| {
        format!("[[sources]]\nname = \"{name}\"\ntype = \"alertmanager\"\nurl = \"{url}\"\ntimeout_secs = 110\n")
    };
    std::fs::write(&config, source("slow", &slow.url()) + &source("quick", &quick.url())).unwrap();
    let mut s = Screen::warroom(&["--config", &config.display().to_string()], 120, 30);
    // `until` gives up before the slow one answers.
    s.until("1 firing");
    s.until("quick ●");
    s.keys("q");
    assert_eq!(s.ended(), 0);
}

#[test]
fn hostile_log_lines_and_annotations_never_act() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("evil.log");
    let config = folder.path().join("config.toml");
    std::fs::write(&log, "2026-11-21T08:59:00Z INFO of before\n").unwrap();
    std::fs::write(&config, format!("[[sources]]\nname = \"evil\"\ntype = \"file\"\npaths = [\"{}\"]\n", log.display())).unwrap();
    let mut s = Screen::warroom(&["--config", &config.display().to_string()], 100, 30);
    s.until("0 firing");
    // A title and a note with escape sequences, by paste; and log lines that try everything.
    s.keys("d\x1b[200~evil \x1b]0;owned\x07title\u{202e}\x1b[201~\r");
    s.until("1 Overview");
    s.keys("4");
    s.until("of before");
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    for line in [
        "\x1b]0;owned\x07title",
        "\x1b]52;c;b3duZWQ=\x07clip",
        "\x1b[2J\x1b[Hclear",
        "\x1bc reset",
        "\u{9b}31m csi",
        "\u{202e}rtl",
        "\x1b[?1049l leave",
        "\x1b[6n report",
    ] {
        file.write_all(format!("2026-11-21T09:00:00Z ERROR {line} endmark\n").as_bytes()).unwrap();
    }
    s.until("report endmark");
    let bytes = s.bytes.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&bytes);
    for bad in ["\x1b]0;", "\x1b]52", "\x1bc", "\u{202e}", "\x1b[6n"] {
        assert!(!text.contains(bad), "{bad:?} reached the terminal");
    }
    assert!(s.parser().screen().alternate_screen());
    s.keys("qq");
    assert_eq!(s.ended(), 0);
    s.assert_given_back();
}

/// Two people on one incident of a real PostgreSQL: each sees the other and what the other writes; without the server both go
/// on, and what was written comes together when it is back.
#[test]
fn two_people_share_a_room() {
    let mut pg = pg::Pg::start();
    let url = pg.url();
    let first = tempfile::tempdir().unwrap();
    let declared = std::process::Command::new(env!("CARGO_BIN_EXE_warroom"))
        .args(["declare", "--title", "checkout is failing", "--severity", "SEV2"])
        .env("WARROOM_STORE", &url)
        .env("HOME", first.path())
        .env("XDG_DATA_HOME", first.path())
        .env("XDG_CONFIG_HOME", first.path())
        .output()
        .unwrap();
    assert!(declared.status.success());
    let enter = |name: &str, cols, rows| {
        let env = [("WARROOM_STORE", url.as_str()), ("WARROOM_USER", name)];
        let mut screen = Screen::start(env!("CARGO_BIN_EXE_warroom"), &[], cols, rows, &env);
        screen.until("checkout is failing");
        screen.keys("\t\r");
        screen.until("1 Overview");
        screen.keys("2");
        screen.until("Declared SEV2");
        screen
    };
    let mut ana = enter("ana", 140, 40);
    let mut ben = enter("ben", 80, 24);
    ana.until("☺ ben");
    ben.until("☺ ana");
    ana.keys("nthe pool is full\r");
    ben.until("the pool is full");

    pg.crash();
    ana.keys("nwritten without the server\r");
    ana.until("store ○ unreachable");
    ana.until("↯1 unsynced");
    ana.until("written without the server ↯");
    ben.keys("nben writes too\r");
    ben.until("↯1");
    pg.start_server();
    for screen in [&ana, &ben] {
        screen.until("written without the server");
        screen.until("ben writes too");
        screen.gone("↯");
    }
    let texts = pg.sql("SELECT count(*), count(DISTINCT text::jsonb #>> '{fact,text}') FROM warroom.entry WHERE text::jsonb #>> '{fact,kind}' = 'note'");
    assert_eq!(texts, "3|3", "each once");
}
