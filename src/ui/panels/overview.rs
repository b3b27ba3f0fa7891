//! Overview: what we know, the findings in order, people and clocks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::room::Room;
use crate::app::update::{Sight, sight};
use crate::incident::gate::gates;
use crate::incident::{ActionScope, CitedFinding, FindingKind, GateItem, Incident, Milestone, SourceStatus, Verdict};
use crate::telemetry::Timestamp;
use crate::telemetry::time::human_duration;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{cited, frame as bordered, scrolled};
use crate::ui::{ViewCache, text};

pub fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let columns: Vec<Rect> = if area.width >= 140 {
        Layout::horizontal([Constraint::Percentage(29), Constraint::Percentage(45), Constraint::Percentage(26)])
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
        let limit = draw(theme, frame, *middle, findings_title(incident), |w| findings(model, incident, theme, w), room.scroll);
        cache.scroll_limit = limit;
        draw(theme, frame, *right, "People and clocks".to_owned(), |w| people(model, incident, theme, w), 0);
        return;
    }
    cache.scroll_limit = draw(
        theme,
        frame,
        area,
        findings_title(incident),
        |w| {
            // On a small screen what was found comes before what people have yet to say.
            let parts = [
                standing(model, incident, theme, w),
                findings(model, incident, theme, w),
                next(model, incident, theme, w),
                said(incident, theme, w),
                people(model, incident, theme, w),
            ];
            parts.join(&Line::default())
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
) -> usize {
    let block = bordered(theme, title, false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = lines(usize::from(inner.width));
    scrolled(frame.buffer_mut(), inner, &lines, offset)
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
    let parts = [standing(model, incident, theme, width), said(incident, theme, width), next(model, incident, theme, width)];
    parts.join(&Line::default())
}

/// How it stands: severity, status, alerts.
fn standing(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let head = &incident.head;
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", head.severity), theme.style(Meaning::of(head.severity))),
        Span::raw(head.status.word()),
        Span::styled(format!(" for {}", human_duration(model.now.since(head.status_since))), theme.style(Meaning::Muted)),
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
            // Silence of the sources is no recovery: what the journal says counts, until a source has told.
            None => match incident.watched.get(&alert.fingerprint) {
                _ if !alert.verified => ("unverified", Meaning::Warn),
                Some(w) if !w.is_firing => ("ended", Meaning::Ok),
                _ if sight(model) == Sight::Clear => ("gone", Meaning::Muted),
                _ => ("fired", Meaning::Stale),
            },
        };
        lines.push(Line::from(vec![
            Span::styled(format!("{state:<10} "), theme.style(meaning)),
            Span::raw(text::fit(&alert.label(), width.saturating_sub(11))),
        ]));
    }
    lines
}

/// What people say of it: the impact and the hypotheses.
fn said(incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![heading(theme, "Impact")];
    let impact = incident.impact.describe();
    if impact.is_empty() {
        lines.push(muted(theme, "not said yet; I says it"));
    } else {
        lines.extend(wrapped(theme, &impact, width));
    }
    lines.push(Line::default());
    lines.push(heading(theme, "Hypotheses"));
    if incident.hypotheses.is_empty() {
        lines.push(muted(theme, "none yet; H records one"));
    }
    for h in incident.hypotheses.iter().rev().take(3) {
        let (mark, meaning) = match h.verdict {
            Some(Verdict::Supported) => ("✓", Meaning::Ok),
            Some(Verdict::Refuted) => ("✗", Meaning::Muted),
            None => ("?", Meaning::Warn),
        };
        for (n, line) in text::wrap(&h.text, width.saturating_sub(2)).iter().enumerate() {
            let lead = if n == 0 { format!("{mark} ") } else { "  ".to_owned() };
            let mut spans = vec![Span::styled(lead, theme.style(meaning))];
            spans.extend(cited(theme, line));
            lines.push(Line::from(spans));
        }
    }
    lines
}

fn next(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![heading(theme, "Next")];
    lines.extend(wrapped(theme, next_step(model, incident), width));
    lines
}

fn is_gathering(model: &Model) -> bool {
    model.room.as_ref().is_some_and(|r| r.investigating.is_some())
}

/// The one thing that is most missing.
fn next_step(model: &Model, incident: &Incident) -> &'static str {
    if incident.evidence.is_empty() && !is_gathering(model) {
        "i gathers evidence"
    } else if incident.head.commander.is_none() {
        "c gives somebody the command"
    } else if incident.acknowledged_at.is_none() {
        "a says that somebody is on it"
    } else if incident.answers.is_empty() {
        "p asks the assistant, or the rules when there is no model"
    } else if !incident.impact.is_described() {
        "I says what it does to whom"
    } else if incident.mitigated_at.is_none() {
        "F records what was done against it; t sets the status once the impact is contained"
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
        FindingKind::Verdict if ["Healthy", "Recovered"].iter().any(|w| finding.title.starts_with(w)) => ("✓", Meaning::Ok),
        FindingKind::Verdict => ("…", Meaning::Warn),
        FindingKind::Severity => ("!", Meaning::Warn),
        FindingKind::Suspect => ("◎", Meaning::Bad),
        FindingKind::Contradiction => ("⊘", Meaning::Muted),
        FindingKind::Metric => ("▲", Meaning::Accent),
        FindingKind::Pattern => ("≋", Meaning::Warn),
        FindingKind::Change => ("◆", Meaning::Accent),
        FindingKind::Dependency => ("⇄", Meaning::Muted),
        FindingKind::Slo => ("◔", Meaning::Bad),
        FindingKind::Saturation => ("▮", Meaning::Warn),
        FindingKind::Expiring => ("◷", Meaning::Warn),
        FindingKind::Related => ("∞", Meaning::Muted),
        FindingKind::Unchanged => ("─", Meaning::Ok),
        FindingKind::Gap => ("?", Meaning::Stale),
    }
}

fn findings(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let Some(investigation) = &incident.investigation else {
        let words = if is_gathering(model) {
            "gathering evidence from every source …"
        } else {
            "nothing was investigated yet: i gathers evidence from every source"
        };
        return vec![muted(theme, words)];
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
        lines.push(Line::from(Span::styled(
            format!("{} did not answer in full", crate::telemetry::words::count(failed, "source")),
            theme.style(Meaning::Warn),
        )));
    }
    lines
}

fn clock(model: &Model, at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |t| format!("{} {}", t.clock(time::UtcOffset::UTC), human_duration(model.now.since(t))))
}

fn people(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = clocks(model, incident, theme, width);
    lines.extend(tasks(model, incident, theme, width));
    lines.extend(open_items(model, incident, theme, width));
    lines.push(Line::default());
    lines.push(heading(theme, "Roles"));
    if incident.roles.is_empty() {
        lines.push(muted(theme, "nobody has a role; c gives one"));
    }
    for (role, holder) in &incident.roles {
        lines.push(Line::from(text::fit(&format!("{:<19} {holder}", role.word()), width)));
    }
    let missing: Vec<&str> = incident.missing_roles().into_iter().map(crate::incident::Role::word).collect();
    if !missing.is_empty() && incident.head.status.is_open() {
        let words = format!("{} asks for {}", incident.head.severity, missing.join(", "));
        lines.extend(text::wrap(&words, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Warn)))));
    }
    lines.push(Line::default());
    lines.push(heading(theme, "Moments (UTC, ago)"));
    let assumed = incident.assumed_milestones();
    for m in Milestone::ALL {
        let star = if assumed.contains(&format!("{}_at", m.word()).as_str()) { " assumed" } else { "" };
        lines.push(Line::from(text::fit(&format!("{:<14} {}{star}", m.title(), clock(model, incident.milestone(m))), width)));
    }
    for fault in incident.order_faults().iter().filter(|f| f.exception.is_none()) {
        lines.extend(
            text::wrap(&format!("! {}", fault.message), width)
                .into_iter()
                .map(|l| Line::from(Span::styled(l, theme.style(Meaning::Warn)))),
        );
    }
    let open = incident.actions.iter().filter(|a| a.state.is_open() && a.scope == ActionScope::FollowUp).count();
    lines.push(Line::default());
    lines.push(heading(theme, "Work"));
    lines.push(Line::from(format!("{open} open follow-ups")));
    lines.push(Line::from(format!("{} evidence items", incident.evidence.len())));
    if let Some(level) = incident.escalation {
        lines.push(Line::from(text::fit(&format!("escalated to {}", level.title()), width)));
    }
    if let Some(due) = incident.postmortem_due() {
        lines.push(Line::from(format!("post-mortem due {}", due.date())));
    }
    let model_name = model.model_name.as_deref().unwrap_or("none: rules answer");
    lines.push(Line::from(text::fit(&format!("assistant {model_name}"), width)));
    lines
}

/// What runs: the next update, the exit criteria.
fn clocks(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![heading(theme, "Clocks")];
    let to = |audience: Option<crate::incident::Audience>| audience.map(|a| format!(" to {}", a.word())).unwrap_or_default();
    match incident.head.next_update() {
        Some((due, audience)) if due <= model.now => lines.push(Line::from(Span::styled(
            text::fit(&format!("update OVERDUE {}{} (U)", human_duration(model.now.since(due)), to(audience)), width),
            theme.style(Meaning::Bad),
        ))),
        Some((due, audience)) => {
            lines.push(Line::from(text::fit(
                &format!("next update in {}{}", human_duration(due.since(model.now)), to(audience)),
                width,
            )));
        }
        None => lines.push(muted(theme, "no update is due")),
    }
    if let Some(exit) = &incident.exit {
        let (words, meaning) = match incident.readings.last() {
            Some(r) if r.reading.met => ("met".to_owned(), Meaning::Ok),
            Some(r) => (
                format!(
                    "held {} of {}",
                    human_duration(std::time::Duration::from_secs_f64(r.reading.held_secs.max(0.0))),
                    human_duration(exit.duration())
                ),
                Meaning::Warn,
            ),
            None => ("not read yet (C)".to_owned(), Meaning::Muted),
        };
        lines.push(Line::from(Span::styled(
            text::fit(&format!("exit {words}: {}", exit.describe()), width),
            theme.style(meaning),
        )));
    }
    lines
}

/// Tasks that somebody has, with the time until they report back.
fn tasks(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for a in incident.actions.iter().filter(|a| a.scope == ActionScope::Incident && a.state.is_open()) {
        let who = a.owner.as_deref().unwrap_or("nobody");
        let (when, meaning) = match a.check_back_at {
            Some(at) if at <= model.now => (format!("LATE {}", human_duration(model.now.since(at))), Meaning::Bad),
            Some(at) => (format!("back in {}", human_duration(at.since(model.now))), Meaning::Accent),
            None => (String::new(), Meaning::Text),
        };
        lines.push(Line::from(vec![
            Span::styled(format!("{} {who} ", a.id), theme.style(Meaning::Title)),
            Span::styled(when, theme.style(meaning)),
        ]));
        lines.push(Line::from(text::fit(&format!("  {}", a.text), width)));
    }
    if !lines.is_empty() {
        lines.insert(0, heading(theme, "Tasks"));
        lines.insert(0, Line::default());
    }
    lines
}

/// What is open on the checklist of this phase and those before.
fn open_items(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let Some(phase) = incident.head.status.phase() else { return Vec::new() };
    let all = gates(incident, model.now, model.monitor);
    let open: Vec<&GateItem> = all.iter().filter(|g| g.phase <= phase && !g.met).collect();
    let mut lines = vec![Line::default(), heading(theme, &format!("{}: {} open (K)", phase.word(), open.len()))];
    lines.extend(open.iter().take(6).map(|g| Line::from(text::fit(&format!("☐ {}", g.label), width))));
    if open.len() > 6 {
        lines.push(muted(theme, &format!("and {} more", open.len() - 6)));
    }
    lines
}
