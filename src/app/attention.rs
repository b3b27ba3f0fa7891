//! What reaches a user who looks elsewhere: the title of the terminal, and the occasions on which it rings.

use std::collections::BTreeSet;

use super::model::{Model, Screen};
use super::msg::Effect;
use crate::incident::IncidentId;
use crate::telemetry::words::count;
use crate::telemetry::{Alert, AlertSeverity, AlertState, Timestamp};

/// Something that calls the user back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Occasion {
    /// A critical alert began to fire.
    Alert,
    /// An update to stakeholders became overdue.
    Update,
    /// An answer of the assistant is complete.
    Answer,
}

/// When the terminal rings, and what was announced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attention {
    /// The occasions that the user wants.
    pub occasions: Vec<Occasion>,
    /// Whether the terminal reports that it has the focus; `None` if it reports nothing.
    pub has_focus: Option<bool>,
    /// The overdue updates that need no further announcement: the incident, and when the update was due.
    announced: Vec<(IncidentId, Timestamp)>,
}

/// The most alerts that one notification names.
const MAX_NAMED: usize = 3;

impl Attention {
    fn wants(&self, occasion: Occasion) -> bool {
        self.occasions.contains(&occasion)
    }
}

/// The title of the terminal: the incident with its next update, or how many alerts fire.
pub(crate) fn title(model: &Model) -> String {
    let room = model.room.as_ref().filter(|_| model.screen == Screen::Room).and_then(|r| r.incident.as_ref());
    let Some(incident) = room else {
        let (firing, ..) = model.board.counts();
        return if firing > 0 { format!("warroom · {firing} firing") } else { "warroom".to_owned() };
    };
    let head = &incident.head;
    let rest = match head.update_due() {
        Some(due) if due <= model.now => format!("update overdue {}", minutes(model.now, due)),
        Some(due) => format!("update in {}", minutes(due, model.now)),
        None => head.title.clone(),
    };
    format!("{} {} · {rest}", head.severity, head.id)
}

/// A length in minutes, so that a title does not change every second.
fn minutes(later: Timestamp, earlier: Timestamp) -> String {
    match later.since(earlier).as_secs() / 60 {
        0 => "<1m".to_owned(),
        minutes if minutes < 60 => format!("{minutes}m"),
        minutes => format!("{}h{:02}m", minutes / 60, minutes % 60),
    }
}

/// The critical alerts that fire and began after the program.
fn recent_alerts(model: &Model) -> impl Iterator<Item = &Alert> {
    let fires = |a: &&Alert| a.state == AlertState::Firing && a.severity == AlertSeverity::Critical;
    let began = |a: &&Alert| a.starts_at.is_some_and(|at| at >= model.started);
    model.board.alerts.iter().filter(fires).filter(began)
}

/// The fingerprints of the alerts that need no further announcement.
pub(crate) fn announced_alerts(model: &Model) -> BTreeSet<String> {
    recent_alerts(model).map(|a| a.fingerprint.clone()).collect()
}

/// A notification of critical alerts that began after the program and did not fire in the board before, whose alerts were `announced`.
pub(crate) fn of_alerts(model: &Model, announced: &BTreeSet<String>) -> Option<Effect> {
    if !model.attention.wants(Occasion::Alert) {
        return None;
    }
    let new: Vec<&Alert> = recent_alerts(model).filter(|a| !announced.contains(&a.fingerprint)).collect();
    let named: Vec<String> = new
        .iter()
        .take(MAX_NAMED)
        .map(|a| a.service().map_or_else(|| a.name.clone(), |service| format!("{} on {service}", a.name)))
        .collect();
    let more = if new.len() > named.len() { format!(" and {} more", new.len() - named.len()) } else { String::new() };
    let first = if new.len() == 1 { "Critical alert".to_owned() } else { count(new.len(), "critical alert") };
    (!new.is_empty()).then(|| Effect::Notify(format!("{first}: {}{more}", named.join(", "))))
}

/// A notification of the open incidents whose update became overdue since the last call. What was overdue when the first list arrived
/// is on the screen already, and is not announced (`is_first`).
pub(crate) fn of_updates(model: &mut Model, is_first: bool) -> Option<Effect> {
    let due = |head: &crate::incident::Summary| head.update_due().filter(|due| *due <= model.now).map(|due| (head.id, due));
    let overdue: Vec<(IncidentId, Timestamp)> = model.board.incidents.iter().filter_map(due).collect();
    let new: Vec<String> =
        overdue.iter().filter(|o| !model.attention.announced.contains(o)).map(|(id, _)| id.to_string()).collect();
    model.attention.announced = overdue;
    let rings = !is_first && !new.is_empty() && model.attention.wants(Occasion::Update);
    rings.then(|| Effect::Notify(format!("The update of {} is overdue", new.join(", "))))
}

/// A notification of a complete answer, unless the terminal has the focus.
pub(crate) fn of_answer(model: &Model, id: IncidentId) -> Option<Effect> {
    let rings = model.attention.wants(Occasion::Answer) && model.attention.has_focus != Some(true);
    rings.then(|| Effect::Notify(format!("{id}: the answer is ready")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Msg, update};
    use crate::incident::{AlertBoard, Severity, SourceReport, Status, Summary};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_790_000_000 + secs)
    }

    fn model() -> Model {
        let mut model = Model::new(at(0), time::UtcOffset::UTC);
        model.attention.occasions = vec![Occasion::Alert, Occasion::Update, Occasion::Answer];
        model
    }

    fn alert(name: &str, severity: AlertSeverity, started: i64) -> Alert {
        Alert { fingerprint: name.to_owned(), name: name.to_owned(), severity, starts_at: Some(at(started)), ..Alert::default() }
    }

    fn arrive(model: &mut Model, now: i64, alerts: Vec<Alert>) -> Vec<String> {
        let board = AlertBoard { alerts, sources: Vec::<SourceReport>::new(), ..AlertBoard::default() };
        notifications(update(model, at(now), Msg::AlertsArrived(Box::new(board))))
    }

    fn notifications(effects: Vec<Effect>) -> Vec<String> {
        effects.into_iter().filter_map(|e| if let Effect::Notify(text) = e { Some(text) } else { None }).collect()
    }

    #[test]
    fn rings_once_for_a_critical_alert_that_begins_later() {
        let mut model = model();
        let old = alert("Old", AlertSeverity::Critical, -60);
        assert!(arrive(&mut model, 1, vec![old.clone()]).is_empty(), "it fired before the program started");
        let (new, minor) = (alert("New", AlertSeverity::Critical, 5), alert("Minor", AlertSeverity::Warning, 5));
        let all = vec![old, new, minor];
        assert_eq!(arrive(&mut model, 10, all.clone()), ["Critical alert: New"]);
        assert!(arrive(&mut model, 20, all.clone()).is_empty());
        let mut silenced = all.clone();
        silenced[1].state = AlertState::Suppressed;
        silenced.extend((0..4).map(|n| alert(&format!("A{n}"), AlertSeverity::Critical, 25)));
        assert_eq!(arrive(&mut model, 30, silenced), ["4 critical alerts: A0, A1, A2 and 1 more"]);
        model.attention.occasions.clear();
        assert!(arrive(&mut model, 40, vec![alert("B", AlertSeverity::Critical, 35)]).is_empty());
    }

    #[test]
    fn rings_once_when_an_update_becomes_overdue_and_not_for_what_was_overdue_at_the_start() {
        let mut model = model();
        let incident = |id: &str, declared: i64| Summary {
            id: id.parse().unwrap(),
            title: "checkout fails".to_owned(),
            severity: Severity::Sev2,
            status: Status::Investigating,
            declared_at: at(declared),
            status_since: at(declared),
            commander: None,
            alerts: Vec::new(),
            linked: Vec::new(),
            open_actions: 0,
            last_seq: 1,
            last_at: at(declared),
            updated_at: None,
            promised: std::collections::BTreeMap::new(),
            severity_at: None,
            merged_into: None,
            cadence: Some([(Severity::Sev2, 1800)].into()),
            unsynced: 0,
        };
        let list = vec![incident("INC-1", -10_000), incident("INC-2", 0)];
        assert!(notifications(update(&mut model, at(1), Msg::IncidentsListed(list.clone()))).is_empty());
        assert!(notifications(update(&mut model, at(1799), Msg::Ticked)).is_empty());
        assert_eq!(notifications(update(&mut model, at(1800), Msg::Ticked)), ["The update of INC-2 is overdue"]);
        assert!(notifications(update(&mut model, at(1801), Msg::Ticked)).is_empty());
        assert!(notifications(update(&mut model, at(1802), Msg::IncidentsListed(list))).is_empty());
    }

    #[test]
    fn an_answer_rings_only_if_the_terminal_has_no_focus() {
        let mut model = model();
        let id: IncidentId = "INC-1".parse().unwrap();
        assert!(of_answer(&model, id).is_some(), "the terminal reports nothing");
        update(&mut model, at(1), Msg::Focused(true));
        assert!(of_answer(&model, id).is_none());
        update(&mut model, at(2), Msg::Focused(false));
        assert_eq!(of_answer(&model, id), Some(Effect::Notify("INC-1: the answer is ready".to_owned())));
    }

    #[test]
    fn the_title_says_what_is_open_in_minutes() {
        let mut model = model();
        assert_eq!(title(&model), "warroom");
        arrive(&mut model, 1, vec![alert("A", AlertSeverity::Critical, 0)]);
        assert_eq!(title(&model), "warroom · 1 firing");
        assert_eq!((minutes(at(130), at(0)), minutes(at(59), at(0))), ("2m".to_owned(), "<1m".to_owned()));
    }
}
