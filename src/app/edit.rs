//! A text editor with the usual editing keys, for one line or several. Written by hand because the editing crates move by
//! character, which splits emoji and accents; this one moves by grapheme.

use unicode_segmentation::UnicodeSegmentation;

use super::chord::{Chord, Code};
use crate::telemetry::clean;

/// The longest text, in bytes: the same as for a journal entry.
pub(crate) const MAX: usize = clean::MAX_TEXT_BYTES;

/// A text being edited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextField {
    text: String,
    /// A byte position at a grapheme boundary.
    cursor: usize,
    /// Whether the whole text is selected: typing replaces it.
    is_selected: bool,
    /// Whether it may have several lines; otherwise line breaks become spaces.
    is_multiline: bool,
}

/// The error for text that does not fit, with the length that the text would have, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong(pub usize);

impl TextField {
    /// A text with the cursor at its end.
    pub(crate) fn with(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text, ..Self::default() }
    }

    /// The same field, for several lines.
    pub(crate) fn multiline(self) -> Self {
        Self { is_multiline: true, ..self }
    }

    /// Whether it may have several lines.
    pub(crate) fn is_multiline(&self) -> bool {
        self.is_multiline
    }

    /// A proposed text, selected: typing replaces it.
    pub(crate) fn proposed(text: impl Into<String>) -> Self {
        let edit = Self::with(text);
        Self { is_selected: !edit.text.is_empty(), ..edit }
    }

    /// Whether the whole text is selected.
    pub(crate) fn is_selected(&self) -> bool {
        self.is_selected
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text before and after the cursor.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.text.split_at_checked(self.cursor).unwrap_or((&self.text, ""))
    }

    /// Inserts pasted or typed text at the cursor, without control characters.
    ///
    /// # Errors
    /// [`TooLong`] if the text would become longer than [`MAX`]. Nothing is inserted then.
    pub(crate) fn insert(&mut self, text: &str) -> Result<(), TooLong> {
        // Check the length first, because cleaning truncates long texts.
        if text.len() > MAX {
            return Err(TooLong(text.len()));
        }
        let cleaned = if self.is_multiline { clean::block(text) } else { clean::line(text) };
        let kept = if self.is_selected { 0 } else { self.text.len() };
        if kept + cleaned.len() > MAX {
            return Err(TooLong(kept + cleaned.len()));
        }
        self.replace_selection();
        self.text.insert_str(self.cursor, &cleaned);
        self.cursor += cleaned.len();
        Ok(())
    }

    /// Handles a key; `false` when it is not an editing key.
    pub(crate) fn key(&mut self, chord: Chord) -> bool {
        let was_selected = std::mem::take(&mut self.is_selected);
        match (chord.code, chord.ctrl, chord.alt) {
            (Code::Char(c), false, false) => {
                self.is_selected = was_selected;
                // A full text ignores the key.
                let _full = self.insert(c.encode_utf8(&mut [0; 4]));
            }
            (Code::Backspace | Code::Delete, false, false) if was_selected => self.clear(),
            (Code::Backspace, false, false) => self.delete(self.before()),
            (Code::Delete, false, false) | (Code::Char('d'), true, false) => self.delete_after(),
            (Code::Left, false, false) | (Code::Char('b'), true, false) => self.cursor = self.before(),
            (Code::Right, false, false) | (Code::Char('f'), true, false) => self.cursor = self.after(),
            (Code::Home, ..) | (Code::Char('a'), true, false) => self.cursor = self.line_start(),
            (Code::End, ..) | (Code::Char('e'), true, false) => self.cursor = self.line_end(),
            (Code::Up, false, false) if self.is_multiline => self.move_up(),
            (Code::Down, false, false) if self.is_multiline => self.move_down(),
            (Code::Char('u'), true, false) => self.delete(self.line_start()),
            (Code::Char('k'), true, false) => self.text.replace_range(self.cursor..self.line_end(), ""),
            (Code::Char('w'), true, false) | (Code::Backspace, _, true) => self.delete(self.word_before()),
            _ => {
                self.is_selected = was_selected;
                return false;
            }
        }
        true
    }

    fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
    }

    fn replace_selection(&mut self) {
        if std::mem::take(&mut self.is_selected) {
            self.clear();
        }
    }

    fn before(&self) -> usize {
        self.parts().0.grapheme_indices(true).next_back().map_or(0, |(i, _)| i)
    }

    fn after(&self) -> usize {
        self.cursor + self.parts().1.graphemes(true).next().map_or(0, str::len)
    }

    fn word_before(&self) -> usize {
        let head = self.parts().0.trim_end();
        head.rfind([' ', '\n']).map_or(0, |i| i + 1)
    }

    fn line_start(&self) -> usize {
        self.parts().0.rfind('\n').map_or(0, |i| i + 1)
    }

    fn line_end(&self) -> usize {
        self.cursor + self.parts().1.find('\n').unwrap_or(self.parts().1.len())
    }

    /// Moves to the same column of the previous line, or to its end; in the first line, to the start of the text.
    fn move_up(&mut self) {
        let (start, column) = (self.line_start(), self.column());
        self.cursor = start;
        if start > 0 {
            self.cursor = start - 1;
            self.cursor = self.line_start();
            self.move_to_column(column);
        }
    }

    /// Moves to the same column of the next line, or to its end; in the last line, to the end of the text.
    fn move_down(&mut self) {
        let (end, column) = (self.line_end(), self.column());
        self.cursor = end;
        if end < self.text.len() {
            self.cursor = end + 1;
            self.move_to_column(column);
        }
    }

    /// The number of graphemes before the cursor in its line.
    fn column(&self) -> usize {
        self.text.get(self.line_start()..self.cursor).map_or(0, |line| line.graphemes(true).count())
    }

    fn move_to_column(&mut self, column: usize) {
        let line = self.text.get(self.cursor..self.line_end()).unwrap_or("");
        self.cursor += line.graphemes(true).take(column).map(str::len).sum::<usize>();
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
    fn edits_by_grapheme() {
        let mut edit = TextField::with("a👨‍👩‍👧b");
        edit.key(Chord::plain(Code::Left));
        edit.key(Chord::plain(Code::Backspace));
        assert_eq!((edit.text(), edit.parts()), ("ab", ("a", "b")));
        edit.insert("x\ny\u{1b}[31m").unwrap();
        assert_eq!(edit.text(), "ax yb");
        edit.key(Chord::ctrl('w'));
        assert_eq!(edit.text(), "ax b");
    }

    #[test]
    fn edits_several_lines() {
        let mut edit = TextField::default().multiline();
        edit.insert("first line\r\nä👨‍👩‍👧\nthird line\n").unwrap();
        assert_eq!(edit.text(), "first line\nä👨‍👩‍👧\nthird line\n");
        let place = |edit: &TextField| edit.parts().0.to_owned();
        edit.key(Chord::plain(Code::Backspace));
        edit.key(Chord::plain(Code::Up));
        assert_eq!(place(&edit), "first line\nä👨‍👩‍👧", "at the end of a shorter line");
        edit.key(Chord::plain(Code::Up));
        assert_eq!(place(&edit), "fi");
        edit.key(Chord::plain(Code::Up));
        assert_eq!(place(&edit), "");
        edit.key(Chord::plain(Code::End));
        assert_eq!(place(&edit), "first line");
        edit.key(Chord::ctrl('w'));
        edit.key(Chord::plain(Code::Down));
        edit.key(Chord::ctrl('u'));
        assert_eq!(edit.text(), "first \n\nthird line");
        edit.key(Chord::plain(Code::Down));
        edit.key(Chord::plain(Code::Down));
        assert_eq!(edit.parts().1, "", "past the last line is its end");
        edit.key(Chord::plain(Code::Home));
        edit.key(Chord::ctrl('k'));
        assert_eq!(edit.text(), "first \n\n");
        let mut single = TextField::with("ab");
        assert!(!single.key(Chord::plain(Code::Up)), "a single line leaves the key to others");
    }

    #[test]
    fn typing_replaces_a_proposed_text() {
        let mut edit = TextField::proposed("ana");
        edit.key(Chord::plain(Code::Char('b')));
        edit.key(Chord::plain(Code::Char('o')));
        assert_eq!(edit.text(), "bo");
        let mut edit = TextField::proposed("ana");
        edit.key(Chord::plain(Code::End));
        edit.key(Chord::plain(Code::Char('!')));
        assert_eq!(edit.text(), "ana!", "moving the cursor keeps the proposed text");
        let mut edit = TextField::proposed("ana");
        edit.key(Chord::plain(Code::Backspace));
        assert_eq!(edit.text(), "");
    }

    #[test]
    fn inserts_a_paste_completely_or_not_at_all() {
        let mut edit = TextField::with("x");
        edit.insert(&"a".repeat(20_000)).unwrap();
        assert_eq!(edit.text().len(), 20_001);
        assert_eq!(edit.insert(&"a".repeat(MAX)), Err(TooLong(MAX + 20_001)));
        assert_eq!(edit.text().len(), 20_001);
    }

    proptest::proptest! {
        #[test]
        fn any_keys_keep_the_cursor_inside_the_text(keys in proptest::collection::vec(0_u8..15, 0..60)) {
            let mut edit = TextField::default().multiline();
            for k in keys {
                let chord = match k {
                    0 => Chord::plain(Code::Char('é')), 1 => Chord::plain(Code::Char('👍')), 2 => Chord::plain(Code::Backspace),
                    3 => Chord::plain(Code::Delete), 4 => Chord::plain(Code::Left), 5 => Chord::plain(Code::Right), 6 => Chord::plain(Code::Home),
                    7 => Chord::plain(Code::End), 8 => Chord::ctrl('w'), 9 => Chord::ctrl('u'), 10 => Chord::ctrl('k'), 11 => Chord::plain(Code::Up), 12 => Chord::plain(Code::Down), 13 => Chord::plain(Code::Char('\n')), _ => Chord::plain(Code::Char(' ')),
                };
                edit.key(chord);
                proptest::prop_assert!(edit.text.is_char_boundary(edit.cursor), "{:?}", edit);
                proptest::prop_assert!(edit.text.grapheme_indices(true).any(|(at, _)| at == edit.cursor) || edit.cursor == edit.text.len());
            }
        }
    }
}
