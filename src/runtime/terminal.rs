//! Sets the terminal up and restores it, no matter how the program ends: each mode that was switched on is switched off again.
//!
//! The panic hook restores the terminal before the panic is reported, so that the report is readable. Restoring twice is
//! harmless.

use std::io::{Write, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{Command, execute};

static RAW: AtomicBool = AtomicBool::new(false);
static SCREEN: AtomicBool = AtomicBool::new(false);
static PASTE: AtomicBool = AtomicBool::new(false);
static MOUSE: AtomicBool = AtomicBool::new(false);

/// The longest text that terminals accept through OSC 52, in bytes.
const MAX_COPY: usize = 74_000;

/// Owns the terminal and restores it when dropped.
pub struct Guard {
    mouse: bool,
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
        if !std::io::IsTerminal::is_terminal(&stdout()) {
            return Err(std::io::Error::other("stdout is not a terminal"));
        }
        // Such a terminal would show the control sequences as text.
        if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
            return Err(std::io::Error::other("TERM=dumb: this terminal cannot place text"));
        }
        let guard = Self { mouse };
        guard.switch_on()?;
        Ok(guard)
    }

    fn switch_on(&self) -> std::io::Result<()> {
        enable_raw_mode()?;
        RAW.store(true, Ordering::SeqCst);
        switch(EnterAlternateScreen, &SCREEN)?;
        switch(EnableBracketedPaste, &PASTE)?;
        if self.mouse {
            switch(EnableMouseCapture, &MOUSE)?;
        }
        Ok(())
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
    execute!(stdout(), command)
}

/// Switches off every mode that is on. Can be called at any time and any number of times. Errors are ignored, because they
/// mean that the terminal is gone.
pub fn restore() {
    let mut out = stdout();
    if MOUSE.swap(false, Ordering::SeqCst) {
        let _gone = execute!(out, DisableMouseCapture);
    }
    if PASTE.swap(false, Ordering::SeqCst) {
        let _gone = execute!(out, DisableBracketedPaste);
    }
    if SCREEN.swap(false, Ordering::SeqCst) {
        let _gone = execute!(out, LeaveAlternateScreen, Show);
    }
    if RAW.swap(false, Ordering::SeqCst) {
        let _gone = disable_raw_mode();
    }
    let _gone = out.flush();
}

/// Asks the terminal for its background (OSC 11). Returns whether it was asked: consoles without control strings would show the
/// question as text.
pub fn ask_background() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    let knows = !(term.starts_with("linux")
        || term.starts_with("vt")
        || term.starts_with("screen") && std::env::var_os("TMUX").is_none());
    let mut out = stdout();
    knows && out.write_all(b"\x1b]11;?\x1b\\").and_then(|()| out.flush()).is_ok()
}

/// Copies text to the clipboard of the user's terminal, also over ssh.
pub fn copy(text: &str) {
    let cut = crate::telemetry::clean::truncate(text, MAX_COPY);
    let _no_clipboard = execute!(stdout(), CopyToClipboard::to_clipboard_from(cut));
}
