//! The live logs: the most recent lines, filter, search and selection.

use std::collections::VecDeque;

use super::board::Filter;
use crate::telemetry::log::Batch;
use crate::telemetry::{LogLine, Timestamp};

/// The number of lines that are kept.
pub(crate) const MAX_LINES: usize = 5000;

/// The state of the live logs. Lines are numbered from 0 in the order in which they arrived.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches that a user turns on and off independently")]
pub(crate) struct Logs {
    ring: VecDeque<LogLine>,
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
    pub filter: String,
    /// The current search: highlighted, and navigated with next and previous. It hides nothing.
    pub search: String,
    /// Previous searches.
    pub searches: InputHistory,
    /// Previous filters.
    pub filters: InputHistory,
    /// The number of the selected line. It stays selected while lines arrive.
    pub selected: Option<u64>,
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
            filter: String::new(),
            search: String::new(),
            searches: InputHistory::default(),
            filters: InputHistory::default(),
            selected: None,
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
        self.ring.extend(batch.lines.into_iter().skip(skip));
    }

    /// Merges earlier lines by time. The selected line stays selected.
    fn add_backlog(&mut self, past: Vec<LogLine>) {
        let first = self.taken.saturating_sub(u64::try_from(self.ring.len()).unwrap_or(0));
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
        all.extend(self.ring.drain(..).enumerate().map(|(i, line)| (key(&mut before, &line), Some(i), line)));
        all.sort_by_key(|(at, ..)| *at);
        let skip = all.len().saturating_sub(MAX_LINES);
        if let Some(row) = place.and_then(|place| all.iter().position(|(_, i, _)| *i == Some(place))) {
            self.selected = Some(first + u64::try_from(row).unwrap_or(0));
        }
        self.ring = all.into_iter().skip(skip).map(|(.., line)| line).collect();
    }

    /// The number of lines received so far.
    pub(crate) fn received(&self) -> u64 {
        self.taken
    }

    fn is_shown(&self, line: &LogLine, filter: &Filter) -> bool {
        if self.only_errors && !line.is_error() {
            return false;
        }
        self.filter.is_empty() || filter.matches(&searchable_text(line))
    }

    /// The lines to show with their numbers: at most `most`, oldest first. They end at the newest line or, when the view
    /// does not follow, half a screen (`most / 2`) after the selected line.
    pub(crate) fn window(&self, most: usize) -> Vec<(u64, &LogLine)> {
        let first = self.taken.saturating_sub(u64::try_from(self.ring.len()).unwrap_or(0));
        let number = |i: usize| first + u64::try_from(i).unwrap_or(0);
        let end = match self.selected.filter(|_| !self.is_following) {
            Some(selected) => {
                let place = usize::try_from(selected.saturating_sub(first)).unwrap_or(0);
                (place + most / 2 + 1).min(self.ring.len())
            }
            None => self.ring.len(),
        };
        let filter = Filter::new(&self.filter);
        let mut lines: Vec<(u64, &LogLine)> = (0..end)
            .rev()
            .filter_map(|i| self.ring.get(i).map(|l| (number(i), l)))
            .filter(|(_, l)| self.is_shown(l, &filter))
            .take(most)
            .collect();
        lines.reverse();
        lines
    }

    /// The selected line, or else the newest line.
    pub(crate) fn current(&self) -> Option<&LogLine> {
        let first = self.taken.saturating_sub(u64::try_from(self.ring.len()).unwrap_or(0));
        let selected = self.selected.or_else(|| self.taken.checked_sub(1))?;
        self.ring.get(usize::try_from(selected.checked_sub(first)?).ok()?)
    }

    /// Selects a line by its number, and stops following.
    pub(crate) fn select(&mut self, number: u64) {
        (self.selected, self.is_following) = (Some(number), false);
    }

    /// Moves the selection by a number of visible lines and stops following. Moving past the end follows again.
    pub(crate) fn step(&mut self, by: isize) {
        self.move_selection(by.unsigned_abs(), by > 0, |_| true);
    }

    /// Selects the next or previous error.
    pub(crate) fn go_to_error(&mut self, forward: bool) {
        self.move_selection(1, forward, LogLine::is_error);
    }

    /// Selects the next or previous line that matches the search; `false` if there is none.
    pub(crate) fn go_to_hit(&mut self, forward: bool) -> bool {
        let search = Filter::new(&self.search);
        let before = (self.selected, self.is_following);
        self.move_selection(1, forward, |line| search.matches(&searchable_text(line)));
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
        let matches = |line: &LogLine| self.is_shown(line, &filter) && search.matches(&searchable_text(line));
        let is_here = !self.is_following && self.current().is_some_and(matches);
        is_here || self.go_to_hit(false) || self.go_to_hit(true)
    }

    /// Moves the selection over `steps` visible lines that satisfy `accept`. Moving forward past the last one follows the end.
    fn move_selection(&mut self, steps: usize, forward: bool, accept: impl Fn(&LogLine) -> bool) {
        let first = self.taken.saturating_sub(u64::try_from(self.ring.len()).unwrap_or(0));
        let start = self.selected.unwrap_or(self.taken).clamp(first, self.taken);
        let place = usize::try_from(start - first).unwrap_or(0);
        let number = |i: usize| first + u64::try_from(i).unwrap_or(0);
        let filter = Filter::new(&self.filter);
        let hits = |i: &usize| self.ring.get(*i).is_some_and(|l| self.is_shown(l, &filter) && accept(l));
        let found: Vec<usize> = if forward {
            (place + 1..self.ring.len()).filter(hits).take(steps).collect()
        } else {
            (0..place.min(self.ring.len())).rev().filter(hits).take(steps).collect()
        };
        if let Some(last) = found.last() {
            self.selected = Some(number(*last));
            self.is_following = false;
        } else if forward {
            self.is_following = true;
            self.selected = None;
        }
    }
}

/// The text that filter and search match, in lower case.
fn searchable_text(line: &LogLine) -> String {
    format!("{} {} {}", line.service.as_deref().unwrap_or(""), line.level.map_or("", |l| l.word()), line.message).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_selects_matches_and_keeps_the_other_lines() {
        let mut logs = Logs::default();
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
        let shown: Vec<&str> = logs.window(20).iter().map(|(_, l)| l.message.as_str()).collect();
        assert!(shown.contains(&"line 42") && shown.contains(&"line 44"), "{shown:?}");
        logs.search = "nowhere".to_owned();
        assert!(!logs.search_from_here());
        assert_eq!(at(&logs), "Pool full 43", "the selection stays");
    }

    #[test]
    fn a_backlog_is_merged_by_time() {
        let line = |secs: i64, text: &str| LogLine { at: Some(Timestamp::from_secs(secs)), ..LogLine::plain(text.to_owned()) };
        let past = |lines: Vec<LogLine>| Batch { lines, is_backlog: true, ..Batch::default() };
        let shown = |logs: &Logs| logs.window(20).iter().map(|(_, l)| l.message.clone()).collect::<Vec<_>>();
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
        let mut logs = Logs::default();
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
        assert_eq!(logs.window(2).iter().map(|(_, l)| l.message.as_str()).collect::<Vec<_>>(), ["line 29998", "line 29999"]);
    }
}
