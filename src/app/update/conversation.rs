//! The assistant tab: selecting in answers, accepting and refuting proposals, threads, and asking again.

use super::super::action::Action;
use super::super::conversation::{Spot, Target};
use super::super::edit::TextField;
use super::super::model::{Model, Tone};
use super::super::msg::{CheckSummary, Effect};
use super::super::overlay::{InputDialog, Next, Overlay, Purpose, Row};
use super::common::{choose, command_dialog, current, run, say, say_key, show};
use super::go::start_question;
use crate::incident::conversation::thread_of;
use crate::incident::ids::seq_label;
use crate::incident::proposal::{Proposal, Proposed};
use crate::incident::state::RecordedAnswer;
use crate::incident::{AnswerSource, Command};
use crate::prompt::question::Question;
use crate::telemetry::words::count;

/// Opens the dialog to ask something. The answer goes where `base` says.
pub(super) fn open_question(model: &mut Model, title: String, base: Question, text: String) -> Vec<Effect> {
    let hint =
        format!("A question, or / and a prompt: /troubleshoot --persona security. {} completes.", model.key(Action::Complete));
    let edit = if text.is_empty() { TextField::default() } else { TextField::with(text) };
    show(model, Overlay::Input(InputDialog::new(title, Purpose::Question(Box::new(base)), hint, edit)))
}

/// Opens the dialog for a question in the shown thread.
pub(super) fn ask_here(model: &mut Model) -> Vec<Effect> {
    let thread = model.room.as_ref().map(super::super::room::Room::thread).unwrap_or_default();
    let title = if thread == crate::incident::conversation::MAIN_THREAD { "Ask".to_owned() } else { format!("Ask in {thread}") };
    open_question(model, title, Question { thread: Some(thread), ..Question::default() }, String::new())
}

/// Asks what was typed; an error reopens the dialog.
pub(super) fn question_typed(model: &mut Model, base: &Question, text: &str) -> Result<Vec<Effect>, String> {
    let typed = Question::parse(text)?;
    let has_thread = typed.thread.is_some();
    let question = Question {
        // A thread that was typed begins, or continues, there.
        follows: base.follows.filter(|_| !has_thread),
        begins: base.begins && !has_thread,
        thread: typed.thread.clone().or_else(|| base.thread.clone()),
        ..typed
    };
    Ok(start_question(model, question))
}

/// Selects the next or the previous spot.
pub(super) fn select_spot(model: &mut Model, forward: bool) -> Vec<Effect> {
    let Some(room) = &mut model.room else { return Vec::new() };
    let spots = room.spots();
    let Some(last) = spots.len().checked_sub(1) else {
        return say(model, "Nothing to select: no answer cites evidence or proposes anything.");
    };
    let at = room.conversation.selected.and_then(|id| spots.iter().position(|s| s.id == id));
    // Without a selection, begin with the latest answer.
    let first = spots.iter().position(|s| s.id.0 == spots.get(last).map_or(0, |l| l.id.0)).unwrap_or(0);
    let next = match (at, forward) {
        (None, true) => first,
        (None, false) => last,
        (Some(at), true) => (at + 1).min(last),
        (Some(at), false) => at.saturating_sub(1),
    };
    room.conversation.selected = spots.get(next).map(|s| s.id);
    room.conversation.reveals = true;
    Vec::new()
}

/// Opens the selected citation, the reason of a flag, or a proposal. Without a selection, selects the first; without an answer,
/// runs the troubleshoot prompt.
pub(super) fn open_spot(model: &mut Model) -> Vec<Effect> {
    let Some(spot) = model.room.as_ref().and_then(super::super::room::Room::selected_spot) else {
        // With answers on the screen, a person wants to open something in them, not to ask for another one.
        let has_answers = model.room.as_ref().is_some_and(|r| !r.shown_answers().is_empty());
        return if has_answers { select_spot(model, true) } else { start_question(model, Question::new("troubleshoot")) };
    };
    match spot.target {
        Target::Evidence(id) => show(model, Overlay::evidence(id, 0, None)),
        Target::Flag(n, claim) => {
            let reason = claim.reason.clone().unwrap_or_else(|| claim.state.word().to_owned());
            let text = format!("{}\n\nThe check: {}.\n{reason}", claim.text, claim.state.word());
            show(model, Overlay::Text { title: format!("Flag {n}"), text, scroll: 0 })
        }
        Target::Proposal(p) => {
            let keys = format!("{} accepts it, {} refutes it.", model.key(Action::Accept), model.key(Action::RefuteProposal));
            let text = format!("{}\n\n{}\n\n{keys}", p.text, describe(model, &p));
            show(model, Overlay::Text { title: format!("Proposal {}: {}", p.id(), p.proposed.word()), text, scroll: 0 })
        }
    }
}

/// What was decided about a proposal.
fn describe(model: &Model, proposal: &Proposal) -> String {
    let origin = format!("Proposed by {} in entry {}.", proposal.model, seq_label(proposal.seq));
    match current(model).and_then(|i| i.decision_on(proposal)) {
        Some(d) if d.is_accepted => format!("{origin} Accepted by {}.", d.by),
        Some(d) => format!("{origin} Refuted by {}: {}", d.by, d.reason.as_deref().unwrap_or_default()),
        None => origin,
    }
}

fn selected_proposal(model: &Model) -> Option<Box<Proposal>> {
    match model.room.as_ref()?.selected_spot()? {
        Spot { target: Target::Proposal(p), .. } => Some(p),
        _ => None,
    }
}

/// Accepts the selected proposal into the incident, or the answer as a whole if nothing is selected.
pub(super) fn accept(model: &mut Model) -> Vec<Effect> {
    if let Some(proposal) = selected_proposal(model) {
        if proposal.proposed == Proposed::Update {
            let edit = TextField::with(proposal.text);
            let command = Command::RecordUpdate {
                audience: model.room.as_ref().map_or(crate::incident::Audience::Internal, |r| r.draft_audience),
                text: String::new(),
                next: crate::incident::NextUpdate::default(),
            };
            let hint = "Send it yourself, then record it here as sent.";
            let purpose = Purpose::Command(Box::new(command));
            return show(model, Overlay::Input(InputDialog::new("Update sent", purpose, hint, edit)));
        }
        return run(model, Command::DecideProposal { proposal, is_accepted: true, reason: None });
    }
    if model.room.as_ref().is_some_and(|r| r.conversation.selected.is_some()) {
        return say(model, "This is not a proposal. Select one, or nothing to accept the whole answer.");
    }
    let is_draft = |a: &&RecordedAnswer| a.accepted_by.is_none() && a.answer.source == AnswerSource::Llm;
    let draft = model.room.as_ref().and_then(|r| r.shown_answers().into_iter().rev().find(is_draft).map(|a| a.seq));
    let Some(entry) = draft else {
        let key = model.key(Action::Hypothesis);
        return say(model, format!("There is no answer of a model to accept. {key} proposes the likely cause as a hypothesis."));
    };
    run(model, Command::Accept { entry })
}

/// Asks why the selected proposal is refuted.
pub(super) fn refute(model: &mut Model) -> Vec<Effect> {
    let Some(proposal) = selected_proposal(model) else {
        return say_key(model, "Select a proposal first: {} selects the next one.", Action::NextSpot);
    };
    let title = format!("Refute {} {}", proposal.proposed.word(), proposal.id());
    let hint = "Why it is wrong, with the evidence in brackets: latency is unchanged [E3]";
    let command = Command::DecideProposal { proposal, is_accepted: false, reason: None };
    show(model, Overlay::Input(command_dialog(title, hint, command)))
}

/// The text of the selected answer.
pub(super) fn answer_text(model: &Model) -> Option<String> {
    Some(model.room.as_ref()?.selected_answer()?.answer.answer.clone())
}

/// The question behind an answer, at the same place in its thread.
fn question_of(recorded: &RecordedAnswer) -> Question {
    let a = &recorded.answer;
    let follows = a.turn.as_ref().and_then(|t| t.follows).map(|f| f.seq);
    Question {
        text: a.question.clone().unwrap_or_else(|| a.prompt.clone()),
        thread: Some(thread_of(a).to_owned()),
        begins: follows.is_none(),
        follows,
        ..Question::default()
    }
}

/// Asks the question of the selected answer again, with the evidence as it is now.
pub(super) fn ask_again(model: &mut Model) -> Vec<Effect> {
    match model.room.as_ref().and_then(|r| r.selected_answer()).map(question_of) {
        Some(question) => start_question(model, question),
        None => say(model, "No answers yet."),
    }
}

/// Opens the question of the selected answer to edit it and to send it again.
pub(super) fn edit_question(model: &mut Model) -> Vec<Effect> {
    let Some(recorded) = model.room.as_ref().and_then(|r| r.selected_answer()) else { return say(model, "No answers yet.") };
    let base = question_of(recorded);
    let text = base.typed(recorded.answer.question.is_none());
    let text = text.split(" --thread").next().unwrap_or_default().to_owned();
    open_question(model, "Edit and ask again".to_owned(), base, text)
}

/// Asks for a question that continues from the selected answer in a new thread.
pub(super) fn fork(model: &mut Model) -> Vec<Effect> {
    let Some(recorded) = model.room.as_ref().and_then(|r| r.selected_answer()) else { return say(model, "No answers yet.") };
    let seq = recorded.seq;
    let name = current(model).map(|i| i.fork_name(thread_of(&recorded.answer))).unwrap_or_default();
    let base = Question { thread: Some(name.clone()), follows: Some(seq), ..Question::default() };
    open_question(model, format!("Fork from entry {} into {name}", seq_label(seq)), base, String::new())
}

/// Offers the threads, and a new one.
pub(super) fn choose_thread(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &model.room else { return Vec::new() };
    let (shown, threads) = (room.thread(), current(model).map(crate::incident::Incident::threads).unwrap_or_default());
    let at = threads.iter().position(|t| t.name == shown).unwrap_or(0);
    let mut rows: Vec<Row> =
        threads.into_iter().map(|t| Row::new(t.name.clone(), count(t.answers, "answer"), Next::Thread(t.name))).collect();
    let fresh = current(model).map(|i| i.fork_name("thread")).unwrap_or_default();
    rows.push(Row::new("New thread", "Ask without what was said before", Next::AskIn(fresh)));
    choose(model, "Threads", rows, at)
}

/// What to do with an answer that has arrived.
pub(super) fn next_step(model: &Model, verdict: &CheckSummary) -> String {
    let (select, accept) = (model.key(Action::NextSpot), model.key(Action::Accept));
    if verdict.is_flagged {
        format!("{select} selects what was flagged, with the reason.")
    } else if verdict.holds {
        format!("{accept} accepts the answer, {select} selects a proposal or citation in it.")
    } else {
        format!("{select} selects a citation, {} asks again.", model.key(Action::AskAgain))
    }
}

/// Shows a thread.
pub(super) fn show_thread(model: &mut Model, name: String) -> Vec<Effect> {
    if let Some(room) = &mut model.room {
        room.conversation.thread = Some(name.clone());
        room.conversation.selected = None;
        room.scroll = usize::MAX;
    }
    model.say(Tone::Plain, format!("Thread {name}"));
    Vec::new()
}
