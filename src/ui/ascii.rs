//! Draws with ASCII alone, for terminals whose locale has no other characters.

use ratatui::buffer::Buffer;
use unicode_width::UnicodeWidthStr;

/// Whether the locale of these environment variables names a character set other than UTF-8, such as `C`. The first that is set
/// counts (POSIX, "Internationalization Variables"). Without any, UTF-8 is assumed: containers and ssh often set none.
pub(crate) fn is_needed(get: impl Fn(&str) -> Option<String>) -> bool {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| get(name).filter(|v| !v.is_empty()));
    named.is_some_and(|locale| {
        let lower = locale.to_lowercase();
        !lower.contains("utf-8") && !lower.contains("utf8")
    })
}

/// Replaces every character of a frame that is not ASCII by the one that looks most like it.
pub(crate) fn reduce(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.symbol().is_ascii() {
            continue;
        }
        // A wide character takes the cell behind it as well, which the terminal draws as a blank.
        let replaced = replacement(cell.symbol());
        cell.set_symbol(if cell.symbol().width() > 1 { "??" } else { replaced });
    }
}

/// The ASCII character for a symbol of one column.
fn replacement(symbol: &str) -> &'static str {
    let Some(c) = symbol.chars().next() else { return " " };
    match c {
        '─' | '━' | '┄' | '┈' | '–' | '—' | '‐' | '−' | '▁' => "-",
        '│' | '┃' | '┆' | '┊' | '▏' | '▌' | '▎' => "|",
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '╭' | '╮' | '╰' | '╯' => "+",
        '▶' | '▸' | '→' | '›' | '»' | '↳' => ">",
        '←' | '‹' | '«' => "<",
        '▾' | '▼' | '↓' => "v",
        '▲' | '▴' | '↑' => "^",
        '●' | '◆' | '•' | '◉' | '⟳' => "*",
        '○' | '◇' | '◐' | '◎' | '◔' | '◷' | '☐' | '⊘' | '∞' => "o",
        '✓' | '☑' | '✔' => "+",
        '✗' | '×' | '✕' => "x",
        '⚑' => "F",
        '≋' | '∿' | '≈' => "~",
        '⇄' | '↯' => "=",
        '“' | '”' | '„' => "\"",
        '‘' | '’' | '`' => "'",
        '·' | '…' | '⋅' => ".",
        '⏎' | '⌂' => "#",
        '\u{a0}' => " ",
        '▂' | '▃' => "_",
        '▄' | '▅' => "=",
        '▆' | '▇' | '█' | '▉' | '▊' | '▋' | '▮' => "#",
        '░' | '▒' | '▓' => ":",
        // Braille, with which charts are drawn.
        '\u{2800}' => " ",
        '\u{2801}'..='\u{28ff}' => "*",
        'ä' | 'à' | 'á' | 'â' | 'ã' | 'å' => "a",
        'ö' | 'ò' | 'ó' | 'ô' | 'õ' | 'ø' => "o",
        'ü' | 'ù' | 'ú' | 'û' => "u",
        'é' | 'è' | 'ê' | 'ë' => "e",
        'í' | 'ì' | 'î' | 'ï' => "i",
        'ñ' => "n",
        'ç' => "c",
        'ß' => "s",
        'µ' | 'μ' => "u",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn the_first_variable_that_is_set_decides() {
        for (variables, needed) in [
            (&[][..], false),
            (&[("LANG", "C")], true),
            (&[("LANG", "en_GB.UTF-8")], false),
            (&[("LANG", "C.utf8")], false),
            (&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "POSIX")], true),
            (&[("LANG", "C"), ("LC_CTYPE", "C.UTF-8"), ("LC_ALL", "")], false),
            (&[("LANG", "de_DE.ISO-8859-1")], true),
        ] {
            let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(is_needed(get), needed, "{variables:?}");
        }
    }

    #[test]
    fn a_frame_keeps_its_columns() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "┌─▶ “日” 4→▇", Style::default());
        reduce(&mut buffer);
        let text: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert!(text.is_ascii(), "{text:?}");
        assert!(text.starts_with("+-> \"??") && text.contains("\" 4>#"), "{text:?}");
    }
}
