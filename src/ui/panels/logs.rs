//! Live logs of every source.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::model::Model;
use crate::telemetry::LogLine;
use crate::ui::text;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, put};

pub fn render(model: &Model, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let logs = &model.logs;
    let mut title = format!("Logs {}", crate::telemetry::words::count(logs.taken(), "line"));
    title.push_str(if logs.is_following { " · following" } else { " · standing (f follows)" });
    if logs.only_errors {
        title.push_str(" · errors only");
    }
    if !logs.filter.is_empty() {
        title.push_str(&format!(" · /{}", logs.filter));
    }
    if logs.shed > 0 {
        title.push_str(&format!(" · {} shed", crate::telemetry::words::count(logs.shed, "line")));
    }
    let block = bordered(theme, title, true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let height = usize::from(inner.height);
    let shown = logs.window(height);
    if shown.is_empty() {
        let words = if !model.has_logs {
            "no log source is configured"
        } else if logs.taken() == 0 {
            "waiting for the first line …"
        } else {
            "no line passes the filter; esc clears it, x shows all levels"
        };
        put(frame.buffer_mut(), inner, 0, &Line::from(Span::styled(format!(" {words}"), theme.style(Meaning::Muted))), None);
        return;
    }
    let width = usize::from(inner.width);
    let mut rows: Vec<(Line<'static>, bool)> = Vec::new();
    for (number, line) in shown {
        let selected = !logs.is_following && logs.selected == Some(number);
        let lead = lead(line);
        let meaning = Meaning::of_level(line.level);
        let room = width.saturating_sub(text::width(&lead));
        let flat = line.message.replace('\n', " ⏎ ");
        let parts = if logs.wrap { text::wrap(&flat, room.max(20)) } else { vec![text::fit(&flat, room)] };
        for (i, part) in parts.into_iter().enumerate() {
            let head = if i == 0 { lead.clone() } else { " ".repeat(text::width(&lead)) };
            rows.push((
                Line::from(vec![Span::styled(head, theme.style(Meaning::Muted)), Span::styled(part, theme.style(meaning))]),
                selected,
            ));
        }
    }
    let skip = rows.len().saturating_sub(height);
    for (row, (line, selected)) in rows.iter().skip(skip).enumerate() {
        put(frame.buffer_mut(), inner, row, line, selected.then(|| theme.style(Meaning::Selection)));
    }
}

fn lead(line: &LogLine) -> String {
    let at = line.at.map_or_else(|| "--:--:--".to_owned(), |t| t.clock(time::UtcOffset::UTC));
    let level = line.level.map_or("     ", |l| l.word());
    format!("{at} {level:<5} {} ", text::pad(line.service.as_deref().unwrap_or(""), 10))
}
