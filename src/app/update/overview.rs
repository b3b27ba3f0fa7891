//! The overview: selecting, opening and unfolding what the investigation found.

use super::super::action::Action;
use super::super::model::Model;
use super::super::msg::Effect;
use super::super::overlay::Overlay;
use super::super::overview::{OverviewRow, row_ids};
use super::super::room::{Room, Tab};
use super::common::{current, say, say_key, show};
use super::go::{go_to_finding, scroll, shift, tab};
use crate::incident::{CitedFinding, EvidenceId};

/// Selects another row of the overview. Beyond the first and the last row, scrolls the text.
pub(super) fn step_overview(room: &mut Room, by: isize, width: u16, limit: usize) {
    let rows = room.overview_rows(width);
    let place = room.overview_position(&rows);
    let to = shift(place, by, rows.len());
    let id = row_ids(&rows).into_iter().nth(to);
    let moves = to != place && by != isize::MIN && by != isize::MAX;
    room.overview.selected = id;
    room.overview.reveals = moves;
    if !moves {
        room.scroll = scroll(room.scroll, by, limit);
    }
}

/// Opens what the selected row of the overview shows: the whole conclusion, the graph of a series, a log pattern, or evidence.
pub(super) fn open_finding(model: &mut Model) -> Vec<Effect> {
    let Some(room) = &model.room else { return Vec::new() };
    let rows = room.overview_rows(model.size.0);
    let Some(row) = rows.get(room.overview_position(&rows)) else {
        return say_key(model, "No findings yet. Press {} to investigate.", Action::Investigate);
    };
    let finding = match row {
        OverviewRow::Cause(conclusion) => {
            let (title, text) = ("Likely cause".to_owned(), conclusion_text(conclusion));
            return show(model, Overlay::Text { title, text, scroll: 0 });
        }
        OverviewRow::Signal(suspect) => {
            let place = room.suspects().iter().position(|s| *s == *suspect);
            let evidence = suspect.evidence.first().copied();
            if let Some(room) = &mut model.room {
                (room.suspect, room.evidence) = (place, evidence);
                room.filter.clear();
            }
            return tab(model, Tab::Signals);
        }
        OverviewRow::Trigger(None) => return say(model, "The change is not among the findings."),
        OverviewRow::Finding { finding, .. } => finding.parts().first(),
        OverviewRow::Trigger(Some(finding)) | OverviewRow::Log(finding) | OverviewRow::Detail(finding) => Some(*finding),
    };
    let all = current(model).and_then(|i| i.investigation.as_ref());
    let place = all.zip(finding).and_then(|(all, finding)| all.details().position(|f| std::ptr::eq(f, finding)));
    place.map_or_else(Vec::new, |place| go_to_finding(model, place))
}

/// The conclusion in full, with the evidence for and against it.
fn conclusion_text(f: &CitedFinding) -> String {
    let list = |ids: &[EvidenceId]| ids.iter().map(|id| format!("[{id}]")).collect::<Vec<_>>().join(" ");
    let mut text = f.text.clone();
    for (label, ids) in [("Evidence for it", &f.evidence), ("Evidence against it", &f.against)] {
        if !ids.is_empty() {
            text.push_str(&format!("\n\n{label}: {}", list(ids)));
        }
    }
    text
}

/// Shows or hides the findings behind the selected one.
pub(super) fn fold_finding(model: &mut Model) -> Vec<Effect> {
    let width = model.size.0;
    let Some(room) = &mut model.room else { return Vec::new() };
    let rows = room.overview_rows(width);
    let place = room.overview_position(&rows);
    // A finding behind another one belongs to it.
    let group = rows.iter().take(place + 1).rposition(|r| !matches!(r, OverviewRow::Detail(_)));
    let Some(OverviewRow::Finding { hidden, is_open, .. }) = group.and_then(|n| rows.get(n)) else {
        return say(model, "Nothing to unfold here.");
    };
    if *hidden == 0 && !is_open {
        return say(model, "There is nothing behind this finding.");
    }
    let (id, unfolds) = (group.and_then(|n| row_ids(&rows).into_iter().nth(n)).unwrap_or_default(), *hidden > 0);
    room.overview.folds.insert(id.clone(), unfolds);
    (room.overview.selected, room.overview.reveals) = (Some(id), true);
    Vec::new()
}
