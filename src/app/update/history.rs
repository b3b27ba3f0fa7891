//! Log lines that are read from the sources rather than followed: around a time, page by page, of a pattern, or by a search.

use std::time::Duration;

use super::super::action::Action;
use super::super::logs::{History, Logs};
use super::super::model::Model;
use super::super::msg::{Effect, LineRequest, Lines, LinesRead};
use super::super::room::{Room, Tab};
use super::common::say;
use crate::telemetry::log::Batch;
use crate::telemetry::words::count;
use crate::telemetry::{LogLine, Timestamp, Window};

/// How far before and after a time log lines are read.
const CONTEXT_SPAN: Duration = Duration::from_mins(1);
/// How far one page of a history goes at first. A page without lines doubles it.
const PAGE_SPAN: Duration = Duration::from_mins(2);
/// The number of views that are kept to return to: the live logs and histories.
const MAX_BELOW: usize = 6;
/// The longest page of a history.
const MAX_PAGE_SPAN: Duration = Duration::from_hours(6);

/// What the title of a history says.
pub(crate) fn title(history: &History) -> String {
    use crate::telemetry::clean::truncate;
    match (&history.request.what, &history.request.search) {
        (_, Some(search)) => format!("Lines with '{}'", truncate(search, 40)),
        (Lines::Around(at), None) => format!("Logs around {} UTC", at.date_clock()),
        (Lines::Pattern(template), None) => format!("Lines of '{}'", truncate(template, 60)),
        (Lines::Earlier | Lines::Later | Lines::Matching, None) => format!("Logs of {}", history.read.label()),
    }
}

/// The number of the next request.
fn next_id(model: &mut Model) -> u64 {
    model.requests += 1;
    model.requests
}

/// Shows what a request finds in place of the live logs, which are followed on.
pub(super) fn open_history(model: &mut Model, what: Lines, window: Window, search: Option<String>) -> Vec<Effect> {
    let request = LineRequest { id: next_id(model), what, window, search };
    let was_patterns = match (&model.logs.history, &model.room) {
        (Some(history), _) => history.was_patterns,
        (None, room) => room.as_ref().is_some_and(Room::shows_patterns),
    };
    let history = History {
        request: request.clone(),
        pending: Some(request.id),
        read: window,
        searched: 0,
        gaps: Vec::new(),
        was_patterns,
    };
    let mut effects = Vec::new();
    if model.below.is_empty() && !model.logs.is_live {
        model.logs.reset();
        effects.push(Effect::FollowLogs);
    }
    // The lines of a pattern differ in little else than numbers.
    let folds = model.logs.folds && !matches!(request.what, Lines::Pattern(_));
    let mut lines = model.logs.begin_history(history);
    lines.folds = folds;
    let mut before = std::mem::replace(&mut model.logs, lines);
    match &request.search {
        // The search belongs to what it found.
        Some(search) => {
            before.search.clear();
            model.logs.search.clone_from(search);
        }
        None => model.logs.search.clear(),
    }
    model.below.push(before);
    if model.below.len() > MAX_BELOW {
        // The live logs stay.
        model.below.remove(1);
    }
    if let Some(room) = &mut model.room {
        (room.tab, room.scroll, room.show_lines) = (Tab::Logs, 0, true);
    }
    effects.push(Effect::ReadLines(request));
    effects
}

/// Shows the lines around the time of an entry or of the selected line.
pub(super) fn lines_around(model: &mut Model, at: Timestamp) -> Vec<Effect> {
    let window = Window::new(at - CONTEXT_SPAN, at + CONTEXT_SPAN);
    open_history(model, Lines::Around(at), window, None)
}

/// Returns from a history to the live logs, or to the patterns. `false` if no history is shown.
pub(super) fn leave_all(model: &mut Model) -> bool {
    let is_history = leave_history(model);
    while leave_history(model) {}
    is_history
}

/// Returns from a history to what the tab showed before. `false` if no history is shown.
pub(super) fn leave_history(model: &mut Model) -> bool {
    if model.logs.history.is_none() {
        return false;
    }
    let (Some(history), Some(mut live)) = (model.logs.history.take(), model.below.pop()) else { return false };
    (live.searches, live.filters) = (std::mem::take(&mut model.logs.searches), std::mem::take(&mut model.logs.filters));
    live.wrap = model.logs.wrap;
    live.columns = std::mem::take(&mut model.logs.columns);
    model.logs = live;
    let is_last = model.logs.history.is_none();
    if let Some(room) = model.room.as_mut().filter(|_| history.was_patterns && is_last) {
        room.show_lines = false;
    }
    true
}

/// Reads the page before the first line of a history, or after the last one.
pub(super) fn page(model: &mut Model, forward: bool) -> Vec<Effect> {
    let now = model.now;
    let id = next_id(model);
    let Some(history) = &mut model.logs.history else { return Vec::new() };
    if history.is_reading() || matches!(history.request.what, Lines::Pattern(_)) {
        return Vec::new();
    }
    let is_again = matches!((&history.request.what, forward), (Lines::Later, true) | (Lines::Earlier, false));
    // The first page of a search is as long as what was searched before.
    let first = if history.request.search.is_some() { history.read.length() } else { PAGE_SPAN };
    let length = if is_again { history.request.window.length() } else { first }.clamp(PAGE_SPAN, MAX_PAGE_SPAN);
    let (what, window) = if forward {
        (Lines::Later, Window::new(history.read.end, (history.read.end + length).min(now.max(history.read.end))))
    } else {
        (Lines::Earlier, Window::new(history.read.start - length, history.read.start))
    };
    // A source may not have the lines of the last second yet.
    if window.length() < Duration::from_secs(1) {
        return say(model, "These are the newest lines.");
    }
    let request = LineRequest { id, what, window, search: history.request.search.clone() };
    history.pending = Some(id);
    vec![Effect::ReadLines(request)]
}

/// Takes lines that were read into the history that asked for them, which may lie below another one. An answer for a history that was left
/// is dropped.
pub(super) fn lines_read(model: &mut Model, request: LineRequest, found: LinesRead) -> Vec<Effect> {
    let is_asking = |logs: &Logs| logs.history.as_ref().is_some_and(|h| h.pending == Some(request.id));
    let is_top = is_asking(&model.logs);
    let Some(logs) = std::iter::once(&mut model.logs).chain(&mut model.below).find(|logs| is_asking(logs)) else {
        return Vec::new();
    };
    let words = match request.what {
        Lines::Earlier | Lines::Later => add_page(logs, &request, found),
        Lines::Around(_) | Lines::Pattern(_) | Lines::Matching => Some(fill(logs, &request, found)),
    };
    match words {
        Some(words) if is_top && !words.text.is_empty() => say(model, words.text.replace("{}", &model.key(words.key))),
        _ => Vec::new(),
    }
}

/// What to say about lines that were read; `{}` is replaced by a key.
struct Words {
    text: String,
    key: Action,
}

/// Shows the lines of a first answer.
fn fill(logs: &mut Logs, request: &LineRequest, found: LinesRead) -> Words {
    let LinesRead { window, lines, searched, gaps } = found;
    let near = if let Lines::Around(at) = request.what { Some(at) } else { None };
    let number = lines.len();
    logs.fill(lines, near);
    if let Some(history) = &mut logs.history {
        (history.pending, history.gaps, history.searched, history.read) = (None, gaps, searched, window);
    }
    match (&request.search, &request.what) {
        (Some(_), _) if number == 0 => {
            let text = format!("No match in {}. {{}} searches earlier ones.", count(searched, "line"));
            Words { text, key: Action::Up }
        }
        (Some(_), _) | (None, Lines::Pattern(_)) => {
            let text = format!("{number} of {}. {{}} shows the lines around the selected one.", count(searched, "line"));
            Words { text, key: Action::LinesAround }
        }
        _ => Words { text: String::new(), key: Action::LinesAround },
    }
}

/// Adds a page before or after the lines that are shown.
fn add_page(logs: &mut Logs, request: &LineRequest, found: LinesRead) -> Option<Words> {
    let LinesRead { window, lines, searched, gaps } = found;
    let earlier = request.what == Lines::Earlier;
    // A line at the boundary comes with both pages.
    let boundary = if earlier { logs.lines().find_map(|l| l.at) } else { logs.lines().filter_map(|l| l.at).last() };
    let all = lines.len();
    let lines: Vec<LogLine> = lines.into_iter().filter(|l| l.at.is_none() || l.at != boundary).collect();
    let repeated = all - lines.len();
    let number = lines.len();
    if earlier {
        logs.prepend(lines);
    } else {
        logs.add(Batch { lines, ..Batch::default() });
    }
    let (is_full, span) = (logs.is_full(), logs.span());
    let history = logs.history.as_mut()?;
    (history.pending, history.gaps) = (None, gaps);
    history.searched += searched.saturating_sub(repeated);
    history.read =
        if earlier { Window::new(window.start, history.read.end) } else { Window::new(history.read.start, window.end) };
    // Lines beyond the limit were dropped at the other end, and can be read again.
    if let (true, Some(kept)) = (is_full, span) {
        history.read =
            if earlier { Window::new(history.read.start, kept.end) } else { Window::new(kept.start, history.read.end) };
    }
    // The next page after one without lines is twice as long.
    let again = if request.search.is_some() { request.window.length() } else { PAGE_SPAN };
    let next = if number == 0 { request.window.length() * 2 } else { again };
    history.request = LineRequest { window: Window::new(request.window.end - next, request.window.end), ..request.clone() };
    let (from, to) = (window.start.date_clock(), window.end.date_clock());
    let text = match number {
        0 => format!("No lines between {from} and {to} UTC. {{}} reads on."),
        n => format!("{} between {from} and {to} UTC.", count(n, "line")),
    };
    Some(Words { text, key: if earlier { Action::Up } else { Action::Down } })
}
