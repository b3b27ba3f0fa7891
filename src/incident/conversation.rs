//! Conversations with the assistant: threads of answers. Each answer names the one that it follows, so that a thread can be forked
//! from any answer and keeps what came before.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::ids::seq_label;
use super::state::{Incident, RecordedAnswer};

/// The thread of answers that name no other.
pub const MAIN_THREAD: &str = "main";

/// The thread of drafts that were reworded. They do not follow each other.
pub const DRAFTS_THREAD: &str = "drafts";

/// A thread of answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    pub name: String,
    /// The number of its own answers, without those before a fork.
    pub answers: usize,
    /// The entry of its most recent answer.
    pub last: u64,
}

/// Parses the name of a thread: letters, digits, `-`, `_` and `.`, at most 40. The error is for the command line.
pub fn thread_arg(text: &str) -> Result<String, String> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.chars().count() > 40 || !text.chars().all(is_part) {
        return Err(format!("'{text}' is not a name for a thread; use up to 40 letters, digits, -, _ and ."));
    }
    Ok(text.to_owned())
}

/// The name of the thread that an answer belongs to.
pub fn thread_of(answer: &Answer) -> &str {
    answer.turn.as_ref().map_or(MAIN_THREAD, |t| t.thread.as_str())
}

impl Incident {
    /// The threads, in the order in which they began. Empty if nothing was asked.
    pub fn threads(&self) -> Vec<Thread> {
        let mut threads: Vec<Thread> = Vec::new();
        for recorded in &self.answers {
            let name = thread_of(&recorded.answer);
            match threads.iter_mut().find(|t| t.name == name) {
                Some(known) => (known.answers, known.last) = (known.answers + 1, recorded.seq),
                None => threads.push(Thread { name: name.to_owned(), answers: 1, last: recorded.seq }),
            }
        }
        threads
    }

    /// The most recent answer of a thread; `None` if the thread does not exist.
    pub fn latest_answer(&self, thread: &str) -> Option<&RecordedAnswer> {
        self.answers.iter().rev().find(|a| thread_of(&a.answer) == thread)
    }

    /// The answer of an entry.
    pub fn answer_at(&self, seq: u64) -> Option<&RecordedAnswer> {
        self.answers.iter().find(|a| a.seq == seq)
    }

    /// An answer and those before it in its conversation, oldest first. Empty if the entry is not an answer.
    pub fn conversation(&self, seq: u64) -> Vec<&RecordedAnswer> {
        let mut chain = Vec::new();
        let mut next = self.answer_at(seq);
        while let Some(recorded) = next {
            chain.push(recorded);
            let before = recorded.answer.turn.as_ref().and_then(|t| t.follows);
            // An answer follows an earlier one, so this ends whatever the entries say.
            next = before.filter(|b| b.seq < recorded.seq).and_then(|b| self.answer_at(b.seq));
        }
        chain.reverse();
        chain
    }

    /// What a thread shows, oldest first: its latest answer with the conversation that led to it, and its other answers, such as
    /// those that were asked anew.
    pub fn thread_answers(&self, thread: &str) -> Vec<&RecordedAnswer> {
        let Some(latest) = self.latest_answer(thread) else { return Vec::new() };
        let chain: Vec<u64> = self.conversation(latest.seq).iter().map(|a| a.seq).collect();
        self.answers.iter().filter(|a| thread_of(&a.answer) == thread || chain.contains(&a.seq)).collect()
    }

    /// A name for a thread that is forked from an entry: `main-2` for the first fork of `main`.
    pub fn fork_name(&self, from: &str) -> String {
        let taken = self.threads();
        let mut number = 2;
        loop {
            let name = format!("{from}-{number}");
            if taken.iter().all(|t| t.name != name) {
                return name;
            }
            number += 1;
        }
    }
}

/// Where a new answer goes: its thread, and the answer that it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub thread: String,
    pub follows: Option<u64>,
}

impl Incident {
    /// Where the answer to a question goes. Without `follows` it continues the thread, which begins if it does not exist. With
    /// `follows` it continues there: in the same thread if that is its latest answer, else in a fork.
    ///
    /// # Errors
    /// A message if `follows` is not an answer of this incident.
    pub fn place(&self, thread: Option<&str>, follows: Option<u64>) -> Result<Place, String> {
        let Some(seq) = follows else {
            let thread = thread.unwrap_or(MAIN_THREAD);
            return Ok(Place { thread: thread.to_owned(), follows: self.latest_answer(thread).map(|a| a.seq) });
        };
        let from = self.answer_at(seq).ok_or_else(|| format!("entry {} of {} is not an answer", seq_label(seq), self.id()))?;
        let own = thread_of(&from.answer);
        let is_latest = self.latest_answer(own).is_some_and(|a| a.seq == seq);
        let thread = match thread {
            Some(thread) => thread.to_owned(),
            None if is_latest => own.to_owned(),
            None => self.fork_name(own),
        };
        Ok(Place { thread, follows: Some(seq) })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::incident::answer::{EntryRef, Turn};
    use crate::incident::state::tests::{declared, entries};
    use crate::incident::{AnswerSource, Fact, Usage};

    pub(crate) fn answer(thread: &str, follows: Option<u64>) -> Answer {
        Answer {
            answer: "The pool is full [E1].".into(),
            citations: vec![],
            claims: vec![],
            usage: Usage::default(),
            model: Some("m".into()),
            source: AnswerSource::Llm,
            fallback_reason: None,
            prompt: "question".into(),
            prompt_version: String::new(),
            persona: String::new(),
            question: Some("why?".into()),
            partial: false,
            sent: None,
            asked_model: None,
            url: None,
            notices: vec![],
            headings: vec![],
            cost: None,
            turn: Some(Box::new(Turn {
                thread: thread.into(),
                follows: follows.map(|seq| EntryRef { seq }),
                carried: None,
                panel: None,
            })),
        }
    }

    /// Entries 2 to 5: two answers in `main`, a fork from the first, and an answer in the fork.
    fn incident() -> Incident {
        let turns = [("main", None), ("main", Some(2)), ("other", Some(2)), ("other", Some(4))];
        let answers = turns.map(|(thread, follows)| Fact::AiRun { answer: answer(thread, follows) });
        Incident::fold(entries([declared()].into_iter().chain(answers).collect())).unwrap()
    }

    #[test]
    fn a_fork_keeps_what_came_before_it() {
        let i = incident();
        let seqs = |found: Vec<&RecordedAnswer>| found.iter().map(|a| a.seq).collect::<Vec<_>>();
        assert_eq!(seqs(i.conversation(5)), [2, 4, 5]);
        assert_eq!(seqs(i.thread_answers("other")), [2, 4, 5]);
        assert_eq!(seqs(i.thread_answers("main")), [2, 3]);
        assert!(i.thread_answers("none").is_empty() && i.conversation(1).is_empty());
        let names: Vec<String> = i.threads().into_iter().map(|t| t.name).collect();
        assert_eq!(names, ["main", "other"]);
    }

    #[test]
    fn a_question_continues_its_thread_or_forks() {
        let i = incident();
        let place = |thread, follows| i.place(thread, follows).unwrap();
        let at = |thread: &str, follows| Place { thread: thread.into(), follows };
        assert_eq!(place(None, None), at("main", Some(3)));
        assert_eq!(place(Some("new"), None), at("new", None));
        assert_eq!(place(None, Some(5)), at("other", Some(5)));
        assert_eq!(place(None, Some(2)), at("main-2", Some(2)));
        assert_eq!(place(Some("x"), Some(2)), at("x", Some(2)));
        assert!(i.place(None, Some(1)).unwrap_err().contains("is not an answer"));
    }
}
