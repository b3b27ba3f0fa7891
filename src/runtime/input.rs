//! Translates terminal events and process signals into messages.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};

use crate::app::pointer::Pointer;
use crate::app::{Chord, Code, Msg};

/// A terminal event as a message; `None` for events without a meaning here (key releases, other mouse buttons).
pub(super) fn translate(event: Event) -> Option<Msg> {
    match event {
        // Some systems also report key releases. Handle only presses and repeats.
        Event::Key(key) if key.kind != KeyEventKind::Release => chord(key).map(Msg::Pressed),
        // Most terminals send a carriage return for each line break of a paste.
        Event::Paste(text) => Some(Msg::Pasted(text.replace("\r\n", "\n").replace('\r', "\n"))),
        Event::Resize(width, height) => Some(Msg::Resized(width, height)),
        Event::Mouse(mouse) => {
            let what = match mouse.kind {
                MouseEventKind::ScrollDown => Pointer::WheelDown,
                MouseEventKind::ScrollUp => Pointer::WheelUp,
                MouseEventKind::Down(MouseButton::Left) => Pointer::Pressed,
                MouseEventKind::Drag(MouseButton::Left) => Pointer::Dragged,
                MouseEventKind::Up(MouseButton::Left) => Pointer::Released,
                _ => return None,
            };
            Some(Msg::Pointed(what, mouse.column, mouse.row))
        }
        Event::FocusGained => Some(Msg::Focused(true)),
        Event::FocusLost => Some(Msg::Focused(false)),
        Event::Key(_) => None,
    }
}

/// A key event as a chord; `None` for keys that warroom does not use.
fn chord(key: KeyEvent) -> Option<Chord> {
    let code = match key.code {
        KeyCode::Char(c) => Code::Char(c),
        KeyCode::Enter => Code::Enter,
        KeyCode::Esc => Code::Esc,
        KeyCode::Tab => Code::Tab,
        KeyCode::BackTab => Code::BackTab,
        KeyCode::Backspace => Code::Backspace,
        KeyCode::Delete => Code::Delete,
        KeyCode::Up => Code::Up,
        KeyCode::Down => Code::Down,
        KeyCode::Left => Code::Left,
        KeyCode::Right => Code::Right,
        KeyCode::Home => Code::Home,
        KeyCode::End => Code::End,
        KeyCode::PageUp => Code::PageUp,
        KeyCode::PageDown => Code::PageDown,
        _ => return None,
    };
    Some(Chord { code, ctrl: key.modifiers.contains(KeyModifiers::CONTROL), alt: key.modifiers.contains(KeyModifiers::ALT) })
}

/// The action after a process signal.
pub(super) enum Signal {
    /// SIGINT, SIGTERM or SIGHUP, by its number: restore the terminal and end.
    End(u8),
    /// SIGCONT: redraw, because another program may have used the screen.
    Continue,
}

#[cfg(unix)]
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    proceed: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            proceed: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }

    /// Drops an interrupt that was meant for a program in the foreground, such as a pager.
    pub(super) fn forget_interrupt(&mut self) {
        let _pending = futures_util::FutureExt::now_or_never(self.interrupt.recv());
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End(2),
            _ = self.terminate.recv() => Signal::End(15),
            _ = self.hangup.recv() => Signal::End(1),
            _ = self.proceed.recv() => Signal::Continue,
        }
    }
}

#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "as on other systems")]
    pub(super) fn forget_interrupt(&mut self) {}

    pub(super) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::End(2),
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_keeps_its_lines() {
        let pasted = |text: &str| match translate(Event::Paste(text.to_owned())) {
            Some(Msg::Pasted(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(pasted("a\rb\rc"), "a\nb\nc");
        assert_eq!(pasted("a\r\nb\n"), "a\nb\n");
    }

    #[test]
    fn ignores_key_releases() {
        let mut key = KeyEvent::new(KeyCode::Char('d'), KeyModifiers::CONTROL);
        assert!(matches!(translate(Event::Key(key)), Some(Msg::Pressed(c)) if c == Chord::ctrl('d')));
        key.kind = KeyEventKind::Release;
        assert!(translate(Event::Key(key)).is_none());
    }
}
