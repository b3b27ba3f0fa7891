//! The report as CommonMark with tables.

use std::fmt::Write as _;
use std::time::Duration;

use super::report::{Draft, Report};
use super::text::{block, code, inline, nested};
use crate::evidence::cited::tags;
use crate::incident::{ActorKind, AnswerSource, CitedFinding, FindingKind, SourceStatus};
use crate::telemetry::Timestamp;
use crate::telemetry::time::human;

/// Writes into a string cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{ let _always_ok = writeln!($out, $($arg)*); }};
}

/// The whole document, all times in UTC.
pub fn render(r: &Report) -> String {
    let mut out = String::new();
    header(&mut out, r);
    summary(&mut out, r);
    impact(&mut out, r);
    lessons(&mut out, r);
    detection(&mut out, r);
    response(&mut out, r);
    causes(&mut out, r);
    resolution(&mut out, r);
    timeline(&mut out, r);
    actions(&mut out, r);
    appendix(&mut out, r);
    out
}

fn at(t: Option<Timestamp>) -> String {
    t.map_or_else(|| "unknown".to_owned(), |t| format!("{} UTC", t.date_clock()))
}

fn secs(s: Option<f64>) -> String {
    s.map_or_else(|| "unknown".to_owned(), |s| human(Duration::from_secs_f64(s.max(0.0))))
}

/// What a must-section says when nothing is known.
fn unknown(r: &Report) -> String {
    let owner = r.owner.as_deref().map_or_else(|| "the owner (nobody yet)".to_owned(), |o| format!("owner {}", inline(o)));
    let by = r.review_due.map_or_else(|| "the review".to_owned(), |t| t.date());
    format!("Unknown - {owner} will find out by {by}.")
}

fn header(out: &mut String, r: &Report) {
    put!(out, "# Post-mortem {}: {}\n", r.id, inline(&r.title));
    put!(out, "| | |\n|---|---|");
    put!(out, "| Incident | {} {} |", r.id, inline(&r.incident_title));
    put!(out, "| Review | {} |", r.review_status);
    put!(out, "| Owner | {} |", r.owner.as_deref().map_or_else(|| "nobody yet".to_owned(), inline));
    put!(out, "| Authors | {} |", if r.authors.is_empty() { "nobody yet".to_owned() } else { inline(&r.authors.join(", ")) });
    put!(out, "| Status of the incident | {} |", r.status);
    put!(out, "| Severity | {} final, {} at its peak: {} |", r.severity, r.peak_severity, inline(&r.severity_meaning));
    put!(out, "| Services | {} |", if r.services.is_empty() { "unknown".to_owned() } else { inline(&r.services.join(", ")) });
    for m in &r.milestones {
        let assumed = if m.assumed { " (assumed: no alert tells)" } else { "" };
        put!(out, "| {} | {}{assumed} |", capital(m.name), at(m.at));
    }
    put!(out, "| Review due | {} |", r.review_due.map_or_else(|| "not required for this severity".to_owned(), |t| t.date()));
    put!(out, "| Data window | {} |", r.window.label());
    put!(
        out,
        "| State as of | entry {} at {} UTC, chain {} |",
        r.as_of_entry,
        r.as_of.date_clock(),
        code(r.chain_head.get(..16).unwrap_or(""))
    );
    let ai = match &r.draft {
        Some(d) => format!(
            "section 6 holds a draft by {} (entry {}), {}",
            inline(&d.model),
            d.seq,
            d.accepted_by
                .as_ref()
                .map_or_else(|| "not accepted by a person".to_owned(), |p| format!("accepted by {}", inline(p)))
        ),
        None => "none of this text was written by a model".to_owned(),
    };
    put!(out, "| Made by | warroom {}; {ai} |\n", r.tool_version);
    if !r.missing.is_empty() {
        put!(out, "**Still missing before this can be called complete:**\n");
        for m in &r.missing {
            put!(out, "- {}: {}", m.section, inline(&m.what));
        }
        put!(out, "");
    }
    for fault in &r.order_faults {
        match &fault.exception {
            Some(why) => put!(out, "> Times out of order: {}. Written exception: {}.\n", inline(&fault.words), inline(why)),
            None => put!(out, "> Times out of order: {}. Correct them or write down why.\n", inline(&fault.words)),
        }
    }
    if let Some(into) = r.merged_into {
        put!(out, "> This incident is a part of {into}; its story goes on there.\n");
    }
    if r.unsynced > 0 {
        let waiting = crate::telemetry::words::count(r.unsynced, "entry");
        put!(out, "> Not in the shared store yet: {waiting}. Numbers change when that is merged.\n");
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn summary(out: &mut String, r: &Report) {
    put!(out, "## 1. Summary\n\n{}\n", inline(&r.summary));
}

fn impact(out: &mut String, r: &Report) {
    put!(out, "## 2. Impact\n");
    let over = if r.impact_over { "" } else { " so far (not recorded as ended)" };
    put!(out, "- Duration of the impact: {}{over}.", secs(Some(r.impact_secs)));
    for (severity, spent) in &r.time_in_severity_secs {
        put!(out, "- Time at {severity}: {}.", secs(Some(*spent)));
    }
    let said = r.impact.words();
    if !said.is_empty() {
        put!(out, "- {}.", inline(&said));
    }
    let mut any = false;
    for f in r
        .findings
        .iter()
        .filter(|f| f.kind == FindingKind::Moved && ["error", "latency", "request"].iter().any(|w| f.title.contains(w)))
        .take(8)
    {
        any = true;
        put!(out, "- {}", finding(f));
    }
    for f in r.findings.iter().filter(|f| f.kind == FindingKind::Slo).take(4) {
        put!(out, "- {}", finding(f));
    }
    if !any {
        put!(out, "- Requests, users and accounts affected: {}", unknown(r));
    } else {
        put!(out, "- Users and accounts affected, tickets, money: {}", unknown(r));
    }
    put!(out, "- Data loss or corruption: {}", unknown(r));
    for f in r.findings.iter().filter(|f| f.kind == FindingKind::Unchanged) {
        put!(out, "- Not affected, as far as measured: {}", finding(f));
    }
    put!(out, "");
}

fn finding(f: &CitedFinding) -> String {
    let tags = if f.evidence.is_empty() { String::new() } else { format!(" {}", tags(&f.evidence)) };
    format!("{}{tags}", inline(&f.text))
}

fn list(out: &mut String, items: &[(Timestamp, String)]) {
    for (when, text) in items {
        put!(out, "- {} UTC: {}", when.date_clock(), inline(text));
    }
}

fn lessons(out: &mut String, r: &Report) {
    put!(out, "## 3. Lessons\n");
    if r.lessons.is_empty() {
        put!(out, "{}\n\nWent well, went badly, where we were lucky: to be written by people.", unknown(r));
    }
    list(out, &r.lessons);
    if let Some(g) = &r.grade {
        let more = g.text.as_ref().map(|t| format!(": {}", inline(t))).unwrap_or_default();
        put!(out, "- The diagnosis, graded by {}: {}, reached by {}{more}.", inline(&g.by), g.grade.title(), g.found_by.title());
    }
    put!(out, "");
}

fn detection(out: &mut String, r: &Report) {
    put!(out, "## 4. Detection\n");
    put!(out, "- Time to detect, from the start of the impact: {}.", secs(r.durations.detect_secs));
    if r.alerts.is_empty() {
        put!(out, "- No alert is linked: it was noticed by a person, or the alert is not known.");
    } else {
        put!(out, "- Alerts that fired:");
        for a in &r.alerts {
            let verified = if a.verified { "" } else { " (unverified: no source knew it)" };
            put!(
                out,
                "  - {}, {}, condition true from {}, fired {}{verified}",
                inline(&a.label()),
                a.severity.short(),
                at(a.pending_since.or(a.starts_at)),
                at(a.starts_at)
            );
        }
    }
    for f in r.findings.iter().filter(|f| matches!(f.kind, FindingKind::Alerts | FindingKind::Related)) {
        put!(out, "- {}", finding(f));
    }
    put!(out, "- What would have halved the time to detect: {}\n", unknown(r));
}

fn response(out: &mut String, r: &Report) {
    put!(out, "## 5. Response\n");
    put!(out, "- Time to acknowledge, from detection: {}.", secs(r.durations.acknowledge_secs));
    if r.roles.is_empty() {
        put!(out, "- Roles: none were assigned.");
    }
    for s in &r.role_spans {
        let until = s.until.map_or_else(|| "the end".to_owned(), |t| format!("{} UTC", t.date_clock()));
        put!(out, "- {}: {} from {} UTC to {until}", s.role.title(), inline(&s.holder), s.from.date_clock());
    }
    for h in &r.hand_overs {
        put!(out, "- Hand-over, {}", inline(h));
    }
    for (when, severity, reason, by) in &r.severity_changes {
        put!(out, "- {} UTC: severity set to {severity} by {}: {}", when.date_clock(), inline(by), inline(reason));
    }
    if r.decisions.is_empty() {
        put!(out, "- Decisions: none were recorded.");
    } else {
        put!(out, "- Decisions:");
    }
    for d in &r.decisions {
        put!(out, "  - {} UTC, {}: {}", d.at.date_clock(), inline(&d.by), inline(&d.text));
        for (by, text) in &d.objections {
            put!(out, "    - {} objected: {}", inline(by), inline(text));
        }
        if let Some(outcome) = &d.outcome {
            put!(out, "    - Outcome: {}", inline(outcome));
        }
    }
    if !r.mitigations.is_empty() {
        put!(out, "- Mitigations tried, in order:");
        for (when, text) in &r.mitigations {
            put!(out, "  - {} UTC: {}", when.date_clock(), inline(text));
        }
    }
    if r.updates.is_empty() {
        put!(out, "- Updates to stakeholders: none were recorded.");
    } else {
        put!(out, "- Updates to stakeholders:");
    }
    for u in &r.updates {
        let promised = u.next_due.map(|t| format!(" (next promised by {} UTC)", t.date_clock())).unwrap_or_default();
        put!(out, "  - {} UTC, {}: {}{promised}", u.at.date_clock(), u.audience.word(), inline(&u.text));
    }
    put!(out, "");
}

fn causes(out: &mut String, r: &Report) {
    put!(out, "## 6. Trigger, fault, contributing factors\n");
    put!(out, "### What the evidence shows, in order\n");
    let telling: Vec<&CitedFinding> =
        r.findings.iter().filter(|f| matches!(f.kind, FindingKind::Moved | FindingKind::Pattern)).collect();
    let around = |kinds: &[FindingKind]| r.findings.iter().filter(|f| kinds.contains(&f.kind)).collect::<Vec<&CitedFinding>>();
    let changes = around(&[FindingKind::Change]);
    let places = around(&[FindingKind::Suspect, FindingKind::Dependency, FindingKind::Saturation, FindingKind::Expiring]);
    if telling.is_empty() {
        put!(out, "{}\n", unknown(r));
    }
    for (i, f) in telling.iter().enumerate() {
        put!(out, "{}. {}", i + 1, finding(f));
    }
    put!(out, "\nComputed by rules; what moved first is where to look first, and no proof of cause.\n");
    for (title, list) in [("What was changed around the start", changes), ("Where it may have begun, by rules", places)] {
        if list.is_empty() {
            continue;
        }
        put!(out, "### {title}\n");
        for f in list {
            put!(out, "- {}", finding(f));
        }
        put!(out, "");
    }
    put!(out, "### What people concluded\n");
    if r.hypotheses.is_empty() {
        put!(out, "{}", unknown(r));
    }
    for h in &r.hypotheses {
        let why = h.reason.as_ref().map(|w| format!(": {}", inline(w))).unwrap_or_default();
        put!(out, "- {} UTC, {}, {}{why}: {}", h.at.date_clock(), inline(&h.by), h.state(), inline(&h.text));
    }
    let against: Vec<&CitedFinding> = (r.findings.iter())
        .filter(|f| {
            matches!(f.kind, FindingKind::Unchanged | FindingKind::Against)
                || (f.kind != FindingKind::Suspect && !f.against.is_empty())
        })
        .collect();
    if !against.is_empty() {
        put!(out, "\n### What speaks against other theories\n");
        for f in against {
            put!(out, "- {}", finding(f));
        }
    }
    if let Some(d) = &r.draft {
        draft(out, d);
    }
    put!(out, "");
}

fn draft(out: &mut String, d: &Draft) {
    let state = d.accepted_by.as_ref().map_or_else(
        || "**AI draft, not accepted by a person**".to_owned(),
        |p| format!("Drafted by a model, accepted by {}", inline(p)),
    );
    put!(out, "\n### Drafted by a model\n");
    let partial = if d.partial { "; the answer ends early" } else { "" };
    put!(
        out,
        "> {state}: {}, prompt {} version {}, entry {}{partial}. Checked by code: {}.",
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
    put!(out, "## 7. Resolution and recovery\n");
    put!(out, "- Time to mitigate, from the start of the impact: {}.", secs(r.durations.mitigate_secs));
    put!(out, "- Time to resolve, from the start of the impact: {}.", secs(r.durations.resolve_secs));
    if r.resolution_steps.is_empty() {
        put!(out, "- What stopped the harm and what fixed it: {}", unknown(r));
    }
    list(out, &r.resolution_steps);
    if let Some(exit) = &r.exit {
        put!(out, "- Exit criteria: {}.", inline(exit));
        match &r.exit_reading {
            Some(read) => {
                let tag = read.reading.evidence.map(|e| format!(" [{e}]")).unwrap_or_default();
                let met = if read.reading.met { "met" } else { "not met" };
                put!(out, "- Last reading, {} UTC: {met}, {}{tag}.", read.at.date_clock(), inline(&read.reading.why));
            }
            None => put!(out, "- They were never read."),
        }
    }
    put!(out, "");
}

fn timeline(out: &mut String, r: &Report) {
    put!(out, "## 8. Timeline\n\nAll times in UTC. Facts only.\n");
    put!(out, "| Time (UTC) | Who | Kind | What | Evidence |\n|---|---|---|---|---|");
    for row in &r.timeline {
        if let Some(gap) = row.gap_before_secs {
            put!(out, "| | | | _{} without an entry_ | |", secs(Some(gap)));
        }
        let who = match row.actor_kind {
            ActorKind::Human => inline(&row.actor),
            ActorKind::Ai => format!("AI ({})", inline(&row.actor)),
            ActorKind::System => "system".to_owned(),
        };
        let mut what = inline(&row.text);
        if let Some(original) = &row.original {
            what.push_str(&format!(" _(first: {})_", inline(original)));
        }
        if row.backdated {
            what.push_str(&format!(" _(written {})_", row.recorded_at.date_clock()));
        }
        let shown: Vec<String> = row.evidence.iter().take(8).map(|e| format!("[{e}]")).collect();
        let more = if row.evidence.len() > 8 { format!(" +{}", row.evidence.len() - 8) } else { String::new() };
        put!(out, "| {} | {who} | {} | {what} | {}{more} |", row.at.date_clock(), row.kind.replace('_', " "), shown.join(" "));
    }
    put!(out, "");
}

fn actions(out: &mut String, r: &Report) {
    put!(out, "## 9. Action items\n");
    if r.action_items.is_empty() {
        put!(out, "{}\n", unknown(r));
    } else {
        put!(
            out,
            "| Id | Action | Scope | Kind | Owner | Priority | Due | Ticket | State |\n|---|---|---|---|---|---|---|---|---|"
        );
        for a in &r.action_items {
            let or = |v: &Option<String>| v.as_deref().map_or_else(|| "missing".to_owned(), inline);
            let is_task = a.scope == crate::incident::ActionScope::Incident;
            let date = if is_task { "-".to_owned() } else { or(&a.due) };
            let result = a.result.as_deref().map(|t| format!(": {}", inline(t))).unwrap_or_default();
            put!(
                out,
                "| {} | {} | {} | {} | {} | {} | {date} | {} | {}{result} |",
                a.id,
                inline(&a.text),
                a.scope.word(),
                a.kind.word(),
                or(&a.owner),
                a.priority.as_deref().map_or_else(|| "-".to_owned(), inline),
                a.ticket.as_deref().map_or_else(|| "-".to_owned(), inline),
                a.state.word().replace('_', " ")
            );
        }
        put!(out, "");
    }
    for (seq, text) in &r.todos {
        put!(out, "- TODO of entry {seq}, not yet an action item: {}", inline(text));
    }
    put!(out, "Sections left out: background and lead-up, messages to customers (nothing recorded for them).\n");
}

fn appendix(out: &mut String, r: &Report) {
    put!(out, "## 10. Appendix\n\n### Evidence\n");
    if r.evidence.is_empty() {
        put!(out, "None was gathered.\n");
    } else {
        put!(out, "| Id | Kind | Source | What | Window | Taken | Shown | SHA-256 |\n|---|---|---|---|---|---|---|---|");
        for e in &r.evidence {
            let rec = &e.record;
            let whole = if rec.complete { "" } else { ", not complete" };
            put!(
                out,
                "| {} | {} | {} | {} | {} | {} UTC | {} of {}{whole} | {} |",
                rec.id,
                rec.kind.word(),
                inline(&rec.source),
                inline(&rec.summary),
                rec.window.label(),
                rec.taken_at.date_clock(),
                rec.shown,
                rec.total,
                code(rec.digest.get(..12).unwrap_or(""))
            );
        }
        put!(out, "\n### Queries and readings\n");
        for e in &r.evidence {
            put!(out, "#### {} {}\n", e.record.id, inline(&e.record.summary));
            put!(out, "{}", block(&e.record.query));
            for gap in &e.record.gaps {
                put!(out, "Not complete: {}\n", inline(gap));
            }
            for (title, line) in &e.sparklines {
                put!(out, "{} {}\n", code(line), inline(title));
            }
            match &e.excerpt {
                Some(text) => put!(out, "{}", block(text)),
                None => put!(out, "The body is not in this store.\n"),
            }
        }
    }
    put!(out, "### Sources asked\n");
    if r.sources.is_empty() {
        put!(out, "None.\n");
    }
    for s in &r.sources {
        let state = match s.status {
            SourceStatus::Ok => "answered".to_owned(),
            _ => format!("did not answer in full: {}", inline(s.error.as_deref().unwrap_or(""))),
        };
        put!(out, "- {} ({}): {state}", inline(&s.name), inline(&s.kind));
    }
    put!(out, "\n### Definitions\n");
    for (name, meaning) in crate::incident::milestone::DEFINITIONS {
        put!(out, "- {}: {meaning}.", capital(name));
    }
    for (severity, meaning) in &r.severity_matrix {
        put!(out, "- {severity}: {}", inline(meaning));
    }
    put!(out, "\n### Questions to models and rules\n");
    if r.ai_runs.is_empty() {
        put!(out, "None.");
    } else {
        put!(out, "| Entry | Prompt | Answered by | Tokens in, out | Check |\n|---|---|---|---|---|");
        for a in &r.ai_runs {
            let by = match a.source {
                AnswerSource::Llm => inline(a.model.as_deref().unwrap_or("a model")),
                AnswerSource::Rules => "rules".to_owned(),
            };
            let n = |v: Option<u64>| v.map_or_else(|| "unknown".to_owned(), |v| v.to_string());
            put!(
                out,
                "| {} | {} {} | {by} | {}, {} | {} |",
                a.seq,
                inline(&a.prompt),
                a.prompt_version,
                n(a.prompt_tokens),
                n(a.completion_tokens),
                inline(&a.verdict)
            );
        }
    }
}
