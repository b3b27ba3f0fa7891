//! Drives the demo in a pseudo-terminal and writes its screen as an SVG, the screenshot in the README.
//!
//! Usage: screenshot PROGRAM OUT.svg (scripts/screenshot calls it)

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const COLS: u16 = 140;
const ROWS: u16 = 40;

/// The CSS color of a terminal color.
fn css_color(color: vt100::Color, default: &str) -> String {
    const SIXTEEN: [&str; 16] = [
        "#1c1f24", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4", "#7f848e", "#ff7a85", "#b5e890",
        "#ffd68a", "#7cc4ff", "#e096f5", "#6fd8e5", "#ffffff",
    ];
    match color {
        vt100::Color::Default => default.to_owned(),
        vt100::Color::Idx(i) => SIXTEEN.get(usize::from(i)).map_or_else(|| default.to_owned(), |c| (*c).to_owned()),
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

fn svg(screen: &vt100::Screen) -> String {
    let (width, height) = (8.4, 18.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\" font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16181d\"/>\n",
        f64::from(COLS) * width + 20.0,
        f64::from(ROWS) * height + 20.0
    );
    for row in 0..ROWS {
        let y = f64::from(row) * height + 10.0;
        let mut col = 0;
        while col < COLS {
            let Some(first) = screen.cell(row, col) else { break };
            let style = |c: &vt100::Cell| (c.fgcolor(), c.bgcolor(), c.bold(), c.inverse());
            let mut text = String::new();
            let start = col;
            while let Some(cell) = screen.cell(row, col).filter(|c| style(c) == style(first)) {
                text.push_str(if cell.contents().is_empty() { " " } else { cell.contents() });
                col += 1;
            }
            let (mut fg, mut bg) = (css_color(first.fgcolor(), "#c8ccd4"), css_color(first.bgcolor(), "#16181d"));
            if first.inverse() {
                std::mem::swap(&mut fg, &mut bg);
            }
            let x = f64::from(start) * width + 10.0;
            let length = f64::from(col - start) * width;
            if bg != "#16181d" {
                let _fits =
                    writeln!(out, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{height:.1}\" fill=\"{bg}\"/>");
            }
            if !text.trim().is_empty() {
                let weight = if first.bold() { " font-weight=\"bold\"" } else { "" };
                let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                let baseline = y + 13.5;
                // Braille characters often have another width and not every viewer stretches text, so each is placed alone.
                if text.chars().any(|c| ('\u{2800}'..='\u{28ff}').contains(&c)) {
                    for (i, c) in text.chars().enumerate().filter(|(_, c)| *c != ' ') {
                        let x = x + i as f64 * width;
                        let _fits = writeln!(out, "<text x=\"{x:.1}\" y=\"{baseline:.1}\" fill=\"{fg}\">{c}</text>");
                    }
                } else {
                    let _fits = writeln!(
                        out,
                        "<text x=\"{x:.1}\" y=\"{baseline:.1}\" fill=\"{fg}\"{weight} textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{escaped}</text>"
                    );
                }
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, program, target] = args.as_slice() else { panic!("usage: screenshot PROGRAM OUT.svg") };
    let pty =
        native_pty_system().openpty(PtySize { rows: ROWS, cols: COLS, pixel_width: 0, pixel_height: 0 }).expect("a terminal");
    let mut command = CommandBuilder::new(program);
    command.arg("demo");
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    command.env("COLORTERM", "truecolor");
    command.env_remove("NO_COLOR");
    command.env("WARROOM_USER", "ana");
    let mut child = pty.slave.spawn_command(command).expect("the program");
    let mut reader = pty.master.try_clone_reader().expect("a reader");
    let mut writer = pty.master.take_writer().expect("a writer");
    let parser = Arc::new(Mutex::new(vt100::Parser::new(ROWS.try_into().expect("rows"), COLS.try_into().expect("columns"), 0)));
    let sink = Arc::clone(&parser);
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            sink.lock().expect("the screen").process(&buffer[..n]);
        }
    });
    let wait_for = |part: &str| {
        let start = Instant::now();
        while !parser.lock().expect("the screen").screen().contents().contains(part) {
            assert!(start.elapsed() < Duration::from_mins(1), "timed out waiting for '{part}' on the screen");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let mut keys = |keys: &str| writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).expect("a key");
    wait_for("5 firing");
    // Select all five alerts, declare an incident, and show the likely cause.
    keys("gg jjj ");
    keys("d");
    wait_for("Declare an incident");
    keys("\r");
    wait_for("pool exhausted after");
    keys("a");
    std::thread::sleep(Duration::from_millis(500));
    keys("jj");
    // Wait until the message at the bottom disappears.
    std::thread::sleep(Duration::from_secs(7));
    let picture = svg(parser.lock().expect("the screen").screen());
    std::fs::write(target, picture).expect("the picture");
    child.kill().expect("the program ends");
}
