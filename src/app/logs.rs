//! The live logs: the most recent lines, filter, search and selection.

use std::collections::VecDeque;

use super::filter::Filter;
use super::msg::LineRequest;
use crate::telemetry::log::Batch;
use crate::telemetry::{LogLine, Timestamp, Window};

/// The number of lines that are kept.
pub(crate) const MAX_LINES: usize = 5000;

/// The columns that lines have at first. The last column is always the message.
pub(crate) const DEFAULT_COLUMNS: [&str; 3] = ["time", "level", "service"];

/// What a line has in a column: one of [`DEFAULT_COLUMNS`], or a field; `None` if it has nothing there. The time is that of the day, in UTC.
pub(crate) fn column_value(line: &LogLine, column: &str) -> Option<String> {
    match column {
        "time" => line.at.map(|at| at.clock(time::UtcOffset::UTC)),
        "level" => line.level.map(|l| l.word().to_owned()),
        "service" => line.service.clone(),
        field => line.fields.get(field).cloned(),
    }
}

/// Lines that were read from the sources rather than followed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct History {
    /// The request that was answered last, or is being answered.
    pub request: LineRequest,
    /// The request that has no answer yet.
    pub pending: Option<u64>,
    /// The part of time that the lines are from.
    pub read: Window,
    /// The number of lines that were looked through; more than are kept if only some of them match.
    pub searched: usize,
    /// What could not be read.
    pub gaps: Vec<String>,
    /// Whether the tab showed patterns before.
    pub was_patterns: bool,
}

impl History {
    /// Whether lines are being read.
    pub(crate) fn is_reading(&self) -> bool {
        self.pending.is_some()
    }
}

/// A row of the lines: the last of lines that say the same, and how many they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LineRow<'a> {
    pub number: u64,
    pub line: &'a LogLine,
    /// The number of lines in a row that differ in numbers only.
    pub repeats: usize,
    pub is_selected: bool,
}

/// A line with the key by which it is folded.
#[derive(Clone, Debug)]
struct Kept {
    line: LogLine,
    key: u64,
    /// What filter and search match (see [`searchable_text`]), made when it is first needed.
    text: std::cell::OnceCell<String>,
}

impl Kept {
    fn new(line: LogLine) -> Self {
        use std::hash::{Hash, Hasher};
        let mut hasher = std::hash::DefaultHasher::new();
        (line.service.as_deref(), line.level).hash(&mut hasher);
        // Numbers, and what is written with digits such as ids, are what repeated lines differ in.
        for word in line.message.split_whitespace() {
            let word = if word.bytes().any(|b| b.is_ascii_digit()) { "0" } else { word };
            word.hash(&mut hasher);
        }
        Self { key: hasher.finish(), line, text: std::cell::OnceCell::new() }
    }

    fn matches(&self, filter: &Filter) -> bool {
        filter.matches_with(self.text.get_or_init(|| searchable_text(&self.line)), &self.line)
    }
}

/// The state of the live logs, or of lines that were read. Lines are numbered from 0 in the order in which they arrived.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches that a user turns on and off independently")]
pub(crate) struct Logs {
    ring: VecDeque<Kept>,
    /// The number of lines received so far. The number of the first kept line is `taken - ring.len()`.
    taken: u64,
    /// The number of lines that were dropped before they could be shown.
    pub dropped: u64,
    /// Whether the logs are being followed: from the first time the tab is opened until the room is left.
    pub is_live: bool,
    /// Whether the view stays at the end.
    pub is_following: bool,
    pub only_errors: bool,
    pub wrap: bool,
    /// Whether lines in a row that say the same are shown as one.
    pub folds: bool,
    /// The columns before the message, in their order: of [`DEFAULT_COLUMNS`], and names of fields.
    pub columns: Vec<String>,
    /// What was read; `None` for live logs.
    pub history: Option<History>,
    pub filter: String,
    /// The current search: highlighted, and navigated with next and previous. It hides nothing.
    pub search: String,
    /// Previous searches.
    pub searches: InputHistory,
    /// Previous filters.
    pub filters: InputHistory,
    /// The number of the selected line. It stays selected while lines arrive.
    pub selected: Option<u64>,
    /// The line that was selected before a filter hid it, and the one that was selected instead.
    hidden: Option<(u64, u64)>,
}

/// Texts that were typed before, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct InputHistory(Vec<String>);

/// The number of texts that are kept.
const MAX_HISTORY: usize = 30;

impl InputHistory {
    /// Adds a text as the most recent one. An earlier copy of it is removed; an empty text is ignored.
    pub(crate) fn push(&mut self, text: &str) {
        if !text.is_empty() {
            self.0.retain(|t| t != text);
            self.0.push(text.to_owned());
            let excess = self.0.len().saturating_sub(MAX_HISTORY);
            self.0.drain(..excess);
        }
    }

    /// The texts, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &String> {
        self.0.iter()
    }

    /// The text before `now` (`back`), or after it. A `now` that is not in the history counts as the position after the most
    /// recent text. After the most recent text comes the empty text; `None` if there is nothing further.
    pub(crate) fn step(&self, now: &str, back: bool) -> Option<&str> {
        let at = self.0.iter().position(|t| t == now).unwrap_or(self.0.len());
        if back {
            self.0.get(at.checked_sub(1)?).map(String::as_str)
        } else if at < self.0.len() {
            Some(self.0.get(at + 1).map_or("", String::as_str))
        } else {
            None
        }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            ring: VecDeque::new(),
            taken: 0,
            dropped: 0,
            is_live: false,
            is_following: true,
            only_errors: false,
            wrap: false,
            folds: true,
            columns: DEFAULT_COLUMNS.map(str::to_owned).to_vec(),
            history: None,
            filter: String::new(),
            search: String::new(),
            searches: InputHistory::default(),
            filters: InputHistory::default(),
            selected: None,
            hidden: None,
        }
    }
}

impl Logs {
    /// Removes all lines and starts following. Search, filter and their histories stay.
    pub(crate) fn reset(&mut self) {
        self.ring.clear();
        (self.taken, self.dropped, self.selected) = (0, 0, None);
        (self.is_live, self.is_following) = (true, true);
    }

    /// Adds lines and removes the oldest ones beyond [`MAX_LINES`]. A backlog is merged by time, other lines are appended.
    pub(crate) fn add(&mut self, batch: Batch) {
        self.dropped += batch.dropped;
        if batch.is_backlog {
            self.add_backlog(batch.lines);
            return;
        }
        self.taken += u64::try_from(batch.lines.len()).unwrap_or(0);
        // If the batch is larger than the ring, only its end is kept.
        let skip = batch.lines.len().saturating_sub(MAX_LINES);
        let overflow = (self.ring.len() + batch.lines.len() - skip).saturating_sub(MAX_LINES);
        self.ring.drain(..overflow.min(self.ring.len()));
        self.ring.extend(batch.lines.into_iter().skip(skip).map(Kept::new));
    }

    /// An empty history, with the search, the filter, wrapping and folding of these logs.
    pub(crate) fn begin_history(&self, history: History) -> Self {
        Self {
            ring: VecDeque::new(),
            taken: 0,
            dropped: 0,
            is_live: false,
            is_following: false,
            only_errors: false,
            history: Some(history),
            selected: None,
            ..self.clone()
        }
    }

    /// Replaces the lines, and selects the one nearest to a time; the last one without a time.
    pub(crate) fn fill(&mut self, lines: Vec<LogLine>, near: Option<Timestamp>) {
        let skip = lines.len().saturating_sub(MAX_LINES);
        self.ring = lines.into_iter().skip(skip).map(Kept::new).collect();
        self.taken = u64::try_from(self.ring.len()).unwrap_or(0);
        let distance = |at: Timestamp, near: Timestamp| at.since(near).max(near.since(at));
        let nearest = near.and_then(|near| {
            let timed = self.ring.iter().enumerate().filter_map(|(i, kept)| Some((i, distance(kept.line.at?, near))));
            timed.min_by_key(|(_, d)| *d).map(|(i, _)| i)
        });
        let place = nearest.or_else(|| self.ring.len().checked_sub(1));
        (self.selected, self.is_following) = (place.and_then(|p| u64::try_from(p).ok()), false);
        self.hidden = None;
        self.reselect();
    }

    /// Adds lines before the first one. Those beyond [`MAX_LINES`] are dropped at the end.
    pub(crate) fn prepend(&mut self, lines: Vec<LogLine>) {
        let first = self.first_number();
        let added = u64::try_from(lines.len()).unwrap_or(0);
        self.selected = self.selected.map(|s| s + added);
        self.hidden = None;
        for line in lines.into_iter().rev() {
            self.ring.push_front(Kept::new(line));
        }
        self.ring.truncate(MAX_LINES);
        self.taken = first + u64::try_from(self.ring.len()).unwrap_or(0);
    }

    /// Whether further lines would displace others.
    pub(crate) fn is_full(&self) -> bool {
        self.ring.len() == MAX_LINES
    }

    /// The times of the first and the last line that have one.
    pub(crate) fn span(&self) -> Option<Window> {
        let first = self.ring.iter().find_map(|k| k.line.at)?;
        let last = self.ring.iter().rev().find_map(|k| k.line.at)?;
        Some(Window::new(first, last.max(first)))
    }

    /// The kept lines, oldest first.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &LogLine> {
        self.ring.iter().map(|k| &k.line)
    }

    /// The lines that filter and level show, oldest first.
    pub(crate) fn shown_lines(&self) -> Vec<&LogLine> {
        let filter = Filter::new(&self.filter);
        self.ring.iter().filter(|k| self.is_shown(k, &filter)).map(|k| &k.line).collect()
    }

    /// The number of shown lines that match the search, and the position of the selected one among them, counted from 1.
    pub(crate) fn hits(&self) -> (Option<usize>, usize) {
        let (filter, search, first) = (Filter::new(&self.filter), Filter::new(&self.search), self.first_number());
        let is_hit = |k: &Kept| self.is_shown(k, &filter) && k.matches(&search);
        let (mut place, mut all) = (None, 0);
        for (i, _) in self.ring.iter().enumerate().filter(|(_, k)| is_hit(k)) {
            all += 1;
            if self.selected == Some(first + u64::try_from(i).unwrap_or(0)) && !self.is_following {
                place = Some(all);
            }
        }
        (place, all)
    }

    /// The number of lines that filter and level show.
    pub(crate) fn shown_count(&self) -> usize {
        let filter = Filter::new(&self.filter);
        self.ring.iter().filter(|k| self.is_shown(k, &filter)).count()
    }

    /// The number of the first kept line.
    fn first_number(&self) -> u64 {
        self.taken.saturating_sub(u64::try_from(self.ring.len()).unwrap_or(0))
    }

    /// Merges earlier lines by time. The selected line stays selected.
    fn add_backlog(&mut self, past: Vec<LogLine>) {
        let first = self.first_number();
        let place = self.selected.and_then(|s| usize::try_from(s.checked_sub(first)?).ok());
        self.taken += u64::try_from(past.len()).unwrap_or(0);
        // A line without a time, or with an earlier time than its predecessor, stays after its predecessor.
        let key = |last: &mut Timestamp, line: &LogLine| {
            *last = line.at.map_or(*last, |at| at.max(*last));
            *last
        };
        let (mut last, mut before) = (Timestamp::default(), Timestamp::default());
        let mut all: Vec<(Timestamp, Option<usize>, LogLine)> =
            past.into_iter().map(|line| (key(&mut last, &line), None, line)).collect();
        all.extend(self.ring.drain(..).enumerate().map(|(i, kept)| (key(&mut before, &kept.line), Some(i), kept.line)));
        all.sort_by_key(|(at, ..)| *at);
        let skip = all.len().saturating_sub(MAX_LINES);
        if let Some(row) = place.and_then(|place| all.iter().position(|(_, i, _)| *i == Some(place))) {
            self.selected = Some(first + u64::try_from(row).unwrap_or(0));
        }
        self.ring = all.into_iter().skip(skip).map(|(.., line)| Kept::new(line)).collect();
    }

    /// The number of lines received so far.
    pub(crate) fn received(&self) -> u64 {
        self.taken
    }

    fn is_shown(&self, kept: &Kept, filter: &Filter) -> bool {
        if self.only_errors && !kept.line.is_error() {
            return false;
        }
        self.filter.is_empty() || kept.matches(filter)
    }

    /// The rows to show: at most `most`, oldest first. They end at the newest line or, when the view does not follow, half a screen
    /// (`most / 2`) after the selected line. Where the lines before do not fill the screen, those after do.
    pub(crate) fn window(&self, most: usize) -> Vec<LineRow<'_>> {
        let first = self.first_number();
        let selected = self.selected.filter(|_| !self.is_following).and_then(|s| usize::try_from(s.checked_sub(first)?).ok());
        let filter = Filter::new(&self.filter);
        let start = selected.map_or(self.ring.len(), |at| (at + 1).min(self.ring.len()));
        // The rows after the selected one, then those up to it.
        let mut after = VecDeque::new();
        self.rows(&mut (start..self.ring.len()), &filter, most, &mut after);
        let mut rows = VecDeque::new();
        self.rows(&mut (0..start).rev(), &filter, most, &mut rows);
        rows.make_contiguous().reverse();
        // A run of equal lines around the selected one is one row.
        if let (Some(last), Some(next)) = (rows.back_mut(), after.front())
            && self.folds
            && last.1 == next.1
        {
            (last.0, last.2) = (next.0, last.2 + next.2);
            after.pop_front();
        }
        let place = rows.len().saturating_sub(1);
        rows.extend(after);
        let end = if selected.is_some() { (place + most / 2 + 1).max(most).min(rows.len()) } else { rows.len() };
        let begin = end.saturating_sub(most);
        let shown = selected.filter(|at| self.ring.get(*at).is_some_and(|k| self.is_shown(k, &filter)));
        let row = |(n, (at, _, repeats)): (usize, (usize, u64, usize))| {
            let is_selected = shown.is_some() && n == place;
            // The row of a match shows the match, wherever it is among the equal lines.
            let at = shown.filter(|_| is_selected).unwrap_or(at);
            let number = first + u64::try_from(at).unwrap_or(0);
            Some(LineRow { number, line: &self.ring.get(at)?.line, repeats, is_selected })
        };
        rows.into_iter().enumerate().take(end).skip(begin).filter_map(row).collect()
    }

    /// Collects rows from lines in this order, at most `most`: the position of the newest line, its key, and the number of lines.
    fn rows(
        &self,
        order: &mut dyn Iterator<Item = usize>,
        filter: &Filter,
        most: usize,
        rows: &mut VecDeque<(usize, u64, usize)>,
    ) {
        for at in order {
            let Some(kept) = self.ring.get(at).filter(|k| self.is_shown(k, filter)) else { continue };
            let count = rows.len();
            match rows.back_mut() {
                Some(last) if self.folds && last.1 == kept.key => (last.0, last.2) = (last.0.max(at), last.2 + 1),
                _ if count == most => return,
                _ => rows.push_back((at, kept.key, 1)),
            }
        }
    }

    /// The selected line, or else the newest one that is shown; `None` if the filter hides it.
    pub(crate) fn current(&self) -> Option<&LogLine> {
        let filter = Filter::new(&self.filter);
        let Some(selected) = self.selected.filter(|_| !self.is_following) else {
            return self.ring.iter().rev().find(|k| self.is_shown(k, &filter)).map(|k| &k.line);
        };
        let place = usize::try_from(selected.checked_sub(self.first_number())?).ok()?;
        self.ring.get(place).filter(|k| self.is_shown(k, &filter)).map(|k| &k.line)
    }

    /// Selects a line by its number, and stops following.
    pub(crate) fn select(&mut self, number: u64) {
        (self.selected, self.is_following) = (Some(number), false);
    }

    /// Moves the selection by a number of rows and stops following. Moving past the end of live logs follows again. Returns whether
    /// another line is selected.
    pub(crate) fn step(&mut self, by: isize) -> bool {
        let before = (self.selected, self.is_following);
        self.move_selection(by.unsigned_abs(), by > 0, self.folds, |_| true);
        (self.selected, self.is_following) != before
    }

    /// Selects the next or previous error; `false` if there is none.
    pub(crate) fn go_to_error(&mut self, forward: bool) -> bool {
        let before = (self.selected, self.is_following);
        self.move_selection(1, forward, false, |k| k.line.is_error());
        // After the last error, stay there instead of jumping to the end.
        if self.is_following && !before.1 {
            (self.selected, self.is_following) = before;
        }
        (self.selected, self.is_following) != before
    }

    /// Selects the nearest line that filter and level show, if they hide the selected one. A line that they hid before is selected
    /// again as soon as they show it, unless the selection was moved since.
    pub(crate) fn reselect(&mut self) {
        let first = self.first_number();
        let Some(selected) = self.selected else { return };
        let wanted = self.hidden.filter(|(_, instead)| *instead == selected).map_or(selected, |(hidden, _)| hidden);
        let Some(at) = wanted.checked_sub(first).and_then(|n| usize::try_from(n).ok()) else { return };
        let filter = Filter::new(&self.filter);
        let shown = (0..self.ring.len()).filter(|n| self.ring.get(*n).is_some_and(|k| self.is_shown(k, &filter)));
        if let Some(nearest) = shown.min_by_key(|n| n.abs_diff(at)) {
            let nearest = first + u64::try_from(nearest).unwrap_or(0);
            self.hidden = (nearest != wanted).then_some((wanted, nearest));
            self.selected = Some(nearest);
        }
    }

    /// Selects the next or previous line that matches the search; `false` if there is none.
    pub(crate) fn go_to_hit(&mut self, forward: bool) -> bool {
        let search = Filter::new(&self.search);
        let before = (self.selected, self.is_following);
        self.move_selection(1, forward, false, |k| k.matches(&search));
        // After the last match, stay there instead of jumping to the end.
        if self.is_following && !before.1 {
            (self.selected, self.is_following) = before;
            return false;
        }
        self.selected != before.0
    }

    /// Selects the selected line if it matches the search, else the nearest match before it, else the nearest one after it.
    /// When the view follows, this is the newest match. `false` if no line matches.
    pub(crate) fn search_from_here(&mut self) -> bool {
        let search = Filter::new(&self.search);
        let filter = Filter::new(&self.filter);
        let here =
            self.selected.filter(|_| !self.is_following).and_then(|s| usize::try_from(s.checked_sub(self.first_number())?).ok());
        let is_here = here.and_then(|at| self.ring.get(at)).is_some_and(|k| self.is_shown(k, &filter) && k.matches(&search));
        is_here || self.go_to_hit(false) || self.go_to_hit(true)
    }

    /// Moves the selection over `steps` lines that satisfy `accept`, or over such rows. Moving forward past the last one follows the
    /// end of live logs.
    fn move_selection(&mut self, steps: usize, forward: bool, by_row: bool, accept: impl Fn(&Kept) -> bool) {
        let first = self.first_number();
        let start = self.selected.unwrap_or(self.taken).clamp(first, self.taken);
        let place = usize::try_from(start - first).unwrap_or(0);
        let filter = Filter::new(&self.filter);
        let length = self.ring.len();
        let (mut found, mut left) = (None, steps);
        let mut key = self.ring.get(place).map(|k| k.key);
        let mut order: Box<dyn Iterator<Item = usize>> =
            if forward { Box::new(place + 1..length) } else { Box::new((0..place.min(length)).rev()) };
        for at in order.by_ref() {
            let Some(kept) = self.ring.get(at).filter(|k| self.is_shown(k, &filter)) else { continue };
            let is_same_row = by_row && key == Some(kept.key);
            if is_same_row {
                // Forward, a row is represented by its last line.
                if forward && found.is_some() && accept(kept) {
                    found = Some(at);
                }
                continue;
            }
            if left == 0 {
                break;
            }
            key = Some(kept.key);
            if accept(kept) {
                (found, left) = (Some(at), left - 1);
            }
        }
        drop(order);
        match found {
            Some(at) => {
                self.selected = Some(first + u64::try_from(at).unwrap_or(0));
                self.is_following = false;
            }
            None if forward && self.history.is_none() => {
                (self.is_following, self.selected) = (true, None);
            }
            None => {}
        }
    }
}

/// Whether a line matches a filter or a search.
pub(crate) fn line_matches(filter: &Filter, line: &LogLine) -> bool {
    filter.matches_with(&searchable_text(line), line)
}

/// The text that filter and search match, in lower case: service, level, message and the values of the fields, because an id is often
/// there alone.
pub(crate) fn searchable_text(line: &LogLine) -> String {
    let mut text = format!("{} {} {}", line.service.as_deref().unwrap_or(""), line.level.map_or("", |l| l.word()), line.message);
    for value in line.fields.values() {
        text.push(' ');
        text.push_str(value);
    }
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_selects_matches_and_keeps_the_other_lines() {
        let mut logs = Logs { folds: false, ..Logs::default() };
        let lines = (0..50).map(|i| LogLine::plain(if i % 10 == 3 { format!("Pool full {i}") } else { format!("line {i}") }));
        logs.add(Batch { lines: lines.collect(), ..Batch::default() });
        logs.search = "pool".to_owned();
        let at = |logs: &Logs| logs.current().unwrap().message.clone();
        assert!(logs.search_from_here());
        assert_eq!((at(&logs).as_str(), logs.is_following), ("Pool full 43", false));
        assert!(logs.go_to_hit(false) && logs.go_to_hit(false));
        assert_eq!(at(&logs), "Pool full 23");
        assert!(logs.go_to_hit(true) && logs.go_to_hit(true));
        assert!(!logs.go_to_hit(true), "there is no match after the last one");
        assert_eq!((at(&logs).as_str(), logs.is_following), ("Pool full 43", false));
        let shown: Vec<&str> = logs.window(20).iter().map(|row| row.line.message.as_str()).collect();
        assert!(shown.contains(&"line 42") && shown.contains(&"line 44"), "{shown:?}");
        logs.search = "nowhere".to_owned();
        assert!(!logs.search_from_here());
        assert_eq!(at(&logs), "Pool full 43", "the selection stays");
    }

    #[test]
    fn a_backlog_is_merged_by_time() {
        let line = |secs: i64, text: &str| LogLine { at: Some(Timestamp::from_secs(secs)), ..LogLine::plain(text.to_owned()) };
        let past = |lines: Vec<LogLine>| Batch { lines, is_backlog: true, ..Batch::default() };
        let shown = |logs: &Logs| logs.window(20).iter().map(|row| row.line.message.clone()).collect::<Vec<_>>();
        let mut logs = Logs::default();
        logs.reset();
        logs.add(past(vec![line(10, "a"), LogLine::plain("\tat a".to_owned()), line(30, "c")]));
        logs.add(Batch { lines: vec![line(40, "live"), line(5, "live with a slow clock")], ..Batch::default() });
        assert_eq!(shown(&logs), ["a", "\tat a", "c", "live", "live with a slow clock"], "live lines are appended");
        logs.search = "live".to_owned();
        assert!(logs.search_from_here() && logs.go_to_hit(false));
        logs.add(past(vec![line(20, "b"), line(35, "d")]));
        assert_eq!(logs.current().unwrap().message, "live", "the selected line stays selected");
        assert_eq!((logs.received(), &shown(&logs)[..6]), (7, &["a", "\tat a", "b", "c", "d", "live"].map(String::from)[..]));
        logs.add(past((0..2 * MAX_LINES as i64).map(|i| line(i - 20_000, "many")).collect()));
        assert_eq!(logs.current().unwrap().message, "live");
        logs.reset();
        assert_eq!((logs.received(), logs.is_following, logs.search.as_str()), (0, true, "live"));
    }

    #[test]
    fn repeated_lines_are_one_row_and_a_step() {
        let mut logs = Logs::default();
        let texts = (0..300).map(|i| match i {
            0..100 => format!("GET /cart {i} ms"),
            100 => "pool exhausted".to_owned(),
            _ => format!("retry {i} of req-{i}"),
        });
        logs.add(Batch { lines: texts.map(LogLine::plain).collect(), ..Batch::default() });
        let rows = |logs: &Logs| -> Vec<(String, usize, bool)> {
            logs.window(20).iter().map(|r| (r.line.message.clone(), r.repeats, r.is_selected)).collect()
        };
        let row = |text: &str, repeats, is_selected| (text.to_owned(), repeats, is_selected);
        let all = [row("GET /cart 99 ms", 100, false), row("pool exhausted", 1, false), row("retry 299 of req-299", 199, false)];
        assert_eq!(rows(&logs), all);
        logs.step(-1);
        assert_eq!(logs.current().unwrap().message, "retry 299 of req-299");
        logs.step(-1);
        assert_eq!(rows(&logs)[1], row("pool exhausted", 1, true));
        logs.step(-1);
        assert_eq!(
            (logs.current().unwrap().message.as_str(), &rows(&logs)[0]),
            ("GET /cart 99 ms", &row("GET /cart 99 ms", 100, true))
        );
        logs.step(1);
        logs.step(1);
        assert_eq!(logs.current().unwrap().message, "retry 299 of req-299", "the last of the row");
        // A match inside a row selects the row.
        logs.search = "req-200".to_owned();
        assert!(logs.search_from_here());
        assert_eq!(rows(&logs)[2], row("retry 200 of req-200", 199, true), "the row shows the match");
        assert_eq!(logs.hits(), (Some(1), 1));
        logs.folds = false;
        assert_eq!(logs.window(20).len(), 20);
    }

    #[test]
    fn the_first_lines_fill_the_screen() {
        let mut logs = Logs { folds: false, ..Logs::default() };
        logs.add(Batch { lines: (0..100).map(|i| LogLine::plain(format!("{i}"))).collect(), ..Batch::default() });
        logs.step(-10_000);
        let shown: Vec<String> = logs.window(20).iter().map(|r| r.line.message.clone()).collect();
        assert_eq!((shown.len(), shown[0].as_str(), shown[19].as_str()), (20, "0", "19"));
    }

    #[test]
    fn recalls_previous_texts() {
        let mut history = InputHistory::default();
        for t in ["a", "b", "a", ""] {
            history.push(t);
        }
        assert_eq!((history.step("", true), history.step("a", true), history.step("b", true)), (Some("a"), Some("b"), None));
        assert_eq!((history.step("b", false), history.step("a", false), history.step("x", false)), (Some("a"), Some(""), None));
        (0..99).for_each(|n| history.push(&n.to_string()));
        assert_eq!(history.0.len(), MAX_HISTORY);
    }

    #[test]
    fn keeps_a_bounded_number_of_lines_and_the_selection() {
        let mut logs = Logs { folds: false, ..Logs::default() };
        let lines = |from: usize, to: usize| Batch {
            lines: (from..to).map(|i| LogLine::plain(format!("line {i}"))).collect(),
            dropped: 1,
            is_backlog: false,
        };
        logs.add(lines(0, 100));
        logs.step(-1);
        let selected = logs.current().unwrap().message.clone();
        logs.add(lines(100, 4000));
        assert_eq!(logs.current().unwrap().message, selected);
        logs.add(lines(4000, 30_000));
        assert_eq!(logs.window(usize::MAX).len().max(1), logs.window(usize::MAX).len().clamp(1, MAX_LINES));
        assert_eq!((logs.received(), logs.dropped), (30_000, 3));
        logs.is_following = true;
        assert_eq!(logs.window(2).iter().map(|row| row.line.message.as_str()).collect::<Vec<_>>(), ["line 29998", "line 29999"]);
    }
}
