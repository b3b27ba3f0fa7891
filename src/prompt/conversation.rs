//! The earlier turns of a conversation, as chat messages within a share of the prompt's budget.
//!
//! A turn is carried in full, with only its supported statements, or not at all; the most recent ones come first. An answer that a
//! person accepted is pinned: it is never left out. Statements that the check flagged are marked, so that a model does not build
//! on its own mistakes.

use std::collections::BTreeSet;

use super::plan::{Message, PER_MESSAGE, Role};
use crate::evidence::tokens::Meter;
use crate::incident::answer::Carried;
use crate::incident::state::RecordedAnswer;
use crate::incident::{Answer, ClaimState, EvidenceId, cited_ids};
use crate::telemetry::clean;

/// The supported statements that are carried of a shortened answer.
const MAX_STATEMENTS: usize = 6;
/// The longest question or statement of a shortened turn, in characters.
const MAX_SHORT: usize = 280;

/// How much of a turn is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    LeftOut,
    Shortened,
    Whole,
}

/// A turn with its texts at each extent.
struct Candidate {
    whole: [Message; 2],
    short: [Message; 2],
    is_pinned: bool,
    extent: Extent,
}

impl Candidate {
    fn new(recorded: &RecordedAnswer) -> Self {
        let a = &recorded.answer;
        let question = a.question.clone().unwrap_or_else(|| format!("The prompt \"{}\".", a.prompt));
        let pair = |question: String, answer: String| {
            [Message { role: Role::User, content: question }, Message { role: Role::Assistant, content: answer }]
        };
        Self {
            short: pair(clean::truncate(&question, MAX_SHORT), statements(a)),
            whole: pair(question, with_doubts(a)),
            is_pinned: recorded.accepted_by.is_some(),
            extent: Extent::LeftOut,
        }
    }

    fn messages(&self, extent: Extent) -> &[Message] {
        match extent {
            Extent::LeftOut => &[],
            Extent::Shortened => &self.short,
            Extent::Whole => &self.whole,
        }
    }

    fn tokens(&self, extent: Extent, meter: Meter) -> u64 {
        self.messages(extent).iter().map(|m| meter.count(&m.content) + PER_MESSAGE).sum()
    }
}

/// The text of an answer, with a mark behind each sentence that the check flagged.
fn with_doubts(answer: &Answer) -> String {
    let mut out = answer.answer.clone();
    let mut ends: Vec<usize> = answer.claims.iter().filter(|c| c.is_flagged() && c.end > 0).map(|c| c.end).collect();
    ends.sort_unstable();
    for end in ends.into_iter().rev().filter(|end| answer.answer.is_char_boundary(*end)) {
        out.insert_str(end, " (the check did not find this in the evidence)");
    }
    out
}

/// The supported statements of an answer, as a list; its beginning if it has none.
fn statements(answer: &Answer) -> String {
    let supported = answer.claims.iter().filter(|c| c.state == ClaimState::Supported);
    let lines: Vec<String> = supported
        .take(MAX_STATEMENTS)
        .map(|c| format!("- {}", clean::truncate(&c.text.split_whitespace().collect::<Vec<_>>().join(" "), MAX_SHORT)))
        .collect();
    if lines.is_empty() {
        let prose = answer.answer.lines().filter(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#'));
        return clean::truncate(&prose.collect::<Vec<_>>().join(" "), MAX_SHORT);
    }
    format!("(shortened) {}", lines.join("\n"))
}

/// The earlier turns as messages, oldest first, and what was carried. Pinned turns are carried even if they exceed `budget`.
pub(super) fn carry(turns: &[&RecordedAnswer], budget: u64, meter: Meter) -> (Vec<Message>, Option<Carried>) {
    let mut all: Vec<Candidate> = turns.iter().map(|t| Candidate::new(t)).collect();
    let mut left = budget;
    let before: u64 = all.iter().map(|c| c.tokens(Extent::Whole, meter)).sum();
    for candidate in all.iter_mut().filter(|c| c.is_pinned) {
        candidate.extent = Extent::Shortened;
        left = left.saturating_sub(candidate.tokens(Extent::Shortened, meter));
    }
    // First something of each turn, then more of the most recent ones.
    for to in [Extent::Shortened, Extent::Whole] {
        for candidate in all.iter_mut().rev().filter(|c| c.extent < to) {
            let (has, needs) = (candidate.tokens(candidate.extent, meter), candidate.tokens(to, meter));
            let more = needs.saturating_sub(has);
            if more > left {
                // An older turn without the newer ones would be out of context.
                break;
            }
            (candidate.extent, left) = (to, left - more);
        }
    }
    let count = |extent| all.iter().filter(|c| c.extent == extent).count();
    let carried = Carried {
        whole: count(Extent::Whole),
        shortened: count(Extent::Shortened),
        left_out: count(Extent::LeftOut),
        tokens_before: before,
        tokens_after: all.iter().map(|c| c.tokens(c.extent, meter)).sum(),
    };
    let messages = all.iter().flat_map(|c| c.messages(c.extent).iter().cloned()).collect();
    (messages, (!all.is_empty()).then_some(carried))
}

/// The evidence that earlier turns and the question cite. It goes into the prompt first.
pub(super) fn cited(turns: &[&RecordedAnswer], question: Option<&str>) -> BTreeSet<EvidenceId> {
    let earlier = turns.iter().flat_map(|t| t.answer.citations.iter().filter(|c| c.ok).filter_map(|c| c.id.parse().ok()));
    earlier.chain(question.into_iter().flat_map(cited_ids)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Claim;
    use crate::incident::conversation::tests::answer;
    use crate::telemetry::Timestamp;

    fn turn(seq: u64, text: &str, is_accepted: bool) -> RecordedAnswer {
        let mut claim = Claim::new(text, if seq.is_multiple_of(2) { ClaimState::Supported } else { ClaimState::Uncited });
        claim.end = text.len();
        let question = Some(format!("question {seq}?"));
        let answer = Answer { answer: text.to_owned(), claims: vec![claim], question, turn: None, ..answer("main", None) };
        RecordedAnswer { seq, at: Timestamp::from_secs(0), answer, accepted_by: is_accepted.then(|| "ana".into()) }
    }

    #[test]
    fn flagged_sentences_are_marked_and_not_carried_as_statements() {
        let (messages, carried) = carry(&[&turn(1, "The moon did it.", false)], 1000, Meter::default());
        assert!(messages.iter().any(|m| m.content.ends_with("did it. (the check did not find this in the evidence)")));
        assert_eq!(carried.unwrap().whole, 1);
        assert_eq!(statements(&turn(2, "The pool is full [E1].", false).answer), "(shortened) - The pool is full [E1].");
        assert_eq!(carry(&[], 1000, Meter::default()), (vec![], None));
    }

    proptest::proptest! {
        /// Pinned turns are always carried, and the others only within the budget, the most recent ones first.
        #[test]
        fn compaction_never_drops_a_pinned_turn(
            turns in proptest::collection::vec(("\\PC{0,600}", proptest::bool::ANY), 0..12),
            budget in 0_u64..2000,
        ) {
            let turns: Vec<RecordedAnswer> = turns.iter().zip(2..).map(|((text, pin), n)| turn(n, text, *pin)).collect();
            let all: Vec<&RecordedAnswer> = turns.iter().collect();
            let meter = Meter::default();
            let (messages, carried) = carry(&all, budget, meter);
            let has = |t: &RecordedAnswer| messages.iter().any(|m| Some(&m.content) == t.answer.question.as_ref());
            proptest::prop_assert!(turns.iter().filter(|t| t.accepted_by.is_some()).all(has));
            let pinned: u64 = turns
                .iter()
                .filter(|t| t.accepted_by.is_some())
                .map(|t| Candidate::new(t).tokens(Extent::Shortened, meter))
                .sum();
            let tokens: u64 = messages.iter().map(|m| meter.count(&m.content) + PER_MESSAGE).sum();
            proptest::prop_assert!(tokens <= budget.max(pinned));
            proptest::prop_assert_eq!(carried.map_or(0, |c| c.tokens_after), tokens);
            let others: Vec<bool> = turns.iter().filter(|t| t.accepted_by.is_none()).map(has).collect();
            proptest::prop_assert!(others.is_sorted(), "an older turn is not carried without the newer ones");
        }
    }
}
