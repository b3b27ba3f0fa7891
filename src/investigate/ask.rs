//! "Ask": plan, send, check, write. Without a model, or when it fails, the rules answer.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::clock::now;
use super::desk::{Desk, DeskError, Progress, new_entries};
use crate::config::AssistantConfig;
use crate::evidence::body::{StoredBody, digest};
use crate::evidence::citation_check::check_citations;
use crate::evidence::{Body, Redactor, citations};
use crate::incident::{Actor, Answer, AnswerSource, ClaimState, EvidenceId, Fact, Incident, IncidentId, Refusal, Usage};
use crate::journal::Append;
use crate::llm::{Llm, LlmError, Outcome};
use crate::prompt::plan::AskOptions;
use crate::prompt::{Delta, Limits, PromptPlan, plan};
use crate::telemetry::Explain;

/// The window that a prompt is planned for when no model is configured.
const UNKNOWN_MODEL: Limits = Limits { context_tokens: 8192, answer_tokens: 2048 };

/// A question to the assistant.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// A prompt's id, or a question in own words.
    pub text: String,
    pub persona: Option<String>,
    /// A configured model's name, instead of the first one.
    pub model: Option<String>,
}

impl Desk {
    /// What would be sent, from the journal as it is. Writes nothing, asks nobody.
    pub async fn plan(&self, id: IncidentId, question: &Question) -> Result<(Incident, PromptPlan), DeskError> {
        let incident = self.journal.incident(id).await?;
        let plan = self.plan_for(&incident, question).await?;
        Ok((incident, plan))
    }

    async fn plan_for(&self, incident: &Incident, question: &Question) -> Result<PromptPlan, DeskError> {
        let text = question.text.trim();
        if text.is_empty() {
            return Err(Refusal::invalid("the question is empty")
                .advise("Give a prompt such as troubleshoot, or a question.")
                .into());
        }
        let named = self.library.get(text);
        // One word that is no prompt is a mistyped id more often than a question.
        if named.is_none() && !text.contains(' ') {
            let ids: Vec<&str> = self.library.all().map(|p| p.id.as_str()).collect();
            let hint = crate::telemetry::words::nearest(text, ids.iter().copied())
                .map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
            let remedy = format!("{hint}The prompts are {}. A question has several words.", ids.join(", "));
            return Err(Refusal::not_found(format!("there is no prompt '{text}'")).advise(remedy).into());
        }
        let file = named
            .or_else(|| self.library.get("question"))
            .ok_or_else(|| Refusal::not_found("the prompt 'question' is missing"))?;
        let asked = AskOptions {
            question: named.is_none().then(|| Redactor::new().redact_text(&crate::telemetry::clean::block(text)).into_owned()),
            persona: question.persona.clone(),
        };
        let limits = self
            .assistant_for(question)?
            .map_or(UNKNOWN_MODEL, |a| Limits { context_tokens: a.context_tokens, answer_tokens: a.answer_tokens });
        let bodies = self.journal.bodies(incident).await?;
        Ok(plan(file, incident, &bodies, &incident.matrix(), limits, &asked)?)
    }

    /// The model that a question is for; `None` when none is configured.
    pub fn assistant_for(&self, question: &Question) -> Result<Option<&AssistantConfig>, DeskError> {
        let Some(name) = &question.model else { return Ok(self.assistant.as_ref()) };
        let named = self.assistant.as_ref().map(|a| &a.named);
        match named.and_then(|n| n.get(name)) {
            Some(found) => Ok(Some(found)),
            None => {
                let known: Vec<&str> = named.into_iter().flatten().map(|(n, _)| n.as_str()).collect();
                let remedy = if known.is_empty() {
                    "Add [assistant.models.NAME] to the configuration.".to_owned()
                } else {
                    format!("Use one of {}.", known.join(", "))
                };
                Err(Refusal::not_found(format!("no model is named '{name}'")).advise(remedy).into())
            }
        }
    }

    /// Asks, and writes the checked answer. An incident without evidence is investigated first. `cancel` keeps what came.
    pub async fn ask(
        &self,
        id: IncidentId,
        question: &Question,
        sink: mpsc::Sender<Delta>,
        cancel: CancellationToken,
        progress: &Progress,
    ) -> Result<(Incident, Answer), DeskError> {
        let mut incident = self.journal.incident(id).await?;
        if incident.evidence.is_empty() {
            incident = self.investigate(id, None, progress).await?;
        }
        let plan = self.plan_for(&incident, question).await?;
        let answer = match self.assistant_for(question)? {
            None => rules_answer(&incident, &plan, "no LLM is configured: add [assistant] to the configuration"),
            Some(config) => {
                let mut kept = String::new();
                match self.stream(config, &plan, &sink, &cancel, &mut kept).await {
                    Ok(outcome) => llm_answer(&plan, &config.model, outcome),
                    Err(e) if !kept.trim().is_empty() => partial_answer(&plan, &config.model, kept, &e),
                    Err(e) => rules_answer(&incident, &plan, &format!("the LLM did not answer: {}", e.failure().line())),
                }
            }
        };
        if answer.source == AnswerSource::Rules {
            let _closed = sink.send(Delta::Text(answer.answer.clone())).await;
        }
        let mut answer = checked(answer, &incident, &plan);
        let mut bodies = Vec::new();
        if self.assistant_for(question)?.is_some() {
            // Exactly what went out, redacted as it was: an auditor and a bundle can show it.
            let sent = sent_body(&plan)?;
            answer.sent = Some(sent.digest.clone());
            bodies.push(sent);
        }
        let answer = Redactor::new().redact_value(&answer)?.into_inner();
        let actor = match (&answer.source, &answer.model) {
            (AnswerSource::Llm, Some(model)) => Actor::ai(model.clone()),
            _ => Actor::system(),
        };
        let (incident, _) = self
            .append_to(incident, |_| {
                let entries = new_entries(vec![Fact::AiRun { answer: answer.clone() }], &actor, None, now())?;
                Ok(Append { entries, bodies: bodies.clone() })
            })
            .await?;
        Ok((incident, answer))
    }

    /// Streams, with everything that came kept in `kept`.
    async fn stream(
        &self,
        config: &AssistantConfig,
        plan: &PromptPlan,
        sink: &mpsc::Sender<Delta>,
        cancel: &CancellationToken,
        kept: &mut String,
    ) -> Result<Outcome, LlmError> {
        let llm = Llm::new(config).await?;
        let (inner, mut deltas) = mpsc::channel::<Delta>(64);
        let answering = llm.answer(plan, &inner);
        tokio::pin!(answering);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(LlmError { message: "cancelled".to_owned(), remedy: None, partial: !kept.is_empty() }),
                Some(delta) = deltas.recv() => {
                    if let Delta::Text(text) = &delta {
                        kept.push_str(text);
                    }
                    let _closed = sink.send(delta).await;
                }
                outcome = &mut answering => {
                    while let Ok(delta) = deltas.try_recv() {
                        if let Delta::Text(text) = &delta {
                            kept.push_str(text);
                        }
                        let _closed = sink.send(delta).await;
                    }
                    return outcome;
                }
            }
        }
    }
}

/// The messages of a plan as a body: redacted when the plan was made.
fn sent_body(plan: &PromptPlan) -> Result<StoredBody, DeskError> {
    let json = serde_json::to_string(&Body::Text { text: serde_json::to_string_pretty(&plan.messages)? })?;
    Ok(StoredBody { digest: digest(json.as_bytes()), json })
}

fn blank(plan: &PromptPlan, text: String) -> Answer {
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
    }
}

fn rules_answer(incident: &Incident, plan: &PromptPlan, reason: &str) -> Answer {
    Answer { fallback_reason: Some(reason.to_owned()), ..blank(plan, citations::rule_report(incident)) }
}

fn llm_answer(plan: &PromptPlan, model: &str, outcome: Outcome) -> Answer {
    let cut = outcome.cut_reason.as_ref().map(|by| format!("the answer was cut short by the server ({by})"));
    Answer {
        usage: outcome.usage,
        model: Some(outcome.model.unwrap_or_else(|| model.to_owned())),
        source: AnswerSource::Llm,
        partial: cut.is_some(),
        fallback_reason: cut,
        ..blank(plan, outcome.text)
    }
}

fn partial_answer(plan: &PromptPlan, model: &str, text: String, error: &LlmError) -> Answer {
    Answer {
        model: Some(model.to_owned()),
        source: AnswerSource::Llm,
        partial: true,
        fallback_reason: Some(format!("the answer ends early: {error}")),
        ..blank(plan, text)
    }
}

/// The check of the citations. What a model cites must have been shown to it; the rules cite from the whole journal.
fn checked(mut answer: Answer, incident: &Incident, plan: &PromptPlan) -> Answer {
    let mut shown: BTreeMap<EvidenceId, String> = plan.shown_evidence();
    if answer.source == AnswerSource::Rules {
        // The rules' own sentences are computed from the evidence: their figures stand in the findings.
        let findings: String = incident
            .investigation
            .iter()
            .flat_map(|i| &i.findings)
            .map(|f| format!("{} {} {}\n", f.title, f.text, f.confidence))
            .collect();
        shown = incident.evidence.iter().map(|e| (e.id, findings.clone())).collect();
    }
    let verdict = check_citations(&answer.answer, &shown);
    answer.citations = verdict.citations;
    answer.claims = verdict.claims;
    if answer.source == AnswerSource::Rules {
        // What the rules say without a citation is about themselves or about nothing having been found.
        answer.claims.retain(|c| c.state != ClaimState::Uncited);
    }
    answer
}
