//! The terminal is borrowed: modes are switched on step by step and undone exactly, whatever ends the program.
//!
//! The panic hook undoes them before the panic is reported, so that the report can be read; leaving twice does nothing.

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

/// The longest text that terminals take by OSC 52.
const MAX_COPY: usize = 74_000;

/// Holds the terminal; gives it back when dropped.
pub struct Guard {
    mouse: bool,
}

impl Guard {
    /// Takes the terminal. What was switched on before an error is undone.
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
            return Err(std::io::Error::other("stdout is no terminal"));
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

    /// Gives the terminal back.
    pub fn leave(&mut self) {
        restore();
    }

    /// To the shell and back (Ctrl-Z, `fg`).
    pub fn suspend(&mut self) {
        restore();
        #[cfg(unix)]
        {
            // Stops here until SIGCONT; where job control is off it returns at once.
            let _not_stopped = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP);
        }
        self.renew();
    }

    /// Takes the terminal again: after a suspension, or when something garbled it.
    pub fn renew(&mut self) {
        // A shell may have set the line's mode anew while this process was stopped: what is held to be on is switched on once more.
        if RAW.swap(false, Ordering::SeqCst) {
            let _gone = disable_raw_mode();
        }
        if let Err(error) = self.switch_on() {
            tracing::error!(%error, "taking the terminal again");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

fn switch(command: impl Command, flag: &AtomicBool) -> std::io::Result<()> {
    // Marked first: an error half-way may still have switched it on.
    flag.store(true, Ordering::SeqCst);
    execute!(stdout(), command)
}

/// Undoes what is on. Safe to call at any time, any number of times. A terminal that is gone cannot be restored.
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

/// To the clipboard of whoever sits at the terminal, also over ssh.
pub fn copy(text: &str) {
    let cut = crate::telemetry::clean::truncate(text, MAX_COPY);
    let _no_clipboard = execute!(stdout(), CopyToClipboard::to_clipboard_from(cut));
}
