//! Answers questions about an incident: plans the prompt, sends it to the model, checks the citations and records the answer.
//! If no model is configured, or the model fails, the built-in rules answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::assistant::Attempt;
use super::clock::now;
use super::desk::{Desk, DeskError, Progress, new_entries};
use crate::comms::{Draft, Hit, HitKind, customer_hits};
use crate::config::AssistantConfig;
use crate::evidence::body::{StoredBody, digest};
use crate::evidence::claims::check_claims_within;
use crate::evidence::mask::{Mask, Restorer};
use crate::evidence::outside::inert;
use crate::evidence::tokens::{Meter, estimate};
use crate::evidence::{Body, Redacted, Redactor, citations};
use crate::incident::answer::{Carried, EntryRef, Panel, Turn};
use crate::incident::conversation::{DRAFTS_THREAD, Place};
use crate::incident::{
    Actor, Answer, AnswerSource, Audience, CANCELLED, Certainty, ClaimState, EvidenceId, Fact, Incident, IncidentId, Refusal,
    Usage,
};
use crate::journal::Append;
use crate::llm::{self, ContextLimit, Llm, LlmError, Outcome, Sent};
use crate::prompt::library::ModelRole;
use crate::prompt::plan::AskOptions;
pub use crate::prompt::question::Question;
use crate::prompt::{Delta, Limits, PromptPlan, plan};
use crate::telemetry::Explain;

/// The limits that a prompt is planned for when no model is configured.
fn default_limits() -> Limits {
    Limits { context_tokens: 8192, answer_tokens: 2048, meter: Meter::default() }
}

/// How often a prompt is packed again because it did not fit.
const MAX_REPACKS: usize = 4;

/// No model is configured, which is an error if the question names one.
fn no_model<'a>(question: &Question) -> Result<Option<&'a AssistantConfig>, DeskError> {
    match &question.model {
        None => Ok(None),
        Some(name) => Err(Refusal::not_found(format!("there is no model '{name}'"))
            .advise("Add [assistant.models.NAME] to the configuration.")
            .into()),
    }
}

/// Where the answer to a question goes.
fn place_of(question: &Question, incident: &Incident) -> Result<Place, DeskError> {
    if question.draft.is_some() {
        return Ok(Place { thread: DRAFTS_THREAD.to_owned(), follows: None });
    }
    let place = incident.place(question.thread.as_deref(), question.follows).map_err(|why| {
        let list = format!("Run `warroom threads {}` to list the answers.", incident.id());
        Refusal::not_found(why).advise(list)
    })?;
    Ok(Place { follows: place.follows.filter(|_| !question.begins), ..place })
}

/// Numbers in a text, as written.
fn numbers(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | ':' | '%');
    let words = text.split(|c: char| !is_part(c)).map(|w| w.trim_matches(['.', ',', ':']));
    words.filter(|w| w.chars().any(|c| c.is_ascii_digit())).collect()
}

/// An answer that is not recorded yet.
pub(super) struct Given {
    answer: Answer,
    /// The messages that were sent; `None` if nothing was.
    sent: Option<StoredBody>,
    carried: Option<Carried>,
}

impl Given {
    /// The text of the answer.
    pub(super) fn text(&self) -> &str {
        &self.answer.answer
    }
}

impl Desk {
    /// Has the model reword a draft. What it wrote is checked like a draft, and each number that the draft does not have is a hit.
    ///
    /// # Errors
    /// If no model is configured or it does not answer.
    pub async fn improve_draft(&self, id: IncidentId, draft: Draft, cancel: CancellationToken) -> Result<Draft, DeskError> {
        let original = format!("{}\n\n{}", draft.subject, draft.text);
        let question = Question { text: "update".to_owned(), draft: Some(original.clone()), ..Question::default() };
        let (sink, mut deltas) = mpsc::channel(64);
        let drain = tokio::spawn(async move { while deltas.recv().await.is_some() {} });
        let progress: Progress = std::sync::Arc::new(|_| {});
        let (incident, answer) = self.ask(id, &question, sink, cancel, &progress).await?;
        let _drained = drain.await;
        if answer.source == AnswerSource::Rules {
            let why = answer.fallback_reason.unwrap_or_else(|| "no model answered".to_owned());
            return Err(Refusal::invalid(format!("the draft cannot be improved: {why}"))
                .advise("Send the draft as it is.")
                .into());
        }
        let text = crate::comms::without_tags(&crate::telemetry::clean::document(&answer.answer));
        let text = text.trim().trim_start_matches("```markdown").trim_matches('`').trim();
        let (subject, body) = match text.split_once("\n\n") {
            Some((first, rest)) if !first.contains('\n') => {
                (first.trim_start_matches('#').trim().to_owned(), rest.trim().to_owned())
            }
            _ => (draft.subject.clone(), text.to_owned()),
        };
        let mut hits = if draft.audience == Audience::External {
            customer_hits(&incident, draft.stage, &body, &self.names(&incident))
        } else {
            Vec::new()
        };
        let known = numbers(&original);
        for number in numbers(&format!("{subject}\n{body}")).into_iter().filter(|n| !known.contains(n)) {
            let start = body.find(number).unwrap_or(0);
            hits.push(Hit {
                kind: HitKind::Number,
                text: number.to_owned(),
                start,
                end: start + number.len(),
                reason: "The draft does not have this number.".to_owned(),
            });
        }
        Ok(Draft { subject, text: body, hits, model: answer.model, ..draft })
    }

    /// Plans the prompt for a question without sending it. Does not query any source or write to the journal.
    pub async fn plan(&self, id: IncidentId, question: &Question) -> Result<(Incident, PromptPlan), DeskError> {
        let incident = self.journal.incident(id).await?;
        let plan = self.plan_for(&incident, question, self.assistant_for(question)?).await?;
        Ok((incident, plan))
    }

    /// Plans the prompt for a model, or for a usual one if there is none.
    async fn plan_for(
        &self,
        incident: &Incident,
        question: &Question,
        model: Option<&AssistantConfig>,
    ) -> Result<PromptPlan, DeskError> {
        let text = question.text.trim();
        if text.is_empty() {
            return Err(Refusal::invalid("the question is empty")
                .advise("Give a prompt such as troubleshoot, or a question.")
                .into());
        }
        let prompt = self.library.get(text);
        let ids: Vec<&str> = self.library.all().map(|p| p.id.as_str()).collect();
        // A single word that is nearly a prompt is a mistyped one; any other, such as "why", is a question.
        let meant = crate::telemetry::words::nearest(text, ids.iter().copied()).filter(|_| !text.contains(' '));
        if let (None, Some(meant)) = (prompt, meant) {
            let remedy = format!("Did you mean '{meant}'? The prompts are {}.", ids.join(", "));
            return Err(Refusal::not_found(format!("there is no prompt '{text}'")).advise(remedy).into());
        }
        let file = prompt
            .or_else(|| self.library.get("question"))
            .ok_or_else(|| Refusal::not_found("the prompt 'question' is missing"))?;
        let options = AskOptions {
            question: prompt.is_none().then(|| Redactor::new().redact_text(&crate::telemetry::clean::block(text)).into_owned()),
            persona: question.personas.first().map(|name| self.persona(name)),
            is_lead: prompt.is_some_and(|p| p.id == "reconcile"),
            draft: question.draft.clone(),
            follows: place_of(question, incident)?.follows,
            mask: model.map_or_else(Vec::new, |config| config.mask.clone()),
        };
        let limits = model.map_or_else(default_limits, |config| {
            let known = llm::known(config);
            let window = known.context_tokens.map_or(config.context_tokens, |w| w.min(config.context_tokens));
            let meter = known.token_share.map(Meter::learnt).unwrap_or_default();
            Limits { context_tokens: window, answer_tokens: config.answer_tokens.min(window / 2), meter }
        });
        let bodies = self.journal.bodies(incident).await?;
        Ok(plan(file, incident, &bodies, &incident.matrix(), limits, &options)?)
    }

    /// The prompt with this id.
    ///
    /// # Errors
    /// When there is none; the remedy names the closest.
    pub fn prompt(&self, id: &str) -> Result<&crate::prompt::library::PromptFile, DeskError> {
        if let Some(found) = self.library.get(id) {
            return Ok(found);
        }
        let ids: Vec<&str> = self.library.all().map(|p| p.id.as_str()).collect();
        let hint = crate::telemetry::words::nearest(id, ids.iter().copied())
            .map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
        Err(Refusal::not_found(format!("there is no prompt '{id}'"))
            .advise(format!("{hint}The prompts are {}.", ids.join(", ")))
            .into())
    }

    /// The model that answers a question: the one that it names, or the kind that its prompt asks for, or the default; `None` if no model is configured.
    ///
    /// # Errors
    /// When the question names a model that does not exist.
    pub fn assistant_for(&self, question: &Question) -> Result<Option<&AssistantConfig>, DeskError> {
        let Some(default) = self.assistant.as_ref() else { return no_model(question) };
        let role = |role: ModelRole| match role {
            ModelRole::Fast => default.fast.as_ref(),
            ModelRole::Careful => default.careful.as_ref(),
        };
        let name = match &question.model {
            Some(name) if name == "fast" && !default.named.contains_key(name) => role(ModelRole::Fast),
            Some(name) if name == "careful" && !default.named.contains_key(name) => role(ModelRole::Careful),
            Some(name) => Some(name),
            None => self.library.get(&question.text).and_then(|prompt| prompt.model).and_then(role),
        };
        let Some(name) = name else { return Ok(Some(default)) };
        let models = Some(&default.named);
        if let Some(found) = models.and_then(|n| n.get(name)) {
            Ok(Some(found))
        } else {
            let known: Vec<&str> = models.into_iter().flatten().map(|(n, _)| n.as_str()).collect();
            let remedy = if known.is_empty() {
                "Add [assistant.models.NAME] to the configuration.".to_owned()
            } else {
                format!("Use one of {}.", known.join(", "))
            };
            Err(Refusal::not_found(format!("there is no model '{name}'")).advise(remedy).into())
        }
    }

    /// The day of the list prices that are used where none are configured, such as `2026-11-30`.
    pub fn list_prices_of(&self) -> Option<&'static str> {
        llm::prices_as_of()
    }

    /// Answers a question as [`Desk::ask_all`] does, and returns the last answer.
    ///
    /// # Errors
    /// As there.
    pub async fn ask(
        &self,
        id: IncidentId,
        question: &Question,
        sink: mpsc::Sender<Delta>,
        cancel: CancellationToken,
        progress: &Progress,
    ) -> Result<(Incident, Answer), DeskError> {
        let (incident, mut answers) = self.ask_all(id, question, sink, cancel, progress).await?;
        let last = answers.pop().ok_or_else(|| Refusal::invalid("the question has no answer"))?;
        Ok((incident, last))
    }

    /// The incident with the evidence that a question needs.
    pub(super) async fn prepare(
        &self,
        id: IncidentId,
        question: &Question,
        cancel: &CancellationToken,
        progress: &Progress,
    ) -> Result<Incident, DeskError> {
        let incident = self.journal.incident(id).await?;
        // A wrong thread or entry is known before anything is read.
        place_of(question, &incident)?;
        if question.draft.is_some() {
            return Ok(incident);
        }
        // The alerts of a declaration are evidence before anything was investigated. An investigation may be running.
        tokio::select! {
            () = cancel.cancelled() => return Err(cancelled()),
            running = self.investigating.lock() => drop(running),
        }
        let incident = self.journal.incident(id).await?;
        if question.window.is_some() || incident.investigation.is_none() {
            let investigated = Box::pin(self.investigate_unless(cancel, id, question.window, progress)).await?;
            return investigated.ok_or_else(cancelled);
        }
        Ok(incident)
    }

    /// Answers a question and checks its citations, without recording it.
    pub(super) async fn answer(
        &self,
        incident: &Incident,
        question: &Question,
        sink: &mpsc::Sender<Delta>,
        cancel: &CancellationToken,
    ) -> Result<Given, DeskError> {
        let (plan, mut answer, attempts) = Box::pin(self.answer_from_models(incident, question, sink, cancel)).await?;
        if answer.source == AnswerSource::Rules && cancel.is_cancelled() {
            let Some(last) = attempts.last() else { return Err(cancelled()) };
            // What was sent can be read in the audit, so the empty answer is recorded. A failure before that keeps its reason.
            let has_failed = last.failure.as_deref().is_some_and(|why| why != "cancelled");
            let reason = answer.fallback_reason.clone().filter(|_| has_failed);
            answer = Answer {
                source: AnswerSource::Llm,
                model: Some(last.model.clone()),
                answer: String::new(),
                partial: true,
                fallback_reason: reason.or_else(|| Some("cancelled before any text arrived".to_owned())),
                ..answer
            };
        }
        if answer.source == AnswerSource::Rules {
            let _closed = sink.send(Delta::Text(answer.answer.clone())).await;
        }
        let mut answer = check_answer(answer, incident, &plan);
        let mut sent = None;
        if !attempts.is_empty() {
            // Store the redacted messages of each request exactly as sent, for audits and bundles.
            let body = sent_body(&attempts)?;
            answer.sent = Some(body.digest.clone());
            sent = Some(body);
        }
        Ok(Given { answer, sent, carried: plan.carried })
    }

    /// Records an answer in its thread.
    pub(super) async fn record_answer(
        &self,
        incident: Incident,
        question: &Question,
        given: Given,
        panel: Option<Panel>,
    ) -> Result<(Incident, Answer), DeskError> {
        let place = place_of(question, &incident)?;
        let follows = place.follows.map(|seq| EntryRef { seq });
        let turn = Turn { thread: place.thread, follows, carried: given.carried, panel };
        let answer = Redactor::new().redact_value(&Answer { turn: Some(Box::new(turn)), ..given.answer })?.into_inner();
        let actor = match (&answer.source, &answer.model) {
            (AnswerSource::Llm, Some(model)) => Actor::ai(model.clone()),
            _ => Actor::system(),
        };
        let bodies: Vec<StoredBody> = given.sent.into_iter().collect();
        let (incident, _) = self
            .append_to(incident, |_| {
                let entries = new_entries(vec![Fact::AiRun { answer: answer.clone() }], &actor, None, now())?;
                Ok(Append { entries, bodies: bodies.clone() })
            })
            .await?;
        Ok((incident, answer))
    }

    /// Asks the model, then those that it falls back to. If none answers, the rules do. Returns the plan of the last request, and all requests.
    async fn answer_from_models(
        &self,
        incident: &Incident,
        question: &Question,
        sink: &mpsc::Sender<Delta>,
        cancel: &CancellationToken,
    ) -> Result<(PromptPlan, Answer, Vec<Attempt>), DeskError> {
        let Some(first) = self.assistant_for(question)? else {
            let plan = self.plan_for(incident, question, None).await?;
            let answer = rules_answer(incident, &plan, "no LLM is configured. Add [assistant] to the configuration.");
            return Ok((plan, answer, Vec::new()));
        };
        let others = first.fallback.iter().filter_map(|name| first.named.get(name));
        let mut failures: Vec<(&str, String)> = Vec::new();
        let mut attempts = Vec::new();
        let (mut config, mut others) = (first, others);
        loop {
            let (plan, answered) = self.answer_that_fits(incident, question, config, sink, cancel, &mut attempts).await?;
            let next = others.next().filter(|_| !cancel.is_cancelled());
            let mut answer = match (answered, next) {
                (Ok(mut answer), _) => {
                    let failed = |(model, why): &(&str, String)| {
                        format!("{model} did not answer: {why}; {} answered instead", config.model)
                    };
                    answer.notices.extend(failures.iter().map(failed));
                    answer
                }
                (Err(e), Some(next)) => {
                    let why = e.failure().line();
                    let text = format!("{} did not answer: {why}; asking {} instead", config.model, next.model);
                    let _closed = sink.send(Delta::Waiting(text)).await;
                    failures.push((&config.model, why));
                    config = next;
                    continue;
                }
                (Err(e), None) if failures.is_empty() => {
                    rules_answer(incident, &plan, &format!("the LLM did not answer: {}", e.failure().line()))
                }
                (Err(e), None) => {
                    failures.push((&config.model, e.failure().line()));
                    let all: Vec<String> = failures.iter().map(|(model, why)| format!("{model} did not answer: {why}")).collect();
                    rules_answer(incident, &plan, &all.join(" "))
                }
            };
            // A prompt that was not sent, such as one that costs too much, is no request.
            answer.asked_model = attempts.last().map(|a: &Attempt| a.model.clone());
            answer.url = attempts.last().map(|a| a.url.clone());
            answer.cost = (answer.source == AnswerSource::Llm).then(|| cost(config, &plan, &answer)).flatten();
            return Ok((plan, answer, attempts));
        }
    }

    /// Asks one model. If the server finds the prompt too long, it is packed again for the window that the server names, or
    /// for a smaller one.
    async fn answer_that_fits(
        &self,
        incident: &Incident,
        question: &Question,
        config: &AssistantConfig,
        sink: &mpsc::Sender<Delta>,
        cancel: &CancellationToken,
        attempts: &mut Vec<Attempt>,
    ) -> Result<(PromptPlan, Result<Answer, LlmError>), DeskError> {
        let mut plan = self.plan_for(incident, question, Some(config)).await?;
        if let Some(why) = exceeds_cap(incident, config, &plan) {
            return Ok((plan, Err(LlmError::new(why))));
        }
        let mut window = config.context_tokens;
        for _ in 0..MAX_REPACKS {
            let (mut kept, mut log) = (String::new(), Vec::new());
            let _closed = sink.send(Delta::Asked(llm::known(config).usual_time())).await;
            let begun = Instant::now();
            let streamed = self.stream(config, &plan, sink, cancel, &mut kept, &mut log).await;
            if streamed.as_ref().is_ok_and(|outcome| outcome.cut_reason.is_none()) {
                llm::learn(config, |known| known.took(begun.elapsed()));
            }
            // What failed before anything was sent is recorded as well.
            if log.is_empty() {
                log.push(Sent::default());
            }
            if let (Err(e), Some(last)) = (&streamed, log.last_mut()) {
                last.failure = Some(e.failure().line());
            }
            attempts.extend(log.into_iter().map(|sent| Attempt {
                model: config.model.clone(),
                url: config.base_url.clone(),
                messages: plan.messages.get().clone(),
                // `extra_body` is the user's own text.
                parameters: Redactor::new().redact_value(&sent.parameters).map(Redacted::into_inner).unwrap_or_default(),
                failure: sent.failure,
            }));
            let error = match streamed {
                Ok(outcome) => return Ok((plan.clone(), Ok(llm_answer(&plan, config, outcome)))),
                Err(e) if !kept.trim().is_empty() => {
                    return Ok((plan.clone(), Ok(partial_answer(&plan, &config.model, kept, &e))));
                }
                Err(e) => e,
            };
            let Some(limit) = error.context_limit() else { return Ok((plan, Err(error))) };
            learn_share(config, &plan, error.counted_tokens());
            window = match limit {
                ContextLimit::Named(limit) if limit < window => limit,
                _ => window * 3 / 5,
            };
            let smaller =
                AssistantConfig { context_tokens: window, answer_tokens: config.answer_tokens.min(window / 4), ..config.clone() };
            match self.plan_for(incident, question, Some(&smaller)).await {
                Ok(next) => {
                    // Only what the server named is a fact about it; a smaller guess is for this prompt.
                    if let ContextLimit::Named(limit) = limit {
                        llm::learn(config, |known| known.context_tokens = Some(limit));
                    }
                    let text = format!("the prompt did not fit; asking again with {window} tokens");
                    let _closed = sink.send(Delta::Waiting(text)).await;
                    plan = next;
                }
                Err(_) => return Ok((plan, Err(error))),
            }
        }
        let error = LlmError::new(format!("the prompt did not fit the model, not even {window} tokens"));
        Ok((plan, Err(error)))
    }

    /// Streams the answer of the model to `sink` and collects its text in `kept`, which survives a failure, as the requests in
    /// `log` do.
    async fn stream(
        &self,
        config: &AssistantConfig,
        plan: &PromptPlan,
        sink: &mpsc::Sender<Delta>,
        cancel: &CancellationToken,
        kept: &mut String,
        log: &mut Vec<Sent>,
    ) -> Result<Outcome, LlmError> {
        let llm = Llm::new(config).await?;
        let mut restorer = plan.mask.restorer();
        let (inner, mut deltas) = mpsc::channel::<Delta>(64);
        let answering = llm.answer(plan, &inner, log);
        tokio::pin!(answering);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(LlmError::new("cancelled")),
                Some(delta) = deltas.recv() => {
                    let delta = restored(delta, &plan.mask, &mut restorer);
                    keep(kept, &delta);
                    let _closed = sink.send(delta).await;
                }
                outcome = &mut answering => {
                    while let Ok(delta) = deltas.try_recv() {
                        let delta = restored(delta, &plan.mask, &mut restorer);
                        keep(kept, &delta);
                        let _closed = sink.send(delta).await;
                    }
                    let rest = Delta::Text(restorer.finish());
                    keep(kept, &rest);
                    let _closed = sink.send(rest).await;
                    return outcome.map(|mut o| {
                        o.text = plan.mask.restore(&o.text);
                        o
                    });
                }
            }
        }
    }
}

/// The question was cancelled before there was anything to record.
fn cancelled() -> DeskError {
    Refusal::invalid(CANCELLED).advise("Ask again.").into()
}

/// The price of so many tokens; `None` if the price of the model is not known.
fn price(config: &AssistantConfig, prompt_tokens: u64, answer_tokens: u64) -> Option<f64> {
    let prices = llm::prices_of(config)?;
    Some((prices.input * prompt_tokens as f64 + prices.output * answer_tokens as f64) / 1e6)
}

/// What an answer cost. Tokens that the server did not report are estimated.
fn cost(config: &AssistantConfig, plan: &PromptPlan, answer: &Answer) -> Option<f64> {
    let usage = answer.usage;
    let answered = usage.completion_tokens.unwrap_or_else(|| estimate(&answer.answer));
    price(config, usage.prompt_tokens.unwrap_or(plan.estimated_tokens), answered)
}

/// Why a prompt is not sent: the answers about the incident would cost more than they may.
fn exceeds_cap(incident: &Incident, config: &AssistantConfig, plan: &PromptPlan) -> Option<String> {
    let cap = config.max_cost?;
    let most = price(config, plan.estimated_tokens, config.answer_tokens)?;
    let spent: f64 = incident.answers.iter().filter_map(|a| a.answer.cost).sum();
    (spent + most > cap).then(|| {
        format!("it may cost {most:.4}, and {spent:.4} of {cap:.4} for this incident are spent (max_cost in [assistant])")
    })
}

/// A piece of the answer with the hidden names put back.
fn restored<'a>(delta: Delta, mask: &'a Mask, restorer: &mut Restorer<'a>) -> Delta {
    match delta {
        Delta::Text(text) => Delta::Text(restorer.push(&text)),
        Delta::Instead(text) => {
            // What was held belongs to the text that this replaces.
            *restorer = mask.restorer();
            Delta::Instead(mask.restore(&text))
        }
        Delta::Waiting(_) | Delta::Asked(_) | Delta::Next(_) => delta,
    }
}

/// Adds a delta to the text that survives a failure.
fn keep(kept: &mut String, delta: &Delta) {
    match delta {
        Delta::Text(text) => kept.push_str(text),
        Delta::Instead(text) => kept.clone_from(text),
        Delta::Waiting(_) | Delta::Asked(_) | Delta::Next(_) => {}
    }
}

/// The requests behind an answer as an evidence body. Their messages were redacted when the plan was made.
fn sent_body(attempts: &[Attempt]) -> Result<StoredBody, DeskError> {
    let text = serde_json::to_string_pretty(&serde_json::json!({ "requests": attempts }))?;
    let json = serde_json::to_string(&Body::Text { text })?;
    Ok(StoredBody { digest: digest(json.as_bytes()), json })
}

fn empty_answer(plan: &PromptPlan, text: String) -> Answer {
    Answer {
        answer: text,
        citations: Vec::new(),
        claims: Vec::new(),
        usage: Usage::default(),
        model: None,
        source: AnswerSource::Rules,
        fallback_reason: None,
        prompt: plan.prompt.clone(),
        prompt_version: plan.version.clone(),
        persona: plan.persona.clone(),
        question: plan.question.clone(),
        partial: false,
        sent: None,
        asked_model: None,
        url: None,
        notices: Vec::new(),
        headings: plan.headings.clone(),
        cost: None,
        turn: None,
    }
}

/// The report of the rules. It says that the rules do not read a question that was typed.
fn rules_answer(incident: &Incident, plan: &PromptPlan, reason: &str) -> Answer {
    let mut report = citations::rule_report(incident);
    if plan.question.as_ref().is_some_and(|question| !question.is_empty())
        && let Some(end) = report.find('\n')
    {
        report.insert_str(end + 1, "\nThe rules do not read questions. This is what the evidence shows, whatever was asked.\n");
    }
    Answer { fallback_reason: Some(reason.to_owned()), ..empty_answer(plan, report) }
}

fn llm_answer(plan: &PromptPlan, config: &AssistantConfig, outcome: Outcome) -> Answer {
    let cut = outcome.cut_reason.as_ref().map(|reason| {
        if reason.contains(' ') {
            format!("the answer ends early: {reason}")
        } else {
            format!("the answer was cut short ({reason})")
        }
    });
    let mut notices = outcome.notices;
    match truncation(plan, outcome.usage) {
        Some(warning) => notices.push(warning),
        None => learn_share(config, plan, outcome.usage.prompt_tokens),
    }
    Answer {
        usage: outcome.usage,
        notices,
        model: Some(outcome.model.unwrap_or_else(|| config.model.clone())),
        source: AnswerSource::Llm,
        partial: cut.is_some(),
        fallback_reason: cut,
        ..empty_answer(plan, safe(&outcome.text))
    }
}

/// What a model wrote, inert and redacted. The places of claims are those in this text.
fn safe(text: &str) -> String {
    Redactor::new().redact_text(&inert(text)).into_owned()
}

/// A warning if the server counted far fewer prompt tokens than any tokenizer needs for the prompt. Local servers cut a prompt
/// that exceeds their window without an error; some count only what was not in their cache.
fn truncation(plan: &PromptPlan, usage: Usage) -> Option<String> {
    let counted = usage.prompt_tokens.filter(|n| *n > 0)?;
    let bytes: u64 = plan.messages.get().iter().map(|m| m.content.len() as u64).sum();
    // Prompts of evidence have at most 4 bytes a token in the vocabularies of o200k, Llama 3 and Qwen; prose has up to 5.
    let least = bytes / 5;
    (counted < least * 4 / 5).then(|| {
        format!(
            "the server counted {counted} tokens in a prompt of at least {least}: it has cut the prompt, or counts only what it had \
             not cached. If it is cut, raise the server's context window or lower context_tokens in [assistant]"
        )
    })
}

/// Remembers how many of the estimated tokens the server counted in a prompt, if it is the largest share so far.
fn learn_share(config: &AssistantConfig, plan: &PromptPlan, counted: Option<u64>) {
    let estimated: u64 = plan.messages.get().iter().map(|m| estimate(&m.content)).sum();
    if let Some(counted) = counted.filter(|n| *n > 0 && estimated >= 200) {
        let share = counted as f64 / estimated as f64;
        llm::learn(config, |known| known.token_share = Some(known.token_share.map_or(share, |s| s.max(share))));
    }
}

fn partial_answer(plan: &PromptPlan, model: &str, text: String, error: &LlmError) -> Answer {
    Answer {
        model: Some(model.to_owned()),
        source: AnswerSource::Llm,
        partial: true,
        fallback_reason: Some(format!("the answer ends early: {error}")),
        ..empty_answer(plan, safe(&text))
    }
}

/// The certainty of the findings about the cause; `None` if nothing was concluded.
pub(super) fn certainty(incident: &Incident) -> Option<Certainty> {
    Some(incident.investigation.as_ref()?.conclusion()?.conclusion.as_ref()?.certainty)
}

/// Checks the citations of an answer. A model may only cite evidence that was in its prompt; the rules may cite all evidence.
fn check_answer(mut answer: Answer, incident: &Incident, plan: &PromptPlan) -> Answer {
    let mut shown: BTreeMap<EvidenceId, String> = plan.shown_evidence();
    if answer.source == AnswerSource::Rules {
        // The rules compute their sentences from the findings, so check their figures against the findings.
        let findings: String = incident
            .investigation
            .iter()
            .flat_map(|i| i.findings.iter().chain(i.details()))
            .map(|f| format!("{} {} {}\n", f.title, f.text, f.confidence))
            .collect();
        shown = incident.evidence.iter().map(|e| (e.id, findings.clone())).collect();
    }
    let verdict = check_claims_within(&answer.answer, &shown, certainty(incident));
    answer.citations = verdict.citations;
    answer.claims = verdict.claims;
    answer.claims.retain(|c| c.state != ClaimState::NotCheckable);
    if answer.source == AnswerSource::Rules {
        // Sentences of the rules without a citation describe the rules, or say that nothing was found.
        answer.claims.retain(|c| c.state != ClaimState::Uncited);
    }
    answer
}
