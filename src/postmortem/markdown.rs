//! Renders the report as CommonMark with tables: prose for a reader who was not there, the conclusion first, and the machine detail in the
//! appendix.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::appendix::appendix;
use super::prose::{self, capitalized, past, sentence};
use super::report::{Draft, Lesson, Report, TimelineRow, is_none};
use super::story::{self, Chart, LinkRole, TriedMitigation};
use super::text::{code, inline, nested};
use crate::evidence::citations::tags;
use crate::evidence::render::sparkline;
use crate::incident::{ActorKind, CitedFinding, FindingKind, NoteKind, Verdict};
use crate::telemetry::Timestamp;
use crate::telemetry::time::human_duration;
use crate::telemetry::words::{count, list};

/// Writes a line to a string, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{ let _always_ok = writeln!($out, $($arg)*); }};
}

/// Alerts that fire or resolve within this many seconds of the first are one row of the timeline.
const SAME_MOMENT: f64 = 60.0;
/// The width of a sparkline in a paragraph.
const SPARK_WIDTH: usize = 60;

/// A part of the document.
pub(super) enum Part {
    Markdown(String),
    Chart(Chart),
}

/// Renders the whole document. All times are in UTC.
pub(crate) fn render(r: &Report) -> String {
    let text = |part: Part| match part {
        Part::Markdown(text) => text,
        Part::Chart(chart) => chart_line(&chart),
    };
    parts(r).into_iter().map(text).collect()
}

/// The document, with its charts as values.
pub(super) fn parts(r: &Report) -> Vec<Part> {
    let mut out = String::new();
    header(&mut out, r);
    summary(&mut out, r);
    if r.cancelled.is_none() && r.merged_into.is_none() {
        impact(&mut out, r);
        causes(&mut out, r);
    }
    let mut parts = vec![Part::Markdown(std::mem::take(&mut out))];
    if r.cancelled.is_none() {
        parts.extend(r.charts.iter().cloned().map(Part::Chart));
    }
    theories(&mut out, r);
    detection(&mut out, r);
    response(&mut out, r);
    if r.cancelled.is_none() && r.merged_into.is_none() {
        resolution(&mut out, r);
    }
    lessons(&mut out, r);
    actions(&mut out, r);
    questions(&mut out, r);
    timeline(&mut out, r);
    appendix(&mut out, r);
    parts.push(Part::Markdown(out));
    parts
}

/// The same text with each tag of evidence that the report has, outside of code, as a link to its place in the appendix.
pub(super) fn linked(r: &Report, text: &str) -> String {
    let known: BTreeSet<String> = r.evidence.iter().map(|e| e.record.id.to_string()).collect();
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut fence: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let ticks = line.bytes().take_while(|b| *b == b'`').count();
        match fence {
            Some(length) if ticks >= length => fence = None,
            None if ticks >= 3 => fence = Some(ticks),
            _ => {}
        }
        if fence.is_some() || ticks >= 3 || line.starts_with("#### ") {
            out.push_str(line);
        } else {
            link_line(line, &known, &mut out);
        }
    }
    out
}

fn link_line(line: &str, known: &BTreeSet<String>, out: &mut String) {
    // Between an odd and the next backtick is code.
    for (n, piece) in line.split('`').enumerate() {
        if n > 0 {
            out.push('`');
        }
        if n % 2 == 1 {
            out.push_str(piece);
            continue;
        }
        let mut rest = piece;
        while let Some(at) = rest.find("[E") {
            let (before, tagged) = rest.split_at(at);
            out.push_str(before);
            let digits = tagged.bytes().skip(2).take_while(u8::is_ascii_digit).count();
            let is_tag = digits > 0 && tagged.as_bytes().get(2 + digits) == Some(&b']') && !before.ends_with('\\');
            let end = if is_tag { digits + 3 } else { 2 };
            let (tag, after) = tagged.split_at(end);
            let is_known = known.contains(tag.trim_matches(['[', ']']));
            if is_tag && is_known && !after.starts_with('(') {
                // With its brackets as part of the text, so that several in a row stay apart.
                out.push_str(&format!("[{tag}](#e{})", tag.get(2..2 + digits).unwrap_or_default()));
            } else {
                out.push_str(tag);
            }
            rest = after;
        }
        out.push_str(rest);
    }
}

/// A chart as a line of text.
fn chart_line(chart: &Chart) -> String {
    let values = || chart.samples.iter().map(|s| s.value).filter(|v| v.is_finite());
    let (high, last) = (values().fold(f64::NEG_INFINITY, f64::max), values().next_back().unwrap_or_default());
    let line = sparkline(&chart.samples, chart.window, SPARK_WIDTH);
    if line.is_empty() {
        return String::new();
    }
    format!(
        "{} {}: {} at most, {} at the end, {} [{}]\n\n",
        code(&line),
        inline(&chart.title),
        prose::amount(high, &chart.unit),
        prose::amount(last, &chart.unit),
        prose::from_to(chart.window.start, chart.window.end),
        chart.evidence
    )
}

/// A duration in seconds for people, or `unknown`.
fn duration(s: Option<f64>) -> String {
    s.map_or_else(|| "unknown".to_owned(), |s| human_duration(Duration::from_secs_f64(s.max(0.0).round())))
}

fn header(out: &mut String, r: &Report) {
    put!(out, "# Post-mortem {}: {}\n", r.id, inline(&r.title));
    for what in &r.damage {
        put!(out, "> **Not trustworthy: the records behind this document are damaged.** {}\n", inline(&sentence(what)));
    }
    put!(out, "| Incident | {} {} |\n|---|---|", r.id, inline(&past(&r.incident_title)));
    let since = r.review_since.map_or_else(String::new, |at| format!(" since {}", at.date()));
    let reviewers: Vec<String> = r.reviewers.iter().map(|(who, at)| format!("{who} ({})", at.date())).collect();
    let reviewers = if reviewers.is_empty() { String::new() } else { format!(", reviewed by {}", list(&reviewers)) };
    let open = match r.missing.len() {
        n if n > 0 && r.review_status == "reviewed" => format!(", with {}", count(n, "open point")),
        _ => String::new(),
    };
    let due = match (r.review_since, r.review_due.filter(|_| r.cancelled.is_none())) {
        (None, Some(due)) => format!(", review due by {}", due.date()),
        _ => String::new(),
    };
    put!(out, "| Review | {}{since}{}{open}{due} |", r.review_status, inline(&reviewers));
    put!(out, "| Owner | {} |", r.owner.as_deref().map_or_else(|| "not assigned".to_owned(), inline));
    put!(out, "| Authors | {} |", if r.authors.is_empty() { "none yet".to_owned() } else { inline(&r.authors.join(", ")) });
    put!(out, "| Incident status | {} |", r.status);
    let peak = if r.severity == r.peak_severity { String::new() } else { format!(", {} at its peak", r.peak_severity) };
    put!(out, "| Severity | {}{peak} |", r.severity);
    if !r.services.is_empty() {
        put!(out, "| Services | {} |", inline(&r.services.join(", ")));
    }
    for m in r.milestones.iter().filter(|m| r.cancelled.is_none() || !m.assumed) {
        let Some(at) = m.at else { continue };
        let assumed = if m.assumed { " (assumed)" } else { "" };
        put!(out, "| {} | {} UTC{}{assumed} |", capitalized(m.name), at.date_clock(), local(r, at));
    }
    let times = [
        ("detect", r.durations.detect_secs),
        ("acknowledge", r.durations.acknowledge_secs),
        ("mitigate", r.durations.mitigate_secs),
        ("resolve", r.durations.resolve_secs),
    ];
    let times: Vec<(&str, String)> = times.into_iter().filter_map(|(name, s)| Some((name, prose::length(s?)))).collect();
    if !times.is_empty() && r.cancelled.is_none() {
        let names: Vec<&str> = times.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = times.iter().map(|(_, value)| value.as_str()).collect();
        put!(out, "| Time to {} | {} |", names.join(", "), values.join(", "));
    }
    if let Some(d) = &r.draft {
        let accepted = d.accepted_by.as_ref();
        let accepted = accepted.map_or_else(|| "not accepted by a person".to_owned(), |p| format!("accepted by {}", inline(p)));
        put!(out, "| Text | contains a draft by {} (entry {}), {accepted} |", inline(&d.model), d.seq);
    }
    put!(out, "");
    if !r.missing.is_empty() && r.review_status != "closed" {
        put!(out, "**Missing before this post-mortem is complete:**\n");
        for m in &r.missing {
            put!(out, "- {}: {}", m.section, inline(&m.what));
        }
        put!(out, "");
    }
    for fault in &r.order_faults {
        match &fault.exception {
            Some(why) => put!(out, "> Times out of order: {}. Reason given: {}.\n", inline(&fault.message), inline(why)),
            None => put!(out, "> Times out of order: {}. Correct them, or record the reason.\n", inline(&fault.message)),
        }
    }
    if let Some(into) = r.merged_into {
        put!(out, "> This incident was merged into {into}. See {into} for the rest of the response.\n");
    }
    if r.unsynced > 0 {
        let waiting = count(r.unsynced, "entry");
        put!(out, "> Not yet in the shared store: {waiting}. Entry and evidence numbers will change after the merge.\n");
    }
}

fn summary(out: &mut String, r: &Report) {
    put!(out, "## Summary\n\n{}\n", inline(&r.summary));
}

/// Only the impact: how long, on whom, how many requests, and what it cost.
fn impact(out: &mut String, r: &Report) {
    put!(out, "## Impact\n");
    let so_far = if r.impact_over { "" } else { " up to the last entry; its end was not recorded" };
    let assumed = |name: &str| r.milestones.iter().any(|m| m.name == name && m.assumed);
    let about = match (assumed("impact started"), assumed("mitigated") && r.impact_over) {
        (true, true) => "the incident was open for ",
        (false, false) => "",
        _ => "about ",
    };
    put!(out, "- Duration: {about}{}{so_far}.", prose::length(r.impact_secs));
    if let [_, _, ..] = r.time_in_severity_secs.as_slice() {
        let spent: Vec<String> =
            r.time_in_severity_secs.iter().map(|(severity, spent)| format!("{severity} for {}", prose::length(*spent))).collect();
        put!(out, "- Severity while it was open: {}.", list(&spent));
    }
    let recorded = [("Symptoms", &r.impact.text), ("Users", &r.impact.users), ("Region", &r.impact.region)];
    for (name, text) in recorded.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        let text =
            if name == "Symptoms" { prose::past_or_quoted(text) } else { format!("{}.", text.trim_end_matches(['.', '。'])) };
        put!(out, "- {name}: {}", inline(&text));
    }
    for (at, text) in &r.earlier_impact {
        put!(out, "- As described at {} UTC: {}", time(r, *at), inline(&prose::past_or_quoted(text)));
    }
    for (id, text) in &r.absorbed_impact {
        put!(out, "- Of {id}, which was merged into this incident: {}", inline(&sentence(text)));
    }
    if !r.impact.services.is_empty() {
        put!(out, "- Services: {}.", inline(&list(&r.impact.services)));
    }
    for f in r.failed_requests.iter().filter(|f| f.failed >= 1.0) {
        put!(
            out,
            "- {}: about {} of {} requests failed ({}), {}{}. {}",
            inline(&f.service),
            thousands(f.failed),
            thousands(f.total),
            prose::amount(f.share() * 100.0, "%"),
            prose::from_to(f.from, f.to),
            if f.to.secs_since(f.from) + 60.0 < r.impact_secs { ", which is not the whole impact" } else { "" },
            tags(&f.evidence)
        );
    }
    let unharmed: Vec<&str> = r.failed_requests.iter().filter(|f| f.failed < 1.0).map(|f| f.service.as_str()).collect();
    if !unharmed.is_empty() {
        put!(out, "- No request to {} failed.", inline(&list(&unharmed)));
    }
    for f in r.findings.iter().filter(|f| f.kind == FindingKind::Slo).take(4) {
        put!(out, "- {} {}", inline(&sentence(&past(&f.title))), tags(&f.evidence));
    }
    for f in r.findings.iter().filter(|f| f.kind == FindingKind::Unchanged) {
        put!(out, "- Not affected: {}", finding(f));
    }
    match &r.impact.data {
        Some(data) if is_none(data) => put!(out, "- Data loss or corruption: none."),
        Some(data) => put!(out, "- {}", inline(&prose::lost_data(data))),
        None => {}
    }
    put!(out, "");
}

/// The time in the zone beside UTC, in parentheses; empty without one.
fn local(r: &Report, at: Timestamp) -> String {
    let Some(offset) = r.offset else { return String::new() };
    // Moved by the offset, so that its date is the one of that zone.
    let there = Timestamp::from_secs(at.secs() + i64::from(offset.whole_seconds()));
    format!(" ({})", prose::minute_since(at, there))
}

/// A number of events: `4,150`.
fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The text of a finding in the past tense, and its citations.
fn finding(f: &CitedFinding) -> String {
    let tags = if f.evidence.is_empty() { String::new() } else { format!(" {}", tags(&f.evidence)) };
    format!("{}{tags}", inline(&sentence(&past(&f.text))))
}

fn causes(out: &mut String, r: &Report) {
    put!(out, "## Trigger, fault and contributing factors\n");
    let confirmed: Vec<_> = r.hypotheses.iter().filter(|h| h.verdict == Some(Verdict::Supported)).collect();
    for h in &confirmed {
        let why = h.reason.as_ref().map(|w| format!(" Their reason: {}", prose::past_or_quoted_clause(w))).unwrap_or_default();
        put!(
            out,
            "{} The responders judged that the evidence supports this.{}\n",
            inline(&prose::past_or_quoted(&h.text)),
            inline_after(&why)
        );
    }
    if !r.chain.is_empty() {
        let is_whole =
            r.chain.iter().any(|l| l.role == LinkRole::Trigger) && r.chain.iter().any(|l| l.role == LinkRole::Recovery);
        let is_late = r.chain.windows(2).any(|pair| matches!(pair, [a, b] if a.at.is_some() && b.at.is_some() && a.at > b.at));
        let heading = match (is_whole, is_late) {
            (true, false) => "From the trigger to the recovery:",
            (false, false) => "In the order of time:",
            // Metrics show a change at their next reading, when its effects may have begun.
            (true, true) => "From the trigger, which metrics show only at their next reading, to the recovery:",
            (false, true) => "From the trigger on, which metrics show only at their next reading:",
        };
        put!(out, "{heading}\n");
        let began = start(r);
        for (n, link) in r.chain.iter().enumerate() {
            // A trigger that a metric shows is known to the next scrape only.
            let seen = if link.role == LinkRole::Trigger { "seen at " } else { "" };
            let at = link.at.map_or_else(String::new, |at| {
                let day = prose::minute_since(began, at);
                let day = day.strip_suffix(&prose::minute(at)).unwrap_or_default().to_owned();
                format!(", {seen}{day}{} UTC", prose::second(at))
            });
            let cited = if link.evidence.is_empty() { String::new() } else { format!(" {}", tags(&link.evidence)) };
            put!(out, "{}. **{}**{at}: {}{cited}", n + 1, link.role.word(), inline(&capitalized(&link.text)));
        }
        put!(out, "");
        let is_computed = |l: &story::Link| matches!(l.role, LinkRole::Trigger | LinkRole::Fault | LinkRole::Effect);
        if confirmed.is_empty() && r.chain.iter().any(is_computed) {
            put!(out, "The order was computed from the evidence. It shows what came first, which is not proof of the cause.\n");
        }
    }
    if confirmed.is_empty() && r.hypotheses.is_empty() && !r.chain.iter().any(|l| l.role < LinkRole::Detection) {
        put!(out, "The cause was not found.\n");
    }
}

/// When the impact began.
fn start(r: &Report) -> Timestamp {
    r.milestones.first().and_then(|m| m.at).unwrap_or(r.as_of)
}

/// A time of day in UTC, with its day if that is not the one on which the impact began.
fn time(r: &Report, at: Timestamp) -> String {
    prose::minute_since(start(r), at)
}

/// A text that follows another one in its paragraph.
fn inline_after(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" {}", inline(text)) }
}

/// What contributed, what was ruled out and why, what was only proposed, and what a model drafted.
fn theories(out: &mut String, r: &Report) {
    let is_of_nothing = r.cancelled.is_some() || r.merged_into.is_some();
    if is_of_nothing && !(r.factors.is_empty() && r.hypotheses.is_empty() && r.draft.is_none()) {
        put!(out, "## What was considered\n");
    }
    if !r.factors.is_empty() {
        put!(out, "### Contributing factors\n");
        for text in &r.factors {
            put!(out, "- {}", inline(&sentence(text)));
        }
        put!(out, "");
    }
    let refuted: Vec<_> = r.hypotheses.iter().filter(|h| h.verdict == Some(Verdict::Refuted)).collect();
    let against: Vec<&CitedFinding> = r.findings.iter().filter(|f| f.kind == FindingKind::Contradiction).collect();
    if !refuted.is_empty() || !against.is_empty() {
        put!(out, "### Ruled out\n");
        for h in refuted {
            let why = h.reason.as_ref().map_or_else(String::new, |w| format!(" {}", prose::past_or_quoted(w)));
            let believed = r.believed.get(&h.seq).map_or_else(String::new, |(from, to)| {
                format!(" It had been taken for the cause from {} to {} UTC.", time(r, *from), time(r, *to))
            });
            put!(out, "- {}{}", inline(&prose::past_or_quoted(&h.text)), inline_after(format!("{why}{believed}").trim_start()));
        }
        for f in against {
            put!(out, "- {}", finding(f));
        }
        put!(out, "");
    }
    let proposed: Vec<_> = r.hypotheses.iter().filter(|h| h.verdict.is_none()).collect();
    if !proposed.is_empty() {
        put!(out, "### Proposed and not decided\n");
        for h in proposed {
            put!(out, "- {} ({})", inline(&prose::past_or_quoted(&h.text)), inline(&h.by));
        }
        put!(out, "");
    }
    if let Some(d) = &r.draft {
        draft(out, d);
        put!(out, "");
    }
}

fn detection(out: &mut String, r: &Report) {
    put!(out, "## Detection\n");
    let milestone = |name: &str| r.milestones.iter().find(|m| m.name == name);
    let of = |name: &str| milestone(name).filter(|m| !m.assumed).and_then(|m| m.at);
    let began = of("impact started");
    let after_start = |at: Option<Timestamp>| match (began, at) {
        (Some(began), Some(at)) if at < began => {
            format!(", {} before the recorded start of the impact", prose::length(began.secs_since(at)))
        }
        (Some(began), Some(at)) => format!(", {} after the impact began", prose::length(at.secs_since(began))),
        _ => String::new(),
    };
    let after = after_start(of("detected"));
    let declared = milestone("declared").and_then(|m| m.at);
    let mut fired: Vec<_> = r.alerts.iter().filter(|a| a.starts_at.is_some()).collect();
    fired.sort_by_key(|a| a.starts_at);
    match (fired.first(), r.alerts.len()) {
        (Some(first), all) => {
            let at = first.starts_at.map_or_else(String::new, |at| format!(" at {} UTC", prose::second(at)));
            let all =
                if all > 1 { format!(" These alerts fired: {}.", list(&story::alert_names(&r.alerts))) } else { String::new() };
            put!(out, "The first alert was {}{at}{after}.{}\n", inline(&first.label()), inline_after(&all));
        }
        (None, 0) => {
            let declared = after_start(declared);
            let declared = if declared.is_empty() {
                String::new()
            } else {
                format!(" It was declared{}.", declared.trim_start_matches(','))
            };
            let noticed = match (&r.reporter, of("detected")) {
                (Some(who), Some(_)) => format!("{who} reported it. It was noticed{after}."),
                (Some(who), None) => format!("{who} reported it.{declared}"),
                (None, Some(_)) => format!("A person noticed the incident{after}."),
                (None, None) => format!("How the incident was noticed was not recorded.{declared}"),
            };
            put!(out, "{} No alert was linked to it.\n", inline(&noticed.replace(" It was noticed.", "")));
        }
        (None, _) => put!(out, "These alerts were linked: {}.\n", inline(&list(&story::alert_names(&r.alerts)))),
    }
    let unverified: Vec<String> = r.alerts.iter().filter(|a| !a.verified).map(crate::incident::LinkedAlert::label).collect();
    if !unverified.is_empty() {
        put!(out, "No source reported {}.\n", inline(&list(&unverified)));
    }
}

fn response(out: &mut String, r: &Report) {
    put!(out, "## Response\n");
    match r.durations.acknowledge_secs {
        Some(secs) => put!(out, "The incident was acknowledged {} after it was detected.", duration(Some(secs))),
        None if r.cancelled.is_some() => {}
        None => put!(out, "No one acknowledged the incident."),
    }
    put!(out, "");
    if r.role_spans.is_empty() {
        put!(out, "- Roles: none were assigned.");
    }
    if let Some(who) = &r.reporter {
        put!(out, "- Reported by {}.", inline(who));
    }
    for s in r.role_spans.iter().filter(|s| s.role != crate::incident::Role::Reporter) {
        let until = s.until.map_or_else(|| "the end".to_owned(), |t| format!("{} UTC", time(r, t)));
        put!(out, "- {}: {}, from {} UTC to {until}.", s.role.title(), inline(&s.holder), time(r, s.from));
    }
    for (at, severity, reason, by) in &r.severity_changes {
        let why = inline(reason.trim_end_matches('.'));
        put!(out, "- Severity: {} set {severity} at {} UTC: {why}.", inline(by), time(r, *at));
    }
    for (at, text) in &r.escalations {
        put!(out, "- {} ({} UTC)", inline(&sentence(text)), time(r, *at));
    }
    for (at, reason) in &r.reopened {
        put!(out, "- Reopened at {} UTC: {}", time(r, *at), inline(&prose::past_or_quoted(reason)));
    }
    for d in &r.decisions {
        put!(out, "- Decision by {} at {} UTC: {}", inline(&d.by), time(r, d.at), inline(&sentence(&d.text)));
        for (who, text) in &d.objections {
            put!(out, "  - {} objected: {}", inline(who), inline(&sentence(text)));
        }
        if let Some(outcome) = &d.outcome {
            put!(out, "  - Outcome: {}", inline(&sentence(outcome)));
        }
    }
    for (title, done, all) in &r.playbooks {
        put!(out, "- Playbook: {}, {done} of {} done.", inline(title), count(*all, "step"));
    }
    if r.updates.is_empty() {
        put!(out, "- Updates to stakeholders: none were sent.");
    }
    for u in &r.updates {
        let readers = super::report::readers(u.audience);
        let subject = u.text.lines().next().unwrap_or_default();
        put!(out, "- Update to {readers} at {} UTC: {}", time(r, u.at), inline(&sentence(subject)));
    }
    if let Some(kept) = r.promises.words() {
        put!(out, "- {kept}.");
    }
    put!(out, "");
}

fn draft(out: &mut String, d: &Draft) {
    let state = d.accepted_by.as_ref().map_or_else(
        || "**AI draft, not accepted by a person**".to_owned(),
        |p| format!("Drafted by a model, accepted by {}", inline(p)),
    );
    put!(out, "### Drafted by a model\n");
    let partial = if d.partial { "; the answer is incomplete" } else { "" };
    put!(
        out,
        "> {state}: {}, prompt {} version {}, entry {}{partial}. Citation check: {}.",
        inline(&d.model),
        inline(&d.prompt),
        d.prompt_version,
        d.seq,
        inline(&d.verdict)
    );
    for claim in &d.unsupported {
        put!(out, ">\n> Not supported: {}", inline(claim));
    }
    put!(out, "");
    for line in nested(&d.text).lines() {
        put!(out, "{}", format!("> {line}").trim_end());
    }
}

fn resolution(out: &mut String, r: &Report) {
    put!(out, "## Resolution and recovery\n");
    let mitigated = r.durations.mitigate_secs.map(|s| format!("The impact ended {} after it began", prose::length(s)));
    let resolved = r.durations.resolve_secs.map(|s| format!("the incident was resolved {} after it began", prose::length(s)));
    let both: Vec<String> = mitigated.into_iter().chain(resolved).collect();
    if both.is_empty() {
        put!(out, "The incident was not resolved when this was written.\n");
    } else {
        put!(out, "{}\n", sentence(&both.join("; ")));
    }
    if !r.mitigations.is_empty() {
        put!(out, "What was tried, in order:\n");
        put!(out, "| Begun (UTC) | Done (UTC) | Mitigation | Risk | Effect |\n|---|---|---|---|---|");
        for m in &r.mitigations {
            let begun = m.started.map_or_else(|| "-".to_owned(), |at| time(r, at));
            let done = if m.done { time(r, m.at) } else { "-".to_owned() };
            put!(out, "| {begun} | {done} | {} | {} | {} |", inline(&m.text), m.risk.unwrap_or("-"), effect(m));
        }
        put!(out, "");
    }
    if !r.not_tried.is_empty() {
        put!(out, "Considered and not done:\n");
        for (text, why) in &r.not_tried {
            let why = why.as_ref().map_or_else(String::new, |w| format!(" {}", prose::past_or_quoted(w)));
            put!(out, "- {}{}", inline(&sentence(text)), inline_after(why.trim_start()));
        }
        put!(out, "");
    }
    if let Some((who, words)) = &r.confirmed_effect {
        put!(out, "{} confirmed the effect: {}\n", inline(who), inline(&prose::past_or_quoted(words)));
    }
    if let Some(exit) = &r.exit {
        match &r.exit_reading {
            Some(read) => {
                let tag = read.reading.evidence.map(|e| format!(" [{e}]")).unwrap_or_default();
                let met = if read.reading.met { "was met" } else { "was not met" };
                let (at, why) = (time(r, read.at), inline(read.reading.why.trim_end_matches('.')));
                put!(out, "The exit criterion {met} at {at} UTC: {why}.{tag} It was: {}\n", code(exit));
            }
            None => put!(out, "The exit criterion was never checked. It was: {}\n", code(exit)),
        }
    }
    for o in &r.overrides {
        let (at, items) = (time(r, o.at), count(o.items.len(), "checklist item"));
        let verb = if o.items.len() == 1 { "was" } else { "were" };
        put!(
            out,
            "At {at} UTC the status became {} although {items} {verb} open. The reason given: {}\n",
            o.status,
            inline(&sentence(&o.reason))
        );
        for item in &o.items {
            put!(out, "- {}", inline(item));
        }
        put!(out, "");
    }
}

/// The effect of a mitigation, with its evidence.
fn effect(m: &TriedMitigation) -> String {
    let tag = m.evidence.map_or_else(String::new, |e| format!(" [{e}]"));
    format!("{}{tag}", inline(&m.effect()))
}

fn lessons(out: &mut String, r: &Report) {
    put!(out, "## Lessons\n");
    if r.lessons.is_empty() && r.grade.is_none() {
        put!(out, "No one has written down a lesson.\n");
        return;
    }
    let groups = [
        (NoteKind::WentWell, "What went well"),
        (NoteKind::WentBadly, "What went badly"),
        (NoteKind::Lucky, "Where we were lucky"),
        (NoteKind::Lesson, "Other lessons"),
    ];
    let is_only_other = r.lessons.iter().all(|l| l.kind == NoteKind::Lesson);
    for (kind, title) in groups {
        let group: Vec<&Lesson> = r.lessons.iter().filter(|l| l.kind == kind).collect();
        if group.is_empty() {
            continue;
        }
        if !is_only_other {
            put!(out, "### {title}\n");
        }
        for lesson in group {
            put!(out, "- {}", inline(&sentence(&lesson.text)));
        }
        put!(out, "");
    }
    if let Some(g) = &r.grade {
        let more = g.text.as_ref().map(|t| format!(": {}", inline(t))).unwrap_or_default();
        put!(out, "The diagnosis, graded by {}: {}, found by {}{more}.\n", inline(&g.by), g.grade.title(), g.found_by.title());
    }
}

fn questions(out: &mut String, r: &Report) {
    if r.questions.is_empty() {
        return;
    }
    put!(out, "## Open questions\n");
    for q in &r.questions {
        let who = match (&q.owner, &q.due) {
            (Some(owner), Some(due)) => format!(" ({owner}, by {due})"),
            (Some(owner), None) => format!(" ({owner})"),
            (None, Some(due)) => format!(" (by {due})"),
            (None, None) => String::new(),
        };
        put!(out, "- {}{}", inline(&q.text), inline_after(who.trim_start()));
    }
    put!(out, "");
}

/// The rows for people, oldest first: without bookkeeping, and with alerts that fired or resolved together as one row.
fn folded(rows: &[TimelineRow]) -> Vec<TimelineRow> {
    let mut out: Vec<TimelineRow> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for row in rows.iter().filter(|r| !r.is_bookkeeping) {
        let verb = if row.kind == "alert_resolved" { "resolved" } else { "fired" };
        match (&row.alert, out.last_mut()) {
            (Some(name), Some(last))
                if last.alert.is_some() && last.kind == row.kind && row.at.secs_since(last.at) <= SAME_MOMENT =>
            {
                if !names.contains(name) {
                    names.push(name.clone());
                }
                last.text = format!("Alerts {} {verb}", list(&by_name(&names)));
            }
            (Some(name), _) => {
                names = vec![name.clone()];
                out.push(TimelineRow { text: format!("Alert {name} {verb}"), ..row.clone() });
            }
            (None, _) => out.push(row.clone()),
        }
    }
    out
}

/// Alerts of one name as one: `HighErrorRate (checkout and gateway)`.
fn by_name(labels: &[String]) -> Vec<String> {
    let mut names: Vec<(&str, Vec<&str>)> = Vec::new();
    for label in labels {
        let (name, service) = match label.strip_suffix(')').and_then(|l| l.split_once(" (")) {
            Some((name, service)) => (name, Some(service)),
            None => (label.as_str(), None),
        };
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, services)) => services.extend(service),
            None => names.push((name, service.into_iter().collect())),
        }
    }
    let words = |(name, services): (&str, Vec<&str>)| {
        if services.is_empty() { name.to_owned() } else { format!("{name} ({})", list(&services)) }
    };
    names.into_iter().map(words).collect()
}

fn timeline(out: &mut String, r: &Report) {
    let rows = folded(&r.timeline);
    let zone =
        r.offset.map_or_else(String::new, |o| format!("; times at {} are in parentheses", crate::telemetry::time::zone_label(o)));
    put!(out, "## Timeline\n\nAll times are in UTC{zone}.\n");
    put!(out, "| Time | Entry | Who | Event | Evidence |\n|---|---|---|---|---|");
    let mut day = String::new();
    for row in &rows {
        let end = r.milestones.iter().filter(|m| m.name == "resolved" || m.name == "closed").filter_map(|m| m.at).min();
        if let Some(gap) = row.gap_before_secs.filter(|_| end.is_none_or(|end| row.at <= end)) {
            put!(out, "| | | | _{} without entries_ | |", duration(Some(gap)));
        }
        let who = match row.actor_kind {
            ActorKind::Human => inline(&row.actor),
            ActorKind::Ai => format!("AI ({})", inline(&row.actor)),
            ActorKind::System => "warroom".to_owned(),
        };
        let mut event = if row.kind == "moment" { format!("**{}**", inline(&row.text)) } else { inline(&row.text) };
        if let Some(original) = &row.original {
            event.push_str(&format!(" _(originally: {})_", inline(original)));
        }
        let shown: Vec<String> = row.evidence.iter().take(4).map(|e| format!("[{e}]")).collect();
        let more = if row.evidence.len() > 4 { format!(" +{} more", row.evidence.len() - 4) } else { String::new() };
        let (date, mark) = (row.at.date(), if row.backdated { "†" } else { "" });
        let time = if date == day { prose::second(row.at) } else { row.at.date_clock() };
        day = date;
        let entry = if row.seq == 0 { String::new() } else { crate::incident::ids::seq_label(row.seq) };
        let time = format!("{time}{}", local(r, row.at));
        put!(out, "| {time}{mark} | {entry} | {who} | {event} | {}{more} |", shown.join(" "));
    }
    put!(out, "");
    if rows.iter().any(|row| row.backdated) {
        put!(out, "† Recorded later than it happened.\n");
    }
    let left_out = r.timeline.iter().filter(|row| row.is_bookkeeping).count();
    if left_out > 0 {
        put!(
            out,
            "{} of bookkeeping are left out; `warroom incident show {}` lists all of them.\n",
            count(left_out, "entry"),
            r.id
        );
    }
}

fn actions(out: &mut String, r: &Report) {
    put!(out, "## Action items\n");
    if r.action_items.is_empty() {
        put!(out, "No action items were agreed.\n");
    } else {
        put!(
            out,
            "| ID | Action | Scope | Kind | Owner | Priority | Due | Ticket | State |\n|---|---|---|---|---|---|---|---|---|"
        );
        for a in &r.action_items {
            let or_missing = |v: &Option<String>| v.as_deref().map_or_else(|| "missing".to_owned(), inline);
            let is_task = a.scope == crate::incident::ActionScope::Incident;
            let date = if is_task { "-".to_owned() } else { or_missing(&a.due) };
            let result = a.result.as_deref().map(|t| format!(": {}", inline(t))).unwrap_or_default();
            put!(
                out,
                "| {} | {} | {} | {} | {} | {} | {date} | {} | {}{result} |",
                a.id,
                inline(&a.text),
                a.scope.word(),
                a.kind.word(),
                or_missing(&a.owner),
                a.priority.as_deref().map_or_else(|| "-".to_owned(), inline),
                a.ticket.as_deref().map_or_else(|| "-".to_owned(), inline),
                a.state.word().replace('_', " ")
            );
        }
        put!(out, "");
    }
    for (seq, text) in &r.todos {
        put!(out, "- TODO in entry {seq}, not yet an action item: {}", inline(text));
    }
    if !r.todos.is_empty() {
        put!(out, "");
    }
}
