//! Tests of the program in a pseudo-terminal: what it draws, and the state in which it leaves the terminal.

#![cfg(unix)]

#[path = "support/pg.rs"]
mod pg;
#[path = "support/stub.rs"]
mod stub;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long to wait for a screen: far longer than it takes, even on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A program in a pseudo-terminal, with all the bytes that it has written.
struct Screen {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    bytes: Arc<Mutex<Vec<u8>>>,
    size: (u16, u16),
    folder: tempfile::TempDir,
    /// Whether what the program writes is not read.
    is_stalled: Arc<AtomicBool>,
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
        // Nothing of the machine's own terminal and locale.
        for name in ["NO_COLOR", "COLORTERM", "COLORFGBG", "LC_ALL", "LC_CTYPE", "TMUX", "STY", "TERM_PROGRAM"] {
            command.env_remove(name);
        }
        command.env("LANG", "C.UTF-8");
        // Otherwise readline turns bracketed paste on by itself.
        std::fs::write(folder.path().join(".inputrc"), "set enable-bracketed-paste off\n").unwrap();
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let is_stalled = Arc::new(AtomicBool::new(false));
        let waits = Arc::clone(&is_stalled);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n) = reader.read(&mut buffer) {
                while waits.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                if n == 0 {
                    break;
                }
                sink.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        let writer = pty.master.take_writer().unwrap();
        Self { child, master: pty.master, writer, bytes, size: (cols, rows), folder, is_stalled }
    }

    fn warroom(args: &[&str], cols: u16, rows: u16) -> Self {
        Self::start(env!("CARGO_BIN_EXE_warroom"), args, cols, rows, &[])
    }

    fn parser(&self) -> vt100::Parser {
        let mut parser = vt100::Parser::new(self.size.1.try_into().unwrap(), self.size.0.try_into().unwrap(), 0);
        parser.process(&self.bytes.lock().unwrap());
        parser
    }

    /// Where a control sequence was written last; `None` if it was not.
    fn last(&self, sequence: &str) -> Option<usize> {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).rfind(&format!("\x1b{sequence}"))
    }

    /// Waits until the program has written this control sequence.
    fn wait_for_sequence(&self, sequence: &str) {
        let start = Instant::now();
        while self.last(sequence).is_none() {
            assert!(start.elapsed() < TIMEOUT, "{sequence:?} was not written:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Clicks where a text is shown.
    fn click(&mut self, text: &str) {
        self.wait_for(text);
        let parser = self.parser();
        let rows: Vec<String> = parser.screen().rows(0, self.size.0).collect();
        let (row, line) = rows.iter().enumerate().find(|(_, l)| l.contains(text)).unwrap_or_else(|| panic!("{text}"));
        let column = line.split(text).next().unwrap().chars().count();
        self.keys(&format!("\x1b[<0;{x};{y}M\x1b[<0;{x};{y}m", x = column + 1, y = row + 1));
    }

    fn text(&self) -> String {
        self.parser().screen().contents()
    }

    fn wait_for(&self, part: &str) {
        let start = Instant::now();
        while !self.text().contains(part) {
            assert!(start.elapsed() < TIMEOUT, "'{part}' did not appear:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn wait_until_gone(&self, part: &str) {
        let start = Instant::now();
        while self.text().contains(part) {
            assert!(start.elapsed() < TIMEOUT, "'{part}' did not disappear:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Presses Escape and waits, because a key that follows at once would be read as Alt with that key.
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

    fn wait_for_exit(&mut self) -> u32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                std::thread::sleep(Duration::from_millis(150));
                return status.exit_code();
            }
            assert!(start.elapsed() < TIMEOUT, "the program does not exit:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Checks that the terminal is restored: no alternate screen, no modes left on, a visible cursor.
    fn assert_restored(&self) {
        let parser = self.parser();
        let screen = parser.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left on");
        assert!(!screen.bracketed_paste(), "bracketed paste is left on");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is captured");
        for (on, off, what) in [("[?1004h", "[?1004l", "focus"), ("[22;2t", "[23;2t", "title"), ("[>1u", "[<1u", "keyboard")] {
            assert!(self.last(off) >= self.last(on), "the {what} is not restored");
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
    }
}

#[test]
fn demo_works_from_alert_to_report() {
    let mut s = Screen::warroom(&["demo"], 140, 40);
    s.wait_for("Alerts 5 firing");
    s.wait_for("HighErrorRate");
    s.keys(" d");
    s.wait_for("Declare an incident from");
    s.wait_for("a critical function is failing");
    s.keys("\r");
    s.wait_for("db_pool_in_use");
    s.wait_for("pool exhausted after");
    s.keys("nlooked at the pool\r2");
    s.wait_for("looked at the pool");
    // Control-J and the carriage returns of a paste begin new lines; Enter ends the text.
    s.keys("n\x1b[200~line one\rline two\x1b[201~\nline three\r");
    s.wait_for("line three");
    let screen = s.text();
    // The message at the bottom has them in one row, the timeline in three.
    assert!(screen.lines().filter(|l| !l.contains('✓')).all(|l| l.matches("line ").count() < 2), "{screen}");
    s.keys("3");
    // Suspects share one time axis with the evidence below; `d` lists the findings to go to, such as the version change.
    s.wait_for("Suspects");
    s.keys("j");
    s.wait_for("max by (service)");
    s.keys("dversion");
    s.wait_for("Go to");
    s.esc();
    s.keys("4");
    s.wait_for("Log patterns");
    s.wait_for("pool exhausted after <*>");
    s.keys("\r");
    s.wait_for("the newest 2500 of ");
    s.esc();
    s.keys("v");
    s.wait_for("following");
    s.wait_for("order");
    // A marked log line appears in the timeline with its own evidence.
    s.keys("m2");
    s.wait_for("log line: ");
    s.keys("5\r");
    s.wait_for("Saturation and expiry");
    s.wait_for("claims:");
    // The recording has the answers to the queries of the playbooks.
    s.keys("6");
    s.wait_for("Verify the effect");
    s.keys("\r");
    s.wait_for("done by ana");
    s.keys("7a");
    s.wait_for("Start with a verb");
    s.keys("Alert on pool use\r");
    s.wait_for("Purpose of “Alert on pool use”");
    s.keys("1");
    s.wait_for("1 of 1 open");
    s.keys("9");
    s.wait_for("Post-mortem INC-1");
    s.keys("?");
    s.wait_for("Keys of this view");
    s.esc();
    s.keys("qq");
    assert_eq!(s.wait_for_exit(), 0);
    s.assert_restored();
}

#[test]
fn fits_eighty_by_twenty_four_and_survives_resizing() {
    let mut s = Screen::warroom(&["demo"], 80, 24);
    s.wait_for("5 firing");
    s.wait_for("d declare");
    s.keys("d\r");
    s.wait_for("Findings");
    for (cols, rows) in [(200, 60), (20, 5), (1, 1), (80, 24)] {
        s.resize(cols, rows);
        std::thread::sleep(Duration::from_millis(60));
    }
    s.wait_for("1 Over");
    s.keys("qq");
    assert_eq!(s.wait_for_exit(), 0);
    s.assert_restored();
}

#[test]
fn opens_the_runbook_of_an_alert_or_copies_its_url() {
    let bin = tempfile::tempdir().unwrap();
    let (opener, opened) = (bin.path().join("xdg-open"), bin.path().join("opened"));
    std::fs::write(&opener, format!("#!/bin/sh\nprintf '%s' \"$1\" > '{}'\n", opened.display())).unwrap();
    std::fs::set_permissions(&opener, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    for display in [":9", ""] {
        let env = [("PATH", path.as_str()), ("DISPLAY", display), ("WAYLAND_DISPLAY", "")];
        let mut screen = Screen::start(env!("CARGO_BIN_EXE_warroom"), &["demo"], 140, 40, &env);
        screen.wait_for("HighErrorRate");
        screen.keys("o");
        screen.wait_for(if display.is_empty() { "so it was copied: https://runbooks" } else { "Opened https://runbooks" });
        assert!(!std::fs::read_to_string(&opened).unwrap_or_default().is_empty());
    }
    let url = std::fs::read_to_string(&opened).unwrap();
    assert!(url.starts_with("https://runbooks.example/"), "{url}");
}

/// A text field and an answer open in the editor of the user, which may have arguments; one that fails loses nothing.
#[test]
fn texts_open_in_the_editor_of_the_user() {
    let bin = tempfile::tempdir().unwrap();
    let (editor, seen) = (bin.path().join("ed it"), bin.path().join("seen"));
    let script = format!(
        "#!/bin/sh\nls -l \"$2\" > '{0}'\ncat \"$2\" >> '{0}'\nprintf ' and the second line\\nends here' >> \"$2\"\n",
        seen.display()
    );
    std::fs::write(&editor, script).unwrap();
    std::fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let command = format!("'{}' --wait", editor.display());
    let mut s = Screen::start(env!("CARGO_BIN_EXE_warroom"), &["demo"], 140, 40, &[("VISUAL", command.as_str())]);
    s.wait_for("5 firing");
    s.keys("d");
    s.wait_for("Declare");
    s.keys("\r");
    s.wait_for("Overview");
    s.keys("n");
    s.wait_for("┌ Note");
    s.keys("the first line");
    s.wait_for("the first line");
    s.keys("\x05");
    s.wait_for("and the second line");
    s.keys("\r");
    s.wait_until_gone("┌ Note");
    let file = std::fs::read_to_string(&seen).unwrap();
    assert!(file.starts_with("-rw-------") && file.ends_with("the first line"), "{file}");
    s.keys("5z");
    // Below the answer itself, not only in the message, which is there before the answer can be opened.
    s.wait_for("│ ✓ ");
    s.keys("o");
    let start = Instant::now();
    while !std::fs::read_to_string(&seen).unwrap().contains("Where to look first") {
        assert!(start.elapsed() < TIMEOUT, "{}", s.text());
        std::thread::sleep(Duration::from_millis(30));
    }
    // The draft is gone, and the screen is back.
    let path = std::fs::read_to_string(&seen).unwrap().split_whitespace().find(|w| w.contains("warroom-")).unwrap().to_owned();
    s.wait_for("claims: ");
    let start = Instant::now();
    while PathBuf::from(&path).exists() {
        assert!(start.elapsed() < TIMEOUT, "{path} is left");
        std::thread::sleep(Duration::from_millis(30));
    }
    drop(s);

    let mut s = Screen::start(env!("CARGO_BIN_EXE_warroom"), &["demo"], 140, 40, &[("VISUAL", "false")]);
    s.wait_for("5 firing");
    s.keys("/");
    s.wait_for("Filter");
    s.keys("checkout\x05");
    s.wait_for("The editor 'false' failed");
    s.wait_for("checkout");
}

#[test]
fn restores_the_terminal_after_a_signal() {
    use rustix::process::Signal;
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut s = Screen::warroom(&["demo"], 100, 30);
        s.wait_for("5 firing");
        s.signal(signal);
        assert_eq!(s.wait_for_exit(), status, "{signal:?}");
        s.assert_restored();
    }
}

#[test]
fn a_terminal_that_does_not_read_holds_nothing_up_and_gets_the_newest_frame() {
    let mut s = Screen::warroom(&["demo"], 200, 60);
    s.wait_for("5 firing");
    s.is_stalled.store(true, Ordering::Relaxed);
    // More frames than any buffer on the way holds: each key changes the whole screen.
    for n in 0..400 {
        s.keys(if n % 2 == 0 { "?" } else { "\x1b" });
        std::thread::sleep(Duration::from_millis(5));
    }
    s.keys(":");
    std::thread::sleep(Duration::from_millis(300));
    s.keys("the newest");
    s.is_stalled.store(false, Ordering::Relaxed);
    s.wait_for("the newest");
    // What was drawn meanwhile was not kept: 200 screens of keys would be far more.
    let written = s.bytes.lock().unwrap().len();
    assert!(written < 1_500_000, "{written} bytes");
    s.is_stalled.store(true, Ordering::Relaxed);
    for _ in 0..400 {
        s.keys("x\x7f");
        std::thread::sleep(Duration::from_millis(2));
    }
    s.signal(rustix::process::Signal::TERM);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = s.child.try_wait().unwrap() {
            break status.exit_code();
        }
        assert!(start.elapsed() < TIMEOUT, "it waits for the terminal");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status, 143);
    // What it had not read made room for the end.
    s.is_stalled.store(false, Ordering::Relaxed);
    s.wait_for_sequence("[?1049l");
}

#[test]
fn losing_the_terminal_is_no_crash() {
    let pty = native_pty_system().openpty(PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 }).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_warroom"));
    let folder = tempfile::tempdir().unwrap();
    command.args(["demo"]);
    for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("WARROOM_USER", "ana")] {
        command.env(name, value);
    }
    command.env("HOME", folder.path());
    command.env("XDG_CONFIG_HOME", folder.path());
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 8192]);
    while !String::from_utf8_lossy(&seen).contains("5 firing") {
        let n = reader.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..n]);
    }
    // Both ends of it are gone, and stderr with them.
    drop(reader);
    drop(pty.master);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < TIMEOUT, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!([0, 129].contains(&status.exit_code()), "{status:?}");
}

#[test]
fn restores_the_terminal_after_a_panic_and_prints_its_report() {
    let target = PathBuf::from(env!("CARGO_BIN_EXE_warroom")).parent().unwrap().join("examples/panic");
    let mut s = Screen::start(&target.display().to_string(), &[], 100, 30, &[]);
    assert_ne!(s.wait_for_exit(), 0);
    s.assert_restored();
    assert!(s.text().contains("this panic is part of a test"), "{}", s.text());
}

/// In a real shell with job control: Ctrl-Z, another command, `fg`.
#[test]
fn suspends_to_the_shell_and_resumes() {
    let mut s = Screen::start("bash", &["--norc", "--noprofile", "-i"], 100, 30, &[("PS1", "shell> ")]);
    s.wait_for("shell>");
    s.keys(&format!("{} demo\r", env!("CARGO_BIN_EXE_warroom")));
    s.wait_for("5 firing");
    s.keys("\x1a");
    s.wait_for("Stopped");
    s.assert_restored();
    s.keys("echo between-$((40+2))\r");
    s.wait_for("between-42");
    s.keys("fg\r");
    let start = Instant::now();
    while !(s.parser().screen().alternate_screen() && s.text().contains("5 firing")) {
        assert!(start.elapsed() < TIMEOUT, "{}", s.text());
        std::thread::sleep(Duration::from_millis(30));
    }
    s.keys("q");
    s.wait_for("shell>");
    let start = Instant::now();
    while s.parser().screen().alternate_screen() {
        assert!(start.elapsed() < TIMEOUT, "{}", s.text());
        std::thread::sleep(Duration::from_millis(30));
    }
    s.assert_restored();
    s.keys("exit\r");
    s.wait_for_exit();
}

/// A shell may change the mode of the terminal line while the program is stopped; the program must set it again.
#[test]
fn restores_raw_mode_when_the_shell_changed_it() {
    let mut s = Screen::warroom(&["demo"], 100, 30);
    s.wait_for("5 firing");
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
        assert!(start.elapsed() < TIMEOUT, "the terminal is not in raw mode again");
        std::thread::sleep(Duration::from_millis(30));
    }
    s.keys("q");
    assert_eq!(s.wait_for_exit(), 0);
}

#[test]
fn late_replies_of_the_terminal_are_not_keys() {
    let mut s = Screen::warroom(&["demo"], 100, 30);
    s.wait_for("5 firing");
    s.keys("j");
    s.wait_for("DbPoolNearlyExhausted · checkout");
    for reply in [
        "\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",
        "\x1b]4;1;rgb:cdcd/0000/0000\x07",
        "\x1b]52;c;aGVsbG8gd29ybGQ=\x1b\\",
        "\x1bP>|tmux 3.4\x1b\\",
        "\x1b[>1;5000;1c",
        "\x1b[?62;22c",
    ] {
        s.keys(reply);
    }
    // Handled in order: once this key has been, the replies have been as well.
    s.keys("j");
    s.wait_for("SlowResponses · checkout");
    let screen = s.text();
    assert!(screen.contains("Alerts 5 firing · by service") && !screen.contains("not bound"), "{screen}");
    for effect in ["✓", "Commands", "1e1e", "filter:"] {
        assert!(!screen.contains(effect), "{effect}\n{screen}");
    }
    s.keys("qq");
    assert_eq!(s.wait_for_exit(), 0);
}

#[test]
fn the_mouse_selects_and_opens_once_it_is_turned_on() {
    let mut s = Screen::warroom(&["demo"], 100, 30);
    s.wait_for("5 firing");
    assert_eq!(s.last("[?1000h"), None, "it is off");
    s.keys("\x1bm");
    s.wait_for("Mouse on");
    s.click("DbPoolNearly");
    s.wait_for("DbPoolNearlyExhausted · checkout");
    s.keys("d\r");
    s.click("2 Time");
    s.wait_for("Declared SEV3");
    s.keys("\x1bm");
    s.wait_for("Mouse off");
    assert!(s.last("[?1000l") > s.last("[?1000h"));
    s.keys("qq");
    assert_eq!(s.wait_for_exit(), 0);
    s.assert_restored();
}

#[test]
fn the_terminal_shows_the_incident_in_its_title_and_each_frame_at_once() {
    let mut s = Screen::warroom(&["demo"], 100, 30);
    s.wait_for_sequence("]0;warroom · 5 firing\x07");
    s.keys("d\r");
    s.wait_for_sequence("]0;SEV2 INC-1 · update in ");
    assert!(s.last("[?2026l") > s.last("[?2026h"), "a frame begins and ends");
    s.keys("qq");
    assert_eq!(s.wait_for_exit(), 0);
    s.assert_restored();
    let config = "[ui]\ntitle = false\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config).unwrap();
    let mut s = Screen::warroom(&["--config", path.to_str().unwrap()], 100, 30);
    s.wait_for("No sources are configured");
    s.keys("q");
    assert_eq!(s.wait_for_exit(), 0);
    assert_eq!(s.last("]0;"), None, "the user wants no title");
}

#[test]
fn keys_are_reported_unambiguously_where_the_terminal_offers_it() {
    let mut s = Screen::start(env!("CARGO_BIN_EXE_warroom"), &["demo"], 100, 30, &[("TERM", "xterm-kitty")]);
    s.wait_for_sequence("[?u");
    s.keys("\x1b[?0u\x1b[?62c");
    s.wait_for_sequence("[>1u");
    s.wait_for("5 firing");
    // A key as the protocol reports it: Escape is a sequence of its own, and what follows at once is another key.
    s.keys("?");
    s.wait_for("Keys of this view");
    s.keys("\x1b[27uj");
    s.wait_for("DbPoolNearlyExhausted · checkout");
    s.keys("q");
    assert_eq!(s.wait_for_exit(), 0);
    s.assert_restored();
}

/// After `kill -9`, the room, its tab and the half-typed note are there again; after quitting, the board comes first.
#[test]
fn what_was_open_is_there_again_after_the_process_was_killed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().display().to_string();
    let env = [("HOME", folder.as_str()), ("XDG_CONFIG_HOME", &folder), ("XDG_DATA_HOME", &folder), ("XDG_STATE_HOME", &folder)];
    let start = || Screen::start(env!("CARGO_BIN_EXE_warroom"), &[], 100, 30, &env);
    let mut s = start();
    s.wait_for("No sources are configured");
    s.keys("dcheckout is down\r");
    s.wait_for("INC-1");
    s.keys("2n");
    s.wait_for("Describe what you saw");
    s.keys("the pool password=hunter22222 is full");
    let sessions = home.path().join("warroom/sessions");
    let kept = || {
        let files = std::fs::read_dir(&sessions).into_iter().flatten().flatten().map(|f| f.path());
        // A file that is being written does not count yet.
        let whole = files.filter(|f| f.extension().is_some_and(|e| e == "json"));
        whole.filter_map(|f| std::fs::read_to_string(f).ok()).collect::<String>()
    };
    let begun = Instant::now();
    while !kept().contains("is full") {
        assert!(begun.elapsed() < TIMEOUT, "the text is not kept: {}", kept());
        std::thread::sleep(Duration::from_millis(30));
    }
    assert!(!kept().contains("hunter22222"), "a secret is not stored: {}", kept());
    s.signal(rustix::process::Signal::KILL);
    s.wait_for_exit();
    let mut s = start();
    s.wait_for("INC-1 was open when warroom ended");
    s.wait_for("Timeline");
    s.keys("n");
    s.wait_for("the pool password=");
    s.esc();
    s.keys("qq");
    assert_eq!(s.wait_for_exit(), 0);
    let mut s = start();
    s.wait_for("Incidents 1 open");
    assert!(!s.text().contains("was open when"), "{}", s.text());
    s.keys("q");
    assert_eq!(s.wait_for_exit(), 0);
}

/// The colour of the first character of a text on the screen.
fn colour_of(screen: &Screen, text: &str) -> vt100::Color {
    let parser = screen.parser();
    let rows: Vec<String> = parser.screen().rows(0, screen.size.0).collect();
    let (row, line) = rows.iter().enumerate().find(|(_, l)| l.contains(text)).unwrap_or_else(|| panic!("{text}"));
    let column = line.split(text).next().unwrap().chars().count();
    parser.screen().cell(row.try_into().unwrap(), column.try_into().unwrap()).unwrap().fgcolor()
}

#[test]
fn the_theme_follows_the_background_that_the_terminal_names() {
    let mut screen = Screen::warroom(&["demo"], 100, 30);
    screen.wait_for("crit");
    let asked = String::from_utf8_lossy(&screen.bytes.lock().unwrap()).contains("\x1b]11;?\x1b\\");
    assert!(asked, "the terminal is asked for its background");
    let dark = colour_of(&screen, "crit");
    screen.keys("\x1b]11;rgb:fdfd/f6f6/e3e3\x1b\\");
    let start = Instant::now();
    while colour_of(&screen, "crit") == dark {
        assert!(start.elapsed() < TIMEOUT, "the colours did not change:\n{}", screen.text());
        std::thread::sleep(Duration::from_millis(30));
    }
    assert_eq!(colour_of(&screen, "crit"), vt100::Color::Idx(124), "dark red, which can be read on white");
    assert!(screen.text().contains("Alerts"), "the reply acted as no key:\n{}", screen.text());
    screen.keys("q");
    screen.wait_for_exit();
}

#[test]
fn a_poor_terminal_gets_ascii_and_a_dumb_one_a_clear_refusal() {
    let program = env!("CARGO_BIN_EXE_warroom");
    let mut screen = Screen::start(program, &["demo"], 100, 30, &[("LC_ALL", "C")]);
    screen.wait_for("HighErrorRate");
    screen.keys("d");
    screen.wait_for("Declare an incident");
    let text = screen.text();
    assert!(text.is_ascii() && text.contains("+ Alerts 5 firing") && text.contains("* crit"), "{text}");
    screen.keys("\x03");
    let mut dumb = Screen::start(program, &["demo"], 80, 24, &[("TERM", "dumb")]);
    dumb.wait_for("TERM=dumb: this terminal cannot place text");
    let status = dumb.child.wait().unwrap();
    assert_eq!(status.exit_code(), 1);
    assert!(!String::from_utf8_lossy(&dumb.bytes.lock().unwrap()).contains('\x1b'), "no control sequences");
}

#[test]
fn sends_no_colours_with_no_color() {
    let mut s = Screen::start(env!("CARGO_BIN_EXE_warroom"), &["demo"], 100, 30, &[("NO_COLOR", "1")]);
    s.wait_for("5 firing");
    s.keys("j?");
    s.wait_for("Keys of this view");
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
    s.wait_for_exit();
}

#[test]
fn board_says_that_no_sources_are_configured() {
    let mut s = Screen::warroom(&[], 80, 24);
    s.wait_for("No sources are configured");
    s.wait_for("warroom demo");
    s.keys("q");
    assert_eq!(s.wait_for_exit(), 0);
    assert!(s.folder.path().join("warroom/journal.db").exists());
}

#[test]
fn shows_alerts_while_another_source_hangs() {
    let slow = stub::Stub::start(|_| {
        std::thread::sleep(2 * TIMEOUT);
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
    // `wait_for` gives up before the slow source answers.
    s.wait_for("1 firing");
    s.wait_for("quick ●");
    s.keys("q");
    assert_eq!(s.wait_for_exit(), 0);
}

/// What this window's own background watch records appears in its open room, without a key being pressed.
#[test]
fn an_open_room_shows_what_its_own_watch_records() {
    let is_over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&is_over);
    let alertmanager = stub::Stub::start(move |request| {
        let alert = r#"[{"labels":{"alertname":"Slow"},"fingerprint":"f","startsAt":"2026-11-21T09:00:00Z","status":{"state":"active"}}]"#;
        let has_alert = request.path().ends_with("/alerts") && !ended.load(Ordering::Relaxed);
        stub::Reply::json(if has_alert { alert } else { "[]" })
    });
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let source = format!("[[sources]]\nname = \"am\"\ntype = \"alertmanager\"\nurl = \"{}\"\n", alertmanager.url());
    std::fs::write(&config, format!("[ui]\nrefresh_secs = 1\n{source}")).unwrap();
    let mut s = Screen::warroom(&["--config", &config.display().to_string()], 140, 40);
    s.wait_for("1 firing");
    s.keys(" d\r");
    s.wait_for("1 Over");
    s.keys("2");
    s.wait_for("Declared");
    is_over.store(true, Ordering::Relaxed);
    s.wait_for("Alert Slow resolved");
    s.keys("qq");
    assert_eq!(s.wait_for_exit(), 0);
}

#[test]
fn hostile_text_never_controls_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("evil.log");
    let config = folder.path().join("config.toml");
    std::fs::write(&log, "2026-11-21T08:59:00Z INFO of before\n").unwrap();
    std::fs::write(&config, format!("[[sources]]\nname = \"evil\"\ntype = \"file\"\npaths = [\"{}\"]\n", log.display())).unwrap();
    let mut s = Screen::warroom(&["--config", &config.display().to_string()], 100, 30);
    s.wait_for("Alerts · by service");
    // A title with escape sequences is pasted, and log lines contain many kinds of them.
    s.keys("d\x1b[200~evil \x1b]0;owned\x07title\u{202e}\x1b[201~\r");
    s.wait_for("1 Over");
    s.keys("4");
    s.wait_for("of before");
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
    s.wait_for("report endmark");
    let bytes = s.bytes.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&bytes);
    for bad in ["\x1b]0;owned", "\x1b]0;title", "\x1b]52", "\x1bc", "\u{202e}", "\x1b[6n"] {
        assert!(!text.contains(bad), "{bad:?} reached the terminal");
    }
    assert!(s.parser().screen().alternate_screen());
    s.keys("qq");
    assert_eq!(s.wait_for_exit(), 0);
    s.assert_restored();
}

/// A file with more lines than the screen holds: a search finds what is not loaded, shows the lines around it, and writes them to a file.
#[test]
fn a_search_reaches_lines_that_are_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let (log, config) = (folder.path().join("shop.log"), folder.path().join("config.toml"));
    let now = time::OffsetDateTime::now_utc();
    let stamp = |secs: i64| {
        let at = now - time::Duration::seconds(secs);
        at.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    let words = ["cart opened", "cart closed", "item added", "item removed"];
    let lines: String = (0..12_000_usize)
        .map(|n| {
            let ago = (12_000 - i64::try_from(n).unwrap()) / 6;
            match n {
                1000 => format!("{} WARN volume nearly full\n", stamp(ago)),
                9000 => format!("{} ERROR disk quota exceeded trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n", stamp(ago)),
                9100 => format!("{} INFO upload retried trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n", stamp(ago)),
                _ => format!("{} INFO {}\n", stamp(ago), words[n % words.len()]),
            }
        })
        .collect();
    std::fs::write(&log, lines).unwrap();
    std::fs::write(&config, format!("[[sources]]\nname = \"shop\"\ntype = \"file\"\npaths = [\"{}\"]\n", log.display())).unwrap();
    let mut s = Screen::warroom(&["--config", &config.display().to_string()], 120, 30);
    s.wait_for("Alerts");
    s.keys("dcheckout is down\r");
    s.wait_for("investigation is complete");
    s.keys("4v");
    s.wait_for("following");
    s.keys("/quota exceeded\r");
    s.wait_for("match (1 of 1)");
    s.wait_for("disk quota exceeded");
    s.keys("gt");
    s.wait_for("match (2 of 2)");
    s.wait_for("upload retried");
    s.keys("kl");
    s.wait_for("Logs around");
    s.wait_for("item added");
    let file = folder.path().join("around.log");
    s.keys(&format!("o{}\r", file.display()));
    s.wait_for("Saved to ");
    let saved = std::fs::read_to_string(&file).unwrap();
    assert!(saved.contains("disk quota exceeded") && saved.lines().count() > 100, "{saved}");
    // Before the window of the incident.
    s.keys("/nearly full\r");
    s.wait_for("searches earlier ones");
    // Each page is read in turn; a key during that does nothing.
    let begun = Instant::now();
    while !s.text().contains("volume nearly full") {
        assert!(begun.elapsed() < TIMEOUT, "it was not found:\n{}", s.text());
        s.keys("k");
        std::thread::sleep(Duration::from_millis(200));
    }
    s.keys("vqq");
    assert_eq!(s.wait_for_exit(), 0);
}

/// Two people work on one incident in a real PostgreSQL store: each sees the other and the other's entries. Without the server
/// both continue, and their entries are merged when it is back.
#[test]
fn two_people_work_on_one_incident() {
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
    let open_incident = |name: &str, cols, rows| {
        let env = [("WARROOM_STORE", url.as_str()), ("WARROOM_USER", name)];
        let mut screen = Screen::start(env!("CARGO_BIN_EXE_warroom"), &[], cols, rows, &env);
        screen.wait_for("checkout is failing");
        screen.keys("\t\r");
        screen.wait_for("1 Over");
        screen.keys("2");
        screen.wait_for("Declared SEV2");
        screen
    };
    let mut ana = open_incident("ana", 140, 40);
    let mut ben = open_incident("ben", 80, 24);
    ana.wait_for("☺ ben");
    ben.wait_for("☺ ana");
    ana.keys("nthe pool is full\r");
    ben.wait_for("the pool is full");

    pg.crash();
    ana.keys("nwritten without the server\r");
    ana.wait_for("store ○ unreachable");
    ana.wait_for("↯1 unsynced");
    ana.wait_for("written without the server ↯");
    ben.keys("nben writes too\r");
    ben.wait_for("↯1");
    pg.start_server();
    for screen in [&ana, &ben] {
        screen.wait_for("written without the server");
        screen.wait_for("ben writes too");
        screen.wait_until_gone("↯");
    }
    let counts = pg.sql("SELECT count(*), count(DISTINCT text::jsonb #>> '{fact,text}') FROM warroom.entry WHERE text::jsonb #>> '{fact,kind}' = 'note'");
    assert_eq!(counts, "3|3", "each note is stored once");
}
