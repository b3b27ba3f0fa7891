//! The assistant tab: the answers with the checks of their claims, the answer that is arriving, and what would be sent next.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::room::Room;
use crate::incident::AnswerSource;
use crate::incident::state::RecordedAnswer;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, markdown, put, scrolled};
use crate::ui::{ViewCache, text};

/// Draws the assistant tab.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let [thread, bottom] = Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas::<2>(area);
    let name = model.model_name.as_deref().unwrap_or("built-in rules (no model is configured)");
    let block = bordered(theme, format!("Assistant · {name}"), true);
    let inner = block.inner(thread);
    frame.render_widget(block, thread);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let width = usize::from(inner.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for answer in &incident.answers {
        lines.extend(answer_lines(model, theme, answer, width));
        lines.push(Line::default());
    }
    if let Some(s) = &room.streaming {
        lines.push(Line::from(vec![Span::styled("You ", theme.style(Meaning::Accent)), Span::raw(s.question.clone())]));
        let status = if s.status.is_empty() {
            format!("answering ({} to stop and keep the partial answer)", model.key(Action::Back))
        } else {
            s.status.clone()
        };
        lines.push(Line::from(Span::styled(format!("AI … {status}"), theme.style(Meaning::Ai))));
        lines.extend(ai_margin(theme, markdown(theme, &s.text, width.saturating_sub(3))));
    }
    if lines.is_empty() {
        let (troubleshoot, ask, preview) =
            (model.key(Action::AskTroubleshoot), model.key(Action::Ask), model.key(Action::Preview));
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
    cache.scroll_limit = scrolled(frame.buffer_mut(), inner, &lines, room.scroll);
    let plan = room.plan.clone().unwrap_or_else(|| "…".to_owned());
    let words = text::fit(&format!(" Would send: {plan} · {} preview", model.key(Action::Preview)), usize::from(bottom.width));
    put(frame.buffer_mut(), bottom, 0, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
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
fn answer_lines(model: &Model, theme: &Theme, recorded: &RecordedAnswer, width: usize) -> Vec<Line<'static>> {
    let a = &recorded.answer;
    let question = a.question.clone().unwrap_or_else(|| format!("/{}", a.prompt));
    let time = format!("  {} UTC", text::moment(model.now, recorded.at));
    let mut lines = vec![Line::from(vec![
        Span::styled("You ", theme.style(Meaning::Accent)),
        Span::styled(text::fit(&question, width.saturating_sub(4 + text::width(&time))), theme.style(Meaning::Title)),
        Span::styled(time, theme.style(Meaning::Muted)),
    ])];
    let body = markdown(theme, &a.marked_text(), width.saturating_sub(3));
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
    lines.push(Line::from(Span::styled(format!("{mark} {}{accepted}", a.claim_summary()), theme.style(meaning))));
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
