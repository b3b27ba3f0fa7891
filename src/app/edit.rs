//! A text editor with the usual editing keys, for one line or several. Written by hand because the editing crates move by
//! character, which splits emoji and accents; this one moves by grapheme.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::chord::{Chord, Code};
use crate::telemetry::clean;

/// The longest text, in bytes: the same as for a journal entry.
pub(crate) const MAX: usize = clean::MAX_TEXT_BYTES;

/// The largest width of a dialog with a text field, in columns.
pub(crate) const MAX_DIALOG: u16 = 110;

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

/// The width of a text of several lines in a dialog, in columns, on a screen this wide.
pub(crate) fn input_width(columns: u16) -> usize {
    usize::from(columns.saturating_sub(4).min(MAX_DIALOG).saturating_sub(6)).max(1)
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

    /// A text with the cursor at its start, for one that is read before it is changed.
    pub(crate) fn from_start(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// The same field, for several lines or for one.
    pub(crate) fn with_lines(self, is_multiline: bool) -> Self {
        Self { is_multiline, ..self }
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
                // A space alone replaces nothing: it continues the proposed text.
                self.is_selected = was_selected && c != ' ';
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

    /// The rows of the text, each at most `width` columns wide, as byte ranges without the line break. At least one.
    pub(crate) fn rows(&self, width: usize) -> Vec<Range<usize>> {
        let (mut rows, mut start, mut column) = (Vec::new(), 0, 0);
        // Where the row may end between two words, and the columns up to there.
        let mut gap: Option<(usize, usize)> = None;
        for (at, grapheme) in self.text.grapheme_indices(true) {
            let taken = if grapheme == "\n" { 0 } else { grapheme.width() };
            while column + taken > width && column > 0 {
                let (end, columns) = gap.take().unwrap_or((at, column));
                rows.push(start..end);
                (start, column) = (end, column - columns);
            }
            if grapheme == "\n" {
                rows.push(start..at);
                (start, column, gap) = (at + 1, 0, None);
            }
            column += taken;
            if grapheme == " " {
                gap = Some((at + 1, column));
            }
        }
        rows.push(start..self.text.len());
        // The cursor needs a column of its own after the last character.
        if column >= width && column > 0 {
            rows.push(self.text.len()..self.text.len());
        }
        rows
    }

    /// The row and column of the cursor among these rows.
    pub(crate) fn cursor_in(&self, rows: &[Range<usize>]) -> (usize, usize) {
        let row = rows.iter().rposition(|r| r.start <= self.cursor).unwrap_or(0);
        let before = rows.get(row).and_then(|r| self.text.get(r.start..self.cursor.min(r.end)));
        (row, before.map_or(0, UnicodeWidthStr::width))
    }

    /// Moves to the same column of the row above or below, or to its end; from the first or last row, to the start or the end of
    /// the text.
    pub(crate) fn move_row(&mut self, is_up: bool, width: usize) {
        self.is_selected = false;
        let rows = self.rows(width);
        let (row, column) = self.cursor_in(&rows);
        let target = if is_up { row.checked_sub(1) } else { Some(row + 1) }.and_then(|n| rows.get(n).cloned());
        let Some(target) = target else {
            self.cursor = if is_up { 0 } else { self.text.len() };
            return;
        };
        let ends_in_wrap = target.end < self.text.len() && !self.text.get(target.end..).is_some_and(|t| t.starts_with('\n'));
        self.cursor = target.start;
        let mut used = 0;
        for (at, grapheme) in self.text.get(target.clone()).unwrap_or("").grapheme_indices(true) {
            used += grapheme.width();
            let end = target.start + at + grapheme.len();
            // The end of a wrapped row is the start of the next one.
            if used > column || ends_in_wrap && end == target.end {
                break;
            }
            self.cursor = end;
        }
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
        let mut edit = TextField::default().with_lines(true);
        edit.insert("first line\r\nä👨‍👩‍👧\nthird line\n").unwrap();
        assert_eq!(edit.text(), "first line\nä👨‍👩‍👧\nthird line\n");
        let place = |edit: &TextField| edit.parts().0.to_owned();
        edit.key(Chord::plain(Code::Backspace));
        edit.move_row(true, 40);
        assert_eq!(place(&edit), "first line\nä👨‍👩‍👧", "at the end of a shorter line");
        edit.move_row(true, 40);
        assert_eq!(place(&edit), "fir");
        edit.move_row(true, 40);
        assert_eq!(place(&edit), "");
        edit.key(Chord::plain(Code::End));
        assert_eq!(place(&edit), "first line");
        edit.key(Chord::ctrl('w'));
        edit.move_row(false, 40);
        edit.key(Chord::ctrl('u'));
        assert_eq!(edit.text(), "first \n\nthird line");
        edit.move_row(false, 40);
        edit.move_row(false, 40);
        assert_eq!(edit.parts().1, "", "past the last line is its end");
        edit.key(Chord::plain(Code::Home));
        edit.key(Chord::ctrl('k'));
        assert_eq!(edit.text(), "first \n\n");
    }

    #[test]
    fn moves_by_the_rows_on_the_screen() {
        // 26 columns in rows of 10, with a grapheme of two columns in the second.
        let mut edit = TextField::with("0123456789abcdefgh日klmnopq\nx").with_lines(true);
        let rows: Vec<&str> = edit.rows(10).into_iter().map(|r| &edit.text()[r]).collect();
        assert_eq!(rows, ["0123456789", "abcdefgh日", "klmnopq", "x"]);
        let place = |edit: &TextField| edit.cursor_in(&edit.rows(10));
        assert_eq!(place(&edit), (3, 1));
        let mut places = Vec::new();
        for _ in 0..4 {
            edit.move_row(true, 10);
            places.push(place(&edit));
        }
        assert_eq!(places, [(2, 1), (1, 1), (0, 1), (0, 0)]);
        edit.key(Chord::plain(Code::End));
        assert_eq!(place(&edit), (2, 7), "the end of the line, not of the row");
        edit.move_row(true, 10);
        edit.move_row(true, 10);
        edit.move_row(false, 10);
        assert_eq!(place(&edit), (1, 7));
        // A full row: the cursor after it is at the start of the next one.
        let full = TextField::with("0123456789").with_lines(true);
        assert_eq!((full.rows(10).len(), place(&full)), (2, (1, 0)));
        let mut before_break = TextField::with("0123456789\nab").with_lines(true);
        before_break.move_row(true, 10);
        before_break.key(Chord::plain(Code::End));
        assert_eq!(place(&before_break), (0, 10), "in the column after the row");
        before_break.move_row(false, 10);
        assert_eq!(place(&before_break), (1, 2));
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

    #[test]
    fn rows_end_between_words_where_they_can() {
        let rows = |text: &str, width: usize| {
            let field = TextField::with(text).with_lines(true);
            field.rows(width).into_iter().map(|r| field.text()[r].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(rows("it began 3m28s ago", 12), ["it began ", "3m28s ago"]);
        assert_eq!(rows("see [E4][E6] and more", 10), ["see ", "[E4][E6] ", "and more"]);
        assert_eq!(rows("abcdefghijkl mn", 5), ["abcde", "fghij", "kl mn", ""]);
        assert_eq!(rows("a b\nc d", 10), ["a b", "c d"]);
    }

    proptest::proptest! {
        #[test]
        fn any_keys_keep_the_cursor_inside_the_text(keys in proptest::collection::vec(0_u8..15, 0..60)) {
            let mut edit = TextField::default().with_lines(true);
            for k in keys {
                let chord = match k {
                    0 => Chord::plain(Code::Char('é')), 1 => Chord::plain(Code::Char('👍')), 2 => Chord::plain(Code::Backspace),
                    3 => Chord::plain(Code::Delete), 4 => Chord::plain(Code::Left), 5 => Chord::plain(Code::Right), 6 => Chord::plain(Code::Home),
                    7 => Chord::plain(Code::End), 8 => Chord::ctrl('w'), 9 => Chord::ctrl('u'), 10 => Chord::ctrl('k'), 11 => { edit.move_row(true, 7); continue }, 12 => { edit.move_row(false, 7); continue }, 13 => Chord::plain(Code::Char('\n')), _ => Chord::plain(Code::Char(' ')),
                };
                edit.key(chord);
                proptest::prop_assert!(edit.text.is_char_boundary(edit.cursor), "{:?}", edit);
                proptest::prop_assert!(edit.text.grapheme_indices(true).any(|(at, _)| at == edit.cursor) || edit.cursor == edit.text.len());
            }
        }
    }
}
