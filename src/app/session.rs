//! What the screen showed, so that it is there again after the program ended: by itself, with the terminal, or by a signal.

use serde::{Deserialize, Serialize};

use super::logs::InputHistory;
use super::model::Model;
use super::overlay::{Field, FieldsForm, InputDialog, Overlay, Purpose};
use super::room::{Room, Tab};
use crate::incident::IncidentId;

/// The number of unsent texts that are kept.
const UNSENT: usize = 20;

/// The state of a screen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    /// Whether the user quit. Then the next start begins with the board, without a filter that could hide an alert.
    pub ended: bool,
    /// The process that wrote it.
    pub pid: u32,
    /// The incident whose room was open; `None` for the board.
    pub open: Option<IncidentId>,
    /// The rooms that were open, the most recent one first.
    pub rooms: Vec<RoomView>,
    pub board_filter: String,
    pub log_filter: String,
    pub searches: InputHistory,
    pub filters: InputHistory,
    /// The columns of the log lines.
    pub log_columns: Option<Vec<String>>,
    /// What was chosen in the palette, the most recent first.
    pub recent: Vec<String>,
    /// Texts that were typed and not used, the last one first.
    pub unsent: Vec<Unsent>,
}

/// What names the title of an incident that is declared from these alerts among the unsent texts.
pub(crate) fn declare_key(fingerprints: &[String]) -> String {
    format!("Declare {}", fingerprints.join(" ")).trim().to_owned()
}

/// What a room showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomView {
    pub incident: Option<IncidentId>,
    /// The number of the tab, counted from 1.
    pub tab: usize,
    #[serde(default)]
    pub filter: String,
}

/// A text that was typed into a dialog and not used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unsent {
    pub incident: Option<IncidentId>,
    /// The title of the dialog.
    pub title: String,
    pub text: String,
}

impl Unsent {
    fn of(incident: Option<IncidentId>, dialog: &InputDialog) -> Option<Self> {
        let text = dialog.edit.text();
        let is_used = matches!(dialog.purpose, Purpose::Filter | Purpose::Search | Purpose::Find | Purpose::ChartTime);
        let is_typed = !text.trim().is_empty() && text != dialog.initial && !is_used;
        is_typed.then(|| Self { incident, title: dialog.title.clone(), text: text.to_owned() })
    }
}

/// The texts of a form that were changed, each by the name of its field.
pub(crate) fn unsent_fields(incident: Option<IncidentId>, form: &FieldsForm) -> impl Iterator<Item = Unsent> {
    let changed = form.fields.iter().filter(|f| f.edit.text() != f.initial);
    changed.map(move |f| Unsent { incident, title: field_key(form, f), text: f.edit.text().to_owned() })
}

/// What names a field among the unsent texts.
pub(crate) fn field_key(form: &FieldsForm, field: &Field) -> String {
    // What a suggestion proposes distinguishes its form from that of another one.
    let proposed = form.fields.first().map_or("", |first| first.initial.as_str());
    format!("{} {proposed}: {}", form.title, field.label)
}

impl Session {
    /// The state of the screen now.
    pub(crate) fn of(model: &Model, pid: u32) -> Self {
        let view = |room: &Room| RoomView {
            incident: Some(room.id),
            tab: Tab::ALL.iter().position(|t| *t == room.tab).unwrap_or(0) + 1,
            filter: room.filter.clone(),
        };
        let here = model.here();
        let typed: Vec<Unsent> = match &model.overlay {
            Some(Overlay::Input(dialog)) => Unsent::of(here, dialog).into_iter().collect(),
            Some(Overlay::Fields(form)) => unsent_fields(here, form).collect(),
            // A title that is still as it was proposed is selected.
            Some(Overlay::Declare(form)) if !form.title.is_selected() => {
                let alerts: Vec<String> = form.alerts.iter().map(|a| a.fingerprint.clone()).collect();
                vec![Unsent { incident: None, title: declare_key(&alerts), text: form.title.text().to_owned() }]
            }
            _ => Vec::new(),
        };
        let unused = model.unused.iter().filter_map(|(incident, dialog)| Unsent::of(*incident, dialog));
        let of_declaration =
            |(alerts, text): &(Vec<String>, String)| Unsent { incident: None, title: declare_key(alerts), text: text.clone() };
        let title = model.unused_title.iter().map(of_declaration);
        Self {
            ended: false,
            pid,
            open: here,
            rooms: model.room.iter().chain(&model.parked).map(view).collect(),
            board_filter: model.board.filter.clone(),
            log_filter: model.logs.filter.clone(),
            searches: model.logs.searches.clone(),
            filters: model.logs.filters.clone(),
            log_columns: Some(model.logs.columns.clone()),
            recent: model.recent.clone(),
            unsent: typed.into_iter().chain(unused).chain(title).chain(model.unsent.iter().cloned()).take(UNSENT).collect(),
        }
    }

    /// Restores what does not depend on an incident. The rest follows with the first list of incidents.
    pub(crate) fn restore(mut self, model: &mut Model) {
        model.recent = std::mem::take(&mut self.recent);
        (model.logs.searches, model.logs.filters) = (std::mem::take(&mut self.searches), std::mem::take(&mut self.filters));
        if let Some(columns) = self.log_columns.take() {
            model.logs.columns = columns;
        }
        model.unsent = std::mem::take(&mut self.unsent);
        if !self.ended {
            model.board.filter.clone_from(&self.board_filter);
            model.logs.filter.clone_from(&self.log_filter);
            model.board.rebuild_rows();
        }
        model.restoring = Some(self);
    }

    /// The rooms as they were, without their incidents.
    pub(crate) fn rooms(&self) -> Vec<Room> {
        let room = |view: &RoomView| {
            let mut room = Room::new(view.incident?);
            room.tab = view.tab.checked_sub(1).and_then(|n| Tab::ALL.get(n)).copied().unwrap_or_default();
            if !self.ended {
                room.filter.clone_from(&view.filter);
            }
            Some(room)
        };
        self.rooms.iter().filter_map(room).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::model::Screen;
    use crate::app::{Chord, Code, Effect, Msg, update};
    use crate::incident::Incident;
    use crate::incident::state::tests::{declared, entries};
    use crate::telemetry::Timestamp;

    fn press(model: &mut Model, keys: &str) {
        for key in keys.chars() {
            update(model, Timestamp::from_secs(1), Msg::Pressed(Chord::plain(Code::Char(key))));
        }
    }

    fn incident() -> Incident {
        Incident::fold(entries(vec![declared()])).unwrap()
    }

    /// A model in the room of an incident, on the timeline, with a half-typed note and a search from before.
    fn interrupted() -> Session {
        let mut model = Model::new(Timestamp::from_secs(0), time::UtcOffset::UTC);
        let incident = incident();
        let id = incident.id();
        update(&mut model, Timestamp::from_secs(0), Msg::IncidentsListed(vec![incident.head.clone()]));
        update(&mut model, Timestamp::from_secs(0), Msg::Pressed(Chord::plain(Code::Tab)));
        update(&mut model, Timestamp::from_secs(0), Msg::Pressed(Chord::plain(Code::Enter)));
        update(&mut model, Timestamp::from_secs(0), Msg::IncidentRead(Box::new(incident), std::collections::BTreeMap::new()));
        press(&mut model, "2");
        model.logs.searches.push("pool");
        model.recent.push("action note".to_owned());
        press(&mut model, "nthe pool is");
        let session = Session::of(&model, 7);
        assert_eq!(session.open, Some(id));
        serde_json::from_str(&serde_json::to_string(&session).unwrap()).unwrap()
    }

    #[test]
    fn an_interrupted_screen_is_there_again_with_its_text() {
        let mut model = Model::new(Timestamp::from_secs(9), time::UtcOffset::UTC);
        interrupted().restore(&mut model);
        assert_eq!(model.screen, Screen::Board, "nothing opens before it is known that the incident exists");
        let incident = incident();
        let effects = update(&mut model, Timestamp::from_secs(9), Msg::IncidentsListed(vec![incident.head.clone()]));
        assert!(effects.contains(&Effect::ReadIncident(incident.id())), "{effects:?}");
        assert_eq!((model.screen, model.room.as_ref().map(|r| r.tab)), (Screen::Room, Some(Tab::Timeline)));
        assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("Your text for “Note” is kept")), "{:?}", model.toast);
        update(&mut model, Timestamp::from_secs(9), Msg::IncidentRead(Box::new(incident), std::collections::BTreeMap::new()));
        press(&mut model, "n");
        let Some(Overlay::Input(dialog)) = &model.overlay else { panic!("no dialog") };
        assert_eq!(dialog.edit.text(), "the pool is");
        assert_eq!(model.logs.searches.step("", true), Some("pool"));
        assert_eq!(model.recent, ["action note"]);
    }

    #[test]
    fn after_quitting_the_board_comes_first_and_the_room_keeps_its_tab() {
        let mut model = Model::new(Timestamp::from_secs(9), time::UtcOffset::UTC);
        let session = Session { ended: true, board_filter: "checkout".to_owned(), ..interrupted() };
        session.restore(&mut model);
        let incident = incident();
        update(&mut model, Timestamp::from_secs(9), Msg::IncidentsListed(vec![incident.head.clone()]));
        assert_eq!((model.screen, model.board.filter.as_str()), (Screen::Board, ""), "no filter hides an alert");
        press(&mut model, "`");
        assert_eq!((model.screen, model.room.as_ref().map(|r| r.tab)), (Screen::Room, Some(Tab::Timeline)));
    }

    #[test]
    fn an_incident_that_is_gone_is_not_opened() {
        let mut model = Model::new(Timestamp::from_secs(9), time::UtcOffset::UTC);
        interrupted().restore(&mut model);
        update(&mut model, Timestamp::from_secs(9), Msg::IncidentsListed(Vec::new()));
        assert_eq!((model.screen, model.room.is_none()), (Screen::Board, true));
    }

    #[test]
    fn a_filter_that_is_being_typed_is_no_unsent_text() {
        let mut model = Model::new(Timestamp::from_secs(0), time::UtcOffset::UTC);
        press(&mut model, "/checkout");
        assert_eq!(Session::of(&model, 1).unsent, []);
    }
}
