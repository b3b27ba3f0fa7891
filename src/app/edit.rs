//! One line of text being typed: a cursor by grapheme, the usual keys.

use unicode_segmentation::UnicodeSegmentation;

use super::chord::{Chord, Code};
use crate::telemetry::clean;

/// Text longer than this is not taken: a paste of a whole log is a mistake.
const MAX: usize = 8 * 1024;

/// See the module's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineEdit {
    text: String,
    /// A byte position on a grapheme border.
    cursor: usize,
}

impl LineEdit {
    /// With a text, the cursor at its end.
    pub fn with(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before and after the cursor.
    pub fn parts(&self) -> (&str, &str) {
        self.text.split_at_checked(self.cursor).unwrap_or((&self.text, ""))
    }

    /// Takes pasted or typed text, cleaned to one line.
    pub fn insert(&mut self, text: &str) {
        let cleaned = clean::line(text);
        if self.text.len() + cleaned.len() <= MAX {
            self.text.insert_str(self.cursor, &cleaned);
            self.cursor += cleaned.len();
        }
    }

    /// Takes a key; `false` when it is none of an editor's.
    pub fn key(&mut self, chord: Chord) -> bool {
        match (chord.code, chord.ctrl, chord.alt) {
            (Code::Char(c), false, false) => self.insert(c.encode_utf8(&mut [0; 4])),
            (Code::Backspace, false, false) => self.delete(self.before()),
            (Code::Delete, false, false) | (Code::Char('d'), true, false) => self.delete_after(),
            (Code::Left, false, false) | (Code::Char('b'), true, false) => self.cursor = self.before(),
            (Code::Right, false, false) | (Code::Char('f'), true, false) => self.cursor = self.after(),
            (Code::Home, ..) | (Code::Char('a'), true, false) => self.cursor = 0,
            (Code::End, ..) | (Code::Char('e'), true, false) => self.cursor = self.text.len(),
            (Code::Char('u'), true, false) => self.delete(0),
            (Code::Char('k'), true, false) => self.text.truncate(self.cursor),
            (Code::Char('w'), true, false) | (Code::Backspace, _, true) => self.delete(self.word_before()),
            _ => return false,
        }
        true
    }

    fn before(&self) -> usize {
        self.parts().0.grapheme_indices(true).next_back().map_or(0, |(i, _)| i)
    }

    fn after(&self) -> usize {
        self.cursor + self.parts().1.graphemes(true).next().map_or(0, str::len)
    }

    fn word_before(&self) -> usize {
        let head = self.parts().0.trim_end();
        head.rfind(' ').map_or(0, |i| i + 1)
    }

    fn delete(&mut self, from: usize) {
        self.text.replace_range(from.min(self.cursor)..self.cursor, "");
        self.cursor = from.min(self.cursor);
    }

    fn delete_after(&mut self) {
        let end = self.after();
        self.text.replace_range(self.cursor..end, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_respects_graphemes() {
        let mut edit = LineEdit::with("a👨‍👩‍👧b");
        edit.key(Chord::plain(Code::Left));
        edit.key(Chord::plain(Code::Backspace));
        assert_eq!((edit.text(), edit.parts()), ("ab", ("a", "b")));
        edit.insert("x\ny\u{1b}[31m");
        assert_eq!(edit.text(), "ax yb");
        edit.key(Chord::ctrl('w'));
        assert_eq!(edit.text(), "ax b");
    }

    proptest::proptest! {
        #[test]
        fn any_keys_keep_the_cursor_inside(keys in proptest::collection::vec(0_u8..12, 0..60)) {
            let mut edit = LineEdit::default();
            for k in keys {
                let chord = match k {
                    0 => Chord::plain(Code::Char('é')), 1 => Chord::plain(Code::Char('👍')), 2 => Chord::plain(Code::Backspace),
                    3 => Chord::plain(Code::Delete), 4 => Chord::plain(Code::Left), 5 => Chord::plain(Code::Right), 6 => Chord::plain(Code::Home),
                    7 => Chord::plain(Code::End), 8 => Chord::ctrl('w'), 9 => Chord::ctrl('u'), 10 => Chord::ctrl('k'), _ => Chord::plain(Code::Char(' ')),
                };
                edit.key(chord);
                let (a, b) = edit.parts();
                proptest::prop_assert_eq!(format!("{a}{b}"), edit.text());
            }
        }
    }
}
