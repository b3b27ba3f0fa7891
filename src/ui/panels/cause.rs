//! What most likely happened, in a few rows: the origin, the change that caused it, how it shows there, and what to do next.

use ratatui::text::{Line, Span};

use super::signals::{arrow_of, samples_of, values_of};
use crate::app::action::Action;
use crate::app::model::Model;
use crate::app::overview::OverviewRow;
use crate::app::room::Room;
use crate::evidence::render::aligned_sparkline;
use crate::incident::{CitedFinding, CitedSuspect, EvidenceId, Incident, Situation};
use crate::playbook::matches;
use crate::telemetry::Timestamp;
use crate::telemetry::series::human_measure;
use crate::telemetry::time::human_duration;
use crate::telemetry::words::capitalized;
use crate::ui::text;
use crate::ui::theme::{Meaning, Theme};
use crate::ui::widgets::cited;

/// A line of the overview, with the position of the row that it belongs to; `None` if it cannot be selected.
pub(super) type RowLine = (Line<'static>, Option<usize>);

/// The columns of a clock time with its zone.
const TIME: usize = 9;
/// From this width on, a series is drawn beside its values.
const WIDTH_FOR_SPARKLINE: usize = 72;
const SPARKLINE: usize = 20;
/// How many lines of a conclusion without an origin are shown.
const MAX_TEXT_LINES: usize = 3;

/// The title above the cause: what is known, and how certain it is.
pub(super) fn title(incident: &Incident) -> String {
    let parts = incident.investigation.as_ref().and_then(|i| i.conclusion()).and_then(|f| f.conclusion.as_ref());
    match parts {
        Some(parts) if parts.origins.len() > 1 => format!("Likely causes · certainty {}", parts.certainty.word()),
        Some(parts) if !parts.origins.is_empty() => format!("Likely cause · certainty {}", parts.certainty.word()),
        _ => "Conclusion".to_owned(),
    }
}

/// The parts of one row, in the order in which they are drawn.
struct Parts {
    glyph: &'static str,
    meaning: Meaning,
    text: String,
    at: Option<Timestamp>,
    shape: String,
    evidence: Option<EvidenceId>,
}

impl Parts {
    fn line(self, theme: &Theme, width: usize) -> Line<'static> {
        let time = self.at.map(|at| format!("{}Z", at.clock(time::UtcOffset::UTC))).unwrap_or_default();
        let tag = self.evidence.map(|id| format!("[{id}]")).unwrap_or_default();
        let spark = if width >= WIDTH_FOR_SPARKLINE { SPARKLINE + 2 } else { 0 };
        let room = width.saturating_sub(2 + 1 + TIME + spark + 1 + 6);
        let mut spans = vec![
            Span::styled(format!("{} ", self.glyph), theme.style(self.meaning)),
            Span::raw(text::pad(&text::fit(&self.text, room), room)),
            Span::styled(format!(" {}", text::pad(&time, TIME)), theme.style(Meaning::Muted)),
        ];
        if spark > 0 {
            spans.push(Span::styled(format!("  {}", text::pad(&self.shape, SPARKLINE)), theme.style(Meaning::Chart)));
        }
        spans.push(Span::styled(format!(" {tag}"), theme.style(Meaning::Evidence)));
        Line::from(spans)
    }
}

/// The lines about the cause. `rows` are all rows of the overview.
pub(super) fn lines(
    model: &Model,
    room: &Room,
    incident: &Incident,
    rows: &[OverviewRow<'_>],
    theme: &Theme,
    width: usize,
) -> Vec<RowLine> {
    let mut lines: Vec<RowLine> = Vec::new();
    let Some(investigation) = &incident.investigation else {
        let words = match &room.investigating {
            Some(step) => format!("Gathering evidence from all sources: {step}"),
            None => {
                format!("Not investigated yet. Press {} to gather evidence from all sources.", model.key(Action::Investigate))
            }
        };
        return text::wrap(&words, width)
            .into_iter()
            .map(|l| (Line::from(Span::styled(l, theme.style(Meaning::Muted))), None))
            .collect();
    };
    if investigation.bad_baseline {
        let words = format!(
            "! The baseline already includes the incident, so nothing in it counts as normal. {} reads a window twice as long.",
            model.key(Action::Widen)
        );
        lines.extend(
            text::wrap(&words, width).into_iter().map(|l| (Line::from(Span::styled(l, theme.style(Meaning::Warn))), None)),
        );
    }
    let first_change = rows.iter().filter_map(|r| if let OverviewRow::Signal(s) = r { s.changed_at } else { None }).min();
    for (n, row) in rows.iter().enumerate() {
        let line = match row {
            OverviewRow::Cause(conclusion) => {
                lines.extend(origin(conclusion, theme, width).into_iter().map(|l| (l, Some(n))));
                continue;
            }
            OverviewRow::Trigger(finding) => trigger(incident, *finding, first_change).map(|p| p.line(theme, width)),
            OverviewRow::Signal(suspect) => Some(signal(room, incident, suspect).line(theme, width)),
            OverviewRow::Log(finding) => Some(log(room, finding).line(theme, width)),
            OverviewRow::Finding { .. } | OverviewRow::Detail(_) => break,
        };
        lines.extend(line.map(|l| (l, Some(n))));
    }
    let parts = investigation.conclusion().and_then(|f| f.conclusion.as_ref());
    if let Some(parts) = parts.filter(|p| !p.origins.is_empty() && incident.head.status.is_open()) {
        lines.extend(labelled("Do next", Meaning::Title, &next_steps(model, incident, parts.test.as_deref()), theme, width));
    }
    if let Some(extent) = parts.and_then(|p| p.extent.as_ref()) {
        lines.extend(labelled("⇄", Meaning::Muted, &capitalized(extent), theme, width));
    }
    lines
}

/// A text behind a label; further lines are indented.
fn labelled(label: &str, meaning: Meaning, words: &str, theme: &Theme, width: usize) -> Vec<RowLine> {
    let indent = text::width(label) + if text::width(label) > 1 { 2 } else { 1 };
    text::wrap(words, width.saturating_sub(indent))
        .into_iter()
        .enumerate()
        .map(|(n, l)| {
            let lead = if n == 0 { text::pad(label, indent) } else { " ".repeat(indent) };
            (Line::from(vec![Span::styled(lead, theme.style(meaning)), Span::raw(l)]), None)
        })
        .collect()
}

/// What would show whether the conclusion is true, and the keys for what may help.
fn next_steps(model: &Model, incident: &Incident, test: Option<&str>) -> String {
    let key = |action: Action| model.key(action);
    let playbook = matches(&model.playbooks, &incident.alerts).first().map(|m| m.playbook.title.clone());
    let mut steps: Vec<String> = test.map(capitalized).into_iter().collect();
    steps.extend(playbook.map(|title| format!("{} “{title}”", key(Action::Tab6))));
    steps.push(format!("{} mitigation", key(Action::Mitigation)));
    steps.push(format!("{} ask", key(Action::Ask)));
    steps.join(" · ")
}

/// The origin and how it fails, or what else is known if there is no origin.
fn origin(conclusion: &CitedFinding, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let tags: String = conclusion.evidence.iter().take(3).map(|e| format!("[{e}]")).collect();
    let parts = conclusion.conclusion.as_ref();
    let Some(parts) = parts.filter(|p| !p.origins.is_empty()) else {
        let is_fine = matches!(conclusion.situation, Some(Situation::Healthy | Situation::Recovered));
        let (mark, meaning) = if is_fine { ("✓ ", Meaning::Ok) } else { ("▶ ", Meaning::Warn) };
        let words = text::wrap(&format!("{} {tags}", conclusion.text), width.saturating_sub(2));
        let last = words.len().min(MAX_TEXT_LINES).saturating_sub(1);
        let cut = words.len() > MAX_TEXT_LINES;
        return words
            .into_iter()
            .take(MAX_TEXT_LINES)
            .enumerate()
            .map(|(n, l)| {
                let l = if cut && n == last { format!("{} …", l.trim_end_matches('.')) } else { l };
                let lead = if n == 0 { Span::styled(mark, theme.style(meaning)) } else { Span::raw("  ") };
                Line::from([vec![lead], cited(theme, &l)].concat())
            })
            .collect();
    };
    let origins = parts.origins.join(" and ");
    let room = width.saturating_sub(3 + text::width(&tags));
    let mechanism = parts.mechanism.as_ref().map(|m| format!(" · {m}")).unwrap_or_default();
    let mechanism = text::fit(&mechanism, room.saturating_sub(text::width(&origins)));
    let gap = room.saturating_sub(text::width(&origins) + text::width(&mechanism));
    vec![Line::from(vec![
        Span::styled("▶ ", theme.style(Meaning::Bad)),
        Span::styled(text::fit(&origins, room), theme.style(Meaning::Bad)),
        Span::raw(format!("{mechanism}{}", " ".repeat(gap + 1))),
        Span::styled(tags, theme.style(Meaning::Evidence)),
    ])]
}

/// The change that most likely caused it, and how long before the first effect it was.
fn trigger(incident: &Incident, finding: Option<&CitedFinding>, first_change: Option<Timestamp>) -> Option<Parts> {
    let parts = incident.investigation.as_ref()?.conclusion()?.conclusion.as_ref()?;
    let relation = parts.trigger_at.zip(first_change).map(|(at, change)| {
        let gap = if change >= at { change.since(at) } else { at.since(change) };
        match gap.as_secs() {
            0 => "at the same time".to_owned(),
            _ if change >= at => format!("{} before", human_duration(gap)),
            _ => format!("{} after", human_duration(gap)),
        }
    });
    Some(Parts {
        glyph: "◇",
        meaning: Meaning::Accent,
        text: parts.trigger.clone()?,
        at: parts.trigger_at,
        shape: relation.unwrap_or_default(),
        evidence: finding.and_then(|f| f.evidence.first().copied()),
    })
}

/// A series of the origin: its values before and after, and its course.
fn signal(room: &Room, incident: &Incident, suspect: &CitedSuspect) -> Parts {
    let record = suspect.evidence.first().and_then(|id| incident.evidence(*id));
    let series = record.and_then(|r| samples_of(room, r, suspect));
    let window = incident.investigation.as_ref().map(|i| i.window);
    let shape = series.zip(window).map(|(s, window)| aligned_sparkline(&s.samples, window, SPARKLINE));
    Parts {
        glyph: arrow_of(suspect),
        meaning: Meaning::Bad,
        text: format!("{} {}  {}", suspect.service.as_deref().unwrap_or(""), suspect.title, values_of(suspect)).trim().to_owned(),
        at: suspect.changed_at,
        shape: shape.unwrap_or_default(),
        evidence: suspect.evidence.first().copied(),
    }
}

/// A log pattern of the origin, with its number of lines.
fn log(room: &Room, finding: &CitedFinding) -> Parts {
    let template = finding.subject.as_deref().unwrap_or_default();
    let patterns = room.patterns("");
    let found = patterns.iter().find(|(_, p)| p.template == template).map(|(_, p)| *p);
    let words = match found {
        Some(p) => format!("{} ×{}  “{template}”", p.change.word(), human_measure(p.count as f64, "")),
        None => finding.title.clone(),
    };
    Parts {
        glyph: "≋",
        meaning: Meaning::Warn,
        text: words,
        at: found.and_then(|p| p.first_at).or(finding.at),
        shape: String::new(),
        evidence: finding.evidence.first().copied(),
    }
}
