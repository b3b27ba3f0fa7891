//! The live log: a ring of lines with a counter of what was shed.

use std::collections::VecDeque;

use super::board::Filter;
use crate::telemetry::log::Batch;
use crate::telemetry::{LogLine, Timestamp};

/// Lines kept for the screen.
pub const RING: usize = 5000;

/// See the module's words.
#[derive(Clone, Debug)]
pub struct Logs {
    ring: VecDeque<LogLine>,
    /// Lines ever taken: the number of the ring's first line is `taken - ring.len()`.
    taken: u64,
    /// Lines that were shed before they could be shown.
    pub shed: u64,
    /// The lines are asked for: from the first look at them until the room is left.
    pub is_live: bool,
    /// The end stays in view.
    pub is_following: bool,
    pub only_errors: bool,
    pub wrap: bool,
    pub filter: String,
    /// What is searched for: marked, and gone to; it leaves nothing out.
    pub search: String,
    /// What was searched for and filtered by, the latest last.
    pub searches: Recall,
    pub filters: Recall,
    /// The number of the selected line; kept while lines arrive.
    pub selected: Option<u64>,
}

/// Texts that were typed before, to be had again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recall(Vec<String>);

/// Texts that are kept.
const RECALLED: usize = 30;

impl Recall {
    /// Keeps a text as the latest; nothing twice.
    pub fn keep(&mut self, text: &str) {
        if !text.is_empty() {
            self.0.retain(|t| t != text);
            self.0.push(text.to_owned());
            let over = self.0.len().saturating_sub(RECALLED);
            self.0.drain(..over);
        }
    }

    /// The text before the one that stands (`back`), or behind it; from the end when it is none of them. Behind the latest there
    /// is nothing.
    pub fn step(&self, now: &str, back: bool) -> Option<&str> {
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
            shed: 0,
            is_live: false,
            is_following: true,
            only_errors: false,
            wrap: false,
            filter: String::new(),
            search: String::new(),
            searches: Recall::default(),
            filters: Recall::default(),
            selected: None,
        }
    }
}

impl Logs {
    /// Begins anew without a line; what was searched for and filtered by stays.
    pub fn begin(&mut self) {
        self.ring.clear();
        (self.taken, self.shed, self.selected) = (0, 0, None);
        (self.is_live, self.is_following) = (true, true);
    }

    /// Takes lines in; the oldest give way. Lines of the past go among the others by their times.
    pub fn take(&mut self, batch: Batch) {
        self.shed += batch.dropped;
        if batch.is_backlog {
            self.take_past(batch.lines);
            return;
        }
        self.taken += u64::try_from(batch.lines.len()).unwrap_or(0);
        // Of a batch larger than the ring only its end can be shown.
        let skip = batch.lines.len().saturating_sub(RING);
        let overflow = (self.ring.len() + batch.lines.len() - skip).saturating_sub(RING);
        self.ring.drain(..overflow.min(self.ring.len()));
        self.ring.extend(batch.lines.into_iter().skip(skip));
    }

    fn take_past(&mut self, past: Vec<LogLine>) {
        let first = self.taken.saturating_sub(u64::try_from(self.ring.len()).unwrap_or(0));
        let place = self.selected.and_then(|s| usize::try_from(s.checked_sub(first)?).ok());
        self.taken += u64::try_from(past.len()).unwrap_or(0);
        // A line without a time stays behind the one before it, and so does one with an earlier time.
        let key = |last: &mut Timestamp, line: &LogLine| {
            *last = line.at.map_or(*last, |at| at.max(*last));
            *last
        };
        let (mut last, mut before) = (Timestamp::default(), Timestamp::default());
        let mut all: Vec<(Timestamp, Option<usize>, LogLine)> =
            past.into_iter().map(|line| (key(&mut last, &line), None, line)).collect();
        all.extend(self.ring.drain(..).enumerate().map(|(i, line)| (key(&mut before, &line), Some(i), line)));
        all.sort_by_key(|(at, ..)| *at);
        let skip = all.len().saturating_sub(RING);
        if let Some(moved) = place.and_then(|place| all.iter().position(|(_, i, _)| *i == Some(place))) {
            self.selected = Some(first + u64::try_from(moved).unwrap_or(0));
        }
        self.ring = all.into_iter().skip(skip).map(|(.., line)| line).collect();
    }

    /// Lines ever taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    fn is_shown(&self, line: &LogLine, filter: &Filter) -> bool {
        if self.only_errors && !line.is_error() {
            return false;
        }
        self.filter.is_empty() || filter.matches(&hay(line))
    }

    /// The newest shown lines, oldest first, at most `most`, with their numbers; ending at the selected line plus `after`
    /// when the log stands still.
    pub fn window(&self, most: usize) -> Vec<(u64, &LogLine)> {
        let first = self.taken.saturating_sub(u64::try_from(self.ring.len()).unwrap_or(0));
        let number = |i: usize| first + u64::try_from(i).unwrap_or(0);
        let end = match self.selected.filter(|_| !self.is_following) {
            // Some lines after the selected one stay visible.
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

    /// The selected line.
    pub fn current(&self) -> Option<&LogLine> {
        let first = self.taken.saturating_sub(u64::try_from(self.ring.len()).unwrap_or(0));
        let selected = self.selected.or_else(|| self.taken.checked_sub(1))?;
        self.ring.get(usize::try_from(selected.checked_sub(first)?).ok()?)
    }

    /// Moves the selection over shown lines and stands still.
    pub fn step(&mut self, by: isize) {
        self.walk(by.unsigned_abs(), by > 0, |_| true);
    }

    /// To the next or previous error.
    pub fn to_error(&mut self, forward: bool) {
        self.walk(1, forward, LogLine::is_error);
    }

    /// To the next or previous line that is searched for; `false` when there is none.
    pub fn to_hit(&mut self, forward: bool) -> bool {
        let search = Filter::new(&self.search);
        let before = (self.selected, self.is_following);
        self.walk(1, forward, |line| search.matches(&hay(line)));
        // Behind the last hit one does not fall to the end.
        if self.is_following && !before.1 {
            (self.selected, self.is_following) = before;
            return false;
        }
        self.selected != before.0
    }

    /// To the line that is searched for at the selected one or before it, else behind it: of a log that is followed, the latest.
    /// `false` when no line has it.
    pub fn search_from_here(&mut self) -> bool {
        let search = Filter::new(&self.search);
        let filter = Filter::new(&self.filter);
        let has = |line: &LogLine| self.is_shown(line, &filter) && search.matches(&hay(line));
        let is_here = !self.is_following && self.current().is_some_and(has);
        is_here || self.to_hit(false) || self.to_hit(true)
    }

    fn walk(&mut self, steps: usize, forward: bool, wanted: impl Fn(&LogLine) -> bool) {
        let first = self.taken.saturating_sub(u64::try_from(self.ring.len()).unwrap_or(0));
        let start = self.selected.unwrap_or(self.taken).clamp(first, self.taken);
        let place = usize::try_from(start - first).unwrap_or(0);
        let number = |i: usize| first + u64::try_from(i).unwrap_or(0);
        let filter = Filter::new(&self.filter);
        let hits = |i: &usize| self.ring.get(*i).is_some_and(|l| self.is_shown(l, &filter) && wanted(l));
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

/// What filter and search look at, in lower case.
fn hay(line: &LogLine) -> String {
    format!("{} {} {}", line.service.as_deref().unwrap_or(""), line.level.map_or("", |l| l.word()), line.message).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_goes_from_hit_to_hit_and_leaves_the_other_lines() {
        let mut logs = Logs::default();
        let lines = (0..50).map(|i| LogLine::plain(if i % 10 == 3 { format!("Pool full {i}") } else { format!("line {i}") }));
        logs.take(Batch { lines: lines.collect(), ..Batch::default() });
        logs.search = "pool".to_owned();
        let at = |logs: &Logs| logs.current().unwrap().message.clone();
        assert!(logs.search_from_here());
        assert_eq!((at(&logs).as_str(), logs.is_following), ("Pool full 43", false));
        assert!(logs.to_hit(false) && logs.to_hit(false));
        assert_eq!(at(&logs), "Pool full 23");
        assert!(logs.to_hit(true) && logs.to_hit(true));
        assert!(!logs.to_hit(true), "behind the last there is none");
        assert_eq!((at(&logs).as_str(), logs.is_following), ("Pool full 43", false));
        let shown: Vec<&str> = logs.window(20).iter().map(|(_, l)| l.message.as_str()).collect();
        assert!(shown.contains(&"line 42") && shown.contains(&"line 44"), "{shown:?}");
        logs.search = "nowhere".to_owned();
        assert!(!logs.search_from_here());
        assert_eq!(at(&logs), "Pool full 43", "and one stays where one was");
    }

    #[test]
    fn lines_of_the_past_go_among_the_others_by_their_times() {
        let line = |secs: i64, text: &str| LogLine { at: Some(Timestamp::from_secs(secs)), ..LogLine::plain(text.to_owned()) };
        let past = |lines: Vec<LogLine>| Batch { lines, is_backlog: true, ..Batch::default() };
        let shown = |logs: &Logs| logs.window(20).iter().map(|(_, l)| l.message.clone()).collect::<Vec<_>>();
        let mut logs = Logs::default();
        logs.begin();
        logs.take(past(vec![line(10, "a"), LogLine::plain("\tat a".to_owned()), line(30, "c")]));
        logs.take(Batch { lines: vec![line(40, "live"), line(5, "live with a slow clock")], ..Batch::default() });
        assert_eq!(shown(&logs), ["a", "\tat a", "c", "live", "live with a slow clock"], "what comes now stands at the end");
        logs.search = "live".to_owned();
        assert!(logs.search_from_here() && logs.to_hit(false));
        logs.take(past(vec![line(20, "b"), line(35, "d")]));
        assert_eq!(logs.current().unwrap().message, "live", "the selected line stays selected");
        assert_eq!((logs.taken(), &shown(&logs)[..6]), (7, &["a", "\tat a", "b", "c", "d", "live"].map(String::from)[..]));
        logs.take(past((0..2 * RING as i64).map(|i| line(i - 20_000, "many")).collect()));
        assert_eq!(logs.current().unwrap().message, "live");
        logs.begin();
        assert_eq!((logs.taken(), logs.is_following, logs.search.as_str()), (0, true, "live"));
    }

    #[test]
    fn what_was_typed_is_recalled() {
        let mut recall = Recall::default();
        ["a", "b", "a", ""].iter().for_each(|t| recall.keep(t));
        assert_eq!((recall.step("", true), recall.step("a", true), recall.step("b", true)), (Some("a"), Some("b"), None));
        assert_eq!((recall.step("b", false), recall.step("a", false), recall.step("x", false)), (Some("a"), Some(""), None));
        (0..99).for_each(|n| recall.keep(&n.to_string()));
        assert_eq!(recall.0.len(), RECALLED);
    }

    #[test]
    fn the_ring_is_bounded_and_the_selection_stays() {
        let mut logs = Logs::default();
        let lines = |from: usize, to: usize| Batch {
            lines: (from..to).map(|i| LogLine::plain(format!("line {i}"))).collect(),
            dropped: 1,
            is_backlog: false,
        };
        logs.take(lines(0, 100));
        logs.step(-1);
        let selected = logs.current().unwrap().message.clone();
        logs.take(lines(100, 4000));
        assert_eq!(logs.current().unwrap().message, selected);
        logs.take(lines(4000, 30_000));
        assert_eq!(logs.window(usize::MAX).len().max(1), logs.window(usize::MAX).len().clamp(1, RING));
        assert_eq!((logs.taken(), logs.shed), (30_000, 3));
        logs.is_following = true;
        assert_eq!(logs.window(2).iter().map(|(_, l)| l.message.as_str()).collect::<Vec<_>>(), ["line 29998", "line 29999"]);
    }
}
