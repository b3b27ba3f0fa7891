//! The assistant tab: the answers with the checks of their claims, the answer that is arriving, and what would be sent next.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::conversation::{Spot, Target};
use crate::app::model::Model;
use crate::app::room::Room;
use crate::incident::state::RecordedAnswer;
use crate::incident::{AnswerSource, Incident};
use crate::playbook::proposals;
use crate::telemetry::words::capitalized;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, markdown, put, scrolled};
use crate::ui::{ViewCache, text};

/// Draws the assistant tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let [main, bottom] = Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas::<2>(area);
    let name = model.model_name.as_deref().unwrap_or("built-in rules (no model is configured)");
    let threads = incident.threads().len();
    let thread = if threads > 1 { format!(" · thread {} of {threads}", room.thread()) } else { String::new() };
    let block = bordered(theme, format!("Assistant · {name}{thread}"), true);
    let inner = block.inner(main);
    frame.render_widget(block, main);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let width = usize::from(inner.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let spot = room.selected_spot();
    let mut at = None;
    for group in panels(&room.shown_answers(), width) {
        let column = width.saturating_sub(GAP * (group.len() - 1)) / group.len();
        let mut columns: Vec<Vec<Line<'static>>> = Vec::new();
        for answer in group {
            let own = spot.as_ref().filter(|s| s.id.0 == answer.seq);
            let mut column = answer_lines(model, theme, incident, answer, own, column);
            at = at.or(highlight(theme, &mut column).map(|line| line + lines.len()));
            columns.push(column);
        }
        lines.extend(beside(columns, column));
        lines.push(Line::default());
    }
    if let Some(s) = &room.streaming {
        lines.push(Line::from(vec![Span::styled("You ", theme.style(Meaning::Accent)), Span::raw(s.question.clone())]));
        let status = if s.status.is_empty() { "answering" } else { &s.status };
        let progress = s.progress(model.now);
        let progress = if progress.is_empty() { progress } else { format!(" · {progress}") };
        let keys = match s.status.as_str() {
            crate::app::room::CANCELLING => String::new(),
            _ => format!(" · {} stops and keeps the partial answer", model.key(Action::Back)),
        };
        let status = format!("AI … {status}{progress}{keys}");
        lines.extend(text::wrap(&status, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Ai)))));
        lines.extend(ai_margin(theme, markdown(theme, &s.text, width.saturating_sub(3))));
    }
    if lines.is_empty() {
        let (troubleshoot, ask, preview) = (model.key(Action::OpenSpot), model.key(Action::Ask), model.key(Action::Preview));
        for words in [
            format!(
                "No answers yet. Press {troubleshoot} to run the troubleshoot prompt, {ask} to ask a question, \
                 or {preview} to see exactly what would be sent."
            ),
            "Every claim in an answer is checked against the evidence that it cites.".to_owned(),
        ] {
            lines.extend(text::wrap(&words, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Muted)))));
        }
    }
    let scroll = match at.filter(|_| room.conversation.reveals) {
        Some(line) => {
            let (height, top) =
                (usize::from(inner.height), room.scroll.min(lines.len().saturating_sub(usize::from(inner.height))));
            let is_shown = (top..top + height.saturating_sub(2)).contains(&line);
            let to = if is_shown { top } else { line.saturating_sub(height / 3) };
            cache.scrolled_to = Some(to);
            to
        }
        None => room.scroll,
    };
    cache.scroll_limit = scrolled(frame.buffer_mut(), inner, &lines, scroll);
    if let Some(spot) = spot {
        let words = text::fit(&describe(model, incident, &spot), usize::from(bottom.width));
        put(frame.buffer_mut(), bottom, 0, &Line::from(Span::styled(words, theme.style(Meaning::Accent))), None);
        return;
    }
    let plan = room.plan.clone().unwrap_or_else(|| "…".to_owned());
    let words = text::fit(&format!(" Would send: {plan} · {} preview", model.key(Action::Preview)), usize::from(bottom.width));
    put(frame.buffer_mut(), bottom, 0, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
}

/// The columns between answers side by side.
const GAP: usize = 2;
/// The narrowest column that an answer can be read in.
const MIN_COLUMN: usize = 44;

/// The answers that are shown side by side: those that several personas gave at the same time, if there is room.
fn panels<'a>(answers: &[&'a RecordedAnswer], width: usize) -> Vec<Vec<&'a RecordedAnswer>> {
    let mut groups: Vec<Vec<&RecordedAnswer>> = Vec::new();
    for answer in answers {
        let panel = answer.answer.turn.as_ref().and_then(|t| t.panel);
        let fits = panel.is_some_and(|p| width / p.of.max(1) >= MIN_COLUMN && p.number > 1);
        match groups.last_mut().filter(|g| fits && panel.is_some_and(|p| g.len() + 1 == p.number)) {
            Some(group) => group.push(answer),
            None => groups.push(vec![answer]),
        }
    }
    groups
}

/// Columns of lines side by side, each `width` wide.
fn beside(columns: Vec<Vec<Line<'static>>>, width: usize) -> Vec<Line<'static>> {
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    let last = columns.len().saturating_sub(1);
    let mut rows: Vec<Line<'static>> = vec![Line::default(); height];
    for (n, column) in columns.into_iter().enumerate() {
        let mut lines = column.into_iter();
        for row in &mut rows {
            let line = lines.next().unwrap_or_default();
            let missing = (width + GAP).saturating_sub(line.width());
            row.spans.extend(line.spans);
            if n < last {
                row.spans.push(Span::raw(" ".repeat(missing)));
            }
        }
    }
    rows
}

/// The marks around the selected spot, of no width, while the text is laid out.
const BEGIN: char = '\u{2063}';
const END: char = '\u{2064}';

/// The text of an answer with a mark behind each flagged claim and in front of each decided proposal, and marks around the
/// selected spot.
fn annotated(incident: &Incident, recorded: &RecordedAnswer, spot: Option<&Spot>) -> String {
    let answer = &recorded.answer;
    let mut marks: Vec<(usize, String)> = Vec::new();
    let lead = |start: usize, end: usize| answer.answer.get(start..end).map_or(0, |t| t.len() - without_lead(t).len());
    for p in proposals(incident, recorded) {
        let decided = incident.decision_on(&p).map(|d| if d.is_accepted { "✓ " } else { "✗ " });
        marks.extend(decided.map(|mark| (p.start + lead(p.start, p.end), mark.to_owned())));
    }
    for (n, claim) in answer.claims.iter().filter(|c| c.is_flagged()).enumerate() {
        marks.extend((claim.end > 0).then(|| (claim.end, format!(" ‹?{}›", n + 1))));
    }
    let mut text = answer.answer.clone();
    if let Some(spot) = spot {
        // The mark of a list item or a heading stays at the beginning of its line.
        marks.push((spot.start + lead(spot.start, spot.end), BEGIN.to_string()));
        marks.push((spot.end, END.to_string()));
    }
    marks.sort_by_key(|(at, _)| *at);
    for (at, mark) in marks.into_iter().rev().filter(|(at, _)| answer.answer.is_char_boundary(*at)) {
        text.insert_str(at, &mark);
    }
    text
}

/// A line without the mark of its list item or heading.
fn without_lead(text: &str) -> &str {
    let trimmed = text.trim_start_matches([' ', '\t', '#']);
    let item = trimmed.strip_prefix("- ").or_else(|| trimmed.strip_prefix("* ")).or_else(|| {
        let rest = trimmed.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < trimmed.len()).then(|| rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))).flatten()
    });
    item.unwrap_or(trimmed).trim_start_matches(['*', ' '])
}

/// Replaces the marks around the selected spot by its style. Returns the line that it begins on.
fn highlight(theme: &Theme, lines: &mut [Line<'static>]) -> Option<usize> {
    let (mut is_inside, mut begins) = (false, None);
    for (n, line) in lines.iter_mut().enumerate() {
        if !is_inside && !line.spans.iter().any(|s| s.content.contains([BEGIN, END])) {
            continue;
        }
        let mut spans = Vec::new();
        for (at, span) in line.spans.iter().enumerate() {
            let mut rest = span.content.as_ref();
            // What is in front of the text, such as the mark `AI`, is not part of it.
            let is_margin = at == 0 && rest == "AI ";
            while !rest.is_empty() {
                let end = rest.find([BEGIN, END]).unwrap_or(rest.len());
                let (part, after) = rest.split_at(end);
                // An indentation is not part of it either.
                let is_blank = part.trim().is_empty() && at <= 1;
                let style = if is_inside && !is_margin && !is_blank {
                    span.style.patch(theme.style(Meaning::Selection))
                } else {
                    span.style
                };
                spans.extend((!part.is_empty()).then(|| Span::styled(part.to_owned(), style)));
                let mark = after.chars().next();
                if mark == Some(BEGIN) {
                    (is_inside, begins) = (true, begins.or(Some(n)));
                } else if mark == Some(END) {
                    is_inside = false;
                }
                rest = after.get(mark.map_or(0, char::len_utf8)..).unwrap_or_default();
            }
        }
        line.spans = spans;
    }
    begins
}

/// What the selected spot is, and the keys for it.
fn describe(model: &Model, incident: &Incident, spot: &Spot) -> String {
    let open = model.key(Action::OpenSpot);
    match &spot.target {
        Target::Evidence(id) => {
            let summary = incident.evidence(*id).map(|e| e.summary.clone()).unwrap_or_default();
            format!(" {open} opens [{id}] {summary}")
        }
        Target::Flag(n, claim) => {
            format!(" ?{n} {}: {}", claim.state.word(), claim.reason.as_deref().unwrap_or("no reason recorded"))
        }
        Target::Proposal(p) => match incident.decision_on(p) {
            Some(d) if d.is_accepted => format!(" {} {}, accepted by {}", capitalized(p.proposed.word()), p.id(), d.by),
            Some(d) => {
                format!(
                    " {} {}, refuted by {}: {}",
                    capitalized(p.proposed.word()),
                    p.id(),
                    d.by,
                    d.reason.as_deref().unwrap_or("")
                )
            }
            None => format!(
                " {} {} · {} accept · {} refute · {open} read",
                capitalized(p.proposed.word()),
                p.id(),
                model.key(Action::Accept),
                model.key(Action::RefuteProposal)
            ),
        },
    }
}

/// Adds the mark `AI` before each line. Text by a model carries it until a person accepts the answer.
fn ai_margin(theme: &Theme, lines: Vec<Line<'static>>) -> Vec<Line<'static>> {
    lines
        .into_iter()
        .map(|l| {
            let mut spans = vec![Span::styled("AI ", theme.style(Meaning::Ai))];
            spans.extend(l.spans);
            Line::from(spans)
        })
        .collect()
}

/// An answer with its question, the result of the check and the claims that are not supported.
fn answer_lines(
    model: &Model,
    theme: &Theme,
    incident: &Incident,
    recorded: &RecordedAnswer,
    spot: Option<&Spot>,
    width: usize,
) -> Vec<Line<'static>> {
    let a = &recorded.answer;
    let who = if a.turn.as_ref().is_some_and(|t| t.panel.is_some()) { format!(" ({})", a.persona) } else { String::new() };
    let question = a.question.clone().unwrap_or_else(|| format!("/{}", a.prompt)) + &who;
    let time = format!("  {} UTC", text::moment(model.now, recorded.at));
    let mut lines = vec![Line::from(vec![
        Span::styled("You ", theme.style(Meaning::Accent)),
        Span::styled(text::fit(&question, width.saturating_sub(4 + text::width(&time))), theme.style(Meaning::Title)),
        Span::styled(time, theme.style(Meaning::Muted)),
    ])];
    let body = markdown(theme, &annotated(incident, recorded, spot), width.saturating_sub(3));
    let is_draft = a.source == AnswerSource::Llm && recorded.accepted_by.is_none();
    lines.extend(if is_draft { ai_margin(theme, body) } else { body });
    if let Some(reason) = &a.fallback_reason {
        lines.extend(text::wrap(reason, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Warn)))));
    }
    let accepted = recorded.accepted_by.as_ref().map_or_else(String::new, |p| format!(" · accepted by {p}"));
    let (mark, meaning) = match !a.claims.iter().any(crate::incident::Claim::is_flagged) {
        _ if a.claims.is_empty() => ("·", Meaning::Muted),
        true => ("✓", Meaning::Ok),
        false => ("?", Meaning::Warn),
    };
    let summary = text::wrap(&format!("{mark} {}{accepted}", a.claim_summary()), width);
    lines.extend(summary.into_iter().map(|l| Line::from(Span::styled(l, theme.style(meaning)))));
    if let Some(carried) = a.turn.as_ref().and_then(|t| t.carried) {
        let words = format!("· Carried {}", carried.summary());
        lines.push(Line::from(Span::styled(text::fit(&words, width), theme.style(Meaning::Muted))));
    }
    for notice in &a.notices {
        lines.extend(text::wrap(notice, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Muted)))));
    }
    for (n, claim) in a.claims.iter().filter(|c| c.is_flagged()).enumerate() {
        let words = match &claim.reason {
            Some(reason) => format!("?{} {}: {reason}", n + 1, claim.state.word()),
            None => format!("?{} {}: {}", n + 1, claim.state.word(), claim.text),
        };
        let style = theme.style(Meaning::Bad).add_modifier(ratatui::style::Modifier::UNDERLINED);
        lines.extend(text::wrap(&words, width).into_iter().map(|l| Line::from(Span::styled(l, style))));
    }
    lines
}
