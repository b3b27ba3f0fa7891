//! What the pointer can reach on the screen.

use super::room::Tab;
use crate::telemetry::{Timestamp, Window};

/// A rectangle of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
}

impl Area {
    /// Whether a cell is inside.
    pub(crate) fn contains(self, x: u16, y: u16) -> bool {
        (self.x..self.x.saturating_add(self.width)).contains(&x) && (self.y..self.y.saturating_add(self.height)).contains(&y)
    }
}

/// Something on the screen that can be clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Tab(Tab),
    /// A row of the incidents on the board.
    Incident(usize),
    /// A row of the alerts on the board, or of the list of the open tab or dialog, counted as the keys count them.
    Row(usize),
    /// A line of the live logs, by its number.
    Line(u64),
    /// The plot of a chart that shows this window.
    Chart(Window),
}

/// Whether the pointer is reported, and what it can reach.
#[derive(Clone, Debug, Default)]
pub(crate) struct PointerState {
    pub is_on: bool,
    /// What can be clicked in the frame that was drawn last. What was drawn later lies above.
    pub targets: Vec<(Area, Target)>,
    /// The time in a chart at which the button was pressed.
    pub pressed_at: Option<Timestamp>,
}

/// A pointer event in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pointer {
    Pressed,
    /// Moved with the button held.
    Dragged,
    Released,
    WheelUp,
    WheelDown,
}

/// The time at a column of a chart.
pub(crate) fn time_at(area: Area, window: Window, x: u16) -> Timestamp {
    let columns = f64::from(area.width.saturating_sub(1).max(1));
    let share = f64::from(x.saturating_sub(area.x)).min(columns) / columns;
    window.start + std::time::Duration::from_secs_f64(window.length().as_secs_f64() * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_chart_are_times() {
        let window = Window { start: Timestamp::from_secs(0), end: Timestamp::from_secs(100) };
        let area = Area { x: 10, y: 0, width: 11, height: 5 };
        let secs = |x| time_at(area, window, x).secs_since(window.start);
        assert_eq!((secs(0), secs(10), secs(15), secs(20), secs(90)), (0.0, 0.0, 50.0, 100.0, 100.0));
        assert!(area.contains(10, 4) && !area.contains(21, 4) && !area.contains(10, 5));
    }
}
