//! A one-line text editor with the usual editing keys. Written by hand because the editing crates move by character, which
//! splits emoji and accents; this one moves by grapheme.

use unicode_segmentation::UnicodeSegmentation;

use super::chord::{Chord, Code};
use crate::telemetry::clean;

/// The longest text, in bytes: the same as for a journal entry.
pub(crate) const MAX: usize = clean::MAX_TEXT_BYTES;

/// A line being edited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineEdit {
    text: String,
    /// A byte position at a grapheme boundary.
    cursor: usize,
    /// Whether the whole text is selected: typing replaces it.
    is_selected: bool,
}

/// The error for text that does not fit, with the length that the line would have, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong(pub usize);

impl LineEdit {
    /// A text with the cursor at its end.
    pub(crate) fn with(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text, is_selected: false }
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

    /// Inserts pasted or typed text at the cursor. Line breaks and control characters are cleaned.
    ///
    /// # Errors
    /// [`TooLong`] if the line would become longer than [`MAX`]. Nothing is inserted then.
    pub(crate) fn insert(&mut self, text: &str) -> Result<(), TooLong> {
        // Check the length first, because cleaning truncates long texts.
        let cleaned = if text.len() > MAX { return Err(TooLong(text.len())) } else { clean::line(text) };
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
                // A full line ignores the key.
                let _full = self.insert(c.encode_utf8(&mut [0; 4]));
            }
            (Code::Backspace | Code::Delete, false, false) if was_selected => self.clear(),
            (Code::Backspace, false, false) => self.delete(self.before()),
            (Code::Delete, false, false) | (Code::Char('d'), true, false) => self.delete_after(),
            (Code::Left, false, false) | (Code::Char('b'), true, false) => self.cursor = self.before(),
            (Code::Right, false, false) | (Code::Char('f'), true, false) => self.cursor = self.after(),
            (Code::Home, ..) | (Code::Char('a'), true, false) => self.cursor = 0,
            (Code::End, ..) | (Code::Char('e'), true, false) => self.cursor = self.text.len(),
            (Code::Char('u'), true, false) => self.delete(0),
            (Code::Char('k'), true, false) => self.text.truncate(self.cursor),
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
    fn edits_by_grapheme() {
        let mut edit = LineEdit::with("a👨‍👩‍👧b");
        edit.key(Chord::plain(Code::Left));
        edit.key(Chord::plain(Code::Backspace));
        assert_eq!((edit.text(), edit.parts()), ("ab", ("a", "b")));
        edit.insert("x\ny\u{1b}[31m").unwrap();
        assert_eq!(edit.text(), "ax yb");
        edit.key(Chord::ctrl('w'));
        assert_eq!(edit.text(), "ax b");
    }

    #[test]
    fn typing_replaces_a_proposed_text() {
        let mut edit = LineEdit::proposed("ana");
        edit.key(Chord::plain(Code::Char('b')));
        edit.key(Chord::plain(Code::Char('o')));
        assert_eq!(edit.text(), "bo");
        let mut edit = LineEdit::proposed("ana");
        edit.key(Chord::plain(Code::End));
        edit.key(Chord::plain(Code::Char('!')));
        assert_eq!(edit.text(), "ana!", "moving the cursor keeps the proposed text");
        let mut edit = LineEdit::proposed("ana");
        edit.key(Chord::plain(Code::Backspace));
        assert_eq!(edit.text(), "");
    }

    #[test]
    fn inserts_a_paste_completely_or_not_at_all() {
        let mut edit = LineEdit::with("x");
        edit.insert(&"a".repeat(20_000)).unwrap();
        assert_eq!(edit.text().len(), 20_001);
        assert_eq!(edit.insert(&"a".repeat(MAX)), Err(TooLong(MAX + 20_001)));
        assert_eq!(edit.text().len(), 20_001);
    }

    proptest::proptest! {
        #[test]
        fn any_keys_keep_the_cursor_inside_the_text(keys in proptest::collection::vec(0_u8..12, 0..60)) {
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
