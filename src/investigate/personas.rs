//! Questions that several personas answer: one after the other, at the same time, or with a lead who reconciles their answers.

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, DeskError, Progress};
use crate::incident::answer::Panel;
use crate::incident::{Answer, Incident, IncidentId, Refusal};
use crate::prompt::Delta;
use crate::prompt::question::{Question, Together};

/// The prompt of the lead.
const LEAD_PROMPT: &str = "reconcile";
/// The largest number of personas that answer one question.
const MAX_PERSONAS: usize = 6;

impl Desk {
    /// Answers a question, by each of its personas, and records the answers in order. Without personas, or with one, there is one
    /// answer. Investigates first if that was not done yet. Cancelling records what has arrived.
    ///
    /// # Errors
    /// When the incident cannot be read, or the question is invalid. That a model does not answer is not an error.
    pub async fn ask_all(
        &self,
        id: IncidentId,
        question: &Question,
        sink: mpsc::Sender<Delta>,
        cancel: CancellationToken,
        progress: &Progress,
    ) -> Result<(Incident, Vec<Answer>), DeskError> {
        let personas = question.personas.len();
        if personas > MAX_PERSONAS {
            return Err(Refusal::invalid(format!("{personas} personas are too many"))
                .advise(format!("Ask at most {MAX_PERSONAS}."))
                .into());
        }
        let incident = self.prepare(id, question, &cancel, progress).await?;
        let alone: Vec<Question> = match question.personas.as_slice() {
            [] => vec![question.clone()],
            all => all.iter().map(|p| Question { personas: vec![p.clone()], ..question.clone() }).collect(),
        };
        if alone.len() == 1 || question.together == Together::Sequence {
            return Box::pin(self.in_sequence(incident, &alone, &sink, &cancel)).await;
        }
        let (mut incident, mut answers) = Box::pin(self.at_the_same_time(incident, &alone, &sink, &cancel)).await?;
        if question.together == Together::Lead && !cancel.is_cancelled() {
            let _closed = sink.send(Delta::Next(format!("{0} of {0}: the lead reconciles the answers", personas + 1))).await;
            let follows = answers.last().and(incident.answers.last()).map(|a| a.seq);
            let thread = answers.last().and_then(|a| a.turn.as_ref()).map(|t| t.thread.clone());
            let lead = Question { thread, follows, model: question.model.clone(), ..Question::new(LEAD_PROMPT) };
            let given = self.answer(&incident, &lead, &sink, &cancel).await?;
            let (next, answer) = self.record_answer(incident, &lead, given, None).await?;
            incident = next;
            answers.push(answer);
        }
        Ok((incident, answers))
    }

    /// Each persona sees the answers before.
    async fn in_sequence(
        &self,
        mut incident: Incident,
        questions: &[Question],
        sink: &mpsc::Sender<Delta>,
        cancel: &CancellationToken,
    ) -> Result<(Incident, Vec<Answer>), DeskError> {
        let mut answers: Vec<Answer> = Vec::new();
        for (n, question) in questions.iter().enumerate().take_while(|(n, _)| *n == 0 || !cancel.is_cancelled()) {
            let question = continued(question, answers.last());
            if questions.len() > 1 {
                let _closed = sink.send(Delta::Next(step(n, questions))).await;
            }
            let given = self.answer(&incident, &question, sink, cancel).await?;
            let (next, answer) = self.record_answer(incident, &question, given, None).await?;
            incident = next;
            answers.push(answer);
        }
        Ok((incident, answers))
    }

    /// No persona sees the others' answers. They are recorded one after the other, so that what follows sees them all.
    async fn at_the_same_time(
        &self,
        mut incident: Incident,
        questions: &[Question],
        sink: &mpsc::Sender<Delta>,
        cancel: &CancellationToken,
    ) -> Result<(Incident, Vec<Answer>), DeskError> {
        let count = questions.len();
        let done = std::sync::atomic::AtomicUsize::new(0);
        let _closed = sink.send(Delta::Waiting(format!("asking {count} personas"))).await;
        let asking = questions.iter().map(|question| {
            let (incident, done) = (&incident, &done);
            async move {
                // Only whole answers are shown: texts that arrive at the same time cannot be read.
                let (own, mut deltas) = mpsc::channel(64);
                let drain = async { while deltas.recv().await.is_some() {} };
                let answering = async {
                    let given = self.answer(incident, question, &own, cancel).await;
                    drop(own);
                    given
                };
                let (given, ()) = tokio::join!(answering, drain);
                let answered = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                let _closed = sink.send(Delta::Waiting(format!("{answered} of {count} personas have answered"))).await;
                given
            }
        });
        let given = join_all(asking).await;
        let mut answers: Vec<Answer> = Vec::new();
        for (n, (question, given)) in questions.iter().zip(given).enumerate() {
            let given = match given {
                // A cancelled persona must not take the answers of the others with it.
                Err(_) if cancel.is_cancelled() && (n + 1 < count || !answers.is_empty()) => continue,
                given => given?,
            };
            let question = continued(question, answers.last());
            let _closed = sink.send(Delta::Next(step(n, questions))).await;
            let _closed = sink.send(Delta::Text(given.text().to_owned())).await;
            let panel = Panel { number: n + 1, of: count };
            let (next, answer) = self.record_answer(incident, &question, given, Some(panel)).await?;
            incident = next;
            answers.push(answer);
        }
        Ok((incident, answers))
    }

    /// The persona that a name means: that of the prompt with this id, or the only one with this word, or else the name itself.
    pub(super) fn persona(&self, name: &str) -> String {
        if let Some(prompt) = self.library.get(name) {
            return prompt.persona.clone();
        }
        let word = name.to_lowercase();
        let mut found: Vec<&str> =
            self.library.all().map(|p| p.persona.as_str()).filter(|p| p.to_lowercase().split(' ').any(|w| w == word)).collect();
        found.dedup();
        match found.as_slice() {
            [only] => (*only).to_owned(),
            _ => name.to_owned(),
        }
    }
}

/// The question of the next persona: a fork, a fresh beginning and a window apply to the first, and the others continue from it.
fn continued(question: &Question, last: Option<&Answer>) -> Question {
    match last.and_then(|a| a.turn.as_ref()) {
        None => question.clone(),
        Some(turn) => {
            Question { thread: Some(turn.thread.clone()), follows: None, begins: false, window: None, ..question.clone() }
        }
    }
}

/// The title of an answer: `2 of 3: security`.
fn step(n: usize, questions: &[Question]) -> String {
    let persona = questions.get(n).and_then(|q| q.personas.first()).map_or("", String::as_str);
    format!("{} of {}: {persona}", n + 1, questions.len())
}
