//! The overview tab: the state of the incident, impact and hypotheses, findings, people, tasks and milestones.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::cause::{self, RowLine};
use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::overview::{OverviewRow, ROOMY_WIDTH};
use crate::app::pointer::Target;
use crate::app::room::Room;
use crate::app::update::{AlertVisibility, alert_visibility};
use crate::incident::gate::gates;
use crate::incident::{
    ActionScope, CitedFinding, CitedSuspect, FindingKind, GateItem, Incident, Milestone, Role, Situation, SourceStatus, Verdict,
};
use crate::telemetry::Timestamp;
use crate::telemetry::silence::ListedSilence;
use crate::telemetry::time::human_duration;
use crate::telemetry::words::count;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::{cited, frame as bordered, put, scrolled};
use crate::ui::{ViewCache, text};

/// Draws the overview tab: what most likely happened above three columns in a wide terminal, or all in one column.
pub(crate) fn render(model: &Model, room: &Room, theme: &Theme, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) {
    let Some(incident) = &room.incident else { return };
    let rows = room.overview_rows(frame.area().width);
    let place = (!rows.is_empty()).then(|| room.overview_position(&rows));
    let selection = Selection { place, scroll: room.scroll, reveals: room.overview.reveals };
    let plain = |lines: Vec<Line<'static>>| lines.into_iter().map(|l| (l, None)).collect::<Vec<RowLine>>();
    if area.width < ROOMY_WIDTH {
        let draw_lines = |w: usize| {
            let gap = || vec![(Line::default(), None)];
            // In a narrow terminal what was found comes first: impact and hypotheses may still be empty.
            [
                plain(severity_and_title(model, incident, theme, w)),
                gap(),
                vec![(heading(theme, &cause::title(incident)), None)],
                cause::lines(model, room, incident, &rows, theme, w),
                gap(),
                vec![(heading(theme, &findings_title(incident)), None)],
                findings(incident, &rows, theme, w),
                gap(),
                plain(next(model, incident, theme, w)),
                gap(),
                plain(alerts(model, incident, theme, w)),
                gap(),
                plain(impact_and_hypotheses(model, incident, theme, w)),
                gap(),
                plain(people(model, incident, theme, w)),
            ]
            .concat()
        };
        draw_rows(theme, cache, frame, area, "Overview".to_owned(), draw_lines, &selection);
        return;
    }
    let inner = usize::from(area.width.saturating_sub(4));
    let card = cause::lines(model, room, incident, &rows, theme, inner);
    let height = u16::try_from(card.len() + 2).unwrap_or(u16::MAX).min(area.height * 3 / 5);
    let [top, below] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas::<2>(area);
    let block = bordered(theme, cause::title(incident), true);
    let within = block.inner(top);
    frame.render_widget(block, top);
    let within = Rect { x: within.x + 1, width: within.width.saturating_sub(2), ..within };
    for (row, (line, of)) in card.iter().enumerate() {
        let selected = of.is_some() && *of == place;
        put(frame.buffer_mut(), within, row, line, selected.then(|| theme.style(Meaning::Selection)));
        if let Some(place) = of {
            cache.target(within, row, Target::Row(*place));
        }
    }
    let (left, middle, right) = columns(below);
    draw(theme, frame, left, "Summary".to_owned(), |w| summary(model, incident, theme, w), 0);
    let list = |w: usize| findings(incident, &rows, theme, w);
    draw_rows(theme, cache, frame, middle, findings_title(incident), list, &selection);
    draw(theme, frame, right, "People and timers".to_owned(), |w| people(model, incident, theme, w), 0);
}

/// The places of the summary, the findings and the people: side by side, or the findings beside the two others.
fn columns(area: Rect) -> (Rect, Rect, Rect) {
    if area.width >= 140 {
        let shares = [Constraint::Percentage(29), Constraint::Percentage(45), Constraint::Percentage(26)];
        let [left, middle, right] = Layout::horizontal(shares).areas::<3>(area);
        return (left, middle, right);
    }
    let [left, right] = Layout::horizontal([Constraint::Percentage(58), Constraint::Percentage(42)]).areas::<2>(area);
    let [top, bottom] = Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas::<2>(right);
    (top, left, bottom)
}

/// What is selected, and how far the rows are scrolled.
struct Selection {
    place: Option<usize>,
    scroll: usize,
    /// Whether the selected row must be scrolled into view.
    reveals: bool,
}

/// Draws a column of rows with the selected one, which is scrolled into view after it was selected.
fn draw_rows(
    theme: &Theme,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
    title: String,
    lines: impl FnOnce(usize) -> Vec<RowLine>,
    selection: &Selection,
) {
    let block = bordered(theme, title, false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = lines(usize::from(inner.width));
    let height = usize::from(inner.height);
    let limit = lines.len().saturating_sub(height);
    let is_selected = |of: &Option<usize>| of.is_some() && *of == selection.place;
    let mut offset = selection.scroll.min(limit);
    if selection.reveals
        && let (Some(first), Some(last)) =
            (lines.iter().position(|(_, of)| is_selected(of)), lines.iter().rposition(|(_, of)| is_selected(of)))
    {
        if first < offset {
            offset = first;
        } else if last >= offset + height {
            offset = (last + 1).saturating_sub(height);
        }
        cache.scrolled_to = Some(offset);
    }
    for (row, (line, of)) in lines.iter().skip(offset).take(height).enumerate() {
        put(frame.buffer_mut(), inner, row, line, is_selected(of).then(|| theme.style(Meaning::Selection)));
        if let Some(place) = of {
            cache.target(inner, row, Target::Row(*place));
        }
    }
    cache.scroll_limit = limit;
}

/// Draws a column with a title. Returns its largest useful scroll offset.
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
        Some(i) => {
            let listed = i.findings.iter().filter(|f| f.kind != FindingKind::Conclusion).count();
            format!("Findings {listed} · window {}", i.window.label())
        }
        None => "Findings".to_owned(),
    }
}

fn heading(theme: &Theme, text: &str) -> Line<'static> {
    Line::from(Span::styled(text.to_owned(), theme.style(Meaning::Title)))
}

fn muted(theme: &Theme, text: &str) -> Line<'static> {
    Line::from(Span::styled(text.to_owned(), theme.style(Meaning::Muted)))
}

fn wrapped(theme: &Theme, words: &str, width: usize) -> Vec<Line<'static>> {
    text::wrap(words, width).iter().map(|l| Line::from(cited(theme, l))).collect()
}

fn muted_wrapped(theme: &Theme, words: &str, width: usize) -> Vec<Line<'static>> {
    text::wrap(words, width).iter().map(|l| muted(theme, l)).collect()
}

fn warning_wrapped(theme: &Theme, words: &str, width: usize) -> Vec<Line<'static>> {
    text::wrap(words, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Warn)))).collect()
}

/// The left column of a wide terminal.
fn summary(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let parts = [
        severity_and_title(model, incident, theme, width),
        alerts(model, incident, theme, width),
        impact_and_hypotheses(model, incident, theme, width),
        next(model, incident, theme, width),
    ];
    parts.join(&Line::default())
}

/// Severity with its meaning, status and title.
fn severity_and_title(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let head = &incident.head;
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", head.severity), theme.style(Meaning::for_severity(head.severity))),
        Span::raw(head.status.word()),
        Span::styled(format!(" for {}", human_duration(model.now.since(head.status_since))), theme.style(Meaning::Muted)),
    ])];
    lines.extend(wrapped(theme, &head.title, width));
    lines.extend(muted_wrapped(theme, model.matrix.meaning(head.severity), width));
    lines
}

/// The linked alerts with their states, and the silences that hide them.
fn alerts(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![heading(theme, &format!("Alerts {}", incident.alerts.len()))];
    if incident.alerts.is_empty() {
        let words = format!("No alerts linked. Press {} on the board to link some.", model.key(Action::Link));
        lines.extend(muted_wrapped(theme, &words, width));
    }
    for alert in &incident.alerts {
        let now = model.board.alerts.iter().find(|a| alert.is(a));
        let (state, meaning) = match now {
            Some(a) => (a.state.word(), if a.is_firing() { Meaning::Bad } else { Meaning::Muted }),
            // An alert that no source reports may still be firing. Until an alert source answers, use the journal's last
            // state.
            None => match incident.watched.get(&alert.fingerprint) {
                _ if !alert.verified => ("unverified", Meaning::Warn),
                Some(w) if !w.is_firing => ("resolved", Meaning::Ok),
                _ if alert_visibility(model) == AlertVisibility::Known => ("inactive", Meaning::Muted),
                _ => ("was firing", Meaning::Stale),
            },
        };
        lines.push(Line::from(vec![
            Span::styled(format!("{state:<10} "), theme.style(meaning)),
            Span::raw(text::fit(&alert.label(), width.saturating_sub(11))),
        ]));
    }
    for listed in silences_of(model, incident) {
        let silence = &listed.silence;
        let ends = silence.remaining(model.now).map_or_else(String::new, |left| format!(" ends in {}", human_duration(left)));
        let words = format!("Silence by {}{ends}: {}", silence.created_by, silence.comment);
        lines.extend(warning_wrapped(theme, &words, width));
    }
    lines
}

/// The silences that hide alerts of the incident.
fn silences_of<'a>(model: &'a Model, incident: &Incident) -> Vec<&'a ListedSilence> {
    let is_of_incident = |fingerprint: &String| {
        let alert = model.board.alerts.iter().find(|a| a.fingerprints().any(|f| f == fingerprint));
        alert.is_some_and(|a| incident.alerts.iter().any(|linked| linked.is(a)))
    };
    model.silences.iter().filter(|s| s.hides.iter().any(|(_, fingerprint)| is_of_incident(fingerprint))).collect()
}

/// The impact and the three most recent hypotheses.
fn impact_and_hypotheses(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![heading(theme, "Impact")];
    let impact = incident.impact.describe();
    if impact.is_empty() {
        let words = format!("Not described yet. Press {} to describe the impact.", model.key(Action::Impact));
        lines.extend(muted_wrapped(theme, &words, width));
    } else {
        lines.extend(wrapped(theme, &impact, width));
    }
    lines.push(Line::default());
    lines.push(heading(theme, "Hypotheses"));
    if incident.hypotheses.is_empty() {
        let words = format!("No hypotheses yet. Press {} to add one.", model.key(Action::Hypothesis));
        lines.extend(muted_wrapped(theme, &words, width));
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
        // The citations of a bare hypothesis are in its text.
        let weighed = h.weighed();
        if !weighed.contradicts.is_empty() || h.reason.is_some() && !weighed.supports.is_empty() {
            lines.extend(muted_wrapped(theme, &format!("  {}", weighed.line()), width));
        }
    }
    if incident.hypotheses.len() > 3 {
        let words = format!("{} more: {}", incident.hypotheses.len() - 3, model.key(Action::Hypotheses));
        lines.extend(muted_wrapped(theme, &words, width));
    }
    lines
}

/// The next step.
fn next(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![heading(theme, "Next step")];
    lines.extend(wrapped(theme, &next_step(model, incident), width));
    lines
}

/// Whether an investigation is running.
fn is_gathering(model: &Model) -> bool {
    model.room.as_ref().is_some_and(|r| r.investigating.is_some())
}

/// The most important step that is still missing, with its key.
fn next_step(model: &Model, incident: &Incident) -> String {
    let key = |action: Action| model.key(action);
    if incident.evidence.is_empty() && !is_gathering(model) {
        format!("Press {} to gather evidence.", key(Action::Investigate))
    } else if incident.head.commander.is_none() {
        format!("Press {} to assign a commander.", key(Action::AssignRole))
    } else if incident.acknowledged_at.is_none() {
        format!("Press {} to acknowledge the incident.", key(Action::Acknowledge))
    } else if incident.answers.is_empty() {
        let answerer = if model.model_name.is_some() { "assistant" } else { "built-in rules (no model is configured)" };
        format!("Press {} to ask the {answerer}.", key(Action::Ask))
    } else if !incident.impact.is_described() {
        format!("Press {} to describe the impact.", key(Action::Impact))
    } else if incident.mitigated_at.is_none() {
        let (mitigation, status) = (key(Action::Mitigation), key(Action::SetStatus));
        format!("Press {mitigation} to record a mitigation. When the impact is contained, press {status} to change the status.")
    } else if incident.resolved_at.is_none() {
        format!("When the service is restored, press {} to resolve the incident.", key(Action::Resolve))
    } else if incident.actions.is_empty() {
        format!("Press {} to add an action item that prevents a recurrence.", key(Action::AddAction))
    } else {
        format!("Press {} to read the report, or {} to export it.", key(Action::Tab9), key(Action::Export))
    }
}

/// The symbol of a finding. The help explains all of them.
fn glyph(finding: &CitedFinding, suspects: &[CitedSuspect]) -> (&'static str, Meaning) {
    match finding.kind {
        FindingKind::Conclusion | FindingKind::Verdict
            if matches!(finding.situation, Some(Situation::Healthy | Situation::Recovered)) =>
        {
            ("✓", Meaning::Ok)
        }
        FindingKind::Conclusion => ("▶", Meaning::Bad),
        FindingKind::Alerts => ("●", Meaning::Bad),
        FindingKind::Verdict => ("…", Meaning::Warn),
        FindingKind::Severity => ("!", Meaning::Warn),
        FindingKind::Suspect => ("◎", Meaning::Bad),
        FindingKind::Contradiction => ("⊘", Meaning::Muted),
        FindingKind::Metric => {
            // A series without a direction of its own is a group, or was not ranked.
            let is_it = |s: &&CitedSuspect| s.service == finding.service && Some(&s.title) == finding.subject.as_ref();
            match suspects.iter().find(is_it).map(|s| s.direction.as_str()) {
                Some("up") => ("▲", Meaning::Accent),
                Some("down") => ("▼", Meaning::Accent),
                _ => ("∿", Meaning::Accent),
            }
        }
        FindingKind::Pattern => ("≋", Meaning::Warn),
        FindingKind::Change => ("◇", Meaning::Accent),
        FindingKind::Dependency => ("⇄", Meaning::Muted),
        FindingKind::Slo => ("◔", Meaning::Bad),
        FindingKind::Saturation => ("▮", Meaning::Warn),
        FindingKind::Expiring => ("◷", Meaning::Warn),
        FindingKind::Related => ("∞", Meaning::Muted),
        FindingKind::Unchanged => ("─", Meaning::Ok),
        FindingKind::Gap => ("?", Meaning::Stale),
    }
}

/// The words of a finding with its evidence.
fn tagged(f: &CitedFinding) -> String {
    let tags: String = f.evidence.iter().take(3).map(|e| format!("[{e}]")).collect();
    let is_text = f.kind == FindingKind::Gap && f.details.is_empty();
    format!("{} {tags}", if is_text { &f.text } else { &f.title }).trim_end().to_owned()
}

/// The findings below the conclusion, most important first, each with those behind it that are unfolded.
fn findings(incident: &Incident, rows: &[OverviewRow<'_>], theme: &Theme, width: usize) -> Vec<RowLine> {
    let Some(investigation) = &incident.investigation else { return Vec::new() };
    let mut lines: Vec<RowLine> = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        match row {
            OverviewRow::Finding { finding, hidden, is_open } => {
                let (mark, meaning) = glyph(finding, &investigation.suspects);
                let fold = match (hidden, is_open) {
                    (0, true) => "▾",
                    (0, false) => " ",
                    _ => "▸",
                };
                for (i, words) in text::wrap(&tagged(finding), width.saturating_sub(4)).iter().enumerate() {
                    let lead = if i == 0 {
                        [Span::raw(format!("{fold} ")), Span::styled(format!("{mark} "), theme.style(meaning))]
                    } else {
                        [Span::raw("  "), Span::raw("  ")]
                    };
                    lines.push((Line::from([lead.to_vec(), cited(theme, words)].concat()), Some(n)));
                }
            }
            OverviewRow::Detail(detail) => {
                let words = cited(theme, &text::fit(&tagged(detail), width.saturating_sub(4)));
                lines.push((Line::from([vec![Span::raw("    ")], words].concat()), Some(n)));
            }
            _ => {}
        }
    }
    let failed = investigation.sources.iter().filter(|s| s.status != SourceStatus::Ok).count();
    if failed > 0 {
        lines.push((Line::from(Span::styled(format!("{} failed", count(failed, "source")), theme.style(Meaning::Warn))), None));
    }
    lines
}

/// A milestone for a narrow column: its time, with month and day if it is not today, and its age. `-` if it is unknown.
fn time_and_age(model: &Model, at: Option<Timestamp>) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let (date, clock) = (at.date(), at.clock(time::UtcOffset::UTC));
    let when = if date == model.now.date() {
        clock
    } else {
        format!("{} {}", date.get(5..).unwrap_or(&date), clock.get(..5).unwrap_or(&clock))
    };
    format!("{when} {}", human_duration(model.now.since(at)))
}

/// The current holders of a role, in the order in which they were assigned. Several people can hold a shared role.
fn holders(incident: &Incident, role: Role) -> Vec<&str> {
    let mut holders: Vec<&str> = Vec::new();
    for span in incident.role_spans.iter().filter(|s| s.role == role && s.until.is_none()) {
        if !holders.contains(&span.holder.as_str()) {
            holders.push(&span.holder);
        }
    }
    holders
}

/// Timers, tasks, open checklist items, roles, milestones and other details.
fn people(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = clocks(model, incident, theme, width);
    lines.extend(tasks(model, incident, theme, width));
    lines.extend(open_items(model, incident, theme, width));
    lines.push(Line::default());
    lines.push(heading(theme, "Roles"));
    let roles: Vec<(Role, Vec<&str>)> =
        Role::ALL.into_iter().map(|r| (r, holders(incident, r))).filter(|(_, holders)| !holders.is_empty()).collect();
    if roles.is_empty() {
        let words = format!("No roles assigned. Press {} to assign one.", model.key(Action::AssignRole));
        lines.extend(muted_wrapped(theme, &words, width));
    }
    for (role, holders) in roles {
        // Names that do not fit continue below the first one.
        for (n, names) in text::wrap(&holders.join(", "), width.saturating_sub(22).max(8)).iter().enumerate() {
            let label = if n == 0 { role.title() } else { "" };
            lines.push(Line::from(text::fit(&format!("{label:<21} {names}"), width)));
        }
    }
    let missing: Vec<&str> = incident.missing_roles().into_iter().map(Role::title).collect();
    if !missing.is_empty() && incident.head.status.is_open() {
        let words = format!("Not assigned, but required for {}: {}", incident.head.severity, missing.join(", "));
        lines.extend(warning_wrapped(theme, &words, width));
    }
    lines.push(Line::default());
    lines.push(heading(theme, "Milestones (UTC, ago)"));
    let assumed = incident.assumed_milestones();
    for m in Milestone::ALL {
        let note = if assumed.contains(&format!("{}_at", m.word()).as_str()) { " assumed" } else { "" };
        lines.push(Line::from(text::fit(
            &format!("{:<14} {}{note}", m.title(), time_and_age(model, incident.milestone(m))),
            width,
        )));
    }
    for fault in incident.order_faults().iter().filter(|f| f.exception.is_none()) {
        lines.extend(warning_wrapped(theme, &format!("! {}", fault.message), width));
    }
    let open = incident.actions.iter().filter(|a| a.state.is_open() && a.scope == ActionScope::FollowUp).count();
    lines.push(Line::default());
    lines.push(heading(theme, "Details"));
    lines.push(Line::from(count(open, "open follow-up")));
    lines.push(Line::from(count(incident.current_evidence().count(), "evidence item")));
    if let Some(level) = incident.escalation {
        lines.push(Line::from(text::fit(&format!("Escalated to {}", level.title()), width)));
    }
    if let Some(due) = incident.postmortem_due() {
        lines.push(Line::from(format!("Post-mortem due {}", due.date())));
    }
    let assistant = model.model_name.as_deref().unwrap_or("built-in rules");
    lines.push(Line::from(text::fit(&format!("Assistant: {assistant}"), width)));
    lines
}

/// When the next update is due, and the state of the exit criteria.
fn clocks(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![heading(theme, "Timers")];
    let to = |audience: Option<crate::incident::Audience>| audience.map(|a| format!(" ({})", a.title())).unwrap_or_default();
    match incident.head.next_update() {
        Some((due, audience)) if due <= model.now => lines.push(Line::from(Span::styled(
            text::fit(
                &format!(
                    "update OVERDUE {}{} ({})",
                    human_duration(model.now.since(due)),
                    to(audience),
                    model.key(Action::Published)
                ),
                width,
            ),
            theme.style(Meaning::Bad),
        ))),
        Some((due, audience)) => {
            lines.push(Line::from(text::fit(
                &format!("next update in {}{}", human_duration(due.since(model.now)), to(audience)),
                width,
            )));
        }
        None => lines.push(muted(theme, "No update is due.")),
    }
    if let Some(exit) = &incident.exit {
        let (words, meaning) = match incident.readings.last() {
            Some(r) if r.reading.met => ("met".to_owned(), Meaning::Ok),
            Some(r) => (
                format!(
                    "met for {} of {}",
                    human_duration(std::time::Duration::from_secs_f64(r.reading.held_secs.max(0.0))),
                    human_duration(exit.duration())
                ),
                Meaning::Warn,
            ),
            None => (format!("not checked yet ({})", model.key(Action::Check)), Meaning::Muted),
        };
        let words = format!("Exit criteria {words}: {}", exit.describe());
        lines.extend(text::wrap(&words, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(meaning)))));
    }
    lines
}

/// The open tasks, with their owner and the time until the owner should report back.
fn tasks(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for a in incident.actions.iter().filter(|a| a.scope == ActionScope::Incident && a.state.is_open()) {
        let who = a.owner.as_deref().unwrap_or("no owner");
        let (when, meaning) = match a.check_back_at {
            Some(at) if at <= model.now => (format!("LATE {}", human_duration(model.now.since(at))), Meaning::Bad),
            Some(at) => (format!("due in {}", human_duration(at.since(model.now))), Meaning::Accent),
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

/// The open checklist items of the current and earlier phases, at most six. Empty if the incident is in no phase.
fn open_items(model: &Model, incident: &Incident, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let Some(phase) = incident.head.status.phase() else { return Vec::new() };
    let all = gates(incident, model.now, model.monitor);
    let open: Vec<&GateItem> = all.iter().filter(|g| g.phase <= phase && !g.met).collect();
    let title = format!("{} phase: {} open ({})", phase.title(), open.len(), model.key(Action::Checklist));
    let mut lines = vec![Line::default(), heading(theme, &title)];
    lines.extend(open.iter().take(6).map(|g| Line::from(text::fit(&format!("☐ {}", g.label), width))));
    if open.len() > 6 {
        lines.push(muted(theme, &format!("and {} more", open.len() - 6)));
    }
    lines
}
