//! The assistant: what would be sent, the thread of answers, the answer that is coming, and the check of its claims.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::room::Room;
use crate::incident::state::RecordedAnswer;
use crate::incident::{AnswerSource, ClaimState};
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{frame as bordered, markdown, put, scrolled};
use crate::ui::{ViewCache, text};

pub fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let [thread, bottom] = Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas::<2>(area);
    let name = model.model_name.as_deref().unwrap_or("no model: the rules answer");
    let block = bordered(theme, format!("Assistant · {name}"), true);
    let inner = block.inner(thread);
    frame.render_widget(block, thread);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let width = usize::from(inner.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for answer in &incident.answers {
        lines.extend(one(theme, answer, width));
        lines.push(Line::default());
    }
    if let Some(s) = &room.streaming {
        lines.push(Line::from(vec![Span::styled("you ", theme.style(Meaning::Accent)), Span::raw(s.question.clone())]));
        let status = if s.status.is_empty() {
            format!("answering; {} cancels and keeps what has arrived", model.key(Action::Back))
        } else {
            s.status.clone()
        };
        lines.push(Line::from(Span::styled(format!("AI … {status}"), theme.style(Meaning::Ai))));
        lines.extend(margin(theme, markdown(theme, &s.text, width.saturating_sub(3))));
    }
    if lines.is_empty() {
        let (ask, question, preview) = (Action::AskTroubleshoot, Action::Ask, Action::Preview);
        for words in [
            format!(
                "Press {} to ask for troubleshooting, {} to ask a question, {} to see exactly what would be sent.",
                model.key(ask),
                model.key(question),
                model.key(preview)
            ),
            "Every claim of an answer is checked against the evidence that it cites.".to_owned(),
        ] {
            lines.extend(text::wrap(&words, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Muted)))));
        }
    }
    cache.scroll_limit = scrolled(frame.buffer_mut(), inner, &lines, room.scroll);
    let plan = room.plan.clone().unwrap_or_else(|| "…".to_owned());
    let words = text::fit(&format!(" Would send: {plan} · {} preview", model.key(Action::Preview)), usize::from(bottom.width));
    put(frame.buffer_mut(), bottom, 0, &Line::from(Span::styled(words, theme.style(Meaning::Muted))), None);
}

/// A model's text carries its mark in the margin until a person accepts it.
fn margin(theme: &Theme, lines: Vec<Line<'static>>) -> Vec<Line<'static>> {
    lines
        .into_iter()
        .map(|l| {
            let mut spans = vec![Span::styled("AI ", theme.style(Meaning::Ai))];
            spans.extend(l.spans);
            Line::from(spans)
        })
        .collect()
}

fn one(theme: &Theme, recorded: &RecordedAnswer, width: usize) -> Vec<Line<'static>> {
    let a = &recorded.answer;
    let asked = a.question.clone().unwrap_or_else(|| format!("/{}", a.prompt));
    let mut lines = vec![Line::from(vec![
        Span::styled("you ", theme.style(Meaning::Accent)),
        Span::styled(text::fit(&asked, width.saturating_sub(14)), theme.style(Meaning::Title)),
        Span::styled(format!("  {}Z", recorded.at.clock(time::UtcOffset::UTC)), theme.style(Meaning::Muted)),
    ])];
    let body = markdown(theme, &a.answer, width.saturating_sub(3));
    let is_draft = a.source == AnswerSource::Llm && recorded.accepted_by.is_none();
    lines.extend(if is_draft { margin(theme, body) } else { body });
    if let Some(reason) = &a.fallback_reason {
        lines.extend(text::wrap(reason, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Warn)))));
    }
    let by = recorded.accepted_by.as_ref().map_or_else(String::new, |p| format!(" · accepted by {p}"));
    lines.push(Line::from(Span::styled(format!("✓ {}{by}", a.claim_summary()), theme.style(Meaning::Ok))));
    for claim in a.claims.iter().filter(|c| c.state != ClaimState::Supported) {
        let words = format!("? {}: {}", claim.state.word(), claim.text);
        let style = theme.style(Meaning::Bad).add_modifier(ratatui::style::Modifier::UNDERLINED);
        lines.extend(text::wrap(&words, width).into_iter().map(|l| Line::from(Span::styled(l, style))));
    }
    lines
}
