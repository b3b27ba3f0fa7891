//! The logs tab: the log patterns of the investigation with their rates over time, or the live log lines of all sources.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::analysis::patterns::RATE_BUCKETS;
use crate::analysis::{Change, Pattern};
use crate::app::action::Action;
use crate::app::filter::Filter;
use crate::app::logs::{DEFAULT_COLUMNS, History, LineRow, column_value};
use crate::app::model::Model;
use crate::app::pointer::Target;
use crate::app::room::Room;
use crate::app::update::{history_title, is_hit};
use crate::evidence::Body;
use crate::evidence::render::bar_chart;
use crate::incident::EvidenceRecord;
use crate::telemetry::words::count;
use crate::telemetry::{LogLine, Timestamp, Window};
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, put};
use crate::ui::{ViewCache, text};

/// Draws the logs tab.
pub(crate) fn render(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    match model.room.as_ref().filter(|r| r.shows_patterns()) {
        Some(room) => patterns(model, room, theme, cache, frame, area),
        None => lines(model, theme, cache, frame, area),
    }
}

/// The columns of a rate in a wide terminal.
const WIDE_RATE: usize = RATE_BUCKETS;
/// The columns of a rate in a narrow terminal.
const NARROW_RATE: usize = RATE_BUCKETS / 2;
/// The rows of the histogram above the list.
const HISTOGRAM_ROWS: u16 = 3;
/// The rows of the details of the selected pattern below the list.
const DETAIL_ROWS: u16 = 8;

fn patterns(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let all = room.patterns("");
    let shown = if model.logs.filter.is_empty() { all.clone() } else { room.patterns(&model.logs.filter) };
    let new = all.iter().filter(|(_, p)| p.change == Change::New).count();
    let mut title = format!("Log patterns {} · {new} new", all.len());
    for (source, until) in room.stale_patterns() {
        title.push_str(&format!(" · {source} failed, data as of {} UTC", text::moment(model.now, until)));
    }
    if !model.logs.filter.is_empty() {
        title.push_str(&format!(" · filter: {} ({} shown)", model.logs.filter, shown.len()));
    }
    if !model.logs.search.is_empty() {
        let hits: Vec<usize> = (0..shown.len()).filter(|n| shown.get(*n).is_some_and(|(_, p)| is_hit(model, p))).collect();
        let at = hits.iter().position(|n| *n == room.pattern).map(|n| format!("{} of ", n + 1)).unwrap_or_default();
        title.push_str(&format!(" · search: {} ({at}{})", model.logs.search, hits.len()));
    }
    let highlights = [Filter::new(&model.logs.search), Filter::new(&model.logs.filter)];
    let place = room.pattern.min(shown.len().saturating_sub(1));
    let has_detail = area.height > HISTOGRAM_ROWS + DETAIL_ROWS + 6;
    let [list, detail] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(if has_detail { DETAIL_ROWS } else { 0 })]).areas::<2>(area);
    let block = bordered(theme, title, true);
    let inner = block.inner(list);
    frame.render_widget(block, list);
    let width = if inner.width >= 100 { WIDE_RATE } else { NARROW_RATE };
    histogram(model.now, &all, room, theme, frame, inner, width);
    let rows =
        Rect { y: inner.y + HISTOGRAM_ROWS.min(inner.height), height: inner.height.saturating_sub(HISTOGRAM_ROWS), ..inner };
    if shown.is_empty() {
        let invalid_regex = Filter::invalid_regex_note(&model.logs.filter).map_or_else(String::new, |why| format!(" {why}."));
        let clear = model.key(Action::Back);
        let words = format!(" No pattern matches the filter. Press {clear} to clear it.{invalid_regex}");
        put(frame.buffer_mut(), rows, 0, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
        return;
    }
    let height = usize::from(rows.height);
    let offset = cache.offset("patterns", place, height, shown.len());
    let room_left = usize::from(rows.width).saturating_sub(width + 22);
    for (row, (_, p)) in shown.iter().enumerate().skip(offset).take(height) {
        let services = if room_left > 60 { format!("{}  ", text::pad(&p.services.join(","), 16)) } else { String::new() };
        let mut line = Line::from(vec![
            Span::styled(format!(" {:<5}", p.change.word()), theme.style(meaning_of(p.change))),
            Span::raw(format!("{:>7} ", p.count.max(if p.change == Change::Gone { p.baseline_count } else { 0 }))),
            Span::styled(text::pad(&bar_chart(&p.rate, 0, width), width), theme.style(Meaning::Chart)),
            Span::styled(format!(" {:<5} ", p.level.map_or("", |l| l.word())), theme.style(Meaning::of_level(p.level))),
            Span::styled(services, theme.style(Meaning::Muted)),
        ]);
        let template = text::fit(&p.template, room_left.saturating_sub(if room_left > 60 { 18 } else { 0 }));
        line.extend(highlighted(&template, &highlights, Meaning::Text, theme));
        put(frame.buffer_mut(), rows, row - offset, &line, (row == place).then(|| theme.style(Meaning::Selection)));
        cache.target(rows, row - offset, Target::Row(row));
    }
    if let Some((record, p)) = shown.get(place).filter(|_| has_detail) {
        pattern_detail(model.now, record, p, theme, frame, detail);
    }
}

/// A text in which the matches of the given filters are highlighted.
fn highlighted(text: &str, filters: &[Filter], meaning: Meaning, theme: &Theme) -> Vec<Span<'static>> {
    let (plain, hit) = (theme.style(meaning), theme.style(Meaning::Hit));
    let mut spans = Vec::new();
    let mut at = 0;
    let mut ranges: Vec<std::ops::Range<usize>> = filters.iter().flat_map(|f| f.match_ranges(text)).collect();
    ranges.sort_by_key(|r| r.start);
    for range in ranges {
        let range = range.start.max(at)..range.end;
        let (Some(before), Some(inside)) = (text.get(at..range.start), text.get(range.clone())) else { continue };
        if inside.is_empty() {
            continue;
        }
        spans.push(Span::styled(before.to_owned(), plain));
        spans.push(Span::styled(inside.to_owned(), hit));
        at = range.end;
    }
    spans.push(Span::styled(text.get(at..).unwrap_or_default().to_owned(), plain));
    spans
}

/// The meaning that a change is shown with.
fn meaning_of(change: Change) -> Meaning {
    match change {
        Change::New => Meaning::Bad,
        Change::Up => Meaning::Warn,
        Change::Same => Meaning::Muted,
        Change::Down | Change::Gone => Meaning::Ok,
    }
}

/// The number of all lines and of errors over time, in the same columns as the rates below. Marks the onset on the time
/// axis.
fn histogram(
    now: Timestamp,
    all: &[(&EvidenceRecord, &Pattern)],
    room: &Room,
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
    width: usize,
) {
    let (mut lines, mut errors) = (vec![0_u32; RATE_BUCKETS], vec![0_u32; RATE_BUCKETS]);
    for (_, p) in all {
        let is_error = p.is_error();
        for (at, n) in p.rate.iter().enumerate() {
            for counts in [Some(&mut lines), is_error.then_some(&mut errors)].into_iter().flatten() {
                if let Some(sum) = counts.get_mut(at) {
                    *sum = sum.saturating_add(*n);
                }
            }
        }
    }
    let label = |word: &str| Span::styled(format!(" {word:<13}"), theme.style(Meaning::Muted));
    let top = lines.iter().copied().max().unwrap_or(0);
    let sum = |counts: &[u32]| counts.iter().map(|n| u64::from(*n)).sum::<u64>();
    let total = |counts: &[u32], since: u64| format!(" {}, {since} after ┆", sum(counts));
    let since = |errors_only: bool| all.iter().filter(|(_, p)| !errors_only || p.is_error()).map(|(_, p)| p.count).sum::<u64>();
    let unread = unread_columns(all, room, width);
    let word = if unread.contains(&true) { "lines read" } else { "all lines" };
    let rows = [(word, &lines, Meaning::Chart), ("errors", &errors, Meaning::Bad)];
    for (row, (word, counts, meaning)) in rows.into_iter().enumerate() {
        let line = Line::from(vec![
            label(word),
            Span::styled(with_unread(&bar_chart(counts, if row == 0 { top } else { 0 }, width), &unread), theme.style(meaning)),
            Span::styled(total(counts, since(row == 1)), theme.style(Meaning::Muted)),
        ]);
        put(frame.buffer_mut(), area, row, &line, None);
    }
    let Some(window) = all.first().map(|(r, _)| r.window) else { return };
    let mut axis: Vec<char> = vec!['─'; width];
    let onset = room.incident.as_ref().and_then(|i| i.investigation.as_ref()).and_then(|i| i.onset);
    if let Some(at) = onset.filter(|at| window.contains(*at)) {
        let share = at.since(window.start).as_secs_f64() / window.length().as_secs_f64().max(1.0);
        if let Some(cell) = axis.get_mut(((share * width as f64) as usize).min(width - 1)) {
            *cell = '┆';
        }
    }
    let axis: String = axis.into_iter().collect();
    let mut onset = onset.map_or_else(String::new, |at| format!("  ┆ normal until {} UTC", text::moment(now, at)));
    if unread.contains(&true) {
        onset.push_str("  ░ not read");
    }
    // The column is too narrow for a date, so the end of the window shows it.
    let start = window.start.clock(time::UtcOffset::UTC);
    let line = format!(" {start:<13}{axis} {} UTC{onset}", text::moment(now, window.end));
    put(frame.buffer_mut(), area, 2, &Line::from(Span::styled(line, theme.style(Meaning::Muted))), None);
}

/// The columns of the time axis whose lines were not read by every source.
fn unread_columns(all: &[(&EvidenceRecord, &Pattern)], room: &Room, width: usize) -> Vec<bool> {
    let mut columns = vec![false; width];
    let mut known = std::collections::BTreeSet::new();
    for (record, _) in all.iter().filter(|(r, _)| known.insert(r.id)) {
        let Some(Body::Patterns { unread, .. }) = room.bodies.get(&record.digest) else { continue };
        let length = record.window.length().as_secs_f64().max(1.0);
        let column = |at: Timestamp| ((at.secs_since(record.window.start) / length * width as f64).max(0.0)) as usize;
        for part in unread {
            columns.iter_mut().take(column(part.end) + 1).skip(column(part.start)).for_each(|c| *c = true);
        }
    }
    columns
}

/// A bar chart of the width of the columns, with a mark where lines were not read.
fn with_unread(bars: &str, unread: &[bool]) -> String {
    let padded = text::pad(bars, unread.len());
    padded.chars().zip(unread).map(|(bar, unread)| if *unread && bar == ' ' { '░' } else { bar }).collect()
}

/// The details of the selected pattern: counts, times, services, field values, template and a sample line.
fn pattern_detail(now: Timestamp, record: &EvidenceRecord, p: &Pattern, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let block = bordered(theme, format!("[{}] from {}", record.id, record.source), false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width).saturating_sub(2);
    let times = match (p.first_at, p.last_at) {
        (Some(first), Some(last)) => format!("{} to {} UTC", text::moment(now, first), text::moment(now, last)),
        _ => "times unknown".to_owned(),
    };
    let before = match p.baseline_count {
        0 => "none before".to_owned(),
        n => format!("{n} before"),
    };
    let services = if p.services.is_empty() { String::new() } else { format!(" · {}", p.services.join(", ")) };
    let mut lines = vec![Line::from(Span::styled(
        format!(" {} after ┆, {before} · {times}{services}", count(p.count, "line")),
        theme.style(Meaning::Muted),
    ))];
    let fields = crate::evidence::render::facets(p);
    if !fields.is_empty() {
        lines.push(Line::from(Span::raw(format!(" {}", text::fit(&fields, width)))));
    }
    lines.extend(text::wrap(&p.template, width).into_iter().take(2).map(|l| Line::from(format!(" {l}"))));
    let sample = text::wrap(&p.sample.replace('\n', " ⏎ "), width);
    lines.extend(
        sample.into_iter().take(3).map(|l| Line::from(Span::styled(format!(" {l}"), theme.style(Meaning::of_level(p.level))))),
    );
    for (row, line) in lines.iter().enumerate() {
        put(frame.buffer_mut(), inner, row, line, None);
    }
}

/// The log lines of all sources: as they arrive, or those that were read.
fn lines(model: &Model, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let logs = &model.logs;
    let block = bordered(theme, lines_title(model), true);
    let mut inner = block.inner(area);
    frame.render_widget(block, area);
    if let Some(history) = &logs.history
        && inner.height > 6
    {
        let width = usize::from(inner.width);
        let axis = history_axis(model, history, width);
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(axis, theme.style(Meaning::Chart))), None);
        inner = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
        if let Some(gap) = history.gaps.first() {
            let more = if history.gaps.len() > 1 { format!(" (+{} more)", history.gaps.len() - 1) } else { String::new() };
            let line =
                Line::from(Span::styled(text::fit(&format!(" Incomplete: {gap}{more}"), width), theme.style(Meaning::Warn)));
            put(frame.buffer_mut(), inner, 0, &line, None);
            inner = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
        }
    }
    let mut shown = logs.window(usize::from(inner.height));
    let columns = Columns::new(&logs.columns, &shown);
    if let Some(heads) = columns.heads()
        && inner.height > 3
    {
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(heads, theme.style(Meaning::Muted))), None);
        inner = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
        shown = logs.window(usize::from(inner.height));
    }
    let height = usize::from(inner.height);
    if shown.is_empty() {
        put(
            frame.buffer_mut(),
            inner,
            0,
            &Line::from(Span::styled(format!(" {}", no_lines(model)), theme.style(Meaning::Muted))),
            None,
        );
        return;
    }
    let highlights = [Filter::new(&logs.search), Filter::new(&logs.filter)];
    let width = usize::from(inner.width);
    let mut rows: Vec<(Line<'static>, bool, u64)> = Vec::new();
    for row in shown {
        let line = row.line;
        let repeats = if row.repeats > 1 { format!("×{} ", row.repeats) } else { String::new() };
        let prefix = columns.of(line);
        let meaning = Meaning::of_level(line.level);
        let lead = text::width(&prefix) + text::width(&repeats);
        let room = width.saturating_sub(lead);
        let flat = line.message.replace('\n', " ⏎ ");
        let parts = if logs.wrap { text::wrap(&flat, room.max(20)) } else { vec![text::fit(&flat, room)] };
        for (i, part) in parts.into_iter().enumerate() {
            let mut spans = match i {
                0 => vec![
                    Span::styled(prefix.clone(), theme.style(Meaning::Muted)),
                    Span::styled(repeats.clone(), theme.style(Meaning::Accent)),
                ],
                _ => vec![Span::raw(" ".repeat(lead))],
            };
            spans.extend(highlighted(&part, &highlights, meaning, theme));
            rows.push((Line::from(spans), row.is_selected, row.number));
        }
    }
    // Wrapped lines take more than the screen: the selected one stays visible.
    let last =
        rows.iter().rposition(|(_, is_selected, _)| *is_selected).map_or(rows.len(), |at| (at + height / 2 + 1).max(height));
    let skip = last.min(rows.len()).saturating_sub(height);
    for (row, (line, selected, number)) in rows.iter().skip(skip).take(height).enumerate() {
        put(frame.buffer_mut(), inner, row, line, selected.then(|| theme.style(Meaning::Selection)));
        cache.target(inner, row, Target::Line(*number));
    }
}

/// The title above the lines: what they are, filter, and search with the position of the selected match.
fn lines_title(model: &Model) -> String {
    let logs = &model.logs;
    let mut title = match &logs.history {
        Some(history) => {
            let counted = if history.is_reading() {
                "reading …".to_owned()
            } else {
                let shown = logs.lines().count();
                let of = if history.searched > shown { format!(" of {}", history.searched) } else { String::new() };
                format!("{shown}{of} lines")
            };
            format!("{} · {counted} · {} back", history_title(history), model.key(Action::LogView))
        }
        None if logs.is_following => format!("Logs {} · following", count(logs.received(), "line")),
        None => format!("Logs {} · paused ({} to follow)", count(logs.received(), "line"), model.key(Action::Follow)),
    };
    if logs.only_errors {
        title.push_str(" · errors only");
    }
    if !logs.filter.is_empty() {
        title.push_str(&format!(" · filter: {}", logs.filter));
    }
    if !logs.filter.is_empty() || logs.only_errors {
        title.push_str(&format!(" ({} shown)", logs.shown_count()));
    }
    if !logs.search.is_empty() {
        let (place, all) = logs.hits();
        let at = place.map(|n| format!("{n} of ")).unwrap_or_default();
        let is_named = logs.history.as_ref().is_some_and(|h| h.request.search.as_ref() == Some(&logs.search));
        let search = if is_named { "match".to_owned() } else { format!("search: {}", logs.search) };
        title.push_str(&format!(" · {search} ({at}{all})"));
    }
    if logs.dropped > 0 {
        title.push_str(&format!(" · {} dropped", count(logs.dropped, "line")));
    }
    title
}

/// Why no line is shown, and what to do.
fn no_lines(model: &Model) -> String {
    let logs = &model.logs;
    if !model.has_logs {
        return format!("No log source is configured. Add one to {}.", model.config_path);
    }
    match &logs.history {
        Some(history) if history.is_reading() => return "Reading the lines …".to_owned(),
        Some(history) if logs.received() == 0 && matches!(history.request.what, crate::app::msg::Lines::Pattern(_)) => {
            return format!("No lines of this pattern in {}.", history.read.label());
        }
        Some(history) if logs.received() == 0 => {
            return format!(
                "No lines in {}. {} reads earlier ones, {} later ones.",
                history.read.label(),
                model.key(Action::Up),
                model.key(Action::Down)
            );
        }
        None if logs.received() == 0 => return "Waiting for the first log line …".to_owned(),
        _ => {}
    }
    let (clear, all) = (model.key(Action::Back), model.key(Action::OnlyErrors));
    let hint = match (logs.filter.is_empty(), logs.only_errors) {
        (false, true) => format!("Press {clear} to clear the filter, or {all} to show all levels."),
        (true, true) => format!("Press {all} to show all levels."),
        (_, false) => format!("Press {clear} to clear the filter."),
    };
    let invalid_regex = Filter::invalid_regex_note(&logs.filter).map_or_else(String::new, |why| format!(" {why}."));
    format!("No line matches. {hint}{invalid_regex}")
}

/// The time axis above lines that were read: how many there are, hatched where nothing was read, with the place of the selected line.
/// It covers the window of the incident and what was read beyond it.
fn history_axis(model: &Model, history: &History, width: usize) -> String {
    let incident = model.room.as_ref().and_then(|r| r.incident.as_ref()).and_then(|i| i.investigation.as_ref()).map(|i| i.window);
    let read = history.read;
    let whole = incident.map_or(read, |w| Window::new(w.start.min(read.start), w.end.max(read.end)));
    let (from, to) = (text::moment(model.now, whole.start), format!("{} UTC", text::moment(model.now, whole.end)));
    let columns = width.saturating_sub(text::width(&from) + text::width(&to) + 4).max(1);
    let length = whole.length().as_secs_f64().max(1.0);
    let column = |at: Timestamp| ((at.secs_since(whole.start) / length * columns as f64).max(0.0) as usize).min(columns - 1);
    let mut counts = vec![0_u32; columns];
    for at in model.logs.lines().filter_map(|l| l.at) {
        if let Some(cell) = counts.get_mut(column(at)) {
            *cell += 1;
        }
    }
    let bars = text::pad(&bar_chart(&counts, 0, columns), columns);
    let (first, last) = (column(read.start), column(read.end));
    let selected = model.logs.current().and_then(|l| l.at).map(column);
    let cell = |(n, bar): (usize, char)| match bar {
        _ if selected == Some(n) => '┃',
        ' ' if n < first || n > last => '░',
        bar => bar,
    };
    let axis: String = bars.chars().enumerate().map(cell).collect();
    format!(" {from} {axis} {to}")
}

/// The columns before the message of a log line.
struct Columns<'a> {
    names: &'a [String],
    /// The width of each.
    widths: Vec<usize>,
}

/// The widest that the column of a field becomes.
const MAX_COLUMN: usize = 24;

impl<'a> Columns<'a> {
    /// The columns, as wide as what the rows have in them.
    fn new(names: &'a [String], rows: &[LineRow<'_>]) -> Self {
        let width = |name: &String| match name.as_str() {
            "time" => 8,
            "level" => 5,
            "service" => 10,
            field => {
                let widest = rows.iter().filter_map(|r| r.line.fields.get(field)).map(|v| text::width(v)).max().unwrap_or(0);
                widest.max(text::width(field)).min(MAX_COLUMN)
            }
        };
        Self { names, widths: names.iter().map(width).collect() }
    }

    fn text(&self, value: impl Fn(&str) -> String) -> String {
        let cell = |(name, width): (&String, &usize)| format!("{} ", text::pad(&value(name), *width));
        self.names.iter().zip(&self.widths).map(cell).collect()
    }

    /// The names of the columns; `None` for those that need no name.
    fn heads(&self) -> Option<String> {
        let has_fields = self.names.iter().any(|name| !DEFAULT_COLUMNS.contains(&name.as_str()));
        has_fields.then(|| self.text(str::to_owned))
    }

    /// What a line has in the columns.
    fn of(&self, line: &LogLine) -> String {
        let unknown = |name: &str| if name == "time" { "--:--:--".to_owned() } else { String::new() };
        self.text(|name| column_value(line, name).map_or_else(|| unknown(name), |value| value.replace('\n', " ")))
    }
}
