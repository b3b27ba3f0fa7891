//! A key press in our own words, so that the machine knows no terminal library.

use std::fmt;

/// Which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    Char(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
}

/// A key with its modifiers. Shift is in the character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chord {
    pub code: Code,
    pub ctrl: bool,
    pub alt: bool,
}

impl Chord {
    /// A key alone.
    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false }
    }

    /// A character with Control.
    pub const fn ctrl(c: char) -> Self {
        Self { code: Code::Char(c), ctrl: true, alt: false }
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("C-")?;
        }
        if self.alt {
            f.write_str("A-")?;
        }
        match self.code {
            Code::Char(' ') => f.write_str("space"),
            Code::Char(c) => write!(f, "{c}"),
            Code::Enter => f.write_str("⏎"),
            Code::Esc => f.write_str("esc"),
            Code::Tab => f.write_str("tab"),
            Code::BackTab => f.write_str("S-tab"),
            Code::Backspace => f.write_str("⌫"),
            Code::Delete => f.write_str("del"),
            Code::Up => f.write_str("↑"),
            Code::Down => f.write_str("↓"),
            Code::Left => f.write_str("←"),
            Code::Right => f.write_str("→"),
            Code::Home => f.write_str("home"),
            Code::End => f.write_str("end"),
            Code::PageUp => f.write_str("pgup"),
            Code::PageDown => f.write_str("pgdn"),
        }
    }
}

/// Reads a chord sequence as the keymap writes it: `g g`, `C-d`, `enter`.
pub fn parse(text: &str) -> Option<Vec<Chord>> {
    text.split(' ').filter(|p| !p.is_empty()).map(parse_one).collect()
}

fn parse_one(text: &str) -> Option<Chord> {
    let (ctrl, rest) = text.strip_prefix("C-").map_or((false, text), |r| (true, r));
    let (alt, rest) = rest.strip_prefix("A-").map_or((false, rest), |r| (true, r));
    let code = match rest {
        "space" => Code::Char(' '),
        "enter" => Code::Enter,
        "esc" => Code::Esc,
        "tab" => Code::Tab,
        "backtab" => Code::BackTab,
        "up" => Code::Up,
        "down" => Code::Down,
        "left" => Code::Left,
        "right" => Code::Right,
        "home" => Code::Home,
        "end" => Code::End,
        "pgup" => Code::PageUp,
        "pgdn" => Code::PageDown,
        one => {
            let mut chars = one.chars();
            let c = chars.next()?;
            chars.next().is_none().then_some(Code::Char(c))?
        }
    };
    Some(Chord { code, ctrl, alt })
}
