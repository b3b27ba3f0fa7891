//! The parts of the screen, one file each: header, footer, board, incident room, its tabs, and overlays.

pub(crate) mod actions;
pub(crate) mod assistant;
pub(crate) mod board;
mod cause;
pub(crate) mod footer;
pub(crate) mod header;
pub(crate) mod logs;
mod metric;
pub(crate) mod overlay;
pub(crate) mod overview;
pub(crate) mod playbook;
pub(crate) mod report;
pub(crate) mod room;
pub(crate) mod signals;
pub(crate) mod small;
pub(crate) mod timeline;
pub(crate) mod updates;
