//! Parses what people type into the parameters of a command: `ben 5 check the replica`, `09:27 the first mail`,
//! `… next 45m`.

use std::path::PathBuf;
use std::time::Duration;

use crate::analysis::exit_criteria;
use crate::incident::action::{ActionState, item_parts, parse_due};
use crate::incident::command::NewMitigation;
use crate::incident::{CardState, Command, NextUpdate};
use crate::playbook::HOLDS_FOR_SECS;
use crate::telemetry::Moment;
use crate::telemetry::time::parse_duration;

/// Fills in the parameters of a command from a typed text. Of several optional parameters (of an impact, or a change of an
/// action item), the text goes into the one that is set to an empty text.
///
/// # Errors
/// A hint on what to type, if the text does not have the expected form.
#[expect(clippy::too_many_lines, reason = "one arm per command")]
pub(crate) fn fill(mut command: Command, text: &str, today: time::Date) -> Result<Command, String> {
    let typed = text.trim().to_owned();
    match &mut command {
        Command::Note { text, .. }
        | Command::Correct { text, .. }
        | Command::Tick { text, .. }
        | Command::Objection { text, .. }
        | Command::Outcome { text, .. }
        | Command::Event { text, .. } => *text = typed,
        Command::Severity { reason, .. }
        | Command::Hypothesis { reason, .. }
        | Command::Escalate { reason, .. }
        | Command::Unacknowledge { reason }
        | Command::Reopen { reason } => *reason = typed,
        Command::Status { override_reason, reason, .. } => match override_reason {
            Some(why) => *why = typed,
            None => *reason = Some(typed),
        },
        Command::Unlink { reason, .. } | Command::Merge { reason, .. } | Command::DecideProposal { reason, .. } => {
            *reason = Some(typed);
        }
        Command::Assign { holder, .. } => *holder = typed,
        Command::AddAction(new) => (new.text, new.owner, new.due, new.priority) = item_parts(&typed, today),
        Command::ProposeMitigation(NewMitigation { text, .. }) => *text = typed,
        Command::ChangeMitigation { state, approved_by, result, .. } => {
            let field = if *state == CardState::Started { approved_by } else { result };
            *field = (!typed.is_empty()).then_some(typed);
        }
        Command::Grade { text, .. } => *text = Some(typed),
        Command::SetExit { criteria } => *criteria = exit_criteria::parse(&typed)?,
        Command::Task { name, text, minutes } => {
            let usage = "Type the name, the minutes until they report back, and the task: ben 5 check the replica";
            (*name, *minutes, *text) = name_minutes_text(&typed).ok_or(usage)?;
        }
        Command::CompleteAction { action, result } => {
            match typed.strip_prefix("again").filter(|rest| rest.starts_with(char::is_whitespace)) {
                Some(rest) => {
                    let usage = "If it is not done yet, type: again 10 still looking";
                    let (minutes, result) = rest.trim_start().split_once(char::is_whitespace).ok_or(usage)?;
                    let again_in = Some(parse_minutes(minutes).ok_or(usage)?);
                    command = Command::Report { action: *action, result: result.trim().to_owned(), again_in };
                }
                None => *result = (!typed.is_empty()).then_some(typed),
            }
        }
        Command::Report { result, .. } => *result = typed,
        Command::EndStep { reason, .. } => *reason = (!typed.is_empty()).then_some(typed),
        Command::Impact { services, users, region, text, data, .. } => {
            if let Some(all) = services {
                *all = typed.split(',').map(|s| s.trim().to_owned()).collect();
            } else if let Some(value) = [users, region, text, data].into_iter().flatten().next() {
                *value = typed;
            }
        }
        Command::Time { time, reason, exception, .. } => {
            let (moment, why) = moment_and_text(&typed)?;
            let (why, order_exception) = split_at_word(why, "!").map_or((why, None), |(why, e)| (why, Some(e.trim().to_owned())));
            (*time, *reason, *exception) = (moment, why.trim().to_owned(), order_exception);
        }
        Command::RecordUpdate { text, next, .. } => (*text, *next) = update_and_next(&typed, *next),
        Command::Attach { file, note } => (*file, *note) = path_and_note(&typed),
        Command::ChangeAction { change, .. } => {
            if change.state == Some(ActionState::Dropped) {
                change.result = Some(typed);
            } else if let Some(due) = &mut change.due {
                *due = parse_due(&typed, today)?;
            } else if let Some(value) = [&mut change.owner, &mut change.due, &mut change.priority].into_iter().flatten().next() {
                *value = typed;
            }
        }
        Command::Page { name, text } => {
            let (who, what) = typed.split_once(char::is_whitespace).unwrap_or((&typed, ""));
            (*name, *text) = (who.to_owned(), what.trim().to_owned());
        }
        Command::Undo { .. }
        | Command::Redo
        | Command::Check
        | Command::Renounce { .. }
        | Command::KeepLine { .. }
        | Command::StartPlaybook { .. }
        | Command::StartStep { .. }
        | Command::Link { .. }
        | Command::Acknowledge
        | Command::Review { .. }
        | Command::Accept { .. } => {}
    }
    Ok(command)
}

/// A mitigation card from the texts of its form: what, risk, undo, verify, exception.
///
/// # Errors
/// The position of the field that is wrong, with a hint on what to type.
pub(crate) fn mitigation(texts: &[&str]) -> Result<NewMitigation, (usize, String)> {
    let text = |n: usize| texts.get(n).copied().unwrap_or_default();
    let optional = |n: usize| Some(text(n).to_owned()).filter(|t| !t.is_empty());
    if text(0).is_empty() {
        return Err((0, "Type what to do: roll back checkout to 1.41.3".to_owned()));
    }
    let risk = text(1).parse().map_err(|e: String| (1, e))?;
    let verify = match text(3) {
        "" => None,
        typed if typed.contains(" for ") => Some(exit_criteria::parse(typed).map_err(|e| (3, e))?),
        typed => Some(exit_criteria::build(typed, None, None, Duration::from_secs(HOLDS_FOR_SECS), None).map_err(|e| (3, e))?),
    };
    Ok(NewMitigation { undo: optional(2), verify, exception: optional(4), ..NewMitigation::new(text(0), risk) })
}

/// Splits a time from the text after it: `09:27 text`, `10m ago text`, `yesterday 18:20 text`, `2026-11-28 18:00 text`.
///
/// # Errors
/// A hint on what to type, if there is no time or no text.
pub(crate) fn moment_and_text(typed: &str) -> Result<(Moment, &str), String> {
    let mut ends: Vec<usize> = typed.match_indices([' ', '\n']).map(|(at, _)| at).take(3).collect();
    ends.reverse();
    // Use the longest prefix that is a time: `10m ago` rather than `10m`.
    let found = ends.into_iter().find_map(|end| Some((typed.get(..end)?.parse::<Moment>().ok()?, typed.get(end..)?.trim())));
    match found {
        Some((moment, text)) if !text.is_empty() => Ok((moment, text)),
        _ => Err("Start with the time in UTC, then the text: 09:27 text, 10m ago text, 2026-11-28 18:00 text".to_owned()),
    }
}

fn parse_minutes(text: &str) -> Option<u64> {
    text.trim_end_matches(['m', '\'']).parse().ok().filter(|n| (1..=10_080).contains(n))
}

fn name_minutes_text(typed: &str) -> Option<(String, u64, String)> {
    let (name, rest) = typed.split_once(char::is_whitespace)?;
    let (minutes, text) = rest.trim_start().split_once(char::is_whitespace)?;
    let text = text.trim();
    (!text.is_empty()).then_some((name.to_owned(), parse_minutes(minutes)?, text.to_owned()))
}

/// The text before and after the first `mark` at the beginning of a word that is not the first one.
fn split_at_word<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (at, _) = text.match_indices(mark).find(|(at, _)| text.get(..*at).is_some_and(|t| t.ends_with(char::is_whitespace)))?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Splits the time of the next update from the end of an update: `… next 45m`, or `… next none` if this is the last one.
/// `chosen` if the text does not say.
fn update_and_next(typed: &str, chosen: NextUpdate) -> (String, NextUpdate) {
    let found = typed.rmatch_indices("next").find_map(|(at, word)| {
        let (text, when) = (typed.get(..at)?, typed.get(at + word.len()..)?);
        if !text.ends_with(char::is_whitespace) || !when.starts_with(char::is_whitespace) {
            return None;
        }
        let when = when.trim();
        let next = if when == "none" { NextUpdate::Never } else { NextUpdate::In(parse_duration(when).ok()?) };
        Some((text, next))
    });
    match found {
        Some((text, next)) => (text.trim_end_matches([';', ',', ' ', '\n']).to_owned(), next),
        None => (typed.to_owned(), chosen),
    }
}

/// Splits a path from the note after it: `/tmp/top.txt what it shows`. A path with spaces is in double quotes.
fn path_and_note(typed: &str) -> (PathBuf, Option<String>) {
    let quoted = typed.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    let (path, note) = quoted.or_else(|| typed.split_once(' ')).unwrap_or((typed, ""));
    (PathBuf::from(path), Some(note.trim().to_owned()).filter(|n| !n.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: time::Date = time::macros::date!(2026 - 12 - 02);
    use crate::incident::{ActionChange, ActionId, Milestone};

    #[test]
    fn parses_a_task() {
        let template = Command::Task { name: String::new(), text: String::new(), minutes: 10 };
        let task = |line| fill(template.clone(), line, TODAY);
        assert_eq!(
            task("ben 5m check the replica"),
            Ok(Command::Task { name: "ben".into(), text: "check the replica".into(), minutes: 5 })
        );
        assert_eq!(task("ben\n5\ncheck the\nreplica").unwrap(), {
            Command::Task { name: "ben".into(), text: "check the\nreplica".into(), minutes: 5 }
        });
        assert!(task("ben check").unwrap_err().contains("ben 5 check the replica"));
    }

    #[test]
    fn parses_times_of_several_words() {
        for (line, moment, text) in [
            ("09:27 it began", "09:27", "it began"),
            ("10m ago a mail", "10m ago", "a mail"),
            ("yesterday 18:20 x", "yesterday 18:20", "x"),
        ] {
            assert_eq!(moment_and_text(line), Ok((moment.parse().unwrap(), text)), "{line}");
        }
        assert!(moment_and_text("it began").is_err() && moment_and_text("09:27").is_err());
    }

    #[test]
    fn fills_in_the_parameter_that_is_set() {
        let owner = ActionChange { owner: Some(String::new()), ..ActionChange::default() };
        let filled = fill(Command::ChangeAction { action: ActionId(1), change: owner }, "ben", TODAY);
        let Ok(Command::ChangeAction { change, .. }) = filled else { panic!("{filled:?}") };
        assert_eq!((change.owner.as_deref(), change.due), (Some("ben"), None));
        let time =
            Command::Time { moment: Milestone::Detected, time: "now".parse().unwrap(), reason: String::new(), exception: None };
        let Ok(Command::Time { reason, exception, .. }) = fill(time.clone(), "09:27\na mail\n!no clock", TODAY) else { panic!() };
        assert_eq!((reason.as_str(), exception.as_deref()), ("a mail", Some("no clock")));
        let again = Command::CompleteAction { action: ActionId(1), result: None };
        assert!(matches!(fill(again.clone(), "again\n10 still looking", TODAY), Ok(Command::Report { again_in: Some(_), .. })));
        assert!(matches!(fill(again, "against the plan", TODAY), Ok(Command::CompleteAction { .. })));
        let Ok(Command::Time { reason, exception, .. }) = fill(time, "09:27 a customer called ! the clock was wrong", TODAY)
        else {
            panic!()
        };
        assert_eq!((reason.as_str(), exception.as_deref()), ("a customer called", Some("the clock was wrong")));
    }

    #[test]
    fn reads_a_mitigation_from_its_form() {
        let new = mitigation(&["roll back", "low", "roll forward", "sum(errors) < 1 for 2m", ""]).unwrap();
        let verify = new.verify.unwrap();
        assert_eq!((verify.expression.as_str(), verify.threshold, verify.for_secs), ("sum(errors)", 1.0, 120));
        assert_eq!((new.undo.as_deref(), new.exception), (Some("roll forward"), None));
        assert_eq!(mitigation(&["x", "high", "", "errors < 1", ""]).unwrap().verify.unwrap().for_secs, HOLDS_FOR_SECS);
        for (texts, field) in [(["", "low", "", "", ""], 0), (["x", "huge", "", "", ""], 1), (["x", "low", "", "errors", ""], 3)]
        {
            assert_eq!(mitigation(&texts).unwrap_err().0, field, "{texts:?}");
        }
    }

    #[test]
    fn reads_the_time_of_the_next_update() {
        assert_eq!(
            update_and_next("All is well; next 45m", NextUpdate::Scheduled),
            ("All is well".into(), NextUpdate::In(Duration::from_mins(45)))
        );
        assert_eq!(update_and_next("Over, next none", NextUpdate::Scheduled), ("Over".into(), NextUpdate::Never));
        assert_eq!(
            update_and_next("All is well\nnext 45m", NextUpdate::Scheduled),
            ("All is well".into(), NextUpdate::In(Duration::from_mins(45)))
        );
        assert_eq!(update_and_next("First line\nthe next\nstep", NextUpdate::Scheduled).1, NextUpdate::Scheduled);
        assert_eq!(
            update_and_next("The next step is a restart", NextUpdate::Scheduled),
            ("The next step is a restart".into(), NextUpdate::Scheduled)
        );
    }
}
