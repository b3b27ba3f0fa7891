//! The tour of the demo: six steps, each of which ends when the user does what it says.

use super::action::Action;
use super::model::{Model, Screen};
use super::overlay::Overlay;
use super::room::Tab;

/// How far the tour is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tour {
    /// The steps that were done.
    done: usize,
}

/// The number of steps.
const STEPS: usize = 6;

impl Tour {
    /// Whether the step that is shown has been done.
    fn is_done(self, model: &Model) -> bool {
        let room = model.room.as_ref().filter(|_| model.screen == Screen::Room);
        let tab = |tab: Tab| room.is_some_and(|r| r.tab == tab);
        match self.done {
            0 => matches!(model.overlay, Some(Overlay::Declare(_))) || room.is_some(),
            1 => room.is_some_and(|r| r.incident.is_some()),
            2 => {
                let opens = matches!(&model.overlay, Some(Overlay::Text { .. } | Overlay::Evidence { .. }));
                opens || room.is_some_and(|r| r.tab != Tab::Overview)
            }
            3 => model.overlay.is_none() && tab(Tab::Logs),
            4 => room.is_some_and(|r| r.streaming.is_some() || !r.shown_answers().is_empty()),
            _ => model.overlay.is_none() && tab(Tab::Report),
        }
    }

    /// What to do next, with the keys in effect.
    fn text(self, model: &Model) -> String {
        let key = |action: Action| model.key(action);
        match self.done {
            0 => format!("These alerts are firing. Press {} to declare an incident from the selected one.", key(Action::Declare)),
            1 => format!("{} declares it. warroom then gathers evidence by itself.", key(Action::SubmitForm)),
            2 => format!(
                "The likely cause comes first. Select a row, and {} opens its graph, log pattern or text.",
                key(Action::OpenFinding)
            ),
            3 => format!("Press {} for the logs: new patterns first.", key(Action::Tab4)),
            4 => format!("Press {}, then {}: an analysis that cites its evidence.", key(Action::Tab5), key(Action::OpenSpot)),
            _ => format!("Press {} for the post-mortem so far. {} exports it.", key(Action::Tab9), key(Action::Export)),
        }
    }
}

/// The line of the tour; `None` if it has ended.
pub(crate) fn line(model: &Model) -> Option<String> {
    let tour = model.tour?;
    // In a dialog, its key would be typed.
    let is_typing = model.overlay.as_ref().is_some_and(|o| o.context() != super::action::Context::Reader);
    let (text, end) = match is_typing {
        // What declares the incident is pressed in the dialog.
        true if tour.done == 1 => (tour.text(model), String::new()),
        true => ("It goes on when this dialog is closed.".to_owned(), String::new()),
        false => (tour.text(model), format!("  {} ends the tour", model.key(Action::EndTour))),
    };
    Some(format!("Tour {} of {STEPS}  {text}{end}", tour.done + 1))
}

/// Goes on to the next step once the shown one has been done.
pub(crate) fn advance(model: &mut Model) {
    while let Some(tour) = model.tour.filter(|tour| tour.is_done(model)) {
        model.tour = Some(Tour { done: tour.done + 1 }).filter(|tour| tour.done < STEPS);
        if model.tour.is_none() {
            let (palette, help) = (model.key(Action::Palette), model.key(Action::Help));
            model.say(
                super::model::Tone::Good,
                format!("That was the tour. {palette} finds everything by name, {help} shows the keys."),
            );
        }
    }
}
