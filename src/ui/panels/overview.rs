//! Overview: what we know, the findings in order, people and clocks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::model::Model;
use crate::app::room::Room;
use crate::incident::{ActionState, CitedFinding, FindingKind, Incident, NoteKind, SourceStatus};
use crate::telemetry::Timestamp;
use crate::telemetry::time::human;
use crate::ui::text;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{cited, frame as bordered, scrolled};

pub fn render(model: &Model, room: &Room, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let columns: Vec<Rect> = if area.width >= 140 {
        Layout::horizontal([Constraint::Percentage(30), Constraint::Percentage(46), Constraint::Percentage(24)])
            .split(area)
            .to_vec()
    } else if area.width >= 100 {
        let halves = Layout::horizontal([Constraint::Percentage(58), Constraint::Percentage(42)]).split(area).to_vec();
        let right = halves.get(1).copied().unwrap_or(area);
        let stacked = Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).split(right).to_vec();
        [stacked.first(), halves.first(), stacked.get(1)].into_iter().flatten().copied().collect()
    } else {
        Vec::new()
    };
    if let [left, middle, right] = columns.as_slice() {
        draw(theme, frame, *left, "What we know".to_owned(), |w| known(model, incident, theme, w), 0);
        draw(theme, frame, *middle, findings_title(incident), |w| findings(incident, theme, w), room.scroll);
        draw(theme, frame, *right, "People and clocks".to_owned(), |w| people(model, incident, theme, w), 0);
        return;
    }
    draw(
        theme,
        frame,
        area,
        findings_title(incident),
        |w| {
            let mut lines = known(model, incident, theme, w);
            lines.push(Line::default());
            lines.extend(findings(incident, theme, w));
            lines.push(Line::default());
            lines.extend(people(model, incident, theme, w));
            lines
        },
        room.scroll,
    );
}

fn draw(
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
    title: String,
    lines: impl FnOnce(usize) -> Vec<Line<'static>>,
    offset: usize,
) {
    let block = bordered(theme, title, false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = lines(usize::from(inner.width));
    scrolled(frame.buffer_mut(), inner, &lines, offset);
}

fn findings_title(incident: &Incident) -> String {
    match &incident.investigation {
        Some(i) => format!("Findings {} · window {}", i.findings.len(), i.window.label()),
        None => "Findings".to_owned(),
    }
}

fn heading(theme: &Theme, words: &str) -> Line<'static> {
    Line::from(Span::styled(words.to_owned(), theme.style(Meaning::Title)))
}

fn muted(theme: &Theme, words: &str) -> Line<'static> {
    Line::from(Span::styled(words.to_owned(), theme.style(Meaning::Muted)))
}

fn wrapped(theme: &Theme, words: &str, width: usize) -> Vec<Line<'static>> {
    text::wrap(words, width).iter().map(|l| Line::from(cited(theme, l))).collect()
}

fn known(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let head = &incident.head;
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", head.severity), theme.style(Meaning::of(head.severity))),
        Span::raw(head.status.word()),
        Span::styled(format!(" for {}", human(model.now.since(head.status_since))), theme.style(Meaning::Muted)),
    ])];
    lines.extend(wrapped(theme, &head.title, width));
    lines.extend(text::wrap(model.matrix.meaning(head.severity), width).iter().map(|l| muted(theme, l)));
    lines.push(Line::default());
    lines.push(heading(theme, &format!("Alerts {}", incident.alerts.len())));
    if incident.alerts.is_empty() {
        lines.push(muted(theme, "none linked; L on the board links some"));
    }
    for alert in &incident.alerts {
        let now = model.board.alerts.iter().find(|a| a.fingerprint == alert.fingerprint);
        let (state, meaning) = match now {
            Some(a) => (a.state.word(), if a.is_firing() { Meaning::Bad } else { Meaning::Muted }),
            None if alert.verified => ("ended", Meaning::Ok),
            None => ("unverified", Meaning::Warn),
        };
        lines.push(Line::from(vec![
            Span::styled(format!("{state:<10} "), theme.style(meaning)),
            Span::raw(text::fit(&alert.label(), width.saturating_sub(11))),
        ]));
    }
    let hypotheses: Vec<&str> = incident.notes(NoteKind::Hypothesis).map(|(_, t)| t).collect();
    lines.push(Line::default());
    lines.push(heading(theme, "Hypothesis"));
    match hypotheses.last() {
        Some(text) => lines.extend(wrapped(theme, text, width)),
        None => lines.push(muted(theme, "none yet; H records one")),
    }
    lines.push(Line::default());
    lines.push(heading(theme, "Next"));
    lines.extend(wrapped(theme, next_step(incident), width));
    lines
}

/// The one thing that is most missing.
fn next_step(incident: &Incident) -> &'static str {
    if incident.evidence.is_empty() {
        "i gathers evidence"
    } else if incident.head.commander.is_none() {
        "c gives somebody the command"
    } else if incident.acknowledged_at.is_none() {
        "a says that somebody is on it"
    } else if incident.answers.is_empty() {
        "p asks the assistant, or the rules when there is no model"
    } else if incident.mitigated_at.is_none() {
        "t sets the status once the impact is contained"
    } else if incident.resolved_at.is_none() {
        "R resolves when the service is restored"
    } else if incident.actions.is_empty() {
        "A writes down what must not happen again"
    } else {
        "9 shows the report, e writes it to a file"
    }
}

fn glyph(finding: &CitedFinding) -> (&'static str, Meaning) {
    match finding.kind {
        FindingKind::Alerts => ("●", Meaning::Bad),
        FindingKind::Moved => ("▲", Meaning::Accent),
        FindingKind::Pattern => ("≋", Meaning::Warn),
        FindingKind::Related => ("∞", Meaning::Muted),
        FindingKind::Unchanged => ("─", Meaning::Ok),
        FindingKind::Gap => ("?", Meaning::Stale),
    }
}

fn findings(incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let Some(investigation) = &incident.investigation else {
        return vec![muted(theme, "nothing was investigated yet: i gathers evidence from every source")];
    };
    let mut lines = Vec::new();
    for f in &investigation.findings {
        let (mark, meaning) = glyph(f);
        let tags: String = f.evidence.iter().take(3).map(|e| format!("[{e}]")).collect();
        let body = format!("{} {tags}", if f.kind == FindingKind::Gap { &f.text } else { &f.title });
        for (i, line) in text::wrap(body.trim_end(), width.saturating_sub(2)).iter().enumerate() {
            let lead = if i == 0 { Span::styled(format!("{mark} "), theme.style(meaning)) } else { Span::raw("  ") };
            let mut spans = vec![lead];
            spans.extend(cited(theme, line));
            lines.push(Line::from(spans));
        }
    }
    let failed = investigation.sources.iter().filter(|s| s.status != SourceStatus::Ok).count();
    if failed > 0 {
        lines.push(Line::from(Span::styled(format!("{failed} sources did not answer in full"), theme.style(Meaning::Warn))));
    }
    lines
}

fn clock(model: &Model, at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |t| format!("{}Z {}", t.clock(time::UtcOffset::UTC), human(model.now.since(t))))
}

fn people(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![heading(theme, "Roles")];
    if incident.roles.is_empty() {
        lines.push(muted(theme, "nobody has a role; c gives one"));
    }
    for (role, holder) in &incident.roles {
        lines.push(Line::from(text::fit(&format!("{:<17} {holder}", role.word()), width)));
    }
    lines.push(Line::default());
    lines.push(heading(theme, "Clocks (UTC, ago)"));
    for (name, at) in [
        ("impact", Some(incident.impact_started_at())),
        ("detected", Some(incident.detected_at())),
        ("declared", Some(incident.head.declared_at)),
        ("acknowledged", incident.acknowledged_at),
        ("mitigated", incident.mitigated_at),
        ("resolved", incident.resolved_at),
    ] {
        lines.push(Line::from(text::fit(&format!("{name:<12} {}", clock(model, at)), width)));
    }
    let open = incident.actions.iter().filter(|a| a.state == ActionState::Open).count();
    lines.push(Line::default());
    lines.push(heading(theme, "Work"));
    lines.push(Line::from(format!("{open} open action items")));
    lines.push(Line::from(format!("{} evidence items", incident.evidence.len())));
    let model_name = model.model_name.as_deref().unwrap_or("none: rules answer");
    lines.push(Line::from(text::fit(&format!("assistant {model_name}"), width)));
    lines
}
