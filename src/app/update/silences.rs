//! Silences: asking for new ones, listing, extending and ending those in force, and announcing their ends.

use std::time::Duration;

use super::super::action::Action;
use super::super::edit::TextField;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::{Effect, SilenceCall, SilenceEffect};
use super::super::overlay::{InputDialog, ListDialog, Next, Overlay, Purpose, Row};
use super::common::{choose, current, say, say_key, show};
use crate::telemetry::Alert;
use crate::telemetry::matcher::matchers_text;
use crate::telemetry::silence::{ListedSilence, SilenceState};
use crate::telemetry::time::{human_duration, parse_duration};
use crate::telemetry::words::count;

/// How long before its end a silence that hides alerts is announced.
const SOON: Duration = Duration::from_mins(15);

/// Asks how long and why the marked alerts, or the selected one, are silenced; in a room those of the incident that fire.
pub(super) fn silence(model: &mut Model) -> Vec<Effect> {
    if !model.has_silences {
        return say(model, "No source can silence alerts. Add an Alertmanager to the configuration.");
    }
    let alerts: Vec<&Alert> = match (model.screen, current(model)) {
        (Screen::Room, None) => return say(model, "The incident is still being read."),
        (Screen::Room, Some(incident)) => {
            let is_linked = |a: &&Alert| a.is_firing() && incident.alerts.iter().any(|linked| linked.is(a));
            model.board.alerts.iter().filter(is_linked).collect()
        }
        (Screen::Board, _) => model.board.target_alerts(),
    };
    if alerts.is_empty() {
        let in_room = model.screen == Screen::Room;
        return say(model, if in_room { "No alert of this incident is firing." } else { "Select an alert first." });
    }
    let fingerprints: Vec<String> = alerts.iter().map(|a| a.fingerprint.clone()).collect();
    let incident = alerts.iter().find_map(|a| model.board.owner(a));
    let title = format!("Silence {}", count(fingerprints.len(), "alert"));
    let hint = "Duration, then reason (visible to others): 2h migration. You confirm what it hides first.";
    show(model, Overlay::Input(InputDialog::new(title, Purpose::Silence { fingerprints, incident }, hint, TextField::default())))
}

/// Takes a new list of silences, and announces one that ends soon while it hides alerts.
pub(super) fn listed(model: &mut Model, silences: Vec<ListedSilence>) -> Vec<Effect> {
    model.silences = silences;
    let key = |s: &ListedSilence| (s.silence.id.clone(), s.silence.ends_at);
    let soon: Vec<ListedSilence> = ending_soon(model).into_iter().cloned().collect();
    let Some(first) = soon.iter().find(|s| !model.announced.contains(&key(s))) else { return Vec::new() };
    model.announced.insert(key(first));
    let left = first.silence.remaining(model.now).map(human_duration).unwrap_or_default();
    let hidden = count(first.hides.len(), "alert");
    let silences = model.key(Action::Silences);
    model.say(Tone::Bad, format!("A silence that hides {hidden} ends in {left}. Press {silences} on the board to extend it."));
    Vec::new()
}

/// The silences that hide alerts and end soon, the next to end first.
pub(crate) fn ending_soon(model: &Model) -> Vec<&ListedSilence> {
    let is_soon = |s: &&ListedSilence| !s.hides.is_empty() && s.silence.remaining(model.now).is_some_and(|left| left <= SOON);
    let mut soon: Vec<&ListedSilence> = model.silences.iter().filter(is_soon).collect();
    soon.sort_by_key(|s| s.silence.ends_at);
    soon
}

/// Lists the silences that are in force or still to come.
pub(super) fn list(model: &mut Model) -> Vec<Effect> {
    let now = model.now;
    let rows: Vec<Row> = model
        .silences
        .iter()
        .filter(|s| s.silence.state != SilenceState::Expired)
        .map(|s| {
            let label = match (s.silence.state, s.silence.remaining(now)) {
                (SilenceState::Pending, _) => "pending".to_owned(),
                (_, Some(left)) => format!("ends in {}", human_duration(left)),
                (_, None) => "no end time".to_owned(),
            };
            let detail = format!(
                "hides {} {} by {}: {}",
                count(s.hides.len(), "alert"),
                matchers_text(&s.silence.matchers),
                s.silence.created_by,
                s.silence.comment
            );
            Row::new(label, detail, Next::List(Box::new(choices(model, s))))
        })
        .collect();
    if rows.is_empty() {
        return say_key(model, "No active silences. Press {} to silence the selected alert.", Action::Silence);
    }
    choose(model, "Silences", rows, 0)
}

/// What can be done with a silence.
fn choices(model: &Model, listed: &ListedSilence) -> ListDialog {
    let silence = &listed.silence;
    let incident = listed.hides.iter().find_map(|(_, fingerprint)| {
        let alert = model.board.alerts.iter().find(|a| a.fingerprints().any(|f| f == fingerprint))?;
        model.board.owner(alert)
    });
    let input = |title: &str, hint: &str, purpose: Purpose| {
        let dialog = InputDialog::new(title, purpose, hint, TextField::default());
        Next::Input(Box::new(dialog))
    };
    let id = || silence.id.clone();
    let names: Vec<String> = listed.hides.iter().map(|(name, fingerprint)| format!("{name} ({fingerprint})")).collect();
    let text = format!(
        "{}\nin {}, by {}: {}\n{}\n\nHides {}{}",
        matchers_text(&silence.matchers),
        silence.source,
        silence.created_by,
        silence.comment,
        silence.ends_at.map_or_else(|| "no end time".to_owned(), |at| format!("ends at {} UTC", at.date_clock())),
        count(names.len(), "alert"),
        names.iter().map(|n| format!("\n  {n}")).collect::<String>()
    );
    let rows = vec![
        Row::new("Show", "What it matches and hides", Next::Text("Silence".to_owned(), text)),
        Row::new(
            "Extend",
            "Set a later end",
            input("Extend the silence", "New duration, from now: 1h", Purpose::ExtendSilence { silence: id(), incident }),
        ),
        Row::new(
            "End now",
            "Resume notifications for its alerts",
            input("End the silence", "Why it is no longer needed.", Purpose::ExpireSilence { silence: id(), incident }),
        ),
    ];
    ListDialog::new(matchers_text(&silence.matchers), rows, 0)
}

/// The effect of a text that was typed about a silence.
///
/// # Errors
/// A hint on what to type.
pub(super) fn submitted(purpose: &Purpose, text: &str) -> Result<Effect, String> {
    let effect = match purpose {
        Purpose::ExtendSilence { silence, incident } => {
            let length = parse_duration(text).map_err(|e| e.to_string())?;
            SilenceEffect::Extend { silence: silence.clone(), length, incident: *incident }
        }
        Purpose::ExpireSilence { silence, incident } => {
            let reason = Some(text.to_owned()).filter(|t| !t.is_empty()).ok_or("A reason is required.")?;
            SilenceEffect::Expire { silence: silence.clone(), reason, incident: *incident }
        }
        Purpose::Silence { fingerprints, incident } => {
            let usage = "Type a duration, then a reason: 2h migration";
            let (length, reason) = text.split_once(char::is_whitespace).ok_or(usage)?;
            let (length, reason) = (parse_duration(length).map_err(|e| e.to_string())?, reason.trim().to_owned());
            SilenceEffect::Plan(SilenceCall { fingerprints: fingerprints.clone(), length, reason, incident: *incident })
        }
        _ => return Err("This text is not about a silence.".to_owned()),
    };
    Ok(Effect::Silence(effect))
}
