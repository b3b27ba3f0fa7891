//! Finds what the assistant's answers propose: hypotheses, verdicts on hypotheses, mitigations, action items, updates and a severity.
//! What a list item is follows from the heading above it. An answer in another language has the headings that the prompt asked for in their
//! order, so that each is known by its place.

use std::sync::OnceLock;

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};
use regex::Regex;

use super::suggestions::mitigation_from;
use crate::incident::proposal::{Proposal, Proposed};
use crate::incident::state::RecordedAnswer;
use crate::incident::{ActionKind, AnswerSource, Incident, Severity, Verdict};
use crate::telemetry::clean;

/// The longest text of a proposal, in characters.
const MAX_TEXT: usize = 1000;
/// The largest number of proposals of one answer.
const MAX_PROPOSALS: usize = 60;

/// What the text below a heading is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Hypotheses,
    Mitigations,
    Actions(ActionKind),
    Updates,
    Severity,
    Other,
}

impl Topic {
    fn of(heading: &str) -> Self {
        let heading = heading.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|w| heading.contains(w));
        if has(&["mitigation"]) {
            Self::Mitigations
        } else if has(&["hypothes", "root cause", "root-cause", "likely cause", "possible cause", "theor"]) {
            Self::Hypotheses
        } else if has(&["process", "documentation"]) {
            Self::Actions(ActionKind::Process)
        } else if has(&["alert rule", "alerting", "what was missing"]) {
            Self::Actions(ActionKind::Detect)
        } else if has(&["prevention", "action item", "follow-up", "preventive"]) {
            Self::Actions(ActionKind::Prevent)
        } else if has(&["communication", "stakeholder", "status update"]) {
            Self::Updates
        } else if has(&["severity"]) {
            Self::Severity
        } else {
            Self::Other
        }
    }
}

/// A list item, paragraph or heading of an answer.
#[derive(Debug)]
struct Block {
    topic: Topic,
    /// A heading inside a section about hypotheses names one.
    is_heading: bool,
    is_item: bool,
    /// Below such a heading, items are details of it.
    is_detail: bool,
    text: String,
    start: usize,
    end: usize,
}

/// The proposals of an answer, in its order. Empty for the built-in rules and for an answer without any.
pub fn proposals(incident: &Incident, recorded: &RecordedAnswer) -> Vec<Proposal> {
    let answer = &recorded.answer;
    if answer.source == AnswerSource::Rules {
        return Vec::new();
    }
    let make = |start: usize, end: usize, text: String, proposed: Proposed| Proposal {
        seq: recorded.seq,
        number: 0,
        start,
        end,
        text,
        model: answer.model.clone().unwrap_or_else(|| "the assistant".to_owned()),
        proposed,
    };
    if answer.prompt == "update" && !answer.answer.trim().is_empty() {
        return vec![Proposal { number: 1, ..make(0, answer.answer.len(), answer.answer.trim().to_owned(), Proposed::Update) }];
    }
    let blocks = blocks(&answer.answer, &answer.headings);
    let has_items = |topic: Topic| blocks.iter().any(|b| b.topic == topic && (b.is_item || b.is_heading));
    let mut has_severity = false;
    let mut found: Vec<Proposal> = Vec::new();
    for block in &blocks {
        let text = tidy(&block.text);
        if let Some((seq, verdict, reason)) =
            verdict_in(&text).filter(|(seq, ..)| incident.hypotheses.iter().any(|h| h.seq == *seq))
        {
            found.push(make(block.start, block.end, reason, Proposed::Verdict { seq, verdict }));
            continue;
        }
        let is_listed = block.is_item || block.is_heading || !has_items(block.topic);
        if block.is_detail || !is_listed || !says_something(&text) {
            continue;
        }
        let proposed = match block.topic {
            Topic::Hypotheses => Some((hypothesis(&text), Proposed::Hypothesis)),
            Topic::Mitigations if block.is_item => {
                mitigation_from(&block.text).map(|new| (new.text.clone(), Proposed::Mitigation { new: Box::new(new) }))
            }
            Topic::Actions(action_kind) if block.is_item => Some((text, Proposed::Action { action_kind })),
            Topic::Updates if block.is_item => Some((text, Proposed::Update)),
            Topic::Severity if !has_severity => severity_in(&text).map(|severity| (text, Proposed::Severity { severity })),
            _ => None,
        };
        if let Some((text, proposed)) = proposed {
            has_severity |= matches!(proposed, Proposed::Severity { .. });
            found.push(make(block.start, block.end, clean::truncate(&text, MAX_TEXT), proposed));
        }
    }
    found.truncate(MAX_PROPOSALS);
    for (n, proposal) in found.iter_mut().enumerate() {
        proposal.number = n + 1;
    }
    found
}

/// The outermost headings of an answer: where each begins.
fn outermost_headings(markdown: &str) -> Vec<usize> {
    let headings: Vec<(HeadingLevel, usize)> = Parser::new(markdown)
        .into_offset_iter()
        .filter_map(
            |(event, range)| if let Event::Start(Tag::Heading { level, .. }) = event { Some((level, range.start)) } else { None },
        )
        .collect();
    let top = headings.iter().map(|(level, _)| *level).min();
    headings.into_iter().filter(|(level, _)| Some(*level) == top).map(|(_, at)| at).collect()
}

/// The outer list items, paragraphs, and headings inside sections about hypotheses. `asked` are the headings that the prompt asked for.
fn blocks(markdown: &str, asked: &[String]) -> Vec<Block> {
    let outermost = outermost_headings(markdown);
    // As many as were asked for: each is the one at its place, in whatever language.
    let asked_at = |at: usize| {
        let place = outermost.iter().position(|start| *start == at).filter(|_| outermost.len() == asked.len())?;
        asked.get(place).map(|heading| Topic::of(heading))
    };
    // The headings above the current text, outermost first.
    let mut above: Vec<(HeadingLevel, Topic)> = Vec::new();
    let (mut is_heading, mut is_detail) = (false, false);
    let (mut depth, mut text, mut out) = (0_usize, String::new(), Vec::new());
    for (event, range) in Parser::new(markdown).into_offset_iter() {
        let topic = above.iter().rev().map(|(_, t)| *t).find(|t| *t != Topic::Other).unwrap_or(Topic::Other);
        let block = |text: &str, is_heading, is_item, is_detail| {
            // The range of a block includes the line breaks behind it.
            let end = range.start + markdown.get(range.clone()).map_or(0, |t| t.trim_end().len());
            Block { topic, is_heading, is_item, is_detail, text: text.to_owned(), start: range.start, end }
        };
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                above.retain(|(l, _)| *l < level);
                (is_heading, depth) = (true, 0);
                text.clear();
            }
            Event::End(TagEnd::Heading(level)) => {
                is_heading = false;
                let own = match Topic::of(&text) {
                    Topic::Other => asked_at(range.start).unwrap_or(Topic::Other),
                    own => own,
                };
                let outer = topic;
                is_detail = outer == Topic::Hypotheses && matches!(own, Topic::Hypotheses | Topic::Other);
                if is_detail {
                    out.push(block(&text, true, false, false));
                }
                above.push((level, own));
                text.clear();
            }
            Event::Start(Tag::Item) => {
                depth += 1;
                text.push('\n');
            }
            Event::End(TagEnd::Item) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    out.push(block(&text, false, true, is_detail));
                    text.clear();
                }
            }
            Event::End(TagEnd::Paragraph) if depth == 0 => {
                out.push(block(&text, false, false, is_detail));
                text.clear();
            }
            Event::Text(part) | Event::Code(part) if is_heading => text.push_str(&part),
            Event::Text(part) => text.push_str(&part),
            Event::Code(code) => text.push_str(&format!("`{code}`")),
            Event::SoftBreak | Event::HardBreak | Event::End(TagEnd::Paragraph) => text.push('\n'),
            _ => {}
        }
    }
    out
}

fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a text proposes anything: not "None." or "No further actions."
fn says_something(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_empty = ["none", "no ", "n/a", "nothing"].iter().any(|w| lower.starts_with(w));
    let is_admission = ["not known", "unknown", "unclear", "not clear", "no evidence"].iter().any(|w| lower.contains(w));
    !is_empty && !is_admission && text.split_whitespace().count() >= 2
}

/// A hypothesis without its number: `Hypothesis 2 (likely): the pool` becomes `the pool`.
fn hypothesis(text: &str) -> String {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        Regex::new(r"(?i)^(?:(?:hypothesis|theory)\s*\d*|h\d+|\d+[.)])\s*(?:\([^)]*\))?\s*[:.–—-]?\s*")
            .unwrap_or_else(|e| unreachable!("{e}"))
    });
    let short = pattern.replace(text, "");
    if short.trim().is_empty() { text.to_owned() } else { short.into_owned() }
}

/// A verdict on a hypothesis by its entry: `#12 refuted: its latency is unchanged [E3]`.
fn verdict_in(text: &str) -> Option<(u64, Verdict, String)> {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        Regex::new(
            r"(?i)^(?:hypothesis\s+)?#(L?\d+)\s*(?:is\s+|:\s*|[–—-]\s*)?(supported|refuted)\b[\s:,.–—-]*(?:because[:\s]*)?(.*)$",
        )
        .unwrap_or_else(|e| unreachable!("{e}"))
    });
    let found = pattern.captures(text)?;
    let part = |n: usize| found.get(n).map_or("", |m| m.as_str());
    let seq = crate::incident::ids::parse_seq(part(1))?;
    let verdict = part(2).to_lowercase().parse().ok()?;
    let reason = if part(3).trim().is_empty() { text } else { part(3).trim() };
    Some((seq, verdict, reason.to_owned()))
}

fn severity_in(text: &str) -> Option<Severity> {
    let word = text.split(|c: char| !c.is_alphanumeric()).find(|w| w.len() == 4 && w.to_uppercase().starts_with("SEV"))?;
    word.to_uppercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::conversation::tests::answer;
    use crate::incident::state::tests::{declared, entries};

    /// What an answer to the troubleshoot prompt proposes: each kind with its text.
    fn proposed(asked: &[&str], text: &str) -> Vec<(&'static str, String)> {
        let mut answer = answer("main", None);
        (answer.answer, answer.headings) = (text.to_owned(), asked.iter().map(|h| (*h).to_owned()).collect());
        let incident = Incident::fold(entries(vec![declared(), crate::incident::Fact::AiRun { answer }])).unwrap();
        let found: Vec<Proposal> = incident.answers.iter().flat_map(|a| proposals(&incident, a)).collect();
        found.into_iter().map(|p| (p.proposed.word(), p.text)).collect()
    }

    #[test]
    fn headings_of_another_language_are_known_by_their_place() {
        let asked = ["Summary", "Root-cause hypotheses", "Prevention", "Stakeholder communication"];
        let text = "## Zusammenfassung\n\nDer Pool ist voll [E1].\n\n## Ursachen\n\n- Der Pool ist zu klein [E1].\n- Ein Leck im Dienst.\n\n\
            ## Vorbeugung\n\n- Einen Alarm auf den Pool setzen.\n\n### Einzelheiten\n\nEs eilt nicht.\n\n## Mitteilungen\n\n- Wir arbeiten daran.\n";
        let kinds = |found: Vec<(&'static str, String)>| found.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
        let found = proposed(&asked, text);
        assert_eq!(found[0].1, "Der Pool ist zu klein [E1].");
        assert_eq!(kinds(found), ["hypothesis", "hypothesis", "action item", "update"]);
        // With another number of headings, their places say nothing.
        assert!(proposed(&asked[..3], text).is_empty());
        assert!(proposed(&[], text).is_empty());
        // A heading that is known by its words is what it says.
        let moved = "## Root-cause hypotheses\n\n- The pool leaks [E1].\n\n## B\n\n- b b\n\n## C\n\n- c c\n\n## D\n\n- d d\n";
        assert_eq!(kinds(proposed(&asked, moved))[0], "hypothesis");
    }
}
