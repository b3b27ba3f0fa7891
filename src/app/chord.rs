//! Keys with modifiers, independent of any terminal library, and their notation in keymap files.

use std::fmt;

/// A key.
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

/// A key with its modifiers. Shift is part of the character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chord {
    pub code: Code,
    pub ctrl: bool,
    pub alt: bool,
}

impl Chord {
    /// A key without modifiers.
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

impl Chord {
    /// The key in the notation of keymap files, such as `C-d` or `enter`.
    pub fn name(self) -> String {
        let code = match self.code {
            Code::Char(' ') => "space".to_owned(),
            Code::Char(c) => c.to_string(),
            code => NAMES.iter().find(|(_, c)| *c == code).map_or_else(String::new, |(name, _)| (*name).to_owned()),
        };
        format!("{}{}{code}", if self.ctrl { "C-" } else { "" }, if self.alt { "A-" } else { "" })
    }
}

/// The names of special keys in keymap files.
const NAMES: [(&str, Code); 15] = [
    ("space", Code::Char(' ')),
    ("enter", Code::Enter),
    ("esc", Code::Esc),
    ("tab", Code::Tab),
    ("backtab", Code::BackTab),
    ("backspace", Code::Backspace),
    ("delete", Code::Delete),
    ("up", Code::Up),
    ("down", Code::Down),
    ("left", Code::Left),
    ("right", Code::Right),
    ("home", Code::Home),
    ("end", Code::End),
    ("pgup", Code::PageUp),
    ("pgdn", Code::PageDown),
];

/// Parses a key sequence in the notation of keymap files: `g g`, `C-d`, `enter`. `None` if a part is not a key.
pub(crate) fn parse(text: &str) -> Option<Vec<Chord>> {
    text.split(' ').filter(|p| !p.is_empty()).map(parse_one).collect()
}

fn parse_one(text: &str) -> Option<Chord> {
    let (ctrl, rest) = text.strip_prefix("C-").map_or((false, text), |r| (true, r));
    let (alt, rest) = rest.strip_prefix("A-").map_or((false, rest), |r| (true, r));
    let code = if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == rest) {
        *code
    } else {
        let mut chars = rest.chars();
        let c = chars.next()?;
        chars.next().is_none().then_some(Code::Char(c))?
    };
    Some(Chord { code, ctrl, alt })
}
