//! Mitigations that the assistant's latest answer and the matching playbooks propose.

use std::sync::OnceLock;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use regex::Regex;

use super::{Check, Library, matches};
use crate::incident::command::NewMitigation;
use crate::incident::{AnswerSource, ExitCriteria, Incident, Risk};

/// The default time for which the condition of a mitigation must hold, in seconds.
pub const HOLDS_FOR_SECS: u64 = 300;
/// The number of matching playbooks whose steps are proposed.
const MAX_PLAYBOOKS: usize = 3;
/// The largest number of mitigations that are taken from one answer.
const MAX_FROM_ANSWER: usize = 12;

/// A suggested mitigation that is not yet a card.
#[derive(Clone, Debug, PartialEq)]
pub enum Suggestion {
    /// A card as the assistant's answer describes it; what the answer does not say is missing.
    Card(NewMitigation),
    /// A step of a playbook that changes something and says how to undo and to verify it. Running it makes the card.
    Step { playbook: String, number: usize, title: String },
}

/// What the assistant's latest answer proposes, in its order, and then the steps of the playbooks that match the alerts.
pub fn suggestions(incident: &Incident, library: &Library) -> Vec<Suggestion> {
    let answer = incident.answers.iter().rev().find(|a| a.answer.source == AnswerSource::Llm);
    let mut all: Vec<Suggestion> = answer
        .into_iter()
        .flat_map(|a| {
            let origin = a.answer.model.as_ref().map_or_else(|| "the assistant".to_owned(), |m| format!("the assistant ({m})"));
            mitigations_in(&a.answer.answer).into_iter().map(move |new| NewMitigation { origin: Some(origin.clone()), ..new })
        })
        .filter(|new| incident.cards.iter().all(|c| c.text != new.text))
        .map(Suggestion::Card)
        .collect();
    for found in matches(library, &incident.alerts).into_iter().take(MAX_PLAYBOOKS) {
        let mitigates =
            |block: &super::Block| block.changes() && block.undo.is_some() && matches!(block.verify, Some(Check::Query { .. }));
        let steps = found.playbook.steps.iter().filter(|s| s.blocks.iter().any(mitigates));
        all.extend(steps.map(|s| Suggestion::Step {
            playbook: found.playbook.id.clone(),
            number: s.number,
            title: s.title.clone(),
        }));
    }
    all
}

/// The list items below headings about mitigations in the Markdown of an answer. `Risk:`, `Undo:` and `Verify:` in an item become fields;
/// a risk that is not given is medium.
pub fn mitigations_in(markdown: &str) -> Vec<NewMitigation> {
    let (mut heading, mut is_heading, mut is_about, mut depth) = (String::new(), false, false, 0_usize);
    let (mut item, mut items) = (String::new(), Vec::new());
    for event in Parser::new(markdown) {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                (is_heading, depth) = (true, 0);
                heading.clear();
            }
            Event::End(TagEnd::Heading(_)) => {
                is_heading = false;
                is_about = heading.to_lowercase().contains("mitigation");
            }
            Event::Start(Tag::Item) => {
                depth += 1;
                item.push('\n');
            }
            Event::End(TagEnd::Item) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    items.push((is_about, std::mem::take(&mut item)));
                }
            }
            Event::Text(text) if is_heading => heading.push_str(&text),
            Event::Text(text) if depth > 0 => item.push_str(&text),
            Event::Code(code) if depth > 0 => item.push_str(&format!("`{code}`")),
            Event::SoftBreak | Event::HardBreak | Event::End(TagEnd::Paragraph) if depth > 0 => item.push('\n'),
            _ => {}
        }
    }
    let about = items.into_iter().filter(|(is_about, text)| *is_about && !text.trim().is_empty());
    about.take(MAX_FROM_ANSWER).filter_map(|(_, text)| mitigation_from(&text)).collect()
}

/// A mitigation from the text of a list item. `None` if it has only fields.
pub(super) fn mitigation_from(text: &str) -> Option<NewMitigation> {
    let labels: Vec<(usize, usize, String)> = label_pattern()
        .captures_iter(text)
        .filter_map(|c| Some((c.get(0)?.start(), c.get(0)?.end(), c.get(1)?.as_str().to_lowercase())))
        .collect();
    let end = labels.first().map_or(text.len(), |(start, ..)| *start);
    let tidy =
        |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ").trim_matches([' ', ';', ',', '.', '-']).to_owned();
    let what = tidy(text.get(..end)?);
    let mut new = NewMitigation::new(what, Risk::Medium);
    for (n, (_, from, label)) in labels.iter().enumerate() {
        let until = labels.get(n + 1).map_or(text.len(), |(start, ..)| *start);
        let value = tidy(text.get(*from..until)?);
        match label.as_str() {
            "risk" => {
                let level = value.split(|c: char| !c.is_alphabetic()).find_map(|word| word.parse().ok());
                new.risk = level.unwrap_or(new.risk);
            }
            "verify" | "verification" | "metric" => new.verify = criteria(&value),
            _ => new.undo = Some(value).filter(|v| !v.is_empty()),
        }
    }
    (!new.text.is_empty()).then_some(new)
}

/// What must hold, from `query < threshold`, in backticks or not. `None` if it is not a condition that can be read.
fn criteria(text: &str) -> Option<ExitCriteria> {
    let quoted = text.split('`').nth(1);
    let Ok(Check::Query { expression, condition }) = Check::parse(quoted.unwrap_or(text), false) else { return None };
    let (comparison, threshold) = (condition.comparison, condition.threshold);
    Some(ExitCriteria { expression, comparison, threshold, for_secs: HOLDS_FOR_SECS, source: None })
}

fn label_pattern() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| {
        Regex::new(r"(?i)\b(risk|undo|how to undo(?: it)?|rollback|verify|verification|metric)\s*:\s*")
            .unwrap_or_else(|e| unreachable!("{e}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Comparison;

    #[test]
    fn reads_the_mitigations_of_an_answer() {
        let answer = "## Root cause\n\n- roll back? Risk: none\n\n## Immediate mitigations\n\n\
            1. **Roll back checkout to 1.41.3** [E6]. Risk: low. Undo: deploy 1.42.0 again.\n   Verify: `sum(rate(errors[1m])) < 0.01`\n\
            2. Raise the pool to 40\n   - **Risk**: high, the database has 100 connections\n   - **How to undo it**: set it back to 20\n   - Metric: the pool is less full\n\
            3. Restart the pods\n\n## Long-term prevention\n\n- Add an alert. Undo: x\n";
        let found = mitigations_in(answer);
        let texts: Vec<&str> = found.iter().map(|m| m.text.as_str()).collect();
        assert_eq!(texts, ["Roll back checkout to 1.41.3 [E6]", "Raise the pool to 40", "Restart the pods"]);
        let [first, second, third] = found.as_slice() else { panic!() };
        assert_eq!((first.risk, first.undo.as_deref()), (Risk::Low, Some("deploy 1.42.0 again")));
        let verify = first.verify.as_ref().unwrap();
        assert_eq!(
            (verify.expression.as_str(), verify.comparison, verify.threshold),
            ("sum(rate(errors[1m]))", Comparison::Below, 0.01)
        );
        assert_eq!((second.risk, second.undo.as_deref(), &second.verify), (Risk::High, Some("set it back to 20"), &None));
        assert_eq!((third.risk, &third.undo), (Risk::Medium, &None));
        assert!(mitigations_in("").is_empty() && mitigations_in("## Mitigations\n\nNone.\n\n- Risk: low\n").is_empty());
    }
}
