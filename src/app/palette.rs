//! The command palette: every action, and everything that has a name: incidents, services, alerts, playbooks, evidence.

use std::collections::BTreeSet;

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::action::{ACTIONS, Action, Context, Spec};
use super::model::{Model, Screen};
use super::room::Tab;
use crate::incident::{EvidenceId, IncidentId};

/// What a row of the palette does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// Does this, after going to where it works. The text is typed into the dialog that it opens.
    Action {
        action: Action,
        place: Option<Place>,
        argument: String,
    },
    Incident(IncidentId),
    /// Shows the alerts of a service.
    Service(String),
    /// Selects an alert on the board, by its fingerprint.
    Alert(String),
    Playbook(String),
    Evidence(EvidenceId),
}

/// Where an action works that does not work here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Board,
    Tab(Tab),
}

/// A row of the palette.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub entry: Entry,
    /// The key, or what kind of thing it is.
    pub lead: String,
    pub text: String,
    /// The identity, by which recent choices come first.
    pub id: String,
}

/// The largest number of alerts, and of evidence items, that are listed.
const MAX_THINGS: usize = 500;
/// The number of recent choices that are kept.
const MAX_RECENT: usize = 20;
/// What a recent choice is worth beside the quality of a match, for the most recent one.
const RECENT_BONUS: u32 = 20;

/// Remembers a choice as the most recent one.
pub(crate) fn remember(recent: &mut Vec<String>, id: &str) {
    recent.retain(|r| r != id);
    recent.insert(0, id.to_owned());
    recent.truncate(MAX_RECENT);
}

/// The rows for a query, best match first. Without a query: recent choices, then what works here, then the rest.
pub(crate) fn items(model: &Model, query: &str) -> Vec<Item> {
    let recency = |item: &Item| model.recent.iter().position(|r| *r == item.id);
    let mut all = actions(model);
    all.extend(things(model));
    if query.trim().is_empty() {
        all.sort_by_key(|item| recency(item).unwrap_or(usize::MAX));
        return all;
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let lower = query.trim().to_lowercase();
    let mut found: Vec<((Closeness, u32), Item)> = all
        .into_iter()
        .filter_map(|item| {
            let closeness = closeness(&item, &lower);
            let bonus = recency(&item).map_or(0, |at| RECENT_BONUS.saturating_sub(u32::try_from(at).unwrap_or(u32::MAX)));
            let score = pattern.score(Utf32Str::new(&item.text, &mut buffer), &mut matcher);
            (score.is_some() || closeness > Closeness::Letters).then(|| ((closeness, score.unwrap_or(0) + bonus), item))
        })
        .collect();
    found.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    with_argument(model, query).into_iter().chain(found.into_iter().map(|(_, item)| item)).collect()
}

/// How well a row fits a query, the better the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    /// The letters occur in this order.
    Letters,
    /// A word begins with it.
    Word,
    /// Another word for it begins with it.
    Synonym,
    /// The label begins with it.
    Start,
    /// It is the label.
    Whole,
}

/// How well a row fits a query in lower case.
fn closeness(item: &Item, query: &str) -> Closeness {
    let text = item.text.to_lowercase();
    let (label, name) = match &item.entry {
        Entry::Action { action, .. } => (action.spec().word.to_owned(), action.spec().name.replace('-', " ")),
        _ => (text.split(" · ").next().unwrap_or_default().to_owned(), String::new()),
    };
    let begins = |text: &str| {
        text.match_indices(query).any(|(at, _)| at == 0 || text.get(..at).is_some_and(|t| !t.ends_with(char::is_alphanumeric)))
    };
    if label == query || name == query {
        Closeness::Whole
    } else if label.starts_with(query) || name.starts_with(query) {
        Closeness::Start
    } else if matches!(item.entry, Entry::Action { .. }) && query.len() > 1 && begins(&super::synonyms::of(&label)) {
        Closeness::Synonym
    } else if begins(&text) {
        Closeness::Word
    } else {
        Closeness::Letters
    }
}

/// The action whose label begins the query, with the rest of the query as its text: `note the pool is full`.
fn with_argument(model: &Model, query: &str) -> Option<Item> {
    let query = query.trim_start();
    let starts = |item: &&Item| {
        let Entry::Action { action, .. } = item.entry else { return false };
        let word = action.spec().word;
        query.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && query.get(word.len()..).is_some_and(|rest| rest.starts_with(' ') && !rest.trim().is_empty())
    };
    let all = actions(model);
    // The longest label, and among equal ones that of this view, which comes first.
    let mut item = all.iter().rev().filter(starts).max_by_key(|item| item.text.find(" · "))?.clone();
    if let Entry::Action { action, argument, .. } = &mut item.entry {
        query.get(action.spec().word.len()..)?.trim().clone_into(argument);
        item.text = format!("{}: {argument}", action.spec().word);
    }
    Some(item)
}

/// Actions that only make sense as a key.
fn is_motion(action: Action) -> bool {
    use Action::{Bottom, Cancel, Down, HalfDown, HalfUp, Palette, Top, Up};
    matches!(action, Up | Down | HalfUp | HalfDown | Top | Bottom | Cancel | Palette)
}

/// Every action that works here or after going to a tab or the board, those of the view first.
fn actions(model: &Model) -> Vec<Item> {
    let here = model.view_contexts();
    let place_of = |spec: &Spec| match spec.context {
        context if here.contains(&context) => Some(None),
        // In a room these are about its alerts.
        _ if model.screen == Screen::Room && matches!(spec.action, Action::Silence | Action::Silences) => Some(None),
        Context::Board => Some(Some(Place::Board)),
        context if model.screen == Screen::Room => {
            Tab::ALL.into_iter().find(|tab| tab.context() == context).map(|tab| Some(Place::Tab(tab)))
        }
        _ => None,
    };
    let mut found: Vec<(usize, Item)> = ACTIONS
        .iter()
        .filter(|spec| !is_motion(spec.action))
        .filter_map(|spec| {
            let place = place_of(spec)?;
            let at = match place {
                None => String::new(),
                Some(Place::Board) => " (board)".to_owned(),
                Some(Place::Tab(tab)) => format!(" ({})", tab.label().1.to_lowercase()),
            };
            let rank = here.iter().position(|c| *c == spec.context).unwrap_or(here.len());
            let item = Item {
                entry: Entry::Action { action: spec.action, place, argument: String::new() },
                lead: model.keymap.keys_of(spec.action).into_iter().next().unwrap_or_default(),
                text: format!("{} · {}{at}", spec.word, spec.help),
                id: format!("action {}", spec.name),
            };
            Some((rank, item))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, item)| item).collect()
}

/// Incidents, services, alerts, playbooks and evidence.
fn things(model: &Model) -> Vec<Item> {
    let item = |entry: Entry, lead: &str, text: String, id: String| Item { entry, lead: lead.to_owned(), text, id };
    let mut found: Vec<Item> = Vec::new();
    for head in &model.board.incidents {
        let text = format!("{} {} {} · {}", head.id, head.severity, head.title, head.status);
        found.push(item(Entry::Incident(head.id), "inc", text, format!("incident {}", head.id)));
    }
    let services: BTreeSet<&str> = model.board.alerts.iter().filter_map(|a| a.service()).collect();
    for service in services {
        let id = format!("service {service}");
        found.push(item(Entry::Service(service.to_owned()), "svc", format!("{service} · alerts of this service"), id));
    }
    for alert in model.board.alerts.iter().take(MAX_THINGS) {
        let service = alert.service().map(|s| format!(" · {s}")).unwrap_or_default();
        let text = format!("{}{service} · {}", alert.name, alert.state.word());
        found.push(item(Entry::Alert(alert.fingerprint.clone()), "alert", text, format!("alert {}", alert.fingerprint)));
    }
    let Some(incident) = model.room.as_ref().filter(|_| model.screen == Screen::Room).and_then(|r| r.incident.as_ref()) else {
        return found;
    };
    for playbook in model.playbooks.all() {
        let id = format!("playbook {}", playbook.id);
        found.push(item(Entry::Playbook(playbook.id.clone()), "play", format!("{} · playbook", playbook.title), id));
    }
    for record in incident.current_evidence().take(MAX_THINGS) {
        let id = format!("evidence {} {}", incident.id(), record.id);
        found.push(item(Entry::Evidence(record.id), "evid", format!("{} {}", record.id, record.summary), id));
    }
    found
}
