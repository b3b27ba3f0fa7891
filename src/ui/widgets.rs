//! Drawing functions that several panels use: frames, rows, scrolled text, charts, Markdown and citations.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Widget};

use super::text;
use super::theme::{Meaning, Theme, tint};
use crate::analysis::departure::quantile;
use crate::telemetry::series::human_measure;
use crate::telemetry::{Sample, Series, Timestamp, Window};

/// A border with a title, accented if the pane has the focus.
pub(crate) fn frame<'a>(theme: &Theme, title: String, has_focus: bool) -> Block<'a> {
    let style = theme.style(if has_focus { Meaning::Accent } else { Meaning::Border });
    let title_style = theme.style(if has_focus { Meaning::Title } else { Meaning::Muted });
    Block::new().borders(Borders::ALL).border_style(style).title(Line::from(Span::styled(format!(" {title} "), title_style)))
}

/// Draws a line in a row of a rectangle. `selected` is the style of the whole row if it is selected: with a background, the row
/// keeps its colours on it and gets a mark in front; otherwise the style replaces them. A row below the rectangle is skipped.
pub(crate) fn put(buffer: &mut Buffer, area: Rect, row: usize, line: &Line<'_>, selected: Option<Style>) {
    let Ok(row) = u16::try_from(row) else { return };
    if row >= area.height {
        return;
    }
    let place = Rect { x: area.x, y: area.y + row, width: area.width, height: 1 };
    line.render(place, buffer);
    if let Some(style) = selected.filter(|s| s.bg.is_some()) {
        for x in place.x..place.right() {
            if let Some(cell) = buffer.cell_mut((x, place.y)) {
                tint(cell, style);
            }
        }
        // The mark is in the margin, or in front of the text if there is none.
        let is_blank = |buffer: &Buffer, x: u16| buffer.cell((x, place.y)).is_some_and(|c| c.symbol() == " ");
        let before = place.x.checked_sub(1).filter(|x| is_blank(buffer, *x));
        let at = before.or(Some(place.x).filter(|x| is_blank(buffer, *x)));
        if let Some(cell) = at.and_then(|x| buffer.cell_mut((x, place.y))) {
            cell.set_symbol("▌");
            tint(cell, style);
        }
    } else if let Some(style) = selected {
        // The selection replaces the colours of the line, because reversed colours would be unreadable.
        for x in place.x..place.right() {
            if let Some(cell) = buffer.cell_mut((x, place.y)) {
                cell.set_style(Style::reset());
                cell.set_style(style);
            }
        }
    }
}

/// Draws the lines from `offset` on, or the last page if the offset is too large. Returns the largest useful offset.
pub(crate) fn scrolled(buffer: &mut Buffer, area: Rect, lines: &[Line<'_>], offset: usize) -> usize {
    let height = usize::from(area.height);
    let limit = lines.len().saturating_sub(height);
    for (row, line) in lines.iter().skip(offset.min(limit)).take(height).enumerate() {
        put(buffer, area, row, line, None);
    }
    // In the margin or the border beside the last row: there is more.
    if offset < limit
        && height > 0
        && let Some(cell) = buffer.cell_mut((area.right(), area.bottom() - 1))
    {
        cell.set_symbol("↓");
    }
    limit
}

/// A mark on the time axis of a chart.
pub(crate) struct Mark {
    pub at: Timestamp,
    pub glyph: char,
    pub meaning: Meaning,
}

/// The data of a chart.
#[derive(Clone, Copy)]
pub(crate) struct Chart<'a> {
    pub series: &'a [Series],
    /// The same series on an earlier day, drawn faintly behind them.
    pub before: &'a [Series],
    pub window: Window,
    pub threshold: Option<f64>,
    pub unit: &'a str,
    pub marks: &'a [Mark],
    /// What is before this time counts as normal: with one series, the range of most of its values is drawn as a band.
    pub normal_until: Option<Timestamp>,
    /// Where a vertical line is drawn through the plot.
    pub cursor: Option<Timestamp>,
    /// The current time. Times that are not today are shown with their date.
    pub now: Timestamp,
}

impl<'a> Chart<'a> {
    /// A chart of series alone.
    pub(crate) fn of(series: &'a [Series], window: Window, unit: &'a str, now: Timestamp) -> Self {
        Self { series, before: &[], window, threshold: None, unit, marks: &[], normal_until: None, cursor: None, now }
    }

    /// The range of most values of the only series before the normal time ends: from the 5th to the 95th percentile. `None` with
    /// several series, or with too few values.
    fn normal(&self) -> Option<(f64, f64)> {
        /// The fewest values that say what is normal.
        const MIN_VALUES: usize = 10;
        let ([only], Some(until)) = (self.series, self.normal_until) else { return None };
        let is_normal = |s: &&Sample| s.at < until && s.value.is_finite();
        let mut values: Vec<f64> = only.within(self.window).iter().filter(is_normal).map(|s| s.value).collect();
        if values.len() < MIN_VALUES {
            return None;
        }
        quantile(&mut values, 0.05).zip(quantile(&mut values, 0.95))
    }
}

/// The letter of a series in a chart of several, counted from 0: `a` to `z`.
pub(crate) fn letter(number: usize) -> char {
    char::from(b'a' + u8::try_from(number % 26).unwrap_or(0))
}

/// Where values and times are in the plot of a chart, in dots: each cell is two wide and four high.
struct Scale {
    window: Window,
    top: f64,
    low: f64,
    columns: usize,
    rows: usize,
}

impl Scale {
    fn x(&self, at: Timestamp) -> usize {
        let last = self.columns.saturating_sub(1) as f64;
        (at.secs_since(self.window.start) / self.window.length().as_secs_f64() * last).round().clamp(0.0, last) as usize
    }

    fn y(&self, value: f64) -> usize {
        let last = self.rows.saturating_sub(1) as f64;
        ((self.top - value) / (self.top - self.low) * last).round().clamp(0.0, last) as usize
    }

    /// The cells of a series as bits of braille characters.
    fn cells(&self, series: &Series) -> Vec<u8> {
        let width = self.columns / 2;
        let mut cells = vec![0_u8; width * self.rows / 4];
        let mut before: Option<(usize, usize)> = None;
        for p in series.within(self.window).iter().filter(|p| p.value.is_finite()) {
            let (x, y) = (self.x(p.at), self.y(p.value));
            // Connect neighbouring samples, unless the gap is longer than a tenth of the window.
            match before.filter(|(bx, _)| x - bx.min(&x) <= self.columns / 10) {
                Some((bx, by)) => join(bx, by, x, y, |x, y| dot(&mut cells, width, x, y)),
                None => dot(&mut cells, width, x, y),
            }
            before = Some((x, y));
        }
        cells
    }

    fn draw(&self, buffer: &mut Buffer, plot: Rect, series: &Series, style: Style) {
        let width = usize::from(plot.width);
        for (i, bits) in self.cells(series).iter().enumerate().filter(|(_, b)| **b != 0) {
            let glyph = char::from_u32(0x2800 + u32::from(*bits)).unwrap_or('⣿').to_string();
            set(buffer, plot, i % width, i / width, &glyph, style);
        }
    }
}

/// Draws a chart in braille, with the scale on the left, and marks and the times of the window below. Draws nothing if the
/// area is too small. Returns the area of the plot.
pub(crate) fn chart(buffer: &mut Buffer, area: Rect, theme: &Theme, data: &Chart<'_>) -> Option<Rect> {
    let Chart { series, before, window, threshold, unit, marks, cursor, now, .. } = *data;
    let length = window.length().as_secs_f64();
    if area.height < 4 || area.width < 20 || length <= 0.0 {
        return None;
    }
    let values = |all: &[Series]| -> Vec<f64> {
        all.iter().flat_map(|s| s.within(window).iter().map(|p| p.value)).filter(|v| v.is_finite()).collect()
    };
    let mut points = values(series);
    if points.is_empty() {
        put(buffer, area, 0, &Line::from(Span::styled("No samples in this window.", theme.style(Meaning::Muted))), None);
        return None;
    }
    points.extend(values(before));
    let factor = if unit == "%" { 100.0 } else { 1.0 };
    let top = points.iter().copied().chain(threshold).fold(f64::NEG_INFINITY, f64::max);
    let low = points.iter().copied().chain(threshold).fold(f64::INFINITY, f64::min).min(0.0);
    let top = if top > low { top } else { low + 1.0 };
    let label = |v: f64| human_measure(v * factor, unit);
    let ticks = ticks(low, top, usize::from(area.height.saturating_sub(2)));
    let gutter = ticks.iter().map(|v| text::width(&label(*v))).max().unwrap_or(0).min(10) + 1;
    let gutter16 = u16::try_from(gutter).unwrap_or(10);
    let plot = Rect { x: area.x + gutter16, y: area.y, width: area.width.saturating_sub(gutter16), height: area.height - 2 };
    if plot.width < 8 {
        return None;
    }
    let muted = theme.style(Meaning::Muted);
    let scale = Scale { window, top, low, columns: usize::from(plot.width) * 2, rows: usize::from(plot.height) * 4 };
    for tick in &ticks {
        put(
            buffer,
            area,
            scale.y(*tick) / 4,
            &Line::from(Span::styled(text::align_right(&label(*tick), gutter - 1), muted)),
            None,
        );
    }
    if let Some((from, to)) = data.normal() {
        for row in scale.y(to) / 4..=scale.y(from) / 4 {
            (0..plot.width).step_by(2).for_each(|x| set(buffer, plot, usize::from(x), row, "·", theme.style(Meaning::Border)));
        }
    }
    if let Some(column) = cursor.filter(|at| window.contains(*at)).map(|at| scale.x(at) / 2) {
        for row in 0..usize::from(plot.height) {
            set(buffer, plot, column, row, "┊", theme.style(Meaning::Accent));
        }
    }
    if let Some(t) = threshold {
        let row = scale.y(t) / 4;
        for x in (0..plot.width).step_by(2) {
            set(buffer, plot, usize::from(x), row, "┄", theme.style(Meaning::Warn));
        }
    }
    for s in before {
        scale.draw(buffer, plot, s, muted);
    }
    for (n, s) in series.iter().enumerate() {
        scale.draw(buffer, plot, s, theme.style(Meaning::of_series(n)));
    }
    // With several series, a letter at the end of each names it without a colour too.
    for (n, s) in series.iter().enumerate().filter(|_| series.len() > 1) {
        if let Some(last) = s.within(window).iter().rev().find(|p| p.value.is_finite()) {
            let place = (scale.x(last.at) / 2, scale.y(last.value) / 4);
            set(buffer, plot, place.0, place.1, &letter(n).to_string(), theme.style(Meaning::of_series(n)));
        }
    }
    let axis = usize::from(plot.height);
    for mark in marks.iter().filter(|m| window.contains(m.at)) {
        let below = Rect { height: plot.height + 1, ..plot };
        set(buffer, below, scale.x(mark.at) / 2, axis, &mark.glyph.to_string(), theme.style(mark.meaning));
    }
    let line =
        Line::from(Span::styled(format!("{}{}", " ".repeat(gutter), time_axis(window, now, usize::from(plot.width))), muted));
    put(buffer, area, axis + 1, &line, None);
    Some(plot)
}

/// The values on the scale of a chart with so many rows: the lowest, the highest, and round values between them that are at least two
/// rows from both.
fn ticks(low: f64, top: f64, rows: usize) -> Vec<f64> {
    let mut found = vec![low, top];
    let spaces = (rows / 3).clamp(1, 6);
    let rough = (top - low) / spaces as f64;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * magnitude).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    // A round value too close to an end would hide its label.
    let gap = (top - low) * 2.0 / rows.max(1) as f64;
    let first = (low / step).ceil() as i64;
    found.extend((first..first + 12).map(|n| n as f64 * step).filter(|v| *v > low + gap && *v < top - gap));
    found
}

/// The times below a chart: its start and its end, and whole steps between them where there is room.
fn time_axis(window: Window, now: Timestamp, width: usize) -> String {
    let is_one_day = window.start.date() == window.end.date();
    let end = if is_one_day { window.end.clock(time::UtcOffset::UTC) } else { text::moment(now, window.end) };
    let (from, to) = (text::moment(now, window.start), format!("{end} UTC"));
    let mut line: Vec<char> = vec![' '; width];
    let mut write = |at: usize, words: &str| {
        let end = at + words.chars().count();
        let is_free = line.get(at.saturating_sub(2)..(end + 2).min(width)).is_some_and(|part| part.iter().all(|c| *c == ' '));
        if end <= width && is_free {
            line.splice(at..end, words.chars());
        }
    };
    // Where there is no room for both, the end with its zone matters more.
    write(width.saturating_sub(text::width(&to)), &to);
    write(0, &from);
    let length = window.length().as_secs_f64();
    let steps: [i64; 18] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
    let rough = (length * 14.0 / width.max(1) as f64).ceil();
    let Some(step) = steps.into_iter().find(|s| *s as f64 >= rough) else { return line.into_iter().collect() };
    let (begin, end) = (window.start.micros().div_euclid(1_000_000), window.end.micros().div_euclid(1_000_000));
    let first = (begin.div_euclid(step) + 1) * step;
    for at in (first..=end).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let at = Timestamp::from_secs(at);
        let column = (at.secs_since(window.start) / length * (width.saturating_sub(1)) as f64).round() as usize;
        let (date, clock) = (at.date(), at.clock(time::UtcOffset::UTC));
        let words = match step {
            // At midnight, only the day distinguishes the labels.
            _ if !is_one_day && clock.starts_with("00:00") => date.get(5..).unwrap_or(&date),
            step if step % 60 == 0 => clock.get(..5).unwrap_or(&clock),
            _ => &clock,
        };
        write(column.saturating_sub(words.len() / 2), words);
    }
    line.into_iter().collect()
}

fn set(buffer: &mut Buffer, area: Rect, x: usize, y: usize, glyph: &str, style: Style) {
    let place = u16::try_from(x).ok().zip(u16::try_from(y).ok()).filter(|(x, y)| *x < area.width && *y < area.height);
    if let Some((x, y)) = place
        && let Some(cell) = buffer.cell_mut((area.x + x, area.y + y))
    {
        cell.set_symbol(glyph).set_style(style);
    }
}

/// Sets a point in a grid of braille cells, each two points wide and four points high.
fn dot(cells: &mut [u8], width: usize, x: usize, y: usize) {
    const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    if let (Some(cell), Some(bit)) = (cells.get_mut(y / 4 * width + x / 2), BITS.get(y % 4).and_then(|r| r.get(x % 2))) {
        *cell |= bit;
    }
}

/// Calls `put` for each point of the line between two points.
fn join(x0: usize, y0: usize, x1: usize, y1: usize, mut put: impl FnMut(usize, usize)) {
    let steps = x1.abs_diff(x0).max(y1.abs_diff(y0)).max(1);
    for i in 0..=steps {
        let part = i as f64 / steps as f64;
        let at = |a: usize, b: usize| (a as f64 + (b as f64 - a as f64) * part).round() as usize;
        put(at(x0, x1), at(y0, y1));
    }
}

/// Joins the lines of a paragraph or a list item, because a line break in Markdown is a space. Two spaces or a backslash at the end of a
/// line keep it. Code, tables, headings and quotations stay as they are.
fn reflow(source: &str) -> Vec<String> {
    let (mut out, mut fenced, mut is_open): (Vec<String>, bool, bool) = (Vec::new(), false, false);
    for raw in source.lines() {
        let trimmed = raw.trim();
        let is_fence = trimmed.starts_with("```") || trimmed.starts_with("~~~");
        let is_item = trimmed.starts_with("- ")
            || trimmed.starts_with("* ")
            || trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(". ") && !trimmed.starts_with('.');
        let is_block = trimmed.is_empty() || trimmed.starts_with(['#', '|', '>']) || trimmed.starts_with("---");
        match out.last_mut() {
            Some(last) if is_open && !fenced && !is_fence && !is_item && !is_block => {
                last.truncate(last.trim_end().len());
                last.push(' ');
                last.push_str(raw.trim_start());
            }
            _ => out.push(raw.to_owned()),
        }
        fenced ^= is_fence;
        is_open = !fenced && !is_fence && !is_block && !raw.ends_with("  ") && !raw.ends_with('\\');
    }
    out
}

/// Markdown as styled lines: headings and code are styled, lists get bullets, and all text but code is wrapped.
pub(crate) fn markdown(theme: &Theme, source: &str, width: usize) -> Vec<Line<'static>> {
    let (mut out, mut fenced) = (Vec::new(), false);
    for raw in reflow(source) {
        if raw.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            let parts = text::wrap(&format!("  {raw}"), width);
            out.extend(parts.into_iter().map(|part| Line::from(Span::styled(part, theme.style(Meaning::Accent)))));
            continue;
        }
        let trimmed = raw.trim_start();
        if trimmed.starts_with('#') {
            let title = unescaped(trimmed.trim_start_matches('#').trim());
            out.extend(text::wrap(&title, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Title)))));
            continue;
        }
        if let Some(row) = trimmed.strip_prefix('|') {
            out.extend(table_row(theme, row, width));
            continue;
        }
        let indent = raw.len() - trimmed.len();
        let (mark, rest) = match trimmed.strip_prefix("- ").or_else(|| trimmed.strip_prefix("* ")) {
            Some(rest) => ("• ", rest),
            None => ("", trimmed),
        };
        let lead = " ".repeat(indent.min(width / 3));
        let hang = " ".repeat(text::width(mark));
        // A whole line in italics.
        let rest = rest.strip_prefix('_').and_then(|r| r.strip_suffix('_')).unwrap_or(rest);
        let plain = unescaped(&rest.replace("**", "").replace("__", ""));
        for (i, line) in text::wrap(&plain, width.saturating_sub(indent + hang.len()).max(10)).into_iter().enumerate() {
            let head = if i == 0 { mark.to_owned() } else { hang.clone() };
            let mut spans = vec![Span::raw(format!("{lead}{head}"))];
            spans.extend(cited(theme, &line));
            out.push(Line::from(spans));
        }
    }
    out
}

/// A row of a table, without its first bar: two cells as a label and a text, more as one line of parts. Nothing for the line below the head.
fn table_row(theme: &Theme, row: &str, width: usize) -> Vec<Line<'static>> {
    let mut cells = vec![String::new()];
    let mut chars = row.trim_end().trim_end_matches('|').chars();
    while let Some(c) = chars.next() {
        match (c, cells.last_mut()) {
            ('|', _) => cells.push(String::new()),
            ('\\', Some(cell)) => {
                cell.push(c);
                cell.extend(chars.next());
            }
            (c, Some(cell)) => cell.push(c),
            (_, None) => {}
        }
    }
    let cells: Vec<String> = cells.iter().map(|c| unescaped(&c.trim().replace("**", ""))).collect();
    if cells.iter().all(|c| !c.is_empty() && c.chars().all(|c| matches!(c, '-' | ':'))) {
        return Vec::new();
    }
    let (head, rest) = match cells.as_slice() {
        [label, rest] => (text::pad(label, (width / 4).clamp(8, 18)) + " ", rest.clone()),
        all => (String::new(), all.iter().filter(|c| !c.is_empty()).cloned().collect::<Vec<_>>().join(" · ")),
    };
    let hang = text::width(&head).max(2);
    let mut lines = Vec::new();
    for (n, part) in text::wrap(&rest, width.saturating_sub(hang).max(10)).into_iter().enumerate() {
        let lead = if n == 0 { head.clone() } else { " ".repeat(hang) };
        let mut spans = vec![Span::styled(lead, theme.style(Meaning::Muted))];
        spans.extend(cited(theme, &part));
        lines.push(Line::from(spans));
    }
    lines
}

/// A text without the backslashes that keep Markdown from reading punctuation as marks.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' || !chars.peek().is_some_and(char::is_ascii_punctuation) {
            out.push(c);
        }
    }
    out
}

/// A line with its evidence tags, such as `[E7]`, highlighted.
pub(crate) fn cited(theme: &Theme, line: &str) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find("[E") {
        let Some(end) = rest.get(start..).and_then(|t| t.find(']')) else { break };
        let (before, tagged) = rest.split_at(start);
        let (tag, after) = tagged.split_at(end + 1);
        spans.push(Span::raw(before.to_owned()));
        spans.push(Span::styled(tag.to_owned(), theme.style(Meaning::Evidence)));
        rest = after;
    }
    spans.push(Span::raw(rest.to_owned()));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_escaped_text_are_shown_as_people_read_them() {
        let theme = Theme::load("dark", &[], crate::ui::theme::Colours::All).0;
        let lines = markdown(
            &theme,
            "| Owner | ana \\| co |\n|---|---|\n| Severity | SEV2 |\n\n| a | b | c [E1] |\n\n1\\. not \\[x]",
            40,
        );
        let shown: Vec<String> = lines.iter().map(|l| l.to_string().trim_end().to_owned()).filter(|l| !l.is_empty()).collect();
        assert_eq!(shown, ["Owner      ana | co", "Severity   SEV2", "a · b · c [E1]", "1. not [x]"]);
    }

    #[test]
    fn joins_the_lines_of_paragraphs_and_items_but_not_of_code_and_tables() {
        let source = "One\ntwo.\n\n- item\n  goes on\n- next\n1. first\n2. second\n\n```sh\na\nb\n```\nafter\n| a |\n| b |\nlast  \nkept\n# H\ntext";
        assert_eq!(
            reflow(source),
            [
                "One two.",
                "",
                "- item goes on",
                "- next",
                "1. first",
                "2. second",
                "",
                "```sh",
                "a",
                "b",
                "```",
                "after",
                "| a |",
                "| b |",
                "last  ",
                "kept",
                "# H",
                "text",
            ]
        );
    }
}
