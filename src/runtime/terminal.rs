//! Sets the terminal up and restores it, no matter how the program ends: each mode that was switched on is switched off again.
//!
//! The panic hook restores the terminal before the panic is reported, so that the report is readable. Restoring twice is
//! harmless.

use std::io::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    KeyboardEnhancementFlags, PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
};
use crossterm::terminal::{
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
};
use crossterm::{Command, execute, queue};

use super::output::{self, Tty};

static RAW: AtomicBool = AtomicBool::new(false);
static SCREEN: AtomicBool = AtomicBool::new(false);
static PASTE: AtomicBool = AtomicBool::new(false);
static MOUSE: AtomicBool = AtomicBool::new(false);
static FOCUS: AtomicBool = AtomicBool::new(false);
static TITLE: AtomicBool = AtomicBool::new(false);
static KEYBOARD: AtomicBool = AtomicBool::new(false);

/// The longest text that terminals accept through OSC 52, in bytes.
const MAX_COPY: usize = 74_000;

/// Owns the terminal and restores it when dropped.
pub struct Guard {
    mouse: bool,
    /// Whether the terminal offers to report keys unambiguously (the kitty keyboard protocol).
    keyboard: bool,
}

/// Reports clicks, the wheel, and moves with a held button. crossterm's command would report every move, which is expensive on a slow link.
struct ReportPointer;

impl Command for ReportPointer {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str("\x1b[?1000h\x1b[?1002h\x1b[?1006h")
    }

    #[cfg(windows)]
    fn execute_winapi(&self) -> std::io::Result<()> {
        crossterm::event::EnableMouseCapture.execute_winapi()
    }
}

impl Guard {
    /// Sets the terminal up.
    ///
    /// # Errors
    /// If stdout is not a terminal or a mode cannot be switched on. The terminal is restored first.
    pub fn enter(mouse: bool) -> std::io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                before(info);
            }));
        });
        if !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            return Err(std::io::Error::other("stdout is not a terminal"));
        }
        // Such a terminal would show the control sequences as text.
        if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
            return Err(std::io::Error::other("TERM=dumb: this terminal cannot place text"));
        }
        let guard = Self { mouse, keyboard: false };
        guard.switch_on()?;
        Ok(guard)
    }

    fn switch_on(&self) -> std::io::Result<()> {
        enable_raw_mode()?;
        RAW.store(true, Ordering::SeqCst);
        switch(EnterAlternateScreen, &SCREEN)?;
        switch(EnableBracketedPaste, &PASTE)?;
        if has_control_strings() {
            switch(EnableFocusChange, &FOCUS)?;
        }
        if self.keyboard {
            push_keyboard()?;
        }
        if self.mouse {
            switch(ReportPointer, &MOUSE)?;
        }
        Ok(())
    }

    /// Has the terminal report keys unambiguously, if it offers that. Terminals that are not known to answer are not asked, because
    /// waiting for them would delay the first keys. Call this before events are read.
    pub fn enhance_keyboard(&mut self) {
        if may_offer_keyboard(|name| std::env::var(name).ok())
            && crossterm::terminal::supports_keyboard_enhancement().is_ok_and(|offers| offers)
        {
            self.keyboard = true;
            let _legacy = push_keyboard();
        }
    }

    /// Turns the reporting of the pointer on or off.
    pub fn set_mouse(&mut self, is_on: bool) {
        self.mouse = is_on;
        if is_on {
            let _gone = switch(ReportPointer, &MOUSE);
        } else if MOUSE.swap(false, Ordering::SeqCst) {
            let _gone = execute!(Tty, DisableMouseCapture);
        }
    }

    /// Restores the terminal.
    pub fn leave(&mut self) {
        restore();
    }

    /// Suspends to the shell (Ctrl-Z) and returns after `fg`.
    pub fn suspend(&mut self) {
        restore();
        #[cfg(unix)]
        {
            // Stops here until SIGCONT. Without job control, this returns immediately.
            let _not_stopped = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP);
        }
        self.renew();
    }

    /// Sets the terminal up again, after a suspension or when another program garbled the screen.
    pub fn renew(&mut self) {
        // The shell may have changed the terminal mode while this process was stopped, so switch raw mode off and on again.
        if RAW.swap(false, Ordering::SeqCst) {
            let _gone = disable_raw_mode();
        }
        if let Err(error) = self.switch_on() {
            tracing::error!(%error, "cannot set up the terminal again");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Switches a mode on and records that it has to be undone.
fn switch(command: impl Command, flag: &AtomicBool) -> std::io::Result<()> {
    // Set the flag first, because a command that fails may still have taken effect.
    flag.store(true, Ordering::SeqCst);
    execute!(Tty, command)
}

/// Has keys reported unambiguously. The terminal keeps a stack of such modes, of which one is removed at the end, so that it is done once.
fn push_keyboard() -> std::io::Result<()> {
    if KEYBOARD.load(Ordering::SeqCst) {
        return Ok(());
    }
    switch(PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES), &KEYBOARD)
}

/// Switches off every mode that is on. Can be called at any time and any number of times. Errors are ignored, because they
/// mean that the terminal is gone.
pub fn restore() {
    let mut out: Vec<u8> = Vec::new();
    if MOUSE.swap(false, Ordering::SeqCst) {
        let _gone = queue!(out, DisableMouseCapture);
    }
    if KEYBOARD.swap(false, Ordering::SeqCst) {
        let _gone = queue!(out, PopKeyboardEnhancementFlags);
    }
    if FOCUS.swap(false, Ordering::SeqCst) {
        let _gone = queue!(out, DisableFocusChange);
    }
    if PASTE.swap(false, Ordering::SeqCst) {
        let _gone = queue!(out, DisableBracketedPaste);
    }
    if TITLE.swap(false, Ordering::SeqCst) {
        // The title from before, which terminals without a stack of titles replace by none.
        let _gone = queue!(out, SetTitle("")).and_then(|()| out.write_all(b"\x1b[23;2t"));
    }
    if SCREEN.swap(false, Ordering::SeqCst) {
        // A frame may have begun and not ended.
        let _gone = queue!(out, EndSynchronizedUpdate, LeaveAlternateScreen, Show);
    }
    if !out.is_empty() {
        output::end_with(&out);
    }
    if RAW.swap(false, Ordering::SeqCst) {
        let _gone = disable_raw_mode();
    }
}

/// Whether the terminal understands control strings. Consoles without them would show their text.
pub fn has_control_strings() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    !(term.starts_with("linux") || term.starts_with("vt"))
}

/// Whether the terminal may offer the kitty keyboard protocol, and is known to answer when it is asked.
fn may_offer_keyboard(env: impl Fn(&str) -> Option<String>) -> bool {
    // Multiplexers answer for themselves, and do not pass on what the terminal offers.
    if env("TMUX").is_some() || env("STY").is_some() {
        return false;
    }
    let starts = |value: Option<String>, names: &[&str]| value.is_some_and(|v| names.iter().any(|n| v.starts_with(n)));
    starts(env("TERM"), &["xterm-kitty", "xterm-ghostty", "foot", "alacritty", "wezterm", "rio", "contour"])
        || starts(env("TERM_PROGRAM"), &["WezTerm", "ghostty", "iTerm.app", "rio", "kitty"])
}

/// Sets the title of the terminal. The first time, the terminal keeps the one from before.
pub fn set_title(title: &str) {
    if !has_control_strings() {
        return;
    }
    let mut out = Tty;
    if !TITLE.swap(true, Ordering::SeqCst) {
        let _gone = out.write_all(b"\x1b[22;2t");
    }
    let _gone = execute!(out, SetTitle(title));
}

/// Rings, and has terminals that can do so show a notification.
pub fn notify(text: &str) {
    let mut out = Tty;
    let strings = if has_control_strings() { notification(text, |name| std::env::var(name).ok()) } else { String::new() };
    let _gone = out.write_all(strings.as_bytes()).and_then(|()| out.write_all(b"\x07")).and_then(|()| out.flush());
}

/// The control string of a notification: OSC 777 where rxvt's form is known, else OSC 9 of iTerm2, which other terminals ignore.
/// Through tmux, it is passed to the terminal if tmux allows that.
fn notification(text: &str, env: impl Fn(&str) -> Option<String>) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let term = env("TERM").unwrap_or_default();
    let string = if term.starts_with("rxvt") || term.starts_with("foot") {
        format!("\x1b]777;notify;warroom;{}\x1b\\", text.replace(';', ","))
    } else {
        format!("\x1b]9;{text}\x1b\\")
    };
    if env("TMUX").is_some() { format!("\x1bPtmux;{}\x1b\\", string.replace('\x1b', "\x1b\x1b")) } else { string }
}

/// Asks the terminal for its background (OSC 11). Returns whether it was asked.
pub fn ask_background() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    let knows = has_control_strings() && !(term.starts_with("screen") && std::env::var_os("TMUX").is_none());
    let mut out = Tty;
    knows && out.write_all(b"\x1b]11;?\x1b\\").and_then(|()| out.flush()).is_ok()
}

/// Copies text to the clipboard of the user's terminal, also over ssh.
pub fn copy(text: &str) {
    let cut = crate::telemetry::clean::truncate(text, MAX_COPY);
    let _no_clipboard = execute!(Tty, CopyToClipboard::to_clipboard_from(cut));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_written_as_the_terminal_reads_them() {
        let env = |vars: &'static [(&'static str, &'static str)]| {
            move |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        };
        let text = "INC-7: the\x1b]0;x\x07 update; overdue";
        assert_eq!(notification(text, env(&[("TERM", "xterm-256color")])), "\x1b]9;INC-7: the]0;x update; overdue\x1b\\");
        assert_eq!(notification(text, env(&[("TERM", "foot")])), "\x1b]777;notify;warroom;INC-7: the]0,x update, overdue\x1b\\");
        let wrapped = notification("a", env(&[("TERM", "tmux-256color"), ("TMUX", "x")]));
        assert_eq!(wrapped, "\x1bPtmux;\x1b\x1b]9;a\x1b\x1b\\\x1b\\");
    }

    #[test]
    fn only_terminals_that_answer_are_asked_for_their_keyboard() {
        let asks = |vars: &[(&str, &str)]| {
            may_offer_keyboard(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert!(asks(&[("TERM", "xterm-kitty")]) && asks(&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")]));
        assert!(!asks(&[("TERM", "xterm-256color")]) && !asks(&[("TERM", "xterm-kitty"), ("TMUX", "/tmp/x")]) && !asks(&[]));
    }
}
